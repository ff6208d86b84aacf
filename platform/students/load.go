package students

import (
	"cmp"
	"container/heap"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"changeover/platform/students/ledger"
)

// Options say what to do to whom.
type Options struct {
	URLs    []string // of the platform, without a slash at the end; several are taken in turn
	Curve   Curve
	Pace    float64       // students think so many times quicker; 0: 1
	Seed    uint64        // the same seed draws the same clicks at the same times
	Grace   time.Duration // after the end: how long outboxes go on; 0: 30 s
	Timeout time.Duration // of one try; 0: 20 s
	Strict  bool          // a request that failed fails the run, even if the outbox has saved it
	Ledger  *ledger.Writer
}

// Load is one run. Make it with New and call Run once; Now may be called meanwhile.
type Load struct {
	options Options
	curve   Curve
	plan    plan
	http    *http.Client
	meter   *meter
	scripts scripts
	seats   []*seat
	classes []*section // of the teachers, made before the bell

	programs programs
	working  sync.WaitGroup
	began    time.Time
	clicked  time.Duration // after began came no click any more
	usage    usage
	running  atomic.Bool // began is set

	cancel context.CancelCauseFunc
}

// lateAfter is how long after it could be sent an operation counts as late: then this program, or its
// machine, was the bottleneck.
const lateAfter = 20 * time.Millisecond

// Check tells what is wrong with the options, but for the ledger.
func Check(o Options) error {
	_, err := o.resolve()
	return err
}

// resolve fills in what is left out.
func (o Options) resolve() (Options, error) {
	var err error
	if o.Curve, err = o.Curve.resolve(); err != nil {
		return o, err
	}
	if len(o.URLs) == 0 {
		return o, errors.New("a run needs an address")
	}
	o.Pace = cmp.Or(o.Pace, 1)
	if !(o.Pace >= 0.01 && o.Pace <= 10_000) {
		return o, fmt.Errorf("the pace is %g; it must be from 0.01 to 10000", o.Pace)
	}
	o.Grace, o.Timeout = cmp.Or(o.Grace, 30*time.Second), cmp.Or(o.Timeout, 20*time.Second)
	if o.Grace < 0 || o.Timeout < 0 {
		return o, errors.New("grace and timeout can't be negative")
	}
	if seats := o.Curve.max() * thinkMean(o.Pace).Seconds(); seats > mostSeats {
		return o, fmt.Errorf("this takes %.0f students; one process is good for %d: raise the pace", seats, mostSeats)
	}
	return o, nil
}

// mostSeats bounds the connections of one process.
const mostSeats = 50_000

