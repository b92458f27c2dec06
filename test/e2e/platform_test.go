//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/rainbond-exporter/rainbond-exporter/demo/pki"
)

const (
	namespace = "rbd-system"
	account   = "rainbond-exporter" // the exporter's ServiceAccount
)

// The nodes of the platform, and the roles of each.
var nodes = []struct {
	name  string
	roles []string
}{
	{"master-1", []string{"control-plane", "etcd"}},
	{"worker-1", []string{"worker"}},
	{"worker-2", []string{"worker"}},
}

// The components of the platform (rainbond-operator v6), each with one pod on
// worker-1.
var components = []struct {
	name, kind string
	containers []string
}{
	{"rbd-api", "Deployment", nil},
	{"rbd-worker", "Deployment", nil},
	{"rbd-mq", "Deployment", nil},
	{"rbd-app-ui", "Deployment", nil},
	{"rbd-gateway", "Deployment", []string{"ingress-apisix", "apisix"}},
	{"rbd-hub", "Deployment", nil},
	{"rbd-db", "StatefulSet", nil},
	{"rbd-monitor", "StatefulSet", nil},
	{"rbd-chaos", "DaemonSet", nil},
}

// podOf is the name of a component's pod.
func podOf(component string) string { return component + "-0" }

// A platform is Rainbond as Kubernetes knows it.
type platform struct {
	*cluster
	region   string           // the address of the region API
	restarts map[string]int32 // by component
}

func labelsOf(component string) map[string]string {
	return map[string]string{"name": component, "belongTo": "rainbond-operator", "creator": "Rainbond"}
}

// newPlatform makes every object of a healthy platform.
func newPlatform(t testing.TB, c *cluster, k *kubelet, region string, g pki.Generation) *platform {
	t.Helper()
	p := &platform{cluster: c, region: region, restarts: map[string]int32{}}
	must(t, created(c.core.Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}, metav1.CreateOptions{})))
	p.makeAccount(t)
	p.makeNodes(t, k)
	p.makeSecrets(t, g)
	for _, component := range components {
		containers := component.containers
		if containers == nil {
			containers = []string{component.name}
		}
		p.makeWorkload(t, component.name, component.kind, containers)
		p.makePod(t, component.name, component.kind, containers)
	}
	p.makeLeftovers(t)
	return p
}

// created drops the object that the API server made.
func created[T any](_ T, err error) error { return err }

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// logRule is the right that the log of rbd-api is read with.
var logRule = rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"pods/log"}, Verbs: []string{"get"}}

// makeAccount makes the exporter's ServiceAccount with the permissions that the
// README lists, and no more.
func (p *platform) makeAccount(t testing.TB) {
	t.Helper()
	read := []string{"get", "list", "watch"}
	meta := metav1.ObjectMeta{Name: account, Namespace: namespace}
	subject := []rbacv1.Subject{{Kind: "ServiceAccount", Name: account, Namespace: namespace}}
	ref := func(kind string) rbacv1.RoleRef {
		return rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: kind, Name: account}
	}
	must(t, created(p.core.ServiceAccounts(namespace).Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: meta}, metav1.CreateOptions{})))
	must(t, created(p.rbac.ClusterRoles().Create(t.Context(), &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: account},
		Rules: []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"nodes"}, Verbs: read}}}, metav1.CreateOptions{})))
	must(t, created(p.rbac.ClusterRoleBindings().Create(t.Context(), &rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: account},
		Subjects: subject, RoleRef: ref("ClusterRole")}, metav1.CreateOptions{})))
	must(t, created(p.rbac.Roles(namespace).Create(t.Context(), &rbacv1.Role{ObjectMeta: meta, Rules: []rbacv1.PolicyRule{
		{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: read},
		{APIGroups: []string{"apps"}, Resources: []string{"deployments", "statefulsets", "daemonsets"}, Verbs: read},
		{APIGroups: []string{""}, Resources: []string{"configmaps"}, ResourceNames: []string{"region-config"}, Verbs: []string{"get"}},
		{APIGroups: []string{""}, Resources: []string{"secrets"}, ResourceNames: []string{"rbd-api-client-cert", "rbd-api-server-cert"}, Verbs: []string{"get"}},
		logRule,
	}}, metav1.CreateOptions{})))
	must(t, created(p.rbac.RoleBindings(namespace).Create(t.Context(), &rbacv1.RoleBinding{ObjectMeta: meta,
		Subjects: subject, RoleRef: ref("Role")}, metav1.CreateOptions{})))
}

