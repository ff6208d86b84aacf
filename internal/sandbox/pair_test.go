package sandbox_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"changeover/internal/sandbox"
)

func look(t *testing.T, dir string) sandbox.Status {
	t.Helper()
	status, err := sandbox.Look(dir)
	if err != nil {
		t.Fatal(err)
	}
	return status
}

// downAtEnd makes sure that no server outlives a test that fails.
func downAtEnd(t *testing.T, dir string) {
	t.Cleanup(func() {
		if err := sandbox.Down(context.Background(), dir); err != nil && !errors.Is(err, sandbox.ErrNoPair) {
			t.Error(err)
		}
		if left := servers(t, dir); len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
	})
}

func TestAnUpThatIsKilledIsRecognisedAndStartedOver(t *testing.T) {
	t.Parallel()
	for _, moment := range []struct {
		name string
		when func(dir string) bool
	}{
		{"before the first server", func(dir string) bool { return exists(filepath.Join(dir, "sandbox.json")) }},
		{"with a server running", func(dir string) bool { return len(servers(t, dir)) > 0 }},
	} {
		t.Run(moment.name, func(t *testing.T) {
			dir := t.TempDir()
			downAtEnd(t, dir)
			cmd, _ := helper(t, "up "+dir)
			eventually(t, moment.name, func() bool { return moment.when(dir) })
			cmd.Process.Kill()
			cmd.Wait()
			// A child that is between fork and exec holds the killed one's lock for a moment longer.
			eventually(t, "interrupted, not busy", func() bool { return look(t, dir).State == sandbox.StateInterrupted })
			if _, err := sandbox.Find(dir); !errors.Is(err, sandbox.ErrInterrupted) {
				t.Errorf("found half a sandbox: %v", err)
			}
			if moment.name == "before the first server" {
				if err := sandbox.Down(t.Context(), dir); err != nil {
					t.Fatal(err)
				}
			} else if _, err := sandbox.Up(t.Context(), dir, sandbox.MySQL, nil); err != nil {
				t.Fatal(err)
			} else if n := len(servers(t, dir)); n != 2 {
				t.Errorf("%d servers run, want 2", n)
			}
		})
	}
}

func TestTwoSandboxesLiveSideBySideAndKeepTheirData(t *testing.T) {
	t.Parallel()
	dirs := map[sandbox.Flavor]string{sandbox.MySQL: t.TempDir(), sandbox.MariaDB: t.TempDir()}
	ports := map[int]bool{}
	for flavor, dir := range dirs {
		downAtEnd(t, dir)
		pair, err := sandbox.Up(t.Context(), dir, flavor, nil)
		if err != nil {
			t.Fatal(err)
		}
		ports[pair.Source.Port], ports[pair.Target.Port] = true, true
		config, err := os.ReadFile(pair.ConfigFile())
		if err != nil || !strings.Contains(string(config), "password_file: source.pw") {
			t.Errorf("configuration %q, %v", config, err)
		}
	}
	if len(ports) != 4 {
		t.Errorf("the four servers have ports %v", ports)
	}

	dir := dirs[sandbox.MySQL]
	if _, err := sandbox.Up(t.Context(), dir, sandbox.MariaDB, nil); err == nil {
		t.Error("a MySQL sandbox passed for a MariaDB one")
	}
	pair, err := sandbox.Find(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := pair.Source.Kill(); err != nil {
		t.Fatal(err)
	}
	if state := look(t, dir).State; state != sandbox.StateDegraded {
		t.Errorf("state %s, want degraded", state)
	}
	again, err := sandbox.Up(t.Context(), dir, sandbox.MySQL, nil)
	if err != nil {
		t.Fatal(err)
	}
	if again.Source.Port != pair.Source.Port || again.Target.PID() != pair.Target.PID() {
		t.Error("the second up changed more than what was stopped")
	}
	db, err := again.Source.Open(sandbox.Changeover, "school")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.Ping(); err != nil {
		t.Errorf("the source's database after the crash: %v", err)
	}

	note := filepath.Join(dir, "notes.txt")
	if err := os.WriteFile(note, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := sandbox.Down(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	if state := look(t, dirs[sandbox.MariaDB]).State; state != sandbox.StateUp {
		t.Errorf("down of one sandbox left the other %s", state)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("after down the folder has %v, want the user's file only; %v", entries, err)
	}
}

func TestUpKeepsOffAFolderThatHoldsSomebodyElsesFiles(t *testing.T) {
	dir := t.TempDir()
	theirs := filepath.Join(dir, "source")
	if err := os.Mkdir(theirs, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := sandbox.Up(t.Context(), dir, sandbox.MySQL, nil); err == nil {
		t.Error("up took the folder")
	}
	if err := sandbox.Down(t.Context(), dir); !errors.Is(err, sandbox.ErrNoPair) {
		t.Errorf("down: %v", err)
	}
	if !exists(theirs) {
		t.Error("their folder is gone")
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
