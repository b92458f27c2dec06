package fault

import (
	"slices"
	"strings"
	"time"
)

// A Platform is the configuration of rainbond-operator: the RbdComponents and
// the RainbondCluster without their status, which is not reset after a recovery.
// The zero Platform means that nothing is known.
type Platform struct {
	Components []RbdComponent
	// InternalHub and InternalDB are true when the platform runs its own
	// registry and database. With an external one, the RbdComponent exists
	// without a workload (rainbond-operator, controllers/handler, hub.go and
	// db.go).
	InternalHub, InternalDB bool
	// GatewayNodes and ChaosNodes are the node names in nodesForGateway and
	// nodesForChaos.
	GatewayNodes, ChaosNodes []string
	// GatewayAddresses are the addresses in gatewayIngressIPs; empty if the
	// operator has not filled it yet.
	GatewayAddresses []string
}

// An RbdComponent is one component that the operator is configured to run.
type RbdComponent struct {
	Name string
	// Zero is true when it is configured with 0 replicas.
	Zero bool
	// Unsupported is the operator's state of a component of an older version,
	// for which it creates no workload.
	Unsupported bool
	// Failure is the operator's message while it cannot create the resources of
	// the component; "" otherwise. FailedSince is when that began; it may be zero.
	Failure     string
	FailedSince time.Time
}

// RotationPending reports whether the operator replaces all certificates when
// it restarts: the addresses in the label availableips of the server's Secret
// are not those in gatewayIngressIPs (rainbond-operator,
// controllers/handler/api.go).
func (p Platform) RotationPending(label string) bool {
	return len(p.GatewayAddresses) > 0 && label != strings.ReplaceAll(strings.Join(p.GatewayAddresses, "-"), ".", "_")
}

// The components that an external service can replace, and those that are
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

// A Placement is the name of a node on which a component is configured to run.
type Placement struct{ Component, Node string }

// Unmatched lists the placements that match no node. The operator pins by the
// host name label. Case does not matter, because the operator also adds the
// name in lower case.
func (p Platform) Unmatched(nodes []Node) []Placement {
	var all []Placement
	for _, pinned := range []struct {
		component string
		names     []string
	}{{gateway, p.GatewayNodes}, {chaos, p.ChaosNodes}} {
		for _, name := range pinned.names {
			place := Placement{pinned.component, name}
			exists := slices.ContainsFunc(nodes, func(n Node) bool { return strings.EqualFold(n.Hostname, name) })
			if !exists && !slices.Contains(all, place) {
				all = append(all, place)
			}
		}
	}
	return all
}
