package snapshot

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/go-mysql-org/go-mysql/client"
	"github.com/go-mysql-org/go-mysql/mysql"

	"changeover/internal/fault"
	"changeover/internal/server"
)

// wire is a connection that hands on a result's rows as the server sent them. The drivers parse
// each value and then print it again; a copy has no use for that, and it was most of its time.
// Login and TLS are go-mysql's. Not for concurrent use.
type wire struct {
	conn *client.Conn
	stop func() bool // ends the watch on the context that it was dialled under
	buf  bytes.Buffer
	// broken: a result was not read to its end; nothing more can be asked here.
	broken bool
}

const connectTimeout = 10 * time.Second

// Packets of the text protocol.
const (
	comQuery  = 0x03
	packetOK  = 0x00
	packetEOF = 0xfe
	packetErr = 0xff
)

// dialWire connects and sets the session up for reading: UTC, strings in their own bytes. When ctx
// ends the connection is closed, whatever it is doing.
func dialWire(ctx context.Context, e server.Endpoint) (*wire, error) {
	conn, err := client.ConnectWithContext(ctx, e.Addr(), e.User, e.Password, "", connectTimeout, plain, wireTLS(e))
	if err != nil && e.TLS == nil && !e.NoTLS {
		// TLS was only preferred: a server without it refuses the attempt.
		conn, err = client.ConnectWithContext(ctx, e.Addr(), e.User, e.Password, "", connectTimeout, plain)
	}
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", e, err)
	}
	// The network's connection: Close of the layers above writes what a read in progress looks at.
	w := &wire{conn: conn, stop: context.AfterFunc(ctx, func() { _ = conn.Conn.Conn.Close() })}
	for _, set := range []string{
		"SET NAMES binary",
		"SET SESSION time_zone = '+00:00', sql_mode = 'ALLOW_INVALID_DATES'", // a range may begin or end at one
		"SET SESSION transaction_isolation = 'REPEATABLE-READ'",
		"SET SESSION net_write_timeout = 600, net_read_timeout = 600",
	} {
		if err := w.exec(set); err != nil {
			// MariaDB before 11.1 knows the isolation by its old name, and it is the default.
			if my := new(mysql.MyError); errors.As(err, &my) && my.Code == mysql.ER_UNKNOWN_SYSTEM_VARIABLE {
				continue
			}
			w.close()
			return nil, err
		}
	}
	return w, nil
}

func wireTLS(e server.Endpoint) client.Option {
	return func(c *client.Conn) error {
		switch {
		case e.TLS != nil:
			c.SetTLSConfig(e.TLS)
		case !e.NoTLS:
			c.SetTLSConfig(&tls.Config{InsecureSkipVerify: true}) //nolint:gosec // preferred: encrypted, not verified
		}
		return nil
	}
}

// plain keeps to the oldest form of results: a query is its text, and an EOF packet ends the rows.
func plain(c *client.Conn) error {
	c.UnsetCapability(mysql.CLIENT_DEPRECATE_EOF)
	c.UnsetCapability(mysql.CLIENT_QUERY_ATTRIBUTES)
	return nil
}

func (w *wire) close() {
	w.stop()
	_ = w.conn.Close()
}

// exec runs a statement that has no result rows.
func (w *wire) exec(sql string) error {
	if _, err := w.conn.Execute(sql); err != nil {
		return fmt.Errorf("%.60s: %w", sql, err)
	}
	return nil
}

// query sends a statement and reads the head of its result; then next gives the rows.
func (w *wire) query(sql []byte) error {
	packet := append(make([]byte, 4, 5+len(sql)), comQuery)
	w.conn.ResetSequence()
	if err := w.conn.WritePacket(append(packet, sql...)); err != nil {
		return err
	}
	head, err := w.packet()
	if err != nil {
		return err
	}
	switch head[0] {
	case packetErr:
		return w.conn.HandleErrorPacket(head)
	case packetOK:
		return errors.New("a query answered without a result")
	}
	columns, _, _ := mysql.LengthEncodedInt(head)
	for range columns + 1 { // the definitions and their EOF
		if _, err := w.packet(); err != nil {
			return err
		}
	}
	return nil
}

