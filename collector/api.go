package collector

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rainbond-exporter/rainbond-exporter/fault"
)

// api probes the API of each region as the console does.
type api struct {
	regions func(context.Context) ([]fault.Region, error)
	probe   func(context.Context, fault.Region) fault.Trace
	cluster *Cluster
	// lastRead returns when the database with the regions last answered.
	lastRead func() time.Time
	log      *slog.Logger
	history  fault.History

	mu    sync.Mutex
	known map[string]*tally // by region: those that have series
}

// A tally holds the counters of one region between collections. It is small,
// because there may be thousands of regions: a counter for each pair of phase
// and reason would be larger than the region's certificates and keys.
type tally struct {
	probes   float64
	failures map[fault.Failure]float64 // only failures that have occurred
	inARow   float64                   // failures since the last success or the start
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

// export adds the counters, with every pair of phase and reason from 0.
func (c *tally) export(r *Report, region string) {
	r.addSample("rainbond_api_probes_total", c.probes, region)
	for _, f := range fault.Failures {
		r.addSample("rainbond_api_probe_failures_total", c.failures[f], region, string(f.Phase), string(f.Reason))
	}
	r.addSample(ConsecutiveFailures, c.inARow, region)
	r.Metrics = append(r.Metrics, c.duration)
}

// Cluster is the cluster in which the exporter runs. It provides data about its
// region that the console does not have.
type Cluster struct {
	Region    string // the name of its region
	DirectURL string // URL of rbd-api that bypasses the gateway
	Nodes     func(context.Context) ([]fault.Node, error)
}

// maxConcurrentProbes limits the concurrent probes. Each uses a socket and, for
// a moment, a core.
const maxConcurrentProbes = 64

// NewAPI returns the collector of symptom api. It probes all regions
// concurrently. If the probe of the region of cluster fails, it inspects the
// cluster too; cluster may be nil. Function lastRead returns when the database
// with the regions last answered; it may be nil or return the zero time.
func NewAPI(regions func(context.Context) ([]fault.Region, error), probe func(context.Context, fault.Region) fault.Trace,
	cluster *Cluster, lastRead func() time.Time, options ...APIOption,
) Collector {
	a := &api{regions: regions, probe: probe, cluster: cluster, lastRead: lastRead, log: slog.New(slog.DiscardHandler), known: map[string]*tally{}}
	for _, option := range options {
		option(a)
	}
	return a
}

// An APIOption is an option of NewAPI.
type APIOption func(*api)

// LogFailedProbes logs failed probes: the first, one of another kind, and the
// same kind with increasing intervals.
func LogFailedProbes(log *slog.Logger) APIOption { return func(a *api) { a.log = log } }

func (a *api) Name() string { return SlugAPI }

func (a *api) Collect(ctx context.Context) (Report, error) { return collectParts(ctx, a) }

// stream publishes a part for each region.
func (a *api) stream(ctx context.Context, publish func(part string, r Report)) error {
	all, err := a.regions(ctx)
	regions, errNames := distinct(all)
	if err == nil {
		a.forget(regions)
	}
	errProbes := probeAll(ctx, regions, a.recordedProbe, func(region fault.Region, t *fault.Trace) {
		var r Report
		if t != nil {
			a.export(&r, region, *t)
			a.collectDirect(ctx, &r, region, *t)
		}
		a.exportCounters(&r, region.Name)
		if failed := a.history.Failed(region.Name); len(failed) > 0 {
			r.FailedProbes = []FailedProbes{{region.Name, failed}}
		}
		publish(partRegion+region.Name, r)
	})
	var r Report
	if a.lastRead != nil {
		if at := a.lastRead(); !at.IsZero() {
			r.addSample("rainbond_regions_last_read_timestamp_seconds", float64(at.UnixMilli())/1000)
		}
	}
	publish("", r)
	if err != nil {
		a.publishCounters(regions, publish)
	}
	return errors.Join(err, errNames, errProbes)
}

// recordedProbe probes a region and records the trace in the history.
func (a *api) recordedProbe(ctx context.Context, region fault.Region) fault.Trace {
	t := a.probe(ctx, region)
	if entry, log := a.history.Add(region, t, time.Now()); log {
		message := "probe failed"
		if entry.Unknown {
			message = "probe without a result"
		}
		a.log.Warn(message, "region", region.Name, "phase", entry.Phase, "reason", entry.Reason, "err", entry.Error)
	}
	return t
}

// partRegion is the prefix of the name of a region's part of a report.
const partRegion = "region "

// exportCounters adds the counters of a region, if it has any.
func (a *api) exportCounters(r *Report, region string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if c, ok := a.known[region]; ok {
		c.export(r, region)
	}
}

// publishCounters publishes the counters of the regions that the source of
// regions did not return because of an error.
func (a *api) publishCounters(returned []fault.Region, publish func(part string, r Report)) {
	names := map[string]bool{}
	for _, region := range returned {
		names[region.Name] = true
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for name, c := range a.known {
		if !names[name] {
			var r Report
			c.export(&r, name)
			publish(partRegion+name, r)
		}
	}
}

// distinct returns the regions without those whose name, as a label value,
// another region has. The error names them.
func distinct(regions []fault.Region) ([]fault.Region, error) {
	names := make(map[string]bool, len(regions))
	unique := make([]fault.Region, 0, len(regions))
	var errs []error
	for _, region := range regions {
		region.Name = strings.ToValidUTF8(region.Name, "\uFFFD")
		if names[region.Name] {
			errs = append(errs, fmt.Errorf("region %q: another region has this name; expected unique names; only the first is probed", region.Name))
			continue
		}
		names[region.Name] = true
		unique = append(unique, region)
	}
	return unique, firstErrors(errs)
}

// probeShare is the part of the remaining time for the probes over the console's
// route. The rest is for a direct probe after a timeout.
const probeShare = 0.86

// probeAll probes all regions concurrently and calls result for each, also
// concurrently. The trace is nil if the region's state is unknown, and the error
// reports it: the probe did not start in time, was interrupted after waiting for
// others, did not get its full limits, or panicked.
func probeAll(ctx context.Context, regions []fault.Region, probe func(context.Context, fault.Region) fault.Trace, result func(fault.Region, *fault.Trace)) error {
	if deadline, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Duration(probeShare*float64(time.Until(deadline))))
		defer cancel()
	}
	places := make(chan struct{}, maxConcurrentProbes)
	var wait sync.WaitGroup
	var late atomic.Bool
	unknown := make([]error, len(regions))
	for i, region := range regions {
		places <- struct{}{}
		waited := i >= maxConcurrentProbes
		if waited && remaining(ctx) < answerTime {
			<-places
			late.Store(true)
			unknown[i] = safely(func() error { result(region, nil); return nil })
			continue
		}
		wait.Go(func() {
			defer func() { <-places }()
			unknown[i] = safely(func() error {
				var trace *fault.Trace
				err := safely(func() error {
					t := probe(ctx, region)
					switch {
					case waited && ctx.Err() != nil:
						late.Store(true)
					case t.Unknown != nil:
						return fmt.Errorf("region %s: %w", region.Name, t.Unknown)
					default:
						trace = &t
					}
					return nil
				})
				result(region, trace)
				return err
			})
		})
	}
	wait.Wait()
	var errLate error
	if late.Load() {
		errLate = fmt.Errorf("timeout before all %d regions were probed; raise the timeout, or use /probe with one target per region", len(regions))
	}
	return errors.Join(errLate, firstErrors(unknown))
}

