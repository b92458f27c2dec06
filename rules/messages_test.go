package rules_test

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/prometheus/alertmanager/alert"
	amtemplate "github.com/prometheus/alertmanager/template"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql"
	promtemplate "github.com/prometheus/prometheus/template"

	"github.com/rainbond-exporter/rainbond-exporter/fault"
	"github.com/rainbond-exporter/rainbond-exporter/rules"
)

// The screen of a phone, and the limit of a WeCom message in bytes.
const (
	screenLines   = 12
	screenColumns = 40
	wecomLimit    = 2048
)

// typical are labels of an ordinary platform.
var typical = map[string]string{
	"rainbond_region": "rainbond", "node": "worker-1", "component": "rbd-gateway", "role": "worker", "collector": "component",
	"instance": "10.42.0.9:10069", "job": "rainbond-exporter", "place": "console", "class": "trust", "reason": "client_refused", "measure": "space",
	"renamed": "rainbond_region", "shared": "region",
}

// variants are the labels by which the texts of an alert differ.
func variants(r rulefmt.Rule) []map[string]string {
	values := map[string][]string{
		"RainbondComponentNotReady":     {"component", "rbd-api", "rbd-app-ui", "rbd-gateway", "rbd-chaos", "rbd-hub", "rbd-worker", "rbd-monitor", "minio"},
		"RainbondComponentAlarmStuck":   {"component", "rbd-worker", "rbd-chaos"},
		"RainbondPlacementNodeMissing":  {"component", "rbd-gateway", "rbd-chaos"},
		"RainbondRegionPortClosed":      {"component", "rbd-gateway", ""},
		"RainbondTLSHandshakeErrors":    {"class", string(fault.Trust), string(fault.ClientCertificate), string(fault.Protocol), string(fault.UnknownHandshake)},
		"RainbondCertificateUnreadable": {"place", "console", "server-secret", "region-config", "client-secret"},
		"RainbondNodeDiskFilling":       {"mountpoint", "", "/var/lib/rancher/rke2"},
		"RainbondNodeDiskEvictionNear":  {"mountpoint", "", "/var/lib/rancher/rke2", "/opt/rainbond"},
		"RainbondNodeInodesLow":         {"mountpoint", "", "/var/lib/rancher/rke2"},
		"RainbondNodeRootReadOnly":      {"mountpoint", "", "/var/lib/rancher/rke2"},
		"RainbondNodeMountStuck":        {"mountpoint", "/opt/rainbond/data/nfs"},
		"RainbondExporterDown":          {"instance", "10.42.0.9:10069", ""},
	}[r.Alert]
	if r.Alert == "RainbondRegionTLSFailing" {
		values = []string{"reason"}
		for _, f := range fault.Failures {
			if f.Phase == fault.TLS {
				values = append(values, string(f.Reason))
			}
		}
	}
	if values == nil {
		values = []string{"severity", r.Labels["severity"]}
	}
	var all []map[string]string
	for _, value := range values[1:] {
		set := maps.Clone(typical)
		maps.Copy(set, r.Labels)
		if r.Alert == "RainbondExporterDown" {
			delete(set, "role")
			delete(set, "rainbond_region")
		}
		if set[values[0]] = value; value == "" {
			delete(set, values[0])
		}
		set[model.AlertNameLabel] = r.Alert
		all = append(all, set)
	}
	if r.Alert == "RainbondExporterDown" {
		set := maps.Clone(r.Labels)
		maps.Copy(set, map[string]string{model.AlertNameLabel: r.Alert, "rainbond_region": typical["rainbond_region"], "role": "cluster"})
		all = append(all, set)
	}
	return all
}

// seenNow is a query that finds one sample, with every label that a text reads.
func seenNow(context.Context, string, time.Time) (promql.Vector, error) {
	return promql.Vector{{F: 1, Metric: labels.FromStrings("phase", "processing", "reason", "CrashLoopBackOff", "alarm", "WorkerUnhealthy", "component", "rbd-gateway",
		"kind", "client", "place", "console", "reference", "region-config", "signal", "nodefs.available", "instance", "10.42.0.9:10069")}}, nil
}

