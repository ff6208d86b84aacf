package schedule

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"sort"
	"strconv"
	"strings"
	"testing"

	"changeover/cdc/row"
	"changeover/internal/server"
)

// The simulation: a source with a binlog that runs ahead of what a SELECT can see, the scheduler
// of production, copiers and workers that are stopped between any two of their steps, and a target
// that keeps what was committed, through crashes. One seed is one history, always the same.

// omission is a rule that a run does without, to show that it is needed.
type omission string

const (
	nothing          omission = ""
	applyUntouched   omission = "changes in ranges not registered yet are dropped"
	keepMovedKeys    omission = "a change of the primary key is split before it is routed"
	ignoreTouched    omission = "a chunk's write leaves out the keys that the stream touched"
	overtakeChunks   omission = "the stream waits for a dispatched chunk"
	ignoreConflicts  omission = "transactions wait for those that hold their keys"
	forgetWaiting    omission = "a waiting transaction holds its keys"
	forgetUnique     omission = "unique values conflict, not only row keys"
	noLowWatermark   omission = "a chunk is read after a low watermark"
	noHighWatermark  omission = "a chunk is written after a high watermark"
	keepOnRegister   omission = "a range that is given up is emptied"
	keepOnRestart    omission = "after a restart every range that isn't done is emptied"
	registerEarly    omission = "after a restart no range is registered until the last id in applied"
	skippedTouches   omission = "a transaction that is skipped touches nothing (with registration too early)"
	noChunkPosition  omission = "the applied position is in the chunk's commit"
	inexactOrder     omission = "whether a key lies in a range is decided by exact order"
	bytesForWeights  omission = "where bytes don't tell the order, weights do"
	noAppliedIDs     omission = "ids are in applied, in the transaction's own commit"
	emptyTooEarly    omission = "emptying waits for what was let into the range"
	unboundedTouched omission = "touched keys have a byte bound"
	dispatchInLarge  omission = "nothing is under way while a large transaction is open"
)

var omissions = []omission{applyUntouched, keepMovedKeys, ignoreTouched, overtakeChunks, ignoreConflicts,
	forgetWaiting, forgetUnique, noLowWatermark, noHighWatermark, keepOnRegister, keepOnRestart, registerEarly,
	skippedTouches, noChunkPosition, inexactOrder, bytesForWeights, noAppliedIDs, emptyTooEarly, unboundedTouched, dispatchInLarge}

const simTouchedBytes = 200

// simTables are two tables whose order is known here, one whose key is ordered by weights, and one
// whose key's collation hides its order.
func simTables() []*row.Table {
	numbers := func(name string) *row.Table {
		return &row.Table{Schema: "s", Name: name, RowKey: 0,
			Columns: []row.Column{
				{Name: "id", Kind: row.Int, Type: "bigint", ColumnType: "bigint"},
				{Name: "u", Kind: row.Int, Type: "bigint", ColumnType: "bigint", Nullable: true},
				{Name: "v", Kind: row.Int, Type: "bigint", ColumnType: "bigint"}},
			Keys: []row.Key{
				{Name: "PRIMARY", Primary: true, Parts: []row.KeyPart{{Column: 0}}},
				{Name: "u", Nullable: true, Parts: []row.KeyPart{{Column: 1}}}}}
	}
	words := numbers("words")
	words.Columns[0] = row.Column{Name: "id", Kind: row.String, Type: "varchar", ColumnType: "varchar(20)",
		Charset: "big5", Collation: "big5_chinese_ci"}
	weighed := numbers("weighed")
	weighed.Columns[0] = row.Column{Name: "id", Kind: row.String, Type: "varchar", ColumnType: "varchar(20)",
		Charset: "utf8mb4", Collation: "utf8mb4_general_ci"}
	for _, t := range []*row.Table{words, weighed} {
		t.UseWeights(server.MySQL)
	}
	return []*row.Table{numbers("a"), numbers("b"), words, weighed}
}

