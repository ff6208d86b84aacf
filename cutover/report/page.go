package report

import (
	"cmp"
	"fmt"
	"html/template"
	"maps"
	"math"
	"slices"
	"strings"
	"time"
)

// page is what the template is filled with.
type page struct {
	Story
	Style    template.CSS
	Figures  []figure
	Overview *chart
	Shown    []attempt
	Good     bool // nothing is wrong
}

// figure is one number of the headline.
type figure struct {
	Name, Value, More string
	Mood              string // good, bad, or plain
}

// attempt is one section of the page.
type attempt struct {
	Record
	ID       string
	Heading  string
	Mood     string
	Timeline *timeline
	Latency  *chart
	Seen     *Seen
	Present  []figure
	Held     string // by the gates' clocks
}

// around is how much of the clients' time an attempt's chart shows on each side.
const around = 5 * time.Second

func newPage(s Story) page {
	s.Title = cmp.Or(s.Title, s.Migration, "A cutover")
	s.Latency = slices.Clone(s.Latency)
	for i := range s.Latency {
		p := &s.Latency[i]
		p.P50, p.P99, p.Max = finite(p.P50), finite(p.P99), finite(p.Max)
	}
	slices.SortStableFunc(s.Latency, func(a, b Point) int { return a.At.Compare(b.At) })
	p := page{Story: s, Style: template.CSS(style)}
	for i, r := range s.Attempts {
		p.Shown = append(p.Shown, newAttempt(s, r, fmt.Sprintf("attempt-%d", i+1)))
	}
	p.Overview = newChart(s.Latency, s.Attempts, "overview")
	p.Figures = figures(s)
	p.Good = !slices.ContainsFunc(p.Figures, func(f figure) bool { return f.Mood == "bad" })
	return p
}

// finite is v, or zero where v can't be drawn: nothing was measured then.
func finite(v float64) float64 {
	if v > 0 && v < 1e12 {
		return v
	}
	return 0
}

func newAttempt(s Story, r Record, id string) attempt {
	a := attempt{Record: r, ID: id, Heading: heading(r), Mood: mood(r.Outcome), Timeline: newTimeline(r), Held: held(r.Gates)}
	for i := range s.Seen {
		if s.Seen[i].Attempt == r.Attempt {
			a.Seen = &s.Seen[i]
		}
	}
	for _, name := range slices.Sorted(maps.Keys(r.Present)) {
		a.Present = append(a.Present, figure{Name: name, Value: count(int64(r.Present[name]))})
	}
	from, to := r.span()
	a.Latency = newChart(slices.DeleteFunc(slices.Clone(s.Latency), func(p Point) bool {
		return p.At.Before(from.Add(-around)) || p.At.After(to.Add(around))
	}), []Record{r}, id+"-latency")
	return a
}

func heading(r Record) string {
	what := map[string]string{"cutover": "Cutover", "rollback": "Rollback", "rehearse": "Rehearsal"}[r.Kind]
	return fmt.Sprintf("%s, attempt %d", cmp.Or(what, r.Kind), r.Attempt)
}

// mood of an outcome: one that was asked for is good.
func mood(outcome string) string {
	switch outcome {
	case "committed", "rehearsed":
		return "good"
	case "":
		return "plain"
	}
	return "bad"
}

// held is the hold as the gates measured it.
func held(gates []Gate) string {
	var all []float64
	for _, g := range gates {
		if v := cmp.Or(g.FirstWriteMS, g.HeldMS); v > 0 {
			all = append(all, v)
		}
	}
	if len(all) == 0 {
		return ""
	}
	slices.Sort(all)
	if len(all) == 1 || ms(all[0]) == ms(all[len(all)-1]) {
		return ms(all[len(all)-1])
	}
	return fmt.Sprintf("%s to %s", ms(all[0]), ms(all[len(all)-1]))
}

// hold is from…to of the hold: the steps from the one of that name, for as long as the record says.
func (r Record) hold() (from, to float64, ok bool) {
	for _, s := range r.Steps {
		if s.Name == "hold" {
			return s.StartMS, s.StartMS + r.HoldMS, r.HoldMS > 0
		}
	}
	return 0, 0, false
}

// span is the time of the hold, or if there was none, of the attempt.
func (r Record) span() (from, to time.Time) {
	at := func(ms float64) time.Time { return r.Began.Add(time.Duration(ms * float64(time.Millisecond))) }
	if begin, end, ok := r.hold(); ok {
		return at(begin), at(end)
	}
	end := 0.0
	for _, s := range r.Steps {
		end = math.Max(end, s.StartMS+s.TookMS)
	}
	return r.Began, at(end)
}

