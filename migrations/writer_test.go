package migrations

import (
	"context"
	"crypto/rand"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// seen is what a server knows of the schema.
type seen struct{ wide, name, title bool }

// server is a server as the platform's are told to be: it looks every now and then which columns and
// tables there are, and at once when the database knows one no longer. One that doesn't look is late.
type server struct {
	db   *sql.DB
	late bool

	mu   sync.Mutex
	seen seen
}

func (s *server) look(ctx context.Context) error {
	var now seen
	err := s.db.QueryRowContext(ctx, `SELECT
		EXISTS (SELECT 1 FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = 'activities_wide'),
		EXISTS (SELECT 1 FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name = 'sections' AND column_name = 'name'),
		EXISTS (SELECT 1 FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name = 'sections' AND column_name = 'title')`).
		Scan(&now.wide, &now.name, &now.title)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil {
		s.seen = now
	}
	return err
}

func (s *server) sees() seen {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seen
}

const (
	noSuchColumn  = 1054
	columnNeedsIt = 1364 // a column without a default that the statement doesn't name
)

// write runs a transaction until it is committed.
func (s *server) write(ctx context.Context, do func(ctx context.Context, tx *sql.Tx, now seen) error) error {
	for {
		err := s.try(ctx, do)
		switch {
		case refusedWith(err, noSuchColumn, noSuchTable, columnNeedsIt):
			if err := s.look(ctx); err != nil {
				return err
			}
		case refusedWith(err, deadlock, lockTimeout):
		default:
			return err
		}
	}
}

func (s *server) try(ctx context.Context, do func(context.Context, *sql.Tx, seen) error) error {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	if err := do(ctx, tx, s.sees()); err != nil {
		return err
	}
	return tx.Commit()
}

// ledger is what the writers were told is written.
type ledger struct {
	mu      sync.Mutex
	entries map[string]string
	slowest time.Duration
}

// timed notes how long a write took.
func (l *ledger) timed(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.slowest = max(l.slowest, d)
}

// worst is the longest that a write took since it was asked last.
func (l *ledger) worst() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	d := l.slowest
	l.slowest = 0
	return d
}

func (l *ledger) note(key, value string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.entries[key] = value
}

func (l *ledger) size() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.entries)
}

// load is servers that write without a pause.
type load struct {
	t      *testing.T
	ledger *ledger
	done   sync.WaitGroup
	end    chan struct{}
	stop   func()
}

// start lets servers write, each from two goroutines, until stop; one in three is late.
func (d *testbed) start(t *testing.T, write func(ctx context.Context, s *server, l *ledger) error) *load {
	l := &load{t: t, ledger: &ledger{entries: map[string]string{}}, end: make(chan struct{})}
	l.stop = sync.OnceFunc(func() { close(l.end); l.done.Wait() })
	t.Cleanup(l.stop)
	for i := range 3 {
		s := &server{db: d.DB, late: i == 0}
		if err := s.look(t.Context()); err != nil {
			t.Fatal(err)
		}
		l.each(10*time.Millisecond, func(ctx context.Context) error {
			if s.late {
				return nil
			}
			return s.look(ctx)
		})
		for range 2 {
			l.each(2*time.Millisecond, func(ctx context.Context) error { return write(ctx, s, l.ledger) })
		}
	}
	return l
}

// each calls do again and again in a goroutine that ends with stop.
func (l *load) each(every time.Duration, do func(context.Context) error) {
	l.done.Add(1)
	go func() {
		defer l.done.Done()
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-l.end:
				return
			case <-tick.C:
				ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
				err := do(ctx)
				cancel()
				if err != nil {
					l.t.Errorf("a server: %v", err)
					return
				}
			}
		}
	}()
}

// more waits for n more writes.
func (l *load) more(n int) {
	l.t.Helper()
	want := l.ledger.size() + n
	eventually(l.t, fmt.Sprintf("%d more writes", n), func() bool { return l.ledger.size() >= want || l.t.Failed() })
}

