package report

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// The latency chart's geometry, in the units of its viewBox.
const (
	chartWidth  = 1000.0
	chartLeft   = 64.0
	chartRight  = 990.0
	curvesTop   = 26.0
	curvesLow   = 226.0
	writesTop   = 250.0
	writesLow   = 310.0
	chartHeight = 350.0
)

// mostPoints is how many are drawn: of more, several are taken together, the worst of them shown.
const mostPoints = 600

// chart is what clients saw over time: latencies on a logarithmic scale, since both two milliseconds and a
// quarter of a second must be seen, and below them the writes that were acknowledged.
type chart struct {
	ID            string
	Width, Height float64
	Left, Right   float64
	Top, Low      float64
	BarsTop       float64
	BarsLow       float64
	Label         string
	Each          string  // what a point is
	P50, P99, Max string  // paths
	Highest       tick    // the highest p99, said
	Columns       string  // a path of writes
	Most          string  // the highest column
	MostY         float64 // where that is said
	X, Y          []tick
	Bands         []band
	Failed        []tick // where requests failed
}

// band is an attempt on the chart.
type band struct {
	X, W, TextX float64
	Label, Mood string
	Anchor      string
}

// newChart is nil if there is nothing to draw.
func newChart(points []Point, attempts []Record, id string) *chart {
	length := pointLength(points)
	points, length = thin(points, length)
	if len(points) < 2 {
		return nil
	}
	first, last := points[0].At, points[len(points)-1].At.Add(length)
	x := func(t time.Time) float64 {
		return chartLeft + float64(t.Sub(first))/float64(last.Sub(first))*(chartRight-chartLeft)
	}
	c := &chart{ID: id, Width: chartWidth, Height: chartHeight, Left: chartLeft, Right: chartRight, Top: curvesTop, Low: curvesLow,
		BarsTop: writesTop, BarsLow: writesLow, Each: said(length)}
	c.curves(points, x, length)
	c.columns(points, x, length)
	c.times(first, last, x, zeroOf(attempts, id))
	c.bands(attempts, x)
	c.Label = fmt.Sprintf("Latency of writes and acknowledged writes from %s to %s", clock(first), clock(last))
	return c
}

// pointLength is the usual distance of two points.
func pointLength(points []Point) time.Duration {
	shortest := time.Duration(math.MaxInt64)
	for i := 1; i < len(points); i++ {
		if d := points[i].At.Sub(points[i-1].At); d > 0 {
			shortest = min(shortest, d)
		}
	}
	if shortest == math.MaxInt64 {
		return 100 * time.Millisecond
	}
	return shortest
}

// thin takes points together until there are few enough. Of latencies the highest stays: an average
// would hide what the chart is for.
func thin(points []Point, length time.Duration) ([]Point, time.Duration) {
	if len(points) < 2 {
		return points, length
	}
	whole := points[len(points)-1].At.Sub(points[0].At) + length
	for _, longer := range []time.Duration{0, 200 * time.Millisecond, 500 * time.Millisecond, time.Second, 2 * time.Second, 5 * time.Second,
		10 * time.Second, 30 * time.Second, time.Minute, 5 * time.Minute, 30 * time.Minute, 6 * time.Hour, 7 * 24 * time.Hour} {
		if longer > length || longer == 0 {
			length = max(longer, length)
			if whole/length <= mostPoints {
				break
			}
		}
	}
	var thinned []Point
	for _, p := range points {
		at := points[0].At.Add(p.At.Sub(points[0].At) / length * length)
		if n := len(thinned); n > 0 && thinned[n-1].At.Equal(at) {
			q := &thinned[n-1]
			q.P50, q.P99, q.Max = max(q.P50, p.P50), max(q.P99, p.P99), max(q.Max, p.Max)
			q.Writes, q.Runs, q.Failed, q.Stale = q.Writes+p.Writes, q.Runs+p.Runs, q.Failed+p.Failed, q.Stale+p.Stale
			continue
		}
		p.At = at
		thinned = append(thinned, p)
	}
	return thinned, length
}

func said(length time.Duration) string {
	if length < time.Second {
		return fmt.Sprintf("%d ms", length.Milliseconds())
	}
	if length < 2*time.Minute {
		return fmt.Sprintf("%g s", length.Seconds())
	}
	return fmt.Sprintf("%g min", length.Minutes())
}

// curves draws the latencies.
func (c *chart) curves(points []Point, x func(time.Time) float64, length time.Duration) {
	low, high := math.Inf(1), 0.0
	worst := points[0]
	for _, p := range points {
		if p.P50 > 0 {
			low = math.Min(low, p.P50)
		}
		high = math.Max(high, math.Max(p.Max, p.P99))
		if p.P99 > worst.P99 {
			worst = p
		}
	}
	if high == 0 {
		low, high = 1, 10
	}
	low, high = math.Pow(10, math.Floor(math.Log10(low))), math.Pow(10, math.Ceil(math.Log10(high)))
	if high <= low {
		high = low * 10
	}
	y := func(v float64) float64 {
		return curvesLow - math.Log10(math.Max(v, low)/low)/math.Log10(high/low)*(curvesLow-curvesTop)
	}
	middle := func(p Point) float64 { return x(p.At.Add(length / 2)) }
	path := func(of func(Point) float64) string { return line(points, of, middle, y, 3*length) }
	c.P50, c.P99, c.Max = path(func(p Point) float64 { return p.P50 }), path(func(p Point) float64 { return p.P99 }), path(func(p Point) float64 { return p.Max })
	for v := low; v <= high*1.001; v *= 10 {
		c.Y = append(c.Y, tick{X: chartLeft - 8, Y: y(v), Label: ms(v)})
	}
	if worst.P99 > 0 {
		c.Highest = tick{X: middle(worst), Y: y(worst.P99), Label: "p99 " + ms(worst.P99)}
	}
	for _, p := range points {
		if p.Failed > 0 {
			c.Failed = append(c.Failed, tick{X: middle(p), Y: curvesLow, Label: fmt.Sprintf("%d requests failed at %s", p.Failed, clock(p.At))})
		}
	}
}

