package chart

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"
)

// empty are the forms in which people leave a value empty.
var empty = []string{"null", "{}", "[]", `""`}

// TestEachValueMayBeEmpty sets each value alone to null, {}, [] and "". The
// schema rejects it with its path, or Helm renders valid YAML. null always
// renders: it means the default, or leaves a field of Kubernetes out.
func TestEachValueMayBeEmpty(t *testing.T) {
	if testing.Short() {
		t.Skip("renders some 800 times: make chart does it")
	}
	var document yaml.Node
	if err := yaml.Unmarshal([]byte(read(t, folder+"/values.yaml")), &document); err != nil {
		t.Fatal(err)
	}
	paths := pathsOf(nil, document.Content[0])
	if len(paths) < 150 {
		t.Fatalf("values.yaml has %d paths, expected all of them", len(paths))
	}
	schema := jsonschema.NewCompiler().MustCompile(folder + "/values.schema.json")
	for _, path := range paths {
		t.Run(strings.Join(path, "."), func(t *testing.T) {
			t.Parallel()
			for _, value := range empty {
				text := nested(path, value)
				var values any
				if err := yaml.Unmarshal([]byte(text), &values); err != nil {
					t.Fatal(err)
				}
				if err := schema.Validate(values); err != nil && value != "null" { // Helm removes null before it validates
					if !strings.Contains(strings.ReplaceAll(err.Error(), "~1", "/"), "/"+strings.Join(path, "/")) {
						t.Errorf("%s: the schema's error does not name the path: %v", value, err)
					}
					continue
				}
				file := filepath.Join(t.TempDir(), "values.yaml")
				if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
				with := helms
				if path[0] == "alerting" { // its rules and routes take a second to render
					with = helms[:1]
					if len(path) > 2 && value != "null" {
						continue // the schema accepts it; only null removes a key
					}
				}
				for _, helm := range with {
					rendered, complaint := template(t, helm, append(around(path), "--values="+file)...)
					if complaint != "" && (value == "null" || !strings.HasPrefix(sentence(complaint), strings.Join(path, "."))) {
						t.Errorf("%s: %s: %s", helm, value, complaint)
					} else if err := strictYAML(rendered); err != nil {
						t.Errorf("%s: %s: %v", helm, value, err)
					}
				}
			}
		})
	}
}

// around are the values without which a value has no effect.
func around(path []string) []string {
	if path[0] != "alerting" || strings.Join(path, ".") == "alerting.receivers" {
		return nil
	}
	// Files and not --set, which cannot set a key below one that is null.
	args := []string{"--values=testdata/good/alerting-short.yaml", "--values=testdata/around/alerting.yaml"}
	if len(path) > 1 && slices.Contains([]string{"grafana", "language", "securityContext"}, path[1]) {
		args = append(args, "--values=testdata/around/grafana.yaml") // its dashboards take long to render
	}
	return args
}

// pathsOf returns the path of every key below a mapping.
func pathsOf(prefix []string, mapping *yaml.Node) (all [][]string) {
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		path := append(append([]string(nil), prefix...), mapping.Content[i].Value)
		all = append(all, path)
		if value := mapping.Content[i+1]; value.Kind == yaml.MappingNode {
			all = append(all, pathsOf(path, value)...)
		}
	}
	return all
}

// nested returns a values file in which the path has the value.
func nested(path []string, value string) string {
	text := ""
	for i, key := range path {
		text += strings.Repeat("  ", i) + fmt.Sprintf("%q:", key)
		if i+1 < len(path) {
			text += "\n"
		}
	}
	return text + " " + value + "\n"
}

// strictYAML parses every document of a rendering. yaml.v3 rejects duplicate
// keys, as Flux and kustomize do.
func strictYAML(rendered string) error {
	for decoder := yaml.NewDecoder(bytes.NewReader([]byte(rendered))); ; {
		var object map[string]any
		if err := decoder.Decode(&object); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("invalid YAML: %w", err)
		}
	}
}

