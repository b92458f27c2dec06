//go:build e2e

package browser

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// The scenario in which most is reported.
const visible = "cert-rotated-broken"

func TestAReaderOfTheDemo(t *testing.T) {
	home := run(t, "demo", "--scenario="+visible)
	t.Run("copies a command", func(t *testing.T) { copies(t, home) })
	t.Run("switches between light and dark", func(t *testing.T) { switches(t, home) })
	t.Run("gets one small answer", func(t *testing.T) { weighs(t, home) })
	t.Run("walks by keyboard", func(t *testing.T) { walks(t, home) })
	t.Run("needs no script", func(t *testing.T) { reads(t, home) })
	t.Run("sees the repair without a jump", func(t *testing.T) { stays(t, home) })
	t.Run("is reported when the exporter is gone", func(t *testing.T) { old(t) })
}

// copies reads the clipboard back, both where the page may write it and where
// only a selection may, as over plain HTTP.
func copies(t *testing.T, home string) {
	b := newTab(t, desktop)
	for _, name := range []string{"clipboard-read", "clipboard-write"} {
		call(b, browser.SetPermission, browser.SetPermissionParams{Permission: &browser.PermissionDescriptor{Name: name}, Setting: browser.PermissionSettingGranted, Origin: home})
	}
	b.loads(chromedp.Navigate(home + "/?lang=zh"))
	commands := ask[[]string](b, `[...document.querySelectorAll(".commands code")].map((code) => code.textContent)`)
	if len(commands) < 2 || !strings.HasPrefix(commands[0], "kubectl ") {
		t.Fatalf("commands %q", commands)
	}
	for i, lends := range []string{"", `Object.defineProperty(navigator, "clipboard", {value: undefined, configurable: true})`} {
		if lends != "" {
			b.run(lends)
		}
		b.do(chromedp.Click(fmt.Sprintf(".commands li:nth-child(%d) .copy", i+1)))
		b.wait(5*time.Second, "it shows so", `document.querySelector("#notice").textContent === "已复制"`)
		b.run("delete navigator.clipboard")
		if got := ask[string](b, "navigator.clipboard.readText()"); got != commands[i] {
			t.Errorf("copied %q, want %q", got, commands[i])
		}
		b.wait(5*time.Second, "the button is as before", `document.querySelector("#notice").textContent === "" && document.querySelectorAll(".copy")[`+fmt.Sprint(i)+`].textContent === "复制"`)
	}
	b.quiet("copying")
}

func switches(t *testing.T, home string) {
	b := newTab(t, phone)
	b.theme("light")
	b.loads(chromedp.Navigate(home + "/?lang=en"))
	const ground = "getComputedStyle(document.body).backgroundColor"
	light := ask[string](b, ground)
	b.theme("dark")
	dark := ask[string](b, ground)
	if light == dark {
		t.Errorf("light and dark are both %s", light)
	}
	for _, want := range []struct{ label, ground string }{{"Theme: light", light}, {"Theme: dark", dark}, {"Theme: auto", dark}, {"Theme: light", light}} {
		b.do(chromedp.Click(chromedp.CSS(".theme")))
		if label, got := ask[string](b, `document.querySelector(".theme").textContent`), ask[string](b, ground); label != want.label || got != want.ground {
			t.Errorf("got %s on %s, want %s on %s", label, got, want.label, want.ground)
		}
	}
	b.loads(chromedp.Click(chromedp.CSS(`header a[href^="guide"]`))) // the choice is kept
	if got := ask[string](b, ground); got != light {
		t.Errorf("the guide is on %s, want %s", got, light)
	}
	b.run("localStorage.clear()")
	b.quiet("the theme")
}

// maxBytes is what a page may weigh.
const maxBytes = 60_000

func weighs(t *testing.T, home string) {
	for _, lang := range langs {
		b := newTab(t, desktop)
		b.loads(chromedp.Navigate(home + "/?lang=" + lang))
		b.wait(10*time.Second, "the page is read", `document.readyState === "complete"`)
		b.mu.Lock()
		if len(b.requests) != 1 || b.bytes > maxBytes {
			t.Errorf("%d bytes in %q, want one request of less than %d", int(b.bytes), b.requests, maxBytes)
		}
		progress("the page in %s with the tour weighs %d bytes", lang, int(b.bytes))
		b.mu.Unlock()
	}
}

