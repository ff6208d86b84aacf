package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"time"

	"github.com/google/uuid"
)

// Project is what a person makes: a dance or an app.
type Project struct {
	UUID      uuid.UUID       `json:"uuid"`
	Kind      string          `json:"kind"`
	Title     string          `json:"title"`
	Version   uint32          `json:"version"`
	Shared    bool            `json:"shared"`
	UpdatedAt time.Time       `json:"updatedAt"`
	Owner     *Person         `json:"owner,omitempty"`
	Source    json.RawMessage `json:"source,omitempty"`
	id        uint32
}

const sourceLimit = 1 << 20

func checkProject(title string, source json.RawMessage) (string, error) {
	title, err := text("title", title, 1, 120)
	if err != nil {
		return "", err
	}
	return title, object("source", source, sourceLimit)
}

// NewProject makes a project under an id that the browser chose.
func (s *Store) NewProject(ctx context.Context, op Op, owner User, id uuid.UUID, kind, title string, source json.RawMessage) (Project, Answer, error) {
	if kind != "dance" && kind != "applab" {
		return Project{}, Answer{}, badValue("kind", "is %q; it can be dance or applab", kind)
	}
	title, err := checkProject(title, source)
	if err != nil {
		return Project{}, Answer{}, err
	}
	return s.insertProject(ctx, op, owner, id, kind, title, source, nil)
}

func (s *Store) insertProject(ctx context.Context, op Op, owner User, id uuid.UUID, kind, title string, source json.RawMessage, from any) (Project, Answer, error) {
	p := Project{UUID: id, Kind: kind, Title: title, Version: 1, Owner: &Person{owner.ID, owner.Name}}
	var a Answer
	var err error
	a.Epoch, err = s.write(ctx, func(t *tx) error {
		a.Replayed = false
		at := now()
		p.UpdatedAt = at
		_, err := t.exec(`INSERT INTO projects (uuid, op_id, op_digest, last_op, last_digest, owner_id, kind, title, source, version, remixed_from, created_at, updated_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 1, ?, ?, ?)`, id[:], op.id(), op.digest(), op.id(), op.digest(), owner.ID, kind, title, string(source), from, stamp(at), stamp(at))
		if key, ok := duplicate(err); ok {
			return t.projectBefore(op, key, id, &p, &a)
		}
		return err
	})
	return p, a, err
}

// projectBefore answers for a row that was there already: ours, or another's with the same uuid.
func (t *tx) projectBefore(op Op, key string, id uuid.UUID, p *Project, a *Answer) error {
	var digest, was []byte
	err := t.row("SELECT op_digest, uuid, kind, title, version, shared, updated_at FROM projects WHERE op_id = ?", op.id()).
		Scan(&digest, &was, &p.Kind, &p.Title, &p.Version, &p.Shared, &p.UpdatedAt)
	if errors.Is(err, sql.ErrNoRows) {
		return &Refusal{Code: Taken, Field: "uuid", Message: "another project has this id"}
	}
	if err != nil {
		return err
	}
	a.Replayed = true
	return op.replayed(digest)
}

// Projects are a person's own, those changed last first.
func (s *Store) Projects(ctx context.Context, owner User) ([]Project, error) {
	all := []Project{}
	err := s.read(ctx, func(db *sql.DB) error {
		all = all[:0]
		return each(ctx, db, func(scan func(...any) error) error {
			var p Project
			err := scan(&p.UUID, &p.Kind, &p.Title, &p.Version, &p.Shared, &p.UpdatedAt)
			all = append(all, p)
			return err
		}, "SELECT uuid, kind, title, version, shared, updated_at FROM projects WHERE owner_id = ? ORDER BY updated_at DESC LIMIT 500", owner.ID)
	})
	return all, err
}

// find reads a project without its source. A user of nobody's has id 0.
func (s *Store) findProject(ctx context.Context, id uuid.UUID) (Project, error) {
	p := Project{Owner: &Person{}}
	err := s.read(ctx, func(db *sql.DB) error {
		return db.QueryRowContext(ctx, `SELECT p.id, p.uuid, p.kind, p.title, p.version, p.shared, p.updated_at, u.id, u.name
FROM projects p JOIN users u ON u.id = p.owner_id WHERE p.uuid = ?`, id[:]).
			Scan(&p.id, &p.UUID, &p.Kind, &p.Title, &p.Version, &p.Shared, &p.UpdatedAt, &p.Owner.ID, &p.Owner.Name)
	})
	if errors.Is(err, sql.ErrNoRows) {
		return p, refuse(NotFound, "there is no such project")
	}
	return p, err
}

