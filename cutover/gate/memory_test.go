package gate_test

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"changeover/cutover/gate"
)

// memory is a server that is none: it has one table of operations and a route row, and can be made to fail at
// any point, which a real one can't.
type memory struct {
	side gate.Side

	mu       sync.Mutex
	readOnly bool
	locked   bool // new connections are refused
	down     bool
	busy     bool
	route    *[3]any // writer, epoch, attempt
	bus      string  // in the route row
	ops      map[string]int
	era      int // sessions of an earlier one were killed
	locks    map[string]*memConn
	changed  chan struct{}

	fault   func(what string) fault // nil: none
	refuses func(op string) error   // of an INSERT; nil: none
	noRoute error                   // why the route row can't be read
	refused atomic.Int64            // connections
}

// fault is what goes wrong.
type fault int

const (
	fine      fault = iota
	cut             // the connection is lost before the server gets it
	swallowed       // the server does it, and the connection is lost
	late            // the connection is lost, and a moment later the server does it
)

func newMemory(side gate.Side, readOnly bool) *memory {
	return &memory{side: side, readOnly: readOnly, bus: "fake://1", ops: map[string]int{}, locks: map[string]*memConn{}, changed: make(chan struct{})}
}

// serverError is what a server says, with its number where the driver has it.
type serverError struct {
	Number uint16
	text   string
}

func (e *serverError) Error() string { return fmt.Sprintf("Error %d: %s", e.Number, e.text) }

var errReadOnly = &serverError{1290, "The server is running with the --read-only option so it cannot execute this statement"}

// errInvalid is a connection's end as go-sql-driver tells it: without a type that could be recognised.
var errInvalid = errors.New("invalid connection")

func (m *memory) set(change func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	change()
}

func (m *memory) Connect(context.Context) (driver.Conn, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.down || m.locked || m.busy {
		m.refused.Add(1)
	}
	switch {
	case m.down:
		return nil, &netError{}
	case m.locked:
		return nil, &serverError{3118, "Access denied. Account is locked."}
	case m.busy:
		return nil, &serverError{1040, "Too many connections"}
	}
	return &memConn{m: m, era: m.era}, nil
}

func (m *memory) Driver() driver.Driver { return nil }

type netError struct{}

func (*netError) Error() string   { return "connection refused" }
func (*netError) Timeout() bool   { return false }
func (*netError) Temporary() bool { return false }

type memConn struct {
	m       *memory
	era     int
	dead    bool
	inTx    bool
	pending []string
}

func (c *memConn) IsValid() bool { return !c.dead }
func (c *memConn) Close() error  { c.m.mu.Lock(); defer c.m.mu.Unlock(); c.die(); return nil }

// ResetSession sees what has happened to the connection in the pool, as go-sql-driver does.
func (c *memConn) ResetSession(context.Context) error {
	c.m.mu.Lock()
	defer c.m.mu.Unlock()
	if c.era != c.m.era {
		c.die()
		return driver.ErrBadConn
	}
	return nil
}

// die ends the session; what it has not committed is gone.
func (c *memConn) die() { c.dead = true; c.undo() }

func (c *memConn) undo() {
	c.inTx, c.pending = false, nil
	for op, by := range c.m.locks {
		if by == c {
			delete(c.m.locks, op)
		}
	}
	close(c.m.changed)
	c.m.changed = make(chan struct{})
}

func (c *memConn) Prepare(string) (driver.Stmt, error) { return nil, errors.New("not here") }

func (c *memConn) Begin() (driver.Tx, error) {
	return c.BeginTx(context.Background(), driver.TxOptions{})
}

func (c *memConn) BeginTx(context.Context, driver.TxOptions) (driver.Tx, error) {
	c.m.mu.Lock()
	defer c.m.mu.Unlock()
	if err := c.strike("begin"); err != nil {
		return nil, err
	}
	c.inTx = true
	return c, nil
}

// strike lets the connection be lost before the server has done anything.
func (c *memConn) strike(what string) error {
	if c.dead {
		return driver.ErrBadConn
	}
	if c.m.down || c.era != c.m.era || c.m.fault != nil && c.m.fault(what) != fine {
		c.die()
		return errInvalid
	}
	return nil
}

func (c *memConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	c.m.mu.Lock()
	defer c.m.mu.Unlock()
	if err := c.strike("statement"); err != nil {
		return nil, err
	}
	if !strings.HasPrefix(query, "INSERT") {
		return nil, &serverError{1064, "syntax"}
	}
	err := c.insert(ctx, args[0].Value.(string))
	if c.inTx || c.dead {
		return driver.RowsAffected(1), err
	}
	if err != nil {
		c.undo() // a statement alone leaves no locks
		return nil, err
	}
	return driver.RowsAffected(1), c.commit("commit")
}