// firstErrors joins the first few errors and counts the others.
func firstErrors(errs []error) error {
	const shown = 3
	errs = slices.DeleteFunc(errs, func(err error) bool { return err == nil })
	if more := len(errs) - shown; more > 0 {
		errs = append(errs[:shown], fmt.Errorf("and %d more", more))
	}
	return errors.Join(errs...)
}

// export adds the samples, counters and evidence of one trace.
func (a *api) export(r *Report, region fault.Region, t fault.Trace) {
	name := region.Name
	failure, failed := fault.FromTrace(t)
	// A region that is not ready has answered /v2/show.
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
	if t.SkewKnown {
		r.addSample("rainbond_api_clock_skew_seconds", t.ClockSkew.Seconds(), name)
	}
	for check, ok := range t.Ready {
		r.addSample("rainbond_api_ready", flag(ok), name, check)
	}
	r.addSample("rainbond_api_route_info", 1, name, string(cmp.Or(region.Route, fault.RouteConsole)), t.URL)
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
		c.inARow++
	} else {
		c.inARow = 0
	}
}

// collectDirect adds data from inside the cluster if the console's route fails:
// whether rbd-api answers directly, and whether a node has the address. If
// rbd-api itself reports that it is not ready, the route works, and a direct
// probe adds nothing: while the Kubernetes API is frozen, that answer takes
// 5 s, and the direct probe ends before it.
func (a *api) collectDirect(ctx context.Context, r *Report, region fault.Region, t fault.Trace) {
	failure, failed := fault.FromTrace(t)
	if !failed || failure.Reason == fault.NotReady || a.cluster == nil || a.cluster.Region != region.Name {
		return
	}
	if region.URL != a.cluster.DirectURL && remaining(ctx) >= answerTime {
		direct := region
		direct.URL = a.cluster.DirectURL
		a.exportDirect(r, direct, a.probe(ctx, direct))
	}
	if failure.Phase != fault.Connect {
		return
	}
	nodes, err := a.cluster.Nodes(ctx)
	if err != nil {
		return // the collectors that need the nodes report it
	}
	address, gone := fault.AddressWithoutNode(region.URL, nodes)
	r.addSample("rainbond_api_address_without_node", flag(gone), region.Name)
	if gone {
		have := fault.Addresses(nodes)
		r.addTranslated(EvidenceNode, "no node has the address "+address+"; the nodes have "+have, "没有节点使用地址 "+address+"；各节点的地址为 "+have, labelRegion, region.Name)
	}
}

