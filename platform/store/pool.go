package store

import (
	"context"
	"crypto/tls"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"
)

// Server is where a database is, and how to log in.
type Server struct {
	Host     string
	Port     int
	User     string
	Password string
	Database string
	TLS      *tls.Config // nil: preferred, not verified
	// Connections bounds the pool; 0: 40.
	Connections int
	// MultiStatements lets one packet carry many statements: for migrations.
	MultiStatements bool
}

// Addr is host:port.
func (s Server) Addr() string { return net.JoinHostPort(s.Host, strconv.Itoa(s.Port)) }

// Open makes a pool. Nothing is dialled yet.
func Open(s Server) (*sql.DB, error) {
	connector, err := Connector(s)
	if err != nil {
		return nil, err
	}
	n := s.Connections
	if n == 0 {
		n = 40
	}
	db := sql.OpenDB(connector)
	db.SetMaxOpenConns(n)
	db.SetMaxIdleConns(n)
	return db, nil
}

// silence is after how long a server that owes an answer counts as lost, where no context says so
// earlier: longer than a statement of an application server's takes, shorter than TCP needs to
// notice that a machine is gone.
const silence = time.Minute

// Connector makes the connections of a pool. Their sessions are in UTC, strict, and READ COMMITTED:
// under REPEATABLE READ the upserts of a class that begins at the same bell lock gaps of each other.
func Connector(s Server) (driver.Connector, error) {
	c := mysql.NewConfig()
	c.Net, c.Addr, c.User, c.Passwd, c.DBName = "tcp", s.Addr(), s.User, s.Password, s.Database
	c.TLS = s.TLS
	if c.TLS == nil {
		c.TLSConfig = "preferred"
	}
	c.AllowNativePasswords = true
	c.InterpolateParams = true
	c.ParseTime = true
	c.MultiStatements = s.MultiStatements
	c.ClientFoundRows = true // an UPDATE that changes nothing has found its row all the same
	c.Logger = &mysql.NopLogger{}
	c.Timeout = 3 * time.Second
	if !s.MultiStatements { // a migration's ALTER is silent for as long as it takes
		c.ReadTimeout, c.WriteTimeout = silence, silence
	}
	c.Params = map[string]string{
		"time_zone": "'+00:00'",
		"sql_mode":  "'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION,ONLY_FULL_GROUP_BY'",
	}
	if err := c.Apply(mysql.Charset("utf8mb4", "utf8mb4_unicode_ci")); err != nil {
		return nil, err
	}
	inner, err := mysql.NewConnector(c)
	if err != nil {
		return nil, fmt.Errorf("connection to %s: %w", s.Addr(), err)
	}
	return readCommitted{inner}, nil
}

// readCommitted sets the isolation level on each new connection by the one statement that all
// versions of both flavors have; the variable's name differs.
type readCommitted struct{ driver.Connector }

func (c readCommitted) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	const set = "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED"
	if _, err := conn.(driver.ExecerContext).ExecContext(ctx, set, nil); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return conn, nil
}

func containsReadOnly(message string) bool {
	m := strings.ToLower(message)
	return strings.Contains(m, "read-only") || strings.Contains(m, "read_only")
}
