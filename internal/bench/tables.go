package main

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"changeover/internal/sandbox"
)

// runTables copies eight tables, the biggest of which has 60 % of the rows, beside one table of
// as many rows, and looks from outside at what the target is busy with meanwhile.
func runTables(ctx context.Context, l *lab) (*section, error) {
	src, err := l.activities(ctx)
	if err != nil {
		return nil, err
	}
	s := &section{
		title: "Copy of eight tables of uneven size",
		about: []string{fmt.Sprintf("The same %s rows, in one table and in eight with %s ‰ of them. "+
			"Writes under way are the loads and index builds that the target's process list shows each 25 ms, up to the last load: "+
			"in the last fifth of that time a copier that gives each table to one worker has one.", thousands(int64(l.rows())), strings.Trim(fmt.Sprint(shares), "[]"))},
		head: []string{"copy", "time", "beside one table", "writes under way", "in the last fifth", "the last table to end began at", "each writer busy, by status"},
	}
	if l.tool == "" {
		return s, nil
	}
	cases := []struct{ name, database string }{{"one table", "bench"}, {"eight tables", "bench8"}}
	runs := make([][]usage, len(cases))
	seen := make([]*loads, len(cases)) // of the last round
	for range l.rounds {
		for i, c := range cases {
			var u usage
			if u, seen[i], err = l.copyWatched(ctx, src, c.database); err != nil {
				return nil, fmt.Errorf("%s: %w", c.name, err)
			}
			l.say("%s: %s", c.name, seconds(u.wall))
			runs[i] = append(runs[i], u)
		}
	}
	one := median(runs[0]).wall.Seconds()
	for i, c := range cases {
		wall := median(runs[i]).wall
		s.row(c.name, seconds(wall), ratio(wall.Seconds(), one),
			fmt.Sprintf("%.1f", seen[i].mean(0)), fmt.Sprintf("%.1f", seen[i].mean(0.8)), seen[i].lastBegan(), seen[i].shares())
	}
	late, eight := seen[1].mean(0.8)/seen[1].mean(0), median(runs[1]).wall.Seconds()
	s.goal("writes under way in the last fifth, beside the mean", "≥ 0.80 ×", fmt.Sprintf("%.2f ×", late), late >= 0.8)
	s.goal("eight tables beside one", "≤ 1.25 ×", ratio(eight, one), eight <= 1.25*one)
	return s, nil
}

func (l *lab) copyWatched(ctx context.Context, src *host, database string) (usage, *loads, error) {
	seen := &loads{}
	u, err := l.copyOnce(ctx, src, database, copier{copy: func(ctx context.Context, src, dst *host, database string) (usage, error) {
		watch, stop := context.WithCancel(ctx)
		done := make(chan struct{})
		go func() { defer close(done); seen.watch(watch, dst, l.migrationOf(dst)) }()
		u, err := l.changeoverCopy(ctx, src, dst, database)
		stop()
		<-done
		return u, err
	}})
	return u, seen, err
}

// loads is a series of looks at a target: which tables were being written.
type loads struct {
	samples []loadSample
	busy    []float64 // by the run's own account: each writer's share of the time
}

type loadSample struct {
	at     time.Time
	tables []string // one entry for each statement that loads rows
	builds int      // of indexes: a table that is through has its own built by a writer, while others are loaded
}

var indexBuild = regexp.MustCompile(`(?is)^(?:/\*.*?\*/)?\s*ALTER\s+TABLE\s.*\bADD\b`)

var loadedTable = regexp.MustCompile("(?is)^(?:/\\*.*?\\*/)?\\s*(?:LOAD|INSERT).*?INTO\\s+(?:TABLE\\s+)?`?\\w+`?\\.`?(activities\\d*)`?")

// watch looks until ctx ends. What it can't see it leaves out: it is a sample.
func (o *loads) watch(ctx context.Context, dst *host, m *migration) {
	tick := time.NewTicker(25 * time.Millisecond)
	defer tick.Stop()
	for ctx.Err() == nil {
		if s, err := lookAtLoads(ctx, dst); err == nil {
			o.samples = append(o.samples, s)
		}
		if s, err := m.status(ctx); err == nil && s.Phase == "copying" {
			o.busy = o.busy[:0]
			for _, w := range s.Workers {
				o.busy = append(o.busy, w.Busy)
			}
		}
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
	// Before the first and after the last load it isn't the copying of rows.
	idle := func(s loadSample) bool { return len(s.tables) == 0 }
	for len(o.samples) > 0 && idle(o.samples[0]) {
		o.samples = o.samples[1:]
	}
	for len(o.samples) > 0 && idle(o.samples[len(o.samples)-1]) {
		o.samples = o.samples[:len(o.samples)-1]
	}
}

func lookAtLoads(ctx context.Context, dst *host) (loadSample, error) {
	s := loadSample{at: time.Now()}
	rows, err := dst.db.QueryContext(ctx, "SELECT info FROM performance_schema.processlist WHERE user = ? AND command = 'Query' AND info IS NOT NULL",
		string(sandbox.Admin))
	if err != nil {
		return s, err
	}
	defer rows.Close()
	for rows.Next() {
		var info string
		if err := rows.Scan(&info); err != nil {
			return s, err
		}
		if m := loadedTable.FindStringSubmatch(info); m != nil {
			s.tables = append(s.tables, m[1])
		} else if indexBuild.MatchString(info) {
			s.builds++
		}
	}
	return s, rows.Err()
}

// mean is how many writes were under way, on average, after the given part of the time.
func (o *loads) mean(from float64) float64 {
	late := o.samples[int(from*float64(len(o.samples))):]
	if len(late) == 0 {
		return 0
	}
	n := 0
	for _, s := range late {
		n += len(s.tables) + s.builds
	}
	return float64(n) / float64(len(late))
}

// lastBegan is when the table that ended last was begun, as a part of the whole time: late means
// that it was waited for.
func (o *loads) lastBegan() string {
	if len(o.samples) == 0 {
		return "–"
	}
	first, last := o.samples[0], o.samples[len(o.samples)-1]
	table := last.tables[0]
	for _, s := range o.samples {
		if slices.Contains(s.tables, table) {
			return fmt.Sprintf("%.0f %%", 100*s.at.Sub(first.at).Seconds()/last.at.Sub(first.at).Seconds())
		}
	}
	return "–"
}

func (o *loads) shares() string {
	var all []string
	for _, b := range o.busy {
		all = append(all, fmt.Sprintf("%.0f %%", 100*b))
	}
	return strings.Join(all, ", ")
}
