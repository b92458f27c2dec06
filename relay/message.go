package relay

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/rainbond-exporter/rainbond-exporter/report"
)

// A message is what a robot posts, before it is encoded for a vendor.
type message struct {
	title    string
	state    string // critical, warning, resolved or test
	sections []section
	rest     string // counts the alerts without a section
	keyword  string // the title or the text must contain it
	status   link   // the status page
}

// A section describes one alert.
type section struct {
	head     string // the summary, if it is not the title
	parts    []part
	commands []string
	links    []link
}

// A part is a paragraph of a description, such as Impact.
type part struct{ label, text string }

type link struct{ name, url string }

// phrases are the texts of messages in a language.
type phrases struct {
	critical, warning, info, resolved, test             string
	resolvedAlert, over, duration, several              string
	rest                                                string
	guide, dashboard, document, status, colon, lastSeen string
	minutes, hours                                      string
}

var texts = map[string]phrases{
	"zh": {
		critical: "【紧急】", warning: "【警告】", info: "【提示】", resolved: "【恢复】", test: "【测试】",
		resolvedAlert: "已恢复：%s", over: "已恢复", duration: "（持续 %s）", several: "%s 等 %d 条", rest: "… 另有 %d 条告警，见状态页",
		guide: "排查手册", dashboard: "图表", document: "文档", status: "状态页", colon: "：", lastSeen: "（最后采集于 %s）",
		minutes: "%d 分钟", hours: "%d 小时 %d 分钟",
	},
	"en": {
		critical: "[PAGE] ", warning: "[WARN] ", info: "[INFO] ", resolved: "[OK] ", test: "[TEST] ",
		resolvedAlert: "Resolved: %s", over: "Resolved", duration: " (after %s)", several: "%s, and %d more", rest: "… and %d more alerts, see the status page",
		guide: "Guide", dashboard: "Dashboard", document: "Documentation", status: "Status page", colon: ": ", lastSeen: " (last seen %s)",
		minutes: "%d min", hours: "%d h %d min",
	},
}

// Limits of a message, in characters and alerts.
const (
	maxTitle     = 120
	maxHead      = 200
	maxPart      = 300 // if the whole text is too long
	maxDescribed = 3   // alerts with their description
	maxListed    = 20  // alerts with their summary
)

// compose encodes alerts into one message that satisfies fits: the first three with
// their description, the next with their summary, and a count of the rest. What
// is too long loses its commands first, then the ends of its paragraphs.
func (r *Receiver) compose(alerts []alert, more int, encode func(message) []byte, fits func([]byte) bool) []byte {
	alerts = sorted(alerts)
	m := r.header(alerts, more)
	counted := func(i int) string {
		if n := len(alerts) + more - i; n > 0 {
			return fmt.Sprintf(texts[r.Lang].rest, n)
		}
		return ""
	}
	for i, a := range alerts {
		placed := false
		for _, s := range r.variants(a, i, len(alerts)+more) {
			next := m
			next.sections = slices.Concat(m.sections, []section{s})
			next.rest = counted(i + 1)
			if placed = fits(encode(next)); placed {
				m = next
				break
			}
		}
		if !placed {
			break
		}
	}
	m.rest = counted(len(m.sections))
	return encode(m)
}

// header returns a message without sections.
func (r *Receiver) header(alerts []alert, more int) message {
	t := texts[r.Lang]
	m := message{state: "resolved", title: t.resolved, keyword: r.Keyword}
	if r.ExternalURL != "" {
		m.status = link{t.status, r.ExternalURL}
	}
	if len(alerts) == 0 {
		return m
	}
	first := alerts[0]
	switch severity := first.Labels["severity"]; {
	case first.resolved():
	case severity == "critical":
		m.state, m.title = severity, t.critical
	case severity == "info" || severity == "none":
		m.state, m.title = "info", t.info
	default:
		m.state, m.title = "warning", t.warning
	}
	if first.Labels[TestLabel] != "" {
		m.title = t.test + m.title
		if m.state != "resolved" {
			m.state = "info"
		}
	}
	summary := first.summary(r.Lang)
	if n := len(alerts) + more; n > 1 {
		count := n
		if r.Lang == "en" {
			count--
		}
		summary = fmt.Sprintf(t.several, cut(summary, maxTitle-len(t.several)), count)
	}
	m.title += cut(summary, maxTitle)
	return m
}

