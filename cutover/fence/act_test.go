package fence

import (
	"context"
	"database/sql"
	"testing"

	"github.com/rs/zerolog"

	"changeover/internal/sandbox"
	"changeover/internal/sandbox/sandboxtest"
)

// late is the helm's session on a server on which a KILL QUERY counts only for what comes next: it was sent for a
// statement that had just ended. No server can be made to do so at will; that it meets the next statement, as often as
// it was sent, and what then comes back, is real.
type late struct {
	Session
	t     *testing.T
	kill  func() error
	kills int
}

// killedSleep fails when it is ended. A bare SELECT SLEEP does not: it returns 1, as one that came through, and a second
// KILL for it would be left to the next statement.
const killedSleep = "SELECT 1 FROM (SELECT 1) AS one WHERE SLEEP(20)"

// ended is a statement that a KILL has ended; it is sent again and again, since the statement may not have begun.
func (l *late) ended(run func()) {
	done := make(chan struct{})
	go func() { // ends with the statement
		defer close(done)
		run()
	}()
	for {
		if err := l.kill(); err != nil {
			l.t.Error(err)
		}
		select {
		case <-done:
			return
		default:
		}
	}
}

func (l *late) QueryRowContext(ctx context.Context, query string, args ...any) (row *sql.Row) {
	if l.kills == 0 {
		return l.Session.QueryRowContext(ctx, query, args...)
	}
	l.kills--
	l.ended(func() { row = l.Session.QueryRowContext(ctx, killedSleep) })
	return row
}

// A statement of the fence comes through just before it is to be ended. The KILL is on its way all the same, and must not
// end what the helm does next: that may be the register's commit.
func TestAKillThatComesTooLateEndsNothingElse(t *testing.T) {
	db := sandboxtest.MySQLSource(t).DB(t, sandbox.Changeover)
	for kills := range 3 {
		ctx := t.Context()
		conn, err := db.Conn(ctx)
		if err != nil {
			t.Fatal(err)
		}
		h, err := grip(ctx, Server{Helm: conn, Side: db, Log: zerolog.Nop()})
		if err != nil {
			t.Fatal(err)
		}
		helm := &late{Session: conn, t: t, kill: func() error { return h.killQuery(ctx) }, kills: kills}
		h.Helm = helm
		answer := make(chan error, 1)
		answer <- nil
		if err := h.interrupt(ctx, answer, func() { t.Error("the helm was given up") }); err != nil {
			t.Errorf("%d kills: a statement that came through is %v", kills, err)
		}
		var next int
		if err := h.Helm.QueryRowContext(ctx, "SELECT 1").Scan(&next); err != nil {
			t.Errorf("%d kills: the helm's next statement: %v", kills, err)
		}
		if helm.kills != 0 {
			t.Errorf("%d of %d kills were not met", helm.kills, kills)
		}
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
	}
}
