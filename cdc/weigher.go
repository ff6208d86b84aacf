package cdc

import (
	"context"
	"database/sql"
	"errors"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/rs/zerolog"

	"changeover/cdc/row"
	"changeover/cdc/state"
)

// weigher knows where strings stand in the order of collations that don't order by bytes: it asks
// the source for their weights, many at once, and remembers them. Safe for concurrent use.
type weigher struct {
	db  *sql.DB
	log zerolog.Logger

	mu sync.Mutex
	// What was asked lately, and before that. When young is full it becomes old, and what nobody has
	// asked for since the last time is forgotten: hot keys stay.
	young, old map[weighed]row.Value
	held       int // bytes of young
}

var errWeightless = errors.New("the source gives no weight for a key: its text is not valid in its charset, or the weight exceeds the source's max_allowed_packet")

type weighed struct{ collation, value string }

const (
	weightBytes = 8 << 20   // what each generation may hold
	weightsAsk  = 500       // values in one question
	weightsText = 256 << 10 // bytes of one question, unless a single value is larger
)

func newWeigher(db *sql.DB, log zerolog.Logger) *weigher {
	return &weigher{db: db, log: log, young: map[weighed]row.Value{}}
}

// weigh puts its weights behind a key of t; a table that is not Weighed has none.
func (w *weigher) weigh(ctx context.Context, t *row.Table, key row.Row) (row.Row, error) {
	keys := []row.Row{key}
	err := w.weighAll(ctx, []*row.Table{t}, keys)
	return keys[0], err
}

// weighAll puts the weights behind keys, each of the table at its index. It waits while the source
// is away.
func (w *weigher) weighAll(ctx context.Context, tables []*row.Table, keys []row.Row) error {
	known := map[weighed]row.Value{}
	q := question{blanks: map[string]bool{}}
	need := func(c *row.Column, v row.Value) row.Value {
		k := weighed{c.Collation, string(v)}
		if _, there := known[k]; !there {
			if known[k] = w.recall(k); known[k] == nil {
				q.add(c, v)
			}
		}
		return nil
	}
	for i, key := range keys {
		tables[i].Weigh(key, need)
	}
	if err := w.ask(ctx, &q, known); err != nil {
		return err
	}
	for i, key := range keys {
		keys[i] = tables[i].Weigh(key, func(c *row.Column, v row.Value) row.Value {
			return known[weighed{c.Collation, string(v)}]
		})
	}
	return nil
}

func (w *weigher) recall(k weighed) row.Value {
	w.mu.Lock()
	defer w.mu.Unlock()
	if v := w.young[k]; v != nil {
		return v
	}
	v := w.old[k]
	if v != nil {
		w.remember(k, v)
	}
	return v
}

// remember is called under mu.
func (w *weigher) remember(k weighed, v row.Value) {
	if w.held > weightBytes {
		w.young, w.old, w.held = map[weighed]row.Value{}, w.young, 0
	}
	w.young[k] = v
	w.held += len(k.value) + len(v) + 120 // about what an entry costs
}

// question is values whose weights are not known, each once.
type question struct {
	columns []*row.Column
	values  []row.Value
	blanks  map[string]bool // the collations whose blank is among them
}

// add asks for a value; for the first of a collation that pads, for its blank before it.
func (q *question) add(c *row.Column, v row.Value) {
	if c.PadSpace() && !q.blanks[c.Collation] {
		q.blanks[c.Collation] = true
		q.columns, q.values = append(q.columns, c), append(q.values, c.BlankOf())
	}
	q.columns, q.values = append(q.columns, c), append(q.values, v)
}

// ask gets the answers into known.
func (w *weigher) ask(ctx context.Context, q *question, known map[weighed]row.Value) error {
	blanks := map[string]row.Value{}
	for from := 0; from < len(q.values); {
		text := []byte("SELECT /* changeover weights */ ")
		to := from
		for ; to < len(q.values) && to-from < weightsAsk && (to == from || len(text) < weightsText); to++ {
			if to > from {
				text = append(text, ',')
			}
			text = q.columns[to].AppendWeightOf(text, q.values[to])
		}
		said, err := w.query(ctx, string(text), to-from)
		if err != nil {
			return err
		}
		w.mu.Lock()
		for i, s := range said {
			c, v := q.columns[from+i], q.values[from+i]
			if c.PadSpace() && blanks[c.Collation] == nil {
				blanks[c.Collation] = s // the first of its collation
			}
			k := weighed{c.Collation, string(v)}
			known[k] = row.Weight(s, blanks[c.Collation])
			w.remember(k, known[k])
		}
		w.mu.Unlock()
		from = to
	}
	return nil
}

// query asks until the source answers.
func (w *weigher) query(ctx context.Context, text string, n int) ([]row.Value, error) {
	pauses := backoff.NewExponentialBackOff()
	pauses.InitialInterval, pauses.MaxInterval = 20*time.Millisecond, 5*time.Second
	said, err := backoff.Retry(ctx, func() ([]row.Value, error) {
		raw, into := make([]sql.RawBytes, n), make([]any, n)
		for i := range raw {
			into[i] = &raw[i]
		}
		said, err := w.row(ctx, text, raw, into)
		if err != nil && !state.Passes(err) {
			err = backoff.Permanent(err)
		}
		return said, err
	}, backoff.WithBackOff(pauses), backoff.WithMaxElapsedTime(0), backoff.WithNotify(func(err error, _ time.Duration) {
		w.log.Warn().Err(err).Msg("the source did not say how keys are ordered; it is asked again")
	}))
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return said, err
}

func (w *weigher) row(ctx context.Context, text string, raw []sql.RawBytes, into []any) ([]row.Value, error) {
	rows, err := w.db.QueryContext(ctx, text)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	said := make([]row.Value, len(raw))
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return nil, err
		}
		for i, v := range raw {
			if v == nil {
				return nil, errWeightless
			}
			said[i] = append(row.Value{}, v...) // not nil: an empty string weighs nothing
		}
	}
	return said, rows.Err()
}
