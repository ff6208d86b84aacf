package students

import (
	"net/http"
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

	recorder *recorder
	failures []Failure // the first ones
}

// Failure is a request that failed, as a client saw it: any 5xx, or a connection that was refused, lost
// or silent for too long. That the outbox has saved it later makes no difference.
type Failure struct {
	At      time.Time `json:"at"`
	Request string    `json:"request"`
	Why     string    `json:"why"`
	Text    string    `json:"text"`
}

// mostFailures is how many are kept; all are counted.
const mostFailures = 1000

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
	FailedRequests int64            `json:"failedRequests"` // all of Failed, and what was refused with a 5xx
	Stale          int64            `json:"stale"`          // reads that missed an acknowledged write
	Ahead          int64            `json:"ahead"`          // reads that showed more than was written
	Runs           int64            `json:"runs"`           // acknowledged
	Statements     int64            `json:"statements"`     // write statements of what was acknowledged, about
}

func newMeter() *meter {
	m := &meter{writes: newHistogram(), second: map[int64]*secondly{}, sample: map[string]string{}, recorder: newRecorder()}
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

// answer is a final one that is as it should be.
type answer struct {
	phase         Phase
	kind          ledger.Kind
	due, sent, at time.Time     // the click, the first try, the answer
	service       time.Duration // of the try that was answered
	elapsed       time.Duration // since the bell
	epoch         int64         // of the writer; 0: it was not said
	statements    int           // that the platform ran for it
}

func (m *meter) answered(a answer) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := &m.cells[a.phase][a.kind]
	if c.latency == nil {
		c.latency, c.service = newHistogram(), newHistogram()
	}
	latency := a.at.Sub(a.due)
	observe(c.latency, latency)
	observe(c.service, a.service)
	c.statements += int64(a.statements)
	if a.kind.Writes() {
		observe(m.writes, latency)
		m.recorder.acknowledged(a)
	} else {
		m.recorder.read(a)
	}
	m.counts.Acknowledged++
	m.counts.Statements += int64(a.statements)
	s := m.second[int64(a.elapsed/time.Second)]
	if s == nil {
		s = &secondly{}
		m.second[int64(a.elapsed/time.Second)] = s
	}
	s.statements += int64(a.statements)
	if a.kind == ledger.Run {
		m.counts.Runs++
		s.runs++
	}
}

// failed counts a try that must be repeated.
func (m *meter) failed(request, why, text string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.note(m.counts.Failed, why, text)
	m.request(Failure{time.Now().UTC(), request, why, text})
}

// refused counts a final answer that should not have been.
func (m *meter) refused(request string, status int, why, text string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.note(m.counts.Refused, why, text)
	if status >= http.StatusInternalServerError {
		m.request(Failure{time.Now().UTC(), request, why, text})
	}
}

// request counts one that failed in the strict sense.
func (m *meter) request(f Failure) {
	m.counts.FailedRequests++
	m.recorder.at(f.At).Failed++
	if len(m.failures) < mostFailures {
		m.failures = append(m.failures, f)
	}
}

// stale counts a read that missed an acknowledged write.
func (m *meter) stale(at time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.counts.Stale++
	m.recorder.at(at).Stale++
}

func (m *meter) note(in map[string]int64, why, text string) {
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
