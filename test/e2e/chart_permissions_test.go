//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// mayNot lists the requests that the API server refuses the chart's
// ServiceAccount, with the text of docs/hardening.md.
var mayNot = []struct{ what, verb, path string }{
	{"list Secrets", http.MethodGet, "/api/v1/namespaces/rbd-system/secrets"},
	{"list Secrets of every namespace", http.MethodGet, "/api/v1/secrets"},
	{"watch Secrets", http.MethodGet, "/api/v1/namespaces/rbd-system/secrets?watch=true"},
	{"read another Secret", http.MethodGet, "/api/v1/namespaces/rbd-system/secrets/rbd-db"},
	{"read a Secret of its own namespace", http.MethodGet, "/api/v1/namespaces/monitoring/secrets/any"},
	{"list ConfigMaps", http.MethodGet, "/api/v1/namespaces/rbd-system/configmaps"},
	{"read another ConfigMap", http.MethodGet, "/api/v1/namespaces/rbd-system/configmaps/any"},
	{"list pods elsewhere", http.MethodGet, "/api/v1/namespaces/kube-system/pods"},
	{"list pods of every namespace", http.MethodGet, "/api/v1/pods"},
	{"read logs elsewhere", http.MethodGet, "/api/v1/namespaces/kube-system/pods/any/log"},
	{"list events elsewhere", http.MethodGet, "/api/v1/namespaces/kube-system/events"},
	{"reach a kubelet (nodes/proxy)", http.MethodGet, "/api/v1/nodes/worker-1/proxy/stats/summary"},
	{"run a command in a pod", http.MethodPost, "/api/v1/namespaces/rbd-system/pods/rbd-api-0/exec?command=id"},
	{"reach a port of a pod", http.MethodPost, "/api/v1/namespaces/rbd-system/pods/rbd-api-0/portforward"},
	{"list namespaces", http.MethodGet, "/api/v1/namespaces"},
	{"read the RainbondCluster by listing", http.MethodGet, "/apis/rainbond.io/v1alpha1/namespaces/rbd-system/rainbondclusters"},
	{"create a pod", http.MethodPost, "/api/v1/namespaces/rbd-system/pods"},
	{"delete a pod", http.MethodDelete, "/api/v1/namespaces/rbd-system/pods/rbd-api-0"},
	{"change a Deployment", http.MethodPut, "/apis/apps/v1/namespaces/rbd-system/deployments/rbd-api"},
	{"scale a Deployment", http.MethodPut, "/apis/apps/v1/namespaces/rbd-system/deployments/rbd-api/scale"},
	{"change region-config", http.MethodPut, "/api/v1/namespaces/rbd-system/configmaps/region-config"},
	{"change the Secrets that it reads", http.MethodPut, "/api/v1/namespaces/rbd-system/secrets/rbd-api-server-cert"},
	{"change a node", http.MethodPut, "/api/v1/nodes/worker-1"},
	{"write events", http.MethodPost, "/api/v1/namespaces/rbd-system/events"},
	{"ask for another account's token", http.MethodPost, "/api/v1/namespaces/kube-system/serviceaccounts/admin/token"},
	{"grant itself permissions", http.MethodPost, "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings"},
	{"change the RainbondCluster", http.MethodPut, "/apis/rainbond.io/v1alpha1/namespaces/rbd-system/rainbondclusters/rainbondcluster"},
}

// without lists the rules of the chart, and which collectors fail when one is
// removed. Where nothing fails, the log names what stays unknown.
var without = []struct {
	resource string
	failing  []string
	words    string
}{
	{"pods/log", []string{"tls"}, "the exporter needs get on pods/log in namespace rbd-system"},
	{"secrets", []string{"cert"}, "the exporter needs get on secrets rbd-api-client-cert in namespace rbd-system"},
	{"deployments", []string{"component"}, "the exporter needs list and watch on deployments"},
	{"rbdcomponents", nil, "the exporter needs list on rbdcomponents.rainbond.io in namespace rbd-system"},
	{"rainbondclusters", nil, "the exporter needs get on rainbondclusters.rainbond.io in namespace rbd-system"},
	{"events", nil, "the exporter needs list on events in namespace rbd-system"},
	{"configmaps", []string{"api", "cert"}, "the exporter needs get on configmaps region-config in namespace rbd-system"},
	{"pods", []string{"component", "tls"}, "the exporter needs list and watch on pods"},
	{"nodes", []string{"component", "disk", "node-role"}, "the exporter needs list and watch on nodes"},
}