// weigh puts the weights behind a key: an order in which every second letter comes last.
func weigh(t *row.Table, key row.Row) row.Row {
	return t.Weigh(key, func(_ *row.Column, v row.Value) row.Value { return row.Value{v[0]%2<<7 | v[0]} })
}

// place gives changes their places, as the feeder does.
func (m *sim) place(changes []row.Change) []row.Change {
	if m.without != keepMovedKeys {
		changes = SplitKeys(changes)
	}
	for i := range changes {
		c := &changes[i]
		image := c.Before
		if image == nil {
			image = c.After
		}
		if c.Table.Weighed() {
			c.Place = weigh(c.Table, c.Table.Key(image))
			if m.without == bytesForWeights {
				c.Place[1] = c.Place[0]
			}
		}
	}
	return changes
}

// content is the rows of one side: a map for each table from the key's exact form to the row.
type content []map[string]row.Row

func newContent(tables int) content {
	c := make(content, tables)
	for i := range c {
		c[i] = map[string]row.Row{}
	}
	return c
}

func exact(t *row.Table, r row.Row) string { return string(row.AppendKey(nil, t.Key(r))) }

// apply does one change as the target does: a plain INSERT, an upsert, a DELETE.
func (c content) apply(tables []*row.Table, ch row.Change) error {
	i := indexOf(tables, ch.Table)
	rows := c[i]
	if ch.Before != nil && ch.After != nil && exact(ch.Table, ch.Before) != exact(ch.Table, ch.After) {
		delete(rows, exact(ch.Table, ch.Before)) // only when keys are not split
	}
	if ch.After == nil {
		delete(rows, exact(ch.Table, ch.Before))
		return nil
	}
	key := exact(ch.Table, ch.After)
	if _, exists := rows[key]; exists && ch.Before == nil {
		return fmt.Errorf("duplicate row %s in %s", key, ch.Table.Name)
	}
	if u := ch.After[1]; u != nil {
		for k, other := range rows {
			if k != key && bytes.Equal(other[1], u) {
				return fmt.Errorf("duplicate unique value %s in %s", u, ch.Table.Name)
			}
		}
	}
	rows[key] = ch.After
	return nil
}

func indexOf(tables []*row.Table, t *row.Table) int {
	for i := range tables {
		if tables[i] == t {
			return i
		}
	}
	panic("no such table")
}

// simSource is the source: its rows now, its binlog, and how much of that a SELECT can see.
type simSource struct {
	tables  []*row.Table
	rows    content
	binlog  []simTx
	visible int // transactions of the binlog that a read view opened now contains
	seen    content
	marks   uint64
}

type simTx struct {
	changes []row.Change
	mark    uint64
	large   bool
}

func (s *simSource) commit(tx simTx) { s.binlog = append(s.binlog, tx) }

// show makes one more transaction visible.
func (s *simSource) show() {
	if s.visible == len(s.binlog) {
		return
	}
	for _, ch := range s.binlog[s.visible].changes {
		if err := s.seen.apply(s.tables, ch); err != nil {
			panic(err)
		}
	}
	s.visible++
}

// watermark commits a watermark; with wait its commit returns after all before it are visible.
func (s *simSource) watermark(wait bool) uint64 {
	s.marks++
	s.commit(simTx{mark: s.marks})
	for wait && s.visible < len(s.binlog) {
		s.show()
	}
	return s.marks
}

// simTarget is what survives a crash.
type simTarget struct {
	rows     content
	applied  map[string]uint64
	position uint64
	mark     uint64
	done     [][]row.Range
}

type copierStep uint8

const (
	copierIdle copierStep = iota
	copierRegistered
	copierLow
	copierRead
	copierHigh
	copierDispatched
	copierWritten
)

type copier struct {
	step  copierStep
	chunk *Chunk
	rest  *Chunk // registered with it: the next chunk
	rows  []row.Row
	high  uint64
	last  bool    // of a table in pieces: nothing comes after these rows
	after row.Row // of a table in pieces: where the next piece begins
}

type simWorker struct {
	batch     *Batch
	committed bool
}

