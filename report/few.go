package report

import (
	"maps"
	"slices"

	"github.com/rainbond-exporter/rainbond-exporter/collector"
	"github.com/rainbond-exporter/rainbond-exporter/doctor"
)

// How many findings of one alert are told in full, and how many more in a
// line each. A thousand nodes with one fault are one thing to repair.
const (
	MaxFull  = 5
	maxBrief = 10
)

// A few is what people are told of many findings.
type Few struct {
	Full, Brief []doctor.Finding
	More        []Remainder
}

// A Remainder is how many findings of an alert are only counted.
type Remainder struct {
	Alert string
	Count int
}

// FewOf picks the findings to tell, in their order.
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

// MoreEvidence is the evidence of a symptom that its cause does not show.
func MoreEvidence(cause, symptom doctor.Finding) []collector.Evidence {
	return slices.DeleteFunc(slices.Clone(symptom.Evidence), func(e collector.Evidence) bool {
		return slices.ContainsFunc(cause.Evidence, func(shown collector.Evidence) bool {
			return shown.What == e.What && shown.Text == e.Text
		})
	})
}
