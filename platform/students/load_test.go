package students

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"changeover/platform/students/ledger"
)

// fake answers as the platform would, from memory. It is for faults and orders that a real server can't
// be made to show at a given moment.
type fake struct {
	mu     sync.Mutex
	ids    int64
	runs   map[string]map[int]int // by session and level
	lines  map[string]int64
	ops    map[string][]string // by session, as they came; repetitions too
	bodies map[string]string   // by op
	pairs  map[string]map[string]any
	tables map[string]map[int64]map[string]any

	// before sees each write first; an answer above 0 is given instead of the real one.
	before func(op string, r *http.Request) int
	// progress may spoil an answer.
	progress func(attempts int) int
}

func newFake() *fake {
	return &fake{runs: map[string]map[int]int{}, lines: map[string]int64{}, ops: map[string][]string{}, bodies: map[string]string{},
		pairs: map[string]map[string]any{}, tables: map[string]map[int64]map[string]any{}}
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var body map[string]any
	text, _ := io.ReadAll(r.Body)
	_ = json.Unmarshal(text, &body)
	op, _ := body["op"].(string)
	if op != "" && f.before != nil {
		if status := f.before(op, r); status > 0 {
			w.WriteHeader(status)
			_, _ = io.WriteString(w, `{"error":"spoilt","message":"by the test"}`)
			return
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	session := ""
	if c, err := r.Cookie("session"); err == nil {
		session = c.Value
	}
	if op != "" {
		f.ops[session] = append(f.ops[session], op)
		if before, ok := f.bodies[op]; ok && before != string(text) {
			w.WriteHeader(http.StatusConflict)
			return
		}
		f.bodies[op] = string(text)
	}
	if token, ok := body["session"].(string); ok {
		http.SetCookie(w, &http.Cookie{Name: "session", Value: token, Path: "/"})
	}
	w.Header().Set("Epoch", "3")
	f.ids++
	_ = json.NewEncoder(w).Encode(f.answer(r, session, body))
}

func (f *fake) answer(r *http.Request, session string, body map[string]any) any {
	number := func(key string) int { n, _ := body[key].(float64); return int(n) }
	parts := strings.Split(r.URL.Path, "/")
	switch {
	case r.URL.Path == "/api/curriculum":
		levels := []map[string]any{{"level": 1}, {"level": 2}, {"level": 3}}
		return map[string]any{"scripts": []map[string]any{{"name": "hour", "kind": "hoc", "levels": levels}, {"name": "course", "kind": "course", "levels": levels}}}
	case r.URL.Path == "/api/run":
		if f.runs[session] == nil {
			f.runs[session] = map[int]int{}
		}
		f.runs[session][number("level")]++
		f.lines[session] += int64(number("lines"))
		return map[string]any{"activity": f.ids, "attempts": f.runs[session][number("level")], "totalLines": f.lines[session]}
	case r.URL.Path == "/api/progress":
		levels := []map[string]any{}
		for level, attempts := range f.runs[session] {
			if f.progress != nil {
				attempts = f.progress(attempts)
			}
			levels = append(levels, map[string]any{"level": level, "attempts": attempts})
		}
		return map[string]any{"levels": levels, "totalLines": f.lines[session]}
	case strings.HasSuffix(r.URL.Path, "/kv"):
		return map[string]any{"pairs": f.pairs[session]}
	case strings.Contains(r.URL.Path, "/kv/"):
		if f.pairs[session] == nil {
			f.pairs[session] = map[string]any{}
		}
		f.pairs[session][parts[len(parts)-1]] = body["value"]
	case strings.Contains(r.URL.Path, "/tables/"):
		return f.table(r, parts, session, body)
	case r.URL.Path == "/api/sections" && r.Method == "GET":
		return map[string]any{"sections": []map[string]any{{"id": 77}}}
	}
	return map[string]any{"user": map[string]any{"id": f.ids}, "hoc": f.ids, "certificate": "0197c0a8-0000-7000-8000-000000000001",
		"section": map[string]any{"id": 77, "code": "ABCDEF"}, "project": map[string]any{"version": 1}, "version": number("version") + 1,
		"event": map[string]any{"id": f.ids}, "feedback": []any{}, "students": []any{}}
}

func (f *fake) table(r *http.Request, parts []string, session string, body map[string]any) any {
	if f.tables[session] == nil {
		f.tables[session] = map[int64]map[string]any{}
	}
	rows := f.tables[session]
	var id int64
	_, _ = fmt.Sscan(parts[len(parts)-1], &id)
	switch r.Method {
	case "POST":
		rows[f.ids] = map[string]any{"id": f.ids, "version": 1.0, "value": body["value"]}
		return rows[f.ids]
	case "PUT":
		rows[id]["version"] = rows[id]["version"].(float64) + 1
		rows[id]["value"] = body["value"]
		return rows[id]
	case "DELETE":
		delete(rows, id)
		return map[string]any{}
	}
	all := []any{}
	for _, row := range rows {
		all = append(all, row)
	}
	return map[string]any{"records": all}
}

// quick is a run of a second or so.
func quick() Options {
	return Options{Curve: Curve{Runs: 150, For: 1500 * time.Millisecond, Ramp: 200 * time.Millisecond}, Pace: 60, Seed: 4,
		Grace: time.Minute, Timeout: time.Minute}
}

func newLoad(t *testing.T, f http.Handler, o Options) (*Load, string) {
	t.Helper()
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	path := filepath.Join(t.TempDir(), "run.ledger")
	w, err := ledger.Create(path, ledger.Header{Run: "test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Close() })
	o.Ledger, o.URLs = w, []string{server.URL}
	l, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return l, path
}

func run(t *testing.T, l *Load) *Report {
	t.Helper()
	r, err := l.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := l.options.Ledger.Close(); err != nil {
		t.Fatal(err)
	}
	return r
}

func readLedger(t *testing.T, path string) *ledger.Log {
	t.Helper()
	log, err := ledger.Read(path)
	if err != nil {
		t.Fatal(err)
	}
	return log
}

// dueBy is how many ticks the plan has.
func dueBy(l *Load, levels int) (n int64) {
	for _, ticks := range ticksOfLevels(l.plan, levels) {
		for _, tk := range ticks {
			if tk.at < l.curve.For {
				n++
			}
		}
	}
	return n
}

func ticksOfLevels(p plan, levels int) map[int][]tick {
	p = draw(p.curve, 60, 4) // a stream uses up its seat's random numbers
	all := map[int][]tick{}
	for _, s := range p.seats {
		for st := newStream(&p, s, levels); ; {
			tk, ok := st.next()
			if !ok {
				break
			}
			all[s.index] = append(all[s.index], tk)
		}
	}
	return all
}

func TestAPlatformThatStallsStopsNoClick(t *testing.T) {
	t.Parallel()
	f := newFake()
	f.ids = 100
	release := make(chan struct{})
	var ready sync.Once
	var l *Load
	f.before = func(_ string, r *http.Request) int {
		if r.URL.Path == "/api/guest" {
			<-release
		}
		return 0
	}
	l, path := newLoad(t, f, quick())
	want := dueBy(l, 3)
	watch := make(chan struct{})
	go func() { // lets go only when every click has come
		defer close(watch)
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for range tick.C {
			if s, ok := l.Now(); ok && s.Counts.Starts >= want || t.Context().Err() != nil {
				ready.Do(func() { close(release) })
				return
			}
		}
	}()
	r := run(t, l)
	<-watch
	if r.Counts.Starts != want || r.Counts.Dropped != 0 || r.Counts.Unacknowledged != 0 {
		t.Errorf("%d starts of %d, %+v", r.Counts.Starts, want, r.Counts)
	}
	// What waited behind the guest counts from its click.
	for _, o := range r.Operations {
		if o.Kind == ledger.Run && o.Latency.Max <= o.Service.Max {
			t.Errorf("Runs in %v: latency %+v, service %+v", o.Phase, o.Latency, o.Service)
		}
	}
	log := readLedger(t, path)
	if !log.Ended || len(log.Operations) == 0 {
		t.Errorf("ended %v, %d operations", log.Ended, len(log.Operations))
	}
	for _, o := range log.Operations {
		if !o.Acknowledged() || o.Outcome.Epoch != 3 || o.Outcome.Tries != 1 || o.Sent.Before(o.Intended) {
			t.Errorf("%+v", o)
		}
	}
}

func TestTheOutboxRepeatsTheSameOperationInOrder(t *testing.T) {
	t.Parallel()
	f := newFake()
	var mu sync.Mutex
	tries := map[string]int{}
	f.before = func(op string, r *http.Request) int {
		mu.Lock()
		defer mu.Unlock()
		tries[op]++
		if tries[op] <= int(op[len(op)-1])%3 { // none, one or two failures
			return []int{http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout}[tries[op]%3]
		}
		return 0
	}
	o := quick()
	o.Curve.Runs = 40
	l, path := newLoad(t, f, o)
	r := run(t, l)
	if !(r.Counts.Retried > 0) || r.Counts.Unacknowledged != 0 || len(r.Counts.Refused) != 0 || r.Counts.Stale != 0 || r.Counts.Ahead != 0 {
		t.Errorf("%+v %v", r.Counts, r.Samples)
	}
	for _, op := range readLedger(t, path).Operations {
		if want := tries[op.Op.String()]; op.Outcome.Tries != want {
			t.Errorf("%v: %d tries in the ledger, the server saw %d", op.Op, op.Outcome.Tries, want)
		}
	}
	for session, ops := range f.ops {
		if session == "" {
			continue
		}
		for i := 1; i < len(ops); i++ {
			if ops[i][:13] < ops[i-1][:13] { // the clicks' times
				t.Errorf("session %.6s: %s came after %s", session, ops[i], ops[i-1])
			}
		}
	}
}

func TestARefusalIsCountedAndTheRunFails(t *testing.T) {
	t.Parallel()
	f := newFake()
	f.before = func(_ string, r *http.Request) int {
		if r.URL.Path == "/api/hoc/start" {
			return http.StatusUnprocessableEntity
		}
		return 0
	}
	l, path := newLoad(t, f, quick())
	r := run(t, l)
	if r.OK() || r.Counts.Refused["hoc-start spoilt"] == 0 || r.Counts.Runs == 0 {
		t.Errorf("%v %+v", r.Complaints, r.Counts)
	}
	n := 0
	for _, o := range readLedger(t, path).Operations {
		if o.Refused() {
			n++
		}
	}
	if n == 0 {
		t.Error("no refusal in the ledger")
	}
}

func TestAReadThatMissesAnAcknowledgedWriteIsNoted(t *testing.T) {
	t.Parallel()
	f := newFake()
	f.progress = func(attempts int) int { return attempts - 1 }
	l, path := newLoad(t, f, quick())
	r := run(t, l)
	log := readLedger(t, path)
	if r.OK() || r.Counts.Stale == 0 || int64(len(log.Stale)) != r.Counts.Stale {
		t.Fatalf("%d stale reads, %d in the ledger", r.Counts.Stale, len(log.Stale))
	}
	if s := log.Stale[0]; s.Kind != ledger.Progress || s.Op == [16]byte{} || !strings.Contains(s.Text, "attempts are acknowledged") {
		t.Errorf("%+v", s)
	}
}

func TestWhatIsNotAnsweredInTheGraceIsCounted(t *testing.T) {
	t.Parallel()
	f := newFake()
	stuck := make(chan struct{})
	f.before = func(_ string, r *http.Request) int {
		if r.URL.Path == "/api/run" {
			select {
			case <-r.Context().Done():
			case <-stuck:
			}
		}
		return 0
	}
	o := quick()
	o.Grace = time.Millisecond
	l, path := newLoad(t, f, o)
	r := run(t, l)
	close(stuck)
	if r.OK() || r.Counts.Unacknowledged == 0 || r.Counts.Dropped == 0 || r.Counts.Runs != 0 {
		t.Errorf("%v %+v", r.Complaints, r.Counts)
	}
	open := int64(0)
	for _, op := range readLedger(t, path).Operations {
		if op.Kind == ledger.Run && !op.Acknowledged() && op.Outcome.Tries >= 1 {
			open++
		}
	}
	if open == 0 || open > r.Counts.Unacknowledged {
		t.Errorf("%d in the ledger, %d counted", open, r.Counts.Unacknowledged)
	}
}

func TestLateIsWhatThisProgramIsLateFor(t *testing.T) {
	l := &Load{meter: newMeter()}
	at := time.Now()
	l.sent(at.Add(19*time.Millisecond), at)
	l.sent(at.Add(21*time.Millisecond), at)
	if c := l.meter.counts; c.Sent != 2 || c.Late != 1 {
		t.Errorf("%+v", c)
	}
	r := Report{Counts: Counts{Starts: 1000, Late: 1, Dropped: 1, Runs: 1}, Generator: Generator{LateShare: 0.002, LateLimit: lateLimit}}
	if r.complain(false); r.OK() {
		t.Error("two of a thousand starts were late, and the run is good")
	}
	r.Generator.LateShare = 0.001
	if r.complain(false); !r.OK() {
		t.Error(r.Complaints)
	}
}

func TestAServerThatIsGoneIsLeftForTheNext(t *testing.T) {
	t.Parallel()
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	l, _ := newLoad(t, newFake(), quick())
	l.options.URLs = append([]string{gone.URL}, l.options.URLs...)
	r := run(t, l)
	if r.Counts.Failed["connection refused"] == 0 || r.Counts.Unacknowledged > 0 || r.Counts.Runs == 0 {
		t.Errorf("%+v", r.Counts)
	}
}

func TestAnInterruptedRunReportsWhatItDid(t *testing.T) {
	t.Parallel()
	l, _ := newLoad(t, newFake(), Options{Curve: Curve{Runs: 100, For: time.Hour}, Pace: 60, Seed: 4})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for range tick.C {
			if s, ok := l.Now(); ok && s.Counts.Runs > 20 || t.Context().Err() != nil {
				cancel()
				return
			}
		}
	}()
	r, err := l.Run(ctx)
	if err != nil || r.Counts.Runs <= 20 || r.Counts.Unacknowledged != 0 {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestAPlatformThatIsNotThereIsSaid(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	l, _ := newLoad(t, http.NotFoundHandler(), quick())
	if _, err := l.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "curriculum") {
		t.Errorf("%v", err)
	}
}

func TestAddressesAreChecked(t *testing.T) {
	if got, err := URLsOf([]string{"http://127.0.0.1:8080/", "https://school.example"}); err != nil || got[0] != "http://127.0.0.1:8080" {
		t.Errorf("%v, %v", got, err)
	}
	for _, text := range []string{"", "127.0.0.1:8080", "ftp://x", "http://", "http://x/path", "http://u:p@x", "http://x?y"} {
		if _, err := URLsOf([]string{text}); err == nil {
			t.Errorf("%q was taken", text)
		}
	}
}

func TestNothingGoesOnAfterARun(t *testing.T) {
	before := goleak.IgnoreCurrent()
	server := httptest.NewServer(newFake())
	w, err := ledger.Create(filepath.Join(t.TempDir(), "x"), ledger.Header{})
	if err != nil {
		t.Fatal(err)
	}
	o := quick()
	o.Ledger, o.URLs = w, []string{server.URL}
	l, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	run(t, l)
	server.Close()
	goleak.VerifyNone(t, before)
}

func TestAProgramIsJSONAndTheFirstOnesAreTheMostPopular(t *testing.T) {
	r := draw(resolved(t, Curve{Runs: 1, For: time.Minute}), 1, 1).seats[0].random
	seen := map[string]int{}
	for range 1000 {
		text := program(r, 3, true)
		if !json.Valid([]byte(text)) || len(text) > 32<<10 {
			t.Fatalf("%d bytes: %s", len(text), text)
		}
		seen[text]++
	}
	most := 0
	for _, n := range seen {
		most = max(most, n)
	}
	if most < 30 || len(seen) < 200 {
		t.Errorf("the most popular was run %d times of 1000, %d are different", most, len(seen))
	}
}
