package source

import (
	"context"
	"crypto/tls"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"os"
	"strings"
	"time"

	gomysql "github.com/go-mysql-org/go-mysql/mysql"
	"github.com/go-sql-driver/mysql"

	"changeover/internal/fault"
	"changeover/internal/server"
)

// identity is who answered at a connect, and what of it matters for going on.
type identity struct {
	server.Identity
	seen    time.Time     // by our monotonic clock
	uptime  time.Duration // then
	relaxed bool          // a crash may lose commits that were in the binlog
	where   string        // host, port and server id: the same on both connections of one connect
	plain   bool          // no TLS
	ours    uint32        // the server id that we take there
	from    Position      // where to ask it to start
}

// restarted tells whether the server has been up for less than it should. Uptime counts in seconds.
func (id *identity) restarted(now *identity) bool {
	const slack = 3 * time.Second
	return now.uptime < id.uptime+now.seen.Sub(id.seen)-slack
}

// connect resolves the source's address afresh, looks who is there, and opens the dump at that very
// address: after a DNS flip in between, the name might mean another server.
func (r *Reader) connect(ctx context.Context) (*dump, error) {
	addrs, err := net.DefaultResolver.LookupHost(ctx, r.cfg.Endpoint.Host)
	if err == nil && len(addrs) == 0 {
		err = errNoAddress
	}
	if err != nil {
		return nil, wrapConnect(r.cfg.Endpoint, err)
	}
	for _, addr := range addrs {
		var d *dump
		if d, err = r.connectTo(ctx, pinned(r.cfg.Endpoint, addr)); err == nil {
			return d, nil
		}
		if !isNetwork(err) {
			break
		}
	}
	return nil, err
}

// pinned is e at an address; TLS still asks for the name.
func pinned(e server.Endpoint, addr string) server.Endpoint {
	if e.TLS != nil && e.TLS.ServerName == "" {
		e.TLS = e.TLS.Clone()
		e.TLS.ServerName = e.Host
	}
	e.Host = addr
	return e
}

func (r *Reader) connectTo(ctx context.Context, e server.Endpoint) (*dump, error) {
	id, err := r.inspect(ctx, e)
	if err != nil {
		return nil, wrapConnect(r.cfg.Endpoint, err)
	}
	d, err := openDump(ctx, dumpConfig{
		addr: e.Addr(), endpoint: e, plain: id.plain, flavor: r.cfg.Flavor,
		serverID: id.ours, replica: r.replica, where: id.where,
		heartbeat: r.cfg.Heartbeat, silence: 4 * r.cfg.Heartbeat, received: &r.received,
	}, id.from)
	if err != nil {
		return nil, wrapConnect(r.cfg.Endpoint, err)
	}
	r.connected(id.Identity)
	r.before = id
	r.cfg.Log.Info().Str("source", r.cfg.Endpoint.Addr()).Str("address", e.Addr()).Str("uuid", id.UUID).
		Str("version", id.Version).Stringer("position", r.handed).Msg("reading the source's binlog")
	return d, nil
}

// inspect looks who is there and whether the stream may go on with it.
func (r *Reader) inspect(ctx context.Context, e server.Endpoint) (*identity, error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	db, err := server.Open(e, server.Session{Connections: 1})
	if err != nil {
		return nil, err
	}
	defer db.Close()
	id, err := identify(ctx, db)
	if err != nil {
		return nil, err
	}
	if id.Flavor != r.cfg.Flavor {
		return nil, fault.New(fault.StreamIdentity, "%s is a %s server now, it was %s", r.cfg.Endpoint.Addr(), id.Flavor, r.cfg.Flavor)
	}
	if err := r.recognise(id); err != nil {
		return nil, err
	}
	if err := r.checkHistory(ctx, db); err != nil {
		return nil, err
	}
	id.ours, err = r.serverID(ctx, db)
	if err != nil {
		return nil, err
	}
	id.from, err = startOf(ctx, db, r.handed)
	return id, err
}

// serverID is the configured id, or one that no other replica has: MariaDB ends the stream of a
// replica whose id comes again.
func (r *Reader) serverID(ctx context.Context, db *sql.DB) (uint32, error) {
	if r.cfg.ServerID != 0 {
		return r.cfg.ServerID, nil
	}
	taken, err := replicas(ctx, db)
	if code, _ := serverCode(err); code == erSpecificAccess { // MariaDB asks for a privilege; trust to chance
		err = nil
	}
	if err != nil {
		return 0, fmt.Errorf("list the source's replicas: %w", err)
	}
	for {
		if id := randomServerID(); !taken[id] {
			return id, nil
		}
	}
}

