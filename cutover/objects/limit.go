package objects

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"

	"changeover/cdc/schema"
	"changeover/cdc/state"
	"changeover/internal/fault"
	"changeover/internal/server"
)

// Numbers of the servers' errors.
const (
	erInterrupted = 1317
	erLockWait    = 1205
	erNoSuchEvent = 1539
)

// Blocked is a statement that was ended since it waited for others.
type Blocked struct {
	Statement string // its first words: what of what
	After     time.Duration
	By        []Blocker // as far as the server says; may be empty
}

// Blocker is a session that has what a statement waits for.
type Blocker struct {
	Session uint64
	User    string
	Host    string
	For     time.Duration // in its present state, to the second
	Running string        // its statement; empty: idle in a transaction
}

func (b *Blocked) Error() string {
	by := "another session"
	if len(b.By) > 0 {
		all := make([]string, len(b.By))
		for i, one := range b.By {
			all[i] = one.String()
		}
		by = strings.Join(all, "; ")
	}
	return fmt.Sprintf("%s waited %v for %s", b.Statement, b.After.Round(time.Millisecond), by)
}

func (b Blocker) String() string {
	what := "idle in a transaction"
	if b.Running != "" {
		what = "running " + shorten(b.Running)
	}
	return fmt.Sprintf("session %d of %s from %s, %s for %v", b.Session, b.User, b.Host, what, b.For)
}

// shorten keeps a statement's beginning, on one line.
func shorten(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if r := []rune(s); len(r) > 120 {
		return string(r[:120]) + "…"
	}
	return s
}

// ddl runs a statement about o under the session's own settings.
func (m *maker) ddl(ctx context.Context, o schema.Object, statement string) error {
	if err := m.base(ctx); err != nil {
		return err
	}
	return m.ddlAsIs(ctx, o, statement)
}

// ddlAsIs runs a statement about o. One that takes longer than the limit, or than ctx, is ended in the server:
// ending it here would end the session.
func (m *maker) ddlAsIs(ctx context.Context, o schema.Object, statement string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	began := time.Now()
	done, watched := make(chan struct{}), make(chan ending, 1)
	go func() { watched <- m.watch(ctx, o, statement, done) }() // ends soon after done
	lasting := context.WithoutCancel(ctx)
	_, err := m.s.ExecContext(lasting, statement)
	close(done)
	end := <-watched // a KILL must not meet the next statement
	if end.killed && err == nil {
		// The statement was through when the KILL came, which may still hit the next one.
		var one int
		if e := m.s.QueryRowContext(lasting, "SELECT 1").Scan(&one); e != nil && state.Number(e) != erInterrupted {
			return e
		}
		return nil
	}
	switch n := state.Number(err); {
	case n == erInterrupted && ctx.Err() != nil:
		return fmt.Errorf("%w: %w", ctx.Err(), err)
	case n == erInterrupted && end.killed, n == erLockWait:
		return fault.New(fault.ObjectsBlocked, "%w", &Blocked{Statement: what(o, statement), After: time.Since(began), By: end.by})
	}
	return err
}

// what names a statement for people.
func what(o schema.Object, statement string) string {
	verb := strings.Fields(strings.TrimPrefix(strings.TrimPrefix(statement, mark), "/* changeover schema */ "))
	name := o.Schema
	if o.Name != "" {
		name += "." + o.Name
	}
	text := verb[0] + " " + string(o.Kind) + " " + name
	if o.Kind == schema.KindTrigger && o.Table != "" {
		text += " on " + o.Table
	}
	return text
}

// ending is what watch did.
type ending struct {
	killed bool
	by     []Blocker
}

// watch ends the session's statement, with KILL QUERY, when ctx is over; or the limit, if it waits for
// others then; or the limit's fivefold, whatever it does: a server that is only slow is let finish what
// nobody waits behind. Again and again until done is closed, as a KILL may come a moment too early.
func (m *maker) watch(ctx context.Context, o schema.Object, statement string, done <-chan struct{}) (e ending) {
	if m.side == nil {
		return e
	}
	const slow, looks = 5, 5
	timer, late := time.NewTimer(m.limit), time.Now().Add(slow*m.limit)
	defer timer.Stop()
	select {
	case <-done:
		return e
	case <-ctx.Done():
	case <-timer.C:
	}
	look, cancel := context.WithTimeout(context.WithoutCancel(ctx), answerWithin)
	defer cancel()
	for {
		at, by, err := m.blockers(look, o)
		if err != nil {
			m.log.Warn().Err(err).Str("statement", what(o, statement)).Msg("can't look at what a statement waits for")
		}
		if len(by) > 0 && at == waiting {
			e.by = by
		}
		if at == waiting || at == working && (ctx.Err() != nil || time.Now().After(late)) {
			if _, err := m.side.ExecContext(look, fmt.Sprintf("KILL QUERY %d", m.id)); err == nil {
				e.killed = true
			}
		}
		timer.Reset(m.limit / looks)
		select {
		case <-done:
			return e
		case <-look.Done():
			return e
		case <-timer.C:
		}
	}
}

