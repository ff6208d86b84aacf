package state

import (
	"context"
	"database/sql"
	"slices"
	"time"

	"github.com/rs/zerolog"

	"changeover/internal/fault"
	"changeover/internal/server"
)

// HeartbeatInterval is how often Keep renews a lease.
const HeartbeatInterval = time.Second

// DefaultTTL is how old a heartbeat may be before its lease is free for the taking.
const DefaultTTL = 3 * time.Second

// AtOnce is the longest TTL with which a lease is taken whoever has it: its taker knows that the holder
// is gone, or means to replace it.
const AtOnce = time.Millisecond

// Holder says who runs a migration.
type Holder struct {
	Name    string // host:pid
	Control string // the address of its control API; may be empty
}

func (h Holder) String() string {
	if h.Control == "" {
		return h.Name
	}
	return h.Name + " (" + h.Control + ")"
}

// LeaseRequest is what AcquireLease needs.
type LeaseRequest struct {
	Migration string
	Holder    Holder
	TTL       time.Duration // 0: DefaultTTL; up to AtOnce: whoever has it, and however fresh
	Log       zerolog.Logger
	// Before are the tokens under which this process held the lease and that it gives up now: their
	// heartbeats keep it from nothing. More than the last, since a target may come back older.
	Before []Token
	// Wait is told why a write of the Store waits, and nil when it goes on. It may be nil.
	Wait func(reason error)
}

// longestSilence is after how many seconds the server ends a session that stands in a transaction of the
// state without a word: its client is frozen or was cut off unnoticed, and a taker waits for its
// locks. A transaction that was ended so is done again by a client that comes back.
const longestSilence = 5

// Session is how the pool of a Lease is to be opened.
func Session() server.Session { return server.Session{Silence: longestSilence} }

// Lease is the right to run a migration. It is comfort: it tells a second runner at once that there
// is a first. What keeps a replaced runner from writing is the token. Safe for concurrent use.
type Lease struct {
	db        *sql.DB
	migration string
	token     Token
	log       zerolog.Logger
	wait      func(reason error)
}

// AcquireLease takes the lease of a migration, if need be from a runner that is gone. The pool is of
// Session: a runner that was frozen in the middle of a write of the state then keeps nobody waiting
// for longer than that.
//
// While the holder's heartbeat is younger than the TTL by the target's clock: fault.LeaseHeld.
// Else it writes a new token, and then changes the token of every worker, which waits for whatever
// an old session still does in the server. Only after it has returned does `applied` tell what the
// old runner did. It waits for as long as ctx lets it, and logs for what.
func AcquireLease(ctx context.Context, db *sql.DB, r LeaseRequest) (*Lease, error) {
	if r.TTL == 0 {
		r.TTL = DefaultTTL
	}
	l := &Lease{db: db, migration: r.Migration, token: newToken(), wait: r.Wait,
		log: r.Log.With().Str("migration", r.Migration).Logger()}
	for try := 0; ; try++ {
		err := l.acquire(ctx, r)
		if err == nil {
			return l, nil
		}
		if ctx.Err() != nil || !Lost(err) || try == acquireTries {
			return nil, wrap("acquire the lease of "+r.Migration, err)
		}
		l.log.Warn().Err(err).Msg("the connection was lost while the lease was taken; it is taken again")
		if err := pause(ctx, try); err != nil {
			return nil, err
		}
	}
}

// acquireTries is how often a lost connection is followed by another one: its answer may have been
// that we have the lease.
const acquireTries = 5

func (l *Lease) acquire(ctx context.Context, r LeaseRequest) error {
	conn, err := l.db.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	// Short waits, so that the heartbeat goes on between them.
	if _, err := conn.ExecContext(ctx, "SET SESSION innodb_lock_wait_timeout = 1"); err != nil {
		return err
	}
	defer func() { _, _ = conn.ExecContext(ctx, "SET SESSION innodb_lock_wait_timeout = DEFAULT") }()
	if err := l.take(ctx, conn, r); err != nil {
		return err
	}
	return l.changeTokens(ctx, conn)
}

// Store is the migration's state, writable for as long as this lease is held.
func (l *Lease) Store() *Store {
	return &Store{db: l.db, migration: l.migration, token: l.token, log: l.log, wait: l.wait}
}

// Token is the lease's own token.
func (l *Lease) Token() Token { return l.token }

// Migration is the name of the migration that the lease is for.
func (l *Lease) Migration() string { return l.migration }

