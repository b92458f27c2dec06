package lint

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"text/template/parse"

	"github.com/prometheus/common/model"

	"github.com/rainbond-exporter/rainbond-exporter/doctor"
	"github.com/rainbond-exporter/rainbond-exporter/rules"
)

// The fields of messages and alerts in an Alertmanager template, and the methods of
// sets of labels and of alerts.
var (
	messageFields = strings.Fields("Receiver Status Alerts NotificationReason GroupLabels CommonLabels CommonAnnotations RouteLabels ExternalURL " +
		"Labels Annotations StartsAt EndsAt GeneratorURL Fingerprint Name Value")
	setMethods   = strings.Fields("SortedPairs Remove Names Values String")
	alertMethods = strings.Fields("Firing Resolved")
)

// Template checks a file of Alertmanager templates. The error has one line per fault,
// with its line number: what Alertmanager rejects, and labels and annotations that no
// embedded rule has, which would be empty in the message. It returns nil for a
// correct file.
func Template(content []byte) error {
	groups, err := doctor.LoadRules(rules.Rules)
	if err != nil {
		return err
	}
	all := allRules(groups)
	labels, annotations := append(knownLabels(all), model.AlertNameLabel), slices.Clone(rules.LinkAnnotations)
	for _, r := range all {
		for name := range r.Annotations {
			annotations = append(annotations, name)
		}
	}
	text, trees := string(content), map[string]*parse.Tree{}
	tree := parse.New("template")
	tree.Mode = parse.SkipFuncCheck // the functions are those of Alertmanager
	if _, err := tree.Parse(text, "", "", trees); err != nil {
		return errors.New(strings.Replace(err.Error(), "template: template:", "line ", 1))
	}
	type fault struct {
		line int
		what string
	}
	var found []fault
	for _, tree := range trees {
		fields(tree.Root, func(node parse.Node, path []string) {
			if what := wrongPath(path, labels, annotations); what != "" {
				found = append(found, fault{1 + strings.Count(text[:node.Position()], "\n"), what})
			}
		})
	}
	slices.SortStableFunc(found, func(a, b fault) int { return a.line - b.line })
	var lines []error
	for _, f := range found {
		lines = append(lines, fmt.Errorf("line %d: %s", f.line, f.what))
	}
	return errors.Join(lines...)
}

// wrongPath describes a field that does not exist; "" for a correct one.
func wrongPath(path, labels, annotations []string) string {
	if len(path) == 0 {
		return ""
	}
	if !slices.Contains(messageFields, path[0]) {
		return fmt.Sprintf("neither a message nor an alert has a field %s", path[0])
	}
	if len(path) == 1 {
		return ""
	}
	switch of, asked := path[0], path[1]; {
	case of == "Alerts" && !slices.Contains(alertMethods, asked):
		return fmt.Sprintf("alerts are Firing or Resolved, not %s", asked)
	case strings.HasSuffix(of, "Labels") && !slices.Contains(setMethods, asked) && !slices.Contains(labels, asked):
		return fmt.Sprintf("no metric has the label %s", asked)
	case strings.HasSuffix(of, "Annotations") && !slices.Contains(setMethods, asked) && !slices.Contains(annotations, asked):
		return fmt.Sprintf("no alert has the annotation %s", asked)
	}
	return ""
}

// fields visits every path of fields that a template asks for.
func fields(node parse.Node, visit func(node parse.Node, path []string)) {
	switch n := node.(type) {
	case *parse.ListNode:
		if n != nil {
			for _, one := range n.Nodes {
				fields(one, visit)
			}
		}
	case *parse.PipeNode:
		if n != nil {
			for _, one := range n.Cmds {
				fields(one, visit)
			}
		}
	case *parse.CommandNode:
		for _, one := range n.Args {
			fields(one, visit)
		}
	case *parse.ActionNode:
		fields(n.Pipe, visit)
	case *parse.TemplateNode:
		fields(n.Pipe, visit)
	case *parse.IfNode:
		branches(&n.BranchNode, visit)
	case *parse.RangeNode:
		branches(&n.BranchNode, visit)
	case *parse.WithNode:
		branches(&n.BranchNode, visit)
	case *parse.FieldNode:
		visit(n, n.Ident)
	case *parse.VariableNode: // $.Status, $alert.Labels.node
		visit(n, n.Ident[1:])
	case *parse.ChainNode: // what a pipeline in parentheses gives is not known
		fields(n.Node, visit)
	}
}

func branches(n *parse.BranchNode, visit func(node parse.Node, path []string)) {
	fields(n.Pipe, visit)
	fields(n.List, visit)
	fields(n.ElseList, visit)
}
