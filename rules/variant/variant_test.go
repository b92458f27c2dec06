package variant_test

import (
	"context"
	"log/slog"
	"maps"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	promtemplate "github.com/prometheus/prometheus/template"
	"go.yaml.in/yaml/v3"

	"github.com/rainbond-exporter/rainbond-exporter/rules"
	"github.com/rainbond-exporter/rainbond-exporter/rules/variant"
)

func generate(t *testing.T, o variant.Options) string {
	t.Helper()
	text, err := variant.Generate(o)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// load returns the rules as Prometheus reads them.
// forVMAlertOnly is a field that Prometheus rejects.
const forVMAlertOnly = "    eval_alignment: false\n"

func load(t *testing.T, text string) []rulefmt.Rule {
	t.Helper()
	known := strings.ReplaceAll(text, forVMAlertOnly, "")
	groups, errs := rulefmt.Parse([]byte(known), false, model.UTF8Validation, parser.NewParser(parser.Options{}), slog.New(slog.DiscardHandler))
	if len(errs) > 0 {
		t.Fatalf("%v\n%s", errs, text)
	}
	var all []rulefmt.Rule
	for _, group := range groups.Groups {
		all = append(all, group.Rules...)
	}
	return all
}

func tool(t *testing.T, name string) string {
	t.Helper()
	path, err := filepath.Abs("../../tools/bin/" + name)
	if err == nil {
		_, err = os.Stat(path)
	}
	if err != nil {
		t.Skipf("not built: tools/build %s", name)
	}
	return path
}

func TestDefaultsAreTheEmbeddedFiles(t *testing.T) {
	for format, want := range map[string][]byte{"": rules.Rules, variant.Alertmanager: rules.Alertmanager, variant.Templates: rules.Messages} {
		if got := generate(t, variant.Options{Format: format}); got != string(want) {
			t.Errorf("%q differs from the embedded file", format)
		}
	}
}

// identities are lists of labels, with how often each rule groups by them.
var identities = [][]string{{rules.RegionLabel}, {"site", rules.RegionLabel}, {"tenant", "site", rules.RegionLabel}, {"cluster", "site", rules.RegionLabel}}

func TestIdentityReplacesClusterEverywhere(t *testing.T) {
	for _, identity := range identities {
		others := slices.DeleteFunc(slices.Clone(identity), func(name string) bool { return name == rules.RegionLabel })
		for _, format := range []string{variant.Prometheus, variant.Alertmanager, variant.Templates} {
			text := generate(t, variant.Options{Format: format, Identity: identity})
			code := regexp.MustCompile(`(?m)^ *#.*$|regapi|of this cluster|cluster-connect|cluster=\\?"|outside the cluster|Platform → Cluster|console-cluster`).ReplaceAllString(text, "")
			if !slices.Contains(others, "cluster") && regexp.MustCompile(`\bcluster\b[,)=%]|\.cluster\b`).MatchString(code) {
				t.Errorf("%v, %s: cluster is left: %q", identity, format, regexp.MustCompile(`.{0,60}(\bcluster\b[,)=%]|\.cluster\b).{0,30}`).FindString(code))
			}
			for _, name := range others {
				want := strings.Count(generate(t, variant.Options{Format: format}), "cluster")
				if got := strings.Count(text, name); got < want/2 {
					t.Errorf("%v, %s: %d times %s, where cluster was %d times", identity, format, got, name, want)
				}
			}
		}
		for _, r := range load(t, generate(t, variant.Options{Identity: identity})) {
			expr, err := parser.NewParser(parser.Options{}).ParseExpr(r.Expr)
			if err != nil {
				t.Fatal(err)
			}
			parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
				if a, ok := node.(*parser.AggregateExpr); ok && !a.Without && slices.Contains(a.Grouping, rules.RegionLabel) {
					for _, name := range others {
						if !slices.Contains(a.Grouping, name) {
							t.Errorf("%s%s does not group by %s: %s", r.Alert, r.Record, name, a)
						}
					}
				}
				return nil
			})
			expandable(t, r, others)
		}
	}
}

