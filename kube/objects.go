package kube

import (
	"cmp"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/rainbond-exporter/rainbond-exporter/fault"
)

// The labels that rainbond-operator gives its objects
// (util/rbdutil/rbdutil.go), and the label of its own Deployment, which has only
// a name.
const (
	labelName     = "name"
	labelBelongTo = "belongTo"
	labelCreator  = "creator"
	operator      = "rainbond-operator"
	creator       = "Rainbond"

	labelAddresses   = "availableips"    // of the Secrets
	labelHostnameK3s = "k3s.io/hostname" // in addition to corev1.LabelHostname
	labelRoles       = "node-role.kubernetes.io"
	labelRoleOld     = "kubernetes.io/role"
)

// annotationRestarted is what kubectl rollout restart writes into a pod template.
const annotationRestarted = "kubectl.kubernetes.io/restartedAt"

func node(n *corev1.Node) (fault.Node, bool) {
	result := fault.Node{
		Name:     n.Name,
		Created:  n.CreationTimestamp.Time,
		Hostname: cmp.Or(n.Labels[corev1.LabelHostname], n.Labels[labelHostnameK3s]),
		Cordoned: n.Spec.Unschedulable,
	}
	for key := range n.Labels {
		if strings.HasPrefix(key, labelRoles) || key == labelRoleOld {
			result.RoleKeys = append(result.RoleKeys, key)
		}
	}
	slices.Sort(result.RoleKeys)
	for _, address := range n.Status.Addresses {
		result.Addresses = append(result.Addresses, address.Address)
	}
	for _, condition := range n.Status.Conditions {
		is := condition.Status == corev1.ConditionTrue
		switch condition.Type {
		case corev1.NodeReady:
			result.Ready = is
			if !is {
				result.NotReadySince = condition.LastTransitionTime.Time
				result.NotReadyReason = strings.TrimSuffix(condition.Reason+": "+condition.Message, ": ")
			}
		case corev1.NodeDiskPressure:
			result.DiskPressure = is
		}
	}
	return result, true
}

func deployment(d *appsv1.Deployment) (fault.Workload, bool) {
	w, ours := workload(d.ObjectMeta, "Deployment", replicas(d.Spec.Replicas), d.Status.ReadyReplicas)
	w.Version, w.RestartedAt = version(w.Component, d.Spec.Template.Spec), d.Spec.Template.Annotations[annotationRestarted]
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
	w, ours := workload(s.ObjectMeta, "StatefulSet", replicas(s.Spec.Replicas), s.Status.ReadyReplicas)
	w.RestartedAt = s.Spec.Template.Annotations[annotationRestarted]
	return w, ours
}

func daemonSet(d *appsv1.DaemonSet) (fault.Workload, bool) {
	result, ours := workload(d.ObjectMeta, "DaemonSet", d.Status.DesiredNumberScheduled, d.Status.NumberReady)
	result.Pinned, result.Version = pinned(d.Spec.Template.Spec), version(result.Component, d.Spec.Template.Spec)
	result.RestartedAt = d.Spec.Template.Annotations[annotationRestarted]
	return result, ours
}

// pinned returns the host names that a pod's affinity requires. The operator
// pins rbd-chaos to those of nodesForChaos, with either host name label.
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

// replicas returns spec.replicas, whose default in Kubernetes is 1.
func replicas(spec *int32) int32 {
	if spec == nil {
		return 1
	}
	return *spec
}

// workload returns true for an object that the operator created, and for the
// operator itself.
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
	result := fault.Pod{
		Name:      p.Name,
		UID:       string(p.UID),
		Component: p.Labels[labelName],
		Node:      p.Spec.NodeName,
		Phase:     string(p.Status.Phase),
		Evicted:   p.Status.Reason == "Evicted",

		Terminating: p.DeletionTimestamp != nil,
	}
	if p.Status.Phase == corev1.PodFailed {
		// Such as NodeAffinity, NodeShutdown, Terminated, UnexpectedAdmissionError.
		result.Failure = strings.TrimSuffix(cmp.Or(p.Status.Reason, "Failed")+": "+p.Status.Message, ": ")
	}
	if owner := metav1.GetControllerOfNoCopy(p); owner != nil {
		result.OwnerKind = owner.Kind
	}
	for _, condition := range p.Status.Conditions {
		switch {
		case condition.Type == corev1.PodReady:
			result.Ready = condition.Status == corev1.ConditionTrue
		case condition.Type == corev1.PodScheduled && condition.Reason == corev1.PodReasonUnschedulable:
			result.Unschedulable = cmp.Or(condition.Message, condition.Reason)
		}
	}
	if !result.Ready {
		result.NotReadySince = notReadySince(p)
	}
	// The pod's containers come before its init containers.
	for _, status := range slices.Concat(p.Status.ContainerStatuses, p.Status.InitContainerStatuses) {
		result.Containers = append(result.Containers, container(status))
	}
	return result, true
}

// notReadySince returns since when the pod is not ready. A pod whose containers
// restart becomes ready between the crashes, so its creation counts.
func notReadySince(p *corev1.Pod) time.Time {
	since := p.CreationTimestamp.Time
	for _, status := range p.Status.ContainerStatuses {
		if status.RestartCount > 0 {
			return since
		}
	}
	for _, condition := range p.Status.Conditions {
		if condition.Type == corev1.PodReady && condition.LastTransitionTime.After(since) {
			since = condition.LastTransitionTime.Time
		}
	}
	return since
}

func container(status corev1.ContainerStatus) fault.Container {
	result := fault.Container{Name: status.Name, Ready: status.Ready, Restarts: int(status.RestartCount)}
	if waiting := status.State.Waiting; waiting != nil {
		result.Waiting, result.Message = waiting.Reason, waiting.Message
	}
	if before := status.LastTerminationState.Terminated; before != nil {
		result.LastExit = before.Reason
	}
	if ended := status.State.Terminated; ended != nil {
		result.LastExit = ended.Reason
		// An init container that succeeded is ready, and has not failed.
		if !status.Ready || ended.ExitCode != 0 {
			result.Terminated = ended.Reason
		}
	}
	return result
}
