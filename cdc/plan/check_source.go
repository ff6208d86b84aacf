package plan

import (
	"fmt"
	"strings"
	"time"

	"changeover/internal/fault"
)

func sourceChecks() []Check {
	return []Check{
		{"the source takes our watermarks", NeedsSource, sourceReadOnly},
		{"no prepared XA transaction", NeedsSource, preparedXA},
		{"no transaction is open for long", NeedsSource, longTransactions},
		{"replication into the source", NeedsSource, sourceIsReplica},
		{"accounts that write behind a fence", NeedsSource, func(f *Facts) []Finding { return fencePassers(f.Source) }},
	}
}

// readOnly says why the server refuses our writes, or nothing.
func (s *Server) readOnly() string {
	switch {
	case s.Vars.On("innodb_read_only"):
		return "innodb_read_only is ON: this is a reader endpoint"
	case s.Vars.On("super_read_only"):
		return "super_read_only is ON"
	case s.Vars.On("read_only") && !s.passesFence():
		return "read_only is ON and the account does not pass it"
	}
	return ""
}

// passesFence tells whether our own account writes while read_only is on.
func (s *Server) passesFence() bool { return s.held(everywhere(s.passing()...)) }

func sourceReadOnly(f *Facts) []Finding {
	if why := f.Source.readOnly(); why != "" {
		return one(fault.SourceReadOnly, Block, Source, "%s", why)
	}
	return nil
}

func preparedXA(f *Facts) []Finding {
	if len(f.Source.Prepared) == 0 {
		return nil
	}
	return one(fault.PreparedXA, Block, Source, "%d prepared: %s", len(f.Source.Prepared), list(f.Source.Prepared))
}

func longTransactions(f *Facts) []Finding {
	var findings []Finding
	for _, t := range f.Source.Long {
		severity := Note
		if t.Open > 10*time.Minute {
			severity = Decide
		}
		detail := fmt.Sprintf("connection %d of %s has a transaction open for %s", t.Thread, t.User, duration(t.Open))
		if t.Query != "" {
			detail += ": " + strings.Join(strings.Fields(t.Query), " ")
		}
		findings = append(findings, Finding{Code: fault.LongTransaction, Severity: severity, Side: Source, Detail: detail})
	}
	return findings
}

func sourceIsReplica(f *Facts) []Finding {
	var findings []Finding
	s := f.Source
	for _, c := range s.Channels {
		logged := s.Vars.On("log_replica_updates") || s.Vars.On("log_slave_updates")
		switch {
		case !logged:
			findings = append(findings, one(fault.SourceReplica, Block, Source,
				"the source is a replica of %s and keeps what it replicates out of its own binlog (log_replica_updates is OFF)", c.From)...)
		default:
			findings = append(findings, one(fault.SourceReplica, Decide, Source,
				"the source is a replica of %s: %s", c.From, "its writer is elsewhere, so a cutover here would not move the application")...)
		}
	}
	return findings
}

func fencePassers(s *Server) []Finding {
	if len(s.Passers) == 0 {
		return nil
	}
	names := make([]string, len(s.Passers))
	for i, p := range s.Passers {
		names[i] = fmt.Sprintf("%s (%s)", p.Account, p.By)
	}
	return one(fault.FencePassers, Decide, s.Side, "%d pass: %s", len(names), list(names))
}
