package cdc

import (
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"changeover/cdc/apply"
	"changeover/cdc/row"
	"changeover/cdc/schedule"
	"changeover/cdc/schema"
	"changeover/cdc/snapshot"
	"changeover/cdc/source"
	"changeover/cdc/state"
	"changeover/internal/fault"
	"changeover/internal/server"
)

// prepare makes the tables on the target as they were at one position of the stream, and writes
// that position down. A crash anywhere in it begins again: nothing on the target is worth keeping.
//
//	position ─ schema ─ watermark;  a DDL in scope between them: once more, from empty
//
// Tables without a key are copied here too, before the stream starts: their rows have no names, so
// a chunk and the stream could not tell theirs apart.
func (r *Runner) prepare(ctx context.Context) error {
	for try := 1; ; try++ {
		again, err := r.prepareOnce(ctx)
		if err != nil || !again {
			return err
		}
		r.log.Info().Int("try", try).Msg("a DDL ran while the schema was read; it is read again")
	}
}

func (r *Runner) prepareOnce(ctx context.Context) (again bool, err error) {
	if err := r.dropTables(ctx); err != nil {
		return false, err
	}
	keyless, err := r.keylessTables(ctx)
	if err != nil {
		return false, err
	}
	var start source.Position
	view, err := snapshot.OpenKeyless(ctx, r.opts.Source, r.src, keyless, r.log, func(ctx context.Context) (err error) {
		start, err = source.Current(ctx, r.src, r.flavor)
		return err
	})
	if err != nil {
		return false, err
	}
	defer view.Close()
	whole, err := r.readSchema(ctx)
	if err != nil {
		return false, err
	}
	if again, err = r.changedSince(ctx, start, nil); err != nil || again {
		return again, err
	}
	// One that was made between the listing and the position is in the schema, but not in the view.
	now, err := r.keylessTables(ctx)
	if err != nil || !slices.EqualFunc(keyless, now, func(a, b *row.Table) bool { return a.Schema == b.Schema && a.Name == b.Name }) {
		return true, err
	}
	if _, err := schema.CreateTables(ctx, r.dst, whole); err != nil {
		return false, err
	}
	if err := r.record(ctx, whole); err != nil {
		return false, err
	}
	if err := r.copyKeyless(ctx, view); snapshot.SchemaChanged(err) {
		return true, nil
	} else if err != nil {
		return false, err
	}
	// The view holds rows, but no names: two tables that swapped theirs since were read as each other.
	if len(keyless) > 0 {
		if again, err = r.changedSince(ctx, start, keyless); err != nil || again {
			return again, err
		}
	}
	if err := r.store.StartStream(ctx, state.Position{Text: start.String()}); err != nil {
		return false, err
	}
	return false, r.store.SetPhase(ctx, phaseCopying)
}

// checkSchema finds what would stop the migration later: a database that is not there, a definition
// or a definer that can't be carried.
func (r *Runner) checkSchema(ctx context.Context) error {
	here, err := r.readSchema(ctx)
	if err != nil {
		return err
	}
	what, err := schema.Inspect(ctx, r.dst)
	if err != nil {
		return err
	}
	_, err = here.Definers(what, r.opts.Definers)
	return err
}

// databases is a fingerprint of what the migration is of, as its record has it.
func (r *Runner) databases() string {
	names := append(slices.Sorted(slices.Values(r.opts.Databases)), r.opts.Scope)
	return fmt.Sprintf("%x", sha256.Sum256([]byte(strings.Join(names, "\x00"))))
}

// sameDatabases refuses databases, and tables, that the migration did not begin with: nobody has
// looked whether the target's are empty, and what was in the stream meanwhile is gone.
func (r *Runner) sameDatabases(m state.Migration) error {
	if m.Config == "" || m.Config == r.databases() {
		return nil
	}
	return fault.New(fault.Config, "databases: migration %s began %s with others than %s, or with other tables.include and exclude; give these a migration of their own, or name those it began with",
		m.Name, m.Created.Format(time.DateTime), strings.Join(r.opts.Databases, ", "))
}

