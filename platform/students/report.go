package students

import (
	"fmt"
	"maps"
	"runtime"
	"syscall"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"changeover/platform/students/ledger"
)

// Report is what a run came to. Times are milliseconds.
type Report struct {
	Started    time.Time         `json:"started"`
	Seconds    float64           `json:"seconds"` // until the last outbox was empty
	Seed       uint64            `json:"seed"`
	URLs       []string          `json:"urls"`
	Pace       float64           `json:"pace"`
	Seats      int               `json:"seats"` // students at the peak
	AskedRuns  float64           `json:"askedRunsPerSecond"`
	Counts     Counts            `json:"counts"`
	Phases     []PhaseReport     `json:"phases"`
	Operations []OperationReport `json:"operations"`
	Samples    map[string]string `json:"samples"` // of each kind of failure and refusal, the first one's text
	Generator  Generator         `json:"generator"`
	Complaints []string          `json:"complaints"` // why the run failed; empty if it didn't
	Failures   []Failure         `json:"failures"`   // requests, the first thousand
	Flips      []Flip            `json:"flips"`      // changes of the writer
	Timeline   *Timeline         `json:"timeline"`
}

// OK tells whether the run was as it should be, on both sides.
func (r *Report) OK() bool { return len(r.Complaints) == 0 }

// Latency is a distribution in milliseconds, from the intended start to the answer; Service is of the
// answered try alone.
type Latency struct {
	P50 float64 `json:"p50"`
	P95 float64 `json:"p95"`
	P99 float64 `json:"p99"`
	Max float64 `json:"max"`
}

// PhaseReport is a part of the curve.
type PhaseReport struct {
	Phase               Phase   `json:"phase"`
	Seconds             float64 `json:"seconds"`
	RunsPerSecond       float64 `json:"runsPerSecond"`       // that were due in it and are acknowledged
	StatementsPerSecond float64 `json:"statementsPerSecond"` // write statements, about
	Run                 Latency `json:"run"`
	Writes              Latency `json:"writes"` // all that write
	Reads               Latency `json:"reads"`
	RunService          Latency `json:"runService"`
}

// OperationReport is one kind of operation in one phase.
type OperationReport struct {
	Phase   Phase       `json:"phase"`
	Kind    ledger.Kind `json:"kind"`
	Count   int64       `json:"count"`
	Latency Latency     `json:"latency"`
	Service Latency     `json:"service"`
}

// Generator is this program's own cost.
type Generator struct {
	CPUSeconds float64 `json:"cpuSeconds"`
	Cores      int     `json:"cores"`
	Share      float64 `json:"share"`      // of all cores' time, 0 to 1
	LateShare  float64 `json:"lateShare"`  // of the starts, late and dropped ones
	LateLimit  float64 `json:"lateLimit"`  // above it the run fails
	Goroutines int     `json:"goroutines"` // at the end
}

// lateLimit is the share of late and dropped starts above which the generator was too slow for its
// figures to mean anything.
const lateLimit = 0.001

func (l *Load) report(now time.Time) *Report {
	m := l.meter
	m.mu.Lock()
	defer m.mu.Unlock()
	r := &Report{Started: l.began.UTC(), Seconds: now.Sub(l.began).Seconds(), Seed: l.options.Seed, URLs: l.options.URLs,
		Pace: l.options.Pace, Seats: len(l.seats), AskedRuns: l.curve.Runs, Counts: m.counts.clone(), Samples: maps.Clone(m.sample),
		Failures: append([]Failure{}, m.failures...), Timeline: m.recorder.timeline()}
	r.Flips = r.Timeline.Flips()
	for p := range phases {
		r.phase(l, p)
	}
	cores := runtime.NumCPU()
	r.Generator = Generator{CPUSeconds: l.usage.cpu.Seconds(), Cores: cores,
		Share: l.usage.cpu.Seconds() / l.usage.wall.Seconds() / float64(cores), LateLimit: lateLimit, Goroutines: runtime.NumGoroutine()}
	if n := r.Counts.Starts; n > 0 {
		r.Generator.LateShare = float64(r.Counts.Late+r.Counts.Dropped) / float64(n)
	}
	r.complain(l.options.Strict)
	return r
}

