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

// runSource looks at the source while its million rows are copied: which locks our sessions hold
// on its tables, and what its process list says of them.
func runSource(ctx context.Context, l *lab) (*section, error) {
	s := &section{
		title: "What the source sees of a copy",
		about: []string{"During a copy of the eight tables, performance_schema.metadata_locks, data_locks and the process list are " +
			"looked at each 10 ms, and the general log keeps every statement of our account. To read a table, or its definition, takes " +
			"SHARED_READ, SHARED_HIGH_PRIO or SHARED on the metadata, for which only a DDL has to wait; anything beyond these would be a lock."},
		head: []string{"what", "seen"},
	}
	if l.tool == "" {
		return s, nil
	}
	src, err := l.activities(ctx)
	if err != nil {
		return nil, err
	}
	w := &sourceWatch{locks: map[string]int{}}
	if err := src.exec(ctx, "SET GLOBAL log_output = 'TABLE'", "TRUNCATE mysql.general_log", "SET GLOBAL general_log = ON"); err != nil {
		return nil, err
	}
	_, err = l.copyOnce(ctx, src, "bench8", copier{copy: func(ctx context.Context, src, dst *host, database string) (usage, error) {
		watch, stop := context.WithCancel(ctx)
		done := make(chan struct{})
		go func() { defer close(done); w.watch(watch, src) }()
		u, err := l.changeoverCopy(ctx, src, dst, database)
		stop()
		<-done
		return u, err
	}})
	if err != nil {
		return nil, err
	}
	if err := src.exec(ctx, "SET GLOBAL general_log = OFF"); err != nil {
		return nil, err
	}
	statements, locking, err := lockingStatements(ctx, src)
	if err != nil {
		return nil, err
	}
	beyond := 0
	for name, n := range w.locks {
		if !slices.Contains([]string{"SHARED_READ", "SHARED_HIGH_PRIO", "SHARED"}, name) {
			beyond += n
		}
	}
	s.row("looks", fmt.Sprint(w.looks))
	s.row("metadata locks on the tables, by type", counts(w.locks))
	s.row("row and table locks on the tables (data_locks)", fmt.Sprint(w.rowLocks))
	s.row("statements of our account in the general log", fmt.Sprint(statements))
	s.row("of these, with a locking word", strings.Join(append(locking, fmt.Sprint(len(locking))), "; "))
	s.row("SELECTs of the tables in the process list", fmt.Sprint(w.selects))
	s.row("of these, with a comment that says who and which chunk or range", fmt.Sprint(w.commented))
	s.row("for example", "`"+w.example+"`")
	if w.uncommented != "" {
		s.row("without", "`"+w.uncommented+"`")
	}
	s.goal("locks that a writer waits for", "0", fmt.Sprint(beyond+w.rowLocks+len(locking)), beyond+w.rowLocks+len(locking) == 0)
	s.goal("SELECTs that say who and which chunk or range", "all", fmt.Sprintf("%d of %d", w.commented, w.selects), w.selects > 0 && w.commented == w.selects)
	return s, nil
}

func counts(m map[string]int) string {
	var all []string
	for name, n := range m {
		all = append(all, fmt.Sprintf("%s %d", name, n))
	}
	if len(all) == 0 {
		return "none"
	}
	return strings.Join(all, ", ")
}

// sourceWatch is what was seen of our account on the source.
type sourceWatch struct {
	looks, rowLocks, selects, commented int
	locks                               map[string]int // metadata locks by type
	example, uncommented                string
}

func (w *sourceWatch) watch(ctx context.Context, src *host) {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for ctx.Err() == nil {
		w.look(ctx, src)
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
}

var chunkComment = regexp.MustCompile(`/\*\s*changeover [^*]*\b(chunk|range)\b[^*]*\*/`)

// look is a sample; a query that fails because the copy has ended is left out.
func (w *sourceWatch) look(ctx context.Context, src *host) {
	w.looks++
	strs(ctx, src, func(kind string) { w.locks[kind]++ },
		`SELECT l.lock_type FROM performance_schema.metadata_locks l JOIN performance_schema.threads t ON t.thread_id = l.owner_thread_id
		WHERE t.processlist_user = ? AND l.object_type = 'TABLE' AND l.object_schema = 'bench8'`, string(sandbox.Changeover))
	strs(ctx, src, func(string) { w.rowLocks++ },
		`SELECT l.lock_mode FROM performance_schema.data_locks l JOIN performance_schema.threads t ON t.thread_id = l.thread_id
		WHERE t.processlist_user = ? AND l.object_schema = 'bench8'`, string(sandbox.Changeover))
	strs(ctx, src, func(info string) {
		if !strings.Contains(info, "activities") || !strings.Contains(strings.ToUpper(info), "SELECT") {
			return
		}
		w.selects++
		if comment := chunkComment.FindString(info); comment != "" {
			w.commented++
			w.example = comment
		} else {
			w.uncommented = fmt.Sprintf("%.100s", info)
		}
	}, `SELECT info FROM performance_schema.processlist WHERE user = ? AND command = 'Query' AND info IS NOT NULL`, string(sandbox.Changeover))
}

// strs calls each with the values of a query's only column.
func strs(ctx context.Context, h *host, each func(string), query string, args ...any) {
	rows, err := h.db.QueryContext(ctx, query, args...)
	if err != nil {
		return
	}
	defer rows.Close()
	for rows.Next() {
		var v string
		if rows.Scan(&v) == nil {
			each(v)
		}
	}
}

// lockingStatements counts the account's statements in the general log, and returns those that
// lock tables of the migration or the whole server.
func lockingStatements(ctx context.Context, src *host) (all int, locking []string, err error) {
	rows, err := src.db.QueryContext(ctx, `SELECT CONVERT(argument USING utf8mb4) FROM mysql.general_log
		WHERE user_host LIKE 'changeover[%' AND command_type IN ('Query', 'Execute', 'Prepare')`)
	if err != nil {
		return 0, nil, err
	}
	defer rows.Close()
	words := regexp.MustCompile(`(?i)\b(LOCK\s+TABLES?|FLUSH\s+TABLES|LOCK\s+INSTANCE|FOR\s+UPDATE|FOR\s+SHARE|LOCK\s+IN\s+SHARE\s+MODE)\b`)
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			return 0, nil, err
		}
		all++
		// Its own database is not the application's.
		if words.MatchString(s) && !strings.Contains(s, "_changeover") {
			locking = append(locking, fmt.Sprintf("`%.80s`", s))
		}
	}
	return all, locking, rows.Err()
}
