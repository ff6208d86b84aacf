// Package helm is the one hand on a server: the session through which everything passes that decides
// who the writer is.
//
// In: a server and a migration. Out: a session that holds the migration's lock there, and the rows of
// `_changeover` that say who may write: register, route, fence. The decision that matters: there is no
// pool and no reconnect. Whoever takes the helm first ends the session of the one before, and waits
// until the server has let go of its lock; so no statement of a dead coordinator can still be waiting
// to take effect (a SET GLOBAL read_only behind a long UPDATE does so after its client has died).
package helm

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"changeover/cdc/state"
	"changeover/internal/fault"
	"changeover/internal/server"
)

// Side is one of the two servers, by its part in the configuration: for good, whoever is the writer.
type Side string

// The sides.
const (
	Source Side = "source"
	Target Side = "target"
)

// Other is the other side.
func (s Side) Other() Side {
	if s == Source {
		return Target
	}
	return Source
}

// Holder is who has the helm.
type Holder struct {
	Name    string // host:pid
	Control string // the address of its control API
}

// Request is whose helm is wanted, and how.
type Request struct {
	Endpoint  server.Endpoint
	Side      Side
	Migration string
	Holder    Holder
	// Silence is how long another holder must have said nothing before its session is ended; 0 means
	// DefaultSilence. A helm that nobody holds is taken at once: a dead process's session ends with it.
	Silence time.Duration
	// Own is a session of this very process that may still have the lock, since its end was lost: it is
	// ended without waiting for silence. 0: none.
	Own uint64
	// Tap is told of each statement that changes the server, before it is sent, and gives back what is
	// to be called with its answer. It may be nil.
	Tap Tap
	Log zerolog.Logger
}

// Tap looks at statements that change a server. act is what the coordinator is doing, as SetAct says;
// n counts the statements of that act from 1.
type Tap func(side Side, act string, n int, statement string) (answered func(error))

// How often the holder of a helm says that it is there, and for how long it may say nothing.
const (
	beatEvery      = 500 * time.Millisecond
	DefaultSilence = 3 * time.Second
)

// Helm is the session. Its statements are for one goroutine at a time: rows that one has open are in the
// way of another's, and the driver gives the connection up. Gone, Check, Aid and the names are for anyone.
type Helm struct {
	side      Side
	migration string
	log       zerolog.Logger
	tap       Tap

	pool *sql.DB // of one connection
	conn *sql.Conn
	id   uint64
	aid  *sql.DB // for KILL, and for looking while the session waits

	mu   sync.Mutex
	act  string
	n    int
	lost error // why the session is gone

	gone   chan struct{} // closed when the session is lost or closed
	once   sync.Once
	beater sync.WaitGroup
	stop   context.CancelFunc
}

// Take takes the helm of a server. fault.LeaseHeld: another coordinator has it and lives.
func Take(ctx context.Context, r Request) (*Helm, error) {
	if r.Silence == 0 {
		r.Silence = DefaultSilence
	}
	h := &Helm{side: r.Side, migration: r.Migration, tap: r.Tap, gone: make(chan struct{}),
		log: r.Log.With().Str("helm", string(r.Side)).Logger()}
	if err := h.open(ctx, r); err != nil {
		h.shut()
		return nil, fmt.Errorf("the helm of the %s: %w", r.Side, err)
	}
	ctx, h.stop = context.WithCancel(context.Background())
	h.beater.Go(func() { h.beat(ctx) })
	return h, nil
}

func (h *Helm) open(ctx context.Context, r Request) (err error) {
	if h.aid, err = server.Dial(ctx, r.Endpoint, server.Session{Connections: 4}); err != nil {
		return err
	}
	if err := install(ctx, h.aid); err != nil {
		return err
	}
	if h.pool, err = server.Dial(ctx, r.Endpoint, server.Session{Single: true, Vars: map[string]string{
		"innodb_lock_wait_timeout": "2", "lock_wait_timeout": "2", "wait_timeout": "86400"}}); err != nil {
		return err
	}
	if h.conn, err = h.pool.Conn(ctx); err != nil {
		return err
	}
	if err := h.conn.QueryRowContext(ctx, "SELECT CONNECTION_ID()").Scan(&h.id); err != nil {
		return err
	}
	if err := h.lock(ctx, r); err != nil {
		return err
	}
	_, err = h.conn.ExecContext(ctx, "REPLACE INTO `_changeover`.`helm` (migration, session, holder, control, beat) VALUES (?, ?, ?, ?, UTC_TIMESTAMP(6))",
		r.Migration, h.id, r.Holder.Name, r.Holder.Control)
	return err
}

// lockName is the lock's name on the server.
func lockName(migration string) string { return "changeover/" + migration }

