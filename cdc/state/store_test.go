package state

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"changeover/internal/fault"
	"changeover/internal/sandbox"
	"changeover/internal/sandbox/sandboxtest"
)

func TestAStoreWithoutALeaseOnlyReads(t *testing.T) {
	db, migration := target(t)
	s := Open(db, migration)
	if err := s.SetPhase(t.Context(), "copy"); err == nil {
		t.Fatal("it writes")
	}
	if _, ok, err := s.Load(t.Context()); ok || err != nil {
		t.Fatal(ok, err)
	}
	if _, ok, err := s.Position(t.Context()); ok || err != nil {
		t.Fatal(ok, err)
	}
	if _, ok, err := s.Lease(t.Context()); ok || err != nil {
		t.Fatal(ok, err)
	}
}

func TestAMigrationIsRecordedOnce(t *testing.T) {
	db, migration := target(t)
	s := held(t, db, migration).Store()
	first, err := s.Begin(t.Context(), `{"uuid":"it's \\"}`, "copy", "c1")
	if err != nil || first.UUID == "" || time.Since(first.Created).Abs() > time.Minute {
		t.Fatalf("%+v, %v", first, err)
	}
	again, err := s.Begin(t.Context(), "other", "other", "c2")
	if err != nil || again != first {
		t.Fatalf("%+v is not %+v, %v", again, first, err)
	}
	if err := s.SetPhase(t.Context(), "stream"); err != nil {
		t.Fatal(err)
	}
	if m, _, err := s.Load(t.Context()); err != nil || m.Phase != "stream" {
		t.Fatal(m, err)
	}
}

func TestTheAppliedPositionNeverGoesBackAndForgetsTheIdsBehindIt(t *testing.T) {
	db, migration := target(t)
	s := held(t, db, migration).Store()
	must(t, s.StartStream(t.Context(), Position{Text: "start", Seq: 10}))
	q := []byte(AppliedInsert)
	for seq := uint64(11); seq <= 40; seq++ {
		if seq > 11 {
			q = append(q, ',')
		}
		q = AppendApplied(q, migration, fmt.Sprintf("u:%d", seq), seq, 1)
	}
	if _, err := db.ExecContext(t.Context(), string(q)); err != nil {
		t.Fatal(err)
	}
	must(t, s.SavePosition(t.Context(), Position{Text: "thirty", Seq: 30}))
	must(t, s.SavePosition(t.Context(), Position{Text: "twenty", Seq: 20}))
	p, ok, err := s.Position(t.Context())
	if err != nil || !ok || p.Text != "thirty" || p.Seq != 30 || time.Since(p.Updated).Abs() > time.Minute {
		t.Fatalf("%+v %v %v", p, ok, err)
	}
	left, err := s.Applied(t.Context())
	if err != nil || len(left) != 10 || left[0] != (Applied{"u:31", 31}) {
		t.Fatalf("%v %v", left, err)
	}
	n, err := CountApplied(t.Context(), db, migration, []string{"u:30", "u:31", "u:40", "u:41"})
	if err != nil || n != 2 {
		t.Fatal(n, err)
	}
}

func TestATableGoesThroughItsStatesAndOnlyThose(t *testing.T) {
	db, migration := target(t)
	s := held(t, db, migration).Store()
	must(t, s.PutTable(t.Context(), Table{ID: 7, Schema: "school", Name: "a", RowsExpected: 100, BytesExpected: 1000}))
	must(t, s.SetTableState(t.Context(), 7, Copying))
	for n := range uint64(3) {
		c := Chunk{Table: 7, Number: n, Low: []byte{byte(n)}, High: []byte{byte(n + 1)}, Rows: 10, Bytes: 100}
		if _, err := db.ExecContext(t.Context(), string(AppendChunkDone(nil, migration, c))); err != nil {
			t.Fatal(err)
		}
	}
	must(t, s.PutTable(t.Context(), Table{ID: 7, Schema: "school", Name: "renamed"}))
	must(t, s.SetTableState(t.Context(), 7, Complete))
	must(t, s.PutTable(t.Context(), Table{ID: 8, Schema: "school", Name: "born", State: Complete}))
	tables, err := s.Tables(t.Context())
	if err != nil || len(tables) != 2 || tables[1].Name != "renamed" || tables[1].Rows != 30 || tables[1].Bytes != 300 ||
		tables[1].RowsExpected != 100 || tables[1].State != Complete || tables[1].Started.IsZero() || tables[0].Finished.IsZero() {
		t.Fatalf("%+v %v", tables, err)
	}
	if err := s.SetTableState(t.Context(), 7, Indexing); err == nil {
		t.Fatal("a complete table goes back to indexing")
	}
	must(t, s.SetTableState(t.Context(), 7, Planned))
	if chunks, err := s.Chunks(t.Context(), 7); err != nil || len(chunks) != 0 {
		t.Fatalf("a table that starts over keeps chunks: %v %v", chunks, err)
	}
	must(t, s.DeleteTable(t.Context(), 7))
}

