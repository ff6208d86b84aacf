package students

import (
	"math"
	"reflect"
	"slices"
	"testing"
	"time"

	"changeover/platform/students/ledger"
)

func resolved(t *testing.T, c Curve) Curve {
	t.Helper()
	c, err := c.resolve()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestASurgeIsRead(t *testing.T) {
	for text, want := range map[string]Surge{
		"5x":              {Factor: 5},
		"2.5x@40s":        {Factor: 2.5, From: 40 * time.Second},
		"5x@1m+20s":       {Factor: 5, From: time.Minute, For: 20 * time.Second},
		"0.5x@1m30s+1m1s": {Factor: 0.5, From: 90 * time.Second, For: 61 * time.Second},
	} {
		if got, err := ParseSurge(text); err != nil || got != want {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "5", "x", "-1x", "0x", "NaNx", "Infx", "5x@", "5x@soon", "5x@10s+", "5x@-1s", "5x@10s+-1s", "5x+10s", "2000x"} {
		if got, err := ParseSurge(text); err == nil {
			t.Errorf("%q was read as %+v", text, got)
		}
	}
}

func TestTheCurveRisesStaysAndSurges(t *testing.T) {
	c := resolved(t, Curve{Runs: 100, For: 100 * time.Second, Ramp: 10 * time.Second,
		Surges: []Surge{{Factor: 5, From: 40 * time.Second, For: 20 * time.Second, Gradient: 2 * time.Second}}})
	for at, want := range map[float64]float64{0: 0, 5: 50, 10: 100, 39: 100, 41: 300, 42: 500, 50: 500, 58: 500, 59: 300, 60: 100, 99: 100, 200: 0} {
		if got := c.At(time.Duration(at * float64(time.Second))); math.Abs(got-want) > 1e-6 {
			t.Errorf("at %v s: %v, want %v", at, got, want)
		}
	}
	if c.max() != 500 || c.phase(5*time.Second) != Ramp || c.phase(45*time.Second) != Surged || c.phase(70*time.Second) != Level {
		t.Errorf("max %v, phases %v %v %v", c.max(), c.phase(5*time.Second), c.phase(45*time.Second), c.phase(70*time.Second))
	}
	if got, want := c.above(50), []span{{5 * time.Second, 100 * time.Second}}; !reflect.DeepEqual(got, want) {
		t.Errorf("above 50: %v", got)
	}
	if got, want := c.above(300), []span{{41 * time.Second, 59 * time.Second}}; !reflect.DeepEqual(got, want) {
		t.Errorf("above 300: %v", got)
	}
}

func TestThePhasesOfAnInterruptedRunAreAsLongAsTheyWere(t *testing.T) {
	c := resolved(t, Curve{Runs: 1, For: 100 * time.Second, Ramp: 10 * time.Second,
		Surges: []Surge{{Factor: 5, From: 40 * time.Second, For: 20 * time.Second}}})
	for until, want := range map[int][phases]int{5: {5, 0, 0}, 30: {10, 20, 0}, 50: {10, 30, 10}, 70: {10, 40, 20}, 100: {10, 70, 20}, 110: {10, 70, 20}} {
		for p := range phases {
			if got := c.length(p, time.Duration(until)*time.Second); got != time.Duration(want[p])*time.Second {
				t.Errorf("until %d s: %v is %v, want %d s", until, p, got, want[p])
			}
		}
	}
}

func TestWhatIsLeftOutOfASurgeIsAThird(t *testing.T) {
	c := resolved(t, Curve{Runs: 1, For: 130 * time.Second, Ramp: 10 * time.Second, Surges: []Surge{{Factor: 5}}})
	if s := c.Surges[0]; s.From != 50*time.Second || s.For != 40*time.Second || s.Gradient != 10*time.Second {
		t.Errorf("%+v", s)
	}
}

func TestACurveThatCantBeIsRefused(t *testing.T) {
	for name, c := range map[string]Curve{
		"no rate":                  {For: time.Second},
		"no time":                  {Runs: 1},
		"a ramp without an end":    {Runs: 1, For: time.Second, Ramp: time.Second},
		"surges over each other":   {Runs: 1, For: time.Minute, Surges: []Surge{{Factor: 2, From: 10 * time.Second, For: 20 * time.Second}, {Factor: 2, From: 20 * time.Second, For: 20 * time.Second}}},
		"a surge after the end":    {Runs: 1, For: time.Minute, Surges: []Surge{{Factor: 2, From: 50 * time.Second, For: 20 * time.Second}}},
		"a surge within the ramp":  {Runs: 1, For: time.Minute, Ramp: 10 * time.Second, Surges: []Surge{{Factor: 2, From: 5 * time.Second, For: 20 * time.Second}}},
		"slopes that are too long": {Runs: 1, For: time.Minute, Surges: []Surge{{Factor: 2, From: 5 * time.Second, For: 10 * time.Second, Gradient: 6 * time.Second}}},
	} {
		if _, err := c.resolve(); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
}

func TestTheRolesHaveTheirShares(t *testing.T) {
	for _, n := range []int{200, 1000, 10_000} {
		var m mix
		got := map[Role]int{}
		for range n {
			got[m.next()]++
		}
		for r := range roles {
			if want := shares[r] * float64(n); math.Abs(float64(got[r])-want) > 2 {
				t.Errorf("%d seats: %d are %v, want %.0f", n, got[r], r, want)
			}
		}
	}
}

func TestASmallSchoolHasEverybody(t *testing.T) {
	var m mix
	got := map[Role]int{}
	for range 10 {
		got[m.next()]++
	}
	if len(got) != int(roles) {
		t.Errorf("%v", got)
	}
}

// ticksOf draws all ticks of a plan.
func ticksOf(p plan) map[int][]tick {
	all := map[int][]tick{}
	for _, s := range p.seats {
		for st := newStream(&p, s, 10); ; {
			tk, ok := st.next()
			if !ok {
				break
			}
			all[s.index] = append(all[s.index], tk)
		}
	}
	return all
}

func TestTheTicksFollowTheCurve(t *testing.T) {
	c := resolved(t, Curve{Runs: 200, For: 120 * time.Second, Ramp: 20 * time.Second,
		Surges: []Surge{{Factor: 5, From: 60 * time.Second, For: 30 * time.Second, Gradient: time.Second}}})
	p := draw(c, 20, 1)
	perSecond := map[int]float64{}
	for _, ticks := range ticksOf(p) {
		for _, tk := range ticks {
			if tk.kind == ledger.Run {
				perSecond[int(tk.at/time.Second)]++
			}
		}
	}
	mean := func(from, to int) float64 {
		sum := 0.0
		for s := from; s < to; s++ {
			sum += perSecond[s]
		}
		return sum / float64(to-from)
	}
	// A renewal process that has just begun is not at its mean at once: a tenth is allowed.
	for _, x := range []struct {
		from, to int
		want     float64
	}{{25, 60, 200}, {64, 89, 1000}, {92, 120, 200}} {
		if got := mean(x.from, x.to); math.Abs(got-x.want) > 0.1*x.want {
			t.Errorf("from %d to %d s: %.0f Runs/s, want %.0f", x.from, x.to, got, x.want)
		}
	}
}

func TestASeatsTicksAreInOrderAndTheSameSeedDrawsThemAgain(t *testing.T) {
	c := resolved(t, Curve{Runs: 50, For: 60 * time.Second, Ramp: 5 * time.Second, Surges: []Surge{{Factor: 3}}})
	first, second := ticksOf(draw(c, 20, 9)), ticksOf(draw(c, 20, 9))
	if !reflect.DeepEqual(first, second) {
		t.Error("the same seed drew something else")
	}
	if other := ticksOf(draw(c, 20, 10)); reflect.DeepEqual(first, other) {
		t.Error("another seed drew the same")
	}
	for seat, ticks := range first {
		if !slices.IsSortedFunc(ticks, func(a, b tick) int { return int(a.at - b.at) }) {
			t.Errorf("seat %d: out of order", seat)
		}
		if len(ticks) > 0 && !ticks[0].first {
			t.Errorf("seat %d begins with a %v of nobody", seat, ticks[0].kind)
		}
	}
}

func TestAnAnonymousStudentPlaysTheLevelsInOrderAndFinishes(t *testing.T) {
	c := resolved(t, Curve{Runs: 20, For: 10 * time.Minute})
	p := draw(c, 20, 3)
	finished := 0
	for _, s := range p.seats {
		if s.role != Anonymous {
			continue
		}
		level := 0
		for st := newStream(&p, s, 4); ; {
			tk, ok := st.next()
			if !ok {
				break
			}
			switch tk.kind {
			case ledger.Guest:
				level = 1
			case ledger.Run:
				if tk.level != level {
					t.Fatalf("seat %d: level %d, want %d", s.index, tk.level, level)
				}
				if tk.passed {
					level++
				}
			case ledger.HocFinish:
				finished++
				if level != 5 {
					t.Fatalf("seat %d finished at level %d", s.index, level)
				}
			}
		}
	}
	if finished == 0 {
		t.Error("nobody finished")
	}
}

func TestClassesComeWithinTwoMinutesOfTheirBell(t *testing.T) {
	c := resolved(t, Curve{Runs: 30, For: 20 * time.Minute, Ramp: 10 * time.Minute})
	p := draw(c, 1, 5)
	if len(p.seats) < 3*classSize {
		t.Fatalf("%d seats", len(p.seats))
	}
	for first := 0; first+classSize <= len(p.seats); first += classSize {
		low, high := time.Duration(math.MaxInt64), time.Duration(0)
		for _, s := range p.seats[first : first+classSize] {
			low, high = min(low, s.spans[0].from), max(high, s.spans[0].from)
		}
		if high-low > arrival {
			t.Errorf("class of seat %d: from %v to %v", first, low, high)
		}
	}
}
