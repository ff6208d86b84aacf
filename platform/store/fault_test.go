package store_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/rs/zerolog"

	"changeover/internal/sandbox"
	"changeover/internal/sandbox/sandboxtest"
	"changeover/migrations"
	"changeover/platform/platformtest"
	"changeover/platform/store"
)

// class is people who click Run, and save a project, until they are told to stop; each knows what
// was acknowledged.
type class struct {
	t       *testing.T
	p       *platformtest.Platform
	stop    context.CancelFunc
	group   sync.WaitGroup
	runs    atomic.Int64
	members []*member
}

type member struct {
	user    store.User
	project uuid.UUID
	runs    int
	saves   int
	lines   int
	epoch   uint64 // of the last acknowledged write
}

// begin seats so many people in front of the stores, in turn.
func begin(t *testing.T, p *platformtest.Platform, stores []*store.Store, people int) *class {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	c := &class{t: t, p: p, stop: stop}
	for i := range people {
		user, _ := somebody(t, p)
		m := &member{user: user, project: uuid.New()}
		if _, _, err := p.Store.NewProject(t.Context(), platformtest.Op("new"), user, m.project, "dance", "D", json.RawMessage(`{}`)); err != nil {
			t.Fatal(err)
		}
		c.members = append(c.members, m)
		c.group.Go(func() { c.play(ctx, stores[i%len(stores)], stores[(i+1)%len(stores)], m) })
	}
	t.Cleanup(func() { stop(); c.group.Wait() })
	return c
}

// play writes through s, and reads through s and another server's.
func (c *class) play(ctx context.Context, s, another *store.Store, m *member) {
	for ctx.Err() == nil {
		run := aRun(fmt.Sprintf("program %d", m.runs%7))
		op := platformtest.Op("run")
		var a store.Answer
		if !c.until(func(try context.Context) (err error) { _, a, err = s.Run(try, op, m.user, run); return err }) {
			return
		}
		if a.Epoch < m.epoch {
			c.t.Errorf("a write of epoch %d came after one of epoch %d", a.Epoch, m.epoch)
		}
		m.runs, m.lines, m.epoch = m.runs+1, m.lines+run.Lines, a.Epoch
		c.runs.Add(1)
		if !c.seen(s, m) || !c.seen(another, m) {
			return
		}
		save := platformtest.Op("save")
		if !c.until(func(try context.Context) error {
			version, _, err := s.SaveProject(try, save, m.user, m.project, uint32(1+m.saves), "D", json.RawMessage(`{}`), false)
			if err == nil && int(version) != m.saves+2 {
				err = fmt.Errorf("save %d made version %d", m.saves+1, version)
			}
			return err
		}) {
			return
		}
		m.saves++
	}
}

// seen reads what was acknowledged last.
func (c *class) seen(s *store.Store, m *member) bool {
	return c.until(func(try context.Context) error {
		s.Reach(try, m.epoch)
		levels, err := s.Progress(try, m.user, "maze")
		if err == nil && (len(levels) != 1 || int(levels[0].Attempts) != m.runs) {
			return fmt.Errorf("stale: after run %d of epoch %d the progress read is %+v", m.runs, m.epoch, levels)
		}
		return err
	})
}

// until sends the same operation again for as long as the answer is that nobody knows.
func (c *class) until(send func(context.Context) error) bool {
	for end := time.Now().Add(time.Minute); ; {
		try, cancel := context.WithTimeout(context.Background(), 3*time.Second)
		err := send(try)
		cancel()
		if err == nil {
			return true
		}
		if !errors.Is(err, store.ErrUnavailable) || time.Now().After(end) {
			c.t.Errorf("a request failed: %v", err)
			return false
		}
	}
}

// more waits for so many more runs.
func (c *class) more(n int64) {
	c.t.Helper()
	for from, end := c.runs.Load(), time.Now().Add(time.Minute); c.runs.Load() < from+n; time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) || c.t.Failed() {
			c.t.Fatalf("%d runs instead of %d within a minute", c.runs.Load()-from, n)
		}
	}
}

// settle ends the class and compares what was acknowledged with what is there.
func (c *class) settle() {
	c.t.Helper()
	c.stop()
	c.group.Wait()
	c.compare()
}

func (c *class) compare() {
	c.t.Helper()
	for _, m := range c.members {
		for what, want := range map[string]int{
			"SELECT COUNT(*) FROM activities WHERE user_id = ?":                        m.runs,
			"SELECT COALESCE(SUM(attempts), 0) FROM user_levels WHERE user_id = ?":     m.runs,
			"SELECT COALESCE(SUM(`lines`), 0) FROM activities WHERE user_id = ?":       m.lines,
			"SELECT total_lines FROM users WHERE id = ?":                               m.lines,
			"SELECT CAST(SUM(version) AS SIGNED) - 1 FROM projects WHERE owner_id = ?": m.saves,
		} {
			if n := c.p.Int(c.t, what, m.user.ID); n != want {
				c.t.Errorf("%s: %d, but %d were acknowledged", what, n, want)
			}
		}
	}
}

