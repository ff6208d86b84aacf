package cutover

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"changeover/cdc"
	"changeover/cutover/bus"
	"changeover/cutover/fence"
	"changeover/cutover/helm"
	"changeover/cutover/objects"
	"changeover/internal/fault"
)

// What an attempt may begin with: more of it, and the hold's budget would not do.
const (
	maxLag  = 50 * time.Millisecond
	maxDue  = 2000                   // keys
	oldWork = 100 * time.Millisecond // a running statement, DDL or lock that is older stalls the fence
)

// preflight finds all that would stop the attempt later, and prepares what takes time. What passes by
// itself (lag, keys due, a long statement) is waited for as long as the request says.
func (a *attempt) preflight(ctx context.Context) error {
	switch {
	case a.request.Kind == Cutover && a.writer == helm.Target:
		return fault.New(fault.NothingToDo, "the target is the writer of %s already (epoch %d)", a.c.migration(), a.epoch)
	case a.request.Kind == Rollback && a.writer == helm.Source:
		return fault.New(fault.NothingToDo, "the source is the writer of %s (epoch %d): there is nothing to roll back", a.c.migration(), a.epoch)
	case a.verifier == nil:
		return fault.New(fault.NothingToDo, "this run compares nothing (--until %s), so nothing is proven", "copied")
	}
	// Somebody may have lifted it since.
	if err := a.shield(ctx, a.new); err != nil {
		return err
	}
	a.lasting(ctx)
	if err := a.prepare(ctx); err != nil {
		return err
	}
	deadline := time.Now().Add(a.request.Wait)
	for {
		if err := a.running().over(); err != nil {
			a.record.reason("the stream has stopped: %v", err)
		}
		passing := a.passing(ctx)
		if len(passing) == 0 {
			break
		}
		if len(a.record.Reasons) > 0 || time.Now().After(deadline) || ctx.Err() != nil {
			for _, why := range passing {
				a.record.reason("%s", why)
			}
			break
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
		}
	}
	if n := len(a.record.Reasons); n > 0 {
		return fault.New(fault.NotReady, "%d reasons", n)
	}
	// Numbers are never used again: a hold that comes late must not be taken for a new one.
	one, err := a.old.NextAttempt(ctx)
	if err != nil {
		return err
	}
	other, err := a.new.NextAttempt(ctx)
	if err != nil {
		return err
	}
	a.number = max(one, other)
	a.record.Attempt = a.number
	if err := a.deadMan(ctx); err != nil {
		return err
	}
	return ctx.Err()
}

// deadMan makes the event that undoes this attempt if nobody else does. Where it can't be had the attempt is
// made all the same, and it is noted why.
func (a *attempt) deadMan(ctx context.Context) error {
	a.old.SetAct(string(DeadManSet))
	if a.request.NoFence {
		return nil
	}
	without := a.fence.Alone
	if a.fence.DeadMan {
		err := a.old.SetDeadMan(ctx, helm.DeadMan{Attempt: a.number, Lift: a.fence.LiftBody()})
		if errors.Is(err, helm.ErrLost) || ctx.Err() != nil {
			return errors.Join(err, ctx.Err())
		}
		if err == nil {
			return nil
		}
		without = err.Error()
	}
	a.record.note("no dead-man's event on the %s: %s. Should this coordinator die, the application's writes wait for the next one", a.old.Side(), without)
	return nil
}

// passing lists what keeps the attempt from beginning now and may be otherwise in a moment.
func (a *attempt) passing(ctx context.Context) (why []string) {
	s := a.runner.Status()
	if s.Phase != "streaming" {
		return []string{fmt.Sprintf("the copy is not done: it is %s, %.1f %%", s.Phase, s.Copy.Share*100)}
	}
	if lag := time.Duration(s.LagMS * float64(time.Millisecond)); lag > maxLag {
		why = append(why, fmt.Sprintf("the target is %v behind; the budget allows %v", lag.Round(time.Millisecond), maxLag))
	}
	v := a.verifier.State()
	switch {
	case v.Differences > 0:
		why = append(why, fmt.Sprintf("%d rows differ: changeover verify shows them, --repair mends them", v.Differences))
	case !v.Wholly:
		why = append(why, "not every row has been compared yet: changeover verify shows how far it is")
	}
	a.record.Present["keys_due"] = v.KeysDue
	if v.KeysDue > maxDue {
		why = append(why, fmt.Sprintf("%d keys are due to be compared again; the budget allows %d. At this rate of writes the proof does not get on: more verify.share, or a quieter hour", v.KeysDue, maxDue))
	}
	blockers, err := fence.Running(ctx, a.old.Aid(), oldWork)
	if err != nil {
		why = append(why, fmt.Sprintf("the %s's running statements can't be seen: %v", a.old.Side(), err))
	}
	for _, b := range blockers {
		if !b.Stalls {
			continue // a transaction: gates drain it, and without a gate the fence refuses it
		}
		why = append(why, fmt.Sprintf("on the %s %s", a.old.Side(), b))
	}
	if a.desk != nil {
		fresh, cancel := context.WithTimeout(ctx, 2*time.Second)
		defer cancel()
		if err := a.desk.Fresh(fresh, time.Second); err != nil {
			why = append(why, fmt.Sprintf("not every gate answers: %v", err))
		}
		for _, g := range a.desk.Gates() {
			if g.Epoch > a.epoch {
				why = append(why, fmt.Sprintf("gate %s knows epoch %d, this is %d", g.Gate, g.Epoch, a.epoch))
			}
		}
		a.record.Present["gates"] = len(a.desk.Gates())
		why = append(why, a.strangers(ctx)...)
	}
	return why
}

