package demo

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	typedapps "k8s.io/client-go/kubernetes/typed/apps/v1"
	typedcore "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
)

// A cluster is a client-go client made from the kubeconfig.
type cluster struct {
	typedcore.CoreV1Interface
	apps typedapps.AppsV1Interface
}

func connect(t *testing.T, d *Demo) cluster {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", d.Kubeconfig())
	if err != nil {
		t.Fatal(err)
	}
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.CloseIdleConnections)
	core, err := typedcore.NewForConfigAndClient(config, client)
	if err != nil {
		t.Fatal(err)
	}
	apps, err := typedapps.NewForConfigAndClient(config, client)
	if err != nil {
		t.Fatal(err)
	}
	return cluster{core, apps}
}

func TestReflectorSeesASwitchAndItsEnd(t *testing.T) {
	d := start(t, "healthy")
	c := connect(t, d)
	pods := mirror(t, &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			return c.Pods(namespace).List(ctx, o)
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			return c.Pods(namespace).Watch(ctx, o)
		},
	}, &corev1.Pod{})
	mq := func() string {
		for _, o := range pods.List() {
			if p := o.(*corev1.Pod); p.Labels["name"] == "rbd-mq" {
				return fmt.Sprintf("%s %s %t", p.Status.Phase, p.Status.Reason, isReady(p))
			}
		}
		return "gone"
	}
	for _, test := range []struct{ scenario, want string }{
		{"healthy", "Running  true"},
		{"component-gone", "gone"},
		{"healthy", "Running  true"},
		{"disk-pressure", "Failed Evicted false"},
		{"healthy", "Running  true"},
	} {
		set(t, d, test.scenario)
		eventually(t, test.scenario, test.want, mq)
	}
}

func TestWatchContinuesAfterTheAPIWasDown(t *testing.T) {
	d := start(t, "healthy")
	c := connect(t, d)
	nodes := mirror(t, &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) { return c.Nodes().List(ctx, o) },
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			return c.Nodes().Watch(ctx, o)
		},
	}, &corev1.Node{})
	count := func() string { return fmt.Sprint(len(nodes.ListKeys())) }
	eventually(t, "at the start", "5", count)
	set(t, d, "watch-kube-down")
	if _, err := c.Nodes().List(t.Context(), metav1.ListOptions{}); err == nil || !strings.Contains(err.Error(), "connection refused") {
		t.Errorf("got %v, want connection refused", err)
	}
	set(t, d, "node-joining")
	eventually(t, "restarted, with one more node", "6", count)
}

// mirror fills a store with a reflector until the test ends.
func mirror(t *testing.T, lw *cache.ListWatch, kind runtime.Object) cache.Store {
	t.Helper()
	store := cache.NewStore(cache.MetaNamespaceKeyFunc)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		cache.NewReflectorWithOptions(lw, kind, store, cache.ReflectorOptions{}).RunWithContext(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return store
}

// eventually waits for a result of a watch.
func eventually(t *testing.T, when, want string, got func() string) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(10 * time.Second)
	for got() != want {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("%s: got %q, want %q", when, got(), want)
		}
	}
}

