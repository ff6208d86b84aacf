package verify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// proofConnections is how many queries a proof asks of each side at once.
const proofConnections = 4

// Proof is the record that every row of both sides was compared, and when; or of what was not.
type Proof struct {
	Migration string    `json:"migration"`
	At        time.Time `json:"at"`
	// Position is the source's, up to which nothing differs.
	Position string  `json:"position"`
	Complete bool    `json:"complete"`
	TookMS   float64 `json:"took_ms"`
	Rows     uint64  `json:"rows"` // compared, over all tables
	Keys     int     `json:"keys"` // that were due, and were compared now
	// Missing says what keeps it from being complete.
	Missing []string      `json:"missing"`
	Tables  []ProvenTable `json:"tables"`
}

// ProvenTable is what is known of one table.
type ProvenTable struct {
	Table string `json:"table"`
	Rows  uint64 `json:"rows"`
	Keys  int    `json:"keys"` // compared now
	// Compared is when its last row was compared in a whole pass.
	Compared time.Time `json:"compared"`
}

// Prove compares what is still due, while nobody writes to the source, and says whether every row of
// every table has been compared and none has changed since. Its cost depends on what was touched
// lately: a table whose rows have names costs its keys that are due, one without is read whole if it
// was touched. What it finds different is in the ledger, and in Missing.
//
// The background's looks wait meanwhile. A deadline in ctx gives an incomplete proof, not an error. The error
// says that a server could not be asked. A proof, complete or not, is kept in `_changeover`.proven.
func (v *Verifier) Prove(ctx context.Context) (Proof, error) {
	began := time.Now()
	v.interrupt()
	defer v.looking.Unlock()
	l, k := v.present()
	if k == nil {
		return Proof{Missing: []string{"the run has not begun to compare"}}, nil
	}
	p := Proof{Migration: k.stream.Migration(), At: time.Now().UTC()}
	ctx, done := v.interruptible(ctx)
	defer done()
	err := v.prove(ctx, l, k, &p)
	if ctx.Err() != nil && errors.Is(context.Cause(ctx), errAgain) {
		p.Missing, err = append(p.Missing, "a table is being altered"), nil
	}
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() != nil {
		p.Missing, err = append(p.Missing, "the deadline has passed"), nil
	}
	p.Complete = err == nil && len(p.Missing) == 0
	p.TookMS = float64(time.Since(began).Microseconds()) / 1000
	if err != nil {
		return p, err
	}
	return p, keep(ctx, k, p)
}

// keep leaves the proof in `_changeover`. It has not lost its worth if the deadline has passed meanwhile.
func keep(ctx context.Context, k *looker, p Proof) error {
	document, err := json.Marshal(p)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	return k.stream.Store().KeepProof(ctx, p.Complete, document)
}

func (v *Verifier) prove(ctx context.Context, l *ledger, k *looker, p *Proof) error {
	l.define(k.stream.Tables)
	due, since := l.takeDue(func(Name) bool { return true }, int(^uint(0)>>1), ^uint64(0))
	if err := k.caughtUp(ctx); err != nil {
		return err
	}
	found, err := k.lookAll(ctx, due)
	if err != nil {
		return err
	}
	if err := k.settled(ctx); err != nil {
		return err
	}
	keys := map[Name]int{}
	for n, t := range due {
		stay, news := l.settleKeys(n, t, since, found[n])
		v.tell(n, news)
		keys[n] = len(t.keys)
		p.Keys += len(t.keys)
		if stay > 0 {
			p.Missing = append(p.Missing, fmt.Sprintf("%s: %d rows were written while they were compared; is the source fenced?", n, stay))
		}
	}
	if err := v.proveWhole(ctx, l, k); err != nil {
		return err
	}
	p.Position = k.stream.Position().Text
	if err := v.recalling(); err != nil {
		p.Missing = append(p.Missing, err.Error())
	}
	if n := k.stream.Unfinished(); n > 0 {
		p.Missing = append(p.Missing, fmt.Sprintf("%d tables are not copied yet", n))
	}
	l.define(k.stream.Tables) // one that was finished since the beginning is missing
	p.Missing = append(p.Missing, l.missing()...)
	p.Tables = l.proven(keys)
	for _, t := range p.Tables {
		p.Rows += t.Rows
	}
	return nil
}

// lookAll compares keys of many tables, a few queries at once.
func (k *looker) lookAll(ctx context.Context, due map[Name]dueKeys) (map[Name]map[string]*Finding, error) {
	found := map[Name]map[string]*Finding{}
	var mu sync.Mutex
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(proofConnections)
	for n, t := range due {
		found[n] = map[string]*Finding{}
		for some := range slices.Chunk(t.keys, keysAtOnce) {
			g.Go(func() error {
				different, err := k.look(ctx, n, dueKeys{keys: some, generation: t.generation, version: t.version})
				mu.Lock()
				defer mu.Unlock()
				for key, f := range different {
					found[n][key] = f
				}
				return err
			})
		}
	}
	return found, g.Wait()
}

// proveWhole compares tables whose rows have no names, of those that were wholly compared before: the
// touched rows of one are not the same on both sides, or can't be compared by themselves.
func (v *Verifier) proveWhole(ctx context.Context, l *ledger, k *looker) error {
	for _, n := range l.touchedWhole() {
		part, ok := l.open(func(other Name) bool { return other == n })
		if !ok {
			continue
		}
		p, err := k.pair(ctx, n, part.version)
		if err != nil {
			return err
		}
		c := l.claim(part, part.Range)
		if c == nil {
			continue
		}
		if _, _, err := v.compareChunk(ctx, l, k, p, c); err != nil {
			l.giveBack(c)
			if errors.Is(err, errAgain) {
				continue // missing says so
			}
			return err
		}
	}
	return nil
}

// touchedWhole lists tables whose rows have no names and that were compared before.
func (l *ledger) touchedWhole() (names []Name) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for n, e := range l.tables {
		if e.def != nil && e.def.RowKey < 0 && len(e.ranges) > 0 && !e.checked.IsZero() {
			names = append(names, n)
		}
	}
	return names
}

// missing says what is not compared, or differs.
func (l *ledger) missing() (why []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.sorted() {
		switch {
		case e.problem != "":
			why = append(why, fmt.Sprintf("%s can't be compared: %s", e.name, e.problem))
		case !e.wholly():
			why = append(why, fmt.Sprintf("%s is not wholly compared", e.name))
		}
		if n := e.differences(); n > 0 {
			why = append(why, fmt.Sprintf("%s: %d rows differ", e.name, n))
		}
		if len(e.due) > 0 {
			why = append(why, fmt.Sprintf("%s: %d rows have changed since they were compared", e.name, len(e.due)))
		}
	}
	return why
}

func (l *ledger) proven(keys map[Name]int) (out []ProvenTable) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.sorted() {
		out = append(out, ProvenTable{Table: e.name.String(), Rows: e.rows, Keys: keys[e.name], Compared: e.ended.UTC()})
	}
	return out
}

// sorted are the tables by name.
func (l *ledger) sorted() (all []*entry) {
	for _, e := range l.tables {
		all = append(all, e)
	}
	slices.SortFunc(all, func(a, b *entry) int { return strings.Compare(a.name.String(), b.name.String()) })
	return all
}

// differences is how many rows are known to differ.
func (e *entry) differences() (n int) {
	for _, c := range e.crowded {
		n += c.Rows
	}
	for _, f := range e.different {
		n += max(1, abs(f.Source-f.Target))
	}
	return n
}

func abs(n int) int { return max(n, -n) }
