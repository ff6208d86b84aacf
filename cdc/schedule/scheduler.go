package schedule

import (
	"fmt"

	"changeover/cdc/row"
)

// Options bound a scheduler.
type Options struct {
	Workers int // appliers, at least 1
	// BatchBytes and BatchChanges end a batch; a single transaction may exceed them.
	BatchBytes   int64
	BatchChanges int
	// TouchedBytes bounds the keys that one chunk remembers; past it the chunk is given up.
	TouchedBytes int64
	// Applied is called for each transaction, in stream order, once it and everything before it
	// is committed on the target.
	Applied func(*Tx)
}

// rules switches off, one at a time, what the simulation must show to be needed.
type rules struct {
	applyUntouched    bool // changes in ranges not registered yet are applied
	keepMovedKeys     bool // updates of the primary key are routed whole
	overtakeChunks    bool // changes don't wait for a dispatched chunk
	ignoreConflicts   bool // transactions don't wait for each other
	forgetWaitingKeys bool // a waiting transaction holds no keys
	forgetUniqueKeys  bool // only row keys conflict
}

// Scheduler is the state machine; it is not safe for concurrent use. Flow makes it so.
type Scheduler struct {
	opts    Options
	without rules

	tables  map[Name]*progress
	window  []*node // the transactions that are not yet known to be applied, in stream order
	applied uint64  // everything up to this one is committed on the target
	mark    uint64  // the last watermark among them
	last    uint64  // the last one submitted
	held    int64   // bytes of transactions in the window

	holders map[uint64]*node // the last holder of each conflict key
	wild    map[uint64]*wild
	queues  []queue
	given   []*Chunk        // given up, and nobody empties them yet
	closed  func(Name) bool // not nil: no chunk may be registered, and none stay so on these tables
	open    int             // chunks that are dispatched or emptying
}

// Name names a table.
type Name struct{ Schema, Table string }

// queue is what one worker has to do: what it is doing, and what comes after.
type queue struct {
	inFlight *Batch
	nodes    []*node
	bytes    int64 // of both
}

// wild is a key some of whose holders can't say which values they are equal to: each of those
// conflicts with every holder of the key.
type wild struct {
	last  *node   // the last one that can't say
	since []*node // all holders since
}

// add remembers a holder, and forgets those that are done before the list doubles.
func (w *wild) add(n *node) {
	if len(w.since) == cap(w.since) {
		live := w.since[:0]
		for _, b := range w.since {
			if !b.done {
				live = append(live, b)
			}
		}
		clear(w.since[len(live):])
		w.since = live
	}
	w.since = append(w.since, n)
}

// New makes a scheduler whose stream goes on after the transaction applied.
func New(opts Options, applied uint64) *Scheduler {
	return &Scheduler{
		opts:    opts,
		tables:  map[Name]*progress{},
		applied: applied,
		last:    applied,
		holders: map[uint64]*node{},
		wild:    map[uint64]*wild{},
		queues:  make([]queue, opts.Workers),
	}
}

// SetTable says how far a table is: done lists the ranges that the target already has, in key
// order, and where the table is Weighed with their weights. It replaces what was known of the table,
// which must have no chunk under way.
func (s *Scheduler) SetTable(def *row.Table, done []row.Range) error {
	p := &progress{def: def, segments: []segment{{state: Untouched}}}
	for _, r := range done {
		i, err := p.carve(r)
		if err != nil {
			return err
		}
		p.segments[i].state = Done
		p.join(i)
	}
	s.tables[Name{def.Schema, def.Name}] = p
	return nil
}

// Redefine gives a table a new definition with the same row key; its progress stays.
func (s *Scheduler) Redefine(name Name, def *row.Table) {
	s.Rename(map[Name]*row.Table{name: def})
}

// Rename moves tables to the names that their new definitions have, all at once, so that two may
// swap theirs; their progress goes with them.
func (s *Scheduler) Rename(moves map[Name]*row.Table) {
	moved := map[Name]*progress{}
	for old := range moves {
		moved[old] = s.tables[old]
		delete(s.tables, old)
	}
	for old, def := range moves {
		if p := moved[old]; p != nil {
			p.def = def
			s.tables[Name{def.Schema, def.Name}] = p
		}
	}
}

// Forget drops what is known of a table: its changes are out of scope from now on.
func (s *Scheduler) Forget(name Name) { delete(s.tables, name) }

// Complete tells whether all of a table has been copied.
func (s *Scheduler) Complete(name Name) bool {
	p := s.tables[name]
	return p != nil && p.complete()
}

