package audit

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"changeover/platform/students/ledger"
)

// activityRow is a Run.
type activityRow struct {
	id                          int64
	op                          op
	user, script, level, source int64
	result, timeMs, lines       int
	digest                      ledger.Digest
}

// progressKey is a student's place on a level.
type progressKey struct{ user, script, level int64 }

// progressSum is what the activities of a place come to.
type progressSum struct {
	attempts int64
	best     int
	lastID   int64 // of the activities
	source   int64 // the last one's
}

// runCheck is the comparison of Runs.
type runCheck struct {
	*auditor
	seen     map[int64]bool
	sums     map[progressKey]*progressSum
	lines    map[int64]int64 // by user
	contents map[string]*operation
	sources  map[int64]bool
}

const selectActivities = "SELECT a.id, a.op_id, a.user_id, a.script_id, a.level_id, a.level_source_id, a.result, a.`time`, a.`lines`, s.digest" +
	" FROM activities a LEFT JOIN level_sources s ON s.id = a.level_source_id WHERE a."

// runs compares activities, the programs that they name, and what they count.
func (a *auditor) runs(ctx context.Context) error {
	c := &runCheck{auditor: a, seen: map[int64]bool{}, sums: map[progressKey]*progressSum{}, lines: map[int64]int64{},
		contents: map[string]*operation{}, sources: map[int64]bool{}}
	for _, op := range a.ofKinds(ledger.Run) {
		c.contents[c.contentOf(op)] = op
	}
	if err := a.own(ctx, c.take, selectActivities+"user_id IN", ""); err != nil {
		return err
	}
	if err := a.during(ctx, c.take, selectActivities+"created_at"); err != nil {
		return err
	}
	for _, step := range []func(context.Context) error{c.programs, c.progress, c.totals} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	c.answers()
	return nil
}

func (c *runCheck) take(scan func(...any) error) error {
	var r activityRow
	var digest []byte
	err := scan(&r.id, &r.op, &r.user, &r.script, &r.level, &r.source, &r.result, &r.timeMs, &r.lines, &digest)
	if err != nil || c.seen[r.id] {
		return err
	}
	copy(r.digest[:], digest)
	c.seen[r.id] = true
	c.report.Rows["activities"]++
	c.sources[r.source] = true
	c.sum(r)
	c.activity(r, digest != nil)
	return nil
}

func (c *runCheck) sum(r activityRow) {
	key := progressKey{r.user, r.script, r.level}
	s := c.sums[key]
	if s == nil {
		s = &progressSum{}
		c.sums[key] = s
	}
	s.attempts++
	s.best = max(s.best, r.result)
	if r.id > s.lastID {
		s.lastID, s.source = r.id, r.source
	}
	c.lines[r.user] += int64(r.lines)
}

// content is what a person would call the same click.
func content(user, script, level int64, digest ledger.Digest, result, timeMs, lines int) string {
	return fmt.Sprint(user, script, level, digest, result, timeMs, lines)
}

func (c *runCheck) contentOf(op *operation) string {
	s := c.scripts[op.Script]
	return content(op.User, s.id, s.levels[op.Level], op.Digest, op.Result, op.TimeMs, op.Lines)
}

func (c *runCheck) activity(r activityRow, hasProgram bool) {
	known := c.match("activities", r.op.UUID, ledger.Run)
	if known == nil {
		if twin := c.contents[content(r.user, r.script, r.level, r.digest, r.result, r.timeMs, r.lines)]; twin != nil {
			c.find(Doubled, "activities", r.op.UUID, r.user, "activity %d is operation %s once more", r.id, twin.Op)
			return
		}
		c.find(Unexpected, "activities", r.op.UUID, r.user, "activity %d is of an operation that no client knows", r.id)
		return
	}
	if !hasProgram {
		c.find(Lost, "level_sources", known.Op, r.user, "activity %d names program %d, which is not there", r.id, r.source)
	}
	script := c.scripts[known.Script]
	for _, f := range []struct {
		column    string
		got, want any
	}{
		{"user_id", r.user, known.User}, {"script_id", r.script, script.id}, {"level_id", r.level, script.levels[known.Level]},
		{"result", r.result, known.Result}, {"time", r.timeMs, known.TimeMs}, {"lines", r.lines, known.Lines},
		{"level_source_id", r.digest, known.Digest},
	} {
		if f.got != f.want && (hasProgram || f.column != "level_source_id") {
			c.find(Wrong, "activities."+f.column, known.Op, known.User, "activity %d has %v, the client sent %v", r.id, f.got, f.want)
		}
	}
	if known.Acknowledged() && known.Outcome.ID != r.id {
		c.find(Wrong, "activities.id", known.Op, known.User, "the client was told activity %d, the row is %d", known.Outcome.ID, r.id)
	}
}

