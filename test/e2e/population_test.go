//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// A population is the nodes and pods of a large cluster. Its nodes' kubelets are
// played by kwok, which marks nodes and pods as ready, renews leases and
// writes heartbeats; what controllers and agents write is made here.
type population struct {
	*platform
	kwok  *process
	nodes []*corev1.Node
}

// A lease is renewed every quarter of this, not every 10 s as kubelets do: the
// exporter asks for none, and the API server has one core.
const leaseSeconds = "600"

// employ starts kwok for the nodes that are marked as its own.
func (c *population) employ(t testing.TB, folder, logs string) {
	t.Helper()
	kubeconfig := filepath.Join(folder, "kwok.kubeconfig")
	admin := c.administrator(t)
	write(t, kubeconfig, c.kubeconfigOf(t, c.url, map[string]any{"client-certificate-data": admin.cert, "client-key-data": admin.key}))
	c.kwok = begin(t, logs, "kwok", tool(t, "kwok"), "--config="+filepath.Join("testdata", "kwok.yaml"), "--kubeconfig="+kubeconfig,
		"--manage-nodes-with-annotation-selector="+kwokMark+"="+kwokNode, "--node-lease-duration-seconds="+leaseSeconds)
}

// What marks a node as kwok's.
const kwokMark, kwokNode = "kwok.x-k8s.io/node", "fake"

// atOnce is how many objects are made at a time.
const atOnce = 8

// together calls do for every number below n, some at a time.
func together(n int, do func(int) error) error {
	ctx, stop := context.WithCancelCause(context.Background())
	defer stop(nil)
	var wait sync.WaitGroup
	for first := range atOnce {
		wait.Go(func() {
			for i := first; i < n && ctx.Err() == nil; i += atOnce {
				if err := do(i); err != nil {
					stop(err)
				}
			}
		})
	}
	wait.Wait()
	return context.Cause(ctx)
}

// grow makes nodes until there are n, those of the platform among them.
func (c *population) grow(t testing.TB, n int) {
	t.Helper()
	begun, have := time.Now(), len(nodes)+len(c.nodes)
	if have >= n {
		return
	}
	made := make([]*corev1.Node, n-have)
	must(t, together(len(made), func(i int) (err error) {
		made[i], err = c.core.Nodes().Create(t.Context(), largeNode(have+i), metav1.CreateOptions{})
		return err
	}))
	must(t, together(len(made), func(i int) error {
		name := made[i].Name
		_, err := await(time.Minute, func() (err error) {
			if made[i], err = c.core.Nodes().Get(t.Context(), name, metav1.GetOptions{}); err == nil && len(made[i].Status.Conditions) == 0 {
				err = fmt.Errorf("node %s is not ready", name)
			}
			return err
		})
		return errors.Join(err, c.kwok.alive())
	}))
	c.nodes = append(c.nodes, made...)
	progress("%d nodes are ready, of %.1f KiB each as JSON (%s)", n, float64(sizeOf(t, made[0]))/1024, seconds(time.Since(begun)))
}

// fill makes that many pods in the platform's namespace, those it has among
// them, and others elsewhere, and waits until they run.
func (c *population) fill(t testing.TB, here, elsewhere int) {
	t.Helper()
	begun := time.Now()
	must(t, created(c.core.Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "elsewhere"}}, metav1.CreateOptions{})))
	there, err := c.core.Pods(namespace).List(t.Context(), metav1.ListOptions{})
	must(t, err)
	must(t, together(here-len(there.Items), func(i int) error {
		pod := largePod(namespace, i)
		pod.Labels["name"] = "rbd-chaos" // which runs on many nodes
		return c.place(t, i, pod)
	}))
	must(t, together(elsewhere, func(i int) error {
		return c.place(t, i, largePod("elsewhere", i))
	}))
	until(t, 5*time.Minute, "every pod runs", func() error {
		waiting, err := c.core.Pods("").List(t.Context(), metav1.ListOptions{FieldSelector: "status.phase=Pending", Limit: 1})
		if err == nil && len(waiting.Items) > 0 {
			err = fmt.Errorf("pod %s in %s is pending", waiting.Items[0].Name, waiting.Items[0].Namespace)
		}
		return err
	})
	progress("%d pods run in %s and %d elsewhere (%s)", here, namespace, elsewhere, seconds(time.Since(begun)))
}

// place makes a pod, on one of the nodes there are.
func (c *population) place(t testing.TB, i int, pod *corev1.Pod) error {
	pod.Spec.NodeName = c.nodes[i%len(c.nodes)].Name
	return created(c.core.Pods(pod.Namespace).Create(t.Context(), pod, metav1.CreateOptions{}))
}

