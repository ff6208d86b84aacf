package seed

import (
	"context"
	"database/sql"
	"encoding/hex"
	"fmt"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// writer writes rows on several connections at once: each statement has many rows and is a transaction.
// (LOAD DATA would be faster still, but needs local_infile, which servers have switched off.)
type writer struct {
	db          *sql.DB
	connections int
	progress    func(Progress)
	total       int

	mu   sync.Mutex
	rows int
	told time.Time

	full chan statement // of the part under way
}

// statement is a batch on its way.
type statement struct {
	table string
	text  []byte
	rows  int
}

// batchBytes and batchRows bound a statement: far below the servers' max_allowed_packet, and long
// enough that the sync at its commit doesn't count.
const (
	batchBytes = 512 << 10
	batchRows  = 2000
)

func newWriter(db *sql.DB, o Options, total int) *writer {
	return &writer{db: db, connections: o.Connections, progress: o.Progress, total: total}
}

// part runs fill, which adds rows, and returns when all of them are committed.
func (w *writer) part(ctx context.Context, fill func(context.Context, *writer) error) error {
	g, ctx := errgroup.WithContext(ctx)
	w.full = make(chan statement, w.connections)
	for range w.connections {
		g.Go(func() error { // ends when fill has, or with ctx
			for s := range w.full {
				if _, err := w.db.ExecContext(ctx, string(s.text)); err != nil {
					return fmt.Errorf("write %d rows of %s: %w", s.rows, s.table, err)
				}
				w.tell(s)
			}
			return nil
		})
	}
	g.Go(func() error {
		defer close(w.full)
		return fill(ctx, w)
	})
	return g.Wait()
}

func (w *writer) tell(s statement) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.rows += s.rows
	if w.progress != nil && time.Since(w.told) > 100*time.Millisecond {
		w.told = time.Now()
		w.progress(Progress{Doing: s.table, Rows: w.rows, Total: max(w.total, w.rows)})
	}
}

// table collects rows of one table. It is used by one goroutine, and flushed at its end.
type table struct {
	w     *writer
	ctx   context.Context // of the part that it belongs to
	name  string
	head  string
	text  []byte
	rows  int
	first bool // of the row's values
}

func (w *writer) table(ctx context.Context, name, columns string) *table {
	return &table{w: w, ctx: ctx, name: name, head: "INSERT INTO " + name + " (" + columns + ") VALUES "}
}

// row begins a row.
func (t *table) row() *table {
	if t.rows == 0 {
		t.text = append(make([]byte, 0, batchBytes+16<<10), t.head...)
	} else {
		t.text = append(t.text, ',')
	}
	t.text = append(t.text, '(')
	t.rows++
	t.first = true
	return t
}

// end ends the row, and sends the batch off if it is large enough.
func (t *table) end() error {
	t.text = append(t.text, ')')
	if len(t.text) < batchBytes && t.rows < batchRows {
		return nil
	}
	return t.flush()
}

func (t *table) flush() error {
	if t.rows == 0 {
		return nil
	}
	s := statement{t.name, t.text, t.rows}
	t.text, t.rows = nil, 0
	select {
	case t.w.full <- s:
		return nil
	case <-t.ctx.Done():
		return t.ctx.Err()
	}
}

func (t *table) comma() {
	if !t.first {
		t.text = append(t.text, ',')
	}
	t.first = false
}

func (t *table) number(n int64) *table {
	t.comma()
	t.text = strconv.AppendInt(t.text, n, 10)
	return t
}

// decimal writes hundredths.
func (t *table) decimal(hundredths int64) *table {
	t.number(hundredths / 100)
	t.text = append(t.text, '.', byte('0'+hundredths/10%10), byte('0'+hundredths%10))
	return t
}

func (t *table) bytes(b []byte) *table {
	t.comma()
	t.text = append(t.text, "X'"...)
	t.text = hex.AppendEncode(t.text, b)
	t.text = append(t.text, '\'')
	return t
}

// string writes a text, as its bytes: nothing of it means anything to the server, whatever its sql_mode.
func (t *table) string(s string) *table {
	t.comma()
	t.text = append(t.text, "_utf8mb4 X'"...)
	t.text = hex.AppendEncode(t.text, []byte(s))
	t.text = append(t.text, '\'')
	return t
}

func (t *table) null() *table {
	t.comma()
	t.text = append(t.text, "NULL"...)
	return t
}

// time writes a moment in milliseconds since 1970, UTC; columns without a fraction get whole seconds.
func (t *table) time(ms int64) *table {
	t.comma()
	layout := "'2006-01-02 15:04:05.000'"
	if ms%1000 == 0 {
		layout = "'2006-01-02 15:04:05'"
	}
	t.text = time.UnixMilli(ms).UTC().AppendFormat(t.text, layout)
	return t
}

func whole(ms int64) int64 { return ms - ms%1000 }
