package test

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rainbond-exporter/rainbond-exporter/collector"
	"github.com/rainbond-exporter/rainbond-exporter/dashboards"
	"github.com/rainbond-exporter/rainbond-exporter/demo"
	"github.com/rainbond-exporter/rainbond-exporter/docs"
	"github.com/rainbond-exporter/rainbond-exporter/doctor"
	"github.com/rainbond-exporter/rainbond-exporter/rules"
)

// alerts are the alerting rules, each name once.
func alerts(t *testing.T) []doctor.Alert {
	t.Helper()
	d, err := doctor.New(rules.Rules, rules.Alertmanager)
	if err != nil {
		t.Fatal(err)
	}
	return d.Alerts()
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// uses reports whether a text has the metric as a word, as queries do.
func uses(text, metric string) bool {
	return regexp.MustCompile(`\b` + metric + `(_bucket|_sum|_count)?\b`).MatchString(text)
}

func TestEveryAlertHasItsSectionPanelAndTests(t *testing.T) {
	tests := read(t, "../rules/rainbond.test.yaml")
	page := read(t, "../docs/alerts.md")
	for _, a := range alerts(t) {
		for lang, guide := range map[string][]byte{"en": docs.GuideEN, "zh": docs.GuideZH} {
			if !strings.Contains(string(guide), `<a id="`+a.Section+`"></a>`) {
				t.Errorf("%s: docs/guide.%s.md has no section %s", a.Name, lang, a.Section)
			}
		}
		if !strings.Contains(tests, `alertname="`+a.Name+`"`) {
			t.Errorf("%s: rules/rainbond.test.yaml does not test it", a.Name)
		}
		if !strings.Contains(page, a.Name) {
			t.Errorf("%s: docs/alerts.md does not list it", a.Name)
		}
	}
}

// panel is what alerts and panels hold of each other.
type panel struct {
	ID      int
	Links   []struct{ Title, URL string }
	Targets []struct{ Expr string }
}

// panels are those of all dashboards, by "UID?viewPanel=ID".
func panels(t *testing.T, lang string) map[string]panel {
	t.Helper()
	files, err := dashboards.Files(lang, rules.DefaultIdentity)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]panel{}
	for _, text := range files {
		var d struct {
			UID    string
			Panels []panel
		}
		if err := json.Unmarshal(text, &d); err != nil {
			t.Fatal(err)
		}
		for _, p := range d.Panels {
			all[fmt.Sprintf("%s?viewPanel=%d", d.UID, p.ID)] = p
		}
	}
	return all
}

// TestAlertsAndPanelsLeadToEachOther: an alert's annotation leads to a panel
// that shows what the alert reads, and the panel leads back to the section of
// that very alert; and no panel names an alert that there is not.
func TestAlertsAndPanelsLeadToEachOther(t *testing.T) {
	all := alerts(t)
	for _, lang := range dashboards.Langs {
		shown := panels(t, lang)
		for _, a := range all {
			link, ok := strings.CutPrefix(a.Annotations["dashboard"], "/d/")
			link, after, scoped := strings.Cut(link, "{{ with $labels.cluster }}&var-cluster={{ . | urlquery }}{{ end }}")
			if scoped == (a.Name == rules.Watchdog) {
				t.Errorf("%s: the link carries the label cluster: %v", a.Name, scoped)
			}
			link += after
			// RainbondExporterDown has the label for some roles only.
			link = strings.Replace(link, "{{ with $labels.rainbond_region }}&var-region={{ . | urlquery }}{{ end }}", "&var-region={{ $labels.rainbond_region | urlquery }}", 1)
			link, region, _ := strings.Cut(link, "&")
			p, there := shown[link]
			if !ok || !there {
				t.Errorf("%s: no panel %q", a.Name, a.Annotations["dashboard"])
				continue
			}
			if regional := strings.Contains(a.Annotations["summary"], "rainbond_region"); regional != (region == "var-region={{ $labels.rainbond_region | urlquery }}") {
				t.Errorf("%s: %s", a.Name, a.Annotations["dashboard"])
			}
			if !slices.Contains(p.Links, struct{ Title, URL string }{a.Name, "${guide}#" + a.Section}) {
				t.Errorf("%s: panel %s does not lead back to %s: %v", a.Name, link, a.Section, p.Links)
			}
			// The panel of an absent exporter shows the targets themselves.
			shows := len(a.Metrics) == 0 || slices.ContainsFunc(p.Targets, func(q struct{ Expr string }) bool { return uses(q.Expr, "up") })
			for _, metric := range a.Metrics {
				shows = shows || slices.ContainsFunc(p.Targets, func(q struct{ Expr string }) bool { return uses(q.Expr, metric) })
			}
			if !shows {
				t.Errorf("%s: panel %s shows none of %v", a.Name, link, a.Metrics)
			}
		}
		for where, p := range shown {
			for _, link := range p.Links {
				known := func(a doctor.Alert) bool { return a.Name == link.Title && link.URL == "${guide}#"+a.Section }
				if strings.HasPrefix(link.Title, "Rainbond") && !slices.ContainsFunc(all, known) {
					t.Errorf("panel %s: no alert %s with %s", where, link.Title, link.URL)
				}
			}
		}
	}
}

func TestEverySectionOfTheGuideIsAnAlertsOrASlugs(t *testing.T) {
	known := append([]string{"watch"}, collector.Slugs...)
	for _, a := range alerts(t) {
		known = append(known, a.Section)
	}
	for lang, guide := range map[string][]byte{"en": docs.GuideEN, "zh": docs.GuideZH} {
		for _, anchor := range regexp.MustCompile(`(?m)^<a id="([^"]+)"></a>$`).FindAllStringSubmatch(string(guide), -1) {
			if !slices.Contains(known, anchor[1]) && slices.ContainsFunc(collector.Slugs, func(slug string) bool { return strings.HasPrefix(anchor[1], slug+"-") }) {
				t.Errorf("docs/guide.%s.md: no alert leads to %s", lang, anchor[1])
			}
		}
	}
}

func TestEveryMetricIsAskedFor(t *testing.T) {
	asked := string(rules.Rules)
	for _, p := range panels(t, "en") {
		for _, q := range p.Targets {
			asked += " " + q.Expr
		}
	}
	for _, m := range collector.Catalogue {
		if !uses(asked, m.Name) {
			t.Errorf("%s: no rule and no panel uses it", m.Name)
		}
	}
}

func TestEverySymptomHasAlertsAndScenarios(t *testing.T) {
	all := alerts(t)
	for _, slug := range collector.Slugs {
		if !slices.ContainsFunc(all, func(a doctor.Alert) bool { return slices.Contains(a.Slugs, slug) }) {
			t.Errorf("%s has no alert", slug)
		}
		breaks := 0
		for _, s := range demo.Scenarios {
			if s.Slug == slug && len(s.Alerts) > 0 {
				breaks++
			}
		}
		if breaks < 2 {
			t.Errorf("%s has %d scenarios that break something, want two at least", slug, breaks)
		}
	}
}

func TestScenariosNameAlertsThatExist(t *testing.T) {
	all := alerts(t)
	for _, s := range demo.Scenarios {
		if kind, _, _ := strings.Cut(s.Slug, "-"); !strings.Contains(s.Name, kind) {
			t.Errorf("scenario %s is not named after its slug %s", s.Name, s.Slug)
		}
		for _, name := range s.Alerts {
			if !slices.ContainsFunc(all, func(a doctor.Alert) bool { return a.Name == name }) {
				t.Errorf("scenario %s: no alert %s", s.Name, name)
			}
		}
	}
}
