package cutover

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"changeover/cdc"
	"changeover/cutover/bus"
	"changeover/cutover/fence"
	"changeover/cutover/helm"
	"changeover/cutover/hook"
	"changeover/cutover/objects"
	"changeover/internal/fault"
	"changeover/verify"
)

// Request is what an operator asks for.
type Request struct {
	Kind Kind
	// Wait is how long lag, keys due and what else passes by itself may take to come within the budget.
	Wait time.Duration
	// NoFence rehearses without the fence: applications without a gate see nothing of it.
	NoFence bool
	// CancelLong has the gates cancel the contexts of what is still inside at the drain's deadline.
	CancelLong bool
}

// ask is a Request on its way to the term's goroutine.
type ask struct {
	ctx    context.Context
	what   any // Request, or a func(*term) error
	record *Record
	err    error
	done   chan struct{}
}

// ErrNotInOffice says that this process does not run the migration at the moment.
var ErrNotInOffice = errors.New("this process does not run the migration at the moment; another one does, or its servers can't be reached")

// Attempt makes an attempt and gives its record, also of one that was refused or undone. ctx's end
// before commit undoes it, after it nothing.
func (c *Coordinator) Attempt(ctx context.Context, r Request) (*Record, error) {
	q := &ask{ctx: ctx, what: r, done: make(chan struct{})}
	if err := c.hand(ctx, q); err != nil {
		return nil, err
	}
	<-q.done
	return q.record, q.err
}

// hand gives a request to the term, and waits until it is taken.
func (c *Coordinator) hand(ctx context.Context, q *ask) error {
	c.mu.Lock()
	t := c.term
	c.mu.Unlock()
	if t == nil {
		return ErrNotInOffice
	}
	if under := t.underWay(); under != "" {
		return fault.New(fault.AttemptUnderWay, "%s", under)
	}
	select {
	case c.requests <- q:
		return nil
	case <-time.After(5 * time.Second):
		return ErrNotInOffice
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (t *term) underWay() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.attempt
}

// answer serves a request. An error ends the term: what stands is to be asked of the servers.
func (t *term) answer(ctx context.Context, q *ask) (err error) {
	defer close(q.done)
	if do, ok := q.what.(func(context.Context, *term) error); ok {
		q.err = do(ctx, t)
		return nil
	}
	r := q.what.(Request)
	a := &attempt{term: t, request: r, record: newRecord(t.c.migration(), r.Kind, t.writer)}
	t.mu.Lock()
	t.attempt = fmt.Sprintf("a %s is under way since %s", r.Kind, a.record.Began.Format(time.TimeOnly))
	t.mu.Unlock()
	defer func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.attempt = ""
	}()
	both, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	defer context.AfterFunc(q.ctx, func() { stop(context.Cause(q.ctx)) })()
	err = a.run(ctx, both)
	q.record = a.record
	a.keep(ctx)
	t.c.mu.Lock()
	t.c.last = a.record
	t.c.mu.Unlock()
	return err
}

// attempt is one attempt on its way.
type attempt struct {
	*term
	request  Request
	record   *Record
	number   uint64
	old, new *helm.Helm
	runner   *cdc.Runner
	verifier *verify.Verifier

	// Prepared before the hold, since it takes time.
	fence    *fence.Plan
	probes   map[helm.Side]*fence.Probe
	prepared *objects.Prepared
	back     *cdc.Return
	relaxed  map[helm.Side]bool // a commit there may not survive a crash
	noted    bool               // that there are sessions without a gate

	holding *bus.Holding
	unhold  func() // ends the renewing
	held    time.Time
	hooked  hook.Set // those that hold
}

