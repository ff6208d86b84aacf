package source

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-mysql-org/go-mysql/client"
	"github.com/go-mysql-org/go-mysql/mysql"
	"github.com/go-mysql-org/go-mysql/replication"
	"github.com/google/uuid"

	"changeover/internal/server"
)

// dump is a connection that streams a binlog.
//
// It is go-mysql's client, but not its BinlogSyncer. That one reads every packet whole (a compressed
// transaction may be 1 GiB), kills a remembered connection id on whatever server answers, at each
// reconnect and at Close, and sets its read deadline before it waits for its consumer, so that a
// consumer who rests a while finds the connection timed out.
type dump struct {
	conn     *client.Conn
	packets  packets
	checksum bool // events end with a CRC-32
	begun    bool // the format description, which says so for good, has been seen
	received *atomic.Int64
	head     [replication.EventHeaderSize]byte // of the event that is being read
}

// dumpConfig is what one dump needs.
type dumpConfig struct {
	addr      string // resolved: ip:port
	endpoint  server.Endpoint
	plain     bool // the server has no TLS
	flavor    server.Flavor
	serverID  uint32
	where     string        // who must answer: whereQuery's answer on the other connection
	replica   uuid.UUID     // the same for all connects of a Reader: the server ends our old dump
	heartbeat time.Duration // how often an idle server gives a sign of life
	silence   time.Duration // without a sign for so long, the server counts as dead
	received  *atomic.Int64 // bytes
}

// writeTimeout is how long the server holds a stream that is not read (its default is a minute):
// a paused consumer must not cost a reconnect.
const writeTimeout = 24 * time.Hour

// openDump connects, and begins to stream after the transactions of from.
func openDump(ctx context.Context, cfg dumpConfig, from Position) (*dump, error) {
	conn, err := client.ConnectWithDialer(ctx, "tcp", cfg.addr, cfg.endpoint.User, cfg.endpoint.Password, "",
		dialer(cfg.silence), func(c *client.Conn) error {
			if !cfg.plain {
				c.SetTLSConfig(tlsConfig(cfg.endpoint))
			}
			return nil
		})
	if err != nil {
		return nil, err
	}
	d := &dump{conn: conn, received: cfg.received}
	stop := context.AfterFunc(ctx, func() { d.close() })
	defer stop()
	if err := d.start(cfg, from); err != nil {
		d.close()
		return nil, err
	}
	return d, nil
}

// close may be called at any time, and more than once: a reading in progress ends with an error.
// The server notices at its next write, a heartbeat away at most.
// It is the network's connection that is closed: the layers above it are the reading goroutine's.
func (d *dump) close() { _ = d.conn.Conn.Conn.Close() }

func dialer(silence time.Duration) client.Dialer {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		d := net.Dialer{Timeout: 10 * time.Second}
		c, err := d.DialContext(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		return &watchedConn{Conn: c, silence: silence}, nil
	}
}

// watchedConn gives each read its own deadline: time that passes between reads, while the queue is
// full, is not the server's silence.
type watchedConn struct {
	net.Conn
	silence time.Duration
	set     time.Time
}

func (c *watchedConn) Read(b []byte) (int, error) {
	if now := time.Now(); now.Sub(c.set) > c.silence/20 { // each setting is a call into the runtime
		if err := c.SetReadDeadline(now.Add(c.silence)); err != nil {
			return 0, err
		}
		c.set = now
	}
	return c.Conn.Read(b)
}

func (d *dump) start(cfg dumpConfig, from Position) error {
	if err := d.setUp(cfg); err != nil {
		return err
	}
	if err := d.register(cfg); err != nil {
		return fmt.Errorf("register as replica: %w", err)
	}
	if err := d.request(cfg, from); err != nil {
		return fmt.Errorf("ask for the binlog: %w", err)
	}
	// From here on the server only sends, so nothing can be in the client's own buffer.
	d.packets = packets{r: bufio.NewReaderSize(d.conn.Conn.Conn, 64<<10), sequence: 1}
	return nil
}

// setUp is what a replica says of itself before it asks for the binlog.
func (d *dump) setUp(cfg dumpConfig) error {
	checksum, where, err := d.ask("SELECT @@GLOBAL.binlog_checksum, " + whereQuery)
	if err != nil {
		return fmt.Errorf("read binlog_checksum: %w", err)
	}
	if where != cfg.where {
		return fmt.Errorf("%w: %s led to %s, and then to %s", errMoved, cfg.addr, cfg.where, where)
	}
	d.checksum = strings.EqualFold(checksum, "CRC32")
	if !d.checksum {
		checksum = "NONE"
	}
	statements := []string{
		fmt.Sprintf("SET SESSION net_write_timeout = %d", int(writeTimeout.Seconds())),
		fmt.Sprintf("SET @master_binlog_checksum = '%s', @source_binlog_checksum = '%[1]s'", checksum),
		fmt.Sprintf("SET @master_heartbeat_period = %d, @source_heartbeat_period = %[1]d", cfg.heartbeat.Nanoseconds()),
		fmt.Sprintf("SET @slave_uuid = '%s', @replica_uuid = '%[1]s'", cfg.replica),
	}
	if cfg.flavor == server.MariaDB {
		statements = append(statements, "SET @mariadb_slave_capability = 4") // it knows GTIDs
	}
	for _, s := range statements {
		if _, err := d.conn.Execute(s); err != nil {
			return fmt.Errorf("%s: %w", s, err)
		}
	}
	return nil
}

