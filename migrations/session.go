package migrations

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	gomysql "github.com/go-sql-driver/mysql"
	"github.com/golang-migrate/migrate/v4/database"
	"github.com/golang-migrate/migrate/v4/database/mysql"
)

// session is one migrator's connection: it holds the lock that keeps other migrators out, and the
// steps' statements run on it. To golang-migrate it is the database.
type session struct {
	*Migrator
	database.Driver // golang-migrate's, on conn
	conn            *sql.Conn

	fresh    bool   // the database was empty when this run began: nobody serves from it
	end      uint   // where this run goes to
	swapFrom uint64 // from which id on the swap of the activities looks for rows that are missing

	// Of the step under way.
	ctx       context.Context // golang-migrate hands none on
	work      work
	untouched bool // the server refused the step's first statement
}

// connections is how many a migrator needs: its own, one that copies, one that swaps tables.
const connections = 3

// open connects, and waits until no other migrator works on the database.
func (m *Migrator) open(ctx context.Context) (*session, error) {
	if most := m.db.Stats().MaxOpenConnections; most > 0 && most < connections {
		return nil, fmt.Errorf("a migrator needs a pool of %d connections, this one has %d", connections, most)
	}
	conn, err := m.db.Conn(ctx)
	if err != nil {
		return nil, fmt.Errorf("connect to the database: %w", err)
	}
	s := &session{Migrator: m, conn: conn}
	if err := s.begin(ctx); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *session) begin(ctx context.Context) error {
	if err := s.lock(ctx); err != nil {
		return err
	}
	// The connection says nothing while rows are copied, which may take a night.
	set := fmt.Sprintf("SET SESSION lock_wait_timeout = %d, SESSION wait_timeout = %d", max(1, int(s.LockWait.Seconds())), 7*24*60*60)
	if _, err := s.conn.ExecContext(ctx, set); err != nil {
		return fmt.Errorf("set up the connection: %w", err)
	}
	var err error
	s.Driver, err = mysql.WithConnection(ctx, s.conn, &mysql.Config{})
	if err != nil {
		return fmt.Errorf("look for the table of steps: %w", err)
	}
	return nil
}

// close ends the connection, and with it the lock. It is not given back to the pool: its settings are
// not the pool's.
func (s *session) close() {
	_ = s.conn.Raw(func(any) error { return driver.ErrBadConn })
	_ = s.conn.Close()
}

// lock waits for the lock of this database's migrators. golang-migrate's own is held for one step
// only, and given up after ten seconds.
func (s *session) lock(ctx context.Context) error {
	var name sql.NullString
	if err := s.conn.QueryRowContext(ctx, "SELECT DATABASE()").Scan(&name); err != nil {
		return fmt.Errorf("ask for the connection's database: %w", err)
	}
	if name.String == "" {
		return errors.New("the connection has no default database: name one in the configuration")
	}
	lock := fmt.Sprintf("platform migrate %x", sha256.Sum256([]byte(name.String)))[:64]
	for told := false; ; told = true {
		var have sql.NullBool
		if err := s.conn.QueryRowContext(ctx, "SELECT GET_LOCK(?, 1)", lock).Scan(&have); err != nil {
			return fmt.Errorf("wait for other migrators: %w", err)
		}
		if have.Bool {
			return nil
		}
		if !told {
			s.log.Info().Str("database", name.String).Msg("another migrator is at work: waiting for it")
		}
	}
}

// setVersion notes the version, not dirty.
func (s *session) setVersion(version uint) error {
	v := int(version)
	if v == 0 {
		v = database.NilVersion
	}
	if err := s.SetVersion(v, false); err != nil {
		return fmt.Errorf("note that the database is at step %s: %w", named(version), err)
	}
	return nil
}

// Run executes a step's statements one by one, so that the pool needs no multiStatements and an error
// has its statement. golang-migrate calls it.
func (s *session) Run(step io.Reader) error {
	text, err := io.ReadAll(step)
	if err != nil {
		return err
	}
	run := s.work.run
	if run == nil {
		run = plainly
	}
	for i, statement := range statements(text) {
		if err := s.insist(func(ctx context.Context) error { return run(ctx, s, statement) }); err != nil {
			// A statement of DDL happens or doesn't, so one that the server refuses did nothing.
			var refused *gomysql.MySQLError
			s.untouched = i == 0 && errors.As(err, &refused)
			return fmt.Errorf("%s: %w", firstLine(statement), err)
		}
	}
	return nil
}

// plainly executes a statement.
func plainly(ctx context.Context, s *session, statement string) error {
	_, err := s.conn.ExecContext(ctx, statement)
	return err
}

// insist does something that may find a table in use, and tries again when it does. The statement
// itself is not cancelled: the server would carry it out all the same, and nobody would know.
func (s *session) insist(do func(context.Context) error) error {
	for try := 1; ; try++ {
		err := do(context.WithoutCancel(s.ctx))
		if !refusedWith(err, lockTimeout, deadlock) || s.ctx.Err() != nil {
			return err
		}
		if try >= s.Tries {
			return fmt.Errorf("tried %d times, a transaction that goes on for long holds the table: %w", try, err)
		}
		s.log.Warn().Int("try", try).Err(err).Msg("the table is in use; letting others pass before the next try")
		if err := wait(s.ctx, s.LockWait); err != nil {
			return err
		}
	}
}

// wait returns after d, or with the error of ctx.
func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// statements splits a step at the semicolons that end a line; lines of comments are left out.
func statements(text []byte) (all []string) {
	var b strings.Builder
	for line := range bytes.Lines(text) {
		if bytes.HasPrefix(line, []byte("--")) {
			continue
		}
		b.Write(line)
		if bytes.HasSuffix(bytes.TrimSpace(line), []byte(";")) {
			all = append(all, strings.TrimSuffix(strings.TrimSpace(b.String()), ";"))
			b.Reset()
		}
	}
	if rest := strings.TrimSpace(b.String()); rest != "" {
		all = append(all, rest)
	}
	return all
}

func firstLine(s string) string {
	line, _, more := strings.Cut(s, "\n")
	if more {
		line += " …"
	}
	return line
}
