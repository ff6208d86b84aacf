package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"changeover/internal/config"
	"changeover/internal/sandbox"
	"changeover/internal/sandbox/sandboxtest"
	"changeover/verify"
)

// verified is a database on two servers, and a command line that compares it.
type verified struct {
	pair     *sandboxtest.Pair
	database string
	args     []string
}

func newVerified(t *testing.T) verified {
	t.Helper()
	pair := sandboxtest.NewPair(t)
	v := verified{pair: pair, database: pair.Database(t)}
	for _, p := range []struct {
		s *sandboxtest.Server
		a sandbox.Account
	}{{pair.Source, sandbox.Changeover}, {pair.Target, sandbox.Admin}} {
		if _, err := p.s.Password(p.a); err != nil { // makes the file
			t.Fatal(err)
		}
	}
	v.args = []string{"verify", "--once", "--recheck", "0", "--databases", v.database,
		"--source", fmt.Sprintf("changeover@127.0.0.1:%d", pair.Source.Port), "--source-password-file", pair.Source.PasswordFile(sandbox.Changeover),
		"--target", fmt.Sprintf("admin@127.0.0.1:%d", pair.Target.Port), "--target-password-file", pair.Target.PasswordFile(sandbox.Admin)}
	return v
}

// exec runs statements in the database of one server.
func (v verified) exec(t *testing.T, on *sandboxtest.Server, statements ...string) {
	t.Helper()
	on.Exec(t, append([]string{"USE " + v.database}, statements...)...)
}

func (v verified) both(t *testing.T, statements ...string) {
	t.Helper()
	v.exec(t, v.pair.Source, statements...)
	v.exec(t, v.pair.Target, statements...)
}

// runs runs the command line with more flags; no password is ever printed.
func (v verified) runs(t *testing.T, exit int, more ...string) (stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	if got := run(append(append([]string{}, v.args...), more...), &out, &errs); got != exit {
		t.Errorf("%q exits with %d, not %d:\n%s%s", more, got, exit, &out, &errs)
	}
	for _, s := range []*sandboxtest.Server{v.pair.Source, v.pair.Target} {
		for _, a := range []sandbox.Account{sandbox.Changeover, sandbox.Admin} {
			if password, err := s.Password(a); err == nil && strings.Contains(out.String()+errs.String(), password) {
				t.Errorf("%q prints a password", more)
			}
		}
	}
	return out.String(), errs.String()
}

const pupils = "CREATE TABLE pupils (id INT PRIMARY KEY, name TEXT, mail VARCHAR(99), photo VARBINARY(9))"

func TestVerifyTellsPeopleWhatDiffers(t *testing.T) {
	v := newVerified(t)
	v.both(t, pupils, "INSERT INTO pupils VALUES (1, 'Ann', 'ann@x.org', 'ab'), (2, 'Bob', NULL, NULL), (3, 'c', 'c', 'c')", "CREATE VIEW w AS SELECT 1 AS x",
		"CREATE TABLE log (line VARCHAR(50))", "INSERT INTO log VALUES ('a'), ('a')")
	out, errs := v.runs(t, 0)
	if !strings.Contains(out, "Equal: 5 rows of 2 tables compared in ") || !strings.Contains(out, "not compared: view "+v.database+".w") || errs != "" {
		t.Errorf("equal servers:\n%s%s", out, errs)
	}
	v.exec(t, v.pair.Source, "CREATE TABLE gone (a INT)")
	v.exec(t, v.pair.Target, "UPDATE pupils SET name = 'Änn x', mail = NULL, photo = 0x00ff WHERE id = 1", "DELETE FROM pupils WHERE id = 2",
		"INSERT INTO pupils (id) VALUES (4)", "UPDATE log SET line = 'b'")
	out, _ = v.runs(t, 1)
	want := strings.NewReplacer("DB", v.database, "SOURCE", fmt.Sprint(v.pair.Source.Port), "TARGET", fmt.Sprint(v.pair.Target.Port)).Replace(`source changeover@127.0.0.1:SOURCE
target admin@127.0.0.1:TARGET

DB.gone    –       no such table on the target
DB.log     2 rows  4 rows differ
DB.pupils  3 rows  3 rows differ
not compared: view DB.w

DB.log: 4 rows differ
  line=a: 2 on the source, 0 on the target
  line=b: 0 on the source, 2 on the target

DB.pupils: 3 rows differ
  id=1: name Ann → "Änn x", mail ann@x.org → NULL, photo ab → 0x00ff
  id=2: only on the source
  id=4: only on the target

Different: 7 rows of 2 tables, 1 table as a whole; 5 rows of 3 tables compared in `)
	if diff := cmp.Diff(want, out[:min(len(want), len(out))]); diff != "" {
		t.Errorf("it prints (-want +got):\n%s", diff)
	}
	if out, _ = v.runs(t, 1, "--limit", "1"); !strings.Contains(out, "and 2 more (--limit)") || strings.Count(out, "id=") != 1 {
		t.Errorf("at most one row:\n%s", out)
	}
}

