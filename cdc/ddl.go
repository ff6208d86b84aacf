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
// every table in scope as it was before. After a crash the fingerprint tells: the same, the
// statement has not run; another, it has. Since the old session may still be running it, whoever
// asks holds a lock that the old session holds too.
type ddlRunner struct {
	r       *Runner
	intents map[string]state.Intent // of an earlier run, not finished
	loaded  bool
}

func newDDLRunner(r *Runner) *ddlRunner { return &ddlRunner{r: r} }

// pass takes a statement of the stream: runs it, or leaves it out, or refuses it.
func (d *ddlRunner) pass(ctx context.Context, f *feeder, tx *source.Tx) error {
	st := tx.Statement
	class := source.Classify(st.SQL, st.Schema, d.r.flavor)
	run, err := d.concerns(class, st)
	if err != nil || !run {
		return err
	}
	d.r.stats.ddl.Add(1)
	d.r.log.Info().Str("id", tx.ID).Str("statement", brief(st.SQL)).Msg("DDL")
	touches := names(class)
	if err := d.r.flow.Drain(ctx, func(n schedule.Name) bool {
		return touches[n] || class.Kind == source.DatabaseDDL && n.Schema == class.Database
	}); err != nil {
		return err
	}
	defer f.open()
	for n := range touches {
		// The statement may name an index that the source has and the target has not yet.
		if err := d.r.catalog.buildIndexes(ctx, n); err != nil {
			return err
		}
	}
	before := d.r.catalog.snapshot(touches)
	if err := d.once(ctx, tx, f.seq, class); err != nil {
		return err
	}
	f.forget()
	if err := d.r.catalog.changed(ctx, class, before); err != nil {
		return err
	}
	if !class.Select {
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
		return d.tablesInScope(class, st)
	case class.Kind == source.DatabaseDDL:
		return d.r.inScope(class.Database, ""), nil
	case class.Kind == source.ObjectDDL:
		d.r.log.Info().Str("statement", brief(st.SQL)).Msg("views, routines, triggers and events are read from the source at the cutover")
		return false, nil
	case class.Kind == source.Account, class.Kind == source.Maintenance, class.Kind == source.Transaction:
		return false, nil
	}
	return false, fault.New(fault.StreamDDL, "a statement that Changeover does not know: %s", brief(st.SQL))
}

// tablesInScope tells whether table DDL concerns the migration; a table can't come into it, or
// leave it, by a RENAME: its rows would have to be copied, or forgotten.
func (d *ddlRunner) tablesInScope(class source.Class, st *source.Statement) (bool, error) {
	in := 0
	for _, t := range class.Tables {
		if d.r.inScope(t.Schema, t.Table) {
			in++
		}
	}
	for _, rn := range class.Renames {
		if d.r.inScope(rn.From.Schema, rn.From.Table) != d.r.inScope(rn.To.Schema, rn.To.Table) {
			return false, fault.New(fault.StreamDDL, "a table moves into or out of the migration: %s", brief(st.SQL))
		}
	}
	return in > 0, nil
}

func names(class source.Class) map[schedule.Name]bool {
	out := map[schedule.Name]bool{}
	for _, t := range class.Tables {
		out[schedule.Name{Schema: t.Schema, Table: t.Table}] = true
	}
	return out
}

// once runs the statement, unless an earlier run already has.
func (d *ddlRunner) once(ctx context.Context, tx *source.Tx, seq uint64, class source.Class) error {
	if err := d.load(ctx); err != nil {
		return err
	}
	want, known := d.intents[tx.ID]
	for {
		conn, err := d.session(ctx)
		if err != nil {
			return err
		}
		now, err := d.fingerprint(ctx, class)
		if err != nil {
			discard(conn)
			return err
		}
		if !known {
			if want, err = d.intend(ctx, tx, now); err != nil {
				discard(conn)
				return err
			}
			known = true
		} else {
			var before schema.Fingerprint
			if err := json.Unmarshal(want.Fingerprint, &before); err != nil {
				discard(conn)
				return fmt.Errorf("the intent of %s: %w", tx.ID, err)
			}
			if !before.Equal(now) { // it has run
				discard(conn)
				return nil
			}
		}
		err = d.run(ctx, conn, tx, class)
		if err == nil || ctx.Err() != nil || !state.Lost(err) {
			return err
		}
		d.r.log.Warn().Err(err).Str("id", tx.ID).Msg("the connection was lost while a DDL ran; whether it was done is looked up")
	}
}

