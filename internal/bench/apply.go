package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"

	"changeover/internal/sandbox"
)

// Of the sysbench tables: enough rows that a hot one is rare, few enough to be quick.
const (
	sysbenchTables = 8
	sysbenchRows   = 50_000
)

// runApply lets sysbench write a backlog of transactions while nobody reads, and measures how
// long each contender takes to be level with the source again.
func runApply(ctx context.Context, l *lab) (*section, error) {
	events := l.size(40_000)
	src, err := l.serve(ctx, sandbox.Source)
	if err != nil {
		return nil, err
	}
	defer src.remove()
	if err := src.exec(ctx, "CREATE DATABASE bench"); err != nil {
		return nil, err
	}
	if err := src.relaxed(ctx, func() error {
		return l.sysbenchPrepare(ctx, src, "bench")
	}); err != nil {
		return nil, err
	}
	all, err := l.appliers(ctx, src)
	if err != nil {
		return nil, err
	}
	runs := make([][]usage, len(all))
	for range l.rounds {
		load, err := l.sysbench(ctx, src, "bench", "oltp_write_only", "--threads=8", "--time=0", "--events="+strconv.Itoa(events))
		if err != nil {
			return nil, err
		}
		l.say("backlog of %d transactions, written at %.0f/s", load.transactions, load.perSecond)
		for i, a := range all {
			if err := src.settle(ctx); err != nil {
				return nil, err
			}
			before := src.cpu() + a.dst.cpu()
			u, err := a.drain(ctx)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", a.name, err)
			}
			u.servers = src.cpu() + a.dst.cpu() - before
			l.say("%s: %s, servers %s", a.name, seconds(u.wall), seconds(u.servers))
			runs[i] = append(runs[i], u)
		}
		for _, a := range all {
			if err := equal(ctx, src, a.dst, "bench"); err != nil {
				return nil, fmt.Errorf("%s: %w", a.name, err)
			}
		}
	}
	s := &section{
		title: "Backlog of transactions",
		about: []string{fmt.Sprintf("%s transactions of sysbench's oltp_write_only (4 row changes each, its default distribution: "+
			"three quarters of the changes hit one hundredth of the rows) on %d tables of %s rows, written while nobody reads. "+
			"Time is from START REPLICA to WAIT_FOR_EXECUTED_GTID_SET, and from the start of `changeover run --until caught-up` "+
			"to its end, its start-up included. Then all tables are compared (CHECKSUM TABLE).",
			thousands(int64(events)), sysbenchTables, thousands(sysbenchRows))},
		head: []string{"applied by", "time", "transactions/s", "beside 16 workers", "CPU of the tool", "CPU of the servers", "memory of the tool"},
	}
	rate := func(i int) float64 { return float64(events) / median(runs[i]).wall.Seconds() }
	for i, a := range all {
		u := median(runs[i])
		cpu, rss := "–", "–"
		if u.cpu > 0 {
			cpu, rss = seconds(u.cpu), megabytes(u.rss)
		}
		s.row(a.name, seconds(u.wall), thousands(int64(rate(i))), ratio(rate(i), rate(1)), cpu, seconds(u.servers), rss)
	}
	if len(all) > 2 {
		s.goal("transactions/s beside MySQL's replica with 16 workers", "≥ 2.00 ×", ratio(rate(2), rate(1)), rate(2) >= 2*rate(1))
	}
	for _, a := range all {
		err = errors.Join(err, a.dst.remove())
	}
	return s, err
}

// applier is a way to keep a target level with a source.
type applier struct {
	name  string
	dst   *host
	drain func(context.Context) (usage, error) // applies what there is, and stops
}

// appliers are all level with the source, and stopped.
func (l *lab) appliers(ctx context.Context, src *host) ([]*applier, error) {
	var all []*applier
	for _, workers := range []int{4, 16} {
		dst, err := l.serve(ctx, sandbox.Target, "--replica-parallel-workers="+strconv.Itoa(workers))
		if err != nil {
			return nil, err
		}
		r := replica{src, dst}
		if err := r.configure(ctx); err != nil {
			return nil, err
		}
		all = append(all, &applier{fmt.Sprintf("MySQL's replica, %d workers", workers), dst, r.drain})
	}
	if l.tool != "" {
		dst, err := l.serve(ctx, sandbox.Target)
		if err != nil {
			return nil, err
		}
		m, err := l.migrate(src, dst, "bench")
		if err != nil {
			return nil, err
		}
		all = append(all, &applier{"changeover run, 8 workers", dst, func(ctx context.Context) (usage, error) {
			return measure("changeover run", m.run(ctx, "--until", "caught-up"))
		}})
	}
	g, gctx := errgroup.WithContext(ctx)
	for _, a := range all {
		g.Go(func() error {
			if _, err := a.drain(gctx); err != nil {
				return fmt.Errorf("%s: the first data: %w", a.name, err)
			}
			return a.dst.settle(gctx)
		})
	}
	return all, g.Wait()
}

