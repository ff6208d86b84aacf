package cdc

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"changeover/cdc/source"
	"changeover/cdc/state"
	"changeover/internal/fault"
	"changeover/internal/sandbox"
	"changeover/internal/sandbox/sandboxtest"
	"changeover/internal/server"
)

// The fuzzer: a random schema over all that tables can have, random transactions from several
// connections, random DDL, a run that is killed at random, and at the end both sides hold the same
// tables and the same bytes. What a seed makes is always the same; how its connections and the run
// interleave is the machines' own.
//
// CHANGEOVER_FUZZ says for how long to go on (30s, 2h), CHANGEOVER_FUZZ_SEED where to begin; alone
// it is the one seed to play again, and -count 20 plays it until its interleaving comes again. With
// -artifacts a failing seed leaves its statements.

// usualSeeds are played by every test run, on each flavor.
const usualSeeds = 6

func TestAnyMigrationEndsEqual(t *testing.T) {
	t.Parallel()
	fuzz(t, false)
}

// The same, and then the writer role passes to the target and other random statements run there.
func TestAnyMigrationComesBackEqual(t *testing.T) {
	t.Parallel()
	fuzz(t, true)
}

func fuzz(t *testing.T, returns bool) {
	first, limit := uint64(1), time.Duration(0)
	if s := os.Getenv("CHANGEOVER_FUZZ"); s != "" {
		var err error
		if limit, err = time.ParseDuration(s); err != nil {
			t.Fatal(err)
		}
		first = uint64(time.Now().Unix())
	}
	alone := os.Getenv("CHANGEOVER_FUZZ_SEED")
	if alone != "" {
		var err error
		if first, err = strconv.ParseUint(alone, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	// Servers of its own: what kills one shall not end other tests.
	own := sandboxtest.Options("--max-binlog-size=4096", "--max-connections=300")
	target, began := sandboxtest.Target(t, sandboxtest.Options("--max-connections=300")), time.Now()
	for name, src := range map[string]*sandboxtest.Server{"mysql": sandboxtest.MySQLSource(t, own), "mariadb": sandboxtest.MariaDBSource(t, own)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			refused := map[fault.Code]int{}
			n, died := 0, false
			for seed := first; ; seed++ {
				if limit > 0 && time.Since(began) > limit || limit == 0 && (n == usualSeeds || n == 1 && alone != "") {
					break
				}
				n++
				t.Run(fmt.Sprint(seed), func(t *testing.T) {
					f := newFuzzer(t, src, target, seed)
					f.returns = returns
					if code := f.play(); code != 0 {
						refused[code]++
					}
					died = f.died
				})
				if died {
					break
				}
			}
			t.Logf("%d seeds from %d; refused, with a reason that holds: %v", n, first, refused)
		})
	}
}

type fuzzTable struct {
	name    string
	columns []fuzzColumn
}

type fuzzer struct {
	m    *migration
	seed uint64
	rng  *rand.Rand // of the schema and of the kills
	done atomic.Int64

	mu      sync.Mutex
	tables  []*fuzzTable // as they are, or were a moment ago
	fresh   int          // names made up
	history []string
	runs    []*process
	began   source.Position
	died    bool // the source's server has
	returns bool // the writer role passes to the target, and what is written there is carried back
}

func newFuzzer(t testing.TB, src, dst *sandboxtest.Server, seed uint64) *fuzzer {
	f := &fuzzer{m: newMigration(t, src, dst), seed: seed, rng: rand.New(rand.NewPCG(seed, 0))}
	var err error
	f.began, err = source.Current(t.Context(), f.m.from, server.Flavor(src.Flavor))
	f.m.must(err)
	return f
}

// leaveStream writes what the source's binlog has of the seed.
func (f *fuzzer) leaveStream(path string) error {
	out, err := os.Create(path)
	if err != nil {
		return err
	}
	defer out.Close()
	reader := source.NewReader(source.ReaderConfig{Endpoint: endpoint(f.m.t, f.m.src, sandbox.Changeover), Flavor: server.Flavor(f.m.src.Flavor), Start: f.began,
		Decode: func(schema, _ string) bool { return schema == f.m.name }})
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() { _ = reader.Run(ctx) }()
	for {
		quiet, stop := context.WithTimeout(ctx, 2*time.Second)
		tx, err := reader.Next(quiet)
		stop()
		if err != nil {
			return nil // all was read, as far as it can be
		}
		if tx.Statement != nil && tx.Statement.Schema == f.m.name {
			fmt.Fprintf(out, "%s %s\n", tx.ID, tx.Statement.SQL)
		}
		if tx.Large {
			return nil
		}
		for _, e := range tx.Rows {
			if e.Schema == f.m.name {
				fmt.Fprintf(out, "%s kind %v %s %v\n", tx.ID, e.Kind, e.Table, e.Images)
			}
		}
	}
}

