package platformtest

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"changeover/cutover/bus"
	"changeover/cutover/bus/bustest"
	"changeover/cutover/gate"
	"changeover/internal/sandbox"
	"changeover/internal/sandbox/sandboxtest"
	"changeover/platform/store"
	"changeover/platform/web"
)

// Migration is the name of a Pair's.
const Migration = "school"

// Pair is a platform on one of two servers of its own, between which the writer's role passes. Changeover is not
// part of it: the servers replicate each other by their own means, and the test does what the
// coordinator does with fences, route rows and orders.
type Pair struct {
	*Platform // DB is of the writer
	Bus       bustest.Rig

	source, target *End
	mu             sync.Mutex
	writer         *End
	epoch, attempt uint64
}

// End is one server of a Pair.
type End struct {
	Side gate.Side
	On   *sandboxtest.Server
	At   store.Server // as the application's account
}

// NewPair makes one; the options choose the flavor. The target is fenced, and has nothing yet.
func NewPair(t testing.TB, opts ...sandboxtest.Option) *Pair {
	t.Helper()
	p := &Pair{}
	var group sync.WaitGroup
	for side, end := range map[gate.Side]**End{gate.Source: &p.source, gate.Target: &p.target} {
		*end = &End{Side: side}
		group.Go(func() { (*end).On = sandboxtest.Fresh(t, sandbox.Spec{Role: sandbox.Source}, opts...) })
	}
	if group.Wait(); t.Failed() {
		t.FailNow()
	}
	p.target.On.Exec(t, "SET GLOBAL read_only = 1")
	p.Platform = New(t, p.source.On)
	for _, e := range []*End{p.source, p.target} {
		password, err := e.On.Password(sandbox.App)
		if err != nil {
			t.Fatal(err)
		}
		e.At = p.At
		e.At.Host, e.At.Port, e.At.Password = e.On.Host, e.On.Port, password
	}
	p.Bus = bustest.Start(t, Migration)
	p.writer = p.source
	return p
}

// Source is the server that is the writer first.
func (p *Pair) Source() *End { return p.source }

// Target is the other one.
func (p *Pair) Target() *End { return p.target }

// Replicate begins to copy each server's transactions to the other, and writes the route rows.
func (p *Pair) Replicate(t testing.TB) {
	t.Helper()
	for _, e := range []*End{p.source, p.target} {
		from := p.other(e).On
		password, err := from.Password(sandbox.Root)
		if err != nil {
			t.Fatal(err)
		}
		if e.mariaDB() {
			e.On.Exec(t, fmt.Sprintf("CHANGE MASTER TO MASTER_HOST = '127.0.0.1', MASTER_PORT = %d, MASTER_USER = 'root', MASTER_PASSWORD = '%s', MASTER_CONNECT_RETRY = 1, MASTER_USE_GTID = slave_pos", from.Port, password),
				"START SLAVE")
			continue
		}
		e.On.Exec(t, fmt.Sprintf("CHANGE REPLICATION SOURCE TO SOURCE_HOST = '127.0.0.1', SOURCE_PORT = %d, SOURCE_USER = 'root', SOURCE_PASSWORD = '%s', SOURCE_CONNECT_RETRY = 1, SOURCE_AUTO_POSITION = 1, GET_SOURCE_PUBLIC_KEY = 1", from.Port, password),
			"START REPLICA")
	}
	p.caughtUp(t, p.source, p.target)
	p.epoch = 1
	p.writeRow(t, p.source)
	p.writeRow(t, p.target)
}

func (e *End) mariaDB() bool { return e.On.Flavor == sandbox.MariaDB }

func (p *Pair) other(e *End) *End {
	if e == p.source {
		return p.target
	}
	return p.source
}

// caughtUp waits until all that from has committed is on to.
func (p *Pair) caughtUp(t testing.TB, from, to *End) {
	t.Helper()
	position, wait, arrived := "SELECT @@GLOBAL.gtid_executed", "SELECT WAIT_FOR_EXECUTED_GTID_SET(?, 30)", 0
	if from.mariaDB() {
		position, wait = "SELECT @@GLOBAL.gtid_binlog_pos", "SELECT MASTER_GTID_WAIT(?, 30)"
	}
	var at string
	if err := from.root(t).QueryRow(position).Scan(&at); err != nil {
		t.Fatal(err)
	}
	if err := to.root(t).QueryRow(wait, at).Scan(&arrived); err != nil || arrived != 0 {
		t.Fatalf("the %s does not catch up with %s: %d, %v", to.Side, at, arrived, err)
	}
}

func (e *End) root(t testing.TB) *sql.DB { return e.On.DB(t, sandbox.Root) }

// writeRow writes the server's route row as of now; it is the server's own, so it is not replicated.
func (p *Pair) writeRow(t testing.TB, e *End) {
	t.Helper()
	e.On.Exec(t, "SET SESSION sql_log_bin = 0", "CREATE DATABASE IF NOT EXISTS `_changeover`",
		"CREATE TABLE IF NOT EXISTS `_changeover`.`route` (migration VARCHAR(64) PRIMARY KEY, side VARCHAR(8), writer VARCHAR(8), "+
			"epoch BIGINT UNSIGNED, attempt BIGINT UNSIGNED, bus VARCHAR(1024), updated DATETIME(6))",
		fmt.Sprintf("REPLACE INTO `_changeover`.`route` VALUES ('%s', '%s', '%s', %d, %d, '%s', NOW(6))",
			Migration, e.Side, p.writer.Side, p.epoch, p.attempt, p.Bus.Address))
}

