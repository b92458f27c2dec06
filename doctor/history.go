package doctor

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// A History remembers, over looks in a row, since when each finding has been
// there. The zero value remembers nothing.
type History struct {
	seen     map[string]remembered // by identity
	unable   map[string]string     // why collectors could not look last time
	overview Overview
}

// remembered is a finding as it was seen last.
type remembered struct {
	Finding
	untold bool // it only says that a collector could not look
}

// A Change is what one look tells that the look before did not.
type Change struct {
	At        time.Time
	Overview  *Overview // nil when it is the old one
	New       []Finding // causes and symptoms alike
	Resolved  []Finding // with the Since that they had
	Unknown   []Unknown
	Recovered []string // the collectors that can look again
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
			change.Resolved = append(change.Resolved, old.Finding)
		}
	}
	h.seen = now

	unable := map[string]string{}
	for _, u := range d.Unknown {
		unable[u.Collector] = u.Err
		if h.unable[u.Collector] != u.Err {
			change.Unknown = append(change.Unknown, u)
		}
	}
	for _, name := range d.Collected {
		if _, was := h.unable[name]; was {
			change.Recovered = append(change.Recovered, name)
		}
	}
	h.unable = unable

	if o := d.Overview(); !o.equal(h.overview) {
		change.Overview, h.overview = &o, o
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
		now[f.identity()] = remembered{*f, d.OnlyUnknown(*f)}
	}
}

// identity tells a finding from every other of a look, in the order in which
// they are told.
func (f Finding) identity() string {
	id := fmt.Sprint(SeverityRank(f.Severity), f.Severity, " ", rank(f.Slug), " ", f.Alert)
	for _, name := range slices.Sorted(maps.Keys(f.Labels)) {
		id += fmt.Sprintf(" %s=%q", name, f.Labels[name])
	}
	return id
}

// unableToSee tells whether somebody who would see the finding could not look.
func (d Diagnosis) unableToSee(f Finding) bool {
	return slices.ContainsFunc(d.Unknown, func(u Unknown) bool { return f.Touches(u.Collector) })
}
