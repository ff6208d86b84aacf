package sandbox

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/go-sql-driver/mysql"
)

// startLimit bounds a start where the caller's context doesn't: a server that isn't there by
// then hangs. Recovery after a kill on a busy machine is far quicker.
const startLimit = 2 * time.Minute

// Durability is what a server promises of a commit.
type Durability int

// The durabilities.
const (
	Durable Durability = iota // every commit is on disk, in the tables and in the binlog
	Relaxed                   // a commit survives Kill, but not the machine's crash; fewer fsyncs, for tests
)

// Spec says which server to start.
type Spec struct {
	Role       Role   // Source if empty
	Flavor     Flavor // MySQL if empty
	Aurora     bool   // refuse what Aurora MySQL refuses
	Options    []string
	TimeZone   string // default_time_zone; "+00:00" if empty
	Durability Durability
	Lifetime   Lifetime
	Secrets    string // folder of the password files; the server's own folder if empty
	Progress   Progress
}

// Server is a running server, or one that was stopped and may be started again. Its methods
// must not be called at the same time, except Open, DSN, Password and PID.
type Server struct {
	Role    Role
	Flavor  Flavor
	Version string
	Host    string // a loopback address
	Port    int
	Socket  string
	Dir     string // everything that belongs to the server
	DataDir string

	spec Spec
	bin  binary
	proc *process // nil if another process started it
}

// Start starts a server whose files are in dir, which is made if need be, and returns when it
// answers. In a new dir it makes the data directory and the accounts; in one that has them, it
// starts what is there.
func Start(ctx context.Context, dir string, spec Spec) (*Server, error) {
	s, err := prepare(ctx, dir, spec)
	if err != nil {
		return nil, err
	}
	if err := s.start(ctx, nil); err != nil {
		return nil, err
	}
	return s, nil
}

