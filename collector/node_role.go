package collector

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/rainbond-exporter/rainbond-exporter/fault"
)

// nodeRole inspects the role labels of the nodes.
type nodeRole struct {
	region    string
	names     fault.RoleNames
	nodes     func(context.Context) ([]fault.Node, error)
	workloads func(context.Context) ([]fault.Workload, error)
	platform  func(context.Context) (fault.Platform, error)
}

// NewNodeRole returns the collector of symptom node-role for the region of
// that name. Names holds the label suffixes of each role. Function workloads
// returns the platform's workloads, one of which has the region's version;
// platform returns the operator's configuration. Both may be nil.
func NewNodeRole(region string, names fault.RoleNames, nodes func(context.Context) ([]fault.Node, error), workloads func(context.Context) ([]fault.Workload, error), platform func(context.Context) (fault.Platform, error)) Collector {
	return nodeRole{region, names, nodes, workloads, platform}
}

func (nodeRole) Name() string { return SlugNodeRole }

func (n nodeRole) Collect(ctx context.Context) (Report, error) {
	var r Report
	nodes, err := n.nodes(ctx)
	if err != nil {
		return r, err
	}
	required := false
	if n.workloads != nil {
		workloads, _ := n.workloads(ctx) // the component collector reports the error
		required = fault.RolesRequired(workloads)
	}
	r.addSample("rainbond_node_role_required", flag(required), n.region)
	roles := fault.FromNodes(nodes, n.names, required, time.Now())
	for _, role := range slices.Sorted(maps.Keys(roles.Count)) {
		r.addSample("rainbond_nodes", float64(roles.Count[role]), n.region, role)
	}
	for _, node := range roles.Missing {
		r.addSample("rainbond_node_role_missing", 1, n.region, node.Name)
		r.addTranslated(EvidenceNode, node.Name+": no label "+fault.RoleKey+"/…", node.Name+"：没有标签 "+fault.RoleKey+"/…", labelRegion, n.region, "node", node.Name)
	}
	for _, node := range roles.Malformed {
		for _, key := range node.MalformedRoleKeys() {
			r.addSample("rainbond_node_role_malformed", 1, n.region, node.Name, key)
		}
		r.addEvidence(EvidenceNode, fmt.Sprintf("%s: %s", node.Name, strings.Join(node.RoleKeys, ", ")), labelRegion, n.region, "node", node.Name)
	}
	if n.platform == nil {
		return r, nil
	}
	platform, err := n.platform(ctx)
	for _, p := range platform.Unmatched(nodes) {
		r.addSample("rainbond_node_placement_unmatched", 1, n.region, p.Component, p.Node)
		r.addTranslated(EvidenceNode, fmt.Sprintf("%s is configured to run on %s; no node has the label kubernetes.io/hostname=%s", p.Component, p.Node, p.Node),
			fmt.Sprintf("%s 指定运行在 %s；没有节点带有标签 kubernetes.io/hostname=%s", p.Component, p.Node, p.Node),
			labelRegion, n.region, "component", p.Component, "node", p.Node)
	}
	return r, err
}
