package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	"changeover/internal/sandbox"
	"changeover/internal/sandbox/sandboxtest"
)

// yamlBlock is one fenced block of YAML of a document.
var yamlBlock = regexp.MustCompile("(?ms)^```yaml\n(.*?)^```$")

// The commands of docs/check.md, of its workflow and of its hook are run here as they stand there, in a folder that looks
// like a repository, against servers that have a schema. What they find may be anything, but nothing fails.
func TestTheCommandsOfTheCheckPageWork(t *testing.T) {
	text, err := os.ReadFile("../../docs/check.md")
	if err != nil {
		t.Fatal(err)
	}
	dir, binary := checkRepository(t)
	shell := func(line string, env ...string) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
		defer cancel()
		cmd := exec.CommandContext(ctx, "sh", "-ec", line)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), append(env, "PATH="+filepath.Dir(binary)+":"+os.Getenv("PATH"))...)
		out := &bytes.Buffer{}
		cmd.Stdout, cmd.Stderr = out, out
		if err := cmd.Run(); err != nil && cmd.ProcessState.ExitCode() != exitNo {
			t.Errorf("%s: %v\n%s", line, err, out)
		}
		for _, word := range strings.Fields(line) { // --format sarif=check.sarif
			format, name, _ := strings.Cut(word, "=")
			if written, err := os.ReadFile(filepath.Join(dir, name)); name != "" && (err != nil || len(written) == 0) {
				t.Errorf("%s writes no %s: %v", line, format, err)
			}
		}
	}
	lines := 0
	for _, b := range block.FindAllSubmatch(text, -1) {
		for line := range strings.Lines(string(b[1])) {
			shell(strings.TrimSpace(line))
			lines++
		}
	}
	if lines < 10 {
		t.Errorf("the page has %d commands", lines)
	}
	workflows, hooks := 0, 0
	for _, b := range yamlBlock.FindAllSubmatch(text, -1) {
		if bytes.HasPrefix(b[1], []byte("- repo:")) {
			hooks++
			shell(hookOf(t, b[1]))
			continue
		}
		workflows++
		for _, line := range runsOf(t, b[1]) {
			summary := filepath.Join(t.TempDir(), "summary.md")
			shell(line, "GITHUB_ACTIONS=true", "GITHUB_STEP_SUMMARY="+summary)
			if md, err := os.ReadFile(summary); !strings.Contains(string(md), "### changeover check: ") {
				t.Errorf("%s: the step's summary is %q, %v", line, md, err)
			}
		}
	}
	if workflows != 1 || hooks != 1 {
		t.Errorf("%d workflows, %d hooks", workflows, hooks)
	}
}

// checkRepository makes a folder with the migrations, a configuration of two servers that have them, and the program
// where the workflow builds it.
func checkRepository(t *testing.T) (dir, binary string) {
	t.Helper()
	dir = t.TempDir()
	binary = filepath.Join(dir, "bin", "changeover")
	if out, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	if err := os.CopyFS(filepath.Join(dir, "migrations"), os.DirFS("../../migrations")); err != nil {
		t.Fatal(err)
	}
	pair := sandboxtest.NewPair(t, sandboxtest.Durable)
	database := pair.Database(t)
	pair.Source.Exec(t, "CREATE TABLE "+database+".pupils (id INT PRIMARY KEY, name VARCHAR(40))")
	files := map[string]string{}
	for side, get := range map[string]func() (string, error){
		"source": func() (string, error) { return pair.Source.Password(sandbox.Changeover) },
		"target": func() (string, error) { return pair.Target.Password(sandbox.Admin) },
	} {
		password, err := get()
		if err != nil {
			t.Fatal(err)
		}
		files[side+".pw"] = password
	}
	files["changeover.yaml"] = fmt.Sprintf(`migration: school
source: {host: 127.0.0.1, port: %d, user: changeover, password_file: source.pw}
target: {host: 127.0.0.1, port: %d, user: admin, password_file: target.pw}
databases: [%s]
`, pair.Source.Port, pair.Target.Port, database)
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir, binary
}

// runsOf are the commands of a workflow, but for the one that builds the program, which is built already.
func runsOf(t *testing.T, text []byte) (lines []string) {
	t.Helper()
	var workflow struct {
		On   any `yaml:"on"`
		Jobs map[string]struct {
			RunsOn string `yaml:"runs-on"`
			Steps  []struct {
				Uses string            `yaml:"uses"`
				If   string            `yaml:"if"`
				With map[string]string `yaml:"with"`
				Run  string            `yaml:"run"`
			} `yaml:"steps"`
		} `yaml:"jobs"`
		Name        string            `yaml:"name"`
		Permissions map[string]string `yaml:"permissions"`
	}
	if err := yaml.UnmarshalWithOptions(text, &workflow, yaml.Strict()); err != nil {
		t.Fatal(err)
	}
	for name, job := range workflow.Jobs {
		built := false
		for _, step := range job.Steps {
			switch run := strings.TrimSpace(step.Run); {
			case step.Uses != "" && run == "":
				if name := step.With["go-version-file"]; name != "" && name != "go.mod" {
					t.Errorf("the version of Go is in %s", name)
				}
			case run == "go build -o bin/ ./cmd/changeover":
				built = true
			case built && strings.HasPrefix(run, "bin/changeover check "):
				lines = append(lines, run)
			default:
				t.Errorf("%s: nobody has tried %+v", name, step)
			}
		}
	}
	return lines
}

// hookOf is the command of a pre-commit hook.
func hookOf(t *testing.T, text []byte) string {
	t.Helper()
	var repositories []struct {
		Repo  string `yaml:"repo"`
		Hooks []struct {
			ID            string `yaml:"id"`
			Name          string `yaml:"name"`
			Language      string `yaml:"language"`
			Entry         string `yaml:"entry"`
			PassFilenames bool   `yaml:"pass_filenames"`
			Files         string `yaml:"files"`
		} `yaml:"hooks"`
	}
	if err := yaml.UnmarshalWithOptions(text, &repositories, yaml.Strict()); err != nil {
		t.Fatal(err)
	}
	hook := repositories[0].Hooks[0]
	if files, err := regexp.Compile(hook.Files); err != nil || !files.MatchString("migrations/sql/0001_people.up.sql") || files.MatchString("migrations/titles.go") {
		t.Errorf("%s: %v", hook.Files, err)
	}
	return hook.Entry
}
