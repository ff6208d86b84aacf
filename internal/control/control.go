// Package control is how an operator's commands reach a running migration.
//
// In: HTTP on a loopback address. Out: the migration's status; pause and resume. The decision that
// matters: every request carries a token that only who may read the state folder knows, since
// whoever reaches the port may otherwise stop a migration.
package control

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"changeover/internal/fault"
)

// Migration is what can be asked of a running migration; T is its status.
type Migration[T any] interface {
	Status() T
	Pause()
	Resume()
}

// door is what a running migration leaves in its state folder for its own commands.
type door struct {
	Address string `json:"address"`
	Token   string `json:"token"`
	PID     int    `json:"pid"`
}

const doorFile = "control.json"

// Server answers for one migration.
type Server struct {
	http *http.Server
	ln   net.Listener
	file string
	door door
}

// Listen opens the control API at address, host:port. Nothing is answered before Serve, and nobody
// finds it before Announce.
func Listen(address, dir string) (*Server, error) {
	ln, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fault.New(fault.ControlListen, "listen on %s for the control API: %w", address, err)
	}
	var token [24]byte
	_, _ = rand.Read(token[:]) // never fails
	s := &Server{ln: ln, file: filepath.Join(dir, doorFile),
		door: door{Address: ln.Addr().String(), Token: hex.EncodeToString(token[:]), PID: os.Getpid()}}
	return s, nil
}

// Announce leaves address and token in the state folder, mode 0600, in place of those of a run that
// is gone: so it is for whoever holds the migration's lease. The file is written beside its place
// and moved there, so that nobody reads a half.
func (s *Server) Announce() error {
	if err := os.MkdirAll(filepath.Dir(s.file), 0o700); err != nil {
		return err
	}
	text, err := json.Marshal(s.door)
	if err != nil {
		return err
	}
	part := s.file + ".part"
	if err := os.WriteFile(part, text, 0o600); err != nil {
		return err
	}
	return os.Rename(part, s.file)
}

// Address is where the API listens.
func (s *Server) Address() string { return s.door.Address }

// Route is something more that can be asked: Pattern as http.ServeMux has it, and what gives the answer.
type Route struct {
	Pattern string
	Answer  func(*http.Request) (any, error)
}

// refused is the answer to what could not be done.
type refused struct {
	Error string `json:"error"`
}

// Serve answers until ctx ends.
func Serve[T any](ctx context.Context, s *Server, m Migration[T], more ...Route) error {
	mux := http.NewServeMux()
	for _, route := range more {
		mux.HandleFunc(route.Pattern, func(w http.ResponseWriter, r *http.Request) {
			v, err := route.Answer(r)
			if err != nil {
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(http.StatusConflict)
				v = refused{err.Error()}
				_ = json.NewEncoder(w).Encode(v)
				return
			}
			answer(w, v)
		})
	}
	mux.HandleFunc("GET /v1/status", func(w http.ResponseWriter, _ *http.Request) { answer(w, m.Status()) })
	mux.HandleFunc("POST /v1/pause", func(w http.ResponseWriter, _ *http.Request) { m.Pause(); answer(w, m.Status()) })
	mux.HandleFunc("POST /v1/resume", func(w http.ResponseWriter, _ *http.Request) { m.Resume(); answer(w, m.Status()) })
	s.http = &http.Server{Handler: s.guard(mux), ReadHeaderTimeout: 5 * time.Second}
	stop := context.AfterFunc(ctx, func() { _ = s.http.Close() })
	defer stop()
	err := s.http.Serve(s.ln)
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// Close stops answering and takes the file away, if it is still ours.
func (s *Server) Close() error {
	if d, err := read(s.file); err == nil && d.Token == s.door.Token {
		_ = os.Remove(s.file)
	}
	return s.ln.Close()
}

func read(file string) (d door, err error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return d, err
	}
	return d, json.Unmarshal(text, &d)
}

func (s *Server) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if subtle.ConstantTimeCompare([]byte(token), []byte(s.door.Token)) != 1 {
			http.Error(w, "the control API asks for the token in "+doorFile+" of the state folder", http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}

// Ask sends a request to the migration whose state folder is dir: method and path as "GET
// /v1/status". The answer is read into out. fault.NotRunning: nobody answers.
func Ask(ctx context.Context, dir, method, path string, out any) error {
	return AskFor(ctx, dir, method, path, 10*time.Second, out)
}

// AskFor is Ask with its own patience.
func AskFor(ctx context.Context, dir, method, path string, patience time.Duration, out any) error {
	d, err := read(filepath.Join(dir, doorFile))
	if err != nil {
		return fault.New(fault.NotRunning, "no running migration has left its address in %s", dir)
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, "http://"+d.Address+path, bytes.NewReader(nil))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+d.Token)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return fault.New(fault.NotRunning, "the run that left its address in %s (process %d) does not answer: %w", dir, d.PID, err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	var no refused
	if res.StatusCode == http.StatusConflict && json.Unmarshal(body, &no) == nil && no.Error != "" {
		return errors.New(no.Error)
	}
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("the control API answered %s: %s", res.Status, strings.TrimSpace(string(body)))
	}
	return json.Unmarshal(body, out)
}
