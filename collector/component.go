package collector

import (
	"context"
	"sync"

	"github.com/rainbond-exporter/rainbond-exporter/fault"
)

// component looks whether the components of the platform are ready.
type component struct {
	region    string
	workloads func(context.Context) ([]fault.Workload, error)
	pods      func(context.Context) ([]fault.Pod, error)

	mu       sync.Mutex
	restarts map[string]float64        // by component, over all pods there ever were
	last     map[string]map[string]int // restarts by component, then by UID of the pod
}

// NewComponent returns the collector of symptom component for the region of
// that name.
func NewComponent(region string, workloads func(context.Context) ([]fault.Workload, error), pods func(context.Context) ([]fault.Pod, error)) Collector {
	return &component{region: region, workloads: workloads, pods: pods, restarts: map[string]float64{}, last: map[string]map[string]int{}}
}

func (*component) Name() string { return SlugComponent }

func (c *component) Look(ctx context.Context) (Report, error) {
	var r Report
	workloads, err := c.workloads(ctx)
	if err != nil {
		return r, err
	}
	pods, err := c.pods(ctx)
	if err != nil {
		return r, err
	}
	for _, w := range fault.FromWorkloads(workloads, pods) {
		r.set("rainbond_component_desired", float64(w.Desired), c.region, w.Component, w.Kind)
		r.set("rainbond_component_ready", float64(w.Ready), c.region, w.Component, w.Kind)
		for _, reason := range fault.WaitReasons {
			if n := w.Waiting[reason]; n > 0 {
				r.set("rainbond_component_waiting", float64(n), c.region, w.Component, string(reason))
				r.saw(EvidencePod, w.Words[reason], labelRegion, c.region, "component", w.Component, "reason", string(reason))
			}
		}
		r.set("rainbond_component_restarts_total", c.count(w.Component, pods), c.region, w.Component)
	}
	evicted := 0
	for _, p := range pods {
		if p.Evicted {
			evicted++
		}
	}
	r.set("rainbond_pods_evicted", float64(evicted), c.region)
	return r, nil
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
