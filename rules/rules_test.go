package rules_test

import (
	"fmt"
	"log/slog"
	"maps"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
	promtemplate "github.com/prometheus/prometheus/template"
	"go.yaml.in/yaml/v3"

	"github.com/rainbond-exporter/rainbond-exporter/collector"
	"github.com/rainbond-exporter/rainbond-exporter/docs"
	"github.com/rainbond-exporter/rainbond-exporter/fault"
	"github.com/rainbond-exporter/rainbond-exporter/rules"
)

var promParser = parser.NewParser(parser.Options{})

// loaded are the rules of the file, as Prometheus reads it.
func loaded(t *testing.T) []rulefmt.Rule {
	t.Helper()
	groups, errs := rulefmt.Parse(rules.Rules, false, model.UTF8Validation, promParser, slog.New(slog.DiscardHandler))
	for _, err := range errs {
		t.Error(err)
	}
	var all []rulefmt.Rule
	for _, group := range groups.Groups {
		all = append(all, group.Rules...)
	}
	return all
}

func alerts(t *testing.T) []rulefmt.Rule {
	t.Helper()
	return slices.DeleteFunc(loaded(t), func(r rulefmt.Rule) bool { return r.Alert == "" })
}

func read(t *testing.T, file string) string {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// upstream are the sections of Rainbond's page that alerts may link to. Its
// headings move; these were verified against the site's own slugger.
var upstream = []string{
	"检查控制台与集群端的网络", "检查控制台与集群端的端口", "检查集群端-api-服务", "1-集群通信异常或集群端失去响应",
	"remote-error-tls-error-decrypting-message", "2-获取节点列表失败", "3-平台组件故障", "5-磁盘空间超80节点处于驱逐状态",
}

const (
	page  = "https://www.rainbond.com/docs/troubleshooting/cluster-connect#"
	guide = "https://github.com/rainbond-exporter/rainbond-exporter/blob/main/docs/guide.en.md#"
)

func TestEveryAlertHasWhatAPersonNeeds(t *testing.T) {
	for _, r := range alerts(t) {
		want := []string{"dashboard", "description", "description_zh", "last_seen", "runbook_url", "section", "summary", "summary_zh"}
		if strings.HasPrefix(r.Annotations["section"], "watch-") { // not about data of an exporter
			want = slices.Delete(want, 3, 4)
		}
		if got := slices.Sorted(maps.Keys(r.Annotations)); !slices.Equal(got, want) {
			t.Errorf("%s: annotations %q, want %q", r.Alert, got, want)
			continue
		}
		if s := r.Labels["severity"]; !slices.Contains([]string{"critical", "warning", "info", "none"}, s) {
			t.Errorf("%s: severity %q", r.Alert, s)
		}
		section, link := r.Annotations["section"], r.Annotations["runbook_url"]
		ours := slices.ContainsFunc(append([]string{"watch"}, collector.Slugs...), func(slug string) bool { return strings.HasPrefix(section, slug+"-") })
		if !ours {
			t.Errorf("%s: section %q does not begin with a slug", r.Alert, section)
		}
		for lang, text := range map[string][]byte{"zh": docs.GuideZH, "en": docs.GuideEN} {
			if !strings.Contains(string(text), `<a id="`+section+`"></a>`) {
				t.Errorf("%s: the guide (%s) has no section %q", r.Alert, lang, section)
			}
		}
		anchor, isPage := strings.CutPrefix(link, page)
		decoded, err := url.PathUnescape(anchor)
		switch {
		case strings.HasPrefix(section, "watch-"):
			if link != guide+section {
				t.Errorf("%s: runbook_url %q, want %q", r.Alert, link, guide+section)
			}
		case !isPage || err != nil || !slices.Contains(upstream, decoded) || anchor != url.PathEscape(decoded):
			t.Errorf("%s: runbook_url %q is no percent-encoded section of %s", r.Alert, link, page)
		}
	}
}

// summaryLength is the limit of a summary in characters.
const summaryLength = 90

var (
	han         = regexp.MustCompile(`\p{Han}`)
	spacedRatio = regexp.MustCompile(`\d %`)
	// The names of the console's fields: each language uses its own.
	english = []string{"API Address", "Certificate Authority", "Client Certificate", "Client Secret", "Platform →", "Abnormal communication", "Impact:", "Cause:", "Fix:"}
)

func TestEveryTextHasItsForm(t *testing.T) {
	for _, r := range alerts(t) {
		for _, with := range variants(r) {
			for _, query := range []promtemplate.QueryFunc{seenNow, nothingNow} {
				a := sent(t, r, with, query, false)
				text := map[string]string{}
				for name, value := range a.Annotations {
					text[string(name)] = string(value)
					if strings.Contains(string(value), "no value") || strings.Contains(string(value), "{{") || spacedRatio.MatchString(string(value)) {
						t.Errorf("%s: %s: %s", r.Alert, name, value)
					}
				}
				for _, name := range []string{"summary", "summary_zh"} {
					if n := utf8.RuneCountInString(text[name]); n > summaryLength || n == 0 || strings.ContainsAny(text[name], "\n") {
						t.Errorf("%s: %s has %d characters, want one line of at most %d: %q", r.Alert, name, n, summaryLength, text[name])
					}
				}
				parts(t, r.Alert, text["description"], marks["en"])
				parts(t, r.Alert, text["description_zh"], marks["zh"])
				if !han.MatchString(text["summary_zh"]) || han.MatchString(text["summary"]+text["description"]) {
					t.Errorf("%s: a text is in the wrong language: %q", r.Alert, text)
				}
				for _, name := range english {
					if strings.Contains(text["summary_zh"]+text["description_zh"], name) {
						t.Errorf("%s: the Chinese text has the English %q", r.Alert, name)
					}
				}
				en, zh := commands(t, r.Alert, text["description"]), commands(t, r.Alert, text["description_zh"])
				if len(en) == 0 || !slices.Equal(en, zh) {
					t.Errorf("%s: commands\n%q\n%q", r.Alert, en, zh)
				}
			}
		}
	}
}

// parts checks that the first lines of a description are its parts in order,
// and that none is empty.
func parts(t *testing.T, alert, description string, marks []string) {
	t.Helper()
	lines := strings.Split(description, "\n")
	for i, mark := range marks {
		if i >= len(lines) || !strings.HasPrefix(lines[i], mark) || len(lines[i]) < len(mark)+len("None.") {
			t.Errorf("%s: line %d does not begin with %q: %q", alert, i+1, mark, description)
			return
		}
	}
}

// commands are the lines of a description that begin with "$ ", which must be
// its last.
func commands(t *testing.T, alert, description string) []string {
	t.Helper()
	lines := strings.Split(description, "\n")
	first := slices.IndexFunc(lines, func(line string) bool { return strings.HasPrefix(line, "$ ") })
	if first < 1 {
		t.Errorf("%s: no sentence before the commands, or no command: %q", alert, description)
		return nil
	}
	for _, line := range lines[first:] {
		if !strings.HasPrefix(line, "$ ") {
			t.Errorf("%s: after the first command is %q", alert, line)
		}
		if strings.Contains(line, "release=rainbond-operator") || strings.Contains(line, "delete secret") || strings.Contains(line, "describe") || strings.Contains(line, "rollout restart") {
			t.Errorf("%s: %q selects nothing on v6, stops rbd-api for good, prints the password of the database, or is undone by the operator later", alert, line)
		}
	}
	return lines[first:]
}

func TestEveryAlertIsTested(t *testing.T) {
	tests := read(t, "rainbond.test.yaml")
	for _, r := range alerts(t) {
		if !strings.Contains(tests, fmt.Sprintf(`alertname="%s", alertstate="firing"`, r.Alert)) {
			t.Errorf("rainbond.test.yaml never sees %s fire", r.Alert)
		}
	}
	for _, f := range fault.Failures {
		if !strings.Contains(tests, fmt.Sprintf(`phase="%s", reason="%s"`, f.Phase, f.Reason)) {
			t.Errorf("rainbond.test.yaml does not name the alert for %s/%s", f.Phase, f.Reason)
		}
	}
}

// takenNames are alerts of other Goodrain projects: the rules inside
// rbd-monitor and those of rainbond-health-console.
var takenNames = strings.Fields(`
	BuilderDown BuilderUnhealthy BuilderTaskError WorkerDown WorkerUnhealthy WorkerTaskError MqDown MqUnhealthy MqMessageQueueBlock
	InsufficientClusteMemoryResources InsufficientClusteCPUResources InsufficientTenantResources APIDown
	RainbondDatabaseDown RainbondKubernetesAPIServerDown RainbondCoreDNSDown RainbondEtcdDown RainbondStorageClassUnavailable
	RainbondRegistryDown RainbondMinIODown RainbondDiskSpaceCritical RainbondDiskSpaceWarning RainbondGRDataDiskFull
	RainbondClusterMemoryLow RainbondClusterMemoryWarning RainbondClusterCPULow RainbondClusterCPUWarning RainbondNodeNotReady
	RainbondNodeHighLoad RainbondNodeCPUHigh RainbondNodeMemoryHigh RainbondHealthCheckErrorsHigh RainbondHealthCheckSlow`)

func TestNoNameIsTaken(t *testing.T) {
	for _, r := range alerts(t) {
		if slices.Contains(takenNames, r.Alert) || !strings.HasPrefix(r.Alert, "Rainbond") {
			t.Errorf("%s belongs to another Goodrain project, or is not ours", r.Alert)
		}
	}
}

func TestEverySelectorCanSelectSomething(t *testing.T) {
	recorded := map[string]bool{"up": true, "ALERTS": true} // what Prometheus itself knows
	for _, r := range loaded(t) {
		recorded[r.Record] = true // a rule may read its earlier result
		for _, s := range selectors(t, r.Expr) {
			i := slices.IndexFunc(collector.Catalogue, func(m collector.Metric) bool { return m.Name == s.Name })
			if i < 0 {
				if !recorded[s.Name] {
					t.Errorf("%s%s: no metric %s, and no rule above records it", r.Alert, r.Record, s.Name)
				}
				if strings.Contains(s.Name, ":rainbond_api_probe_failed:") && !slices.ContainsFunc(fault.Failures, func(f fault.Failure) bool { return selects(s, f) }) {
					t.Errorf("%s: %s selects no failure of a probe", r.Alert, s)
				}
				continue
			}
			for _, m := range s.LabelMatchers {
				if m.Name != model.MetricNameLabel && !slices.Contains(collector.Catalogue[i].Labels, strings.TrimPrefix(m.Name, "exported_")) {
					t.Errorf("%s%s: %s has no label %s", r.Alert, r.Record, s.Name, m.Name)
				}
			}
		}
	}
}

func selects(s *parser.VectorSelector, f fault.Failure) bool {
	value := map[string]string{model.MetricNameLabel: s.Name, "phase": string(f.Phase), "reason": string(f.Reason)}
	return !slices.ContainsFunc(s.LabelMatchers, func(m *labels.Matcher) bool { return !m.Matches(value[m.Name]) })
}

func selectors(t *testing.T, text string) []*parser.VectorSelector {
	t.Helper()
	var all []*parser.VectorSelector
	walk(t, text, func(node parser.Node) {
		if s, ok := node.(*parser.VectorSelector); ok {
			all = append(all, s)
		}
	})
	return all
}

func walk(t *testing.T, text string, visit func(parser.Node)) {
	t.Helper()
	expr, err := promParser.ParseExpr(text)
	if err != nil {
		t.Fatal(err)
	}
	parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
		visit(node)
		return nil
	})
}

