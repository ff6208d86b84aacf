package plan

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"changeover/internal/fault"
	"changeover/internal/server"
)

func connectChecks() []Check {
	return []Check{
		{"both sides answer", NeedsNothing, unreachable},
		{"every fact could be had", NeedsNothing, unknown},
		{"source and target are two servers", NeedsBoth, sameServer},
		{"the databases exist", NeedsSource, missingDatabases},
		{"server ids differ and are not 0", NeedsBoth, serverIDs},
	}
}

func one(code fault.Code, severity Severity, side Side, format string, args ...any) []Finding {
	return []Finding{{Code: code, Severity: severity, Side: side, Detail: fmt.Sprintf(format, args...)}}
}

func (f *Facts) servers() []*Server {
	return []*Server{f.Source, f.Target}
}

func (f *Facts) reached() []*Server {
	return slices.DeleteFunc(f.servers(), func(s *Server) bool { return !s.Reached() })
}

func unreachable(f *Facts) []Finding {
	var findings []Finding
	for _, s := range f.servers() {
		if s == nil || s.Err == nil {
			continue
		}
		code, detail := fault.Connect, s.Err.Error()
		var e *fault.Error
		if errors.As(s.Err, &e) {
			code, detail = e.Code, e.Detail
		}
		findings = append(findings, Finding{Code: code, Severity: Block, Side: s.Side, Detail: detail})
	}
	return findings
}

func unknown(f *Facts) []Finding {
	var findings []Finding
	for _, s := range f.reached() {
		for _, m := range s.Missing {
			severity := Decide
			if m.Required {
				severity = Block
			}
			code, detail := fault.PlanUnknown, m.Err.Error()
			if known := faults(m.Err); len(known) > 0 {
				code, detail = known[0].Code, known[0].Detail
			}
			findings = append(findings, one(code, severity, s.Side, "%s could not be read: %s", m.What, detail)...)
		}
	}
	return findings
}

func sameServer(f *Facts) []Finding {
	if !server.Same(f.Source.Identity, f.Target.Identity) {
		return nil
	}
	return one(fault.SameServer, Block, Both, "%s and %s are both server %s",
		f.Source.Endpoint.Addr(), f.Target.Endpoint.Addr(), f.Source.Identity.UUID)
}

func missingDatabases(f *Facts) []Finding {
	if f.Schema == nil {
		return nil
	}
	var findings []Finding
	for _, name := range f.Config.Databases {
		if !slices.Contains(f.Schema.Databases, name) {
			findings = append(findings, Finding{Code: fault.NoDatabase, Severity: Block, Side: Source, Object: name,
				Detail: fmt.Sprintf("the source has no database %s, or %s may not see it", name, f.Source.Account)})
		}
	}
	return findings
}

func serverIDs(f *Facts) []Finding {
	source, target := f.Source.Vars["server_id"], f.Target.Vars["server_id"]
	switch {
	case source == "0":
		return one(fault.ServerID, Block, Source, "server_id is 0")
	case target == "0":
		return one(fault.ServerID, Decide, Target, "server_id is 0: the reverse stream could not be read")
	case source == target && !server.Same(f.Source.Identity, f.Target.Identity):
		return one(fault.ServerID, Decide, Both, "source and target both have server_id %s", source)
	}
	return nil
}

// list names up to five things and counts the rest.
func list(names []string) string {
	const shown = 5
	if len(names) <= shown {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:shown], ", "), len(names)-shown)
}
