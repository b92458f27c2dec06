package doctor

import (
	"testing"

	"github.com/prometheus/prometheus/model/labels"
)

func TestSymptomsAreGroupedUnderTheirRootCause(t *testing.T) {
	alert := func(name string, more ...string) firing {
		l := labels.FromStrings(append([]string{"alertname", name}, more...)...)
		return firing{Finding{Alert: name, Severity: "warning", Slug: "api"}, l}
	}
	for name, c := range map[string]struct {
		inhibitions string
		alerts      []firing
		want        string
	}{
		"a chain": {
			`[{source_matchers: [alertname=A], target_matchers: [alertname=B]}, {source_matchers: [alertname=B], target_matchers: [alertname=C]}]`,
			[]firing{alert("C"), alert("B"), alert("A")},
			"A(C B)",
		},
		"the first of two causes": {
			`[{source_matchers: [alertname=B], target_matchers: [alertname=C]}, {source_matchers: [alertname=A], target_matchers: [alertname=C]}]`,
			[]firing{alert("A"), alert("B"), alert("C")},
			"A B(C)",
		},
		"equal labels": {
			`[{source_matchers: [alertname=A], target_matchers: [alertname=B], equal: [region]}]`,
			[]firing{alert("A", "region", "east"), alert("B", "region", "east"), alert("B", "region", "west")},
			"A(B) B",
		},
		"a missing label is equal to an empty one": {
			`[{source_matchers: [alertname=A], target_matchers: [alertname=B], equal: [region]}]`,
			[]firing{alert("A"), alert("B")},
			"A(B)",
		},
		"a missing label is not equal to a full one": {
			`[{source_matchers: [alertname=A], target_matchers: [alertname=B], equal: [region]}]`,
			[]firing{alert("A"), alert("B", "region", "east")},
			"A B",
		},
		"of two that match both sides, neither": {
			`[{source_matchers: ['alertname=~"A|B"'], target_matchers: ['alertname=~"A|B|C"']}]`,
			[]firing{alert("A"), alert("B"), alert("C")},
			"A(C) B",
		},
		"a circle does not vanish": {
			`[{source_matchers: [alertname=A], target_matchers: [alertname=B]}, {source_matchers: [alertname=B], target_matchers: [alertname=A]}, {source_matchers: [alertname=B], target_matchers: [alertname=C]}]`,
			[]firing{alert("A"), alert("B"), alert("C")},
			"A(B C)",
		},
		"the old spellings": {
			`[{source_match: {alertname: A}, target_match_re: {alertname: 'B|C'}}]`,
			[]firing{alert("A"), alert("B"), alert("C"), alert("CC")},
			"A(B C) CC",
		},
	} {
		inhibitions, err := parseInhibitions([]byte("inhibit_rules: " + c.inhibitions))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got := ""
		for i, f := range underCauses(c.alerts, inhibitions) {
			got += " "[:min(i, 1)] + f.Alert
			for j, s := range f.Symptoms {
				got += "( "[min(j, 1):min(j, 1)+1] + s.Alert
			}
			got += ")"[:min(len(f.Symptoms), 1)]
		}
		if got != c.want {
			t.Errorf("%s: got %s, want %s", name, got, c.want)
		}
	}
}
