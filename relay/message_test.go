package relay

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"
)

var update = flag.Bool("update", false, "write the golden files")

func load(t *testing.T, name string) notification {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	var n notification
	if err := json.Unmarshal(text, &n); err != nil {
		t.Fatal(err)
	}
	return n
}

// TestGoldenMessages compares what each robot gets, in both languages, for one
// alert, for several and for a resolved one.
func TestGoldenMessages(t *testing.T) {
	for _, kind := range types {
		for _, lang := range []string{"zh", "en"} {
			var got bytes.Buffer
			for _, name := range []string{"one", "several", "resolved"} {
				n := load(t, name)
				r := Receiver{Type: kind, Lang: lang, ExternalURL: "https://rainbond.example.com"}
				body := r.body(n.Alerts, 0)
				var values map[string]any
				if err := json.Unmarshal(body, &values); err != nil {
					t.Fatal(err)
				}
				fmt.Fprintf(&got, "=== %s: %d bytes\n", name, len(body))
				show(&got, "", values)
			}
			path := filepath.Join("testdata", "golden", kind+"."+lang+".txt")
			if *update {
				if err := os.WriteFile(path, got.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
				continue
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if got.String() != string(want) {
				t.Errorf("%s differs; run go test ./relay -run Golden -update and read the difference. Got:\n%s", path, got.String())
			}
		}
	}
}

// show writes a JSON value for people: one line for each text, line breaks as
// they are.
func show(w *bytes.Buffer, indent string, v any) {
	switch v := v.(type) {
	case map[string]any:
		var small bytes.Buffer
		e := json.NewEncoder(&small)
		e.SetEscapeHTML(false)
		if _ = e.Encode(v); small.Len() < 140 && !strings.Contains(small.String(), `\n`) {
			fmt.Fprintf(w, "%s%s", indent, small.String())
			return
		}
		for _, key := range sortedKeys(v) {
			if text, ok := v[key].(string); ok {
				fmt.Fprintf(w, "%s%s: %s\n", indent, key, strings.ReplaceAll(text, "\n", "\n"+indent+"  "))
				continue
			}
			fmt.Fprintf(w, "%s%s:\n", indent, key)
			show(w, indent+"  ", v[key])
		}
	case []any:
		for _, item := range v {
			show(w, indent+"- ", item)
		}
	default:
		fmt.Fprintf(w, "%s%v\n", indent, v)
	}
}

// large returns n alerts whose texts have the given length.
func large(n, length int) []alert {
	var all []alert
	for i := range n {
		text := strings.Repeat("很长的文字", length/5)
		all = append(all, alert{Status: "firing", Labels: map[string]string{"alertname": "A", "severity": "critical"}, Annotations: map[string]string{
			"summary":     fmt.Sprintf("告警 %d %s", i, text),
			"description": "Impact: " + text + "\nCause: " + text + "\nFix: " + text + "\n" + text + "\n$ kubectl " + text,
			"section":     "api-down",
		}})
	}
	return all
}

// TestLimits: a message of any size satisfies the vendor, names the first alert
// and counts all.
func TestLimits(t *testing.T) {
	for _, kind := range types {
		for _, n := range []int{1, 3, 4, 21, 200} {
			for _, length := range []int{10, 500, 5000} {
				r := Receiver{Type: kind, Lang: "zh", Keyword: "云平台"}
				alerts := large(n, length)
				body := r.body(alerts, 7)
				limit := map[string]int{DingTalk: maxDingTalk, Feishu: maxFeishu - signing, WeCom: 1 << 20, Webhook: maxWebhook}[kind]
				text := string(body)
				if kind == WeCom {
					var m struct{ Markdown struct{ Content string } }
					if err := json.Unmarshal(body, &m); err != nil {
						t.Fatal(err)
					}
					if text, limit = m.Markdown.Content, maxWeCom; len(text) > limit {
						t.Errorf("%s: %d alerts of %d: %d bytes of Markdown", kind, n, length, len(text))
					}
				} else if len(body) > limit {
					t.Errorf("%s: %d alerts of %d: %d bytes", kind, n, length, len(body))
				}
				if !utf8.ValidString(text) || strings.Contains(text, "\ufffd") {
					t.Errorf("%s: %d alerts of %d: a character is cut", kind, n, length)
				}
				if !strings.Contains(text, "告警 0") || !strings.Contains(text, fmt.Sprintf("等 %d 条", n+7)) || !strings.Contains(text, "另有") {
					t.Errorf("%s: %d alerts of %d:\n%s", kind, n, length, text)
				}
			}
		}
	}
}

// TestTheWorstDescription: what is too long loses its commands first.
func TestLongTextLosesItsCommandsFirst(t *testing.T) {
	a := load(t, "one").Alerts[0]
	a.Annotations["description_zh"] += strings.Repeat("\n$ kubectl get pod", 200)
	r := Receiver{Type: WeCom, Lang: "zh"}
	text := string(r.body([]alert{a}, 0))
	if strings.Contains(text, "kubectl get pod") || !strings.Contains(text, "**处理**") || !strings.Contains(text, "[排查手册](") {
		t.Error(text)
	}
}

// TestTextsOfAlertsAreOnlyText: names come from clusters, and must not mention
// people, hide text or become links.
func TestTextsOfAlertsAreOnlyText(t *testing.T) {
	wild := "<@all> <at id=all></at> ![x](http://evil.example.com/i.png) [click](http://evil.example.com) <font color=\"info\">ok</font> \u202eabc\x1b[31m *b* _i_"
	a := alert{Status: "firing", Labels: map[string]string{"alertname": "A"}, Annotations: map[string]string{
		"summary": wild, "description": "Impact: " + wild + "\n$ echo " + wild + "\n$ echo `id` " + wild, "runbook_url": "javascript:alert(1)", "guide_url": "https://g.example.com/a) [x](http://evil.example.com",
	}}
	for _, kind := range []string{DingTalk, Feishu, WeCom} {
		r := Receiver{Type: kind, Lang: "en"}
		text := string(r.body([]alert{a}, 0))
		forbidden := []string{"\u202e", "\x1b", `\u001b`, "javascript:"}
		if kind == Feishu {
			var m struct {
				Card struct {
					Elements []struct{ Text struct{ Tag, Content string } }
				}
			}
			if err := json.Unmarshal([]byte(text), &m); err != nil {
				t.Fatal(err)
			}
			for _, e := range m.Card.Elements {
				if e.Text.Tag == "lark_md" && strings.ContainsAny(strings.ReplaceAll(e.Text.Content, "**", ""), "<>[]*_") {
					t.Errorf("%s: %s", kind, e.Text.Content)
				}
			}
		} else {
			forbidden = append(forbidden, "<@", "![", "](http://evil", `<font color=\"info\">ok`)
		}
		for _, f := range forbidden {
			if strings.Contains(text, f) {
				t.Errorf("%s contains %q:\n%s", kind, f, text)
			}
		}
	}
}

func TestMarks(t *testing.T) {
	firing := func(severity string, more ...string) alert {
		a := alert{Status: "firing", Labels: map[string]string{"alertname": "A", "severity": severity}}
		for _, name := range more {
			a.Labels[name] = "x"
		}
		return a
	}
	over := firing("critical")
	over.Status = "resolved"
	for _, c := range []struct {
		alerts []alert
		zh, en string
	}{
		{[]alert{firing("critical")}, "【紧急】A", "[PAGE] A"},
		{[]alert{firing("warning"), firing("critical")}, "【紧急】A 等 2 条", "[PAGE] A, and 1 more"},
		{[]alert{over, firing("warning")}, "【警告】A 等 2 条", "[WARN] A, and 1 more"},
		{[]alert{over}, "【恢复】A", "[OK] A"},
		{[]alert{firing("warning", TestLabel)}, "【测试】【警告】A", "[TEST] [WARN] A"},
		{[]alert{firing("none")}, "【提示】A", "[INFO] A"},
	} {
		for lang, want := range map[string]string{"zh": c.zh, "en": c.en} {
			r := Receiver{Type: Webhook, Lang: lang}
			if got := r.header(sorted(c.alerts), 0).title; got != want {
				t.Errorf("%q, expected %q", got, want)
			}
		}
	}
}

func TestCutSentence(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"Short.", "Short."},
		{"One sentence. Another sentence that is too long.", "One sentence. …"},
		{"没有影响。控制台无法管理这个集群，正在运行的应用不受影响。", "没有影响。 …"},
		{"a word without any end of a sentence", "a word without any …"},
	} {
		if got := cutSentence(c.text, 20); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}
