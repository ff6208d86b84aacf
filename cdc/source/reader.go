package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/google/uuid"
	"github.com/rs/zerolog"

	"changeover/internal/fault"
	"changeover/internal/server"
)

// ReaderConfig is what a Reader reads, and how much of it may wait.
type ReaderConfig struct {
	Endpoint server.Endpoint
	Flavor   server.Flavor
	// Start is where to go on: the first transaction handed out is the one after it. A copy is
	// taken.
	Start Position
	// Queue is how many bytes of transactions may wait for Next; 0 means 32 MiB.
	Queue int64
	// LargeTx is how many bytes a transaction may hold before it is handed over as Large, while it
	// is still being read; 0 means 16 MiB.
	LargeTx int64
	// ServerID is ours among the source's replicas; 0 means a random high one.
	ServerID uint32
	// Decode tells the tables whose rows are wanted; nil means all. It is called by Run, once for
	// each statement and table. Rows of other tables are counted, not decoded.
	Decode func(schema, table string) bool
	// Ours tells by a row event that its transaction is Changeover's own: then no rows of the transaction
	// are handed out. It is asked of each wanted event; what it knows must be the transaction's first,
	// since rows before it may be handed out already. nil: none is.
	Ours func(*Rows) bool
	// Lenient is for one who only looks: what can't be carried faithfully does not end the reading. Of an
	// XA transaction the rows are handed out when it is prepared, a change that is logged as text is a
	// Statement, what a row image leaves out is NULL.
	Lenient bool
	// Heartbeat is how often the source gives a sign of life while it is idle; after four without
	// one the connection counts as dead. 0 means 5 s.
	Heartbeat time.Duration
	Log       zerolog.Logger
}

func (c *ReaderConfig) setDefaults() {
	if c.Queue == 0 {
		c.Queue = 32 << 20
	}
	if c.LargeTx == 0 {
		c.LargeTx = 16 << 20
	}
	if c.Heartbeat == 0 {
		c.Heartbeat = 5 * time.Second
	}
	c.Start = c.Start.Clone()
}

// Stats is what a Reader has done and where it is.
type Stats struct {
	Connected    bool
	Source       server.Identity // of the last connect
	Log          LogPosition     // the end of the last event read
	Bytes        int64           // received from the binlog
	Queued       int64           // bytes that wait for Next
	Transactions int64           // put into the queue, whole
	RowEvents    int64           // read, wanted or not
	Skipped      int64           // of them, those of tables that are not wanted
	Reconnects   int64
	LastEvent    time.Time // when the source last gave a sign of life
	LastCommit   time.Time // when the source committed the last transaction that is in the queue
	LastError    string    // why the connection broke last
}

// Reader reads the source's transactions: Run reads, Next takes them. One goroutine runs Run, one
// calls Next; Stats may be called by any.
type Reader struct {
	cfg     ReaderConfig
	queue   *queue
	replica uuid.UUID

	// Of Run's goroutine only.
	handed Position   // all that is in the queue or was taken from it, whole
	before *identity  // who answered last
	fails  failures   // since the stream last went on
	large  *largeRows // of Next's goroutine: the large transaction that is handed out now

	received, rowEvents, skipped atomic.Int64

	mu    sync.Mutex
	stats Stats
}

// NewReader makes a Reader; Run starts it.
func NewReader(cfg ReaderConfig) *Reader {
	cfg.setDefaults()
	return &Reader{cfg: cfg, queue: newQueue(cfg.Queue), replica: uuid.New(), handed: cfg.Start.Clone()}
}

// Run reads until ctx ends, and returns its cause, or until a fault that a person must mend, and
// returns that. A broken connection is neither: Run connects again, for as long as it takes. It may
// be called once.
func (r *Reader) Run(ctx context.Context) (err error) {
	defer func() { r.queue.close(err) }()
	if r.cfg.Start.IsZero() {
		return errors.New("read the binlog: no position to start from")
	}
	pause := backoff.NewExponentialBackOff()
	pause.InitialInterval, pause.MaxInterval = 100*time.Millisecond, 5*time.Second
	for {
		progress, err := r.session(ctx)
		err = classify(err)
		r.disconnected(err)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if progress {
			pause.Reset()
			r.fails = failures{}
		}
		if err := r.fails.judge(err, r.before != nil); err != nil {
			return err
		}
		wait := pause.NextBackOff()
		r.cfg.Log.Warn().Err(err).Str("source", r.cfg.Endpoint.Addr()).Stringer("position", r.handed).
			Dur("retry_in", wait).Msg("source connection lost; connecting again")
		if err := sleep(ctx, wait); err != nil {
			return err
		}
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return nil
	}
}

