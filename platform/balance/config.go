package balance

import (
	_ "embed"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"text/template"
	"time"
)

//go:embed haproxy.cfg.tmpl
var configText string

// Server is one application server behind the balancer.
type Server struct {
	Name    string // [A-Za-z0-9_-]+, unique: what Drain and Ready are called with
	Address string // host:port
}

// Config is what the template is filled with.
type Config struct {
	Listen         string // a loopback address and a port
	Socket         string // path of the admin socket
	Servers        []Server
	CheckEvery     time.Duration // between two looks at /readyz of a server; 0: a second
	MaxConnections int           // 0: 4000
	Threads        int           // 0: as HAProxy likes, one for each core
}

// Render writes the configuration. It refuses to listen on anything but loopback: the shipped
// configuration has no TLS and no limits, and is not meant for a network.
func Render(w io.Writer, c Config) error {
	if err := c.check(); err != nil {
		return fmt.Errorf("haproxy.cfg: %w", err)
	}
	if c.CheckEvery == 0 {
		c.CheckEvery = time.Second
	}
	if c.MaxConnections == 0 {
		c.MaxConnections = 4000
	}
	t, err := template.New("haproxy.cfg").Parse(configText)
	if err != nil {
		return err
	}
	return t.Execute(w, struct {
		Config
		CheckEvery, CheckSoon string
	}{c, milliseconds(c.CheckEvery), milliseconds(c.CheckEvery / 4)})
}

func milliseconds(d time.Duration) string {
	return strconv.FormatInt(max(1, d.Milliseconds()), 10) + "ms"
}

func (c Config) check() error {
	listen, err := netip.ParseAddrPort(c.Listen)
	if err != nil {
		return err
	}
	if !listen.Addr().IsLoopback() {
		return fmt.Errorf("%s is not a loopback address", c.Listen)
	}
	if strings.ContainsAny(c.Socket, " \t\r\n\"'\\") || c.Socket == "" {
		return fmt.Errorf("%q can't be the path of the admin socket", c.Socket)
	}
	if len(c.Servers) == 0 {
		return errors.New("no servers")
	}
	seen := map[string]bool{}
	for _, s := range c.Servers {
		if !isName(s.Name) || seen[s.Name] {
			return fmt.Errorf("%q can't be the name of a server, or is twice", s.Name)
		}
		seen[s.Name] = true
		if _, _, err := net.SplitHostPort(s.Address); err != nil || strings.ContainsAny(s.Address, " \t\r\n\"'\\#") {
			return fmt.Errorf("%q is not the address of a server", s.Address)
		}
	}
	return nil
}

func isName(s string) bool {
	const allowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-"
	return s != "" && strings.Trim(s, allowed) == ""
}
