package compat

import (
	"cmp"
	"fmt"
	"io"
	"net/url"
	"path"
	"strings"
)

// These are the parts of SARIF 2.1.0 that a report has.
// https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/sarif-v2.1.0-errata01-os-complete.html
type (
	sarifLog struct {
		Schema  string     `json:"$schema"`
		Version string     `json:"version"`
		Runs    []sarifRun `json:"runs"`
	}
	sarifRun struct {
		Tool              sarifTool         `json:"tool"`
		AutomationDetails sarifAutomation   `json:"automationDetails"`
		Invocations       []sarifInvocation `json:"invocations"`
		ColumnKind        string            `json:"columnKind"`
		Results           []sarifResult     `json:"results"`
		Properties        sarifRunBag       `json:"properties"`
	}
	sarifRunBag struct {
		Source  Source   `json:"source"`
		Target  *Profile `json:"target"`
		Summary Summary  `json:"summary"`
	}
	sarifTool struct {
		Driver sarifDriver `json:"driver"`
	}
	sarifDriver struct {
		Name  string      `json:"name"`
		Rules []sarifRule `json:"rules"`
	}
	sarifAutomation struct {
		ID string `json:"id"`
	}
	sarifRule struct {
		ID                   string       `json:"id"`
		Name                 string       `json:"name"`
		ShortDescription     sarifText    `json:"shortDescription"`
		FullDescription      sarifText    `json:"fullDescription"`
		Help                 sarifText    `json:"help"`
		HelpURI              string       `json:"helpUri,omitempty"`
		DefaultConfiguration sarifLevel   `json:"defaultConfiguration"`
		Properties           sarifRuleBag `json:"properties"`
	}
	sarifRuleBag struct {
		Tags []string `json:"tags"`
	}
	sarifLevel struct {
		Level string `json:"level"`
	}
	sarifText struct {
		Text     string `json:"text"`
		Markdown string `json:"markdown,omitempty"`
	}
	sarifInvocation struct {
		ExecutionSuccessful        bool                `json:"executionSuccessful"`
		ToolExecutionNotifications []sarifNotification `json:"toolExecutionNotifications"`
	}
	sarifNotification struct {
		Level          string        `json:"level"`
		Message        sarifText     `json:"message"`
		AssociatedRule *sarifRuleRef `json:"associatedRule,omitempty"`
	}
	sarifRuleRef struct {
		ID    string `json:"id"`
		Index int    `json:"index"`
	}
	sarifResult struct {
		RuleID              string             `json:"ruleId"`
		RuleIndex           int                `json:"ruleIndex"`
		Level               string             `json:"level"`
		Message             sarifText          `json:"message"`
		Locations           []sarifLocation    `json:"locations"`
		PartialFingerprints map[string]string  `json:"partialFingerprints"`
		Suppressions        []sarifSuppression `json:"suppressions,omitempty"`
		Properties          sarifResultBag     `json:"properties"`
	}
	sarifResultBag struct {
		Object      string       `json:"object,omitempty"`
		Evidence    string       `json:"evidence,omitempty"`
		Remedy      Remedy       `json:"remedy"`
		DetectedBy  []Means      `json:"detected_by"`
		ServerError *ServerError `json:"server_error,omitempty"`
	}
	sarifLocation struct {
		PhysicalLocation sarifPhysical  `json:"physicalLocation"`
		LogicalLocations []sarifLogical `json:"logicalLocations,omitempty"`
	}
	sarifPhysical struct {
		ArtifactLocation sarifArtifact `json:"artifactLocation"`
		Region           sarifRegion   `json:"region"`
	}
	sarifArtifact struct {
		URI       string `json:"uri"`
		URIBaseID string `json:"uriBaseId,omitempty"`
	}
	sarifRegion struct {
		StartLine   int `json:"startLine"`
		StartColumn int `json:"startColumn,omitempty"`
		EndLine     int `json:"endLine,omitempty"`
		EndColumn   int `json:"endColumn,omitempty"`
	}
	sarifLogical struct {
		FullyQualifiedName string `json:"fullyQualifiedName"`
		Kind               string `json:"kind"`
	}
	sarifSuppression struct {
		Kind          string `json:"kind"`
		Status        string `json:"status"`
		Justification string `json:"justification"`
	}
)

// sarifLevels are SARIF's names of severities.
var sarifLevels = map[Severity]string{Error: "error", Warning: "warning", Info: "note"}

