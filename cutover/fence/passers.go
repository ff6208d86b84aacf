package fence

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"changeover/internal/fault"
	"changeover/internal/server"
)

// Passers finds everything that would write behind the fence which Survey plans, and everything that its
// position would not show. What is found is complete: each rule looks at all of the server, not at what is
// in use, but a passing account blocks only while it is connected.
func Passers(ctx context.Context, s Session, o Options) ([]Problem, error) {
	p, f, err := survey(ctx, s, o)
	if err != nil {
		return nil, err
	}
	all, err := f.accounts(ctx)
	if err != nil && !denied(err) {
		return nil, err
	}
	by := map[string]*known{}
	for _, k := range all {
		by[k.String()] = k
	}
	var problems []Problem
	for _, rule := range []func(context.Context, *Plan, map[string]*known) ([]Problem, error){
		f.passingAccounts, f.passingRoutines, f.passingXA, f.passingChannels, f.passingCluster, f.passingFilters, f.passingCross,
	} {
		found, err := rule(ctx, p, by)
		if err != nil {
			return nil, fmt.Errorf("look for what passes the fence: %w", err)
		}
		problems = append(problems, found...)
	}
	return problems, nil
}

// passes says how an account writes behind the plan's fence; empty: it doesn't.
func (f *facts) passes(p *Plan, k *known) string {
	if p.Kind.ServerWide() {
		return k.passes
	}
	if k.writes == "" || slices.ContainsFunc(p.Accounts, func(a Account) bool { return a.User == k.User && a.Host == k.Host }) {
		return ""
	}
	return k.writes + ", and is not locked"
}

func (f *facts) passingAccounts(ctx context.Context, p *Plan, by map[string]*known) ([]Problem, error) {
	sessions, err := processes(ctx, f.q)
	if err != nil {
		return nil, err
	}
	connected := map[string][]AppSession{}
	for _, s := range sessions {
		if s.isApplication() {
			connected[s.User] = append(connected[s.User], s.AppSession)
		}
	}
	self, _ := cutAccount(f.account)
	all, err := f.ownElsewhere(ctx, connected[self])
	if err != nil {
		return nil, err
	}
	for _, name := range sorted(by) {
		k := by[name]
		how := f.passes(p, k)
		if how == "" || k.role || f.own(name) || f.systemAccount(k.Account) || slices.Contains(f.o.Operators, name) || k.User == probeUser(f.o.Migration) {
			continue
		}
		now := slices.DeleteFunc(connected[k.User], func(s AppSession) bool { return k.User == self || !k.admits(s.Client) })
		switch {
		case len(now) > 0:
			all = append(all, blocks(fault.FenceAccount, "%s passes (%s) and is connected: %s", name, how, names(now)))
		default:
			all = append(all, notes(fault.FenceAccount, "%s passes (%s); it is not connected now", name, how))
		}
	}
	return all, nil
}

// ownElsewhere notes sessions of Changeover's account from other machines: a standby, or an application
// that uses the same account, and which nothing would stop.
func (f *facts) ownElsewhere(ctx context.Context, sessions []AppSession) ([]Problem, error) {
	var login string
	if err := f.q.QueryRowContext(ctx, "SELECT USER()").Scan(&login); err != nil {
		return nil, err
	}
	_, here := cutAccount(login)
	elsewhere := slices.DeleteFunc(slices.Clone(sessions), func(s AppSession) bool { return clientHost(s.Client) == here })
	if len(elsewhere) == 0 {
		return nil, nil
	}
	return []Problem{notes(fault.FenceOwn, "Changeover's account is also connected from elsewhere; an application must not use it: %s", names(elsewhere))}, nil
}

// clientHost is a session's client without its port.
func clientHost(client string) string {
	if i := strings.LastIndexByte(client, ':'); i >= 0 {
		return strings.Trim(client[:i], "[]")
	}
	return client
}

// admits tells whether a session from client may be this account's: hosts that are names or netmasks are
// not resolved, so they may.
func (a Account) admits(client string) bool {
	host := clientHost(client)
	switch {
	case a.Host == "localhost":
		return host == "localhost" // by socket, or by a server that resolves names
	case regexp.MustCompile(`^[0-9.%_]+$`).MatchString(a.Host):
		return host == "localhost" || like(a.Host, host)
	}
	return true
}

// writer finds in a routine's text what may change rows; a false alarm is a column of that name.
var writer = regexp.MustCompile(`(?i)\b(INSERT|UPDATE|DELETE|REPLACE|TRUNCATE|ALTER|CREATE|DROP|RENAME|LOAD|CALL|EXECUTE|GRANT|REVOKE|SET\s+PASSWORD)\b`)

