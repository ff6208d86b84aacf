package web

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"changeover/platform/store"
)

// failure is what the API answers when it doesn't do what was asked.
type failure struct {
	Error   string `json:"error"`
	Message string `json:"message"`
	Field   string `json:"field,omitempty"`
	Version uint32 `json:"version,omitempty"`
}

// statuses are those of refusals.
var statuses = map[store.Code]int{
	store.BadValue:        http.StatusBadRequest,
	store.NoSession:       http.StatusUnauthorized,
	store.WrongPassword:   http.StatusForbidden,
	store.NotYours:        http.StatusForbidden,
	store.NotFound:        http.StatusNotFound,
	store.Taken:           http.StatusConflict,
	store.VersionConflict: http.StatusConflict,
	store.OperationReused: http.StatusConflict,
	store.NotAllowed:      http.StatusUnprocessableEntity,
}

// httpError is a refusal that only HTTP knows.
type httpError struct {
	status int
	failure
}

func (e *httpError) Error() string { return e.failure.Error + ": " + e.Message }

// bodyLimit is for all but projects, libraries and files.
const bodyLimit = 64 << 10

// handler answers one request of the API; an error becomes the answer.
type handler func(w http.ResponseWriter, r *http.Request) error

func (s *Server) api(operation string, fn handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		ctx, cancel := context.WithTimeout(r.Context(), s.cfg.Patience)
		defer cancel()
		out := &statusWriter{ResponseWriter: w, status: http.StatusOK}
		if err := fn(out, r.WithContext(ctx)); err != nil {
			s.fail(out, r, operation, err)
		}
		s.metrics.requests.WithLabelValues(operation, strconv.Itoa(out.status)).Observe(time.Since(start).Seconds())
	}
}

type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (s *Server) fail(w http.ResponseWriter, r *http.Request, operation string, err error) {
	var refusal *store.Refusal
	var own *httpError
	switch {
	case errors.As(err, &refusal):
		_ = s.answer(w, statuses[refusal.Code], failure{string(refusal.Code), refusal.Message, refusal.Field, refusal.Version})
	case errors.As(err, &own):
		_ = s.answer(w, own.status, own.failure)
	case errors.Is(err, store.ErrUnavailable), r.Context().Err() != nil, errors.Is(err, context.DeadlineExceeded):
		w.Header().Set("Retry-After", "1")
		_ = s.answer(w, http.StatusServiceUnavailable, failure{Error: "unavailable", Message: "the database can't be reached just now; send the same operation again"})
	default:
		s.cfg.Log.Error().Err(err).Str("operation", operation).Msg("a request failed")
		_ = s.answer(w, http.StatusInternalServerError, failure{Error: "internal", Message: "something went wrong here"})
	}
}

func (s *Server) answer(w http.ResponseWriter, status int, body any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "application/json; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Length", strconv.Itoa(len(text)))
	w.WriteHeader(status)
	_, _ = w.Write(text)
	return nil
}

// wrote answers a write.
func (s *Server) wrote(w http.ResponseWriter, a store.Answer, body any) error {
	w.Header().Set("Epoch", number(a.Epoch))
	setEpoch(w, a.Epoch)
	if a.Replayed {
		w.Header().Set("Replayed", "1")
	}
	return s.answer(w, http.StatusOK, body)
}

func number[N uint16 | uint32 | uint64](n N) string { return strconv.FormatUint(uint64(n), 10) }

// operation is what each write's body begins with.
type operation struct {
	Op string `json:"op"`
}

func (o operation) id() string { return o.Op }

// parse reads a JSON body into v and makes the operation that it asks for. The digest is of the
// method, the path and the body as it was sent: a browser's outbox sends the same bytes again.
func parse[T interface{ id() string }](w http.ResponseWriter, r *http.Request, limit int64, v *T) (store.Op, error) {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return store.Op{}, &httpError{http.StatusUnsupportedMediaType, failure{Error: "not-json", Message: "send JSON, with Content-Type: application/json"}}
	}
	body, err := readBody(w, r, limit)
	if err != nil {
		return store.Op{}, err
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return store.Op{}, badJSON(err)
	}
	if _, err := d.Token(); err != io.EOF {
		return store.Op{}, badJSON(errors.New("there is more after its end"))
	}
	return newOp((*v).id(), []byte(r.Method), []byte(r.URL.Path), body)
}

func readBody(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return nil, &httpError{http.StatusRequestEntityTooLarge, failure{Error: "too-large", Message: "at most " + strconv.FormatInt(limit, 10) + " bytes go in"}}
	case err != nil:
		return nil, &httpError{http.StatusBadRequest, failure{Error: "bad-json", Message: "the request's body did not arrive whole"}}
	}
	return body, nil
}

