package fence

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"changeover/internal/config"
	"changeover/internal/fault"
	"changeover/internal/server"
)

// Survey asks a server all that decides how it can be fenced, and how it is now. It writes nothing.
//
// The plan's problems are those of the fence itself: what the account lacks, who shares the server. What
// would write behind it is Passers' to find.
func Survey(ctx context.Context, s Session, o Options) (*Plan, error) {
	p, _, err := survey(ctx, s, o)
	return p, err
}

// Shield plans the fence of a server that is not the writer, from the first chunk until it becomes one.
// Gates warm their connections there, so accounts are never locked: where nothing else can be had, the
// kind is None, all its methods do nothing, and a problem says so. It lasts for weeks, so accounts that an
// operator locks meanwhile must stay so: it knows none. Nor is a server that is others' too made read only,
// whatever the operator insists on: this is for one that has not been the writer yet.
func Shield(ctx context.Context, s Session, o Options) (*Plan, error) {
	if o.Want == config.FenceAccounts {
		o.Want = config.FenceAuto // that is how the writer is to be fenced
	}
	p, err := Survey(ctx, s, o)
	if err != nil {
		return nil, err
	}
	p.Accounts = nil
	shared := func(x Problem) bool { return x.Blocks && x.Code == fault.FenceShared }
	if p.Kind != Accounts && !slices.ContainsFunc(p.Problems, shared) {
		return p, nil
	}
	var why []string
	for _, problem := range p.Problems {
		why = append(why, problem.Detail)
	}
	p.Kind, p.Events, p.Scheduler = None, nil, false
	p.Problems = []Problem{notes(fault.FenceOpen, "nothing on this server refuses writes and lets connections in: %s", strings.Join(why, "; "))}
	return p, nil
}

func survey(ctx context.Context, s Session, o Options) (*Plan, *facts, error) {
	f, err := learn(ctx, s, o)
	if err != nil {
		return nil, nil, err
	}
	p := &Plan{Migration: o.Migration, Databases: o.Databases, Flavor: f.version.Flavor, Version: f.text}
	if err := f.found(ctx, p); err != nil {
		return nil, nil, err
	}
	if err := f.decideKind(ctx, p); err != nil {
		return nil, nil, err
	}
	if err := f.decideLasting(ctx, p); err != nil {
		return nil, nil, err
	}
	if err := f.chooseAccounts(ctx, p); err != nil {
		return nil, nil, err
	}
	return p, f, f.chooseEvents(ctx, p)
}

// found writes down how the server is.
func (f *facts) found(ctx context.Context, p *Plan) error {
	var err error
	if p.Found.ReadOnly, err = readOnly(ctx, f.q); err != nil {
		return err
	}
	if p.Found.ReadOnly {
		p.Problems = append(p.Problems, blocks(fault.FenceFound, "read_only is on"))
	}
	if p.Found.EventScheduler, _, err = variable(ctx, f.q, "event_scheduler"); err != nil {
		return err
	}
	p.Found.Persisted, err = persisted(ctx, f.q, f.version.Flavor)
	return err
}

// persisted reads what mysqld-auto.cnf has of the variables that a fence persists.
func persisted(ctx context.Context, q Session, flavor server.Flavor) (map[string]string, error) {
	if flavor == server.MariaDB {
		return nil, nil
	}
	rows, err := ask(ctx, q, `
		SELECT VARIABLE_NAME AS name, VARIABLE_VALUE AS value
		FROM performance_schema.persisted_variables
		WHERE VARIABLE_NAME IN ('read_only', 'event_scheduler')`)
	switch n := number(err); {
	case n == erNoTable || n == erUnknownTable || denied(err):
		return nil, nil // MySQL 5.7, or nobody to show it to: then it isn't written either
	case err != nil:
		return nil, fmt.Errorf("ask what is persisted: %w", err)
	}
	var all map[string]string
	for _, r := range rows {
		if all == nil {
			all = map[string]string{}
		}
		all[r["name"]] = r["value"]
	}
	return all, nil
}

// decideKind: the whole server where it is the migration's alone and lets us, else by account.
func (f *facts) decideKind(ctx context.Context, p *Plan) error {
	shared, err := f.shared(ctx)
	if err != nil {
		return err
	}
	wide, unable := f.serverWide()
	want := f.o.Want
	if want == "" {
		want = config.FenceAuto
	}
	switch {
	case want == config.FenceAccounts:
		p.Kind = Accounts
	case want == config.FenceReadOnly:
		p.Kind = wide
		for _, why := range shared {
			p.Problems = append(p.Problems, blocks(fault.FenceShared, "%s", why))
		}
		if unable != "" {
			p.Problems = append(p.Problems, blocks(fault.FencePrivilege, "%s", unable))
		}
	case len(shared) > 0:
		p.Kind = Accounts
		p.Problems = append(p.Problems, notes(fault.FenceShared, "accounts are locked, since %s", strings.Join(shared, ", and ")))
	case unable != "":
		p.Kind = Accounts
		p.Problems = append(p.Problems, notes(fault.FencePrivilege, "accounts are locked, since %s", unable))
	default:
		p.Kind = wide
	}
	return nil
}

