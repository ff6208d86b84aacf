package store

import (
	"context"
	"database/sql"
)

// Gate decides where transactions go, and when. A write transaction enters it once, never nested,
// and leaves it when it has ended; while writes are held Enter waits.
type Gate interface {
	// Enter lets one write transaction in. It fails only when ctx ends.
	Enter(ctx context.Context) (Pass, error)
	// Reader is the pool for what only reads.
	Reader() *sql.DB
	// Route says which server is the writer.
	Route() Route
}

// Pass is one write transaction's stay inside the gate.
type Pass struct {
	DB    *sql.DB
	Epoch uint64
	Leave func() // to be called once, after COMMIT or ROLLBACK
}

// Route is what the gate knows of the writer.
type Route struct {
	Server string // host:port
	Epoch  uint64
	Held   int // write transactions that wait
}

// single is the gate of a platform that has one server: always open.
type single struct {
	db     *sql.DB
	server string
}

// Single is a gate that is always open, to one pool.
func Single(db *sql.DB, server string) Gate { return single{db, server} }

func (g single) Enter(ctx context.Context) (Pass, error) {
	return Pass{DB: g.db, Leave: func() {}}, ctx.Err()
}

func (g single) Reader() *sql.DB { return g.db }

func (g single) Route() Route { return Route{Server: g.server} }
