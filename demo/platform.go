package demo

import (
	"crypto/sha256"
	"fmt"
	"hash/fnv"
	"maps"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// namespace is the namespace of the platform.
const namespace = "rbd-system"

// A component is one workload of the platform and its pods. The workload's
// status follows from the pods.
type component struct {
	name    string
	kind    string // Deployment, StatefulSet or DaemonSet
	desired int    // of a DaemonSet: the nodes that pinned has
	pinned  []string
	labels  map[string]string
	pods    []*corev1.Pod
	// restarted is the annotation that kubectl rollout restart leaves in the
	// template; "" without it.
	restarted string
}

// operatorLabels returns the labels that the operator sets on workloads and
// pods (rainbond-operator, util/rbdutil/rbdutil.go).
func operatorLabels(name string) map[string]string {
	return map[string]string{"name": name, "belongTo": "rainbond-operator", "creator": "Rainbond"}
}

// healthyNodes returns five nodes with the forms of role labels that exist in
// practice: RKE2 writes "true", kubeadm writes "", and Rainbond's installer
// adds worker="true" (rainbond-console, console/utils/k8s_cli.py).
func (w *world) healthyNodes() []*corev1.Node {
	var nodes []*corev1.Node
	for i, n := range []struct {
		name  string
		roles map[string]string
	}{
		{"node-1", map[string]string{"control-plane": "true", "etcd": "true", "master": "true", "worker": "true"}},
		{"node-2", map[string]string{"control-plane": "true", "etcd": "true", "master": "true"}},
		{"node-3", map[string]string{"control-plane": "", "etcd": "true"}},
		{"node-4", map[string]string{"worker": "true"}},
		{"node-5", map[string]string{"worker": ""}},
	} {
		node := w.newNode(n.name, fmt.Sprintf("192.168.1.%d", 11+i), age)
		for role, value := range n.roles {
			node.Labels[roleLabel+"/"+role] = value
		}
		nodes = append(nodes, node)
	}
	// A node has the address in region-config.
	nodes[0].Status.Addresses = append(nodes[0].Status.Addresses, corev1.NodeAddress{Type: corev1.NodeExternalIP, Address: "127.0.0.1"})
	return nodes
}

// roleLabel is the prefix of role labels. Without a role it is invalid.
const roleLabel = "node-role.kubernetes.io"

func (w *world) newNode(name, ip string, age time.Duration) *corev1.Node {
	return &corev1.Node{
		TypeMeta: metav1.TypeMeta{Kind: "Node", APIVersion: "v1"},
		ObjectMeta: metav1.ObjectMeta{
			Name: name, UID: uid("node", name), CreationTimestamp: w.ago(age),
			Labels: map[string]string{"kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64"},
		},
		Status: corev1.NodeStatus{
			Addresses: []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: ip}, {Type: corev1.NodeHostName, Address: name}},
			Conditions: []corev1.NodeCondition{
				{Type: corev1.NodeReady, Status: corev1.ConditionTrue, Reason: "KubeletReady"},
				{Type: corev1.NodeDiskPressure, Status: corev1.ConditionFalse, Reason: "KubeletHasNoDiskPressure"},
				{Type: corev1.NodeMemoryPressure, Status: corev1.ConditionFalse, Reason: "KubeletHasSufficientMemory"},
			},
		},
	}
}