// figures are the headline: what somebody who reads nothing else should know.
func figures(s Story) []figure {
	var all []figure
	add := func(name, value, more, mood string) { all = append(all, figure{name, value, more, mood}) }
	passes, holds := passed(s.Attempts)
	if passes > 0 {
		median, longest := (holds[(len(holds)-1)/2]+holds[len(holds)/2])/2, holds[len(holds)-1]
		more := fmt.Sprintf("%d passes of the role: median %s, longest %s", passes, ms(median), ms(longest))
		if passes == 1 {
			more = "the role passed once"
		}
		add("writes were held", ms(median), more, "plain")
	}
	if len(s.Seen) > 0 {
		worst := slices.MaxFunc(s.Seen, func(a, b Seen) int { return cmp.Compare(a.During.Pause, b.During.Pause) })
		add("pause seen by clients", ms(worst.During.Pause), fmt.Sprintf("the longest time between two acknowledged writes, in attempt %d; %s before", worst.Attempt, ms(worst.Before.Pause)), "plain")
		late := slices.MaxFunc(s.Seen, func(a, b Seen) int { return cmp.Compare(a.During.P99, b.During.P99) })
		add("p99 of writes", ms(late.During.P99), fmt.Sprintf("in the second of attempt %d; %s before, %s after", late.Attempt, ms(late.Before.P99), ms(late.After.P99)), "plain")
	}
	if a := s.Audit; a != nil {
		add("failed requests", count(a.Failed), "any 5xx, any connection refused or lost", verdict(a.Failed == 0))
		add("lost, doubled, stray", fmt.Sprintf("%d, %d, %d", a.Lost, a.Doubled, a.Stray), count(a.Acknowledged)+" acknowledged operations were looked for",
			verdict(a.Lost+a.Doubled+a.Stray+a.Wrong+a.Different+a.Unexpected == 0))
		add("stale reads", count(a.Stale), "reads that missed a write of their own", verdict(a.Stale == 0))
	}
	if p := newestProof(s); p != nil {
		add("rows proven equal", count(int64(p.Rows)), fmt.Sprintf("%s compared behind the fence, in %s", count(int64(p.Keys)), ms(p.TookMS)), verdict(p.Complete))
	}
	return all
}

// passed counts the passes of the role, and sorts how long each held.
func passed(attempts []Record) (n int, holds []float64) {
	for _, r := range attempts {
		if r.Outcome == "committed" {
			n++
			holds = append(holds, r.HoldMS)
		}
	}
	slices.Sort(holds)
	return n, holds
}

func newestProof(s Story) *Proof {
	if s.Proof != nil {
		return s.Proof
	}
	for _, r := range slices.Backward(s.Attempts) {
		if r.Proof.Rows > 0 {
			return &r.Proof
		}
	}
	return nil
}

func verdict(good bool) string {
	if good {
		return "good"
	}
	return "bad"
}

// ms writes milliseconds as a person reads them.
func ms(v float64) string {
	switch {
	case math.IsNaN(v) || math.IsInf(v, 0):
		return "–"
	case v < 0:
		return "−" + ms(-v)
	case v >= 100_000:
		return fmt.Sprintf("%.0f s", v/1000)
	case v >= 9_995:
		return fmt.Sprintf("%.1f s", v/1000)
	case v >= 9.95:
		return fmt.Sprintf("%.0f ms", v)
	}
	return fmt.Sprintf("%.1f ms", v)
}

// count writes a number with thin spaces between its thousands.
func count(n int64) string {
	text := fmt.Sprint(n)
	var b strings.Builder
	for i, c := range text {
		if i > 0 && (len(text)-i)%3 == 0 && text[i-1] != '-' {
			b.WriteRune(' ')
		}
		b.WriteRune(c)
	}
	return b.String()
}

// rows is count for the records' own types.
func rows(n any) string {
	switch n := n.(type) {
	case uint64:
		return count(int64(n))
	case int:
		return count(int64(n))
	}
	return fmt.Sprint(n)
}

// row is a stretch with its name.
type row struct {
	Name string
	Stretch
}

func newRow(name string, s Stretch) row { return row{name, s} }

func clock(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05.000") + " UTC" }
