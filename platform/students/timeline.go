package students

import (
	"fmt"
	"maps"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"changeover/platform/students/ledger"
)

// Timeline is what the clients saw, in windows of a tenth of a second: short enough that a pause of a
// quarter of a second has an outline, and no average hides it.
type Timeline struct {
	Start   time.Time `json:"start"`   // of the first window
	Windows []Window  `json:"windows"` // those in which anything was, in order
	Epochs  []Epoch   `json:"epochs"`  // of the writer, as answers said, in order
}

// windowLength is one window's.
const windowLength = 100 * time.Millisecond

// Window is a tenth of a second. What was answered counts where the answer came; latencies count where
// the click was, so that those who waited are found where they began to.
type Window struct {
	At     int64 `json:"at"` // milliseconds after the timeline's start
	Runs   int   `json:"runs"`
	Writes int   `json:"writes"` // acknowledged, Runs among them
	Reads  int   `json:"reads"`
	Failed int   `json:"failed,omitempty"` // requests: see Counts.FailedRequests
	Stale  int   `json:"stale,omitempty"`  // reads that missed an acknowledged write

	// Of the acknowledged writes: milliseconds into the window of the first and the last, and the longest
	// time between two.
	First float64 `json:"first"`
	Last  float64 `json:"last"`
	Gap   float64 `json:"gap"`

	WriteLatency Histogram `json:"writeLatency,omitempty"` // of the clicks in it
	ReadLatency  Histogram `json:"readLatency,omitempty"`
}

// Epoch is what the clients saw of one writer.
type Epoch struct {
	Epoch     int64     `json:"epoch"`
	Writes    int64     `json:"writes"`
	FirstSent time.Time `json:"firstSent"` // of the writes that it acknowledged, the first that was sent: held, if that was before FirstAck
	FirstAck  time.Time `json:"firstAck"`
	LastAck   time.Time `json:"lastAck"`
}

// Histogram counts latencies, in microseconds of three digits: within half a percent.
type Histogram map[int64]int64

func (h Histogram) add(d time.Duration) {
	v, unit := max(d.Microseconds(), 1), int64(1)
	for v/unit >= 1000 {
		unit *= 10
	}
	h[(v+unit/2)/unit*unit]++
}

func (h Histogram) merge(other Histogram) {
	for v, n := range other {
		h[v] += n
	}
}

// Count is how many there are.
func (h Histogram) Count() (n int64) {
	for _, m := range h {
		n += m
	}
	return n
}

// Quantile is the latency that a share of all, 0 to 1, does not exceed, in milliseconds.
func (h Histogram) Quantile(share float64) float64 {
	values := slices.Sorted(maps.Keys(h))
	if len(values) == 0 {
		return 0
	}
	rank, seen := share*float64(h.Count()), int64(0)
	i := 0
	for ; i < len(values)-1; i++ {
		if seen += h[values[i]]; float64(seen) >= rank {
			break
		}
	}
	return float64(values[i]) / 1000
}

// Latency is the usual four.
func (h Histogram) Latency() Latency {
	return Latency{h.Quantile(0.5), h.Quantile(0.95), h.Quantile(0.99), h.Quantile(1)}
}

// MarshalText writes milliseconds and counts in order, "4.21*2 5.3*1": one word each, since a file has
// thousands of windows.
func (h Histogram) MarshalText() ([]byte, error) {
	var text []byte
	for _, v := range slices.Sorted(maps.Keys(h)) {
		if len(text) > 0 {
			text = append(text, ' ')
		}
		text = strconv.AppendFloat(text, float64(v)/1000, 'f', -1, 64)
		text = append(text, '*')
		text = strconv.AppendInt(text, h[v], 10)
	}
	return text, nil
}

// UnmarshalText reads what MarshalText writes.
func (h *Histogram) UnmarshalText(text []byte) error {
	*h = Histogram{}
	for _, word := range strings.Fields(string(text)) {
		value, count, _ := strings.Cut(word, "*")
		ms, err := strconv.ParseFloat(value, 64)
		n, countErr := strconv.ParseInt(count, 10, 64)
		if err != nil || countErr != nil || !(ms > 0 && ms < 1e12) || n < 1 {
			return fmt.Errorf("%q is no part of a histogram", word)
		}
		(*h)[int64(ms*1000+0.5)] += n
	}
	return nil
}

// recorder collects a timeline. The meter's lock guards it.
type recorder struct {
	start   time.Time
	windows map[int64]*recording
	epochs  map[int64]*Epoch
}

// recording is a window that may still change.
type recording struct {
	Window
	acks []int32 // of writes, microseconds into the window
}

