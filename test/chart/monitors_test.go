package chart

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"go.yaml.in/yaml/v3"
)

// TestOurLabelsTakePrecedence in each object that makes a scrape job: a target
// label node or rainbond_region would replace the exporter's.
func TestOurLabelsTakePrecedence(t *testing.T) {
	for by, want := range map[string][]string{
		"serviceMonitor":  {"ServiceMonitor"},
		"podMonitor":      {"PodMonitor"},
		"vmServiceScrape": {"VMServiceScrape"},
		"scrapeConfig":    {"ScrapeConfig", "ScrapeConfig"},
	} {
		values := []string{"--set=scrape.by=" + by, "--set=scrape.podTargetLabels={node}", "--set=console.enabled=true", "--set=console.config.existingSecret=db"}
		if by == "scrapeConfig" {
			values = append(values, "--set=console.scrapeEachRegion=true")
		}
		rendered, complaint := template(t, helms[0], values...)
		if complaint != "" {
			t.Fatalf("%s: %s", by, complaint)
		}
		var kinds []string
		for _, text := range objects(rendered) {
			var object struct {
				Kind string
				Spec map[string]any
			}
			if err := yaml.Unmarshal([]byte(text), &object); err != nil {
				t.Fatal(err)
			}
			if !slices.Contains(want, object.Kind) {
				continue
			}
			kinds = append(kinds, object.Kind)
			endpoints := []any{object.Spec}
			for _, field := range []string{"endpoints", "podMetricsEndpoints"} {
				if list, ok := object.Spec[field].([]any); ok {
					endpoints = list
				}
			}
			for _, endpoint := range endpoints {
				if fields, ok := endpoint.(map[string]any); !ok || fields["honorLabels"] != true {
					t.Errorf("%s has an endpoint without honorLabels: true: %v", object.Kind, endpoint)
				}
			}
		}
		if !slices.Equal(kinds, want) {
			t.Errorf("scrape.by=%s makes %q, want %q", by, kinds, want)
		}
	}
}

// TestPrometheusOfTheChartIsValid with promtool. Its job of the exporter has
// honor_labels.
func TestPrometheusOfTheChartIsValid(t *testing.T) {
	promtool := tool(t, "promtool")
	rendered, complaint := template(t, helms[0], "--values=testdata/good/alerting.yaml")
	if complaint != "" {
		t.Fatal(complaint)
	}
	text := ""
	for _, manifest := range objects(rendered) {
		var object struct{ Data map[string]any }
		if err := yaml.Unmarshal([]byte(manifest), &object); err != nil {
			t.Fatal(err)
		}
		if config, ok := object.Data["prometheus.yaml"].(string); ok {
			text = config
		}
	}
	var config struct {
		Jobs []struct {
			Name  string `yaml:"job_name"`
			Honor bool   `yaml:"honor_labels"`
		} `yaml:"scrape_configs"`
	}
	if err := yaml.Unmarshal([]byte(text), &config); err != nil || len(config.Jobs) == 0 {
		t.Fatalf("no scrape jobs: %v", err)
	}
	if job := config.Jobs[0]; job.Name != "rainbond-exporter" || !job.Honor {
		t.Errorf("the first job is %+v, want rainbond-exporter with honor_labels", job)
	}
	file := filepath.Join(t.TempDir(), "prometheus.yml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, complaint := ran(t, promtool, "check", "config", "--syntax-only", file); complaint != "" {
		t.Error(out, complaint)
	}
}
