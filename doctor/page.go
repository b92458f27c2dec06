package doctor

import (
	"bytes"
	"context"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"golang.org/x/text/language"

	"github.com/rainbond-exporter/rainbond-exporter/collector"
)

// A Site tells people in a browser: the status page at /, the same as JSON at
// /api/v1/diagnosis, and the guide at /guide. Its pages need no script and
// ask nothing of anybody else.
type Site struct {
	// Look takes a look. It is asked for each page, with lookTimeout.
	Look   func(context.Context) (collector.Look, error)
	Doctor *Doctor
	// Guide is the guide in Markdown by language; headings bear their anchors
	// as {#anchor}.
	Guide map[string][]byte
	// Aside is shown beside the findings, when there is one: the demo's
	// scenarios.
	Aside func(lang string) template.HTML
}

// lookTimeout is how long a look for a page may take.
const lookTimeout = 10 * time.Second

// refreshSeconds is how often the page asks for a new look by itself.
const refreshSeconds = 15

//go:embed web/page.html
var webFiles embed.FS

//go:embed web/style.css
var style string

// Handler answers GET and HEAD.
func (s *Site) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", s.status)
	mux.HandleFunc("GET /api/v1/diagnosis", s.diagnosis)
	mux.Handle("GET /guide", guideHandler(s.Guide))
	return secure(mux)
}

// secure forbids a page whatever it does not need: the one style sheet is
// allowed by its hash, an icon by being part of the page, and a form (the
// demo's) may be sent to this server only.
func secure(next http.Handler) http.Handler {
	sum := sha256.Sum256([]byte(style))
	policy := fmt.Sprintf("default-src 'none'; style-src 'sha256-%s'; img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
		base64.StdEncoding.EncodeToString(sum[:]))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		// Not "no-referrer", with which a form would be sent with Origin: null.
		h.Set("Referrer-Policy", "same-origin")
		next.ServeHTTP(w, r)
	})
}

// look takes a look and judges it.
func (s *Site) look(ctx context.Context) (Diagnosis, error) {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	look, err := s.Look(ctx)
	if err != nil {
		return Diagnosis{}, fmt.Errorf("look: %w", err)
	}
	return s.Doctor.Diagnose(ctx, look)
}

func (s *Site) diagnosis(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	d, err := s.look(r.Context())
	if err != nil {
		w.WriteHeader(http.StatusServiceUnavailable)
		_ = json.NewEncoder(w).Encode(map[string]string{"error": err.Error()}) // the reader is gone
		return
	}
	_ = JSON(w, d) // the reader is gone
}

func (s *Site) status(w http.ResponseWriter, r *http.Request) {
	lang := languageOf(r)
	d, err := s.look(r.Context())
	p := newPage(d, lang)
	code := http.StatusOK
	if err != nil {
		p.Err, p.Cards, code = shown(err.Error()), nil, http.StatusServiceUnavailable
	}
	if r.URL.Query().Get("refresh") != "off" {
		p.Refresh = refreshSeconds
	}
	if s.Aside != nil {
		p.Aside = s.Aside(lang)
	}
	render(w, code, "page", lang, p)
}

// languages are what the pages speak; the first is for those who prefer
// neither.
var languages = language.NewMatcher([]language.Tag{language.English, language.Chinese})

// languageOf is the language of ?lang=, or else the browser's.
func languageOf(r *http.Request) string {
	switch lang := r.URL.Query().Get("lang"); lang {
	case LangEN, LangZH:
		return lang
	}
	if _, i := language.MatchStrings(languages, r.Header.Get("Accept-Language")); i == 1 {
		return LangZH
	}
	return LangEN
}

// templates are the pages, by language; a check on the terminal needs none.
var templates = sync.OnceValue(func() map[string]*template.Template {
	return map[string]*template.Template{LangEN: parsePages(LangEN), LangZH: parsePages(LangZH)}
})

func parsePages(lang string) *template.Template {
	functions := template.FuncMap{
		"say":      func(key string, args ...any) string { return say(lang, key, args...) },
		"Say":      func(key string) string { return capital(say(lang, key)) },
		"in":       func(w Words) string { return w.In(lang) },
		"commands": func(c Commands) []string { return c.In(lang) },
		"about":    func(f Finding) string { return about(f, lang) },
		"more":     moreEvidence,
		"few":      fewOf,
		"shown":    shown,
		"severity": severityClass,
	}
	return template.Must(template.New("").Funcs(functions).ParseFS(webFiles, "web/*.html"))
}