// prepare finds the program and makes dir ready; nothing runs yet.
func prepare(ctx context.Context, dir string, spec Spec) (*Server, error) {
	if spec.Role == "" {
		spec.Role = Source
	}
	if spec.Flavor == "" {
		spec.Flavor = MySQL
	}
	if spec.TimeZone == "" {
		spec.TimeZone = "+00:00"
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	if spec.Secrets == "" {
		spec.Secrets = dir
	}
	b, err := findServer(ctx, spec.Flavor, spec.Progress)
	if err != nil {
		return nil, err
	}
	s := &Server{
		Role: spec.Role, Flavor: spec.Flavor, Version: b.version, Host: "127.0.0.1",
		Dir: dir, DataDir: filepath.Join(dir, "data"), Socket: socketPath(dir), spec: spec, bin: b,
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if exists(s.DataDir) {
		return s, nil
	}
	return s, s.initialise(ctx)
}

// socketPath is in dir, or where that is too long for a socket (108 bytes) in a short folder
// that is named after it.
func socketPath(dir string) string {
	path := filepath.Join(dir, "mysqld.sock")
	if len(path) < 100 {
		return path
	}
	h := fnv.New64a()
	h.Write([]byte(dir))
	return filepath.Join("/tmp", fmt.Sprintf("changeover-%d-%x", os.Getuid(), h.Sum64()), "mysqld.sock")
}

// initialise makes the data directory and the file of accounts for the first start.
func (s *Server) initialise(ctx context.Context) error {
	from, err := template(ctx, s.bin, bakedIn(s.spec.Options))
	if err != nil {
		return err
	}
	accounts, err := accountsSQL(s.bin, s.Role, s.Password)
	if err != nil {
		return err
	}
	// The accounts' file stays until a start has succeeded with it; the data directory appears
	// whole or not at all.
	if err := os.WriteFile(s.initFile(), []byte(accounts), 0o600); err != nil {
		return err
	}
	part := s.DataDir + ".part"
	if err := os.RemoveAll(part); err != nil {
		return err
	}
	if err := copyTree(part, from); err != nil {
		return fmt.Errorf("copy the data directory: %w", err)
	}
	return os.Rename(part, s.DataDir)
}

func (s *Server) initFile() string { return filepath.Join(s.Dir, "accounts.sql") }

// LogFile is the server's error log.
func (s *Server) LogFile() string { return filepath.Join(s.Dir, "mysqld.log") }

// start runs the server and waits until it answers. A port that another process took between
// our look and the server's bind is given up for the next one.
func (s *Server) start(ctx context.Context, extra []string) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	keepPort := s.Port != 0
	for {
		if !keepPort {
			port, err := freePort()
			if err != nil {
				return err
			}
			s.Port = port
		}
		err := s.startOnce(ctx, extra)
		if err == nil {
			return nil
		}
		if keepPort || !errors.Is(err, errPortTaken) {
			return fmt.Errorf("start %s %s: %w", s.Flavor, s.Role, err)
		}
	}
}

var errPortTaken = errors.New("port is taken")

func (s *Server) startOnce(ctx context.Context, extra []string) error {
	if err := errors.Join(os.MkdirAll(filepath.Dir(s.Socket), 0o700), os.MkdirAll(s.tmpDir(), 0o700)); err != nil {
		return err
	}
	from := fileSize(s.LogFile())
	out, err := os.OpenFile(s.LogFile(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer out.Close()
	// Not CommandContext: the server outlives the ctx of its start.
	cmd := s.bin.Command(context.Background(), s.args(extra)...)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.Dir = s.Dir
	s.proc, err = spawn(cmd, s.spec.Lifetime)
	if err != nil {
		return err
	}
	if err := s.waitReady(ctx); err != nil {
		s.Kill()
		log := tailFrom(s.LogFile(), from)
		if bytes.Contains(log, []byte("Address already in use")) {
			return errPortTaken
		}
		return fmt.Errorf("%w; %s says:\n%s", err, s.LogFile(), lastLines(string(log), 8))
	}
	if err := os.Remove(s.initFile()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// waitReady polls the socket, which can't be another server's as a port could.
func (s *Server) waitReady(ctx context.Context) error {
	cfg := s.config(Root, "")
	cfg.Net, cfg.Addr = "unix", s.Socket
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		return err
	}
	db := sql.OpenDB(connector)
	defer db.Close()
	for wait := newBackoff(5*time.Millisecond, 50*time.Millisecond); ; {
		err := db.PingContext(ctx)
		if err == nil {
			return nil
		}
		if s.proc != nil && s.proc.exited() {
			return errors.New("the server ended")
		}
		var refused *mysql.MySQLError
		if errors.As(err, &refused) && refused.Number == 1045 {
			return fmt.Errorf("root's password is refused: %w", err)
		}
		if err := wait.next(ctx); err != nil {
			return fmt.Errorf("no answer: %w", err)
		}
	}
}

func (s *Server) tmpDir() string { return filepath.Join(s.Dir, "tmp") }

// args is the server's command line. No secrets: those are in the accounts' file.
func (s *Server) args(extra []string) []string {
	options := "--no-defaults"
	if s.Flavor == MySQL {
		// The same, but mysqld-auto.cnf is read, where SET PERSIST writes to, as in production.
		options = "--defaults-file=" + os.DevNull
	}
	args := append([]string{options}, s.bin.serverArgs(s.DataDir)...)
	args = append(args,
		"--bind-address="+s.Host,
		"--port="+strconv.Itoa(s.Port),
		"--server-id="+strconv.Itoa(s.Port), // differs from every other server of this machine
		"--socket="+s.Socket,
		"--pid-file="+filepath.Join(s.Dir, "mysqld.pid"),
		// Its own: a server that starts deletes the temporary tables that it finds, also others'.
		"--tmpdir="+s.tmpDir(),
		"--secure-file-priv="+s.secureFilePriv(),
		"--skip-name-resolve",
		"--default-time-zone="+s.spec.TimeZone,
		"--max-allowed-packet=64M",
		"--max-connections=500",
		"--innodb-buffer-pool-size=256M",
		"--log-bin=binlog",
		"--binlog-format=ROW",
		"--binlog-row-image=FULL",
		"--log-bin-trust-function-creators=ON",
	)
	if s.spec.Durability == Relaxed {
		args = append(args, "--innodb-flush-log-at-trx-commit=2", "--sync-binlog=0", "--innodb-flush-method=fsync")
	} else {
		args = append(args, "--innodb-flush-log-at-trx-commit=1", "--sync-binlog=1")
	}
	if s.Flavor == MariaDB {
		args = append(args, "--gtid-strict-mode=ON", "--gtid-domain-id=0", "--log-slave-updates=ON",
			"--innodb-log-file-size=128M")
	} else {
		args = append(args, "--gtid-mode=ON", "--enforce-gtid-consistency=ON", "--log-replica-updates=ON",
			"--mysqlx=OFF", "--innodb-redo-log-capacity=512M", "--log-timestamps=UTC")
	}
	if s.Role == Target {
		args = append(args, "--local-infile=ON")
	}
	if s.spec.Aurora {
		args = append(args, "--disabled-storage-engines=MyISAM,ARCHIVE,BLACKHOLE,FEDERATED,MRG_MyISAM")
	}
	if exists(s.initFile()) {
		args = append(args, "--init-file="+s.initFile())
	}
	return append(append(args, s.spec.Options...), extra...)
}

// secureFilePriv is NULL where the server knows it: no file of the machine can be read or
// written. MariaDB doesn't; it gets a folder of its own.
func (s *Server) secureFilePriv() string {
	if s.Flavor == MariaDB {
		return s.DataDir
	}
	return "NULL"
}

// serverArgs are the options by which the program finds its own files and dir.
func (b binary) serverArgs(dir string) []string {
	args := []string{"--datadir=" + dir}
	if b.Root != "" {
		usr := filepath.Join(b.Root, "usr")
		args = append(args,
			"--basedir="+usr,
			"--plugin-dir="+filepath.Join(usr, "lib/mysql/plugin"),
			"--lc-messages-dir="+filepath.Join(usr, "share/mysql"),
			"--character-sets-dir="+filepath.Join(usr, "share/mysql/charsets"))
	}
	if os.Geteuid() == 0 { // a server refuses to be root unless it is told to
		args = append(args, "--user=root")
	}
	return args
}

// freePort looks for a port below the kernel's range for outgoing connections: those may take
// any port of theirs while the server is down, and a restarted server must get its port back.
func freePort() (int, error) {
	const lowest = 15000
	highest := 32768
	if text, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range"); err == nil {
		fmt.Sscan(string(text), &highest)
	}
	if highest <= lowest+1000 {
		highest = 32768
	}
	var lastErr error
	for range 100 {
		port := lowest + rand.IntN(highest-lowest)
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err == nil {
			return port, l.Close()
		}
		lastErr = err
	}
	return 0, fmt.Errorf("find a free port: %w", lastErr)
}

// PID is the server's process, or 0 if it doesn't run.
func (s *Server) PID() int {
	if s.proc != nil {
		if s.proc.exited() {
			return 0
		}
		return s.proc.pid
	}
	pids, _ := processesWith(func(arg string) bool { return arg == "--datadir="+s.DataDir })
	for _, pid := range pids {
		if alive(pid) {
			return pid
		}
	}
	return 0
}

// Stop shuts the server down in an orderly way and waits for its end. If ctx ends first the
// server is killed, and the error says so. A server that doesn't run is fine.
func (s *Server) Stop(ctx context.Context) error {
	pid := s.PID()
	if pid == 0 {
		return s.removeSocket()
	}
	if err := signal(pid, syscall.SIGTERM); err != nil {
		return fmt.Errorf("stop %s: %w", s.Role, err)
	}
	if err := s.waitGone(ctx, pid); err != nil {
		return errors.Join(fmt.Errorf("stop %s: killed it: %w", s.Role, err), s.Kill())
	}
	return s.removeSocket()
}

// Kill ends the server at once, as a crash would (SIGKILL), and waits until it is gone.
func (s *Server) Kill() error {
	pid := s.PID()
	if pid == 0 {
		return nil
	}
	if err := signal(pid, syscall.SIGKILL); err != nil {
		return fmt.Errorf("kill %s: %w", s.Role, err)
	}
	ctx, cancel := contextForKill()
	defer cancel()
	if err := s.waitGone(ctx, pid); err != nil {
		return fmt.Errorf("kill %s: %w", s.Role, err)
	}
	return s.removeSocket()
}

// Pause stops the server's process where it stands (SIGSTOP): its connections hang, as behind a
// network that drops packets. Resume lets it go on.
func (s *Server) Pause() error { return signal(s.PID(), syscall.SIGSTOP) }

// Resume ends a Pause.
func (s *Server) Resume() error { return signal(s.PID(), syscall.SIGCONT) }

// Restart stops the server, if it runs, and starts it on the same port and data directory.
// extra options hold for this run only.
func (s *Server) Restart(ctx context.Context, extra ...string) error {
	if err := s.Stop(ctx); err != nil {
		return err
	}
	return s.start(ctx, extra)
}

func signal(pid int, sig syscall.Signal) error {
	if pid == 0 {
		return errors.New("the server doesn't run")
	}
	if err := syscall.Kill(pid, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
		return err
	}
	return nil
}

func (s *Server) waitGone(ctx context.Context, pid int) error {
	if s.proc != nil {
		select {
		case <-s.proc.done:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return waitDead(ctx, pid)
}

// removeSocket takes away the short folder of a socket outside Dir; a killed server leaves it.
func (s *Server) removeSocket() error {
	if dir := filepath.Dir(s.Socket); dir != s.Dir {
		return os.RemoveAll(dir)
	}
	return nil
}

// Has tells whether the server was made with the account.
func (s *Server) Has(a Account) bool {
	switch a {
	case Root, App:
		return true
	case Changeover, RDSLike:
		return s.Role == Source
	case Admin:
		return s.Role == Target
	}
	return false
}

// Password is the account's password. Root, App and RDSLike have a file named after them in the
// folder of secrets, Changeover and Admin after the server's role, as a configuration names it.
func (s *Server) Password(a Account) (string, error) {
	return secrets(s.spec.Secrets).password(s.passwordFile(a))
}

// PasswordFile is the path of the account's password file.
func (s *Server) PasswordFile(a Account) string {
	return filepath.Join(s.spec.Secrets, s.passwordFile(a))
}

func (s *Server) passwordFile(a Account) string {
	if a == Changeover || a == Admin {
		return string(s.Role) + ".pw"
	}
	return string(a) + ".pw"
}

// config is the driver's configuration for the account over TCP.
func (s *Server) config(a Account, database string) *mysql.Config {
	cfg := mysql.NewConfig()
	cfg.Net, cfg.Addr = "tcp", net.JoinHostPort(s.Host, strconv.Itoa(s.Port))
	cfg.User, cfg.DBName = string(a), database
	cfg.Passwd, _ = s.Password(a) // a file that can't be read: the server will refuse
	cfg.Logger = &mysql.NopLogger{}
	return cfg
}

// DSN is a data source name of go-sql-driver for the account; database may be empty. It holds
// the password: not for logs.
func (s *Server) DSN(a Account, database string) string { return s.config(a, database).FormatDSN() }

// RootDSN is the DSN of root.
func (s *Server) RootDSN() string { return s.DSN(Root, "") }

// Open returns a pool of connections of the account; database may be empty. The caller closes it.
func (s *Server) Open(a Account, database string) (*sql.DB, error) {
	connector, err := mysql.NewConnector(s.config(a, database))
	if err != nil {
		return nil, err
	}
	return sql.OpenDB(connector), nil
}

// DefaultsFile writes an option file (mode 0600) by which a client program of MySQL or MariaDB
// connects as the account: --defaults-extra-file. So no password is on a command line.
func (s *Server) DefaultsFile(a Account) (string, error) {
	password, err := s.Password(a)
	if err != nil {
		return "", err
	}
	path := filepath.Join(s.Dir, "client-"+string(a)+".cnf")
	text := fmt.Sprintf("[client]\nhost=%s\nport=%d\nprotocol=tcp\nuser=%s\npassword=%s\n", s.Host, s.Port, a, password)
	return path, os.WriteFile(path, []byte(text), 0o600)
}

// SysbenchFile writes a configuration (mode 0600) by which sysbench connects as the account:
// --config-file.
func (s *Server) SysbenchFile(a Account, database string) (string, error) {
	password, err := s.Password(a)
	if err != nil {
		return "", err
	}
	path := filepath.Join(s.Dir, "sysbench-"+string(a)+".cnf")
	text := fmt.Sprintf("mysql-host=%s\nmysql-port=%d\nmysql-user=%s\nmysql-password=%s\nmysql-db=%s\n",
		s.Host, s.Port, a, password, database)
	return path, os.WriteFile(path, []byte(text), 0o600)
}

func fileSize(path string) int64 {
	info, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return info.Size()
}

func tailFrom(path string, from int64) []byte {
	text, err := os.ReadFile(path)
	if err != nil || int64(len(text)) < from {
		return text
	}
	return []byte(strings.TrimSpace(string(text[from:])))
}
