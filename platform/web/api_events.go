package web

import (
	"net/http"

	"changeover/platform/store"
)

func (s *Server) eventRoutes(mux *http.ServeMux) {
	mux.HandleFunc("POST /api/events", s.api("new-event", s.newEvent))
	mux.HandleFunc("GET /api/events", s.api("events", s.events))
	mux.HandleFunc("GET /api/events/{event}", s.api("event", s.event))
	mux.HandleFunc("PUT /api/events/{event}", s.api("save-event", s.saveEvent))
}

// eventBody is an event as an organiser sends it. Whoever has the secret may edit it: no account is
// needed.
type eventBody struct {
	operation
	Secret      string   `json:"secret"`
	Version     uint32   `json:"version"`
	Name        string   `json:"name"`
	Description string   `json:"description"`
	Country     string   `json:"country"`
	City        string   `json:"city"`
	Latitude    *float64 `json:"latitude"`
	Longitude   *float64 `json:"longitude"`
	Date        string   `json:"date"`
	Time        string   `json:"time"`
	Hours       float64  `json:"hours"`
	Size        int      `json:"size"`
	Features    []string `json:"features"`
}

func (b *eventBody) event(id uint32) store.Event {
	return store.Event{ID: id, Version: b.Version, Name: b.Name, Description: b.Description, Country: b.Country, City: b.City,
		Latitude: b.Latitude, Longitude: b.Longitude, Date: b.Date, Time: b.Time, Hours: b.Hours, Size: b.Size, Features: b.Features}
}

func secretOf(text string) (store.Token, error) {
	t, err := store.ParseToken(text)
	if err != nil {
		return t, &store.Refusal{Code: store.BadValue, Field: "secret", Message: "is not base64url of 32 bytes"}
	}
	return t, nil
}

func (s *Server) newEvent(w http.ResponseWriter, r *http.Request) error {
	var in eventBody
	op, err := parse(w, r, bodyLimit, &in)
	if err != nil {
		return err
	}
	secret, err := secretOf(in.Secret)
	if err != nil {
		return err
	}
	event, a, err := s.cfg.Store.NewEvent(r.Context(), op, secret, in.event(0))
	if err != nil {
		return err
	}
	return s.wrote(w, a, map[string]any{"event": event})
}

func (s *Server) events(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	all, err := s.cfg.Store.Events(r.Context(), q.Get("q"), q.Get("country"), q.Get("from"))
	if err != nil {
		return err
	}
	return s.answer(w, http.StatusOK, map[string]any{"events": all})
}

func (s *Server) event(w http.ResponseWriter, r *http.Request) error {
	id, err := pathNumber(r, "event", 32)
	if err != nil {
		return err
	}
	event, err := s.cfg.Store.Event(r.Context(), uint32(id))
	if err != nil {
		return err
	}
	return s.answer(w, http.StatusOK, map[string]any{"event": event})
}

func (s *Server) saveEvent(w http.ResponseWriter, r *http.Request) error {
	var in eventBody
	op, err := parse(w, r, bodyLimit, &in)
	if err != nil {
		return err
	}
	id, err := pathNumber(r, "event", 32)
	if err != nil {
		return err
	}
	secret, err := secretOf(in.Secret)
	if err != nil {
		return err
	}
	version, a, err := s.cfg.Store.SaveEvent(r.Context(), op, secret, in.event(uint32(id)))
	if err != nil {
		return err
	}
	return s.wrote(w, a, map[string]any{"version": version})
}
