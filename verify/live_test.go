package verify

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"changeover/cdc"
	"changeover/internal/sandbox"
	"changeover/internal/sandbox/sandboxtest"
	"changeover/internal/server"
)

// flavors are the kinds of source that everything is tried from.
var flavors = map[string]func(testing.TB, ...sandboxtest.Option) *sandboxtest.Server{
	"from MySQL": sandboxtest.MySQLSource, "from MariaDB": sandboxtest.MariaDBSource,
}

// live is a migration of a test's own that runs, with a verifier beside it.
type live struct {
	t        *testing.T
	src, dst *sandboxtest.Server
	name     string // of the migration and its database
	from, to *sql.DB
	cfg      Config
	until    cdc.Until
	proves   bool // children make proofs all the time
	returns  bool // the stream goes back

	v    *Verifier
	run  *cdc.Runner
	stop func() error
	end  func() error // waits for the end of the run
}

func newLive(t *testing.T, source *sandboxtest.Server, schema ...string) *live {
	t.Helper()
	m := &live{t: t, src: source, dst: sandboxtest.Target(t), cfg: Config{Share: 4}}
	m.name = source.Database(t)
	m.from, m.to = source.DBIn(t, sandbox.Root, m.name), m.dst.DB(t, sandbox.Root)
	m.from.SetMaxOpenConns(16)
	for _, q := range schema {
		m.write(q)
	}
	t.Cleanup(func() { _, _ = m.to.Exec("DROP DATABASE IF EXISTS " + m.name) })
	return m
}

func (m *live) write(q string, args ...any) {
	m.t.Helper()
	if _, err := m.from.Exec(q, args...); err != nil {
		m.t.Fatalf("%.90s: %v", q, err)
	}
}

// vandalize changes the target behind everybody's back; %s is the database.
func (m *live) vandalize(q string) {
	m.t.Helper()
	if _, err := m.to.Exec(fmt.Sprintf(q, m.name)); err != nil {
		m.t.Fatalf("%.90s: %v", q, err)
	}
}

func (m *live) options() cdc.Options {
	endpoint := func(s *sandboxtest.Server, a sandbox.Account) server.Endpoint {
		pw, err := s.Password(a)
		if err != nil {
			m.t.Fatal(err)
		}
		return server.Endpoint{Host: s.Host, Port: s.Port, User: string(a), Password: pw}
	}
	level := zerolog.WarnLevel
	if os.Getenv("CHANGEOVER_LOG") != "" {
		level = zerolog.DebugLevel
	}
	m.cfg.Log = zerolog.New(zerolog.NewTestWriter(m.t)).Level(level)
	own := func(s *sandboxtest.Server) sandbox.Account {
		if s.Role == sandbox.Target {
			return sandbox.Admin
		}
		return sandbox.Changeover
	}
	return cdc.Options{Migration: m.name, Source: endpoint(m.src, own(m.src)), Target: endpoint(m.dst, own(m.dst)), Return: m.returns,
		Databases: []string{m.name}, CopyWorkers: 3, Chunk: 256 << 10, ApplyWorkers: 4, Memory: 64 << 20, Until: m.until, LeaseTTL: leaseTTL, Log: m.cfg.Log}
}

// leaseTTL is how long the run after one that was killed waits.
const leaseTTL = 500 * time.Millisecond

// start begins a run; stop ends it and must be called before another starts.
func (m *live) start() {
	m.t.Helper()
	opts := m.options()
	m.v = New(m.cfg)
	opts.Companion = m.v
	m.run = cdc.New(opts)
	ctx, cancel := context.WithCancel(m.t.Context())
	done := make(chan error, 1)
	go func() { done <- m.run.Run(ctx) }()
	m.end = sync.OnceValue(func() error { return <-done })
	m.stop = sync.OnceValue(func() error {
		cancel()
		if err := m.end(); err != nil && !errors.Is(err, context.Canceled) {
			return err
		}
		return nil
	})
	m.t.Cleanup(func() { _ = m.stop() })
}

func (m *live) mustStop() {
	m.t.Helper()
	if err := m.stop(); err != nil {
		m.t.Fatal(err)
	}
}

// wait waits until the report is as wanted.
func (m *live) wait(what string, is func(State) bool) State {
	m.t.Helper()
	deadline := time.Now().Add(60 * time.Second)
	for {
		r := m.v.State()
		if is(r) {
			return r
		}
		if s := m.run.Status(); s.Error != "" {
			m.t.Fatalf("waiting until %s: the run stopped: %s", what, s.Error)
		}
		if time.Now().After(deadline) {
			m.t.Fatalf("not %s: %+v; %+v", what, r, m.run.Status())
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-m.t.Context().Done():
			m.t.Fatal("the test is over")
		}
	}
}

