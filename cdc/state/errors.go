package state

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"net"

	"github.com/go-sql-driver/mysql"
)

// Number is the server's error number inside err, 0 if the server said nothing.
func Number(err error) uint16 {
	var e *mysql.MySQLError
	if errors.As(err, &e) {
		return e.Number
	}
	return 0
}

// The server's errors that Changeover tells apart.
const (
	erConCount          = 1040 // too many connections: somebody will leave
	erDenied            = 1044 // access denied to a database
	erUnknownDatabase   = 1049
	erShutdown          = 1053
	erNoSuchTable       = 1146
	erTableDenied       = 1142
	erNetReadError      = 1158
	erNetReadInterrupt  = 1159
	erNetErrorOnWrite   = 1160
	erNetWriteInterrupt = 1161
	erMaxUser           = 1203
	erLockWait          = 1205
	erDeadlock          = 1213
	erSpecificDenied    = 1227
	erInterrupted       = 1317
	erUnknownVariable   = 1193
	erKilled            = 1927 // MariaDB
	erSessionKilled     = 3169
	erClientTimeout     = 4031
)

// Conflict tells whether the server gave a transaction up so that others could go on: a deadlock,
// a lock wait that took too long, or KILL QUERY. The same may be sent again after a ROLLBACK.
func Conflict(err error) bool {
	switch Number(err) {
	case erLockWait, erDeadlock, erInterrupted:
		return true
	}
	return false
}

// Lost tells whether the connection failed, so that nobody knows what the server did with what
// was sent last. A context's end is not a lost connection.
func Lost(err error) bool {
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return false
	}
	switch Number(err) {
	case 0:
		return lostBelow(err)
	case erConCount, erShutdown, erMaxUser, erKilled, erSessionKilled, erClientTimeout,
		erNetReadError, erNetReadInterrupt, erNetErrorOnWrite, erNetWriteInterrupt:
		return true
	}
	return false
}

func lostBelow(err error) bool {
	for _, known := range []error{driver.ErrBadConn, mysql.ErrInvalidConn, sql.ErrConnDone,
		io.EOF, io.ErrUnexpectedEOF, net.ErrClosed, mysql.ErrPktSync, mysql.ErrBusyBuffer} {
		if errors.Is(err, known) {
			return true
		}
	}
	var network net.Error
	return errors.As(err, &network)
}

// passes tells whether the same may succeed a little later.
func passes(err error) bool { return Conflict(err) || Lost(err) }
