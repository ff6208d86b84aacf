package gate

import (
	"context"
	"database/sql/driver"
	"slices"
	"strconv"
	"sync"
)

// counted is a connector that knows the server's numbers of the sessions that it made, so that a
// coordinator can tell an application's sessions that belong to a gate from those that don't.
type counted struct {
	driver.Connector
	mu   sync.Mutex
	kept int
	ids  []uint64 // the newest last; some may have ended: a server does not use a number again
}

func countSessions(c driver.Connector, size int) *counted {
	return &counted{Connector: c, kept: 4 * size}
}

func (n *counted) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := n.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	// One that can't be asked has no number, and is an application's session without a gate then.
	if id, ok := sessionOf(ctx, conn); ok {
		n.mu.Lock()
		n.ids = append(n.ids, id)
		n.ids = n.ids[max(0, len(n.ids)-n.kept):]
		n.mu.Unlock()
	}
	return conn, nil
}

func (n *counted) sessions() []uint64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.ids)
}

func sessionOf(ctx context.Context, conn driver.Conn) (uint64, bool) {
	q, ok := conn.(driver.QueryerContext)
	if !ok {
		return 0, false
	}
	rows, err := q.QueryContext(ctx, "SELECT CONNECTION_ID()", nil)
	if err != nil {
		return 0, false
	}
	defer func() { _ = rows.Close() }()
	value := make([]driver.Value, 1)
	if err := rows.Next(value); err != nil {
		return 0, false
	}
	switch v := value[0].(type) {
	case uint64:
		return v, true
	case int64:
		return uint64(v), v > 0
	case []byte:
		id, err := strconv.ParseUint(string(v), 10, 64)
		return id, err == nil
	}
	return 0, false
}
