package web

import (
	"cmp"
	"slices"

	"github.com/rainbond-exporter/rainbond-exporter/doctor"
	"github.com/rainbond-exporter/rainbond-exporter/report"
)

// maxChoices is how many regions the page offers by name: what a reader
// overlooks. The others are reached by typing theirs.
const maxChoices = 8

// A choice is one region that the page can be about.
type choice struct {
	Name    string
	State   string // healthy, critical, warning or other: the style
	Mark    string // the state in a word
	Current bool
}

// choose offers the regions of a diagnosis, the most urgent first.
func (p *page) choose(d doctor.Diagnosis, current string) {
	p.Region = current
	if len(d.Regions) < 2 {
		return
	}
	worst := map[string]string{}                    // severity
	for _, f := range slices.Backward(d.Findings) { // the first is the most urgent
		worst[f.Labels[doctor.LabelRegion]] = f.Severity
	}
	urgency := func(name string) int {
		severity, unhealthy := worst[name]
		switch {
		case name == current:
			return -1 // is never left out
		case !unhealthy:
			return doctor.SeverityRank("") + 1
		}
		return doctor.SeverityRank(severity)
	}
	names := slices.SortedStableFunc(slices.Values(d.Regions), func(a, b string) int { return cmp.Compare(urgency(a), urgency(b)) })
	p.Others = len(names) > maxChoices
	names = names[:min(len(names), maxChoices)]
	if !p.Others {
		slices.Sort(names) // few are found by their name
	}
	for _, name := range names {
		c := choice{Name: name, State: "healthy", Mark: report.Phrase(p.Lang, "state_well"), Current: name == current}
		if severity, unhealthy := worst[name]; unhealthy {
			c.State, c.Mark = severityClass(severity), report.Phrase(p.Lang, severity)
		}
		p.Choices = append(p.Choices, c)
	}
}

// regionsBriefly names a few regions, and counts many.
func regionsBriefly(regions []string, lang string) string {
	if len(regions) > maxChoices {
		return report.Phrase(lang, "many_regions", len(regions))
	}
	return report.RegionNames(regions, lang)
}