func (r *Report) phase(l *Load, p Phase) {
	took := l.curve.length(p, l.clicked).Seconds()
	if took == 0 {
		return
	}
	m := l.meter
	in := func(pass func(ledger.Kind) bool) cell {
		return m.merged(func(q Phase, k ledger.Kind) bool { return q == p && pass(k) })
	}
	runs := in(func(k ledger.Kind) bool { return k == ledger.Run })
	writes := in(ledger.Kind.Writes)
	reads := in(func(k ledger.Kind) bool { return !k.Writes() })
	r.Phases = append(r.Phases, PhaseReport{Phase: p, Seconds: took,
		RunsPerSecond:       float64(runs.latency.TotalCount()) / took,
		StatementsPerSecond: float64(writes.statements) / took,
		Run:                 latencyOf(runs.latency), RunService: latencyOf(runs.service),
		Writes: latencyOf(writes.latency), Reads: latencyOf(reads.latency)})
	for _, k := range ledger.Kinds() {
		if c := m.cells[p][k]; c.latency != nil {
			r.Operations = append(r.Operations, OperationReport{p, k, c.latency.TotalCount(), latencyOf(c.latency), latencyOf(c.service)})
		}
	}
}

// length is how much of the curve until a time is the phase: a run may be interrupted.
func (c Curve) length(p Phase, until time.Duration) time.Duration {
	until = min(until, c.For)
	var surged time.Duration
	for _, s := range c.Surges {
		surged += max(0, min(until, s.From+s.For)-s.From)
	}
	ramp := min(c.Ramp, until)
	return map[Phase]time.Duration{Ramp: ramp, Surged: surged, Level: until - ramp - surged}[p]
}

func latencyOf(h *hdrhistogram.Histogram) Latency {
	at := func(q float64) float64 { return float64(h.ValueAtQuantile(q)) / 1000 }
	return Latency{at(50), at(95), at(99), float64(h.Max()) / 1000}
}

// complain says why the run failed. What the outbox has saved is no reason, unless that is asked for.
func (r *Report) complain(strict bool) {
	r.Complaints = []string{}
	add := func(format string, args ...any) { r.Complaints = append(r.Complaints, fmt.Sprintf(format, args...)) }
	c := r.Counts
	if g := r.Generator; g.LateShare > g.LateLimit {
		add("%d late and %d dropped of %d starts: the generator was too slow, its figures mean nothing", c.Late, c.Dropped, c.Starts)
	}
	if strict && c.FailedRequests > 0 {
		add("%d requests failed, even if the outbox has saved them", c.FailedRequests)
	}
	for why, n := range c.Refused {
		add("%d × %s: %s", n, why, r.Samples[why])
	}
	if c.Unacknowledged > 0 {
		add("%d operations were not answered when the run was over", c.Unacknowledged)
	}
	if c.Stale > 0 {
		add("%d reads missed a write that was acknowledged", c.Stale)
	}
	if c.Ahead > 0 {
		add("%d reads showed more than was written", c.Ahead)
	}
	if c.Runs == 0 {
		add("nothing was run")
	}
}

func (c Counts) clone() Counts {
	c.Failed, c.Refused = maps.Clone(c.Failed), maps.Clone(c.Refused)
	return c
}

// Snapshot is how a run is going.
type Snapshot struct {
	Elapsed             time.Duration
	Total               time.Duration
	Phase               Phase
	AskedRuns           float64 // a second, now
	RunsPerSecond       float64 // acknowledged in the last whole second
	StatementsPerSecond float64
	Writes              Latency // since the beginning
	Counts              Counts
	InFlight            int64 // sent, without an answer yet
	Failed              int64 // tries
	Refused             int64
}

// Now says how it is going; ok is false before the bell.
func (l *Load) Now() (s Snapshot, ok bool) {
	if !l.running.Load() {
		return Snapshot{}, false
	}
	m := l.meter
	m.mu.Lock()
	defer m.mu.Unlock()
	s = Snapshot{Elapsed: time.Since(l.began), Total: l.curve.For, Counts: m.counts.clone()}
	s.Phase, s.AskedRuns = l.curve.phase(s.Elapsed), l.curve.At(s.Elapsed)
	if last := m.second[int64(s.Elapsed/time.Second)-1]; last != nil {
		s.RunsPerSecond, s.StatementsPerSecond = float64(last.runs), float64(last.statements)
	}
	s.Writes = latencyOf(m.writes)
	for _, n := range s.Counts.Failed {
		s.Failed += n
	}
	for _, n := range s.Counts.Refused {
		s.Refused += n
	}
	s.InFlight = s.Counts.Sent - s.Counts.Acknowledged - s.Counts.Unacknowledged - s.Refused
	return s, true
}

// usage is the processor time of this process.
type usage struct {
	cpu, wall time.Duration
	began     time.Time
	before    time.Duration
}

func (u *usage) begin() { u.began, u.before = time.Now(), cpuTime() }
func (u *usage) end()   { u.wall, u.cpu = time.Since(u.began), cpuTime()-u.before }

func cpuTime() time.Duration {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		return 0
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}
