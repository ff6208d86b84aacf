package cdc

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"changeover/cdc/plan"
	"changeover/internal/config"
	"changeover/internal/sandbox/sandboxtest"
	"changeover/internal/server"
)

// Accounts that have what `changeover plan --grants` prints as needed for the run, and nothing else, bring
// the run about: tables with and without a key, DDL in the stream, views and routines.
func TestTheLeastPrivilegesAreEnough(t *testing.T) {
	t.Parallel()
	target := sandboxtest.Target(t)
	for name, src := range sources(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newMigration(t, src, target, append(plainTable("t", 500), "CREATE TABLE nokey (a INT, b VARCHAR(10))",
				"INSERT INTO nokey VALUES (1, 'x'), (1, 'x')", "CREATE VIEW v AS SELECT id FROM t", "CREATE PROCEDURE p() SELECT 1",
				"CREATE TRIGGER tr BEFORE INSERT ON t FOR EACH ROW SET NEW.a = 1")...)
			o := m.options(CaughtUp)
			o.Source, o.Target = m.leastAccount(src, "s"), m.leastAccount(target, "d")
			cfg := config.Defaults()
			cfg.Migration, cfg.Databases = m.name, []string{m.name}
			cfg.Source, cfg.Target = configured(t, o.Source), configured(t, o.Target)
			needs, err := plan.LeastGrants(t.Context(), &cfg)
			m.must(err)
			for _, n := range needs {
				// The definers of the test's objects are strangers on the target: their texts and names are
				// what the optional grants are for.
				if n.Stage == plan.ForRun && (n.Needed || strings.Contains(n.Purpose, "routines")) {
					on := map[plan.Side]*sandboxtest.Server{plan.Source: src, plan.Target: target}[n.Side]
					on.Exec(t, n.Statements...)
				}
			}
			run := func() {
				t.Helper()
				m.must(New(o).Run(t.Context()))
			}
			run()
			m.on(m.from, "USE "+m.name, "ALTER TABLE t ADD COLUMN more INT, ADD KEY (more)", "CREATE TABLE made (id INT PRIMARY KEY)",
				"INSERT INTO made VALUES (1)", "UPDATE t SET more = 1", "DELETE FROM nokey LIMIT 1", "TRUNCATE TABLE made", "RENAME TABLE made TO other")
			run()
			m.equal()
			m.sameTables()
			report, err := plan.Run(t.Context(), &cfg)
			m.must(err)
			for _, f := range report.Blocking() {
				if !strings.Contains(f.Detail, "not empty") && f.Code.String() != "CO-1304" {
					t.Errorf("plan blocks: %+v", f)
				}
			}
		})
	}
}

// leastAccount makes an account that may do nothing.
func (m *migration) leastAccount(s *sandboxtest.Server, prefix string) server.Endpoint {
	m.t.Helper()
	user, password := prefix+m.name, "Least-1-"+m.name
	s.Exec(m.t, "CREATE USER '"+user+"'@'%' IDENTIFIED BY '"+password+"'")
	m.t.Cleanup(func() { s.Exec(m.t, "DROP USER '"+user+"'@'%'") })
	return server.Endpoint{Host: s.Host, Port: s.Port, User: user, Password: password}
}

func configured(t *testing.T, e server.Endpoint) config.Server {
	t.Helper()
	file := filepath.Join(t.TempDir(), "pw")
	if err := os.WriteFile(file, []byte(e.Password), 0o600); err != nil {
		t.Fatal(err)
	}
	return config.Server{Host: e.Host, Port: e.Port, User: e.User, PasswordFile: file}
}
