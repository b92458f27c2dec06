package variant

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"time"

	"github.com/prometheus/common/model"
	labelset "github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
	"go.yaml.in/yaml/v3"
)

// flat replaces the recording rules of a rule file by their expressions.
// Nightingale has none. vmalert reads a recorded series back from a database, one
// evaluation later than Prometheus, so an alert would fire for a fault that has
// ended. A recording rule that reads its own earlier result holds it for a minute
// or two scrapes. Unless alerts is set, no alert reads ALERTS: vmalert stores that
// series, Nightingale does not.
func flat(text string, interval time.Duration, alerts bool) (string, error) {
	var file yaml.Node
	if err := yaml.Unmarshal([]byte(text), &file); err != nil {
		return "", err
	}
	p := parser.NewParser(parser.Options{})
	// The recording rules so far by name, with and without what they hold: what is
	// held is not held once more.
	recorded, bare := map[string]parser.Expr{}, map[string]parser.Expr{}
	for _, group := range field(file.Content[0], "groups").Content {
		rules := field(group, "rules")
		var alerting []*yaml.Node
		for _, rule := range rules.Content {
			source, name := field(rule, "expr"), field(rule, "record")
			expr, err := p.ParseExpr(source.Value)
			if err == nil && name != nil {
				expr, bare[name.Value], err = heldBriefly(p, expr, name.Value, bare, max(time.Minute, 2*interval+DefaultInterval))
			}
			if err == nil && !alerts {
				expr = withoutAlerts(expr)
			}
			if err == nil {
				expr, err = inline(p, expr, recorded)
			}
			if err != nil {
				return "", fmt.Errorf("line %d: %w", source.Line, err)
			}
			if name != nil {
				recorded[name.Value] = expr
				continue
			}
			source.Value, source.Style = expr.String(), yaml.SingleQuotedStyle
			setLastSeen(field(rule, "annotations"), expr)
			alerting = append(alerting, rule)
		}
		rules.Content = alerting
	}
	var out bytes.Buffer
	e := yaml.NewEncoder(&out)
	e.SetIndent(2)
	err := e.Encode(&file)
	return out.String(), err
}

// field returns the value of a key of a mapping, or nil.
func field(mapping *yaml.Node, key string) *yaml.Node {
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		if mapping.Content[i].Value == key {
			return mapping.Content[i+1]
		}
	}
	return nil
}

// heldBriefly replaces what a recording rule reads of its own earlier results by
// the last result within a window. It also returns the rule without these results.
func heldBriefly(p parser.Parser, expr parser.Expr, record string, recorded map[string]parser.Expr, window time.Duration) (held, bare parser.Expr, err error) {
	or, ok := expr.(*parser.BinaryExpr)
	holds := ok && or.Op == parser.LOR && reads(or.RHS, record)
	if holds {
		expr = or.LHS
	}
	if bare, err = p.ParseExpr(expr.String()); err == nil {
		bare, err = inline(p, bare, recorded)
	}
	if err != nil || !holds {
		return expr, bare, err
	}
	earlier, err := p.ParseExpr(fmt.Sprintf("last_over_time((%s)[%s:%s])", bare, model.Duration(window), model.Duration(DefaultInterval)))
	if err != nil {
		return nil, nil, err
	}
	or.RHS, err = inline(p, or.RHS, map[string]parser.Expr{record: earlier})
	return or, bare, err
}

// withoutAlerts removes the alternatives that read ALERTS.
func withoutAlerts(expr parser.Expr) parser.Expr {
	or, ok := expr.(*parser.BinaryExpr)
	if !ok || or.Op != parser.LOR || !reads(or.RHS, alertsSeries) {
		return expr
	}
	return or.LHS
}

const alertsSeries = "ALERTS"

// reads reports whether an expression selects series of this name.
func reads(expr parser.Expr, name string) bool {
	found := false
	parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
		s, ok := node.(*parser.VectorSelector)
		found = found || ok && s.Name == name
		return nil
	})
	return found
}

// setLastSeen writes the annotation last_seen without recording rules: the value
// of an alert that ALERTS holds is the time of the last collection, except that of
// RainbondNodeDown. Other alerts are not held for long.
func setLastSeen(annotations *yaml.Node, expr parser.Expr) {
	const key = "last_seen"
	if !reads(expr, alertsSeries) || reads(expr, "rainbond_node_down_since_timestamp_seconds") {
		for i := 0; i < len(annotations.Content); i += 2 {
			if annotations.Content[i].Value == key {
				annotations.Content = slices.Delete(annotations.Content, i, i+2)
				return
			}
		}
	} else if seen := field(annotations, key); seen != nil {
		*seen = yaml.Node{Kind: yaml.ScalarNode, Value: "{{ if gt $value 1000000000.0 }}{{ $value | humanizeTimestamp }}{{ end }}", Style: yaml.SingleQuotedStyle}
	}
}

