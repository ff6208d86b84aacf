package hook

import (
	"context"
	"fmt"
	"strings"
	"time"

	"changeover/internal/fault"
)

// HAProxy names a proxy in TCP mode before the two servers: a backend with both, of which one is in
// maintenance.
type HAProxy struct {
	Socket  string `yaml:"socket"`  // of the runtime API, level admin: a path, or host:port
	Backend string `yaml:"backend"` // its name, or that of a listen section
	Source  string `yaml:"source"`  // the source's name in it
	Target  string `yaml:"target"`  // the target's
	Map     string `yaml:"map"`     // the path, as HAProxy's configuration has it, of the map whose key hold makes the frontend wait; none: it can't hold
}

// balancer is a HAProxy.
//
// Its hold is a key of a map, which the rules of its frontend look at (docs/hooks.md): who connects
// meanwhile waits, at most for the frontend's inspect-delay, so that a hold that nobody ends lapses like
// a gate's. (The frontend's maxconn set to 0 would hold too; setting it back locks HAProxy up for good
// before 3.1 and in the releases of 2.6 to 3.0 without the mending: haproxy/haproxy#2726, seen in 2.6.12.)
//
// Connections that are open are left alone until the flip: a proxy of bytes can't tell an idle one from
// one in the middle of a transaction. What is written through them after the fence is refused by the
// server, which is an answer that can be trusted; cut in the middle of a COMMIT, nobody would know. The
// flip closes them, so that pools come back to the new writer.
type balancer struct {
	name    string
	timeout time.Duration
	HAProxy
	api runtimeAPI
}

func newBalancer(c Config) (*balancer, error) {
	h := *c.HAProxy
	wrong := func(format string, args ...any) error {
		return fault.New(fault.HookConfig, "cutover.hooks %q: haproxy: %w", c.Name, fmt.Errorf(format, args...))
	}
	for _, name := range []struct{ key, value string }{{"backend", h.Backend}, {"source", h.Source}, {"target", h.Target}} {
		if !isName(name.value) {
			return nil, wrong("%s must be a name as HAProxy's configuration has it", name.key)
		}
	}
	switch {
	case h.Socket == "":
		return nil, wrong("socket is missing")
	case h.Source == h.Target:
		return nil, wrong("source and target are the same server")
	case strings.ContainsAny(h.Map, " \t\r\n;\\"):
		return nil, wrong("map must be a path as HAProxy's configuration has it, without spaces")
	}
	return &balancer{name: c.Name, timeout: c.Timeout, HAProxy: h, api: runtimeAPI(h.Socket)}, nil
}

func (b *balancer) Name() string { return b.name }
func (b *balancer) Holds() bool  { return b.Map != "" }

// Check asks for everything that the steps need, and that one server is in maintenance: else a part of
// the applications writes to each of them.
func (b *balancer) Check(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, b.timeout)
	defer cancel()
	level, err := b.api.ask(ctx, "show cli level")
	if err != nil {
		return b.failed(Check, err)
	}
	if level = strings.TrimSpace(level); level != "admin" {
		return b.wrong("its socket %s has the level %q, and the steps need admin", b.Socket, level)
	}
	s, err := b.api.stats(ctx)
	if err != nil {
		return b.failed(Check, err)
	}
	source, target := s.server(b.Backend, b.Source), s.server(b.Backend, b.Target)
	switch {
	case source == nil || target == nil:
		return b.wrong("it has no backend %s with servers %s and %s", b.Backend, b.Source, b.Target)
	case source.maintenance() == target.maintenance():
		return b.wrong("of its servers %s (%s) and %s (%s) exactly one must be in maintenance", b.Source, source.status, b.Target, target.status)
	}
	if !b.Holds() {
		return nil
	}
	text, err := b.api.ask(ctx, "show map "+b.Map)
	if err != nil {
		return b.failed(Check, err)
	}
	switch value, ok := mapValue(text, holdKey); {
	case !ok:
		return b.wrong("its map %s has no key %s: %s", b.Map, holdKey, strings.Join(strings.Fields(text), " "))
	case value == "1": // of an attempt that nobody has settled, or of somebody else's
		return b.wrong("it holds already; if no attempt is under way: set map %s %s 0", b.Map, holdKey)
	}
	return nil
}

func (b *balancer) wrong(format string, args ...any) error {
	return fault.New(fault.HookConfig, "hook %s: HAProxy: %w", b.name, fmt.Errorf(format, args...))
}

// holdKey is the map's key; its value is 1 while who connects waits.
const holdKey = "hold"

// Hold keeps new connections waiting. Where there is no map it does nothing.
func (b *balancer) Hold(ctx context.Context, _ Event) error { return b.setHold(ctx, Hold, "1") }

// Release lets those go on who wait, to the server that takes connections now.
func (b *balancer) Release(ctx context.Context, _ Event) error { return b.setHold(ctx, Release, "0") }

func (b *balancer) setHold(ctx context.Context, step Step, value string) error {
	if !b.Holds() {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, b.timeout)
	defer cancel()
	return b.failed(step, b.api.do(ctx, "set map "+b.Map+" "+holdKey+" "+value))
}

// Flip lets the new writer in before the old one goes: in between nobody finds no server at all. Who
// was let to the old one meanwhile is closed with the others.
func (b *balancer) Flip(ctx context.Context, e Event) error {
	ctx, cancel := context.WithTimeout(ctx, b.timeout)
	defer cancel()
	from, to, err := b.servers(e)
	if err != nil {
		return err
	}
	for _, command := range []string{
		"set server " + to + " state ready",
		"set server " + from + " state maint",
		"shutdown sessions server " + from,
	} {
		if err := b.api.do(ctx, command); err != nil {
			return b.failed(Flip, err)
		}
	}
	return b.failed(Flip, b.settled(ctx, e))
}

// servers are backend/server of who gives the role away and who gets it.
func (b *balancer) servers(e Event) (from, to string, err error) {
	of := map[string]string{"source": b.Backend + "/" + b.Source, "target": b.Backend + "/" + b.Target}
	if from, to = of[e.From], of[e.To]; from == "" || to == "" || from == to {
		return "", "", fmt.Errorf("hook %s: flip from %q to %q: the sides are source and target", b.name, e.From, e.To)
	}
	return from, to, nil
}

// settled waits until the flip is what HAProxy does: nobody is connected to the old writer any more.
func (b *balancer) settled(ctx context.Context, e Event) error {
	from, to := b.Source, b.Target
	if e.From == "target" {
		from, to = to, from
	}
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for {
		s, err := b.api.stats(ctx)
		if err != nil {
			return err
		}
		was, is := s.server(b.Backend, from), s.server(b.Backend, to)
		switch {
		case was == nil || is == nil:
			return fmt.Errorf("backend %s has no servers %s and %s any more", b.Backend, from, to)
		case was.maintenance() && was.current == 0 && is.takes():
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s is %s with %d connections, %s is %s: %w", from, was.status, was.current, to, is.status, context.Cause(ctx))
		case <-tick.C:
		}
	}
}

func (b *balancer) failed(step Step, err error) error {
	if err == nil {
		return nil
	}
	return fault.New(fault.HookHAProxy, "hook %s: %s: %w", b.name, step, err)
}
