package cutover

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/google/uuid"

	"changeover/cutover/helm"
	"changeover/cutover/hook"
	"changeover/cutover/hook/hooktest"
	"changeover/internal/sandbox"
	"changeover/internal/sandbox/sandboxtest"
)

// addressOf is a server's host:port.
func addressOf(s *sandboxtest.Server) string { return net.JoinHostPort(s.Host, strconv.Itoa(s.Port)) }

// client is an application without a gate behind a proxy. It writes all the time, and tries again with another
// operation when it is refused or cut off; no other error may come to it.
type client struct {
	s       *school
	db      *sql.DB
	mu      sync.Mutex
	refused int
	reached map[int]int // acknowledged writes by the server's port
}

// clientOf makes the login that both servers know, as behind any proxy, and a pool of two connections.
func (s *school) clientOf(address string) *client {
	s.t.Helper()
	cfg := mysql.NewConfig()
	cfg.Net, cfg.Addr, cfg.User, cfg.Passwd, cfg.DBName = "tcp", address, "proxied", rand.Text(), s.name
	cfg.TLSConfig, cfg.InterpolateParams, cfg.ReadTimeout, cfg.Logger = "skip-verify", true, 20*time.Second, &mysql.NopLogger{}
	for _, on := range []*sandboxtest.Server{s.src, s.dst} {
		on.Exec(s.t, fmt.Sprintf("CREATE USER %s@'%%' IDENTIFIED BY '%s'", cfg.User, cfg.Passwd), fmt.Sprintf("GRANT SELECT, INSERT ON %s.* TO %s@'%%'", s.name, cfg.User))
	}
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		s.t.Fatal(err)
	}
	c := &client{s: s, db: sql.OpenDB(connector), reached: map[int]int{}}
	c.db.SetMaxOpenConns(2)
	c.db.SetMaxIdleConns(2)
	s.t.Cleanup(func() { _ = c.db.Close() })
	return c
}

// write writes once; the error is one that a proxy's client may not see.
func (c *client) write(ctx context.Context) error {
	conn, err := c.db.Conn(ctx)
	if err != nil {
		return fmt.Errorf("who connects is not let in: %w", err)
	}
	defer func() { _ = conn.Close() }()
	var port int
	if err := conn.QueryRowContext(ctx, "SELECT @@port").Scan(&port); err != nil {
		return c.judge(err)
	}
	op := uuid.NewString()
	_, err = conn.ExecContext(ctx, "INSERT INTO runs (op, student, lines_of_code, code) VALUES (?, 88, 3, 'proxied();')", op)
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	if err != nil {
		c.s.unknown[op] = true
		return c.judge(err)
	}
	c.s.told[op] = true
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reached[port]++
	return nil
}

func (c *client) judge(err error) error {
	var answer *mysql.MySQLError
	if errors.As(err, &answer) && answer.Number != 1290 {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.refused++
	return nil
}

// work writes until the returned function is called.
func (c *client) work() (leave func()) {
	ctx, stop := context.WithCancel(context.Background())
	var one sync.WaitGroup
	one.Go(func() {
		tick := time.NewTicker(2 * time.Millisecond)
		defer tick.Stop()
		for ctx.Err() == nil {
			if err := c.write(context.WithoutCancel(ctx)); err != nil {
				c.s.t.Errorf("a client behind the proxy: %v", err)
			}
			<-tick.C
		}
	})
	var once sync.Once
	leave = func() { once.Do(func() { stop(); one.Wait() }) }
	c.s.t.Cleanup(leave)
	return leave
}

func (c *client) counts(on *sandboxtest.Server) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.reached[on.Port]
}