// visibleProject is one that the user may see: an own one, or a shared one.
func (s *Store) visibleProject(ctx context.Context, user User, id uuid.UUID) (Project, error) {
	p, err := s.findProject(ctx, id)
	if err == nil && p.Owner.ID != user.ID && !p.Shared {
		return Project{}, refuse(NotYours, "this project isn't shared")
	}
	return p, err
}

func (s *Store) ownProject(ctx context.Context, user User, id uuid.UUID) (Project, error) {
	p, err := s.findProject(ctx, id)
	if err == nil && p.Owner.ID != user.ID {
		return Project{}, refuse(NotYours, "this is somebody else's project")
	}
	return p, err
}

// Project reads one with its source.
func (s *Store) Project(ctx context.Context, user User, id uuid.UUID) (Project, error) {
	p, err := s.visibleProject(ctx, user, id)
	if err != nil {
		return p, err
	}
	err = s.read(ctx, func(db *sql.DB) error {
		// Version and source of one moment.
		return db.QueryRowContext(ctx, "SELECT title, version, source FROM projects WHERE id = ?", p.id).Scan(&p.Title, &p.Version, &p.Source)
	})
	if errors.Is(err, sql.ErrNoRows) {
		return p, refuse(NotFound, "there is no such project")
	}
	return p, err
}

// SaveProject replaces version of a project, if it still is the present one, and returns the new one.
func (s *Store) SaveProject(ctx context.Context, op Op, owner User, id uuid.UUID, version uint32, title string, source json.RawMessage, shared bool) (uint32, Answer, error) {
	var a Answer
	title, err := checkProject(title, source)
	if err != nil {
		return 0, a, err
	}
	p, err := s.ownProject(ctx, owner, id)
	if err != nil {
		return 0, a, err
	}
	saved := version + 1
	a.Epoch, err = s.write(ctx, func(t *tx) error {
		a.Replayed = false
		n, err := t.change(`UPDATE projects SET title = ?, source = ?, shared = ?, version = version + 1, last_op = ?, last_digest = ?, updated_at = ?
WHERE id = ? AND version = ? AND last_op <> ?`, title, string(source), shared, op.id(), op.digest(), stamp(now()), p.id, version, op.id())
		if err != nil || n == 1 {
			return err
		}
		return t.savedBefore(op, &a, &saved, "SELECT version, last_op, last_digest FROM projects WHERE id = ?", p.id)
	})
	return saved, a, err
}

// savedBefore answers for a compare-and-set that found no row: it was this operation that replaced
// the version, or another one.
func (t *tx) savedBefore(op Op, a *Answer, version *uint32, query string, args ...any) error {
	var last, digest []byte
	var present uint32
	err := t.row(query, args...).Scan(&present, &last, &digest)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return refuse(NotFound, "it is gone")
	case err != nil:
		return err
	case string(last) == string(op.ID[:]):
		a.Replayed = true
		*version = present
		return op.replayed(digest)
	}
	return &Refusal{Code: VersionConflict, Field: "version", Version: present, Message: "it was saved from elsewhere in the meantime"}
}

// Remix copies a project that the user may see.
func (s *Store) Remix(ctx context.Context, op Op, user User, from, id uuid.UUID, title string) (Project, Answer, error) {
	p, err := s.Project(ctx, user, from)
	if err != nil {
		return Project{}, Answer{}, err
	}
	if title == "" {
		title = p.Title
	}
	if title, err = text("title", title, 1, 120); err != nil {
		return Project{}, Answer{}, err
	}
	return s.insertProject(ctx, op, user, id, p.Kind, title, p.Source, p.id)
}

// DeleteProject removes a project and all that belongs to it; remixes of it stay. It returns the
// names under which its files are kept.
func (s *Store) DeleteProject(ctx context.Context, owner User, id uuid.UUID) (blobs []string, a Answer, err error) {
	p, err := s.ownProject(ctx, owner, id)
	var r *Refusal
	if errors.As(err, &r) && r.Code == NotFound {
		return nil, a, nil // a replay, most likely; gone is what was asked for
	}
	if err != nil {
		return nil, a, err
	}
	a.Epoch, err = s.write(ctx, func(t *tx) error {
		blobs = nil
		if err := each(ctx, t, func(scan func(...any) error) error {
			var key string
			err := scan(&key)
			blobs = append(blobs, key)
			return err
		}, "SELECT blob_key FROM project_assets WHERE project_id = ?", p.id); err != nil {
			return err
		}
		_, err := t.exec("DELETE FROM projects WHERE id = ?", p.id)
		return err
	})
	return blobs, a, err
}