func TestHealthyRegionHasTheComponentsOfV6(t *testing.T) {
	d := start(t, "healthy")
	c := connect(t, d)
	var got []string
	deployments, err := c.apps.Deployments(namespace).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range deployments.Items {
		got = append(got, fmt.Sprintf("%s Deployment %d/%d", o.Name, o.Status.ReadyReplicas, *o.Spec.Replicas))
	}
	sets, err := c.apps.StatefulSets(namespace).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range sets.Items {
		got = append(got, fmt.Sprintf("%s StatefulSet %d/%d", o.Name, o.Status.ReadyReplicas, *o.Spec.Replicas))
	}
	daemons, err := c.apps.DaemonSets(namespace).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range daemons.Items {
		got = append(got, fmt.Sprintf("%s DaemonSet %d/%d", o.Name, o.Status.NumberReady, o.Status.DesiredNumberScheduled))
	}
	slices.Sort(got)
	want := []string{
		"local-path-provisioner Deployment 1/1",
		"minio StatefulSet 1/1",
		"rainbond-operator Deployment 1/1",
		"rbd-api Deployment 1/1",
		"rbd-app-ui Deployment 1/1",
		"rbd-chaos DaemonSet 2/2",
		"rbd-db StatefulSet 1/1",
		"rbd-gateway Deployment 1/1",
		"rbd-hub Deployment 1/1",
		"rbd-monitor StatefulSet 1/1",
		"rbd-mq Deployment 1/1",
		"rbd-worker Deployment 1/1",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestListsApplySelectors(t *testing.T) {
	d := start(t, "healthy")
	c := connect(t, d)
	for _, test := range []struct {
		options metav1.ListOptions
		want    string
	}{
		{metav1.ListOptions{LabelSelector: "name=rbd-chaos"}, "rbd-chaos rbd-chaos"},
		{metav1.ListOptions{LabelSelector: "creator=Rainbond,name in (rbd-api, rbd-mq)"}, "rbd-api rbd-mq"},
		{metav1.ListOptions{FieldSelector: "spec.nodeName=node-2"}, "local-path-provisioner rbd-db"},
		{metav1.ListOptions{FieldSelector: "status.phase=Failed", Limit: 1}, "rbd-app-ui rbd-worker"},
	} {
		list, err := c.Pods(namespace).List(t.Context(), test.options)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, p := range list.Items {
			names = append(names, p.Labels["name"])
		}
		if got := strings.Join(names, " "); got != test.want {
			t.Errorf("%+v: got %s, want %s", test.options, got, test.want)
		}
	}
	for _, bad := range []metav1.ListOptions{{LabelSelector: "a=b=c"}, {FieldSelector: "spec.color=red"}} {
		if _, err := c.Pods(namespace).List(t.Context(), bad); !apierrors.IsBadRequest(err) {
			t.Errorf("%+v: got %v, want a bad request", bad, err)
		}
	}
}

func TestErrorsAreThoseOfKubernetes(t *testing.T) {
	d := start(t, "healthy")
	c := connect(t, d)
	if _, err := c.Secrets(namespace).Get(t.Context(), serverSecret, metav1.GetOptions{}); err != nil {
		t.Error(err)
	}
	if _, err := c.Secrets(namespace).List(t.Context(), metav1.ListOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("a list of Secrets: got %v, want not found", err)
	}
	set(t, d, "cert-secret-gone")
	if _, err := c.Secrets(namespace).Get(t.Context(), serverSecret, metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("a Secret that is gone: got %v, want not found", err)
	}
	set(t, d, "watch-forbidden")
	_, err := c.apps.Deployments(namespace).List(t.Context(), metav1.ListOptions{})
	const want = `deployments.apps is forbidden: User "system:serviceaccount:rbd-system:rainbond-exporter" cannot list resource "deployments" in API group "apps" in the namespace "rbd-system"`
	if !apierrors.IsForbidden(err) || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
	if _, err := c.apps.Deployments(namespace).Watch(t.Context(), metav1.ListOptions{}); !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), "cannot watch resource") {
		t.Errorf("a watch: got %v", err)
	}
	if _, err := c.apps.Deployments(namespace).List(t.Context(), metav1.ListOptions{}); err == nil || err.Error() != want {
		t.Errorf("a list after a watch: got %v", err)
	}
	if _, err := c.apps.StatefulSets(namespace).List(t.Context(), metav1.ListOptions{}); err != nil {
		t.Error("StatefulSets are forbidden, too:", err)
	}
}

func TestWatchReportsObjectsThatLeaveTheSelection(t *testing.T) {
	d := start(t, "healthy")
	c := connect(t, d)
	list, err := c.Nodes().List(t.Context(), metav1.ListOptions{LabelSelector: roleLabel + "/worker"})
	if err != nil {
		t.Fatal(err)
	}
	w, err := c.Nodes().Watch(t.Context(), metav1.ListOptions{LabelSelector: roleLabel + "/worker", ResourceVersion: list.ResourceVersion})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Stop()
	next := func() string {
		select {
		case e := <-w.ResultChan():
			return fmt.Sprint(e.Type, " ", e.Object.(*corev1.Node).Name)
		case <-time.After(10 * time.Second):
			return "nothing"
		}
	}
	for _, test := range []struct{ scenario, want string }{
		{"node-role-none", "DELETED node-5"},
		{"healthy", "ADDED node-5"},
		{"node-role-bare-key", "MODIFIED node-4"},
	} {
		set(t, d, test.scenario)
		if got := next(); got != test.want {
			t.Errorf("%s: got %s, want %s", test.scenario, got, test.want)
		}
	}
}

