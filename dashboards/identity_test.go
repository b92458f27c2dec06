package dashboards

import (
	"fmt"
	"hash/fnv"
	"log/slog"
	"maps"
	"math"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"

	"github.com/rainbond-exporter/rainbond-exporter/collector"
	"github.com/rainbond-exporter/rainbond-exporter/doctor/samples"
	"github.com/rainbond-exporter/rainbond-exporter/rules"
)

// identityLists are lists of labels that identify a platform together with the
// region.
var identityLists = [][]string{{"cluster"}, {"tenant"}, {"tenant", "site"}, {"cluster", "tenant"}, {}}

// TestQueriesAreScoped: every selector follows the variables of the identity
// labels, and a grouping or a join that has the region has them too. No other
// query has a label cluster.
func TestQueriesAreScoped(t *testing.T) {
	for _, identity := range identityLists {
		for _, m := range modelsFor(t, Langs[0], identity) {
			for where, expr := range m.queries() {
				scoped(t, identity, where, expr)
			}
		}
	}
}

func scoped(t *testing.T, identity []string, where, expr string) {
	t.Helper()
	for _, name := range identity {
		expr = strings.ReplaceAll(expr, "$"+name, "chosen-"+name)
	}
	parsed, err := parser.NewParser(parser.Options{}).ParseExpr(variables.Replace(expr))
	if err != nil {
		t.Fatal(err)
	}
	listed := func(list []string) {
		for _, name := range identity {
			if slices.Contains(list, rules.RegionLabel) && !slices.Contains(list, name) {
				t.Errorf("%q: %s: (%s) lacks %s", identity, where, strings.Join(list, ", "), name)
			}
		}
		if slices.Contains(list, "cluster") && !slices.Contains(identity, "cluster") {
			t.Errorf("%q: %s: (%s) has cluster", identity, where, strings.Join(list, ", "))
		}
	}
	parser.Inspect(parsed, func(node parser.Node, _ []parser.Node) error {
		switch node := node.(type) {
		case *parser.AggregateExpr:
			listed(node.Grouping)
		case *parser.BinaryExpr:
			if node.VectorMatching != nil && node.VectorMatching.On {
				listed(node.VectorMatching.MatchingLabels)
			}
		case *parser.VectorSelector:
			var selected []string
			for _, m := range node.LabelMatchers {
				selected = append(selected, m.Name)
			}
			if slices.Contains(selected, "cluster") && !slices.Contains(identity, "cluster") {
				t.Errorf("%q: %s: %s selects cluster", identity, where, node)
			}
			for _, name := range identity {
				if !slices.ContainsFunc(node.LabelMatchers, func(m *labels.Matcher) bool {
					return m.Name == name && (m.Type == labels.MatchRegexp && m.Value == "chosen-"+name || node.Name == "ALERTS" && m.Value == "")
				}) {
					t.Errorf("%q: %s: %s does not follow $%s", identity, where, node, name)
				}
			}
		}
		return nil
	})
}

// TestLinksCarryThePlatform: links between dashboards, legends, columns and
// variables have the identity labels.
func TestLinksCarryThePlatform(t *testing.T) {
	for _, identity := range identityLists {
		for _, lang := range Langs {
			for name, text := range filesFor(t, lang, identity) {
				where := fmt.Sprintf("%q: %s/%s", identity, lang, name)
				for _, m := range regexp.MustCompile(`"(?:url|legendFormat)": "(.*(?:&var-region=|\{\{rainbond_region\}\}).*)"`).FindAllStringSubmatch(string(text), -1) {
					for _, label := range identity {
						if !strings.Contains(m[1], "&var-"+label+"=${__data.fields."+label+"}&") && !strings.Contains(m[1], "{{"+label+"}}") {
							t.Errorf("%s: %s lacks %s", where, m[1], label)
						}
					}
				}
				columns := strings.Count(string(text), `"rainbond_region": "`)
				for _, label := range identity {
					if got := strings.Count(string(text), `"`+label+`": "`+label+`"`); got < columns {
						t.Errorf("%s: %d columns %s, %d of regions", where, got, label, columns)
					}
					if got := strings.Count(string(text), `"definition": "label_values(rainbond_api_up, `+label+`)"`); got != 1 {
						t.Errorf("%s: %d variables %s", where, got, label)
					}
				}
				rest := strings.NewReplacer("/v2/cluster/ready", "", "this cluster", "", "the cluster", "").Replace(string(text))
				if !slices.Contains(identity, "cluster") && regexp.MustCompile(`\bcluster\b`).MatchString(rest) {
					t.Errorf("%s: cluster is left: %q", where, regexp.MustCompile(`.{0,40}\bcluster\b.{0,20}`).FindString(rest))
				}
			}
		}
	}
}