func TestChunksThatTouchBecomeOne(t *testing.T) {
	db, migration := target(t)
	s := held(t, db, migration).Store()
	k := func(b byte) []byte { return []byte{b} }
	for _, c := range []Chunk{
		{Table: 1, Number: 5, Low: nil, High: k(1)}, {Table: 1, Number: 1, Low: k(1), High: k(2)},
		{Table: 1, Number: 9, Low: k(2), High: k(3)}, {Table: 1, Number: 2, Low: k(5), High: k(6)},
		{Table: 1, Number: 3, Low: k(6), High: nil},
	} {
		c.Rows, c.Bytes = 1, 2
		if _, err := db.ExecContext(t.Context(), string(AppendChunkDone(nil, migration, c))); err != nil {
			t.Fatal(err)
		}
	}
	left, err := s.MergeChunks(t.Context(), 1)
	must(t, err)
	stored, err := s.Chunks(t.Context(), 1)
	must(t, err)
	for _, got := range [][]Chunk{left, stored} {
		slices.SortFunc(got, func(a, b Chunk) int { return int(a.Rows) - int(b.Rows) })
		if len(got) != 2 || got[0].Low[0] != 5 || got[0].High != nil || got[0].Rows != 2 ||
			got[1].Low != nil || got[1].High[0] != 3 || got[1].Rows != 3 || got[1].Bytes != 6 {
			t.Fatalf("%+v", got)
		}
	}
	done, err := ChunkDone(t.Context(), db, migration, 1, 2)
	if err != nil || !done {
		t.Fatal(done, err)
	}
}

func TestAnIntentBecomesAnAppliedTransaction(t *testing.T) {
	db, migration := target(t)
	s := held(t, db, migration).Store()
	must(t, s.StartStream(t.Context(), Position{}))
	in := Intent{ID: "u:5", Statement: "ALTER TABLE t ADD c TEXT COMMENT '\xe9'", Session: []byte("{}"), Fingerprint: []byte("before")}
	must(t, s.WriteIntent(t.Context(), in))
	later := in
	later.Fingerprint = []byte("after")
	must(t, s.WriteIntent(t.Context(), later))
	all, err := s.Intents(t.Context())
	if err != nil || len(all) != 1 || all[0].Statement != in.Statement || string(all[0].Fingerprint) != "before" {
		t.Fatalf("%+v %v", all, err)
	}
	for range 2 { // the second time as after a lost answer
		must(t, s.FinishIntent(t.Context(), "u:5", 5, 1))
	}
	if applied, err := s.Applied(t.Context()); err != nil || len(applied) != 1 {
		t.Fatal(applied, err)
	}
	must(t, s.WriteIntent(t.Context(), Intent{ID: "u:6", Statement: "DROP TABLE x"}))
	must(t, s.ClearIntent(t.Context(), "u:6"))
	if all, err := s.Intents(t.Context()); err != nil || len(all) != 0 {
		t.Fatal(all, err)
	}
}

func TestTheJournalIsReadInOrder(t *testing.T) {
	db, migration := target(t)
	s := held(t, db, migration).Store()
	for i := range 5 {
		must(t, s.Record(t.Context(), "view", fmt.Sprintf("view %d created, it's `fine` \\", i)))
	}
	got, err := s.Journal(t.Context(), 2)
	if err != nil || len(got) != 2 || got[0].Text != "view 3 created, it's `fine` \\" || got[1].Kind != "view" {
		t.Fatalf("%+v %v", got, err)
	}
}

func TestAnAccountThatMayNotCreateTheDatabaseIsToldSo(t *testing.T) {
	s := sandboxtest.Target(t)
	s.Exec(t, "CREATE USER IF NOT EXISTS 'reader'@'%' IDENTIFIED BY 'reader'", "GRANT SELECT ON *.* TO 'reader'@'%'")
	t.Cleanup(func() { s.Exec(t, "DROP USER 'reader'@'%'") })
	reader := openAs(t, s, "reader", "reader")
	if err := Install(t.Context(), reader, Source); !fault.Is(err, fault.StateDenied) {
		t.Fatal(err)
	}
}

func TestANewerLayoutIsLeftAlone(t *testing.T) {
	s := sandboxtest.Fresh(t, sandbox.Spec{Role: sandbox.Target, Aurora: true})
	db := pool(t, s, sandbox.Admin)
	if found, err := Installed(t.Context(), db); found || err != nil {
		t.Fatal(found, err)
	}
	must(t, Install(t.Context(), db, Target))
	must(t, Install(t.Context(), db, Target))
	if found, err := Installed(t.Context(), db); !found || err != nil {
		t.Fatal(found, err)
	}
	s.Exec(t, "UPDATE _changeover.version SET version = version + 1")
	if err := Install(t.Context(), db, Target); !fault.Is(err, fault.StateVersion) {
		t.Fatal(err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
