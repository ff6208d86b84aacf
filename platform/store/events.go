package store

import (
	"context"
	"crypto/subtle"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Event is an Hour of Code that somebody holds.
type Event struct {
	ID          uint32   `json:"id"`
	Version     uint32   `json:"version"`
	Name        string   `json:"name"`
	Description string   `json:"description"`
	Country     string   `json:"country"`
	City        string   `json:"city"`
	Latitude    *float64 `json:"latitude,omitempty"`
	Longitude   *float64 `json:"longitude,omitempty"`
	Date        string   `json:"date"`           // 2026-12-07
	Time        string   `json:"time,omitempty"` // 09:30
	Hours       float64  `json:"hours"`
	Size        int      `json:"size"`
	Features    []string `json:"features"`
}

// features are the members of hoc_events.features, in its order.
var features = []string{"online", "school", "public", "girls", "unplugged"}

func (e *Event) check() (err error) {
	if e.Name, err = text("name", e.Name, 1, 120); err != nil {
		return err
	}
	if e.Description, err = text("description", e.Description, 0, 5000); err != nil {
		return err
	}
	if e.City, err = text("city", e.City, 1, 80); err != nil {
		return err
	}
	if !isCountry(e.Country) {
		return badValue("country", "is not two capital letters")
	}
	day, err := time.Parse(time.DateOnly, e.Date)
	if err != nil || day.Year() < 2013 || day.Year() > 2100 {
		return badValue("date", "is not a day such as 2026-12-07")
	}
	if e.Time != "" {
		if _, err := time.Parse("15:04", e.Time); err != nil {
			return badValue("time", "is not a time of day such as 09:30")
		}
	}
	if err := within("hours", e.Hours, 0.25, 72); err != nil || math.IsNaN(e.Hours) {
		return badValue("hours", "must be from 0.25 to 72")
	}
	if err := within("size", e.Size, 1, 1_000_000); err != nil {
		return err
	}
	if (e.Latitude == nil) != (e.Longitude == nil) {
		return badValue("longitude", "goes with latitude: both or none")
	}
	if e.Latitude != nil {
		if err := within("latitude", *e.Latitude, -90, 90); err != nil {
			return err
		}
		if err := within("longitude", *e.Longitude, -180, 180); err != nil {
			return err
		}
	}
	if e.Features == nil {
		e.Features = []string{}
	}
	for _, f := range e.Features {
		if !slices.Contains(features, f) {
			return badValue("features", "%q is none of %s", f, strings.Join(features, ", "))
		}
	}
	return nil
}

func (e *Event) values() []any {
	return []any{e.Name, e.Description, e.Country, e.City, decimal(e.Latitude), decimal(e.Longitude), e.Date, clock(e.Time), e.Hours, e.Size, strings.Join(e.Features, ",")}
}

func decimal(f *float64) any {
	if f == nil {
		return nil
	}
	return fmt.Sprintf("%.6f", *f)
}

func clock(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// NewEvent registers an event. Whoever has the secret may edit it.
func (s *Store) NewEvent(ctx context.Context, op Op, secret Token, e Event) (Event, Answer, error) {
	var a Answer
	if err := e.check(); err != nil {
		return e, a, err
	}
	e.Version = 1
	var err error
	a.Epoch, err = s.write(ctx, func(t *tx) error {
		a.Replayed = false
		at := stamp(now())
		args := append([]any{op.id(), op.digest(), op.id(), op.digest(), secret.key(), at, at}, e.values()...)
		id, err := t.insert(`INSERT INTO hoc_events (op_id, op_digest, last_op, last_digest, secret, version, created_at, updated_at,
name, description, country, city, latitude, longitude, on_date, at_time, hours, size, features)
VALUES (?, ?, ?, ?, ?, 1, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, args...)
		if isDuplicateOp(err) {
			a.Replayed = true
			var digest []byte
			if err := t.row("SELECT id, op_digest FROM hoc_events WHERE op_id = ?", op.id()).Scan(&e.ID, &digest); err != nil {
				return err
			}
			return op.replayed(digest)
		}
		e.ID = uint32(id)
		return err
	})
	return e, a, err
}

// SaveEvent replaces a version of an event.
func (s *Store) SaveEvent(ctx context.Context, op Op, secret Token, e Event) (uint32, Answer, error) {
	var a Answer
	if err := e.check(); err != nil {
		return 0, a, err
	}
	var has []byte
	err := s.read(ctx, func(db *sql.DB) error {
		return db.QueryRowContext(ctx, "SELECT secret FROM hoc_events WHERE id = ?", e.ID).Scan(&has)
	})
	if errors.Is(err, sql.ErrNoRows) {
		return 0, a, refuse(NotFound, "there is no such event")
	}
	if err != nil {
		return 0, a, err
	}
	if subtle.ConstantTimeCompare(has, secret.key()) != 1 {
		return 0, a, refuse(NotYours, "the secret isn't this event's")
	}
	saved := e.Version + 1
	a.Epoch, err = s.write(ctx, func(t *tx) error {
		a.Replayed = false
		args := append(e.values(), op.id(), op.digest(), stamp(now()), e.ID, e.Version, op.id())
		n, err := t.change(`UPDATE hoc_events SET name = ?, description = ?, country = ?, city = ?, latitude = ?, longitude = ?, on_date = ?, at_time = ?,
hours = ?, size = ?, features = ?, version = version + 1, last_op = ?, last_digest = ?, updated_at = ? WHERE id = ? AND version = ? AND last_op <> ?`, args...)
		if err != nil || n == 1 {
			return err
		}
		return t.savedBefore(op, &a, &saved, "SELECT version, last_op, last_digest FROM hoc_events WHERE id = ?", e.ID)
	})
	return saved, a, err
}

const eventColumns = `id, version, name, description, country, city, latitude, longitude, DATE_FORMAT(on_date, '%Y-%m-%d'),
COALESCE(TIME_FORMAT(at_time, '%H:%i'), ''), hours, size, features`

func scanEvent(scan func(...any) error, more ...any) (e Event, err error) {
	var latitude, longitude sql.NullFloat64
	var has string
	err = scan(append([]any{&e.ID, &e.Version, &e.Name, &e.Description, &e.Country, &e.City, &latitude, &longitude, &e.Date, &e.Time, &e.Hours, &e.Size, &has}, more...)...)
	if latitude.Valid {
		e.Latitude, e.Longitude = &latitude.Float64, &longitude.Float64
	}
	e.Features = []string{}
	if has != "" {
		e.Features = strings.Split(has, ",")
	}
	return e, err
}

// Event reads one.
func (s *Store) Event(ctx context.Context, id uint32) (e Event, err error) {
	err = s.read(ctx, func(db *sql.DB) error {
		e, err = scanEvent(db.QueryRowContext(ctx, "SELECT "+eventColumns+" FROM hoc_events WHERE id = ?", id).Scan)
		return err
	})
	if errors.Is(err, sql.ErrNoRows) {
		return e, refuse(NotFound, "there is no such event")
	}
	return e, err
}

// Events are those from a day on (or all), in a country (or all), in which the words occur (or all).
func (s *Store) Events(ctx context.Context, words, country, from string) ([]Event, error) {
	words, err := text("q", words, 0, 200)
	if err != nil {
		return nil, err
	}
	var where []string
	var args []any
	if condition, values := search(words, "name", "city", "description"); condition != "" {
		where, args = append(where, condition), append(args, values...)
	}
	if country != "" {
		if !isCountry(country) {
			return nil, badValue("country", "is not two capital letters")
		}
		where, args = append(where, "country = ?"), append(args, country)
	}
	if from != "" {
		if _, err := time.Parse(time.DateOnly, from); err != nil {
			return nil, badValue("from", "is not a day such as 2026-12-07")
		}
		where, args = append(where, "on_date >= ?"), append(args, from)
	}
	query := "SELECT " + eventColumns + " FROM hoc_events"
	if len(where) > 0 {
		query += " WHERE " + strings.Join(where, " AND ")
	}
	all := []Event{}
	err = s.read(ctx, func(db *sql.DB) error {
		all = all[:0]
		return each(ctx, db, func(scan func(...any) error) error {
			e, err := scanEvent(scan)
			all = append(all, e)
			return err
		}, query+" ORDER BY on_date, id LIMIT 100", args...)
	})
	return all, err
}

// unindexed are words that InnoDB's full-text indexes leave out, beside those of fewer than three
// characters: its default stopwords.
var unindexed = map[string]bool{"about": true, "are": true, "com": true, "for": true, "from": true, "how": true, "that": true, "the": true,
	"this": true, "was": true, "what": true, "when": true, "where": true, "who": true, "will": true, "with": true, "und": true, "www": true}

// search is a condition that all words of what a person types occur in the columns of a full-text
// index, each as the beginning of a word. Its operators are a person's punctuation here. A word that
// is in no index (a city of two characters, say) is looked for in the rows that the others leave.
func search(s string, columns ...string) (condition string, args []any) {
	words := strings.FieldsFunc(s, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsNumber(r) && !unicode.IsMark(r) })
	var indexed strings.Builder
	var conditions []string
	for _, w := range words {
		if utf8.RuneCountInString(w) >= 3 && !unindexed[strings.ToLower(w)] {
			fmt.Fprintf(&indexed, "+%s* ", w)
			continue
		}
		conditions = append(conditions, "CONCAT_WS(' ', "+strings.Join(columns, ", ")+") LIKE ?")
		args = append(args, "%"+w+"%")
	}
	if indexed.Len() > 0 {
		conditions = append(conditions, "MATCH ("+strings.Join(columns, ", ")+") AGAINST (? IN BOOLEAN MODE)")
		args = append(args, strings.TrimSpace(indexed.String()))
	}
	return strings.Join(conditions, " AND "), args
}
