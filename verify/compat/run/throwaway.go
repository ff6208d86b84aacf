package run

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"changeover/internal/sandbox"
	"changeover/internal/server"
	"changeover/verify/compat"
	"changeover/verify/compat/ddl"
)

// onThrowaway runs an input on a server of its own in dir, and kills the server: nothing of it is kept.
func onThrowaway(ctx context.Context, dir string, in *compat.Input, o Options, into *compat.RanServer) (err error) {
	s, err := sandbox.Start(ctx, dir, spec(into.Flavor, o))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Kill()) }()
	if account(into.Flavor, o) == sandbox.Admin {
		if err := withoutRoot(ctx, s); err != nil {
			return err
		}
	}
	return on(ctx, s, in, o, into)
}

// withoutRoot drops an account that no Aurora has and that many definers name: what a definer that is missing may do
// there, one with all rights may not be given here by anybody who lacks them.
func withoutRoot(ctx context.Context, s *sandbox.Server) error {
	root, err := s.Open(sandbox.Root, "") // root@127.0.0.1
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }()
	_, err = root.ExecContext(ctx, "DROP USER root@localhost")
	return err
}

// on runs an input on a server, in a database that it makes.
func on(ctx context.Context, s *sandbox.Server, in *compat.Input, o Options, into *compat.RanServer) error {
	root, err := s.Open(sandbox.Root, "")
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }()
	if err := root.QueryRowContext(ctx, "SELECT VERSION()").Scan(&into.Version); err != nil {
		return err
	}
	if _, err := root.ExecContext(ctx, "CREATE DATABASE "+server.Name(o.Database)); err != nil {
		return err
	}
	pool, err := s.Open(account(into.Flavor, o), o.Database)
	if err != nil {
		return err
	}
	defer func() { _ = pool.Close() }()
	conn, err := pool.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()

	r := &runner{server: s, conn: conn, root: root, opts: o, into: into, dialect: ddl.MySQL, modes: map[string]string{}}
	if into.Flavor == server.MariaDB {
		r.dialect = ddl.MariaDB
	}
	if err := r.all(ctx, in); err != nil || r.failed {
		return err
	}
	into.Picture, err = compat.Look(ctx, root, compat.LookOptions{})
	return err
}

// spec is the server that plays a part, as `changeover sandbox up` makes it.
func spec(flavor server.Flavor, o Options) sandbox.Spec {
	s := sandbox.Spec{Role: sandbox.Source, Flavor: sandbox.Flavor(flavor), Durability: sandbox.Relaxed, Lifetime: sandbox.WithProcess, Progress: o.Progress}
	if flavor == server.MySQL {
		s.Role, s.Aurora = sandbox.Target, aurora(o)
	} else {
		s.Options = []string{"--event-scheduler=ON"} // as MySQL has it; else each event is warned of
	}
	return s
}

// account is who runs the files: on Aurora nobody has more rights than its master user.
func account(flavor server.Flavor, o Options) sandbox.Account {
	if flavor == server.MySQL && aurora(o) {
		return sandbox.Admin
	}
	return sandbox.Root
}

func aurora(o Options) bool { return o.To != nil && o.To.Aurora }

// ended is the error of a server that is not there any more, with the last that it wrote to its log.
func ended(s *sandbox.Server, doing string, err error) error {
	const lines = 5
	text, _ := os.ReadFile(s.LogFile())
	log := slices.DeleteFunc(strings.Split(strings.TrimSpace(string(text)), "\n"), func(line string) bool {
		return strings.HasPrefix(line, "Query (") // of a crash: the statement, with what is secret in it
	})
	return fmt.Errorf("the throwaway server ended during %s: %w; the end of its log:\n%s", doing, err, strings.Join(log[max(0, len(log)-lines):], "\n"))
}
