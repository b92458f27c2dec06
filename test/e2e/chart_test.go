//go:build e2e

package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	chartFolder   = "../../charts/rainbond-exporter"
	chartFixtures = "../chart/testdata/good/*.yaml"
	chartExamples = chartFolder + "/examples/*.yaml"
	chartRelease  = "rainbond"
	monitoring    = "monitoring" // the namespace of the release
)

// TestTheChart tries the Helm chart on a real API server with RBAC on.
func TestTheChart(t *testing.T) {
	folder, logs := t.TempDir(), logFolder(t)
	c := newCluster(t, sub(t, folder, "kube"), logs)
	k := newKubelet(t, c.ca)
	p := newPlatform(t, c, k, freeAddress(t), generation(t))
	k.runs(namespace, podOf("rbd-api"), "rbd-api")
	p.makeOperatorResources(t)
	h := newSite(t, c, folder, logs)
	// The chart makes its own account, of the same name.
	h.do(t, "", tool(t, "kubectl"), "delete", "--namespace="+namespace, "role/"+account, "rolebinding/"+account, "serviceaccount/"+account)

	t.Run("the server takes every rendering", h.takesEveryRendering)
	t.Run("kubeconform finds nothing against the server's own schemas", h.conforms)
	t.Run("Helm 3 and Helm 4 install, upgrade and leave nothing behind", h.leavesNothing)
	t.Run("they upgrade from the previous release", h.upgradesFromThePreviousRelease)
	t.Run("the commands of the install page run", h.runsTheInstallPage)
	t.Run("promtool reads the job of the install page", h.promtoolReadsItsJob)
	t.Run("the commands and manifests of the page about check", h.runsTheCheckPage)
	t.Run("the server takes every documented object", h.takesDocumentedObjects)
	t.Run("the granted permissions are sufficient, and no more", func(t *testing.T) { h.leastPrivilege(t, p) })
}

// A site is a cluster with the Prometheus Operator's kinds, where the chart is
// installed.
type site struct {
	*cluster
	kubeconfig string // an administrator's
	folder     string
	logs       string
}

func newSite(t testing.TB, c *cluster, folder, logs string) *site {
	t.Helper()
	h := &site{cluster: c, folder: folder, logs: logs, kubeconfig: filepath.Join(folder, "admin.kubeconfig")}
	admin := metav1.ObjectMeta{Name: "admin", Namespace: "kube-system"}
	must(t, created(c.core.ServiceAccounts(admin.Namespace).Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: admin}, metav1.CreateOptions{})))
	must(t, created(c.rbac.ClusterRoleBindings().Create(t.Context(), &rbacv1.ClusterRoleBinding{ObjectMeta: admin,
		Subjects: []rbacv1.Subject{{Kind: "ServiceAccount", Name: admin.Name, Namespace: admin.Namespace}},
		RoleRef:  rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "cluster-admin"}}, metav1.CreateOptions{})))
	write(t, h.kubeconfig, c.kubeconfig(t, c.token(t, admin.Namespace, admin.Name)))
	// No pods are created here, because there is no scheduler. The server returns violations of Pod Security as warnings.
	for name, labels := range map[string]map[string]string{monitoring: {"pod-security.kubernetes.io/warn": "restricted"}, "rainbond": nil} {
		must(t, created(c.core.Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}}, metav1.CreateOptions{})))
	}

	crds, _ := h.do(t, "", "../../tools/crds/folder")
	h.do(t, "", tool(t, "kubectl"), "create", "-f", strings.TrimSpace(crds))
	// Of the Grafana Operator only the kind's name: its module cannot be had.
	h.do(t, `{"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "grafanadashboards.grafana.integreatly.org"},
		"spec": {"group": "grafana.integreatly.org", "scope": "Namespaced", "names": {"plural": "grafanadashboards", "kind": "GrafanaDashboard"},
		"versions": [{"name": "v1beta1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}}]}}`,
		tool(t, "kubectl"), "create", "-f", "-")
	// The fields of an RBDPlugin in Rainbond 6.9 (goodrain/rainbond, config/crd).
	h.do(t, `{"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "rbdplugins.rainbond.io"},
		"spec": {"group": "rainbond.io", "scope": "Cluster", "names": {"plural": "rbdplugins", "kind": "RBDPlugin"},
		"versions": [{"name": "v1alpha1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": {"type": "object", "properties": {
			"display_name": {"type": "string"}, "plugin_type": {"type": "string", "enum": ["JSInject", "Iframe"]},
			"plugin_views": {"type": "array", "items": {"type": "string", "enum": ["Platform", "Team", "Application", "Component"]}},
			"frontend_service": {"type": "string"}, "backend_service": {"type": "string"}, "namespace": {"type": "string"}, "menu_title": {"type": "string"},
			"route_path": {"type": "string"}, "frontend_component": {"type": "string"}, "entry_path": {"type": "string"}}}}}}}]}}`,
		tool(t, "kubectl"), "create", "-f", "-")
	h.do(t, "", tool(t, "kubectl"), "wait", "--for=condition=Established", "crd", "--all", "--timeout=30s")
	return h
}

