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

// idle is how long a region that nobody asks for keeps its counters: longer
// than any sensible scrape interval.
const idle = time.Hour

// byRegion looks at one region at a time, so that with many regions
// Prometheus itself spreads and shards the work: /sd lists them, /probe looks
// at one. Each region keeps its counters between looks; a region that is gone,
// or that nobody has asked for in a while, is forgotten.
type byRegion struct {
	names  func(context.Context) ([]string, error)
	region func(ctx context.Context, name string) (fault.Region, bool, error)
	prober func() func(context.Context, fault.Region) fault.Trace // one for each region, and forgotten with it
	// lastRead says when the database that tells the regions last answered;
	// nil where there is none.
	lastRead func() time.Time
	log      *slog.Logger

	mu      sync.Mutex
	watched map[string]*watched
}

// watched is a region that is asked for.
type watched struct {
	set   *collector.Set
	asked time.Time
}

// found is the region of one look, as /probe has found it: so one look asks
// for one region, once.
type found struct {
	region fault.Region
	err    error
}

type foundKey struct{}

// ServeHTTP answers /probe?region=NAME like /metrics, for that region alone.
func (b *byRegion) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name := r.URL.Query().Get("region")
	if name == "" {
		http.Error(w, "expected /probe?region=NAME; /sd lists the names", http.StatusBadRequest)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), scrapeTimeout(r))
	defer cancel()
	region, ok, err := b.region(ctx, name)
	switch {
	case ok: // what is known beside an error counts
		looking := context.WithValue(r.Context(), foundKey{}, found{region, err})
		metrics(b.watch(name).Collect, b.log).ServeHTTP(w, r.WithContext(looking))
	case err != nil:
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
	default:
		b.forget(name)
		http.Error(w, fmt.Sprintf("no region %q; /sd lists the names", name), http.StatusNotFound)
	}
}

// watch returns the collectors of one region.
func (b *byRegion) watch(name string) *collector.Set {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	for old, w := range b.watched {
		if now.Sub(w.asked) > idle {
			delete(b.watched, old)
		}
	}
	w, ok := b.watched[name]
	if !ok {
		probe := oncePerLook(b.prober())
		w = &watched{set: collector.NewSet(b.log.With("region", name), collector.NewAPI(one, probe, nil, b.lastRead), collector.NewCert(one, nil, "", probe))}
		if b.watched == nil {
			b.watched = map[string]*watched{}
		}
		b.watched[name] = w
	}
	w.asked = now
	return w.set
}

// one is the region of this look.
func one(ctx context.Context) ([]fault.Region, error) {
	f := ctx.Value(foundKey{}).(found)
	return []fault.Region{f.region}, f.err
}

func (b *byRegion) forget(name string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.watched, name)
}

// targets answers /sd in the form of Prometheus' HTTP service discovery: one
// target a region, whose address is the region's name, for relabelling.
func (b *byRegion) targets(w http.ResponseWriter, r *http.Request) {
	type group struct {
		Targets []string          `json:"targets"`
		Labels  map[string]string `json:"labels"`
	}
	ctx, cancel := context.WithTimeout(r.Context(), collector.DefaultDeadline)
	defer cancel()
	names, err := b.names(ctx)
	if err != nil {
		// An empty list would make Prometheus forget the regions; an error
		// makes it keep those it knows.
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
