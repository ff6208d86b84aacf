package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/rs/zerolog"

	"changeover/platform/platformtest"
	"changeover/platform/store"
)

// moving is a file of settings for a pair.
func moving(t *testing.T, p *platformtest.Pair) string {
	t.Helper()
	folder := t.TempDir()
	source, target := p.Source().At, p.Target().At
	text := fmt.Sprintf("listen: 127.0.0.1:0\ndrain: 0s\ndatabase: {port: %d, user: app, password_file: source.pw, name: %s, connections: 8}\n"+
		"changeover: {migration: %s, target: {host: 127.0.0.1, port: %d, password_file: target.pw}}\n",
		source.Port, source.Database, platformtest.Migration, target.Port)
	for name, text := range map[string]string{"platform.yaml": text, "source.pw": source.Password, "target.pw": target.Password} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(folder, "platform.yaml")
}

// started is a server that runs until the test ends.
func started(t *testing.T, file string) (url string) {
	t.Helper()
	cfg, err := loadConfig(file)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	log := &lines{seen: make(chan string, 1000)}
	ended := make(chan error, 1)
	go func() { ended <- serve(ctx, cfg, zerolog.New(log)) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return "http://" + log.field(t, "listen")
}

// guest makes somebody who plays without an account, and returns the answer.
func guest(t *testing.T, url string) *http.Response {
	t.Helper()
	var session store.Token
	_, _ = rand.Read(session[:])
	body, err := json.Marshal(map[string]string{"op": uuid.Must(uuid.NewV7()).String(), "session": session.String(), "locale": "en"})
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.Post(url+"/api/guest", "application/json", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	answer, _ := io.ReadAll(res.Body)
	_ = res.Body.Close()
	if res.StatusCode != http.StatusOK {
		t.Fatalf("%d: %s", res.StatusCode, answer)
	}
	return res
}

// metric waits until /metrics has the line.
func metric(t *testing.T, url, line string) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		res, err := http.Get(url + "/metrics")
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if strings.Contains(string(text), "\n"+line+"\n") {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("there is no %s in\n%s", line, text)
		}
	}
}

// A server that was started before the copy, when the target had not even the database, is there at the cutover.
func TestAServerGoesWithItsDatabase(t *testing.T) {
	p := platformtest.NewPair(t)
	url := started(t, moving(t, p))
	if e := guest(t, url).Header.Get("Epoch"); e != "0" {
		t.Errorf("the epoch is %s before there is one", e)
	}
	p.Replicate(t)
	metric(t, url, "platform_epoch 1")
	// It has found the bus by the route row, and warmed its connections to a target that had refused them.
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if gates := p.Bus.Desk.Gates(); len(gates) == 1 && gates[0].CanHold && gates[0].Epoch == 1 {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("the coordinator sees %+v", p.Bus.Desk.Gates())
		}
	}
	p.Flip(t, platformtest.Held)
	res := guest(t, url)
	if e := res.Header.Get("Epoch"); e != "2" {
		t.Errorf("the epoch is %s after the flip", e)
	}
	for _, line := range []string{"platform_epoch 2", "platform_hold 0", "platform_writes_held 0", "platform_writes_inside 0",
		fmt.Sprintf(`platform_writer{server="%s",side="target"} 1`, p.Target().At.Addr())} {
		metric(t, url, line)
	}
	if n := p.Int(t, "SELECT COUNT(*) FROM users"); n != 2 {
		t.Errorf("%d users", n)
	}
	// Held, it is ready all the same.
	release := p.Hold(t)
	metric(t, url, "platform_hold 1")
	if res, err := http.Get(url + "/readyz"); err != nil || res.StatusCode != http.StatusOK {
		t.Errorf("while writes are held: %v, %v", res, err)
	} else {
		_ = res.Body.Close()
	}
	release()
	metric(t, url, "platform_hold 0")
}

func TestCommandsGoToTheWriter(t *testing.T) {
	p := platformtest.NewPair(t)
	p.Replicate(t)
	file := moving(t, p)
	expect := func(code int, says string, args ...string) {
		t.Helper()
		var out, errs bytes.Buffer
		got := run(append(args, "-c", file), &out, &errs)
		if all := out.String() + errs.String(); got != code || !strings.Contains(all, says) {
			t.Errorf("platform %s: exit code %d, want %d and %q:\n%s", strings.Join(args, " "), got, code, says, all)
		}
	}
	p.Flip(t, platformtest.Held)
	if got, err := writerOf(t, file); err != nil || got.Port != p.Target().At.Port {
		t.Errorf("after the flip the writer is %+v, %v", got, err)
	}
	expect(exitDone, "migrated", "migrate", "down", "--to", "12", "--notice", "1ms")
	expect(exitDone, "migrated", "migrate", "--notice", "1ms")
	expect(exitDone, "The courses are up to date", "seed")
	p.Equal(t)
	// Nobody takes writes: as in the middle of a cutover.
	p.Target().On.Exec(t, "SET GLOBAL read_only = 1")
	expect(exitFailed, "or it takes no writes", "migrate")
}

