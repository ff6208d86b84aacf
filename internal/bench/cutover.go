package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"time"
)

// Of the cutover: how often the role passes, there and back, and what the promise is.
const (
	cutoverPasses = 20
	cutoverRuns   = 100
	cutoverMedian = 250.0  // milliseconds of the hold
	cutoverMost   = 1000.0 // at most
	cutoverTrial  = 2 * time.Minute
	cutoverShare  = 0.7 // of the highest rate that is held while a run streams and compares
)

// cutoverRates are tried from above, until one is held.
var cutoverRates = []int{250, 200, 150}

// demoFigures are what `changeover demo --figures` leaves.
type demoFigures struct {
	Passes []struct {
		Kind        string         `json:"kind"`
		HoldMS      float64        `json:"hold_ms"`
		GatesMS     float64        `json:"gates_ms"`
		ClientsMS   float64        `json:"clients_ms"`
		PauseMS     float64        `json:"pause_ms"`
		BeforeP99   float64        `json:"before_p99"`
		DuringP99   float64        `json:"during_p99"`
		AfterP99    float64        `json:"after_p99"`
		ReadsBefore float64        `json:"reads_before_p99"`
		ReadsDuring float64        `json:"reads_during_p99"`
		Present     map[string]int `json:"present"`
	} `json:"passes"`
	Failed, Lost, Doubled, Stray, Stale, Different, Unexpected, Wrong int64
	Runs, Acknowledged                                                int64
	JobRefused                                                        int `json:"job_refused"`
}

// runCutover passes the writer role there and back under the platform's students.
func runCutover(ctx context.Context, l *lab) (*section, error) {
	s := &section{
		title: "The cutover",
		about: []string{fmt.Sprintf("`changeover demo --passes %d`: two platform servers behind HAProxy with their gates, students, a job without a gate, a trigger, an event, "+
			"gaps in AUTO_INCREMENT, 200,000 activities; the role passes there and back while all of them go on, everything on this machine. "+
			"The hold is from the first write held to the first write on the new writer: by the coordinator's clock, by the slowest gate's, and by the students' (from the sending "+
			"of the first write that the new writer acknowledged to its answer). "+
			"The rate of the second row is %.0f %% of the highest of %v Runs/s at which a demo went through with a p99 of writes under %s.",
			cutoverPasses, cutoverShare*100, cutoverRates, millis(platformLatency))},
		head: []string{"Runs/s", "passes", "hold median", "max", "gates median", "max", "students median", "max", "write p99 before", "in the second", "after",
			"read p99 before", "in the second", "keys due", "failed", "lost", "doubled", "stray", "stale", "of writes"},
	}
	if l.tool == "" {
		return s, nil
	}
	passes := cutoverPasses
	if l.quick {
		passes = 4
	}
	if err := l.passRole(ctx, s, cutoverRuns, passes); err != nil {
		return s, err
	}
	for _, rate := range cutoverRates {
		// One that is too much for the machine would wait for minutes until the preflight finds it ready.
		short, cancel := context.WithTimeout(ctx, cutoverTrial)
		f, err := l.demo(short, rate, 1)
		cancel()
		if err != nil || len(f.Passes) == 0 || f.Passes[0].BeforeP99 > float64(platformLatency.Milliseconds()) {
			l.say("%d Runs/s are not held while a run streams and compares", rate)
			continue
		}
		return s, l.passRole(ctx, s, int(float64(rate)*cutoverShare), passes)
	}
	return s, nil
}

// passRole adds a row.
func (l *lab) passRole(ctx context.Context, s *section, rate, passes int) error {
	f, err := l.demo(ctx, rate, passes)
	if err != nil {
		return err
	}
	of := func(take func(i int) float64) (all []float64) {
		for i := range f.Passes {
			all = append(all, take(i))
		}
		slices.Sort(all)
		return all
	}
	middle := func(all []float64) string { return fmt.Sprintf("%.0f ms", all[len(all)/2]) }
	most := func(all []float64) string { return fmt.Sprintf("%.0f ms", all[len(all)-1]) }
	hold := of(func(i int) float64 { return f.Passes[i].HoldMS })
	gates := of(func(i int) float64 { return f.Passes[i].GatesMS })
	clients := of(func(i int) float64 { return f.Passes[i].ClientsMS })
	due := of(func(i int) float64 { return float64(f.Passes[i].Present["keys_compared"]) })
	s.rows = append(s.rows, []string{strconv.Itoa(rate), strconv.Itoa(len(f.Passes)), middle(hold), most(hold), middle(gates), most(gates), middle(clients), most(clients),
		middle(of(func(i int) float64 { return f.Passes[i].BeforeP99 })), middle(of(func(i int) float64 { return f.Passes[i].DuringP99 })),
		middle(of(func(i int) float64 { return f.Passes[i].AfterP99 })), middle(of(func(i int) float64 { return f.Passes[i].ReadsBefore })),
		middle(of(func(i int) float64 { return f.Passes[i].ReadsDuring })), fmt.Sprintf("%.0f to %.0f", due[0], due[len(due)-1]),
		fmt.Sprint(f.Failed), fmt.Sprint(f.Lost), fmt.Sprint(f.Doubled), fmt.Sprint(f.Stray), fmt.Sprint(f.Stale), fmt.Sprint(f.Acknowledged)})
	l.say("%s", s.rows[len(s.rows)-1])
	at := fmt.Sprintf(" (%d Runs/s)", rate)
	middling, longest := max(hold[len(hold)/2], gates[len(gates)/2], clients[len(clients)/2]), max(hold[len(hold)-1], gates[len(gates)-1], clients[len(clients)-1])
	s.goal("hold, median, the worst of the three clocks"+at, fmt.Sprintf("≤ %.0f ms", cutoverMedian), fmt.Sprintf("%.0f ms", middling), middling <= cutoverMedian)
	s.goal("hold, longest"+at, fmt.Sprintf("≤ %.0f ms", cutoverMost), fmt.Sprintf("%.0f ms", longest), longest <= cutoverMost)
	wrong := f.Failed + f.Lost + f.Doubled + f.Stray + f.Stale + f.Different + f.Unexpected + f.Wrong
	s.goal("failed, lost, doubled, stray, stale"+at, "0, 0, 0, 0, 0", fmt.Sprintf("%d, %d, %d, %d, %d", f.Failed, f.Lost, f.Doubled, f.Stray, f.Stale), wrong == 0)
	return nil
}

// demo runs the demo, and gives its figures. That it answers no is in them.
func (l *lab) demo(ctx context.Context, rate, passes int) (f demoFigures, err error) {
	dir, err := os.MkdirTemp("", "changeover-bench-demo")
	if err != nil {
		return f, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	figures := filepath.Join(dir, "figures.json")
	cmd := exec.CommandContext(ctx, l.tool, "demo", "--dir", filepath.Join(dir, "demo"), "--runs", strconv.Itoa(rate), "--passes", strconv.Itoa(passes),
		"--figures", figures, "--report", filepath.Join(dir, "report.html"))
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // it takes its servers down then
	cmd.WaitDelay = time.Minute
	text, failed := cmd.CombinedOutput()
	document, err := os.ReadFile(figures)
	if err != nil {
		return f, errors.Join(fmt.Errorf("changeover demo at %d Runs/s: %w\n%s", rate, failed, text[max(0, len(text)-1500):]), err)
	}
	return f, json.Unmarshal(document, &f)
}
