package compat

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"changeover/internal/server"
	"changeover/verify/compat/ddl"
)

func init() {
	maps.Copy(checks, map[string]func(*checker, func(hit)){
		"target-triggers":    targetTriggers,
		"target-events":      targetEvents,
		"binlog":             binlog,
		"not-transactional":  notTransactional,
		"migration-versions": migrationVersions,
		"numbers-behind":     numbersBehind,
		"open-transactions":  openTransactions,
		"target-writable":    targetWritable,
		"target-rows":        targetRows,
		"unique-swap":        uniqueSwap,
		"odd-primary-key":    oddPrimaryKey,
	})
}

func targetTriggers(c *checker, emit func(hit)) {
	if !c.targetSeen() {
		return
	}
	c.refused(c.opts.Target, "trigger")
	c.opts.Target.objects(func(o *Object) {
		emit(hit{by: Live, object: o.String(), evidence: "on " + o.Table, says: "the target has a trigger: it fires for rows that the stream brings, too"})
	}, "trigger")
}

// enabled tells whether an event runs on its server.
func (o *Object) enabled() bool { return strings.EqualFold(o.Status, "ENABLED") }

func targetEvents(c *checker, emit func(hit)) {
	if c.targetSeen() {
		c.refused(c.opts.Target, "event")
		scheduler, _ := c.targetVariable("event_scheduler")
		c.opts.Target.objects(func(o *Object) {
			h := hit{by: Live, object: o.String(), evidence: "event_scheduler=" + scheduler, says: "the target runs an event before it is the writer"}
			if !on(scheduler) {
				h.severity, h.says = Warning, "an event is enabled on the target: it runs as soon as event_scheduler is on"
			}
			if o.enabled() {
				emit(h)
			}
		}, "event")
	}
	c.bothSchedulers(emit)
}

// bothSchedulers finds the source's events that would run on both servers once they are copied.
func (c *checker) bothSchedulers(emit func(hit)) {
	if !c.sourceSeen() {
		return
	}
	has := false
	c.opts.Source.objects(func(o *Object) { has = has || o.enabled() }, "event")
	if !has {
		return
	}
	c.compared(func(name, source, target string) {
		if on(source) && on(target) {
			emit(hit{by: Live, object: name, severity: Warning, evidence: "source ON, target ON", says: "both servers run events: those of the source would run twice, if they are copied as they are"})
		}
	}, "event_scheduler")
}

func binlog(c *checker, emit func(hit)) {
	if !c.sourceSeen() {
		return
	}
	p := c.opts.Source
	if value, ok := p.variable("log_bin"); !ok || !on(value) {
		if !ok {
			c.unchecked("the source's variables could not be read")
			return
		}
		emit(hit{by: Live, object: "log_bin", evidence: shown(value), says: "the source writes no binlog: changes can't be followed"})
		return
	}
	for _, want := range []struct{ name, value, says string }{
		{"binlog_format", "ROW", "changes are logged as statements, which do the same on no other engine for sure"},
		{"binlog_row_image", "FULL", "rows are not logged whole"},
		{"binlog_row_value_options", "", "a change of a JSON value is logged as a difference"},
		{"binlog_order_commits", "ON", "transactions are logged in another order than that in which they are seen"},
	} {
		if value, ok := p.variable(want.name); ok && !strings.EqualFold(value, want.value) {
			emit(hit{by: Live, object: want.name, evidence: want.name + "=" + value, says: want.name + " is " + shown(value) + ": " + want.says})
		}
	}
	if kept, by := p.retention(); by != "" && kept < 24*time.Hour {
		emit(hit{by: Live, object: "binlog retention", severity: Warning, evidence: by, says: "the binlog is kept for less than a day: a longer stop means copying again"})
	}
}

// retention is how long a server keeps its binlog, and by which variable; by is empty if it is kept for good.
func (p *Picture) retention() (kept time.Duration, by string) {
	if v, ok := p.variable("binlog_expire_logs_seconds"); ok && count(v) > 0 {
		return time.Duration(count(v)) * time.Second, "binlog_expire_logs_seconds=" + v
	}
	v, _ := p.variable("expire_logs_days")
	if days, err := strconv.ParseFloat(v, 64); err == nil && days > 0 {
		return time.Duration(days * float64(24*time.Hour)), "expire_logs_days=" + v
	}
	return 0, ""
}

