package main

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"changeover/internal/sandbox"
)

// activityTable is a table as applications have them: a few numbers, a document, a text that is
// short as a rule and long once in a while, two secondary indexes.
const activityTable = `CREATE TABLE %s (
  id         BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  pupil_id   INT UNSIGNED NOT NULL,
  kind       ENUM('lesson','puzzle','project','quiz','share') NOT NULL,
  score      DECIMAL(7,3) NULL,
  progress   JSON NOT NULL,
  program    MEDIUMTEXT NOT NULL,
  started_at TIMESTAMP(3) NOT NULL,
  ended_at   DATETIME(6) NULL,
  KEY pupil (pupil_id, started_at),
  KEY kind_score (kind, score)
) DEFAULT CHARSET=utf8mb4`

// activityRows makes rows from+1 to from+count out of their numbers alone: the same on every
// machine. CRC32 stands in for chance. One program in 4,096 has tens of kilobytes.
const activityRows = `INSERT INTO %s
WITH RECURSIVE n (i) AS (SELECT %d UNION ALL SELECT i + 1 FROM n WHERE i < %d),
  r AS (SELECT i, CRC32(CONCAT('a', i)) a, CRC32(CONCAT('b', i)) b, CRC32(CONCAT('c', i)) c FROM n)
SELECT /*+ SET_VAR(cte_max_recursion_depth = 1000000) */
  i,
  a %% 40000,
  1 + b %% 5,
  IF(c %% 10 = 0, NULL, (c %% 9999999) / 1000),
  JSON_OBJECT('level', a %% 37, 'stars', b %% 4, 'path', JSON_ARRAY(a %% 9, b %% 9)),
  CONCAT('Fähnchen ', REPEAT('gehe 10er Schritt; ', IF(b %% 4096 = 0, 1500 + c %% 1500, c %% 2)), a),
  FROM_UNIXTIME(1700000000 + i * 11 + a %% 1000 / 1000),
  IF(b %% 7 = 0, NULL, FROM_UNIXTIME(1700000000 + i * 11 + c %% 3600 + a %% 1000000 / 1000000))
FROM r`

// fillBlock is how many rows one INSERT makes.
const fillBlock = 25_000

// activities returns the source that the copies read, filled by the first call: database bench
// with one table of a million rows, database bench8 with eight.
func (l *lab) activities(ctx context.Context) (*host, error) {
	if l.filled != nil {
		return l.filled, nil
	}
	src, err := l.serve(ctx, sandbox.Source)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	if err := src.unlogged(ctx, "CREATE DATABASE bench", "CREATE DATABASE bench8"); err != nil {
		return nil, err
	}
	if err := src.fill(ctx, "bench.activities", 0, l.rows()); err != nil {
		return nil, err
	}
	for i, to := 0, 0; i < len(shares); i++ {
		from := to
		to += l.rows() * shares[i] / 1000
		if err := src.fill(ctx, fmt.Sprintf("bench8.activities%d", i+1), from, to); err != nil {
			return nil, err
		}
	}
	if err := src.exec(ctx, "SET GLOBAL information_schema_stats_expiry = 0"); err != nil {
		return nil, err
	}
	l.say("source filled in %v", time.Since(began).Round(time.Second))
	l.filled = src
	return src, nil
}

// rows is how many rows the copies move.
func (l *lab) rows() int { return l.size(1_000_000) }

// shares are the eight tables' parts of all rows, in thousandths.
var shares = []int{600, 150, 100, 60, 40, 30, 15, 5}

// fill makes a table of activities with the rows from+1 to to. Nothing of it is in the binlog.
func (h *host) fill(ctx context.Context, table string, from, to int) error {
	if err := h.unlogged(ctx, fmt.Sprintf(activityTable, table)); err != nil {
		return err
	}
	err := h.relaxed(ctx, func() error {
		g, ctx := errgroup.WithContext(ctx)
		g.SetLimit(3)
		for ; from < to; from += fillBlock {
			statement := fmt.Sprintf(activityRows, table, from+1, min(from+fillBlock, to))
			g.Go(func() error { return h.unlogged(ctx, statement) })
		}
		return g.Wait()
	})
	if err != nil {
		return err
	}
	return h.unlogged(ctx, "ANALYZE TABLE "+table)
}

// unlogged runs the statements out of the binlog's sight.
func (h *host) unlogged(ctx context.Context, statements ...string) error {
	statements = append([]string{"SET SESSION sql_log_bin = 0"}, statements...)
	return h.exec(ctx, append(statements, "SET SESSION sql_log_bin = 1")...)
}

// bytes is the size of a database's tables on this server, data and indexes.
func (h *host) bytes(ctx context.Context, database string) (int64, error) {
	return h.number(ctx, "SELECT SUM(data_length + index_length) FROM information_schema.tables WHERE table_schema = ?", database)
}
