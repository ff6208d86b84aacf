package cdc

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"

	"changeover/cdc/apply"
	"changeover/cdc/row"
	"changeover/cdc/schedule"
	"changeover/cdc/schema"
	"changeover/cdc/source"
	"changeover/cdc/state"
	"changeover/internal/fault"
	"changeover/internal/server"
)

// ddlRunner runs the stream's DDL on the target, each statement once.
//
// DDL is not transactional, so an intent is committed first: the statement, and a fingerprint of
// the tables that it names as they were before. After a crash the fingerprint tells: the same, the
// statement has not run; another, it has. Since the old session may still be running it, whoever
// asks holds a lock that the old session holds too.
//
//	drained ─ intent ─→ the statement ─→ what it made of each table ─→ intent becomes `applied`
//	             └── crash: catalog.load settles it (settle), before anything is copied or streamed
type ddlRunner struct {
	r *Runner
	// decided is what an operator said of statements that could not be carried.
	decided map[string]state.Decision
	dialect *schema.Target // what the target can do
}

func newDDLRunner(r *Runner) *ddlRunner { return &ddlRunner{r: r} }

// loadDecisions reads what was decided while nobody ran.
func (d *ddlRunner) loadDecisions(ctx context.Context) error {
	all, err := d.r.store.Decisions(ctx)
	if err != nil {
		return err
	}
	d.decided = map[string]state.Decision{}
	for _, one := range all {
		if one.Action != state.Undecided {
			d.decided[one.ID] = one
		}
	}
	return nil
}

// pass takes a statement of the stream: runs it, or leaves it out, or refuses it. What was refused
// is written down, and with it what an operator may decide.
func (d *ddlRunner) pass(ctx context.Context, f *feeder, tx *source.Tx) error {
	decided, ok := d.decided[tx.ID]
	err := d.passAs(ctx, f, tx, decided)
	switch {
	case fault.Is(err, fault.StreamDDL) && ctx.Err() == nil:
		st := tx.Statement
		if err := d.r.store.Refuse(ctx, state.Decision{ID: tx.ID, Statement: st.SQL, Schema: st.Schema, Reason: err.Error()}); err != nil {
			return err
		}
	case err == nil && ok:
		return d.r.store.ForgetDecision(ctx, tx.ID)
	}
	return err
}

// passAs is pass under a decision, if there is one.
func (d *ddlRunner) passAs(ctx context.Context, f *feeder, tx *source.Tx, decided state.Decision) error {
	st, c := tx.Statement, d.r.catalog
	class := d.r.classify(d.names(tx), st.Schema)
	run, err := false, error(nil)
	switch decided.Action {
	case state.Skip:
		d.r.log.Warn().Str("id", tx.ID).Str("statement", brief(st.SQL)).Msg("a DDL is left out, as decided")
	case state.RunOther:
		run = true
		d.r.log.Warn().Str("id", tx.ID).Str("statement", brief(st.SQL)).Str("instead", brief(decided.Other)).Msg("another DDL runs in the place of the source's, as decided")
	default:
		run, err = d.concerns(class, st)
	}
	if err != nil {
		return err
	}
	if !run {
		if tx.Large {
			if err := drop(ctx, tx); err != nil {
				return err
			}
		}
		if decided.Action == state.Skip {
			// Its id counts as applied before the decision is forgotten: else a crash before the position is
			// saved would bring the statement again, and nobody would know what was decided.
			return d.r.store.FinishIntent(ctx, tx.ID, f.seq, ddlWorker)
		}
		return nil
	}
	d.r.stats.ddl.Add(1)
	d.r.log.Info().Str("id", tx.ID).Str("statement", brief(st.SQL)).Msg("DDL")
	touches := c.named(class)
	if err := d.r.flow.Drain(ctx, func(n schedule.Name) bool { return touches[n] }); err != nil {
		return err
	}
	defer f.open()
	// A transaction of which nothing was kept is in no record, and after the statement its rows don't
	// fit the table any more: none may be read again.
	if err := d.r.store.SavePosition(ctx, d.r.appliedPosition()); err != nil {
		return err
	}
	if err := d.r.opts.Companion.Checkpoint(ctx); err != nil {
		return err
	}
	// The statement may name an index that the source has and the target has not yet.
	var release func()
	err = d.r.patiently(ctx, ddlWorker, func() (err error) {
		release, err = c.holdIndexes(ctx, touches, st.SQL)
		return err
	})
	if err != nil {
		return err
	}
	defer release()
	if !c.settled[tx.ID] {
		before := c.past(touches)
		if err := d.once(ctx, tx, class, before); err != nil {
			return err
		}
		f.forget()
		var made []outcome
		err := d.r.patiently(ctx, ddlWorker, func() (err error) {
			made, err = c.outcomes(ctx, class, tx.Statement.Session, before)
			return err
		})
		if err != nil {
			return err
		}
		if err := c.write(ctx, made); err != nil {
			return err
		}
		if err := c.take(ctx, made); err != nil {
			return err
		}
		d.r.opts.Companion.Altered(alterations(class, made))
		c.settled[tx.ID] = true
	} else {
		for n := range touches {
			d.r.opts.Companion.Altered([]Alteration{{Was: n, Now: n, ID: c.id(n)}})
		}
	}
	if err := d.end(ctx, f, tx); err != nil {
		return err
	}
	delete(c.settled, tx.ID)
	return nil
}

