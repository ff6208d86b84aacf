package verify

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"changeover/cdc/row"
)

// tableScan is one table that is compared from its beginning to its end.
type tableScan struct {
	p      *pair
	cutter *cutter
	o      Options

	mu        sync.Mutex
	result    *TableResult
	differing []row.Range // chunks whose digests differ
}

// table cuts a table into chunks and has the group compare them. The result is whole when the group is.
func (c *comparer) table(ctx context.Context, group *errgroup.Group, result *TableResult, o Options) (*tableScan, error) {
	began := time.Now()
	p, err := c.pair(ctx, result.Name)
	var problem problem
	if errors.As(err, &problem) {
		result.Problem, result.Duration = string(problem), time.Since(began)
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	result.Equal = true
	s := &tableScan{p: p, cutter: newCutter(), o: o, result: result}
	for rest := (row.Range{}); ; {
		chunk, err := p.next(ctx, rest, s.cutter.rows())
		if err != nil {
			return nil, err
		}
		group.Go(func() error {
			defer func() {
				s.mu.Lock()
				defer s.mu.Unlock()
				result.Duration = max(result.Duration, time.Since(began))
			}()
			return s.compare(ctx, chunk)
		})
		if whole(chunk, rest) {
			return s, nil
		}
		rest.Low = chunk.High
	}
}

// compare compares one chunk.
func (s *tableScan) compare(ctx context.Context, chunk row.Range) error {
	began := time.Now()
	where := s.p.within(chunk)
	source, target, err := both(ctx, s.p, func(ctx context.Context, t *table) (Digest, error) { return t.digest(ctx, t.db, where) })
	if err != nil {
		return err
	}
	s.cutter.took(source.Rows, time.Since(began))
	s.mu.Lock()
	defer s.mu.Unlock()
	if source != target {
		s.result.Equal = false
		s.differing = append(s.differing, chunk)
	}
	if s.result.Source, err = s.result.Source.with(source); err != nil {
		return err
	}
	if s.result.Target, err = s.result.Target.with(target); err != nil {
		return err
	}
	if s.o.Progress != nil {
		s.o.Progress(s.result.Name, s.result.Source.Rows)
	}
	return nil
}

// with is the digest of two sets of rows together.
func (d Digest) with(other Digest) (Digest, error) {
	return d.combine(other, d.Rows+other.Rows, (*big.Int).Add)
}

// without is the digest of rows of which those of other are taken away.
func (d Digest) without(other Digest) (Digest, error) {
	return d.combine(other, d.Rows-other.Rows, (*big.Int).Sub)
}

// combine adds or subtracts sums; XOR is both.
func (d Digest) combine(other Digest, rows uint64, op func(z, x, y *big.Int) *big.Int) (Digest, error) {
	out := Digest{Rows: rows}
	switch {
	case rows == 0:
		return out, nil
	case other.Rows == 0:
		return d, nil
	case d.Rows == 0:
		return other, nil
	case strings.Contains(d.Sum, "+"):
		a, b := strings.Split(d.Sum, "+"), strings.Split(other.Sum, "+")
		for i := range a {
			x, ok := new(big.Int).SetString(a[i], 10)
			y, ok2 := new(big.Int).SetString(b[i], 10)
			if !ok || !ok2 {
				return out, fmt.Errorf("%q and %q are no sums", d.Sum, other.Sum)
			}
			a[i] = op(x, x, y).String()
		}
		out.Sum = strings.Join(a, "+")
		return out, nil
	}
	a, err := hex.DecodeString(d.Sum)
	b, err2 := hex.DecodeString(other.Sum)
	if err := errors.Join(err, err2); err != nil || len(a) != len(b) {
		return out, fmt.Errorf("%q and %q are no sums: %w", d.Sum, other.Sum, err)
	}
	for i := range a {
		a[i] ^= b[i]
	}
	out.Sum = hex.EncodeToString(a)
	return out, nil
}
