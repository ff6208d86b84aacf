package students

import (
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"changeover/platform/students/ledger"
)

// highest is the longest latency that a histogram tells apart; what takes longer counts as this.
const highest = 10 * time.Minute

// meter keeps what was measured. Its methods may be called by many goroutines.
type meter struct {
	mu     sync.Mutex
	cells  [phases][]cell          // by kind
	writes *hdrhistogram.Histogram // of all phases: what a display asks for each second
	second map[int64]*secondly
	counts Counts
	sample map[string]string // of each error, the first one's text
}

// cell is one kind in one phase.
type cell struct {
	latency *hdrhistogram.Histogram // from the intended start, microseconds
	service *hdrhistogram.Histogram // of the try that was answered, microseconds

	statements int64
}

// secondly is what was answered in a second of the run.
type secondly struct{ runs, statements int64 }

// Counts are the numbers of a run.
type Counts struct {
	Starts         int64            `json:"starts"`  // ticks that were due
	Sent           int64            `json:"sent"`    // operations, each once; what follows from a tick's answer included
	Late           int64            `json:"late"`    // sent more than 20 ms after they could be
	Dropped        int64            `json:"dropped"` // never sent
	Acknowledged   int64            `json:"acknowledged"`
	Unacknowledged int64            `json:"unacknowledged"` // sent, without a final answer when the run was over
	Retried        int64            `json:"retried"`        // operations that took more than one try
	Replayed       int64            `json:"replayed"`       // of those, the first try had been done
	Failed         map[string]int64 `json:"failed"`         // tries without a final answer, by why
	Refused        map[string]int64 `json:"refused"`        // final answers that should not have been, by code
	Stale          int64            `json:"stale"`          // reads that missed an acknowledged write
	Ahead          int64            `json:"ahead"`          // reads that showed more than was written
	Runs           int64            `json:"runs"`           // acknowledged
	Statements     int64            `json:"statements"`     // write statements of what was acknowledged, about
}

func newMeter() *meter {
	m := &meter{writes: newHistogram(), second: map[int64]*secondly{}, sample: map[string]string{}}
	m.counts.Failed, m.counts.Refused = map[string]int64{}, map[string]int64{}
	for p := range m.cells {
		m.cells[p] = make([]cell, len(ledger.Kinds())+1)
	}
	return m
}

func (m *meter) with(change func(c *Counts)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	change(&m.counts)
}

// answered records a final answer that is as it should be. statements is what the platform ran for it.
func (m *meter) answered(p Phase, k ledger.Kind, latency, service, at time.Duration, statements int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := &m.cells[p][k]
	if c.latency == nil {
		c.latency, c.service = newHistogram(), newHistogram()
	}
	observe(c.latency, latency)
	observe(c.service, service)
	c.statements += int64(statements)
	if k.Writes() {
		observe(m.writes, latency)
	}
	m.counts.Acknowledged++
	m.counts.Statements += int64(statements)
	s := m.second[int64(at/time.Second)]
	if s == nil {
		s = &secondly{}
		m.second[int64(at/time.Second)] = s
	}
	s.statements += int64(statements)
	if k == ledger.Run {
		m.counts.Runs++
		s.runs++
	}
}

// failed counts a try that must be repeated, and refused a final answer that should not have been.
func (m *meter) failed(why, text string) { m.note(m.counts.Failed, why, text) }

func (m *meter) refused(why, text string) { m.note(m.counts.Refused, why, text) }

func (m *meter) note(in map[string]int64, why, text string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	in[why]++
	if _, seen := m.sample[why]; !seen {
		m.sample[why] = text
	}
}

func newHistogram() *hdrhistogram.Histogram {
	return hdrhistogram.New(1, highest.Microseconds(), 3)
}

func observe(h *hdrhistogram.Histogram, d time.Duration) {
	_ = h.RecordValue(min(max(d.Microseconds(), 1), highest.Microseconds()))
}

// merged is the sum of the cells that pass.
func (m *meter) merged(pass func(Phase, ledger.Kind) bool) cell {
	sum := cell{latency: newHistogram(), service: newHistogram()}
	for p := range m.cells {
		for k, c := range m.cells[p] {
			if c.latency != nil && pass(Phase(p), ledger.Kind(k)) {
				sum.latency.Merge(c.latency)
				sum.service.Merge(c.service)
				sum.statements += c.statements
			}
		}
	}
	return sum
}
