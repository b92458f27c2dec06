package variant_test

import (
	"bytes"
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"text/template"
	"time"

	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"

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
			if r.Severity < 1 || r.Severity > 3 || len(r.RuleConfig.Queries) != 1 || r.RuleConfig.Queries[0].Severity != r.Severity || r.PromForDuration != 0 && r.PromForDuration < int(interval.Seconds()) || r.PromEvalInterval != int(interval.Seconds()) {
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

// TestNightingaleRaisesTheSameAlerts compares expressions, durations and labels
// with the rules of vmalert, which run the promtool tests. Nightingale does not
// store ALERTS.
func TestNightingaleRaisesTheSameAlerts(t *testing.T) {
	want := slices.DeleteFunc(load(t, generate(t, variant.Options{Format: variant.VMAlert})), func(r rulefmt.Rule) bool { return r.Alert == rules.Watchdog })
	got := nightingale(t, variant.Options{})
	if len(got) != len(want) || len(want) < 40 {
		t.Fatalf("%d rules, want %d", len(got), len(want))
	}
	for i, r := range got {
		tags := []string{"alertname=" + want[i].Alert}
		for name, value := range want[i].Labels {
			tags = append(tags, name+"="+value)
		}
		slices.Sort(tags)
		query := r.RuleConfig.Queries[0].PromQL
		held := strings.TrimPrefix(want[i].Expr, query)
		if held != "" && !strings.HasPrefix(held, " or on (") || strings.Contains(query, "ALERTS") || r.PromForDuration != int(time.Duration(want[i].For).Seconds()) || !slices.Equal(r.AppendTags, tags) {
			t.Errorf("%s: %+v, want %+v", r.Name, r, want[i])
		}
	}
}
