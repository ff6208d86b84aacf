package cutover

import (
	"context"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"changeover/cutover/bus"
	"changeover/cutover/gate"
	"changeover/cutover/helm"
	"changeover/internal/sandbox"
	"changeover/internal/sandbox/sandboxtest"
	"changeover/internal/server"
)

// wire is a network between somebody and a server, which can be cut.
type wire struct {
	listener net.Listener
	to       string
	mu       sync.Mutex
	cut      bool
	conns    map[net.Conn]bool
	all      sync.WaitGroup
}

func newWire(t testing.TB, to string) *wire {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{listener: l, to: to, conns: map[net.Conn]bool{}}
	w.all.Go(w.accept)
	t.Cleanup(func() {
		_ = l.Close()
		w.sever()
		w.all.Wait()
	})
	return w
}

func (w *wire) accept() {
	for {
		near, err := w.listener.Accept()
		if err != nil {
			return
		}
		w.all.Go(func() { w.carry(near) })
	}
}

func (w *wire) carry(near net.Conn) {
	defer near.Close()
	w.mu.Lock()
	cut := w.cut
	w.mu.Unlock()
	if cut {
		return
	}
	far, err := net.Dial("tcp", w.to)
	if err != nil {
		return
	}
	defer far.Close()
	w.mu.Lock()
	w.conns[near], w.conns[far] = true, true
	w.mu.Unlock()
	var both sync.WaitGroup
	for _, way := range [][2]net.Conn{{near, far}, {far, near}} {
		both.Go(func() {
			_, _ = io.Copy(way[0], way[1])
			_ = way[0].Close()
			_ = way[1].Close()
		})
	}
	both.Wait()
	w.mu.Lock()
	delete(w.conns, near)
	delete(w.conns, far)
	w.mu.Unlock()
}

// sever ends all connections, and lets none through until it is mended.
func (w *wire) sever() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cut = true
	for c := range w.conns {
		_ = c.Close()
	}
}

func (w *wire) mend() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cut = false
}

// through is the endpoint behind a wire.
func (w *wire) through(e server.Endpoint) server.Endpoint {
	e.Host, e.Port = "127.0.0.1", w.listener.Addr().(*net.TCPAddr).Port
	return e
}

// across is a bus that is reached through a wire, whatever the address in the route row.
type across struct {
	gate.Bus
	w *wire
}

func (a across) Dial(ctx context.Context, address, migration string) (gate.Link, error) {
	return a.Bus.Dial(ctx, a.w.address(address), migration)
}

// address is an embedded bus's address, with its token, at this end of the wire.
func (w *wire) address(bus string) string {
	token, _, _ := strings.Cut(bus, "@")
	return token + "@" + w.listener.Addr().String()
}

// The network between each two is cut in the middle, before and behind the commit, and mended two seconds
// later: whoever was cut off finds out what stands, and nothing is lost.
func TestTheNetworkIsCutAndMended(t *testing.T) {
	for _, pair := range []string{"coordinator and source", "coordinator and target", "gate and source", "gate and target", "coordinator and bus", "gate and bus"} {
		for _, point := range []Act{FenceNow, FenceLiftNew} {
			t.Run(fmt.Sprintf("%s at %s", pair, point), func(t *testing.T) {
				s := newSchool(t, sandbox.MySQL)
				wires := map[string]*wire{}
				on := map[string]*sandboxtest.Server{"source": s.src, "target": s.dst}
				for _, who := range []string{"coordinator", "gate"} {
					for side, at := range on {
						wires[who+" and "+side] = newWire(t, net.JoinHostPort(at.Host, strconv.Itoa(at.Port)))
					}
				}
				var mended sync.WaitGroup
				now := &at{act: point, before: func() {
					wires[pair].sever()
					mended.Go(func() {
						<-time.After(2 * time.Second) // the length of the outage
						wires[pair].mend()
					})
				}}
				c := s.open(func(o *Options) {
					for _, who := range []string{"coordinator", "gate"} {
						wires[who+" and bus"] = newWire(t, o.Bus.Address[strings.Index(o.Bus.Address, "@")+1:])
					}
					s.gateBus = across{bus.New(bus.Options{}), wires["gate and bus"]}
					o.Bus.Address = wires["coordinator and bus"].address(o.Bus.Address)
					o.Stream.Source, o.Stream.Target = wires["coordinator and source"].through(o.Stream.Source), wires["coordinator and target"].through(o.Stream.Target)
					o.Tap = func(side helm.Side, act string, n int, q string) func(error) { return now.tap(side, act, n, q) }
				})
				c.ready()
				s.gateWires = map[*sandboxtest.Server]*wire{s.src: wires["gate and source"], s.dst: wires["gate and target"]}
				leave := s.students(s.application(c, "one"), 4, 5*time.Millisecond)
				s.goesOn(c, helm.Source)
				r, err := c.Attempt(t.Context(), Request{Kind: Cutover, Wait: 20 * time.Second})
				t.Logf("the attempt: %v, %+v", err, r)
				mended.Wait()
				s.within(20*time.Second, "a coordinator is in office", func() error {
					if c.Status().Writer == "" {
						return errNotYet
					}
					return nil
				})
				writer := c.Status().Writer
				if point == FenceLiftNew && writer != helm.Target {
					t.Errorf("the register said commit, and the writer is the %s", writer)
				}
				s.goesOn(c, writer)
				if writer == helm.Source {
					c.ready()
					c.make(Cutover, Committed)
					s.goesOn(c, helm.Target)
				}
				s.heard(c, "one")
				leave()
				s.audit(s.dst)
				s.equal()
			})
		}
	}
}
