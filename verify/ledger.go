package verify

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"changeover/cdc"
	"changeover/cdc/row"
	"changeover/cdc/schedule"
)

// ledger knows of each table what of it was compared, and what is due: ranges that nobody has
// compared, and keys that the stream touched since somebody did.
//
//	range:  due ─ claim → being compared ─ equal → compared        (a claim that fails: due again)
//	key:    touched → due ─ compared, and not touched meanwhile → gone, or different
//	table:  altered → all of it due
//
// Everything is due until shown otherwise, and what the stream touches while somebody looks stays due
// whatever the look says: so a look that comes too late, or that fails, can only cost another one.
//
// It opens no connection and asks no clock but to say when. Safe for concurrent use.
type ledger struct {
	mu     sync.Mutex
	tables map[Name]*entry
	clock  uint64 // counts what the stream touched
	latest int    // the last version, or generation, of any table
	held   int64  // bytes of keys
	limit  int64
	// Before what earlier runs knew is loaded: every key that is touched is kept, and every table that
	// was altered is named, since it can't be known which of them matter.
	loading bool
	early   map[Name]bool
	gone    map[uint64]bool // ids whose record is to be deleted
}

// entry is one table.
type entry struct {
	name Name
	id   uint64
	def  *row.Table // of the stream's position; nil while loading

	version    int         // grows when the table is altered
	generation int         // another when all becomes due: what was looked at before says nothing
	watching   bool        // something of it was looked at, or is being: touched keys count from then on
	ranges     []row.Range // due, in the order in which they are compared
	second     []row.Range // compared, and to be compared once more
	claims     map[*claim]bool
	ends       []row.Row // where chunks that are compared ended, in order, if keys can be placed
	due        map[string]uint64
	different  map[string]*Finding // by exact key
	// crowded are ranges with more differing rows than are remembered, and how many.
	crowded []crowd

	suspected    uint64 // the clock when a row last became due because it differs
	rows, passed uint64 // in all when last wholly compared, or so far; and in this pass
	began, ended time.Time
	checked      time.Time // when anything of it was last compared
	problem      string
	dirty        bool
}

type crowd struct {
	row.Range
	Rows int
}

// claim is one look at a part of a table.
type claim struct {
	name       Name
	generation int
	row.Range
	second  bool                // it is not due, only looked at once more
	only    bool                // nothing is looked at, only remembered
	since   uint64              // the clock when it began
	touched map[string]struct{} // since then, anywhere in the table
	bytes   int64
	void    bool // what was touched isn't known
}

// Finding is a row that differs, as it was found.
type Finding struct {
	Found time.Time `json:"found"`
	// Source and Target are how many such rows there were.
	Source  int      `json:"source"`
	Target  int      `json:"target"`
	Columns []string `json:"columns,omitempty"` // that differed
}

// bytesOfKey is about what a key costs in a map, beside its bytes.
const bytesOfKey = 64

func newLedger(limit int64) *ledger {
	return &ledger{tables: map[Name]*entry{}, limit: limit, loading: true, early: map[Name]bool{}, gone: map[uint64]bool{}}
}

func newEntry(n Name, id uint64) *entry {
	return &entry{name: n, id: id, ranges: []row.Range{{}}, claims: map[*claim]bool{}, due: map[string]uint64{}, different: map[string]*Finding{}, dirty: true}
}

// renew gives a table a version that no other has had under any name.
func (l *ledger) renew(e *entry) {
	l.latest++
	e.version, e.generation = l.latest, l.latest
}

// current tells whether a table is still of a version.
func (l *ledger) current(n Name, version int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.tables[n]
	return e != nil && e.version == version
}

// changed takes the keys of changes, in the stream's order.
func (l *ledger) changed(changes []row.Change) {
	if len(changes) == 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.clock++
	var e *entry
	var of *row.Table
	var buf []byte
	for i := range changes {
		c := &changes[i]
		if c.Table != of {
			of = c.Table
			e = l.entry(of)
		}
		if e == nil || !e.watching {
			continue
		}
		for _, image := range []row.Row{c.Before, c.After} {
			if image == nil {
				continue
			}
			key := image // a row without a name is known by all its values
			if of.RowKey >= 0 {
				key = of.Key(image)
			}
			buf = row.AppendKey(buf[:0], key)
			l.touch(e, buf, key)
		}
	}
	if l.held > l.limit {
		l.relieve()
	}
}

