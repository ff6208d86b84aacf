package config

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"changeover/internal/fault"
)

const good = `migration: school
source: {host: 127.0.0.1, port: 13306, user: changeover, password_file: source.pw}
target: {host: 127.0.0.1, port: 13307, user: admin, password_env: TARGET_PW}
databases: [school]
`

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "changeover.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestDefaultsAreFilledInAndPathsAreRelativeToTheFile(t *testing.T) {
	path := write(t, good)
	c, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Dir(path)
	want := Defaults()
	want.Migration, want.Databases, want.File = "school", []string{"school"}, path
	want.Source.Host, want.Source.Port, want.Source.User = "127.0.0.1", 13306, "changeover"
	want.Source.PasswordFile = filepath.Join(dir, "source.pw")
	want.Target.Host, want.Target.Port, want.Target.User = "127.0.0.1", 13307, "admin"
	want.Target.PasswordEnv = "TARGET_PW"
	want.Bus.Listen = "127.0.0.1:4222"
	want.StateDir = filepath.Join(dir, ".changeover", "school")
	if diff := cmp.Diff(want, *c); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestEveryKeyCanBeSet(t *testing.T) {
	text := `migration: school-2
source:
  host: db.example.com
  user: changeover
  password_env: PW
  tls: {mode: verify-full, ca: /etc/ca.pem, cert: c.pem, key: k.pem, server_name: db}
target: {host: "::1", port: 3307, user: admin}
databases:
  - school
  - "Über.db"
tables: {include: ["school.*"], exclude: ["school.tmp_*", "*.log"]}
copy: {workers: 64, chunk: 64KiB, rate: 20MiB}
apply: {workers: 1, memory: 33554432}
definers: {missing: auto}
cutover: {hold: 250ms, fence: accounts}
bus: {url: "nats://nats.example.com:4222"}
listen: "127.0.0.1:0"
state_dir: /var/lib/changeover
`
	c, err := Load(write(t, text))
	if err != nil {
		t.Fatal(err)
	}
	if c.Copy.Chunk != 64<<10 || c.Copy.Rate != 20<<20 || c.Apply.Memory != 32<<20 || c.Cutover.Hold != 250*time.Millisecond {
		t.Errorf("sizes: %+v %+v %+v", c.Copy, c.Apply, c.Cutover)
	}
	if c.Bus.Listen != "" || c.StateDir != "/var/lib/changeover" || c.Databases[1] != "Über.db" {
		t.Errorf("%+v", c)
	}
}

func TestUnknownKeysComeWithLineAndNearestKey(t *testing.T) {
	cases := map[string]struct {
		text string
		want []string
	}{
		"at the top":             {good + "databasess: [x]\n", []string{`:5: unknown key "databasess"; did you mean "databases"?`}},
		"nested":                 {good + "copy:\n  worker: 4\n  chunk: 1MiB\n", []string{`:6: unknown key "copy.worker"; did you mean "workers"?`}},
		"in a flow mapping":      {strings.Replace(good, "port: 13306", "prot: 13306", 1), []string{`:2: unknown key "source.prot"; did you mean "port"?`}},
		"with a dash":            {good + "state-dir: x\n", []string{`:5: unknown key "state-dir"; did you mean "state_dir"?`}},
		"in the wrong place":     {good + "memory: 64MiB\n", []string{`:5: unknown key "memory"; did you mean apply.memory?`}},
		"in several places":      {good + "workers: 4\n", []string{`did you mean copy.workers or apply.workers?`}},
		"unlike anything":        {good + "bus: {zzzzzzzzzzz: 1}\n", []string{`known keys here: listen, advertise, url`}},
		"a password in the file": {strings.Replace(good, "password_env: TARGET_PW", "password: hunter2", 1), []string{`unknown key "target.password"`}},
		"several at once":        {good + "aply: {}\ncopy: {chnk: 1MiB}\n", []string{`:5: unknown key "aply"`, `:6: unknown key "copy.chnk"`}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := Load(write(t, c.text))
			if !fault.Is(err, fault.ConfigUnknown) {
				t.Fatalf("got %v, want CO-1002", err)
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q is not in %q", want, err)
				}
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Error("a password was printed")
			}
		})
	}
}

