package server

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
)

// ErrRestarted is inside the error of a connection that would have led to another life of the
// server than those before it: it restarted, or another server answers now.
var ErrRestarted = errors.New("the server restarted, or is another one")

// Pin keeps all connections of its pools to one life of one server, that of the first connection.
// A server that comes back may have forgotten commits that it had answered; what its client
// remembers of them must be dropped before it writes again. Lives are told apart by the second in
// which they began: a restart within a second of the start is not seen. Safe for concurrent use.
type Pin struct {
	mu   sync.Mutex
	life string
}

// The life of a server in one statement, so that both times are of the same moment: two readings
// of one life are equal, to the second. Uptime itself comes in whole seconds.
const (
	mysqlLife = "SELECT CONCAT_WS(' ', @@GLOBAL.server_uuid, UNIX_TIMESTAMP() - CAST(VARIABLE_VALUE AS SIGNED))" +
		" FROM performance_schema.global_status WHERE VARIABLE_NAME = 'Uptime'"
	mariaLife = "SELECT CONCAT_WS(' ', @@GLOBAL.hostname, @@GLOBAL.port, @@GLOBAL.server_id, UNIX_TIMESTAMP() - CAST(VARIABLE_VALUE AS SIGNED))" +
		" FROM information_schema.GLOBAL_STATUS WHERE VARIABLE_NAME = 'UPTIME'"
)

// admit fails with ErrRestarted if conn leads to another life than the connections before it.
func (p *Pin) admit(ctx context.Context, conn driver.Conn) error {
	version, err := ask(ctx, conn, "SELECT VERSION()")
	if err != nil {
		return err
	}
	question := mysqlLife
	if strings.Contains(version, "MariaDB") {
		question = mariaLife
	}
	life, err := ask(ctx, conn, question)
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.life == "" {
		p.life = life
	}
	if p.life != life {
		return fmt.Errorf("%w (%s, it was %s)", ErrRestarted, life, p.life)
	}
	return nil
}

// ask runs a query that answers with one text.
func ask(ctx context.Context, conn driver.Conn, query string) (string, error) {
	rows, err := conn.(driver.QueryerContext).QueryContext(ctx, query, nil)
	if err != nil {
		return "", err
	}
	defer func() { _ = rows.Close() }()
	value := make([]driver.Value, 1)
	if err := rows.Next(value); err == io.EOF {
		return "", fmt.Errorf("no answer to %s", query)
	} else if err != nil {
		return "", err
	}
	switch v := value[0].(type) {
	case []byte:
		return string(v), nil
	case string:
		return v, nil
	}
	return "", fmt.Errorf("%v is no answer to %s", value[0], query)
}

// pinned is a connector whose connections all lead to one life of the server.
type pinned struct {
	driver.Connector
	pin *Pin
}

func (p pinned) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := p.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	if err := p.pin.admit(ctx, conn); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return conn, nil
}
