package rules_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"text/template"

	amlabels "github.com/prometheus/alertmanager/pkg/labels"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
	"go.yaml.in/yaml/v3"

	"github.com/rainbond-exporter/rainbond-exporter/rules"
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

// seen are the label sets under which rainbond.test.yaml sees alerts fire.
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
			t.Errorf("no name of its own: %+v", i)
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

// A label that two alerts both lack counts as equal, so what stands in equal
// must be borne by all that an inhibition can concern.
func TestBothSidesOfAnInhibitionBearWhatMustBeEqual(t *testing.T) {
	told := seen(t)
	for _, i := range inhibitions(t) {
		if !slices.Contains(i.Equal, "rainbond_region") {
			t.Errorf("%s would let one region hide another's fault", i.Name)
		}
		source, target := matchers(t, i.Source), matchers(t, i.Target)
		sources, targets := 0, 0
		for _, alert := range told {
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

// A cause that fires later than its symptoms comes too late to keep them back;
// one whose end is told before theirs does not keep them back any more.
func TestNoCauseComesLaterOrEndsEarlierThanItsSymptoms(t *testing.T) {
	told, from := seen(t), alerts(t)
	rulesOf := func(side amlabels.Matchers) []int {
		var all []int
		for n, r := range from {
			if slices.ContainsFunc(told, func(alert model.LabelSet) bool { return side.Matches(alert) && of(r, alert) }) {
				all = append(all, n)
			}
		}
		return all
	}
	for _, i := range inhibitions(t) {
		for _, source := range rulesOf(matchers(t, i.Source)) {
			for _, target := range rulesOf(matchers(t, i.Target)) {
				cause, symptom := from[source], from[target]
				if cause.For > symptom.For {
					t.Errorf("%s: the cause waits %s, a symptom %s", i.Name, cause.For, symptom.For)
				}
				if source < target {
					t.Errorf("%s: %s stands above %s, so its end is told first", i.Name, cause.Alert, symptom.Alert)
				}
			}
		}
	}
}

// of tells whether the alert can come from the rule.
func of(r rulefmt.Rule, alert model.LabelSet) bool {
	for name, value := range r.Labels {
		if string(alert[model.LabelName(name)]) != value {
			return false
		}
	}
	return string(alert["alertname"]) == r.Alert
}

// message is what Alertmanager gives to templates.
type message struct {
	Status                          string
	Alerts                          told
	CommonLabels, CommonAnnotations map[string]string
}

type told []struct {
	Status              string
	Labels, Annotations map[string]string
}

func (t told) Firing() told   { return t.of("firing") }
func (t told) Resolved() told { return t.of("resolved") }

func (t told) of(status string) told {
	var some told
	for _, a := range t {
		if a.Status == status {
			some = append(some, a)
		}
	}
	return some
}

func TestMessagesFitAPhone(t *testing.T) {
	full := map[string]string{
		"summary": "Region a: root of node n1 is 82% full", "summary_zh": "集群 a：节点 n1 的根分区已用 82%",
		"description": "Hurts nobody yet.\n$ df -h /", "description_zh": "暂时不影响任何人。\n$ df -h /",
		"runbook_url": "https://example.com/#5", "section": "disk-filling", "dashboard": "/d/rainbond-nodes?viewPanel=7",
	}
	foreign := map[string]string{"alertname": "TargetDown"}
	one := message{Status: "firing", CommonLabels: map[string]string{"severity": "warning", "alertname": "RainbondNodeDiskFilling", "rainbond_region": "a"}, CommonAnnotations: full,
		Alerts: told{{"firing", nil, full}}}
	two := message{Status: "firing", CommonLabels: map[string]string{"severity": "critical", "alertname": "RainbondNodeDiskFilling", "rainbond_region": "a"},
		Alerts: told{{"firing", nil, full}, {"resolved", foreign, map[string]string{}}}}
	many := message{Status: "firing", CommonLabels: map[string]string{"alertname": "RainbondNodeDiskFilling"}}
	lines := ""
	for i := range 22 {
		summary := fmt.Sprintf("node n%02d is full", i)
		many.Alerts = append(many.Alerts, told{{"firing", nil, map[string]string{"summary": summary, "description": "$ df -h /"}}}...)
		switch {
		case i < 3:
			lines += "\n\n■ " + summary + "\n$ df -h /"
		case i == 3:
			lines += "\n\n■ " + summary
		case i < 20:
			lines += "\n■ " + summary
		}
	}
	gone := message{Status: "resolved", CommonAnnotations: full, Alerts: told{{"resolved", nil, full}}}
	for _, c := range []struct {
		template string
		message  message
		want     string
	}{
		{"rainbond.zh.text", one, "【警告】集群 a：节点 n1 的根分区已用 82%\n\n■ 集群 a：节点 n1 的根分区已用 82%\n暂时不影响任何人。\n$ df -h /\n" +
			"手册：exporter 的 /guide?lang=zh#disk-filling\n图表：Grafana 的 /d/rainbond-nodes?viewPanel=7\n文档：https://example.com/#5"},
		{"rainbond.en.text", one, "[WARN] Region a: root of node n1 is 82% full\n\n■ Region a: root of node n1 is 82% full\nHurts nobody yet.\n$ df -h /\n" +
			"Guide: the exporter's /guide?lang=en#disk-filling\nGraph: Grafana's /d/rainbond-nodes?viewPanel=7\nDocument: https://example.com/#5"},
		{"rainbond.zh.title", two, "【紧急】集群 a：RainbondNodeDiskFilling（2）"},
		{"rainbond.en.title", two, "[PAGE] Region a: RainbondNodeDiskFilling (2)"},
		{"rainbond.en.text", many, "[WARN] RainbondNodeDiskFilling (22)" + lines + "\n… 22 in all: see the exporter's status page"},
		{"rainbond.zh.text", many, "【警告】RainbondNodeDiskFilling（22）" + lines + "\n… 共 22 条，见 exporter 的状态页"},
		{"rainbond.zh.text", gone, "【恢复】集群 a：节点 n1 的根分区已用 82%\n\n□ 已恢复：集群 a：节点 n1 的根分区已用 82%"},
		{"rainbond.en.text", gone, "[OK] Region a: root of node n1 is 82% full\n\n□ Well again: Region a: root of node n1 is 82% full"},
	} {
		parsed, err := template.New("").ParseGlob("templates/*.tmpl")
		if err != nil {
			t.Fatal(err)
		}
		var got strings.Builder
		if err := parsed.ExecuteTemplate(&got, c.template, c.message); err != nil {
			t.Fatal(err)
		}
		if got.String() != c.want {
			t.Errorf("%s:\n%s\nwant\n%s", c.template, got.String(), c.want)
		}
	}
}
