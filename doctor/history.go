package doctor

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// A History holds, over consecutive diagnoses, since when each finding exists. The
// zero value is empty.
type History struct {
	seen     map[string]remembered // by identity
	unknown  map[string]string     // the errors of the failed collectors of the last diagnosis
	overview Overview
}

// A remembered finding is a finding of the last diagnosis.
type remembered struct {
	Finding
	onlyUnknown bool // it only reports a failed collector
}

// A Change is the difference between a diagnosis and the one before.
type Change struct {
	At        time.Time
	Overview  *Overview // nil when it is the old one
	New       []Finding // causes and symptoms alike
	Resolved  []Finding // with the Since that they had
	Unknown   []Unknown
	Recovered []string // collectors that succeed again
}

// Note sets Since of the findings of d and returns the changes since the diagnosis
// before. A finding is not resolved while one of its collectors fails.
func (h *History) Note(d *Diagnosis) Change {
	change := Change{At: d.At}
	now := map[string]remembered{}
	h.stamp(d.Findings, d, now)
	for _, id := range slices.Sorted(maps.Keys(now)) {
		if _, known := h.seen[id]; !known && !now[id].onlyUnknown {
			change.New = append(change.New, now[id].Finding)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(h.seen)) {
		old := h.seen[id]
		if _, there := now[id]; there || old.onlyUnknown {
			continue
		}
		if d.maybePresent(old.Finding) {
			now[id] = old
		} else {
			change.Resolved = append(change.Resolved, old.Finding)
		}
	}
	h.seen = now

	unknown := map[string]string{}
	for _, u := range d.Unknown {
		unknown[u.Collector] = u.Err
		if h.unknown[u.Collector] != u.Err {
			change.Unknown = append(change.Unknown, u)
		}
	}
	for _, name := range d.Collected {
		if _, was := h.unknown[name]; was {
			change.Recovered = append(change.Recovered, name)
		}
	}
	h.unknown = unknown

	if o := d.Overview(); !o.equal(h.overview) {
		change.Overview, h.overview = &o, o
	}
	return change
}

// stamp sets Since of the findings and their symptoms, and adds them to now.
func (h *History) stamp(findings []Finding, d *Diagnosis, now map[string]remembered) {
	for i := range findings {
		f := &findings[i]
		f.Since = d.At
		if old, known := h.seen[f.identity()]; known {
			f.Since = old.Since
		}
		if d.At.Sub(f.Since) >= f.Sent.For {
			f.Pending = false
		}
		h.stamp(f.Symptoms, d, now)
		now[f.identity()] = remembered{*f, d.OnlyUnknown(*f)}
	}
}

// identity identifies a finding. Identities sort in the order of the findings.
func (f Finding) identity() string {
	id := fmt.Sprint(SeverityRank(f.Severity), f.Severity, " ", rank(f.Slug), " ", f.Alert)
	for _, name := range slices.Sorted(maps.Keys(f.Labels)) {
		id += fmt.Sprintf(" %s=%q", name, f.Labels[name])
	}
	return id
}

// maybePresent reports whether a collector failed that would have found f.
func (d Diagnosis) maybePresent(f Finding) bool {
	return slices.ContainsFunc(d.Unknown, func(u Unknown) bool { return f.Touches(u.Collector) })
}