// expandable checks that the texts expand, and that each query is scoped to
// the values of the identity.
func expandable(t *testing.T, r rulefmt.Rule, identity []string) {
	t.Helper()
	with := map[string]string{rules.RegionLabel: "the-region", "component": "rbd-api", "collector": "api", "measure": "space", "place": "console", "class": "trust", "reason": "other", "node": "n", "role": "worker"}
	for _, name := range identity {
		with[name] = "the-" + name
	}
	query := func(_ context.Context, text string, _ time.Time) (promql.Vector, error) {
		for _, name := range identity {
			if !strings.Contains(text, name+`="the-`+name+`"`) {
				t.Errorf("%s: the query is not scoped by %s: %s", r.Alert, name, text)
			}
		}
		return nil, nil
	}
	for name, text := range r.Annotations {
		data := promtemplate.AlertTemplateData(with, nil, "", promql.Sample{F: 0.5})
		text = "{{$labels := .Labels}}{{$value := .Value}}" + text
		got, err := promtemplate.NewTemplateExpander(t.Context(), text, name, data, 0, query, &url.URL{}, nil).Expand()
		if err != nil || strings.Contains(got, "%!") {
			t.Errorf("%s: %s: %v: %s", r.Alert, name, err, got)
		}
	}
}

func TestLanguages(t *testing.T) {
	han := regexp.MustCompile(`\p{Han}`)
	for _, lang := range []string{"en", "zh"} {
		for _, r := range load(t, generate(t, variant.Options{Lang: lang})) {
			if r.Alert == "" {
				continue
			}
			want := []string{"dashboard", "description", "last_seen", "runbook_url", "section", "summary"}
			if strings.HasPrefix(r.Annotations["section"], "watch-") {
				want = slices.Delete(want, 2, 3)
			}
			if got := slices.Sorted(maps.Keys(r.Annotations)); !slices.Equal(got, want) {
				t.Errorf("%s (%s): annotations %q", r.Alert, lang, got)
			}
			for _, name := range []string{"summary", "description"} {
				if han.MatchString(r.Annotations[name]) != (lang == "zh") {
					t.Errorf("%s (%s): %s: %s", r.Alert, lang, name, r.Annotations[name])
				}
			}
			if lang == "zh" && strings.Contains(r.Annotations["runbook_url"], ".en.md") {
				t.Errorf("%s: %s", r.Alert, r.Annotations["runbook_url"])
			}
		}
	}
}

func TestLinksAreComplete(t *testing.T) {
	o := variant.Options{ExporterURL: "https://e.example.com/x/", GrafanaURL: "https://g.example.com"}
	for _, r := range load(t, generate(t, o)) {
		if r.Alert == "" {
			continue
		}
		a := r.Annotations
		for name, want := range map[string]string{
			"guide_url":     "https://e.example.com/x/guide?lang=en#" + a["section"],
			"guide_url_zh":  "https://e.example.com/x/guide?lang=zh#" + a["section"],
			"dashboard_url": "https://g.example.com" + a["dashboard"],
		} {
			if a[name] != want {
				t.Errorf("%s: %s is %q, want %q", r.Alert, name, a[name], want)
			}
		}
	}
	o = variant.Options{GuideURL: "https://docs.example.com/guide", Lang: "zh"}
	if text := generate(t, o); !strings.Contains(text, `guide_url: "https://docs.example.com/guide?lang=zh#api-slow"`) || strings.Contains(text, "dashboard_url") {
		t.Error("the guide of --guide.external-url is not linked, or Grafana is")
	}
}

