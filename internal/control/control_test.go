package control

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"changeover/internal/fault"
)

type fake struct{ paused bool }

func (f *fake) Status() map[string]bool { return map[string]bool{"paused": f.paused} }
func (f *fake) Pause()                  { f.paused = true }
func (f *fake) Resume()                 { f.paused = false }

func serve(t *testing.T, dir string) *Server {
	t.Helper()
	s, err := Listen("127.0.0.1:0", dir)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- Serve(ctx, s, &fake{}) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		_ = s.Close()
	})
	return s
}

func TestACommandFindsTheRunThatAnnouncedItself(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	var got map[string]bool
	if err := Ask(t.Context(), dir, "GET", "/v1/status", &got); !fault.Is(err, fault.NotRunning) {
		t.Fatalf("before any run: %v", err)
	}
	s := serve(t, dir)
	if err := s.Announce(); err != nil {
		t.Fatal(err)
	}
	if err := Ask(t.Context(), dir, "POST", "/v1/pause", &got); err != nil || !got["paused"] {
		t.Fatalf("pause: %v, %v", got, err)
	}
	if err := Ask(t.Context(), dir, "POST", "/v1/resume", &got); err != nil || got["paused"] {
		t.Fatalf("resume: %v, %v", got, err)
	}
	info, err := os.Stat(filepath.Join(dir, doorFile))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("the file with the token is %v, %v", info.Mode(), err)
	}
}

func TestNobodyIsAnsweredWithoutTheToken(t *testing.T) {
	s := serve(t, t.TempDir())
	for _, header := range []string{"", "Bearer ", "Bearer " + strings.Repeat("0", 48)} {
		req, err := http.NewRequestWithContext(t.Context(), "POST", "http://"+s.Address()+"/v1/pause", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", header)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode != http.StatusUnauthorized {
			t.Errorf("%q is answered with %s", header, res.Status)
		}
	}
}

func TestARunThatIsRefusedLeavesTheOthersFileAlone(t *testing.T) {
	dir := t.TempDir()
	first := serve(t, dir)
	if err := first.Announce(); err != nil {
		t.Fatal(err)
	}
	second, err := Listen("127.0.0.1:0", dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := second.Close(); err != nil { // it did not get the lease
		t.Fatal(err)
	}
	var got map[string]bool
	if err := Ask(t.Context(), dir, "GET", "/v1/status", &got); err != nil {
		t.Fatal(err)
	}
}

func TestAnAddressInUseIsAFault(t *testing.T) {
	s := serve(t, t.TempDir())
	if _, err := Listen(s.Address(), t.TempDir()); !fault.Is(err, fault.ControlListen) {
		t.Fatalf("got %v", err)
	}
}
