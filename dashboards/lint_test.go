package dashboards

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/promql/parser"

	"github.com/rainbond-exporter/rainbond-exporter/collector"
	"github.com/rainbond-exporter/rainbond-exporter/docs"
	"github.com/rainbond-exporter/rainbond-exporter/rules"
)

// The rules of grafana/dashboard-linter, by their names, and ours. Four of the
// linter's rules do not apply: template-job, template-instance, target-job and
// target-instance. A user selects a region, not an exporter.

// A dashboardModel is the part of Grafana's JSON that the tests check.
type dashboardModel struct {
	UID, Title, Refresh string
	Tags                []string
	SchemaVersion       int
	Editable            bool
	Templating          struct {
		List []struct {
			Name, Label, Type, Definition, AllValue string
			Query                                   any
			Datasource                              source
			Refresh                                 int
			Multi, IncludeAll                       bool
		}
	}
	Annotations struct {
		List []struct {
			BuiltIn    int
			Name, Expr string
			Datasource source
		}
	}
	Panels []panelModel
}

type panelModel struct {
	ID                       int
	Type, Title, Description string
	Datasource               source
	GridPos                  struct{ H, W, X, Y int }
	Links                    []struct{ Title, URL string }
	Targets                  []struct {
		RefID, Expr, LegendFormat string
		Datasource                source
		Instant, Range            bool
	}
	FieldConfig struct {
		Defaults struct{ Unit string }
	}
}

type source struct{ Type, UID string }

func models(t *testing.T, lang string) []dashboardModel {
	t.Helper()
	return modelsFor(t, lang, rules.DefaultIdentity)
}

func modelsFor(t *testing.T, lang string, identity []string) []dashboardModel {
	t.Helper()
	var all []dashboardModel
	named := filesFor(t, lang, identity)
	for _, name := range slices.Sorted(maps.Keys(named)) {
		var m dashboardModel
		if err := json.Unmarshal(named[name], &m); err != nil {
			t.Fatal(err)
		}
		all = append(all, m)
	}
	return all
}

// queriesOf returns every query of a dashboard by its path, including those of
// annotations.
func queriesOf(t *testing.T, file []byte) map[string]string {
	t.Helper()
	var m dashboardModel
	if err := json.Unmarshal(file, &m); err != nil {
		t.Fatal(err)
	}
	return m.queries()
}

func (m dashboardModel) queries() map[string]string {
	out := map[string]string{}
	for _, p := range m.Panels {
		for _, q := range p.Targets {
			out[fmt.Sprintf("%s/%d %s", m.UID, p.ID, q.RefID)] = q.Expr
		}
	}
	for i, a := range m.Annotations.List {
		if a.BuiltIn == 0 {
			out[fmt.Sprintf("%s annotation %d", m.UID, i)] = a.Expr
		}
	}
	return out
}

// variables replaces Grafana's variables by values.
var variables = strings.NewReplacer("$__rate_interval", "5m", "$__interval", "1m", "$__range", "1h", "$cluster", "platform", "$region", "rainbond", "$evicts_at", "0.05")

// TestDashboardRules: template-datasource-rule, template-label-
// promql-rule, template-on-time-change-reload-rule, uneditable-dashboard.
func TestDashboardRules(t *testing.T) {
	selectedSource := source{"prometheus", "${datasource}"}
	for _, lang := range Langs {
		for _, m := range models(t, lang) {
			if m.Editable || m.SchemaVersion != schemaVersion || !slices.Equal(m.Tags, []string{"rainbond"}) {
				t.Errorf("%s: editable %v, schema %d, tags %q", m.UID, m.Editable, m.SchemaVersion, m.Tags)
			}
			if v := m.Templating.List[0]; v.Type != "datasource" || v.Name != "datasource" || v.Label != "Data source" || v.Query != "prometheus" {
				t.Errorf("%s: variable %+v", m.UID, v)
			}
			// label_values(METRIC, LABEL), refreshed when the time range changes: 2.
			for i, definition := range []string{"label_values(rainbond_api_up, cluster)", `label_values(rainbond_api_up{cluster=~"$cluster"}, rainbond_region)`} {
				v := m.Templating.List[1+i]
				if v.Name != []string{"cluster", "region"}[i] || v.Definition != definition || !v.Multi || !v.IncludeAll || v.AllValue != ".*" || v.Datasource != selectedSource || v.Refresh != 2 {
					t.Errorf("%s: variable %+v", m.UID, v)
				}
			}
			if len(m.Annotations.List) != 2 || !strings.Contains(m.Annotations.List[1].Expr, `ALERTS{alertname=~"Rainbond.*"`) || m.Annotations.List[1].Datasource != selectedSource {
				t.Errorf("%s: annotations %+v", m.UID, m.Annotations)
			}
		}
	}
}

