package apply

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"

	"changeover/cdc/row"
	"changeover/cdc/schedule"
	"changeover/cdc/state"
	"changeover/internal/fault"
	"changeover/internal/server"
)

// trouble is what an error means for the batch that met it.
type trouble uint8

const (
	loud     trouble = iota // an operator has to look
	conflict                // rolled back so that others could go on: the same again
	lost                    // nobody knows whether it was committed
	full                    // no room on the target
	reader                  // the target doesn't take writes
	stolen                  // the token row says somebody else
)

func (t trouble) String() string {
	return [...]string{"refused", "conflict", "connection lost", "disk full", "target takes no writes", "token changed"}[t]
}

func classify(err error) trouble {
	switch {
	case state.TokenRefused(err):
		return stolen
	case state.Conflict(err):
		return conflict
	case state.Lost(err):
		return lost
	case state.Full(err):
		return full
	case state.ReadOnly(err):
		return reader
	}
	return loud
}

// refusal tells whether the server refused a statement: the operator wants to know which row.
func refusal(err error) bool {
	var e *mysql.MySQLError
	return errors.As(err, &e) && classify(err) == loud
}

// job is one target transaction.
type job struct {
	attempt func(context.Context) error         // from BEGIN to COMMIT; what it leaves open is rolled back
	settled func(context.Context) (bool, error) // under a new token: was it committed?
}

// run repeats j until it is committed, or can't be.
func (w *Writer) run(ctx context.Context, j job) error {
	defer w.goesOn()
	unsettled := false
	for try := 0; ; try++ {
		err := w.step(ctx, j, &unsettled)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			w.drop()
			return fmt.Errorf("stopped, the outcome is open: %w", context.Cause(ctx))
		}
		t := classify(err)
		if !w.recover(ctx, t, &unsettled) {
			return err
		}
		w.tell(t, err, try)
		if pause(ctx, t, try) != nil {
			w.drop()
			return fmt.Errorf("stopped, the outcome is open: %w", context.Cause(ctx))
		}
	}
}

// step makes a connection if there is none, settles what is open, and else makes an attempt.
func (w *Writer) step(ctx context.Context, j job, unsettled *bool) error {
	if err := w.connect(ctx); err != nil {
		return err
	}
	if *unsettled && j.settled != nil {
		done, err := j.settled(ctx)
		if err != nil || done {
			return err
		}
		*unsettled = false
	}
	return j.attempt(ctx)
}

// recover brings the Writer to where another attempt may start; false if none may. Unless the
// server itself has rolled back, whether the batch was committed has to be settled.
func (w *Writer) recover(ctx context.Context, t trouble, unsettled *bool) bool {
	if t == loud {
		w.rollback(ctx)
		return false
	}
	if t == conflict && w.rollback(ctx) {
		return true
	}
	// A full server keeps the session's locks until it is rolled back; a lost one can't be told.
	if t != lost {
		w.rollback(ctx)
	}
	w.drop()
	*unsettled = true
	return true
}

// connect makes a connection and takes a new token for it. Changing the token waits for whatever
// an old session of this worker still does, and is refused if the lease is another's.
func (w *Writer) connect(ctx context.Context) error {
	if w.conn != nil {
		return nil
	}
	conn, err := w.cfg.DB.Conn(ctx)
	if err != nil {
		return err
	}
	w.conn = conn
	if err := w.setUp(ctx); err != nil {
		w.drop()
		return err
	}
	return nil
}

func (w *Writer) setUp(ctx context.Context) error {
	if _, err := w.conn.ExecContext(ctx, "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED"); err != nil {
		return err
	}
	var max int
	var version string
	if err := w.conn.QueryRowContext(ctx, "SELECT @@max_allowed_packet, VERSION()").Scan(&max, &version); err != nil {
		return err
	}
	if w.mariaDB = strings.Contains(version, "MariaDB"); w.mariaDB {
		// What the source has taken must be taken here, whatever this server's CHECKs say: a document that is
		// JSON to MySQL may be none to MariaDB, whose json_valid ends at a depth of 32.
		if _, err := w.conn.ExecContext(ctx, "SET SESSION check_constraint_checks = 0"); err != nil {
			return err
		}
	}
	// The header and the server's copy of it take some room.
	w.limit = min(max, server.MaxPacket) - 1024
	var err error
	w.token, err = w.cfg.Lease.ChangeToken(ctx, w.conn, w.cfg.Worker)
	if state.Conflict(err) {
		// The old session had its time (innodb_lock_wait_timeout). If its client was cut off without
		// the server noticing, it would keep its locks for hours.
		if _, err := w.cfg.Lease.EndSession(ctx, w.conn, w.cfg.Worker); err != nil {
			return err
		}
	}
	return err
}

