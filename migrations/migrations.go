// Package migrations is the platform's schema, as steps that run on a live system.
//
// In: a pool of the platform's database. Out: the database at a step. The decision that matters: a
// step never breaks a server that runs the version before or after it. What would is split in three
// (expand, backfill, contract): the servers look which columns and tables there are, write both the old
// and the new while both are there, and are given time to notice before rows are copied; the copy is
// made in short transactions, and what is left of it is made while the table is locked, for
// milliseconds, by the step that takes the old away.
//
// The steps are golang-migrate's, in sql/, and its table schema_migrations says which ones have run; so
// its command line works on the database too, but it knows nothing of the copies that have to be made
// between the steps (work.go).
package migrations

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"strconv"

	"github.com/go-sql-driver/mysql"
	"github.com/rs/zerolog"
)

//go:embed sql/*.sql
var files embed.FS

// Step is one step of the schema.
type Step struct {
	Number uint
	Name   string
}

func (s Step) String() string { return fmt.Sprintf("%d (%s)", s.Number, s.Name) }

var stepFile = regexp.MustCompile(`^sql/(\d{4})_(\w+)\.up\.sql$`)

// Steps lists the steps in their order; they are numbered from 1 without gaps.
func Steps() []Step {
	names, _ := fs.Glob(files, "sql/*.up.sql") // sorted; the pattern is a valid one
	steps := make([]Step, 0, len(names))
	for _, name := range names {
		if m := stepFile.FindStringSubmatch(name); m != nil {
			n, _ := strconv.ParseUint(m[1], 10, 32)
			steps = append(steps, Step{uint(n), m[2]})
		}
	}
	return steps
}

// named is the step of a number, for messages; 0 is the empty database.
func named(number uint) string {
	if all := Steps(); number >= 1 && number <= uint(len(all)) {
		return all[number-1].String()
	}
	return strconv.FormatUint(uint64(number), 10)
}

// Up takes the database to step to, or to the newest if to is 0; one that is there is left alone. It
// waits while another migrator works on the database. See Migrator for what can be chosen.
func Up(ctx context.Context, db *sql.DB, to uint, log zerolog.Logger) error {
	return New(db, log).Up(ctx, to)
}

// Down undoes so many steps, or all if there are no more.
func Down(ctx context.Context, db *sql.DB, steps int) error {
	return New(db, zerolog.Nop()).Down(ctx, steps)
}

// Version is the last step that the database has, 0 if it has none. dirty: a migrator was stopped in
// the middle of a step, see DirtyError. Nothing is written.
func Version(ctx context.Context, db *sql.DB) (version uint, dirty bool, err error) {
	err = db.QueryRowContext(ctx, "SELECT version, dirty FROM schema_migrations").Scan(&version, &dirty)
	switch {
	case errors.Is(err, sql.ErrNoRows), refusedWith(err, noSuchTable):
		return 0, false, nil
	case err != nil:
		return 0, false, fmt.Errorf("read which step the database has: %w", err)
	}
	return version, dirty, nil
}

// DirtyError says that a step was begun and its end is not known.
type DirtyError struct {
	Version uint // what the database would be at
}

func (e *DirtyError) Error() string {
	return fmt.Sprintf("a migrator was stopped on the way to step %s, up or down: compare the database with migrations/sql, "+
		"finish or undo that step by hand, then say where the database is: platform migrate force NUMBER", named(e.Version))
}

// Numbers of errors that a server answers with.
const (
	noSuchTable  = 1146
	lockTimeout  = 1205
	deadlock     = 1213
	duplicateKey = 1062
)

// refusedWith tells whether err is one of the server's own, with one of these numbers.
func refusedWith(err error, numbers ...uint16) bool {
	var refused *mysql.MySQLError
	if !errors.As(err, &refused) {
		return false
	}
	for _, n := range numbers {
		if refused.Number == n {
			return true
		}
	}
	return false
}