// HasUntouched tells whether a table has a part that no chunk has taken yet.
func (s *Scheduler) HasUntouched(name Name) bool {
	if p := s.tables[name]; p != nil {
		for i := range p.segments {
			if p.segments[i].state == Untouched {
				return true
			}
		}
	}
	return false
}

// Untouched lists the parts of a table that no chunk has taken yet, in key order.
func (s *Scheduler) Untouched(name Name) []row.Range {
	var out []row.Range
	p := s.tables[name]
	if p == nil {
		return nil
	}
	low := row.Row(nil)
	for _, seg := range p.segments {
		if seg.state == Untouched {
			out = append(out, row.Range{Low: low, High: seg.high})
		}
		low = seg.high
	}
	return out
}

// Applied is the applied position: every transaction up to this one is committed on the target.
func (s *Scheduler) Applied() uint64 { return s.applied }

// Mark is the last watermark that the applied position has passed.
func (s *Scheduler) Mark() uint64 { return s.mark }

// Last is the last transaction submitted.
func (s *Scheduler) Last() uint64 { return s.last }

// Held is about how many bytes the transactions hold that are not yet applied.
func (s *Scheduler) Held() int64 { return s.held }

// Submit takes the next transaction of the stream. Changes of a table that is Weighed and not
// complete have their Place, and so their keys are split already (SplitKeys).
func (s *Scheduler) Submit(tx *Tx) {
	if tx.Seq != s.last+1 {
		panic(fmt.Sprintf("schedule: transaction %d after %d", tx.Seq, s.last))
	}
	s.last = tx.Seq
	n := &node{tx: tx, worker: -1}
	s.window = append(s.window, n)
	s.held += tx.Bytes
	s.route(n)
	s.place(n)
}

// route settles for each change whether it is applied or dropped, what it touches, and for what
// its transaction waits.
func (s *Scheduler) route(n *node) {
	changes := n.tx.Changes
	if !s.without.keepMovedKeys {
		changes = SplitKeys(changes)
	}
	kept := changes[:0:len(changes)]
	if len(changes) > 0 && s.anyUnfinished(changes) {
		kept = make([]row.Change, 0, len(changes))
	}
	var overfull []*Chunk
	for i := range changes {
		c := &changes[i]
		p := s.tables[Name{c.Table.Schema, c.Table.Name}]
		if p == nil {
			continue
		}
		keep, conflicts := true, true
		if !p.complete() {
			keep, conflicts, overfull = s.classify(n, p, c, overfull)
		}
		if conflicts {
			s.hold(n, c)
		}
		if keep {
			kept = append(kept, *c)
		}
	}
	n.tx.Changes = kept
	for _, c := range overfull {
		s.giveUp(c)
	}
}

// anyUnfinished tells whether some change may be dropped, so that the slice can't be reused: it
// may be shared with the caller's.
func (s *Scheduler) anyUnfinished(changes []row.Change) bool {
	for i := range changes {
		p := s.tables[Name{changes[i].Table.Schema, changes[i].Table.Name}]
		if p == nil || !p.complete() {
			return true
		}
	}
	return false
}

// classify tells what happens to a change of a table that is not wholly copied.
func (s *Scheduler) classify(n *node, p *progress, c *row.Change, overfull []*Chunk) (keep, conflicts bool, _ []*Chunk) {
	image := c.Before
	if image == nil {
		image = c.After
	}
	key := p.def.Key(image)
	seg := p.of(c, key)
	switch seg.state {
	case Untouched:
		return s.without.applyUntouched, s.without.applyUntouched, overfull
	case Emptying:
		n.after(seg.chunk.gate)
		return false, true, overfull
	case Dispatched:
		if !s.without.overtakeChunks {
			n.after(seg.chunk.gate)
		}
		// A table whose order is not known is one range: the rest of it is still to be copied.
		if p.def.Ordered() {
			return true, true, overfull
		}
	case Done:
		return true, true, overfull
	}
	held := seg.chunk.touch(key)
	if c.Before != nil && c.After != nil {
		held = seg.chunk.touch(p.def.Key(c.After))
	}
	if held > s.opts.TouchedBytes && s.opts.TouchedBytes > 0 && seg.state == Registered {
		overfull = append(overfull, seg.chunk)
	}
	return true, true, overfull
}

