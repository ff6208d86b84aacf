package fence_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"changeover/cutover/fence"
	"changeover/internal/fault"
	"changeover/internal/sandbox"
	"changeover/internal/sandbox/sandboxtest"
	"changeover/internal/server"
)

func TestMain(m *testing.M) { sandboxtest.Main(m) }

// The tests set what is global to a server. So each kind of server is started once, for this package
// alone, and its cases run on it one after the other; each leaves it as it found it, and that is checked.
func TestOnMySQL(t *testing.T) {
	runCases(t, sandbox.Spec{Role: sandbox.Source}, sandbox.Changeover)
}

func TestOnMariaDB(t *testing.T) {
	runCases(t, sandbox.Spec{Role: sandbox.Source, Flavor: sandbox.MariaDB}, sandbox.Changeover)
}

// The stand-in for Aurora: its master user may set no global variable, and calls the procedure.
func TestOnRDS(t *testing.T) {
	runCases(t, sandbox.Spec{Role: sandbox.Target, Aurora: true}, sandbox.Admin)
}

// a case of what a fence must do, on each kind of server unless it says where.
type testCase struct {
	name string
	on   []string // TestOnMySQL, …; empty: everywhere
	run  func(t *testing.T, b *bench)
}

// bench is a server with Changeover's account on it.
type bench struct {
	*sandboxtest.Server
	own  sandbox.Account
	kind fence.Kind
	root *sql.DB
}

func runCases(t *testing.T, spec sandbox.Spec, own sandbox.Account) {
	where := t.Name()
	b := &bench{Server: sandboxtest.Fresh(t, spec), own: own, kind: fence.ReadOnly}
	b.root = b.DB(t, sandbox.Root)
	b.Exec(t, "CREATE DATABASE _changeover",
		"CREATE TABLE _changeover.probe (migration VARCHAR(64) PRIMARY KEY, n BIGINT UNSIGNED, session BIGINT UNSIGNED, at DATETIME(6))",
		"CREATE DATABASE school",
		"CREATE TABLE school.pupil (id INT PRIMARY KEY AUTO_INCREMENT, name VARCHAR(40))",
		"INSERT INTO school.pupil (name) VALUES ('Ada'), ('Bela')")
	if spec.Aurora {
		b.kind = fence.RDS
		b.Exec(t, "CREATE DEFINER = root@localhost PROCEDURE mysql.rds_kill (IN id BIGINT) SQL SECURITY DEFINER KILL id",
			"CREATE DEFINER = root@localhost PROCEDURE mysql.rds_kill_query (IN id BIGINT) SQL SECURITY DEFINER KILL QUERY id")
	}
	before := b.snapshot(t)
	for _, c := range slices.Concat(fenceCases, crashCases, deadManCases, passerCases, sessionCases, probeCases) {
		if len(c.on) > 0 && !slices.Contains(c.on, where) {
			continue
		}
		t.Run(strings.ReplaceAll(c.name, " ", "_"), func(t *testing.T) {
			t.Cleanup(func() { // after the case's own cleanups have run, since those were registered later
				if after := b.snapshot(t); after != before {
					t.Fatalf("the case left the server changed:\n%s", difference(before, after))
				}
			})
			c.run(t, b)
		})
	}
}

// helm is a session of Changeover's account, and a second way in.
func (b *bench) helm(t testing.TB) fence.Server {
	t.Helper()
	conn, err := b.DB(t, b.own).Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return fence.Server{Helm: conn, Side: b.DB(t, b.own), Log: zerolog.New(zerolog.NewTestWriter(t))}
}

func (b *bench) options() fence.Options {
	return fence.Options{Migration: "school", Databases: []string{"school"}}
}

func (b *bench) survey(t testing.TB, s fence.Server, change ...func(*fence.Options)) *fence.Plan {
	t.Helper()
	o := b.options()
	for _, f := range change {
		f(&o)
	}
	p, err := fence.Survey(t.Context(), s.Helm, o)
	if err != nil {
		t.Fatal(err)
	}
	return readBack(t, p)
}

// readBack is a plan as another coordinator finds it.
func readBack(t testing.TB, p *fence.Plan) *fence.Plan {
	t.Helper()
	text, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	again := new(fence.Plan)
	if err := json.Unmarshal(text, again); err != nil {
		t.Fatal(err)
	}
	return again
}

func (b *bench) endpoint(t testing.TB) server.Endpoint {
	t.Helper()
	password, err := b.Password(b.own)
	if err != nil {
		t.Fatal(err)
	}
	return server.Endpoint{Host: b.Host, Port: b.Port, User: string(b.own), Password: password}
}

