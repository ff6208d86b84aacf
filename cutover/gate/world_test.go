package gate_test

import (
	"context"
	"crypto/rand"
	"database/sql"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"changeover/cutover/gate"
	"changeover/internal/sandbox"
	"changeover/internal/sandbox/sandboxtest"
)

func TestMain(m *testing.M) { sandboxtest.Main(m) }

// flavors are what a source may be; the target is always a MySQL.
var flavors = map[string][]sandboxtest.Option{"MySQL": nil, "MariaDB": {sandboxtest.MariaDB}}

// world is two servers of a migration, and the coordinator, whose part the test plays by hand.
type world struct {
	t        *testing.T
	bus      *fakeBus
	root     map[gate.Side]*sql.DB
	on       map[gate.Side]*sandboxtest.Server
	database string
	epoch    uint64
	attempt  uint64
	writer   gate.Side
}

// newWorld starts both servers, with a table and without route rows.
func newWorld(t *testing.T, source ...sandboxtest.Option) *world {
	t.Helper()
	w := &world{t: t, bus: newFakeBus(), database: "school", writer: gate.Source, root: map[gate.Side]*sql.DB{}, on: map[gate.Side]*sandboxtest.Server{}}
	var group sync.WaitGroup
	group.Go(func() { w.on[gate.Source] = sandboxtest.Fresh(t, sandbox.Spec{Role: sandbox.Source}, source...) })
	target := sandboxtest.Fresh(t, sandbox.Spec{Role: sandbox.Target})
	group.Wait()
	w.on[gate.Target] = target
	for side, s := range w.on {
		w.root[side] = s.DB(t, sandbox.Root)
		s.Exec(t, "CREATE DATABASE school", "CREATE DATABASE _changeover",
			"CREATE TABLE school.notes (id BIGINT AUTO_INCREMENT PRIMARY KEY, op VARCHAR(40) NOT NULL, worker INT NOT NULL, n INT NOT NULL, UNIQUE (op))",
			"CREATE TABLE school.totals (worker INT PRIMARY KEY, n INT NOT NULL)",
			`CREATE TABLE _changeover.route (migration VARCHAR(64) PRIMARY KEY, side VARCHAR(8) NOT NULL, writer VARCHAR(8) NOT NULL,
epoch BIGINT UNSIGNED NOT NULL, attempt BIGINT UNSIGNED NOT NULL, bus VARCHAR(1024) NOT NULL, updated DATETIME(6) NOT NULL)`)
	}
	w.exec(gate.Target, "SET GLOBAL read_only = ON") // until open
	return w
}

func (w *world) exec(side gate.Side, query string, args ...any) {
	w.t.Helper()
	if _, err := w.root[side].Exec(query, args...); err != nil {
		w.t.Fatalf("%s: %s: %v", side, query, err)
	}
}

// route writes the row of one side.
func (w *world) route(on, writer gate.Side, epoch, attempt uint64) {
	w.t.Helper()
	w.exec(on, "REPLACE INTO _changeover.route VALUES ('m', ?, ?, ?, ?, 'fake://1', NOW(6))", string(on), string(writer), epoch, attempt)
}

// begin writes the first rows, as run does.
func (w *world) begin() {
	w.t.Helper()
	w.epoch = 1
	w.route(gate.Source, gate.Source, 1, 0)
	w.route(gate.Target, gate.Source, 1, 0)
}

// connector logs in as the application.
func (w *world) connector(side gate.Side, change ...func(*mysql.Config)) gate.Server {
	w.t.Helper()
	return connector(w.t, w.on[side], sandbox.App, w.database, change...)
}

func connector(t testing.TB, on *sandboxtest.Server, a sandbox.Account, database string, change ...func(*mysql.Config)) gate.Server {
	t.Helper()
	c, err := mysql.ParseDSN(on.DSN(a, database))
	if err != nil {
		t.Fatal(err)
	}
	c.Timeout, c.ReadTimeout, c.WriteTimeout = 3*time.Second, 10*time.Second, 10*time.Second
	c.Logger = &mysql.NopLogger{}
	for _, f := range change {
		f(c)
	}
	inner, err := mysql.NewConnector(c)
	if err != nil {
		t.Fatal(err)
	}
	return gate.Server{Connector: inner, Address: c.Addr}
}

// gate opens one.
func (w *world) gate(change ...func(*gate.Config)) *gate.Gate {
	w.t.Helper()
	c := gate.Config{Migration: "m", Source: w.connector(gate.Source), Target: w.connector(gate.Target), Connections: 16, Bus: w.bus, Follow: 100 * time.Millisecond,
		Log: slog.New(slog.NewTextHandler(testWriter{w.t}, &slog.HandlerOptions{Level: slog.LevelDebug}))}
	for _, f := range change {
		f(&c)
	}
	if c.Name == "" {
		c.Name = rand.Text()
	}
	g, err := gate.Open(w.t.Context(), c)
	if err != nil {
		w.t.Fatal(err)
	}
	if c.Bus != nil { // orders are for whoever has joined
		w.bus.await(w.t, 1, func(a gate.Answer) bool { return a.Gate == c.Name })
	}
	w.t.Cleanup(func() {
		if err := g.Close(); err != nil {
			w.t.Errorf("close the gate: %v", err)
		}
	})
	return g
}

