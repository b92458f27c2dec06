package fault

import (
	"slices"
	"testing"
	"time"
)

func TestDownNodes(t *testing.T) {
	now := time.Now()
	old, since := now.Add(-time.Hour), now.Add(-10*time.Minute)
	workloads := []Workload{{Component: "rbd-mq"}}
	pods := []Pod{
		{Component: "rbd-mq", Node: "down", Phase: "Running"},
		{Component: "rbd-mq", Node: "cordoned", Phase: "Unknown", Terminating: true},
		{Component: "rbd-mq", Node: "drained", Phase: "Failed", Evicted: true},
		{Component: "rbd-mq", Node: "drained", Phase: "Running", OwnerKind: "Job"},
		{Component: "application", Node: "drained", Phase: "Running"},
		{Component: "rbd-mq", Node: "new", Phase: "Pending"},
		{Component: "rbd-mq", Node: "ready", Phase: "Running"},
	}
	down := DownNodes([]Node{
		{Name: "down", Created: old, NotReadySince: since},
		{Name: "idle", Created: old}, // without a condition
		{Name: "cordoned", Created: old, Cordoned: true, NotReadySince: since},
		{Name: "drained", Created: old, Cordoned: true, NotReadySince: since},
		{Name: "new", Created: now.Add(-time.Minute), NotReadySince: since},
		{Name: "ready", Created: old, Cordoned: true, Ready: true},
	}, pods, workloads, now)
	var names []string
	for _, n := range down {
		names = append(names, n.Name)
	}
	if want := []string{"down", "idle", "cordoned"}; !slices.Equal(names, want) {
		t.Errorf("got %v, want %v", names, want)
	}
	if !down[1].NotReadySince.Equal(old) {
		t.Errorf("a node without a condition is down since %s, want its creation", down[1].NotReadySince)
	}
	for i, p := range pods {
		if want := i < 2; p.NodeDown != want {
			t.Errorf("pod %d on %s: down %t, want %t", i, p.Node, p.NodeDown, want)
		}
	}
	reason, message := pods[1].waitReason()
	if reason != NodeLost || message != "Terminating, and node cordoned is not ready" {
		t.Errorf("got %s, %q", reason, message)
	}
}