// walks goes through the page with the tabulator, and uses what it finds.
func walks(t *testing.T, home string) {
	b := newTab(t, desktop)
	b.loads(chromedp.Navigate(home + "/?lang=en&refresh=off"))
	const at = `(() => { const e = document.activeElement, s = getComputedStyle(e), r = e.getBoundingClientRect();
		return [e.getAttribute("aria-label") || e.textContent.trim().slice(0, 40), s.outlineStyle !== "none" && parseFloat(s.outlineWidth) >= 2 ? "seen" : "unseen",
			r.top < innerHeight && r.bottom > 0 && r.left >= 0 ? "here" : "away"]; })()`
	var way []string
	for range 200 {
		b.do(chromedp.KeyEvent(kb.Tab))
		here := ask[[]string](b, at)
		if ask[bool](b, "document.activeElement === document.body") {
			break
		}
		way = append(way, here[0])
		if here[1] != "seen" || here[2] != "here" {
			t.Errorf("%d: %q holds the keyboard and is %s, %s", len(way), here[0], here[1], here[2])
		}
	}
	place := 0
	for _, want := range []string{"Skip to the findings", "Theme: auto", "Troubleshooting guide", "中文", "Repair", "Copy command 1", "How to fix it: guide", "This page as JSON", "Region API"} {
		i := slices.Index(way[place:], want)
		if i < 0 {
			t.Fatalf("%q is not on the way after %q:\n%s", want, way[:place], strings.Join(way, "\n"))
		}
		place += i
	}
	b.loads(chromedp.Navigate(home + "/?lang=en"))
	b.do(chromedp.KeyEvent(kb.Tab), chromedp.KeyEvent(kb.Enter))
	if got := ask[string](b, "document.activeElement.id"); got != "findings" {
		t.Errorf("the skip link leads to %q", got)
	}
	b.do(chromedp.Focus(chromedp.CSS(".copy")), chromedp.KeyEvent(" "))
	b.wait(5*time.Second, "space copies", `document.querySelector("#notice").textContent !== ""`)
	b.quiet("the keyboard")
}

// reads has no script: everything is there, but the buttons that need one.
func reads(t *testing.T, home string) {
	b := newTab(t, phone)
	call(b, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
	b.loads(chromedp.Navigate(home + "/?lang=en"))
	text := b.text("body")
	for _, want := range []string{"1 fault", "the console holds certificates from another rotation", "kubectl -n rbd-system", "Repair"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	for _, needless := range []string{"Copy", "Theme: auto"} { // labels of buttons
		if strings.Contains("\n"+text+"\n", "\n"+needless+"\n") {
			t.Errorf("%q needs a script", needless)
		}
	}
	b.loads(chromedp.Click(chromedp.CSS("#lead .repair")))
	if text := b.text("h1"); text != "Everything that was checked is healthy" {
		t.Errorf("after the repair: %q", text)
	}
	breaks(t, home, visible)
}

// stays holds the keyboard on a button and marks the page, while somebody
// else repairs the region.
func stays(t *testing.T, home string) {
	b := newTab(t, desktop)
	b.loads(chromedp.Navigate(home + "/?lang=en"))
	b.run(`window.mark = 1; document.querySelector('[href^="?"][href*="refresh=off"]').focus(); scrollTo(0, 100)`)
	breaks(t, home, "healthy")
	b.wait(40*time.Second, "the page becomes healthy by itself", `document.body.className === "healthy"`)
	if got := ask[[]string](b, `[String(window.mark), document.activeElement.textContent, String(scrollY > 0), document.title.split(" · ")[0]]`); !slices.Equal(got, []string{"1", "Pause", "true", "Everything that was checked is healthy"}) {
		t.Errorf("mark, focus, whether still scrolled, and title are %q", got)
	}
	b.quiet("checking again")
	breaks(t, home, visible)
}

// old loses its exporter.
func old(t *testing.T) {
	b := newTab(t, phone)
	t.Run("while it runs", func(t *testing.T) {
		b.loads(chromedp.Navigate(run(t, "demo") + "/?lang=zh"))
	})
	b.wait(40*time.Second, "the page shows that it is old", `document.querySelector("#stale").checkVisibility()`)
	b.layout("an old page", phone)
	b.keep("stale.zh.phone")
}

// TestARegionIsOnlyAName gives a region the name of a script.
func TestARegionIsOnlyAName(t *testing.T) {
	const evil = `<script>document.title="pwned"</script><img src=x onerror=alert(1)>`
	folder := t.TempDir()
	config, text := filepath.Join(folder, "config.yaml"), "regions:\n"
	for _, name := range []string{evil, "second"} {
		text += fmt.Sprintf("  - {name: %s, url: \"https://127.0.0.1:1\", ca_file: pem, cert_file: pem, key_file: pem}\n", quoted(name))
	}
	for path, text := range map[string]string{config: text, filepath.Join(folder, "pem"): "no certificate\n"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	home := run(t, "serve", "--role=console", "--config.file="+config)
	for _, screen := range sizes {
		b := newTab(t, screen)
		b.loads(chromedp.Navigate(home + "/?lang=en"))
		b.loads(chromedp.Click(chromedp.CSS("#regions a:nth-of-type(2)")))
		if got := ask[[]string](b, `[new URL(location).searchParams.get("region"), document.querySelector("#regions [aria-current] span").textContent]`); !slices.Equal(got, []string{evil, evil}) {
			t.Errorf("the switch leads to %q", got)
		}
		b.layout("the name of a script", screen)
		b.keep("script-name.en." + screen.name)
		b.loads(chromedp.Click(chromedp.CSS(".language")))
		if got := ask[[]string](b, `[document.documentElement.lang, new URL(location).searchParams.get("region"), String(document.scripts.length), String(document.images.length), String(document.title.includes("pwned"))]`); !slices.Equal(got, []string{"zh-CN", evil, "1", "0", "false"}) {
			t.Errorf("language, region, scripts, images and whether it ran: %q", got)
		}
		b.quiet("the name of a script")
	}
}
