package snapshot

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"changeover/cdc/row"
	"changeover/internal/server"
)

// Keyless copies tables whose rows have no names. They can't be cut into ranges, and a change of
// the stream can't be told apart from the row that it made. So one read view holds them all as they
// were at the position where the stream starts, which is only possible while nobody writes to them:
// they are locked for as long as it takes to open the view.
type Keyless struct {
	tables []*row.Table
	view   *wire
}

// lockTries is how often the lock is tried: each waits for a second, in which writers that come
// after it wait too.
const lockTries = 30

// OpenKeyless locks the tables, opens the view, runs at, which notes the position, and unlocks.
// With no tables only at is run.
func OpenKeyless(ctx context.Context, e server.Endpoint, db *sql.DB, tables []*row.Table, log zerolog.Logger, at func(context.Context) error) (*Keyless, error) {
	k := &Keyless{tables: tables}
	if len(tables) == 0 {
		return k, at(ctx)
	}
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	if k.view, err = dialWire(ctx, e); err != nil {
		return nil, err
	}
	if err := lock(ctx, conn, tables, log); err != nil {
		k.Close()
		return nil, err
	}
	defer func() { _, _ = conn.ExecContext(context.WithoutCancel(ctx), "UNLOCK TABLES") }()
	if err := k.view.exec("START TRANSACTION WITH CONSISTENT SNAPSHOT"); err != nil {
		k.Close()
		return nil, err
	}
	if err := at(ctx); err != nil {
		k.Close()
		return nil, err
	}
	return k, nil
}

func lock(ctx context.Context, conn *sql.Conn, tables []*row.Table, log zerolog.Logger) error {
	names := make([]string, len(tables))
	for i, t := range tables {
		names[i] = server.Name(t.Schema, t.Name) + " READ"
	}
	if _, err := conn.ExecContext(ctx, "SET SESSION lock_wait_timeout = 1"); err != nil {
		return err
	}
	q := "/* changeover */ LOCK TABLES " + strings.Join(names, ", ")
	var err error
	for try := range lockTries {
		began := time.Now()
		if _, err = conn.ExecContext(ctx, q); err == nil {
			log.Info().Int("tables", len(tables)).Dur("waited", time.Since(began)).Msg("tables without a key are locked for a moment")
			return nil
		}
		if ctx.Err() != nil {
			return err
		}
		log.Warn().Err(err).Int("try", try+1).Msg("tables without a key could not be locked")
	}
	return fmt.Errorf("lock the tables without a key for a moment, tried %d times: %w", lockTries, err)
}

// Tables are those that the view holds.
func (k *Keyless) Tables() []*row.Table { return k.tables }

// Copy reads a table to its end and hands it on in pieces of about so many bytes.
func (k *Keyless) Copy(ctx context.Context, t *row.Table, chunk int64, write func(Chunk) error) error {
	l := newLayout(t)
	if err := k.view.query(l.selectRows(row.Range{}, budget{}, "rows of "+comment(t.Name)+", which has no key")); err != nil {
		return err
	}
	e := encoder{layout: &l}
	got := &rows{}
	for number := 1; ; {
		p, err := k.view.next()
		if err != nil {
			return err
		}
		if p != nil {
			if err := e.add(got, p); err != nil {
				return err
			}
		}
		if p == nil || got.bytes() >= chunk {
			if got.count() > 0 {
				err := write(Chunk{Table: t, Number: number, Rows: got.count(), Bytes: got.bytes(), rows: got, skip: func([]byte) bool { return false }})
				if err != nil {
					return err
				}
			}
			number++
			got = &rows{}
		}
		if p == nil {
			return nil
		}
	}
}

// Close ends the view.
func (k *Keyless) Close() {
	if k.view != nil {
		k.view.close()
		k.view = nil
	}
}
