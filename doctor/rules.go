package doctor

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
	"go.yaml.in/yaml/v3"

	"github.com/rainbond-exporter/rainbond-exporter/collector"
)

// promParser reads expressions as Prometheus does without feature flags.
var promParser = parser.NewParser(parser.Options{})

// A rule is one recording or alerting rule, with what its expression reads.
type rule struct {
	record, alert string
	text          string // the expression
	labels        map[string]string
	annotations   map[string]string
	holds         time.Duration // its for

	reads        []selection // recording rules followed
	needsHistory bool        // one collection cannot evaluate it
	absent       bool        // it asks for what is missing
}

// A selection is one selector of an expression over a metric of the catalogue.
type selection struct {
	metric   string
	slug     string
	matchers []*labels.Matcher
}

// metrics are the catalogue's metrics that the rule reads, sorted.
func (r rule) metrics() []string {
	return r.distinct(func(s selection) string { return s.metric })
}

// slugs are the symptoms whose metrics the rule reads, in document order.
func (r rule) slugs() []string {
	slugs := r.distinct(func(s selection) string { return s.slug })
	slices.SortStableFunc(slugs, bySlug)
	return slugs
}

func (r rule) distinct(of func(selection) string) []string {
	set := map[string]bool{}
	for _, s := range r.reads {
		set[of(s)] = true
	}
	return slices.Sorted(maps.Keys(set))
}

// slug is the symptom the rule belongs to: the one its section begins with,
// or else the first whose metrics it reads.
func (r rule) slug() string {
	section := r.annotations["section"]
	for _, slug := range collector.Slugs {
		if section == slug || strings.HasPrefix(section, slug+"-") {
			return slug
		}
	}
	if slugs := r.slugs(); section == "" && len(slugs) > 0 {
		return slugs[0]
	}
	return collector.SlugExporter
}

// LoadRules reads a rule file as Prometheus loads it. Each error has the line
// and the rule.
func LoadRules(content []byte) (*rulefmt.RuleGroups, error) {
	file, errs := rulefmt.Parse(content, false, model.UTF8Validation, promParser, slog.New(slog.DiscardHandler))
	if len(errs) > 0 {
		return nil, errors.Join(located(content, errs)...)
	}
	return file, nil
}

func parseRules(content []byte) ([]rule, error) {
	var file rulefmt.RuleGroups
	if err := yaml.Unmarshal(content, &file); err != nil {
		return nil, err
	}
	var rules []rule
	recorded := map[string]rule{}
	for _, group := range file.Groups {
		for _, r := range group.Rules {
			merged := maps.Clone(group.Labels)
			if merged == nil {
				merged = map[string]string{}
			}
			maps.Copy(merged, r.Labels)
			parsed := rule{record: r.Record, alert: r.Alert, text: strings.TrimSpace(r.Expr), labels: merged, annotations: r.Annotations, holds: time.Duration(r.For)}
			expr, err := promParser.ParseExpr(r.Expr)
			if err != nil {
				return nil, fmt.Errorf("%s%s: %w", r.Alert, r.Record, err)
			}
			parsed.inspect(expr, recorded)
			rules = append(rules, parsed)
			if r.Record != "" {
				merge(recorded, parsed)
			}
		}
	}
	return rules, nil
}

// merge adds a recording rule to those known by the name it records, under
// which several rules may write.
func merge(recorded map[string]rule, r rule) {
	known := recorded[r.record]
	known.reads = append(slices.Clone(known.reads), r.reads...)
	known.needsHistory = known.needsHistory || r.needsHistory
	known.absent = known.absent || r.absent
	recorded[r.record] = known
}

// inspect records what the expression reads and whether one collection is enough.
func (r *rule) inspect(expr parser.Expr, recorded map[string]rule) {
	parser.Inspect(expr, func(node parser.Node, path []parser.Node) error {
		switch n := node.(type) {
		case *parser.SubqueryExpr:
			r.needsHistory = true
		case *parser.MatrixSelector:
			call, ok := path[len(path)-1].(*parser.Call)
			r.needsHistory = r.needsHistory || !ok || !slices.Contains(ofOne, call.Func.Name)
		case *parser.Call:
			r.absent = r.absent || n.Func.Name == "absent"
		case *parser.VectorSelector:
			if n.OriginalOffset != 0 || n.OriginalOffsetExpr != nil || n.Timestamp != nil || n.StartOrEnd != 0 {
				r.needsHistory = true
			}
			r.selects(n, recorded)
		}
		return nil
	})
}

