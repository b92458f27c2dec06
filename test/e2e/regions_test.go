//go:build e2e

package e2e

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	_ "modernc.org/sqlite" // the console's database
)

// documented is the YAML on docs/regions.md that begins with the comment
// title, the names of its hosts exchanged as given: name, address, ...
func documented(t testing.TB, title string, hosts ...string) []byte {
	t.Helper()
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "regions.md"))
	must(t, err)
	found := regexp.MustCompile("(?s)```yaml\n(# " + regexp.QuoteMeta(title) + "\n.*?)```").FindSubmatch(page)
	if found == nil {
		t.Fatalf("docs/regions.md has no YAML that begins with # %s", title)
	}
	text := string(found[1])
	for i := 0; i+1 < len(hosts); i += 2 {
		if !strings.Contains(text, hosts[i]) {
			t.Fatalf("docs/regions.md, # %s: no %s", title, hosts[i])
		}
		text = strings.ReplaceAll(text, hosts[i], hosts[i+1])
	}
	return []byte(text)
}

// A prometheus is a real one.
type prometheus struct {
	*process
	url string
}

func newPrometheus(t testing.TB, folder, logs, name string, config []byte, args ...string) *prometheus {
	t.Helper()
	path, listen := filepath.Join(folder, name+".yml"), freeAddress(t)
	write(t, path, config)
	p := &prometheus{url: "http://" + listen}
	p.process = begin(t, logs, name, tool(t, "prometheus"), append([]string{"--config.file=" + path,
		"--storage.tsdb.path=" + filepath.Join(folder, name), "--web.listen-address=" + listen}, args...)...)
	took := until(t, 30*time.Second, name+" is ready", func() error { _, err := get(p.url + "/-/ready"); return err })
	progress("%s is ready (%s)", name, seconds(took))
	return p
}

// ask evaluates a PromQL expression whose result has no labels beyond
// rainbond_region and those that identify the value: it returns, by
// region, their values and the sample's.
func (p *prometheus) ask(expression string) (map[string]string, error) {
	text, err := get(p.url + "/api/v1/query?query=" + url.QueryEscape(expression))
	if err != nil {
		return nil, err
	}
	var answer struct {
		Data struct {
			Result []struct {
				Metric map[string]string
				Value  [2]any
			}
		}
	}
	if err := json.Unmarshal(text, &answer); err != nil {
		return nil, err
	}
	all := map[string]string{}
	for _, sample := range answer.Data.Result {
		region := sample.Metric["rainbond_region"]
		delete(sample.Metric, "rainbond_region")
		var words []string
		for _, label := range slices.Sorted(maps.Keys(sample.Metric)) {
			words = append(words, sample.Metric[label])
		}
		if _, twice := all[region]; twice {
			return nil, fmt.Errorf("region %s is in the answer twice", region)
		}
		all[region] = strings.Join(append(words, sample.Value[1].(string)), " ")
	}
	return all, nil
}

// shares counts the regions that each shard probes through each exporter.
func (p *prometheus) shares() (map[string]string, error) {
	return p.ask(`sum by (rainbond_region) (label_join(count by (shard, instance) (rainbond_api_up), "rainbond_region", " by ", "shard", "instance"))`)
}

// answers returns nil if the expression has the wanted value for each region.
func (p *prometheus) answers(expression string, want map[string]string) error {
	got, err := p.ask(expression)
	if err != nil {
		return err
	}
	return difference(got, want)
}

// difference is nil when both are equal; else it counts the regions that are
// not as wanted, and the first of them.
func difference(got, want map[string]string) error {
	var wrong []string
	for name := range want {
		if got[name] != want[name] {
			wrong = append(wrong, name)
		}
	}
	for name := range got {
		if _, ok := want[name]; !ok {
			wrong = append(wrong, name)
		}
	}
	if len(wrong) == 0 {
		return nil
	}
	slices.Sort(wrong)
	return fmt.Errorf("%d of %d regions are wrong; %s: %q, want %q", len(wrong), len(want), wrong[0], got[wrong[0]], want[wrong[0]])
}

// consoleOf is a console's SQLite database that holds the regions, and the
// exporter's configuration file that names it.
func consoleOf(t testing.TB, folder string, regions []*manyRegion) string {
	t.Helper()
	path := filepath.Join(folder, "db.sqlite3")
	db, err := sql.Open("sqlite", path)
	must(t, err)
	defer db.Close()
	_, err = db.Exec("CREATE TABLE region_info (region_name TEXT UNIQUE, url TEXT, ssl_ca_cert TEXT, cert_file TEXT, key_file TEXT, token TEXT, status TEXT)")
	must(t, err)
	insert, err := db.Begin()
	must(t, err)
	for _, r := range regions {
		_, err := insert.Exec("INSERT INTO region_info VALUES (?, ?, ?, ?, ?, NULL, '1')", r.name, "https://"+r.address, string(r.console.CA), string(r.console.Client), string(r.console.ClientKey))
		must(t, err)
	}
	must(t, insert.Commit())
	config := filepath.Join(folder, "exporter.yaml")
	write(t, config, fmt.Appendf(nil, "console: {driver: sqlite, path: %q}\n", path))
	return config
}

