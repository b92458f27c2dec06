package variant

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"text/template/parse"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
)

// An N9eRule is an alert rule of Nightingale, with the fields that its import
// reads (AlertRule in models/alert_rule.go, v6 to v8).
type N9eRule struct {
	Cate             string            `json:"cate"`
	Prod             string            `json:"prod"`
	DatasourceIDs    []int64           `json:"datasource_ids"` // 0: all
	Name             string            `json:"name"`
	Note             string            `json:"note"` // a template, at most N9eNote characters
	Severity         int               `json:"severity"`
	Disabled         int               `json:"disabled"`
	PromForDuration  int               `json:"prom_for_duration"`  // seconds
	PromEvalInterval int               `json:"prom_eval_interval"` // seconds
	RuleConfig       N9eConfig         `json:"rule_config"`
	EnableStime      string            `json:"enable_stime"`
	EnableEtime      string            `json:"enable_etime"`
	EnableDaysOfWeek []string          `json:"enable_days_of_week"`
	NotifyRecovered  int               `json:"notify_recovered"`
	NotifyRepeatStep int               `json:"notify_repeat_step"` // minutes
	RecoverDuration  int               `json:"recover_duration"`   // seconds
	Callbacks        []string          `json:"callbacks"`
	RunbookURL       string            `json:"runbook_url"`
	AppendTags       []string          `json:"append_tags"` // name=value
	Annotations      map[string]string `json:"annotations"` // templates
}

// An N9eConfig contains the queries of a rule.
type N9eConfig struct {
	Queries []N9eQuery `json:"queries"`
}

// An N9eQuery is one expression with its severity.
type N9eQuery struct {
	PromQL   string `json:"prom_ql"`
	Severity int    `json:"severity"`
}

// N9eNote is the size of the column alert_rule.note in characters.
const N9eNote = 1024

// n9eSeverity are Nightingale's severities. A rule of another severity, the dead
// man's switch, is left out: Nightingale has no receiver for it.
var n9eSeverity = map[string]int{"critical": 1, "warning": 2, "info": 3}

// N9eFunctions are the template functions of every version of Nightingale that
// the texts may use. Its value is a string, so that comparisons with it fail.
var N9eFunctions = []string{"and", "or", "not", "eq", "ne", "printf", "urlquery", "reReplaceAll", "match", "humanize", "humanize1024", "humanizeDuration", "humanizePercentage"}

// nightingale converts a rule file without recording rules into alert rules of
// Nightingale.
func (o Options) nightingale(text string) ([]byte, error) {
	groups, errs := rulefmt.Parse([]byte(text), false, model.UTF8Validation, parser.NewParser(parser.Options{}), slog.New(slog.DiscardHandler))
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	all, names := []N9eRule{}, map[string]int{}
	for _, group := range groups.Groups {
		for _, r := range group.Rules {
			severity, ok := n9eSeverity[r.Labels["severity"]]
			if !ok {
				continue
			}
			names[r.Alert]++
			name := r.Alert
			if n := names[r.Alert]; n > 1 {
				name = fmt.Sprintf("%s-%d", name, n)
			}
			rule := N9eRule{
				Cate: "prometheus", Prod: "metric", DatasourceIDs: []int64{0}, Name: name, Severity: severity,
				PromForDuration: int(time.Duration(r.For).Seconds()), PromEvalInterval: int(o.Interval.Seconds()),
				RuleConfig:  N9eConfig{[]N9eQuery{{r.Expr, severity}}},
				EnableStime: "00:00", EnableEtime: "23:59", EnableDaysOfWeek: []string{"0", "1", "2", "3", "4", "5", "6"},
				NotifyRecovered: 1, NotifyRepeatStep: 60, RecoverDuration: int(time.Duration(r.KeepFiringFor).Seconds()),
				Callbacks: []string{}, RunbookURL: r.Annotations["runbook_url"], AppendTags: []string{"alertname=" + r.Alert}, Annotations: map[string]string{},
			}
			for name, value := range r.Labels {
				rule.AppendTags = append(rule.AppendTags, name+"="+value)
			}
			slices.Sort(rule.AppendTags)
			for name, text := range r.Annotations {
				var err error
				if rule.Annotations[name], err = simplified(text); err != nil {
					return nil, fmt.Errorf("rule %s: %s: %w", r.Alert, name, err)
				}
			}
			rule.Note = note(rule.Annotations)
			all = append(all, rule)
		}
	}
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	err := e.Encode(all)
	return out.Bytes(), err
}

