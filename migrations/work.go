package migrations

import "context"

// direction is the way in which a step is walked.
type direction int

const (
	up direction = iota
	down
)

func (d direction) String() string {
	if d == down {
		return "down"
	}
	return "up"
}

// work is what a step needs beside its statements.
type work struct {
	// before must be done before the step begins: long, while the system lives, and of no effect when
	// it is done twice. A run that is killed in it goes on where it was.
	before func(ctx context.Context, s *session) error
	// run executes the step's statement; nil: plainly.
	run func(ctx context.Context, s *session, statement string) error
}

// The steps that made the tables.
const (
	sectionsMade   = 3
	activitiesMade = 4
)

// workOf lists the steps that need more than their statements, on the way to step end.
//
//	              up                                       down
//	 9 expand     -                                        names ← titles, last ones under the lock
//	10 contract   titles ← names, last ones under the lock -
//	11 expand     -                                        activities ← activities_wide
//	12 swap       activities_wide ← activities, same       activities_narrow ← activities, same
//	13 drop       activities ← activities_narrow           -
//
// A way down that ends where the tables are dropped needs none of it: the rows go anyway, and a row that
// the older schema can't hold is not in its way.
func workOf(step uint, way direction, end uint) work {
	switch {
	case way == down && (step == 9 && end < sectionsMade || (step == 11 || step == 12) && end < activitiesMade):
		return work{}
	case step == 9 && way == down:
		return work{before: fillNames, run: dropTitle}
	case step == 10 && way == up:
		return work{before: fillTitles, run: dropName}
	case step == 11 && way == down:
		return work{before: func(ctx context.Context, s *session) error {
			return s.copyActivities(ctx, "activities_wide", "activities")
		}}
	case step == 12 && way == up:
		return work{before: fillWide, run: swapTo("activities_wide")}
	case step == 12 && way == down:
		return work{before: fillNarrow, run: swapTo("activities_narrow")}
	case step == 13 && way == up:
		return work{before: func(ctx context.Context, s *session) error {
			return s.copyActivities(ctx, "activities_narrow", "activities")
		}}
	}
	return work{}
}

// tidy ends a run that goes up: where the narrow table is still there, nothing may be in it alone until
// somebody takes the next step.
func (s *session) tidy(ctx context.Context, at uint) error {
	if at != 12 {
		return nil
	}
	return s.copyActivities(ctx, "activities_narrow", "activities")
}

// noticed waits until the running servers can have seen how the schema is now. Nobody serves from a
// database that was empty a moment ago.
func (s *session) noticed(ctx context.Context) error {
	if s.fresh || s.Notice <= 0 {
		return nil
	}
	s.log.Info().Stringer("for", s.Notice).Msg("giving the servers time to notice the last step")
	return wait(ctx, s.Notice)
}
