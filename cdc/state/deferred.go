package state

import (
	"context"
	"database/sql"
)

// PutDefinition records a table's definition, in the target's dialect, as of the stream's position
// when the table was made: the indexes that it has more than the table on the target are built
// after the rows. The source's own definition, read later, may be ahead of the stream.
func (s *Store) PutDefinition(ctx context.Context, table uint64, create string) error {
	q := newStatement("REPLACE INTO `_changeover`.`definition` (migration, table_id, ddl) VALUES (").text(s.migration).
		sql(", ").uint(table).sql(", ").bytes([]byte(create)).sql(")")
	return s.write(ctx, "write a table's definition", func(tx *sql.Tx) error {
		_, err := exec(ctx, tx, q)
		return err
	})
}

// Definition reads what PutDefinition wrote; ok is false once it was deleted.
func (s *Store) Definition(ctx context.Context, table uint64) (create string, ok bool, err error) {
	q := newStatement("SELECT ddl FROM `_changeover`.`definition` WHERE migration = ").text(s.migration).
		sql(" AND table_id = ").uint(table)
	err = s.read(ctx, "read a table's definition", func() error {
		return s.db.QueryRowContext(ctx, q.String()).Scan(&create)
	})
	if isNoRows(err) {
		return "", false, nil
	}
	return create, err == nil, err
}

// DeleteDefinition forgets a definition: nothing of it is missing any more.
func (s *Store) DeleteDefinition(ctx context.Context, table uint64) error {
	return s.write(ctx, "delete a table's definition", func(tx *sql.Tx) error {
		return s.deleteOf(ctx, tx, "definition", table)
	})
}

// MoveTable gives what is known of a table to the TABLE_ID that it has now: TRUNCATE and ALTER make
// a new one. t has the new id and the name.
func (s *Store) MoveTable(ctx context.Context, from uint64, t Table) error {
	return s.write(ctx, "move table "+t.Schema+"."+t.Name, func(tx *sql.Tx) error {
		for _, table := range []string{"chunks", "definition", "tables"} {
			q := newStatement("UPDATE `_changeover`.`" + table + "` SET table_id = ").uint(t.ID)
			if table == "tables" {
				q.sql(", schema_name = ").text(t.Schema).sql(", table_name = ").text(t.Name)
			}
			q.sql(" WHERE migration = ").text(s.migration).sql(" AND table_id = ").uint(from)
			if _, err := exec(ctx, tx, q); err != nil {
				return err
			}
		}
		return nil
	})
}