func TestVerifysJSONHasTheFieldsThatAreDocumented(t *testing.T) {
	v := newVerified(t)
	v.both(t, pupils, "INSERT INTO pupils VALUES (1, 'Ann', 'ann@x.org', 'ab'), (2, 'Bob', NULL, NULL)", "CREATE VIEW w AS SELECT 1 AS x")
	v.exec(t, v.pair.Source, "CREATE TABLE gone (a INT)")
	v.exec(t, v.pair.Target, "UPDATE pupils SET mail = NULL, name = '0xA' WHERE id = 1", "DELETE FROM pupils WHERE id = 2")
	out, _ := v.runs(t, 1, "--json")
	var got map[string]any
	if err := json.Unmarshal([]byte(out), &got); err != nil {
		t.Fatal(err)
	}
	if _, err := time.Parse(time.RFC3339Nano, fmt.Sprint(got["began"])); err != nil {
		t.Error(err)
	}
	var want map[string]any
	text := strings.ReplaceAll(`{
		"verdict": "different", "source": "changeover@127.0.0.1:SOURCE", "target": "admin@127.0.0.1:TARGET", "began": "", "took_ms": 0,
		"rows_source": 2, "rows_target": 1, "rows_different": 2, "rows_unsettled": 0,
		"tables": [
			{"schema": "DB", "table": "gone", "verdict": "different", "reason": "no such table on the target", "rows_source": 0, "rows_target": 0,
				"rows_different": 0, "rows_unsettled": 0, "took_ms": 0, "differences": []},
			{"schema": "DB", "table": "pupils", "verdict": "different", "rows_source": 2, "rows_target": 1, "rows_different": 2, "rows_unsettled": 0, "took_ms": 0,
				"differences": [
					{"key": [{"column": "id", "value": "1"}], "rows_source": 1, "rows_target": 1, "columns": [
						{"column": "name", "source": "Ann", "target": "0x307841"}, {"column": "mail", "source": "ann@x.org", "target": null}]},
					{"key": [{"column": "id", "value": "2"}], "rows_source": 1, "rows_target": 0}]}],
		"not_compared": [{"schema": "DB", "name": "w", "kind": "view"}]}`, "DB", v.database)
	text = strings.NewReplacer("SOURCE", fmt.Sprint(v.pair.Source.Port), "TARGET", fmt.Sprint(v.pair.Target.Port)).Replace(text)
	if err := json.Unmarshal([]byte(text), &want); err != nil {
		t.Fatal(err)
	}
	got["began"], got["took_ms"] = "", 0.0
	for _, one := range got["tables"].([]any) {
		one.(map[string]any)["took_ms"] = 0.0
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the JSON differs (-want +got):\n%s", diff)
	}
}

