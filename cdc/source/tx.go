// Package source reads the stream: the source's committed transactions, whole, in commit order.
//
// In: a position and a connection. Out: one Tx after another from a queue bounded by bytes. The
// decision that matters: the reader knows no schema. It hands on what the binlog says, and the
// stream's consumer, which passes DDL in order, says which columns that means.
package source

import (
	"context"
	"errors"
	"time"

	"github.com/go-mysql-org/go-mysql/replication"
)

// Tx is one committed transaction of the source.
type Tx struct {
	// ID names the transaction for good: "uuid:gno", "uuid:tag:gno", "domain-server-seq", or
	// "file:offset" of its end where the source has no GTIDs. (Large, in file:offset mode, from a
	// server before 8.0: the end is not known before More has said io.EOF; until then ID is empty.)
	ID string
	// Log is where the transaction ends in the source's binlog, for logs and status only, except
	// in file:offset mode, where it is the position.
	Log LogPosition
	// Committed is when the source committed it (microseconds where the server says so).
	Committed time.Time
	Server    uint32 // server_id of the server where it was committed first

	// Statement is set for a transaction that is one statement of the binlog that is not a row
	// change: DDL and the like. CREATE TABLE … SELECT has Statement and Rows: the table first.
	Statement *Statement
	// Rows are the changes of wanted tables, in order. A transaction without Statement and Rows
	// changed nothing that is wanted; its id counts all the same.
	Rows []Rows

	// Ours: ReaderConfig.Ours knows it as Changeover's own. Its rows are left out.
	Ours bool

	// Bytes is about what the transaction holds in memory.
	Bytes int64
	// Large: the transaction is over the reader's budget. Rows is empty and the changes come
	// from More, in order, until it says io.EOF: only then is the transaction known to be committed
	// whole, and only then Next goes on. ErrInterrupted says that the connection broke: what came
	// so far is void, and Next hands the same transaction out again from its start. What More
	// returned belongs to the caller. Not safe for concurrent use.
	Large bool
	More  func(context.Context) ([]Rows, error)
}

// ErrInterrupted is More's word for a connection that broke in the middle of a transaction.
var ErrInterrupted = errors.New("the connection broke in the middle of the transaction; it comes again from its start")

// LogPosition is a place in the source's binlog.
type LogPosition struct {
	File   string
	Offset uint32 // wraps at 4 GiB: never compare
}

// RowsKind tells what a Rows event did.
type RowsKind uint8

// The kinds of a Rows event.
const (
	Insert RowsKind = iota
	Update          // Images come in pairs: before, after
	Delete
)

// Rows is one row event of the binlog.
type Rows struct {
	Schema, Table string
	Kind          RowsKind
	// Map is the table map that came with the event: column types, signedness, and names where
	// the source has binlog_row_metadata=FULL. Events with equal maps share one, so it may serve as
	// a cache's key; it must not be changed.
	Map *replication.TableMapEvent
	// Images has the rows as go-mysql decodes them: strings are bytes in the column's charset.
	Images [][]any
	// NoForeignKeyChecks and RelaxedUnique are the session's settings when it wrote.
	NoForeignKeyChecks, RelaxedUnique bool
}

// Statement is a QueryEvent that stands alone.
type Statement struct {
	// SQL is the text as the source logged it, in the session's CharsetClient; only the
	// START TRANSACTION that MySQL puts behind CREATE TABLE … SELECT's table is taken off.
	SQL     string
	Schema  string // the session's default database
	Session SessionVars
	// ErrorCode is what the statement ended with on the source: 0, or the error after which a part
	// of it was kept.
	ErrorCode uint16
}

// SessionVars is what the binlog says of the session that ran a statement, for running it again.
type SessionVars struct {
	SQLMode              *uint64
	CharsetClient        uint16 // collation ids; 0 where the binlog says nothing
	CollationConnection  uint16
	CollationServer      uint16
	DefaultCollationUTF8 uint16 // default_collation_for_utf8mb4
	CollationDatabase    uint16 // collation_database, where it isn't the server's
	LCTimeNames          uint16 // lc_time_names, by number; 0 is en_US
	TimeZone             string // empty: the statement doesn't depend on it
	Timestamp            uint32 // seconds
	Microseconds         uint32
	InsertID             uint64 // what the first AUTO_INCREMENT value was; 0: none
	AutoIncrementInc     uint16
	AutoIncrementOffset  uint16
	ForeignKeyChecks     *bool
	UniqueChecks         *bool
	ExplicitDefaultsTS   *bool
}
