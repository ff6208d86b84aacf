package cdc

import (
	"sort"
	"time"

	"changeover/cdc/schedule"
	"changeover/cdc/snapshot"
	"changeover/cdc/source"
	"changeover/cdc/state"
)

// Status is a migration at one moment. Its JSON is stable; docs/status.md describes it.
type Status struct {
	Migration string        `json:"migration"`
	Phase     string        `json:"phase"` // starting, schema, copying, streaming
	Source    string        `json:"source"`
	Target    string        `json:"target"`
	Started   time.Time     `json:"started"` // of this run
	Paused    bool          `json:"paused"`
	Error     string        `json:"error,omitempty"` // what stopped the run
	Waiting   []string      `json:"waiting"`         // for what workers wait, if they do
	Copy      CopyStatus    `json:"copy"`
	Stream    StreamStatus  `json:"stream"`
	Tables    []TableStatus `json:"tables"`
	Workers   []WorkerShare `json:"workers"`
	LagMS     float64       `json:"lag_ms"`
}

// CopyStatus is how far the rows are. Bytes are the source's estimate of its own data, so that the
// share is of the same measure as the total.
type CopyStatus struct {
	Rows          int64   `json:"rows"`
	Bytes         int64   `json:"bytes"` // as sent
	BytesExpected int64   `json:"bytes_expected"`
	Share         float64 `json:"share"` // 0 to 1
	RowsPerSecond float64 `json:"rows_per_second"`
	MBPerSecond   float64 `json:"mb_per_second"`
	ETASeconds    float64 `json:"eta_seconds"` // 0: done, or not known yet
	TablesDone    int     `json:"tables_done"`
	Tables        int     `json:"tables_total"`
}

// StreamStatus is how far the stream is.
type StreamStatus struct {
	Connected             bool    `json:"connected"`
	Position              string  `json:"position"`
	File                  string  `json:"file"`
	Offset                uint32  `json:"offset"`
	LagMS                 float64 `json:"lag_ms"` // of the last heartbeat, or the age of one overdue
	LagP50MS              float64 `json:"lag_p50_ms"`
	LagP99MS              float64 `json:"lag_p99_ms"`
	LagMaxMS              float64 `json:"lag_max_ms"`
	Transactions          int64   `json:"transactions"` // applied by this run
	TransactionsPerSecond float64 `json:"transactions_per_second"`
	Changes               int64   `json:"changes"` // rows
	ChangesPerSecond      float64 `json:"changes_per_second"`
	Large                 int64   `json:"large_transactions"`
	DDL                   int64   `json:"ddl"`
	QueuedBytes           int64   `json:"queued_bytes"` // read and not applied
	Reconnects            int64   `json:"reconnects"`
}

// TableStatus is how far one table is.
type TableStatus struct {
	Schema        string  `json:"schema"`
	Table         string  `json:"table"`
	State         string  `json:"state"` // planned, copying, indexing, complete
	Rows          int64   `json:"rows"`
	RowsExpected  int64   `json:"rows_expected"`
	BytesExpected int64   `json:"bytes_expected"`
	Share         float64 `json:"share"`
	Readers       int     `json:"readers"`
}

// WorkerShare is how much of the copy's time one chunk writer was busy.
type WorkerShare struct {
	Worker int     `json:"worker"`
	Busy   float64 `json:"busy"` // 0 to 1
}

// sample is what is counted, at one time.
type sample struct {
	at                         time.Time
	rows, bytes, txs, rowsInTx int64
}

// sampleWindow is the time over which rates are taken.
const sampleWindow = 10 * time.Second

