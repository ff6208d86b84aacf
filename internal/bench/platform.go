package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"changeover/internal/sandbox"
	"changeover/platform/balance"
	"changeover/platform/students"
	"changeover/platform/students/ledger"
)

// The platform's promise: at this rate or above a Run is answered within this time, from the click.
const (
	platformRuns    = 300
	platformLatency = 250 * time.Millisecond
	platformPace    = 20 // students think so many times quicker than real ones
)

// runPlatform finds the highest rate of Runs that two application servers behind HAProxy answer in
// time, and what HAProxy adds.
func runPlatform(ctx context.Context, l *lab) (*section, error) {
	s := &section{
		title: "The learning platform",
		about: []string{fmt.Sprintf("Two application servers behind HAProxy, one MySQL, and the students who load them, all on this machine. "+
			"The load is open: clicks come on time whatever the platform does, and latency counts from the click; students think %d times quicker "+
			"than real ones. A rate holds if the p99 of Runs is under %s, no try failed, no answer was a refusal, and at most 0.1 %% of the starts "+
			"were late; one that doesn't is tried once more. A Run is three write statements, four with a new program; what else students do comes on top. "+
			"The students have priority over the rest (nice -15), as if they were elsewhere. CPU is in percent of one core.", platformPace, millis(platformLatency))},
		head: []string{"Runs/s asked", "Runs/s", "write statements/s", "p50", "p99", "max", "failed tries", "late starts",
			"CPU MySQL", "CPU servers", "CPU HAProxy", "CPU students", "holds"},
	}
	if l.tool == "" {
		return s, nil
	}
	school, err := l.openSchool(ctx)
	if err != nil {
		return nil, errors.Join(err, school.close())
	}
	best, err := school.search(ctx, s)
	if err == nil {
		err = school.judge(ctx, s, best)
	}
	return s, errors.Join(err, school.close())
}

// school is the platform under measurement.
type school struct {
	lab      *lab
	dir      string
	db       *host
	servers  []*child
	balancer *balance.Balancer
	direct   []string // the servers' own addresses
	ledgers  []string
}

// beside is a program that was built together with changeover.
func (l *lab) beside(name string) (string, error) {
	path := filepath.Join(filepath.Dir(l.tool), name)
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("%w (make build)", err)
	}
	return path, nil
}

func (l *lab) openSchool(ctx context.Context) (*school, error) {
	s := &school{lab: l, dir: filepath.Join(l.dir.Path, "school")}
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return s, err
	}
	var err error
	if s.db, err = l.serve(ctx, sandbox.Source); err != nil {
		return s, err
	}
	if err := s.db.exec(ctx, "CREATE DATABASE school"); err != nil {
		return s, err
	}
	if err := s.fill(ctx); err != nil {
		return s, err
	}
	spec := balance.Spec{}
	for i := range 2 {
		at, err := s.serve(ctx, i)
		if err != nil {
			return s, err
		}
		s.direct = append(s.direct, "http://"+at)
		spec.Servers = append(spec.Servers, balance.Server{Name: "server" + strconv.Itoa(i), Address: at})
	}
	if spec.Tool, err = l.findTool(ctx, "haproxy"); err != nil {
		return s, err
	}
	s.balancer, err = balance.Start(ctx, spec)
	return s, err
}

// close ends everything.
func (s *school) close() error {
	var errs []error
	if s.balancer != nil {
		errs = append(errs, s.balancer.Kill())
	}
	for _, c := range s.servers {
		errs = append(errs, stopped(c))
	}
	if s.db != nil {
		errs = append(errs, s.db.remove())
	}
	return errors.Join(errs...)
}

// settings writes the file of settings of a server.
func (s *school) settings(name, listen string) (string, error) {
	if _, err := s.db.Password(sandbox.App); err != nil { // makes its file
		return "", err
	}
	file := filepath.Join(s.dir, name+".yaml")
	text := fmt.Sprintf("listen: %s\ndrain: 0s\ndatabase: {host: %s, port: %d, user: %s, password_file: %q, name: school}\n",
		listen, s.db.Host, s.db.Port, sandbox.App, s.db.PasswordFile(sandbox.App))
	return file, os.WriteFile(file, []byte(text), 0o600)
}

// fill makes the schema and a school that has worked for a while.
func (s *school) fill(ctx context.Context) error {
	path, err := s.lab.beside("platform")
	if err != nil {
		return err
	}
	file, err := s.settings("fill", "127.0.0.1:0")
	if err != nil {
		return err
	}
	return s.db.relaxed(ctx, func() error {
		for _, args := range [][]string{{"migrate"}, {"seed", "--students", strconv.Itoa(s.lab.size(5000)), "--activities", strconv.Itoa(s.lab.size(300_000))}} {
			if _, err := measure("platform "+args[0], exec.CommandContext(ctx, path, append(args, "-c", file)...)); err != nil {
				return err
			}
		}
		return nil
	})
}

