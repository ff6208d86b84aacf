package store

import (
	"context"
	"database/sql"
)

// Gate decides where transactions go, and when. A write transaction enters it once, never nested,
// and leaves it when it has ended; while writes are held Enter waits.
type Gate interface {
	// Enter lets one write transaction in. It fails when ctx ends, and with ErrUnavailable if the
	// gate takes no more.
	Enter(ctx context.Context) (Pass, error)
	// Reader is the pool for what only reads: the writer's of the moment. It never waits.
	Reader() *sql.DB
	// Route says which server is the writer.
	Route() Route
	// Reach has the gate catch up with an epoch that somebody else has seen. It fails when ctx ends
	// before it knows of one as high.
	Reach(ctx context.Context, epoch uint64) error
}

// Pass is one write transaction's stay inside the gate.
type Pass struct {
	DB    *sql.DB
	Epoch uint64
	// Context is for the transaction: it ends with the one that entered, and before it if the gate
	// can wait for the transaction no longer. Then it may be tried again, whole.
	Context context.Context
	// Leave is to be called once, after COMMIT or ROLLBACK, with the error that the transaction
	// ended with. The gate learns from it that the server takes no writes, or is gone.
	Leave func(err error)
}

// Route is what the gate knows of the writer.
type Route struct {
	Side    string // "source" or "target" of a migration; empty if there is none
	Server  string // host:port
	Epoch   uint64 // grows by one each time that another server becomes the writer
	Held    bool   // writes wait, because they are held or the writer isn't known
	Waiting int    // so many
	Inside  int    // write transactions under way
}

// single is the gate of a platform that has one server: always open.
type single struct {
	db     *sql.DB
	server string
}

// Single is a gate that is always open, to one pool.
func Single(db *sql.DB, server string) Gate { return single{db, server} }

func (g single) Enter(ctx context.Context) (Pass, error) {
	return Pass{DB: g.db, Context: ctx, Leave: func(error) {}}, ctx.Err()
}

func (g single) Reader() *sql.DB { return g.db }

func (g single) Route() Route { return Route{Server: g.server} }

// Reach does nothing: whoever has seen an epoch has seen it before the migration was forgotten.
func (g single) Reach(context.Context, uint64) error { return nil }