// replica is MySQL's own replication, as the manual sets it up.
type replica struct{ src, dst *host }

func (r replica) configure(ctx context.Context) error {
	password, err := r.src.Password(sandbox.Changeover)
	if err != nil {
		return err
	}
	// A password of the sandbox is letters and digits.
	return r.dst.exec(ctx, fmt.Sprintf(`CHANGE REPLICATION SOURCE TO SOURCE_HOST='%s', SOURCE_PORT=%d, SOURCE_USER='%s',
		SOURCE_PASSWORD='%s', SOURCE_AUTO_POSITION=1, GET_SOURCE_PUBLIC_KEY=1`,
		r.src.Host, r.src.Port, sandbox.Changeover, password))
}

func (r replica) drain(ctx context.Context) (usage, error) {
	var until string
	if err := r.src.db.QueryRowContext(ctx, "SELECT @@GLOBAL.gtid_executed").Scan(&until); err != nil {
		return usage{}, err
	}
	began := time.Now()
	if err := r.dst.exec(ctx, "START REPLICA"); err != nil {
		return usage{}, err
	}
	late, err := r.dst.number(ctx, "SELECT WAIT_FOR_EXECUTED_GTID_SET(?, 600)", until)
	took := time.Since(began)
	if err == nil && late != 0 {
		err = errors.New("not level after 600 s")
	}
	return usage{wall: took}, errors.Join(err, r.dst.exec(ctx, "STOP REPLICA"))
}

// sysbenchRun is what sysbench says of a run.
type sysbenchRun struct {
	transactions int
	perSecond    float64
	errors       int
}

var (
	sysbenchTransactions = regexp.MustCompile(`transactions:\s+(\d+)\s+\(([\d.]+) per sec`)
	sysbenchErrors       = regexp.MustCompile(`ignored errors:\s+(\d+)`)
)

// sysbench runs one of its tests as the application's account.
func (l *lab) sysbench(ctx context.Context, h *host, database, test string, args ...string) (*sysbenchRun, error) {
	cmd, err := l.sysbenchCommand(ctx, h, database, test, append(args, "run")...)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	cmd.Stdout = &out
	if _, err := measure("sysbench "+test, cmd); err != nil {
		return nil, fmt.Errorf("%w\n%s", err, out.Bytes())
	}
	text := out.Bytes()
	r := &sysbenchRun{}
	if m := sysbenchTransactions.FindSubmatch(text); m != nil {
		r.transactions, _ = strconv.Atoi(string(m[1]))
		r.perSecond, _ = strconv.ParseFloat(string(m[2]), 64)
	}
	if m := sysbenchErrors.FindSubmatch(text); m != nil {
		r.errors, _ = strconv.Atoi(string(m[1]))
	}
	return r, nil
}

func (l *lab) sysbenchPrepare(ctx context.Context, h *host, database string) error {
	cmd, err := l.sysbenchCommand(ctx, h, database, "oltp_write_only", "--threads=2", "prepare")
	if err != nil {
		return err
	}
	_, err = measure("sysbench prepare", cmd)
	return err
}

func (l *lab) sysbenchCommand(ctx context.Context, h *host, database, test string, args ...string) (*exec.Cmd, error) {
	t, err := l.findTool(ctx, "sysbench")
	if err != nil {
		return nil, err
	}
	config, err := h.SysbenchFile(sandbox.App, database)
	if err != nil {
		return nil, err
	}
	return t.Command(ctx, append([]string{"--config-file=" + config, test,
		"--tables=" + strconv.Itoa(sysbenchTables), "--table-size=" + strconv.Itoa(l.size(sysbenchRows))}, args...)...), nil
}
