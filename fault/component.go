package fault

import (
	"cmp"
	"slices"
	"time"
)

// A Component is the state of one workload of the platform and of its pods.
type Component struct {
	Workload
	// Waiting counts the pods that should be ready and are not, by reason;
	// empty when the component is healthy.
	Waiting map[Reason]int
	// Messages holds one message of the kubelet or scheduler for each reason,
	// in the form "pod: message".
	Messages map[Reason]string
	// Since holds, for each reason, since when the first pod is not ready. A reason
	// without a pod, or whose pods do not state it, has none.
	Since map[Reason]time.Time
}

// Why a pod is not ready. A kubelet's reason that is not listed is Other.
const (
	CrashLoop     Reason = "CrashLoopBackOff"
	ImagePull     Reason = "ImagePullBackOff"           // ErrImagePull and the like too
	Creating      Reason = "ContainerCreating"          // a volume that does not mount, a network that is not set up
	FailedMount   Reason = "FailedMount"                // the kubelet names the volume or Secret; found in events only
	FailedSandbox Reason = "FailedCreatePodSandBox"     // mostly the network plugin; found in events only
	ConfigError   Reason = "CreateContainerConfigError" // a Secret or ConfigMap that is missing, a command that does not exist
	OutOfMemory   Reason = "OOMKilled"
	Crashed       Reason = "Error" // terminated, and not yet restarted
	Unschedulable Reason = "Unschedulable"
	Evicted       Reason = "Evicted"
	NodeLost      Reason = "NodeLost"   // its node is not ready
	Unready       Reason = "NotReady"   // running, and its readiness probe fails
	NoPod         Reason = "NoPod"      // pods are desired and none exists
	NoWorkload    Reason = "NoWorkload" // its RbdComponent exists, and the operator created no workload
	NoNode        Reason = "NoNode"     // a DaemonSet with 0 desired pods: it is pinned to a node that does not exist
)

// WaitReasons lists why a pod can be not ready, in display order.
var WaitReasons = []Reason{CrashLoop, ImagePull, ConfigError, Creating, FailedMount, FailedSandbox, OutOfMemory, Crashed, Unschedulable, Evicted, NodeLost, Unready, NoPod, NoWorkload, NoNode, Other}

// SandboxAge is the age up to which a message about a sandbox is used: a sandbox
// that failed once may exist now. The kubelet tries again within seconds, and sends
// an event at least every five minutes.
const SandboxAge = 10 * time.Minute

// kubeletReasons maps the kubelet's reasons for a waiting container
// (kubernetes, pkg/kubelet/images/types.go and container/sync_result.go).
var kubeletReasons = map[string]Reason{
	"CrashLoopBackOff":           CrashLoop,
	"ImagePullBackOff":           ImagePull,
	"ErrImagePull":               ImagePull,
	"ErrImageNeverPull":          ImagePull,
	"InvalidImageName":           ImagePull,
	"ImageInspectError":          ImagePull,
	"RegistryUnavailable":        ImagePull,
	"ContainerCreating":          Creating,
	"PodInitializing":            Creating,
	"CreateContainerConfigError": ConfigError,
	"CreateContainerError":       ConfigError,
	"RunContainerError":          ConfigError,
}

// KindNone is the kind of a component that has no workload.
const KindNone = "none"

// FromWorkloads returns the state of each workload of the platform and of each
// expected component without a workload, sorted by name and kind. It ignores
// the pods of Jobs and pods that have terminated. An evicted pod is reported
// while its component has too few ready pods.
func FromWorkloads(workloads []Workload, pods []Pod, expected []string) []Component {
	for _, name := range expected {
		if !slices.ContainsFunc(workloads, func(w Workload) bool { return w.Component == name }) {
			workloads = append(slices.Clip(workloads), Workload{Component: name, Kind: KindNone, Desired: 1})
		}
	}
	var all []Component
	for _, w := range workloads {
		c := Component{Workload: w, Waiting: map[Reason]int{}, Messages: map[Reason]string{}, Since: map[Reason]time.Time{}}
		c.evaluate(pods)
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b Component) int {
		return cmp.Or(cmp.Compare(a.Component, b.Component), cmp.Compare(a.Kind, b.Kind))
	})
	return all
}

