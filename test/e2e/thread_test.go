//go:build e2e

package e2e

import (
	"bytes"
	"os/exec"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// document is the page whose sections the alerts open.
const document = "https://www.rainbond.com/docs/troubleshooting/cluster-connect"

// watchdog always fires, to show that alerts arrive.
const watchdog = "RainbondWatchdog"

// The scenarios, at least one for each of the six symptoms. The region API is
// down in no more than two of them: a third time within the hour would
// rightly be RainbondRegionAPIUnstable.
var scenarios = []scenario{
	{
		name: "tls: a client that distrusts the server keeps failing at the listener",
		steps: []step{{
			breaks:    func(w *world, t *testing.T) { w.stale = generation(t) },
			meanwhile: (*world).distrust,
			page: page{alert: "RainbondTLSHandshakeErrors", severity: "warning", slug: "tls",
				heading: "remote-error-tls-error-decrypting-message", labels: map[string]string{"class": "trust"}},
		}},
		repairs: (*world).trust,
	},
	{
		name: "cert: the operator rotates, then rbd-api restarts, and the console is not updated",
		steps: []step{{
			breaks: (*world).rotate,
			page: page{alert: "RainbondRegionCertificateDrift", severity: "warning", slug: "cert",
				heading: "remote-error-tls-error-decrypting-message"},
		}, {
			breaks: (*world).restartAPI,
			page: page{alert: "RainbondConsoleCertificateMismatch", severity: "critical", slug: "cert",
				heading: "remote-error-tls-error-decrypting-message"},
		}},
		repairs: (*world).copyToConsole,
	},
	{
		name: "api: rbd-api dies while its pod is called ready, then its Deployment has no ready pod",
		steps: []step{{
			breaks: func(w *world, _ *testing.T) { w.api.stop() },
			page: page{alert: "RainbondRegionPortClosed", severity: "critical", slug: "api",
				heading: "检查控制台与集群端的端口"},
		}, {
			breaks: func(w *world, t *testing.T) {
				w.kube.podUnready(t, "rbd-api")
				w.kube.workloadReady(t, "rbd-api", "Deployment", 0)
			},
			page: page{alert: "RainbondRegionAPIDown", severity: "critical", slug: "api",
				heading: "检查集群端-api-服务", labels: map[string]string{"component": "rbd-api"}, words: []string{"rbd-api"}},
		}},
		repairs: func(w *world, t *testing.T) {
			w.restartAPI(t)
			w.kube.workloadReady(t, "rbd-api", "Deployment", 1)
		},
	},
	{
		name: "node-role: one node has the bare key node-role.kubernetes.io",
		steps: []step{{
			breaks: func(w *world, t *testing.T) { w.kube.label(t, "worker-2", "node-role.kubernetes.io", new("")) },
			page: page{alert: "RainbondNodeListBroken", severity: "critical", slug: "node-role",
				heading: "2-获取节点列表失败", labels: map[string]string{"node": "worker-2"}, words: []string{"worker-2"}},
		}},
		repairs: func(w *world, t *testing.T) { w.kube.label(t, "worker-2", "node-role.kubernetes.io", nil) },
	},
	{
		name: "component: rbd-chaos is in CrashLoopBackOff",
		steps: []step{{
			breaks: func(w *world, t *testing.T) {
				w.kube.podCrashes(t, "rbd-chaos")
				w.kube.workloadReady(t, "rbd-chaos", "DaemonSet", 0)
			},
			page: page{alert: "RainbondComponentNotReady", severity: "warning", slug: "component",
				heading: "3-平台组件故障", labels: map[string]string{"component": "rbd-chaos"}, words: []string{"rbd-chaos", "CrashLoopBackOff"}},
		}},
		repairs: func(w *world, t *testing.T) {
			w.kube.podRuns(t, "rbd-chaos")
			w.kube.workloadReady(t, "rbd-chaos", "DaemonSet", 1)
		},
	},
	{
		name:    "disk: a node's root is nearly full",
		without: (*world).noDisk,
		steps: []step{{
			breaks: func(w *world, t *testing.T) { w.disk.fill(t, 0.96) },
			page: page{alert: "RainbondNodeDiskEvictionNear", severity: "critical", slug: "disk",
				heading: "5-磁盘空间超80节点处于驱逐状态", labels: map[string]string{"node": "worker-1"}, words: []string{"worker-1"}},
		}},
		repairs: func(w *world, t *testing.T) { w.disk.clean(t) },
	},
	{
		name: "disk: a node reports DiskPressure",
		steps: []step{{
			breaks: func(w *world, t *testing.T) { w.kube.diskPressure(t, "worker-2", corev1.ConditionTrue) },
			page: page{alert: "RainbondNodeDiskPressure", severity: "critical", slug: "disk",
				heading: "5-磁盘空间超80节点处于驱逐状态", labels: map[string]string{"node": "worker-2"}, words: []string{"worker-2"}},
		}},
		repairs: func(w *world, t *testing.T) { w.kube.diskPressure(t, "worker-2", corev1.ConditionFalse) },
	},
	{
		name: "watch: permission to read the log of rbd-api is revoked",
		steps: []step{{
			breaks:    func(w *world, t *testing.T) { w.kube.logsAllowed(t, false) },
			meanwhile: (*world).onlyTLSUnable,
			page: page{alert: "RainbondCollectorFailing", severity: "warning", slug: "watch",
				labels: map[string]string{"collector": "tls"}, words: []string{"tls"}},
		}},
		repairs: func(w *world, t *testing.T) { w.kube.logsAllowed(t, true) },
	},
}

// One thread, pulled through everything: what is broken at one end is notified at
// the other, with the right link, and so is its end.
func TestOneThreadThroughEverything(t *testing.T) {
	w := newWorld(t)
	if !t.Run("everything is healthy and nobody is notified", w.healthy) {
		t.FailNow() // every scenario starts from here
	}
	t.Run("the exporter may read what it needs and nothing else", w.mayReadNoMore)
	t.Run("promtool finds nothing wrong with the metrics", w.metricsAreClean)
	story := &story{}
	for _, s := range scenarios {
		t.Run(s.name, func(t *testing.T) { story.play(t, w, s) })
	}
	t.Run("a Kubernetes API that hangs, dies and comes back", w.kubernetesIsAway)
	t.Run("no secret is shown", w.noSecretIsShown)
	t.Run("SIGTERM ends the exporter, and that is notified", w.exporterEnds)
	story.print()
}

func (w *world) healthy(t *testing.T) {
	until(t, 20*time.Second, "every collector of the cluster role succeeds", func() error { return w.exporter.onlyFailing() })
	if w.node != nil {
		until(t, 10*time.Second, "every collector of the node role succeeds", func() error { return w.node.onlyFailing() })
	}
	until(t, 20*time.Second, "Prometheus scrapes every exporter", w.alerting.scrapesAll)
	until(t, 20*time.Second, "the Watchdog fires", func() error { return w.alerting.quiet() })
	throughout(t, 10*time.Second, "no alert is pending or firing", func() error { return w.alerting.quiet("pending", "firing") })
	until(t, fires, "the dead-man's switch hears the Watchdog", w.alerting.person.hearsWatchdog)
	if received := w.alerting.person.since(time.Time{}); len(received) > 0 {
		t.Errorf("everything is healthy, and yet a person received:\n%s", list(received))
	}
	progress("everything is healthy: every collector succeeds, only the Watchdog is notified")
}

func (w *world) mayReadNoMore(t *testing.T) {
	kube := w.kube.as(t, w.token)
	secrets := kube.Secrets(namespace)
	_, err := secrets.List(t.Context(), metav1.ListOptions{})
	forbidden(t, "list secrets", err)
	_, err = secrets.Get(t.Context(), "rbd-db", metav1.GetOptions{})
	forbidden(t, "read the Secret rbd-db", err)
	_, err = kube.ConfigMaps(namespace).List(t.Context(), metav1.ListOptions{})
	forbidden(t, "list ConfigMaps", err)
	_, err = kube.Pods("default").List(t.Context(), metav1.ListOptions{})
	forbidden(t, "list pods elsewhere", err)
	err = kube.Pods(namespace).Delete(t.Context(), podOf("rbd-api"), metav1.DeleteOptions{})
	forbidden(t, "delete a pod", err)
}

func forbidden(t *testing.T, what string, err error) {
	t.Helper()
	if !apierrors.IsForbidden(err) {
		t.Errorf("to %s: %v; expected it to be forbidden", what, err)
	}
}

func (w *world) metricsAreClean(t *testing.T) {
	for _, e := range []*exporter{w.exporter, w.node} {
		if e == nil {
			continue
		}
		page, err := e.get("/metrics")
		must(t, err)
		check := exec.CommandContext(t.Context(), tool(t, "promtool"), "check", "metrics")
		check.Stdin = bytes.NewReader(page)
		if out, err := check.CombinedOutput(); err != nil {
			t.Errorf("%s: promtool check metrics: %v\n%s", e.name, err, out)
		}
	}
}

// distrust connects as a client whose CA is from another rotation:
// it presents a certificate that the server accepts.
func (w *world) distrust(t *testing.T) {
	if err := visit(w.api.address, w.stale.CA, w.current.Client, w.current.ClientKey); err == nil {
		t.Fatal("the client trusts a server whose certificate another CA signed")
	}
}

// trust is the same client with the right CA.
func (w *world) trust(t *testing.T) {
	must(t, visit(w.api.address, w.current.CA, w.current.Client, w.current.ClientKey))
}

// rotate creates new certificates, as the operator does when a gateway address
// is added. Everything works until rbd-api restarts.
func (w *world) rotate(t *testing.T) {
	w.current = generation(t)
	w.kube.rotate(t, w.current)
	w.api.mount(w.current)
}

// restartAPI restarts the container of rbd-api, which reads its certificates
// then.
func (w *world) restartAPI(t *testing.T) {
	w.api.stop()
	w.api.start(t)
	w.kube.podRestarted(t, "rbd-api")
}

// copyToConsole is the document's repair.
func (w *world) copyToConsole(t *testing.T) { w.console.paste(t, w.current) }

func (w *world) onlyTLSUnable(t *testing.T) {
	until(t, 10*time.Second, "only the collector tls fails", func() error { return w.exporter.onlyFailing("tls") })
}

func (w *world) noDisk() string {
	if w.disk == nil {
		return "no small disk to fill: only root may mount one"
	}
	return ""
}
