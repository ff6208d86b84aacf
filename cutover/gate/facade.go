package gate

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"sync"
)

// idleFacades is how many facades database/sql keeps. They are a few words each; the connections are the pools'.
const idleFacades = 64

// openFacade makes a *sql.DB whose connections are facades: they have no session of their own, but borrow one
// from a pool when a statement or transaction begins, and give it back when database/sql puts the facade back.
func openFacade(g *Gate, reader bool) *sql.DB {
	db := sql.OpenDB(facades{g, reader})
	db.SetMaxIdleConns(idleFacades)
	return db
}

// facades makes facades.
type facades struct {
	g      *Gate
	reader bool // nothing passes the gate
}

func (c facades) Connect(context.Context) (driver.Conn, error) {
	return &facade{g: c.g, reader: c.reader}, nil
}

func (c facades) Driver() driver.Driver { return c.g.cfg.Source.Connector.Driver() }

// facade is a driver's connection that stands for whichever session is right.
//
// database/sql gives no word of a *sql.Conn that is kept: to the driver it looks like one statement after
// the other. But it calls IsValid each time, and only, before it puts a connection back. So a loan that lasts until
// IsValid is one statement long, or one transaction, or as long as the *sql.Conn is kept, as it should be.
//
// database/sql uses it from one goroutine at a time. Only takeAway comes from another; mu is for it.
type facade struct {
	g      *Gate
	reader bool

	mu   sync.Mutex
	loan *loan
	busy int   // what runs in the session now, and rows that are not closed
	err  error // the loan was taken away
}

var (
	_ driver.ConnBeginTx        = (*facade)(nil)
	_ driver.ConnPrepareContext = (*facade)(nil)
	_ driver.ExecerContext      = (*facade)(nil)
	_ driver.QueryerContext     = (*facade)(nil)
	_ driver.Pinger             = (*facade)(nil)
	_ driver.SessionResetter    = (*facade)(nil)
	_ driver.Validator          = (*facade)(nil)
	_ driver.NamedValueChecker  = (*facade)(nil)
)

// IsValid gives the loan back.
func (f *facade) IsValid() bool { f.giveBack(); return true }

// Close gives the loan back.
func (f *facade) Close() error { f.giveBack(); return nil }

// ResetSession has nothing to reset: the next loan is another session.
func (f *facade) ResetSession(context.Context) error { return nil }

// CheckNamedValue takes everything: the session that the statement will run in has its own rules.
func (f *facade) CheckNamedValue(*driver.NamedValue) error { return nil }

// Ping asks the writer.
func (f *facade) Ping(ctx context.Context) error {
	return f.through(ctx, step{kind: surelyRead, what: "PING", harmless: true}, func(ctx context.Context, l *loan) error {
		if p, ok := l.raw.(driver.Pinger); ok {
			return p.Ping(ctx)
		}
		return nil
	})
}

// ExecContext runs a statement.
func (f *facade) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	return f.exec(ctx, nil, query, args)
}

// QueryContext runs a query.
func (f *facade) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	return f.query(ctx, nil, query, args)
}

func (f *facade) exec(ctx context.Context, st *statement, query string, args []driver.NamedValue) (res driver.Result, err error) {
	err = f.through(ctx, step{kind: classify(query), what: query}, func(ctx context.Context, l *loan) error {
		res, err = l.exec(ctx, st, query, args)
		return err
	})
	return res, err
}

func (f *facade) query(ctx context.Context, st *statement, query string, args []driver.NamedValue) (driver.Rows, error) {
	r := &rows{f: f}
	err := f.through(ctx, step{kind: classify(query), what: query, rows: r}, func(ctx context.Context, l *loan) (err error) {
		r.Rows, r.after, err = l.query(ctx, st, query, args)
		return err
	})
	if err != nil {
		return nil, err
	}
	return r, nil
}

