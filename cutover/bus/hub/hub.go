// Package hub is the NATS server that `changeover run` embeds. Applications do not import it: a
// gate needs package bus only.
//
// In: an address to listen at. Out: the address that goes into the route row, by which gates find
// it. The decision that matters: on loopback a random token in that address is all that it takes to
// join, so whoever may read the route row may; anywhere else there are TLS and an nkey, or nothing
// listens.
package hub

import (
	"crypto/rand"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nkeys"

	"changeover/cutover/bus"
	"changeover/internal/fault"
)

// Options are how the server listens.
type Options struct {
	Address   string       // host:port; port 0 takes a free one
	Advertise string       // host, or host:port, by which gates find it; needed where Address is all addresses
	TLS       *tls.Config  // nil: not encrypted
	Keys      []string     // public nkeys of users (U…) that may join: the coordinator's and the gates'; none: the token
	Log       *slog.Logger // nil: nothing is logged
}

// Hub is a server that listens.
type Hub struct {
	server  *server.Server
	address string
}

// Thousands of gates connect, and say little. None may cost more than this, nor slow the others.
const (
	readyLimit   = 10 * time.Second
	pendingBytes = 1 << 20
	payloadBytes = 256 << 10
	writeLimit   = time.Second
	pingEvery    = 2 * time.Second
	pingsMissing = 2
)

// Listen starts the server and returns when gates can connect. Close ends it.
func Listen(o Options) (*Hub, error) {
	host, port, err := listenAt(o.Address)
	if err != nil {
		return nil, err
	}
	if err := bus.Guarded(host, o.TLS != nil, len(o.Keys) > 0); err != nil {
		return nil, err
	}
	if ip := net.ParseIP(host); (host == "" || ip != nil && ip.IsUnspecified()) && o.Advertise == "" {
		return nil, fault.New(fault.BusListen, "listen for gates on %s: by which name gates find this machine is not said", o.Address)
	}
	token := rand.Text()
	settings := &server.Options{
		ServerName: "changeover", Host: host, Port: port,
		NoSigs: true, NoSystemAccount: true, NoFastProducerStall: true,
		MaxPayload: payloadBytes, MaxPending: pendingBytes, WriteDeadline: writeLimit,
		PingInterval: pingEvery, MaxPingsOut: pingsMissing,
	}
	if o.TLS != nil {
		settings.TLS, settings.TLSConfig = true, o.TLS
	}
	for _, key := range o.Keys {
		if !nkeys.IsValidPublicUserKey(key) {
			return nil, fault.New(fault.BusKey, "%q is not the public nkey of a user", key)
		}
		settings.Nkeys = append(settings.Nkeys, &server.NkeyUser{Nkey: key})
	}
	if len(o.Keys) == 0 {
		settings.Authorization = token
	}
	s, err := start(settings, o.Log)
	if err != nil {
		return nil, fault.New(fault.BusListen, "listen for gates on %s: %w", o.Address, err)
	}
	return &Hub{server: s, address: addressOf(o, s.Addr(), token)}, nil
}

// Address is what goes into the route row. There may be a token in it: it is for whoever may read
// that row, and for nobody else. Public(h.Address()) is for logs and status.
func (h *Hub) Address() string { return h.address }

// Close ends the server. Gates notice at once, and read the route rows.
func (h *Hub) Close() {
	h.server.Shutdown()
	h.server.WaitForShutdown()
}

// Public is address without the token in it.
func Public(address string) string { return bus.Public(address) }

func listenAt(address string) (host string, port int, err error) {
	host, text, err := net.SplitHostPort(address)
	if err == nil {
		port, err = strconv.Atoi(text)
	}
	if err != nil || port < 0 || port > 65535 {
		return "", 0, fault.New(fault.BusListen, "listen for gates on %q: it is not host:port", address)
	}
	if port == 0 {
		port = server.RANDOM_PORT
	}
	return host, port, nil
}

// addressOf makes the address by which gates find the server.
func addressOf(o Options, listening net.Addr, token string) string {
	at := listening.String()
	if o.Advertise != "" {
		at = o.Advertise
		if _, _, err := net.SplitHostPort(at); err != nil {
			_, port, _ := net.SplitHostPort(listening.String())
			at = net.JoinHostPort(at, port)
		}
	} else if host, _, err := net.SplitHostPort(o.Address); err == nil {
		// The name, not the address that it led to: the certificate is for the name.
		_, port, _ := net.SplitHostPort(at)
		at = net.JoinHostPort(host, port)
	}
	scheme := "nats://"
	if o.TLS != nil {
		scheme = "tls://"
	}
	if len(o.Keys) == 0 {
		return scheme + token + "@" + at
	}
	return scheme + at
}

// start starts the server and waits until it listens. It reports why it can't listen only to its
// log, so that is where this is read from.
func start(settings *server.Options, log *slog.Logger) (*server.Server, error) {
	s, err := server.NewServer(settings)
	if err != nil {
		return nil, err
	}
	lines := newLines(log)
	s.SetLoggerV2(lines, false, false, false)
	s.Start()
	for deadline := time.Now().Add(readyLimit); ; {
		if s.ReadyForConnections(50 * time.Millisecond) {
			return s, nil
		}
		select {
		case err = <-lines.fatal:
		default:
			if time.Now().Before(deadline) {
				continue
			}
			err = fmt.Errorf("it did not come up within %s", readyLimit)
		}
		s.Shutdown()
		s.WaitForShutdown()
		return nil, err
	}
}
