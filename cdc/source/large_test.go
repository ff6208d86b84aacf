package source

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"testing"
	"time"

	"changeover/internal/sandbox"
	"changeover/internal/sandbox/sandboxtest"
)

// million inserts n million rows in one transaction.
func million(db string, n int) string {
	digits := "(SELECT 0 d UNION SELECT 1 UNION SELECT 2 UNION SELECT 3 UNION SELECT 4 UNION SELECT 5 UNION SELECT 6 UNION SELECT 7 UNION SELECT 8 UNION SELECT 9)"
	from := ""
	for _, a := range "abcdef" {
		from += fmt.Sprintf("%s %c JOIN ", digits, a)
	}
	last := "(SELECT 0 d"
	for i := 1; i < n; i++ {
		last += fmt.Sprintf(" UNION SELECT %d", i)
	}
	return "INSERT INTO " + db + ".t SELECT a.d+10*b.d+100*c.d+1000*d.d+10000*e.d+100000*f.d+1000000*g.d, 'some text', 7, 1.5 FROM " + from + last + ") g"
}

// resident is the process's memory in the machine's eyes; 0 where that can't be read.
func resident() int64 {
	status, _ := os.ReadFile("/proc/self/status")
	_, rest, _ := bytes.Cut(status, []byte("VmRSS:"))
	kb, _, _ := bytes.Cut(bytes.TrimSpace(rest), []byte(" "))
	n, _ := strconv.ParseInt(string(kb), 10, 64)
	return n << 10
}

// watchMemory gives the most memory, over what there is now, that is seen until peak is called.
func watchMemory() (peak func() int64) {
	debug.FreeOSMemory()
	before := resident()
	done, most := make(chan struct{}), make(chan int64)
	go func() {
		var top int64
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-done:
				most <- top
				return
			case <-tick.C:
				top = max(top, resident()-before)
			}
		}
	}()
	return func() int64 { close(done); return <-most }
}

// drain reads one transaction, and forgets its rows at once.
func (h *harness) drain() (id string, images int, large bool) {
	h.t.Helper()
	tx, err := h.Next(h.t.Context())
	if err != nil {
		h.t.Fatal(err)
	}
	h.passed.Advance(tx)
	for _, r := range tx.Rows {
		images += len(r.Images)
	}
	for tx.Large {
		rows, err := tx.More(h.t.Context())
		if err == io.EOF {
			break
		}
		if err != nil {
			h.t.Fatal(err)
		}
		for _, r := range rows {
			images += len(r.Images)
		}
	}
	return tx.ID, images, tx.Large
}

// waitFull lets the reader fill its queue, as if the consumer rested; rows of 16 MB fill it in steps.
func waitFull(h *harness) {
	for deadline := time.Now().Add(5 * time.Second); h.Stats().Queued < 20<<20 && time.Now().Before(deadline); {
		time.Sleep(5 * time.Millisecond)
	}
}

// Memory is bounded by configuration, never by a transaction (invariant 7). It is the machine's
// view of the whole test process, less what it was before.
func TestALargeTransactionStaysInBoundedMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("writes 2,000,000 rows three times")
	}
	mySQL := func(t testing.TB) *sandboxtest.Server {
		return sandboxtest.Fresh(t, sandbox.Spec{Role: sandbox.Source})
	}
	const bound = 150 << 20
	for _, c := range []struct {
		name    string
		start   func(testing.TB) *sandboxtest.Server
		prepare []string
		insert  func(db string) string
		images  int
		bound   int64
	}{
		{"2,000,000 rows", mySQL, nil, func(db string) string { return million(db, 2) }, 2_000_000, bound},
		{"2,000,000 rows, compressed", mySQL, []string{"SET SESSION binlog_transaction_compression=1"},
			func(db string) string { return million(db, 2) }, 2_000_000, bound},
		{"2,000,000 rows, MariaDB", func(t testing.TB) *sandboxtest.Server {
			return sandboxtest.Fresh(t, sandbox.Spec{Role: sandbox.Source}, sandboxtest.MariaDB)
		}, nil, func(db string) string { return million(db, 2) }, 2_000_000, bound},
		{"twelve rows of 16 MB", mySQL, []string{"SET SESSION cte_max_recursion_depth=100000000"}, func(db string) string {
			return "INSERT INTO " + db + ".big WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i+1 FROM n WHERE i<12) SELECT i, REPEAT('x', 16000000) FROM n"
		}, 12, bound},
	} {
		t.Run(c.name, func(t *testing.T) {
			source := c.start(t)
			db := source.Database(t)
			source.Exec(t, "CREATE TABLE "+db+".t (id INT PRIMARY KEY, a VARCHAR(20), b INT, c DOUBLE)",
				"CREATE TABLE "+db+".big (id INT PRIMARY KEY, b LONGBLOB)")
			h := &harness{t: t, source: source, db: source.DB(t, sandbox.Root), flavor: flavorOf(source)}
			start, err := Current(t.Context(), h.db, h.flavor)
			if err != nil {
				t.Fatal(err)
			}
			source.Exec(t, append(c.prepare, c.insert(db))...)
			peak := watchMemory()
			began, cpu := time.Now(), cpuTime()
			h.run(ReaderConfig{Endpoint: endpoint(t, source, sandbox.Changeover), Flavor: h.flavor, Start: start})
			waitFull(h)
			_, images, large := h.drain()
			took, most := time.Since(began), peak()
			if images != c.images || !large {
				t.Errorf("%d images, large %v", images, large)
			}
			t.Logf("%d images in %v (%.0f/s), %v of CPU, %d MiB received, at most %d MiB",
				images, took.Round(time.Millisecond), float64(images)/took.Seconds(), cpuTime()-cpu, h.Stats().Bytes>>20, most>>20)
			if most > c.bound {
				t.Errorf("took %d MiB, more than %d", most>>20, c.bound>>20)
			}
			runtime.KeepAlive(h)
		})
	}
}
