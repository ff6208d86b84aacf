package compat

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"changeover/internal/accounts"
	"changeover/internal/server"
)

func init() {
	maps.Copy(checks, map[string]func(*checker, func(hit)){
		"broken-views":       brokenViews,
		"database-defaults":  databaseDefaults,
		"invisible-columns":  invisibleColumns,
		"old-times":          oldTimes,
		"session-collations": sessionCollations,
		"definer-missing":    definerMissing,
		"definer-grant":      definerGrant,
		"stored-mode":        storedMode,
		"orphaned-programs":  orphanedPrograms,
		"source-accounts":    sourceAccounts,
		"root-definers":      rootDefiners,
		"lower-case-names":   lowerCaseNames,
		"generated-key":      generatedKey,
		"numbers-used-up":    numbersUsedUp,
		"page-size":          pageSize,
	})
}

// brokenViews asks for no row of each view: a server says then whether the view works.
func brokenViews(c *checker, emit func(hit)) {
	if !c.sourceSeen() || !c.mayAsk(c.opts.Source, "source", "whether views work") {
		return
	}
	c.opts.Source.objects(func(o *Object) {
		_, err := c.ask(c.opts.Source, "SELECT 1 FROM "+server.Name(o.Schema, o.Name)+" LIMIT 0")
		switch n := answer(err); {
		case n == 1356 || n == 1449: // its tables, columns or functions; its definer
			emit(hit{by: Live, object: o.String(), evidence: fmt.Sprintf("the source answers %d", n)})
		case err != nil:
			c.unchecked("whether %s works: %s", o, reason(err))
		}
	}, "view")
}

// eachFact goes through the columns of the source's tables.
func (c *checker) eachFact(fn func(*Object, *ColumnFacts)) {
	if !c.sourceSeen() {
		return
	}
	c.opts.Source.objects(func(o *Object) {
		for i := range o.Columns {
			fn(o, &o.Columns[i])
		}
	}, "table")
}

func invisibleColumns(c *checker, emit func(hit)) {
	c.eachFact(func(o *Object, f *ColumnFacts) {
		if strings.Contains(strings.ToUpper(f.Extra), "INVISIBLE") {
			emit(hit{by: Live, object: o.String() + "." + f.Name, evidence: f.Extra})
		}
	})
}

func oldTimes(c *checker, emit func(hit)) {
	c.eachFact(func(o *Object, f *ColumnFacts) {
		if strings.Contains(f.Type, "/* mariadb-5.3 */") || strings.Contains(f.Type, "/* 5.5 binary format */") {
			emit(hit{by: Live, object: o.String() + "." + f.Name, evidence: f.Type, sql: "ALTER TABLE " + server.Name(o.Schema, o.Name) + " FORCE"})
		}
	})
}

func databaseDefaults(c *checker, emit func(hit)) {
	if !c.bothSeen() {
		return
	}
	for _, a := range c.opts.Source.Databases {
		i := slices.IndexFunc(c.opts.Target.Databases, func(b Database) bool { return a.Name == b.Name })
		if i < 0 {
			continue
		}
		from, to := utf8Name(strings.ToLower(a.Collation)), utf8Name(strings.ToLower(c.opts.Target.Databases[i].Collation))
		if from != to {
			emit(hit{by: Live, object: a.Name, evidence: "source " + from + ", target " + to,
				says: "the database's default collation is " + to + " on the target: new tables, and parameters of routines, get it"})
		}
	}
}

func sessionCollations(c *checker, emit func(hit)) {
	if !c.sourceSeen() {
		return
	}
	if len(c.opts.To.Collations) == 0 {
		c.unchecked("the profile %s does not say which collations the target has", c.opts.To.Name)
	}
	c.opts.Source.objects(func(o *Object) {
		h := hit{by: Live, object: o.String()}
		for _, collation := range []string{o.Connection, o.DatabaseCollation} {
			if collation == "" || len(c.opts.To.Collations) == 0 || slices.Contains(c.opts.To.Collations, utf8Name(strings.ToLower(collation))) {
				continue
			}
			h.evidence, h.says = "made with "+collation, "it was made with the collation "+collation+", which the target has not: a dump that sets it is refused"
			h.severity = Error
			emit(h)
			return
		}
		if client := utf8Name(strings.ToLower(o.Charset)); client != "" && client != "utf8mb4" && client != "binary" {
			if client == "utf8mb3" { // as most clients were for years
				h.severity = Info
			}
			h.evidence, h.says = "made with "+client, "it was made by a client of "+client+": characters that this has not were lost then, and its texts compare by "+o.Connection
			emit(h)
		}
	}, programs...)
}

