package web

import (
	"html/template"
	"maps"
	"net/url"
	"slices"
	"time"

	"github.com/rainbond-exporter/rainbond-exporter/collector"
	"github.com/rainbond-exporter/rainbond-exporter/doctor"
	"github.com/rainbond-exporter/rainbond-exporter/report"
)

// A page is what the template of the status page shows.
type page struct {
	Lang         string
	Verdict      doctor.Verdict
	Headline     string
	Regions      string
	Region       string   // the one that was chosen
	Choices      []choice // where there are several
	Others       bool     // whether there are more than the choices
	At           string
	Findings     []doctor.Finding // without those that only report a failed collector
	Cards        []card
	Alerting     *alertingCard // nil if it is not configured
	NeedsHistory []string
	FailedProbes []collector.FailedProbes
	Routes       []string
	Err          string
	Refresh      int // seconds; 0 when it is off
	Panels       Panels
	CSS, Style   template.CSS
	Icon         template.URL

	at, began time.Time
	links     report.Links
}

// A card is one symptom on the page.
type card struct {
	Slug, Title, Healthy string
	State                string // healthy, critical, warning, other, affected, unable or absent: the CSS class
	Mark                 string // the state in a word
	Findings             []doctor.Finding
	Causes               []effect           // report.MaxFull of each alert
	More                 []report.Remainder // further ones
	Unknown              []doctor.Unknown
	As                   *card // an earlier card that is unknown too and has the same advice
}

// An effect is what a finding of another card does to this one: through a
// symptom, or by resting on what was seen here.
type effect struct {
	Cause    doctor.Finding
	Symptoms []doctor.Finding // none when the cause only rests on it
}

func newPage(d doctor.Diagnosis, lang string) page {
	p := page{
		Lang:         lang,
		Verdict:      d.Verdict(),
		Headline:     report.Capital(report.Headline(d.Overview(), lang)),
		Regions:      report.Capital(regionsBriefly(d.Regions, lang)),
		NeedsHistory: d.NeedsHistory,
		FailedProbes: d.FailedProbes,
		Routes:       report.Routes(d, lang),
		CSS:          template.CSS(style),
		Icon:         icon(d.Verdict()),
		at:           d.At,
	}
	if !d.At.IsZero() {
		p.At = d.At.Format("2006-01-02 15:04:05 MST")
	}
	p.Findings = slices.DeleteFunc(slices.Clone(d.Findings), d.OnlyUnknown)
	for _, slug := range collector.Slugs {
		p.Cards = append(p.Cards, newCard(d, slug, lang))
	}
	if c := newCard(d, collector.SlugExporter, lang); len(c.Findings) > 0 || len(c.Causes) > 0 {
		p.Cards = append(p.Cards, c)
	}
	p.adviseOnce()
	return p
}

// adviseOnce shows the advice for failed collectors in the first card only: they
// often fail for the same reason.
func (p *page) adviseOnce() {
	first := map[string]*card{} // by alert
	for i := range p.Cards {
		c := &p.Cards[i]
		if c.State != stateUnknown || len(c.Findings) != 1 {
			continue
		}
		alert := c.Findings[0].Alert
		if first[alert] == nil {
			first[alert] = c
			continue
		}
		c.As, c.Findings = first[alert], nil
	}
}

