package hook

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"changeover/cutover/hook/hooktest"
	"changeover/internal/fault"
)

// script writes a program and makes a hook of it.
func newTestScript(t *testing.T, text string, change ...func(*Config)) Hook {
	t.Helper()
	path := filepath.Join(t.TempDir(), "hook.sh")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text), 0o700); err != nil {
		t.Fatal(err)
	}
	c := Config{Name: "cdn", Exec: []string{path, filepath.Dir(path)}, Timeout: 20 * time.Second}
	for _, f := range change {
		f(&c)
	}
	h, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// told is the environment that a script has written to DIR/env.
func told(t *testing.T, h Hook) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(h.(*script).Exec[1], "env"))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return slices.DeleteFunc(lines, func(l string) bool { // the shell's own
		return strings.HasPrefix(l, "PWD=") || strings.HasPrefix(l, "_=") || strings.HasPrefix(l, "SHLVL=") || strings.HasPrefix(l, "OLDPWD=")
	})
}

func TestAScriptIsToldTheStepAndNoSecrets(t *testing.T) {
	t.Setenv("SCHOOL_PASSWORD", "s3cret-of-the-source")
	t.Setenv("AWS_REGION", "eu-central-1")
	h := newTestScript(t, `env >"$1/env"`, func(c *Config) { c.Environment, c.Holds = []string{"AWS_REGION", "NOT_SET"}, true })
	if h.Name() != "cdn" || !h.Holds() {
		t.Errorf("%s holds: %v", h.Name(), h.Holds())
	}
	e := Event{Migration: "school", Attempt: 12, Epoch: 4, Kind: "rollback", Step: "fence", From: "target", To: "source",
		FromAddress: "new.example:3307", ToAddress: "[::1]:3306"}
	for step, do := range map[string]func(context.Context, Event) error{"hold": h.Hold, "flip": h.Flip, "release": h.Release} {
		must(t, do(t.Context(), e))
		got := told(t, h)
		for _, want := range []string{"CHANGEOVER_HOOK=cdn", "CHANGEOVER_STEP=" + step, "CHANGEOVER_MIGRATION=school", "CHANGEOVER_KIND=rollback",
			"CHANGEOVER_ATTEMPT=12", "CHANGEOVER_EPOCH=4", "CHANGEOVER_FROM=target", "CHANGEOVER_TO=source",
			"CHANGEOVER_FROM_ADDRESS=new.example:3307", "CHANGEOVER_FROM_HOST=new.example", "CHANGEOVER_FROM_PORT=3307",
			"CHANGEOVER_TO_ADDRESS=[::1]:3306", "CHANGEOVER_TO_HOST=::1", "CHANGEOVER_TO_PORT=3306", "AWS_REGION=eu-central-1"} {
			if !slices.Contains(got, want) {
				t.Errorf("%s: no %s in %q", step, want, got)
			}
		}
		for _, line := range got {
			name, _, _ := strings.Cut(line, "=")
			if !strings.HasPrefix(name, prefix) && name != "AWS_REGION" && !slices.Contains(harmless, name) || strings.Contains(line, "s3cret") {
				t.Errorf("the script gets %s", line)
			}
		}
	}
	must(t, h.Check(t.Context()))
	if got := told(t, h); !slices.Contains(got, "CHANGEOVER_STEP=check") || slices.ContainsFunc(got, func(l string) bool { return strings.HasPrefix(l, "CHANGEOVER_TO") }) {
		t.Errorf("check is told %q", got)
	}
}

func TestAScriptThatSaysNoIsQuoted(t *testing.T) {
	t.Setenv("DNS_TOKEN", "abcdef0123456789")
	h := newTestScript(t, "echo asked with $DNS_TOKEN\necho no such zone >&2\nexit 3", func(c *Config) { c.Environment = []string{"DNS_TOKEN"} })
	err := h.Flip(t.Context(), Event{})
	if !fault.Is(err, fault.HookFailed) || !strings.Contains(err.Error(), "hook cdn: flip: hook.sh: exit status 3: asked with $DNS_TOKEN no such zone") {
		t.Errorf("%v", err)
	}
	if strings.Contains(err.Error(), "abcdef") {
		t.Error("the error has a secret")
	}
}