// foldHost writes an account's host in small letters: servers go by the letters of a user's name, and not by those of a host's.
func foldHost(account string) string {
	at := strings.LastIndexByte(account, '@') + 1 // a user's name may have one
	return account[:at] + strings.ToLower(account[at:])
}

func definerMissing(c *checker, emit func(hit)) {
	if c.opts.Source == nil || !c.targetSeen() {
		return // the text of statements is all there is
	}
	p := c.opts.Target
	if c.refused(p, "accounts") || len(p.Accounts) == 0 {
		return
	}
	has := map[string]bool{}
	for _, a := range p.Accounts {
		has[foldHost(a.User+"@"+a.Host)] = true
	}
	c.opts.Source.objects(func(o *Object) {
		if o.Definer == "" || has[foldHost(o.Definer)] {
			return
		}
		h := hit{by: Live, object: o.String(), severity: Error, evidence: "DEFINER " + o.Definer, says: "the target has no account " + o.Definer}
		if strings.EqualFold(o.Security, "INVOKER") {
			h.severity, h.says = Info, h.says+"; it is not needed, since the invoker's rights count"
		}
		emit(h)
	}, programs...)
}

// definerGrant tells whether who looked at the target may make what others define.
func definerGrant(c *checker, emit func(hit)) {
	if c.opts.Source == nil || c.opts.Target == nil || len(c.opts.Target.Grants) == 0 {
		return // definerMissing says what was not looked at
	}
	defined := false
	c.opts.Source.objects(func(o *Object) { defined = defined || o.Definer != "" }, programs...)
	grants := c.opts.Target.Grants
	may := accounts.ParseGrants(grants).Global("SUPER", "SET_USER_ID", "SET_ANY_DEFINER")
	if !defined || may {
		return
	}
	if slices.ContainsFunc(grants, func(g string) bool { return !strings.Contains(g, " ON ") }) {
		c.unchecked("the target's account may have SET_ANY_DEFINER by a role")
		return
	}
	emit(hit{by: Live, object: "the target's account", severity: Error, evidence: "no SET_ANY_DEFINER",
		says: "who makes the programs on the target may not name another definer (1227): it lacks SET_ANY_DEFINER (SET_USER_ID before 8.2)", remedy: "GRANT SET_ANY_DEFINER, or leave DEFINER out."})
}

func storedMode(c *checker, emit func(hit)) {
	if !c.sourceSeen() {
		return
	}
	c.opts.Source.objects(func(o *Object) {
		for _, m := range modes(o.SQLMode) {
			h := hit{by: Live, object: o.String(), evidence: "made with sql_mode " + m}
			switch {
			case slices.Contains(mariaModes, m):
				h.severity, h.says = Error, "it was made with sql_mode "+m+", which MySQL 8 has not (1231)"
			case slices.Contains(droppedModes, m):
				h.severity, h.says = Info, "it was made with sql_mode "+m+", which MySQL 8 has not: a dump that sets it is refused (1231), and without it the program is the same"
			case slices.Contains(readingModes, m):
				h.says = "it was made with sql_mode " + m + ": made again without, it is read otherwise"
			default:
				continue
			}
			emit(h)
		}
	}, "procedure", "function", "trigger", "event")
}