// passingRoutines: what runs with its definer's rights passes if the definer does, whoever calls it. A function does
// not: it is a part of the statement that uses it, which the fence refuses (tried).
func (f *facts) passingRoutines(ctx context.Context, p *Plan, by map[string]*known) ([]Problem, error) {
	rows, err := ask(ctx, f.q, `
		SELECT ROUTINE_SCHEMA AS routine_schema, ROUTINE_NAME AS routine_name, ROUTINE_TYPE AS routine_type, DEFINER AS definer,
			ROUTINE_DEFINITION AS body, ROUTINE_DEFINITION IS NULL AS hidden
		FROM information_schema.ROUTINES
		WHERE SECURITY_TYPE = 'DEFINER' AND ROUTINE_TYPE <> 'FUNCTION'
		ORDER BY ROUTINE_SCHEMA, ROUTINE_NAME`)
	if err != nil || !p.Kind.ServerWide() {
		return nil, err // by account: who may call one is locked (markExecute)
	}
	var all []Problem
	for _, r := range rows {
		if f.systemDatabase(r["routine_schema"]) || f.own(r["definer"]) && !slices.Contains(f.o.Databases, r["routine_schema"]) {
			continue
		}
		k := by[r["definer"]]
		if k == nil || k.passes == "" || r["hidden"] == "0" && !writer.MatchString(r["body"]) {
			continue
		}
		all = append(all, blocks(fault.FenceRoutine, "%s %s.%s runs as %s, who passes (%s)",
			strings.ToLower(r["routine_type"]), r["routine_schema"], r["routine_name"], r["definer"], k.passes))
	}
	return all, nil
}

// passingXA: transactions that are prepared, or could be.
func (f *facts) passingXA(ctx context.Context, _ *Plan, _ map[string]*known) ([]Problem, error) {
	prepared, err := xaPrepared(ctx, f.q)
	if denied(err) {
		return []Problem{blocks(fault.FencePrivilege, "%s can't list prepared XA transactions (XA_RECOVER_ADMIN)", f.account)}, nil
	}
	if err != nil {
		return nil, err
	}
	open, err := xaOpen(ctx, f.q, f.version.Flavor)
	if err != nil {
		return nil, err
	}
	var all []Problem
	if len(prepared) > 0 {
		all = append(all, blocks(fault.FenceXA, "%d prepared: %s", len(prepared), list(prepared)))
	}
	if len(open) > 0 {
		all = append(all, blocks(fault.FenceXA, "open: %s", list(open)))
	}
	rows, err := ask(ctx, f.q, "SHOW GLOBAL STATUS LIKE 'Com_xa_prepare'")
	if err != nil {
		return nil, err
	}
	if len(all) == 0 && len(rows) > 0 && rows[0]["value"] != "0" {
		all = append(all, notes(fault.FenceXA, "%s have been prepared since the server's start: one that is open at the fence makes the attempt fail", rows[0]["value"]))
	}
	return all, nil
}

// passingChannels: what arrives by replication is not bound by read_only, and by no lock.
func (f *facts) passingChannels(ctx context.Context, _ *Plan, _ map[string]*known) ([]Problem, error) {
	query := "SHOW SLAVE STATUS"
	switch {
	case f.version.Flavor == server.MariaDB:
		query = "SHOW ALL SLAVES STATUS"
	case f.mysql(8, 0, 22):
		query = "SHOW REPLICA STATUS"
	}
	rows, err := ask(ctx, f.q, query)
	if denied(err) {
		return []Problem{blocks(fault.FencePrivilege, "%s can't see replication channels: %v", f.account, err)}, nil
	}
	var all []Problem
	for _, r := range rows {
		first := func(columns ...string) string {
			for _, c := range columns {
				if v, ok := r[c]; ok {
					return v
				}
			}
			return ""
		}
		from := first("source_host", "master_host")
		name := first("channel_name", "connection_name")
		if first("replica_sql_running", "slave_sql_running") != "No" || first("replica_io_running", "slave_io_running") != "No" {
			all = append(all, blocks(fault.FenceChannel, "channel %q from %s runs", name, from))
		} else {
			all = append(all, notes(fault.FenceChannel, "channel %q from %s is there, and stopped", name, from))
		}
	}
	return all, err
}

