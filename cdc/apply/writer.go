package apply

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"time"
	"unsafe"

	"github.com/rs/zerolog"

	"changeover/cdc/row"
	"changeover/cdc/schedule"
	"changeover/cdc/state"
	"changeover/internal/fault"
	"changeover/internal/server"
)

// Session is how the connections must be set up that Writers use, for a pool of n. The isolation
// level is set by the Writer, since its variable's name differs between flavors.
func Session(n int) server.Session {
	return server.Session{
		Binary:          true,
		MultiStatements: true,
		Connections:     n,
		Vars: map[string]string{
			"sql_mode":           "'" + server.ApplierMode + "'",
			"foreign_key_checks": "0",
			"unique_checks":      "1",
			"autocommit":         "1",
			// A lock that is held for longer is a reason to say so and to start the batch again.
			"innodb_lock_wait_timeout": "10",
		},
	}
}

// WriterConfig is what a Writer needs.
type WriterConfig struct {
	DB     *sql.DB // to the target, as Session says, with a connection for each Writer and one to spare
	Lease  *state.Lease
	Worker int // this Writer's token row; no two Writers of a migration may share one
	Log    zerolog.Logger
	// Wait is told why the Writer waits, and nil when it goes on. It may be called from another
	// goroutine. It may be nil.
	Wait func(reason error)

	// Statement and Packet are the sizes in bytes at which an INSERT is closed and a packet is
	// sent; 0 means 1 MiB and 4 MiB.
	Statement, Packet int
}

// Writer writes into the target through one connection. It is not for concurrent use.
//
// An error of ctx leaves open whether the last transaction was committed; so does a fault. Such a
// Writer is closed and another made: whoever takes the lease next reads `applied`.
type Writer struct {
	cfg     WriterConfig
	log     zerolog.Logger
	conn    *sql.Conn // nil: lost, or not made yet
	token   state.Token
	limit   int // max_allowed_packet
	mariaDB bool
	merge   *merger
	buf     []byte // of the packets, used again
	waiting bool   // Wait was told a reason
}

// Result says what one Apply did.
type Result struct {
	Changes int           // row changes that came in
	Bytes   int           // of SQL that were sent
	Packets int           // round trips
	Tries   int           // 1 unless something had to be repeated
	Took    time.Duration // repetitions included
}

// NewWriter makes a Writer. Nothing is connected yet.
func NewWriter(cfg WriterConfig) *Writer {
	if cfg.Statement == 0 {
		cfg.Statement = 1 << 20
	}
	if cfg.Packet == 0 {
		cfg.Packet = 4 << 20
	}
	log := cfg.Log.With().Int("worker", cfg.Worker).Logger()
	return &Writer{cfg: cfg, log: log, merge: newMerger()}
}

// Close gives the connection back; an open transaction is rolled back.
func (w *Writer) Close() error {
	w.drop()
	return nil
}

// Apply writes whole source transactions, in their order, in one target transaction, exactly once.
// It returns when they are committed.
//
// It repeats for as long as the trouble is one that passes (deadlock, lost connection, restart,
// full disk) and ctx lasts, and says so through Wait and the log. fault.LeaseLost: another runner
// has taken over, nothing was written. fault.ApplyRow: the target refuses a change, loudly.
func (w *Writer) Apply(ctx context.Context, txs []*schedule.Tx) (Result, error) {
	start := time.Now()
	var r Result
	for _, tx := range txs {
		r.Changes += len(tx.Changes)
	}
	err := w.run(ctx, job{
		attempt: func(ctx context.Context) error {
			r.Tries++
			return w.applyOnce(ctx, txs, &r)
		},
		settled: func(ctx context.Context) (bool, error) { return w.applied(ctx, txs) },
	})
	r.Took = time.Since(start)
	if err != nil && !refusal(err) {
		return r, err
	}
	if err != nil {
		return r, w.locate(ctx, txs, err)
	}
	return r, nil
}

