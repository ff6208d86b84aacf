package helm

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"changeover/cdc/state"
)

// tables of `_changeover` that decide who writes. Each DDL begins with the comment by which both
// streams know Changeover's own statements.
var tables = []string{
	"`helm` (migration VARCHAR(64) NOT NULL PRIMARY KEY, session BIGINT UNSIGNED NOT NULL, holder VARCHAR(255) NOT NULL, control VARCHAR(255) NOT NULL, beat DATETIME(6) NOT NULL)",
	"`route` (migration VARCHAR(64) NOT NULL PRIMARY KEY, side VARCHAR(8) NOT NULL, writer VARCHAR(8) NOT NULL, epoch BIGINT UNSIGNED NOT NULL, attempt BIGINT UNSIGNED NOT NULL, bus VARCHAR(1024) NOT NULL, updated DATETIME(6) NOT NULL)",
	"`register` (migration VARCHAR(64) NOT NULL, attempt BIGINT UNSIGNED NOT NULL, kind VARCHAR(16) NOT NULL, epoch BIGINT UNSIGNED NOT NULL, outcome VARCHAR(8) NOT NULL, position LONGBLOB NULL, opened DATETIME(6) NOT NULL, decided DATETIME(6) NULL, PRIMARY KEY (migration, attempt))",
	"`fence` (migration VARCHAR(64) NOT NULL PRIMARY KEY, attempt BIGINT UNSIGNED NOT NULL, state VARCHAR(8) NOT NULL, plan LONGBLOB NOT NULL, updated DATETIME(6) NOT NULL)",
	"`objects` (migration VARCHAR(64) NOT NULL PRIMARY KEY, attempt BIGINT UNSIGNED NOT NULL, state VARCHAR(16) NOT NULL, document LONGBLOB NOT NULL, updated DATETIME(6) NOT NULL)",
	"`probe` (migration VARCHAR(64) NOT NULL PRIMARY KEY, n BIGINT UNSIGNED NOT NULL, session BIGINT UNSIGNED NOT NULL, at DATETIME(6) NOT NULL)",
	"`attempt` (migration VARCHAR(64) NOT NULL, attempt BIGINT UNSIGNED NOT NULL, kind VARCHAR(16) NOT NULL, document LONGBLOB NOT NULL, PRIMARY KEY (migration, attempt))",
}

// install makes the tables where they are missing. A server that is being fenced by someone else is
// not asked to make what it has.
func install(ctx context.Context, db *sql.DB) error {
	var have int
	err := db.QueryRowContext(ctx, "SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA = '_changeover' AND TABLE_NAME IN ('helm', 'route', 'register', 'fence', 'objects', 'probe', 'attempt')").Scan(&have)
	if err != nil {
		return err
	}
	if have == len(tables) {
		return nil
	}
	// The state's own part first: it makes the database and looks at its version.
	if err := state.Install(ctx, db, state.Source); err != nil {
		return err
	}
	for _, t := range tables {
		if _, err := db.ExecContext(ctx, "/* changeover state */ CREATE TABLE IF NOT EXISTS `_changeover`."+t+" ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin"); err != nil {
			return fmt.Errorf("install `_changeover`: %w", err)
		}
	}
	return nil
}

// Outcome is what a register says of an attempt. It changes once.
type Outcome string

// The outcomes.
const (
	Open   Outcome = "open"
	Commit Outcome = "commit"
	Abort  Outcome = "abort"
)

// Entry is one attempt in the register of the server that gives, or gave, the role away.
type Entry struct {
	Attempt uint64
	Kind    string
	Epoch   uint64 // the one that a commit leads to
	Outcome Outcome
}

// Register opens an attempt in the register.
func (h *Helm) Register(ctx context.Context, e Entry) error {
	_, err := h.ExecContext(ctx, "INSERT INTO `_changeover`.`register` (migration, attempt, kind, epoch, outcome, opened) VALUES (?, ?, ?, ?, 'open', UTC_TIMESTAMP(6))",
		h.migration, e.Attempt, e.Kind, e.Epoch)
	return err
}

