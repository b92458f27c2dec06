package fault

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestRoleLabelValuesAreIgnored(t *testing.T) {
	now := time.Date(2026, 11, 24, 3, 0, 0, 0, time.UTC)
	old, young := now.Add(-time.Hour), now.Add(-time.Minute)
	justIn, justOut := now.Add(-JoiningTime), now.Add(-5*time.Minute-time.Second)
	nodes := []Node{
		{Name: "kubeadm", Created: old, RoleKeys: []string{"node-role.kubernetes.io/control-plane"}},
		{Name: "rke2", Created: old, RoleKeys: []string{"node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master", "node-role.kubernetes.io/etcd"}},
		{Name: "k3s-server", Created: old, RoleKeys: []string{"node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/etcd"}},
		{Name: "k3s-agent", Created: old},
		{Name: "rke1", Created: old, RoleKeys: []string{"node-role.kubernetes.io/controlplane", "node-role.kubernetes.io/etcd"}},
		{Name: "worker", Created: old, RoleKeys: []string{"node-role.kubernetes.io/worker"}},
		{Name: "old-master", Created: old, RoleKeys: []string{"node-role.kubernetes.io/master"}},
		{Name: "edge", Created: old, RoleKeys: []string{"node-role.kubernetes.io/edge"}},
		{Name: "bare", Created: old, RoleKeys: []string{"node-role.kubernetes.io"}},
		{Name: "suffix", Created: old, RoleKeys: []string{"node-role.kubernetes.io.gpu", "node-role.kubernetes.io/worker"}},
		{Name: "bare-cordoned", Created: old, Cordoned: true, RoleKeys: []string{"node-role.kubernetes.io"}},
		{Name: "old-key", Created: old, RoleKeys: []string{"kubernetes.io/role"}},
		{Name: "none", Created: justOut},
		{Name: "joining", Created: young},
		{Name: "joined", Created: justIn},
		{Name: "cordoned", Created: old, Cordoned: true},
	}
	got := FromNodes(nodes, DefaultRoleNames, true, now)
	if want := map[string]int{Worker: 2, ControlPlane: 5, NoRole: 8}; !maps.Equal(got.Count, want) {
		t.Errorf("counts %v, want %v", got.Count, want)
	}
	names := func(nodes []Node) string {
		var all []string
		for _, n := range nodes {
			all = append(all, n.Name)
		}
		return strings.Join(all, " ")
	}
	if got := names(got.Missing); got != "k3s-agent old-key none" {
		t.Errorf("missing: %s", got)
	}
	if got := names(got.Malformed); got != "bare suffix bare-cordoned" {
		t.Errorf("malformed: %s", got)
	}
	others := FromNodes(nodes, RoleNames{Worker: {"edge", "worker"}, ControlPlane: {"etcd"}}, true, now)
	if want := map[string]int{Worker: 3, ControlPlane: 3, NoRole: 8}; !maps.Equal(others.Count, want) {
		t.Errorf("with other names: counts %v, want %v", others.Count, want)
	}
}

func TestMissingRolesSinceV513(t *testing.T) {
	now := time.Date(2026, 11, 24, 3, 0, 0, 0, time.UTC)
	node := func(name string, roles ...string) Node {
		n := Node{Name: name, Created: now.Add(-time.Hour)}
		for _, role := range roles {
			n.RoleKeys = append(n.RoleKeys, RoleKey+"/"+role)
		}
		return n
	}
	server, worker, none := node("server", "control-plane", "etcd"), node("worker", "worker"), node("none")
	for _, test := range []struct {
		name    string
		nodes   []Node
		missing int
	}{
		{"managed, no role labels", []Node{none, none, none}, 0},
		{"stock K3s, one node", []Node{server}, 0},
		{"stock K3s, one agent", []Node{server, server, server, none}, 0},
		{"kubeadm, two workers", []Node{server, none, none}, 0},
		{"one of five lost it", []Node{server, worker, worker, worker, none}, 1},
		{"two of five lost it", []Node{server, worker, worker, none, none}, 2},
		{"most nodes never had one", []Node{server, worker, none, none, none}, 0},
	} {
		if got := FromNodes(test.nodes, DefaultRoleNames, false, now); len(got.Missing) != test.missing {
			t.Errorf("%s: %d missing, want %d", test.name, len(got.Missing), test.missing)
		}
	}
}

