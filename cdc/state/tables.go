package state

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"slices"
	"time"
)

// TableState is how far a table's snapshot has come.
//
//	planned → copying → indexing → complete
//	   ↑─────────┴──────────┴──────────┘        the table starts over
type TableState string

// The states.
const (
	Planned  TableState = "planned"  // nothing is copied yet
	Copying  TableState = "copying"  // some chunks are done
	Indexing TableState = "indexing" // all rows are there, deferred indexes are being built
	Complete TableState = "complete" // rows and indexes; a table that the stream created is born so
)

// next lists where a state may go. Staying is allowed: writes are repeated after lost answers.
var next = map[TableState][]TableState{
	Planned:  {Planned, Copying, Indexing, Complete},
	Copying:  {Copying, Indexing, Complete, Planned},
	Indexing: {Indexing, Complete, Planned},
	Complete: {Complete, Planned},
}

// Table is the snapshot's record of one table of the target. It belongs to the InnoDB TABLE_ID: a
// RENAME moves it, and a table that is dropped and made again under the same name doesn't have it.
type Table struct {
	ID            uint64
	Schema, Name  string
	State         TableState
	RowsExpected  uint64 // the server's estimate when the copy was planned
	BytesExpected uint64
	Rows, Bytes   uint64 // copied, over all done chunks; only when read
	Started       time.Time
	Finished      time.Time // when it became complete; zero before
}

// Chunk is a range of a table that is copied: its rows are on the target, committed.
type Chunk struct {
	Table  uint64 // TABLE_ID
	Number uint64 // unique within the table, no order
	// Low and High are the bounds as row.AppendKey writes them, Low < key ≤ High; nil is open.
	Low, High   []byte
	Rows, Bytes uint64
}

// PutTable writes t's record, and its name if it has another by now. A record that is there keeps
// its state and times.
func (s *Store) PutTable(ctx context.Context, t Table) error {
	if t.State == "" {
		t.State = Planned
	}
	finished := "NULL"
	if t.State == Complete {
		finished = "UTC_TIMESTAMP(6)"
	}
	q := newStatement("INSERT INTO `_changeover`.`tables` (migration, table_id, schema_name, table_name, state," +
		" rows_expected, bytes_expected, finished) VALUES (").text(s.migration).sql(", ").uint(t.ID).
		sql(", ").text(t.Schema).sql(", ").text(t.Name).sql(", ").text(string(t.State)).
		sql(", ").uint(t.RowsExpected).sql(", ").uint(t.BytesExpected).sql(", " + finished +
		") ON DUPLICATE KEY UPDATE schema_name = ").text(t.Schema).sql(", table_name = ").text(t.Name)
	return s.write(ctx, "write table "+t.Schema+"."+t.Name, func(tx *sql.Tx) error {
		_, err := exec(ctx, tx, q)
		return err
	})
}

// SetTableState moves a table to a state; which moves there are is drawn at TableState. To Planned
// means that the table starts over: its chunks are forgotten.
func (s *Store) SetTableState(ctx context.Context, id uint64, to TableState) error {
	return s.write(ctx, fmt.Sprintf("set table %d to %s", id, to), func(tx *sql.Tx) error {
		var from TableState
		q := newStatement("SELECT state FROM `_changeover`.`tables` WHERE migration = ").text(s.migration).
			sql(" AND table_id = ").uint(id).sql(" FOR UPDATE")
		if err := tx.QueryRowContext(ctx, q.String()).Scan(&from); err != nil {
			return err
		}
		if !slices.Contains(next[from], to) {
			return fmt.Errorf("a table that is %s can't become %s", from, to)
		}
		return s.moveTable(ctx, tx, id, to)
	})
}

func (s *Store) moveTable(ctx context.Context, tx *sql.Tx, id uint64, to TableState) error {
	times := map[TableState]string{
		Planned:  "started = NULL, finished = NULL",
		Copying:  "started = COALESCE(started, UTC_TIMESTAMP(6)), finished = NULL",
		Indexing: "started = COALESCE(started, UTC_TIMESTAMP(6)), finished = NULL",
		Complete: "finished = COALESCE(finished, UTC_TIMESTAMP(6))",
	}[to]
	if to == Planned {
		if err := s.deleteOf(ctx, tx, "chunks", id); err != nil {
			return err
		}
	}
	q := newStatement("UPDATE `_changeover`.`tables` SET " + times + ", state = ").text(string(to)).
		sql(" WHERE migration = ").text(s.migration).sql(" AND table_id = ").uint(id)
	_, err := exec(ctx, tx, q)
	return err
}

