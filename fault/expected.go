package fault

import (
	"slices"
	"strings"
)

// A Platform is what rainbond-operator has been told to run: the RbdComponents
// and the RainbondCluster, their status left out, which latches and cannot be
// trusted. The zero Platform is one of which nothing is known.
type Platform struct {
	Components []RbdComponent
	// InternalHub and InternalDB are true where the platform runs its own registry and
	// database. An external one replaces them, and their RbdComponents stay
	// without a workload for ever (rainbond-operator, controllers/handler,
	// hub.go and db.go).
	InternalHub, InternalDB bool
	// GatewayNodes and ChaosNodes are the names in nodesForGateway and
	// nodesForChaos.
	GatewayNodes, ChaosNodes []string
}

// A RbdComponent is one component that the operator has been told to run.
type RbdComponent struct {
	Name string
	// Zero is true when it has been told to run none of it.
	Zero bool
	// Unsupported is the operator's own word: a component of an older version,
	// for which it makes nothing.
	Unsupported bool
}

// The components that something external can replace, and those that are
// pinned to nodes.
const (
	hub     = "rbd-hub"
	db      = "rbd-db"
	gateway = "rbd-gateway"
	chaos   = "rbd-chaos"
)

// Expected lists the components that should have a workload.
func (p Platform) Expected() []string {
	var all []string
	for _, c := range p.Components {
		replaced := c.Name == hub && !p.InternalHub || c.Name == db && !p.InternalDB
		if !c.Zero && !c.Unsupported && !replaced {
			all = append(all, c.Name)
		}
	}
	return all
}

// A Placement is a node by name that a component has been told to run on.
type Placement struct{ Component, Node string }

// Unmatched lists the placements whose name no node bears. What counts is the
// host name label, by which the operator pins; case does not count, because
// the operator adds the name in lower case.
func (p Platform) Unmatched(nodes []Node) []Placement {
	var all []Placement
	for _, pinned := range []struct {
		component string
		names     []string
	}{{gateway, p.GatewayNodes}, {chaos, p.ChaosNodes}} {
		for _, name := range pinned.names {
			place := Placement{pinned.component, name}
			borne := slices.ContainsFunc(nodes, func(n Node) bool { return strings.EqualFold(n.Hostname, name) })
			if !borne && !slices.Contains(all, place) {
				all = append(all, place)
			}
		}
	}
	return all
}
