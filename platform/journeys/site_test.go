// Package journeys is what people do with the platform, done in a browser: real pages, a real
// server, a real database. Each journey is a test; its screenshots are those of the documents.
package journeys

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"testing"

	"changeover/internal/sandbox/sandboxtest"
	"changeover/platform/assets"
	"changeover/platform/browser"
	"changeover/platform/platformtest"
	"changeover/platform/seed"
	"changeover/platform/web"
)

func TestMain(m *testing.M) { sandboxtest.Main(m, browser.Close) }

// site is the platform with one application server, at an address that it keeps when it is
// stopped and started again.
type site struct {
	*platformtest.Platform
	URL string

	handler http.Handler
	server  *http.Server
	served  chan error
}

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{Platform: platformtest.New(t, sandboxtest.MySQLSource(t))}
	bucket, err := assets.OpenBucket(context.Background(), "file://"+t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	s.handler, err = web.New(web.Config{Store: s.Store, Assets: bucket, AdminToken: platformtest.AdminToken, Log: s.Log})
	if err != nil {
		t.Fatal(err)
	}
	s.start(t)
	t.Cleanup(func() {
		s.stop(t)
		if err := bucket.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// newSchool is a site with the courses that there really are.
func newSchool(t *testing.T) *site {
	t.Helper()
	s := newSite(t)
	s.Exec(t, "DELETE FROM levels")
	s.Exec(t, "DELETE FROM scripts")
	if err := seed.Curriculum(t.Context(), s.DB); err != nil {
		t.Fatal(err)
	}
	return s
}

// start listens at the site's address.
func (s *site) start(t *testing.T) {
	t.Helper()
	address := "127.0.0.1:0"
	if s.URL != "" {
		address = s.URL[len("http://"):]
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	s.URL = "http://" + listener.Addr().String()
	s.server, s.served = &http.Server{Handler: s.handler}, make(chan error, 1)
	go func(server *http.Server, served chan<- error) { served <- server.Serve(listener) }(s.server, s.served)
}

// stop cuts all connections, like a machine that is switched off. Stopped twice is stopped.
func (s *site) stop(t *testing.T) {
	t.Helper()
	if s.server == nil {
		return
	}
	if err := s.server.Close(); err != nil {
		t.Errorf("stop the server: %v", err)
	}
	if err := <-s.served; !errors.Is(err, http.ErrServerClosed) {
		t.Errorf("the server ended: %v", err)
	}
	s.server = nil
}

// visitor is a person who has come to the site.
func (s *site) visitor(t *testing.T, size browser.Size, locale string) *browser.Visitor {
	t.Helper()
	return browser.NewVisitor(t, s.URL, size, locale)
}

// onEverySize runs a journey on a desktop and on a tablet, each on a site of its own.
func onEverySize(t *testing.T, journey func(t *testing.T, s *site, size browser.Size)) {
	t.Helper()
	for _, size := range []browser.Size{browser.Desktop, browser.Tablet} {
		t.Run(size.Name, func(t *testing.T) { journey(t, newSchool(t), size) })
	}
}

// want fails if a number in the database is another.
func (s *site) want(t *testing.T, want int, query string, args ...any) {
	t.Helper()
	if got := s.Int(t, query, args...); got != want {
		t.Errorf("%d, want %d: %s", got, want, fmt.Sprint(append([]any{query}, args...)...))
	}
}
