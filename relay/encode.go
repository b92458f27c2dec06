package relay

import (
	"bytes"
	"encoding/json"
	"strings"
	"time"
)

// The limits of the vendors, in bytes.
const (
	maxDingTalk = 20000 // of the request
	maxFeishu   = 20000 // of the request; the documentation has 20 KB
	maxWeCom    = 4096  // of the Markdown text
	maxWebhook  = 64 << 10
)

// signing is the space for timestamp and signature in a request to Feishu.
const signing = 100

// body encodes alerts as the request of the receiver's vendor. More counts alerts
// that Alertmanager has omitted.
func (r *Receiver) body(alerts []alert, more int) []byte {
	limit := func(n int) func([]byte) bool { return func(b []byte) bool { return len(b) <= n } }
	switch r.Type {
	case DingTalk:
		return r.compose(alerts, more, dingTalkBody, limit(maxDingTalk))
	case Feishu:
		return r.compose(alerts, more, feishuBody, limit(maxFeishu-signing))
	case WeCom:
		text := r.compose(alerts, more, func(m message) []byte { return []byte(m.markdown("", true)) }, limit(maxWeCom))
		return encode(map[string]any{"msgtype": "markdown", "markdown": map[string]any{"content": string(text)}})
	default:
		return r.compose(alerts, more, webhookBody, limit(maxWebhook))
	}
}

// encode returns JSON. Characters of HTML are not escaped: each would need six
// bytes of a limit.
func encode(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(v) // maps of texts
	return bytes.TrimSpace(b.Bytes())
}

func dingTalkBody(m message) []byte {
	return encode(map[string]any{"msgtype": "markdown", "markdown": map[string]any{"title": defuse(m.title), "text": m.markdown("  ", false)}})
}

// webhookBody is JSON for a receiver of your own. Slack and Mattermost show text.
func webhookBody(m message) []byte {
	return encode(map[string]any{"title": m.title, "state": m.state, "text": m.plain()})
}

// defuse keeps texts of alerts from mentioning people and from being a link or an
// image. The Markdown of the robots has no escapes for that.
var defuse = strings.NewReplacer("](", "] (", "<@", "< @", "![", "! [", "<font", "< font").Replace

// colours of WeCom.
var colours = map[string]string{"critical": "warning", "warning": "warning", "resolved": "info", "info": "comment"}

// markdown returns the message in the Markdown of DingTalk or WeCom. In DingTalk,
// lines end with two blanks; in WeCom, the title has a colour. Commands are
// inline code, the only code that both document.
func (m message) markdown(lineEnd string, coloured bool) string {
	var b strings.Builder
	line := func(text string) { b.WriteString(text + lineEnd + "\n") }
	paragraph := func() {
		if b.Len() > 0 {
			b.WriteString("\n")
		}
	}
	title := defuse(m.title)
	if coloured {
		title = `<font color="` + colours[m.state] + `">` + title + `</font>`
	}
	line("### " + title)
	for _, s := range m.sections {
		paragraph()
		if s.head != "" {
			line("**" + defuse(s.head) + "**")
		}
		for _, p := range s.parts {
			text := strings.ReplaceAll(defuse(p.text), "\n", lineEnd+"\n")
			if p.label != "" {
				text = "**" + p.label + "** " + text
			}
			line(text)
		}
		for _, command := range s.commands {
			command = defuse(command)
			if !strings.Contains(command, "`") {
				command = "`" + command + "`"
			}
			line("> " + command)
		}
		if len(s.links) > 0 {
			if len(s.commands) > 0 { // ends the quotation
				b.WriteString("\n")
			}
			line(linkLine(s.links))
		}
	}
	if m.rest != "" {
		paragraph()
		line(m.rest)
	}
	if m.status.url != "" {
		paragraph()
		line(linkLine([]link{m.status}))
	}
	if !strings.Contains(b.String(), m.keyword) {
		line(m.keyword)
	}
	return strings.TrimRight(b.String(), " \n")
}

func linkLine(links []link) string {
	var all []string
	for _, l := range links {
		all = append(all, "["+l.name+"]("+l.url+")")
	}
	return strings.Join(all, " · ")
}