func (c *memConn) insert(ctx context.Context, op string) error {
	if c.m.refuses != nil {
		if err := c.m.refuses(op); err != nil {
			return err
		}
	}
	if err := c.lock(ctx, op); err != nil {
		return err
	}
	if c.m.readOnly {
		return errReadOnly
	}
	if c.m.ops[op] > 0 && strings.HasPrefix(op, "unique") {
		return &serverError{1062, "Duplicate entry"}
	}
	c.pending = append(c.pending, op)
	return nil
}

// lock waits for the operation's row; m is locked.
func (c *memConn) lock(ctx context.Context, op string) error {
	for c.m.locks[op] != nil && c.m.locks[op] != c {
		changed := c.m.changed
		c.m.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
		}
		c.m.mu.Lock()
		if ctx.Err() != nil {
			c.die()
			return ctx.Err()
		}
	}
	c.m.locks[op] = c
	return nil
}

func (c *memConn) commit(what string) error {
	f := fine
	if c.m.fault != nil {
		f = c.m.fault(what)
	}
	if c.m.down || c.era != c.m.era {
		f = cut
	}
	switch f {
	case cut:
		c.die()
		return errInvalid
	case late:
		// The client is gone; the session still holds its locks, and commits later.
		other := &memConn{m: c.m, era: c.era, pending: c.pending}
		for op, by := range c.m.locks {
			if by == c {
				c.m.locks[op] = other
			}
		}
		c.pending = nil
		c.dead = true
		time.AfterFunc(20*time.Millisecond, func() {
			c.m.mu.Lock()
			defer c.m.mu.Unlock()
			_ = other.finish()
		})
		return errInvalid
	}
	err := c.finish()
	if f == swallowed {
		c.die()
		return errInvalid
	}
	return err
}

// finish is the server's COMMIT.
func (c *memConn) finish() error {
	defer c.undo()
	if c.era != c.m.era {
		return errInvalid
	}
	if len(c.pending) > 0 && c.m.readOnly {
		return errReadOnly
	}
	for _, op := range c.pending {
		c.m.ops[op]++
	}
	return nil
}

func (c *memConn) Commit() error {
	c.m.mu.Lock()
	defer c.m.mu.Unlock()
	if c.dead {
		return errInvalid
	}
	return c.commit("commit")
}

func (c *memConn) Rollback() error {
	c.m.mu.Lock()
	defer c.m.mu.Unlock()
	if c.dead {
		return errInvalid
	}
	c.undo()
	return nil
}

func (c *memConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	c.m.mu.Lock()
	defer c.m.mu.Unlock()
	if err := c.strike("query"); err != nil {
		return nil, err
	}
	switch {
	case strings.Contains(query, "`route`"):
		if c.m.noRoute != nil {
			return nil, c.m.noRoute
		}
		if c.m.route == nil {
			return nil, &serverError{1146, "no such table"}
		}
		r := c.m.route
		return &memRows{columns: 6, rows: [][]driver.Value{{"m", string(c.m.side), fmt.Sprint(r[0]), r[1], r[2], c.m.bus}}}, nil
	case strings.HasPrefix(query, "SHOW GLOBAL VARIABLES"):
		on := "OFF"
		if c.m.readOnly {
			on = "ON"
		}
		return &memRows{columns: 2, rows: [][]driver.Value{{"read_only", on}}}, nil
	case strings.HasPrefix(query, "SELECT 1 FROM `ops`"):
		op := args[0].Value.(string)
		if err := c.lock(ctx, op); err != nil {
			return nil, err
		}
		r := &memRows{columns: 1}
		if c.m.ops[op] > 0 {
			r.rows = [][]driver.Value{{int64(1)}}
		}
		return r, nil
	}
	return &memRows{columns: 1, rows: [][]driver.Value{{int64(1)}}}, nil
}

type memRows struct {
	columns int
	rows    [][]driver.Value
}

func (r *memRows) Columns() []string { return make([]string, r.columns) }
func (r *memRows) Close() error      { return nil }
func (r *memRows) Next(dest []driver.Value) error {
	if len(r.rows) == 0 {
		return io.EOF
	}
	copy(dest, r.rows[0])
	r.rows = r.rows[1:]
	return nil
}

// lossy is a bus whose orders may be lost, doubled, late and so out of order; it loses links too.
type lossy struct {
	*fakeBus
	lose, double float64
	late         time.Duration
	group        sync.WaitGroup
}

func (b *lossy) order(o gate.Order) {
	for copies := 1; copies > 0; copies-- {
		if rand.Float64() < b.lose {
			continue
		}
		if rand.Float64() < b.double {
			copies += 2
		}
		b.group.Go(func() {
			time.Sleep(rand.N(b.late)) // a message's way, not a wait for something
			b.fakeBus.order(o)
		})
	}
}