// At each scrape interval no alert fires after one scrape, and every window
// contains two.
func TestIntervals(t *testing.T) {
	for _, interval := range []time.Duration{time.Second, 15 * time.Second, 30 * time.Second, time.Minute, 2 * time.Minute} {
		waits := map[string]time.Duration{}
		for _, r := range load(t, generate(t, variant.Options{Interval: interval})) {
			if r.Alert != "" && r.For != 0 && time.Duration(r.For) < interval {
				t.Errorf("%s: %s: for is %s", interval, r.Alert, r.For)
			}
			waits[r.Alert] = time.Duration(r.For)
			expr, err := parser.NewParser(parser.Options{}).ParseExpr(r.Expr)
			if err != nil {
				t.Fatal(err)
			}
			parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
				if m, ok := node.(*parser.MatrixSelector); ok && m.Range+time.Second < 2*interval {
					t.Errorf("%s: %s%s: the window %s has less than two scrapes", interval, r.Alert, r.Record, m)
				}
				return nil
			})
		}
		// The same scrape has the first failed probe and the mismatch.
		if waits["RainbondNodeDiskPressure"] > waits["RainbondRegionAPIDown"] || interval >= variant.DefaultInterval && waits["RainbondConsoleCertificateMismatch"] > interval+waits["RainbondRegionTLSFailing"] {
			t.Errorf("%s: a cause fires later than its symptom: %v", interval, waits)
		}
	}
}

func TestPromtoolAcceptsEveryVariant(t *testing.T) {
	promtool := tool(t, "promtool")
	options := []variant.Options{{Lang: "en"}, {Lang: "zh", Interval: time.Minute}, {ExporterURL: "https://e.example.com", GrafanaURL: "http://g"}}
	for _, identity := range identities {
		options = append(options, variant.Options{Identity: identity})
	}
	options = append(options, variant.Options{Format: variant.PrometheusRule})
	for _, o := range options {
		path := ruleFile(t, o)
		if out, err := exec.CommandContext(t.Context(), promtool, "check", "rules", "--lint=all", "--lint-fatal", path).CombinedOutput(); err != nil {
			t.Errorf("%+v: %v\n%s", o, err, out)
		}
	}
}

// TestFlatExpressionsAreShort: VictoriaMetrics rejects a query of more than 16 KiB
// (-search.maxQueryLen), and vmalert only logs that.
func TestFlatExpressionsAreShort(t *testing.T) {
	const limit = 16 << 10
	for _, identity := range identities {
		o := variant.Options{Format: variant.VMAlert, Identity: identity, Interval: variant.MaxInterval}
		for _, r := range load(t, generate(t, o)) {
			if len(r.Expr) > limit {
				t.Errorf("%s for %v: the expression has %d bytes, want at most %d", r.Alert, identity, len(r.Expr), limit)
			}
		}
	}
}

// TestVMAlertLoadsItsVariants lets vmalert parse the expressions as MetricsQL
// and expand the templates.
func TestVMAlertLoadsItsVariants(t *testing.T) {
	vmalert := tool(t, "vmalert")
	for _, o := range []variant.Options{{Format: variant.VMAlert}, {Format: variant.VMAlert, Lang: "zh", Interval: time.Minute}, {Format: variant.VMRule}} {
		path := ruleFile(t, o)
		if out, err := exec.CommandContext(t.Context(), vmalert, "-dryRun", "-rule="+path).CombinedOutput(); err != nil {
			t.Errorf("%+v: %v\n%s", o, err, out)
		}
		if text := generate(t, o); strings.Count(text, strings.TrimSpace(forVMAlertOnly)) != strings.Count(text, "- name: ") {
			t.Errorf("%s: a group is evaluated up to an interval late", o.Format)
		}
	}
}

