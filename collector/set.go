package collector

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// A Set runs several collectors concurrently. A panic, error or hang of one
// collector does not affect the others.
//
// A collection belongs to no caller: it has its own time limit, and continues
// when its callers have left. Concurrent callers share one collection.
type Set struct {
	collectors []Collector
	timeout    time.Duration
	log        *slog.Logger
	calls      []chan struct{} // by collector: full while a call is active, which may hang

	mu      sync.Mutex
	running *collection
	latest  []*Outcome // by collector: of the last collection, if a caller left before its end or would have; else nil
	leftAt  time.Time  // when a caller last left before the end of a collection

	// leftAfter is the shortest wait of the callers that have left within maxAge.
	leftAfter time.Duration

	last []string // by collector: the last error, for the log
}

// A collection is one run of all collectors.
type collection struct {
	start time.Time
	done  chan struct{} // closed when every collector has an outcome

	// Guarded by Set.mu.
	left     bool                // a caller left before the end
	outcomes []*Outcome          // by collector; nil while it is running
	parts    []map[string]Report // by collector: published while it is running
}

const (
	// DefaultTimeout is the time limit of a collection. It is Prometheus'
	// default scrape timeout.
	DefaultTimeout = 10 * time.Second

	// MinTimeout is the shortest time limit of a collection in which a probe of
	// a region that does not respond gets its full limits (5 s to connect, 1 s
	// for the response) after a source of regions that does not respond either.
	MinTimeout = 10 * time.Second

	// collectorShare is the part of a collection's time limit for its
	// collectors. The rest is for the outcome to reach a scraper whose timeout
	// equals the limit.
	collectorShare = 0.9

	// sourceShare is the part of the remaining time for a source of regions, so
	// that the last known regions can be probed with their full limits if the
	// source does not respond.
	sourceShare = 0.15

	// grace is the part of a collection's time limit for a collector to return
	// after its context has ended.
	grace = 0.02

	// maxAge is the maximum age of an outcome that a caller receives in place of
	// an outcome that is not finished. A scraper with a short timeout thus gets
	// the outcome of the collection that its last scrape started. It is the
	// longest common scrape interval; Prometheus itself uses a sample for 5 min.
	maxAge = 2 * time.Minute
)

// NewSet returns a Set of the given collectors, which run concurrently. The
// outcomes are in the given order. Timeout is the time limit of a collection.
func NewSet(log *slog.Logger, timeout time.Duration, collectors ...Collector) *Set {
	s := &Set{
		collectors: collectors, timeout: timeout, log: log,
		last: make([]string, len(collectors)),
	}
	for range collectors {
		s.calls = append(s.calls, make(chan struct{}, 1))
	}
	return s
}

// An Outcome is the result of one collector.
type Outcome struct {
	Collector string
	// At is when the collection of the report started. It is before the
	// snapshot's own time if the report is from an earlier collection, and the
	// zero time if there is no report.
	At     time.Time
	Report Report
	Err    error // why the collector failed or is not finished; nil if it succeeded
	Took   time.Duration

	parts map[string]Report
}

// A Snapshot holds the outcomes of all collectors of a Set.
type Snapshot struct {
	At       time.Time
	Outcomes []Outcome
}

// Collect joins the running collection or starts one. It returns when the
// collection has ended, or when ctx ends: then a collector that is not finished
// has the parts of its report that are, the rest from the last collection if
// that is at most maxAge old, or an error.
func (s *Set) Collect(ctx context.Context) Snapshot {
	c, joined := s.join(), time.Now() //nolint:contextcheck // a collection belongs to no caller
	select {
	case <-c.done:
	case <-ctx.Done():
		s.leaves(time.Since(joined))
	}
	return s.snapshot(c)
}

// leaves records that a caller did not wait for the end of a collection.
func (s *Set) leaves(after time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if time.Since(s.leftAt) > maxAge || after < s.leftAfter {
		s.leftAfter = after
	}
	s.leftAt = time.Now()
}