func newRecorder() *recorder {
	return &recorder{windows: map[int64]*recording{}, epochs: map[int64]*Epoch{}}
}

// at is the window of a time. Whole windows begin at whole tenths of the clock, so that those of several
// loads lie on each other.
func (r *recorder) at(t time.Time) *recording {
	if r.start.IsZero() {
		r.start = t.Truncate(windowLength)
	}
	n := int64(t.Sub(r.start) / windowLength)
	if t.Before(r.start) {
		n = 0
	}
	w := r.windows[n]
	if w == nil {
		w = &recording{Window: Window{At: n * windowLength.Milliseconds(), WriteLatency: Histogram{}, ReadLatency: Histogram{}}}
		r.windows[n] = w
	}
	return w
}

// acknowledged is a write that took place.
func (r *recorder) acknowledged(a answer) {
	w := r.at(a.at)
	w.Writes++
	if a.kind == ledger.Run {
		w.Runs++
	}
	w.acks = append(w.acks, int32(a.at.Sub(r.start.Add(time.Duration(w.At)*time.Millisecond)).Microseconds()))
	r.at(a.due).WriteLatency.add(a.at.Sub(a.due))
	if a.epoch == 0 { // the platform has no gate
		return
	}
	e := r.epochs[a.epoch]
	if e == nil {
		e = &Epoch{Epoch: a.epoch, FirstSent: a.sent, FirstAck: a.at, LastAck: a.at}
		r.epochs[a.epoch] = e
	}
	e.Writes++
	if a.sent.Before(e.FirstSent) {
		e.FirstSent = a.sent
	}
	if a.at.Before(e.FirstAck) {
		e.FirstAck = a.at
	}
	if a.at.After(e.LastAck) {
		e.LastAck = a.at
	}
}

func (r *recorder) read(a answer) {
	r.at(a.at).Reads++
	r.at(a.due).ReadLatency.add(a.at.Sub(a.due))
}

// timeline is a copy of what there is so far.
func (r *recorder) timeline() *Timeline {
	t := &Timeline{Start: r.start.UTC(), Windows: []Window{}, Epochs: []Epoch{}}
	for _, n := range slices.Sorted(maps.Keys(r.windows)) {
		from := r.windows[n]
		w := from.Window
		w.WriteLatency, w.ReadLatency = maps.Clone(w.WriteLatency), maps.Clone(w.ReadLatency)
		w.First, w.Last, w.Gap = gaps(from.acks)
		t.Windows = append(t.Windows, w)
	}
	for _, n := range slices.Sorted(maps.Keys(r.epochs)) {
		e := *r.epochs[n]
		e.FirstSent, e.FirstAck, e.LastAck = e.FirstSent.UTC(), e.FirstAck.UTC(), e.LastAck.UTC()
		t.Epochs = append(t.Epochs, e)
	}
	return t
}

// gaps are the first and last of some instants, and the longest time between two, in milliseconds.
func gaps(acks []int32) (first, last, gap float64) {
	if len(acks) == 0 {
		return 0, 0, 0
	}
	acks = slices.Sorted(slices.Values(acks)) // goroutines come to the lock in another order than their answers
	for i := 1; i < len(acks); i++ {
		gap = max(gap, float64(acks[i]-acks[i-1])/1000)
	}
	return float64(acks[0]) / 1000, float64(acks[len(acks)-1]) / 1000, gap
}

// Timeline is what there is so far; nil before the bell.
func (l *Load) Timeline() *Timeline {
	if !l.running.Load() {
		return nil
	}
	l.meter.mu.Lock()
	defer l.meter.mu.Unlock()
	return l.meter.recorder.timeline()
}

// Around is what students saw of something that happened at a time: in the ten seconds before, in the
// second that begins with it, and in the ten after that.
type Around struct {
	At     time.Time `json:"at"`
	Before Stretch   `json:"before"`
	During Stretch   `json:"during"`
	After  Stretch   `json:"after"`
	Extra  float64   `json:"extra"` // p99 of writes in the second, less that of before; milliseconds
}

// Stretch is a part of the timeline. Times are milliseconds.
type Stretch struct {
	Seconds float64 `json:"seconds"`
	// Pause is the longest time between two acknowledged writes, over all students, that lies in the
	// stretch or reaches into it.
	Pause        float64 `json:"pause"`
	Runs         int64   `json:"runs"` // acknowledged
	Writes       int64   `json:"writes"`
	Reads        int64   `json:"reads"`
	Failed       int64   `json:"failed"` // requests, in the strict sense
	Stale        int64   `json:"stale"`
	WriteLatency Latency `json:"writeLatency"` // of those clicked in it
	ReadLatency  Latency `json:"readLatency"`
}

