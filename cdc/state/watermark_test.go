package state

import (
	"sync"
	"testing"

	"changeover/internal/fault"
	"changeover/internal/sandbox"
	"changeover/internal/sandbox/sandboxtest"
)

func TestWatermarksGrowAndConcurrentCallersShareCommits(t *testing.T) {
	for name, s := range map[string]*sandboxtest.Server{
		"MySQL": sandboxtest.MySQLSource(t), "MariaDB": sandboxtest.MariaDBSource(t),
	} {
		t.Run(name, func(t *testing.T) {
			db := pool(t, s, sandbox.Changeover)
			must(t, Install(t.Context(), db, Source))
			w := NewWatermarker(db, "m"+name, newToken())
			first, err := w.Mark(t.Context())
			must(t, err)
			const callers, calls = 40, 20
			var wg sync.WaitGroup
			for range callers {
				wg.Go(func() {
					last := first
					for range calls {
						n, err := w.Mark(t.Context())
						if err != nil || n <= last {
							t.Errorf("%d after %d: %v", n, last, err)
							return
						}
						last = n
					}
				})
			}
			wg.Wait()
			last, err := NewWatermarker(db, "m"+name, newToken()).Mark(t.Context())
			must(t, err)
			if commits := last - first; commits > callers*calls/2 {
				t.Errorf("%d commits for %d calls", commits, callers*calls)
			}
			seen, err := w.Read(t.Context(), db)
			if err != nil || seen != last {
				t.Errorf("read %d of %d: %v", seen, last, err)
			}
		})
	}
}

func TestAWatermarkIsNotTrustedWhenCommitsAreNotInOrder(t *testing.T) {
	s := sandboxtest.Fresh(t, sandbox.Spec{Role: sandbox.Source})
	db := pool(t, s, sandbox.Changeover)
	must(t, Install(t.Context(), db, Source))
	w := NewWatermarker(db, "order", newToken())
	if _, err := w.Mark(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.Exec(t, "SET GLOBAL binlog_order_commits = OFF")
	if _, err := w.Mark(t.Context()); !fault.Is(err, fault.SnapshotOrder) {
		t.Fatalf("with binlog_order_commits=OFF: %v", err)
	}
	s.Exec(t, "SET GLOBAL binlog_order_commits = ON", "SET GLOBAL binlog_format = STATEMENT")
	if _, err := NewWatermarker(pool(t, s, sandbox.Changeover), "order", newToken()).Mark(t.Context()); !fault.Is(err, fault.SnapshotOrder) {
		t.Fatalf("with binlog_format=STATEMENT: %v", err)
	}
}
