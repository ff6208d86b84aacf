package main

import (
	"context"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

func TestCasesAreChosenByName(t *testing.T) {
	for only, want := range map[string]string{
		"":           "copy tables apply lag memory source verify live cutover check platform",
		"apply,copy": "copy apply",
		"lag":        "lag",
	} {
		chosen, err := choose(only)
		var names []string
		for _, c := range chosen {
			names = append(names, c.name)
		}
		if got := strings.Join(names, " "); err != nil || got != want {
			t.Errorf("-run %q chooses %q, %v; want %q", only, got, err, want)
		}
	}
	if _, err := choose("copy,disk"); err == nil || !strings.Contains(err.Error(), "disk") {
		t.Errorf("a case that isn't there: %v", err)
	}
}

func TestProbesCountEachCommitOnceAndFromItsOwnTime(t *testing.T) {
	p := &probes{base: 10, lag: hdrhistogram.New(1, 1e9, 3)}
	began := time.Now()
	for i := range 4 { // probes 10 to 13, 100 ms apart
		p.committed = append(p.committed, began.Add(time.Duration(i)*100*time.Millisecond))
	}
	p.seen(9, began.Add(time.Second)) // older than all
	p.seen(11, began.Add(300*time.Millisecond))
	p.seen(11, began.Add(400*time.Millisecond))
	p.seen(13, began.Add(250*time.Millisecond)) // visible before the answer to its COMMIT
	if n := p.lag.TotalCount(); n != 4 {
		t.Fatalf("%d lags, want 4", n)
	}
	for q, want := range map[float64]time.Duration{100: 300 * time.Millisecond, 75: 200 * time.Millisecond, 50: 50 * time.Millisecond, 25: time.Microsecond} {
		got := time.Duration(p.lag.ValueAtQuantile(q)) * time.Microsecond
		if got < want*99/100 || got > want*101/100 {
			t.Errorf("quantile %v is %v, want %v", q, got, want)
		}
	}
}

func TestALoadIsReadFromTheStatement(t *testing.T) {
	for statement, want := range map[string]string{
		"LOAD DATA LOCAL INFILE 'Reader::x' INTO TABLE `bench8`.`activities3` CHARACTER SET binary":     "activities3",
		"/* changeover bench */ LOAD DATA LOCAL INFILE 'x' INTO TABLE `bench`.`activities` (`id`)":      "activities",
		"INSERT INTO `bench8`.`activities1` (`id`) VALUES (1)":                                          "activities1",
		"ALTER TABLE `bench8`.`activities1` ADD KEY `pupil` (`pupil_id`)":                               "",
		"INSERT INTO `_changeover`.`chunk` (`migration`) VALUES (1)":                                    "",
		"SELECT /* changeover bench chunk 1 of activities8 */ `id` FROM `bench8`.`activities8` LIMIT 5": "",
	} {
		got := ""
		if m := loadedTable.FindStringSubmatch(statement); m != nil {
			got = m[1]
		}
		if got != want {
			t.Errorf("%s: %q, want %q", statement, got, want)
		}
	}
}

func TestTheLastFifthOfACopyIsLookedAtAlone(t *testing.T) {
	o := &loads{}
	for i := range 10 {
		s := loadSample{at: time.Unix(int64(i), 0), tables: []string{"activities1", "activities2"}}
		if i >= 8 {
			s.tables = []string{"activities1"}
		}
		o.samples = append(o.samples, s)
	}
	if o.mean(0) != 1.8 || o.mean(0.8) != 1 {
		t.Errorf("means %v and %v, want 1.8 and 1", o.mean(0), o.mean(0.8))
	}
}

func TestTheMedianIsByTime(t *testing.T) {
	all := []usage{{wall: 3, cpu: 30}, {wall: 1, cpu: 10}, {wall: 2, cpu: 20}, {wall: 9, cpu: 90}}
	if m := median(all); m.cpu != 20 {
		t.Errorf("median %+v", m)
	}
	if m := median(all[:3]); m.cpu != 20 {
		t.Errorf("median of three %+v", m)
	}
}

func TestARatioIsThatOfNeighbours(t *testing.T) {
	ours, theirs := []usage{{wall: 10}, {wall: 40}, {wall: 90}}, []usage{{wall: 5}, {wall: 20}, {wall: 10}}
	if r := medianRatio(ours, theirs, func(u usage) time.Duration { return u.wall }); r != 2 {
		t.Errorf("ratios 2, 2 and 9 have the median %v", r)
	}
}

func TestFigures(t *testing.T) {
	for got, want := range map[string]string{
		thousands(7): "7", thousands(1000): "1,000", thousands(1234567): "1,234,567",
		ratio(1, 2): "0.50 ×", ratio(1, 0): "–", seconds(1260 * time.Millisecond): "1.3 s",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestAProgramIsMeasuredAndItsFailureTold(t *testing.T) {
	ctx := context.Background()
	u, err := measurePipe(exec.CommandContext(ctx, "head", "-c", "200000000", "/dev/zero"), exec.CommandContext(ctx, "wc", "-c"))
	if err != nil || u.wall <= 0 || u.cpu <= 0 || u.rss <= 0 {
		t.Errorf("%+v, %v", u, err)
	}
	_, err = measure("sh", exec.CommandContext(ctx, "sh", "-c", "echo why >&2; exit 3"))
	if err == nil || !strings.Contains(err.Error(), "why") {
		t.Errorf("a program that fails: %v", err)
	}
	c, err := launch("sleep", exec.CommandContext(ctx, "sh", "-c", "trap 'exit 0' TERM; echo ready; while :; do sleep 0.05; done"))
	if err != nil {
		t.Fatal(err)
	}
	ready := func() (bool, error) { return c.out.String() == "ready", nil }
	if err := pollEvery(ctx, time.Millisecond, time.Minute, ready); err != nil {
		t.Fatal(err)
	}
	if _, err := c.stop(); err != nil {
		t.Errorf("a program that ends when it is told to: %v", err)
	}
}