// TestPanelRules: panel-datasource-rule, panel-title-description-
// rule, panel-units-rule, panel-no-targets-rule.
func TestPanelRules(t *testing.T) {
	// The units of Grafana that the panels use.
	units := []string{"short", "percentunit", "s", "d", "eps", "bytes", "string", "dateTimeFromNow"}
	for _, lang := range Langs {
		for _, m := range models(t, lang) {
			for _, p := range m.Panels {
				where := fmt.Sprintf("%s/%s/%d", lang, m.UID, p.ID)
				if p.Title == "" {
					t.Errorf("%s has no title", where)
				}
				if p.Type == "row" {
					continue
				}
				if p.Description == "" || len(p.Targets) == 0 || !slices.Contains(units, p.FieldConfig.Defaults.Unit) {
					t.Errorf("%s: description %q, %d queries, unit %q", where, p.Description, len(p.Targets), p.FieldConfig.Defaults.Unit)
				}
				if !slices.Contains([]string{"stat", "timeseries", "table"}, p.Type) {
					t.Errorf("%s: the tests cannot render a panel of type %s", where, p.Type)
				}
				for _, q := range p.Targets {
					if q.Datasource != p.Datasource || q.Datasource != (source{"prometheus", "${datasource}"}) || q.Instant == q.Range {
						t.Errorf("%s: %+v", where, q)
					}
				}
			}
		}
	}
}

// TestQueryRules: target-promql-rule, target-rate-interval-rule,
// target-counter-agg-rule; and ours: metrics and labels are of the catalogue,
// each metric is shown, and what is about a region follows the choice.
func TestQueryRules(t *testing.T) {
	known, unseen := map[string][]string{"up": nil, "ALERTS": nil}, map[string]bool{}
	for _, m := range collector.Catalogue {
		known[m.Name] = m.Labels
		unseen[m.Name] = true
	}
	ranges := regexp.MustCompile(`\b(rate|irate|increase|delta)\([^\[]*\[([^\]]*)\]`)
	for _, m := range models(t, Langs[0]) {
		for where, expr := range m.queries() {
			for _, r := range ranges.FindAllStringSubmatch(expr, -1) {
				if r[2] != "$__rate_interval" && r[2] != "$__range" {
					t.Errorf("%s: over %s, want $__rate_interval", where, r[2])
				}
			}
			expr = variables.Replace(expr)
			if left := regexp.MustCompile(`\$\{?[A-Za-z_]+`).FindString(expr); left != "" {
				t.Errorf("%s: no variable %s", where, left)
			}
			parsed, err := parser.NewParser(parser.Options{}).ParseExpr(expr)
			if err != nil {
				t.Errorf("%s: %v\n%s", where, err, expr)
				continue
			}
			parser.Inspect(parsed, func(node parser.Node, above []parser.Node) error {
				selector, ok := node.(*parser.VectorSelector)
				if !ok {
					return nil
				}
				name := strings.TrimSuffix(selector.Name, "_bucket")
				labels, ok := known[name]
				if !ok {
					t.Errorf("%s: no metric %s", where, selector.Name)
				}
				delete(unseen, name)
				follows := false
				for _, matcher := range selector.LabelMatchers {
					if matcher.Name != model.MetricNameLabel && matcher.Name != "cluster" && labels != nil && !slices.Contains(labels, strings.TrimPrefix(matcher.Name, "exported_")) {
						t.Errorf("%s: %s has no label %s", where, selector.Name, matcher.Name)
					}
					// A job that replaces labels may also replace the region.
					follows = follows || matcher.Name == "rainbond_region" && strings.Contains(matcher.Value, "rainbond") || strings.HasPrefix(matcher.Name, "exported_")
				}
				if slices.Contains(labels, "rainbond_region") && !follows {
					t.Errorf("%s: %s has no matcher for $region", where, selector.Name)
				}
				if strings.HasSuffix(selector.Name, "_total") {
					if _, ranged := above[len(above)-1].(*parser.MatrixSelector); !ranged {
						t.Errorf("%s: the counter %s without rate or increase", where, selector.Name)
					}
				}
				return nil
			})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(unseen)) {
		t.Errorf("no panel contains %s", name)
	}
}

func TestPanelIDsAreUnique(t *testing.T) {
	for _, m := range models(t, Langs[0]) {
		seen := map[int]string{}
		for _, p := range m.Panels {
			if other, taken := seen[p.ID]; taken || p.ID == 0 {
				t.Errorf("%s: panels %q and %q have the id %d", m.UID, other, p.Title, p.ID)
			}
			seen[p.ID] = p.Title
		}
	}
}

func TestPanelsDoNotOverlap(t *testing.T) {
	for _, m := range models(t, Langs[0]) {
		taken := map[[2]int]string{}
		for _, p := range m.Panels {
			g := p.GridPos
			if g.W < 1 || g.H < 1 || g.X < 0 || g.X+g.W > 24 {
				t.Errorf("%s: %s: %+v does not fit into 24 columns", m.UID, p.Title, g)
			}
			for x := g.X; x < g.X+g.W; x++ {
				for y := g.Y; y < g.Y+g.H; y++ {
					if other, ok := taken[[2]int{x, y}]; ok {
						t.Fatalf("%s: %s overlaps %s", m.UID, p.Title, other)
					}
					taken[[2]int{x, y}] = p.Title
				}
			}
		}
	}
}

func TestEveryPanelLinksToTheGuide(t *testing.T) {
	for lang, guide := range map[string][]byte{"en": docs.GuideEN, "zh": docs.GuideZH} {
		for _, m := range models(t, lang) {
			for _, p := range m.Panels {
				if p.Type != "row" && len(p.Links) == 0 {
					t.Errorf("%s/%d has no link", m.UID, p.ID)
				}
				for _, link := range p.Links {
					section, ok := strings.CutPrefix(link.URL, "${guide}#")
					if !ok || !strings.Contains(string(guide), `<a id="`+section+`"></a>`) {
						t.Errorf("%s/%d: the guide has no %s", m.UID, p.ID, link.URL)
					}
				}
			}
		}
	}
}
