package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"changeover/internal/sandbox"
)

// verifyRounds is how often each contender runs at least: a run takes seconds.
const verifyRounds = 5

// runVerify compares a table of two servers, in the ways that there are, and with ours.
func runVerify(ctx context.Context, l *lab) (*section, error) {
	src, err := l.activities(ctx)
	if err != nil {
		return nil, err
	}
	dst, err := l.sameActivities(ctx, src)
	if err != nil {
		return nil, err
	}
	defer dst.remove()
	all, err := l.comparers(ctx, src, dst)
	if err != nil {
		return nil, err
	}
	runs, err := l.compareInTurns(ctx, src, dst, all)
	if err != nil {
		return nil, err
	}
	return l.verifySection(all, runs), nil
}

// sameActivities is a second server with the same table, which replicates from nobody.
func (l *lab) sameActivities(ctx context.Context, src *host) (*host, error) {
	dst, err := l.serve(ctx, sandbox.Target)
	if err != nil {
		return nil, err
	}
	if err = dst.unlogged(ctx, "CREATE DATABASE bench"); err == nil {
		err = dst.fill(ctx, "bench.activities", 0, l.rows())
	}
	if err == nil {
		err = equal(ctx, src, dst, "bench")
	}
	if err != nil {
		return nil, errors.Join(err, dst.remove())
	}
	return dst, nil
}

func (l *lab) verifySection(all []comparer, runs [][]usage) *section {
	s := &section{
		title: "Comparing a table of two servers",
		about: []string{fmt.Sprintf("%s rows, equal on both servers and in both buffer pools; medians of %d, ratios too. CHECKSUM TABLE and "+
			"BIT_XOR(CRC32(CONCAT_WS('#', …))) run on both servers at once, in one statement each. pt-table-checksum computes its chunks on the source "+
			"alone and writes them to percona.checksums; a replica would compute them again later. Ours names a row that differs, and its columns, "+
			"whatever the difference is; the others don't see every difference.", thousands(int64(l.rows())), max(l.rounds, verifyRounds))},
		head: []string{"compared by", "time", "beside CHECKSUM TABLE", "CPU of the tool", "CPU of the servers", "beside CHECKSUM TABLE", "memory of the tool"},
	}
	wall, servers := func(u usage) time.Duration { return u.wall }, func(u usage) time.Duration { return u.servers }
	for i, c := range all {
		u, cpu, rss := median(runs[i]), "–", "–"
		if u.rss > 0 {
			cpu, rss = seconds(u.cpu), megabytes(u.rss)
		}
		s.row(c.name, seconds(u.wall), ratio(medianRatio(runs[i], runs[0], wall), 1), cpu, seconds(u.servers), ratio(medianRatio(runs[i], runs[0], servers), 1), rss)
	}
	if l.tool != "" {
		ours := runs[len(all)-1]
		for i, most := range []float64{1.5, 1, 1} {
			r := medianRatio(ours, runs[i], wall)
			s.goal("time beside "+all[i].name, fmt.Sprintf("≤ %.2f ×", most), ratio(r, 1), r <= most)
		}
	}
	return s
}

// medianRatio is the median of the ratios of runs that came right after each other: what else goes on on
// the machine is much the same for both.
func medianRatio(a, b []usage, of func(usage) time.Duration) float64 {
	ratios := make([]float64, len(a))
	for i := range a {
		ratios[i] = of(a[i]).Seconds() / of(b[i]).Seconds()
	}
	slices.Sort(ratios)
	return ratios[(len(ratios)-1)/2]
}

// comparer is a way to compare bench.activities of two servers.
type comparer struct {
	name string
	run  func(context.Context) (usage, error)
}

// comparers are the servers' own ways, pt-table-checksum, and ours, which comes last.
func (l *lab) comparers(ctx context.Context, src, dst *host) ([]comparer, error) {
	crc, err := src.crcQuery(ctx, "bench", "activities")
	if err != nil {
		return nil, err
	}
	pt, err := l.tableChecksum(ctx, src)
	if err != nil {
		return nil, err
	}
	all := []comparer{
		{"CHECKSUM TABLE", func(ctx context.Context) (usage, error) {
			return onBoth(ctx, src, dst, "CHECKSUM TABLE bench.activities")
		}},
		{"BIT_XOR(CRC32(CONCAT_WS))", func(ctx context.Context) (usage, error) { return onBoth(ctx, src, dst, crc) }},
		{"pt-table-checksum, the source only", pt},
	}
	if l.tool != "" {
		all = append(all, comparer{"changeover verify --once", l.changeoverVerify(src, dst)})
	}
	return all, nil
}

