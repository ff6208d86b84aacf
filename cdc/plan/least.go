package plan

import (
	"context"
	"fmt"
	"io"
	"strings"

	"changeover/internal/config"
	"changeover/internal/server"
)

// Need is privileges that one purpose takes, as SQL ready to run.
type Need struct {
	Side       Side     `json:"side"`
	Purpose    string   `json:"purpose"`
	Needed     bool     `json:"needed"` // run can't do without; else it is for what the purpose says
	Statements []string `json:"statements"`
}

// LeastGrants lists the least that Changeover's accounts need, for this migration's databases. A side
// that answers says its flavor and the account's whole name; of one that doesn't, MySQL and the
// host % are assumed.
func LeastGrants(ctx context.Context, cfg *config.Config) ([]Need, error) {
	f := gather(ctx, cfg)
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return f.leastGrants(), nil
}

func (f *Facts) leastGrants() []Need {
	return append(f.leastSource(), f.leastTarget()...)
}

// granter writes GRANTs to one account.
type granter struct{ account string }

func grantsTo(s *Server, user string) granter {
	if s.Account != "" {
		return granter{quoteAccount(s.Account)}
	}
	return granter{quoteAccount(user + "@%")}
}

func (g granter) on(object string, privileges ...string) string {
	return fmt.Sprintf("GRANT %s ON %s TO %s;", strings.Join(privileges, ", "), object, g.account)
}

func (g granter) everywhere(privileges ...string) string { return g.on("*.*", privileges...) }

// database is a grant on all of a database, whose name is a pattern there.
func (g granter) database(name string, privileges ...string) string {
	pattern := strings.NewReplacer(`\`, `\\`, "_", `\_`, "%", `\%`).Replace(name)
	return g.on(server.Name(pattern)+".*", privileges...)
}

// writes is what it takes to make tables and to keep them equal.
func writes() []string {
	return []string{"SELECT", "INSERT", "UPDATE", "DELETE", "CREATE", "ALTER", "DROP", "INDEX", "REFERENCES"}
}

// makesObjects is what it takes to make views, routines, triggers and events.
func makesObjects() []string {
	return []string{"CREATE VIEW", "SHOW VIEW", "CREATE ROUTINE", "ALTER ROUTINE", "EXECUTE", "TRIGGER", "EVENT"}
}

func (f *Facts) leastSource() []Need {
	s := f.Source
	g := grantsTo(s, f.Config.Source.User)
	mariaDB := s.Version.Flavor == server.MariaDB
	run := Need{Side: Source, Purpose: "copy and stream", Needed: true}
	run.Statements = append(run.Statements, g.everywhere("REPLICATION SLAVE", s.binlogMonitor()[0], "PROCESS"),
		g.database(stateDatabase, stateNeeds()...))
	for _, db := range f.Config.Databases {
		run.Statements = append(run.Statements, g.database(db, "SELECT", "LOCK TABLES", "SHOW VIEW", "TRIGGER", "EVENT"))
	}
	routines := Need{Side: Source, Purpose: "read the texts of routines that are another account's", Statements: []string{g.everywhere("SHOW_ROUTINE")}}
	if mariaDB {
		routines.Statements = []string{g.on("`mysql`.`proc`", "SELECT")}
	}
	back := Need{Side: Source, Purpose: "take the stream back behind the fence, after the cutover"}
	passes := "CONNECTION_ADMIN"
	if s.Reached() {
		passes = s.passing()[0]
	}
	back.Statements = append(back.Statements, g.everywhere(passes))
	for _, db := range f.Config.Databases {
		back.Statements = append(back.Statements, g.database(db, append(writes(), makesObjects()...)...))
	}
	return []Need{run, routines, back}
}

func (f *Facts) leastTarget() []Need {
	s := f.Target
	g := grantsTo(s, f.Config.Target.User)
	run := Need{Side: Target, Purpose: "make the tables, copy and stream", Needed: true}
	run.Statements = append(run.Statements, g.everywhere("PROCESS"), g.database(stateDatabase, stateNeeds()...))
	for _, db := range f.Config.Databases {
		run.Statements = append(run.Statements, g.database(db, append(writes(), makesObjects()...)...))
	}
	definers := Need{Side: Target, Purpose: "keep the definers of views and routines that are other accounts", Statements: []string{g.everywhere("SET_USER_ID")}}
	if !s.Reached() || s.mysqlAtLeast(8, 2, 0) {
		definers.Statements = []string{g.everywhere("SET_ANY_DEFINER", "ALLOW_NONEXISTENT_DEFINER")}
	}
	return []Need{run, definers,
		{Side: Target, Purpose: "end the session of a runner that died at once, instead of when the server notices", Statements: []string{g.everywhere("CONNECTION_ADMIN")}},
		{Side: Target, Purpose: "read the target's binlog, after the cutover", Statements: []string{g.everywhere("REPLICATION SLAVE", "REPLICATION CLIENT")}},
	}
}

// WriteGrants prints needs as a script: what run can't do without first, on each side.
func WriteGrants(w io.Writer, needs []Need) error {
	var b strings.Builder
	var side Side
	for _, n := range needs {
		if n.Side != side {
			if side != "" {
				b.WriteString("\n")
			}
			side = n.Side
			fmt.Fprintf(&b, "-- On the %s\n", side)
		}
		kind := "optional"
		if n.Needed {
			kind = "needed"
		}
		fmt.Fprintf(&b, "\n-- %s: %s\n%s\n", kind, n.Purpose, strings.Join(n.Statements, "\n"))
	}
	_, err := io.WriteString(w, b.String())
	return err
}
