package students

import (
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"changeover/platform/students/ledger"
)

// seat is where one person after the other sits. Its clicks wait in a queue, which has no bound: a tick
// is never skipped. One goroutine works at the queue while there is something in it.
type seat struct {
	load   *Load
	plan   *seatPlan
	random *rand.Rand // of what is written; when it is written is the stream's

	mu    sync.Mutex
	queue []tick
	busy  bool

	// The rest belongs to the goroutine that works.
	person *person
	free   time.Time // when the last operation was answered
	phase  Phase     // of the tick that is worked at
	at     time.Time // that tick's intended start
}

// due puts a tick into the queue.
func (s *seat) due(ctx context.Context, t tick) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue = append(s.queue, t)
	if s.busy {
		return
	}
	s.busy = true
	s.load.working.Go(func() { s.work(ctx) }) // ends when the queue is empty, or with ctx
}

func (s *seat) work(ctx context.Context) {
	for {
		s.mu.Lock()
		if len(s.queue) == 0 || ctx.Err() != nil {
			s.busy = false
			s.mu.Unlock()
			return
		}
		t := s.queue[0]
		s.queue = s.queue[1:]
		s.mu.Unlock()
		s.step(ctx, t)
	}
}

// unsent is how many ticks were never sent.
func (s *seat) unsent() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.queue)
}

// step does what the tick is for. Somebody without a session gets one first: the platform refused it
// before, which has been counted.
func (s *seat) step(ctx context.Context, t tick) {
	s.phase, s.at = s.load.curve.phase(t.at), s.load.began.Add(t.at)
	if t.first && s.plan.role != Teacher || s.person == nil {
		s.person = newPerson(s.random, s.load.scripts.of(s.plan.role))
	}
	p := s.person
	if !p.signed() && t.kind != ledger.Guest && t.kind != ledger.Account {
		if err := s.enter(ctx); err != nil {
			s.load.meter.with(func(c *Counts) { c.Dropped++ }) // the tick itself was never sent
			return
		}
	}
	s.act(ctx, t)
}

// enter makes the session that the role has.
func (s *seat) enter(ctx context.Context) error {
	if s.plan.role == Anonymous {
		return s.guest(ctx)
	}
	return s.account(ctx)
}

// act is what each kind of click does. What went wrong has been counted where it was seen.
func (s *seat) act(ctx context.Context, t tick) {
	switch t.kind {
	case ledger.Guest, ledger.Account:
		_ = s.enter(ctx)
	case ledger.Page:
		_ = s.page(ctx)
	case ledger.HocStart:
		_ = s.hocStart(ctx)
	case ledger.HocFinish:
		_ = s.hocFinish(ctx)
	case ledger.Run:
		_ = s.run(ctx, t)
	case ledger.Progress:
		_ = s.progress(ctx)
	case ledger.Join:
		_ = s.join(ctx)
	case ledger.Feedbacks:
		_ = s.feedbacks(ctx)
	case ledger.Sections:
		_ = s.sections(ctx)
	case ledger.Grid:
		_ = s.grid(ctx)
	case ledger.Feedback:
		_ = s.feedback(ctx)
	case ledger.Event:
		_ = s.event(ctx)
	case ledger.EventSave:
		_ = s.eventSave(ctx)
	case ledger.Events:
		_ = s.events(ctx)
	default:
		_ = s.app(ctx, t.kind)
	}
}

// call is one operation.
type call struct {
	ledger.Intent
	method, path string
	body         map[string]any // the op is added
	statements   int            // beyond what the kind is
}

// errStopped: the run is over, and the operation has no final answer.
var errStopped = errors.New("the run is over")

