// Package sandboxtest gives tests real servers.
//
// In: a test. Out: a running source or target, shared by all tests of the package, or a fresh
// one that the test may break. The decision that matters: nothing is skipped. Where no server
// can be had the test fails and says what to install.
//
//	func TestMain(m *testing.M) { sandboxtest.Main(m) }
//
//	func TestSomething(t *testing.T) {
//		pair := sandboxtest.NewPair(t)
//		school := pair.Database(t)
//		src := pair.Source.DB(t, sandbox.Changeover)
//		…
//	}
package sandboxtest

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"changeover/internal/sandbox"
)

// Server is a server with helpers that end with the test.
type Server struct{ *sandbox.Server }

// Pair is a source and a target.
type Pair struct{ Source, Target *Server }

// Option changes the specification of a server.
type Option func(*sandbox.Spec)

// Options adds mysqld options: Options("--max-binlog-size=4096").
func Options(options ...string) Option {
	return func(s *sandbox.Spec) { s.Options = append(s.Options, options...) }
}

// MariaDB makes the server a MariaDB.
func MariaDB(s *sandbox.Spec) { s.Flavor = sandbox.MariaDB }

// Durable makes the server sync every commit, as one in production does; by default a test's
// server survives Kill, but not the machine's crash.
func Durable(s *sandbox.Spec) { s.Durability = sandbox.Durable }

// fleet is the servers of this test process. It is the package's one variable: `go test` gives
// the tests of a package no other place to share a server.
var fleet = &servers{shared: map[string]*shared{}}

type servers struct {
	mu     sync.Mutex
	run    *sandbox.RunDir
	shared map[string]*shared
	count  int
}

// shared is a server that is being started once, by whoever asks first.
type shared struct {
	once   sync.Once
	server *sandbox.Server
	err    error
}

// Main runs the tests, stops whatever else the package's tests share, then the shared servers, and
// exits; a server that a test left behind makes the run fail.
func Main(m *testing.M, stop ...func() error) {
	code := m.Run()
	var errs []error
	for _, f := range stop {
		errs = append(errs, f())
	}
	if err := errors.Join(append(errs, fleet.close())...); err != nil {
		fmt.Fprintln(os.Stderr, "sandboxtest:", err)
		code = max(code, 1)
	}
	os.Exit(code)
}

func (f *servers) close() error {
	f.mu.Lock()
	all := slices.Collect(maps.Values(f.shared))
	f.mu.Unlock()
	var errs []error
	for _, s := range all {
		s.once.Do(func() {}) // a start that is under way ends first
		if s.server != nil {
			errs = append(errs, s.server.Kill()) // nothing of it is kept
		}
	}
	if f.run != nil {
		errs = append(errs, f.run.Close())
	}
	return errors.Join(errs...)
}

// dir makes a folder for a server.
func (f *servers) dir(role sandbox.Role) (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.run == nil {
		run, err := sandbox.NewRunDir()
		if err != nil {
			return "", err
		}
		f.run = run
	}
	f.count++
	return filepath.Join(f.run.Path, fmt.Sprintf("%s%d", role, f.count)), nil
}

func (f *servers) start(spec sandbox.Spec) (*sandbox.Server, error) {
	dir, err := f.dir(spec.Role)
	if err != nil {
		return nil, err
	}
	spec.Lifetime = sandbox.WithProcess
	spec.Progress = progress(os.Stderr)
	return sandbox.Start(context.Background(), dir, spec)
}

// get returns the shared server of spec.
func (f *servers) get(spec sandbox.Spec) (*sandbox.Server, error) {
	f.mu.Lock()
	key := fmt.Sprintf("%+v", spec)
	s := f.shared[key]
	if s == nil {
		s = &shared{}
		f.shared[key] = s
	}
	f.mu.Unlock()
	s.once.Do(func() { s.server, s.err = f.start(spec) })
	return s.server, s.err
}

// progress reports a download once for each phase: a test's output isn't a terminal.
func progress(w *os.File) sandbox.Progress {
	var last string
	return func(s sandbox.Step) {
		if now := s.Doing + " " + s.What; now != last {
			last = now
			fmt.Fprintf(w, "sandbox: %s, %d packages, %.0f MB\n", now, s.PackagesTotal, float64(s.BytesTotal)/1e6)
		}
	}
}