// testWriter is the test's log.
type testWriter struct{ t *testing.T }

func (w testWriter) Write(p []byte) (int, error) {
	w.t.Log(string(p))
	return len(p), nil
}

// hold holds all gates until they are drained; it goes on until end is called.
func (w *world) hold(gates int) (end func()) {
	w.t.Helper()
	w.attempt++
	stop, done := make(chan struct{}), make(chan struct{})
	o := gate.Order{Migration: "m", Attempt: w.attempt, Epoch: w.epoch, Kind: gate.Hold, Life: 2 * time.Second}
	w.bus.order(o)
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			case <-time.After(100 * time.Millisecond):
				w.bus.order(o)
			}
		}
	}()
	w.bus.await(w.t, gates, func(a gate.Answer) bool { return a.Attempt == w.attempt && a.State == gate.StateDrained })
	return func() { close(stop); <-done }
}

// flip passes the role: hold, fence, open, flip; without a bus there is no hold.
func (w *world) flip(gates int, heard bool) {
	w.t.Helper()
	old, to := w.writer, gate.Target
	if old == gate.Target {
		to = gate.Source
	}
	end := func() {}
	if heard {
		end = w.hold(gates)
	} else {
		w.attempt++
	}
	w.exec(old, "SET GLOBAL read_only = ON")
	w.epoch++
	w.writer = to
	w.route(to, to, w.epoch, w.attempt)
	w.exec(to, "SET GLOBAL read_only = OFF")
	end()
	if heard {
		w.bus.order(gate.Order{Migration: "m", Attempt: w.attempt, Epoch: w.epoch, Kind: gate.Flip, Writer: string(to)})
		w.bus.await(w.t, gates, func(a gate.Answer) bool { return a.Epoch == w.epoch && a.State == gate.StateFlipped })
	}
}

// ops are the operations that both sides have, with how often.
func (w *world) ops() map[string]int {
	w.t.Helper()
	all := map[string]int{}
	for side, db := range w.root {
		rows, err := db.Query("SELECT op FROM school.notes")
		if err != nil {
			w.t.Fatalf("%s: %v", side, err)
		}
		for rows.Next() {
			var op string
			if err := rows.Scan(&op); err != nil {
				w.t.Fatal(err)
			}
			all[op]++
		}
		if err := rows.Err(); err != nil {
			w.t.Fatal(err)
		}
		_ = rows.Close()
	}
	return all
}

// eventually waits for something to become true.
func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(40 * time.Second); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within 40 s: %s", what)
		}
	}
}

// fakeBus is a bus within the process that loses nothing, unless it is told to.
type fakeBus struct {
	mu      sync.Mutex
	links   map[*fakeLink]bool
	answers map[string]gate.Answer
	news    chan struct{}
	down    bool
	dialled int
}

func newFakeBus() *fakeBus {
	return &fakeBus{links: map[*fakeLink]bool{}, answers: map[string]gate.Answer{}, news: make(chan struct{})}
}

func (b *fakeBus) Dial(_ context.Context, address, migration string) (gate.Link, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.dialled++
	if b.down || migration != "m" {
		return nil, fmt.Errorf("nobody at %s", address)
	}
	l := &fakeLink{b: b, orders: make(chan gate.Order, 1000)}
	b.links[l] = true
	return l, nil
}

// order sends an order to everybody.
func (b *fakeBus) order(o gate.Order) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for l := range b.links {
		l.orders <- o
	}
}

// cut closes all links, and lets nobody dial while down.
func (b *fakeBus) cut(down bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.down = down
	for l := range b.links {
		close(l.orders)
	}
	clear(b.links)
}

// forget forgets what gates have said.
func (b *fakeBus) forget() {
	b.mu.Lock()
	defer b.mu.Unlock()
	clear(b.answers)
}

// await waits until so many gates have answered what is wanted.
func (b *fakeBus) await(t testing.TB, gates int, want func(gate.Answer) bool) []gate.Answer {
	t.Helper()
	deadline := time.After(40 * time.Second)
	for {
		b.mu.Lock()
		var got []gate.Answer
		for _, a := range b.answers {
			if want(a) {
				got = append(got, a)
			}
		}
		news, all := b.news, fmt.Sprintf("%+v", b.answers)
		b.mu.Unlock()
		if len(got) >= gates {
			return got
		}
		select {
		case <-news:
		case <-deadline:
			t.Fatalf("gates don't answer; they said %s", all)
		}
	}
}

type fakeLink struct {
	b      *fakeBus
	orders chan gate.Order
}

func (l *fakeLink) Hear() <-chan gate.Order { return l.orders }

func (l *fakeLink) Say(a gate.Answer) error {
	l.b.mu.Lock()
	defer l.b.mu.Unlock()
	l.b.answers[a.Gate] = a
	close(l.b.news)
	l.b.news = make(chan struct{})
	return nil
}

func (l *fakeLink) Close() error {
	l.b.mu.Lock()
	defer l.b.mu.Unlock()
	if l.b.links[l] {
		delete(l.b.links, l)
		close(l.orders)
	}
	return nil
}