func TestImpossibleValuesAreErrorsWithTheirLine(t *testing.T) {
	swap := func(old, new string) string { return strings.Replace(good, old, new, 1) }
	cases := map[string]struct{ text, want string }{
		"no migration":              {swap("migration: school", ""), "migration is missing"},
		"migration in capitals":     {swap("school\n", "School\n"), ":1: migration is \"School\""},
		"no host":                   {swap("host: 127.0.0.1, port: 13306", "port: 13306"), "source.host is missing"},
		"host with port":            {swap("host: 127.0.0.1, port: 13306", "host: 'db:3306'"), ":2: source.host is \"db:3306\"; the port goes into source.port"},
		"port 0":                    {swap("13306", "0"), ":2: source.port is 0; it must be 1 to 65535"},
		"port 65536":                {swap("13307", "65536"), ":3: target.port is 65536"},
		"port in words":             {swap("13307", "mysql"), `:3: target.port is wrong: "mysql" is not a whole number`},
		"no user":                   {swap("user: admin", "user: ''"), "target.user is missing"},
		"two passwords":             {swap("password_env: TARGET_PW", "password_env: A, password_file: b"), ":3: target.password_env and target.password_file are both set"},
		"no databases":              {swap("databases: [school]", ""), "databases is missing"},
		"system database":           {swap("[school]", "[school, MySQL]"), `:4: databases[1] is "MySQL", which belongs to the server`},
		"our own database":          {swap("[school]", "[_changeover]"), `databases[0] is "_changeover"`},
		"database twice":            {swap("[school]", "[school, school]"), "listed twice"},
		"database pattern":          {swap("[school]", "['scho*']"), "listed by name"},
		"databases not a list":      {swap("[school]", "school"), ":4: databases must be a list"},
		"workers 0":                 {good + "copy:\n  workers: 0\n", ":6: copy.workers is 0; it must be 1 to 64"},
		"workers 65":                {good + "apply: {workers: 65}\n", ":5: apply.workers is 65"},
		"chunk too small":           {good + "copy: {chunk: 65535}\n", "copy.chunk is 65535B; it must be 64KiB to 256MiB"},
		"chunk too large":           {good + "copy: {chunk: 257MiB}\n", "copy.chunk is 257MiB"},
		"chunk in decimal units":    {good + "copy: {chunk: 16MB}\n", `"16MB" is not a size`},
		"chunk negative":            {good + "copy: {chunk: -1MiB}\n", `"-1MiB" is not a size`},
		"memory too small":          {good + "apply: {memory: 31MiB}\n", "apply.memory is 31MiB; it must be 32MiB"},
		"memory overflows":          {good + "apply: {memory: 9999999999GiB}\n", "too large"},
		"pattern without a table":   {good + "tables: {exclude: [school]}\n", ":5: tables.exclude[0] is \"school\"; a pattern is database.table"},
		"pattern outside":           {good + "tables: {include: [other.t]}\n", "matches none of the databases school"},
		"tls mode":                  {swap("user: admin", "user: admin, tls: {mode: verify}"), `target.tls.mode is "verify"; it must be one of preferred, required`},
		"ca that is not looked at":  {swap("user: admin", "user: admin, tls: {ca: x}"), "target.tls.ca has no effect with mode preferred"},
		"certificate without a key": {swap("user: admin", "user: admin, tls: {mode: required, cert: x}"), "go together"},
		"hold too long":             {good + "cutover: {hold: 2s}\n", "cutover.hold is 2s; it must be 100ms to 1s"},
		"hold without a unit":       {good + "cutover: {hold: 2}\n", `"2" is not a duration`},
		"fence":                     {good + "cutover: {fence: barbed}\n", "cutover.fence is \"barbed\""},
		"definers":                  {good + "definers: {missing: drop}\n", "definers.missing is \"drop\""},
		"bus on the network":        {good + "bus: {listen: '0.0.0.0:4222'}\n", "bus.listen is \"0.0.0.0:4222\"; beyond loopback the bus needs bus.tls.cert"},
		"bus twice":                 {good + "bus: {listen: '127.0.0.1:1', url: 'nats://x:1'}\n", "both set"},
		"bus with a password":       {good + "bus: {url: 'nats://u:hunter2@x:1'}\n", "bus.url must not carry a password"},
		"bus with another scheme":   {good + "bus: {url: 'http://x:1'}\n", "bus.url must be nats://"},
		"listen without a port":     {good + "listen: localhost\n", "listen is \"localhost\"; it must be host:port"},
		"key twice":                 {good + "databases: [x]\n", "not valid YAML"},
		"nested key twice":          {good + "copy: {workers: 1, workers: 2}\n", "not valid YAML"},
		"a list at the top":         {"- a\n- b\n", "must be a mapping"},
		"a mapping for a value":     {swap("migration: school", "migration: {a: b}"), ":1: migration must be a single value"},
		"a value for a mapping":     {good + "copy: 4\n", ":5: copy must be a mapping"},
		"an alias":                  {good + "listen: &a '127.0.0.1:1'\nstate_dir: *a\n", "state_dir must be a single value"},
		"two documents":             {good + "---\n" + good, "2 YAML documents"},
		"empty":                     {"", "migration is missing"},
		"not YAML":                  {"a: [", "not valid YAML"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := Load(write(t, c.text))
			if !fault.Is(err, fault.Config) {
				t.Fatalf("got %v, want CO-1001", err)
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("%q is not in %q", c.want, err)
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Error("a password was printed")
			}
		})
	}
}

