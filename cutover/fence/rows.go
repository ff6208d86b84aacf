package fence

import (
	"context"
	"errors"
	"strings"

	"github.com/go-sql-driver/mysql"

	"changeover/internal/server"
)

// row is one row of a server's answer, by the columns' names in lower case; NULL is empty.
type row map[string]string

// ask reads all rows of a query.
func ask(ctx context.Context, q server.Queryer, query string, args ...any) ([]row, error) {
	names, rows, err := server.Rows(ctx, q, query, args...)
	var all []row
	for _, values := range rows {
		r := make(row, len(names))
		for i, name := range names {
			r[strings.ToLower(name)] = values[i].String
		}
		all = append(all, r)
	}
	return all, err
}

// number is the server's number of an error, or 0.
func number(err error) uint16 {
	var e *mysql.MySQLError
	if errors.As(err, &e) {
		return e.Number
	}
	return 0
}

// The server's numbers that something here goes by.
const (
	erAccessDenied    = 1044 // to a database
	erWrongPassword   = 1045
	erUnknownTable    = 1109 // of information_schema
	erTableDenied     = 1142
	erNoTable         = 1146
	erRoutineMissing  = 1305
	erUnknownVariable = 1193
	erRoutineDenied   = 1370
	erNoThread        = 1094
	erKillDenied      = 1095
	erPrivilege       = 1227
	erOption          = 1290 // the server runs with --read-only, and other options
	erInterrupted     = 1317
	erPasswordHash    = 1372
	erXADenied        = 1401 // XA RECOVER without XA_RECOVER_ADMIN
	erNoEvent         = 1539
	erKilled          = 1927 // MariaDB's last word to a session that is killed
	erEngineReadOnly  = 1836
	erReadOnlyTx      = 1792
	erPasswordPolicy  = 1819
	erLockedMySQL     = 3118
	erLockedMariaDB   = 4151
)

// denied tells whether err is the server's word for a missing privilege.
func denied(err error) bool {
	switch number(err) {
	case erAccessDenied, erTableDenied, erRoutineDenied, erPrivilege, erXADenied:
		return true
	}
	return false
}