// end makes the intent an applied transaction. Of a CREATE TABLE … SELECT it is the rows that are
// applied: they share the statement's id.
func (d *ddlRunner) end(ctx context.Context, f *feeder, tx *source.Tx) error {
	if len(tx.Rows) == 0 && !tx.Large {
		return d.r.store.FinishIntent(ctx, tx.ID, f.seq, ddlWorker)
	}
	if err := d.rows(ctx, f, tx); err != nil {
		return err
	}
	return d.r.store.ClearIntent(ctx, tx.ID)
}

// concerns tells whether a statement is to run on the target.
func (d *ddlRunner) concerns(class source.Class, st *source.Statement) (bool, error) {
	switch {
	case class.Ours, class.Temporary:
		return false, nil
	case class.Kind == source.TableDDL:
		in, err := d.tablesInScope(class, st)
		if in && err == nil && d.renamesViews(class) {
			d.r.log.Info().Str("statement", brief(st.SQL)).Msg("a view's new name is read from the source at the cutover")
			return false, nil
		}
		if in && err == nil && !d.r.cascadesLogged && hasAction(st.SQL) && d.r.catalog != nil && !d.r.catalog.complete() {
			return false, fault.New(fault.StreamDDL, "a foreign key with an action is made while tables are being copied, and what it changes is not in this source's binlog: %s", brief(st.SQL))
		}
		return in, err
	case class.Kind == source.DatabaseDDL:
		return d.hasDatabase(class.Database), nil
	case class.Kind == source.ObjectDDL:
		d.r.log.Info().Str("statement", brief(st.SQL)).Msg("views, routines, triggers and events are read from the source at the cutover")
		return false, nil
	case class.Kind == source.Account, class.Kind == source.Maintenance, class.Kind == source.Transaction:
		return false, nil
	}
	return false, fault.New(fault.StreamDDL, "a statement that Changeover does not know: %s", brief(st.SQL))
}

// classify tells what a statement is, its names as the servers keep them.
func (r *Runner) classify(text, database string) source.Class {
	class := source.Classify(text, database, r.flavor)
	fold := func(n *source.Name) { n.Schema, n.Table = r.folded(n.Schema), r.folded(n.Table) }
	for i := range class.Tables {
		fold(&class.Tables[i])
	}
	for i := range class.Renames {
		fold(&class.Renames[i].From)
		fold(&class.Renames[i].To)
	}
	class.Database = r.folded(class.Database)
	return class
}

// folded is a database's or table's name as the servers keep it.
func (r *Runner) folded(name string) string {
	if r.foldsNames {
		return strings.ToLower(name)
	}
	return name
}

