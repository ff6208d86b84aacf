package sandbox_test

import (
	"io"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"changeover/internal/sandbox"
	"changeover/internal/sandbox/sandboxtest"
)

// TestToolsWorkWithTheTarget takes rows from one database to another with each of the tools
// that the benchmarks and the demo compare Changeover with.
func TestToolsWorkWithTheTarget(t *testing.T) {
	target := sandboxtest.Target(t)
	from := target.Database(t)
	admin := target.DB(t, sandbox.Admin)
	const rows = 1000

	defaults, err := target.DefaultsFile(sandbox.Admin)
	if err != nil {
		t.Fatal(err)
	}
	config, err := target.SysbenchFile(sandbox.Admin, from)
	if err != nil {
		t.Fatal(err)
	}
	for _, action := range []string{"prepare", "run"} {
		runTool(t, tool(t, "sysbench"), "--config-file="+config, "oltp_write_only", "--tables=2",
			"--table-size="+strconv.Itoa(rows), "--threads=2", "--events=50", "--time=0", action)
	}
	if n := count(t, admin, from+".sbtest2"); n != rows {
		t.Fatalf("sysbench left %d rows, want %d", n, rows)
	}

	t.Run("mydumper and myloader", func(t *testing.T) {
		to, dir := target.Database(t), filepath.Join(t.TempDir(), "dump")
		runTool(t, tool(t, "mydumper"), "--defaults-file="+defaults, "--database="+from, "--outputdir="+dir, "--threads=2")
		runTool(t, tool(t, "myloader"), "--defaults-file="+defaults, "--source-db="+from, "--database="+to, "--directory="+dir, "--threads=2")
		if n := count(t, admin, to+".sbtest2"); n != rows {
			t.Errorf("loaded %d rows, want %d", n, rows)
		}
	})
	t.Run("mysqldump and mysql", func(t *testing.T) {
		to := target.Database(t)
		dump := tool(t, "mysqldump").Command(t.Context(), "--defaults-file="+defaults, "--single-transaction",
			"--no-tablespaces", "--set-gtid-purged=OFF", from)
		load := tool(t, "mysql").Command(t.Context(), "--defaults-file="+defaults, to)
		pipe(t, dump, load)
		if n := count(t, admin, to+".sbtest2"); n != rows {
			t.Errorf("loaded %d rows, want %d", n, rows)
		}
	})
	t.Run("pt-online-schema-change", func(t *testing.T) {
		runTool(t, tool(t, "pt-online-schema-change"), "F="+defaults+",D="+from+",t=sbtest1",
			"--alter", "ADD COLUMN extra INT", "--execute")
		var n int
		if err := admin.QueryRow("SELECT COUNT(extra) + COUNT(*) FROM " + from + ".sbtest1").Scan(&n); err != nil || n != rows {
			t.Errorf("%d rows, want %d; %v", n, rows, err)
		}
	})
}

func TestTheMariaDBClientSpeaksWithItsServer(t *testing.T) {
	s := sandboxtest.MariaDBSource(t)
	client, err := s.Client(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defaults, err := s.DefaultsFile(sandbox.App)
	if err != nil {
		t.Fatal(err)
	}
	out, err := client.Command(t.Context(), "--defaults-file="+defaults, "-N", "-e", "SELECT CURRENT_USER()").CombinedOutput()
	if err != nil || string(out) != "app@%\n" {
		t.Errorf("%q, %v", out, err)
	}
}

func TestAnUnknownToolIsAnError(t *testing.T) {
	if _, err := sandbox.FindTool(t.Context(), "rm", nil); err == nil {
		t.Error("found")
	}
}

func tool(t *testing.T, name string) sandbox.Tool {
	t.Helper()
	found, err := sandbox.FindTool(t.Context(), name, nil)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func runTool(t *testing.T, tool sandbox.Tool, args ...string) {
	t.Helper()
	if out, err := tool.Command(t.Context(), args...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", tool.Name, err, out)
	}
}

// pipe runs from | to.
func pipe(t *testing.T, from, to *exec.Cmd) {
	t.Helper()
	r, w := io.Pipe()
	from.Stdout, to.Stdin = w, r
	if err := to.Start(); err != nil {
		t.Fatal(err)
	}
	err := from.Run()
	w.Close()
	if err != nil {
		t.Errorf("dump: %v", err)
	}
	if err := to.Wait(); err != nil {
		t.Errorf("load: %v", err)
	}
}