// An application without a gate connects through HAProxy. As the role passes it is refused for a moment, and then reaches
// the new writer; and the old one again when the role has come back.
func TestAClientBehindHAProxyGoesWithTheWriter(t *testing.T) {
	s := newSchool(t, sandbox.MySQL)
	p := hooktest.StartHAProxy(t, addressOf(s.src), addressOf(s.dst))
	h, err := hook.New(hook.Config{Name: "proxy", Timeout: 10 * time.Second,
		HAProxy: &hook.HAProxy{Socket: p.Socket, Backend: "mysql", Source: "source", Target: "target", Map: p.Map}})
	if err != nil {
		t.Fatal(err)
	}
	proxied := s.clientOf(p.Address)
	c := s.open(func(o *Options) { o.Hooks = hook.Set{h} })
	c.ready()
	leave := s.students(s.application(c, "one"), 2, 5*time.Millisecond)
	away := proxied.work()
	writesTo := func(side helm.Side) {
		t.Helper()
		on, other := s.on(side), s.on(side.Other())
		there, elsewhere := proxied.counts(on), proxied.counts(other)
		s.within(10*time.Second, "the client behind the proxy writes", func() error {
			if n := proxied.counts(on); n < there+30 {
				return fmt.Errorf("%d writes on the %s", n-there, side)
			}
			return nil
		})
		if n := proxied.counts(other); n != elsewhere {
			t.Errorf("%d writes are acknowledged by the %s, which is not the writer", n-elsewhere, side.Other())
		}
	}
	writesTo(helm.Source)
	for _, kind := range []Kind{Rehearse, Cutover, Rollback, Cutover} {
		c.ready()
		_, writer := forward(c)
		want := Committed
		if kind == Rehearse {
			writer, want = helm.Source, Rehearsed
		}
		if r := c.make(kind, want); strings.Contains(strings.Join(r.Notes, "; "), "endpoint proxy can't hold") || strings.Contains(strings.Join(r.Notes, "; "), "did not go over") {
			t.Errorf("%s: %v", kind, r.Notes)
		}
		writesTo(writer)
		s.goesOn(c, writer)
	}
	// A coordinator that comes into office says it again, and changes nothing.
	c.close()
	next := s.open(func(o *Options) { o.Hooks = hook.Set{h} })
	next.ready()
	writesTo(helm.Target)
	away()
	leave()
	proxied.mu.Lock()
	t.Logf("the client's writes by port: %v, refused %d times", proxied.reached, proxied.refused)
	proxied.mu.Unlock()
	s.audit(s.dst)
	s.equal()
}

// endpointScript writes down what it is told. A file fail-STEP beside it has it say no, hang-STEP not end.
const endpointScript = `#!/bin/sh
cd "$1"
echo $CHANGEOVER_STEP $CHANGEOVER_KIND $CHANGEOVER_ATTEMPT $CHANGEOVER_EPOCH $CHANGEOVER_FROM $CHANGEOVER_FROM_ADDRESS $CHANGEOVER_TO $CHANGEOVER_TO_ADDRESS >>told
if [ -e fail-$CHANGEOVER_STEP ]; then
	echo no such zone >&2
	exit 7
fi
if [ -e hang-$CHANGEOVER_STEP ]; then
	sleep 1000 & echo $! >>pids
	(sleep 1000; true) & echo $! >>pids
	echo $$ >>pids
	wait
fi
`