// applyOnce sends the batch: token check, ids, changes and COMMIT, in one packet if it fits.
func (w *Writer) applyOnce(ctx context.Context, txs []*schedule.Tx, r *Result) error {
	p := w.packer(ctx)
	defer func() { w.keep(p.buf); r.Packets += p.packets }()
	if err := w.begin(p, txs); err != nil {
		return err
	}
	for _, tx := range txs {
		if err := w.add(p, tx.Changes); err != nil {
			return err
		}
	}
	if err := w.merge.flush(p); err != nil {
		return err
	}
	p.buf = append(p.buf, "COMMIT"...)
	if err := p.end(); err != nil {
		return err
	}
	r.Bytes += len(p.buf)
	return p.flush()
}

// begin opens the target transaction: lock the token, say what is in it, or at least whose it is.
func (w *Writer) begin(p *packer, txs []*schedule.Tx) error {
	p.buf = append(p.buf, "BEGIN;"...)
	p.buf = state.AppendTokenCheck(p.buf, w.cfg.Lease.Migration(), w.cfg.Worker, w.token)
	p.buf = append(p.buf, ';')
	if len(txs) == 0 {
		p.buf = state.AppendMark(p.buf, w.cfg.Lease.Migration(), w.cfg.Worker)
		return p.end()
	}
	p.buf = append(p.buf, state.AppliedInsert...)
	for i, tx := range txs {
		if i > 0 {
			p.buf = append(p.buf, ',')
		}
		p.buf = state.AppendApplied(p.buf, w.cfg.Lease.Migration(), tx.ID, tx.Seq, w.cfg.Worker)
	}
	return p.end()
}

