package objects

import (
	"database/sql"
	"slices"
	"strconv"
	"testing"

	"changeover/internal/sandbox"
)

// nextOf is the id that the next row gets.
func nextOf(t *testing.T, db *sql.DB, query string) int64 {
	t.Helper()
	res, err := db.ExecContext(t.Context(), query)
	must(t, err)
	id, err := res.LastInsertId()
	must(t, err)
	return id
}

func TestTheNextIdIsNeverOneThatWasGivenBefore(t *testing.T) {
	flavors(t, func(t *testing.T, p *place) {
		ctx, helm, oldHelm := t.Context(), conn(t, p.target), conn(t, p.source)
		into := "INSERT INTO " + p.database + "."
		source, target := p.src.DB(t, sandbox.Root), p.dst.DB(t, sandbox.Root)

		// gap: the source gave 41 and deleted it; plain_one: the target is ahead, which stays.
		p.dst.Exec(t, into+"plain_one (id, d) VALUES (500, '2020-01-01')")
		prepared := prepare(t, p.source, p.target, p.options)
		must(t, prepared.Ahead(ctx, helm, p.target))
		// Since then: the source gives 42 to 50 and deletes them; the stream has written none of them.
		p.src.Exec(t, into+"gap (id) VALUES (50)", "DELETE FROM "+p.database+".gap WHERE id = 50")
		must(t, prepared.Arm(ctx, helm, p.target, func(_, table string) bool { return table == "gap" }))
		must(t, prepared.Enable(ctx, helm, p.target))
		must(t, prepared.SetAside(ctx, oldHelm, p.source))
		if id := nextOf(t, target, into+"gap () VALUES ()"); id != 51 {
			t.Errorf("the new writer gives %d", id)
		}
		if id := nextOf(t, target, into+"plain_one (d) VALUES ('2020-01-01')"); id != 501 {
			t.Errorf("the new writer, which was ahead, gives %d", id)
		}

		// The other way round: the target gave 51 to 90, and the last rows are deleted.
		p.dst.Exec(t, into+"gap (id) VALUES (90)", "DELETE FROM "+p.database+".gap WHERE id > 3")
		back := pass(t, p.target, p.source, p.options)
		if back.Todo.AutoIncrement != 0 {
			t.Errorf("left to raise: %d", back.Todo.AutoIncrement)
		}
		if id := nextOf(t, source, into+"gap () VALUES ()"); id != 91 {
			t.Errorf("after the rollback the old writer gives %d", id)
		}
		if id := nextOf(t, source, into+"plain_one (d) VALUES ('2020-01-01')"); id != 502 {
			t.Errorf("after the rollback the old writer gives %d", id)
		}
	})
}

func TestOnlyTouchedTablesAreAskedForInTheHold(t *testing.T) {
	p := newPlace(t, "mysql")
	ctx, helm := t.Context(), conn(t, p.target)
	prepared := prepare(t, p.source, p.target, p.options)
	if prepared.Todo.AutoIncrement != 1 || prepared.raises[0] != (raise{table{p.database, "gap"}, 42}) {
		t.Fatalf("to raise: %+v", prepared.raises)
	}
	p.src.Exec(t, "INSERT INTO "+p.database+".gap (id) VALUES (60)", "INSERT INTO "+p.database+".log (id) VALUES (70)")
	asked := map[string]bool{}
	must(t, prepared.Arm(ctx, helm, p.target, func(_, table string) bool { asked[table] = true; return table == "log" }))
	// gap was not touched, it is said: then what Prepare saw is right.
	for table, want := range map[string]string{"gap": "42", "log": "71"} {
		var got string
		must(t, p.target.QueryRow("SELECT AUTO_INCREMENT FROM information_schema.TABLES WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ?", p.database, table).Scan(&got))
		if got != want {
			t.Errorf("AUTO_INCREMENT of %s is %s, not %s", table, got, want)
		}
	}
	if len(asked) != 3 {
		t.Errorf("asked for %v", asked)
	}
}

func TestRaisesAreOnlyUpward(t *testing.T) {
	a, b, c, d := table{"d", "a"}, table{"d", "b"}, table{"d", "c"}, table{"d", "d"}
	got := raises([]table{a, b, c, d},
		map[table]uint64{a: 10, b: 10, c: 10, d: 1},
		map[table]uint64{a: 9, b: 10, c: 11})
	if !slices.Equal(got, []raise{{a, 10}}) {
		t.Errorf("%v", got)
	}
}

func TestManyTablesAreAskedForInPieces(t *testing.T) {
	p := newPlace(t, "mysql")
	statements := []string{"USE " + p.database}
	for i := range 130 {
		statements = append(statements, "CREATE TABLE many"+strconv.Itoa(i)+" (id bigint unsigned AUTO_INCREMENT PRIMARY KEY) AUTO_INCREMENT = "+strconv.Itoa(100+i))
	}
	p.src.Exec(t, append(statements, "ALTER TABLE many7 AUTO_INCREMENT = 18446744073709551614")...)
	tables, err := counted(t.Context(), p.source, p.options)
	must(t, err)
	conn, end, err := fresh(t.Context(), p.source, "mysql")
	must(t, err)
	defer end()
	values, err := next(t.Context(), conn, tables)
	must(t, err)
	if len(values) != 133 || values[table{p.database, "many129"}] != 229 || values[table{p.database, "many7"}] != 18446744073709551614 {
		t.Errorf("%d values: %v", len(values), values)
	}
}