func complete(r State) bool { return r.Complete }

// load runs transactions on some connections until the returned function is called, which says how
// many there were.
func (m *live) load(connections int, one func(*rand.Rand, *sql.DB) error) (stop func() int) {
	ctx, cancel := context.WithCancel(m.t.Context())
	var wg sync.WaitGroup
	counts := make([]int, connections)
	for i := range connections {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(1, uint64(i)))
			for ctx.Err() == nil {
				var refused interface{ Error() string }
				if err := one(rng, m.from); err != nil && !errors.As(err, &refused) {
					m.t.Error(err)
				}
				counts[i]++
			}
		})
	}
	return sync.OnceValue(func() int {
		cancel()
		wg.Wait()
		n := 0
		for _, c := range counts {
			n += c
		}
		return n
	})
}

// sequence is a derived table of the numbers from 1 to n, in a column seq.
func sequence(n int) string {
	digits := "(SELECT 0 d UNION ALL SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4 UNION ALL SELECT 5 UNION ALL SELECT 6 UNION ALL SELECT 7 UNION ALL SELECT 8 UNION ALL SELECT 9)"
	from, value, scale := "", "1", 1
	for i := 0; scale < n; i++ {
		from += fmt.Sprintf("%s t%d,", digits, i)
		value += fmt.Sprintf(" + t%d.d * %d", i, scale)
		scale *= 10
	}
	return fmt.Sprintf("(SELECT * FROM (SELECT %s AS seq FROM %s) q WHERE seq <= %d) s", value, strings.TrimSuffix(from, ","), n)
}

// busy are tables of all kinds of key, with rows.
func busy(rows int) []string {
	return []string{
		"CREATE TABLE numbers (id BIGINT PRIMARY KEY AUTO_INCREMENT, hot INT NOT NULL DEFAULT 0, f FLOAT, j JSON, v VARCHAR(100), u INT NULL UNIQUE)",
		"CREATE TABLE words (w VARCHAR(40) PRIMARY KEY, n INT) COLLATE utf8mb4_general_ci",
		"CREATE TABLE pairs (a ENUM('x','y','z') NOT NULL, b VARCHAR(20) NOT NULL, c DATETIME(6) NOT NULL, t TEXT, PRIMARY KEY (a, b, c)) COLLATE utf8mb4_bin",
		"CREATE TABLE loose (a INT, b VARCHAR(20))",
		fmt.Sprintf(`INSERT INTO numbers (id, f, j, v, u) SELECT seq, seq / 7, JSON_OBJECT('a', seq), REPEAT('v', seq %% 90), seq FROM %s`, sequence(rows)),
		fmt.Sprintf(`INSERT INTO words SELECT CONCAT('Wört', seq), seq FROM %s`, sequence(rows/4)),
		fmt.Sprintf(`INSERT INTO pairs SELECT 1 + seq %% 3, CONCAT('b', seq), '2020-01-01' + INTERVAL seq SECOND, REPEAT('t', seq %% 300) FROM %s`, sequence(rows/4)),
		`INSERT INTO loose VALUES (1, 'x'), (1, 'x'), (2, NULL), (3, '')`,
	}
}

// write1 is a transaction on the busy tables.
func write1(rows int) func(*rand.Rand, *sql.DB) error {
	return func(rng *rand.Rand, db *sql.DB) error {
		run := func(q string, args ...any) error {
			_, err := db.Exec(q, args...)
			return err
		}
		id := 1 + rng.IntN(rows)
		switch rng.IntN(8) {
		case 0:
			return run("UPDATE numbers SET hot = hot + 1 WHERE id = 1")
		case 1:
			return run("UPDATE numbers SET v = ?, f = ? WHERE id = ?", fmt.Sprint(id), rng.Float32(), id)
		case 2:
			return run("DELETE FROM numbers WHERE id = ?", id)
		case 3:
			return run("INSERT INTO numbers (id, v, u) VALUES (?, 'again', ?) ON DUPLICATE KEY UPDATE v = 'twice'", id, rows+id)
		case 4:
			return run("UPDATE words SET w = UPPER(w), n = n + 1 WHERE w = ?", fmt.Sprintf("wÖrt%d", 1+rng.IntN(rows/4)))
		case 5:
			return run("UPDATE numbers SET id = ? WHERE id = ?", rows+id, id)
		case 6:
			return run("UPDATE pairs SET a = 1 + (a % 3), t = ? WHERE b = ?", fmt.Sprint(id), fmt.Sprintf("b%d", 1+rng.IntN(rows/4)))
		default:
			return run("INSERT INTO loose VALUES (?, 'y')", rng.IntN(5))
		}
	}
}

