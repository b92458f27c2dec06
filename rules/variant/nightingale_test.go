package variant_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"text/template"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/promql/parser"
	"go.yaml.in/yaml/v3"

	"github.com/rainbond-exporter/rainbond-exporter/rules"
	"github.com/rainbond-exporter/rainbond-exporter/rules/variant"
)

// nightingale returns the rules as Nightingale imports them: it reads no other
// fields.
func nightingale(t *testing.T, o variant.Options) []variant.N9eRule {
	t.Helper()
	o.Format = variant.Nightingale
	var all []variant.N9eRule
	d := json.NewDecoder(strings.NewReader(generate(t, o)))
	d.DisallowUnknownFields()
	if err := d.Decode(&all); err != nil {
		t.Fatal(err)
	}
	return all
}

// TestNightingaleImports: what AlertRule.Verify and the columns of the table
// require, and nothing that Nightingale does not have.
func TestNightingaleImports(t *testing.T) {
	var alerts int
	for _, r := range load(t, string(rules.Rules)) {
		if r.Alert != "" && r.Alert != rules.Watchdog {
			alerts++
		}
	}
	for _, o := range []variant.Options{{}, {Lang: "en"}, {Lang: "zh", Interval: time.Minute}, {Identity: []string{"tenant", "site", rules.RegionLabel}, ExporterURL: "https://e.example.com", GrafanaURL: "https://g.example.com"}} {
		all, names := nightingale(t, o), map[string]bool{}
		if len(all) != alerts {
			t.Errorf("%d rules, want %d", len(all), alerts)
		}
		for _, r := range all {
			if names[r.Name] || strings.ContainsAny(r.Name, "<>&'\" ") || len(r.Name) > 255 {
				t.Errorf("the name %q is not unique or not permitted", r.Name)
			}
			names[r.Name] = true
			interval := max(o.Interval, variant.DefaultInterval)
			if r.Severity < 1 || r.Severity > 3 || len(r.RuleConfig.Queries) != 1 || r.RuleConfig.Queries[0].Severity != r.Severity || r.PromForDuration < int(interval.Seconds()) || r.PromEvalInterval != int(interval.Seconds()) {
				t.Errorf("%s: %+v", r.Name, r)
			}
			for _, tag := range r.AppendTags {
				if !regexp.MustCompile(`^\w+=[^\s=]+$`).MatchString(tag) {
					t.Errorf("%s: tag %q", r.Name, tag)
				}
			}
			expr, err := parser.NewParser(parser.Options{}).ParseExpr(r.RuleConfig.Queries[0].PromQL)
			if err != nil {
				t.Errorf("%s: %v", r.Name, err)
				continue
			}
			parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
				if s, ok := node.(*parser.VectorSelector); ok && strings.Contains(s.Name, ":") {
					t.Errorf("%s: Nightingale has no recording rule %s", r.Name, s.Name)
				}
				return nil
			})
			if n := len([]rune(r.Note)); n > variant.N9eNote || n < 100 {
				t.Errorf("%s: the note has %d characters", r.Name, n)
			}
		}
	}
}