// shared says why the server is not the migration's alone.
func (f *facts) shared(ctx context.Context) (why []string, err error) {
	others, err := f.others(ctx)
	if err != nil {
		return nil, err
	}
	if len(others) > 0 {
		why = append(why, "the server has other databases: "+list(others))
	}
	if !f.may("SHOW DATABASES") {
		why = append(why, f.account+" does not see all databases of the server (SHOW DATABASES)")
	}
	writer, err := f.writerOf(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the route rows: %w", err)
	}
	if len(writer) > 0 {
		why = append(why, "the server is the writer of "+list(writer))
	}
	return why, nil
}

// serverWide is the kind of fence for the whole server that can be had, and why none can.
func (f *facts) serverWide() (kind Kind, unable string) {
	kind = ReadOnly
	if f.procedure {
		kind = RDS // SET GLOBAL is barred where the procedure is
	}
	switch {
	case kind == ReadOnly && !f.may(f.setting()...):
		return kind, fmt.Sprintf("%s may not set read_only (%s)", f.account, f.setting()[0])
	case !f.may(f.passing()...):
		return kind, fmt.Sprintf("%s does not pass read_only itself (%s)", f.account, f.passing()[0])
	}
	return kind, ""
}

// decideLasting: what a restart leaves standing.
func (f *facts) decideLasting(ctx context.Context, p *Plan) error {
	p.Lasting = LastingAccounts
	if p.Kind == ReadOnly && f.mysql(8, 0, 0) {
		load, _, err := variable(ctx, f.q, "persisted_globals_load")
		if err != nil {
			return err
		}
		// A file that isn't loaded takes what is written all the same. And nobody but SELECT on
		// performance_schema shows what was in it before.
		if on(load) && f.grants.On("performance_schema", "SELECT") && f.may("SYSTEM_VARIABLES_ADMIN", "SUPER") {
			p.Lasting = LastingPersist
		}
	}
	if p.Lasting == LastingAccounts && !f.may("CREATE USER") {
		p.Problems = append(p.Problems, blocks(fault.FencePrivilege, "%s may not lock accounts (CREATE USER)", f.account))
	}
	if p.Kind == Accounts && !f.may("PROCESS") {
		p.Problems = append(p.Problems, blocks(fault.FencePrivilege, "%s does not see the sessions of others (PROCESS)", f.account))
	}
	if p.Kind == Accounts && !f.may(f.killing()...) {
		can, err := f.hasProcedure(ctx, "rds_kill")
		if err != nil {
			return err
		}
		if !can {
			p.Problems = append(p.Problems, blocks(fault.FencePrivilege, "%s may not end the sessions of others (%s)", f.account, f.killing()[0]))
		}
	}
	return nil
}

func (f *facts) killing() []string {
	switch {
	case f.maria(10, 5, 2):
		return []string{"CONNECTION ADMIN", "SUPER"}
	case f.mysql(8, 0, 0):
		return []string{"CONNECTION_ADMIN", "SUPER"}
	}
	return []string{"SUPER"}
}

func (f *facts) hasProcedure(ctx context.Context, name string) (bool, error) {
	rows, err := ask(ctx, f.q, "SELECT 1 FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = 'mysql' AND ROUTINE_NAME = ?", name)
	return len(rows) > 0, err
}

// chooseAccounts lists the accounts that may write, and so are locked.
func (f *facts) chooseAccounts(ctx context.Context, p *Plan) error {
	all, err := f.accounts(ctx)
	if denied(err) {
		p.Problems = append(p.Problems, blocks(fault.FencePrivilege, "%s can't see the accounts of the server (SELECT on mysql.*): %v", f.account, err))
		return nil
	}
	if err != nil {
		return err
	}
	if len(all) == 0 {
		p.Problems = append(p.Problems, blocks(fault.FencePrivilege, "%s can't see the accounts of the server (SELECT on mysql.*)", f.account))
	}
	self, _, _ := strings.Cut(f.account, "@")
	for _, k := range all {
		if k.passes != "" && !k.role && !slices.Contains(p.Passing, k.User) {
			p.Passing = append(p.Passing, k.User)
		}
		if !f.locks(p.Kind, k) {
			continue
		}
		p.Accounts = append(p.Accounts, Account{User: k.User, Host: k.Host, By: k.writes, Locked: k.Locked})
		if k.User == self && p.Kind == Accounts {
			p.Problems = append(p.Problems, blocks(fault.FenceOwn, "%s is Changeover's, %s may write the migration's databases", f.account, k))
		}
		if k.protected && !f.may("SYSTEM_USER") && (p.Kind == Accounts || p.Lasting == LastingAccounts) && !k.Locked {
			p.Problems = append(p.Problems, blocks(fault.FenceKill, "%s has SYSTEM_USER, %s has not: it can't be locked", k, f.account))
		}
	}
	return nil
}

// locks tells whether an account is locked: whoever may write, but nobody who could lift the fence anyway.
//
// An administrator's account that comes from the server's own machine only is never locked: whoever is
// there must find a way in, whatever becomes of us. Behind a fence of the whole server those that pass it
// are left alone, since Passers has judged them.
func (f *facts) locks(kind Kind, k *known) bool {
	switch {
	case k.role || k.writes == "" || f.own(k.String()) || f.systemAccount(k.Account) || slices.Contains(f.o.Operators, k.String()):
		return false
	case k.User == probeUser(f.o.Migration):
		return false // it has its own way, see locked
	case k.admin != "" && k.loopback():
		return false
	case kind.ServerWide() && k.passes != "":
		return false
	}
	return true
}