func notTransactional(c *checker, emit func(hit)) {
	if !c.sourceSeen() {
		return
	}
	c.opts.Source.objects(func(o *Object) {
		if o.Engine != "" && !strings.EqualFold(o.Engine, "InnoDB") {
			emit(hit{by: Live, object: o.String(), evidence: "ENGINE=" + o.Engine, says: "a table of " + o.Engine + ": its changes are no part of a transaction, and a fence that waits for transactions does not wait for them"})
		}
	}, "table")
}

// migrated is golang-migrate's table of one database.
type migrated struct {
	version uint64
	dirty   bool
	none    bool // the table is there, and empty
}

// migrationsTable is golang-migrate's, by its default name.
const migrationsTable = "schema_migrations"

// migratedIn asks a server for its versions, by their databases.
func (c *checker) migratedIn(p *Picture, side string) map[string]migrated {
	all := map[string]migrated{}
	p.objects(func(o *Object) {
		if o.Name != migrationsTable || o.facts("version") == nil || o.facts("dirty") == nil {
			return
		}
		if !c.mayAsk(p, side, "the version of "+o.Schema) {
			return
		}
		rows, err := c.ask(p, "SELECT version, dirty FROM "+server.Name(o.Schema, o.Name)+" LIMIT 1")
		switch {
		case err != nil:
			c.unchecked("ask the %s for the version of %s: %v", side, o.Schema, err)
		case len(rows) == 0:
			all[o.Schema] = migrated{none: true}
		default:
			all[o.Schema] = migrated{version: count(rows[0][0].String), dirty: on(rows[0][1].String)}
		}
	}, "table")
	return all
}

func migrationVersions(c *checker, emit func(hit)) {
	if c.opts.Source == nil && c.opts.Target == nil {
		c.unchecked("needs a look at a server")
		return
	}
	sides := map[string]map[string]migrated{}
	for side, p := range map[string]*Picture{"source": c.opts.Source, "target": c.opts.Target} {
		if p != nil {
			sides[side] = c.migratedIn(p, side)
		}
	}
	if len(c.input.Steps) > 0 && len(sides["source"])+len(sides["target"]) == 0 {
		c.unchecked("no server that was looked at says which version it is at (%s)", migrationsTable)
	}
	for _, side := range []string{"source", "target"} {
		for _, database := range slices.Sorted(maps.Keys(sides[side])) {
			c.versionOf(side, database, sides[side][database], emit)
		}
	}
	for _, database := range slices.Sorted(maps.Keys(sides["source"])) {
		a := sides["source"][database]
		if b, ok := sides["target"][database]; ok && a.version != b.version {
			emit(hit{by: Live, object: database + "." + migrationsTable, evidence: fmt.Sprintf("source %d, target %d", a.version, b.version),
				says: "source and target are at different versions"})
		}
	}
}

// versionOf compares where a database is with the folder of migrations, if there is one.
func (c *checker) versionOf(side, database string, m migrated, emit func(hit)) {
	h := hit{by: Live, object: database + "." + migrationsTable, evidence: fmt.Sprintf("%s: version %d", side, m.version)}
	if m.dirty {
		h.says = fmt.Sprintf("version %d stopped half-way on the %s: it is dirty", m.version, side)
		emit(h)
		return
	}
	steps := c.input.Steps
	if len(steps) == 0 {
		return
	}
	pending := slices.DeleteFunc(slices.Clone(steps), func(s Step) bool { return s.Up == nil || s.Version <= m.version })
	h.severity = Warning
	switch last := steps[len(steps)-1].Version; {
	case m.version > last:
		h.says = fmt.Sprintf("the %s is at version %d, and these files end with %d", side, m.version, last)
		emit(h)
	case len(pending) > 0:
		h.says = fmt.Sprintf("the %s has %d versions before it: %d to %d", side, len(pending), pending[0].Version, last)
		emit(h)
	}
}

