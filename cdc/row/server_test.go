package row_test

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/go-mysql-org/go-mysql/mysql"
	"github.com/go-mysql-org/go-mysql/replication"
	driver "github.com/go-sql-driver/mysql"

	"changeover/cdc/row"
	"changeover/internal/sandbox"
	"changeover/internal/sandbox/sandboxtest"
	"changeover/internal/server"
)

func TestMain(m *testing.M) { sandboxtest.Main(m) }

// lab is one flavour's source, and the server that its rows are written to: Aurora's stand-in for
// MySQL, the source itself for MariaDB, whose types only it has.
type lab struct {
	flavor             server.Flavor
	source, target     *sandboxtest.Server
	src, dst           *sql.DB // as the product connects: binary, UTC; dst in ApplierMode
	odd                *sql.DB // the source, utf8mb4, and it takes any value
	schema, copySchema string
}

func labs(t *testing.T, test func(t *testing.T, l *lab)) {
	t.Run("mysql", func(t *testing.T) {
		pair := sandboxtest.NewPair(t)
		test(t, newLab(t, server.MySQL, pair.Source, pair.Target, sandbox.Admin))
	})
	t.Run("mariadb", func(t *testing.T) {
		s := sandboxtest.MariaDBSource(t)
		test(t, newLab(t, server.MariaDB, s, s, sandbox.Changeover))
	})
}

func newLab(t *testing.T, f server.Flavor, source, target *sandboxtest.Server, as sandbox.Account) *lab {
	l := &lab{flavor: f, source: source, target: target, schema: source.Database(t), copySchema: target.Database(t)}
	l.src = open(t, source, sandbox.Changeover, true, server.ApplierMode)
	l.dst = open(t, target, as, true, server.ApplierMode)
	l.odd = open(t, source, sandbox.Root, false, "ALLOW_INVALID_DATES,NO_AUTO_VALUE_ON_ZERO")
	return l
}

// open makes a pool of one connection, so that session settings stay.
func open(t *testing.T, s *sandboxtest.Server, a sandbox.Account, binary bool, mode string) *sql.DB {
	t.Helper()
	password, err := s.Password(a)
	if err != nil {
		t.Fatal(err)
	}
	db, err := server.Open(
		server.Endpoint{Host: s.Host, Port: s.Port, User: string(a), Password: password},
		server.Session{Binary: binary, Connections: 1, Vars: map[string]string{"sql_mode": "'" + mode + "'"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func exec(t *testing.T, db *sql.DB, q string) {
	t.Helper()
	if _, err := db.Exec(q); err != nil {
		t.Fatalf("%.300s: %v", q, err)
	}
}

// texts reads a query's rows as the driver gives them.
func texts(t *testing.T, db *sql.DB, q string) [][][]byte {
	t.Helper()
	rows, err := db.Query(q)
	if err != nil {
		t.Fatalf("%.300s: %v", q, err)
	}
	defer rows.Close()
	columns, _ := rows.Columns()
	var all [][][]byte
	for rows.Next() {
		line, into := make([][]byte, len(columns)), make([]any, len(columns))
		for i := range line {
			into[i] = &line[i]
		}
		if err := rows.Scan(into...); err != nil {
			t.Fatal(err)
		}
		all = append(all, line)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

func one(t *testing.T, db *sql.DB, q string) string {
	t.Helper()
	all := texts(t, db, q)
	if len(all) != 1 {
		t.Fatalf("%s: %d rows", q, len(all))
	}
	return string(all[0][0])
}

func load(t *testing.T, db *sql.DB, schema, table string) *row.Table {
	t.Helper()
	tab, err := row.Load(context.Background(), db, schema, table)
	if err != nil {
		t.Fatal(err)
	}
	return tab
}

// position is where the source's binlog ends.
func (l *lab) position(t *testing.T) mysql.Position {
	t.Helper()
	q := "SHOW BINARY LOG STATUS"
	if l.flavor == server.MariaDB {
		q = "SHOW MASTER STATUS"
	}
	f := texts(t, l.odd, q)[0]
	var offset uint32
	fmt.Sscan(string(f[1]), &offset)
	return mysql.Position{Name: string(f[0]), Pos: offset}
}

// event is one row event with its table map.
type event struct {
	table  *replication.TableMapEvent
	images [][]any
}

// events reads the source's binlog from one position to another and returns the schema's rows.
func (l *lab) events(t *testing.T, from, to mysql.Position) []event {
	t.Helper()
	password, err := l.source.Password(sandbox.Root)
	if err != nil {
		t.Fatal(err)
	}
	syncer := replication.NewBinlogSyncer(replication.BinlogSyncerConfig{
		ServerID: 3000000001, Flavor: string(l.flavor), Host: l.source.Host, Port: uint16(l.source.Port),
		User: "root", Password: password, TimestampStringLocation: time.UTC, RenderJSONAsMySQLText: true,
		DisableRetrySync: true, Logger: slog.New(slog.DiscardHandler),
	})
	defer syncer.Close()
	streamer, err := syncer.StartSync(from)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	var list []event
	file := from.Name
	for {
		e, err := streamer.GetEvent(ctx)
		if err != nil {
			t.Fatal(err)
		}
		switch ev := e.Event.(type) {
		case *replication.RotateEvent:
			file = string(ev.NextLogName)
			continue
		case *replication.RowsEvent:
			if string(ev.Table.Schema) == l.schema {
				list = append(list, event{ev.Table, ev.Rows})
			}
		}
		if file == to.Name && e.Header.LogPos >= to.Pos {
			return list
		}
	}
}

// register makes a LOAD DATA reader for the duration of a test.
func register(t *testing.T, name string, data []byte) {
	driver.RegisterReaderHandler(name, func() io.Reader { return bytes.NewReader(data) })
	t.Cleanup(func() { driver.DeregisterReaderHandler(name) })
}

// exactly is the expression by which two servers' values are compared: nothing is rounded.
func exactly(c *row.Column) string {
	switch name := server.Name(c.Name); c.Kind {
	case row.Float, row.Double:
		return "CONCAT(" + name + "*1e0)"
	case row.JSON:
		return "CONCAT(" + name + ")"
	case row.Enum, row.Set:
		return name + "+0"
	default:
		return "HEX(CAST(" + name + " AS BINARY))"
	}
}

func contents(t *testing.T, db *sql.DB, tab *row.Table, schema string) []string {
	t.Helper()
	var list []string
	for i := range tab.Columns {
		list = append(list, exactly(&tab.Columns[i]))
	}
	var lines []string
	for _, f := range texts(t, db, "SELECT "+strings.Join(list, ",")+" FROM "+server.Name(schema, tab.Name)+" ORDER BY id") {
		line := ""
		for _, v := range f {
			if v == nil {
				line += "|NULL"
			} else {
				line += "|" + string(v)
			}
		}
		lines = append(lines, line)
	}
	return lines
}