// hasAction tells whether a statement makes a foreign key that changes rows of another table. Words
// in a string count too: better to stop once too often than to let two servers drift apart.
func hasAction(text string) bool {
	text = strings.Join(strings.Fields(strings.ToUpper(text)), " ")
	if !strings.Contains(text, "REFERENCES") {
		return false
	}
	for _, action := range []string{"CASCADE", "SET NULL", "SET DEFAULT"} {
		if strings.Contains(text, "DELETE "+action) || strings.Contains(text, "UPDATE "+action) {
			return true
		}
	}
	return false
}

// hasDatabase tells whether a database belongs to the migration, whatever tables of it do.
func (d *ddlRunner) hasDatabase(name string) bool { return slices.Contains(d.r.opts.Databases, name) }

// tablesInScope tells whether table DDL concerns the migration. A table can't come into it, or
// leave it, by a RENAME: its rows would have to be copied, or forgotten. Nor may the rest of a
// statement touch what is a stranger's on the target; only a DROP can be cut (statement).
func (d *ddlRunner) tablesInScope(class source.Class, st *source.Statement) (bool, error) {
	tables := class.Tables
	if class.Like {
		tables = tables[:1] // the other one is only read
	}
	in := 0
	for _, t := range tables {
		if d.r.inScope(t.Schema, t.Table) {
			in++
		}
	}
	if in > 0 && in < len(tables) && class.Verb != "DROP TABLE" {
		return false, fault.New(fault.StreamDDL, "a statement touches tables in and out of the migration: %s", brief(st.SQL))
	}
	return in > 0, nil
}

// renamesViews tells whether a RENAME TABLE is of views alone: what is no table of the migration
// at this position of the stream can be nothing else.
func (d *ddlRunner) renamesViews(class source.Class) bool {
	if class.Verb != "RENAME TABLE" || d.r.catalog == nil {
		return false
	}
	return !slices.ContainsFunc(class.Renames, func(rn source.Rename) bool {
		return d.r.catalog.table(schedule.Name{Schema: rn.From.Schema, Table: rn.From.Table}) != nil
	})
}

// names is the text that says which tables a statement is about: the source's, unless that is not
// understood and another runs in its place.
func (d *ddlRunner) names(tx *source.Tx) string {
	st := tx.Statement
	decided := d.decided[tx.ID]
	if decided.Action == state.RunOther && d.r.classify(st.SQL, st.Schema).Kind != source.TableDDL {
		return decided.Other
	}
	return st.SQL
}

// statement is what is to run on the target; empty if nothing is.
func (d *ddlRunner) statement(ctx context.Context, tx *source.Tx, class source.Class) (string, error) {
	if decided := d.decided[tx.ID]; decided.Action == state.RunOther {
		return decided.Other, nil
	}
	if class.Kind != source.TableDDL && class.Kind != source.DatabaseDDL {
		return tx.Statement.SQL, nil
	}
	if class.Verb == "DROP TABLE" {
		var ours []string
		for _, t := range class.Tables {
			if d.r.inScope(t.Schema, t.Table) {
				ours = append(ours, server.Name(t.Schema, t.Table))
			}
		}
		if len(ours) < len(class.Tables) {
			return "DROP TABLE IF EXISTS " + strings.Join(ours, ", "), nil
		}
	}
	return d.translated(ctx, tx.Statement)
}

// ansiQuotes is the bit of sql_mode with which "a" is a name.
const ansiQuotes = 4

// utf8mb4GeneralCI is the number of the one collation that default_collation_for_utf8mb4 may name beside
// MySQL's own default.
const utf8mb4GeneralCI = 45