// doing is what the session does.
type doing uint8

const (
	other   doing = iota // no statement of ours: the helm says at times that it is there
	working              // ours is busy
	waiting              // ours waits for a lock
)

// blockers tells what the session does, and lists who has what it waits for.
func (m *maker) blockers(ctx context.Context, o schema.Object) (mine doing, by []Blocker, err error) {
	all, err := processes(ctx, m.side)
	if err != nil {
		return other, nil, err
	}
	for _, p := range all {
		switch {
		case p.Session != m.id || !strings.HasPrefix(p.Running, "/* changeover "):
		case strings.HasPrefix(p.state, "Waiting for"):
			mine = waiting
		default:
			mine = working
		}
	}
	if mine != waiting {
		return mine, nil, nil
	}
	holders, err := m.holders(ctx)
	if err != nil {
		m.log.Debug().Err(err).Msg("the server does not say who holds which metadata lock")
	}
	open, err := openTransactions(ctx, m.side)
	if err != nil {
		m.log.Debug().Err(err).Msg("the server does not say who has a transaction open")
	}
	table := o.Table
	if o.Kind == schema.KindTable || o.Kind == schema.KindView {
		table = o.Name
	}
	var likely []Blocker
	for _, p := range all {
		switch {
		case p.Session == m.id:
		case holders[p.Session]:
			by = append(by, p.Blocker)
		case p.Running != "" && table != "" && strings.Contains(p.Running, table) && !strings.HasPrefix(p.state, "Waiting for"),
			p.Running == "" && open[p.Session]:
			likely = append(likely, p.Blocker)
		}
	}
	if len(by) == 0 {
		by = likely
	}
	return waiting, by, nil
}

// holders are the sessions that hold the metadata lock for which ours waits. MariaDB tells nobody, nor
// does a MySQL without performance_schema.
func (m *maker) holders(ctx context.Context) (map[uint64]bool, error) {
	if m.flavor != server.MySQL {
		return nil, nil
	}
	rows, err := m.side.QueryContext(ctx, `SELECT DISTINCT other.PROCESSLIST_ID
		FROM performance_schema.threads AS me
		JOIN performance_schema.metadata_locks AS want ON want.OWNER_THREAD_ID = me.THREAD_ID AND want.LOCK_STATUS = 'PENDING'
		JOIN performance_schema.metadata_locks AS has ON has.LOCK_STATUS = 'GRANTED' AND has.OBJECT_TYPE = want.OBJECT_TYPE
			AND has.OBJECT_SCHEMA <=> want.OBJECT_SCHEMA AND has.OBJECT_NAME <=> want.OBJECT_NAME AND has.OWNER_THREAD_ID <> want.OWNER_THREAD_ID
		JOIN performance_schema.threads AS other ON other.THREAD_ID = has.OWNER_THREAD_ID
		WHERE me.PROCESSLIST_ID = ?`, m.id)
	return ids(rows, err)
}

// openTransactions are the sessions that have one.
func openTransactions(ctx context.Context, db *sql.DB) (map[uint64]bool, error) {
	rows, err := db.QueryContext(ctx, "SELECT trx_mysql_thread_id FROM information_schema.INNODB_TRX")
	return ids(rows, err)
}

func ids(rows *sql.Rows, err error) (map[uint64]bool, error) {
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	all := map[uint64]bool{}
	for rows.Next() {
		var id sql.NullInt64
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		all[uint64(id.Int64)] = true
	}
	return all, rows.Err()
}

type process struct {
	Blocker
	state string
}

// processes reads the server's process list with whole statements.
func processes(ctx context.Context, db *sql.DB) ([]process, error) {
	rows, err := db.QueryContext(ctx, "SHOW FULL PROCESSLIST")
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	names, err := rows.Columns()
	if err != nil {
		return nil, err
	}
	var all []process
	for rows.Next() {
		var p process
		var host, info, status sql.NullString
		var seconds sql.NullInt64
		into := make([]any, len(names)) // MariaDB has one column more
		for i, name := range names {
			switch strings.ToLower(name) {
			case "id":
				into[i] = &p.Session
			case "user":
				into[i] = &p.User
			case "host":
				into[i] = &host
			case "time":
				into[i] = &seconds
			case "state":
				into[i] = &status
			case "info":
				into[i] = &info
			default:
				into[i] = new(sql.RawBytes)
			}
		}
		if err := rows.Scan(into...); err != nil {
			return nil, err
		}
		p.Host, p.Running, p.state, p.For = host.String, info.String, status.String, time.Duration(seconds.Int64)*time.Second
		all = append(all, p)
	}
	return all, rows.Err()
}