// A command that writes for longer than a cutover waits goes over with the writer's role, as a server does.
func TestCommandsGoOverWithTheWriter(t *testing.T) {
	p := platformtest.NewPair(t)
	p.Replicate(t)
	file := moving(t, p)
	type end struct {
		code int
		said string
	}
	start := func(args ...string) <-chan end {
		ended := make(chan end, 1)
		go func() {
			var out, errs bytes.Buffer
			code := run(append(args, "-c", file), &out, &errs)
			ended <- end{code, out.String() + errs.String()}
		}()
		return ended
	}
	done := func(ended <-chan end) {
		t.Helper()
		if e := <-ended; e.code != exitDone {
			t.Fatalf("exit code %d: %s", e.code, e.said)
		}
	}
	const activities = 60_000
	seeded := start("seed", "--students", "500", "--activities", strconv.Itoa(activities), "--connections", "2")
	for _, way := range []platformtest.Way{platformtest.Held, platformtest.Abrupt} {
		before := p.Int(t, "SELECT COUNT(*) FROM activities")
		for end := time.Now().Add(60 * time.Second); p.Int(t, "SELECT COUNT(*) FROM activities") < before+4000; time.Sleep(5 * time.Millisecond) {
			if time.Now().After(end) || len(seeded) > 0 {
				t.Fatalf("the school is not being made: %d ended", len(seeded))
			}
		}
		p.Flip(t, way)
	}
	if len(seeded) > 0 {
		t.Error("the school was there before the writer's role had passed: this test shows nothing")
	}
	done(seeded)
	p.Equal(t)
	for _, e := range []*platformtest.End{p.Source(), p.Target()} {
		db := e.On.DBIn(t, "app", p.At.Database)
		var n, users int
		if err := db.QueryRow("SELECT (SELECT COUNT(*) FROM activities), (SELECT COUNT(*) FROM users WHERE login = 'admin')").Scan(&n, &users); err != nil || n != activities || users != 1 {
			t.Errorf("the %s has %d activities, %d admins, %v", e.Side, n, users, err)
		}
	}

	p.Flip(t, platformtest.Abrupt)
	done(start("admin", "student-1"))
	if n := p.Int(t, "SELECT COUNT(*) FROM users WHERE login = 'student-1' AND kind = 'admin'"); n != 1 {
		t.Errorf("%d of them are admins", n)
	}
	p.Equal(t)
}

// Settings that name one server only may be older than the move: what is written to the server that gave the role
// away would be lost, even if nothing refuses it there.
func TestCommandsRefuseAServerThatIsNotTheWriterAnyMore(t *testing.T) {
	p := platformtest.NewPair(t)
	p.Replicate(t)
	file := moving(t, p)
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	alone, _, _ := strings.Cut(string(text), "changeover:")
	if err := os.WriteFile(file, []byte(alone), 0o600); err != nil {
		t.Fatal(err)
	}
	commands := [][]string{{"seed"}, {"admin", "nobody"}, {"migrate", "--notice", "1ms"}}
	for _, moved := range []bool{false, true} {
		if moved {
			p.Flip(t, platformtest.Held)
			p.Source().On.Exec(t, "SET GLOBAL read_only = 0")
		}
		for _, args := range commands {
			var out, errs bytes.Buffer
			code := run(append(args, "-c", file), &out, &errs)
			says := strings.Contains(errs.String(), "is not the writer any more: its route row of the migration "+platformtest.Migration+" names the target")
			if says != moved || moved && code != exitFailed {
				t.Errorf("moved: %v: platform %v: exit code %d: %s", moved, args, code, errs.String())
			}
		}
	}
}

func writerOf(t *testing.T, file string) (store.Server, error) {
	t.Helper()
	cfg, err := loadConfig(file)
	if err != nil {
		t.Fatal(err)
	}
	return cfg.writer(t.Context(), zerolog.Nop())
}
