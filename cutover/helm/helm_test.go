package helm

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"changeover/internal/fault"
	"changeover/internal/sandbox"
	"changeover/internal/sandbox/sandboxtest"
	"changeover/internal/server"
)

func TestMain(m *testing.M) { sandboxtest.Main(m) }

func request(t *testing.T, s *sandboxtest.Server) Request {
	t.Helper()
	pw, err := s.Password(sandbox.Changeover)
	if err != nil {
		t.Fatal(err)
	}
	return Request{Endpoint: server.Endpoint{Host: s.Host, Port: s.Port, User: string(sandbox.Changeover), Password: pw}, Side: Source,
		Migration: t.Name()[len(t.Name())-min(len(t.Name()), 30):], Holder: Holder{Name: "one:1"}, Log: zerolog.New(zerolog.NewTestWriter(t))}
}

func take(t *testing.T, r Request) *Helm {
	t.Helper()
	h, err := Take(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Close)
	return h
}

func servers(t *testing.T, test func(*testing.T, *sandboxtest.Server)) {
	t.Run("mysql", func(t *testing.T) { t.Parallel(); test(t, sandboxtest.MySQLSource(t)) })
	t.Run("mariadb", func(t *testing.T) { t.Parallel(); test(t, sandboxtest.MariaDBSource(t)) })
}

func TestOneHelmAtATime(t *testing.T) {
	servers(t, func(t *testing.T, s *sandboxtest.Server) {
		r := request(t, s)
		first := take(t, r)
		if _, err := Take(t.Context(), r); !fault.Is(err, fault.LeaseHeld) {
			t.Fatalf("a second helm beside one that lives: %v", err)
		}
		// A dead process's session ends with it: the helm is free at once.
		if err := End(t.Context(), s.DB(t, sandbox.Root), first.Session()); err != nil {
			t.Fatal(err)
		}
		second := take(t, r)
		if _, err := first.ExecContext(t.Context(), "DO 1"); !errors.Is(err, ErrLost) {
			t.Errorf("the first helm goes on: %v", err)
		}
		if err := second.Check(t.Context()); err != nil {
			t.Error(err)
		}
		// One that is silent is ended. Its own process's leftover is, without waiting for silence.
		own := r
		own.Own = second.Session()
		third := take(t, own)
		select {
		case <-second.Gone():
		case <-time.After(10 * time.Second):
			t.Error("the second helm has not noticed that it is lost")
		}
		third.Close()
		take(t, r) // given back, it is free at once
	})
}

// A coordinator was killed, and the server has not ended its session yet: whoever comes next is not refused, as it
// is by one that lives, but waits until the session ends or has been silent for long enough.
func TestADeadHoldersLastHeartbeatRefusesNobody(t *testing.T) {
	servers(t, func(t *testing.T, s *sandboxtest.Server) {
		for name, ends := range map[string]bool{"its session ends": true, "its session stays": false} {
			first := take(t, request(t, s))
			first.stop()
			first.beater.Wait()
			if err := first.beatOnce(t.Context()); err != nil {
				t.Fatal(err)
			}
			r, taken := request(t, s), make(chan error, 1)
			r.Silence = 2 * time.Second
			go func() { // ends with the test: within the silence
				second, err := Take(context.WithoutCancel(t.Context()), r)
				if err == nil {
					second.Close()
				}
				taken <- err
			}()
			if ends {
				if err := End(t.Context(), s.DB(t, sandbox.Root), first.Session()); err != nil {
					t.Fatal(err)
				}
			}
			if err := <-taken; err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

// A statement that waits is ended in the server when its context ends, and the session is there for the
// next one: it is the helm.
func TestAContextsEndDoesNotCostTheHelm(t *testing.T) {
	servers(t, func(t *testing.T, s *sandboxtest.Server) {
		h := take(t, request(t, s))
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		began := time.Now()
		_, err := h.ExecContext(ctx, "UPDATE `_changeover`.`helm` SET control = IF(SLEEP(20), 'x', 'y') WHERE migration = ?", h.migration)
		if err == nil && s.Flavor == sandbox.MySQL { // SLEEP itself tells of its end as a value there
			err = ctx.Err()
		}
		if err == nil || time.Since(began) > 10*time.Second {
			t.Errorf("it ended with %v after %v", err, time.Since(began))
		}
		if err := h.Check(t.Context()); err != nil {
			t.Errorf("the helm is lost: %v", err)
		}
	})
}

func TestARegisterIsDecidedOnce(t *testing.T) {
	servers(t, func(t *testing.T, s *sandboxtest.Server) {
		h := take(t, request(t, s))
		n, err := h.NextAttempt(t.Context())
		if err != nil || n != 1 {
			t.Fatalf("the first attempt is %d, %v", n, err)
		}
		if err := h.Register(t.Context(), Entry{Attempt: n, Kind: "cutover", Epoch: 2}); err != nil {
			t.Fatal(err)
		}
		for _, o := range []Outcome{Commit, Abort, Commit} { // whatever comes later, the first stands
			if got, err := h.Decide(t.Context(), n, o, "a:1-7"); err != nil || got != Commit {
				t.Errorf("%s: it says %s, %v", o, got, err)
			}
		}
		commit, ok, err := h.LastCommit(t.Context())
		if err != nil || !ok || commit.Epoch != 2 {
			t.Errorf("%+v, %v, %v", commit, ok, err)
		}
		if at, err := h.FencedPosition(t.Context()); err != nil || at != "a:1-7" {
			t.Errorf("its position is %q, %v", at, err)
		}
		if n, err := h.NextAttempt(t.Context()); err != nil || n != 2 {
			t.Errorf("the next attempt is %d, %v", n, err)
		}
	})
}

func TestARouteNeverGoesBack(t *testing.T) {
	servers(t, func(t *testing.T, s *sandboxtest.Server) {
		h := take(t, request(t, s))
		for _, r := range []Route{{Writer: Source, Epoch: 1, Attempt: 3}, {Writer: Target, Epoch: 2, Attempt: 4}, {Writer: Source, Epoch: 1, Attempt: 2, Bus: "moved"}} {
			if err := h.SetRoute(t.Context(), r); err != nil {
				t.Fatal(err)
			}
		}
		got, ok, err := h.Route(t.Context())
		if err != nil || !ok || got.Writer != Target || got.Epoch != 2 || got.Attempt != 4 || got.Bus != "moved" || got.Side != Source {
			t.Errorf("%+v, %v, %v", got, ok, err)
		}
	})
}