// fingerprint is of the tables that the statement names, and no others: those may have their
// deferred indexes built meanwhile.
func (d *ddlRunner) fingerprint(ctx context.Context, class source.Class) (schema.Fingerprint, error) {
	all, err := schema.Fingerprints(ctx, d.r.dst, d.r.opts.Databases)
	if err != nil {
		return nil, err
	}
	touches := names(class)
	return slices.DeleteFunc(all, func(t schema.TableFingerprint) bool {
		return !touches[schedule.Name{Schema: t.Schema, Table: t.Name}] && (class.Database == "" || class.Database != t.Schema)
	}), nil
}

func (d *ddlRunner) load(ctx context.Context) error {
	if d.loaded {
		return nil
	}
	list, err := d.r.store.Intents(ctx)
	if err != nil {
		return err
	}
	d.intents = map[string]state.Intent{}
	for _, in := range list {
		d.intents[in.ID] = in
	}
	d.loaded = true
	return nil
}

func (d *ddlRunner) intend(ctx context.Context, tx *source.Tx, now schema.Fingerprint) (state.Intent, error) {
	fp, err := json.Marshal(now)
	if err != nil {
		return state.Intent{}, err
	}
	vars, err := json.Marshal(tx.Statement.Session)
	if err != nil {
		return state.Intent{}, err
	}
	in := state.Intent{ID: tx.ID, Statement: tx.Statement.SQL, Session: vars, Fingerprint: fp}
	return in, d.r.store.WriteIntent(ctx, in)
}

// session opens a connection that holds the migration's DDL lock: whoever had it before has ended
// whatever it was running.
func (d *ddlRunner) session(ctx context.Context) (*sql.Conn, error) {
	for {
		conn, err := d.r.dst.Conn(ctx)
		if err == nil {
			var got sql.NullInt64
			err = conn.QueryRowContext(ctx, "SELECT GET_LOCK(?, 10)", ddlLock(d.r.opts.Migration)).Scan(&got)
			if err == nil && got.Int64 == 1 {
				return conn, nil
			}
			if err == nil {
				d.r.log.Info().Msg("waiting for a DDL of an earlier session to end")
			}
			discard(conn)
		}
		if err != nil && !state.Lost(err) || ctx.Err() != nil {
			return nil, errors.Join(err, ctx.Err())
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(200 * time.Millisecond):
		}
	}
}

func ddlLock(migration string) string { return "changeover-ddl/" + migration }

// discard closes a connection for good: a session setting, or a lock, must not go back to the pool.
func discard(conn *sql.Conn) {
	_ = conn.Raw(func(any) error { return driver.ErrBadConn })
	_ = conn.Close()
}

// run runs the statement as the source's session did.
func (d *ddlRunner) run(ctx context.Context, conn *sql.Conn, tx *source.Tx, class source.Class) error {
	defer discard(conn)
	if err := d.setUp(ctx, conn, tx.Statement); err != nil {
		return err
	}
	text := tx.Statement.SQL
	if class.Select {
		text = withoutStart(text)
	}
	if _, err := conn.ExecContext(ctx, "/* changeover ddl */ "+text); err != nil {
		if state.Lost(err) || ctx.Err() != nil {
			return err
		}
		if err := d.r.store.ClearIntent(ctx, tx.ID); err != nil {
			return err
		}
		return fault.New(fault.StreamDDL, "the target refuses the source's statement %q: %w", brief(text), err)
	}
	return nil
}

// withoutStart takes off what MySQL logs for CREATE TABLE … SELECT: its rows follow as a
// transaction of their own here.
func withoutStart(text string) string {
	const start = "START TRANSACTION"
	trimmed := strings.TrimRight(text, " \t\r\n;")
	if len(trimmed) >= len(start) && strings.EqualFold(trimmed[len(trimmed)-len(start):], start) {
		return trimmed[:len(trimmed)-len(start)]
	}
	return text
}

// setUp gives the session what the source's had. What the account may not set is left as it is:
// none of it changes what most statements do.
func (d *ddlRunner) setUp(ctx context.Context, conn *sql.Conn, st *source.Statement) error {
	s := st.Session
	sets := []string{"foreign_key_checks = 0"}
	if s.SQLMode != nil {
		sets = append(sets, "sql_mode = '"+sqlMode(*s.SQLMode)+"'")
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
	if st.Schema != "" && d.r.inScope(st.Schema, "") {
		if _, err := conn.ExecContext(ctx, "USE "+server.Name(st.Schema)); err != nil {
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

// rows applies the rows of CREATE TABLE … SELECT, which share the statement's id.
func (d *ddlRunner) rows(ctx context.Context, f *feeder, tx *source.Tx) error {
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
		return changes, err
	}
	return d.r.target.large().Large(ctx, tx.ID, f.seq, next)
}

// brief is the beginning of a statement, on one line.
func brief(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > 200 {
		return text[:200] + "…"
	}
	return text
}
