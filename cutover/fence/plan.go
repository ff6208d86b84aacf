package fence

import (
	"context"
	"database/sql"
	"fmt"
	"strings"

	"github.com/rs/zerolog"

	"changeover/internal/config"
	"changeover/internal/fault"
	"changeover/internal/server"
)

// Session is one connection with one session: the helm's. *sql.Conn is one.
type Session interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// Server is what a fence is raised and lifted with.
type Server struct {
	Helm Session // every statement that changes the server goes through it
	Side *sql.DB // a second way in, by the same account: KILL, and looks
	Log  zerolog.Logger
}

// Kind is how a server refuses the application's writes.
type Kind string

// The kinds.
const (
	ReadOnly Kind = "read_only" // SET GLOBAL read_only = 1
	RDS      Kind = "rds"       // CALL mysql.rds_set_read_only(1)
	Accounts Kind = "accounts"  // ACCOUNT LOCK, and what is connected is killed
	None     Kind = "none"      // only of a Shield: nothing refuses writes and still lets connections in
)

// ServerWide tells whether the fence is the server's, not the accounts'.
func (k Kind) ServerWide() bool { return k == ReadOnly || k == RDS }

// Lasting is what keeps the fence standing over a restart or a failover.
type Lasting string

// The lasting parts.
const (
	LastingPersist  Lasting = "persist"  // SET PERSIST read_only = 1, and event_scheduler = OFF or each event disabled
	LastingAccounts Lasting = "accounts" // ACCOUNT LOCK, which is in tables, and each event disabled
)

// Options is what a fence is planned from.
type Options struct {
	Migration string
	Databases []string     // the migration's
	Want      config.Fence // auto, or what the operator insists on; empty is auto
	// Operators are accounts, user@host, for whom the operator answers: they are not locked, and
	// that they pass the fence is no problem.
	Operators []string
	// Own are further accounts of Changeover's, beside the session's own: they pass and are not locked.
	Own []string
	// DeadMan asks for a fence that an event of ours can lift: the event scheduler goes on where it can.
	DeadMan bool
}

// Plan is a fence for one server: what is done, and what was found before. It goes to JSON and back: as
// such it is written down before it is raised, and whoever finds it there can lift the fence.
type Plan struct {
	Migration string        `json:"migration"`
	Databases []string      `json:"databases"`
	Flavor    server.Flavor `json:"flavor"`
	Version   string        `json:"version"`
	Kind      Kind          `json:"kind"`
	Lasting   Lasting       `json:"lasting"`
	// Scheduler: the event scheduler is stopped as a whole, which takes one statement. Else each event.
	Scheduler bool `json:"scheduler,omitempty"`
	// DeadMan: the event scheduler goes on behind this fence, and each event is disabled, so that an event of
	// ours can lift it; with Scheduler too, it is stopped if an event can't be. Alone says why no such event
	// runs, where one was asked for.
	DeadMan  bool      `json:"dead_man,omitempty"`
	Alone    string    `json:"alone,omitempty"`
	Found    Found     `json:"found"`
	Accounts []Account `json:"accounts,omitempty"` // those that may write the migration's databases
	Passing  []string  `json:"passing,omitempty"`  // names of users whom read_only does not bind
	Events   []Event   `json:"events,omitempty"`   // those that were enabled
	Problems []Problem `json:"problems,omitempty"` // why this fence can't stand here
}

// Found is how the server was. Lift makes it so again.
type Found struct {
	ReadOnly       bool              `json:"read_only"`
	EventScheduler string            `json:"event_scheduler"`     // ON, OFF, DISABLED
	Persisted      map[string]string `json:"persisted,omitempty"` // what of the two mysqld-auto.cnf has
}

// Account is one that may write the migration's databases.
type Account struct {
	User   string `json:"user"`
	Host   string `json:"host"`
	By     string `json:"by"`               // the privilege that lets it write, or the role
	Locked bool   `json:"locked,omitempty"` // was found locked, and stays so
}

func (a Account) String() string { return a.User + "@" + a.Host }

// quoted is the account in SQL. Backticks, because what a backslash means between quotes depends on the
// session's sql_mode.
func (a Account) quoted() string { return server.Name(a.User) + "@" + server.Name(a.Host) }

// Problem is something that keeps a fence from standing, or from being tight.
type Problem struct {
	Code   fault.Code `json:"code"`
	Detail string     `json:"detail"`
	Blocks bool       `json:"blocks"` // the cutover is refused; else somebody should know
}

func (p Problem) String() string { return p.Code.String() + " " + p.Detail }

func blocks(code fault.Code, format string, args ...any) Problem {
	return Problem{Code: code, Detail: fmt.Sprintf(format, args...), Blocks: true}
}

func notes(code fault.Code, format string, args ...any) Problem {
	return Problem{Code: code, Detail: fmt.Sprintf(format, args...)}
}

// Blocked is the error of a fence that had to wait for somebody's statement: a fault CO-2010.
type Blocked struct {
	Statement string    // of ours, which was ended
	By        []Blocker // may be empty: who was in the way is gone, or can't be seen
	err       error
}

func (b *Blocked) Error() string {
	who := "somebody whom this account can't see, or who is gone by now"
	if len(b.By) > 0 {
		names := make([]string, len(b.By))
		for i, s := range b.By {
			names[i] = s.String()
		}
		who = strings.Join(names, "; ")
	}
	return fault.New(fault.FenceBlocked, "%q waited for longer than it may: %s", b.Statement, who).Error()
}

// Unwrap lets errors.Is and fault.Is find the fault and the server's error.
func (b *Blocked) Unwrap() []error { return []error{&fault.Error{Code: fault.FenceBlocked}, b.err} }
