package variant

import (
	"bytes"
	"fmt"

	"github.com/prometheus/prometheus/promql/parser"
	"go.yaml.in/yaml/v3"
)

// flat replaces the recording rules of a rule file by their expressions. vmalert
// reads a recorded series back from a database, one evaluation later than
// Prometheus, so an alert would fire for a fault that has ended.
func flat(text string) (string, error) {
	var file yaml.Node
	if err := yaml.Unmarshal([]byte(text), &file); err != nil {
		return "", err
	}
	p := parser.NewParser(parser.Options{})
	recorded := map[string]parser.Expr{}
	for _, group := range field(file.Content[0], "groups").Content {
		rules := field(group, "rules")
		var alerts []*yaml.Node
		for _, rule := range rules.Content {
			source := field(rule, "expr")
			expr, err := p.ParseExpr(source.Value)
			if err == nil {
				expr, err = inline(p, expr, recorded)
			}
			if err != nil {
				return "", fmt.Errorf("line %d: %w", source.Line, err)
			}
			if name := field(rule, "record"); name != nil {
				recorded[name.Value] = expr
				continue
			}
			source.Value, source.Style = expr.String(), yaml.SingleQuotedStyle
			alerts = append(alerts, rule)
		}
		rules.Content = alerts
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
