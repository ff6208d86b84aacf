package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"slices"

	"github.com/google/uuid"
)

// DataTable is a table of an app.
type DataTable struct {
	Name    string          `json:"name"`
	Columns json.RawMessage `json:"columns"`
	Records int             `json:"records"`
}

// DataRecord is a row of an app's table.
type DataRecord struct {
	ID      uint64          `json:"id"`
	Version uint32          `json:"version"`
	Value   json.RawMessage `json:"value"`
}

// The bounds of an app's data.
const (
	recordLimit = 4 << 10
	recordsRead = 1000
	tableLimit  = 50
)

// DataTables lists the tables of an app that the user may see.
func (s *Store) DataTables(ctx context.Context, user User, id uuid.UUID) ([]DataTable, error) {
	p, err := s.visibleProject(ctx, user, id)
	if err != nil {
		return nil, err
	}
	all := []DataTable{}
	err = s.read(ctx, func(db *sql.DB) error {
		all = all[:0]
		return each(ctx, db, func(scan func(...any) error) error {
			var d DataTable
			err := scan(&d.Name, &d.Columns, &d.Records)
			all = append(all, d)
			return err
		}, `SELECT t.name, t.columns, (SELECT COUNT(*) FROM data_records r WHERE r.project_id = t.project_id AND r.table_name = t.name)
FROM data_tables t WHERE t.project_id = ? ORDER BY t.name`, p.id)
	})
	return all, err
}

// DataRecords reads the first thousand rows of a table; a table that isn't there has none.
func (s *Store) DataRecords(ctx context.Context, user User, id uuid.UUID, table string) (columns json.RawMessage, records []DataRecord, err error) {
	p, err := s.visibleProject(ctx, user, id)
	if err != nil {
		return nil, nil, err
	}
	columns, records = json.RawMessage("[]"), []DataRecord{}
	err = s.read(ctx, func(db *sql.DB) error {
		records = records[:0]
		err := db.QueryRowContext(ctx, "SELECT columns FROM data_tables WHERE project_id = ? AND name = ?", p.id, table).Scan(&columns)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		return each(ctx, db, func(scan func(...any) error) error {
			var r DataRecord
			err := scan(&r.ID, &r.Version, &r.Value)
			records = append(records, r)
			return err
		}, "SELECT id, version, value FROM data_records WHERE project_id = ? AND table_name = ? ORDER BY id LIMIT ?", p.id, table, recordsRead)
	})
	return columns, records, err
}

func columnsOf(value json.RawMessage) ([]string, error) {
	var object map[string]json.RawMessage
	if err := json.Unmarshal(value, &object); err != nil {
		return nil, err
	}
	names := make([]string, 0, len(object))
	for name := range object {
		names = append(names, name)
	}
	slices.Sort(names)
	return names, nil
}

// NewRecord adds a row to a table of an app, and the table when it is new.
func (s *Store) NewRecord(ctx context.Context, op Op, user User, id uuid.UUID, table string, value json.RawMessage) (DataRecord, Answer, error) {
	r := DataRecord{Version: 1, Value: value}
	var a Answer
	if err := checkRecord(&table, value); err != nil {
		return r, a, err
	}
	p, err := s.visibleProject(ctx, user, id)
	if err != nil {
		return r, a, err
	}
	a.Epoch, err = s.write(ctx, func(t *tx) error {
		a.Replayed = false
		var digest []byte
		switch err := t.row("SELECT id, op_digest FROM data_records WHERE op_id = ?", op.id()).Scan(&r.ID, &digest); {
		case err == nil:
			a.Replayed = true
			return op.replayed(digest)
		case !errors.Is(err, sql.ErrNoRows):
			return err
		}
		if r.ID, err = t.nextRecord(p.id, table, value); err != nil {
			return err
		}
		_, err := t.exec("INSERT INTO data_records (project_id, table_name, id, op_id, op_digest, last_op, last_digest, version, value) VALUES (?, ?, ?, ?, ?, ?, ?, 1, ?)",
			p.id, table, r.ID, op.id(), op.digest(), op.id(), op.digest(), string(value))
		if isDuplicateOp(err) {
			return errRaced // last_id goes back with the transaction
		}
		return err
	})
	return r, a, err
}

