package relay

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
)

// A notification is what Alertmanager posts to a webhook, version 4.
type notification struct {
	Version         string  `json:"version"`
	TruncatedAlerts int     `json:"truncatedAlerts"`
	Alerts          []alert `json:"alerts"`
}

// An alert is one alert of a notification.
type alert struct {
	Status      string            `json:"status"` // firing or resolved
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
	StartsAt    time.Time         `json:"startsAt"`
	EndsAt      time.Time         `json:"endsAt"`
}

// TestLabel is the label of a test alert. Its value identifies the test.
const TestLabel = "rainbond_test"

func (a alert) resolved() bool { return a.Status == "resolved" }

// rank orders alerts: those that fire, then those that are critical.
func (a alert) rank() int {
	rank := 0
	if a.resolved() {
		rank += 2
	}
	if a.Labels["severity"] != "critical" {
		rank++
	}
	return rank
}

// sorted returns the alerts by rank, otherwise in their order.
func sorted(alerts []alert) []alert {
	alerts = slices.Clone(alerts)
	slices.SortStableFunc(alerts, func(a, b alert) int { return cmp.Compare(a.rank(), b.rank()) })
	return alerts
}

// text returns an annotation in a language, or in English, without characters
// that control a screen.
func (a alert) text(lang, name string) string {
	text := a.Annotations[name]
	if lang == "zh" {
		text = cmp.Or(a.Annotations[name+"_zh"], text)
	}
	return printable(text[:min(len(text), maxText)])
}

// maxText is what is used of an annotation, in bytes: more than any vendor accepts.
const maxText = 32 << 10

// summary describes the alert in one line.
func (a alert) summary(lang string) string {
	line := strings.Join(strings.Fields(a.text(lang, "summary")), " ")
	line = cmp.Or(line, printable(a.Labels["alertname"]), "?")
	if seen := printable(a.Annotations["last_seen"]); seen != "" && !a.resolved() {
		line += fmt.Sprintf(texts[lang].lastSeen, seen)
	}
	return line
}

// printable removes control characters, except line breaks, and characters that
// change the direction of text.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r != '\n' && (unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r)) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(text, ""))
}

// cutSentence returns at most n characters of text, which end after a sentence
// if there is one.
func cutSentence(text string, n int) string {
	short := cut(text, n)
	if short == text {
		return text
	}
	end := strings.LastIndex(short, "。") + len("。")
	if stop := strings.LastIndex(short, ". ") + len("."); stop > end || end < len("。") {
		end = stop
	}
	if end <= len(".") {
		return short
	}
	return short[:end] + " …"
}

// cut returns at most n characters of text.
func cut(text string, n int) string {
	if runes := []rune(text); len(runes) > n {
		return string(runes[:n-1]) + "…"
	}
	return text
}
