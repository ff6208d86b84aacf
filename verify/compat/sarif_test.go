package compat

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/owenrumney/go-sarif/v3/pkg/report/v210/sarif"
)

// validSARIF asks the standard's own schema: the types refuse members that it has not, the schema all else.
func validSARIF(text []byte) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&sarif.Report{}); err != nil {
		return err
	}
	log, err := sarif.FromBytes(text)
	if err != nil {
		return err
	}
	for _, run := range log.Runs { // the library writes members that are not there, and these not as the schema wants them
		run.NewlineSequences = append(run.NewlineSequences, "\n")
		run.Language, run.Tool.Driver.Language = "en", "en"
	}
	return log.Validate()
}

func sarifOf(t *testing.T, r *Report) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := r.SARIF(&b, true); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestSARIFIsValidByTheStandardsSchema(t *testing.T) {
	sql, err := os.ReadFile("testdata/mdb.sql")
	if err != nil {
		t.Fatal(err)
	}
	empty := &Report{SchemaVersion: 1}
	empty.finish(nil)
	for name, r := range map[string]*Report{
		"one that has everything":   whole(),
		"one that has nothing":      empty,
		"one of the real catalogue": check(t, text("testdata/mdb.sql", string(sql))),
	} {
		if err := validSARIF(sarifOf(t, r)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	good := string(sarifOf(t, whole()))
	for _, change := range [][2]string{{`"level": "note"`, `"level": "info"`}, {`"ruleIndex": 1`, `"ruleIndex": -2`}, {`"startLine": 7`, `"startLine": 0`}, {`"columnKind"`, `"columnType"`},
		{`"kind": "inSource"`, `"kind": "file"`}, {`"version": "2.1.0"`, `"version": "2"`}} {
		if bad := strings.Replace(good, change[0], change[1], 1); bad == good || validSARIF([]byte(bad)) == nil {
			t.Errorf("with %s the schema takes it: this test sees nothing", change[1])
		}
	}
}

// Code scanning of GitHub refuses a file as a whole for one result without a file or with an index that is none.
func TestEveryResultIsInAFileAndOfARule(t *testing.T) {
	about := func(r *Report) (uris []string) {
		log := &sarifLog{}
		if err := json.Unmarshal(sarifOf(t, r), log); err != nil {
			t.Fatal(err)
		}
		rules := log.Runs[0].Tool.Driver.Rules
		for _, x := range log.Runs[0].Results {
			if len(rules) <= x.RuleIndex || rules[x.RuleIndex].ID != x.RuleID {
				t.Errorf("%s has the index %d", x.RuleID, x.RuleIndex)
			}
			for _, l := range x.Locations {
				if l.PhysicalLocation.Region.StartLine < 1 {
					t.Errorf("%s: %+v", x.RuleID, l)
				}
				uris = append(uris, l.PhysicalLocation.ArtifactLocation.URI)
			}
		}
		return uris
	}
	for _, uri := range about(whole()) {
		if !strings.HasPrefix(uri, "migrations/") {
			t.Errorf("%q", uri)
		}
	}
	servers := whole() // no text at all: what the configuration names
	servers.anchor = ""
	for i := range servers.Findings {
		servers.Findings[i].Location, servers.Findings[i].near = nil, nil
	}
	if uri := about(servers)[0]; uri != "changeover.yaml" {
		t.Errorf("%q", uri)
	}
}

// GitHub refuses all of an execution that did not succeed, and shows suppressed results as open.
func TestSARIFIsTakenByCodeScanning(t *testing.T) {
	var b bytes.Buffer
	if err := whole().SARIF(&b, false); err != nil {
		t.Fatal(err)
	}
	log := &sarifLog{}
	if err := json.Unmarshal(b.Bytes(), log); err != nil {
		t.Fatal(err)
	}
	run := log.Runs[0]
	if !run.Invocations[0].ExecutionSuccessful || len(run.Invocations[0].ToolExecutionNotifications) != len(whole().Unchecked) || len(run.Results) != len(whole().Findings) {
		t.Errorf("%+v, %d results", run.Invocations, len(run.Results))
	}
	for _, x := range run.Results {
		if len(x.Suppressions) > 0 {
			t.Errorf("%+v", x)
		}
	}
}

// What a server has is shown where the migrations define it, and there only if they do.
func TestAFindingAboutAServerIsShownAtItsDefinition(t *testing.T) {
	in := folder(t, map[string]string{"1_a.up.sql": "CREATE TABLE pupils (id INT PRIMARY KEY);\nCREATE TABLE kept (id INT PRIMARY KEY);", "2_b.up.sql": "-- more\nALTER TABLE pupils ADD COLUMN name VARCHAR(9);",
		"3_c.up.sql": "CREATE TABLE other.pupils (id INT PRIMARY KEY, name TEXT);"})
	c := &checker{ctx: t.Context(), input: in, opts: Options{To: target(t)}, state: &state{tables: map[string]*table{}}, report: &Report{}}
	c.read()
	for object, want := range map[string]string{"school.pupils.name": "m/2_b.up.sql:2", "school.pupils.id": "m/1_a.up.sql:1", "school.kept": "m/1_a.up.sql:2", "kept": "m/1_a.up.sql:2", "pupils.name": "m/2_b.up.sql:2",
		"other.pupils.name": "m/3_c.up.sql:1", "school.pupils.gone": "m/1_a.up.sql:1", "school.nothing": "", "nothing": "", "": ""} {
		got := ""
		if l := c.definition(object); l != nil {
			got = strings.Join(strings.Split((&Finding{Location: l}).where(), ":")[:2], ":")
		}
		if got != want {
			t.Errorf("%s: %q, not %q", object, got, want)
		}
	}
	c.report.Findings = []Finding{{Rule: "CHS403", Severity: Warning, Object: "school.pupils.name", DetectedBy: []Means{Live}}, {Rule: "CHS403", Object: "school", DetectedBy: []Means{Live}}}
	c.anchor()
	if l := c.report.Findings[0].place(); l == nil || l.File != "m/2_b.up.sql" || c.report.anchor != "m/1_a.up.sql" || c.report.Findings[1].place() != nil {
		t.Errorf("%+v, %q", l, c.report.anchor)
	}
	live := InputOf(&Picture{Objects: []Object{{Kind: "table", Schema: "school", Name: "pupils", SQL: "CREATE TABLE pupils (id INT PRIMARY KEY)"}}})
	c = &checker{ctx: t.Context(), input: live, opts: Options{To: target(t)}, state: &state{tables: map[string]*table{}}, report: &Report{}}
	c.read()
	c.anchor()
	if l := c.definition("school.pupils.id"); l != nil || c.report.anchor != "" {
		t.Errorf("a server is no file: %+v, %q", l, c.report.anchor)
	}
}

// Names of files are relative to where the command runs, as those are that a repository knows.
func TestFilesAreNamedAsARepositoryDoes(t *testing.T) {
	t.Chdir(t.TempDir())
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]sarifArtifact{
		"a b/ü.sql":                         {"a%20b/%C3%BC.sql", "%SRCROOT%"},
		"./m/1.sql":                         {"m/1.sql", "%SRCROOT%"},
		"c:d.sql":                           {"./c:d.sql", "%SRCROOT%"},
		filepath.Join(dir, "m", "1.sql"):    {"m/1.sql", "%SRCROOT%"},
		filepath.Join(dir, "..", "x", "#1"): {"file://" + filepath.ToSlash(filepath.Dir(dir)) + "/x/%231", ""},
	} {
		if got := sarifFile(name); got != want {
			t.Errorf("%s: %+v, not %+v", name, got, want)
		}
	}
}

// JUnit's report can be read as XML whatever a schema has in it.
func TestJUnitIsWellFormedWhateverTheTextHas(t *testing.T) {
	r := whole()
	r.Findings[0].Message = "a\x00b\x1b]]> & <c> \xff\ufffe\u2028 \U0001F600"
	r.Unchecked[0].Reason = "\x07\"<"
	var b strings.Builder
	if err := r.JUnit(&b); err != nil {
		t.Fatal(err)
	}
	var suites junitSuites
	if err := xml.Unmarshal([]byte(b.String()), &suites); err != nil {
		t.Fatal(err)
	}
	d := xml.NewDecoder(strings.NewReader(b.String()))
	for {
		if _, err := d.Token(); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	tests, failures, skipped := 0, 0, 0
	for _, s := range suites.Suites {
		tests, failures, skipped = tests+len(s.Cases), failures+s.Failures, skipped+s.Skipped
	}
	if tests != suites.Tests || failures != suites.Failures || skipped != suites.Skipped || tests != len(r.rules)+2 || failures != 2 || skipped != 4 {
		t.Errorf("%d tests, %d failures, %d skipped of %+v", tests, failures, skipped, suites)
	}
	if !strings.Contains(b.String(), `a\x00b\x1b]]&gt; &amp; &lt;c&gt; `) {
		t.Error(b.String())
	}
}
