package compat

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"changeover/internal/sandbox"
	"changeover/internal/sandbox/sandboxtest"
)

// odd is a source whose variables are otherwise than those of the target.
func odd(t *testing.T) *sandboxtest.Server {
	return sandboxtest.MySQLSource(t, sandboxtest.Options("--sql-mode=ANSI_QUOTES,NO_ENGINE_SUBSTITUTION,STRICT_ALL_TABLES", "--default-time-zone=+02:00",
		"--character-set-server=latin1", "--collation-server=latin1_swedish_ci", "--init-connect=SET @secret = 'hush'", "--group-concat-max-len=4096", "--innodb-strict-mode=OFF", "--max-sort-length=2048",
		"--transaction-isolation=READ-COMMITTED", "--innodb-lock-wait-timeout=7", "--auto-increment-increment=3", "--wait-timeout=40000", "--tls-version=TLSv1.2,TLSv1.3",
		"--max-connections=501", "--binlog-row-image=MINIMAL", "--binlog-row-value-options=PARTIAL_JSON", "--binlog-expire-logs-seconds=3600", "--show-gipk-in-create-table-and-information-schema=OFF"))
}

func TestVariablesThatDiffer(t *testing.T) {
	source, target := odd(t), seen(t, sandboxtest.Target(t))
	database := source.Database(t)
	in(t, source, database, "SET sql_generate_invisible_primary_key = ON", "CREATE TABLE hidden (a INT)", "CREATE TABLE shown (my_row_id INT PRIMARY KEY)")
	p := seen(t, source, database)
	r := checkServers(t, p, target)
	for rule, want := range map[string][]string{
		"VAR801": {"error sql_mode.ANSI_QUOTES", "warning sql_mode.ERROR_FOR_DIVISION_BY_ZERO", "warning sql_mode.NO_ZERO_DATE", "warning sql_mode.NO_ZERO_IN_DATE", "warning sql_mode.ONLY_FULL_GROUP_BY"},
		"VAR802": {"warning time_zone"},
		"VAR803": {"warning character_set_server", "warning collation_server", "warning init_connect"},
		"VAR804": {"warning group_concat_max_len", "warning innodb_strict_mode", "warning max_sort_length"},
		"VAR805": {"warning auto_increment_increment", "warning innodb_lock_wait_timeout", "warning transaction_isolation"},
		"VAR806": {"warning wait_timeout"}, // of 501 connections the source had few
		"VAR808": {},
		"VAR809": {},
		"CUT903": {"error binlog_row_image", "error binlog_row_value_options", "warning binlog retention"},
		"TBL515": {"warning db.hidden.my_row_id"},
		"AUR115": {},
	} {
		if d := cmp.Diff(want, foundBy(r, rule, database)); d != "" {
			t.Errorf("%s: wanted (-), found (+):\n%s", rule, d)
		}
		if why := uncheckedBy(r, rule); len(why) > 0 {
			t.Errorf("%s is not checked: %q", rule, why)
		}
	}
	for _, f := range r.Findings {
		if strings.Contains(fmt.Sprintf("%+v", f), "hush") {
			t.Errorf("shows what init_connect has: %+v", f)
		}
	}

	stock := seen(t, sandboxtest.MySQLSource(t))
	r = checkServers(t, stock, target)
	for _, f := range r.Findings {
		if rule, _ := RuleByID(f.Rule); rule.Family == "VAR" || f.Rule == "CUT903" || f.Rule == "AUR115" {
			t.Errorf("two stock servers: %+v", f)
		}
	}
}

func TestAReportOfServersIsTheSameEachTime(t *testing.T) {
	source, target := seen(t, odd(t)), seen(t, sandboxtest.Target(t))
	var first []byte
	for range 4 {
		report, err := json.Marshal(checkServers(t, source, target))
		if err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = report
		}
		if d := cmp.Diff(string(first), string(report)); d != "" {
			t.Fatal(d)
		}
	}
}