func TestConnectionsThatAreKilledLoseAndDoubleNothing(t *testing.T) {
	flavors(t, func(t *testing.T, p *platformtest.Platform) {
		c := begin(t, p, []*store.Store{p.Store, p.NewStore(t)}, 12)
		for range 60 {
			c.more(5)
			killAll(t, p)
		}
		c.settle()
		t.Logf("%d runs, %+v", c.runs.Load(), p.Store.Meter().Read().Total)
	})
}

// killAll ends all sessions of the application but this one's, at COMMIT and everywhere else.
func killAll(t *testing.T, p *platformtest.Platform) {
	t.Helper()
	rows, err := p.DB.Query("SELECT id FROM information_schema.processlist WHERE db = DATABASE() AND id <> CONNECTION_ID()")
	if err != nil {
		t.Fatal(err)
	}
	var ids []uint64
	for rows.Next() {
		var id uint64
		if err := rows.Scan(&id); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	_ = rows.Close()
	for _, id := range ids {
		_, _ = p.DB.Exec(fmt.Sprintf("KILL %d", id)) // it may be gone, or be this very one
	}
}

func TestAServerThatIsReadOnlyIsWaitedFor(t *testing.T) {
	t.Parallel()
	for name, flavor := range map[string][]sandboxtest.Option{"MySQL": nil, "MariaDB": {sandboxtest.MariaDB}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			on := sandboxtest.Fresh(t, sandbox.Spec{Role: sandbox.Source}, flavor...)
			p := platformtest.New(t, on)
			c := begin(t, p, []*store.Store{p.Store}, 4)
			for range 3 {
				c.more(20)
				on.Exec(t, "SET GLOBAL read_only = ON")
				waits(t, p)
				on.Exec(t, "SET GLOBAL read_only = OFF")
			}
			c.more(20)
			c.settle()
		})
	}
}

// waits for a write to be tried again.
func waits(t *testing.T, p *platformtest.Platform) {
	t.Helper()
	for from, end := p.Store.Meter().Read().Total.Retries, time.Now().Add(20*time.Second); p.Store.Meter().Read().Total.Retries < from+10; time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("no write was tried again")
		}
	}
}

func TestAServerThatIsKilledAndComesBackIsWaitedFor(t *testing.T) {
	t.Parallel()
	for name, opts := range map[string][]sandboxtest.Option{"MySQL": {sandboxtest.Durable}, "MariaDB": {sandboxtest.Durable, sandboxtest.MariaDB}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			on := sandboxtest.Fresh(t, sandbox.Spec{Role: sandbox.Source}, opts...)
			p := platformtest.New(t, on)
			c := begin(t, p, []*store.Store{p.Store}, 6)
			for range 2 {
				c.more(30)
				if err := on.Kill(); err != nil {
					t.Fatal(err)
				}
				if err := on.Restart(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			c.more(30)
			c.settle()
		})
	}
}

// The schema's own migrations pass under a class that goes on, served by servers that notice each
// step at another time.
func TestTheSchemaIsMigratedUnderTheClass(t *testing.T) {
	t.Parallel()
	for name, on := range map[string]func(testing.TB, ...sandboxtest.Option) *sandboxtest.Server{
		"MySQL": sandboxtest.MySQLSource, "MariaDB": sandboxtest.MariaDBSource} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := platformtest.New(t, on(t), 7)
			teacher := person(t, p, store.Teacher, "teacher")
			_, _, err := p.Store.NewSection(t.Context(), platformtest.Op("emoji"), teacher, "5b 🦊", "maze")
			refused(t, err, store.BadValue)
			must[store.Section](t)(second(p.Store.NewSection(t.Context(), platformtest.Op("old"), teacher, "Ωmega", "maze")))
			c := begin(t, p, []*store.Store{p.Store, p.NewStore(t), p.NewStore(t)}, 9)
			c.more(50)
			at := p.At
			at.MultiStatements = true
			db, err := store.Open(at)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = db.Close() }()
			if err := migrations.Up(t.Context(), db, 0, zerolog.Nop()); err != nil {
				t.Fatal(err)
			}
			c.more(50)
			c.settle()
			must[store.Section](t)(second(p.Store.NewSection(t.Context(), platformtest.Op("now"), teacher, "5b 🦊", "maze")))
			names := must[[]store.Section](t)(p.Store.Sections(t.Context(), teacher))
			if len(names) != 2 || names[0].Name != "5b 🦊" || names[1].Name != "Ωmega" {
				t.Errorf("the sections are %+v", names)
			}
			var kind string
			if err := p.DB.QueryRow("SELECT DATA_TYPE FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = 'activities' AND COLUMN_NAME = 'id'").Scan(&kind); err != nil || kind != "bigint" {
				t.Errorf("the id is %s, %v", kind, err)
			}
		})
	}
}

func TestWhileBothTablesAreThereARunIsInBoth(t *testing.T) {
	t.Parallel()
	p := platformtest.New(t, sandboxtest.MySQLSource(t), 11)
	user, _ := somebody(t, p)
	must[store.Ran](t)(second(p.Store.Run(t.Context(), platformtest.Op("run"), user, aRun("a"))))
	if n := p.Int(t, "SELECT COUNT(*) FROM activities a JOIN activities_wide w USING (id, op_id, user_id, `lines`, created_at)"); n != 1 {
		t.Errorf("%d runs are in both", n)
	}
}