// TestTheFileLoadsOnPrometheus220 holds the file to the grammar of the
// Prometheus inside Rainbond (rbd-monitor). It asks only for what we use:
// a rule that uses more names its version.
func TestTheFileLoadsOnPrometheus220(t *testing.T) {
	functions := []string{"abs", "absent", "changes", "increase", "label_replace", "max_over_time", "min_over_time", "predict_linear", "sum_over_time", "time", "vector"}
	words := strings.Fields("and else end eq false gt humanizeDuration humanizePercentage humanizeTimestamp if match ne not or printf query range reReplaceAll sortByLabel true urlquery with")
	keys := strings.Fields("alert annotations expr for groups labels name record rules")
	for _, r := range loaded(t) {
		walk(t, r.Expr, func(node parser.Node) {
			switch n := node.(type) {
			case *parser.Call:
				if !slices.Contains(functions, n.Func.Name) {
					t.Errorf("%s%s: is %s() in Prometheus 2.20?", r.Alert, r.Record, n.Func.Name)
				}
			case *parser.VectorSelector:
				if n.OriginalOffset < 0 || n.OriginalOffsetExpr != nil || n.Timestamp != nil || n.StartOrEnd != 0 {
					t.Errorf("%s%s: %s: a negative offset, @ or a computed offset", r.Alert, r.Record, n)
				}
			}
		})
		for _, text := range r.Annotations {
			for _, action := range regexp.MustCompile(`{{.*?}}`).FindAllString(text, -1) {
				action = regexp.MustCompile(`"(\\.|[^"\\])*"|[$.][\w.]+`).ReplaceAllString(action, "")
				for _, word := range regexp.MustCompile(`[A-Za-z]\w*`).FindAllString(action, -1) {
					if !slices.Contains(words, word) {
						t.Errorf("%s: is %s a word of templates in Prometheus 2.20?", r.Alert, word)
					}
				}
			}
		}
	}
	var file struct {
		Groups []map[string]any `yaml:"groups"`
	}
	if err := yaml.Unmarshal(rules.Rules, &file); err != nil {
		t.Fatal(err)
	}
	for _, group := range file.Groups {
		used := slices.Collect(maps.Keys(group))
		for _, rule := range group["rules"].([]any) {
			used = append(used, slices.Collect(maps.Keys(rule.(map[string]any)))...)
		}
		for _, key := range used {
			if !slices.Contains(keys, key) {
				t.Errorf("group %v: is the key %s in Prometheus 2.20?", group["name"], key)
			}
		}
	}
}

// TestTheTableIsTheFile holds docs/alerts.md to the rules.
func TestTheTableIsTheFile(t *testing.T) {
	table := read(t, "../docs/alerts.md")
	for _, r := range alerts(t) {
		row := regexp.MustCompile(`(?m)^\| ` + r.Alert + ` \|.*$`).FindString(table)
		wait := "0s"
		if r.For != 0 {
			wait = r.For.String()
		}
		for _, want := range []string{r.Labels["severity"], wait, "[" + r.Annotations["section"] + "](guide.en.md#"} {
			if !strings.Contains(row, want) {
				t.Errorf("docs/alerts.md: the row of %s lacks %q: %q", r.Alert, want, row)
			}
		}
	}
}
