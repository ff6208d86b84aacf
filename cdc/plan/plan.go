// Package plan says, before anything is changed, what stands between two servers and a migration.
//
// In: a configuration. Out: a Report with everything that blocks or needs a decision, at once.
// The decision that matters: looking and judging are apart. Facts are gathered once from both
// sides, writing nothing anywhere; each rule is a pure function over them, so that one fact that
// can't be had hides no other rule's finding.
package plan

import (
	"context"
	"slices"
	"time"

	"changeover/internal/config"
	"changeover/internal/fault"
)

// Severity says what a finding asks of the operator.
type Severity string

// The severities.
const (
	Block  Severity = "block"  // run refuses to start
	Decide Severity = "decide" // run starts; somebody should have decided that it may
	Note   Severity = "note"   // what will be done, or is good to know
)

// Side is the server that a finding is about; empty for one about both.
type Side string

// The sides.
const (
	Source Side = "source"
	Target Side = "target"
	Both   Side = ""
)

// Finding is one thing that blocks, needs a decision or is good to know.
type Finding struct {
	Code     fault.Code
	Severity Severity
	Side     Side
	Object   string // database, database.table, database.table.column, an account, or empty
	Detail   string // this time's particulars
	Remedy   string // what to do; empty: the catalogue's
}

// Title is the catalogue's name for the finding.
func (f Finding) Title() string { e, _ := fault.Lookup(f.Code); return e.Title }

// Cause is why it matters, from the catalogue.
func (f Finding) Cause() string { e, _ := fault.Lookup(f.Code); return e.Cause }

// WayOn is what to do about it.
func (f Finding) WayOn() string {
	if f.Remedy != "" {
		return f.Remedy
	}
	e, _ := fault.Lookup(f.Code)
	return e.Remedy
}

// Sides says which facts a check can't do without.
type Sides uint8

// What a check needs.
const (
	NeedsNothing Sides = iota
	NeedsSource
	NeedsTarget
	NeedsBoth
)

// Check is one rule. Run is pure: it only looks at the facts.
type Check struct {
	Name  string
	Needs Sides
	Run   func(*Facts) []Finding
}

// Run connects to both sides, gathers the facts and judges them. It writes nothing. A side that
// can't be reached is a finding, and the other is looked at all the same; an error means only that
// ctx ended.
func Run(ctx context.Context, cfg *config.Config) (*Report, error) {
	began := time.Now()
	facts := gather(ctx, cfg)
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return judge(facts, Checks(), time.Since(began)), nil
}

func judge(facts *Facts, checks []Check, took time.Duration) *Report {
	var findings []Finding
	for _, c := range checks {
		if facts.has(c.Needs) {
			findings = append(findings, c.Run(facts)...)
		}
	}
	sortFindings(findings)
	return newReport(facts, findings, took)
}

// severities in order, the worst first.
var severities = map[Severity]int{Block: 0, Decide: 1, Note: 2}

func sortFindings(findings []Finding) {
	slices.SortStableFunc(findings, func(a, b Finding) int {
		if d := severities[a.Severity] - severities[b.Severity]; d != 0 {
			return d
		}
		return int(a.Code) - int(b.Code)
	})
}

// Checks lists every rule, in the order in which an operator would ask.
func Checks() []Check {
	return slices.Concat(connectChecks(), versionChecks(), binlogChecks(), sourceChecks(), targetChecks(),
		privilegeChecks(), tableChecks(), objectChecks(), ruleChecks(), sizeChecks())
}
