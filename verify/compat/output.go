package compat

import (
	"encoding/json"
	"fmt"
	"io"
)

// Formats are the ways in which a report is written.
var Formats = []string{"text", "json", "github"}

// Write writes a report in one of the formats.
func (r *Report) Write(w io.Writer, format string, verbose bool) error {
	switch format {
	case "text":
		return r.Text(w, verbose)
	case "github":
		return r.GitHub(w)
	case "json":
		e := json.NewEncoder(w)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		return e.Encode(r)
	}
	return fmt.Errorf("no format %q: there are %v", format, Formats)
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
	for _, more := range []struct{ what, is string }{{"SQL: ", r.SQL}, {"See: ", r.Doc}} {
		if err == nil && more.is != "" {
			_, err = fmt.Fprintf(w, "%s%s\n", more.what, more.is)
		}
	}
	if err == nil && len(r.Errno) > 0 {
		_, err = fmt.Fprintf(w, "Server's error: %v\n", r.Errno)
	}
	return err
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