// run makes the attempt. life is the term's; ctx ends with the operator's patience too.
func (a *attempt) run(life, ctx context.Context) (err error) {
	t := a.term
	a.old, a.new = t.helms[t.writer], t.helms[t.writer.Other()]
	a.runner, a.verifier, a.probes, a.relaxed = t.running().runner, t.c.opts.Verifier, map[helm.Side]*fence.Probe{}, map[helm.Side]bool{}
	defer func() { a.release(life, err == nil) }()
	err = a.record.step(Preflight, func() (string, error) { return "", a.preflight(ctx) })
	if err != nil {
		a.record.Outcome = Refused
		if len(a.record.Reasons) == 0 {
			a.record.reason("%v", err)
		}
		if errors.Is(err, helm.ErrLost) {
			return err
		}
		return nil
	}
	held, cancel := context.WithTimeout(ctx, t.c.opts.Hold)
	defer cancel()
	if err := a.before(held); err != nil {
		return a.undo(life, err)
	}
	if a.request.Kind == Rehearse {
		return a.undo(life, nil)
	}
	if err := a.commit(life); err != nil {
		return err
	}
	if a.record.Outcome != Committed {
		// The helm was taken anew: what is to be undone is for a term that has both.
		a.record.Outcome, a.record.Epoch = Undone, a.epoch
		a.record.reason("the commit did not take place")
		return fmt.Errorf("%w: the commit did not take place", errAgain)
	}
	return a.after(life)
}

// before goes from the hold to what can still be undone.
func (a *attempt) before(ctx context.Context) error {
	for _, s := range []struct {
		step Step
		do   func(context.Context) (string, error)
	}{{Hold, a.hold}, {Fence, a.raise}, {Drain, a.drain}, {Prove, a.prove}, {Arm, a.arm}} {
		err := a.record.step(s.step, func() (string, error) {
			note, err := s.do(ctx)
			if err == nil && ctx.Err() != nil {
				err = ctx.Err()
			}
			return note, err
		})
		if err != nil {
			switch {
			case errors.Is(err, context.Canceled) && ctx.Err() != nil:
				err = fmt.Errorf("%s: who asked for it went away, or the run was stopped: %w", s.step, err)
			case errors.Is(err, context.DeadlineExceeded):
				err = fault.New(fault.HoldBudget, "the %s did not end within the budget of %v: %w", s.step, a.c.opts.Hold, err)
			}
			return err
		}
	}
	return nil
}

// A gate that hears nothing more lets writes go on after holdLife; a hold is renewed every holdEvery.
const (
	holdLife  = 300 * time.Millisecond
	holdEvery = 100 * time.Millisecond
)

// hold stops the application's writes at the gates, and waits until those inside have ended.
func (a *attempt) hold(ctx context.Context) (string, error) {
	a.old.SetAct(string(RegisterOpen))
	epoch := a.epoch + 1
	if err := a.old.Register(ctx, helm.Entry{Attempt: a.number, Kind: string(a.request.Kind), Epoch: epoch}); err != nil {
		return "", err
	}
	a.held = time.Now()
	note := "no bus: writes are refused by the fence, and wait where there is a gate"
	if a.desk != nil {
		// Not for longer than it may take, whatever becomes of this goroutine; but not the operator's Ctrl-C
		// either, which is obeyed by the undo.
		renewing, stop := context.WithTimeout(context.WithoutCancel(ctx), a.c.opts.Hold+commitPatience)
		a.unhold = stop
		a.holding = a.desk.Hold(renewing, a.holdRequest(false))
		drained, cancel := context.WithTimeout(ctx, a.c.opts.Hold/2)
		defer cancel()
		err := a.holding.Drained(drained)
		if err != nil && a.request.CancelLong && ctx.Err() == nil {
			a.record.note("cancelled what was inside: %v", err)
			a.holding = a.desk.Hold(renewing, a.holdRequest(true))
			again, cancel := context.WithTimeout(ctx, a.c.opts.Hold/4)
			defer cancel()
			err = a.holding.Drained(again)
		}
		if err != nil {
			return "", err
		}
		note = fmt.Sprintf("%d gates drained", len(a.holding.Answers()))
	}
	for _, h := range a.c.opts.Hooks {
		if h.Holds() {
			a.hooked = append(a.hooked, h)
		}
	}
	return note, a.hooked.Hold(ctx, a.event(Hold))
}

func (a *attempt) holdRequest(cancel bool) bus.HoldRequest {
	return bus.HoldRequest{Attempt: a.number, Epoch: a.epoch, Life: holdLife, Every: holdEvery, Cancel: cancel}
}

