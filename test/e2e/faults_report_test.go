//go:build e2e && faults

package e2e

import (
	"cmp"
	_ "embed"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/alertmanager/pkg/labels"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
	"go.yaml.in/yaml/v3"

	"github.com/rainbond-exporter/rainbond-exporter/demo"
	"github.com/rainbond-exporter/rainbond-exporter/rules/variant"
	"github.com/rainbond-exporter/rainbond-exporter/test/matrix"
)

// files are the shipped configuration, as far as it defines how long things
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
	groups, errs := rulefmt.Parse(edited(t, variant.Prometheus)(shipped(t, "rainbond.rules.yaml")), false, model.UTF8Validation, parser.NewParser(parser.Options{}), slog.New(slog.DiscardHandler))
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
		if r.Alert == n.Labels["alertname"] && hasLabels(r.Labels, n.Labels) {
			return r
		}
	}
	return rulefmt.Rule{}
}

// hasLabels reports whether all labels of a rule that differ between rules of one
// name are the alert's too. Those of a rule may be templates; ours are not.
func hasLabels(rule, alert map[string]string) bool {
	for name, value := range rule {
		if alert[name] != value {
			return false
		}
	}
	return true
}

// probeAlerts start with the second failed probe in a row.
var probeAlerts = []string{"RainbondRegionUnreachable", "RainbondRegionPortClosed", "RainbondRegionAPIDown", "RainbondRegionTLSFailing"}

// bound is the longest that a notification may take from its fault.
func (f *files) bound(n notification) time.Duration {
	group, _ := f.waits(n.Labels)
	if slices.Contains(probeAlerts, n.Labels["alertname"]) {
		group += *rowInterval
	}
	return 2**rowInterval + scrapeTimeout + time.Duration(f.ruleOf(n).For) + group + delay()
}

// delay is the age of the samples that the engine evaluates.
func delay() time.Duration {
	if *engine == victoriaMetrics {
		return hides
	}
	return 0
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
	return 2**rowInterval + scrapeTimeout + interval + delay()
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
	progress("%3d/%d %s", len(r.rows), r.of, strings.Trim(o.line(), "| \n"))
	for _, complaint := range o.complaints() {
		t.Errorf("%s: %s", o.id(), complaint)
	}
}

