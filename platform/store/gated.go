package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"

	"changeover/cutover/gate"
)

// gated is the gate of a platform that is moved from one server to another under its users.
type gated struct{ g *gate.Gate }

// Gated is the platform's seam to Changeover: write transactions pass through g, and what their
// server answered is told to g. It closes nothing.
func Gated(g *gate.Gate) Gate { return gated{g} }

func (g gated) Enter(ctx context.Context) (Pass, error) {
	if what, ok := ctx.Value(operationKey{}).(func() string); ok {
		ctx = gate.Named(ctx, what) // else all writes would have the name of this function
	}
	in, err := g.g.Enter(ctx)
	if err != nil {
		if errors.Is(err, gate.ErrQueueFull) || errors.Is(err, gate.ErrClosed) {
			err = fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
		return Pass{}, err
	}
	return Pass{DB: in.DB, Epoch: in.Epoch, Context: in.Context, Leave: func(err error) {
		if err == nil {
			in.Leave()
			return
		}
		// First out, then told: the gate asks the server what it means, and a drain needn't wait for that.
		in.Abandon()
		switch classify(err) {
		case elsewhere:
			g.g.Refused(ctx, err, in.Epoch)
		case lost:
			// The gate knows no driver's own error of a connection, but database/sql's.
			g.g.Refused(ctx, errors.Join(err, driver.ErrBadConn), in.Epoch)
		}
	}}, nil
}

func (g gated) Reader() *sql.DB { return g.g.Reader() }

func (g gated) Route() Route {
	r := g.g.Route()
	return Route{Side: string(r.Side), Server: r.Address, Epoch: r.Epoch, Held: r.Held, Waiting: r.Waiting, Inside: r.Inside}
}

func (g gated) Reach(ctx context.Context, epoch uint64) error { return g.g.Reach(ctx, epoch) }
