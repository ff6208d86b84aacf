package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"changeover/internal/sandbox"
	"changeover/internal/sandbox/sandboxtest"
	"changeover/platform/platformtest"
	"changeover/platform/students"
	"changeover/platform/students/audit"
	"changeover/platform/students/ledger"
)

func TestMain(m *testing.M) { sandboxtest.Main(m) }

// hourofcode runs a command line.
func hourofcode(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = run(args, &out, &errs)
	return code, out.String(), errs.String()
}

func TestADayIsLoadedAndAudited(t *testing.T) {
	on := sandboxtest.MySQLSource(t)
	p := platformtest.New(t, on)
	_, url := p.Serve(t)
	dir := t.TempDir()
	book, saved := filepath.Join(dir, "day.ledger"), filepath.Join(dir, "day.json")
	code, out, errs := hourofcode(t, "load", url+"/", "--runs", "60", "--for", "3s", "--pace", "60", "--surge", "2x", "--ledger", book, "--report", saved, "--json")
	var r students.Report
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatalf("exit code %d, %v: %s\n%s", code, err, out, errs)
	}
	// A busy machine may make the load late, which is its own answer: no.
	if late := r.Generator.LateShare > r.Generator.LateLimit; code != exitDone && !late {
		t.Errorf("exit code %d: %v", code, r.Complaints)
	}
	if r.Counts.Runs == 0 || len(r.Phases) != 3 {
		t.Errorf("%+v", r)
	}

	t.Run("the report can be shown again", func(t *testing.T) {
		code, out, _ := hourofcode(t, "report", saved)
		for _, want := range []string{"Runs/s", "write statements/s", "surge", "hoc-start", "late and"} {
			if !strings.Contains(out, want) {
				t.Errorf("no %q in\n%s", want, out)
			}
		}
		if (code == exitDone) != r.OK() {
			t.Errorf("exit code %d", code)
		}
	})
	t.Run("what was around a time is shown", func(t *testing.T) {
		middle := r.Started.Add(1500 * time.Millisecond).Format(time.RFC3339Nano)
		_, out, _ := hourofcode(t, "report", saved, "--around", middle, "--around", r.Started.Format(time.RFC3339Nano))
		for _, want := range []string{"ten seconds before", "in the second", "ten seconds after", "extra latency of writes", "0 requests failed, 0 reads were stale"} {
			if !strings.Contains(out, want) {
				t.Errorf("no %q in\n%s", want, out)
			}
		}
		_, out, _ = hourofcode(t, "report", saved, "--around", middle, "--json")
		var told struct {
			students.Report
			Around []students.Around
		}
		if err := json.Unmarshal([]byte(out), &told); err != nil || len(told.Around) != 1 || told.Around[0].During.Writes == 0 || told.Timeline != nil {
			t.Errorf("%v: %s", err, out)
		}
	})
	t.Run("a request that failed is a reason, if that is asked for", func(t *testing.T) {
		bad := r
		bad.Counts.FailedRequests, bad.Complaints = 1, nil
		text, err := json.Marshal(bad)
		if err != nil {
			t.Fatal(err)
		}
		failed := filepath.Join(dir, "failed.json")
		if err := os.WriteFile(failed, text, 0o600); err != nil {
			t.Fatal(err)
		}
		if code, out, _ := hourofcode(t, "report", failed); code != exitDone || !strings.Contains(out, "1 requests failed") {
			t.Errorf("exit code %d\n%s", code, out)
		}
		if code, _, _ := hourofcode(t, "report", failed, "--strict"); code != exitNo {
			t.Errorf("exit code %d", code)
		}
	})
	writer := []string{"--writer", fmt.Sprintf("app@%s:%d", on.Host, on.Port), "--writer-password-file", on.PasswordFile(sandbox.App), "--database", p.At.Database}
	t.Run("the audit is clean", func(t *testing.T) {
		code, out, errs := hourofcode(t, append([]string{"audit", book}, writer...)...)
		if code != exitDone || !strings.Contains(out, "clean: 0 recovered") || !strings.Contains(out, "users.total_lines") {
			t.Errorf("exit code %d\n%s%s", code, out, errs)
		}
	})
	t.Run("an old writer is looked at too", func(t *testing.T) {
		old := append([]string{"--old"}, writer[1:2]...)
		args := append(append([]string{"audit", book}, writer...), append(old, "--old-password-file", on.PasswordFile(sandbox.App), "--fence", r.Started.Format(time.RFC3339Nano))...)
		if code, out, _ := hourofcode(t, args...); code != exitNo || !strings.Contains(out, "stray") {
			t.Errorf("exit code %d\n%s", code, out)
		}
		code, out, _ := hourofcode(t, append(args, "--reversed", "--equal", "--within", "0s")...)
		if code != exitDone || !strings.Contains(out, "are the same on both servers") {
			t.Errorf("exit code %d\n%s", code, out)
		}
	})
	t.Run("what is missing is found", func(t *testing.T) {
		p.Exec(t, "DELETE FROM activities ORDER BY id LIMIT 3")
		code, out, _ := hourofcode(t, append([]string{"audit", book}, writer...)...)
		if code != exitNo || !strings.Contains(out, "NOT CLEAN") || !strings.Contains(out, "lost       activities") {
			t.Errorf("exit code %d\n%s", code, out)
		}
		code, out, _ = hourofcode(t, append([]string{"audit", book, "--json", "--limit", "1"}, writer...)...)
		var found struct {
			Clean bool
			audit.Report
		}
		if err := json.Unmarshal([]byte(out), &found); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		if code != exitNo || found.Clean || len(found.Findings) != 1 || found.Counts[audit.Lost] < 3 {
			t.Errorf("exit code %d, %+v", code, found)
		}
	})
	t.Run("a torn ledger is said, and the audit goes on", func(t *testing.T) {
		text, err := os.ReadFile(book)
		if err != nil {
			t.Fatal(err)
		}
		torn := filepath.Join(dir, "torn.ledger")
		if err := os.WriteFile(torn, text[:len(text)-20], 0o600); err != nil {
			t.Fatal(err)
		}
		if _, out, _ := hourofcode(t, append([]string{"audit", torn}, writer...)...); !strings.Contains(out, "are torn") {
			t.Error(out)
		}
	})
}

