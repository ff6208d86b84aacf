package plan

import (
	"fmt"

	"changeover/cdc/schema"
	"changeover/internal/accounts"
	"changeover/internal/config"
	"changeover/internal/fault"
)

func targetChecks() []Check {
	return []Check{
		{"the target is a writer", NeedsTarget, targetReadOnly},
		{"the target is empty", NeedsTarget, targetEmpty},
		{"the target is nobody's writer", NeedsTarget, targetShared},
		{"the target's binlog", NeedsTarget, targetBinlog},
		{"LOAD DATA LOCAL", NeedsTarget, localInfile},
		{"packets", NeedsBoth, packets},
		{"replication into the target", NeedsTarget, targetIsReplica},
		{"triggers and functions may be created", NeedsBoth, func(f *Facts) []Finding {
			return f.trustFunctions(f.Target, fault.TrustFunctions, "created at the cutover")
		}},
		{"triggers and functions may be created again", NeedsSource, func(f *Facts) []Finding {
			return f.trustFunctions(f.Source, fault.ReversePrivilege, "created again at a rollback")
		}},
		{"tables without a key may be created", NeedsBoth, keyRequirements},
		{"accounts that write behind a fence", NeedsTarget, func(f *Facts) []Finding { return fencePassers(f.Target) }},
	}
}

func targetReadOnly(f *Facts) []Finding {
	t := f.Target
	if t.Vars.On("innodb_read_only") {
		return one(fault.TargetReader, Block, Target, "innodb_read_only is ON: this is a reader endpoint")
	}
	if why := t.readOnly(); why != "" {
		return one(fault.TargetReadOnly, Block, Target, "%s", why)
	}
	return nil
}

func targetEmpty(f *Facts) []Finding {
	if f.Waiting == nil {
		return nil
	}
	if f.Waiting.Resume {
		return one(fault.Resume, Note, Target, "the target has this migration's state: run goes on where it was")
	}
	var findings []Finding
	for _, db := range f.Config.Databases {
		if n := f.Waiting.Tables[db]; n > 0 {
			findings = append(findings, Finding{Code: fault.TargetNotEmpty, Severity: Block, Side: Target, Object: db,
				Detail: fmt.Sprintf("%s has %d tables and views", db, n)})
		}
	}
	return findings
}

// targetShared: a fence for the whole server would stop the application that writes to it.
func targetShared(f *Facts) []Finding {
	if f.Waiting == nil || len(f.Waiting.Writer) == 0 {
		return nil
	}
	severity, then := Decide, "it is fenced by its accounts, and one that both applications use is locked for both"
	if f.Config.Cutover.Fence == config.FenceReadOnly {
		severity, then = Block, "cutover.fence is read_only, which would stop its application too"
	}
	return one(fault.FenceShared, severity, Target, "the target is the writer of migration %s: %s", list(f.Waiting.Writer), then)
}

// targetBinlog: the applier reads committed rows only, which InnoDB refuses with STATEMENT; and the
// reverse stream reads this binlog, but only from the cutover on.
func targetBinlog(f *Facts) []Finding {
	v := f.Target.Vars
	format := v["binlog_format"]
	switch {
	case !v.On("log_bin") || format == "OFF": // Aurora's default: OFF
		return one(fault.TargetBinlog, Decide, Target, "the target writes no binlog: there will be no way back after the cutover")
	case format == "STATEMENT":
		return one(fault.TargetBinlog, Block, Target, "binlog_format is STATEMENT: the server refuses writes under READ COMMITTED (error 1665)")
	case format != "ROW" && format != "":
		return one(fault.TargetBinlog, Decide, Target, "binlog_format is %s: the reverse stream after the cutover needs ROW", format)
	case v["binlog_row_image"] != "FULL" && v.Has("binlog_row_image"):
		return one(fault.TargetBinlog, Decide, Target, "binlog_row_image is %s: the reverse stream after the cutover needs FULL", v["binlog_row_image"])
	}
	return nil
}

func localInfile(f *Facts) []Finding {
	if f.Target.Vars.On("local_infile") {
		return nil
	}
	return one(fault.LocalInfile, Note, Target, "local_infile is OFF: rows are copied by INSERT, at about half the speed")
}

// packets: one row must fit into a packet of the target. The source's own limit bounds its rows.
func packets(f *Facts) []Finding {
	s, okS := f.Source.Vars.Int("max_allowed_packet")
	t, okT := f.Target.Vars.Int("max_allowed_packet")
	if !okS || !okT {
		return nil
	}
	// A batch of the applier must fit as well; 4 MiB is where small rows stop gaining.
	const least = 4 << 20
	switch {
	case t < least:
		return one(fault.Packet, Block, Target, "max_allowed_packet is %s on the target; at least %s is needed", byteCount(t), byteCount(least))
	case t < s:
		return one(fault.Packet, Decide, Target, "max_allowed_packet is %s on the target and %s on the source: a row that fits there may not fit here",
			byteCount(t), byteCount(s))
	}
	return nil
}

func targetIsReplica(f *Facts) []Finding {
	var findings []Finding
	for _, c := range f.Target.Channels {
		severity := Decide
		if c.Running {
			severity = Block
		}
		findings = append(findings, one(fault.TargetReplica, severity, Target, "channel %q replicates from %s", c.Name, c.From)...)
	}
	return findings
}

// trustFunctions: with a binlog a server takes functions and triggers from SUPER only, unless told to trust.
func (f *Facts) trustFunctions(t *Server, code fault.Code, when string) []Finding {
	if !t.Vars.On("log_bin") || t.Vars.On("log_bin_trust_function_creators") || t.Grants.Global("SUPER", accounts.AllStatic) {
		return nil
	}
	functions, triggers := 0, 0
	for _, o := range f.allObjects() {
		switch o.Kind {
		case schema.KindFunction:
			functions++
		case schema.KindTrigger:
			triggers++
		}
	}
	if functions+triggers == 0 {
		return nil
	}
	return []Finding{{Code: code, Severity: Decide, Side: t.Side,
		Detail: fmt.Sprintf("log_bin_trust_function_creators is OFF and the account has no SUPER: %d functions and %d triggers can't be %s",
			functions, triggers, when),
		Remedy: fmt.Sprintf("Set log_bin_trust_function_creators=1 on the %s before the cutover.", t.Side)}}
}

func keyRequirements(f *Facts) []Finding {
	if f.Schema == nil {
		return nil
	}
	var findings []Finding
	for _, t := range f.Schema.Tables {
		if t.hasPrimary() {
			continue
		}
		if f.Target.Vars.On("sql_require_primary_key") {
			findings = append(findings, Finding{Code: fault.RequirePrimaryKey, Severity: Block, Side: Target, Object: t.Name(),
				Detail: fmt.Sprintf("%s has no primary key and the target has sql_require_primary_key=ON", t.Name())})
		} else if f.Target.Vars.On("sql_generate_invisible_primary_key") {
			findings = append(findings, Finding{Code: fault.RequirePrimaryKey, Severity: Block, Side: Target, Object: t.Name(),
				Detail: fmt.Sprintf("%s has no primary key and the target would add a hidden one (sql_generate_invisible_primary_key=ON)", t.Name())})
		}
	}
	return findings
}

func (t Table) hasPrimary() bool {
	return len(t.Keys) > 0 && t.Keys[0].Primary
}