// orphanedPrograms are of databases that there are no more: MariaDB keeps programs in tables, where they may stay.
func orphanedPrograms(c *checker, emit func(hit)) {
	if !c.sourceSeen() || !c.mayAsk(c.opts.Source, "source", "programs of databases that are gone") {
		return
	}
	for _, q := range []string{
		"SELECT LOWER(type), db, name FROM mysql.proc WHERE db NOT IN (SELECT SCHEMA_NAME FROM information_schema.SCHEMATA) ORDER BY 2, 3 LIMIT 1000",
		"SELECT 'event', db, name FROM mysql.event WHERE db NOT IN (SELECT SCHEMA_NAME FROM information_schema.SCHEMATA) ORDER BY 2, 3 LIMIT 1000",
	} {
		rows, err := c.ask(c.opts.Source, q)
		if err != nil {
			c.unchecked("ask the source for programs of databases that are gone: %v", err)
			return
		}
		for _, r := range rows {
			emit(hit{by: Live, object: r[1].String + "." + r[2].String, evidence: r[0].String, says: "the database of the " + r[0].String + " is gone"})
		}
	}
}

// atMachine tells whether an account comes from the server's own machine only: an administrator's, which a managed
// target has no use for.
func atMachine(host string) bool {
	return slices.Contains([]string{"localhost", "127.0.0.1", "::1"}, host)
}

// plugins are ways to log in that MySQL 8 has; the values are the first version without it, as far as there is one.
var plugins = map[string]string{"caching_sha2_password": "", "sha256_password": "", "mysql_native_password": "9.0", "AWSAuthenticationPlugin": ""}

// notOnAurora are privileges that Aurora gives nobody.
var notOnAurora = []string{"SUPER", "FILE", "SHUTDOWN", "CREATE TABLESPACE"}

func sourceAccounts(c *checker, emit func(hit)) {
	if !c.sourceSeen() || c.refused(c.opts.Source, "accounts") {
		return
	}
	for _, a := range c.opts.Source.Accounts {
		if accounts.System(a.User) || a.Locked || a.Host == "" { // a role of MariaDB has no host
			continue
		}
		h := hit{by: Live, object: a.User + "@" + a.Host, evidence: a.Plugin}
		if atMachine(a.Host) {
			h.severity = Info
		}
		until, ok := plugins[a.Plugin]
		switch {
		case !ok && a.Plugin != "":
			h.says = "the target has no " + a.Plugin + ": the account can't be made there as it is"
			emit(h)
		case until != "" && c.opts.To.meets(">="+until):
			h.says = "the target has " + a.Plugin + " no more: the account needs another password's hash there"
			emit(h)
		}
		if ok && a.NoPassword {
			h.evidence, h.says = "no password", "the account has no password"
			emit(h)
		}
	}
	c.grantsOnAurora(emit)
}

func (c *checker) grantsOnAurora(emit func(hit)) {
	if !c.opts.To.Aurora {
		return
	}
	set, ok := c.accountsOfSource("what accounts may do")
	if !ok {
		return
	}
	for _, a := range set.All() {
		if accounts.System(a.User) || a.Locked || a.Role {
			continue
		}
		if held := slices.DeleteFunc(slices.Clone(notOnAurora), func(p string) bool { return a.Holds(p) == "" }); len(held) > 0 {
			h := hit{by: Live, object: a.String(), evidence: strings.Join(held, ", "), says: "the account has what Aurora gives nobody: " + strings.Join(held, ", ")}
			if atMachine(a.Host) {
				h.severity = Info
			}
			emit(h)
		}
	}
}

func rootDefiners(c *checker, emit func(hit)) {
	if !c.sourceSeen() {
		return
	}
	of := map[string]int{}
	c.opts.Source.objects(func(o *Object) {
		user, _, _ := strings.Cut(o.Definer, "@")
		definers := o.Kind == "trigger" || o.Kind == "event" || strings.EqualFold(o.Security, "DEFINER")
		if definers && slices.Contains([]string{"root", "admin", "administrator"}, strings.ToLower(user)) {
			of[o.Definer]++
		}
	}, programs...)
	for _, d := range slices.Sorted(maps.Keys(of)) {
		emit(hit{by: Live, object: d, evidence: "DEFINER " + d, says: fmt.Sprintf("%d views and programs do what %s may, whoever uses them", of[d], d)})
	}
}

