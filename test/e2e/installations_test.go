//go:build e2e && faults

package e2e

import (
	"errors"
	"flag"
	"fmt"
	"net/url"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/prometheus/common/model"

	"github.com/rainbond-exporter/rainbond-exporter/demo"
	"github.com/rainbond-exporter/rainbond-exporter/test/matrix"
)

var healthySoak = flag.Duration("healthy", 30*time.Minute, "how long TestInstallationsStayQuiet watches each installation")

// TestInstallationsStayQuiet watches each installation without a fault: no alert fires, not even
// one that is inhibited or that nobody is notified of, and check exits with 0.
func TestInstallationsStayQuiet(t *testing.T) {
	var healthy []breakage
	for _, i := range demo.Installations {
		healthy = append(healthy, breakage{name: matrix.Soak, place: i})
	}
	patients, wards := admit(t, healthy)
	began := time.Now()
	progress("%d installations are monitored for %s", len(healthy), *healthySoak)
	<-time.After(*healthySoak)

	measured, err := matrix.Read(measuredFile)
	must(t, err)
	fired := wards[0].fired(t, time.Since(began))
	for n, p := range patients {
		installation := healthy[n].place.Name
		for _, notification := range wards[0].of(p) {
			t.Errorf("%s: %s", installation, notification)
		}
		for _, alert := range fired[p.name] {
			t.Errorf("%s: %s fired", installation, alert)
		}
		exit := checkExit(t, installation)
		if exit != 0 {
			t.Errorf("%s: check exits with %d", installation, exit)
		}
		progress("%-16s %d notifications, %d alerts fired, check exits with %d", installation, len(wards[0].of(p)), len(fired[p.name]), exit)
		measured.Add(installation, matrix.Soak, matrix.Result{Messages: len(wards[0].of(p)), Exit: &exit, Wrong: len(fired[p.name]) > 0})
	}
	if *healthySoak >= 30*time.Minute {
		must(t, measured.Write(measuredFile))
		writePage(t, "", measured)
	}
}

// fired are the alerts that Prometheus had firing within the span, by patient.
func (w *ward) fired(t testing.TB, span time.Duration) map[string][]string {
	t.Helper()
	var answer struct {
		Result []struct{ Metric map[string]string }
	}
	query := fmt.Sprintf(`count by (alertname,cluster,instance)(count_over_time(ALERTS{alertstate="firing",alertname!=%q}[%s]))`, watchdog, model.Duration(span.Round(time.Second)))
	must(t, w.ask("/api/v1/query?query="+url.QueryEscape(query), &answer))
	all := map[string][]string{}
	for _, r := range answer.Result {
		name := ""
		if p := w.whose(notification{Labels: r.Metric}); p != nil {
			name = p.name
		}
		all[name] = append(all[name], r.Metric["alertname"])
	}
	return all
}

// checkExit returns the exit code of check in an installation without a fault.
func checkExit(t testing.TB, installation string) int {
	t.Helper()
	binary := built(t, filepath.Join("..", "..", "bin", "rainbond-exporter"), "make build")
	out, err := exec.CommandContext(t.Context(), binary, "demo", "--rsa-bits=2048", "--installation="+installation, "check").CombinedOutput()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		progress("%s", out)
		return exit.ExitCode()
	}
	must(t, err)
	return 0
}
