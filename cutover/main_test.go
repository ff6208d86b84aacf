package cutover

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/google/uuid"
	"github.com/rs/zerolog"

	"changeover/cdc"
	"changeover/cutover/bus"
	"changeover/cutover/bus/hub"
	"changeover/cutover/gate"
	"changeover/cutover/helm"
	"changeover/internal/config"
	"changeover/internal/sandbox"
	"changeover/internal/sandbox/sandboxtest"
	"changeover/internal/server"
	"changeover/verify"
)

func TestMain(m *testing.M) {
	if os.Getenv(childVariable) != "" {
		os.Exit(child())
	}
	if at := os.Getenv(natsVariable); at != "" {
		os.Exit(serveNATS(at))
	}
	sandboxtest.Main(m)
}

func endpoint(t testing.TB, s *sandboxtest.Server, a sandbox.Account) server.Endpoint {
	t.Helper()
	pw, err := s.Password(a)
	if err != nil {
		t.Fatal(err)
	}
	return server.Endpoint{Host: s.Host, Port: s.Port, User: string(a), Password: pw}
}

// school is a migration with servers of its own, a schema with all that a cutover carries, and an
// application behind gates that writes all the time.
type school struct {
	t        testing.TB
	src, dst *sandboxtest.Server
	name     string
	log      zerolog.Logger

	gateWires map[*sandboxtest.Server]*wire // by which gates reach the servers; nil: directly
	gateBus   gate.Bus                      // by which gates reach the coordinator; nil: at the route row's address

	died bool // a process died with writes of which nobody was told

	mu       sync.Mutex
	told     map[string]bool // operations that were acknowledged
	unknown  map[string]bool // that ended with an error
	failures []error
	writes   atomic.Int64
}

// schema is what the school begins with: a trigger, an event, an AUTO_INCREMENT gap.
var schoolSchema = []string{
	"CREATE TABLE runs (id BIGINT AUTO_INCREMENT PRIMARY KEY, op CHAR(36) NOT NULL UNIQUE, student INT NOT NULL, lines_of_code INT NOT NULL, code TEXT) ENGINE=InnoDB",
	"CREATE TABLE totals (student INT PRIMARY KEY, runs BIGINT NOT NULL, lines_of_code BIGINT NOT NULL) ENGINE=InnoDB",
	"CREATE TABLE notes (id INT PRIMARY KEY, text VARCHAR(100)) ENGINE=InnoDB",
	"CREATE TABLE hours (at DATETIME(6) PRIMARY KEY, runs BIGINT NOT NULL) ENGINE=InnoDB",
	"CREATE TRIGGER count_runs AFTER INSERT ON runs FOR EACH ROW INSERT INTO totals VALUES (NEW.student, 1, NEW.lines_of_code) ON DUPLICATE KEY UPDATE runs = runs + 1, lines_of_code = lines_of_code + NEW.lines_of_code",
	"CREATE VIEW best AS SELECT student, runs FROM totals WHERE runs > 10",
	"CREATE EVENT count_hours ON SCHEDULE EVERY 1 SECOND DO INSERT IGNORE INTO hours SELECT NOW(6), COUNT(*) FROM runs",
	"INSERT INTO runs (op, student, lines_of_code, code) VALUES ('before', 1, 10, 'move();')",
	"INSERT INTO runs (id, op, student, lines_of_code) VALUES (5000, 'gap', 1, 0)",
	"DELETE FROM runs WHERE id = 5000", // the next value is beyond MAX(id)
}

func newSchool(t testing.TB, flavor sandbox.Flavor) *school {
	t.Helper()
	return schoolOn(t, sandboxtest.Fresh(t, sandbox.Spec{Role: sandbox.Source, Flavor: flavor}, sandboxtest.Options("--event-scheduler=ON")),
		sandboxtest.Fresh(t, sandbox.Spec{Role: sandbox.Target, Aurora: true}, sandboxtest.Options("--event-scheduler=ON")))
}

// schoolOn is a school between servers that are there.
func schoolOn(t testing.TB, src, dst *sandboxtest.Server) *school {
	t.Helper()
	s := &school{t: t, src: src, dst: dst, told: map[string]bool{}, unknown: map[string]bool{}}
	s.name = s.src.Database(t)
	level := zerolog.InfoLevel
	if os.Getenv("CHANGEOVER_LOG") != "" {
		level = zerolog.DebugLevel
	}
	s.log = zerolog.New(zerolog.NewConsoleWriter(zerolog.ConsoleTestWriter(t))).Level(level).With().Timestamp().Logger()
	db := s.src.DBIn(t, sandbox.App, s.name) // definers are plain accounts: a privileged one's event passes the fence
	for _, q := range schoolSchema {
		if _, err := db.Exec(q); err != nil {
			t.Fatalf("%.60s: %v", q, err)
		}
	}
	return s
}

// operators are the accounts by which the tests look at the servers.
var operators = []string{"root@127.0.0.1", "root@localhost"}