// entry is a table's entry; nil: nothing need be known of it yet.
func (l *ledger) entry(t *row.Table) *entry {
	n := Name{t.Schema, t.Name}
	e := l.tables[n]
	if e == nil && l.loading {
		e = newEntry(n, 0)
		e.watching, e.ranges = true, nil
		l.tables[n] = e
	}
	return e
}

// touched takes keys of rows that change.
func (l *ledger) touched(t *row.Table, keys map[string]row.Row) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.clock++
	e := l.entry(t)
	if e == nil || !e.watching {
		return
	}
	for key, decoded := range keys {
		l.touch(e, []byte(key), decoded)
	}
	if l.held > l.limit {
		l.relieve()
	}
}

// touch makes a key due, unless all of its range is.
func (l *ledger) touch(e *entry, key []byte, decoded row.Row) {
	for c := range e.claims {
		c.touch(key, l.limit/4)
	}
	// One that is due by itself has to know when it was touched: somebody may be looking at it.
	_, known := e.due[string(key)]
	if !known && e.different[string(key)] == nil && e.dueAnyway(decoded) {
		return
	}
	if !known {
		l.held += int64(len(key)) + bytesOfKey
	}
	e.due[string(key)] = l.clock
	e.dirty = true
}

func (c *claim) touch(key []byte, limit int64) {
	if c.void {
		return
	}
	if _, known := c.touched[string(key)]; !known {
		c.touched[string(key)] = struct{}{}
		if c.bytes += int64(len(key)) + bytesOfKey; c.bytes > limit {
			c.void, c.touched = true, nil
		}
	}
}

// define gives the ledger the tables that are wholly copied, by their ids, as of the stream's position.
// It asks for them under its lock: were one renamed in between, its old name would come back.
func (l *ledger) define(tables func() map[uint64]*row.Table) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for id, def := range tables() {
		n := Name{def.Schema, def.Name}
		e := l.tables[n]
		if e == nil || e.id != id {
			if e != nil {
				l.drop(e)
				l.gone[e.id] = true
				e.breakOff()
			}
			e = newEntry(n, id)
			l.renew(e)
			l.tables[n] = e
			delete(l.gone, id)
		}
		e.def = def
	}
}

// placeable tells whether it can be told here which range a key lies in.
func (e *entry) placeable() bool { return e.def != nil && e.def.Ordered() && !e.def.Weighed() }

func (e *entry) dueAnyway(key row.Row) bool {
	if !e.placeable() {
		return len(e.ranges) == 1 && len(e.claims) == 0 && e.ranges[0].Low == nil && e.ranges[0].High == nil
	}
	for _, r := range e.ranges {
		if r.Contains(e.def, key) {
			return true
		}
	}
	return false
}

// allDue makes all of a table due. Of a table whose rows have names what was touched before
// is among it; looks that are under way say nothing any more.
func (l *ledger) allDue(e *entry) {
	l.drop(e)
	e.ranges, e.second, e.ends, e.crowded = []row.Range{{}}, nil, nil, nil
	e.passed, e.ended = 0, time.Time{}
	l.latest++
	e.generation = l.latest
	e.breakOff()
	e.dirty = true
	switch { // a range that is compared and equal doesn't say that a row differs no more
	case e.def == nil:
		e.different = map[string]*Finding{}
	case e.def.RowKey >= 0:
		for key := range e.different {
			l.makeDue(e, key)
		}
	}
}

// breakOff ends all claims: whoever looks, or repairs, will find that it counts no more.
func (e *entry) breakOff() {
	for c := range e.claims {
		c.void = true
	}
	clear(e.claims)
}

// drop forgets the keys that are due.
func (l *ledger) drop(e *entry) {
	for key := range e.due {
		l.held -= int64(len(key)) + bytesOfKey
	}
	e.due = map[string]uint64{}
}

// relieve gives up keys until half of the memory is free: their ranges are due instead. The tables
// with the most keys are first, and of them the chunks with the most.
func (l *ledger) relieve() {
	all := make([]*entry, 0, len(l.tables))
	for _, e := range l.tables {
		all = append(all, e)
	}
	slices.SortFunc(all, func(a, b *entry) int { return cmp.Compare(len(b.due), len(a.due)) })
	for _, e := range all {
		if l.held <= l.limit/2 {
			return
		}
		if !e.placeable() || len(e.ends) == 0 {
			l.allDue(e)
			continue
		}
		l.relieveChunks(e)
	}
}

