package config

import (
	"fmt"
	"os"
	"strings"

	"changeover/internal/fault"
	"changeover/internal/server"
)

// Secret is a password. It prints as stars wherever it may end up; Reveal is the only way out.
type Secret struct{ text string }

const redacted = "***"

// Reveal is the secret itself, for the one call that needs it.
func (s Secret) Reveal() string { return s.text }

func (Secret) String() string               { return redacted }
func (Secret) GoString() string             { return redacted }
func (Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// Password reads the password from its file or variable. It is read at each call, so that a
// rotated password is found without a restart. Without either key the password is empty.
func (s Server) Password() (Secret, error) {
	switch {
	case s.PasswordFile != "":
		text, err := os.ReadFile(s.PasswordFile)
		if err != nil {
			return Secret{}, fault.New(fault.Password, "read the password of %s@%s: %w", s.User, s.Host, err)
		}
		return Secret{strings.TrimRight(string(text), "\r\n")}, nil
	case s.PasswordEnv != "":
		text, ok := os.LookupEnv(s.PasswordEnv)
		if !ok {
			return Secret{}, fault.New(fault.Password,
				"the password of %s@%s: the environment variable %s is not set", s.User, s.Host, s.PasswordEnv)
		}
		return Secret{text}, nil
	}
	return Secret{}, nil
}

// SourceEndpoint is how the source is reached. It reads the password and the certificates.
func (c *Config) SourceEndpoint() (server.Endpoint, error) { return c.Source.endpoint() }

// TargetEndpoint is how the target is reached. It reads the password and the certificates.
func (c *Config) TargetEndpoint() (server.Endpoint, error) { return c.Target.endpoint() }

func (s Server) endpoint() (server.Endpoint, error) {
	password, err := s.Password()
	if err != nil {
		return server.Endpoint{}, err
	}
	e := server.Endpoint{Host: s.Host, Port: s.Port, User: s.User, Password: password.Reveal()}
	return e.WithTLS(server.TLSOptions{
		Mode: s.TLS.Mode, CA: s.TLS.CA, Cert: s.TLS.Cert, Key: s.TLS.Key, ServerName: s.TLS.ServerName,
	})
}

// Warnings is what is allowed but unwise: a line for each, for the log.
func (c *Config) Warnings() []string {
	var warnings []string
	for _, file := range []string{c.Source.PasswordFile, c.Source.TLS.Key, c.Target.PasswordFile, c.Target.TLS.Key} {
		info, err := os.Stat(file)
		if file == "" || err != nil {
			continue
		}
		if mode := info.Mode().Perm(); mode&0o077 != 0 {
			warnings = append(warnings, fmt.Sprintf("%s can be read by others (mode %04o): chmod 600 %s", file, mode, file))
		}
	}
	return warnings
}
