package timing

import (
	"context"
	"log/slog"
	"math"
	"slices"
	"sort"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/util/annotations"
)

// A store keeps samples in memory. It implements storage.Queryable. Times are
// milliseconds.
type store map[string]map[uint64]*series // by metric name and hash of the labels

type series struct {
	labels  labels.Labels
	samples []chunks.Sample
}

func (s store) add(lset labels.Labels, t int64, v float64) {
	name := lset.Get(model.MetricNameLabel)
	if s[name] == nil {
		s[name] = map[uint64]*series{}
	}
	hash := lset.Hash()
	one := s[name][hash]
	if one == nil {
		one = &series{labels: lset}
		s[name][hash] = one
	}
	one.samples = append(one.samples, sample{t, v})
}

// until returns the samples of the series up to t.
func (s series) until(t int64) []chunks.Sample {
	return s.samples[:sort.Search(len(s.samples), func(i int) bool { return s.samples[i].T() > t })]
}

func (s store) Querier(mint, maxt int64) (storage.Querier, error) { return querier{s, mint, maxt}, nil }

type querier struct {
	store      store
	mint, maxt int64
}

func (q querier) Select(_ context.Context, _ bool, _ *storage.SelectHints, matchers ...*labels.Matcher) storage.SeriesSet {
	var found []storage.Series
	for name, all := range q.store {
		if !matches(matchers, labels.FromStrings(model.MetricNameLabel, name), true) {
			continue
		}
		for _, one := range all {
			samples := one.until(q.maxt)
			samples = samples[sort.Search(len(samples), func(i int) bool { return samples[i].T() >= q.mint }):]
			if len(samples) > 0 && matches(matchers, one.labels, false) {
				found = append(found, storage.NewListSeries(one.labels, samples))
			}
		}
	}
	slices.SortFunc(found, func(a, b storage.Series) int { return labels.Compare(a.Labels(), b.Labels()) })
	return &set{found: found}
}

func matches(matchers []*labels.Matcher, lset labels.Labels, onlyName bool) bool {
	return !slices.ContainsFunc(matchers, func(m *labels.Matcher) bool {
		return (!onlyName || m.Name == model.MetricNameLabel) && !m.Matches(lset.Get(m.Name))
	})
}

func (querier) LabelValues(context.Context, string, *storage.LabelHints, ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	return nil, nil, nil
}

func (querier) LabelNames(context.Context, *storage.LabelHints, ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	return nil, nil, nil
}

func (querier) Close() error { return nil }

type set struct {
	found []storage.Series
	next  int
}

func (s *set) Next() bool                        { s.next++; return s.next <= len(s.found) }
func (s *set) At() storage.Series                { return s.found[s.next-1] }
func (s *set) Err() error                        { return nil }
func (s *set) Warnings() annotations.Annotations { return nil }

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

var stale = math.Float64frombits(value.StaleNaN)

// resendDelay is how often Prometheus sends an alert again, and grace what it
// waits after its start before an alert with a longer `for` fires.
const (
	resendDelay = time.Minute
	grace       = 10 * time.Minute
)

// A server evaluates rules with the engine of Prometheus. It keeps the state of
// alerts as rules.AlertingRule and rules.Group of Prometheus do. Those packages
// themselves need the clients of all service discoveries.
type server struct {
	store  store
	engine *promql.Engine
	every  time.Duration // evaluation interval
	rules  []*state
	sent   func(alert string, at, until time.Duration) // what Alertmanager receives; until is when the alert ends
}

// state is the state of a rule.
type state struct {
	rulefmt.Rule
	last   map[uint64]labels.Labels // series of the previous evaluation
	active map[uint64]*active
}

type active struct {
	labels       labels.Labels
	since        time.Duration
	firing, gone bool
	lastSent     time.Duration
	neverSent    bool
}

var promParser = parser.NewParser(parser.Options{})

func newServer(t *testing.T, rules []byte, every time.Duration, sent func(string, time.Duration, time.Duration)) *server {
	t.Helper()
	groups, errs := rulefmt.Parse(rules, false, model.UTF8Validation, promParser, slog.New(slog.DiscardHandler))
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	s := &server{store: store{}, every: every, sent: sent, engine: promql.NewEngine(promql.EngineOpts{
		MaxSamples: 1e7, Timeout: time.Minute, Parser: promParser,
		NoStepSubqueryIntervalFn: func(int64) int64 { return every.Milliseconds() },
	})}
	for _, group := range groups.Groups {
		for _, r := range group.Rules {
			s.rules = append(s.rules, &state{Rule: r, active: map[uint64]*active{}})
		}
	}
	return s
}

