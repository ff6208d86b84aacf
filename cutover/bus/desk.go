package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"changeover/cutover/gate"
	"changeover/internal/fault"
)

// settled is how long a desk has to have listened before it knows everybody. Each gate says something every
// second; but when the bus was away, or has moved with its coordinator, gates dial every two seconds.
const settled = 2500 * time.Millisecond

// Desk is the coordinator's end of the bus. It knows the gates that are there, and gives orders.
// Its methods may be called from several goroutines; one hold at a time stands.
//
// When the server goes away the desk connects again by itself, to the same address or another of
// its cluster, and what is said meanwhile is lost, not kept: a late order is worse than none.
type Desk struct {
	migration string
	options   Options
	conn      *nats.Conn
	line      *dialer

	mu      sync.Mutex
	roster  roster
	holding *Holding      // the latest, also after its end: its gates still report
	changed chan struct{} // closed and made anew with each word that says something

	ctx   context.Context // ends with Close
	close context.CancelFunc
	over  sync.WaitGroup // its goroutine, and those of its holdings
}

// Open connects the coordinator to the bus at address. ctx bounds the connecting only. It is an
// error if the server refuses; if none can be reached the desk is there all the same and goes on
// trying, because a migration streams without a bus, and preflight says what is missing.
func Open(ctx context.Context, address, migration string, o Options) (*Desk, error) {
	if err := checkMigration(migration); err != nil {
		return nil, err
	}
	line := &dialer{}
	conn, err := reach(ctx, line, address, o.log().With("migration", migration, "bus", Public(address)), o)
	if err != nil {
		return nil, err
	}
	answers, err := conn.SubscribeSync(answerSubject(migration))
	if err == nil && conn.IsConnected() {
		err = settle(ctx, conn)
	}
	if err != nil {
		conn.Close()
		return nil, fault.New(fault.BusConnect, "listen to gates on the bus at %s: %w", Public(address), err)
	}
	d := &Desk{migration: migration, options: o, conn: conn, line: line, roster: roster{}, changed: make(chan struct{})}
	d.ctx, d.close = context.WithCancel(context.Background())
	d.over.Go(func() { d.listen(answers) })
	d.order(gate.Order{Kind: gate.Ask})
	return d, nil
}

// reach connects for good: what is lost is connected again.
func reach(ctx context.Context, line *dialer, address string, log *slog.Logger, o Options) (*nats.Conn, error) {
	options := []nats.Option{nats.MaxReconnects(-1), nats.ReconnectWait(50 * time.Millisecond),
		nats.ReconnectJitter(50*time.Millisecond, 50*time.Millisecond), nats.ReconnectBufSize(-1), nats.IgnoreAuthErrorAbort(),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil {
				log.Warn("the bus is lost", "error", err)
			}
		}),
		nats.ReconnectHandler(func(*nats.Conn) { log.Info("the bus is there again") })}
	conn, err := connect(ctx, line, address, o, options...)
	if err == nil || ctx.Err() != nil || !nobodyThere(err) {
		return conn, err
	}
	log.Warn("the bus can't be reached yet", "error", err)
	return connect(ctx, line, address, o, append(options, nats.RetryOnFailedConnect(true))...)
}

// nobodyThere tells a network's error from a refusal, which does not mend itself.
func nobodyThere(err error) bool {
	var network net.Error
	return errors.Is(err, nats.ErrNoServers) || errors.Is(err, io.EOF) || errors.As(err, &network)
}

// Close ends the desk and what its holdings still repeat. A hold that stands then lapses.
func (d *Desk) Close() {
	d.close()
	d.conn.Close()
	d.over.Wait()
}

// Connected tells whether the bus can be reached now.
func (d *Desk) Connected() bool { return d.conn.IsConnected() }

// Gates are those that are there now, by name.
func (d *Desk) Gates() []Presence {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := time.Now()
	var there []Presence
	for _, who := range d.roster.present(now) {
		there = append(there, d.roster[who].Presence)
	}
	return there
}

