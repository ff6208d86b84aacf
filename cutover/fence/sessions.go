package fence

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"changeover/internal/accounts"
	"changeover/internal/fault"
	"changeover/internal/server"
)

// AppSession is a session of somebody who may write.
type AppSession struct {
	ID       uint64        `json:"id"`
	User     string        `json:"user"`
	Client   string        `json:"client"` // host:port; no port if it came by socket
	Database string        `json:"database,omitempty"`
	Command  string        `json:"command"` // Sleep, Query, …
	For      time.Duration `json:"for"`     // of the command
}

func (s AppSession) String() string {
	text := fmt.Sprintf("session %d of %s from %s", s.ID, s.User, s.Client)
	if s.Database != "" {
		text += " in " + s.Database
	}
	return text
}

// Sessions lists the sessions of the accounts that may write the migration's databases: the application's,
// with a gate or without. Changeover's own and the operators' are left out.
func Sessions(ctx context.Context, db *sql.DB, o Options) ([]AppSession, error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close() }()
	f, err := learn(ctx, conn, o)
	if err != nil {
		return nil, err
	}
	accounts, err := f.accounts(ctx)
	if err != nil {
		return nil, err
	}
	writes := map[string]bool{}
	for _, k := range accounts {
		if k.writes != "" && !k.role && !f.own(k.String()) && !slices.Contains(o.Operators, k.String()) {
			writes[k.User] = true
		}
	}
	// A name that is an operator's account on one host and the application's on another is the latter's.
	self, _ := cutAccount(f.account)
	all, err := processes(ctx, conn)
	if err != nil {
		return nil, err
	}
	var sessions []AppSession
	for _, p := range all {
		if writes[p.User] && p.User != self && p.User != probeUser(o.Migration) && p.isApplication() && !p.isEvent() {
			sessions = append(sessions, p.AppSession)
		}
	}
	slices.SortFunc(sessions, func(a, b AppSession) int { return int(a.ID) - int(b.ID) })
	return sessions, nil
}

// isApplication is false for what belongs to the server, and for replicas that read the binlog.
func (p process) isApplication() bool {
	switch {
	case accounts.System(p.User), p.User == "system user", p.User == "event_scheduler", p.User == "unauthenticated user":
		return false
	case p.Command == "Daemon", strings.HasPrefix(p.Command, "Binlog Dump"), p.Command == "Register Slave":
		return false
	}
	return true
}

// isEvent: an event that runs has its definer's name and no client.
func (p process) isEvent() bool { return p.Command == "Connect" && !strings.Contains(p.Client, ":") }

// processes reads the process list. SHOW PROCESSLIST, for the reason that server.Processes gives.
func processes(ctx context.Context, q server.Queryer) (map[uint64]process, error) {
	rows, err := ask(ctx, q, "SHOW FULL PROCESSLIST")
	if err != nil {
		return nil, fmt.Errorf("list the server's sessions: %w", err)
	}
	exact := milliseconds(ctx, q)
	all := make(map[uint64]process, len(rows))
	for _, r := range rows {
		id, err := strconv.ParseUint(r["id"], 10, 64)
		if err != nil {
			return nil, fmt.Errorf("%q is no session's number", r["id"])
		}
		seconds, _ := strconv.ParseFloat(r["time"], 64)
		p := process{
			AppSession: AppSession{ID: id, User: r["user"], Client: r["host"], Database: r["db"], Command: r["command"],
				For: time.Duration(max(0, seconds) * float64(time.Second))},
			statement: short(r["info"]), full: r["info"],
		}
		if ms, ok := exact[id]; ok {
			p.For = ms
		}
		all[id] = p
	}
	return all, nil
}

// milliseconds is how long each session's statement has been running; whole seconds are too coarse for
// what a fence may wait. A server that doesn't say so has no entry.
func milliseconds(ctx context.Context, q server.Queryer) map[uint64]time.Duration {
	rows, err := ask(ctx, q, `
		SELECT t.PROCESSLIST_ID AS id, s.TIMER_WAIT / 1e9 AS ms
		FROM performance_schema.events_statements_current s
		JOIN performance_schema.threads t ON t.THREAD_ID = s.THREAD_ID
		WHERE t.PROCESSLIST_ID IS NOT NULL AND s.END_EVENT_ID IS NULL AND s.NESTING_EVENT_LEVEL = 0`)
	if err != nil || len(rows) == 0 { // MariaDB, mostly; its own table has the time, but see Processes: so only the time is read
		rows, err = ask(ctx, q, "SELECT ID AS id, TIME_MS AS ms FROM information_schema.PROCESSLIST WHERE COMMAND <> 'Sleep'")
	}
	if err != nil {
		return nil
	}
	exact := map[uint64]time.Duration{}
	for _, r := range rows {
		id, errID := strconv.ParseUint(r["id"], 10, 64)
		ms, errMS := strconv.ParseFloat(r["ms"], 64)
		if errID == nil && errMS == nil && ms >= 0 {
			exact[id] = time.Duration(ms * float64(time.Millisecond))
		}
	}
	return exact
}

// short is a statement's beginning, in one line.
func short(statement string) string {
	const most = 200
	s := strings.Join(strings.Fields(statement), " ")
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}

// kill ends a session. One that is gone is fine.
func (s Server) kill(ctx context.Context, id uint64) error {
	_, err := s.Side.ExecContext(ctx, fmt.Sprintf("KILL %d", id))
	if n := number(err); denied(err) || n == erKillDenied {
		if _, rds := s.Side.ExecContext(ctx, fmt.Sprintf("CALL mysql.rds_kill(%d)", id)); rds == nil || number(rds) == erNoThread {
			return nil
		}
	}
	if number(err) == erNoThread {
		return nil
	}
	return err
}

// EndSessions ends all sessions that are not Changeover's (own: names of accounts, beside the helm's), the
// server's or a replica's, and returns how many. It goes on past those that it may not end; the error
// names them. It is for a server that the migration has to itself; Plan.EndSessions is for any.
func EndSessions(ctx context.Context, s Server, own ...string) (n int, err error) {
	return endSessions(ctx, s, func(process) bool { return true }, own)
}

// EndSessions ends the sessions of the accounts that may write the migration's databases.
func (p *Plan) EndSessions(ctx context.Context, s Server, own ...string) (n int, err error) {
	users := userNames(p.Accounts)
	return endSessions(ctx, s, func(session process) bool { return slices.Contains(users, session.User) }, own)
}

func endSessions(ctx context.Context, s Server, of func(process) bool, own []string) (n int, err error) {
	keep, err := s.ownUser(ctx)
	if err != nil {
		return 0, err
	}
	for _, account := range own {
		user := account
		if strings.Contains(account, "@") {
			user, _ = cutAccount(account)
		}
		keep = append(keep, user)
	}
	all, err := processes(ctx, s.Side)
	if err != nil {
		return 0, err
	}
	var failed []error
	for _, p := range all {
		if slices.Contains(keep, p.User) || !p.isApplication() || !of(p) {
			continue
		}
		if err := s.kill(ctx, p.ID); err != nil {
			failed = append(failed, fault.New(fault.FenceKill, "%s: %w", p, err))
			continue
		}
		n++
	}
	return n, errors.Join(failed...)
}

// ownUser is the name under which the process list has the helm.
func (s Server) ownUser(ctx context.Context) ([]string, error) {
	var user, account string
	if err := s.Helm.QueryRowContext(ctx, "SELECT USER(), CURRENT_USER()").Scan(&user, &account); err != nil {
		return nil, err
	}
	login, _ := cutAccount(user)
	name, _ := cutAccount(account)
	return []string{login, name}, nil
}
