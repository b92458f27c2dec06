package collector

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/rainbond-exporter/rainbond-exporter/fault"
)

// Components holds the data sources of the collector of symptom component.
type Components struct {
	Workloads func(context.Context) ([]fault.Workload, error)
	Pods      func(context.Context) ([]fault.Pod, error)
	// Nodes returns all nodes. It may be nil.
	Nodes func(context.Context) ([]fault.Node, error)
	// Platform returns the operator's configuration. It may be nil.
	Platform func(context.Context) (fault.Platform, error)
	// FailedMounts returns the kubelets' messages about volumes, by pod UID. It
	// is called only while a pod may be waiting for a volume. It may be nil.
	FailedMounts func(context.Context) (map[string]string, error)
	// FailedSandboxes returns the same about sandboxes. It may be nil.
	FailedSandboxes func(context.Context) (map[string]string, error)
	// Monitor returns what the console shows about the components, or false if
	// that is unknown. It may be nil.
	Monitor func(context.Context) (fault.Monitor, bool)
}

// component inspects whether the components of the platform are ready, and what
// the console shows about them.
type component struct {
	region string
	Components

	mu       sync.Mutex
	restarts map[string]float64        // by component, including pods that no longer exist
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
	// The two parts are independent: a Kubernetes API that does not answer
	// leaves half of the time for the region API.
	kube, cancel := half(ctx)
	defer cancel()
	err := c.collectPods(kube, &r)
	c.collectAlarms(ctx, &r)
	return r, err
}

// half returns a context that ends after half of the time that ctx has left.
func half(ctx context.Context) (context.Context, context.CancelFunc) {
	deadline, ok := ctx.Deadline()
	if !ok {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, time.Until(deadline)/2)
}

