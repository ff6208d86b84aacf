package fence

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"changeover/internal/fault"
	"changeover/internal/server"
)

// The statements that set and clear the fence of a whole server.
var switches = map[Kind][2]string{
	ReadOnly: {"SET GLOBAL read_only = 0", "SET GLOBAL read_only = 1"},
	RDS:      {"CALL mysql.rds_set_read_only(0)", "CALL mysql.rds_set_read_only(1)"},
}

// Raise makes the server refuse the application's writes from now on, and stops its events. It may be
// called again. After an error, *Blocked too, the caller lifts the fence: something may have been done.
//
// First the fence, then the events: a fence that is blocked has then changed nothing, and an event that
// starts in between is before the position that is read when all this has returned. An account fence is a
// lock, which new connections meet, and a kill, for those that are there.
func (p *Plan) Raise(ctx context.Context, s Server) error {
	if p.Kind == None {
		return nil
	}
	h, err := grip(ctx, s)
	if err != nil {
		return err
	}
	if p.Kind.ServerWide() {
		if err := h.act(ctx, switches[p.Kind][1]); err != nil {
			return fmt.Errorf("set the server read only: %w", err)
		}
	} else {
		if err := p.lock(ctx, h, p.locked()); err != nil {
			return err
		}
		if err := p.killAll(ctx, s, arriving); err != nil {
			return err
		}
	}
	switch {
	case !on(p.Found.EventScheduler):
		return nil // none runs
	case p.DeadMan && p.Scheduler:
		if err := p.stopForDeadMan(ctx, h); err == nil || ctx.Err() != nil || !fault.Is(err, fault.FenceBlocked) && !fault.Is(err, fault.FenceEvent) {
			return err
		} else {
			p.Alone = err.Error()
			s.Log.Warn().Err(err).Msg("the event scheduler is stopped as a whole, so no dead-man's event runs")
		}
		fallthrough
	case p.Scheduler:
		if err := h.act(ctx, "SET GLOBAL event_scheduler = OFF"); err != nil {
			return fmt.Errorf("stop the event scheduler: %w", err)
		}
		return nil
	}
	return p.stopEvents(ctx, h)
}

func (p *Plan) stopEvents(ctx context.Context, h *hand) error {
	return p.setEvents(ctx, h, "ENABLED", "DISABLE")
}

// stopForDeadMan stops the migration's events and leaves the scheduler on. An event that was made since the
// fence was planned is a fault.FenceEvent, like one that can't be stopped.
func (p *Plan) stopForDeadMan(ctx context.Context, h *hand) error {
	if err := p.stopEvents(ctx, h); err != nil {
		return err
	}
	left, err := enabled(ctx, h.Helm, p.Databases)
	if err == nil && len(left) > 0 {
		err = fault.New(fault.FenceEvent, "made since the fence was planned: %s", names(left))
	}
	return err
}

// locked are the accounts that an account fence locks: the probe's too, so that it sees what they see.
func (p *Plan) locked() []Account {
	return append(p.unlocked(), Account{User: probeUser(p.Migration), Host: "%"})
}

// unlocked are the accounts that were not locked when the fence was planned.
func (p *Plan) unlocked() []Account {
	return slices.DeleteFunc(slices.Clone(p.Accounts), func(a Account) bool { return a.Locked })
}

func (p *Plan) lock(ctx context.Context, h *hand, accounts []Account) error {
	if len(accounts) == 0 {
		return nil
	}
	if err := h.act(ctx, alterAccounts(accounts, "LOCK")); err != nil {
		return fmt.Errorf("lock %s: %w", names(accounts), err)
	}
	return nil
}

// alterAccounts is one statement for all: on MySQL it is atomic. Accounts that are gone are left out by
// the server.
func alterAccounts(accounts []Account, what string) string {
	quoted := make([]string, len(accounts))
	for i, a := range accounts {
		quoted[i] = a.quoted()
	}
	return "/* changeover fence */ ALTER USER IF EXISTS " + strings.Join(quoted, ", ") + " ACCOUNT " + what
}

// Keep makes the fence outlast a restart and a failover, and the events' stop with it.
//
// Where read_only can't be persisted after all, the accounts are locked: the attempt is what shows it.
func (p *Plan) Keep(ctx context.Context, s Server) error {
	if p.Kind == None {
		return nil
	}
	h, err := grip(ctx, s)
	if err != nil {
		return err
	}
	if p.Kind == ReadOnly && p.Lasting == LastingPersist {
		err := p.persist(ctx, h)
		if err == nil || !denied(err) {
			return err
		}
		s.Log.Warn().Err(err).Msg("read_only can't be persisted; the accounts are locked instead")
	}
	if err := p.stopEvents(ctx, h); err != nil {
		return err
	}
	if p.Kind == Accounts {
		return nil // a lock lasts
	}
	return p.lock(ctx, h, p.unlocked())
}