// TestAlertLabels: the number of alerts counts two alerts with different labels
// as two.
func TestAlertLabels(t *testing.T) {
	file, errs := rulefmt.Parse(rules.Rules, false, model.LegacyValidation, parser.NewParser(parser.Options{}), slog.New(slog.DiscardHandler))
	if errs != nil {
		t.Fatal(errs)
	}
	known := strings.Split(alertLabels, ", ")
	for _, group := range file.Groups {
		for _, r := range group.Rules {
			expr, err := parser.NewParser(parser.Options{}).ParseExpr(r.Expr)
			if err != nil {
				t.Fatal(err)
			}
			for _, label := range resultLabels(expr) {
				if r.Alert != "" && !slices.Contains(known, label) {
					t.Errorf("%s: alertLabels lacks %s", r.Alert, label)
				}
			}
		}
	}
}

// resultLabels returns the labels of the result of an expression, apart from
// those of plain selectors.
func resultLabels(expr parser.Expr) []string {
	switch e := expr.(type) {
	case *parser.ParenExpr:
		return resultLabels(e.Expr)
	case *parser.AggregateExpr:
		if !e.Without {
			return e.Grouping
		}
		return resultLabels(e.Expr)
	case *parser.BinaryExpr:
		all := slices.Clone(resultLabels(e.LHS))
		if e.VectorMatching != nil {
			all = append(all, e.VectorMatching.Include...)
		}
		if e.Op == parser.LOR {
			all = append(all, resultLabels(e.RHS)...)
		}
		return all
	case *parser.Call:
		var all []string
		for _, arg := range e.Args {
			all = append(all, resultLabels(arg)...)
		}
		if e.Func.Name == "label_replace" || e.Func.Name == "label_join" {
			all = append(all, e.Args[1].(*parser.StringLiteral).Val)
		}
		return all
	}
	return nil
}

// TestPlatformsAndReplicas: what a panel shows of a platform does not change if
// there is another platform with the same names, a second Prometheus or a second
// exporter. A platform may have no label cluster.
func TestPlatformsAndReplicas(t *testing.T) {
	alone := world(1, "", "")
	answers := ask(t, alone, ".*")
	if empty := len(slices.DeleteFunc(slices.Collect(maps.Values(answers)), func(a string) bool { return a != "" })); empty > len(answers)/10 {
		t.Errorf("%d of %d queries have no answer", empty, len(answers))
	}
	for name, other := range map[string]struct {
		series  []*samples.Series
		chosen  string
		differs []string // panels
	}{
		"two Prometheus servers": {append(world(1, "", "", "replica", "a"), world(1, "", "", "replica", "b")...), ".*", nil},
		// The panels count exporters.
		"two exporters":                          {append(world(1, "", "0"), world(1, "", "1")...), ".*", []string{"rainbond-overview/5", "rainbond-overview/11"}},
		"another platform":                       {append(world(1, "t", ""), world(2, "n", "")...), "t", nil},
		"a platform without a label":             {append(world(1, "t", ""), world(2, "", "")...), "t", nil},
		"chosen without a label":                 {append(world(1, "", ""), world(2, "n", "")...), "", nil},
		"another platform with other names":      {append(world(1, "t", ""), world(2, "tt", "")...), "t", nil},
		"the same platform, of several selected": {world(1, "t", ""), "(n|t)", nil},
	} {
		t.Run(name, func(t *testing.T) {
			for where, answer := range ask(t, other.series, other.chosen) {
				panel, _, _ := strings.Cut(where, " ")
				if answer != answers[where] && !slices.Contains(other.differs, panel) {
					t.Errorf("%s shows\n%s\nwant\n%s", where, answer, answers[where])
				}
			}
		})
	}
}

// TestPlatformsThatDifferInOneLabel: two platforms have the same cluster and the
// same region, and different tenants. With the identity tenant, or cluster and
// tenant, each is shown as if it were alone.
func TestPlatformsThatDifferInOneLabel(t *testing.T) {
	both := append(world(1, "c", "", "tenant", "t"), world(2, "c", "", "tenant", "n")...)
	for _, identity := range [][]string{{"tenant"}, {"cluster", "tenant"}} {
		for seed, tenant := range []string{1: "t", 2: "n"} {
			if tenant == "" {
				continue
			}
			alone := askFor(t, identity, world(seed, "c", "", "tenant", tenant), nil)
			for where, answer := range askFor(t, identity, both, map[string]string{"cluster": "c", "tenant": tenant}) {
				if answer != alone[where] {
					t.Errorf("%q: %s shows of %s\n%s\nwant\n%s", identity, where, tenant, answer, alone[where])
				}
			}
		}
	}
}

// now is the time of the queries.
var now = time.Unix(1800000000, 0)

// ask returns the answers of all queries, without the label cluster.
func ask(t *testing.T, all []*samples.Series, chosen string) map[string]string {
	t.Helper()
	return askFor(t, rules.DefaultIdentity, all, map[string]string{"cluster": chosen})
}