func nothingNow(context.Context, string, time.Time) (promql.Vector, error) { return nil, nil }

// sent is the alert that Prometheus would send for a rule with these labels.
func sent(t *testing.T, r rulefmt.Rule, with map[string]string, query promtemplate.QueryFunc, links bool) *alert.Alert {
	t.Helper()
	a := &alert.Alert{Alert: model.Alert{Labels: model.LabelSet{}, Annotations: model.LabelSet{}, StartsAt: time.Now()}}
	for name, value := range with {
		a.Labels[model.LabelName(name)] = model.LabelValue(value)
	}
	data := promtemplate.AlertTemplateData(with, nil, "", promql.Sample{F: 0.8245})
	for name, text := range r.Annotations {
		text = "{{$labels := .Labels}}{{$value := .Value}}" + text
		got, err := promtemplate.NewTemplateExpander(t.Context(), text, name, data, 0, query, &url.URL{}, nil).Expand()
		if err != nil {
			t.Fatalf("%s: %s: %v", r.Alert, name, err)
		}
		a.Annotations[model.LabelName(name)] = model.LabelValue(strings.TrimSpace(got))
	}
	if section := a.Annotations["section"]; links {
		const exporter = "https://rainbond-exporter.example.com"
		a.Annotations["guide_url"] = model.LabelValue(exporter + "/guide?lang=en#" + string(section))
		a.Annotations["guide_url_zh"] = model.LabelValue(exporter + "/guide?lang=zh#" + string(section))
		a.Annotations["dashboard_url"] = "https://grafana.example.com" + a.Annotations["dashboard"]
	}
	return a
}

