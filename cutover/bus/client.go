package bus

import (
	"context"
	"crypto/rand"
	"sync/atomic"

	"github.com/nats-io/nats.go"

	"changeover/cutover/gate"
	"changeover/internal/fault"
)

// New is the bus for an application's gates. One value serves a whole process and all that it ever
// dials: it is what orders the words of a gate that has lost a link and dialled another.
func New(o Options) gate.Bus {
	return &client{options: o, life: rand.Text()}
}

type client struct {
	options Options
	life    string
	links   atomic.Uint64
	said    atomic.Uint64
}

// Dial connects to the bus at address. The link never connects again by itself: when it is lost the
// bus may have moved, and the route row says where to.
func (c *client) Dial(ctx context.Context, address, migration string) (gate.Link, error) {
	if err := checkMigration(migration); err != nil {
		return nil, err
	}
	conn, err := connect(ctx, &dialer{}, address, c.options, nats.NoReconnect())
	if err != nil {
		return nil, err
	}
	orders, err := conn.SubscribeSync(orderSubject(migration))
	if err == nil {
		err = orders.SetPendingLimits(arrivals, arrivalBytes)
	}
	if err == nil {
		err = settle(ctx, conn) // after this no order is missed
	}
	if err != nil {
		conn.Close()
		return nil, fault.New(fault.BusConnect, "listen to orders on the bus at %s: %w", Public(address), err)
	}
	return c.open(conn, orders, migration), nil
}