// Asset is a file of a project's.
type Asset struct {
	Name        string `json:"name"`
	ContentType string `json:"contentType"`
	Size        int    `json:"size"`
	Digest      string `json:"digest"` // SHA-256, hex
	BlobKey     string `json:"-"`
}

// CheckAsset tells whether a file of that name and type could be added by the user, before its bytes
// are put anywhere.
func (s *Store) CheckAsset(ctx context.Context, owner User, id uuid.UUID, name string) (string, error) {
	name, err := text("name", name, 1, 120)
	if err != nil {
		return "", err
	}
	_, err = s.ownProject(ctx, owner, id)
	return name, err
}

// PutAsset adds a file whose bytes are in the blob store already, or replaces the one of its name;
// replaced is that one's key.
func (s *Store) PutAsset(ctx context.Context, op Op, owner User, id uuid.UUID, asset Asset, digest, preview []byte) (replaced string, a Answer, err error) {
	p, err := s.ownProject(ctx, owner, id)
	if err != nil {
		return "", a, err
	}
	a.Epoch, err = s.write(ctx, func(t *tx) error {
		a.Replayed, replaced = false, ""
		var had []byte
		switch err := t.row("SELECT op_digest FROM project_assets WHERE op_id = ?", op.id()).Scan(&had); {
		case err == nil:
			a.Replayed = true
			return op.replayed(had)
		case !errors.Is(err, sql.ErrNoRows):
			return err
		}
		err := t.row("SELECT blob_key FROM project_assets WHERE project_id = ? AND name = ? FOR UPDATE", p.id, asset.Name).Scan(&replaced)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		_, err = t.exec(`INSERT INTO project_assets (project_id, name, op_id, op_digest, content_type, size, digest, blob_key, preview, created_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON DUPLICATE KEY UPDATE op_id = VALUES(op_id), op_digest = VALUES(op_digest), content_type = VALUES(content_type),
size = VALUES(size), digest = VALUES(digest), blob_key = VALUES(blob_key), preview = VALUES(preview), created_at = VALUES(created_at)`,
			p.id, asset.Name, op.id(), op.digest(), asset.ContentType, asset.Size, digest, asset.BlobKey, preview, stamp(now()))
		return err
	})
	return replaced, a, err
}

// Assets lists a project's files.
func (s *Store) Assets(ctx context.Context, user User, id uuid.UUID) ([]Asset, error) {
	p, err := s.visibleProject(ctx, user, id)
	if err != nil {
		return nil, err
	}
	all := []Asset{}
	err = s.read(ctx, func(db *sql.DB) error {
		all = all[:0]
		return each(ctx, db, func(scan func(...any) error) error {
			var a Asset
			err := scan(&a.Name, &a.ContentType, &a.Size, &a.Digest, &a.BlobKey)
			all = append(all, a)
			return err
		}, "SELECT name, content_type, size, LOWER(HEX(digest)), blob_key FROM project_assets WHERE project_id = ? ORDER BY name", p.id)
	})
	return all, err
}

// Asset finds one file.
func (s *Store) Asset(ctx context.Context, user User, id uuid.UUID, name string) (Asset, error) {
	all, err := s.Assets(ctx, user, id)
	for _, a := range all {
		if a.Name == name {
			return a, nil
		}
	}
	if err != nil {
		return Asset{}, err
	}
	return Asset{}, refuse(NotFound, "the project has no such file")
}

// DeleteAsset removes a file; there may be none. It returns the key under which its bytes are.
func (s *Store) DeleteAsset(ctx context.Context, owner User, id uuid.UUID, name string) (blob string, a Answer, err error) {
	p, err := s.ownProject(ctx, owner, id)
	if err != nil {
		return "", a, err
	}
	a.Epoch, err = s.write(ctx, func(t *tx) error {
		blob = ""
		err := t.row("SELECT blob_key FROM project_assets WHERE project_id = ? AND name = ? FOR UPDATE", p.id, name).Scan(&blob)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err == nil {
			_, err = t.exec("DELETE FROM project_assets WHERE project_id = ? AND name = ?", p.id, name)
		}
		return err
	})
	return blob, a, err
}

