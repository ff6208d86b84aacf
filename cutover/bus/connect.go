package bus

import (
	"context"
	"net"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"changeover/internal/fault"
)

// A dead network shows as silence only. Two pings without an answer end a connection, so a gate
// reads the route rows at most three seconds after it was cut off.
const (
	pingEvery    = time.Second
	pingsMissing = 2
	connectLimit = 2 * time.Second
	writeLimit   = time.Second // a peer that takes nothing is a lost one
)

// connect opens one connection by d. Once it is there ctx no longer matters to it.
func connect(ctx context.Context, d *dialer, address string, o Options, more ...nats.Option) (*nats.Conn, error) {
	options, err := o.credentials(address)
	if err != nil {
		return nil, err
	}
	limit := connectLimit
	if deadline, ok := ctx.Deadline(); ok {
		limit = min(limit, time.Until(deadline))
	}
	d.bind(ctx)
	defer d.bind(context.Background())
	options = append(options, nats.Timeout(limit), nats.SetCustomDialer(d), nats.PingInterval(pingEvery),
		nats.MaxPingsOutstanding(pingsMissing), nats.FlusherTimeout(writeLimit), nats.Name("changeover"),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { // without it NATS writes to stderr
			o.log().Debug("the bus has a difficulty", "bus", Public(address), "error", err)
		}))
	conn, err := nats.Connect(address, append(options, more...)...)
	if err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return nil, fault.New(fault.BusConnect, "connect to the bus at %s: %w", Public(address), err)
	}
	return conn, nil
}

// settle waits until the server has taken in all that was sent so far, subscriptions included.
func settle(ctx context.Context, conn *nats.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, connectLimit)
	defer cancel()
	return conn.FlushWithContext(ctx)
}

// dialer makes NATS, whose Connect knows no context, give up with one: while it is bound to ctx, ctx's
// end closes what was dialled, in the middle of a handshake too. It knows when the network was there again.
type dialer struct {
	mu    sync.Mutex
	ctx   context.Context
	stops []func() bool
	last  time.Time // when the present connection was made, or one that is lost
}

// Dial is what NATS calls, also when it connects again by itself later.
func (d *dialer) Dial(network, address string) (net.Conn, error) {
	d.mu.Lock()
	ctx := d.ctx
	d.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, connectLimit)
	defer cancel()
	var plain net.Dialer
	conn, err := plain.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.last = time.Now()
	d.stops = append(d.stops, context.AfterFunc(d.ctx, func() { _ = conn.Close() }))
	return conn, nil
}

func (d *dialer) bind(ctx context.Context) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, stop := range d.stops {
		stop()
	}
	d.ctx, d.stops = ctx, nil
}

// since is when the connection was made, or the last one that is lost; zero: there was none.
func (d *dialer) since() time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.last
}
