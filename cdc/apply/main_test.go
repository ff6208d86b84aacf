package apply

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"changeover/cdc/row"
	"changeover/cdc/schedule"
	"changeover/cdc/state"
	"changeover/internal/sandbox"
	"changeover/internal/sandbox/sandboxtest"
	"changeover/internal/server"
)

func TestMain(m *testing.M) { sandboxtest.Main(m) }

// bench is a target with a database of the test's own and a lease on it.
type bench struct {
	testing.TB
	server   *sandboxtest.Server
	endpoint server.Endpoint
	db       *sql.DB // the account's, straight to the server
	schema   string
	lease    *state.Lease
	seq      atomic.Uint64
}

func newBench(t testing.TB, s *sandboxtest.Server) *bench {
	t.Helper()
	password, err := s.Password(sandbox.Admin)
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{TB: t, server: s, schema: s.Database(t),
		endpoint: server.Endpoint{Host: s.Host, Port: s.Port, User: "admin", Password: password}}
	b.db = b.pool(b.endpoint, Session(16))
	if err := state.Install(t.Context(), b.db, state.Target); err != nil {
		t.Fatal(err)
	}
	b.lease = b.acquire()
	return b
}

func onTarget(t testing.TB) *bench { return newBench(t, sandboxtest.Target(t)) }

func (b *bench) pool(e server.Endpoint, s server.Session) *sql.DB {
	b.Helper()
	db, err := server.Open(e, s)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = db.Close() })
	return db
}

// acquire takes the lease, from another if need be.
func (b *bench) acquire() *state.Lease {
	b.Helper()
	b.exec("UPDATE _changeover.heartbeat SET beat = beat - INTERVAL 1 MINUTE WHERE migration = _utf8mb4'" + b.schema + "'")
	l, err := state.AcquireLease(b.Context(), b.db, state.LeaseRequest{Migration: b.schema, Holder: state.Holder{Name: "test"}, Log: b.log()})
	if err != nil {
		b.Fatal(err)
	}
	if _, ok, err := l.Store().Position(b.Context()); err != nil {
		b.Fatal(err)
	} else if !ok {
		if err := l.Store().StartStream(b.Context(), state.Position{Text: "start"}); err != nil {
			b.Fatal(err)
		}
	}
	return l
}

func (b *bench) log() zerolog.Logger {
	if _, ok := b.TB.(*testing.B); ok {
		return zerolog.Nop()
	}
	return zerolog.New(zerolog.NewTestWriter(b))
}

// writer is a Writer straight to the server.
func (b *bench) writer() *Writer { return b.writerVia(b.db, nil) }

func (b *bench) writerVia(db *sql.DB, wait func(error)) *Writer {
	w := NewWriter(WriterConfig{DB: db, Lease: b.lease, Worker: int(b.seq.Add(1)), Log: b.log(), Wait: wait})
	b.Cleanup(func() { _ = w.Close() })
	return w
}

// table makes a table of this definition and loads it.
func (b *bench) table(name, columns string) *row.Table {
	b.Helper()
	b.exec("CREATE TABLE " + server.Name(b.schema, name) + " (" + columns + ")")
	t, err := row.Load(b.Context(), b.db, b.schema, name)
	if err != nil {
		b.Fatal(err)
	}
	return t
}

func (b *bench) exec(statements ...string) {
	b.Helper()
	for _, q := range statements {
		if _, err := b.db.ExecContext(b.Context(), q); err != nil {
			b.Fatalf("%s: %v", q, err)
		}
	}
}

// tx is a transaction of the source with the next number.
func (b *bench) tx(changes ...row.Change) *schedule.Tx {
	seq := b.seq.Add(1)
	return &schedule.Tx{Seq: seq, ID: fmt.Sprintf("3e11fa47-71ca-11e1-9e33-c80aa9429562:%d", seq), Changes: changes}
}

// vals makes a row of strings; "NULL" is NULL.
func vals(values ...string) row.Row {
	r := make(row.Row, len(values))
	for i, v := range values {
		if v != "NULL" {
			r[i] = row.Value(v)
		}
	}
	return r
}

// rows reads a table as one line for each row, in order.
func (b *bench) rows(t *row.Table) []string {
	b.Helper()
	var names []string
	for _, c := range t.Columns {
		names = append(names, server.Name(c.Name))
	}
	rows, err := b.db.QueryContext(b.Context(), "SELECT "+strings.Join(names, ",")+" FROM "+server.Name(t.Schema, t.Name))
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	var all []string
	for rows.Next() {
		values := make([]any, len(names))
		text := make([]sql.NullString, len(names))
		for i := range text {
			values[i] = &text[i]
		}
		if err := rows.Scan(values...); err != nil {
			b.Fatal(err)
		}
		line := make([]string, len(names))
		for i, v := range text {
			line[i] = "NULL"
			if v.Valid {
				line[i] = v.String
			}
		}
		all = append(all, strings.Join(line, "|"))
	}
	if err := rows.Err(); err != nil {
		b.Fatal(err)
	}
	slices.Sort(all)
	return all
}

func (b *bench) want(t *row.Table, lines ...string) {
	b.Helper()
	slices.Sort(lines)
	if got := b.rows(t); !slices.Equal(got, lines) {
		b.Errorf("%s has %v, want %v", t.Name, got, lines)
	}
}

func (b *bench) apply(w *Writer, txs ...*schedule.Tx) Result {
	b.Helper()
	r, err := w.Apply(b.Context(), txs)
	if err != nil {
		b.Fatal(err)
	}
	return r
}

// session is a connection of somebody else.
func (b *bench) session() *sql.Conn {
	b.Helper()
	conn, err := b.db.Conn(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_, _ = conn.ExecContext(context.WithoutCancel(b.Context()), "ROLLBACK")
		_ = conn.Close()
	})
	return conn
}

func (b *bench) on(conn *sql.Conn, q string) {
	b.Helper()
	if _, err := conn.ExecContext(b.Context(), q); err != nil {
		b.Fatalf("%s: %v", q, err)
	}
}

// waitFor waits until count, a SELECT of one number, gives at least n.
func (b *bench) waitFor(what, count string, n int) {
	b.Helper()
	root := b.server.DB(b, sandbox.Root)
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		var got int
		if err := root.QueryRowContext(b.Context(), count).Scan(&got); err != nil {
			b.Fatal(err)
		}
		if got >= n {
			return
		}
		if time.Now().After(end) {
			b.Fatalf("%s did not happen", what)
		}
	}
}

// lockWaiters counts the transactions that wait for a row lock in this test's tables.
func (b *bench) lockWaiters(schema string) string {
	return "SELECT COUNT(*) FROM performance_schema.data_locks WHERE LOCK_STATUS = 'WAITING' AND OBJECT_SCHEMA = '" + schema + "'"
}
