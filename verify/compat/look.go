package compat

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"changeover/cdc/schema"
	"changeover/internal/accounts"
	"changeover/internal/fault"
	"changeover/internal/server"
)

// lookers is how many connections look at once: a thousand tables are a thousand questions, and another
// network's answers take their time. It is no more, as the server has other things to do.
const lookers = 4

// looking is how sessions are set up to look, besides what cdc/schema sets to read definitions.
var looking = []string{
	"SET SESSION lock_wait_timeout = 5",                             // what somebody is altering is not waited for
	"SET SESSION show_create_table_skip_secondary_engine = DEFAULT", // a rule is about it; MySQL ≥ 8.0.18
}

// look is one look at a server on its way.
type look struct {
	*Picture
	db *sql.DB

	mu sync.Mutex // guards Refused while several sessions look
}

// Look reads a server's definitions, variables and accounts. It writes nothing, and takes no lock longer than a
// statement's. What the account may not see is in Picture.Refused, by these names: "databases" and "accounts";
// "tables of shop", "routines of shop", "triggers of shop" and "events of shop", of which some may be unseen;
// and "view shop.orders" for an object whose text is. An error is about the connection, or a database that was
// asked for and isn't there (CO-1013, unless it may lack).
func Look(ctx context.Context, db *sql.DB, o LookOptions) (*Picture, error) {
	l := &look{db: db, Picture: &Picture{}}
	if o.Data {
		l.Probe = db
	}
	if err := l.server(ctx, o); err != nil {
		return nil, fmt.Errorf("look at the server: %w", err)
	}
	if err := l.list(ctx); err != nil {
		return nil, fmt.Errorf("list what the server has: %w", err)
	}
	if err := l.texts(ctx); err != nil {
		return nil, fmt.Errorf("read definitions: %w", err)
	}
	slices.SortFunc(l.Refused, func(a, b Refusal) int {
		return cmp.Or(strings.Compare(a.What, b.What), strings.Compare(a.Reason, b.Reason))
	})
	return l.Picture, nil
}

// server reads what is not of a database.
func (l *look) server(ctx context.Context, o LookOptions) error {
	conn, end, err := l.session(ctx)
	if err != nil {
		return err
	}
	defer end()
	if err := conn.QueryRowContext(ctx, "SELECT VERSION()").Scan(&l.Version); err != nil {
		return err
	}
	v, err := server.ParseVersion(l.Version)
	if err != nil {
		return err
	}
	l.Flavor = v.Flavor
	if l.Variables, err = server.ReadVariables(ctx, conn); err != nil {
		return err
	}
	delete(l.Variables, "report_password") // the one that a server shows
	for _, read := range []func(context.Context, *sql.Conn) error{l.collations, l.grants, l.accounts} {
		if err := read(ctx, conn); err != nil {
			return err
		}
	}
	if err := l.databases(ctx, conn, o); err != nil {
		return err
	}
	l.unseen(len(o.Databases) == 0)
	return nil
}

// session is a connection of its own to look by; end closes it for good.
func (l *look) session(ctx context.Context) (conn *sql.Conn, end func(), err error) {
	conn, end, err = schema.ReadSession(ctx, l.db)
	if err != nil {
		return nil, nil, err
	}
	for _, q := range looking {
		if _, err := conn.ExecContext(ctx, q); err != nil && !answered(err) {
			end()
			return nil, nil, fmt.Errorf("%s: %w", q, err)
		}
	}
	return conn, end, nil
}

