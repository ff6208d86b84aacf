package state

import (
	"context"
	"database/sql"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"changeover/internal/sandbox"
	"changeover/internal/sandbox/sandboxtest"
	"changeover/internal/server"
)

func TestMain(m *testing.M) { sandboxtest.Main(m) }

// pool opens the server as the account, as the product does.
func pool(t *testing.T, s *sandboxtest.Server, a sandbox.Account) *sql.DB {
	t.Helper()
	password, err := s.Password(a)
	if err != nil {
		t.Fatal(err)
	}
	return openAs(t, s, string(a), password)
}

func openAs(t *testing.T, s *sandboxtest.Server, user, password string) *sql.DB {
	t.Helper()
	with := Session()
	with.Vars = map[string]string{"sql_mode": "'" + server.ApplierMode + "'"}
	db, err := server.Open(server.Endpoint{Host: s.Host, Port: s.Port, User: user, Password: password}, with)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// target is the shared target with the state installed, and a migration name of the test's own.
func target(t *testing.T) (db *sql.DB, migration string) {
	t.Helper()
	db = pool(t, sandboxtest.Target(t), sandbox.Admin)
	if err := Install(t.Context(), db, Target); err != nil {
		t.Fatal(err)
	}
	return db, t.Name()[len(t.Name())-min(len(t.Name()), 64):]
}

func acquire(t *testing.T, db *sql.DB, migration, name string) (*Lease, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	return AcquireLease(ctx, db, LeaseRequest{Migration: migration, Holder: Holder{Name: name, Control: "127.0.0.1:7070"},
		Log: zerolog.New(zerolog.NewTestWriter(t))})
}

// held is a lease that must be had, given back after the test.
func held(t *testing.T, db *sql.DB, migration string) *Lease {
	t.Helper()
	l, err := acquire(t, db, migration, "one:1")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Release(context.WithoutCancel(t.Context())) })
	return l
}