func TestVerifyHidesValues(t *testing.T) {
	v := newVerified(t)
	v.both(t, pupils, "CREATE TABLE log (line VARCHAR(50))")
	v.exec(t, v.pair.Source, "INSERT INTO pupils VALUES (1, 'secret', NULL, NULL)", "INSERT INTO log VALUES ('secret')")
	v.exec(t, v.pair.Target, "INSERT INTO pupils VALUES (1, 'hidden', NULL, NULL)", "INSERT INTO log VALUES ('hidden')")
	for _, more := range [][]string{{"--hide-values"}, {"--hide-values", "--json"}} {
		out, errs := v.runs(t, 1, more...)
		if strings.Contains(out+errs, "secret") || strings.Contains(out+errs, "hidden") || !strings.Contains(out, "name") || !strings.Contains(out, "id") {
			t.Errorf("%v:\n%s%s", more, out, errs)
		}
	}
	if out, _ := v.runs(t, 1); !strings.Contains(out, "secret") {
		t.Errorf("without it there is no value either, so this tests nothing:\n%s", out)
	}
}

// A row that keeps changing is neither equal nor different.
func TestVerifyExitsWith2WhereRowsKeepChanging(t *testing.T) {
	v := newVerified(t)
	v.both(t, "CREATE TABLE t (id INT PRIMARY KEY, n BIGINT)", "INSERT INTO t VALUES (1, 1)")
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	db := v.pair.Target.DBIn(t, sandbox.Root, v.database)
	go func() { // ends with ctx
		defer close(done)
		for ctx.Err() == nil {
			_, _ = db.ExecContext(ctx, "UPDATE t SET n = n + 1")
		}
	}()
	out, errs := v.runs(t, 2, "--recheck", "200ms")
	stop()
	<-done
	if !strings.Contains(out, "Unsettled: rows of 1 table kept changing") || !strings.Contains(errs, "--consistent") {
		t.Errorf("%s%s", out, errs)
	}
}