func numbersBehind(c *checker, emit func(hit)) {
	if !c.bothSeen() {
		return
	}
	next := map[string]uint64{}
	c.opts.Source.objects(func(o *Object) { next[o.String()] = o.AutoIncrement }, "table")
	c.opts.Target.objects(func(o *Object) {
		if source := next[o.String()]; o.AutoIncrement > 0 && o.AutoIncrement < source {
			emit(hit{by: Live, object: o.String(), evidence: "AUTO_INCREMENT",
				says: fmt.Sprintf("the target's next number is %d, the source's is %d", o.AutoIncrement, source),
				sql:  fmt.Sprintf("ALTER TABLE %s AUTO_INCREMENT = %d", server.Name(o.Schema, o.Name), source)})
		}
	}, "table")
}

// openAge is from when on an open transaction is worth a word.
const openAge = time.Minute

func openTransactions(c *checker, emit func(hit)) { c.openFor(openAge, emit) }

// openFor looks for transactions that are older. InnoDB tells when they began by the machine's clock, in its zone.
func (c *checker) openFor(age time.Duration, emit func(hit)) {
	if !c.sourceSeen() || !c.mayAsk(c.opts.Source, "source", "open and prepared transactions") {
		return
	}
	p := c.opts.Source
	const locks = "locks of GET_LOCK"
	for _, q := range []struct{ what, query, says string }{
		{"prepared XA transactions", "XA RECOVER", "a prepared XA transaction holds its locks until somebody ends it, and passes a fence of read_only"},
		{"long transactions", fmt.Sprintf("SELECT 1 FROM information_schema.INNODB_TRX WHERE trx_started < CONVERT_TZ(NOW(), @@SESSION.time_zone, 'SYSTEM') - INTERVAL %d SECOND LIMIT 1000", int(age.Seconds())), "a transaction has been open for more than " + age.String()},
		{locks, userLocks(p.Flavor), "a lock of GET_LOCK is held: it is not on the other server after the cutover"},
	} {
		rows, err := c.ask(p, q.query)
		switch {
		case answer(err) == 1109:
			c.unchecked("%s: MariaDB shows them by its plugin METADATA_LOCK_INFO only, which is not loaded", q.what)
		case err != nil:
			c.unchecked("ask the source for %s: %v", q.what, err)
		case len(rows) > 0:
			emit(hit{by: Live, object: q.what, evidence: q.what, says: fmt.Sprintf("%s (%d now)", q.says, len(rows))})
		case q.what == locks:
			c.showsLocks(p, q.what)
		}
	}
}

// userLocks asks for locks of GET_LOCK. MariaDB shows them by a plugin only.
func userLocks(f server.Flavor) string {
	if f == server.MariaDB {
		return "SELECT 1 FROM information_schema.METADATA_LOCK_INFO WHERE LOCK_TYPE = 'User lock' LIMIT 1000"
	}
	return "SELECT 1 FROM performance_schema.metadata_locks WHERE OBJECT_TYPE = 'USER LEVEL LOCK' AND LOCK_STATUS = 'GRANTED' LIMIT 1000"
}

// lockInstrument is the part of performance_schema by which a MySQL shows locks of GET_LOCK. Where it is off, as it is
// on a MySQL 5.7, or all of performance_schema is, the list is empty, and that says nothing.
const lockInstrument = "wait/lock/metadata/sql/mdl"

// showsLocks tells whether a source that shows no lock of GET_LOCK would; if not, the rule at hand says so.
func (c *checker) showsLocks(p *Picture, what string) {
	if p.Flavor == server.MariaDB { // whose plugin is there or is not
		return
	}
	rows, err := c.ask(p, "SELECT 1 FROM performance_schema.setup_instruments, performance_schema.setup_consumers WHERE setup_instruments.NAME = '"+lockInstrument+"' AND setup_instruments.ENABLED = 'YES' AND setup_consumers.NAME = 'global_instrumentation' AND setup_consumers.ENABLED = 'YES'")
	switch {
	case err != nil:
		c.unchecked("ask the source for %s: %v", what, err)
	case len(rows) == 0:
		c.unchecked("%s: MySQL shows them by performance_schema's instrument %s only, which is off", what, lockInstrument)
	}
}

