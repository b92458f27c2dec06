//go:build e2e

package browser

import (
	"context"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/rainbond-exporter/rainbond-exporter/collector"
	"github.com/rainbond-exporter/rainbond-exporter/demo"
)

// regions is how many demos are checked at the same time.
const regions = 2

// TestEveryScenarioCanBeRead breaks the region by a click, in both languages,
// and checks what a reader sees on a desktop and on a phone; then it
// repairs it by a click.
func TestEveryScenarioCanBeRead(t *testing.T) {
	t.Parallel()
	var next, done atomic.Int64
	t.Run("demo", func(t *testing.T) {
		for range regions {
			t.Run("region", func(t *testing.T) {
				t.Parallel()
				home := run(t, "demo")
				b := newTab(t, desktop)
				b.loads(chromedp.Navigate(home + "/?lang=en")) // and from here on by clicks alone
				for i := next.Add(1) - 1; i < int64(len(demo.Scenarios)); i = next.Add(1) - 1 {
					s := demo.Scenarios[i]
					b.visit(s)
					progress("%2d/%d %s", done.Add(1), len(demo.Scenarios), s.Name)
				}
			})
		}
	})
}

// click presses a button, though it may be folded away.
func click(selector string) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := chromedp.Evaluate[bool]("document.querySelector("+quoted(selector)+").click(); true")(ctx, t)
		return err
	})
}

// visit breaks the region by the scenario's button.
func (b *tab) visit(s demo.Scenario) {
	b.Helper()
	b.resize(desktop)
	b.loads(click(`#panel button[value="` + s.Name + `"]`))
	lang := ask[string](b, `new URL(location).searchParams.get("lang")`)
	for i, lang := range []string{lang, other[lang]} {
		if i > 0 {
			b.loads(chromedp.Click(chromedp.CSS(".language")))
		}
		if got := ask[string](b, "document.documentElement.lang"); got != htmlLang[lang] {
			b.Errorf("%s: the page is in %s, want %s", s.Name, got, htmlLang[lang])
		}
		for _, screen := range sizes {
			b.resize(screen)
			name := s.Name + "." + lang + "." + screen.name
			b.layout(s.Name+" in "+lang, screen)
			b.keep(name)
		}
		b.resize(desktop)
		b.reported(s, lang)
	}
	b.quiet(s.Name)
	if s.Name == demo.Healthy {
		return
	}
	b.loads(chromedp.Click(chromedp.CSS("#lead .repair")))
	if got := ask[string](b, "document.body.className"); got != "healthy" && !slices.Contains(b.alerts(), slow) {
		b.Errorf("%s: after the repair, the page is %q and reports %q", s.Name, got, b.alerts())
	}
	if mended := ask[bool](b, `!!document.querySelector("#phone .phone")`); mended != (len(s.Alerts) > 0) {
		b.Errorf("%s: after the repair, the phone reports it: %t", s.Name, mended)
	}
}

// slow is reported, correctly, where so much else runs that a collection takes a
// second.
const slow = "RainbondRegionAPISlow"

// alerts are the names of the alerts that the cards show.
func (b *tab) alerts() []string {
	b.Helper()
	return ask[[]string](b, `[...document.querySelectorAll(".card article > .about code")].map((code) => code.textContent)`)
}

// reported holds the page against the scenario: the cards, the alerts that would
// fire, and what the phone shows.
func (b *tab) reported(s demo.Scenario, lang string) {
	b.Helper()
	cards := ask[[]string](b, `[...document.querySelectorAll(".card")].map((card) => card.id)`)
	if want := collector.Slugs; !slices.Equal(cards[:min(len(cards), len(want))], want) {
		b.Errorf("%s: the cards are %q, want %q", s.Name, cards, want)
	}
	reported := ask[[]string](b, `[...document.querySelectorAll("#alert dl dd:first-of-type code")].map((code) => code.textContent)`)
	slices.Sort(reported)
	want := slices.Sorted(slices.Values(s.Alerts))
	if busy := slices.Contains(reported, slow) && !slices.Contains(want, slow); busy {
		progress("%s: this machine is so busy that the API is slow", s.Name)
		return
	}
	if got := slices.Compact(reported); !slices.Equal(got, want) {
		b.Errorf("%s: the tour reports %q, want %q", s.Name, got, want)
	}
	phone := ask[string](b, `document.querySelector("#phone .phone p")?.textContent ?? ""`)
	marks := map[string][]string{"en": {"[PAGE]", "[WARN]"}, "zh": {"【紧急】", "【警告】"}}[lang]
	begins := slices.ContainsFunc(marks, func(mark string) bool { return strings.HasPrefix(phone, mark) })
	if begins != (len(s.Alerts) > 0) {
		b.Errorf("%s in %s: the phone shows %q", s.Name, lang, phone)
	}
}
