package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"changeover/internal/sandbox"
)

// host is a running server with a pool of root's connections, for what the bench itself does.
type host struct {
	*sandbox.Server
	db *sql.DB
}

// serverOptions hold for every server of the bench, contenders' and ours. The buffer pool holds
// the whole benchmark, as a server's does its hot part: the tools are measured, not the disk.
var serverOptions = []string{"--innodb-buffer-pool-size=1G"}

// serve starts a new durable server. It ends with this process, or by remove.
func (l *lab) serve(ctx context.Context, role sandbox.Role, options ...string) (*host, error) {
	l.made++
	s, err := sandbox.Start(ctx, filepath.Join(l.dir.Path, string(role)+strconv.Itoa(l.made)), sandbox.Spec{
		Role: role, Aurora: role == sandbox.Target, Options: append(append([]string{}, serverOptions...), options...),
		Durability: sandbox.Durable, Lifetime: sandbox.WithProcess, Progress: l.progress(),
	})
	if err != nil {
		return nil, err
	}
	db, err := s.Open(sandbox.Root, "")
	if err != nil {
		return nil, errors.Join(err, s.Kill())
	}
	h := &host{s, db}
	l.hosts = append(l.hosts, h)
	return h, nil
}

// progress tells of a download once for each phase.
func (l *lab) progress() sandbox.Progress {
	var last string
	return func(s sandbox.Step) {
		if now := s.Doing + " " + s.What; now != last {
			last = now
			l.say("%s, %d packages, %.0f MB", now, s.PackagesTotal, float64(s.BytesTotal)/1e6)
		}
	}
}

// remove ends the server and deletes its data.
func (h *host) remove() error {
	return errors.Join(h.db.Close(), h.Kill(), os.RemoveAll(h.Dir))
}

// exec runs the statements as root in one session.
func (h *host) exec(ctx context.Context, statements ...string) error {
	conn, err := h.db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	for _, s := range statements {
		if _, err := conn.ExecContext(ctx, s); err != nil {
			return fmt.Errorf("%s: %.60s…: %w", h.Role, s, err)
		}
	}
	return nil
}

// number is the value of a query that returns one.
func (h *host) number(ctx context.Context, query string, args ...any) (int64, error) {
	var n sql.NullInt64
	err := h.db.QueryRowContext(ctx, query, args...).Scan(&n)
	return n.Int64, err
}

// relaxed runs do with a server that doesn't sync its commits, for filling it with data.
func (h *host) relaxed(ctx context.Context, do func() error) error {
	err := h.exec(ctx, "SET GLOBAL innodb_flush_log_at_trx_commit = 2, GLOBAL sync_binlog = 0")
	if err == nil {
		err = do()
	}
	return errors.Join(err, h.exec(context.WithoutCancel(ctx),
		"SET GLOBAL innodb_flush_log_at_trx_commit = 1, GLOBAL sync_binlog = 1"))
}

// settle waits until the server has written its dirty pages, so that one measurement doesn't pay
// for what came before it.
func (h *host) settle(ctx context.Context) error {
	if err := h.exec(ctx, "SET GLOBAL innodb_max_dirty_pages_pct = 0"); err != nil {
		return err
	}
	wait := pollEvery(ctx, 100*time.Millisecond, time.Minute, func() (bool, error) {
		var name string
		var dirty int
		err := h.db.QueryRowContext(ctx, "SHOW GLOBAL STATUS LIKE 'Innodb_buffer_pool_pages_dirty'").Scan(&name, &dirty)
		return dirty < 50, err
	})
	return errors.Join(wait, h.exec(context.WithoutCancel(ctx), "SET GLOBAL innodb_max_dirty_pages_pct = 90"))
}

// pollEvery asks done until it says yes; it is for what has no event. It fails after limit.
func pollEvery(ctx context.Context, pause, limit time.Duration, done func() (bool, error)) error {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("not within %v", limit))
	defer cancel()
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for {
		ok, err := done()
		if ok || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
	}
}

// equal compares a database of two servers: the tables, their indexes, and their rows by the
// server's own CHECKSUM TABLE.
func equal(ctx context.Context, a, b *host, database string) error {
	left, err := a.digest(ctx, database)
	if err != nil {
		return err
	}
	right, err := b.digest(ctx, database)
	if err != nil {
		return err
	}
	if left != right {
		return fmt.Errorf("%s differs between %s and %s:\n%s\n%s", database, a.Role, b.Role, left, right)
	}
	return nil
}

// digest describes a database: a line for each index, and for each table its checksum.
func (h *host) digest(ctx context.Context, database string) (string, error) {
	var out strings.Builder
	rows, err := h.db.QueryContext(ctx, `SELECT table_name, index_name, non_unique, GROUP_CONCAT(column_name ORDER BY seq_in_index)
		FROM information_schema.statistics WHERE table_schema = ? GROUP BY 1, 2, 3 ORDER BY 1, 2`, database)
	if err != nil {
		return "", err
	}
	defer rows.Close()
	seen := ""
	for rows.Next() {
		var table, index, columns string
		var nonUnique int
		if err := rows.Scan(&table, &index, &nonUnique, &columns); err != nil {
			return "", err
		}
		if table != seen {
			seen = table
			sum, err := h.checksum(ctx, database, table)
			if err != nil {
				return "", err
			}
			fmt.Fprintf(&out, "%s %d\n", table, sum)
		}
		fmt.Fprintf(&out, "%s.%s(%s) %d\n", table, index, columns, nonUnique)
	}
	return out.String(), rows.Err()
}

func (h *host) checksum(ctx context.Context, database, table string) (int64, error) {
	var name string
	var sum int64
	err := h.db.QueryRowContext(ctx, "CHECKSUM TABLE `"+database+"`.`"+table+"`").Scan(&name, &sum)
	return sum, err
}

// cpu is the processor time that the server has used so far; 0 where there is no /proc.
func (h *host) cpu() time.Duration { return cpuOf(h.PID()) }

// cpuOf is the processor time that a process has used so far; 0 where there is no /proc.
func cpuOf(pid int) time.Duration {
	const perSecond = 100 // USER_HZ, on every Linux that Go runs on
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	// The name may hold anything; the fields count from the parenthesis that ends it.
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	if len(fields) < 13 {
		return 0
	}
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * time.Second / perSecond
}
