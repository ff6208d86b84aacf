package hook

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"changeover/cutover/hook/hooktest"
	"changeover/internal/fault"
	"changeover/internal/sandbox"
	"changeover/internal/sandbox/sandboxtest"
)

func TestMain(m *testing.M) { sandboxtest.Main(m) }

// proxy is Debian's HAProxy with the configuration that docs/hooks.md shows, before two real servers.
type proxy struct {
	hooktest.HAProxy
	source, target *sandboxtest.Server
	account        string // user:password, on both
}

// newProxy starts it; change may alter the text of the configuration.
func newProxy(t *testing.T, change ...string) *proxy {
	t.Helper()
	p := &proxy{source: sandboxtest.MySQLSource(t), target: sandboxtest.Target(t)}
	p.newAccount(t)
	at := func(s *sandboxtest.Server) string { return fmt.Sprintf("%s:%d", s.Host, s.Port) }
	p.HAProxy = hooktest.StartHAProxy(t, at(p.source), at(p.target), change...)
	return p
}

// newAccount makes one that both servers know.
func (p *proxy) newAccount(t *testing.T) {
	t.Helper()
	user, password := "hook_"+strings.ToLower(rand.Text()[:10]), rand.Text()
	p.account = user + ":" + password
	for _, s := range []*sandboxtest.Server{p.source, p.target} {
		s.Exec(t, fmt.Sprintf("CREATE USER '%s'@'%%' IDENTIFIED BY '%s'", user, password))
		t.Cleanup(func() { s.Exec(t, "DROP USER "+user) })
	}
}

func (p *proxy) hook(t *testing.T) *balancer {
	t.Helper()
	h, err := New(Config{Name: "proxy", Timeout: 10 * time.Second,
		HAProxy: &HAProxy{Socket: p.Socket, Backend: "mysql", Source: "source", Target: "target", Map: p.Map}})
	if err != nil {
		t.Fatal(err)
	}
	return h.(*balancer)
}

