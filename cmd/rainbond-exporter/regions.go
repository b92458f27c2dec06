package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rainbond-exporter/rainbond-exporter/collector"
	"github.com/rainbond-exporter/rainbond-exporter/fault"
)

// idleTimeout is how long the counters of a region remain that /probe does not
// get requests for. It is longer than any sensible scrape interval.
const idleTimeout = time.Hour

// probeHandler serves /probe, which collects one region, and /sd, which lists
// the regions. Prometheus then spreads and shards the probes of many regions. A
// region keeps its counters between collections, until it is removed or idle.
type probeHandler struct {
	names  func(context.Context) ([]string, error)
	region func(ctx context.Context, name string) (fault.Region, bool, error)
	prober func() func(context.Context, fault.Region) fault.Trace // a new one for each region
	// lastRead returns when the database with the regions last answered; it may
	// be nil.
	lastRead func() time.Time
	timeout  time.Duration // of a collection
	log      *slog.Logger

	mu      sync.Mutex
	targets map[string]*target
}

// A target is a region that /probe has collected.
type target struct {
	set     *collector.Set
	used    time.Time
	missing atomic.Bool // no region had the name in the last collection
}

// ServeHTTP serves /probe?region=NAME: the metrics of that region.
func (b *probeHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name := r.URL.Query().Get("region")
	if name == "" {
		http.Error(w, "expected /probe?region=NAME; /sd lists the names", http.StatusBadRequest)
		return
	}
	t := b.target(name)
	ctx, cancel := context.WithTimeout(r.Context(), scrapeTimeout(r, b.timeout))
	defer cancel()
	snapshot := t.set.Collect(ctx)
	if t.missing.Load() {
		b.forget(name, t)
		http.Error(w, fmt.Sprintf("no region %q; /sd lists the names", name), http.StatusNotFound)
		return
	}
	writeMetrics(w, r, b.log, snapshot)
}

// target returns the collectors of one region.
func (b *probeHandler) target(name string) *target {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	maps.DeleteFunc(b.targets, func(_ string, t *target) bool { return now.Sub(t.used) > idleTimeout })
	t, ok := b.targets[name]
	if !ok {
		t = new(target)
		regions := oncePerCollection(collector.Limited(b.find(name, t)))
		probe := shareProbe(b.prober())
		t.set = collector.NewSet(b.log.With("region", name), b.timeout,
			collector.NewAPI(regions, probe, nil, b.lastRead), collector.NewCert(regions, nil, "", probe))
		if b.targets == nil {
			b.targets = map[string]*target{}
		}
		b.targets[name] = t
	}
	t.used = now
	return t
}

// find returns a query for the region of a target.
func (b *probeHandler) find(name string, t *target) func(context.Context) ([]fault.Region, error) {
	return func(ctx context.Context) ([]fault.Region, error) {
		region, ok, err := b.region(ctx, name)
		t.missing.Store(!ok && err == nil)
		if !ok {
			return nil, err
		}
		return []fault.Region{region}, err // a last known region has an error, too
	}
}

// forget removes the counters of a region.
func (b *probeHandler) forget(name string, t *target) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.targets[name] == t {
		delete(b.targets, name)
	}
}

// serveDiscovery serves /sd in the format of Prometheus' HTTP service discovery.
// The address of each target is the name of a region, for relabelling.
func (b *probeHandler) serveDiscovery(w http.ResponseWriter, r *http.Request) {
	type group struct {
		Targets []string          `json:"targets"`
		Labels  map[string]string `json:"labels"`
	}
	ctx, cancel := context.WithTimeout(r.Context(), b.timeout)
	defer cancel()
	names, err := b.names(ctx)
	if err != nil {
		// With an empty list Prometheus would drop the regions; after an error it
		// keeps them.
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	slices.Sort(names)
	groups := make([]group, 0, len(names))
	for _, name := range names {
		groups = append(groups, group{Targets: []string{name}, Labels: map[string]string{"rainbond_region": name}})
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(groups)
}
