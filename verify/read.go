package verify

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"strings"

	"github.com/go-sql-driver/mysql"

	"changeover/cdc/row"
	"changeover/internal/server"
)

// Session is how the connections must be set up that tables are read through, n at once.
func Session(n int) server.Session {
	return server.Session{Binary: true, Connections: n, Vars: map[string]string{"sql_mode": "'ALLOW_INVALID_DATES'"}}
}

// queryer is a pool, or one connection with a read view.
type queryer interface {
	QueryContext(context.Context, string, ...any) (*sql.Rows, error)
	QueryRowContext(context.Context, string, ...any) *sql.Row
}

// errUnequalLength is the server's error for a BIT_XOR of values that aren't equally long: here a
// digest and one that is NULL.
const errUnequalLength = 3513

// digest computes in the server the digest of the rows for which a condition holds; empty: of all.
//
// A digest that is NULL (a value longer than max_allowed_packet) would vanish from the sum, so
// there must be as many digests as rows.
func (t *table) digest(ctx context.Context, q queryer, where string) (Digest, error) {
	var d Digest
	var digests uint64
	var sum sql.NullString
	err := q.QueryRowContext(ctx, t.digestQuery(where)).Scan(&d.Rows, &digests, &sum)
	var refused *mysql.MySQLError
	unequal := errors.As(err, &refused) && refused.Number == errUnequalLength
	if err != nil && !unequal {
		return d, fmt.Errorf("digest of %s.%s on the %s: %w", t.Schema, t.Name, t.side.name, err)
	}
	if unequal || digests != d.Rows || d.Rows > 0 && sum.String == "" {
		return d, fmt.Errorf("digest of %s.%s on the %s: a row is longer than its max_allowed_packet; raise that", t.Schema, t.Name, t.side.name)
	}
	d.Sum = sum.String
	return d, nil
}

// within is the condition for a range of the row key.
func (p *pair) within(r row.Range) string {
	if r.Low == nil && r.High == nil {
		return ""
	}
	if condition, ok := p.between(r); ok {
		return condition
	}
	return string(p.key.AppendRange(nil, r))
}

// between is the condition for a range of a key that is one whole number, with one comparison for each row
// instead of two: Low+1 to High. A digest of a million rows takes three hundredths less.
func (p *pair) between(r row.Range) (condition string, ok bool) {
	c, ok := p.number()
	if !ok || r.Low == nil || r.High == nil {
		return "", false
	}
	low, ok := new(big.Int).SetString(string(r.Low[0]), 10)
	if !ok {
		return "", false
	}
	return fmt.Sprintf("%s BETWEEN %d AND %s", server.Name(c.Name), low.Add(low, big.NewInt(1)), r.High[0]), true
}

// among is the condition for some row keys, at most 1,000.
func (p *pair) among(keys []row.Row) string { return string(p.key.AppendKeyIn(nil, keys)) }

// and joins two conditions.
func and(a, b string) string {
	if a == "" || b == "" {
		return a + b
	}
	return "(" + a + ") AND (" + b + ")"
}

// sums are the digests of single rows, by their keys in the exact form.
type sums map[string][sha256.Size]byte

// sums reads the digests of single rows of a table that has a row key.
func (t *table) sums(ctx context.Context, q queryer, where string) (sums, error) {
	found := sums{}
	err := t.each(ctx, q, []string{t.rowDigest()}, where, func(key string, values [][]byte) error {
		if values[0] == nil {
			return fmt.Errorf("a row of %s.%s is longer than the max_allowed_packet of the %s; raise that", t.Schema, t.Name, t.side.name)
		}
		var sum [sha256.Size]byte
		if n, err := hex.Decode(sum[:], values[0]); err != nil || n != len(sum) {
			return fmt.Errorf("%q is no digest", values[0])
		}
		found[key] = sum
		return nil
	})
	return found, err
}

