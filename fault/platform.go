package fault

import "time"

// A Node is the little of a Kubernetes node that we judge.
type Node struct {
	Name    string
	Created time.Time
	// RoleKeys are the label keys that start with node-role.kubernetes.io,
	// or are kubernetes.io/role. Values do not matter to Rainbond.
	RoleKeys []string
	Hostname string // the label kubernetes.io/hostname (or k3s.io/hostname), by which the operator pins gateway and chaos
	Cordoned bool
	// Addresses are the node's addresses of any type.
	Addresses    []string
	Ready        bool
	DiskPressure bool
}

// A Workload is a Deployment, StatefulSet or DaemonSet of the platform.
type Workload struct {
	Component string // the label "name": rbd-api, rbd-chaos, ...
	Kind      string // Deployment, StatefulSet or DaemonSet
	Desired   int
	Ready     int
	// Pinned is, in words, where a DaemonSet may run: the node names that its
	// affinity requires; "" when it may run anywhere.
	Pinned string
}

// A Pod is the little of a pod that we judge.
type Pod struct {
	Name      string
	UID       string
	Component string // the label "name"
	Node      string
	OwnerKind string // ReplicaSet, StatefulSet, DaemonSet, Job, or "" for a bare pod
	Phase     string // Pending, Running, Succeeded, Failed
	Evicted   bool   // status.reason is Evicted
	Ready     bool   // the Ready condition
	// Unschedulable is the scheduler's message; "" when the pod has a node.
	Unschedulable string
	// Mount is what the kubelet said last of a volume that it cannot mount;
	// "" when it said nothing, or nobody asked.
	Mount      string
	Containers []Container
}

// A Container is one container, init containers included.
type Container struct {
	Name       string
	Ready      bool
	Waiting    string // reason: CrashLoopBackOff, ImagePullBackOff, ContainerCreating, ...
	Message    string // the kubelet's words beside the reason
	Terminated string // reason of a termination that nothing has followed yet; "" for an init container that ended well
	LastExit   string // reason of the last termination: Error, OOMKilled, ...
	Restarts   int
}

// A Filesystem is what statfs says of one mount.
type Filesystem struct {
	At                time.Time // when it was said
	Size, Free, Avail float64   // bytes; Avail is what an ordinary user may still take
	Files, FilesFree  float64   // inodes
	ReadOnly          bool
}
