package verify

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"time"

	"changeover/internal/fault"
	"changeover/internal/server"
)

// follower is the target as a replica of the source.
type follower interface {
	// stop ends applying.
	stop(ctx context.Context) error
	// position is what the source has committed, said in a way that goTo understands.
	position(ctx context.Context, source queryer) (string, error)
	// goTo applies up to a position and not further, and returns when that is done.
	goTo(ctx context.Context, position string) error
	// resume applies without end, whatever was asked for before.
	resume(ctx context.Context) error
}

// follower looks whether the target replicates from the source, now.
func (s *Standalone) follower(ctx context.Context, c *comparer) (follower, error) {
	if c.source.flavor != c.target.flavor {
		return nil, fault.New(fault.VerifyReplica, "%s is a %s and %s a %s, whose GTIDs are not the same", s.o.Source, c.source.flavor, s.o.Target, c.target.flavor)
	}
	find := findMySQLReplica
	if c.source.flavor == server.MariaDB {
		find = findMariaDBReplica
	}
	f, reason, err := find(ctx, c.source.db, c.target.db)
	if err != nil {
		return nil, fault.New(fault.VerifyReplica, "ask %s from whom it replicates: %w", s.o.Target, err)
	}
	if reason != "" {
		return nil, fault.New(fault.VerifyReplica, "%s and %s: %s", s.o.Source, s.o.Target, reason)
	}
	return f, nil
}

// replicaStatus is one channel, as SHOW REPLICA STATUS tells of it: its columns by name.
type replicaStatus map[string]string

func readStatus(ctx context.Context, q queryer, query string) ([]replicaStatus, error) {
	rows, err := q.QueryContext(ctx, query)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	names, err := rows.Columns()
	if err != nil {
		return nil, err
	}
	var all []replicaStatus
	for rows.Next() {
		values, into := make([]sql.NullString, len(names)), make([]any, len(names))
		for i := range values {
			into[i] = &values[i]
		}
		if err := rows.Scan(into...); err != nil {
			return nil, err
		}
		one := replicaStatus{}
		for i, name := range names {
			one[name] = values[i].String
		}
		all = append(all, one)
	}
	return all, rows.Err()
}

// stopped tells whether a thread's column says so.
func (r replicaStatus) stopped(thread string) bool { return !strings.EqualFold(r[thread], "Yes") }

// halted says why a channel isn't running; empty: it is.
func (r replicaStatus) halted(io, sql string) string {
	switch {
	case r.stopped(sql):
		return "the target's SQL thread is not running. " + r["Last_SQL_Error"]
	case r.stopped(io):
		return "the target's IO thread is not running. " + r["Last_IO_Error"]
	}
	return ""
}