func TestWatchOfAnOldVersionExpires(t *testing.T) {
	s := newStore()
	node := func(version string) map[key]object {
		return map[key]object{{"nodes", "", "node-1"}: &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "node-1", Labels: map[string]string{"serial": version}}}}
	}
	for i := range maxChanges + 10 {
		s.apply(node(fmt.Sprint(i)))
	}
	k := &kube{store: s}
	w := httptest.NewRecorder()
	k.handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/api/v1/nodes?watch=true&resourceVersion=5", nil))
	var e struct {
		Type   string
		Object metav1.Status
	}
	if err := json.NewDecoder(w.Body).Decode(&e); err != nil || e.Type != "ERROR" || e.Object.Code != http.StatusGone || e.Object.Reason != metav1.StatusReasonExpired {
		t.Errorf("got %+v, %v", e, err)
	}
}

func TestIdleWatchGetsBookmarksAndEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := &kube{store: newStore()}
		w := httptest.NewRecorder()
		begin := time.Now()
		k.handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/api/v1/nodes?watch=true&resourceVersion=1&allowWatchBookmarks=true&timeoutSeconds=150", nil))
		if took := time.Since(begin); took != 150*time.Second {
			t.Errorf("took %s, want 150 s", took)
		}
		const bookmark = `{"type":"BOOKMARK","object":{"kind":"Node","apiVersion":"v1","metadata":{"resourceVersion":"1"}}}` + "\n"
		if got, want := w.Body.String(), bookmark+bookmark; got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	})
}

func TestOnlyChangedObjectsGetNewVersions(t *testing.T) {
	d := start(t, "healthy")
	c := connect(t, d)
	versions := func() map[string]string {
		list, err := c.Pods(namespace).List(t.Context(), metav1.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		all := map[string]string{}
		for _, p := range list.Items {
			all[p.Name] = p.ResourceVersion
		}
		return all
	}
	before := versions()
	set(t, d, "component-image")
	after := versions()
	var changed []string
	for name, version := range after {
		if before[name] != version {
			changed = append(changed, name)
		}
	}
	slices.Sort(changed)
	if len(changed) != 2 || !strings.HasPrefix(changed[0], "rbd-api-") || !strings.HasPrefix(changed[1], "rbd-chaos-") {
		t.Errorf("got %q, want rbd-api's new pod and the broken one", changed)
	}
}

// logOf reads the log of the component's first pod as kubectl does.
func logOf(t *testing.T, c cluster, component string, options corev1.PodLogOptions) (string, error) {
	t.Helper()
	list, err := c.Pods(namespace).List(t.Context(), metav1.ListOptions{LabelSelector: "name=" + component})
	if err != nil {
		t.Fatal(err)
	}
	stream, err := c.Pods(namespace).GetLogs(list.Items[0].Name, &options).Stream(t.Context())
	if err != nil {
		return "", err
	}
	defer stream.Close()
	text, err := io.ReadAll(stream)
	return string(text), err
}

func TestLogContainsFailedHandshakes(t *testing.T) {
	d := start(t, "healthy")
	c := connect(t, d)
	const unknown = `tls: failed to verify certificate: x509: certificate signed by unknown authority (possibly because of "crypto/rsa: verification error" while trying to verify candidate authority certificate "Goodrain, INC.")`
	for _, test := range []struct {
		scenario string
		want     []string // reasons, each once
	}{
		{"healthy", nil},
		{"tls-go-distrusts", []string{"remote error: tls: bad certificate"}},
		{"tls-openssl-distrusts-12", []string{"remote error: tls: unknown certificate authority"}},
		{"tls-openssl-distrusts-13", []string{"local error: tls: bad record MAC"}},
		{"tls-client-refused", []string{unknown}},
		{"tls-scanner", []string{"EOF", "client sent an HTTP request to an HTTPS server", "tls: client didn't provide a certificate", "tls: first record does not look like a TLS handshake"}},
		{"healthy", nil},
	} {
		set(t, d, test.scenario)
		text, err := logOf(t, c, "rbd-api", corev1.PodLogOptions{})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for line := range strings.Lines(text) {
			if _, rest, ok := strings.Cut(line, " http: TLS handshake error from "); ok {
				_, reason, _ := strings.Cut(strings.TrimSpace(rest), ": ")
				got = append(got, reason)
				if _, err := time.Parse("2006/01/02 15:04:05", line[:19]); err != nil {
					t.Errorf("not in the standard logger's format: %s", line)
				}
			}
		}
		slices.Sort(got)
		if got = slices.Compact(got); !slices.Equal(got, test.want) {
			t.Errorf("%s: got %q, want %q", test.scenario, got, test.want)
		}
		if !strings.Contains(text, "] ip=unknown module=rbd-api api listen on (HTTPs) ") {
			t.Errorf("%s: no lines of rbd-api's logger:\n%s", test.scenario, text)
		}
	}
}

func TestClientsReconnectUntilTheScenarioEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &listener{log: newPodLog(), port: &port{}}
		w := &world{replayedErrors: []string{"remote error: tls: unknown certificate authority"}}
		d.connectClients(t.Context(), w)
		<-time.After(2*reconnectInterval + time.Second) //nolint:forbidigo // the bubble's clock
		d.close()
		<-time.After(2 * reconnectInterval) //nolint:forbidigo // the bubble's clock
		if got := len(d.log.since(time.Time{}, -1)); got != 3 {
			t.Errorf("connected %d times, want 3", got)
		}
	})
}

