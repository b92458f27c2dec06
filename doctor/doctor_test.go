package doctor

import (
	"errors"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rainbond-exporter/rainbond-exporter/collector"
	"github.com/rainbond-exporter/rainbond-exporter/doctor/doctortest"
)

func newDoctor(t *testing.T) *Doctor {
	t.Helper()
	d, err := New(doctortest.Rules, doctortest.Alertmanager)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func diagnose(t *testing.T, d *Doctor, snapshot collector.Snapshot) Diagnosis {
	t.Helper()
	diagnosis, err := d.Diagnose(t.Context(), snapshot)
	if err != nil {
		t.Fatal(err)
	}
	return diagnosis
}

// outline is a diagnosis in a line a finding.
func outline(d Diagnosis) string {
	var b strings.Builder
	var write func(indent string, findings []Finding)
	write = func(indent string, findings []Finding) {
		for _, f := range findings {
			b.WriteString(indent + f.Severity + " " + f.Slug + " " + f.Alert + aboutText(f) + "\n")
			write(indent+"  ", f.Symptoms)
		}
	}
	write("", d.Findings)
	return b.String()
}

// aboutText is what a finding is about.
func aboutText(f Finding) string {
	text := ""
	if region := f.Labels[LabelRegion]; region != "" {
		text = ", region " + region
	}
	for _, name := range slices.Sorted(maps.Keys(f.Labels)) {
		if name != LabelRegion {
			text += ", " + name + "=" + f.Labels[name]
		}
	}
	return text
}

func TestFindingsAreCausesMostUrgentFirst(t *testing.T) {
	d := diagnose(t, newDoctor(t), doctortest.Faulty())
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

func TestVerdict(t *testing.T) {
	unseen := doctortest.Healthy()
	unseen.Outcomes[5].Err = errors.New("no root")
	for name, c := range map[string]struct {
		snapshot collector.Snapshot
		want     Verdict
	}{
		"healthy":            {doctortest.Healthy(), Healthy},
		"a failed collector": {unseen, Incomplete},
		"faults and more":    {doctortest.Faulty(), Faults},
		"no collector":       {doctortest.SnapshotOf(), Incomplete},
	} {
		if got := diagnose(t, newDoctor(t), c.snapshot).Verdict(); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

func TestRulesThatNeedHistoryAreListed(t *testing.T) {
	d := newDoctor(t)
	want := []string{"RainbondRegionAPIUnstable", "RainbondNodeDiskGrows", "RainbondExporterDown"}
	if got := diagnose(t, d, doctortest.Healthy()).NeedsHistory; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	t.Run("nothing is absent whose collector did not run", func(t *testing.T) {
		diskOnly := doctortest.SnapshotOf(doctortest.Collected(collector.SlugDisk, nil))
		want := append([]string{"RainbondNoProbe"}, want...)
		got := diagnose(t, d, diskOnly)
		if !slices.Equal(got.NeedsHistory, want) || len(got.Findings) > 0 {
			t.Errorf("got %q and %s, want %q", got.NeedsHistory, outline(got), want)
		}
		api := doctortest.Healthy()
		api.Outcomes[0].Report.Metrics = nil
		if got := outline(diagnose(t, d, api)); got != "warning api RainbondNoProbe\n" {
			t.Errorf("collected and absent: %q", got)
		}
	})
}

func TestAnAlertThatFiresIsNotListedAsNotEvaluated(t *testing.T) {
	const rules = `groups: [{name: own, rules: [
		{alert: Down, expr: 'changes(rainbond_api_up[2m]) > 5'},
		{alert: Down, expr: 'rainbond_api_up == 0'},
		{alert: Unstable, expr: 'changes(rainbond_api_up[2m]) > 5'}]}]`
	d, err := New([]byte(rules), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		snapshot collector.Snapshot
		want     []string
	}{
		{doctortest.Faulty(), []string{"Unstable"}},
		{doctortest.Healthy(), []string{"Down", "Unstable"}},
	} {
		if got := diagnose(t, d, c.snapshot).NeedsHistory; !slices.Equal(got, c.want) {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}

func TestAConditionThatHasJustBegunIsPending(t *testing.T) {
	const rules = `groups: [{name: own, rules: [
		{alert: NotReady, for: 3m, expr: 'rainbond_component_ready < 1', annotations: {section: component-not-ready}},
		{alert: Down, for: 3m, expr: 'rainbond_api_up == 0', annotations: {section: api-down}}]}]`
	d, err := New([]byte(rules), nil)
	if err != nil {
		t.Fatal(err)
	}
	ago := func(age time.Duration) time.Time { return doctortest.Noon.Add(-age) }
	snapshot := func(up float64, since ...time.Time) collector.Snapshot {
		pods := doctortest.Collected(collector.SlugComponent, []prometheus.Metric{doctortest.Metric("rainbond_component_ready", 0, "rainbond", "rbd-chaos", "Deployment")})
		for _, at := range since {
			e := doctortest.Evidence(collector.EvidencePod, "rbd-chaos-1: ContainerCreating "+at.String(), "rainbond_region", "rainbond", "component", "rbd-chaos")
			e.Since = at
			pods.Report.Evidence = append(pods.Report.Evidence, e)
		}
		return doctortest.SnapshotOf(pods, doctortest.Collected(collector.SlugAPI, []prometheus.Metric{doctortest.Metric("rainbond_api_up", up, "rainbond")}))
	}
	for name, c := range map[string]struct {
		snapshot collector.Snapshot
		pending  bool
		want     Verdict
	}{
		"younger than for":           {snapshot(1, ago(time.Minute)), true, Healthy},
		"as old as for":              {snapshot(1, ago(3*time.Minute)), false, Faults},
		"one of two is old":          {snapshot(1, ago(time.Minute), ago(time.Hour)), false, Faults},
		"one of two is unknown":      {snapshot(1, ago(time.Minute), time.Time{}), false, Faults},
		"no evidence":                {snapshot(1), false, Faults},
		"another fault is not young": {snapshot(0, ago(time.Minute)), true, Faults},
	} {
		got := diagnose(t, d, c.snapshot)
		i := slices.IndexFunc(got.Findings, func(f Finding) bool { return f.Alert == "NotReady" })
		if i < 0 || got.Findings[i].Pending != c.pending || got.Verdict() != c.want {
			t.Errorf("%s: %s, %+v", name, got.Verdict(), got.Findings)
		}
	}
	var history History
	for i, want := range []Verdict{Healthy, Healthy, Healthy, Faults} { // a minute apart
		young := snapshot(1, doctortest.Noon.Add(time.Duration(i)*time.Minute))
		young.At = young.At.Add(time.Duration(i) * time.Minute)
		got := diagnose(t, d, young)
		history.Note(&got)
		if got.Verdict() != want {
			t.Errorf("after %d minutes: %s, want %s", i, got.Verdict(), want)
		}
	}
}

func TestMinimumAndMaximumOverTimeNeedNoHistory(t *testing.T) {
	for expr, oneCollection := range map[string]bool{
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
		if got := d.Alerts()[0].OneCollection; got != oneCollection {
			t.Errorf("%s: one collection is enough: %v", expr, got)
		}
	}
}

func TestRecordingRulesAreEvaluatedFirst(t *testing.T) {
	refused := func(ready float64) collector.Snapshot {
		return doctortest.SnapshotOf(
			doctortest.Collected(collector.SlugAPI, []prometheus.Metric{doctortest.Metric("rainbond_api_probe_failed", 1, "rainbond", "connect", "refused"), doctortest.Metric("rainbond_api_up", 0, "rainbond")},
				doctortest.Evidence(collector.EvidenceError, "connect: connection refused", "rainbond_region", "rainbond", "phase", "connect", "reason", "refused")),
			doctortest.Collected(collector.SlugComponent, []prometheus.Metric{doctortest.Metric("rainbond_component_ready", ready, "rainbond", "rbd-api", "Deployment")},
				doctortest.Evidence(collector.EvidencePod, "rbd-api-7d: starts", "rainbond_region", "rainbond", "component", "rbd-api"),
				doctortest.Evidence(collector.EvidencePod, "rbd-chaos-1: crashes", "rainbond_region", "rainbond", "component", "rbd-chaos"),
				doctortest.Evidence(collector.EvidencePod, "of the region at large", "rainbond_region", "rainbond")),
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
	snapshot := doctortest.SnapshotOf(doctortest.Collected(collector.SlugAPI, []prometheus.Metric{slow, doctortest.Metric("rainbond_api_up", 1, "rainbond")}))
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
		if got := outline(diagnose(t, d, snapshot)); got != want {
			t.Errorf("%s: got %q, want %q", expr, got, want)
		}
	}
}

func TestTemplatesExpandAsInPrometheus(t *testing.T) {
	snapshot := doctortest.SnapshotOf(doctortest.Collected(collector.SlugDisk, []prometheus.Metric{doctortest.Metric("rainbond_node_root_used_ratio", 0.8251, "rainbond", "node-1")}))
	f := diagnose(t, newDoctor(t), snapshot).Findings[0]
	want := Words{"The root disk of node node-1 is 82.51% full", "节点 node-1 根分区已用 82.51%"}
	if f.Summary != want {
		t.Errorf("got %q, want %q", f.Summary, want)
	}
}

func TestCommandsAreLiftedOutOfTheDescription(t *testing.T) {
	prose, commands := liftCommands("Nobody can build.\nInspect the pod.\n$ kubectl get pods\n  $ kubectl logs x\n")
	if want := "Nobody can build.\nInspect the pod."; prose != want {
		t.Errorf("prose %q, want %q", prose, want)
	}
	if want := []string{"kubectl get pods", "kubectl logs x"}; !slices.Equal(commands, want) {
		t.Errorf("commands %q, want %q", commands, want)
	}
}

func TestEvidenceIsAHandfulWithoutRepeats(t *testing.T) {
	var seen []collector.Evidence
	for _, text := range []string{"refused", "dial: refused", "dial: refused", "1", "2", "3", "4", "5", "6", "7"} {
		seen = append(seen, doctortest.Evidence(collector.EvidencePod, text, "rainbond_region", "rainbond", "component", "rbd-chaos"))
	}
	snapshot := doctortest.Faulty()
	snapshot.Outcomes[4].Report.Evidence = seen
	var got []string
	for _, e := range diagnose(t, newDoctor(t), snapshot).Findings[1].Evidence {
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
	if got := "\n" + outline(diagnose(t, d, doctortest.Faulty())); got != want {
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
	if got := outline(diagnose(t, d, doctortest.Faulty())); got != " api A, region rainbond\n" {
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
	snapshot := doctortest.SnapshotOf(
		doctortest.Collected(collector.SlugAPI, []prometheus.Metric{doctortest.Metric("rainbond_api_up", 1, "r")}),
		doctortest.Collected(collector.SlugNodeRole, []prometheus.Metric{doctortest.Metric("rainbond_nodes", 1, "r", "worker"), doctortest.Metric("rainbond_nodes", 1, "r", "etcd")}))
	_, err = d.Diagnose(t.Context(), snapshot)
	if err == nil || !strings.HasPrefix(err.Error(), "rule A: ") {
		t.Errorf("got %v", err)
	}
}

func TestMetricsOfAlerts(t *testing.T) {
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

func TestEmbeddedRulesFindNothingInAnEmptySnapshot(t *testing.T) {
	rules, err := os.ReadFile("../rules/rainbond.rules.yaml")
	if errors.Is(err, os.ErrNotExist) {
		t.Skip(err)
	}
	alertmanager := doctortest.Read(t, "../rules/alertmanager.yaml")
	d, err := New(rules, alertmanager)
	if err != nil {
		t.Fatal(err)
	}
	var slugs []collector.Outcome
	for _, slug := range collector.Slugs {
		slugs = append(slugs, doctortest.Collected(slug, nil))
	}
	for name, snapshot := range map[string]collector.Snapshot{"no collectors": doctortest.SnapshotOf(), "nothing seen": doctortest.SnapshotOf(slugs...)} {
		if got := diagnose(t, d, snapshot); len(got.Findings) > 0 {
			t.Errorf("%s: %s", name, outline(got))
		}
	}
}