func (p *platform) makeNodes(t testing.TB, k *kubelet) {
	t.Helper()
	ip, port := k.address(t)
	for _, n := range nodes {
		labels := map[string]string{"kubernetes.io/hostname": n.name}
		for _, role := range n.roles {
			labels["node-role.kubernetes.io/"+role] = "true"
		}
		node, err := p.core.Nodes().Create(t.Context(), &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: n.name, Labels: labels}}, metav1.CreateOptions{})
		must(t, err)
		node.Status.Addresses = []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: ip}, {Type: corev1.NodeHostName, Address: n.name}}
		node.Status.DaemonEndpoints.KubeletEndpoint.Port = port
		node.Status.Conditions = []corev1.NodeCondition{
			{Type: corev1.NodeReady, Status: corev1.ConditionTrue, Reason: "KubeletReady"},
			{Type: corev1.NodeDiskPressure, Status: corev1.ConditionFalse, Reason: "KubeletHasNoDiskPressure"},
		}
		must(t, created(p.core.Nodes().UpdateStatus(t.Context(), node, metav1.UpdateOptions{})))
	}
}

// makeSecrets imitates the first run of the operator's secretAndConfigMapForAPI.
func (p *platform) makeSecrets(t testing.TB, g pki.Generation) {
	t.Helper()
	config, secrets := p.issued(g)
	must(t, created(p.core.ConfigMaps(namespace).Create(t.Context(), config, metav1.CreateOptions{})))
	for _, s := range secrets {
		must(t, created(p.core.Secrets(namespace).Create(t.Context(), s, metav1.CreateOptions{})))
	}
	other := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "rbd-db", Namespace: namespace}, StringData: map[string]string{"password": "not for us"}}
	must(t, created(p.core.Secrets(namespace).Create(t.Context(), other, metav1.CreateOptions{})))
}

// rotate is the same again: the operator's answer to a new gateway address.
// Neither rbd-api nor the console learns of it.
func (p *platform) rotate(t testing.TB, g pki.Generation) {
	t.Helper()
	config, secrets := p.issued(g)
	for _, s := range secrets {
		must(t, created(p.core.Secrets(namespace).Update(t.Context(), s, metav1.UpdateOptions{})))
	}
	must(t, created(p.core.ConfigMaps(namespace).Update(t.Context(), config, metav1.UpdateOptions{})))
}

// issued is what the operator makes of a generation.
func (p *platform) issued(g pki.Generation) (*corev1.ConfigMap, []*corev1.Secret) {
	secret := func(name string, data map[string][]byte) *corev1.Secret {
		meta := metav1.ObjectMeta{Name: name, Namespace: namespace, Labels: labelsOf("rbd-api")}
		return &corev1.Secret{ObjectMeta: meta, Type: corev1.SecretTypeOpaque, Data: data}
	}
	client := map[string][]byte{"ca.pem": g.CA, "client.pem": g.Client, "client.key.pem": g.ClientKey}
	return &corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{Name: "region-config", Namespace: namespace},
			Data: map[string]string{"apiAddress": "https://" + p.region, "websocketAddress": "ws://127.0.0.1:6060",
				"defaultDomainSuffix": "example.grapps.cn", "defaultTCPHost": "127.0.0.1"},
			BinaryData: client,
		}, []*corev1.Secret{
			secret("rbd-api-client-cert", client),
			secret("rbd-api-server-cert", map[string][]byte{"ca.pem": g.CA, "server.pem": g.Server, "server.key.pem": g.ServerKey}),
		}
}

func (p *platform) makeWorkload(t testing.TB, component, kind string, containers []string) {
	t.Helper()
	one, meta := int32(1), metav1.ObjectMeta{Name: component, Namespace: namespace, Labels: labelsOf(component)}
	selector := &metav1.LabelSelector{MatchLabels: labelsOf(component)}
	template := corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labelsOf(component)}, Spec: podSpec(containers)}
	var err error
	switch kind {
	case "Deployment":
		_, err = p.apps.Deployments(namespace).Create(t.Context(), &appsv1.Deployment{ObjectMeta: meta,
			Spec: appsv1.DeploymentSpec{Replicas: &one, Selector: selector, Template: template}}, metav1.CreateOptions{})
	case "StatefulSet":
		_, err = p.apps.StatefulSets(namespace).Create(t.Context(), &appsv1.StatefulSet{ObjectMeta: meta,
			Spec: appsv1.StatefulSetSpec{Replicas: &one, Selector: selector, Template: template}}, metav1.CreateOptions{})
	case "DaemonSet":
		_, err = p.apps.DaemonSets(namespace).Create(t.Context(), &appsv1.DaemonSet{ObjectMeta: meta,
			Spec: appsv1.DaemonSetSpec{Selector: selector, Template: template}}, metav1.CreateOptions{})
	}
	must(t, err)
	p.workloadReady(t, component, kind, 1)
}