func newCard(d doctor.Diagnosis, slug, lang string) card {
	c := card{Slug: slug, Title: report.Title(slug, lang), Healthy: report.HealthyText(slug, lang)}
	for _, f := range d.Findings {
		switch {
		case d.OnlyUnknown(f):
			if f.Labels[doctor.LabelCollector] == slug {
				f.Evidence = nil // the error, which Unknown has
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
	for _, u := range d.Unknown {
		if u.Collector == slug {
			c.Unknown = append(c.Unknown, u)
		}
	}
	c.Causes, c.More = fewEffects(c.Causes)
	c.State, c.Mark = c.state(d, lang)
	return c
}

// fewEffects returns the first effects of each alert, in their order, and the
// numbers of the others.
func fewEffects(all []effect) (shown []effect, more []report.Remainder) {
	count := map[string]int{}
	for _, e := range all {
		if count[e.Cause.Alert]++; count[e.Cause.Alert] <= report.MaxFull {
			shown = append(shown, e)
		}
	}
	for _, alert := range slices.Sorted(maps.Keys(count)) {
		if n := count[alert] - report.MaxFull; n > 0 {
			more = append(more, report.Remainder{Alert: alert, Count: n})
		}
	}
	return shown, more
}

// effectOf is what a finding of another card does to this one.
func effectOf(f doctor.Finding, slug string) (effect, bool) {
	e := effect{Cause: f}
	rests := f.Touches(slug)
	for _, s := range f.Symptoms {
		rests = rests || s.Touches(slug)
		if s.Slug == slug {
			e.Symptoms = append(e.Symptoms, s)
		}
	}
	return e, rests
}

// stateUnknown is the state of a card whose collector could not snapshot.
const stateUnknown = "unable"

// state is the card's style, and its word.
func (c card) state(d doctor.Diagnosis, lang string) (state, mark string) {
	unhealthy := func(f doctor.Finding) bool { return !d.OnlyUnknown(f) }
	for _, f := range c.Findings {
		if unhealthy(f) {
			return severityClass(f.Severity), report.Phrase(lang, f.Severity) // the first is the most urgent
		}
	}
	switch {
	case len(c.Unknown) > 0:
		return stateUnknown, report.Phrase(lang, "state_unable")
	case len(c.Causes) > 0:
		return "affected", report.Phrase(lang, "affected")
	}
	if slices.Contains(d.Collected, c.Slug) {
		return "healthy", report.Phrase(lang, "state_well")
	}
	return "absent", report.Phrase(lang, "state_absent")
}

// icon returns a disc in the colour of the verdict, for the tab.
func icon(v doctor.Verdict) template.URL {
	color := map[doctor.Verdict]string{doctor.Healthy: "#1f8a4c", doctor.Faults: "#c62828", doctor.Incomplete: "#d98200"}[v]
	svg := `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><circle cx="8" cy="8" r="7" fill="` + color + `"/></svg>`
	return template.URL("data:image/svg+xml," + url.PathEscape(svg))
}

// A shownFinding is a finding with the texts that the page adds.
type shownFinding struct {
	doctor.Finding
	Since            string
	Guide, Dashboard string // URLs; "" without one
}

// show returns a finding with the texts that the page adds.
func (p page) show(f doctor.Finding) shownFinding {
	t := shownFinding{Finding: f, Since: p.Since(f), Dashboard: p.links.Dashboard(f.Dashboard)}
	switch {
	case f.Section == "":
	case p.links.Guide == "": // of this site
		t.Guide = "guide?lang=" + p.Lang + "#" + f.Section
	default:
		t.Guide = p.links.Section(f.Section, p.Lang)
	}
	return t
}

// Since returns the text about when the finding was first seen; "" if that is
// unknown.
func (p page) Since(f doctor.Finding) string {
	switch {
	case f.Since.IsZero(), !f.Since.After(p.began) && f.Since.Equal(p.at): // it is new
		return ""
	case !f.Since.After(p.began): // nobody knows what was before
		return report.Phrase(p.Lang, "since_begin", f.Since.Format(pageTime), report.Span(p.at.Sub(f.Since)))
	}
	return report.Capital(report.Phrase(p.Lang, "since", f.Since.Format(pageTime), report.Span(p.at.Sub(f.Since))))
}

// pageTime is how the page writes a time.
const pageTime = "2006-01-02 15:04:05 MST"

// Link is the page's own address with one parameter changed, so that who
// switches the language stays with the region.
func (p page) Link(name, value string) string {
	q := url.Values{"lang": {p.Lang}}
	if p.Region != "" {
		q.Set("region", p.Region)
	}
	if p.Refresh == 0 {
		q.Set("refresh", "off")
	}
	if q.Set(name, value); value == "" {
		q.Del(name)
	}
	return "?" + q.Encode()
}
