package source

import (
	"context"
	"database/sql"
	"errors"
	"io"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"changeover/internal/sandbox"
	"changeover/internal/sandbox/sandboxtest"
	"changeover/internal/server"
)

func TestMain(m *testing.M) { sandboxtest.Main(m) }

// harness is a Reader that runs against a server for the length of a test.
type harness struct {
	t      testing.TB
	source *sandboxtest.Server
	db     *sql.DB // root's
	flavor server.Flavor
	*Reader
	ended  chan error
	stop   func()
	passed Position // what Next handed out, as a consumer would count it
}

// read starts a Reader where the server is now; change may alter its configuration.
func read(t testing.TB, source *sandboxtest.Server, change func(*ReaderConfig)) *harness {
	t.Helper()
	h := &harness{t: t, source: source, db: source.DB(t, sandbox.Root), flavor: flavorOf(source)}
	start, err := Current(t.Context(), h.db, h.flavor)
	if err != nil {
		t.Fatal(err)
	}
	cfg := ReaderConfig{Endpoint: endpoint(t, source, sandbox.Changeover), Flavor: h.flavor, Start: start}
	if testing.Verbose() {
		cfg.Log = zerolog.New(zerolog.NewTestWriter(t))
	}
	if change != nil {
		change(&cfg)
	}
	h.run(cfg)
	return h
}

func endpoint(t testing.TB, s *sandboxtest.Server, a sandbox.Account) server.Endpoint {
	t.Helper()
	password, err := s.Password(a)
	if err != nil {
		t.Fatal(err)
	}
	return server.Endpoint{Host: s.Host, Port: s.Port, User: string(a), Password: password}
}

func (h *harness) run(cfg ReaderConfig) {
	h.t.Helper()
	leaks := goleak.IgnoreCurrent()
	h.Reader, h.passed, h.ended = NewReader(cfg), cfg.Start.Clone(), make(chan error, 1)
	ctx, cancel := context.WithCancel(context.Background())
	go func() { h.ended <- h.Run(ctx) }()
	stopped := false
	h.stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		<-h.ended
		if err := goleak.Find(leaks, // the test's own pools and servers aside
			goleak.IgnoreAnyFunction("database/sql.(*DB).connectionOpener"),
			goleak.IgnoreAnyFunction("github.com/go-sql-driver/mysql.(*mysqlConn).startWatcher.func1"),
			goleak.IgnoreAnyFunction("changeover/internal/sandbox.spawn.func1")); err != nil {
			h.t.Error(err)
		}
	}
	h.t.Cleanup(h.stop)
}

// next is the next transaction; a large one comes with all of its rows in Rows.
func (h *harness) next() *Tx {
	h.t.Helper()
	tx, err := h.tryNext()
	if err != nil {
		h.t.Fatalf("next transaction after %s: %v", h.passed, err)
	}
	return tx
}

func (h *harness) tryNext() (*Tx, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	for {
		tx, err := h.Next(ctx)
		if err != nil {
			return nil, err
		}
		if tx.Large {
			if tx.Rows, err = all(ctx, tx); errors.Is(err, ErrInterrupted) {
				continue
			}
			if err != nil {
				return nil, err
			}
		}
		if h.flavor == server.MySQL && h.passed.IsGTID() && h.passed.Contains(tx.ID) {
			h.t.Errorf("%s was handed out twice", tx.ID)
		}
		h.passed.Advance(tx)
		return tx, nil
	}
}

func all(ctx context.Context, tx *Tx) (rows []Rows, err error) {
	for {
		piece, err := tx.More(ctx)
		if err == io.EOF {
			return rows, nil
		}
		if err != nil {
			return nil, err
		}
		rows = append(rows, piece...)
	}
}

// catchUp reads all that the server has committed by now.
func (h *harness) catchUp() (txs []*Tx) {
	h.t.Helper()
	now, err := Current(h.t.Context(), h.db, h.flavor)
	if err != nil {
		h.t.Fatal(err)
	}
	for {
		if _, ok := h.passed.ContainsAll(now); ok {
			return txs
		}
		txs = append(txs, h.next())
	}
}

// fault reads until Run ends, and returns its error.
func (h *harness) fault() error {
	h.t.Helper()
	for {
		if _, err := h.tryNext(); err != nil {
			return err
		}
	}
}

func (h *harness) exec(statements ...string) {
	h.t.Helper()
	h.source.Exec(h.t, statements...)
}

// images are the rows of a transaction's changes of one kind.
func images(tx *Tx, kind RowsKind) (out [][]any) {
	for _, r := range tx.Rows {
		if r.Kind == kind {
			out = append(out, r.Images...)
		}
	}
	return out
}

func flavorOf(s *sandboxtest.Server) server.Flavor { return server.Flavor(s.Flavor) }

// cpuTime is what this process has used so far.
func cpuTime() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()).Round(time.Millisecond)
}

// openDB is root's pool as the product opens it.
func openDB(t testing.TB, s *sandboxtest.Server) *sql.DB {
	t.Helper()
	db, err := server.Open(endpoint(t, s, sandbox.Root), server.Session{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}
