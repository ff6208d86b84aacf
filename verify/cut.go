package verify

import (
	"context"
	"database/sql"
	"fmt"
	"math/big"
	"sync"
	"time"

	"changeover/cdc/row"
	"changeover/internal/server"
)

// How a table is cut. A chunk's time is what its read view lives, and how long an ALTER of the table
// waits at most. Its rows are what is held in memory if its digests differ.
const (
	chunkTime = 300 * time.Millisecond
	firstRows = 20_000
	mostRows  = 100_000
)

// cutter says how many rows the next chunk of a table has. Safe for concurrent use.
type cutter struct {
	mu   sync.Mutex
	size int64
}

func newCutter() *cutter { return &cutter{size: firstRows} }

func (c *cutter) rows() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.size
}

// took learns from a chunk that was read: its size doubles at most.
func (c *cutter) took(rows uint64, d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if int64(rows) < c.size/2 { // the last one of a table says nothing
		return
	}
	fits := int64(float64(rows) * float64(chunkTime) / float64(max(d, time.Millisecond)))
	c.size = min(max(fits, c.size/4, 100), c.size*2, mostRows)
}

// next cuts the next chunk off the beginning of a range. Of a table that can't be cut it is all.
func (p *pair) next(ctx context.Context, r row.Range, rows int64) (row.Range, error) {
	if !p.cut() {
		return r, nil
	}
	end, known, err := p.guess(ctx, r, rows)
	if err == nil && !known {
		end, err = p.end(ctx, p.source, r, rows)
	}
	if err != nil || end == nil {
		return r, err
	}
	return row.Range{Low: r.Low, High: end}, nil
}

// guess ends a chunk without reading keys, where they are whole numbers: so many further on as the chunk
// is to have rows, so that it has at most these. It knows nothing of the first chunk, nor where a table
// has gaps: in an eighth of its keys or more, by the source's estimate of its rows. A nil end is that of the range.
//
// Finding the key of the n-th row takes the source a tenth of the time that the digest takes.
func (p *pair) guess(ctx context.Context, r row.Range, rows int64) (end row.Row, known bool, err error) {
	column, ok := p.number()
	if !ok || r.Low == nil {
		return nil, false, nil
	}
	span, err := p.span(ctx, column)
	low, ok := new(big.Int).SetString(string(r.Low[0]), 10)
	if err != nil || !ok || span == nil || span.gaps {
		return nil, false, err
	}
	high := low.Add(low, big.NewInt(rows))
	if r.High != nil {
		of, ok := new(big.Int).SetString(string(r.High[0]), 10)
		if !ok {
			return nil, false, nil
		}
		if high.Cmp(of) >= 0 {
			return nil, true, nil
		}
	} else if high.Cmp(span.last) >= 0 {
		return nil, true, nil
	}
	return row.Row{row.Value(high.String())}, true, nil
}

// span is what keys a table's rows have.
type span struct {
	last *big.Int
	gaps bool
}

// span asks the source for the first and the last key, and how many rows it believes to lie between.
// Nil: there are none.
func (p *pair) span(ctx context.Context, key *row.Column) (*span, error) {
	t, name := p.source, server.Name(key.Name)
	var first, last, rows sql.NullString
	err := t.db.QueryRowContext(ctx, fmt.Sprintf("SELECT %s MIN(%s), MAX(%[2]s), (SELECT TABLE_ROWS FROM information_schema.TABLES WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ?) FROM %[3]s",
		t.comment(), name, server.Name(t.Schema, t.Name)), t.Schema, t.Name).Scan(&first, &last, &rows)
	if err != nil || !last.Valid || !rows.Valid {
		return nil, t.wrap(err)
	}
	s := &span{last: new(big.Int)}
	from, ok := new(big.Int).SetString(first.String, 10)
	_, ok2 := s.last.SetString(last.String, 10)
	n, ok3 := new(big.Int).SetString(rows.String, 10)
	if !ok || !ok2 || !ok3 {
		return nil, nil
	}
	keys := new(big.Int).Sub(s.last, from)
	s.gaps = keys.Mul(keys, big.NewInt(7)).Cmp(n.Mul(n, big.NewInt(8))) > 0
	return s, nil
}

// whole tells whether a range that was cut off another is all of it.
func whole(part, of row.Range) bool {
	return len(part.High) == 0 && len(of.High) == 0 || equalKeys(part.High, of.High)
}

func equalKeys(a, b row.Row) bool {
	return string(row.AppendKey(nil, a)) == string(row.AppendKey(nil, b)) && (a == nil) == (b == nil)
}

// number is the column of a key that is one whole number.
func (p *pair) number() (c *row.Column, ok bool) {
	if parts := p.key.Keys[p.key.RowKey].Parts; len(parts) == 1 {
		c = &p.key.Columns[parts[0].Column]
		return c, c.Kind == row.Int && c.Type != "year"
	}
	return nil, false
}
