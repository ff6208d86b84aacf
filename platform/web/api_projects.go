package web

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"path"
	"strconv"

	"changeover/platform/assets"
	"changeover/platform/store"
)

func (s *Server) projectRoutes(mux *http.ServeMux) {
	mux.HandleFunc("POST /api/projects", s.api("new-project", s.newProject))
	mux.HandleFunc("GET /api/projects", s.api("projects", s.projects))
	mux.HandleFunc("GET /api/projects/{uuid}", s.api("project", s.project))
	mux.HandleFunc("PUT /api/projects/{uuid}", s.api("save-project", s.saveProject))
	mux.HandleFunc("DELETE /api/projects/{uuid}", s.api("delete-project", s.deleteProject))
	mux.HandleFunc("POST /api/projects/{uuid}/remix", s.api("remix", s.remix))
	mux.HandleFunc("GET /api/projects/{uuid}/assets", s.api("assets", s.listAssets))
	mux.HandleFunc("GET /api/projects/{uuid}/assets/{name}", s.api("asset", s.asset))
	mux.HandleFunc("PUT /api/projects/{uuid}/assets/{name}", s.api("put-asset", s.putAsset))
	mux.HandleFunc("DELETE /api/projects/{uuid}/assets/{name}", s.api("delete-asset", s.deleteAsset))
	mux.HandleFunc("POST /api/projects/{uuid}/libraries", s.api("publish", s.publish))
	mux.HandleFunc("GET /api/libraries", s.api("libraries", s.libraries))
	mux.HandleFunc("GET /api/libraries/{uuid}/{version}", s.api("library", s.library))
}

// The limits of bodies that are larger than others.
const (
	projectLimit = 1<<20 + 64<<10
	libraryLimit = 320 << 10
	assetLimit   = 8 << 20
)

func (s *Server) newProject(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		operation
		UUID   string          `json:"uuid"`
		Kind   string          `json:"kind"`
		Title  string          `json:"title"`
		Source json.RawMessage `json:"source"`
	}
	user, op, err := write(s, w, r, projectLimit, &in)
	if err != nil {
		return err
	}
	id, err := bodyUUID(in.UUID)
	if err != nil {
		return err
	}
	project, a, err := s.cfg.Store.NewProject(r.Context(), op, user, id, in.Kind, in.Title, in.Source)
	if err != nil {
		return err
	}
	return s.wrote(w, a, map[string]any{"project": project})
}

func (s *Server) projects(w http.ResponseWriter, r *http.Request) error {
	user, err := s.user(r)
	if err != nil {
		return err
	}
	all, err := s.cfg.Store.Projects(r.Context(), user)
	if err != nil {
		return err
	}
	return s.answer(w, http.StatusOK, map[string]any{"projects": all})
}

func (s *Server) project(w http.ResponseWriter, r *http.Request) error {
	user, id, err := s.visitor(r)
	if err != nil {
		return err
	}
	project, err := s.cfg.Store.Project(r.Context(), user, id)
	if err != nil {
		return err
	}
	return s.answer(w, http.StatusOK, map[string]any{"project": project})
}

func (s *Server) saveProject(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		operation
		Version uint32          `json:"version"`
		Title   string          `json:"title"`
		Source  json.RawMessage `json:"source"`
		Shared  bool            `json:"shared"`
	}
	user, id, op, err := writeTo(s, w, r, projectLimit, &in)
	if err != nil {
		return err
	}
	version, a, err := s.cfg.Store.SaveProject(r.Context(), op, user, id, in.Version, in.Title, in.Source, in.Shared)
	if err != nil {
		return err
	}
	return s.wrote(w, a, map[string]any{"version": version})
}

func (s *Server) deleteProject(w http.ResponseWriter, r *http.Request) error {
	var in operation
	user, id, _, err := writeTo(s, w, r, bodyLimit, &in)
	if err != nil {
		return err
	}
	blobs, a, err := s.cfg.Store.DeleteProject(r.Context(), user, id)
	if err != nil {
		return err
	}
	s.forget(r, blobs...)
	return s.wrote(w, a, map[string]any{})
}

// forget deletes bytes that no row names any more. What can't be deleted now only takes room.
func (s *Server) forget(r *http.Request, keys ...string) {
	for _, key := range keys {
		if key == "" {
			continue
		}
		if err := s.cfg.Assets.Delete(r.Context(), key); err != nil {
			s.cfg.Log.Warn().Err(err).Str("key", key).Msg("a file that is no longer named was not deleted")
		}
	}
}

func (s *Server) remix(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		operation
		UUID  string `json:"uuid"`
		Title string `json:"title"`
	}
	user, op, err := write(s, w, r, bodyLimit, &in)
	if err != nil {
		return err
	}
	from, err := pathUUID(r)
	if err != nil {
		return err
	}
	id, err := bodyUUID(in.UUID)
	if err != nil {
		return err
	}
	project, a, err := s.cfg.Store.Remix(r.Context(), op, user, from, id, in.Title)
	if err != nil {
		return err
	}
	return s.wrote(w, a, map[string]any{"project": project})
}

