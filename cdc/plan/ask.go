package plan

import (
	"context"
	"database/sql"
	"strconv"
	"strings"
	"time"

	"changeover/internal/server"
)

func newRecord(names []string, values []sql.NullString) record {
	r := make(record, len(names))
	for i, name := range names {
		if values[i].Valid {
			r[strings.ToLower(name)] = values[i].String
		}
	}
	return r
}

// first is the value of the first column that the row has: names changed with the versions.
func (r record) first(names ...string) string {
	for _, n := range names {
		if v, ok := r[n]; ok {
			return v
		}
	}
	return ""
}

func (r record) int(name string) int64 {
	n, _ := strconv.ParseInt(r[name], 10, 64)
	return n
}

func (s *Server) mysqlAtLeast(major, minor, patch int) bool {
	return s.Version.Flavor == server.MySQL && s.Version.AtLeast(major, minor, patch)
}

func (s *Server) mariadbAtLeast(major, minor, patch int) bool {
	return s.Version.Flavor == server.MariaDB && s.Version.AtLeast(major, minor, patch)
}

func (s *Server) askBinlog(ctx context.Context, q *sql.Conn) error {
	if !s.Vars.On("log_bin") {
		return nil
	}
	query := "SHOW MASTER STATUS"
	if s.mysqlAtLeast(8, 2, 0) {
		query = "SHOW BINARY LOG STATUS"
	}
	rows, err := records(ctx, q, query)
	if err != nil || len(rows) == 0 {
		return err
	}
	r := rows[0]
	s.Binlog = &BinlogStatus{
		File: r["file"], Do: r["binlog_do_db"], Ignore: r["binlog_ignore_db"], ExecutedGTID: r["executed_gtid_set"],
	}
	return nil
}

func (s *Server) askChannels(ctx context.Context, q *sql.Conn) error {
	query := "SHOW SLAVE STATUS"
	switch {
	case s.Version.Flavor == server.MariaDB:
		query = "SHOW ALL SLAVES STATUS"
	case s.mysqlAtLeast(8, 0, 22):
		query = "SHOW REPLICA STATUS"
	}
	rows, err := records(ctx, q, query)
	if errNumber(err) == 1227 {
		return nil // the rules on privileges say so
	}
	for _, r := range rows {
		io, apply := r.first("replica_io_running", "slave_io_running"), r.first("replica_sql_running", "slave_sql_running")
		s.Channels = append(s.Channels, Channel{
			Name:    r.first("channel_name", "connection_name"),
			From:    r.first("source_host", "master_host"),
			Running: io != "No" || apply != "No",
		})
	}
	return err
}

func (s *Server) askPrepared(ctx context.Context, q *sql.Conn) error {
	rows, err := records(ctx, q, "XA RECOVER")
	if errNumber(err) == 1401 {
		return nil // no XA_RECOVER_ADMIN: the rules on privileges say so
	}
	for _, r := range rows {
		s.Prepared = append(s.Prepared, r["data"])
	}
	return err
}

func (s *Server) askTransactions(ctx context.Context, q *sql.Conn) error {
	rows, err := records(ctx, q, `
		SELECT t.trx_mysql_thread_id AS thread, TIMESTAMPDIFF(SECOND, t.trx_started, NOW()) AS seconds,
			LEFT(COALESCE(t.trx_query, ''), 80) AS query
		FROM information_schema.INNODB_TRX t
		WHERE t.trx_started < NOW() - INTERVAL 60 SECOND AND t.trx_mysql_thread_id > 0
		ORDER BY t.trx_started
		LIMIT 20`)
	if errNumber(err) == 1227 {
		return nil // no PROCESS: the rules on privileges say so
	}
	if err != nil || len(rows) == 0 {
		return err
	}
	sessions, err := server.Processes(ctx, q)
	if err != nil {
		return err
	}
	users := map[int64]string{}
	for _, p := range sessions {
		users[int64(p.ID)] = p.User
	}
	for _, r := range rows {
		thread := r.int("thread")
		s.Long = append(s.Long, Transaction{
			Thread: thread, Open: time.Duration(r.int("seconds")) * time.Second, User: users[thread], Query: r["query"],
		})
	}
	return nil
}

// askRDS asks for a setting that is no variable. Where the procedure isn't there, or isn't ours to
// call, the server isn't RDS and the variables say it all.
func (s *Server) askRDS(ctx context.Context, q *sql.Conn) error {
	rows, err := records(ctx, q, "CALL mysql.rds_show_configuration")
	switch errNumber(err) {
	case 1305, 1370, 1044, 1142, 1049, 1227:
		return nil
	}
	for _, r := range rows {
		if r["name"] == "binlog retention hours" {
			hours := r.int("value") // NULL: purged as soon as RDS itself no longer needs it
			s.RDSHours = &hours
		}
	}
	return err
}
