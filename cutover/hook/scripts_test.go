package hook

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"changeover/cutover/hook/hooktest"
	"changeover/internal/fault"
)

// documented makes a hook of a script in docs/hooks.md, for which other programs are played by fakes in
// a folder of their own.
func documented(t *testing.T, first string, fakes map[string]string, replace ...string) (h Hook, log func() string) {
	t.Helper()
	dir := t.TempDir()
	t.Setenv("FAKES", dir)
	for name, text := range fakes {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	path := filepath.Join(dir, "hook.sh")
	if err := os.WriteFile(path, []byte(strings.NewReplacer(replace...).Replace(hooktest.Block(t, first))), 0o700); err != nil {
		t.Fatal(err)
	}
	h, err := New(Config{Name: "script", Exec: []string{path}, Timeout: 20 * time.Second, Environment: []string{"FAKES"}})
	if err != nil {
		t.Fatal(err)
	}
	return h, func() string {
		text, _ := os.ReadFile(filepath.Join(dir, "log"))
		_ = os.Remove(filepath.Join(dir, "log"))
		return string(text)
	}
}

func documentedEvent() Event {
	return Event{Migration: "school", Attempt: 3, Epoch: 2, Kind: "cutover", From: "source", To: "target",
		FromAddress: "old.example:3306", ToAddress: "school.cluster-abc.eu-central-1.rds.amazonaws.com:3306"}
}

func TestTheScriptForRoute53ChangesTheRecord(t *testing.T) {
	h, log := documented(t, "# route53.sh: a CNAME that applications connect to", map[string]string{
		"aws": `for a in "$@"; do printf '%s\n' "$a" >>"$FAKES/log"; done`})
	must(t, h.Check(t.Context()))
	if got := log(); !strings.Contains(got, "list-resource-record-sets") {
		t.Errorf("check asks %q", got)
	}
	must(t, h.Hold(t.Context(), documentedEvent()))
	must(t, h.Release(t.Context(), documentedEvent()))
	if got := log(); got != "" {
		t.Errorf("hold and release do %q", got)
	}
	must(t, h.Flip(t.Context(), documentedEvent()))
	got := log()
	_, batch, _ := strings.Cut(got, "--change-batch\n")
	var change struct {
		Changes []struct {
			Action            string
			ResourceRecordSet struct {
				Name, Type      string
				TTL             int
				ResourceRecords []struct{ Value string }
			}
		}
	}
	if err := json.Unmarshal([]byte(batch), &change); err != nil || len(change.Changes) != 1 {
		t.Fatalf("%v: %s", err, got)
	}
	c := change.Changes[0]
	if r := c.ResourceRecordSet; c.Action != "UPSERT" || r.Type != "CNAME" || r.TTL != 5 || len(r.ResourceRecords) != 1 ||
		r.ResourceRecords[0].Value != "school.cluster-abc.eu-central-1.rds.amazonaws.com" {
		t.Errorf("%+v", c)
	}
}

func TestTheScriptForRoute53FailsWithAWS(t *testing.T) {
	h, _ := documented(t, "# route53.sh: a CNAME that applications connect to", map[string]string{"aws": `echo AccessDenied >&2; exit 254`})
	for name, err := range map[string]error{"check": h.Check(t.Context()), "flip": h.Flip(t.Context(), documentedEvent())} {
		if !fault.Is(err, fault.HookFailed) || !strings.Contains(err.Error(), "AccessDenied") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The fake of ProxySQL's admin interface: three looks until nobody is inside any more.
const proxySQL = `echo "$*" >>"$FAKES/log"
case "$*" in
*ConnUsed*) echo x >>"$FAKES/looks"; [ "$(wc -l <"$FAKES/looks")" -ge 3 ] && echo 0 || echo 2 ;;
*runtime_mysql_servers*) cat "$FAKES/online" ;;
esac`

func TestTheScriptForProxySQLDrainsAndMoves(t *testing.T) {
	h, log := documented(t, "# proxysql.sh: ProxySQL before both servers", map[string]string{"mysql": proxySQL, "online": "", "looks": ""})
	online := filepath.Join(os.Getenv("FAKES"), "online")
	must(t, os.WriteFile(filepath.Join(os.Getenv("FAKES"), "looks"), nil, 0o600))
	for _, c := range []struct {
		servers string
		ok      bool
	}{{"1\n", true}, {"0\n", false}, {"2\n", false}} {
		must(t, os.WriteFile(online, []byte(c.servers), 0o600))
		if err := h.Check(t.Context()); (err == nil) != c.ok {
			t.Errorf("with %q servers online check says %v", c.servers, err)
		}
	}
	log()
	e := documentedEvent()
	must(t, h.Hold(t.Context(), e))
	got := log()
	if !strings.Contains(got, "OFFLINE_SOFT") || strings.Count(got, "ConnUsed") != 3 || !strings.Contains(got, "old.example") || strings.Contains(got, "DISK") {
		t.Errorf("hold: %s", got)
	}
	must(t, h.Flip(t.Context(), e))
	if got = log(); !strings.Contains(got, "hostname = 'school.cluster-abc.eu-central-1.rds.amazonaws.com', port = 3306") || !strings.Contains(got, "hostname = 'old.example' AND port = 3306") ||
		!strings.Contains(got, "TO RUNTIME") || strings.Contains(got, "'ONLINE'") {
		t.Errorf("flip: %s", got)
	}
	must(t, h.Release(t.Context(), e))
	if got = log(); !strings.Contains(got, "'ONLINE'") || !strings.Contains(got, "TO RUNTIME") || !strings.Contains(got, "TO DISK") {
		t.Errorf("release: %s", got)
	}
	if strings.Contains(got, "password") {
		t.Error("a password is in the arguments")
	}
}

func TestTheScriptsRefuseAStepThatTheyDontKnow(t *testing.T) {
	for _, first := range []string{"# route53.sh: a CNAME that applications connect to", "# proxysql.sh: ProxySQL before both servers"} {
		h, _ := documented(t, first, map[string]string{"mysql": "", "aws": ""})
		if err := h.(*script).run(t.Context(), "dance", documentedEvent()); !fault.Is(err, fault.HookFailed) || !strings.Contains(err.Error(), "dance") {
			t.Errorf("%s: %v", first, err)
		}
	}
}
