package rules_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"go.yaml.in/yaml/v3"

	"github.com/rainbond-exporter/rainbond-exporter/rules"
	"github.com/rainbond-exporter/rainbond-exporter/rules/variant"
	"github.com/rainbond-exporter/rainbond-exporter/test/matrix"
)

// A promtoolFile is a file of promtool tests.
type promtoolFile struct {
	Rules    []string       `yaml:"rule_files"`
	Interval string         `yaml:"evaluation_interval"`
	Tests    []promtoolTest `yaml:"tests"`
}

type promtoolTest struct {
	Name     string           `yaml:"name"`
	Interval string           `yaml:"interval"`
	Input    []promtoolSeries `yaml:"input_series"`
	Exprs    []promtoolExpr   `yaml:"promql_expr_test,omitempty"`
}

type promtoolSeries struct {
	Series string `yaml:"series"`
	Values string `yaml:"values"`
}

type promtoolExpr struct {
	Time    string           `yaml:"eval_time"`
	Expr    string           `yaml:"expr"`
	Samples []promtoolSample `yaml:"exp_samples"`
}

type promtoolSample struct {
	Labels string  `yaml:"labels"`
	Value  float64 `yaml:"value"`
}

// last is when the test ends.
func (test promtoolTest) last() time.Duration {
	var end model.Duration
	for _, e := range test.Exprs {
		if at, err := model.ParseDuration(e.Time); err == nil {
			end = max(end, at)
		}
	}
	return time.Duration(end)
}

// steps is the number of samples of a series until the end of the test.
func (test promtoolTest) steps() int {
	every, err := model.ParseDuration(test.Interval)
	if err != nil {
		return 0
	}
	return int(test.last()/time.Duration(every)) + 1
}

// neighbour is a second platform whose regions have the same names.
type neighbour map[string]string // values by series; REGION is each region

