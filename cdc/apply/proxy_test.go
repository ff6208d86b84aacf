package apply

import (
	"database/sql"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
)

// proxy stands between a Writer and the server and loses things.
type proxy struct {
	listener net.Listener
	server   string
	// swallow loses the server's next answer, with the connection; drop loses the client's next
	// packet, so that the server never sees it.
	swallow, drop atomic.Bool
	// odds, unless 0, is how rarely any packet is lost with its connection: one in so many. Losses go
	// by traffic, not by time: a clock that loses a packet every so often never lets a slow machine,
	// whose tries are further apart, get through.
	odds atomic.Int64
	// deaf keeps the server's side open when a client is gone: the server doesn't notice.
	deaf atomic.Bool

	mu   sync.Mutex
	open map[net.Conn]struct{}
}

// lossy is a proxy to the bench's server and a pool that goes through it, without TLS: a proxy
// that can't read must not have to.
func (b *bench) lossy() (*proxy, *sql.DB) {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	p := &proxy{listener: l, server: b.endpoint.Addr(), open: map[net.Conn]struct{}{}}
	var wg sync.WaitGroup
	wg.Go(func() { p.accept(&wg) })
	b.Cleanup(func() { _ = l.Close(); p.cut(); wg.Wait() })
	e := b.endpoint
	e.Host, e.Port, e.NoTLS = "127.0.0.1", l.Addr().(*net.TCPAddr).Port, true
	return p, b.pool(e, Session(4))
}

func (p *proxy) accept(wg *sync.WaitGroup) {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", p.server)
		if err != nil {
			_ = client.Close()
			continue
		}
		p.mu.Lock()
		p.open[client], p.open[server] = struct{}{}, struct{}{}
		p.mu.Unlock()
		wg.Go(func() { defer p.end(client, server); p.pipe(server, client, &p.drop) })
		wg.Go(func() { defer p.end(client, server); p.pipe(client, server, &p.swallow) })
	}
}

func (p *proxy) end(client, server net.Conn) {
	_ = client.Close()
	if !p.deaf.Load() {
		_ = server.Close()
	}
}

// pipe copies until one side ends, lose is set or a packet is unlucky.
func (p *proxy) pipe(to, from net.Conn, lose *atomic.Bool) {
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		if err != nil || lose.CompareAndSwap(true, false) || p.unlucky() {
			return
		}
		if _, err := to.Write(buf[:n]); err != nil {
			return
		}
	}
}

func (p *proxy) unlucky() bool {
	odds := p.odds.Load()
	return odds > 0 && rand.Int64N(odds) == 0
}

// cut ends all connections.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.open {
		_ = c.Close()
	}
	p.open = map[net.Conn]struct{}{}
}