// evaluate sets why pods are missing. Pods are those of all components.
func (c *Component) evaluate(pods []Pod) {
	if c.Desired == 0 && c.Kind == "DaemonSet" {
		message := "no node matches its node affinity"
		if c.Pinned != "" {
			message = "it runs only on " + c.Pinned + ", and this node does not exist"
		}
		c.wait(NoNode, message)
		return
	}
	if c.Kind == KindNone {
		c.wait(NoWorkload, "the RbdComponent exists without a Deployment, StatefulSet or DaemonSet")
		return
	}
	if c.Ready >= c.Desired {
		return
	}
	active, evicted, failed := 0, Pod{}, Pod{}
	for _, p := range pods {
		switch {
		case p.Component != c.Component || p.OwnerKind == "Job":
		case p.Evicted:
			evicted = p
		case p.Phase == "Succeeded":
		case p.Phase == "Failed":
			failed = p
		default:
			active++
			if reason, message := p.waitReason(); reason != "" {
				c.wait(reason, p.Name+": "+message)
				if first, ok := c.Since[reason]; !p.NotReadySince.IsZero() && (!ok || p.NotReadySince.Before(first)) {
					c.Since[reason] = p.NotReadySince
				}
			}
		}
	}
	switch {
	case len(c.Waiting) > 0 && (evicted.Name == "" || c.Waiting[Unschedulable] == 0):
	case evicted.Name != "":
		// Its replacement, if any, is pending for the same cause.
		c.wait(Evicted, evicted.Name+": evicted from "+evicted.Node)
	case active == 0 && failed.Failure != "":
		c.wait(NoPod, failed.Name+": "+failed.Failure)
	case active == 0:
		c.wait(NoPod, "no pod exists")
	default:
		c.wait(Other, "the pods are ready, but the workload reports fewer ready pods than desired")
	}
}

// wait counts a pod for the reason. The first message of each reason is kept.
func (c *Component) wait(reason Reason, message string) {
	c.Waiting[reason]++
	if c.Messages[reason] == "" {
		c.Messages[reason] = message
	}
}

// Creating reports whether the pod may be waiting for a volume or its sandbox. Its
// events then name the cause.
func (p Pod) Creating() bool {
	if p.Ready || p.Evicted || p.NodeDown || p.Unschedulable != "" || p.Phase != "Pending" {
		return false
	}
	reason, _ := p.waitReason()
	return reason == Creating
}

// waitReason returns why the pod is not ready, with a message; "" when it is
// ready.
func (p Pod) waitReason() (Reason, string) {
	if p.NodeDown {
		message := "node " + p.Node + " is not ready"
		if p.Terminating {
			message = "Terminating, and " + message
		}
		return NodeLost, message
	}
	if p.Unschedulable != "" {
		return Unschedulable, p.Unschedulable
	}
	for _, c := range p.Containers {
		if c.Waiting == "" {
			continue
		}
		reason, ok := kubeletReasons[c.Waiting]
		if !ok {
			reason = Other
		}
		if reason == CrashLoop && c.LastExit == string(OutOfMemory) {
			reason = OutOfMemory
		}
		if reason == Creating {
			return p.creating(c.message())
		}
		return reason, c.message()
	}
	for _, c := range p.Containers {
		if !c.Ready && c.Terminated != "" {
			if c.Terminated == string(OutOfMemory) {
				return OutOfMemory, c.message()
			}
			return Crashed, c.message()
		}
	}
	switch {
	case p.Ready:
		return "", ""
	case p.Phase == "Pending":
		return p.creating("the kubelet has not started it yet")
	}
	for _, c := range p.Containers {
		if !c.Ready {
			return Unready, "container " + c.Name + " is running and not ready"
		}
	}
	return Unready, "the pod is running and not ready"
}

// creating returns why the kubelet has not created the containers: the last step
// that failed, or else Creating with the message.
func (p Pod) creating(message string) (Reason, string) {
	switch {
	case p.Sandbox != "":
		return FailedSandbox, p.Sandbox
	case p.Mount != "":
		return FailedMount, p.Mount
	}
	return Creating, message
}

// message describes a container that does not run, in the kubelet's terms.
func (c Container) message() string {
	text := "container " + c.Name + ": " + cmp.Or(c.Waiting, c.Terminated)
	if c.LastExit != "" {
		text += ", last terminated with " + c.LastExit
	}
	if c.Message != "" {
		text += ": " + c.Message
	}
	return text
}
