package plan

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"

	"changeover/internal/config"
	"changeover/internal/fault"
	"changeover/verify/compat"
)

// pictures are both servers as changeover check sees them.
type pictures struct {
	source, target *compat.Picture
	profile        *compat.Profile // the target's
}

// picture looks at a server; nil if it does not have the databases, which is another rule's finding.
func picture(ctx context.Context, db *sql.DB, cfg *config.Config) (*compat.Picture, error) {
	p, err := compat.Look(ctx, db, compat.LookOptions{Databases: cfg.Databases})
	if fault.Is(err, fault.NoDatabase) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	p.Within(cfg.Databases, cfg.Tables.Match)
	return p, nil
}

// check asks the rules. A target without the databases yet is known by its profile.
func (p *pictures) check(ctx context.Context, f *Facts) *compat.Report {
	if p.source == nil || p.profile == nil {
		return nil
	}
	report, err := compat.Check(ctx, compat.InputOf(p.source), compat.Options{From: p.source.Flavor, To: p.profile, Source: p.source, Target: p.target, Families: asked()})
	f.Source.attempt("what changeover check says", func() error { return err })
	if report != nil {
		report.Findings = slices.DeleteFunc(report.Findings, p.translated)
	}
	return report
}

// translated tells whether a finding is about a table's MariaDB-only part: the copy puts those into MySQL's words, and
// plan says how. Views and programs are taken over as they are.
func (p *pictures) translated(x compat.Finding) bool {
	return strings.HasPrefix(x.Rule, "MDB") && !slices.ContainsFunc(p.source.Objects, func(o compat.Object) bool {
		return o.Kind != "table" && o.Kind != "sequence" && strings.EqualFold(o.Schema+"."+o.Name, x.Object)
	})
}

// asked are the families of rules that plan asks: all but those that are about files (MIG), and about two schemas that
// should be one (DIF), which they become.
func asked() (families []string) {
	for _, f := range compat.Families() {
		if !slices.Contains([]string{"MIG", "DIF"}, f.Name) {
			families = append(families, f.Name)
		}
	}
	return families
}

// told are rules, or what they say of one object, about which plan has findings of its own: those know more of
// this migration.
var told = map[string]fault.Code{
	"AUR101": fault.Engine, "CUT904": fault.Engine,
	"CHS401": fault.Translated, "CHS402": fault.Translated,
	"IDX501": fault.KeylessTable,
	"FK605":  fault.Cascade,
	"FK603":  fault.OutsideKey,
	"TYP315": fault.Headroom, "TYP316": fault.Headroom,
	"TBL511": fault.ReservedWords,
	"TBL512": fault.LetterCase,
	"PRG701": fault.Definer, "PRG712": fault.Definer,
	"PRG702":                    fault.TrustFunctions,
	"VAR801":                    fault.SQLMode,
	"VAR804 max_allowed_packet": fault.Packet,
	"VAR802":                    fault.TimeZone,
	"CUT901":                    fault.Triggers,
	"CUT902":                    fault.Events, "CUT926": fault.Events,
	"CUT903": fault.BinlogFormat,
	"CUT907": fault.PreparedXA,
	"CUT908": fault.TargetNotEmpty,
}

// certain are rules about tables that the copy can't create on the target: run would stop at the first.
var certain = []string{"TYP314"}

// most is how many objects a finding names.
const most = 5

// rules says which rules are broken: one finding for each and what it says. Errors are for somebody to decide about,
// since what a migration can't carry blocks by codes of its own; infos are left to changeover check.
func rules(f *Facts) (findings []Finding) {
	if f.Rules == nil {
		return nil
	}
	of := map[string][]compat.Finding{}
	var abouts []string
	for _, x := range f.Rules.Findings {
		if told[x.Rule] != 0 || told[x.Rule+" "+x.Object] != 0 || x.Severity == compat.Info {
			continue
		}
		about := x.Rule + " " + x.Message
		if of[about] == nil {
			abouts = append(abouts, about)
		}
		of[about] = append(of[about], x)
	}
	for _, about := range abouts {
		all, id := of[about], of[about][0].Rule
		finding := Finding{Code: fault.SchemaRule, Severity: Note, Detail: about, Object: all[0].Object,
			Remedy: id + ": " + all[0].Remedy.Text}
		var objects []string
		for _, x := range all {
			switch {
			case slices.Contains(certain, id):
				finding.Severity = Block
			case x.Severity == compat.Error:
				finding.Severity = Decide
			}
			if x.Object != "" && !slices.Contains(objects, x.Object) {
				objects = append(objects, x.Object)
			}
		}
		if n := len(objects); n > 1 {
			finding.Object = ""
			finding.Detail = fmt.Sprintf("%s: %s", about, list(objects[:min(n, most)]))
			if n > most {
				finding.Detail += fmt.Sprintf(" and %d more", n-most)
			}
		}
		findings = append(findings, finding)
	}
	return findings
}

func ruleChecks() []Check {
	return []Check{{"the rules of changeover check", NeedsBoth, rules}}
}
