package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/common/expfmt"

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

	mu     sync.Mutex // guards the rest: the last probe, while debug requests are active
	debug  int
	region fault.Region
	trace  fault.Trace
	at     time.Time
}

// ServeHTTP serves /probe?region=NAME: the metrics of that region. With
// debug=true it serves the details of the probe as text.
func (b *probeHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name := r.URL.Query().Get("region")
	if name == "" {
		http.Error(w, "expected /probe?region=NAME; /sd lists the names", http.StatusBadRequest)
		return
	}
	t := b.target(name)
	ctx, cancel := context.WithTimeout(r.Context(), scrapeTimeout(r, b.timeout))
	defer cancel()
	debug := r.URL.Query().Get("debug") == "true"
	if debug {
		defer t.keepDetails()()
	}
	snapshot := t.set.Collect(ctx)
	if debug && !t.hasDetails() && ctx.Err() == nil { // it has joined a collection that was running
		snapshot = t.set.Collect(ctx)
	}
	if t.missing.Load() {
		b.forget(name, t)
		http.Error(w, fmt.Sprintf("no region %q; /sd lists the names", name), http.StatusNotFound)
		return
	}
	if debug {
		t.writeDebug(w, snapshot)
		return
	}
	writeMetrics(w, r, b.log, snapshot)
}

// writeDebug writes the details of a probe, the last failed probes, the metrics
// and the configuration of the region, without secrets, as blackbox_exporter.
func (t *target) writeDebug(w http.ResponseWriter, snapshot collector.Snapshot) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	t.mu.Lock()
	region, trace, at := t.region, t.trace, t.at
	t.mu.Unlock()
	fmt.Fprintln(w, "Details of the last probe:")
	if at.IsZero() {
		fmt.Fprintln(w, "no probe has finished")
	} else {
		fmt.Fprintln(w, "time:", at.UTC().Format(time.RFC3339Nano))
		for _, line := range trace.Details(region) {
			fmt.Fprintln(w, line)
		}
	}
	for _, o := range snapshot.Outcomes {
		if o.Err != nil {
			fmt.Fprintf(w, "collector %s: %s\n", o.Collector, strings.ReplaceAll(o.Err.Error(), "\n", "; "))
		}
	}
	fmt.Fprint(w, "\nLast failed probes:\n")
	for _, failed := range snapshot.FailedProbes() {
		for _, p := range failed.Probes {
			fmt.Fprintf(w, "%s %s/%s: %s\n", p.Time.UTC().Format(time.RFC3339), p.Phase, p.Reason, p.Error)
		}
	}
	fmt.Fprint(w, "\nMetrics that would have been returned:\n")
	families, err := snapshot.Gather()
	for _, family := range families {
		_, _ = expfmt.MetricFamilyToText(w, family)
	}
	if err != nil {
		fmt.Fprintln(w, err)
	}
	fmt.Fprint(w, "\nConfiguration of the region:\n")
	if region.Name != "" {
		for _, line := range [][2]string{
			{"name", region.Name}, {"url", trace.URL}, {"server_name", cmp.Or(region.ServerName, fault.DefaultServerName)}, {"place", string(region.Place)},
			{"route", string(cmp.Or(region.Route, fault.RouteConsole))}, {"ca", length(region.CA)}, {"certificate", length(region.Cert)},
			{"key", length(region.Key)}, {"token", length(region.Token)},
		} {
			fmt.Fprintf(w, "%s: %q\n", line[0], line[1])
		}
	}
}

// length describes a text that may be a secret: a user may have put a key in
// place of a certificate.
func length[T ~[]byte](text T) string {
	if len(text) == 0 {
		return "none"
	}
	return fmt.Sprintf("<redacted, %d bytes>", len(text))
}

// record returns probe, and remembers its last trace for writeDebug.
func (t *target) record(probe func(context.Context, fault.Region) fault.Trace) func(context.Context, fault.Region) fault.Trace {
	return func(ctx context.Context, r fault.Region) fault.Trace {
		trace := probe(ctx, r)
		t.mu.Lock()
		defer t.mu.Unlock()
		if t.debug > 0 {
			t.region, t.trace, t.at = r, trace, time.Now()
		}
		return trace
	}
}

// keepDetails keeps the details of probes until the returned function is called,
// and no longer, because they contain the region's keys.
func (t *target) keepDetails() func() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.debug++
	return func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		if t.debug--; t.debug == 0 {
			t.region, t.trace, t.at = fault.Region{}, fault.Trace{}, time.Time{}
		}
	}
}

func (t *target) hasDetails() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return !t.at.IsZero()
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
		probe := shareProbe(t.record(b.prober()))
		t.set = collector.NewSet(b.log.With("region", name), b.timeout,
			collector.NewAPI(regions, probe, nil, b.lastRead, collector.LogFailedProbes(b.log)), collector.NewCert(regions, nil, nil, "", probe))
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
