package collector

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/rainbond-exporter/rainbond-exporter/fault"
)

// Components is where the component collector gets what it looks at.
type Components struct {
	Workloads func(context.Context) ([]fault.Workload, error)
	Pods      func(context.Context) ([]fault.Pod, error)
	// Told is what the operator has been told to run; nil is nothing known.
	Told func(context.Context) (fault.Platform, error)
	// FailedMounts are the kubelets' words about volumes, by pod UID; nil is
	// nobody to ask. It is asked only while a pod may be waiting for one.
	FailedMounts func(context.Context) (map[string]string, error)
	// Monitor is what the console shows of the components; false is not known.
	// Nil is nobody to ask.
	Monitor func(context.Context) (fault.Monitor, bool)
}

// component looks whether the components of the platform are ready, and what
// the console shows of them.
type component struct {
	region string
	Components

	mu       sync.Mutex
	restarts map[string]float64        // by component, over all pods there ever were
	last     map[string]map[string]int // restarts by component, then by UID of the pod
}

// NewComponent returns the collector of symptom component for the region of
// that name.
func NewComponent(region string, from Components) Collector {
	return &component{region: region, Components: from, restarts: map[string]float64{}, last: map[string]map[string]int{}}
}

func (*component) Name() string { return SlugComponent }

func (c *component) Collect(ctx context.Context) (Report, error) {
	var r Report
	// Both parts are looked at, whatever becomes of the other: a Kubernetes API
	// that is silent leaves half of the time to the region's.
	kube, cancel := half(ctx)
	defer cancel()
	err := c.lookAtPods(kube, &r)
	c.lookAtConsole(ctx, &r)
	return r, err
}

// half ends after half of the time that ctx has left.
func half(ctx context.Context) (context.Context, context.CancelFunc) {
	deadline, ok := ctx.Deadline()
	if !ok {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, time.Until(deadline)/2)
}

// lookAtPods tells of every workload or of none: to the rules, an rbd-api that
// is not told beside others is one that is not there.
func (c *component) lookAtPods(ctx context.Context, r *Report) error {
	workloads, err := c.Workloads(ctx)
	if err != nil {
		return err
	}
	pods, err := c.Pods(ctx)
	if err != nil {
		return err
	}
	errMounts := c.mounts(ctx, pods)
	var told fault.Platform
	var errTold error
	if c.Told != nil {
		told, errTold = c.Told(ctx)
	}
	for _, w := range fault.FromWorkloads(workloads, pods, told.Expected()) {
		r.addSample("rainbond_component_desired", float64(w.Desired), c.region, w.Component, w.Kind)
		r.addSample("rainbond_component_ready", float64(w.Ready), c.region, w.Component, w.Kind)
		for _, reason := range fault.WaitReasons {
			if n := w.Waiting[reason]; n > 0 {
				r.addSample("rainbond_component_waiting", float64(n), c.region, w.Component, string(reason))
				r.addEvidence(EvidencePod, w.Messages[reason], labelRegion, c.region, "component", w.Component, "reason", string(reason))
			}
		}
		r.addSample("rainbond_component_restarts_total", c.count(w.Component, pods), c.region, w.Component)
	}
	evicted := 0
	for _, p := range pods {
		if p.Evicted {
			evicted++
		}
	}
	r.addSample("rainbond_pods_evicted", float64(evicted), c.region)
	return errors.Join(errMounts, errTold)
}

// mounts notes at the pods what their kubelets said of volumes.
func (c *component) mounts(ctx context.Context, pods []fault.Pod) error {
	if c.FailedMounts == nil || !slices.ContainsFunc(pods, fault.Pod.Mounting) {
		return nil
	}
	said, err := c.FailedMounts(ctx)
	for i := range pods {
		pods[i].Mount = said[pods[i].UID]
	}
	return err
}

// lookAtConsole tells what the console shows. That it is not known is no
// failure: the region's API has alerts of its own.
func (c *component) lookAtConsole(ctx context.Context, r *Report) {
	if c.Monitor == nil {
		return
	}
	m, known := c.Monitor(ctx)
	if !known {
		return
	}
	r.addSample("rainbond_monitor_up", flag(m.Up), c.region)
	if !m.Up {
		return
	}
	if !m.LastScrape.IsZero() {
		r.addSample("rainbond_monitor_last_scrape_timestamp_seconds", float64(m.LastScrape.UnixMilli())/1000, c.region)
	}
	for _, alarm := range fault.Alarms {
		i := slices.IndexFunc(m.Shown, func(s fault.ShownAlarm) bool { return s.Name == alarm.Name })
		r.addSample("rainbond_component_alarm_firing", flag(i >= 0), c.region, alarm.Component, alarm.Name)
		if i >= 0 {
			shown := m.Shown[i]
			r.addEvidence(EvidenceAlarm, fmt.Sprintf("%s, %s since %s", shown.Name, shown.State, shown.Since.UTC().Format(time.RFC3339)),
				labelRegion, c.region, "component", alarm.Component, "alarm", alarm.Name)
		}
	}
}

// count adds the restarts that a component's pods have had since the last
// look. A new pod brings its own; one that is gone takes none away.
func (c *component) count(name string, pods []fault.Pod) float64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := map[string]int{}
	for _, p := range pods {
		if p.Component != name || p.OwnerKind == "Job" {
			continue
		}
		for _, container := range p.Containers {
			now[p.UID] += container.Restarts
		}
		c.restarts[name] += float64(max(0, now[p.UID]-c.last[name][p.UID]))
	}
	c.last[name] = now
	return c.restarts[name]
}
