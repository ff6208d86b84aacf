// Package server connects to a MySQL or MariaDB server and says what it is.
//
// In: an Endpoint, as configured. Out: connections whose session is the same everywhere: UTC, a
// known sql_mode, bytes untouched. The decision that matters: every connection of Changeover but
// the binlog's own is made here.
package server

import (
	"context"
	"crypto/tls"
	"database/sql"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"
)

// Flavor is the kind of server: the two speak almost the same protocol and differ in positions.
type Flavor string

// The flavors.
const (
	MySQL   Flavor = "mysql"
	MariaDB Flavor = "mariadb"
)

// Endpoint is where a server is and who asks.
type Endpoint struct {
	Host     string
	Port     int
	User     string
	Password string
	TLS      *tls.Config // nil: TLS if the server offers it, its certificate not verified
	NoTLS    bool        // plain TCP (caching_sha2_password then fetches the server's public key)
}

// Addr is host:port.
func (e Endpoint) Addr() string { return net.JoinHostPort(e.Host, strconv.Itoa(e.Port)) }

// String names the endpoint without its secret.
func (e Endpoint) String() string { return e.User + "@" + e.Addr() }

// Session is how a connection's session is set up, beyond what all share.
type Session struct {
	// Vars are set once on each new connection: SET SESSION name = value; values are SQL literals.
	Vars map[string]string
	// Binary leaves strings alone: character_set_client, _results and _connection are binary.
	// Without it they are utf8mb4.
	Binary bool
	// MultiStatements lets one packet carry many statements.
	MultiStatements bool
	// Connections bounds the pool; 0 means 4.
	Connections int
}

// ApplierMode is the sql_mode under which rows are written (design §6): what the source accepted
// must be accepted again, and nothing may be bent to fit.
const ApplierMode = "STRICT_ALL_TABLES,ALLOW_INVALID_DATES,NO_AUTO_VALUE_ON_ZERO,NO_ENGINE_SUBSTITUTION"

// Open makes a pool of connections to e. Nothing is dialled yet.
func Open(e Endpoint, s Session) (*sql.DB, error) {
	connector, err := mysql.NewConnector(config(e, s))
	if err != nil {
		return nil, fmt.Errorf("connection to %s: %w", e, err)
	}
	n := s.Connections
	if n == 0 {
		n = 4
	}
	db := sql.OpenDB(connector)
	db.SetMaxOpenConns(n)
	db.SetMaxIdleConns(n)
	return db, nil
}

func config(e Endpoint, s Session) *mysql.Config {
	c := mysql.NewConfig()
	c.Net, c.Addr, c.User, c.Passwd = "tcp", e.Addr(), e.User, e.Password
	c.TLS = e.TLS
	if c.TLS == nil && !e.NoTLS {
		c.TLSConfig = "preferred"
	}
	c.AllowNativePasswords = true
	c.InterpolateParams = true
	c.MultiStatements = s.MultiStatements
	c.Timeout = 10 * time.Second
	c.Params = map[string]string{"time_zone": "'+00:00'"}
	for k, v := range s.Vars {
		c.Params[k] = v
	}
	charset := "utf8mb4"
	if s.Binary {
		charset = "binary"
	}
	_ = c.Apply(mysql.Charset(charset, ""))
	return c
}

// Identity is who a server is, and since when. A change of either means that what is known of it
// in memory can no longer be trusted.
type Identity struct {
	Flavor  Flavor
	Version string // as the server says it: 9.7.4, 10.11.19-MariaDB-…
	UUID    string // server_uuid; MariaDB: server_uid where it has one, else host:port and server_id
	Started time.Time
	Aurora  string // aurora_version, else empty
}

// Identify asks a server who it is.
func Identify(ctx context.Context, db interface {
	QueryRowContext(context.Context, string, ...any) *sql.Row
}) (Identity, error) {
	var id Identity
	if err := db.QueryRowContext(ctx, "SELECT VERSION()").Scan(&id.Version); err != nil {
		return id, err
	}
	id.Flavor = MySQL
	if strings.Contains(id.Version, "MariaDB") {
		id.Flavor = MariaDB
	}
	var name string
	uuid := "SELECT @@GLOBAL.server_uuid"
	if id.Flavor == MariaDB {
		uuid = "SELECT CONCAT(@@GLOBAL.hostname, ':', @@GLOBAL.port, ':', @@GLOBAL.server_id)"
	}
	if err := db.QueryRowContext(ctx, uuid).Scan(&id.UUID); err != nil {
		return id, err
	}
	var up int64
	if err := db.QueryRowContext(ctx, "SHOW GLOBAL STATUS LIKE 'Uptime'").Scan(&name, &up); err != nil {
		return id, err
	}
	id.Started = time.Now().Add(-time.Duration(up) * time.Second).Truncate(time.Second)
	if id.Flavor == MySQL {
		_ = db.QueryRowContext(ctx, "SHOW GLOBAL VARIABLES LIKE 'aurora_version'").Scan(&name, &id.Aurora)
	}
	return id, nil
}
