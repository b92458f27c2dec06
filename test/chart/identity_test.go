package chart

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/rainbond-exporter/rainbond-exporter/dashboards"
	"github.com/rainbond-exporter/rainbond-exporter/rules"
	"github.com/rainbond-exporter/rainbond-exporter/rules/variant"
)

// TestIdentity: with each identity, the chart renders the rules, the
// Alertmanager configuration and the dashboards that the commands rules and
// dashboards write.
func TestIdentity(t *testing.T) {
	for _, labels := range [][]string{{"tenant"}, {"cluster", "tenant"}, {}} {
		identity := append(slices.Clone(labels), rules.RegionLabel)
		t.Run(strings.Join(identity, ","), func(t *testing.T) {
			set := "identity={" + strings.Join(identity, ",") + "}"

			text, err := variant.Generate(variant.Options{Identity: identity})
			if err != nil {
				t.Fatal(err)
			}
			want := slices.Sorted(slices.Values(values(t, strings.ReplaceAll(string(text), "-n NAMESPACE", "-n monitoring"))))
			if got := slices.Sorted(slices.Values(values(t, rulesOf(t, set)))); !slices.Equal(got, want) {
				t.Errorf("the rules differ\n%s", firstDifference(strings.Join(want, "\n"), strings.Join(got, "\n")))
			}

			got, want := vmRuleOf(t, set), flatRules(t, identity...)
			for i := range got {
				got[i] = strings.ReplaceAll(got[i], " by () (", "(") // which the parser leaves out
			}
			slices.Sort(got)
			if !slices.Equal(got, want) {
				t.Errorf("the VMRule differs\n%s", firstDifference(strings.Join(want, "\n"), strings.Join(got, "\n")))
			}

			configured, err := variant.Generate(variant.Options{Identity: identity, Format: variant.Alertmanager})
			if err != nil {
				t.Fatal(err)
			}
			wantEqual := equal(t, configured)
			args := []string{"--set=" + set, "--values=testdata/good/alerting-short.yaml", "--values=testdata/around/alerting.yaml", "--values=testdata/around/grafana.yaml",
				"--set=dashboards.configMaps=true,alerting.language=en,alertmanagerConfig.enabled=true", "--set-json=alertmanagerConfig.receivers=[{\"name\":\"page\"},{\"name\":\"channel\"},{\"name\":\"deadman\"}]"}
			for _, name := range []string{"alerting", "alertmanagerconfig"} {
				rendered, complaint := template(t, "helm", append(args, "--show-only=templates/"+name+".yaml")...)
				if complaint != "" {
					t.Fatal(complaint)
				}
				if got := equal(t, []byte(rendered)); !slices.Equal(got, wantEqual) {
					t.Errorf("%s: %q, want %q", name, got, wantEqual)
				}
			}

			wantFiles, err := dashboards.Files("en", labels)
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range []string{"dashboards", "grafana"} {
				rendered, complaint := template(t, "helm", append(args, "--show-only=templates/"+name+".yaml")...)
				if complaint != "" {
					t.Fatal(complaint)
				}
				got := map[string]string{}
				for _, object := range objects(rendered) {
					var file struct{ Data map[string]string }
					if err := yaml.Unmarshal([]byte(object), &file); err != nil {
						t.Fatal(err)
					}
					maps.Copy(got, file.Data)
				}
				for file, want := range wantFiles {
					if got[file] != strings.TrimSpace(string(want)) {
						t.Errorf("%s: %s differs\n%s", name, file, firstDifference(strings.TrimSpace(string(want)), got[file]))
					}
				}
			}
		})
	}
}

// equal returns the labels by which the inhibition rules of a text compare and
// its routes group, one list to an entry: of YAML documents, and of YAML in
// their values.
func equal(t *testing.T, text []byte) (all []string) {
	t.Helper()
	var walk func(n *yaml.Node)
	walk = func(n *yaml.Node) {
		for i := 0; n.Kind == yaml.MappingNode && i+1 < len(n.Content); i += 2 {
			key, value := n.Content[i].Value, n.Content[i+1]
			if key == "equal" || key == "group_by" || key == "groupBy" {
				var list []string
				if err := value.Decode(&list); err != nil {
					t.Fatal(err)
				}
				all = append(all, strings.Join(list, ","))
			}
			if key == "alertmanager.yaml" {
				all = append(all, equal(t, []byte(value.Value))...)
			}
		}
		for _, child := range n.Content {
			walk(child)
		}
	}
	for _, object := range objects(string(text)) {
		var document yaml.Node
		if err := yaml.Unmarshal([]byte(object), &document); err != nil {
			t.Fatal(err)
		}
		walk(&document)
	}
	slices.Sort(all)
	return all
}