type sim struct {
	rng     *rand.Rand
	without omission
	src     *simSource
	dst     *simTarget
	s       *Scheduler
	copiers []copier
	workers []simWorker
	read    uint64 // transactions of the binlog that the stream has read
	resume  uint64 // no chunk is registered before the stream has read this one
	pending *simTx // a large transaction that waits for the scheduler to be idle
	crashes int
	left    int // transactions that the workload still makes
}

func newSim(seed uint64, without omission) *sim {
	rng := rand.New(rand.NewPCG(seed, 0))
	tables := simTables()
	src := &simSource{tables: tables, rows: newContent(len(tables)), seen: newContent(len(tables))}
	m := &sim{rng: rng, without: without, src: src, left: 40 + rng.IntN(60), copiers: make([]copier, 3), workers: make([]simWorker, 1+rng.IntN(3))}
	for range 30 {
		m.workload()
	}
	for src.visible < len(src.binlog) {
		src.show()
	}
	// The stream starts here: what was before is only in the rows.
	src.binlog, src.visible = nil, 0
	m.dst = &simTarget{rows: newContent(len(tables)), applied: map[string]uint64{}, done: make([][]row.Range, len(tables))}
	m.start()
	return m
}

// start is what run does after a crash, and the first time.
func (m *sim) start() {
	m.s = New(Options{Workers: len(m.workers), BatchBytes: 1 << 20, BatchChanges: 1 + m.rng.IntN(20), TouchedBytes: simTouchedBytes}, m.dst.position)
	if m.without == unboundedTouched {
		m.s.opts.TouchedBytes = 0
	}
	m.s.mark = m.dst.mark
	m.s.without = rules{
		applyUntouched:    m.without == applyUntouched,
		keepMovedKeys:     m.without == keepMovedKeys,
		overtakeChunks:    m.without == overtakeChunks,
		ignoreConflicts:   m.without == ignoreConflicts,
		forgetWaitingKeys: m.without == forgetWaiting,
		forgetUniqueKeys:  m.without == forgetUnique,
	}
	for i, t := range m.src.tables {
		if !t.Ordered() && len(m.dst.done[i]) > 0 && m.dst.done[i][0].High != nil {
			m.dst.done[i] = nil // pieces of a table whose order is not known: it starts over
		}
		if err := m.s.SetTable(t, m.dst.done[i]); err != nil {
			panic(err)
		}
		if m.without != keepOnRestart {
			for _, r := range m.s.Untouched(Name{"s", t.Name}) {
				m.empty(t, r)
			}
		}
	}
	m.read = m.dst.position
	m.resume = m.read
	for _, seq := range m.dst.applied {
		m.resume = max(m.resume, seq)
	}
	if m.resume > m.read && m.without != registerEarly && m.without != skippedTouches {
		m.s.Close(func(Name) bool { return false })
	}
	for i := range m.copiers {
		m.copiers[i] = copier{}
	}
	for i := range m.workers {
		m.workers[i] = simWorker{}
	}
	m.pending = nil
}

func (m *sim) empty(t *row.Table, r row.Range) {
	rows := m.dst.rows[indexOf(m.src.tables, t)]
	for k, values := range rows {
		if contains(t, r, t.Key(values)) {
			delete(rows, k)
		}
	}
}

// contains is the server's own idea of a range: it knows the order of every key.
func contains(t *row.Table, r row.Range, key row.Row) bool {
	return (r.Low == nil || serverOrder(t, r.Low, key) < 0) && (r.High == nil || serverOrder(t, key, r.High) <= 0)
}

func serverOrder(t *row.Table, a, b row.Row) int {
	if t.Weighed() {
		return bytes.Compare(weigh(t, a)[1], weigh(t, b)[1])
	}
	if t.Columns[0].Kind == row.String {
		return bytes.Compare(a[0], b[0])
	}
	x, _ := strconv.Atoi(string(a[0]))
	y, _ := strconv.Atoi(string(b[0]))
	return x - y
}

