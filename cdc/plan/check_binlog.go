package plan

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"changeover/internal/fault"
	"changeover/internal/server"
)

func binlogChecks() []Check {
	return []Check{
		{"the source writes a binlog", NeedsSource, binlogOn},
		{"the binlog has rows", NeedsSource, binlogFormat},
		{"the rows are whole", NeedsSource, rowImage},
		{"JSON values are whole", NeedsSource, partialJSON},
		{"commits become visible in the binlog's order", NeedsSource, orderCommits},
		{"what was read can't be lost by a crash", NeedsSource, durability},
		{"no database is filtered out", NeedsSource, binlogFilters},
		{"the binlog is kept for long enough", NeedsSource, retention},
		{"positions", NeedsSource, positions},
		{"ALTER TABLE is one event", NeedsSource, twoPhaseAlter},
	}
}

func binlogOn(f *Facts) []Finding {
	if f.Source.Vars.On("log_bin") {
		return nil
	}
	return one(fault.BinlogOff, Block, Source, "log_bin is OFF")
}

func binlogFormat(f *Facts) []Finding {
	format := f.Source.Vars["binlog_format"]
	// MySQL 9 may drop the variable some day; without it ROW is the only format there is.
	if !f.Source.Vars.On("log_bin") || format == "" || format == "ROW" {
		return nil
	}
	return one(fault.BinlogFormat, Block, Source, "binlog_format is %s", format)
}

func rowImage(f *Facts) []Finding {
	image := f.Source.Vars["binlog_row_image"]
	if image == "" || image == "FULL" {
		return nil
	}
	return one(fault.BinlogImage, Block, Source, "binlog_row_image is %s", image)
}

func partialJSON(f *Facts) []Finding {
	if !strings.Contains(f.Source.Vars["binlog_row_value_options"], "PARTIAL_JSON") {
		return nil
	}
	return one(fault.PartialJSON, Block, Source, "binlog_row_value_options is %s", f.Source.Vars["binlog_row_value_options"])
}

func orderCommits(f *Facts) []Finding {
	if !f.Source.Vars.Has("binlog_order_commits") || f.Source.Vars.On("binlog_order_commits") {
		return nil
	}
	return one(fault.BinlogOrder, Block, Source, "binlog_order_commits is OFF")
}

// durability: with relaxed settings a crash of the source takes back transactions that are already
// on the target, and nothing says so.
func durability(f *Facts) []Finding {
	var relaxed []string
	for _, name := range []string{"sync_binlog", "innodb_flush_log_at_trx_commit"} {
		if v := f.Source.Vars[name]; v != "1" && v != "" && (name != "sync_binlog" || f.Source.Identity.Aurora == "") {
			relaxed = append(relaxed, name+" = "+v)
		}
	}
	if len(relaxed) == 0 {
		return nil
	}
	return one(fault.SourceDurability, Decide, Source, "%s", strings.Join(relaxed, ", "))
}

func binlogFilters(f *Facts) []Finding {
	var findings []Finding
	if b := f.Source.Binlog; b != nil {
		needed := append(slices.Clone(f.Config.Databases), "_changeover")
		do, ignore := names(b.Do), names(b.Ignore)
		for _, db := range needed {
			if len(do) > 0 && !slices.Contains(do, db) || slices.Contains(ignore, db) {
				findings = append(findings, Finding{Code: fault.BinlogFilter, Severity: Block, Side: Source, Object: db,
					Detail: fmt.Sprintf("%s is kept out of the binlog (binlog_do_db %q, binlog_ignore_db %q)", db, b.Do, b.Ignore)})
			}
		}
	}
	if f.Source.Vars.On("aurora_enable_repl_bin_log_filtering") {
		findings = append(findings, one(fault.BinlogFilter, Block, Source, "aurora_enable_repl_bin_log_filtering is on")...)
	}
	return findings
}

func names(list string) []string {
	return strings.FieldsFunc(list, func(r rune) bool { return r == ',' })
}

// retention compares how long the binlog is kept with how long the copy may need it. The stream
// runs beside the copy, so what is needed is hours of standstill, not the length of the copy; the
// copy's time is asked for twice because it is only an estimate.
func retention(f *Facts) []Finding {
	if !f.Source.Vars.On("log_bin") {
		return nil
	}
	kept, by, forever := f.Source.retention()
	if forever {
		return nil
	}
	need := max(2*f.estimate(), time.Hour)
	switch {
	case kept < need:
		return one(fault.BinlogRetention, Block, Source, "the binlog is kept for %s (%s); this migration wants at least %s", duration(kept), by, duration(need))
	case kept < 24*time.Hour:
		return one(fault.BinlogRetention, Decide, Source, "the binlog is kept for %s (%s): a stop for longer than that means copying again", duration(kept), by)
	}
	return nil
}

func (s *Server) retention() (kept time.Duration, by string, forever bool) {
	if s.RDSHours != nil {
		return time.Duration(*s.RDSHours) * time.Hour, fmt.Sprintf("'binlog retention hours' = %d", *s.RDSHours), false
	}
	if n, ok := s.Vars.Int("binlog_expire_logs_seconds"); ok && n > 0 {
		return time.Duration(n) * time.Second, fmt.Sprintf("binlog_expire_logs_seconds = %d", n), false
	}
	if days, err := strconv.ParseFloat(s.Vars["expire_logs_days"], 64); err == nil && days > 0 {
		return time.Duration(days * 24 * float64(time.Hour)), "expire_logs_days = " + s.Vars["expire_logs_days"], false
	}
	return 0, "", true
}

func positions(f *Facts) []Finding {
	s := f.Source
	if s.Version.Flavor == server.MariaDB {
		return one(fault.Positions, Note, Source, "the stream's position is a list of GTIDs (gtid_domain_id %s)", s.Vars["gtid_domain_id"])
	}
	if s.Vars["gtid_mode"] == "ON" {
		return one(fault.Positions, Note, Source, "the stream's position is a GTID set")
	}
	return []Finding{{
		Code: fault.Positions, Severity: Decide, Side: Source,
		Detail: fmt.Sprintf("gtid_mode is %s: the position is a file and an offset, which mean nothing on another server. "+
			"A failover of the source during the migration ends it", s.Vars["gtid_mode"]),
		Remedy: "Set gtid_mode=ON if the source may fail over; else go on.",
	}}
}

func twoPhaseAlter(f *Facts) []Finding {
	if !f.Source.Vars.On("binlog_alter_two_phase") {
		return nil
	}
	return one(fault.TwoPhaseAlter, Block, Source, "binlog_alter_two_phase is ON")
}
