package cutover

import (
	"strings"
	"testing"
	"time"

	"changeover/cutover/bus"
	"changeover/cutover/bus/bustest"
	"changeover/cutover/bus/hub"
	"changeover/cutover/gate"
	"changeover/internal/fault"
	"changeover/internal/sandbox"
)

// A bus for application servers on other machines, as the role passes and comes back: who shows one of its nkeys over TLS
// is held. Who doesn't is not let in, preflight says that his sessions belong to no gate, and his writes meet the fence; they
// don't fail either, since his gate follows the route rows.
func TestABusBeyondThisMachineHasOnlyThoseWithAKey(t *testing.T) {
	s := newSchool(t, sandbox.MySQL)
	own, ownPublic := bustest.NewKey(t)
	gates, gatesPublic := bustest.NewKey(t)
	stranger, _ := bustest.NewKey(t)
	certificate, elsewhere := bustest.NewCertificate(t), bustest.NewCertificate(t).Client
	trust := certificate.Client
	h, err := hub.Listen(hub.Options{Address: "0.0.0.0:0", Advertise: "localhost", TLS: certificate.Server, Keys: []string{ownPublic, gatesPublic}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Close)
	c := s.open(func(o *Options) {
		o.Bus = &Bus{Address: h.Address(), Public: bus.Public(h.Address()), Options: bus.Options{TLS: trust, NKeySeedFile: own}}
	})
	c.ready()
	with := func(name string, o bus.Options) *gate.Gate {
		s.gateBus = bus.New(o)
		return s.application(c, name)
	}
	all := []*gate.Gate{with("one", bus.Options{TLS: trust, NKeySeedFile: gates}), with("two", bus.Options{TLS: trust, NKeySeedFile: gates})}
	outside := map[string]bus.Options{
		"another nkey": {TLS: trust, NKeySeedFile: stranger},
		"no nkey":      {TLS: trust},
		"no TLS":       {NKeySeedFile: gates},
		"another's CA": {TLS: elsewhere, NKeySeedFile: gates},
	}
	for name, o := range outside {
		for _, address := range []string{h.Address(), strings.Replace(h.Address(), "tls://", "nats://", 1)} {
			if link, err := bus.New(o).Dial(t.Context(), address, s.name); !fault.Is(err, fault.BusConnect) {
				t.Errorf("with %s at %s: %v", name, address, err)
				if err == nil {
					_ = link.Close()
				}
			}
		}
		all = append(all, with(name, o))
	}
	var leave []func()
	for _, g := range all {
		leave = append(leave, s.students(g, 2, 10*time.Millisecond))
	}
	s.heard(c, "one", "two")
	for _, kind := range []Kind{Cutover, Rollback} {
		c.ready()
		_, writer := forward(c)
		r := c.make(kind, Committed)
		if len(r.Gates) != 2 || r.Gates[0].Name != "one" || r.Gates[1].Name != "two" || r.Gates[0].HeldMS == 0 || r.Gates[1].HeldMS == 0 || r.Present["gates"] != 2 {
			t.Errorf("%s: gates %+v, present %v", kind, r.Gates, r.Present)
		}
		if n := r.Present["sessions_without_a_gate"]; n < len(outside)*8 || !strings.Contains(strings.Join(r.Notes, "; "), "belong to no gate") {
			t.Errorf("%s: %d sessions belong to no gate, notes %v", kind, n, r.Notes)
		}
		s.goesOn(c, writer)
		s.routed(c, all...)
	}
	s.heard(c, "one", "two")
	for _, f := range leave {
		f()
	}
	s.audit(s.src)
	s.equal()
}