// What no server of the tests can be set to is said of a picture of one.
func TestVariablesOfPictures(t *testing.T) {
	target := seen(t, sandboxtest.Target(t))
	maria, stock := seen(t, sandboxtest.MariaDBSource(t)), seen(t, sandboxtest.MySQLSource(t))
	mixed := *stock
	mixed.Objects = []Object{{Kind: "table", Schema: "shop", Name: "Orders"}}
	for _, x := range []struct {
		rule           string
		source, target *Picture
		want           []string
	}{
		{"VAR801", with(maria, map[string]string{"sql_mode": "ORACLE,PIPES_AS_CONCAT"}), with(target, map[string]string{"sql_mode": "STRICT_TRANS_TABLES"}), []string{"error sql_mode.ORACLE", "error sql_mode.PIPES_AS_CONCAT", "error sql_mode.STRICT_TRANS_TABLES"}},
		{"VAR801", with(stock, map[string]string{"sql_mode": "STRICT_ALL_TABLES"}), with(target, map[string]string{"sql_mode": ""}), []string{"error sql_mode.STRICT_TRANS_TABLES"}},
		{"VAR801", with(stock, map[string]string{"sql_mode": "STRICT_ALL_TABLES"}), with(target, map[string]string{"sql_mode": "STRICT_TRANS_TABLES"}), nil},
		{"VAR802", with(stock, map[string]string{"time_zone": "SYSTEM", "system_time_zone": "UTC"}), with(target, map[string]string{"time_zone": "+00:00"}), nil},
		{"VAR802", with(stock, map[string]string{"time_zone": "SYSTEM", "system_time_zone": "CEST"}), with(target, map[string]string{"time_zone": "SYSTEM", "system_time_zone": "UTC"}), []string{"warning time_zone"}},
		{"VAR802", with(stock, map[string]string{"time_zone": "Europe/Nowhere"}), with(target, map[string]string{"time_zone": "Europe/Nowhere"}), []string{"error time_zone.Europe/Nowhere"}},
		{"VAR803", with(stock, map[string]string{"character_set_server": "utf8", "collation_server": "utf8_general_ci"}), with(target, map[string]string{"character_set_server": "utf8mb3", "collation_server": "utf8mb3_general_ci"}), nil},
		{"VAR804", with(stock, map[string]string{"max_allowed_packet": "16777216"}), with(target, map[string]string{"max_allowed_packet": "4194304"}), []string{"warning max_allowed_packet"}},
		{"VAR804", with(stock, map[string]string{"max_allowed_packet": "4194304"}), with(target, map[string]string{"max_allowed_packet": "16777216"}), nil},
		{"VAR805", maria, target, []string{"warning innodb_autoinc_lock_mode"}},
		{"VAR806", stock, with(target, map[string]string{"max_connections": "0", "max_user_connections": "5"}), []string{"warning max_connections", "warning max_user_connections"}},
		{"VAR808", with(stock, map[string]string{"tls_version": "TLSv1,TLSv1.1,TLSv1.2", "require_secure_transport": "OFF"}), with(target, map[string]string{"tls_version": "TLSv1.2,TLSv1.3", "require_secure_transport": "ON"}), []string{"warning require_secure_transport", "warning tls_version"}},
		{"VAR809", maria, target, []string{"warning authentication"}},
		{"VAR809", with(maria, nil), with(target, map[string]string{"authentication_policy": "*:mysql_native_password,,"}), nil},
		{"CUT903", with(stock, map[string]string{"log_bin": "OFF"}), target, []string{"error log_bin"}},
		{"CUT903", with(maria, map[string]string{"binlog_format": "MIXED", "binlog_expire_logs_seconds": "0", "expire_logs_days": "0.5"}), target, []string{"error binlog_format", "warning binlog retention"}},
		{"CUT908", stock, with(target, map[string]string{"innodb_read_only": "ON", "read_only": "ON", "super_read_only": "ON"}), []string{"error innodb_read_only"}},
		{"CUT908", stock, with(target, map[string]string{"read_only": "ON"}), []string{"warning read_only"}},
		{"TBL512", with(stock, map[string]string{"lower_case_table_names": "1"}), target, []string{"warning lower_case_table_names"}},
		{"TBL512", &mixed, with(target, map[string]string{"lower_case_table_names": "1"}), []string{"error lower_case_table_names"}},
		{"TBL512", stock, target, nil},
		{"AUR115", with(stock, map[string]string{"innodb_page_size": "65536"}), target, []string{"warning innodb_page_size"}},
		{"AUR115", with(stock, map[string]string{"innodb_page_size": "4096"}), target, []string{"info innodb_page_size"}},
	} {
		r := checkServers(t, x.source, x.target)
		if d := cmp.Diff(append([]string{}, x.want...), foundBy(r, x.rule, "no database")); d != "" {
			t.Errorf("%s: wanted (-), found (+):\n%s", x.rule, d)
		}
	}
}

