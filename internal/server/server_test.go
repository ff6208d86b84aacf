package server_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"changeover/internal/fault"
	"changeover/internal/sandbox"
	"changeover/internal/sandbox/sandboxtest"
	"changeover/internal/server"
)

func TestMain(m *testing.M) { sandboxtest.Main(m) }

func endpoint(t *testing.T, s *sandboxtest.Server, a sandbox.Account) server.Endpoint {
	t.Helper()
	password, err := s.Password(a)
	if err != nil {
		t.Fatal(err)
	}
	return server.Endpoint{Host: s.Host, Port: s.Port, User: string(a), Password: password}
}

func TestVersions(t *testing.T) {
	for text, want := range map[string]server.Version{
		"8.0.44":                            {server.MySQL, 8, 0, 44},
		"9.7.4-2":                           {server.MySQL, 9, 7, 4},
		"8.0.42-rds":                        {server.MySQL, 8, 0, 42},
		"5.7.mysql_aurora.2.11.4":           {server.MySQL, 5, 7, 0},
		"10.11.19-MariaDB":                  {server.MariaDB, 10, 11, 19},
		"5.5.5-10.6.22-MariaDB-1:10.6.22+x": {server.MariaDB, 10, 6, 22},
	} {
		got, err := server.ParseVersion(text)
		if err != nil || got != want {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "MariaDB", "eight", "8"} {
		if v, err := server.ParseVersion(text); err == nil {
			t.Errorf("%q is %v", text, v)
		}
	}
	v, _ := server.ParseVersion("8.0.44")
	for _, c := range []struct {
		major, minor, patch int
		want                bool
	}{{8, 0, 44, true}, {8, 0, 45, false}, {8, 1, 0, false}, {7, 9, 99, true}, {9, 0, 0, false}} {
		if v.AtLeast(c.major, c.minor, c.patch) != c.want {
			t.Errorf("8.0.44 at least %d.%d.%d is not %v", c.major, c.minor, c.patch, c.want)
		}
	}
}

func TestEachWayToFailToConnectHasItsCode(t *testing.T) {
	src := sandboxtest.NewPair(t).Source
	good := endpoint(t, src, sandbox.Changeover)
	silent := listen(t, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) })
	web := listen(t, func(c net.Conn) { _, _ = c.Write([]byte("HTTP/1.1 400 Bad Request\r\n\r\n")); _ = c.Close() })
	closing := listen(t, func(c net.Conn) { _ = c.Close() })
	for name, c := range map[string]struct {
		change func(*server.Endpoint)
		code   fault.Code
		says   string
	}{
		"host that DNS does not know": {func(e *server.Endpoint) { e.Host = "no-such-host.invalid" }, fault.Connect, "DNS"},
		"port where nothing listens":  {func(e *server.Endpoint) { e.Port = closedPort(t) }, fault.Connect, "refused"},
		"port of a web server":        {func(e *server.Endpoint) { e.Port = web }, fault.Connect, "did not answer like a MySQL server"},
		"port that hangs up":          {func(e *server.Endpoint) { e.Port = closing }, fault.Connect, "did not answer like a MySQL server"},
		"port that says nothing":      {func(e *server.Endpoint) { e.Port = silent }, fault.Connect, "timeout"},
		"wrong password":              {func(e *server.Endpoint) { e.Password = "hunter2" }, fault.Access, "1045"},
		"unknown user":                {func(e *server.Endpoint) { e.User = "nobody" }, fault.Access, "nobody"},
		"certificate of a stranger": {func(e *server.Endpoint) {
			*e = withTLS(t, *e, server.TLSOptions{Mode: server.TLSVerifyCA, CA: strangersCA(t)})
		}, fault.TLS, "not signed by the CA"},
		"certificate without the name": {func(e *server.Endpoint) {
			*e = withTLS(t, *e, server.TLSOptions{Mode: server.TLSVerifyFull, CA: strangersCA(t)})
		}, fault.TLS, "certificate"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := good
			c.change(&e)
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
			defer cancel()
			db, err := server.Dial(ctx, e, server.Session{})
			if err == nil {
				_ = db.Close()
				t.Fatal("connected")
			}
			if !fault.Is(err, c.code) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("want %s with %q, got %v", c.code, c.says, err)
			}
			if strings.Contains(err.Error(), good.Password) || strings.Contains(err.Error(), "hunter2") {
				t.Error("a password was printed")
			}
		})
	}
}

