package main

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"changeover/internal/config"
	"changeover/internal/fault"
	"changeover/internal/server"
	"changeover/platform/students/audit"
	"changeover/platform/students/ledger"
)

// auditFlags are the flags of `hourofcode audit`.
type auditFlags struct {
	writer, old       sideFlags
	database, fence   string
	reversed, onlyOwn bool
	equal             bool
	within            time.Duration
	limit             int
	asJSON            bool
}

// sideFlags say where a server is and who asks.
type sideFlags struct {
	at string // USER@HOST:PORT
	config.Server
}

func newAuditCommand() *cobra.Command {
	f := &auditFlags{}
	cmd := &cobra.Command{
		Use:   "audit LEDGER…",
		Short: "Compare ledgers with the database: nothing lost, doubled, unexpected, stray, wrong or stale",
		Long: `Audit compares what the students were told with what is in the database, in both directions, as of
one moment.

  lost        acknowledged, and not in the writer
  doubled     there twice, or counted twice
  wrong       there with another content
  stray       in the old writer and not in the new one, or written there after the fence
  different   with --equal: a row that is not the same on both servers
  stale       acknowledged, and missed by a later read of the same student
  unexpected  in the writer, of the run's time or users, and in no ledger

A unique key can hide that an operation was carried out twice, so counters are compared too: attempts
with activities, lines with the sum of lines, versions with saves. A write that was not acknowledged,
but is there, is recovered: that is allowed, and counted.

Give it the ledgers of all that was done in the time, or --only-own if others used the platform too.
A ledger of a run that was killed can be audited; a torn tail is said.

After a cutover --old names the old writer and --fence the time at which it began to refuse; with
--reversed rows that the reverse stream has carried back are no strays. After several passes of the role
--old is the server that gave it away last, --fence the last fence. --equal compares all rows of all
tables of both servers too; --within gives the stream time to come.

The account needs SELECT. Exit codes: 0 clean · 1 findings · 2 it could not be done.`,
		Example: `  hourofcode audit day.ledger --writer app@127.0.0.1:3306 --writer-password-file app.pw --database school
  hourofcode audit day.ledger --writer app@new --writer-password-file a.pw --old app@old --old-password-file b.pw \
      --database school --fence 2026-12-07T10:15:00.250Z --reversed --equal --json`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, files []string) error { return runAudit(cmd, f, files) },
	}
	f.register(cmd.Flags())
	return cmd
}

func (f *auditFlags) register(flags *pflag.FlagSet) {
	f.writer.register(flags, "writer", "the writer")
	f.old.register(flags, "old", "the writer before the cutover")
	flags.StringVar(&f.database, "database", "school", "the platform's database")
	flags.StringVar(&f.fence, "fence", "", "when the old writer began to refuse: `TIME` such as 2026-12-07T10:15:00.250Z")
	flags.BoolVar(&f.reversed, "reversed", false, "a reverse stream has carried the new writer's rows to the old one")
	flags.BoolVar(&f.equal, "equal", false, "both servers must have the same rows (needs --old)")
	flags.DurationVar(&f.within, "within", 30*time.Second, "with --equal: how long the stream to the old writer may take")
	flags.BoolVar(&f.onlyOwn, "only-own", false, "leave alone what others did meanwhile")
	flags.IntVar(&f.limit, "limit", 100, "findings that are shown; all are counted")
	flags.BoolVar(&f.asJSON, "json", false, "answer in JSON")
}

func (f *sideFlags) register(flags *pflag.FlagSet, side, what string) {
	flags.StringVar(&f.at, side, "", what+": `USER@HOST:PORT`; the port is 3306 if it is left out")
	flags.StringVar(&f.PasswordFile, side+"-password-file", "", "the `FILE` with its password")
	flags.StringVar(&f.PasswordEnv, side+"-password-env", "", "the environment `VARIABLE` with its password")
	flags.StringVar((*string)(&f.TLS.Mode), side+"-tls-mode", string(server.TLSPreferred), "preferred, required, verify-ca, verify-full or disabled")
	flags.StringVar(&f.TLS.CA, side+"-tls-ca", "", "PEM `FILE` of the authority that signed its certificate")
}

func runAudit(cmd *cobra.Command, f *auditFlags, files []string) error {
	o := audit.Options{Reversed: f.reversed, OnlyOwn: f.onlyOwn, Limit: f.limit, Equal: f.equal, Within: f.within}
	if f.fence != "" {
		var err error
		if o.Fence, err = time.Parse(time.RFC3339Nano, f.fence); err != nil {
			return fault.New(fault.Usage, "--fence is no time such as 2026-12-07T10:15:00.250Z")
		}
	}
	if f.equal && f.old.at == "" {
		return fault.New(fault.Usage, "--equal needs --old: USER@HOST:PORT of the other server")
	}
	if f.within < 0 {
		return fault.New(fault.Usage, "--within is %v; it can't be negative", f.within)
	}
	if f.limit < 1 || f.limit > 1_000_000 {
		return fault.New(fault.Usage, "--limit is %d; it must be 1 to 1000000", f.limit)
	}
	for _, file := range files {
		log, err := ledger.Read(file)
		if err != nil {
			return err
		}
		o.Ledgers = append(o.Ledgers, log)
	}
	writer, err := f.writer.open(cmd.Context(), "writer", f.database)
	if err != nil {
		return err
	}
	defer func() { _ = writer.Close() }()
	o.Writer = writer
	if f.old.at != "" {
		if o.Old, err = f.old.open(cmd.Context(), "old", f.database); err != nil {
			return err
		}
		defer func() { _ = o.Old.Close() }()
	}
	report, err := audit.Run(cmd.Context(), o)
	if err != nil {
		return err
	}
	return f.answer(cmd, report)
}

