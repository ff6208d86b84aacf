package bus_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"changeover/cutover/bus"
	"changeover/cutover/bus/hub"
	"changeover/cutover/gate"
	"changeover/internal/fault"
)

func listen(t testing.TB, o hub.Options) *hub.Hub {
	t.Helper()
	if o.Address == "" {
		o.Address = "127.0.0.1:0"
	}
	h, err := hub.Listen(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Close)
	return h
}

func open(t testing.TB, address string, o bus.Options) *bus.Desk {
	t.Helper()
	d, err := bus.Open(t.Context(), address, school, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	return d
}

func TestGatesFollowTheBusToAnotherPort(t *testing.T) {
	first := listen(t, hub.Options{})
	var row atomic.Value // the route row
	row.Store(first.Address())
	at := func() string { return row.Load().(string) }
	a := start(t, bus.New(bus.Options{}), "a", at)
	b := start(t, bus.New(bus.Options{}), "b", at)
	desk := open(t, first.Address(), bus.Options{})
	known(t, desk, 2)
	h := desk.Hold(t.Context(), bus.HoldRequest{Attempt: 1, Epoch: 1})
	if err := h.Drained(within(t, 10*time.Second)); err != nil {
		t.Fatal(err)
	}

	first.Close()
	for _, g := range []*toy{a, b} {
		select {
		case <-g.lost:
		case <-time.After(10 * time.Second):
			t.Fatal("a gate does not notice that the bus is gone")
		}
	}
	if err := desk.Fresh(t.Context(), 100*time.Millisecond); err == nil {
		t.Error("the desk does not say that the bus is gone")
	}
	second := listen(t, hub.Options{})
	row.Store(second.Address())
	moved := open(t, second.Address(), bus.Options{})
	known(t, moved, 2)
	h = moved.Hold(t.Context(), bus.HoldRequest{Attempt: 2, Epoch: 1})
	if err := h.Drained(within(t, 10*time.Second)); err != nil {
		t.Fatal(err)
	}
}

func TestTheDeskFindsItsBusAgain(t *testing.T) {
	keys, options := secured(t)
	h := listen(t, keys)
	at := h.Address()
	desk := open(t, at, options)
	g := start(t, bus.New(options), "a", always(at))
	known(t, desk, 1)
	h.Close()
	<-g.lost
	if err := desk.Fresh(t.Context(), 4*time.Second); err == nil {
		t.Error("the desk does not say that the bus is gone")
	}
	// A cluster's server that comes back has the same keys; the embedded one's token would be new.
	keys.Address = strings.TrimPrefix(hub.Public(at), "tls://")
	listen(t, keys)
	known(t, desk, 1)
	if !desk.Connected() {
		t.Error("the desk hears a gate and says that it is not connected")
	}
	holding := desk.Hold(t.Context(), bus.HoldRequest{Attempt: 1, Epoch: 1})
	if err := holding.Drained(within(t, 10*time.Second)); err != nil {
		t.Error(err)
	}
}

func TestADeskWaitsForABusThatIsNotThereYet(t *testing.T) {
	h := listen(t, hub.Options{})
	w, address := relay(t, h.Address())
	w.cut()
	var log bytes.Buffer
	desk := open(t, address, bus.Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
	if desk.Connected() {
		t.Error("it says that it is connected")
	}
	if err := desk.Fresh(t.Context(), 50*time.Millisecond); !fault.Is(err, fault.BusConnect) {
		t.Error(err)
	}
	if !strings.Contains(log.String(), "can't be reached yet") {
		t.Error("nobody is told:", log.String())
	}
	start(t, bus.New(bus.Options{}), "a", always(h.Address()))
	w.refuse.Store(false)
	known(t, desk, 1)
	holding := desk.Hold(t.Context(), bus.HoldRequest{Attempt: 1, Epoch: 1})
	if err := holding.Drained(within(t, 10*time.Second)); err != nil {
		t.Error(err)
	}
	holding.Release(t.Context(), 1)

	// Refused is not the same: that does not mend itself.
	if _, err := bus.Open(t.Context(), "nats://stranger@"+w.Addr().String(), school, bus.Options{}); !fault.Is(err, fault.BusConnect) {
		t.Error(err)
	}
}

func TestWhatCanNotBeSentIsNotKept(t *testing.T) {
	h := listen(t, hub.Options{})
	w, address := relay(t, h.Address())
	desk := open(t, address, bus.Options{})
	g := start(t, bus.New(bus.Options{}), "a", always(h.Address()))
	known(t, desk, 1)
	w.cut()
	for desk.Connected() {
		_ = desk.Fresh(t.Context(), 10*time.Millisecond)
	}
	holding := desk.Hold(t.Context(), bus.HoldRequest{Attempt: 1, Epoch: 1, Life: time.Minute, Every: time.Hour})
	w.refuse.Store(false)
	if next(t, desk, 10*time.Second, func(p bus.Presence) bool { return desk.Connected() }) == nil {
		t.Fatal("the desk does not come back")
	}
	// What is sent now comes after anything that was kept.
	holding.Release(t.Context(), 1)
	g.got(t, func(o gate.Order) bool { return o.Kind == gate.Release })
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, o := range g.orders {
		if o.Kind == gate.Hold {
			t.Error("a hold of before the bus came back was sent late")
		}
	}
}

// wire is a TCP relay that can be cut, and can fall silent without closing anything.
type wire struct {
	net.Listener
	to     string
	silent atomic.Bool
	refuse atomic.Bool
	ended  chan struct{}
	over   sync.WaitGroup
	mu     sync.Mutex
	open   []net.Conn
}

// relay makes a wire to the bus at address, and gives the address at this end.
func relay(t testing.TB, address string) (*wire, string) {
	t.Helper()
	token, to, _ := strings.Cut(strings.TrimPrefix(address, "nats://"), "@")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{Listener: l, to: to, ended: make(chan struct{})}
	w.over.Go(w.accept)
	t.Cleanup(func() {
		_ = l.Close()
		close(w.ended)
		w.cut()
		w.over.Wait()
	})
	return w, "nats://" + token + "@" + l.Addr().String()
}

// cut ends all connections, and refuses others until refuse is false.
func (w *wire) cut() {
	w.refuse.Store(true)
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.open {
		_ = c.Close()
	}
	w.open = nil
}

func (w *wire) accept() {
	for {
		near, err := w.Accept()
		if err != nil {
			return
		}
		far, err := net.Dial("tcp", w.to)
		if w.refuse.Load() && err == nil {
			_ = far.Close()
		}
		if err != nil || w.refuse.Load() {
			_ = near.Close()
			continue
		}
		w.mu.Lock()
		w.open = append(w.open, near, far)
		w.mu.Unlock()
		w.over.Go(func() { w.copy(near, far) })
		w.over.Go(func() { w.copy(far, near) })
	}
}

// copy stops in silence, and closes nothing then, not even if the other end has gone: so does a
// dead network.
func (w *wire) copy(to, from net.Conn) {
	buffer := make([]byte, 4096)
	for {
		n, err := from.Read(buffer)
		if w.silent.Load() {
			<-w.ended
		}
		if err == nil {
			_, err = to.Write(buffer[:n])
		}
		if err != nil {
			_ = to.Close()
			return
		}
	}
}

func TestAGateNoticesThatTheNetworkIsDead(t *testing.T) {
	for name, chatter := range map[string]string{"it says nothing": "", "it says much": strings.Repeat("x", 1<<10)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := listen(t, hub.Options{})
			w, address := relay(t, h.Address())
			link, err := bus.New(bus.Options{}).Dial(t.Context(), address, school)
			if err != nil {
				t.Fatal(err)
			}
			defer link.Close()
			w.silent.Store(true)
			untilLost(t, link, chatter)
		})
	}
}