// dropTables takes away what an earlier attempt made. The databases were empty before it.
func (r *Runner) dropTables(ctx context.Context) error {
	known, err := r.store.Tables(ctx)
	if err != nil {
		return err
	}
	for _, t := range known {
		if err := r.store.DeleteTable(ctx, t.ID); err != nil {
			return err
		}
	}
	conn, err := r.dst.Conn(ctx)
	if err != nil {
		return err
	}
	defer discard(conn)
	if _, err := conn.ExecContext(ctx, "SET SESSION foreign_key_checks = 0"); err != nil {
		return err
	}
	defs, err := row.LoadAll(ctx, conn, r.opts.Databases)
	if err != nil {
		return err
	}
	for _, t := range defs {
		if !r.inScope(t.Schema, t.Name) {
			continue
		}
		if _, err := conn.ExecContext(ctx, "/* changeover prepare */ DROP TABLE "+server.Name(t.Schema, t.Name)); err != nil {
			return err
		}
	}
	return nil
}

// keylessTables lists the source's tables whose rows have no names, and those that are copied like
// them because of foreign keys with actions.
func (r *Runner) keylessTables(ctx context.Context) ([]*row.Table, error) {
	defs, err := row.LoadAll(ctx, r.src, r.opts.Databases)
	if err != nil {
		return nil, err
	}
	early := map[schedule.Name]bool{}
	for _, t := range defs {
		early[nameOf(t)] = !keyed(t)
	}
	if !r.cascadesLogged {
		actions, err := loadCascades(ctx, r.src, r.opts.Databases, r.inScope)
		if err != nil {
			return nil, err
		}
		actions.early(early)
	}
	return slices.DeleteFunc(defs, func(t *row.Table) bool { return !early[nameOf(t)] || !r.inScope(t.Schema, t.Name) }), nil
}

// readSchema reads the source's definitions and puts them into the target's dialect.
func (r *Runner) readSchema(ctx context.Context) (*schema.Schema, error) {
	there, err := schema.Read(ctx, r.src, r.opts.Databases, r.inScope)
	if err != nil {
		return nil, err
	}
	what, err := schema.Inspect(ctx, r.dst)
	if err != nil {
		return nil, err
	}
	here, notes, err := there.Translate(what, schema.TranslateOptions{})
	for _, n := range notes {
		r.log.Info().Str("table", n.Schema+"."+n.Name).Msg(n.Text)
	}
	return here, err
}

// changedSince tells whether a DDL in scope is in the stream between start and now; if tables are
// given, one of these.
func (r *Runner) changedSince(ctx context.Context, start source.Position, of []*row.Table) (changed bool, err error) {
	n, err := r.marks.Mark(ctx)
	if err != nil {
		return false, err
	}
	reader := source.NewReader(source.ReaderConfig{Endpoint: r.opts.Source, Flavor: r.flavor, Start: start,
		Decode: func(schema, table string) bool { return schema == state.Database && table == watermarkTable }, Log: r.log})
	ctx, stop := context.WithCancel(ctx)
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		err := reader.Run(ctx)
		if ctx.Err() != nil {
			return nil
		}
		return err
	})
	g.Go(func() error {
		defer stop()
		changed, err = r.scanTo(ctx, reader, n, of)
		return err
	})
	if err := g.Wait(); err != nil {
		return false, err
	}
	return changed, nil
}

func (r *Runner) scanTo(ctx context.Context, reader *source.Reader, mark uint64, of []*row.Table) (changed bool, err error) {
	d := newDDLRunner(r)
	for {
		tx, err := reader.Next(ctx)
		if err != nil {
			return false, err
		}
		if tx.Large {
			if err := drop(ctx, tx); err != nil {
				return false, err
			}
		}
		if tx.Statement != nil {
			class := r.classify(tx.Statement.SQL, tx.Statement.Schema)
			run, err := d.concerns(class, tx.Statement)
			if err != nil || run && (of == nil || names(class, of)) {
				return run, err
			}
		}
		for i := range tx.Rows {
			if r.watermark(&tx.Rows[i]) >= mark {
				return false, nil
			}
		}
	}
}