// do runs a program as the administrator and returns what it printed.
func (h *site) do(t testing.TB, input, name string, args ...string) (out, complaint string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	run := exec.CommandContext(t.Context(), name, args...)
	run.Stdin, run.Stdout, run.Stderr = strings.NewReader(input), &stdout, &stderr
	run.Env = append(os.Environ(), "KUBECONFIG="+h.kubeconfig, "HOME="+h.folder)
	if strings.HasSuffix(name, "folder") { // asks Go, which has its caches at home
		run.Env = os.Environ()
	}
	if err := run.Run(); err != nil {
		t.Fatalf("%s %s: %v\n%s%s", filepath.Base(name), strings.Join(args, " "), err, stderr.String(), stdout.String())
	}
	return stdout.String(), stderr.String()
}

// renderings are what Helm makes of each good fixture, by its name.
func (h *site) renderings(t *testing.T) map[string]string {
	t.Helper()
	fixtures, err := filepath.Glob(chartFixtures)
	if err != nil || len(fixtures) == 0 {
		t.Fatalf("no fixtures: %v", err)
	}
	examples, err := filepath.Glob(chartExamples)
	if err != nil || len(examples) == 0 {
		t.Fatalf("no examples: %v", err)
	}
	fixtures = append(fixtures, examples...)
	all := map[string]string{}
	for _, fixture := range fixtures {
		for _, helm := range []string{"helm", "helm3"} {
			out, _ := h.do(t, "", tool(t, helm), "template", chartRelease, chartFolder, "--namespace="+monitoring, "--values="+fixture)
			all[filepath.Base(fixture)+" by "+helm] = out
		}
	}
	return all
}

// hostPath is the one thing that Pod Security restricted may find.
const hostPath = `Warning: would violate PodSecurity "restricted:latest": restricted volume types (volume "host" uses restricted volume type "hostPath")`

func (h *site) takesEveryRendering(t *testing.T) {
	for name, rendering := range h.renderings(t) {
		_, warnings := h.do(t, rendering, tool(t, "kubectl"), "apply", "--server-side", "--dry-run=server", "--validate=strict", "-f", "-")
		want := ""
		if strings.Contains(rendering, "kind: DaemonSet") {
			want = hostPath
		}
		if got := strings.TrimSpace(warnings); got != want {
			t.Errorf("%s: the server warns:\n%s\nexpected:\n%s", name, got, want)
		}
		progress("the server takes %s", name)
	}
}

// conforms asks kubeconform, which knows a field that no schema has from one
// that the server would quietly drop.
func (h *site) conforms(t *testing.T) {
	schemas := sub(t, h.folder, "schemas")
	until(t, 2*time.Minute, "the server publishes the kinds that were made", func() error { return h.writeSchemas(t, schemas) })
	location := filepath.Join(schemas, "{{ .ResourceKind }}-{{ .Group }}-{{ .ResourceAPIVersion }}.json")
	for name, rendering := range h.renderings(t) {
		out, _ := h.do(t, rendering, tool(t, "kubeconform"), "-strict", "-summary", "-schema-location", location, "-")
		if !strings.Contains(out, "Invalid: 0, Errors: 0, Skipped: 0") {
			t.Errorf("%s: %s", name, out)
		}
	}
}

