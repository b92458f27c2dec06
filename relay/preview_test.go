package relay

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"html/template"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/renderer/html"
)

var preview = flag.String("preview", "", "write a page with the messages of the robots to this folder")

// page imitates the chats: their colors and fonts are not the vendors'.
const page = `<!doctype html><meta charset="utf-8"><title>Robots</title><style>
body { font: 14px/1.5 sans-serif; background: #eceff3; margin: 0; padding: 16px; width: 1248px }
main { display: grid; grid-template-columns: repeat(3, 1fr); gap: 16px; align-items: start }
h1 { font-size: 15px; margin: 0 0 8px } h3 { font-size: 15px; margin: 0 0 8px }
section { min-width: 0 } article { background: white; border-radius: 8px; padding: 12px; margin: 0 0 12px; overflow-wrap: anywhere }
blockquote { margin: 8px 0; padding-left: 8px; border-left: 3px solid #c8ccd2 } p { margin: 6px 0 } pre { white-space: pre-wrap; margin: 6px 0 }
code, pre { font: 12px/1.4 monospace } font[color=warning] { color: #c2410c } font[color=info] { color: #15803d }
header { margin: -12px -12px 8px; padding: 8px 12px; border-radius: 8px 8px 0 0; font-weight: bold; background: #e0e7ef }
header.red { background: #fde2e2 } header.orange { background: #feebd0 } header.green { background: #d9f5dd }
a.button { display: inline-block; border: 1px solid #c8ccd2; border-radius: 6px; padding: 2px 10px; margin: 2px 6px 2px 0 }
</style><main>{{ range . }}<section><h1>{{ .Robot }}</h1>{{ range .Messages }}<article>{{ . }}</article>{{ end }}</section>{{ end }}</main>`

type robotPreview struct {
	Robot    string
	Messages []template.HTML
}

// TestPreview draws the messages as the chats show them: Markdown by a library,
// cards by their elements. make pictures takes pictures of the pages.
func TestPreview(t *testing.T) {
	if *preview == "" {
		t.Skip("make pictures writes the pages")
	}
	for _, lang := range []string{"zh", "en"} {
		var robots []robotPreview
		for _, robot := range []struct{ kind, name string }{{DingTalk, "DingTalk 钉钉"}, {Feishu, "Feishu 飞书"}, {WeCom, "WeCom 企业微信"}} {
			p := robotPreview{Robot: robot.name}
			r := Receiver{Type: robot.kind, Lang: lang, ExternalURL: "https://rainbond.example.com"}
			for _, name := range []string{"one", "resolved"} {
				p.Messages = append(p.Messages, drawn(t, r.body(load(t, name).Alerts, 0)))
			}
			robots = append(robots, p)
		}
		var out bytes.Buffer
		if err := template.Must(template.New("page").Parse(page)).Execute(&out, robots); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(*preview, "robots."+lang+".html"), out.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// A card is what Feishu draws.
type card struct {
	Header struct {
		Template string                   `json:"template"`
		Title    struct{ Content string } `json:"title"`
	} `json:"header"`
	Elements []struct {
		Tag      string                                    `json:"tag"`
		Text     struct{ Tag, Content string }             `json:"text"`
		Actions  []struct{ Text struct{ Content string } } `json:"actions"`
		Elements []struct{ Content string }                `json:"elements"`
	} `json:"elements"`
}

func drawn(t *testing.T, body []byte) template.HTML {
	t.Helper()
	var m struct {
		Markdown struct{ Text, Content string } `json:"markdown"`
		Card     *card                          `json:"card"`
	}
	if err := json.Unmarshal(body, &m); err != nil {
		t.Fatal(err)
	}
	if m.Card == nil {
		return markdown(t, m.Markdown.Text+m.Markdown.Content)
	}
	var out strings.Builder
	fmt.Fprintf(&out, "<header class=%q>%s</header>", m.Card.Header.Template, template.HTMLEscapeString(m.Card.Header.Title.Content))
	for _, e := range m.Card.Elements {
		switch {
		case e.Tag == "hr":
			out.WriteString("<hr>")
		case e.Text.Tag == "lark_md":
			out.WriteString(string(markdown(t, e.Text.Content)))
		case e.Text.Content != "":
			fmt.Fprintf(&out, "<pre>%s</pre>", template.HTMLEscapeString(e.Text.Content))
		}
		for _, a := range e.Actions {
			fmt.Fprintf(&out, "<a class=button>%s</a>", template.HTMLEscapeString(a.Text.Content))
		}
		for _, note := range e.Elements {
			fmt.Fprintf(&out, "<p>%s</p>", template.HTMLEscapeString(note.Content))
		}
	}
	return template.HTML(out.String()) //nolint:gosec // its parts are escaped above
}

func markdown(t *testing.T, text string) template.HTML {
	t.Helper()
	var out bytes.Buffer
	if err := goldmark.New(goldmark.WithRendererOptions(html.WithHardWraps(), html.WithUnsafe())).Convert([]byte(text), &out); err != nil {
		t.Fatal(err)
	}
	return template.HTML(out.String()) //nolint:gosec // WeCom colors text with an HTML element; the messages are those of testdata
}