var errStuck = errors.New("nothing moves any more")

// run plays one history to its end and says whether the target came out equal to the source.
func (m *sim) run() (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	crashes := m.rng.IntN(8)
	for step := 0; ; step++ {
		if step > 30000 {
			return errStuck
		}
		if m.crashes < crashes && m.rng.IntN(90) == 0 {
			m.crashes++
			m.start()
			continue
		}
		if err := m.step(); err != nil {
			return err
		}
		if m.finished() {
			return m.compare()
		}
	}
}

func (m *sim) step() error {
	switch m.rng.IntN(8) {
	case 0:
		if m.left > 0 {
			m.left--
			m.workload()
		}
	case 1:
		m.src.show()
	case 2, 3:
		return m.stream()
	case 4, 5:
		return m.work(m.rng.IntN(len(m.workers)))
	case 6:
		for range 2 {
			if err := m.copy(m.rng.IntN(len(m.copiers))); err != nil {
				return err
			}
		}
	case 7:
		if m.rng.IntN(5) == 0 {
			m.heartbeat()
		}
		m.emptyChunk()
	}
	return nil
}

// workload commits one random transaction on the source.
func (m *sim) workload() {
	tx := simTx{large: m.rng.IntN(25) == 0}
	for range 1 + m.rng.IntN(4) {
		tx.changes = append(tx.changes, m.mutate()...)
	}
	if len(tx.changes) > 0 {
		m.src.commit(tx)
	}
}

// mutate makes a few changes, each of which the source's own constraints allow.
func (m *sim) mutate() []row.Change {
	i := m.rng.IntN(len(m.src.tables))
	t, rows := m.src.tables[i], m.src.rows[i]
	existing := func() row.Row {
		keys := make([]string, 0, len(rows))
		for k := range rows {
			keys = append(keys, k)
		}
		if len(keys) == 0 {
			return nil
		}
		sort.Strings(keys)
		return rows[keys[m.rng.IntN(len(keys))]]
	}
	var out []row.Change
	do := func(before, after row.Row) {
		ch := row.Change{Table: t, Before: before, After: after}
		if before != nil {
			delete(rows, exact(t, before))
		}
		if err := m.src.rows.apply(m.src.tables, row.Change{Table: t, After: after, Before: before}); err != nil && after != nil {
			if before != nil {
				rows[exact(t, before)] = before
			}
			return
		}
		out = append(out, ch)
	}
	fresh := func(id row.Value) row.Row {
		return row.Row{id, m.number(12), m.number(1000)}
	}
	r := existing()
	switch op := m.rng.IntN(7); {
	case op == 0 || r == nil:
		if n := fresh(m.key(t)); rows[exact(t, n)] == nil {
			do(nil, n)
		}
	case op == 1:
		do(r, nil)
	case op == 2: // the key moves
		if n := (row.Row{m.key(t), r[1], r[2]}); rows[exact(t, n)] == nil {
			do(r, n)
		}
	case op == 3: // two rows swap their unique values
		other := existing()
		if other == nil || exact(t, other) == exact(t, r) {
			break
		}
		free := row.Row{r[0], nil, r[2]}
		do(r, free)
		taken := row.Row{other[0], r[1], other[2]}
		do(other, taken)
		do(free, row.Row{r[0], other[1], r[2]})
	case op == 4: // insert, delete, insert again
		if n := fresh(m.key(t)); rows[exact(t, n)] == nil {
			do(nil, n)
			if rows[exact(t, n)] != nil {
				do(n, nil)
				do(nil, row.Row{n[0], n[1], m.number(1000)})
			}
		}
	default:
		do(r, row.Row{r[0], m.number(12), m.number(1000)})
	}
	return out
}

func (m *sim) key(t *row.Table) row.Value {
	if t.Columns[0].Kind == row.String {
		return row.Value{'a' + byte(m.rng.IntN(20))}
	}
	// Signs and lengths differ, so that the order of the digits is not the order of the numbers.
	return row.Value(strconv.Itoa(m.rng.IntN(130) - 20))
}

