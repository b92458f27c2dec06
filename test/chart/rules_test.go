package chart

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/promql/parser"
	"go.yaml.in/yaml/v3"

	"github.com/rainbond-exporter/rainbond-exporter/rules/lint"
	"github.com/rainbond-exporter/rainbond-exporter/rules/variant"
)

// rulesOf is the rule file that the chart makes of these values.
func rulesOf(t *testing.T, set ...string) string {
	t.Helper()
	args := []string{"--show-only=templates/rules.yaml", "--set=rules.configMap=true"}
	for _, s := range set {
		args = append(args, "--set="+s)
	}
	rendered, complaint := template(t, "helm", args...)
	if complaint != "" {
		t.Fatal(complaint)
	}
	var object struct {
		Data map[string]string `yaml:"data"`
	}
	if err := yaml.Unmarshal([]byte(rendered), &object); err != nil {
		t.Fatal(err)
	}
	return object.Data["rainbond.rules.yml"]
}

// values are the leaves of a YAML text, one to an entry.
func values(t *testing.T, text string) []string {
	t.Helper()
	var document yaml.Node
	if err := yaml.Unmarshal([]byte(text), &document); err != nil {
		t.Fatal(err)
	}
	var all []string
	var walk func(*yaml.Node)
	walk = func(n *yaml.Node) {
		switch n.Kind {
		case yaml.ScalarNode:
			all = append(all, strings.Split(n.Value, "\n")...)
		case yaml.AliasNode:
			walk(n.Alias)
		}
		for _, child := range n.Content {
			walk(child)
		}
	}
	walk(&document)
	return all
}

// TestWithDefaultsTheRulesAreTheProjectsOwn compares the two, word
// for word, whatever the order in which Helm writes keys.
func TestWithDefaultsTheRulesAreTheProjectsOwn(t *testing.T) {
	want := values(t, strings.ReplaceAll(read(t, root+"/rules/rainbond.rules.yaml"), "-n NAMESPACE", "-n monitoring"))
	got := values(t, rulesOf(t))
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("the chart's rules differ from rules/rainbond.rules.yaml\n%s", firstDifference(strings.Join(want, "\n"), strings.Join(got, "\n")))
	}
}

// vmRuleOf returns the rules of the VMRule with these values.
func vmRuleOf(t *testing.T, set ...string) []string {
	t.Helper()
	args := []string{"--show-only=templates/rules.yaml", "--set=rules.vmRule=true"}
	for _, s := range set {
		args = append(args, "--set="+s)
	}
	rendered, complaint := template(t, "helm", args...)
	if complaint != "" {
		t.Fatal(complaint)
	}
	var object struct{ Spec yaml.Node }
	if err := yaml.Unmarshal([]byte(rendered), &object); err != nil {
		t.Fatal(err)
	}
	text, err := yaml.Marshal(&object.Spec)
	if err != nil {
		t.Fatal(err)
	}
	return slices.Sorted(slices.Values(values(t, string(text))))
}

// flatRules returns the rules of vmalert for an identity.
func flatRules(t *testing.T, identity ...string) []string {
	t.Helper()
	text, err := variant.Generate(variant.Options{Format: variant.VMAlert, Identity: identity})
	if err != nil {
		t.Fatal(err)
	}
	return slices.Sorted(slices.Values(values(t, strings.ReplaceAll(string(text), "-n NAMESPACE", "-n monitoring"))))
}

// TestTheVMRuleHasNoRecordingRules: vmalert would read them one evaluation late.
func TestTheVMRuleHasNoRecordingRules(t *testing.T) {
	want, got := flatRules(t), vmRuleOf(t)
	if !slices.Equal(got, want) || slices.Contains(got, "record") {
		t.Errorf("the VMRule differs from the rules of vmalert\n%s", firstDifference(strings.Join(want, "\n"), strings.Join(got, "\n")))
	}
	before := strings.Join(want, "\n")
	for set, pieces := range map[string][]string{ // as TestEachThresholdChangesWhatItNamesAndNothingElse
		"rules.thresholds.diskUsedRatio=0.7":         {"filesystem_used_ratio) > 0.8", "filesystem_used_ratio) > 0.7"},
		"rules.thresholds.diskEvictionRatio=0.10":    {"0.05 + 0 *", "0.10 + 0 *"},
		"rules.thresholds.diskEvictionDistance=0.05": {") + 0.03", ") + 0.05"},
		"rules.thresholds.inodesFreeRatio=0.05":      {") < 0.1", ") < 0.05"},
		"rules.thresholds.errorBudgetRatio=0.001":    {"* 0.005", "* 0.001"},
		"rules.criticalComponents={rbd-api,rbd-hub}": {`~"rbd-api|rbd-gateway|rbd-db|rbd-app-ui"`, `~"rbd-api|rbd-hub"`},
		"region.namespace=rainbond":                  {"-n rbd-system", "-n rainbond", "/namespaces/rbd-system/", "/namespaces/rainbond/"},
	} {
		want := slices.Sorted(strings.SplitSeq(strings.NewReplacer(pieces...).Replace(before), "\n"))
		if got := vmRuleOf(t, set); !slices.Equal(got, want) || strings.Join(want, "\n") == before {
			t.Errorf("%s\n%s", set, firstDifference(strings.Join(want, "\n"), strings.Join(got, "\n")))
		}
	}
}