// relieveChunks makes chunks due instead of their keys.
func (l *ledger) relieveChunks(e *entry) {
	in := make([][]string, len(e.ends)+1)
	for key := range e.due {
		decoded, err := row.DecodeKey([]byte(key))
		if err != nil {
			l.allDue(e)
			return
		}
		i, _ := slices.BinarySearchFunc(e.ends, decoded, func(end, key row.Row) int {
			if e.def.Compare(end, key) < 0 {
				return -1
			}
			return 1
		})
		in[i] = append(in[i], key)
	}
	order := make([]int, len(in))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(len(in[b]), len(in[a])) })
	for _, i := range order {
		if l.held <= l.limit/2 || len(in[i]) == 0 {
			break
		}
		var r row.Range
		if i > 0 {
			r.Low = e.ends[i-1]
		}
		if i < len(e.ends) {
			r.High = e.ends[i]
		}
		e.ranges = append(e.ranges, r)
		for _, key := range in[i] {
			if e.different[key] != nil {
				continue
			}
			delete(e.due, key)
			l.held -= int64(len(key)) + bytesOfKey
		}
	}
	e.dirty = true
}

// unsaid voids what is being looked at of tables whose rows change unsaid, and makes all of them due.
func (l *ledger) unsaid(names []schedule.Name) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.clock++
	for _, n := range names {
		if l.loading {
			l.early[Name(n)] = true
		}
		if e := l.tables[Name(n)]; e != nil {
			l.allDue(e)
		}
	}
}

// altered takes what a statement made of tables: an altered one is due from its beginning, since the
// two servers may have computed other values; one that was only renamed keeps what is known of it.
func (l *ledger) altered(all []cdc.Alteration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.clock++
	was := map[Name]*entry{}
	for _, a := range all {
		if a.Was != (schedule.Name{}) {
			n := Name(a.Was)
			was[n] = l.tables[n]
			delete(l.tables, n)
			if l.loading && !a.Renamed {
				l.early[n] = true
			}
		}
	}
	for _, a := range all {
		e := was[Name(a.Was)]
		if l.loading && !a.Renamed && a.Now != (schedule.Name{}) {
			l.early[Name(a.Now)] = true
		}
		// It may be known under its new name: then the tables were looked at between the statement and now,
		// and what was touched under the old name belongs to nobody.
		renamed := a.Renamed && e != nil && (l.loading || e.id == a.ID)
		if e == nil {
			if e = l.tables[Name(a.Now)]; e == nil {
				continue
			}
		}
		if a.Now == (schedule.Name{}) || a.ID != e.id && e.id != 0 {
			l.gone[e.id] = true
		}
		if a.Now == (schedule.Name{}) || !renamed {
			l.allDue(e)
		}
		l.renew(e) // whoever looks asks for a name that may be another's
		for c := range e.claims {
			if !c.only {
				e.putBack(c)
			}
		}
		e.breakOff()
		if a.Now == (schedule.Name{}) {
			continue
		}
		e.name, e.problem, e.dirty = Name(a.Now), "", true
		if !l.loading {
			e.id, e.def = a.ID, nil
			delete(l.gone, a.ID)
			if !renamed {
				e.different = map[string]*Finding{}
			}
		}
		l.tables[e.name] = e
	}
}

// part is where the next look at a table begins.
type part struct {
	name Name
	row.Range
	second              bool
	generation, version int
}

// open says where the next chunk of some table begins, of those for which is says true; what is due
// comes before what is only looked at once more. ok is false if there is nothing.
func (l *ledger) open(is func(Name) bool) (p part, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var best *entry
	for _, e := range l.tables {
		if e.def != nil && len(e.ranges)+len(e.second) > 0 && is(e.name) && (best == nil || e.before(best)) {
			best = e
		}
	}
	if best == nil {
		return p, false
	}
	p = part{name: best.name, second: len(best.ranges) == 0, generation: best.generation, version: best.version}
	p.Range = (*best.list(p.second))[0]
	return p, true
}

func (e *entry) list(second bool) *[]row.Range {
	if second {
		return &e.second
	}
	return &e.ranges
}

// before orders tables for the pass: those that were never wholly compared first, and of them the one
// that is begun.
func (e *entry) before(other *entry) bool {
	if a, b := len(e.ranges) > 0, len(other.ranges) > 0; a != b {
		return a
	}
	if e.began.IsZero() != other.began.IsZero() {
		return !e.began.IsZero()
	}
	return cmp.Or(cmp.Compare(e.name.Schema, other.name.Schema), cmp.Compare(e.name.Table, other.name.Table)) < 0
}

