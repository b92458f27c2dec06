package demo

import (
	"fmt"
	"net"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/rainbond-exporter/rainbond-exporter/fault"
)

// An Installation is a way in which Rainbond is installed. It differs from the
// others in nodes, labels, addresses, components, versions and in how the
// console reaches the region.
type Installation struct {
	Name      string
	Title     map[string]string // by language: zh, en
	Namespace string            // of the platform
	Kubectl   string            // how its administrator runs kubectl; "" is kubectl
	console   consoleSource
	change    func(*world) // changes the world of five nodes; nil: no change
}

// A consoleSource is where the exporter reads the console's copy of the region.
type consoleSource int

const (
	// consoleFile: a configuration file. The console reaches the region over the
	// gateway.
	consoleFile consoleSource = iota
	// consoleDatabase: the console's database. The console runs in the cluster,
	// and the URL is that of the Service, https://rbd-api-api:8443.
	consoleDatabase
	// consoleUnknown: none. The console runs in the cluster and uses the Service.
	consoleUnknown
)

// service reports whether the console uses the Service.
func (c consoleSource) service() bool { return c != consoleFile }

// Default is the name of the installation without a name of its own: five
// RKE2 nodes, and a console elsewhere with a configuration file.
const Default = "default"

// Installations are all installations.
var Installations = []Installation{
	{Name: Default, Title: title("五个节点，控制台在集群外", "Five nodes, the console outside the cluster"), Namespace: namespace},
	{Name: "quick", Title: title("快速安装：Docker 里的 K3s", "Quick installation: K3s in Docker"), Namespace: namespace, Kubectl: "docker exec rainbond kubectl", console: consoleDatabase,
		change: func(w *world) {
			w.singleNode("172.17.0.2", "control-plane", "master")
			w.apiAddress = "https://203.0.113.10:8443" // the host's public address; Docker does not publish 8443
			w.mounts = []fault.Mount{dataMount("/opt/rainbond")}
		}},
	{Name: "host", Title: title("主机安装：RKE2", "Host installation: RKE2"), Namespace: namespace, console: consoleUnknown,
		change: func(w *world) {
			w.apiAddress = "https://192.168.1.11:8443"
			w.mounts = []fault.Mount{dataMount("/var/lib/rancher/rke2"), dataMount("/opt/rainbond")}
		}},
	{Name: "kubernetes", Title: title("已有的 Kubernetes（kubeadm），外部数据库和镜像仓库", "Existing Kubernetes (kubeadm), external database and registry"), Namespace: namespace, console: consoleUnknown,
		change: func(w *world) {
			w.roleLabels(func(i int) []string {
				if i == 0 {
					return []string{"control-plane"}
				}
				return nil
			})
			w.apiAddress = "https://192.168.1.11:8443"
			w.remove("rbd-db", "rbd-hub")
			w.spec.externalDB, w.spec.externalHub = true, true
			w.mounts = []fault.Mount{dataMount("/var/lib/containerd")}
		}},
	{Name: "managed", Title: title("托管的 Kubernetes，负载均衡", "Managed Kubernetes with a load balancer"), Namespace: namespace,
		change: func(w *world) {
			w.roleLabels(func(int) []string { return nil })
			w.withoutNodeAddress()
			w.mounts = []fault.Mount{dataMount("/var/lib/containerd")}
		}},
	{Name: "remote-console", Title: title("控制台在别处，管理两个集群", "Console elsewhere, with two regions"), Namespace: namespace,
		change: func(w *world) {
			w.remove("rbd-app-ui")
			w.withoutNodeAddress()
			w.second = w.another()
		}},
	{Name: "namespace", Title: title("平台在另一个命名空间", "The platform in another namespace"), Namespace: "rainbond", console: consoleUnknown},
	{Name: "v5", Title: title("Rainbond 5.17", "Rainbond 5.17"), Namespace: namespace,
		change: version5},
}

// findInstallation returns the installation of that name; "" is Default. The
// error lists the existing ones.
func findInstallation(name string) (Installation, error) {
	if name == "" {
		name = Default
	}
	var names []string
	for _, i := range Installations {
		if i.Name == name {
			return i, nil
		}
		names = append(names, i.Name)
	}
	return Installation{}, fmt.Errorf("unknown installation %q; expected one of %s", name, strings.Join(names, ", "))
}

// singleNode moves everything to one node with the given address and roles.
func (w *world) singleNode(ip string, roles ...string) {
	w.nodes = w.nodes[:1]
	w.nodes[0].Status.Addresses = []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: ip}, {Type: corev1.NodeHostName, Address: w.nodes[0].Name}}
	w.roleLabels(func(int) []string { return roles })
	w.spec.chaos, w.spec.gateway = []string{w.nodes[0].Name}, []string{w.nodes[0].Name}
	for _, c := range w.components {
		if c.kind == "DaemonSet" {
			c.pods, c.desired = c.pods[:1], 1
			if c.pinned != nil {
				c.pinned = []string{w.nodes[0].Name}
			}
		}
		for _, p := range c.pods {
			p.Spec.NodeName = w.nodes[0].Name
		}
	}
	for _, p := range w.otherPods {
		p.Spec.NodeName = w.nodes[0].Name
	}
}

// roleLabels replaces the role labels of the i-th node.
func (w *world) roleLabels(roles func(i int) []string) {
	for i, n := range w.nodes {
		for key := range n.Labels {
			if strings.HasPrefix(key, roleLabel) {
				delete(n.Labels, key)
			}
		}
		for _, role := range roles(i) {
			n.Labels[roleLabel+"/"+role] = "true"
		}
	}
}

// withoutNodeAddress makes the region's address one that no node has: that of a
// load balancer, of NAT, or an external IP.
func (w *world) withoutNodeAddress() {
	for _, n := range w.nodes {
		n.Status.Addresses = slices.DeleteFunc(n.Status.Addresses, func(a corev1.NodeAddress) bool { return net.ParseIP(a.Address).IsLoopback() })
	}
}

// dataMount is a separate file system that is not full.
func dataMount(point string) fault.Mount {
	return fault.Mount{Point: point, Source: "/dev/vdb1", Type: "xfs", Data: point, Filesystem: filesystem(0.46, 0.92)}
}

// version5 is the platform of Rainbond 5.17: a DaemonSet as gateway, components
// that v6 does not have, and an rbd-api built with Go 1.19.
func version5(w *world) {
	const old = "v5.17.3-release"
	w.listener.api.body, w.listener.api.withoutReady = old, true
	w.goVersion119 = true
	w.remove("minio", "local-path-provisioner", "rbd-gateway")
	add := func(name, kind string, nodes ...string) {
		c := &component{name: name, kind: kind, desired: len(nodes), labels: operatorLabels(name)}
		for i, node := range nodes {
			c.pods = append(c.pods, w.newPod(podName(name, kind, i), ownerOf(name, kind), c.labels, node, name))
		}
		w.components = append(w.components, c)
	}
	add("rbd-gateway", "DaemonSet", "node-1")
	add("rbd-node", "DaemonSet", "node-1", "node-2", "node-3", "node-4", "node-5")
	add("rbd-etcd", "StatefulSet", "node-1")
	add("rbd-eventlog", "StatefulSet", "node-4")
	add("rbd-webcli", "Deployment", "node-4")
	add("rbd-resource-proxy", "Deployment", "node-3")
	for _, c := range w.components {
		for _, p := range c.pods {
			for i, container := range p.Spec.Containers {
				image := strings.TrimSuffix(container.Image, version) + old
				p.Spec.Containers[i].Image, p.Status.ContainerStatuses[i].Image = image, image
			}
		}
	}
}
