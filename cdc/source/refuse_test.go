package source

import (
	"context"
	"encoding/binary"
	"strings"
	"testing"

	"github.com/go-mysql-org/go-mysql/replication"

	"changeover/internal/fault"
	"changeover/internal/sandbox/sandboxtest"
	"changeover/internal/server"
)

// What can't be carried faithfully stops the stream, with its code, and after what came before it.
func TestTheStreamStopsLoudly(t *testing.T) {
	mySQL := func(t testing.TB) *sandboxtest.Server { return sandboxtest.MySQLSource(t) }
	mariaDB := func(t testing.TB) *sandboxtest.Server { return sandboxtest.MariaDBSource(t) }
	for name, c := range map[string]struct {
		source     func(testing.TB) *sandboxtest.Server
		statements []string
		code       fault.Code
		says       string
	}{
		"a statement instead of rows": {mySQL, []string{
			"SET SESSION binlog_format=STATEMENT", "UPDATE $.t SET v='x' WHERE id=1"}, fault.StreamStatement, "UPDATE"},
		"a statement instead of rows, MariaDB": {mariaDB, []string{
			"SET SESSION binlog_format=STATEMENT", "UPDATE $.t SET v='x' WHERE id=1"}, fault.StreamStatement, "UPDATE"},
		"a user variable of a statement": {mySQL, []string{
			"SET SESSION binlog_format=STATEMENT", "SET @a='x'", "UPDATE $.t SET v=@a WHERE id=1"}, fault.StreamStatement, ""},
		"row images with only what changed": {mySQL, []string{
			"SET SESSION binlog_row_image=MINIMAL", "UPDATE $.t SET v='x' WHERE id=1"}, fault.StreamImage, "column"},
		"deletes with only the key": {mariaDB, []string{
			"SET SESSION binlog_row_image=MINIMAL", "DELETE FROM $.t WHERE id=1"}, fault.StreamImage, "column"},
		"row images without blobs": {mySQL, []string{
			"SET SESSION binlog_row_image=NOBLOB", "UPDATE $.t SET v='x' WHERE id=1"}, fault.StreamImage, "column"},
		"parts of JSON values": {mySQL, []string{
			"SET SESSION binlog_row_value_options=PARTIAL_JSON", `UPDATE $.t SET j=JSON_SET(j,'$.a',2) WHERE id=1`}, fault.StreamImage, "PARTIAL_JSON"},
		"XA": {mySQL, []string{
			"XA START 'x'", "UPDATE $.t SET v='x' WHERE id=1", "XA END 'x'", "XA PREPARE 'x'", "XA COMMIT 'x'"}, fault.StreamEvent, "XA"},
		"XA in one phase": {mySQL, []string{
			"XA START 'x'", "UPDATE $.t SET v='x' WHERE id=1", "XA END 'x'", "XA COMMIT 'x' ONE PHASE"}, fault.StreamEvent, "XA"},
		"XA, MariaDB": {mariaDB, []string{
			"XA START 'x'", "UPDATE $.t SET v='x' WHERE id=1", "XA END 'x'", "XA PREPARE 'x'", "XA COMMIT 'x'"}, fault.StreamEvent, "XA"},
		"a two-phase ALTER": {mariaDB, []string{
			"SET SESSION binlog_alter_two_phase=ON", "ALTER TABLE $.t ADD COLUMN n INT"}, fault.StreamDDL, "ALTER"},
	} {
		t.Run(name, func(t *testing.T) {
			source := c.source(t)
			db := source.Database(t)
			source.Exec(t, "CREATE TABLE "+db+".t (id INT PRIMARY KEY, v VARCHAR(20), b TEXT, j JSON)",
				"INSERT INTO "+db+`.t VALUES (1,'a','b','{"a":1,"b":"a longer one so that a part is worth it"}')`)
			h := read(t, source, nil)
			h.exec("INSERT INTO " + db + ".t VALUES (9,'a','b',NULL)")
			var statements []string
			for _, s := range c.statements {
				statements = append(statements, strings.ReplaceAll(s, "$.t", db+".t"))
			}
			h.exec(statements...)
			first := h.next()
			if len(first.Rows) != 1 {
				t.Errorf("the transaction before it is %+v", first)
			}
			err := h.fault()
			if !fault.Is(err, c.code) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("stopped with %v, want %s", err, c.code)
			}
			t.Log(err)
		})
	}
}