// severityClass is the style of a severity, which the rules may choose.
func severityClass(severity string) string {
	if severityRank(severity) > 1 {
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
	h.Set("Content-Language", say(lang, "html_lang"))
	h.Set("Cache-Control", "no-store")
	h.Set("Vary", "Accept-Language")
	w.WriteHeader(code)
	_, _ = b.WriteTo(w) // the reader is gone
}

// A page is what the template of the status page shows.
type page struct {
	Lang         string
	Verdict      Verdict
	Headline     string
	Regions      string
	At           string
	Findings     []Finding // those that are not only about a collector that could not look
	Cards        []card
	NeedsHistory []string
	Err          string
	Refresh      int // seconds; 0 when it is off
	Aside        template.HTML
	CSS          template.CSS
	Icon         template.URL
}

// A card is one symptom on the page.
type card struct {
	Slug, Title, Well string
	State             string // well, critical, warning, other, affected, unable or absent: the style
	Mark              string // the state in a word
	Findings          []Finding
	Causes            []effect
	Unable            []Unable
}

// An effect is what a finding of another card does to this one: through a
// symptom, or by resting on what was seen here.
type effect struct {
	Cause    Finding
	Symptoms []Finding // none when the cause only rests on it
}

func newPage(d Diagnosis, lang string) page {
	p := page{
		Lang:         lang,
		Verdict:      d.Verdict(),
		Headline:     capital(headline(d, lang)),
		Regions:      capital(regionNames(d.Regions, lang)),
		NeedsHistory: d.NeedsHistory,
		CSS:          template.CSS(style),
		Icon:         icon(d.Verdict()),
	}
	if !d.At.IsZero() {
		p.At = d.At.Format("2006-01-02 15:04:05 MST")
	}
	p.Findings = slices.DeleteFunc(slices.Clone(d.Findings), d.ofUnable)
	for _, slug := range collector.Slugs {
		p.Cards = append(p.Cards, newCard(d, slug, lang))
	}
	if c := newCard(d, collector.SlugExporter, lang); len(c.Findings) > 0 || len(c.Causes) > 0 {
		p.Cards = append(p.Cards, c)
	}
	return p
}

func newCard(d Diagnosis, slug, lang string) card {
	c := card{Slug: slug, Title: titleOf(slug, lang), Well: symptoms[slug].well.In(lang)}
	for _, f := range d.Findings {
		switch {
		case d.ofUnable(f):
			if f.Labels[labelCollector] == slug {
				f.Evidence = nil // the error, which Unable tells
				c.Findings = append(c.Findings, f)
			}
		case f.Slug == slug:
			c.Findings = append(c.Findings, f)
		default:
			if e, ok := effectOf(f, slug); ok {
				c.Causes = append(c.Causes, e)
			}
		}
	}
	for _, u := range d.Unable {
		if u.Collector == slug {
			c.Unable = append(c.Unable, u)
		}
	}
	c.State, c.Mark = c.state(d, lang)
	return c
}

// effectOf is what a finding of another card does to this one.
func effectOf(f Finding, slug string) (effect, bool) {
	e := effect{Cause: f}
	rests := f.touches(slug)
	for _, s := range f.Symptoms {
		rests = rests || s.touches(slug)
		if s.Slug == slug {
			e.Symptoms = append(e.Symptoms, s)
		}
	}
	return e, rests
}

// state is the card's style, and its word.
func (c card) state(d Diagnosis, lang string) (state, mark string) {
	ill := func(f Finding) bool { return !d.ofUnable(f) }
	for _, f := range c.Findings {
		if ill(f) {
			return severityClass(f.Severity), say(lang, f.Severity) // the first is the most urgent
		}
	}
	switch {
	case len(c.Unable) > 0:
		return "unable", say(lang, "state_unable")
	case len(c.Causes) > 0:
		return "affected", say(lang, "affected")
	}
	if slices.Contains(d.Looked, c.Slug) {
		return "well", say(lang, "state_well")
	}
	return "absent", say(lang, "state_absent")
}

// icon is a disc in the verdict's colour, so that the tab tells it.
func icon(v Verdict) template.URL {
	color := map[Verdict]string{Healthy: "#1f8a4c", Faults: "#c62828", CouldNotLook: "#d98200"}[v]
	svg := `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><circle cx="8" cy="8" r="7" fill="` + color + `"/></svg>`
	return template.URL("data:image/svg+xml," + url.PathEscape(svg))
}
