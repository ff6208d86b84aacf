package bus

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"changeover/cutover/gate"
)

const (
	orderBacklog = 256 // orders that a gate has not taken yet; then the oldest are dropped
	// What has arrived and was not looked at yet, in messages and bytes: beyond it NATS drops the newest, so it is
	// far more than comes while a machine is too busy to look.
	arrivals, arrivalBytes = 1 << 16, 16 << 20
	answerBacklog          = 64 // words that are not sent yet; then the oldest are dropped
	goodbyeLimit           = 500 * time.Millisecond
)

var errClosed = errors.New("the link to the bus is closed")

// link is one connection of one gate. Two goroutines are its own: hear ends with the connection and
// closes what Hear gives out; speak ends with Close, or with hear, and closes the connection.
type link struct {
	client    *client
	conn      *nats.Conn
	migration string
	number    uint64

	orders chan gate.Order
	words  chan word

	mu   sync.Mutex // orders the words in the backlog as they are numbered
	last gate.Answer

	leave   context.CancelFunc // asks speak to say goodbye
	leaving context.Context
	lost    context.Context // ends with the connection
	over    sync.WaitGroup
}

func (c *client) open(conn *nats.Conn, orders *nats.Subscription, migration string) *link {
	l := &link{client: c, conn: conn, migration: migration, number: c.links.Add(1),
		orders: make(chan gate.Order, orderBacklog), words: make(chan word, answerBacklog)}
	l.leaving, l.leave = context.WithCancel(context.Background())
	lost, lose := context.WithCancel(context.Background())
	l.lost = lost
	l.over.Go(func() { defer lose(); l.hear(orders) })
	l.over.Go(l.speak)
	return l
}

// Hear gives the migration's orders; it is closed when the link is lost, or closed.
func (l *link) Hear() <-chan gate.Order { return l.orders }

// Say sends a. It never waits: what can't be sent now is dropped, the oldest first, because the
// newest state is the one that counts.
func (l *link) Say(a gate.Answer) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.leaving.Err() != nil || l.lost.Err() != nil {
		return errClosed
	}
	l.last = a
	l.put(word{Answer: a})
	return nil
}

func (l *link) put(w word) {
	w.Life, w.Link, w.Said = l.client.life, l.number, l.client.said.Add(1)
	for {
		select {
		case l.words <- w:
			return
		default:
		}
		select {
		case <-l.words:
		default:
		}
	}
}

// Close says goodbye for the gate that spoke here, so that nobody waits for its answers, and ends
// the connection. It takes half a second at most.
func (l *link) Close() error {
	l.mu.Lock()
	if l.leaving.Err() == nil {
		if l.last.Gate != "" {
			l.put(word{Answer: l.last, Gone: true})
		}
		l.leave()
	}
	l.mu.Unlock()
	l.over.Wait()
	return nil
}

// Drop ends the link as a dead network does, without a goodbye. Package bustest calls it.
func (l *link) Drop() { l.conn.Close() }

// hear hands orders on until the connection ends.
func (l *link) hear(orders *nats.Subscription) {
	defer close(l.orders)
	for {
		message, err := orders.NextMsgWithContext(context.Background())
		switch {
		case errors.Is(err, nats.ErrSlowConsumer):
			continue // some were dropped; they come again
		case err != nil:
			return
		}
		var order gate.Order
		if err := json.Unmarshal(message.Data, &order); err != nil || order.Migration != l.migration {
			l.client.options.log().Debug("an order that makes no sense", "migration", l.migration, "error", err)
			continue
		}
		if l.meant(order) {
			l.hand(order)
		}
	}
}

// meant is whether order is for this gate. As long as the gate has not said its name, it is for it
// to judge.
func (l *link) meant(order gate.Order) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return order.To == "" || l.last.Gate == "" || order.To == l.last.Gate
}

// hand never waits for the gate: of more orders than it takes, the oldest are stale.
func (l *link) hand(order gate.Order) {
	for {
		select {
		case l.orders <- order:
			return
		default:
		}
		select {
		case <-l.orders:
		default:
		}
	}
}

// speak sends what is said, until the link is lost or closed.
func (l *link) speak() {
	defer l.conn.Close()
	for {
		select {
		case w := <-l.words:
			l.send(w)
		case <-l.lost.Done():
			return
		case <-l.leaving.Done():
			l.finish()
			return
		}
	}
}

// finish sends what is left in the backlog, the goodbye last.
func (l *link) finish() {
	for len(l.words) > 0 {
		l.send(<-l.words)
	}
	if err := l.conn.FlushTimeout(goodbyeLimit); err != nil {
		l.client.options.log().Debug("the goodbye may be lost", "error", err)
	}
}

func (l *link) send(w word) {
	text, err := w.encode()
	if err == nil {
		err = l.conn.Publish(answerSubject(l.migration), text)
	}
	if err != nil {
		l.client.options.log().Debug("an answer was not sent", "gate", w.Gate, "error", err)
	}
}
