package plan_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"changeover/cdc/plan"
	"changeover/internal/config"
	"changeover/internal/fault"
	"changeover/internal/sandbox"
	"changeover/internal/sandbox/sandboxtest"
)

func TestMain(m *testing.M) { sandboxtest.Main(m) }

// bench is a source and a target whose global settings a test may change and puts back.
type bench struct {
	source, target *sandboxtest.Server
	account        sandbox.Account // of the source
}

func mysqlBench(t *testing.T) bench {
	return bench{
		source:  sandboxtest.Fresh(t, sandbox.Spec{Role: sandbox.Source}, sandboxtest.Durable),
		target:  sandboxtest.Fresh(t, sandbox.Spec{Role: sandbox.Target, Aurora: true}),
		account: sandbox.Changeover,
	}
}

func mariaBench(t *testing.T) bench {
	b := bench{
		source:  sandboxtest.Fresh(t, sandbox.Spec{Role: sandbox.Source}, sandboxtest.MariaDB, sandboxtest.Durable),
		target:  sandboxtest.Fresh(t, sandbox.Spec{Role: sandbox.Target, Aurora: true}),
		account: sandbox.Changeover,
	}
	return b
}

func side(t *testing.T, s *sandboxtest.Server, a sandbox.Account) config.Server {
	t.Helper()
	password, err := s.Password(a)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "pw")
	if err := os.WriteFile(file, []byte(password+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return config.Server{Host: s.Host, Port: s.Port, User: string(a), PasswordFile: file, TLS: config.TLS{Mode: "preferred"}}
}

func (b bench) config(t *testing.T, databases ...string) *config.Config {
	t.Helper()
	c := config.Defaults()
	c.Migration, c.Databases = "school", databases
	c.Source, c.Target = side(t, b.source, b.account), side(t, b.target, sandbox.Admin)
	return &c
}

func run(t *testing.T, c *config.Config) *plan.Report {
	t.Helper()
	report, err := plan.Run(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

func key(f plan.Finding) string {
	return fmt.Sprintf("%s %s %s %s", f.Code, f.Severity, f.Side, f.Object)
}

// fresh lists the findings that report has and base has not.
func fresh(base, report *plan.Report) []plan.Finding {
	var known []string
	for _, f := range base.Findings {
		known = append(known, key(f))
	}
	return slices.DeleteFunc(slices.Clone(report.Findings), func(f plan.Finding) bool { return slices.Contains(known, key(f)) })
}

// want fails unless the findings are of the code and severity, and there is at least one.
func want(t *testing.T, got []plan.Finding, code fault.Code, severity plan.Severity, says string) {
	t.Helper()
	var details []string
	for _, f := range got {
		if f.Code != code || f.Severity != severity {
			t.Errorf("unexpected %s: %s", key(f), f.Detail)
		}
		if f.Title() == "" || f.Cause() == "" {
			t.Errorf("%s has no words", f.Code)
		}
		if f.Severity != plan.Note && f.WayOn() == "" {
			t.Errorf("%s has no way on", f.Code)
		}
		details = append(details, f.Detail)
	}
	if len(got) == 0 {
		t.Fatalf("%s was not found", code)
	}
	if !strings.Contains(strings.Join(details, "\n"), says) {
		t.Errorf("%q is not in %q", says, details)
	}
}

// setting is one that is wrong; exactly one code must come of it.
type setting struct {
	name     string
	target   bool     // set it there
	wrong    []string // statements as root
	restore  []string
	code     fault.Code
	severity plan.Severity
	says     string
}

func set(name, wrong, right string) (broken, restored []string) {
	return []string{"SET GLOBAL " + name + " = " + wrong}, []string{"SET GLOBAL " + name + " = " + right}
}

func variable(target bool, name, wrong, right string, code fault.Code, severity plan.Severity, says string) setting {
	broken, restored := set(name, wrong, right)
	return setting{name + "=" + wrong, target, broken, restored, code, severity, says}
}

func statements(target bool, name, wrong, restore string, code fault.Code, severity plan.Severity, says string) setting {
	split := func(s string) []string { return strings.Split(s, ";") }
	return setting{name, target, split(wrong), split(restore), code, severity, says}
}

func (b bench) each(t *testing.T, database string, settings []setting) {
	c := b.config(t, database)
	base := run(t, c)
	for _, s := range settings {
		t.Run(s.name, func(t *testing.T) {
			server := b.source
			if s.target {
				server = b.target
			}
			server.Exec(t, s.wrong...)
			defer server.Exec(t, s.restore...)
			want(t, fresh(base, run(t, c)), s.code, s.severity, s.says)
		})
	}
	if left := fresh(base, run(t, c)); len(left) > 0 {
		t.Errorf("settings were not put back: %v", left)
	}
}

func TestMySQL(t *testing.T) {
	b := mysqlBench(t)
	b.source.Exec(t, "CREATE DATABASE school", "CREATE TABLE school.a (id INT PRIMARY KEY AUTO_INCREMENT, v TEXT)", "INSERT INTO school.a VALUES (1, 'x')")

	t.Run("a good pair has no blocks, whichever account", func(t *testing.T) {
		for _, b.account = range []sandbox.Account{sandbox.Changeover, sandbox.RDSLike} {
			report := run(t, b.config(t, "school"))
			if report.Blocked() {
				t.Errorf("%s: %+v", b.account, report.Blocking())
			}
			if !report.Summary.Known || report.Summary.Tables != 1 || report.Summary.Largest != "school.a" {
				t.Errorf("summary %+v", report.Summary)
			}
			for _, f := range report.Findings {
				if f.Severity == plan.Decide && f.Code != fault.FencePassers {
					t.Errorf("%s: %s", f.Code, f.Detail)
				}
			}
		}
	})
	b.account = sandbox.Changeover

	t.Run("each wrong setting has its code", func(t *testing.T) {
		grant := "GRANT %s ON *.* TO changeover@'%%'"
		lacks := func(priv string, code fault.Code, severity plan.Severity, says ...string) setting {
			return statements(false, "without "+priv, "REVOKE "+priv+" ON *.* FROM changeover@'%'", fmt.Sprintf(grant, priv), code, severity, cmp.Or(strings.Join(says, ""), "lacks "+priv))
		}
		targetLacks := func(priv string, severity plan.Severity) setting {
			return statements(true, "target without "+priv, "REVOKE "+priv+" ON *.* FROM admin@'%'", "GRANT "+priv+" ON *.* TO admin@'%'",
				fault.TargetPrivilege, severity, "lacks "+priv)
		}
		b.each(t, "school", []setting{
			variable(false, "binlog_row_image", "MINIMAL", "FULL", fault.BinlogImage, plan.Block, "MINIMAL"),
			variable(false, "binlog_row_image", "NOBLOB", "FULL", fault.BinlogImage, plan.Block, "NOBLOB"),
			variable(false, "binlog_format", "STATEMENT", "ROW", fault.BinlogFormat, plan.Block, "STATEMENT"),
			variable(false, "binlog_format", "MIXED", "ROW", fault.BinlogFormat, plan.Block, "MIXED"),
			variable(false, "binlog_row_value_options", "'PARTIAL_JSON'", "''", fault.PartialJSON, plan.Block, "PARTIAL_JSON"),
			variable(false, "binlog_order_commits", "OFF", "ON", fault.BinlogOrder, plan.Block, "OFF"),
			variable(false, "sync_binlog", "0", "1", fault.SourceDurability, plan.Decide, "sync_binlog = 0"),
			variable(false, "innodb_flush_log_at_trx_commit", "2", "1", fault.SourceDurability, plan.Decide, "= 2"),
			variable(false, "binlog_expire_logs_seconds", "600", "2592000", fault.BinlogRetention, plan.Block, "600"),
			variable(false, "binlog_expire_logs_seconds", "36000", "2592000", fault.BinlogRetention, plan.Decide, "10h"),
			variable(false, "server_id", "0", "11", fault.ServerID, plan.Block, "server_id is 0"),
			variable(false, "time_zone", "'+05:30'", "'+00:00'", fault.TimeZone, plan.Note, "+05:30"),
			variable(false, "sql_mode", "'ANSI_QUOTES'", "DEFAULT", fault.SQLMode, plan.Note, "ANSI_QUOTES on the source only"),
			variable(false, "super_read_only", "ON", "OFF, GLOBAL read_only = OFF", fault.SourceReadOnly, plan.Block, "super_read_only"),
			variable(true, "super_read_only", "ON", "OFF, GLOBAL read_only = OFF", fault.TargetReadOnly, plan.Block, "super_read_only"),
			variable(true, "binlog_format", "STATEMENT", "ROW", fault.TargetBinlog, plan.Block, "1665"),
			variable(true, "binlog_format", "MIXED", "ROW", fault.TargetBinlog, plan.Decide, "MIXED"),
			variable(true, "binlog_row_image", "MINIMAL", "FULL", fault.TargetBinlog, plan.Decide, "MINIMAL"),
			variable(true, "max_allowed_packet", "1048576", "67108864", fault.Packet, plan.Block, "1.0 MiB"),
			variable(true, "max_allowed_packet", "33554432", "67108864", fault.Packet, plan.Decide, "32.0 MiB"),
			statements(false, "gtid_mode", "SET GLOBAL gtid_mode=ON_PERMISSIVE", "SET GLOBAL gtid_mode=ON", fault.Positions, plan.Decide, "ON_PERMISSIVE"),
			statements(false, "a prepared XA transaction", "XA START 'x';INSERT INTO school.a VALUES (99, 'y');XA END 'x';XA PREPARE 'x'", "XA ROLLBACK 'x'",
				fault.PreparedXA, plan.Block, "x"),
			statements(false, "a replication channel", "CHANGE REPLICATION SOURCE TO SOURCE_HOST='10.9.9.9', SOURCE_USER='u' FOR CHANNEL 'c'", "RESET REPLICA ALL FOR CHANNEL 'c'",
				fault.SourceReplica, plan.Decide, "10.9.9.9"),
			statements(true, "a replication channel on the target", "CHANGE REPLICATION SOURCE TO SOURCE_HOST='10.9.9.9', SOURCE_USER='u' FOR CHANNEL 'c'", "RESET REPLICA ALL FOR CHANNEL 'c'",
				fault.TargetReplica, plan.Decide, "10.9.9.9"),
			lacks("REPLICATION SLAVE", fault.SourcePrivilege, plan.Block),
			lacks("SHOW VIEW", fault.SourcePrivilege, plan.Block),
			lacks("TRIGGER", fault.SourcePrivilege, plan.Block),
			lacks("PROCESS", fault.SourcePrivilege, plan.Decide),
			lacks("ALTER", fault.ReversePrivilege, plan.Decide),
			statements(false, "without CONNECTION_ADMIN", "REVOKE CONNECTION_ADMIN ON *.* FROM changeover@'%'", "GRANT CONNECTION_ADMIN ON *.* TO changeover@'%'",
				fault.FencePrivilege, plan.Decide, "the cutover will be refused"),
			lacks("SYSTEM_VARIABLES_ADMIN", fault.FencePrivilege, plan.Note, "the fence locks the application's accounts"),
			lacks("XA_RECOVER_ADMIN", fault.FencePrivilege, plan.Decide, "the cutover will be refused"),
			lacks("CREATE USER", fault.FencePrivilege, plan.Decide, "the cutover will be refused"),
			targetLacks("CREATE", plan.Block),
			targetLacks("REFERENCES", plan.Block),
			targetLacks("CONNECTION_ADMIN", plan.Decide),
			statements(true, "a table on the target", "CREATE DATABASE school;CREATE TABLE school.x (a INT)", "DROP DATABASE school",
				fault.TargetNotEmpty, plan.Block, "school has 1 tables"),
		})
	})

	t.Run("the least privileges are enough", func(t *testing.T) {
		b.source.Exec(t, "CREATE USER least@'%' IDENTIFIED BY 'least'",
			"GRANT REPLICATION SLAVE, REPLICATION CLIENT, PROCESS ON *.* TO least@'%'",
			"GRANT SELECT, SHOW VIEW, TRIGGER, EVENT, LOCK TABLES ON school.* TO least@'%'",
			"GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, DROP ON `\\_changeover`.* TO least@'%'")
		defer b.source.Exec(t, "DROP USER least@'%'")
		c := b.config(t, "school")
		t.Setenv("LEAST_PW", "least")
		c.Source.User, c.Source.PasswordFile, c.Source.PasswordEnv = "least", "", "LEAST_PW"
		if report := run(t, c); report.Blocked() {
			t.Errorf("%+v", report.Blocking())
		}
		b.source.Exec(t, "REVOKE SELECT ON school.* FROM least@'%'")
		if report := run(t, c); !report.Blocked() || !has(report, fault.SourcePrivilege) {
			t.Errorf("%+v", report.Findings)
		}
	})

	t.Run("a role's privileges count", func(t *testing.T) {
		b.source.Exec(t, "CREATE ROLE streamer", "GRANT REPLICATION SLAVE ON *.* TO streamer",
			"REVOKE REPLICATION SLAVE ON *.* FROM changeover@'%'", "GRANT streamer TO changeover@'%'", "SET DEFAULT ROLE streamer TO changeover@'%'")
		defer b.source.Exec(t, "DROP ROLE streamer", "GRANT REPLICATION SLAVE ON *.* TO changeover@'%'")
		if report := run(t, b.config(t, "school")); report.Blocked() {
			t.Errorf("%+v", report.Blocking())
		}
	})

	t.Run("an account that passes through a role is listed", func(t *testing.T) {
		b.source.Exec(t, "CREATE ROLE boss", "GRANT CONNECTION_ADMIN ON *.* TO boss", "CREATE USER clerk@'%'", "GRANT boss TO clerk@'%'")
		defer b.source.Exec(t, "DROP ROLE boss", "DROP USER clerk@'%'")
		if !slices.ContainsFunc(run(t, b.config(t, "school")).Findings, func(f plan.Finding) bool {
			return f.Code == fault.FencePassers && f.Side == plan.Source && strings.Contains(f.Detail, "clerk@% (the role boss@%)")
		}) {
			t.Error("it is not listed")
		}
	})

	t.Run("our own state on the target means resume", func(t *testing.T) {
		b.target.Exec(t, "CREATE DATABASE school", "CREATE TABLE school.a (id INT)", "CREATE DATABASE _changeover",
			"CREATE TABLE _changeover.migration (migration VARCHAR(64) PRIMARY KEY)", "INSERT INTO _changeover.migration VALUES ('school')")
		defer b.target.Exec(t, "DROP DATABASE school", "DROP DATABASE _changeover")
		c := b.config(t, "school")
		if report := run(t, c); report.Blocked() || !has(report, fault.Resume) {
			t.Errorf("%+v", report.Findings)
		}
		c.Migration = "other"
		if report := run(t, c); !has(report, fault.TargetNotEmpty) {
			t.Error("another migration's tables are not ours")
		}
	})

	t.Run("the target is the writer of another migration", func(t *testing.T) {
		b.target.Exec(t, "CREATE DATABASE _changeover", "CREATE TABLE _changeover.route (migration VARCHAR(64) PRIMARY KEY, side VARCHAR(8), writer VARCHAR(8))",
			"INSERT INTO _changeover.route VALUES ('shop', 'target', 'target'), ('back', 'target', 'source'), ('school', 'target', 'target')")
		defer b.target.Exec(t, "DROP DATABASE _changeover")
		c := b.config(t, "school")
		report := run(t, c)
		if i := slices.IndexFunc(report.Findings, func(f plan.Finding) bool { return f.Code == fault.FenceShared }); report.Blocked() || i < 0 ||
			!strings.Contains(report.Findings[i].Detail, "the writer of migration shop:") {
			t.Errorf("%+v", report.Findings)
		}
		c.Cutover.Fence = config.FenceReadOnly
		if report := run(t, c); !report.Blocked() || !has(report, fault.FenceShared) {
			t.Errorf("with a fence for the whole server: %+v", report.Findings)
		}
	})

	t.Run("what changeover check knows is said once", func(t *testing.T) {
		b.source.Exec(t, "CREATE DATABASE rules", "CREATE TABLE rules.a (id INT PRIMARY KEY, f FLOAT(7,3))",
			"CREATE TABLE rules.b (id INT PRIMARY KEY, f FLOAT(7,3))", "CREATE TABLE rules.keyless (t INT)")
		defer b.source.Exec(t, "DROP DATABASE rules")
		report := run(t, b.config(t, "rules"))
		var found []plan.Finding
		for _, f := range report.Findings {
			if f.Code == fault.SchemaRule && strings.HasPrefix(f.Detail, "TYP305") {
				found = append(found, f)
			}
			if strings.HasPrefix(f.Detail, "IDX501") {
				t.Errorf("plan has a code for it: %+v", f)
			}
		}
		if len(found) != 1 || found[0].Severity != plan.Note || !strings.HasSuffix(found[0].Detail, "rules.a.f, rules.b.f") {
			t.Errorf("%+v of %+v", found, report.Findings)
		}
		if !has(report, fault.KeylessTable) {
			t.Error("a table without a key is not found")
		}
	})

	t.Run("source and target are one", func(t *testing.T) {
		c := b.config(t, "school")
		c.Target = c.Source
		if report := run(t, c); !report.Blocked() || !has(report, fault.SameServer) {
			t.Errorf("%+v", report.Findings)
		}
	})

	t.Run("a side that can't be reached does not hide the other", func(t *testing.T) {
		b.source.Exec(t, "SET GLOBAL binlog_row_image=MINIMAL")
		defer b.source.Exec(t, "SET GLOBAL binlog_row_image=FULL")
		c := b.config(t, "school")
		c.Target.Port = closedPort(t)
		report := run(t, c)
		if !has(report, fault.Connect) || !has(report, fault.BinlogImage) {
			t.Errorf("%+v", report.Findings)
		}
		c = b.config(t, "school")
		c.Source.User = "nobody"
		b.target.Exec(t, "SET GLOBAL max_allowed_packet=1048576")
		defer b.target.Exec(t, "SET GLOBAL max_allowed_packet=67108864")
		report = run(t, c)
		if !has(report, fault.Access) || report.Target.Version == "" || report.Source.Version != "" {
			t.Errorf("%+v", report)
		}
	})

	t.Run("everything comes at once", func(t *testing.T) {
		b.source.Exec(t, "SET GLOBAL binlog_row_image=MINIMAL", "SET GLOBAL binlog_order_commits=OFF", "SET GLOBAL binlog_row_value_options='PARTIAL_JSON'")
		defer b.source.Exec(t, "SET GLOBAL binlog_row_image=FULL", "SET GLOBAL binlog_order_commits=ON", "SET GLOBAL binlog_row_value_options=''")
		report := run(t, b.config(t, "school", "nosuch"))
		for _, code := range []fault.Code{fault.BinlogImage, fault.BinlogOrder, fault.PartialJSON, fault.NoDatabase} {
			if !has(report, code) {
				t.Errorf("%s is not among %+v", code, report.Findings)
			}
		}
	})

	t.Run("schemas", func(t *testing.T) {
		schemas(t, b, []shape{
			{"no key", "CREATE TABLE t (a INT)", fault.KeylessTable, plan.Decide, ".t has no usable key"},
			{"only a nullable unique key", "CREATE TABLE t (a INT NULL UNIQUE)", fault.KeylessTable, plan.Decide, ""},
			{"MyISAM", "CREATE TABLE t (a INT PRIMARY KEY) ENGINE=MyISAM", fault.Engine, plan.Block, "MyISAM"},
			{"a cascade that is in the binlog", "CREATE TABLE p (a INT PRIMARY KEY);CREATE TABLE t (a INT PRIMARY KEY, FOREIGN KEY (a) REFERENCES p (a) ON DELETE CASCADE)",
				fault.Cascade, plan.Note, "carried as rows"},
			{"a foreign key that does not cascade", "CREATE TABLE p (a INT PRIMARY KEY);CREATE TABLE t (a INT PRIMARY KEY, FOREIGN KEY (a) REFERENCES p (a))", 0, "", ""},
			{"a trigger", "CREATE TABLE t (a INT PRIMARY KEY);CREATE DEFINER=admin@'%' TRIGGER g BEFORE INSERT ON t FOR EACH ROW SET NEW.a = 1", fault.Triggers, plan.Note, "cutover only"},
			{"a view", "CREATE DEFINER=admin@'%' VIEW v AS SELECT 1", fault.Views, plan.Note, "after the copy"},
			{"an event", "CREATE DEFINER=admin@'%' EVENT e ON SCHEDULE EVERY 1 DAY DISABLE DO SELECT 1", fault.Events, plan.Note, "cutover"},
			{"a procedure", "CREATE DEFINER=admin@'%' PROCEDURE p() SELECT 1", fault.Routines, plan.Note, "after the copy"},
			{"ids over 80 %", "CREATE TABLE t (a TINYINT PRIMARY KEY AUTO_INCREMENT) AUTO_INCREMENT=105", fault.Headroom, plan.Note, "82 %"},
			{"ids over 95 %", "CREATE TABLE t (a INT UNSIGNED PRIMARY KEY AUTO_INCREMENT) AUTO_INCREMENT=4250000000", fault.Headroom, plan.Decide, "int unsigned"},
			{"partitions", "CREATE TABLE t (a INT PRIMARY KEY) PARTITION BY HASH (a) PARTITIONS 3", fault.Partitions, plan.Note, "1 tables"},
		})
	})

	t.Run("triggers on a server that trusts nobody", func(t *testing.T) {
		b.source.Exec(t, "CREATE DATABASE d", "CREATE TABLE d.t (a INT PRIMARY KEY)", "CREATE TRIGGER d.g BEFORE INSERT ON d.t FOR EACH ROW SET NEW.a = 1")
		defer b.source.Exec(t, "DROP DATABASE d")
		for _, c := range []struct {
			on   *sandboxtest.Server
			side plan.Side
			code fault.Code
			says string
		}{{b.source, plan.Source, fault.ReversePrivilege, "at a rollback"}, {b.target, plan.Target, fault.TrustFunctions, "at the cutover"}} {
			base := run(t, b.config(t, "d"))
			c.on.Exec(t, "SET GLOBAL log_bin_trust_function_creators=OFF")
			got := fresh(base, run(t, b.config(t, "d")))
			c.on.Exec(t, "SET GLOBAL log_bin_trust_function_creators=ON")
			want(t, got, c.code, plan.Decide, "1 triggers can't be created")
			want(t, got, c.code, plan.Decide, c.says)
			if got[0].Side != c.side {
				t.Errorf("%+v", got)
			}
		}
	})

	t.Run("definers", func(t *testing.T) {
		b.source.Exec(t, "CREATE DATABASE d", "CREATE DEFINER=gone@'%' VIEW d.v AS SELECT 1")
		defer b.source.Exec(t, "DROP DATABASE d")
		for policy, severity := range map[config.MissingDefiner]plan.Severity{
			config.ReplaceDefiner: plan.Decide, config.AutoDefiner: plan.Decide, config.KeepDefiner: plan.Decide, config.StopAtDefiner: plan.Block,
		} {
			c := b.config(t, "d")
			c.Definers.Missing = policy
			found := false
			for _, f := range run(t, c).Findings {
				if f.Code == fault.Definer {
					found = f.Severity == severity && f.Object == "gone@%" && strings.Contains(f.Detail, "view d.v")
				}
			}
			if !found {
				t.Errorf("%s: no %s", policy, severity)
			}
		}
	})

	t.Run("a foreign key across the border", func(t *testing.T) {
		b.source.Exec(t, "CREATE DATABASE d", "CREATE TABLE d.p (a INT PRIMARY KEY)", "CREATE TABLE d.t (a INT PRIMARY KEY, FOREIGN KEY (a) REFERENCES d.p (a))")
		defer b.source.Exec(t, "DROP DATABASE d")
		c := b.config(t, "d")
		c.Tables.Exclude = []string{"d.p"}
		if blocks := run(t, c).Blocking(); len(blocks) != 1 || blocks[0].Code != fault.OutsideKey {
			t.Errorf("%+v", blocks)
		}
		c.Tables.Exclude = []string{"d.t"}
		if report := run(t, c); report.Blocked() || !has(report, fault.OutsideKey) {
			t.Errorf("%+v", report.Findings)
		}
	})

	t.Run("tables without a primary key on a target that wants one", func(t *testing.T) {
		b.source.Exec(t, "CREATE DATABASE d", "CREATE TABLE d.t (a INT NOT NULL UNIQUE)")
		b.target.Exec(t, "SET GLOBAL sql_generate_invisible_primary_key=ON")
		defer b.source.Exec(t, "DROP DATABASE d")
		defer b.target.Exec(t, "SET GLOBAL sql_generate_invisible_primary_key=OFF")
		if blocks := run(t, b.config(t, "d")).Blocking(); len(blocks) != 1 || blocks[0].Code != fault.RequirePrimaryKey {
			t.Errorf("%+v", blocks)
		}
	})

	t.Run("plan writes nothing", func(t *testing.T) {
		before := gtid(t, b.source) + gtid(t, b.target)
		run(t, b.config(t, "school"))
		if after := gtid(t, b.source) + gtid(t, b.target); after != before {
			t.Errorf("%s became %s", before, after)
		}
	})

	t.Run("the answer in text and in JSON", func(t *testing.T) {
		b.source.Exec(t, "SET GLOBAL binlog_row_image=MINIMAL")
		defer b.source.Exec(t, "SET GLOBAL binlog_row_image=FULL")
		c := b.config(t, "school")
		checkText(t, run(t, c))
		checkJSON(t, run(t, c))
	})
}

func TestMariaDB(t *testing.T) {
	b := mariaBench(t)
	b.source.Exec(t, "CREATE DATABASE school CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci", "CREATE TABLE school.a (id INT PRIMARY KEY, v TEXT)")

	t.Run("a good pair has no blocks, whichever account", func(t *testing.T) {
		for _, b.account = range []sandbox.Account{sandbox.Changeover, sandbox.RDSLike} {
			if report := run(t, b.config(t, "school")); report.Blocked() {
				t.Errorf("%s: %+v", b.account, report.Blocking())
			}
		}
	})
	b.account = sandbox.Changeover

	t.Run("what the target will not take is said by the rules of check", func(t *testing.T) {
		b.source.Exec(t, "CREATE DATABASE rules", "CREATE TABLE rules.a (id INT PRIMARY KEY, u UUID, c INT CHECK (c > id))",
			"CREATE PROCEDURE rules.p() BEGIN FOR i IN 1..3 DO SELECT i; END FOR; END")
		defer b.source.Exec(t, "DROP DATABASE rules")
		report := run(t, b.config(t, "rules"))
		got := map[string]plan.Severity{}
		for _, f := range report.Findings {
			if id, _, _ := strings.Cut(f.Detail, " "); f.Code == fault.SchemaRule && (f.Object == "rules.p" || strings.HasPrefix(f.Object, "rules.a")) {
				got[id] = f.Severity
			}
		}
		// The type is translated, of which plan tells by another code.
		if got["TYP314"] != plan.Block || got["MDB214"] != plan.Decide || got["MDB206"] != "" || !has(report, fault.Translated) {
			t.Errorf("%v of %+v", got, report.Findings)
		}
	})

	t.Run("each wrong setting has its code", func(t *testing.T) {
		b.each(t, "school", []setting{
			variable(false, "binlog_row_image", "MINIMAL", "FULL", fault.BinlogImage, plan.Block, "MINIMAL"),
			variable(false, "binlog_format", "MIXED", "ROW", fault.BinlogFormat, plan.Block, "MIXED"),
			variable(false, "sync_binlog", "0", "1", fault.SourceDurability, plan.Decide, "sync_binlog = 0"),
			variable(false, "binlog_alter_two_phase", "ON", "OFF", fault.TwoPhaseAlter, plan.Block, "ON"),
			variable(false, "binlog_expire_logs_seconds", "600", "0", fault.BinlogRetention, plan.Block, "600"),
			statements(false, "a prepared XA transaction", "XA START 'x';INSERT INTO school.a VALUES (99, 'y');XA END 'x';XA PREPARE 'x'", "XA ROLLBACK 'x'",
				fault.PreparedXA, plan.Block, "x"),
			statements(false, "without REPLICATION SLAVE", "REVOKE REPLICATION SLAVE ON *.* FROM changeover@'%'", "GRANT REPLICATION SLAVE ON *.* TO changeover@'%'",
				fault.SourcePrivilege, plan.Block, "lacks REPLICATION SLAVE"),
			statements(false, "without READ_ONLY ADMIN", "REVOKE READ_ONLY ADMIN ON *.* FROM changeover@'%'", "GRANT READ_ONLY ADMIN ON *.* TO changeover@'%'",
				fault.FencePrivilege, plan.Note, "the fence locks the application's accounts"),
			statements(false, "without REPLICA MONITOR and SUPER", "REVOKE REPLICA MONITOR, SUPER ON *.* FROM changeover@'%'", "GRANT REPLICA MONITOR, SUPER ON *.* TO changeover@'%'",
				fault.FencePrivilege, plan.Decide, "lacks REPLICA MONITOR: run goes on, the cutover will be refused"),
		})

		t.Run("an account that passes through a role is listed", func(t *testing.T) {
			b.source.Exec(t, "CREATE ROLE boss", "GRANT READ_ONLY ADMIN ON *.* TO boss", "CREATE USER clerk@'%'", "GRANT boss TO clerk@'%'")
			defer b.source.Exec(t, "DROP ROLE boss", "DROP USER clerk@'%'")
			if !slices.ContainsFunc(run(t, b.config(t, "school")).Findings, func(f plan.Finding) bool {
				return f.Code == fault.FencePassers && f.Side == plan.Source && strings.Contains(f.Detail, "clerk@% (the role boss@)")
			}) {
				t.Error("it is not listed")
			}
		})
	})

	t.Run("schemas", func(t *testing.T) {
		schemas(t, b, []shape{
			{"Aria", "CREATE TABLE t (a INT PRIMARY KEY) ENGINE=Aria", fault.Engine, plan.Block, "Aria"},
			{"a cascade, which is not in the binlog", "CREATE TABLE p (a INT PRIMARY KEY);CREATE TABLE t (a INT PRIMARY KEY, b INT, FOREIGN KEY (b) REFERENCES p (a) ON DELETE SET NULL ON UPDATE CASCADE)",
				fault.Cascade, plan.Decide, "does not write to the binlog"},
			{"a sequence", "CREATE SEQUENCE s", fault.MariaDBFeature, plan.Block, "SEQUENCE"},
			{"a versioned table", "CREATE TABLE t (a INT PRIMARY KEY) WITH SYSTEM VERSIONING", fault.MariaDBFeature, plan.Block, "SYSTEM VERSIONED"},
			{"a compressed column", "CREATE TABLE t (a INT PRIMARY KEY, b TEXT COMPRESSED)", fault.ColumnType, plan.Block, "b"},
			{"no key", "CREATE TABLE t (a INT)", fault.KeylessTable, plan.Decide, "no usable key"},
			{"a UUID", "CREATE TABLE t (a UUID PRIMARY KEY)", fault.Translated, plan.Note, "char(36)"},
		})
	})
}

// shape is a schema and the one code that must come of it; 0 is none.
type shape struct {
	name, sql string
	code      fault.Code
	severity  plan.Severity
	says      string
}

func schemas(t *testing.T, b bench, shapes []shape) {
	b.source.Exec(t, "CREATE DATABASE shapes CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci", "CREATE TABLE shapes.z (a INT PRIMARY KEY)")
	base := run(t, b.config(t, "shapes"))
	b.source.Exec(t, "DROP DATABASE shapes")
	for _, s := range shapes {
		t.Run(s.name, func(t *testing.T) {
			defer b.source.Exec(t, "DROP DATABASE shapes")
			b.source.Exec(t, append([]string{"CREATE DATABASE shapes CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci",
				"CREATE TABLE shapes.z (a INT PRIMARY KEY)", "USE shapes"}, strings.Split(s.sql, ";")...)...)
			got := fresh(base, run(t, b.config(t, "shapes")))
			if s.code == 0 {
				if len(got) > 0 {
					t.Errorf("%+v", got)
				}
				return
			}
			want(t, got, s.code, s.severity, s.says)
		})
	}
}

func has(r *plan.Report, code fault.Code) bool {
	return slices.ContainsFunc(r.Findings, func(f plan.Finding) bool { return f.Code == code })
}

func gtid(t *testing.T, s *sandboxtest.Server) (set string) {
	t.Helper()
	if err := s.DB(t, sandbox.Root).QueryRow("SELECT @@GLOBAL.gtid_executed").Scan(&set); err != nil {
		t.Fatal(err)
	}
	return set
}

func closedPort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr).Port
}

func checkText(t *testing.T, r *plan.Report) {
	t.Helper()
	var text bytes.Buffer
	if err := r.Text(&text, plan.Plain); err != nil {
		t.Fatal(err)
	}
	for _, must := range []string{"Plan for migration school", "Blocks", "CO-1207", "binlog_row_image is MINIMAL", "→ SET GLOBAL binlog_row_image=FULL", "1 block."} {
		if !strings.Contains(text.String(), must) {
			t.Errorf("%q is not in\n%s", must, &text)
		}
	}
	if strings.Contains(text.String(), "\x1b") {
		t.Error("plain text has colours")
	}
	for line := range strings.Lines(text.String()) {
		if n := utf8.RuneCountInString(strings.TrimRight(line, "\n")); n > 100 {
			t.Errorf("%d columns: %s", n, line)
		}
	}
}

func checkJSON(t *testing.T, r *plan.Report) {
	t.Helper()
	text, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Migration string
		Blocked   bool
		Source    struct{ Flavor, Version, Account string }
		Findings  []struct{ Code, Severity, Side, Title, Detail, Cause, Remedy string }
		Summary   struct {
			Tables          int
			EstimateSeconds *float64 `json:"estimate_seconds"`
		}
	}
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	if got.Migration != "school" || !got.Blocked || got.Source.Flavor != "mysql" || got.Source.Account != "changeover@%" ||
		got.Findings[0].Code != "CO-1207" || got.Findings[0].Severity != "block" || got.Summary.Tables != 1 || got.Summary.EstimateSeconds == nil {
		t.Errorf("%s", text)
	}
}