// Decide writes the outcome of an attempt if it has none, with this server's position behind its fence if it is
// a commit, and gives the outcome that stands. An error leaves it open which one does: unknown is not failed.
func (h *Helm) Decide(ctx context.Context, attempt uint64, o Outcome, position string) (Outcome, error) {
	res, err := h.ExecContext(ctx, "UPDATE `_changeover`.`register` SET outcome = ?, position = ?, decided = UTC_TIMESTAMP(6) WHERE migration = ? AND attempt = ? AND outcome = 'open'",
		string(o), position, h.migration, attempt)
	if err != nil {
		return "", err
	}
	if n, err := res.RowsAffected(); err == nil && n == 1 {
		return o, nil
	}
	var stands Outcome
	err = h.QueryRowContext(ctx, "SELECT outcome FROM `_changeover`.`register` WHERE migration = ? AND attempt = ?", h.migration, attempt).Scan(&stands)
	return stands, err
}

// Last is the newest attempt of this server's register; ok is false if it has none.
func (h *Helm) Last(ctx context.Context) (e Entry, ok bool, err error) {
	err = h.QueryRowContext(ctx, "SELECT attempt, kind, epoch, outcome FROM `_changeover`.`register` WHERE migration = ? ORDER BY attempt DESC LIMIT 1", h.migration).
		Scan(&e.Attempt, &e.Kind, &e.Epoch, &e.Outcome)
	if errors.Is(err, sql.ErrNoRows) {
		return e, false, nil
	}
	return e, err == nil, err
}

// Route is the route row of a server.
type Route struct {
	Side    Side      `json:"side"`   // which server this is
	Writer  Side      `json:"writer"` // whom it names
	Epoch   uint64    `json:"epoch"`
	Attempt uint64    `json:"attempt"` // the newest that it knows
	Bus     string    `json:"-"`
	Updated time.Time `json:"updated"` // by the server's clock
}

// Route reads this server's route row; ok is false if it has none.
func (h *Helm) Route(ctx context.Context) (Route, bool, error) { return ReadRoute(ctx, h, h.migration) }

// ReadRoute reads a server's route row through any session.
func ReadRoute(ctx context.Context, q interface {
	QueryRowContext(context.Context, string, ...any) *sql.Row
}, migration string) (r Route, ok bool, err error) {
	var updated string
	err = q.QueryRowContext(ctx, "SELECT side, writer, epoch, attempt, bus, updated FROM `_changeover`.`route` WHERE migration = ?", migration).
		Scan(&r.Side, &r.Writer, &r.Epoch, &r.Attempt, &r.Bus, &updated)
	if n := state.Number(err); errors.Is(err, sql.ErrNoRows) || n == 1146 || n == 1049 {
		return r, false, nil
	}
	r.Updated, _ = time.Parse("2006-01-02 15:04:05.999999", updated)
	return r, err == nil, err
}

// SetRoute writes this server's route row. One with a higher epoch stays.
func (h *Helm) SetRoute(ctx context.Context, r Route) error {
	_, err := h.ExecContext(ctx, "INSERT INTO `_changeover`.`route` (migration, side, writer, epoch, attempt, bus, updated) VALUES (?, ?, ?, ?, ?, ?, UTC_TIMESTAMP(6))"+
		" ON DUPLICATE KEY UPDATE writer = IF(epoch > VALUES(epoch), writer, VALUES(writer)), attempt = GREATEST(attempt, VALUES(attempt)), bus = VALUES(bus), updated = UTC_TIMESTAMP(6),"+
		" side = VALUES(side), epoch = GREATEST(epoch, VALUES(epoch))", h.migration, string(h.side), string(r.Writer), r.Epoch, r.Attempt, r.Bus)
	return err
}

// FenceState is how far a fence is.
type FenceState string

// The states of a fence.
//
//	none → raising → now → lasting → lifting → none
const (
	FenceNone    FenceState = "none"    // the application's writes pass
	FenceRaising FenceState = "raising" // they may or may not
	FenceNow     FenceState = "now"     // refused, until a restart
	FenceLasting FenceState = "lasting" // refused, over restarts too
	FenceLifting FenceState = "lifting" // they may or may not
)

// Fence is the intent about a server's fence, written down before the acts.
type Fence struct {
	Attempt uint64
	State   FenceState
	Plan    []byte // JSON of a fence.Plan: how the server was found
}

// Fence reads this server's; a server that never had one is FenceNone.
func (h *Helm) Fence(ctx context.Context) (f Fence, err error) {
	err = h.QueryRowContext(ctx, "SELECT attempt, state, plan FROM `_changeover`.`fence` WHERE migration = ?", h.migration).Scan(&f.Attempt, &f.State, &f.Plan)
	if errors.Is(err, sql.ErrNoRows) {
		return Fence{State: FenceNone}, nil
	}
	return f, err
}

