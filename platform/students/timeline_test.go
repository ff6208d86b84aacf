package students

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"changeover/platform/students/ledger"
)

// noon is when the tests' time begins.
var noon = time.Date(2026, 12, 7, 12, 0, 0, 0, time.UTC)

func at(ms float64) time.Time { return noon.Add(time.Duration(ms * float64(time.Millisecond))) }

// recorded is a timeline of writes: due and acknowledged, in milliseconds after noon, in the epoch.
func recorded(writes ...[3]float64) *Timeline {
	r := newRecorder()
	r.at(noon)
	for _, w := range writes {
		r.acknowledged(answer{kind: ledger.Save, due: at(w[0]), sent: at(w[0]), at: at(w[1]), epoch: int64(w[2])})
	}
	return r.timeline()
}

func near(t *testing.T, what string, got, want float64) {
	t.Helper()
	if math.Abs(got-want) > 0.006*math.Abs(want)+0.001 {
		t.Errorf("%s is %v, want %v", what, got, want)
	}
}

// steady are writes that take 5 ms, one each 10 ms.
func steady(from, to float64, epoch float64) (all [][3]float64) {
	for x := from; x < to; x += 10 {
		all = append(all, [3]float64{x, x + 5, epoch})
	}
	return all
}

func TestThePauseIsTheLongestTimeBetweenTwoAcknowledgements(t *testing.T) {
	for name, c := range map[string]struct {
		writes   [][3]float64
		from, to float64
		want     float64
	}{
		"steady":                                       {steady(0, 3000, 1), 1000, 2000, 10},
		"within one window":                            {[][3]float64{{0, 2, 1}, {0, 90, 1}, {0, 95, 1}}, 0, 100, 88},
		"from one window to the next":                  {[][3]float64{{0, 90, 1}, {0, 110, 1}, {0, 115, 1}}, 0, 200, 20},
		"over windows in which nothing was":            {slices.Concat(steady(0, 1200, 1), steady(1450, 3000, 2)), 1000, 2000, 260},
		"one that begins before is seen whole":         {slices.Concat(steady(0, 900, 1), steady(1300, 3000, 2)), 1000, 2000, 410},
		"one that ends after is seen whole":            {slices.Concat(steady(0, 1900, 1), steady(2500, 3000, 2)), 1000, 2000, 610},
		"one that is over before is not":               {slices.Concat(steady(0, 300, 1), steady(600, 3000, 2)), 1000, 2000, 10},
		"one that begins after is not":                 {slices.Concat(steady(0, 2300, 1), steady(2900, 3500, 2)), 1000, 2000, 10},
		"answers that come to the lock in other order": {[][3]float64{{0, 10, 1}, {0, 40, 1}, {0, 25, 1}, {0, 100, 1}}, 0, 100, 60},
		"nothing at all":                               {nil, 0, 1000, 0},
	} {
		t.Run(name, func(t *testing.T) {
			near(t, "the pause", recorded(c.writes...).Stretch(at(c.from), at(c.to)).Pause, c.want)
		})
	}
}

// A platform that stops for good must not look as if it had only been slow.
func TestASilenceWithoutAnEndIsAPause(t *testing.T) {
	r := newRecorder()
	for _, w := range steady(0, 1000, 1) {
		r.acknowledged(answer{kind: ledger.Save, due: at(w[0]), at: at(w[1])})
	}
	for x := 1000.0; x < 8000; x += 10 { // reads go on
		r.read(answer{due: at(x), at: at(x + 1)})
	}
	near(t, "the pause", r.timeline().Stretch(at(500), at(5000)).Pause, 5000-995)
}

func TestLatencyCountsWhereTheClickWas(t *testing.T) {
	writes := slices.Concat(steady(0, 5000, 1), steady(6000, 20000, 2))
	for x := 5000.0; x < 5250; x += 10 { // held until 5250
		writes = append(writes, [3]float64{x, 5250, 2})
	}
	writes = append(writes, steady(5250, 6000, 2)...)
	a := recorded(writes...).Around(at(5000))
	near(t, "p99 before", a.Before.WriteLatency.P99, 5)
	near(t, "p99 in the second", a.During.WriteLatency.P99, 240) // the 99th of 100
	near(t, "the highest in the second", a.During.WriteLatency.Max, 250)
	near(t, "p99 after", a.After.WriteLatency.P99, 5)
	near(t, "the extra latency", a.Extra, 235)
	near(t, "the pause", a.During.Pause, 5250-4995)
	near(t, "the pause before", a.Before.Pause, 10)
	near(t, "the pause after", a.After.Pause, 10)
	if a.Before.Writes != 500 || a.During.Writes != 100 || a.After.Writes < 999 || a.After.Writes > 1001 {
		t.Errorf("%d, %d, %d writes", a.Before.Writes, a.During.Writes, a.After.Writes)
	}
}