func (a *attempt) event(s Step) hook.Event {
	return hook.Event{Migration: a.c.migration(), Attempt: a.number, Epoch: a.epoch, Kind: string(a.request.Kind), Step: s.String(),
		From: string(a.old.Side()), To: string(a.new.Side()), FromAddress: a.c.endpoint(a.old.Side()).Addr(), ToAddress: a.c.endpoint(a.new.Side()).Addr()}
}

// raise raises the old writer's fence, and sees a write refused by it.
func (a *attempt) raise(ctx context.Context) (string, error) {
	if a.request.NoFence {
		return "left out (--no-fence)", nil
	}
	text, err := json.Marshal(a.fence)
	if err != nil {
		return "", err
	}
	a.old.SetAct(string(FenceIntent))
	if err := a.old.SetFence(ctx, helm.Fence{Attempt: a.number, State: helm.FenceRaising, Plan: text}); err != nil {
		return "", err
	}
	a.old.SetAct(string(FenceRaise))
	if err := a.fence.Raise(ctx, a.fenced(a.old)); err != nil {
		return "", err
	}
	if a.fence.DeadMan && a.fence.Alone != "" {
		a.record.note("the dead-man's event on the %s can't run any more: %s", a.old.Side(), a.fence.Alone)
	}
	probe := a.probes[a.old.Side()]
	if err := probe.Write(ctx); ctx.Err() != nil {
		return "", ctx.Err()
	} else if !probe.Refused(err) {
		return "", fault.New(fault.FenceLeaks, "a write of a plain account on a connection from before the hold is answered with: %v", err)
	}
	if a.fence.Kind != fence.Accounts {
		if err := probe.WriteFresh(ctx); ctx.Err() != nil {
			return "", ctx.Err()
		} else if !probe.Refused(err) {
			return "", fault.New(fault.FenceLeaks, "a write of a plain account on a new connection is answered with: %v", err)
		}
	}
	a.old.SetAct(string(FenceNow))
	return string(a.fence.Kind) + "; the probe's write is refused", a.old.SetFenceState(ctx, helm.FenceNow)
}

// drain waits until the stream has passed the old writer's last write.
func (a *attempt) drain(ctx context.Context) (string, error) {
	if !a.request.NoFence {
		if err := a.fence.Settle(ctx, a.fenced(a.old)); err != nil {
			return "", err
		}
	}
	position, err := a.runner.CatchUp(ctx)
	a.record.Position = position
	return position, err
}

// prove compares what is due.
func (a *attempt) prove(ctx context.Context) (string, error) {
	p, err := a.verifier.Prove(ctx)
	a.record.Proof = ProofRecord{Complete: p.Complete, Rows: p.Rows, Keys: p.Keys, TookMS: p.TookMS}
	a.record.Present["keys_compared"] = p.Keys
	if err != nil {
		return "", err
	}
	note := fmt.Sprintf("%d keys compared, %d rows proven", p.Keys, p.Rows)
	if !p.Complete && !a.request.NoFence {
		return note, fault.New(fault.ProofIncomplete, "%s", strings.Join(p.Missing, "; "))
	}
	return note, nil
}

// arm gives the new writer what it needs, says where the way back begins, and makes the fence last: all
// at the same time, since each waits for disks of its own. What of it is done is undone if the rest fails.
func (a *attempt) arm(ctx context.Context) (string, error) {
	if a.request.NoFence {
		return "left out (--no-fence)", nil
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		a.new.SetAct(string(ObjectsArm))
		return a.prepared.Arm(ctx, a.new, a.new.Aid(), nil)
	})
	g.Go(func() (err error) {
		a.record.Return, err = a.back.Arm(ctx)
		return err
	})
	g.Go(func() error { return a.flush(ctx, a.new) }) // what the stream brought
	g.Go(func() error {
		if a.request.Kind == Rehearse {
			return nil // it never locks accounts
		}
		a.old.SetAct(string(FenceKeep))
		if err := a.fence.Keep(ctx, a.fenced(a.old)); err != nil {
			return err
		}
		a.old.SetAct(string(FenceLasting))
		return a.old.SetFenceState(ctx, helm.FenceLasting)
	})
	if err := g.Wait(); err != nil {
		return "", err
	}
	did := a.prepared.Done
	a.record.Present["triggers"], a.record.Present["auto_increment"] = did.Triggers, did.AutoIncrement
	return fmt.Sprintf("%d triggers; way back from %s", did.Triggers, a.record.Return), nil
}

