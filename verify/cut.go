package verify

import (
	"context"
	"sync"
	"time"

	"changeover/cdc/row"
)

// How a table is cut. A chunk's time is what its read view lives, and how long an ALTER of the table
// waits at most. Its rows are what is held in memory if its digests differ.
const (
	chunkTime = 300 * time.Millisecond
	firstRows = 10_000
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
	end, err := p.end(ctx, p.source, r, rows)
	if err != nil {
		return r, err
	}
	if end == nil {
		return r, nil
	}
	return row.Range{Low: r.Low, High: end}, nil
}

// whole tells whether a range that was cut off another is all of it.
func whole(part, of row.Range) bool {
	return len(part.High) == 0 && len(of.High) == 0 || equalKeys(part.High, of.High)
}

func equalKeys(a, b row.Row) bool {
	return string(row.AppendKey(nil, a)) == string(row.AppendKey(nil, b)) && (a == nil) == (b == nil)
}