// translated is the source's statement in the target's dialect.
func (d *ddlRunner) translated(ctx context.Context, st *source.Statement) (string, error) {
	if d.dialect == nil {
		dialect, err := schema.Inspect(ctx, d.r.dst)
		if err != nil {
			return "", err
		}
		d.dialect = dialect
	}
	here := func(database, table string) (*schema.Definition, error) {
		if database == "" {
			database = st.Schema
		}
		text, err := schema.CreateTable(ctx, d.r.dst, d.r.folded(database), d.r.folded(table))
		if state.Number(err) == erNoTable {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		return schema.Parse(text)
	}
	in := schema.Statement{SQL: st.SQL, From: d.r.flavor, Quotes: st.Session.SQLMode != nil && *st.Session.SQLMode&ansiQuotes != 0}
	if st.Session.DefaultCollationUTF8 == utf8mb4GeneralCI {
		in.UTF8MB4 = "utf8mb4_general_ci"
	}
	text, notes, err := schema.TranslateStatement(in, d.dialect, here)
	for _, n := range notes {
		d.r.log.Info().Str("table", n.Schema+"."+n.Name).Msg(n.Text)
	}
	if fault.Is(err, fault.SchemaUnsupported) {
		return "", fault.New(fault.StreamDDL, "%q can't be said in the target's dialect: %w", brief(st.SQL), err)
	}
	return text, err
}

const erNoTable = 1146

// intentContext is what an intent keeps beside the statement's text.
type intentContext struct {
	Schema string             // the default database
	Vars   source.SessionVars // of the source's session
	Before []past             // the tables that the statement names, as they were
}

// once runs the statement; if the connection is lost meanwhile it finds out whether that was done.
// An intent that an earlier run left, and that was not settled, has not run.
func (d *ddlRunner) once(ctx context.Context, tx *source.Tx, class source.Class, before []past) error {
	var intended *schema.Fingerprint // once it is committed
	return d.r.patiently(ctx, ddlWorker, func() error {
		conn, err := d.session(ctx)
		if err != nil {
			return err
		}
		defer discard(conn)
		now, err := d.fingerprint(ctx, class)
		if err != nil {
			return err
		}
		if intended == nil {
			if err := d.intend(ctx, tx, now, before); err != nil {
				return err
			}
			intended = &now
		}
		if class.Kind != source.DatabaseDDL && !intended.Equal(now) {
			return nil // the try before was done
		}
		return d.run(ctx, conn, tx, class)
	})
}

// patiently repeats fn while the target is away, has no room, or gives way to others; status says
// so under the name who.
func (r *Runner) patiently(ctx context.Context, who int, fn func() error) error {
	pauses := backoff.NewExponentialBackOff()
	pauses.InitialInterval, pauses.MaxInterval = 50*time.Millisecond, 5*time.Second
	defer r.waiting(who, nil)
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		err := fn()
		if err != nil && (ctx.Err() != nil || !state.Lost(err) && !state.Conflict(err) && !state.Full(err)) {
			err = backoff.Permanent(err)
		}
		return struct{}{}, err
	}, backoff.WithBackOff(pauses), backoff.WithMaxElapsedTime(0), backoff.WithNotify(func(err error, _ time.Duration) {
		if state.Full(err) {
			err = fault.New(fault.ApplyFull, "%w", err)
		}
		r.waiting(who, err)
		r.log.Warn().Err(err).Msg("a DDL did not get through; it is tried again until the target takes it")
	}))
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// fingerprint is of the tables that the statement names, and no others: those may have their
// deferred indexes built meanwhile.
func (d *ddlRunner) fingerprint(ctx context.Context, class source.Class) (schema.Fingerprint, error) {
	named := map[schedule.Name]bool{}
	for _, t := range class.Tables {
		named[schedule.Name{Schema: t.Schema, Table: t.Table}] = true
	}
	return schema.Fingerprints(ctx, d.r.dst, d.r.opts.Databases, func(schema, table string) bool {
		return named[schedule.Name{Schema: schema, Table: table}]
	})
}

// intend commits the intent, in place of one that an earlier run left.
func (d *ddlRunner) intend(ctx context.Context, tx *source.Tx, now schema.Fingerprint, before []past) error {
	fp, err := json.Marshal(now)
	if err != nil {
		return err
	}
	vars, err := json.Marshal(intentContext{Schema: tx.Statement.Schema, Vars: tx.Statement.Session, Before: before})
	if err != nil {
		return err
	}
	if err := d.r.store.ClearIntent(ctx, tx.ID); err != nil {
		return err
	}
	return d.r.store.WriteIntent(ctx, state.Intent{ID: tx.ID, Statement: d.names(tx), Session: vars, Fingerprint: fp})
}