// flush has a server that does not do so at each commit (innodb_flush_log_at_trx_commit) write what is
// committed to its disk: a register that says open again after a crash would make two writers.
func (a *attempt) flush(ctx context.Context, h *helm.Helm) error {
	if !a.relaxed[h.Side()] {
		return nil
	}
	_, err := h.Aid().ExecContext(ctx, "FLUSH NO_WRITE_TO_BINLOG ENGINE LOGS")
	return err
}

// commitPatience is how long an unknown commit is settled here, with the hold and the fence as they
// are, before the next term does it.
const commitPatience = 3 * time.Second

// commit writes the register: the point of no return. Unknown is not failed: what the register says is
// found out by ending the session that may still be at it, and writing the opposite.
func (a *attempt) commit(life context.Context) error {
	return a.record.step(Commit, func() (string, error) {
		a.old.SetAct(string(RegisterCommit))
		outcome, err := a.old.Decide(context.WithoutCancel(life), a.number, helm.Commit, a.record.Position)
		if err != nil {
			a.record.note("the answer to the commit was lost: %v", err)
			if outcome, err = a.unknown(life); err != nil {
				a.record.Outcome = Unknown
				return "", fmt.Errorf("%w: it is not known whether the register says commit: %w", errAgain, err)
			}
		}
		if outcome == helm.Commit {
			a.record.Outcome, a.record.Epoch = Committed, a.epoch+1
			if err := a.flush(context.WithoutCancel(life), a.old); err != nil {
				a.record.note("the register's commit is not on disk yet: %v", err)
			}
		}
		return string(outcome), nil
	})
}