func (m *sim) number(n int) row.Value {
	if n == 12 && m.rng.IntN(3) == 0 {
		return nil
	}
	return row.Value(strconv.Itoa(m.rng.IntN(n)))
}

// stream reads the next transaction of the binlog, which a SELECT may not see yet.
func (m *sim) stream() error {
	if m.pending != nil {
		return m.large()
	}
	if m.read == uint64(len(m.src.binlog)) {
		return nil
	}
	tx := m.src.binlog[m.read]
	seq := m.read + 1
	id := strconv.FormatUint(seq, 10)
	_, skipped := m.dst.applied[id]
	if tx.large && !skipped {
		m.pending = &tx
		if m.without != dispatchInLarge {
			m.s.Close(func(Name) bool { return true })
		}
		return nil
	}
	m.read++
	changes := append([]row.Change(nil), tx.changes...)
	if skipped && m.without == skippedTouches {
		m.touchOnly(changes)
	}
	if skipped {
		changes = nil
	}
	changes = m.place(changes)
	m.s.Submit(&Tx{Seq: seq, ID: id, Changes: changes, Bytes: int64(len(changes)), Mark: tx.mark})
	if m.read == m.resume {
		m.s.Open()
	}
	for i := range m.copiers {
		// One transaction may pass the bound; it is a few keys at most. So may, of a table in pieces, all
		// those that wait for a piece: their memory is bounded by itself.
		if c := m.copiers[i].chunk; c != nil && c.Table.Ordered() && c.touchedBytes > simTouchedBytes+450 {
			return errors.New("touched keys grow past their bound")
		}
	}
	return nil
}

// touchOnly is what a skipped transaction must not do.
func (m *sim) touchOnly(changes []row.Change) {
	for _, ch := range SplitKeys(changes) {
		image := ch.Before
		if image == nil {
			image = ch.After
		}
		key := ch.Table.Key(image)
		if seg := m.s.tables[Name{"s", ch.Table.Name}].at(weigh(ch.Table, key)); seg.state == Registered {
			seg.chunk.touch(key)
		}
	}
}

// large applies a transaction that is over the byte budget, alone, once nothing is under way.
func (m *sim) large() error {
	if !m.s.Idle() && m.without != dispatchInLarge {
		return nil
	}
	tx := *m.pending
	seq := m.read + 1
	for _, ch := range m.s.Copied(m.place(append([]row.Change(nil), tx.changes...))) {
		if err := m.dst.rows.apply(m.src.tables, ch); err != nil {
			return err
		}
	}
	m.dst.applied[strconv.FormatUint(seq, 10)] = seq
	m.pending = nil
	m.read++
	m.s.Submit(&Tx{Seq: seq, ID: strconv.FormatUint(seq, 10)})
	if m.read >= m.resume {
		m.s.Open()
	}
	return nil
}

// work moves one worker on: it takes a batch, commits it, says so; a crash may come between.
func (m *sim) work(i int) error {
	w := &m.workers[i]
	switch {
	case w.batch == nil:
		w.batch, w.committed = m.s.Take(i), false
	case !w.committed:
		w.committed = true
		for _, tx := range w.batch.Txs {
			if _, twice := m.dst.applied[tx.ID]; twice {
				return fmt.Errorf("transaction %s applied twice", tx.ID)
			}
			if m.without != noAppliedIDs {
				m.dst.applied[tx.ID] = tx.Seq
			}
			for _, ch := range tx.Changes {
				if err := m.dst.rows.apply(m.src.tables, ch); err != nil {
					return err
				}
			}
		}
	default:
		m.s.Committed(w.batch)
		w.batch = nil
	}
	return nil
}

func (m *sim) heartbeat() {
	m.savePosition(m.s.Applied())
	m.dst.mark = max(m.dst.mark, m.s.Mark())
}

func (m *sim) savePosition(seq uint64) {
	m.dst.position = max(m.dst.position, seq)
	for id, at := range m.dst.applied {
		if at <= m.dst.position {
			delete(m.dst.applied, id)
		}
	}
}

