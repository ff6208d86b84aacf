package plan

import (
	"fmt"
	"slices"
	"strings"

	"changeover/internal/accounts"
	"changeover/internal/config"
	"changeover/internal/fault"
	"changeover/internal/server"
)

// Stage is what privileges are for.
type Stage string

// The stages, each of which needs those of the ones before.
const (
	ForRun      Stage = "run"      // copy, stream, compare
	ForCutover  Stage = "cutover"  // rehearse too
	ForRollback Stage = "rollback" // the way back, from the moment of the cutover on
)

// Need is the privileges that one purpose takes on one server, as SQL ready to run.
type Need struct {
	Side       Side     `json:"side"`
	Stage      Stage    `json:"stage"`
	Purpose    string   `json:"purpose"`
	Needed     bool     `json:"needed"` // the stage can't do without; else it is for what the purpose says
	Statements []string `json:"statements"`

	wants    []want
	without  string // what will not be, in a sentence's second half
	severity Severity
	code     fault.Code
}

// want is one privilege on one place.
type want struct {
	place
	names []string // the first is this version's; the account may hold any of them
}

// place is where a privilege is held: everywhere if it is empty.
type place struct{ database, table, routine string }

func (p place) everywhere() bool { return p.database == "" }

// String is the place in a GRANT.
func (p place) String() string {
	pattern := strings.NewReplacer(`\`, `\\`, "_", `\_`, "%", `\%`).Replace(p.database)
	switch {
	case p.everywhere():
		return "*.*"
	case p.routine != "":
		return "PROCEDURE " + server.Name(p.database, p.routine)
	case p.table != "":
		return server.Name(p.database, p.table)
	}
	return server.Name(pattern) + ".*" // the name of a database is a pattern there
}

// name is the place for people; empty: the server.
func (p place) name() string {
	switch {
	case p.routine != "":
		return p.database + "." + p.routine
	case p.table != "":
		return p.database + "." + p.table
	}
	return p.database
}

func everywhere(names ...string) want { return want{names: names} }

func on(database string, privileges ...string) (all []want) {
	for _, p := range privileges {
		all = append(all, want{place{database: database}, []string{p}})
	}
	return all
}

// held tells whether the server's account has it.
func (s *Server) held(w want) bool {
	name := w.names[0]
	switch {
	case w.routine != "":
		return s.Grants.OnRoutine(w.database, w.routine, name)
	case w.table != "":
		return s.Grants.OnTable(w.database, w.table, name)
	case !w.everywhere():
		return s.Grants.On(w.database, name)
	}
	return s.hasDynamic(w.names...) || s.Grants.Global(accounts.AllStatic) && slices.ContainsFunc(w.names, accounts.IsStatic)
}

const stateDatabase = "_changeover"

// stateNeeds is what Changeover needs on its own database, on either side.
func stateNeeds() []string { return []string{"SELECT", "INSERT", "UPDATE", "DELETE", "CREATE"} }

// writes is what it takes to make tables and to keep them equal.
func writes() []string {
	return []string{"SELECT", "INSERT", "UPDATE", "DELETE", "CREATE", "ALTER", "DROP", "INDEX", "REFERENCES"}
}

// makesObjects is what it takes to make views, routines, triggers and events.
func makesObjects() []string {
	return []string{"CREATE VIEW", "SHOW VIEW", "CREATE ROUTINE", "ALTER ROUTINE", "EXECUTE", "TRIGGER", "EVENT"}
}

// needs lists what both accounts need: the one table from which --grants is printed and plan judges.
func (f *Facts) needs() []Need {
	return slices.Concat(f.sourceRun(), f.fenceNeeds(f.Source, ForCutover), f.probeNeeds(f.Source), f.sourceBack(),
		f.targetRun(), f.probeNeeds(f.Target), f.targetBack(), f.fenceNeeds(f.Target, ForRollback))
}

// each is privileges on every one of the migration's databases.
func (f *Facts) each(privileges ...string) (all []want) {
	for _, db := range f.Config.Databases {
		all = append(all, on(db, privileges...)...)
	}
	return all
}

func (f *Facts) sourceRun() []Need {
	s := f.Source
	var keyless []want
	for _, db := range f.Config.Databases {
		if f.Schema == nil || f.Schema.hasKeyless(db) || !s.Grants.On(db, "SELECT") { // what it may not read it does not see
			keyless = append(keyless, on(db, "LOCK TABLES")...)
		}
	}
	return []Need{
		{Side: Source, Stage: ForRun, Purpose: "read the binlog", Needed: true, code: fault.SourcePrivilege, severity: Block,
			wants: []want{everywhere("REPLICATION SLAVE"), everywhere(s.binlogMonitor()...)}, without: "the stream reads the binlog"},
		{Side: Source, Stage: ForRun, Purpose: "write watermarks and keep the state", Needed: true, code: fault.SourcePrivilege, severity: Block,
			wants: on(stateDatabase, stateNeeds()...), without: "watermarks are rows there"},
		{Side: Source, Stage: ForRun, Purpose: "read the rows, and see views, triggers and events", Needed: true, code: fault.SourcePrivilege, severity: Block,
			wants: f.each("SELECT", "SHOW VIEW", "TRIGGER", "EVENT"), without: "rows are read; views, triggers and events are invisible without"},
		{Side: Source, Stage: ForRun, Purpose: "copy tables without a key", Needed: true, code: fault.SourcePrivilege, severity: Block,
			wants: keyless, without: "tables without a key are locked for a moment"},
		{Side: Source, Stage: ForRun, Purpose: "read the texts of routines that are another account's", code: fault.SourcePrivilege, severity: Decide,
			wants: s.routineTexts(), without: "it stops at a routine of another account, whose text it can't read"},
		{Side: Source, Stage: ForRun, Purpose: "see long transactions, and before a cutover what would stall the fence", code: fault.SourcePrivilege, severity: Decide,
			wants: []want{everywhere("PROCESS")}, without: "it does not see who holds the stream up, nor who would stall the fence"},
	}
}

// routineTexts is what it takes to read the texts of routines that are another account's.
func (s *Server) routineTexts() []want {
	switch {
	case !s.Reached() || s.mysqlAtLeast(8, 0, 20):
		return []want{everywhere("SHOW_ROUTINE", "SELECT")}
	case s.mysqlAtLeast(8, 0, 0):
		return []want{everywhere("SELECT")}
	}
	return []want{{place{database: "mysql", table: "proc"}, []string{"SELECT"}}}
}

func (f *Facts) targetRun() []Need {
	s := f.Target
	objects := Need{Side: Target, Stage: ForRun, Purpose: "make the views, routines, triggers and events that are there", Needed: true, code: fault.TargetPrivilege, severity: Block,
		without: "views, routines, triggers and events are made there"}
	for _, db := range f.Config.Databases {
		objects.wants = append(objects.wants, on(db, f.objectNeeds(db)...)...)
	}
	later := Need{Side: Target, Stage: ForRun, Purpose: "make those that come until the cutover", code: fault.TargetPrivilege, severity: Decide,
		without: "those that come until the cutover can't be made"}
	for _, w := range f.each(makesObjects()...) {
		if !slices.ContainsFunc(objects.wants, func(o want) bool { return o.place == w.place && o.names[0] == w.names[0] }) {
			later.wants = append(later.wants, w)
		}
	}
	definers := Need{Side: Target, Stage: ForRun, Purpose: "keep the definers of views, routines, triggers and events that are other accounts", code: fault.TargetPrivilege, severity: Decide,
		wants: s.definers(), without: "what is another account's gets Changeover's as its definer"}
	return []Need{
		{Side: Target, Stage: ForRun, Purpose: "tell tables apart, and see other sessions", Needed: true, code: fault.TargetPrivilege, severity: Block,
			wants: []want{everywhere("PROCESS")}, without: "tables are told apart by InnoDB's TABLE_ID"},
		{Side: Target, Stage: ForRun, Purpose: "keep positions and leases", Needed: true, code: fault.TargetPrivilege, severity: Block,
			wants: on(stateDatabase, stateNeeds()...), without: "positions and leases are kept there"},
		{Side: Target, Stage: ForRun, Purpose: "make the tables, copy and stream", Needed: true, code: fault.TargetPrivilege, severity: Block,
			wants: f.each(writes()...), without: "tables are made there, and rows written"},
		objects, later, definers,
	}
}

// definers is what it takes to name another account as a definer, also one that is not there.
func (s *Server) definers() []want {
	switch {
	case s.mariadbAtLeast(10, 5, 2):
		return []want{everywhere("SET USER", "SUPER")}
	case s.Version.Flavor == server.MariaDB:
		return []want{everywhere("SUPER")}
	case s.mysqlAtLeast(8, 0, 0) && !s.mysqlAtLeast(8, 2, 0):
		return []want{everywhere("SET_USER_ID", "SUPER")}
	}
	return []want{everywhere("SET_ANY_DEFINER", "SUPER"), everywhere("ALLOW_NONEXISTENT_DEFINER", "SUPER")}
}

// binlogMonitor is REPLICATION CLIENT, which MariaDB renamed; it still answers to the old name.
func (s *Server) binlogMonitor() []string {
	if s.Version.Flavor == server.MariaDB {
		return []string{"BINLOG MONITOR", "REPLICATION CLIENT", "SUPER"}
	}
	return []string{"REPLICATION CLIENT", "SUPER"}
}

// probeNeeds is what a cutover takes on either side to see, as a plain account, what the application sees.
func (f *Facts) probeNeeds(s *Server) []Need {
	all := []Need{
		{Side: s.Side, Stage: ForCutover, Purpose: "make the plain account that shows whether writes are refused", Needed: true, code: fault.FencePrivilege, severity: Decide,
			wants: append([]want{everywhere("CREATE USER")}, on(stateDatabase, accounts.GrantOption)...), without: "the account that shows whether the application's writes are refused can't be made"},
	}
	if flush := s.Vars["innodb_flush_log_at_trx_commit"]; flush != "" && flush != "1" {
		stage := ForCutover // when it becomes the writer
		if s.Side == Source {
			stage = ForRollback
		}
		all = append(all, Need{Side: s.Side, Stage: stage, Purpose: "have on disk what the stream brought, since innodb_flush_log_at_trx_commit is not 1", Needed: true,
			code: fault.FencePrivilege, severity: Decide, wants: []want{everywhere("RELOAD")}, without: "the logs can't be flushed, and innodb_flush_log_at_trx_commit is " + flush})
	}
	return all
}

// fenceNeeds is what it takes to fence a server, to see what passes, and to undo it: of the source at the
// cutover, of the target until then and at the rollback.
func (f *Facts) fenceNeeds(s *Server, stage Stage) []Need {
	byAccount := f.Config.Cutover.Fence == config.FenceAccounts
	need := func(purpose string, needed bool, without string, wants ...want) Need {
		return Need{Side: s.Side, Stage: stage, Purpose: purpose, Needed: needed, code: fault.FencePrivilege, severity: Decide, wants: wants, without: without}
	}
	all := []Need{
		need("see all accounts, and who writes behind a fence", true, "who writes on that server can't be seen", on("mysql", "SELECT")...),
	}
	wide := []want{s.switching(), everywhere(s.passing()...), everywhere("SHOW DATABASES")}
	switch {
	case s.Side == Target:
		shield := need("keep the application from writing to the target until it is the writer", true, "nothing keeps the application from writing to the target before", wide...)
		shield.Stage = ForCutover
		all = append(all, shield)
	case f.Config.Cutover.Fence == config.FenceReadOnly:
		all = append(all, need("refuse writes on the whole server", true, "cutover.fence is read_only", wide...))
	case !byAccount:
		auto := need("refuse writes on the whole server", false, "the fence locks the application's accounts and ends their sessions, and rehearsals go without", wide...)
		auto.severity = Note // auto has decided
		all = append(all, auto)
	}
	all = append(all, need("end the application's sessions", byAccount || !s.fencesWhole(), "sessions of the application go on", s.killing()...))
	all = append(all, need("see replication into the server", true, "what arrives by replication is not bound by a fence, and can't be seen", everywhere(s.replicaMonitor()...)))
	if s.Version.Flavor != server.MariaDB && (s.Version.Major == 0 || s.mysqlAtLeast(8, 0, 0)) {
		all = append(all,
			need("see prepared XA transactions", true, "a prepared XA transaction is not bound by a fence, and can't be seen", everywhere("XA_RECOVER_ADMIN")),
			need("see locks and open XA transactions, and keep the fence over a restart by SET PERSIST", false,
				"what would stall the fence is told from texts, any XA transaction since the server's start refuses it, and over a restart accounts are locked", on("performance_schema", "SELECT")...))
	}
	all = append(all, need("make the event by which the old writer undoes an attempt when no coordinator is left", false,
		"if no coordinator is left the fence stands until one comes", on(stateDatabase, "EVENT")...))
	if s.Side == Source { // the target's run has it
		all = append(all, need("stop events and put triggers back under their definers", false,
			"an event that is another account's refuses a fence by account, and its triggers come back at a rollback under Changeover's", s.definers()...))
	}
	return all
}

// switching is what it takes to set read_only.
func (s *Server) switching() want {
	switch {
	case slices.Contains(s.Procedures, "rds_set_read_only") || s.Identity.Aurora != "":
		return want{place{database: "mysql", routine: "rds_set_read_only"}, []string{"EXECUTE"}}
	case s.mariadbAtLeast(10, 5, 2):
		return everywhere("READ_ONLY ADMIN", "READ ONLY ADMIN", "SUPER")
	case s.Version.Flavor != server.MariaDB && (s.Version.Major == 0 || s.mysqlAtLeast(8, 0, 0)):
		return everywhere("SYSTEM_VARIABLES_ADMIN", "SUPER")
	}
	return everywhere("SUPER")
}

// passing is what lets the account write while read_only is on.
func (s *Server) passing() []string {
	if !s.Reached() {
		return []string{"CONNECTION_ADMIN", "SUPER"}
	}
	return accounts.Passing(s.Version)
}

// killing is what it takes to end the sessions of others.
func (s *Server) killing() []want {
	switch {
	case slices.Contains(s.Procedures, "rds_kill"):
		return []want{{place{database: "mysql", routine: "rds_kill"}, []string{"EXECUTE"}}}
	case s.mariadbAtLeast(10, 5, 2):
		return []want{everywhere("CONNECTION ADMIN", "SUPER")}
	case s.Version.Flavor != server.MariaDB && (s.Version.Major == 0 || s.mysqlAtLeast(8, 0, 0)):
		return []want{everywhere("CONNECTION_ADMIN", "SUPER")}
	}
	return []want{everywhere("SUPER")}
}

// replicaMonitor is what it takes to see replication channels.
func (s *Server) replicaMonitor() []string {
	if s.mariadbAtLeast(10, 5, 2) {
		return []string{"REPLICA MONITOR", "SLAVE MONITOR", "SUPER"}
	}
	return []string{"REPLICATION CLIENT", "SUPER"}
}

// fencesWhole tells whether the account could fence the whole server. Of one that was not reached it is assumed.
func (s *Server) fencesWhole() bool {
	return !s.Reached() || s.held(s.switching()) && s.held(everywhere(s.passing()...)) && s.held(everywhere("SHOW DATABASES"))
}

// sourceBack is what the reverse stream writes with, behind the source's fence.
func (f *Facts) sourceBack() []Need {
	return []Need{
		{Side: Source, Stage: ForRollback, Purpose: "write what happens on the target back", Needed: true, code: fault.ReversePrivilege, severity: Decide,
			wants: f.each(writes()...), without: "the reverse stream writes there"},
		{Side: Source, Stage: ForRollback, Purpose: "carry views, routines, triggers and events back", Needed: true, code: fault.ReversePrivilege, severity: Decide,
			wants: f.each(makesObjects()...), without: "views, routines, triggers and events are made there again"},
		{Side: Source, Stage: ForCutover, Purpose: "make the way back ready", Needed: true, code: fault.ReversePrivilege, severity: Decide,
			wants: []want{everywhere("PROCESS")}, without: "for the way back tables are told apart by InnoDB's TABLE_ID"},
	}
}

// targetBack is what the reverse stream is read with.
func (f *Facts) targetBack() []Need {
	binlog := []want{everywhere("REPLICATION SLAVE")}
	if mode := f.Target.Vars["gtid_mode"]; mode != "" && mode != "ON" { // the position is then the file's
		binlog = append(binlog, everywhere(f.Target.binlogMonitor()...))
	}
	return []Need{
		{Side: Target, Stage: ForCutover, Purpose: "read the texts of routines that are another account's", Needed: true, code: fault.TargetPrivilege, severity: Decide,
			wants: f.Target.routineTexts(), without: "routines of another account can't be compared with the source's"},
		{Side: Target, Stage: ForCutover, Purpose: "read the target's binlog", Needed: true, code: fault.TargetPrivilege, severity: Decide,
			wants: binlog, without: "the way back reads the target's binlog"},
		{Side: Target, Stage: ForRun, Purpose: "end the session of a runner that died at once, instead of when the server notices", code: fault.TargetPrivilege, severity: Decide,
			wants: f.Target.killing(), without: "a successor waits until the server notices that a runner has died"},
	}
}

// statements are the GRANTs of a need: one for each place.
func (n *Need) statements(account string) (all []string) {
	var places []place
	by := map[place][]string{}
	for _, w := range n.wants {
		if !slices.Contains(places, w.place) {
			places = append(places, w.place)
		}
		if !slices.Contains(by[w.place], w.names[0]) {
			by[w.place] = append(by[w.place], w.names[0])
		}
	}
	for _, p := range places {
		all = append(all, grant(by[p], p, account))
	}
	return all
}

func grant(privileges []string, p place, account string) string {
	return fmt.Sprintf("GRANT %s ON %s TO %s;", strings.Join(privileges, ", "), p, quoteAccount(account))
}