// BeginTx begins a transaction. One that is not read-only passes the gate.
func (f *facade) BeginTx(ctx context.Context, opts driver.TxOptions) (driver.Tx, error) {
	kind := otherwise
	if opts.ReadOnly {
		kind = surelyRead
	}
	var t *transaction
	err := f.through(ctx, step{kind: kind, what: "BEGIN", harmless: true}, func(ctx context.Context, l *loan) error {
		tx, err := l.begin(ctx, opts)
		if err == nil {
			l.inTx, l.fatal = true, nil
			t = &transaction{f: f, l: l, inner: tx}
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return t, nil
}

// Begin begins a transaction; database/sql uses BeginTx.
func (f *facade) Begin() (driver.Tx, error) {
	return f.BeginTx(context.Background(), driver.TxOptions{})
}

// Prepare prepares a statement; database/sql uses PrepareContext.
func (f *facade) Prepare(query string) (driver.Stmt, error) {
	return f.PrepareContext(context.Background(), query)
}

// PrepareContext prepares in the session that is borrowed, if one is. Otherwise the statement is prepared where and
// when it first runs; a mistake in it shows then.
func (f *facade) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	st := &statement{f: f, query: query}
	if l := f.current(); l != nil {
		if err := f.start(l); err != nil {
			return nil, err
		}
		_, err := l.prepared(ctx, st)
		f.finish(l)
		if err != nil {
			return nil, err
		}
	}
	return st, nil
}

// step is what is to be done in a session.
type step struct {
	kind     kind
	what     string // the statement
	harmless bool   // it has no effect by itself
	rows     *rows  // they go on after it
}

// through does a step in the session that is right for it. The first one of a loan that surely was not applied is done
// again, in another session if need be; whatever else fails is the caller's.
func (f *facade) through(ctx context.Context, s step, do func(ctx context.Context, l *loan) error) error {
	for try := 0; ; try++ {
		l, err := f.borrow(ctx, s)
		if err == nil {
			if err = f.during(ctx, l, s, do); err == nil {
				return nil
			}
		}
		if !f.again(ctx, l, s, err, try) {
			return err
		}
		f.giveBack()
		if stop := pause(ctx, min(try, 4)); stop != nil {
			return fmt.Errorf("%w (after %d tries, the last of which failed: %w)", stop, try+1, err)
		}
	}
}

// during does a step in the session of l.
func (f *facade) during(ctx context.Context, l *loan, s step, do func(ctx context.Context, l *loan) error) error {
	if err := f.start(l); err != nil {
		return err
	}
	l.steps++
	l.said.Store(&s.what)
	bound, end := l.bound(ctx)
	err := do(bound, l)
	if err != nil && errors.Is(context.Cause(bound), ErrCancelled) {
		err = fmt.Errorf("%w: %w", ErrCancelled, err)
	}
	if err != nil || s.rows == nil {
		end()
		if err == nil {
			l.note(s)
		}
		f.finish(l)
		return err
	}
	l.note(s)
	s.rows.l, s.rows.end = l, end // it is busy until they are closed
	return nil
}

// start says that the session is in use; it fails if it was taken away.
func (f *facade) start(l *loan) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.loan != l {
		if f.err != nil {
			return f.err
		}
		return driver.ErrBadConn
	}
	f.busy++
	return nil
}

// finish says that it no longer is, and gives it up if it was asked for meanwhile.
func (f *facade) finish(l *loan) {
	f.mu.Lock()
	f.busy--
	drop := f.err != nil && f.busy == 0 && f.loan == l
	if drop {
		f.loan = nil
	}
	f.mu.Unlock()
	if drop {
		l.bad.Store(true)
		f.g.takeBack(l)
	}
}

// takeAway ends what the loan is used for, for a hold that cancels: a statement that runs is cancelled, and the
// session, with whatever it holds, is closed. Later statements fail with ErrCancelled.
func (f *facade) takeAway(l *loan) {
	l.cancel(ErrCancelled)
	f.mu.Lock()
	if f.loan != l {
		f.mu.Unlock()
		return
	}
	f.err = fmt.Errorf("the session was closed: %w", ErrCancelled)
	drop := f.busy == 0
	if drop {
		f.loan = nil
	}
	f.mu.Unlock()
	if drop {
		l.bad.Store(true)
		f.g.takeBack(l)
	}
}

func (f *facade) current() *loan {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.loan
}

// giveBack ends the loan.
func (f *facade) giveBack() {
	f.mu.Lock()
	l := f.loan
	f.loan, f.err, f.busy = nil, nil, 0
	f.mu.Unlock()
	if l != nil {
		f.g.takeBack(l)
	}
}

// borrow returns the loan that is right for a step: the present one, or a new one. A loan without a session comes
// with the error that explains it.
func (f *facade) borrow(ctx context.Context, s step) (*loan, error) {
	f.mu.Lock()
	l, err := f.loan, f.err
	f.mu.Unlock()
	if err != nil {
		return nil, err
	}
	writes := s.kind == otherwise && !f.reader
	// A transaction that began as READ ONLY stays where it is: the server refuses what writes in it.
	if l != nil && (!writes || l.pass != nil || l.inTx || l.open) {
		return l, nil
	}
	if !writes {
		next := newLoan()
		next.side = f.g.Route().Side
		return f.lend(ctx, next)
	}
	next := newLoan()
	next.said.Store(&s.what)
	stay := &stay{what: func() string { return describe(*next.said.Load()) }}
	stay.cancel = func(cause error) {
		if cause != nil {
			go f.takeAway(next) // the door is locked
		}
	}
	pass, joined, err := f.g.enter(ctx, stay)
	if err != nil {
		next.cancel(nil)
		return nil, err
	}
	if l != nil { // only reads have passed in it
		f.giveBack()
	}
	next.pass, next.joined, next.side = &pass, joined, pass.side
	return f.lend(ctx, next)
}

// lend gets a session for l.
func (f *facade) lend(ctx context.Context, l *loan) (*loan, error) {
	conn, err := f.g.pools[l.side].db.Conn(ctx)
	if err == nil {
		l.conn = conn
		// The driver's connection is used outside Raw, which is sound: nobody else has conn, and database/sql leaves a
		// connection that is lent alone.
		err = conn.Raw(func(raw any) error { l.raw = raw.(driver.Conn); return nil })
	}
	if err != nil {
		l.bad.Store(true)
		f.g.takeBack(l)
		return l, err
	}
	f.mu.Lock()
	f.loan = l
	f.mu.Unlock()
	if l.ctx.Err() != nil { // it was to be taken away before it was there
		f.takeAway(l)
	}
	return l, nil
}

// again tells whether a step that failed surely was not applied and is to be done again; the gate is told of what it
// should know.
func (f *facade) again(ctx context.Context, l *loan, s step, err error, try int) bool {
	g := f.g
	if ctx.Err() != nil || l == nil {
		return false
	}
	if errors.Is(err, ErrCancelled) {
		return l.steps == 0 // it had not begun
	}
	var (
		unborn = l.conn == nil
		first  = unborn || l.steps == 1
		m      = g.meaningOf(ctx, err, l.side)
	)
	switch {
	case isBad(err), (unborn || s.harmless) && (m == lost || m == callers && isLost(err)):
		m = lost
		l.bad.Store(true)
	case m == lost, m == again && !unborn:
		return false // it may have been applied; a deadlock is the caller's
	}
	if m == turnedAway && l.pass != nil {
		l.fatal = err
		g.doubt(l.pass.Epoch, err)
		return first && !l.joined
	}
	if m == lost {
		g.look()
	}
	return m != callers && first && (l.pass != nil || try < 3)
}
