package plan

import (
	"testing"
	"time"

	"changeover/internal/config"
	"changeover/internal/fault"
	"changeover/internal/server"
)

// The versions that no sandbox has are judged by their facts.
func TestVersionsThatNoSandboxHas(t *testing.T) {
	facts := func(source, target string) *Facts {
		s, _ := server.ParseVersion(source)
		g, _ := server.ParseVersion(target)
		return &Facts{Source: &Server{Side: Source, Version: s}, Target: &Server{Side: Target, Version: g}}
	}
	for _, c := range []struct {
		source, target string
		rule           func(*Facts) []Finding
		code           fault.Code
		severity       Severity
	}{
		{"5.6.51", "8.0.44", sourceVersion, fault.SourceVersion, Block},
		{"5.7.44", "8.0.44", sourceVersion, fault.SourceVersion, Decide},
		{"8.0.44", "8.0.44", sourceVersion, 0, ""},
		{"10.4.34-MariaDB", "8.0.44", sourceVersion, fault.SourceVersion, Block},
		{"10.5.27-MariaDB", "8.0.44", sourceVersion, 0, ""},
		{"8.0.44", "5.7.44", targetVersion, fault.TargetVersion, Block},
		{"8.0.44", "11.4.5-MariaDB", targetVersion, fault.TargetVersion, Block},
		{"8.0.44", "8.4.8", crossing, fault.VersionCrossing, Note},
		{"9.7.4", "8.0.44", crossing, fault.VersionCrossing, Decide},
		{"8.0.39", "8.0.44", crossing, 0, ""},
		{"10.11.19-MariaDB", "8.0.44", crossing, fault.VersionCrossing, Note},
	} {
		got := c.rule(facts(c.source, c.target))
		if c.code == 0 && len(got) == 0 {
			continue
		}
		if len(got) != 1 || got[0].Code != c.code || got[0].Severity != c.severity {
			t.Errorf("%s to %s: %+v", c.source, c.target, got)
		}
	}
}

// What only Aurora and RDS have is judged by facts too.
func TestWhatOnlyAuroraHas(t *testing.T) {
	hours := func(n int64) *int64 { return &n }
	aurora := func(vars server.Variables) *Server {
		v, _ := server.ParseVersion("8.0.42")
		return &Server{Version: v, Vars: vars, Identity: server.Identity{Aurora: "3.10.0"}}
	}
	for name, c := range map[string]struct {
		facts    *Facts
		rule     func(*Facts) []Finding
		code     fault.Code
		severity Severity
	}{
		"RDS keeps no binlog by default": {&Facts{Source: &Server{Vars: server.Variables{"log_bin": "ON", "binlog_expire_logs_seconds": "2592000"}, RDSHours: hours(0)}, Config: &config.Config{}},
			retention, fault.BinlogRetention, Block},
		"a reader as source": {&Facts{Source: aurora(server.Variables{"innodb_read_only": "ON"})}, sourceReadOnly, fault.SourceReadOnly, Block},
		"a reader as target": {&Facts{Target: aurora(server.Variables{"innodb_read_only": "ON"})}, targetReadOnly, fault.TargetReader, Block},
		"no binlog on Aurora": {&Facts{Target: aurora(server.Variables{"log_bin": "OFF", "binlog_format": "OFF"})}, targetBinlog,
			fault.TargetBinlog, Decide},
		"filtering on Aurora": {&Facts{Config: &config.Config{}, Source: aurora(server.Variables{"aurora_enable_repl_bin_log_filtering": "ON"})}, binlogFilters,
			fault.BinlogFilter, Block},
		"names fold differently": {&Facts{Source: aurora(server.Variables{"lower_case_table_names": "0"}), Target: aurora(server.Variables{"lower_case_table_names": "1"})},
			letterCase, fault.LetterCase, Block},
		"binlog off": {&Facts{Source: aurora(server.Variables{"log_bin": "OFF"})}, binlogOn, fault.BinlogOff, Block},
	} {
		got := c.rule(c.facts)
		if len(got) != 1 || got[0].Code != c.code || got[0].Severity != c.severity {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestEveryFindingHasWords(t *testing.T) {
	for code := fault.Code(1201); code < 1400; code++ {
		if _, ok := fault.Lookup(code); !ok {
			continue
		}
		if f := (Finding{Code: code}); f.Title() == "" || f.Cause() == "" {
			t.Errorf("%s", code)
		}
	}
}

func TestNumbersForPeople(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", 59 * time.Second: "59s", 90 * time.Second: "1m", 3*time.Hour + 20*time.Minute: "3h 20m", 10 * time.Hour: "10h", 720 * time.Hour: "30d",
	} {
		if got := duration(d); got != want {
			t.Errorf("%v: %s", d, got)
		}
	}
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567"} {
		if got := grouped(n); got != want {
			t.Errorf("%d: %s", n, got)
		}
	}
}
