package main

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"changeover/internal/config"
	"changeover/internal/fault"
	"changeover/internal/server"
	"changeover/verify"
)

// verifyFlags are the flags of `changeover verify`.
type verifyFlags struct {
	source, target        sideFlags
	databases             []string
	tables                config.Tables
	once, consistent      bool
	repair, prove, again  bool
	asJSON, hideValues    bool
	parallel, share       int
	maxRunning, limit     int
	recheck, waitForPoint time.Duration
}

// sideFlags say where a server is and who asks.
type sideFlags struct {
	at string // USER@HOST:PORT
	config.Server
}

func newVerifyCommand(g *globals) *cobra.Command {
	f := &verifyFlags{}
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Show whether both sides are equal, row by row; or compare any two servers",
		Long: `Without --source, verify asks the running "changeover run" how far the proof is that both sides are
equal: how much of each table was compared, and when, what has changed since, which rows and columns
differ. The run compares all the time, behind the copy, and again what the source writes; nothing is
locked. --repair has rows that differ copied again from the source, in order with the stream, and
compared again. --again has every table compared once more. --prove compares what is still due, and
says whether the proof is complete: for a moment in which nobody writes to the source. --wait waits, so
long at most, until every row was compared, or some differ. Exit codes: 0 nothing differs (complete is in
the answer) · 1 rows differ, or --prove is not complete · 2 it could not be done.

With --source and --target, verify compares the rows of two servers, each MySQL or MariaDB, that nothing of Changeover runs
between: a replica with its source, a restored backup with its original, a copy that some other tool
has made. It needs no table of its own, writes nothing, and takes no locks.

Each table is cut into chunks of a third of a second. Both servers compute a chunk's digest at the same
time, 256 bits of every column of every row, and only digests cross the network. Of a chunk that differs
the rows are found, and of those the columns.

Servers need not be quiet. A row that differs is looked at again by its key, and counts as different
only if it stays so, while neither side changes it, for the time of --recheck: let that be longer than
the target is behind. A row that differs and keeps changing is unsettled. Tables without a key are
compared again as a whole.

--consistent is for a target that is a replica of the source, by GTID. Both are then read at one
position, however much is written meanwhile, and the answer names it. For that the replica's SQL thread
is stopped; the source is locked by FLUSH TABLES WITH READ LOCK (or LOCK TABLES … READ, where the account
lacks RELOAD) for the milliseconds in which read views are opened; the replica applies up to just that
position, its views are opened, and it goes on. The lock is given up after a second in which it was not
to be had, and tried again two seconds later. Whatever happens, Ctrl-C too, the SQL thread is started
again; only after kill -9 in these moments it is yours to START REPLICA SQL_THREAD. The read views keep
old versions of rows alive on both servers until the end.

Compared are the rows of base tables. A table that one side lacks, or that has other columns there, is a
finding. Not compared: views, routines, triggers, events, indexes, and the definitions of columns beyond
their names.

Passwords come from files or the environment. The account needs SELECT on the databases; for
--consistent also RELOAD (or LOCK TABLES) on the source, REPLICATION_SLAVE_ADMIN and REPLICATION CLIENT
on the target (MariaDB: REPLICATION SLAVE ADMIN, SLAVE MONITOR; BINLOG ADMIN too on both, lest an ALTER
wait for the end). For --max-running nothing more.

Exit codes: 0 equal · 1 different · 2 it could not be done, or rows kept changing · 64 usage · 78 a
password can't be read. docs/verify.md has the fields of the JSON.`,
		Example: `  # The running migration of ./changeover.yaml
  changeover verify
  changeover verify --wait 1h --json | jq .complete
  changeover verify --repair

  # A replica with its source, at one position, while both are at work
  changeover verify --source app@db1:3306 --target app@db2:3306 --databases school --once --consistent \
      --source-password-file db1.pw --target-password-file db2.pw

  # A copy in the cloud, gently: a quarter of one connection's time, and not while the source is busy
  changeover verify --source app@db1 --target admin@mycluster.rds.amazonaws.com --databases school,library --once \
      --source-password-env DB1 --target-password-env RDS --target-tls-mode verify-full --target-tls-ca global-bundle.pem \
      --parallel 1 --share 25 --max-running 10 --recheck 30s

  # Some tables, for a program; the values stay where they are
  changeover verify --source app@db1 --target app@db2 --databases school --tables 'school.order_*' --once \
      --source-password-file a.pw --target-password-file b.pw --json --hide-values | jq '.tables[] | select(.verdict != "equal")'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if f.source.at == "" && f.target.at == "" {
				return verifyMigration(cmd, g, f)
			}
			if f.repair || f.again || f.prove {
				return fault.New(fault.Usage, "--repair, --again and --prove are for a running migration, without --source and --target")
			}
			if cmd.Flags().Changed("config") {
				return fault.New(fault.Usage, "either --config or --source and --target")
			}
			return verifyServers(cmd, g, f)
		},
	}
	f.register(cmd.Flags())
	return cmd
}

func (f *verifyFlags) register(flags *pflag.FlagSet) {
	f.source.register(flags, "source")
	f.target.register(flags, "target")
	flags.StringSliceVar(&f.databases, "databases", nil, "the databases to compare, separated by commas")
	flags.StringSliceVar(&f.tables.Include, "tables", nil, "only these tables: `database.table`, with * for any characters, separated by commas")
	flags.StringSliceVar(&f.tables.Exclude, "exclude", nil, "not these tables: `database.table`, with *; wins over --tables")
	flags.BoolVar(&f.once, "once", false, "compare once and end: what two servers named by --source and --target are compared for anyway")
	flags.BoolVar(&f.consistent, "consistent", false, "read both at one GTID position; the target is a replica of the source")
	flags.DurationVar(&f.waitForPoint, "wait", 5*time.Minute, "of a migration: wait until all is compared; with --consistent: what coming to that position may take")
	flags.BoolVar(&f.repair, "repair", false, "of a migration: copy rows that differ again from the source")
	flags.BoolVar(&f.again, "again", false, "of a migration: compare every table once more")
	flags.BoolVar(&f.prove, "prove", false, "of a migration: compare what is due, and say whether the proof is complete")
	flags.DurationVar(&f.recheck, "recheck", 5*time.Second, "for so long a row must stay different, unchanged; 0 for servers that are quiet")
	flags.IntVar(&f.parallel, "parallel", 2, "chunks at once, each with a connection to both servers: 1 to 64")
	flags.IntVar(&f.share, "share", 100, "of the time of each connection, the `percent` that the source works: 1 to 100")
	flags.IntVar(&f.maxRunning, "max-running", 25, "wait while others run more statements than this on the source (Threads_running); 0: don't look")
	flags.IntVar(&f.limit, "limit", 20, "rows of each table that are shown if they differ (of all tables 10,000); all are counted")
	flags.BoolVar(&f.hideValues, "hide-values", false, "show no values but those of keys (with --limit 0 not even those)")
	flags.BoolVar(&f.asJSON, "json", false, "answer in JSON (docs/verify.md)")
}

func (f *sideFlags) register(flags *pflag.FlagSet, side string) {
	flags.StringVar(&f.at, side, "", "the "+side+": `USER@HOST:PORT`; the port is 3306 if it is left out")
	flags.StringVar(&f.PasswordFile, side+"-password-file", "", "the `FILE` with its password")
	flags.StringVar(&f.PasswordEnv, side+"-password-env", "", "the environment `VARIABLE` with its password")
	flags.StringVar((*string)(&f.TLS.Mode), side+"-tls-mode", string(server.TLSPreferred), "preferred, required, verify-ca, verify-full or disabled")
	flags.StringVar(&f.TLS.CA, side+"-tls-ca", "", "PEM `FILE` of the authority that signed its certificate")
	flags.StringVar(&f.TLS.Cert, side+"-tls-cert", "", "PEM `FILE` of a client certificate")
	flags.StringVar(&f.TLS.Key, side+"-tls-key", "", "PEM `FILE` of the client certificate's key")
	flags.StringVar(&f.TLS.ServerName, side+"-tls-server-name", "", "the `NAME` in its certificate, if not the host")
}

// verifyServers compares two servers that nobody streams between.
func verifyServers(cmd *cobra.Command, g *globals, f *verifyFlags) error {
	cfg, err := f.config()
	if err != nil {
		return err
	}
	log := g.log(cmd.ErrOrStderr())
	for _, w := range cfg.Warnings() {
		log.Warn().Msg(w)
	}
	o, err := f.options(cfg)
	if err != nil {
		return err
	}
	screen := newVerifyScreen(cmd.ErrOrStderr(), log)
	o.Say = screen.say
	run := verify.NewStandalone(o)
	watching, stop := context.WithCancel(cmd.Context())
	defer stop()
	watched := screen.watch(watching, run)
	report, err := run.Run(cmd.Context())
	stop()
	<-watched
	if err != nil {
		return err
	}
	return f.answer(cmd, report)
}

// answer prints the report; the error has the exit code.
func (f *verifyFlags) answer(cmd *cobra.Command, report *verify.Report) error {
	view := verifyView{report, f.hideValues}
	var err error
	if f.asJSON {
		err = printJSON(cmd.OutOrStdout(), view.json())
	} else {
		err = view.text(cmd.OutOrStdout())
	}
	if err != nil {
		return err
	}
	switch report.Verdict() {
	case verify.Different:
		return &answerNo{}
	case verify.Failed:
		return fmt.Errorf("%d tables could not be read", view.count(verify.Failed))
	case verify.Unsettled:
		return fmt.Errorf("rows of %d tables kept changing: compare again at a quieter time, with a longer --recheck, or with --consistent", view.count(verify.Unsettled))
	}
	return nil
}

// config is what the flags would be in a file.
func (f *verifyFlags) config() (*config.Config, error) {
	c := config.Defaults()
	c.Databases, c.Tables = f.databases, f.tables
	for _, s := range []struct {
		name  string
		flags *sideFlags
		into  *config.Server
	}{{"source", &f.source, &c.Source}, {"target", &f.target, &c.Target}} {
		into, err := s.flags.server(s.name)
		if err != nil {
			return nil, err
		}
		*s.into = into
	}
	if len(c.Databases) == 0 {
		return nil, fault.New(fault.Usage, "--databases is missing: name those to compare, such as --databases school,library")
	}
	if problems := c.CheckSides(); len(problems) > 0 {
		texts := make([]string, len(problems))
		for i, p := range problems {
			texts[i] = asFlags(p.Text)
		}
		return nil, fault.New(fault.Usage, "%s", strings.Join(texts, "; "))
	}
	return &c, f.check()
}

func (f *verifyFlags) check() error {
	for _, n := range []struct {
		flag          string
		is, low, high int
	}{
		{"parallel", f.parallel, 1, 64}, {"share", f.share, 1, 100},
		{"max-running", f.maxRunning, 0, 1_000_000}, {"limit", f.limit, 0, 100_000},
	} {
		if n.is < n.low || n.is > n.high {
			return fault.New(fault.Usage, "--%s is %d; it must be %d to %d", n.flag, n.is, n.low, n.high)
		}
	}
	if f.recheck < 0 || f.waitForPoint <= 0 {
		return fault.New(fault.Usage, "--recheck and --wait must not be negative")
	}
	return nil
}

// server reads USER@HOST:PORT. What is wrong with it isn't repeated: there may be a password in it.
func (f *sideFlags) server(side string) (config.Server, error) {
	s := f.Server
	at := strings.LastIndexByte(f.at, '@')
	if at <= 0 || strings.Contains(f.at, "://") {
		return s, fault.New(fault.Usage, "--%s must be USER@HOST:PORT", side)
	}
	if strings.Contains(f.at[:at], ":") {
		return s, fault.New(fault.Usage, "--%s takes no password; give it by --%[1]s-password-file or --%[1]s-password-env", side)
	}
	s.User, s.Host, s.Port = f.at[:at], f.at[at+1:], 3306
	if host, port, err := net.SplitHostPort(s.Host); err == nil {
		n, err := strconv.Atoi(cmp.Or(port, "3306"))
		if err != nil {
			return s, fault.New(fault.Usage, "--%s must be USER@HOST:PORT: the port is no number", side)
		}
		s.Host, s.Port = host, n
	}
	s.Host = strings.TrimSuffix(strings.TrimPrefix(s.Host, "["), "]")
	return s, nil
}

var configKey = regexp.MustCompile(`\b(source|target)(\.[a-z_.]+)|\btables\.(include|exclude)(?:\[\d+\])?|^databases(?:\[\d+\])?`)

// asFlags turns the keys of a file, in what is wrong with one, into the flags of this command.
func asFlags(text string) string {
	return configKey.ReplaceAllStringFunc(text, func(key string) string {
		m := configKey.FindStringSubmatch(key)
		switch {
		case m[3] == "include":
			return "--tables"
		case m[3] == "exclude":
			return "--exclude"
		case m[1] == "":
			return "--databases"
		case m[2] == ".host", m[2] == ".port", m[2] == ".user":
			return "--" + m[1] + "'s " + m[2][1:]
		}
		return "--" + m[1] + strings.NewReplacer(".", "-", "_", "-").Replace(m[2])
	})
}

func (f *verifyFlags) options(cfg *config.Config) (verify.StandaloneOptions, error) {
	from, err := cfg.SourceEndpoint()
	if err != nil {
		return verify.StandaloneOptions{}, err
	}
	to, err := cfg.TargetEndpoint()
	if err != nil {
		return verify.StandaloneOptions{}, err
	}
	return verify.StandaloneOptions{
		Source: from, Target: to, Databases: cfg.Databases, InScope: cfg.InScope,
		Parallel: f.parallel, Share: float64(f.share) / 100, MaxRunning: f.maxRunning, Recheck: f.recheck, Limit: f.limit,
		Consistent: f.consistent, Wait: f.waitForPoint,
	}, nil
}