func TestWhoClickedInTheSecondAndWasAnsweredLaterIsOfTheSecond(t *testing.T) {
	a := recorded(slices.Concat(steady(0, 5950, 1), [][3]float64{{5950, 6400, 2}, {5960, 6400, 2}}, steady(6400, 20000, 2))...).Around(at(5000))
	near(t, "the highest in the second", a.During.WriteLatency.Max, 450)
	near(t, "the highest after", a.After.WriteLatency.Max, 5)
	if a.During.WriteLatency.Max == 0 || a.During.Writes != 95 {
		t.Errorf("%d writes in the second", a.During.Writes)
	}
}

func TestAFlipIsSeenByTheEpochsOfAnswers(t *testing.T) {
	writes := slices.Concat(steady(0, 5000, 3), [][3]float64{{5020, 5175, 4}, {5001, 5180, 4}}, steady(5180, 9000, 4), steady(9000, 9500, 5))
	flips := recorded(writes...).Flips()
	if len(flips) != 2 {
		t.Fatalf("%d flips", len(flips))
	}
	f := flips[0]
	if f.Epoch != 4 || !f.At.Equal(at(5001)) || flips[1].Epoch != 5 {
		t.Errorf("%+v", f)
	}
	near(t, "the hold as students saw it", f.Hold, 174)
	near(t, "between the writers", f.Between, 5175-4995)
	near(t, "the pause", f.Around.During.Pause, 5175-4995)
}

func TestOneWriterHasNoFlips(t *testing.T) {
	for _, epoch := range []float64{0, 1} {
		if flips := recorded(steady(0, 1000, epoch)...).Flips(); flips == nil || len(flips) != 0 {
			t.Errorf("%+v", flips)
		}
	}
}

func TestAHistogramIsWithinHalfAPercentAndComesBack(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	h, all := Histogram{}, []float64{}
	for range 5000 {
		d := time.Duration(math.Exp(random.NormFloat64()*3) * float64(time.Millisecond))
		h.add(d)
		all = append(all, float64(max(d.Microseconds(), 1))/1000)
	}
	slices.Sort(all)
	for _, q := range []float64{0, 0.01, 0.5, 0.95, 0.99, 1} {
		i := max(0, int(math.Ceil(q*5000))-1)
		near(t, "a quantile", h.Quantile(q), all[i])
	}
	if len(h) > 4500 {
		t.Errorf("%d values are kept of 5000", len(h))
	}
	text, err := json.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}
	var back Histogram
	if err := json.Unmarshal(text, &back); err != nil || len(back) != len(h) || back.Count() != 5000 || back.Quantile(0.99) != h.Quantile(0.99) {
		t.Errorf("%v: %d values of %d", err, len(back), len(h))
	}
	for _, bad := range []string{`"x"`, `"1*0"`, `"1*-1"`, `"-1*1"`, `"1"`, `"NaN*1"`, `"1*2 3*"`} {
		if err := json.Unmarshal([]byte(bad), &back); err == nil {
			t.Errorf("%s is taken", bad)
		}
	}
}

