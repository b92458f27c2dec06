package timing

import (
	"log/slog"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"

	"github.com/rainbond-exporter/rainbond-exporter/doctor/samples"
)

// A store contains samples. Times are milliseconds.
type store struct {
	samples.Storage
	byHash map[uint64]*samples.Series // by the hash of the labels
}

func newStore() *store { return &store{byHash: map[uint64]*samples.Series{}} }

func (s *store) add(lset labels.Labels, t int64, v float64) {
	hash := lset.Hash()
	if s.byHash[hash] == nil {
		s.byHash[hash] = &samples.Series{Labels: lset}
		s.Put(s.byHash[hash])
	}
	s.byHash[hash].Append(t, v)
}

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
	store  *store
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
	s := &server{store: newStore(), every: every, sent: sent, engine: promql.NewEngine(promql.EngineOpts{
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
	before := s.store.byHash[labels.NewBuilder(a.labels).Set(model.MetricNameLabel, "ALERTS_FOR_STATE").Labels().Hash()]
	if before == nil {
		return
	}
	earlier := before.Until(ms(at))
	last := earlier[len(earlier)-1]
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