// settle finds out what became of the statements that an earlier run was in the middle of, and
// writes down what those that have run made of their tables: the records must fit the tables
// before anybody goes by them. It returns the ids of those that have run; the stream passes them
// again and must not run them. It waits until an old session has ended what it was running.
func (d *ddlRunner) settle(ctx context.Context) (map[string]bool, error) {
	ran := map[string]bool{}
	list, err := d.r.store.Intents(ctx)
	if err != nil || len(list) == 0 {
		return ran, err
	}
	done, err := d.r.store.Applied(ctx)
	if err != nil {
		return nil, err
	}
	var conn *sql.Conn
	err = d.r.patiently(ctx, ddlWorker, func() (err error) { conn, err = d.session(ctx); return err })
	if err != nil {
		return nil, err
	}
	defer discard(conn)
	for _, in := range list {
		if slices.ContainsFunc(done, func(a state.Applied) bool { return a.ID == in.ID }) {
			if err := d.r.store.ClearIntent(ctx, in.ID); err != nil { // its rows are there too
				return nil, err
			}
			continue
		}
		if ran[in.ID], err = d.settleOne(ctx, in); err != nil {
			return nil, fmt.Errorf("settle the DDL of %s: %w", in.ID, err)
		}
	}
	return ran, nil
}

func (d *ddlRunner) settleOne(ctx context.Context, in state.Intent) (ran bool, err error) {
	var was schema.Fingerprint
	var with intentContext
	if err := errors.Join(json.Unmarshal(in.Fingerprint, &was), json.Unmarshal(in.Session, &with)); err != nil {
		return false, err
	}
	class := d.r.classify(in.Statement, with.Schema)
	now, err := d.fingerprint(ctx, class)
	twice := class.Kind == source.DatabaseDDL // may be run again, and is
	if err != nil || was.Equal(now) && !twice {
		return false, err
	}
	d.r.log.Info().Str("id", in.ID).Str("statement", brief(in.Statement)).Strs("tables", was.Diff(now)).
		Msg("a DDL that an earlier run began is done")
	made, err := d.r.catalog.outcomes(ctx, class, with.Vars, with.Before)
	if err != nil {
		return false, err
	}
	return !twice, d.r.catalog.write(ctx, made)
}

// session opens a connection that holds the migration's DDL lock: whoever had it before has ended
// whatever it was running.
func (d *ddlRunner) session(ctx context.Context) (*sql.Conn, error) {
	for {
		conn, err := d.r.dst.Conn(ctx)
		if err != nil {
			return nil, err
		}
		var got sql.NullInt64
		err = conn.QueryRowContext(ctx, "SELECT GET_LOCK(?, 2)", ddlLock(d.r.opts.Migration)).Scan(&got)
		if err == nil && got.Int64 == 1 {
			d.r.waiting(ddlWorker, nil)
			return conn, nil
		}
		if err == nil {
			d.r.waiting(ddlWorker, errOldDDL)
			d.r.log.Info().Msg(errOldDDL.Error())
			err = d.endIdle(ctx, conn)
		}
		discard(conn)
		if err != nil {
			return nil, err
		}
	}
}

// endIdle ends the session that holds the lock if it runs nothing: its client is gone, and the
// server may take hours to notice. One that runs a statement is let end by itself: the statement
// may be near its end.
func (d *ddlRunner) endIdle(ctx context.Context, conn *sql.Conn) error {
	var id sql.NullInt64
	if err := conn.QueryRowContext(ctx, "SELECT IS_USED_LOCK(?)", ddlLock(d.r.opts.Migration)).Scan(&id); err != nil || !id.Valid {
		return err
	}
	all, err := server.Processes(ctx, conn)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(all, func(p server.Process) bool { return p.ID == uint64(id.Int64) && p.Command == "Sleep" }) {
		return nil
	}
	if _, err = conn.ExecContext(ctx, fmt.Sprintf("KILL %d", id.Int64)); state.Number(err) == erNoSuchThread {
		return nil
	}
	return err
}

