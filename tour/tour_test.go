package tour

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rainbond-exporter/rainbond-exporter/collector"
	"github.com/rainbond-exporter/rainbond-exporter/demo"
	"github.com/rainbond-exporter/rainbond-exporter/doctor"
	"github.com/rainbond-exporter/rainbond-exporter/relay"
	"github.com/rainbond-exporter/rainbond-exporter/report/web"
	"github.com/rainbond-exporter/rainbond-exporter/rules"
)

func TestOnlySignificantChangesAreShown(t *testing.T) {
	before := map[string]sample{
		`rainbond_api_up{rainbond_region="a"}`:           {metric: "rainbond_api_up", value: 1},
		`rainbond_api_probes_total`:                      {metric: "rainbond_api_probes_total", value: 3, counts: true},
		`rainbond_api_probe_failures_total`:              {metric: "rainbond_api_probe_failures_total", counts: true},
		`rainbond_api_probe_phase_seconds{p="tls"}`:      {metric: "rainbond_api_probe_phase_seconds", value: 0.02},
		`rainbond_api_probe_phase_seconds{p="slow"}`:     {metric: "rainbond_api_probe_phase_seconds", value: 0.02},
		`rainbond_collector_duration_seconds`:            {metric: "rainbond_collector_duration_seconds", value: 0.1},
		`rainbond_monitor_last_scrape_timestamp_seconds`: {metric: "rainbond_monitor_last_scrape_timestamp_seconds", value: 1e9},
		`rainbond_certificate_info{sha256="a"}`:          {metric: "rainbond_certificate_info", value: 1},
		`rainbond_api_ready`:                             {metric: "rainbond_api_ready"},
		`rainbond_node_root_used_ratio`:                  {metric: "rainbond_node_root_used_ratio", value: 0.5},
	}
	now := map[string]sample{
		`rainbond_api_up{rainbond_region="a"}`:           {metric: "rainbond_api_up"},
		`rainbond_api_probes_total`:                      {metric: "rainbond_api_probes_total", value: 9, counts: true},
		`rainbond_api_probe_failures_total`:              {metric: "rainbond_api_probe_failures_total", value: 2, counts: true},
		`rainbond_api_probe_phase_seconds{p="tls"}`:      {metric: "rainbond_api_probe_phase_seconds", value: 0.2},
		`rainbond_api_probe_phase_seconds{p="slow"}`:     {metric: "rainbond_api_probe_phase_seconds", value: 1.5},
		`rainbond_collector_duration_seconds`:            {metric: "rainbond_collector_duration_seconds", value: 5},
		`rainbond_monitor_last_scrape_timestamp_seconds`: {metric: "rainbond_monitor_last_scrape_timestamp_seconds", value: 1e9 + 60},
		`rainbond_certificate_info{sha256="b"}`:          {metric: "rainbond_certificate_info", value: 1},
		`rainbond_component_waiting{reason="none"}`:      {metric: "rainbond_component_waiting"},
		`rainbond_node_root_used_ratio`:                  {metric: "rainbond_node_root_used_ratio", value: 0.8234567},
	}
	var got []string
	for _, c := range changes(before, now, []string{"rainbond_node_root_used_ratio"}) {
		got = append(got, c.Series+" "+c.Before+" "+c.Now)
	}
	want := []string{
		"rainbond_node_root_used_ratio 0.5 0.8235",
		`rainbond_api_up{rainbond_region="a"} 1 0`,
		"rainbond_api_probe_failures_total 0 2",
		`rainbond_api_probe_phase_seconds{p="slow"} 0.02 1.5`,
		`rainbond_certificate_info{sha256="a"} 1 –`,
		`rainbond_certificate_info{sha256="b"} – 1`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// disk returns a snapshot with only the used ratio of a node's root file system.
func disk(used float64) collector.Snapshot {
	ratio := prometheus.NewDesc("rainbond_node_root_used_ratio", "Used.", []string{"rainbond_region", "node"}, nil)
	return collector.Snapshot{At: time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC), Outcomes: []collector.Outcome{{
		Collector: collector.SlugDisk,
		Report:    collector.Report{Metrics: []prometheus.Metric{prometheus.MustNewConstMetric(ratio, prometheus.GaugeValue, used, "rainbond", "node-1")}},
	}}}
}

func TestTourOfAFault(t *testing.T) {
	d, err := demo.Start(t.Context(), demo.Options{Scenario: "disk-82", Bits: 2048})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	evaluator, err := doctor.New(rules.Rules, rules.Alertmanager)
	if err != nil {
		t.Fatal(err)
	}
	var seen []string // scenarios during the collection
	tour, err := Start(t.Context(), d, evaluator, func(context.Context) (collector.Snapshot, error) {
		seen = append(seen, d.Scenario().Name)
		return disk(0.4), nil
	}, relay.Path{})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(seen, []string{demo.Healthy}) || d.Scenario().Name != "disk-82" {
		t.Errorf("collected during %q, and the scenario is now %s", seen, d.Scenario().Name)
	}
	page := func(lang string, used float64) web.Panels {
		diagnosis, err := evaluator.Diagnose(t.Context(), disk(used))
		if err != nil {
			t.Fatal(err)
		}
		return tour.Panels(lang, disk(used), diagnosis)
	}
	for lang, want := range map[string][]string{
		"en": {`<b>Simulated fault:</b> The root file system is 82% full`, `node=&#34;node-1&#34;,<wbr>rainbond_region=&#34;rainbond&#34;}</code> <span>0.4 → <b>0.82</b></span>`,
			`<code>RainbondNodeDiskFilling</code>`, `>warning</b> is sent to the team&#39;s channel`, "<dt>Duration (for)</dt><dd>15m</dd>", "<p>[WARN] Region rainbond: ", "$ df -h"},
		"zh": {"<b>模拟的故障：</b> 根分区使用率 82%", "<p>【警告】集群 rainbond：", `action="demo?lang=zh"`},
	} {
		b := page(lang, 0.82)
		html := string(b.Lead + b.Follow)
		for _, text := range want {
			if !strings.Contains(html, text) {
				t.Errorf("%s: no %s in\n%s", lang, text, html)
			}
		}
		if strings.Contains(html, " style=") || strings.Contains(html, "<script") {
			t.Errorf("%s: the page's policy allows neither script nor style", lang)
		}
	}
	// A resolved notification follows.
	if err := d.Set(demo.Healthy); err != nil {
		t.Fatal(err)
	}
	b := page("en", 0.4)
	if !strings.Contains(string(b.Lead), "<b>Repaired:</b>") || !strings.Contains(string(b.Follow), "<p>[OK] Region rainbond: ") {
		t.Errorf("after the repair\n%s\n%s", b.Lead, b.Follow)
	}
	// A healthy state causes no alert; a fault with a history is detected by Prometheus.
	for scenario, want := range map[string]string{"tls-scanner": "no alert fires", "api-flapping": "<code>RainbondRegionAPIUnstable</code>"} {
		if err := d.Set(scenario); err != nil {
			t.Fatal(err)
		}
		if b := page("en", 0.4); !strings.Contains(string(b.Follow), want) || !strings.Contains(string(b.Follow), "No notification.") {
			t.Errorf("%s: no %q in\n%s", scenario, want, b.Follow)
		}
	}
}

func TestStartFailsWithoutTheHealthyRegion(t *testing.T) {
	d, err := demo.Start(t.Context(), demo.Options{Bits: 2048})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	evaluator, _ := doctor.New(rules.Rules, rules.Alertmanager)
	_, err = Start(t.Context(), d, evaluator, func(context.Context) (collector.Snapshot, error) { return collector.Snapshot{}, errors.New("no time") }, relay.Path{})
	if err == nil || err.Error() != "collect from the healthy region: no time" {
		t.Error(err)
	}
}
