package verify

import (
	"cmp"
	"errors"
	"fmt"
	"iter"
	"maps"
	"math/rand/v2"
	"os"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"changeover/cdc"
	"changeover/cdc/row"
	"changeover/cdc/schedule"
	"changeover/cdc/state"
	"changeover/internal/server"
)

// The simulation: the ledger of production between a source whose binlog runs ahead of what a SELECT
// can see, a target that applies transactions late and out of order, lookers, repairs, checkpoints and
// crashes that come between any two of their steps, and a vandal. One seed is one history, always the
// same. The steps are those of look.go, verifier.go, prove.go, repair.go and saved.go, and of cdc's feeder; what
// is SQL there is a map here.
//
// The target is kept twice: as it is, and as it would be had nothing gone wrong (ideal). So at any
// moment it is known which rows are wrong, and by whose fault.
//
// What must hold, always:
//   - a row that is said to differ was wrong while it was looked at;
//   - while the ledger says that all is compared, nothing due and nothing different, no row is wrong
//     but by the vandal: what the stream touched was looked at after it was applied;
//   - a repair writes what the source has at that point of the stream;
//   - a proof is complete only under the same condition.
//
// And when the writers have stopped: all is compared within so many steps; after one more pass the
// rows that are known to differ are exactly those that are wrong; a proof is complete if there are
// none; and once they are repaired both sides are equal.

// omission is a rule that a history does without, to show that it is needed.
type omission string

const (
	nothing           omission = ""
	claimAfterReading omission = "a look is claimed before its low watermark"
	noLowWatermark    omission = "both sides are read after a low watermark is applied"
	blindLowWatermark omission = "a low watermark's commit returns after all before it are visible"
	noHighWatermark   omission = "what differs is judged after a high watermark is read"
	equalAtOnce       omission = "what is equal, too, counts after a high watermark is read"
	ignoreTouched     omission = "a difference in a key that was touched since the claim is no difference"
	equalIsNotDue     omission = "a touched row in an equal chunk stays due"
	forgetVoid        omission = "a look of which it isn't known what was touched comes to nothing"
	keysNoLow         omission = "keys are read after a low watermark is applied"
	keysNoHigh        omission = "keys are settled after a high watermark is read"
	keysLateClock     omission = "keys are judged by the clock as it was when they were taken"
	settleTouched     omission = "a key that was touched while it was looked at stays due"
	forgetUnsaid      omission = "a table whose rows change unsaid is all due"
	alteredIsRenamed  omission = "an altered table is all due"
	noGeneration      omission = "a look counts only for the generation that it began with"
	forgetRelieved    omission = "the ranges of keys that are given up are due"
	lateSnapshot      omission = "a checkpoint's position is taken before the snapshot of the ledger"
	claimsAreSaved    omission = "what is being looked at is written down as due"
	forgetLoading     omission = "what is touched before the proofs are loaded is due"
	noRecall          omission = "what was touched between the proof's position and the start is recalled"
	recallIsOver      omission = "a checkpoint's position stays the proof's until all is recalled"
	proveUnrecalled   omission = "a proof is complete only when all is recalled"
	alterUnrecalled   omission = "no table is altered before all is recalled"
	keepLooks         omission = "the looks that are under way end before a table is altered"
	lateLooks         omission = "so do those that begin meanwhile"
	staleTables       omission = "the ledger takes the tables as they are at that moment"
	proveKnown        omission = "a proof is of all tables that are there by then"
	anyProblem        omission = "what can't be compared is noted of the version that was looked at"
	repairTouched     omission = "a repair leaves out what was touched since it began"
	repairNoLow       omission = "a repair reads after a low watermark"
	repairNoHigh      omission = "a repair writes after a high watermark is read"
	repairNotAgain    omission = "what was repaired is due"
	staleRepair       omission = "a repair of a table that was altered since is dropped"
)

var omissions = []omission{claimAfterReading, noLowWatermark, blindLowWatermark, noHighWatermark, equalAtOnce, ignoreTouched,
	equalIsNotDue, forgetVoid, keysNoLow, keysNoHigh, keysLateClock, settleTouched, forgetUnsaid, alteredIsRenamed,
	noGeneration, forgetRelieved, lateSnapshot, claimsAreSaved, forgetLoading, noRecall, recallIsOver, proveUnrecalled,
	alterUnrecalled, keepLooks, lateLooks, staleTables, proveKnown, anyProblem, repairTouched, repairNoLow, repairNoHigh, repairNotAgain, staleRepair}

// simKind is how a table's rows are named, and whether it can be cut.
type simKind uint8

const (
	byNumber  simKind = iota // in an order that is known here: ranges, and a key's place is known
	byWeight                 // in an order that only the server knows: ranges, a key's place is not known
	byWord                   // in no order that counts: one range
	byNothing                // rows have no names
)

// simDef is the definition of a table by which the stream is told.
func simDef(kind simKind, name string) *row.Table {
	t := &row.Table{Schema: "s", Name: name, RowKey: 0,
		Columns: []row.Column{
			{Name: "id", Kind: row.Int, Type: "bigint", ColumnType: "bigint"},
			{Name: "v", Kind: row.Int, Type: "bigint", ColumnType: "bigint"}},
		Keys: []row.Key{{Name: "PRIMARY", Primary: true, Parts: []row.KeyPart{{Column: 0}}}}}
	word := row.Column{Name: "id", Kind: row.String, Type: "varchar", ColumnType: "varchar(20)"}
	switch kind {
	case byWord:
		word.Charset, word.Collation = "big5", "big5_chinese_ci"
		t.Columns[0] = word
	case byWeight:
		word.Charset, word.Collation = "utf8mb4", "utf8mb4_general_ci"
		t.Columns[0] = word
	case byNothing:
		t.RowKey, t.Keys, t.Columns = -1, nil, t.Columns[1:]
	}
	t.UseWeights(server.MySQL)
	return t
}

// simTable is a table of one side. A row's value is a number of three digits, and in front of them
// that of the second column if there is one. Of a table whose rows have no names it is how many there are.
type simTable struct {
	kind simKind
	wide bool // it has the second column
	rows map[string]int

	// Of the target's only.
	id       uint64
	complete bool           // it is wholly copied
	ideal    map[string]int // what the rows would be had nothing gone wrong
	wrong    map[string]int // the last step before which a row was wrong, of those that were
	written  map[string]int // the step in which a row was written by anybody but the vandal
	looked   map[string]int // the step in which it was last looked at
}

// begin makes a table of the target one that nobody has looked at.
func (t *simTable) begin(step int) {
	if t.rows == nil {
		t.rows = map[string]int{}
	}
	t.wrong, t.written, t.looked = map[string]int{}, map[string]int{}, map[string]int{}
	for _, rows := range []map[string]int{t.rows, t.ideal} {
		for key := range rows {
			t.written[key] = step
		}
	}
}

func (t *simTable) clone() *simTable {
	c := *t
	c.rows = maps.Clone(t.rows)
	return &c
}

// order is where a key's value is in the order of the server.
func (k simKind) order(v row.Value) int {
	switch k {
	case byNumber:
		n, _ := strconv.Atoi(string(v))
		return n
	case byWeight:
		return int(v[0]%2)<<7 | int(v[0])
	}
	return int(v[0])
}

// simExact is the exact form of a key, or of a row that has none; simValue undoes it.
func simExact(v string) string      { return string(row.AppendKey(nil, row.Row{row.Value(v)})) }
func simValue(key string) row.Value { return row.Value(key[1:]) }

// image is a row as the stream gives it.
func (k simKind) image(key string) row.Row {
	if k == byNothing {
		return row.Row{simValue(key)}
	}
	return row.Row{simValue(key), nil}
}

func (k simKind) contains(r row.Range, key string) bool {
	if r.Low == nil && r.High == nil {
		return true
	}
	at := k.order(simValue(key))
	return (r.Low == nil || k.order(r.Low[0]) < at) && (r.High == nil || at <= k.order(r.High[0]))
}

// simServer is one side: its tables by name.
type simServer map[string]*simTable

func (s simServer) clone() simServer {
	out := simServer{}
	for n, t := range s {
		out[n] = t.clone()
	}
	return out
}

func (s simServer) names() []string { return slices.Sorted(maps.Keys(s)) }

// simChange is one row of a transaction, as its table was then.
type simChange struct {
	table    string
	kind     simKind
	wide     bool
	was, now string // keys; empty: no row
	value    int
}

