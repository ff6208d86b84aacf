package compat

import (
	"errors"
	"slices"

	"github.com/go-sql-driver/mysql"

	"changeover/internal/accounts"
)

// noDatabase is a server's answer to the name of a database that isn't there.
const noDatabase = 1049

// nothingThere are a server's answers to the name of an object that isn't there.
var nothingThere = []uint16{noDatabase,
	1146, // no table
	1305, // no routine
	1360, // no trigger
	1539, // no event
	1347, // another kind of object by now
}

// over are a server's answers that are about the session, and not about what it was asked.
var over = []uint16{1040, 1053, 1203, 1226, 1317, 1927, 1969, 3024, 3169, 4031}

// answer is the number of a server's error; 0 if err is something else, such as a lost connection.
func answer(err error) uint16 {
	var e *mysql.MySQLError
	if errors.As(err, &e) {
		return e.Number
	}
	return 0
}

// answered tells whether err is an answer to what was asked.
func answered(err error) bool {
	n := answer(err)
	return n != 0 && !slices.Contains(over, n)
}

// refused makes a note of a server's answer that something can't be looked at. Any other error it gives back.
func (l *look) refused(err error, what string) error {
	if err == nil || !answered(err) {
		return err
	}
	l.refuse(what, err.Error())
	return nil
}

// refusedBut is refused, but for answers that are none.
func (l *look) refusedBut(err error, what string, but ...uint16) error {
	if slices.Contains(but, answer(err)) {
		return nil
	}
	return l.refused(err, what)
}

func (l *look) refuse(what, reason string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.Refused = append(l.Refused, Refusal{what, reason})
}

// unseen makes a note of what a server would leave out of its lists without a word, as the account holds too little.
func (l *look) unseen(all bool) {
	g := accounts.ParseGrants(l.Grants)
	if all && !g.Global("SHOW DATABASES", "SELECT", accounts.AllStatic) {
		l.refuse("databases", "those on which the account holds nothing are not listed: it lacks SHOW DATABASES")
	}
	for _, d := range l.Databases {
		for _, s := range sights {
			if !slices.ContainsFunc(s.by, func(privilege string) bool { return g.On(d.Name, privilege) }) && !g.Global(s.everywhere...) {
				l.refuse(s.what+" of "+d.Name, s.lack)
			}
		}
	}
}

// sights are what it takes to see all objects of a kind in a database: one of by there, or one of everywhere.
var sights = []struct {
	what           string
	by, everywhere []string
	lack           string
}{
	{"tables", []string{"SELECT", "INSERT", "UPDATE", "DELETE", "ALTER", "INDEX", "DROP", "CREATE", "REFERENCES", "TRIGGER", "SHOW VIEW"}, nil,
		"only those are listed on which the account holds something: it lacks SELECT there"},
	{"routines", []string{"EXECUTE", "ALTER ROUTINE", "CREATE ROUTINE"}, []string{"SELECT", "SHOW_ROUTINE"},
		"only those are listed on which the account holds something: it lacks EXECUTE there"},
	{"triggers", []string{"TRIGGER"}, nil, "only those of tables are listed on which the account holds TRIGGER"},
	{"events", []string{"EVENT"}, nil, "none is listed: the account lacks EVENT there"},
}

// unseen says what servers did not let anybody look at: that is not clean.
func (c *checker) unseen() {
	for _, s := range []struct {
		name    string
		picture *Picture
	}{{"source", c.opts.Source}, {"target", c.opts.Target}} {
		if s.picture == nil {
			continue
		}
		for _, r := range s.picture.Refused {
			c.report.Unchecked = append(c.report.Unchecked, Unchecked{Object: r.What, Reason: "the " + s.name + ": " + r.Reason})
		}
	}
}