// ask runs a query whose answer is one row of two texts.
func (d *dump) ask(query string) (first, second string, err error) {
	r, err := d.conn.Execute(query)
	if err != nil {
		return "", "", err
	}
	defer r.Close()
	if first, err = r.GetString(0, 0); err != nil {
		return "", "", err
	}
	second, err = r.GetString(0, 1)
	return first, second, err
}

// register makes us appear in SHOW REPLICAS.
func (d *dump) register(cfg dumpConfig) error {
	host, _ := os.Hostname()
	p := []byte{0, 0, 0, 0, mysql.COM_REGISTER_SLAVE}
	p = binary.LittleEndian.AppendUint32(p, cfg.serverID)
	for _, s := range []string{"changeover " + host, cfg.endpoint.User, ""} { // never the password
		s = s[:min(len(s), 60)]
		p = append(append(p, byte(len(s))), s...)
	}
	p = append(p, 0, 0)               // our port
	p = append(p, make([]byte, 8)...) // rank and source id: unused
	if err := d.command(p); err != nil {
		return err
	}
	_, err := d.conn.ReadOKPacket()
	return err
}

func (d *dump) command(packet []byte) error {
	d.conn.ResetSequence()
	return d.conn.WritePacket(packet)
}

// request sends the dump command.
func (d *dump) request(cfg dumpConfig, from Position) error {
	switch {
	case from.sets != nil:
		return d.requestGTIDSet(cfg, from)
	case from.last != nil:
		// Strict: a start that the server's binlog steps over is an error, not a guess.
		for _, s := range []string{
			fmt.Sprintf("SET @slave_connect_state = '%s'", from), // numbers, commas and dashes
			"SET @slave_gtid_strict_mode = 1",
		} {
			if _, err := d.conn.Execute(s); err != nil {
				return fmt.Errorf("%s: %w", s, err)
			}
		}
		return d.requestOffset(cfg, "", 4)
	default:
		return d.requestOffset(cfg, from.file, uint32(max(from.offset, 4)))
	}
}

func (d *dump) requestOffset(cfg dumpConfig, file string, offset uint32) error {
	p := []byte{0, 0, 0, 0, mysql.COM_BINLOG_DUMP}
	p = binary.LittleEndian.AppendUint32(p, offset)
	p = append(p, 0, 0)
	p = binary.LittleEndian.AppendUint32(p, cfg.serverID)
	return d.command(append(p, file...))
}

func (d *dump) requestGTIDSet(cfg dumpConfig, from Position) error {
	set, err := mysql.ParseMysqlGTIDSet(from.String())
	if err != nil {
		return err
	}
	encoded := set.Encode()
	p := []byte{0, 0, 0, 0, mysql.COM_BINLOG_DUMP_GTID, 0, 0}
	p = binary.LittleEndian.AppendUint32(p, cfg.serverID)
	p = binary.LittleEndian.AppendUint32(p, 0) // no file
	p = binary.LittleEndian.AppendUint64(p, 4)
	p = binary.LittleEndian.AppendUint32(p, uint32(len(encoded)))
	return d.command(append(p, encoded...))
}

// rawEvent is an event as it came, without its checksum.
type rawEvent struct {
	replication.EventHeader
	// data is the whole event, header included, of its own memory: decoded strings point into it.
	data []byte
	// payload is set instead of data for a compressed transaction: the event's body as a stream,
	// to be read to its end, which checks its checksum.
	payload io.Reader
	end     uint64 // its size in the file
}

func (e *rawEvent) body() []byte { return e.data[replication.EventHeaderSize:] }

// serverError is an error that the server sent instead of an event.
type serverError struct {
	code    uint16
	message string
}

func (e *serverError) Error() string { return fmt.Sprintf("error %d: %s", e.code, e.message) }

var (
	errChecksum = errors.New("an event's checksum does not match: it was damaged on the way or on the source's disk")
	errEnded    = errors.New("the server ended the stream")
	errMoved    = errors.New("two connections to one address led to two servers")
)

