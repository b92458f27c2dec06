//go:build e2e

package e2e

import (
	"bytes"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/rainbond-exporter/rainbond-exporter/demo/pki"
)

// When the exporter's own source, callers or limits fail, every scrape gets a
// response within its deadline, and no region is reported as down because of it.
func TestUnknownIsNotDown(t *testing.T) {
	t.Run("a locked table", func(t *testing.T) { t.Parallel(); lockedTable(t) })
	t.Run("two scrapers", func(t *testing.T) { t.Parallel(); twoScrapers(t) })
	t.Run("32 descriptors", func(t *testing.T) { t.Parallel(); fewDescriptors(t) })
}

const (
	// defaultScrapeTimeout is Prometheus' default scrape timeout.
	defaultScrapeTimeout = 10 * time.Second

	// locked is how long the table is locked.
	locked = 40 * time.Second

	// scraped is how long two servers scrape at least: three or four scrapes of the slower.
	scraped = 2 * time.Minute

	// alertsWithin is how soon after its start a Prometheus that scrapes every
	// 30 s must alert: scrape interval, collection, the rule's for, two
	// evaluations and Alertmanager's group_wait are 1.5 minutes; the rest is for
	// a busy machine.
	alertsWithin = 3 * time.Minute
)

// scrapeOnce scrapes the exporter as Prometheus does with a timeout, and fails if
// there is no response 200 within it.
func (e *exporter) scrapeOnce(timeout time.Duration) (samples, time.Duration, error) {
	request, err := http.NewRequest(http.MethodGet, "http://"+e.address+"/metrics", nil)
	if err != nil {
		return nil, 0, err
	}
	request.Header.Set("X-Prometheus-Scrape-Timeout-Seconds", fmt.Sprint(timeout.Seconds()))
	begun := time.Now()
	response, err := (&http.Client{Timeout: timeout, Transport: client.Transport}).Do(request)
	if err != nil {
		return nil, time.Since(begun), err
	}
	defer response.Body.Close()
	page, err := io.ReadAll(response.Body)
	took := time.Since(begun)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", response.Status, bytes.TrimSpace(page))
	}
	if err != nil {
		return nil, took, err
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	s, err := parser.TextToMetricFamilies(bytes.NewReader(page))
	return s, took, err
}

// regionsUp returns the number of regions with rainbond_api_up 1.
func (s samples) regionsUp() int {
	up := 0
	for _, m := range s["rainbond_api_up"].GetMetric() {
		if m.GetGauge().GetValue() == 1 {
			up++
		}
	}
	return up
}

// verdicts lists what the scrape reports against a region: a region that is
// down, a failed probe, a counted failure, an unreadable certificate.
func (s samples) verdicts() []string {
	var all []string
	for name, is := range map[string]func(float64) bool{
		"rainbond_api_up":                   func(v float64) bool { return v == 0 },
		"rainbond_api_probe_failed":         func(v float64) bool { return v != 0 },
		"rainbond_api_probe_failures_total": func(v float64) bool { return v != 0 },
		"rainbond_certificate_unreadable":   func(v float64) bool { return v != 0 },
	} {
		for _, m := range s[name].GetMetric() {
			if is(m.GetGauge().GetValue() + m.GetCounter().GetValue()) {
				var labels []string
				for _, l := range m.GetLabel() {
					labels = append(labels, fmt.Sprintf("%s=%q", l.GetName(), l.GetValue()))
				}
				all = append(all, name+"{"+strings.Join(labels, ", ")+"}")
			}
		}
	}
	slices.Sort(all)
	if more := len(all) - 4; more > 0 {
		all = append(all[:4], fmt.Sprintf("and %d more", more))
	}
	return all
}

// apiSucceeds is rainbond_collector_success of the collector api.
func (s samples) apiSucceeds() bool {
	return s.value("rainbond_collector_success", "collector", "api") == "1"
}

// lastRead is when the database last returned the regions, in seconds.
func (s samples) lastRead() float64 { return s.number("rainbond_regions_last_read_timestamp_seconds") }

// healthyRegions starts n regions with the certificates g, each of which
// responds after a delay, and returns their addresses by name.
func healthyRegions(t testing.TB, n int, g pki.Generation, delay time.Duration) map[string]string {
	t.Helper()
	serve := region{server: g, clients: g}.serve(t)
	regions := map[string]string{}
	for i := range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		must(t, err)
		t.Cleanup(func() { _ = l.Close() })
		regions[fmt.Sprintf("region-%02d", i)] = l.Addr().String()
		go serve(slow{l, delay})
	}
	return regions
}