// What is not known of the target is not clean, and what it is is named.
func TestWhatAProfileDoesNotSayIsNotChecked(t *testing.T) {
	source := seen(t, sandboxtest.MariaDBSource(t))
	bare := &Profile{Name: "bare", Version: "8.0.39", Aurora: true, Variables: map[string]string{"wait_timeout": "1"}}
	r := check(t, InputOf(source), func(o *Options) { o.Source, o.To = source, bare })
	for rule, want := range map[string]string{
		"VAR801": "sql_mode", "VAR802": "time_zone", "VAR803": "default_collation_for_utf8mb4", "VAR804": "group_concat_max_len", "VAR805": "transaction_isolation",
		"VAR806": "max_connections", "VAR808": "tls_version", "VAR809": "authentication_policy", "CHS408": "collations", "TBL512": "lower_case_table_names",
		"CUT901": "target", "CUT902": "target", "CUT906": "target", "CUT908": "target", "CHS404": "target", "CHS406": "target", "PRG701": "target",
	} {
		if why := strings.Join(uncheckedBy(r, rule), "\n"); !strings.Contains(why, want) {
			t.Errorf("%s: not checked is %q, without %q", rule, why, want)
		}
	}
	if got := foundBy(r, "VAR806", "no database"); !slices.Equal(got, []string{"warning wait_timeout"}) {
		t.Errorf("what the profile does say: %q", got)
	}

	source.Probe = nil
	r = check(t, InputOf(source), func(o *Options) { o.Source, o.Target, o.From = source, source, source.Flavor })
	for _, rule := range []string{"VAR806", "CUT907", "CUT908", "CUT931", "CUT932", "PRG710", "PRG711", "AUR116", "TYP302", "TYP303", "TYP313", "MDB221", "CHS404", "CHS409", "FK606"} {
		if why := strings.Join(uncheckedBy(r, rule), "\n"); !strings.Contains(why, "leave") {
			t.Errorf("%s without leave to ask: not checked is %q", rule, why)
		}
	}
}

