package dashboards_test

import (
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/promql/parser"

	"github.com/rainbond-exporter/rainbond-exporter/collector"
	"github.com/rainbond-exporter/rainbond-exporter/dashboards"
	"github.com/rainbond-exporter/rainbond-exporter/docs"
)

// dashboard is the part of Grafana's dashboard JSON that we hold.
type dashboard struct {
	UID, Title    string
	Tags          []string
	SchemaVersion int
	Templating    struct{ List []variable }
	Annotations   struct{ List []annotation }
	Panels        []panel
}

type variable struct {
	Name, Type, Definition string
	Query                  any
	Datasource             source
	Multi, IncludeAll      bool
}

type annotation struct {
	BuiltIn    int
	Name, Expr string
	Datasource source
}

type panel struct {
	ID                       int
	Type, Title, Description string
	Datasource               source
	GridPos                  struct{ H, W, X, Y int }
	Links                    []struct{ Title, URL string }
	Targets                  []target
	FieldConfig              struct{ Defaults struct{ Unit string } }
}

type target struct {
	RefID, Expr string
	Datasource  source
}

type source struct{ Type, UID string }

// chosen is the data source that the reader chose.
var chosen = source{"prometheus", "${datasource}"}

func overview(t *testing.T) dashboard {
	t.Helper()
	var d dashboard
	if err := json.Unmarshal(dashboards.Overview, &d); err != nil {
		t.Fatal(err)
	}
	if len(d.Panels) == 0 {
		t.Fatal("no panels")
	}
	return d
}

func TestTheDashboardKeepsItsNames(t *testing.T) {
	d := overview(t)
	if d.UID != "rainbond-overview" || d.Title != "Rainbond" || !slices.Equal(d.Tags, []string{"rainbond"}) || d.SchemaVersion < 41 {
		t.Errorf("uid %q, title %q, tags %q, schema %d", d.UID, d.Title, d.Tags, d.SchemaVersion)
	}
	variables := map[string]variable{}
	for _, v := range d.Templating.List {
		variables[v.Name] = v
	}
	if v := variables["datasource"]; v.Type != "datasource" || v.Query != "prometheus" {
		t.Errorf("variable datasource: %+v", v)
	}
	v := variables["region"]
	if v.Definition != "label_values(rainbond_api_up, rainbond_region)" || !v.Multi || !v.IncludeAll || v.Datasource != chosen {
		t.Errorf("variable region: %+v", v)
	}
}

func TestARowForEachSymptomInTheOrderOfTheGuide(t *testing.T) {
	var rows []string
	for _, p := range overview(t).Panels {
		if p.Type == "row" {
			slug, _, _ := strings.Cut(p.Title, " ")
			rows = append(rows, slug)
		}
	}
	want := slices.Concat([]string{"overview"}, collector.Slugs, []string{"watch"})
	if !slices.Equal(rows, want) {
		t.Errorf("rows %q, want %q", rows, want)
	}
}

func TestEveryPanelExplainsItselfInBothLanguages(t *testing.T) {
	seen := map[int]string{}
	for _, p := range overview(t).Panels {
		if other, taken := seen[p.ID]; taken || p.ID == 0 {
			t.Errorf("panels %q and %q have the id %d", other, p.Title, p.ID)
		}
		seen[p.ID] = p.Title
		if p.Title == "" {
			t.Errorf("panel %d has no title", p.ID)
		}
		if p.Type == "row" {
			continue
		}
		han := func(r rune) bool { return unicode.Is(unicode.Han, r) }
		i := strings.IndexFunc(p.Description, han)
		if i < 20 || !strings.HasSuffix(p.Description, "。") {
			t.Errorf("%s: the description is not English, then Chinese: %q", p.Title, p.Description)
		}
		if strings.ContainsFunc(p.Title, han) {
			t.Errorf("%s: titles are English", p.Title)
		}
		if p.FieldConfig.Defaults.Unit == "" {
			t.Errorf("%s: no unit", p.Title)
		}
		if p.Datasource != chosen || len(p.Targets) == 0 {
			t.Errorf("%s: data source %+v, %d targets", p.Title, p.Datasource, len(p.Targets))
		}
	}
}

// TestEveryPanelLeadsToTheGuide holds that a link names a section of our guide
// and goes where that guide goes, so that its test holds these links too.
func TestEveryPanelLeadsToTheGuide(t *testing.T) {
	const page = "https://github.com/rainbond-exporter/rainbond-exporter/blob/main/docs/guide.en.md#"
	guide := string(docs.GuideEN)
	for _, p := range overview(t).Panels {
		if p.Type != "row" && len(p.Links) == 0 {
			t.Errorf("%s: no link", p.Title)
		}
		for _, link := range p.Links {
			section, _, _ := strings.Cut(link.Title, " ")
			if !strings.Contains(guide, "{#"+section+"}") {
				t.Errorf("%s: the guide has no section %s", p.Title, section)
			}
			if link.URL != page+section && !strings.Contains(guide, "]("+link.URL+")") {
				t.Errorf("%s: the guide does not link to %s", p.Title, link.URL)
			}
		}
	}
}