// names tells whether a statement is about one of the tables, or about a whole database.
func names(class source.Class, tables []*row.Table) bool {
	return class.Kind == source.DatabaseDDL || slices.ContainsFunc(tables, func(t *row.Table) bool {
		return slices.Contains(class.Tables, source.Name{Schema: t.Schema, Table: t.Name})
	})
}

// record writes down what was made: each table's TABLE_ID, what the source says of its size, and
// its whole definition, from which indexes are still to be built.
func (r *Runner) record(ctx context.Context, whole *schema.Schema) error {
	sizes, err := r.sizes(ctx)
	if err != nil {
		return err
	}
	ids, err := schema.TableIDs(ctx, r.dst, r.opts.Databases)
	if err != nil {
		return err
	}
	for _, t := range whole.Tables() {
		id, err := ids.Of(t.Schema, t.Name)
		if err != nil {
			return err
		}
		size := sizes[schedule.Name{Schema: t.Schema, Table: t.Name}]
		if err := r.store.PutTable(ctx, state.Table{ID: id, Schema: t.Schema, Name: t.Name, RowsExpected: size.rows, BytesExpected: size.bytes}); err != nil {
			return err
		}
		if err := r.store.PutDefinition(ctx, id, t.Create); err != nil {
			return err
		}
	}
	return nil
}

type size struct{ rows, bytes uint64 }

// sizes is what the source estimates of its tables.
func (r *Runner) sizes(ctx context.Context) (map[schedule.Name]size, error) {
	out := map[schedule.Name]size{}
	for _, database := range r.opts.Databases {
		rows, err := r.src.QueryContext(ctx, "SELECT TABLE_NAME, COALESCE(TABLE_ROWS, 0), COALESCE(DATA_LENGTH, 0) FROM information_schema.TABLES WHERE TABLE_SCHEMA = ? AND TABLE_TYPE = 'BASE TABLE'", database)
		if err != nil {
			return nil, err
		}
		for rows.Next() {
			n, s := schedule.Name{Schema: database}, size{}
			if err := rows.Scan(&n.Table, &s.rows, &s.bytes); err != nil {
				_ = rows.Close()
				return nil, err
			}
			out[n] = s
		}
		if err := rows.Close(); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// copyKeyless copies the tables without a key out of the view that was opened while nobody could
// write to them.
func (r *Runner) copyKeyless(ctx context.Context, view *snapshot.Keyless) error {
	if len(view.Tables()) == 0 {
		return nil
	}
	t, err := newTarget(ctx, r)
	if err != nil {
		return err
	}
	defer t.close()
	for _, table := range view.Tables() {
		def, err := row.Load(ctx, r.dst, table.Schema, table.Name)
		if err != nil {
			return err
		}
		id, err := schema.TableID(ctx, r.dst, table.Schema, table.Name)
		if err != nil {
			return err
		}
		err = view.Copy(ctx, table, r.opts.Chunk, func(c snapshot.Chunk) error {
			c.Table = def
			return t.writeKeyless(ctx, id, c)
		})
		if err != nil {
			return fmt.Errorf("copy %s.%s, which has no key: %w", table.Schema, table.Name, err)
		}
		done := state.Complete
		if keyed(def) {
			done = state.Indexing // its indexes are still to be built
		}
		if err := r.store.SetTableState(ctx, id, done); err != nil {
			return err
		}
	}
	return nil
}

// writeKeyless commits a piece of a table without a key.
func (t *target) writeKeyless(ctx context.Context, id uint64, c snapshot.Chunk) error {
	record := state.Chunk{Table: id, Number: uint64(c.Number), Rows: uint64(c.Rows), Bytes: uint64(c.Bytes)}
	return t.load(ctx, t.alone, c, func(apply.TargetTx) []byte {
		return state.AppendChunkDone(nil, t.r.opts.Migration, record)
	}, func(ctx context.Context, tx apply.TargetTx) (bool, error) {
		return state.ChunkDone(ctx, tx, t.r.opts.Migration, id, record.Number)
	})
}
