// Package server connects to a MySQL or MariaDB server and says what it is.
//
// In: an Endpoint, as configured. Out: connections whose session is the same everywhere: UTC, a
// known sql_mode, bytes untouched. The decision that matters: every connection of Changeover but
// the binlog's own is made here.
package server

import (
	"crypto/tls"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"net"
	"strconv"
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
	// Silence is after how many seconds the server ends a session whose client says nothing, also in
	// the middle of a transaction; 0: the server's wait_timeout. The pool keeps none that long.
	Silence int
	// Pin, if there is one, keeps all connections to one life of the server: ErrRestarted.
	Pin *Pin
	// Single makes a pool of one connection, which nothing replaces: ErrLost. For a session that has
	// what a new one would not have, such as a read view. Connections is not looked at.
	Single bool
}

// MaxPacket is the largest packet that the protocol allows, in bytes.
const MaxPacket = 1 << 30

// ApplierMode is the sql_mode under which rows are written (design §6): what the source accepted
// must be accepted again, and nothing may be bent to fit.
const ApplierMode = "STRICT_ALL_TABLES,ALLOW_INVALID_DATES,NO_AUTO_VALUE_ON_ZERO,NO_ENGINE_SUBSTITUTION"

// Open makes a pool of connections to e. Nothing is dialled yet.
func Open(e Endpoint, s Session) (*sql.DB, error) {
	var connector driver.Connector
	connector, err := mysql.NewConnector(config(e, s))
	if err != nil {
		return nil, fmt.Errorf("connection to %s: %w", e, err)
	}
	if s.Pin != nil {
		connector = pinned{connector, s.Pin}
	}
	n := s.Connections
	if n == 0 {
		n = 4
	}
	if s.Single {
		connector, n = &single{Connector: connector}, 1
	}
	db := sql.OpenDB(connector)
	db.SetMaxOpenConns(n)
	db.SetMaxIdleConns(n)
	db.SetConnMaxIdleTime(time.Duration(s.Silence) * time.Second / 2)
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
	c.Logger = &mysql.NopLogger{}  // its errors are returned too; we log them once, with what was attempted
	c.MaxAllowedPacket = MaxPacket // the server's own limit is what counts
	c.Timeout = 10 * time.Second
	c.Params = map[string]string{"time_zone": "'+00:00'"}
	for k, v := range s.Vars {
		c.Params[k] = v
	}
	if s.Silence > 0 {
		c.Params["wait_timeout"] = strconv.Itoa(s.Silence)
	}
	charset := "utf8mb4"
	if s.Binary {
		charset = "binary"
	}
	_ = c.Apply(mysql.Charset(charset, ""))
	return c
}