// do makes a change in rows.
func (c simChange) do(rows map[string]int) {
	if c.kind == byNothing {
		if c.was != "" {
			if rows[c.was]--; rows[c.was] == 0 {
				delete(rows, c.was)
			}
		}
		if c.now != "" {
			if rows[c.now]++; rows[c.now] == 0 {
				delete(rows, c.now)
			}
		}
		return
	}
	if c.was != "" && c.was != c.now {
		delete(rows, c.was)
	}
	if c.now != "" {
		rows[c.now] = c.value
	}
}

func (c simChange) keys() []string {
	return slices.DeleteFunc([]string{c.was, c.now}, func(k string) bool { return k == "" })
}

// simTx is a transaction of the source.
type simTx struct {
	changes []simChange
	unsaid  []simChange // rows that foreign keys changed, of which the binlog has nothing
	ddl     *simDDL
}

// simDDL is a statement: what was under some names comes under others.
type simDDL struct {
	verb     string // ALTER, TRUNCATE, RENAME, CREATE, DROP
	from, to []string
	kind     simKind // of what is created
	wide     bool
	instant  bool // the table keeps its id
	over     bool // the target has to copy it again
}

func (d *simDDL) names() []string {
	out := slices.Concat(d.from, d.to)
	slices.Sort(out)
	return slices.DeleteFunc(slices.Compact(out), func(n string) bool { return n == "" })
}

// run runs the statement on one side; remake makes the new table of an old one, nil of none.
func (d *simDDL) run(s simServer, remake func(*simTable) *simTable) {
	was := make([]*simTable, len(d.from))
	for i, n := range d.from {
		was[i] = s[n]
		delete(s, n)
	}
	for i, n := range d.to {
		switch {
		case n == "":
		case d.verb == "RENAME":
			s[n] = was[i]
		default:
			s[n] = remake(was[i])
		}
	}
}

// remade is what the statement makes of a table, wherever it runs.
func (d *simDDL) remade(t *simTable) *simTable {
	switch d.verb {
	case "CREATE":
		return &simTable{kind: d.kind, wide: d.wide, rows: map[string]int{}}
	case "TRUNCATE":
		return &simTable{kind: t.kind, wide: t.wide, rows: map[string]int{}}
	}
	return &simTable{kind: t.kind, wide: !t.wide, rows: d.altered(t, t.rows)}
}

// altered are rows after a column was added, which is computed, or dropped.
func (d *simDDL) altered(t *simTable, rows map[string]int) map[string]int {
	if d.verb != "ALTER" {
		return map[string]int{}
	}
	out := maps.Clone(rows)
	if t.kind == byNothing {
		return out
	}
	for k, v := range out {
		out[k] = v % 1000
		if !t.wide {
			out[k] += 1000 * (1 + v%5)
		}
	}
	return out
}

// take does a transaction on the source, or what is kept as of some position of it.
func (s simServer) take(tx simTx) {
	if tx.ddl != nil {
		tx.ddl.run(s, tx.ddl.remade)
	}
	for _, c := range tx.changes {
		c.do(s[c.table].rows)
	}
	for _, c := range tx.unsaid {
		c.do(s[c.table].rows)
	}
}

// simStyle is what happens in a history.
type simStyle struct {
	vandal, slips, cascades, repairs, storm bool
	ddl, checkpoints, crashes               int // one in so many transactions, and steps; 0: none
	copies, recalls, passes                 int // one in so many chances for them
	idles                                   int // how long it may take until things go on
	keys                                    int // that there are
	limit                                   int64
}

// trouble is what a history has more of.
type trouble uint8

const (
	anything trouble = iota
	crashing
	renaming
	renamingAfterCrashes
	repairing
	proving
	troubles
)

// sim is what survives a crash, and the present run.
type sim struct {
	rng     *rand.Rand
	without omission
	style   simStyle
	step    int
	left    int  // transactions that the workload still makes
	busy    bool // it still goes on
	rests   bool // but not just now
	err     error
	acting  *simActor

	log     []simTx
	first   simServer // the source as it began
	now     simServer // the source as it is
	seen    simServer // as a SELECT sees it
	visible int       // transactions of which that is

	dst      simServer
	objects  map[uint64]*simTable
	ids      uint64
	done     map[int]bool // transactions that are applied, and statements that were passed
	ran      map[int]bool // statements that were run
	furthest int          // behind the last of all those
	position int          // that was written down

	proofs        map[uint64]state.Proof
	proofPosition int // of them; -1: there are none

	r *simRun
}

// errCrash ends an actor, errInterrupted what it is doing.
var errCrash, errInterrupted = errors.New("crash"), errors.New("interrupted")

// pause lets others do something.
type pause func()

// simActor is somebody who acts step by step, or waits.
type simActor struct {
	resume func() (struct{}, bool)
	stop   func()
	until  func() bool // what it waits for; nil: nothing
	// looks: it may be interrupted, by whoever did it more often than this since.
	looks bool
	since int
}

func (m *sim) actor(body func(pause)) *simActor {
	a := &simActor{}
	a.resume, a.stop = iter.Pull(func(yield func(struct{}) bool) {
		defer func() {
			if p := recover(); p != nil && p != errCrash { //nolint:errorlint // it is that very value
				panic(p)
			}
		}()
		body(func() {
			waits := a.until != nil
			if !yield(struct{}{}) {
				panic(errCrash)
			}
			if m.interrupted(a) && (waits || m.one(3)) {
				panic(errInterrupted)
			}
		})
	})
	return a
}

func (m *sim) forever(body func(pause)) *simActor {
	return m.actor(func(p pause) {
		for {
			body(p)
			p()
		}
	})
}

func (m *sim) interrupted(a *simActor) bool { return a.looks && a.since != m.r.interruptions }

// acts lets somebody do a step, and says whether that was possible.
func (m *sim) acts(a *simActor) bool {
	if a.until != nil && !a.until() && !m.interrupted(a) {
		return false
	}
	a.until, m.acting = nil, a
	_, going := a.resume()
	return going
}

// simRun is one life of the process.
type simRun struct {
	*sim
	ledger    *ledger
	loaded    bool
	recalling bool
	from      int // where the proofs are of; -1: there are none
	began     int

	told      int // transactions of which the ledger was told
	submitted int // and that may be applied
	applied   int // all up to here are
	at        simServer
	pending   []int
	inside    bool // the feeder is in the middle of something
	alone     *simAlone

	catalog map[string]*simKnown
	pairs   map[string]simPair
	saving  bool
	proof   *simProof
	queue   []repair

	looking       int  // the Verifier's lock: so many hold it for looks
	locked        bool // somebody holds it alone
	locking       int  // and so many hold it, or want to
	interruptions int
	altering      int // so many want it to alter tables: looks that begin now are interrupted at once

	feeder, starter, tender, repairer, prover *simActor
	lookers                                   []*simActor
}

// simAlone is what is to be written at one point of the stream.
type simAlone struct {
	write func()
	taken bool // it will be, whether anybody waits for it or not
}

// simKnown is a table of the target as of the stream's position.
type simKnown struct {
	def      *row.Table
	kind     simKind
	wide     bool
	id       uint64
	complete bool
}

// simPair is a table as both sides had it.
type simPair struct {
	kind    simKind
	wide    bool
	version int
}

// simLook is what a look saw of both sides, and when it saw the target.
type simLook struct {
	ours, theirs map[string]int
	target       *simTable
	at           int
}

// saw notes that a range, or some keys, of the target were looked at.
func (l *simLook) saw(in row.Range, keys []string) {
	for key := range l.target.written {
		if keys == nil && l.target.kind.contains(in, key) || slices.Contains(keys, key) {
			l.target.looked[key] = max(l.target.looked[key], l.at)
		}
	}
}

// simProof is what keeps a proof from being complete.
type simProof struct{ missing []string }