func (s *school) options() Options {
	stream := cdc.Options{Migration: s.name, Source: endpoint(s.t, s.src, sandbox.Changeover), Target: endpoint(s.t, s.dst, sandbox.Admin),
		Databases: []string{s.name}, Scope: "include [] exclude []", // as "changeover run" has it: one may go on with the other's migration
		CopyWorkers: 2, Chunk: 256 << 10, ApplyWorkers: 4, Memory: 64 << 20, Log: s.log}
	return Options{Stream: stream, Verifier: verify.New(verify.Config{Log: s.log}), Hold: time.Second, Fence: config.FenceAuto, Operators: operators, Log: s.log}
}

// on is a side's server.
func (s *school) on(side helm.Side) *sandboxtest.Server {
	return map[helm.Side]*sandboxtest.Server{helm.Source: s.src, helm.Target: s.dst}[side]
}

// in has a subtest's failures be its own.
func (s *school) in(t *testing.T) {
	whole := s.t
	s.t = t
	t.Cleanup(func() { s.t = whole })
}

// office is a coordinator that runs in this process.
type office struct {
	*Coordinator
	s    *school
	stop context.CancelFunc
	done chan struct{}
	err  error
}

// open starts a coordinator with a bus.
func (s *school) open(more ...func(*Options)) *office {
	s.t.Helper()
	h, err := hub.Listen(hub.Options{Address: "127.0.0.1:0"})
	if err != nil {
		s.t.Fatal(err)
	}
	o := s.options()
	o.Bus = &Bus{Address: h.Address(), Public: bus.Public(h.Address()), Loopback: true}
	for _, f := range more {
		f(&o)
	}
	ctx, stop := context.WithCancel(context.Background())
	c := &office{Coordinator: New(o), s: s, stop: stop, done: make(chan struct{})}
	go func() {
		defer close(c.done)
		c.err = c.Run(ctx)
	}()
	s.t.Cleanup(func() {
		c.close()
		h.Close()
	})
	return c
}

func (c *office) close() {
	c.stop()
	<-c.done
	if c.err != nil && !errors.Is(c.err, context.Canceled) {
		c.s.t.Errorf("the coordinator ended: %v", c.err)
	}
}

// ready waits until the stream has been proven equal wholly.
func (c *office) ready() {
	c.s.t.Helper()
	c.s.within(time.Minute, "both sides are compared", func() error {
		select {
		case <-c.done:
			c.s.t.Fatalf("the coordinator ended: %v", c.err)
		default:
		}
		r, ok := c.Runner()
		if !ok {
			return errors.New("no stream runs")
		}
		if st := r.Status(); st.Phase != "streaming" || st.Error != "" {
			return fmt.Errorf("the stream is %s %s %v", st.Phase, st.Error, st.Waiting)
		}
		if v := c.opts.Verifier.State(); !v.Wholly {
			return fmt.Errorf("not wholly compared: %+v", v)
		}
		return nil
	})
}

// within waits for a condition, with a deadline.
func (s *school) within(patience time.Duration, what string, is func() error) {
	s.t.Helper()
	deadline := time.Now().Add(patience)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		err := is()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("not within %v: %s: %v", patience, what, err)
		}
		<-tick.C
	}
}

// make makes an attempt that must end so.
func (c *office) make(kind Kind, want Outcome) *Record {
	c.s.t.Helper()
	r, err := c.Attempt(c.s.t.Context(), Request{Kind: kind, Wait: 20 * time.Second})
	if err != nil {
		c.s.t.Fatalf("%s: %v", kind, err)
	}
	if r.Outcome != want {
		c.s.t.Fatalf("%s is %s, not %s: %v %v\n%+v", kind, r.Outcome, want, r.Reasons, r.Notes, r.Steps)
	}
	c.s.t.Logf("%s: hold %.1f ms, %v, gates %+v, notes %v", kind, r.HoldMS, stepTimes(r), r.Gates, r.Notes)
	return r
}

func stepTimes(r *Record) (text string) {
	for _, s := range r.Steps {
		text += fmt.Sprintf("%s %.1f ", s.Name, s.TookMS)
	}
	return text
}

// application is one application server: a gate.
func (s *school) application(c *office, name string) *gate.Gate {
	s.t.Helper()
	side := func(on *sandboxtest.Server) server.Endpoint {
		e := endpoint(s.t, on, sandbox.App)
		if w := s.gateWires[on]; w != nil {
			e = w.through(e)
		}
		return e
	}
	g, err := openGate(s.t.Context(), s.name, name, side(s.src), side(s.dst), func(cfg *gate.Config) {
		if s.gateBus != nil {
			cfg.Bus = s.gateBus
		}
	})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = g.Close() })
	return g
}