// TestHelperLoad is the process that the next test kills.
func TestHelperLoad(t *testing.T) {
	args := os.Getenv("HOUROFCODE_TO_KILL")
	if args == "" {
		t.Skip("the process of another test")
	}
	os.Exit(run(strings.Fields(args), os.Stdout, os.Stderr))
}

func TestALoadThatIsKilledCanBeAudited(t *testing.T) {
	on := sandboxtest.MySQLSource(t)
	p := platformtest.New(t, on)
	_, url := p.Serve(t)
	book := filepath.Join(t.TempDir(), "killed.ledger")
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestHelperLoad$")
	cmd.Env = append(os.Environ(), "HOUROFCODE_TO_KILL=load "+url+" --runs 80 --pace 60 --for 1h --ramp 0s --ledger "+book)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(time.Minute); p.Int(t, "SELECT COUNT(*) FROM activities") < 100; <-tick.C {
		if time.Now().After(deadline) {
			t.Fatal("no hundred Runs within a minute")
		}
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	code, out, errs := hourofcode(t, "audit", book, "--writer", fmt.Sprintf("app@%s:%d", on.Host, on.Port),
		"--writer-password-file", on.PasswordFile(sandbox.App), "--database", p.At.Database)
	if code != exitDone || !strings.Contains(out, "did not come to its end") || !strings.Contains(out, "clean") {
		t.Errorf("exit code %d\n%s%s", code, out, errs)
	}
}

func TestACommandLineThatCantBeIsRefused(t *testing.T) {
	book := filepath.Join(t.TempDir(), "x.ledger")
	if err := os.WriteFile(book, []byte("no ledger"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		args []string
		code int
		says string
	}{
		"no address":                {[]string{"load"}, exitUsage, "requires at least 1 arg"},
		"a flag that is not known":  {[]string{"load", "http://127.0.0.1:1", "--rnus", "3"}, exitUsage, "unknown flag"},
		"an address without scheme": {[]string{"load", "127.0.0.1:1"}, exitUsage, "is no address"},
		"somebody else's platform":  {[]string{"load", "http://school.example"}, exitUsage, "--elsewhere"},
		"a rate of nothing":         {[]string{"load", "http://127.0.0.1:1", "--runs", "0"}, exitUsage, "a rate above 0"},
		"a rate that is no number":  {[]string{"load", "http://127.0.0.1:1", "--runs", "NaN"}, exitUsage, "a rate above 0"},
		"a pace of nothing":         {[]string{"load", "http://127.0.0.1:1", "--pace", "-1"}, exitUsage, "the pace"},
		"too many students":         {[]string{"load", "http://127.0.0.1:1", "--runs", "90000"}, exitUsage, "raise the pace"},
		"a surge of nothing":        {[]string{"load", "http://127.0.0.1:1", "--surge", "much"}, exitUsage, "is no surge"},
		"no ledger":                 {[]string{"audit"}, exitUsage, "requires at least 1 arg"},
		"a file that is no ledger":  {[]string{"audit", book, "--writer", "a@b"}, exitFailed, "no ledger"},
		"a password in an argument": {[]string{"audit", good(t), "--writer", "a:secret@b"}, exitUsage, "takes no password"},
		"no writer":                 {[]string{"audit", good(t)}, exitUsage, "--writer is missing"},
		"a password file that isn't": {[]string{"audit", good(t), "--writer", "a@127.0.0.1", "--writer-password-file", "/nowhere"}, exitConfig,
			"read the password"},
		"a fence that is no time": {[]string{"audit", good(t), "--writer", "a@b", "--fence", "noon"}, exitUsage, "--fence"},
		"equal to nothing":        {[]string{"audit", good(t), "--writer", "a@b", "--equal"}, exitUsage, "--equal needs --old"},
		"around no time":          {[]string{"report", book, "--around", "noon"}, exitUsage, "--around"},
		"no report":               {[]string{"report", book}, exitFailed, "is no report"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			code, _, errs := hourofcode(t, c.args...)
			if code != c.code || !strings.Contains(errs, c.says) || strings.Contains(errs, "secret") {
				t.Errorf("exit code %d, want %d: %s", code, c.code, errs)
			}
			if left, _ := os.ReadDir("."); len(left) > 0 {
				t.Errorf("%v is left", left)
			}
		})
	}
}

// good is a ledger that can be read.
func good(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "good.ledger")
	w, err := ledger.Create(path, ledger.Header{Run: "good"})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestTheDisplayHasBothRates(t *testing.T) {
	n := students.Snapshot{Elapsed: 65 * time.Second, Total: 2 * time.Minute, Phase: students.Surged, AskedRuns: 1500, RunsPerSecond: 1498,
		StatementsPerSecond: 5210, Writes: students.Latency{P50: 4.2, P95: 12, P99: 80.5, Max: 12345}, InFlight: 3}
	for _, text := range []string{panel(n), plain(n)} {
		for _, want := range []string{"1:05", "surge", "1498", "1500", "5210", "4.2 ms", "12.3 s"} {
			if !strings.Contains(text, want) {
				t.Errorf("no %q in\n%s", want, text)
			}
		}
	}
}
