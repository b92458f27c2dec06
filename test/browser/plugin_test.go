//go:build e2e

package browser

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// consolePage imitates what rainbond-ui 6.9 does with a platform plugin of type
// JSInject (src/utils/importPlugins.js, src/components/RBDPluginsCom): SystemJS
// loads the script, react is provided, and plugin.root is rendered with baseInfo.
const consolePage = `<!doctype html><html lang="en"><meta charset="utf-8"><title>console</title><link rel="icon" href="data:,"><div id="root"></div>
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
	permitted, refused := httptest.NewServer(mux), httptest.NewServer(mux)
	t.Cleanup(permitted.Close)
	t.Cleanup(refused.Close)
	exporter := run(t, "serve", "--role=node", "--web.external-url=http://status.example.com", "--web.frame-ancestor="+permitted.URL)
	mux.Handle("/lib/", http.StripPrefix("/lib/", http.FileServer(http.Dir("node_modules"))))
	mux.HandleFunc("/{lang}", func(w http.ResponseWriter, r *http.Request) { fmt.Fprintf(w, consolePage, r.PathValue("lang")) })
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
		name, console, lang, shown string
	}{
		{"en", permitted.URL, "en", exporter + "/?lang=en"},
		{"zh", permitted.URL, "zh", exporter + "/?lang=zh"},
		{"another origin", refused.URL, "en", "chrome-error://chromewebdata/"},
	} {
		t.Run(row.name, func(t *testing.T) {
			b := newTab(t, desktop)
			b.loads(chromedp.Navigate(row.console + "/" + row.lang))
			got := ""
			for began := time.Now(); got != row.shown && time.Since(began) < frameTimeout; <-time.After(frameInterval) {
				got = b.frame()
			}
			if got != row.shown {
				t.Errorf("the frame shows %q, expected %q", got, row.shown)
			}
		})
	}
}

// How long a frame may take to load, and how often it is read.
const (
	frameTimeout  = 30 * time.Second
	frameInterval = 100 * time.Millisecond
)

// frame returns the URL of the only frame of the page; "" while there is none.
func (b *tab) frame() string {
	b.Helper()
	tree := call(b, page.GetFrameTree, cdp.Empty{}).FrameTree
	if len(tree.ChildFrames) == 0 {
		return ""
	}
	return tree.ChildFrames[0].Frame.URL
}
