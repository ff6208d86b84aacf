package compat

import (
	"encoding/xml"
	"fmt"
	"io"
	"slices"
	"strings"
)

// The elements of JUnit's report, as runners of CI read it.
type (
	junitSuites struct {
		XMLName  xml.Name     `xml:"testsuites"`
		Name     string       `xml:"name,attr"`
		Tests    int          `xml:"tests,attr"`
		Failures int          `xml:"failures,attr"`
		Errors   int          `xml:"errors,attr"`
		Skipped  int          `xml:"skipped,attr"`
		Suites   []junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		Name     string      `xml:"name,attr"`
		Tests    int         `xml:"tests,attr"`
		Failures int         `xml:"failures,attr"`
		Errors   int         `xml:"errors,attr"`
		Skipped  int         `xml:"skipped,attr"`
		Time     string      `xml:"time,attr"` // some readers want it
		Cases    []junitCase `xml:"testcase"`
	}
	junitCase struct {
		Class   string        `xml:"classname,attr"`
		Name    string        `xml:"name,attr"`
		Time    string        `xml:"time,attr"`
		Skipped *junitSkipped `xml:"skipped"`
		Failure *junitFailure `xml:"failure"`
		Out     string        `xml:"system-out,omitempty"`
	}
	junitSkipped struct {
		Message string `xml:"message,attr"`
	}
	junitFailure struct {
		Type    string `xml:"type,attr"`
		Message string `xml:"message,attr"`
		Text    string `xml:",chardata"`
	}
)

// JUnit writes a report as one of tests: a suite for each family, a test for each rule that applies. A rule with errors
// fails; one that could not look is skipped; all others pass, and what they say stands in their output.
func (r *Report) JUnit(w io.Writer) error {
	all := junitSuites{Name: "changeover check"}
	known := map[string]bool{}
	for _, rule := range r.rules {
		known[rule.ID] = true
		all.add(rule.Family, r.junitCase(rule))
	}
	for _, u := range r.Unchecked { // what a server did not show, and exemptions of rules that do not apply
		if !known[u.Rule] {
			all.add("not applied", junitCase{Class: "changeover.check", Name: plain(u.name()), Time: "0", Skipped: &junitSkipped{plain("not checked: " + u.Reason)}})
		}
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	e := xml.NewEncoder(w)
	e.Indent("", "  ")
	if err := e.Encode(all); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

// add puts a test into the suite of that name, which is the last one or begins here.
func (all *junitSuites) add(name string, c junitCase) {
	if n := len(all.Suites); n == 0 || all.Suites[n-1].Name != name {
		all.Suites = append(all.Suites, junitSuite{Name: name, Time: "0"})
	}
	suite := &all.Suites[len(all.Suites)-1]
	suite.Cases = append(suite.Cases, c)
	suite.Tests++
	all.Tests++
	switch {
	case c.Failure != nil:
		suite.Failures++
		all.Failures++
	case c.Skipped != nil:
		suite.Skipped++
		all.Skipped++
	}
}

func (r *Report) junitCase(rule *Rule) junitCase {
	c := junitCase{Class: "changeover.check." + rule.Family, Name: plain(rule.ID + " " + rule.Title), Time: "0"}
	var errors, out, reasons []string
	for i := range r.Findings {
		switch f := &r.Findings[i]; {
		case f.Rule != rule.ID:
		case f.Severity == Error:
			errors = append(errors, f.line())
		default:
			out = append(out, f.line())
		}
	}
	for i := range r.Suppressed {
		if f := &r.Suppressed[i]; f.Rule == rule.ID {
			out = append(out, f.line()+" (suppressed: "+suppressionOf(f)+")")
		}
	}
	for _, u := range r.Unchecked {
		if u.Rule == rule.ID {
			reasons = append(reasons, strings.TrimSpace(u.Object+" "+u.Reason))
		}
	}
	switch {
	case len(errors) > 0:
		c.Failure = &junitFailure{Type: rule.ID, Message: plain(fmt.Sprintf("%s: %s", rule.Title, plural(len(errors), "finding"))), Text: plain(strings.Join(errors, "\n"))}
		for _, reason := range reasons { // a test has one outcome, and this one is worse
			out = append(out, "not checked: "+reason)
		}
	case len(reasons) > 0:
		c.Skipped = &junitSkipped{Message: plain("not checked: " + strings.Join(reasons, "; "))}
	}
	c.Out = plain(strings.Join(out, "\n"))
	return c
}

// line is all of a finding in one line.
func (f *Finding) line() string {
	parts := []string{string(f.Severity), f.where(), f.Object, f.sentence()}
	return strings.ReplaceAll(strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), " "), "\n", " ")
}
