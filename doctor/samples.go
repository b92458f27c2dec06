package doctor

import (
	"context"
	"maps"
	"slices"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/timestamp"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/util/annotations"

	"github.com/rainbond-exporter/rainbond-exporter/collector"
)

// samples is a storage of one time: the samples of a snapshot and the results of the
// recording rules. It implements storage.Queryable.
type samples struct {
	at     int64
	series map[string][]storage.Series // by metric name
}

// histogramSuffixes are the names of the series of a classic histogram.
var histogramSuffixes = []string{"_bucket", "_sum", "_count"}

func newSamples(families []*dto.MetricFamily, at time.Time) *samples {
	s := &samples{at: timestamp.FromTime(at), series: map[string][]storage.Series{}}
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
func (s *samples) addMetric(name string, m *dto.Metric) {
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

func (s *samples) add(lset labels.Labels, value float64) {
	name := lset.Get(model.MetricNameLabel)
	s.series[name] = append(s.series[name], storage.NewListSeries(lset, []chunks.Sample{sample{s.at, value}}))
}

// values returns the distinct values of a label, sorted.
func (s *samples) values(label string) []string {
	set := map[string]bool{}
	for _, series := range s.series {
		for _, one := range series {
			if v := one.Labels().Get(label); v != "" {
				set[v] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(set))
}

// Querier returns the storage itself: there is only one moment to ask about.
func (s *samples) Querier(_, _ int64) (storage.Querier, error) { return s, nil }

// Select returns the series that all matchers match, sorted by labels.
func (s *samples) Select(_ context.Context, _ bool, _ *storage.SelectHints, matchers ...*labels.Matcher) storage.SeriesSet {
	var found []storage.Series
	for name, all := range s.series {
		if !nameMatches(matchers, name) {
			continue
		}
		for _, series := range all {
			if matchAll(matchers, series.Labels()) {
				found = append(found, series)
			}
		}
	}
	slices.SortFunc(found, func(a, b storage.Series) int { return labels.Compare(a.Labels(), b.Labels()) })
	return &seriesSet{found: found}
}

// A seriesSet walks over what a selection found.
type seriesSet struct {
	found []storage.Series
	next  int
}

func (s *seriesSet) Next() bool                        { s.next++; return s.next <= len(s.found) }
func (s *seriesSet) At() storage.Series                { return s.found[s.next-1] }
func (s *seriesSet) Err() error                        { return nil }
func (s *seriesSet) Warnings() annotations.Annotations { return nil }

func matchAll(matchers []*labels.Matcher, lset labels.Labels) bool {
	for _, m := range matchers {
		if !m.Matches(lset.Get(m.Name)) {
			return false
		}
	}
	return true
}

// LabelValues is not asked by an evaluation.
func (s *samples) LabelValues(context.Context, string, *storage.LabelHints, ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	return nil, nil, nil
}

// LabelNames is not asked by an evaluation.
func (s *samples) LabelNames(context.Context, *storage.LabelHints, ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	return nil, nil, nil
}

// Close has nothing to release.
func (s *samples) Close() error { return nil }

// A sample is one float at one time.
type sample struct {
	t int64
	f float64
}

func (s sample) T() int64                      { return s.t }
func (s sample) ST() int64                     { return 0 }
func (s sample) F() float64                    { return s.f }
func (s sample) H() *histogram.Histogram       { return nil }
func (s sample) FH() *histogram.FloatHistogram { return nil }
func (s sample) Type() chunkenc.ValueType      { return chunkenc.ValFloat }
func (s sample) Copy() chunks.Sample           { return s }