func checkRecord(table *string, value json.RawMessage) (err error) {
	if *table, err = text("table", *table, 1, 60); err != nil {
		return err
	}
	return object("value", value, recordLimit)
}

// nextRecord gives the table's next number, under the lock of the table's row, and adds the columns
// that the value brings.
func (t *tx) nextRecord(project uint32, table string, value json.RawMessage) (uint64, error) {
	names, err := columnsOf(value)
	if err != nil {
		return 0, err
	}
	var raw []byte
	var last uint64
	err = t.row("SELECT columns, last_id FROM data_tables WHERE project_id = ? AND name = ? FOR UPDATE", project, table).Scan(&raw, &last)
	if errors.Is(err, sql.ErrNoRows) {
		return t.newTable(project, table, names)
	}
	if err != nil {
		return 0, err
	}
	var columns []string
	if err := json.Unmarshal(raw, &columns); err != nil {
		return 0, err
	}
	had := len(columns)
	for _, n := range names {
		if !slices.Contains(columns, n) && len(columns) < 100 {
			columns = append(columns, n)
		}
	}
	if len(columns) == had {
		_, err = t.exec("UPDATE data_tables SET last_id = ? WHERE project_id = ? AND name = ?", last+1, project, table)
		return last + 1, err
	}
	text, err := json.Marshal(columns)
	if err != nil {
		return 0, err
	}
	_, err = t.exec("UPDATE data_tables SET last_id = ?, columns = ? WHERE project_id = ? AND name = ?", last+1, string(text), project, table)
	return last + 1, err
}

func (t *tx) newTable(project uint32, table string, names []string) (uint64, error) {
	var tables int
	if err := t.row("SELECT COUNT(*) FROM data_tables WHERE project_id = ?", project).Scan(&tables); err != nil {
		return 0, err
	}
	if tables >= tableLimit {
		return 0, &Refusal{Code: NotAllowed, Field: "table", Message: "the app has as many tables as an app may have"}
	}
	columns, err := json.Marshal(names)
	if err != nil {
		return 0, err
	}
	_, err = t.exec("INSERT INTO data_tables (project_id, name, columns, last_id, created_at) VALUES (?, ?, ?, 1, ?)", project, table, string(columns), stamp(now()))
	if _, ok := duplicate(err); ok {
		return 0, errRetry("the table was made by another request")
	}
	return 1, err
}

// SaveRecord replaces a version of a row.
func (s *Store) SaveRecord(ctx context.Context, op Op, user User, id uuid.UUID, table string, record uint64, version uint32, value json.RawMessage) (uint32, Answer, error) {
	var a Answer
	if err := checkRecord(&table, value); err != nil {
		return 0, a, err
	}
	p, err := s.visibleProject(ctx, user, id)
	if err != nil {
		return 0, a, err
	}
	saved := version + 1
	a.Epoch, err = s.write(ctx, func(t *tx) error {
		a.Replayed = false
		n, err := t.change(`UPDATE data_records SET value = ?, version = version + 1, last_op = ?, last_digest = ?
WHERE project_id = ? AND table_name = ? AND id = ? AND version = ? AND last_op <> ?`,
			string(value), op.id(), op.digest(), p.id, table, record, version, op.id())
		if err != nil || n == 1 {
			return err
		}
		return t.savedBefore(op, &a, &saved, "SELECT version, last_op, last_digest FROM data_records WHERE project_id = ? AND table_name = ? AND id = ?", p.id, table, record)
	})
	return saved, a, err
}

// DeleteRecord removes a row; there may be none.
func (s *Store) DeleteRecord(ctx context.Context, user User, id uuid.UUID, table string, record uint64) (a Answer, err error) {
	p, err := s.visibleProject(ctx, user, id)
	if err != nil {
		return a, err
	}
	a.Epoch, err = s.write(ctx, func(t *tx) error {
		_, err := t.exec("DELETE FROM data_records WHERE project_id = ? AND table_name = ? AND id = ?", p.id, table, record)
		return err
	})
	return a, err
}

