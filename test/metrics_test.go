package test

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"go.yaml.in/yaml/v3"

	"github.com/rainbond-exporter/rainbond-exporter/collector"
)

var update = flag.Bool("update", false, "write the generated documents instead of comparing them")

// A metricsText is what differs between docs/metrics.md and docs/metrics.zh.md.
type metricsText struct {
	path, head string
	help       func(collector.Metric) string
	kinds      map[prometheus.ValueType]string
	stop       string // before the label values
	list       string // between them
}

const metricsNames = "`rainbond_exporter_build_info`"

// metricsPages are docs/metrics.md and docs/metrics.zh.md, from the catalogue.
func metricsPages(t *testing.T) []metricsText {
	t.Helper()
	var zh map[string]string
	if err := yaml.Unmarshal([]byte(read(t, "testdata/metrics.zh.yaml")), &zh); err != nil {
		t.Fatal(err)
	}
	return []metricsText{
		{
			path: "../docs/metrics.md",
			head: `# Metrics

[中文](metrics.zh.md)

<!-- Generated from collector/metrics.go: go test ./test -run Metrics -update. -->

- Metrics about a region have the label ` + "`rainbond_region`" + `, the name of the region in the console.
- Units are seconds, bytes and ratios from 0 to 1. An unknown value is absent, never 0.
- The exporter also exports ` + metricsNames + `, ` + "`rainbond_exporter_config_last_reload_successful`" + `,
  ` + "`rainbond_exporter_config_last_reload_success_timestamp_seconds`, and the usual `go_*` and `process_*`" + `.
`,
			help:  func(m collector.Metric) string { return m.Help },
			kinds: map[prometheus.ValueType]string{prometheus.GaugeValue: " (gauge)", prometheus.CounterValue: " (counter)", prometheus.UntypedValue: " (histogram, classic and native)"},
			stop:  ": ", list: ", ",
		},
		{
			path: "../docs/metrics.zh.md",
			head: `# 指标

[English](metrics.md)

<!-- Generated from collector/metrics.go and test/testdata/metrics.zh.yaml: go test ./test -run Metrics -update. -->

- 关于集群的指标都有标签 ` + "`rainbond_region`" + `，即控制台里的集群名。
- 单位是秒、字节，比率为 0 到 1。未知的值不存在，绝不为 0。
- exporter 还导出 ` + metricsNames + `、` + "`rainbond_exporter_config_last_reload_successful`" + `、
  ` + "`rainbond_exporter_config_last_reload_success_timestamp_seconds`，以及通常的 `go_*` 和 `process_*`" + `。
`,
			help: func(m collector.Metric) string {
				if zh[m.Name] == "" {
					t.Errorf("testdata/metrics.zh.yaml: no text for %s (%s)", m.Name, m.Help)
				}
				return zh[m.Name]
			},
			kinds: map[prometheus.ValueType]string{prometheus.GaugeValue: "（gauge）", prometheus.CounterValue: "（counter）", prometheus.UntypedValue: "（直方图，经典与原生）"},
			stop:  "：", list: "、",
		},
	}
}

// text returns the page.
func (p metricsText) text() string {
	var page strings.Builder
	page.WriteString(p.head)
	slug := ""
	for _, m := range collector.Catalogue {
		if m.Slug != slug {
			slug = m.Slug
			fmt.Fprintf(&page, "\n## %s\n", slug)
		}
		fmt.Fprintf(&page, "\n### `%s`\n\n%s%s\n", m.Name, p.help(m), p.kinds[m.Type])
		for _, label := range m.Labels {
			if values := m.Values(label); values != nil {
				fmt.Fprintf(&page, "\n- `%s`%s`%s`", label, p.stop, strings.Join(values, "`"+p.list+"`"))
			} else if label != "rainbond_region" {
				fmt.Fprintf(&page, "\n- `%s`", label)
			}
		}
		page.WriteString("\n")
	}
	return strings.ReplaceAll(page.String(), "\n\n\n", "\n\n")
}

func TestTheMetricsPageIsTheCatalogue(t *testing.T) {
	for _, page := range metricsPages(t) {
		want := page.text()
		if *update {
			if err := os.WriteFile(page.path, []byte(want), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if read(t, page.path) != want {
			t.Errorf("%s differs from the catalogue: go test ./test -run Metrics -update, and read the difference", page.path)
		}
	}
}
