package doctor

import (
	"fmt"
	"slices"
	"strings"

	amlabels "github.com/prometheus/alertmanager/pkg/labels"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"go.yaml.in/yaml/v3"
)

// An inhibition inhibits the targets while a source fires that has the same values
// in the labels equal.
type inhibition struct {
	source, target amlabels.Matchers
	equal          []string
}

// parseInhibitions reads the inhibit_rules of an Alertmanager configuration.
func parseInhibitions(content []byte) ([]inhibition, error) {
	var config struct {
		InhibitRules []yaml.Node `yaml:"inhibit_rules"`
	}
	if err := yaml.Unmarshal(content, &config); err != nil {
		return nil, err
	}
	var all []inhibition
	for i, node := range config.InhibitRules {
		one, err := parseInhibition(node)
		if err != nil {
			return nil, fmt.Errorf("line %d: inhibit_rules, rule %d: %w", node.Line, i+1, err)
		}
		all = append(all, one)
	}
	return all, nil
}

func parseInhibition(node yaml.Node) (inhibition, error) {
	var rule struct {
		SourceMatchers []string          `yaml:"source_matchers"`
		TargetMatchers []string          `yaml:"target_matchers"`
		SourceMatch    map[string]string `yaml:"source_match"`
		TargetMatch    map[string]string `yaml:"target_match"`
		SourceMatchRE  map[string]string `yaml:"source_match_re"`
		TargetMatchRE  map[string]string `yaml:"target_match_re"`
		Equal          []string          `yaml:"equal"`
	}
	if err := node.Decode(&rule); err != nil {
		return inhibition{}, err
	}
	source, err := matchers(rule.SourceMatchers, rule.SourceMatch, rule.SourceMatchRE)
	if err != nil {
		return inhibition{}, fmt.Errorf("source: %w", err)
	}
	target, err := matchers(rule.TargetMatchers, rule.TargetMatch, rule.TargetMatchRE)
	if err != nil {
		return inhibition{}, fmt.Errorf("target: %w", err)
	}
	return inhibition{source, target, rule.Equal}, nil
}

// matchers joins the three spellings of an inhibition's matchers, all of which
// must match.
func matchers(lines []string, exact, regexps map[string]string) (amlabels.Matchers, error) {
	var all amlabels.Matchers
	for _, line := range lines {
		parsed, err := amlabels.ParseMatchers(line)
		if err != nil {
			return nil, err
		}
		all = append(all, parsed...)
	}
	for kind, values := range map[amlabels.MatchType]map[string]string{amlabels.MatchEqual: exact, amlabels.MatchRegexp: regexps} {
		for name, value := range values {
			m, err := amlabels.NewMatcher(kind, name, value)
			if err != nil {
				return nil, err
			}
			all = append(all, m)
		}
	}
	return all, nil
}

func labelSet(l labels.Labels) model.LabelSet {
	set := make(model.LabelSet, l.Len())
	l.Range(func(l labels.Label) { set[model.LabelName(l.Name)] = model.LabelValue(l.Value) })
	return set
}

// underCauses places each alert that another inhibits under the one at the
// root of its chain, and keeps the order otherwise.
func underCauses(alerts []firing, inhibitions []inhibition) []Finding {
	cause := directCauses(alerts, inhibitions)
	symptoms := make([][]Finding, len(alerts))
	var roots []int
	for t := range alerts {
		if root := rootOf(cause, t); root != t {
			symptoms[root] = append(symptoms[root], alerts[t].Finding)
		} else {
			roots = append(roots, t)
		}
	}
	var findings []Finding
	for _, r := range roots {
		f := alerts[r].Finding
		f.Symptoms = symptoms[r]
		findings = append(findings, f)
	}
	return findings
}

// directCauses returns for each alert the index of the one that inhibits it
// by the first rule that has such a one, or -1, by Alertmanager's rules: a
// label that is missing counts as empty, and of two alerts that match both
// sides neither inhibits the other.
func directCauses(alerts []firing, inhibitions []inhibition) []int {
	cause := slices.Repeat([]int{-1}, len(alerts))
	sets := make([]model.LabelSet, len(alerts))
	for i, a := range alerts {
		sets[i] = labelSet(a.labels)
	}
	for _, i := range inhibitions {
		isSource, isTarget := make([]bool, len(alerts)), make([]bool, len(alerts))
		sources := map[string][]int{} // by the values of the equal labels
		for s, set := range sets {
			isSource[s], isTarget[s] = i.source.Matches(set), i.target.Matches(set)
			if isSource[s] {
				key := i.key(alerts[s].labels)
				sources[key] = append(sources[key], s)
			}
		}
		for t := range alerts {
			if cause[t] >= 0 || !isTarget[t] {
				continue
			}
			for _, s := range sources[i.key(alerts[t].labels)] {
				if !isSource[t] || !isTarget[s] {
					cause[t] = s
					break
				}
			}
		}
	}
	return cause
}

// key joins the values of the equal labels.
func (i inhibition) key(of labels.Labels) string {
	var b strings.Builder
	for _, name := range i.equal {
		b.WriteString(of.Get(name))
		b.WriteByte(0xff) // in no UTF-8 text
	}
	return b.String()
}

// rootOf returns the root cause. Alertmanager would inhibit all alerts that inhibit
// each other in a circle; here the most urgent of the circle is the root cause, so
// that no fault disappears.
func rootOf(cause []int, of int) int {
	seen := map[int]bool{}
	at := of
	for cause[at] >= 0 && !seen[at] {
		seen[at] = true
		at = cause[at]
	}
	if cause[at] < 0 {
		return at
	}
	root := at
	for next := cause[at]; next != at; next = cause[next] {
		root = min(root, next)
	}
	return root
}