func badJSON(err error) error {
	f := failure{Error: "bad-json", Message: "the body is not the JSON that is expected here: " + strings.TrimPrefix(err.Error(), "json: ")}
	var wrong *json.UnmarshalTypeError
	if errors.As(err, &wrong) {
		f = failure{Error: "bad-value", Field: wrong.Field, Message: "is a " + wrong.Value + "; it must be " + wrong.Type.String()}
	}
	return &httpError{http.StatusBadRequest, f}
}

func newOp(text string, what ...[]byte) (store.Op, error) {
	id, err := uuid.Parse(text)
	if err != nil || id.Version() != 7 || len(text) != 36 {
		return store.Op{}, &store.Refusal{Code: store.BadValue, Field: "op", Message: "is not a UUID of version 7"}
	}
	return store.NewOp(id, what...), nil
}

const cookie = "session"

// token is the session's; ok is false if the request has none.
func token(r *http.Request) (t store.Token, ok bool) {
	c, err := r.Cookie(cookie)
	if err != nil {
		return t, false
	}
	t, err = store.ParseToken(c.Value)
	return t, err == nil
}

// user is who asks; nobody is a Refusal.
func (s *Server) user(r *http.Request) (store.User, error) {
	t, ok := token(r)
	if !ok {
		return store.User{}, &store.Refusal{Code: store.NoSession, Message: "nobody is signed in"}
	}
	return s.cfg.Store.Session(r.Context(), t)
}

// anybody is who asks, or a user without an id.
func (s *Server) anybody(r *http.Request) (store.User, error) {
	u, err := s.user(r)
	var refusal *store.Refusal
	if errors.As(err, &refusal) && refusal.Code == store.NoSession {
		return store.User{}, nil
	}
	return u, err
}

// write is the beginning of most writes: who asks, and for what.
func write[T interface{ id() string }](s *Server, w http.ResponseWriter, r *http.Request, limit int64, v *T) (store.User, store.Op, error) {
	op, err := parse(w, r, limit, v)
	if err != nil {
		return store.User{}, op, err
	}
	user, err := s.user(r)
	return user, op, err
}

// writeTo is the beginning of a write to the project that the path names.
func writeTo[T interface{ id() string }](s *Server, w http.ResponseWriter, r *http.Request, limit int64, v *T) (store.User, uuid.UUID, store.Op, error) {
	user, op, err := write(s, w, r, limit, v)
	if err != nil {
		return user, uuid.UUID{}, op, err
	}
	id, err := pathUUID(r)
	return user, id, op, err
}

// visitor is who looks at the project that the path names: anybody.
func (s *Server) visitor(r *http.Request) (store.User, uuid.UUID, error) {
	id, err := pathUUID(r)
	if err != nil {
		return store.User{}, id, err
	}
	user, err := s.anybody(r)
	return user, id, err
}

func setSession(w http.ResponseWriter, r *http.Request, t store.Token) {
	http.SetCookie(w, &http.Cookie{Name: cookie, Value: t.String(), Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode,
		Secure: r.TLS != nil || r.Header.Get("X-Forwarded-Proto") == "https", MaxAge: 365 * 24 * 60 * 60})
}

// clientIP is the address of the browser, as the load balancer says it. It is shown to nobody, and
// decides nothing.
func clientIP(r *http.Request) netip.Addr {
	if _, last, found := strings.Cut(" "+r.Header.Get("X-Forwarded-For"), " "); found {
		if i := strings.LastIndexByte(last, ','); i >= 0 {
			last = last[i+1:]
		}
		if ip, err := netip.ParseAddr(strings.TrimSpace(last)); err == nil {
			return ip
		}
	}
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return netip.IPv4Unspecified()
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return netip.IPv4Unspecified()
	}
	return ip.WithZone("")
}

func pathNumber(r *http.Request, name string, bits int) (uint64, error) {
	n, err := strconv.ParseUint(r.PathValue(name), 10, bits)
	if err != nil {
		return 0, &store.Refusal{Code: store.NotFound, Field: name, Message: "is not a number"}
	}
	return n, nil
}

func pathUUID(r *http.Request) (uuid.UUID, error) {
	id, err := uuid.Parse(r.PathValue("uuid"))
	if err != nil || len(r.PathValue("uuid")) != 36 {
		return id, &store.Refusal{Code: store.NotFound, Field: "uuid", Message: "is not an id"}
	}
	return id, nil
}

func bodyUUID(text string) (uuid.UUID, error) {
	id, err := uuid.Parse(text)
	if err != nil || len(text) != 36 {
		return id, &store.Refusal{Code: store.BadValue, Field: "uuid", Message: "is not a UUID"}
	}
	return id, nil
}

func queryNumber(r *http.Request, name string) (int, error) {
	n, err := strconv.Atoi(r.URL.Query().Get(name))
	if err != nil || n < 0 {
		return 0, &store.Refusal{Code: store.BadValue, Field: name, Message: "is not a number"}
	}
	return n, nil
}
