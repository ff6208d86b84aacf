package report

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

var noon = time.Date(2026, 12, 7, 12, 0, 0, 0, time.UTC)

// passing is an attempt that passes the role at a time, with a hold of so many milliseconds.
func passing(n uint64, kind, from, to string, at time.Time, hold float64) Record {
	r := Record{Migration: "school", Attempt: n, Kind: kind, Epoch: n, Outcome: "committed", Old: from, New: to, Began: at, HoldMS: hold,
		Proof:    Proof{Complete: true, Rows: 1_284_331, Keys: 212, TookMS: 18.4},
		Position: "3E11FA47-71CA-11E1-9E33-C80AA9429562:1-184211", Return: "4b2f…:1-77",
		Present: map[string]int{"keys due": 212, "triggers": 2, "events": 1, "AUTO_INCREMENT gaps": 1, "writers without a gate": 1},
		Gates:   []Gate{{"web-1:4711:a", hold - 4, hold - 2, 14}, {"web-2:4712:b", hold - 6, hold, 11}}}
	x := 0.0
	for _, s := range []struct {
		name  string
		share float64
		note  string
	}{{"preflight", 412, "nothing in the way"}, {"hold", .12, "25 inside, drained"}, {"fence", .1, "read_only"}, {"drain", .18, "3 transactions"},
		{"prove", .2, "212 keys equal"}, {"arm", .2, "2 triggers, 1 AUTO_INCREMENT"}, {"commit", .05, ""}, {"open", .1, "probe's write succeeded"},
		{"flip", .05, "2 gates"}, {"reverse", 320, "streaming"}} {
		took := s.share
		if took < 1 {
			took *= hold
		}
		r.Steps = append(r.Steps, Step{Name: s.name, StartMS: x, TookMS: took, Note: s.note})
		x += took
	}
	return r
}

// example is a story with a rehearsal, a cutover, a rollback that was undone, and one that was not.
func example() Story {
	s := Story{Migration: "school", Title: "The school moves", Made: noon.Add(5 * time.Minute), About: "Students at 100 Runs a second, in an open loop."}
	rehearsal := passing(1, "rehearse", "source", "target", noon.Add(40*time.Second), 190)
	rehearsal.Outcome, rehearsal.Steps = "rehearsed", rehearsal.Steps[:6]
	undone := passing(3, "rollback", "target", "source", noon.Add(110*time.Second), 310)
	undone.Outcome, undone.Steps = "undone", undone.Steps[:5]
	undone.Steps[4].Error = "school.activities: 1 key differs"
	undone.Reasons = []string{"prove: school.activities: 1 key differs"}
	undone.Proof.Complete = false
	s.Attempts = []Record{rehearsal, passing(2, "cutover", "source", "target", noon.Add(75*time.Second), 236), undone,
		passing(4, "rollback", "target", "source", noon.Add(150*time.Second), 204)}
	for i := range 1800 {
		at := noon.Add(time.Duration(i) * 100 * time.Millisecond)
		p := Point{At: at, P50: 4 + math.Sin(float64(i)/40), P99: 14 + 4*math.Sin(float64(i)/9), Max: 22 + 7*math.Sin(float64(i)/5), Writes: 22 + i%5, Runs: 10}
		for _, r := range s.Attempts {
			from, to := r.span()
			if at.After(from.Add(-100*time.Millisecond)) && at.Before(to) {
				left := float64(to.Sub(at).Milliseconds())
				p.P50, p.P99, p.Max, p.Writes = left*.6, left, left*1.1, 0
			} else if at.After(to.Add(-time.Millisecond)) && at.Before(to.Add(100*time.Millisecond)) {
				p.Writes = 70
			}
		}
		s.Latency = append(s.Latency, p)
	}
	calm := Stretch{Pause: 38, P50: 4.1, P99: 18, Max: 31, ReadP99: 9, ReadMax: 14, Writes: 2310}
	for _, r := range s.Attempts {
		s.Seen = append(s.Seen, Seen{Attempt: r.Attempt, HoldMS: r.HoldMS + 1, Before: calm, After: calm,
			During: Stretch{Pause: r.HoldMS + 6, P50: 5.2, P99: r.HoldMS - 3, Max: r.HoldMS + 5, ReadP99: 9.4, ReadMax: 15, Writes: 226}})
	}
	s.Audit = &Audit{Acknowledged: 41_772, Recovered: 2, SameRows: 1_284_331}
	return s
}