// Fresh asks every gate for its state, and waits until all that are known have answered, but not
// longer than within; then *Absent names the others. It is an error too while there may be gates that are
// not known: for 2.5 s after the bus was reached, for the first time or again.
func (d *Desk) Fresh(ctx context.Context, within time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	asked := time.Now()
	d.order(gate.Order{Kind: gate.Ask})
	repeat := time.NewTicker(max(within/4, 10*time.Millisecond))
	defer repeat.Stop()
	var behind member
	for {
		all, changed := d.answered(asked, &behind)
		var everybody <-chan time.Time
		if rest := d.unsettled(); rest > 0 {
			everybody = time.After(rest)
		} else if all && d.Connected() {
			return nil
		}
		select {
		case <-changed:
		case <-everybody:
		case <-repeat.C: // the question may have been lost, or the answer
			d.tell(gate.Order{Kind: gate.Ask}, d.silentSince(asked))
		case <-d.ctx.Done():
			return ErrClosed
		case <-ctx.Done():
			return d.absent(ctx, asked)
		}
	}
}

// unsettled is for how long there still may be gates that are not known.
func (d *Desk) unsettled() time.Duration { return time.Until(d.line.since().Add(settled)) }

func (d *Desk) absent(ctx context.Context, asked time.Time) error {
	silent := d.silentSince(asked)
	rest := d.unsettled()
	switch {
	case len(silent) > 0:
		return &Absent{Silent: silent}
	case !d.Connected():
		return fault.New(fault.BusConnect, "the connection to the bus is lost")
	case rest > 0:
		return fmt.Errorf("the bus has been there for %v, and gates may take %v to find it", (settled - rest).Round(time.Millisecond), settled)
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return nil
	default:
		return ctx.Err()
	}
}

// answered tells whether all gates that are there have said something since. behind remembers one
// that has not, so that of a thousand answers not each makes all gates be looked at.
func (d *Desk) answered(since time.Time, behind *member) (bool, <-chan struct{}) {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := time.Now()
	if known, ok := d.roster[*behind]; ok && known.there(now) && known.At.Before(since) {
		return false, d.changed
	}
	for who, known := range d.roster {
		if known.there(now) && known.At.Before(since) {
			*behind = who
			return false, d.changed
		}
	}
	return true, d.changed
}

// silentSince are the gates that are there and have not said anything since.
func (d *Desk) silentSince(since time.Time) []string {
	var silent []string
	for _, p := range d.Gates() {
		if p.At.Before(since) {
			silent = append(silent, p.Gate)
		}
	}
	return silent
}

// tell sends o to the gates of these names. More than a few are told in one message to all: each
// message goes to everybody anyway.
func (d *Desk) tell(o gate.Order, names []string) {
	const few = 8
	if len(names) > few {
		d.order(o)
		return
	}
	for _, name := range names {
		o.To = name
		d.order(o)
	}
}

// order sends o, at most once.
func (d *Desk) order(o gate.Order) {
	o.Migration = d.migration
	text, err := json.Marshal(o)
	if err == nil {
		err = d.conn.Publish(orderSubject(d.migration), text)
	}
	if err != nil && d.ctx.Err() == nil {
		d.options.log().Debug("an order was not sent", "migration", d.migration, "kind", string(o.Kind), "error", err)
	}
}

// listen takes in what gates say, until the desk is closed.
func (d *Desk) listen(answers *nats.Subscription) {
	for {
		message, err := answers.NextMsgWithContext(d.ctx)
		switch {
		case errors.Is(err, nats.ErrSlowConsumer):
			continue // some words were dropped; gates repeat them
		case err != nil:
			return
		}
		var w word
		if err := json.Unmarshal(message.Data, &w); err != nil || w.Migration != d.migration {
			d.options.log().Debug("an answer that makes no sense", "migration", d.migration, "error", err)
			continue
		}
		d.hear(w)
	}
}

func (d *Desk) hear(w word) {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := time.Now()
	who, news := d.roster.hear(w, now)
	if news == stale {
		return
	}
	if news == joined {
		d.roster.forget(now)
	}
	if d.holding != nil {
		d.holding.hear(who, w.Answer, news)
	}
	close(d.changed)
	d.changed = make(chan struct{})
}
