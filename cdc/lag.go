package cdc

import (
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// lagMeter measures how long a heartbeat takes from its commit on the source until everything up
// to it is committed on the target. Safe for concurrent use.
type lagMeter struct {
	mu      sync.Mutex
	pending []beat    // sent and not yet arrived, oldest first
	latest  uint64    // the last watermark that arrived
	at      time.Time // and when
	last    time.Duration
	worst   time.Duration
	seen    *hdrhistogram.Histogram // milliseconds
}

type beat struct {
	n    uint64
	sent time.Time
}

// sent notes a heartbeat that is committed on the source.
func (l *lagMeter) sent(n uint64, at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n <= l.latest { // the stream was faster than the answer to our COMMIT
		l.record(max(0, l.at.Sub(at)))
		return
	}
	l.pending = append(l.pending, beat{n, at})
}

// arrived notes that everything up to watermark n is applied.
func (l *lagMeter) arrived(n uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.latest, l.at = n, time.Now()
	i := 0
	for ; i < len(l.pending) && l.pending[i].n <= n; i++ {
		l.record(time.Since(l.pending[i].sent))
	}
	l.pending = l.pending[i:]
}

func (l *lagMeter) record(d time.Duration) {
	if l.seen == nil {
		l.seen = hdrhistogram.New(1, 7*24*3600*1000, 3)
	}
	l.last, l.worst = d, max(l.worst, d)
	_ = l.seen.RecordValue(min(d.Milliseconds(), l.seen.HighestTrackableValue()))
}

// Lag is how far the target is behind the source.
type Lag struct {
	Now           time.Duration // of the last heartbeat, or the age of one that is overdue
	P50, P99, Max time.Duration
}

func (l *lagMeter) lag() Lag {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := Lag{Now: l.last, Max: l.worst}
	if len(l.pending) > 0 {
		out.Now = max(out.Now, time.Since(l.pending[0].sent))
	}
	if l.seen != nil {
		out.P50 = time.Duration(l.seen.ValueAtQuantile(50)) * time.Millisecond
		out.P99 = time.Duration(l.seen.ValueAtQuantile(99)) * time.Millisecond
	}
	return out
}
