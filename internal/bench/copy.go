package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"changeover/internal/sandbox"
)

// copier is a way to get a database from a source into a fresh target.
type copier struct {
	name string
	copy func(ctx context.Context, src, dst *host, database string) (usage, error)
}

// copiers are mysqldump, mydumper, and ours. The others read as root: no privilege that they
// lack makes them slower.
func (l *lab) copiers() []copier {
	all := []copier{
		{"mysqldump --single-transaction | mysql", l.mysqldump},
		{"mydumper, myloader, 4 threads", l.mydumper},
	}
	if l.tool != "" {
		all = append(all, copier{"changeover run --until copied", l.changeoverCopy})
	}
	return all
}

func runCopy(ctx context.Context, l *lab) (*section, error) {
	src, err := l.activities(ctx)
	if err != nil {
		return nil, err
	}
	size, err := src.bytes(ctx, "bench")
	if err != nil {
		return nil, err
	}
	count := l.rows()
	results, err := l.race(ctx, src, "bench", l.copiers())
	if err != nil {
		return nil, err
	}
	s := &section{
		title: "Copy of one table",
		about: []string{fmt.Sprintf("%s rows, %s with their two secondary indexes; JSON, ENUM, DECIMAL, MEDIUMTEXT. Each copy goes "+
			"to a new target. Time is from the start of the first program to the end of the last; CPU and memory "+
			"of the tool are those of the programs; the servers' CPU is that of source and target together. After each copy the rows (CHECKSUM TABLE) and the indexes are compared.",
			thousands(int64(count)), megabytes(size))},
		head: []string{"copy", "time", "beside mysqldump", "rows/s", "CPU of the tool", "CPU of the servers", "memory of the tool"},
	}
	for i, c := range l.copiers() {
		u := results[i]
		s.row(c.name, seconds(u.wall), ratio(u.wall.Seconds(), results[0].wall.Seconds()),
			thousands(int64(float64(count)/u.wall.Seconds())), seconds(u.cpu), seconds(u.servers), megabytes(u.rss))
	}
	if l.tool != "" {
		ours := results[len(results)-1]
		r := ours.wall.Seconds() / results[0].wall.Seconds()
		s.goal("time beside mysqldump", "≤ 0.50 ×", fmt.Sprintf("%.2f ×", r), r <= 0.5)
		cpu := time.Duration(float64(ours.cpu) * 1e6 / float64(count))
		s.goal("CPU of the tool for a million rows", "≤ 3.0 s", seconds(cpu), cpu <= 3*time.Second)
	}
	return s, nil
}

// race lets each copier copy the source into a new target, in turns, and returns each one's
// median.
func (l *lab) race(ctx context.Context, src *host, database string, all []copier) ([]usage, error) {
	runs := make([][]usage, len(all))
	for range l.rounds {
		for i, c := range all {
			u, err := l.copyOnce(ctx, src, database, c)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", c.name, err)
			}
			l.say("%s: %s, CPU %s, servers %s, %s", c.name, seconds(u.wall), seconds(u.cpu), seconds(u.servers), megabytes(u.rss))
			runs[i] = append(runs[i], u)
		}
	}
	out := make([]usage, len(all))
	for i := range runs {
		out[i] = median(runs[i])
	}
	return out, nil
}

func (l *lab) copyOnce(ctx context.Context, src *host, database string, c copier) (usage, error) {
	dst, err := l.serve(ctx, sandbox.Target)
	if err != nil {
		return usage{}, err
	}
	if err := src.settle(ctx); err != nil {
		return usage{}, err
	}
	before := src.cpu() + dst.cpu()
	u, err := c.copy(ctx, src, dst, database)
	u.servers = src.cpu() + dst.cpu() - before
	if err == nil {
		err = equal(ctx, src, dst, database)
	}
	return u, errors.Join(err, dst.remove())
}

func (l *lab) mysqldump(ctx context.Context, src, dst *host, database string) (usage, error) {
	dump, err := l.findTool(ctx, "mysqldump")
	if err != nil {
		return usage{}, err
	}
	load, err := l.findTool(ctx, "mysql")
	if err != nil {
		return usage{}, err
	}
	from, err := src.DefaultsFile(sandbox.Root)
	if err != nil {
		return usage{}, err
	}
	to, err := dst.DefaultsFile(sandbox.Admin)
	if err != nil {
		return usage{}, err
	}
	return measurePipe(
		dump.Command(ctx, "--defaults-file="+from, "--single-transaction", "--set-gtid-purged=OFF", "--databases", database),
		load.Command(ctx, "--defaults-file="+to))
}

// mydumper dumps to files, in chunks that its four threads share, and loads them. The load is in
// the target's binlog: Aurora's master user has no way round that.
func (l *lab) mydumper(ctx context.Context, src, dst *host, database string) (usage, error) {
	dump, err := l.findTool(ctx, "mydumper")
	if err != nil {
		return usage{}, err
	}
	load, err := l.findTool(ctx, "myloader")
	if err != nil {
		return usage{}, err
	}
	from, err := src.DefaultsFile(sandbox.Root)
	if err != nil {
		return usage{}, err
	}
	to, err := dst.DefaultsFile(sandbox.Admin)
	if err != nil {
		return usage{}, err
	}
	dir := filepath.Join(l.dir.Path, "dump")
	defer os.RemoveAll(dir)
	const threads = "--threads=4"
	u, err := measure("mydumper", dump.Command(ctx, "--defaults-file="+from, "--database="+database,
		"--outputdir="+dir, "--rows="+strconv.Itoa(50_000), threads))
	if err != nil {
		return usage{}, err
	}
	v, err := measure("myloader", load.Command(ctx, "--defaults-file="+to, "--source-db="+database,
		"--database="+database, "--directory="+dir, "--enable-binlog", threads))
	return usage{wall: u.wall + v.wall, cpu: u.cpu + v.cpu, rss: max(u.rss, v.rss)}, err
}