// Writer is the server that has the role, and its epoch.
func (p *Pair) Writer() (*End, uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.writer, p.epoch
}

// Way is how a Pair passes the role.
type Way int

// The ways.
const (
	Held   Way = iota // as a cutover does it: hold, drain, fence, flip
	Lost              // the same, but no gate hears of the flip: the route rows are all there is
	Abrupt            // no hold and no order: writes are refused in the middle
)

// Stale makes a server keep what it has now: nothing is copied to it until fresh is called.
func (p *Pair) Stale(t testing.TB, e *End) (fresh func()) {
	t.Helper()
	what := "REPLICA"
	if e.mariaDB() {
		what = "SLAVE"
	}
	e.On.Exec(t, "STOP "+what)
	return func() { e.On.Exec(t, "START "+what) }
}

// Flip passes the writer's role to the other server.
func (p *Pair) Flip(t testing.TB, way Way) {
	t.Helper()
	from, to := p.writer, p.other(p.writer)
	p.attempt++
	ctx, lose := context.WithTimeout(context.Background(), 30*time.Second)
	defer lose()
	var holding *bus.Holding
	if way != Abrupt {
		holding = p.Bus.Desk.Hold(ctx, bus.HoldRequest{Attempt: p.attempt, Epoch: p.epoch})
		if err := holding.Drained(ctx); err != nil {
			t.Fatalf("the hold is not drained: %v", err)
		}
	}
	from.On.Exec(t, "SET GLOBAL read_only = 1")
	p.caughtUp(t, from, to)
	p.mu.Lock()
	p.writer, p.epoch = to, p.epoch+1
	p.mu.Unlock()
	p.writeRow(t, to)
	p.writeRow(t, from)
	to.On.Exec(t, "SET GLOBAL read_only = 0")
	p.DB = p.pool(t, to.At)
	if way == Held {
		holding.Flip(ctx, p.epoch, string(to.Side))
	}
}

// Hold holds all gates' writes until release is called, which leaves the role where it is. change may alter how.
func (p *Pair) Hold(t testing.TB, change ...func(*bus.HoldRequest)) (release func()) {
	t.Helper()
	p.attempt++
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	t.Cleanup(cancel)
	request := bus.HoldRequest{Attempt: p.attempt, Epoch: p.epoch}
	for _, c := range change {
		c(&request)
	}
	holding := p.Bus.Desk.Hold(ctx, request)
	if err := holding.Drained(ctx); err != nil {
		t.Fatalf("the hold is not drained: %v", err)
	}
	return func() { holding.Release(ctx, p.epoch) }
}

// Undrained holds all gates' writes for as long as some that is inside may take to leave, lets go, and returns why the
// hold was not drained.
func (p *Pair) Undrained(t testing.TB, within time.Duration) error {
	t.Helper()
	p.attempt++
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	holding := p.Bus.Desk.Hold(ctx, bus.HoldRequest{Attempt: p.attempt, Epoch: p.epoch})
	defer func() { holding.Release(ctx, p.epoch) }()
	drain, late := context.WithTimeout(ctx, within)
	defer late()
	return holding.Drained(drain)
}

// Equal waits until both servers have the same, and fails if they never do.
func (p *Pair) Equal(t testing.TB) {
	t.Helper()
	p.caughtUp(t, p.writer, p.other(p.writer))
}

// Gate opens a gate between the servers; it ends with the test. change may alter how.
func (p *Pair) Gate(t testing.TB, change ...func(*gate.Config)) *gate.Gate {
	t.Helper()
	config := gate.Config{Migration: Migration, Connections: 16, Bus: bus.New(bus.Options{}), Log: slog.New(zerolog.NewSlogHandler(p.Log.Level(zerolog.InfoLevel)))}
	for at, end := range map[*gate.Server]*End{&config.Source: p.source, &config.Target: p.target} {
		connector, err := store.Connector(end.At)
		if err != nil {
			t.Fatal(err)
		}
		*at = gate.Server{Connector: connector, Address: end.At.Addr()}
	}
	for _, c := range change {
		c(&config)
	}
	g, err := gate.Open(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = g.Close() })
	return g
}

// NewStore is a store behind a gate of its own: another server's.
func (p *Pair) NewStore(t testing.TB, change ...func(*gate.Config)) *store.Store {
	t.Helper()
	return store.New(store.Gated(p.Gate(t, change...)), p.Log)
}

// Serve starts an application server behind a gate of its own; it ends with the test.
func (p *Pair) Serve(t testing.TB, change ...func(*gate.Config)) (*web.Server, string) {
	t.Helper()
	return p.serve(t, p.NewStore(t, change...))
}

// KillAll ends all sessions of the application on both servers: at COMMIT, and everywhere else.
func (p *Pair) KillAll(t testing.TB) {
	t.Helper()
	for _, e := range []*End{p.source, p.target} {
		if err := e.killAll(); err != nil {
			t.Error(err)
		}
	}
}

func (e *End) killAll() error {
	db, err := e.On.Open(sandbox.Root, "")
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	// Not MySQL's information_schema: it fails over a statement with bytes in it.
	sessions := "SELECT processlist_id FROM performance_schema.threads WHERE processlist_user = 'app'"
	if e.mariaDB() {
		sessions = "SELECT id FROM information_schema.processlist WHERE user = 'app'"
	}
	rows, err := db.Query(sessions)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var id uint64
		if err := rows.Scan(&id); err != nil {
			return err
		}
		_, _ = db.Exec(fmt.Sprintf("KILL %d", id)) // it may be gone
	}
	return rows.Err()
}
