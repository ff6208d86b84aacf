package cutover

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"changeover/cutover/fence"
	"changeover/cutover/helm"
	"changeover/cutover/hook"
	"changeover/cutover/objects"
	"changeover/internal/fault"
)

// settle makes both servers what their registers say, whatever a coordinator before this one left:
//
//  1. what is open in a register is aborted; one of abort and commit sticks, and it stands;
//  2. the newest commit says who the writer is, and its epoch;
//  3. the other server is fenced, has no triggers and no running events, and its route row names the writer;
//  4. the writer's route row names it, and its fence is lifted.
//
// Each of these may be repeated, and is, by every coordinator that comes into office. The helms are
// held, so no statement of an earlier coordinator is still under way: what is read here is so.
func (t *term) settle(ctx context.Context) error {
	began := time.Now()
	var newest helm.Entry
	writer := helm.Source
	for _, side := range []helm.Side{helm.Source, helm.Target} {
		h := t.helms[side]
		last, ok, err := h.Last(ctx)
		if err != nil {
			return fmt.Errorf("read the register of the %s: %w", side, err)
		}
		if ok && last.Outcome == helm.Open {
			t.log.Warn().Uint64("attempt", last.Attempt).Str("kind", last.Kind).Msg("an attempt was left open; it is aborted")
			h.SetAct(string(RegisterAbort))
			if _, err := h.Decide(ctx, last.Attempt, helm.Abort, ""); err != nil {
				return err
			}
		}
		commit, ok, err := h.LastCommit(ctx)
		if err != nil {
			return err
		}
		if ok && commit.Epoch > newest.Epoch {
			newest, writer = commit, side.Other()
		}
	}
	epoch, attempt := max(newest.Epoch, 1), newest.Attempt
	for _, side := range []helm.Side{helm.Source, helm.Target} {
		route, ok, err := t.helms[side].Route(ctx)
		if err != nil {
			return err
		}
		if ok && route.Side != side {
			return fault.New(fault.RouteSwapped, "the server at %s was the %s of migration %s, and the configuration names it the %s", t.c.endpoint(side).Addr(), route.Side, t.c.migration(), side)
		}
		// A route row is written after the register: one that is further speaks of a commit whose register
		// is gone with its server.
		if ok && route.Epoch > epoch {
			epoch, writer = route.Epoch, route.Writer
		}
		attempt = max(attempt, route.Attempt)
	}
	finished, err := t.helms[writer].Finished(ctx, epoch)
	if err != nil {
		return err
	}
	if finished {
		return fault.New(fault.NothingToDo, "migration %s is finished: the %s is the writer, and nothing goes back any more", t.c.migration(), writer)
	}
	t.mu.Lock()
	t.writer, t.epoch, t.passed = writer, epoch, epoch > 1
	t.mu.Unlock()
	if err := t.rest(ctx, attempt); err != nil {
		return err
	}
	t.settleHooks(ctx, attempt)
	t.log.Info().Str("writer", string(writer)).Uint64("epoch", epoch).Dur("took", time.Since(began)).Msg("settled")
	return nil
}

// rest makes both servers what they are between attempts.
func (t *term) rest(ctx context.Context, attempt uint64) error {
	writer, other := t.helms[t.writer], t.helms[t.writer.Other()]
	// The one that must not be written to comes first.
	if err := t.shield(ctx, other); err != nil {
		return err
	}
	if err := t.disarm(ctx, other); err != nil {
		return err
	}
	route := helm.Route{Writer: t.writer, Epoch: t.epoch, Attempt: attempt, Bus: t.busAddress()}
	writer.SetAct(string(RouteNew))
	if err := writer.SetRoute(ctx, route); err != nil {
		return err
	}
	writer.SetAct(string(FenceLiftNew))
	if err := t.lift(ctx, writer); err != nil {
		return err
	}
	if t.passed {
		writer.SetAct(string(ObjectsEnable))
		if err := objects.Enable(ctx, writer, writer.Aid(), t.objectOptions()); fault.Is(err, fault.ObjectsEvent) {
			t.log.Error().Err(err).Msg("an event is not as it should be on the writer")
		} else if err != nil {
			return err
		}
		other.SetAct(string(ObjectsAside))
		if err := t.past(ctx, other, func() error { return objects.SetAside(ctx, other, other.Aid(), t.objectOptions()) }); err != nil {
			return err
		}
		// A transaction that is open behind the fence could still be committed once that is lifted again.
		if _, err := fence.EndSessions(ctx, t.fenced(other), t.c.opts.Operators...); err != nil {
			t.log.Warn().Err(err).Str("side", string(other.Side())).Msg("sessions are left on the old writer")
		}
	}
	other.SetAct(string(RouteOld))
	if err := other.SetRoute(ctx, route); err != nil {
		return err
	}
	for _, h := range t.helms {
		h.SetAct(string(DeadManDrop))
		if err := h.DropDeadMan(ctx); err != nil {
			return err
		}
	}
	return nil
}

