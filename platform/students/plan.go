package students

import (
	"math"
	"math/rand/v2"
	"time"

	"changeover/platform/students/ledger"
)

// Role is who sits on a seat.
type Role int

// The roles.
const (
	Anonymous Role = iota // Hour of Code without an account: one guest after the other
	SignedIn              // a student of a section
	AppLab                // makes an app: saves it all the time, and its data
	Teacher               // watches the grid, gives feedback
	Organiser             // registers events
	roles
)

func (r Role) String() string {
	return [...]string{"anonymous", "signed-in", "app-lab", "teacher", "organiser"}[r]
}

// shares is the mix of a school day.
var shares = [roles]float64{Anonymous: 0.70, SignedIn: 0.24, AppLab: 0.04, Teacher: 0.015, Organiser: 0.005}

// runs tells whether the role clicks on Run; the others are what comes on top.
func (r Role) runs() bool { return r == Anonymous || r == SignedIn }

// mix deals the roles: the first seats have one of each, so that a small school has everybody, and
// then whichever is furthest behind its share is next.
type mix struct {
	dealt [roles]float64
	n     float64
}

func (m *mix) next() Role {
	best := Role(m.n) // the first seats
	if m.n++; best >= roles {
		best = Anonymous
		for r := range roles {
			if m.behind(r) > m.behind(best) {
				best = r
			}
		}
	}
	m.dealt[best]++
	return best
}

func (m *mix) behind(r Role) float64 { return shares[r]*m.n - m.dealt[r] }

// A class is this many seats; it comes within arrival of the bell. Between two Runs a student thinks
// for a time that is log-normal.
const (
	classSize   = 25
	arrival     = 2 * time.Minute
	thinkMedian = 25 * time.Second
	thinkSigma  = 0.8
)

// plan is who sits where and when.
type plan struct {
	curve Curve
	think time.Duration // the median
	seats []*seatPlan
}

// seatPlan is one seat's part: the times in which it is taken. Everything in it is drawn from its own
// source of random numbers, so it does not depend on what the platform answers.
type seatPlan struct {
	index  int
	role   Role
	spans  []span
	random *rand.Rand
}

// thinkMean is longer than the median: some think for long.
func thinkMean(pace float64) time.Duration {
	return time.Duration(float64(thinkMedian) * math.Exp(thinkSigma*thinkSigma/2) / pace)
}

// draw makes as many seats as the curve's peak needs at this pace, and says when each is taken. A
// seat is taken while the curve is above its level, so a surge brings more classes, not quicker students.
func draw(c Curve, pace float64, seed uint64) plan {
	peak := c.max()
	needed := peak * thinkMean(pace).Seconds()
	running := math.Max(1, math.Ceil(needed))
	// Whole seats: what is rounded up is given to the thinking, so that the rate is as it was asked for.
	think := float64(thinkMedian) / pace * running / needed
	p := plan{curve: c, think: time.Duration(think)}
	var m mix
	random := rand.New(rand.NewPCG(seed, 1))
	window := min(time.Duration(float64(arrival)/pace), c.Ramp)
	var bell time.Duration
	for taken := 0.0; taken < running; {
		s := &seatPlan{index: len(p.seats), role: m.next()}
		s.random = rand.New(rand.NewPCG(seed, uint64(s.index)+2))
		s.spans = c.above(taken / running * peak)
		if s.index%classSize == 0 {
			bell = max(0, s.spans[0].from-window/2)
		}
		if window > 0 { // within the ramp a class comes at its bell
			late := bell + time.Duration(random.Int64N(int64(window)))
			s.spans[0].from = min(late, s.spans[0].to)
		}
		p.seats = append(p.seats, s)
		if s.role.runs() {
			taken++
		}
	}
	return p
}

// gap is a time of thinking.
func (p *plan) gap(random *rand.Rand) time.Duration {
	return time.Duration(float64(p.think) * math.Exp(thinkSigma*random.NormFloat64()))
}

// tick is a click that is due.
type tick struct {
	at     time.Duration
	kind   ledger.Kind
	level  int  // run
	passed bool // run
	first  bool // a new person sits down
}

// stream yields a seat's ticks in order. Runs have log-normal times between them; what else a student
// does falls into the time of thinking.
type stream struct {
	plan   *plan
	seat   *seatPlan
	levels int // of the script that is played here
	ready  []tick
	at     time.Duration // of the last Run
	span   int           // the one that at is in; -1: none yet
	level  int
	begun  bool // the first gap since the seat was taken is drawn
	seated bool // the person has begun
	solved bool // the last level is, and the certificate is still to be had
	cycle  int
}