// note returns the summary and as many lines of the description as fit.
func note(annotations map[string]string) string {
	text := annotations["summary"]
	fits := text
	for line := range strings.Lines("\n" + annotations["description"]) {
		if text += line; len([]rune(text)) > N9eNote {
			break
		}
		if _, err := parsed(text); err == nil { // no block is open
			fits = text
		}
	}
	return strings.TrimRight(fits, "\n")
}

// withoutTimestamp removes a time that not every version of Nightingale formats.
var withoutTimestamp = strings.NewReplacer(" since {{ $value | humanizeTimestamp }}", "", "自 {{ $value | humanizeTimestamp }} 起", "")

// neutral replaces sentences that are true only if a query has no result, and
// punctuation around what was removed.
var neutral = strings.NewReplacer(
	": a certificate has expired", ": a certificate expires soon or has expired", "：有证书已经到期", "：有证书即将或已经到期",
	": the reason is unknown.", ".", "： 原因未知。", "。",
	"These copies differ: console and region-config; fill in", "The dashboard shows which copies differ. Fill in", "不一致的是：控制台与 region-config；", "仪表盘显示哪些副本不一致。",
	"Cause: In {{$labels.place}}: it exists again, but rbd-api is not ready yet;", "Cause: The certificate in {{$labels.place}} is missing or damaged, or its key does not match.",
	"原因：{{$labels.place}} 中：它已经恢复，rbd-api 还没有就绪；", "原因：{{$labels.place}} 中的证书缺失、损坏，或私钥不配对。",
	" Platform components affected: none yet.", "", "受影响的平台组件： 暂无。", "",
	"The exporter stopped during DiskPressure. This is the last known state.", "The node has the condition DiskPressure.", "exporter 在 DiskPressure 期间停止，这是最后已知的状态。", "节点处于 DiskPressure 状态。",
	" Platform components on it: none.", "", "其中的平台组件： 无。", "",
	":.", ".", "：。", "。",
)

// simplified removes what Nightingale cannot expand from a template: queries,
// comparisons of the value, other functions. An alternative without them (else)
// remains.
func simplified(text string) (string, error) {
	tree, err := parsed(withoutTimestamp.Replace(text))
	if err != nil {
		return "", err
	}
	list := tree.Root
	list.Nodes = list.Nodes[2:]
	return neutral.Replace(expandable(list).String()), nil
}

// parsed parses a template with the variables of alerts.
func parsed(text string) (*parse.Tree, error) {
	tree := parse.New("text")
	tree.Mode = parse.SkipFuncCheck
	return tree.Parse("{{$labels := .}}{{$value := .}}"+text, "", "", map[string]*parse.Tree{})
}

func expandable(list *parse.ListNode) *parse.ListNode {
	if list == nil {
		return nil
	}
	var remaining []parse.Node
	branch := func(node parse.Node, b *parse.BranchNode) {
		b.List, b.ElseList = expandable(b.List), expandable(b.ElseList)
		switch {
		case known(b.Pipe):
			remaining = append(remaining, node)
		case b.ElseList != nil:
			remaining = append(remaining, b.ElseList.Nodes...)
		}
	}
	for _, node := range list.Nodes {
		switch node := node.(type) {
		case *parse.ActionNode:
			if known(node.Pipe) {
				remaining = append(remaining, node)
			}
		case *parse.IfNode:
			branch(node, &node.BranchNode)
		case *parse.WithNode:
			branch(node, &node.BranchNode)
		case *parse.RangeNode:
			branch(node, &node.BranchNode)
		default:
			remaining = append(remaining, node)
		}
	}
	list.Nodes = remaining
	return list
}

// known reports whether Nightingale can evaluate a pipeline. Nightingale expands
// annotations as JSON, where quotes are escaped: strings become raw strings.
func known(pipe *parse.PipeNode) bool {
	for _, command := range pipe.Cmds {
		function := ""
		for i, arg := range command.Args {
			switch arg := arg.(type) {
			case *parse.IdentifierNode:
				if !slices.Contains(N9eFunctions, arg.Ident) {
					return false
				}
				function = arg.Ident
			case *parse.StringNode:
				if strings.ContainsAny(arg.Text, "`\\<>&\n") {
					return false
				}
				arg.Quoted = "`" + arg.Text + "`"
			case *parse.VariableNode:
				if arg.Ident[0] == "$value" && (function == "eq" || function == "ne") {
					return false
				}
				if arg.Ident[0] == "$labels" && function != "" { // a missing label is no valid argument, but index returns ""
					command.Args[i] = parse.NewIdentifier("(index $labels `" + arg.Ident[1] + "`)")
				}
			case *parse.PipeNode:
				if !known(arg) {
					return false
				}
			}
		}
	}
	return true
}
