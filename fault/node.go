package fault

import (
	"slices"
	"time"
)

// DownNodes returns the nodes that are not ready, and marks the pods on them. A
// node that joined less than JoiningTime ago is not down, because its network is
// set up after it has joined. A cordoned node without a pod of a component is not
// down either: somebody drained it for maintenance.
func DownNodes(nodes []Node, pods []Pod, workloads []Workload, now time.Time) []Node {
	var down []Node
	for _, n := range nodes {
		if n.Ready || now.Sub(n.Created) <= JoiningTime {
			continue
		}
		used := false
		for i, p := range pods {
			if p.Node == n.Name && p.ofComponent(workloads) {
				pods[i].NodeDown, used = true, true
			}
		}
		if n.NotReadySince.IsZero() {
			n.NotReadySince = n.Created // it has never reported a condition
		}
		if used || !n.Cordoned {
			down = append(down, n)
		}
	}
	return down
}

// ofComponent reports whether the pod belongs to a workload of the platform and
// has not ended.
func (p Pod) ofComponent(workloads []Workload) bool {
	return p.OwnerKind != "Job" && p.Phase != "Succeeded" && p.Phase != "Failed" &&
		slices.ContainsFunc(workloads, func(w Workload) bool { return w.Component == p.Component })
}