// Pair is a key-value of an app's.
type Pair struct {
	Key     string          `json:"key"`
	Value   json.RawMessage `json:"value"`
	Version uint32          `json:"version"`
}

// Pairs are an app's first thousand key-values.
func (s *Store) Pairs(ctx context.Context, user User, id uuid.UUID) ([]Pair, error) {
	p, err := s.visibleProject(ctx, user, id)
	if err != nil {
		return nil, err
	}
	all := []Pair{}
	err = s.read(ctx, func(db *sql.DB) error {
		all = all[:0]
		return each(ctx, db, func(scan func(...any) error) error {
			var v Pair
			err := scan(&v.Key, &v.Value, &v.Version)
			all = append(all, v)
			return err
		}, "SELECT `key`, value, version FROM data_kvs WHERE project_id = ? ORDER BY `key` LIMIT ?", p.id, recordsRead)
	})
	return all, err
}

// Pair reads one.
func (s *Store) Pair(ctx context.Context, user User, id uuid.UUID, key string) (Pair, error) {
	v := Pair{Key: key}
	p, err := s.visibleProject(ctx, user, id)
	if err != nil {
		return v, err
	}
	err = s.read(ctx, func(db *sql.DB) error {
		return db.QueryRowContext(ctx, "SELECT value, version FROM data_kvs WHERE project_id = ? AND `key` = ?", p.id, key).Scan(&v.Value, &v.Version)
	})
	if errors.Is(err, sql.ErrNoRows) {
		return v, refuse(NotFound, "the app has no such key")
	}
	return v, err
}

// SetPair sets a key: the last one to come wins.
func (s *Store) SetPair(ctx context.Context, op Op, user User, id uuid.UUID, key string, value json.RawMessage) (version uint32, a Answer, err error) {
	if err := verbatim("key", key, 480); err != nil {
		return 0, a, err
	}
	if key, err = text("key", key, 1, 120); err != nil {
		return 0, a, err
	}
	if len(value) == 0 || len(value) > recordLimit || !json.Valid(value) {
		return 0, a, badValue("value", "is not JSON of at most %d bytes", recordLimit)
	}
	p, err := s.visibleProject(ctx, user, id)
	if err != nil {
		return 0, a, err
	}
	a.Epoch, err = s.write(ctx, func(t *tx) error {
		a.Replayed = false
		var last, digest []byte
		err := t.row("SELECT version, last_op, last_digest FROM data_kvs WHERE project_id = ? AND `key` = ? FOR UPDATE", p.id, key).Scan(&version, &last, &digest)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			version = 1
			_, err = t.exec("INSERT INTO data_kvs (project_id, `key`, value, version, last_op, last_digest, updated_at) VALUES (?, ?, ?, 1, ?, ?, ?)",
				p.id, key, string(value), op.id(), op.digest(), stamp(now()))
			if _, ok := duplicate(err); ok {
				return errRetry("the key was set by another request")
			}
			return err
		case err != nil:
			return err
		case string(last) == string(op.ID[:]):
			a.Replayed = true
			return op.replayed(digest)
		}
		version++
		_, err = t.exec("UPDATE data_kvs SET value = ?, version = ?, last_op = ?, last_digest = ?, updated_at = ? WHERE project_id = ? AND `key` = ?",
			string(value), version, op.id(), op.digest(), stamp(now()), p.id, key)
		return err
	})
	return version, a, err
}

// DeletePair removes a key; there may be none.
func (s *Store) DeletePair(ctx context.Context, user User, id uuid.UUID, key string) (a Answer, err error) {
	p, err := s.visibleProject(ctx, user, id)
	if err != nil {
		return a, err
	}
	a.Epoch, err = s.write(ctx, func(t *tx) error {
		_, err := t.exec("DELETE FROM data_kvs WHERE project_id = ? AND `key` = ?", p.id, key)
		return err
	})
	return a, err
}