const (
	aside  = 10 * time.Second // before and after
	within = time.Second      // of the cutover
)

// Around looks at the time of a cutover.
func (t *Timeline) Around(at time.Time) Around {
	a := Around{At: at.UTC(), Before: t.Stretch(at.Add(-aside), at), During: t.Stretch(at, at.Add(within)),
		After: t.Stretch(at.Add(within), at.Add(within+aside))}
	// A pause that reaches out of the second is the second's alone.
	a.Before.Pause = t.pause(at.Add(-aside), at, inside)
	a.After.Pause = t.pause(at.Add(within), at.Add(within+aside), inside)
	a.Extra = a.During.WriteLatency.P99 - a.Before.WriteLatency.P99
	return a
}

// Stretch sums the windows that lie in from…to or reach into it.
func (t *Timeline) Stretch(from, to time.Time) Stretch {
	s := Stretch{Seconds: to.Sub(from).Seconds(), Pause: t.pause(from, to, reaching)}
	writes, reads := Histogram{}, Histogram{}
	begin, end := t.reach(from, to)
	for _, w := range t.Windows[begin:end] {
		s.Runs += int64(w.Runs)
		s.Writes += int64(w.Writes)
		s.Reads += int64(w.Reads)
		s.Failed += int64(w.Failed)
		s.Stale += int64(w.Stale)
		writes.merge(w.WriteLatency)
		reads.merge(w.ReadLatency)
	}
	s.WriteLatency, s.ReadLatency = writes.Latency(), reads.Latency()
	return s
}

// reach are the windows begin ≤ i < end that lie in from…to or reach into it. One that only its end
// reaches by less than half is the next stretch's.
func (t *Timeline) reach(from, to time.Time) (begin, end int) {
	index := func(x time.Time) int {
		ms := x.Sub(t.Start).Milliseconds()
		return sort.Search(len(t.Windows), func(i int) bool { return t.Windows[i].At+windowLength.Milliseconds()/2 > ms })
	}
	return index(from), index(to)
}

// extent says which pauses belong to a stretch.
type extent int

const (
	reaching extent = iota // those that have a part in it
	inside                 // those that lie in it wholly
)

// pause is the longest time between two acknowledged writes in from…to. Where no write follows, it goes
// to the end.
func (t *Timeline) pause(from, to time.Time, of extent) float64 {
	begin, end := float64(from.Sub(t.Start).Microseconds())/1000, float64(to.Sub(t.Start).Microseconds())/1000
	longest, last := 0.0, 0.0
	any := false
	take := func(since, until float64) {
		if of == reaching && until > begin && since < end || of == inside && since >= begin && until <= end {
			longest = max(longest, until-since)
		}
	}
	for _, w := range t.Windows {
		if w.Writes == 0 {
			continue
		}
		at := float64(w.At)
		if any {
			take(last, at+w.First)
		}
		any, last = true, at+w.Last
		if w.Gap > 0 && at+w.Last > begin && at+w.First < end { // the window is shorter than what is asked for: near enough
			longest = max(longest, w.Gap)
		}
	}
	if any && last < end && len(t.Windows) > 0 {
		// The run may end before the stretch does: then the silence ends with the last sign of anything.
		take(last, min(end, float64(t.Windows[len(t.Windows)-1].At)))
	}
	return longest
}

// Flip is a change of the writer, as the clients saw it.
type Flip struct {
	Epoch int64     `json:"epoch"` // the new one
	At    time.Time `json:"at"`    // when the first write that the new writer acknowledged was sent
	// Hold is from then to the first acknowledgement by the new writer: the time for which the students' clocks saw a
	// write held. Zero if no write was waiting.
	Hold float64 `json:"hold"`
	// Between is from the old writer's last acknowledgement to the new one's first. Below zero if answers overtook each other.
	Between float64 `json:"between"`
	Around  Around  `json:"around"`
}

// Flips are the changes of writer, in order.
func (t *Timeline) Flips() []Flip {
	flips := []Flip{}
	for i := 1; i < len(t.Epochs); i++ {
		was, is := t.Epochs[i-1], t.Epochs[i]
		at := is.FirstSent
		flips = append(flips, Flip{Epoch: is.Epoch, At: at, Hold: milliseconds(is.FirstAck.Sub(at)),
			Between: milliseconds(is.FirstAck.Sub(was.LastAck)), Around: t.Around(at)})
	}
	return flips
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
