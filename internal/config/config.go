// Package config reads the file that describes a migration.
//
// In: a YAML file. Out: a Config whose every value is possible, or all that is wrong with the
// file at once, each with its line. The decision that matters: nothing is guessed. A key that is
// not known is an error, because a misspelt "exclude" that is ignored copies what should have
// stayed behind.
package config

import (
	"os"
	"path/filepath"
	"time"

	"changeover/internal/fault"
	"changeover/internal/server"
)

// Config is one migration as its file describes it, with defaults filled in and every path
// absolute. docs/configuration.md is its reference.
type Config struct {
	Migration string   `yaml:"migration"` // [a-z0-9_-]{1,32}
	Source    Server   `yaml:"source"`
	Target    Server   `yaml:"target"`
	Databases []string `yaml:"databases"`
	Tables    Tables   `yaml:"tables"`
	Copy      Copy     `yaml:"copy"`
	Apply     Apply    `yaml:"apply"`
	Verify    Verify   `yaml:"verify"`
	Definers  Definers `yaml:"definers"`
	Cutover   Cutover  `yaml:"cutover"`
	Bus       Bus      `yaml:"bus"`
	Listen    string   `yaml:"listen"`    // control API: host:port; port 0 takes a free one
	StateDir  string   `yaml:"state_dir"` // control token and the like
	File      string   `yaml:"-"`         // the absolute path that Load read
}

// Server is where one side is and who connects to it.
type Server struct {
	Host         string `yaml:"host"`
	Port         int    `yaml:"port"`
	User         string `yaml:"user"`
	PasswordFile string `yaml:"password_file"` // one line; excludes PasswordEnv
	PasswordEnv  string `yaml:"password_env"`  // the name of an environment variable
	TLS          TLS    `yaml:"tls"`
}

// TLS is how a connection is encrypted.
type TLS struct {
	Mode       server.TLSMode `yaml:"mode"`
	CA         string         `yaml:"ca"`          // PEM file; verify-ca and verify-full only
	Cert       string         `yaml:"cert"`        // PEM file of a client certificate, with Key
	Key        string         `yaml:"key"`         // PEM file
	ServerName string         `yaml:"server_name"` // verify-full: the name in the certificate, if not host
}

// Copy is how the snapshot is taken.
type Copy struct {
	Workers int      `yaml:"workers"` // 1 to 64 chunks at a time
	Chunk   ByteSize `yaml:"chunk"`   // 64KiB to 256MiB of row data
	Rate    ByteSize `yaml:"rate"`    // bytes a second read from the source at most; 0: no limit
}

// Apply is how the stream is written into the target.
type Apply struct {
	Workers int      `yaml:"workers"` // 1 to 64 connections
	Memory  ByteSize `yaml:"memory"`  // at least 32MiB: all transactions and chunks under way
}

// Verify is how the two sides are compared while the stream runs.
type Verify struct {
	// Share of one connection's time that the source works for it, in percent: 1 to 800.
	Share      int           `yaml:"share"`
	Parallel   int           `yaml:"parallel"`    // 1 to 32 chunks at a time
	MaxRunning int           `yaml:"max_running"` // others' running statements above which it waits; 0: no bound
	Every      time.Duration `yaml:"every"`       // a table is compared again after this; 0: never
	Repair     bool          `yaml:"repair"`      // differences are repaired as they are found
}

// MissingDefiner says what becomes of a definer that does not exist on the target.
type MissingDefiner string

// The ways with a missing definer.
const (
	ReplaceDefiner MissingDefiner = "replace" // by the account that connects to the target
	AutoDefiner    MissingDefiner = "auto"    // kept where the target lets us name it, else replaced
	KeepDefiner    MissingDefiner = "keep"    // the object is created, and fails when used until the account exists
	StopAtDefiner  MissingDefiner = "stop"    // plan blocks until the account exists
)

// Definers is the decision about views, routines, triggers and events whose definer the target
// does not have.
type Definers struct {
	Missing MissingDefiner `yaml:"missing"`
}

// Fence is how the cutover makes a server refuse the application's writes.
type Fence string

// The fences.
const (
	FenceAuto     Fence = "auto"      // read_only where the server holds nothing else, else accounts
	FenceReadOnly Fence = "read_only" // the whole server
	FenceAccounts Fence = "accounts"  // ACCOUNT LOCK of the application's accounts
)

// Cutover is how long applications may be held, and how the old writer is fenced.
type Cutover struct {
	Hold  time.Duration `yaml:"hold"` // 100ms to 1s
	Fence Fence         `yaml:"fence"`
	// Operators are accounts, user@host, that may pass a fence: people, not applications.
	Operators []string `yaml:"operators"`
	Hooks     []Hook   `yaml:"hooks"`
}