// persist writes into mysqld-auto.cnf. The scheduler too, so that no event's definition is touched, and none
// need be whose definer is not ours to name. Also where it was found OFF: the next start may set it to ON.
// Where it goes on for a dead-man's event, each event is disabled already, and that lasts.
func (p *Plan) persist(ctx context.Context, h *hand) error {
	now, _, err := variable(ctx, h.Helm, "event_scheduler")
	if err != nil {
		return err
	}
	if (!p.DeadMan || !on(now)) && !strings.EqualFold(p.Found.EventScheduler, "DISABLED") { // that lasts, and can't be changed
		if err := h.act(ctx, "SET PERSIST event_scheduler = OFF"); err != nil {
			return fmt.Errorf("keep the event scheduler stopped: %w", err)
		}
	}
	if err := h.act(ctx, "SET PERSIST read_only = 1"); err != nil {
		return fmt.Errorf("keep the server read only: %w", err)
	}
	return nil
}

// Lift makes the server as it was found, from whatever is left of a fence. It may be called again, by
// another session, with a plan that was read back. Each part is looked at first: what is as it was found
// is not touched.
func (p *Plan) Lift(ctx context.Context, s Server) error {
	if p.Kind == None {
		return nil
	}
	h, err := grip(ctx, s)
	if err != nil {
		return err
	}
	h.limit = liftLimit
	if err := p.unlock(ctx, h); err != nil {
		return err
	}
	if err := p.restorePersisted(ctx, h); err != nil {
		return err
	}
	if err := p.restoreReadOnly(ctx, h); err != nil {
		return err
	}
	if err := p.setEvents(ctx, h, "DISABLED", "ENABLE"); err != nil {
		return err
	}
	return p.restoreScheduler(ctx, h)
}

// liftLimit is how long one statement of Lift may take: there is no other way on than to wait.
const liftLimit = 5 * time.Second

// unlock unlocks the accounts that are locked and were not. An account of the plan that is gone is no
// concern of ours. Where read_only was persisted, none was locked by us: a lock is then an operator's, of the
// weeks since.
func (p *Plan) unlock(ctx context.Context, h *hand) error {
	if p.Lasting == LastingPersist {
		now, err := persisted(ctx, h.Helm, p.Flavor)
		if err != nil || on(now["read_only"]) && !on(p.Found.Persisted["read_only"]) {
			return err
		}
	}
	now, err := lockedNow(ctx, h.Helm, p.Flavor)
	if err != nil {
		return err
	}
	accounts := slices.DeleteFunc(p.locked(), func(a Account) bool { return !now[a.String()] })
	if len(accounts) == 0 {
		return nil
	}
	if err := h.act(ctx, alterAccounts(accounts, "UNLOCK")); err != nil {
		return fmt.Errorf("unlock %s: %w", names(accounts), err)
	}
	return nil
}

// lockedNow lists the accounts of the server; the value tells whether one is locked.
func lockedNow(ctx context.Context, s Session, flavor server.Flavor) (map[string]bool, error) {
	f := &facts{q: s, version: server.Version{Flavor: flavor}}
	all, err := f.listAccounts(ctx)
	if err != nil {
		return nil, fmt.Errorf("look at the accounts: %w", err)
	}
	now := make(map[string]bool, len(all))
	for _, k := range all {
		now[k.String()] = k.Locked
	}
	return now, nil
}

func (p *Plan) restorePersisted(ctx context.Context, h *hand) error {
	if p.Lasting != LastingPersist {
		return nil
	}
	now, err := persisted(ctx, h.Helm, p.Flavor)
	if err != nil {
		return err
	}
	for _, name := range []string{"read_only", "event_scheduler"} {
		was, found := p.Found.Persisted[name]
		is, there := now[name]
		statement := "SET PERSIST " + name + " = OFF"
		switch {
		case there == found && on(is) == on(was):
			continue
		case !found:
			statement = "RESET PERSIST IF EXISTS " + name
		case on(was):
			statement = "SET PERSIST " + name + " = ON"
		}
		if err := h.act(ctx, statement); err != nil {
			return fmt.Errorf("restore what was persisted: %w", err)
		}
	}
	return nil
}

func (p *Plan) restoreReadOnly(ctx context.Context, h *hand) error {
	if !p.Kind.ServerWide() {
		return nil
	}
	now, err := readOnly(ctx, h.Helm)
	if err != nil || now == p.Found.ReadOnly {
		return err
	}
	statement := switches[p.Kind][0]
	if p.Found.ReadOnly {
		statement = switches[p.Kind][1]
	}
	if err := h.act(ctx, statement); err != nil {
		return fmt.Errorf("make the server writable: %w", err)
	}
	return nil
}

func (p *Plan) restoreScheduler(ctx context.Context, h *hand) error {
	if !p.Scheduler {
		return nil
	}
	now, _, err := variable(ctx, h.Helm, "event_scheduler")
	if err != nil || strings.EqualFold(now, p.Found.EventScheduler) || !on(p.Found.EventScheduler) {
		return err
	}
	if err := h.act(ctx, "SET GLOBAL event_scheduler = ON"); err != nil {
		return fmt.Errorf("start the event scheduler: %w", err)
	}
	return nil
}

// Standing tells whether the server refuses the application's writes now, as this plan has it.
func (p *Plan) Standing(ctx context.Context, s Session) (bool, error) {
	switch {
	case p.Kind == None:
		return false, nil
	case p.Kind.ServerWide():
		return readOnly(ctx, s)
	}
	now, err := lockedNow(ctx, s, p.Flavor)
	if err != nil {
		return false, err
	}
	for _, a := range p.unlocked() {
		if locked, there := now[a.String()]; there && !locked {
			return false, nil
		}
	}
	return true, nil
}
