package compat

import (
	"maps"
	"strings"

	"changeover/internal/accounts"
	"changeover/verify/compat/ddl"
)

func init() {
	maps.Copy(checks, map[string]func(*checker, func(hit)){
		"passing-accounts": passingAccounts,
		"passing-programs": passingPrograms,
		"channels":         channels,
	})
}

// passing asks the source who may write while read_only is on, and by what. ok is false if that can't be had; the
// rule at hand says why then.
func (c *checker) passing() (how map[string]string, set *accounts.Set, ok bool) {
	if !c.sourceSeen() {
		return nil, nil, false
	}
	set, ok = c.accountsOfSource("who passes read_only")
	if !ok {
		return nil, nil, false
	}
	return set.Holders(accounts.Passing(c.opts.Source.version())...), set, true
}

func passingAccounts(c *checker, emit func(hit)) {
	how, set, ok := c.passing()
	if !ok {
		return
	}
	self := ""
	if rows, err := c.ask(c.opts.Source, "SELECT CURRENT_USER()"); err == nil && len(rows) > 0 {
		self = rows[0][0].String
	}
	for _, a := range set.All() {
		name := a.String()
		if how[name] == "" || a.Role || accounts.System(a.User) || name == self {
			continue
		}
		h := hit{by: Live, object: name, evidence: how[name], says: name + " writes while read_only is on (" + how[name] + ")"}
		switch {
		case a.Locked:
			continue
		case atMachine(a.Host):
			h.severity = Info
		}
		emit(h)
	}
}

// writing are words of statements that may change rows. A false alarm is a column of that name.
var writing = []string{"INSERT", "UPDATE", "DELETE", "REPLACE", "TRUNCATE", "ALTER", "CREATE", "DROP", "RENAME", "LOAD", "CALL", "EXECUTE", "GRANT", "REVOKE"}

// writes tells whether a program may change rows; one whose text may not be seen may.
func (o *Object) writes() bool {
	for _, st := range ddl.Read(ddl.NewFile(o.String(), o.SQL), ddl.MariaDB, false) {
		for i := max(st.Body, 1); i < len(st.Tokens); i++ {
			call := i+1 < len(st.Tokens) && st.Tokens[i+1].Is("(") && st.Tokens[i].Is("INSERT", "REPLACE") // functions of strings
			if st.Tokens[i].Is(writing...) && !call && !(st.Tokens[i].Is("UPDATE") && st.Tokens[i-1].Is("FOR")) {
				return true
			}
		}
	}
	return o.SQL == ""
}

// passingPrograms finds what writes with its definer's rights. What a function, a trigger or a view writes belongs to
// the statement that uses it, and is refused with that.
func passingPrograms(c *checker, emit func(hit)) {
	how, _, ok := c.passing()
	if !ok {
		return
	}
	c.refused(c.opts.Source, "procedure", "event", "routine")
	c.opts.Source.objects(func(o *Object) {
		by := how[o.Definer]
		if by == "" || !o.writes() {
			return
		}
		h := hit{by: Live, object: o.String(), evidence: "DEFINER " + o.Definer}
		switch {
		case o.Kind == "event" && o.enabled():
			h.says = "an event that runs as " + o.Definer + ", who passes (" + by + "): one that has begun writes on while read_only is on"
		case o.Kind == "procedure" && strings.EqualFold(o.Security, "DEFINER"):
			h.says = "a procedure that runs as " + o.Definer + ", who passes (" + by + "): whoever calls it writes while read_only is on"
		default:
			return
		}
		emit(h)
	}, "procedure", "event")
}

func channels(c *checker, emit func(hit)) {
	if !c.sourceSeen() || !c.mayAsk(c.opts.Source, "source", "its replication channels") {
		return
	}
	p := c.opts.Source
	query := "SHOW REPLICA STATUS"
	switch v := p.version(); {
	case p.Flavor == "mariadb":
		query = "SHOW ALL SLAVES STATUS"
	case !v.AtLeast(8, 0, 22):
		query = "SHOW SLAVE STATUS"
	}
	rows, err := c.ask(p, query)
	switch {
	case err != nil:
		c.unchecked("ask the source for its replication channels: %v", err)
	case len(rows) > 1:
		emit(hit{by: Live, object: "replication channels", evidence: "more than one channel", says: "the source is a replica of several servers: Aurora takes one channel, and what arrives by them passes any fence"})
	case len(rows) == 1:
		emit(hit{by: Live, object: "replication channels", severity: Info, evidence: "one channel", says: "the source is a replica: what arrives by replication passes read_only, so the cutover is refused while the channel runs (CO-2017)"})
	}
}