// Hook is an endpoint that is not a gate and takes part in a cutover: docs/hooks.md.
type Hook struct {
	Name        string        `yaml:"name"`
	Timeout     time.Duration `yaml:"timeout"`     // of one step; 0: 2s
	Exec        []string      `yaml:"exec"`        // program and arguments; excludes HAProxy
	Holds       bool          `yaml:"holds"`       // what comes while it holds waits
	Environment []string      `yaml:"environment"` // names of variables that exec gets beside its own
	HAProxy     HAProxy       `yaml:"haproxy"`
}

// HAProxy is a backend of a HAProxy in TCP mode before the servers.
type HAProxy struct {
	Socket  string `yaml:"socket"` // of its runtime API: a path, or host:port
	Backend string `yaml:"backend"`
	Source  string `yaml:"source"` // the server in the backend that is the source
	Target  string `yaml:"target"`
	Map     string `yaml:"map"` // of the frontend, by which it holds; empty: it can't hold
}

// Bus is where gates hear of a cutover: an embedded server's address, or a cluster's URL.
type Bus struct {
	Listen    string   `yaml:"listen"`    // host:port; not on loopback only with TLS and nkeys
	Advertise string   `yaml:"advertise"` // host or host:port by which gates find it, if not that of Listen
	URL       string   `yaml:"url"`       // nats:// or tls://; excludes Listen
	TLS       BusTLS   `yaml:"tls"`
	NKeyFile  string   `yaml:"nkey_file"` // the coordinator's seed
	NKeys     []string `yaml:"nkeys"`     // public keys that may join the embedded server
}

// BusTLS are PEM files: the embedded server's certificate, and whom to trust.
type BusTLS struct {
	CA   string `yaml:"ca"`
	Cert string `yaml:"cert"`
	Key  string `yaml:"key"`
}

// Defaults is what holds for every key that a file leaves out.
func Defaults() Config {
	side := Server{Port: 3306, TLS: TLS{Mode: server.TLSPreferred}}
	return Config{
		Source:   side,
		Target:   side,
		Copy:     Copy{Workers: 4, Chunk: 16 << 20},
		Apply:    Apply{Workers: 8, Memory: 256 << 20},
		Verify:   Verify{Share: 50, Parallel: 2, MaxRunning: 25, Every: 24 * time.Hour},
		Definers: Definers{Missing: ReplaceDefiner},
		Cutover:  Cutover{Hold: time.Second, Fence: FenceAuto},
		Listen:   "127.0.0.1:7070",
	}
}

const defaultBusListen = "127.0.0.1:4222"

// Load reads the file at path. What is wrong with it comes as Problems, all at once: CO-1002 for
// a key that is not known, CO-1001 for a value that is not possible.
func Load(path string) (*Config, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, fault.New(fault.Config, "configuration %s: %w", path, err)
	}
	text, err := os.ReadFile(abs)
	if err != nil {
		return nil, fault.New(fault.Config, "read the configuration: %w", err)
	}
	return parse(text, path, abs)
}

func parse(text []byte, shown, abs string) (*Config, error) {
	c := Defaults()
	c.File = abs
	r := reader{file: shown, lines: map[string]int{}}
	r.read(text, &c)
	if !r.unreadable {
		r.check(&c)
	}
	if len(r.problems) > 0 {
		return nil, r.sorted()
	}
	c.resolve()
	return &c, nil
}

// resolve fills in what depends on other keys and makes the paths absolute: they are relative to
// the folder of the file, so that a command works from anywhere.
func (c *Config) resolve() {
	dir := filepath.Dir(c.File)
	if c.Bus.URL == "" && c.Bus.Listen == "" {
		c.Bus.Listen = defaultBusListen
	}
	if c.StateDir == "" {
		c.StateDir = filepath.Join(".changeover", c.Migration)
	}
	for _, p := range []*string{
		&c.StateDir,
		&c.Source.PasswordFile, &c.Source.TLS.CA, &c.Source.TLS.Cert, &c.Source.TLS.Key,
		&c.Target.PasswordFile, &c.Target.TLS.CA, &c.Target.TLS.Cert, &c.Target.TLS.Key,
		&c.Bus.TLS.CA, &c.Bus.TLS.Cert, &c.Bus.TLS.Key, &c.Bus.NKeyFile,
	} {
		if *p != "" && !filepath.IsAbs(*p) {
			*p = filepath.Join(dir, *p)
		}
	}
}
