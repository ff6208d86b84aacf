package cdc

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

	"changeover/internal/sandbox"
	"changeover/internal/sandbox/sandboxtest"
	"changeover/internal/server"
)

func TestMain(m *testing.M) {
	if os.Getenv(childVariable) != "" {
		os.Exit(child())
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

// own is Changeover's account on a server, whichever part that plays.
func own(s *sandboxtest.Server) sandbox.Account {
	if s.Role == sandbox.Target {
		return sandbox.Admin
	}
	return sandbox.Changeover
}

// migration is one test's: a database of its own on both sides.
type migration struct {
	t        testing.TB
	src, dst *sandboxtest.Server
	name     string // of the migration and the database
	from, to *sql.DB
	seed     uint64         // of the load
	began    sandbox.Flavor // of the source at the beginning, once the sides have changed
}

func newMigration(t testing.TB, src, dst *sandboxtest.Server, schema ...string) *migration {
	t.Helper()
	m := &migration{t: t, src: src, dst: dst, name: src.Database(t)}
	m.from, m.to = src.DBIn(t, sandbox.Root, m.name), dst.DB(t, sandbox.Root)
	m.from.SetMaxOpenConns(32)
	for _, q := range schema {
		m.exec(q)
	}
	t.Cleanup(func() { _, _ = m.to.Exec("DROP DATABASE IF EXISTS " + m.name) })
	return m
}

func (m *migration) exec(q string) {
	m.t.Helper()
	if _, err := m.from.Exec(q); err != nil {
		m.t.Fatalf("%.80s: %v", q, err)
	}
}

func (m *migration) options(until Until) Options {
	level := zerolog.WarnLevel
	if os.Getenv("CHANGEOVER_LOG") != "" {
		level = zerolog.DebugLevel
	}
	return Options{Migration: m.name, Source: endpoint(m.t, m.src, own(m.src)), Target: endpoint(m.t, m.dst, own(m.dst)),
		Databases: []string{m.name}, CopyWorkers: 3, Chunk: 64 << 10, ApplyWorkers: 4, Memory: 64 << 20, Until: until,
		Log: zerolog.New(zerolog.NewTestWriter(m.t)).Level(level)}
}

// run runs the migration until the end that until names.
func (m *migration) run(until Until) error {
	ctx, cancel := context.WithTimeout(m.t.Context(), 2*time.Minute)
	defer cancel()
	return New(m.options(until)).Run(ctx)
}

func (m *migration) mustRun(until Until) {
	m.t.Helper()
	if err := m.run(until); err != nil {
		m.t.Fatal(err)
	}
}

// equal compares both sides, row by row, in the order of all columns.
func (m *migration) equal() {
	m.t.Helper()
	for _, table := range m.tables() {
		want, got := m.rows(m.from, table), m.rows(m.to, table)
		if len(want) != len(got) {
			m.t.Errorf("%s: %d rows on the source, %d on the target", table, len(want), len(got))
		}
		shown := 0
		seen := map[string]int{}
		for _, r := range got {
			seen[r]++
		}
		for _, r := range want {
			if seen[r]--; seen[r] < 0 && shown < 5 {
				shown++
				m.t.Errorf("%s: missing on the target: %.200s", table, r)
			}
		}
	}
}

func (m *migration) tables() []string {
	m.t.Helper()
	rows, err := m.from.Query("SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = ? AND TABLE_TYPE = 'BASE TABLE'", m.name)
	if err != nil {
		m.t.Fatal(err)
	}
	defer rows.Close()
	var out []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			m.t.Fatal(err)
		}
		out = append(out, name)
	}
	return out
}

func (m *migration) rows(db *sql.DB, table string) []string {
	m.t.Helper()
	rows, err := db.Query("SELECT * FROM " + server.Name(m.name, table))
	if err != nil {
		m.t.Fatal(err)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		m.t.Fatal(err)
	}
	values := make([]sql.NullString, len(columns))
	into := make([]any, len(columns))
	for i := range values {
		into[i] = &values[i]
	}
	var out []string
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			m.t.Fatal(err)
		}
		var b strings.Builder
		for _, v := range values {
			fmt.Fprintf(&b, "%v:%q ", v.Valid, v.String)
		}
		out = append(out, b.String())
	}
	if err := rows.Err(); err != nil {
		m.t.Fatal(err)
	}
	return out
}

// load runs writers against the source until stop is called, which returns what they met.
func (m *migration) load(writers int, write func(*rand.Rand, *sql.Tx) error) (stop func()) {
	m.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	var mu sync.Mutex
	var count int
	for i := range writers {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(i), m.seed))
			for ctx.Err() == nil {
				tx, err := m.from.Begin()
				if err == nil {
					if err = write(rng, tx); err == nil {
						err = tx.Commit()
					} else {
						_ = tx.Rollback()
					}
				}
				if err == nil {
					mu.Lock()
					count++
					mu.Unlock()
				}
			}
		})
	}
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			wg.Wait()
			if count == 0 {
				m.t.Error("the load wrote nothing")
			}
			m.t.Logf("%d transactions of load", count)
		})
	}
	m.t.Cleanup(stop)
	return stop
}

func ignoreCanceled(err error) error {
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}
