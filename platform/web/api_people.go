package web

import (
	"net/http"

	"changeover/platform/store"
)

func (s *Server) peopleRoutes(mux *http.ServeMux) {
	mux.HandleFunc("POST /api/guest", s.api("guest", s.newGuest))
	mux.HandleFunc("POST /api/account", s.api("account", s.newAccount))
	mux.HandleFunc("POST /api/sign-in", s.api("sign-in", s.signIn))
	mux.HandleFunc("POST /api/sign-out", s.api("sign-out", s.signOut))
	mux.HandleFunc("GET /api/me", s.api("me", s.me))
}

func (s *Server) newGuest(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		operation
		Session string `json:"session"`
		Locale  string `json:"locale"`
	}
	op, err := parse(w, r, bodyLimit, &in)
	if err != nil {
		return err
	}
	t, err := store.ParseToken(in.Session)
	if err != nil {
		return err
	}
	if in.Locale == "" {
		in.Locale = "en"
	}
	user, a, err := s.cfg.Store.NewGuest(r.Context(), op, t, in.Locale)
	if err != nil {
		return err
	}
	setSession(w, r, t)
	return s.wrote(w, a, map[string]any{"user": user})
}

func (s *Server) newAccount(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		operation
		Session   string     `json:"session"`
		Kind      store.Kind `json:"kind"`
		Login     string     `json:"login"`
		Password  string     `json:"password"`
		Name      string     `json:"name"`
		Email     string     `json:"email"`
		BirthYear int        `json:"birthYear"`
		Locale    string     `json:"locale"`
	}
	op, err := parse(w, r, bodyLimit, &in)
	if err != nil {
		return err
	}
	t, err := store.ParseToken(in.Session)
	if err != nil {
		return err
	}
	before, err := s.anybody(r)
	if err != nil {
		return err
	}
	var guest *store.User
	if before.ID != 0 {
		guest = &before
	}
	user, a, err := s.cfg.Store.NewAccount(r.Context(), op, t, store.Account{Kind: in.Kind, Login: in.Login, Password: in.Password,
		Name: in.Name, Email: in.Email, BirthYear: in.BirthYear, Locale: in.Locale}, guest)
	if err != nil {
		return err
	}
	setSession(w, r, t)
	return s.wrote(w, a, map[string]any{"user": user})
}

func (s *Server) signIn(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		operation
		Session  string `json:"session"`
		Login    string `json:"login"`
		Password string `json:"password"`
	}
	if _, err := parse(w, r, bodyLimit, &in); err != nil {
		return err
	}
	t, err := store.ParseToken(in.Session)
	if err != nil {
		return err
	}
	user, a, err := s.cfg.Store.SignIn(r.Context(), t, in.Login, in.Password)
	if err != nil {
		return err
	}
	setSession(w, r, t)
	return s.wrote(w, a, map[string]any{"user": user})
}

func (s *Server) signOut(w http.ResponseWriter, r *http.Request) error {
	var in operation
	if _, err := parse(w, r, bodyLimit, &in); err != nil {
		return err
	}
	var a store.Answer
	if t, ok := token(r); ok {
		var err error
		if a, err = s.cfg.Store.SignOut(r.Context(), t); err != nil {
			return err
		}
	}
	http.SetCookie(w, &http.Cookie{Name: cookie, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode, MaxAge: -1})
	return s.wrote(w, a, map[string]any{})
}

func (s *Server) me(w http.ResponseWriter, r *http.Request) error {
	user, err := s.user(r)
	if err != nil {
		return err
	}
	unseen, err := s.cfg.Store.Unseen(r.Context(), user)
	if err != nil {
		return err
	}
	return s.answer(w, http.StatusOK, map[string]any{"user": user, "unseenFeedback": unseen})
}