// play plays the seed. The code is that of a refusal that is right.
func (f *fuzzer) play() (refused fault.Code) {
	m, t := f.m, f.m.t
	defer func() {
		if t.Failed() {
			f.leave()
		}
	}()
	f.makeTables()
	if refused = f.writeAndStream(false); refused != 0 || f.died || t.Failed() {
		return refused
	}
	m.sameTables()
	m.sameBytes("at the end")
	if !f.returns || t.Failed() {
		return 0
	}
	// The writer role passes, and the application goes on over there.
	f.m = m.turned()
	way := f.m.prepare(func(o *Options) { o.LeaseTTL = state.AtOnce })
	_, err := way.Arm(t.Context())
	m.must(err)
	m.must(way.Close())
	f.reload()
	if refused = f.writeAndStream(true); refused != 0 || f.died || t.Failed() {
		return refused
	}
	f.m.sameBytes("after the way back")
	return 0
}

// writeAndStream has writers write, and a run that is killed again and again carry it.
func (f *fuzzer) writeAndStream(back bool) (refused fault.Code) {
	m, t := f.m, f.m.t
	f.done.Store(0)
	o := m.crashOptions(Forever)
	o.Return = back
	o.CopyWorkers, o.ApplyWorkers, o.Chunk = 1+f.rng.IntN(4), 1+f.rng.IntN(6), 1<<(9+f.rng.IntN(6))
	o.Memory = one(f.rng, int64(64<<20), 4<<20)
	writers := 3
	statements := 100 + f.rng.IntN(200) // of each
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() { f.writer(i, statements) })
	}
	// The run is killed whenever so many statements more are done.
	p := f.spawn(o)
	for range f.rng.IntN(6) {
		next := f.done.Load() + int64(f.rng.IntN(writers*statements/4))
		eventually(t, "statements", func() bool {
			return f.done.Load() >= min(next, int64(writers*statements)) || t.Failed() || p.hasEnded()
		})
		p.kill()
		p = f.spawn(o)
	}
	wg.Wait()
	p.kill()
	if err := m.from.Ping(); err != nil { // a statement can do that: a bug of the server's, and the end of this one
		f.died = true
		t.Logf("the source has died: %v; the last statements are:\n%s", err, strings.Join(f.history[max(0, len(f.history)-writers):], "\n"))
		return 0
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	o.Until, o.Log = CaughtUp, m.options(CaughtUp).Log
	if err := New(o).Run(ctx); err != nil {
		code, _ := fault.CodeOf(err)
		if refusals(err) || m.dst.Flavor == sandbox.MariaDB && refusalsOfMariaDB(err) {
			t.Log(err)
			return code
		}
		t.Errorf("the run: %v", err)
	}
	return 0
}

// refusals are what the product can't carry and says so, as docs/plan.md and docs/errors.md tell.
func refusals(err error) bool {
	for _, text := range []string{
		"cannot be converted to 'vector' type",                                // what UPDATE IGNORE makes of a NULL, or MODIFY of bytes, and no statement can say
		"Cannot get geometry object from data you send to the GEOMETRY field", // the same; MariaDB's ADD COLUMN … NOT NULL too
		"MySQL needs a length there",                                          // MariaDB's unique keys over whole texts
		"has a partitioning function dependency",                              // what MySQL does not rename
		"has no key, so it can't be copied again while the stream runs",
		"Incorrect string value",                                // MariaDB's BLOB that became TEXT, and is none of its charset
		"Check constraint", "has a generated column dependency", // renames of what MariaDB lets go
		"Incorrect uuid value", "Incorrect inet", // what an application on MySQL puts where MariaDB has a type of its own
		"Invalid use of NULL value", // MariaDB adds geometries that are not NULL to rows that have none
	} {
		if strings.Contains(err.Error(), text) {
			return true
		}
	}
	return false
}

// refusalsOfMariaDB are of statements that MySQL has and MariaDB has not: those stop the way back.
func refusalsOfMariaDB(err error) bool {
	return fault.Is(err, fault.StreamDDL) && (strings.Contains(err.Error(), "can't be said in the target's dialect") || strings.Contains(err.Error(), "the target refuses"))
}

