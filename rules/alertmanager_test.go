package rules_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	amlabels "github.com/prometheus/alertmanager/pkg/labels"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
	"go.yaml.in/yaml/v3"

	"github.com/rainbond-exporter/rainbond-exporter/rules"
	"github.com/rainbond-exporter/rainbond-exporter/rules/variant"
)

type inhibition struct {
	Name   string   `yaml:"name"`
	Source []string `yaml:"source_matchers"`
	Target []string `yaml:"target_matchers"`
	Equal  []string `yaml:"equal"`
}

func inhibitions(t *testing.T) []inhibition {
	t.Helper()
	var config struct {
		InhibitRules []inhibition `yaml:"inhibit_rules"`
	}
	if err := yaml.Unmarshal(rules.Alertmanager, &config); err != nil {
		t.Fatal(err)
	}
	return config.InhibitRules
}

func matchers(t *testing.T, lines []string) amlabels.Matchers {
	t.Helper()
	var all amlabels.Matchers
	for _, line := range lines {
		parsed, err := amlabels.ParseMatchers(line)
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		all = append(all, parsed...)
	}
	return all
}

// seen are the label sets of the alerts that fire in rainbond.test.yaml.
func seen(t *testing.T) []model.LabelSet {
	t.Helper()
	var all []model.LabelSet
	for _, text := range regexp.MustCompile(`ALERTS\{alertname="[^}]*alertstate="firing"[^}]*\}`).FindAllString(read(t, "rainbond.test.yaml"), -1) {
		metric, err := parser.NewParser(parser.Options{}).ParseMetric(text)
		if err != nil {
			t.Fatal(err)
		}
		set := model.LabelSet{}
		for name, value := range metric.Map() {
			set[model.LabelName(name)] = model.LabelValue(value)
		}
		all = append(all, set)
	}
	return all
}

func TestInhibitionsAreNamedAndNameAlertsThatExist(t *testing.T) {
	known := map[string]bool{}
	for _, r := range alerts(t) {
		known[r.Alert] = true
	}
	names := map[string]bool{}
	for _, i := range inhibitions(t) {
		if i.Name == "" || names[i.Name] {
			t.Errorf("no unique name: %+v", i)
		}
		names[i.Name] = true
		for _, m := range slices.Concat(matchers(t, i.Source), matchers(t, i.Target)) {
			if m.Name != "alertname" {
				continue
			}
			for name := range strings.SplitSeq(m.Value, "|") {
				if !known[name] {
					t.Errorf("%s: there is no alert %s", i.Name, name)
				}
			}
		}
	}
}

// A label that two alerts both lack counts as equal, so every alert that an
// inhibition can match must have the labels in equal. Only the labels of the
// identity other than rainbond_region may be missing.
func TestBothSidesOfAnInhibitionHaveTheLabelsThatMustBeEqual(t *testing.T) {
	sent := seen(t)
	for _, i := range inhibitions(t) {
		if !slices.Contains(i.Equal, "rainbond_region") || !slices.Contains(i.Equal, "cluster") {
			t.Errorf("%s would let one platform hide the fault of another", i.Name)
		}
		source, target := matchers(t, i.Source), matchers(t, i.Target)
		sources, targets := 0, 0
		for _, alert := range sent {
			is, can := source.Matches(alert), target.Matches(alert)
			if is && can {
				t.Errorf("%s: %v is on both sides", i.Name, alert)
			}
			if is {
				sources++
			}
			if can {
				targets++
			}
			for _, name := range i.Equal {
				if name == "cluster" {
					continue
				}
				if _, ok := alert[model.LabelName(name)]; (is || can) && !ok {
					t.Errorf("%s: %v lacks %s", i.Name, alert, name)
				}
			}
		}
		if sources == 0 || targets == 0 {
			t.Errorf("%s: rainbond.test.yaml sees %d of its sources and %d of its targets fire; its matchers may be wrong", i.Name, sources, targets)
		}
	}
}

// A cause that fires later than its symptoms inhibits them too late. One that
// resolves before them no longer inhibits them.
func TestNoCauseFiresLaterOrResolvesEarlierThanItsSymptoms(t *testing.T) {
	sent, from := seen(t), alerts(t)
	rulesOf := func(side amlabels.Matchers) []int {
		var all []int
		for n, r := range from {
			if slices.ContainsFunc(sent, func(alert model.LabelSet) bool { return side.Matches(alert) && of(r, alert) }) {
				all = append(all, n)
			}
		}
		return all
	}
	for _, i := range inhibitions(t) {
		for _, source := range rulesOf(matchers(t, i.Source)) {
			for _, target := range rulesOf(matchers(t, i.Target)) {
				cause, symptom := from[source], from[target]
				after := symptom.For
				if strings.Contains(symptom.Expr, ":rainbond_api_probe_failed:repeated") { // it starts with the second failed probe
					after += model.Duration(variant.DefaultInterval)
				}
				if cause.For > after {
					t.Errorf("%s: the cause waits %s, a symptom %s", i.Name, cause.For, after)
				}
				if source < target {
					t.Errorf("%s: %s is above %s, so it resolves first", i.Name, cause.Alert, symptom.Alert)
				}
			}
		}
	}
}

// of reports whether the alert can come from the rule.
func of(r rulefmt.Rule, alert model.LabelSet) bool {
	for name, value := range r.Labels {
		if string(alert[model.LabelName(name)]) != value {
			return false
		}
	}
	return string(alert["alertname"]) == r.Alert
}
