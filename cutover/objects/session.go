package objects

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"changeover/cdc/schema"
	"changeover/cdc/state"
	"changeover/internal/server"
)

// mark begins every DDL statement: both streams and the watchman know it by that.
const mark = "/* changeover objects */ "

// settings are those of the session while it works: what SHOW CREATE prints is to be the same text
// whoever asks, and a table with an odd default is to be altered all the same.
var settings = []struct {
	name, value string
	number      bool // its value stands without quotes
	mysql       bool // MariaDB has none
}{
	{name: "sql_mode", value: "NO_ENGINE_SUBSTITUTION,ALLOW_INVALID_DATES"},
	{name: "character_set_client", value: "utf8mb4"},
	{name: "collation_connection", value: "utf8mb4_general_ci"},
	{name: "character_set_results"}, // NULL: texts come in the charset that they are in
	{name: "time_zone", value: "+00:00"},
	{name: "foreign_key_checks", value: "0", number: true},
	{name: "sql_quote_show_create", value: "1", number: true},
	{name: "information_schema_stats_expiry", value: "0", number: true, mysql: true},
}

// maker works through the session.
type maker struct {
	s       Session
	side    *sql.DB // for KILL, and for looking while the session waits; nil: nothing is ended
	limit   time.Duration
	log     zerolog.Logger
	id      uint64 // the session's
	flavor  server.Flavor
	was     []sql.NullString // of settings
	in      string           // the default database
	wasIn   sql.NullString
	under   string            // the circumstances that the session has now; empty: settings
	has     map[string]string // collations of databases
	row     *row              // what `_changeover`.`objects` says here
	migrate string
	attempt uint64
}

// open prepares the session; the maker's close puts it back.
func open(ctx context.Context, s Session, side *sql.DB, o Options, limit time.Duration) (*maker, error) {
	s = patient{s}
	m := &maker{s: s, side: side, has: map[string]string{}, limit: limit, log: o.Log, migrate: o.Migration, attempt: o.Attempt}
	var version string
	if err := s.QueryRowContext(ctx, "SELECT VERSION(), CONNECTION_ID(), DATABASE()").Scan(&version, &m.id, &m.wasIn); err != nil {
		return nil, fmt.Errorf("look at the session: %w", err)
	}
	m.in, m.flavor = m.wasIn.String, server.MySQL
	if strings.Contains(version, "MariaDB") {
		m.flavor = server.MariaDB
	}
	var names []string
	into := []any{}
	m.was = make([]sql.NullString, len(settings))
	for i, v := range settings {
		if v.mysql && m.flavor != server.MySQL {
			continue
		}
		names, into = append(names, "@@SESSION."+v.name), append(into, &m.was[i])
	}
	if err := s.QueryRowContext(ctx, "SELECT "+strings.Join(names, ", ")).Scan(into...); err != nil {
		return nil, fmt.Errorf("look at the session: %w", err)
	}
	m.under = "its owner's"
	if err := m.base(ctx); err != nil {
		return nil, errors.Join(err, m.close())
	}
	var err error
	if m.row, err = readRow(ctx, s, o.Migration); err == nil {
		err = m.uncollate(ctx) // of one that died
	}
	if err != nil {
		return nil, errors.Join(err, m.close())
	}
	return m, nil
}

// base gives the session its settings, where it has the circumstances of an object.
func (m *maker) base(ctx context.Context) error {
	if m.under == "" {
		return nil
	}
	err := m.set(ctx, func(i int) sql.NullString {
		return sql.NullString{String: settings[i].value, Valid: settings[i].name != "character_set_results"}
	})
	if err == nil {
		m.under = ""
	}
	return err
}

func (m *maker) set(ctx context.Context, value func(i int) sql.NullString) error {
	var all []string
	for i, v := range settings {
		if v.mysql && m.flavor != server.MySQL {
			continue
		}
		text := "NULL"
		switch to := value(i); {
		case to.Valid && v.number:
			text = to.String
		case to.Valid:
			text = "'" + to.String + "'"
		}
		all = append(all, "SESSION "+v.name+" = "+text)
	}
	_, err := m.s.ExecContext(ctx, "SET "+strings.Join(all, ", "))
	return err
}

// close puts the session back, whatever has ended the caller's context.
func (m *maker) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), answerWithin)
	defer cancel()
	err := m.set(ctx, func(i int) sql.NullString { return m.was[i] })
	if m.in != m.wasIn.String {
		back := m.wasIn.String
		if back == "" {
			back = state.Database // there is no statement to leave a database
		}
		_, useErr := m.s.ExecContext(ctx, "USE "+server.Name(back))
		err = errors.Join(err, useErr)
	}
	if err != nil {
		return fmt.Errorf("put the session back: %w", err)
	}
	return nil
}