// untilLost waits until link is given up; it talks meanwhile, if there is something to say.
func untilLost(t *testing.T, link gate.Link, chatter string) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	talk := make(chan struct{})
	close(talk)
	if chatter == "" {
		talk = nil
	}
	for {
		select {
		case _, ok := <-link.Hear():
			if !ok {
				return
			}
		case <-talk:
			began := time.Now()
			_ = link.Say(gate.Answer{Migration: school, Gate: "a", Writer: chatter})
			if took := time.Since(began); took > time.Second {
				t.Fatalf("a word took %s: Say waits for the network", took)
			}
		case <-deadline:
			t.Fatal("the link is not given up")
		}
	}
}

func TestALinkIsClosedTwiceAndSaysNothingAfter(t *testing.T) {
	h := listen(t, hub.Options{})
	link, err := bus.New(bus.Options{}).Dial(t.Context(), h.Address(), school)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := link.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, ok := <-link.Hear(); ok {
		t.Error("a closed link is heard")
	}
	if err := link.Say(gate.Answer{}); err == nil {
		t.Error("a closed link takes words")
	}
}

func TestAGateThatTakesNoOrdersGetsTheNewest(t *testing.T) {
	h := listen(t, hub.Options{})
	desk := open(t, h.Address(), bus.Options{})
	link, err := bus.New(bus.Options{}).Dial(t.Context(), h.Address(), school)
	if err != nil {
		t.Fatal(err)
	}
	defer link.Close()
	const last = 5000
	for attempt := uint64(1); attempt <= last; attempt++ {
		desk.Hold(t.Context(), bus.HoldRequest{Attempt: attempt, Epoch: 1, Every: time.Hour}).Release(t.Context(), 1)
	}
	deadline := time.After(20 * time.Second)
	for {
		select {
		case o, ok := <-link.Hear():
			if !ok {
				t.Fatal("the link is given up")
			}
			if o.Attempt == last && o.Kind == gate.Release {
				return
			}
		case <-deadline:
			t.Fatal("the newest order was dropped, and not the oldest")
		}
	}
}