// askFor returns the answers of all queries of the dashboards with an identity,
// without its labels. A variable that is not chosen is All.
func askFor(t *testing.T, identity []string, all []*samples.Series, chosen map[string]string) map[string]string {
	t.Helper()
	engine := promql.NewEngine(promql.EngineOpts{MaxSamples: 1e7, Timeout: time.Minute, Parser: parser.NewParser(parser.Options{})})
	var stored samples.Storage
	stored.Put(all...)
	answers := map[string]string{}
	for _, m := range modelsFor(t, Langs[0], identity) {
		for where, expr := range m.queries() {
			for _, name := range identity {
				value, ok := chosen[name]
				if !ok {
					value = ".*"
				}
				expr = strings.ReplaceAll(expr, "$"+name, value)
			}
			query, err := engine.NewInstantQuery(t.Context(), &stored, nil, variables.Replace(expr), now)
			if err != nil {
				t.Fatal(err)
			}
			result := query.Exec(t.Context())
			vector, err := result.Vector()
			if err != nil {
				t.Fatalf("%s: %v", where, err)
			}
			var lines []string
			for _, s := range vector {
				lines = append(lines, fmt.Sprintf("%s %.6g", labels.NewBuilder(s.Metric).Del(identity...).Labels(), s.F))
			}
			slices.Sort(lines)
			answers[where] = strings.Join(lines, "\n")
		}
	}
	return answers
}

// world returns series of every metric, of one exporter of one region: their
// values depend on the seed.
func world(seed int, cluster, exporter string, more ...string) []*samples.Series {
	values := map[string][]string{
		"rainbond_region": {"rainbond"}, "place": {"console", "served", "region-config", "server-secret"}, "reference": {"console", "served", "server-secret"},
		"kind": {"ca", "server"}, "component": {"rbd-api", "rbd-chaos"}, "class": {"benign", "trust"}, "reason": {"NoNode", "refused"}, "phase": {"connect", "tls"},
		"condition": {"DiskPressure", "Ready"}, "role": {"none", "worker"}, "signal": {"nodefs.available"}, "collector": {"api", "disk"}, "le": {"0.1", "1", "+Inf"},
		"node": {"n1", "n2"}, "severity": {"critical", "warning"}, "alertname": {"RainbondA", "RainbondB"}, "alertstate": {"firing"},
	}
	var all []*samples.Series
	var add func(kind prometheus.ValueType, pairs, rest []string)
	add = func(kind prometheus.ValueType, pairs, rest []string) {
		if len(rest) > 0 {
			some := values[rest[0]]
			if some == nil {
				some = []string{rest[0] + "-1", rest[0] + "-2"}
			}
			for _, value := range some {
				add(kind, append(slices.Clone(pairs), rest[0], value), rest[1:])
			}
			return
		}
		before := labels.FromStrings(pairs...)
		pairs = append(append(pairs, "cluster", cluster), more...)
		if !slices.Contains(pairs, "ALERTS") {
			pairs = append(pairs, "job", "rainbond-exporter", "instance", "exporter-"+exporter)
		}
		one := &samples.Series{Labels: labels.FromMap(unlabelled(pairs))}
		fill(one, seed, kind, before)
		all = append(all, one)
	}
	for _, m := range collector.Catalogue {
		if m.Type == prometheus.UntypedValue {
			add(m.Type, []string{model.MetricNameLabel, m.Name + "_bucket"}, append(slices.Clone(m.Labels), "le"))
		} else {
			add(m.Type, []string{model.MetricNameLabel, m.Name}, m.Labels)
		}
	}
	add(prometheus.GaugeValue, []string{model.MetricNameLabel, "up"}, nil)
	if exporter != "1" { // two exporters raise one alert
		add(prometheus.GaugeValue, []string{model.MetricNameLabel, "ALERTS"}, []string{"alertname", "alertstate", "severity", "rainbond_region", "node"})
	}
	return all
}

// unlabelled returns the pairs as a map, without empty values.
func unlabelled(pairs []string) map[string]string {
	all := map[string]string{}
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			all[pairs[i]] = pairs[i+1]
		}
	}
	return all
}

// fill appends the samples of an hour. Their values depend on the labels of.
func fill(one *samples.Series, seed int, kind prometheus.ValueType, of labels.Labels) {
	h := fnv.New32a()
	fmt.Fprint(h, seed, of)
	n, name := float64(h.Sum32()%1000), of.Get(model.MetricNameLabel)
	for ago := time.Hour; ago >= 0; ago -= time.Minute {
		at := now.Add(-ago)
		value := math.Mod(n, 2)
		switch {
		case kind == prometheus.CounterValue:
			value = n * (2*time.Hour - ago).Seconds()
		case kind == prometheus.UntypedValue:
			value = map[string]float64{"0.1": 1, "1": 2, "+Inf": 3}[of.Get("le")] * (2*time.Hour - ago).Seconds() * float64(seed+1)
		case strings.HasSuffix(name, "not_after_timestamp_seconds"):
			value = float64(now.Unix()) + n*86400/10
		case strings.HasSuffix(name, "timestamp_seconds"):
			value = float64(at.Unix()) - n
		case strings.HasSuffix(name, "size_bytes"), strings.HasSuffix(name, "inodes"):
			value = 1e9
		case strings.HasSuffix(name, "_bytes"), strings.HasSuffix(name, "inodes_free"):
			value = n*1e5 + ago.Seconds()*n
		case strings.HasSuffix(name, "_ratio"), strings.HasSuffix(name, "_seconds"):
			value = n / 500
		}
		one.Append(at.UnixMilli(), value)
	}
}
