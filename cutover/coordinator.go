// Package cutover passes the writer role from one server to the other, and back.
//
// In: a migration whose stream runs and whose sides are proven equal. Out: the other server is the
// writer, within the budget of a hold; or everything is as it was. The decision that matters: who the
// writer is stands in one row, on the server that gives the role away (the register), and every
// statement that leads there goes through one session for each server (package helm). A coordinator
// that dies at any point leaves rows from which the next one settles what it began: there is no state
// that only memory has.
//
//	protocol    the table of the steps
//	coordinator one term: helms, settling, the stream, attempts
//	settle      what the rows say, made true on both servers
//	preflight   all that would stop an attempt, at once
//	attempt     hold … reverse, and undo
package cutover

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/rs/zerolog"

	"changeover/cdc"
	"changeover/cdc/state"
	"changeover/cutover/bus"
	"changeover/cutover/helm"
	"changeover/cutover/hook"
	"changeover/internal/config"
	"changeover/internal/fault"
	"changeover/internal/server"
	"changeover/verify"
)

// Options describe one migration to a Coordinator.
type Options struct {
	// Stream is the forward stream: both servers, databases, sizes. The way back is made of it.
	Stream   cdc.Options
	Verifier *verify.Verifier // the streams' companion; nil: nothing is compared, so nothing can be cut over

	Hold  time.Duration // what an attempt may take from the hold to the commit
	Fence config.Fence
	// Operators are accounts, user@host, that may pass a fence.
	Operators []string
	Hooks     hook.Set
	// Bus is how gates are reached: Listen opens it, once for the process. nil: there is none.
	Bus *Bus

	// Standby waits for as long as another coordinator lives, instead of being refused.
	Standby bool
	// Held is called each time that the helms were taken; an error ends the run. It may be nil.
	Held func() error
	// Tap is the helms'.
	Tap helm.Tap
	Log zerolog.Logger
}

// Bus is the coordinator's end of the bus.
type Bus struct {
	Address string // what the route rows say
	Public  string // the same, without secrets
	Options bus.Options
	// Loopback: only this machine's applications reach it.
	Loopback bool
}

// Coordinator runs one migration: its streams, and the cutover. Run may be called once; the other
// methods at any time, by anyone.
type Coordinator struct {
	opts Options
	log  zerolog.Logger

	requests chan *ask

	mu   sync.Mutex
	term *term // the present one; nil: not in office
	last *Record
	strays
}

// New makes a Coordinator.
func New(o Options) *Coordinator {
	return &Coordinator{opts: o, log: o.Log, requests: make(chan *ask)}
}

func (c *Coordinator) migration() string { return c.opts.Stream.Migration }

func (c *Coordinator) endpoint(s helm.Side) server.Endpoint {
	if s == helm.Source {
		return c.opts.Stream.Source
	}
	return c.opts.Stream.Target
}

