//go:build e2e

package e2e

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const operatorResources = "/apis/rainbond.io/v1alpha1/namespaces/" + namespace + "/"

// operatorRules are the optional permissions, as the README lists them.
var operatorRules = []rbacv1.PolicyRule{
	{APIGroups: []string{"rainbond.io"}, Resources: []string{"rbdcomponents"}, Verbs: []string{"list"}},
	{APIGroups: []string{"rainbond.io"}, Resources: []string{"rainbondclusters"}, ResourceNames: []string{"rainbondcluster"}, Verbs: []string{"get"}},
	{APIGroups: []string{""}, Resources: []string{"events"}, Verbs: []string{"list"}},
}

// TestTheOperatorsResources reads real custom resources and events from a real
// API server, and does without them where they may not be read.
func TestTheOperatorsResources(t *testing.T) {
	folder, logs := t.TempDir(), logFolder(t)
	c := newCluster(t, sub(t, folder, "kube"), logs)
	p := newPlatform(t, c, newKubelet(t, c.ca), freeAddress(t), generation(t))
	p.makeOperatorResources(t)
	// Rbd-worker has never been made, rbd-hub is replaced, and rbd-mq waits for a Secret.
	for _, name := range []string{"rbd-worker", "rbd-hub"} {
		must(t, p.apps.Deployments(namespace).Delete(t.Context(), name, metav1.DeleteOptions{}))
	}
	p.waitsForSecret(t, "rbd-mq")

	kubeconfig := filepath.Join(folder, "kubeconfig")
	write(t, kubeconfig, c.kubeconfig(t, c.token(t, namespace, account)))
	e := newExporter(t, logs, "exporter-operator", "--role=cluster", "--collectors=node-role,component", "--kubeconfig="+kubeconfig)
	until(t, 10*time.Second, "without the permissions, the rest is collected", func() error {
		if err := e.shows(`rainbond_component_waiting{component="rbd-mq",rainbond_region="rainbond",reason="ContainerCreating"} 1`); err != nil {
			return err
		}
		if e.shows(`kind="none"`) == nil || e.shows("rainbond_node_placement_unmatched{") == nil {
			return errors.New("something is exported that may not be read")
		}
		return e.onlyFailing()
	})
	if text := tail(e.log, 100); strings.Count(text, "the exporter needs list on rbdcomponents.rainbond.io in namespace rbd-system") != 1 {
		t.Errorf("the missing right is not named once:\n%s", text)
	}

	role, err := p.rbac.Roles(namespace).Get(t.Context(), account, metav1.GetOptions{})
	must(t, err)
	role.Rules = append(role.Rules, operatorRules...)
	must(t, created(p.rbac.Roles(namespace).Update(t.Context(), role, metav1.UpdateOptions{})))
	until(t, 10*time.Second, "with them, all of it is", func() error {
		for _, sample := range []string{
			`rainbond_component_ready{component="rbd-worker",kind="none",rainbond_region="rainbond"} 0`,
			`rainbond_component_waiting{component="rbd-worker",rainbond_region="rainbond",reason="NoWorkload"} 1`,
			`rainbond_component_waiting{component="rbd-mq",rainbond_region="rainbond",reason="FailedMount"} 1`,
			`rainbond_node_placement_unmatched{component="rbd-chaos",node="worker-9",rainbond_region="rainbond"} 1`,
		} {
			if err := e.shows(sample); err != nil {
				return err
			}
		}
		if e.shows(`component="rbd-hub",kind="none"`) == nil {
			return errors.New("rbd-hub is missed, although an external registry replaces it")
		}
		return e.onlyFailing()
	})
	page, err := e.get("/api/v1/diagnosis")
	must(t, err)
	if !strings.Contains(string(page), `secret \"grpc\" not found`) {
		t.Errorf("the missing Secret is not named:\n%s", page)
	}
}

// shows is nil when /metrics has the text.
func (e *exporter) shows(text string) error {
	page, err := e.get("/metrics")
	if err == nil && !strings.Contains(string(page), text) {
		err = fmt.Errorf("/metrics has no %s", text)
	}
	return err
}

// makeOperatorResources makes the operator's kinds, a RainbondCluster with an
// external registry and one wrong name, and a RbdComponent for each component.
func (p *platform) makeOperatorResources(t testing.TB) {
	t.Helper()
	post := func(path, body string) error {
		return p.core.RESTClient().Post().AbsPath(path).SetHeader("Content-Type", "application/json").Body([]byte(body)).Do(t.Context()).Error()
	}
	for plural, kind := range map[string]string{"rbdcomponents": "RbdComponent", "rainbondclusters": "RainbondCluster"} {
		must(t, post("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", fmt.Sprintf(`{"apiVersion": "apiextensions.k8s.io/v1",
			"kind": "CustomResourceDefinition", "metadata": {"name": "%s.rainbond.io"}, "spec": {"group": "rainbond.io", "scope": "Namespaced",
			"names": {"plural": %q, "kind": %q}, "versions": [{"name": "v1alpha1", "served": true, "storage": true,
			"schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}}]}}`, plural, plural, kind)))
	}
	until(t, 20*time.Second, "the operator's kinds are there", func() error {
		return post(operatorResources+"rainbondclusters", `{"apiVersion": "rainbond.io/v1alpha1", "kind": "RainbondCluster", "metadata": {"name": "rainbondcluster"},
			"spec": {"imageHub": {"domain": "hub.example.com"}, "nodesForGateway": [{"name": "worker-1"}], "nodesForChaos": [{"name": "worker-1"}, {"name": "worker-9"}]}}`)
	})
	until(t, 20*time.Second, "its components too", func() error {
		return post(operatorResources+"rbdcomponents", `{"apiVersion": "rainbond.io/v1alpha1", "kind": "RbdComponent", "metadata": {"name": "rbd-worker"}, "spec": {"replicas": 1}}`)
	})
	for _, name := range []string{"rbd-api", "rbd-hub"} {
		must(t, post(operatorResources+"rbdcomponents", fmt.Sprintf(`{"apiVersion": "rainbond.io/v1alpha1", "kind": "RbdComponent", "metadata": {"name": %q}, "spec": {}}`, name)))
	}
}

// waitsForSecret is what the kubelet reports about a pod whose Secret is missing.
func (p *platform) waitsForSecret(t testing.TB, component string) {
	t.Helper()
	p.podStatus(t, component, func(s *corev1.PodStatus) {
		s.Phase, s.Conditions = corev1.PodPending, readiness(corev1.ConditionFalse, "ContainersNotReady")
		s.ContainerStatuses[0].Ready = false
		s.ContainerStatuses[0].State = corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ContainerCreating"}}
	})
	p.workloadReady(t, component, "Deployment", 0)
	pod, err := p.core.Pods(namespace).Get(t.Context(), podOf(component), metav1.GetOptions{})
	must(t, err)
	must(t, created(p.core.Events(namespace).Create(t.Context(), &corev1.Event{
		ObjectMeta:     metav1.ObjectMeta{Name: pod.Name + ".1", Namespace: namespace},
		InvolvedObject: corev1.ObjectReference{Kind: "Pod", Namespace: namespace, Name: pod.Name, UID: pod.UID},
		Reason:         "FailedMount", Type: corev1.EventTypeWarning, LastTimestamp: metav1.Now(),
		Message: `MountVolume.SetUp failed for volume "grpc" : secret "grpc" not found`,
	}, metav1.CreateOptions{})))
}
