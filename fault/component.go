package fault

import (
	"cmp"
	"slices"
)

// A Component is what the pods of one component of the platform come to.
type Component struct {
	Workload
	// Waiting counts the pods that should be ready and are not, by what they
	// wait for; empty when the component is well.
	Waiting map[Reason]int
	// Messages are the kubelet's or scheduler's own, by reason: "pod: message".
	Messages map[Reason]string
}

// What a pod waits for. A kubelet's reason that is not listed is Other.
const (
	CrashLoop     Reason = "CrashLoopBackOff"
	ImagePull     Reason = "ImagePullBackOff"           // ErrImagePull and the like too
	Creating      Reason = "ContainerCreating"          // a volume that will not mount, a network that will not come
	FailedMount   Reason = "FailedMount"                // the kubelet says which volume or Secret; seen in events only
	ConfigError   Reason = "CreateContainerConfigError" // a Secret or ConfigMap that is missing, a command that does not exist
	OutOfMemory   Reason = "OOMKilled"
	Crashed       Reason = "Error" // ended, and not yet started again
	Unschedulable Reason = "Unschedulable"
	Evicted       Reason = "Evicted"
	Unready       Reason = "NotReady"   // runs, and its readiness probe fails
	NoPod         Reason = "NoPod"      // pods are desired and none exists
	NoWorkload    Reason = "NoWorkload" // the operator was told to run it and has made nothing
	NoNode        Reason = "NoNode"     // a DaemonSet that no node is meant for: it is pinned to a node that does not exist
)

// WaitReasons lists what a pod can wait for, in display order.
var WaitReasons = []Reason{CrashLoop, ImagePull, ConfigError, Creating, FailedMount, OutOfMemory, Crashed, Unschedulable, Evicted, Unready, NoPod, NoWorkload, NoNode, Other}

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

// FromWorkloads judges the workloads of the platform by their pods, and those
// components that are expected and have no workload at all. Jobs, ended pods
// and what carries a component's name by accident are left out; an evicted
// pod counts while its component is short of pods.
func FromWorkloads(workloads []Workload, pods []Pod, expected []string) []Component {
	byName := map[string][]Pod{}
	for _, p := range pods {
		if p.OwnerKind != "Job" {
			byName[p.Component] = append(byName[p.Component], p)
		}
	}
	for _, name := range expected {
		if !slices.ContainsFunc(workloads, func(w Workload) bool { return w.Component == name }) {
			workloads = append(slices.Clip(workloads), Workload{Component: name, Kind: KindNone, Desired: 1})
		}
	}
	var all []Component
	for _, w := range workloads {
		c := Component{Workload: w, Waiting: map[Reason]int{}, Messages: map[Reason]string{}}
		c.judge(byName[w.Component])
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b Component) int {
		return cmp.Or(cmp.Compare(a.Component, b.Component), cmp.Compare(a.Kind, b.Kind))
	})
	return all
}

func (c *Component) judge(pods []Pod) {
	if c.Desired == 0 && c.Kind == "DaemonSet" {
		words := "no node is meant for it"
		if c.Pinned != "" {
			words = "it may run on " + c.Pinned + " only, and no such node is there"
		}
		c.wait(NoNode, words)
		return
	}
	if c.Kind == KindNone {
		c.wait(NoWorkload, "its RbdComponent exists, and no Deployment, StatefulSet or DaemonSet")
		return
	}
	if c.Ready >= c.Desired {
		return
	}
	living, evicted := 0, Pod{}
	for _, p := range pods {
		switch {
		case p.Evicted:
			evicted = p
		case p.Phase == "Succeeded" || p.Phase == "Failed":
		default:
			living++
			if reason, words := p.waits(); reason != "" {
				c.wait(reason, p.Name+": "+words)
			}
		}
	}
	switch {
	case len(c.Waiting) > 0 && (evicted.Name == "" || c.Waiting[Unschedulable] == 0):
	case evicted.Name != "":
		// The pod in its place is pending for the same cause, if there is one.
		c.wait(Evicted, evicted.Name+": evicted from "+evicted.Node)
	case living == 0:
		c.wait(NoPod, "no pod exists")
	default:
		c.wait(Other, "the pods are well and the workload says that they are not ready")
	}
}

func (c *Component) wait(reason Reason, words string) {
	c.Waiting[reason]++
	if c.Messages[reason] == "" {
		c.Messages[reason] = words
	}
}

// Mounting says whether the pod may be waiting for a volume, so that it is
// worth asking the events which.
func (p Pod) Mounting() bool {
	if p.Ready || p.Evicted || p.Unschedulable != "" || p.Phase != "Pending" {
		return false
	}
	reason, _ := p.waits()
	return reason == Creating
}

// waits says what a pod waits for, and in which words; "" when it is ready.
func (p Pod) waits() (Reason, string) {
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
		if reason == Creating && p.Mount != "" {
			return FailedMount, p.Mount
		}
		return reason, c.words()
	}
	for _, c := range p.Containers {
		if !c.Ready && c.Terminated != "" {
			if c.Terminated == string(OutOfMemory) {
				return OutOfMemory, c.words()
			}
			return Crashed, c.words()
		}
	}
	switch {
	case p.Ready:
		return "", ""
	case p.Mount != "" && p.Phase == "Pending":
		return FailedMount, p.Mount
	case p.Phase == "Pending":
		return Creating, "the kubelet has not started it yet"
	}
	for _, c := range p.Containers {
		if !c.Ready {
			return Unready, "container " + c.Name + " runs and is not ready"
		}
	}
	return Unready, "the pod runs and is not ready"
}

// words are what the kubelet says of a container that does not run.
func (c Container) words() string {
	text := "container " + c.Name + ": " + cmp.Or(c.Waiting, c.Terminated)
	if c.LastExit != "" {
		text += ", last ended with " + c.LastExit
	}
	if c.Message != "" {
		text += ": " + c.Message
	}
	return text
}