// TestNightingaleExpandsTheTexts: as ParseRule of Nightingale v6 does, with its
// functions and with a string as the value; annotations are expanded as JSON.
func TestNightingaleExpandsTheTexts(t *testing.T) {
	functions := template.FuncMap{"match": regexp.MatchString, "reReplaceAll": func(pattern, replacement, text string) string {
		return regexp.MustCompile(pattern).ReplaceAllString(text, replacement)
	}}
	for _, name := range variant.N9eFunctions {
		if strings.HasPrefix(name, "humanize") {
			functions[name] = func(value string) string { return value }
		}
	}
	expand := func(text string, labels map[string]string) (string, error) {
		parsed, err := template.New("").Funcs(functions).Parse("{{$labels := .TagsMap}}{{$value := .TriggerValue}}" + text)
		if err != nil {
			return "", err
		}
		var out bytes.Buffer
		err = parsed.Execute(&out, struct {
			TagsMap      map[string]string
			TriggerValue string
		}{labels, "0.25"})
		return out.String(), err
	}
	for _, lang := range variant.Langs {
		for _, r := range nightingale(t, variant.Options{Lang: lang}) {
			labels := map[string]string{}
			for _, name := range regexp.MustCompile(`[a-z_]+`).FindAllString(r.RuleConfig.Queries[0].PromQL, -1) {
				labels[name] = name
			}
			delete(labels, "cluster")
			annotations, err := json.Marshal(r.Annotations)
			if err != nil {
				t.Fatal(err)
			}
			for _, text := range []string{r.Note, string(annotations)} {
				got, err := expand(text, labels)
				if err != nil || strings.Contains(got, "<no value>") || strings.Contains(got, "{{") {
					t.Errorf("%s: %v\n%s", r.Name, err, got)
				}
				if text != r.Note && !json.Valid([]byte(got)) {
					t.Errorf("%s: the annotations are not JSON any more:\n%s", r.Name, got)
				}
				if left := regexp.MustCompile(`(?m)[:：] *[.。]|(Cause|Impact|Fix|原因|影响|处理)[:：] *$|none yet|last known state|最后已知|: the reason is unknown|： 原因未知|exists again|已经恢复`).FindString(got); left != "" {
					t.Errorf("%s: %q is what remains of a query:\n%s", r.Name, left, got)
				}
				optional := maps.Clone(labels)
				for _, name := range []string{"component", "mountpoint", "role", "instance"} { // which some alerts do not have
					delete(optional, name)
				}
				if _, err := expand(text, optional); err != nil {
					t.Errorf("%s without optional labels: %v", r.Name, err)
				}
			}
		}
	}
}

// TestNightingaleRaisesTheSameAlerts runs the promtool tests of the rules with
// the expressions of Nightingale.
func TestNightingaleRaisesTheSameAlerts(t *testing.T) {
	promtool := tool(t, "promtool")
	var file struct {
		Rules    []string         `yaml:"rule_files"`
		Interval string           `yaml:"evaluation_interval"`
		Tests    []map[string]any `yaml:"tests"`
	}
	text, err := os.ReadFile("../rainbond.test.yaml")
	if err == nil {
		err = yaml.Unmarshal(text, &file)
	}
	if err != nil {
		t.Fatal(err)
	}
	file.Tests = slices.DeleteFunc(file.Tests, func(test map[string]any) bool {
		delete(test, "alert_rule_test") // other texts
		var remaining []any
		long := false
		exprs, _ := test["promql_expr_test"].([]any)
		for _, e := range exprs {
			e := e.(map[string]any)
			at, err := model.ParseDuration(e["eval_time"].(string))
			long = long || err != nil || time.Duration(at) > 30*time.Minute
			if expr := e["expr"].(string); strings.Contains(expr, "ALERTS{") && !strings.Contains(expr, `alertname="`+rules.Watchdog) {
				remaining = append(remaining, e)
			}
		}
		test["promql_expr_test"] = remaining
		return long || len(remaining) == 0
	})
	if len(file.Tests) < 25 {
		t.Fatalf("only %d tests", len(file.Tests))
	}
	var group []map[string]any
	for _, r := range nightingale(t, variant.Options{}) {
		labels := map[string]string{}
		for _, tag := range r.AppendTags {
			name, value, _ := strings.Cut(tag, "=")
			labels[name] = value
		}
		alert := labels["alertname"]
		delete(labels, "alertname")
		group = append(group, map[string]any{"alert": alert, "expr": r.RuleConfig.Queries[0].PromQL, "for": fmt.Sprintf("%ds", r.PromForDuration), "labels": labels})
	}
	folder := t.TempDir()
	file.Rules = []string{"rules.yaml"}
	for name, content := range map[string]any{"test.yaml": file, "rules.yaml": map[string]any{"groups": []any{map[string]any{"name": "n", "rules": group}}}} {
		text, err := yaml.Marshal(content)
		if err == nil {
			err = os.WriteFile(filepath.Join(folder, name), text, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if out, err := exec.CommandContext(t.Context(), promtool, "test", "rules", filepath.Join(folder, "test.yaml")).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
