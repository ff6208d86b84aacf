// Package platformtest gives tests a platform: a database at a step of its schema, with a small
// curriculum, on a real server; the store over it; and application servers.
package platformtest

import (
	"context"
	"database/sql"
	"fmt"
	"net/http/httptest"
	"testing"

	"github.com/google/uuid"
	"github.com/rs/zerolog"

	"changeover/internal/sandbox"
	"changeover/internal/sandbox/sandboxtest"
	"changeover/migrations"
	"changeover/platform/assets"
	"changeover/platform/store"
	"changeover/platform/web"
)

// AdminToken opens the admin's figures of every server of a test.
const AdminToken = "the admin's token of the tests"

// Platform is a database with the platform's schema.
type Platform struct {
	At    store.Server
	DB    *sql.DB // as the application's account
	Store *store.Store
	Log   zerolog.Logger
}

// New makes one on the server: at its newest step, or at step to.
func New(t testing.TB, on *sandboxtest.Server, to ...uint) *Platform {
	t.Helper()
	name := on.Database(t)
	password, err := on.Password(sandbox.App)
	if err != nil {
		t.Fatal(err)
	}
	at := store.Server{Host: on.Host, Port: on.Port, User: string(sandbox.App), Password: password, Database: name}
	p := &Platform{At: at, Log: zerolog.New(zerolog.NewTestWriter(t))}
	step := uint(0)
	if len(to) > 0 {
		step = to[0]
	}
	p.migrate(t, step)
	p.DB = p.pool(t, at)
	p.curriculum(t)
	p.Store = p.NewStore(t)
	return p
}

func (p *Platform) pool(t testing.TB, at store.Server) *sql.DB {
	t.Helper()
	db, err := store.Open(at)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func (p *Platform) migrate(t testing.TB, to uint) {
	t.Helper()
	at := p.At
	at.MultiStatements = true
	m := migrations.New(p.pool(t, at), zerolog.Nop())
	m.Notice = 0 // no server is running yet
	if err := m.Up(context.Background(), to); err != nil {
		t.Fatalf("migrate: %v", err)
	}
}

// NewStore is another store over the same database, with a pool of its own: another server's.
func (p *Platform) NewStore(t testing.TB) *store.Store {
	t.Helper()
	return store.New(store.Single(p.pool(t, p.At), p.At.Addr()), p.Log)
}

// curriculum is two courses of three levels.
func (p *Platform) curriculum(t testing.TB) {
	t.Helper()
	p.Exec(t, "INSERT INTO scripts (id, name, title, kind, `group`, position) VALUES (1, 'maze', 'A maze', 'hoc', 'hoc', 1), (2, 'course', 'A course', 'course', 'courses', 1)")
	for script := 1; script <= 2; script++ {
		for n := 1; n <= 3; n++ {
			p.Exec(t, "INSERT INTO levels (id, script_id, position, title, instructions, definition) VALUES (?, ?, ?, ?, 'Find the way.', ?)",
				script*10+n, script, n, fmt.Sprintf("Level %d", n), `{"type":"maze","grid":["#####","#S.G#","#####"],"dir":"E","blocks":["move"],"ideal":2,"start":null}`)
		}
	}
}

// Exec runs a statement as the application.
func (p *Platform) Exec(t testing.TB, query string, args ...any) {
	t.Helper()
	if _, err := p.DB.Exec(query, args...); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
}

// Int reads a number.
func (p *Platform) Int(t testing.TB, query string, args ...any) (n int) {
	t.Helper()
	if err := p.DB.QueryRow(query, args...).Scan(&n); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return n
}

// Serve starts an application server of its own; it ends with the test.
func (p *Platform) Serve(t testing.TB) (*web.Server, string) {
	t.Helper()
	return p.serve(t, p.NewStore(t))
}

func (p *Platform) serve(t testing.TB, st *store.Store) (*web.Server, string) {
	t.Helper()
	bucket, err := assets.OpenBucket(context.Background(), "file://"+t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = bucket.Close() })
	handler, err := web.New(web.Config{Store: st, Assets: bucket, AdminToken: AdminToken, Log: p.Log})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return handler, server.URL
}

// Op is a new operation that asks for what.
func Op(what string) store.Op {
	return store.NewOp(uuid.Must(uuid.NewV7()), []byte(what))
}