// line is a path through the points that have a value, broken where there is none for longer than most.
func line(points []Point, of func(Point) float64, x func(Point) float64, y func(float64) float64, most time.Duration) string {
	var b strings.Builder
	var before time.Time
	for _, p := range points {
		v := of(p)
		if v <= 0 {
			continue
		}
		command := "L"
		if before.IsZero() || p.At.Sub(before) > most {
			command = "M"
		}
		fmt.Fprintf(&b, "%s%.1f %.1f", command, x(p), y(v))
		if command == "M" { // a point alone is a dot
			b.WriteString("h.1")
		}
		before = p.At
	}
	return b.String()
}

// columns draws the acknowledged writes.
func (c *chart) columns(points []Point, x func(time.Time) float64, length time.Duration) {
	most := slices.MaxFunc(points, func(a, b Point) int { return cmp.Compare(a.Writes, b.Writes) }).Writes
	if most == 0 {
		return
	}
	var b strings.Builder
	for _, p := range points {
		if p.Writes == 0 {
			continue
		}
		height := float64(p.Writes) / float64(most) * (writesLow - writesTop)
		from, to := x(p.At), x(p.At.Add(length))
		width := math.Max((to-from)*0.86, 0.6)
		fmt.Fprintf(&b, "M%.1f %.1fv-%.1fh%.2fv%.1fz", from, writesLow, height, width, height)
	}
	c.Columns, c.Most, c.MostY = b.String(), count(int64(most)), writesTop
}

// zeroOf is where the chart's clock begins: at the hold of the attempt that it is of.
func zeroOf(attempts []Record, id string) time.Time {
	if id == "overview" || len(attempts) != 1 {
		return time.Time{}
	}
	from, _ := attempts[0].span()
	return from
}

// times are the marks below: seconds from zero, or the time of day.
func (c *chart) times(first, last time.Time, x func(time.Time) float64, zero time.Time) {
	step := time.Duration(niceStep(last.Sub(first).Seconds()/8) * float64(time.Second))
	if zero.IsZero() {
		for _, s := range []time.Duration{time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second, 30 * time.Second, time.Minute, 2 * time.Minute,
			5 * time.Minute, 10 * time.Minute, 30 * time.Minute, time.Hour, 6 * time.Hour, 24 * time.Hour} {
			if step = s; last.Sub(first)/s <= 10 {
				break
			}
		}
		for t := first.Truncate(step); !t.After(last); t = t.Add(step) {
			if !t.Before(first) {
				c.X = append(c.X, tick{X: x(t), Y: writesLow + 26, Label: t.UTC().Format("15:04:05")})
			}
		}
		return
	}
	n := math.Ceil(float64(first.Sub(zero)) / float64(step))
	for t := zero.Add(time.Duration(n) * step); !t.After(last); t = t.Add(step) {
		label := fmt.Sprintf("%+g s", t.Sub(zero).Seconds())
		if t.Equal(zero) {
			label = "0"
		}
		c.X = append(c.X, tick{X: x(t), Y: writesLow + 26, Label: strings.Replace(label, "-", "−", 1)})
	}
}

// bands marks the attempts.
func (c *chart) bands(attempts []Record, x func(time.Time) float64) {
	for _, r := range attempts {
		begin, end := r.span()
		from, to := x(begin), x(end)
		if to < chartLeft || from > chartRight {
			continue
		}
		from, to = math.Max(from, chartLeft), math.Min(to, chartRight)
		b := band{X: from, W: math.Max(to-from, 1.5), Label: fmt.Sprintf("%s %d", r.Kind, r.Attempt), Mood: mood(r.Outcome), TextX: from, Anchor: "start"}
		if from > chartRight-90 {
			b.TextX, b.Anchor = to, "end"
		}
		c.Bands = append(c.Bands, b)
	}
}

// BandHeight is of what marks an attempt.
func (c *chart) BandHeight() float64 { return c.BarsLow - c.Top }

// TickLow is the lower end of a mark of time.
func (c *chart) TickLow() float64 { return c.BarsLow + 5 }

// LabelX is where figures at the left end.
func (c *chart) LabelX() float64 { return c.Left - 8 }

// HighestAnchor, HighestX and HighestY say where the highest p99 is written: beside its point, on the side that has room.
func (c *chart) HighestAnchor() string {
	if c.Highest.X > c.Right-110 {
		return "end"
	}
	return "start"
}

// HighestX is left or right of the point.
func (c *chart) HighestX() float64 {
	if c.HighestAnchor() == "end" {
		return c.Highest.X - 8
	}
	return c.Highest.X + 8
}

// HighestY is a little above the point, and below the names of the attempts.
func (c *chart) HighestY() float64 { return max(c.Highest.Y-4, c.Top+14) }