const erNoSuchThread = 1094

var errOldDDL = errors.New("waiting until a DDL that an earlier session began on the target has ended")

func ddlLock(migration string) string { return "changeover-ddl/" + migration }

// discard closes a connection for good: a session setting, or a lock, must not go back to the pool.
func discard(conn *sql.Conn) {
	_ = conn.Raw(func(any) error { return driver.ErrBadConn })
	_ = conn.Close()
}

// run runs the statement as the source's session did.
func (d *ddlRunner) run(ctx context.Context, conn *sql.Conn, tx *source.Tx, class source.Class) error {
	if err := d.setUp(ctx, conn, tx.Statement, class); err != nil {
		return err
	}
	text, err := d.statement(ctx, tx, class)
	if fault.Is(err, fault.StreamDDL) {
		return errors.Join(err, d.r.store.ClearIntent(ctx, tx.ID))
	}
	if err != nil || text == "" {
		return err
	}
	d.r.waiting(ddlWorker, fmt.Errorf("the target runs %s", brief(text)))
	defer d.r.waiting(ddlWorker, nil)
	_, err = conn.ExecContext(ctx, "/* changeover ddl */ "+text)
	if err == nil || state.Lost(err) || state.Conflict(err) || state.Full(err) || ctx.Err() != nil {
		return err
	}
	if class.Kind == source.DatabaseDDL && (state.Number(err) == erDatabaseExists || state.Number(err) == erNoDatabase) {
		return nil // an earlier try was done
	}
	if err := d.r.store.ClearIntent(ctx, tx.ID); err != nil {
		return err
	}
	return fault.New(fault.StreamDDL, "the target refuses the source's statement %q: %w", brief(text), err)
}

// A database that is there, or not there, as CREATE and DROP DATABASE leave it.
const (
	erDatabaseExists = 1007
	erNoDatabase     = 1008
)

// setUp gives the session what the source's had. What the account may not set is left as it is:
// none of it changes what most statements do.
func (d *ddlRunner) setUp(ctx context.Context, conn *sql.Conn, st *source.Statement, class source.Class) error {
	s := st.Session
	sets := []string{"foreign_key_checks = 0", "innodb_strict_mode = 0", "sql_require_primary_key = 0", "sql_generate_invisible_primary_key = 0"}
	if d.r.onto == server.MariaDB {
		sets = append(sets, "check_constraint_checks = 0") // rows that are there are as the writer has taken them
	}
	if s.SQLMode != nil {
		mode := *s.SQLMode
		if class.Kind == source.TableDDL {
			// Dates that are none stay: the source did not look at them where it copied no rows, or is a MariaDB,
			// and here they may be copied. If it has bent some, the table starts over (bendsDates).
			mode = mode&^(noZeroInDate|noZeroDate) | allowInvalidDates
		}
		sets = append(sets, "sql_mode = '"+sqlMode(mode)+"'")
	}
	if s.TimeZone != "" && s.TimeZone != "SYSTEM" {
		sets = append(sets, "time_zone = '"+strings.ReplaceAll(s.TimeZone, "'", "''")+"'")
	}
	if s.Timestamp != 0 {
		sets = append(sets, fmt.Sprintf("timestamp = %d.%06d", s.Timestamp, s.Microseconds))
	}
	if s.InsertID != 0 {
		sets = append(sets, fmt.Sprintf("insert_id = %d", s.InsertID))
	}
	if s.ExplicitDefaultsTS != nil {
		sets = append(sets, fmt.Sprintf("explicit_defaults_for_timestamp = %t", *s.ExplicitDefaultsTS))
	}
	collations, err := d.collations(ctx, conn, s)
	if err != nil {
		return err
	}
	for _, set := range append(sets, collations...) {
		if _, err := conn.ExecContext(ctx, "SET SESSION "+set); err != nil {
			if state.Lost(err) || ctx.Err() != nil {
				return err
			}
			d.r.log.Debug().Err(err).Str("set", set).Msg("a session setting of the source can't be had")
		}
	}
	if database := d.r.folded(st.Schema); d.hasDatabase(database) {
		if _, err := conn.ExecContext(ctx, "USE "+server.Name(database)); err != nil {
			return err
		}
	}
	return nil
}

