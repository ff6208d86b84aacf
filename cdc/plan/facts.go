package plan

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/go-sql-driver/mysql"

	"changeover/cdc/row"
	"changeover/cdc/schema"
	"changeover/internal/config"
	"changeover/internal/server"
	"changeover/verify/compat"
)

// Facts is all that the rules look at, gathered once.
type Facts struct {
	Config  *config.Config
	Source  *Server // nil fields inside where a fact could not be had
	Target  *Server
	Schema  *Schema  // what is to be moved, from the source; nil if it could not be read
	Waiting *Waiting // what the target holds; nil if it could not be read

	// Definitions and Dialect are what run will create the target's schema from; nil if they could
	// not be read.
	Definitions *schema.Schema
	Dialect     *schema.Target
	Rules       *compat.Report // what changeover check says of both; nil if one was not seen
}

// Server is what one side says of itself.
type Server struct {
	Side     Side
	Endpoint server.Endpoint // where; its secret is never printed
	Err      error           // why it can't be reached; the rest is empty then
	Identity server.Identity
	Version  server.Version
	Vars     server.Variables
	Account  string // CURRENT_USER()
	Grants   Grants
	Binlog   *BinlogStatus // nil: no binlog, or it may not be asked
	Channels []Channel     // replication into this server
	Prepared []string      // XA transactions that are prepared
	Long     []Transaction // open for more than a minute
	Passers  []Passer      // accounts that write behind a fence
	// Procedures are those of RDS's that fence a server and end sessions, as far as the account sees them.
	Procedures []string
	RDSHours   *int64 // RDS's 'binlog retention hours'; nil where there is no such thing
	Missing    []MissingFact
}

// MissingFact is a fact that could not be had.
type MissingFact struct {
	What     string
	Err      error
	Required bool // what depends on it can't be judged, so the plan can't say yes
}

// BinlogStatus is where the binlog is and what is kept out of it.
type BinlogStatus struct {
	File         string
	Do, Ignore   string // comma-separated databases
	ExecutedGTID string
}

// Channel is a replication channel into a server.
type Channel struct {
	Name, From string
	Running    bool
}

// Transaction is one that has been open for long.
type Transaction struct {
	Thread int64
	Open   time.Duration
	User   string
	Query  string
}

// Reached tells whether the side answered.
func (s *Server) Reached() bool { return s != nil && s.Err == nil }

func (f *Facts) has(needs Sides) bool {
	switch needs {
	case NeedsSource:
		return f.Source.Reached()
	case NeedsTarget:
		return f.Target.Reached()
	case NeedsBoth:
		return f.Source.Reached() && f.Target.Reached()
	}
	return true
}

// gather asks both sides at the same time; on each, one question after another,
// so that a plan is no load on a live source.
func gather(ctx context.Context, cfg *config.Config) *Facts {
	f := &Facts{Config: cfg}
	var both sync.WaitGroup
	var seen pictures
	both.Go(func() {
		f.Source = look(ctx, Source, cfg.SourceEndpoint, func(s *Server, db *sql.DB, q *sql.Conn) {
			s.attempt("what changeover check looks at", func() (err error) {
				seen.source, err = picture(ctx, db, cfg)
				return err
			})
			s.required(s.attempt("the tables", func() (err error) {
				f.Schema, err = readSchema(ctx, q, cfg)
				return err
			}))
			if f.Schema == nil {
				return
			}
			s.required(s.attempt("the definitions", func() (err error) {
				f.Definitions, err = schema.Read(ctx, db, f.Schema.Databases, cfg.InScope)
				return err
			}))
		})
	})
	both.Go(func() {
		f.Target = look(ctx, Target, cfg.TargetEndpoint, func(s *Server, db *sql.DB, q *sql.Conn) {
			s.attempt("what changeover check looks at", func() (err error) {
				if seen.profile, err = compat.Capture(ctx, db, "target"); err == nil {
					seen.target, err = picture(ctx, db, cfg)
				}
				return err
			})
			s.required(s.attempt("what the target holds", func() (err error) {
				f.Waiting, err = readWaiting(ctx, q, cfg)
				return err
			}))
			s.required(s.attempt("what the target can do", func() (err error) {
				f.Dialect, err = schema.Inspect(ctx, db)
				return err
			}))
		})
	})
	both.Wait()
	f.Rules = seen.check(ctx, f)
	return f
}