func TestALinkLeavesOutWhatIsMeantForAnotherGate(t *testing.T) {
	h := listen(t, hub.Options{})
	desk := open(t, h.Address(), bus.Options{})
	link, err := bus.New(bus.Options{}).Dial(t.Context(), h.Address(), school)
	if err != nil {
		t.Fatal(err)
	}
	defer link.Close()
	if err := link.Say(gate.Answer{Migration: school, Gate: "a", State: gate.StateOpen}); err != nil {
		t.Fatal(err)
	}
	known(t, desk, 1)
	desk.Hold(t.Context(), bus.HoldRequest{Attempt: 1, Epoch: 1, Life: time.Minute, Every: time.Hour})
	start(t, bus.New(bus.Options{}), "b", always(h.Address())).got(t, func(o gate.Order) bool { return o.To == "b" })
	desk.Hold(t.Context(), bus.HoldRequest{Attempt: 2, Epoch: 1, Every: time.Hour})
	for o := range link.Hear() {
		if o.To != "" {
			t.Errorf("%+v", o)
		}
		if o.Attempt == 2 {
			return
		}
	}
}

func TestALinkMissesNoOrderAfterDial(t *testing.T) {
	h := listen(t, hub.Options{})
	desk := open(t, h.Address(), bus.Options{})
	for attempt := range uint64(50) {
		link, err := bus.New(bus.Options{}).Dial(t.Context(), h.Address(), school)
		if err != nil {
			t.Fatal(err)
		}
		desk.Hold(t.Context(), bus.HoldRequest{Attempt: attempt, Epoch: 1, Every: time.Hour})
		select {
		case o := <-link.Hear():
			if o.Attempt != attempt {
				t.Errorf("%+v", o)
			}
		case <-time.After(5 * time.Second):
			t.Errorf("the order behind Dial %d was missed", attempt)
		}
		_ = link.Close()
		if t.Failed() {
			return
		}
	}
}

func TestDialEndsWithItsContext(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0") // connects, and never says a word
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	began := time.Now()
	if _, err := bus.New(bus.Options{}).Dial(ctx, "nats://t@"+l.Addr().String(), school); !errors.Is(err, context.Canceled) || !fault.Is(err, fault.BusConnect) {
		t.Error(err)
	}
	if took := time.Since(began); took > time.Second {
		t.Errorf("Dial went on for %s after its context", took)
	}
}

func TestTheTokenIsNotShown(t *testing.T) {
	var log bytes.Buffer
	o := bus.Options{Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))}
	h := listen(t, hub.Options{})
	at := strings.TrimPrefix(hub.Public(h.Address()), "nats://")
	if hub.Public(h.Address()) == h.Address() || strings.Contains(hub.Public(h.Address()), "@") {
		t.Error(hub.Public(h.Address()))
	}
	for _, address := range []string{
		"nats://hunter2@" + at,                       // refused
		"nats://hunter2@127.0.0.1:1",                 // nobody listens
		"nats://hunter2@nowhere.invalid:1",           // not on loopback
		"nats://hunter2@a b:1", "http://hunter2@x:1", // no address
		"nats://hunter2@127.0.0.1:port", "hunter2@x",
	} {
		_, err := bus.New(o).Dial(t.Context(), address, school)
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", address, err)
		}
		desk, err := bus.Open(t.Context(), address, school, o)
		if err == nil { // nobody listens there yet
			err = desk.Fresh(t.Context(), 20*time.Millisecond)
			desk.Close()
		}
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", address, err)
		}
	}
	if strings.Contains(log.String(), "hunter2") {
		t.Error(log.String())
	}
	for address, want := range map[string]string{
		"nats://secret@h:1, tls://u:p@i:2": "nats://h:1,tls://i:2",
		"secret":                           "(no address)",
		"":                                 "(no address)",
	} {
		if got := bus.Public(address); got != want {
			t.Errorf("%q is shown as %q", address, got)
		}
	}
}

func TestApplicationsDoNotLinkTheServer(t *testing.T) {
	list, err := exec.Command("go", "list", "-deps", "changeover/cutover/bus").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range strings.Fields(string(list)) {
		if strings.Contains(path, "nats-server") || strings.Contains(path, "zerolog") || strings.HasPrefix(path, "changeover/") &&
			path != "changeover/cutover/bus" && path != "changeover/cutover/gate" && path != "changeover/internal/fault" {
			t.Errorf("the client brings %s along", path)
		}
	}
}