// Tables of golang-migrate on both servers, and a folder with another version.
func TestVersionsOfMigrations(t *testing.T) {
	folder := folder(t, map[string]string{"1_a.up.sql": "SELECT 1;\n", "2_b.up.sql": "SELECT 1;\n", "3_c.up.sql": "SELECT 1;\n"})
	source, target := sandboxtest.MySQLSource(t), sandboxtest.Target(t)
	for _, x := range []struct {
		name, source, target string
		want                 []string
	}{
		{"all have run", "3, 0", "3, 0", nil},
		{"one is dirty", "3, 0", "3, 1", []string{"error db.schema_migrations target: version 3"}},
		{"one is to come", "2, 0", "2, 0", []string{"warning db.schema_migrations source: version 2", "warning db.schema_migrations target: version 2"}},
		{"the servers differ", "3, 0", "2, 0", []string{"error db.schema_migrations source 3, target 2", "warning db.schema_migrations target: version 2"}},
		{"the files are older", "4, 0", "4, 0", []string{"warning db.schema_migrations source: version 4", "warning db.schema_migrations target: version 4"}},
		{"nothing has run on the target", "3, 0", "", []string{"error db.schema_migrations source 3, target 0", "warning db.schema_migrations target: version 0"}},
	} {
		t.Run(x.name, func(t *testing.T) {
			database := source.Database(t)
			target.Exec(t, "CREATE DATABASE "+database)
			t.Cleanup(func() { target.Exec(t, "DROP DATABASE "+database) })
			for s, row := range map[*sandboxtest.Server]string{source: x.source, target: x.target} {
				in(t, s, database, "CREATE TABLE schema_migrations (version BIGINT NOT NULL PRIMARY KEY, dirty BOOL NOT NULL)", "CREATE DATABASE IF NOT EXISTS "+database)
				if row != "" {
					in(t, s, database, "INSERT INTO schema_migrations VALUES ("+row+")")
				}
			}
			r := check(t, folder, func(o *Options) { o.Source, o.Target = seen(t, source, database), seen(t, target, database) })
			got := []string{}
			for _, f := range r.Findings {
				if f.Rule == "CUT905" {
					got = append(got, strings.ReplaceAll(fmt.Sprintf("%s %s %s", f.Severity, f.Object, f.Evidence), database, "db"))
				}
			}
			if d := cmp.Diff(append([]string{}, x.want...), got); d != "" {
				t.Errorf("wanted (-), found (+):\n%s", d)
			}
		})
	}
}

// session is a session of an account, which ends with the test.
func session(t *testing.T, db *sql.DB, statements ...string) *sql.Conn {
	t.Helper()
	conn, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	for _, q := range statements {
		if _, err := conn.ExecContext(t.Context(), q); err != nil {
			t.Fatalf("%s: %v", q, err)
		}
	}
	return conn
}

