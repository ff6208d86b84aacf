package objects

import (
	"testing"
	"time"
)

func TestAnEstimateIsTheBestOfTheLastFew(t *testing.T) {
	now := time.Now()
	ms := func(ago time.Duration, n ...int) (all []sample) {
		for _, one := range n {
			all = append(all, sample{now.Add(-ago), time.Duration(one) * time.Millisecond})
		}
		return all
	}
	cases := []struct {
		name    string
		samples []sample
		want    int
	}{
		{"nothing is known: it is guessed", nil, 6},
		{"one is believed", ms(0, 3), 3},
		{"one that is far too long is not", ms(0, 900), 18},
		{"the best of two", ms(0, 900, 70), 70},
		{"a slow server stays one", ms(0, 400, 300, 350), 300},
		{"but not for ever", ms(2*time.Hour, 400, 300, 350), 18},
	}
	for _, c := range cases {
		if got := each(map[string][]sample{counter: c.samples}, counter, now); got != time.Duration(c.want)*time.Millisecond {
			t.Errorf("%s: %v", c.name, got)
		}
	}
	if all := measured(ms(0, 1, 2, 3), ms(0, 4)[0]); len(all) != 3 || all[0].Each != 2*time.Millisecond {
		t.Errorf("%v", all)
	}
}

func TestArmIsMeasured(t *testing.T) {
	p := newPlace(t, "mysql")
	ctx, helm := t.Context(), conn(t, p.target)
	prepared := prepare(t, p.source, p.target, p.options)
	whole := prepared.Estimate
	if want := guesses[rest] + 8*guess + 5*guess + guesses[counter]; whole != want { // 3 events, 2 views, 3 routines; 5 triggers
		t.Errorf("estimated without a measurement: %v, not %v", whole, want)
	}
	must(t, prepared.Ahead(ctx, helm, p.target))
	if want := guesses[rest] + 5*guess; prepared.Estimate != want {
		t.Errorf("what was done ahead is still in it: %v of %v", prepared.Estimate, whole)
	}
	var sum time.Duration
	for range 2 {
		must(t, prepared.Arm(ctx, helm, p.target, nil))
		sum = max(sum, prepared.Took)
		must(t, prepared.Disarm(ctx, helm, p.target))
		prepared = prepare(t, p.source, p.target, p.options)
	}
	if len(prepared.took[rest]) != 2 || len(prepared.took["TRIGGER"]) != 2 {
		t.Errorf("measured: %v", prepared.took)
	}
	if prepared.Estimate > 2*sum {
		t.Errorf("it took %v at most, and is estimated at %v", sum, prepared.Estimate)
	}
}
