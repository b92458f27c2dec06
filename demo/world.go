package demo

import (
	"errors"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/rainbond-exporter/rainbond-exporter/demo/pki"
	"github.com/rainbond-exporter/rainbond-exporter/fault"
)

// age is the age of the region and of everything in it, unless a scenario sets
// another.
const age = 40 * 24 * time.Hour

// A world is the whole state of the region and of the console's copy of it. A
// scenario changes it.
type world struct {
	certs *certs
	err   error // the first error; the world is then invalid
	began time.Time
	// installation is the one whose world this is; goVersion119 is true if its
	// rbd-api is built with Go 1.19, which logs other messages.
	installation Installation
	goVersion119 bool

	// The console.
	url     string            // of the region API
	console map[string]string // PEM files by name; a missing key is a missing file

	table []row // of its database; nil: it has no database
	// databaseLocked is true while another process holds the database.
	databaseLocked bool
	second         *world // another region of the console, of which only the API exists; nil: none
	secondURL      string // the URL of the second region

	// The certificates in the region.
	served       pki.Generation // loaded by rbd-api
	secrets      pki.Generation // in the Secrets
	regionConfig pki.Generation // in the ConfigMap region-config
	secretGone   bool           // rbd-api-server-cert does not exist

	// The region API.
	apiAddress      string // in region-config
	listener        listenerConfig
	clients         []clientFunc
	dnsUnresponsive bool     // the DNS server does not respond
	replayedErrors  []string // reasons of logged handshake errors
	logged          []string // first lines of the log

	// The cluster.
	nodes           []*corev1.Node
	components      []*component
	otherPods       []*corev1.Pod // pods in the namespace that belong to no component
	events          []*corev1.Event
	spec            clusterSpec // the RainbondCluster
	workloadMissing []string    // RbdComponents without a workload
	forbidden       []string    // resources that RBAC forbids
	kubeDown        bool
	operatorFails   []string // components whose resources the operator cannot create

	root   fault.Filesystem // of each node
	mounts []fault.Mount    // other file systems of each node

}

// newWorld returns a healthy world. It contains what healthy regions contain
// and what is easily mistaken for a fault. The serial number distinguishes the
// pods of rbd-api of two worlds.
func newWorld(certs *certs, i Installation, url, address string, began time.Time, serial int) *world {
	w := &world{certs: certs, installation: i, began: began.Truncate(time.Second), url: url, apiAddress: address}
	g := w.generation(usual)
	w.served, w.secrets, w.regionConfig = g, g, g
	w.console = copied(g)
	w.logged = []string{
		ordinary("INFO", "start initialize all component"),
		ordinary("INFO", "api listen on (HTTP) 0.0.0.0:8888"),
		ordinary("INFO", "api listen on (HTTPs) 0.0.0.0:8443"),
	}
	w.nodes = w.healthyNodes()
	w.components = w.healthyComponents(serial)
	w.otherPods = w.healthyOtherPods()
	w.spec = clusterSpec{addresses: []string{"127.0.0.1"}, gateway: []string{"node-1"}, chaos: w.component("rbd-chaos").pinned}
	w.root = filesystem(0.46, 0.92)
	if i.change != nil {
		i.change(w)
	}
	return w
}

// another returns a second, healthy region of the same console.
func (w *world) another() *world {
	g := w.generation(usual)
	return &world{certs: w.certs, url: w.secondURL, console: copied(g), served: g}
}

// generation returns a set of certificates. An error makes the whole world
// invalid.
func (w *world) generation(name string) pki.Generation {
	g, err := w.certs.generation(name)
	if w.err == nil {
		w.err = err
	}
	return g
}

// errTogether is the error of scenarios that exclude each other.
var errTogether = errors.New("these scenarios exclude each other")

// conflict records that an earlier scenario removed what this one would break.
func (w *world) conflict(what string) {
	if w.err == nil {
		w.err = fmt.Errorf("%w: an earlier scenario removed %s", errTogether, what)
	}
}

// copied returns the console's copy of a set of certificates.
func copied(g pki.Generation) map[string]string {
	return map[string]string{caFile: string(g.CA), certFile: string(g.Client), keyFile: string(g.ClientKey)}
}

// component returns the component of that name.
func (w *world) component(name string) *component {
	i := slices.IndexFunc(w.components, func(c *component) bool { return c.name == name })
	if i < 0 {
		w.conflict(name)
		return &component{name: name, kind: "Deployment"}
	}
	return w.components[i]
}

// direct returns the region as a client sees it that bypasses the gateway:
// rbd-api itself, if one of its pods is ready.
func (w *world) direct() *world {
	direct := *w
	direct.clients, direct.replayedErrors = nil, nil
	direct.listener = listenerConfig{api: w.listener.api, behaviour: refuses}
	for _, p := range w.component("rbd-api").pods {
		if slices.ContainsFunc(p.Status.Conditions, func(c corev1.PodCondition) bool {
			return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
		}) {
			direct.listener.behaviour = serves
		}
	}
	return &direct
}

// pod returns the first pod of the component that has containers.
func (w *world) pod(component string) *corev1.Pod {
	for _, p := range w.component(component).pods {
		if len(p.Status.ContainerStatuses) > 0 {
			return p
		}
	}
	w.conflict("the pod of " + component)
	return w.newPod(component, metav1.OwnerReference{}, nil, "", component)
}

// node returns the node of that name, or the first node if the installation has
// no node of that name.
func (w *world) node(name string) *corev1.Node {
	return w.nodes[max(0, slices.IndexFunc(w.nodes, func(n *corev1.Node) bool { return n.Name == name }))]
}

// filesystem returns a file system of 100 GiB with the given used ratio and
// ratio of free inodes. It has no reserved blocks, as XFS, so that df and the
// kubelet report the same values.
func filesystem(used, inodesFree float64) fault.Filesystem {
	const size, files = 100 << 30, 6_553_600
	return fault.Filesystem{At: time.Now(), Size: size, Free: size * (1 - used), Avail: size * (1 - used), Files: files, FilesFree: files * inodesFree}
}
