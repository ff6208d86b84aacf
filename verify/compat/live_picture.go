package compat

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"changeover/internal/accounts"
	"changeover/internal/server"
	"changeover/verify/compat/ddl"
)

// bothSeen tells whether both servers were looked at; if not, the rule at hand is not checked.
func (c *checker) bothSeen() bool { return c.sourceSeen() && c.targetSeen() }

func (c *checker) sourceSeen() bool { return c.seen(c.opts.Source, "source") }

func (c *checker) targetSeen() bool { return c.seen(c.opts.Target, "target") }

func (c *checker) seen(p *Picture, side string) bool {
	if p == nil {
		c.unchecked("needs a look at the %s", side)
	}
	return p != nil
}

// refused says that the rule at hand could not see all, if something of these was refused; a name stands for
// itself and all that begins with it.
func (c *checker) refused(p *Picture, whats ...string) bool {
	found := false
	for _, r := range p.Refused {
		if slices.ContainsFunc(whats, func(w string) bool { return strings.HasPrefix(r.What, w) }) {
			c.unchecked("%s: %s", r.What, r.Reason)
			found = true
		}
	}
	return found
}

// objects goes through the objects of these kinds that a picture has.
func (p *Picture) objects(fn func(*Object), kinds ...string) {
	for i := range p.Objects {
		if slices.Contains(kinds, p.Objects[i].Kind) {
			fn(&p.Objects[i])
		}
	}
}

func (o *Object) String() string { return o.Schema + "." + o.Name }

// programs are the kinds of objects that have a definer and statements of their own.
var programs = []string{"view", "procedure", "function", "trigger", "event"}

// stateOf reads the definitions of a server, once for each check.
func (c *checker) stateOf(p *Picture) *state {
	if s := c.asking.definitions[p]; s != nil {
		return s
	}
	dialect := ddl.MySQL
	if p.Flavor == server.MariaDB {
		dialect = ddl.MariaDB
	}
	s := &state{tables: map[string]*table{}}
	p.objects(func(o *Object) {
		sts := ddl.Read(ddl.NewFile(o.String(), o.SQL), dialect, false)
		for i := range sts {
			sts[i].Schema = o.Schema
			s.apply(&sts[i])
		}
	}, "table")
	if c.asking.definitions == nil {
		c.asking.definitions = map[*Picture]*state{}
	}
	c.asking.definitions[p] = s
	return s
}

// tableOf is what is known of a table of a picture from its definition; nil if it could not be read.
func (c *checker) tableOf(p *Picture, o *Object) *table {
	return c.stateOf(p).tables[keyOf(o.Schema, o.Name)]
}

// facts are what information_schema says of a column, nil if it has none of that name.
func (o *Object) facts(column string) *ColumnFacts {
	for i := range o.Columns {
		if strings.EqualFold(o.Columns[i].Name, column) {
			return &o.Columns[i]
		}
	}
	return nil
}

// kind is a column's data type without what stands behind it, in capitals: VARCHAR, INT.
func (f *ColumnFacts) kind() string {
	kind, _, _ := strings.Cut(f.Type, "(")
	kind, _, _ = strings.Cut(kind, " ")
	return strings.ToUpper(kind)
}

// version is a picture's server's, for comparing.
func (p *Picture) version() server.Version {
	v, _ := server.ParseVersion(p.Version)
	v.Flavor = p.Flavor
	return v
}

// asking is what a check remembers of the servers that it asks.
type asking struct {
	definitions map[*Picture]*state // as they were read when a rule first wanted them
	gone        []*Picture          // servers whose connection has failed: each further question would wait for it
	spent       time.Duration
	accounts    func() (*accounts.Set, error) // the source's, nil until a rule wants them
}

const (
	// askTime is how long a question may take at the server, and twice that in all.
	askTime = 2 * time.Second
	// askAll is how long the questions of one check may take together; none is begun after it.
	askAll = 2 * time.Minute
)

var (
	errGone = errors.New("the connection failed")
	errLate = errors.New("the questions before it took " + askAll.String())
)

// ask asks a server one bounded question.
func (c *checker) ask(p *Picture, query string, args ...any) (rows [][]sql.NullString, err error) {
	err = c.within(p, func(ctx context.Context, q server.Queryer) error {
		_, rows, err = server.Rows(ctx, q, query, args...)
		return err
	})
	return rows, err
}

// within gives fn a server to ask, for a time after which it is left, and remembers what came of it.
func (c *checker) within(p *Picture, fn func(context.Context, server.Queryer) error) error {
	switch {
	case c.ctx.Err() != nil:
		return c.ctx.Err()
	case slices.Contains(c.asking.gone, p):
		return errGone
	case c.asking.spent > askAll:
		return errLate
	}
	ctx, cancel := context.WithTimeout(c.ctx, 2*askTime)
	defer cancel()
	begun := time.Now()
	err := fn(ctx, limited{p})
	c.asking.spent += time.Since(begun)
	if err != nil && answer(err) == 0 && !errors.Is(err, context.DeadlineExceeded) {
		c.asking.gone = append(c.asking.gone, p)
		return errGone
	}
	return err
}

// limited gives each SELECT a time after which the server ends it, whatever becomes of the connection.
type limited struct{ *Picture }

// QueryContext puts a question.
func (l limited) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	if rest, ok := strings.CutPrefix(strings.TrimSpace(query), "SELECT "); ok {
		if l.Flavor == server.MariaDB {
			query = fmt.Sprintf("SET STATEMENT max_statement_time=%g FOR SELECT %s", askTime.Seconds(), rest)
		} else {
			query = fmt.Sprintf("SELECT /*+ MAX_EXECUTION_TIME(%d) */ %s", askTime.Milliseconds(), rest)
		}
	}
	return l.Probe.QueryContext(ctx, query, args...)
}

// reason is why a question about rows was not answered. What the server says is not shown: it may quote a value.
func reason(err error) string {
	switch n := answer(err); {
	case n == 3024 || n == 1969 || errors.Is(err, context.DeadlineExceeded):
		return "it took more than " + askTime.String()
	case n > 0:
		return fmt.Sprintf("the server refuses the question (%d)", n)
	}
	return err.Error()
}

// mayAsk tells whether there is leave to ask a server; if not, the rule at hand says what it did not look at.
func (c *checker) mayAsk(p *Picture, side, what string) bool {
	if p == nil || p.Probe == nil {
		c.unchecked("%s: needs leave to ask the %s", what, side)
		return false
	}
	return true
}