// serve starts an application server and waits until it is ready.
func (s *school) serve(ctx context.Context, n int) (at string, err error) {
	path, err := s.lab.beside("platform")
	if err != nil {
		return "", err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	at = l.Addr().String()
	if err := l.Close(); err != nil {
		return "", err
	}
	file, err := s.settings("server"+strconv.Itoa(n), at)
	if err != nil {
		return "", err
	}
	c, err := launch("platform serve", exec.CommandContext(ctx, path, "serve", "-c", file))
	if err != nil {
		return "", err
	}
	s.servers = append(s.servers, c)
	return at, pollEvery(ctx, 50*time.Millisecond, 30*time.Second, func() (bool, error) {
		if ended, err := c.ended(); ended {
			return false, errors.Join(errors.New("platform serve ended"), err)
		}
		answer, err := http.Get("http://" + at + "/readyz")
		if err != nil {
			return false, nil
		}
		return answer.StatusCode == http.StatusOK, answer.Body.Close()
	})
}

// search raises the rate until it doesn't hold, and then looks in between. It returns the highest that held.
func (s *school) search(ctx context.Context, sec *section) (best *step, err error) {
	low, high := 0, 0
	try := func(runs int) error {
		x, err := s.step(ctx, runs)
		if err == nil && !x.holds() && !s.lab.quick { // once more: the machine may have had something else to do
			sec.row(x.cells()...)
			x, err = s.step(ctx, runs)
		}
		if err != nil {
			return err
		}
		sec.row(x.cells()...)
		if x.holds() {
			low, best = runs, x
		} else {
			high = runs
		}
		return nil
	}
	for runs := platformRuns / 3; high == 0 && runs <= 3200; runs = runs * 3 / 2 / 10 * 10 {
		if err := try(runs); err != nil {
			return nil, err
		}
	}
	for high-low > max(20, low/10) && !s.lab.quick {
		if err := try((low + high) / 20 * 10); err != nil {
			return nil, err
		}
	}
	return best, nil
}

// step is one rate.
type step struct {
	asked  int
	report *students.Report
	cpu    map[string]float64 // percent of one core
}

// level is the part in which the rate was reached.
func (x *step) level() students.PhaseReport {
	for _, p := range x.report.Phases {
		if p.Phase == students.Level {
			return p
		}
	}
	return students.PhaseReport{}
}

func (x *step) holds() bool {
	return x.report.OK() && len(x.report.Counts.Failed) == 0 && x.level().Run.P99 < float64(platformLatency.Milliseconds())
}

func (x *step) failed() (n int64) {
	for _, tries := range x.report.Counts.Failed {
		n += tries
	}
	for _, answers := range x.report.Counts.Refused {
		n += answers
	}
	return n
}

func (x *step) cells() []string {
	p, verdict := x.level(), "no"
	if x.holds() {
		verdict = "yes"
	}
	ms := func(v float64) string { return fmt.Sprintf("%.1f ms", v) }
	cells := []string{strconv.Itoa(x.asked), fmt.Sprintf("%.0f", p.RunsPerSecond), thousands(int64(p.StatementsPerSecond)), ms(p.Run.P50), ms(p.Run.P99), ms(p.Run.Max),
		strconv.FormatInt(x.failed(), 10), fmt.Sprintf("%.2f %%", 100*x.report.Generator.LateShare)}
	for _, who := range []string{"MySQL", "servers", "HAProxy", "students"} {
		cells = append(cells, fmt.Sprintf("%.0f %%", x.cpu[who]))
	}
	return append(cells, verdict)
}

// step loads the platform at one rate, by a program of its own.
func (s *school) step(ctx context.Context, runs int) (*step, error) {
	path, err := s.lab.beside("hourofcode")
	if err != nil {
		return nil, err
	}
	length, ramp := 40*time.Second, 10*time.Second
	if s.lab.quick {
		length, ramp = 8*time.Second, 3*time.Second
	}
	name := filepath.Join(s.dir, fmt.Sprintf("%d-%d", runs, len(s.ledgers)))
	s.ledgers = append(s.ledgers, name+".ledger")
	if err := s.db.settle(ctx); err != nil {
		return nil, err
	}
	before, began := s.cpu(), time.Now()
	// The students stand for other machines: they must not wait for a core that the platform is using.
	// Who isn't allowed to ask for that runs all the same.
	_, err = measure("hourofcode load", exec.CommandContext(ctx, "nice", "-n", "-15", path, "load", s.balancer.URL(), "--runs", strconv.Itoa(runs), "--pace", strconv.Itoa(platformPace),
		"--for", length.String(), "--ramp", ramp.String(), "--seed", strconv.Itoa(len(s.ledgers)), "--ledger", name+".ledger", "--report", name+".json"))
	var exit *exec.ExitError
	if err != nil && (!errors.As(err, &exit) || exit.ExitCode() != 1) { // 1: the rate didn't hold, which the report says
		return nil, err
	}
	took := time.Since(began)
	x := &step{asked: runs, report: &students.Report{}, cpu: map[string]float64{}}
	text, err := os.ReadFile(name + ".json")
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(text, x.report); err != nil {
		return nil, err
	}
	for who, used := range s.cpu() {
		x.cpu[who] = 100 * (used - before[who]).Seconds() / took.Seconds()
	}
	x.cpu["students"] = 100 * x.report.Generator.CPUSeconds / x.report.Seconds
	p := x.level()
	s.lab.say("platform at %d Runs/s: %.0f Runs/s, %.0f write statements/s, p50 %.1f ms, p99 %.1f ms, %v", runs, p.RunsPerSecond, p.StatementsPerSecond, p.Run.P50, p.Run.P99, x.report.Complaints)
	return x, nil
}

// cpu is what each part has used so far.
func (s *school) cpu() map[string]time.Duration {
	used := map[string]time.Duration{"MySQL": s.db.cpu(), "HAProxy": cpuOf(s.balancer.PID())}
	for _, c := range s.servers {
		used["servers"] += cpuOf(c.cmd.Process.Pid)
	}
	return used
}

// judge sets the figures beside the promises.
func (s *school) judge(ctx context.Context, sec *section, best *step) error {
	if best == nil {
		sec.goal("Runs/s", fmt.Sprintf("≥ %d", platformRuns), "none", false)
		return nil
	}
	p := best.level()
	sec.goal("Runs/s that hold", fmt.Sprintf("≥ %d", platformRuns), fmt.Sprintf("%.0f, %s write statements/s", p.RunsPerSecond, thousands(int64(p.StatementsPerSecond))), best.asked >= platformRuns)
	sec.goal("late and dropped starts at that rate", "≤ 0.1 %", fmt.Sprintf("%.3f %%; the students took %.0f %% of all cores", 100*best.report.Generator.LateShare, 100*best.report.Generator.Share),
		best.report.Generator.LateShare <= best.report.Generator.LateLimit)
	clean, operations, err := s.audit(ctx)
	if err != nil {
		return err
	}
	sec.goal("audit of all rates, also of those that don't hold", "clean", fmt.Sprintf("%s operations, %s", thousands(operations), clean), clean == "clean")
	through, direct, err := s.added(ctx)
	if err != nil {
		return err
	}
	us := func(d time.Duration) string { return fmt.Sprintf("%d µs", d.Microseconds()) }
	sec.goal("HAProxy's added p50, by one client that asks in turn", "measured", fmt.Sprintf("%s (%s directly, %s through it)", us(through-direct), us(direct), us(through)), true)
	return nil
}

// audit compares every ledger of the case with the database.
func (s *school) audit(ctx context.Context) (verdict string, operations int64, err error) {
	for _, file := range s.ledgers {
		log, err := ledger.Read(file)
		if err != nil {
			return "", 0, err
		}
		operations += int64(len(log.Operations))
	}
	path, err := s.lab.beside("hourofcode")
	if err != nil {
		return "", 0, err
	}
	args := append([]string{"audit", "--database", "school", "--writer", fmt.Sprintf("%s@%s:%d", sandbox.App, s.db.Host, s.db.Port),
		"--writer-password-file", s.db.PasswordFile(sandbox.App)}, s.ledgers...)
	_, err = measure("hourofcode audit", exec.CommandContext(ctx, path, args...))
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == 1 {
		s.lab.say("%v", err)
		return "NOT CLEAN", operations, nil
	}
	return "clean", operations, err
}

// added asks for the same small page directly and through the balancer, in turn, so that whatever else
// the machine does meets both.
func (s *school) added(ctx context.Context) (through, direct time.Duration, err error) {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 4}, Timeout: 10 * time.Second}
	defer client.CloseIdleConnections()
	paths := []string{s.balancer.URL(), s.direct[0]}
	times := []*hdrhistogram.Histogram{hdrhistogram.New(1, 10_000_000, 3), hdrhistogram.New(1, 10_000_000, 3)}
	for n := range s.lab.size(5000) {
		for i, at := range paths {
			began := time.Now()
			if err := ask(ctx, client, at+"/healthz"); err != nil {
				return 0, 0, err
			}
			if n >= 100 { // connections are made and warm
				_ = times[i].RecordValue(max(1, time.Since(began).Microseconds()))
			}
		}
	}
	at := func(i int) time.Duration { return time.Duration(times[i].ValueAtQuantile(50)) * time.Microsecond }
	return at(0), at(1), nil
}

func ask(ctx context.Context, client *http.Client, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	answer, err := client.Do(req)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, answer.Body)
	if answer.StatusCode != http.StatusOK {
		err = errors.Join(err, fmt.Errorf("%s: %s", url, answer.Status))
	}
	return errors.Join(err, answer.Body.Close())
}
