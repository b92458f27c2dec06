//go:build e2e

package browser

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// console imitates what rainbond-ui 6.9 does with a platform plugin of type
// JSInject (src/utils/importPlugins.js, src/components/RBDPluginsCom): SystemJS
// loads the script, react is provided, and plugin.root is rendered with baseInfo.
const console = `<!doctype html><html lang="en"><meta charset="utf-8"><title>console</title><link rel="icon" href="data:,"><div id="root"></div>
<script src="/lib/systemjs/dist/system.js"></script>
<script src="/lib/react/umd/react.production.min.js"></script>
<script src="/lib/react-dom/umd/react-dom.production.min.js"></script>
<script>
SystemJS.config({ baseURL: "/public", defaultExtension: "js", meta: { "/*": { esModule: true, authorization: false } } });
SystemJS.registerDynamic("react", [], true, function (require, exports, module) { module.exports = React; });
SystemJS.import("/console/regions/rainbond/static/plugins/rainbond-exporter").then(function (exported) {
  var plugin = exported.plugin;
  plugin.init({ name: "rainbond-exporter" });
  ReactDOM.render(React.createElement(plugin.root, { baseInfo: { currentLocale: %q } }), document.getElementById("root"));
});
</script></html>`

// TestTheConsoleShowsTheStatusPage loads the plugin with the libraries of the
// console, in a page of another origin. The exporter permits only that origin.
func TestTheConsoleShowsTheStatusPage(t *testing.T) {
	mux := http.NewServeMux()
	console1, console2 := httptest.NewServer(mux), httptest.NewServer(mux)
	t.Cleanup(console1.Close)
	t.Cleanup(console2.Close)
	exporter := run(t, "serve", "--role=node", "--web.external-url=http://status.example.com", "--web.frame-ancestor="+console1.URL)
	mux.Handle("/lib/", http.StripPrefix("/lib/", http.FileServer(http.Dir("node_modules"))))
	mux.HandleFunc("/{lang}", func(w http.ResponseWriter, r *http.Request) { fmt.Fprintf(w, console, r.PathValue("lang")) })
	mux.HandleFunc("/console/regions/rainbond/static/plugins/rainbond-exporter", func(w http.ResponseWriter, r *http.Request) {
		script, err := http.Get(exporter + "/console-plugin.js") //nolint:noctx // as rbd-api does
		if err != nil {
			t.Error(err)
			return
		}
		defer func() { _ = script.Body.Close() }()
		text, _ := io.ReadAll(script.Body)
		w.Header().Set("Content-Type", script.Header.Get("Content-Type"))
		_, _ = io.WriteString(w, strings.Replace(string(text), "http://status.example.com", exporter, 1)) // its port was unknown before
	})
	for _, row := range []struct {
		name, url string
		shown     bool
	}{
		{"en", console1.URL + "/en", true},
		{"zh", console1.URL + "/zh", true},
		{"another origin", console2.URL + "/en", false},
	} {
		t.Run(row.name, func(t *testing.T) {
			b := newTab(t, desktop)
			b.loads(chromedp.Navigate(row.url))
			b.wait(10*time.Second, "the frame", `document.querySelector("iframe") !== null`)
			lang := row.url[len(row.url)-2:]
			page := exporter + "/?lang=" + lang
			until := time.Now().Add(10 * time.Second)
			for !b.requested(page) && time.Now().Before(until) {
				b.wait(10*time.Second, "a moment", `new Promise(resolve => setTimeout(resolve, 100, true))`)
			}
			if !b.requested(page) {
				t.Errorf("the frame does not request %s", page)
			}
			b.wait(10*time.Second, "a moment", `new Promise(resolve => setTimeout(resolve, 500, true))`)
			b.mu.Lock()
			defer b.mu.Unlock()
			refused := slices.ContainsFunc(b.complaints, func(c string) bool { return strings.Contains(c, "frame-ancestors") })
			if refused == row.shown {
				t.Errorf("refused %v, expected %v: %q", refused, !row.shown, b.complaints)
			}
		})
	}
}

func (b *tab) requested(url string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Contains(b.requests, url)
}