// settleHooks tells the endpoints that are not gates where the writer is: the coordinator before may
// have died before it did.
func (t *term) settleHooks(ctx context.Context, attempt uint64) {
	e := hook.Event{Migration: t.c.migration(), Attempt: attempt, Epoch: t.epoch, Kind: "settle", Step: Flip.String(), From: string(t.writer.Other()), To: string(t.writer),
		FromAddress: t.c.endpoint(t.writer.Other()).Addr(), ToAddress: t.c.endpoint(t.writer).Addr()}
	var err error
	if t.passed {
		err = t.c.opts.Hooks.Flip(ctx, e)
	}
	for _, h := range t.c.opts.Hooks {
		if h.Holds() {
			err = errors.Join(err, h.Release(ctx, e))
		}
	}
	if err != nil {
		t.log.Error().Err(err).Msg("an endpoint that is not a gate could not be told who the writer is")
	}
}

func (t *term) busAddress() string {
	if t.c.opts.Bus == nil {
		return ""
	}
	return t.c.opts.Bus.Address
}

// settleAlone settles a server while the other is away: an attempt that it was to give the role away in
// is aborted, if it is not decided, and then its fence is lifted. That needs nobody else.
func (t *term) settleAlone(ctx context.Context, h *helm.Helm) error {
	last, ok, err := h.Last(ctx)
	if err != nil {
		return err
	}
	h.SetAct(string(RegisterAbort))
	outcome := last.Outcome
	if ok && outcome == helm.Open {
		if outcome, err = h.Decide(ctx, last.Attempt, helm.Abort, ""); err != nil {
			return err
		}
	}
	f, err := h.Fence(ctx)
	if err != nil || f.State == helm.FenceNone {
		return err
	}
	route, ok, err := h.Route(ctx)
	if err != nil || !ok || route.Writer != h.Side() {
		return err
	}
	gave, _, err := h.LastCommit(ctx)
	if err != nil {
		return err
	}
	// Its fence is that of an aborted attempt; or the role was given to it: its route row is written after
	// the commit, and names an epoch above those that it gave away itself.
	if outcome == helm.Abort && f.Attempt == last.Attempt || route.Epoch > max(gave.Epoch, 1) {
		h.SetAct(string(FenceLift))
		return t.lift(ctx, h)
	}
	return nil
}

// plan reads how a server was found before its fence was raised.
func plan(f helm.Fence) (*fence.Plan, error) {
	p := new(fence.Plan)
	if err := json.Unmarshal(f.Plan, p); err != nil {
		return nil, fmt.Errorf("read the plan of a fence: %w", err)
	}
	return p, nil
}

func (t *term) fenced(h *helm.Helm) fence.Server {
	return fence.Server{Helm: h, Side: h.Aid(), Log: t.log}
}

// lift lifts a server's fence, as the intent says how it was found. One that has none is left alone.
func (t *term) lift(ctx context.Context, h *helm.Helm) error {
	f, err := h.Fence(ctx)
	if err != nil || f.State == helm.FenceNone {
		return err
	}
	p, err := plan(f)
	if err != nil {
		return err
	}
	if err := h.SetFenceState(ctx, helm.FenceLifting); err != nil {
		return err
	}
	if err := p.Lift(ctx, t.fenced(h)); err != nil {
		return fmt.Errorf("lift the fence of the %s: %w", h.Side(), err)
	}
	return h.SetFenceState(ctx, helm.FenceNone)
}