// healthyComponents returns the components of v6 with the operator's kinds,
// containers and node affinity.
func (w *world) healthyComponents(serial int) []*component {
	operator := map[string]string{"name": "rainbond-operator", "control-plane": "rainbond-operator", "release": "rainbond"}
	var all []*component
	for _, c := range []struct {
		name, kind string
		nodes      []string // one for each pod
		containers []string // nil: one with the name of the component
		labels     map[string]string
	}{
		{name: "rbd-api", kind: "Deployment", nodes: []string{"node-5"}},
		{name: "rbd-app-ui", kind: "Deployment", nodes: []string{"node-5"}},
		{name: "rbd-chaos", kind: "DaemonSet", nodes: []string{"node-1", "node-4"}},
		{name: "rbd-db", kind: "StatefulSet", nodes: []string{"node-2"}},
		{name: "rbd-gateway", kind: "Deployment", nodes: []string{"node-1"}, containers: []string{"ingress-apisix", "apisix"}},
		{name: "rbd-hub", kind: "Deployment", nodes: []string{"node-3"}},
		{name: "rbd-monitor", kind: "StatefulSet", nodes: []string{"node-1"}},
		{name: "rbd-mq", kind: "Deployment", nodes: []string{"node-4"}},
		{name: "rbd-worker", kind: "Deployment", nodes: []string{"node-4"}},
		{name: "minio", kind: "StatefulSet", nodes: []string{"node-3"}},
		{name: "local-path-provisioner", kind: "Deployment", nodes: []string{"node-2"}},
		{name: "rainbond-operator", kind: "Deployment", nodes: []string{"node-5"}, labels: operator},
	} {
		if c.containers == nil {
			c.containers = []string{c.name}
		}
		if c.labels == nil {
			c.labels = operatorLabels(c.name)
		}
		made := &component{name: c.name, kind: c.kind, desired: len(c.nodes), labels: c.labels}
		if c.kind == "DaemonSet" {
			made.pinned = c.nodes
		}
		for i, node := range c.nodes {
			turn := i
			if c.name == "rbd-api" {
				turn = serial
			}
			made.pods = append(made.pods, w.newPod(podName(c.name, c.kind, turn), ownerOf(c.name, c.kind), c.labels, node, c.containers...))
		}
		all = append(all, made)
	}
	api := all[0].pods[0]
	api.Spec.Volumes = []corev1.Volume{{Name: "region-api-ssl", VolumeSource: corev1.VolumeSource{
		Secret: &corev1.SecretVolumeSource{SecretName: serverSecret}}}}
	api.CreationTimestamp = metav1.NewTime(time.Now().Truncate(time.Second))
	return all
}

// healthyOtherPods returns pods that exist in the namespace of a healthy region
// and belong to no component, although some have a component's labels
// (rainbond-operator, controllers/handler/hub.go, hostsJob).
func (w *world) healthyOtherPods() []*corev1.Pod {
	build := w.newPod("manual-20261121083005-x8d4k", owner("Job", "manual-20261121083005"), map[string]string{"job": "codebuild"}, "node-4", "builder")
	hosts := w.newPod("hosts-job-node-5-"+suffix("hosts", 5), owner("Job", "hosts-job-node-5"), operatorLabels("rbd-hub"), "node-5", "hosts-job")
	terminate(hosts, corev1.PodSucceeded, 0, "Completed")
	otherPods := []*corev1.Pod{build, hosts}
	for _, name := range []string{"rbd-worker", "rbd-app-ui"} {
		old := w.newPod(podName(name, "Deployment", 90), ownerOf(name, "Deployment"), operatorLabels(name), "node-4", name)
		evict(old)
		otherPods = append(otherPods, old)
	}
	return otherPods
}

func (w *world) newPod(name string, owner metav1.OwnerReference, labels map[string]string, node string, containers ...string) *corev1.Pod {
	pod := &corev1.Pod{
		TypeMeta: metav1.TypeMeta{Kind: "Pod", APIVersion: "v1"},
		ObjectMeta: metav1.ObjectMeta{
			Name: name, Namespace: namespace, UID: uid("pod", name), CreationTimestamp: w.ago(age),
			Labels: maps.Clone(labels), OwnerReferences: []metav1.OwnerReference{owner},
		},
		Spec: corev1.PodSpec{NodeName: node, PriorityClassName: "system-cluster-critical"},
		Status: corev1.PodStatus{
			Phase: corev1.PodRunning,
			Conditions: []corev1.PodCondition{
				{Type: corev1.PodScheduled, Status: corev1.ConditionTrue},
				{Type: corev1.ContainersReady, Status: corev1.ConditionTrue},
				{Type: corev1.PodReady, Status: corev1.ConditionTrue},
			},
		},
	}
	for _, container := range containers {
		image := "rainbond/" + container + ":" + version
		pod.Spec.Containers = append(pod.Spec.Containers, corev1.Container{Name: container, Image: image})
		pod.Status.ContainerStatuses = append(pod.Status.ContainerStatuses, corev1.ContainerStatus{
			Name: container, Image: image, Ready: true,
			State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: w.ago(age)}},
		})
	}
	return pod
}

// ago returns a time before the start of the demo, always the same for the same
// duration.
func (w *world) ago(d time.Duration) metav1.Time { return metav1.NewTime(w.began.Add(-d)) }

func owner(kind, name string) metav1.OwnerReference {
	return metav1.OwnerReference{Kind: kind, Name: name, UID: uid(kind, name), Controller: new(true),
		APIVersion: map[bool]string{true: "batch/v1", false: "apps/v1"}[kind == "Job"]}
}

// ownerOf returns the owner of the pods of a workload: for a Deployment its
// ReplicaSet.
func ownerOf(component, kind string) metav1.OwnerReference {
	if kind == "Deployment" {
		return owner("ReplicaSet", component+"-"+suffix(component, 10))
	}
	return owner(kind, component)
}