// copy moves one copier on by a step.
func (m *sim) copy(i int) error {
	c := &m.copiers[i]
	if c.chunk != nil && (c.chunk.State() == Emptying || c.chunk.State() == Untouched) {
		rest := c.rest
		*c = copier{}
		if rest != nil {
			*c = copier{step: copierRegistered, chunk: rest}
		}
		return nil
	}
	switch c.step {
	case copierIdle:
		return m.register(c)
	case copierRegistered:
		if m.without != noLowWatermark {
			m.src.watermark(true)
		}
		c.step = copierLow
	case copierLow:
		m.readChunk(c)
	case copierRead:
		c.high = 0
		if m.without != noHighWatermark {
			c.high = m.src.watermark(m.rng.IntN(2) == 0)
		}
		c.step = copierHigh
	case copierHigh:
		if m.rng.IntN(30) == 0 {
			m.s.GiveUp(c.chunk)
			return nil
		}
		if ok, err := m.s.Dispatch(c.chunk, c.high); err == nil && ok {
			c.step = copierDispatched
		}
	case copierDispatched:
		return m.writeChunk(c)
	case copierWritten:
		m.finishChunk(c)
	}
	return nil
}

// emptyChunk empties a range that was given up.
func (m *sim) emptyChunk() {
	c := m.s.TakeEmptiable()
	if c == nil && m.without == emptyTooEarly && len(m.s.given) > 0 {
		c = m.s.given[0]
		m.s.given = m.s.given[1:]
	}
	if c == nil {
		return
	}
	if m.without != keepOnRegister {
		m.empty(c.Table, c.Range)
		if !c.Table.Ordered() {
			m.dst.done[indexOf(m.src.tables, c.Table)] = nil
		}
	}
	m.s.Emptied(c)
}

// register takes an untouched range of some table, or a part of one.
func (m *sim) register(c *copier) error {
	if m.s.closed != nil {
		return nil
	}
	t := m.src.tables[m.rng.IntN(len(m.src.tables))]
	name := Name{"s", t.Name}
	ranges := m.s.Untouched(name)
	if len(ranges) == 0 {
		return nil
	}
	r := ranges[m.rng.IntN(len(ranges))]
	if t.Ordered() && m.rng.IntN(3) > 0 {
		cut := row.Row{m.key(t)}
		if contains(t, r, cut) && (r.High == nil || serverOrder(t, cut, r.High) < 0) {
			r.High = weigh(t, cut)
		}
	}
	chunk, err := m.s.Register(name, r)
	if err != nil {
		return err
	}
	*c = copier{step: copierRegistered, chunk: chunk}
	return nil
}

// readChunk reads what is visible of the chunk; if the budget is full before its end, the chunk
// ends there.
func (m *sim) readChunk(c *copier) {
	t := c.chunk.Table
	r := c.chunk.Range
	if !t.Ordered() {
		r.Low = c.after
	}
	var rows []row.Row
	for _, values := range m.src.seen[indexOf(m.src.tables, t)] {
		if contains(t, r, t.Key(values)) {
			rows = append(rows, values)
		}
	}
	order := func(i, j int) bool { return serverOrder(t, t.Key(rows[i]), t.Key(rows[j])) < 0 }
	if m.without == inexactOrder && t.Ordered() {
		order = func(i, j int) bool { return bytes.Compare(rows[i][0], rows[j][0]) < 0 }
	}
	sort.Slice(rows, order)
	c.last = true
	if budget := 2 + m.rng.IntN(8); len(rows) > budget {
		rows = rows[:budget]
		c.last = false
		if t.Ordered() {
			c.rest, _ = m.s.Cut(c.chunk, weigh(t, t.Key(rows[budget-1])))
		}
	}
	c.rows = rows
	c.step = copierRead
}

