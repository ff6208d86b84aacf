package sandboxtest_test

import (
	"testing"

	"changeover/internal/sandbox"
	"changeover/internal/sandbox/sandboxtest"
)

func TestMain(m *testing.M) { sandboxtest.Main(m) }

func TestPairSharesServersAndHasADatabaseOfItsOwn(t *testing.T) {
	first, second := sandboxtest.NewPair(t), sandboxtest.NewPair(t)
	if first.Source.Port != second.Source.Port || first.Target.Port != second.Target.Port {
		t.Errorf("two pairs of one spec are different servers")
	}
	if first.Source.Port == first.Target.Port {
		t.Errorf("source and target are one server")
	}
	name := first.Database(t)
	if again := first.Database(t); again == name {
		t.Errorf("two tests would share the database %s", name)
	}
	src := first.Source.DBIn(t, sandbox.App, name)
	if _, err := src.Exec("CREATE TABLE pupil (id INT PRIMARY KEY)"); err != nil {
		t.Errorf("the application can't work in its database: %v", err)
	}
}

func TestADatabaseIsGoneAfterItsTest(t *testing.T) {
	target := sandboxtest.Target(t)
	var name string
	t.Run("inner", func(t *testing.T) { name = target.Database(t) })
	var n int
	err := target.DB(t, sandbox.Admin).
		QueryRow("SELECT COUNT(*) FROM information_schema.schemata WHERE schema_name = ?", name).Scan(&n)
	if err != nil || n != 0 {
		t.Errorf("database %s: %d left, error %v", name, n, err)
	}
}

func TestAFreshServerMayBeKilled(t *testing.T) {
	s := sandboxtest.Fresh(t, sandbox.Spec{}, sandboxtest.MariaDB)
	s.Database(t)
	if err := s.Kill(); err != nil {
		t.Fatal(err)
	}
	if pid := s.PID(); pid != 0 {
		t.Errorf("still runs as %d", pid)
	}
}
