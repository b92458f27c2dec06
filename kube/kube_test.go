package kube

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/rainbond-exporter/rainbond-exporter/fault"
)

func nodeNamed(name string, labels ...string) *corev1.Node {
	n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{}}}
	for _, label := range labels {
		n.Labels[label] = ""
	}
	return n
}

// nodeNames returns the result of Nodes: the names, or the error.
func nodeNames(k *Client) string {
	ctx, cancel := context.WithTimeout(context.Background(), 8*time.Second)
	defer cancel()
	nodes, err := k.Nodes(ctx)
	if err != nil {
		return err.Error()
	}
	var names []string
	for _, n := range nodes {
		names = append(names, n.Name)
	}
	return strings.Join(names, " ")
}

func expect(t *testing.T, when, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s:\ngot  %s\nwant %s", when, got, want)
	}
}

func TestNodes(t *testing.T) {
	for name, streams := range map[string]bool{"server streams the objects there are": true, "server lists them": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := newAPI(t)
				a.streams = streams
				a.put(nodeNamed("b"), nodeNamed("a"))
				k := a.kube(t)
				expect(t, "at first", nodeNames(k), "a b")
				a.put(nodeNamed("c"))
				a.delete(nodeNamed("a"))
				synctest.Wait()
				expect(t, "after a change", nodeNames(k), "b c")
				if asked := a.requests(); slices.Contains(asked, "list nodes") == streams {
					t.Errorf("asked %q", asked)
				}
			})
		})
	}
}

func TestListInPages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAPI(t)
		for i := range 2*pageSize + 1 {
			a.put(nodeNamed(strconv.Itoa(i)))
		}
		nodes, err := a.kube(t).Nodes(t.Context())
		if len(nodes) != 2*pageSize+1 || err != nil {
			t.Errorf("%d nodes, %v", len(nodes), err)
		}
		if want := []int{pageSize, pageSize, 1}; !slices.Equal(a.pages, want) {
			t.Errorf("pages of %v, want %v", a.pages, want)
		}
	})
}

func TestPodsReturnsACopy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAPI(t)
		a.put(&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "a"}}, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "b"}})
		k := a.kube(t)
		for range 2 {
			pods, err := k.Pods(t.Context())
			if len(pods) != 2 || pods[0].Name != "a" || err != nil {
				t.Fatalf("got %+v, %v", pods, err)
			}
			_ = slices.DeleteFunc(pods, func(p fault.Pod) bool { return p.Name == "a" })
		}
	})
}

func TestWatchesStartOnFirstUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAPI(t)
		k := a.kube(t)
		synctest.Wait()
		if asked := a.requests(); len(asked) > 0 {
			t.Errorf("before the first ask: %q", asked)
		}
		expect(t, "an empty cluster", nodeNames(k), "")
		pass(time.Hour)
		for _, asked := range a.requests() {
			if !strings.HasSuffix(asked, " nodes") {
				t.Errorf("asked %q", asked)
			}
		}
	})
}

func TestForbiddenResources(t *testing.T) {
	pods := func(k *Client, ctx context.Context) error { _, err := k.Pods(ctx); return err }
	nodes := func(k *Client, ctx context.Context) error { _, err := k.Nodes(ctx); return err }
	workloads := func(k *Client, ctx context.Context) error { _, err := k.Workloads(ctx); return err }
	for _, row := range []struct {
		resource string
		ask      func(*Client, context.Context) error
	}{{"nodes", nodes}, {"pods", pods}, {"deployments", workloads}, {"statefulsets", workloads}, {"daemonsets", workloads}} {
		t.Run(row.resource, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := newAPI(t)
				a.refuse["list "+row.resource], a.refuse["watch "+row.resource] = http.StatusForbidden, http.StatusForbidden
				k := a.kube(t)
				begin := time.Now()
				err := row.ask(k, t.Context())
				want := row.resource + ` is forbidden: User "tester" cannot list resource "` + row.resource + `"; the exporter needs list and watch on ` + row.resource
				if err == nil || err.Error() != want {
					t.Errorf("got  %v\nwant %s", err, want)
				}
				if took := time.Since(begin); took > 0 {
					t.Errorf("it took %s", took)
				}
				a.set(func(a *api) { clear(a.refuse) })
				pass(15 * time.Second)
				if err := row.ask(k, t.Context()); err != nil {
					t.Errorf("15 s after it was permitted: %v", err)
				}
			})
		})
	}
}

func TestForbiddenWatchIsReportedAfterAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAPI(t)
		a.refuse["watch nodes"] = http.StatusForbidden
		a.put(nodeNamed("a"))
		k := a.kube(t)
		begin := time.Now()
		expect(t, "listed", nodeNames(k), "a")
		pass(staleAfter)
		expect(t, "after a minute", nodeNames(k), `nodes is forbidden: User "tester" cannot watch resource "nodes"; the exporter needs list and watch on nodes`+
			" (the last known state is of "+begin.Format(time.RFC3339)+" and too old to be used)")
	})
}

func TestOneForbiddenKindDoesNotAffectTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAPI(t)
		a.refuse["list statefulsets"], a.refuse["watch statefulsets"] = http.StatusForbidden, http.StatusForbidden
		ours := map[string]string{"name": "rbd-api", "creator": "Rainbond"}
		a.put(&appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: "rbd-api", Labels: ours}})
		workloads, err := a.kube(t).Workloads(t.Context())
		if want := []fault.Workload{{Component: "rbd-api", Kind: "Deployment", Desired: 1}}; !reflect.DeepEqual(workloads, want) || err == nil {
			t.Errorf("got %+v and error %v", workloads, err)
		}
	})
}

func TestWorkloadsAreListedConcurrently(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAPI(t)
		a.hangs = true
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := a.kube(t).Workloads(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		asked := a.requests()
		slices.Sort(asked)
		expect(t, "asked", strings.Join(asked, ", "), "watch daemonsets, watch deployments, watch statefulsets")
	})
}

func TestUnknownToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAPI(t)
		a.refuse["list nodes"], a.refuse["watch nodes"] = http.StatusUnauthorized, http.StatusUnauthorized
		expect(t, "401", nodeNames(a.kube(t)), "list nodes: http://kube.test rejects the credentials: Unauthorized; "+
			"the token or certificate in the kubeconfig has expired or belongs to another cluster")
	})
}