// A script goes along: it is told each step of each attempt in its order, may stop it before the commit, and
// after it can't any more. One that does not end is ended, with its children.
func TestAScriptGoesAlongAndMayStopAnAttemptBeforeTheCommit(t *testing.T) {
	s := newSchool(t, sandbox.MySQL)
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	if err := os.WriteFile(path("hook.sh"), []byte(endpointScript), 0o700); err != nil {
		t.Fatal(err)
	}
	h, err := hook.New(hook.Config{Name: "dns", Exec: []string{path("hook.sh"), dir}, Holds: true, Timeout: 2 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	with := func(o *Options) { o.Hooks = hook.Set{h} }
	c := s.open(with)
	c.ready()
	leave := s.students(s.application(c, "one"), 3, 5*time.Millisecond)
	s.goesOn(c, helm.Source)
	// told takes what the script was told since the last time.
	told := func() []string {
		t.Helper()
		text, err := os.ReadFile(path("told"))
		if err = errors.Join(err, os.Remove(path("told"))); err != nil {
			t.Fatal(err)
		}
		return strings.Split(strings.TrimSpace(string(text)), "\n")
	}
	is := func(what string, want ...string) {
		t.Helper()
		if got := told(); !slices.Equal(got, want) {
			t.Errorf("%s: the script was told\n%s\nand not\n%s", what, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
	// line is what the script is told in a step.
	line := func(step string, kind any, attempt, epoch uint64, from helm.Side) string {
		return fmt.Sprintf("%s %v %d %d %s %s %s %s", step, kind, attempt, epoch, from, addressOf(s.on(from)), from.Other(), addressOf(s.on(from.Other())))
	}
	wrong := func(name string, r *Record, outcome Outcome, because string, said []string) {
		t.Helper()
		if r.Outcome != outcome || !strings.Contains(strings.Join(said, "; "), because) {
			t.Errorf("%s: %s, %v; it should be %s because of %q", name, r.Outcome, said, outcome, because)
		}
	}
	// while makes an attempt in which the script does so in a step.
	while := func(does string, kind Kind) *Record {
		t.Helper()
		if err := os.WriteFile(path(does), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		c.ready()
		r, err := c.Attempt(t.Context(), Request{Kind: kind, Wait: 20 * time.Second})
		if err = errors.Join(err, os.Remove(path(does))); err != nil {
			t.Fatal(err)
		}
		t.Logf("%s, %s: %s, hold %.1f ms, reasons %v, notes %v", does, kind, r.Outcome, r.HoldMS, r.Reasons, r.Notes)
		return r
	}
	is("a coordinator comes into office", line("release", "settle", 0, 1, helm.Target))

	r := c.make(Rehearse, Rehearsed)
	is("a rehearsal", "check", line("hold", Rehearse, r.Attempt, 1, helm.Source), line("release", Rehearse, r.Attempt, 1, helm.Source))

	r = while("fail-check", Cutover)
	wrong("it says no before", r, Refused, "CO-2041 hook dns: check: hook.sh: exit status 7: no such zone", r.Reasons)
	is("it says no before", "check")
	r = while("fail-hold", Cutover)
	wrong("it says no in the hold", r, Undone, "CO-2041 hook dns: hold: hook.sh: exit status 7: no such zone", r.Reasons)
	is("it says no in the hold", "check", line("hold", Cutover, r.Attempt, 1, helm.Source), line("release", Cutover, r.Attempt, 1, helm.Source))
	s.goesOn(c, helm.Source)
	r = while("hang-hold", Cutover)
	wrong("it does not end in the hold", r, Undone, "CO-2042", r.Reasons)
	if limit := millis(c.opts.Hold + 500*time.Millisecond); r.HoldMS > limit {
		t.Errorf("the hold was %.0f ms", r.HoldMS)
	}
	hooktest.Gone(t, path("pids"))
	is("it does not end in the hold", "check", line("hold", Cutover, r.Attempt, 1, helm.Source), line("release", Cutover, r.Attempt, 1, helm.Source))
	s.goesOn(c, helm.Source)

	c.ready()
	r = c.make(Cutover, Committed)
	is("a cutover", "check", line("hold", Cutover, r.Attempt, 1, helm.Source), line("flip", Cutover, r.Attempt, 2, helm.Source), line("release", Cutover, r.Attempt, 2, helm.Source))
	s.goesOn(c, helm.Target)
	r = while("fail-flip", Rollback)
	wrong("it says no after the commit", r, Committed, "CO-2041 hook dns: flip: hook.sh: exit status 7: no such zone", r.Notes)
	is("it says no after the commit", "check", line("hold", Rollback, r.Attempt, 2, helm.Target), line("flip", Rollback, r.Attempt, 3, helm.Target), line("release", Rollback, r.Attempt, 3, helm.Target))
	s.goesOn(c, helm.Source)
	r = while("hang-flip", Cutover)
	wrong("it does not end after the commit", r, Committed, "CO-2042", r.Notes)
	hooktest.Gone(t, path("pids"))
	is("it does not end after the commit", "check", line("hold", Cutover, r.Attempt, 3, helm.Source), line("flip", Cutover, r.Attempt, 4, helm.Source), line("release", Cutover, r.Attempt, 4, helm.Source))
	s.goesOn(c, helm.Target)

	// It is told again where the writer is by whoever comes into office.
	c.close()
	c = s.open(with)
	c.ready()
	is("another coordinator", line("flip", "settle", r.Attempt, 4, helm.Source), line("release", "settle", r.Attempt, 4, helm.Source))
	s.goesOn(c, helm.Target)
	leave()
	s.audit(s.dst)
	s.equal()
}
