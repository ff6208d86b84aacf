package gate

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// pool is the connections to one side.
type pool struct {
	side   Side
	server Server
	db     *sql.DB
	ear    *sql.DB // for the route row, so that no writer's connection is needed to hear of a flip
	made   *counted
	size   int
	warmed atomic.Bool   // the last round found all connections alive
	first  chan struct{} // closed when the first round is over
	again  chan struct{} // a round is wanted now
}

func newPool(side Side, s Server, size int) *pool {
	made := countSessions(s.Connector, size)
	p := &pool{side: side, server: s, size: size, made: made, db: sql.OpenDB(made), ear: sql.OpenDB(made),
		first: make(chan struct{}), again: make(chan struct{}, 1)}
	p.db.SetMaxOpenConns(size)
	p.db.SetMaxIdleConns(size) // else database/sql closes all but two
	p.ear.SetMaxOpenConns(2)
	p.ear.SetMaxIdleConns(2)
	return p
}

func (p *pool) started() { close(p.first) }

func (p *pool) close() error { return errors.Join(p.db.Close(), p.ear.Close()) }

// warm makes all connections and sees that each is alive. It has all of them for a moment, so it is for
// a pool that nobody uses.
func (p *pool) warm(ctx context.Context) error {
	var (
		group sync.WaitGroup
		mu    sync.Mutex
		taken []*sql.Conn
		first error
		turn  = make(chan struct{}, 8) // connections that are made at once
	)
	for range p.size {
		group.Go(func() {
			turn <- struct{}{}
			defer func() { <-turn }()
			mu.Lock()
			failed := first != nil
			mu.Unlock()
			if failed {
				return // one refusal is enough
			}
			c, err := p.db.Conn(ctx)
			if err == nil {
				err = c.PingContext(ctx)
			}
			mu.Lock()
			defer mu.Unlock()
			if c != nil {
				taken = append(taken, c)
			}
			if err != nil && first == nil {
				first = err
			}
		})
	}
	group.Wait()
	for _, c := range taken {
		_ = c.Close()
	}
	p.warmed.Store(first == nil)
	if first != nil {
		return fmt.Errorf("warm the pool of the %s: %w", p.side, first)
	}
	return nil
}

// full tells whether all connections are there, as far as is known without asking.
func (p *pool) full() bool { return p.db.Stats().OpenConnections >= p.size }

// patience bounds one question to a server.
const patience = 2 * time.Second
