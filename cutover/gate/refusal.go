package gate

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"reflect"
	"strings"
)

var errSwapped = errors.New("source and target are mixed up")

// The numbers of servers' errors that mean something to a gate.
const (
	erTooManyConns      = 1040
	erShutdown          = 1053
	erNormalShutdown    = 1077
	erLockWaitTimeout   = 1205
	erDeadlock          = 1213
	erOptionPrevents    = 1290 // read_only, and other options
	erReadOnlyTransact  = 1792
	erReadOnlyMode      = 1836
	erConnKilled        = 1927 // MariaDB's
	erOffline           = 3032
	erRolledBackByGroup = 3101 // at COMMIT, by group replication
	erAccountLocked     = 3118
	erClientTimeout     = 4031
	erAccountLockedDB   = 4151 // MariaDB's
)

// meaning is what an error of a write means for the write.
type meaning int

const (
	callers    meaning = iota // the statement was refused, or the caller's function failed
	again                     // not applied; may be tried again where it was
	turnedAway                // not applied; the server takes no writes
	lost                      // the connection is gone
)

// meaningOf sorts a server's error by its number.
func (g *Gate) meaningOf(ctx context.Context, err error, side Side) meaning {
	n, ok := g.cfg.Number(err)
	if !ok {
		return callers
	}
	switch n {
	case erDeadlock, erLockWaitTimeout, erTooManyConns, erRolledBackByGroup:
		return again
	case erReadOnlyMode, erAccountLocked, erAccountLockedDB, erOffline:
		return turnedAway
	case erOptionPrevents, erReadOnlyTransact:
		// Other options, and a transaction that was begun as READ ONLY, have the same codes. What was on a moment ago may be off
		// by now; then the message, which names the option in any language, is all that is left.
		if on, err := g.pools[side].refuses(ctx); err == nil && on {
			return turnedAway
		}
		if m := strings.ToLower(err.Error()); n == erOptionPrevents && (strings.Contains(m, "read-only") || strings.Contains(m, "read_only")) {
			return turnedAway
		}
	case erShutdown, erNormalShutdown, erConnKilled, erClientTimeout:
		return lost
	}
	return callers
}

// refuses asks the server whether it refuses the application's writes.
func (p *pool) refuses(ctx context.Context) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	rows, err := p.ear.QueryContext(ctx, "SHOW GLOBAL VARIABLES WHERE Variable_name IN "+
		"('read_only', 'super_read_only', 'innodb_read_only', 'transaction_read_only', 'tx_read_only')")
	if err != nil {
		return false, err
	}
	defer func() { _ = rows.Close() }()
	on := false
	for rows.Next() {
		var name, value string
		if err := rows.Scan(&name, &value); err != nil {
			return false, err
		}
		// MariaDB 12 has more values than ON.
		on = on || value != "OFF" && value != "0"
	}
	return on, rows.Err()
}

// isLost tells an error of the connection from others, where it has no number. go-sql-driver's own has no type
// by which it could be known without the driver, but a text that has been the same for ever.
func isLost(err error) bool {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return false
	}
	var network net.Error
	return errors.Is(err, driver.ErrBadConn) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.As(err, &network) ||
		strings.Contains(err.Error(), "invalid connection")
}

// numberField finds a field `Number uint16` in the chain of err.
func numberField(err error) (uint16, bool) {
	for err != nil {
		v := reflect.ValueOf(err)
		for v.Kind() == reflect.Pointer && !v.IsNil() {
			v = v.Elem()
		}
		if v.Kind() == reflect.Struct {
			if f := v.FieldByName("Number"); f.IsValid() && f.Kind() == reflect.Uint16 {
				return uint16(f.Uint()), true
			}
		}
		switch x := err.(type) {
		case interface{ Unwrap() error }:
			err = x.Unwrap()
		case interface{ Unwrap() []error }:
			for _, e := range x.Unwrap() {
				if n, ok := numberField(e); ok {
					return n, true
				}
			}
			return 0, false
		default:
			return 0, false
		}
	}
	return 0, false
}

// Refused tells the gate that a write through a Pass of that epoch failed with err. If the server has refused
// it because it takes no writes, nobody is let in there until it does, or the route rows name another.
func (g *Gate) Refused(ctx context.Context, err error, epoch uint64) {
	if err == nil {
		return
	}
	g.mu.Lock()
	side, current := g.door.side, g.door.epoch
	g.mu.Unlock()
	if epoch != current {
		return // it has moved on since
	}
	switch m := g.meaningOf(ctx, err, side); {
	case m == turnedAway:
		g.doubt(epoch, err)
	case m == lost || isLost(err):
		g.look()
	}
}

func (g *Gate) doubt(epoch uint64, why error) {
	g.update(func(d *door) { d.doubt(epoch) })
	g.cfg.Log.Debug("a server refused a write", "epoch", epoch, "error", fmt.Sprint(why))
	g.look()
}
