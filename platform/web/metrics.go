package web

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"changeover/platform/store"
)

// metrics are for Prometheus.
type metrics struct {
	registry *prometheus.Registry
	requests *prometheus.HistogramVec
}

func newMetrics(st *store.Store) *metrics {
	m := &metrics{registry: prometheus.NewRegistry(), requests: prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "platform_request_seconds", Help: "Time to answer a request of the API, by operation and status.",
		Buckets: prometheus.ExponentialBuckets(0.001, 2, 14)}, []string{"operation", "status"})}
	writes := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "platform_write_seconds",
		Help: "Time from a write's arrival to its commit, by the writer's epoch.", Buckets: prometheus.ExponentialBuckets(0.001, 2, 14)}, []string{"epoch"})
	meter := st.Meter()
	meter.Observe(func(epoch uint64, took time.Duration) { writes.WithLabelValues(number(epoch)).Observe(took.Seconds()) })
	counter := func(name, help string, read func(store.Counts) uint64) prometheus.Collector {
		return prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help}, func() float64 { return float64(read(meter.Read().Total)) })
	}
	m.registry.MustRegister(m.requests, writes, route{st},
		counter("platform_write_statements_total", "Statements that write, in committed transactions.", func(c store.Counts) uint64 { return c.Statements }),
		counter("platform_write_retries_total", "Times that a write was tried again.", func(c store.Counts) uint64 { return c.Retries }),
		counter("platform_writes_given_up_total", "Writes that were not acknowledged in time.", func(c store.Counts) uint64 { return c.GivenUp }))
	return m
}

// route shows what this server's gate knows of the writer, all of the same moment.
type route struct{ st *store.Store }

var (
	writerDesc  = prometheus.NewDesc("platform_writer", "1 for the database server that this one takes for the writer.", []string{"server", "side"}, nil)
	epochDesc   = prometheus.NewDesc("platform_epoch", "The writer's epoch; 0 while there was no migration.", nil, nil)
	holdDesc    = prometheus.NewDesc("platform_hold", "1 while writes wait: they are held, or the writer isn't known.", nil, nil)
	waitingDesc = prometheus.NewDesc("platform_writes_held", "Writes that wait at the gate.", nil, nil)
	insideDesc  = prometheus.NewDesc("platform_writes_inside", "Write transactions under way.", nil, nil)
)

// Describe tells of the metrics.
func (route) Describe(c chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{writerDesc, epochDesc, holdDesc, waitingDesc, insideDesc} {
		c <- d
	}
}

// Collect reads them.
func (r route) Collect(c chan<- prometheus.Metric) {
	now := r.st.Route()
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		c <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	held := 0.0
	if now.Held {
		held = 1
	}
	gauge(writerDesc, 1, now.Server, now.Side)
	gauge(epochDesc, float64(now.Epoch))
	gauge(holdDesc, held)
	gauge(waitingDesc, float64(now.Waiting))
	gauge(insideDesc, float64(now.Inside))
}
