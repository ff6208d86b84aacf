package server_test

import (
	"errors"
	"fmt"
	"testing"

	"changeover/internal/sandbox"
	"changeover/internal/sandbox/sandboxtest"
	"changeover/internal/server"
)

func TestASinglesConnectionIsNotReplaced(t *testing.T) {
	src := sandboxtest.MySQLSource(t)
	db, err := server.Dial(t.Context(), endpoint(t, src, sandbox.Changeover), server.Session{Single: true, Connections: 8})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	var first, again int
	if err := db.QueryRow("SELECT CONNECTION_ID()").Scan(&first); err != nil {
		t.Fatal(err)
	}
	if err := db.QueryRow("SELECT CONNECTION_ID()").Scan(&again); err != nil || first != again {
		t.Errorf("connections %d and %d, %v", first, again, err)
	}
	src.Exec(t, fmt.Sprintf("KILL %d", first))
	for range 2 { // the first may be the first to notice
		err = db.QueryRow("SELECT CONNECTION_ID()").Scan(&again)
	}
	if !errors.Is(err, server.ErrLost) {
		t.Errorf("after the connection's end: %v, connection %d", err, again)
	}
}