// shield keeps the application's writes away from the server that is not the writer. Where that can't
// be had without locking accounts, it is not: gates warm their connections there. An attempt is refused
// then (preflight), the stream is not.
func (t *term) shield(ctx context.Context, h *helm.Helm) error {
	f, err := h.Fence(ctx)
	if err != nil {
		return err
	}
	t.setAlone("")
	if f.State == helm.FenceNow || f.State == helm.FenceLasting {
		p, err := plan(f)
		if err != nil {
			return err
		}
		standing, err := p.Standing(ctx, h)
		if err != nil {
			return err
		}
		if standing {
			return nil
		}
		t.log.Warn().Str("side", string(h.Side())).Msg("the fence of the server that is not the writer is gone: it restarted, or somebody lifted it; it is raised again")
	}
	if f.State == helm.FenceNone {
		return t.firstShield(ctx, h)
	}
	p, err := plan(f)
	if err != nil {
		return err
	}
	h.SetAct(string(ShieldRaise))
	if err := p.Raise(ctx, t.fenced(h)); err != nil {
		return fmt.Errorf("fence the %s, which is not the writer: %w", h.Side(), err)
	}
	state := helm.FenceNow
	if f.State == helm.FenceLasting {
		if err := p.Keep(ctx, t.fenced(h)); err != nil {
			return err
		}
		state = helm.FenceLasting
	}
	return h.SetFenceState(ctx, state)
}

// firstShield fences the server that has never been the writer. That it can't be had stops no stream.
func (t *term) firstShield(ctx context.Context, h *helm.Helm) error {
	without := func(why error) error {
		if errors.Is(why, helm.ErrLost) || ctx.Err() != nil {
			return why
		}
		t.setAlone(fmt.Sprintf("the %s can't be kept from being written to before the cutover: %v", h.Side(), why))
		t.log.Warn().Err(why).Str("side", string(h.Side())).Msg("the server is not fenced: whoever writes to it meanwhile is found by the comparison only")
		return nil
	}
	p, err := fence.Shield(ctx, h, t.fenceOptions(h.Side()))
	if err != nil {
		return without(err)
	}
	if p.Kind == fence.None {
		return without(errors.New(problems(p.Problems)))
	}
	text, err := json.Marshal(p)
	if err != nil {
		return err
	}
	h.SetAct(string(ShieldIntent))
	if err := h.SetFence(ctx, helm.Fence{State: helm.FenceRaising, Plan: text}); err != nil {
		return err
	}
	h.SetAct(string(ShieldRaise))
	if err := p.Raise(ctx, t.fenced(h)); err != nil {
		if lifted := t.lift(ctx, h); lifted != nil {
			return lifted
		}
		return without(err)
	}
	return h.SetFenceState(ctx, helm.FenceNow)
}

// disarm takes away what an aborted attempt made on the server that was to become the writer.
func (t *term) disarm(ctx context.Context, h *helm.Helm) error {
	h.SetAct(string(ObjectsDisarm))
	return t.past(ctx, h, func() error { return objects.Disarm(ctx, h, h.Aid(), t.objectOptions()) })
}

// past does something to a server's tables that sessions of a coordinator before this one may be in the
// way of: of a process that hangs, or of a machine that is gone without a word, they live on with their read
// views. We have the helm and have not begun to stream, so whoever is there under our account is not us.
func (t *term) past(ctx context.Context, h *helm.Helm, do func() error) error {
	for {
		err := do()
		var blocked *objects.Blocked
		if !errors.As(err, &blocked) {
			return err
		}
		ended := 0
		for _, b := range blocked.By {
			if b.User != t.c.endpoint(h.Side()).User || b.Session == h.Session() {
				continue
			}
			t.log.Warn().Uint64("session", b.Session).Str("from", b.Host).Msg("ending a session that an earlier coordinator left")
			if err := helm.End(ctx, h.Aid(), b.Session); err != nil {
				return err
			}
			ended++
		}
		if ended == 0 {
			return err
		}
	}
}

func (t *term) setAlone(why string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.alone = why
}

func problems(all []fence.Problem) (text string) {
	for i, p := range all {
		if i > 0 {
			text += "; "
		}
		text += p.String()
	}
	return text
}

func (t *term) fenceOptions(side helm.Side) fence.Options {
	o := t.c.opts.Stream
	return fence.Options{Migration: o.Migration, Databases: o.Databases, Want: t.c.opts.Fence, Operators: t.c.opts.Operators}
}

func (t *term) objectOptions() objects.Options {
	o := t.c.opts.Stream
	return objects.Options{Migration: o.Migration, Databases: o.Databases, InScope: o.InScope, Definers: o.Definers}
}