// each does n things, on a few sessions at once that are set up by set too. A pool that gives fewer connections
// makes it slower and nothing else: no session waits for another.
func (l *look) each(ctx context.Context, set string, n int, do func(ctx context.Context, conn *sql.Conn, i int) error) error {
	todo := make(chan int, n) // as large as it gets: nobody waits to fill it
	for i := range n {
		todo <- i
	}
	close(todo)
	group, ctx := errgroup.WithContext(ctx)
	for range min(n, lookers) {
		group.Go(func() error {
			conn, end, err := l.session(ctx)
			if err != nil {
				return err
			}
			defer end()
			if _, err := conn.ExecContext(ctx, set); err != nil {
				return err
			}
			for i := range todo {
				if err := do(ctx, conn, i); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return group.Wait()
}

// collations: what a charset's default is may be overridden, for all charsets or for utf8mb4.
func (l *look) collations(ctx context.Context, conn *sql.Conn) error {
	_, rows, err := server.Rows(ctx, conn, "SELECT CHARACTER_SET_NAME, DEFAULT_COLLATE_NAME FROM information_schema.CHARACTER_SETS")
	if err != nil {
		return err
	}
	l.Collations = map[string]string{}
	for _, r := range rows {
		l.Collations[r[0].String] = r[1].String
	}
	if c := l.Variables["default_collation_for_utf8mb4"]; c != "" {
		l.Collations["utf8mb4"] = c
	}
	for pair := range strings.SplitSeq(l.Variables["character_set_collations"], ",") { // MariaDB ≥ 11.2: a=b,c=d
		if charset, collation, ok := strings.Cut(strings.TrimSpace(pair), "="); ok {
			l.Collations[charset] = collation
		}
	}
	return nil
}

func (l *look) grants(ctx context.Context, conn *sql.Conn) error {
	_, rows, err := server.Rows(ctx, conn, "SHOW GRANTS")
	for _, r := range rows {
		l.Grants = append(l.Grants, withoutSecret(r[0].String))
	}
	return l.refused(err, "grants")
}

var quoted = regexp.MustCompile(`'(?:[^'\\]|\\.|'')*'`)

// withoutSecret leaves out how an account logs in, with its hashes, which a MariaDB shows with its grants.
func withoutSecret(grant string) string {
	before, login, ok := strings.Cut(grant, " IDENTIFIED ")
	if !ok {
		return grant
	}
	login = quoted.ReplaceAllString(login, "''") // which may say WITH, too
	if with := strings.Index(login, " WITH "); with >= 0 {
		return before + login[with:]
	}
	return before
}

func (l *look) accounts(ctx context.Context, conn *sql.Conn) error {
	list, err := accounts.List(ctx, conn, l.Flavor)
	for _, a := range list {
		l.Accounts = append(l.Accounts, Account{a.User, a.Host, a.Plugin, a.Locked, a.NoPassword})
	}
	return l.refused(err, "accounts")
}

// own are databases that no migration is about: the server's, and Changeover's.
var own = []string{"mysql", "sys", "information_schema", "performance_schema", "_changeover"}

// databases reads the databases that were asked for, or all.
func (l *look) databases(ctx context.Context, conn *sql.Conn, o LookOptions) error {
	_, rows, err := server.Rows(ctx, conn, "SELECT SCHEMA_NAME, DEFAULT_CHARACTER_SET_NAME, DEFAULT_COLLATION_NAME FROM information_schema.SCHEMATA")
	if err != nil {
		return err
	}
	for _, r := range rows {
		d := Database{r[0].String, r[1].String, r[2].String}
		if len(o.Databases) == 0 && !slices.Contains(own, strings.ToLower(d.Name)) || slices.ContainsFunc(o.Databases, l.names(d)) {
			l.Databases = append(l.Databases, d)
		}
	}
	slices.SortFunc(l.Databases, func(a, b Database) int { return strings.Compare(a.Name, b.Name) })
	for _, name := range o.Databases {
		if slices.ContainsFunc(l.Databases, func(d Database) bool { return l.names(d)(name) }) {
			continue
		}
		if err := l.missing(ctx, conn, name); err != nil && !(o.MayLack && fault.Is(err, fault.NoDatabase)) {
			return err
		}
	}
	return nil
}

// names tells whether a name is the database's, as the server goes by cases.
func (l *look) names(d Database) func(string) bool {
	return func(name string) bool {
		return name == d.Name || l.Variables["lower_case_table_names"] != "0" && strings.EqualFold(name, d.Name)
	}
}

// missing: a database that is not listed may be one that the account may not see.
func (l *look) missing(ctx context.Context, conn *sql.Conn, name string) error {
	_, err := conn.ExecContext(ctx, "USE "+server.Name(name))
	if err == nil || answer(err) == noDatabase {
		return fault.New(fault.NoDatabase, "there is no database %s", name)
	}
	return l.refused(err, "database "+name)
}