// add gives changes to the merger. Two definitions of one table in a batch are two groups, one
// after the other in the same transaction.
func (w *Writer) add(p *packer, changes []row.Change) error {
	for i := range changes {
		if changes[i].Cascades {
			if err := w.merge.cascade(p, &changes[i]); err != nil {
				return err
			}
			continue
		}
		ok, err := w.merge.add(&changes[i])
		if err == nil && !ok {
			if err = w.merge.flush(p); err == nil {
				_, err = w.merge.add(&changes[i])
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (w *Writer) packer(ctx context.Context) *packer {
	w.merge.reset()
	return &packer{buf: w.buf[:0], limit: w.limit, mariaDB: w.mariaDB, statement: min(w.cfg.Statement, w.limit/2),
		packet: min(w.cfg.Packet, w.limit), send: func(packet []byte) error { return w.exec(ctx, text(packet)) }}
}

// text is packet as a string in the same memory. The driver copies it into its own buffer before
// its Exec returns, and the memory isn't written to until then.
func text(packet []byte) string { return unsafe.String(unsafe.SliceData(packet), len(packet)) }

// keep keeps the memory for the next batch, unless a large row has made it larger than is needed.
func (w *Writer) keep(buf []byte) {
	w.buf = nil
	if cap(buf) <= 2*w.cfg.Packet {
		w.buf = buf[:0]
	}
}

// applied tells whether a batch is committed. Only under a new token does it tell for good.
func (w *Writer) applied(ctx context.Context, txs []*schedule.Tx) (bool, error) {
	ids := make([]string, len(txs))
	for i, tx := range txs {
		ids[i] = tx.ID
	}
	n, err := state.CountApplied(ctx, w.conn, w.cfg.Lease.Migration(), ids)
	if err == nil && n != 0 && n != len(ids) {
		err = fmt.Errorf("%d of the %d transactions of a batch are applied: it was torn", n, len(ids))
	}
	return n == len(ids), err
}

// ErrAgain is inside the error of Large when the transaction was rolled back for a reason that
// passes: read it again from the source and apply it again.
var ErrAgain = errors.New("the transaction has to be read and applied again")

// Large writes one source transaction that is too large for memory in one target transaction. next
// gives its changes piece by piece and io.EOF at the end; no more than a piece and its SQL is held.
//
// Any other error of next rolls back and is returned. What Apply would repeat can't be repeated
// here, since the pieces are gone: the error then wraps ErrAgain. A lost answer to COMMIT is settled
// as in Apply, and a full disk is waited for.
func (w *Writer) Large(ctx context.Context, id string, seq uint64, next func(context.Context) ([]row.Change, error)) error {
	// The connection is in a state of its own (autocommit=0) and is not used again.
	defer w.drop()
	nothing := job{attempt: func(context.Context) error { return nil }}
	if err := w.run(ctx, nothing); err != nil {
		return fmt.Errorf("apply transaction %s: %w", id, err)
	}
	if err := w.largeBody(ctx, id, seq, next); err != nil {
		w.rollback(ctx)
		return fmt.Errorf("apply transaction %s: %w", id, w.again(ctx, err))
	}
	return w.largeCommit(ctx, id, seq)
}

func (w *Writer) largeBody(ctx context.Context, id string, seq uint64, next func(context.Context) ([]row.Change, error)) error {
	p := w.packer(ctx)
	p.packet = 1 // one statement a packet: the one that found the disk full can be sent again
	p.send = func(packet []byte) error { return w.execPatiently(ctx, text(packet)) }
	// Should the server roll the transaction back on its own, what follows must not commit itself.
	p.buf = append(p.buf, "SET autocommit=0;"...)
	if err := w.begin(p, []*schedule.Tx{{ID: id, Seq: seq}}); err != nil {
		return err
	}
	for {
		changes, err := next(ctx)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return nextError{err}
		}
		if err := w.add(p, changes); err != nil {
			return err
		}
		if err := w.merge.flush(p); err != nil {
			return err
		}
	}
}

// nextError marks what came from the caller's next: it is none of the target's troubles.
type nextError struct{ error }

func (e nextError) Unwrap() error { return e.error }

// largeCommit commits, if the transaction is still whole.
func (w *Writer) largeCommit(ctx context.Context, id string, seq uint64) error {
	sent := false
	return w.run(ctx, job{
		attempt: func(ctx context.Context) error {
			if sent { // settled, and it is not there
				return fmt.Errorf("apply transaction %s: its COMMIT did not take effect: %w", id, ErrAgain)
			}
			sent = true
			check := state.AppendAppliedCheck(nil, w.cfg.Lease.Migration(), id)
			return w.exec(ctx, string(check)+";COMMIT")
		},
		settled: func(ctx context.Context) (bool, error) {
			return w.applied(ctx, []*schedule.Tx{{ID: id, Seq: seq}})
		},
	})
}

// again marks a trouble that passes as one for which the caller starts over.
func (w *Writer) again(ctx context.Context, err error) error {
	var own nextError
	switch {
	case errors.As(err, &own):
		return own.error
	case ctx.Err() != nil:
		return err
	case classify(err) == loud:
		if refusal(err) {
			return fault.New(fault.ApplyRow, "%w", err)
		}
		return err
	}
	return fmt.Errorf("%w: %w", ErrAgain, err)
}

// TargetTx is an open target transaction. Statements are for it alone to begin and end.
type TargetTx interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// Do runs fn in one target transaction that begins with the token check and ends with COMMIT. It is
// for chunks and for statements.
//
// fn runs again after troubles that pass, so it must be repeatable. done tells, under a new token,
// whether a COMMIT whose answer was lost took effect: it looks for what fn left behind. Any other
// error of fn rolls back and is returned as it is.
func (w *Writer) Do(ctx context.Context, fn func(ctx context.Context, tx TargetTx) error, done func(ctx context.Context, tx TargetTx) (bool, error)) error {
	return w.run(ctx, job{
		attempt: func(ctx context.Context) error {
			p := w.packer(ctx)
			if err := w.begin(p, nil); err != nil {
				return err
			}
			if err := p.flush(); err != nil {
				return err
			}
			if err := fn(ctx, w.conn); err != nil {
				return err
			}
			return w.exec(ctx, "COMMIT")
		},
		settled: func(ctx context.Context) (bool, error) { return done(ctx, w.conn) },
	})
}