func (c *Chunk) touch(key row.Row) int64 {
	k := string(row.AppendKey(nil, key))
	into := c.touched
	if c.state == Dispatched { // whose writer reads touched, without a lock
		if c.later == nil {
			c.later = map[string]struct{}{}
		}
		into = c.later
	}
	if _, known := into[k]; !known {
		into[k] = struct{}{}
		c.touchedBytes += int64(len(k)) + 48 // about what a map entry costs
	}
	return c.touchedBytes
}

// hold makes n wait for the last holders of the change's keys, and the last holder itself.
func (s *Scheduler) hold(n *node, c *row.Change) {
	from := len(n.keys)
	if c.Before != nil {
		n.keys = c.Table.AppendConflicts(n.keys, c.Before)
	}
	if c.After != nil {
		n.keys = c.Table.AppendConflicts(n.keys, c.After)
	}
	if s.without.forgetUniqueKeys {
		n.keys = n.keys[:from+min(1, len(n.keys)-from)]
	}
	if s.without.ignoreConflicts {
		n.keys = n.keys[:from]
	}
	for _, k := range n.keys[from:] {
		if k.Wild {
			s.holdWild(n, k)
			continue
		}
		n.after(s.holders[k.Hash])
		if s.without.forgetWaitingKeys && n.waits > 0 {
			continue
		}
		s.holders[k.Hash] = n
		if w := s.wild[k.Index]; w != nil {
			n.after(w.last)
			w.add(n)
		}
	}
}

func (s *Scheduler) holdWild(n *node, k row.ConflictKey) {
	w := s.wild[k.Index]
	if w == nil {
		w = &wild{since: s.holdersOf(k.Index)}
		s.wild[k.Index] = w
	}
	n.after(w.last)
	for _, before := range w.since {
		n.after(before)
	}
	w.last, w.since = n, w.since[:0]
}

// holdersOf finds the transactions under way that hold a key of an index: asked once for each
// index, when its first wild key comes.
func (s *Scheduler) holdersOf(index uint64) []*node {
	var out []*node
	for _, n := range s.window {
		for _, k := range n.keys {
			if !n.done && k.Index == index {
				out = append(out, n)
				break
			}
		}
	}
	return out
}

// place gives n to a worker if it may go to one now.
func (s *Scheduler) place(n *node) {
	if n.worker >= 0 || n.done {
		return
	}
	if n.waits == 0 {
		if len(n.tx.Changes) == 0 {
			s.finish(n)
			return
		}
		s.assign(n, s.leastBusy())
		return
	}
	if w, ok := n.behind(); ok {
		s.assign(n, w)
	}
}

func (s *Scheduler) leastBusy() int {
	best := 0
	for i := range s.queues {
		if s.queues[i].bytes < s.queues[best].bytes {
			best = i
		}
	}
	return best
}

func (s *Scheduler) assign(n *node, worker int) {
	n.worker = worker
	q := &s.queues[worker]
	q.nodes = append(q.nodes, n)
	q.bytes += n.tx.Bytes + 1 // an empty one counts too: leastBusy goes round
	for _, f := range n.followers {
		f.loose--
		f.count(worker, +1)
		s.place(f)
	}
}

// Take gives a worker its next batch, or nil if it has nothing to do. The worker must say
// Committed before it takes another.
func (s *Scheduler) Take(worker int) *Batch {
	q := &s.queues[worker]
	if q.inFlight != nil || len(q.nodes) == 0 {
		return nil
	}
	b := &Batch{Worker: worker}
	var bytes int64
	for _, n := range q.nodes {
		if len(b.nodes) > 0 && (bytes+n.tx.Bytes > s.opts.BatchBytes || b.Changes+len(n.tx.Changes) > s.opts.BatchChanges) {
			break
		}
		bytes += n.tx.Bytes
		b.Changes += len(n.tx.Changes)
		b.nodes = append(b.nodes, n)
		b.Txs = append(b.Txs, n.tx)
	}
	q.nodes = q.nodes[len(b.nodes):]
	q.inFlight = b
	return b
}

// Committed says that a batch is committed on the target.
func (s *Scheduler) Committed(b *Batch) {
	q := &s.queues[b.Worker]
	q.inFlight = nil
	for _, n := range b.nodes {
		q.bytes -= n.tx.Bytes + 1
	}
	for _, n := range b.nodes {
		s.finish(n)
	}
}

func (s *Scheduler) finish(n *node) {
	n.done = true
	for _, k := range n.keys {
		if s.holders[k.Hash] == n {
			delete(s.holders, k.Hash)
		}
	}
	n.keys = nil
	s.release(n)
	s.advance()
}