// Library is a version of the functions that an app offers to others.
type Library struct {
	UUID        uuid.UUID       `json:"uuid"` // the app's
	Name        string          `json:"name"`
	Description string          `json:"description"`
	Version     uint16          `json:"version"`
	Functions   json.RawMessage `json:"functions"`
	Source      string          `json:"source,omitempty"`
}

// Publish makes the next version of an app's library.
func (s *Store) Publish(ctx context.Context, op Op, owner User, id uuid.UUID, l Library, functions []string) (version uint16, a Answer, err error) {
	if l.Name, err = text("name", l.Name, 1, 80); err != nil {
		return 0, a, err
	}
	if l.Description, err = text("description", l.Description, 0, 2000); err != nil {
		return 0, a, err
	}
	if err := verbatim("source", l.Source, 256<<10); err != nil {
		return 0, a, err
	}
	if len(functions) == 0 || len(functions) > 200 {
		return 0, a, badValue("functions", "needs 1 to 200 names")
	}
	for _, f := range functions {
		if f == "" || len(f) > 80 || !ascii(f, "_$") {
			return 0, a, badValue("functions", "has a name that is none of a function")
		}
	}
	names, err := json.Marshal(functions)
	if err != nil {
		return 0, a, err
	}
	p, err := s.ownProject(ctx, owner, id)
	if err != nil {
		return 0, a, err
	}
	if p.Kind != "applab" {
		return 0, a, refuse(NotAllowed, "only an app has libraries")
	}
	a.Epoch, err = s.write(ctx, func(t *tx) error {
		a.Replayed = false
		var digest []byte
		switch err := t.row("SELECT version, op_digest FROM libraries WHERE op_id = ?", op.id()).Scan(&version, &digest); {
		case err == nil:
			a.Replayed = true
			return op.replayed(digest)
		case !errors.Is(err, sql.ErrNoRows):
			return err
		}
		// The project's row makes two publishers take turns.
		if err := t.row("SELECT id FROM projects WHERE id = ? FOR UPDATE", p.id).Scan(new(uint32)); err != nil {
			return goneIfNoRow(err)
		}
		if err := t.row("SELECT COALESCE(MAX(version), 0) + 1 FROM libraries WHERE project_id = ?", p.id).Scan(&version); err != nil {
			return err
		}
		_, err := t.exec("INSERT INTO libraries (project_id, version, op_id, op_digest, name, description, source, functions, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
			p.id, version, op.id(), op.digest(), l.Name, l.Description, l.Source, string(names), stamp(now()))
		if isDuplicateOp(err) {
			return errRaced
		}
		return err
	})
	return version, a, err
}

func goneIfNoRow(err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return refuse(NotFound, "it is gone")
	}
	return err
}

// Libraries are the newest versions of all libraries in which the words occur, or of all.
func (s *Store) Libraries(ctx context.Context, words string) ([]Library, error) {
	words, err := text("q", words, 0, 200)
	if err != nil {
		return nil, err
	}
	query := `SELECT p.uuid, l.name, l.description, l.version, l.functions FROM libraries l JOIN projects p ON p.id = l.project_id
WHERE l.version = (SELECT MAX(x.version) FROM libraries x WHERE x.project_id = l.project_id)`
	condition, args := search(words, "l.name", "l.description")
	if condition != "" {
		query += " AND " + condition
	}
	all := []Library{}
	err = s.read(ctx, func(db *sql.DB) error {
		all = all[:0]
		return each(ctx, db, func(scan func(...any) error) error {
			var l Library
			err := scan(&l.UUID, &l.Name, &l.Description, &l.Version, &l.Functions)
			all = append(all, l)
			return err
		}, query+" ORDER BY l.created_at DESC LIMIT 100", args...)
	})
	return all, err
}

// Library reads one version with its source. Whatever was published may be read by all.
func (s *Store) Library(ctx context.Context, id uuid.UUID, version uint16) (Library, error) {
	l := Library{UUID: id, Version: version}
	err := s.read(ctx, func(db *sql.DB) error {
		return db.QueryRowContext(ctx, `SELECT l.name, l.description, l.functions, l.source FROM libraries l JOIN projects p ON p.id = l.project_id
WHERE p.uuid = ? AND l.version = ?`, id[:], version).Scan(&l.Name, &l.Description, &l.Functions, &l.Source)
	})
	if errors.Is(err, sql.ErrNoRows) {
		return l, refuse(NotFound, "there is no such library")
	}
	return l, err
}
