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
	nodes  func(context.Context) ([]fault.Node, error)
}

// NewNodeRole returns the collector of symptom node-role for the region of
// that name.
func NewNodeRole(region string, nodes func(context.Context) ([]fault.Node, error)) Collector {
	return nodeRole{region, nodes}
}

func (nodeRole) Name() string { return SlugNodeRole }

func (n nodeRole) Look(ctx context.Context) (Report, error) {
	var r Report
	nodes, err := n.nodes(ctx)
	if err != nil {
		return r, err
	}
	roles := fault.FromNodes(nodes, time.Now())
	for _, role := range slices.Sorted(maps.Keys(roles.Count)) {
		r.set("rainbond_nodes", float64(roles.Count[role]), n.region, role)
	}
	for _, node := range roles.Missing {
		r.set("rainbond_node_role_missing", 1, n.region, node.Name)
		r.saw(EvidenceNode, node.Name+": no label "+fault.RoleKey+"/…", labelRegion, n.region, "node", node.Name)
	}
	for _, node := range roles.Malformed {
		r.set("rainbond_node_role_malformed", 1, n.region, node.Name)
		r.saw(EvidenceNode, fmt.Sprintf("%s: %s", node.Name, strings.Join(node.RoleKeys, ", ")), labelRegion, n.region, "node", node.Name)
	}
	return r, nil
}
