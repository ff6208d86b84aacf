package web

import (
	"encoding/json"
	"net/http"
	"slices"

	"changeover/platform/store"
)

func (s *Server) learningRoutes(mux *http.ServeMux) {
	mux.HandleFunc("GET /api/curriculum", s.api("curriculum", s.curriculum))
	mux.HandleFunc("POST /api/run", s.api("run", s.run))
	mux.HandleFunc("GET /api/progress", s.api("progress", s.progress))
	mux.HandleFunc("GET /api/attempts", s.api("attempts", s.attempts))
	mux.HandleFunc("GET /api/attempts/{activity}", s.api("attempt", s.attempt))
	mux.HandleFunc("POST /api/hoc/start", s.api("hoc-start", s.startHour))
	mux.HandleFunc("POST /api/hoc/finish", s.api("hoc-finish", s.finishHour))
	mux.HandleFunc("POST /api/join", s.api("join", s.join))
	mux.HandleFunc("POST /api/sections", s.api("new-section", s.newSection))
	mux.HandleFunc("GET /api/sections", s.api("sections", s.sections))
	mux.HandleFunc("GET /api/sections/{section}/progress", s.api("grid", s.grid))
	mux.HandleFunc("DELETE /api/sections/{section}/students/{student}", s.api("remove-student", s.removeStudent))
	mux.HandleFunc("POST /api/feedback", s.api("new-feedback", s.newFeedback))
	mux.HandleFunc("GET /api/feedback", s.api("feedback", s.feedback))
	mux.HandleFunc("POST /api/feedback/{feedback}/seen", s.api("saw-feedback", s.sawFeedback))
}

func (s *Server) curriculum(w http.ResponseWriter, r *http.Request) error {
	scripts, err := s.cfg.Store.Scripts(r.Context())
	if err != nil {
		return err
	}
	return s.answer(w, http.StatusOK, map[string]any{"scripts": scripts})
}

func (s *Server) run(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		operation
		Script  string          `json:"script"`
		Level   int             `json:"level"`
		Program string          `json:"program"`
		Result  int             `json:"result"`
		TimeMs  int             `json:"timeMs"`
		Lines   int             `json:"lines"`
		State   json.RawMessage `json:"state"`
	}
	user, op, err := write(s, w, r, bodyLimit, &in)
	if err != nil {
		return err
	}
	ran, a, err := s.cfg.Store.Run(r.Context(), op, user, store.Run{Script: in.Script, Level: in.Level, Program: in.Program,
		Result: in.Result, TimeMs: in.TimeMs, Lines: in.Lines, State: in.State})
	if err != nil {
		return err
	}
	return s.wrote(w, a, ran)
}

func (s *Server) progress(w http.ResponseWriter, r *http.Request) error {
	user, err := s.user(r)
	if err != nil {
		return err
	}
	script := r.URL.Query().Get("script")
	levels, err := s.cfg.Store.Progress(r.Context(), user, script)
	if err != nil {
		return err
	}
	return s.answer(w, http.StatusOK, map[string]any{"script": script, "levels": levels, "totalLines": user.TotalLines})
}

func (s *Server) attempts(w http.ResponseWriter, r *http.Request) error {
	user, err := s.user(r)
	if err != nil {
		return err
	}
	level, err := queryNumber(r, "level")
	if err != nil {
		return err
	}
	student := int(user.ID)
	if r.URL.Query().Has("student") {
		if student, err = queryNumber(r, "student"); err != nil {
			return err
		}
	}
	all, err := s.cfg.Store.Attempts(r.Context(), user, uint32(student), r.URL.Query().Get("script"), level)
	if err != nil {
		return err
	}
	return s.answer(w, http.StatusOK, map[string]any{"attempts": all})
}

func (s *Server) attempt(w http.ResponseWriter, r *http.Request) error {
	user, err := s.user(r)
	if err != nil {
		return err
	}
	activity, err := pathNumber(r, "activity", 63)
	if err != nil {
		return err
	}
	attempt, err := s.cfg.Store.Attempt(r.Context(), user, int64(activity))
	if err != nil {
		return err
	}
	return s.answer(w, http.StatusOK, attempt)
}

func (s *Server) startHour(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		operation
		Script  string `json:"script"`
		Country string `json:"country"`
	}
	user, op, err := write(s, w, r, bodyLimit, &in)
	if err != nil {
		return err
	}
	id, a, err := s.cfg.Store.StartHour(r.Context(), op, user, in.Script, in.Country, clientIP(r), r.Referer())
	if err != nil {
		return err
	}
	return s.wrote(w, a, map[string]any{"hoc": id})
}

