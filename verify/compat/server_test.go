package compat

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/go-sql-driver/mysql"

	"changeover/internal/sandbox"
	"changeover/internal/sandbox/sandboxtest"
	"changeover/verify/compat/ddl"
)

func TestMain(m *testing.M) { sandboxtest.Main(m) }

// What a rule says that a MySQL answers it does answer, to each statement of the fixtures that the rule means.
func TestAServerSaysWhatTheRulesSay(t *testing.T) {
	server := sandboxtest.Target(t)
	db := server.DB(t, sandbox.Root)
	confirmed := map[string]bool{}
	for _, f := range Families() {
		if !slices.ContainsFunc(f.Rules, func(r Rule) bool { return r.Confirmed == "mysql" }) {
			continue // such as AUR, whose fixtures do to a whole server what they say
		}
		name := filepath.Join("testdata", strings.ToLower(f.Name)+".sql")
		sql, err := os.ReadFile(name)
		if err != nil {
			continue // CUT and MIG are about files
		}
		scratch := server.Database(t)
		conn, err := db.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, q := range []string{"USE `" + scratch + "`", "SET SESSION lock_wait_timeout = 5"} {
			if _, err := conn.ExecContext(t.Context(), q); err != nil {
				t.Fatal(err)
			}
		}
		in := text(name, string(sql))
		r := check(t, in)
		for _, st := range ddl.Read(in.Files[0], ddl.MySQL, false) {
			var may []int
			var rules []string
			for _, x := range r.Findings {
				if start := offset(in.Files[0].Text, x.Location); start >= st.Start && start < st.End {
					rule, _ := RuleByID(x.Rule)
					if rules = append(rules, x.Rule); rule.Confirmed == "mysql" {
						may = append(may, rule.Errno...)
					}
				}
			}
			_, err := conn.ExecContext(t.Context(), st.File.Text[st.Start:st.End])
			var answer *mysql.MySQLError
			errors.As(err, &answer)
			switch {
			case len(may) > 0 && (answer == nil || !slices.Contains(may, int(answer.Number))):
				t.Errorf("%v: %s\n\tis answered with %v, not with one of %v", rules, shorten(st.File.Text[st.Start:st.End]), err, may)
			case answer != nil:
				for _, id := range rules {
					if rule, _ := RuleByID(id); slices.Contains(rule.Errno, int(answer.Number)) {
						confirmed[id] = true
					}
				}
			}
		}
		_ = conn.Close()
	}
	for _, f := range Families() {
		for _, rule := range f.Rules {
			if rule.Confirmed == "mysql" && !confirmed[rule.ID] {
				t.Errorf("%s says that a server confirms it, and none of its fixtures is answered with %v", rule.ID, rule.Errno)
			}
		}
	}
	t.Log(fmt.Sprint(len(confirmed), " rules are confirmed"))
}

// offset is a place's byte in a text.
func offset(text string, l *Location) int {
	if l == nil {
		return -1
	}
	at := 0
	for range l.Line - 1 {
		at += strings.IndexByte(text[at:], '\n') + 1
	}
	column := l.Column
	for n := range text[at:] {
		if column--; column == 0 {
			return at + n
		}
	}
	return len(text)
}