// answerTime is the console's time limit for the answer of /v2/show. A timeout
// after less than that is no evidence.
const answerTime = time.Second

// remaining returns the time until ctx ends.
func remaining(ctx context.Context) time.Duration {
	if deadline, ok := ctx.Deadline(); ok {
		return time.Until(deadline)
	}
	return answerTime
}

// exportDirect adds the result of a probe that bypasses the gateway.
func (a *api) exportDirect(r *Report, direct fault.Region, t fault.Trace) {
	answers, known := fault.AnswersDirectly(t)
	if !known {
		return
	}
	r.addSample("rainbond_api_direct_up", flag(answers), direct.Name)
	text, textZH := direct.URL+": rbd-api answers", direct.URL+"：rbd-api 有响应"
	if !answers {
		textZH = "" // the text of another program
		text = direct.URL + ": " + answer(t)
		if t.Err != nil {
			text = t.Err.Error()
		}
	}
	r.addTranslated(EvidenceDirect, text, textZH, labelRegion, direct.Name)
}

func (a *api) explain(r *Report, name string, f fault.Failure, failed bool, t fault.Trace) {
	about := []string{labelRegion, name}
	if failed {
		about = append(about, "phase", string(f.Phase), "reason", string(f.Reason))
		if f.Reason == fault.ClientNotRequested {
			r.addTranslated(EvidenceError, "the server did not request a client certificate", "服务端没有要求客户端证书", about...)
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
	whereZH := where
	for _, err := range t.FailedAddresses {
		where += "; before that " + err.Error()
		whereZH += "；此前 " + err.Error()
	}
	r.addTranslated(EvidenceAddress, where, whereZH, about...)
	if len(t.Durations) > 0 {
		r.addTranslated(EvidenceLatency, latency(t, phaseEN, ", "), latency(t, phaseZH, "，"), about...)
		r.began(time.Now()) // the probes before are unknown
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

func phaseEN(p fault.Phase) string { return string(p) }

func phaseZH(p fault.Phase) string {
	return map[fault.Phase]string{
		fault.Resolve: "域名解析", fault.Connect: "连接", fault.TLS: "TLS 握手", fault.Processing: "处理", fault.Transfer: "传输",
	}[p]
}

// latency returns the durations of the phases that ran, in order.
func latency(t fault.Trace, name func(fault.Phase) string, separator string) string {
	var parts []string
	for _, phase := range fault.Phases {
		if took, ran := t.Durations[phase]; ran {
			parts = append(parts, fmt.Sprintf("%s %.0f ms", name(phase), 1000*took.Seconds()))
		}
	}
	return strings.Join(parts, separator)
}

// forget removes the counters of regions that no longer exist.
func (a *api) forget(regions []fault.Region) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := map[string]bool{}
	for _, region := range regions {
		now[region.Name] = true
	}
	a.history.Keep(regions)
	maps.DeleteFunc(a.known, func(name string, _ *tally) bool { return !now[name] })
}
