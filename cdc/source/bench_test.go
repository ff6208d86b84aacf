package source

import (
	"testing"

	"changeover/internal/sandbox"
	"changeover/internal/sandbox/sandboxtest"
)

// BenchmarkReader reads a binlog of transactions like sysbench's oltp_write_only: an update by
// index, one without, a delete and an insert, each with its own table map.
func BenchmarkReader(b *testing.B) {
	source := sandboxtest.MySQLSource(b)
	db := source.Database(b)
	source.Exec(b, "CREATE TABLE "+db+".t (id INT AUTO_INCREMENT PRIMARY KEY, k INT, c CHAR(120), pad CHAR(60))",
		"INSERT INTO "+db+".t (k,c,pad) WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i+1 FROM n WHERE i<500) SELECT i, REPEAT('c',119), REPEAT('p',59) FROM n")
	h := &harness{t: b, source: source, db: source.DB(b, sandbox.Root), flavor: flavorOf(source)}
	start, err := Current(b.Context(), h.db, h.flavor)
	if err != nil {
		b.Fatal(err)
	}
	const txs = 5000
	source.Exec(b, "CREATE PROCEDURE "+db+".work() BEGIN DECLARE i INT DEFAULT 0; WHILE i < 5000 DO START TRANSACTION; "+
		"UPDATE "+db+".t SET k=k+1 WHERE id=1+i%500; UPDATE "+db+".t SET c=REPEAT(CHAR(97+i%26),119) WHERE id=1+(i*7)%500; "+
		"DELETE FROM "+db+".t WHERE id=1+(i*3)%500; INSERT INTO "+db+".t VALUES (1+(i*3)%500,i,REPEAT('d',119),REPEAT('q',59)); "+
		"COMMIT; SET i=i+1; END WHILE; END", "CALL "+db+".work()")
	cpu := cpuTime()
	changes := 0
	for b.Loop() {
		h.run(ReaderConfig{Endpoint: endpoint(b, source, sandbox.Changeover), Flavor: h.flavor, Start: start})
		for range txs + 1 {
			for _, r := range h.next().Rows {
				changes += len(r.Images)
				if r.Kind == Update {
					changes -= len(r.Images) / 2
				}
			}
		}
		h.stop()
	}
	b.ReportMetric(float64(changes)/b.Elapsed().Seconds(), "changes/s")
	b.ReportMetric(float64(changes)/(cpuTime()-cpu).Seconds(), "changes/cpu-s")
}
