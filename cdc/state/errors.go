package state

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"net"
	"strings"

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
	erOutfileWrite      = 3
	erDiskFull          = 1021
	erErrorOnWrite      = 1026
	erGetErrno          = 1030
	erConCount          = 1040 // too many connections: somebody will leave
	erDenied            = 1044 // access denied to a database
	erUnknownDatabase   = 1049
	erShutdown          = 1053
	erNoSuchThread      = 1094
	erTableFull         = 1114
	erNoSuchTable       = 1146
	erTableDenied       = 1142
	erErrorOnCommit     = 1180
	erNetReadError      = 1158
	erNetReadInterrupt  = 1159
	erNetErrorOnWrite   = 1160
	erNetWriteInterrupt = 1161
	erUnknownVariable   = 1193
	erMaxUser           = 1203
	erLockWait          = 1205
	erDeadlock          = 1213
	erSpecificDenied    = 1227
	erOption            = 1290 // read_only, and other options
	erInterrupted       = 1317
	erBinlog            = 1598
	erReadOnly          = 1792 // a READ ONLY transaction
	erReadMode          = 1836
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

// Full knows a server without room by its many names: from InnoDB, the binlog, temporary files.
func Full(err error) bool {
	switch Number(err) {
	case erDiskFull, erTableFull:
		return true
	case erOutfileWrite, erErrorOnWrite, erGetErrno, erErrorOnCommit, erBinlog:
		text := err.Error()
		return strings.Contains(text, "rror 28") || strings.Contains(text, "rrno: 28") ||
			strings.Contains(text, "rrno 28") || strings.Contains(text, "No space left")
	}
	return false
}

// ReadOnly tells whether the server takes no writes now: it is a reader, as Aurora's old writer is
// after a failover.
func ReadOnly(err error) bool {
	switch Number(err) {
	case erOption, erReadOnly, erReadMode:
		return true
	}
	return false
}

// Passes tells whether the same may succeed a little later.
func Passes(err error) bool { return Conflict(err) || Lost(err) || Full(err) || ReadOnly(err) }
