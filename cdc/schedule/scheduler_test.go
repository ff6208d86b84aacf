package schedule

import (
	"context"
	"fmt"
	"strconv"
	"testing"
	"time"

	"pgregory.net/rapid"

	"changeover/cdc/row"
)

// history makes transactions that a source could have committed, one after another.
func history(t *rapid.T, table *row.Table) []*Tx {
	rows := newContent(1)
	tables := []*row.Table{table}
	var txs []*Tx
	for seq := range rapid.IntRange(1, 40).Draw(t, "transactions") {
		tx := &Tx{Seq: uint64(seq + 1), ID: strconv.Itoa(seq + 1), Bytes: 1}
		for range rapid.IntRange(1, 4).Draw(t, "changes") {
			id := row.Value(strconv.Itoa(rapid.IntRange(0, 8).Draw(t, "id")))
			r := row.Row{id, row.Value(strconv.Itoa(rapid.IntRange(0, 6).Draw(t, "u"))), row.Value(strconv.Itoa(seq))}
			before := rows[0][exact(table, r)]
			if before != nil && rapid.Bool().Draw(t, "delete") {
				r = nil
			}
			ch := row.Change{Table: table, Before: before, After: r}
			if rows.apply(tables, ch) == nil {
				tx.Changes = append(tx.Changes, ch)
			}
		}
		txs = append(txs, tx)
	}
	return txs
}

func TestAnyInterleavingEndsAsTheSerialOrderDoes(t *testing.T) {
	table := simTables()[0]
	tables := []*row.Table{table}
	rapid.Check(t, func(t *rapid.T) {
		txs := history(t, table)
		want := newContent(1)
		for _, tx := range txs {
			for _, ch := range tx.Changes {
				if err := want.apply(tables, ch); err != nil {
					t.Fatal(err)
				}
			}
		}
		workers := rapid.IntRange(1, 4).Draw(t, "workers")
		var order []uint64
		s := New(Options{Workers: workers, BatchBytes: 100, BatchChanges: rapid.IntRange(1, 10).Draw(t, "batch"),
			Applied: func(tx *Tx) { order = append(order, tx.Seq) }}, 0)
		if err := s.SetTable(table, []row.Range{{}}); err != nil {
			t.Fatal(err)
		}
		got, inFlight, next := newContent(1), map[int]*Batch{}, 0
		seen := map[string]uint64{} // the last transaction that touched each row
		for next < len(txs) || !s.Idle() {
			if w := rapid.IntRange(-1, workers-1).Draw(t, "step"); w < 0 || s.Idle() {
				if next < len(txs) {
					s.Submit(txs[next])
					next++
				}
			} else if b := inFlight[w]; b != nil {
				delete(inFlight, w)
				s.Committed(b)
			} else if b := s.Take(w); b != nil {
				inFlight[w] = b
				for _, tx := range b.Txs {
					for _, ch := range tx.Changes {
						if err := got.apply(tables, ch); err != nil {
							t.Fatalf("transaction %d: %v", tx.Seq, err)
						}
						image := ch.After
						if image == nil {
							image = ch.Before
						}
						if k := exact(table, image); seen[k] > tx.Seq {
							t.Fatalf("row %s: transaction %d after %d", image[0], tx.Seq, seen[k])
						} else {
							seen[k] = tx.Seq
						}
					}
				}
			}
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Fatalf("got %v, want %v", got, want)
		}
		for i, seq := range order {
			if seq != uint64(i+1) {
				t.Fatalf("applied %v: not the stream's order", order)
			}
		}
	})
}

func change(table *row.Table, id, u string) row.Change {
	return row.Change{Table: table, After: row.Row{row.Value(id), row.Value(u), row.Value("0")}}
}

