package verify

import (
	"context"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"changeover/internal/fault"
	"changeover/internal/sandbox"
	"changeover/internal/sandbox/sandboxtest"
	"changeover/internal/server"
)

// eachSource runs a test with a source of either flavor.
func eachSource(t *testing.T, test func(t *testing.T, source *sandboxtest.Server)) {
	t.Run("from MySQL", func(t *testing.T) { test(t, sandboxtest.MySQLSource(t)) })
	t.Run("from MariaDB", func(t *testing.T) { test(t, sandboxtest.MariaDBSource(t)) })
}

func endpointOf(t testing.TB, s *sandboxtest.Server, a sandbox.Account) server.Endpoint {
	t.Helper()
	password, err := s.Password(a)
	if err != nil {
		t.Fatal(err)
	}
	return server.Endpoint{Host: s.Host, Port: s.Port, User: string(a), Password: password}
}

// standalone compares the test's database; what differs is looked at again at once.
func (s servers) standalone(t testing.TB) StandaloneOptions {
	return StandaloneOptions{
		Source: endpointOf(t, s.source, sandbox.Changeover), Target: endpointOf(t, s.target, sandbox.Admin),
		Databases: []string{s.database}, Limit: 20, Say: func(text string) { t.Log(text) },
	}
}

func runStandalone(t testing.TB, o StandaloneOptions) *Report {
	t.Helper()
	return runIt(t, NewStandalone(o))
}

