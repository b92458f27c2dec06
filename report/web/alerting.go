package web

import (
	"cmp"
	"strconv"
	"time"

	"github.com/rainbond-exporter/rainbond-exporter/alerting"
	"github.com/rainbond-exporter/rainbond-exporter/report"
)

// slugAlerting is the anchor of the card about alerting, which is no symptom.
const slugAlerting = "alerting"

// An alertingCard shows whether alerts reach people.
type alertingCard struct {
	card
	Problems []string
	Rows     [][2]string
}

func newAlertingCard(s alerting.Status, lang string) *alertingCard {
	phrase := func(key string, args ...any) string { return report.Phrase(lang, "alerting_"+key, args...) }
	c := &alertingCard{card: card{Slug: slugAlerting, Title: phrase("title"), Healthy: phrase("healthy"), State: "healthy", Mark: report.Phrase(lang, "state_well")}}
	found := map[alerting.Code]bool{}
	for _, p := range s.Problems {
		found[p.Code] = true
		var args []any
		if p.Detail != "" {
			args = append(args, report.Shown(p.Detail))
		}
		c.Problems = append(c.Problems, phrase(string(p.Code), args...))
		severity := "critical"
		if p.Code == alerting.TargetDown || p.Code == alerting.RuleFailing {
			severity = "warning"
		}
		if c.State != "critical" {
			c.State, c.Mark = severity, report.Phrase(lang, severity)
		}
	}
	row := func(key, value string) {
		c.Rows = append(c.Rows, [2]string{report.Capital(phrase(key)), cmp.Or(value, phrase("unknown"))})
	}
	if !found[alerting.PrometheusDown] {
		row("rules", strconv.Itoa(s.Rules))
		row("targets", phrase("of", s.Up, s.Targets))
		last := ""
		if !s.LastNotification.IsZero() {
			last = s.LastNotification.UTC().Format(pageTime)
		}
		row("last", last)
	}
	if !found[alerting.AlertmanagerDown] {
		row("failed", phrase("of", s.Failed, s.Sent))
		age := ""
		if s.Watchdog >= 0 {
			age = s.Watchdog.Round(time.Second).String()
		}
		row("watchdog", age)
	}
	return c
}
