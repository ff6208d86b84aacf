package source

import (
	"encoding/binary"

	"changeover/internal/server"
)

// The codes of a query event's status variables. Both flavors share those up to 11; MariaDB
// counts its own from 128.
const (
	qFlags2                 = 0
	qSQLMode                = 1
	qCatalog                = 2
	qAutoIncrement          = 3
	qCharset                = 4
	qTimeZone               = 5
	qCatalogNZ              = 6
	qLCTimeNames            = 7
	qCharsetDatabase        = 8
	qTableMapForUpdate      = 9
	qMasterDataWritten      = 10
	qInvoker                = 11
	qUpdatedDBNames         = 12
	qMicroseconds           = 13
	qCommitTS               = 14
	qCommitTS2              = 15
	qExplicitDefaultsTS     = 16
	qDDLLoggedWithXID       = 17
	qDefaultCollationUTF8   = 18
	qSQLRequirePrimaryKey   = 19
	qDefaultTableEncryption = 20
	qHRNow                  = 128
	qXID                    = 129
)

// Bits of qFlags2: the session's options that are written to the binlog.
const (
	optionNoForeignKeyChecks = 1 << 26
	optionRelaxedUnique      = 1 << 27
	optionExplicitDefaults   = 1 << 24 // MariaDB ≥ 10.8; off in those before
)

// tooManyDatabases is the count that stands for "more than are listed".
const tooManyDatabases = 254

// parseStatusVars reads what a query event says of its session. The variables have no length of
// their own, so reading ends at the first code that is not known: what came before it holds, the
// rest is left unset. complete tells that nothing was left.
func parseStatusVars(flavor server.Flavor, vars []byte) (s SessionVars, complete bool) {
	r := varReader{rest: vars}
	for len(r.rest) > 0 && !r.short {
		code := r.uint(1)
		if !r.variable(flavor, code, &s) {
			return s, false
		}
	}
	return s, !r.short
}

// varReader takes values off the front; once one is cut short, every further one is zero.
type varReader struct {
	rest  []byte
	short bool
}

func (r *varReader) bytes(n int) []byte {
	if n > len(r.rest) {
		r.rest, r.short = nil, true
		return make([]byte, n)
	}
	b := r.rest[:n]
	r.rest = r.rest[n:]
	return b
}

// uint takes a little-endian number of n ≤ 8 bytes.
func (r *varReader) uint(n int) uint64 {
	var b [8]byte
	copy(b[:], r.bytes(n))
	return binary.LittleEndian.Uint64(b[:])
}

// text takes a string that is led by its length.
func (r *varReader) text() string { return string(r.bytes(int(r.uint(1)))) }

// variable reads the value of code into s; false: the code is unknown, and so is its length.
// A value that was cut short is not kept.
func (r *varReader) variable(flavor server.Flavor, code uint64, s *SessionVars) bool {
	before := *s
	known := true
	switch {
	case code <= qInvoker:
		r.shared(flavor, code, s)
	case flavor == server.MariaDB:
		known = r.mariaDB(code, s)
	default:
		known = r.mySQL(code, s)
	}
	if r.short {
		*s = before
	}
	return known
}

func (r *varReader) shared(flavor server.Flavor, code uint64, s *SessionVars) {
	switch code {
	case qFlags2:
		flags := r.uint(4)
		s.ForeignKeyChecks = ptr(flags&optionNoForeignKeyChecks == 0)
		s.UniqueChecks = ptr(flags&optionRelaxedUnique == 0)
		if flavor == server.MariaDB {
			s.ExplicitDefaultsTS = ptr(flags&optionExplicitDefaults != 0)
		}
	case qSQLMode:
		s.SQLMode = ptr(r.uint(8))
	case qCatalog:
		r.text()
		r.bytes(1)
	case qAutoIncrement:
		s.AutoIncrementInc, s.AutoIncrementOffset = uint16(r.uint(2)), uint16(r.uint(2))
	case qCharset:
		s.CharsetClient = uint16(r.uint(2))
		s.CollationConnection = uint16(r.uint(2))
		s.CollationServer = uint16(r.uint(2))
	case qTimeZone:
		s.TimeZone = r.text()
	case qCatalogNZ:
		r.text()
	case qLCTimeNames:
		s.LCTimeNames = uint16(r.uint(2))
	case qCharsetDatabase:
		s.CollationDatabase = uint16(r.uint(2))
	case qTableMapForUpdate:
		r.bytes(8)
	case qMasterDataWritten:
		r.bytes(4)
	case qInvoker:
		r.text()
		r.text()
	}
}

func (r *varReader) mySQL(code uint64, s *SessionVars) bool {
	switch code {
	case qUpdatedDBNames:
		r.databases()
	case qMicroseconds:
		s.Microseconds = uint32(r.uint(3))
	case qExplicitDefaultsTS:
		s.ExplicitDefaultsTS = ptr(r.uint(1) != 0)
	case qDDLLoggedWithXID:
		r.bytes(8)
	case qDefaultCollationUTF8:
		s.DefaultCollationUTF8 = uint16(r.uint(2))
	case qSQLRequirePrimaryKey, qDefaultTableEncryption:
		r.bytes(1)
	default: // qCommitTS and qCommitTS2 too: reserved, never written
		return false
	}
	return true
}

func (r *varReader) mariaDB(code uint64, s *SessionVars) bool {
	switch code {
	case qHRNow:
		s.Microseconds = uint32(r.uint(3))
	case qXID:
		r.bytes(8)
	default:
		return false
	}
	return true
}

// databases skips the names of the databases that the statement changed, each ended by a zero.
func (r *varReader) databases() {
	count := r.uint(1)
	if count == tooManyDatabases {
		return
	}
	for range count {
		for !r.short && r.uint(1) != 0 {
		}
	}
}

func ptr[T any](v T) *T { return &v }