// compareInTurns lets each way compare several times, in turns, after once to warm up.
func (l *lab) compareInTurns(ctx context.Context, src, dst *host, all []comparer) ([][]usage, error) {
	for _, h := range []*host{src, dst} {
		if err := h.settle(ctx); err != nil {
			return nil, err
		}
	}
	runs := make([][]usage, len(all))
	for round := range max(l.rounds, verifyRounds) + 1 {
		for i, c := range all {
			before := src.cpu() + dst.cpu()
			u, err := c.run(ctx)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", c.name, err)
			}
			u.servers = src.cpu() + dst.cpu() - before
			if round > 0 {
				l.say("%s: %s, CPU %s, servers %s", c.name, seconds(u.wall), seconds(u.cpu), seconds(u.servers))
				runs[i] = append(runs[i], u)
			}
		}
	}
	return runs, nil
}

// onBoth asks both servers at once for a table's name or count and its checksum, which must be the same.
func onBoth(ctx context.Context, src, dst *host, query string) (usage, error) {
	began := time.Now()
	var answers [2]struct{ what, sum sql.NullString }
	group, gctx := errgroup.WithContext(ctx)
	for i, h := range []*host{src, dst} {
		group.Go(func() error { return h.db.QueryRowContext(gctx, query).Scan(&answers[i].what, &answers[i].sum) })
	}
	if err := group.Wait(); err != nil {
		return usage{}, err
	}
	u := usage{wall: time.Since(began)}
	if answers[0] != answers[1] || !answers[0].sum.Valid {
		return u, fmt.Errorf("the servers answer %v and %v", answers[0], answers[1])
	}
	return u, nil
}

// crcQuery is the statement of most tools for the checksum of a table.
func (h *host) crcQuery(ctx context.Context, database, table string) (string, error) {
	rows, err := h.db.QueryContext(ctx, "SELECT column_name, is_nullable FROM information_schema.columns WHERE table_schema = ? AND table_name = ? ORDER BY ordinal_position", database, table)
	if err != nil {
		return "", err
	}
	defer rows.Close()
	var columns, nulls []string
	for rows.Next() {
		var name, nullable string
		if err := rows.Scan(&name, &nullable); err != nil {
			return "", err
		}
		columns = append(columns, "`"+name+"`")
		if nullable == "YES" {
			nulls = append(nulls, "ISNULL(`"+name+"`)")
		}
	}
	return fmt.Sprintf("SELECT COUNT(*), BIT_XOR(CRC32(CONCAT_WS('#', %s, CONCAT(%s)))) FROM `%s`.`%s`",
		strings.Join(columns, ", "), strings.Join(nulls, ", "), database, table), rows.Err()
}

// tableChecksum runs pt-table-checksum on the source, which has no replicas for it to look for.
func (l *lab) tableChecksum(ctx context.Context, src *host) (func(context.Context) (usage, error), error) {
	tool, err := l.findTool(ctx, "pt-table-checksum")
	if err != nil {
		return nil, err
	}
	defaults, err := src.DefaultsFile(sandbox.Root)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) (usage, error) {
		return measure("pt-table-checksum", tool.Command(ctx, fmt.Sprintf("F=%s,h=%s,P=%d", defaults, src.Host, src.Port), "--databases=bench", "--tables=activities",
			"--recursion-method=none", "--no-version-check", "--quiet"))
	}, nil
}

// changeoverVerify is ours, with everything at its default.
func (l *lab) changeoverVerify(src, dst *host) func(context.Context) (usage, error) {
	return func(ctx context.Context) (usage, error) {
		for _, p := range []struct {
			h *host
			a sandbox.Account
		}{{src, sandbox.Changeover}, {dst, sandbox.Admin}} {
			if _, err := p.h.Password(p.a); err != nil { // makes the file
				return usage{}, err
			}
		}
		return measure("changeover verify", exec.CommandContext(ctx, l.tool, "verify", "--once", "--databases=bench",
			fmt.Sprintf("--source=changeover@%s:%d", src.Host, src.Port), "--source-password-file="+src.PasswordFile(sandbox.Changeover),
			fmt.Sprintf("--target=admin@%s:%d", dst.Host, dst.Port), "--target-password-file="+dst.PasswordFile(sandbox.Admin)))
	}
}
