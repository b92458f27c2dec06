//go:build e2e && faults

package e2e

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/alertmanager/pkg/labels"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
	"go.yaml.in/yaml/v3"
)

// files are the configuration that ships, as far as it says how long things
// take.
type files struct {
	rules []rulefmt.Rule
	route route
}

// A route of Alertmanager's; its waits are empty where they are the parent's.
type route struct {
	Receiver      string
	Matchers      []string
	GroupWait     string `yaml:"group_wait"`
	GroupInterval string `yaml:"group_interval"`
	Routes        []route
}

func readFiles(t testing.TB) *files {
	t.Helper()
	f := &files{}
	groups, errs := rulefmt.Parse(shipped(t, "rainbond.rules.yaml"), false, model.UTF8Validation, parser.NewParser(parser.Options{}), slog.New(slog.DiscardHandler))
	for _, err := range errs {
		t.Fatal(err)
	}
	for _, g := range groups.Groups {
		f.rules = append(f.rules, g.Rules...)
	}
	var config struct{ Route route }
	must(t, yaml.Unmarshal(shipped(t, "alertmanager.yaml"), &config))
	f.route = config.Route
	return f
}

// waits are the two waits of the route that the labels take.
func (f *files) waits(of map[string]string) (group, interval time.Duration) {
	set := model.LabelSet{}
	for name, value := range of {
		set[model.LabelName(name)] = model.LabelValue(value)
	}
	group, interval = duration(f.route.GroupWait), duration(f.route.GroupInterval)
	for _, r := range f.route.Routes {
		var all labels.Matchers
		for _, text := range r.Matchers {
			some, err := labels.ParseMatchers(text)
			if err != nil {
				panic(err) // Alertmanager has read them
			}
			all = append(all, some...)
		}
		if !all.Matches(set) {
			continue
		}
		if r.GroupWait != "" {
			group = duration(r.GroupWait)
		}
		if r.GroupInterval != "" {
			interval = duration(r.GroupInterval)
		}
		break
	}
	return group, interval
}

func duration(text string) time.Duration {
	d, err := model.ParseDuration(text)
	if err != nil {
		panic(err) // Alertmanager has read it
	}
	return time.Duration(d)
}

// ruleOf is the rule that the alert came from.
func (f *files) ruleOf(n notification) rulefmt.Rule {
	for _, r := range f.rules {
		if r.Alert == n.Labels["alertname"] && borne(r.Labels, n.Labels) {
			return r
		}
	}
	return rulefmt.Rule{}
}

// borne tells whether all labels of a rule that differ between rules of one
// name are the alert's too. Those of a rule may be templates; ours are not.
func borne(rule, alert map[string]string) bool {
	for name, value := range rule {
		if alert[name] != value {
			return false
		}
	}
	return true
}

// bound is the longest that a notification may take from its fault.
func (f *files) bound(n notification) time.Duration {
	group, _ := f.waits(n.Labels)
	return scrape + scrapeTimeout + evaluation + time.Duration(f.ruleOf(n).For) + group
}

// slowest is the bound of the slowest rule of that name.
func (f *files) slowest(alert string) time.Duration {
	var longest time.Duration
	for _, r := range f.rules {
		if r.Alert == alert {
			of := map[string]string{"alertname": alert}
			for name, value := range r.Labels {
				of[name] = value
			}
			longest = max(longest, f.bound(notification{Labels: of}))
		}
	}
	return longest
}

// longest is the bound of the slowest rule there is.
func (f *files) longest() time.Duration {
	var longest time.Duration
	for _, r := range f.rules {
		longest = max(longest, f.slowest(r.Alert))
	}
	return longest
}

// ends is the longest that an end may take from its repair.
func (f *files) ends(pages bool) time.Duration {
	_, interval := f.waits(map[string]string{"severity": map[bool]string{true: "critical", false: "warning"}[pages]})
	return scrape + scrapeTimeout + evaluation + interval
}

// results are the rows played so far.
type results struct {
	files *files
	of    int

	mu   sync.Mutex
	rows []outcome
}

// add prints a row, and fails for what it did not come to.
func (r *results) add(t testing.TB, o outcome) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rows = append(r.rows, o)
	say("%3d/%d %s", len(r.rows), r.of, strings.Trim(o.line(), "| \n"))
	for _, alert := range o.missing {
		t.Errorf("%s: never told: %s", o.name, alert)
	}
	for _, alert := range o.wrong {
		t.Errorf("%s: told, and should not have been: %s", o.name, alert)
	}
	if o.messages > max(len(o.want), 0) {
		t.Errorf("%s: %d messages for %d alerts", o.name, o.messages, len(o.want))
	}
	for _, h := range o.told {
		if h.fired > h.bound || h.ended > h.latest {
			t.Errorf("%s: %s took %s of %s, its end %s of %s", o.name, h.alert, seconds(h.fired), h.bound, seconds(h.ended), h.latest)
		}
	}
}