func newSim(seed uint64, without omission, of trouble) *sim {
	rng := rand.New(rand.NewPCG(seed, 0))
	m := &sim{rng: rng, without: without, left: 100 + rng.IntN(200), first: simServer{}, dst: simServer{}, objects: map[uint64]*simTable{},
		done: map[int]bool{}, ran: map[int]bool{}, proofs: map[uint64]state.Proof{}, proofPosition: -1}
	m.style = simStyle{vandal: m.one(2), slips: m.one(2), cascades: m.one(3), repairs: m.one(2), storm: m.one(60), limit: 1 << 20,
		ddl: pick(m, []int{0, 0, 20, 4}), checkpoints: pick(m, []int{1, 5, 20}), crashes: pick(m, []int{0, 2000, 600}),
		copies: pick(m, []int{1, 1, 20}), recalls: pick(m, []int{1, 3, 10}), idles: pick(m, []int{1, 10, 40}), passes: pick(m, []int{1, 10, 100}), keys: pick(m, []int{4, 8, 20})}
	if m.one(2) {
		m.style.limit = int64(300 + rng.IntN(1500))
	}
	if of == anything && m.one(2) {
		of = trouble(m.rng.IntN(int(troubles)))
	}
	switch s := &m.style; of {
	case crashing:
		s.crashes, s.checkpoints, s.recalls, s.keys, s.limit, s.ddl = 1200, 3, 10, 8, 1<<20, 0
		m.left *= 2
	case renaming:
		s.ddl, s.idles, s.keys, s.crashes, s.limit = 12, 10, 8, 0, int64(300+m.rng.IntN(300))
	case renamingAfterCrashes:
		s.crashes, s.checkpoints, s.recalls, s.keys, s.limit, s.ddl = 1200, 3, 10, 8, 1<<20, 12
		m.left *= 2
	case repairing:
		s.vandal, s.repairs, s.ddl, s.crashes, s.passes, s.keys = true, true, 0, 0, 1, 4
	case proving:
		s.ddl, s.copies, s.idles, s.crashes = 0, 40, 40, 0
	}
	for n, kind := range map[string]simKind{"a": byNumber, "b": byNumber, "w": byWord, "x": byWeight, "n": byNothing} {
		m.first[n] = &simTable{kind: kind, rows: map[string]int{}}
	}
	for _, n := range m.first.names() {
		t := m.first[n]
		t.wide = m.one(3)
		for range rng.IntN(m.style.keys) {
			if t.kind == byNothing {
				t.rows[m.key(t.kind)]++
			} else {
				t.rows[m.key(t.kind)] = m.value(t.wide)
			}
		}
		m.ids++
		made := &simTable{kind: t.kind, wide: t.wide, id: m.ids, ideal: map[string]int{}}
		made.begin(m.step)
		m.dst[n], m.objects[m.ids] = made, made
		if m.one(3) {
			m.copy(made, t)
		}
	}
	m.now, m.seen = m.first.clone(), m.first.clone()
	m.start()
	return m
}

func (m *sim) one(of int) bool { return m.rng.IntN(of) == 0 }

func pick[T any](m *sim, of []T) T { return of[m.rng.IntN(len(of))] }

func (m *sim) fail(format string, args ...any) {
	if m.err == nil {
		m.err = fmt.Errorf("step %d: %w", m.step, fmt.Errorf(format, args...))
	}
}

func (m *sim) key(k simKind) string {
	switch k {
	case byNumber:
		return simExact(strconv.Itoa(m.rng.IntN(m.style.keys) - 3))
	case byNothing:
		return simExact("row " + strconv.Itoa(m.rng.IntN(m.style.keys)))
	}
	return simExact(string('a' + byte(m.rng.IntN(m.style.keys))))
}

func (m *sim) value(wide bool) int {
	if wide {
		return m.rng.IntN(900) + 1000*(1+m.rng.IntN(5))
	}
	return m.rng.IntN(900)
}

// The source.

// commit makes a transaction on the source.
func (m *sim) commit(tx simTx) {
	m.log = append(m.log, tx)
	m.now.take(tx)
}

// show makes one more transaction visible.
func (m *sim) show() {
	if m.visible < len(m.log) {
		m.seen.take(m.log[m.visible])
		m.visible++
	}
}

// mark commits a watermark, and gives how many transactions there are with it.
func (m *sim) mark() int {
	m.commit(simTx{})
	for m.visible < len(m.log) && m.without != blindLowWatermark {
		m.show()
	}
	return len(m.log)
}

// workload commits one random transaction.
func (m *sim) workload() {
	if m.style.ddl > 0 && m.one(m.style.ddl) {
		if d := m.statement(); d != nil {
			m.commit(simTx{ddl: d})
		}
		return
	}
	work := m.now.clone()
	var tx simTx
	for range 1 + m.rng.IntN(3) {
		tx.changes = append(tx.changes, m.change(work, pick(m, work.names())))
	}
	if m.style.cascades && m.one(8) {
		n := pick(m, work.names())
		for range 1 + m.rng.IntN(2) {
			tx.unsaid = append(tx.unsaid, m.change(work, n))
		}
	}
	m.commit(tx)
}

// change makes a random change of a table.
func (m *sim) change(s simServer, n string) simChange {
	t := s[n]
	c := simChange{table: n, kind: t.kind, wide: t.wide, now: m.key(t.kind), value: m.value(t.wide)}
	there := slices.Sorted(maps.Keys(t.rows))
	if len(there) > 0 && m.rng.IntN(4) > 0 {
		c.was = pick(m, there)
	}
	switch _, taken := t.rows[c.now]; {
	case t.kind == byNothing && c.was != "" && m.one(3):
		c.now = ""
	case t.kind == byNothing:
	case c.was == "" && taken: // an update
		c.was = c.now
	case c.was == "": // an insert
	case m.one(3):
		c.now = ""
	case taken || m.rng.IntN(3) > 0:
		c.now = c.was
	}
	c.do(t.rows)
	return c
}

// statement makes a random DDL; nil: not this time.
func (m *sim) statement() *simDDL {
	names := m.now.names()
	n := pick(m, names)
	free := slices.DeleteFunc([]string{"a", "b", "c", "d", "n", "w", "x"}, func(n string) bool { return m.now[n] != nil })
	d := &simDDL{from: []string{n}, to: []string{n}, instant: m.one(2)}
	switch op := m.rng.IntN(20); {
	case op < 3:
		d.verb, d.over = "ALTER", m.one(6) && m.now[n].kind != byNothing
		if d.over {
			d.instant = false
		}
	case op < 4:
		d.verb, d.instant = "TRUNCATE", false
	case op < 8 && len(free) > 0:
		d.verb, d.to = "RENAME", []string{pick(m, free)}
	case op < 16: // two change places
		same := slices.DeleteFunc(names, func(other string) bool { return other == n || m.now[other].kind != m.now[n].kind && !m.one(4) })
		if len(same) == 0 {
			return nil
		}
		other := pick(m, same)
		d.verb, d.from, d.to = "RENAME", []string{n, other}, []string{other, n}
	case op < 18 && len(m.now) > 3:
		d.verb, d.to = "DROP", []string{""}
	case len(m.now) < 6:
		d.verb, d.from, d.to, d.kind, d.wide = "CREATE", []string{""}, []string{pick(m, free)}, simKind(m.rng.IntN(4)), m.one(2)
	default:
		return nil
	}
	return d
}

// The target.

func differs(t *simTable, key string) bool {
	is, there := t.rows[key]
	should, wanted := t.ideal[key]
	return is != should || there != wanted
}

