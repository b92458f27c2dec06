package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"sync"
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
	log      *slog.Logger

	mu      sync.Mutex
	targets map[string]*target
}

// A target is a region that /probe has collected.
type target struct {
	set  *collector.Set
	used time.Time
}

// found is the region of one collection, as /probe has read it.
type found struct {
	region fault.Region
	err    error
}

type foundKey struct{}

// ServeHTTP serves /probe?region=NAME: the metrics of that region.
func (b *probeHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name := r.URL.Query().Get("region")
	if name == "" {
		http.Error(w, "expected /probe?region=NAME; /sd lists the names", http.StatusBadRequest)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), scrapeTimeout(r))
	defer cancel()
	region, ok, err := b.region(ctx, name)
	switch {
	case ok: // a last known region has an error, too
		withRegion := context.WithValue(r.Context(), foundKey{}, found{region, err})
		metrics(b.target(name).Collect, b.log).ServeHTTP(w, r.WithContext(withRegion))
	case err != nil:
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
	default:
		b.forget(name)
		http.Error(w, fmt.Sprintf("no region %q; /sd lists the names", name), http.StatusNotFound)
	}
}

// target returns the collectors of one region.
func (b *probeHandler) target(name string) *collector.Set {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	for old, w := range b.targets {
		if now.Sub(w.used) > idleTimeout {
			delete(b.targets, old)
		}
	}
	w, ok := b.targets[name]
	if !ok {
		probe := shareProbe(b.prober())
		w = &target{set: collector.NewSet(b.log.With("region", name), collector.NewAPI(foundRegion, probe, nil, b.lastRead), collector.NewCert(foundRegion, nil, "", probe))}
		if b.targets == nil {
			b.targets = map[string]*target{}
		}
		b.targets[name] = w
	}
	w.used = now
	return w.set
}

// foundRegion returns the region of this collection.
func foundRegion(ctx context.Context) ([]fault.Region, error) {
	f := ctx.Value(foundKey{}).(found)
	return []fault.Region{f.region}, f.err
}

// forget removes the counters of a region.
func (b *probeHandler) forget(name string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.targets, name)
}

// serveDiscovery serves /sd in the format of Prometheus' HTTP service discovery.
// The address of each target is the name of a region, for relabelling.
func (b *probeHandler) serveDiscovery(w http.ResponseWriter, r *http.Request) {
	type group struct {
		Targets []string          `json:"targets"`
		Labels  map[string]string `json:"labels"`
	}
	ctx, cancel := context.WithTimeout(r.Context(), collector.DefaultDeadline)
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