var (
	healthy = neighbour{
		`rainbond_api_up{cluster="n", rainbond_region="REGION"}`:                                                                   "1",
		`rainbond_api_probes_total{cluster="n", rainbond_region="REGION"}`:                                                         "0+1",
		`rainbond_api_probe_failures_total{cluster="n", rainbond_region="REGION", phase="connect", reason="dropped"}`:              "0",
		`rainbond_api_probe_phase_seconds{cluster="n", rainbond_region="REGION", phase="processing"}`:                              "0.02",
		`rainbond_component_desired{cluster="n", rainbond_region="REGION", component="rbd-api", kind="Deployment"}`:                "1",
		`rainbond_component_ready{cluster="n", rainbond_region="REGION", component="rbd-api", kind="Deployment"}`:                  "1",
		`rainbond_component_desired{cluster="n", rainbond_region="REGION", component="rbd-chaos", kind="DaemonSet"}`:               "1",
		`rainbond_component_ready{cluster="n", rainbond_region="REGION", component="rbd-chaos", kind="DaemonSet"}`:                 "1",
		`rainbond_certificate_mismatch{cluster="n", rainbond_region="REGION", kind="server", place="served", reference="console"}`: "0",
		`rainbond_certificate_info{cluster="n", rainbond_region="REGION", place="region-config", kind="ca", sha256="nn"}`:          "1",
		`rainbond_certificate_info{cluster="n", rainbond_region="REGION", place="console", kind="ca", sha256="nn"}`:                "1",
		`rainbond_certificate_rotation_pending{cluster="n", rainbond_region="REGION"}`:                                             "0",
		`rainbond_monitor_up{cluster="n", rainbond_region="REGION"}`:                                                               "1",
		`rainbond_monitor_last_scrape_timestamp_seconds{cluster="n", rainbond_region="REGION"}`:                                    "0+15",
		`rainbond_nodes{cluster="n", rainbond_region="REGION", role="worker"}`:                                                     "3",
		`rainbond_node_root_size_bytes{cluster="n", rainbond_region="REGION", node="n1"}`:                                          "100",
		`rainbond_node_root_avail_bytes{cluster="n", rainbond_region="REGION", node="n1"}`:                                         "50",
		`rainbond_node_root_used_ratio{cluster="n", rainbond_region="REGION", node="n1"}`:                                          "0.5",
		`rainbond_node_root_inodes{cluster="n", rainbond_region="REGION", node="n1"}`:                                              "100",
		`rainbond_node_root_inodes_free{cluster="n", rainbond_region="REGION", node="n1"}`:                                         "90",
		`rainbond_node_root_read_only{cluster="n", rainbond_region="REGION", node="n1"}`:                                           "0",
		`rainbond_collector_success{cluster="n", instance="n", collector="component"}`:                                             "1",
	}
	faulty = neighbour{
		`rainbond_api_probe_failed{cluster="n", rainbond_region="REGION", phase="tls", reason="client_refused"}`:                         "1",
		`rainbond_api_up{cluster="n", rainbond_region="REGION"}`:                                                                         "0",
		`rainbond_api_direct_up{cluster="n", rainbond_region="REGION"}`:                                                                  "1",
		`rainbond_certificate_mismatch{cluster="n", rainbond_region="REGION", kind="client", place="console", reference="served"}`:       "1",
		`rainbond_certificate_mismatch{cluster="n", rainbond_region="REGION", kind="server", place="served", reference="region-config"}`: "1",
		`rainbond_certificate_unreadable{cluster="n", rainbond_region="REGION", place="server-secret", kind="server", reason="missing"}`: "1",
		`rainbond_component_desired{cluster="n", rainbond_region="REGION", component="rbd-api", kind="Deployment"}`:                      "1",
		`rainbond_component_ready{cluster="n", rainbond_region="REGION", component="rbd-api", kind="Deployment"}`:                        "0",
		`rainbond_component_desired{cluster="n", rainbond_region="REGION", component="rbd-gateway", kind="Deployment"}`:                  "1",
		`rainbond_component_ready{cluster="n", rainbond_region="REGION", component="rbd-gateway", kind="Deployment"}`:                    "0",
		`rainbond_component_waiting{cluster="n", rainbond_region="REGION", component="rbd-api", reason="Evicted"}`:                       "1",
		`rainbond_component_waiting{cluster="n", rainbond_region="REGION", component="rbd-gateway", reason="Evicted"}`:                   "1",
		`rainbond_component_waiting{cluster="n", rainbond_region="REGION", component="rbd-mq", reason="Evicted"}`:                        "1",
		`rainbond_component_waiting{cluster="n", rainbond_region="REGION", component="rbd-chaos", reason="NoNode"}`:                      "1",
		`rainbond_operator_component_failed{cluster="n", rainbond_region="REGION", component="rbd-api"}`:                                 "1",
		`rainbond_component_restart_pending{cluster="n", rainbond_region="REGION", component="rbd-api"}`:                                 "1",
		`rainbond_node_condition{cluster="n", rainbond_region="REGION", node="n1", condition="DiskPressure"}`:                            "1",
		`rainbond_node_eviction_threshold_ratio{cluster="n", rainbond_region="REGION", node="n1", signal="nodefs.available"}`:            "0.3",
		`rainbond_collector_success{cluster="n", instance="n", collector="component"}`:                                                   "0",
	}
)