// slow accepts each connection after a delay. The kernel has accepted it
// before.
type slow struct {
	net.Listener
	delay time.Duration
}

func (s slow) Accept() (net.Conn, error) {
	conn, err := s.Listener.Accept()
	<-time.After(s.delay)
	return conn, err
}

// The console's database has a table that is locked after a good scrape. The
// last known regions are probed.
func lockedTable(t *testing.T) {
	root, port := mariaDB(t)
	folder, logs, g := t.TempDir(), logFolder(t), generation(t)
	regions := healthyRegions(t, 3, g, 0)
	for name, address := range regions {
		_, err := root.ExecContext(t.Context(), "INSERT INTO console.region_info VALUES (?, ?, ?, ?, ?, NULL, '1')",
			name, "https://"+address, string(g.CA), string(g.Client), string(g.ClientKey))
		must(t, err)
	}
	write(t, filepath.Join(folder, "password"), []byte(databasePassword))
	config := filepath.Join(folder, "rainbond-exporter.yaml")
	write(t, config, fmt.Appendf(nil, "console: {driver: mysql, host: 127.0.0.1, port: %d, user: rainbond_exporter, password_file: password, database: console}\n", port))
	e := newExporter(t, logs, "exporter-locked-table", "--role=console", "--config.file="+config)

	healthy := func(after float64) func() error {
		return func() error {
			s, _, err := e.scrapeOnce(defaultScrapeTimeout)
			switch {
			case err != nil:
				return err
			case len(s.failing()) > 0 || len(s.verdicts()) > 0 || s.regionsUp() != len(regions) || s.lastRead() <= after:
				return fmt.Errorf("up: %v; failing: %v; %v; last read at %f, expected after %f", s.regionsUp(), s.failing(), s.verdicts(), s.lastRead(), after)
			}
			return nil
		}
	}
	until(t, time.Minute, "every region is up", healthy(0))

	lock, err := root.Conn(t.Context())
	must(t, err)
	defer lock.Close()
	_, err = lock.ExecContext(t.Context(), "LOCK TABLES console.region_info WRITE")
	must(t, err)
	ended := make(chan error, 1)
	go func() {
		_, err := lock.ExecContext(t.Context(), fmt.Sprintf("SELECT SLEEP(%d)", int(locked.Seconds())))
		ended <- err
	}()
	var read float64
	var slowest time.Duration
	scrapes, up, unknown := 0, 0, 0
	for running := true; running; scrapes++ {
		s, took, err := e.scrapeOnce(defaultScrapeTimeout)
		slowest = max(slowest, took)
		if err != nil {
			t.Errorf("scrape %d while the table was locked: after %s: %v", scrapes, seconds(took), err)
		} else {
			if s.apiSucceeds() {
				t.Errorf("scrape %d while the table was locked: the collector api succeeds", scrapes)
			}
			if verdicts := s.verdicts(); len(verdicts) > 0 {
				t.Errorf("scrape %d while the table was locked, every region being healthy: %s", scrapes, strings.Join(verdicts, ", "))
			}
			if read == 0 {
				read = s.lastRead()
			}
			if s.lastRead() != read || read == 0 {
				t.Errorf("scrape %d while the table was locked: last read at %f; expected %f", scrapes, s.lastRead(), read)
			}
			up += s.regionsUp()
			unknown += len(regions) - s.regionsUp()
		}
		select {
		case err := <-ended:
			must(t, err)
			running = false
		default:
		}
	}
	if up == 0 {
		t.Errorf("no region was probed in %d scrapes while the table was locked", scrapes)
	}
	progress("a locked table: %d scrapes, the slowest %s; regions up %d times, not up %d times", scrapes, seconds(slowest), up, unknown)
	_, err = lock.ExecContext(t.Context(), "UNLOCK TABLES")
	must(t, err)
	took := until(t, time.Minute, "every region is up, and the table is read again", healthy(read))
	progress("a locked table: everything has recovered %s after the unlock", seconds(took))
}

const databasePassword = "p4ssw0rd-of-the-exporter"