// line is the row of the table.
func (o outcome) line() string {
	told, fired, ended := []string{}, []string{}, []string{}
	for _, h := range o.told {
		told = append(told, h.alert)
		fired = append(fired, fmt.Sprintf("%.0f of %.0f", h.fired.Seconds(), h.bound.Seconds()))
		ended = append(ended, fmt.Sprintf("%.0f of %.0f", h.ended.Seconds(), h.latest.Seconds()))
	}
	verdict := "right"
	if len(o.missing)+len(o.wrong) > 0 {
		verdict = strings.Join(append(prefixed("missing: ", o.missing), prefixed("wrong: ", o.wrong)...), "; ")
	}
	return fmt.Sprintf("| %s | %s | %s | %d | %s | %s | %s |\n", o.name, o.what, dash(told), o.messages, dash(fired), dash(ended), verdict)
}

func prefixed(prefix string, all []string) []string {
	var text []string
	for _, one := range all {
		text = append(text, prefix+one)
	}
	return text
}

func dash(text []string) string {
	if len(text) == 0 {
		return "–"
	}
	return strings.Join(text, ", ")
}

// text is the whole matrix, as docs/faults.md.
func (r *results) text(took time.Duration) string {
	faults, recalled, noise, silent, told, right := 0, 0, 0, 0, 0, 0
	single, messages := 0, 0
	var pages, ends []time.Duration
	var table strings.Builder
	order := map[string]int{}
	for i, f := range known() {
		order[f.name] = i
	}
	slices.SortFunc(r.rows, func(a, b outcome) int { return order[a.name] - order[b.name] })
	for _, o := range r.rows {
		table.WriteString(o.line())
		told, right = told+len(o.told)+len(o.wrong), right+len(o.told)
		if len(o.want) == 0 {
			noise++
			if len(o.wrong) == 0 {
				silent++
			}
			continue
		}
		faults++
		if len(o.missing) == 0 {
			recalled++
		}
		if len(o.want) == 1 {
			single++
			messages += o.messages
		}
		for _, h := range o.told {
			if h.pages {
				pages = append(pages, h.fired)
			}
			ends = append(ends, h.ended-o.keep)
		}
	}
	return fmt.Sprintf(`# Every fault, end to end

`+"`make faults`"+` plays each row with real parts: the exporter's binary beside a region of its own that breaks (the demo's), Prometheus with
the rules that ship, scraping and evaluating every 15 s, Alertmanager with the configuration that ships, and a webhook that
records what a person would have been sent. Every region is well for a minute, then breaks, and stays broken for %[1]s, longer
than any alert may take, so that whatever else the fault could cause would have come; then it is repaired. Noise rows are those
of which nothing may be told. `+"`make faults ROW=cert-rotated-broken`"+` plays one row.

| measured | is | to reach |
|---|---|---|
| recall: faults of which every right alert arrived, with the right link, and its end | %[2]d of %[3]d | all |
| precision: alerts told that were right | %[4]d of %[5]d | all |
| noise rows without a word | %[6]d of %[7]d | all |
| messages for a fault that has one alert | %[8]d for %[9]d | one each |
| seconds from fault to page, median (longest) | %[10]s (%[11]s) | 75 |
| seconds from repair to the word that it is over, less what the rules remember, median (longest) | %[12]s (%[13]s) | 120 |

Run on two cores that others used too, in %[14]s. The bound of a page is scrape interval + scrape timeout + evaluation interval +
`+"`for` + `group_wait`"+`, and what a rule needs as history; of an end, the first three + `+"`group_interval`"+`.
Of a disk that will be full within four hours, Prometheus is given two hours of history.

| row | what breaks | told | messages | seconds to the webhook, of at most | seconds until its end, of at most | verdict |
|---|---|---|---|---|---|---|
%[15]s`, r.files.longest()+settle, recalled, faults, right, told, silent, noise, messages, single,
		median(pages), longest(pages), median(ends), longest(ends), took.Round(time.Second), table.String())
}

func median(all []time.Duration) string {
	if len(all) == 0 {
		return "–"
	}
	slices.Sort(all)
	return fmt.Sprintf("%.0f", all[len(all)/2].Seconds())
}

func longest(all []time.Duration) string {
	if len(all) == 0 {
		return "–"
	}
	return fmt.Sprintf("%.0f", slices.Max(all).Seconds())
}