// withNeighbour puts the platform of a test under cluster="t", next to a
// platform of the same name under cluster="n", and selects only the alerts of
// the first.
func withNeighbour(test promtoolTest, of neighbour) promtoolTest {
	regions := map[string]bool{}
	for i, s := range test.Input {
		if m := regexp.MustCompile(`rainbond_region="(\w+)"`).FindStringSubmatch(s.Series); m != nil {
			regions[m[1]] = true
		}
		test.Input[i].Series = strings.Replace(s.Series, "{", `{cluster="t", `, 1)
	}
	for series, values := range of {
		for region := range regions {
			test.Input = append(test.Input, promtoolSeries{strings.Replace(series, "REGION", region, 1), fmt.Sprintf("%sx%d", values, test.steps())})
			if !strings.Contains(series, "REGION") {
				break
			}
		}
	}
	test.Exprs = slices.DeleteFunc(test.Exprs, func(e promtoolExpr) bool { return !strings.Contains(e.Expr, "ALERTS") })
	for i, e := range test.Exprs {
		test.Exprs[i].Expr = strings.Replace(e.Expr, "ALERTS{", `ALERTS{cluster!="n", `, 1)
		for j, s := range e.Samples {
			test.Exprs[i].Samples[j].Labels = strings.Replace(s.Labels, "ALERTS{", `ALERTS{cluster="t", `, 1)
		}
	}
	return test
}

// twice lets two exporters export each series.
func twice(test promtoolTest) promtoolTest {
	var input []promtoolSeries
	for _, s := range test.Input {
		if strings.Contains(s.Series, "instance=") {
			input = append(input, s)
			continue
		}
		for _, instance := range []string{"ha-0", "ha-1"} {
			input = append(input, promtoolSeries{strings.Replace(s.Series, "{", `{instance="`+instance+`", `, 1), s.Values})
		}
	}
	test.Input = input
	return test
}

// TestFlatRulesFireTheSame runs the promtool tests with the rules of vmalert,
// which have no recording rules.
func TestFlatRulesFireTheSame(t *testing.T) {
	text, err := variant.Generate(variant.Options{Format: variant.VMAlert})
	must(t, err)
	if strings.Contains(string(text), "record:") {
		t.Error("there is a recording rule")
	}
	text = bytes.ReplaceAll(text, []byte("    eval_alignment: false\n"), nil) // which Prometheus does not know
	longest := 10 * time.Minute
	if *allVariants {
		longest = 30 * time.Minute
	}
	runTests(t, text, func(test promtoolTest) bool { return test.last() <= longest }, func(test promtoolTest) promtoolTest {
		test.Exprs = slices.DeleteFunc(test.Exprs, func(e promtoolExpr) bool { return !strings.Contains(e.Expr, "ALERTS") })
		return test
	})
}

// runTests runs the promtool tests that are chosen, after a change, with the rules.
func runTests(t *testing.T, text []byte, chosen func(promtoolTest) bool, change func(promtoolTest) promtoolTest) {
	t.Helper()
	if testing.Short() {
		t.Skip("takes a minute: make promtool runs it")
	}
	var file promtoolFile
	must(t, yaml.Unmarshal([]byte(read(t, "rainbond.test.yaml")), &file))
	var tests []promtoolTest
	for _, test := range file.Tests {
		if len(test.Exprs) > 0 && chosen(test) {
			tests = append(tests, change(test))
		}
	}
	if len(tests) < 25 {
		t.Fatalf("only %d tests", len(tests))
	}
	promtool(t, text, tests)
}

// promtool runs tests with the rules.
func promtool(t *testing.T, text []byte, tests []promtoolTest) {
	t.Helper()
	file := promtoolFile{Rules: []string{"rules.yaml"}, Interval: "15s", Tests: tests}
	folder := t.TempDir()
	tested, err := yaml.Marshal(file)
	must(t, err)
	must(t, os.WriteFile(filepath.Join(folder, "test.yaml"), tested, 0o644))
	must(t, os.WriteFile(filepath.Join(folder, "rules.yaml"), text, 0o644))
	runs(t, "promtool", "test", "rules", filepath.Join(folder, "test.yaml"))
}

var allVariants = flag.Bool("all-variants", false, "run each promtool test in each variant and longer tests with the flat rules, which takes minutes")

var record = flag.Bool("record", false, "with -all-variants, write the numbers of passed tests into the table of docs/faults.md")

