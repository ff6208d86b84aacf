package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/go-sql-driver/mysql"
)

// Refusal is an answer that is final: the caller has to ask for something else. Nothing was written.
type Refusal struct {
	Code    Code
	Field   string // of the request; may be empty
	Message string
	Version uint32 // the present one, of a VersionConflict
}

func (r *Refusal) Error() string {
	if r.Field != "" {
		return fmt.Sprintf("%s (%s): %s", r.Code, r.Field, r.Message)
	}
	return fmt.Sprintf("%s: %s", r.Code, r.Message)
}

// Code is a kind of refusal, as the API says it.
type Code string

// The kinds of refusals.
const (
	BadValue        Code = "bad-value"
	NoSession       Code = "no-session"
	WrongPassword   Code = "wrong-password"
	NotYours        Code = "not-yours"
	NotFound        Code = "not-found"
	Taken           Code = "taken"
	VersionConflict Code = "version-conflict"
	OperationReused Code = "operation-reused"
	NotAllowed      Code = "not-allowed"
)

func refuse(code Code, format string, args ...any) error {
	return &Refusal{Code: code, Message: fmt.Sprintf(format, args...)}
}

func badValue(field, format string, args ...any) error {
	return &Refusal{Code: BadValue, Field: field, Message: fmt.Sprintf(format, args...)}
}

// ErrUnavailable says that no writer could be had in time. The operation may or may not have been carried
// out; the same one may be sent again.
var ErrUnavailable = errors.New("the database can't be reached just now")

// The server's error numbers.
const (
	erDupEntry         = 1062
	erLockWaitTimeout  = 1205
	erDeadlock         = 1213
	erOptionPrevents   = 1290 // read_only, and other options
	erQueryInterrupted = 1317
	erUnknownColumn    = 1054
	erNoSuchTable      = 1146
	erReadOnlyTransact = 1792
	erReadOnlyMode     = 1836
	erTooManyConns     = 1040
	erShutdown         = 1053
	erNormalShutdown   = 1077
	erAccountLocked    = 3118
	erAccountLockedDB  = 4151 // MariaDB's
	erConnKilled       = 1927 // MariaDB's
	erOffline          = 3032
	erCheckViolated    = 3819
	erCheckViolatedDB  = 4025 // MariaDB's
)

// class is what an error of a write transaction means for the transaction.
type class int

const (
	// callers: the statement was refused; the transaction is rolled back.
	callers class = iota
	// again: it did not take place, and may at once be tried again where it was.
	again
	// elsewhere: the server takes no writes. It did not take place; the route may have changed.
	elsewhere
	// lost: the connection is gone. Whether it took place is told by the operation id.
	lost
	// shape: the tables are no longer as they were when last looked at.
	shape
	// cancelled: the gate could wait for it no longer. The rest is as for lost.
	cancelled
)

// classify sorts an error by its number alone; 1290 has other causes, see reallyReadOnly.
func classify(err error) class {
	var my *mysql.MySQLError
	if errors.As(err, &my) {
		switch my.Number {
		case erDeadlock, erLockWaitTimeout:
			return again
		case erOptionPrevents, erReadOnlyTransact, erReadOnlyMode, erAccountLocked, erAccountLockedDB, erOffline:
			return elsewhere
		case erShutdown, erNormalShutdown, erConnKilled, erTooManyConns, erQueryInterrupted:
			return lost
		case erUnknownColumn, erNoSuchTable:
			return shape
		}
		return callers
	}
	var network net.Error
	var raced errRetry
	switch {
	case errors.As(err, &raced):
		return again
	case errors.Is(err, driver.ErrBadConn), errors.Is(err, mysql.ErrInvalidConn), errors.Is(err, sql.ErrConnDone),
		errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.As(err, &network):
		return lost
	}
	return callers
}

// duplicate tells the unique key that err says a row has doubled, without its table.
func duplicate(err error) (key string, ok bool) {
	var my *mysql.MySQLError
	if !errors.As(err, &my) || my.Number != erDupEntry {
		return "", false
	}
	end := strings.LastIndexByte(my.Message, '\'')
	if end < 0 {
		return "", true
	}
	key = my.Message[strings.LastIndexByte(my.Message[:end], '\'')+1 : end]
	return key[strings.LastIndexByte(key, '.')+1:], true // MySQL says table.key, MariaDB key
}

// isDuplicateOp tells whether the operation's own row was there already.
func isDuplicateOp(err error) bool {
	key, ok := duplicate(err)
	return ok && strings.HasSuffix(key, "_op")
}

func ended(ctx context.Context) bool { return ctx.Err() != nil }