// beat writes the status of one node after the other, that many in a second,
// as their kubelets do when something has changed, and returns how many came
// through.
func (c *population) beat(ctx context.Context, perSecond int, span time.Duration) (written int, err error) {
	tick := time.NewTicker(time.Second / time.Duration(perSecond))
	defer tick.Stop()
	for end := time.Now().Add(span); time.Now().Before(end); <-tick.C {
		node := c.nodes[written%len(c.nodes)]
		for i := range node.Status.Conditions {
			node.Status.Conditions[i].LastHeartbeatTime = metav1.Now()
		}
		node.ResourceVersion = "" // the current one
		if err := created(c.core.Nodes().UpdateStatus(ctx, node, metav1.UpdateOptions{})); err != nil {
			return written, err
		}
		written++
	}
	return written, nil
}

func sizeOf(t testing.TB, n *corev1.Node) int {
	t.Helper()
	text, err := json.Marshal(n)
	must(t, err)
	return len(text)
}

// largeNode is a node as the kubelet of a busy machine registers it, and the
// usual agents mark it: 50 images, 20 annotations, 20 labels.
func largeNode(i int) *corev1.Node {
	name := fmt.Sprintf("node-%05d.cn-shanghai.example.com", i)
	ip := fmt.Sprintf("10.%d.%d.%d", 100+i>>16, i>>8&255, i&255)
	amounts := corev1.ResourceList{
		corev1.ResourceCPU: resource.MustParse("32"), corev1.ResourceMemory: resource.MustParse("131072000Ki"), corev1.ResourcePods: resource.MustParse("250"),
		corev1.ResourceEphemeralStorage: resource.MustParse("514937088Ki"), "hugepages-1Gi": resource.MustParse("0"), "hugepages-2Mi": resource.MustParse("0"),
	}
	n := &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{}, Annotations: map[string]string{}},
		Spec:       corev1.NodeSpec{PodCIDR: fmt.Sprintf("10.%d.%d.0/24", 42+i>>8, i&255), ProviderID: "alicloud://cn-shanghai.i-uf6" + fmt.Sprintf("%017d", i)},
		Status: corev1.NodeStatus{
			Capacity: amounts, Allocatable: amounts,
			Addresses: []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: ip}, {Type: corev1.NodeHostName, Address: name}},
			NodeInfo: corev1.NodeSystemInfo{
				MachineID: fmt.Sprintf("%032x", i), SystemUUID: fmt.Sprintf("4c4c4544-0034-5910-8058-%012x", i), BootID: fmt.Sprintf("b3d1a6a0-5d1e-4f0e-9d0a-%012x", i),
				KernelVersion: "5.15.0-144-generic", OSImage: "Ubuntu 22.04.5 LTS", ContainerRuntimeVersion: "containerd://2.0.5-k3s1",
				KubeletVersion: "v1.33.4+rke2r1", OperatingSystem: "linux", Architecture: "amd64",
			},
		},
	}
	for key, value := range map[string]string{
		"kubernetes.io/hostname": name, "kubernetes.io/arch": "amd64", "kubernetes.io/os": "linux", "node-role.kubernetes.io/worker": "true",
		"node.kubernetes.io/instance-type": "ecs.g7.8xlarge", "topology.kubernetes.io/region": "cn-shanghai", "topology.kubernetes.io/zone": fmt.Sprintf("cn-shanghai-%c", 'a'+i%5),
	} {
		n.Labels[key] = value
	}
	for j := len(n.Labels); j < 20; j++ {
		n.Labels[fmt.Sprintf("feature.node.kubernetes.io/cpu-cpuid.FEATURE%d", j)] = "true"
	}
	n.Annotations[kwokMark] = kwokNode
	for j := range 20 {
		n.Annotations[fmt.Sprintf("agent-%d.example.com/observed-state", j)] = fmt.Sprintf(`{"address":"%s/24","generation":%d,"backend":"vxlan","vtep":"5e:2f:0c:%02x:%02x:%02x"}`, ip, i, j, i>>8&255, i&255)
	}
	for j := range 50 { // the kubelet's own limit (nodeStatusMaxImages)
		image := fmt.Sprintf("registry.cn-hangzhou.aliyuncs.com/goodrain/component-%d", j)
		n.Status.Images = append(n.Status.Images, corev1.ContainerImage{
			Names: []string{fmt.Sprintf("%s@sha256:%064x", image, i<<8|j), image + ":v6.9.1-release"}, SizeBytes: int64(j+1) << 22,
		})
	}
	return n
}

// largePod is a pod with a sidecar.
func largePod(namespace string, i int) *corev1.Pod {
	yes := true
	name := fmt.Sprintf("workload-%d-5d8f9c7b6d-x%04d", i/4, i)
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: namespace,
			Labels:          map[string]string{"app": name, "pod-template-hash": "5d8f9c7b6d", "creator": "Rainbond", "belongTo": "rainbond-operator"},
			OwnerReferences: []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "ReplicaSet", Name: name, UID: types.UID(name), Controller: &yes}}},
		Spec: podSpec([]string{"main", "sidecar"}),
	}
	for j := range p.Spec.Containers {
		for k := range 10 {
			p.Spec.Containers[j].Env = append(p.Spec.Containers[j].Env, corev1.EnvVar{Name: fmt.Sprintf("SETTING_%d", k), Value: fmt.Sprintf("value-%d-of-%d", k, i)})
		}
	}
	return p
}
