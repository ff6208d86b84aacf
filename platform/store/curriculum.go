package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"time"
)

// Script is a course.
type Script struct {
	ID     uint16  `json:"-"`
	Name   string  `json:"name"`
	Title  string  `json:"title"`
	Kind   string  `json:"kind"`
	Group  string  `json:"group"`
	Levels []Level `json:"levels"`
}

// Level is a puzzle of a script; its number is its position there, from 1.
type Level struct {
	ID           uint16          `json:"-"`
	Number       int             `json:"level"`
	Title        string          `json:"title"`
	Instructions string          `json:"-"`
	Definition   json.RawMessage `json:"-"`
}

// Level finds the level of that number.
func (s *Script) Level(number int) (*Level, bool) {
	for i := range s.Levels {
		if s.Levels[i].Number == number {
			return &s.Levels[i], true
		}
	}
	return nil, false
}

type curriculum struct {
	scripts []Script
	byName  map[string]*Script
	byLevel map[uint16]place
	read    time.Time
}

type place struct {
	script *Script
	level  *Level
}

// curriculumAge is how long a server goes on with the curriculum that it has read: it changes a few
// times a year, and is read by every click.
const curriculumAge = 30 * time.Second

func (s *Store) curriculum(ctx context.Context) (*curriculum, error) {
	if c := s.cache.Load(); c != nil && time.Since(c.read) < curriculumAge {
		return c, nil
	}
	c := &curriculum{byName: map[string]*Script{}, byLevel: map[uint16]place{}, read: time.Now()}
	err := s.read(ctx, func(db *sql.DB) error { return c.load(ctx, db) })
	if err != nil {
		if old := s.cache.Load(); old != nil {
			return old, nil // rather an old curriculum than none
		}
		return nil, err
	}
	s.cache.Store(c)
	return c, nil
}

func (c *curriculum) load(ctx context.Context, db *sql.DB) error {
	c.scripts = nil
	rows, err := db.QueryContext(ctx, "SELECT id, name, title, kind, `group` FROM scripts ORDER BY `group`, position")
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		s := Script{Levels: []Level{}}
		if err := rows.Scan(&s.ID, &s.Name, &s.Title, &s.Kind, &s.Group); err != nil {
			return err
		}
		c.scripts = append(c.scripts, s)
	}
	if err := rows.Err(); err != nil {
		return err
	}
	byID := map[uint16]*Script{}
	for i := range c.scripts {
		byID[c.scripts[i].ID] = &c.scripts[i]
		c.byName[c.scripts[i].Name] = &c.scripts[i]
	}
	levels, err := db.QueryContext(ctx, "SELECT script_id, id, position, title, instructions, definition FROM levels ORDER BY script_id, position")
	if err != nil {
		return err
	}
	defer func() { _ = levels.Close() }()
	for levels.Next() {
		var script uint16
		var l Level
		if err := levels.Scan(&script, &l.ID, &l.Number, &l.Title, &l.Instructions, &l.Definition); err != nil {
			return err
		}
		if s := byID[script]; s != nil {
			s.Levels = append(s.Levels, l)
		}
	}
	for i := range c.scripts {
		for j := range c.scripts[i].Levels {
			c.byLevel[c.scripts[i].Levels[j].ID] = place{&c.scripts[i], &c.scripts[i].Levels[j]}
		}
	}
	return levels.Err()
}

// Scripts are all courses with their levels.
func (s *Store) Scripts(ctx context.Context) ([]Script, error) {
	c, err := s.curriculum(ctx)
	if err != nil {
		return nil, err
	}
	return c.scripts, nil
}

// Script finds a course by its name.
func (s *Store) Script(ctx context.Context, name string) (*Script, error) {
	c, err := s.curriculum(ctx)
	if err != nil {
		return nil, err
	}
	found := c.byName[name]
	if found == nil {
		return nil, &Refusal{Code: NotFound, Field: "script", Message: "there is no such course"}
	}
	return found, nil
}

// level finds a course's level, as a request names them.
func (s *Store) level(ctx context.Context, script string, number int) (*Script, *Level, error) {
	found, err := s.Script(ctx, script)
	if err != nil {
		return nil, nil, err
	}
	level, ok := found.Level(number)
	if !ok {
		return nil, nil, &Refusal{Code: NotFound, Field: "level", Message: "the course has no such level"}
	}
	return found, level, nil
}

// place tells a level's course and number for its id; a level that is gone has neither.
func (s *Store) place(ctx context.Context, level uint16) (script string, number int, title string, err error) {
	c, err := s.curriculum(ctx)
	if err != nil {
		return "", 0, "", err
	}
	if p, ok := c.byLevel[level]; ok {
		return p.script.Name, p.level.Number, p.level.Title, nil
	}
	return "", 0, "", nil
}

// scriptName tells a course's name for its id, or nothing.
func (c *curriculum) scriptName(id sql.NullInt64) string {
	for i := range c.scripts {
		if id.Valid && int64(c.scripts[i].ID) == id.Int64 {
			return c.scripts[i].Name
		}
	}
	return ""
}