// podName returns the name that the controllers give to the n-th pod.
func podName(component, kind string, n int) string {
	switch kind {
	case "StatefulSet":
		return fmt.Sprintf("%s-%d", component, n)
	case "DaemonSet":
		return component + "-" + suffix(fmt.Sprint(component, n), 5)
	}
	return component + "-" + suffix(component, 10) + "-" + suffix(fmt.Sprint(component, n), 5)
}

// suffix returns an end of a name in the form that Kubernetes generates
// (apimachinery, util/rand). It is the same for the same seed.
func suffix(seed string, length int) string {
	const letters = "bcdfghjklmnpqrstvwxz2456789"
	hash := fnv.New64a()
	_, _ = hash.Write([]byte(seed)) // never fails
	text := make([]byte, length)
	for i, n := 0, hash.Sum64(); i < length; i, n = i+1, n/uint64(len(letters)) {
		text[i] = letters[n%uint64(len(letters))]
	}
	return string(text)
}

// uid returns the same UID for the same object.
func uid(kind, name string) types.UID {
	sum := sha256.Sum256([]byte(kind + "/" + name))
	return types.UID(fmt.Sprintf("%x-%x-%x-%x-%x", sum[:4], sum[4:6], sum[6:8], sum[8:10], sum[10:16]))
}

// workload returns the component's workload and its resource.
func (c *component) workload(created metav1.Time) (string, object) {
	meta := metav1.ObjectMeta{Name: c.name, Namespace: namespace, UID: uid(c.kind, c.name), Labels: c.labels, CreationTimestamp: created, Generation: 1}
	selector := &metav1.LabelSelector{MatchLabels: map[string]string{"name": c.name}}
	template := corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: c.labels}}
	if c.restarted != "" {
		template.Annotations = map[string]string{"kubectl.kubernetes.io/restartedAt": c.restarted}
	}
	for _, pod := range c.pods[:min(1, len(c.pods))] {
		template.Spec.Containers, template.Spec.Volumes = pod.Spec.Containers, pod.Spec.Volumes
	}
	kind := metav1.TypeMeta{Kind: c.kind, APIVersion: "apps/v1"}
	desired, exist, ready := int32(c.desired), int32(0), int32(0)
	for _, pod := range c.pods {
		if pod.Status.Phase != corev1.PodFailed {
			exist++
		}
		if isReady(pod) {
			ready++
		}
	}
	switch c.kind {
	case "StatefulSet":
		return "statefulsets", &appsv1.StatefulSet{TypeMeta: kind, ObjectMeta: meta,
			Spec:   appsv1.StatefulSetSpec{Replicas: &desired, Selector: selector, Template: template, ServiceName: c.name},
			Status: appsv1.StatefulSetStatus{ObservedGeneration: 1, Replicas: exist, ReadyReplicas: ready, AvailableReplicas: ready}}
	case "DaemonSet":
		template.Spec.Affinity = pinnedTo(c.pinned)
		return "daemonsets", &appsv1.DaemonSet{TypeMeta: kind, ObjectMeta: meta,
			Spec: appsv1.DaemonSetSpec{Selector: selector, Template: template},
			Status: appsv1.DaemonSetStatus{ObservedGeneration: 1, DesiredNumberScheduled: desired, CurrentNumberScheduled: exist,
				NumberReady: ready, NumberAvailable: ready, NumberUnavailable: desired - ready}}
	}
	return "deployments", &appsv1.Deployment{TypeMeta: kind, ObjectMeta: meta,
		Spec: appsv1.DeploymentSpec{Replicas: &desired, Selector: selector, Template: template},
		Status: appsv1.DeploymentStatus{ObservedGeneration: 1, Replicas: exist, UpdatedReplicas: exist,
			ReadyReplicas: ready, AvailableReplicas: ready, UnavailableReplicas: max(0, desired-ready)}}
}

// pinnedTo returns the affinity by which the operator pins a component to
// nodes: either of two labels has the node's name.
func pinnedTo(nodes []string) *corev1.Affinity {
	term := func(label string) corev1.NodeSelectorTerm {
		return corev1.NodeSelectorTerm{MatchExpressions: []corev1.NodeSelectorRequirement{{Key: label, Operator: corev1.NodeSelectorOpIn, Values: nodes}}}
	}
	return &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{
		NodeSelectorTerms: []corev1.NodeSelectorTerm{term("kubernetes.io/hostname"), term("k3s.io/hostname")}}}}
}

func isReady(p *corev1.Pod) bool {
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}
