package cdc

import (
	"context"
	"database/sql"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"testing"

	"changeover/internal/sandbox"
	"changeover/internal/sandbox/sandboxtest"
)

// address is one name for whichever server has the role: what a DNS name is to an application. A
// server that loses the name loses its connections with it.
type address struct {
	listener net.Listener
	mu       sync.Mutex
	to       string
	open     []net.Conn
}

func newAddress(t testing.TB, to string) (*address, int) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	a := &address{listener: l, to: to}
	var all sync.WaitGroup
	all.Go(func() { a.accept(&all) })
	t.Cleanup(func() { _ = l.Close(); a.point(""); all.Wait() })
	return a, l.Addr().(*net.TCPAddr).Port
}

// point gives the name to another server; to nobody if to is empty.
func (a *address) point(to string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.to = to
	for _, c := range a.open {
		_ = c.Close()
	}
	a.open = nil
}

func (a *address) accept(all *sync.WaitGroup) {
	for {
		client, err := a.listener.Accept()
		if err != nil {
			return
		}
		a.mu.Lock()
		server, err := net.Dial("tcp", a.to)
		if err != nil {
			_ = client.Close()
			a.mu.Unlock()
			continue
		}
		a.open = append(a.open, client, server)
		a.mu.Unlock()
		for _, way := range [][2]net.Conn{{client, server}, {server, client}} {
			all.Go(func() {
				_, _ = io.Copy(way[0], way[1])
				_ = way[0].Close()
				_ = way[1].Close()
			})
		}
	}
}

// replicaOf makes a server that follows another and has its password for Changeover's account.
func replicaOf(t *testing.T, src *sandboxtest.Server, spec sandbox.Spec) *sandboxtest.Server {
	t.Helper()
	r := sandboxtest.Fresh(t, spec, sandboxtest.Durable)
	password, err := src.Password(sandbox.Changeover)
	if err != nil {
		t.Fatal(err)
	}
	follow := fmt.Sprintf("CHANGE REPLICATION SOURCE TO SOURCE_HOST='%s', SOURCE_PORT=%d, SOURCE_USER='changeover', SOURCE_PASSWORD='%s', SOURCE_AUTO_POSITION=1, GET_SOURCE_PUBLIC_KEY=1", src.Host, src.Port, password)
	start := "START REPLICA"
	if r.Flavor == sandbox.MariaDB {
		follow = fmt.Sprintf("CHANGE MASTER TO MASTER_HOST='%s', MASTER_PORT=%d, MASTER_USER='changeover', MASTER_PASSWORD='%s', MASTER_USE_GTID=slave_pos", src.Host, src.Port, password)
		start = "START SLAVE"
	}
	r.Exec(t, "SET SESSION sql_log_bin = 0", "ALTER USER 'changeover'@'%' IDENTIFIED BY '"+password+"'", follow, start)
	return r
}

// promote waits until the replica has all of the source, whose writers are gone, and ends following.
func promote(t *testing.T, src, r *sandboxtest.Server) {
	t.Helper()
	var has string
	executed, reached, stop := "SELECT @@GLOBAL.gtid_executed", "SELECT GTID_SUBSET(?, @@GLOBAL.gtid_executed)", []string{"STOP REPLICA", "RESET REPLICA ALL"}
	if r.Flavor == sandbox.MariaDB {
		executed, reached, stop = "SELECT @@GLOBAL.gtid_binlog_pos", "SELECT MASTER_GTID_WAIT(?, 20) = 0", []string{"STOP SLAVE", "RESET SLAVE ALL"}
	}
	if err := src.DB(t, sandbox.Root).QueryRow(executed).Scan(&has); err != nil {
		t.Fatal(err)
	}
	db := r.DB(t, sandbox.Root)
	eventually(t, "the replica has everything", func() bool {
		var ok sql.NullBool
		return db.QueryRow(reached, has).Scan(&ok) == nil && ok.Bool
	})
	r.Exec(t, stop...)
}

// A source fails over to its replica, in the middle of the copy, in the middle of the stream, or while
// nobody runs: by GTID the stream goes on there.
func TestASourceThatFailsOverToItsReplicaIsFollowed(t *testing.T) {
	t.Parallel()
	target := sandboxtest.Target(t)
	for name, spec := range map[string]sandbox.Spec{"mysql": {Role: sandbox.Source}, "mariadb": {Role: sandbox.Source, Flavor: sandbox.MariaDB}} {
		for _, when := range []string{"in the copy", "in the stream", "while stopped"} {
			t.Run(name+" "+when, func(t *testing.T) {
				t.Parallel()
				const n = 1500
				m := newMigration(t, sandboxtest.Fresh(t, spec, sandboxtest.Durable), target, crashSchema(n)...)
				second := replicaOf(t, m.src, spec)
				way, port := newAddress(t, fmt.Sprintf("%s:%d", m.src.Host, m.src.Port))
				o := m.crashOptions(Forever)
				o.Source.Port = port

				stop := m.load(2, paced(t, 100, counted(n, adverse(n))))
				r := m.begin(o)
				r.copied(n / 2)
				if when == "in the copy" {
					r.Pause()
				} else {
					r.applied(20)
				}
				stop()
				if when == "while stopped" {
					r.end()
				}
				way.point("") // no watermark comes in between
				promote(t, m.src, second)
				m.must(m.src.Kill())
				way.point(fmt.Sprintf("%s:%d", second.Host, second.Port))
				m.from = second.DBIn(t, sandbox.Root, m.name)
				if when == "while stopped" {
					r = m.begin(o)
				}
				r.Resume()
				rng, write := rand.New(rand.NewPCG(1, 2)), counted(n, adverse(n))
				before := r.until("the status", func(s Status) bool { return s.Phase != "starting" }).Stream.Transactions
				for range 50 {
					tx, err := m.from.BeginTx(context.Background(), nil)
					m.must(err)
					if write(rng, tx) != nil {
						_ = tx.Rollback()
						continue
					}
					m.must(tx.Commit())
				}
				r.until("the stream's going on", func(s Status) bool { return s.Phase == phaseStreaming && s.Stream.Transactions >= before+20 })
				r.end()
				o.Until = CaughtUp
				m.must(New(o).Run(t.Context()))
				m.equal()
			})
		}
	}
}
