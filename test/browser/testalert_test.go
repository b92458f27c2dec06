//go:build e2e

package browser

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// whole imitates Prometheus, Alertmanager and relay, which has delivered the message.
var whole = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	switch {
	case strings.HasPrefix(r.URL.Path, "/test-alert/"):
		fmt.Fprint(w, `[{"receiver":"ops","type":"dingtalk","outcome":"delivered"}]`)
	case r.URL.Path == "/api/v1/rules":
		fmt.Fprint(w, `{"data":{"groups":[{"rules":[{"name":"RainbondWatchdog","state":"firing","health":"ok"}]}]}}`)
	case r.URL.Path == "/api/v1/alertmanagers":
		fmt.Fprint(w, `{"data":{"activeAlertmanagers":[{"url":"http://am"}]}}`)
	case r.Method == http.MethodGet && r.URL.Path == "/api/v2/alerts":
		fmt.Fprint(w, `[{"receivers":[{"name":"page"}],"status":{}}]`)
	default:
		fmt.Fprint(w, "{}")
	}
})

// TestTheTestMessage clicks the button in both languages, with and without JavaScript, and with and without a chain behind it.
func TestTheTestMessage(t *testing.T) {
	t.Parallel()
	axe, err := os.ReadFile(filepath.Join("node_modules", "axe-core", "axe.min.js"))
	if err != nil {
		t.Fatalf("%v; get it with npm ci (make e2e-browser does)", err)
	}
	server := httptest.NewServer(whole)
	t.Cleanup(server.Close)
	for _, c := range []struct {
		name string
		args []string
		end  map[string]string
	}{
		{"none", nil, map[string]string{"en": "The message stopped here.", "zh": "消息停在这一步。"}},
		{"whole", []string{"--alerting.prometheus-url=" + server.URL, "--alerting.alertmanager-url=" + server.URL, "--alerting.relay-url=" + server.URL},
			map[string]string{"en": "The message has arrived.", "zh": "消息已送达。"}},
	} {
		home := run(t, append([]string{"demo"}, c.args...)...)
		for _, lang := range langs {
			for _, script := range []bool{true, false} {
				name := fmt.Sprintf("%s in %s, script %t", c.name, lang, script)
				b := newTab(t, desktop)
				b.loads(chromedp.Navigate(home + "/?lang=" + lang))
				if !script {
					call(b, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
				}
				b.loads(chromedp.Click(chromedp.CSS("#test-alert button")))
				call(b, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{})
				for began := time.Now(); !strings.HasPrefix(b.text("#test-alert [role=status]"), c.end[lang]); {
					if time.Since(began) > 30*time.Second {
						t.Fatalf("%s: the page has %q", name, b.text("#test-alert"))
					}
					b.loads(chromedp.Reload())
				}
				if got := ask[string](b, "location.pathname + location.search + location.hash"); got != "/?lang="+lang+"#test-alert" {
					t.Errorf("%s: the page is now %s", name, got)
				}
				b.quiet(name)
				if !script { // axe objects to the refresh of pages without it
					continue
				}
				b.run(string(axe))
				for _, screen := range sizes {
					b.resize(screen)
					for _, violation := range ask[[]string](b, accessible) {
						t.Errorf("%s, %s: %s", name, screen.name, violation)
					}
					b.layout(name, screen)
					b.keep("test-alert-" + c.name + "." + lang + "." + screen.name)
				}
			}
		}
		progress("test message: %s", c.name)
	}
}