func TestLogAppliesItsQuery(t *testing.T) {
	d := start(t, "healthy")
	c := connect(t, d)
	now := time.Now()
	d.log.mu.Lock()
	d.log.lines = []logLine{{now.Add(-time.Hour), "first"}, {now.Add(-time.Minute), "second"}, {now, "third"}}
	d.log.mu.Unlock()
	stamp := func(at time.Time, text string) string { return at.UTC().Format(time.RFC3339Nano) + " " + text + "\n" }
	for _, test := range []struct {
		options corev1.PodLogOptions
		want    string
	}{
		{corev1.PodLogOptions{}, "first\nsecond\nthird\n"},
		{corev1.PodLogOptions{Container: "rbd-api", TailLines: new(int64(2))}, "second\nthird\n"},
		{corev1.PodLogOptions{TailLines: new(int64(0))}, ""},
		{corev1.PodLogOptions{SinceTime: &metav1.Time{Time: now.Add(-2 * time.Minute)}}, "second\nthird\n"},
		{corev1.PodLogOptions{SinceSeconds: new(int64(30))}, "third\n"},
		{corev1.PodLogOptions{LimitBytes: new(int64(8))}, "first\nse"},
		{corev1.PodLogOptions{Timestamps: true, TailLines: new(int64(1))}, stamp(now, "third")},
	} {
		if got, err := logOf(t, c, "rbd-api", test.options); got != test.want || err != nil {
			t.Errorf("%+v: got %q, %v; want %q", test.options, got, err, test.want)
		}
	}
}

func TestLogErrorsAreThoseOfTheKubelet(t *testing.T) {
	d := start(t, "healthy")
	c := connect(t, d)
	set(t, d, "component-mount")
	for _, test := range []struct {
		component string
		options   corev1.PodLogOptions
		want      string
	}{
		{"rbd-api", corev1.PodLogOptions{}, "is waiting to start: ContainerCreating"},
		{"rbd-mq", corev1.PodLogOptions{Previous: true}, "previous terminated container"},
		{"rbd-mq", corev1.PodLogOptions{Container: "sidecar"}, "container sidecar is not valid for pod"},
		{"rbd-gateway", corev1.PodLogOptions{}, "a container name must be specified"},
	} {
		_, err := logOf(t, c, test.component, test.options)
		if !apierrors.IsBadRequest(err) || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s %+v: got %v, want a bad request: %s", test.component, test.options, err, test.want)
		}
	}
	if _, err := c.Pods(namespace).GetLogs("nobody", &corev1.PodLogOptions{}).Stream(t.Context()); !apierrors.IsNotFound(err) {
		t.Errorf("no such pod: got %v", err)
	}
	if text, err := logOf(t, c, "rbd-mq", corev1.PodLogOptions{}); text != "" || err != nil {
		t.Errorf("another component's log: got %q, %v", text, err)
	}
}