func runIt(t testing.TB, run *Standalone) *Report {
	t.Helper()
	r, err := run.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// of is the report of one table.
func (r *Report) of(t testing.TB, table string) TableReport {
	t.Helper()
	for _, one := range r.Tables {
		if one.Table == table {
			return one
		}
	}
	t.Fatalf("no table %s in the report: %+v", table, r)
	return TableReport{}
}

// String says all of it: the Name's own would say the name.
func (r TableReport) String() string {
	return fmt.Sprintf("%s: %s %q, %d and %d rows, %d differ (more: %v), %d unsettled: %s", r.Name, r.Verdict, r.Reason, r.SourceRows, r.TargetRows,
		r.Different, r.AtLeast, r.Unsettled, describe(r.Differences))
}

// numbers fills a table t (id, v) with rows from one number to another.
func numbers(from, to int) string {
	return fmt.Sprintf(`INSERT INTO t (id, v) SELECT a.n + 1000 * b.n AS id, CONCAT('value ', a.n) FROM
		(SELECT ROW_NUMBER() OVER () - 1 AS n FROM information_schema.COLLATIONS a, information_schema.COLLATIONS b LIMIT 1000) a,
		(SELECT ROW_NUMBER() OVER () - 1 AS n FROM information_schema.COLLATIONS a, information_schema.COLLATIONS b LIMIT 1000) b
		WHERE a.n + 1000 * b.n BETWEEN %d AND %d`, from, to)
}

const numbered = "CREATE TABLE t (id int PRIMARY KEY, v varchar(30) CHARACTER SET utf8mb4)"

func TestStandaloneSaysWhichRowsDifferAndInWhat(t *testing.T) {
	eachSource(t, func(t *testing.T, source *sandboxtest.Server) {
		s := newServers(t, source)
		s.both(t, numbered, numbers(1, 30_000), "CREATE TABLE u (id int PRIMARY KEY)", "INSERT INTO u VALUES (1)")
		r := runStandalone(t, s.standalone(t))
		if r.Verdict() != Same || len(r.Tables) != 2 || r.of(t, "t").SourceRows != 30_000 || r.of(t, "t").TargetRows != 30_000 {
			t.Fatalf("equal servers: %+v", r)
		}
		s.exec(t, s.target, "UPDATE t SET v = NULL WHERE id = 7", "DELETE FROM t WHERE id = 29999", "INSERT INTO t VALUES (-5, 'extra')")
		r = runStandalone(t, s.standalone(t))
		got := r.of(t, "t")
		if r.Verdict() != Different || r.of(t, "u").Verdict != Same || got.Verdict != Different || got.Different != 3 || got.Unsettled != 0 || got.AtLeast {
			t.Errorf("three rows differ: %+v", r)
		}
		text := describe(got.Differences)
		for _, want := range []string{`id=7 1/1: v "value 7" ""; `, "id=29999 1/0:; ", "id=-5 0/1:; "} {
			if !strings.Contains(text, want) {
				t.Errorf("%q is not in %q", want, text)
			}
		}
		if d := got.Differences[slices.IndexFunc(got.Differences, func(d Difference) bool { return len(d.Columns) > 0 })]; d.Columns[0].Target != nil {
			t.Errorf("NULL is %q", d.Columns[0].Target)
		}
	})
}

func TestWhatIsNoPairOfTablesIsAFinding(t *testing.T) {
	s := newServers(t, sandboxtest.MySQLSource(t))
	s.both(t, "CREATE TABLE same (a int PRIMARY KEY)", "CREATE TABLE left_out (a int PRIMARY KEY)", "CREATE VIEW v AS SELECT * FROM same")
	s.exec(t, s.source, "CREATE TABLE only_source (a int)", "CREATE TABLE other (a int, b int)", "CREATE VIEW half AS SELECT 1 AS x", "INSERT INTO left_out VALUES (1)")
	s.exec(t, s.target, "CREATE TABLE only_target (a int)", "CREATE TABLE other (a int, c int)", "CREATE TABLE half (a int)")
	o := s.standalone(t)
	o.InScope = func(_, table string) bool { return table != "left_out" }
	r := runStandalone(t, o)
	reasons := map[string]string{}
	for _, one := range r.Tables {
		reasons[one.Table] = string(one.Verdict) + ": " + one.Reason
	}
	for table, want := range map[string]string{
		"same": "equal: ", "only_source": "different: no such table on the target", "only_target": "different: no such table on the source",
		"other": "different: column 2 is b on the source, c on the target", "half": "different: a view on the source",
	} {
		if reasons[table] != want {
			t.Errorf("%s is %q, not %q", table, reasons[table], want)
		}
	}
	if len(reasons) != 5 || r.Verdict() != Different {
		t.Errorf("%v, %s", reasons, r.Verdict())
	}
	if len(r.Skipped) != 1 || r.Skipped[0].Table != "v" || r.Skipped[0].Kind != "view" {
		t.Errorf("not compared: %v", r.Skipped)
	}
}

func TestATypeThatCannotBeComparedIsAFinding(t *testing.T) {
	s := newServers(t, sandboxtest.MariaDBSource(t))
	s.exec(t, s.source, "CREATE TABLE t (id int PRIMARY KEY, v blob COMPRESSED)", "CREATE SEQUENCE seq")
	s.exec(t, s.target, "CREATE TABLE t (id int PRIMARY KEY, v blob)")
	r := runStandalone(t, s.standalone(t))
	if got := r.of(t, "t"); got.Verdict != Different || !strings.Contains(got.Reason, "can't be compared") {
		t.Errorf("%+v", got)
	}
	if len(r.Skipped) != 1 || r.Skipped[0].Kind != "sequence" {
		t.Errorf("not compared: %v", r.Skipped)
	}
}

func TestWhatIsNotThereIsNotEqual(t *testing.T) {
	s := newServers(t, sandboxtest.MySQLSource(t))
	o := s.standalone(t)
	if _, err := NewStandalone(o).Run(t.Context()); !fault.Is(err, fault.NothingToMove) {
		t.Errorf("no tables at all: %v", err)
	}
	o.Databases = []string{s.database, "misspelt"}
	if _, err := NewStandalone(o).Run(t.Context()); !fault.Is(err, fault.NoDatabase) || !strings.Contains(err.Error(), "misspelt") {
		t.Errorf("a database that is nowhere: %v", err)
	}
	o.Target = o.Source
	if _, err := NewStandalone(o).Run(t.Context()); !fault.Is(err, fault.SameServer) {
		t.Errorf("one server: %v", err)
	}
}

// All rows differ, and one side has many where the other has one: what is held of them stays bounded.
func TestHoweverManyRowsDifferTheyAreCounted(t *testing.T) {
	eachSource(t, func(t *testing.T, source *sandboxtest.Server) {
		s := newServers(t, source)
		s.both(t, numbered)
		s.exec(t, s.source, numbers(1, 30_000))
		s.exec(t, s.target, numbers(1, 30_000), "UPDATE t SET v = CONCAT(v, '!')", numbers(200_001, 220_000))
		o := s.standalone(t)
		o.Limit, o.Recheck = 3, 500*time.Millisecond
		run := NewStandalone(o)
		run.piece, run.held = 1000, 15_000
		most := watchSuspects(t, run)
		if got := runIt(t, run).of(t, "t"); got.Different != 50_000 || len(got.Differences) != 3 {
			t.Errorf("%v", got)
		}
		// What two lanes read when there was still room comes on top.
		if got, bound := most(), run.held+2*2*run.piece; got > bound || got == 0 {
			t.Errorf("%d rows were held, the bound is %d", got, bound)
		}
	})
}

// watchSuspects returns a function that says how many rows waited at most since.
func watchSuspects(t testing.TB, run *Standalone) func() int {
	most := 0
	stop, watched := make(chan struct{}), make(chan struct{})
	go func() { // ends when it is asked for
		defer close(watched)
		tick := time.NewTicker(100 * time.Microsecond)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
				most = max(most, run.Progress().Suspects)
			}
		}
	}()
	return func() int {
		close(stop)
		<-watched
		return most
	}
}

