package gate

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"sync/atomic"
)

// loan is a session that a facade has borrowed, and the stay that goes with it.
type loan struct {
	conn   *sql.Conn
	raw    driver.Conn // of conn; nobody else has it until conn is closed
	side   Side
	pass   *Pass // nil: only reads have passed
	joined bool  // the pass is one of a stay that somebody else began
	said   atomic.Pointer[string]

	ctx    context.Context // ends when the loan is taken away
	cancel context.CancelCauseFunc

	steps int
	inTx  bool        // in a transaction of BeginTx
	open  bool        // BEGIN and the like were sent as statements: not to be handed on
	wrote bool        // something was committed
	bad   atomic.Bool // not to be used any more
	fatal error       // the server has refused a part of the transaction: it must not be committed
	stmts map[*statement]driver.Stmt
}

func newLoan() *loan {
	l := &loan{}
	l.ctx, l.cancel = context.WithCancelCause(context.Background())
	return l
}

// takeBack puts the session back into its pool, or closes it, and leaves the gate.
func (g *Gate) takeBack(l *loan) {
	if l.conn != nil {
		bad := l.bad.Load() || l.open || l.inTx
		for _, st := range l.stmts {
			if !bad {
				_ = st.Close()
			}
		}
		if bad {
			_ = l.conn.Raw(func(any) error { return driver.ErrBadConn }) // database/sql closes it
		}
		_ = l.conn.Close()
	}
	l.cancel(nil)
	if l.pass != nil {
		g.leave(l.pass.stay, l.wrote)
	}
}

// bound is ctx, ended also when the loan is taken away.
func (l *loan) bound(ctx context.Context) (bound context.Context, end func()) {
	if l.pass == nil {
		return ctx, func() {}
	}
	bound, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(l.ctx, func() { cancel(ErrCancelled) })
	return bound, func() { stop(); cancel(nil) }
}

// note notes what a step has done to the session.
func (l *loan) note(s step) {
	switch {
	case s.harmless: // BeginTx has its own notes
	case s.kind == ending:
		l.wrote = l.wrote || l.open && l.pass != nil
		l.open = false
	default:
		l.wrote = l.wrote || s.kind == otherwise && !l.inTx && !l.open
		l.open = l.open || begins(s.what)
	}
}

func (l *loan) begin(ctx context.Context, opts driver.TxOptions) (driver.Tx, error) {
	if b, ok := l.raw.(driver.ConnBeginTx); ok {
		return b.BeginTx(ctx, opts)
	}
	if opts != (driver.TxOptions{}) {
		return nil, errors.New("the driver has no options for transactions")
	}
	//lint:ignore SA1019 it is all that such a driver has
	return l.raw.Begin()
}

// exec runs a statement, as a prepared one if st is one or if the driver wants it.
func (l *loan) exec(ctx context.Context, st *statement, query string, args []driver.NamedValue) (driver.Result, error) {
	if e, ok := l.raw.(driver.ExecerContext); ok && st == nil {
		values, err := checked(l.raw, nil, args)
		if err != nil {
			return nil, err
		}
		res, err := e.ExecContext(ctx, query, values)
		if !errors.Is(err, driver.ErrSkip) {
			return res, err
		}
	}
	inner, after, err := l.ready(ctx, st, query)
	if err != nil {
		return nil, err
	}
	defer after()
	values, err := checked(l.raw, inner, args)
	if err != nil {
		return nil, err
	}
	if e, ok := inner.(driver.StmtExecContext); ok {
		return e.ExecContext(ctx, values)
	}
	plain, err := unnamed(values)
	if err != nil {
		return nil, err
	}
	//lint:ignore SA1019 it is all that such a driver has
	return inner.Exec(plain)
}

// query is exec for what returns rows; after is to be called when they are closed.
func (l *loan) query(ctx context.Context, st *statement, query string, args []driver.NamedValue) (r driver.Rows, after func(), err error) {
	if q, ok := l.raw.(driver.QueryerContext); ok && st == nil {
		values, err := checked(l.raw, nil, args)
		if err != nil {
			return nil, nil, err
		}
		r, err := q.QueryContext(ctx, query, values)
		if !errors.Is(err, driver.ErrSkip) {
			return r, func() {}, err
		}
	}
	inner, after, err := l.ready(ctx, st, query)
	if err != nil {
		return nil, nil, err
	}
	values, err := checked(l.raw, inner, args)
	if err == nil {
		if q, ok := inner.(driver.StmtQueryContext); ok {
			r, err = q.QueryContext(ctx, values)
		} else {
			var plain []driver.Value
			if plain, err = unnamed(values); err == nil {
				//lint:ignore SA1019 it is all that such a driver has
				r, err = inner.Query(plain)
			}
		}
	}
	if err != nil {
		after()
		return nil, nil, err
	}
	return r, after, nil
}

// ready is the prepared statement: st's, or one that is prepared for this once.
func (l *loan) ready(ctx context.Context, st *statement, query string) (inner driver.Stmt, after func(), err error) {
	if st != nil {
		inner, err = l.prepared(ctx, st)
		return inner, func() {}, err
	}
	inner, err = l.prepare(ctx, query)
	return inner, func() { _ = inner.Close() }, err
}

// prepared is st in this session.
func (l *loan) prepared(ctx context.Context, st *statement) (driver.Stmt, error) {
	if inner := l.stmts[st]; inner != nil {
		return inner, nil
	}
	inner, err := l.prepare(ctx, st.query)
	if err != nil {
		return nil, err
	}
	if l.stmts == nil {
		l.stmts = map[*statement]driver.Stmt{}
	}
	l.stmts[st] = inner
	return inner, nil
}

func (l *loan) prepare(ctx context.Context, query string) (driver.Stmt, error) {
	if p, ok := l.raw.(driver.ConnPrepareContext); ok {
		return p.PrepareContext(ctx, query)
	}
	return l.raw.Prepare(query)
}

// checked are the arguments as the driver wants them: what database/sql would do had it the driver's own connection
// in its hands.
func checked(conn driver.Conn, st driver.Stmt, args []driver.NamedValue) ([]driver.NamedValue, error) {
	if st != nil {
		if n := st.NumInput(); n >= 0 && n != len(args) {
			return nil, fmt.Errorf("sql: expected %d arguments, got %d", n, len(args))
		}
	}
	if len(args) == 0 {
		return nil, nil
	}
	checker, ok := st.(driver.NamedValueChecker)
	if !ok {
		checker, _ = conn.(driver.NamedValueChecker)
	}
	out := make([]driver.NamedValue, 0, len(args))
	for _, nv := range args {
		err := driver.ErrSkip
		if checker != nil {
			err = checker.CheckNamedValue(&nv)
		}
		if errors.Is(err, driver.ErrSkip) {
			nv.Value, err = driver.DefaultParameterConverter.ConvertValue(nv.Value)
		}
		if errors.Is(err, driver.ErrRemoveArgument) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("sql: converting argument $%d type: %w", nv.Ordinal, err)
		}
		out = append(out, nv)
	}
	return out, nil
}

func unnamed(args []driver.NamedValue) ([]driver.Value, error) {
	out := make([]driver.Value, len(args))
	for i, a := range args {
		if a.Name != "" {
			return nil, errors.New("the driver has no named parameters")
		}
		out[i] = a.Value
	}
	return out, nil
}
