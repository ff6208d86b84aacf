package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"changeover/cdc"
	"changeover/internal/control"
	"changeover/internal/sandbox"
)

// migration is one configured run of ours.
type migration struct {
	tool, config string
}

// migrate writes the configuration of a migration of one database. Everything that it doesn't
// name is at its default.
func (l *lab) migrate(src, dst *host, database string) (*migration, error) {
	dir := filepath.Join(dst.Dir, "migration")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	// The passwords' files are made by the first question for them.
	for _, p := range []struct {
		h *host
		a sandbox.Account
	}{{src, sandbox.Changeover}, {dst, sandbox.Admin}} {
		if _, err := p.h.Password(p.a); err != nil {
			return nil, err
		}
	}
	text := fmt.Sprintf(`migration: bench
source: {host: %s, port: %d, user: changeover, password_file: %q}
target: {host: %s, port: %d, user: admin, password_file: %q}
databases: [%s]
listen: 127.0.0.1:0
`, src.Host, src.Port, src.PasswordFile(sandbox.Changeover), dst.Host, dst.Port, dst.PasswordFile(sandbox.Admin), database)
	m := l.migrationOf(dst)
	return m, os.WriteFile(m.config, []byte(text), 0o600)
}

// migrationOf is the migration into dst, whether or not it is configured yet.
func (l *lab) migrationOf(dst *host) *migration {
	return &migration{l.tool, filepath.Join(dst.Dir, "migration", "changeover.yaml")}
}

// run is `changeover run` with more arguments.
func (m *migration) run(ctx context.Context, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, m.tool, append([]string{"run", "-c", m.config}, args...)...)
}

func (l *lab) changeoverCopy(ctx context.Context, src, dst *host, database string) (usage, error) {
	m, err := l.migrate(src, dst, database)
	if err != nil {
		return usage{}, err
	}
	return measure("changeover run", m.run(ctx, "--until", "copied"))
}

// stream starts `changeover run` and returns when it streams.
func (m *migration) stream(ctx context.Context) (*child, error) {
	c, err := launch("changeover run", m.run(ctx))
	if err != nil {
		return nil, err
	}
	err = pollEvery(ctx, 200*time.Millisecond, 5*time.Minute, func() (bool, error) {
		if ended, err := c.ended(); ended {
			return false, fmt.Errorf("ended too early: %w\n%s", err, c.out)
		}
		s, err := m.status(ctx)
		return err == nil && s.Phase == "streaming", nil
	})
	return c, err
}

// status asks the run how far it is.
func (m *migration) status(ctx context.Context) (s cdc.Status, err error) {
	return s, control.Ask(ctx, filepath.Join(filepath.Dir(m.config), ".changeover", "bench"), "GET", "/v1/status", &s)
}
