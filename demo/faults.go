package demo

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// The faults of pods and nodes, as the kubelet and the scheduler report them.

// unready makes the pod not ready.
func unready(p *corev1.Pod) {
	for i, c := range p.Status.Conditions {
		if c.Type == corev1.PodReady || c.Type == corev1.ContainersReady {
			p.Status.Conditions[i].Status = corev1.ConditionFalse
			p.Status.Conditions[i].Reason = "ContainersNotReady"
		}
	}
}

// firstContainerNotReady makes the pod's first container not ready while it
// runs.
func firstContainerNotReady(p *corev1.Pod) {
	unready(p)
	p.Status.ContainerStatuses[0].Ready = false
}

// waiting makes the pod's first container wait with the reason, before its
// first start: the pod is pending.
func waiting(p *corev1.Pod, reason, message string) {
	unready(p)
	p.Status.Phase = corev1.PodPending
	c := &p.Status.ContainerStatuses[0]
	c.Ready = false
	c.State = corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}}
}

// crashLoop makes the pod's first container crash loop.
func crashLoop(p *corev1.Pod, message string) {
	c := &p.Status.ContainerStatuses[0]
	waiting(p, "CrashLoopBackOff", fmt.Sprintf("back-off 5m0s restarting failed container=%s pod=%s_%s(%s)", c.Name, p.Name, p.Namespace, p.UID))
	p.Status.Phase = corev1.PodRunning
	c.RestartCount = 27
	c.LastTerminationState = corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{Reason: "Error", ExitCode: 1, Message: message}}
}

// containerCreating makes the pod wait for a volume. The kubelet reports the
// volume only in events.
func containerCreating(p *corev1.Pod) { waiting(p, "ContainerCreating", "") }

// unschedulable makes the pod pending without a node.
func unschedulable(p *corev1.Pod, message string) {
	p.Spec.NodeName = ""
	p.Status = corev1.PodStatus{Phase: corev1.PodPending, Conditions: []corev1.PodCondition{
		{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: corev1.PodReasonUnschedulable, Message: message},
	}}
}

// terminate makes all containers of the pod terminated.
func terminate(p *corev1.Pod, phase corev1.PodPhase, exit int32, reason string) {
	unready(p)
	p.Status.Phase = phase
	for i := range p.Status.ContainerStatuses {
		c := &p.Status.ContainerStatuses[i]
		c.Ready = false
		c.State = corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: exit, Reason: reason}}
	}
}

// evict makes the pod an evicted one, as the kubelet leaves it.
func evict(p *corev1.Pod) {
	p.Status = corev1.PodStatus{
		Phase: corev1.PodFailed, Reason: "Evicted", StartTime: &metav1.Time{Time: p.CreationTimestamp.Time},
		Message: "The node was low on resource: ephemeral-storage. Threshold quantity: 5368709120, available: 4718592Ki. ",
	}
}

// down makes the node not ready, and its pods stay on it, deleted. A pod of a
// Deployment has a replacement that no other node has room for.
func (w *world) down(node string) {
	n := w.node(node)
	since := w.ago(downFor)
	for i, c := range n.Status.Conditions {
		n.Status.Conditions[i].Status, n.Status.Conditions[i].LastTransitionTime = corev1.ConditionUnknown, since
		n.Status.Conditions[i].Reason, n.Status.Conditions[i].Message = "NodeStatusUnknown", "Kubelet stopped posting node status."
		if c.Type == corev1.NodeReady {
			n.Spec.Taints = append(n.Spec.Taints, corev1.Taint{Key: corev1.TaintNodeUnreachable, Effect: corev1.TaintEffectNoExecute})
		}
	}
	for _, c := range w.components {
		for _, p := range c.pods {
			if p.Spec.NodeName != n.Name {
				continue
			}
			unready(p)
			for i := range p.Status.Conditions {
				p.Status.Conditions[i].LastTransitionTime = since
			}
			if c.kind == "DaemonSet" { // tolerates that forever
				continue
			}
			p.DeletionTimestamp = &since
			if c.kind == "Deployment" {
				fresh := w.newPod(podName(c.name, c.kind, 1000+len(c.pods)), ownerOf(c.name, c.kind), c.labels, "", c.name)
				fresh.CreationTimestamp = since
				unschedulable(fresh, "0/5 nodes are available: 1 node(s) had untolerated taint {node.kubernetes.io/unreachable: }, 4 Insufficient memory.")
				c.pods = append(c.pods, fresh)
			}
		}
	}
}

// downFor is how long a node has been down in the scenarios.
const downFor = 20 * time.Minute

// pressure puts the node under disk pressure: the kubelet evicts the pods of
// the given components, and their replacements cannot be scheduled.
func (w *world) pressure(node string, components ...string) {
	n := w.node(node)
	for i, c := range n.Status.Conditions {
		if c.Type == corev1.NodeDiskPressure {
			n.Status.Conditions[i].Status, n.Status.Conditions[i].Reason = corev1.ConditionTrue, "KubeletHasDiskPressure"
		}
	}
	n.Spec.Taints = append(n.Spec.Taints, corev1.Taint{Key: corev1.TaintNodeDiskPressure, Effect: corev1.TaintEffectNoSchedule})
	for _, name := range components {
		c, old := w.component(name), w.pod(name)
		fresh := w.newPod(podName(name, c.kind, 1000+len(c.pods)), ownerOf(name, c.kind), c.labels, "", name)
		unschedulable(fresh, "0/5 nodes are available: 1 node(s) had untolerated taint {node.kubernetes.io/disk-pressure: }, 4 Insufficient memory. "+
			"preemption: 0/5 nodes are available: 5 Preemption is not helpful for scheduling.")
		evict(old)
		c.pods = append(c.pods, fresh)
	}
}
