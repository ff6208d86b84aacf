package balance_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"changeover/internal/sandbox"
	"changeover/platform/balance"
)

func haproxy(t *testing.T) sandbox.Tool {
	t.Helper()
	tool, err := sandbox.FindTool(t.Context(), "haproxy", nil)
	if err != nil {
		t.Fatal(err)
	}
	return tool
}

// origin is a server behind the balancer.
type origin struct {
	balance.Server
	http  *http.Server
	ready atomic.Bool
	got   atomic.Int64
	hold  chan struct{} // requests to /held wait until it is closed
	held  chan struct{} // one for each request that waits
}

func newOrigin(t *testing.T, name string) *origin {
	t.Helper()
	o := &origin{hold: make(chan struct{}), held: make(chan struct{}, 100)}
	o.ready.Store(true)
	mux := http.NewServeMux()
	mux.HandleFunc("/readyz", func(w http.ResponseWriter, _ *http.Request) {
		if !o.ready.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	mux.HandleFunc("/held", func(w http.ResponseWriter, _ *http.Request) {
		o.held <- struct{}{}
		<-o.hold
		_, _ = io.WriteString(w, name)
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		o.got.Add(1)
		if r.URL.Path == "/broken-on-a" && name == "a" {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		_, _ = io.WriteString(w, name)
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	o.Server = balance.Server{Name: name, Address: l.Addr().String()}
	o.http = &http.Server{Handler: mux}
	ended := make(chan struct{})
	go func() { defer close(ended); _ = o.http.Serve(l) }()
	t.Cleanup(func() { _ = o.http.Close(); <-ended })
	return o
}

func start(t *testing.T, origins ...*origin) *balance.Balancer {
	t.Helper()
	spec := balance.Spec{Tool: haproxy(t), CheckEvery: 20 * time.Millisecond, Threads: 1}
	for _, o := range origins {
		spec.Servers = append(spec.Servers, o.Server)
	}
	b, err := balance.Start(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := b.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
	return b
}

// browser has connections of its own.
func browser(t *testing.T) *http.Client {
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: 20 * time.Second}
}

func send(c *http.Client, method, url string) (string, error) {
	req, err := http.NewRequest(method, url, nil)
	if err != nil {
		return "", err
	}
	answer, err := c.Do(req)
	if err != nil {
		return "", err
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s %s", answer.Status, text)
	}
	return string(text), err
}

// await asks until yes or a deadline.
func await(t *testing.T, what string, yes func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(20 * time.Second); !yes(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("not within 20 s: %s", what)
		}
	}
}

func isUp(t *testing.T, b *balance.Balancer, name string) bool {
	t.Helper()
	all, err := b.Servers()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range all {
		if s.Name == name {
			return s.Up()
		}
	}
	return false
}

func TestRequestsAreSpread(t *testing.T) {
	a, z := newOrigin(t, "a"), newOrigin(t, "z")
	b := start(t, a, z)
	for range 20 {
		if _, err := send(browser(t), "POST", b.URL()+"/"); err != nil {
			t.Fatal(err)
		}
	}
	if a.got.Load() < 5 || z.got.Load() < 5 {
		t.Errorf("a has %d of 20 requests, z %d", a.got.Load(), z.got.Load())
	}
}

func TestAServersFiguresAreNotForEverybody(t *testing.T) {
	a := newOrigin(t, "a")
	b := start(t, a)
	res, err := browser(t).Get(b.URL() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusNotFound || a.got.Load() > 0 {
		t.Errorf("/metrics is answered with %d, %d requests came through", res.StatusCode, a.got.Load())
	}
}

// traffic sends requests of both kinds until it is stopped, and tells of every one that failed.
func traffic(t *testing.T, url string) (stop func()) {
	var wg sync.WaitGroup
	ending := make(chan struct{})
	for i := range 6 {
		c := browser(t)
		method := []string{"GET", "POST"}[i%2]
		wg.Go(func() {
			for {
				select {
				case <-ending:
					return
				default:
				}
				if _, err := send(c, method, url); err != nil {
					t.Errorf("%s: %v", method, err)
					return
				}
			}
		})
	}
	return func() { close(ending); wg.Wait() }
}

func TestAServerThatFailsItsReadinessGetsNothingNewAndNoRequestFails(t *testing.T) {
	a, z := newOrigin(t, "a"), newOrigin(t, "z")
	b := start(t, a, z)
	stop := traffic(t, b.URL()+"/")
	await(t, "both have requests", func() bool { return a.got.Load() > 50 && z.got.Load() > 50 })
	a.ready.Store(false)
	await(t, "a is down", func() bool { return !isUp(t, b, "a") })
	if err := a.http.Shutdown(t.Context()); err != nil { // answers what it has
		t.Error(err)
	}
	had := a.got.Load()
	later := z.got.Load() + 200
	await(t, "z goes on", func() bool { return z.got.Load() > later })
	stop()
	if n := a.got.Load(); n != had {
		t.Errorf("%d requests came to a server that is down", n-had)
	}
}

func TestADrainWaitsForWhatIsUnderWay(t *testing.T) {
	a, z := newOrigin(t, "a"), newOrigin(t, "z")
	b := start(t, a, z)
	answers := make(chan string, 2)
	for range 2 {
		c := browser(t)
		go func() {
			text, err := send(c, "POST", b.URL()+"/held")
			if err != nil {
				t.Error(err)
			}
			answers <- text
		}()
	}
	<-a.held // one for each: the least busy server is asked
	<-z.held
	drained := make(chan error, 1)
	go func() { drained <- b.Drain(t.Context(), "a") }()
	await(t, "a drains", func() bool { return !isUp(t, b, "a") })
	for range 10 {
		if text, err := send(browser(t), "GET", b.URL()+"/"); err != nil || text != "z" {
			t.Errorf("%q, %v", text, err)
		}
	}
	select {
	case err := <-drained:
		t.Errorf("drained while a request was under way: %v", err)
	default:
	}
	close(a.hold)
	if err := <-drained; err != nil {
		t.Error(err)
	}
	close(z.hold)
	<-answers
	<-answers
	if err := b.Ready("a"); err != nil {
		t.Error(err)
	}
	await(t, "a is up again", func() bool { return isUp(t, b, "a") })
}

func TestTheRequestsOfAKilledServerGoToTheOther(t *testing.T) {
	a, z := newOrigin(t, "a"), newOrigin(t, "z")
	b := start(t, a, z)
	if err := a.http.Close(); err != nil {
		t.Fatal(err)
	}
	for range 20 { // a refuses connections: even a POST may go elsewhere
		if text, err := send(browser(t), "POST", b.URL()+"/"); err != nil || text != "z" {
			t.Errorf("%q, %v", text, err)
		}
	}
}

func TestOnlyWhatChangesNothingIsSentAgain(t *testing.T) {
	a, z := newOrigin(t, "a"), newOrigin(t, "z")
	b := start(t, a, z)
	for range 10 {
		if text, err := send(browser(t), "GET", b.URL()+"/broken-on-a"); err != nil || text != "z" {
			t.Errorf("a GET: %q, %v", text, err)
		}
	}
	failed := 0
	for range 10 {
		if _, err := send(browser(t), "POST", b.URL()+"/broken-on-a"); err != nil {
			failed++
		}
	}
	if failed == 0 {
		t.Error("each POST that a server had refused was sent again")
	}
}

func TestAReloadRefusesNoRequest(t *testing.T) {
	a, z := newOrigin(t, "a"), newOrigin(t, "z")
	b := start(t, a)
	stop := traffic(t, b.URL()+"/")
	await(t, "requests come", func() bool { return a.got.Load() > 50 })
	before := b.PID()
	if err := b.Reload(t.Context(), []balance.Server{z.Server}); err != nil {
		t.Fatal(err)
	}
	await(t, "the new server has requests", func() bool { return z.got.Load() > 100 })
	stop()
	if b.PID() == before {
		t.Error("the process is the same")
	}
}

func TestAStopLeavesNothingBehind(t *testing.T) {
	a := newOrigin(t, "a")
	b := start(t, a)
	if _, err := send(browser(t), "GET", b.URL()+"/"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := b.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(fmt.Sprintf("/proc/%d", b.PID())); err == nil {
		t.Error("the process is there")
	}
	if _, err := net.DialTimeout("tcp", b.Addr(), time.Second); err == nil {
		t.Error("somebody listens")
	}
}

func TestTheConfigurationIsAcceptedWithoutAWord(t *testing.T) {
	file := filepath.Join(t.TempDir(), "haproxy.cfg")
	out, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	err = balance.Render(out, balance.Config{Listen: "127.0.0.1:8080", Socket: "/tmp/x.sock",
		Servers: []balance.Server{{Name: "one", Address: "127.0.0.1:8081"}, {Name: "two", Address: "127.0.0.1:8082"}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
	if err := balance.Check(t.Context(), haproxy(t), file); err != nil {
		t.Error(err)
	}
}

func TestAConfigurationThatCantBeIsRefused(t *testing.T) {
	good := []balance.Server{{Name: "a", Address: "127.0.0.1:1"}}
	for name, c := range map[string]balance.Config{
		"it listens on every address":  {Listen: "0.0.0.0:80", Socket: "/tmp/s", Servers: good},
		"it listens on a name":         {Listen: "localhost:80", Socket: "/tmp/s", Servers: good},
		"it has no server":             {Listen: "127.0.0.1:80", Socket: "/tmp/s"},
		"a server's name has a space":  {Listen: "127.0.0.1:80", Socket: "/tmp/s", Servers: []balance.Server{{Name: "a b", Address: "h:1"}}},
		"a server's name is twice":     {Listen: "127.0.0.1:80", Socket: "/tmp/s", Servers: append(good, good...)},
		"an address has no port":       {Listen: "127.0.0.1:80", Socket: "/tmp/s", Servers: []balance.Server{{Name: "a", Address: "host"}}},
		"an address has a second line": {Listen: "127.0.0.1:80", Socket: "/tmp/s", Servers: []balance.Server{{Name: "a", Address: "h:1\nlisten x:2"}}},
		"the socket has a space":       {Listen: "127.0.0.1:80", Socket: "/tmp/a b", Servers: good},
	} {
		t.Run(name, func(t *testing.T) {
			if err := balance.Render(io.Discard, c); err == nil || !strings.Contains(err.Error(), "haproxy.cfg") {
				t.Errorf("%v", err)
			}
		})
	}
}
