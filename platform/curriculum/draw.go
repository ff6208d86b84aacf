package curriculum

import "math"

// pen is a turtle's pen at work.
type pen struct {
	x, y, angle float64 // degrees from north, clockwise
	way         [][2]float64
	blocks      int
}

// drawing is the way of a turtle that a program steers.
func drawing(p Program) [][2]float64 {
	t := pen{way: [][2]float64{{0, 0}}}
	t.run(p)
	return corners(t.way)
}

func (t *pen) run(p Program) {
	for _, b := range p {
		if t.blocks++; t.blocks > mostSteps {
			return
		}
		switch b.Type {
		case "forward":
			sin, cos := math.Sincos(t.angle / 180 * math.Pi)
			t.x, t.y = t.x+b.number("STEPS")*sin, t.y-b.number("STEPS")*cos
			t.way = append(t.way, [2]float64{t.x, t.y})
		case "turn":
			angle := b.number("ANGLE")
			if b.text("DIR") == "left" {
				angle = -angle
			}
			t.angle += angle
		case "repeat":
			for range int(b.number("TIMES")) {
				t.run(b.Do)
			}
		}
	}
}

// corners leaves out the points at which the way goes straight on.
func corners(way [][2]float64) [][2]float64 {
	var kept [][2]float64
	for _, p := range way {
		for len(kept) >= 2 && straight(kept[len(kept)-2], kept[len(kept)-1], p) {
			kept = kept[:len(kept)-1]
		}
		kept = append(kept, p)
	}
	return kept
}

// straight tells whether b is on the way from a to c.
func straight(a, b, c [2]float64) bool {
	ux, uy, vx, vy := b[0]-a[0], b[1]-a[1], c[0]-b[0], c[1]-b[1]
	return math.Abs(ux*vy-uy*vx) < 0.5 && ux*vx+uy*vy >= 0
}

// alike tells whether two ways are the same, within half a step.
func alike(a, b [][2]float64) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if math.Hypot(a[i][0]-b[i][0], a[i][1]-b[i][1]) > 0.5 {
			return false
		}
	}
	return true
}