// programs reads the text of every program that was run: it must be the one that its digest names.
func (c *runCheck) programs(ctx context.Context) error {
	for ids := range slices.Chunk(slices.Sorted(maps.Keys(c.sources)), atOnce) {
		args := make([]any, len(ids))
		for i, id := range ids {
			args[i] = id
		}
		err := each(ctx, c.q, func(scan func(...any) error) error {
			var id int64
			var digest, text []byte
			if err := scan(&id, &digest, &text); err != nil {
				return err
			}
			c.report.Rows["level_sources"]++
			if got := ledger.DigestOf(text); got != ledger.Digest(digest) {
				c.find(Wrong, "level_sources.program", noOp, 0, "program %d has the digest %x, its text's is %v", id, digest, got)
			}
			return nil
		}, "SELECT id, digest, program FROM level_sources WHERE id IN"+marks(len(ids)), args...)
		if err != nil {
			return err
		}
	}
	return nil
}

// progress: attempts are the number of activities, the best result is the best of theirs, and the
// program that a page would show is the last one's.
func (c *runCheck) progress(ctx context.Context) error {
	there := map[progressKey]bool{}
	err := c.own(ctx, func(scan func(...any) error) error {
		var k progressKey
		var attempts, source int64
		var best int
		if err := scan(&k.user, &k.script, &k.level, &attempts, &best, &source); err != nil {
			return err
		}
		there[k] = true
		c.report.Effects["user_levels.attempts"]++
		s := c.sums[k]
		if s == nil {
			s = &progressSum{}
		}
		where := fmt.Sprintf("level %d of user %d", k.level, k.user)
		c.effect("user_levels.attempts", k.user, where, attempts, s.attempts, "activities")
		if best != s.best {
			c.find(Wrong, "user_levels.best_result", noOp, k.user, "%s: %d, the activities' best is %d", where, best, s.best)
		}
		if source != s.source {
			c.find(Wrong, "user_levels.level_source_id", noOp, k.user, "%s: program %d, the last activity's is %d", where, source, s.source)
		}
		return nil
	}, "SELECT user_id, script_id, level_id, attempts, best_result, level_source_id FROM user_levels WHERE user_id IN", "")
	if err != nil {
		return err
	}
	for k, s := range c.sums {
		if c.users[k.user] && !there[k] {
			c.find(Lost, "user_levels", noOp, k.user, "%d activities on level %d, and no progress", s.attempts, k.level)
		}
	}
	return nil
}

// totals: a user's lines are the sum of the activities'.
func (c *runCheck) totals(ctx context.Context) error {
	return c.own(ctx, func(scan func(...any) error) error {
		var user, lines int64
		if err := scan(&user, &lines); err != nil {
			return err
		}
		c.report.Effects["users.total_lines"]++
		c.effect("users.total_lines", user, fmt.Sprintf("user %d", user), lines, c.lines[user], "lines in the activities")
		return nil
	}, "SELECT id, total_lines FROM users WHERE id IN", "")
}

// effect compares a counter with what it counts: more is an operation that was carried out twice, less
// one whose effect is gone.
func (a *auditor) effect(where string, user int64, what string, got, want int64, unit string) {
	switch {
	case got > want:
		a.find(Doubled, where, noOp, user, "%s: %d, and there are %d %s", what, got, want, unit)
	case got < want:
		a.find(Lost, where, noOp, user, "%s: %d, and there are %d %s", what, got, want, unit)
	}
}

// answers: what each client was told of its attempts and lines is what it had done by then. A student's
// operations are in order, so it is known exactly, up to the first one that was not answered.
func (c *runCheck) answers() {
	type state struct {
		attempts map[progressKey]int
		lines    int64
		unsure   bool
	}
	of := map[int64]*state{}
	for _, op := range c.ofKinds(ledger.Run) {
		s := of[op.User]
		if s == nil {
			s = &state{attempts: map[progressKey]int{}}
			of[op.User] = s
		}
		if op.Refused() {
			continue
		}
		if s.unsure = s.unsure || !op.Acknowledged(); s.unsure {
			continue
		}
		script := c.scripts[op.Script]
		k := progressKey{op.User, script.id, script.levels[op.Level]}
		s.attempts[k]++
		s.lines += int64(op.Lines)
		c.report.Effects["answers"]++
		if op.Outcome.Attempts != s.attempts[k] || op.Outcome.Lines != s.lines {
			c.find(Wrong, "the answer of a run", op.Op, op.User, "it says %d attempts and %d lines; by then it was %d and %d",
				op.Outcome.Attempts, op.Outcome.Lines, s.attempts[k], s.lines)
		}
	}
}