// rollback ends the open transaction; false, and no connection, if that did not work.
func (w *Writer) rollback(ctx context.Context) bool {
	if w.conn == nil {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if _, err := w.conn.ExecContext(ctx, "ROLLBACK"); err != nil {
		w.drop()
		return false
	}
	return true
}

// drop closes the connection itself, not only its place in the pool: with it an open transaction
// ends.
func (w *Writer) drop() {
	if w.conn == nil {
		return
	}
	_ = w.conn.Raw(func(any) error { return driver.ErrBadConn })
	_ = w.conn.Close()
	w.conn, w.token = nil, ""
}

// slow is how long the target may take for one packet before status says so. A server whose binlog
// has no room answers nothing at all until there is some.
const slow = 10 * time.Second

// exec sends one packet.
func (w *Writer) exec(ctx context.Context, packet string) error {
	if w.cfg.Wait != nil {
		quiet := time.AfterFunc(slow, func() {
			w.cfg.Wait(fault.New(fault.ApplyTarget, "the target has not answered worker %d for %v", w.cfg.Worker, slow))
		})
		defer func() {
			if !quiet.Stop() {
				w.waiting = true
			}
		}()
	}
	_, err := w.conn.ExecContext(ctx, packet)
	return err
}

// execPatiently sends one statement of a large transaction, and again once there is room: a full
// disk undoes the statement, not the transaction.
func (w *Writer) execPatiently(ctx context.Context, statement string) error {
	defer w.goesOn()
	for try := 0; ; try++ {
		err := w.exec(ctx, statement)
		if err == nil || classify(err) != full || ctx.Err() != nil {
			return err
		}
		w.tell(full, err, try)
		if pause(ctx, full, try) != nil {
			return fmt.Errorf("stopped while the target had no room: %w", context.Cause(ctx))
		}
	}
}

// tell says why there is another try.
func (w *Writer) tell(t trouble, err error, try int) {
	w.log.Warn().Err(err).Stringer("trouble", t).Int("try", try+1).Msg("the batch is tried again")
	if w.cfg.Wait == nil || t == conflict && try < 3 {
		return
	}
	reason := fault.New(fault.ApplyTarget, "worker %d: %w", w.cfg.Worker, err)
	if t == full {
		reason = fault.New(fault.ApplyFull, "worker %d: %w", w.cfg.Worker, err)
	}
	w.waiting = true
	w.cfg.Wait(reason)
}

func (w *Writer) goesOn() {
	if w.waiting {
		w.waiting = false
		w.cfg.Wait(nil)
	}
}

// pause waits before the next try, longer each time: a conflict is over soon, a restart is not.
func pause(ctx context.Context, t trouble, try int) error {
	base, most := 100*time.Millisecond, 5*time.Second
	if t == conflict {
		base, most = 2*time.Millisecond, time.Second
	}
	d := min(base<<min(try, 10), most)
	d = d/2 + rand.N(d/2)
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// locate finds the change that the target refuses, by sending them one at a time in a transaction
// that is rolled back, and makes the fault of it.
func (w *Writer) locate(ctx context.Context, txs []*schedule.Tx, refused error) error {
	defer w.rollback(ctx)
	if w.conn == nil || w.exec(ctx, "BEGIN") != nil {
		return fault.New(fault.ApplyRow, "%s: %w", span(txs), told(refused))
	}
	for _, tx := range txs {
		for i := range tx.Changes {
			c := &tx.Changes[i]
			if err := w.applyOne(ctx, c); refusal(err) {
				return fault.New(fault.ApplyRow, "transaction %s, %s: %w", tx.ID, w.describe(c), told(err))
			} else if err != nil {
				return fault.New(fault.ApplyRow, "%s: %w", span(txs), told(refused))
			}
		}
	}
	// One by one they pass: it is the batch as a whole that the target refuses.
	return fault.New(fault.ApplyRow, "%s: %w", span(txs), told(refused))
}

func (w *Writer) applyOne(ctx context.Context, c *row.Change) error {
	p := w.packer(ctx)
	if err := w.add(p, []row.Change{*c}); err != nil {
		return err
	}
	if err := w.merge.flush(p); err != nil {
		return err
	}
	return p.flush()
}

func (w *Writer) describe(c *row.Change) string {
	r := c.After
	if r == nil {
		r = c.Before
	}
	return w.merge.table(c.Table).describe(r)
}

// told puts the failed assertion about a row without a key into words.
func told(err error) error {
	if state.RowCountFailed(err) {
		return fmt.Errorf("the row to delete is not on the target (%w)", err)
	}
	return err
}

func span(txs []*schedule.Tx) string {
	if len(txs) == 1 {
		return "transaction " + txs[0].ID
	}
	return fmt.Sprintf("transactions %s to %s", txs[0].ID, txs[len(txs)-1].ID)
}