// session is one connection from its beginning to its end. progress: a transaction was put into
// the queue.
func (r *Reader) session(ctx context.Context) (progress bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	d, err := r.connect(ctx)
	if err != nil {
		return false, err
	}
	defer d.close()
	context.AfterFunc(ctx, d.close) // ends a read that waits
	a := r.newAssembler()
	defer a.decode.close()
	before := r.Stats().Transactions
	err = r.read(ctx, d, a)
	if abandoned := a.abandon(ctx); abandoned != nil {
		err = errors.Join(err, abandoned)
	}
	return r.Stats().Transactions > before, err
}

func (r *Reader) newAssembler() *assembler {
	a := &assembler{
		flavor: r.cfg.Flavor, gtid: r.handed.IsGTID(), largeTx: r.cfg.LargeTx,
		decode: newDecoder(r.cfg.Flavor, r.cfg.Decode),
		ours:   r.cfg.Ours, lenient: r.cfg.Lenient, put: r.queue.put, done: r.handedOver, count: r.countRows,
		file: r.before.from.file, pos: r.before.from.offset,
	}
	a.decode.here, a.decode.lenient = a.here, r.cfg.Lenient
	return a
}

func (r *Reader) read(ctx context.Context, d *dump, a *assembler) error {
	for {
		e, err := d.next()
		if err != nil {
			return err
		}
		if err := a.handle(ctx, e); err != nil {
			return err
		}
		r.seen(a)
	}
}

// seen notes an event for Stats.
func (r *Reader) seen(a *assembler) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stats.Log = LogPosition{a.file, uint32(a.pos)}
	r.stats.LastEvent = time.Now()
}

func (r *Reader) countRows(wanted bool) {
	r.rowEvents.Add(1)
	if !wanted {
		r.skipped.Add(1)
	}
}

// handedOver notes a transaction that is in the queue, whole: it is not read again.
func (r *Reader) handedOver(tx *Tx) {
	r.handed.Advance(tx)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stats.Transactions++
	r.stats.LastCommit = tx.Committed
}

func (r *Reader) connected(id server.Identity) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.before != nil {
		r.stats.Reconnects++
	}
	r.stats.Connected, r.stats.Source, r.stats.LastEvent = true, id, time.Now()
}

func (r *Reader) disconnected(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stats.Connected = false
	if err != nil {
		r.stats.LastError = err.Error()
	}
}

// Stats is a copy of what is known now.
func (r *Reader) Stats() Stats {
	queued := r.queue.held()
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.stats
	s.Bytes, s.RowEvents, s.Skipped, s.Queued = r.received.Load(), r.rowEvents.Load(), r.skipped.Load(), queued
	return s
}

// Next is the next transaction in commit order; every one of the source, also those without
// changes. It waits until there is one, or ctx ends. When Run has ended, Next hands out what is in
// the queue, then returns what Run returned. After a Large one it is called only when More has
// ended.
func (r *Reader) Next(ctx context.Context) (*Tx, error) {
	if r.large != nil && r.large.end == nil {
		return nil, errLargeOpen
	}
	r.large = nil
	it, err := r.queue.take(ctx)
	if err != nil {
		return nil, err
	}
	if it.tx.Large {
		r.large = &largeRows{queue: r.queue, tx: it.tx}
		it.tx.More = r.large.more
	}
	return it.tx, nil
}

// Ready tells whether Next would not wait.
func (r *Reader) Ready() bool { return r.queue.held() > 0 }

// largeRows hands out the rows of one large transaction.
type largeRows struct {
	queue *queue
	tx    *Tx
	end   error
}

func (l *largeRows) more(ctx context.Context) ([]Rows, error) {
	if l.end != nil {
		return nil, l.end
	}
	it, err := l.queue.take(ctx)
	if err != nil {
		return nil, err
	}
	if it.end == io.EOF {
		l.tx.ID = it.id
	}
	l.end = it.end
	return it.rows, it.end
}

// failures judges whether to try again.
type failures struct{ denied, stuck int }

// How often in a row the same trouble is taken for a passing one.
const (
	maxDenied = 5 // after the first connect: a password may be in the middle of a change
	maxStuck  = 3 // the stream breaks at the same place, and not for the network's sake
)

// judge returns the fault that ends the reading; nil: err may pass.
func (f *failures) judge(err error, connectedBefore bool) error {
	if _, ok := fault.CodeOf(err); !ok {
		if isNetwork(err) {
			return nil
		}
		if f.stuck++; f.stuck < maxStuck {
			return nil
		}
		return fault.New(fault.StreamEvent, "the stream breaks at the same place each time: %w", err)
	}
	if fault.Is(err, fault.Access) && connectedBefore {
		if f.denied++; f.denied < maxDenied {
			return nil
		}
	}
	return err
}

// randomServerID is one that people don't give to their servers.
func randomServerID() uint32 { return 1<<31 + rand.Uint32N(1<<31-2) }

var errNoAddress = errors.New("the host has no address")

func wrapConnect(e server.Endpoint, err error) error {
	if _, ok := fault.CodeOf(err); ok {
		return err // it says where by itself
	}
	return fmt.Errorf("connect to the source %s: %w", e, err)
}