// look connects to a side and asks it everything; more asks what only this side is asked.
func look(ctx context.Context, side Side, endpoint func() (server.Endpoint, error), more func(*Server, *sql.DB, *sql.Conn)) *Server {
	s := &Server{Side: side}
	if s.Endpoint, s.Err = endpoint(); s.Err != nil {
		return s
	}
	db, err := server.Dial(ctx, s.Endpoint, server.Session{Connections: 2})
	if err != nil {
		s.Err = err
		return s
	}
	defer func() { _ = db.Close() }()
	q, err := db.Conn(ctx)
	if err != nil {
		s.Err = server.Classify(s.Endpoint, err)
		return s
	}
	defer func() { _ = q.Close() }()
	if s.Err = s.introduce(ctx, q); s.Err != nil {
		return s
	}
	s.askServer(ctx, q)
	more(s, db, q)
	return s
}

// introduce asks what no rule can do without.
func (s *Server) introduce(ctx context.Context, q *sql.Conn) (err error) {
	if s.Identity, err = server.Identify(ctx, q); err != nil {
		return fmt.Errorf("%s: %w", s.Endpoint, err)
	}
	if s.Version, err = server.ParseVersion(s.Identity.Version); err != nil {
		return fmt.Errorf("%s: %w", s.Endpoint, err)
	}
	if s.Vars, err = server.ReadVariables(ctx, q); err != nil {
		return fmt.Errorf("%s: %w", s.Endpoint, err)
	}
	if s.Version.Flavor == server.MySQL && s.Version.AtLeast(8, 0, 0) {
		// Statistics would be up to a day old otherwise.
		_, err = q.ExecContext(ctx, "SET SESSION information_schema_stats_expiry = 0")
	}
	return err
}

// attempt runs fn and remembers its failure; the fact is optional unless required is called on it.
func (s *Server) attempt(what string, fn func() error) *MissingFact {
	if err := fn(); err != nil {
		s.Missing = append(s.Missing, MissingFact{What: what, Err: err})
		return &s.Missing[len(s.Missing)-1]
	}
	return nil
}

func (*Server) required(m *MissingFact) {
	if m != nil {
		m.Required = true
	}
}

func (s *Server) askServer(ctx context.Context, q *sql.Conn) {
	s.required(s.attempt("the account's privileges", func() error { return s.askGrants(ctx, q) }))
	s.attempt("the binlog's status", func() error { return s.askBinlog(ctx, q) })
	s.attempt("replication channels", func() error { return s.askChannels(ctx, q) })
	s.attempt("prepared XA transactions", func() error { return s.askPrepared(ctx, q) })
	s.attempt("long transactions", func() error { return s.askTransactions(ctx, q) })
	s.attempt("accounts that pass a fence", func() error { return s.askPassers(ctx, q) })
	s.required(s.attempt("RDS's procedures", func() error { return s.askProcedures(ctx, q) }))
	s.attempt("RDS's binlog retention", func() error { return s.askRDS(ctx, q) })
}

// record is one row, by the names of its columns in lower case; NULL is absent.
type record map[string]string

// records runs a statement whose columns differ from version to version.
func records(ctx context.Context, q row.Queryer, query string, args ...any) ([]record, error) {
	names, rows, err := server.Rows(ctx, q, query, args...)
	var all []record
	for _, values := range rows {
		all = append(all, newRecord(names, values))
	}
	return all, err
}

// errNumber is the server's number of an error, or 0.
func errNumber(err error) uint16 {
	var e *mysql.MySQLError
	if errors.As(err, &e) {
		return e.Number
	}
	return 0
}