// NewPair returns the shared source and the shared Aurora stand-in; opts change the source.
func NewPair(t testing.TB, opts ...Option) *Pair {
	t.Helper()
	// The target comes up while the source does; its error is Target's to report.
	go fleet.get(with(targetSpec(), nil))
	return &Pair{Source: MySQLSource(t, opts...), Target: Target(t)}
}

// MySQLSource returns the shared source with these options.
func MySQLSource(t testing.TB, opts ...Option) *Server {
	t.Helper()
	return Shared(t, sandbox.Spec{Role: sandbox.Source}, opts...)
}

// MariaDBSource returns the shared MariaDB source with these options.
func MariaDBSource(t testing.TB, opts ...Option) *Server {
	t.Helper()
	return Shared(t, sandbox.Spec{Role: sandbox.Source, Flavor: sandbox.MariaDB}, opts...)
}

// Target returns the shared Aurora stand-in with these options.
func Target(t testing.TB, opts ...Option) *Server {
	t.Helper()
	return Shared(t, targetSpec(), opts...)
}

func targetSpec() sandbox.Spec { return sandbox.Spec{Role: sandbox.Target, Aurora: true} }

// Shared returns the server of spec that all tests of the package share. A test leaves it as it
// found it: it makes databases of its own, and changes no global setting.
func Shared(t testing.TB, spec sandbox.Spec, opts ...Option) *Server {
	t.Helper()
	s, err := fleet.get(with(spec, opts))
	if err != nil {
		t.Fatalf("start a server: %v", err)
	}
	return &Server{s}
}

// Fresh returns a server of the test's own, which it may kill; it is gone after the test.
func Fresh(t testing.TB, spec sandbox.Spec, opts ...Option) *Server {
	t.Helper()
	s, err := fleet.start(with(spec, opts))
	if err != nil {
		t.Fatalf("start a server: %v", err)
	}
	t.Cleanup(func() {
		if err := errors.Join(s.Kill(), os.RemoveAll(s.Dir)); err != nil {
			t.Errorf("remove the server: %v", err)
		}
	})
	return &Server{s}
}

// with applies the options to a spec of a test: relaxed unless Durable is asked for.
func with(spec sandbox.Spec, opts []Option) sandbox.Spec {
	if spec.Role == "" {
		spec.Role = sandbox.Source
	}
	spec.Durability = sandbox.Relaxed
	for _, o := range opts {
		o(&spec)
	}
	return spec
}

// DB returns a pool of the account, closed after the test.
func (s *Server) DB(t testing.TB, a sandbox.Account) *sql.DB {
	t.Helper()
	return s.DBIn(t, a, "")
}

// DBIn returns a pool of the account whose default database is name, closed after the test.
func (s *Server) DBIn(t testing.TB, a sandbox.Account, name string) *sql.DB {
	t.Helper()
	db, err := s.Open(a, name)
	if err != nil {
		t.Fatalf("open %s as %s: %v", s.Role, a, err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// Exec runs the statements as root, in one session; a failure ends the test.
func (s *Server) Exec(t testing.TB, statements ...string) {
	t.Helper()
	if err := s.exec(statements...); err != nil {
		t.Fatalf("%s: %v", s.Role, err)
	}
}

func (s *Server) exec(statements ...string) error {
	db, err := s.Open(sandbox.Root, "")
	if err != nil {
		return err
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	for _, statement := range statements {
		if _, err := db.Exec(statement); err != nil {
			return fmt.Errorf("%s: %w", statement, err)
		}
	}
	return nil
}

// Database makes an empty database with a name of its own, dropped after the test.
func (s *Server) Database(t testing.TB) string {
	t.Helper()
	name := databaseName()
	s.Exec(t, "CREATE DATABASE "+name)
	t.Cleanup(func() { s.drop(t, name) })
	return name
}

// Database makes an empty database of one name on the source and the target, dropped after the
// test.
func (p *Pair) Database(t testing.TB) string {
	t.Helper()
	name := databaseName()
	for _, s := range []*Server{p.Source, p.Target} {
		s.Exec(t, "CREATE DATABASE "+name)
		t.Cleanup(func() { s.drop(t, name) })
	}
	return name
}

// drop drops the database; a server that the test has killed has none.
func (s *Server) drop(t testing.TB, name string) {
	if s.PID() == 0 {
		return
	}
	if err := s.exec("DROP DATABASE IF EXISTS " + name); err != nil {
		t.Errorf("%s: %v", s.Role, err)
	}
}

func databaseName() string { return "test_" + strings.ToLower(rand.Text()[:10]) }
