package gate

import (
	"context"
	"database/sql/driver"
	"fmt"
	"io"
	"reflect"
)

// transaction is one of a facade.
type transaction struct {
	f     *facade
	l     *loan
	inner driver.Tx
}

// Commit commits, unless the server has refused a part of the transaction because it took no writes: its fence may be
// lifted by now, and half of the transaction would be committed (seen).
func (t *transaction) Commit() error {
	if t.l.fatal != nil {
		err := fmt.Errorf("rolled back, since a part of it was refused: %w", t.l.fatal)
		_ = t.Rollback()
		return err
	}
	if err := t.f.start(t.l); err != nil {
		return err
	}
	defer t.f.finish(t.l)
	t.l.inTx = false
	err := t.inner.Commit()
	if err == nil {
		t.l.wrote = t.l.pass != nil
		return nil
	}
	t.l.bad.Store(true)
	if t.l.pass != nil {
		t.f.g.Refused(t.l.ctx, err, t.l.pass.Epoch)
	}
	return err
}

// Rollback rolls back.
func (t *transaction) Rollback() error {
	if err := t.f.start(t.l); err != nil {
		return err
	}
	defer t.f.finish(t.l)
	t.l.inTx = false
	err := t.inner.Rollback()
	if err != nil {
		t.l.bad.Store(true)
	}
	return err
}

// statement is a prepared one of a facade: prepared in each session in which it runs.
type statement struct {
	f     *facade
	query string
}

var (
	_ driver.StmtExecContext  = (*statement)(nil)
	_ driver.StmtQueryContext = (*statement)(nil)
)

// NumInput is not known here; the driver's own statement knows.
func (s *statement) NumInput() int { return -1 }

// Close closes it in the present session; in others it went with the loan.
func (s *statement) Close() error {
	l := s.f.current()
	if l == nil || l.stmts[s] == nil {
		return nil
	}
	if err := s.f.start(l); err != nil {
		return nil // the session is gone, and it with it
	}
	defer s.f.finish(l)
	inner := l.stmts[s]
	delete(l.stmts, s)
	return inner.Close()
}

// ExecContext runs it.
func (s *statement) ExecContext(ctx context.Context, args []driver.NamedValue) (driver.Result, error) {
	return s.f.exec(ctx, s, s.query, args)
}

// QueryContext runs it.
func (s *statement) QueryContext(ctx context.Context, args []driver.NamedValue) (driver.Rows, error) {
	return s.f.query(ctx, s, s.query, args)
}

// Exec runs it; database/sql uses ExecContext.
func (s *statement) Exec(args []driver.Value) (driver.Result, error) {
	return s.ExecContext(context.Background(), numbered(args))
}

// Query runs it; database/sql uses QueryContext.
func (s *statement) Query(args []driver.Value) (driver.Rows, error) {
	return s.QueryContext(context.Background(), numbered(args))
}

func numbered(args []driver.Value) []driver.NamedValue {
	out := make([]driver.NamedValue, len(args))
	for i, v := range args {
		out[i] = driver.NamedValue{Ordinal: i + 1, Value: v}
	}
	return out
}

// rows are the driver's, and keep the session busy until they are closed. What the driver's can't tell is answered as
// database/sql would answer for it.
type rows struct {
	driver.Rows
	f     *facade
	l     *loan
	after func() // closes what was prepared for them
	end   func() // ends their context
}

// Close closes them.
func (r *rows) Close() error {
	if r.end == nil {
		return nil
	}
	err := r.Rows.Close()
	r.after()
	r.end()
	r.end = nil
	r.f.finish(r.l)
	return err
}

func (r *rows) HasNextResultSet() bool {
	n, ok := r.Rows.(driver.RowsNextResultSet)
	return ok && n.HasNextResultSet()
}

func (r *rows) NextResultSet() error {
	if n, ok := r.Rows.(driver.RowsNextResultSet); ok {
		return n.NextResultSet()
	}
	return io.EOF
}

func (r *rows) ColumnTypeScanType(i int) reflect.Type {
	if c, ok := r.Rows.(driver.RowsColumnTypeScanType); ok {
		return c.ColumnTypeScanType(i)
	}
	return reflect.TypeFor[any]()
}

func (r *rows) ColumnTypeDatabaseTypeName(i int) string {
	if c, ok := r.Rows.(driver.RowsColumnTypeDatabaseTypeName); ok {
		return c.ColumnTypeDatabaseTypeName(i)
	}
	return ""
}

func (r *rows) ColumnTypeLength(i int) (int64, bool) {
	if c, ok := r.Rows.(driver.RowsColumnTypeLength); ok {
		return c.ColumnTypeLength(i)
	}
	return 0, false
}

func (r *rows) ColumnTypeNullable(i int) (nullable, ok bool) {
	if c, ok := r.Rows.(driver.RowsColumnTypeNullable); ok {
		return c.ColumnTypeNullable(i)
	}
	return false, false
}

func (r *rows) ColumnTypePrecisionScale(i int) (precision, scale int64, ok bool) {
	if c, ok := r.Rows.(driver.RowsColumnTypePrecisionScale); ok {
		return c.ColumnTypePrecisionScale(i)
	}
	return 0, 0, false
}