func TestRolesAreRequiredBeforeV513(t *testing.T) {
	for version, want := range map[string]bool{
		"v5.12.0-release": true, "v5.2.2": true, "5.8.1": true, "v5.13.0-release": false, "v5.17.3-release": false, "v6.9.8-release": false,
		"latest": false, "": false,
	} {
		if got := RolesRequired([]Workload{{Component: "rbd-mq", Version: "v5.1"}, {Component: "rbd-api", Version: version}}); got != want {
			t.Errorf("%q: got %t", version, got)
		}
	}
	if RolesRequired(nil) {
		t.Error("true without rbd-api")
	}
}

func TestAddressWithoutNode(t *testing.T) {
	nodes := []Node{{Addresses: []string{"node-1", "10.0.0.1"}}, {Addresses: []string{"10.0.0.2", "fd00::2"}}}
	for _, row := range []struct {
		url, address string
		withoutNode  bool
	}{
		{"https://10.0.0.2:8443", "10.0.0.2", false},
		{"https://[fd00:0::2]:8443", "fd00::2", false},
		{"https://10.0.0.9:8443", "10.0.0.9", true},
		{"https://region.example:8443", "region.example", false},
		{"https://[", "", false},
	} {
		if address, withoutNode := AddressWithoutNode(row.url, nodes); address != row.address || withoutNode != row.withoutNode {
			t.Errorf("%s: %s, %v", row.url, address, withoutNode)
		}
	}
	if _, withoutNode := AddressWithoutNode("https://10.0.0.9:8443", nil); withoutNode {
		t.Error("true without nodes, but nothing is known")
	}
	if got := Addresses(nodes); got != "10.0.0.1, 10.0.0.2, fd00::2" {
		t.Errorf("addresses: %s", got)
	}
}

