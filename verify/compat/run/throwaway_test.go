package run

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"changeover/internal/server"
	"changeover/verify/compat"
)

// ownTemporary lets the run's folder be one that the test can look into.
func ownTemporary(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	return dir
}

// servers are the pids of the servers whose data is under dir, by their flavor's folder.
func servers(t *testing.T, dir string) map[string]int {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	pids := map[string]int{}
	for _, name := range files {
		text, _ := os.ReadFile(name)
		for _, arg := range strings.Split(string(text), "\x00") {
			if data, ok := strings.CutPrefix(arg, "--datadir="); ok && strings.HasPrefix(data, dir) {
				pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(name)))
				pids[filepath.Base(filepath.Dir(data))] = pid
			}
		}
	}
	return pids
}

// nothingLeft fails the test if a server or a folder is left under dir.
func nothingLeft(t *testing.T, dir string) {
	t.Helper()
	if pids := servers(t, dir); len(pids) > 0 {
		t.Errorf("servers are left: %v", pids)
	}
	left, err := filepath.Glob(filepath.Join(dir, "*", "*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left: %v, error %v", left, err)
	}
}

// slow is a folder whose second version runs for a minute.
func slow(t *testing.T) *compat.Input {
	t.Helper()
	return folder(t, "1_a.up.sql", "CREATE TABLE a (id INT PRIMARY KEY);", "2_b.up.sql", "DO 1;\nSELECT SLEEP(60);")
}

func TestOurOwnMigrationsRun(t *testing.T) {
	dir := ownTemporary(t)
	in, err := compat.ReadInput("../../../migrations/sql")
	if err != nil {
		t.Fatal(err)
	}
	to, err := compat.LoadProfile("aurora-3")
	if err != nil {
		t.Fatal(err)
	}
	var heard []string
	began := time.Now()
	ran, err := Steps(t.Context(), in, Options{To: to, Version: func(d Done) { heard = append(heard, d.String()) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%v\n%s", time.Since(began), strings.Join(heard, "\n"))
	nothingLeft(t, dir)
	if len(heard) != 2*len(in.Steps) {
		t.Errorf("heard of %d versions", len(heard))
	}
	for i, flavor := range []server.Flavor{server.MySQL, server.MariaDB} {
		s := &ran.Servers[i]
		if s.Flavor != flavor || s.Stopped != "" || s.Picture == nil || len(s.Picture.Objects) < 20 {
			t.Errorf("%s: stopped %q", s.Flavor, s.Stopped)
		}
		// The way down of step 10 gives the name a default that it had not: what still runs may not know it.
		if len(s.Left) != 1 || s.Left[0].Version != 10 || s.Left[0].Object != "sections" || !strings.Contains(s.Left[0].What, "DEFAULT ''") {
			t.Errorf("%s: left %v", s.Flavor, s.Left)
		}
		for _, o := range s.Outcomes {
			if o.Error != nil {
				t.Errorf("%s: %s %s: %v", s.Flavor, o.Pass, o.File.Text[o.Start:o.End], o.Error)
			}
		}
	}
}

func TestACancelledRunLeavesNothing(t *testing.T) {
	dir := ownTemporary(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	_, err := Steps(ctx, slow(t), Options{Version: func(d Done) { // the second is at it
		if d.Flavor == server.MariaDB {
			cancel()
		}
	}})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	nothingLeft(t, dir)
}

func TestARunThatIsCancelledBeforeItBeginsLeavesNothing(t *testing.T) {
	dir := ownTemporary(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Steps(ctx, slow(t), Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	nothingLeft(t, dir)
}

func TestAServerThatIsKilledInTheMiddleIsSaid(t *testing.T) {
	dir := ownTemporary(t)
	_, err := Steps(t.Context(), slow(t), Options{Version: func(d Done) {
		if d.Flavor == server.MariaDB {
			if err := syscall.Kill(servers(t, dir)["mariadb"], syscall.SIGKILL); err != nil {
				t.Error(err)
			}
		}
	}})
	if err == nil || !strings.Contains(err.Error(), "run on mariadb") || !strings.Contains(err.Error(), "the throwaway server ended") {
		t.Errorf("error %v", err)
	}
	t.Log(err)
	nothingLeft(t, dir)
}

func TestAStatementThatTakesTooLongEndsTheRun(t *testing.T) {
	dir := ownTemporary(t)
	ran, err := Steps(t.Context(), slow(t), Options{Flavors: []server.Flavor{server.MariaDB}, Patience: 2 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	if got := said(&ran.Servers[0]); !slices.Equal(got, []string{"up 2_b.up.sql:2 fails 0 half []", "stopped"}) {
		t.Error(got)
	}
	nothingLeft(t, dir)
}

func TestAFolderThatGolangMigrateRefusesIsNotRun(t *testing.T) {
	ran, err := Steps(t.Context(), folder(t, "1_a.up.sql", "DO 1;", "01_b.up.sql", "DO 1;"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range ran.Servers {
		if s := &ran.Servers[i]; !strings.Contains(s.Stopped, "version 1 has two files for the way up") || len(s.Outcomes) > 0 || len(s.Unrun) != 2 {
			t.Errorf("%+v", s)
		}
	}
}

func TestADumpGoesOnAfterErrors(t *testing.T) {
	name := filepath.Join(t.TempDir(), "dump.sql")
	text := "CREATE TABLE a (id INT PRIMARY KEY);\nCREATE TABLE b (u NONE);\nDELIMITER //\nCREATE PROCEDURE p() BEGIN DO 1; END //\nDELIMITER ;\nCREATE TABLE c (id INT PRIMARY KEY, n INT, KEY (n) INVISIBLE);"
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	in, err := compat.ReadInput(name)
	if err != nil {
		t.Fatal(err)
	}
	ran := onShared(t, in, Options{})
	for i, want := range [][]string{{"up dump.sql:2 fails 1064 half []"}, {"up dump.sql:2 fails 4161 half []", "up dump.sql:6 fails 1064 half []"}} {
		s := &ran.Servers[i]
		if got := said(s); !slices.Equal(got, want) || len(s.Outcomes) != 4 || s.Picture != nil {
			t.Errorf("%s: %v of %d, want %v", s.Flavor, got, len(s.Outcomes), want)
		}
	}
}

func TestADefinerThatAuroraLacksIsNoError(t *testing.T) {
	in := folder(t, "1_a.up.sql", "CREATE DEFINER = root@localhost PROCEDURE p() DO 1;", "1_a.down.sql", "DROP PROCEDURE p;")
	ran, err := Steps(t.Context(), in, Options{Flavors: []server.Flavor{server.MySQL}, To: &compat.Profile{Aurora: true}})
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range ran.Servers[0].Outcomes {
		if o.Error != nil {
			t.Errorf("%s: %v", o.Pass, o.Error)
		}
	}
}

func TestUpOnlyRunsNoWayDown(t *testing.T) {
	in := folder(t, "1_a.up.sql", "CREATE TABLE a (id INT PRIMARY KEY);", "1_a.down.sql", "DROP TABLE none;")
	ran := onShared(t, in, Options{UpOnly: true})
	for i := range ran.Servers {
		if s := &ran.Servers[i]; len(said(s)) > 0 || len(s.Outcomes) != 1 || s.Picture == nil {
			t.Errorf("%s: %v", s.Flavor, said(s))
		}
	}
}
