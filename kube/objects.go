package kube

import (
	"cmp"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/rainbond-exporter/rainbond-exporter/fault"
)

// The labels by which rainbond-operator marks what it makes
// (util/rbdutil/rbdutil.go), and its own Deployment, which bears only a name.
const (
	labelName     = "name"
	labelBelongTo = "belongTo"
	labelCreator  = "creator"
	operator      = "rainbond-operator"
	creator       = "Rainbond"

	labelHostnameK3s = "k3s.io/hostname" // beside corev1.LabelHostname
	labelRoles       = "node-role.kubernetes.io"
	labelRoleOld     = "kubernetes.io/role"
)

func node(n *corev1.Node) (fault.Node, bool) {
	kept := fault.Node{
		Name:     n.Name,
		Created:  n.CreationTimestamp.Time,
		Hostname: cmp.Or(n.Labels[corev1.LabelHostname], n.Labels[labelHostnameK3s]),
		Cordoned: n.Spec.Unschedulable,
	}
	for key := range n.Labels {
		if strings.HasPrefix(key, labelRoles) || key == labelRoleOld {
			kept.RoleKeys = append(kept.RoleKeys, key)
		}
	}
	slices.Sort(kept.RoleKeys)
	for _, address := range n.Status.Addresses {
		kept.Addresses = append(kept.Addresses, address.Address)
	}
	for _, condition := range n.Status.Conditions {
		is := condition.Status == corev1.ConditionTrue
		switch condition.Type {
		case corev1.NodeReady:
			kept.Ready = is
		case corev1.NodeDiskPressure:
			kept.DiskPressure = is
		}
	}
	return kept, true
}

func deployment(d *appsv1.Deployment) (fault.Workload, bool) {
	w, ours := workload(d.ObjectMeta, "Deployment", replicas(d.Spec.Replicas), d.Status.ReadyReplicas)
	w.Version = version(w.Component, d.Spec.Template.Spec)
	return w, ours
}

// version returns the tag of rbd-api's image, which is Rainbond's version; ""
// for other components, and for an image without a tag.
func version(component string, spec corev1.PodSpec) string {
	if component != "rbd-api" || len(spec.Containers) == 0 {
		return ""
	}
	image, _, _ := strings.Cut(spec.Containers[0].Image, "@")
	_, tag, _ := strings.Cut(image[strings.LastIndexByte(image, '/')+1:], ":")
	return strings.Clone(tag)
}

func statefulSet(s *appsv1.StatefulSet) (fault.Workload, bool) {
	return workload(s.ObjectMeta, "StatefulSet", replicas(s.Spec.Replicas), s.Status.ReadyReplicas)
}

func daemonSet(d *appsv1.DaemonSet) (fault.Workload, bool) {
	kept, ours := workload(d.ObjectMeta, "DaemonSet", d.Status.DesiredNumberScheduled, d.Status.NumberReady)
	kept.Pinned, kept.Version = pinned(d.Spec.Template.Spec), version(kept.Component, d.Spec.Template.Spec)
	return kept, ours
}

// pinned names the nodes that a pod's affinity requires. The operator pins
// rbd-chaos to those of nodesForChaos, by either host name label.
func pinned(spec corev1.PodSpec) string {
	if spec.Affinity == nil || spec.Affinity.NodeAffinity == nil || spec.Affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution == nil {
		return ""
	}
	var names []string
	for _, term := range spec.Affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms {
		for _, required := range term.MatchExpressions {
			if (required.Key == corev1.LabelHostname || required.Key == labelHostnameK3s) && required.Operator == corev1.NodeSelectorOpIn {
				names = append(names, required.Values...)
			}
		}
	}
	slices.Sort(names)
	return strings.Join(slices.Compact(names), ", ")
}

// replicas is the number asked for; Kubernetes takes none said for one.
func replicas(said *int32) int32 {
	if said == nil {
		return 1
	}
	return *said
}

// workload keeps what the operator made, and the operator itself.
func workload(m metav1.ObjectMeta, kind string, desired, ready int32) (fault.Workload, bool) {
	ours := m.Labels[labelBelongTo] == operator || m.Labels[labelCreator] == creator ||
		kind == "Deployment" && m.Labels[labelName] == operator
	return fault.Workload{
		Component: cmp.Or(m.Labels[labelName], m.Name),
		Kind:      kind,
		Desired:   int(desired),
		Ready:     int(ready),
	}, ours
}

func pod(p *corev1.Pod) (fault.Pod, bool) {
	kept := fault.Pod{
		Name:      p.Name,
		UID:       string(p.UID),
		Component: p.Labels[labelName],
		Node:      p.Spec.NodeName,
		Phase:     string(p.Status.Phase),
		Evicted:   p.Status.Reason == "Evicted",
	}
	if owner := metav1.GetControllerOfNoCopy(p); owner != nil {
		kept.OwnerKind = owner.Kind
	}
	for _, condition := range p.Status.Conditions {
		switch {
		case condition.Type == corev1.PodReady:
			kept.Ready = condition.Status == corev1.ConditionTrue
		case condition.Type == corev1.PodScheduled && condition.Reason == corev1.PodReasonUnschedulable:
			kept.Unschedulable = cmp.Or(condition.Message, condition.Reason)
		}
	}
	// The pod's own containers stand first, init containers after them.
	for _, status := range slices.Concat(p.Status.ContainerStatuses, p.Status.InitContainerStatuses) {
		kept.Containers = append(kept.Containers, container(status))
	}
	return kept, true
}

func container(status corev1.ContainerStatus) fault.Container {
	kept := fault.Container{Name: status.Name, Ready: status.Ready, Restarts: int(status.RestartCount)}
	if waiting := status.State.Waiting; waiting != nil {
		kept.Waiting, kept.Message = waiting.Reason, waiting.Message
	}
	if before := status.LastTerminationState.Terminated; before != nil {
		kept.LastExit = before.Reason
	}
	if ended := status.State.Terminated; ended != nil {
		kept.LastExit = ended.Reason
		// An init container that ended well is ready, and has not failed.
		if !status.Ready || ended.ExitCode != 0 {
			kept.Terminated = ended.Reason
		}
	}
	return kept
}