// New draws the run. Nothing is sent yet.
func New(o Options) (*Load, error) {
	o, err := o.resolve()
	if err != nil {
		return nil, err
	}
	if o.Ledger == nil {
		return nil, errors.New("a run needs a ledger")
	}
	l := &Load{options: o, curve: o.Curve, plan: draw(o.Curve, o.Pace, o.Seed), meter: newMeter(), cancel: func(error) {}}
	// As many connections as there are students, if they all click at once; a browser drops an idle one
	// before the load balancer does, so none is closed under a request.
	l.http = &http.Client{Transport: &http.Transport{
		DialContext:     (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
		MaxIdleConns:    0,
		IdleConnTimeout: 30 * time.Second, MaxIdleConnsPerHost: len(l.plan.seats) + 1,
		DisableCompression: true, ForceAttemptHTTP2: false,
	}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return l, nil
}

// Seats is how many students there are at the peak.
func (l *Load) Seats() int { return len(l.plan.seats) }

// Run does it and reports. When ctx ends no click comes any more, and outboxes have the grace. An
// error is of the run itself, such as a ledger that can't be written: what the platform did wrong is
// in the report.
func (l *Load) Run(ctx context.Context) (*Report, error) {
	defer l.http.CloseIdleConnections()
	// Requests outlive ctx, for the grace.
	work, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cancel(nil)
	l.cancel = cancel
	if err := l.prepare(ctx); err != nil {
		return nil, fmt.Errorf("before the bell: %w", err)
	}
	l.meter = newMeter() // what was before the bell isn't part of it
	l.usage.begin()
	l.began = time.Now()
	l.running.Store(true)
	l.ring(ctx, work)
	l.clicked = time.Since(l.began)
	l.settle(work)
	l.usage.end()
	if err := context.Cause(work); err != nil && !errors.Is(err, errStopped) {
		return nil, err
	}
	for _, s := range l.seats {
		n := int64(s.unsent())
		l.meter.with(func(c *Counts) { c.Dropped += n })
	}
	return l.report(time.Now()), nil
}

// broken ends the run: without its ledger it proves nothing.
func (l *Load) broken(err error) {
	if err != nil {
		l.cancel(fmt.Errorf("the ledger: %w", err))
	}
}

// sent counts an operation at its first try. could is when it could have been sent at the earliest.
func (l *Load) sent(now, could time.Time) {
	late := now.Sub(could) > lateAfter
	l.meter.with(func(c *Counts) {
		c.Sent++
		if late {
			c.Late++
		}
	})
}

// upcoming is the seats by the time of their next tick.
type upcoming []*nextTick

type nextTick struct {
	tick
	seat   *seat
	stream *stream
}

func (u upcoming) Len() int           { return len(u) }
func (u upcoming) Less(i, j int) bool { return u[i].at < u[j].at }
func (u upcoming) Swap(i, j int)      { u[i], u[j] = u[j], u[i] }
func (u *upcoming) Push(x any)        { *u = append(*u, x.(*nextTick)) }
func (u *upcoming) Pop() any {
	old := *u
	last := old[len(old)-1]
	*u = old[:len(old)-1]
	return last
}

// ring hands out the ticks as they come due, until the end of the curve. It never waits for anything
// but the clock.
func (l *Load) ring(ctx, work context.Context) {
	var next upcoming
	for _, s := range l.seats {
		n := &nextTick{seat: s, stream: newStream(&l.plan, s.plan, l.scripts.of(s.plan.role).Levels)}
		var ok bool
		if n.tick, ok = n.stream.next(); ok {
			next = append(next, n)
		}
	}
	heap.Init(&next)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for len(next) > 0 && next[0].at < l.curve.For {
		n := next[0]
		if wait := n.at - time.Since(l.began); wait > 0 {
			timer.Reset(wait)
			select {
			case <-timer.C:
			case <-ctx.Done():
				return
			case <-work.Done():
				return
			}
		}
		l.meter.with(func(c *Counts) { c.Starts++ })
		n.seat.due(work, n.tick)
		var ok bool
		if n.tick, ok = n.stream.next(); ok {
			heap.Fix(&next, 0)
		} else {
			heap.Pop(&next)
		}
	}
	select { // the curve goes on to its end, if nobody clicks any more
	case <-time.After(l.curve.For - time.Since(l.began)):
	case <-ctx.Done():
	case <-work.Done():
	}
}

// settle waits until every outbox is empty, at most for the grace.
func (l *Load) settle(work context.Context) {
	empty := make(chan struct{})
	go func() { l.working.Wait(); close(empty) }()
	grace := time.NewTimer(l.options.Grace)
	defer grace.Stop()
	select {
	case <-empty:
	case <-work.Done():
	case <-grace.C:
	}
	l.cancel(errStopped)
	<-empty
}

// script is a course that is played.
type script struct {
	Name   string
	Kind   string
	Levels int
}

// scripts are those that there are, by who plays them.
type scripts struct{ hour, course script }

func (s scripts) of(r Role) script {
	if r == Anonymous {
		return s.hour
	}
	return s.course
}

// prepare learns the curriculum and has the teachers make their sections, as they did the day before.
func (l *Load) prepare(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, setupLimit, fmt.Errorf("the platform doesn't do its part within %v", setupLimit))
	defer cancel()
	l.began = time.Now()
	random := rand.New(rand.NewPCG(l.options.Seed, 0))
	for _, p := range l.plan.seats {
		l.seats = append(l.seats, &seat{load: l, plan: p, random: rand.New(rand.NewPCG(l.options.Seed+1, uint64(p.index)))})
	}
	if err := l.curriculum(ctx, random); err != nil {
		return err
	}
	for _, s := range l.seats {
		if s.plan.role != Teacher {
			continue
		}
		s.person = newPerson(s.random, l.scripts.of(Teacher))
		for _, step := range []func(context.Context) error{s.account, s.newSection} {
			s.at = time.Now()
			if err := step(ctx); err != nil {
				return l.why(ctx, err)
			}
		}
		l.classes = append(l.classes, s.person.section)
	}
	return nil
}

// setupLimit is how long the platform may take until the bell rings.
const setupLimit = 20 * time.Second

// why is what was in the way of something that had to be given up.
func (l *Load) why(ctx context.Context, err error) error {
	if ctx.Err() == nil {
		return err
	}
	err = context.Cause(ctx)
	l.meter.mu.Lock()
	defer l.meter.mu.Unlock()
	for _, text := range l.meter.sample {
		err = fmt.Errorf("%w: %s", err, text)
	}
	return err
}

func (l *Load) curriculum(ctx context.Context, random *rand.Rand) error {
	b := (&browser{random: random, locale: "en"}).with(l)
	r, err := b.send(ctx, "GET", "/api/curriculum", nil, func(time.Time) error { return nil })
	if err != nil {
		return fmt.Errorf("read the curriculum: %w", l.why(ctx, err))
	}
	if r.status != http.StatusOK {
		return fmt.Errorf("read the curriculum: %w", refused(r))
	}
	var a struct {
		Scripts []struct {
			Name, Kind string
			Levels     []struct {
				Level int `json:"level"`
			}
		} `json:"scripts"`
	}
	if err := json.Unmarshal(r.body, &a); err != nil {
		return fmt.Errorf("read the curriculum: %w", err)
	}
	for _, x := range a.Scripts {
		s := script{x.Name, x.Kind, len(x.Levels)}
		if s.Levels == 0 {
			continue
		}
		if l.scripts.hour.Name == "" || s.Kind == "hoc" && l.scripts.hour.Kind != "hoc" {
			l.scripts.hour = s
		}
		if l.scripts.course.Name == "" || s.Kind == "course" && l.scripts.course.Kind != "course" {
			l.scripts.course = s
		}
	}
	if l.scripts.hour.Name == "" {
		return errors.New("the platform has no course with levels (platform seed)")
	}
	return nil
}

// sectionFor is the class of a seat; nil if there is no teacher.
func (l *Load) sectionFor(index int) *section {
	if len(l.classes) == 0 {
		return nil
	}
	return l.classes[index/classSize%len(l.classes)]
}

// programs remembers which have been run, to estimate what a Run costs the platform.
type programs struct {
	mu   sync.Mutex
	seen map[programKey]struct{}
}

type programKey struct {
	level  int
	digest ledger.Digest
}

func (p *programs) isNew(level int, d ledger.Digest) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.seen == nil {
		p.seen = map[programKey]struct{}{}
	}
	_, had := p.seen[programKey{level, d}]
	p.seen[programKey{level, d}] = struct{}{}
	return !had
}

// URLsOf checks addresses and takes a slash off their ends.
func URLsOf(texts []string) ([]string, error) {
	texts = slices.Clone(texts)
	for i, t := range texts {
		for len(t) > 0 && t[len(t)-1] == '/' {
			t = t[:len(t)-1]
		}
		req, err := http.NewRequest("GET", t, nil)
		if err != nil || req.URL.Host == "" || req.URL.Scheme != "http" && req.URL.Scheme != "https" || req.URL.Path != "" || req.URL.RawQuery != "" {
			return nil, fmt.Errorf("%q is no address: write it like http://127.0.0.1:8080", t)
		}
		if req.URL.User != nil {
			return nil, errors.New("an address takes no password")
		}
		texts[i] = t
	}
	return texts, nil
}
