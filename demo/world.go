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

// age is how old the region is: nothing in it has just been made, unless a
// scenario makes it.
const age = 40 * 24 * time.Hour

// A world is all there is to see of the region and of the console's copy of
// it. A scenario changes it where it breaks.
type world struct {
	certs *certs
	err   error // why there is no such world: the first reason
	began time.Time

	// The console.
	url     string            // of the region API
	console map[string]string // file by name; what is not there is missing

	table     []row  // of its database, beside the files; nil: it has none
	second    *world // another region of the console, of which only its API is there; nil: none
	secondURL string // where that would be

	// The certificates in the region.
	served       pki.Generation // what rbd-api has loaded
	secrets      pki.Generation // what the Secrets hold
	regionConfig pki.Generation // what the ConfigMap region-config hands out
	secretGone   bool           // rbd-api-server-cert does not exist

	// The region API.
	address  string // where it really is
	door     doorplan
	visitors []visitor
	unnamed  bool     // the name server does not answer
	replayed []string // reasons of handshake errors that the log tells of
	logged   []string // what the log begins with

	// The cluster.
	nodes      []*corev1.Node
	components []*component
	strays     []*corev1.Pod // pods in the namespace that are no component's
	events     []*corev1.Event
	orders     orders   // the RainbondCluster
	unmade     []string // RbdComponents for which the operator has made nothing
	forbidden  []string // resources that may not be read
	kubeDown   bool

	root   fault.Filesystem // of each node
	mounts []fault.Mount    // beside it
}

// newWorld is a healthy world, with the noise that healthy regions have. The
// serial number makes rbd-api's pod another one than before.
func newWorld(certs *certs, address string, began time.Time, serial int) *world {
	w := &world{certs: certs, began: began.Truncate(time.Second), url: address, address: address}
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
	w.strays = w.healthyStrays()
	w.orders = orders{gateway: []string{"node-1"}, chaos: w.component("rbd-chaos").pinned}
	w.root = filesystem(0.46, 0.92)
	return w
}

// another is a second region in the same console, healthy like the first.
func (w *world) another() *world {
	g := w.generation(usual)
	return &world{certs: w.certs, url: w.secondURL, console: copied(g), served: g}
}

// generation returns the certificates of a generation. When they cannot be
// made, the world as a whole cannot.
func (w *world) generation(name string) pki.Generation {
	g, err := w.certs.generation(name)
	if w.err == nil {
		w.err = err
	}
	return g
}

// errTogether is for scenarios of which one takes away what another breaks.
var errTogether = errors.New("these cannot hold together")

// gone notes that what a scenario would break was taken away before.
func (w *world) gone(what string) {
	if w.err == nil {
		w.err = fmt.Errorf("%w: there is no %s left to break", errTogether, what)
	}
}

// copied is a console's copy of a generation, as people paste it.
func copied(g pki.Generation) map[string]string {
	return map[string]string{caFile: string(g.CA), certFile: string(g.Client), keyFile: string(g.ClientKey)}
}

// component returns the component of that name.
func (w *world) component(name string) *component {
	i := slices.IndexFunc(w.components, func(c *component) bool { return c.name == name })
	if i < 0 {
		w.gone(name)
		return &component{name: name, kind: "Deployment"}
	}
	return w.components[i]
}

// past is the region as those meet it who go past its gateway: rbd-api itself,
// if a pod of it is ready.
func (w *world) past() *world {
	past := *w
	past.visitors, past.replayed = nil, nil
	past.door = doorplan{api: w.door.api, behaviour: refuses}
	for _, p := range w.component("rbd-api").pods {
		if slices.ContainsFunc(p.Status.Conditions, func(c corev1.PodCondition) bool {
			return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
		}) {
			past.door.behaviour = serves
		}
	}
	return &past
}

// pod returns the first pod of the component that has containers.
func (w *world) pod(component string) *corev1.Pod {
	for _, p := range w.component(component).pods {
		if len(p.Status.ContainerStatuses) > 0 {
			return p
		}
	}
	w.gone("pod of " + component)
	return w.newPod(component, metav1.OwnerReference{}, nil, "", component)
}

// node returns the node of that name.
func (w *world) node(name string) *corev1.Node {
	return w.nodes[slices.IndexFunc(w.nodes, func(n *corev1.Node) bool { return n.Name == name })]
}

// filesystem is one of 100 GiB, used to the given part, with the given part
// of its inodes free. It has no reserved blocks, as XFS has none, so that df
// and the kubelet see the same figure.
func filesystem(used, inodesFree float64) fault.Filesystem {
	const size, files = 100 << 30, 6_553_600
	return fault.Filesystem{At: time.Now(), Size: size, Free: size * (1 - used), Avail: size * (1 - used), Files: files, FilesFree: files * inodesFree}
}