// strangers counts the application's sessions on the old writer that belong to no gate. They don't stop an
// attempt: the fence refuses their writes. But those from elsewhere, while the bus is on this machine only,
// say that there are application servers whose gates can't be reached.
func (a *attempt) strangers(ctx context.Context) (why []string) {
	sessions, err := fence.Sessions(ctx, a.old.Aid(), a.fenceOptions(a.old.Side()))
	if err != nil {
		return []string{fmt.Sprintf("the application's sessions on the %s can't be seen: %v", a.old.Side(), err)}
	}
	known := map[uint64]bool{}
	for _, g := range a.desk.Gates() {
		for _, id := range g.Sessions {
			known[id] = true
		}
	}
	others, first := 0, ""
	for _, s := range sessions {
		if known[s.ID] {
			continue
		}
		if others++; first == "" {
			first = s.String()
		}
		host, _, err := net.SplitHostPort(s.Client)
		if err == nil && a.c.opts.Bus.Loopback && !bus.Loopback(host) {
			why = append(why, fmt.Sprintf("%s is not on this machine, and the bus listens on loopback only: no gate there can be held. See bus.listen in docs/bus.md", s))
		}
	}
	a.record.Present["sessions_without_a_gate"] = others
	if others > 0 && !a.noted {
		a.noted = true
		a.record.note("%d sessions of the application on the %s belong to no gate, such as %s: their writes are refused from the fence on", others, a.old.Side(), first)
	}
	return why
}

// lasting notes what will not pass by itself.
func (a *attempt) lasting(ctx context.Context) {
	if alone := a.aloneReason(); alone != "" {
		a.record.reason("%s", alone)
	}
	found, err := fence.Passers(ctx, a.old, a.fenceOptions(a.old.Side()))
	if err != nil {
		a.record.reason("what passes a fence of the %s can't be found out: %v", a.old.Side(), err)
	}
	for _, p := range found {
		if p.Blocks {
			a.record.reason("%s %s", p.Code, p.Detail)
		} else {
			a.record.note("%s %s", p.Code, p.Detail)
		}
	}
	if err := a.c.opts.Hooks.Check(ctx); err != nil {
		a.record.reason("%v", err)
	}
	for _, h := range a.c.opts.Hooks {
		if !h.Holds() {
			a.record.note("endpoint %s can't hold: what uses it meets refused writes during the hold", h.Name())
		}
	}
}

func (t *term) aloneReason() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.alone
}

// prepare makes ready what takes time. What can't be made ready is a reason; an error that is none ends
// the attempt.
func (a *attempt) prepare(ctx context.Context) (err error) {
	reason := func(what string, err error) {
		if err != nil {
			a.record.reason("%s: %v", what, err)
		}
	}
	o := a.fenceOptions(a.old.Side())
	o.DeadMan = !a.request.NoFence
	if a.fence, err = fence.Survey(ctx, a.old, o); err != nil {
		if errors.Is(err, helm.ErrLost) {
			return err
		}
		reason("the fence of the "+string(a.old.Side()), err)
	} else {
		for _, p := range a.fence.Problems {
			if p.Blocks {
				a.record.reason("%s %s", p.Code, p.Detail)
			}
		}
		if a.request.Kind == Rehearse && a.fence.Kind == fence.Accounts && !a.request.NoFence {
			a.request.NoFence = true
			a.record.note("the %s can only be fenced by locking accounts, which a rehearsal never does: the fence is left out", a.old.Side())
		}
	}
	for _, side := range []helm.Side{a.old.Side(), a.new.Side()} {
		a.helms[side].SetAct(string(ProbeOpen))
		p, err := fence.OpenProbe(ctx, a.c.endpoint(side), a.helms[side], a.fenceOptions(side))
		if err != nil {
			reason("the probe on the "+string(side), err)
			continue
		}
		a.probes[side] = p
	}
	for side, h := range a.helms {
		var flush int
		if err := h.QueryRowContext(ctx, "SELECT @@GLOBAL.innodb_flush_log_at_trx_commit").Scan(&flush); err != nil {
			return err
		}
		a.relaxed[side] = flush != 1
	}
	if p := a.probes[a.old.Side()]; p != nil {
		reason("a plain account's write on the "+string(a.old.Side()), p.Write(ctx))
	}
	a.prepared, err = objects.Prepare(ctx, a.old.Aid(), a.new.Aid(), a.objectOptions())
	if err != nil {
		reason("triggers, events, views and routines", err)
	} else {
		a.new.SetAct(string(ObjectsAhead))
		if err := a.prepared.Ahead(ctx, a.new, a.new.Aid()); err != nil {
			reason("routines, views and events", err)
		}
		for _, p := range a.prepared.Problems {
			if p.Blocks {
				a.record.reason("%s %s", p.Code, p.Detail)
			}
		}
		// The other half is for all else.
		if allowed := a.c.opts.Hold / 2; a.prepared.Estimate > allowed {
			a.record.reason("triggers, views and AUTO_INCREMENT values take about %v in the hold; the budget allows %v", a.prepared.Estimate.Round(time.Millisecond), allowed)
		}
	}
	back := a.streamOptions(a.new.Side(), true)
	back.Proven = a.verifier.Proven
	a.back, err = cdc.NewReturn(ctx, back)
	reason("the way back", err)
	return nil
}
