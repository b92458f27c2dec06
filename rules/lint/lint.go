// Package lint checks rule files and message templates.
package lint

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/template"
	"go.yaml.in/yaml/v3"

	"github.com/rainbond-exporter/rainbond-exporter/collector"
	"github.com/rainbond-exporter/rainbond-exporter/doctor"
	"github.com/rainbond-exporter/rainbond-exporter/rules"
)

// Rules checks a rule file. The error has one line per fault, with its line number:
// rules that Prometheus rejects, alerts without a section of the guide, unknown
// metrics, and texts with unknown labels, which Prometheus only reports when the
// alert fires. It returns nil for a correct file.
func Rules(ctx context.Context, content []byte) error {
	var file ruleFile
	if err := yaml.Unmarshal(content, &file); err != nil {
		return err // it names the line
	}
	var found []error
	for _, group := range file.Groups {
		for _, node := range append(group.Rules, group.Interval) {
			found = append(found, badDurations(node)...)
		}
	}
	if len(found) > 0 { // the loader would not report the line
		return errors.Join(found...)
	}
	groups, err := doctor.LoadRules(content)
	if err != nil {
		return err
	}
	all := allRules(groups)
	if len(all) == 0 {
		return errors.New("line 1: no rule; expected groups, and rules in them")
	}
	known, recorded := knownLabels(all), map[string]bool{}
	for _, r := range all {
		recorded[r.Record] = true
	}
	for _, group := range file.Groups {
		for _, node := range group.Rules {
			found = append(found, checkSelectors(node, recorded)...)
			found = append(found, checkAlert(ctx, node, known)...)
		}
	}
	return errors.Join(found...)
}

// promParser reads expressions as Prometheus does without feature flags.
var promParser = parser.NewParser(parser.Options{})

// allRules are the rules of all groups, with the labels of their groups.
func allRules(file *rulefmt.RuleGroups) []rulefmt.Rule {
	var all []rulefmt.Rule
	for _, group := range file.Groups {
		for _, r := range group.Rules {
			merged := maps.Clone(group.Labels)
			if merged == nil {
				merged = map[string]string{}
			}
			maps.Copy(merged, r.Labels)
			r.Labels = merged
			all = append(all, r)
		}
	}
	return all
}

// A ruleFile is a rule file with line numbers.
type ruleFile struct {
	Groups []struct {
		Name     string      `yaml:"name"`
		Interval yaml.Node   `yaml:"interval"`
		Rules    []yaml.Node `yaml:"rules"`
	} `yaml:"groups"`
}

// durations are the keys whose values are times.
var durations = []string{"for", "keep_firing_for"}

func badDurations(node yaml.Node) []error {
	var found []error
	check := func(key string, value *yaml.Node) {
		if _, err := model.ParseDuration(value.Value); err != nil {
			found = append(found, fmt.Errorf("line %d: %s: %q is no time; expected one such as 2m", value.Line, key, value.Value))
		}
	}
	if node.Kind == yaml.ScalarNode {
		check("interval", &node)
	}
	for _, key := range durations {
		if value := field(&node, key); value != nil {
			check(key, value)
		}
	}
	return found
}

// field is the value under a key of a mapping, aliases followed; nil, where
// there is none.
func field(node *yaml.Node, key string) *yaml.Node {
	if node.Kind == yaml.AliasNode {
		node = node.Alias
	}
	if node.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(node.Content); i += 2 {
		if node.Content[i].Value == key {
			return node.Content[i+1]
		}
	}
	return nil
}

// checkSelectors checks that every metric with our prefix is exported by a collector
// or recorded by a rule of the file. Otherwise the expression is always empty.
func checkSelectors(node yaml.Node, recorded map[string]bool) []error {
	text := field(&node, "expr")
	expr, err := promParser.ParseExpr(text.Value)
	if err != nil {
		return nil // LoadRules has parsed it before
	}
	var found []error
	parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
		n, ok := node.(*parser.VectorSelector)
		if ok && strings.HasPrefix(n.Name, "rainbond_") && !recorded[n.Name] &&
			!slices.ContainsFunc(collector.Catalogue, func(m collector.Metric) bool { return doctor.Selects(n, m) }) {
			found = append(found, fmt.Errorf("line %d: expr: no collector exports %s, and no rule of this file records it", text.Line, n.Name))
		}
		return nil
	})
	return found
}

// checkAlert checks the labels and annotations of an alert.
func checkAlert(ctx context.Context, node yaml.Node, known []string) []error {
	alert := field(&node, "alert")
	if alert == nil {
		return nil
	}
	var found []error
	annotations := field(&node, "annotations")
	if annotations == nil {
		annotations = &yaml.Node{}
	}
	if section := field(annotations, "section"); section == nil || section.Value == "" {
		found = append(found, fmt.Errorf("line %d: alert %s: no annotation section, which links to the guide", alert.Line, alert.Value))
	}
	for _, texts := range []*yaml.Node{field(&node, "labels"), annotations} {
		if texts == nil {
			continue
		}
		if texts.Kind == yaml.AliasNode {
			continue // checked where it is defined
		}
		for i := 0; i+1 < len(texts.Content); i += 2 {
			key, text := texts.Content[i], texts.Content[i+1]
			for _, err := range checkText(ctx, text.Value, known) {
				found = append(found, fmt.Errorf("line %d: alert %s: %s: %w", text.Line, alert.Value, key.Value, err))
			}
		}
	}
	return found
}

// askedLabel is where a text asks for a label by its name.
var askedLabel = regexp.MustCompile(`(?:\$labels|\.Labels)\.(\w+)`)

// checkText expands a text as Prometheus does, with queries that return nothing, and
// checks that its labels exist.
func checkText(ctx context.Context, text string, known []string) []error {
	query := func(context.Context, string, time.Time) (promql.Vector, error) { return nil, nil }
	data := template.AlertTemplateData(map[string]string{}, nil, "", promql.Sample{})
	expander := template.NewTemplateExpander(ctx, "{{$labels := .Labels}}{{$externalLabels := .ExternalLabels}}{{$value := .Value}}"+text, "text", data, 0, query, &url.URL{}, nil)
	if _, err := expander.Expand(); err != nil {
		return []error{err}
	}
	var found []error
	for _, asked := range askedLabel.FindAllStringSubmatch(text, -1) {
		if !slices.Contains(known, asked[1]) {
			found = append(found, fmt.Errorf("no metric has the label %s", asked[1]))
		}
	}
	return found
}

// knownLabels returns the labels that an alert can have: those of metrics, targets
// and rules, and those that expressions add.
func knownLabels(all []rulefmt.Rule) []string {
	known := []string{model.AlertNameLabel, model.JobLabel, model.InstanceLabel}
	for _, m := range collector.Catalogue {
		known = append(known, m.Labels...)
	}
	for _, r := range all {
		for name := range r.Labels {
			known = append(known, name)
		}
		expr, err := promParser.ParseExpr(r.Expr)
		if err != nil {
			continue // LoadRules has parsed it before
		}
		parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
			if aggregate, ok := node.(*parser.AggregateExpr); ok && !aggregate.Without {
				if i := slices.Index(aggregate.Grouping, rules.RegionLabel); i > 0 { // before it, the labels of the identity
					known = append(known, aggregate.Grouping[:i]...)
				}
			}
			if call, ok := node.(*parser.Call); ok && len(call.Args) > 1 {
				if name, ok := call.Args[1].(*parser.StringLiteral); ok { // of label_replace and label_join
					known = append(known, name.Val)
				}
			}
			return nil
		})
	}
	return known
}