func TestWaitReasonOfComponents(t *testing.T) {
	chaos := func(kind string, desired, ready int) Workload {
		return Workload{Component: "rbd-chaos", Kind: kind, Desired: desired, Ready: ready}
	}
	pod := func(p Pod) Pod {
		p.Component, p.OwnerKind = "rbd-chaos", "ReplicaSet"
		if p.Name == "" {
			p.Name = "rbd-chaos-1"
		}
		if p.Phase == "" {
			p.Phase = "Running"
		}
		return p
	}
	for _, row := range []struct {
		name     string
		workload Workload
		pods     []Pod
		want     string
	}{
		{"ready", chaos("Deployment", 1, 1), []Pod{pod(Pod{Ready: true})}, ""},
		{"scaled to zero", chaos("Deployment", 0, 0), nil, ""},
		{"crash loop", chaos("Deployment", 1, 0), []Pod{pod(Pod{Containers: []Container{{Name: "c", Waiting: "CrashLoopBackOff", LastExit: "Error", Message: "back-off 5m0s"}}})},
			"CrashLoopBackOff 1 rbd-chaos-1: container c: CrashLoopBackOff, last terminated with Error: back-off 5m0s"},
		{"out of memory repeatedly", chaos("Deployment", 1, 0), []Pod{pod(Pod{Containers: []Container{{Name: "c", Waiting: "CrashLoopBackOff", LastExit: "OOMKilled"}}})},
			"OOMKilled 1 rbd-chaos-1: container c: CrashLoopBackOff, last terminated with OOMKilled"},
		{"image", chaos("Deployment", 1, 0), []Pod{pod(Pod{Phase: "Pending", Containers: []Container{{Name: "c", Waiting: "ErrImagePull", Message: "no such host"}}})},
			"ImagePullBackOff 1 rbd-chaos-1: container c: ErrImagePull: no such host"},
		{"no node fits", chaos("Deployment", 1, 0), []Pod{pod(Pod{Phase: "Pending", Unschedulable: "0/5 nodes are available"})},
			"Unschedulable 1 rbd-chaos-1: 0/5 nodes are available"},
		{"a volume that does not mount", chaos("Deployment", 1, 0), []Pod{pod(Pod{Phase: "Pending", Containers: []Container{{Name: "c", Waiting: "ContainerCreating"}}})},
			"ContainerCreating 1 rbd-chaos-1: container c: ContainerCreating"},
		{"a volume named by the kubelet", chaos("Deployment", 1, 0), []Pod{pod(Pod{Phase: "Pending", Mount: `secret "s" not found`, Containers: []Container{{Name: "c", Waiting: "ContainerCreating"}}})},
			`FailedMount 1 rbd-chaos-1: secret "s" not found`},
		{"a sandbox after the volumes", chaos("Deployment", 1, 0), []Pod{pod(Pod{Phase: "Pending", Mount: "older", Sandbox: "no subnet.env", Containers: []Container{{Name: "c", Waiting: "ContainerCreating"}}})},
			"FailedCreatePodSandBox 1 rbd-chaos-1: no subnet.env"},
		{"a sandbox, and now an image", chaos("Deployment", 1, 0), []Pod{pod(Pod{Phase: "Pending", Sandbox: "older", Containers: []Container{{Name: "c", Waiting: "ErrImagePull"}}})},
			"ImagePullBackOff 1 rbd-chaos-1: container c: ErrImagePull"},
		{"no status, and a failed sandbox", chaos("Deployment", 1, 0), []Pod{pod(Pod{Phase: "Pending", Sandbox: "no subnet.env"})}, "FailedCreatePodSandBox 1 rbd-chaos-1: no subnet.env"},
		{"an init container before the others", chaos("Deployment", 1, 0), []Pod{pod(Pod{Phase: "Pending", Containers: []Container{{Name: "init", Waiting: "CrashLoopBackOff"}, {Name: "c", Waiting: "PodInitializing"}}})},
			"CrashLoopBackOff 1 rbd-chaos-1: container init: CrashLoopBackOff"},
		{"an unknown reason", chaos("Deployment", 1, 0), []Pod{pod(Pod{Containers: []Container{{Name: "c", Waiting: "Unheard"}}})},
			"other 1 rbd-chaos-1: container c: Unheard"},
		{"terminated, not yet restarted", chaos("Deployment", 1, 0), []Pod{pod(Pod{Containers: []Container{{Name: "c", Terminated: "Error"}}})},
			"Error 1 rbd-chaos-1: container c: Error"},
		{"one container of two", chaos("Deployment", 1, 0), []Pod{pod(Pod{Containers: []Container{{Name: "a", Ready: true}, {Name: "b"}}})},
			"NotReady 1 rbd-chaos-1: container b is running and not ready"},
		{"no pod", chaos("Deployment", 1, 0), nil, "NoPod 1 no pod exists"},
		{"no node", Workload{Component: "rbd-chaos", Kind: "DaemonSet", Pinned: "node-9"}, nil, "NoNode 1 it runs only on node-9, and this node does not exist"},
		{"evicted without a replacement", chaos("Deployment", 1, 0), []Pod{pod(Pod{Phase: "Failed", Evicted: true, Node: "n1"})},
			"Evicted 1 rbd-chaos-1: evicted from n1"},
		{"evicted, and no node fits the replacement", chaos("Deployment", 1, 0), []Pod{pod(Pod{Name: "old", Phase: "Failed", Evicted: true, Node: "n1"}),
			pod(Pod{Phase: "Pending", Unschedulable: "node(s) had untolerated taint"})},
			"Evicted 1 old: evicted from n1; Unschedulable 1 rbd-chaos-1: node(s) had untolerated taint"},
		{"evicted, and the replacement has another fault", chaos("Deployment", 1, 0), []Pod{pod(Pod{Name: "old", Phase: "Failed", Evicted: true, Node: "n1"}),
			pod(Pod{Containers: []Container{{Name: "c", Waiting: "ErrImagePull"}}})}, "ImagePullBackOff 1 rbd-chaos-1: container c: ErrImagePull"},
		{"a pod that the kubelet rejected", chaos("Deployment", 1, 0), []Pod{pod(Pod{Name: "a", Phase: "Failed", Failure: "NodeShutdown: Pod was terminated in response to imminent node shutdown."})},
			"NoPod 1 a: NodeShutdown: Pod was terminated in response to imminent node shutdown."},
		{"only terminated pods", chaos("Deployment", 1, 0), []Pod{pod(Pod{Name: "a", Phase: "Failed"}), pod(Pod{Name: "b", Phase: "Succeeded"})}, "NoPod 1 no pod exists"},
		{"the workload reports too few", chaos("Deployment", 2, 1), []Pod{pod(Pod{Ready: true})}, "other 1 the pods are ready, but the workload reports fewer ready pods than desired"},
		{"terminated out of memory", chaos("Deployment", 1, 0), []Pod{pod(Pod{Containers: []Container{{Name: "c", Terminated: "OOMKilled"}}})}, "OOMKilled 1 rbd-chaos-1: container c: OOMKilled"},
		{"no status from the kubelet yet", chaos("Deployment", 1, 0), []Pod{pod(Pod{Phase: "Pending"})}, "ContainerCreating 1 rbd-chaos-1: the kubelet has not started it yet"},
		{"no status, and a failed mount", chaos("Deployment", 1, 0), []Pod{pod(Pod{Phase: "Pending", Mount: `secret "s" not found`})}, `FailedMount 1 rbd-chaos-1: secret "s" not found`},
		{"leftovers of a healthy component", chaos("Deployment", 1, 1), []Pod{pod(Pod{Name: "old", Phase: "Failed", Evicted: true}), pod(Pod{Ready: true})}, ""},
		{"a Job with the same name", chaos("Deployment", 1, 0), []Pod{{Name: "hosts-job", Component: "rbd-chaos", OwnerKind: "Job", Phase: "Pending"}},
			"NoPod 1 no pod exists"},
	} {
		t.Run(row.name, func(t *testing.T) {
			got := FromWorkloads([]Workload{row.workload}, row.pods, nil)[0]
			var results []string
			for _, reason := range slices.Sorted(maps.Keys(got.Waiting)) {
				results = append(results, fmt.Sprintf("%s %d %s", reason, got.Waiting[reason], got.Messages[reason]))
				if !slices.Contains(WaitReasons, reason) {
					t.Errorf("%q is not listed", reason)
				}
			}
			if joined := strings.Join(results, "; "); joined != row.want {
				t.Errorf("got  %s\nwant %s", joined, row.want)
			}
		})
	}
}

