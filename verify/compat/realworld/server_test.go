package realworld

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/go-sql-driver/mysql"

	"changeover/internal/sandbox"
	"changeover/internal/sandbox/sandboxtest"
	"changeover/verify/compat/ddl"
)

// asked is a statement and what the server answered to it.
type asked struct {
	st       ddl.Statement
	skipped  bool // what it would do goes beyond its database
	errno    int  // 0: it was taken
	message  string
	warnings []int
	denied   bool // Aurora's account may not; only asked of settings
	follows  bool // it was refused for what had been refused before: a table that is not there, or its zero dates
}

// session is a connection in a database of its own.
type session struct {
	t        *testing.T
	database string
	conn     *sql.Conn
	// admin has the privileges that Aurora gives, and the same settings; nil if the server is not its stand-in.
	admin   *sql.Conn
	refused map[string]bool // names of what does not exist, since it was refused
	lenient map[string]bool // names of tables that exist, although they were refused
}

func newSession(t *testing.T, server *sandboxtest.Server) *session {
	t.Helper()
	database := server.Database(t)
	connect := func(a sandbox.Account) *sql.Conn {
		conn, err := server.DBIn(t, a, database).Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		return conn
	}
	s := &session{t: t, database: database, conn: connect(sandbox.Root), refused: map[string]bool{}, lenient: map[string]bool{}}
	if server.Role == sandbox.Target {
		s.admin = connect(sandbox.Admin)
	}
	s.set("SET SESSION lock_wait_timeout = 5")
	return s
}

// exec gives what the server says against a text, nil if nothing; anything else that goes wrong ends the test.
func exec(t *testing.T, conn *sql.Conn, text string) *mysql.MySQLError {
	t.Helper()
	_, err := conn.ExecContext(t.Context(), text)
	var answer *mysql.MySQLError
	if err != nil && !errors.As(err, &answer) {
		t.Fatalf("%s: %v", text, err)
	}
	return answer
}

func (s *session) exec(text string) *mysql.MySQLError {
	s.t.Helper()
	return exec(s.t, s.conn, text)
}

// set changes a setting of the session, which the test needs.
func (s *session) set(text string) {
	s.t.Helper()
	if answer := s.exec(text); answer != nil {
		s.t.Fatalf("%s: %v", text, answer)
	}
}

// beyond tells whether a statement has effects outside of its session and database, or is no server's.
func beyond(st *ddl.Statement) bool {
	first := st.Tokens[0]
	return first.Is("USE", "SOURCE", "FLUSH") || st.Kind == ddl.Account || st.Kind == ddl.CreateDatabase || st.Kind == ddl.AlterDatabase ||
		first.Is("DROP") && len(st.Tokens) > 1 && st.Tokens[1].Is("DATABASE", "SCHEMA") ||
		st.Kind == ddl.Set && slices.ContainsFunc(st.Tokens, func(t ddl.Token) bool {
			return t.Is("GLOBAL", "PERSIST") || strings.HasPrefix(strings.ToLower(t.Text), "@@global.")
		})
}

// ask runs a statement as a client would send it. A table that is refused is made nevertheless, if the server
// makes it outside of its strict mode, so that what follows has it.
func (s *session) ask(st ddl.Statement, commands []ddl.Comment) asked {
	s.t.Helper()
	a := asked{st: st}
	text := sent(&st, commands)
	if s.admin != nil && st.Kind == ddl.Set {
		a.denied = denied(exec(s.t, s.admin, text))
	}
	if a.skipped = beyond(&st); a.skipped {
		return a
	}
	answer := s.exec(text)
	if answer == nil {
		a.warnings = s.warned()
		return a
	}
	a.errno, a.message = int(answer.Number), answer.Message
	switch a.errno {
	case 1146, 1305, 1824, 1360: // no such table, routine, parent, trigger
		for name := range s.refused {
			a.follows = a.follows || strings.Contains(strings.ToLower(a.message), name+"'")
		}
	}
	name := strings.ToLower(st.Name)
	a.follows = a.follows || s.lenient[name] && (a.errno == 1067 || a.errno == 1292)
	switch {
	case st.Kind == ddl.CreateTable && s.relaxed(text) == nil:
		s.lenient[name] = true
	case st.Kind == ddl.CreateTable, st.Kind == ddl.CreateRoutine:
		s.refused[name] = true
	}
	return a
}

// denied tells whether an account lacks a privilege.
func denied(answer *mysql.MySQLError) bool { return answer != nil && answer.Number == 1227 }

// sent is a statement's text without what its client takes out.
func sent(st *ddl.Statement, commands []ddl.Comment) string {
	var b strings.Builder
	at := st.Start
	for _, c := range commands {
		if at <= c.Start && c.End <= st.End {
			b.WriteString(st.File.Text[at:c.Start])
			at = c.End
		}
	}
	b.WriteString(st.File.Text[at:st.End])
	return b.String()
}

func (s *session) relaxed(text string) *mysql.MySQLError {
	s.t.Helper()
	s.set("SET @strict = @@sql_mode")
	s.set("SET sql_mode = ''")
	answer := s.exec(text)
	s.set("SET sql_mode = @strict")
	return answer
}

func (s *session) warned() (codes []int) {
	s.t.Helper()
	for _, row := range s.rows("SHOW WARNINGS") {
		var code int
		_, _ = fmt.Sscan(row[1], &code)
		codes = append(codes, code)
	}
	return codes
}

// rows are the rows of a query, NULL as "".
func (s *session) rows(query string, args ...any) (all [][]string) {
	s.t.Helper()
	rows, err := s.conn.QueryContext(s.t.Context(), query, args...)
	if err != nil {
		s.t.Fatalf("%s: %v", query, err)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		s.t.Fatal(err)
	}
	for rows.Next() {
		values := make([]sql.NullString, len(columns))
		into := make([]any, len(columns))
		for i := range values {
			into[i] = &values[i]
		}
		if err := rows.Scan(into...); err != nil {
			s.t.Fatal(err)
		}
		row := make([]string, len(columns))
		for i := range values {
			row[i] = values[i].String
		}
		all = append(all, row)
	}
	if err := rows.Err(); err != nil && !errors.Is(err, context.Canceled) {
		s.t.Fatal(err)
	}
	return all
}