// next reads one event; of a compressed transaction only the header, its payload comes as a stream.
func (d *dump) next() (*rawEvent, error) {
	if err := d.packets.next(); err != nil {
		return nil, err
	}
	if err := d.status(); err != nil {
		return nil, err
	}
	head := d.head[:]
	if _, err := io.ReadFull(&d.packets, head); err != nil {
		return nil, fmt.Errorf("read an event's header: %w", noEOF(err))
	}
	e := &rawEvent{}
	if err := e.Decode(head); err != nil {
		return nil, err
	}
	d.received.Add(int64(e.EventSize))
	e.end = uint64(e.EventSize)
	if e.EventType == replication.TRANSACTION_PAYLOAD_EVENT {
		return e, d.streamed(e, head)
	}
	return e, d.whole(e, head)
}

// status reads a packet's first byte: an event follows, or an error, or the end.
func (d *dump) status() error {
	var b [1]byte
	if _, err := io.ReadFull(&d.packets, b[:]); err != nil {
		return fmt.Errorf("read a packet: %w", noEOF(err))
	}
	switch b[0] {
	case mysql.OK_HEADER:
		return nil
	case mysql.EOF_HEADER:
		return errEnded
	case mysql.ERR_HEADER:
	default:
		return fmt.Errorf("a packet begins with 0x%02x", b[0])
	}
	rest, err := io.ReadAll(io.LimitReader(&d.packets, 4096))
	if err != nil || len(rest) < 2 {
		return fmt.Errorf("read the server's error: %w", noEOF(err))
	}
	e := &serverError{code: binary.LittleEndian.Uint16(rest), message: string(rest[2:])}
	if len(e.message) > 6 && e.message[0] == '#' { // the SQL state
		e.message = e.message[6:]
	}
	return e
}

// whole reads an event's body and takes its checksum off.
func (d *dump) whole(e *rawEvent, head []byte) error {
	e.data = make([]byte, e.EventSize)
	copy(e.data, head)
	if _, err := io.ReadFull(&d.packets, e.body()); err != nil {
		return fmt.Errorf("read an event: %w", noEOF(err))
	}
	if e.EventType == replication.FORMAT_DESCRIPTION_EVENT {
		return d.format(e)
	}
	if !d.checksum {
		return nil
	}
	n := len(e.data) - replication.BinlogChecksumLength
	if n < replication.EventHeaderSize {
		return errChecksum
	}
	if crc32.ChecksumIEEE(e.data[:n]) != binary.LittleEndian.Uint32(e.data[n:]) {
		if !d.begun { // what comes before the format description may have none
			return nil
		}
		return errChecksum
	}
	e.resize(n)
	return nil
}

// resize cuts the data off, and says so in the header, or go-mysql would not take it.
func (e *rawEvent) resize(n int) {
	e.data = e.data[:n]
	e.EventSize = uint32(n)
	binary.LittleEndian.PutUint32(e.data[9:], e.EventSize)
}

// format learns from a format description whether the events of its file have checksums; the copy
// that the parser sees says no, since we take them off.
func (d *dump) format(e *rawEvent) error {
	const tail = 1 + replication.BinlogChecksumLength // the algorithm, and the checksum in any case
	if len(e.data) < replication.EventHeaderSize+57+tail {
		return fmt.Errorf("a format description of %d bytes: the source is older than MySQL 5.6", len(e.data))
	}
	d.begun = true
	algorithm := &e.data[len(e.data)-tail]
	d.checksum = replication.BinlogChecksum(*algorithm) == replication.BINLOG_CHECKSUM_ALG_CRC32
	*algorithm = byte(replication.BINLOG_CHECKSUM_ALG_OFF)
	return nil
}

// streamed makes e's payload.
func (d *dump) streamed(e *rawEvent, head []byte) error {
	n := int64(e.EventSize) - replication.EventHeaderSize
	if !d.checksum {
		e.payload = io.LimitReader(&d.packets, n)
		return nil
	}
	n -= replication.BinlogChecksumLength
	if n < 0 {
		return errChecksum
	}
	e.payload = &checkedReader{r: &d.packets, left: n, sum: crc32.ChecksumIEEE(head)}
	return nil
}

// checkedReader reads what a CRC-32 follows, and compares it at the end.
type checkedReader struct {
	r    io.Reader
	left int64
	sum  uint32
	done bool
}

func (c *checkedReader) Read(b []byte) (int, error) {
	if c.left == 0 {
		return 0, c.finish()
	}
	n, err := c.r.Read(b[:min(int64(len(b)), c.left)])
	c.left -= int64(n)
	c.sum = crc32.Update(c.sum, crc32.IEEETable, b[:n])
	return n, noEOF(err)
}

func (c *checkedReader) finish() error {
	if c.done {
		return io.EOF
	}
	var b [replication.BinlogChecksumLength]byte
	if _, err := io.ReadFull(c.r, b[:]); err != nil {
		return noEOF(err)
	}
	if binary.LittleEndian.Uint32(b[:]) != c.sum {
		return errChecksum
	}
	c.done = true
	return io.EOF
}
