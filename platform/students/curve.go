package students

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Curve is the rate of Runs over the time of a run: up in Ramp, level, and multiplied in the surges.
type Curve struct {
	Runs   float64       // a second
	For    time.Duration // of the whole, ramp included
	Ramp   time.Duration // from nothing to Runs
	Surges []Surge
}

// Surge is a time in which there are more: it begins and ends with a slope.
type Surge struct {
	Factor   float64
	From     time.Duration // after the beginning of the run; 0: a third of the level part
	For      time.Duration // 0: a third of the level part
	Gradient time.Duration // of each slope; 0: a quarter of For, at most 10 s
}

// ParseSurge reads 5x, 5x@40s or 5x@40s+20s: the factor, when it begins, how long it is.
func ParseSurge(text string) (Surge, error) {
	wrong := fmt.Errorf("%q is no surge: write it like 5x, 5x@40s or 5x@40s+20s", text)
	factor, when, timed := strings.Cut(text, "@")
	number, ok := strings.CutSuffix(factor, "x")
	f, err := strconv.ParseFloat(number, 64)
	if !ok || err != nil || !(f > 0 && f <= 1000) {
		return Surge{}, wrong
	}
	s := Surge{Factor: f}
	if !timed {
		return s, nil
	}
	from, length, long := strings.Cut(when, "+")
	if s.From, err = time.ParseDuration(from); err != nil || s.From <= 0 {
		return Surge{}, wrong
	}
	if !long {
		return s, nil
	}
	if s.For, err = time.ParseDuration(length); err != nil || s.For <= 0 {
		return Surge{}, wrong
	}
	return s, nil
}

// resolve fills in what is left out.
func (c Curve) resolve() (Curve, error) {
	if !(c.Runs > 0 && c.Runs <= 1e6) || c.For <= 0 || c.Ramp < 0 || c.Ramp >= c.For {
		return c, errors.New("a run needs a rate above 0, a time, and a ramp that is shorter than it")
	}
	c.Surges = slices.Clone(c.Surges)
	third := (c.For - c.Ramp) / 3
	end := c.Ramp
	slices.SortStableFunc(c.Surges, func(a, b Surge) int { return int(a.From - b.From) })
	for i := range c.Surges {
		s := &c.Surges[i]
		if s.From == 0 {
			s.From = c.Ramp + third
		}
		if s.For == 0 {
			s.For = min(third, c.For-s.From)
		}
		if s.Gradient == 0 {
			s.Gradient = min(s.For/4, 10*time.Second)
		}
		if s.From < end || s.For <= 0 || s.From+s.For > c.For || 2*s.Gradient > s.For {
			return c, fmt.Errorf("a surge of %v at %v doesn't fit between the ramp, the other surges, and the end", s.For, s.From)
		}
		end = s.From + s.For
	}
	return c, nil
}

// point is a corner of the curve.
type point struct {
	at   time.Duration
	rate float64
}

// points are the corners, between which the rate is a straight line. The curve is resolved.
func (c Curve) points() []point {
	ps := []point{{0, c.Runs}}
	if c.Ramp > 0 {
		ps = []point{{0, 0}, {c.Ramp, c.Runs}}
	}
	for _, s := range c.Surges {
		high := c.Runs * s.Factor
		ps = append(ps, point{s.From, c.Runs}, point{s.From + s.Gradient, high},
			point{s.From + s.For - s.Gradient, high}, point{s.From + s.For, c.Runs})
	}
	return append(ps, point{c.For, c.Runs})
}

// max is the highest rate.
func (c Curve) max() float64 {
	most := 0.0
	for _, p := range c.points() {
		most = math.Max(most, p.rate)
	}
	return most
}

// At is the rate at a time.
func (c Curve) At(t time.Duration) float64 {
	ps := c.points()
	for i := 1; i < len(ps); i++ {
		a, b := ps[i-1], ps[i]
		if t <= b.at && b.at > a.at {
			return a.rate + (b.rate-a.rate)*float64(max(t-a.at, 0))/float64(b.at-a.at)
		}
	}
	return 0
}

// span is a time in which a seat is taken.
type span struct{ from, to time.Duration }

// above lists the times in which the rate is above level.
func (c Curve) above(level float64) []span {
	var spans []span
	ps := c.points()
	open := time.Duration(-1)
	if ps[0].rate > level {
		open = 0
	}
	for i := 1; i < len(ps); i++ {
		a, b := ps[i-1], ps[i]
		crossing := a.at
		if a.rate != b.rate {
			crossing += time.Duration(float64(b.at-a.at) * (level - a.rate) / (b.rate - a.rate))
		}
		switch {
		case open < 0 && b.rate > level:
			open = crossing
		case open >= 0 && b.rate <= level:
			spans = append(spans, span{open, crossing})
			open = -1
		}
	}
	if open >= 0 {
		spans = append(spans, span{open, c.For})
	}
	return spans
}

// Phase is a part of the curve: histograms are kept apart for each.
type Phase int

// The phases.
const (
	Ramp Phase = iota
	Level
	Surged
	phases
)

var phaseNames = [phases]string{"ramp", "level", "surge"}

func (p Phase) String() string { return phaseNames[p] }

// MarshalText writes the name.
func (p Phase) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText reads what MarshalText writes.
func (p *Phase) UnmarshalText(text []byte) error {
	i := slices.Index(phaseNames[:], string(text))
	if i < 0 {
		return fmt.Errorf("%q is no phase", text)
	}
	*p = Phase(i)
	return nil
}

func (c Curve) phase(t time.Duration) Phase {
	for _, s := range c.Surges {
		if t >= s.From && t < s.From+s.For {
			return Surged
		}
	}
	if t < c.Ramp {
		return Ramp
	}
	return Level
}
