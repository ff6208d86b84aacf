package apply

import (
	"fmt"
	"slices"
	"strings"

	"changeover/cdc/row"
	"changeover/cdc/state"
)

// maxKeys is how many row keys one IN has at most: with tens of thousands the server gives up its
// range access and scans.
const maxKeys = 1000

// merger turns the changes of a group of transactions into few statements with the same effect.
//
// Of each row it keeps the first before image and the last after image. All deletes of a table come
// before all inserts: two rows that swap a unique value are both deleted and then both inserted,
// and a stranger's row that has the value makes the INSERT fail.
//
// An update whose two images are equal is still written: the row was touched, so the snapshot's
// chunk leaves it out, and the stream has to bring it.
//
// Tables without a row key are not merged: their changes follow in the stream's order.
type merger struct {
	known  map[*row.Table]*tableWork
	active []*tableWork // those with changes
	key    []byte
}

// tableWork is the changes of one table.
type tableWork struct {
	*tableSQL
	index   map[string]int // encoded row key → rows
	rows    []netChange
	ordered []row.Change // of a table without a row key
}

// netChange is what happened to one row in all. Both nil: it came and went.
type netChange struct{ before, after row.Row }

func newMerger() *merger { return &merger{known: map[*row.Table]*tableWork{}} }

// maxKnown bounds the cache of tables: each DDL brings a new definition.
const maxKnown = 10000

func (m *merger) table(t *row.Table) *tableWork {
	w := m.known[t]
	if w == nil {
		if len(m.known) >= maxKnown {
			m.known = map[*row.Table]*tableWork{}
		}
		w = &tableWork{tableSQL: newTableSQL(t), index: map[string]int{}}
		m.known[t] = w
	}
	return w
}

// add takes one change. ok is false, and nothing is taken, if another definition of the same table
// has changes already: they have to be written out first.
func (m *merger) add(c *row.Change) (ok bool, err error) {
	w := m.table(c.Table)
	if err := w.check(c); err != nil {
		return false, err
	}
	if w.idle() {
		if m.hasOther(w) {
			return false, nil
		}
		m.active = append(m.active, w)
	}
	if c.Table.RowKey < 0 {
		w.ordered = append(w.ordered, *c)
		return true, nil
	}
	m.addKeyed(w, c)
	return true, nil
}

// addKeyed merges one change into its row's net. An update that changes the row key is the delete of
// one row and the insert of another.
func (m *merger) addKeyed(w *tableWork, c *row.Change) {
	switch {
	case c.Before == nil:
		m.net(w, c.After, nil).after = c.After
	case c.After == nil:
		m.net(w, c.Before, c.Before).after = nil
	default:
		n := m.net(w, c.Before, c.Before)
		if m.sameKey(w.def, c.After) {
			n.after = c.After
			return
		}
		n.after = nil
		m.net(w, c.After, nil).after = c.After
	}
}

// net gives the entry of r's key, made with the before image first if it is new, and leaves the
// encoded key in m.key.
func (m *merger) net(w *tableWork, r, first row.Row) *netChange {
	m.key = appendRowKey(m.key[:0], w.def, r)
	i, ok := w.index[string(m.key)]
	if !ok {
		i = len(w.rows)
		w.index[string(m.key)] = i
		w.rows = append(w.rows, netChange{before: first})
	}
	return &w.rows[i]
}

// sameKey tells whether r has the key that is in m.key.
func (m *merger) sameKey(t *row.Table, r row.Row) bool {
	n := len(m.key)
	m.key = appendRowKey(m.key, t, r)
	same := string(m.key[:n]) == string(m.key[n:])
	m.key = m.key[:n]
	return same
}

// appendRowKey is row.AppendKey(dst, t.Key(r)) without the slice in between.
func appendRowKey(dst []byte, t *row.Table, r row.Row) []byte {
	for _, p := range t.Keys[t.RowKey].Parts {
		dst = row.AppendKey(dst, r[p.Column:p.Column+1])
	}
	return dst
}

func (w *tableWork) idle() bool { return len(w.rows) == 0 && len(w.ordered) == 0 }

func (w *tableWork) check(c *row.Change) error {
	for _, r := range []row.Row{c.Before, c.After} {
		if r != nil && len(r) != len(w.def.Columns) {
			return fmt.Errorf("a row of %s has %d values, the table has %d columns", w.name, len(r), len(w.def.Columns))
		}
	}
	if c.Before == nil && c.After == nil {
		return fmt.Errorf("a change of %s has no image", w.name)
	}
	return nil
}

func (m *merger) hasOther(w *tableWork) bool {
	return slices.ContainsFunc(m.active, func(o *tableWork) bool { return o != w && o.name == w.name })
}