// mariaDB starts a MariaDB with an empty console's database and the exporter's
// user, and returns a connection as root and its TCP port.
func mariaDB(t *testing.T) (*sql.DB, int) {
	t.Helper()
	for _, program := range []string{"mariadbd", "mariadb-install-db"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("%s is not installed (tools/apt mariadb-server)", program)
		}
	}
	if os.Geteuid() != 0 {
		t.Skip("only root may start this MariaDB")
	}
	data := t.TempDir()
	if out, err := exec.CommandContext(t.Context(), "mariadb-install-db", "--no-defaults", "--user=root",
		"--auth-root-authentication-method=normal", "--datadir="+data, "--skip-test-db").CombinedOutput(); err != nil {
		t.Fatalf("mariadb-install-db: %v\n%s", err, out)
	}
	_, port, err := net.SplitHostPort(freeAddress(t))
	must(t, err)
	number, err := net.LookupPort("tcp", port)
	must(t, err)
	socket := filepath.Join(data, "s")
	server := begin(t, logFolder(t), "mariadbd", "mariadbd", "--no-defaults", "--user=root", "--datadir="+data, "--socket="+socket,
		"--port="+port, "--bind-address=127.0.0.1")
	root, err := sql.Open("mysql", "root@unix("+socket+")/?multiStatements=true")
	must(t, err)
	t.Cleanup(func() { _ = root.Close() })
	_ = mysql.SetLogger(noMessages{})
	until(t, time.Minute, "MariaDB is ready", func() error {
		if err := server.alive(); err != nil {
			return err
		}
		return root.PingContext(t.Context())
	})
	_, err = root.ExecContext(t.Context(), "CREATE DATABASE console; CREATE TABLE console.region_info (region_name VARCHAR(64), url VARCHAR(256), "+
		"ssl_ca_cert TEXT, cert_file TEXT, key_file TEXT, token VARCHAR(255), status VARCHAR(2)); "+
		"CREATE USER rainbond_exporter IDENTIFIED BY '"+databasePassword+"'; GRANT SELECT ON console.region_info TO rainbond_exporter")
	must(t, err)
	return root, number
}

// noMessages drops the driver's messages about a server that has not started.
type noMessages struct{}

func (noMessages) Print(...any) {}

// Two Prometheus servers with different timeouts scrape one exporter. Its
// region accepts connections and never responds. Both alert.
func twoScrapers(t *testing.T) {
	folder, logs := t.TempDir(), logFolder(t)
	hanging, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { _ = hanging.Close() })
	go func() {
		for {
			conn, err := hanging.Accept()
			if err != nil {
				return
			}
			go func() { _, _ = io.Copy(io.Discard, conn); _ = conn.Close() }()
		}
	}()
	copied := newConsole(t, sub(t, folder, "console"), hanging.Addr().String())
	copied.paste(t, generation(t))
	e := newExporter(t, logs, "exporter-two-scrapers", "--role=console", "--config.file="+copied.config)

	begun := time.Now()
	servers := map[string]*alerting{}
	// 7 s do not divide 30 s, so that each server's scrapes begin before, during
	// and after a scrape of the other.
	for timeout, interval := range map[string]string{"5s": "7s", "30s": "30s"} {
		servers[timeout] = beginAlerting(t, sub(t, folder, timeout), logFolder(t), slices.Clone[[]byte], fmt.Sprintf(`
global: {scrape_interval: %s, scrape_timeout: %s, evaluation_interval: 5s}
scrape_configs: [{job_name: rainbond-exporter, static_configs: [{targets: [%q]}]}]
`, interval, timeout, e.address))
	}
	for timeout, server := range servers {
		until(t, time.Until(begun.Add(alertsWithin)), "the webhook receives the alert of the Prometheus with the timeout "+timeout, func() error {
			for _, n := range server.person.since(begun) {
				if n.Status == "firing" && n.Labels["alertname"] == "RainbondRegionAPIDown" {
					progress("two scrapers: timeout %s: %s notified after %s", timeout, n.Labels["alertname"], seconds(n.at.Sub(begun)))
					return nil
				}
			}
			return fmt.Errorf("received:\n%s", list(server.person.since(begun)))
		})
	}
	<-time.After(time.Until(begun.Add(scraped)))
	for timeout, server := range servers {
		server.expect(t, timeout, "scrapes that succeed, of 1", `min_over_time(up[10m])`, "1")
		// The first scrapes may have ended before the first probe.
		server.expect(t, timeout, "scrapes without rainbond_api_up, of at most 2", `count_over_time(up[10m]) - on (instance) count_over_time(rainbond_api_up[10m]) > 2`)
		server.expect(t, timeout, "rainbond_api_up, at most", `max_over_time(rainbond_api_up[10m])`, "0")
		server.expect(t, timeout, "alerts that have fired", `count by (alertname) (max_over_time(ALERTS{alertstate="firing"}[10m]))`, "RainbondRegionAPIDown 1", watchdog+" 1")
		server.expect(t, timeout, "alerts that are pending", `count by (alertname) (ALERTS{alertstate="pending"})`)
		for _, n := range server.person.since(begun) {
			if n.Labels["alertname"] != "RainbondRegionAPIDown" || n.Status != "firing" {
				t.Errorf("timeout %s: also received: %s", timeout, n)
			}
		}
		scrapes, err := server.query(`count_over_time(up[10m])`)
		must(t, err)
		slowest, err := server.query(`max_over_time(scrape_duration_seconds[10m])`)
		must(t, err)
		progress("two scrapers: timeout %s: %v scrapes, the slowest took %v s", timeout, scrapes, slowest)
	}
}

