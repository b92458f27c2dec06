package collector

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"golang.org/x/sync/singleflight"
)

// A Set runs several collectors concurrently. A panic, error or hang of one
// collector does not affect the others.
type Set struct {
	collectors []Collector
	log        *slog.Logger
	all        singleflight.Group // collections, so that concurrent callers share one
	single     singleflight.Group // by collector, so that at most one call of a hanging collector exists

	mu   sync.Mutex
	last map[string]string // the last error of each collector
}

// NewSet returns a Set of the given collectors, which run concurrently. The
// outcomes are in the given order.
func NewSet(log *slog.Logger, collectors ...Collector) *Set {
	return &Set{collectors: collectors, log: log, last: map[string]string{}}
}

// DefaultDeadline is the time limit of a collection if the caller has none. It
// is Prometheus' default scrape timeout.
const DefaultDeadline = 10 * time.Second

// share is the part of the remaining time for one collector, so that its result
// still reaches the caller.
const share = 0.8

// An Outcome is the result of one collector.
type Outcome struct {
	Collector string
	Report    Report
	Err       error // why the collector failed; nil if it succeeded
	Took      time.Duration
}

// A Snapshot holds the outcomes of all collectors of a Set.
type Snapshot struct {
	At       time.Time
	Outcomes []Outcome
}

// Collect runs every collector once and returns before ctx ends. Concurrent
// callers share one collection, which continues if one of them gives up.
func (s *Set) Collect(ctx context.Context) (Snapshot, error) {
	deadline, ok := ctx.Deadline()
	if !ok {
		deadline = time.Now().Add(DefaultDeadline)
	}
	collection := s.all.DoChan("", func() (any, error) {
		// Other callers wait for this collection.
		detached, cancel := context.WithDeadline(context.WithoutCancel(ctx), deadline)
		defer cancel()
		return s.collect(withMemo(detached)), nil
	})
	select {
	case result := <-collection:
		return result.Val.(Snapshot), nil
	case <-ctx.Done():
		return Snapshot{}, context.Cause(ctx)
	}
}

func (s *Set) collect(ctx context.Context) Snapshot {
	snapshot := Snapshot{At: time.Now(), Outcomes: make([]Outcome, len(s.collectors))}
	var wait sync.WaitGroup
	for i, c := range s.collectors {
		wait.Go(func() { snapshot.Outcomes[i] = s.one(ctx, c) })
	}
	wait.Wait()
	return snapshot
}

// one runs one collector, for at most its share of the remaining time.
func (s *Set) one(ctx context.Context, c Collector) Outcome {
	begin := time.Now()
	deadline, _ := ctx.Deadline()
	limit := time.Duration(float64(time.Until(deadline)) * share)
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()

	reported := s.single.DoChan(c.Name(), func() (any, error) { return s.safely(ctx, c) })
	outcome := Outcome{Collector: c.Name()}
	select {
	case result := <-reported:
		outcome.Report, _ = result.Val.(Report)
		outcome.Err = result.Err
	case <-time.After(limit + grace(deadline, limit)):
		outcome.Err = fmt.Errorf("no answer within %s; it is still running", limit.Round(time.Millisecond))
	}
	outcome.Took = time.Since(begin)
	s.logChange(outcome)
	return outcome
}

// logChange logs a failure or recovery of a collector once, not at every scrape.
func (s *Set) logChange(o Outcome) {
	now := ""
	if o.Err != nil {
		now = o.Err.Error()
	}
	s.mu.Lock()
	before := s.last[o.Collector]
	s.last[o.Collector] = now
	s.mu.Unlock()
	switch now {
	case before:
	case "":
		s.log.Info("collector recovered", "collector", o.Collector)
	default:
		s.log.Warn("collector failed", "collector", o.Collector, "took", o.Took, "err", now)
	}
}

// grace is the time for a collector to return after its context has ended: half
// of the caller's time that remains after the collector's share.
func grace(deadline time.Time, limit time.Duration) time.Duration {
	return max(0, time.Until(deadline)-limit) / 2
}

func (s *Set) safely(ctx context.Context, c Collector) (r Report, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
			s.log.Error("panic", "collector", c.Name(), "err", err, "stack", string(debug.Stack()))
		}
	}()
	return c.Collect(ctx)
}

// Collect sends every sample, and the success and duration of each collector.
func (s Snapshot) Collect(ch chan<- prometheus.Metric) {
	var self Report
	for _, o := range s.Outcomes {
		self.addSample("rainbond_collector_success", flag(o.Err == nil), o.Collector)
		self.addSample("rainbond_collector_duration_seconds", o.Took.Seconds(), o.Collector)
		for _, m := range o.Report.Metrics {
			ch <- m
		}
	}
	for _, m := range self.Metrics {
		ch <- m
	}
}

// Describe sends nothing, because the metrics are known only after a collection.
func (s Snapshot) Describe(chan<- *prometheus.Desc) {}

// Gather returns the samples as metric families.
func (s Snapshot) Gather() ([]*dto.MetricFamily, error) {
	registry := prometheus.NewRegistry()
	if err := registry.Register(s); err != nil {
		return nil, err
	}
	return registry.Gather()
}

// Evidence returns the evidence of every collector.
func (s Snapshot) Evidence() []Evidence {
	var all []Evidence
	for _, o := range s.Outcomes {
		all = append(all, o.Report.Evidence...)
	}
	return all
}

// memo holds the results of OncePerCollection within one collection.
type memo struct {
	mu      sync.Mutex
	answers map[any]func() any
}

type memoKey struct{}

func withMemo(ctx context.Context) context.Context {
	return context.WithValue(ctx, memoKey{}, &memo{answers: map[any]func() any{}})
}

// OncePerCollection returns a function that calls ask at most once per key and
// collection, so that collectors share the result. Outside a collection, every
// call calls ask.
func OncePerCollection[Q any, A any](key func(Q) string, ask func(context.Context, Q) A) func(context.Context, Q) A {
	id := new(byte) // distinguishes this function from others with the same key
	type question struct {
		id  *byte
		key string
	}
	return func(ctx context.Context, q Q) A {
		m, ok := ctx.Value(memoKey{}).(*memo)
		if !ok {
			return ask(ctx, q)
		}
		m.mu.Lock()
		k := question{id, key(q)}
		answer, known := m.answers[k]
		if !known {
			answer = sync.OnceValue(func() any { return ask(ctx, q) })
			m.answers[k] = answer
		}
		m.mu.Unlock()
		return answer().(A)
	}
}
