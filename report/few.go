package report

import (
	"maps"
	"slices"

	"github.com/rainbond-exporter/rainbond-exporter/collector"
	"github.com/rainbond-exporter/rainbond-exporter/doctor"
)

// The maximum number of findings of one alert with all details, and on one line
// each. A thousand nodes with one fault are one thing to repair.
const (
	MaxFull  = 5
	maxBrief = 10
)

// A Few is the selection of findings to show.
type Few struct {
	Full, Brief []doctor.Finding
	More        []Remainder
}

// A Remainder is the number of findings of an alert that are only counted.
type Remainder struct {
	Alert string
	Count int
}

// FewOf selects the findings to show, in their order.
func FewOf(all []doctor.Finding) Few {
	var f Few
	count := map[string]int{}
	for _, one := range all {
		count[one.Alert]++
		switch n := count[one.Alert]; {
		case n <= MaxFull:
			f.Full = append(f.Full, one)
		case n <= MaxFull+maxBrief:
			f.Brief = append(f.Brief, one)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(count)) {
		if n := count[name] - MaxFull - maxBrief; n > 0 {
			f.More = append(f.More, Remainder{name, n})
		}
	}
	return f
}

// MoreEvidence returns the evidence of a symptom that its cause does not show.
func MoreEvidence(cause, symptom doctor.Finding) []collector.Evidence {
	return slices.DeleteFunc(slices.Clone(symptom.Evidence), func(e collector.Evidence) bool {
		return slices.ContainsFunc(cause.Evidence, func(shown collector.Evidence) bool {
			return shown.What == e.What && shown.Text == e.Text
		})
	})
}