// take writes our token into the lease, or says who holds it. Of two takers one waits for the
// other's row lock and then sees its heartbeat.
func (l *Lease) take(ctx context.Context, conn *sql.Conn, r LeaseRequest) error {
	for try := 0; ; try++ {
		err := transact(ctx, conn, func(tx *sql.Tx) error {
			if err := l.lock(ctx, tx); err != nil {
				return err
			}
			if err := l.refuseIfFresh(ctx, tx, r); err != nil {
				return err
			}
			return l.write(ctx, tx, r.Holder)
		})
		if err == nil || ctx.Err() != nil || !Conflict(err) {
			return err
		}
		l.log.Info().Err(err).Msg("waiting for the previous runner's last transaction to end in the server")
		if err := pause(ctx, try); err != nil {
			return err
		}
	}
}

func (l *Lease) lock(ctx context.Context, tx *sql.Tx) error {
	q := newStatement("INSERT INTO `_changeover`.`lease` (migration, token, holder, control, since) VALUES (").
		text(l.migration).sql(", '', '', '', UTC_TIMESTAMP(6)) ON DUPLICATE KEY UPDATE migration = ").text(l.migration)
	_, err := exec(ctx, tx, q)
	return err
}

// refuseIfFresh looks at the heartbeat's age. One from the future is a clock that was set back;
// taking over is always safe, so such a lease isn't held for ever.
func (l *Lease) refuseIfFresh(ctx context.Context, tx *sql.Tx, r LeaseRequest) error {
	q := newStatement("SELECT l.token, l.holder, l.control, l.since, TIMESTAMPDIFF(MICROSECOND, h.beat, UTC_TIMESTAMP(6))" +
		" FROM `_changeover`.`lease` l JOIN `_changeover`.`heartbeat` h USING (migration) WHERE l.migration = ").
		text(l.migration).sql(" AND h.token = l.token")
	var h Holder
	var token Token
	var since string
	var micros int64
	switch err := tx.QueryRowContext(ctx, q.String()).Scan(&token, &h.Name, &h.Control, &since, &micros); err {
	case nil:
	case sql.ErrNoRows:
		return nil
	default:
		return err
	}
	if token == l.token || slices.Contains(r.Before, token) {
		return nil // ours: taken by a COMMIT whose answer was lost, or before we started over
	}
	age := time.Duration(micros) * time.Microsecond
	if r.TTL <= AtOnce || age >= r.TTL || age <= -r.TTL {
		l.log.Info().Stringer("holder", h).Dur("silent", age).Msg("taking the lease over from a runner that is silent")
		return nil
	}
	return fault.New(fault.LeaseHeld, "migration %s is run by %s since %s UTC, last heartbeat %v ago",
		l.migration, h, since, age.Round(time.Millisecond))
}

func (l *Lease) write(ctx context.Context, tx *sql.Tx, h Holder) error {
	q := newStatement("UPDATE `_changeover`.`lease` SET token = ").text(string(l.token)).
		sql(", holder = ").text(h.Name).sql(", control = ").text(h.Control).
		sql(", since = UTC_TIMESTAMP(6) WHERE migration = ").text(l.migration)
	if _, err := exec(ctx, tx, q); err != nil {
		return err
	}
	q = newStatement("INSERT INTO `_changeover`.`heartbeat` (migration, token, beat) VALUES (").text(l.migration).
		sql(", ").text(string(l.token)).sql(", UTC_TIMESTAMP(6)) ON DUPLICATE KEY UPDATE token = ").
		text(string(l.token)).sql(", beat = UTC_TIMESTAMP(6)")
	_, err := exec(ctx, tx, q)
	return err
}

// changeTokens takes the tokens of all workers away from the old runner. It can't add workers
// behind our back: a new row needs the lease, in the same transaction.
func (l *Lease) changeTokens(ctx context.Context, conn *sql.Conn) error {
	workers, err := l.workers(ctx, conn)
	if err != nil {
		return err
	}
	for _, worker := range workers {
		if err := l.changeTokenPatiently(ctx, conn, worker); err != nil {
			return err
		}
	}
	return nil
}

// patience is how long a takeover waits for an old session to end its transaction by itself.
const patience = 3 * time.Second

