package plan

import (
	"cmp"
	"encoding/json"
	"slices"
	"time"

	"changeover/internal/fault"
)

// Report is what plan found. Its JSON is documented in docs/plan.md and stable: fields are added,
// never renamed.
type Report struct {
	Migration string
	Source    About
	Target    About
	Findings  []Finding // blocks first, then decisions, then notes
	Summary   Summary
	Took      time.Duration
}

// About is what one side is.
type About struct {
	Address string // host:port
	User    string
	Flavor  string // empty if the side was not reached
	Version string
	Aurora  string // its version, empty elsewhere
	Account string // CURRENT_USER()
}

// Summary is how much there is to move.
type Summary struct {
	Tables   int
	Rows     int64 // the source's estimate
	Bytes    int64 // data and indexes, the source's estimate
	Largest  string
	Estimate time.Duration // of the copy, at Rate
	Rate     int64         // bytes a second, assumed
	Known    bool          // false: the source could not be asked, the numbers mean nothing
}

func newReport(f *Facts, findings []Finding, took time.Duration) *Report {
	r := &Report{Migration: f.Config.Migration, Findings: findings, Took: took}
	r.Source, r.Target = about(f.Source), about(f.Target)
	// A side whose password can't be read has no endpoint.
	r.Source.Address = cmp.Or(r.Source.Address, address(f.Config.Source.Host, f.Config.Source.Port))
	r.Target.Address = cmp.Or(r.Target.Address, address(f.Config.Target.Host, f.Config.Target.Port))
	r.Source.User, r.Target.User = f.Config.Source.User, f.Config.Target.User
	if f.Schema == nil {
		return r
	}
	rows, bytes := f.Schema.Size()
	r.Summary = Summary{Known: true, Tables: len(f.Schema.Tables), Rows: rows, Bytes: bytes, Estimate: f.estimate(), Rate: f.rate()}
	var largest int64 = -1
	for _, t := range f.Schema.Tables {
		if t.Bytes > largest {
			largest, r.Summary.Largest = t.Bytes, t.Name()
		}
	}
	return r
}

// Blocked tells whether run would refuse to start.
func (r *Report) Blocked() bool { return r.Count(Block) > 0 }

// Count counts the findings of a severity.
func (r *Report) Count(s Severity) int {
	n := 0
	for _, f := range r.Findings {
		if f.Severity == s {
			n++
		}
	}
	return n
}

// Blocking lists the findings that block.
func (r *Report) Blocking() []Finding {
	return slices.DeleteFunc(slices.Clone(r.Findings), func(f Finding) bool { return f.Severity != Block })
}

type aboutJSON struct {
	Address string `json:"address"`
	User    string `json:"user"`
	Flavor  string `json:"flavor,omitempty"`
	Version string `json:"version,omitempty"`
	Aurora  string `json:"aurora,omitempty"`
	Account string `json:"account,omitempty"`
}

type findingJSON struct {
	Code     fault.Code `json:"code"`
	Severity Severity   `json:"severity"`
	Side     Side       `json:"side,omitempty"`
	Object   string     `json:"object,omitempty"`
	Title    string     `json:"title"`
	Detail   string     `json:"detail"`
	Cause    string     `json:"cause,omitempty"`
	Remedy   string     `json:"remedy,omitempty"`
}

type summaryJSON struct {
	Tables          int     `json:"tables"`
	Rows            int64   `json:"rows"`
	Bytes           int64   `json:"bytes"`
	Largest         string  `json:"largest,omitempty"`
	EstimateSeconds float64 `json:"estimate_seconds"`
	AssumedRate     int64   `json:"assumed_bytes_per_second"`
}

type reportJSON struct {
	Migration string        `json:"migration"`
	Blocked   bool          `json:"blocked"`
	Source    aboutJSON     `json:"source"`
	Target    aboutJSON     `json:"target"`
	Findings  []findingJSON `json:"findings"`
	Summary   *summaryJSON  `json:"summary,omitempty"`
	TookMS    int64         `json:"took_ms"`
}

// MarshalJSON writes the documented form.
func (r *Report) MarshalJSON() ([]byte, error) {
	out := reportJSON{
		Migration: r.Migration, Blocked: r.Blocked(), TookMS: r.Took.Milliseconds(),
		Source: aboutJSON(r.Source), Target: aboutJSON(r.Target), Findings: []findingJSON{},
	}
	for _, f := range r.Findings {
		out.Findings = append(out.Findings, findingJSON{
			Code: f.Code, Severity: f.Severity, Side: f.Side, Object: f.Object,
			Title: f.Title(), Detail: f.Detail, Cause: f.Cause(), Remedy: f.WayOn(),
		})
	}
	if s := r.Summary; s.Known {
		out.Summary = &summaryJSON{s.Tables, s.Rows, s.Bytes, s.Largest, s.Estimate.Seconds(), s.Rate}
	}
	return json.Marshal(out)
}