// variants returns the sections of an alert, the longest first.
func (r *Receiver) variants(a alert, i, n int) []section {
	t := texts[r.Lang]
	least := section{head: cut(a.summary(r.Lang), maxHead)}
	if a.resolved() {
		least.head = fmt.Sprintf(t.resolvedAlert, least.head)
		if n == 1 {
			least.head = t.over // the title has the summary
		}
		least.head += r.lasted(a)
		return oneOf(i < maxListed, least)
	}
	if n == 1 && len([]rune(a.summary(r.Lang))) <= maxTitle {
		least.head = ""
	}
	if i >= maxDescribed {
		return oneOf(i < maxListed, least)
	}
	full := least
	full.parts, full.commands = describe(a.text(r.Lang, "description"))
	full.links = r.links(a)
	brief := full
	brief.commands = nil
	short := brief
	short.parts = nil
	for _, p := range brief.parts {
		short.parts = append(short.parts, part{p.label, cutSentence(p.text, maxPart)})
	}
	least.links = full.links[:min(1, len(full.links))]
	return []section{full, brief, short, least}
}

func oneOf(use bool, s section) []section {
	if !use {
		return nil
	}
	return []section{s}
}

// lasted returns how long a resolved alert was active, "" if that is unknown.
func (r *Receiver) lasted(a alert) string {
	t := texts[r.Lang]
	minutes := int(a.EndsAt.Sub(a.StartsAt).Minutes())
	if a.StartsAt.IsZero() || minutes < 1 || minutes > 365*24*60 {
		return ""
	}
	text := fmt.Sprintf(t.minutes, minutes)
	if minutes >= 60 {
		text = fmt.Sprintf(t.hours, minutes/60, minutes%60)
	}
	return fmt.Sprintf(t.duration, text)
}

// labels are the beginnings of the paragraphs of a description.
var labels = []string{"Impact", "Cause", "Fix", "影响", "原因", "处理"}

// describe splits a description into its paragraphs and commands. Lines that begin
// with "$ " are commands.
func describe(text string) (parts []part, commands []string) {
	for line := range strings.SplitSeq(strings.TrimSpace(text), "\n") {
		line = strings.TrimSpace(line)
		if command, ok := strings.CutPrefix(line, "$ "); ok {
			commands = append(commands, command)
			continue
		}
		p := part{text: line}
		for _, label := range labels {
			for _, colon := range []string{": ", "："} {
				if rest, ok := strings.CutPrefix(line, label+colon); ok {
					p = part{label, rest}
				}
			}
		}
		switch {
		case line == "":
		case p.label == "" && len(parts) > 0:
			parts[len(parts)-1].text += "\n" + line
		default:
			parts = append(parts, p)
		}
	}
	return parts, commands
}

// links returns the links of an alert: the section of the guide first.
func (r *Receiver) links(a alert) []link {
	t := texts[r.Lang]
	guide := a.Annotations["guide_url"]
	if r.Lang == "zh" {
		guide = cmp.Or(a.Annotations["guide_url_zh"], guide)
	}
	if section := a.Annotations["section"]; guide == "" && section != "" {
		var pages report.Links
		if r.ExternalURL != "" {
			pages.Guide = r.ExternalURL + "/guide"
		}
		guide = pages.Section(section, r.Lang)
	}
	document := a.Annotations["runbook_url"]
	if strings.Contains(document, "/rainbond-exporter/") && strings.Contains(document, "/guide.") {
		document = "" // the guide again
	}
	var links []link
	for _, l := range []link{{t.guide, guide}, {t.dashboard, a.Annotations["dashboard_url"]}, {t.document, document}} {
		if strings.HasPrefix(l.url, "https://") || strings.HasPrefix(l.url, "http://") {
			l.url = strings.NewReplacer(" ", "%20", "(", "%28", ")", "%29", "[", "%5B", "]", "%5D", "<", "%3C", ">", "%3E", "\n", "", "\r", "").Replace(printable(l.url))
			links = append(links, l)
		}
	}
	return links
}
