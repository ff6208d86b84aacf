package compat

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"unicode"
)

// Formats are the ways in which a report is written.
var Formats = []string{"text", "json", "sarif", "junit", "github", "markdown"}

// Write writes a report in one of the formats. verbose shows suppressed findings too where they could be taken for others;
// json and junit always have them.
func (r *Report) Write(w io.Writer, format string, verbose bool) error {
	switch format {
	case "text":
		return r.Text(w, verbose)
	case "json":
		return writeJSON(w, r)
	case "sarif":
		return r.SARIF(w, verbose)
	case "junit":
		return r.JUnit(w)
	case "github":
		return r.GitHub(w)
	case "markdown":
		return r.Markdown(w, verbose)
	}
	return fmt.Errorf("no format %q: there are %v", format, Formats)
}

func writeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// Explain writes all that the catalogue says of a rule.
func (r *Rule) Explain(w io.Writer) error {
	from, to := "any source", ""
	if len(r.From) > 0 {
		from = fmt.Sprint(r.From)
	}
	if len(r.To) > 0 {
		to = fmt.Sprintf(", target %v", r.To)
	}
	_, err := fmt.Fprintf(w, "%s · %s · %s\n\n%s\n\nApplies to: %s%s. Found by: %v.\nWhat to do: %s\n", r.ID, r.Severity, r.Title, r.Why, from, to, r.Means, r.Remedy)
	errno := ""
	if len(r.Errno) > 0 {
		errno = fmt.Sprint(r.Errno)
	}
	for _, more := range []struct{ what, is string }{{"SQL: ", r.SQL}, {"See: ", r.Doc}, {"Server's error: ", errno}, {"Confirmed: ", r.ConfirmedBy()}} {
		if err == nil && more.is != "" {
			_, err = fmt.Fprintf(w, "%s%s\n", more.what, more.is)
		}
	}
	return err
}

// ConfirmedBy says in words who confirms that the rule is right.
func (r *Rule) ConfirmedBy() string {
	switch r.Confirmed {
	case "":
		return "not tried"
	case "mysql":
		return "a stock MySQL answers so in a test"
	case "live":
		return "a test sees it happen on real servers"
	case "doc":
		return "the vendor's documentation"
	}
	return r.Confirmed
}

// List writes the catalogue, a line for each rule.
func List(w io.Writer) error {
	for _, f := range Families() {
		if _, err := fmt.Fprintf(w, "%s: %s\n", f.Name, f.Title); err != nil {
			return err
		}
		for _, r := range f.Rules {
			if _, err := fmt.Fprintf(w, "  %-8s %-7s %s\n", r.ID, r.Severity, r.Title); err != nil {
				return err
			}
		}
	}
	return nil
}

// anchor gives each finding about a server the place in the migrations that has its object's definition, so that a
// review shows it there.
func (c *checker) anchor() {
	for _, f := range c.input.Files {
		if c.input.live[f] == nil {
			c.report.anchor = f.Name
			break
		}
	}
	for _, list := range [][]Finding{c.report.Findings, c.report.Suppressed} {
		for i := range list {
			if f := &list[i]; f.Location == nil {
				f.near = c.definition(f.Object)
			}
		}
	}
}

// definition is where the text defines an object that a server names "schema.table.column", "schema.table" or
// without the schema; nil if it does not.
func (c *checker) definition(object string) *Location {
	parts := strings.Split(object, ".")
	t := c.state.tables[keyOf("", parts[0])]
	if len(parts) > 1 {
		for _, schema := range []string{"", parts[0]} {
			if found := c.state.tables[keyOf(schema, parts[1])]; found != nil {
				t = found
			}
		}
	}
	if t == nil {
		return nil
	}
	by := t.made
	if column := t.column(parts[len(parts)-1]); column != nil && len(parts) > 1 {
		by = column.by
	}
	if by == nil || c.input.live[by.File] != nil {
		return nil
	}
	return locate(by.File, by.Start, by.End)
}

// place is where a review shows a finding: nil if no text has anything to do with it.
func (f *Finding) place() *Location {
	if f.Location != nil {
		return f.Location
	}
	return f.near
}

