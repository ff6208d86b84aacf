package verify

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"changeover/internal/sandbox"
	"changeover/internal/sandbox/sandboxtest"
	"changeover/internal/server"
)

// activityTable and activityRows are those of internal/bench.
const activityTable = `CREATE TABLE activities (
  id         BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  pupil_id   INT UNSIGNED NOT NULL,
  kind       ENUM('lesson','puzzle','project','quiz','share') NOT NULL,
  score      DECIMAL(7,3) NULL,
  progress   %s NOT NULL,
  program    MEDIUMTEXT NOT NULL,
  started_at TIMESTAMP(3) NOT NULL,
  ended_at   DATETIME(6) NULL,
  KEY pupil (pupil_id, started_at),
  KEY kind_score (kind, score)
) DEFAULT CHARSET=utf8mb4`

const activityRows = `INSERT INTO activities
WITH RECURSIVE n (i) AS (SELECT %d UNION ALL SELECT i + 1 FROM n WHERE i < %d),
  r AS (SELECT i, CRC32(CONCAT('a', i)) a, CRC32(CONCAT('b', i)) b, CRC32(CONCAT('c', i)) c FROM n)
SELECT
  i,
  a %% 40000,
  1 + b %% 5,
  IF(c %% 10 = 0, NULL, (c %% 9999999) / 1000),
  JSON_OBJECT('level', a %% 37, 'stars', b %% 4, 'path', JSON_ARRAY(a %% 9, b %% 9)),
  CONCAT('Fähnchen ', REPEAT('gehe 10er Schritt; ', IF(b %% 4096 = 0, 1500 + c %% 1500, c %% 2)), a),
  FROM_UNIXTIME(1700000000 + i * 11 + a %% 1000 / 1000),
  IF(b %% 7 = 0, NULL, FROM_UNIXTIME(1700000000 + i * 11 + c %% 3600 + a %% 1000000 / 1000000))
FROM r`

// How much longer the digest of a million rows takes than CHECKSUM TABLE, which reads the same rows and
// computes a CRC32, and than the query that most tools use, each on two servers at once and in turns. ×range
// is what a condition on the key costs beside that. Of a MariaDB and a MySQL the slower counts.
func BenchmarkDigestOfAMillionRows(b *testing.B) {
	for name, source := range flavors {
		b.Run(name, func(b *testing.B) {
			s := benchServers(b, source(b, sandboxtest.Options("--innodb-buffer-pool-size=512M")))
			c, err := newComparer(b.Context(), s[0].db, s[1].db)
			if err != nil {
				b.Fatal(err)
			}
			p, err := c.pair(b.Context(), Name{s[0].database, "activities"})
			if err != nil {
				b.Fatal(err)
			}
			ways := [][]string{
				{p.source.digestQuery(""), p.target.digestQuery("")},
				{p.source.digestQuery("id > 0"), p.target.digestQuery("id > 0")},
				{"CHECKSUM TABLE activities", "CHECKSUM TABLE activities"},
				{crcQuery, crcQuery},
			}
			times := make([][]time.Duration, len(ways))
			for b.Loop() {
				for i, way := range ways {
					times[i] = append(times[i], s.ask(b, way))
				}
			}
			for i := range times {
				slices.Sort(times[i])
			}
			median := func(i int) float64 { return times[i][len(times[i])/2].Seconds() }
			b.ReportMetric(median(0), "s/digest")
			b.ReportMetric(median(0)/median(2), "×CHECKSUM")
			b.ReportMetric(median(0)/median(3), "×BIT_XOR(CRC32)")
			b.ReportMetric(median(1)/median(0), "×range")
		})
	}
}

const crcQuery = `SELECT COUNT(*), BIT_XOR(CRC32(CONCAT_WS('#', id, pupil_id, kind, score, progress, program, started_at, ended_at,
	CONCAT(ISNULL(score), ISNULL(ended_at))))) FROM activities`

// benchServer is one of two servers with the same table.
type benchServer struct {
	database string
	db       *sql.DB
}

type benchPair [2]benchServer

func benchServers(b *testing.B, source *sandboxtest.Server) (s benchPair) {
	target := sandboxtest.Target(b, sandboxtest.Options("--innodb-buffer-pool-size=512M"))
	database := (&sandboxtest.Pair{Source: source, Target: target}).Database(b)
	var group errgroup.Group
	for i, on := range []*sandboxtest.Server{source, target} {
		s[i] = benchServer{database, openBench(b, on, database)}
		json := "JSON"
		if source.Flavor == sandbox.MariaDB { // as it is translated
			json = "LONGTEXT COLLATE utf8mb4_bin"
		}
		group.Go(func() error { return fillBench(b.Context(), s[i].db, on.Flavor, json) })
	}
	if err := group.Wait(); err != nil {
		b.Fatal(err)
	}
	return s
}

func openBench(b *testing.B, on *sandboxtest.Server, database string) *sql.DB {
	password, err := on.Password(sandbox.Root)
	if err != nil {
		b.Fatal(err)
	}
	session := Session(1)
	session.Vars["time_zone"] = "'+00:00'"
	db, err := server.Open(server.Endpoint{Host: on.Host, Port: on.Port, User: string(sandbox.Root), Password: password}, session)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = db.Close() })
	if _, err := db.Exec("USE " + database); err != nil {
		b.Fatal(err)
	}
	return db
}

func fillBench(ctx context.Context, db *sql.DB, flavor sandbox.Flavor, json string) error {
	recursion := "SET SESSION cte_max_recursion_depth = 1000000"
	if flavor == sandbox.MariaDB {
		recursion = "SET SESSION max_recursive_iterations = 1000000"
	}
	statements := []string{"SET NAMES utf8mb4", recursion, fmt.Sprintf(activityTable, json)}
	for from := 1; from <= 1_000_000; from += 25_000 {
		statements = append(statements, fmt.Sprintf(activityRows, from, from+24_999))
	}
	for _, q := range append(statements, "ANALYZE TABLE activities", "SET NAMES binary") {
		if _, err := db.ExecContext(ctx, q); err != nil {
			return fmt.Errorf("%.60s: %w", q, err)
		}
	}
	return nil
}

// ask asks both servers at once.
func (s benchPair) ask(b *testing.B, queries []string) time.Duration {
	b.Helper()
	began := time.Now()
	var group errgroup.Group
	for i := range s {
		group.Go(func() error {
			rows, err := s[i].db.Query(queries[i])
			if err != nil {
				return err
			}
			defer rows.Close()
			for rows.Next() {
			}
			return rows.Err()
		})
	}
	if err := group.Wait(); err != nil {
		b.Fatal(err)
	}
	return time.Since(began)
}
