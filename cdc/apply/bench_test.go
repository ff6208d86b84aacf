package apply

import (
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"changeover/cdc/row"
	"changeover/cdc/schedule"
	"changeover/cdc/state"
	"changeover/internal/sandbox"
	"changeover/internal/sandbox/sandboxtest"
	"changeover/internal/server"
)

// sbtest is sysbench's table with n rows.
func (b *bench) sbtest(n int) *row.Table {
	t := b.table("sbtest1", "id INT PRIMARY KEY AUTO_INCREMENT, k INT NOT NULL DEFAULT 0, c CHAR(120) NOT NULL DEFAULT '',"+
		" pad CHAR(60) NOT NULL DEFAULT '', KEY k_1 (k)")
	for from := 1; from <= n; from += 5000 {
		q := []byte("INSERT INTO " + server.Name(b.schema, "sbtest1") + " VALUES ")
		for id := from; id < from+5000 && id <= n; id++ {
			if id > from {
				q = append(q, ',')
			}
			q = fmt.Appendf(q, "(%d,%d,'%s','%s')", id, id, digits(119), digits(59))
		}
		b.exec(string(q))
	}
	return t
}

func digits(n int) string { return strings.Repeat("68487932199-", n/12+1)[:n] }

// updates is a transaction that changes k and c of n rows, of every eighth row from number part on,
// as the scheduler sees to it that no two workers have the same row.
func updates(t *row.Table, seq uint64, n, size, part int) *schedule.Tx {
	tx := &schedule.Tx{Seq: seq, ID: fmt.Sprintf("3e11fa47-71ca-11e1-9e33-c80aa9429562:%d", seq)}
	for range n {
		id := fmt.Sprint(1 + rand.IntN(size/8)*8 + part)
		before := vals(id, "5", digits(119), digits(59))
		after := vals(id, fmt.Sprint(rand.IntN(size)), digits(118)+"x", digits(59))
		tx.Changes = append(tx.Changes, row.Change{Table: t, Before: before, After: after})
	}
	return tx
}

// BenchmarkTarget is the rate at which eight writers change rows of a durable target, in batches
// of so many transactions of four changes each, as sysbench's oltp_write_only has them.
func BenchmarkTarget(b *testing.B) {
	h := newBench(b, sandboxtest.Shared(b, sandbox.Spec{Role: sandbox.Target, Aurora: true}, sandboxtest.Durable))
	const size, perTx, writers = 200_000, 4, 8
	t := h.sbtest(size)
	for _, txs := range []int{1, 50, 125, 500} {
		for _, statement := range []int{64 << 10, 1 << 20} {
			if txs < 100 && statement > 64<<10 {
				continue
			}
			b.Run(fmt.Sprintf("txs=%d/statement=%dk", txs, statement>>10), func(b *testing.B) {
				var seq atomic.Uint64
				seq.Store(h.seq.Add(1 << 32))
				var left atomic.Int64
				left.Store(int64(b.N))
				var changes atomic.Int64
				var wg sync.WaitGroup
				cpu := h.cpu()
				b.ResetTimer()
				for i := range writers {
					w := NewWriter(WriterConfig{DB: h.db, Lease: h.lease, Worker: 1000 + i, Log: h.log(), Statement: statement})
					wg.Go(func() {
						defer func() { _ = w.Close() }()
						for left.Add(-1) >= 0 {
							var batch []*schedule.Tx
							for range txs {
								batch = append(batch, updates(t, seq.Add(1), perTx, size, i))
							}
							r, err := w.Apply(b.Context(), batch)
							if err != nil {
								b.Error(err)
								return
							}
							changes.Add(int64(r.Changes))
						}
					})
				}
				wg.Wait()
				b.ReportMetric(float64(changes.Load())/b.Elapsed().Seconds(), "changes/s")
				b.ReportMetric(float64((h.cpu()-cpu).Microseconds())/float64(changes.Load()), "target-µs/change")
			})
		}
	}
}

// cpu is the processor time that the server has used, which other work on the machine doesn't
// change much; 0 where there is no /proc.
func (b *bench) cpu() time.Duration {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", b.server.PID()))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	fields := strings.Fields(rest)
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * 10 * time.Millisecond // ticks of 1/100 s
}

// BenchmarkSQL is the cost of making a batch's SQL, for each change.
func BenchmarkSQL(b *testing.B) {
	t := &row.Table{Schema: "s", Name: "sbtest1", Columns: []row.Column{{Name: "id", Kind: row.Int}, {Name: "k", Kind: row.Int},
		{Name: "c", Kind: row.String, Charset: "utf8mb4"}, {Name: "pad", Kind: row.String, Charset: "utf8mb4"}},
		Keys: []row.Key{{Name: "PRIMARY", Primary: true, Parts: []row.KeyPart{{Column: 0}}}}}
	tx := updates(t, 1, 1000, 1_000_000, 0)
	m := newMerger()
	p := &packer{limit: 64 << 20, statement: 1 << 20, packet: 8 << 20, send: func(packet []byte) error {
		_, err := io.Discard.Write(packet)
		return err
	}}
	b.ReportAllocs()
	for n := 0; n < b.N; n += len(tx.Changes) {
		p.buf = state.AppendApplied(append(p.buf, state.AppliedInsert...), "m", tx.ID, 1, 1)
		if err := p.end(); err != nil {
			b.Fatal(err)
		}
		for i := range tx.Changes {
			if _, err := m.add(&tx.Changes[i]); err != nil {
				b.Fatal(err)
			}
		}
		if err := m.flush(p); err != nil {
			b.Fatal(err)
		}
		if err := p.flush(); err != nil {
			b.Fatal(err)
		}
	}
}