// cascade writes a change that the target must cascade by itself, as that very statement, after all
// that was added before it. Never as delete-then-insert: that would delete the children. The row must
// be there, else the two sides differ already.
func (m *merger) cascade(p *packer, c *row.Change) error {
	w := m.table(c.Table)
	if err := w.check(c); err != nil {
		return err
	}
	if err := m.flush(p); err != nil {
		return err
	}
	p.buf = append(p.buf, "SET foreign_key_checks=1"...)
	if err := p.end(); err != nil {
		return err
	}
	if c.After == nil {
		p.buf = append(p.buf, w.delete...)
	} else {
		p.buf = append(w.appendAssignments(append(p.buf, w.update...), c), " WHERE "...)
	}
	if c.Table.RowKey < 0 {
		p.buf = append(w.def.AppendMatch(p.buf, c.Before), " LIMIT 1"...)
	} else {
		p.buf = w.def.AppendKeyIn(p.buf, []row.Row{w.def.Key(c.Before)})
	}
	p.buf = state.AppendRowCountCheck(append(p.buf, ';'))
	if err := p.end(); err != nil {
		return err
	}
	p.buf = append(p.buf, "SET foreign_key_checks=0"...)
	return p.end()
}

// flush writes the statements of all changes that were added, table by table in the order of their
// names, and forgets the changes.
func (m *merger) flush(p *packer) error {
	defer m.reset()
	slices.SortFunc(m.active, func(a, b *tableWork) int { return strings.Compare(a.name, b.name) })
	for _, w := range m.active {
		if err := w.write(p); err != nil {
			return err
		}
	}
	return nil
}

func (m *merger) reset() {
	for _, w := range m.active {
		clear(w.index)
		clear(w.rows)
		clear(w.ordered)
		w.rows, w.ordered = w.rows[:0], w.ordered[:0]
	}
	m.active = m.active[:0]
}

func (w *tableWork) write(p *packer) error {
	if len(w.ordered) > 0 {
		return w.writeOrdered(p)
	}
	if err := w.writeDeletes(p); err != nil {
		return err
	}
	if err := w.writeRows(p, w.upsert, func(n *netChange) bool { return n.after != nil && w.upserts(n) }); err != nil {
		return err
	}
	return w.writeRows(p, "", func(n *netChange) bool { return n.after != nil && !w.upserts(n) })
}

// upserts tells whether a row is written over itself. Else it is deleted, if it was there, and
// inserted, if it is to be there.
func (w *tableWork) upserts(n *netChange) bool {
	return n.before != nil && n.after != nil && w.keepsUnique(n.before, n.after)
}

func (w *tableWork) writeDeletes(p *packer) error {
	var keys []row.Row
	size := 0
	for i := range w.rows {
		n := &w.rows[i]
		if n.before == nil || w.upserts(n) {
			continue
		}
		key := w.def.Key(n.before)
		keys, size = append(keys, key), size+keySize(key)
		if len(keys) == maxKeys || size > p.statement/4 {
			if err := w.deleteKeys(p, keys); err != nil {
				return err
			}
			keys, size = keys[:0], 0
		}
	}
	if len(keys) == 0 {
		return nil
	}
	return w.deleteKeys(p, keys)
}

func keySize(key row.Row) (n int) {
	for _, v := range key {
		n += len(v)
	}
	return n
}

func (w *tableWork) deleteKeys(p *packer, keys []row.Row) error {
	p.buf = w.def.AppendKeyIn(append(p.buf, w.delete...), keys)
	return p.end()
}

// writeRows writes the after images of the chosen rows in as few INSERTs as fit.
func (w *tableWork) writeRows(p *packer, tail string, chosen func(*netChange) bool) error {
	for i := range w.rows {
		if n := &w.rows[i]; chosen(n) {
			if err := w.put(p, tail, n.after); err != nil {
				return err
			}
		}
	}
	return p.closeInsert()
}

// put writes one row. ENUM's error value, which no strict statement takes, is put in afterwards, by a
// statement that touches nothing else and so can bend nothing else.
func (w *tableWork) put(p *packer, tail string, r row.Row) error {
	if w.keyHasErrorValue(r) {
		if err := p.closeInsert(); err != nil {
			return err
		}
		relaxed := w.relaxed
		if p.mariaDB {
			relaxed = w.relaxedMaria
		}
		p.buf = append(w.appendRow(append(p.buf, relaxed...), r), tail...)
		return p.end()
	}
	clean, bad := w.withoutErrorValues(r)
	if len(bad) == 0 {
		return p.row(w.tableSQL, tail, r)
	}
	if err := p.row(w.tableSQL, tail, clean); err != nil {
		return err
	}
	if err := p.closeInsert(); err != nil {
		return err
	}
	p.buf = append(w.appendErrorValues(append(p.buf, "UPDATE IGNORE "...), clean, bad), ';')
	p.buf = state.AppendRowCountCheck(p.buf)
	return p.end()
}

// writeOrdered writes the changes of a table without a row key one after the other. A delete must
// find exactly one row, of several equal ones any: else the two sides differ already.
func (w *tableWork) writeOrdered(p *packer) error {
	for i := range w.ordered {
		c := &w.ordered[i]
		if c.Before != nil {
			if err := w.deleteOne(p, c.Before); err != nil {
				return err
			}
		}
		if c.After != nil {
			if err := w.put(p, "", c.After); err != nil {
				return err
			}
		}
	}
	return p.closeInsert()
}

func (w *tableWork) deleteOne(p *packer, r row.Row) error {
	if err := p.closeInsert(); err != nil {
		return err
	}
	p.buf = append(w.def.AppendMatch(append(p.buf, w.delete...), r), " LIMIT 1;"...)
	p.buf = state.AppendRowCountCheck(p.buf)
	return p.end()
}
