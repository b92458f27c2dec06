//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestTheConsolesOverviewListsOurAlerts runs the Prometheus that Rainbond
// brings along, with the variant of the rules where docs/alerts.md mounts it,
// and asks as the console's overview does: for every alert with PageAlarm, in
// whatever state.
func TestTheConsolesOverviewListsOurAlerts(t *testing.T) {
	folder, logs := t.TempDir(), logFolder(t)
	region := freeAddress(t)
	begin(t, logs, "demo", built(t, filepath.Join("..", "..", "bin", "rainbond-exporter"), "make build"),
		"demo", "--rsa-bits=2048", "--web.listen-address="+region, "--log.level=warn")
	until(t, time.Minute, "the region is ready", func() error { _, err := get("http://" + region + "/-/ready"); return err })

	write(t, filepath.Join(sub(t, folder, "rules"), "rainbond.yml"), shipped(t, "rbd-monitor.rules.yaml"))
	write(t, filepath.Join(folder, "rules.yml"), []byte("groups: []\n"))
	config, err := os.ReadFile(filepath.Join("..", "..", "rules", "testdata", "rbd-monitor.yml"))
	must(t, err)
	text := strings.NewReplacer("/etc/prometheus", folder, "kube-state-metrics.rbd-plugins.svc.cluster.local:8080", region, "1m", "1s").Replace(string(config))
	write(t, filepath.Join(folder, "prometheus.yml"), []byte("global: {evaluation_interval: 1s}\n"+text))
	monitor := freeAddress(t)
	begin(t, logs, "prometheus-2.20", tool(t, "prometheus-2.20"), "--config.file="+filepath.Join(folder, "prometheus.yml"),
		"--storage.tsdb.path="+filepath.Join(folder, "data"), "--web.listen-address="+monitor)

	shows := func(want ...string) func() error {
		return func() error {
			answer, err := get("http://" + monitor + "/api/v1/alerts")
			if err != nil {
				return err
			}
			got, err := overview(answer)
			if err == nil && !slices.Equal(got, want) {
				err = fmt.Errorf("listed: %q", got)
			}
			return err
		}
	}
	watches := func() error {
		text, err := get("http://" + monitor + "/api/v1/query?query=rainbond_api_up")
		if err == nil && !strings.Contains(string(text), `"1"`) {
			err = fmt.Errorf("%s", text)
		}
		return err
	}
	until(t, 30*time.Second, "the region is watched", watches)
	throughout(t, 5*time.Second, "an overview that lists nothing", shows())
	play(t, region, "component-crashloop")
	until(t, 30*time.Second, "the fault is listed, and is not yet due", shows("pending RainbondComponentNotReady rbd-chaos warning Rainbond cloud"))
	play(t, region, "cert-rotated-broken")
	until(t, 90*time.Second, "the fault is listed, next to its consequences", shows(
		"firing RainbondConsoleCertificateMismatch  critical Rainbond cloud",
		"firing RainbondRegionCertificateDrift  warning Rainbond cloud",
		"firing RainbondRegionTLSFailing  critical Rainbond cloud",
	))
	play(t, region, "healthy")
	until(t, 30*time.Second, "nothing is listed", shows())
}

// overview lists what the console's overview takes from rbd-monitor's answer
// (rainbond-console, enterprise_services.py).
func overview(answer []byte) ([]string, error) {
	var all struct {
		Data struct {
			Alerts []struct {
				State  string
				Labels map[string]string
			}
		}
	}
	if err := json.Unmarshal(answer, &all); err != nil {
		return nil, err
	}
	var listed []string
	for _, a := range all.Data.Alerts {
		if a.Labels["PageAlarm"] == "true" {
			listed = append(listed, strings.Join([]string{a.State, a.Labels["alertname"], a.Labels["component"], a.Labels["severity"], a.Labels["Alert"], a.Labels["Region"]}, " "))
		}
	}
	slices.Sort(listed)
	return listed, nil
}