func (l *Lease) changeTokenPatiently(ctx context.Context, conn *sql.Conn, worker int) error {
	start := time.Now()
	for try := 0; ; try++ {
		_, err := l.ChangeToken(ctx, conn, worker)
		if err == nil || ctx.Err() != nil || !Conflict(err) {
			return err
		}
		l.log.Info().Int("worker", worker).Dur("waited", time.Since(start)).
			Msg("waiting for a packet of the previous runner that still runs in the server")
		if time.Since(start) > patience {
			if _, err := l.EndSession(ctx, conn, worker); err != nil {
				return err
			}
		}
		if _, err := l.beat(ctx); err != nil {
			return err
		}
	}
}

func (l *Lease) workers(ctx context.Context, conn *sql.Conn) ([]int, error) {
	q := newStatement("SELECT worker FROM `_changeover`.`worker` WHERE migration = ").text(l.migration).
		sql(" ORDER BY worker")
	rows, err := conn.QueryContext(ctx, q.String())
	if err != nil {
		return nil, err
	}
	return scan(rows, func(rows *sql.Rows) (worker int, err error) {
		err = rows.Scan(&worker)
		return worker, err
	})
}

// Keep renews the lease every second until ctx ends (then it returns nil) or the lease is another's
// (fault.LeaseLost). Trouble with the connection is logged and outlasted: the token, not the
// heartbeat, is what keeps two runners apart.
func (l *Lease) Keep(ctx context.Context) error {
	tick := time.NewTicker(HeartbeatInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if err := l.keepOnce(ctx); err != nil {
			return err
		}
	}
}

func (l *Lease) keepOnce(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	held, err := l.beat(ctx)
	switch {
	case err != nil && ctx.Err() == nil:
		l.log.Warn().Err(err).Msg("the lease's heartbeat failed")
	case err == nil && !held:
		return l.Check(ctx)
	}
	return nil
}

// beat renews the heartbeat if it is still ours.
func (l *Lease) beat(ctx context.Context) (held bool, err error) {
	q := newStatement("UPDATE `_changeover`.`heartbeat` SET beat = UTC_TIMESTAMP(6) WHERE migration = ").
		text(l.migration).sql(" AND token = ").text(string(l.token))
	res, err := l.db.ExecContext(ctx, q.String())
	if err != nil {
		return false, err
	}
	n, err := res.RowsAffected()
	return n == 1, err
}

// Check fails with fault.LeaseLost if the lease is another's.
func (l *Lease) Check(ctx context.Context) error {
	return wrap("check the lease of "+l.migration, transact(ctx, l.db, func(tx *sql.Tx) error {
		return checkLease(ctx, tx, l.migration, l.token)
	}))
}

// Release gives the lease back, so that a successor need not wait for silence. Nothing can be
// written under it afterwards. A lease that is another's by now is left alone.
func (l *Lease) Release(ctx context.Context) error {
	return wrap("release the lease of "+l.migration, transact(ctx, l.db, func(tx *sql.Tx) error {
		q := newStatement("UPDATE `_changeover`.`lease` SET token = '' WHERE migration = ").text(l.migration).
			sql(" AND token = ").text(string(l.token))
		if n, err := exec(ctx, tx, q); err != nil || n == 0 {
			return err
		}
		_, err := exec(ctx, tx, newStatement("DELETE FROM `_changeover`.`heartbeat` WHERE migration = ").text(l.migration).
			sql(" AND token = ").text(string(l.token)))
		return err
	}))
}

// LeaseInfo is who holds a lease, for status.
type LeaseInfo struct {
	Holder Holder
	Since  time.Time
	Age    time.Duration // of the last heartbeat, by the target's clock
}

// Lease reads who runs the migration; ok is false if nobody does.
func (s *Store) Lease(ctx context.Context) (info LeaseInfo, ok bool, err error) {
	q := newStatement("SELECT l.holder, l.control, l.since, TIMESTAMPDIFF(MICROSECOND, h.beat, UTC_TIMESTAMP(6))" +
		" FROM `_changeover`.`lease` l JOIN `_changeover`.`heartbeat` h USING (migration) WHERE l.migration = ").
		text(s.migration).sql(" AND h.token = l.token")
	var since string
	var micros int64
	err = s.read(ctx, "read the lease", func() error {
		return s.db.QueryRowContext(ctx, q.String()).Scan(&info.Holder.Name, &info.Holder.Control, &since, &micros)
	})
	if isNoRows(err) {
		return info, false, nil
	}
	info.Since, info.Age = parseTime(&since), time.Duration(micros)*time.Microsecond
	return info, err == nil, err
}