// open connects to one side.
func (f *sideFlags) open(ctx context.Context, side, database string) (*sql.DB, error) {
	at, err := f.server(side)
	if err != nil {
		return nil, err
	}
	password, err := at.Password()
	if err != nil {
		return nil, err
	}
	e, err := server.Endpoint{Host: at.Host, Port: at.Port, User: at.User, Password: password.Reveal()}.WithTLS(
		server.TLSOptions{Mode: at.TLS.Mode, CA: at.TLS.CA})
	if err != nil {
		return nil, err
	}
	// The audit's queries name no database, so each connection of the pool must be in it.
	db, err := server.Dial(ctx, e, server.Session{Connections: 1})
	if err != nil {
		return nil, err
	}
	if _, err := db.ExecContext(ctx, "USE "+server.Name(database)); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", e, err), db.Close())
	}
	return db, nil
}

// server reads USER@HOST:PORT. What is wrong with it isn't repeated: there may be a password in it.
func (f *sideFlags) server(side string) (config.Server, error) {
	s := f.Server
	at := strings.LastIndexByte(f.at, '@')
	switch {
	case f.at == "":
		return s, fault.New(fault.Usage, "--%s is missing: USER@HOST:PORT", side)
	case at <= 0 || strings.Contains(f.at, "://"):
		return s, fault.New(fault.Usage, "--%s must be USER@HOST:PORT", side)
	case strings.Contains(f.at[:at], ":"):
		return s, fault.New(fault.Usage, "--%s takes no password; give it by --%[1]s-password-file or --%[1]s-password-env", side)
	case s.PasswordFile != "" && s.PasswordEnv != "":
		return s, fault.New(fault.Usage, "--%s-password-file and --%[1]s-password-env are both set; keep one", side)
	}
	s.User, s.Host, s.Port = f.at[:at], f.at[at+1:], 3306
	if host, port, err := net.SplitHostPort(s.Host); err == nil {
		n, err := strconv.Atoi(cmp.Or(port, "3306"))
		if err != nil {
			return s, fault.New(fault.Usage, "--%s must be USER@HOST:PORT: the port is no number", side)
		}
		s.Host, s.Port = host, n
	}
	return s, nil
}

func (f *auditFlags) answer(cmd *cobra.Command, r *audit.Report) error {
	out := cmd.OutOrStdout()
	if f.asJSON {
		if err := printJSON(out, struct {
			Clean bool `json:"clean"`
			*audit.Report
		}{r.Clean(), r}); err != nil {
			return err
		}
	} else {
		printAudit(out, r)
	}
	if !r.Clean() {
		return errNo
	}
	return nil
}

func printAudit(w io.Writer, r *audit.Report) {
	line := func(format string, args ...any) { _, _ = fmt.Fprintf(w, format+"\n", args...) }
	for _, l := range r.Ledgers {
		line("%s: %d operations, %d acknowledged, %d refused, %d open, %d retried", l.File, l.Operations, l.Acknowledged, l.Refused, l.Open, l.Retried)
		if l.Torn != nil {
			line("  its last %d bytes, from %d, are torn: a crash of the client", l.Torn.Bytes, l.Torn.Offset)
		}
		if !l.Ended {
			line("  the run did not come to its end")
		}
	}
	for _, table := range slices.Sorted(maps.Keys(r.Rows)) {
		line("  %7d rows of %s", r.Rows[table], table)
	}
	for _, column := range slices.Sorted(maps.Keys(r.Effects)) {
		line("  %7d × %s", r.Effects[column], column)
	}
	if r.Sides != nil {
		rows := 0
		for _, n := range r.Sides.Rows {
			rows += n
		}
		line("  %7d rows in %d tables are the same on both servers", rows, len(r.Sides.Rows))
	}
	for _, f := range r.Findings {
		line("%-10s %s: %s%s", f.Verdict, f.Where, f.Text, of(f))
	}
	if r.Clean() {
		line("clean: %d recovered, %d saved by the outbox alone", r.Recovered, r.OutboxOnly)
		return
	}
	var sums []string
	for _, v := range audit.Verdicts {
		if n := r.Counts[v]; n > 0 {
			sums = append(sums, fmt.Sprintf("%d %s", n, v))
		}
	}
	line("NOT CLEAN: %s", strings.Join(sums, ", "))
}

// of names the operation and the user of a finding.
func of(f audit.Finding) string {
	var parts []string
	if f.Op != "" {
		parts = append(parts, "operation "+f.Op)
	}
	if f.User != 0 {
		parts = append(parts, fmt.Sprintf("user %d", f.User))
	}
	if len(parts) == 0 {
		return ""
	}
	return " (" + strings.Join(parts, ", ") + ")"
}
