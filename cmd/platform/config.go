package main

import (
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
		Host         string `yaml:"host"`
		Port         int    `yaml:"port"`
		User         string `yaml:"user"`
		PasswordFile string `yaml:"password_file"`
		PasswordEnv  string `yaml:"password_env"`
		Name         string `yaml:"name"`
		Connections  int    `yaml:"connections"` // of each server's pool
		CAFile       string `yaml:"ca_file"`     // the server's certificate must be of this authority
	} `yaml:"database"`
	Assets         string        `yaml:"assets"`
	AdminTokenFile string        `yaml:"admin_token_file"`
	Patience       time.Duration `yaml:"patience"` // how long a write may wait for the database
	Drain          time.Duration `yaml:"drain"`    // between saying "not ready" and taking no more requests
	folder         string
}

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
	c.Database.Host, c.Database.Port, c.Database.Name, c.Database.Connections = "127.0.0.1", 3306, "school", 40
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
	return c, c.check(file)
}

func (c *settings) check(file string) error {
	d := c.Database
	switch {
	case d.User == "":
		return badConfig("%s: database.user is missing", file)
	case d.PasswordFile == "" && d.PasswordEnv == "":
		return badConfig("%s: database.password_file (or password_env) is missing", file)
	case d.Port < 1 || d.Port > 65535:
		return badConfig("%s: database.port is %d", file, d.Port)
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

// server is where the database is.
func (c *settings) server() (at store.Server, err error) {
	d := c.Database
	at = store.Server{Host: d.Host, Port: d.Port, User: d.User, Database: d.Name, Connections: d.Connections}
	if d.PasswordFile != "" {
		at.Password, err = c.secret(d.PasswordFile)
	} else if at.Password = os.Getenv(d.PasswordEnv); at.Password == "" {
		err = badConfig("the environment has no %s", d.PasswordEnv)
	}
	if err != nil || d.CAFile == "" {
		return at, err
	}
	e, err := server.Endpoint{Host: d.Host, Port: d.Port}.WithTLS(server.TLSOptions{Mode: "verify-full", CA: c.path(d.CAFile)})
	at.TLS = e.TLS
	return at, err
}