// writeSchemas writes a JSON schema for each kind that the server serves.
func (h *site) writeSchemas(t *testing.T, folder string) error {
	text, err := h.core.RESTClient().Get().AbsPath("/openapi/v2").Do(t.Context()).Raw()
	if err != nil {
		return err
	}
	var published struct {
		Definitions map[string]map[string]any `json:"definitions"`
	}
	if err := json.Unmarshal(text, &published); err != nil {
		return err
	}
	kinds := 0
	for name, definition := range published.Definitions {
		strict(definition)
		versions, _ := definition["x-kubernetes-group-version-kind"].([]any)
		if len(versions) != 1 {
			continue // lists, options and the like
		}
		v := versions[0].(map[string]any)
		if v["group"] == "monitoring.coreos.com" || v["group"] == "grafana.integreatly.org" {
			kinds++
		}
		if v["group"] == "" {
			v["group"] = v["version"] // as kubeconform calls the group without a name
		}
		schema, err := json.Marshal(map[string]string{"$ref": "_definitions.json#/definitions/" + name})
		if err != nil {
			return err
		}
		write(t, filepath.Join(folder, fmt.Sprintf("%s-%s-%s.json", strings.ToLower(v["kind"].(string)), v["group"], v["version"])), schema)
	}
	if kinds < 6 { // those that the chart uses
		return fmt.Errorf("%d kinds of the operators are published", kinds)
	}
	text, err = json.Marshal(published)
	if err != nil {
		return err
	}
	write(t, filepath.Join(folder, "_definitions.json"), text)
	return nil
}

// strict refuses fields that the schema does not name, and takes both forms
// where the server does.
func strict(schema any) {
	switch s := schema.(type) {
	case map[string]any:
		if s["format"] == "int-or-string" || s["x-kubernetes-int-or-string"] == true {
			delete(s, "type")
			delete(s, "format")
		}
		_, named := s["properties"].(map[string]any)
		if _, more := s["additionalProperties"]; named && !more && s["x-kubernetes-preserve-unknown-fields"] == nil {
			s["additionalProperties"] = false
		}
		for _, child := range s {
			strict(child)
		}
	case []any:
		for _, child := range s {
			strict(child)
		}
	}
}

// objects lists what has the release's label, of any kind.
func (h *site) objects(t *testing.T) []string {
	t.Helper()
	const kinds = "deployments,daemonsets,services,serviceaccounts,configmaps,secrets,roles,rolebindings,clusterroles,clusterrolebindings," +
		"networkpolicies,poddisruptionbudgets,ingresses,rbdplugins,servicemonitors,podmonitors,scrapeconfigs,prometheusrules,alertmanagerconfigs,grafanadashboards"
	out, _ := h.do(t, "", tool(t, "kubectl"), "get", kinds, "--all-namespaces", "--output=name",
		"--selector=app.kubernetes.io/instance="+chartRelease)
	rest, _ := h.do(t, "", tool(t, "kubectl"), "get", "secrets", "--all-namespaces", "--output=name", "--selector=owner=helm")
	return strings.Fields(out + rest)
}

func (h *site) leavesNothing(t *testing.T) {
	fixtures, err := filepath.Glob(chartFixtures)
	must(t, err)
	for _, helm := range []string{"helm", "helm3"} {
		do := func(args ...string) string {
			out, _ := h.do(t, "", tool(t, helm), append(args, "--namespace="+monitoring)...)
			return out
		}
		do("install", chartRelease, chartFolder)
		for _, fixture := range append(fixtures, "../chart/testdata/good/default.yaml") {
			out := do("upgrade", chartRelease, chartFolder, "--reset-values", "--values="+fixture)
			_, notes, _ := strings.Cut(out, "NOTES:\n")
			steps, commands := strings.Count(notes, "\n  # "), strings.Count(notes, "\n  kubectl ")+strings.Count(notes, "\n  curl ")
			if steps < 3 || steps != commands {
				t.Errorf("%s: %s: %d steps and %d commands; expected at least three steps, each with its command:\n%s", helm, fixture, steps, commands, notes)
			}
		}
		if len(h.objects(t)) == 0 {
			t.Errorf("%s has installed nothing", helm)
		}
		do("uninstall", chartRelease, "--wait")
		until(t, 2*time.Minute, helm+" leaves nothing behind", func() error {
			if left := h.objects(t); len(left) > 0 {
				return errors.New(strings.Join(left, ", "))
			}
			return nil
		})
		progress("%s installs, upgrades to each fixture and back, and leaves nothing behind", helm)
	}
}

// installed installs the chart and returns its ServiceAccount's name and the
// arguments of its pods of the cluster role.
func (h *site) installed(t *testing.T) (account string, args []string) {
	t.Helper()
	h.do(t, "", tool(t, "helm"), "install", chartRelease, chartFolder, "--namespace="+monitoring)
	d, err := h.apps.Deployments(monitoring).Get(t.Context(), chartRelease+"-rainbond-exporter-cluster", metav1.GetOptions{})
	must(t, err)
	pod := d.Spec.Template.Spec
	args = slices.DeleteFunc(pod.Containers[0].Args, func(a string) bool { return a == "serve" })
	return pod.ServiceAccountName, append(args, "--region.route=api_address") // the test runs it outside the cluster
}
