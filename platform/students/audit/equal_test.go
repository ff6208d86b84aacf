package audit

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"changeover/internal/sandbox/sandboxtest"
	"changeover/internal/server"
	"changeover/platform/platformtest"
	"changeover/platform/students/ledger"
)

// carry makes old's tables the same as from's, as a stream that has come to its end.
func carry(t *testing.T, from, old *platformtest.Platform) {
	t.Helper()
	conn, err := old.DB.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	do := func(query string, args ...any) {
		t.Helper()
		if _, err := conn.ExecContext(t.Context(), query, args...); err != nil {
			t.Fatalf("%s: %v", query, err)
		}
	}
	do("SET SESSION foreign_key_checks = 0, sql_mode = 'NO_AUTO_VALUE_ON_ZERO'")
	tables, err := tablesOf(t.Context(), from.DB)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range slices.Sorted(maps.Keys(tables)) {
		c := tables[name]
		do("DELETE FROM " + server.Name(name))
		var quoted []string
		for _, column := range c.columns {
			quoted = append(quoted, server.Name(column))
		}
		values := make([]sql.RawBytes, len(c.columns))
		into := make([]any, len(values))
		for i := range values {
			into[i] = &values[i]
		}
		if err := each(t.Context(), from.DB, func(scan func(...any) error) error {
			if err := scan(into...); err != nil {
				return err
			}
			args := make([]any, len(values))
			for i, v := range values {
				if v != nil {
					args[i] = string(v)
					if c.kinds[i] == "bit" || strings.HasSuffix(c.kinds[i], "binary") || strings.HasSuffix(c.kinds[i], "blob") {
						args[i] = slices.Clone([]byte(v))
					}
				}
			}
			do("INSERT INTO "+server.Name(name)+" ("+strings.Join(quoted, ", ")+") VALUES"+marks(len(args)), args...)
			return nil
		}, "SELECT "+strings.Join(quoted, ", ")+" FROM "+server.Name(name)); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
}

// TestBothServersAreEqual: the writer is a MySQL, the server that had the role before a MariaDB.
func TestBothServersAreEqual(t *testing.T) {
	s := newSchool(t, sandboxtest.MySQLSource(t))
	old := platformtest.New(t, sandboxtest.MariaDBSource(t))
	carry(t, s.platform, old)
	middle := s.log.Operations[len(s.log.Operations)/2].Sent
	look := func(t *testing.T, within time.Duration, differed ...func()) *Report {
		t.Helper()
		o := Options{Ledgers: []*ledger.Log{s.log}, Writer: s.platform.DB, Old: old.DB, Fence: middle, Reversed: true,
			Equal: true, Within: within, Limit: 1000}
		for _, f := range differed {
			o.differed = f
		}
		r, err := Run(context.Background(), o)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	run, save := s.last(t, ledger.Run), s.last(t, ledger.Save)

	t.Run("they are, once the stream has come", func(t *testing.T) {
		r := look(t, 0)
		clean(t, r)
		for _, table := range []string{"users", "sessions", "activities", "user_levels", "projects", "data_kvs", "hoc_events", "scripts", "concepts_levels"} {
			if _, compared := r.Sides.Rows[table]; !compared {
				t.Errorf("%s was not compared: %v", table, r.Sides.Rows)
			}
		}
		if r.Sides.Rows["activities"] == 0 || r.Sides.Rows["activities"] != r.Rows["activities"] {
			t.Errorf("%d activities are the same, %d were audited", r.Sides.Rows["activities"], r.Rows["activities"])
		}
	})
	// back changes the old server and undoes it.
	back := func(t *testing.T, change, undo statement, check func(r *Report)) {
		t.Helper()
		old.Exec(t, change.text, change.args...)
		defer old.Exec(t, undo.text, undo.args...)
		check(look(t, 0))
	}
	only := func(t *testing.T, r *Report, where, says string) {
		t.Helper()
		if r.Counts[Different] != 1 {
			t.Errorf("%d differences%s", r.Counts[Different], shown(r))
		}
		finds(t, r, Different, where)
		if !slices.ContainsFunc(r.Findings, func(f Finding) bool { return strings.Contains(f.Text, says) }) {
			t.Errorf("nobody says %q:%s", says, shown(r))
		}
	}
	t.Run("a value that differs is found", func(t *testing.T) {
		back(t, do("UPDATE activities SET `lines` = `lines` + 1 WHERE op_id = ?", run.Op), do("UPDATE activities SET `lines` = `lines` - 1 WHERE op_id = ?", run.Op),
			func(r *Report) { only(t, r, "activities", fmt.Sprintf("the row id=%d is another", run.Outcome.ID)) })
	})
	t.Run("what JSON says is compared, not how it is written", func(t *testing.T) {
		var was string
		if err := old.DB.QueryRow("SELECT value FROM data_kvs WHERE last_op = ?", bytesOf(s.last(t, ledger.Pair).Op)).Scan(&was); err != nil {
			t.Fatal(err)
		}
		pair := s.last(t, ledger.Pair)
		undo := do("UPDATE data_kvs SET value = ? WHERE last_op = ?", was, pair.Op)
		back(t, do("UPDATE data_kvs SET value = CONCAT(' ', value, '\n ') WHERE last_op = ?", pair.Op), undo, func(r *Report) { clean(t, r) })
		back(t, do("UPDATE data_kvs SET value = '{\"a\": 1}' WHERE last_op = ?", pair.Op), undo, func(r *Report) { only(t, r, "data_kvs", "is another") })
	})
	t.Run("a save that the stream has not brought yet is no stray, but a difference", func(t *testing.T) {
		before := s.before(t, save)
		back(t, do("UPDATE projects SET last_op = ? WHERE uuid = ?", before, save.Object), do("UPDATE projects SET last_op = ? WHERE uuid = ?", save.Op, save.Object),
			func(r *Report) {
				only(t, r, "projects", "is another")
				if r.Counts[Stray] > 0 {
					t.Error(shown(r))
				}
			})
	})
	t.Run("a row that only the new writer has is found", func(t *testing.T) {
		id := newOpID()
		s.platform.Exec(t, "INSERT INTO users (op_id, op_digest, kind, name, created_at) SELECT ?, op_digest, 'guest', '', '2001-01-01' FROM users ORDER BY id LIMIT 1", id[:])
		defer s.platform.Exec(t, "DELETE FROM users WHERE op_id = ?", id[:])
		only(t, look(t, 0), "users", "the new writer has the row")
	})
	t.Run("a row without a key that is there twice is found", func(t *testing.T) {
		const row = "INSERT INTO concepts_levels (concept, level_id) VALUES ('loops', 11)"
		s.platform.Exec(t, row)
		old.Exec(t, row)
		defer s.platform.Exec(t, "DELETE FROM concepts_levels")
		defer old.Exec(t, "DELETE FROM concepts_levels")
		clean(t, look(t, 0))
		old.Exec(t, row)
		only(t, look(t, 0), "concepts_levels", "the old writer has the row")
	})
	t.Run("a table or a column that is missing is found", func(t *testing.T) {
		old.Exec(t, "CREATE TABLE left_over (id INT PRIMARY KEY)")
		r := look(t, 0)
		old.Exec(t, "DROP TABLE left_over")
		only(t, r, "left_over", "has this table")
	})
	t.Run("a stream that is late has time to come", func(t *testing.T) {
		old.Exec(t, "UPDATE activities SET `lines` = `lines` + 1 WHERE op_id = ?", bytesOf(run.Op))
		r := look(t, time.Minute, func() { // the stream comes after a look
			old.Exec(t, "UPDATE activities SET `lines` = `lines` - 1 WHERE op_id = ?", bytesOf(run.Op))
		})
		clean(t, r)
		if r.Sides.Looks <= len(r.Sides.Rows) {
			t.Errorf("%d looks", r.Sides.Looks)
		}
	})
	t.Run("without another server it can't be told", func(t *testing.T) {
		if r, err := Run(t.Context(), Options{Ledgers: []*ledger.Log{s.log}, Writer: s.platform.DB, Equal: true}); err == nil {
			t.Errorf("%+v", r)
		}
	})
}
