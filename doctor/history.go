package doctor

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
)

// A History remembers, over looks in a row, since when each finding has been
// there. The zero value remembers nothing.
type History struct {
	seen     map[string]remembered // by identity
	unable   map[string]string     // why collectors could not look last time
	headline Words
}

// remembered is a finding as it was seen last.
type remembered struct {
	Finding
	untold bool // it only says that a collector could not look
}

// A Change is what one look tells that the look before did not.
type Change struct {
	At       time.Time
	Headline Words     // the diagnosis in one line; zero when it is the old one
	New      []Finding // causes and symptoms alike
	Gone     []Finding // with the Since that they had
	Unable   []Unable
	AbleTo   []string // the collectors that can look again
}

// Note gives the findings of d their Since and returns what has changed since
// the diagnosis before. A finding is not gone when nobody could look for it:
// it is remembered until those who saw it can look again.
func (h *History) Note(d *Diagnosis) Change {
	change := Change{At: d.At}
	now := map[string]remembered{}
	h.stamp(d.Findings, d, now)
	for _, id := range slices.Sorted(maps.Keys(now)) {
		if _, known := h.seen[id]; !known && !now[id].untold {
			change.New = append(change.New, now[id].Finding)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(h.seen)) {
		old := h.seen[id]
		if _, there := now[id]; there || old.untold {
			continue
		}
		if d.unableToSee(old.Finding) {
			now[id] = old
		} else {
			change.Gone = append(change.Gone, old.Finding)
		}
	}
	h.seen = now

	unable := map[string]string{}
	for _, u := range d.Unable {
		unable[u.Collector] = u.Err
		if h.unable[u.Collector] != u.Err {
			change.Unable = append(change.Unable, u)
		}
	}
	for _, name := range d.Looked {
		if _, was := h.unable[name]; was {
			change.AbleTo = append(change.AbleTo, name)
		}
	}
	h.unable = unable

	if headline := (Words{regionHeadline(*d, LangEN), regionHeadline(*d, LangZH)}); headline != h.headline {
		change.Headline, h.headline = headline, headline
	}
	return change
}

// stamp gives the findings, and what they explain, their Since, and notes
// them.
func (h *History) stamp(findings []Finding, d *Diagnosis, now map[string]remembered) {
	for i := range findings {
		f := &findings[i]
		f.Since = d.At
		if old, known := h.seen[f.identity()]; known {
			f.Since = old.Since
		}
		h.stamp(f.Symptoms, d, now)
		now[f.identity()] = remembered{*f, d.ofUnable(*f)}
	}
}

// identity tells a finding from every other of a look, in the order in which
// they are told.
func (f Finding) identity() string {
	id := fmt.Sprint(severityRank(f.Severity), f.Severity, " ", rank(f.Slug), " ", f.Alert)
	for _, name := range slices.Sorted(maps.Keys(f.Labels)) {
		id += fmt.Sprintf(" %s=%q", name, f.Labels[name])
	}
	return id
}

// unableToSee tells whether somebody who would see the finding could not look.
func (d Diagnosis) unableToSee(f Finding) bool {
	return slices.ContainsFunc(d.Unable, func(u Unable) bool { return f.touches(u.Collector) })
}

// ChangeText writes a change as lines that begin with the time, for a log;
// nothing when nothing has changed.
func ChangeText(w io.Writer, c Change, lang string) error {
	var b strings.Builder
	line := func(what, text string) {
		fmt.Fprintf(&b, "%s  %s\n", c.At.UTC().Format(time.RFC3339), strings.TrimSpace(columns.FillRight(what, changeWidth)+plain(text)))
	}
	if c.Headline != (Words{}) {
		line("", c.Headline.In(lang))
	}
	tell := func(what string, findings []Finding, after func(Finding) string) {
		few := fewOf(findings)
		for _, f := range slices.Concat(few.Full, few.Brief) {
			line(say(lang, what), say(lang, f.Severity)+" "+f.Summary.In(lang)+" ("+f.Alert+about(f, lang)+")"+after(f))
		}
		for _, m := range few.More {
			line(say(lang, what), say(lang, "more", m.Count, m.Alert))
		}
	}
	tell("new", c.New, func(Finding) string { return "" })
	tell("gone", c.Gone, func(f Finding) string { return say(lang, "after", span(c.At.Sub(f.Since))) })
	for _, u := range c.Unable {
		line(say(lang, "blind"), titleOf(u.Collector, lang)+" ("+u.Collector+"): "+shown(u.Err))
	}
	for _, name := range c.AbleTo {
		line(say(lang, "seeing"), titleOf(name, lang)+" ("+name+")")
	}
	if b.Len() == 0 {
		return nil
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// changeWidth is the width of the word before what has changed.
const changeWidth = 9

// span is a time that has passed, in whole seconds.
func span(d time.Duration) string { return d.Round(time.Second).String() }
