package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"changeover/internal/sandbox"
	"changeover/internal/sandbox/sandboxtest"
)

// configured is a file of settings for a new database on the server, which has a password file beside it.
func configured(t *testing.T, s *sandboxtest.Server) string {
	t.Helper()
	dir := t.TempDir()
	password, err := s.Password(sandbox.App)
	if err != nil {
		t.Fatal(err)
	}
	config := fmt.Sprintf("database: {port: %d, user: app, password_file: app.pw, name: %s, connections: 2}\n", s.Port, s.Database(t))
	for name, text := range map[string]string{"platform.yaml": config, "app.pw": password + "\n", "demo.pw": "a password for all\n", "short.pw": "short\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "platform.yaml")
}

func TestMigrateAndSeedFromTheCommandLine(t *testing.T) {
	for name, server := range map[string]*sandboxtest.Server{"MySQL": sandboxtest.MySQLSource(t), "MariaDB": sandboxtest.MariaDBSource(t)} {
		t.Run(name, func(t *testing.T) {
			config := configured(t, server)
			dir := filepath.Dir(config)
			expect := func(code int, says string, args ...string) {
				t.Helper()
				var out, errs bytes.Buffer
				got := run(append(args, "-c", config), &out, &errs)
				if all := out.String() + errs.String(); got != code || !strings.Contains(all, says) {
					t.Errorf("platform %s: exit code %d, want %d and %q:\n%s", strings.Join(args, " "), got, code, says, all)
				}
			}
			expect(exitDone, "at step 0 of 13", "migrate", "status")
			expect(exitFailed, "no step 99", "migrate", "--to", "99")
			expect(exitDone, "section_progress", "migrate", "--to", "7")
			expect(exitDone, "to come", "migrate", "status")
			expect(exitDone, "giving the servers time", "migrate", "up", "--notice", "1ms")
			expect(exitDone, "The database has all of them", "migrate", "status")
			expect(exitDone, "nothing to migrate", "migrate")
			expect(exitFailed, "--to N", "migrate", "down")
			expect(exitFailed, "nothing to undo", "migrate", "down", "--to", "13")
			expect(exitFailed, "--yes", "migrate", "down", "--to", "0")
			expect(exitDone, "migrated", "migrate", "down", "--to", "8", "--notice", "1ms")
			expect(exitFailed, "not the number of a step", "migrate", "force", "nine")
			expect(exitDone, "noted", "migrate", "force", "8")
			expect(exitDone, "migrated", "migrate", "--notice", "1ms")
			expect(exitFailed, "a batch has from 1", "migrate", "--batch", "0")

			expect(exitDone, "The courses are up to date", "seed")
			expect(exitFailed, "8 to 72 bytes", "seed", "--students", "30", "--password-file", filepath.Join(dir, "short.pw"))
			expect(exitDone, "The school is there", "seed", "--students", "30", "--activities", "300", "--password-file", filepath.Join(dir, "demo.pw"))
			expect(exitDone, "has this school already", "seed", "--students", "30", "--activities", "300")
			expect(exitFailed, "another school already", "seed", "--students", "31")
			expect(exitDone, "migrated", "migrate", "down", "--to", "0", "--yes", "--notice", "1ms")
			expect(exitFailed, "no tables yet", "seed")
		})
	}
}