func TestRowsThatAreWrittenWithoutPauseAreNeverSaidToDiffer(t *testing.T) {
	t.Parallel()
	for name, source := range flavors {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newLive(t, source(t), busy(8000)...)
			m.start()
			stop := m.load(3, write1(8000))
			m.wait("every row but the loose ones is compared, under load", func(r State) bool {
				if r.Differences > 0 {
					d, err := m.v.Different(t.Context(), 5)
					t.Fatalf("differences under load: %+v %v; %+v", d, err, r)
				}
				n := 0
				for _, table := range r.Tables {
					if !table.Compared.IsZero() {
						n++
					}
				}
				return n >= 3 && r.Keys > 500
			})
			m.again() // and once more, over rows that were compared before
			chunks := m.v.State().Chunks
			m.wait("some chunks were compared again", func(r State) bool { return r.Differences > 0 || r.Chunks >= chunks+3 })
			if n := stop(); n < 100 {
				t.Fatalf("only %d transactions", n)
			}
			m.proven()
			m.mustStop()
			m.same("numbers", "words", "pairs", "loose")
		})
	}
}

func TestVandalismIsFoundShownAndRepaired(t *testing.T) {
	t.Parallel()
	for name, source := range flavors {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newLive(t, source(t), busy(3000)...)
			m.start()
			m.wait("complete", complete)
			m.vandalize("UPDATE %s.numbers SET f = f + 0.0001 WHERE id = 77")
			m.vandalize("DELETE FROM %s.numbers WHERE id IN (5, 6)")
			m.vandalize("INSERT INTO %s.words VALUES ('stranger', 1)")
			m.vandalize("UPDATE %s.pairs SET t = CONCAT(t, ' ') WHERE b = 'b9'")
			m.again()
			m.wait("5 rows differ", func(r State) bool { return r.Differences == 5 && r.KeysDue == 0 })
			found, err := m.v.Different(t.Context(), 10)
			if err != nil {
				t.Fatal(err)
			}
			for n, want := range map[string]string{
				"numbers": "id=5 1/0:; id=6 1/0:; id=77 1/1: f ", "words": "w=stranger 0/1:; ", "pairs": " 1/1: t ",
			} {
				if got := describe(found[Name{m.name, n}]); !strings.Contains(got, want) {
					t.Errorf("%s: %q is not in %q", n, want, got)
				}
			}
			if p, err := m.v.Prove(t.Context()); err != nil || p.Complete {
				t.Errorf("proven nevertheless: %+v %v", p, err)
			}
			stop := m.load(2, write1(3000))
			m.repair(5)
			m.wait("nothing differs", func(r State) bool { return r.Differences == 0 && r.ToRepair == 0 })
			stop()
			m.again()
			m.proven()
			m.mustStop()
			m.same("numbers", "words", "pairs")
		})
	}
}

// same compares both sides with the run stopped, by whole tables.
func (m *live) same(tables ...string) {
	m.t.Helper()
	src, dst := m.src.DB(m.t, sandbox.Changeover), m.dst.DB(m.t, sandbox.Admin)
	for _, table := range tables {
		r, err := Compare(m.t.Context(), src, dst, []Name{{m.name, table}}, Options{})
		if err != nil || !r[0].Equal {
			d, err2 := Differences(m.t.Context(), src, dst, Name{m.name, table}, 5)
			m.t.Errorf("%+v %v; %s %v", r, err, describe(d), err2)
		}
	}
}

// proven waits for the end of the second pass, if there is one, and proves that nothing is missing.
func (m *live) proven() Proof {
	m.t.Helper()
	m.wait("the second pass is over", func(r State) bool { return !m.v.book().inSecondPass() })
	for deadline := time.Now().Add(30 * time.Second); ; {
		p, err := m.v.Prove(m.t.Context())
		if err != nil {
			m.t.Fatal(err)
		}
		if p.Complete {
			return p
		}
		if time.Now().After(deadline) {
			d, err := m.v.Different(m.t.Context(), 3)
			for n, some := range d {
				m.t.Log(n, describe(some), err)
			}
			m.t.Fatalf("not proven: %+v", p)
		}
		m.wait("complete", complete) // a proof ends the looks, and repairs, that are under way: they need a while without
	}
}

// inSecondPass tells whether some table is being looked at once more.
func (l *ledger) inSecondPass() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.tables {
		if len(e.second) > 0 || e.looking() {
			return true
		}
	}
	return false
}

// again has every table compared once more.
func (m *live) again() {
	m.t.Helper()
	m.wait("known", func(r State) bool { return r.Wholly })
	if err := m.v.Again(); err != nil {
		m.t.Fatal(err)
	}
}

// repair has so many rows repaired.
func (m *live) repair(rows int) {
	m.t.Helper()
	if n, err := m.v.Repair(); err != nil || n != rows {
		m.t.Fatalf("%d rows to repair, not %d: %v", n, rows, err)
	}
}