func newStream(p *plan, s *seatPlan, levels int) *stream {
	return &stream{plan: p, seat: s, levels: levels, span: -1, level: 1}
}

// next is the next tick; ok is false at the end of the run.
func (s *stream) next() (t tick, ok bool) {
	for len(s.ready) == 0 {
		if !s.think() {
			return tick{}, false
		}
	}
	t = s.ready[0]
	s.ready = s.ready[1:]
	return t, true
}

// think draws the next time of thinking, and what is clicked in it and at its end.
func (s *stream) think() bool {
	if s.span < 0 && !s.sitDown() {
		return false
	}
	gap := s.plan.gap(s.seat.random)
	if !s.begun { // so that the rate is right from the first moment: what is left of a gap that is looked into
		gap = time.Duration(float64(gap) * math.Exp(thinkSigma*thinkSigma) * s.seat.random.Float64())
		s.begun = true
	}
	if s.at+gap >= s.seat.spans[s.span].to {
		return s.sitDown()
	}
	add := func(share float64, k ledger.Kind) {
		s.ready = append(s.ready, tick{at: s.at + time.Duration(share*float64(gap)), kind: k})
	}
	if s.solved {
		add(0.1, ledger.HocFinish)
		s.solved = false
	}
	if !s.seated {
		s.begin(add)
		s.seated = true
	}
	s.cycle++
	switch s.seat.role {
	case Anonymous:
		s.play(add, 0)
	case SignedIn:
		s.play(add, 12)
	case AppLab:
		s.make(add)
	case Teacher:
		add(1, pick(s.seat.random, []ledger.Kind{ledger.Grid, ledger.Feedback, ledger.Sections}, []float64{0.75, 0.2, 0.05}))
	case Organiser:
		add(1, pick(s.seat.random, []ledger.Kind{ledger.Events, ledger.EventSave}, []float64{0.6, 0.4}))
	}
	s.at += gap
	return true
}

// sitDown goes to the next time in which the seat is taken.
func (s *stream) sitDown() bool {
	if s.span+1 >= len(s.seat.spans) {
		return false
	}
	s.span++
	s.at, s.begun, s.seated, s.solved, s.level = s.seat.spans[s.span].from, false, false, false, 1
	return true
}

// begin is what somebody does who has just come.
func (s *stream) begin(add func(float64, ledger.Kind)) {
	n := len(s.ready)
	switch s.seat.role {
	case Anonymous:
		add(0.25, ledger.Guest)
		add(0.35, ledger.Page)
		add(0.5, ledger.HocStart)
	case SignedIn:
		add(0.1, ledger.Account)
		add(0.4, ledger.Join)
	case AppLab:
		add(0.1, ledger.Account)
		add(0.5, ledger.Project)
	case Teacher: // has account and sections from before the bell
		add(0.3, ledger.Sections)
	case Organiser:
		add(0.1, ledger.Account)
		add(0.5, ledger.Event)
	}
	s.ready[n].first = true
}

// play is a Run, and now and then a look at the progress. After the last level an anonymous student
// gets the certificate, and the next one sits down; a student of a section begins again.
func (s *stream) play(add func(float64, ledger.Kind), feedback int) {
	random := s.seat.random
	if s.cycle%6 == 3 {
		add(0.6, ledger.Progress)
	}
	if feedback > 0 && s.cycle%feedback == 5 {
		add(0.7, ledger.Feedbacks)
	}
	add(1, ledger.Run)
	run := &s.ready[len(s.ready)-1]
	run.level, run.passed = s.level, random.Float64() < 0.6
	if !run.passed {
		return
	}
	if s.level++; s.level > s.levels {
		s.level = 1
		if s.seat.role == Anonymous {
			s.solved, s.seated = true, false
		}
	}
}

// make is what somebody does who makes an app.
func (s *stream) make(add func(float64, ledger.Kind)) {
	if s.cycle%4 == 0 {
		add(0.5, pick(s.seat.random, []ledger.Kind{ledger.ReadProject, ledger.ReadRecords, ledger.ReadPairs}, []float64{0.4, 0.3, 0.3}))
	}
	add(1, pick(s.seat.random,
		[]ledger.Kind{ledger.Save, ledger.Record, ledger.RecordSave, ledger.RecordDelete, ledger.Pair},
		[]float64{0.45, 0.22, 0.08, 0.06, 0.19}))
}

// pick draws one of the kinds by their weights, which are 1 together.
func pick(random *rand.Rand, kinds []ledger.Kind, weights []float64) ledger.Kind {
	x := random.Float64()
	for i, w := range weights {
		if x < w {
			return kinds[i]
		}
		x -= w
	}
	return kinds[len(kinds)-1]
}
