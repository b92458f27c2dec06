package test

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rainbond-exporter/rainbond-exporter/collector"
)

var update = flag.Bool("update", false, "write the generated documents instead of comparing them")

// metricsPage is docs/metrics.md, made from the catalogue.
func metricsPage() string {
	var page strings.Builder
	page.WriteString(`# Metrics

Made from ` + "`collector/metrics.go`" + ` by ` + "`go test ./test -run Metrics -update`" + `; a test holds it.

Every sample of a symptom bears ` + "`rainbond_region`" + `, the name that the console has for the cluster. Seconds, bytes and ratios
from 0 to 1 throughout; what is not known is absent, never 0. Beside these the exporter tells of itself:
` + "`rainbond_exporter_build_info`, `rainbond_exporter_config_last_reload_successful`,\n`rainbond_exporter_config_last_reload_success_timestamp_seconds`, and the usual `go_*` and `process_*`.\n")
	slug := ""
	for _, m := range collector.Catalogue {
		if m.Slug != slug {
			slug = m.Slug
			fmt.Fprintf(&page, "\n## %s\n", slug)
		}
		kind := map[prometheus.ValueType]string{prometheus.GaugeValue: "gauge", prometheus.CounterValue: "counter", prometheus.UntypedValue: "histogram, classic and native"}[m.Type]
		fmt.Fprintf(&page, "\n### `%s`\n\n%s (%s)\n", m.Name, m.Help, kind)
		for _, label := range m.Labels {
			if values := m.Values(label); values != nil {
				fmt.Fprintf(&page, "\n- `%s`: `%s`", label, strings.Join(values, "`, `"))
			} else if label != "rainbond_region" {
				fmt.Fprintf(&page, "\n- `%s`", label)
			}
		}
		page.WriteString("\n")
	}
	return strings.ReplaceAll(page.String(), "\n\n\n", "\n\n")
}

func TestTheMetricsPageIsTheCatalogue(t *testing.T) {
	const path = "../docs/metrics.md"
	want := metricsPage()
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("%s is not what the catalogue says; go test ./test -run Metrics -update, and read the difference", path)
	}
}