// openGate opens a gate between two servers. No database is named: the target has none before the run.
func openGate(ctx context.Context, migration, name string, source, target server.Endpoint, more ...func(*gate.Config)) (*gate.Gate, error) {
	side := func(e server.Endpoint) (gate.Server, error) {
		cfg := mysql.NewConfig()
		cfg.Net, cfg.Addr, cfg.User, cfg.Passwd = "tcp", e.Addr(), e.User, e.Password
		cfg.TLSConfig, cfg.InterpolateParams, cfg.ReadTimeout = "preferred", true, 30*time.Second
		cfg.Logger = &mysql.NopLogger{}
		conn, err := mysql.NewConnector(cfg)
		return gate.Server{Connector: conn, Address: e.Addr()}, err
	}
	from, err := side(source)
	if err != nil {
		return nil, err
	}
	to, err := side(target)
	if err != nil {
		return nil, err
	}
	cfg := gate.Config{Migration: migration, Name: name, Source: from, Target: to, Connections: 8, Bus: bus.New(bus.Options{}), Follow: time.Second}
	for _, f := range more {
		f(&cfg)
	}
	return gate.Open(ctx, cfg)
}

// students write through a gate until the returned function is called.
func (s *school) students(g *gate.Gate, n int, pause time.Duration) (leave func()) {
	ctx, stop := context.WithCancel(context.Background())
	var all sync.WaitGroup
	for student := range n {
		all.Go(func() {
			tick := time.NewTicker(pause)
			defer tick.Stop()
			for ctx.Err() == nil {
				s.write(g, student)
				select {
				case <-tick.C:
				case <-ctx.Done():
				}
			}
		})
	}
	var once sync.Once
	leave = func() { once.Do(func() { stop(); all.Wait() }) }
	s.t.Cleanup(leave)
	return leave
}

// write is one student's click, and what is told of it.
func (s *school) write(g *gate.Gate, student int) {
	op, err := writeRun(context.Background(), g, s.name, student)
	s.writes.Add(1)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		s.failures = append(s.failures, err)
		s.unknown[op] = true
		return
	}
	s.told[op] = true
}

// writeRun writes one run under an operation id of its own.
func writeRun(ctx context.Context, g *gate.Gate, database string, student int) (op string, err error) {
	op = uuid.NewString()
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	runs := database + ".runs"
	return op, g.WriteOp(ctx, gate.OperationIn(runs, "op", op), func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "INSERT INTO "+runs+" (op, student, lines_of_code, code) VALUES (?, ?, 3, REPEAT('move();', 20))", op, student)
		return err
	})
}

// lineList are lines that somebody prints. Safe for concurrent use.
type lineList struct {
	mu    sync.Mutex
	lines []string
}

func (l *lineList) add(line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, line)
}

func (l *lineList) all() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.lines)
}

// audit looks for every operation on the writer, and compares both servers.
func (s *school) audit(writer *sandboxtest.Server) {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, err := range s.failures[:min(len(s.failures), 5)] {
		s.t.Errorf("a student's write failed: %v", err)
	}
	db := writer.DBIn(s.t, sandbox.Root, s.name)
	rows, err := db.Query("SELECT op FROM runs")
	if err != nil {
		s.t.Fatal(err)
	}
	there := map[string]int{}
	for rows.Next() {
		var op string
		if err := rows.Scan(&op); err != nil {
			s.t.Fatal(err)
		}
		there[op]++
	}
	_ = rows.Close()
	lost := 0
	for op := range s.told {
		if there[op] == 0 {
			lost++
		}
	}
	strange := 0
	for op := range there {
		if !s.told[op] && !s.unknown[op] && op != "before" && op != "gap" {
			strange++
		}
	}
	var runs, totals int
	if err := errors.Join(db.QueryRow("SELECT COUNT(*) FROM runs").Scan(&runs), db.QueryRow("SELECT SUM(runs) FROM totals").Scan(&totals)); err != nil {
		s.t.Fatal(err)
	}
	// The trigger counted each run once, on whichever server it was made; the gap's row was deleted.
	if s.died {
		strange = 0
	}
	if lost > 0 || strange > 0 || totals != runs+1 {
		s.t.Errorf("of %d acknowledged writes %d are lost, %d nobody made; the trigger counted %d of %d", len(s.told), lost, strange, totals-1, runs)
	}
	s.t.Logf("%d acknowledged writes are on the writer, %d unknown", len(s.told), len(s.unknown))
}

// equal compares the tables of both servers once nothing is written any more.
func (s *school) equal() {
	s.t.Helper()
	s.within(20*time.Second, "both servers have the same rows", func() error {
		a, b := s.src.DBIn(s.t, sandbox.Root, s.name), s.dst.DBIn(s.t, sandbox.Root, s.name)
		defer a.Close()
		defer b.Close()
		for _, table := range []string{"runs", "totals"} {
			var sums [2]string
			for i, db := range []*sql.DB{a, b} {
				q := "SELECT CONCAT(COUNT(*), ' ', COALESCE(SUM(CRC32(CONCAT_WS('|', student, " + map[string]string{"runs": "id, op", "totals": "runs"}[table] + "))), 0)) FROM " + table
				if err := db.QueryRow(q).Scan(&sums[i]); err != nil {
					return err
				}
			}
			if sums[0] != sums[1] {
				return fmt.Errorf("%s: %s on the source, %s on the target", table, sums[0], sums[1])
			}
		}
		return nil
	})
}
