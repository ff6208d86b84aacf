package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"golang.org/x/sync/errgroup"

	"changeover/internal/sandbox"
)

// runLag measures from outside how long after a commit on the source its row is there for a
// reader of the target, at several rates of other changes.
func runLag(ctx context.Context, l *lab) (*section, error) {
	const trafficRows = 100_000
	s := &section{
		title: "Lag",
		about: []string{"From the answer to a COMMIT on the source to the moment that a reader of the target sees the row. A probe " +
			"row is updated each 20 ms, whatever became of the one before; the target is asked about every millisecond. " +
			"Beside it come single-row transactions (7 updates, 2 inserts, 1 delete of ten, on a table of 100,000 rows) " +
			"at a fixed rate, as they come due: a slow server makes them queue, not wait."},
		head: []string{"row changes/s", "done", "p50", "p99", "max", "probes"},
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
	if err := src.exec(ctx,
		"CREATE TABLE bench.probe (id INT PRIMARY KEY, seq BIGINT NOT NULL)", "INSERT INTO bench.probe VALUES (1, 0)",
		"CREATE TABLE bench.traffic (id BIGINT AUTO_INCREMENT PRIMARY KEY, n INT NOT NULL, pad VARCHAR(200) NOT NULL, KEY (n))",
		fmt.Sprintf("INSERT INTO bench.traffic (n, pad) WITH RECURSIVE r (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM r WHERE i < %d) "+
			"SELECT /*+ SET_VAR(cte_max_recursion_depth = 1000000) */ i, REPEAT('x', 120) FROM r", trafficRows)); err != nil {
		return nil, err
	}
	tool, err := m.stream(ctx)
	if err != nil {
		return nil, err
	}
	span := 30 * time.Second
	if l.quick {
		span = 5 * time.Second
	}
	var worst time.Duration
	for _, rate := range []int{0, 100, 1000} {
		lag, done, err := measureLag(ctx, src, dst, rate, trafficRows, span)
		if err != nil {
			return nil, errors.Join(err, stopped(tool))
		}
		p99 := time.Duration(lag.ValueAtQuantile(99)) * time.Microsecond
		worst = max(worst, p99)
		at := func(us int64) string { return fmt.Sprintf("%.1f ms", float64(us)/1e3) }
		l.say("lag at %d/s: p50 %s, p99 %s, max %s", rate, at(lag.ValueAtQuantile(50)), at(lag.ValueAtQuantile(99)), at(lag.Max()))
		s.row(fmt.Sprint(rate), fmt.Sprintf("%.0f/s", done), at(lag.ValueAtQuantile(50)), at(lag.ValueAtQuantile(99)), at(lag.Max()), fmt.Sprint(lag.TotalCount()))
	}
	s.goal("p99 at any of the rates", "≤ 200 ms", millis(worst), worst <= 200*time.Millisecond)
	return s, stopped(tool)
}

// stopped ends the tool and returns only what went wrong.
func stopped(c *child) error {
	_, err := c.stop()
	return err
}

// pair is a new source with an empty database, and a new target.
func (l *lab) pair(ctx context.Context, options ...string) (src, dst *host, m *migration, err error) {
	if src, err = l.serve(ctx, sandbox.Source, options...); err != nil {
		return
	}
	if dst, err = l.serve(ctx, sandbox.Target, options...); err != nil {
		return
	}
	if err = src.exec(ctx, "CREATE DATABASE bench"); err != nil {
		return
	}
	m, err = l.migrate(src, dst, "bench")
	return
}

// measureLag returns the lags of the probes in microseconds, and the rate that the source did.
func measureLag(ctx context.Context, src, dst *host, rate, rows int, span time.Duration) (*hdrhistogram.Histogram, float64, error) {
	traffic, stopTraffic := context.WithCancel(ctx)
	defer stopTraffic()
	g, _ := errgroup.WithContext(ctx)
	var done atomic.Int64
	began := time.Now()
	if rate > 0 {
		g.Go(func() error { return write(traffic, src, rate, rows, &done) })
	}
	probes := &probes{lag: hdrhistogram.New(1, int64(10*time.Minute/time.Microsecond), 3)}
	err := probes.run(ctx, src, dst, span)
	took := time.Since(began)
	stopTraffic()
	return probes.lag, float64(done.Load()) / took.Seconds(), errors.Join(err, g.Wait())
}

// writers is how many connections write: far more than a rate of single commits needs.
const writers = 32

// write makes changes at the rate until ctx ends. A change that is due never waits for one that
// is late, as long as a connection is free.
func write(ctx context.Context, src *host, rate, rows int, done *atomic.Int64) error {
	db, err := src.Open(sandbox.App, "bench")
	if err != nil {
		return err
	}
	defer db.Close()
	db.SetMaxOpenConns(writers)
	db.SetMaxIdleConns(writers)
	due := make(chan int, rate*60) // an hour's disaster isn't a case; closed by the clock below
	go func() {
		defer close(due)
		began := time.Now()
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for n := 0; ; {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			for target := int(time.Since(began).Seconds() * float64(rate)); n < target; n++ {
				select {
				case due <- n:
				default: // the source can't do it; "done" will show it
				}
			}
		}
	}()
	g := errgroup.Group{}
	for range writers {
		g.Go(func() error {
			for n := range due {
				if ctx.Err() != nil {
					continue
				}
				id := rand.IntN(rows) + 1
				var err error
				switch n % 10 {
				case 0, 1:
					_, err = db.ExecContext(ctx, "INSERT INTO traffic (n, pad) VALUES (?, REPEAT('y', 100))", n)
				case 2:
					_, err = db.ExecContext(ctx, "DELETE FROM traffic WHERE id = ?", id)
				default:
					_, err = db.ExecContext(ctx, "UPDATE traffic SET n = n + 1 WHERE id = ?", id)
				}
				if err != nil {
					if ctx.Err() != nil {
						continue
					}
					return err
				}
				done.Add(1)
			}
			return nil
		})
	}
	return g.Wait()
}

// probes are numbers written to one row, and when each was committed.
type probes struct {
	mu        sync.Mutex
	committed []time.Time // of probe base+i, not seen on the target yet
	base      int64       // the number of the first of committed
	lag       *hdrhistogram.Histogram
}

// run writes probes for span and returns when the target has shown the last one.
func (p *probes) run(ctx context.Context, src, dst *host, span time.Duration) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	first, err := src.number(ctx, "SELECT seq + 1 FROM bench.probe WHERE id = 1")
	if err != nil {
		return err
	}
	p.base = first
	var last atomic.Int64
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		n, err := p.write(ctx, src, first, span)
		last.Store(n)
		return err
	})
	g.Go(func() error { return p.read(ctx, dst, &last) })
	return g.Wait()
}

