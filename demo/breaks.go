package demo

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// The ways in which pods and nodes fail, as the kubelet and the scheduler put
// them into words.

// unready takes the pod's readiness away.
func unready(p *corev1.Pod) {
	for i, c := range p.Status.Conditions {
		if c.Type == corev1.PodReady || c.Type == corev1.ContainersReady {
			p.Status.Conditions[i].Status = corev1.ConditionFalse
			p.Status.Conditions[i].Reason = "ContainersNotReady"
		}
	}
}

// halve leaves a pod's first container running and not ready.
func halve(p *corev1.Pod) {
	unready(p)
	p.Status.ContainerStatuses[0].Ready = false
}

// wait makes the pod's first container wait for the reason; before its first
// start the pod is pending.
func wait(p *corev1.Pod, reason, message string) {
	unready(p)
	p.Status.Phase = corev1.PodPending
	c := &p.Status.ContainerStatuses[0]
	c.Ready = false
	c.State = corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}}
}

// crashLoop lets the pod's first container end again and again.
func crashLoop(p *corev1.Pod, message string) {
	c := &p.Status.ContainerStatuses[0]
	wait(p, "CrashLoopBackOff", fmt.Sprintf("back-off 5m0s restarting failed container=%s pod=%s_%s(%s)", c.Name, p.Name, p.Namespace, p.UID))
	p.Status.Phase = corev1.PodRunning
	c.RestartCount = 27
	c.LastTerminationState = corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{Reason: "Error", ExitCode: 1, Message: message}}
}

// creating lets the pod wait for what it cannot mount. The kubelet tells of
// the volume in events only.
func creating(p *corev1.Pod) { wait(p, "ContainerCreating", "") }

// pend leaves the pod without a node.
func pend(p *corev1.Pod, message string) {
	p.Spec.NodeName = ""
	p.Status = corev1.PodStatus{Phase: corev1.PodPending, Conditions: []corev1.PodCondition{
		{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: corev1.PodReasonUnschedulable, Message: message},
	}}
}

// end makes the pod one whose containers have all ended.
func end(p *corev1.Pod, phase corev1.PodPhase, exit int32, reason string) {
	unready(p)
	p.Status.Phase = phase
	for i := range p.Status.ContainerStatuses {
		c := &p.Status.ContainerStatuses[i]
		c.Ready = false
		c.State = corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: exit, Reason: reason}}
	}
}

// evict makes the pod what the kubelet leaves lying about after an eviction.
func evict(p *corev1.Pod) {
	p.Status = corev1.PodStatus{
		Phase: corev1.PodFailed, Reason: "Evicted", StartTime: &metav1.Time{Time: p.CreationTimestamp.Time},
		Message: "The node was low on resource: ephemeral-storage. Threshold quantity: 5368709120, available: 4718592Ki. ",
	}
}

// pressure takes the node for full: no pod is placed there any more, and the
// named components' pods are evicted and find no other node.
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
		pend(fresh, "0/5 nodes are available: 1 node(s) had untolerated taint {node.kubernetes.io/disk-pressure: }, 4 Insufficient memory. "+
			"preemption: 0/5 nodes are available: 5 Preemption is not helpful for scheduling.")
		evict(old)
		c.pods = append(c.pods, fresh)
	}
}