// ofOne are the functions over time that one collection can evaluate: of one
// value, the result is the value.
var ofOne = []string{"min_over_time", "max_over_time", "sum_over_time"}

// What a single evaluation does not have: the alerts of the previous evaluation
// in Prometheus, and the regions and nodes whose exporter is gone.
const (
	alertsMetric = "ALERTS"
	goneMetrics  = "_exporter_gone:timestamp"
)

// selects records one selector: the metrics of the catalogue and the recording rules
// that it selects, and what its labels leave of them. A selector of neither reads
// what no collector exports.
func (r *rule) selects(n *parser.VectorSelector, recorded map[string]rule) {
	if n.Name == alertsMetric || strings.HasSuffix(n.Name, goneMetrics) || n.Name == r.record && r.record != "" {
		return // a single evaluation has no earlier results
	}
	known := false
	for _, m := range collector.Catalogue {
		if Selects(n, m) {
			known = true
			r.reads = append(r.reads, selection{m.Name, m.Slug, n.LabelMatchers})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(recorded)) {
		if nameMatches(n.LabelMatchers, name) {
			known = true
			source := recorded[name]
			for _, read := range source.reads {
				read.matchers = append(slices.Clone(read.matchers), n.LabelMatchers...)
				r.reads = append(r.reads, read)
			}
			r.needsHistory = r.needsHistory || source.needsHistory
			r.absent = r.absent || source.absent
		}
	}
	if !known {
		r.needsHistory = true
	}
}

// Selects reports whether a selector can select a series of the metric.
func Selects(n *parser.VectorSelector, m collector.Metric) bool {
	if m.Type != prometheus.UntypedValue {
		return nameMatches(n.LabelMatchers, m.Name)
	}
	return slices.ContainsFunc(histogramSuffixes, func(suffix string) bool { return nameMatches(n.LabelMatchers, m.Name+suffix) })
}

func nameMatches(matchers []*labels.Matcher, name string) bool {
	for _, m := range matchers {
		if m.Name == model.MetricNameLabel && !m.Matches(name) {
			return false
		}
	}
	return true
}

// located adds the line and the rule to each error of rulefmt that lacks them, and
// removes duplicates.
func located(content []byte, errs []error) []error {
	lines := ruleLines(content)
	var found []error
	seen := map[string]bool{}
	for _, err := range errs {
		if seen[err.Error()] {
			continue
		}
		seen[err.Error()] = true
		var of *rulefmt.Error
		if !errors.As(err, &of) {
			found = append(found, err)
			continue
		}
		line, column := 0, 0
		if n, _ := fmt.Sscanf(of.Err.Error(), "%d:%d:", &line, &column); n != 2 || line == 0 {
			line = lines[ruleAt{of.Group, of.Rule}]
		}
		found = append(found, fmt.Errorf("line %d: group %q, rule %d, %q: %w", line, of.Group, of.Rule, of.RuleName, of.Err.Unwrap()))
	}
	return found
}

// ruleAt is a rule's place in a file: its group, and its number from 1.
type ruleAt struct {
	group string
	rule  int
}

func ruleLines(content []byte) map[ruleAt]int {
	var file struct {
		Groups []struct {
			Name  string      `yaml:"name"`
			Rules []yaml.Node `yaml:"rules"`
		} `yaml:"groups"`
	}
	lines := map[ruleAt]int{}
	if yaml.Unmarshal(content, &file) != nil {
		return lines // then rulefmt's merged error has the line
	}
	for _, group := range file.Groups {
		for i, node := range group.Rules {
			lines[ruleAt{group.Name, i + 1}] = node.Line
		}
	}
	return lines
}
