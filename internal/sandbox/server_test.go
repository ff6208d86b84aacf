package sandbox_test

import (
	"bufio"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"changeover/internal/sandbox"
	"changeover/internal/sandbox/sandboxtest"
)

// helperEnv makes the test binary play the process that dies: "server" or "up DIR".
const helperEnv = "CHANGEOVER_SANDBOX_HELPER"

func TestMain(m *testing.M) {
	role, dir, _ := strings.Cut(os.Getenv(helperEnv), " ")
	switch role {
	case "server":
		holdServer()
	case "up":
		if _, err := sandbox.Up(context.Background(), dir, sandbox.MySQL, nil); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
	default:
		sandboxtest.Main(m)
	}
}

// holdServer starts a server, says where it is, and waits to be killed.
func holdServer() {
	run, err := sandbox.NewRunDir()
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	s, err := sandbox.Start(context.Background(), filepath.Join(run.Path, "s"), sandbox.Spec{Flavor: sandbox.MariaDB})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println(run.Path, s.Socket)
	io.Copy(io.Discard, os.Stdin) // returns when the test is gone too
}

// helper starts the test binary as another process.
func helper(t *testing.T, what string) (*exec.Cmd, io.Reader) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), helperEnv+"="+what)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	return cmd, out
}

// eventually polls for something another process does.
func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for !done() {
		if time.Now().After(deadline) {
			t.Fatalf("waited 30 s for: %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// servers returns the command lines of the server processes whose files are under dir.
func servers(t *testing.T, dir string) (found []string) {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		line, _ := os.ReadFile(name)
		if strings.Contains(string(line), "--datadir="+dir+"/") {
			found = append(found, filepath.Dir(name))
		}
	}
	return found
}

func TestAServerStopsDiesAndComesBackOnItsPortWithItsData(t *testing.T) {
	for _, flavor := range []sandbox.Flavor{sandbox.MySQL, sandbox.MariaDB} {
		t.Run(string(flavor), func(t *testing.T) {
			t.Parallel()
			s := sandboxtest.Fresh(t, sandbox.Spec{Flavor: flavor}, sandboxtest.Durable)
			port := s.Port
			s.Exec(t, "CREATE DATABASE d", "CREATE TABLE d.t (id INT PRIMARY KEY)", "INSERT INTO d.t VALUES (1)")
			if err := s.Kill(); err != nil {
				t.Fatal(err)
			}
			if left := servers(t, s.Dir); len(left) > 0 || s.PID() != 0 {
				t.Errorf("killed, but %v runs", left)
			}
			if err := s.Restart(t.Context(), "--innodb-buffer-pool-size=64M"); err != nil {
				t.Fatal(err)
			}
			var rows, pool int
			db := s.DB(t, sandbox.Changeover)
			if err := db.QueryRow("SELECT COUNT(*), @@innodb_buffer_pool_size FROM d.t").Scan(&rows, &pool); err != nil {
				t.Fatal(err)
			}
			if rows != 1 || pool != 64<<20 || s.Port != port {
				t.Errorf("after the crash: %d rows, buffer pool %d, port %d (was %d)", rows, pool, s.Port, port)
			}
			if err := s.Stop(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := s.Stop(t.Context()); err != nil {
				t.Errorf("a stopped server can't be stopped again: %v", err)
			}
			if left := servers(t, s.Dir); len(left) > 0 {
				t.Errorf("stopped, but %v runs", left)
			}
		})
	}
}

func TestAServerDiesWithItsProcessAndTheNextRunSweepsItsFolder(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir()) // other packages' tests sweep too
	cmd, out := helper(t, "server")
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("the helper says %q: %v", line, err)
	}
	var dir, socket string
	if _, err := fmt.Sscan(line, &dir, &socket); err != nil {
		t.Fatalf("the helper says %q: %v", line, err)
	}
	if len(servers(t, dir)) != 1 {
		t.Fatalf("the helper's server isn't found in %s", dir)
	}
	run, err := sandbox.NewRunDir() // while the owner lives, its folder stays
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dir); err != nil {
		t.Errorf("the folder of a living process was swept: %v", err)
	}
	if err := run.Close(); err != nil {
		t.Error(err)
	}

	cmd.Process.Kill()
	cmd.Wait()
	eventually(t, "the server's end", func() bool { return len(servers(t, dir)) == 0 })
	if run, err = sandbox.NewRunDir(); err != nil {
		t.Fatal(err)
	}
	defer run.Close()
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the dead process's folder is still there: %v", err)
	}
	if _, err := os.Stat(filepath.Dir(socket)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the dead server's socket is still there: %v", err)
	}
}

func TestASourceWritesABinlogOfRowsAndItsStreamBeginsEmpty(t *testing.T) {
	for flavor, want := range map[sandbox.Flavor]string{
		sandbox.MySQL:   "1 ROW FULL +00:00 67108864",
		sandbox.MariaDB: "ON ROW FULL +00:00 67108864",
	} {
		t.Run(string(flavor), func(t *testing.T) {
			t.Parallel()
			executed := "@@GLOBAL.gtid_executed"
			if flavor == sandbox.MariaDB {
				executed = "@@GLOBAL.gtid_binlog_pos"
			}
			var got, ids string
			db := sandboxtest.Fresh(t, sandbox.Spec{Flavor: flavor}).DB(t, sandbox.Root)
			err := db.QueryRow("SELECT CONCAT_WS(' ', @@log_bin, @@binlog_format, @@binlog_row_image, "+
				"@@time_zone, @@max_allowed_packet), "+executed).Scan(&got, &ids)
			if err != nil {
				t.Fatal(err)
			}
			if got != want {
				t.Errorf("settings %q, want %q", got, want)
			}
			if ids != "" {
				t.Errorf("the stream begins with the sandbox's own %q", ids)
			}
		})
	}
}

