package doctor

import (
	"cmp"
	"slices"
	"strings"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/rainbond-exporter/rainbond-exporter/collector"
)

// maxEvidence is the maximum number of pieces of evidence of a finding.
const maxEvidence = 6

// evidence returns the evidence for an alert of the rule with the given labels: that
// of the collectors whose metrics the rule reads, about what its selectors select,
// and with the labels of the alert. Evidence of another symptom's collector needs a
// common label besides the region, because a rule may read it only to exclude it.
// The evidence that shares most labels with the alert is first. It also returns the
// collectors with evidence of a fault.
func (r rule) evidence(snapshot collector.Snapshot, alert labels.Labels) (picked []collector.Evidence, seenBy []string) {
	type candidate struct {
		collector.Evidence
		shared int
	}
	var found []candidate
	for _, o := range snapshot.Outcomes {
		for _, e := range r.offered(o, alert) {
			shared, agree := sharedLabels(e.About, alert)
			if !agree || shared == 0 {
				continue
			}
			if o.Collector != r.slug() && !r.singledOut(o.Collector, e.About, alert) {
				continue
			}
			found = append(found, candidate{e, shared})
			if ofFault(e) && !slices.Contains(seenBy, o.Collector) {
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

// offered returns the evidence of one collector that the rule may use. For an alert
// about the collector itself it is the error of the collector.
func (r rule) offered(o collector.Outcome, alert labels.Labels) []collector.Evidence {
	if o.Err != nil && alert.Get(LabelCollector) == o.Collector {
		about := map[string]string{LabelCollector: o.Collector}
		return []collector.Evidence{{About: about, What: collector.EvidenceError, Text: o.Err.Error()}}
	}
	return slices.DeleteFunc(slices.Clone(o.Report.Evidence), func(e collector.Evidence) bool {
		return !r.readsOf(o.Collector, e.About)
	})
}

// ofFault distinguishes evidence of a fault from values that every collection has.
func ofFault(e collector.Evidence) bool {
	switch e.What {
	case collector.EvidenceAddress, collector.EvidenceLatency, collector.EvidenceUsage:
		return false
	}
	return true
}

// sharedLabels returns the number of common labels, and whether their values agree.
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

// readsOf reports whether one of the rule's selectors reads the symptom's metrics
// without excluding the labels of the evidence.
func (r rule) readsOf(slug string, about map[string]string) bool {
	return slices.ContainsFunc(r.reads, func(s selection) bool { return s.slug == slug && !s.rulesOut(about) })
}

func (s selection) rulesOut(about map[string]string) bool {
	return slices.ContainsFunc(s.matchers, func(m *labels.Matcher) bool {
		value, ok := about[m.Name]
		return ok && !m.Matches(value)
	})
}

// singledOut reports whether the evidence has a label other than the region in
// common with the alert or with a selector of the rule.
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

// withoutRepeats removes evidence that a longer piece of the same kind contains.
func withoutRepeats(all []collector.Evidence) []collector.Evidence {
	var rest []collector.Evidence
	for i, e := range all {
		repeated := func(j int, other collector.Evidence) bool {
			longer := len(other.Text) > len(e.Text) || len(other.Text) == len(e.Text) && j < i
			return j != i && other.What == e.What && longer && strings.Contains(other.Text, e.Text)
		}
		contained := false
		for j, other := range all {
			contained = contained || repeated(j, other)
		}
		if !contained {
			rest = append(rest, e)
		}
	}
	return rest
}

// pending reports whether every piece of evidence of the rule's own symptom about the
// alert states that its condition began less than the rule's "for" ago. Evidence of a
// fault without a time has an unknown age, and then the alert is not pending.
func (r rule) pending(snapshot collector.Snapshot, alert labels.Labels) bool {
	if r.holds == 0 {
		return false
	}
	pending := false
	for _, o := range snapshot.Outcomes {
		if o.Collector != r.slug() {
			continue
		}
		for _, e := range r.offered(o, alert) {
			shared, agree := sharedLabels(e.About, alert)
			switch {
			case !agree || shared == 0, e.Since.IsZero() && !ofFault(e):
			case e.Since.IsZero(), snapshot.At.Sub(e.Since) >= r.holds:
				return false
			default:
				pending = true
			}
		}
	}
	return pending
}