// leastPrivilege runs the binary with the arguments and the token of the pods
// that the chart makes.
func (h *site) leastPrivilege(t *testing.T, p *platform) {
	name, args := h.installed(t)
	p.waitsForSecret(t, "rbd-mq") // so that events are asked for
	token := h.token(t, monitoring, name)
	kubeconfig := filepath.Join(h.folder, "exporter.kubeconfig")
	write(t, kubeconfig, h.cluster.kubeconfig(t, token))
	args = append(args, "--kubeconfig="+kubeconfig)

	t.Run("every collector succeeds", func(t *testing.T) {
		e := newExporter(t, h.logs, "exporter-chart", args...)
		until(t, 15*time.Second, "every collector succeeds", func() error { return e.onlyFailing() })
		if seen, err := e.scrape(); err != nil || len(seen.collectors()) != 6 {
			t.Errorf("collectors: %q, %v; expected all six", seen.collectors(), err)
		}
		if text := tail(e.log, 100); strings.Contains(text, "the exporter needs") {
			t.Errorf("a right is missing:\n%s", text)
		}
	})
	t.Run("they are enough for check", func(t *testing.T) { checksAsItsAccount(t, kubeconfig) })
	t.Run("everything else is refused", func(t *testing.T) {
		page, err := os.ReadFile("../../docs/hardening.md")
		must(t, err)
		client := h.as(t, token).RESTClient()
		for _, m := range mayNot {
			if !strings.Contains(string(page), m.what) {
				t.Errorf("docs/hardening.md does not state that it may not %s", m.what)
			}
			path, query, _ := strings.Cut(m.path, "?")
			request := client.Verb(m.verb).AbsPath(path).SetHeader("Content-Type", "application/json")
			if key, value, ok := strings.Cut(query, "="); ok {
				request.Param(key, value)
			}
			if m.verb != http.MethodGet && m.verb != http.MethodDelete {
				request.Body([]byte(`{}`))
			}
			if err := request.Do(t.Context()).Error(); !apierrors.IsForbidden(err) {
				t.Errorf("to %s: %v; expected it to be forbidden", m.what, err)
			}
		}
		progress("%d things are refused", len(mayNot))
	})
	for _, w := range without {
		t.Run("without "+w.resource, func(t *testing.T) {
			h.takeAway(t, w.resource)
			e := newExporter(t, h.logs, "exporter-without-"+strings.ReplaceAll(w.resource, "/", "-"), args...)
			until(t, 15*time.Second, fmt.Sprintf("only %q fails, and the log has the reason", w.failing), func() error {
				if err := e.onlyFailing(w.failing...); err != nil {
					return err
				}
				if text := tail(e.log, 100); !strings.Contains(text, w.words) {
					return errors.New("the log does not contain: " + w.words + "\n" + text)
				}
				return nil
			})
		})
	}
	t.Run("the optional right to ask kubelets", func(t *testing.T) { h.asksKubelets(t, args) })
}

// takeAway takes the rule of a resource out of the chart's Role or ClusterRole
// until the test ends.
func (h *site) takeAway(t *testing.T, resource string) {
	t.Helper()
	lacks := func(rule rbacv1.PolicyRule) bool { return slices.Contains(rule.Resources, resource) }
	roles, err := h.rbac.Roles(namespace).List(t.Context(), metav1.ListOptions{LabelSelector: "app.kubernetes.io/instance=" + chartRelease})
	must(t, err)
	role := &roles.Items[0]
	if slices.ContainsFunc(role.Rules, lacks) {
		all := role.Rules
		role.Rules = slices.DeleteFunc(slices.Clone(all), lacks)
		role, err = h.rbac.Roles(namespace).Update(t.Context(), role, metav1.UpdateOptions{})
		must(t, err)
		t.Cleanup(func() {
			role.Rules = all
			must(t, created(h.rbac.Roles(namespace).Update(context.Background(), role, metav1.UpdateOptions{})))
		})
		return
	}
	clusterRoles, err := h.rbac.ClusterRoles().List(t.Context(), metav1.ListOptions{LabelSelector: "app.kubernetes.io/instance=" + chartRelease})
	must(t, err)
	clusterRole := &clusterRoles.Items[0]
	if !slices.ContainsFunc(clusterRole.Rules, lacks) {
		t.Fatalf("the chart gives no right on %s", resource)
	}
	all := clusterRole.Rules
	clusterRole.Rules = slices.DeleteFunc(slices.Clone(all), lacks)
	clusterRole, err = h.rbac.ClusterRoles().Update(t.Context(), clusterRole, metav1.UpdateOptions{})
	must(t, err)
	t.Cleanup(func() {
		clusterRole.Rules = all
		must(t, created(h.rbac.ClusterRoles().Update(context.Background(), clusterRole, metav1.UpdateOptions{})))
	})
}