func TestConflictsWithOneWorkerJoinItsQueueAndWithTwoWait(t *testing.T) {
	table := simTables()[0]
	s := New(Options{Workers: 2, BatchBytes: 100, BatchChanges: 1}, 0)
	if err := s.SetTable(table, []row.Range{{}}); err != nil {
		t.Fatal(err)
	}
	submit := func(seq uint64, changes ...row.Change) {
		s.Submit(&Tx{Seq: seq, ID: strconv.FormatUint(seq, 10), Changes: changes, Bytes: 1})
	}
	submit(1, change(table, "1", "1"))
	submit(2, change(table, "2", "2"))
	submit(3, change(table, "1", "1"))                          // behind 1
	submit(4, change(table, "1", "1"), change(table, "2", "2")) // behind both
	submit(5, change(table, "2", "2"))                          // behind 4, which has no worker yet
	first, second := s.Take(0), s.Take(1)
	if first == nil || second == nil || first.Txs[0].Seq != 1 || second.Txs[0].Seq != 2 {
		t.Fatalf("took %v and %v", first, second)
	}
	s.Committed(second)
	if b := s.Take(1); b != nil {
		t.Fatalf("transaction %d does not wait for the other worker", b.Txs[0].Seq)
	}
	s.Committed(first)
	var rest []uint64
	for b := s.Take(0); b != nil; b = s.Take(0) {
		rest = append(rest, b.Txs[0].Seq)
		s.Committed(b)
	}
	if fmt.Sprint(rest) != "[3 4 5]" || !s.Idle() {
		t.Fatalf("then %v, idle %v", rest, s.Idle())
	}
}

func TestAWildKeyConflictsWithEveryHolderOfItsIndex(t *testing.T) {
	table := simTables()[0]
	table.Keys[1].Parts = []row.KeyPart{{Column: -1}} // over an expression: it may equal anything
	s := New(Options{Workers: 4, BatchBytes: 100, BatchChanges: 10}, 0)
	if err := s.SetTable(table, []row.Range{{}}); err != nil {
		t.Fatal(err)
	}
	for seq := uint64(1); seq <= 3; seq++ {
		id := strconv.FormatUint(seq, 10)
		s.Submit(&Tx{Seq: seq, ID: id, Changes: []row.Change{change(table, id, id)}, Bytes: 1})
	}
	b := s.Take(0)
	if b == nil || len(b.Txs) != 3 {
		t.Fatalf("one worker should have all three, in order: %v", b)
	}
}

func TestSubmitWaitsForMemory(t *testing.T) {
	table := simTables()[0]
	s := New(Options{Workers: 1, BatchBytes: 100, BatchChanges: 10}, 0)
	if err := s.SetTable(table, []row.Range{{}}); err != nil {
		t.Fatal(err)
	}
	f := NewFlow(s, 10)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := f.Submit(ctx, &Tx{Seq: 1, Changes: []row.Change{change(table, "1", "1")}, Bytes: 8}); err != nil {
		t.Fatal(err)
	}
	full, stop := context.WithCancel(ctx)
	stop()
	if err := f.Submit(full, &Tx{Seq: 2, Bytes: 8}); err == nil {
		t.Fatal("submitted past the memory bound")
	}
	done := make(chan error, 1)
	go func() { done <- f.Submit(ctx, &Tx{Seq: 2, Bytes: 8}) }()
	b, err := f.Take(ctx, 0)
	if err != nil {
		t.Fatal(err)
	}
	f.Committed(b)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if err := f.WaitApplied(ctx, 2); err != nil {
		t.Fatal(err)
	}
}

// The row that fills a chunk's budget may be the last of its range. A rest without a key in it would
// be taken for a part of its neighbour when it is registered again.
func TestAChunkThatIsCutAtItsEndLeavesNoRest(t *testing.T) {
	table := simTables()[0]
	s := New(Options{Workers: 1}, 0)
	if err := s.SetTable(table, nil); err != nil {
		t.Fatal(err)
	}
	name := Name{table.Schema, table.Name}
	high := row.Row{row.Value("10")}
	c, err := s.Register(name, row.Range{High: high})
	if err != nil {
		t.Fatal(err)
	}
	rest, err := s.Cut(c, row.Row{row.Value("10")})
	if err != nil || rest != nil {
		t.Fatalf("the rest is %+v, %v", rest, err)
	}
	if got := s.Untouched(name); len(got) != 1 || string(got[0].Low[0]) != "10" || got[0].High != nil {
		t.Errorf("untouched is %v", got)
	}
}
