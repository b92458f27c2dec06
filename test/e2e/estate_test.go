//go:build e2e

package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rainbond-exporter/rainbond-exporter/dashboards"
	"github.com/rainbond-exporter/rainbond-exporter/rules"
)

// An estate is a Prometheus with our rules that scrapes demos: what Grafana would
// ask.
type estate struct {
	demos      map[string]string // address by region
	prometheus string            // its URL
	data       string            // its folder
	interval   time.Duration     // of its scrapes
	variables  *strings.Replacer // Grafana's variables, and what stands for them
}

// newEstate starts a demo for each region, in its scenario, and a Prometheus,
// which also writes to other stores. Demos call their region rainbond; here
// each has the name that it is given.
func newEstate(t testing.TB, scenarios map[string]string, stores ...string) *estate {
	t.Helper()
	folder, logs := t.TempDir(), logFolder(t)
	targets := map[string]string{}
	for region, scenario := range scenarios {
		targets[region] = freeAddress(t)
		begin(t, logs, "demo-"+scenario, built(t, filepath.Join("..", "..", "bin", "rainbond-exporter"), "make build"),
			"demo", "--scenario="+scenario, "--web.listen-address="+targets[region])
	}
	s := newEstateOf(t, folder, logs, 3*time.Second, targets, stores...)
	s.demos = targets
	return s
}

// turn puts a region's demo into another scenario.
func (s *estate) turn(t testing.TB, region, scenario string) {
	t.Helper()
	answer, err := http.PostForm("http://"+s.demos[region]+"/demo", url.Values{"scenario": {scenario}})
	must(t, err)
	_ = answer.Body.Close()
	if answer.StatusCode >= http.StatusBadRequest {
		t.Fatalf("%s: %s", scenario, answer.Status)
	}
}

// newEstateOf starts a Prometheus that scrapes targets, and waits until all
// have been scraped a few times. No alert waits.
func newEstateOf(t testing.TB, folder, logs string, interval time.Duration, targets map[string]string, stores ...string) *estate {
	t.Helper()
	rules := filepath.Join(folder, "rainbond.rules.yaml")
	write(t, rules, regexp.MustCompile(`(?m)^( +)for: .*`).ReplaceAll(shipped(t, "rainbond.rules.yaml"), []byte("${1}for: 0s")))
	var jobs strings.Builder
	for _, region := range slices.Sorted(maps.Keys(targets)) {
		fmt.Fprintf(&jobs, "      - {targets: [%q], labels: {called: %q}}\n", targets[region], region)
	}
	var writes strings.Builder
	for _, store := range stores {
		fmt.Fprintf(&writes, "  - {url: %q, queue_config: {batch_send_deadline: 1s}}\n", store)
	}
	config := filepath.Join(folder, "prometheus.yaml")
	write(t, config, fmt.Appendf(nil, `
global: {scrape_interval: %[1]s, scrape_timeout: %[1]s, evaluation_interval: %[1]s}
rule_files: [%[2]q]
scrape_configs:
  - job_name: rainbond-exporter
    static_configs:
%[3]s
    metric_relabel_configs:
      - {source_labels: [rainbond_region, called], regex: "rainbond;(.+)", target_label: rainbond_region, replacement: $1}
      - {regex: called, action: labeldrop}
remote_write:
%[4]s`, interval, rules, jobs.String(), writes.String()))
	listen := freeAddress(t)
	s := &estate{prometheus: "http://" + listen, data: filepath.Join(folder, "prometheus"), interval: interval}
	s.choose(".*")
	begin(t, logs, "prometheus-"+strconv.Itoa(len(targets)), tool(t, "prometheus"), "--config.file="+config, "--storage.tsdb.path="+s.data, "--web.enable-admin-api", "--web.listen-address="+listen)
	took := until(t, 5*time.Minute, "every target is scraped", func() error {
		healthy, err := s.ask(`count(sum_over_time(up[10m]) >= 3)`, true)
		if err == nil && (len(healthy) != 1 || healthy[0].value() != float64(len(targets))) {
			err = fmt.Errorf("%v of %d targets have been scraped three times", healthy, len(targets))
		}
		return err
	})
	progress("Prometheus has scraped %d targets (%s)", len(targets), seconds(took))
	return s
}

// choose sets the dashboard variable region.
func (s *estate) choose(region string) {
	s.variables = strings.NewReplacer("$__rate_interval", (5 * s.interval).String(), "$__range", "1m", "$cluster", ".*", "$region", region, "$evicts_at", "0.05")
}

// A series is one of an answer's.
type series struct {
	Metric map[string]string    `json:"metric"`
	Value  [2]json.RawMessage   `json:"value,omitzero"`
	Values [][2]json.RawMessage `json:"values,omitempty"`
}

func (s series) value() float64 {
	var text string
	_ = json.Unmarshal(s.Value[1], &text) // Prometheus writes numbers as strings
	v, _ := strconv.ParseFloat(text, 64)
	return v
}

// history is what graphs show.
const history = time.Minute

// ask sends a query as Grafana does: at once for a table, over the chosen time
// for a graph.
func (s *estate) ask(expr string, instant bool) ([]series, error) {
	return queryAt(s.prometheus, s.variables.Replace(expr), instant, time.Now())
}

// queryAt sends a query to anything with the API of Prometheus.
func queryAt(address, expr string, instant bool, now time.Time) ([]series, error) {
	form, path := url.Values{"query": {expr}, "time": {fmt.Sprintf("%.3f", float64(now.UnixMilli())/1000)}}, "/api/v1/query"
	if !instant {
		path = "/api/v1/query_range"
		form.Set("start", strconv.FormatInt(now.Add(-history).Unix(), 10))
		form.Set("end", strconv.FormatInt(now.Unix(), 10))
		form.Set("step", "1")
	}
	response, err := http.PostForm(address+path, form) // a query may be too long for a URL
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	var answer struct {
		Error string
		Data  struct{ Result []series }
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return nil, err
	}
	if answer.Error != "" {
		return nil, errors.New(answer.Error)
	}
	return answer.Data.Result, nil
}

// A board is what the tests read of a dashboard's JSON.
type board struct {
	UID, Title  string
	Panels      []boardPanel
	Annotations struct{ List []struct{ Expr string } }
}

type boardPanel struct {
	ID          int
	Type, Title string
	Targets     []struct {
		RefID, Expr string
		Instant     bool
	}
	FieldConfig struct{ Defaults struct{ NoValue string } }
}

func boards(t testing.TB, lang string) []board {
	t.Helper()
	files, err := dashboards.Files(lang, rules.DefaultIdentity)
	must(t, err)
	var all []board
	for _, name := range slices.Sorted(maps.Keys(files)) {
		var b board
		must(t, json.Unmarshal(files[name], &b))
		all = append(all, b)
	}
	return all
}
