package snapshot

import (
	"errors"
	"fmt"
	"strconv"

	"changeover/cdc/row"
	"changeover/internal/server"
)

// errNotYet says that a read view does not contain the chunk's low watermark: the read came to a
// server, or a moment, from before it. The chunk is read again.
var errNotYet = errors.New("the read view is older than the low watermark")

// layout is how a table's rows are read: the columns that are copied, then what the key needs that
// they don't already have in its one form.
type layout struct {
	table   *row.Table
	columns []int // copied, in order
	key     []int // for each part of the row key, its place among the selected values
	list    []byte
}

func newLayout(t *row.Table) layout {
	l := layout{table: t, columns: t.CopyColumns()}
	at := map[string]int{}
	for i, c := range l.columns {
		expr := t.Columns[c].AppendSelect(nil)
		at[string(expr)] = i
		l.list = append(append(l.list, expr...), ',')
	}
	if t.RowKey >= 0 {
		for _, p := range t.Keys[t.RowKey].Parts {
			expr := t.Columns[p.Column].AppendKeySelect(nil)
			i, there := at[string(expr)]
			if !there {
				i = len(at)
				at[string(expr)] = i
				l.list = append(append(l.list, expr...), ',')
			}
			l.key = append(l.key, i)
		}
	}
	l.list = l.list[:len(l.list)-1]
	return l
}

// rows is what was read of a chunk: lines for LOAD DATA, and rows in parentheses for an INSERT
// where LOAD DATA would bend them. It is filled once and then only read.
type rows struct {
	lines part
	odd   part
	last  row.Row // the key of the last row
}

// part is rows in one form, with their keys.
type part struct {
	data []byte
	keys []byte // the exact forms of the keys
	ends []end  // where each row, and its key, ends
}

type end struct{ data, key int }

// grow makes room for a row that is larger than what is left. append would grow by a quarter of
// all, which for rows of many megabytes is what memory is bounded by.
func (p *part) grow(n int) {
	if cap(p.data)-len(p.data) < n && n > 1<<20 {
		p.data = append(make([]byte, 0, len(p.data)+n+n/32), p.data...)
	}
}

func (p *part) add(key []byte) {
	p.keys = append(p.keys, key...)
	p.ends = append(p.ends, end{len(p.data), len(p.keys)})
}

func (p *part) row(i int) (data, key []byte) {
	var from end
	if i > 0 {
		from = p.ends[i-1]
	}
	return p.data[from.data:p.ends[i].data], p.keys[from.key:p.ends[i].key]
}

func (p *part) bytes() int64 { return int64(len(p.data) + len(p.keys) + 16*len(p.ends)) }

func (r *rows) count() int   { return len(r.lines.ends) + len(r.odd.ends) }
func (r *rows) bytes() int64 { return r.lines.bytes() + r.odd.bytes() }

// encoder turns row packets into rows; its buffers are used again for each row.
type encoder struct {
	layout *layout
	values [][]byte
	key    row.Row
	exact  []byte
}

func (e *encoder) add(to *rows, packet []byte) error {
	size := len(packet)
	e.values = e.values[:0]
	for len(packet) > 0 {
		value, rest, err := field(packet)
		if err != nil {
			return err
		}
		e.values = append(e.values, value)
		packet = rest
	}
	if err := e.readKey(); err != nil {
		return err
	}
	t := e.layout.table
	texts := e.values[:len(e.layout.columns)]
	if t.Loadable(texts) {
		to.lines.grow(size)
		to.lines.data = row.AppendLine(to.lines.data, texts)
		to.lines.add(e.exact)
		return nil
	}
	to.odd.data = t.AppendInsertValues(to.odd.data, texts)
	to.odd.add(e.exact)
	return nil
}

func (e *encoder) readKey() error {
	t := e.layout.table
	e.key = e.key[:0]
	for i, at := range e.layout.key {
		v, err := t.Columns[t.Keys[t.RowKey].Parts[i].Column].Canonical(e.values[at])
		if err != nil {
			return err
		}
		e.key = append(e.key, v)
	}
	e.exact = row.AppendKey(e.exact[:0], e.key)
	return nil
}

// keep copies the key of the row that was added last: its bytes are the packet's.
func (e *encoder) keep() row.Row {
	out := make(row.Row, len(e.key))
	for i, v := range e.key {
		out[i] = append(row.Value{}, v...)
	}
	return out
}

