package state

import (
	"context"
	"testing"
	"time"

	"changeover/internal/sandbox"
	"changeover/internal/sandbox/sandboxtest"
	"changeover/internal/server"
)

// The process list has everybody's statements in it, and some are no text: an emoji over a
// connection whose charset is binary is enough, and information_schema then answers with error
// 3854. A worker that connects meanwhile must not mind.
func TestATokenChangesWhileStatementsRunThatAreNoText(t *testing.T) {
	db, migration := target(t)
	l := held(t, db, migration)
	s := sandboxtest.Target(t)
	password, err := s.Password(sandbox.Admin)
	if err != nil {
		t.Fatal(err)
	}
	binary, err := server.Open(server.Endpoint{Host: s.Host, Port: s.Port, User: string(sandbox.Admin), Password: password}, server.Session{Binary: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = binary.Close() }()
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = binary.ExecContext(ctx, "DO SLEEP(20), '😀', '\xf0?\x00'")
	}()
	defer func() { stop(); <-done }()
	conn, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		var n int
		// performance_schema turns only what is asked for.
		err := conn.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM performance_schema.processlist WHERE STATE = 'User sleep'").Scan(&n)
		if err == nil && n > 0 {
			break
		}
		if err != nil || time.Now().After(end) {
			t.Fatal("the other statement does not run: ", err)
		}
	}
	for _, worker := range []int{7, 8} {
		if _, err := l.ChangeToken(t.Context(), conn, worker); err != nil {
			t.Error(err)
		}
	}
	if _, err := l.EndSession(t.Context(), conn, 7); err != nil {
		t.Error(err)
	}
}
