package web

import (
	"encoding/json"
	"net/http"
)

func (s *Server) dataRoutes(mux *http.ServeMux) {
	mux.HandleFunc("GET /api/projects/{uuid}/tables", s.api("tables", s.dataTables))
	mux.HandleFunc("GET /api/projects/{uuid}/tables/{table}", s.api("records", s.dataRecords))
	mux.HandleFunc("POST /api/projects/{uuid}/tables/{table}", s.api("new-record", s.newRecord))
	mux.HandleFunc("PUT /api/projects/{uuid}/tables/{table}/{record}", s.api("save-record", s.saveRecord))
	mux.HandleFunc("DELETE /api/projects/{uuid}/tables/{table}/{record}", s.api("delete-record", s.deleteRecord))
	mux.HandleFunc("GET /api/projects/{uuid}/kv", s.api("pairs", s.pairs))
	mux.HandleFunc("GET /api/projects/{uuid}/kv/{key}", s.api("pair", s.pair))
	mux.HandleFunc("PUT /api/projects/{uuid}/kv/{key}", s.api("set-pair", s.setPair))
	mux.HandleFunc("DELETE /api/projects/{uuid}/kv/{key}", s.api("delete-pair", s.deletePair))
}

func (s *Server) dataTables(w http.ResponseWriter, r *http.Request) error {
	user, id, err := s.visitor(r)
	if err != nil {
		return err
	}
	all, err := s.cfg.Store.DataTables(r.Context(), user, id)
	if err != nil {
		return err
	}
	return s.answer(w, http.StatusOK, map[string]any{"tables": all})
}

func (s *Server) dataRecords(w http.ResponseWriter, r *http.Request) error {
	user, id, err := s.visitor(r)
	if err != nil {
		return err
	}
	columns, records, err := s.cfg.Store.DataRecords(r.Context(), user, id, r.PathValue("table"))
	if err != nil {
		return err
	}
	return s.answer(w, http.StatusOK, map[string]any{"columns": columns, "records": records})
}

func (s *Server) newRecord(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		operation
		Value json.RawMessage `json:"value"`
	}
	user, id, op, err := writeTo(s, w, r, bodyLimit, &in)
	if err != nil {
		return err
	}
	record, a, err := s.cfg.Store.NewRecord(r.Context(), op, user, id, r.PathValue("table"), in.Value)
	if err != nil {
		return err
	}
	return s.wrote(w, a, map[string]any{"id": record.ID, "version": record.Version})
}

func (s *Server) saveRecord(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		operation
		Version uint32          `json:"version"`
		Value   json.RawMessage `json:"value"`
	}
	user, id, op, err := writeTo(s, w, r, bodyLimit, &in)
	if err != nil {
		return err
	}
	record, err := pathNumber(r, "record", 64)
	if err != nil {
		return err
	}
	version, a, err := s.cfg.Store.SaveRecord(r.Context(), op, user, id, r.PathValue("table"), record, in.Version, in.Value)
	if err != nil {
		return err
	}
	return s.wrote(w, a, map[string]any{"version": version})
}

func (s *Server) deleteRecord(w http.ResponseWriter, r *http.Request) error {
	var in operation
	user, id, _, err := writeTo(s, w, r, bodyLimit, &in)
	if err != nil {
		return err
	}
	record, err := pathNumber(r, "record", 64)
	if err != nil {
		return err
	}
	a, err := s.cfg.Store.DeleteRecord(r.Context(), user, id, r.PathValue("table"), record)
	if err != nil {
		return err
	}
	return s.wrote(w, a, map[string]any{})
}

func (s *Server) pairs(w http.ResponseWriter, r *http.Request) error {
	user, id, err := s.visitor(r)
	if err != nil {
		return err
	}
	all, err := s.cfg.Store.Pairs(r.Context(), user, id)
	if err != nil {
		return err
	}
	values := map[string]json.RawMessage{}
	for _, p := range all {
		values[p.Key] = p.Value
	}
	return s.answer(w, http.StatusOK, map[string]any{"pairs": values})
}

func (s *Server) pair(w http.ResponseWriter, r *http.Request) error {
	user, id, err := s.visitor(r)
	if err != nil {
		return err
	}
	pair, err := s.cfg.Store.Pair(r.Context(), user, id, r.PathValue("key"))
	if err != nil {
		return err
	}
	return s.answer(w, http.StatusOK, pair)
}

func (s *Server) setPair(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		operation
		Value json.RawMessage `json:"value"`
	}
	user, id, op, err := writeTo(s, w, r, bodyLimit, &in)
	if err != nil {
		return err
	}
	version, a, err := s.cfg.Store.SetPair(r.Context(), op, user, id, r.PathValue("key"), in.Value)
	if err != nil {
		return err
	}
	return s.wrote(w, a, map[string]any{"version": version})
}

func (s *Server) deletePair(w http.ResponseWriter, r *http.Request) error {
	var in operation
	user, id, _, err := writeTo(s, w, r, bodyLimit, &in)
	if err != nil {
		return err
	}
	a, err := s.cfg.Store.DeletePair(r.Context(), user, id, r.PathValue("key"))
	if err != nil {
		return err
	}
	return s.wrote(w, a, map[string]any{})
}
