package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"
)

// workload is sysbench on the source, several of its tests side by side, for as long as it isn't
// stopped. sysbench counts exactly only at the end of a run, so each test runs in rounds of a few
// seconds that follow at once; the tests' rounds end at different times, so that the source is never
// idle.
type workload struct {
	demo   *demo
	lanes  []*lane
	broken chan struct{} // closed when a test has failed
	cancel context.CancelFunc
	done   sync.WaitGroup
	ending chan struct{} // closed by stop: the rounds under way are the last

	mu   sync.Mutex
	err  error
	once struct{ broken, stop sync.Once }
}

// lane is one test.
type lane struct {
	test    string
	seconds int // of a round

	mu       sync.Mutex
	rate     float64 // transactions a second, of the last second
	total    loadTotal
	counting int // transactions of this round, by the seconds
}

// loadTotal is what sysbench counted.
type loadTotal struct {
	transactions int
	ignored      int // deadlocks and lock waits: sysbench runs the transaction again
	reconnects   int
}

const demoThreads = 2 // of each test

func (d *demo) newWorkload(tests ...string) *workload {
	w := &workload{demo: d, broken: make(chan struct{}), ending: make(chan struct{})}
	for i, t := range tests {
		w.lanes = append(w.lanes, &lane{test: t, seconds: 4 + i})
	}
	return w
}

func (w *workload) tests() (names []string) {
	for _, l := range w.lanes {
		names = append(names, l.test)
	}
	return names
}

// start lets every test run; each has a goroutine that ends after stop or a failure.
func (w *workload) start(ctx context.Context) {
	ctx, w.cancel = context.WithCancel(ctx)
	for _, l := range w.lanes {
		w.done.Add(1)
		go func() {
			defer w.done.Done()
			if err := w.drive(ctx, l); err != nil {
				w.mu.Lock()
				w.err = errors.Join(w.err, err)
				w.mu.Unlock()
				w.once.broken.Do(func() { close(w.broken) })
			}
		}()
	}
}

// stop lets the rounds under way end, and returns what went wrong in any.
func (w *workload) stop() error {
	w.once.stop.Do(func() { close(w.ending) })
	w.done.Wait()
	w.cancel()
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}

// drive runs one round after the other.
func (w *workload) drive(ctx context.Context, l *lane) error {
	for {
		select {
		case <-w.ending:
			return nil
		case <-ctx.Done():
			return nil
		default:
		}
		out := &loadOutput{lane: l}
		p, err := w.demo.startSysbench(ctx, l.test, out, "--threads="+strconv.Itoa(demoThreads),
			"--time="+strconv.Itoa(l.seconds), "--report-interval=1", "run")
		if err != nil {
			return err
		}
		if err := p.wait(); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("%w\n%s", err, lastLines(out.text.String(), 8))
		}
		l.round(out.text.String())
	}
}

var (
	loadSecond       = regexp.MustCompile(`tps: ([\d.]+)`)
	loadTransactions = regexp.MustCompile(`transactions:\s+(\d+)`)
	loadIgnored      = regexp.MustCompile(`ignored errors:\s+(\d+)`)
	loadReconnects   = regexp.MustCompile(`reconnects:\s+(\d+)`)
)

// loadOutput reads what sysbench prints, as it comes.
type loadOutput struct {
	lane *lane
	text bytes.Buffer
	open []byte // the line that isn't complete yet
}

func (o *loadOutput) Write(p []byte) (int, error) {
	o.text.Write(p)
	o.open = append(o.open, p...)
	for {
		line, rest, ok := bytes.Cut(o.open, []byte("\n"))
		if !ok {
			return len(p), nil
		}
		o.open = rest
		if m := loadSecond.FindSubmatch(line); m != nil {
			rate, _ := strconv.ParseFloat(string(m[1]), 64)
			o.lane.second(rate)
		}
	}
}

// second notes the rate of a second.
func (l *lane) second(rate float64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rate = rate
	l.counting += int(rate)
}

// round adds the totals of a round that has ended.
func (l *lane) round(text string) {
	number := func(r *regexp.Regexp) int {
		m := r.FindStringSubmatch(text)
		if m == nil {
			return 0
		}
		n, _ := strconv.Atoi(m[1])
		return n
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.total.transactions += number(loadTransactions)
	l.total.ignored += number(loadIgnored)
	l.total.reconnects += number(loadReconnects)
	l.counting = 0
}

// now is the lane's rate, and its transactions so far.
func (l *lane) now() (float64, int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.rate, l.total.transactions + l.counting
}

// total is the sum over the tests, of the rounds that have ended.
func (w *workload) total() (t loadTotal) {
	for _, l := range w.lanes {
		l.mu.Lock()
		t.transactions += l.total.transactions
		t.ignored += l.total.ignored
		t.reconnects += l.total.reconnects
		l.mu.Unlock()
	}
	return t
}

// rate is the transactions a second of all tests.
func (w *workload) rate() (sum float64) {
	for _, l := range w.lanes {
		r, _ := l.now()
		sum += r
	}
	return sum
}

// failed counts what the application would have seen: sysbench ends at the first error that isn't a
// deadlock, and counts lost connections.
func (w *workload) failed() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := w.total().reconnects
	if w.err != nil {
		n++
	}
	return n
}

// text is the load's part of the live display.
func (w *workload) text() string {
	var b strings.Builder
	for i, l := range w.lanes {
		head := "load"
		if i > 0 {
			head = ""
		}
		rate, total := l.now()
		fmt.Fprintf(&b, "%-7s %-16s %5.0f transactions/s   %s so far\n", head, l.test, rate, thousands(int64(total)))
	}
	fmt.Fprintf(&b, "        errors %d   (%s)\n", w.failed(), time.Since(w.demo.began).Round(time.Second))
	return b.String()
}
