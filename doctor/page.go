package doctor

import (
	"html/template"
	"maps"
	"net/url"
	"slices"
	"time"

	"github.com/rainbond-exporter/rainbond-exporter/collector"
)

// A page is what the template of the status page shows.
type page struct {
	Lang         string
	Verdict      Verdict
	Headline     string
	Regions      string
	Region       string   // the one that was chosen
	Choices      []choice // where there are several
	Others       bool     // whether there are more than the choices
	At           string
	Findings     []Finding // those that are not only about a collector that could not look
	Cards        []card
	NeedsHistory []string
	Err          string
	Refresh      int // seconds; 0 when it is off
	Beside       Beside
	CSS, Style   template.CSS
	Icon         template.URL

	at, began time.Time
}

// A card is one symptom on the page.
type card struct {
	Slug, Title, Well string
	State             string // well, critical, warning, other, affected, unable or absent: the style
	Mark              string // the state in a word
	Findings          []Finding
	Causes            []effect    // maxFull of each alert
	More              []remainder // further ones
	Unable            []Unable
	As                *card // an earlier one that could not look either, and has the same advice
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
		Regions:      capital(regionsBriefly(d.Regions, lang)),
		NeedsHistory: d.NeedsHistory,
		CSS:          template.CSS(style),
		Icon:         icon(d.Verdict()),
		at:           d.At,
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
	p.adviseOnce()
	return p
}

// adviseOnce leaves the advice for those who could not look with the first of
// them: what ails the exporter ails most of its collectors.
func (p *page) adviseOnce() {
	first := map[string]*card{} // by alert
	for i := range p.Cards {
		c := &p.Cards[i]
		if c.State != stateUnable || len(c.Findings) != 1 {
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
	c.Causes, c.More = fewEffects(c.Causes)
	c.State, c.Mark = c.state(d, lang)
	return c
}

// fewEffects picks the effects to tell, in their order, and counts the others:
// a thousand regions with one fault are one thing to read.
func fewEffects(all []effect) (told []effect, more []remainder) {
	count := map[string]int{}
	for _, e := range all {
		if count[e.Cause.Alert]++; count[e.Cause.Alert] <= maxFull {
			told = append(told, e)
		}
	}
	for _, alert := range slices.Sorted(maps.Keys(count)) {
		if n := count[alert] - maxFull; n > 0 {
			more = append(more, remainder{alert, n})
		}
	}
	return told, more
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

// stateUnable is the state of a card whose collector could not look.
const stateUnable = "unable"

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
		return stateUnable, say(lang, "state_unable")
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

// A told finding knows since when it has been there, in words.
type told struct {
	Finding
	Since string
}

// Since says since when the finding has been there, and how long that is; ""
// where nobody remembers.
func (p page) Since(f Finding) string {
	switch {
	case f.Since.IsZero(), !f.Since.After(p.began) && f.Since.Equal(p.at): // it is told anew
		return ""
	case !f.Since.After(p.began): // nobody knows what was before
		return say(p.Lang, "since_begin", f.Since.Format(pageTime), span(p.at.Sub(f.Since)))
	}
	return capital(say(p.Lang, "since", f.Since.Format(pageTime), span(p.at.Sub(f.Since))))
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
