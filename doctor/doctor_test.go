package doctor

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rainbond-exporter/rainbond-exporter/collector"
)

var update = flag.Bool("update", false, "write the golden files anew")

// noon is when every look of these tests is taken.
var noon = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

func read(t *testing.T, path string) []byte {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// golden compares got with a file of testdata.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	gotLines, wantLines := strings.Split(string(got), "\n"), strings.Split(string(read(t, path)), "\n")
	for i := range max(len(gotLines), len(wantLines)) {
		g, w := lineAt(gotLines, i), lineAt(wantLines, i)
		if g != w {
			t.Errorf("%s:%d: (go test ./doctor -update writes it anew)\ngot  %s\nwant %s", path, i+1, g, w)
			return
		}
	}
}

func lineAt(lines []string, i int) string {
	if i < len(lines) {
		return lines[i]
	}
	return "(the end)"
}

func newDoctor(t *testing.T) *Doctor {
	t.Helper()
	d, err := New(read(t, "testdata/rules.yaml"), read(t, "testdata/alertmanager.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func diagnose(t *testing.T, d *Doctor, look collector.Snapshot) Diagnosis {
	t.Helper()
	diagnosis, err := d.Diagnose(t.Context(), look)
	if err != nil {
		t.Fatal(err)
	}
	return diagnosis
}

// metric is a sample of the catalogue.
func metric(name string, value float64, labels ...string) prometheus.Metric {
	m := collector.Describe(name)
	return prometheus.MustNewConstMetric(prometheus.NewDesc(m.Name, m.Help, m.Labels, nil), m.Type, value, labels...)
}

func evidence(what, text string, about ...string) collector.Evidence {
	e := collector.Evidence{What: what, Text: text, About: map[string]string{}}
	for i := 0; i < len(about); i += 2 {
		e.About[about[i]] = about[i+1]
	}
	return e
}

// sawAt is the outcome of a collector that could look.
func sawAt(name string, metrics []prometheus.Metric, seen ...collector.Evidence) collector.Outcome {
	return collector.Outcome{Collector: name, Report: collector.Report{Metrics: metrics, Evidence: seen}, Took: time.Second}
}

func lookOf(outcomes ...collector.Outcome) collector.Snapshot {
	return collector.Snapshot{At: noon, Outcomes: outcomes}
}

// sick is a look at a region with stale certificates, a component that waits,
// and a collector that could not look.
func sick() collector.Snapshot {
	return lookOf(
		sawAt(collector.SlugAPI, []prometheus.Metric{
			metric("rainbond_api_up", 0, "rainbond"),
			metric("rainbond_api_probe_failed", 1, "rainbond", "tls", "client_refused"),
			metric("rainbond_api_probe_failed", 0, "rainbond", "connect", "refused"),
		},
			evidence(collector.EvidenceError, "remote error: tls: unknown certificate authority", "rainbond_region", "rainbond", "phase", "tls", "reason", "client_refused"),
			evidence(collector.EvidenceAddress, "https://203.0.113.105:8443, 203.0.113.105:8443", "rainbond_region", "rainbond", "phase", "tls", "reason", "client_refused"),
		),
		sawAt(collector.SlugTLS, []prometheus.Metric{
			metric("rainbond_api_tls_handshake_error_last_timestamp_seconds", float64(noon.Unix()-42), "rainbond", "client_certificate"),
			metric("rainbond_api_tls_handshake_error_last_timestamp_seconds", float64(noon.Unix()-1), "rainbond", "benign"),
		}),
		sawAt(collector.SlugCert, []prometheus.Metric{
			metric("rainbond_certificate_mismatch", 1, "rainbond", "client", "console", "served"),
			metric("rainbond_certificate_mismatch", 0, "rainbond", "server", "served", "console"),
		},
			evidence(collector.EvidenceFingerprint, "console client 1f2e3d4c5b6a7988 ≠ region-config client 9a8b7c6d5e4f3021",
				"rainbond_region", "rainbond", "kind", "client", "place", "console"),
			evidence(collector.EvidenceFingerprint, "console ca 0011223344556677 ≠ served ca 8899aabbccddeeff",
				"rainbond_region", "rainbond", "kind", "ca", "place", "console"),
		),
		sawAt(collector.SlugNodeRole, []prometheus.Metric{metric("rainbond_nodes", 3, "rainbond", "worker")}),
		sawAt(collector.SlugComponent, []prometheus.Metric{
			metric("rainbond_component_desired", 1, "rainbond", "rbd-chaos", "DaemonSet"),
			metric("rainbond_component_ready", 0, "rainbond", "rbd-chaos", "DaemonSet"),
			metric("rainbond_component_desired", 1, "rainbond", "rbd-api", "Deployment"),
			metric("rainbond_component_ready", 1, "rainbond", "rbd-api", "Deployment"),
		},
			evidence(collector.EvidencePod, "rbd-chaos-x2v9k: Back-off pulling image \"goodrain.me/rbd-chaos:v6.9\"\n\x1b[31mred\x1b[0m",
				"rainbond_region", "rainbond", "component", "rbd-chaos"),
		),
		collector.Outcome{Collector: collector.SlugDisk, Err: errors.New(`nodes is forbidden: User "system:serviceaccount:rbd-system:rainbond-exporter" cannot list resource "nodes" in API group ""`)},
	)
}

// well is a look at a region of which there is nothing to say.
func well() collector.Snapshot {
	var outcomes []collector.Outcome
	for _, slug := range collector.Slugs {
		outcomes = append(outcomes, sawAt(slug, nil))
	}
	outcomes[0].Report.Metrics = []prometheus.Metric{metric("rainbond_api_up", 1, "rainbond")}
	return lookOf(outcomes...)
}

// outline is a diagnosis in a line a finding.
func outline(d Diagnosis) string {
	var b strings.Builder
	var write func(indent string, findings []Finding)
	write = func(indent string, findings []Finding) {
		for _, f := range findings {
			b.WriteString(indent + f.Severity + " " + f.Slug + " " + f.Alert + about(f, LangEN) + "\n")
			write(indent+"  ", f.Symptoms)
		}
	}
	write("", d.Findings)
	return b.String()
}

func TestFindingsAreCausesMostUrgentFirst(t *testing.T) {
	d := diagnose(t, newDoctor(t), sick())
	want := `
critical cert RainbondConsoleCertificateMismatch, region rainbond, kind=client, place=console, reference=served
  critical tls RainbondRegionTLSFailing, region rainbond, phase=tls, reason=client_refused
  warning tls RainbondTLSHandshakeErrors, region rainbond, class=client_certificate
warning component RainbondComponentNotReady, region rainbond, component=rbd-chaos, kind=DaemonSet
warning exporter RainbondCollectorFailing, collector=disk
`
	if got := "\n" + outline(d); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got := d.Verdict(); got != Faults {
		t.Errorf("verdict %s", got)
	}
}

func TestTheVerdictTellsFaultsFromNotHavingSeen(t *testing.T) {
	unseen := well()
	unseen.Outcomes[5].Err = errors.New("no root")
	for name, c := range map[string]struct {
		look collector.Snapshot
		want Verdict
	}{
		"all well":          {well(), Healthy},
		"one not looked at": {unseen, CouldNotLook},
		"faults and more":   {sick(), Faults},
		"nothing looked at": {lookOf(), CouldNotLook},
	} {
		if got := diagnose(t, newDoctor(t), c.look).Verdict(); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

func TestWhatOneLookCannotTellIsListedAndNotGuessed(t *testing.T) {
	d := newDoctor(t)
	want := []string{"RainbondRegionAPIUnstable", "RainbondNodeDiskGrows", "RainbondExporterDown"}
	if got := diagnose(t, d, well()).NeedsHistory; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	t.Run("nor is anything called absent that was not looked for", func(t *testing.T) {
		diskOnly := lookOf(sawAt(collector.SlugDisk, nil))
		want := append([]string{"RainbondNoProbe"}, want...)
		got := diagnose(t, d, diskOnly)
		if !slices.Equal(got.NeedsHistory, want) || len(got.Findings) > 0 {
			t.Errorf("got %q and %s, want %q", got.NeedsHistory, outline(got), want)
		}
		api := well()
		api.Outcomes[0].Report.Metrics = nil
		if got := outline(diagnose(t, d, api)); got != "warning api RainbondNoProbe\n" {
			t.Errorf("looked for and absent, it says %q", got)
		}
	})
}

func TestTheLeastAndTheMostOfOneLookAreWhatItSaw(t *testing.T) {
	for expr, oneLook := range map[string]bool{
		"min_over_time(rainbond_api_up[2m]) == 0": true,
		"max_over_time(rainbond_api_up[2m]) == 0": true,
		"avg_over_time(rainbond_api_up[2m]) == 0": false,
		"changes(rainbond_api_up[2m]) == 0":       false,
		"min_over_time(rainbond_api_up[2m:15s])":  false,
	} {
		d, err := New([]byte("groups: [{name: own, rules: [{alert: Down, expr: '"+expr+"'}]}]"), nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := d.Alerts()[0].OneLook; got != oneLook {
			t.Errorf("%s: one look answers it: %v", expr, got)
		}
	}
}

func TestRecordingRulesAreEvaluatedFirst(t *testing.T) {
	refused := func(ready float64) collector.Snapshot {
		return lookOf(
			sawAt(collector.SlugAPI, []prometheus.Metric{metric("rainbond_api_probe_failed", 1, "rainbond", "connect", "refused"), metric("rainbond_api_up", 0, "rainbond")},
				evidence(collector.EvidenceError, "connect: connection refused", "rainbond_region", "rainbond", "phase", "connect", "reason", "refused")),
			sawAt(collector.SlugComponent, []prometheus.Metric{metric("rainbond_component_ready", ready, "rainbond", "rbd-api", "Deployment")},
				evidence(collector.EvidencePod, "rbd-api-7d: starts", "rainbond_region", "rainbond", "component", "rbd-api"),
				evidence(collector.EvidencePod, "rbd-chaos-1: crashes", "rainbond_region", "rainbond", "component", "rbd-chaos"),
				evidence(collector.EvidencePod, "of the region at large", "rainbond_region", "rainbond")),
		)
	}
	d := diagnose(t, newDoctor(t), refused(1))
	if got := outline(d); got != "critical api RainbondRegionPortClosed, region rainbond, phase=connect, reason=refused\n" {
		t.Errorf("with a ready pod: %q", got)
	}
	var texts []string
	for _, e := range d.Findings[0].Evidence {
		texts = append(texts, e.Text)
	}
	if want := []string{"connect: connection refused", "rbd-api-7d: starts"}; !slices.Equal(texts, want) {
		t.Errorf("evidence is %q; want %q, of what the rule and the rules it rests on select", texts, want)
	}
	if got := outline(diagnose(t, newDoctor(t), refused(0))); got != "" {
		t.Errorf("without a ready pod: %q", got)
	}
}

func TestHistogramsAreClassicSeries(t *testing.T) {
	h := collector.Describe("rainbond_api_probe_duration_seconds")
	slow := prometheus.MustNewConstHistogram(prometheus.NewDesc(h.Name, h.Help, h.Labels, nil), 10, 15,
		map[float64]uint64{1: 0, 2: 10}, "rainbond")
	look := lookOf(sawAt(collector.SlugAPI, []prometheus.Metric{slow, metric("rainbond_api_up", 1, "rainbond")}))
	for expr, want := range map[string]string{
		`rainbond_api_probe_duration_seconds_bucket{le="1.0"} == 0`:                                  " api A, region rainbond, le=1.0\n",
		`rainbond_api_probe_duration_seconds_bucket{le="+Inf"} == 10`:                                " api A, region rainbond, le=+Inf\n",
		`rainbond_api_probe_duration_seconds_sum / rainbond_api_probe_duration_seconds_count == 1.5`: " api A, region rainbond\n",
		`histogram_quantile(0.5, rainbond_api_probe_duration_seconds_bucket) == 1.5`:                 " api A, region rainbond\n",
	} {
		d, err := New([]byte("groups: [{name: g, rules: [{alert: A, expr: '"+expr+"'}]}]"), nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := outline(diagnose(t, d, look)); got != want {
			t.Errorf("%s: got %q, want %q", expr, got, want)
		}
	}
}

func TestTemplatesExpandAsInPrometheus(t *testing.T) {
	look := lookOf(sawAt(collector.SlugDisk, []prometheus.Metric{metric("rainbond_node_root_used_ratio", 0.8251, "rainbond", "node-1")}))
	f := diagnose(t, newDoctor(t), look).Findings[0]
	want := Words{"The root disk of node node-1 is 82.51% full", "节点 node-1 根分区已用 82.51%"}
	if f.Summary != want {
		t.Errorf("got %q, want %q", f.Summary, want)
	}
}

func TestCommandsAreLiftedOutOfTheDescription(t *testing.T) {
	prose, commands := liftCommands("Nobody can build.\nLook at the pod.\n$ kubectl get pods\n  $ kubectl logs x\n")
	if want := "Nobody can build.\nLook at the pod."; prose != want {
		t.Errorf("prose %q, want %q", prose, want)
	}
	if want := []string{"kubectl get pods", "kubectl logs x"}; !slices.Equal(commands, want) {
		t.Errorf("commands %q, want %q", commands, want)
	}
}

func TestEvidenceIsAHandfulWithoutRepeats(t *testing.T) {
	var seen []collector.Evidence
	for _, text := range []string{"refused", "dial: refused", "dial: refused", "1", "2", "3", "4", "5", "6", "7"} {
		seen = append(seen, evidence(collector.EvidencePod, text, "rainbond_region", "rainbond", "component", "rbd-chaos"))
	}
	look := sick()
	look.Outcomes[4].Report.Evidence = seen
	var got []string
	for _, e := range diagnose(t, newDoctor(t), look).Findings[1].Evidence {
		got = append(got, e.Text)
	}
	if want := []string{"dial: refused", "1", "2", "3", "4", "5"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestTheOrderIsOfUrgencyThenOfTheDocument(t *testing.T) {
	rules := `
groups:
- name: g
  rules:
  - {alert: Watcher, expr: vector(1), labels: {severity: critical}, annotations: {section: watch-it}}
  - {alert: ReadsTheAPI, expr: rainbond_api_up == 0, labels: {severity: critical}, annotations: {section: watch-api}}
  - {alert: Info, expr: vector(1), labels: {severity: info}, annotations: {section: api-info}}
  - {alert: Small, expr: vector(1), labels: {severity: warning}, annotations: {section: api-small}}
  - {alert: Disk, expr: vector(1), labels: {severity: critical}, annotations: {section: disk-full}}
  - {alert: B, expr: vector(1), labels: {severity: critical}, annotations: {section: node-role-b}}
  - {alert: A, expr: rainbond_component_desired, labels: {severity: critical}, annotations: {section: node-role}}
`
	d, err := New([]byte(rules), nil)
	if err != nil {
		t.Fatal(err)
	}
	want := `
critical node-role A, region rainbond, component=rbd-api, kind=Deployment
critical node-role A, region rainbond, component=rbd-chaos, kind=DaemonSet
critical node-role B
critical disk Disk
warning api Small
info api Info
critical exporter ReadsTheAPI, region rainbond
critical exporter Watcher
`
	if got := "\n" + outline(diagnose(t, d, sick())); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestOneAlertWithTheSameLabelsIsOneFinding(t *testing.T) {
	rules := `
groups:
- name: g
  rules:
  - {alert: A, expr: rainbond_api_up == 0}
  - {alert: A, expr: rainbond_api_up < 1}
`
	d, err := New([]byte(rules), nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := outline(diagnose(t, d, sick())); got != " api A, region rainbond\n" {
		t.Errorf("got %q", got)
	}
}

func TestBadRulesAreRefusedByLineAndRule(t *testing.T) {
	for name, c := range map[string]struct{ rules, alertmanager, want string }{
		"expression": {
			rules: "groups:\n- name: g\n  rules:\n  - alert: A\n    expr: rainbond_api_up ==\n",
			want:  `rules: line 5: group "g", rule 1, "A": could not parse expression: 1:19: parse error: unexpected end of input`,
		},
		"template": {
			rules: "groups:\n- name: g\n  rules:\n  - record: r\n    expr: vector(1)\n  - alert: A\n    expr: vector(1)\n    annotations: {summary: '{{ $labls.node }}'}\n",
			want:  `rules: line 6: group "g", rule 2, "A": annotation "summary": template: __alert_A:1: undefined variable "$labls"`,
		},
		"unknown key": {
			rules: "groups:\n- name: g\n  rules:\n  - alert: A\n    exp: vector(1)\n",
			want:  "rules: yaml: unmarshal errors:\n  line 5: field exp not found in type rulefmt.Rule",
		},
		"not YAML": {
			rules: "groups: [",
			want:  "rules: yaml: line 1: did not find expected node content",
		},
		"matcher": {
			alertmanager: "route: {}\ninhibit_rules:\n- source_matchers: ['a = b']\n  target_matchers: ['a b']\n",
			want:         "alertmanager configuration: line 3: inhibit_rules, rule 1: target: bad matcher format: a b",
		},
		"inhibition of a wrong type": {
			alertmanager: "inhibit_rules:\n- equal: 5\n",
			want:         "alertmanager configuration: line 2: inhibit_rules, rule 1: yaml: unmarshal errors:\n  line 2: cannot unmarshal !!int `5` into []string",
		},
	} {
		_, err := New([]byte(c.rules), []byte(c.alertmanager))
		if err == nil || err.Error() != c.want {
			t.Errorf("%s:\ngot  %v\nwant %s", name, err, c.want)
		}
	}
}

func TestARuleThatCannotBeEvaluatedIsNamed(t *testing.T) {
	d, err := New([]byte("groups: [{name: g, rules: [{alert: A, expr: 'rainbond_api_up * on (rainbond_region) rainbond_nodes'}]}]"), nil)
	if err != nil {
		t.Fatal(err)
	}
	look := lookOf(
		sawAt(collector.SlugAPI, []prometheus.Metric{metric("rainbond_api_up", 1, "r")}),
		sawAt(collector.SlugNodeRole, []prometheus.Metric{metric("rainbond_nodes", 1, "r", "worker"), metric("rainbond_nodes", 1, "r", "etcd")}))
	_, err = d.Diagnose(t.Context(), look)
	if err == nil || !strings.HasPrefix(err.Error(), "rule A: ") {
		t.Errorf("got %v", err)
	}
}

func TestAlertsTellWhatTheyRead(t *testing.T) {
	var got []string
	for _, a := range newDoctor(t).Alerts() {
		got = append(got, strings.Join([]string{a.Name, a.Severity, a.Section, strings.Join(a.Slugs, "+"), strings.Join(a.Metrics, "+")}, " "))
	}
	if want := "RainbondRegionPortClosed critical api-port api+component rainbond_api_probe_failed+rainbond_component_ready"; got[0] != want {
		t.Errorf("got  %s\nwant %s", got[0], want)
	}
	if want := "RainbondRegionAPISlow warning api-slow api rainbond_api_probe_duration_seconds"; got[6] != want {
		t.Errorf("got  %s\nwant %s", got[6], want)
	}
}

func TestOurOwnRulesFindNothingInAnEmptyLook(t *testing.T) {
	rules, err := os.ReadFile("../rules/rainbond.rules.yaml")
	if errors.Is(err, os.ErrNotExist) {
		t.Skip(err)
	}
	alertmanager := read(t, "../rules/alertmanager.yaml")
	d, err := New(rules, alertmanager)
	if err != nil {
		t.Fatal(err)
	}
	var slugs []collector.Outcome
	for _, slug := range collector.Slugs {
		slugs = append(slugs, sawAt(slug, nil))
	}
	for name, look := range map[string]collector.Snapshot{"no collectors": lookOf(), "nothing seen": lookOf(slugs...)} {
		if got := diagnose(t, d, look); len(got.Findings) > 0 {
			t.Errorf("%s: %s", name, outline(got))
		}
	}
}