func TestAccountsMayDoWhatTheirLikesMay(t *testing.T) {
	source, maria, target := sandboxtest.MySQLSource(t), sandboxtest.MariaDBSource(t), sandboxtest.Target(t)
	const (
		ok           = 0
		accessDenied = 1227
	)
	for _, c := range []struct {
		name    string
		server  *sandboxtest.Server
		account sandbox.Account
		sql     string
		refused uint16
	}{
		{"admin can't make a MyISAM table", target, sandbox.Admin, "CREATE TABLE my (id INT) ENGINE=MyISAM", 3161},
		{"admin can't set a global variable", target, sandbox.Admin, "SET GLOBAL max_connections = 99", accessDenied},
		{"admin can't persist a variable", target, sandbox.Admin, "SET PERSIST read_only = 1", accessDenied},
		{"admin can't hide from the binlog", target, sandbox.Admin, "SET SESSION sql_log_bin = 0", accessDenied},
		{"admin can't choose its GTID", target, sandbox.Admin, "SET SESSION gtid_next = '0c34e1ba-3f3a-11ef-b4c9-02fc00000001:1'", accessDenied},
		{"admin can't take a backup lock", target, sandbox.Admin, "LOCK INSTANCE FOR BACKUP", accessDenied},
		{"admin can't write files", target, sandbox.Admin, "SELECT 1 INTO OUTFILE '/tmp/x'", accessDenied},
		{"admin may make a trigger", target, sandbox.Admin, "CREATE TRIGGER tr BEFORE INSERT ON t FOR EACH ROW SET NEW.id = NEW.id", ok},
		{"admin may make another's view", target, sandbox.Admin, "CREATE DEFINER = 'ghost'@'%' VIEW v AS SELECT 1", ok},
		{"rdslike can't set a global variable", source, sandbox.RDSLike, "SET GLOBAL max_connections = 99", accessDenied},
		{"rdslike may see the binlogs", source, sandbox.RDSLike, "SHOW BINARY LOGS", ok},
		{"changeover may fence the source", source, sandbox.Changeover, "SET GLOBAL event_scheduler = ON", ok},
		{"changeover may see the binlogs", source, sandbox.Changeover, "SHOW BINARY LOGS", ok},
		{"app may make a table", source, sandbox.App, "CREATE TABLE a (id INT PRIMARY KEY)", ok},
		{"app can't read the accounts", source, sandbox.App, "SELECT * FROM mysql.user", 1142},
		{"app can't set a global variable", source, sandbox.App, "SET GLOBAL max_connections = 99", accessDenied},
		{"app can't write Changeover's state", source, sandbox.App, "CREATE DATABASE _changeover", 1044},
		{"app may make a table on MariaDB", maria, sandbox.App, "CREATE TABLE a (id INT PRIMARY KEY)", ok},
		{"app can't read the accounts on MariaDB", maria, sandbox.App, "SELECT * FROM mysql.global_priv", 1142},
		{"rdslike can't set a global variable on MariaDB", maria, sandbox.RDSLike, "SET GLOBAL max_connections = 99", accessDenied},
		{"changeover may set one on MariaDB", maria, sandbox.Changeover, "SET GLOBAL event_scheduler = ON", ok},
	} {
		t.Run(c.name, func(t *testing.T) {
			name := c.server.Database(t)
			c.server.Exec(t, "CREATE TABLE "+name+".t (id INT PRIMARY KEY)")
			_, err := c.server.DBIn(t, c.account, name).Exec(c.sql)
			var refused *mysql.MySQLError
			switch {
			case c.refused == ok && err != nil:
				t.Errorf("refused: %v", err)
			case c.refused != ok && err == nil:
				t.Error("allowed")
			case c.refused != ok && (!errors.As(err, &refused) || refused.Number != c.refused):
				t.Errorf("got %v, want error %d", err, c.refused)
			}
		})
	}
}

func TestPasswordsAreInPrivateFilesAndOnNoCommandLine(t *testing.T) {
	target := sandboxtest.Target(t)
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range []sandbox.Account{sandbox.Root, sandbox.Admin, sandbox.App} {
		info, err := os.Stat(target.PasswordFile(a))
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", info.Name(), info.Mode())
		}
		password, err := target.Password(a)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range lines {
			if line, _ := os.ReadFile(name); strings.Contains(string(line), password) {
				t.Errorf("the password of %s is in %s", a, name)
			}
		}
	}
	if _, err := os.Stat(filepath.Join(target.Dir, "accounts.sql")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the file of accounts is still there: %v", err)
	}
}

func TestASocketInADeepFolderIsMovedToAShortOne(t *testing.T) {
	dir := filepath.Join(t.TempDir(), strings.Repeat("deep/", 20))
	s, err := sandbox.Start(t.Context(), dir, sandbox.Spec{Flavor: sandbox.MariaDB, Durability: sandbox.Relaxed})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Dir(s.Socket)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s is left behind: %v", s.Socket, err)
	}
}

func count(t *testing.T, db *sql.DB, table string) (n int) {
	t.Helper()
	if err := db.QueryRow("SELECT COUNT(*) FROM " + table).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}