func (s *Server) listAssets(w http.ResponseWriter, r *http.Request) error {
	user, id, err := s.visitor(r)
	if err != nil {
		return err
	}
	all, err := s.cfg.Store.Assets(r.Context(), user, id)
	if err != nil {
		return err
	}
	return s.answer(w, http.StatusOK, map[string]any{"assets": all})
}

func (s *Server) asset(w http.ResponseWriter, r *http.Request) error {
	user, id, err := s.visitor(r)
	if err != nil {
		return err
	}
	asset, err := s.cfg.Store.Asset(r.Context(), user, id, r.PathValue("name"))
	if err != nil {
		return err
	}
	tag := `"` + asset.Digest + `"`
	h := w.Header()
	h.Set("ETag", tag)
	h.Set("Cache-Control", "private, no-cache")
	if r.Header.Get("If-None-Match") == tag {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	in, err := s.cfg.Assets.Open(r.Context(), asset.BlobKey)
	if errors.Is(err, assets.ErrNotFound) {
		return &store.Refusal{Code: store.NotFound, Message: "the file's bytes are gone"}
	}
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	h.Set("Content-Type", asset.ContentType)
	h.Set("Content-Length", strconv.Itoa(asset.Size))
	// Somebody else's bytes, on our origin: nothing in them runs.
	h.Set("Content-Security-Policy", "default-src 'none'; sandbox")
	_, err = io.Copy(w, in)
	if err != nil {
		panic(http.ErrAbortHandler) // the length was promised; the browser must not take a part for the whole
	}
	return nil
}

// putAsset puts the bytes first, under a key of the operation's own, then the row that names them.
// A crash in between leaves bytes that nobody names; a retry puts the same bytes at the same place.
func (s *Server) putAsset(w http.ResponseWriter, r *http.Request) error {
	id, err := pathUUID(r)
	if err != nil {
		return err
	}
	user, err := s.user(r)
	if err != nil {
		return err
	}
	name, err := s.cfg.Store.CheckAsset(r.Context(), user, id, r.PathValue("name"))
	if err != nil {
		return err
	}
	body, err := readBody(w, r, assetLimit)
	if err != nil {
		return err
	}
	op, err := newOp(r.URL.Query().Get("op"), []byte(r.Method), []byte(r.URL.Path), body)
	if err != nil {
		return err
	}
	file, err := assets.Inspect(r.Header.Get("Content-Type"), body)
	if err != nil {
		return &store.Refusal{Code: store.BadValue, Field: "body", Message: err.Error()}
	}
	asset := store.Asset{Name: name, ContentType: file.ContentType, Size: len(body), Digest: file.DigestHex(),
		BlobKey: path.Join("projects", id.String(), op.ID.String())}
	// Not over what a row may name already: another body under the same operation is refused below.
	if err := s.cfg.Assets.Put(r.Context(), asset.BlobKey+"-"+file.DigestHex()[:16], file.ContentType, body); err != nil {
		return err
	}
	asset.BlobKey += "-" + file.DigestHex()[:16]
	replaced, a, err := s.cfg.Store.PutAsset(r.Context(), op, user, id, asset, file.Digest[:], file.Preview)
	if err != nil {
		return err
	}
	if replaced != asset.BlobKey {
		s.forget(r, replaced)
	}
	return s.wrote(w, a, map[string]any{"name": asset.Name, "size": asset.Size, "digest": asset.Digest})
}

func (s *Server) deleteAsset(w http.ResponseWriter, r *http.Request) error {
	var in operation
	user, id, _, err := writeTo(s, w, r, bodyLimit, &in)
	if err != nil {
		return err
	}
	blob, a, err := s.cfg.Store.DeleteAsset(r.Context(), user, id, r.PathValue("name"))
	if err != nil {
		return err
	}
	s.forget(r, blob)
	return s.wrote(w, a, map[string]any{})
}

func (s *Server) publish(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		operation
		Name        string   `json:"name"`
		Description string   `json:"description"`
		Source      string   `json:"source"`
		Functions   []string `json:"functions"`
	}
	user, id, op, err := writeTo(s, w, r, libraryLimit, &in)
	if err != nil {
		return err
	}
	version, a, err := s.cfg.Store.Publish(r.Context(), op, user, id, store.Library{Name: in.Name, Description: in.Description, Source: in.Source}, in.Functions)
	if err != nil {
		return err
	}
	return s.wrote(w, a, map[string]any{"version": version})
}

func (s *Server) libraries(w http.ResponseWriter, r *http.Request) error {
	all, err := s.cfg.Store.Libraries(r.Context(), r.URL.Query().Get("q"))
	if err != nil {
		return err
	}
	return s.answer(w, http.StatusOK, map[string]any{"libraries": all})
}

func (s *Server) library(w http.ResponseWriter, r *http.Request) error {
	id, err := pathUUID(r)
	if err != nil {
		return err
	}
	version, err := pathNumber(r, "version", 16)
	if err != nil {
		return err
	}
	library, err := s.cfg.Store.Library(r.Context(), id, uint16(version))
	if err != nil {
		return err
	}
	return s.answer(w, http.StatusOK, library)
}
