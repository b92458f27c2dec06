package demo

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// operatorGroup is the API group of the operator's custom resources.
const (
	operatorGroup   = "rainbond.io"
	operatorVersion = "v1alpha1"
)

// A clusterSpec is the spec of the RainbondCluster.
type clusterSpec struct {
	externalDB  bool
	externalHub bool
	gateway     []string // nodesForGateway
	chaos       []string // nodesForChaos
	addresses   []string // gatewayIngressIPs
}

// operatorError is the operator's message when the label availableips is too long.
const operatorError = `Secret "rbd-api-server-cert" is invalid: metadata.labels: Invalid value: must be no more than 63 characters`

// custom returns one of the operator's resources. Its status is as unreliable
// as the real one: Ready never becomes False again, and Running is always
// False.
func (w *world) custom(kind, name string, spec, condition map[string]any) object {
	o := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": operatorGroup + "/" + operatorVersion, "kind": kind,
		"spec": spec, "status": map[string]any{"conditions": []any{condition}},
	}}
	o.SetName(name)
	o.SetNamespace(namespace)
	o.SetUID(uid(kind, name))
	o.SetCreationTimestamp(w.ago(age))
	return o
}

// operatorObjects returns the operator's resources: an RbdComponent for each
// component and for those that something external replaces, and the
// RainbondCluster.
func (w *world) operatorObjects() []object {
	ready := map[string]any{"type": "Ready", "status": "True", "reason": "Ready"}
	failed := map[string]any{"type": "Ready", "status": "False", "reason": "PrerequisitesFailed"}
	var all []object
	names := []string{}
	for _, c := range w.components {
		if c.name != "rainbond-operator" {
			condition := ready
			if slices.Contains(w.operatorFails, c.name) {
				condition = map[string]any{"type": "Ready", "status": "False", "reason": "ErrCreateResources", "message": operatorError}
			}
			all = append(all, w.custom("RbdComponent", c.name, map[string]any{"priorityComponent": true}, condition))
			names = append(names, c.name)
		}
	}
	for _, name := range []string{"rbd-db", "rbd-hub"} {
		if !slices.Contains(names, name) {
			all = append(all, w.custom("RbdComponent", name, map[string]any{}, failed))
		}
	}
	for _, name := range w.workloadMissing {
		all = append(all, w.custom("RbdComponent", name, map[string]any{}, ready))
	}
	addresses := []any{}
	for _, address := range w.spec.addresses {
		addresses = append(addresses, address)
	}
	nodes := func(names []string) (all []any) {
		for _, name := range names {
			all = append(all, map[string]any{"name": name})
		}
		return all
	}
	spec := map[string]any{
		"imageHub": map[string]any{"domain": "goodrain.me"}, "gatewayIngressIPs": addresses,
		"nodesForGateway": nodes(w.spec.gateway), "nodesForChaos": nodes(w.spec.chaos),
	}
	if w.spec.externalHub {
		spec["imageHub"] = map[string]any{"domain": "hub.example.com"}
	}
	if w.spec.externalDB {
		spec["regionDatabase"], spec["uiDatabase"] = map[string]any{"host": "db.example.com"}, map[string]any{"host": "db.example.com"}
	}
	running := map[string]any{"type": "Running", "status": "False", "reason": "PrecheckNotReady"}
	return append(all, w.custom("RainbondCluster", "rainbondcluster", spec, running))
}

// remove removes components with their workloads.
func (w *world) remove(names ...string) {
	w.components = slices.DeleteFunc(w.components, func(c *component) bool { return slices.Contains(names, c.name) })
}

// addEvent adds a warning of the kubelet about the pod, such as FailedMount.
func (w *world) addEvent(p *corev1.Pod, reason, message string) {
	name := p.Name + "." + suffix(message, 16)
	w.events = append(w.events, &corev1.Event{
		TypeMeta:       metav1.TypeMeta{Kind: "Event", APIVersion: "v1"},
		ObjectMeta:     metav1.ObjectMeta{Name: name, Namespace: namespace, UID: uid("Event", name), CreationTimestamp: w.ago(0)},
		InvolvedObject: corev1.ObjectReference{Kind: "Pod", Namespace: namespace, Name: p.Name, UID: p.UID},
		Reason:         reason, Message: message, Type: corev1.EventTypeWarning, Count: 7,
		FirstTimestamp: w.ago(0), LastTimestamp: w.ago(0), Source: corev1.EventSource{Component: "kubelet"},
	})
}