// ruleFile writes a variant as a rule file: the spec, if it is an object of an
// operator.
func ruleFile(t *testing.T, o variant.Options) string {
	t.Helper()
	text := generate(t, o)
	if o.Format == variant.PrometheusRule || o.Format == variant.VMRule {
		var object struct {
			APIVersion string `yaml:"apiVersion"`
			Kind       string
			Metadata   struct{ Name string }
			Spec       yaml.Node
		}
		if err := yaml.Unmarshal([]byte(text), &object); err != nil {
			t.Fatal(err)
		}
		if object.APIVersion == "" || object.Kind == "" || object.Metadata.Name == "" {
			t.Errorf("%s: %+v", o.Format, object)
		}
		spec, err := yaml.Marshal(&object.Spec)
		if err != nil {
			t.Fatal(err)
		}
		text = string(spec)
	}
	path := filepath.Join(t.TempDir(), "rules.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestAmtoolAcceptsEveryIdentity(t *testing.T) {
	amtool := tool(t, "amtool")
	for _, identity := range identities {
		folder := t.TempDir()
		if err := os.Mkdir(filepath.Join(folder, "templates"), 0o700); err != nil {
			t.Fatal(err)
		}
		for name, format := range map[string]string{"alertmanager.yaml": variant.Alertmanager, "templates/rainbond.tmpl": variant.Templates} {
			if err := os.WriteFile(filepath.Join(folder, name), []byte(generate(t, variant.Options{Format: format, Identity: identity})), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if out, err := exec.CommandContext(t.Context(), amtool, "check-config", filepath.Join(folder, "alertmanager.yaml")).CombinedOutput(); err != nil {
			t.Errorf("%v: %v\n%s", identity, err, out)
		}
	}
}

func TestBadOptionsAreRejected(t *testing.T) {
	for _, c := range []struct {
		options variant.Options
		want    string
	}{
		{variant.Options{Format: "thanos"}, `--format: unknown value "thanos"; expected prometheus, prometheusrule, vmalert, vmrule, nightingale, alertmanager, templates`},
		{variant.Options{Lang: "de"}, `--lang: unknown value "de"; expected both, en, zh`},
		{variant.Options{Identity: []string{"cluster"}}, `--identity: "cluster" lacks rainbond_region; expected for example cluster,rainbond_region`},
		{variant.Options{Identity: []string{""}}, `--identity: empty; expected for example cluster,rainbond_region`},
		{variant.Options{Identity: []string{"my-cluster", "rainbond_region"}}, `--identity: "my-cluster" is not a label name; expected letters, digits and underscores`},
		{variant.Options{Identity: []string{"__a", "rainbond_region"}}, `--identity: "__a" is not a label name; expected letters, digits and underscores`},
		{variant.Options{Identity: []string{"node", "rainbond_region"}}, `--identity: the rules or the dashboards use the name node; expected labels that identify a platform, such as cluster`},
		{variant.Options{Identity: []string{"a", "a", "rainbond_region"}}, `--identity: a occurs twice; expected each label once`},
		{variant.Options{Interval: 5 * time.Minute}, `--interval: 5m0s; expected a scrape interval from 1s to 2m0s`},
		{variant.Options{Interval: -time.Second}, `--interval: -1s; expected a scrape interval from 1s to 2m0s`},
		{variant.Options{ExporterURL: "exporter.example.com"}, `--web.external-url: unexpected value; expected an http or https URL without user, query and fragment, such as https://web.example.com`},
		{variant.Options{ExporterURL: "https://{{ . }}"}, `--web.external-url: unexpected value; expected an http or https URL without user, query and fragment, such as https://web.example.com`},
		{variant.Options{GrafanaURL: "https://g.example.com/?orgId=1"}, `--grafana.external-url: unexpected value; expected an http or https URL without user, query and fragment, such as https://grafana.example.com`},
		{variant.Options{GuideURL: "https://g/{{ . }}"}, `--guide.external-url: unexpected value; expected an http or https URL without user, query and fragment, such as https://guide.example.com`},
	} {
		text, err := variant.Generate(c.options)
		if err == nil || !strings.Contains(err.Error(), c.want) || text != nil {
			t.Errorf("%+v: %v, want %s", c.options, err, c.want)
		}
	}
}
