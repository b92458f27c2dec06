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

// A Set looks with many collectors at once. One collector's panic, error or
// hang spoils that collector only.
type Set struct {
	collectors []Collector
	log        *slog.Logger
	looks      singleflight.Group // whole looks, so that two scrapes share one
	singles    singleflight.Group // one collector's looks, so that a stuck one is joined, never piled up

	mu   sync.Mutex
	last map[string]string // what kept a collector from looking the last time it could not
}

// NewSet returns a Set of the given collectors, which look in parallel and
// report in the order given.
func NewSet(log *slog.Logger, collectors ...Collector) *Set {
	return &Set{collectors: collectors, log: log, last: map[string]string{}}
}

// DefaultDeadline is how long a look may take when the caller set no limit:
// Prometheus' default scrape timeout.
const DefaultDeadline = 10 * time.Second

// share is the part of the time left that one collector gets, so that what
// it finds still reaches the caller.
const share = 0.8

// An Outcome is what one collector's look came to.
type Outcome struct {
	Collector string
	Report    Report
	Err       error // why it could not look; nil when it could
	Took      time.Duration
}

// A Look is what all collectors of a Set saw at one moment.
type Snapshot struct {
	At       time.Time
	Outcomes []Outcome
}

// Look asks every collector once and returns before ctx ends. Callers that
// come while a look is under way share it, and one of them giving up does not
// end it for the others.
func (s *Set) Collect(ctx context.Context) (Snapshot, error) {
	deadline, ok := ctx.Deadline()
	if !ok {
		deadline = time.Now().Add(DefaultDeadline)
	}
	look := s.looks.DoChan("", func() (any, error) {
		// For the sake of the others who wait for this look.
		detached, cancel := context.WithDeadline(context.WithoutCancel(ctx), deadline)
		defer cancel()
		return s.look(withMemo(detached)), nil
	})
	select {
	case result := <-look:
		return result.Val.(Snapshot), nil
	case <-ctx.Done():
		return Snapshot{}, context.Cause(ctx)
	}
}

func (s *Set) look(ctx context.Context) Snapshot {
	look := Snapshot{At: time.Now(), Outcomes: make([]Outcome, len(s.collectors))}
	var wait sync.WaitGroup
	for i, c := range s.collectors {
		wait.Go(func() { look.Outcomes[i] = s.one(ctx, c) })
	}
	wait.Wait()
	return look
}

// one looks with one collector, for at most its share of the time left.
func (s *Set) one(ctx context.Context, c Collector) Outcome {
	begin := time.Now()
	deadline, _ := ctx.Deadline()
	limit := time.Duration(float64(time.Until(deadline)) * share)
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()

	reported := s.singles.DoChan(c.Name(), func() (any, error) { return s.safely(ctx, c) })
	outcome := Outcome{Collector: c.Name()}
	select {
	case result := <-reported:
		outcome.Report, _ = result.Val.(Report)
		outcome.Err = result.Err
	case <-time.After(limit + grace(deadline, limit)):
		outcome.Err = fmt.Errorf("no answer within %s; the look goes on and the next one joins it", limit.Round(time.Millisecond))
	}
	outcome.Took = time.Since(begin)
	s.tell(outcome)
	return outcome
}

// tell logs that a collector could not look, or can again: once, and not with
// every scrape.
func (s *Set) tell(o Outcome) {
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
		s.log.Info("can look again", "collector", o.Collector)
	default:
		s.log.Warn("could not look", "collector", o.Collector, "took", o.Took, "err", now)
	}
}

// grace is what a collector that obeys its context gets to say so: half of
// what is left of the caller's time after the collector's share.
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

// Collect sends every sample of the look, and how the collectors fared.
func (l Snapshot) Collect(ch chan<- prometheus.Metric) {
	var self Report
	for _, o := range l.Outcomes {
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

// Describe sends nothing: a look's metrics are known when it has been taken.
func (l Snapshot) Describe(chan<- *prometheus.Desc) {}

// Gather returns the look's samples as metric families.
func (l Snapshot) Gather() ([]*dto.MetricFamily, error) {
	registry := prometheus.NewRegistry()
	if err := registry.Register(l); err != nil {
		return nil, err
	}
	return registry.Gather()
}

// Evidence returns the evidence of every collector.
func (l Snapshot) Evidence() []Evidence {
	var all []Evidence
	for _, o := range l.Outcomes {
		all = append(all, o.Report.Evidence...)
	}
	return all
}

// memo holds what has been asked within one look.
type memo struct {
	mu      sync.Mutex
	answers map[any]func() any
}

type memoKey struct{}

func withMemo(ctx context.Context) context.Context {
	return context.WithValue(ctx, memoKey{}, &memo{answers: map[any]func() any{}})
}

// OncePerCollection returns ask, asked at most once in one look for one key: two
// collectors that want the same thing share one answer. Outside a look, every
// call asks.
func OncePerCollection[Q any, A any](key func(Q) string, ask func(context.Context, Q) A) func(context.Context, Q) A {
	id := new(byte) // tells this question from others of the same key
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