func TestPanelsDoNotOverlap(t *testing.T) {
	taken := map[[2]int]string{}
	for _, p := range overview(t).Panels {
		g := p.GridPos
		if g.W < 1 || g.H < 1 || g.X < 0 || g.X+g.W > 24 {
			t.Errorf("%s: %+v does not fit into 24 columns", p.Title, g)
		}
		for x := g.X; x < g.X+g.W; x++ {
			for y := g.Y; y < g.Y+g.H; y++ {
				if other, ok := taken[[2]int{x, y}]; ok && other != p.Title {
					t.Fatalf("%s lies on %s", p.Title, other)
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
	}
}

// TestQueriesAskOnlyForWhatTheExporterHas parses every query and holds its
// metrics and labels against the catalogue; and no metric is left unseen.
func TestQueriesAskOnlyForWhatTheExporterHas(t *testing.T) {
	known, unseen := map[string][]string{"up": nil, "ALERTS": nil}, map[string]bool{}
	for _, m := range collector.Catalogue {
		known[m.Name] = m.Labels
		unseen[m.Name] = true
	}
	for where, expr := range queries(t) {
		expr = replaceVariables(expr)
		if left := regexp.MustCompile(`\$\{?[A-Za-z_]+`).FindString(expr); left != "" {
			t.Errorf("%s: no variable %s", where, left)
		}
		parsed, err := parser.NewParser(parser.Options{}).ParseExpr(expr)
		if err != nil {
			t.Errorf("%s: %v\n%s", where, err, expr)
			continue
		}
		parser.Inspect(parsed, func(node parser.Node, _ []parser.Node) error {
			selector, ok := node.(*parser.VectorSelector)
			if !ok {
				return nil
			}
			name := strings.TrimSuffix(selector.Name, "_bucket")
			bears, ok := known[name]
			if !ok {
				t.Errorf("%s: no metric %s", where, selector.Name)
			}
			delete(unseen, name)
			for _, m := range selector.LabelMatchers {
				if m.Name != model.MetricNameLabel && bears != nil && !slices.Contains(bears, m.Name) {
					t.Errorf("%s: %s has no label %s", where, selector.Name, m.Name)
				}
			}
			return nil
		})
	}
	for _, name := range slices.Sorted(maps.Keys(unseen)) {
		t.Errorf("no panel shows %s", name)
	}
}

func TestRatesFollowTheScrapeInterval(t *testing.T) {
	ranges := regexp.MustCompile(`\b(?:rate|increase|irate|delta)\([^\[]*\[([^\]]*)\]`)
	found := 0
	for where, expr := range queries(t) {
		for _, m := range ranges.FindAllStringSubmatch(expr, -1) {
			found++
			if m[1] != "$__rate_interval" {
				t.Errorf("%s: over %s, want $__rate_interval", where, m[1])
			}
		}
	}
	if found == 0 {
		t.Error("no rates found")
	}
}

func TestQueriesAboutARegionFollowTheChoice(t *testing.T) {
	for where, expr := range queries(t) {
		for _, selector := range regexp.MustCompile(`rainbond_(?:api|cert|node|component|pods)[a-z_]*(\{[^}]*\})?`).FindAllStringSubmatch(expr, -1) {
			if !strings.HasPrefix(selector[1], `{rainbond_region=~"$region"`) {
				t.Errorf("%s: %s does not ask for $region", where, selector[0])
			}
		}
	}
}

// queries returns every query of the dashboard by where it stands, the
// annotation's among them, and holds that each goes to the chosen source.
func queries(t *testing.T) map[string]string {
	t.Helper()
	d, out := overview(t), map[string]string{}
	for _, p := range d.Panels {
		for _, q := range p.Targets {
			out[p.Title+" "+q.RefID] = q.Expr
			if q.Datasource != chosen {
				t.Errorf("%s %s: data source %+v", p.Title, q.RefID, q.Datasource)
			}
		}
	}
	for _, a := range d.Annotations.List {
		if a.BuiltIn == 1 {
			continue
		}
		out["annotation "+a.Name] = a.Expr
		if a.Datasource != chosen {
			t.Errorf("annotation %s: data source %+v", a.Name, a.Datasource)
		}
	}
	if !strings.Contains(out["annotation Rainbond alerts"], `ALERTS{alertname=~"Rainbond.*"`) {
		t.Errorf("no annotation shows the alerts: %q", out)
	}
	return out
}

// replaceVariables writes values for Grafana's variables.
func replaceVariables(expr string) string {
	return strings.NewReplacer(
		"$__rate_interval", "5m", "$__interval", "1m", "$__range", "1h",
		"$region", "rainbond", "$evicts_at", "0.05",
	).Replace(expr)
}
