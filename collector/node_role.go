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

// nodeRole looks at the role labels of the nodes.
type nodeRole struct {
	region string
	names  fault.RoleNames
	nodes  func(context.Context) ([]fault.Node, error)
	told   func(context.Context) (fault.Platform, error)
}

// NewNodeRole returns the collector of symptom node-role for the region of
// that name. Names stand for the roles. Told, which may be nil, is what the
// operator has been told to run, and where.
func NewNodeRole(region string, names fault.RoleNames, nodes func(context.Context) ([]fault.Node, error), told func(context.Context) (fault.Platform, error)) Collector {
	return nodeRole{region, names, nodes, told}
}

func (nodeRole) Name() string { return SlugNodeRole }

func (n nodeRole) Collect(ctx context.Context) (Report, error) {
	var r Report
	nodes, err := n.nodes(ctx)
	if err != nil {
		return r, err
	}
	roles := fault.FromNodes(nodes, n.names, time.Now())
	for _, role := range slices.Sorted(maps.Keys(roles.Count)) {
		r.addSample("rainbond_nodes", float64(roles.Count[role]), n.region, role)
	}
	for _, node := range roles.Missing {
		r.addSample("rainbond_node_role_missing", 1, n.region, node.Name)
		r.addEvidence(EvidenceNode, node.Name+": no label "+fault.RoleKey+"/…", labelRegion, n.region, "node", node.Name)
	}
	for _, node := range roles.Malformed {
		r.addSample("rainbond_node_role_malformed", 1, n.region, node.Name)
		r.addEvidence(EvidenceNode, fmt.Sprintf("%s: %s", node.Name, strings.Join(node.RoleKeys, ", ")), labelRegion, n.region, "node", node.Name)
	}
	if n.told == nil {
		return r, nil
	}
	told, err := n.told(ctx)
	for _, p := range told.Unmatched(nodes) {
		r.addSample("rainbond_node_placement_unmatched", 1, n.region, p.Component, p.Node)
		r.addEvidence(EvidenceNode, fmt.Sprintf("%s is to run on %s; no node bears the label kubernetes.io/hostname=%s", p.Component, p.Node, p.Node),
			labelRegion, n.region, "component", p.Component, "node", p.Node)
	}
	return r, err
}