// until polls a replica until its SQL thread has stopped, and returns what it says then.
func until(ctx context.Context, status func(context.Context) (replicaStatus, error), thread string) (replicaStatus, error) {
	for pause := 10 * time.Millisecond; ; pause = min(2*pause, 250*time.Millisecond) {
		now, err := status(ctx)
		if err != nil || now.stopped(thread) {
			return now, err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// mysqlReplica is a MySQL that replicates by GTID. Before 8.0.22 its statements had other words.
type mysqlReplica struct {
	db      *sql.DB
	word    string // REPLICA or SLAVE
	thread  string // the column that says whether the SQL thread runs
	channel string
	source  string // its server_uuid
}

func findMySQLReplica(ctx context.Context, src, dst *sql.DB) (follower, string, error) {
	var version, uuid, ours, theirs string
	if err := src.QueryRowContext(ctx, "SELECT @@GLOBAL.server_uuid, @@GLOBAL.gtid_mode").Scan(&uuid, &ours); err != nil {
		return nil, "", err
	}
	if err := dst.QueryRowContext(ctx, "SELECT VERSION(), @@GLOBAL.gtid_mode").Scan(&version, &theirs); err != nil {
		return nil, "", err
	}
	v, err := server.ParseVersion(version)
	if err != nil {
		return nil, "", err
	}
	r := &mysqlReplica{db: dst, word: "REPLICA", source: uuid}
	io, id := "Replica_IO_Running", "Source_UUID"
	r.thread = "Replica_SQL_Running"
	if !v.AtLeast(8, 0, 22) {
		r.word, r.thread, io, id = "SLAVE", "Slave_SQL_Running", "Slave_IO_Running", "Master_UUID"
	}
	all, err := readStatus(ctx, dst, "SHOW "+r.word+" STATUS")
	if err != nil {
		return nil, "", err
	}
	i := slices.IndexFunc(all, func(one replicaStatus) bool { return one[id] == uuid })
	switch {
	case i < 0:
		return nil, "the target does not replicate from the source", nil
	case ours != "ON" || theirs != "ON":
		return nil, fmt.Sprintf("gtid_mode is %s on the source, %s on the target", ours, theirs), nil
	}
	r.channel = all[i]["Channel_Name"]
	return r, all[i].halted(io, r.thread), nil
}

func (r *mysqlReplica) exec(ctx context.Context, statement string, args ...any) error {
	_, err := r.db.ExecContext(ctx, statement+" FOR CHANNEL ?", append(args, r.channel)...)
	return err
}

func (r *mysqlReplica) status(ctx context.Context) (replicaStatus, error) {
	all, err := readStatus(ctx, r.db, "SHOW "+r.word+" STATUS")
	if err != nil {
		return nil, err
	}
	for _, one := range all {
		if one["Channel_Name"] == r.channel {
			return one, nil
		}
	}
	return nil, fmt.Errorf("the channel %q is gone", r.channel)
}

func (r *mysqlReplica) stop(ctx context.Context) error {
	return r.exec(ctx, "STOP "+r.word+" SQL_THREAD")
}

func (r *mysqlReplica) position(ctx context.Context, source queryer) (gtids string, err error) {
	err = source.QueryRowContext(ctx, "SELECT @@GLOBAL.gtid_executed").Scan(&gtids)
	return strings.ReplaceAll(gtids, "\n", ""), err
}

func (r *mysqlReplica) goTo(ctx context.Context, position string) error {
	there, err := r.reached(ctx, position)
	if err != nil || there {
		return err
	}
	if err := r.exec(ctx, "START "+r.word+" SQL_THREAD UNTIL SQL_AFTER_GTIDS = ?", position); err != nil {
		return err
	}
	now, err := until(ctx, r.status, r.thread)
	if err != nil {
		return err
	}
	if there, err := r.reached(ctx, position); err != nil || there {
		return err
	}
	return fmt.Errorf("its SQL thread stopped before: %s", now["Last_SQL_Error"])
}

// reached tells whether all of a position is applied; it is an error if more of the source's is.
func (r *mysqlReplica) reached(ctx context.Context, position string) (there bool, err error) {
	var beyond string
	if err := r.db.QueryRowContext(ctx, "SELECT GTID_SUBSET(?, @@GLOBAL.gtid_executed), GTID_SUBTRACT(@@GLOBAL.gtid_executed, ?)",
		position, position).Scan(&there, &beyond); err != nil {
		return false, err
	}
	if strings.Contains(beyond, r.source) {
		return false, fmt.Errorf("it has applied more: %s", beyond)
	}
	return there, nil
}

// resume stops first: a thread that runs up to a position would stop there.
func (r *mysqlReplica) resume(ctx context.Context) error {
	if err := r.stop(ctx); err != nil {
		return err
	}
	return r.exec(ctx, "START "+r.word+" SQL_THREAD")
}

// mariaReplica is a MariaDB that replicates by GTID. It takes a position to stop at only when both its
// threads are started with it, so both are stopped.
type mariaReplica struct {
	db   *sql.DB
	name string // of the connection
}

const mariaThread = "Slave_SQL_Running"

func findMariaDBReplica(ctx context.Context, src, dst *sql.DB) (follower, string, error) {
	var id string
	if err := src.QueryRowContext(ctx, "SELECT @@GLOBAL.server_id").Scan(&id); err != nil {
		return nil, "", err
	}
	all, err := readStatus(ctx, dst, "SHOW ALL SLAVES STATUS")
	if err != nil {
		return nil, "", err
	}
	i := slices.IndexFunc(all, func(one replicaStatus) bool { return one["Master_Server_Id"] == id })
	switch {
	case i < 0:
		return nil, "the target does not replicate from the source", nil
	case all[i]["Using_Gtid"] == "No":
		return nil, "the target replicates by binlog file and offset, not by GTID", nil
	}
	return &mariaReplica{dst, all[i]["Connection_name"]}, all[i].halted("Slave_IO_Running", mariaThread), nil
}

func (r *mariaReplica) status(ctx context.Context) (replicaStatus, error) {
	all, err := readStatus(ctx, r.db, "SHOW ALL SLAVES STATUS")
	if err != nil {
		return nil, err
	}
	for _, one := range all {
		if one["Connection_name"] == r.name {
			return one, nil
		}
	}
	return nil, fmt.Errorf("the connection %q is gone", r.name)
}

func (r *mariaReplica) stop(ctx context.Context) error {
	_, err := r.db.ExecContext(ctx, "STOP SLAVE ?", r.name)
	return err
}

func (r *mariaReplica) position(ctx context.Context, source queryer) (gtids string, err error) {
	err = source.QueryRowContext(ctx, "SELECT @@GLOBAL.gtid_binlog_pos").Scan(&gtids)
	return gtids, err
}

func (r *mariaReplica) goTo(ctx context.Context, position string) error {
	there, _, err := r.reached(ctx, position)
	if err != nil || there {
		return err
	}
	if _, err := r.db.ExecContext(ctx, "START SLAVE ? UNTIL master_gtid_pos = ?", r.name, position); err != nil {
		return err
	}
	now, err := until(ctx, r.status, mariaThread)
	if err != nil {
		return err
	}
	there, at, err := r.reached(ctx, position)
	if err != nil || there {
		return err
	}
	return fmt.Errorf("its SQL thread stopped at %s: %s", at, now["Last_SQL_Error"])
}

// reached tells whether the replica is just where the position is, in each of its domains.
func (r *mariaReplica) reached(ctx context.Context, position string) (there bool, at string, err error) {
	if err := r.db.QueryRowContext(ctx, "SELECT @@GLOBAL.gtid_slave_pos").Scan(&at); err != nil {
		return false, "", err
	}
	applied := strings.Split(at, ",")
	for _, id := range strings.Split(position, ",") {
		if !slices.Contains(applied, id) {
			return false, at, nil
		}
	}
	return true, at, nil
}

func (r *mariaReplica) resume(ctx context.Context) error {
	if err := r.stop(ctx); err != nil {
		return err
	}
	_, err := r.db.ExecContext(ctx, "START SLAVE ?", r.name)
	return err
}