// writeChunk commits the rows that the stream did not touch, the done mark and the position.
func (m *sim) writeChunk(c *copier) error {
	if m.rng.IntN(40) == 0 { // the write failed and was rolled back
		m.s.GiveUp(c.chunk)
		return nil
	}
	t := c.chunk.Table
	i := indexOf(m.src.tables, t)
	for _, values := range c.rows {
		if m.without != ignoreTouched && c.chunk.Touched([]byte(exact(t, values))) {
			continue
		}
		if err := m.dst.rows.apply(m.src.tables, row.Change{Table: t, After: values}); err != nil {
			return err
		}
	}
	switch {
	case t.Ordered():
		m.dst.done[i] = append(m.dst.done[i], c.chunk.Range)
		sort.Slice(m.dst.done[i], func(a, b int) bool {
			x, y := m.dst.done[i][a].Low, m.dst.done[i][b].Low
			return x == nil || y != nil && serverOrder(t, x, y) < 0
		})
	case c.last:
		m.dst.done[i] = []row.Range{{}}
	default:
		m.dst.done[i] = []row.Range{{High: t.Key(c.rows[len(c.rows)-1])}}
	}
	if m.without != noChunkPosition {
		m.savePosition(m.s.Applied())
		m.dst.mark = max(m.dst.mark, m.s.Mark())
	}
	c.step = copierWritten
	return nil
}

func (m *sim) finishChunk(c *copier) {
	t := c.chunk.Table
	if !t.Ordered() && !c.last {
		c.after = t.Key(c.rows[len(c.rows)-1])
		m.s.Continue(c.chunk)
		*c = copier{step: copierRegistered, chunk: c.chunk, after: c.after}
		return
	}
	m.s.Done(c.chunk)
	rest := c.rest
	*c = copier{}
	if rest != nil {
		*c = copier{step: copierRegistered, chunk: rest}
	}
}

func (m *sim) finished() bool {
	if m.left > 0 || m.read < uint64(len(m.src.binlog)) || !m.s.Idle() || m.s.closed != nil || m.pending != nil {
		return false
	}
	for _, t := range m.src.tables {
		if !m.s.Complete(Name{"s", t.Name}) {
			return false
		}
	}
	return true
}

func (m *sim) compare() error {
	for i, t := range m.src.tables {
		for k, want := range m.src.rows[i] {
			got, ok := m.dst.rows[i][k]
			if !ok {
				return fmt.Errorf("%s: row %s is missing", t.Name, want)
			}
			if fmt.Sprint(got) != fmt.Sprint(want) {
				return fmt.Errorf("%s: row %s should be %s", t.Name, got, want)
			}
		}
		if len(m.dst.rows[i]) != len(m.src.rows[i]) {
			return fmt.Errorf("%s: %d rows, should be %d", t.Name, len(m.dst.rows[i]), len(m.src.rows[i]))
		}
	}
	return nil
}

// seeds is how many histories a run plays; CHANGEOVER_SEEDS asks for more.
func seeds(t *testing.T, usual int) uint64 {
	if s := os.Getenv("CHANGEOVER_SEEDS"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil {
			t.Fatal(err)
		}
		return uint64(n)
	}
	if underRace {
		return uint64(usual / 4)
	}
	return uint64(usual)
}

func TestEveryHistoryEndsEqual(t *testing.T) {
	for seed := range seeds(t, 3000) {
		if err := newSim(seed, nothing).run(); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
}

func TestEachRuleIsNeeded(t *testing.T) {
	var table strings.Builder
	n := seeds(t, 400)
	for _, without := range omissions {
		failed := 0
		var first error
		// Some rules are needed once in a hundred histories: those get as many as it takes.
		for seed := uint64(0); seed < n || failed == 0 && seed < 20*n; seed++ {
			if err := newSim(seed, without).run(); err != nil {
				failed++
				if first == nil {
					first = err
				}
			}
		}
		fmt.Fprintf(&table, "| %s | %d of %d | %v |\n", without, failed, n, first)
		if failed == 0 {
			t.Errorf("no history fails without: %s", without)
		}
	}
	t.Logf("without the rule that …\n%s", table.String())
}