func (m *maker) use(ctx context.Context, database string) error {
	if m.in == database {
		return nil
	}
	if err := m.base(ctx); err != nil {
		return err
	}
	_, err := m.s.ExecContext(ctx, "USE "+server.Name(database))
	if err == nil {
		m.in = database
	}
	return err
}

// circumstances gives the session the circumstances of an object for one statement. Its text is written in its
// client's charset, and so it is sent. The session keeps them until it is asked for something else: in
// the hold each question counts.
func (m *maker) circumstances(ctx context.Context, o schema.Object, do func() error) error {
	if err := m.collate(ctx, o); err != nil {
		return errors.Join(err, m.uncollate(context.WithoutCancel(ctx)))
	}
	set := o.Circumstances()
	if set != m.under {
		m.under = set
		if _, err := m.s.ExecContext(ctx, set); err != nil {
			return errors.Join(err, m.uncollate(context.WithoutCancel(ctx)))
		}
	}
	err := do()
	if m.row.Collations != nil {
		err = errors.Join(err, m.uncollate(context.WithoutCancel(ctx)))
	}
	return err
}

// collate gives the database, for one statement, the collation that it had when the object was made:
// parameters and variables without one of their own take it for good. That is written down first: who
// comes after a crash puts it back.
func (m *maker) collate(ctx context.Context, o schema.Object) error {
	if o.CollationDatabase == "" {
		return nil
	}
	now, err := m.collation(ctx, o.Schema)
	if err != nil || now == o.CollationDatabase {
		return err
	}
	m.row.Collations = map[string]string{o.Schema: now}
	if err := m.save(ctx, ""); err != nil {
		return err
	}
	return m.ddl(ctx, schema.Object{Schema: o.Schema}, mark+alterCollation(o.Schema, o.CollationDatabase))
}

// uncollate gives databases the collation back that they have.
func (m *maker) uncollate(ctx context.Context) error {
	if m.row.Collations == nil {
		return nil
	}
	for database, collation := range m.row.Collations {
		if err := m.ddl(ctx, schema.Object{Schema: database}, mark+alterCollation(database, collation)); err != nil {
			return err
		}
	}
	m.row.Collations = nil
	return m.save(ctx, "")
}

// collation is what a database has for good, as it was when the session was opened: nobody but the
// stream changes it, which stands still.
func (m *maker) collation(ctx context.Context, database string) (string, error) {
	if name, ok := m.has[database]; ok {
		return name, nil
	}
	if err := m.base(ctx); err != nil {
		return "", err
	}
	var name string
	err := m.s.QueryRowContext(ctx, "SELECT DEFAULT_COLLATION_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = ?", database).Scan(&name)
	m.has[database] = name
	return name, err
}

func alterCollation(database, collation string) string {
	return "ALTER DATABASE " + server.Name(database) + " COLLATE " + collation
}

// patient is a session whose statements are not ended with their context: the driver would close the
// connection, which may be the helm, and what it was about to do would still be done. A server that
// says nothing for answerWithin has lost it anyway.
type patient struct{ Session }

const answerWithin = 5 * time.Second

func (p patient) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	lasting, cancel := context.WithTimeout(context.WithoutCancel(ctx), answerWithin)
	defer cancel()
	return p.Session.ExecContext(lasting, query, args...)
}

func (p patient) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return p.Session.QueryContext(outlast(ctx), query, args...)
}

func (p patient) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	return p.Session.QueryRowContext(outlast(ctx), query, args...)
}

// outlast is a context for rows, which are read after the call.
func outlast(ctx context.Context) context.Context {
	lasting, cancel := context.WithCancel(context.WithoutCancel(ctx))
	time.AfterFunc(answerWithin, cancel)
	return lasting
}

// make makes an object.
func (m *maker) make(ctx context.Context, o schema.Object) error {
	if err := m.use(ctx, o.Schema); err != nil {
		return err
	}
	return m.circumstances(ctx, o, func() error { return m.ddlAsIs(ctx, o, o.Statement()) })
}

// remake makes an object in place of one of its name. A view is replaced by its own statement: others
// may stand on it.
func (m *maker) remake(ctx context.Context, o schema.Object) error {
	if o.Kind != schema.KindView {
		if err := m.drop(ctx, o); err != nil {
			return err
		}
	}
	return m.make(ctx, o)
}

// read reads an object as this server prints it to a session that is in another database: to one in
// the same, a view's tables are named without it.
func (m *maker) read(ctx context.Context, o schema.Object) (schema.Object, error) {
	if err := m.base(ctx); err != nil {
		return o, err
	}
	if o.Kind == schema.KindView {
		if err := m.use(ctx, state.Database); err != nil {
			return o, err
		}
	}
	found, err := schema.ReadObject(ctx, m.s, o)
	return plain(found), err
}

func (m *maker) drop(ctx context.Context, o schema.Object) error {
	return m.ddl(ctx, o, mark+"DROP "+string(o.Kind)+" IF EXISTS "+server.Name(o.Schema, o.Name))
}
