package collector

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rainbond-exporter/rainbond-exporter/fault"
)

// api looks whether the console can reach the API of each region.
type api struct {
	regions func(context.Context) ([]fault.Region, error)
	probe   func(context.Context, fault.Region) fault.Trace
	inside  *Cluster
	// lastRead is when the database that tells the regions last answered.
	lastRead func() time.Time

	mu    sync.Mutex
	known map[string]*tally // by region: those that have series
}

// A tally is what is counted of one region. It is kept between looks, for each
// of very many regions, so it is kept small: a counter for each pair of phase
// and reason would weigh more than the region's certificates and keys.
type tally struct {
	probes   float64
	failures map[fault.Failure]float64 // those that have occurred
	duration prometheus.Histogram
}

func newTally(region string) *tally {
	duration := Describe("rainbond_api_probe_duration_seconds")
	return &tally{duration: prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: duration.Name, Help: duration.Help, ConstLabels: prometheus.Labels{labelRegion: region},
		// Around 1 s, the console's own limit, and 30 s, its read timeout.
		Buckets:                         []float64{.025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
		NativeHistogramBucketFactor:     1.1,
		NativeHistogramMaxBucketNumber:  100,
		NativeHistogramMinResetDuration: 0,
	})}
}

// tell tells what has been counted: every pair of phase and reason, from 0.
func (c *tally) tell(r *Report, region string) {
	r.addSample("rainbond_api_probes_total", c.probes, region)
	for _, f := range fault.Failures {
		r.addSample("rainbond_api_probe_failures_total", c.failures[f], region, string(f.Phase), string(f.Reason))
	}
	r.Metrics = append(r.Metrics, c.duration)
}

// Cluster is the cluster we are in, of which more can be said than the console
// sees from outside.
type Cluster struct {
	Region    string // whose cluster it is
	DirectURL string // where rbd-api answers past the gateway
	Nodes     func(context.Context) ([]fault.Node, error)
}

// probesAtOnce bounds the probes under way: each holds a socket and, for a
// moment, a core.
const probesAtOnce = 64

// NewAPI returns the collector of symptom api. It probes every region that
// regions tells, many at once. Cluster, which may be nil, is asked for more
// when the probe of its region fails. LastRead, which may be nil or say never,
// is when the database that tells the regions last answered.
func NewAPI(regions func(context.Context) ([]fault.Region, error), probe func(context.Context, fault.Region) fault.Trace,
	inside *Cluster, lastRead func() time.Time,
) Collector {
	return &api{regions: regions, probe: probe, inside: inside, lastRead: lastRead, known: map[string]*tally{}}
}

func (a *api) Name() string { return SlugAPI }

func (a *api) Collect(ctx context.Context) (Report, error) {
	regions, err := a.regions(ctx)
	var r Report
	traces, late := probeAll(ctx, regions, a.probe)
	for i, t := range traces {
		if t != nil {
			a.tell(&r, regions[i], *t)
			a.lookInside(ctx, &r, regions[i], *t)
		}
	}
	if err == nil {
		a.forget(regions)
	}
	if a.lastRead != nil {
		if at := a.lastRead(); !at.IsZero() {
			r.addSample("rainbond_regions_last_read_timestamp_seconds", float64(at.UnixMilli())/1000)
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(a.known)) {
		a.known[name].tell(&r, name)
	}
	return r, errors.Join(err, late)
}

// probeShare is the part of the time left that the console's way gets, so that
// after a silence there is still time to ask past the gateway.
const probeShare = 0.8

// probeAll asks all regions, many at once, and returns the traces in order.
// Who had to wait for a turn until there was too little time left, or was cut
// off by its end, has none, and the error says so: we could not look, and
// silence would mean nothing.
func probeAll(ctx context.Context, regions []fault.Region, probe func(context.Context, fault.Region) fault.Trace) ([]*fault.Trace, error) {
	if deadline, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Duration(probeShare*float64(time.Until(deadline))))
		defer cancel()
	}
	traces := make([]*fault.Trace, len(regions))
	places := make(chan struct{}, probesAtOnce)
	var wait sync.WaitGroup
	var late atomic.Bool
	for i, region := range regions {
		places <- struct{}{}
		waited := i >= probesAtOnce
		if waited && left(ctx) < answerTime {
			late.Store(true)
			break
		}
		wait.Go(func() {
			defer func() { <-places }()
			trace := probe(ctx, region)
			if waited && ctx.Err() != nil {
				late.Store(true)
				return
			}
			traces[i] = &trace
		})
	}
	wait.Wait()
	if late.Load() {
		return traces, fmt.Errorf("the time was over before all %d regions had been asked; give the scrape more, or let each region be a target of its own", len(regions))
	}
	return traces, nil
}

