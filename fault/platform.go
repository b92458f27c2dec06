package fault

import "time"

// A Node holds the fields of a Kubernetes node that are evaluated.
type Node struct {
	Name    string
	Created time.Time
	// RoleKeys are the label keys that start with node-role.kubernetes.io,
	// or are kubernetes.io/role. Values do not matter to Rainbond.
	RoleKeys []string
	Hostname string // the label kubernetes.io/hostname (or k3s.io/hostname), with which the operator pins gateway and chaos
	Cordoned bool
	// Addresses are the node's addresses of any type.
	Addresses    []string
	Ready        bool
	DiskPressure bool
	// NotReadySince is when the node became not ready; zero if it is ready or the time is unknown.
	NotReadySince time.Time
	// NotReadyReason is the reason and message of the kubelet or the node controller.
	NotReadyReason string
}

// A Workload is a Deployment, StatefulSet or DaemonSet of the platform.
type Workload struct {
	Component string // the label "name": rbd-api, rbd-chaos, ...
	Kind      string // Deployment, StatefulSet or DaemonSet
	Desired   int
	Ready     int
	// Version is the tag of rbd-api's image, such as v6.9.8-release; "" for
	// other components.
	Version string
	// RestartedAt is the time that kubectl rollout restart wrote into the pod
	// template; "" without it.
	RestartedAt string
	// Pinned lists, as text, the node names that a DaemonSet's affinity
	// requires; "" when it runs on any node.
	Pinned string
}

// A Pod holds the fields of a pod that are evaluated.
type Pod struct {
	Name      string
	UID       string
	Component string // the label "name"
	Node      string
	OwnerKind string // ReplicaSet, StatefulSet, DaemonSet, Job, or "" for a bare pod
	Phase     string // Pending, Running, Succeeded, Failed
	Evicted   bool   // status.reason is Evicted
	Failure   string // why a pod in phase Failed was rejected or ended, such as "NodeAffinity: …"; "" otherwise
	Ready     bool   // the Ready condition
	// NotReadySince is the time at which the pod became unready, or was created if a
	// container has restarted. Zero if it is unknown or the pod is ready.
	NotReadySince time.Time
	Terminating   bool // deleted, and not yet gone
	NodeDown      bool // its node is down; see DownNodes
	// Unschedulable is the scheduler's message; "" when the pod has a node.
	Unschedulable string
	// Mount is the kubelet's last message about a volume that it cannot mount;
	// "" when there is none or the events were not read.
	Mount string
	// Sandbox is the kubelet's last message about the pod's sandbox, which it
	// creates after mounting the volumes; "" as above.
	Sandbox    string
	Containers []Container
}

// A Container is one container, init containers included.
type Container struct {
	Name       string
	Ready      bool
	Waiting    string // reason: CrashLoopBackOff, ImagePullBackOff, ContainerCreating, ...
	Message    string // the kubelet's message for the reason
	Terminated string // reason of the current termination; "" for an init container that completed
	LastExit   string // reason of the last termination: Error, OOMKilled, ...
	Restarts   int
}

// A Filesystem holds the result of statfs for one mount.
type Filesystem struct {
	At                time.Time // when statfs returned
	Size, Free, Avail float64   // bytes; Avail is available to users other than root
	Files, FilesFree  float64   // inodes
	ReadOnly          bool
}