func (s *Set) join() *collection {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running == nil {
		s.running = &collection{
			start: time.Now(), done: make(chan struct{}),
			outcomes: make([]*Outcome, len(s.collectors)), parts: make([]map[string]Report, len(s.collectors)),
		}
		go s.run(s.running)
	}
	return s.running
}

func (s *Set) run(c *collection) {
	ctx, cancel := context.WithTimeout(withMemo(context.Background()), time.Duration(collectorShare*float64(s.timeout)))
	defer cancel()
	var wait sync.WaitGroup
	for i := range s.collectors {
		wait.Go(func() { s.finish(c, i, s.one(ctx, c, i)) })
	}
	wait.Wait()
	s.mu.Lock()
	s.latest, s.running = nil, nil
	// A scraper with a shorter timeout needs the outcome at its next scrape, even
	// if only a scraper with a longer timeout has waited for this collection.
	if c.left || time.Since(s.leftAt) <= maxAge && time.Since(c.start) > s.leftAfter {
		s.latest = c.outcomes
	}
	s.mu.Unlock()
	close(c.done)
}

// one runs one collector until ctx ends. A call that does not return then
// remains the collector's only call: later collections wait for it.
func (s *Set) one(ctx context.Context, c *collection, i int) Outcome {
	name := s.collectors[i].Name()
	select {
	case s.calls[i] <- struct{}{}:
	case <-ctx.Done():
		return Outcome{Collector: name, Took: time.Since(c.start), Err: errors.New("a call of an earlier collection has not returned")}
	}
	result := make(chan Outcome, 1)
	go func() {
		defer func() { <-s.calls[i] }()
		result <- s.call(ctx, c, i)
	}()
	deadline, _ := ctx.Deadline()
	overdue := time.NewTimer(time.Until(deadline) + time.Duration(grace*float64(s.timeout)))
	defer overdue.Stop()
	select {
	case outcome := <-result:
		return outcome
	case <-overdue.C:
		return Outcome{Collector: name, Took: time.Since(c.start), Err: fmt.Errorf("no result within %s; the call continues", time.Since(c.start).Round(time.Millisecond))}
	}
}

func (s *Set) call(ctx context.Context, c *collection, i int) Outcome {
	o := Outcome{Collector: s.collectors[i].Name(), At: c.start, parts: map[string]Report{}}
	var mu sync.Mutex
	o.Err = safely(func() error {
		return stream(ctx, s.collectors[i], func(part string, r Report) {
			mu.Lock()
			o.parts[part] = r
			mu.Unlock()
			s.publish(c, i, part, r)
		})
	})
	if stack := (*panicError)(nil); errors.As(o.Err, &stack) {
		s.log.Error("panic", "collector", o.Collector, "err", stack, "stack", stack.stack)
	}
	mu.Lock()
	defer mu.Unlock()
	o.Report = join(o.parts)
	o.Err = errors.Join(o.Err, o.Report.conflict())
	o.Took = time.Since(c.start)
	return o
}

// publish adds a part to an outcome that is not finished.
func (s *Set) publish(c *collection, i int, part string, r Report) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.parts[i] == nil {
		c.parts[i] = map[string]Report{}
	}
	c.parts[i][part] = r
}

func (s *Set) finish(c *collection, i int, o Outcome) {
	now := ""
	if o.Err != nil {
		now = o.Err.Error()
	}
	s.mu.Lock()
	c.outcomes[i] = &o
	before := s.last[i]
	s.last[i] = now
	s.mu.Unlock()
	switch now { // a change is logged once, not at every scrape
	case before:
	case "":
		s.log.Info("collector recovered", "collector", o.Collector)
	default:
		s.log.Warn("collector failed", "collector", o.Collector, "took", o.Took, "err", now)
	}
}

// snapshot returns what is finished of c, completed from the last collection.
func (s *Set) snapshot(c *collection) Snapshot {
	s.mu.Lock()
	defer s.mu.Unlock()
	snapshot := Snapshot{At: c.start, Outcomes: make([]Outcome, len(s.collectors))}
	for i, o := range c.outcomes {
		if o != nil {
			snapshot.Outcomes[i] = *o
			continue
		}
		c.left = true
		snapshot.Outcomes[i] = s.unfinished(c, i)
	}
	return snapshot
}

