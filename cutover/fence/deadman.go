package fence

import (
	"encoding/hex"
	"fmt"
	"strings"

	"changeover/internal/server"
)

// mostEvents is how many events the hold may be made longer by: each is a DDL statement in it, where the
// scheduler's stop is one for all.
const mostEvents = 16

// withoutDeadMan says why no event could lift this fence; empty: one can. events are what is in the way of
// disabling the migration's events one by one, which takes the place of stopping the scheduler.
func (f *facts) withoutDeadMan(p *Plan, events []Problem) string {
	switch {
	case p.Found.ReadOnly:
		return "the server is read only already"
	case !on(p.Found.EventScheduler):
		return "event_scheduler is " + p.Found.EventScheduler
	case !f.grants.On("_changeover", "EVENT"):
		return f.account + " lacks EVENT on `_changeover`"
	case len(p.Events) > mostEvents:
		return fmt.Sprintf("%d events are to be stopped: more than %d take too long one by one", len(p.Events), mostEvents)
	case len(events) > 0:
		return events[0].Detail
	}
	return ""
}

// LiftBody is Lift as statements of a stored program, for an event that runs as the account that planned the
// fence: the same parts in the same order, each looked at before it is touched, so that they may be begun
// again at any of them. They set session variables, and put them back.
func (p *Plan) LiftBody() []string {
	all := p.unlockBody()
	if p.Lasting == LastingPersist {
		all = append(all, p.persistedBody())
	}
	if p.Kind.ServerWide() {
		all = append(all, switches[p.Kind][0])
	}
	for _, e := range p.Events {
		all = append(all, e.enableBody())
	}
	return all
}

// lockedBody tells in a stored program whether an account is locked now.
var lockedBody = map[server.Flavor]string{
	server.MySQL:   "SELECT 1 FROM mysql.user WHERE User = %s AND Host = %s AND account_locked = 'Y'",
	server.MariaDB: "SELECT 1 FROM mysql.global_priv WHERE User = %s AND Host = %s AND JSON_VALUE(Priv, '$.account_locked') IN ('true', '1')",
}

// unlockBody unlocks what unlock does.
func (p *Plan) unlockBody() (all []string) {
	for _, a := range p.locked() {
		locked := "EXISTS (" + fmt.Sprintf(lockedBody[p.Flavor], literal(a.User), literal(a.Host)) + ")"
		if p.Lasting == LastingPersist && !on(p.Found.Persisted["read_only"]) {
			locked = "NOT EXISTS (" + persistedOn + ") AND " + locked
		}
		all = append(all, "IF "+locked+" THEN ALTER USER IF EXISTS "+a.quoted()+" ACCOUNT UNLOCK; END IF")
	}
	return all
}

const (
	persistedAny = "SELECT 1 FROM performance_schema.persisted_variables WHERE VARIABLE_NAME = 'read_only'"
	persistedOn  = persistedAny + " AND VARIABLE_VALUE IN ('ON', '1')"
)

// persistedBody makes what mysqld-auto.cnf has of read_only what was found there.
func (p *Plan) persistedBody() string {
	was, found := p.Found.Persisted["read_only"]
	switch {
	case !found:
		return "IF EXISTS (" + persistedAny + ") THEN RESET PERSIST IF EXISTS read_only; END IF"
	case on(was):
		return "IF NOT EXISTS (" + persistedOn + ") THEN SET PERSIST read_only = ON; END IF"
	}
	return "IF EXISTS (" + persistedOn + ") THEN SET PERSIST read_only = OFF; END IF"
}

// enableBody enables an event as a session that is like the one it was made in.
func (e Event) enableBody() string {
	return "IF EXISTS (SELECT 1 FROM information_schema.EVENTS WHERE EVENT_SCHEMA = " + literal(e.Schema) + " AND EVENT_NAME = " + literal(e.Name) + " AND STATUS = 'DISABLED') THEN\n" +
		"SET @client = @@character_set_client, @collation = @@collation_connection;\n" +
		"SET character_set_client = " + charset(e.Client) + ", collation_connection = " + charset(e.Collation) + ";\n" +
		e.alter("ENABLE") + ";\n" +
		"SET character_set_client = @client, collation_connection = @collation;\n" +
		"END IF"
}

// literal is a string in a stored program, whatever sql_mode that is made in.
func literal(s string) string {
	if s == "" {
		return "''"
	}
	return "_utf8mb4 X'" + strings.ToUpper(hex.EncodeToString([]byte(s))) + "'"
}
