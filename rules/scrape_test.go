package rules_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/rainbond-exporter/rainbond-exporter/rules"
)

// TestDocumentedJobsHonorLabels reads each scrape job of the documentation.
func TestDocumentedJobsHonorLabels(t *testing.T) {
	pages, err := filepath.Glob("../docs/*.md")
	must(t, err)
	jobs := 0
	for _, page := range pages {
		for _, block := range regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(read(t, page), -1) {
			if !strings.Contains(block[1], "scrape_configs:") {
				continue
			}
			var config struct {
				Jobs []struct {
					Name  string `yaml:"job_name"`
					Honor bool   `yaml:"honor_labels"`
				} `yaml:"scrape_configs"`
			}
			must(t, yaml.Unmarshal([]byte(block[1]), &config))
			for _, job := range config.Jobs {
				jobs++
				if !job.Honor {
					t.Errorf("%s: job %s has no honor_labels: true", page, job.Name)
				}
			}
		}
	}
	if jobs < 8 {
		t.Errorf("only %d jobs", jobs)
	}
}

// TestLabelsSurviveScraping lets a real Prometheus scrape targets that have the
// labels node and rainbond_region themselves. The alert is pending for the job
// without honor_labels, and only for that job.
func TestLabelsSurviveScraping(t *testing.T) {
	exporter := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4")
		_, _ = io.WriteString(w, "rainbond_node_root_size_bytes{rainbond_region=\"a\",node=\"n1\"} 100\n")
	}))
	defer exporter.Close()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	address := listener.Addr().String()
	listener.Close()
	folder := t.TempDir()
	config := "global: {scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}\nrule_files: [rules.yaml]\nscrape_configs:\n"
	for _, honor := range []bool{true, false} {
		config += fmt.Sprintf("- {job_name: rainbond-exporter-%t, honor_labels: %[1]t, static_configs: [{targets: [%q], labels: {node: host-1, rainbond_region: production}}]}\n", honor, exporter.Listener.Addr())
	}
	must(t, os.WriteFile(filepath.Join(folder, "prometheus.yml"), []byte(config), 0o644))
	must(t, os.WriteFile(filepath.Join(folder, "rules.yaml"), rules.Rules, 0o644))
	process := exec.CommandContext(t.Context(), tool(t, "prometheus"), "--config.file="+filepath.Join(folder, "prometheus.yml"), "--storage.tsdb.path="+filepath.Join(folder, "data"), "--web.listen-address="+address)
	must(t, process.Start())
	defer func() { _, _ = process.Process.Kill(), process.Wait() }()

	want := map[string][]string{
		`count by (job, node, rainbond_region, exported_node) (rainbond_node_root_size_bytes)`: {
			"job=rainbond-exporter-false node=host-1 rainbond_region=production exported_node=n1",
			"job=rainbond-exporter-true node=n1 rainbond_region=a exported_node=",
		},
		`ALERTS{alertname="RainbondScrapeLabelsRenamed"}`: {
			"job=rainbond-exporter-false renamed=node",
			"job=rainbond-exporter-false renamed=rainbond_region",
		},
	}
	for query, want := range want {
		var got []string
		for end := time.Now().Add(time.Minute); !slices.Equal(got, want) && time.Now().Before(end); {
			select {
			case <-t.Context().Done():
				t.Fatal(t.Context().Err())
			case <-time.After(200 * time.Millisecond):
			}
			got = nil
			for _, metric := range instant(t, address, query) {
				name := "job=" + metric["job"]
				if renamed, ok := metric["renamed"]; ok {
					name += " renamed=" + renamed
				} else {
					name += fmt.Sprintf(" node=%s rainbond_region=%s exported_node=%s", metric["node"], metric["rainbond_region"], metric["exported_node"])
				}
				got = append(got, name)
			}
			slices.Sort(got)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", query, got, want)
		}
	}
}

// instant returns the labels of the result of a query; nil while Prometheus is
// not ready.
func instant(t *testing.T, address, query string) []map[string]string {
	t.Helper()
	response, err := http.Get("http://" + address + "/api/v1/query?query=" + url.QueryEscape(query))
	if err != nil {
		return nil
	}
	defer response.Body.Close()
	var answer struct {
		Data struct {
			Result []struct{ Metric map[string]string }
		}
	}
	if json.NewDecoder(response.Body).Decode(&answer) != nil {
		return nil
	}
	var all []map[string]string
	for _, r := range answer.Data.Result {
		all = append(all, r.Metric)
	}
	return all
}