// TestLabelsAreMergedAndStrings covers equal keys in two values, values that
// resemble numbers and booleans, and names with special characters.
func TestLabelsAreMergedAndStrings(t *testing.T) {
	const values = `
commonLabels: {release: kps, app.kubernetes.io/name: other, number: "1", truth: "true"}
scrape: {by: serviceMonitor, labels: {release: kps}}
rules: {prometheusRule: true, labels: {release: kps}}
service: {labels: {release: kps}}
cluster: {podLabels: {release: kps, app.kubernetes.io/instance: other}}
region: {name: "prod #1"}
`
	file := filepath.Join(t.TempDir(), "values.yaml")
	if err := os.WriteFile(file, []byte(values), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, helm := range helms {
		rendered, complaint := ran(t, tool(t, helm), "template", "123", folder, "--values="+file)
		if complaint != "" {
			t.Fatalf("%s: %s", helm, complaint)
		}
		if err := strictYAML(rendered); err != nil {
			t.Errorf("%s: %v", helm, err)
		}
		for decoder := yaml.NewDecoder(strings.NewReader(rendered)); ; {
			var object struct {
				Kind     string
				Metadata struct {
					Labels map[string]any
				}
				Spec struct {
					Template struct {
						Metadata struct{ Labels map[string]any }
						Spec     struct{ Containers []struct{ Args []string } }
					}
				}
			}
			if err := decoder.Decode(&object); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatal(err)
			}
			for _, labels := range []map[string]any{object.Metadata.Labels, object.Spec.Template.Metadata.Labels} {
				for key, value := range labels {
					if _, ok := value.(string); !ok {
						t.Errorf("%s %s: label %s is %v, expected a string", helm, object.Kind, key, value)
					}
				}
				if labels != nil && (labels["app.kubernetes.io/name"] != "rainbond-exporter" || labels["app.kubernetes.io/instance"] != "123") {
					t.Errorf("%s %s: selector labels were overridden: %v", helm, object.Kind, labels)
				}
			}
			for _, container := range object.Spec.Template.Spec.Containers {
				if !strings.Contains(strings.Join(container.Args, "\n"), "--region.name=prod #1\n") {
					t.Errorf("%s %s: the region's name is not one argument: %q", helm, object.Kind, container.Args)
				}
			}
		}
	}
}

// TestTheGlobalRegistryReplacesTheRegistry of image.repository, whether it has
// one or not.
func TestTheGlobalRegistryReplacesTheRegistry(t *testing.T) {
	for repository, want := range map[string]string{
		"ghcr.io/rainbond-exporter/rainbond-exporter": "registry.example.com/rainbond-exporter/rainbond-exporter:",
		"localhost:5000/exporter":                     "registry.example.com/exporter:",
		"mirror/exporter":                             "registry.example.com/mirror/exporter:",
		"exporter":                                    "registry.example.com/exporter:",
	} {
		rendered, complaint := template(t, "helm", "--set=global.imageRegistry=registry.example.com/", "--set=image.repository="+repository, "--set=global.imagePullSecrets={a}", "--set=imagePullSecrets[0].name=a")
		if complaint != "" {
			t.Fatal(complaint)
		}
		if !strings.Contains(rendered, `image: "`+want) {
			t.Errorf("%s: the rendering has no image %s…", repository, want)
		}
		if got := strings.Count(rendered, "- name: a\n"); got != 2 { // one for each workload
			t.Errorf("%s: the pull secret occurs %d times, expected once per pod template", repository, got)
		}
	}
}

// TestSecurityContextsCanBeRemoved covers OpenShift's restricted SCC, which
// chooses the user.
func TestSecurityContextsCanBeRemoved(t *testing.T) {
	rendered, complaint := template(t, "helm", "--values="+folder+"/examples/openshift.yaml")
	if complaint != "" {
		t.Fatal(complaint)
	}
	for _, field := range []string{"runAsUser", "runAsGroup", "fsGroup"} {
		if strings.Contains(rendered, field) {
			t.Errorf("the OpenShift example renders %s", field)
		}
	}
	if !strings.Contains(rendered, "runAsNonRoot: true") {
		t.Error("the OpenShift example loses runAsNonRoot")
	}
	rendered, complaint = template(t, "helm", "--set-json=cluster.podSecurityContext=null,cluster.securityContext=null,node.enabled=false")
	if complaint != "" || strings.Contains(rendered, "securityContext") {
		t.Errorf("null does not remove the security contexts: %s", complaint)
	}
}

func TestExamplesRender(t *testing.T) {
	examples, err := filepath.Glob(folder + "/examples/*.yaml")
	if err != nil || len(examples) < 4 {
		t.Fatalf("%d examples: %v", len(examples), err)
	}
	for _, example := range examples {
		for _, helm := range helms {
			rendered, complaint := template(t, helm, "--values="+example)
			if complaint != "" {
				t.Errorf("%s %s: %s", helm, filepath.Base(example), complaint)
			} else if err := strictYAML(rendered); err != nil {
				t.Errorf("%s %s: %v", helm, filepath.Base(example), err)
			}
		}
	}
}