// tell turns one trace into samples, counts and evidence.
func (a *api) tell(r *Report, region fault.Region, t fault.Trace) {
	name := region.Name
	failure, failed := fault.FromTrace(t)
	// A region that is not ready has answered /v2/show all the same.
	r.addSample("rainbond_api_up", flag(!failed || failure.Reason == fault.NotReady), name)
	a.count(name, failure, failed, t)
	for _, f := range fault.Failures {
		r.addSample("rainbond_api_probe_failed", flag(failed && f == failure), name, string(f.Phase), string(f.Reason))
	}
	for _, phase := range fault.Phases {
		took, ran := t.Durations[phase]
		if ran && (!failed || phase != failure.Phase || failure.Reason == fault.NotReady) {
			r.addSample("rainbond_api_probe_phase_seconds", took.Seconds(), name, string(phase))
		}
	}
	for check, ok := range t.Ready {
		r.addSample("rainbond_api_ready", flag(ok), name, check)
	}
	a.explain(r, name, failure, failed, t)
}

func (a *api) count(name string, failure fault.Failure, failed bool, t fault.Trace) {
	a.mu.Lock()
	defer a.mu.Unlock()
	c, ok := a.known[name]
	if !ok {
		c = newTally(name)
		a.known[name] = c
	}
	c.probes++
	c.duration.Observe(t.Took.Seconds())
	if failed {
		if c.failures == nil {
			c.failures = map[fault.Failure]float64{}
		}
		c.failures[failure]++
	}
}

// lookInside adds what only the cluster itself can say of its region when the
// way of the console fails: whether rbd-api answers past the gateway, and
// whether the address belongs to one of its nodes at all.
func (a *api) lookInside(ctx context.Context, r *Report, region fault.Region, t fault.Trace) {
	failure, failed := fault.FromTrace(t)
	if !failed || a.inside == nil || a.inside.Region != region.Name {
		return
	}
	if region.URL != a.inside.DirectURL && left(ctx) >= answerTime {
		direct := region
		direct.URL = a.inside.DirectURL
		a.tellPast(r, direct, a.probe(ctx, direct))
	}
	if failure.Phase != fault.Connect {
		return
	}
	nodes, err := a.inside.Nodes(ctx)
	if err != nil {
		return // the collectors that need the nodes say so
	}
	address, gone := fault.AddressWithoutNode(region.URL, nodes)
	r.addSample("rainbond_api_address_without_node", flag(gone), region.Name)
	if gone {
		r.addEvidence(EvidenceNode, address+" is the address of no node; theirs are "+fault.Addresses(nodes), labelRegion, region.Name)
	}
}

// answerTime is what an answer may take: the console allows /v2/show as much.
// With less left, silence would mean nothing.
const answerTime = time.Second

// left is the time until ctx ends.
func left(ctx context.Context) time.Duration {
	if deadline, ok := ctx.Deadline(); ok {
		return time.Until(deadline)
	}
	return answerTime
}

func (a *api) tellPast(r *Report, direct fault.Region, t fault.Trace) {
	answers, known := fault.AnswersDirectly(t)
	if !known {
		return
	}
	r.addSample("rainbond_api_direct_up", flag(answers), direct.Name)
	text := direct.URL + ": rbd-api answers"
	if !answers {
		text = direct.URL + ": " + answer(t)
		if t.Err != nil {
			text = t.Err.Error()
		}
	}
	r.addEvidence(EvidenceDirect, text, labelRegion, direct.Name)
}

func (a *api) explain(r *Report, name string, f fault.Failure, failed bool, t fault.Trace) {
	about := []string{labelRegion, name}
	if failed {
		about = append(about, "phase", string(f.Phase), "reason", string(f.Reason))
		if f.Reason == fault.ClientNotRequested {
			r.addEvidence(EvidenceError, "no client certificate was asked for", about...)
		}
		for _, err := range []error{t.Err, t.Distrust} {
			if err != nil {
				r.addEvidence(EvidenceError, strings.ReplaceAll(err.Error(), "\n", "; "), about...)
			}
		}
		if t.Err == nil && t.Status != 0 {
			r.addEvidence(EvidenceAnswer, answer(t), about...)
		}
	}
	where := t.URL
	if t.Address != "" {
		where += " (" + t.Address + ")"
	}
	for _, err := range t.FailedAddresses {
		where += "; before it " + err.Error()
	}
	r.addEvidence(EvidenceAddress, where, about...)
	if len(t.Durations) > 0 {
		r.addEvidence(EvidenceLatency, latency(t), about...)
	}
}

func answer(t fault.Trace) string {
	const shown = 120
	text := fmt.Sprintf("HTTP %d", t.Status)
	if body := strings.TrimSpace(strings.ToValidUTF8(string(t.Body[:min(len(t.Body), shown)]), "\uFFFD")); body != "" {
		text += ": " + body
	}
	if t.Ready != nil && !t.Ready[fault.AllChecks] {
		text += "; /v2/cluster/ready: HTTP 503"
	}
	return text
}

// latency tells the phases that ran, in their order.
func latency(t fault.Trace) string {
	var parts []string
	for _, phase := range fault.Phases {
		if took, ran := t.Durations[phase]; ran {
			parts = append(parts, fmt.Sprintf("%s %.0f ms", phase, 1000*took.Seconds()))
		}
	}
	return strings.Join(parts, ", ")
}

// forget ends the series of regions that are gone.
func (a *api) forget(regions []fault.Region) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := map[string]bool{}
	for _, region := range regions {
		now[region.Name] = true
	}
	maps.DeleteFunc(a.known, func(name string, _ *tally) bool { return !now[name] })
}