// plain returns the message as plain text.
func (m message) plain() string {
	var b strings.Builder
	b.WriteString(m.title + "\n")
	for _, s := range m.sections {
		if s.head != "" {
			b.WriteString("\n" + s.head + "\n")
		}
		for _, p := range s.parts {
			b.WriteString(p.plain() + "\n")
		}
		for _, command := range s.commands {
			b.WriteString("$ " + command + "\n")
		}
		for _, l := range s.links {
			b.WriteString(l.name + " " + l.url + "\n")
		}
	}
	if m.rest != "" {
		b.WriteString("\n" + m.rest + "\n")
	}
	if m.status.url != "" {
		b.WriteString(m.status.name + " " + m.status.url + "\n")
	}
	return strings.TrimSpace(b.String())
}

// plain returns the paragraph with its label, as in the description.
func (p part) plain() string {
	switch {
	case p.label == "":
		return p.text
	case p.label[0] < 0x80:
		return p.label + ": " + p.text
	default:
		return p.label + "：" + p.text
	}
}

// templates are the colours of Feishu's cards.
var templates = map[string]string{"critical": "red", "warning": "orange", "resolved": "green", "info": "blue"}

// larkEscape escapes the characters that have a meaning in lark_md.
var larkEscape = strings.NewReplacer("&", "&#38;", "<", "&#60;", ">", "&#62;", "*", "&#42;", "~", "&#126;", "[", "&#91;", "]", "&#93;",
	"`", "&#96;", "_", "&#95;", "!", "&#33;", "#", "&#35;").Replace

// feishuBody is a card. Commands are plain text, which is copied as it is.
func feishuBody(m message) []byte {
	plain := func(text string) map[string]any { return map[string]any{"tag": "plain_text", "content": text} }
	lark := func(text string) map[string]any {
		return map[string]any{"tag": "div", "text": map[string]any{"tag": "lark_md", "content": text}}
	}
	var elements []any
	add := func(e any) { elements = append(elements, e) }
	buttons := func(links []link) {
		var actions []any
		for _, l := range links {
			actions = append(actions, map[string]any{"tag": "button", "type": "default", "text": plain(l.name), "url": l.url})
		}
		if len(actions) > 0 {
			add(map[string]any{"tag": "action", "actions": actions})
		}
	}
	for i, s := range m.sections {
		if i > 0 {
			add(map[string]any{"tag": "hr"})
		}
		if s.head != "" {
			add(lark("**" + larkEscape(s.head) + "**"))
		}
		for _, p := range s.parts {
			text := larkEscape(p.text)
			if p.label != "" {
				text = "**" + p.label + "** " + text
			}
			add(lark(text))
		}
		if len(s.commands) > 0 {
			add(map[string]any{"tag": "div", "text": plain("$ " + strings.Join(s.commands, "\n$ "))})
		}
		buttons(s.links)
	}
	note := m.rest
	if m.status.url != "" {
		buttons([]link{m.status})
	}
	if !strings.Contains(m.title+m.plain(), m.keyword) {
		note = strings.TrimSpace(note + " " + m.keyword)
	}
	if note != "" {
		add(map[string]any{"tag": "note", "elements": []any{plain(note)}})
	}
	if len(elements) == 0 {
		add(map[string]any{"tag": "div", "text": plain(m.title)})
	}
	return encode(map[string]any{"msg_type": "interactive", "card": map[string]any{
		"config":   map[string]any{"wide_screen_mode": true},
		"header":   map[string]any{"template": templates[m.state], "title": plain(m.title)},
		"elements": elements,
	}})
}

// sign adds the timestamp and the signature to the body of a message to Feishu.
func sign(body []byte, secret string, now time.Time) []byte {
	stamp := now.Unix()
	head := encode(map[string]any{"timestamp": formatInt(stamp), "sign": signature(formatInt(stamp)+"\n"+secret, "")})
	return append(append(bytes.TrimSuffix(head, []byte("}")), ','), bytes.TrimPrefix(body, []byte("{"))...)
}