// Rows that are not whole don't matter in tables that are not wanted.
func TestUnwantedTablesMayComeInPart(t *testing.T) {
	source := sandboxtest.MySQLSource(t)
	db := source.Database(t)
	source.Exec(t, "CREATE TABLE "+db+".t (id INT PRIMARY KEY, v TEXT)", "CREATE TABLE "+db+".wanted (id INT PRIMARY KEY)")
	h := read(t, source, func(c *ReaderConfig) {
		c.Decode = func(schema, table string) bool { return schema == db && table == "wanted" }
	})
	h.exec("SET SESSION binlog_row_image=MINIMAL", "BEGIN", "INSERT INTO "+db+".t VALUES (1,'a')",
		"UPDATE "+db+".t SET v='x'", "INSERT INTO "+db+".wanted VALUES (7)", "COMMIT")
	tx := h.next()
	if len(tx.Rows) != 1 || tx.Rows[0].Table != "wanted" {
		t.Errorf("the rows are %+v", tx.Rows)
	}
	if s := h.Stats(); s.RowEvents != 3 || s.Skipped != 2 {
		t.Errorf("%+v", s)
	}
}

// A server can hardly be made to log these, so they are put into the assembler's hands.
func TestARollbackAfterRowsStops(t *testing.T) {
	for verb, query := range map[string]string{"all": "ROLLBACK", "a part": "ROLLBACK TO `s`"} {
		for _, changed := range []bool{false, true} {
			a := &assembler{phase: inside, tx: &Tx{ID: "x:1"}, changed: changed, gtid: true,
				decode: newDecoder(server.MySQL, nil), done: func(*Tx) {},
				put: func(context.Context, item) error { return nil }}
			err := a.event(t.Context(), queryEvent(query))
			if changed != fault.Is(err, fault.StreamEvent) || !changed && err != nil {
				t.Errorf("%s, rows before it %v: %v", verb, changed, err)
			}
			if wantOpen := verb == "a part"; !changed && (a.tx != nil) != wantOpen {
				t.Errorf("%s: the transaction is open: %v", verb, !wantOpen)
			}
		}
	}
}

func TestEventsWithAMeaningStop(t *testing.T) {
	for kind, code := range map[replication.EventType]fault.Code{
		replication.INCIDENT_EVENT:           fault.StreamEvent,
		replication.XA_PREPARE_LOG_EVENT:     fault.StreamEvent,
		replication.EventType(99):            fault.StreamEvent,
		replication.WRITE_ROWS_EVENTv0:       fault.StreamEvent,
		replication.EXECUTE_LOAD_QUERY_EVENT: fault.StreamStatement,
		replication.RAND_EVENT:               fault.StreamStatement,
		replication.ROWS_QUERY_EVENT:         0,
		replication.VIEW_CHANGE_EVENT:        0,
	} {
		a := &assembler{decode: newDecoder(server.MySQL, nil)}
		e := &rawEvent{data: make([]byte, 30)}
		e.EventType = kind
		if err := a.event(t.Context(), e); (code != 0) != (err != nil) || code != 0 && !fault.Is(err, code) {
			t.Errorf("%s: %v", kind, err)
		}
	}
}

// queryEvent is a statement as MySQL logs it.
func queryEvent(sql string) *rawEvent {
	e := &rawEvent{data: make([]byte, replication.EventHeaderSize+13+1, 64)}
	e.data = append(e.data, sql...)
	e.EventType, e.EventSize = replication.QUERY_EVENT, uint32(len(e.data))
	e.data[4] = byte(e.EventType)
	binary.LittleEndian.PutUint32(e.data[9:], e.EventSize)
	return e
}
