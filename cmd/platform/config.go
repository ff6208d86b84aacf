package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/goccy/go-yaml"

	"changeover/internal/server"
	"changeover/platform/store"
)

// settings are the file of a platform server. Secrets are in files of their own, or in the
// environment; paths are relative to the file of settings.
type settings struct {
	Listen   string `yaml:"listen"`
	Database struct {
		Login       login  `yaml:",inline"`
		Name        string `yaml:"name"`
		Connections int    `yaml:"connections"` // of each server's pool
	} `yaml:"database"`
	Changeover     *changeover   `yaml:"changeover"` // nil: one server, for good
	Assets         string        `yaml:"assets"`
	AdminTokenFile string        `yaml:"admin_token_file"`
	Patience       time.Duration `yaml:"patience"` // how long a write may wait for the database
	Drain          time.Duration `yaml:"drain"`    // between saying "not ready" and taking no more requests
	folder         string
}

// login is where a server is, and who logs in there.
type login struct {
	Host         string `yaml:"host"`
	Port         int    `yaml:"port"`
	User         string `yaml:"user"`
	PasswordFile string `yaml:"password_file"`
	PasswordEnv  string `yaml:"password_env"`
	CAFile       string `yaml:"ca_file"` // the server's certificate must be of this authority
}

// changeover says that the database is being moved, and where to. The server under `database` is the source.
type changeover struct {
	Migration string `yaml:"migration"` // as in changeover.yaml
	Target    login  `yaml:"target"`    // no user, no password: those of `database`
	First     string `yaml:"first"`     // the writer while neither server says who it is
	Bus       struct {
		CAFile   string `yaml:"ca_file"`   // a bus that is not on this machine: its certificate must be of this authority
		NKeyFile string `yaml:"nkey_file"` // and this is the seed of the key to show there
	} `yaml:"bus"`
}

// The sides that may come first.
const (
	sourceFirst = "source"
	targetFirst = "target"
)

// configError is an error of the file of settings.
type configError struct{ error }

func (e configError) Unwrap() error { return e.error }

func badConfig(format string, args ...any) error { return configError{fmt.Errorf(format, args...)} }

func loadConfig(file string) (*settings, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, badConfig("the settings can't be read: %w; 'platform --help' shows a file of them, -c names another one", err)
	}
	c := &settings{Listen: "127.0.0.1:8080", Patience: 10 * time.Second, Drain: 3 * time.Second}
	c.Database.Login.Host, c.Database.Login.Port, c.Database.Name, c.Database.Connections = "127.0.0.1", 3306, "school", 40
	if err := yaml.UnmarshalWithOptions(text, c, yaml.Strict()); err != nil {
		return nil, badConfig("%s: %s", file, strings.TrimSpace(yaml.FormatError(err, false, true)))
	}
	abs, err := filepath.Abs(file)
	if err != nil {
		return nil, err
	}
	c.folder = filepath.Dir(abs)
	if c.Assets == "" {
		c.Assets = "file://" + filepath.Join(c.folder, "assets")
	}
	if c.Changeover != nil {
		c.Changeover.complete(c.Database.Login)
	}
	return c, c.check(file)
}

// complete fills in what is left out of a changeover, from the source's login where that makes sense.
func (o *changeover) complete(source login) {
	t := &o.Target
	if t.Port == 0 {
		t.Port = 3306
	}
	if t.User == "" {
		t.User = source.User
	}
	if t.PasswordFile == "" && t.PasswordEnv == "" {
		t.PasswordFile, t.PasswordEnv = source.PasswordFile, source.PasswordEnv
	}
	if o.First == "" {
		o.First = sourceFirst
	}
}

func (c *settings) check(file string) error {
	if err := c.Database.Login.check(file, "database"); err != nil {
		return err
	}
	switch d := c.Database; {
	case d.Connections < 2 || d.Connections > 10000:
		return badConfig("%s: database.connections is %d; it must be from 2 to 10000", file, d.Connections)
	case c.Patience < time.Second || c.Patience > 5*time.Minute:
		return badConfig("%s: patience is %v; it must be from 1s to 5m", file, c.Patience)
	case c.Drain < 0 || c.Drain > time.Hour:
		return badConfig("%s: drain is %v; it must be from 0s to 1h", file, c.Drain)
	}
	if _, _, err := net.SplitHostPort(c.Listen); err != nil {
		return badConfig("%s: listen is %q; it must be host:port", file, c.Listen)
	}
	if c.Changeover == nil {
		return nil
	}
	return c.Changeover.check(file, c.Database.Login)
}

func (o *changeover) check(file string, source login) error {
	switch t := o.Target; {
	case o.Migration == "":
		return badConfig("%s: changeover.migration is missing: the migration's name, as in the file of changeover", file)
	case t.Host == "":
		return badConfig("%s: changeover.target.host is missing", file)
	case t.Host == source.Host && t.Port == source.Port:
		return badConfig("%s: changeover.target is the server that database names", file)
	case o.First != sourceFirst && o.First != targetFirst:
		return badConfig("%s: changeover.first is %q; it must be source or target", file, o.First)
	}
	return o.Target.check(file, "changeover.target")
}

func (l login) check(file, where string) error {
	switch {
	case l.User == "":
		return badConfig("%s: %s.user is missing", file, where)
	case l.PasswordFile == "" && l.PasswordEnv == "":
		return badConfig("%s: %s.password_file (or password_env) is missing", file, where)
	case l.Port < 1 || l.Port > 65535:
		return badConfig("%s: %s.port is %d", file, where, l.Port)
	}
	return nil
}

func (c *settings) path(name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(c.folder, name)
}

func (c *settings) secret(name string) (string, error) {
	text, err := os.ReadFile(c.path(name))
	if err != nil {
		return "", badConfig("a secret can't be read: %w", err)
	}
	return strings.TrimRight(string(text), "\r\n"), nil
}

// source is the server that the settings name first; the only one, if there is no migration.
func (c *settings) source() (store.Server, error) { return c.server(c.Database.Login) }

// target is the server to which the database is being moved.
func (c *settings) target() (store.Server, error) { return c.server(c.Changeover.Target) }

func (c *settings) server(l login) (at store.Server, err error) {
	at = store.Server{Host: l.Host, Port: l.Port, User: l.User, Database: c.Database.Name, Connections: c.Database.Connections}
	if l.PasswordFile != "" {
		at.Password, err = c.secret(l.PasswordFile)
	} else if at.Password = os.Getenv(l.PasswordEnv); at.Password == "" {
		err = badConfig("the environment has no %s", l.PasswordEnv)
	}
	if err != nil || l.CAFile == "" {
		return at, err
	}
	e, err := server.Endpoint{Host: l.Host, Port: l.Port}.WithTLS(server.TLSOptions{Mode: "verify-full", CA: c.path(l.CAFile)})
	at.TLS = e.TLS
	return at, err
}

// busTLS is how the bus's certificate is checked; nil: not by a file of settings.
func (c *settings) busTLS() (*tls.Config, error) {
	file := c.Changeover.Bus.CAFile
	if file == "" {
		return nil, nil
	}
	text, err := os.ReadFile(c.path(file))
	if err != nil {
		return nil, badConfig("changeover.bus.ca_file can't be read: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, badConfig("changeover.bus.ca_file: there is no certificate in %s", file)
	}
	return &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}, nil
}
