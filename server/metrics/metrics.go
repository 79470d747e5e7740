// Package metrics counts what a server does, for Prometheus. No metric has a
// label with a handle, an id or an address: labels come from closed lists.
package metrics

import (
	"context"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/reseal/reseal/store"
)

// counters are all that [Metrics.Count] knows: name, label ("" for none), help.
var counters = []struct{ name, label, help string }{
	{"sends", "", "Calls that send a message, repeats included."},
	{"stale_sends", "", "Messages stored for the first time whose wraps did not cover every current device."},
	{"messages_stored", "policy", "Messages stored for the first time."},
	{"wraps_added", "kind", "Wraps added to stored messages: by the sending device (sender) or in answer to a retry request (retry)."},
	{"retries_needed", "", "Messages whose key a device asked for, each once for each device."},
	{"retry_requests", "to", "Signed retry requests taken, repeats included: to the recipient's own devices (own), or to the sender's (sender)."},
	{"retry_answered", "by", "Wraps added in answer to a retry request: by own devices of the recipient (own), by the sending device (sender), or by other devices of the sender (sender_other)."},
	{"retry_closed", "", "Retry requests withdrawn."},
	{"messages_expired", "state", "Messages that expired at the server: after a device of the recipient said that it can read them (received), or not (unread)."},
	{"receipts", "what", "Receipts delivered."},
	{"ends", "state", "Messages ended by a receipt."},
	{"queued", "event", "Queue entries written."},
	{"acknowledged", "", "Queue entries acknowledged."},
	{"logins", "result", "Logins finished."},
	{"signups", "", "Accounts made."},
	{"devices", "change", "Devices added and removed."},
	{"passwords", "change", "Passwords changed."},
	{"epochs", "", "Epoch certificates published."},
	{"refusals", "reason", "Calls refused, by reason."},
	{"blob_refusals", "code", "Blob requests refused, by code."},
	{"stream_ends", "reason", "WebSocket connections ended, by reason."},
	{"panics", "", "Handlers that panicked."},
}

// values are the labels' values that are there from the start, at zero, so that
// the first event is an increase.
var values = map[string][]string{
	"messages_stored":  {"once", "keep"},
	"wraps_added":      {"sender", "retry"},
	"retry_requests":   {"own", "sender"},
	"retry_answered":   {"own", "sender", "sender_other"},
	"messages_expired": {"received", "unread"},
}

// Metrics are the metrics of one server. Safe for concurrent use.
type Metrics struct {
	registry *prometheus.Registry
	counters map[string]*prometheus.CounterVec
	calls    *prometheus.HistogramVec
	commits  *prometheus.HistogramVec
	answers  *prometheus.HistogramVec
	blobs    map[string]prometheus.Counter
}

// New makes the metrics, all at zero, with those of the Go runtime and of the
// process.
func New() *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry(), counters: map[string]*prometheus.CounterVec{}, blobs: map[string]prometheus.Counter{}}
	for _, c := range counters {
		var labels []string
		if c.label != "" {
			labels = []string{c.label}
		}
		vec := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "reseal_" + c.name + "_total", Help: c.help}, labels)
		m.counters[c.name] = vec
		m.registry.MustRegister(vec)
		if c.label == "" {
			vec.WithLabelValues() // there from the start, so that the first event is an increase
		}
		for _, v := range values[c.name] {
			vec.WithLabelValues(v)
		}
	}
	buckets := prometheus.ExponentialBuckets(0.0005, 2, 15) // 0.5 ms to 8 s
	m.calls = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "reseal_call_seconds", Help: "Time of unary calls by procedure.", Buckets: buckets,
	}, []string{"procedure"})
	m.commits = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "reseal_store_commit_seconds", Help: "Time of commits to the store by result.", Buckets: buckets,
	}, []string{"result"})
	m.answers = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "reseal_retry_answer_seconds", Help: "Time from when a device asked for a message's key to the first wrap for it, by who answered.",
		Buckets: []float64{.05, .1, .25, .5, 1, 2.5, 5, 10, 20, 60, 300, 1800, 3600, 6 * 3600, 86400, 7 * 86400},
	}, []string{"by"})
	for _, by := range []string{"own", "sender", "sender_other"} {
		m.answers.WithLabelValues(by)
	}
	m.registry.MustRegister(m.calls, m.commits, m.answers, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	for name, help := range map[string]string{
		"bytes_in": "Bytes of blobs stored.", "bytes_out": "Bytes of blobs sent.", "uploads": "Uploads begun.",
		"completed": "Uploads completed.", "abandoned": "Uploads given up.", "collected": "Blobs collected.",
		"damaged": "Reads of files that are missing or short.",
	} {
		c := prometheus.NewCounter(prometheus.CounterOpts{Name: "reseal_blob_" + name + "_total", Help: help})
		m.blobs[name] = c
		m.registry.MustRegister(c)
	}
	return m
}

// Count adds one to the counter called name, under a label where it has one. A
// name that is not in the list is ignored; a test looks for such.
func (m *Metrics) Count(name, label string) {
	vec := m.counters[name]
	if vec == nil {
		return
	}
	var labels []string
	if label != "" {
		labels = []string{label}
	}
	if c, err := vec.GetMetricWithLabelValues(labels...); err == nil {
		c.Inc()
	}
}

// Blob is the counter of a thing that happens to blobs: bytes_in, bytes_out,
// uploads, completed, abandoned, collected, damaged.
func (m *Metrics) Blob(name string) prometheus.Counter { return m.blobs[name] }

// Called notes how long a unary call took. The procedure must come from the
// list of methods, never from a request.
func (m *Metrics) Called(procedure string, took time.Duration) {
	m.calls.WithLabelValues(procedure).Observe(took.Seconds())
}

// Answered notes how long a retry took, and who answered: own, sender or
// sender_other.
func (m *Metrics) Answered(by string, after time.Duration) {
	m.answers.WithLabelValues(by).Observe(max(after, 0).Seconds())
}

// Gauge adds a gauge that is read when the metrics are.
func (m *Metrics) Gauge(name, help string, value func() float64) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "reseal_" + name, Help: help}, value))
}

// Handler serves the metrics in the text format.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

// Registry is where all metrics are, for programs that embed a server.
func (m *Metrics) Registry() *prometheus.Registry { return m.registry }

// Store is s with the time of its commits measured.
func (m *Metrics) Store(s store.Store) store.Store { return timed{s, m.commits} }

type timed struct {
	store.Store
	commits *prometheus.HistogramVec
}

func (t timed) Commit(ctx context.Context, p store.Partition, b *store.Batch) error {
	begun := time.Now()
	err := t.Store.Commit(ctx, p, b)
	t.commits.WithLabelValues(result(err)).Observe(time.Since(begun).Seconds())
	return err
}

// CommitAll implements [store.Chainer], also over engines that do not: it counts
// as one commit.
func (t timed) CommitAll(ctx context.Context, steps []store.Step) error {
	begun := time.Now()
	err := store.CommitAll(ctx, t.Store, steps...)
	t.commits.WithLabelValues(result(err)).Observe(time.Since(begun).Seconds())
	return err
}

// View implements [store.Viewer], also over engines that do not.
func (t timed) View(ctx context.Context, p store.Partition, k store.Key, f func(store.Record) error) error {
	return store.View(ctx, t.Store, p, k, f)
}