// wrongKeys are the rows of a table that are wrong, in order.
func (t *simTable) wrongKeys() (keys []string) {
	for k := range t.rows {
		if differs(t, k) {
			keys = append(keys, k)
		}
	}
	for k := range t.ideal {
		if _, there := t.rows[k]; !there {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	return keys
}

// touching changes a row of the target, and notes whether it was wrong before.
func (m *sim) touching(t *simTable, key string, change func()) {
	if differs(t, key) {
		t.wrong[key] = m.step
	}
	change()
}

// write applies a change, and now and then another than it should.
func (m *sim) write(t *simTable, c simChange) {
	keys := c.keys()
	for _, key := range keys {
		m.touching(t, key, func() {})
		t.written[key] = m.step
	}
	slip := m.style.slips && m.one(6) && (t.kind != byNothing || !slices.ContainsFunc(keys, func(key string) bool { return differs(t, key) }))
	c.do(t.ideal)
	switch {
	case slip && c.kind != byNothing && c.now != "" && m.one(2):
		c.value = m.other(t.wide, c.value)
		c.do(t.rows)
	case !slip:
		c.do(t.rows)
	}
}

// other is a value that differs from v, in one of the columns.
func (m *sim) other(wide bool, v int) int {
	if wide && m.one(2) {
		return v + 1000
	}
	return v/1000*1000 + (v%1000+1)%1000
}

// copy makes a table complete, by rows as they are at one position.
func (m *sim) copy(t, from *simTable) {
	t.complete = true
	t.rows, t.ideal = maps.Clone(from.rows), maps.Clone(from.rows)
	t.begin(m.step)
	if m.style.slips && m.one(2) {
		m.spoil(t)
	}
}

// spoil makes a row of the target wrong.
func (m *sim) spoil(t *simTable) {
	key := m.key(t.kind)
	if there := slices.Sorted(maps.Keys(t.rows)); len(there) > 0 && m.one(2) {
		key = pick(m, there)
	}
	v, there := t.rows[key]
	next, remains := m.other(t.wide, v), true
	switch {
	case !there && t.kind == byNothing:
		next = 1
	case !there:
		next = m.value(t.wide)
	case t.kind == byNothing:
		next = v + 1 - 2*m.rng.IntN(2)
		remains = next > 0
	case m.one(3):
		remains = false
	}
	if should, wanted := t.ideal[key]; remains == wanted && (!wanted || next == should) {
		return // it would be right again, and nobody would know
	}
	m.touching(t, key, func() {
		if delete(t.rows, key); remains {
			t.rows[key] = next
		}
	})
}

// vandal changes a row of the target behind everybody's back.
func (m *sim) vandal() {
	t := m.dst[pick(m, m.dst.names())]
	if !t.complete {
		return
	}
	if m.style.storm && t.kind == byNumber {
		m.style.storm = false
		for i := range suspects + 100 {
			key := simExact(strconv.Itoa(1000 + i))
			m.touching(t, key, func() { t.rows[key] = i })
		}
		return
	}
	m.spoil(t)
}

// remakeTarget is what a statement makes of a table of the target.
func (m *sim) remakeTarget(d *simDDL) func(*simTable) *simTable {
	return func(was *simTable) *simTable {
		t := d.remade(was)
		t.complete, t.ideal = true, map[string]int{}
		if was != nil && d.instant {
			t.id = was.id
		} else {
			m.ids++
			t.id = m.ids
		}
		m.objects[t.id] = t
		if d.verb == "ALTER" {
			t.complete, t.ideal = was.complete && !d.over, d.altered(was, was.ideal)
			if d.over {
				t.rows, t.ideal = map[string]int{}, map[string]int{}
			}
		}
		t.begin(m.step)
		if m.style.slips && t.complete && m.one(3) {
			m.spoil(t)
		}
		if was != nil && d.instant { // who looked before was right
			t.wrong = was.wrong
			for _, key := range was.wrongKeys() {
				t.wrong[key] = m.step
			}
		}
		return t
	}
}

// The process.

// start is what a process does first, and again after each crash.
func (m *sim) start() {
	if m.r != nil {
		for _, a := range slices.Concat(m.r.lookers, []*simActor{m.r.feeder, m.r.starter, m.r.tender, m.r.repairer, m.r.prover}) {
			a.stop()
		}
	}
	r := &simRun{sim: m, ledger: newLedger(m.style.limit), recalling: true, from: -1, began: m.position,
		told: m.position, submitted: m.position, applied: m.position, at: m.first.clone(), catalog: map[string]*simKnown{}, pairs: map[string]simPair{}}
	m.r = r
	for _, tx := range m.log[:m.position] {
		r.at.take(tx)
	}
	for n := range m.dst {
		r.learn(n)
	}
	r.feeder, r.tender = m.actor(r.feed), m.forever(r.tend)
	r.starter, r.repairer, r.prover = m.actor(r.load), m.forever(r.repairOnce), m.forever(r.proveOnce)
	for range 3 {
		r.lookers = append(r.lookers, m.forever(r.passOnce))
	}
	r.lookers = append(r.lookers, m.forever(r.keysOnce))
}

// learn takes a table into the catalog as it is on the target.
func (r *simRun) learn(n string) {
	delete(r.catalog, n)
	if t := r.dst[n]; t != nil {
		r.catalog[n] = &simKnown{def: simDef(t.kind, n), kind: t.kind, wide: t.wide, id: t.id, complete: t.complete}
	}
}

// tables are cdc.Stream's Tables.
func (r *simRun) tables() map[uint64]*row.Table {
	out := map[uint64]*row.Table{}
	for _, k := range r.catalog {
		if k.complete {
			out[k.id] = k.def
		}
	}
	return out
}

func (r *simRun) unfinished() (n int) {
	for _, k := range r.catalog {
		if !k.complete {
			n++
		}
	}
	return n
}

// idle lets some time pass.
func (r *simRun) idle(p pause) {
	for range 1 + r.rng.IntN(r.style.idles) {
		p()
	}
}

// await waits for something.
func (r *simRun) await(p pause, until func() bool) {
	for !until() {
		r.acting.until = until
		p()
	}
}

// load reads what earlier runs knew, and recalls what was touched since.
func (r *simRun) load(p pause) {
	p()
	proofs := make([]state.Proof, 0, len(r.proofs))
	for _, id := range slices.Sorted(maps.Keys(r.proofs)) {
		proofs = append(proofs, r.proofs[id])
	}
	from := r.proofPosition
	p()
	if r.without == forgetLoading {
		r.ledger.tables = map[Name]*entry{}
	}
	if err := r.ledger.load(proofs, r.tables); err != nil {
		r.fail("load: %w", err)
	}
	r.tidy()
	p()
	r.loaded, r.from = true, from
	if from >= 0 && r.without != noRecall {
		r.recall(p)
	}
	r.recalling = false
	for {
		p()
	}
}

// recall is cdc.Stream's Recall.
func (r *simRun) recall(p pause) {
	for seq := r.from; seq < r.began; seq++ {
		p()
		if r.one(200) { // the binlog is gone
			r.ledger.everything()
			return
		}
		tx := r.log[seq]
		if tx.ddl != nil {
			r.ledger.unsaid(simNames(tx.ddl.names()...))
		}
		for _, c := range tx.changes {
			if changes, ok := r.decode(c); ok {
				r.ledger.changed(changes)
			} else {
				r.ledger.unsaid(simNames(c.table))
			}
		}
		r.unsaid(tx, false)
		r.relieved()
	}
}

func simNames(names ...string) (out []schedule.Name) {
	for _, n := range names {
		out = append(out, schedule.Name{Schema: "s", Table: n})
	}
	return out
}

// decode makes of changes what the ledger is told; ok is false if their table is another by now.
func (r *simRun) decode(all ...simChange) (out []row.Change, ok bool) {
	for _, c := range all {
		k := r.catalog[c.table]
		if k == nil || k.kind != c.kind || k.wide != c.wide {
			return nil, false
		}
		change := row.Change{Table: k.def}
		if c.was != "" {
			change.Before = c.kind.image(c.was)
		}
		if c.now != "" {
			change.After = c.kind.image(c.now)
		}
		out = append(out, change)
	}
	return out, true
}

// unsaid tells of what the binlog does not name: the table, or the rows that were found in time.
func (r *simRun) unsaid(tx simTx, found bool) {
	switch {
	case len(tx.unsaid) == 0 || r.without == forgetUnsaid:
	case !found || tx.unsaid[0].kind == byNothing:
		r.ledger.unsaid(simNames(tx.unsaid[0].table))
	default:
		keys := map[string]row.Row{}
		for _, c := range tx.unsaid {
			for _, key := range c.keys() {
				keys[key] = row.Row{simValue(key)}
			}
		}
		r.ledger.touched(r.catalog[tx.unsaid[0].table].def, keys)
	}
}

// relieved keeps the order of what the ledger gave up the same in every run of a seed; or forgets it.
func (r *simRun) relieved() {
	if r.without != forgetRelieved {
		return
	}
	r.ledger.limit = 1 << 40
	if r.ledger.held > r.style.limit {
		for _, e := range r.ledger.tables {
			r.ledger.drop(e)
		}
	}
}

// tidy sorts what came out of maps, so that a history is its seed.
func (r *simRun) tidy() {
	for _, e := range r.ledger.tables {
		for _, list := range [][]row.Range{e.ranges, e.second} {
			slices.SortFunc(list, func(a, b row.Range) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
		}
	}
}

// feed is the feeder: it reads the stream, tells the ledger, and hands transactions on.
func (r *simRun) feed(p pause) {
	for ; ; p() {
		if q := r.alone; q != nil {
			r.inside, q.taken = true, true
			r.await(p, r.drained)
			q.write()
			r.alone, r.inside = nil, false
			continue
		}
		if r.told == len(r.log) {
			continue
		}
		tx := r.log[r.told]
		r.inside = true
		switch {
		case r.done[r.told]:
			r.tellOfApplied(p, tx)
			r.hear(tx)
			r.submitted = r.told
		case tx.ddl != nil:
			r.pass(p, tx)
			r.hear(tx)
			r.submitted = r.told
		case len(tx.unsaid) > 0:
			r.change(tx)
			r.hear(tx)
			r.await(p, r.drained)
			r.unsaid(tx, r.one(2))
			p()
			r.apply(r.told - 1)
			r.submitted = r.told
		default:
			r.change(tx)
			r.hear(tx)
			p()
			r.pending = append(r.pending, r.told-1)
			r.submitted = r.told
		}
		r.inside = false
		r.advance()
	}
}

func (r *simRun) drained() bool { return len(r.pending) == 0 }

// change tells the ledger of a transaction's rows.
func (r *simRun) change(tx simTx) {
	changes, ok := r.decode(tx.changes...)
	if !ok {
		panic("rows of a table that is another")
	}
	r.ledger.changed(changes)
	r.relieved()
}

// hear says that a transaction was read, and with it a watermark.
func (r *simRun) hear(tx simTx) {
	r.at.take(tx)
	r.told++
}

// tellOfApplied tells of what an earlier run has applied.
func (r *simRun) tellOfApplied(p pause, tx simTx) {
	if tx.ddl != nil {
		for _, n := range tx.ddl.names() {
			r.altered(cdc.Alteration{Was: simNames(n)[0], Now: simNames(n)[0], ID: r.id(n)})
			p()
		}
	}
	for _, c := range tx.changes {
		changes, ok := r.decode(c)
		if !ok {
			r.altered(cdc.Alteration{Was: simNames(c.table)[0], Now: simNames(c.table)[0], ID: r.id(c.table)})
			continue
		}
		r.unsaid(tx, false)
		r.ledger.changed(changes)
		r.relieved()
		p()
	}
}

func (r *simRun) id(n string) uint64 {
	if k := r.catalog[n]; k != nil {
		return k.id
	}
	return 0
}

// altered is the Verifier's Altered.
func (r *simRun) altered(all ...cdc.Alteration) {
	for i := range all {
		all[i].Renamed = all[i].Renamed || r.without == alteredIsRenamed
	}
	r.ledger.altered(all)
	r.tidy()
}

// pass runs a statement on the target, once.
func (r *simRun) pass(p pause, tx simTx) {
	d, seq := tx.ddl, r.told
	r.await(p, r.drained)
	r.position = r.applied
	p()
	r.checkpoint(p)
	p()
	if r.ran[seq] {
		for _, n := range d.names() {
			r.altered(cdc.Alteration{Was: simNames(n)[0], Now: simNames(n)[0], ID: r.id(n)})
			p()
		}
	} else {
		d.run(r.dst, r.remakeTarget(d))
		r.ran[seq], r.furthest = true, max(r.furthest, seq+1)
		r.idle(p)
		for _, n := range d.names() {
			r.learn(n)
		}
		r.idle(p)
		var all []cdc.Alteration
		for i := range d.from {
			a := cdc.Alteration{ID: r.id(d.to[i]), Renamed: d.verb == "RENAME"}
			if d.from[i] != "" {
				a.Was = simNames(d.from[i])[0]
			}
			if d.to[i] != "" {
				a.Now = simNames(d.to[i])[0]
			}
			all = append(all, a)
		}
		r.altered(all...)
	}
	p()
	r.done[seq] = true
}

// work applies a transaction that waits for no other.
func (r *simRun) work() {
	if len(r.pending) == 0 {
		return
	}
	i := r.rng.IntN(len(r.pending))
	held := map[[2]string]bool{}
	for _, seq := range r.pending[:i] {
		for _, c := range r.log[seq].changes {
			for _, key := range c.keys() {
				held[[2]string{c.table, key}] = true
			}
		}
	}
	seq := r.pending[i]
	for _, c := range r.log[seq].changes {
		for _, key := range c.keys() {
			if held[[2]string{c.table, key}] {
				return
			}
		}
	}
	r.pending = slices.Delete(r.pending, i, i+1)
	r.apply(seq)
	r.advance()
}

func (r *simRun) apply(seq int) {
	r.done[seq], r.furthest = true, max(r.furthest, seq+1)
	for _, c := range slices.Concat(r.log[seq].changes, r.log[seq].unsaid) {
		if t := r.dst[c.table]; t.complete {
			r.write(t, c)
		}
	}
}

// advance moves the applied position.
func (r *simRun) advance() {
	for r.applied < r.submitted && r.done[r.applied] {
		r.applied++
	}
}

// copyTable finishes the copy of a table.
func (r *simRun) copyTable() {
	if r.inside || !r.drained() || r.behind() {
		return
	}
	for _, n := range r.dst.names() {
		if t := r.dst[n]; !t.complete {
			r.copy(t, r.at[n])
			r.catalog[n].complete = true
			return
		}
	}
}

// tend tells the ledger of the tables, and writes it down.
func (r *simRun) tend(p pause) {
	if !r.loaded {
		return
	}
	r.idle(p)
	r.define(p)
	p()
	if r.busy && r.one(r.style.passes) {
		r.ledger.startPasses(time.Nanosecond)
	}
	if r.one(r.style.checkpoints) {
		r.save(p)
	}
}

func (r *simRun) define(p pause) {
	tables := r.tables()
	if r.without == staleTables {
		p()
	}
	r.ledger.define(func() map[uint64]*row.Table { return tables })
}

// checkpoint is the Verifier's Checkpoint, for the feeder.
func (r *simRun) checkpoint(p pause) {
	if r.without != alterUnrecalled {
		r.await(p, func() bool { return !r.recalling })
	}
	if r.without != keepLooks {
		r.altering++
		r.interruptions++
		p()
		r.lock(p)()
		r.altering--
	}
	r.save(p)
}

// save writes the ledger down.
func (r *simRun) save(p pause) {
	r.await(p, func() bool { return !r.saving })
	if !r.loaded {
		return
	}
	r.saving = true
	position := r.applied
	if r.recalling && r.from >= 0 && r.without != recallIsOver {
		position = r.from
	}
	p()
	proofs, gone, err := r.saved()
	slices.SortFunc(proofs, func(a, b state.Proof) int { return cmp.Compare(a.Table, b.Table) })
	if err != nil {
		r.fail("save: %w", err)
	}
	p()
	if r.one(4) { // it takes long
		r.idle(p)
	}
	if r.without == lateSnapshot {
		position = r.applied
	}
	if r.one(20) {
		r.ledger.unsaved(proofs)
	} else {
		for _, id := range gone {
			delete(r.proofs, id)
		}
		for _, proof := range proofs {
			r.proofs[proof.Table] = proof
		}
		r.proofPosition = position
		p()
		r.ledger.forgotten(gone)
	}
	r.saving = false
}

func (r *simRun) saved() ([]state.Proof, []uint64, error) {
	if r.without == claimsAreSaved {
		for _, e := range r.ledger.tables {
			defer func(claims map[*claim]bool) { e.claims = claims }(e.claims)
			e.claims = nil
		}
	}
	return r.ledger.save()
}

// Looks.

// awake says which tables may be looked at.
func (r *simRun) awake() func(Name) bool {
	some := r.rng.Uint64()
	return func(n Name) bool { return some>>(n.Table[0]%32)&1 == 1 }
}

// look does something that may be interrupted, and says whether it came to its end.
func (r *simRun) look(p pause, do func() bool) bool {
	r.await(p, func() bool { return r.locking == 0 })
	r.looking++
	defer func() { r.looking-- }()
	return r.interruptible(do)
}

func (r *simRun) interruptible(do func() bool) (through bool) {
	a := r.acting
	a.looks, a.since = true, r.interruptions
	if r.altering > 0 && r.without != lateLooks {
		a.since--
	}
	defer func() {
		a.looks = false
		if p := recover(); p != nil && p != errInterrupted { //nolint:errorlint // it is that very value
			panic(p)
		}
	}()
	return do()
}

// lock waits until nobody looks, and keeps it so.
func (r *simRun) lock(p pause) (unlock func()) {
	r.locking++
	r.await(p, func() bool { return r.looking == 0 && !r.locked })
	r.locked = true
	return func() {
		r.locked = false
		r.locking--
	}
}

// low is a low watermark that is applied.
func (r *simRun) low(p pause) {
	n := r.mark()
	p()
	r.await(p, func() bool { return r.applied >= n })
}

// high is a high watermark that is read.
func (r *simRun) high(p pause) {
	n := r.mark()
	p()
	r.await(p, func() bool { return r.told >= n })
}

// pair knows a table as both sides have it.
func (r *simRun) pair(p pause, n Name, version int) (simPair, bool) {
	if have, ok := r.pairs[n.Table]; ok && have.version == version {
		return have, true
	}
	for try := range 2 {
		source := r.seen[n.Table]
		p()
		target := r.dst[n.Table]
		if source != nil && target != nil && source.kind == target.kind && source.wide == target.wide {
			if e := r.ledger.tables[n]; e == nil || e.version != version {
				return simPair{}, false
			}
			r.pairs[n.Table] = simPair{target.kind, target.wide, version}
			return r.pairs[n.Table], true
		}
		if try == 0 {
			r.low(p)
		}
	}
	delete(r.pairs, n.Table)
	r.cannot(n, version, "it is not the same on both sides")
	return simPair{}, false
}

func (r *simRun) cannot(n Name, version int, why string) {
	if e := r.ledger.tables[n]; e != nil && (e.version == version || r.without == anyProblem) {
		r.ledger.cannot(n, version, why)
	}
}

// simView is a read view: of each table the rows as they were.
type simView map[*simTable]map[string]int

func view(s simServer) simView {
	v := simView{}
	for _, t := range s {
		v[t] = maps.Clone(t.rows)
	}
	return v
}

// read reads a range of a table, by the columns that the pair knows. It fails if the table is
// another by now.
func (r *simRun) read(s simServer, v simView, n Name, pair simPair, in row.Range) (map[string]int, bool) {
	t := s[n.Table]
	if t == nil || t.kind != pair.kind || pair.wide && !t.wide {
		return nil, r.forget(n)
	}
	rows := t.rows
	if v != nil {
		if rows = v[t]; rows == nil {
			return nil, r.forget(n)
		}
	}
	out := make(map[string]int, len(rows))
	for k, value := range rows {
		if pair.kind == byNothing {
			out[k] = value
		} else if pair.kind.contains(in, k) {
			if !pair.wide {
				value %= 1000
			}
			out[k] = value
		}
	}
	return out, true
}

func (r *simRun) forget(n Name) bool {
	delete(r.pairs, n.Table)
	return false
}

// next cuts a chunk off a range.
func (r *simRun) next(pair simPair, n Name, rest row.Range) (row.Range, bool) {
	if pair.kind == byWord || pair.kind == byNothing || r.one(2) {
		return rest, true
	}
	rows, ok := r.read(r.seen, nil, n, pair, rest)
	if !ok || len(rows) == 0 {
		return rest, ok
	}
	rest.High = row.Row{simValue(pick(r.sim, slices.Sorted(maps.Keys(rows))))}
	return rest, true
}

// passOnce compares one chunk.
func (r *simRun) passOnce(p pause) {
	l := r.ledger
	if !r.loaded {
		return
	}
	part, ok := l.open(r.awake())
	if !ok {
		return
	}
	if r.look(p, func() bool {
		p()
		pair, ok := r.pair(p, part.name, part.version)
		if !ok {
			return false
		}
		p()
		chunk, ok := r.next(pair, part.name, part.Range)
		if !ok {
			return false
		}
		p()
		c := l.claim(part, chunk)
		return c != nil && r.compareChunk(p, pair, c)
	}) {
		r.cannot(part.name, part.version, "")
	}
}

// breaks says that a look fails here: a connection was lost.
func (r *simRun) breaks() bool { return r.one(60) }

func (r *simRun) compareChunk(p pause, pair simPair, c *claim) bool {
	began := r.step
	through := false
	defer func() {
		if !through {
			r.ledger.giveBack(c)
		}
	}()
	look, differing, ok := r.chunk(p, pair, c)
	if !ok {
		return false
	}
	p()
	through = true
	r.general(c)
	look.saw(c.Range, nil)
	if pair.kind != byNothing {
		r.ledger.compared(c, uint64(len(look.ours)), differing)
		r.check()
		return true
	}
	different := map[string]*Finding{}
	for _, key := range differing {
		different["#"+key] = &Finding{Source: look.ours[key], Target: look.theirs[key]}
	}
	if e := r.ledger.tables[c.name]; e != nil && e.claims[c] && e.generation == c.generation {
		for id := range different {
			r.mustBeWrong(e, id, began)
		}
	}
	r.ledger.comparedWhole(c, 1, different)
	r.check()
	return true
}

// general makes a claim of whatever generation it is by now.
func (r *simRun) general(c *claim) {
	if r.without != noGeneration {
		return
	}
	for _, e := range r.ledger.tables {
		if e.claims[c] {
			c.generation, c.void = e.generation, false
		}
	}
}

// both reads both sides, in two views.
func (r *simRun) both(p pause, pair simPair, c *claim) (look simLook, ok bool) {
	p()
	if r.without != noLowWatermark {
		r.low(p)
	}
	source := view(r.seen)
	p()
	target := view(r.dst)
	look.at = r.step
	p()
	if r.without == claimAfterReading {
		c.touched, c.void = map[string]struct{}{}, false
	}
	if look.ours, ok = r.read(r.seen, source, c.name, pair, c.Range); !ok {
		return look, false
	}
	p()
	look.target = r.dst[c.name.Table]
	look.theirs, ok = r.read(r.dst, target, c.name, pair, c.Range)
	return look, ok && !r.breaks()
}

// settled waits for the high watermark, and gives what was touched until then.
func (r *simRun) settled(p pause, c *claim, equal bool) (touched []string, ok bool) {
	p()
	if !equal && r.without != noHighWatermark || equal && r.without != equalAtOnce {
		r.high(p)
	}
	touched, ok = r.ledger.touchedKeys(c)
	p()
	return touched, ok || r.without == forgetVoid
}

// chunk looks at what was claimed: at a range, or at all of a table whose rows have no names.
func (r *simRun) chunk(p pause, pair simPair, c *claim) (look simLook, differing []string, ok bool) {
	if look, ok = r.both(p, pair, c); !ok {
		return look, nil, false
	}
	equal := maps.Equal(look.ours, look.theirs)
	touched, ok := r.settled(p, c, equal)
	if !ok {
		return look, nil, false
	}
	e := r.ledger.tables[c.name]
	if e != nil && equal && r.without == equalIsNotDue {
		for _, key := range touched {
			delete(e.due, key)
		}
	}
	for _, key := range unequal(look.ours, look.theirs) {
		if r.without == ignoreTouched || !slices.Contains(touched, key) {
			differing = append(differing, key)
		}
	}
	if r.without == ignoreTouched || r.without == noHighWatermark || r.without == forgetVoid {
		// They are not looked at again: that would mend it.
		if e != nil && e.generation == c.generation {
			for _, key := range differing {
				r.mustBeWrong(e, key, 0)
			}
		}
	}
	return look, differing, true
}

// keysOnce compares some of the keys that are due.
func (r *simRun) keysOnce(p pause) {
	if !r.loaded {
		return
	}
	r.look(p, func() bool {
		began := r.step
		taken, since := r.ledger.takeDue(r.awake(), 1<<30, r.ledger.now())
		if r.one(2) {
			r.some(taken)
		}
		if len(taken) == 0 {
			return false
		}
		if r.without != keysNoLow {
			r.low(p)
		}
		found := r.lookAll(p, taken)
		if r.breaks() {
			return false
		}
		if r.without != keysNoHigh {
			r.high(p)
		}
		r.settle(p, taken, since, found, began)
		return true
	})
}

// some leaves out some of the keys.
func (r *simRun) some(taken map[Name]dueKeys) {
	for _, n := range takenNames(taken) {
		t := taken[n]
		slices.Sort(t.keys)
		r.rng.Shuffle(len(t.keys), func(i, j int) { t.keys[i], t.keys[j] = t.keys[j], t.keys[i] })
		t.keys = t.keys[:1+r.rng.IntN(len(t.keys))]
		taken[n] = t
	}
}

func takenNames(taken map[Name]dueKeys) []Name {
	return slices.SortedFunc(maps.Keys(taken), func(a, b Name) int { return strings.Compare(a.Table, b.Table) })
}

// lookAll compares keys, of all tables of which that can be done.
func (r *simRun) lookAll(p pause, taken map[Name]dueKeys) map[Name]*simLook {
	found := map[Name]*simLook{}
	for _, n := range takenNames(taken) {
		if look, ok := r.lookKeys(p, n, taken[n].version); ok {
			found[n] = look
		} else {
			delete(taken, n)
		}
	}
	return found
}

func (r *simRun) lookKeys(p pause, n Name, version int) (*simLook, bool) {
	pair, ok := r.pair(p, n, version)
	if !ok {
		return nil, false
	}
	p()
	look := &simLook{}
	if look.ours, ok = r.read(r.seen, nil, n, pair, row.Range{}); !ok {
		return nil, false
	}
	p()
	look.target, look.at = r.dst[n.Table], r.step
	look.theirs, ok = r.read(r.dst, nil, n, pair, row.Range{})
	p()
	return look, ok
}

func (r *simRun) settle(p pause, taken map[Name]dueKeys, since uint64, found map[Name]*simLook, began int) (stay int) {
	for _, n := range takenNames(taken) {
		p()
		t, look := taken[n], found[n]
		switch e := r.ledger.tables[n]; {
		case r.without == keysLateClock:
			since = r.ledger.now()
		case r.without == settleTouched:
			since = ^uint64(0)
		case r.without == noGeneration && e != nil:
			t.generation = e.generation
		}
		different := map[string]*Finding{}
		for _, key := range unequal(look.ours, look.theirs) {
			if slices.Contains(t.keys, key) {
				different[key] = &Finding{Source: 1, Target: 1}
			}
		}
		look.saw(row.Range{}, t.keys)
		s, _ := r.ledger.settleKeys(n, t, since, different)
		stay += s
		if e := r.ledger.tables[n]; e != nil {
			for key, f := range different {
				if e.different[key] == f {
					r.mustBeWrong(e, key, began)
				}
			}
		}
		r.check()
	}
	return stay
}

// Proofs.

func (r *simRun) proveOnce(p pause) {
	if r.loaded && (r.rests || r.one(4)) {
		r.prove(p)
	}
}

// prove is the Verifier's Prove.
func (r *simRun) prove(p pause) {
	r.interruptions++
	defer r.lock(p)()
	proof := &simProof{}
	if !r.interruptible(func() bool { return r.proves(p, proof) }) {
		proof.missing = append(proof.missing, "it was interrupted")
	}
	r.proof = proof
}

func (r *simRun) proves(p pause, proof *simProof) bool {
	l, began := r.ledger, r.step
	r.define(p)
	due, since := l.takeDue(func(Name) bool { return true }, 1<<30, ^uint64(0))
	r.low(p)
	all := len(due)
	found := r.lookAll(p, due)
	if len(found) < all {
		return false
	}
	r.high(p)
	if stay := r.settle(p, due, since, found, began); stay > 0 {
		proof.missing = append(proof.missing, "rows were written")
	}
	if !r.proveWhole(p) {
		return false
	}
	if r.recalling && r.without != proveUnrecalled {
		proof.missing = append(proof.missing, "recalling")
	}
	if r.unfinished() > 0 {
		proof.missing = append(proof.missing, "tables are not copied yet")
	}
	if r.without != proveKnown {
		r.define(p)
	}
	proof.missing = append(proof.missing, l.missing()...)
	if len(proof.missing) == 0 && !r.inside {
		for _, n := range r.dst.names() {
			for _, key := range r.dst[n].unseen() {
				r.fail("a proof is complete, and nobody has looked at %q of %s", key, n)
			}
		}
	}
	return true
}

func (r *simRun) proveWhole(p pause) bool {
	names := r.ledger.touchedWhole()
	slices.SortFunc(names, func(a, b Name) int { return strings.Compare(a.Table, b.Table) })
	for _, n := range names {
		part, ok := r.ledger.open(func(other Name) bool { return other == n })
		if !ok {
			continue
		}
		pair, ok := r.pair(p, n, part.version)
		if !ok {
			return false
		}
		c := r.ledger.claim(part, part.Range)
		if c == nil {
			continue
		}
		r.compareChunk(p, pair, c)
	}
	return true
}

// Repairs.

func (r *simRun) repairOnce(p pause) {
	if !r.loaded || !r.style.repairs {
		return
	}
	if len(r.queue) == 0 {
		r.queue, _ = r.ledger.toRepair()
	}
	if len(r.queue) == 0 {
		return
	}
	next := r.queue[0]
	if r.repair(p, next) || r.without != staleRepair && !r.ledger.current(next.name, next.version) {
		r.queue = r.queue[1:]
	}
}

func (r *simRun) repair(p pause, next repair) bool {
	pair, ok := r.pair(p, next.name, next.version)
	if !ok {
		return false
	}
	if next.crowd == nil {
		return r.look(p, func() bool { return r.copyAgain(p, pair, next, next.keys) })
	}
	ours, ok := r.read(r.seen, nil, next.name, pair, *next.crowd)
	if !ok {
		return false
	}
	p()
	theirs, ok := r.read(r.dst, nil, next.name, pair, *next.crowd)
	if !ok || !r.look(p, func() bool { return r.copyAgain(p, pair, next, unequal(ours, theirs)) }) {
		return false
	}
	p()
	r.ledger.uncrowd(next.name, *next.crowd)
	return true
}

// copyAgain copies rows from the source at one point of the stream.
func (r *simRun) copyAgain(p pause, pair simPair, next repair, keys []string) bool {
	l := r.ledger
	c := l.remember(next.name, next.version)
	if c == nil {
		return false
	}
	defer l.release(c)
	p()
	if r.without != repairNoLow {
		r.mark()
	}
	p()
	rows, ok := r.read(r.seen, nil, next.name, pair, row.Range{})
	if !ok {
		return false
	}
	p()
	if r.without != repairNoHigh {
		r.high(p)
	}
	q, answered, written := &simAlone{}, false, false
	q.write = func() {
		answered = true
		touched, ok := l.touchedKeys(c)
		if ok && (pair.kind != byNothing || len(touched) == 0 || r.without == repairTouched) {
			written = true
			r.replace(r.dst[next.name.Table], next.name, keys, touched, rows)
		}
	}
	r.await(p, func() bool { return r.alone == nil })
	r.alone = q
	defer func() {
		if r.alone == q && !q.taken {
			r.alone = nil
		}
	}()
	r.await(p, func() bool { return answered })
	p()
	if written && r.without != repairNotAgain {
		l.again(next.name, keys)
	}
	return written
}

// replace writes rows, but for those that the stream has touched.
func (r *simRun) replace(t *simTable, n Name, keys, touched []string, rows map[string]int) {
	for _, key := range keys {
		key = strings.TrimPrefix(key, "#")
		if slices.Contains(touched, key) && r.without != repairTouched {
			continue
		}
		r.touching(t, key, func() {
			if delete(t.rows, key); rows[key] != 0 || has(rows, key) {
				t.rows[key] = rows[key]
			}
		})
		if differs(t, key) {
			r.fail("a repair of %s wrote %q as %v, the source has %v", n.Table, key, t.rows[key], t.ideal[key])
		}
	}
}

func has(rows map[string]int, key string) bool { _, ok := rows[key]; return ok }

// What must hold.

// mustBeWrong checks that a row which is said to differ has been wrong since a step.
func (r *simRun) mustBeWrong(e *entry, key string, since int) {
	key = strings.TrimPrefix(key, "#")
	t := r.objects[e.id]
	if at, was := t.wrong[key]; !differs(t, key) && (!was || at < since) {
		r.fail("%s: %q is said to differ, and was right all the time", e.name, key)
	}
}

// check checks that nothing passes in silence: a row that was written since it was last looked at is due,
// or is known to differ.
func (r *simRun) check() {
	if !r.loaded || r.recalling || r.inside || r.behind() {
		return
	}
	for _, e := range r.ledger.sorted() {
		if t := r.dst[e.name.Table]; t != nil && t.id == e.id {
			for _, key := range t.unseen() {
				if !e.owes(t.kind, key) {
					r.fail("%s: row %q was written, and nobody will look", e.name, key)
				}
			}
		}
	}
}

// unseen are the rows that were written since they were last looked at.
func (t *simTable) unseen() (keys []string) {
	for key, written := range t.written {
		if looked, ever := t.looked[key]; !ever || looked < written {
			keys = append(keys, key)
		}
	}
	return keys
}

// owes tells whether a row is due, or is known to differ.
func (e *entry) owes(k simKind, key string) bool {
	if _, due := e.due[key]; due || e.differs(k, key) {
		return true
	}
	ranges := slices.Clone(e.ranges)
	for c := range e.claims {
		if !c.second && !c.only {
			ranges = append(ranges, c.Range)
		}
	}
	return !e.watching || slices.ContainsFunc(ranges, func(in row.Range) bool { return k.contains(in, key) })
}

// differs tells whether a row is known to differ.
func (e *entry) differs(k simKind, key string) bool {
	return e.different[key] != nil || e.different["#"+key] != nil ||
		slices.ContainsFunc(e.crowded, func(c crowd) bool { return k.contains(c.Range, key) })
}

// behind tells whether an earlier run has done something of which the ledger was not told yet.
func (r *simRun) behind() bool { return r.told < r.furthest }

// History.

var errStuck = errors.New("it never ends")

// play plays one history, and says what went wrong.
func (m *sim) play() (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
		m.stop()
	}()
	for crashes := m.rng.IntN(20); m.left > 0; {
		if crashes > 0 && m.style.crashes > 0 && m.one(m.style.crashes) {
			crashes--
			m.start()
			m.rests = m.one(2)
		}
		m.tick(true)
		if m.err != nil {
			return m.err
		}
		if m.step > 100_000 {
			return fmt.Errorf("%w: %s", errStuck, m.state())
		}
	}
	return m.end()
}

func (m *sim) stop() {
	for _, a := range slices.Concat(m.r.lookers, []*simActor{m.r.feeder, m.r.starter, m.r.tender, m.r.repairer, m.r.prover}) {
		a.stop()
	}
}

// tick lets one of all do a step. While busy the source is written to, now and then; there are times
// of rest.
func (m *sim) tick(busy bool) {
	m.step++
	m.busy = busy
	r := m.r
	if m.one(200) {
		m.rests = !m.rests
	}
	switch m.rng.IntN(25) {
	case 0, 1, 2, 3:
		if busy && !m.rests && len(m.log)-r.applied < 30 {
			m.left--
			m.workload()
		}
	case 4:
		if busy && m.style.vandal && m.one(4) {
			m.vandal()
		}
	case 5:
		m.show()
	case 6, 7, 8, 9:
		m.acts(r.feeder)
		m.acts(r.feeder)
	case 10, 11, 12, 13:
		r.work()
		r.work()
	case 14:
		switch m.rng.IntN(8) {
		case 0, 1:
			m.position = r.applied
		case 2:
			if !busy || m.one(m.style.copies) {
				r.copyTable()
			}
		}
	case 15:
		if !busy || !r.loaded || m.one(m.style.recalls) {
			m.acts(r.starter)
		}
	case 16:
		m.acts(r.tender)
	case 17, 18:
		m.acts(r.repairer)
	case 19:
		if busy {
			m.acts(r.prover)
		}
	default:
		for range 3 {
			for first, i := m.rng.IntN(len(r.lookers)), 0; i < len(r.lookers) && !m.acts(r.lookers[(first+i)%len(r.lookers)]); i++ {
			}
		}
	}
	if m.step%16 == 0 {
		r.check()
	}
}

// end plays what comes when nobody writes any more.
func (m *sim) end() error {
	r := m.r
	for until := m.step + 20_000; r.locking > 0; {
		if m.tick(true); m.err != nil {
			return m.err
		}
		if m.step > until {
			return fmt.Errorf("%w: a proof, or an alteration, waits; %s", errStuck, m.state())
		}
	}
	for _, again := range []bool{false, true} {
		if again {
			for _, e := range r.ledger.sorted() {
				r.ledger.startPass(e)
			}
		}
		if err := m.settles(); err != nil {
			return err
		}
		m.found(again)
		m.proves()
		if m.err != nil {
			return m.err
		}
	}
	return m.mend()
}

// mend repairs all that differs; then nothing does.
func (m *sim) mend() error {
	m.style.repairs = true
	for until := m.step + 60_000; ; {
		if err := m.settles(); err != nil {
			return err
		}
		queue, _ := m.r.ledger.toRepair()
		if len(queue) == 0 {
			break
		}
		if m.step > until {
			return fmt.Errorf("%w: %v is not repaired", errStuck, queue)
		}
		m.tick(false)
		if m.err != nil {
			return m.err
		}
	}
	m.proves()
	for _, n := range m.dst.names() {
		if keys := m.dst[n].wrongKeys(); len(keys) > 0 {
			m.fail("all is repaired, and in %s %q differ", n, keys)
		}
	}
	return m.err
}

// settles plays until all is compared.
func (m *sim) settles() error {
	for range 60000 {
		if m.quiet() {
			return m.err
		}
		m.tick(false)
		if m.err != nil {
			return m.err
		}
	}
	return fmt.Errorf("%w: %s", errStuck, m.state())
}

func (m *sim) quiet() bool {
	r := m.r
	if !r.loaded || r.recalling || r.inside || r.looking > 0 || r.told < len(m.log) || r.applied < r.told || m.visible < len(m.log) || r.unfinished() > 0 {
		return false
	}
	for n, k := range r.catalog {
		if e := r.ledger.tables[Name{"s", n}]; e == nil || e.id != k.id || e.def == nil {
			return false
		}
	}
	for _, e := range r.ledger.tables {
		if !e.wholly() || e.ended.IsZero() || len(e.due)+len(e.second)+len(e.claims) > 0 || e.problem != "" {
			return false
		}
	}
	return true
}

func (m *sim) state() string {
	r := m.r
	var b strings.Builder
	fmt.Fprintf(&b, "log %d visible %d told %d applied %d loaded %t recalling %t inside %t looking %d unfinished %d;", len(m.log), m.visible, r.told, r.applied, r.loaded, r.recalling, r.inside, r.looking, r.unfinished())
	for _, e := range r.ledger.sorted() {
		fmt.Fprintf(&b, " %s id %d ranges %v second %v due %d claims %d different %d problem %q defined %t ended %t;", e.name.Table, e.id, e.ranges, e.second, len(e.due), len(e.claims), len(e.different), e.problem, e.def != nil, !e.ended.IsZero())
	}
	for _, n := range m.dst.names() {
		fmt.Fprintf(&b, " %s is %d", n, m.dst[n].id)
	}
	return b.String()
}

// found checks that what is known to differ is wrong, and after one more pass that all that is wrong is
// known.
func (m *sim) found(all bool) {
	for _, e := range m.r.ledger.sorted() {
		t := m.dst[e.name.Table]
		for key := range e.different {
			if !differs(t, strings.TrimPrefix(key, "#")) {
				m.fail("%s: %q is still said to differ, and does not any more", e.name, key)
			}
		}
		for _, key := range t.wrongKeys() {
			if !e.differs(t.kind, key) && all {
				m.fail("%s: %q differs, and nobody has found it", e.name, key)
			}
		}
	}
}

// proves has both sides proven equal, and checks that the proof is complete if nothing is known to differ.
func (m *sim) proves() {
	r := m.r
	defer func(was bool) { m.style.repairs = was }(m.style.repairs)
	r.proof, m.style.repairs = nil, false
	prover := m.actor(r.prove)
	defer prover.stop()
	for range 20000 {
		if m.tick(false); m.err != nil || r.proof != nil {
			break
		}
		m.acts(prover)
	}
	differences := 0
	for _, e := range r.ledger.tables {
		differences += e.differences()
	}
	switch {
	case m.err != nil:
	case r.proof == nil:
		m.fail("a proof came to nothing: %s", m.state())
	case differences == 0 && len(r.proof.missing) > 0:
		m.fail("nothing differs, and the proof says: %s", r.proof.missing)
	case differences > 0 && len(r.proof.missing) == 0:
		m.fail("a proof is complete, and %d rows differ", differences)
	}
}

// simSeeds is how many histories a run plays; CHANGEOVER_SEEDS asks for more.
func simSeeds(t *testing.T, usual int) uint64 {
	if s := os.Getenv("CHANGEOVER_SEEDS"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil {
			t.Fatal(err)
		}
		return uint64(n)
	}
	return uint64(usual)
}

func TestNoHistoryEndsInAFalseProof(t *testing.T) {
	for seed := range simSeeds(t, 1000) {
		if err := newSim(seed, nothing, anything).play(); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
}

// With each rule switched off in turn some histories end in a false alarm or a false proof. Some rules are
// needed once in thousands of histories: those are only asked for when CHANGEOVER_SEEDS is set.
func TestEachRuleOfTheLedgerIsNeeded(t *testing.T) {
	var table strings.Builder
	n := simSeeds(t, 12)
	needed := 0
	for _, without := range omissions {
		failed := 0
		var first error
		for seed := range n {
			if err := newSim(seed, without, anything).play(); err != nil {
				failed++
				if first == nil {
					first = err
				}
			}
		}
		fmt.Fprintf(&table, "| %s | %d of %d | %.100v |\n", without, failed, n, first)
		if failed > 0 {
			needed++
		}
	}
	t.Logf("without the rule that …\n%s", table.String())
	if needed < len(omissions)/2 {
		t.Errorf("only %d of %d rules show in %d histories", needed, len(omissions), n)
	}
}
