package bustest

import (
	"testing"

	"changeover/cutover/bus"
	"changeover/cutover/bus/hub"
)

// Rig is a bus on this machine with its coordinator's end.
type Rig struct {
	Hub     *hub.Hub
	Desk    *bus.Desk
	Address string // as it goes into the route row
}

// Start starts a bus for the migration on a free port of loopback; it ends with the test.
func Start(t testing.TB, migration string) Rig {
	t.Helper()
	h, err := hub.Listen(hub.Options{Address: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Close)
	desk, err := bus.Open(t.Context(), h.Address(), migration, bus.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(desk.Close)
	return Rig{Hub: h, Desk: desk, Address: h.Address()}
}
