//go:build e2e

package browser

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/chromedp"
)

// accessible is what axe-core has against a page, for people; an empty list
// when it has nothing. It asks for WCAG 2.2, levels A and AA, and for what is
// good practice beyond them.
const accessible = `axe.run(document, {runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]})
	.then((found) => found.violations.flatMap((v) => v.nodes.map((n) => v.id + ": " + n.target.join(" ") + ": " + n.failureSummary)))`

// TestThePagesAreAccessible asks axe-core about every kind of page, light and
// dark, on a desktop and on a phone.
func TestThePagesAreAccessible(t *testing.T) {
	t.Parallel()
	axe, err := os.ReadFile(filepath.Join("node_modules", "axe-core", "axe.min.js"))
	if err != nil {
		t.Fatalf("%v; get it with npm ci (make e2e-browser does)", err)
	}
	home := run(t, "demo")
	for _, target := range []struct{ scenario, path string }{
		{"healthy", "/?lang=en"},
		{visible, "/?lang=zh"},
		{"healthy", "/?lang=zh"}, // just mended
		{"two-regions", "/?lang=en"},
		{"two-regions", "/?lang=zh&region=nowhere"},
		{"disk-82", "/?lang=en"},
		{"watch-forbidden", "/?lang=en"},
		{"healthy", "/guide?lang=en"},
		{"healthy", "/guide?lang=zh"},
	} {
		breaks(t, home, target.scenario)
		b := newTab(t, desktop)
		for _, scheme := range []string{"light", "dark"} {
			b.theme(scheme)
			b.loads(chromedp.Navigate(home + target.path))
			b.run(string(axe))
			for _, screen := range sizes {
				b.resize(screen)
				name := target.scenario + " " + target.path
				for _, violation := range ask[[]string](b, accessible) {
					t.Errorf("%s, %s, %s: %s", name, scheme, screen.name, violation)
				}
				b.layout(name, screen)
			}
		}
		progress("accessible: %s %s", target.scenario, target.path)
	}
}
