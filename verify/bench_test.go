package verify

import (
	"database/sql"
	"testing"
	"time"

	"changeover/internal/sandbox"
	"changeover/internal/sandbox/sandboxtest"
)

// How much longer a digest takes than CHECKSUM TABLE, which reads the same rows and computes a
// CRC32: side by side on a million rows, of which each pair of runs gives a ratio.
func BenchmarkDigestOfAMillionRows(b *testing.B) {
	for name, source := range map[string]func(testing.TB, ...sandboxtest.Option) *sandboxtest.Server{
		"MySQL": sandboxtest.MySQLSource, "MariaDB": sandboxtest.MariaDBSource,
	} {
		b.Run(name, func(b *testing.B) {
			s := source(b, sandboxtest.Options("--innodb-buffer-pool-size=512M"))
			database := s.Database(b)
			s.Exec(b, "USE "+database, `CREATE TABLE t (id bigint PRIMARY KEY AUTO_INCREMENT, a int, b varchar(99), e enum('x','y','z'), t mediumtext, d decimal(10,2), dt datetime, f double) CHARSET utf8mb4`,
				`INSERT INTO t (a, b, e, t, d, dt, f) SELECT n, concat('name ', n, ' ', sha2(n, 224)), 1+n%3, repeat(sha2(n, 224), 2), n/100, '2020-01-01' + INTERVAL n SECOND, n/7
				FROM (SELECT @n:=@n+1 AS n FROM (SELECT @n:=0) z, information_schema.COLUMNS LIMIT 1000) q`)
			for range 10 {
				s.Exec(b, "INSERT INTO "+database+".t (a, b, e, t, d, dt, f) SELECT a, b, e, t, d, dt, f*1.01 FROM "+database+".t")
			}
			db := s.DB(b, sandbox.Root)
			c, err := newComparer(b.Context(), db, db)
			if err != nil {
				b.Fatal(err)
			}
			p, err := c.pair(b.Context(), Name{database, "t"})
			if err != nil {
				b.Fatal(err)
			}
			var digest, checksum time.Duration
			for b.Loop() {
				began := time.Now()
				if _, err := p.source.digest(b.Context(), db, ""); err != nil {
					b.Fatal(err)
				}
				digest += time.Since(began)
				began = time.Now()
				var table string
				var sum sql.NullInt64
				if err := db.QueryRow("CHECKSUM TABLE "+database+".t").Scan(&table, &sum); err != nil {
					b.Fatal(err)
				}
				checksum += time.Since(began)
			}
			b.ReportMetric(digest.Seconds()/float64(b.N), "s/digest")
			b.ReportMetric(digest.Seconds()/checksum.Seconds(), "×CHECKSUM")
		})
	}
}
