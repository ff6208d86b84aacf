package state

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"changeover/internal/fault"
	"changeover/internal/server"
)

// Token is proof of a right to write: 32 hex digits, made afresh whenever the right changes hands
// and never used twice.
type Token string

func newToken() Token {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	return Token(hex.EncodeToString(b[:]))
}

// assertBase is the greatest BIGINT UNSIGNED. Adding to it is how a statement
// inside a packet of many asserts something: a wrong answer is error 1690, which ends the packet
// before its COMMIT. SQL has no ASSERT; SIGNAL needs a stored program; DO swallows errors.
const assertBase = "18446744073709551615"

// erOutOfRange is what an assertion in a packet fails with.
const erOutOfRange = 1690

// AppendTokenCheck appends one statement that locks the token row of worker and fails with error
// 1690 unless that row is there and holds token (TokenRefused tells). It is the first statement of
// every transaction that writes rows. It returns one row.
//
// A locking read finds the row's newest version, waits for whoever changes it, and keeps the lock
// to the transaction's end. An UPDATE can't be had to fail for a row that is missing.
func AppendTokenCheck(dst []byte, migration string, worker int, token Token) []byte {
	dst = append(dst, "SELECT "+assertBase+" + (COUNT(*) <> 1) FROM `_changeover`.`worker` WHERE migration = "...)
	dst = appendText(dst, migration)
	dst = append(dst, " AND worker = "...)
	dst = strconv.AppendInt(dst, int64(worker), 10)
	dst = append(dst, " AND token = "...)
	dst = appendText(dst, string(token))
	return append(dst, " FOR UPDATE"...)
}

// TokenRefused tells whether err is a failed token check: the worker's token was changed.
func TokenRefused(err error) bool {
	return Number(err) == erOutOfRange && strings.Contains(strings.ToLower(err.Error()), "(count(")
}

// AppendRowCountCheck appends one statement that fails with error 1690 unless the statement before
// it affected exactly one row (RowCountFailed tells). It returns one row.
func AppendRowCountCheck(dst []byte) []byte {
	return append(dst, "SELECT "+assertBase+" + (ROW_COUNT() <> 1)"...)
}

// RowCountFailed tells whether err is a failed row count check.
func RowCountFailed(err error) bool {
	return Number(err) == erOutOfRange && strings.Contains(strings.ToLower(err.Error()), "row_count(")
}

// checkLease locks the lease against takers and fails unless it holds token. Runners share the
// lock; a taker waits until their transactions have ended.
func checkLease(ctx context.Context, tx *sql.Tx, migration string, token Token) error {
	q := newStatement("SELECT token, holder, control, since FROM `_changeover`.`lease` WHERE migration = ").
		text(migration).sql(" LOCK IN SHARE MODE")
	var h Holder
	var found, since string
	err := tx.QueryRowContext(ctx, q.String()).Scan(&found, &h.Name, &h.Control, &since)
	switch {
	case err == sql.ErrNoRows:
		return fault.New(fault.LeaseLost, "the lease of migration %s is gone", migration)
	case err != nil:
		return err
	case Token(found) != token:
		return fault.New(fault.LeaseLost, "migration %s is run by %s since %s UTC", migration, h, since)
	}
	return nil
}

// ChangeToken gives worker a new token, creating its row if need be, and returns it once that is
// committed. The change waits for the transaction that still holds the old one, so that afterwards
// `applied` says for good what the old session did: it can do no more.
//
// It fails with fault.LeaseLost if the lease is not ours any more, so it never steals; with an
// error for which Conflict is true if the old session was not done within innodb_lock_wait_timeout:
// call it again, and after a while EndSession. If its answer is lost, call it again: a token whose change was not confirmed is
// never used, so it doesn't matter which of the two sticks.
func (l *Lease) ChangeToken(ctx context.Context, conn *sql.Conn, worker int) (Token, error) {
	fresh := newToken()
	client, err := thisClient(ctx, conn)
	if err != nil {
		return fresh, wrap(fmt.Sprintf("change the token of worker %d", worker), err)
	}
	// A worker may be silent for long, but not in here: see Session.
	if _, err := conn.ExecContext(ctx, fmt.Sprintf("SET @silence = @@SESSION.wait_timeout, SESSION wait_timeout = %d", longestSilence)); err != nil {
		return fresh, wrap(fmt.Sprintf("change the token of worker %d", worker), err)
	}
	defer func() { _, _ = conn.ExecContext(ctx, "SET SESSION wait_timeout = @silence") }()
	err = transact(ctx, conn, func(tx *sql.Tx) error {
		// The worker's row first: this may wait long, and the lease's lock, which a taker waits
		// for, should be held only for a moment.
		q := newStatement("INSERT INTO `_changeover`.`worker` (migration, worker, token, session, client) VALUES (").
			text(l.migration).sql(", ").int(int64(worker)).sql(", ").text(string(fresh)).
			sql(", CONNECTION_ID(), ").text(client).sql(") ON DUPLICATE KEY UPDATE token = ").text(string(fresh)).
			sql(", session = CONNECTION_ID(), client = ").text(client)
		if _, err := exec(ctx, tx, q); err != nil {
			return err
		}
		return checkLease(ctx, tx, l.migration, l.token)
	})
	return fresh, wrap(fmt.Sprintf("change the token of worker %d", worker), err)
}

// thisClient is the address and port from which conn's session came. With the session's id it names
// the session for good: ids begin again when the server restarts.
func thisClient(ctx context.Context, conn *sql.Conn) (client string, err error) {
	var id uint64
	if err := conn.QueryRowContext(ctx, "SELECT CONNECTION_ID()").Scan(&id); err != nil {
		return "", err
	}
	client, _, err = clientOf(ctx, conn, id)
	return client, err
}

// clientOf is where the session id came from; ok is false if there is none of that id.
func clientOf(ctx context.Context, conn *sql.Conn, id uint64) (client string, ok bool, err error) {
	all, err := server.Processes(ctx, conn)
	for _, p := range all {
		if p.ID == id {
			return p.Host, true, err
		}
	}
	return "", false, err
}

// EndSession kills the session that has the token of worker, if it is still there, conn's own
// excepted; ended tells whether it was. It is for a session that no ChangeToken outwaits: its
// client is frozen, or was cut off without the server noticing, in the middle of a transaction,
// whose locks it then keeps for hours.
func (l *Lease) EndSession(ctx context.Context, conn *sql.Conn, worker int) (ended bool, err error) {
	defer func() { err = wrap(fmt.Sprintf("end the session of worker %d", worker), err) }()
	q := newStatement("SELECT session, client FROM `_changeover`.`worker` WHERE session <> CONNECTION_ID() AND migration = ").
		text(l.migration).sql(" AND worker = ").int(int64(worker))
	var session uint64
	var client string
	if err := conn.QueryRowContext(ctx, q.String()).Scan(&session, &client); err != nil {
		return false, ignoreNoRows(err)
	}
	if found, ok, err := clientOf(ctx, conn, session); err != nil || !ok || found != client {
		return false, err
	}
	if _, err = conn.ExecContext(ctx, newStatement("KILL ").uint(session).String()); err != nil && Number(err) != erNoSuchThread {
		return false, err
	}
	l.log.Warn().Int("worker", worker).Uint64("session", session).Str("client", client).
		Msg("ended a session that kept its transaction open")
	return true, nil
}

func ignoreNoRows(err error) error {
	if isNoRows(err) {
		return nil
	}
	return err
}