func TestCreating(t *testing.T) {
	creating := []Container{{Name: "c", Waiting: "ContainerCreating"}}
	for _, row := range []struct {
		name string
		pod  Pod
		want bool
	}{
		{"creating", Pod{Phase: "Pending", Containers: creating}, true},
		{"no status yet", Pod{Phase: "Pending"}, true},
		{"ready", Pod{Phase: "Pending", Ready: true}, false},
		{"running", Pod{Phase: "Running", Containers: creating}, false},
		{"evicted", Pod{Phase: "Pending", Evicted: true}, false},
		{"without a node", Pod{Phase: "Pending", Unschedulable: "0/5 nodes"}, false},
		{"without an image", Pod{Phase: "Pending", Containers: []Container{{Name: "c", Waiting: "ErrImagePull"}}}, false},
	} {
		if row.pod.Creating() != row.want {
			t.Errorf("%s: want %v", row.name, row.want)
		}
	}
}

func TestUsedRatioAsInDf(t *testing.T) {
	// ext4 reserves 5% for root: df reports 80% used, a naive calculation 76%.
	f := Filesystem{Size: 1000, Free: 240, Avail: 190}
	if got, ok := f.UsedRatio(); got != 0.8 || !ok {
		t.Errorf("got %v, %v", got, ok)
	}
	if _, ok := (Filesystem{}).UsedRatio(); ok {
		t.Error("a file system without blocks has a ratio")
	}
}

func TestAvailRatioAsInTheKubelet(t *testing.T) {
	f := Filesystem{Size: 1000, Free: 240, Avail: 190}
	if got, ok := f.AvailRatio(); got != 0.19 || !ok { // df reports 20%
		t.Errorf("got %v, %v", got, ok)
	}
	if _, ok := (Filesystem{}).AvailRatio(); ok {
		t.Error("a file system without blocks has a ratio")
	}
}

func TestStuck(t *testing.T) {
	for _, row := range []struct {
		err  error
		want bool
	}{
		{nil, false},
		{fmt.Errorf("file system at /: %w since noon", ErrNoAnswer), true},
		{&fs.PathError{Op: "statfs", Path: "/mnt", Err: syscall.ENOTCONN}, true},
		{syscall.ESTALE, true},
		{syscall.EIO, true},
		{syscall.EACCES, false}, // a FUSE mount of another user
		{syscall.ENOENT, false}, // unmounted in the meantime
		{errors.New("context deadline exceeded"), false},
	} {
		if got := Stuck(row.err); got != row.want {
			t.Errorf("%v: %v", row.err, got)
		}
	}
}

func TestRemote(t *testing.T) {
	for fstype, want := range map[string]bool{"nfs4": true, "fuse.s3fs": true, "fuseblk": true, "fusectl": false, "ext4": false, "autofs": false, "nfsd": false} {
		if Remote(fstype) != want {
			t.Errorf("%s: want %v", fstype, want)
		}
	}
}

func TestEvictionRatio(t *testing.T) {
	for _, row := range []struct {
		text string
		want float64
		ok   bool
	}{{"10%", 0.1, true}, {"7.5%", 0.075, true}, {"0%", 0, false}, {"100%", 1, false}, {"10Gi", 0, false}, {"", 0, false}, {"x%", 0, false}} {
		if got, ok := EvictionRatio(row.text); ok != row.ok || ok && got != row.want {
			t.Errorf("%q: %v, %v", row.text, got, ok)
		}
	}
}