// inline replaces the recording rules in an expression by their expressions.
func inline(p parser.Parser, expr parser.Expr, recorded map[string]parser.Expr) (parser.Expr, error) {
	var err error
	replace := func(e parser.Expr) parser.Expr {
		replaced, wrong := inline(p, e, recorded)
		err = errors.Join(err, wrong)
		return replaced
	}
	switch e := expr.(type) {
	case *parser.VectorSelector:
		if by, ok := recorded[e.Name]; ok {
			return selected(p, e, by)
		}
	case *parser.MatrixSelector:
		if name := e.VectorSelector.(*parser.VectorSelector).Name; recorded[name] != nil {
			return nil, fmt.Errorf("a range of the recording rule %s; expected an instant, because it cannot be inlined", name)
		}
	case *parser.ParenExpr:
		e.Expr = replace(e.Expr)
	case *parser.UnaryExpr:
		e.Expr = replace(e.Expr)
	case *parser.SubqueryExpr:
		e.Expr = replace(e.Expr)
	case *parser.AggregateExpr:
		e.Expr = replace(e.Expr)
	case *parser.BinaryExpr:
		e.LHS, e.RHS = replace(e.LHS), replace(e.RHS)
		if e.Op == parser.LAND || e.Op == parser.LUNLESS {
			e.RHS = presence(e.RHS)
		}
	case *parser.Call:
		for i := range e.Args {
			e.Args[i] = replace(e.Args[i])
		}
	}
	return expr, err
}

// presence simplifies an expression of which no value is read: 0 * a + b becomes
// a. The series of b are those of a.
func presence(expr parser.Expr) parser.Expr {
	switch e := expr.(type) {
	case *parser.ParenExpr:
		e.Expr = presence(e.Expr)
	case *parser.AggregateExpr:
		e.Expr = presence(e.Expr)
	case *parser.BinaryExpr:
		switch e.Op {
		case parser.LOR:
			e.LHS, e.RHS = presence(e.LHS), presence(e.RHS)
		case parser.LAND, parser.LUNLESS:
			e.LHS = presence(e.LHS)
		case parser.ADD:
			if product, ok := e.LHS.(*parser.BinaryExpr); ok && product.Op == parser.MUL && product.LHS.String() == "0" {
				return product.RHS
			}
		}
	}
	return expr
}

// selected returns the series of an expression that the matchers of a selector
// select. A matcher that cannot become a part of the expression marks the series
// with a label, which is removed again.
func selected(p parser.Parser, selector *parser.VectorSelector, by parser.Expr) (parser.Expr, error) {
	if selector.OriginalOffset != 0 {
		return nil, fmt.Errorf("an offset of the recording rule %s; expected none, because it cannot be inlined", selector.Name)
	}
	expr, err := p.ParseExpr("(" + by.String() + ")")
	for _, m := range selector.LabelMatchers {
		if m.Name == model.MetricNameLabel || err != nil || narrow(expr, m, false) && narrow(expr, m, true) {
			continue
		}
		value := m.Value
		if m.Type == labelset.MatchEqual || m.Type == labelset.MatchNotEqual {
			value = regexp.QuoteMeta(value)
		}
		operator := "and"
		if m.Type == labelset.MatchNotEqual || m.Type == labelset.MatchNotRegexp {
			operator = "unless"
		}
		const mark = `label_replace(vector(1), "selected", "1", "", "")`
		expr, err = p.ParseExpr(fmt.Sprintf(`label_replace(label_replace(%s, "selected", "1", %q, %q) %s on (selected) %s, "selected", "", "", "")`, expr, m.Name, value, operator, mark))
	}
	return expr, err
}

// narrow adds a matcher to the selectors of an expression, and reports whether
// the result then consists of the series that the matcher selects. It changes the
// expression only if change is set.
func narrow(expr parser.Expr, m *labelset.Matcher, change bool) bool {
	switch e := expr.(type) {
	case *parser.VectorSelector:
		if change {
			e.LabelMatchers = append(e.LabelMatchers, m)
		}
		return true
	case *parser.MatrixSelector:
		return narrow(e.VectorSelector, m, change)
	case *parser.SubqueryExpr:
		return narrow(e.Expr, m, change)
	case *parser.ParenExpr:
		return narrow(e.Expr, m, change)
	case *parser.AggregateExpr:
		return slices.Contains(e.Grouping, m.Name) != e.Without && narrow(e.Expr, m, change)
	case *parser.Call:
		replaces := e.Func.Name == "label_replace" && e.Args[1].(*parser.StringLiteral).Val != m.Name
		return (replaces || slices.Contains(samplewise, e.Func.Name)) && narrow(e.Args[0], m, change)
	case *parser.BinaryExpr:
		switch {
		case e.Op == parser.LAND || e.Op == parser.LUNLESS:
			return narrow(e.LHS, m, change)
		case e.Op == parser.LOR:
			matched := slices.Contains(e.VectorMatching.MatchingLabels, m.Name) == e.VectorMatching.On
			return matched && narrow(e.LHS, m, change) && narrow(e.RHS, m, change)
		case e.RHS.Type() == parser.ValueTypeScalar:
			return narrow(e.LHS, m, change)
		case e.LHS.Type() == parser.ValueTypeScalar:
			return narrow(e.RHS, m, change)
		}
	}
	return false
}

// samplewise are functions whose result has the labels of their argument.
var samplewise = []string{"abs", "changes", "increase", "rate", "last_over_time", "max_over_time", "min_over_time", "sum_over_time", "avg_over_time", "count_over_time"}