// do sends the call until it is answered and reads the answer into, by way of which note learns what
// the ledger keeps of it. Everything is counted here, and in the ledger.
func (s *seat) do(ctx context.Context, c *call, into any, note func(o *ledger.Outcome)) error {
	l := s.load
	c.User, c.Intended = s.person.id, s.at
	body, err := c.encode()
	if err != nil {
		return err
	}
	var number uint64 // in the ledger; 0: it isn't
	r, err := s.person.browser.with(l).send(ctx, c.method, c.path, body, func(now time.Time) (err error) {
		l.sent(now, latest(c.Intended, s.free))
		c.Sent = now
		if c.Kind.Writes() {
			number, err = l.options.Ledger.Intend(&c.Intent)
		}
		return err
	})
	s.free = time.Now()
	s.at = s.free // what follows from this answer is due now
	o := ledger.Outcome{Tries: r.tries, Status: r.status, Epoch: r.epoch, Replayed: r.replayed}
	switch {
	case err != nil:
		if ctx.Err() == nil {
			l.broken(err)
		}
		l.meter.with(func(n *Counts) { n.Unacknowledged++ })
		err = errStopped
	default:
		o.Acknowledged = r.at
		err = s.answered(c, r, &o, into, note)
	}
	if number != 0 {
		l.broken(l.options.Ledger.Settle(number, &o))
	}
	return err
}

// encode gives a write its operation, and makes the body that each try sends.
func (c *call) encode() ([]byte, error) {
	if c.Kind.Writes() {
		c.Op = newOp(c.Intended)
		if c.body == nil {
			c.body = map[string]any{}
		}
		c.body["op"] = c.Op.String()
	}
	if c.body == nil {
		return nil, nil
	}
	return json.Marshal(c.body)
}

// answered judges a final answer.
func (s *seat) answered(c *call, r response, o *ledger.Outcome, into any, note func(o *ledger.Outcome)) error {
	m := s.load.meter
	m.with(func(n *Counts) {
		if r.tries > 1 {
			n.Retried++
		}
		if r.replayed {
			n.Replayed++
		}
	})
	if r.status < 200 || r.status > 299 {
		no := refused(r)
		o.Code = no.Code
		m.refused(c.method+" "+c.path, r.status, c.Kind.String()+" "+no.Code, no.Error())
		return no
	}
	if into != nil {
		if err := json.Unmarshal(r.body, into); err != nil {
			m.refused(c.method+" "+c.path, r.status, c.Kind.String()+" not understood", err.Error())
			return err
		}
	}
	if note != nil {
		note(o)
	}
	m.answered(answer{phase: s.phase, kind: c.Kind, due: c.Intended, sent: r.first, at: r.at, service: r.service,
		elapsed: r.at.Sub(s.load.began), epoch: r.epoch, statements: c.Kind.Statements() + c.statements})
	return nil
}

// newOp is a UUIDv7 of the click.
func newOp(at time.Time) uuid.UUID {
	op := uuid.New()
	ms := uint64(at.UnixMilli())
	for i := range 6 {
		op[i] = byte(ms >> (40 - 8*i))
	}
	op[6] = op[6]&0x0f | 0x70
	return op
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// person is somebody on a seat: what their browser knows.
type person struct {
	browser browser
	id      int64
	name    string

	script   script
	attempts map[int]int       // by level, as acknowledged
	last     map[int]uuid.UUID // by level, the operation of the last Run
	lastOp   uuid.UUID         // of any level
	lines    int64
	hoc      int64

	project  *project
	section  *section
	students []student
	event    *ownEvent
}

func newPerson(r *rand.Rand, s script) *person {
	return &person{name: oneOf(r, names), script: s, attempts: map[int]int{}, last: map[int]uuid.UUID{},
		browser: browser{random: r, locale: oneOf(r, locales)}}
}

func (p *person) signed() bool { return p.id != 0 }

// with gives the browser what all browsers of a load share.
func (b *browser) with(l *Load) *browser {
	if b.http == nil {
		b.http, b.urls, b.timeout = l.http, l.options.URLs, l.options.Timeout
		b.at = b.random.IntN(len(b.urls))
	}
	b.failed = l.meter.failed
	return b
}

// stale notes a read that missed what this person had been told is done.
func (s *seat) stale(k ledger.Kind, op uuid.UUID, text string) {
	now := time.Now()
	s.load.meter.stale(now)
	s.load.broken(s.load.options.Ledger.Note(&ledger.Stale{Kind: k, User: s.person.id, At: now, Op: op, Text: text}))
}

// ahead counts a read that shows more than was written; the audit says what it is.
func (s *seat) ahead() { s.load.meter.with(func(c *Counts) { c.Ahead++ }) }

func alphanumeric(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return r
		}
		return -1
	}, s)
}