// lock gets the lock, from a holder that is silent by ending its session. One that was there a moment ago may live,
// or have died and its session not have ended yet: it lives if its heartbeat moves.
func (h *Helm) lock(ctx context.Context, r Request) error {
	var first *sight
	for began := time.Now(); ; {
		var got sql.NullInt64
		if err := h.conn.QueryRowContext(ctx, "SELECT GET_LOCK(?, 0)", lockName(r.Migration)).Scan(&got); err != nil {
			return err
		}
		if got.Int64 == 1 {
			return nil
		}
		now, err := h.holder(ctx)
		switch {
		case err != nil:
			return err
		case now.session == 0:
			continue // it has let go meanwhile
		case now.session == r.Own || now.silent >= r.Silence || now.silent <= -r.Silence:
			h.log.Warn().Str("holder", now.who.Name).Dur("silent", now.silent).Msg("ending the session of a coordinator that is silent")
			if err := End(ctx, h.aid, now.session); err != nil {
				return err
			}
			continue
		case first == nil:
			first = &now
		case now.session != first.session || now.beat != first.beat || time.Since(began) >= r.Silence:
			return fault.New(fault.LeaseHeld, "migration %s is run by %s (control %s), which has the helm of the %s and was there %v ago",
				r.Migration, now.who.Name, now.who.Control, r.Side, now.silent.Round(time.Millisecond))
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// End ends a session, and waits until the server has done with it.
func End(ctx context.Context, db *sql.DB, session uint64) error {
	for {
		_, err := db.ExecContext(ctx, fmt.Sprintf("KILL %d", session))
		switch {
		case state.Number(err) == 1094: // no such thread
			return nil
		case err != nil:
			return fmt.Errorf("end session %d: %w", session, err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(2 * time.Millisecond):
		}
	}
}

// sight is what was seen of who has the lock.
type sight struct {
	who     Holder
	session uint64 // 0: nobody has it
	beat    string // of its heartbeat; empty if it has not said its name yet
	silent  time.Duration
}

// holder is who has the lock now.
func (h *Helm) holder(ctx context.Context) (s sight, err error) {
	var id sql.NullInt64
	if err := h.conn.QueryRowContext(ctx, "SELECT IS_USED_LOCK(?)", lockName(h.migration)).Scan(&id); err != nil || !id.Valid {
		return s, err
	}
	s.session = uint64(id.Int64)
	var micros int64
	err = h.conn.QueryRowContext(ctx, "SELECT holder, control, CAST(beat AS CHAR), TIMESTAMPDIFF(MICROSECOND, beat, UTC_TIMESTAMP(6)) FROM `_changeover`.`helm` WHERE migration = ? AND session = ?",
		h.migration, s.session).Scan(&s.who.Name, &s.who.Control, &s.beat, &micros)
	if errors.Is(err, sql.ErrNoRows) {
		// It has the lock and has not said its name yet, or died in between: it gets the time that it has.
		s.who.Name = fmt.Sprintf("session %d", s.session)
		return s, nil
	}
	s.silent = time.Duration(micros) * time.Microsecond
	return s, err
}

// beat says that we are here, until the session is gone. It does so by the other way in: rows of the
// session may be open at any time, and nothing else can be sent on it then.
func (h *Helm) beat(ctx context.Context) {
	tick := time.NewTicker(beatEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		err := h.beatOnce(ctx)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			h.fail(err)
			return
		}
	}
}

// beatOnce fails if the session does not hold the lock any more, or nobody answers for as long as it
// takes to be taken for dead.
func (h *Helm) beatOnce(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, DefaultSilence)
	defer cancel()
	for {
		err := h.Check(ctx)
		if errors.Is(err, ErrLost) {
			return err
		}
		if err == nil {
			_, err = h.aid.ExecContext(ctx, "UPDATE `_changeover`.`helm` SET beat = UTC_TIMESTAMP(6) WHERE migration = ? AND session = ?", h.migration, h.id)
		}
		if err == nil || ctx.Err() != nil {
			return err
		}
		select { // a connection of the pool was cut: the session's own may be there
		case <-ctx.Done():
			return err
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// fail notes that the session is no more.
func (h *Helm) fail(err error) {
	h.mu.Lock()
	if h.lost == nil {
		h.lost = err
		h.log.Warn().Err(err).Msg("the helm is lost")
	}
	h.mu.Unlock()
	h.once.Do(func() { close(h.gone) })
}

// Gone is closed when the session is lost or the helm was closed.
func (h *Helm) Gone() <-chan struct{} { return h.gone }

// ErrLost is in the error of each statement after the session was lost.
var ErrLost = errors.New("the helm is lost")

// Check fails unless the session lives and holds the lock. It asks by the other way in, so anybody may
// call it at any time.
func (h *Helm) Check(ctx context.Context) error {
	if err := h.there(); err != nil {
		return err
	}
	var holds sql.NullBool
	if err := h.aid.QueryRowContext(ctx, "SELECT IS_USED_LOCK(?) = ?", lockName(h.migration), h.id).Scan(&holds); err != nil {
		return err
	}
	if !holds.Bool {
		return fmt.Errorf("%w: the session does not hold the lock", ErrLost)
	}
	return nil
}

// Side is the side whose helm it is.
func (h *Helm) Side() Side { return h.side }

// Aid is a small pool to the same server: for KILL, and for looking while the session waits.
func (h *Helm) Aid() *sql.DB { return h.aid }

// Session is the server's number of the session.
func (h *Helm) Session() uint64 { return h.id }

// SetAct names what the coordinator does from now on, for the Tap.
func (h *Helm) SetAct(act string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.act != act {
		h.act, h.n = act, 0
	}
}

// ExecContext runs a statement that changes the server. When ctx ends the statement is ended in the
// server, by KILL QUERY, and its answer waited for: a session that is dropped instead would be the
// helm, and what it was about to do would still be done.
func (h *Helm) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	if err := errors.Join(h.there(), ctx.Err()); err != nil {
		return nil, err
	}
	answered := h.tell(query)
	bounded, drop := context.WithCancel(context.WithoutCancel(ctx))
	defer drop()
	ended := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(ended)
		h.endStatement(drop)
	})
	res, err := h.conn.ExecContext(bounded, query, args...)
	answered(err)
	if !stop() {
		<-ended // it must not meet the next statement
		if state.Number(err) == 1317 && ctx.Err() != nil {
			return res, fmt.Errorf("%w: %w", ctx.Err(), err)
		}
	}
	return res, h.noted(err)
}

// answerWithin is how long the session may be without an answer after its statement was ended, and
// when it only asks.
const answerWithin = 5 * time.Second

// endStatement ends what the session runs. A server that does not even answer that: the session is
// given up.
func (h *Helm) endStatement(drop func()) {
	ctx, cancel := context.WithTimeout(context.Background(), answerWithin)
	defer cancel()
	if _, err := h.aid.ExecContext(ctx, fmt.Sprintf("KILL QUERY %d", h.id)); err != nil && state.Number(err) != 1094 {
		drop()
	}
}

func (h *Helm) tell(query string) func(error) {
	if h.tap == nil || ofSession(query) {
		return func(error) {}
	}
	h.mu.Lock()
	h.n++
	act, n := h.act, h.n
	h.mu.Unlock()
	return h.tap(h.side, act, n, query)
}

// ofSession tells statements that change the session only, which dies with its coordinator.
func ofSession(query string) bool {
	return strings.HasPrefix(query, "SET SESSION ") || strings.HasPrefix(query, "SET character_set_client") || strings.HasPrefix(query, "USE ")
}

// QueryContext runs a statement that asks.
func (h *Helm) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	if err := h.there(); err != nil {
		return nil, err
	}
	rows, err := h.conn.QueryContext(patient(ctx), query, args...)
	return rows, h.noted(err)
}

// patient is a context that outlasts ctx a little: the end of a context would cost the session.
func patient(ctx context.Context) context.Context {
	bounded, cancel := context.WithCancel(context.WithoutCancel(ctx))
	time.AfterFunc(answerWithin, cancel)
	return bounded
}

// QueryRowContext runs a statement that asks for one row.
func (h *Helm) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	return h.conn.QueryRowContext(patient(ctx), query, args...)
}