// DeleteTable forgets a table, chunks included: it was dropped.
func (s *Store) DeleteTable(ctx context.Context, id uint64) error {
	return s.write(ctx, fmt.Sprintf("forget table %d", id), func(tx *sql.Tx) error {
		for _, table := range []string{"chunks", "definition", "tables"} {
			if err := s.deleteOf(ctx, tx, table, id); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *Store) deleteOf(ctx context.Context, tx *sql.Tx, table string, id uint64) error {
	_, err := exec(ctx, tx, newStatement("DELETE FROM `_changeover`.`"+table+"` WHERE migration = ").
		text(s.migration).sql(" AND table_id = ").uint(id))
	return err
}

// Tables reads all tables with what is copied of them, in the order of their names.
func (s *Store) Tables(ctx context.Context) ([]Table, error) {
	q := newStatement("SELECT t.table_id, t.schema_name, t.table_name, t.state, t.rows_expected, t.bytes_expected," +
		" COALESCE(SUM(c.rows_copied), 0), COALESCE(SUM(c.bytes_copied), 0), t.started, t.finished" +
		" FROM `_changeover`.`tables` t LEFT JOIN `_changeover`.`chunks` c" +
		" ON c.migration = t.migration AND c.table_id = t.table_id WHERE t.migration = ").text(s.migration).
		sql(" GROUP BY t.migration, t.table_id ORDER BY t.schema_name, t.table_name")
	return list(ctx, s, "read tables", q, func(rows *sql.Rows) (t Table, err error) {
		var started, finished *string
		err = rows.Scan(&t.ID, &t.Schema, &t.Name, &t.State, &t.RowsExpected, &t.BytesExpected,
			&t.Rows, &t.Bytes, &started, &finished)
		t.Started, t.Finished = parseTime(started), parseTime(finished)
		return t, err
	})
}

// Chunks reads the done chunks of one table, in no particular order.
func (s *Store) Chunks(ctx context.Context, table uint64) ([]Chunk, error) {
	q := newStatement("SELECT table_id, number, low, high, rows_copied, bytes_copied FROM `_changeover`.`chunks`" +
		" WHERE migration = ").text(s.migration).sql(" AND table_id = ").uint(table)
	return list(ctx, s, "read chunks", q, scanChunk)
}

func scanChunk(rows *sql.Rows) (c Chunk, err error) {
	err = rows.Scan(&c.Table, &c.Number, &c.Low, &c.High, &c.Rows, &c.Bytes)
	return c, err
}

// AppendChunkDone appends the INSERT that marks a chunk as done. It belongs into the transaction
// that writes the chunk's rows.
func AppendChunkDone(dst []byte, migration string, c Chunk) []byte {
	s := statement{dst}
	s.sql("INSERT INTO `_changeover`.`chunks` (migration, table_id, number, low, high, rows_copied, bytes_copied) VALUES (").
		text(migration).sql(", ").uint(c.Table).sql(", ").uint(c.Number).sql(", ").bytes(c.Low).sql(", ").bytes(c.High).
		sql(", ").uint(c.Rows).sql(", ").uint(c.Bytes).sql(")")
	return s.b
}

// ChunkDone tells whether a chunk is marked as done. After a COMMIT whose answer was lost, ask only
// when the worker's token has been changed.
func ChunkDone(ctx context.Context, db queryer, migration string, table, number uint64) (bool, error) {
	q := newStatement("SELECT COUNT(*) FROM `_changeover`.`chunks` WHERE migration = ").text(migration).
		sql(" AND table_id = ").uint(table).sql(" AND number = ").uint(number)
	var n int
	err := db.QueryRowContext(ctx, q.String()).Scan(&n)
	return n > 0, wrap("look for a chunk", err)
}

// MergeChunks makes one record of done chunks that touch each other, so that a table of a terabyte
// does not keep 65,000, and gives what is left in no particular order. A merged record has the
// number of its first chunk: a number that was in flight when MergeChunks was called keeps its
// record only if it is settled before; call it between chunks, or on tables at rest.
func (s *Store) MergeChunks(ctx context.Context, table uint64) (left []Chunk, err error) {
	err = s.write(ctx, fmt.Sprintf("merge the chunks of table %d", table), func(tx *sql.Tx) error {
		q := newStatement("SELECT table_id, number, low, high, rows_copied, bytes_copied FROM `_changeover`.`chunks`" +
			" WHERE migration = ").text(s.migration).sql(" AND table_id = ").uint(table).sql(" FOR UPDATE")
		rows, err := tx.QueryContext(ctx, q.String())
		if err != nil {
			return err
		}
		all, err := scan(rows, scanChunk)
		if err != nil {
			return err
		}
		merged, gone := mergeChunks(all)
		left = merged
		return s.replaceChunks(ctx, tx, table, merged, gone)
	})
	return left, err
}

// mergeChunks joins chunks where one's high bound is the next one's low. A chunk that is open on
// both sides is the whole table.
func mergeChunks(all []Chunk) (merged []Chunk, gone []uint64) {
	byLow := map[string]int{}
	for i, c := range all {
		if c.Low != nil {
			byLow[string(c.Low)] = i
		}
	}
	follows := make([]bool, len(all))
	for _, c := range all {
		if i, ok := byLow[string(c.High)]; ok && c.High != nil {
			follows[i] = true
		}
	}
	for i, c := range all {
		if follows[i] {
			continue
		}
		for c.High != nil {
			j, ok := byLow[string(c.High)]
			if !ok || bytes.Equal(all[j].High, all[j].Low) && all[j].High != nil {
				break
			}
			gone = append(gone, all[j].Number)
			c.High, c.Rows, c.Bytes = all[j].High, c.Rows+all[j].Rows, c.Bytes+all[j].Bytes
		}
		merged = append(merged, c)
	}
	return merged, gone
}

func (s *Store) replaceChunks(ctx context.Context, tx *sql.Tx, table uint64, merged []Chunk, gone []uint64) error {
	if len(gone) == 0 {
		return nil
	}
	for part := range slices.Chunk(gone, 1000) {
		q := newStatement("DELETE FROM `_changeover`.`chunks` WHERE migration = ").text(s.migration).
			sql(" AND table_id = ").uint(table).sql(" AND number IN (").uint(part[0])
		for _, n := range part[1:] {
			q.sql(",").uint(n)
		}
		if _, err := exec(ctx, tx, q.sql(")")); err != nil {
			return err
		}
	}
	for _, c := range merged {
		q := newStatement("UPDATE `_changeover`.`chunks` SET high = ").bytes(c.High).
			sql(", rows_copied = ").uint(c.Rows).sql(", bytes_copied = ").uint(c.Bytes).
			sql(" WHERE migration = ").text(s.migration).sql(" AND table_id = ").uint(table).
			sql(" AND number = ").uint(c.Number)
		if _, err := exec(ctx, tx, q); err != nil {
			return err
		}
	}
	return nil
}