func TestFilteredBinlogsBlock(t *testing.T) {
	for name, c := range map[string]struct {
		option string
		blocks []string
	}{
		"a database is ignored":            {"--binlog-ignore-db=school", []string{"school"}},
		"ours is ignored":                  {"--binlog-ignore-db=_changeover", []string{"_changeover"}},
		"only others are logged":           {"--binlog-do-db=other", []string{"school", "_changeover"}},
		"a database that stays, no matter": {"--binlog-ignore-db=other", nil},
	} {
		t.Run(name, func(t *testing.T) {
			b := bench{source: sandboxtest.Fresh(t, sandbox.Spec{Role: sandbox.Source}, sandboxtest.Options(c.option)),
				target: sandboxtest.Target(t), account: sandbox.Changeover}
			b.source.Exec(t, "CREATE DATABASE school", "CREATE TABLE school.a (id INT PRIMARY KEY)")
			var got []string
			for _, f := range run(t, b.config(t, "school")).Blocking() {
				if f.Code != fault.BinlogFilter {
					t.Errorf("%s: %s", f.Code, f.Detail)
				}
				got = append(got, f.Object)
			}
			if !slices.Equal(got, c.blocks) {
				t.Errorf("got %v, want %v", got, c.blocks)
			}
		})
	}
}

func TestASourceWithoutBinlogAndGTIDs(t *testing.T) {
	for option, code := range map[string]fault.Code{"--skip-log-bin": fault.BinlogOff, "--gtid-mode=OFF": fault.Positions} {
		b := bench{source: sandboxtest.Fresh(t, sandbox.Spec{Role: sandbox.Source}, sandboxtest.Options(option)),
			target: sandboxtest.Target(t), account: sandbox.Changeover}
		b.source.Exec(t, "CREATE DATABASE school", "CREATE TABLE school.a (id INT PRIMARY KEY)")
		report := run(t, b.config(t, "school"))
		if !has(report, code) || report.Blocked() != (code == fault.BinlogOff) {
			t.Errorf("%s: %+v", option, report.Findings)
		}
	}
}
