package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"changeover/internal/control"
	"changeover/internal/sandbox"
	"changeover/verify"
)

// block is one fenced block of commands of a document.
var block = regexp.MustCompile("(?ms)^```sh\n(.*?)^```$")

// The commands of the runbooks are what an operator types in the night: each is run here, in the order in
// which he would come to them, against a migration that runs.
func TestTheRunbooksCommandsWork(t *testing.T) {
	program := buildChangeover(t)
	dir := filepath.Join(t.TempDir(), "sandbox")
	pair, err := sandbox.Up(t.Context(), dir, sandbox.MySQL, func(sandbox.Step) {})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := sandbox.Down(context.Background(), dir); err != nil {
			t.Error(err)
		}
	})
	config := filepath.Join(dir, "school.yaml")
	text, err := os.ReadFile(pair.ConfigFile())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(config, text, 0o600); err != nil {
		t.Fatal(err)
	}
	source, err := pair.Source.Open(sandbox.App, "")
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range []string{"CREATE DATABASE IF NOT EXISTS school", "CREATE TABLE school.pupils (id INT AUTO_INCREMENT PRIMARY KEY, name VARCHAR(40))",
		"INSERT INTO school.pupils (name) VALUES ('Ada'), ('Grace'), ('Katherine')"} {
		if _, err := source.Exec(q); err != nil {
			t.Fatal(err)
		}
	}
	_ = source.Close()
	log := &bytes.Buffer{}
	run := exec.Command(program, "run", "-c", config)
	run.Stderr = log
	if err := run.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- run.Wait() }()
	state := filepath.Join(dir, ".changeover", "school")
	ready := func() error {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for {
			var v verify.State
			if err := control.Ask(ctx, state, "GET", "/v1/verify", &v); err == nil && v.Wholly {
				return nil
			}
			select {
			case <-tick.C:
			case err := <-ended:
				ended <- err
				return fmt.Errorf("the run ended: %w", err)
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
	if err := ready(); err != nil {
		t.Fatalf("%v\n%s", err, log)
	}
	books, err := filepath.Glob("../../runbooks/*.md")
	if err != nil {
		t.Fatal(err)
	}
	order := []string{"plan", "rehearsal", "hold-times-out", "gate-cut-off", "lag-grows", "proof-fails", "binlog-expires", "source-dies", "target-fails-over",
		"cutover", "coordinator-dies", "rollback", "cutover", "finish"}
	done := map[string]bool{"platform": true, "run": true} // theirs have no such blocks: other tests run them
	for _, name := range order {
		done[name] = true
		text, err := os.ReadFile("../../runbooks/" + name + ".md")
		if err != nil {
			t.Fatal(err)
		}
		commands := block.FindAllSubmatch(text, -1)
		if len(commands) == 0 {
			t.Errorf("%s.md has no commands", name)
		}
		for _, b := range commands {
			for line := range strings.Lines(string(b[1])) {
				runLine(t, program, dir, name, strings.TrimSpace(line))
			}
		}
		if name != "finish" {
			if err := ready(); err != nil {
				t.Fatalf("after %s.md: %v\n%s", name, err, log)
			}
		}
	}
	for _, b := range books {
		if name := strings.TrimSuffix(filepath.Base(b), ".md"); !done[name] {
			t.Errorf("nobody runs the commands of %s.md", name)
		}
	}
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("the run, after finish: %v\n%s", err, log)
		}
	case <-time.After(30 * time.Second):
		t.Error("the run did not end with finish")
		_ = run.Process.Signal(syscall.SIGTERM)
		<-ended
	}
}

// runLine runs one command of a runbook, from the folder of the configuration.
func runLine(t *testing.T, program, dir, book, line string) {
	t.Helper()
	words := strings.Fields(line)
	if len(words) == 0 || words[0] != "changeover" {
		t.Errorf("%s.md: %q is no command of ours", book, line)
		return
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, words[1:]...)
	cmd.Dir = dir
	out := &bytes.Buffer{}
	cmd.Stdout, cmd.Stderr = out, io.MultiWriter(out)
	if err := cmd.Run(); err != nil {
		t.Errorf("%s.md: %s: %v\n%s", book, line, err, out)
	}
}