func TestRefusalsAreClassifiedByTheirNumber(t *testing.T) {
	for number, want := range map[uint16]fault.Code{
		1045: fault.Access, 3118: fault.Access, 4151: fault.Access, 1130: fault.Access,
		1049: fault.NoDatabase, 3159: fault.TLS, 1040: fault.Connect,
	} {
		err := server.Classify(server.Endpoint{Host: "h"}, &mysql.MySQLError{Number: number, Message: "m"})
		if !fault.Is(err, want) {
			t.Errorf("%d: %v", number, err)
		}
	}
	other := errors.New("other")
	if server.Classify(server.Endpoint{}, other) != other {
		t.Error("an unknown error must stay as it is")
	}
}

func TestACancelledCallerIsNotTheEndpointsFault(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := server.Dial(ctx, server.Endpoint{Host: "127.0.0.1", Port: 1}, server.Session{})
	if !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestTLSModesAgainstARealServer(t *testing.T) {
	src := sandboxtest.NewPair(t).Source
	for _, mode := range []server.TLSMode{server.TLSPreferred, server.TLSRequired, server.TLSDisabled} {
		t.Run(string(mode), func(t *testing.T) {
			e := withTLS(t, endpoint(t, src, sandbox.Changeover), server.TLSOptions{Mode: mode})
			db, err := server.Dial(t.Context(), e, server.Session{Connections: 1})
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = db.Close() }()
			var name, cipher string
			if err := db.QueryRow("SHOW SESSION STATUS LIKE 'Ssl_cipher'").Scan(&name, &cipher); err != nil {
				t.Fatal(err)
			}
			if (cipher == "") != (mode == server.TLSDisabled) {
				t.Errorf("mode %s has cipher %q", mode, cipher)
			}
		})
	}
}

func TestBadTLSFilesAreFaults(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, o := range map[string]server.TLSOptions{
		"no CA file":    {Mode: server.TLSVerifyCA, CA: "/nowhere"},
		"empty CA file": {Mode: server.TLSVerifyFull, CA: empty},
		"no key":        {Mode: server.TLSRequired, Cert: "/nowhere", Key: "/nowhere"},
	} {
		if _, err := (server.Endpoint{Host: "h"}).WithTLS(o); !fault.Is(err, fault.TLS) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestIdentitiesTellServersApart(t *testing.T) {
	pair := sandboxtest.NewPair(t)
	source := probe(t, endpoint(t, pair.Source, sandbox.Changeover))
	again := probe(t, endpoint(t, pair.Source, sandbox.RDSLike))
	target := probe(t, endpoint(t, pair.Target, sandbox.Admin))
	if !server.Same(source, again) || server.Restarted(source, again) {
		t.Errorf("%+v and %+v are one server", source, again)
	}
	if server.Same(source, target) {
		t.Errorf("%+v and %+v are two servers", source, target)
	}
	later := again
	later.Started = later.Started.Add(time.Minute)
	if !server.Restarted(source, later) {
		t.Error("a start a minute later is a restart")
	}
}

func TestVariablesAreReadAtOnce(t *testing.T) {
	src := sandboxtest.NewPair(t).Source
	vars, err := server.ReadVariables(t.Context(), src.DB(t, sandbox.RDSLike))
	if err != nil {
		t.Fatal(err)
	}
	if !vars.On("log_bin") || vars["binlog_row_image"] != "FULL" || vars.Has("no_such") || vars.On("no_such") {
		t.Errorf("log_bin=%q binlog_row_image=%q", vars["log_bin"], vars["binlog_row_image"])
	}
	if n, ok := vars.Int("max_allowed_packet"); !ok || n <= 0 {
		t.Errorf("max_allowed_packet %d %v", n, ok)
	}
	if _, ok := vars.Int("version"); ok {
		t.Error("a version is not a number")
	}
}

func probe(t *testing.T, e server.Endpoint) server.Identity {
	t.Helper()
	id, err := server.Probe(t.Context(), e)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func withTLS(t *testing.T, e server.Endpoint, o server.TLSOptions) server.Endpoint {
	t.Helper()
	e, err := e.WithTLS(o)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// listen serves each connection with talk and returns the port.
func listen(t *testing.T, talk func(net.Conn)) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() { // ends when the listener is closed
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go talk(c)
		}
	}()
	return l.Addr().(*net.TCPAddr).Port
}

func closedPort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr).Port
}

func strangersCA(t *testing.T) string {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "stranger"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, ca, ca, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