func TestFailedRequestsCountEvenIfTheOutboxSavesThem(t *testing.T) {
	t.Parallel()
	f := newFake()
	var runs, starts atomic.Int64
	f.before = func(op string, r *http.Request) int {
		if r.URL.Path == "/api/run" && runs.Add(1) == 3 {
			return http.StatusServiceUnavailable
		}
		if r.URL.Path == "/api/hoc/start" && starts.Add(1) == 1 {
			return http.StatusInternalServerError // final: the outbox does not repeat it
		}
		return 0
	}
	o := quick()
	o.Strict = true
	l, _ := newLoad(t, f, o)
	r := run(t, l)
	final, tries := int64(0), int64(0)
	for why, n := range r.Counts.Refused {
		if strings.HasPrefix(why, "hoc-start") {
			final += n
		}
	}
	for _, n := range r.Counts.Failed {
		tries += n
	}
	if final != 1 || tries != 1 || r.Counts.FailedRequests != final+tries || int64(len(r.Failures)) != r.Counts.FailedRequests {
		t.Errorf("%d failed requests, %d tries, %d final; %+v", r.Counts.FailedRequests, tries, final, r.Failures)
	}
	windows := int64(0)
	for _, w := range r.Timeline.Windows {
		windows += int64(w.Failed)
	}
	if windows != r.Counts.FailedRequests {
		t.Errorf("%d in the windows, %d counted", windows, r.Counts.FailedRequests)
	}
	if !slices.ContainsFunc(r.Complaints, func(c string) bool { return strings.Contains(c, "requests failed") }) {
		t.Errorf("%v", r.Complaints)
	}
	r.Counts.Refused = nil
	if r.complain(false); slices.ContainsFunc(r.Complaints, func(c string) bool { return strings.Contains(c, "requests failed") }) {
		t.Errorf("without strict: %v", r.Complaints)
	}
}

func TestTheTimelineHasAllThatWasAnswered(t *testing.T) {
	t.Parallel()
	f := newFake()
	f.progress = func(attempts int) int { return attempts - 1 } // stale
	l, _ := newLoad(t, f, quick())
	r := run(t, l)
	var runs, writes, reads, stale, due int64
	for _, w := range r.Timeline.Windows {
		runs += int64(w.Runs)
		writes += int64(w.Writes)
		reads += int64(w.Reads)
		stale += int64(w.Stale)
		due += w.WriteLatency.Count() + w.ReadLatency.Count()
	}
	if runs != r.Counts.Runs || writes+reads != r.Counts.Acknowledged || due != r.Counts.Acknowledged || stale != r.Counts.Stale || stale == 0 {
		t.Errorf("%d runs, %d writes, %d reads, %d stale, %d latencies; %+v", runs, writes, reads, stale, due, r.Counts)
	}
	if len(r.Timeline.Epochs) != 1 || r.Timeline.Epochs[0].Epoch != 3 || r.Timeline.Epochs[0].Writes != writes {
		t.Errorf("%+v", r.Timeline.Epochs)
	}
	// What a file has is what was measured.
	text, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	var back Report
	if err := json.Unmarshal(text, &back); err != nil {
		t.Fatal(err)
	}
	middle := r.Timeline.Start.Add(700 * time.Millisecond)
	if a, b := r.Timeline.Around(middle), back.Timeline.Around(middle); a != b {
		t.Errorf("%+v\n%+v", a, b)
	}
}

// Go's client sends a GET again by itself when a connection that was used before is reset: a client saw
// that connection fail all the same.
func TestAConnectionThatIsLostUnderAReadIsCounted(t *testing.T) {
	t.Parallel()
	f := newFake()
	var reads atomic.Int64
	used := sync.Map{} // connections
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, again := used.LoadOrStore(r.RemoteAddr, true)
		if r.Method == "GET" && again && r.URL.Path != "/api/curriculum" && reads.Add(1) == 1 {
			conn, _, err := w.(http.Hijacker).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			_ = conn.Close()
			return
		}
		f.ServeHTTP(w, r)
	})
	l, _ := newLoad(t, handler, quick())
	r := run(t, l)
	if reads.Load() == 0 || r.Counts.FailedRequests != 1 || r.Counts.Failed["connection lost"] != 1 || r.Counts.Unacknowledged > 0 {
		t.Errorf("%d reads, %+v, %+v", reads.Load(), r.Counts, r.Failures)
	}
}

// A server whose gate has not heard of a flip learns of it by the client that saw it.
func TestABrowserSendsTheEpochThatItSaw(t *testing.T) {
	t.Parallel()
	f := newFake()
	var seen atomic.Int64
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c, err := r.Cookie("epoch"); err == nil && c.Value == "7" {
			seen.Add(1)
		}
		if r.Method != "GET" {
			http.SetCookie(w, &http.Cookie{Name: "epoch", Value: "7", MaxAge: 60})
		}
		f.ServeHTTP(w, r)
	})
	l, _ := newLoad(t, handler, quick())
	r := run(t, l)
	if seen.Load() < r.Counts.Acknowledged/2 {
		t.Errorf("%d of %d requests had the epoch", seen.Load(), r.Counts.Acknowledged)
	}
}