func targetWritable(c *checker, emit func(hit)) {
	if !c.targetSeen() {
		return
	}
	for _, v := range []struct {
		name     string
		severity Severity
		says     string
	}{
		{"innodb_read_only", Error, "the target is a reader: give the address of the writer"},
		{"super_read_only", Error, "the target refuses all writes"},
		{"read_only", Warning, "the target refuses writes, but for accounts that pass; so it is when a migration shields it"},
	} {
		if value, ok := c.opts.Target.variable(v.name); ok && on(value) {
			emit(hit{by: Live, object: v.name, severity: v.severity, evidence: v.name + "=ON", says: v.says})
			return // each has those behind it with it
		}
	}
}

func targetRows(c *checker, emit func(hit)) {
	if !c.targetSeen() || !c.mayAsk(c.opts.Target, "target", "whether its tables are empty") {
		return
	}
	c.opts.Target.objects(func(o *Object) {
		if o.Name == migrationsTable {
			return
		}
		rows, err := c.ask(c.opts.Target, "SELECT 1 FROM "+server.Name(o.Schema, o.Name)+" LIMIT 1")
		switch {
		case err != nil:
			c.unchecked("whether %s is empty: %s", o, reason(err))
		case len(rows) > 0:
			emit(hit{by: Live, object: o.String(), evidence: "has rows", says: "the target's table is not empty"})
		}
	}, "table")
}

// sourceTables goes through the source's tables whose definitions could be read.
func (c *checker) sourceTables(fn func(*Object, *table)) {
	if !c.sourceSeen() {
		return
	}
	c.opts.Source.objects(func(o *Object) {
		if t := c.tableOf(c.opts.Source, o); t != nil {
			fn(o, t)
		} else {
			c.unchecked("the definition of %s could not be read", o)
		}
	}, "table")
}

func uniqueSwap(c *checker, emit func(hit)) {
	c.sourceTables(func(o *Object, t *table) {
		for _, k := range t.keys {
			if k.is.Kind == ddl.Unique {
				emit(hit{by: Live, object: o.String(), evidence: "UNIQUE " + k.is.Name, says: "two rows of it may swap a unique value: changes must be applied in the binlog's order, or deletes before inserts"})
				return
			}
		}
	})
}

func oddPrimaryKey(c *checker, emit func(hit)) {
	c.sourceTables(func(o *Object, t *table) {
		for _, k := range t.keys {
			if k.is.Kind != ddl.Primary {
				continue
			}
			for _, p := range k.is.Parts {
				f := o.facts(p.Column)
				if f == nil {
					continue
				}
				says := ""
				switch kind := f.kind(); {
				case slices.Contains([]string{"FLOAT", "DOUBLE", "REAL"}, kind):
					says = "a primary key of floating point: equal values may be written otherwise"
				case kind == "TIMESTAMP":
					says = "a primary key of TIMESTAMP: the session's time zone decides what it is compared with"
				case slices.Contains(texts, kind) && !caseSensitive(f.Collation) && c.comparedOtherwise(o, f):
					says = "a primary key of text that the target compares otherwise: ranges of it hold other rows there"
				}
				if says != "" {
					emit(hit{by: Live, object: o.String() + "." + f.Name, evidence: shorten(f.Type + " " + f.Collation), says: says})
				}
			}
		}
	})
}

// comparedOtherwise tells whether the target may compare a column otherwise: by the table that is there, or because it
// has no such collation. By one name both flavors compare alike: of 218 collations all characters up to U+FFFF were
// compared between MySQL 9.7 and MariaDB 10.11. Only Croatian is not the same, in dŽ, lJ and nJ.
func (c *checker) comparedOtherwise(o *Object, f *ColumnFacts) bool {
	if c.opts.Source.Flavor == server.MariaDB && strings.Contains(f.Collation, "_croatian_") {
		return true
	}
	if c.opts.Target != nil {
		for i := range c.opts.Target.Objects {
			there := &c.opts.Target.Objects[i]
			if there.Schema != o.Schema || there.Name != o.Name {
				continue
			}
			if g := there.facts(f.Name); g != nil {
				return utf8Name(g.Collation) != utf8Name(f.Collation)
			}
		}
	}
	return !slices.Contains(c.opts.To.Collations, utf8Name(f.Collation))
}

// caseSensitive tells whether a collation compares bytes.
func caseSensitive(collation string) bool {
	return collation == "binary" || strings.HasSuffix(collation, "_bin")
}