// release lets go what waited for n.
func (s *Scheduler) release(n *node) {
	followers := n.followers
	n.followers = nil
	for _, f := range followers {
		f.waits--
		if n.worker < 0 {
			f.loose--
		} else {
			f.count(n.worker, -1)
		}
	}
	for _, f := range followers {
		s.place(f)
	}
}

// advance moves the applied position over what is done at the window's head.
func (s *Scheduler) advance() {
	i := 0
	for ; i < len(s.window) && s.window[i].done; i++ {
		tx := s.window[i].tx
		s.window[i] = nil
		s.held -= tx.Bytes
		s.applied = tx.Seq
		if tx.Mark > 0 {
			s.mark = tx.Mark
		}
		if s.opts.Applied != nil {
			s.opts.Applied(tx)
		}
	}
	s.window = s.window[i:]
	if len(s.window) == 0 {
		s.wild = map[uint64]*wild{}
		s.window = nil
	}
}

// Register takes a range for a chunk: from now on the keys that the stream touches in it are
// remembered. The range must be untouched, and its bounds have their weights if the table is Weighed.
func (s *Scheduler) Register(name Name, r row.Range) (*Chunk, error) {
	if s.closed != nil {
		return nil, ErrGivenUp
	}
	p := s.tables[name]
	if p == nil {
		return nil, ErrGivenUp
	}
	i, err := p.carve(r)
	if err != nil {
		return nil, err
	}
	c := &Chunk{Table: p.def, Range: r, state: Registered, touched: map[string]struct{}{}}
	p.segments[i].state, p.segments[i].chunk = Registered, c
	return c, nil
}

// Cut ends a registered chunk at high, because its read filled its budget, and returns the rest of
// its range as another chunk, registered all along, with the same touched keys. (Of a table that is
// Weighed high has its weights.) There is no rest,
// nil, if the row that filled the budget is the last that the range can have: an empty range could
// not be told from its neighbours.
func (s *Scheduler) Cut(c *Chunk, high row.Row) (*Chunk, error) {
	if c.state != Registered {
		return nil, ErrGivenUp
	}
	p := s.tables[Name{c.Table.Schema, c.Table.Name}]
	if p.order(high, c.Range.High, false) >= 0 {
		return nil, nil
	}
	rest := &Chunk{Table: c.Table, Range: row.Range{Low: high, High: c.Range.High}, state: Registered,
		touched: make(map[string]struct{}, len(c.touched)), touchedBytes: c.touchedBytes}
	for k := range c.touched {
		rest.touched[k] = struct{}{}
	}
	c.Range.High = high
	for i := range p.segments {
		if p.segments[i].chunk == c {
			p.segments[i].chunk = rest
			first := segment{high: high, state: Registered, chunk: c}
			p.segments = append(p.segments[:i:i], append([]segment{first}, p.segments[i:]...)...)
			break
		}
	}
	return rest, nil
}

// Dispatch starts a chunk's write, if the applied position has passed the chunk's high watermark.
// The keys for which Touched is true must be left out of the write; from now until Done what the
// stream does in the range waits.
func (s *Scheduler) Dispatch(c *Chunk, high uint64) (ok bool, err error) {
	if c.state != Registered {
		return false, ErrGivenUp
	}
	if s.closed != nil || s.mark < high {
		return false, nil
	}
	c.gate = &node{worker: -1}
	c.state, c.gaveUpAfter = Dispatched, s.last
	s.tables[Name{c.Table.Schema, c.Table.Name}].set(c, Dispatched)
	s.open++
	return true, nil
}

// Touched tells whether the stream touched a key, in its exact form, between the chunk's
// registration and its dispatch. From Dispatch until Done or Continue it may be asked without a
// lock.
func (c *Chunk) Touched(key []byte) bool {
	_, touched := c.touched[string(key)]
	return touched
}

// TouchedKeys is how many keys the stream has touched in the chunk.
func (c *Chunk) TouchedKeys() int { return len(c.touched) }

// State is how far the chunk is.
func (c *Chunk) State() State { return c.state }

// Done says that a dispatched chunk's write is committed on the target.
func (s *Scheduler) Done(c *Chunk) {
	c.state = Done
	s.tables[Name{c.Table.Schema, c.Table.Name}].set(c, Done)
	c.touched = nil
	s.open--
	s.openGate(c)
}

