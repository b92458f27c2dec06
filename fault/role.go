package fault

import (
	"net"
	"net/url"
	"slices"
	"strings"
	"time"
)

// RoleKey is the prefix of the labels by which nodes bear roles. The key
// alone, without "/role", is no role, and one node that bears it takes the
// region's whole node list down (rainbond, api/handler/nodes.go).
const RoleKey = "node-role.kubernetes.io"

// The roles that the platform needs, and NoRole for nodes without any.
const (
	Worker       = "worker"
	ControlPlane = "control-plane"
	NoRole       = "none"
)

// RoleNames says what may stand after RoleKey and a slash for each role.
type RoleNames map[string][]string

// DefaultRoleNames are the forms that the field has: kubeadm, K3s and RKE2
// write control-plane, and wrote master before; RKE1 writes controlplane; and
// worker is what Rainbond's installer and RKE1 write. K3s and RKE2 give their
// agents no label at all.
var DefaultRoleNames = RoleNames{Worker: {"worker"}, ControlPlane: {"control-plane", "master", "controlplane"}}

// role is the role that the name stands for; a name that nobody lists stands
// for itself, and is none of those that the platform needs.
func (r RoleNames) role(name string) string {
	for role, names := range r {
		if slices.Contains(names, name) {
			return role
		}
	}
	return RoleKey + "/" + name
}

// JoiningTime is how long a new node may be without a role label: the
// installer sets it after the node has joined.
const JoiningTime = 5 * time.Minute

// Roles is what the labels of all nodes say.
type Roles struct {
	// Count has the nodes by role; Worker, ControlPlane and NoRole are always
	// there.
	Count map[string]int
	// Missing are the nodes that should bear a role label and bear none.
	Missing []Node
	// Malformed are the nodes that bear the bare key.
	Malformed []Node
}

// FromNodes judges the role labels of all nodes by the names that stand for
// each role. A label's value does not matter, as it does not to Rainbond. A
// node that has just joined or is cordoned is not missed.
func FromNodes(nodes []Node, names RoleNames, now time.Time) Roles {
	r := Roles{Count: map[string]int{Worker: 0, ControlPlane: 0, NoRole: 0}}
	for _, n := range nodes {
		roles := n.roles(names)
		for _, role := range roles {
			if role == Worker || role == ControlPlane {
				r.Count[role]++
			}
		}
		malformed := slices.Contains(n.RoleKeys, RoleKey)
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
	return r
}

// roles are the node's roles, each once.
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

// AddressWithoutNode returns the address in a region's URL, and whether it is the
// address of none of the nodes: then the server's IP has changed, or a load
// balancer stands before them. A URL with a name says nothing.
func AddressWithoutNode(rawURL string, nodes []Node) (address string, gone bool) {
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

// Addresses lists the IP addresses of the nodes for people, a few of them.
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
