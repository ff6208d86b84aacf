package students_test

import (
	"context"
	"net"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"changeover/internal/sandbox"
	"changeover/internal/sandbox/sandboxtest"
	"changeover/platform/assets"
	"changeover/platform/balance"
	"changeover/platform/platformtest"
	"changeover/platform/students"
	"changeover/platform/students/audit"
	"changeover/platform/students/ledger"
	"changeover/platform/web"
)

// appServer is an application server that can be stopped as `platform serve` stops, or killed.
type appServer struct {
	balance.Server
	platform *platformtest.Platform
	handler  *web.Server
	http     *http.Server
	ended    chan struct{}
}

// start listens, on the address that the server had before if it had one.
func (s *appServer) start(t *testing.T) {
	t.Helper()
	bucket, err := assets.OpenBucket(context.Background(), "file://"+t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = bucket.Close() })
	if s.handler, err = web.New(web.Config{Store: s.platform.NewStore(t), Assets: bucket, Log: s.platform.Log}); err != nil {
		t.Fatal(err)
	}
	if s.Address == "" {
		s.Address = "127.0.0.1:0"
	}
	l, err := net.Listen("tcp", s.Address)
	if err != nil {
		t.Fatal(err)
	}
	s.Address = l.Addr().String()
	s.http, s.ended = &http.Server{Handler: s.handler}, make(chan struct{})
	go func(h *http.Server, ended chan struct{}) { defer close(ended); _ = h.Serve(l) }(s.http, s.ended)
}

func (s *appServer) kill() {
	_ = s.http.Close()
	<-s.ended
}

// school is two application servers behind a balancer.
type school struct {
	platform *platformtest.Platform
	servers  []*appServer
	balancer *balance.Balancer
}