func TestVerifyConnectsAsTheFlagsSay(t *testing.T) {
	v := newVerified(t)
	v.both(t, "CREATE TABLE t (id INT PRIMARY KEY)")
	password, err := v.pair.Source.Password(sandbox.Changeover)
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("VERIFY_SOURCE", password)
	v.runs(t, 0, "--source-password-file", "", "--source-password-env", "VERIFY_SOURCE")
	ca := filepath.Join(v.pair.Source.DataDir, "ca.pem")
	v.runs(t, 0, "--source-tls-mode", "verify-ca", "--source-tls-ca", ca)
	if _, errs := v.runs(t, 2, "--source-tls-mode", "verify-full", "--source-tls-ca", ca); !strings.Contains(errs, "CO-1012") {
		t.Errorf("a certificate without the name: %s", errs)
	}
	wrong := filepath.Join(t.TempDir(), "wrong.pw")
	if err := os.WriteFile(wrong, []byte("hunter2\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, errs := v.runs(t, 2, "--source-password-file", wrong); !strings.Contains(errs, "CO-1011") || strings.Contains(errs, "hunter2") || !strings.Contains(errs, "chmod 600") {
		t.Errorf("a wrong password, which others can read: %s", errs)
	}
	if _, errs := v.runs(t, 78, "--source-password-file", wrong+".not"); !strings.Contains(errs, "CO-1003") {
		t.Errorf("no password file: %s", errs)
	}
	if _, errs := v.runs(t, 2, "--consistent"); !strings.Contains(errs, "CO-1911") {
		t.Errorf("no replica: %s", errs)
	}
	if _, errs := v.runs(t, 2, "--databases", "misspelt"); !strings.Contains(errs, "CO-1013") {
		t.Errorf("no such database: %s", errs)
	}
}

func TestVerifyRefusesImpossibleCommandLines(t *testing.T) {
	for line, want := range map[string]string{
		"--source a@b": "--target must be USER@HOST:PORT",
		"--target a@b": "--source must be USER@HOST:PORT",
		"--source b:3306 --target a@b --databases x":                                               "--source must be USER@HOST:PORT",
		"--source a:hunter2@b --target a@b --databases x":                                          "--source takes no password",
		"--source mysql://a@b/hunter2 --target a@b --databases x":                                  "--source must be USER@HOST:PORT",
		"--source a@b:c --target a@b --databases x":                                                "the port is no number",
		"--source a@b:99999 --target a@b --databases x":                                            "--source's port is 99999",
		"--source a@b --target a@b":                                                                "--databases is missing",
		"--source a@b --target a@b --databases mysql":                                              `--databases is "mysql"`,
		"--source a@b --target a@b --databases x --tables y.z":                                     `--tables is "y.z", which matches none`,
		"--source a@b --target a@b --databases x --exclude z":                                      `--exclude is "z"; a pattern is database.table`,
		"--source a@b --target a@b --databases x --source-tls-ca f":                                "--source-tls-ca has no effect with mode preferred",
		"--source a@b --target a@b --databases x --target-tls-mode no":                             `--target-tls-mode is "no"`,
		"--source a@b --target a@b --databases x --source-password-file f --source-password-env E": "--source-password-env and --source-password-file are both set",
		"--source a@b --target a@b --databases x --parallel 0":                                     "--parallel is 0; it must be 1 to 64",
		"--source a@b --target a@b --databases x --share 101":                                      "--share is 101",
		"--source a@b --target a@b --databases x --recheck -1s":                                    "--recheck",
		"--source a@b --target a@b --databases x -c f.yaml":                                        "either --config or --source",
	} {
		var out, errs bytes.Buffer
		if got := run(append([]string{"verify"}, strings.Fields(line)...), &out, &errs); got != exitUsage {
			t.Errorf("%s exits with %d", line, got)
		}
		if !strings.Contains(errs.String(), want) || strings.Contains(errs.String(), "hunter2") || out.Len() > 0 || strings.Count(errs.String(), "\n") != 1 {
			t.Errorf("%s: %q is not in %s%s", line, want, &out, &errs)
		}
	}
}

func TestAServerIsReadFromTheCommandLine(t *testing.T) {
	for at, want := range map[string]config.Server{
		"app@db1:3307":     {User: "app", Host: "db1", Port: 3307},
		"app@db1":          {User: "app", Host: "db1", Port: 3306},
		"a@b@db1:1":        {User: "a@b", Host: "db1", Port: 1},
		"app@[::1]:3307":   {User: "app", Host: "::1", Port: 3307},
		"app@[::1]":        {User: "app", Host: "::1", Port: 3306},
		"app@192.0.2.1:33": {User: "app", Host: "192.0.2.1", Port: 33},
	} {
		got, err := (&sideFlags{at: at}).server("source")
		if err != nil || got != want {
			t.Errorf("%s is %+v, %v", at, got, err)
		}
	}
}

func TestTheScreenTellsHowFarItIs(t *testing.T) {
	var out bytes.Buffer
	s := newVerifyScreen(&out, zerolog.New(&out))
	p := verify.Progress{Tables: 3, TablesRead: 1, Table: verify.Name{Schema: "school", Table: "pupils"}, TableRows: 500, Expected: 1000, Rows: 1500, ExpectedRows: 4500, Suspects: 7}
	s.show(p, &rate{began: time.Now().Add(-time.Second)})
	var line struct {
		Table string  `json:"table"`
		Rows  int     `json:"rows"`
		Rate  float64 `json:"rows_per_second"`
		Left  string  `json:"left"`
	}
	if err := json.Unmarshal(out.Bytes(), &line); err != nil || line.Table != "school.pupils" || line.Rows != 1500 || line.Rate < 1000 || line.Rate > 1500 || line.Left != "2s" {
		t.Errorf("%s: %+v, %v", &out, line, err)
	}
	out.Reset()
	s.live = true
	s.show(p, &rate{began: time.Now().Add(-time.Second)})
	s.say("waits")
	if text := out.String(); !strings.Contains(text, "school.pupils: 500 of about 1,000 rows · 1 of 3 tables") || !strings.Contains(text, "7 looked at again\r\x1b[K{") {
		t.Errorf("%q", text)
	}
}

// What one second says of ten is forgotten after them.
func TestARateIsThatOfTheLastSeconds(t *testing.T) {
	now := time.Now()
	r := &rate{began: now.Add(-100 * time.Second), points: []ratePoint{{now.Add(-100 * time.Second), 0}, {now.Add(-20 * time.Second), 8000}, {now.Add(-10001 * time.Millisecond), 8000}}}
	if got := r.of(9000); got < 90 || got > 110 {
		t.Errorf("%.0f a second, want 100", got)
	}
}
