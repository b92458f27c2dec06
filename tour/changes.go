package tour

import (
	"cmp"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	dto "github.com/prometheus/client_model/go"

	"github.com/rainbond-exporter/rainbond-exporter/collector"
)

// A change is one series whose value differs from the healthy region's.
type change struct {
	Series      string // in the format of /metrics
	Before, Now string // a dash if the series does not exist
	metric      string
}

// series returns the values of counters and gauges, by series in the format of
// /metrics.
func series(families []*dto.MetricFamily) map[string]sample {
	all := map[string]sample{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			s := sample{metric: f.GetName()}
			switch f.GetType() {
			case dto.MetricType_GAUGE:
				s.value = m.GetGauge().GetValue()
			case dto.MetricType_COUNTER:
				s.value, s.counts = m.GetCounter().GetValue(), true
			default:
				continue
			}
			all[f.GetName()+labelsOf(m)] = s
		}
	}
	return all
}

// Parts splits the series after its commas, where a line may break.
func (c change) Parts() []string { return strings.Split(c.Series, ",") }

type sample struct {
	metric string
	value  float64
	counts bool
}

// fingerprints matches SHA-256 fingerprints, which are shortened for display.
var fingerprints = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`\b([0-9a-f]{12})[0-9a-f]{52}\b`) })

func labelsOf(m *dto.Metric) string {
	var pairs []string
	for _, l := range m.GetLabel() {
		pairs = append(pairs, fmt.Sprintf("%s=%q", l.GetName(), fingerprints().ReplaceAllString(l.GetValue(), "$1…")))
	}
	if len(pairs) == 0 {
		return ""
	}
	return "{" + strings.Join(pairs, ",") + "}"
}

// changes returns the changed series: first those of the given metrics, in that
// order, then the others in the catalogue's order.
func changes(before, now map[string]sample, first []string) []change {
	var all []change
	for name, s := range now {
		old, known := before[name]
		if differs(old, s, known, true) {
			c := change{Series: name, Before: "–", Now: number(s.value), metric: s.metric}
			if known {
				c.Before = number(old.value)
			}
			all = append(all, c)
		}
	}
	for name, old := range before {
		if _, there := now[name]; !there && differs(old, sample{metric: old.metric, counts: old.counts}, true, false) {
			all = append(all, change{name, number(old.value), "–", old.metric})
		}
	}
	place := func(c change) int {
		if i := slices.Index(first, c.metric); i >= 0 {
			return i
		}
		return len(first) + slices.IndexFunc(collector.Catalogue, func(m collector.Metric) bool { return m.Name == c.metric })
	}
	slices.SortFunc(all, func(a, b change) int {
		return cmp.Or(cmp.Compare(place(a), place(b)), cmp.Compare(a.Series, b.Series))
	})
	return all
}

// Differences between two collections of a healthy region: durations in
// seconds, and clock times.
const (
	sameSeconds = 0.5
	sameTime    = 3600.0
)

// differs reports whether a change is significant.
func differs(old, now sample, was, is bool) bool {
	_, moment := strings.CutSuffix(now.metric, "_timestamp_seconds")
	if strings.HasSuffix(now.metric, "_seconds") && !moment {
		if now.metric == "rainbond_collector_duration_seconds" {
			return false // depends on the exporter's machine
		}
		return math.Abs(now.value-old.value) > sameSeconds
	}
	switch {
	case !was:
		return now.value != 0
	case !is:
		return old.value != 0
	case now.counts:
		return old.value == 0 && now.value > 0
	case moment:
		return math.Abs(now.value-old.value) > sameTime
	}
	return now.value != old.value
}

func number(v float64) string { return strconv.FormatFloat(v, 'g', 4, 64) }
