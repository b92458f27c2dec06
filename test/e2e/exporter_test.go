//go:build e2e

package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// answerWithin is the scrape timeout that the tests send; the exporter must
// answer within it, whatever has happened to its sources.
const answerWithin = 3 * time.Second

// client does not keep connections, so that a process may end promptly.
var client = &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}

// get fetches a page that must exist.
func get(url string) ([]byte, error) {
	r, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	r.Header.Set("X-Prometheus-Scrape-Timeout-Seconds", fmt.Sprint(answerWithin.Seconds()))
	answer, err := client.Do(r)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s: %s", url, answer.Status, bytes.TrimSpace(body))
	}
	return body, err
}

// An exporter is the binary that ships, serving.
type exporter struct {
	*process
	address string
}

// newExporter starts the exporter and waits until it answers.
func newExporter(t testing.TB, logs, name string, args ...string) *exporter {
	t.Helper()
	return newExporterAt(t, logs, name, freeAddress(t), args...)
}

func newExporterAt(t testing.TB, logs, name, address string, args ...string) *exporter {
	t.Helper()
	return newExporterOf(t, built(t, filepath.Join("..", "..", "bin", "rainbond-exporter"), "make build"), logs, name, address, args...)
}

func newExporterOf(t testing.TB, binary, logs, name, address string, args ...string) *exporter {
	t.Helper()
	e := &exporter{address: address}
	e.process = begin(t, logs, name, binary, append([]string{"serve", "--web.listen-address=" + e.address}, args...)...)
	took := until(t, 20*time.Second, name+" is ready", func() error {
		if err := e.alive(); err != nil {
			return err
		}
		_, err := e.get("/-/ready")
		return err
	})
	progress("%s is ready (%s)", name, seconds(took))
	return e
}

func (e *exporter) get(path string) ([]byte, error) { return get("http://" + e.address + path) }

// samples are the metrics of one scrape.
type samples map[string]*dto.MetricFamily

func (e *exporter) scrape() (samples, error) {
	page, err := e.get("/metrics")
	if err != nil {
		return nil, err
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	return parser.TextToMetricFamilies(bytes.NewReader(page))
}

// failing lists the collectors that failed.
func (s samples) failing() []string {
	var failing []string
	for _, m := range s["rainbond_collector_success"].GetMetric() {
		if m.GetGauge().GetValue() != 1 {
			failing = append(failing, m.GetLabel()[0].GetValue())
		}
	}
	return failing
}

// collectors lists all collectors.
func (s samples) collectors() []string {
	var all []string
	for _, m := range s["rainbond_collector_success"].GetMetric() {
		all = append(all, m.GetLabel()[0].GetValue())
	}
	return all
}

// onlyFailing is nil when exactly the given collectors fail.
func (e *exporter) onlyFailing(want ...string) error {
	seen, err := e.scrape()
	if err != nil {
		return err
	}
	if len(seen.collectors()) == 0 {
		return errors.New("no rainbond_collector_success on /metrics")
	}
	slices.Sort(want)
	failing := seen.failing()
	if slices.Sort(failing); !slices.Equal(failing, want) {
		return fmt.Errorf("collectors that fail: [%s], expected [%s]", strings.Join(failing, ", "), strings.Join(want, ", "))
	}
	return nil
}

// ends asks the exporter to end and returns how.
func (e *exporter) ends(t testing.TB, limit time.Duration) (status int, took time.Duration) {
	t.Helper()
	begin := time.Now()
	e.signal(t, syscall.SIGTERM)
	select {
	case <-e.ended:
		return e.cmd.ProcessState.ExitCode(), time.Since(begin)
	case <-time.After(limit):
		t.Fatalf("%s still runs %s after SIGTERM", e.name, limit)
		return 0, 0
	}
}