func (f *fuzzer) spawn(o Options) *process {
	p := f.m.spawn(o)
	f.runs = append(f.runs, p)
	return p
}

// hasEnded tells whether the process has ended by itself.
func (p *process) hasEnded() bool {
	select {
	case <-p.ended:
		return true
	default:
		return false
	}
}

// makeTables makes what the copy finds.
func (f *fuzzer) makeTables() {
	conn := f.session(0, f.rng)
	defer discard(conn)
	for i := range 2 + f.rng.IntN(4) {
		for tries := 0; ; tries++ {
			if tries == 50 {
				f.m.t.Fatal("no table that the server takes")
			}
			if f.exec(conn, "init", f.newTable(f.rng, fmt.Sprintf("t%d", i))) == nil {
				break
			}
		}
	}
	f.reload()
	for _, t := range f.tables {
		for range f.rng.IntN(80) {
			_ = f.exec(conn, "init", f.insert(f.rng, t, "INSERT IGNORE"))
		}
	}
	f.done.Store(0)
}

// session is a connection with settings that an application may have.
func (f *fuzzer) session(i int, rng *rand.Rand) *sql.Conn {
	f.m.t.Helper()
	conn, err := f.m.from.Conn(context.Background())
	f.m.must(err)
	modes := []string{"ALLOW_INVALID_DATES,NO_AUTO_VALUE_ON_ZERO", "", "STRICT_TRANS_TABLES,NO_ZERO_DATE,ERROR_FOR_DIVISION_BY_ZERO", "ANSI_QUOTES,NO_BACKSLASH_ESCAPES", "STRICT_ALL_TABLES,PIPES_AS_CONCAT"}
	mode := modes[i]
	if i > 0 {
		mode = one(rng, modes[:3]...)
	}
	unique := rng.IntN(2)
	if f.m.src.Flavor == sandbox.MariaDB {
		// With unique_checks=0 an INSERT into an empty table is a bulk load there, and a later statement of
		// the transaction that fails empties the table again: its own binlog, and replicas, keep the rows.
		unique = 1
	}
	for _, q := range []string{"SET SESSION sql_mode = '" + mode + "', lock_wait_timeout = 3, innodb_lock_wait_timeout = 1",
		"SET SESSION time_zone = '" + one(rng, "+00:00", "+05:30", "-11:00", "SYSTEM") + "'",
		fmt.Sprintf("SET SESSION unique_checks = %d, foreign_key_checks = %d", unique, rng.IntN(2))} {
		_, err := conn.ExecContext(context.Background(), q)
		f.m.must(err)
	}
	if f.m.src.Flavor == sandbox.MySQL && chance(rng, 2) {
		_, err := conn.ExecContext(context.Background(), "SET SESSION sql_generate_invisible_primary_key = ON")
		f.m.must(err)
	}
	return conn
}

// exec runs a statement, which may fail: what the source refuses is no business of ours.
func (f *fuzzer) exec(conn *sql.Conn, who, q string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	_, err := conn.ExecContext(ctx, q)
	f.done.Add(1)
	says := ""
	if err != nil {
		says = " -- " + strings.ReplaceAll(err.Error(), "\n", " ")
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.history = append(f.history, fmt.Sprintf("/* %s */ %s;%s", who, q, says))
	return err
}

// writer is one application's connection.
func (f *fuzzer) writer(i, statements int) {
	stream := uint64(i + 1)
	if f.m.began != "" { // other statements than before the cutover
		stream += 100
	}
	rng := rand.New(rand.NewPCG(f.seed, stream))
	conn := f.session(i, rng)
	defer discard(conn)
	who := fmt.Sprint("connection ", i)
	for range statements {
		switch n := rng.IntN(40); {
		case n == 0:
			if t := f.pick(rng); t != nil {
				f.mu.Lock()
				list := f.define(rng, t)
				f.mu.Unlock()
				for _, q := range list {
					_ = f.exec(conn, who, q)
				}
				f.reload()
			}
		case n < 20:
			f.transaction(conn, who, rng)
		default:
			if t := f.pick(rng); t != nil {
				_ = f.exec(conn, who, f.write(rng, t))
			}
		}
	}
}

func (f *fuzzer) transaction(conn *sql.Conn, who string, rng *rand.Rand) {
	_ = f.exec(conn, who, "BEGIN")
	for range 1 + rng.IntN(5) {
		t := f.pick(rng)
		switch {
		case t == nil:
		case chance(rng, 8):
			_ = f.exec(conn, who, "SAVEPOINT s")
			_ = f.exec(conn, who, f.write(rng, t))
			_ = f.exec(conn, who, one(rng, "ROLLBACK TO s", "RELEASE SAVEPOINT s"))
		default:
			_ = f.exec(conn, who, f.write(rng, t))
		}
	}
	_ = f.exec(conn, who, one(rng, "COMMIT", "COMMIT", "COMMIT", "COMMIT", "ROLLBACK"))
}

func (f *fuzzer) pick(rng *rand.Rand) *fuzzTable {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.tables) == 0 {
		return nil
	}
	return one(rng, f.tables...)
}