// next returns the next row's packet, valid until the next call; nil after the last row.
func (w *wire) next() ([]byte, error) {
	p, err := w.packet()
	if err != nil {
		return nil, err
	}
	switch {
	case p[0] == packetErr:
		return nil, w.conn.HandleErrorPacket(p)
	case p[0] == packetEOF && len(p) < 9:
		return nil, nil
	}
	return p, nil
}

func (w *wire) packet() ([]byte, error) {
	w.buf.Reset()
	if err := w.conn.ReadPacketTo(&w.buf); err != nil {
		return nil, err
	}
	if w.buf.Len() == 0 {
		return nil, errors.New("empty packet from the server")
	}
	return w.buf.Bytes(), nil
}

// largeRow is the size of a row whose buffer isn't kept for the next.
const largeRow = 4 << 20

// shrink lets go the buffer of a large row.
func (w *wire) shrink() {
	if w.buf.Cap() > largeRow {
		w.buf = bytes.Buffer{}
	}
}

// field cuts the next value off a row packet; a nil value is NULL.
func field(p []byte) (value, rest []byte, err error) {
	if len(p) == 0 {
		return nil, nil, errShortRow
	}
	n, skip := uint64(p[0]), 1
	switch p[0] {
	case 0xfb:
		return nil, p[1:], nil
	case 0xfc:
		skip = 3
	case 0xfd:
		skip = 4
	case 0xfe:
		skip = 9
	}
	if len(p) < skip {
		return nil, nil, errShortRow
	}
	switch skip {
	case 3:
		n = uint64(binary.LittleEndian.Uint16(p[1:]))
	case 4:
		n = uint64(p[1]) | uint64(p[2])<<8 | uint64(p[3])<<16
	case 9:
		n = binary.LittleEndian.Uint64(p[1:])
	}
	if uint64(len(p)-skip) < n {
		return nil, nil, errShortRow
	}
	end := skip + int(n)
	return p[skip:end:end], p[end:], nil
}

var errShortRow = errors.New("a row ends before its last column")

// unreadable is a row, or a key, that we can't make sense of: it will be the same next time.
type unreadable struct{ error }

func (e unreadable) Unwrap() error { return e.error }

// passing tells whether a failed read may succeed when it is repeated on a new connection.
func passing(err error) bool {
	if errors.Is(err, errNotYet) {
		return true
	}
	if _, ok := fault.CodeOf(err); ok || errors.As(err, new(unreadable)) {
		return false
	}
	my := new(mysql.MyError)
	if !errors.As(err, &my) {
		return true // not the server's answer: the connection
	}
	switch my.Code {
	case mysql.ER_CON_COUNT_ERROR, mysql.ER_SERVER_SHUTDOWN, mysql.ER_QUERY_INTERRUPTED, mysql.ER_LOCK_WAIT_TIMEOUT,
		mysql.ER_LOCK_DEADLOCK, mysql.ER_NET_READ_ERROR, mysql.ER_NET_WRITE_INTERRUPTED, mysql.ER_NET_ERROR_ON_WRITE, mysql.ER_OUT_OF_RESOURCES:
		return true
	}
	return false
}

// SchemaChanged tells whether a read failed because the table is not what it was.
func SchemaChanged(err error) bool {
	my := new(mysql.MyError)
	if !errors.As(err, &my) {
		return false
	}
	switch my.Code {
	case mysql.ER_BAD_FIELD_ERROR, mysql.ER_NO_SUCH_TABLE, mysql.ER_TABLE_DEF_CHANGED, mysql.ER_KEY_DOES_NOT_EXITS:
		return true
	}
	return false
}

// rebuilt tells whether a read failed because the table was built anew under its read view, which
// statements do too that change no definition.
func rebuilt(err error) bool {
	my := new(mysql.MyError)
	return errors.As(err, &my) && my.Code == mysql.ER_TABLE_DEF_CHANGED
}