// query returns the result of an instant query: the values, each after its label
// alertname if it has one.
func (a *alerting) query(expr string) ([]string, error) {
	var answer struct {
		Result []struct {
			Metric map[string]string
			Value  []json.RawMessage // time and text
		}
	}
	if err := a.ask("/api/v1/query?query="+url.QueryEscape(expr), &answer); err != nil {
		return nil, err
	}
	var all []string
	for _, r := range answer.Result {
		all = append(all, strings.TrimSpace(r.Metric["alertname"]+" "+strings.Trim(string(r.Value[1]), `"`)))
	}
	slices.Sort(all)
	return all, nil
}

// expect checks the result of an instant query.
func (a *alerting) expect(t testing.TB, timeout, what, expr string, want ...string) {
	t.Helper()
	got, err := a.query(expr)
	if slices.Sort(want); err != nil || !slices.Equal(got, want) {
		t.Errorf("timeout %s: %s: %q, expected %q (%v)", timeout, what, got, want, err)
	}
}

// An exporter that may open 32 files cannot probe 60 regions at once. Those
// that it cannot probe are unknown.
func fewDescriptors(t *testing.T) {
	const descriptors, regions = 32, 60
	folder, logs, g := t.TempDir(), logFolder(t), generation(t)
	addresses := healthyRegions(t, regions, g, time.Second/2)
	var config bytes.Buffer
	config.WriteString("regions:\n")
	for _, name := range slices.Sorted(maps.Keys(addresses)) {
		fmt.Fprintf(&config, "  - {name: %s, url: \"https://%s\", ca_file: ca.pem, cert_file: client.pem, key_file: client.key.pem}\n", name, addresses[name])
	}
	copied := &console{folder: folder, config: filepath.Join(folder, "rainbond-exporter.yaml")}
	write(t, copied.config, config.Bytes())
	copied.paste(t, g)
	limited := filepath.Join(folder, "limited")
	write(t, limited, fmt.Appendf(nil, "#!/bin/sh\nulimit -n %d\nexec '%s' \"$@\"\n", descriptors, built(t, filepath.Join("..", "..", "bin", "rainbond-exporter"), "make build")))
	must(t, os.Chmod(limited, 0o700))
	e := newExporterOf(t, limited, logs, "exporter-few-descriptors", freeAddress(t), "--role=console", "--config.file="+copied.config)

	var up, unknown []int
	for i := range 5 {
		s, took, err := e.scrapeOnce(defaultScrapeTimeout)
		if err != nil {
			t.Errorf("scrape %d: after %s: %v", i, seconds(took), err)
			continue
		}
		if limit := s.number("process_max_fds"); limit != descriptors {
			t.Fatalf("the exporter may open %v files; expected %d", limit, descriptors)
		}
		if verdicts := s.verdicts(); len(verdicts) > 0 {
			t.Errorf("scrape %d, every region being healthy: %s", i, strings.Join(verdicts, ", "))
		}
		n := s.regionsUp()
		if up, unknown = append(up, n), append(unknown, regions-n); n < regions && s.apiSucceeds() {
			t.Errorf("scrape %d: %d of %d regions have no result, and the collector api succeeds", i, regions-n, regions)
		}
	}
	if len(up) > 0 && (slices.Max(up) == 0 || slices.Max(unknown) == 0) {
		t.Errorf("regions up: %v, not up: %v; expected some of both, otherwise the limit tests nothing", up, unknown)
	}
	text, err := os.ReadFile(e.log)
	must(t, err)
	if !bytes.Contains(text, []byte("too many open files")) {
		t.Errorf("the log does not name the limit:\n%s", tail(e.log, 10))
	}
	progress("%d descriptors: of %d regions up: %v, not up: %v", descriptors, regions, up, unknown)
}