// where names a finding's place for people.
func (f *Finding) where() string {
	if l := f.Location; l != nil {
		return fmt.Sprintf("%s:%d:%d", l.File, l.Line, l.Column)
	}
	if len(f.DetectedBy) == 0 || f.DetectedBy[0] == Static {
		return "-"
	}
	return string(f.DetectedBy[0]) + ":"
}

// confirmation says what a server answered, empty if none was asked.
func (f *Finding) confirmation() string {
	if f.ServerError == nil {
		return ""
	}
	return fmt.Sprintf("%s answers %d", flavorName(string(f.ServerError.Flavor)), f.ServerError.Errno)
}

// sentence says what was found and what to do.
func (f *Finding) sentence() string {
	text := f.Message
	if said := f.confirmation(); said != "" {
		text += " (" + said + ")"
	}
	return text + ". Fix: " + f.Remedy.Text
}

// flavorName is how people write a flavor.
func flavorName(flavor string) string {
	if name, ok := map[string]string{"mysql": "MySQL", "mariadb": "MariaDB"}[flavor]; ok {
		return name
	}
	return flavor
}

// pair says what is compared with what.
func (r *Report) pair() string {
	source, target := "MySQL or MariaDB", "?"
	if r.Source.Flavor != "" {
		source = strings.TrimSpace(flavorName(string(r.Source.Flavor)) + " " + r.Source.Version)
	}
	if r.Target != nil {
		target = fmt.Sprintf("%s (%s)", r.Target.Name, r.Target.Version)
	}
	return source + " → " + target
}

// counts are the summary's words.
func (r *Report) counts() string {
	s := r.Summary
	parts := []string{plural(s.Error, "error"), plural(s.Warning, "warning"), plural(s.Info, "info"), fmt.Sprintf("%d suppressed", s.Suppressed),
		fmt.Sprintf("%d not checked", s.Unchecked), fmt.Sprintf("%s clean", plural(s.Clean, "rule"))}
	return strings.Join(parts, " · ")
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// uncheckedGroup are all that one reason keeps from being looked at.
type uncheckedGroup struct {
	reason string
	rules  []string // with their objects
}

// byReason puts together what was not checked for one reason, in the order of the first rule of each.
func (r *Report) byReason() (groups []uncheckedGroup) {
	at := map[string]int{}
	for _, u := range r.Unchecked {
		i, ok := at[u.Reason]
		if !ok {
			i = len(groups)
			at[u.Reason] = i
			groups = append(groups, uncheckedGroup{reason: u.Reason})
		}
		groups[i].rules = append(groups[i].rules, u.name())
	}
	return groups
}

// name is what was not checked: a rule, a rule at an object, or an object by any rule.
func (u *Unchecked) name() string {
	switch {
	case u.Object == "":
		return u.Rule
	case u.Rule == "":
		return u.Object
	}
	return u.Rule + " (" + u.Object + ")"
}

// plain is a text that a terminal, a log or an XML file may show: what stands in a schema might move a cursor, turn
// letters around or end an element. Ends of lines stay.
func plain(s string) string {
	const joiners = "\u200c\u200d" // letters of Hindi and Persian have them
	var b strings.Builder
	for _, c := range strings.ToValidUTF8(s, "\ufffd") {
		if unicode.IsPrint(c) || c == '\n' || strings.ContainsRune(joiners, c) {
			b.WriteRune(c)
			continue
		}
		b.WriteString(strings.Trim(strconv.QuoteRuneToASCII(c), "'"))
	}
	return b.String()
}

// relative is a file's name from the working directory, if it lies there: what shows a report knows files so.
func relative(name string) string {
	local := filepath.FromSlash(name)
	if !filepath.IsAbs(local) {
		return name
	}
	dir, err := os.Getwd()
	if err != nil {
		return name
	}
	if rel, err := filepath.Rel(dir, local); err == nil && filepath.IsLocal(rel) {
		return filepath.ToSlash(rel)
	}
	return name
}