func TestOfALongOutputTheEndIsKept(t *testing.T) {
	h := newTestScript(t, "i=0; while [ $i -lt 3000 ]; do echo line $i; i=$((i+1)); done; exit 1")
	err := h.Hold(t.Context(), Event{})
	if err == nil || !strings.Contains(err.Error(), "line 2999") || strings.Contains(err.Error(), "line 1 ") || len(err.Error()) > 2*tailSize {
		t.Errorf("%d bytes: %.200v", len(err.Error()), err)
	}
}

// gone waits until no process has one of the numbers that a script wrote to DIR/pids.
func gone(t *testing.T, h Hook) {
	t.Helper()
	hooktest.Gone(t, filepath.Join(h.(*script).Exec[1], "pids"))
}

func TestAScriptThatDoesNotEndIsKilledWithItsChildren(t *testing.T) {
	h := newTestScript(t, "sleep 1000 & echo $! >\"$1/pids\"\n(sleep 1000; true) & echo $! >>\"$1/pids\"\necho $$ >>\"$1/pids\"\necho waiting for the zone\nwait",
		func(c *Config) { c.Timeout = 500 * time.Millisecond })
	began := time.Now()
	err := h.Hold(t.Context(), Event{})
	if !fault.Is(err, fault.HookTimeout) || !strings.Contains(err.Error(), "did not end within") || !strings.Contains(err.Error(), "waiting for the zone") {
		t.Errorf("%v", err)
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("it took %v", took)
	}
	gone(t, h)
}

// Its children die with the script, not after it: one that saw it die would go on in the middle of the next step.
func TestNothingOfAScriptOutlivesIt(t *testing.T) {
	h := newTestScript(t, `(while kill -0 $$ 2>/dev/null; do sleep 0.01; done; touch "$1/acted") & echo $! >"$1/pids"; wait`,
		func(c *Config) { c.Timeout = 300 * time.Millisecond })
	if err := h.Hold(t.Context(), Event{}); !fault.Is(err, fault.HookTimeout) {
		t.Errorf("%v", err)
	}
	gone(t, h)
	if _, err := os.Stat(filepath.Join(h.(*script).Exec[1], "acted")); err == nil {
		t.Error("a child went on when the script was dead")
	}
}

func TestAScriptEndsWithItsContext(t *testing.T) {
	h := newTestScript(t, `echo $$ >"$1/pids.new"; mv "$1/pids.new" "$1/pids"; exec sleep 1000`)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for range tick.C {
			if _, err := os.Stat(filepath.Join(h.(*script).Exec[1], "pids")); err == nil || t.Context().Err() != nil {
				cancel()
				return
			}
		}
	}()
	if err := h.Hold(ctx, Event{}); !fault.Is(err, fault.HookTimeout) {
		t.Errorf("%v", err)
	}
	gone(t, h)
}

func TestAProcessThatKeepsTheOutputOpenIsAnErrorAndIsKilled(t *testing.T) {
	h := newTestScript(t, `sleep 1000 & echo $! >"$1/pids"`)
	if err := h.Hold(t.Context(), Event{}); !fault.Is(err, fault.HookTimeout) || !strings.Contains(err.Error(), "left a process behind") {
		t.Errorf("%v", err)
	}
	gone(t, h)
}

// What takes long may go on behind a step, if the script lets go of it.
func TestAProcessThatIsLetGoMayGoOn(t *testing.T) {
	h := newTestScript(t, `sleep 1000 >/dev/null 2>&1 & echo $! >"$1/pids"`)
	must(t, h.Flip(t.Context(), Event{}))
	text, err := os.ReadFile(filepath.Join(h.(*script).Exec[1], "pids"))
	must(t, err)
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	must(t, err)
	must(t, syscall.Kill(pid, syscall.SIGKILL)) // it is there
	gone(t, h)
}

func TestAProgramThatIsNotThereIsFoundByCheck(t *testing.T) {
	h, err := New(Config{Name: "x", Exec: []string{"/nowhere/flip.sh"}})
	must(t, err)
	if err := h.Check(t.Context()); !fault.Is(err, fault.HookConfig) || !strings.Contains(err.Error(), "/nowhere/flip.sh") {
		t.Errorf("%v", err)
	}
}