// view opens a read view that contains watermark n.
func (w *wire) view(migration string, n uint64) error {
	if err := w.exec("START TRANSACTION READ ONLY"); err != nil {
		return err
	}
	seen, err := w.seen(migration)
	if err != nil {
		return err
	}
	if seen < n {
		return errNotYet
	}
	return nil
}

func (w *wire) seen(migration string) (uint64, error) {
	q := "SELECT n FROM _changeover.watermark WHERE migration = '" + migration + "'"
	if err := w.query([]byte(q)); err != nil {
		return 0, fmt.Errorf("read the watermark: %w", err)
	}
	var n uint64
	for {
		p, err := w.next()
		if err != nil || p == nil {
			return n, err
		}
		v, _, err := field(p)
		if err != nil {
			return 0, err
		}
		if n, err = strconv.ParseUint(string(v), 10, 64); err != nil {
			return 0, err
		}
	}
}

// budget says when a read ends: at the first row that fills it.
type budget struct {
	bytes int64
	rows  int64 // 0: no bound
}

// read reads a range in key order until its end, or until the budget is filled; whole tells which.
// After a read that is not whole the connection has rows on its way that nobody wants: it must be
// closed. The comment stands in the source's process list.
func (w *wire) read(l *layout, r row.Range, b budget, comment string) (got *rows, whole bool, err error) {
	if err := w.query(l.selectRows(r, b, comment)); err != nil {
		return nil, false, err
	}
	got = &rows{lines: part{data: make([]byte, 0, b.bytes+b.bytes/8)}}
	e := encoder{layout: l}
	for {
		p, err := w.next()
		if err != nil {
			return nil, false, err
		}
		if p == nil {
			return got, b.rows == 0 || int64(got.count()) < b.rows, nil
		}
		if err := e.add(got, p); err != nil {
			return nil, false, unreadable{err}
		}
		full := got.bytes() >= b.bytes
		if full || int64(got.count()) == b.rows {
			got.last = e.keep()
			if err := l.table.CheckKey(got.last); err != nil {
				return nil, false, unreadable{err}
			}
		}
		if full {
			w.broken = true
			return got, false, nil
		}
		w.shrink()
	}
}

func (l *layout) selectRows(r row.Range, b budget, comment string) []byte {
	q := append([]byte("SELECT /* changeover "+comment+" */ "), l.list...)
	q = l.appendFrom(q, r)
	if b.rows > 0 {
		q = strconv.AppendInt(append(q, " LIMIT "...), b.rows, 10)
	}
	return q
}

// appendFrom appends the table, the range and the order. The key's index is forced: a secondary
// index that looks cheaper to the optimizer would sort the whole table for each chunk.
func (l *layout) appendFrom(q []byte, r row.Range) []byte {
	t := l.table
	q = append(q, " FROM "+server.Name(t.Schema, t.Name)...)
	if t.RowKey < 0 {
		return q
	}
	q = append(q, " FORCE INDEX ("+server.Name(t.Keys[t.RowKey].Name)+")"...)
	if r.Low != nil || r.High != nil {
		q = t.AppendRange(append(q, " WHERE "...), r)
	}
	return t.AppendOrder(append(q, " ORDER BY "...))
}

// keyAt finds the key of the n-th row of a range, n counted from 0; nil if it has not so many. It
// reads keys only: large columns, which lie outside of the page, are not touched.
func (w *wire) keyAt(l *layout, r row.Range, n int64, comment string) (row.Row, error) {
	t := l.table
	q := []byte("SELECT /* changeover " + comment + " */ ")
	for i, p := range t.Keys[t.RowKey].Parts {
		if i > 0 {
			q = append(q, ',')
		}
		q = t.Columns[p.Column].AppendKeySelect(q)
	}
	q = l.appendFrom(q, r)
	q = strconv.AppendInt(append(q, " LIMIT 1 OFFSET "...), n, 10)
	if err := w.query(q); err != nil {
		return nil, err
	}
	var key row.Row
	for {
		p, err := w.next()
		if err != nil {
			return nil, err
		}
		if p == nil {
			if err := t.CheckKey(key); err != nil {
				return nil, unreadable{err}
			}
			return key, nil
		}
		for i := range t.Keys[t.RowKey].Parts {
			var text []byte
			if text, p, err = field(p); err != nil {
				return nil, err
			}
			v, err := t.Columns[t.Keys[t.RowKey].Parts[i].Column].Canonical(text)
			if err != nil {
				return nil, unreadable{err}
			}
			key = append(key, append(row.Value{}, v...))
		}
	}
}
