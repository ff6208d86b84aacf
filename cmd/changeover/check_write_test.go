package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Within a GitHub workflow the report is text and annotations, and the step's summary is added to: other commands of the
// step have written there.
func TestWithinAWorkflowThereAreAnnotationsAndASummary(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	if err := os.WriteFile("schema.sql", []byte("CREATE TABLE a (id INT PRIMARY KEY);\nALTER TABLE a ADD COLUMN IF NOT EXISTS b INT;"), 0o600); err != nil {
		t.Fatal(err)
	}
	summary := filepath.Join(dir, "summary")
	if err := os.WriteFile(summary, []byte("before\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("GITHUB_ACTIONS", "true")
	t.Setenv("GITHUB_STEP_SUMMARY", summary)
	check := func(args ...string) (code int, stdout, stderr string) {
		var out, err bytes.Buffer
		code = run(append([]string{"check", "schema.sql"}, args...), &out, &err)
		return code, out.String(), err.String()
	}
	code, stdout, stderr := check()
	if code != exitNo || !strings.Contains(stdout, "✗ error   MDB203") || !strings.Contains(stdout, " · exit 1\n") || !strings.Contains(stdout, "\n::error file=schema.sql,line=2,") || strings.Contains(stdout, "\x1b[") {
		t.Errorf("%d\n%s%s", code, stdout, stderr)
	}
	code, stdout, stderr = check("--format", "sarif=check.sarif", "--format", "text", "--fail-on", "error")
	if code != exitNo || strings.Contains(stdout, "::error") {
		t.Errorf("%d\n%s%s", code, stdout, stderr)
	}
	if sarif, err := os.ReadFile("check.sarif"); err != nil || !strings.Contains(string(sarif), `"uri": "schema.sql"`) {
		t.Errorf("%s %v", sarif, err)
	}
	md, err := os.ReadFile(summary)
	if err != nil || !strings.HasPrefix(string(md), "before\n### changeover check") || strings.Count(string(md), "MDB203") != 2 {
		t.Errorf("%s %v", md, err)
	}

	// What is wrong is said before anything is written.
	code, stdout, stderr = check("--format", "text", "--format", "xml=x")
	if code != exitUsage || stdout != "" || !strings.Contains(stderr, "text, json, sarif, junit, github, markdown") {
		t.Errorf("%d\n%s%s", code, stdout, stderr)
	}
	code, _, stderr = check("--format", "json=no/folder/check.json", "--format", "text")
	if code != exitFailed || !strings.Contains(stderr, "no/folder/check.json") {
		t.Errorf("%d\n%s", code, stderr)
	}
	if code, _, stderr := check("--write-baseline", "old"); code != exitDone {
		t.Errorf("%d\n%s", code, stderr)
	}
	if code, stdout, _ := check("--baseline", "old", "--fail-on", "info"); code != exitDone {
		t.Errorf("%d\n%s", code, stdout)
	}
}