// claim takes a chunk off the beginning of a part, which was open's answer. From now on what the
// stream touches in the table is remembered. Nil: things have changed, ask again.
func (l *ledger) claim(p part, chunk row.Range) *claim {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.tables[p.name]
	if e == nil || e.generation != p.generation {
		return nil
	}
	list := e.list(p.second)
	if len(*list) == 0 || !equalKeys((*list)[0].Low, chunk.Low) || !equalKeys((*list)[0].High, p.High) {
		return nil
	}
	if whole(chunk, (*list)[0]) {
		*list = slices.Delete(*list, 0, 1)
	} else {
		(*list)[0].Low = chunk.High
	}
	if e.began.IsZero() {
		e.began = time.Now()
	}
	e.watching, e.dirty = true, true
	c := &claim{name: e.name, generation: e.generation, Range: chunk, second: p.second, since: l.clock, touched: map[string]struct{}{}}
	e.claims[c] = true
	return c
}

// startPasses has every table looked at once more that was wholly compared longer than every ago.
func (l *ledger) startPasses(every time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.tables {
		if every > 0 && e.wholly() && len(e.second) == 0 && len(e.claims) == 0 && time.Since(e.ended) > every {
			l.startPass(e)
		}
	}
}

// startPass has a table looked at once more from its beginning, and what is known to differ.
func (l *ledger) startPass(e *entry) {
	e.second, e.passed, e.began = []row.Range{{}}, 0, time.Time{}
	if e.def.RowKey < 0 {
		return // what differs is found anew
	}
	for key := range e.different {
		l.makeDue(e, key)
	}
	e.ranges = append(e.ranges, crowds(e.crowded)...)
	e.crowded = nil
}

func crowds(all []crowd) (out []row.Range) {
	for _, c := range all {
		out = append(out, c.Range)
	}
	return out
}

// makeDue makes a key due as if the stream had touched it now.
func (l *ledger) makeDue(e *entry, key string) {
	if _, known := e.due[key]; !known {
		l.held += int64(len(key)) + bytesOfKey
	}
	e.due[key] = l.clock
	e.dirty = true
}

// wholly tells whether every row of the table was compared.
func (e *entry) wholly() bool {
	if !e.watching || len(e.ranges) > 0 || e.def == nil {
		return false
	}
	for c := range e.claims {
		if !c.second && !c.only {
			return false
		}
	}
	return true
}

func (e *entry) looking() bool {
	for c := range e.claims {
		if !c.only {
			return true
		}
	}
	return false
}

// lookingAgain tells whether a chunk is looked at that is not due.
func (e *entry) lookingAgain() bool {
	for c := range e.claims {
		if c.second {
			return true
		}
	}
	return false
}

// remember has what the stream touches in a table remembered from now on, until release.
func (l *ledger) remember(n Name, version int) *claim {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.tables[n]
	if e == nil || e.version != version {
		return nil
	}
	c := &claim{name: n, generation: e.generation, only: true, since: l.clock, touched: map[string]struct{}{}}
	e.claims[c] = true
	return c
}

// release ends remember.
func (l *ledger) release(c *claim) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.holder(c)
}

// everything makes all of all tables due: what was touched can't be known.
func (l *ledger) everything() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.tables {
		l.allDue(e)
	}
}

// forgotten says that the records of these ids are deleted.
func (l *ledger) forgotten(ids []uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, id := range ids {
		delete(l.gone, id)
	}
}

// touchedKeys are the keys that the stream touched since a claim; ok is false if they aren't known.
func (l *ledger) touchedKeys(c *claim) (keys []string, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if c.void {
		return nil, false
	}
	for key := range c.touched {
		keys = append(keys, key)
	}
	return keys, true
}

// giveBack ends a claim that came to nothing: its range is due as before.
func (l *ledger) giveBack(c *claim) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if e := l.holder(c); e != nil && e.generation == c.generation {
		e.putBack(c)
	}
}

func (e *entry) putBack(c *claim) {
	list := e.list(c.second)
	*list = append([]row.Range{c.Range}, *list...)
}

// holder ends a claim, and finds its table, by whatever name.
func (l *ledger) holder(c *claim) *entry {
	for _, e := range l.tables {
		if e.claims[c] {
			delete(e.claims, c)
			e.dirty = true
			return e
		}
	}
	return nil
}

// suspects is how many rows of a table may differ at the same time until it is given up to name them.
const suspects = 1000