// unknown takes the old writer's helm anew, which ends the session whose answer was lost, and writes abort.
// Somebody may have settled this attempt meanwhile, and made another one (a process can be stopped for
// minutes): then the register is his, and nothing here goes on.
func (a *attempt) unknown(life context.Context) (helm.Outcome, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(life), commitPatience)
	defer cancel()
	side, own := a.old.Side(), a.old.Session()
	a.old.Close()
	for {
		h, err := helm.Take(ctx, helm.Request{Endpoint: a.c.endpoint(side), Side: side, Migration: a.c.migration(), Own: own, Holder: a.term.holder(), Tap: a.c.opts.Tap, Log: a.log})
		if err == nil {
			a.old, a.helms[side] = h, h
			last, _, err := h.Last(ctx)
			if err != nil {
				return "", err
			}
			if last.Attempt != a.number {
				return "", fmt.Errorf("attempt %d has been made since", last.Attempt)
			}
			h.SetAct(string(RegisterAbort))
			return h.Decide(ctx, a.number, helm.Abort, "")
		}
		if fault.Is(err, fault.LeaseHeld) {
			return "", err
		}
		select {
		case <-ctx.Done():
			return "", err
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// after goes forward only: the register says commit. What fails here is repeated by the next term.
func (a *attempt) after(life context.Context) error {
	t := a.term
	ctx, cancel := context.WithTimeout(context.WithoutCancel(life), 10*time.Second)
	defer cancel()
	s := t.running()
	s.cut = true
	s.cancel() // one stream applies at a time; its end is waited for later
	t.mu.Lock()
	t.writer, t.epoch, t.passed = a.new.Side(), a.epoch+1, true
	t.mu.Unlock()
	again := func(err error) error { return fmt.Errorf("%w: %w", errAgain, err) }
	if err := a.record.step(Open, func() (string, error) { return a.open(ctx) }); err != nil {
		return again(err)
	}
	if err := a.record.step(Flip, func() (string, error) { return a.flip(ctx) }); err != nil {
		return again(err)
	}
	if err := a.record.step(Reverse, func() (string, error) { return a.reverse(ctx, s) }); err != nil {
		return again(err)
	}
	t.start(life)
	a.flipHooks(life)
	if a.holding != nil {
		a.record.gates(a.holding.Answers())
	}
	t.log.Info().Str("writer", string(t.writer)).Uint64("epoch", t.epoch).Float64("hold_ms", a.record.HoldMS).Msg("the writer role has passed")
	return nil
}

// open makes the new writer one: its route row, its fence, an application's write, its events.
func (a *attempt) open(ctx context.Context) (string, error) {
	a.new.SetAct(string(RouteNew))
	route := helm.Route{Writer: a.new.Side(), Epoch: a.epoch, Attempt: a.number, Bus: a.busAddress()}
	if err := a.new.SetRoute(ctx, route); err != nil {
		return "", err
	}
	a.new.SetAct(string(FenceLiftNew))
	if err := a.lift(ctx, a.new); err != nil {
		return "", err
	}
	note := ""
	if p := a.probes[a.new.Side()]; p != nil {
		if err := p.WriteFresh(ctx); err != nil {
			return "", fmt.Errorf("a plain account's write on the new writer: %w", err)
		}
		note = "a plain account writes"
	}
	return note, nil
}

// flip has the gates go over.
func (a *attempt) flip(ctx context.Context) (note string, err error) {
	if a.holding != nil {
		a.holding.Flip(ctx, a.epoch, string(a.new.Side()))
	}
	a.record.HoldMS = millis(time.Since(a.held))
	a.new.SetAct(string(ObjectsEnable))
	err = objects.Enable(ctx, a.new, a.new.Aid(), a.objectOptions())
	if fault.Is(err, fault.ObjectsEvent) { // all else is done
		a.record.note("%v", err)
		a.log.Error().Err(err).Msg("an event is not as it should be on the new writer")
		err = nil
	}
	if err != nil {
		return "", err
	}
	if a.holding == nil {
		return "no bus: gates follow the route rows", nil
	}
	some, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	answers, err := a.holding.Flipped(some)
	if err != nil {
		a.record.note("not every gate has said that it went over; those follow the route rows: %v", err)
	}
	a.record.gates(answers)
	return fmt.Sprintf("%d gates went over", len(answers)), nil
}

// flipHooks has the endpoints go over that are not gates. Some take seconds (a record in DNS), and
// nothing waits for them: the fence keeps what still comes from the old writer.
func (a *attempt) flipHooks(life context.Context) {
	if len(a.c.opts.Hooks) == 0 {
		return
	}
	began := time.Now()
	ctx := context.WithoutCancel(life) // each step has a limit of its own
	err := errors.Join(a.c.opts.Hooks.Flip(ctx, a.event(Flip)), a.hooked.Release(ctx, a.event(Flip)))
	if err != nil {
		a.record.note("an endpoint did not go over: %v", err)
		a.log.Error().Err(err).Msg("an endpoint did not go over; the flip stands")
	}
	a.record.note("%d endpoints that are not gates were told in %v", len(a.c.opts.Hooks), time.Since(began).Round(time.Millisecond))
}

// reverse ends what still goes on at the old writer, and gives its lease to the way back.
func (a *attempt) reverse(ctx context.Context, s *stream) (string, error) {
	s.stop()
	a.back.Close()
	a.old.SetAct(string(ObjectsAside))
	if err := objects.SetAside(ctx, a.old, a.old.Aid(), a.objectOptions()); err != nil {
		return "", err
	}
	n, err := fence.EndSessions(ctx, a.fenced(a.old), a.c.opts.Operators...)
	if err != nil {
		a.record.note("sessions on the old writer: %v", err)
	}
	a.old.SetAct(string(RouteOld))
	route := helm.Route{Writer: a.new.Side(), Epoch: a.epoch, Attempt: a.number, Bus: a.busAddress()}
	if err := a.old.SetRoute(ctx, route); err != nil {
		return "", err
	}
	return fmt.Sprintf("%d sessions ended on the old writer", n), nil
}

// undo makes everything as it was: abort, and only after that is seen written the rest.
func (a *attempt) undo(life context.Context, why error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(life), 10*time.Second)
	defer cancel()
	a.record.Outcome, a.record.Epoch = Rehearsed, a.epoch
	if why != nil {
		a.record.Outcome = Undone
		a.record.reason("%v", why)
	}
	began := time.Now()
	err := a.undone(ctx)
	if a.holding != nil {
		a.holding.Release(ctx, a.epoch)
		a.record.HoldMS = millis(time.Since(a.held))
		a.record.gates(a.holding.Answers())
	}
	if err := a.hooked.Release(ctx, a.event(Hold)); err != nil {
		a.record.note("an endpoint was not released: %v", err)
	}
	a.record.Steps = append(a.record.Steps, StepRecord{Name: "undo", StartMS: millis(began.Sub(a.record.start)), TookMS: millis(time.Since(began))})
	if err != nil {
		a.record.Outcome = Unknown
		a.record.note("undone only in part: %v; the next term does the rest", err)
		return fmt.Errorf("%w: undo: %w", errAgain, err)
	}
	if why != nil {
		a.log.Warn().Err(why).Str("kind", string(a.request.Kind)).Msg("the attempt was undone")
	}
	return nil
}

// undone is undo on the servers. If the new side is away, the old one is opened all the same.
func (a *attempt) undone(ctx context.Context) error {
	a.old.SetAct(string(RegisterAbort))
	outcome, err := a.old.Decide(ctx, a.number, helm.Abort, "")
	if err != nil || outcome != helm.Abort {
		return fmt.Errorf("the register says %q: %w", outcome, err)
	}
	short, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	a.new.SetAct(string(ObjectsDisarm))
	disarm := objects.Disarm(short, a.new, a.new.Aid(), a.objectOptions())
	if err := a.back.Disarm(short); err != nil {
		a.record.note("the way back: %v", err)
	}
	if disarm != nil {
		// With triggers there, what the stream brings would be done twice. So it stops before writes go on.
		s := a.running()
		s.cut = true
		s.stop()
	}
	if !a.request.NoFence {
		a.old.SetAct(string(FenceLift))
		if f, err := a.old.Fence(ctx); err != nil || f.State != helm.FenceNone && f.Attempt != a.number {
			return fmt.Errorf("the fence is that of attempt %d: %w", f.Attempt, err)
		}
		if err := a.lift(ctx, a.old); err != nil {
			return err
		}
		if err := a.probes[a.old.Side()].Write(ctx); err != nil {
			a.record.note("the probe's write after the undo: %v", err)
		}
	}
	return disarm
}

// release gives back what was prepared. The dead-man's event stays until all that it could undo is settled.
func (a *attempt) release(life context.Context, settled bool) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(life), 5*time.Second)
	defer cancel()
	if a.unhold != nil {
		a.unhold()
	}
	if a.back != nil {
		a.back.Close()
	}
	for side, p := range a.probes {
		a.helms[side].SetAct(string(ProbeClose))
		if err := p.Close(ctx); err != nil {
			a.log.Warn().Err(err).Str("side", string(side)).Msg("the probe's account is still there; the next attempt takes it away")
		}
	}
	if settled {
		a.old.SetAct(string(DeadManDrop))
		if err := a.old.DropDeadMan(ctx); err != nil {
			a.log.Warn().Err(err).Msg("it does nothing any more; the next attempt takes it away")
		}
	}
}

// keep writes the record down on both servers: one may be gone when it is looked for.
func (a *attempt) keep(life context.Context) {
	if a.number == 0 {
		return // refused before it had one
	}
	document, err := a.record.document()
	if err != nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(life), 5*time.Second)
	defer cancel()
	for _, h := range a.helms {
		h.SetAct(string(RecordKeep))
		if err := h.KeepRecord(ctx, a.number, string(a.request.Kind), document); err != nil {
			a.log.Warn().Err(err).Str("side", string(h.Side())).Msg("the attempt's record is not kept")
		}
	}
}
