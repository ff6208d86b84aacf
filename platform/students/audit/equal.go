package audit

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"changeover/internal/server"
	"changeover/platform/students/ledger"
)

// Sides is the comparison of the two servers' tables, row by row: what an operator's tool calls its
// proof, made here with nothing of that tool.
type Sides struct {
	Rows    map[string]int `json:"rows"` // compared equal, by table
	Looks   int            `json:"looks"`
	Seconds float64        `json:"seconds"` // until both were equal, or it was given up
}

// again is how long after a look in which something differed the next one comes.
const again = 200 * time.Millisecond

// comparison is a comparison of both servers under way.
type comparison struct {
	o     Options
	sides *Sides
	found []Finding
	until time.Time
}

// equal compares every table of both servers. The stream to the old writer may still be on its way, so
// what differs is looked at again until o.Within is over.
func equal(ctx context.Context, o Options) (*Sides, []Finding, error) {
	began := time.Now()
	c := &comparison{o: o, sides: &Sides{Rows: map[string]int{}}, until: began.Add(o.Within)}
	here, err := tablesOf(ctx, o.Writer)
	if err != nil {
		return nil, nil, err
	}
	there, err := tablesOf(ctx, o.Old)
	if err != nil {
		return nil, nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(there)) {
		if here[name] == nil {
			c.differs(name, "the old writer has this table, and the new one doesn't")
		}
	}
	for _, name := range slices.Sorted(maps.Keys(here)) {
		if there[name] == nil {
			c.differs(name, "the new writer has this table, and the old one doesn't")
			continue
		}
		if err := c.table(ctx, here[name], there[name]); err != nil {
			return nil, nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	c.sides.Seconds = time.Since(began).Seconds()
	return c.sides, c.found, nil
}

func (c *comparison) differs(table, format string, args ...any) {
	c.found = append(c.found, Finding{Verdict: Different, Where: table, Text: fmt.Sprintf(format, args...)})
}

// table looks until nothing differs, or the time is over.
func (c *comparison) table(ctx context.Context, t, old *table) error {
	if !slices.Equal(t.columns, old.columns) {
		c.differs(t.name, "the new writer has the columns %s, the old one %s", strings.Join(t.columns, ", "), strings.Join(old.columns, ", "))
		return nil
	}
	for i := range t.json { // MariaDB calls a JSON a text
		t.json[i] = t.json[i] || old.json[i]
	}
	for {
		c.sides.Looks++
		here, err := t.rows(ctx, c.o.Writer)
		if err != nil {
			return err
		}
		there, err := t.rows(ctx, c.o.Old)
		if err != nil {
			return err
		}
		if maps.Equal(here, there) {
			c.sides.Rows[t.name] = len(here)
			return nil
		}
		if !time.Now().Before(c.until) {
			c.rows(t, here, there)
			return nil
		}
		if c.o.differed != nil {
			c.o.differed()
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(again):
		}
	}
}

// rows says which rows differ.
func (c *comparison) rows(t *table, here, there map[string]digest) {
	for _, key := range slices.Sorted(maps.Keys(there)) {
		switch other, both := here[key]; {
		case !both:
			c.differs(t.name, "the old writer has the row %s, and the new one doesn't", key)
		case other != there[key]:
			c.differs(t.name, "the row %s is another on the old writer", key)
		default:
			c.sides.Rows[t.name]++
		}
	}
	for _, key := range slices.Sorted(maps.Keys(here)) {
		if _, both := there[key]; !both {
			c.differs(t.name, "the new writer has the row %s, and the old one doesn't", key)
		}
	}
}

// table is what is asked of a table: its columns, but for generated ones, which each server computes.
type table struct {
	name    string
	columns []string
	kinds   []string // types, in lower case
	json    []bool
	key     []int // which of columns; empty: rows are known by all their values
}

func tablesOf(ctx context.Context, q queryer) (map[string]*table, error) {
	all := map[string]*table{}
	err := each(ctx, q, func(scan func(...any) error) error {
		var name, column, kind, role string
		if err := scan(&name, &column, &kind, &role); err != nil {
			return err
		}
		t := all[name]
		if t == nil {
			t = &table{name: name}
			all[name] = t
		}
		if role == "PRI" {
			t.key = append(t.key, len(t.columns))
		}
		t.columns = append(t.columns, column)
		t.kinds = append(t.kinds, kind)
		t.json = append(t.json, kind == "json")
		return nil
	}, `SELECT c.TABLE_NAME, c.COLUMN_NAME, LOWER(c.DATA_TYPE), c.COLUMN_KEY
		FROM information_schema.COLUMNS c JOIN information_schema.TABLES t ON t.TABLE_SCHEMA = c.TABLE_SCHEMA AND t.TABLE_NAME = c.TABLE_NAME
		WHERE c.TABLE_SCHEMA = DATABASE() AND t.TABLE_TYPE = 'BASE TABLE' AND COALESCE(c.GENERATION_EXPRESSION, '') = ''
		ORDER BY c.TABLE_NAME, c.ORDINAL_POSITION`)
	return all, err
}

type digest [16]byte

// rows are a table's, by their key. Of several without a key that are the same, each has a number.
func (t *table) rows(ctx context.Context, q queryer) (map[string]digest, error) {
	all := map[string]digest{}
	values := make([]sql.RawBytes, len(t.columns))
	into := make([]any, len(values))
	for i := range values {
		into[i] = &values[i]
	}
	quoted := make([]string, len(t.columns))
	for i, c := range t.columns {
		quoted[i] = server.Name(c)
	}
	return all, each(ctx, q, func(scan func(...any) error) error {
		if err := scan(into...); err != nil {
			return err
		}
		d := t.digestOf(values)
		key := t.keyOf(values)
		if len(t.key) == 0 {
			key = hex.EncodeToString(d[:])
			for n := 2; ; n++ {
				if _, taken := all[key]; !taken {
					break
				}
				key = fmt.Sprintf("%x (%d)", d, n)
			}
		}
		all[key] = d
		return nil
	}, "SELECT "+strings.Join(quoted, ", ")+" FROM "+server.Name(t.name))
}

// keyOf is a row's key, as a person reads it.
func (t *table) keyOf(values []sql.RawBytes) string {
	var parts []string
	for _, i := range t.key {
		value := string(values[i])
		if strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r == '\uFFFD' }) {
			value = fmt.Sprintf("0x%x", value)
		}
		parts = append(parts, t.columns[i]+"="+value)
	}
	return strings.Join(parts, ", ")
}

// digestOf is of all values. JSON is compared by what it says: each server writes it in its own way.
func (t *table) digestOf(values []sql.RawBytes) digest {
	h := sha256.New()
	for i, v := range values {
		if v == nil {
			h.Write([]byte{0})
			continue
		}
		b := []byte(v)
		if t.json[i] {
			if d, err := ledger.DigestOfJSON(b); err == nil {
				b = d[:]
			}
		}
		_, _ = fmt.Fprintf(h, "\x01%d:", len(b))
		h.Write(b)
	}
	return digest(h.Sum(nil))
}
