package doctor

import (
	"maps"
	"slices"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/timestamp"

	"github.com/rainbond-exporter/rainbond-exporter/collector"
	"github.com/rainbond-exporter/rainbond-exporter/doctor/samples"
)

// A store contains samples of one time: those of a snapshot, and the results of the
// recording rules.
type store struct {
	samples.Storage
	at int64
}

// histogramSuffixes are the names of the series of a classic histogram.
var histogramSuffixes = []string{"_bucket", "_sum", "_count"}

func newStore(families []*dto.MetricFamily, at time.Time) *store {
	s := &store{at: timestamp.FromTime(at)}
	for _, family := range families {
		if family.GetName() == collector.ConsecutiveFailures {
			continue // one collection is evaluated without its history, as without the for of a rule
		}
		for _, m := range family.GetMetric() {
			s.addMetric(family.GetName(), m)
		}
	}
	return s
}

// addMetric adds the series that a scrape would make of one metric.
func (s *store) addMetric(name string, m *dto.Metric) {
	b := labels.NewBuilder(labels.EmptyLabels())
	for _, l := range m.GetLabel() {
		b.Set(l.GetName(), l.GetValue())
	}
	add := func(name string, value float64) { s.add(b.Set(model.MetricNameLabel, name).Labels(), value) }
	switch {
	case m.Gauge != nil:
		add(name, m.Gauge.GetValue())
	case m.Counter != nil:
		add(name, m.Counter.GetValue())
	case m.Untyped != nil:
		add(name, m.Untyped.GetValue())
	case m.Histogram != nil:
		h := m.Histogram
		add(name+"_sum", h.GetSampleSum())
		add(name+"_count", float64(h.GetSampleCount()))
		for _, bucket := range h.GetBucket() {
			b.Set(labels.BucketLabel, labels.FormatOpenMetricsFloat(bucket.GetUpperBound()))
			add(name+"_bucket", float64(bucket.GetCumulativeCount()))
		}
		b.Set(labels.BucketLabel, "+Inf")
		add(name+"_bucket", float64(h.GetSampleCount()))
	}
}

func (s *store) add(lset labels.Labels, value float64) {
	one := &samples.Series{Labels: lset}
	one.Append(s.at, value)
	s.Put(one)
}

// values returns the distinct values of a label, sorted.
func (s *store) values(label string) []string {
	set := map[string]bool{}
	s.All(func(one *samples.Series) {
		if v := one.Labels.Get(label); v != "" {
			set[v] = true
		}
	})
	return slices.Sorted(maps.Keys(set))
}