func lowerCaseNames(c *checker, emit func(hit)) {
	if c.opts.Source == nil {
		return // the text of statements is all there is
	}
	c.compared(func(name, source, target string) {
		if source == target {
			return
		}
		h := variableHit(name, source, target, "statements that write a name in other letters fail on one of the servers")
		if mixed := c.mixedNames(); target == "1" && mixed != "" {
			h.says = name + " differs: the target turns names into small letters, such as " + mixed
		} else {
			h.severity = Warning
		}
		emit(h)
	}, "lower_case_table_names")
}

// mixedNames is the first name of the source's tables and databases that has a capital letter.
func (c *checker) mixedNames() (mixed string) {
	c.opts.Source.objects(func(o *Object) {
		if name := o.String(); mixed == "" && name != strings.ToLower(name) {
			mixed = name
		}
	}, "table", "view")
	return mixed
}

func generatedKey(c *checker, emit func(hit)) {
	if !c.sourceSeen() {
		return
	}
	if shown, ok := c.opts.Source.variable("show_gipk_in_create_table_and_information_schema"); !ok || on(shown) {
		return
	}
	c.opts.Source.objects(func(o *Object) {
		if f := o.facts("my_row_id"); f != nil && strings.Contains(strings.ToLower(f.Extra), "invisible") {
			emit(hit{by: Live, object: o.String() + ".my_row_id", evidence: "show_gipk_in_create_table_and_information_schema=OFF"})
		}
	}, "table")
}

// wholeBytes are the sizes of whole numbers.
var wholeBytes = map[string]int{"TINYINT": 1, "SMALLINT": 2, "MEDIUMINT": 3, "INT": 4, "BIGINT": 8}

func numbersUsedUp(c *checker, emit func(hit)) {
	if !c.sourceSeen() {
		return
	}
	c.opts.Source.objects(func(o *Object) {
		for i := range o.Columns {
			f := &o.Columns[i]
			bytes := wholeBytes[f.kind()]
			if bytes == 0 || o.AutoIncrement == 0 || !strings.Contains(strings.ToLower(f.Extra), "auto_increment") {
				continue
			}
			bits := 8*bytes - 1
			if strings.Contains(f.Type, "unsigned") {
				bits++
			}
			last := ^uint64(0) >> (64 - bits)
			used := float64(o.AutoIncrement-1) / float64(last)
			h := hit{by: Live, object: o.String() + "." + f.Name, evidence: f.Type, says: fmt.Sprintf("%.0f %% of the numbers of a %s are used up", 100*used, f.Type)}
			if used >= 0.95 {
				h.severity = Error
			}
			if used >= 0.8 {
				emit(h)
			}
		}
	}, "table")
}

func pageSize(c *checker, emit func(hit)) {
	if !c.sourceSeen() {
		return
	}
	value, ok := c.opts.Source.variable("innodb_page_size")
	switch size := count(value); {
	case !ok:
		c.unchecked("the source's innodb_page_size is not known")
	case size > 16384:
		emit(hit{by: Live, object: "innodb_page_size", evidence: "innodb_page_size=" + value})
	case size < 16384:
		emit(hit{by: Live, object: "innodb_page_size", severity: Info, evidence: "innodb_page_size=" + value, says: "the source's pages are smaller than the target's: what fits them fits there"})
	}
}

// accountsOfSource are the source's accounts and what they may do. It is asked once, also where it refuses.
func (c *checker) accountsOfSource(what string) (*accounts.Set, bool) {
	p := c.opts.Source
	if !c.mayAsk(p, "source", what) {
		return nil, false
	}
	if c.asking.accounts == nil {
		c.asking.accounts = sync.OnceValues(func() (set *accounts.Set, err error) {
			err = c.within(p, func(ctx context.Context, q server.Queryer) error {
				set, err = accounts.Read(ctx, q, p.version())
				return err
			})
			return set, err
		})
	}
	set, err := c.asking.accounts()
	if err != nil {
		c.unchecked("%s: %v", what, err)
	}
	return set, err == nil
}