func (s *Server) finishHour(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		operation
		Hour uint64 `json:"hoc"`
		Name string `json:"name"`
	}
	user, op, err := write(s, w, r, bodyLimit, &in)
	if err != nil {
		return err
	}
	certificate, a, err := s.cfg.Store.FinishHour(r.Context(), op, user, in.Hour, in.Name)
	if err != nil {
		return err
	}
	return s.wrote(w, a, map[string]any{"certificate": certificate})
}

func (s *Server) join(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		operation
		Code string `json:"code"`
		Name string `json:"name"`
	}
	user, _, err := write(s, w, r, bodyLimit, &in)
	if err != nil {
		return err
	}
	section, a, err := s.cfg.Store.Join(r.Context(), user, in.Code, in.Name)
	if err != nil {
		return err
	}
	return s.wrote(w, a, map[string]any{"section": map[string]any{"id": section.ID, "name": section.Name, "script": section.Script}})
}

func (s *Server) newSection(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		operation
		Name   string `json:"name"`
		Script string `json:"script"`
	}
	user, op, err := write(s, w, r, bodyLimit, &in)
	if err != nil {
		return err
	}
	section, a, err := s.cfg.Store.NewSection(r.Context(), op, user, in.Name, in.Script)
	if err != nil {
		return err
	}
	return s.wrote(w, a, map[string]any{"section": section})
}

func (s *Server) sections(w http.ResponseWriter, r *http.Request) error {
	user, err := s.user(r)
	if err != nil {
		return err
	}
	all, err := s.cfg.Store.Sections(r.Context(), user)
	if err != nil {
		return err
	}
	return s.answer(w, http.StatusOK, map[string]any{"sections": all})
}

func (s *Server) grid(w http.ResponseWriter, r *http.Request) error {
	user, err := s.user(r)
	if err != nil {
		return err
	}
	section, err := pathNumber(r, "section", 32)
	if err != nil {
		return err
	}
	grid, err := s.cfg.Store.Grid(r.Context(), user, uint32(section))
	if err != nil {
		return err
	}
	in := texts(r)
	grid.Levels = slices.Clone(grid.Levels) // they are the store's
	for i := range grid.Levels {
		grid.Levels[i].Title = in.Course(grid.Levels[i].Title)
	}
	return s.answer(w, http.StatusOK, grid)
}

func (s *Server) removeStudent(w http.ResponseWriter, r *http.Request) error {
	var in operation
	user, _, err := write(s, w, r, bodyLimit, &in)
	if err != nil {
		return err
	}
	section, err := pathNumber(r, "section", 32)
	if err != nil {
		return err
	}
	student, err := pathNumber(r, "student", 32)
	if err != nil {
		return err
	}
	a, err := s.cfg.Store.RemoveStudent(r.Context(), user, uint32(section), uint32(student))
	if err != nil {
		return err
	}
	return s.wrote(w, a, map[string]any{})
}

func (s *Server) newFeedback(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		operation
		Student  uint32 `json:"student"`
		Script   string `json:"script"`
		Level    int    `json:"level"`
		Activity int64  `json:"activity"`
		Comment  string `json:"comment"`
		Rating   string `json:"rating"`
	}
	user, op, err := write(s, w, r, bodyLimit, &in)
	if err != nil {
		return err
	}
	id, a, err := s.cfg.Store.GiveFeedback(r.Context(), op, user, store.NewFeedback{Student: in.Student, Script: in.Script, Level: in.Level,
		Activity: in.Activity, Comment: in.Comment, Rating: in.Rating})
	if err != nil {
		return err
	}
	return s.wrote(w, a, map[string]any{"feedback": id})
}

func (s *Server) feedback(w http.ResponseWriter, r *http.Request) error {
	user, err := s.user(r)
	if err != nil {
		return err
	}
	all, err := s.cfg.Store.Feedback(r.Context(), user)
	if err != nil {
		return err
	}
	in := texts(r)
	for i := range all {
		all[i].LevelTitle = in.Course(all[i].LevelTitle)
	}
	return s.answer(w, http.StatusOK, map[string]any{"feedback": all})
}

func (s *Server) sawFeedback(w http.ResponseWriter, r *http.Request) error {
	var in operation
	user, _, err := write(s, w, r, bodyLimit, &in)
	if err != nil {
		return err
	}
	id, err := pathNumber(r, "feedback", 32)
	if err != nil {
		return err
	}
	a, err := s.cfg.Store.SawFeedback(r.Context(), user, uint32(id))
	if err != nil {
		return err
	}
	return s.wrote(w, a, map[string]any{})
}