// line is the row of the table.
func (o outcome) line() string {
	received, fired, ended := []string{}, []string{}, []string{}
	for _, h := range o.received {
		received = append(received, h.alert)
		fired = append(fired, fmt.Sprintf("%.0f of %.0f", h.fired.Seconds(), h.bound.Seconds()))
		ended = append(ended, fmt.Sprintf("%.0f of %.0f", h.ended.Seconds(), h.latest.Seconds()))
	}
	verdict := "right"
	if complaints := o.complaints(); len(complaints) > 0 {
		verdict = strings.Join(complaints, "; ")
	}
	return fmt.Sprintf("| %s | %s | %s | %d | %s | %s | %s |\n", o.id(), o.what, dash(received), o.messages, dash(fired), dash(ended), verdict)
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

// pages are the times from fault to page.
func (r *results) pages() []time.Duration {
	var all []time.Duration
	for _, o := range r.rows {
		for _, h := range o.received {
			if h.pages {
				all = append(all, h.fired)
			}
		}
	}
	return all
}

// ends are the times from the repair to the resolved notification.
func (r *results) ends() []time.Duration {
	var all []time.Duration
	for _, o := range r.rows {
		for _, h := range o.received {
			all = append(all, h.ended-o.keep)
		}
	}
	return all
}

//go:embed testdata/faults.md
var pageText string

// text is the whole matrix, as docs/faults.md.
func (r *results) text(t testing.TB, took time.Duration) string {
	t.Helper()
	order := map[string]int{}
	for n, i := range demo.Installations {
		for m, f := range known(i) {
			order[f.id()] = n<<10 + m
		}
	}
	slices.SortFunc(r.rows, func(a, b outcome) int { return order[a.id()] - order[b.id()] })
	var table strings.Builder
	for _, o := range r.rows {
		table.WriteString(o.line())
	}
	// By how many alerts a row has: none is noise, two are two faults.
	var rows, messages, empty [3]int
	recalled, received, right, soaked := 0, 0, 0, "not played"
	for _, o := range r.rows {
		kind := len(o.want)
		rows[kind]++
		messages[kind] += o.messages
		empty[kind] += 1 - min(1, o.messages)
		received, right = received+len(o.received)+len(o.wrong), right+len(o.received)
		if kind > 0 && len(o.missing) == 0 {
			recalled++
		}
		if o.name == "healthy" {
			soaked = strconv.Itoa(o.messages)
		}
	}
	zh, en := r.example(t)
	return strings.NewReplacer(
		"{lasts}", (r.files.longest() + settle).String(),
		"{recalled}", strconv.Itoa(recalled), "{faults}", strconv.Itoa(rows[1]+rows[2]),
		"{right}", strconv.Itoa(right), "{notified}", strconv.Itoa(received),
		"{empty}", strconv.Itoa(empty[0]), "{noise}", strconv.Itoa(rows[0]),
		"{soak}", model.Duration(soak).String(), "{soaked}", soaked,
		"{messages}", strconv.Itoa(messages[1]), "{single}", strconv.Itoa(rows[1]),
		"{both}", strconv.Itoa(messages[2]), "{double}", strconv.Itoa(rows[2]),
		"{page}", rounded(median(r.pages())), "{slowest page}", rounded(longest(r.pages())), "{wanted}", rounded(wantedMedian),
		"{end}", rounded(median(r.ends())), "{slowest end}", rounded(longest(r.ends())),
		"{cores}", strconv.Itoa(runtime.NumCPU()), "{load}", load(t), "{took}", took.Round(time.Second).String(),
		"{table}", strings.TrimSpace(table.String()), "{zh}", zh, "{en}", en,
	).Replace(pageText)
}

// faultsPage and measuredFile are the page of the results, and the results of all installations.
var (
	faultsPage   = filepath.Join("..", "..", "docs", "faults.md")
	measuredFile = filepath.Join("testdata", "measured.json")
)

// record adds the rows to the results of earlier runs, and writes them into the page; "" is the
// page as it is.
func (r *results) record(t testing.TB, page string) {
	t.Helper()
	measured, err := matrix.Read(measuredFile)
	must(t, err)
	for _, o := range r.rows {
		result := matrix.Result{Messages: o.messages, Wrong: len(o.complaints()) > 0}
		for _, h := range o.received {
			result.Seconds = append(result.Seconds, int(h.fired.Seconds()+0.5))
		}
		if o.place.Name != "" {
			measured.Add(cmp.Or(setting(), o.place.Name), o.name, result)
		}
	}
	if pages := r.pages(); *wantedRows == "" && *wantedPlace == demo.Default {
		measured.Add(cmp.Or(setting(), demo.Default), matrix.Pages, matrix.Result{Seconds: []int{int(median(pages).Seconds() + 0.5), int(longest(pages).Seconds() + 0.5)}})
	}
	must(t, measured.Write(measuredFile))
	writePage(t, page, measured)
}

// writePage writes the tables of all installations into the page.
func writePage(t testing.TB, page string, measured matrix.Results) {
	t.Helper()
	if page == "" {
		text, err := os.ReadFile(faultsPage)
		must(t, err)
		page = string(text)
	}
	page, err := matrix.Page(page, measured)
	must(t, err)
	write(t, faultsPage, []byte(page))
}

// example is a page as a person reads it, in both languages.
func (r *results) example(t testing.TB) (zh, en string) {
	t.Helper()
	for _, o := range r.rows {
		for _, h := range o.received {
			if h.pages && (o.id() == exampleRow || *wantedRows != "" || *wantedPlace != demo.Default) {
				return o.by.words(t, h.message, "zh"), o.by.words(t, h.message, "en")
			}
		}
	}
	return "–", "–"
}

// words is a message as Alertmanager writes it to a person, made by amtool of
// the templates that ship.
func (p *person) words(t testing.TB, message int, language string) string {
	t.Helper()
	p.mu.Lock()
	text := p.messages[message]
	p.mu.Unlock()
	data := filepath.Join(t.TempDir(), "message.json")
	write(t, data, text)
	out, err := exec.Command(tool(t, "amtool"), "template", "render", "--template.glob="+filepath.Join("..", "..", "rules", "templates", "*.tmpl"),
		"--template.text={{ template \"rainbond."+language+".text\" . }}", "--template.data="+data).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return strings.TrimSpace(string(out))
}

// load is how much others had to do meanwhile: the number of processes that
// would run, in the mean of 15 minutes.
func load(t testing.TB) string {
	t.Helper()
	text, err := os.ReadFile("/proc/loadavg")
	must(t, err)
	return strings.Fields(string(text))[2]
}

func rounded(d time.Duration) string { return fmt.Sprintf("%.0f", d.Seconds()) }

// median is the upper one of two.
func median(all []time.Duration) time.Duration {
	if len(all) == 0 {
		return 0
	}
	return slices.Sorted(slices.Values(all))[len(all)/2]
}

func longest(all []time.Duration) time.Duration {
	if len(all) == 0 {
		return 0
	}
	return slices.Max(all)
}