// collations names the collations that the binlog gives by number.
func (d *ddlRunner) collations(ctx context.Context, conn *sql.Conn, s source.SessionVars) ([]string, error) {
	var sets []string
	for _, c := range []struct {
		id       uint16
		variable string
		charset  bool
	}{
		{s.CharsetClient, "character_set_client", true},
		{s.CollationConnection, "collation_connection", false},
		{s.CollationServer, "collation_server", false},
		{s.DefaultCollationUTF8, "default_collation_for_utf8mb4", false},
	} {
		if c.id == 0 {
			continue
		}
		var charset, collation string
		err := conn.QueryRowContext(ctx, "SELECT CHARACTER_SET_NAME, COLLATION_NAME FROM information_schema.COLLATIONS WHERE ID = ?", c.id).Scan(&charset, &collation)
		if errors.Is(err, sql.ErrNoRows) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if c.charset {
			collation = charset
		}
		sets = append(sets, c.variable+" = "+collation)
	}
	return sets, nil
}

// Bits of sql_mode.
const (
	strictModes       = 1<<21 | 1<<22
	noZeroInDate      = 1 << 23
	noZeroDate        = 1 << 24
	allowInvalidDates = 1 << 25
)

// bendsDates tells whether a table that the source's session altered may hold other dates since: a MySQL that
// copies rows, and is not strict, makes 0000-00-00 of 2021-02-31.
func bendsDates(class source.Class, s source.SessionVars) bool {
	return class.Verb == "ALTER TABLE" && s.SQLMode != nil && *s.SQLMode&(strictModes|allowInvalidDates) == 0
}

// sqlMode names the bits of a sql_mode that today's servers know; the others were removed with
// what they meant.
func sqlMode(bits uint64) string {
	known := []struct {
		bit  uint
		name string
	}{
		{0, "REAL_AS_FLOAT"}, {1, "PIPES_AS_CONCAT"}, {2, "ANSI_QUOTES"}, {3, "IGNORE_SPACE"}, {5, "ONLY_FULL_GROUP_BY"},
		{6, "NO_UNSIGNED_SUBTRACTION"}, {7, "NO_DIR_IN_CREATE"}, {19, "NO_AUTO_VALUE_ON_ZERO"}, {20, "NO_BACKSLASH_ESCAPES"},
		{21, "STRICT_TRANS_TABLES"}, {22, "STRICT_ALL_TABLES"}, {23, "NO_ZERO_IN_DATE"}, {24, "NO_ZERO_DATE"},
		{25, "ALLOW_INVALID_DATES"}, {26, "ERROR_FOR_DIVISION_BY_ZERO"}, {29, "HIGH_NOT_PRECEDENCE"},
		{30, "NO_ENGINE_SUBSTITUTION"}, {31, "PAD_CHAR_TO_FULL_LENGTH"},
	}
	var out []string
	for _, k := range known {
		if bits&(1<<k.bit) != 0 {
			out = append(out, k.name)
		}
	}
	return strings.Join(out, ",")
}

// rows applies the rows of CREATE TABLE … SELECT.
func (d *ddlRunner) rows(ctx context.Context, f *feeder, tx *source.Tx) error {
	for {
		pending := tx.Rows
		next := func(ctx context.Context) ([]row.Change, error) {
			events := pending
			pending = nil
			if events == nil && tx.Large {
				var err error
				if events, err = tx.More(ctx); err != nil {
					return nil, err
				}
			}
			if events == nil {
				return nil, io.EOF
			}
			changes, _, err := f.changes(events)
			d.r.opts.Companion.Changed(changes)
			return changes, err
		}
		err := d.r.target.large().Large(ctx, tx.ID, f.seq, next)
		if !errors.Is(err, apply.ErrAgain) || tx.Large {
			return err
		}
	}
}

// brief is the beginning of a statement, on one line.
func brief(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > 200 {
		return text[:200] + "…"
	}
	return text
}