// TestIntervalOfTheRules: the rules have the windows and the `for` of
// rainbond-exporter rules --interval.
func TestIntervalOfTheRules(t *testing.T) {
	p := parser.NewParser(parser.Options{})
	written := func(lines []string) []string { // the flat rules have 1m20s for 80s
		for i, line := range lines {
			if expr, err := p.ParseExpr(line); err == nil {
				lines[i] = expr.String()
			}
		}
		slices.Sort(lines)
		return lines
	}
	for text, interval := range map[string]time.Duration{"5s": 5 * time.Second, "20s": 20 * time.Second, "1m": time.Minute, "120s": variant.MaxInterval} {
		set := "scrape.interval=" + text
		for format, got := range map[string][]string{variant.Prometheus: values(t, rulesOf(t, set)), variant.VMAlert: vmRuleOf(t, set)} {
			text, err := variant.Generate(variant.Options{Format: format, Interval: interval})
			if err != nil {
				t.Fatal(err)
			}
			want := written(values(t, strings.ReplaceAll(string(text), "-n NAMESPACE", "-n monitoring")))
			if got := written(got); !slices.Equal(got, want) {
				t.Errorf("%s at %s\n%s", format, interval, firstDifference(strings.Join(want, "\n"), strings.Join(got, "\n")))
			}
		}
	}
}

func TestEachThresholdChangesWhatItNamesAndNothingElse(t *testing.T) {
	before := strings.Join(values(t, rulesOf(t)), "\n")
	for set, pieces := range map[string][]string{ // what becomes what
		"rules.thresholds.diskUsedRatio=0.7":         {"filesystem_used_ratio) > 0.80", "filesystem_used_ratio) > 0.7"},
		"rules.thresholds.diskEvictionRatio=0.10":    {"0.05 + 0 *", "0.10 + 0 *"},
		"rules.thresholds.diskEvictionDistance=0.05": {" + 0.03", " + 0.05"},
		"rules.thresholds.inodesFreeRatio=0.05":      {") < 0.10", ") < 0.05"},
		"rules.thresholds.apiSeconds=2":              {"(rainbond_api_probe_phase_seconds)) > 1", "(rainbond_api_probe_phase_seconds)) > 2"},
		"rules.thresholds.errorBudgetRatio=0.001":    {"* 0.005", "* 0.001"},
		"rules.thresholds.certificateCriticalDays=28,rules.thresholds.certificateWarningDays=40": {
			"14 * 86400", "28 * 86400", "28 * 86400", "40 * 86400"}, // one's value is the other's default
		"rules.thresholds.monitorStaleSeconds=600":   {"last_scrape_timestamp_seconds > 300", "last_scrape_timestamp_seconds > 600"},
		"rules.criticalComponents={rbd-api,rbd-hub}": {`~"rbd-api|rbd-gateway|rbd-db|rbd-app-ui"`, `~"rbd-api|rbd-hub"`},
		"rules.job=kubernetes-pods":                  {`job=~".*rainbond-exporter.*"`, `job=~"kubernetes-pods"`},
		"region.namespace=rainbond":                  {"-n rbd-system", "-n rainbond", "/namespaces/rbd-system/", "/namespaces/rainbond/"},
	} {
		want := strings.NewReplacer(pieces...).Replace(before)
		if want == before {
			t.Errorf("%s: rules/rainbond.rules.yaml has no %q", set, pieces[0])
		}
		if got := strings.Join(values(t, rulesOf(t, set)), "\n"); got != want {
			t.Errorf("%s\n%s", set, firstDifference(want, got))
		}
	}
}

