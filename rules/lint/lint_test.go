package lint

import (
	"os"
	"strings"
	"testing"

	"github.com/rainbond-exporter/rainbond-exporter/rules"
)

func TestCheckRulesNamesTheLine(t *testing.T) {
	const annotations = `        annotations:
          summary: "{{ $labels.rainbond_region }} is {{ $value }}"
          section: api-own
`
	const good = `groups:
  - name: own
    rules:
      - alert: OwnRule
        expr: rainbond_api_up < 1
        for: 2m
` + annotations
	for _, c := range []struct{ name, old, fresh, want string }{
		{"a correct file", "", "", ""},
		{"a threshold that is a text", "up < 1", `up < "1"`, `line 5: group "own", rule 1, "OwnRule"`},
		{"a time that is none", "for: 2m", "for: soon", `line 6: for: "soon" is no time; expected one such as 2m`},
		{"an interval that is none", "- name: own\n", "- name: own\n    interval: often\n", `line 3: interval: "often" is no time; expected one such as 2m`},
		{"no section", "          section: api-own\n", "", "line 4: alert OwnRule: no annotation section, which links to the guide"},
		{"no annotations", annotations, "", "line 4: alert OwnRule: no annotation section, which links to the guide"},
		{"a field that templates do not have", "$value", ".Vaule", "line 8: alert OwnRule: summary: error executing template text"},
		{"a variable that templates do not have", "$value", "$vaule", `line 4: group "own", rule 1, "OwnRule"`},
		{"an unknown label", "rainbond_region", "region", "line 8: alert OwnRule: summary: no metric has the label region"},
		{"a key that rules do not have", "for: 2m", "fro: 2m", "line 6: field fro not found"},
		{"an unknown metric", "rainbond_api_up", "rainbond_api_pu", "line 5: expr: no collector exports rainbond_api_pu, and no rule of this file records it"},
		{"no rule", good, "", "line 1: no rule; expected groups, and rules in them"},
		{"no YAML", "groups:", "groups", "line "},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := ""
			if err := Rules(t.Context(), []byte(strings.Replace(good, c.old, c.fresh, 1))); err != nil {
				got = err.Error()
			}
			if got != c.want && (c.want == "" || !strings.Contains(got, c.want)) {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestTheEmbeddedRulesAreCorrect(t *testing.T) {
	if err := Rules(t.Context(), rules.Rules); err != nil {
		t.Error(err)
	}
}

func TestCheckTemplateNamesTheLine(t *testing.T) {
	const good = `{{ define "own" -}}
{{ .Status }} {{ .CommonLabels.rainbond_region }}
{{ range .Alerts.Firing }}
{{ with .Annotations.summary_zh }}{{ . | toUpper }}{{ else }}{{ .Labels.alertname }}{{ end }}
{{ range $pair := .Labels.SortedPairs }}{{ $pair.Name }}: {{ .Value }}, {{ $.ExternalURL }}{{ end }}
{{ end }}
{{ end }}`
	for _, c := range []struct{ name, old, fresh, want string }{
		{"a correct file", "", "", ""},
		{"a field that messages do not have", ".Status", ".State", "line 2: neither a message nor an alert has a field State"},
		{"a field of a variable", "$.ExternalURL", "$.URL", "line 5: neither a message nor an alert has a field URL"},
		{"alerts that are neither", ".Alerts.Firing", ".Alerts.Burning", "line 3: alerts are Firing or Resolved, not Burning"},
		{"an annotation that no alert has", "summary_zh", "summary_cn", "line 4: no alert has the annotation summary_cn"},
		{"an unknown label", ".rainbond_region", ".region", "line 2: no metric has the label region"},
		{"two faults", ".Status }} {{ .CommonLabels.rainbond_region", ".State }} {{ .CommonLabels.region",
			"line 2: neither a message nor an alert has a field State\nline 2: no metric has the label region"},
		{"an action without an end", "{{ end }}\n{{ end }}", "{{ end }}", "line 6: unexpected EOF"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := ""
			if err := Template([]byte(strings.Replace(good, c.old, c.fresh, 1))); err != nil {
				got = err.Error()
			}
			if got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestTheEmbeddedTemplatesAreCorrect(t *testing.T) {
	const path = "../templates/rainbond.tmpl"
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := Template(content); err != nil {
		t.Errorf("%s:\n%v", path, err)
	}
}