// note takes a sample; the heartbeat calls it once a second.
func (r *Runner) note() {
	s := sample{at: time.Now(), txs: r.stats.transactions.Load(), rowsInTx: r.stats.changes.Load()}
	for _, p := range r.copier.Progress() {
		s.rows += p.Rows
		s.bytes += p.Bytes
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.samples = append(r.samples, s)
	for len(r.samples) > 2 && s.at.Sub(r.samples[0].at) > sampleWindow {
		r.samples = r.samples[1:]
	}
}

// Status tells how far the migration is. It is cheap, and may be called at any time.
func (r *Runner) Status() Status {
	r.mu.Lock()
	s := Status{Migration: r.opts.Migration, Phase: r.phase, Source: r.opts.Source.Addr(), Target: r.opts.Target.Addr(),
		Started: r.began, Waiting: []string{}, Tables: []TableStatus{}, Workers: []WorkerShare{}}
	if r.halted != nil {
		s.Error = r.halted.Error()
	}
	for _, why := range r.waits {
		s.Waiting = append(s.Waiting, why)
	}
	sort.Strings(s.Waiting)
	now := moment{r.samples, r.flow, r.copier, r.reader, r.catalog}
	r.mu.Unlock()
	if now.copier == nil || now.reader == nil {
		return s
	}
	s.Paused = now.copier.Paused()
	r.streamStatus(&s, now)
	r.copyStatus(&s, now)
	return s
}

// moment is what a Status is taken of: a run that starts over has all of it new.
type moment struct {
	samples []sample
	flow    *schedule.Flow
	copier  *snapshot.Copier
	reader  *source.Reader
	catalog *catalog
}

func (r *Runner) streamStatus(s *Status, now moment) {
	st, lag := &s.Stream, r.lag.lag()
	read := now.reader.Stats()
	st.Connected, st.File, st.Offset, st.Reconnects = read.Connected, read.Log.File, read.Log.Offset, read.Reconnects
	st.LagMS, st.LagP50MS, st.LagP99MS, st.LagMaxMS = ms(lag.Now), ms(lag.P50), ms(lag.P99), ms(lag.Max)
	s.LagMS = st.LagMS
	st.Transactions, st.Changes = r.stats.transactions.Load(), r.stats.changes.Load()
	st.Large, st.DDL = r.stats.large.Load(), r.stats.ddl.Load()
	st.Position = r.appliedPosition().Text
	now.flow.With(func(f *schedule.Scheduler) { st.QueuedBytes = f.Held() + read.Queued })
	if first, last, ok := ends(now.samples); ok {
		seconds := last.at.Sub(first.at).Seconds()
		st.TransactionsPerSecond = float64(last.txs-first.txs) / seconds
		st.ChangesPerSecond = float64(last.rowsInTx-first.rowsInTx) / seconds
	}
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func ends(samples []sample) (first, last sample, ok bool) {
	if len(samples) < 2 {
		return sample{}, sample{}, false
	}
	return samples[0], samples[len(samples)-1], true
}

func (r *Runner) copyStatus(s *Status, now moment) {
	var here, left float64 // bytes, in the source's measure
	for _, p := range now.copier.Progress() {
		t := now.tableStatus(p)
		s.Tables = append(s.Tables, t)
		s.Copy.Rows += t.Rows
		s.Copy.Bytes += p.Bytes
		s.Copy.BytesExpected += t.BytesExpected
		here += t.Share * float64(t.BytesExpected)
		left += (1 - t.Share) * float64(t.BytesExpected)
		if t.State == string(state.Complete) {
			s.Copy.TablesDone++
		}
	}
	s.Copy.Tables = len(s.Tables)
	s.Copy.Share = 1
	if here+left > 0 {
		s.Copy.Share = here / (here + left)
	}
	if s.Phase == phaseCopying && s.Copy.TablesDone < s.Copy.Tables {
		s.Copy.Share = min(s.Copy.Share, 0.999)
	}
	for i, busy := range now.copier.Busy() {
		s.Workers = append(s.Workers, WorkerShare{i, busy})
	}
	if first, last, ok := ends(now.samples); ok && s.Phase == phaseCopying {
		seconds := last.at.Sub(first.at).Seconds()
		s.Copy.RowsPerSecond = float64(last.rows-first.rows) / seconds
		s.Copy.MBPerSecond = float64(last.bytes-first.bytes) / seconds / 1e6
		if rate := float64(last.bytes-first.bytes) / seconds; rate > 0 {
			s.Copy.ETASeconds = left / rate
		}
	}
}

func (m moment) tableStatus(p snapshot.Progress) TableStatus {
	t := TableStatus{Schema: p.Schema, Table: p.Table, Readers: p.Active, State: string(state.Copying), Rows: p.Rows, BytesExpected: p.Size}
	if e := m.catalog.entry(schedule.Name{Schema: p.Schema, Table: p.Table}); e != nil {
		t.State, t.Rows, t.RowsExpected = m.catalog.stateOf(e), p.Rows+e.rowsBefore, e.rowsExpected
	}
	switch {
	case p.Complete:
		t.Share = 1
	case t.RowsExpected > 0:
		t.Share = min(0.999, float64(t.Rows)/float64(t.RowsExpected))
	}
	return t
}
