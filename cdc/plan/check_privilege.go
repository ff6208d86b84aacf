package plan

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"changeover/cdc/schema"
	"changeover/internal/fault"
	"changeover/internal/server"
)

func privilegeChecks() []Check {
	return []Check{
		{"the source's account may read and stream", NeedsSource, sourcePrivileges},
		{"the source's account may take the stream back", NeedsSource, reversePrivileges},
		{"the target's account may write", NeedsTarget, targetPrivileges},
	}
}

const stateDatabase = "_changeover"

// stateNeeds is what Changeover needs on its own database, on either side.
func stateNeeds() []string { return []string{"SELECT", "INSERT", "UPDATE", "DELETE", "CREATE", "DROP"} }

// lacking makes a finding for each place where privileges are missing.
func lacking(s *Server, code fault.Code, severity Severity, database string, why string, privs ...string) []Finding {
	missing := s.Grants.Missing(database, privs...)
	if len(missing) == 0 {
		return nil
	}
	return []Finding{{
		Code: code, Severity: severity, Side: s.Side, Object: database,
		Detail: fmt.Sprintf("%s lacks %s on %s: %s", s.Account, strings.Join(missing, ", "), database, why),
		Remedy: grantRemedy(missing, server.Name(database)+".*", s.Account),
	}}
}

// lackingGlobal is for a privilege that exists only on *.*; names are the ones that it has had, the
// name of this server's version first.
func lackingGlobal(s *Server, code fault.Code, severity Severity, why string, names ...string) []Finding {
	if s.hasDynamic(names...) || s.Grants.Global(allStatic) && isStatic(names[0]) {
		return nil
	}
	return []Finding{{
		Code: code, Severity: severity, Side: s.Side,
		Detail: fmt.Sprintf("%s lacks %s: %s", s.Account, names[0], why),
		Remedy: grantRemedy(names[:1], "*.*", s.Account),
	}}
}

func sourcePrivileges(f *Facts) []Finding {
	s, code := f.Source, fault.SourcePrivilege
	all := lackingGlobal(s, code, Block, "it reads the binlog", "REPLICATION SLAVE")
	all = append(all, lackingGlobal(s, code, Block, "it asks where the binlog is", s.binlogMonitor()...)...)
	all = append(all, lackingGlobal(s, code, Decide, "it sees who holds the stream up, and long transactions", "PROCESS")...)
	all = append(all, lacking(s, code, Block, stateDatabase, "its watermarks are rows there", stateNeeds()...)...)
	for _, db := range f.Config.Databases {
		all = append(all, lacking(s, code, Block, db, "it reads the rows", "SELECT")...)
		// Without these the objects are not even listed, and would be left behind unnoticed.
		all = append(all, lacking(s, code, Block, db, "views, triggers and events are invisible without", "SHOW VIEW", "TRIGGER", "EVENT")...)
		if f.Schema != nil && f.Schema.hasKeyless(db) {
			all = append(all, lacking(s, code, Block, db, "tables without a key are locked for a moment", "LOCK TABLES")...)
		}
	}
	return all
}

// binlogMonitor is REPLICATION CLIENT, which MariaDB renamed; it still answers to the old name.
func (s *Server) binlogMonitor() []string {
	if s.Version.Flavor == server.MariaDB {
		return []string{"BINLOG MONITOR", "REPLICATION CLIENT", "SUPER"}
	}
	return []string{"REPLICATION CLIENT", "SUPER"}
}

func (s *Schema) hasKeyless(database string) bool {
	return slices.ContainsFunc(s.Tables, func(t Table) bool { return t.Schema == database && t.RowKey < 0 })
}

// reversePrivileges are needed from the cutover on: the reverse stream writes the source behind
// its fence.
func reversePrivileges(f *Facts) []Finding {
	s, code := f.Source, fault.ReversePrivilege
	var all []Finding
	for _, db := range f.Config.Databases {
		all = append(all, lacking(s, code, Decide, db, "after the cutover the reverse stream writes there",
			"INSERT", "UPDATE", "DELETE", "CREATE", "ALTER", "DROP", "INDEX", "REFERENCES")...)
	}
	if !s.passesFence() {
		all = append(all, Finding{Code: code, Severity: Decide, Side: Source,
			Detail: fmt.Sprintf("%s does not pass read_only (%s): the fence would stop the reverse stream too", s.Account, strings.Join(s.passing()[:1], "")),
			Remedy: grantRemedy(s.passing()[:1], "*.*", s.Account) + " Where that can't be had, the cutover fences by account."})
	}
	return all
}

func targetPrivileges(f *Facts) []Finding {
	s, code := f.Target, fault.TargetPrivilege
	all := lackingGlobal(s, code, Block, "it tells tables apart by InnoDB's TABLE_ID", "PROCESS")
	all = append(all, lacking(s, code, Block, stateDatabase, "positions and leases are kept there", stateNeeds()...)...)
	for _, db := range f.Config.Databases {
		all = append(all, lacking(s, code, Block, db, "it creates the tables and writes the rows",
			"SELECT", "INSERT", "UPDATE", "DELETE", "CREATE", "ALTER", "DROP", "INDEX", "REFERENCES")...)
		if needs := f.objectNeeds(db); len(needs) > 0 {
			all = append(all, lacking(s, code, Block, db, "it creates views, routines, triggers and events", needs...)...)
		}
	}
	all = append(all, lackingGlobal(s, code, Decide, "a successor ends the session of a runner that died", "CONNECTION_ADMIN", "SUPER")...)
	return append(all, lackingGlobal(s, code, Decide, "after the cutover it reads the target's binlog", "REPLICATION SLAVE")...)
}

// objectNeeds is what creating the objects of a database takes.
func (f *Facts) objectNeeds(database string) []string {
	byKind := map[schema.Kind][]string{
		schema.KindView: {"CREATE VIEW", "SHOW VIEW"}, schema.KindTrigger: {"TRIGGER"}, schema.KindEvent: {"EVENT"},
		schema.KindFunction: {"CREATE ROUTINE", "ALTER ROUTINE"}, schema.KindProcedure: {"CREATE ROUTINE", "ALTER ROUTINE"},
	}
	needs := map[string]bool{}
	for _, o := range f.allObjects() {
		for _, p := range byKind[o.Kind] {
			needs[p] = needs[p] || o.Schema == database
		}
	}
	maps.DeleteFunc(needs, func(_ string, needed bool) bool { return !needed })
	return sortedKeys(needs)
}

func sortedKeys[V any](m map[string]V) []string {
	return slices.Sorted(maps.Keys(m))
}
