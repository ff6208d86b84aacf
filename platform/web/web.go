// Package web is the platform as a browser sees it: pages for people, an API for their scripts.
//
// In: HTTP. Out: HTML, JSON. The decision that matters: a handler holds nothing between two
// requests, so that any server behind the load balancer may answer any of them.
package web

import (
	"context"
	"crypto/subtle"
	"errors"
	"net/http"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/klauspost/compress/gzhttp"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/rs/zerolog"

	"changeover/platform/assets"
	"changeover/platform/store"
)

// Config is what a Server needs.
type Config struct {
	Store  *store.Store
	Assets *assets.Bucket
	// AdminToken opens the admin's figures to whoever sends it as Admin-Token; empty: to admins only.
	AdminToken string
	// Patience is how long a write may wait for the database before the browser is told to come
	// again; 0: DefaultPatience.
	Patience time.Duration
	Log      zerolog.Logger
}

// DefaultPatience is shorter than what browsers and load balancers wait for an answer.
const DefaultPatience = 10 * time.Second

// Server answers requests. Make it with New; safe for concurrent use.
type Server struct {
	cfg      Config
	pages    *pages
	handler  http.Handler
	metrics  *metrics
	reached  atomic.Bool // the database has answered once
	draining atomic.Bool
}

// New makes a Server.
func New(cfg Config) (*Server, error) {
	if cfg.Patience == 0 {
		cfg.Patience = DefaultPatience
	}
	pages, err := loadPages()
	if err != nil {
		return nil, err
	}
	s := &Server{cfg: cfg, pages: pages, metrics: newMetrics(cfg.Store)}
	mux := http.NewServeMux()
	s.routes(mux)
	protection := http.NewCrossOriginProtection()
	protection.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		s.answer(w, http.StatusForbidden, failure{Error: "cross-site", Message: "this request comes from another site's page"})
	}))
	s.handler = s.around(gzhttp.GzipHandler(protection.Handler(mux)))
	return s, nil
}

func (s *Server) routes(mux *http.ServeMux) {
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("alive\n")) })
	mux.HandleFunc("GET /readyz", s.ready)
	mux.Handle("GET /metrics", promhttp.HandlerFor(s.metrics.registry, promhttp.HandlerOpts{}))
	s.pageRoutes(mux)
	s.peopleRoutes(mux)
	s.learningRoutes(mux)
	s.projectRoutes(mux)
	s.dataRoutes(mux)
	s.eventRoutes(mux)
	mux.HandleFunc("GET /api/admin", s.api("admin", s.admin))
	mux.HandleFunc("/api/", s.api("unknown", func(http.ResponseWriter, *http.Request) error {
		return &store.Refusal{Code: store.NotFound, Message: "the API has no such path, or not for this method"}
	}))
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }

// Drain makes the server say that it isn't ready, so that the load balancer sends no more requests
// here; those that still come are answered, and their connections closed.
func (s *Server) Drain() { s.draining.Store(true) }

// ready is not about the database once that has been reached: were it lost, all servers would
// call themselves unready at once, and requests that could wait for it would be refused instead.
func (s *Server) ready(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
	defer cancel()
	switch {
	case s.draining.Load():
		http.Error(w, "draining", http.StatusServiceUnavailable)
	case s.reached.Load():
		_, _ = w.Write([]byte("ready\n"))
	default:
		if err := s.cfg.Store.Ping(ctx); err != nil {
			s.cfg.Log.Warn().Err(err).Msg("not ready")
			http.Error(w, "the database has not been reached yet", http.StatusServiceUnavailable)
			return
		}
		s.reached.Store(true)
		_, _ = w.Write([]byte("ready\n"))
	}
}

// policy lets a page load what this server sends and nothing else. Styles may be inline because
// Blockly makes some.
const policy = "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; " +
	"media-src 'self' data: blob:; connect-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

func (s *Server) around(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "same-origin")
		if s.draining.Load() {
			h.Set("Connection", "close")
		}
		defer func() {
			if p := recover(); p != nil {
				if err, ok := p.(error); ok && errors.Is(err, http.ErrAbortHandler) {
					panic(p)
				}
				s.cfg.Log.Error().Interface("panic", p).Str("path", r.URL.Path).Bytes("stack", debug.Stack()).Msg("a request failed")
				s.answer(w, http.StatusInternalServerError, failure{Error: "internal", Message: "something went wrong here"})
			}
		}()
		s.catchUp(r)
		next.ServeHTTP(w, r)
	})
}

// isAdmin lets an admin in, or whoever has the token.
func (s *Server) isAdmin(r *http.Request) error {
	if token := r.Header.Get("Admin-Token"); token != "" && s.cfg.AdminToken != "" {
		if subtle.ConstantTimeCompare([]byte(token), []byte(s.cfg.AdminToken)) == 1 {
			return nil
		}
		return &store.Refusal{Code: store.NotYours, Message: "the admin's token is another one"}
	}
	user, err := s.user(r)
	if err == nil && user.Kind != store.Admin {
		err = &store.Refusal{Code: store.NotYours, Message: "this is for admins"}
	}
	return err
}

func (s *Server) admin(w http.ResponseWriter, r *http.Request) error {
	if err := s.isAdmin(r); err != nil {
		return err
	}
	reading, route := s.cfg.Store.Meter().Read(), s.cfg.Store.Route()
	type writer struct {
		Server   string `json:"server"`
		Side     string `json:"side,omitempty"` // of a migration
		Version  string `json:"version"`
		Epoch    uint64 `json:"epoch"`
		ReadOnly bool   `json:"readOnly"`
		Error    string `json:"error,omitempty"`
	}
	type rate struct {
		PerSecond float64 `json:"perSecond"`
		Total     uint64  `json:"total"`
	}
	is := writer{Server: route.Server, Side: route.Side, Epoch: route.Epoch}
	ctx, cancel := context.WithTimeout(r.Context(), time.Second)
	defer cancel()
	var err error
	if is.Version, is.ReadOnly, err = s.cfg.Store.ReadOnly(ctx); err != nil {
		is.Error = "it doesn't answer"
	}
	return s.answer(w, http.StatusOK, map[string]any{
		"writer": is, "held": route.Waiting, "latencyMs": reading.Latency, "byEpoch": reading.ByEpoch,
		"writes":     rate{reading.WritesPerSecond, reading.Total.Writes},
		"statements": rate{reading.StatementsPerSecond, reading.Total.Statements},
		"retries":    reading.Total.Retries, "errors": reading.Total.GivenUp,
	})
}