func made(t *testing.T, s Story) string {
	t.Helper()
	var b bytes.Buffer
	if err := HTML(&b, s); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestThePageHasWhatTheStoryHas(t *testing.T) {
	text := made(t, example())
	for _, want := range []string{"The school moves", "Cutover, attempt 2", "Rehearsal, attempt 1", "Rollback, attempt 3", `<span class="bad">undone</span>`,
		"school.activities: 1 key differs", "236 ms", "1 284 331", "41 772", "writes held: 204 ms", "pause seen by clients", "316 ms",
		"failed requests", "0, 0, 0", "212 keys equal", "web-2:4712:b", "3E11FA47", "2 triggers", "Audit: <span class=\"good\">clean</span>",
		"2 passes of the role: median 220 ms, longest 236 ms", "preflight took 412 ms, before anything was held."} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in the page", want)
		}
	}
}

func TestThePageNeedsNoNetworkAndNoScript(t *testing.T) {
	text := made(t, example())
	for _, never := range []string{"<script", "http://", "https://", "//cdn", "@import", "url(", " src="} {
		if strings.Contains(text, never) {
			t.Errorf("the page has %q", never)
		}
	}
	if !strings.Contains(text, `content="default-src 'none'`) {
		t.Error("the page lets itself load things")
	}
}

func TestWhatServersAndScriptsSayIsOnlyText(t *testing.T) {
	s := example()
	const evil = `<script>alert(1)</script>"'&`
	s.Title, s.About, s.Migration = evil, evil, evil
	r := &s.Attempts[1]
	r.Reasons, r.Notes, r.Kind, r.Old, r.Position = []string{evil}, []string{evil}, evil, evil, evil
	r.Steps[2].Note, r.Steps[2].Error, r.Steps[3].Name, r.Gates[0].Name = evil, evil, evil, evil
	r.Present = map[string]int{evil: 1}
	if text := made(t, s); strings.Contains(text, "<script") {
		t.Error("a script got into the page")
	}
}

func TestAPageOfLittleIsAPageToo(t *testing.T) {
	refused := Record{Attempt: 1, Kind: "cutover", Outcome: "refused", Began: noon, Reasons: []string{"CO-2001 lag is 3 s"}, Steps: []Step{{Name: "preflight", TookMS: 12}}}
	one := example()
	one.Attempts = one.Attempts[1:2]
	for name, s := range map[string]Story{
		"nothing":                           {},
		"a refused attempt":                 {Migration: "school", Attempts: []Record{refused}},
		"an attempt that has just begun":    {Attempts: []Record{{Kind: "cutover", Began: noon}}},
		"latency of one point":              {Latency: example().Latency[:1]},
		"latency without a write":           {Latency: []Point{{At: noon}, {At: noon.Add(time.Second)}}},
		"latency that is no number":         {Latency: []Point{{At: noon, P99: math.Inf(1), P50: math.NaN()}, {At: noon.Add(time.Second), P50: 3}}},
		"latency far from the attempt":      {Attempts: one.Attempts, Latency: []Point{{At: noon.Add(9 * time.Hour), P50: 1}, {At: noon.Add(10 * time.Hour), P50: 1}}},
		"points of one moment":              {Latency: []Point{{At: noon, P50: 1}, {At: noon, P50: 2}}},
		"a step that took nothing":          {Attempts: []Record{{Kind: "cutover", Steps: []Step{{Name: "hold"}, {Name: "fence"}}}}},
		"a hold far longer than its budget": {Attempts: []Record{passing(1, "cutover", "source", "target", noon, 3_600_000)}},
		"one pass":                          one,
	} {
		t.Run(name, func(t *testing.T) {
			text := made(t, s)
			for _, never := range []string{"NaN", "Inf", "%!", "ZgotmplZ", "&lt;nil"} {
				if strings.Contains(text, never) {
					t.Errorf("the page has %s", never)
				}
			}
			wellFormed(t, text)
		})
	}
}

// wellFormed reads each SVG of the page as XML.
func wellFormed(t *testing.T, text string) {
	t.Helper()
	for _, svg := range regexp.MustCompile(`(?s)<svg.*?</svg>`).FindAllString(text, -1) {
		d := xml.NewDecoder(strings.NewReader(svg))
		for {
			if _, err := d.Token(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatalf("%v in\n%s", err, svg)
			}
		}
	}
}