func (p *probes) write(ctx context.Context, src *host, n int64, span time.Duration) (int64, error) {
	conn, err := src.db.Conn(ctx)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(span); time.Now().Before(end); n++ {
		if _, err := conn.ExecContext(ctx, fmt.Sprintf("UPDATE bench.probe SET seq = %d WHERE id = 1", n)); err != nil {
			return 0, err
		}
		p.mu.Lock()
		p.committed = append(p.committed, time.Now())
		p.mu.Unlock()
		select {
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		case <-tick.C:
		}
	}
	return n - 1, nil
}

// catchUpLimit is how long the last probe may take before the run is given up.
const catchUpLimit = time.Minute

func (p *probes) read(ctx context.Context, dst *host, last *atomic.Int64) error {
	conn, err := dst.db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	var ended time.Time
	for {
		var seen int64
		if err := conn.QueryRowContext(ctx, "SELECT seq FROM bench.probe WHERE id = 1").Scan(&seen); err != nil {
			return err
		}
		now := time.Now()
		p.seen(seen, now)
		if n := last.Load(); n > 0 {
			if seen >= n {
				return nil
			}
			if ended.IsZero() {
				ended = now
			}
			if now.Sub(ended) > catchUpLimit {
				return fmt.Errorf("probe %d isn't on the target %v after the last one (%d)", seen+1, catchUpLimit, n)
			}
		}
		time.Sleep(time.Millisecond) // the resolution; a poll has no event to wait for
	}
}

// seen records the lag of every probe up to n. A probe may be visible before the source has
// answered its COMMIT: that one is recorded as 1 µs, when its answer is there.
func (p *probes) seen(n int64, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.committed) > 0 && p.base <= n {
		_ = p.lag.RecordValue(max(1, now.Sub(p.committed[0]).Microseconds()))
		p.committed = p.committed[1:]
		p.base++
	}
}
