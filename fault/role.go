package fault

import (
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
	ControlPlane = "control-plane" // "master" is its older name
	NoRole       = "none"
)

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

// FromNodes judges the role labels of all nodes. A label's value does not
// matter, as it does not to Rainbond. A node that has just joined or is
// cordoned is not missed.
func FromNodes(nodes []Node, now time.Time) Roles {
	r := Roles{Count: map[string]int{Worker: 0, ControlPlane: 0, NoRole: 0}}
	for _, n := range nodes {
		roles := n.roles()
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

// roles are the node's roles, each once, master under its newer name.
func (n Node) roles() []string {
	var roles []string
	for _, key := range n.RoleKeys {
		role, ok := strings.CutPrefix(key, RoleKey+"/")
		if role == "master" {
			role = ControlPlane
		}
		if ok && role != "" && !slices.Contains(roles, role) {
			roles = append(roles, role)
		}
	}
	return roles
}