// reload looks at what the tables have become.
func (f *fuzzer) reload() {
	srid := "''"
	if f.m.src.Flavor == sandbox.MySQL {
		srid = "COALESCE(SRS_ID, '')"
	}
	rows, err := f.m.from.Query("SELECT TABLE_NAME, COLUMN_NAME, DATA_TYPE, COLUMN_TYPE, COALESCE(CHARACTER_SET_NAME, ''), IS_NULLABLE = 'YES', COALESCE(GENERATION_EXPRESSION, '') <> '', COLUMN_KEY = 'PRI', "+srid+
		" FROM information_schema.COLUMNS JOIN information_schema.TABLES USING (TABLE_SCHEMA, TABLE_NAME) WHERE TABLE_SCHEMA = ? AND TABLE_TYPE = 'BASE TABLE' ORDER BY TABLE_NAME, ORDINAL_POSITION", f.m.name)
	if err != nil {
		f.m.t.Error(err)
		return
	}
	defer rows.Close()
	var tables []*fuzzTable
	for rows.Next() {
		var table string
		var c fuzzColumn
		if err := rows.Scan(&table, &c.name, &c.data, &c.kind, &c.charset, &c.nullable, &c.generated, &c.key, &c.srid); err != nil {
			f.m.t.Error(err)
			return
		}
		if len(tables) == 0 || tables[len(tables)-1].name != table {
			tables = append(tables, &fuzzTable{name: table})
		}
		last := tables[len(tables)-1]
		last.columns = append(last.columns, c)
	}
	tables = slices.DeleteFunc(tables, func(t *fuzzTable) bool {
		return !slices.ContainsFunc(t.columns, func(c fuzzColumn) bool { return !c.generated })
	})
	f.mu.Lock()
	defer f.mu.Unlock()
	f.tables = tables
}

// leave keeps what a failing seed did.
func (f *fuzzer) leave() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.m.t.Logf("CHANGEOVER_FUZZ_SEED=%d plays it again; %d statements; the stream goes to %s", f.seed, len(f.history), f.m.dst.Flavor)
	// What a machine that keeps no files can show: the DDL, and both sides as they are.
	for _, line := range f.history {
		if _, q, _ := strings.Cut(line, "*/ "); len(line) < 1000 && !strings.HasPrefix(q, "INSERT") && !strings.HasPrefix(q, "UPDATE") && !strings.HasPrefix(q, "DELETE") {
			f.m.t.Log(line)
		}
	}
	for _, side := range []*sql.DB{f.m.from, f.m.to} {
		var names []string
		rows, err := side.Query("SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = ?", f.m.name)
		for err == nil && rows.Next() {
			names = append(names, "")
			err = rows.Scan(&names[len(names)-1])
		}
		for _, name := range names {
			var text string
			err = errors.Join(err, side.QueryRow("SHOW CREATE TABLE "+server.Name(f.m.name, name)).Scan(&name, &text))
			f.m.t.Log(text)
		}
		if err != nil {
			f.m.t.Log(err)
		}
	}
	dir := f.m.t.ArtifactDir()
	err := os.WriteFile(filepath.Join(dir, "history.sql"), []byte(strings.Join(f.history, "\n")+"\n"), 0o600)
	for i, p := range f.runs {
		p.mu.Lock()
		err = errors.Join(err, os.WriteFile(filepath.Join(dir, fmt.Sprintf("run%d.log", i)), p.log.Bytes(), 0o600))
		p.mu.Unlock()
	}
	err = errors.Join(err, f.leaveStream(filepath.Join(dir, "stream.log")))
	if err != nil {
		f.m.t.Error(err)
	}
}