// each reads expressions of rows, with the row's key in its exact form. The values are valid only
// until fn returns.
func (t *table) each(ctx context.Context, q queryer, expressions []string, where string, fn func(key string, values [][]byte) error) error {
	return t.eachFrom(ctx, q, expressions, t.from(where), fn)
}

// eachOf is each by a condition that another index answers.
func (t *table) eachOf(ctx context.Context, q queryer, expressions []string, where string, fn func(key string, values [][]byte) error) error {
	return t.eachFrom(ctx, q, expressions, " FROM "+server.Name(t.Schema, t.Name)+" WHERE "+where, fn)
}

func (t *table) eachFrom(ctx context.Context, q queryer, expressions []string, from string, fn func(key string, values [][]byte) error) error {
	parts := t.Keys[t.RowKey].Parts
	text := []byte("SELECT " + t.comment() + " ")
	for _, p := range parts {
		text = append(t.Columns[p.Column].AppendKeySelect(text), ',')
	}
	text = append(text, strings.Join(expressions, ",")+from...)
	rows, err := q.QueryContext(ctx, string(text))
	if err != nil {
		return t.wrap(err)
	}
	defer rows.Close()
	raw := make([]sql.RawBytes, len(parts)+len(expressions))
	into := make([]any, len(raw))
	for i := range raw {
		into[i] = &raw[i]
	}
	key, values := make(row.Row, len(parts)), make([][]byte, len(expressions))
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return t.wrap(err)
		}
		for i, p := range parts {
			if key[i], err = t.Columns[p.Column].Canonical(raw[i]); err != nil {
				return t.wrap(err)
			}
			key[i] = t.spell(p.Column, key[i])
		}
		for i := range values {
			values[i] = raw[len(parts)+i]
		}
		if err := fn(string(row.AppendKey(nil, key)), values); err != nil {
			return err
		}
	}
	return t.wrap(rows.Err())
}

// from is the FROM clause. The key's index is forced: a secondary one that looks cheaper would be
// read at random.
func (t *table) from(where string) string {
	text := " FROM " + server.Name(t.Schema, t.Name)
	if where == "" {
		return text
	}
	if t.RowKey >= 0 {
		text += " FORCE INDEX (" + server.Name(t.Keys[t.RowKey].Name) + ")"
	}
	return text + " WHERE " + where
}

// end finds the key of the n-th row of a range on one side, counted from 1; nil if it has not so many. So
// the rows up to it are a chunk.
func (p *pair) end(ctx context.Context, t *table, r row.Range, n int64) (row.Row, error) {
	text := []byte("SELECT " + t.comment() + " ")
	parts := p.key.Keys[p.key.RowKey].Parts
	for i, part := range parts {
		if i > 0 {
			text = append(text, ',')
		}
		text = t.Columns[part.Column].AppendKeySelect(text)
	}
	where := p.within(r)
	if where == "" {
		where = "TRUE"
	}
	text = p.key.AppendOrder(append(text, t.from(where)+" ORDER BY "...))
	rows, err := t.db.QueryContext(ctx, fmt.Sprintf("%s LIMIT 1 OFFSET %d", text, n-1))
	if err != nil {
		return nil, t.wrap(err)
	}
	defer rows.Close()
	var key row.Row
	if rows.Next() {
		raw := make([]sql.RawBytes, len(parts))
		into := make([]any, len(raw))
		for i := range raw {
			into[i] = &raw[i]
		}
		if err := rows.Scan(into...); err != nil {
			return nil, t.wrap(err)
		}
		for i, part := range parts {
			v, err := p.key.Columns[part.Column].Canonical(raw[i])
			if err != nil {
				return nil, t.wrap(err)
			}
			key = append(key, append(row.Value{}, v...))
		}
	}
	return key, t.wrap(rows.Err())
}

func (t *table) wrap(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("compare %s.%s on the %s: %w", t.Schema, t.Name, t.side.name, err)
}