// rendered is a message by Alertmanager's own template engine.
func rendered(t *testing.T, template string, alerts ...*alert.Alert) string {
	t.Helper()
	engine, err := amtemplate.New()
	if err != nil {
		t.Fatal(err)
	}
	engine.ExternalURL = &url.URL{Scheme: "http", Host: "alertmanager.example.com"}
	if err := engine.Parse(bytes.NewReader(rules.Messages)); err != nil {
		t.Fatal(err)
	}
	text, err := engine.ExecuteTextString(fmt.Sprintf(`{{ template %q . }}`, template), engine.Data("page", nil, nil, "", alerts...))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// screen are the lines of a text on a screen of so many columns. It breaks
// lines at blanks and between Chinese characters, which take two columns.
func screen(text string, columns int) []string {
	var lines []string
	for line := range strings.SplitSeq(text, "\n") {
		words := []string{""}
		for _, r := range line {
			words[len(words)-1] += string(r)
			if r == ' ' || r > unicode.MaxLatin1 {
				words = append(words, "")
			}
		}
		row := ""
		for _, word := range words {
			for width(row+strings.TrimRight(word, " ")) > columns { // to the next line; a long word is cut
				if row == "" {
					row, word = word[:columns], word[columns:]
				}
				lines, row = append(lines, row), ""
			}
			row += word
		}
		lines = append(lines, row)
	}
	return lines
}

func width(text string) int {
	n := 0
	for _, r := range text {
		if n++; unicode.In(r, unicode.Han) || r >= 0x3000 && r < 0x3040 || r >= 0xff00 && r < 0xff61 {
			n++
		}
	}
	return n
}

func TestScreenWraps(t *testing.T) {
	got := screen("ab cd ef\n集群 a：好\nabcdefghij", 5)
	if want := []string{"ab cd ", "ef", "集群 ", "a：好", "abcde", "fghij"}; !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}

// marks begin the parts of a description.
var marks = map[string][]string{"en": {"Impact: ", "Cause: ", "Fix: "}, "zh": {"影响：", "原因：", "处理："}}

func TestTheFirstScreenOfEveryMessageHoldsWhatMatters(t *testing.T) {
	for _, r := range alerts(t) {
		for _, with := range variants(r) {
			for _, links := range []bool{false, true} {
				for lang, parts := range marks {
					for _, query := range []promtemplate.QueryFunc{seenNow, nothingNow} {
						text := rendered(t, "rainbond."+lang+".text", sent(t, r, with, query, links))
						lines := screen(text, screenColumns)
						first := strings.Join(lines[:min(len(lines), screenLines)], "")
						var want []string
						for _, line := range strings.Split(text, "\n") {
							if strings.HasPrefix(line, "https://") || slices.ContainsFunc(parts, func(mark string) bool { return strings.HasPrefix(line, mark) }) {
								want = append(want, line)
							}
						}
						if len(want) != len(parts)+1 {
							t.Errorf("%s (%s): not each of %q and a link once:\n%s", r.Alert, lang, parts, text)
						}
						for _, line := range want {
							if !strings.Contains(first, line) {
								t.Errorf("%s (%s), links %v: not on the first screen: %s\n%s", r.Alert, lang, links, line, strings.Join(lines, "\n"))
								break
							}
						}
						if len(text) > wecomLimit {
							t.Errorf("%s (%s): a message of %d bytes:\n%s", r.Alert, lang, len(text), text)
						}
					}
				}
			}
		}
	}
}

// The text of an alert whose exporter is gone contains when it reported last, and
// does not show that time as a value.
func TestAMessageContainsWhenTheExporterWasLastSeen(t *testing.T) {
	for _, r := range alerts(t) {
		if strings.HasPrefix(r.Annotations["section"], "watch-") {
			continue
		}
		a := sent(t, r, variants(r)[0], seenNow, false)
		for lang, want := range map[string]string{"en": "last seen 1970-01-01 00:00:01", "zh": "最后采集于 1970-01-01 00:00:01"} {
			if text := rendered(t, "rainbond."+lang+".text", a); !strings.Contains(text, want) {
				t.Errorf("%s (%s) lacks %q:\n%s", r.Alert, lang, want, text)
			}
			if text := rendered(t, "rainbond."+lang+".text", sent(t, r, variants(r)[0], nothingNow, false)); strings.Contains(text, want[:9]) {
				t.Errorf("%s (%s) is marked while its exporter works:\n%s", r.Alert, lang, text)
			}
		}
		for name, text := range r.Annotations {
			data := promtemplate.AlertTemplateData(typical, nil, "", promql.Sample{F: 1_800_000_000})
			text = "{{$labels := .Labels}}{{$value := .Value}}" + text
			got, err := promtemplate.NewTemplateExpander(t.Context(), text, name, data, 0, nothingNow, &url.URL{}, nil).Expand()
			if r.Alert != "RainbondNodeDown" && (err != nil || strings.Contains(got, "1.8") || strings.Contains(got, "180000") || strings.Contains(got, "20833d")) {
				t.Errorf("%s: %s shows the time as a value: %v: %s", r.Alert, name, err, got)
			}
		}
	}
}

// Three alerts of one group: each with its first step and its link.
func TestThreeAlertsInAMessageFit(t *testing.T) {
	for _, r := range alerts(t) {
		for _, with := range variants(r) {
			for lang, parts := range marks {
				var group []*alert.Alert
				for i := range 3 {
					set := maps.Clone(with)
					set["node"] = fmt.Sprintf("worker-%d", i)
					group = append(group, sent(t, r, set, seenNow, i > 0))
				}
				text := rendered(t, "rainbond."+lang+".text", group...)
				if len(text) > wecomLimit {
					t.Errorf("%s (%s): a message of %d bytes:\n%s", r.Alert, lang, len(text), text)
				}
				for _, mark := range append([]string{"■ ", "https://"}, parts...) {
					if got := strings.Count(text, "\n"+mark); got != 3 {
						t.Errorf("%s (%s): %d times %q, want 3:\n%s", r.Alert, lang, got, mark, text)
					}
				}
			}
		}
	}
}

// Texts that are too long end after a sentence and lead to the rest.
func TestLongTextsEndAfterASentence(t *testing.T) {
	long := func(word, stop string) model.LabelValue {
		return model.LabelValue(strings.Repeat(strings.Repeat(word, 9)+stop, 60))
	}
	for _, lang := range []string{"en", "zh"} {
		var group []*alert.Alert
		for range 3 {
			a := &alert.Alert{Alert: model.Alert{StartsAt: time.Now(), Labels: model.LabelSet{"alertname": "Foreign"}, Annotations: model.LabelSet{"section": "api-down",
				"summary": long("word ", ". "), "summary_zh": long("很", "。"), "description": long("word ", "end. "), "description_zh": long("很长", "。")}}}
			group = append(group, a)
		}
		text := rendered(t, "rainbond."+lang+".text", group...)
		if len(text) > 2*wecomLimit || strings.Count(text, "#api-down") != 3 || strings.Count(text, ". …")+strings.Count(text, "。 …") < 3 {
			t.Errorf("%s, %d bytes:\n%s", lang, len(text), text)
		}
	}
}

// note is an alert with these annotations.
func note(name string, annotations map[string]string, resolved bool) *alert.Alert {
	a := &alert.Alert{Alert: model.Alert{Labels: model.LabelSet{"alertname": model.LabelValue(name)}, Annotations: model.LabelSet{}, StartsAt: time.Now().Add(-time.Hour)}}
	for key, value := range annotations {
		a.Annotations[model.LabelName(key)] = model.LabelValue(value)
	}
	if resolved {
		a.EndsAt = time.Now().Add(-time.Minute)
	}
	return a
}

func TestMessagesAreComplete(t *testing.T) {
	full := map[string]string{
		"summary": "Region a: / of node n1 is 82% full", "summary_zh": "集群 a：节点 n1 的根分区已用 82%",
		"description": "Impact: None yet.\nCause: Logs.\nFix: Free space.\nThen more.\n$ df -h /", "description_zh": "影响：暂无。\n原因：日志。\n处理：腾出空间。\n再清理。\n$ df -h /",
		"runbook_url": "https://example.com/#5", "section": "disk-filling", "dashboard_url": "https://grafana.example.com/d/x?viewPanel=7",
		"guide_url": "https://e.example.com/guide?lang=en#disk-filling&a=$1", "guide_url_zh": "https://e.example.com/guide?lang=zh#disk-filling",
	}
	one := note("RainbondNodeDiskFilling", full, false)
	one.Labels["severity"], one.Labels["rainbond_region"] = "warning", "a"
	region := func(a *alert.Alert, severity string) *alert.Alert {
		a.Labels["severity"], a.Labels["rainbond_region"], a.Labels["cluster"] = model.LabelValue(severity), "a", "c1"
		return a
	}
	two := []*alert.Alert{region(note("RainbondNodeDiskFilling", full, false), "critical"), region(note("RainbondNodeDiskFilling", nil, true), "critical")}
	var many []*alert.Alert
	lines := ""
	for i := range 22 {
		summary := fmt.Sprintf("node n%02d is full", i)
		many = append(many, note("RainbondNodeDiskFilling", map[string]string{"summary": summary, "description": "$ df -h /"}, false))
		switch {
		case i < 3:
			lines += "\n\n■ " + summary + "\n$ df -h /"
		case i == 3:
			lines += "\n\n■ " + summary
		case i < 20:
			lines += "\n■ " + summary
		}
	}
	gone := note("RainbondNodeDiskFilling", full, true)
	watch := note("RainbondExporterDown", map[string]string{"summary": "down", "description": "Impact: a.\nCause: b.\nFix: c.\n$ d", "section": "watch-exporter-down",
		"runbook_url": "https://github.com/rainbond-exporter/rainbond-exporter/blob/main/docs/guide.en.md#watch-exporter-down"}, false)
	for _, c := range []struct {
		template string
		alerts   []*alert.Alert
		want     string
	}{
		{"rainbond.zh.text", []*alert.Alert{one}, "【警告】集群 a：节点 n1 的根分区已用 82%\n影响：暂无。\n原因：日志。\n处理：腾出空间。\n" +
			"https://e.example.com/guide?lang=zh#disk-filling\n再清理。\n$ df -h /\n图表：https://grafana.example.com/d/x?viewPanel=7\n文档：https://example.com/#5"},
		{"rainbond.en.text", []*alert.Alert{one}, "[WARN] Region a: / of node n1 is 82% full\nImpact: None yet.\nCause: Logs.\nFix: Free space.\n" +
			"https://e.example.com/guide?lang=en#disk-filling&a=$1\nThen more.\n$ df -h /\nGraph: https://grafana.example.com/d/x?viewPanel=7\nDocs: https://example.com/#5"},
		{"rainbond.en.text", []*alert.Alert{watch}, "[WARN] down\nImpact: a.\nCause: b.\nFix: c.\n" +
			"https://github.com/rainbond-exporter/rainbond-exporter/blob/main/docs/guide.en.md#watch-exporter-down\n$ d"},
		{"rainbond.zh.text", []*alert.Alert{watch}, "【警告】down\nImpact: a.\nCause: b.\nFix: c.\n$ d\n" +
			"https://github.com/rainbond-exporter/rainbond-exporter/blob/main/docs/guide.zh.md#watch-exporter-down"},
		{"rainbond.zh.title", two, "【紧急】集群 c1/a：RainbondNodeDiskFilling（2）"},
		{"rainbond.en.title", two, "[PAGE] Region c1/a: RainbondNodeDiskFilling (2)"},
		{"rainbond.en.text", many, "[WARN] RainbondNodeDiskFilling (22)" + lines + "\n… 22 in all: see the status page of the exporter"},
		{"rainbond.zh.text", many, "【警告】RainbondNodeDiskFilling（22）" + lines + "\n… 共 22 条，见 exporter 的状态页"},
		{"rainbond.zh.text", []*alert.Alert{gone}, "【恢复】集群 a：节点 n1 的根分区已用 82%\n\n□ 已恢复：集群 a：节点 n1 的根分区已用 82%"},
		{"rainbond.en.text", []*alert.Alert{gone}, "[OK] Region a: / of node n1 is 82% full\n\n□ Resolved: Region a: / of node n1 is 82% full"},
	} {
		if got := rendered(t, c.template, c.alerts...); got != c.want {
			t.Errorf("%s:\n%s\nwant\n%s", c.template, got, c.want)
		}
	}
}

// A message with very many alerts has at most 2,048 bytes too, and counts what
// it does not list.
func TestAMessageWithVeryManyAlertsFits(t *testing.T) {
	for _, r := range alerts(t) {
		var group []*alert.Alert
		for i := range 60 {
			set := maps.Clone(variants(r)[0])
			set["node"] = fmt.Sprintf("worker-%d", i)
			a := sent(t, r, set, seenNow, false)
			if i > 40 {
				a.EndsAt = time.Now().Add(-time.Minute)
			}
			group = append(group, a)
		}
		for lang, count := range map[string]string{"en": "41 in all", "zh": "共 41 条"} {
			if text := rendered(t, "rainbond."+lang+".text", group...); len(text) > wecomLimit || !strings.Contains(text, count) {
				t.Errorf("%s (%s): %d bytes:\n%s", r.Alert, lang, len(text), text)
			}
		}
	}
}

// Values of identity labels may be long and Chinese: a message with one alert,
// and with three, has at most 2,048 bytes, ends between characters, and each
// alert has its link.
func TestLongIdentitiesFit(t *testing.T) {
	for _, value := range []string{strings.Repeat("platform-of-", 5), strings.Repeat("平台", 30)} {
		for _, r := range alerts(t) {
			for _, with := range variants(r) {
				for lang := range marks {
					for _, number := range []int{1, 3} {
						var group []*alert.Alert
						for i := range number {
							set := maps.Clone(with)
							set["cluster"], set["node"] = value, fmt.Sprintf("worker-%d", i)
							if set[rules.RegionLabel] != "" {
								set[rules.RegionLabel] = value
							}
							group = append(group, sent(t, r, set, seenNow, i > 0))
						}
						text := rendered(t, "rainbond."+lang+".text", group...)
						if len(text) > wecomLimit || !utf8.ValidString(text) || strings.Count(text, "\nhttps://") != number {
							t.Errorf("%s (%s), %d alerts: a message of %d bytes:\n%s", r.Alert, lang, number, len(text), text)
						}
					}
				}
			}
		}
	}
}