// A pause must not vanish when points are taken together.
func TestWhatIsTakenTogetherKeepsTheWorst(t *testing.T) {
	var points []Point
	for i := range 36_000 { // an hour
		points = append(points, Point{At: noon.Add(time.Duration(i) * 100 * time.Millisecond), P50: 4, P99: 10, Max: 20, Writes: 3})
	}
	points[20_001].P99, points[20_001].Max, points[20_002].Failed = 900, 950, 2
	thinned, length := thin(points, 100*time.Millisecond)
	if len(thinned) > mostPoints || length != 10*time.Second {
		t.Fatalf("%d points of %v", len(thinned), length)
	}
	writes, failed, worst := 0, 0, 0.0
	for _, p := range thinned {
		writes, failed, worst = writes+p.Writes, failed+p.Failed, max(worst, p.P99)
	}
	if writes != 3*36_000 || failed != 2 || worst != 900 {
		t.Errorf("%d writes, %d failed, %v", writes, failed, worst)
	}
	c := newChart(points, nil, "overview")
	if c.Highest.Label != "p99 900 ms" || len(c.Failed) != 1 || c.Each != "10 s" {
		t.Errorf("%+v, %v, %s", c.Highest, c.Failed, c.Each)
	}
	few, same := thin(points[:mostPoints], 100*time.Millisecond)
	if len(few) != mostPoints || same != 100*time.Millisecond {
		t.Errorf("%d points of %v", len(few), same)
	}
}

// Where there was nothing the curve has a gap: a line over it would be made up.
func TestACurveIsBrokenWhereNothingWas(t *testing.T) {
	var points []Point
	for i := range 100 {
		if i < 40 || i > 60 {
			points = append(points, Point{At: noon.Add(time.Duration(i) * 100 * time.Millisecond), P50: 4})
		}
	}
	if c := newChart(points, nil, "x"); strings.Count(c.P50, "M") != 2 {
		t.Errorf("%s", c.P50)
	}
}

func TestTheTimelineIsDrawnOverTheHold(t *testing.T) {
	line := newTimeline(passing(7, "cutover", "source", "target", noon, 200))
	if len(line.Bars) != 9 || line.Bars[0].Name != "hold" {
		t.Fatalf("%+v", line.Bars)
	}
	scale := (line.Right - line.Left) / (200 * 1.17)
	for _, b := range line.Bars[:8] {
		if b.X < line.HoldX-0.1 || b.X+b.W > line.HoldX+line.HoldW+0.1 || b.Further {
			t.Errorf("%s lies outside the hold: %+v", b.Name, b)
		}
	}
	if math.Abs(line.HoldW-200*scale) > 1 {
		t.Errorf("the hold is %v wide, want %v", line.HoldW, 200*scale)
	}
	if last := line.Bars[8]; !last.Further || last.X+last.W > line.Right+0.1 {
		t.Errorf("reverse goes on behind the edge: %+v", last)
	}
	if !slices.ContainsFunc(line.Ticks, func(k tick) bool { return k.Label == "0" && math.Abs(k.X-line.HoldX) < 0.5 }) {
		t.Errorf("no mark where the hold begins: %+v", line.Ticks)
	}
}

func TestNumbersAreReadable(t *testing.T) {
	for v, want := range map[float64]string{0: "0.0 ms", 4.21: "4.2 ms", 9.96: "10 ms", 250.4: "250 ms", 9996: "10.0 s", 12_345: "12.3 s", 3_600_000: "3600 s", -20: "−20 ms"} {
		if got := ms(v); got != want {
			t.Errorf("%v is %q, want %q", v, got, want)
		}
	}
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1 000", 1_284_331: "1 284 331", -1000: "-1 000"} {
		if got := count(n); got != want {
			t.Errorf("%d is %q, want %q", n, got, want)
		}
	}
}

func TestARecordIsReadFromItsDocument(t *testing.T) {
	r, err := ReadRecord([]byte(`{"attempt":4,"kind":"cutover","outcome":"committed","hold_ms":211.5,"steps":[{"name":"hold","start_ms":3,"took_ms":20.5}],"proof":{"complete":true,"rows":12}}`))
	if err != nil || r.Attempt != 4 || r.HoldMS != 211.5 || r.Steps[0].TookMS != 20.5 || !r.Proof.Complete || r.Proof.Rows != 12 {
		t.Errorf("%+v, %v", r, err)
	}
	if _, err := ReadRecord([]byte("no")); err == nil {
		t.Error("it was read")
	}
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, fmt.Errorf("no room") }

func TestAPageThatCantBeWrittenIsAnError(t *testing.T) {
	if err := HTML(broken{}, example()); err == nil {
		t.Error("no error")
	}
}
