package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// memoryLimit is what `changeover run` may have resident, whatever comes.
const memoryLimit = 400_000_000

// load is something big, before the run starts or while it streams.
type load struct {
	name   string
	before []string // for the copy
	during []string // for the stream; one session
}

func (l *lab) loads() []load {
	rows := l.size(2_000_000)
	insert := func(rows int) string {
		return fmt.Sprintf("INSERT INTO bench.big WITH RECURSIVE r (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM r WHERE i < %d) "+
			"SELECT /*+ SET_VAR(cte_max_recursion_depth = 10000000) */ i, CRC32(i), CONCAT(SHA2(i, 256), i) FROM r", rows)
	}
	huge := insert(rows)
	// 64 hexadecimal digits, 262,144 times: 16 MiB.
	fat := func(from, to int) string {
		return fmt.Sprintf("INSERT INTO bench.fat WITH RECURSIVE r (i) AS (SELECT %d UNION ALL SELECT i + 1 FROM r WHERE i < %d) "+
			"SELECT i, REPEAT(SHA2(i, 256), 262144) FROM r", from, to)
	}
	fatRows := l.size(40)
	single := make([]string, fatRows)
	for i := range single {
		single[i] = fat(i+1, i+1)
	}
	update := fmt.Sprintf("UPDATE bench.big SET n = n + 1 WHERE id <= %d", rows)
	most := l.size(10_000_000)
	tables := make([]string, 0, 2*l.size(5000))
	for i := range cap(tables) / 2 {
		tables = append(tables, fmt.Sprintf("CREATE TABLE bench.t%d (id INT PRIMARY KEY, v VARCHAR(50), n INT, KEY n (n))", i),
			fmt.Sprintf("INSERT INTO bench.t%d VALUES (1, 'a', 1), (2, 'b', 2), (3, 'c', 3)", i))
	}
	return []load{
		{fmt.Sprintf("a transaction of %s rows", thousands(int64(most))), nil, []string{insert(most)}},
		{fmt.Sprintf("copy of %s tables of three rows", thousands(int64(len(tables)/2))), tables, nil},
		{fmt.Sprintf("a transaction of %s rows", thousands(int64(rows))), nil, []string{huge}},
		{"the same, compressed in the binlog", nil, []string{"SET SESSION binlog_transaction_compression = ON", huge}},
		{"an UPDATE of as many rows", []string{huge}, []string{update}},
		{fmt.Sprintf("copy of %d rows of 16 MiB", fatRows), []string{fat(1, fatRows)}, nil},
		{fmt.Sprintf("stream of %d transactions of 16 MiB", fatRows), nil, single},
		{fmt.Sprintf("one transaction of %d rows of 16 MiB", fatRows), nil, []string{fat(1, fatRows)}},
	}
}

func runMemory(ctx context.Context, l *lab) (*section, error) {
	s := &section{
		title: "Memory",
		about: []string{"The most memory that `changeover run` had resident (VmHWM), from its start until the target had everything. " +
			"The servers' max_allowed_packet is 64 MiB; apply.memory is at its default."},
		head: []string{"what", "binlog", "time to copy and start", "from the statement to applied", "resident at most"},
	}
	if l.tool == "" {
		return s, nil
	}
	var most int64
	for _, load := range l.loads() {
		row, rss, err := l.measureMemory(ctx, load)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", load.name, err)
		}
		l.say("%s: %s", load.name, megabytes(rss))
		s.row(append([]string{load.name}, row...)...)
		most = max(most, rss)
	}
	s.goal("resident, in any of these", "≤ "+megabytes(memoryLimit), megabytes(most), most <= memoryLimit)
	return s, nil
}

func (l *lab) measureMemory(ctx context.Context, load load) (row []string, rss int64, err error) {
	src, dst, m, err := l.pair(ctx)
	if err != nil {
		return nil, 0, err
	}
	defer func() { err = errors.Join(err, src.remove(), dst.remove()) }()
	tables := []string{
		"CREATE TABLE bench.big (id INT PRIMARY KEY, n BIGINT NOT NULL, pad VARCHAR(100) NOT NULL) DEFAULT CHARSET=latin1",
		"CREATE TABLE bench.fat (id INT PRIMARY KEY, body LONGTEXT NOT NULL) DEFAULT CHARSET=latin1",
		"CREATE TABLE bench.ending (id INT PRIMARY KEY)",
	}
	if err := src.exec(ctx, append(tables, load.before...)...); err != nil {
		return nil, 0, err
	}
	began := time.Now()
	tool, err := m.stream(ctx)
	if err != nil {
		return nil, 0, err
	}
	copied := time.Since(began)
	before, err := src.binlogBytes(ctx)
	if err != nil {
		return nil, 0, errors.Join(err, stopped(tool))
	}
	began = time.Now()
	if err := src.exec(ctx, append(load.during, "INSERT INTO bench.ending VALUES (1)")...); err != nil {
		return nil, 0, errors.Join(err, stopped(tool))
	}
	after, err := src.binlogBytes(ctx)
	if err == nil {
		err = m.level(ctx, dst, tool)
	}
	applied := time.Since(began)
	u, stopErr := tool.stop()
	if err := errors.Join(err, stopErr); err != nil {
		return nil, 0, err
	}
	if err := equal(ctx, src, dst, "bench"); err != nil {
		return nil, 0, err
	}
	return []string{megabytes(after - before), seconds(copied), seconds(applied), megabytes(u.rss)}, u.rss, nil
}

// level waits until the last transaction's row is on the target. Workers overtake each other, but
// not a transaction as large as these: those are applied alone. The compare that follows is what
// proves it.
func (m *migration) level(ctx context.Context, dst *host, tool *child) error {
	return pollEvery(ctx, 50*time.Millisecond, 10*time.Minute, func() (bool, error) {
		if ended, err := tool.ended(); ended {
			return false, fmt.Errorf("changeover run ended: %w\n%s", err, tool.out)
		}
		n, err := dst.number(ctx, "SELECT COUNT(*) FROM bench.ending")
		return n == 1, err
	})
}

// binlogBytes is the size of the server's binlog.
func (h *host) binlogBytes(ctx context.Context) (int64, error) {
	rows, err := h.db.QueryContext(ctx, "SHOW BINARY LOGS")
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	var sum int64
	for rows.Next() {
		var name, encrypted string
		var size int64
		if err := rows.Scan(&name, &size, &encrypted); err != nil {
			return 0, err
		}
		sum += size
	}
	return sum, rows.Err()
}
