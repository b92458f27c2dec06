package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/rainbond-exporter/rainbond-exporter/collector"
	"github.com/rainbond-exporter/rainbond-exporter/fault"
)

// byRegion looks at one region at a time, so that with many regions
// Prometheus itself spreads and shards the work: /sd lists them, /probe looks
// at one. Each region keeps its counters between looks.
type byRegion struct {
	regions func(context.Context) ([]fault.Region, error)
	probe   func(context.Context, fault.Region) fault.Trace
	log     *slog.Logger

	mu   sync.Mutex
	sets map[string]*collector.Set

	reading sync.Mutex // held while the regions are read, so that many probes share one reading
	read    time.Time
	named   map[string]fault.Region
	err     error
}

// readingLasts is how long one reading of all regions serves the probes of
// each: with a thousand regions, a thousand probes would otherwise read a
// thousand regions each.
const readingLasts = 5 * time.Second

// ServeHTTP answers /probe?region=NAME like /metrics, for that region alone.
func (b *byRegion) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name := r.URL.Query().Get("region")
	if name == "" {
		http.Error(w, "expected /probe?region=NAME; /sd lists the names", http.StatusBadRequest)
		return
	}
	regions, err := b.known(r.Context())
	if len(regions) == 0 && err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	if _, ok := regions[name]; !ok {
		http.Error(w, fmt.Sprintf("no region %q; /sd lists the names", name), http.StatusNotFound)
		return
	}
	metrics(b.set(name, regions).Look, b.log).ServeHTTP(w, r)
}

// known returns the regions by name; what is known beside an error counts.
func (b *byRegion) known(ctx context.Context) (map[string]fault.Region, error) {
	b.reading.Lock()
	defer b.reading.Unlock()
	if time.Since(b.read) < readingLasts {
		return b.named, b.err
	}
	ctx, cancel := context.WithTimeout(ctx, collector.DefaultDeadline)
	defer cancel()
	all, err := b.regions(ctx)
	named := make(map[string]fault.Region, len(all))
	for _, r := range all {
		named[r.Name] = r
	}
	b.read, b.named, b.err = time.Now(), named, err
	return named, err
}

// set returns the collectors of one region, and forgets those of regions that
// are gone.
func (b *byRegion) set(name string, known map[string]fault.Region) *collector.Set {
	b.mu.Lock()
	defer b.mu.Unlock()
	for old := range b.sets {
		if _, ok := known[old]; !ok {
			delete(b.sets, old)
		}
	}
	if set, ok := b.sets[name]; ok {
		return set
	}
	one := func(ctx context.Context) ([]fault.Region, error) {
		regions, err := b.known(ctx)
		if r, ok := regions[name]; ok {
			return []fault.Region{r}, err
		}
		return nil, err
	}
	set := collector.NewSet(b.log, collector.NewAPI(one, b.probe, nil, nil), collector.NewCert(one, nil, "", b.probe))
	b.sets[name] = set
	return set
}

// targets answers /sd in the form of Prometheus' HTTP service discovery: one
// target a region, whose address is the region's name, for relabelling.
func (b *byRegion) targets(w http.ResponseWriter, r *http.Request) {
	type group struct {
		Targets []string          `json:"targets"`
		Labels  map[string]string `json:"labels"`
	}
	regions, err := b.known(r.Context())
	if err != nil {
		// An empty list would make Prometheus forget the regions; an error
		// makes it keep those it knows.
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	groups := make([]group, 0, len(regions))
	for name := range regions {
		groups = append(groups, group{Targets: []string{name}, Labels: map[string]string{"rainbond_region": name}})
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(groups)
}