func TestOpenTransactionsAreSeen(t *testing.T) {
	for name, s := range map[string]*sandboxtest.Server{"MySQL": sandboxtest.MySQLSource(t), "MariaDB": sandboxtest.MariaDBSource(t)} {
		t.Run(name, func(t *testing.T) {
			database := s.Database(t)
			in(t, s, database, "CREATE TABLE t (id INT PRIMARY KEY)")
			p := seen(t, s, database)
			open := func(age time.Duration) []string {
				c := &checker{ctx: t.Context(), opts: Options{Source: p}, report: &Report{}, rule: &Rule{ID: "CUT907"}}
				got := []string{}
				c.openFor(age, func(h hit) { got = append(got, h.object) })
				if p.Flavor == "mysql" && len(c.report.Unchecked) > 0 {
					t.Errorf("not checked: %+v", c.report.Unchecked)
				}
				return got
			}
			conn := session(t, s.DBIn(t, sandbox.Root, database), "SELECT GET_LOCK('changeover', 0)", "XA START 'x'", "INSERT INTO t VALUES (1)")
			want := []string{"long transactions"}
			if p.Flavor == "mysql" {
				want = append(want, "locks of GET_LOCK")
			}
			// InnoDB's list is as old as the last look at it, unless nobody has looked for 100 ms.
			var got []string
			for deadline := time.Now().Add(10 * time.Second); !slices.Equal(got, want) && time.Now().Before(deadline); <-time.After(150 * time.Millisecond) {
				got = open(-time.Minute)
			}
			if !slices.Equal(got, want) {
				t.Errorf("of a transaction: %q, not %q", got, want)
			}
			if got := open(time.Hour); slices.Contains(got, want[0]) {
				t.Error("one of now is said to be an hour old")
			}
			for _, q := range []string{"XA END 'x'", "XA PREPARE 'x'"} {
				if _, err := conn.ExecContext(t.Context(), q); err != nil {
					t.Fatal(err)
				}
			}
			if got := open(time.Hour); !slices.Contains(got, "prepared XA transactions") {
				t.Errorf("of a prepared one: %q", got)
			}
			if _, err := conn.ExecContext(t.Context(), "XA ROLLBACK 'x'"); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// A TIMESTAMP that MySQL does not reach takes a MariaDB of 11.5: the question is tried with an earlier end.
func TestLateTimestamps(t *testing.T) {
	s := sandboxtest.MariaDBSource(t)
	database := s.Database(t)
	in(t, s, database, "CREATE TABLE t (id INT PRIMARY KEY, early TIMESTAMP NULL, late TIMESTAMP NULL, other DATETIME)",
		"INSERT INTO t VALUES (1, '2020-01-01', '2037-01-01', '2050-01-01'), (2, NULL, NULL, NULL)")
	p := seen(t, s, database)
	c := &checker{ctx: t.Context(), opts: Options{Source: p}, report: &Report{}, rule: &Rule{ID: "TYP302"}}
	got := []string{}
	c.timestampsAfter(1<<31-100_000_000, func(h hit) { got = append(got, strings.ReplaceAll(h.object, database, "db")) })
	if !slices.Equal(got, []string{"db.t.late"}) || len(c.report.Unchecked) > 0 {
		t.Errorf("%q, not checked %+v", got, c.report.Unchecked)
	}
}

func TestTimesInAnOldFormat(t *testing.T) {
	s := sandboxtest.MariaDBSource(t, sandboxtest.Options("--mysql56-temporal-format=OFF"))
	database := s.Database(t)
	in(t, s, database, "CREATE TABLE t (id INT PRIMARY KEY, a DATETIME(3), b DATE)", "SET GLOBAL mysql56_temporal_format = ON", "CREATE TABLE n (id INT PRIMARY KEY, a DATETIME(3))", "SET GLOBAL mysql56_temporal_format = OFF")
	got := foundBy(checkServers(t, seen(t, s, database), seen(t, sandboxtest.Target(t))), "TYP307", database)
	if !slices.Equal(got, []string{"warning db.t.a"}) {
		t.Errorf("%q", got)
	}
}

// A server that is gone after the look makes rules unchecked, and is not asked for each table again.
func TestAServerThatIsGone(t *testing.T) {
	s := sandboxtest.MySQLSource(t)
	database := s.Database(t)
	in(t, s, database, "CREATE TABLE a (id INT PRIMARY KEY, d DATE)", "CREATE TABLE b (id INT PRIMARY KEY, d DATE)")
	p, target := seen(t, s, database), seen(t, sandboxtest.Target(t))
	db := s.DB(t, sandbox.Root)
	_ = db.Close()
	p.Probe = db
	r := checkServers(t, p, target)
	want := []string{"rows of " + database + ".a: the connection failed", "rows of " + database + ".b: the connection failed"}
	if why := uncheckedBy(r, "TYP303"); !slices.Equal(why, want) {
		t.Errorf("not checked: %q", why)
	}
	for _, empty := range []*Picture{{}, {Probe: db}, {Variables: map[string]string{"sql_mode": ""}, Objects: []Object{{Kind: "table"}, {Kind: "view"}, {Kind: "event"}}, Probe: db}} {
		checkServers(t, empty, empty) // whatever is missing in it
		checkServers(t, p, empty)
		checkServers(t, empty, p)
	}
}

// A question ends at the server after its time.
func TestAQuestionThatTakesTooLong(t *testing.T) {
	for name, s := range map[string]*sandboxtest.Server{"MySQL": sandboxtest.MySQLSource(t), "MariaDB": sandboxtest.MariaDBSource(t)} {
		c := &checker{ctx: t.Context()}
		_, err := c.ask(seen(t, s, "mysql"), "SELECT COUNT(*) FROM information_schema.COLUMNS a, information_schema.COLUMNS b, information_schema.COLUMNS c WHERE a.COLUMN_NAME > CONCAT(b.COLUMN_NAME, c.COLUMN_NAME)")
		if n := answer(err); n != 3024 && n != 1969 || reason(err) != "it took more than 2s" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A table is looked at up to a number of rows, and what is behind it is not said to be clean.
func TestOnlyASampleIsLookedAt(t *testing.T) {
	s := sandboxtest.MySQLSource(t)
	database := s.Database(t)
	in(t, s, database, "CREATE TABLE t (id INT PRIMARY KEY, d DATE)", "SET cte_max_recursion_depth = 20000",
		fmt.Sprintf("INSERT INTO t WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i <= %d) SELECT i, '2024-01-01' FROM n", sampleRows))
	for _, rows := range []int{sampleRows + 1, sampleRows} {
		r := checkServers(t, seen(t, s, database), seen(t, sandboxtest.Target(t)))
		if why := uncheckedBy(r, "TYP303"); len(why) > 0 != (rows > sampleRows) {
			t.Errorf("of %d rows: not checked is %q", rows, why)
		}
		in(t, s, database, "DELETE FROM t WHERE id = 1")
	}
}

// A MySQL whose performance_schema does not see locks of GET_LOCK shows none; that is not clean.
func TestLocksThatAServerDoesNotShow(t *testing.T) {
	for _, option := range []string{"--performance-schema=OFF", "--performance-schema-instrument=" + lockInstrument + "=OFF"} {
		s := sandboxtest.MySQLSource(t, sandboxtest.Options(option))
		session(t, s.DB(t, sandbox.Root), "SELECT GET_LOCK('changeover', 0)")
		r := checkServers(t, seen(t, s), seen(t, sandboxtest.Target(t)))
		if why := uncheckedBy(r, "CUT907"); len(why) != 1 || !strings.Contains(why[0], lockInstrument) {
			t.Errorf("%s: not checked is %q", option, why)
		}
	}
}

// A user's name is another in other letters, a host's is not.
func TestADefinerInOtherLetters(t *testing.T) {
	source, target := sandboxtest.MySQLSource(t), sandboxtest.Target(t)
	database, there := source.Database(t), target.Database(t)
	target.Exec(t, "CREATE USER `Clerk`@`%`", "CREATE USER `at@sign`@`%.Example.com`")
	t.Cleanup(func() { target.Exec(t, "DROP USER `Clerk`@`%`, `at@sign`@`%.example.com`") })
	in(t, source, database, "CREATE DEFINER=`clerk`@`%` PROCEDURE other() SELECT 1", "CREATE DEFINER=`Clerk`@`%` PROCEDURE same() SELECT 1", "CREATE DEFINER=`at@sign`@`%.EXAMPLE.com` PROCEDURE host() SELECT 1")
	p := seen(t, source, database)
	if d := cmp.Diff([]string{"error db.other"}, foundBy(checkServers(t, p, seen(t, target)), "PRG701", database)); d != "" {
		t.Errorf("wanted (-), found (+):\n%s", d)
	}
	refuses(t, target, "PRG701", "CREATE DEFINER=`clerk`@`%` PROCEDURE "+there+".p() SELECT 1", "CALL "+there+".p()")
	for written, is := range map[string]string{"at@Sign@%.Example.com": "at@Sign@%.example.com", "role": "role", "": ""} {
		if got := foldHost(written); got != is {
			t.Errorf("%s is %s", written, got)
		}
	}
}

// What a source has needed grows; the finding about it stays the same.
func TestAFindingStaysWhileConnectionsGrow(t *testing.T) {
	source := sandboxtest.MySQLSource(t)
	target := with(seen(t, sandboxtest.Target(t)), map[string]string{"max_connections": "0"})
	find := func() (f Finding) {
		r := checkServers(t, seen(t, source), target)
		if i := slices.IndexFunc(r.Findings, func(f Finding) bool { return f.Object == "max_connections" }); i >= 0 {
			f = r.Findings[i]
		}
		return f
	}
	source.Exec(t, "FLUSH STATUS")
	before := find()
	for range 20 {
		session(t, source.DB(t, sandbox.Root))
	}
	if after := find(); before.Message == after.Message || before.Fingerprint != after.Fingerprint {
		t.Errorf("%+v\nbecomes\n%+v", before, after)
	}
}
