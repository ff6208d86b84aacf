package bus_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"changeover/cutover/bus"
	"changeover/cutover/bus/bustest"
	"changeover/cutover/bus/hub"
	"changeover/cutover/gate"
	"changeover/internal/fault"
)

// secured are the options of both ends of a bus with TLS and an nkey.
func secured(t testing.TB) (hub.Options, bus.Options) {
	t.Helper()
	c := bustest.NewCertificate(t)
	file, public := bustest.NewKey(t)
	return hub.Options{TLS: c.Server, Keys: []string{public}}, bus.Options{TLS: c.Client, NKeySeedFile: file}
}

func TestWithTLSAndAnNKeyGatesJoin(t *testing.T) {
	at, options := secured(t)
	at.Address, at.Advertise = "0.0.0.0:0", "localhost"
	h := listen(t, at)
	if !strings.HasPrefix(h.Address(), "tls://localhost:") {
		t.Errorf("with nkeys there is no token in the address: %s", h.Address())
	}
	desk := open(t, h.Address(), options)
	start(t, bus.New(options), "a", always(h.Address()))
	known(t, desk, 1)
	holding := desk.Hold(t.Context(), bus.HoldRequest{Attempt: 1, Epoch: 1})
	if err := holding.Drained(within(t, 10*time.Second)); err != nil {
		t.Error(err)
	}

	stranger, _ := bustest.NewKey(t)
	elsewhere := bustest.NewCertificate(t).Client
	for name, o := range map[string]bus.Options{
		"another key":         {TLS: options.TLS, NKeySeedFile: stranger},
		"no key":              {TLS: options.TLS},
		"another certificate": {TLS: elsewhere, NKeySeedFile: options.NKeySeedFile},
	} {
		if _, err := bus.New(o).Dial(t.Context(), h.Address(), school); !fault.Is(err, fault.BusConnect) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := bus.New(options).Dial(t.Context(), strings.Replace(h.Address(), "tls", "nats", 1), school); err != nil {
		t.Errorf("TLS is made whatever the scheme says: %v", err)
	}
}

func TestOnAClusterEachEndNeedsOnlyItsOwnRights(t *testing.T) {
	gates, gatesKey := bustest.NewKey(t)
	coordinator, coordinatorKey := bustest.NewKey(t)
	order, answer := "changeover.school.order", "changeover.school.answer"
	only := func(key, publish, subscribe string) *server.NkeyUser {
		return &server.NkeyUser{Nkey: key, Permissions: &server.Permissions{
			Publish: &server.SubjectPermission{Allow: []string{publish}}, Subscribe: &server.SubjectPermission{Allow: []string{subscribe}}}}
	}
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true,
		Nkeys: []*server.NkeyUser{only(gatesKey, answer, order), only(coordinatorKey, order, answer)}})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(10 * time.Second) {
		t.Fatal("the server does not come up")
	}
	address := s.ClientURL()
	desk := open(t, address, bus.Options{NKeySeedFile: coordinator})
	start(t, bus.New(bus.Options{NKeySeedFile: gates}), "a", always(address))
	known(t, desk, 1)
	h := desk.Hold(t.Context(), bus.HoldRequest{Attempt: 1, Epoch: 1})
	if err := h.Drained(within(t, 10*time.Second)); err != nil {
		t.Error(err)
	}
	h.Flip(t.Context(), 2, "target")
	if _, err := h.Flipped(within(t, 10*time.Second)); err != nil {
		t.Error(err)
	}
	desk.Close()
	if err := h.Drained(t.Context()); !errors.Is(err, bus.ErrClosed) {
		t.Errorf("a wait goes on after the desk was closed: %v", err)
	}
}

func TestOffLoopbackBothEndsDemandTLSAndAnNKey(t *testing.T) {
	at, with := secured(t)
	for name, o := range map[string]bus.Options{"nothing": {}, "TLS only": {TLS: with.TLS}, "an nkey only": {NKeySeedFile: with.NKeySeedFile}} {
		for _, address := range []string{"nats://192.0.2.1:4222", "nats://127.0.0.1:4222,nats://nats.example.com:4222"} {
			if _, err := bus.New(o).Dial(t.Context(), address, school); !fault.Is(err, fault.BusOpen) {
				t.Errorf("gate with %s at %s: %v", name, address, err)
			}
			if _, err := bus.Open(t.Context(), address, school, o); !fault.Is(err, fault.BusOpen) {
				t.Errorf("desk with %s at %s: %v", name, address, err)
			}
		}
	}
	for name, o := range map[string]hub.Options{"nothing": {}, "TLS only": {TLS: at.TLS}, "an nkey only": {Keys: at.Keys}} {
		for _, address := range []string{"192.0.2.1:0", "0.0.0.0:0", ":0", "[::]:0", "nats.example.com:0"} {
			o.Address, o.Advertise = address, "nats.example.com"
			if h, err := hub.Listen(o); !fault.Is(err, fault.BusOpen) {
				t.Errorf("hub with %s at %s: %v", name, address, err)
				if h != nil {
					h.Close()
				}
			}
		}
	}
}

func TestAHubThatCanNotListenSaysWhy(t *testing.T) {
	at, _ := secured(t)
	taken := listen(t, hub.Options{})
	used := strings.Split(taken.Address(), "@")[1]
	for name, c := range map[string]struct {
		o    hub.Options
		code fault.Code
		says string
	}{
		"port in use":          {hub.Options{Address: used}, fault.BusListen, "in use"},
		"no address":           {hub.Options{Address: "here"}, fault.BusListen, "not host:port"},
		"no such port":         {hub.Options{Address: "127.0.0.1:70000"}, fault.BusListen, "not host:port"},
		"all addresses":        {hub.Options{Address: "0.0.0.0:0", TLS: at.TLS, Keys: at.Keys}, fault.BusListen, "by which name"},
		"a key that is a seed": {hub.Options{Address: "127.0.0.1:0", Keys: []string{"SUA"}}, fault.BusKey, "public nkey"},
		"another's address":    {hub.Options{Address: "192.0.2.1:0", TLS: at.TLS, Keys: at.Keys}, fault.BusListen, "192.0.2.1"},
	} {
		h, err := hub.Listen(c.o)
		if !fault.Is(err, c.code) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
		if h != nil {
			h.Close()
		}
	}
}

func TestAKeyIsMadeOnceAndForItsOwnerOnly(t *testing.T) {
	file, public := bustest.NewKey(t)
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm() != 0o600 || !strings.HasPrefix(public, "U") {
		t.Error(info, err, public)
	}
	if _, err := bus.NewKey(file); !fault.Is(err, fault.BusKey) {
		t.Errorf("a key is overwritten: %v", err)
	}
	noSeed := filepath.Join(t.TempDir(), "no.nkey")
	if err := os.WriteFile(noSeed, []byte(public), 0o600); err != nil {
		t.Fatal(err)
	}
	h := listen(t, hub.Options{Keys: []string{public}})
	for name, o := range map[string]bus.Options{"no file": {NKeySeedFile: file + ".none"}, "no seed": {NKeySeedFile: noSeed}} {
		if _, err := bus.New(o).Dial(t.Context(), h.Address(), school); !fault.Is(err, fault.BusKey) {
			t.Errorf("%s: %v", name, err)
		}
	}
	link, err := bus.New(bus.Options{NKeySeedFile: file}).Dial(t.Context(), h.Address(), school)
	if err != nil {
		t.Fatal(err)
	}
	if err := link.Say(gate.Answer{}); err != nil {
		t.Error(err)
	}
	_ = link.Close()
}
