package server_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"changeover/internal/sandbox"
	"changeover/internal/sandbox/sandboxtest"
	"changeover/internal/server"
)

func TestAPinKeepsToOneLifeOfAServer(t *testing.T) {
	for _, flavor := range []sandbox.Flavor{sandbox.MySQL, sandbox.MariaDB} {
		t.Run(string(flavor), func(t *testing.T) {
			t.Parallel()
			s := sandboxtest.Fresh(t, sandbox.Spec{Role: sandbox.Source, Flavor: flavor})
			e := endpoint(t, s, sandbox.RDSLike)
			pin := new(server.Pin)
			for range 2 { // the pin is for all pools
				if _, err := server.Dial(t.Context(), e, server.Session{Pin: pin}); err != nil {
					t.Fatal(err)
				}
			}
			outlive(t, s)
			if err := errors.Join(s.Kill(), s.Restart(t.Context())); err != nil {
				t.Fatal(err)
			}
			if _, err := server.Dial(t.Context(), e, server.Session{Pin: pin}); !errors.Is(err, server.ErrRestarted) {
				t.Errorf("a connection to the next life: %v", err)
			}
			if _, err := server.Dial(t.Context(), e, server.Session{Pin: new(server.Pin)}); err != nil {
				t.Errorf("another pin: %v", err)
			}
		})
	}
}

// outlive waits until the server's life is two seconds old: lives are told apart by the second in
// which they began, and a server that starts and restarts within one looks the same.
func outlive(t *testing.T, s *sandboxtest.Server) {
	t.Helper()
	db := s.DB(t, sandbox.Root)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for {
		var name string
		var uptime int
		if err := db.QueryRowContext(ctx, "SHOW GLOBAL STATUS LIKE 'Uptime'").Scan(&name, &uptime); err != nil {
			t.Fatal(err)
		}
		if uptime >= 2 {
			return
		}
	}
}
