package state

import (
	"context"
	"database/sql"
	"time"

	"github.com/google/uuid"
)

// Migration is one named move, as its first start recorded it.
type Migration struct {
	Name    string
	UUID    string // made at the first start
	Created time.Time
	Source  string // the source's identity, as JSON
	Phase   string // the runner's own word
	Config  string // fingerprint of the configuration that must not change
}

// Begin records a migration if it is not there yet, and gives the record that stands.
func (s *Store) Begin(ctx context.Context, source, phase, config string) (Migration, error) {
	q := newStatement("INSERT INTO `_changeover`.`migration` (migration, uuid, created, source, phase, config) VALUES (").
		text(s.migration).sql(", ").text(uuid.NewString()).sql(", UTC_TIMESTAMP(6), ").text(source).
		sql(", ").text(phase).sql(", ").text(config).sql(") ON DUPLICATE KEY UPDATE uuid = uuid")
	err := s.write(ctx, "record the migration", func(tx *sql.Tx) error {
		_, err := exec(ctx, tx, q)
		return err
	})
	if err != nil {
		return Migration{}, err
	}
	m, _, err := s.Load(ctx)
	return m, err
}

// Load reads the migration's record; ok is false if it never began.
func (s *Store) Load(ctx context.Context) (m Migration, ok bool, err error) {
	q := newStatement("SELECT migration, uuid, created, source, phase, config FROM `_changeover`.`migration`" +
		" WHERE migration = ").text(s.migration)
	var created string
	err = s.read(ctx, "read the migration", func() error {
		return s.db.QueryRowContext(ctx, q.String()).Scan(&m.Name, &m.UUID, &created, &m.Source, &m.Phase, &m.Config)
	})
	if isNoRows(err) {
		return m, false, nil
	}
	m.Created = parseTime(&created)
	return m, err == nil, err
}

// SetPhase records how far the migration is.
func (s *Store) SetPhase(ctx context.Context, phase string) error {
	return s.set(ctx, "phase", phase)
}

// SetSource records the source's identity.
func (s *Store) SetSource(ctx context.Context, source string) error {
	return s.set(ctx, "source", source)
}

// SetConfig records the configuration's fingerprint.
func (s *Store) SetConfig(ctx context.Context, config string) error {
	return s.set(ctx, "config", config)
}

func (s *Store) set(ctx context.Context, column, value string) error {
	return s.write(ctx, "set the migration's "+column, func(tx *sql.Tx) error {
		_, err := exec(ctx, tx, newStatement("UPDATE `_changeover`.`migration` SET "+column+" = ").text(value).
			sql(" WHERE migration = ").text(s.migration))
		return err
	})
}