// aboutOnePlatform reports whether a test can have another platform next to its
// own.
func aboutOnePlatform(test promtoolTest) bool {
	return !strings.Contains(test.Name, "Watchdog") && !strings.Contains(test.Name, "no target") && !strings.Contains(test.Name, "two platforms") &&
		!slices.ContainsFunc(test.Input, func(s promtoolSeries) bool { return strings.Contains(s.Series, "cluster=") })
}

// TestRulesHoldNextToAnotherPlatform runs the promtool tests again with a
// faulty platform of the same name in the same Prometheus and a pair of
// exporters; with -all-variants also the tests that are longer than half an
// hour, and in each setting of the identity table of docs/faults.md.
func TestRulesHoldNextToAnotherPlatform(t *testing.T) {
	if !*allVariants {
		runTests(t, rules.Rules, func(test promtoolTest) bool { return aboutOnePlatform(test) && test.last() <= 30*time.Minute },
			func(test promtoolTest) promtoolTest { return twice(withNeighbour(test, faulty)) })
		return
	}
	same := func(test promtoolTest) promtoolTest { return test }
	passed := map[string]int{}
	for setting, change := range map[string]func(promtoolTest) promtoolTest{
		matrix.Alone:   same,
		matrix.Healthy: func(test promtoolTest) promtoolTest { return withNeighbour(test, healthy) },
		matrix.Faulty:  func(test promtoolTest) promtoolTest { return withNeighbour(test, faulty) },
		matrix.Pair:    twice,
	} {
		t.Run(setting, func(t *testing.T) {
			number := 0
			runTests(t, rules.Rules, func(test promtoolTest) bool { return setting == matrix.Alone || aboutOnePlatform(test) }, func(test promtoolTest) promtoolTest {
				number++
				return change(test)
			})
			if !t.Failed() {
				passed[setting] = number
			}
		})
	}
	if *record && !t.Failed() {
		const file = "../test/e2e/testdata/measured.json"
		measured, err := matrix.Read(file)
		must(t, err)
		for setting, number := range passed {
			measured.Add(setting, matrix.Promtool, matrix.Result{Passed: number})
		}
		must(t, measured.Write(file))
	}
}

// TestConsoleAndRegionOfDifferentClusters: the exporters of the console and of
// the region have different values of cluster, as on two Prometheus servers. With
// the label platform, which both scrape jobs set, a copy that differs fires once.
// With cluster, the copies are not compared.
func TestConsoleAndRegionOfDifferentClusters(t *testing.T) {
	fingerprint := func(cluster, platform, place, sha256 string) promtoolSeries {
		return promtoolSeries{fmt.Sprintf(`rainbond_certificate_info{cluster=%q, platform=%q, rainbond_region="rainbond", place=%q, kind="client", sha256=%q}`, cluster, platform, place, sha256), "1x20"}
	}
	firing := func(samples ...promtoolSample) []promtoolExpr {
		return []promtoolExpr{{"4m", `ALERTS{alertname!~"RainbondWatchdog|RainbondExporterDown", alertstate="firing"}`, samples}}
	}
	drift := promtoolSample{`ALERTS{alertname="RainbondRegionCertificateDrift", alertstate="firing", between="copies", platform="p", rainbond_region="rainbond", severity="warning"}`, 1}
	for label, want := range map[string][]promtoolExpr{"platform": firing(drift), "cluster": firing()} {
		text, err := variant.Generate(variant.Options{Identity: []string{label, rules.RegionLabel}})
		must(t, err)
		promtool(t, text, []promtoolTest{{Name: label, Interval: "15s", Exprs: want, Input: []promtoolSeries{
			fingerprint("office", "p", "console", "old"), fingerprint("site", "p", "region-config", "new"),
			fingerprint("office", "q", "console", "same"), fingerprint("site-2", "q", "region-config", "same"),
		}}})
	}
}