// collectPods exports every workload or none. If it exported only some, the
// rules would report the others as missing.
func (c *component) collectPods(ctx context.Context, r *Report) error {
	workloads, err := c.Workloads(ctx)
	if err != nil {
		return err
	}
	pods, err := c.Pods(ctx)
	if err != nil {
		return err
	}
	errNodes := c.collectDownNodes(ctx, r, workloads, pods)
	errMessages := c.addMessages(ctx, pods)
	var platform fault.Platform
	var errPlatform error
	if c.Platform != nil {
		platform, errPlatform = c.Platform(ctx)
	}
	for _, p := range platform.Components {
		if p.Failure != "" {
			r.addSample("rainbond_operator_component_failed", 1, c.region, p.Name)
			r.addEvidence(EvidenceError, p.Name+": ErrCreateResources: "+p.Failure, labelRegion, c.region, "component", p.Name)
			r.began(p.FailedSince)
		}
	}
	for _, w := range workloads {
		if w.RestartedAt != "" && w.Component == "rbd-api" {
			r.addSample("rainbond_component_restart_pending", 1, c.region, w.Component)
			r.addTranslated(EvidencePod, w.Component+": annotation kubectl.kubernetes.io/restartedAt: "+w.RestartedAt,
				w.Component+"：注解 kubectl.kubernetes.io/restartedAt："+w.RestartedAt, labelRegion, c.region, "component", w.Component)
		}
	}
	for _, w := range mergeComponents(fault.FromWorkloads(workloads, pods, platform.Expected())) {
		r.addSample("rainbond_component_desired", float64(w.Desired), c.region, w.Component, w.Kind)
		r.addSample("rainbond_component_ready", float64(w.Ready), c.region, w.Component, w.Kind)
		for _, reason := range fault.WaitReasons {
			if n := w.Waiting[reason]; n > 0 {
				r.addSample("rainbond_component_waiting", float64(n), c.region, w.Component, string(reason))
				r.addEvidence(EvidencePod, w.Messages[reason], labelRegion, c.region, "component", w.Component, "reason", string(reason))
				r.began(w.Since[reason])
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
	return errors.Join(errNodes, errMessages, errPlatform)
}

// collectDownNodes exports the nodes that are down, marks the pods on them and
// counts these by component.
func (c *component) collectDownNodes(ctx context.Context, r *Report, workloads []fault.Workload, pods []fault.Pod) error {
	if c.Nodes == nil {
		return nil
	}
	nodes, err := c.Nodes(ctx)
	if err != nil {
		return err
	}
	for _, n := range fault.DownNodes(nodes, pods, workloads, time.Now()) {
		r.addSample("rainbond_node_down_since_timestamp_seconds", float64(n.NotReadySince.Unix()), c.region, n.Name)
		count := map[string]int{}
		for _, p := range pods {
			if p.NodeDown && p.Node == n.Name {
				count[p.Component]++
			}
		}
		for _, name := range slices.Sorted(maps.Keys(count)) {
			r.addSample("rainbond_node_down_pods", float64(count[name]), c.region, n.Name, name)
			c.explainDown(r, n, name)
		}
		if len(count) == 0 {
			c.explainDown(r, n, "") // evidence of no component's alert
		}
	}
	return nil
}

// mergeComponents returns one component for all workloads with the same name and
// kind, whose pods are added. Of workloads with the same name and other kinds,
// the first has the waiting pods, because pods are assigned by the name.
func mergeComponents(all []fault.Component) []fault.Component {
	var merged []fault.Component
	first := map[string]int{} // the index in merged of the first component with this name
	for _, c := range all {
		i, ok := first[c.Component]
		if !ok {
			first[c.Component] = len(merged)
			merged = append(merged, c)
			continue
		}
		for reason, n := range c.Waiting {
			merged[i].Waiting[reason] = max(merged[i].Waiting[reason], n)
			if merged[i].Messages[reason] == "" {
				merged[i].Messages[reason] = c.Messages[reason]
			}
		}
		c.Waiting, c.Messages = nil, nil
		same := slices.IndexFunc(merged, func(m fault.Component) bool { return m.Component == c.Component && m.Kind == c.Kind })
		if same < 0 {
			merged = append(merged, c)
			continue
		}
		merged[same].Desired += c.Desired
		merged[same].Ready += c.Ready
	}
	return merged
}

// addMessages adds the kubelets' messages about volumes and sandboxes to the pods.
func (c *component) addMessages(ctx context.Context, pods []fault.Pod) error {
	if !slices.ContainsFunc(pods, fault.Pod.Creating) {
		return nil
	}
	var mounts, sandboxes map[string]string
	var errMounts, errSandboxes error
	if c.FailedMounts != nil {
		mounts, errMounts = c.FailedMounts(ctx)
	}
	if c.FailedSandboxes != nil {
		sandboxes, errSandboxes = c.FailedSandboxes(ctx)
	}
	for i := range pods {
		pods[i].Mount, pods[i].Sandbox = mounts[pods[i].UID], sandboxes[pods[i].UID]
	}
	return errors.Join(errMounts, errSandboxes)
}

// explainDown adds the state of a node that is down as evidence about it and one
// component on it.
func (c *component) explainDown(r *Report, n fault.Node, name string) {
	since := n.NotReadySince.UTC().Format(time.RFC3339)
	r.addTranslated(EvidenceNode, fmt.Sprintf("%s: not ready since %s, %s", n.Name, since, n.NotReadyReason),
		fmt.Sprintf("%s：自 %s 起未就绪，%s", n.Name, since, n.NotReadyReason), labelRegion, c.region, "node", n.Name, "component", name)
	r.began(n.NotReadySince)
}

// collectAlarms exports the alarms that the console shows. It is not an error if
// they are unknown, because the region API has alerts of its own.
func (c *component) collectAlarms(ctx context.Context, r *Report) {
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
			since := shown.Since.UTC().Format(time.RFC3339)
			r.addTranslated(EvidenceAlarm, fmt.Sprintf("%s, %s since %s", shown.Name, shown.State, since), fmt.Sprintf("%s，状态 %s，始于 %s", shown.Name, shown.State, since),
				labelRegion, c.region, "component", alarm.Component, "alarm", alarm.Name)
			r.began(shown.Since)
		}
	}
}

// count adds the restarts of a component's pods since the last collection, and
// returns the total since the first. It starts at 0, because Prometheus adds the
// whole value of a counter that is lower than before, as after a restart of the
// exporter. The restarts of a deleted pod remain in the total. A pod without
// container statuses has its last known number.
func (c *component) count(name string, pods []fault.Pod) float64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := map[string]int{}
	last, known := c.last[name]
	for _, p := range pods {
		if p.Component != name || p.OwnerKind == "Job" {
			continue
		}
		for _, container := range p.Containers {
			now[p.UID] += container.Restarts
		}
		now[p.UID] = max(now[p.UID], last[p.UID])
		if known {
			c.restarts[name] += float64(now[p.UID] - last[p.UID])
		}
	}
	c.last[name] = now
	return c.restarts[name]
}
