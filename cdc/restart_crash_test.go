package cdc

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"changeover/internal/sandbox"
	"changeover/internal/sandbox/sandboxtest"
)

// live is a runner in this process.
type live struct {
	*Runner
	m    *migration
	stop context.CancelFunc
	done chan struct{}
	err  error // once done is closed
}

// begin starts a runner, which ends with the test.
func (m *migration) begin(o Options) *live {
	m.t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	r := &live{Runner: New(o), m: m, stop: stop, done: make(chan struct{})}
	go func() {
		defer close(r.done)
		r.err = r.Run(ctx)
	}()
	m.t.Cleanup(func() { stop(); <-r.done })
	return r
}

// until waits until the status is as ok says.
func (r *live) until(what string, ok func(Status) bool) Status {
	r.m.t.Helper()
	return r.within(time.Minute, what, ok)
}

func (r *live) within(limit time.Duration, what string, ok func(Status) bool) Status {
	r.m.t.Helper()
	deadline := time.After(limit)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for {
		s := r.Status()
		if ok(s) {
			return s
		}
		select {
		case <-tick.C:
		case <-r.done:
			r.m.t.Fatalf("the run ended before %s: %v", what, r.err)
		case <-deadline:
			r.m.t.Fatalf("%s did not happen within %v; the status is %+v", what, limit, s)
		}
	}
}

// copied waits until so many rows are copied, by this or an earlier start.
func (r *live) copied(rows int64) {
	r.m.t.Helper()
	r.until("the copy's beginning", func(s Status) bool { return s.Phase == phaseCopying && s.Copy.Rows >= rows })
}

// applied waits until the stream goes on after the copy: so many transactions more.
func (r *live) applied(more int64) {
	r.m.t.Helper()
	s := r.until("the stream", func(s Status) bool { return s.Phase == phaseStreaming })
	r.until("the stream's going on", func(now Status) bool { return now.Stream.Transactions >= s.Stream.Transactions+more })
}

// end stops the runner as Ctrl-C does.
func (r *live) end() {
	r.m.t.Helper()
	r.stop()
	<-r.done
	if !errors.Is(r.err, context.Canceled) {
		r.m.t.Fatal(r.err)
	}
}

// interrupted runs a migration under load, does something to it in the middle of the copy and in
// the middle of the stream, and wants both sides equal afterwards.
func (m *migration) interrupted(during ...func()) {
	m.t.Helper()
	const n = 3000
	for _, q := range crashSchema(n) {
		m.exec(q)
	}
	stop := m.load(2, paced(m.t, 150, counted(n, adverse(n))))
	r := m.begin(m.crashOptions(Forever))
	for i, do := range during {
		if i == 0 {
			r.copied(n / 2)
		} else {
			r.applied(20)
		}
		do()
	}
	r.applied(20)
	stop()
	r.end()
	m.mustRun(CaughtUp)
	m.equal()
}

func freshTarget(t testing.TB) *sandboxtest.Server {
	return sandboxtest.Fresh(t, sandbox.Spec{Role: sandbox.Target, Aurora: true})
}

func (m *migration) must(err error) {
	m.t.Helper()
	if err != nil {
		m.t.Fatal(err)
	}
}

func TestATargetThatRestartsInTheMiddleIsOutlasted(t *testing.T) {
	t.Parallel()
	m := newMigration(t, sandboxtest.MySQLSource(t), freshTarget(t))
	crash := func() {
		m.must(m.dst.Kill())
		m.must(m.dst.Restart(t.Context()))
	}
	orderly := func() { m.must(m.dst.Restart(t.Context())) }
	m.interrupted(crash, orderly)
}

// A server with relaxed durability that crashes comes back without its last commits. What the runner
// remembers of them, and above all the applied position, must not be written over what it has.
func TestATargetThatComesBackOlderGetsAgainWhatItLost(t *testing.T) {
	t.Parallel()
	m := newMigration(t, sandboxtest.MySQLSource(t), freshTarget(t))
	backup := m.dst.DataDir + ".older"
	keep := func() {
		m.must(m.dst.Kill())
		m.must(copyFolder(backup, m.dst.DataDir))
		m.must(m.dst.Restart(t.Context()))
	}
	goBack := func() {
		m.must(m.dst.Kill())
		m.must(os.RemoveAll(m.dst.DataDir))
		m.must(os.Rename(backup, m.dst.DataDir))
		m.must(m.dst.Restart(t.Context()))
	}
	m.interrupted(keep, goBack)
}

// copyFolder copies a data directory of a server that does not run.
func copyFolder(to, from string) error {
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		switch {
		case d.IsDir():
			return os.MkdirAll(filepath.Join(to, rel), 0o700)
		case !d.Type().IsRegular():
			return nil
		}
		return exec.Command("cp", "--sparse=always", path, filepath.Join(to, rel)).Run()
	})
}

func TestASourceThatRestartsInTheMiddleIsOutlasted(t *testing.T) {
	t.Parallel()
	target := sandboxtest.Target(t)
	for name, spec := range map[string]sandbox.Spec{"mysql": {Role: sandbox.Source}, "mariadb": {Role: sandbox.Source, Flavor: sandbox.MariaDB}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newMigration(t, sandboxtest.Fresh(t, spec, sandboxtest.Durable), target)
			crash := func() {
				m.must(m.src.Kill())
				m.must(m.src.Restart(t.Context()))
			}
			m.interrupted(crash, func() { m.must(m.src.Restart(t.Context())) })
		})
	}
}