func TestPromtoolAcceptsTheRulesInEachLanguageAndWithoutSome(t *testing.T) {
	for _, set := range []string{
		"rules.languages={en}", "rules.languages={zh}", "rules.languages={zh,en}",
		"rules.disabled={RainbondNodeRootReadOnly,RainbondWatchdog}", "rules.alertLabels.team=platform",
		"rules.thresholds.apiSeconds=.5,rules.thresholds.diskUsedRatio=.9,rules.thresholds.errorBudgetRatio=0.0005",
	} {
		t.Run(set, func(t *testing.T) {
			text := rulesOf(t, set)
			if zh := strings.Contains(text, "summary_zh"); zh != !strings.Contains(set, "{en}") && !strings.Contains(set, "{zh}") {
				t.Errorf("summary_zh is there: %v", zh)
			}
			if strings.Contains(set, "{zh}") != !strings.Contains(text, "Impact: ") {
				t.Error("the texts are not in the language that was asked for")
			}
			if strings.Contains(set, "disabled") && (strings.Contains(text, "RainbondNodeRootReadOnly") || strings.Contains(text, "alert: RainbondWatchdog")) {
				t.Error("a disabled alert is there")
			}
			if strings.Contains(set, "team") && strings.Count(text, "team: platform") != strings.Count(text, "- alert: ") {
				t.Error("an alert lacks its further label")
			}
			path := filepath.Join(t.TempDir(), "rules.yml")
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, complaint := ran(t, tool(t, "promtool"), "check", "rules", "--lint=all", "--lint-fatal", path); complaint != "" {
				t.Error(complaint)
			}
		})
	}
}

// TestTheTableOfThresholdsNamesEachValue holds docs/alerts.md to what the chart
// lets people change.
func TestTheTableOfThresholdsNamesEachValue(t *testing.T) {
	table := read(t, root+"/docs/alerts.md")
	paths := regexp.MustCompile(`\{path: ([\w.]+)`).FindAllStringSubmatch(read(t, folder+"/templates/_rules.tpl"), -1)
	if len(paths) == 0 {
		t.Fatal("no replacements in _rules.tpl")
	}
	for _, path := range paths {
		if !strings.Contains(table, "`"+path[1]+"`") {
			t.Errorf("docs/alerts.md does not name %s", path[1])
		}
	}
}

// TestOverrides: an override changes its alert and no other; null and an empty
// map change nothing; promtool accepts the result.
func TestOverrides(t *testing.T) {
	before := rulesOf(t)
	for _, same := range []string{"rules.overrides=null", "rules.overrides.RainbondNodeRootReadOnly=null"} {
		if got := rulesOf(t, same); got != before {
			t.Errorf("%s\n%s", same, firstDifference(before, got))
		}
	}
	text := rulesOf(t, "rules.overrides.RainbondNodeRootReadOnly.for=1m30s,rules.overrides.RainbondNodeRootReadOnly.severity=info",
		"rules.overrides.RainbondNodeRootReadOnly.labels.team=storage,rules.overrides.RainbondNodeRootReadOnly.annotations.summary=Read-only")
	type rule struct {
		Alert, For, Expr    string
		Labels, Annotations map[string]string
	}
	parse := func(text string) map[string]rule {
		var file struct{ Groups []struct{ Rules []rule } }
		if err := yaml.Unmarshal([]byte(text), &file); err != nil {
			t.Fatal(err)
		}
		all := map[string]rule{}
		for _, group := range file.Groups {
			for _, r := range group.Rules {
				all[r.Alert+r.Expr] = r
			}
		}
		return all
	}
	want := parse(before)
	for key, r := range want {
		if r.Alert == "RainbondNodeRootReadOnly" {
			r.For = "1m30s"
			r.Labels["severity"], r.Labels["team"], r.Annotations["summary"] = "info", "storage", "Read-only"
			want[key] = r
		}
	}
	if got := parse(text); !reflect.DeepEqual(got, want) || text == before {
		t.Errorf("got\n%v\nwant\n%v", got, want)
	}
	path := filepath.Join(t.TempDir(), "rules.yml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, complaint := ran(t, tool(t, "promtool"), "check", "rules", "--lint=all", "--lint-fatal", path); complaint != "" {
		t.Error(complaint)
	}
	if err := lint.Rules(t.Context(), []byte(text)); err != nil { // rules --check
		t.Error(err)
	}
}