// workloadReady is what the workload's controller writes when that many of
// its one pod are ready.
func (p *platform) workloadReady(t testing.TB, component, kind string, ready int32) {
	t.Helper()
	status := map[string]any{"observedGeneration": 1, "replicas": 1, "readyReplicas": ready, "availableReplicas": ready, "updatedReplicas": 1}
	resource := map[string]string{"Deployment": "deployments", "StatefulSet": "statefulsets", "DaemonSet": "daemonsets"}[kind]
	if kind == "DaemonSet" {
		status = map[string]any{"observedGeneration": 1, "currentNumberScheduled": 1, "desiredNumberScheduled": 1, "updatedNumberScheduled": 1,
			"numberMisscheduled": 0, "numberReady": ready, "numberAvailable": ready, "numberUnavailable": 1 - ready}
	}
	patch, err := json.Marshal(map[string]any{"status": status})
	must(t, err)
	must(t, p.apps.RESTClient().Patch(types.MergePatchType).Namespace(namespace).Resource(resource).Name(component).
		SubResource("status").Body(patch).Do(t.Context()).Error())
}

func podSpec(containers []string) corev1.PodSpec {
	spec := corev1.PodSpec{RestartPolicy: corev1.RestartPolicyAlways}
	for _, name := range containers {
		spec.Containers = append(spec.Containers, corev1.Container{Name: name, Image: "goodrain.me/" + name})
	}
	return spec
}

func (p *platform) makePod(t testing.TB, component, kind string, containers []string) {
	t.Helper()
	if kind == "Deployment" {
		kind = "ReplicaSet"
	}
	yes := true
	meta := metav1.ObjectMeta{Name: podOf(component), Namespace: namespace, Labels: labelsOf(component),
		OwnerReferences: []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: kind, Name: component, UID: types.UID(component), Controller: &yes}}}
	spec := podSpec(containers)
	spec.NodeName = "worker-1"
	must(t, created(p.core.Pods(namespace).Create(t.Context(), &corev1.Pod{ObjectMeta: meta, Spec: spec}, metav1.CreateOptions{})))
	p.podRuns(t, component)
}

// podStatus writes the status of a component's pod, as the kubelet does.
func (p *platform) podStatus(t testing.TB, component string, change func(*corev1.PodStatus)) {
	t.Helper()
	pod, err := p.core.Pods(namespace).Get(t.Context(), podOf(component), metav1.GetOptions{})
	must(t, err)
	change(&pod.Status)
	must(t, created(p.core.Pods(namespace).UpdateStatus(t.Context(), pod, metav1.UpdateOptions{})))
}

// podRuns reports that every container of the component's pod is ready.
func (p *platform) podRuns(t testing.TB, component string) {
	t.Helper()
	pod, err := p.core.Pods(namespace).Get(t.Context(), podOf(component), metav1.GetOptions{})
	must(t, err)
	p.podStatus(t, component, func(s *corev1.PodStatus) {
		s.Phase = corev1.PodRunning
		s.Conditions = readiness(corev1.ConditionTrue, "")
		s.ContainerStatuses = nil
		for _, c := range pod.Spec.Containers {
			s.ContainerStatuses = append(s.ContainerStatuses, corev1.ContainerStatus{Name: c.Name, Image: c.Image, Ready: true,
				RestartCount: p.restarts[component], ContainerID: fmt.Sprintf("containerd://%s-%d", c.Name, p.restarts[component]),
				State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.Now()}}})
		}
	})
}

func readiness(status corev1.ConditionStatus, reason string) []corev1.PodCondition {
	return []corev1.PodCondition{
		{Type: corev1.PodScheduled, Status: corev1.ConditionTrue},
		{Type: corev1.PodReady, Status: status, Reason: reason},
		{Type: corev1.ContainersReady, Status: status, Reason: reason},
	}
}