// TestMirrorExamplesReplaceEveryImage expects that no image comes from its
// original registry, also with the alerting stack and Grafana, and that
// docs/install.md names the mirrors of each image.
func TestMirrorExamplesReplaceEveryImage(t *testing.T) {
	image := regexp.MustCompile(`(?m)^ *(?:- )?image: "?([^"\s]+)"?$`)
	with := []string{"--values=testdata/good/alerting-short.yaml", "--set=alerting.grafana.enabled=true"}
	rendered, complaint := template(t, "helm", with...)
	if complaint != "" {
		t.Fatal(complaint)
	}
	var originals []string
	for _, found := range image.FindAllStringSubmatch(rendered, -1) {
		originals = append(originals, found[1])
	}
	if len(originals) < 5 {
		t.Fatalf("%d images: %q", len(originals), originals)
	}
	pages := map[string]string{"install.md": read(t, root+"/docs/install.md"), "install.zh.md": read(t, root+"/docs/install.zh.md")}
	for example, mirror := range map[string]*regexp.Regexp{
		"air-gapped.yaml": regexp.MustCompile(`^registry\.example\.com$`),
		"china.yaml":      regexp.MustCompile(`^(ghcr|quay|docker)\.(nju\.edu\.cn|m\.daocloud\.io)$`),
	} {
		rendered, complaint := template(t, "helm", append(with, "--values="+folder+"/examples/"+example)...)
		if complaint != "" {
			t.Fatal(complaint)
		}
		images := image.FindAllStringSubmatch(rendered, -1)
		if len(images) != len(originals) {
			t.Fatalf("%s: %d images, expected %d", example, len(images), len(originals))
		}
		for i, found := range images {
			registry, path, _ := strings.Cut(found[1], "/")
			original, want, _ := strings.Cut(originals[i], "/")
			if !mirror.MatchString(registry) || path != want {
				t.Errorf("%s: image %s; expected %s in a registry like %s", example, found[1], want, mirror)
			}
			if example == "china.yaml" {
				repository, _, _ := strings.Cut(path, ":")
				for name, text := range pages {
					if !strings.Contains(text, "`"+original+"/"+repository+"`") || !strings.Contains(text, "`"+registry+"/"+repository+"`") {
						t.Errorf("docs/%s does not name %s and its mirror in %s", name, repository, registry)
					}
				}
			}
		}
	}
}

func TestOverridesChangeOneAlert(t *testing.T) {
	text := rulesOf(t, "rules.overrides.RainbondNodeDiskFilling.for=30m", "rules.overrides.RainbondNodeDiskFilling.severity=critical",
		"rules.overrides.RainbondNodeDiskFilling.labels.team=storage", "rules.overrides.RainbondNodeDiskFilling.annotations.note=ask storage")
	var file struct {
		Groups []struct {
			Rules []struct {
				Alert, For          string
				Labels, Annotations map[string]string
			}
		}
	}
	if err := yaml.Unmarshal([]byte(text), &file); err != nil {
		t.Fatal(err)
	}
	for _, group := range file.Groups {
		for _, rule := range group.Rules {
			overridden := rule.For == "30m" && rule.Labels["severity"] == "critical" && rule.Labels["team"] == "storage" && rule.Annotations["note"] == "ask storage"
			if rule.Alert == "RainbondNodeDiskFilling" && !overridden {
				t.Errorf("RainbondNodeDiskFilling is %+v", rule)
			}
			if rule.Alert != "RainbondNodeDiskFilling" && (rule.Labels["team"] != "" || rule.Annotations["note"] != "") {
				t.Errorf("%s was changed as well", rule.Alert)
			}
		}
	}
}

// TestExternalURLsCompleteTheLinks of the alerts and of the pods.
func TestExternalURLsCompleteTheLinks(t *testing.T) {
	text := rulesOf(t, "externalURL.exporter=https://exporter.example.com/", "externalURL.grafana=https://grafana.example.com")
	for _, want := range []string{
		"guide_url: https://exporter.example.com/guide?lang=en#disk-filling", "guide_url_zh: https://exporter.example.com/guide?lang=zh#disk-filling",
		"dashboard_url: https://grafana.example.com/d/rainbond-nodes",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the rules do not contain %q", want)
		}
	}
	if text := rulesOf(t, "externalURL.guide=https://docs.example.com/guide", "rules.languages={zh}"); !strings.Contains(text, "guide_url: https://docs.example.com/guide?lang=zh#disk-filling") {
		t.Error("externalURL.guide is not used, or not in the language of the texts")
	}
	if text := rulesOf(t); strings.Contains(text, "guide_url") || strings.Contains(text, "dashboard_url") {
		t.Error("without externalURL there are links")
	}
	rendered, complaint := template(t, "helm", "--set=externalURL.exporter=https://exporter.example.com")
	if complaint != "" || strings.Count(rendered, "--web.external-url=https://exporter.example.com") != 2 {
		t.Errorf("the pods do not have the external URL: %s", complaint)
	}
}