// Run keeps the migration going until ctx ends, the stream is done as its Until says, or a fault that
// a person must mend. What a coordinator before it left half done is settled first.
func (c *Coordinator) Run(ctx context.Context) error {
	pauses := backoff.NewExponentialBackOff()
	pauses.InitialInterval, pauses.MaxInterval = 50*time.Millisecond, 2*time.Second
	inOffice := false
	for {
		began := time.Now()
		held, err := c.serve(ctx)
		inOffice = inOffice || held
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err == nil:
			return nil
		case (c.opts.Standby || inOffice) && fault.Is(err, fault.LeaseHeld):
			pauses.Reset() // who was displaced stands by: were both to go, nobody would be left
		case !inOffice && !c.opts.Standby, !passes(err):
			return err
		}
		if time.Since(began) > time.Minute {
			pauses.Reset()
		}
		wait := min(pauses.NextBackOff(), 250*time.Millisecond)
		if held {
			c.log.Warn().Err(err).Dur("retry_in", wait).Msg("the coordinator starts over from what the servers say")
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// errAgain ends a term after which the servers are to be asked what stands.
var errAgain = errors.New("what stands is to be asked of the servers")

// passes tells whether another term may go better.
func passes(err error) bool {
	if errors.Is(err, errAgain) || errors.Is(err, helm.ErrLost) || errors.Is(err, server.ErrRestarted) {
		return true
	}
	code, known := fault.CodeOf(err)
	return !known || code == fault.Connect || code == fault.LeaseLost
}

// Settle does what a term begins with, and ends. fault.LeaseHeld: another coordinator lives.
func (c *Coordinator) Settle(ctx context.Context) (Status, error) {
	t := &term{c: c, log: c.log, helms: map[helm.Side]*helm.Helm{}}
	defer t.end()
	if err := t.take(ctx); err != nil {
		return Status{}, err
	}
	if err := t.settle(ctx); err != nil {
		return Status{}, err
	}
	return Status{Writer: t.writer, Epoch: t.epoch, Gates: []GateStatus{}}, nil
}

// serve is one term: from taking the helms to losing one. held tells whether they were had.
func (c *Coordinator) serve(ctx context.Context) (held bool, err error) {
	t := &term{c: c, log: c.log, helms: map[helm.Side]*helm.Helm{}}
	defer t.end()
	if err := t.take(ctx); err != nil {
		return false, err
	}
	if c.opts.Held != nil {
		if err := c.opts.Held(); err != nil {
			return true, err
		}
	}
	// Nobody is told who the writer is before both servers are what the rows say.
	if err := t.settle(ctx); err != nil {
		return true, err
	}
	c.mu.Lock()
	c.term = t
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.term = nil
	}()
	return true, t.work(ctx)
}

// term is one coordinator's time in office. Its fields but those under mu belong to its goroutine.
type term struct {
	c     *Coordinator
	log   zerolog.Logger
	helms map[helm.Side]*helm.Helm
	desk  *bus.Desk

	mu       sync.Mutex
	writer   helm.Side
	epoch    uint64
	passed   bool // the role has passed at least once
	stream   *stream
	attempt  string // what is under way
	finished bool   // the way back was ended for good
	alone    string // why no attempt can be made now, beside what preflight finds
}

// holder is this process, as others read it.
func (t *term) holder() helm.Holder {
	host, _ := os.Hostname()
	return helm.Holder{Name: fmt.Sprintf("%s:%d", host, os.Getpid()), Control: t.c.opts.Stream.Control}
}

// take takes both helms. One that can't be reached: what the other says is settled as far as it goes,
// since undo needs nobody.
func (t *term) take(ctx context.Context) error {
	if err := t.twoServers(ctx); err != nil {
		return err
	}
	var failed error
	for _, side := range []helm.Side{helm.Source, helm.Target} {
		h, err := helm.Take(ctx, helm.Request{Endpoint: t.c.endpoint(side), Side: side, Migration: t.c.migration(), Tap: t.c.opts.Tap, Log: t.log, Holder: t.holder()})
		if fault.Is(err, fault.LeaseHeld) {
			return err
		}
		if err != nil {
			failed = errors.Join(failed, err)
			continue
		}
		t.helms[side] = h
	}
	if failed == nil {
		return nil
	}
	for _, h := range t.helms {
		if err := t.settleAlone(ctx, h); err != nil {
			t.log.Warn().Err(err).Msg("the server that can be reached is not settled")
		}
	}
	return failed
}

// twoServers refuses one server under two names, which has one lock for both helms. One that can't be
// asked is not judged here.
func (t *term) twoServers(ctx context.Context) error {
	source, target := t.c.endpoint(helm.Source), t.c.endpoint(helm.Target)
	one, err := server.Probe(ctx, source)
	if err != nil {
		return nil
	}
	if other, err := server.Probe(ctx, target); err == nil && server.Same(one, other) {
		return fault.New(fault.SameServer, "source %s and target %s are the same server", source, target)
	}
	return nil
}

// end gives everything back.
func (t *term) end() {
	t.mu.Lock()
	s := t.stream
	t.mu.Unlock()
	if s != nil {
		s.stop()
	}
	if t.desk != nil {
		t.desk.Close()
	}
	for _, h := range t.helms {
		h.Close()
	}
}

// work runs the stream and serves requests, until ctx ends, a helm is lost, or the stream is done. A way back that a
// person must mend ends no term: the writer needs nobody, but whoever would finish, and the gates on the bus, do.
func (t *term) work(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	if b := t.c.opts.Bus; b != nil {
		desk, err := bus.Open(ctx, b.Address, t.c.migration(), b.Options)
		if err != nil {
			return err
		}
		t.mu.Lock()
		t.desk = desk
		t.mu.Unlock()
	}
	t.start(ctx)
	var over <-chan struct{} // the way back that has stopped for good
	for {
		s := t.running()
		ended := s.done
		if ended == over {
			ended = nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-t.helms[helm.Source].Gone():
			return fmt.Errorf("%w: the source's helm is lost", errAgain)
		case <-t.helms[helm.Target].Gone():
			return fmt.Errorf("%w: the target's helm is lost", errAgain)
		case <-ended:
			switch {
			case s.err == nil && s.cut:
				return errAgain
			case s.err == nil || !t.passed || ctx.Err() != nil || passes(s.err):
				return s.err
			}
			over = s.done
			t.log.Error().Err(s.err).Msg("the way back has stopped; the writer goes on. Mend it and start run again, or finish")
		case q := <-t.c.requests:
			if err := t.answer(ctx, q); err != nil {
				return err
			}
			if t.finished {
				return nil
			}
		}
	}
}

func (t *term) running() *stream {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.stream
}

// stream is a runner that runs.
type stream struct {
	runner *cdc.Runner
	from   helm.Side
	cancel context.CancelFunc
	done   chan struct{} // closed when it has ended; err is set by then
	err    error
	cut    bool // it was stopped by a cutover
}

// start runs the stream from the writer to the other side.
func (t *term) start(ctx context.Context) {
	t.mu.Lock()
	defer t.mu.Unlock()
	ctx, cancel := context.WithCancel(ctx)
	o := t.streamOptions(t.writer, t.passed)
	// It may have taken its lease from a coordinator that came into office after us, while this process
	// was stopped: then our helms are gone, and it must not apply a thing, into triggers perhaps.
	source, target := t.helms[helm.Source], t.helms[helm.Target]
	o.Held = func() error { return errors.Join(source.Check(ctx), target.Check(ctx)) }
	s := &stream{runner: cdc.New(o), from: t.writer, cancel: cancel, done: make(chan struct{})}
	t.stream = s
	go func() { // ends with cancel, or by itself
		defer close(s.done)
		s.err = s.runner.Run(ctx)
	}()
	if t.passed {
		go t.watch(ctx, t.helms[t.writer.Other()])
	}
}

// stop ends the stream and waits for that.
func (s *stream) stop() {
	s.cancel()
	<-s.done
}

// over is why the stream has ended by itself; nil while it runs, or where it was meant to end.
func (s *stream) over() error {
	select {
	case <-s.done:
		if !s.cut {
			return s.err
		}
	default:
	}
	return nil
}

// streamOptions are of the stream that comes from a side.
func (t *term) streamOptions(from helm.Side, passed bool) cdc.Options {
	o := t.c.opts.Stream
	// The helm says that nobody else is at work: a lease that a dead process left need not grow old.
	o.LeaseTTL = state.AtOnce
	if t.c.opts.Verifier != nil && o.Companion == nil && (passed || o.Until == cdc.Forever || o.Until == cdc.Verified) {
		o.Companion = t.c.opts.Verifier
	}
	if !passed {
		return o
	}
	o.Until, o.Return = cdc.Forever, true
	if from == helm.Target {
		o.Source, o.Target = o.Target, o.Source
	}
	return o
}