// waitForSuspects waits until a run has seen rows that differ.
func waitForSuspects(t testing.TB, run *Standalone) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for run.Progress().Suspects == 0 {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatal("no rows that differ were seen")
		}
	}
}

// startStandalone runs in the background; the function that it returns waits for the result.
func startStandalone(t testing.TB, run *Standalone) func() *Report {
	t.Helper()
	done := make(chan *Report, 1)
	go func() { // ends with the run
		r, err := run.Run(t.Context())
		if err != nil {
			t.Error(err)
			r = &Report{}
		}
		done <- r
	}()
	return func() *Report {
		t.Helper()
		select {
		case r := <-done:
			return r
		case <-time.After(time.Minute):
			t.Fatal("the run doesn't end")
			return nil
		}
	}
}

// A target that is behind is not different: what differs at first sight is equal a moment later.
func TestWhatComesLateIsNotDifferent(t *testing.T) {
	eachSource(t, func(t *testing.T, source *sandboxtest.Server) {
		s := newServers(t, source)
		s.both(t, numbered, numbers(1, 3000))
		late := []string{"UPDATE t SET v = 'late' WHERE id BETWEEN 10 AND 20", "DELETE FROM t WHERE id = 40", "INSERT INTO t VALUES (5000, 'new')"}
		s.exec(t, s.source, late...)
		o := s.standalone(t)
		o.Recheck = 20 * time.Second // it waits for nothing that is equal
		run := NewStandalone(o)
		result := startStandalone(t, run)
		waitForSuspects(t, run)
		s.exec(t, s.target, late...)
		if r := result(); r.Verdict() != Same || r.of(t, "t").Different+r.of(t, "t").Unsettled != 0 {
			t.Errorf("%+v", r)
		}
	})
}

