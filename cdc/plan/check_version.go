package plan

import (
	"fmt"
	"strings"

	"changeover/internal/fault"
	"changeover/internal/server"
)

func versionChecks() []Check {
	return []Check{
		{"the source's version is known to work", NeedsSource, sourceVersion},
		{"the target is MySQL 8.0 or later", NeedsTarget, targetVersion},
		{"what a new major version changes", NeedsBoth, crossing},
		{"names compare alike on both sides", NeedsBoth, letterCase},
		{"sql_mode", NeedsBoth, sqlMode},
		{"time zones", NeedsBoth, timeZones},
	}
}

func sourceVersion(f *Facts) []Finding {
	v := f.Source.Version
	switch {
	case v.Flavor == server.MariaDB && !v.AtLeast(10, 5, 0):
		return one(fault.SourceVersion, Block, Source, "the source is MariaDB %s", v)
	case v.Flavor == server.MySQL && !v.AtLeast(5, 7, 0):
		return one(fault.SourceVersion, Block, Source, "the source is MySQL %s", v)
	case v.Flavor == server.MySQL && !v.AtLeast(8, 0, 0):
		return one(fault.SourceVersion, Decide, Source,
			"the source is MySQL %s: its binlog does not say which columns are unsigned, so the table's definition does", v)
	}
	return nil
}

func targetVersion(f *Facts) []Finding {
	v := f.Target.Version
	if v.Flavor == server.MySQL && v.AtLeast(8, 0, 0) {
		return nil
	}
	name := "MySQL"
	if v.Flavor == server.MariaDB {
		name = "MariaDB"
	}
	return one(fault.TargetVersion, Block, Target, "the target is %s %s", name, v)
}

func crossing(f *Facts) []Finding {
	s, t := f.Source.Version, f.Target.Version
	switch {
	case s.Flavor != t.Flavor:
		return one(fault.VersionCrossing, Note, Both, "MariaDB %s to MySQL %s: JSON is text with a CHECK on MariaDB and a type of its own on MySQL; "+
			"collations, optimizer and reserved words differ", s, t)
	case s.Major > t.Major || s.Major == t.Major && s.Minor > t.Minor:
		return one(fault.VersionCrossing, Decide, Both, "MySQL %s to the older %s: what the source accepts may be unknown to the target", s, t)
	case !s.SameSeries(t):
		return one(fault.VersionCrossing, Note, Both, "MySQL %s to %s: read what changed in between (reserved words, sql_mode, authentication, collations)", s, t)
	}
	return nil
}

func letterCase(f *Facts) []Finding {
	s, t := f.Source.Vars["lower_case_table_names"], f.Target.Vars["lower_case_table_names"]
	if s == t && s != "0" {
		return foldedNames(f)
	}
	if s == t {
		return nil
	}
	return one(fault.LetterCase, Block, Both, "lower_case_table_names is %s on the source and %s on the target", s, t)
}

// foldedNames: servers that keep names in lower case know no others, so the configuration must have
// them as they are kept.
func foldedNames(f *Facts) []Finding {
	var findings []Finding
	for _, db := range f.Config.Databases {
		if db != strings.ToLower(db) {
			findings = append(findings, Finding{Code: fault.LetterCase, Severity: Block, Side: Both, Object: db,
				Detail: fmt.Sprintf("lower_case_table_names is %s on both servers, which keep the database %s as %s", f.Source.Vars["lower_case_table_names"], db, strings.ToLower(db)),
				Remedy: fmt.Sprintf("Write %s in the configuration.", strings.ToLower(db))})
		}
	}
	return findings
}

// modes is a sql_mode without what only names a combination of others.
func modes(mode string) map[string]bool {
	set := map[string]bool{}
	for m := range strings.SplitSeq(mode, ",") {
		if m != "" && m != "TRADITIONAL" && m != "ANSI" {
			set[m] = true
		}
	}
	return set
}

func sqlMode(f *Facts) []Finding {
	source, target := modes(f.Source.Vars["sql_mode"]), modes(f.Target.Vars["sql_mode"])
	var only []string
	for _, m := range sortedKeys(source) {
		if !target[m] {
			only = append(only, m+" on the source only")
		}
	}
	for _, m := range sortedKeys(target) {
		if !source[m] {
			only = append(only, m+" on the target only")
		}
	}
	if len(only) == 0 {
		return nil
	}
	return one(fault.SQLMode, Note, Both, "the global sql_mode differs: %s", strings.Join(only, ", "))
}

func timeZones(f *Facts) []Finding {
	s, t := zone(f.Source), zone(f.Target)
	if s == t || isUTC(s) && isUTC(t) {
		return nil
	}
	return one(fault.TimeZone, Note, Both, "the time zone is %s on the source and %s on the target", s, t)
}

func zone(s *Server) string {
	if z := s.Vars["time_zone"]; z != "SYSTEM" {
		return z
	}
	return fmt.Sprintf("SYSTEM (%s)", s.Vars["system_time_zone"])
}

func isUTC(zone string) bool {
	switch zone {
	case "+00:00", "UTC", "SYSTEM (UTC)", "Etc/UTC", "SYSTEM (GMT)":
		return true
	}
	return false
}