// application is a pool of connections through the proxy.
func (p *proxy) application(t *testing.T, connections int) *sql.DB {
	t.Helper()
	db, err := sql.Open("mysql", p.account+"@tcp("+p.Address+")/?tls=skip-verify&timeout=20s&readTimeout=20s")
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// where asks which server a statement reaches.
func where(ctx context.Context, db interface {
	QueryRowContext(context.Context, string, ...any) *sql.Row
}) (port int, err error) {
	return port, db.QueryRowContext(ctx, "SELECT @@port").Scan(&port)
}

func reaches(t *testing.T, db *sql.DB, want *sandboxtest.Server) {
	t.Helper()
	if port, err := where(t.Context(), db); err != nil || port != want.Port {
		t.Errorf("the application reaches %d (%v), want %d", port, err, want.Port)
	}
}

// waits asserts that somebody who connects is neither refused nor greeted.
func (p *proxy) waits(t *testing.T) {
	t.Helper()
	conn, err := net.DialTimeout("tcp", p.Address, time.Second)
	if err != nil {
		t.Fatalf("who connects in a hold is refused: %v", err)
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetReadDeadline(time.Now().Add(150 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	n, err := conn.Read(make([]byte, 100))
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("who connects in a hold gets %d bytes, %v", n, err)
	}
}

func event(from, to string) Event {
	return Event{Migration: "school", Attempt: 7, Epoch: 3, Kind: "cutover", From: from, To: to}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// longDelay: with it only a release ends a hold in time.
var longDelay = []string{"inspect-delay 1s", "inspect-delay 10s"}

func TestHAProxyHoldsNewConnectionsAndFlipsThem(t *testing.T) {
	p := newProxy(t, longDelay...)
	h := p.hook(t)
	must(t, h.Check(t.Context()))
	if !h.Holds() {
		t.Error("with a map HAProxy holds, and the hook says it doesn't")
	}
	pool := p.application(t, 4)
	pinned, err := pool.Conn(t.Context())
	must(t, err)
	defer func() { _ = pinned.Close() }()
	reaches(t, pool, p.source)

	must(t, h.Hold(t.Context(), event("source", "target")))
	p.waits(t)
	if port, err := where(t.Context(), pinned); err != nil || port != p.source.Port {
		t.Errorf("a connection that is open reaches %d in the hold: %v", port, err)
	}
	const several = 4
	arrived := make(chan int, several)
	for range several {
		fresh := p.application(t, 1)
		go func() {
			port, err := where(t.Context(), fresh)
			if err != nil {
				t.Error(err)
			}
			arrived <- port
		}()
	}

	must(t, h.Flip(t.Context(), event("source", "target")))
	if _, err := where(t.Context(), pinned); err == nil {
		t.Error("a connection to the old writer lives on behind the flip")
	}
	p.waits(t)
	select {
	case port := <-arrived:
		t.Fatalf("who connected in the hold was let in to %d before the release", port)
	default:
	}

	must(t, h.Release(t.Context(), event("source", "target")))
	released := time.Now()
	for i := range several {
		if port := <-arrived; port != p.target.Port {
			t.Errorf("who waited was let in to %d, want the target's %d", port, p.target.Port)
		}
		// The first: HAProxy may forget one on a busy machine, which the inspect-delay ends (docs/hooks.md).
		if took := time.Since(released); i == 0 && took > 5*time.Second {
			t.Errorf("the release took %v to let somebody in", took)
		}
	}
	reaches(t, pool, p.target)
}

func TestHAProxyGoesBackAndCanBeAskedTwice(t *testing.T) {
	p := newProxy(t)
	h := p.hook(t)
	pool := p.application(t, 2)
	for _, way := range []struct {
		e    Event
		want *sandboxtest.Server
	}{{event("source", "target"), p.target}, {event("target", "source"), p.source}, {event("source", "target"), p.target}} {
		for _, step := range []func(context.Context, Event) error{h.Hold, h.Flip, h.Release} {
			for range 2 {
				must(t, step(t.Context(), way.e))
			}
		}
		reaches(t, pool, way.want)
		must(t, h.Check(t.Context()))
	}
}

func TestHAProxyIsReleasedWhenAHoldIsUndone(t *testing.T) {
	p := newProxy(t, longDelay...)
	h := p.hook(t)
	must(t, h.Hold(t.Context(), event("source", "target")))
	p.waits(t)
	if err := h.Check(t.Context()); !fault.Is(err, fault.HookConfig) || !strings.Contains(err.Error(), "holds already") {
		t.Errorf("%v", err)
	}
	must(t, h.Release(t.Context(), event("source", "target")))
	must(t, h.Check(t.Context()))
	reaches(t, p.application(t, 1), p.source)
}

func TestHAProxyIsReleasedByAnotherCoordinator(t *testing.T) {
	p := newProxy(t)
	must(t, p.hook(t).Hold(t.Context(), event("source", "target")))
	next := p.hook(t)
	must(t, next.Flip(t.Context(), event("source", "target")))
	must(t, next.Release(t.Context(), event("source", "target")))
	reaches(t, p.application(t, 1), p.target)
}

// A coordinator that dies in a hold leaves nobody waiting for ever.
func TestAHoldThatNobodyEndsLapses(t *testing.T) {
	for name, change := range map[string][]string{
		"with Lua": {"inspect-delay 1s", "inspect-delay 300ms"},
		"without":  {"inspect-delay 1s", "inspect-delay 300ms", "    tcp-request content lua.changeover_hold\n", hooktest.Block(t, "# without Lua")},
	} {
		t.Run(name, func(t *testing.T) {
			p := newProxy(t, change...)
			must(t, p.hook(t).Hold(t.Context(), event("source", "target")))
			p.waits(t)
			reaches(t, p.application(t, 1), p.source)
		})
	}
}

func TestHAProxyHoldsWithoutLua(t *testing.T) {
	p := newProxy(t, "inspect-delay 1s", "inspect-delay 400ms", "    tcp-request content lua.changeover_hold\n", hooktest.Block(t, "# without Lua"))
	h := p.hook(t)
	reaches(t, p.application(t, 1), p.source)
	must(t, h.Hold(t.Context(), event("source", "target")))
	p.waits(t)
	must(t, h.Flip(t.Context(), event("source", "target")))
	must(t, h.Release(t.Context(), event("source", "target")))
	reaches(t, p.application(t, 1), p.target)
}

func TestHAProxyWithHealthChecksFlipsToo(t *testing.T) {
	p := newProxy(t, "    server source", "    default-server check inter 50ms\n    server source")
	h := p.hook(t)
	must(t, h.Check(t.Context()))
	pool := p.application(t, 1)
	reaches(t, pool, p.source)
	must(t, h.Flip(t.Context(), event("source", "target")))
	reaches(t, pool, p.target)
}

func TestHAProxyWithoutAMapFailsFast(t *testing.T) {
	p := newProxy(t)
	h := p.hook(t)
	h.Map = ""
	must(t, h.Check(t.Context()))
	if h.Holds() {
		t.Error("without a map nothing holds, and the hook says it does")
	}
	must(t, h.Hold(t.Context(), event("source", "target")))
	reaches(t, p.application(t, 1), p.source) // where its writes are refused: by the fence
	must(t, h.Flip(t.Context(), event("source", "target")))
	must(t, h.Release(t.Context(), event("source", "target")))
	reaches(t, p.application(t, 1), p.target)
}

func TestAHAProxyThatCantDoItIsSaidBefore(t *testing.T) {
	with := func(change func(*HAProxy)) func(*proxy) HAProxy {
		return func(p *proxy) HAProxy {
			h := HAProxy{Socket: p.Socket, Backend: "mysql", Source: "source", Target: "target"}
			change(&h)
			return h
		}
	}
	for name, c := range map[string]struct {
		config []string
		hook   func(*proxy) HAProxy
		code   fault.Code
		says   string
	}{
		"nobody listens at the socket": {nil, with(func(h *HAProxy) { h.Socket += "x" }), fault.HookHAProxy, "no such file"},
		"the level is too low":         {[]string{"level admin", "level operator"}, with(func(*HAProxy) {}), fault.HookConfig, "need admin"},
		"a server is not there":        {nil, with(func(h *HAProxy) { h.Target = "other" }), fault.HookConfig, "no backend mysql with servers source and other"},
		"a map is not there":           {nil, with(func(h *HAProxy) { h.Map = "/other.map" }), fault.HookConfig, "no key hold"},
		"both servers are in use":      {[]string{" disabled", ""}, with(func(*HAProxy) {}), fault.HookConfig, "exactly one"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newProxy(t, c.config...)
			of := c.hook(p)
			h, err := New(Config{Name: "p", HAProxy: &of})
			must(t, err)
			if err := h.Check(t.Context()); !fault.Is(err, c.code) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestAFlipThatHAProxyDoesNotDoFails(t *testing.T) {
	p := newProxy(t)
	h := p.hook(t)
	if err := h.Flip(t.Context(), event("source", "source")); err == nil || !strings.Contains(err.Error(), "the sides are") {
		t.Errorf("%v", err)
	}
	h.Backend = "other"
	if err := h.Flip(t.Context(), event("source", "target")); !fault.Is(err, fault.HookHAProxy) || !strings.Contains(err.Error(), "such backend") && !strings.Contains(err.Error(), "No such") {
		t.Errorf("%v", err)
	}
}

func TestARuntimeAPIThatDoesNotAnswerEndsWithItsTime(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0") // accepts in the kernel, and says nothing
	must(t, err)
	defer func() { _ = l.Close() }()
	h, err := New(Config{Name: "p", Timeout: 50 * time.Millisecond, HAProxy: &HAProxy{Socket: l.Addr().String(), Backend: "b", Source: "s", Target: "t", Map: "m"}})
	must(t, err)
	began := time.Now()
	if err := h.Hold(t.Context(), event("source", "target")); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
}

func TestStatisticsThatAreNotUnderstoodAreAnError(t *testing.T) {
	for _, text := range []string{"", "Unknown command\n", "# pxname,svname\na,b\n", "# \"x"} {
		if s, err := readStats(text); err == nil {
			t.Errorf("%q is %+v", text, s)
		}
	}
}

// HAProxy itself must accept what the document shows without a word.
func TestTheConfigurationInTheDocumentIsAccepted(t *testing.T) {
	p := newProxy(t)
	tool, err := sandbox.FindTool(t.Context(), "haproxy", nil)
	must(t, err)
	out, err := tool.Command(t.Context(), "-c", "-f", p.Config).CombinedOutput()
	if err != nil || strings.Contains(string(out), "[WARNING]") {
		t.Errorf("%v\n%s", err, out)
	}
}
