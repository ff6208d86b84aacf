package cdc

import (
	"context"
	"database/sql"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/rs/zerolog"

	"changeover/cdc/row"
	"changeover/cdc/schedule"
	"changeover/cdc/source"
	"changeover/cdc/state"
	"changeover/internal/fault"
	"changeover/internal/server"
)

// WatchOptions describe the old writer to the watchman.
type WatchOptions struct {
	Migration string
	Endpoint  server.Endpoint // of the old writer
	From      string          // the position behind which nobody but Changeover may have written
	Databases []string
	InScope   func(schema, table string) bool
	// Stray is told of each stray, in the binlog's order, by Watch's own goroutine.
	Stray func(Stray)
	// Passed is told, about once a second, how far the binlog was read: from there Watch may be started
	// again. It may be nil.
	Passed func(position string)
	Memory int64 // bytes of transactions that wait; 0 means 8 MiB
	Log    zerolog.Logger
}

// Stray is a transaction, or a statement, on the old writer that is not Changeover's: somebody wrote where
// nobody may. It is never applied.
type Stray struct {
	ID        string    `json:"id"`
	At        time.Time `json:"at"`
	Tables    []string  `json:"tables"`
	Statement string    `json:"statement,omitempty"` // DDL
	Count     int       `json:"rows"`                // of rows of the migration's tables
	Rows      []string  `json:"first_rows"`          // the first of them: what was done, column=value
}

// strayRows is how many rows of a stray are shown, strayBytes how much of a value.
const (
	strayRows  = 20
	strayBytes = 100
)

// Watch reads the binlog of the old writer and tells of what is not Changeover's own in the migration's
// tables, until ctx ends. It outlasts lost connections; an error is what a person must mend, and
// nobody watches then: fault.WatchmanGone.
func Watch(ctx context.Context, o WatchOptions) error {
	db, err := server.Dial(ctx, o.Endpoint, server.Session{Connections: 2})
	if err != nil {
		return fmt.Errorf("watch the old writer: %w", err)
	}
	defer func() { _ = db.Close() }()
	id, err := server.Identify(ctx, db)
	if err != nil {
		return fmt.Errorf("watch the old writer: %w", err)
	}
	at, err := source.ParsePosition(id.Flavor, o.From)
	if err != nil {
		return fmt.Errorf("watch the old writer: %w", err)
	}
	if o.Memory == 0 {
		o.Memory = 8 << 20
	}
	w := &watchman{o: o, db: db, flavor: id.Flavor, at: at.Clone(), columns: map[schedule.Name][]string{}}
	if err := db.QueryRowContext(ctx, "SELECT @@GLOBAL.lower_case_table_names <> 0").Scan(&w.foldsNames); err != nil {
		return fmt.Errorf("watch the old writer: %w", err)
	}
	w.reader = source.NewReader(source.ReaderConfig{Endpoint: o.Endpoint, Flavor: id.Flavor, Start: at, Queue: o.Memory, LargeTx: o.Memory / 2,
		Decode: func(schema, table string) bool {
			return schema == state.Database && state.Ours(table) || w.inScope(schema, table)
		}, Ours: ours(o.Migration), Lenient: true, Log: o.Log})
	return w.run(ctx)
}

type watchman struct {
	o          WatchOptions
	db         *sql.DB
	flavor     server.Flavor
	foldsNames bool
	reader     *source.Reader
	at         source.Position
	columns    map[schedule.Name][]string // names, of tables with strays
}

func (w *watchman) run(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- w.reader.Run(ctx) }()
	err := w.watch(ctx)
	stop()
	<-ended
	return err
}

func (w *watchman) watch(ctx context.Context) error {
	var told time.Time
	for {
		tx, err := w.reader.Next(ctx)
		if err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return fault.New(fault.WatchmanGone, "behind %s: %w", w.at.String(), err)
		}
		if err := w.look(ctx, tx); err != nil {
			return err
		}
		w.at.Advance(tx)
		if w.o.Passed != nil && time.Since(told) > time.Second {
			told = time.Now()
			w.o.Passed(w.at.String())
		}
	}
}