// Continue says that a piece of a dispatched chunk is committed and that there are more: the chunk
// is registered again, with the keys touched so far. For tables whose order is not known, which
// are one chunk of many pieces.
func (s *Scheduler) Continue(c *Chunk) {
	c.state = Registered
	for k := range c.later {
		c.touched[k] = struct{}{}
	}
	c.later = nil
	name := Name{c.Table.Schema, c.Table.Name}
	s.tables[name].set(c, Registered)
	s.open--
	s.openGate(c)
	if s.closed != nil && s.closed(name) {
		s.giveUp(c)
	}
}

func (s *Scheduler) openGate(c *Chunk) {
	gate := c.gate
	c.gate = nil
	gate.done = true
	s.release(gate)
}

// GiveUp takes a chunk's range back: it must be emptied on the target, then registered again.
func (s *Scheduler) GiveUp(c *Chunk) {
	if c.state == Registered || c.state == Dispatched {
		s.giveUp(c)
	}
}

func (s *Scheduler) giveUp(c *Chunk) {
	switch c.state {
	case Dispatched:
		// Its write failed and was rolled back. What came after its dispatch waits for it, so the
		// emptying can't wait for that.
		p := s.tables[Name{c.Table.Schema, c.Table.Name}]
		for _, n := range c.gate.followers {
			n.tx.Changes = s.outside(p, c, n.tx.Changes)
		}
	case Registered:
		c.gate, c.gaveUpAfter = &node{worker: -1}, s.last
		s.open++
	default:
		return
	}
	c.state, c.touched, c.later = Emptying, nil, nil
	s.given = append(s.given, c)
	s.tables[Name{c.Table.Schema, c.Table.Name}].set(c, Emptying)
}

// outside drops from the changes of a transaction that waits for a dispatched chunk those that lie
// in the chunk: they were to follow its rows, and the next read of the range sees them.
func (s *Scheduler) outside(p *progress, c *Chunk, changes []row.Change) []row.Change {
	kept := make([]row.Change, 0, len(changes))
	for _, ch := range changes {
		image := ch.Before
		if image == nil {
			image = ch.After
		}
		if ch.Table == c.Table && p.of(&ch, p.def.Key(image)).chunk == c {
			continue
		}
		kept = append(kept, ch)
	}
	return kept
}

// TakeEmptiable gives a chunk whose range may be emptied now, since nothing that was let through
// into it is still on its way, or nil. Chunks must be emptied by somebody who waits for nothing
// else: a transaction may wait for one of them while another waits for the transaction.
func (s *Scheduler) TakeEmptiable() *Chunk {
	for i, c := range s.given {
		if s.applied >= c.gaveUpAfter {
			s.given = append(s.given[:i], s.given[i+1:]...)
			return c
		}
	}
	return nil
}

// Emptied says that a given-up chunk's range is empty on the target: it is untouched again.
func (s *Scheduler) Emptied(c *Chunk) {
	c.state = Untouched
	s.tables[Name{c.Table.Schema, c.Table.Name}].set(c, Untouched)
	s.open--
	s.openGate(c)
}

// Close lets no chunk be registered or dispatched until Open; those registered on tables for which
// of is true are given up.
func (s *Scheduler) Close(of func(Name) bool) []*Chunk {
	s.closed = of
	var gone []*Chunk
	for name, p := range s.tables {
		if !of(name) {
			continue
		}
		for _, seg := range p.segments {
			if seg.state == Registered {
				gone = append(gone, seg.chunk)
			}
		}
	}
	for _, c := range gone {
		s.giveUp(c)
	}
	return gone
}

// Open ends Close.
func (s *Scheduler) Open() { s.closed = nil }

// IsOpen tells whether chunks may be registered.
func (s *Scheduler) IsOpen() bool { return s.closed == nil }

// Idle tells whether nothing is under way: every transaction submitted is applied, no chunk is
// being written and no range emptied.
func (s *Scheduler) Idle() bool { return s.applied == s.last && s.open == 0 }

// Copied keeps, of the changes of a transaction that is applied alone, those in ranges that are
// done. The caller has closed the scheduler, and it is idle; changes of a table that is not complete
// don't cascade, and have their Place if it is Weighed.
func (s *Scheduler) Copied(changes []row.Change) []row.Change {
	kept := make([]row.Change, 0, len(changes))
	for _, c := range SplitKeys(changes) {
		p := s.tables[Name{c.Table.Schema, c.Table.Name}]
		if p == nil {
			continue
		}
		image := c.Before
		if image == nil {
			image = c.After
		}
		if p.complete() || p.of(&c, p.def.Key(image)).state == Done {
			kept = append(kept, c)
		}
	}
	return kept
}
