package compat

import (
	"cmp"
	"embed"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"

	"github.com/goccy/go-yaml"

	"changeover/internal/server"
)

// Severity is how bad a finding is.
type Severity string

// The severities, from the worst.
const (
	Error   Severity = "error"   // it will not work, or not do the same
	Warning Severity = "warning" // it may not
	Info    Severity = "info"    // good to know
)

// rank orders severities: 0 is the worst.
func (s Severity) rank() int { return slices.Index([]Severity{Error, Warning, Info}, s) }

// AtLeast tells whether s is as bad as other, or worse.
func (s Severity) AtLeast(other Severity) bool { return s.rank() <= other.rank() }

// Means is a way to find something.
type Means string

// The means.
const (
	Static Means = "static" // the text of statements
	Live   Means = "live"   // a server's definitions, variables and grants
	Data   Means = "data"   // bounded questions about rows
	Run    Means = "run"    // statements are run on throwaway servers
)

// Rule is one rule of the catalogue, as rules/*.yaml has it.
type Rule struct {
	ID       string   `yaml:"id" json:"id"`
	Family   string   `yaml:"-" json:"family"`
	Title    string   `yaml:"title" json:"title"`
	Severity Severity `yaml:"severity" json:"severity"`
	// From are the flavors of the source to which it applies; empty: any.
	From []server.Flavor `yaml:"from" json:"from,omitempty"`
	// To are conditions on the target, all of which must hold: "aurora", "mysql", ">=8.4".
	To     []string  `yaml:"to" json:"to,omitempty"`
	Means  []Means   `yaml:"means" json:"means"`
	Finds  []Pattern `yaml:"finds" json:"-"`
	Remedy string    `yaml:"remedy" json:"remedy"`
	SQL    string    `yaml:"sql" json:"sql,omitempty"` // a remedy to copy
	Why    string    `yaml:"why" json:"why"`           // for --explain
	Doc    string    `yaml:"doc" json:"doc,omitempty"` // a page of the vendor's
	// Errno is what the server answers: one for each way in which it is found, or one for all.
	Errno []int `yaml:"errno" json:"errno,omitempty"`
	// Confirmed tells how: "mysql" if a test sees a stock server answer one of Errno to the fixtures, "doc" if only
	// the vendor says it, "live" if the test of a rule that no text shows sees a server answer so. Empty: it is said
	// here, and not tried.
	Confirmed string `yaml:"confirmed" json:"confirmed,omitempty"`
}

// Pattern is one way in which a rule finds something in a statement. Exactly one of its fields but In is set.
type Pattern struct {
	// Words are texts of tokens in a row; "…" in the middle passes any tokens outside of deeper parentheses.
	// A word in <> is a class: <name>, <string>, <number>.
	Words []string `yaml:"words"`
	// Begins are texts of tokens with which a statement begins.
	Begins []string `yaml:"begins"`
	// Types are data types of columns, in capitals.
	Types []string `yaml:"types"`
	// Functions are names before an opening parenthesis.
	Functions []string `yaml:"functions"`
	// Variables are the server's, in lower case, that a SET gives a value; also in a program.
	Variables []string `yaml:"variables"`
	// Option is an option of a table: its name, and the values that are meant (a "!" in front: all but these).
	Option *OptionPattern `yaml:"option"`
	// Check names a function of the table checks, which looks by the means of the rule, or says what it could not look at.
	Check string `yaml:"check"`
	// In restricts a pattern to statements of these kinds: table, program, event, view, query, change, account, set, other.
	In []string `yaml:"in"`
	// Says replaces the rule's title in the finding.
	Says string `yaml:"says"`
}

// OptionPattern is a pattern of a table's option.
type OptionPattern struct {
	Name   string   `yaml:"name"`
	Values []string `yaml:"values"`
	Not    []string `yaml:"not"`
}

// Family is a group of rules: one file.
type Family struct {
	Name  string `yaml:"family"`
	Title string `yaml:"title"`
	Rules []Rule `yaml:"rules"`
}

//go:embed rules/*.yaml
var ruleFiles embed.FS

// Families reads the catalogue, in the order of the rules' ids. It panics if the catalogue that was compiled in
// is not well formed: a test reads it.
var Families = sync.OnceValue(func() []Family {
	families, err := readFamilies(ruleFiles)
	if err != nil {
		panic(err)
	}
	return families
})

func readFamilies(files fs.FS) ([]Family, error) {
	names, err := fs.Glob(files, "rules/*.yaml")
	if err != nil {
		return nil, err
	}
	var families []Family
	for _, name := range names {
		text, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, err
		}
		var f Family
		if err := yaml.UnmarshalWithOptions(text, &f, yaml.Strict()); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		for i := range f.Rules {
			r := &f.Rules[i]
			r.Family = f.Name
			if err := r.valid(); err != nil {
				return nil, fmt.Errorf("%s: %s: %w", name, r.ID, err)
			}
		}
		// A family may have more than one file: the one that has its title comes before the others.
		if i := slices.IndexFunc(families, func(g Family) bool { return g.Name == f.Name }); i >= 0 {
			families[i].Title = cmp.Or(families[i].Title, f.Title)
			families[i].Rules = append(families[i].Rules, f.Rules...)
			continue
		}
		families = append(families, f)
	}
	for _, f := range families {
		slices.SortFunc(f.Rules, func(a, b Rule) int { return compareIDs(a.ID, b.ID) })
	}
	slices.SortFunc(families, func(a, b Family) int { return compareIDs(a.Rules[0].ID, b.Rules[0].ID) })
	return families, nil
}

// valid tells what is wrong with a rule.
func (r *Rule) valid() error {
	switch {
	case !strings.HasPrefix(r.ID, r.Family) || number(r.ID) == 0:
		return fmt.Errorf("an id is the family's name and a number")
	case r.Title == "" || r.Remedy == "" || r.Why == "":
		return fmt.Errorf("title, remedy and why are needed")
	case r.Severity.rank() < 0:
		return fmt.Errorf("no severity %q", r.Severity)
	case len(r.Means) == 0:
		return fmt.Errorf("means are needed")
	case len(r.Finds) == 0:
		return fmt.Errorf("it says not how it is found")
	}
	for _, p := range r.Finds {
		if p.Check != "" && checks[p.Check] == nil {
			return fmt.Errorf("no check %q", p.Check)
		}
	}
	return nil
}

// number is the number in a rule's id.
func number(id string) (n int) {
	for _, c := range id {
		if c >= '0' && c <= '9' {
			n = n*10 + int(c-'0')
		}
	}
	return n
}

// compareIDs orders ids by their numbers, which the families share.
func compareIDs(a, b string) int {
	if n := number(a) - number(b); n != 0 {
		return n
	}
	return strings.Compare(a, b)
}

// RuleByID finds a rule, in any case of letters.
func RuleByID(id string) (*Rule, bool) {
	families := Families()
	for i := range families {
		for j := range families[i].Rules {
			if r := &families[i].Rules[j]; strings.EqualFold(r.ID, id) {
				return r, true
			}
		}
	}
	return nil, false
}

// applies tells whether the rule is about this pair of servers; a flavor that is not known may be any.
func (r *Rule) applies(from server.Flavor, to *Profile) bool {
	if len(r.From) > 0 && from != "" && !slices.Contains(r.From, from) {
		return false
	}
	for _, condition := range r.To {
		if !to.meets(condition) {
			return false
		}
	}
	return true
}
