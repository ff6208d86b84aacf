package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"changeover/internal/control"
	"changeover/internal/sandbox"
	"changeover/verify"
)

// runLive has the verifier compare both sides while sysbench writes, and then measures proofs.
func runLive(ctx context.Context, l *lab) (*section, error) {
	s := &section{
		title: "Comparing while both sides live",
		about: []string{fmt.Sprintf("sysbench's oltp_write_only (4 row changes a transaction) at 250 transactions/s for two minutes on %d tables of %s rows, "+
			"while changeover run compares; then proofs while nobody writes, of so many rows that were changed and not compared since. Medians of %d.",
			sysbenchTables, thousands(sysbenchRows), proofRounds)},
		head: []string{"what", "seen"},
	}
	if l.tool == "" {
		return s, nil
	}
	src, dst, m, err := l.pair(ctx)
	if err != nil {
		return nil, err
	}
	defer src.remove()
	defer dst.remove()
	if err := l.sysbenchPrepare(ctx, src, "bench"); err != nil {
		return nil, err
	}
	if err := m.underLoad(ctx, l, src, s); err != nil {
		return nil, err
	}
	// A verifier that hardly ever looks leaves the keys due that the proof is to compare.
	if err := m.set("verify: {share: 1}\n"); err != nil {
		return nil, err
	}
	tool, err := m.stream(ctx)
	if err != nil {
		return nil, err
	}
	for _, goal := range []struct {
		keys int
		most float64
	}{{1_000, 60}, {10_000, 300}} {
		keys, most := goal.keys, goal.most
		took, compared, err := m.proofOf(ctx, src, keys)
		if err != nil {
			return nil, errors.Join(err, stopped(tool))
		}
		l.say("a proof with %d keys due: %.0f ms", compared, took)
		s.row(fmt.Sprintf("proof with %s keys due", thousands(int64(compared))), fmt.Sprintf("%.0f ms", took))
		s.goal(fmt.Sprintf("proof with %s keys due", thousands(int64(keys))), fmt.Sprintf("≤ %.0f ms", most), fmt.Sprintf("%.0f ms", took), took <= most)
	}
	return s, stopped(tool)
}

// set adds to the configuration.
func (m *migration) set(text string) error {
	f, err := os.OpenFile(m.config, os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}

// ask asks the run something of its verifier.
func (m *migration) ask(ctx context.Context, method, path string, out any) error {
	return control.AskFor(ctx, filepath.Join(filepath.Dir(m.config), ".changeover", "bench"), method, path, time.Minute, out)
}

// underLoad watches the verifier while sysbench writes.
func (m *migration) underLoad(ctx context.Context, l *lab, src *host, s *section) error {
	tool, err := m.stream(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = stopped(tool) }()
	span := 120
	if l.quick {
		span = 15
	}
	var differing, most int
	var rows uint64
	watched, stop := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = pollEvery(watched, 100*time.Millisecond, time.Hour, func() (bool, error) {
			var state verify.State
			if err := m.ask(watched, "GET", "/v1/verify", &state); err == nil {
				differing, most, rows = max(differing, state.Differences), max(most, state.KeysDue), max(rows, state.Rows+uint64(state.Keys))
			}
			return false, nil
		})
	}()
	load, err := l.sysbench(ctx, src, "bench", "oltp_write_only", "--threads=8", "--rate=250", "--time="+strconv.Itoa(span), "--events=0")
	stop()
	<-done
	if err != nil {
		return err
	}
	began := time.Now()
	var state verify.State
	err = pollEvery(ctx, 50*time.Millisecond, 5*time.Minute, func() (bool, error) {
		return state.Complete || state.Differences > 0, m.ask(ctx, "GET", "/v1/verify", &state)
	})
	if err != nil {
		return err
	}
	differing = max(differing, state.Differences)
	l.say("under load: %d false differences, at most %d keys due", differing, most)
	s.row("row changes/s while it compared", fmt.Sprintf("%.0f", 4*load.perSecond))
	s.row("rows compared meanwhile", thousands(int64(rows)))
	s.row("rows said to differ", fmt.Sprint(differing))
	s.row("keys due, at most", thousands(int64(most)))
	s.row("complete after the last write", fmt.Sprintf("%.1f s", time.Since(began).Seconds()))
	s.goal("rows said to differ", "0", fmt.Sprint(differing), differing == 0)
	s.goal("keys due under load stay bounded", "≤ 10,000", thousands(int64(most)), most <= 10_000)
	return nil
}

// proofRounds is how often each proof is made.
const proofRounds = 5

// proofOf makes proofs with so many keys due, or nearly: the median of their times in milliseconds.
func (m *migration) proofOf(ctx context.Context, src *host, keys int) (median float64, compared int, err error) {
	db, err := src.Open(sandbox.App, "bench")
	if err != nil {
		return 0, 0, err
	}
	defer db.Close()
	var times []float64
	for range proofRounds {
		if err := m.makeDue(ctx, db, keys); err != nil {
			return 0, 0, err
		}
		var p verify.Proof
		began := time.Now()
		if err := m.ask(ctx, "POST", "/v1/verify/prove", &p); err != nil {
			return 0, 0, err
		}
		if !p.Complete {
			return 0, 0, fmt.Errorf("the proof is not complete: %q", p.Missing)
		}
		times, compared = append(times, float64(time.Since(began).Microseconds())/1000), p.Keys
	}
	slices.Sort(times)
	return times[len(times)/2], compared, nil
}

// makeDue changes rows until so many are due, or nearly: the verifier may be looking at the first ones.
func (m *migration) makeDue(ctx context.Context, db *sql.DB, keys int) error {
	for try := 0; ; try++ {
		for i := range sysbenchTables {
			if _, err := db.ExecContext(ctx, fmt.Sprintf("UPDATE sbtest%d SET k = k + 1 ORDER BY id LIMIT %d", i+1, keys/sysbenchTables)); err != nil {
				return err
			}
		}
		var state verify.State
		err := pollEvery(ctx, 10*time.Millisecond, 2*time.Second, func() (bool, error) {
			return state.KeysDue >= keys*9/10, m.ask(ctx, "GET", "/v1/verify", &state)
		})
		if err == nil || ctx.Err() != nil || try == 10 {
			return err
		}
	}
}
