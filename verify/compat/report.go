package compat

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"

	"changeover/internal/server"
)

// Report is what a check found. Its JSON is documented in docs/check.md; fields are added, not changed.
type Report struct {
	SchemaVersion int         `json:"schema_version"`
	Source        Source      `json:"source"`
	Target        *Profile    `json:"target"`
	Findings      []Finding   `json:"findings"`
	Suppressed    []Finding   `json:"suppressed"`
	Unchecked     []Unchecked `json:"unchecked"`
	Summary       Summary     `json:"summary"`

	rules  []*Rule // all that applied, by their ids
	anchor string  // the first file; empty if there is none
}

// Source is what is known of the source: both may be empty.
type Source struct {
	Flavor  server.Flavor `json:"flavor,omitempty"`
	Version string        `json:"version,omitempty"`
}

// Summary counts.
type Summary struct {
	Error      int `json:"error"`
	Warning    int `json:"warning"`
	Info       int `json:"info"`
	Unchecked  int `json:"unchecked"`
	Suppressed int `json:"suppressed"`
	Clean      int `json:"clean"` // rules that looked, and found nothing
	Statements int `json:"statements"`
	Files      int `json:"files"`
}

// Finding is one place that a rule has something to say about.
type Finding struct {
	Rule       string    `json:"rule"`
	Severity   Severity  `json:"severity"`
	Object     string    `json:"object,omitempty"` // table, table.column, view, …
	Location   *Location `json:"location,omitempty"`
	Message    string    `json:"message"`
	Evidence   string    `json:"evidence,omitempty"`
	Remedy     Remedy    `json:"remedy"`
	DetectedBy []Means   `json:"detected_by"`
	// ServerError is what a throwaway server answered, where the rule was found by a real run.
	ServerError *ServerError `json:"server_error,omitempty"`
	Fingerprint string       `json:"fingerprint"`
	Suppression *Exemption   `json:"suppression,omitempty"`

	near *Location // where a text defines what a server has
}

// ServerError is an answer of a server.
type ServerError struct {
	Flavor  server.Flavor `json:"flavor"`
	Errno   int           `json:"errno"`
	Message string        `json:"message"`
}

// Location is a place in a file: lines and columns from 1, columns in characters.
type Location struct {
	File      string `json:"file"`
	Line      int    `json:"line"`
	Column    int    `json:"column"`
	EndLine   int    `json:"end_line"`
	EndColumn int    `json:"end_column"` // behind the last character
}

// Remedy is what to do.
type Remedy struct {
	Text string `json:"text"`
	SQL  string `json:"sql,omitempty"`
}

// Unchecked is a rule, or a part of the input, that was not looked at.
type Unchecked struct {
	Rule   string `json:"rule"`
	Object string `json:"object,omitempty"`
	Reason string `json:"reason"`
}

// fingerprint names a finding by what it is about, not by its line. whole is the evidence before it was cut.
func (f *Finding) fingerprint(whole string) string {
	h := sha256.New()
	for _, part := range []string{f.Rule, f.Object, strings.ToLower(strings.Join(strings.Fields(whole), " "))} {
		h.Write([]byte(part))
		h.Write([]byte{0})
	}
	return hex.EncodeToString(h.Sum(nil))[:20]
}

// finish puts a report in its order and counts.
func (r *Report) finish(rules []*Rule) {
	r.rules = rules
	order := func(a, b Finding) int {
		return cmp.Or(a.Severity.rank()-b.Severity.rank(), compareIDs(a.Rule, b.Rule), compareLocations(a.Location, b.Location),
			strings.Compare(a.Object, b.Object), strings.Compare(a.Message, b.Message))
	}
	slices.SortFunc(r.Findings, order)
	slices.SortFunc(r.Suppressed, order)
	slices.SortFunc(r.Unchecked, func(a, b Unchecked) int {
		return cmp.Or(compareIDs(a.Rule, b.Rule), strings.Compare(a.Object, b.Object), strings.Compare(a.Reason, b.Reason))
	})
	said := map[string]bool{}
	for _, f := range r.Findings {
		said[f.Rule] = true
		switch f.Severity {
		case Error:
			r.Summary.Error++
		case Warning:
			r.Summary.Warning++
		default:
			r.Summary.Info++
		}
	}
	for _, f := range r.Suppressed {
		said[f.Rule] = true
	}
	for _, u := range r.Unchecked {
		said[u.Rule] = true
	}
	r.Summary.Unchecked, r.Summary.Suppressed = len(r.Unchecked), len(r.Suppressed)
	for _, rule := range rules {
		if !said[rule.ID] {
			r.Summary.Clean++
		}
	}
	r.Findings, r.Suppressed, r.Unchecked = orEmpty(r.Findings), orEmpty(r.Suppressed), orEmpty(r.Unchecked)
}

// orEmpty is a list that JSON shows as [].
func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

func compareLocations(a, b *Location) int {
	if a == nil || b == nil {
		return cmp.Compare(btoi(a != nil), btoi(b != nil))
	}
	return cmp.Or(strings.Compare(a.File, b.File), a.Line-b.Line, a.Column-b.Column, a.EndLine-b.EndLine, a.EndColumn-b.EndColumn)
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// Worst tells whether a finding is at least as bad as s.
func (r *Report) Worst(s Severity) bool {
	return slices.ContainsFunc(r.Findings, func(f Finding) bool { return f.Severity.AtLeast(s) })
}