func newSchool(t *testing.T, on *sandboxtest.Server) *school {
	t.Helper()
	s := &school{platform: platformtest.New(t, on)}
	tool, err := sandbox.FindTool(t.Context(), "haproxy", nil)
	if err != nil {
		t.Fatal(err)
	}
	spec := balance.Spec{Tool: tool, CheckEvery: 50 * time.Millisecond, Threads: 1}
	for _, name := range []string{"a", "b"} {
		one := &appServer{Server: balance.Server{Name: name}, platform: s.platform}
		one.start(t)
		t.Cleanup(one.kill)
		s.servers = append(s.servers, one)
		spec.Servers = append(spec.Servers, one.Server)
	}
	if s.balancer, err = balance.Start(t.Context(), spec); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.balancer.Kill(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func (s *school) isUp(t *testing.T, name string) bool {
	t.Helper()
	all, err := s.balancer.Servers()
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range all {
		if x.Name == name {
			return x.Up()
		}
	}
	return false
}

// await asks until yes or a deadline.
func await(t *testing.T, what string, yes func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(time.Minute); !yes(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("not within a minute: %s", what)
		}
	}
}

// day is a load under way.
type day struct {
	load   *students.Load
	writer *ledger.Writer
	path   string
	report *students.Report
	err    error
	over   chan struct{}
}

// begin runs a load; the test does something to the school meanwhile.
func (s *school) begin(t *testing.T, length time.Duration) *day {
	t.Helper()
	d := &day{path: filepath.Join(t.TempDir(), "day.ledger"), over: make(chan struct{})}
	var err error
	if d.writer, err = ledger.Create(d.path, ledger.Header{Run: t.Name(), Started: time.Now()}); err != nil {
		t.Fatal(err)
	}
	d.load, err = students.New(students.Options{URLs: []string{s.balancer.URL()}, Pace: 60, Seed: 2, Ledger: d.writer,
		Curve: students.Curve{Runs: 60, For: length, Ramp: time.Second}, Grace: 2 * time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	go func() { defer close(d.over); d.report, d.err = d.load.Run(t.Context()) }()
	d.awaitRuns(t, 60)
	return d
}

// awaitRuns waits until so many more Runs are acknowledged.
func (d *day) awaitRuns(t *testing.T, more int64) {
	t.Helper()
	before, _ := d.load.Now()
	await(t, "Runs are acknowledged", func() bool {
		now, ok := d.load.Now()
		select {
		case <-d.over: // the day was too short for it
			return true
		default:
			return ok && now.Counts.Runs >= before.Counts.Runs+more
		}
	})
}

// end waits for the load, and audits. Nothing may be wrong but failed tries, which the caller judges.
func (s *school) end(t *testing.T, d *day) (*students.Report, *audit.Report) {
	t.Helper()
	<-d.over
	if d.err != nil {
		t.Fatal(d.err)
	}
	if err := d.writer.Close(); err != nil {
		t.Fatal(err)
	}
	c := d.report.Counts
	if len(c.Refused) > 0 || c.Unacknowledged > 0 || c.Stale > 0 || c.Ahead > 0 || c.Runs == 0 {
		t.Errorf("%+v %v", c, d.report.Samples)
	}
	log, err := ledger.Read(d.path)
	if err != nil {
		t.Fatal(err)
	}
	r, err := audit.Run(context.Background(), audit.Options{Ledgers: []*ledger.Log{log}, Writer: s.platform.DB})
	if err != nil {
		t.Fatal(err)
	}
	if !r.Clean() {
		t.Errorf("the audit: %v", r.Counts)
		for _, f := range r.Findings {
			t.Errorf("%+v", f)
		}
	}
	t.Logf("%d Runs, %d operations, %d retried, %d of them had been done, failed tries %v; recovered %d, saved by the outbox alone %d",
		c.Runs, c.Sent, c.Retried, c.Replayed, c.Failed, r.Recovered, r.OutboxOnly)
	return d.report, r
}

func TestADayBehindTheBalancerIsClean(t *testing.T) {
	t.Parallel()
	s := newSchool(t, sandboxtest.MySQLSource(t))
	report, found := s.end(t, s.begin(t, 4*time.Second))
	if len(report.Counts.Failed) > 0 || found.Recovered > 0 || found.OutboxOnly > 0 {
		t.Errorf("failed tries %v %v, recovered %d, repeated %d", report.Counts.Failed, report.Samples, found.Recovered, found.OutboxOnly)
	}
	states, err := s.balancer.Servers()
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range states {
		if x.Requests == 0 {
			t.Errorf("%s had no request", x.Name)
		}
	}
}

func TestServersThatAreRestartedInTurnFailNoRequest(t *testing.T) {
	t.Parallel()
	s := newSchool(t, sandboxtest.MySQLSource(t))
	d := s.begin(t, 8*time.Second)
	for _, one := range s.servers {
		one.handler.Drain()
		await(t, one.Name+" is down", func() bool { return !s.isUp(t, one.Name) })
		if err := one.http.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		<-one.ended
		d.awaitRuns(t, 20)
		one.start(t)
		await(t, one.Name+" is up", func() bool { return s.isUp(t, one.Name) })
		d.awaitRuns(t, 20)
	}
	report, found := s.end(t, d)
	if len(report.Counts.Failed) > 0 || found.OutboxOnly > 0 {
		t.Errorf("failed tries %v %v, repeated %d", report.Counts.Failed, report.Samples, found.OutboxOnly)
	}
}

func TestAServerThatIsKilledLosesNothing(t *testing.T) {
	t.Parallel()
	s := newSchool(t, sandboxtest.MySQLSource(t))
	d := s.begin(t, 6*time.Second)
	for range 3 {
		s.servers[0].kill()
		d.awaitRuns(t, 20)
		s.servers[0].start(t)
		await(t, "it is up", func() bool { return s.isUp(t, "a") })
		d.awaitRuns(t, 10)
	}
	s.end(t, d)
}

func TestADatabaseThatIsRestartedLosesNothing(t *testing.T) {
	t.Parallel()
	for name, options := range map[string][]sandboxtest.Option{"MySQL": nil, "MariaDB": {sandboxtest.MariaDB}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			on := sandboxtest.Fresh(t, sandbox.Spec{}, options...)
			s := newSchool(t, on)
			d := s.begin(t, 12*time.Second)
			if err := on.Restart(t.Context()); err != nil {
				t.Fatal(err)
			}
			d.awaitRuns(t, 60)
			if err := on.Kill(); err != nil { // a crash: some commits are done and not answered
				t.Fatal(err)
			}
			if err := on.Restart(t.Context()); err != nil {
				t.Fatal(err)
			}
			d.awaitRuns(t, 60)
			s.end(t, d)
		})
	}
}
