// Package web shows a diagnosis in a browser.
package web

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/text/language"

	"github.com/rainbond-exporter/rainbond-exporter/alerting"
	"github.com/rainbond-exporter/rainbond-exporter/collector"
	"github.com/rainbond-exporter/rainbond-exporter/doctor"
	"github.com/rainbond-exporter/rainbond-exporter/report"
	diagnosisjson "github.com/rainbond-exporter/rainbond-exporter/report/json"
)

// A Site serves the status page at /, the same as JSON at /api/v1/diagnosis, and
// the guide at /guide. With ExternalURL and FrameAncestor, it also serves the
// console's plugin at /console-plugin.js. Its pages need no script and send no
// requests to other sites.
type Site struct {
	// Collect returns a snapshot. It is asked for each page, with collectTimeout.
	Collect func(context.Context) (collector.Snapshot, error)
	Doctor  *doctor.Doctor
	// Guide is the guide by language, in HTML that is not escaped: the list of
	// contents, the line <!-- text --> and the text.
	Guide map[string][]byte
	// Links are the URLs of pages elsewhere. Without Links.Guide, the status
	// page links to the guide of this site.
	Links report.Links
	// Panels returns more parts of the status page; it may be nil. It is for the
	// demo's tour. Its styles are in Style.
	Panels func(lang string, snapshot collector.Snapshot, d doctor.Diagnosis) Panels
	Style  string
	// Alerting reads whether alerts reach people; nil if that is not configured.
	Alerting func(context.Context) alerting.Status
	// FrameAncestor is the origin of the only site that may embed the pages, "" for none.
	FrameAncestor string
	// ExternalURL is the URL of this site for browsers, without a slash at the end;
	// "" if it is unknown.
	ExternalURL string

	mu      sync.Mutex // guards the rest
	history doctor.History
	first   time.Time // time of the first evaluated snapshot
	last    time.Time // and the last
}

// Panels holds more parts of the status page.
type Panels struct {
	Lead   template.HTML // above the findings
	Aside  template.HTML // next to them
	Follow template.HTML // below them
}

// collectTimeout limits a collection for a page.
const collectTimeout = 10 * time.Second

// refreshSeconds is the interval at which the page refreshes itself.
const refreshSeconds = 15

// observeEvery is the minimum interval between evaluations of snapshots that
// were collected for a scrape. An evaluation takes some milliseconds.
const observeEvery = time.Minute

//go:embed page.html
var webFiles embed.FS

//go:embed style.css
var style string

// dark is a style sheet of its own, so that a reader may switch it.
//
//go:embed dark.css
var dark string

// The pages are complete without the script. It copies commands, switches
// between light and dark, and refreshes the page in place.
//
//go:embed page.js
var script string

// consolePlugin is the console's plugin, with STATUS_PAGE in place of the URL of
// the status page.
//
//go:embed console-plugin.js
var consolePlugin string

// Handler answers GET and HEAD.
func (s *Site) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", s.status)
	mux.HandleFunc("GET /api/v1/diagnosis", s.diagnosis)
	mux.Handle("GET /guide", guideHandler(s.Guide))
	if s.ExternalURL != "" && s.FrameAncestor != "" {
		address, _ := json.Marshal(s.ExternalURL) // a string cannot fail; it escapes <, > and &
		plugin := strings.Replace(consolePlugin, "STATUS_PAGE", string(address), 1)
		mux.HandleFunc("GET /console-plugin.js", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/javascript; charset=utf-8")
			_, _ = io.WriteString(w, plugin)
		})
	}
	return secure(mux, s.Style, s.FrameAncestor)
}

// secure forbids a page whatever it does not need: its style sheets and its
// script are allowed by their hashes, an icon by being part of the page, and
// requests (the script's, and the demo's form) may go to this server only.
func secure(next http.Handler, more, ancestor string) http.Handler {
	hash := func(text string) string {
		sum := sha256.Sum256([]byte(text))
		return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
	}
	styles := hash(style) + " " + hash(dark)
	if more != "" {
		styles += " " + hash(more)
	}
	policy := "default-src 'none'; style-src " + styles + "; script-src " + hash(script) +
		"; connect-src 'self'; img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors " + cmp.Or(ancestor, "'none'")
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		// Not "no-referrer", with which a form would be sent with Origin: null.
		h.Set("Referrer-Policy", "same-origin")
		next.ServeHTTP(w, r)
	})
}

// diagnose collects and evaluates.
func (s *Site) diagnose(ctx context.Context) (collector.Snapshot, doctor.Diagnosis, error) {
	ctx, cancel := context.WithTimeout(ctx, collectTimeout)
	defer cancel()
	snapshot, err := s.Collect(ctx)
	if err != nil {
		return snapshot, doctor.Diagnosis{}, fmt.Errorf("collect: %w", err)
	}
	d, err := s.evaluate(ctx, snapshot)
	return snapshot, d, err
}

