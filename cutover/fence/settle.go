package fence

import (
	"context"
	"fmt"
	"slices"
	"time"

	"changeover/internal/fault"
	"changeover/internal/server"
)

// Settle makes sure that nothing which began before the fence can still write behind it. It comes after
// Raise; only then the old writer's last position can be read.
//
// Behind an account fence it kills what an event may have begun since, until two looks in a row find
// no session of a locked account. Behind a fence of the server nothing is killed: what is open fails with a
// clean 1290. Only events that run for somebody who passes, and XA transactions, can still write: the
// former are waited for, the latter are a fault.
func (p *Plan) Settle(ctx context.Context, s Server) error {
	switch p.Kind {
	case None:
		return nil
	case Accounts:
		if err := p.killAll(ctx, s, nil); err != nil {
			return err
		}
	default:
		if err := p.awaitEvents(ctx, s); err != nil {
			return err
		}
	}
	return noXA(ctx, s.Helm, p.Flavor)
}

// arriving tells whether a session is half logged in. The lock of its account may have been looked at
// before it was set, so who was arriving then is a session of nobody knows whom.
func arriving(session process) bool { return session.User == "unauthenticated user" }

// killAll ends the sessions of the locked accounts, those of events that run for them included, until two
// looks in a row find none; and those which too picks at the first look.
func (p *Plan) killAll(ctx context.Context, s Server, too func(process) bool) error {
	users := append(userNames(p.Accounts), probeUser(p.Migration))
	own, err := s.ownUser(ctx)
	if err != nil {
		return err
	}
	picked := map[uint64]bool{}
	refused := map[uint64]error{}
	for scan, empty := 0, 0; empty < 2; scan++ {
		all, err := processes(ctx, s.Side)
		if err != nil {
			return err
		}
		left := 0
		for id, session := range all {
			if scan == 0 && too != nil && too(session) {
				picked[id] = true
			}
			locked := slices.Contains(users, session.User) && !slices.Contains(own, session.User) || p.runsEvent(session)
			if !picked[id] && (!locked || !session.isApplication()) {
				continue
			}
			left++
			if err := s.kill(ctx, id); err != nil {
				refused[id] = fault.New(fault.FenceKill, "%s: %w", session, err)
			}
		}
		if left > 0 {
			empty = 0
			for id := range refused {
				if _, there := all[id]; there {
					return refused[id]
				}
			}
		} else {
			empty++
		}
		if err := pause(ctx); err != nil {
			return fmt.Errorf("%d sessions of locked accounts are still there: %w", left, err)
		}
	}
	return nil
}

// runsEvent tells whether a session is an event of the migration's that runs.
func (p *Plan) runsEvent(session process) bool {
	return session.isEvent() && slices.Contains(p.Databases, session.Database)
}

// awaitEvents waits for events that were running when the scheduler was stopped and whose definer passes
// the fence. It ends with ctx: fault.FenceEvent.
func (p *Plan) awaitEvents(ctx context.Context, s Server) error {
	var running []process
	for {
		all, err := processes(ctx, s.Side)
		if err != nil && ctx.Err() != nil && len(running) > 0 {
			return stillRuns(running)
		}
		if err != nil {
			return err
		}
		running = nil
		for _, session := range all {
			if p.runsEvent(session) && session.isApplication() && slices.Contains(p.Passing, session.User) {
				running = append(running, session)
			}
		}
		if len(running) == 0 {
			return nil
		}
		if err := pause(ctx); err != nil {
			return stillRuns(running)
		}
	}
}

func stillRuns(running []process) error {
	return fault.New(fault.FenceEvent, "an event still runs behind the fence: %s", names(running))
}

// pause lets the server get on between two looks.
func pause(ctx context.Context) error {
	next := time.NewTimer(time.Millisecond)
	defer next.Stop()
	select {
	case <-next.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// noXA is a fault if a distributed transaction is prepared, or could still be: on MySQL both its PREPARE
// and its COMMIT pass read_only, so one that has written must not be open at all.
func noXA(ctx context.Context, q Session, flavor server.Flavor) error {
	prepared, err := xaPrepared(ctx, q)
	if err != nil {
		return fmt.Errorf("list prepared XA transactions: %w", err)
	}
	if len(prepared) > 0 {
		return fault.New(fault.FenceXA, "%d prepared: %s", len(prepared), list(prepared))
	}
	open, err := xaOpen(ctx, q, flavor)
	if err != nil {
		return fmt.Errorf("list open XA transactions: %w", err)
	}
	if len(open) > 0 {
		return fault.New(fault.FenceXA, "open, and could be prepared and committed behind the fence: %s", list(open))
	}
	return nil
}

func xaPrepared(ctx context.Context, q Session) ([]string, error) {
	rows, err := ask(ctx, q, "XA RECOVER")
	var ids []string
	for _, r := range rows {
		ids = append(ids, r["data"])
	}
	return ids, err
}

// xaOpen lists XA transactions that have begun and are not prepared. MariaDB refuses their COMMIT behind
// read_only, and doesn't say which there are. Where MySQL is told not to say so, that any have begun since
// its start is enough.
func xaOpen(ctx context.Context, q Session, flavor server.Flavor) ([]string, error) {
	if flavor == server.MariaDB {
		return nil, nil
	}
	rows, err := ask(ctx, q, `
		SELECT t.PROCESSLIST_ID AS id, t.PROCESSLIST_USER AS user, x.XID_GTRID AS xid
		FROM performance_schema.events_transactions_current x
		JOIN performance_schema.threads t ON t.THREAD_ID = x.THREAD_ID
		WHERE x.STATE = 'ACTIVE' AND x.XA_STATE IN ('ACTIVE', 'IDLE') AND x.ACCESS_MODE = 'READ WRITE'`)
	if err != nil && !denied(err) && number(err) != erNoTable {
		return nil, err
	}
	if blind, why := xaBlind(ctx, q); err != nil || blind {
		return why, nil
	}
	var open []string
	for _, r := range rows {
		open = append(open, fmt.Sprintf("%s of session %s (%s)", r["xid"], r["id"], r["user"]))
	}
	return open, err
}

// xaBlind tells whether performance_schema leaves transactions out, and what is to be feared then.
func xaBlind(ctx context.Context, q Session) (blind bool, why []string) {
	rows, err := ask(ctx, q, `
		SELECT (SELECT ENABLED FROM performance_schema.setup_consumers WHERE NAME = 'events_transactions_current') AS consumer,
			(SELECT ENABLED FROM performance_schema.setup_instruments WHERE NAME = 'transaction') AS instrument`)
	if err == nil && len(rows) > 0 && on(rows[0]["consumer"]) && on(rows[0]["instrument"]) {
		return false, nil
	}
	status, err := ask(ctx, q, "SHOW GLOBAL STATUS LIKE 'Com_xa_start'")
	if err == nil && len(status) > 0 && status[0]["value"] == "0" {
		return true, nil
	}
	return true, []string{"performance_schema does not tell which (its consumer events_transactions_current, or the instrument transaction, is off), and some have begun since the server's start"}
}
