package doctor

import (
	"cmp"
	"slices"
	"strings"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/rainbond-exporter/rainbond-exporter/collector"
)

// maxEvidence is how many pieces of evidence one finding shows: a handful is
// read, a page is not.
const maxEvidence = 6

// evidence picks from the look what explains an alert of the rule with the
// given labels: what the collectors saw whose metrics the rule reads, about
// what its selectors select, and about the same thing as the alert. Evidence
// from another symptom's collector must be singled out by more than the
// region, for a rule may read it only to rule it out. What shares most labels
// with the alert comes first. It names the collectors that
// saw trouble, too.
func (r rule) evidence(look collector.Snapshot, alert labels.Labels) (picked []collector.Evidence, seenBy []string) {
	type candidate struct {
		collector.Evidence
		shared int
	}
	var found []candidate
	for _, o := range look.Outcomes {
		for _, e := range r.offered(o, alert) {
			shared, agree := sharedLabels(e.About, alert)
			if !agree || shared == 0 {
				continue
			}
			if o.Collector != r.slug() && !r.singledOut(o.Collector, e.About, alert) {
				continue
			}
			found = append(found, candidate{e, shared})
			if tellsOfTrouble(e) && !slices.Contains(seenBy, o.Collector) {
				seenBy = append(seenBy, o.Collector)
			}
		}
	}
	slices.SortStableFunc(found, func(a, b candidate) int { return cmp.Compare(b.shared, a.shared) })
	for _, c := range found {
		picked = append(picked, c.Evidence)
	}
	picked = withoutRepeats(picked)
	return picked[:min(len(picked), maxEvidence)], seenBy
}

// offered is the evidence of one collector that the rule may rest on. For an
// alert about the collector itself it is why that could not look.
func (r rule) offered(o collector.Outcome, alert labels.Labels) []collector.Evidence {
	if o.Err != nil && alert.Get(LabelCollector) == o.Collector {
		about := map[string]string{LabelCollector: o.Collector}
		return []collector.Evidence{{About: about, What: collector.EvidenceError, Text: o.Err.Error()}}
	}
	return slices.DeleteFunc(slices.Clone(o.Report.Evidence), func(e collector.Evidence) bool {
		return !r.readsOf(o.Collector, e.About)
	})
}

// tellsOfTrouble tells evidence of something wrong from figures that every
// look has.
func tellsOfTrouble(e collector.Evidence) bool {
	switch e.What {
	case collector.EvidenceAddress, collector.EvidenceLatency, collector.EvidenceUsage:
		return false
	}
	return true
}

// sharedLabels counts the labels that both bear, and tells whether their
// values agree.
func sharedLabels(about map[string]string, alert labels.Labels) (shared int, agree bool) {
	for name, value := range about {
		if !alert.Has(name) {
			continue
		}
		if alert.Get(name) != value {
			return 0, false
		}
		shared++
	}
	return shared, true
}

// readsOf tells whether one of the rule's selectors reads the symptom's
// metrics without ruling out what the evidence is about.
func (r rule) readsOf(slug string, about map[string]string) bool {
	return slices.ContainsFunc(r.reads, func(s selection) bool { return s.slug == slug && !s.rulesOut(about) })
}

func (s selection) rulesOut(about map[string]string) bool {
	return slices.ContainsFunc(s.matchers, func(m *labels.Matcher) bool {
		value, borne := about[m.Name]
		return borne && !m.Matches(value)
	})
}

// singledOut tells whether the evidence has a label other than the region in
// common with the alert, or with a selector of the rule.
func (r rule) singledOut(slug string, about map[string]string, alert labels.Labels) bool {
	for name := range about {
		if name == LabelRegion {
			continue
		}
		named := func(m *labels.Matcher) bool { return m.Name == name }
		if alert.Has(name) || slices.ContainsFunc(r.reads, func(s selection) bool {
			return s.slug == slug && slices.ContainsFunc(s.matchers, named) && !s.rulesOut(about)
		}) {
			return true
		}
	}
	return false
}

// withoutRepeats drops what a longer piece of evidence of the same kind says
// as well.
func withoutRepeats(all []collector.Evidence) []collector.Evidence {
	var kept []collector.Evidence
	for i, e := range all {
		repeated := func(j int, other collector.Evidence) bool {
			longer := len(other.Text) > len(e.Text) || len(other.Text) == len(e.Text) && j < i
			return j != i && other.What == e.What && longer && strings.Contains(other.Text, e.Text)
		}
		said := false
		for j, other := range all {
			said = said || repeated(j, other)
		}
		if !said {
			kept = append(kept, e)
		}
	}
	return kept
}
