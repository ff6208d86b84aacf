package state

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"sync"
	"time"

	"changeover/internal/fault"
)

// Watermarker commits watermarks on the source: one row of the migration, whose number grows.
// Everything that was committed before a watermark has arrived when the watermark has. Safe for
// concurrent use.
type Watermarker struct {
	db        *sql.DB
	migration string
	token     Token

	mu     sync.Mutex
	next   *group // whoever calls now joins this one; nil if nobody has yet
	flying bool   // a goroutine of ours is committing groups

	// Known after the first commit: whether the source has binlog_order_commits (MySQL has).
	orderKnown, ordered bool
}

// group is one commit and those who wait for it.
type group struct {
	done chan struct{} // closed when n and err are set
	n    uint64
	err  error
}

// commitTimeout is how long a watermark's commit may take. A fence, FLUSH TABLES WITH READ LOCK or
// a semi-sync replica that is gone makes it wait.
const commitTimeout = 30 * time.Second

// NewWatermarker makes a Watermarker on the source; Install must have run there. token marks the
// rows as this runner's.
func NewWatermarker(db *sql.DB, migration string, token Token) *Watermarker {
	return &Watermarker{db: db, migration: migration, token: token}
}

// Mark commits a watermark and returns its number once that is committed, so that it covers
// everything that was committed before Mark was called. Numbers grow, over restarts too.
//
// Callers share commits: one that comes while a commit is under way joins the next, never that
// one, whose row may be in the binlog already. If ctx ends first the commit goes on for the others.
//
// fault.SnapshotOrder: the source doesn't commit in the binlog's order (binlog_order_commits=OFF),
// so a watermark proves nothing; or the session writes statements instead of rows.
func (w *Watermarker) Mark(ctx context.Context) (uint64, error) {
	g := w.join()
	select {
	case <-ctx.Done():
		return 0, ctx.Err()
	case <-g.done:
		return g.n, g.err
	}
}

// join gives the group of the next commit. If nobody commits, it starts the goroutine that does,
// which ends as soon as no group waits.
func (w *Watermarker) join() *group {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.next == nil {
		w.next = &group{done: make(chan struct{})}
	}
	if !w.flying {
		w.flying = true
		go w.commitAll()
	}
	return w.next
}

func (w *Watermarker) commitAll() {
	for {
		w.mu.Lock()
		g := w.next
		w.next = nil
		if g == nil {
			w.flying = false
			w.mu.Unlock()
			return
		}
		w.mu.Unlock()
		g.n, g.err = w.commit()
		close(g.done)
	}
}

// commit is its callers' common business, so no single caller's context ends it.
func (w *Watermarker) commit() (uint64, error) {
	ctx, cancel := context.WithTimeout(context.Background(), commitTimeout)
	defer cancel()
	n, err := w.commitOn(ctx)
	if err != nil && Lost(err) {
		n, err = w.commitOn(ctx) // a stale connection of the pool; a number that is skipped does no harm
	}
	return n, wrap("commit a watermark on the source", err)
}

func (w *Watermarker) commitOn(ctx context.Context) (uint64, error) {
	conn, err := w.db.Conn(ctx)
	if err != nil {
		return 0, err
	}
	defer func() { _ = conn.Close() }()
	// LAST_INSERT_ID(n) hands the number back with the answer, whoever else writes the row.
	q := newStatement("INSERT INTO `_changeover`.`watermark` (migration, token, n, sent) VALUES (").text(w.migration).
		sql(", ").text(string(w.token)).sql(", LAST_INSERT_ID(1), UTC_TIMESTAMP(6)) ON DUPLICATE KEY UPDATE n = LAST_INSERT_ID(n + 1), token = ").
		text(string(w.token)).sql(", sent = UTC_TIMESTAMP(6)")
	res, err := conn.ExecContext(ctx, q.String())
	if err != nil {
		return 0, err
	}
	if err := w.checkOrder(ctx, conn); err != nil {
		return 0, err
	}
	n, err := res.LastInsertId()
	return uint64(n), err
}

// checkOrder looks after the commit, so that a watermark isn't trusted which was committed while
// the variable was OFF.
func (w *Watermarker) checkOrder(ctx context.Context, conn *sql.Conn) error {
	var format, order string
	var err error
	if !w.orderKnown || w.ordered {
		err = conn.QueryRowContext(ctx, "SELECT @@SESSION.binlog_format, @@GLOBAL.binlog_order_commits").Scan(&format, &order)
		if Number(err) == erUnknownVariable {
			w.orderKnown, w.ordered = true, false
		} else if err == nil {
			w.orderKnown, w.ordered = true, true
		}
	}
	if w.orderKnown && !w.ordered { // MariaDB always commits in the binlog's order
		order = "1"
		err = conn.QueryRowContext(ctx, "SELECT @@SESSION.binlog_format").Scan(&format)
	}
	switch {
	case err != nil:
		return err
	case !strings.EqualFold(format, "ROW"):
		return fault.New(fault.SnapshotOrder, "watermarks are written with binlog_format=%s, so they never arrive as rows", format)
	case order != "1" && !strings.EqualFold(order, "ON"):
		return fault.New(fault.SnapshotOrder, "the source has binlog_order_commits=OFF: a transaction may become visible after a later one")
	}
	return nil
}

// Read gives the watermark that conn's session sees, in its read view if it has one: 0 if none.
func (w *Watermarker) Read(ctx context.Context, conn queryer) (uint64, error) {
	q := newStatement("SELECT n FROM `_changeover`.`watermark` WHERE migration = ").text(w.migration)
	var n uint64
	err := conn.QueryRowContext(ctx, q.String()).Scan(&n)
	if isNoRows(err) {
		return 0, nil
	}
	return n, wrap(fmt.Sprintf("read the watermark of %s", w.migration), err)
}
