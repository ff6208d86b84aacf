package snapshot

import (
	"context"
	"database/sql"
	"fmt"
	"io"
	"strconv"
	"sync/atomic"

	"github.com/go-sql-driver/mysql"

	"changeover/cdc/row"
	"changeover/internal/fault"
)

// Tx is an open target transaction.
type Tx interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// Loader is how rows go in.
type Loader struct {
	LocalInfile bool // LOAD DATA LOCAL; else multi-row INSERTs
	names       atomic.Int64
}

// Load writes the chunk's rows that the stream did not touch into the target's transaction.
//
// LOAD DATA LOCAL makes warnings of what would be errors: a duplicate is skipped, a value is bent
// to fit. So it counts only if every row went in and nothing was warned of; else the transaction
// must be rolled back, and ErrBent says that the chunk is to be loaded by Insert.
func (l *Loader) Load(ctx context.Context, tx Tx, c Chunk) error {
	if !l.LocalInfile {
		return l.Insert(ctx, tx, c)
	}
	if err := l.loadLines(ctx, tx, c); err != nil {
		return err
	}
	return insertRows(ctx, tx, c.Table, &c.rows.odd, c.skip, relaxedMode)
}

// ErrBent says that LOAD DATA did not take every row as it is.
type ErrBent struct{ Sent, Stored, Warnings int64 }

func (e *ErrBent) Error() string {
	return fmt.Sprintf("LOAD DATA stored %d of %d rows with %d warnings", e.Stored, e.Sent, e.Warnings)
}

func (l *Loader) loadLines(ctx context.Context, tx Tx, c Chunk) error {
	r := &lineReader{part: &c.rows.lines, skip: c.skip}
	if len(r.part.ends) == 0 {
		return nil
	}
	name := "changeover-" + strconv.FormatInt(l.names.Add(1), 10) + "-" + fmt.Sprintf("%p", l)
	mysql.RegisterReaderHandler(name, func() io.Reader { return r })
	defer mysql.DeregisterReaderHandler(name)
	result, err := tx.ExecContext(ctx, string(c.Table.AppendLoad(nil, name)))
	if err != nil {
		return err
	}
	bent := ErrBent{Sent: r.sent}
	if bent.Stored, err = result.RowsAffected(); err != nil {
		return err
	}
	if err := tx.QueryRowContext(ctx, "SELECT @@warning_count").Scan(&bent.Warnings); err != nil {
		return err
	}
	if bent.Stored != bent.Sent || bent.Warnings != 0 {
		return &bent
	}
	return nil
}

// lineReader gives LOAD DATA the lines whose keys the stream did not touch.
type lineReader struct {
	part *part
	skip func(key []byte) bool
	next int // the row to look at next
	from int // data that is decided on, and not yet read
	to   int
	sent int64
}

func (r *lineReader) Read(b []byte) (int, error) {
	for r.from == r.to {
		if !r.more() {
			return 0, io.EOF
		}
	}
	n := copy(b, r.part.data[r.from:r.to])
	r.from += n
	return n, nil
}

// more finds the next run of rows that go in.
func (r *lineReader) more() bool {
	start := 0
	if r.next > 0 {
		start = r.part.ends[r.next-1].data
	}
	r.from, r.to = start, start
	for r.next < len(r.part.ends) {
		_, key := r.part.row(r.next)
		skip := r.skip(key)
		if skip && r.to > r.from {
			return true
		}
		r.to = r.part.ends[r.next].data
		r.next++
		if skip {
			r.from = r.to
			continue
		}
		r.sent++
	}
	return r.to > r.from
}

// Insert writes the rows by multi-row INSERTs: slower than LOAD DATA, but each value is taken as
// it is, or refused with an error that names it.
func (l *Loader) Insert(ctx context.Context, tx Tx, c Chunk) error {
	lines, err := c.rows.lines.literals(c.Table)
	if err != nil {
		return err
	}
	if err := insertRows(ctx, tx, c.Table, lines, c.skip, ""); err != nil {
		return err
	}
	return insertRows(ctx, tx, c.Table, &c.rows.odd, c.skip, relaxedMode)
}

// literals turns lines back into rows in parentheses.
func (p *part) literals(t *row.Table) (*part, error) {
	out := &part{data: make([]byte, 0, len(p.data)+len(p.data)/4)}
	var texts [][]byte
	for i := range p.ends {
		line, key := p.row(i)
		var err error
		if texts, err = row.SplitLine(texts[:0], line); err != nil {
			return nil, err
		}
		out.data = t.AppendInsertValues(out.data, texts)
		out.add(key)
	}
	return out, nil
}

// relaxedMode lets ENUM's error value and odd dates in; what else it would bend, the warnings say.
const relaxedMode = "ALLOW_INVALID_DATES,NO_AUTO_VALUE_ON_ZERO,NO_ENGINE_SUBSTITUTION"

// insertBytes ends one INSERT.
const insertBytes = 1 << 20

func insertRows(ctx context.Context, tx Tx, t *row.Table, p *part, skip func([]byte) bool, mode string) error {
	if len(p.ends) == 0 {
		return nil
	}
	if mode != "" {
		var before string
		if err := tx.QueryRowContext(ctx, "SELECT @@SESSION.sql_mode").Scan(&before); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, "SET SESSION sql_mode = '"+mode+"'"); err != nil {
			return err
		}
		defer func() { _, _ = tx.ExecContext(ctx, "SET SESSION sql_mode = '"+before+"'") }()
	}
	var q []byte
	var n int64
	for i := range p.ends {
		data, key := p.row(i)
		if skip(key) {
			continue
		}
		if n == 0 {
			q = t.AppendInsert(q[:0])
		} else {
			q = append(q, ',')
		}
		q = append(q, data...)
		n++
		if len(q) > insertBytes {
			if err := insertOnce(ctx, tx, t, q, n); err != nil {
				return err
			}
			n = 0
		}
	}
	if n == 0 {
		return nil
	}
	return insertOnce(ctx, tx, t, q, n)
}

// erTruncated is the only warning that is meant: ENUM's error value is stored as it was.
const erTruncated = 1265

func insertOnce(ctx context.Context, tx Tx, t *row.Table, q []byte, n int64) error {
	result, err := tx.ExecContext(ctx, string(q))
	if err != nil {
		return err
	}
	if stored, err := result.RowsAffected(); err != nil || stored != n {
		return fault.New(fault.SnapshotLoad, "%d of %d rows went into %s.%s", stored, n, t.Schema, t.Name)
	}
	warnings, err := tx.QueryContext(ctx, "SHOW WARNINGS")
	if err != nil {
		return err
	}
	defer warnings.Close()
	for warnings.Next() {
		var level, message string
		var code int
		if err := warnings.Scan(&level, &code, &message); err != nil {
			return err
		}
		if code != erTruncated {
			return fault.New(fault.SnapshotLoad, "the target would bend a value of %s.%s: %d %s", t.Schema, t.Name, code, message)
		}
	}
	return warnings.Err()
}