// SARIF writes a report for tools that show findings, such as a forge's code scanning. What was not checked is in
// notifications: an execution that is called unsuccessful for it would be refused by GitHub with all that it found.
// Suppressed findings are there if verbose: GitHub takes no notice of suppressions, and would show them as open.
func (r *Report) SARIF(w io.Writer, verbose bool) error {
	run := sarifRun{
		Tool:        sarifTool{sarifDriver{Name: "changeover check", Rules: []sarifRule{}}},
		ColumnKind:  "unicodeCodePoints",
		Invocations: []sarifInvocation{{ExecutionSuccessful: true, ToolExecutionNotifications: []sarifNotification{}}},
		Results:     []sarifResult{},
		Properties:  sarifRunBag{r.Source, r.Target, r.Summary},
	}
	if r.Target != nil { // reports about two targets stand beside each other
		run.AutomationDetails.ID = "changeover-check/" + r.Target.Name + "/"
	}
	index := map[string]int{}
	for i, rule := range r.rules {
		index[rule.ID] = i
		run.Tool.Driver.Rules = append(run.Tool.Driver.Rules, rule.sarif())
	}
	for i := range r.Findings {
		run.Results = append(run.Results, r.sarifResult(&r.Findings[i], index))
	}
	if verbose {
		for i := range r.Suppressed {
			run.Results = append(run.Results, r.sarifResult(&r.Suppressed[i], index))
		}
	}
	for _, u := range r.Unchecked {
		n := sarifNotification{Level: "warning", Message: sarifText{Text: plain(u.name() + " is not checked: " + u.Reason)}}
		if i, ok := index[u.Rule]; ok {
			n.AssociatedRule = &sarifRuleRef{u.Rule, i}
		}
		run.Invocations[0].ToolExecutionNotifications = append(run.Invocations[0].ToolExecutionNotifications, n)
	}
	return writeJSON(w, sarifLog{
		Schema:  "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json",
		Version: "2.1.0",
		Runs:    []sarifRun{run},
	})
}

func (r *Rule) sarif() sarifRule {
	s := sarifRule{ID: r.ID, Name: r.Title, ShortDescription: sarifText{Text: r.Title}, FullDescription: sarifText{Text: r.Why},
		DefaultConfiguration: sarifLevel{sarifLevels[r.Severity]}, HelpURI: r.Doc, Properties: sarifRuleBag{Tags: []string{r.Family}}}
	for _, m := range r.Means {
		s.Properties.Tags = append(s.Properties.Tags, string(m))
	}
	s.Help.Text = r.Why + " What to do: " + r.Remedy
	s.Help.Markdown = escapeMarkdown(r.Why) + "\n\n**What to do:** " + escapeMarkdown(r.Remedy)
	if r.SQL != "" {
		s.Help.Text += " " + r.SQL
		s.Help.Markdown += "\n\n```sql\n" + r.SQL + "\n```"
	}
	s.Help.Markdown += fmt.Sprintf("\n\n`changeover check --explain %s`, %s", r.ID, r.Page())
	return s
}

// Page is where the documentation of the rules has this one, from the root of the repository.
func (r *Rule) Page() string {
	return "docs/rules/" + r.Family + ".md#" + strings.ToLower(r.ID)
}

func (r *Report) sarifResult(f *Finding, index map[string]int) sarifResult {
	s := sarifResult{RuleID: f.Rule, RuleIndex: index[f.Rule], Level: sarifLevels[f.Severity], Message: sarifText{Text: plain(f.sentence())},
		Locations: []sarifLocation{r.sarifLocation(f)}, PartialFingerprints: map[string]string{"changeover/v1": f.Fingerprint},
		Properties: sarifResultBag{f.Object, f.Evidence, f.Remedy, f.DetectedBy, f.ServerError}}
	if e := f.Suppression; e != nil {
		kind := "external"
		if e.text {
			kind = "inSource"
		}
		s.Suppressions = []sarifSuppression{{kind, "accepted", e.Reason}}
	}
	return s
}

// sarifLocation is where a finding is shown. Code scanning of GitHub refuses a whole file for one result that is in no
// file, so what is about a server and defined in no text stands at the beginning of one.
func (r *Report) sarifLocation(f *Finding) sarifLocation {
	var s sarifLocation
	if l := f.place(); l != nil {
		s.PhysicalLocation = sarifPhysical{sarifFile(l.File), sarifRegion{l.Line, l.Column, l.EndLine, l.EndColumn}}
	} else {
		s.PhysicalLocation = sarifPhysical{sarifFile(cmp.Or(r.anchor, "changeover.yaml")), sarifRegion{StartLine: 1}}
	}
	if f.Object != "" {
		kind := "resource"
		if strings.Contains(f.Object, ".") {
			kind = "member"
		}
		s.LogicalLocations = []sarifLogical{{f.Object, kind}}
	}
	return s
}

// sarifFile names a file by a URI: from the root of the sources, if it lies below.
func sarifFile(name string) sarifArtifact {
	name = relative(name)
	if path.IsAbs(name) {
		return sarifArtifact{URI: (&url.URL{Scheme: "file", Path: name}).String()}
	}
	return sarifArtifact{URI: (&url.URL{Path: path.Clean(name)}).String(), URIBaseID: "%SRCROOT%"}
}