const (
	// verdicts returns for every region what is wrong with it, or that it is up.
	verdicts = `max by (rainbond_region, phase, reason) (rainbond_api_probe_failed == 1) or max by (rainbond_region) (rainbond_api_up == 1)`
	// scrapers counts the exporters and servers that probe each region.
	scrapers = `count by (rainbond_region) (rainbond_api_up)`
	// probes counts the probes of each region.
	probes = `sum by (rainbond_region) (max_over_time(rainbond_api_probes_total[1h]))`
)

// round is the documented scrape interval, and time for a busy machine.
const round = 4 * time.Minute

func TestAThousandRegions(t *testing.T) {
	folder, logs := t.TempDir(), logFolder(t)
	regions := newManyRegions(t, 1000)
	want, once := map[string]string{}, map[string]string{}
	for _, r := range regions {
		want[r.name], once[r.name] = r.verdict, "1"
	}
	config := consoleOf(t, folder, regions)
	start := func(t *testing.T, name, address string) *exporter {
		return newExporterAt(t, logs, name, address, "--role=console", "--collectors=none", "--config.file="+config)
	}
	// probedOnce compares the number of probes that the exporters report with
	// the number of connections, when all have ended.
	probedOnce := func(t *testing.T, exporters []*exporter, servers ...*prometheus) {
		t.Helper()
		for _, e := range exporters {
			if status, _ := e.ends(t, 10*time.Second); status != 0 {
				t.Errorf("%s ended with %d", e.name, status)
			}
		}
		connections := map[string]string{}
		for _, r := range regions {
			if r.connections != nil {
				connections[r.name] = fmt.Sprint(r.connections.Swap(0))
			}
		}
		took := until(t, 30*time.Second, "each region has as many connections as probes", func() error {
			printed := map[string]string{}
			for _, p := range servers {
				part, err := p.ask(probes)
				if err != nil {
					return err
				}
				for name, n := range part {
					if _, connected := connections[name]; connected {
						if _, twice := printed[name]; twice {
							return fmt.Errorf("region %s is probed by two servers", name)
						}
						printed[name] = n
					}
				}
			}
			return difference(printed, connections)
		})
		progress("no region had a connection without a probe (%s)", seconds(took))
	}

	t.Run("one exporter and one Prometheus", func(t *testing.T) {
		e := start(t, "exporter", freeAddress(t))
		p := newPrometheus(t, folder, logs, "prometheus", documented(t, "a thousand regions", "rainbond-exporter:10069", e.address))
		took := until(t, round, "all 1000 answers are right", func() error { return p.answers(verdicts, want) })
		progress("all 1000 answers are right (%s)", seconds(took))
		if err := p.answers(scrapers, once); err != nil {
			t.Error(err)
		}
		probedOnce(t, []*exporter{e}, p)
	})

	t.Run("two exporters and two Prometheus servers, into one store", func(t *testing.T) {
		// As in a StatefulSet, the two differ by the last digit of their hosts.
		_, port, err := net.SplitHostPort(freeAddress(t))
		must(t, err)
		exporters := []*exporter{start(t, "exporter-0", "127.0.0.10:"+port), start(t, "exporter-1", "127.0.0.11:"+port)}
		store := newPrometheus(t, folder, logs, "store", []byte("global: {}\n"), "--web.enable-remote-write-receiver")
		text := documented(t, "server 0 of 2, over 2 exporters", "rainbond-exporter-", "127.0.0.1", ":10069", ":"+port, "http://victoria-metrics:8428", store.url)
		other := strings.NewReplacer(`"0"`, `"1"`, "127.0.0.10:"+port+"/sd", "127.0.0.11:"+port+"/sd").Replace(string(text))
		servers := []*prometheus{newPrometheus(t, folder, logs, "prometheus-0", text), newPrometheus(t, folder, logs, "prometheus-1", []byte(other))}
		took := until(t, round, "all 1000 answers are right in the store", func() error { return store.answers(verdicts, want) })
		progress("all 1000 answers are right in the store (%s)", seconds(took))
		if err := store.answers(scrapers, once); err != nil {
			t.Error(err)
		}
		shares, err := store.shares()
		if err != nil || len(shares) != 4 {
			t.Errorf("expected each of two servers to ask each of two exporters, got %v %v", shares, err)
		}
		progress("regions by server and exporter: %v", shares)
		probedOnce(t, exporters, servers...)
	})
}
