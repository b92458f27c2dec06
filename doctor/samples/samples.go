// Package samples stores samples in memory for the query engine of Prometheus.
package samples

import (
	"context"
	"slices"
	"sort"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/util/annotations"
)

// A Storage contains series of floats. It implements storage.Queryable for the
// evaluation of expressions: it lists no label names and no label values. It
// must not be changed during a query.
type Storage struct {
	series map[string][]*Series // by metric name
}

// A Series contains the samples of one combination of labels.
type Series struct {
	Labels  labels.Labels
	samples []chunks.Sample
}

// Put adds series. Each must have other labels than those that are there.
func (s *Storage) Put(all ...*Series) {
	if s.series == nil {
		s.series = map[string][]*Series{}
	}
	for _, one := range all {
		name := one.Labels.Get(model.MetricNameLabel)
		s.series[name] = append(s.series[name], one)
	}
}

// Append adds a sample. t is in milliseconds, and not less than that of the
// sample before.
func (s *Series) Append(t int64, value float64) { s.samples = append(s.samples, sample{t, value}) }

// Until returns the samples up to t, in milliseconds.
func (s *Series) Until(t int64) []chunks.Sample {
	return s.samples[:sort.Search(len(s.samples), func(i int) bool { return s.samples[i].T() > t })]
}

// All calls f with each series, in no order.
func (s *Storage) All(f func(*Series)) {
	for _, all := range s.series {
		for _, one := range all {
			f(one)
		}
	}
}

// Querier returns a querier of the samples from mint to maxt.
func (s *Storage) Querier(mint, maxt int64) (storage.Querier, error) {
	return querier{storage.NoopQuerier(), s, mint, maxt}, nil
}

type querier struct {
	storage.Querier // lists no labels
	of              *Storage
	mint, maxt      int64
}

// Select returns the series that all matchers match, sorted by labels.
func (q querier) Select(_ context.Context, _ bool, _ *storage.SelectHints, matchers ...*labels.Matcher) storage.SeriesSet {
	var found []storage.Series
	for name, all := range q.of.series {
		if !nameMatches(matchers, name) {
			continue
		}
		for _, one := range all {
			samples := one.Until(q.maxt)
			samples = samples[sort.Search(len(samples), func(i int) bool { return samples[i].T() >= q.mint }):]
			if len(samples) > 0 && matchAll(matchers, one.Labels) {
				found = append(found, storage.NewListSeries(one.Labels, samples))
			}
		}
	}
	slices.SortFunc(found, func(a, b storage.Series) int { return labels.Compare(a.Labels(), b.Labels()) })
	return &seriesSet{found: found}
}

func matchAll(matchers []*labels.Matcher, lset labels.Labels) bool {
	for _, m := range matchers {
		if !m.Matches(lset.Get(m.Name)) {
			return false
		}
	}
	return true
}

func nameMatches(matchers []*labels.Matcher, name string) bool {
	for _, m := range matchers {
		if m.Name == model.MetricNameLabel && !m.Matches(name) {
			return false
		}
	}
	return true
}

// A seriesSet iterates over what a selection found.
type seriesSet struct {
	found []storage.Series
	next  int
}

func (s *seriesSet) Next() bool                        { s.next++; return s.next <= len(s.found) }
func (s *seriesSet) At() storage.Series                { return s.found[s.next-1] }
func (s *seriesSet) Err() error                        { return nil }
func (s *seriesSet) Warnings() annotations.Annotations { return nil }

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
