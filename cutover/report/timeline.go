package report

import (
	"fmt"
	"math"
)

// The timeline's geometry, in the units of its viewBox.
const (
	timelineWidth = 1000.0
	labelWidth    = 90.0 // the steps' names
	timesWidth    = 90.0 // what each took
	rowHeight     = 26.0
	barHeight     = 16.0
	axisHeight    = 42.0
)

// timeline is the steps of an attempt as bars over milliseconds since the hold began.
type timeline struct {
	Width, Height  float64
	Label          string // for those who hear the page
	Bars           []bar
	Ticks          []tick
	Left, Right    float64
	Top, Bottom    float64
	HoldX, HoldW   float64
	HoldText       string
	HoldTextX      float64
	Before, Behind string // what lies outside, in words
}

type bar struct {
	Name, Took, Title string
	X, W, Y, TextY    float64
	TookX             float64
	Failed            bool
	Further           bool // it goes on behind the right edge
}

type tick struct {
	X, Y  float64
	Label string
}

// newTimeline is nil if there were no steps.
func newTimeline(r Record) *timeline {
	if len(r.Steps) == 0 {
		return nil
	}
	zero, holdEnd, held := r.hold()
	if !held {
		holdEnd = zero
	}
	t := &timeline{Width: timelineWidth, Left: labelWidth, Right: timelineWidth - timesWidth, Top: axisHeight}
	first, last := t.extent(r, zero, holdEnd)
	x := func(at float64) float64 {
		return t.Left + (at-first)/(last-first)*(t.Right-t.Left)
	}
	for _, s := range r.Steps {
		if s.StartMS+s.TookMS <= zero && s.Name != "hold" && held { // before the clock of the hold
			t.Before = fmt.Sprintf("%s took %s, before anything was held.", s.Name, ms(s.TookMS))
			if s.Error == "" {
				continue
			}
		}
		t.add(s, x, zero)
	}
	t.Bottom = t.Top + float64(len(t.Bars))*rowHeight
	t.Height = t.Bottom + 8
	if held {
		t.HoldX, t.HoldW = x(zero), x(holdEnd)-x(zero)
		t.HoldText, t.HoldTextX = "writes held: "+ms(r.HoldMS), (x(zero)+x(holdEnd))/2
	}
	step := niceStep((last - first) / 8)
	for at := math.Ceil((first-zero)/step) * step; at <= last-zero; at += step {
		t.Ticks = append(t.Ticks, tick{X: x(zero + at), Y: t.Top - 7, Label: fmt.Sprintf("%g", math.Round(at*1000)/1000+0)}) // +0: no −0
	}
	t.Label = fmt.Sprintf("The steps of attempt %d over milliseconds since the hold began; the table below has the figures.", r.Attempt)
	return t
}

// extent is what is drawn: the hold, or the whole of an attempt that held nothing, and a little more.
func (t *timeline) extent(r Record, zero, holdEnd float64) (first, last float64) {
	first, last = zero, holdEnd
	if holdEnd <= zero {
		for _, s := range r.Steps {
			first, last = math.Min(first, s.StartMS), math.Max(last, s.StartMS+s.TookMS)
		}
	}
	if last <= first {
		last = first + 1
	}
	return first - (last-first)*0.02, last + (last-first)*0.15
}

func (t *timeline) add(s Step, x func(float64) float64, zero float64) {
	y := t.Top + float64(len(t.Bars))*rowHeight
	from, to := math.Max(x(s.StartMS), t.Left), math.Min(x(s.StartMS+s.TookMS), t.Right)
	from = math.Min(from, t.Right-2)
	b := bar{Name: s.Name, Took: ms(s.TookMS), X: from, W: math.Max(to-from, 2), Y: y + (rowHeight-barHeight)/2, TextY: y + rowHeight/2,
		TookX: timelineWidth - 4, Failed: s.Error != "", Further: x(s.StartMS+s.TookMS) > t.Right+1}
	b.Title = fmt.Sprintf("%s: from %s, took %s", s.Name, ms(s.StartMS-zero), ms(s.TookMS))
	t.Bars = append(t.Bars, b)
}

// niceStep is the smallest of 1, 2, 5 times a power of ten that is not below v.
func niceStep(v float64) float64 {
	if !(v > 0) || math.IsInf(v, 0) {
		return 1
	}
	power := math.Pow(10, math.Floor(math.Log10(v)))
	for _, m := range []float64{1, 2, 5, 10} {
		if m*power >= v*(1-1e-9) {
			return m * power
		}
	}
	return 10 * power
}

// BandHeight is of what marks the hold.
func (t *timeline) BandHeight() float64 { return t.Bottom - t.Top }
