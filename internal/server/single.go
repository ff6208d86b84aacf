package server

import (
	"context"
	"database/sql/driver"
	"errors"
	"sync/atomic"
)

// ErrLost is the error of a pool whose single connection is gone.
var ErrLost = errors.New("the connection is lost, and what its session had")

// single is a connector that connects once.
type single struct {
	driver.Connector
	connected atomic.Bool
}

func (s *single) Connect(ctx context.Context) (driver.Conn, error) {
	if s.connected.Load() {
		return nil, ErrLost
	}
	conn, err := s.Connector.Connect(ctx)
	if err == nil {
		s.connected.Store(true)
	}
	return conn, err
}
