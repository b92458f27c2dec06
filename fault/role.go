package fault

import (
	"net"
	"net/url"
	"slices"
	"strings"
	"time"
)

// RoleKey is the prefix of the labels that assign roles to nodes. A key without a
// slash assigns no role, and one node with such a key breaks the node list of
// the whole region (rainbond, api/handler/nodes.go).
const RoleKey = "node-role.kubernetes.io"

// The roles that the platform needs, and NoRole for nodes without any.
const (
	Worker       = "worker"
	ControlPlane = "control-plane"
	NoRole       = "none"
)

// RoleNames lists, for each role, the names after RoleKey and a slash.
type RoleNames map[string][]string

// DefaultRoleNames are the names that installers use: kubeadm, K3s and RKE2 set
// control-plane, and older versions set master; RKE1 sets controlplane;
// Rainbond's installer and RKE1 set worker. K3s and RKE2 set no label on agents.
var DefaultRoleNames = RoleNames{Worker: {"worker"}, ControlPlane: {"control-plane", "master", "controlplane"}}

// role returns the role of a name. A name that is not listed is a role of its
// own, which the platform does not need.
func (r RoleNames) role(name string) string {
	for role, names := range r {
		if slices.Contains(names, name) {
			return role
		}
	}
	return RoleKey + "/" + name
}

// JoiningTime is how long a new node may have no role label: the installer sets
// it after the node has joined.
const JoiningTime = 5 * time.Minute

// Roles holds the roles of all nodes.
type Roles struct {
	// Count is the number of nodes by role. Worker, ControlPlane and NoRole
	// always have an entry.
	Count map[string]int
	// Missing lists the nodes that should have a role label and have none.
	Missing []Node
	// Malformed lists the nodes with a key that has no slash.
	Malformed []Node
}

// RolesRequired reports whether the region's version needs a role label on every
// node: before v5.13, a node without one breaks the node list. Since v5.13 it has
// no effect. The version is that of rbd-api; it is false if that is unknown.
func RolesRequired(workloads []Workload) bool {
	for _, w := range workloads {
		if w.Component == "rbd-api" {
			return before(w.Version, 5, 13)
		}
	}
	return false
}

// FromNodes evaluates the role labels of all nodes with the given names of each
// role. As in Rainbond, the value of a label does not matter. A node that has
// just joined or is cordoned is not listed as missing. If roles are not
// required, a node is missing its label only in a cluster whose workers have
// one, and in which most nodes have a role: kubeadm, K3s and RKE2 do not label
// workers, and managed clusters have no role labels.
func FromNodes(nodes []Node, names RoleNames, required bool, now time.Time) Roles {
	r := Roles{Count: map[string]int{Worker: 0, ControlPlane: 0, NoRole: 0}}
	for _, n := range nodes {
		roles := n.roles(names)
		for _, role := range roles {
			if role == Worker || role == ControlPlane {
				r.Count[role]++
			}
		}
		malformed := len(n.MalformedRoleKeys()) > 0
		if malformed {
			r.Malformed = append(r.Malformed, n)
		}
		if len(roles) > 0 {
			continue
		}
		r.Count[NoRole]++
		if !malformed && !n.Cordoned && now.Sub(n.Created) > JoiningTime {
			r.Missing = append(r.Missing, n)
		}
	}
	if !required && (r.Count[Worker] == 0 || 2*r.Count[NoRole] >= len(nodes)) {
		r.Missing = nil
	}
	return r
}

// MalformedRoleKeys returns the node's label keys that start with RoleKey and
// have no slash, such as node-role.kubernetes.io and node-role.kubernetes.io.gpu.
func (n Node) MalformedRoleKeys() []string {
	var keys []string
	for _, key := range n.RoleKeys {
		if strings.HasPrefix(key, RoleKey) && !strings.Contains(key, "/") {
			keys = append(keys, key)
		}
	}
	return keys
}

// roles returns the node's roles without duplicates.
func (n Node) roles(names RoleNames) []string {
	var roles []string
	for _, key := range n.RoleKeys {
		name, ok := strings.CutPrefix(key, RoleKey+"/")
		if role := names.role(name); ok && name != "" && !slices.Contains(roles, role) {
			roles = append(roles, role)
		}
	}
	return roles
}

// AddressWithoutNode returns the host in a region's URL, and true when it is an
// IP address that belongs to none of the nodes: an external IP, NAT, a load
// balancer, or a server whose address has changed. It is false for a host name.
func AddressWithoutNode(rawURL string, nodes []Node) (address string, withoutNode bool) {
	u, err := url.Parse(rawURL)
	if err != nil {
		return "", false
	}
	ip := net.ParseIP(u.Hostname())
	if ip == nil || len(nodes) == 0 {
		return u.Hostname(), false
	}
	for _, n := range nodes {
		if slices.ContainsFunc(n.Addresses, func(a string) bool { return ip.Equal(net.ParseIP(a)) }) {
			return ip.String(), false
		}
	}
	return ip.String(), true
}

// Addresses returns the first few IP addresses of the nodes as text.
func Addresses(nodes []Node) string {
	const shown = 5
	var all []string
	for _, n := range nodes {
		for _, a := range n.Addresses {
			if net.ParseIP(a) != nil && !slices.Contains(all, a) {
				all = append(all, a)
			}
		}
	}
	slices.Sort(all)
	if len(all) > shown {
		all = append(all[:shown], "…")
	}
	return strings.Join(all, ", ")
}
