package migrations

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"changeover/internal/sandbox"
	"changeover/internal/sandbox/sandboxtest"
)

func TestMain(m *testing.M) {
	if dsn := os.Getenv(childDSN); dsn != "" {
		os.Exit(migrateAsChild(dsn))
	}
	sandboxtest.Main(m)
}

// onBoth runs a test on both flavors, each in a database of its own.
func onBoth(t *testing.T, test func(t *testing.T, d *testbed)) {
	for _, f := range []struct {
		name   string
		server func(testing.TB, ...sandboxtest.Option) *sandboxtest.Server
	}{{"MySQL", sandboxtest.MySQLSource}, {"MariaDB", sandboxtest.MariaDBSource}} {
		t.Run(f.name, func(t *testing.T) {
			s := f.server(t)
			name := s.Database(t)
			test(t, &testbed{DB: s.DBIn(t, sandbox.App, name), server: s, name: name})
		})
	}
}

// testbed is a test's database, as the application's account sees it.
type testbed struct {
	*sql.DB
	server *sandboxtest.Server
	name   string
}

// migrator is one that doesn't give servers time to notice, and logs to the test.
func (d *testbed) migrator(t *testing.T) *Migrator {
	m := New(d.DB, zerolog.New(zerolog.NewTestWriter(t)))
	m.Notice = 0
	return m
}

func (d *testbed) up(t *testing.T, to uint) {
	t.Helper()
	if err := d.migrator(t).Up(limited(t), to); err != nil {
		t.Fatalf("up to %d: %v", to, err)
	}
}

func (d *testbed) down(t *testing.T, steps int) {
	t.Helper()
	if err := d.migrator(t).Down(limited(t), steps); err != nil {
		t.Fatalf("down %d: %v", steps, err)
	}
}

func (d *testbed) at(t *testing.T, want uint) {
	t.Helper()
	v, dirty, err := Version(t.Context(), d.DB)
	if err != nil || dirty || v != want {
		t.Fatalf("the database is at step %d, dirty %t, error %v; want %d", v, dirty, err, want)
	}
}

func (d *testbed) exec(t *testing.T, statement string, args ...any) {
	t.Helper()
	if _, err := d.ExecContext(t.Context(), statement, args...); err != nil {
		t.Fatalf("%s: %v", firstLine(statement), err)
	}
}

func (d *testbed) number(t *testing.T, query string, args ...any) (n int64) {
	t.Helper()
	if err := d.QueryRowContext(t.Context(), query, args...).Scan(&n); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return n
}

// limited is the test's context with a deadline for one thing.
func limited(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// eventually returns when what is asked for has come.
func eventually(t *testing.T, what string, has func() bool) {
	t.Helper()
	ctx := limited(t)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !has() {
		select {
		case <-ctx.Done():
			t.Fatalf("never came: %s", what)
		case <-tick.C:
		}
	}
}

// tables are the database's tables and views, without the one of the steps.
func (d *testbed) tables(t *testing.T) []string {
	t.Helper()
	rows, err := d.QueryContext(t.Context(), "SHOW TABLES")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var names []string
	for rows.Next() {
		var n string
		if err := rows.Scan(&n); err != nil {
			t.Fatal(err)
		}
		if n != "schema_migrations" {
			names = append(names, n)
		}
	}
	slices.Sort(names)
	return names
}

var counter = regexp.MustCompile(` AUTO_INCREMENT=\d+`)

// schema is every table's definition.
func (d *testbed) schema(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	for _, name := range d.tables(t) {
		rows, err := d.QueryContext(t.Context(), "SHOW CREATE TABLE "+name)
		if err != nil {
			t.Fatal(err)
		}
		columns, _ := rows.Columns()
		values := make([]sql.NullString, len(columns))
		into := make([]any, len(columns))
		for i := range values {
			into[i] = &values[i]
		}
		rows.Next()
		if err := rows.Scan(into...); err != nil {
			t.Fatal(err)
		}
		rows.Close()
		b.WriteString(counter.ReplaceAllString(values[1].String, "") + "\n\n")
	}
	return strings.ReplaceAll(b.String(), d.name, "DATABASE")
}

// rows are a table's rows as text, in the order of all columns; columns that aren't the test's subject
// are left out.
func (d *testbed) rows(t *testing.T, table string, without ...string) []string {
	t.Helper()
	rows, err := d.QueryContext(t.Context(), "SELECT * FROM "+table)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	columns, _ := rows.Columns()
	values := make([]sql.NullString, len(columns))
	into := make([]any, len(columns))
	for i := range values {
		into[i] = &values[i]
	}
	var all []string
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			t.Fatal(err)
		}
		var line []string
		for i, c := range columns {
			if !slices.Contains(without, c) {
				line = append(line, fmt.Sprintf("%s=%q", c, values[i].String))
			}
		}
		slices.Sort(line)
		all = append(all, strings.Join(line, " "))
	}
	slices.Sort(all)
	return all
}

// diary is a log that can be asked for what was said.
type diary struct {
	mu   sync.Mutex
	text strings.Builder
}

func (d *diary) Write(p []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.text.Write(p)
}

func (d *diary) says(what string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return strings.Contains(d.text.String(), what)
}