// passingCluster: in a cluster the other members take writes too.
func (f *facts) passingCluster(ctx context.Context, _ *Plan, _ map[string]*known) ([]Problem, error) {
	rows, err := ask(ctx, f.q, "SHOW GLOBAL STATUS WHERE Variable_name IN ('wsrep_cluster_size', 'wsrep_connected')")
	if err != nil {
		return nil, err
	}
	status := map[string]string{}
	for _, r := range rows {
		status[strings.ToLower(r["variable_name"])] = r["value"]
	}
	if size := status["wsrep_cluster_size"]; on(status["wsrep_connected"]) && size != "" && size != "0" && size != "1" {
		return []Problem{blocks(fault.FenceChannel, "the server is one of %s members of a Galera cluster", size)}, nil
	}
	if f.version.Flavor == server.MariaDB {
		return nil, nil
	}
	rows, err = ask(ctx, f.q, "SELECT COUNT(*) AS n FROM performance_schema.replication_group_members WHERE MEMBER_STATE IN ('ONLINE', 'RECOVERING')")
	if err != nil {
		return nil, nil // no such table: no such cluster
	}
	if n := rows[0]["n"]; n != "0" && n != "1" {
		return []Problem{blocks(fault.FenceChannel, "the server is one of %s members of a replication group", n)}, nil
	}
	return nil, nil
}

// passingFilters: a position says nothing of databases that the binlog leaves out.
func (f *facts) passingFilters(ctx context.Context, _ *Plan, _ map[string]*known) ([]Problem, error) {
	query := "SHOW MASTER STATUS"
	if f.mysql(8, 2, 0) {
		query = "SHOW BINARY LOG STATUS"
	}
	rows, err := ask(ctx, f.q, query)
	if denied(err) {
		return []Problem{blocks(fault.FencePrivilege, "%s can't see what the binlog leaves out: %v", f.account, err)}, nil
	}
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	split := func(s string) []string {
		return strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ' ' })
	}
	do, ignore := split(rows[0]["binlog_do_db"]), split(rows[0]["binlog_ignore_db"])
	var all []Problem
	for _, d := range append(slices.Clone(f.o.Databases), "_changeover") {
		if len(do) > 0 && !slices.Contains(do, d) {
			all = append(all, blocks(fault.FenceBinlog, "binlog_do_db is %s: %s is not among them", list(do), d))
		}
		if slices.Contains(ignore, d) {
			all = append(all, blocks(fault.FenceBinlog, "binlog_ignore_db has %s", d))
		}
	}
	return all, nil
}

// passingCross: behind an account fence, objects of other databases on the server that name one of the
// migration's are a way to it for accounts that may not write there themselves.
func (f *facts) passingCross(ctx context.Context, p *Plan, _ map[string]*known) ([]Problem, error) {
	if p.Kind.ServerWide() {
		return nil, nil // there are no others
	}
	rows, err := ask(ctx, f.q, `
		SELECT 'view' AS kind, TABLE_SCHEMA AS db, TABLE_NAME AS name, VIEW_DEFINITION AS body FROM information_schema.VIEWS WHERE IS_UPDATABLE = 'YES' AND SECURITY_TYPE = 'DEFINER'
		UNION ALL SELECT 'trigger', TRIGGER_SCHEMA, TRIGGER_NAME, ACTION_STATEMENT FROM information_schema.TRIGGERS
		UNION ALL SELECT 'event', EVENT_SCHEMA, EVENT_NAME, EVENT_DEFINITION FROM information_schema.EVENTS WHERE STATUS = 'ENABLED'
		UNION ALL SELECT LOWER(ROUTINE_TYPE), ROUTINE_SCHEMA, ROUTINE_NAME, ROUTINE_DEFINITION FROM information_schema.ROUTINES WHERE SECURITY_TYPE = 'DEFINER'`)
	var all []Problem
	for _, r := range rows {
		if f.systemDatabase(r["db"]) || slices.Contains(f.o.Databases, r["db"]) {
			continue
		}
		body := strings.ToLower(r["body"])
		if i := slices.IndexFunc(f.o.Databases, func(d string) bool {
			return regexp.MustCompile(`(^|[^\w$])` + regexp.QuoteMeta(strings.ToLower(d)) + "[`\"]?\\s*\\.").MatchString(body)
		}); i >= 0 && (r["kind"] == "view" || writer.MatchString(body)) {
			all = append(all, blocks(fault.FenceCross, "%s %s.%s names %s", r["kind"], r["db"], r["name"], f.o.Databases[i]))
		}
	}
	return all, err
}

func sorted(by map[string]*known) []string {
	all := make([]string, 0, len(by))
	for name := range by {
		all = append(all, name)
	}
	slices.Sort(all)
	return all
}