func (h *Helm) there() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.lost != nil {
		return fmt.Errorf("%w: %w", ErrLost, h.lost)
	}
	return nil
}

// noted looks whether an error means that the session is gone. The end of its own context does: the
// driver closes a connection whose answer it no longer waits for.
func (h *Helm) noted(err error) error {
	if err != nil && (state.Lost(err) || errors.Is(err, server.ErrLost) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)) {
		h.fail(err)
		return fmt.Errorf("%w: %w", ErrLost, err)
	}
	return err
}

// Close gives the helm back. The lock is let go of first: the server may take its time to end a session.
func (h *Helm) Close() {
	if h.stop != nil {
		h.stop()
	}
	h.beater.Wait()
	if h.there() == nil {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		_, _ = h.conn.ExecContext(ctx, "DO RELEASE_LOCK(?)", lockName(h.migration))
		cancel()
	}
	h.mu.Lock()
	if h.lost == nil {
		h.lost = sql.ErrConnDone
	}
	h.mu.Unlock()
	h.once.Do(func() { close(h.gone) })
	h.shut()
}

func (h *Helm) shut() {
	if h.conn != nil {
		_ = h.conn.Close()
	}
	for _, db := range []*sql.DB{h.pool, h.aid} {
		if db != nil {
			_ = db.Close()
		}
	}
}