// writeActivity does for one click on Run what concerns activities.
func writeActivity(ctx context.Context, s *server, l *ledger) error {
	op := make([]byte, 16)
	_, _ = rand.Read(op)
	var id int64
	defer func(began time.Time) { l.timed(time.Since(began)) }(time.Now())
	err := s.write(ctx, func(ctx context.Context, tx *sql.Tx, now seen) error {
		const columns = "op_id, op_digest, user_id, script_id, level_id, level_source_id, result, score, `time`, `lines`, created_at"
		const values = "?, ?, 1, 2, 3, 4, 20, 99.5, 1000, 7, '2026-11-26 08:00:00.123'"
		r, err := tx.ExecContext(ctx, "INSERT INTO activities ("+columns+") VALUES ("+values+")", op, op)
		if err != nil {
			return err
		}
		if id, err = r.LastInsertId(); err != nil || !now.wide {
			return err
		}
		_, err = tx.ExecContext(ctx, "INSERT INTO activities_wide (id, "+columns+") VALUES (?, "+values+")", id, op, op)
		return err
	})
	if err == nil {
		l.note(fmt.Sprintf("%X", op), fmt.Sprint(id))
	}
	return err
}

// sameActivities compares the table with what the writers were told.
func (d *testbed) sameActivities(t *testing.T, table string, told map[string]string) {
	t.Helper()
	rows, err := d.QueryContext(t.Context(), "SELECT HEX(op_id), id FROM "+table)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	there := map[string]string{}
	n := 0
	for rows.Next() {
		var op, id string
		if err := rows.Scan(&op, &id); err != nil {
			t.Fatal(err)
		}
		there[op] = id
		n++
	}
	lost, other := 0, 0
	for op, id := range told {
		switch there[op] {
		case id:
		case "":
			lost++
		default:
			other++
		}
	}
	if lost+other > 0 || n != len(told) {
		t.Errorf("%s has %d rows for %d written; %d are lost, %d have another id", table, n, len(told), lost, other)
	}
}

var names = []string{"Morgenklasse", "Класс 7б", "第三班", "कक्षा पाँच", "Otters 🦦🌊", "الصف السادس"}

// inUTF8MB3 is a name as a server writes it into a column of three-byte characters.
func inUTF8MB3(s string) string {
	return strings.Map(func(r rune) rune {
		if r > 0xffff {
			return '?'
		}
		return r
	}, s)
}

// teacher makes the user that sections belong to.
func (d *testbed) teacher(t *testing.T) {
	t.Helper()
	d.exec(t, "INSERT INTO users (id, op_id, op_digest, kind, name, created_at) VALUES (1, '1', '1', 'teacher', 'Ana', '2026-11-26')")
}

// writeSection makes a section, with a name of choice.
func writeSection(choice []string) func(context.Context, *server, *ledger) error {
	return func(ctx context.Context, s *server, l *ledger) error {
		op := make([]byte, 16)
		_, _ = rand.Read(op)
		code := rand.Text()[:6]
		name := choice[int(op[0])%len(choice)]
		var stored string
		err := s.write(ctx, func(ctx context.Context, tx *sql.Tx, now seen) error {
			columns, args := []string{"op_id", "op_digest", "teacher_id", "code", "created_at"}, []any{op, op, 1, code, "2026-11-26"}
			if stored = inUTF8MB3(name); now.name {
				columns, args = append(columns, "name"), append(args, inUTF8MB3(name))
			}
			if now.title {
				columns, args, stored = append(columns, "title"), append(args, name), name
			}
			_, err := tx.ExecContext(ctx, "INSERT INTO sections ("+strings.Join(columns, ", ")+") VALUES ("+
				strings.Join(slices.Repeat([]string{"?"}, len(columns)), ", ")+")", args...)
			return err
		})
		if refusedWith(err, duplicateKey) { // the code is taken
			return nil
		}
		if err == nil {
			l.note(fmt.Sprintf("%X", op), stored)
		}
		return err
	}
}

// sameSections compares the names with what the writers were told.
func (d *testbed) sameSections(t *testing.T, column string, told map[string]string) {
	t.Helper()
	rows, err := d.QueryContext(t.Context(), "SELECT HEX(op_id), "+column+" FROM sections")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	n := 0
	for rows.Next() {
		var op string
		var name sql.NullString
		if err := rows.Scan(&op, &name); err != nil {
			t.Fatal(err)
		}
		n++
		if told[op] != name.String || !name.Valid {
			t.Errorf("section %s is called %q, want %q", op, name.String, told[op])
		}
	}
	if n != len(told) {
		t.Errorf("%d sections, %d were written", n, len(told))
	}
}