// start is the Unix time of the beginning of a test.
var start = time.Unix(1_800_000_000, 0)

func ms(at time.Duration) int64 { return start.Add(at).UnixMilli() }

func (s *server) query(t *testing.T, text string, at time.Duration) promql.Vector {
	t.Helper()
	q, err := s.engine.NewInstantQuery(t.Context(), s.store, nil, text, start.Add(at))
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	result := q.Exec(t.Context())
	if result.Err != nil {
		t.Fatalf("%s: %v", text, result.Err)
	}
	vector, err := result.Vector()
	if err != nil {
		t.Fatal(err)
	}
	return slices.Clone(vector)
}

// evaluate evaluates all rules. After a restart, it restores the state of the
// alerts instead of storing it.
func (s *server) evaluate(t *testing.T, at time.Duration, restarted bool) {
	t.Helper()
	for _, r := range s.rules {
		if restarted {
			r.last, r.active = nil, map[uint64]*active{}
		}
		current := map[uint64]labels.Labels{}
		put := func(lset labels.Labels, v float64) {
			current[lset.Hash()] = lset
			s.store.add(lset, ms(at), v)
		}
		vector := s.query(t, r.Expr, at)
		if r.Record != "" {
			for _, one := range vector {
				put(r.with(one.Metric, model.MetricNameLabel, r.Record), one.F)
			}
		} else {
			r.update(t, vector, at)
			for _, a := range r.active {
				if restarted {
					s.restore(r, a, at)
					continue
				}
				s.send(a, at)
				if !a.gone {
					st := "pending"
					if a.firing {
						st = "firing"
					}
					put(labels.NewBuilder(a.labels).Set(model.MetricNameLabel, "ALERTS").Set("alertstate", st).Labels(), 1)
					put(labels.NewBuilder(a.labels).Set(model.MetricNameLabel, "ALERTS_FOR_STATE").Labels(), float64(start.Add(a.since).Unix()))
				}
			}
		}
		for hash, lset := range r.last {
			if _, ok := current[hash]; !ok {
				s.store.add(lset, ms(at), stale)
			}
		}
		r.last = current
	}
}

func (r *state) with(of labels.Labels, name, value string) labels.Labels {
	b := labels.NewBuilder(of).Del(model.MetricNameLabel)
	for name, value := range r.Labels {
		b.Set(name, value)
	}
	return b.Set(name, value).Labels()
}

func (r *state) update(t *testing.T, vector promql.Vector, at time.Duration) {
	t.Helper()
	seen := map[uint64]bool{}
	for _, one := range vector {
		lset := r.with(one.Metric, model.AlertNameLabel, r.Alert)
		hash := lset.Hash()
		if seen[hash] {
			t.Fatalf("%s: two results with the labels %s", r.Alert, lset)
		}
		seen[hash] = true
		if a := r.active[hash]; a == nil || a.gone {
			r.active[hash] = &active{labels: lset, since: at, neverSent: true}
		}
	}
	for hash, a := range r.active {
		switch {
		case !seen[hash] && !a.firing: // pending, or resolved in the previous evaluation
			delete(r.active, hash)
		case !seen[hash]:
			a.firing, a.gone = false, true
		case at-a.since >= time.Duration(r.For):
			a.firing = true
		}
	}
}

// send sends a firing alert every resendDelay, and that it is resolved at once.
func (s *server) send(a *active, at time.Duration) {
	switch {
	case a.gone:
		s.sent(a.labels.String(), at, at)
	case a.firing && (a.neverSent || a.lastSent+resendDelay < at):
		a.lastSent, a.neverSent = at, false
		s.sent(a.labels.String(), at, at+4*max(s.every, resendDelay))
	}
}

func (s *server) restore(r *state, a *active, at time.Duration) {
	before := s.store["ALERTS_FOR_STATE"][labels.NewBuilder(a.labels).Set(model.MetricNameLabel, "ALERTS_FOR_STATE").Labels().Hash()]
	if before == nil {
		return
	}
	samples := before.until(ms(at))
	last := samples[len(samples)-1]
	if value.IsStaleNaN(last.F()) {
		return
	}
	since := time.Unix(int64(last.F()), 0).Sub(start)
	down := time.UnixMilli(last.T()).Sub(start)
	remaining := time.Duration(r.For) - (down - since)
	a.firing = false
	switch {
	case remaining <= 0:
		a.since = since
	case time.Duration(r.For) < grace:
	case remaining < grace:
		a.since = at + grace - time.Duration(r.For)
	default:
		a.since = since + at - down
	}
}