func (s *Set) unfinished(c *collection, i int) Outcome {
	took := time.Since(c.start)
	o := Outcome{
		Collector: s.collectors[i].Name(), At: c.start, Took: took,
		Err: fmt.Errorf("not finished after %s; the collection is still running", took.Round(time.Millisecond)),
	}
	parts := c.parts[i]
	if s.latest != nil && !s.latest[i].At.IsZero() && time.Since(s.latest[i].At) <= maxAge {
		last := s.latest[i]
		o.At, o.Err, o.Took = last.At, last.Err, last.Took
		parts = maps.Clone(last.parts)
		maps.Copy(parts, c.parts[i])
	}
	if len(parts) == 0 {
		o.At = time.Time{}
	}
	o.Report = join(parts)
	return o
}

// Collect sends every sample, and the success, duration and time of each
// collector.
func (s Snapshot) Collect(ch chan<- prometheus.Metric) {
	var self Report
	for _, o := range s.Outcomes {
		self.addSample("rainbond_collector_success", flag(o.Err == nil), o.Collector)
		self.addSample("rainbond_collector_duration_seconds", o.Took.Seconds(), o.Collector)
		if !o.At.IsZero() {
			self.addSample("rainbond_collector_last_collection_timestamp_seconds", float64(o.At.UnixMilli())/1000, o.Collector)
		}
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

// FailedProbes returns the last failed probes of each region that has any.
func (s Snapshot) FailedProbes() []FailedProbes {
	var all []FailedProbes
	for _, o := range s.Outcomes {
		all = append(all, o.Report.FailedProbes...)
	}
	return all
}

// A streamer is a Collector whose report has independent parts. It publishes
// each when it is ready, so that a caller with a short deadline gets those.
type streamer interface {
	stream(ctx context.Context, publish func(part string, r Report)) error
}

// stream runs a collector and publishes its report, in parts if it has any.
func stream(ctx context.Context, c Collector, publish func(part string, r Report)) error {
	if s, ok := c.(streamer); ok {
		return s.stream(ctx, publish)
	}
	r, err := c.Collect(ctx)
	publish("", r)
	return err
}

// collectParts runs a streamer and returns its whole report.
func collectParts(ctx context.Context, s streamer) (Report, error) {
	var mu sync.Mutex
	parts := map[string]Report{}
	err := s.stream(ctx, func(part string, r Report) {
		mu.Lock()
		defer mu.Unlock()
		parts[part] = r
	})
	mu.Lock()
	defer mu.Unlock()
	return join(parts), err
}

// join returns the report of all parts, in the order of their names.
func join(parts map[string]Report) Report {
	var all Report
	for _, name := range slices.Sorted(maps.Keys(parts)) {
		r := parts[name]
		all.Metrics = append(all.Metrics, r.Metrics...)
		all.Evidence = append(all.Evidence, r.Evidence...)
		all.FailedProbes = append(all.FailedProbes, r.FailedProbes...)
		all.conflicts = append(all.conflicts, r.conflicts...)
	}
	return all
}

// A panicError is the error of a function that panicked.
type panicError struct {
	cause any
	stack string
}

func (e *panicError) Error() string { return fmt.Sprintf("panic: %v", e.cause) }

// safely calls f and returns its error, or a panicError if it panics.
func safely(f func() error) (err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = &panicError{cause, string(debug.Stack())}
		}
	}()
	return f()
}

// Limited returns a query that has only a part of the time of its context. It is
// for a source of regions, which must leave time for the probes.
func Limited[A any](query func(context.Context) (A, error)) func(context.Context) (A, error) {
	return func(ctx context.Context) (A, error) {
		deadline, ok := ctx.Deadline()
		if !ok {
			return query(ctx)
		}
		ctx, cancel := context.WithTimeout(ctx, time.Duration(sourceShare*float64(time.Until(deadline))))
		defer cancel()
		return query(ctx)
	}
}