func TestAllProblemsComeAtOnceInTheOrderOfLines(t *testing.T) {
	_, err := Load(write(t, "migration: A\nsource: {port: 0}\nfoo: 1\ncopy: {workers: 0}\n"))
	problems, ok := err.(Problems)
	if !ok {
		t.Fatalf("%T %v", err, err)
	}
	// target.host, target.user, databases, source.host, source.user are missing and come first.
	if len(problems) != 9 {
		t.Errorf("%d problems:\n%v", len(problems), err)
	}
	for i := 1; i < len(problems); i++ {
		if problems[i].Line < problems[i-1].Line {
			t.Errorf("line %d after %d", problems[i].Line, problems[i-1].Line)
		}
	}
	if !fault.Is(err, fault.Config) || !fault.Is(err, fault.ConfigUnknown) {
		t.Error("both codes must be found in the error")
	}
}

func TestAMissingFileSaysWhich(t *testing.T) {
	_, err := Load("/nowhere/changeover.yaml")
	if !fault.Is(err, fault.Config) || !strings.Contains(err.Error(), "/nowhere/changeover.yaml") {
		t.Error(err)
	}
}

func TestPasswords(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "pw")
	if err := os.WriteFile(file, []byte("hunter2 \n"), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Setenv("CHANGEOVER_TEST_PW", "hunter3")
	for name, c := range map[string]struct {
		server Server
		want   string
		fails  bool
	}{
		"from a file, its newline dropped": {Server{PasswordFile: file}, "hunter2 ", false},
		"from the environment":             {Server{PasswordEnv: "CHANGEOVER_TEST_PW"}, "hunter3", false},
		"none":                             {Server{}, "", false},
		"file missing":                     {Server{PasswordFile: dir + "/no"}, "", true},
		"variable missing":                 {Server{PasswordEnv: "CHANGEOVER_TEST_NO"}, "", true},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := c.server.Password()
			if got.Reveal() != c.want || (err != nil) != c.fails {
				t.Errorf("got %q, %v", got.Reveal(), err)
			}
			if c.fails && !fault.Is(err, fault.Password) {
				t.Errorf("%v has no CO-1003", err)
			}
		})
	}
	c := Config{Source: Server{PasswordFile: file}}
	if w := c.Warnings(); len(w) != 1 || !strings.Contains(w[0], "chmod 600") {
		t.Errorf("warnings: %q", w)
	}
}

func TestASecretNeverPrints(t *testing.T) {
	s := Secret{"hunter2"}
	text, err := json.Marshal(map[string]any{"a": s, "b": &s, "c": []Secret{s}, "d": map[Secret]int{s: 1}})
	if err != nil {
		t.Fatal(err)
	}
	printed := string(text) + fmt.Sprintf("%v %+v %#v %s %q %v", s, s, s, s, s, struct{ S Secret }{s})
	if strings.Contains(printed, "hunter2") {
		t.Error(printed)
	}
}

func TestScope(t *testing.T) {
	c := Config{Databases: []string{"school"}, Tables: Tables{Include: []string{"school.a*", "*.b"}, Exclude: []string{"school.*_tmp", "*.a*z*q"}}}
	for name, want := range map[string]bool{
		"school.a": true, "school.abc": true, "school.b": true, "school.bc": false, "other.a": false,
		"school.a_tmp": false, "school.A": false, "school.azq": false, "school.azzq1": true, "school.a.b": true,
	} {
		db, table, _ := strings.Cut(name, ".")
		if got := c.InScope(db, table); got != want {
			t.Errorf("InScope(%s) = %v", name, got)
		}
	}
	for _, g := range []struct {
		pattern, s string
		want       bool
	}{{"*", "", true}, {"a*a", "a", false}, {"a*a", "aa", true}, {"*a*a*", "xaya", true}, {"a**b", "ab", true}} {
		if glob(g.pattern, g.s) != g.want {
			t.Errorf("glob(%q, %q) != %v", g.pattern, g.s, g.want)
		}
	}
}

func TestByteSizesReadWhatTheyWrite(t *testing.T) {
	for _, b := range []ByteSize{0, 1, 1023, 1024, 16 << 20, 3 << 30, 1<<63 - 1} {
		if got, err := ParseByteSize(b.String()); err != nil || got != b {
			t.Errorf("%d: %s, %d, %v", b, b, got, err)
		}
	}
}

func TestTheReferenceNamesEveryKey(t *testing.T) {
	text, err := os.ReadFile("../../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range keys(reflect.TypeFor[Config](), "") {
		if !strings.Contains(string(text), "`"+key+"`") && !strings.Contains(string(text), "`"+strings.Replace(key, "target.", "source.", 1)+"`") {
			t.Errorf("docs/configuration.md lacks `%s`", key)
		}
	}
}

func FuzzLoadNeverPanics(f *testing.F) {
	f.Add([]byte(good))
	f.Add([]byte(good + "copy: &a {chunk: 1MiB}\nbus: *a\n<<: *a\n"))
	f.Add([]byte("? [a]\n: b\n---\n!!int x: |\n y\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := parse(text, "f.yaml", "/tmp/f.yaml")
		if (c == nil) == (err == nil) {
			t.Fatal("either a configuration or an error")
		}
		if err != nil && err.Error() == "" {
			t.Fatal("an error without words")
		}
	})
}