// app is a connection of the application.
func (b *bench) app(t testing.TB) *sql.Conn {
	t.Helper()
	conn, err := b.DBIn(t, sandbox.App, "school").Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// must runs statements on one connection.
func must(t testing.TB, c interface {
	ExecContext(context.Context, string, ...any) (sql.Result, error)
}, statements ...string) {
	t.Helper()
	for _, s := range statements {
		if _, err := c.ExecContext(t.Context(), s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
}

func exec(t testing.TB, c *sql.Conn, statement string) error {
	_, err := c.ExecContext(t.Context(), statement)
	return err
}

// background runs a statement that takes its time, and waits until the server runs it.
func (b *bench) background(t testing.TB, c *sql.Conn, statement string) (done <-chan error) {
	t.Helper()
	answer := make(chan error, 1)
	ctx := context.WithoutCancel(t.Context())
	var wait sync.WaitGroup
	wait.Go(func() {
		_, err := c.ExecContext(ctx, statement)
		answer <- err
	})
	t.Cleanup(wait.Wait)
	b.await(t, "the statement runs", func() bool {
		return b.count(t, "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE INFO = ?", statement) == 1
	})
	return answer
}

// await waits until something is so.
func (b *bench) await(t testing.TB, what string, so func() bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !so() {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

func (b *bench) count(t testing.TB, query string, args ...any) (n int) {
	t.Helper()
	if err := b.root.QueryRowContext(context.WithoutCancel(t.Context()), query, args...).Scan(&n); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return n
}

func (b *bench) readOnly(t testing.TB) bool {
	t.Helper()
	return b.count(t, "SELECT @@GLOBAL.read_only") == 1
}

func (b *bench) mariadb() bool { return b.Flavor == sandbox.MariaDB }

// snapshot is everything that a fence may touch, as text.
func (b *bench) snapshot(t testing.TB) string {
	t.Helper()
	var lines []string
	all := func(query string) (rows []map[string]string) {
		answer, err := b.root.QueryContext(context.WithoutCancel(t.Context()), query)
		if err != nil {
			t.Fatalf("%s: %v", query, err)
		}
		defer answer.Close()
		names, _ := answer.Columns()
		for answer.Next() {
			values, into := make([]sql.NullString, len(names)), make([]any, len(names))
			for i := range values {
				into[i] = &values[i]
			}
			if err := answer.Scan(into...); err != nil {
				t.Fatal(err)
			}
			r := map[string]string{}
			for i, n := range names {
				r[strings.ToLower(n)] = values[i].String
			}
			rows = append(rows, r)
		}
		if err := answer.Err(); err != nil {
			t.Fatal(err)
		}
		return rows
	}
	add := func(query string, without ...string) {
		for _, r := range all(query) {
			for _, w := range without {
				delete(r, w)
			}
			var line strings.Builder
			for _, k := range slices.Sorted(maps.Keys(r)) {
				fmt.Fprintf(&line, "%s=%q ", k, r[k])
			}
			lines = append(lines, line.String())
		}
	}
	add("SHOW GLOBAL VARIABLES WHERE Variable_name IN ('read_only', 'super_read_only', 'event_scheduler')")
	add("SELECT * FROM information_schema.EVENTS", "last_altered", "last_executed")
	users := "SELECT User, Host FROM mysql.user"
	if b.mariadb() {
		users = "SELECT User, Host FROM mysql.global_priv WHERE COALESCE(JSON_VALUE(Priv, '$.is_role'), 'false') NOT IN ('true', '1')"
	} else {
		add("SELECT * FROM performance_schema.persisted_variables")
	}
	for _, u := range all(users) {
		account := server.Name(u["user"]) + "@" + server.Name(u["host"])
		add("SHOW CREATE USER " + account)
		add("SHOW GRANTS FOR " + account)
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// difference shows the lines that only one of two snapshots has.
func difference(a, b string) string {
	was, is := strings.Split(a, "\n"), strings.Split(b, "\n")
	var out strings.Builder
	for _, l := range was {
		if !slices.Contains(is, l) {
			fmt.Fprintf(&out, "- %s\n", l)
		}
	}
	for _, l := range is {
		if !slices.Contains(was, l) {
			fmt.Fprintf(&out, "+ %s\n", l)
		}
	}
	return out.String()
}

func codes(problems []fence.Problem, blocking bool) (all []fault.Code) {
	for _, p := range problems {
		if p.Blocks == blocking {
			all = append(all, p.Code)
		}
	}
	return all
}

func (b *bench) poolAs(t testing.TB, user, password string) *sql.DB {
	t.Helper()
	db, err := server.Open(server.Endpoint{Host: b.Host, Port: b.Port, User: user, Password: password}, server.Session{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func (b *bench) connectAs(t testing.TB, user, password string) *sql.Conn {
	t.Helper()
	conn, err := b.poolAs(t, user, password).Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}