// SetFence writes this server's.
func (h *Helm) SetFence(ctx context.Context, f Fence) error {
	_, err := h.ExecContext(ctx, "REPLACE INTO `_changeover`.`fence` (migration, attempt, state, plan, updated) VALUES (?, ?, ?, ?, UTC_TIMESTAMP(6))",
		h.migration, f.Attempt, string(f.State), f.Plan)
	return err
}

// SetFenceState moves the fence on, with the plan that is there.
func (h *Helm) SetFenceState(ctx context.Context, s FenceState) error {
	_, err := h.ExecContext(ctx, "UPDATE `_changeover`.`fence` SET state = ?, updated = UTC_TIMESTAMP(6) WHERE migration = ?", string(s), h.migration)
	return err
}

// NextAttempt is a number above all that this server knows.
func (h *Helm) NextAttempt(ctx context.Context) (n uint64, err error) {
	err = h.QueryRowContext(ctx, "SELECT 1 + GREATEST(COALESCE((SELECT MAX(attempt) FROM `_changeover`.`register` WHERE migration = ?), 0),"+
		" COALESCE((SELECT MAX(attempt) FROM `_changeover`.`route` WHERE migration = ?), 0), COALESCE((SELECT MAX(attempt) FROM `_changeover`.`attempt` WHERE migration = ?), 0))",
		h.migration, h.migration, h.migration).Scan(&n)
	return n, err
}

// KeepRecord writes an attempt's record, in place of an earlier one.
func (h *Helm) KeepRecord(ctx context.Context, attempt uint64, kind string, document []byte) error {
	_, err := h.ExecContext(ctx, "REPLACE INTO `_changeover`.`attempt` (migration, attempt, kind, document) VALUES (?, ?, ?, ?)", h.migration, attempt, kind, document)
	return err
}

// Records reads the newest n records through any pool, the newest first.
func Records(ctx context.Context, db *sql.DB, migration string, n int) (documents [][]byte, err error) {
	rows, err := db.QueryContext(ctx, "SELECT document FROM `_changeover`.`attempt` WHERE migration = ? ORDER BY attempt DESC LIMIT ?", migration, n)
	if code := state.Number(err); code == 1146 || code == 1049 {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var d []byte
		if err := rows.Scan(&d); err != nil {
			return nil, err
		}
		documents = append(documents, d)
	}
	return documents, rows.Err()
}

// LastCommit is the newest attempt of this server's register that was committed.
func (h *Helm) LastCommit(ctx context.Context) (e Entry, ok bool, err error) {
	err = h.QueryRowContext(ctx, "SELECT attempt, kind, epoch, outcome FROM `_changeover`.`register` WHERE migration = ? AND outcome = 'commit' AND kind <> 'finish' ORDER BY attempt DESC LIMIT 1", h.migration).
		Scan(&e.Attempt, &e.Kind, &e.Epoch, &e.Outcome)
	if errors.Is(err, sql.ErrNoRows) {
		return e, false, nil
	}
	return e, err == nil, err
}

// FencedPosition is this server's position behind the fence of the newest attempt in which it gave the
// role away; empty if there is none. Anybody may ask.
func (h *Helm) FencedPosition(ctx context.Context) (position string, err error) {
	err = h.aid.QueryRowContext(ctx, "SELECT COALESCE(position, '') FROM `_changeover`.`register` WHERE migration = ? AND outcome = 'commit' AND kind <> 'finish' ORDER BY attempt DESC LIMIT 1", h.migration).Scan(&position)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return position, err
}

// Finish notes that the way back is ended for good; forget takes the route row away with it.
func (h *Helm) Finish(ctx context.Context, attempt, epoch uint64, forget bool) error {
	_, err := h.ExecContext(ctx, "REPLACE INTO `_changeover`.`register` (migration, attempt, kind, epoch, outcome, opened, decided) VALUES (?, ?, 'finish', ?, 'commit', UTC_TIMESTAMP(6), UTC_TIMESTAMP(6))",
		h.migration, attempt, epoch)
	if err != nil || !forget {
		return err
	}
	_, err = h.ExecContext(ctx, "DELETE FROM `_changeover`.`route` WHERE migration = ?", h.migration)
	return err
}

// Finished tells whether the way back was ended since the role passed last, at an epoch.
func (h *Helm) Finished(ctx context.Context, epoch uint64) (yes bool, err error) {
	err = h.QueryRowContext(ctx, "SELECT COUNT(*) > 0 FROM `_changeover`.`register` WHERE migration = ? AND kind = 'finish' AND epoch = ?", h.migration, epoch).Scan(&yes)
	return yes, err
}