// podRestarted reports that the containers of the component's pod were started
// once more, and are ready.
func (p *platform) podRestarted(t testing.TB, component string) {
	t.Helper()
	p.restarts[component]++
	p.podRuns(t, component)
}

// podCrashes reports that the component's pod is in CrashLoopBackOff.
func (p *platform) podCrashes(t testing.TB, component string) {
	t.Helper()
	p.podStatus(t, component, func(s *corev1.PodStatus) {
		s.Conditions = readiness(corev1.ConditionFalse, "ContainersNotReady")
		c := &s.ContainerStatuses[0]
		p.restarts[component] += 7
		c.Ready, c.RestartCount = false, p.restarts[component]
		c.State = corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff",
			Message: "back-off 5m0s restarting failed container=" + component + " pod=" + podOf(component)}}
		c.LastTerminationState = corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 1, Reason: "Error",
			StartedAt: metav1.NewTime(time.Now().Add(-time.Minute)), FinishedAt: metav1.Now()}}
	})
}

// podUnready reports that the component's pod runs and is not ready.
func (p *platform) podUnready(t testing.TB, component string) {
	t.Helper()
	p.podStatus(t, component, func(s *corev1.PodStatus) {
		s.Conditions = readiness(corev1.ConditionFalse, "ContainersNotReady")
		s.ContainerStatuses[0].Ready = false
	})
}

// makeLeftovers creates what is left over on every old platform and is no fault:
// a failed job that has a component's label, and an evicted pod.
func (p *platform) makeLeftovers(t testing.TB) {
	t.Helper()
	for name, leftover := range map[string]struct{ component, owner, reason string }{
		"hosts-job-x7k2p": {"rbd-hub", "Job", ""},
		"rbd-mq-evicted":  {"rbd-mq", "ReplicaSet", "Evicted"},
	} {
		yes := true
		meta := metav1.ObjectMeta{Name: name, Namespace: namespace, Labels: labelsOf(leftover.component),
			OwnerReferences: []metav1.OwnerReference{{APIVersion: "v1", Kind: leftover.owner, Name: name, UID: types.UID(name), Controller: &yes}}}
		spec := podSpec([]string{"main"})
		spec.NodeName = "worker-2"
		pod, err := p.core.Pods(namespace).Create(t.Context(), &corev1.Pod{ObjectMeta: meta, Spec: spec}, metav1.CreateOptions{})
		must(t, err)
		pod.Status = corev1.PodStatus{Phase: corev1.PodFailed, Reason: leftover.reason}
		must(t, created(p.core.Pods(namespace).UpdateStatus(t.Context(), pod, metav1.UpdateOptions{})))
	}
}

// label gives a node a label, or takes it away.
func (p *platform) label(t testing.TB, node, key string, value *string) {
	t.Helper()
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"labels": map[string]any{key: value}}})
	must(t, err)
	must(t, created(p.core.Nodes().Patch(t.Context(), node, types.MergePatchType, patch, metav1.PatchOptions{})))
}

// diskPressure is what the kubelet of a node reports about its disk.
func (p *platform) diskPressure(t testing.TB, node string, status corev1.ConditionStatus) {
	t.Helper()
	n, err := p.core.Nodes().Get(t.Context(), node, metav1.GetOptions{})
	must(t, err)
	for i := range n.Status.Conditions {
		if n.Status.Conditions[i].Type == corev1.NodeDiskPressure {
			n.Status.Conditions[i].Status = status
		}
	}
	must(t, created(p.core.Nodes().UpdateStatus(t.Context(), n, metav1.UpdateOptions{})))
}

// logsAllowed grants or revokes the exporter's permission to read logs.
func (p *platform) logsAllowed(t testing.TB, allowed bool) {
	t.Helper()
	role, err := p.rbac.Roles(namespace).Get(t.Context(), account, metav1.GetOptions{})
	must(t, err)
	var rules []rbacv1.PolicyRule
	for _, rule := range role.Rules {
		if fmt.Sprint(rule.Resources) != fmt.Sprint(logRule.Resources) {
			rules = append(rules, rule)
		}
	}
	if allowed {
		rules = append(rules, logRule)
	}
	role.Rules = rules
	must(t, created(p.rbac.Roles(namespace).Update(t.Context(), role, metav1.UpdateOptions{})))
}