// compared ends a claim: of its rows those of the keys in differing differ, and were not touched. They
// become due, so that they are looked at once more before anything is said of them.
func (l *ledger) compared(c *claim, rows uint64, differing []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.holder(c)
	if e == nil || e.generation != c.generation {
		return
	}
	if c.void {
		e.putBack(c)
		return
	}
	now := time.Now()
	e.checked = now
	again := !e.ended.IsZero() && !c.second // a chunk that was due once more: its rows are counted
	if !again {
		e.passed += rows
	}
	if e.ended.IsZero() {
		e.rows = e.passed
	}
	switch {
	case len(differing) > 0 && len(differing)+len(e.different)+len(e.crowded) > suspects:
		e.crowded = append(e.crowded, crowd{c.Range, len(differing)})
	default:
		for _, key := range differing {
			l.makeDue(e, key)
			e.suspected = l.clock
		}
	}
	if e.placeable() && c.High != nil {
		i, found := slices.BinarySearchFunc(e.ends, c.High, e.def.Compare)
		if !found {
			e.ends = slices.Insert(e.ends, i, c.High)
		}
	}
	if len(e.ranges)+len(e.second) == 0 && !e.looking() && !again {
		e.rows, e.ended = e.passed, now
	}
}

// dueKeys are keys of one table that are due.
type dueKeys struct {
	keys                []string
	generation, version int
}

// takeDue gives keys that are due, at most n of them, of the tables for which is says true; first those
// that were not touched after the time old. since is the clock, by which it will be judged whether
// they were touched meanwhile.
func (l *ledger) takeDue(is func(Name) bool, n int, old uint64) (taken map[Name]dueKeys, since uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var hot []string
	taken = map[Name]dueKeys{}
	for name, e := range l.tables {
		if e.def == nil || len(e.due) == 0 || n == 0 || !is(name) {
			continue
		}
		take := dueKeys{generation: e.generation, version: e.version}
		hot = hot[:0]
		for key, touched := range e.due {
			if touched > old {
				if len(hot) < n {
					hot = append(hot, key)
				}
				continue
			}
			if take.keys = append(take.keys, key); len(take.keys) == n {
				break
			}
		}
		take.keys = append(take.keys, hot[:min(len(hot), n-len(take.keys))]...)
		n -= len(take.keys)
		taken[name] = take
	}
	return taken, l.clock
}

// settleKeys takes what a look at keys saw, which began at the time since. Those touched meanwhile stay
// due; it returns how many.
func (l *ledger) settleKeys(n Name, taken dueKeys, since uint64, different map[string]*Finding) (stay int, news []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.tables[n]
	if e == nil || e.generation != taken.generation {
		return len(taken.keys), nil
	}
	e.checked, e.dirty = time.Now(), true
	for _, key := range taken.keys {
		touched, due := e.due[key]
		if !due {
			continue
		}
		if touched > since {
			stay++
			continue
		}
		delete(e.due, key)
		l.held -= int64(len(key)) + bytesOfKey
		finding, differs := different[key]
		if !differs {
			delete(e.different, key)
			continue
		}
		if e.def != nil && e.def.RowKey < 0 { // which rows are different is found by looking at all
			l.allDue(e)
			return stay, nil
		}
		if before := e.different[key]; before != nil {
			finding.Found = before.Found
		} else {
			news = append(news, key)
		}
		e.different[key] = finding
	}
	return stay, news
}

// now is the clock.
func (l *ledger) now() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.clock
}

// cannot notes why a table, as it is in one version, can't be compared; empty: it can.
func (l *ledger) cannot(n Name, version int, why string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if e := l.tables[n]; e != nil && e.version == version {
		e.problem = why
	}
}

// again makes rows due that were known to differ, and were copied again.
func (l *ledger) again(n Name, keys []string) (clock uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.tables[n]
	if e == nil {
		return l.clock
	}
	if e.def != nil && e.def.RowKey < 0 {
		l.allDue(e)
		e.different = map[string]*Finding{}
		return l.clock
	}
	l.clock++ // whoever is looking at them may have read them before
	for _, key := range keys {
		delete(e.different, key)
		l.makeDue(e, key)
	}
	return l.clock
}

// comparedWhole ends a claim of a table whose rows have no names, with the rows that differ.
func (l *ledger) comparedWhole(c *claim, rows uint64, different map[string]*Finding) (news []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.holder(c)
	if e == nil || e.generation != c.generation {
		return nil
	}
	if c.void {
		e.putBack(c)
		return nil
	}
	e.rows, e.checked, e.ended = rows, time.Now(), time.Now()
	for id, finding := range different {
		if before := e.different[id]; before != nil {
			finding.Found = before.Found
		} else {
			news = append(news, id)
		}
	}
	e.different = different
	return news
}

// wholeDue makes all of a table due: keys that were touched are not of its key.
func (l *ledger) wholeDue(n Name, version int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if e := l.tables[n]; e != nil && e.version == version {
		l.allDue(e)
	}
}
