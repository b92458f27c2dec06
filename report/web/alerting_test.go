package web

import (
	"context"
	"html"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rainbond-exporter/rainbond-exporter/alerting"
	"github.com/rainbond-exporter/rainbond-exporter/doctor/doctortest"
)

// every is one problem of each kind.
var every = []alerting.Problem{
	{Code: alerting.PrometheusDown, Detail: "DETAIL"}, {Code: alerting.AlertmanagerDown, Detail: "DETAIL"}, {Code: alerting.RulesMissing}, {Code: alerting.ReloadFailed},
	{Code: alerting.DiskFull, Detail: "DETAIL"}, {Code: alerting.RuleFailing, Detail: "DETAIL"}, {Code: alerting.NoAlertmanager}, {Code: alerting.WatchdogMissing},
	{Code: alerting.WatchdogOld, Detail: "DETAIL"}, {Code: alerting.RouteMissing, Detail: "DETAIL"}, {Code: alerting.TargetDown, Detail: "DETAIL"},
	{Code: alerting.NotificationsFail, Detail: "DETAIL"}, {Code: alerting.Rejected, Detail: "DETAIL"}, {Code: alerting.Unreachable, Detail: "DETAIL"},
}

func alertingCardOf(t *testing.T, s alerting.Status, lang string) string {
	t.Helper()
	site := siteOf(t, doctortest.Healthy())
	site.Alerting = func(context.Context) alerting.Status { return s }
	_, card, found := strings.Cut(get(site, "/?lang="+lang).Body.String(), `id="alerting"`)
	if !found {
		t.Fatal("the page has no card about alerting")
	}
	card, _, _ = strings.Cut(card, "</section>")
	return html.UnescapeString(card)
}

func TestTheAlertingCardShowsTheValues(t *testing.T) {
	s := alerting.Status{Rules: 38, Targets: 3, Up: 3, Sent: 12, Failed: 1, Watchdog: 14 * time.Second, LastNotification: time.Date(2026, 11, 29, 15, 0, 0, 0, time.UTC)}
	for lang, wants := range map[string][]string{
		"en": {"<b>OK</b>", "Rules loaded</dt><dd class=\"text\">38<", "3 of 3", "1 of 12", "14s", "2026-11-29 15:00:00 UTC", "the Watchdog arrives"},
		"zh": {"<b>正常</b>", "已加载的规则</dt><dd class=\"text\">38<", "3 / 3", "1 / 12", "14s", "2026-11-29 15:00:00 UTC", "Watchdog 到达"},
	} {
		card := alertingCardOf(t, s, lang)
		for _, want := range wants {
			if !strings.Contains(card, want) {
				t.Errorf("%s: no %q in\n%s", lang, want, card)
			}
		}
	}
}

func TestTheAlertingCardNamesEachProblem(t *testing.T) {
	for _, lang := range []string{"en", "zh"} {
		seen := map[string]bool{}
		for _, p := range every {
			card := alertingCardOf(t, alerting.Status{Watchdog: -1, Problems: []alerting.Problem{p}}, lang)
			_, text, _ := strings.Cut(card, "<li>")
			text, _, _ = strings.Cut(text, "</li>")
			if seen[text] || text == "" || strings.Contains(text, "alerting_") || strings.Contains(text, "%!") || strings.Contains(text, "DETAIL") != (p.Detail != "") {
				t.Errorf("%s %s: %q", lang, p.Code, text)
			}
			seen[text] = true
			if strings.Contains(card, "<b>OK</b>") || strings.Contains(card, "<b>正常</b>") {
				t.Errorf("%s %s: the card is healthy", lang, p.Code)
			}
		}
	}
}

func TestWithoutAlertingThereIsNoCard(t *testing.T) {
	if body := get(siteOf(t, doctortest.Healthy()), "/").Body.String(); strings.Contains(body, `id="alerting"`) {
		t.Error("the page has a card about alerting")
	}
}

func TestTheConsolesPluginContainsTheURL(t *testing.T) {
	site := siteOf(t, doctortest.Healthy())
	site.ExternalURL = "https://status.example.com/rainbond"
	if got := get(site, "/console-plugin.js").Code; got != http.StatusNotFound {
		t.Errorf("status %d, although no site may embed the page; expected 404", got)
	}
	site.FrameAncestor = "https://console.example.com:7070"
	got := get(site, "/console-plugin.js")
	if body := got.Body.String(); !strings.Contains(body, `src: "https://status.example.com/rainbond" + "/?lang="`) || strings.Contains(body, "STATUS_PAGE") {
		t.Errorf("the URL of the status page is missing:\n%s", body)
	}
	if kind := got.Header().Get("Content-Type"); kind != "application/javascript; charset=utf-8" {
		t.Errorf("Content-Type: %s", kind)
	}
}

func TestOneOriginMayEmbedThePage(t *testing.T) {
	site := siteOf(t, doctortest.Healthy())
	site.FrameAncestor = "https://console.example.com:7070"
	if got := get(site, "/").Header().Get("Content-Security-Policy"); !strings.HasSuffix(got, "; frame-ancestors https://console.example.com:7070") {
		t.Errorf("Content-Security-Policy: %s", got)
	}
}