// look tells of a transaction if it is a stray.
func (w *watchman) look(ctx context.Context, tx *source.Tx) error {
	s := Stray{ID: tx.ID, At: tx.Committed}
	w.statement(&s, tx.Statement)
	w.rows(ctx, &s, tx.Rows)
	for tx.Large {
		rows, err := tx.More(ctx)
		if err == io.EOF {
			break
		}
		if err == source.ErrInterrupted {
			return nil // it comes again
		}
		if err != nil {
			return err
		}
		w.rows(ctx, &s, rows)
	}
	if len(s.Tables) == 0 {
		return nil
	}
	w.o.Log.Error().Err(fault.New(fault.Stray, "transaction %s on %s", s.ID, strings.Join(s.Tables, ", "))).
		Int("rows", s.Count).Str("statement", brief(s.Statement)).Msg("a stray; it is not applied")
	w.o.Stray(s)
	return nil
}

func (w *watchman) inScope(schema, table string) bool {
	for _, d := range w.o.Databases {
		if d == schema {
			return w.o.InScope == nil || w.o.InScope(schema, table)
		}
	}
	return false
}

// statement notes DDL on the migration's tables, and changes of rows that are logged as text if they may
// be of these.
func (w *watchman) statement(s *Stray, st *source.Statement) {
	if st == nil {
		return
	}
	class := source.Classify(st.SQL, st.Schema, w.flavor)
	if class.Ours || class.Temporary {
		return
	}
	fold := func(name string) string {
		if w.foldsNames {
			return strings.ToLower(name)
		}
		return name
	}
	for _, t := range class.Tables {
		if schema, table := fold(t.Schema), fold(t.Table); w.inScope(schema, table) {
			s.table(schema + "." + table)
		}
	}
	for _, d := range w.o.Databases {
		if class.Kind == source.DatabaseDDL && d == fold(class.Database) ||
			class.Kind == source.DML && (d == fold(st.Schema) || strings.Contains(st.SQL, d)) {
			s.table(d)
		}
	}
	if len(s.Tables) > 0 {
		s.Statement = st.SQL
	}
}

func (s *Stray) table(name string) {
	for _, t := range s.Tables {
		if t == name {
			return
		}
	}
	s.Tables = append(s.Tables, name)
}

// rows notes the changes of the migration's tables.
func (w *watchman) rows(ctx context.Context, s *Stray, events []source.Rows) {
	for i := range events {
		e := &events[i]
		if e.Schema == state.Database {
			continue // a row of ours that is another migration's
		}
		s.table(e.Schema + "." + e.Table)
		step, verb := 1, map[source.RowsKind]string{source.Insert: "inserted", source.Update: "updated", source.Delete: "deleted"}[e.Kind]
		if e.Kind == source.Update {
			step = 2
		}
		for n := 0; n < len(e.Images); n += step {
			s.Count++
			if len(s.Rows) < strayRows {
				s.Rows = append(s.Rows, fmt.Sprintf("%s.%s %s: %s", e.Schema, e.Table, verb, w.values(ctx, e, e.Images[n+step-1])))
			}
		}
	}
}

// values are a row's values for a person.
func (w *watchman) values(ctx context.Context, e *source.Rows, image []any) string {
	names := w.names(ctx, e)
	var b strings.Builder
	for i, v := range image {
		if i > 0 {
			b.WriteString(", ")
		}
		if i < len(names) && len(names) == len(image) {
			b.WriteString(names[i])
		} else {
			fmt.Fprintf(&b, "column %d", i+1)
		}
		b.WriteByte('=')
		b.WriteString(shown(v))
	}
	return b.String()
}

func shown(v any) string {
	text := ""
	switch v := v.(type) {
	case nil:
		return "NULL"
	case []byte:
		text = string(v)
	default:
		text = fmt.Sprint(v)
	}
	if len(text) > strayBytes {
		text = text[:strayBytes] + "…"
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == utf8.RuneError {
			return '·'
		}
		return r
	}, text)
}

// names are the columns of a table: the binlog's own, or those that the server has now.
func (w *watchman) names(ctx context.Context, e *source.Rows) []string {
	if names := e.Map.ColumnNameString(); len(names) > 0 {
		return names
	}
	n := schedule.Name{Schema: e.Schema, Table: e.Table}
	if names, known := w.columns[n]; known {
		return names
	}
	var names []string
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	if t, err := row.Load(ctx, w.db, e.Schema, e.Table); err == nil {
		for _, c := range t.Columns {
			names = append(names, c.Name)
		}
		w.columns[n] = names
	}
	return names
}
