package bus

import (
	"net"
	"net/url"
	"strings"

	"changeover/internal/fault"
)

// Public is address without what must not be shown: the token in it, if there is one. What is no
// address is not shown at all.
func Public(address string) string {
	var shown []string
	for _, one := range strings.Split(address, ",") {
		u, err := url.Parse(strings.TrimSpace(one))
		if err != nil || u.Host == "" {
			shown = append(shown, "(no address)")
			continue
		}
		shown = append(shown, u.Scheme+"://"+u.Host)
	}
	return strings.Join(shown, ",")
}

// parse takes an address apart: nats://host:port or tls://host:port, a token before the @, and
// several of one cluster with commas between. Its errors show nothing of the address, because
// there may be a token in it.
func parse(address string) ([]*url.URL, error) {
	var urls []*url.URL
	for _, one := range strings.Split(address, ",") {
		u, err := url.Parse(strings.TrimSpace(one))
		if err != nil || u.Scheme != "nats" && u.Scheme != "tls" || u.Hostname() == "" {
			return nil, fault.New(fault.BusAddress, "the bus's address %s is not nats://host:port or tls://host:port", Public(address))
		}
		urls = append(urls, u)
	}
	return urls, nil
}

// Loopback tells whether host, without a port, leads to this machine whatever DNS says.
func Loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// Guarded is the rule that both ends keep: what leaves this machine is encrypted, and whoever joins
// shows an nkey. A stranger who could send orders would stall every write of the application.
func Guarded(host string, encrypted, keyed bool) error {
	if Loopback(host) || encrypted && keyed {
		return nil
	}
	lacks := "TLS and an nkey"
	switch {
	case encrypted:
		lacks = "an nkey"
	case keyed:
		lacks = "TLS"
	}
	return fault.New(fault.BusOpen, "the bus at %s is not on loopback and has to have %s", host, lacks)
}