// evaluate evaluates a snapshot and records the findings in the history.
func (s *Site) evaluate(ctx context.Context, snapshot collector.Snapshot) (doctor.Diagnosis, error) {
	d, err := s.Doctor.Diagnose(ctx, snapshot)
	if err != nil {
		return d, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if d.At.Before(s.last) {
		return d, nil // overtaken: what it would change has been noted since
	}
	if s.first.IsZero() {
		s.first = d.At
	}
	s.last = d.At
	s.history.Note(&d)
	return d, nil
}

// Observe evaluates a snapshot that was collected for someone else, such as a
// scrape, so that the page can show since when a finding exists. It evaluates at
// most one per observeEvery, in the background, until ctx ends: a thousand
// findings take seconds.
func (s *Site) Observe(ctx context.Context, snapshot collector.Snapshot) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if snapshot.At.Sub(s.last) >= observeEvery {
		s.last = snapshot.At                             // so that no other snapshot is evaluated meanwhile
		go func() { _, _ = s.evaluate(ctx, snapshot) }() // the page reports an error
	}
}

// began returns the time of the first evaluated snapshot.
func (s *Site) began() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.first
}

// chosen is the region of ?region=, and the part of the diagnosis that is
// about it; all of it when none is named.
func chosen(r *http.Request, d doctor.Diagnosis) (name string, part doctor.Diagnosis, err error) {
	name = r.URL.Query().Get("region")
	if name == "" {
		return "", d, nil
	}
	if !slices.Contains(d.Regions, name) {
		return name, doctor.Diagnosis{}, fmt.Errorf("no region %q", name)
	}
	return name, d.InRegion(name), nil
}

func (s *Site) diagnosis(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	refuse := func(code int, err error) {
		w.WriteHeader(code)
		_ = json.NewEncoder(w).Encode(map[string]string{"error": err.Error()}) // the reader is gone
	}
	_, d, err := s.diagnose(r.Context())
	if err != nil {
		refuse(http.StatusServiceUnavailable, err)
		return
	}
	if _, d, err = chosen(r, d); err != nil {
		refuse(http.StatusNotFound, err)
		return
	}
	_ = diagnosisjson.Write(w, d, s.Links) // the reader is gone
}

func (s *Site) status(w http.ResponseWriter, r *http.Request) {
	lang := languageOf(r)
	code := http.StatusOK
	snapshot, all, err := s.diagnose(r.Context())
	if err != nil {
		code = http.StatusServiceUnavailable
	}
	name, d, unknown := chosen(r, all)
	if err == nil && unknown != nil {
		code, err, d = http.StatusNotFound, unknown, doctor.Diagnosis{At: all.At}
	}
	p := newPage(d, lang)
	p.choose(all, name)
	if err != nil {
		p.Err, p.Cards = report.Shown(err.Error()), nil
		p.Headline = report.Capital(report.Phrase(lang, "nothing_checked"))
	}
	if r.URL.Query().Get("refresh") != "off" {
		p.Refresh = refreshSeconds
	}
	p.links, p.began = s.Links, s.began()
	if s.Alerting != nil {
		p.Alerting = newAlertingCard(s.Alerting(r.Context()), lang)
	}
	if s.Panels != nil && err == nil {
		p.Panels, p.Style = s.Panels(lang, snapshot, d), template.CSS(s.Style)
	}
	render(w, code, "page", lang, p)
}

// languages are what the pages speak; the first is for those who prefer
// neither.
var languages = language.NewMatcher([]language.Tag{language.English, language.Chinese})

// languageOf is the language of ?lang=, or else the browser's.
func languageOf(r *http.Request) string {
	switch lang := r.URL.Query().Get("lang"); lang {
	case doctor.LangEN, doctor.LangZH:
		return lang
	}
	if _, i := language.MatchStrings(languages, r.Header.Get("Accept-Language")); i == 1 {
		return doctor.LangZH
	}
	return doctor.LangEN
}

// templates are the pages, by language; a check on the terminal needs none.
var templates = sync.OnceValue(func() map[string]*template.Template {
	return map[string]*template.Template{doctor.LangEN: parsePages(doctor.LangEN), doctor.LangZH: parsePages(doctor.LangZH)}
})

func parsePages(lang string) *template.Template {
	functions := template.FuncMap{
		"phrase":       func(key string, args ...any) string { return report.Phrase(lang, key, args...) },
		"Phrase":       func(key string) string { return report.Capital(report.Phrase(lang, key)) },
		"add":          func(a, b int) int { return a + b },
		"dark":         func() template.CSS { return template.CSS(dark) },
		"script":       func() template.JS { return template.JS(script) },
		"in":           func(w doctor.Words) string { return w.In(lang) },
		"commands":     func(c doctor.Commands) []string { return c.In(lang) },
		"about":        func(f doctor.Finding) string { return report.About(f, lang) },
		"more":         report.MoreEvidence,
		"shownFinding": page.show,
		"evidence":     func(e collector.Evidence) string { return e.In(lang) },
		"duration":     report.Duration,
		"few":          report.FewOf,
		"shown":        report.Shown,
		"severity":     severityClass,
	}
	return template.Must(template.New("").Funcs(functions).ParseFS(webFiles, "*.html"))
}

// severityClass is the style of a severity, which the rules may choose.
func severityClass(severity string) string {
	if doctor.SeverityRank(severity) > 1 {
		return "other"
	}
	return severity
}

func render(w http.ResponseWriter, code int, name, lang string, data any) {
	var b bytes.Buffer
	if err := templates()[lang].ExecuteTemplate(&b, name, data); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Language", report.Phrase(lang, "html_lang"))
	h.Set("Cache-Control", "no-store")
	h.Set("Vary", "Accept-Language")
	w.WriteHeader(code)
	_, _ = b.WriteTo(w) // the reader is gone
}