// replicas are the ids of the source's replicas, and its own.
func replicas(ctx context.Context, db *sql.DB) (map[uint32]bool, error) {
	var own uint32
	if err := db.QueryRowContext(ctx, "SELECT @@GLOBAL.server_id").Scan(&own); err != nil {
		return nil, err
	}
	taken := map[uint32]bool{own: true}
	rows, err := db.QueryContext(ctx, "SHOW REPLICAS")
	if code, _ := serverCode(err); code == erSyntax { // MySQL before 8.0.22, MariaDB before 10.5
		rows, err = db.QueryContext(ctx, "SHOW SLAVE HOSTS")
	}
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return nil, err
	}
	for rows.Next() {
		var id uint32
		if err := rows.Scan(firstColumns(columns, &id)...); err != nil {
			return nil, err
		}
		taken[id] = true
	}
	return taken, rows.Err()
}

// startOf is where to ask the server to start for p. It can be asked only for offsets below 4 GiB.
// A transaction that ends behind is the last one of its file, since the server begins a new file
// at 1 GiB at most: what follows is in the next file.
func startOf(ctx context.Context, db *sql.DB, p Position) (Position, error) {
	if p.IsGTID() || p.offset <= math.MaxUint32 {
		return p, nil
	}
	rows, err := db.QueryContext(ctx, "SHOW BINARY LOGS")
	if err != nil {
		return p, err
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return p, err
	}
	for passed := false; rows.Next(); {
		var file string
		if err := rows.Scan(firstColumns(columns, &file)...); err != nil {
			return p, err
		}
		if passed {
			return Position{flavor: p.flavor, file: file, offset: 4}, nil
		}
		passed = file == p.file
	}
	if err := rows.Err(); err != nil {
		return p, err
	}
	return p, fmt.Errorf("no binlog file follows %s", p)
}

func identify(ctx context.Context, db *sql.DB) (*identity, error) {
	who, err := server.Identify(ctx, db)
	if err != nil {
		return nil, err
	}
	id := &identity{Identity: who, seen: time.Now()}
	id.uptime = id.seen.Sub(who.Started)
	var sync, flush int
	err = db.QueryRowContext(ctx, "SELECT @@GLOBAL.sync_binlog, @@GLOBAL.innodb_flush_log_at_trx_commit, "+whereQuery).
		Scan(&sync, &flush, &id.where)
	if err != nil {
		return nil, err
	}
	id.relaxed = sync != 1 || flush != 1
	var name, cipher string
	if err := db.QueryRowContext(ctx, "SHOW SESSION STATUS LIKE 'Ssl_cipher'").Scan(&name, &cipher); err != nil {
		return nil, err
	}
	id.plain = cipher == ""
	return id, nil
}

// whereQuery names a server well enough to see that two connections lead to the same one.
const whereQuery = "CONCAT_WS(':', @@GLOBAL.hostname, @@GLOBAL.port, @@GLOBAL.server_id)"

// recognise compares with the server that answered before. Another one is accepted by GTID only,
// since its files and offsets are its own. One that restarted may have forgotten commits that were
// in its binlog already, if its durability is relaxed, and may have given their ids to others.
func (r *Reader) recognise(id *identity) error {
	before := r.before
	if before == nil {
		return nil
	}
	if before.UUID != id.UUID {
		if !r.handed.IsGTID() {
			return fault.New(fault.StreamIdentity,
				"another server answers at %s (%s, it was %s), and %s is no position of it", r.cfg.Endpoint.Addr(), id.UUID, before.UUID, r.handed)
		}
		r.cfg.Log.Warn().Str("was", before.UUID).Str("is", id.UUID).Msg("another server is the source now; its GTIDs are compared")
		return nil
	}
	if !before.restarted(id) {
		return nil
	}
	if before.relaxed || id.relaxed {
		return fault.New(fault.StreamIdentity,
			"the source %s restarted with relaxed durability (sync_binlog and innodb_flush_log_at_trx_commit must both be 1): it may have lost transactions that were read from it", r.cfg.Endpoint.Addr())
	}
	r.cfg.Log.Warn().Str("uuid", id.UUID).Time("started", id.Started).Msg("the source restarted")
	return nil
}