// This is the whole of what the caches keep; the rest of an object is dropped
// when it comes.
func TestObjectsAreReduced(t *testing.T) {
	born := time.Date(2026, 11, 24, 8, 0, 0, 0, time.UTC)
	labelled := func(name string, labels ...string) metav1.ObjectMeta {
		m := metav1.ObjectMeta{Name: name, Labels: map[string]string{}}
		for i := 0; i < len(labels); i += 2 {
			m.Labels[labels[i]] = labels[i+1]
		}
		return m
	}
	three := int32(3)
	none := int32(0)
	for _, row := range []struct {
		name      string
		got, want any
	}{
		{"a node in trouble", first(node(&corev1.Node{
			ObjectMeta: metav1.ObjectMeta{Name: "n1", CreationTimestamp: metav1.Time{Time: born}, Labels: map[string]string{
				"node-role.kubernetes.io/worker": "true", "node-role.kubernetes.io": "", "kubernetes.io/role": "node", "kubernetes.io/hostname": "host1", "kubernetes.io/os": "linux"}},
			Spec: corev1.NodeSpec{Unschedulable: true},
			Status: corev1.NodeStatus{
				Addresses: []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: "10.0.0.1"}, {Type: corev1.NodeExternalIP, Address: "203.0.113.1"}},
				Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionUnknown}, {Type: corev1.NodeDiskPressure, Status: corev1.ConditionTrue},
					{Type: corev1.NodeMemoryPressure, Status: corev1.ConditionTrue}},
			}})), fault.Node{Name: "n1", Created: born, RoleKeys: []string{"kubernetes.io/role", "node-role.kubernetes.io", "node-role.kubernetes.io/worker"},
			Hostname: "host1", Cordoned: true, Addresses: []string{"10.0.0.1", "203.0.113.1"}, DiskPressure: true}},
		{"a K3s node", first(node(&corev1.Node{ObjectMeta: labelled("n2", "k3s.io/hostname", "host2")})), fault.Node{Name: "n2", Hostname: "host2"}},
		{"the operator", first(deployment(&appsv1.Deployment{ObjectMeta: labelled("o", "name", "rainbond-operator")})),
			fault.Workload{Component: "rainbond-operator", Kind: "Deployment", Desired: 1}},
		{"half ready", first(statefulSet(&appsv1.StatefulSet{ObjectMeta: labelled("s", "name", "rbd-db", "belongTo", "rainbond-operator"),
			Spec: appsv1.StatefulSetSpec{Replicas: &three}, Status: appsv1.StatefulSetStatus{ReadyReplicas: 1}})),
			fault.Workload{Component: "rbd-db", Kind: "StatefulSet", Desired: 3, Ready: 1}},
		{"scaled to nothing", first(deployment(&appsv1.Deployment{ObjectMeta: labelled("h", "name", "rbd-hub", "creator", "Rainbond"),
			Spec: appsv1.DeploymentSpec{Replicas: &none}})), fault.Workload{Component: "rbd-hub", Kind: "Deployment"}},
		{"pinned", first(daemonSet(&appsv1.DaemonSet{ObjectMeta: labelled("c", "name", "rbd-chaos", "creator", "Rainbond"),
			Spec:   appsv1.DaemonSetSpec{Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{Affinity: onHosts("n9", "n1")}}},
			Status: appsv1.DaemonSetStatus{DesiredNumberScheduled: 2, NumberReady: 1}})),
			fault.Workload{Component: "rbd-chaos", Kind: "DaemonSet", Desired: 2, Ready: 1, Pinned: "n1, n9"}},
		{"not of the platform", accepted(deployment(&appsv1.Deployment{ObjectMeta: labelled("x", "name", "x")})), false},
		{"a pod in trouble", first(pod(&corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Name: "p", UID: "u", Labels: map[string]string{"name": "rbd-api"},
				OwnerReferences: []metav1.OwnerReference{{Kind: "Other"}, {Kind: "ReplicaSet", Controller: new(true)}}},
			Spec: corev1.PodSpec{NodeName: "n1"},
			Status: corev1.PodStatus{Phase: corev1.PodPending,
				Conditions: []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: "Unschedulable", Message: "0/1 nodes"}},
				InitContainerStatuses: []corev1.ContainerStatus{{Name: "init", Ready: true,
					State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{Reason: "Completed"}}}},
				ContainerStatuses: []corev1.ContainerStatus{
					{Name: "rbd-api", RestartCount: 7, State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff", Message: "back-off"}},
						LastTerminationState: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{Reason: "OOMKilled"}}},
					{Name: "side", State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{Reason: "Error", ExitCode: 1}}}},
			}})), fault.Pod{Name: "p", UID: "u", Component: "rbd-api", Node: "n1", OwnerKind: "ReplicaSet", Phase: "Pending", Unschedulable: "0/1 nodes",
			Containers: []fault.Container{{Name: "rbd-api", Waiting: "CrashLoopBackOff", Message: "back-off", LastExit: "OOMKilled", Restarts: 7},
				{Name: "side", Terminated: "Error", LastExit: "Error"}, {Name: "init", Ready: true, LastExit: "Completed"}}}},
		{"evicted", first(pod(&corev1.Pod{Status: corev1.PodStatus{Phase: corev1.PodFailed, Reason: "Evicted"}})), fault.Pod{Phase: "Failed", Evicted: true, Failure: "Evicted"}},
		{"rejected by the kubelet", first(pod(&corev1.Pod{Status: corev1.PodStatus{Phase: corev1.PodFailed, Reason: "NodeAffinity", Message: "Pod was rejected: Predicate NodeAffinity failed"}})),
			fault.Pod{Phase: "Failed", Failure: "NodeAffinity: Pod was rejected: Predicate NodeAffinity failed"}},
	} {
		if !reflect.DeepEqual(row.got, row.want) {
			t.Errorf("%s:\ngot  %+v\nwant %+v", row.name, row.got, row.want)
		}
	}
}

func first[T any](v T, _ bool) T        { return v }
func accepted[T any](_ T, ok bool) bool { return ok }

func onHosts(names ...string) *corev1.Affinity {
	var terms []corev1.NodeSelectorTerm
	for _, key := range []string{"kubernetes.io/hostname", "k3s.io/hostname"} {
		terms = append(terms, corev1.NodeSelectorTerm{MatchExpressions: []corev1.NodeSelectorRequirement{{Key: key, Operator: corev1.NodeSelectorOpIn, Values: names}}})
	}
	return &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{NodeSelectorTerms: terms}}}
}

