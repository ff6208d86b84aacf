package main

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/spf13/cobra"

	"changeover/internal/sandbox"
	"changeover/internal/sandbox/sandboxtest"
)

func TestMain(m *testing.M) { sandboxtest.Main(m) }

// TestScripts runs testdata/script: what an operator types, sees and gets as exit code. Their own
// command is "exits CODE ARGS…"; $SOURCE_PORT and $TARGET_PORT are real servers, whose passwords
// are in source.pw and target.pw.
func TestScripts(t *testing.T) {
	pair := sandboxtest.NewPair(t, sandboxtest.Durable)
	pair.Source.Exec(t, "CREATE DATABASE school", "CREATE TABLE school.pupils (id INT PRIMARY KEY)")
	t.Cleanup(func() { pair.Source.Exec(t, "DROP DATABASE school") })
	testscript.Run(t, testscript.Params{
		Dir:   "testdata/script",
		Cmds:  map[string]func(*testscript.TestScript, bool, []string){"exits": exits},
		Setup: func(env *testscript.Env) error { return setup(env, pair) },
	})
}

func setup(env *testscript.Env, pair *sandboxtest.Pair) error {
	env.Setenv("SOURCE_PORT", strconv.Itoa(pair.Source.Port))
	env.Setenv("TARGET_PORT", strconv.Itoa(pair.Target.Port))
	for file, get := range map[string]func() (string, error){
		"source.pw": func() (string, error) { return pair.Source.Password(sandbox.Changeover) },
		"target.pw": func() (string, error) { return pair.Target.Password(sandbox.Admin) },
	} {
		password, err := get()
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(env.WorkDir, file), []byte(password), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// exits runs the command line in this process; stdout and stderr then match what it printed.
func exits(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) < 1 {
		ts.Fatalf("usage: exits CODE ARGS…")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	if got := run(args[1:], ts.Stdout(), ts.Stderr()); got != want {
		ts.Fatalf("changeover %s exits with %d, not %d", strings.Join(args[1:], " "), got, want)
	}
}

func TestEveryCommandTeaches(t *testing.T) {
	began := false
	var visit func(c *cobra.Command)
	visit = func(c *cobra.Command) {
		if c.Name() == "help" || c.Name() == "completion" || c.Hidden {
			return
		}
		if c.Short == "" || strings.HasSuffix(c.Short, ".") {
			t.Errorf("%s: Short is %q", c.CommandPath(), c.Short)
		}
		if c.Runnable() && c.Example == "" {
			t.Errorf("%s has no example", c.CommandPath())
		}
		for _, sub := range c.Commands() {
			visit(sub)
		}
	}
	visit(newRootCommand(&began))
}