// writer writes to one server until it is stopped.
func writer(t testing.TB, on *sandboxtest.Server, statement string) {
	t.Helper()
	db := on.DB(t, sandbox.Root)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { // ends with ctx
		for ctx.Err() == nil {
			if _, err := db.ExecContext(ctx, statement); err != nil && ctx.Err() == nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestWhatKeepsChangingIsUnsettled(t *testing.T) {
	eachSource(t, func(t *testing.T, source *sandboxtest.Server) {
		s := newServers(t, source)
		s.both(t, numbered, numbers(1, 3000), "CREATE TABLE k (a bigint)", "INSERT INTO k VALUES (1), (1)")
		writer(t, s.target, "UPDATE "+s.database+".t SET v = UUID_SHORT() WHERE id IN (7, 8)")
		writer(t, s.target, "UPDATE "+s.database+".k SET a = a + 1")
		o := s.standalone(t)
		o.Recheck = 300 * time.Millisecond
		r := runStandalone(t, o)
		if got := r.of(t, "t"); got.Verdict != Unsettled || got.Unsettled != 2 || got.Different != 0 || len(got.Differences) != 0 {
			t.Errorf("two rows change all the time: %+v", got)
		}
		if got := r.of(t, "k"); got.Verdict != Unsettled || got.Different != 0 || got.Reason == "" {
			t.Errorf("rows without a key change all the time: %+v", got)
		}
		if r.Verdict() != Unsettled {
			t.Errorf("all together %s", r.Verdict())
		}
		s.exec(t, s.target, "DELETE FROM t WHERE id = 9")
		if r := runStandalone(t, o); r.Verdict() != Different || r.of(t, "t").Different != 1 || r.of(t, "t").Unsettled != 2 {
			t.Errorf("a row is missing beside those that change: %+v", r)
		}
	})
}

func TestRowsWithoutNamesAreLookedAtAgainAndCounted(t *testing.T) {
	eachSource(t, func(t *testing.T, source *sandboxtest.Server) {
		s := newServers(t, source)
		s.both(t, "CREATE TABLE k (a int, b varchar(9) CHARACTER SET utf8mb4)", "INSERT INTO k VALUES (1, 'x'), (1, 'x'), (NULL, NULL), (3, 'y'), (4, 'z')")
		s.exec(t, s.target, "UPDATE k SET a = 2 WHERE a = 1", "DELETE FROM k WHERE a IS NULL")
		o := s.standalone(t)
		o.Recheck = 100 * time.Millisecond
		got := runStandalone(t, o).of(t, "k")
		text := describe(got.Differences)
		if got.Verdict != Different || got.Different != 5 || !strings.Contains(text, "a=1 b=x 2/0:; ") || !strings.Contains(text, "a=2 b=x 0/2:; ") || !strings.Contains(text, "a= b= 1/0:; ") {
			t.Errorf("%+v: %s", got, text)
		}
		// Repaired while it is due to be compared again.
		o.Recheck = time.Second
		run := NewStandalone(o)
		result := startStandalone(t, run)
		waitForSuspects(t, run)
		s.exec(t, s.target, "DELETE FROM k", "INSERT INTO k VALUES (1, 'x'), (1, 'x'), (NULL, NULL), (3, 'y'), (4, 'z')")
		if r := result(); r.Verdict() != Same || r.of(t, "k").TargetRows != 5 {
			t.Errorf("repaired meanwhile: %+v", r)
		}
	})
}

// A key that the servers keep in different orders, or that no index finds ranges of, can't be cut into
// ranges. Rows have their names all the same.
func TestKeysWithoutRangesAreFoundByAHash(t *testing.T) {
	for name, c := range map[string]struct {
		source             func(testing.TB, ...sandboxtest.Option) *sandboxtest.Server
		onSource, onTarget string
	}{
		"a SET in the key": {sandboxtest.MySQLSource, "s set('a','b','c'), n int, v int, PRIMARY KEY (s, n)", "s set('a','b','c'), n int, v int, PRIMARY KEY (s, n)"},
		"a collation of MariaDB alone": {sandboxtest.MariaDBSource, "s varchar(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci, n int, v int, PRIMARY KEY (s, n)",
			"s varchar(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_ai_ci, n int, v int, PRIMARY KEY (s, n)"},
		// The servers then cut by orders that are not the same.
		"another collation on the target": {sandboxtest.MySQLSource, "s varchar(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin, n int, v int, PRIMARY KEY (s, n)",
			"s varchar(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_ai_ci, n int, v int, PRIMARY KEY (s, n)"},
		// The names are not of one kind: rows have none in common.
		"another charset on the target": {sandboxtest.MySQLSource, "s varchar(20) CHARACTER SET latin1, n int, v int, PRIMARY KEY (s, n)",
			"s varchar(20) CHARACTER SET utf8mb4, n int, v int, PRIMARY KEY (s, n)"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServers(t, c.source(t))
			s.exec(t, s.source, "CREATE TABLE t ("+c.onSource+")")
			s.exec(t, s.target, "CREATE TABLE t ("+c.onTarget+")")
			b := "B" // before a to some collations
			if strings.Contains(c.onSource, "set(") {
				b = "b"
			}
			s.both(t, fmt.Sprintf(`INSERT INTO t SELECT ELT(1 + n %% 3, 'a', '%s', 'c'), n, n FROM (SELECT ROW_NUMBER() OVER () AS n FROM information_schema.COLLATIONS a, information_schema.COLLATIONS b LIMIT 30000) q`, b))
			if r := runStandalone(t, s.standalone(t)); r.Verdict() != Same || r.of(t, "t").SourceRows != 30_000 {
				t.Fatalf("equal: %+v", r)
			}
			s.exec(t, s.target, "UPDATE t SET v = -1 WHERE n = 17", "DELETE FROM t WHERE n = 29000")
			want := uint64(2)
			if name == "another charset on the target" {
				want = 3 // the changed row counts on each side
			}
			got := runStandalone(t, s.standalone(t)).of(t, "t")
			if got.Verdict != Different || got.Different != want {
				t.Errorf("two rows differ: %+v: %s", got, describe(got.Differences))
			}
			s.exec(t, s.target, "UPDATE t SET v = v + 1 WHERE n <> 17")
			run := NewStandalone(s.standalone(t))
			run.handful = 2000
			if want = 30_000; name == "another charset on the target" {
				want += 29_999
			}
			if got := runIt(t, run).of(t, "t"); got.Different != want || got.AtLeast {
				t.Errorf("all rows differ: %v, want %d", got, want)
			}
			run = NewStandalone(s.standalone(t))
			run.handful = 500
			if got := runIt(t, run).of(t, "t"); got.Different >= want || got.Different < want/2 || !got.AtLeast || got.Verdict != Different {
				t.Errorf("more than are counted: %v, want less than %d", got, want)
			}
		})
	}
}

// One table that can't be read doesn't keep the others from being compared.
func TestATableThatCannotBeReadFailsAlone(t *testing.T) {
	s := newServers(t, sandboxtest.MySQLSource(t, sandboxtest.Options("--max-allowed-packet=16K")))
	long := []string{"CREATE TABLE a (id int PRIMARY KEY, j json)", "INSERT INTO a VALUES (1, JSON_ARRAY(REPEAT('x', 10000), REPEAT('y', 10000)))"}
	s.stretched(t, s.source, long...)
	s.exec(t, s.target, long...)
	s.both(t, "CREATE TABLE b (id int PRIMARY KEY)", "INSERT INTO b VALUES (1)")
	r := runStandalone(t, s.standalone(t))
	if got := r.of(t, "a"); got.Verdict != Failed || !strings.Contains(got.Reason, "max_allowed_packet") {
		t.Errorf("%+v", got)
	}
	if r.of(t, "b").Verdict != Same || r.Verdict() != Failed {
		t.Errorf("%+v", r)
	}
}

// The source works for us only the share of the time that it was given.
func TestTheShareOfTheSourcesTimeIsKept(t *testing.T) {
	s := newServers(t, sandboxtest.MySQLSource(t))
	s.both(t, numbered, numbers(1, 100_000))
	took := func(share float64) time.Duration {
		o := s.standalone(t)
		o.Share, o.Parallel = share, 1
		return runStandalone(t, o).of(t, "t").Took
	}
	took(1) // warm
	all, tenth := took(1), took(0.1)
	if ratio := tenth.Seconds() / all.Seconds(); ratio < 3 {
		t.Errorf("at a share of 0.1 it takes %.1f times as long (%v and %v)", ratio, tenth, all)
	}
}

func TestItWaitsWhileOthersKeepTheSourceBusy(t *testing.T) {
	s := newServers(t, sandboxtest.Fresh(t, sandbox.Spec{Role: sandbox.Source}))
	s.both(t, numbered, numbers(1, 1000))
	others, stop := context.WithCancel(t.Context())
	defer stop()
	busy := s.source.DB(t, sandbox.Root)
	ended := make(chan struct{}, 8)
	for range cap(ended) {
		go func() { // ends with others
			_, _ = busy.ExecContext(others, "SELECT SLEEP(600)")
			ended <- struct{}{}
		}()
	}
	waitRunning(t, s, 8)
	o := s.standalone(t)
	o.MaxRunning = 5
	said := make(chan string, 10)
	o.Say = func(text string) { said <- text }
	run := NewStandalone(o)
	result := startStandalone(t, run)
	if text := hear(t, said); !strings.Contains(text, "--max-running") || !strings.Contains(text, "waits") {
		t.Errorf("it says %q", text)
	}
	if p := run.Progress(); !p.Held || p.Rows != 0 {
		t.Errorf("it goes on all the same: %+v", p)
	}
	s.source.Exec(t, killSleepers(t, s)...)
	for range cap(ended) {
		<-ended
	}
	if text := hear(t, said); !strings.Contains(text, "goes on") {
		t.Errorf("it says %q", text)
	}
	if r := result(); r.Verdict() != Same || r.of(t, "t").SourceRows != 1000 {
		t.Errorf("%+v", r)
	}
}

func hear(t testing.TB, said <-chan string) string {
	t.Helper()
	select {
	case text := <-said:
		return text
	case <-time.After(30 * time.Second):
		t.Fatal("nothing was said")
		return ""
	}
}

// waitRunning waits until at least n statements run.
func waitRunning(t testing.TB, s servers, n int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for {
		now, err := running(ctx, s.src)
		if err != nil {
			t.Fatal(err)
		}
		if now >= n {
			return
		}
	}
}

func killSleepers(t testing.TB, s servers) []string {
	t.Helper()
	rows, err := s.source.DB(t, sandbox.Root).Query("SELECT CONCAT('KILL QUERY ', ID) FROM information_schema.PROCESSLIST WHERE INFO LIKE 'SELECT SLEEP(600)%'")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var kills []string
	for rows.Next() {
		var kill string
		if err := rows.Scan(&kill); err != nil {
			t.Fatal(err)
		}
		kills = append(kills, kill)
	}
	return kills
}

// A server that goes away ends the comparison, and says so.
func TestAServerThatGoesAwayIsAnError(t *testing.T) {
	s := newServers(t, sandboxtest.Fresh(t, sandbox.Spec{Role: sandbox.Source}))
	s.both(t, numbered, numbers(1, 50_000))
	o := s.standalone(t)
	o.Share, o.Parallel = 0.01, 1
	run := NewStandalone(o)
	ended := make(chan error, 1)
	go func() { // ends with the source
		_, err := run.Run(t.Context())
		ended <- err
	}()
	waitForRows(t, run)
	if err := s.source.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; !fault.Is(err, fault.Connect) || !strings.Contains(err.Error(), "source") {
		t.Errorf("%v", err)
	}
}

func waitForRows(t testing.TB, run *Standalone) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for run.Progress().Rows == 0 {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatal("no rows were read")
		}
	}
}

func TestValuesAreTextOrHexadecimal(t *testing.T) {
	long := strings.Repeat("x", shown-1)
	for value, want := range map[string]string{
		"": "", "Ann": "Ann", "Zoë 😀": "Zoë 😀", "two\nlines\t": "two\nlines\t", "NULL": "NULL",
		"\x00\xff": "0x00ff", "\xe9": "0xe9", "a\x00": "0x6100", "0xff": "0x30786666", "\u200b": "0xe2808b",
		long + "é"[:1]: long, long[:shown-4] + "😀": long[:shown-4] + "😀", long + "\xff": "0x" + hex.EncodeToString([]byte(long+"\xff")),
	} {
		if got, ok := Text([]byte(value)); got != want || !ok {
			t.Errorf("%q is %q, not %q", value, got, want)
		}
	}
	if _, ok := Text(nil); ok {
		t.Error("NULL has a text")
	}
}