func TestInvalidKubeconfig(t *testing.T) {
	const good = "apiVersion: v1\nkind: Config\nclusters: [{name: c, cluster: {server: 'https://127.0.0.1:1'}}]\n" +
		"contexts: [{name: x, context: {cluster: c, user: u}}]\nusers: [{name: u, user: {token: t0ken}}]\n"
	for _, row := range []struct{ name, text, want string }{
		{"empty", "", "names no cluster"},
		{"another YAML", "regions: []\n", "names no cluster"},
		{"a PEM", "-----BEGIN CERTIFICATE-----\n", "cannot be parsed: "},
		{"no context", good, "has no current-context"},
		{"unknown context", good + "current-context: other\n", `has no context "other", which its current-context names`},
		{"unknown cluster", strings.Replace(good, "cluster: c,", "cluster: d,", 1) + "current-context: x\n", `has no cluster "d", which its current context names`},
	} {
		t.Run(row.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "kubeconfig")
			if err := os.WriteFile(path, []byte(row.text), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := LoadConfig(path, "")
			if err == nil || !strings.HasPrefix(err.Error(), "--kubeconfig="+path+": "+row.want) || !strings.HasSuffix(err.Error(), "; expected a kubeconfig as kubectl uses it") {
				t.Errorf("got  %v\nwant --kubeconfig=%s: %s", err, path, row.want)
			}
		})
	}
	_, err := LoadConfig("/nowhere/kubeconfig", "")
	if want := "--kubeconfig=/nowhere/kubeconfig: no such file or directory; expected a kubeconfig as kubectl uses it"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	folder := t.TempDir()
	_, err = LoadConfig(folder, "")
	if want := "--kubeconfig=" + folder + ": is a directory; expected a kubeconfig as kubectl uses it"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	if _, err = LoadConfig(os.DevNull, ""); err == nil || !strings.Contains(err.Error(), ": is a device; expected ") {
		t.Errorf("got %v, want an error about a device", err)
	}
	path := filepath.Join(folder, "kubeconfig")
	if err := os.WriteFile(path, []byte(good+"current-context: x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	config, err := LoadConfig(path, "")
	if err != nil || config.Host != "https://127.0.0.1:1" || config.BearerToken != "t0ken" {
		t.Errorf("a good one: %v, %v", config, err)
	}
	_, err = LoadConfig(path, "y")
	if want := "--kubeconfig=" + path + `: has no context "y", which --context names; expected a kubeconfig as kubectl uses it`; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestLoadConfigFindsTheAPIServerAsKubectl(t *testing.T) {
	kubeconfig := func(context, host string) string {
		path := filepath.Join(t.TempDir(), context)
		text := strings.NewReplacer("NAME", context, "HOST", host).Replace("apiVersion: v1\nkind: Config\ncurrent-context: NAME\n" +
			"clusters: [{name: NAME, cluster: {server: 'https://HOST'}}]\ncontexts: [{name: NAME, context: {cluster: NAME, user: u}}]\n")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	a, b := kubeconfig("a", "127.0.0.1:1"), kubeconfig("b", "127.0.0.1:2")
	for _, row := range []struct{ name, env, path, context, want string }{
		{"the file that is named", "", a, "", "https://127.0.0.1:1"},
		{"$KUBECONFIG", b, "", "", "https://127.0.0.1:2"},
		{"the given file, not $KUBECONFIG", b, a, "", "https://127.0.0.1:1"},
		{"the first of several", "gone:" + a + ":" + b, "", "", "https://127.0.0.1:1"},
		{"a context of another file", a + ":" + b, "", "b", "https://127.0.0.1:2"},
		{"$KUBECONFIG that leads nowhere", "gone", "", "", "gone: names no cluster; expected a kubeconfig as kubectl uses it"},
		{"a folder in $KUBECONFIG", a + ":" + os.TempDir(), "", "", os.TempDir() + ": is a directory; expected a kubeconfig as kubectl uses it"},
		{"half a service account", "", "", "", "read the pod's service account: open /var/run/secrets/kubernetes.io/serviceaccount/token: no such file or directory"},
	} {
		t.Setenv("KUBECONFIG", row.env)
		t.Setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
		t.Setenv("KUBERNETES_SERVICE_PORT", "1")
		config, err := LoadConfig(row.path, row.context)
		got := fmt.Sprint(err)
		if err == nil {
			got = config.Host
		}
		expect(t, row.name, got, row.want)
	}
}
