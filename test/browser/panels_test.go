//go:build e2e && panels

package browser

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// drawn is where test/e2e has put what to draw, and test/panels what draws it,
// and where the pictures are kept.
var drawn = filepath.Join("..", "..", "dist", "panels")

// What is drawn has settled when two snapshots, so far apart, show the same and
// nothing is wrong; what is wrong for as long as settles stays so.
const (
	apart   = 300 * time.Millisecond
	settles = 10 * time.Second
)

// A request is a dashboard with Prometheus' answers to its panels.
type request struct {
	Name      string // of the picture
	Dashboard struct{ Panels []panel }
	Answers   map[string][]struct{ Metric map[string]string } // by panel and query: "5 A"
	Width     int64
	Height    int64
	Whole     bool // the picture is as long as the dashboard
}

type panel struct {
	ID              int
	Title, Type     string
	Targets         []struct{ RefID string }
	FieldConfig     struct{ Defaults struct{ NoValue string } }
	Transformations []struct {
		ID      string
		Options struct{ RenameByName map[string]string }
	}
}

// A sight is what a person would see of a panel.
type sight struct {
	ID                   int
	None                 bool // nothing but that there is nothing
	Text                 string
	Colours, Rows, Cells int
}

// TestEveryPanelIsDrawn draws every panel of every dashboard with Grafana's own
// components, and checks each. With -pictures it takes those of the
// documentation again.
func TestEveryPanelIsDrawn(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(drawn, "requests.json"))
	if err != nil {
		t.Fatalf("%v; make panels makes it", err)
	}
	var all []json.RawMessage
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	gallery := httptest.NewServer(http.FileServer(http.Dir(drawn)))
	defer gallery.Close()
	for _, raw := range all {
		var r request
		if err := json.Unmarshal(raw, &r); err != nil {
			t.Fatal(err)
		}
		t.Run(r.Name, func(t *testing.T) {
			b := newTab(t, size{r.Name, r.Width, r.Height, false})
			b.loads(chromedp.Navigate(gallery.URL))
			b.run(fmt.Sprintf("draw(%s)", raw))
			panels := slices.DeleteFunc(r.Dashboard.Panels, func(p panel) bool { return p.Type == "row" })
			b.wait(answerTimeout, "every panel has its place", fmt.Sprintf("document.querySelectorAll('[data-panel]').length == %d", len(panels)))
			if r.Whole { // what is outside the window is not drawn
				b.resize(size{r.Name, r.Width, ask[int64](b, "document.documentElement.scrollHeight"), false})
			}
			for _, complaint := range r.settled(b, panels) {
				t.Error(complaint)
			}
			b.pardon()
			b.quiet(r.Name)
			picture, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(drawn, r.Name+".png"), picture, 0o644); err != nil {
				t.Fatal(err)
			}
			if *pictures && !r.Whole {
				b.picture(r.Name, chromedp.CaptureScreenshot())
			}
			progress("%s: %d panels drawn", r.Name, len(panels))
		})
	}
}

// settled waits until what is drawn does not change any more, and returns what is
// wrong with it.
func (r request) settled(b *tab, panels []panel) (all []string) {
	var before []sight
	for began := time.Now(); time.Since(began) < settles; <-time.After(apart) {
		seen := ask[[]sight](b, "seen()")
		all = nil
		for _, p := range panels {
			i := slices.IndexFunc(seen, func(s sight) bool { return s.ID == p.ID })
			if i < 0 {
				all = append(all, fmt.Sprintf("%d %q is not to be seen", p.ID, p.Title))
				continue
			}
			for _, complaint := range r.evaluate(p, seen[i]) {
				all = append(all, fmt.Sprintf("%d %q: %s", p.ID, p.Title, complaint))
			}
		}
		if len(all) == 0 && slices.Equal(seen, before) {
			return nil
		}
		before = seen
	}
	if len(all) == 0 {
		all = []string{"it keeps changing"}
	}
	return all
}

// pardon forgets what Grafana's components log about their own future, what its
// server also has (icons and fonts), and that we read a canvas twice.
func (b *tab) pardon() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.complaints = slices.DeleteFunc(b.complaints, func(c string) bool {
		return strings.HasPrefix(c, "console.") && c != "console.error" || strings.Contains(c, "/public/") || strings.HasPrefix(c, "Canvas2D: Multiple readback")
	})
}

// broken is what no person should read.
var broken = regexp.MustCompile(`undefined|\bNaN\b|\[object|\$\{`)

// evaluate returns what a person would call broken.
func (r request) evaluate(p panel, s sight) (all []string) {
	wrong := func(format string, args ...any) { all = append(all, fmt.Sprintf(format, args...)) }
	body := strings.TrimSpace(strings.Replace(s.Text, p.Title, "", 1))
	if broken.MatchString(s.Text) {
		wrong("it shows %q", s.Text)
	}
	if s.None {
		if p.FieldConfig.Defaults.NoValue == "" {
			wrong("there is nothing to see")
		}
		return all
	}
	if !strings.Contains(s.Text, p.Title) {
		wrong("its title is not to be seen")
	}
	switch p.Type {
	case "stat":
		if !strings.ContainsAny(body, "0123456789∞") {
			wrong("it shows no number but %q", body)
		}
	case "timeseries":
		if s.Colours < 5 || body == "" {
			wrong("a canvas with %d colours and the legend %q", s.Colours, body)
		}
	case "table":
		if s.Cells == 0 {
			wrong("%d rows and no cell: %q", s.Rows, body)
		}
		for field, title := range p.columns() {
			if r.has(p, field) && !strings.Contains(s.Text, title) {
				wrong("there is no column %q: %.300q", title, body)
			}
		}
	}
	return all
}

// columns are the titles of a table's columns, by field.
func (p panel) columns() map[string]string {
	for _, t := range p.Transformations {
		if t.ID == "organize" {
			return t.Options.RenameByName
		}
	}
	return nil
}

// has reports whether the answers have a field: a label of no series has
// no column, and neither has the value of a query without an answer.
func (r request) has(p panel, field string) bool {
	for _, q := range p.Targets {
		answers := r.Answers[fmt.Sprintf("%d %s", p.ID, q.RefID)]
		if len(answers) > 0 && (field == "Value" || field == "Value #"+q.RefID) {
			return true
		}
		for _, series := range answers {
			if series.Metric[field] != "" {
				return true
			}
		}
	}
	return false
}