// checkHistory compares what was handed out with what the source has: it may have gone back in
// time (a restore, a failover to a replica that was behind), or have purged what we need. MariaDB
// answers that itself, when asked to stream from our position.
func (r *Reader) checkHistory(ctx context.Context, db *sql.DB) error {
	if r.handed.sets == nil {
		return nil
	}
	has, err := currentGTID(ctx, db, server.MySQL, "SELECT @@GLOBAL.gtid_executed")
	if err != nil {
		return err
	}
	if missing, ok := has.ContainsAll(r.handed); !ok {
		return fault.New(fault.StreamIdentity, "the source %s does not have transactions that were read from it: %s", r.cfg.Endpoint.Addr(), missing)
	}
	purged, err := currentGTID(ctx, db, server.MySQL, "SELECT @@GLOBAL.gtid_purged")
	if err != nil {
		return err
	}
	if lost, ok := r.handed.ContainsAll(purged); !ok {
		return fault.New(fault.StreamPurged, "the source %s has purged from its binlog what was not read yet: %s", r.cfg.Endpoint.Addr(), lost)
	}
	return nil
}

// tlsConfig is e's for go-mysql, which has no "if the server can": that was found out before.
func tlsConfig(e server.Endpoint) *tls.Config {
	if e.TLS != nil {
		return e.TLS
	}
	return &tls.Config{InsecureSkipVerify: true}
}

// The server's error codes that matter here.
const (
	erAccessDenied     = 1045
	erDBAccessDenied   = 1044
	erSpecificAccess   = 1227
	erPluginDenied     = 1698
	erAccountLocked    = 3118
	erAccountLockedMDB = 4151
	erMasterFatal      = 1236
	erSyntax           = 1064
)

// serverCode finds the server's error code in err, whichever of three clients brought it.
func serverCode(err error) (code uint16, message string) {
	var driver *mysql.MySQLError
	var client *gomysql.MyError
	var stream *serverError
	switch {
	case errors.As(err, &driver):
		return driver.Number, driver.Message
	case errors.As(err, &client):
		return client.Code, client.Message
	case errors.As(err, &stream):
		return stream.code, stream.message
	}
	return 0, ""
}

// classify makes a fault of a server's error that a person must mend.
func classify(err error) error {
	if _, ok := fault.CodeOf(err); ok {
		return err
	}
	code, message := serverCode(err)
	switch code {
	case erAccessDenied, erDBAccessDenied, erSpecificAccess, erPluginDenied, erAccountLocked, erAccountLockedMDB:
		return fault.New(fault.Access, "%w", err)
	case erMasterFatal:
		return classifyFatal(err, strings.ToLower(message))
	}
	return err
}

// classifyFatal reads the text of error 1236: its one code has many meanings.
func classifyFatal(err error, message string) error {
	has := func(texts ...string) bool {
		for _, t := range texts {
			if strings.Contains(message, t) {
				return true
			}
		}
		return false
	}
	switch {
	case has("diverged", "more gtids than", "not in the master's binlog", "missing the gtid"):
		return fault.New(fault.StreamIdentity, "the source does not have transactions that were read from it: %w", err)
	case has("purged", "could not find first log file", "could not find gtid state"):
		return fault.New(fault.StreamPurged, "the source no longer has the binlog that is needed: %w", err)
	}
	return err
}

// isNetwork tells trouble that passes by itself from trouble with what was read.
func isNetwork(err error) bool {
	var netErr net.Error
	var dns *net.DNSError
	switch {
	case errors.As(err, &netErr), errors.As(err, &dns),
		errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, os.ErrDeadlineExceeded),
		errors.Is(err, net.ErrClosed), errors.Is(err, gomysql.ErrBadConn), errors.Is(err, mysql.ErrInvalidConn),
		errors.Is(err, context.DeadlineExceeded), errors.Is(err, errEnded), errors.Is(err, errNoAddress),
		errors.Is(err, errMoved):
		return true
	}
	code, _ := serverCode(err)
	return code != 0 && code != erMasterFatal // the server is there, and will be better: starting, full, shutting down
}
