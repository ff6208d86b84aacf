package store

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Meter counts and times write transactions. Safe for concurrent use.
type Meter struct {
	mu       sync.Mutex
	total    Counts
	seconds  [window]second
	byEpoch  map[uint64]*hdrhistogram.Histogram
	observer func(epoch uint64, took time.Duration)
}

// Counts are what has been since the start.
type Counts struct {
	Writes     uint64 `json:"writes"`     // transactions that took place
	Statements uint64 `json:"statements"` // in them, those that write
	Retries    uint64 `json:"retries"`
	GivenUp    uint64 `json:"givenUp"`
}

// window is over how many whole seconds rates and latencies are shown.
const window = 10

type second struct {
	at                 int64 // Unix time
	writes, statements uint64
	took               *hdrhistogram.Histogram // of microseconds
}

func newHistogram() *hdrhistogram.Histogram { return hdrhistogram.New(1, 60_000_000, 2) }

func newMeter() *Meter { return &Meter{byEpoch: map[uint64]*hdrhistogram.Histogram{}} }

// Observe has fn called with each write's latency.
func (m *Meter) Observe(fn func(epoch uint64, took time.Duration)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.observer = fn
}

func (m *Meter) wrote(epoch uint64, took time.Duration, statements int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.total.Writes++
	m.total.Statements += uint64(statements)
	s := m.second(time.Now().Unix())
	s.writes++
	s.statements += uint64(statements)
	micros := min(max(took.Microseconds(), 1), 60_000_000)
	_ = s.took.RecordValue(micros)
	if m.byEpoch[epoch] == nil {
		m.byEpoch[epoch] = newHistogram()
	}
	_ = m.byEpoch[epoch].RecordValue(micros)
	if m.observer != nil {
		m.observer(epoch, took)
	}
}

func (m *Meter) second(at int64) *second {
	s := &m.seconds[at%window]
	if s.at != at {
		took := s.took
		if took == nil {
			took = newHistogram()
		}
		took.Reset()
		*s = second{at: at, took: took}
	}
	return s
}

func (m *Meter) retried() { m.mu.Lock(); m.total.Retries++; m.mu.Unlock() }
func (m *Meter) gaveUp()  { m.mu.Lock(); m.total.GivenUp++; m.mu.Unlock() }

// Latency is in milliseconds.
type Latency struct {
	P50 float64 `json:"p50"`
	P95 float64 `json:"p95"`
	P99 float64 `json:"p99"`
	Max float64 `json:"max"`
}

func latency(h *hdrhistogram.Histogram) Latency {
	ms := func(micros int64) float64 { return float64(micros) / 1000 }
	return Latency{ms(h.ValueAtQuantile(50)), ms(h.ValueAtQuantile(95)), ms(h.ValueAtQuantile(99)), ms(h.Max())}
}

// Reading is what a Meter shows: rates and latency of the last whole seconds, up to ten.
type Reading struct {
	Total               Counts         `json:"total"`
	WritesPerSecond     float64        `json:"writesPerSecond"`
	StatementsPerSecond float64        `json:"statementsPerSecond"`
	Latency             Latency        `json:"latency"`
	ByEpoch             []EpochReading `json:"byEpoch"`
}

// EpochReading is the latency of all writes of an epoch.
type EpochReading struct {
	Epoch   uint64  `json:"epoch"`
	Writes  int64   `json:"writes"`
	Latency Latency `json:"latency"`
}

// Read reads it.
func (m *Meter) Read() Reading {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := Reading{Total: m.total, ByEpoch: []EpochReading{}}
	all, now := newHistogram(), time.Now().Unix()
	for i := range m.seconds {
		// The present second isn't over.
		if s := &m.seconds[i]; s.took != nil && s.at < now && s.at >= now-window+1 {
			r.WritesPerSecond += float64(s.writes) / (window - 1)
			r.StatementsPerSecond += float64(s.statements) / (window - 1)
			all.Merge(s.took)
		}
	}
	r.Latency = latency(all)
	for epoch, h := range m.byEpoch {
		r.ByEpoch = append(r.ByEpoch, EpochReading{epoch, h.TotalCount(), latency(h)})
	}
	slices.SortFunc(r.ByEpoch, func(a, b EpochReading) int { return cmp.Compare(a.Epoch, b.Epoch) })
	return r
}
