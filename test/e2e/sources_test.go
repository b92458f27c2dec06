//go:build e2e

package e2e

import (
	"fmt"
	"io"
	"maps"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/rainbond-exporter/rainbond-exporter/rules/variant"
)

// hides is the age of a sample before which VictoriaMetrics does not show it, by default
// (-search.latencyOffset). vmalert evaluates the samples of that time ago (-rule.evalDelay).
const hides = 30 * time.Second

// TestDataSources sends all queries of the dashboards, and the rules without
// recording rules, to VictoriaMetrics and to the query engine of Mimir. They answer
// with the series and values of Prometheus.
func TestDataSources(t *testing.T) {
	logs, listen := logFolder(t), freeAddress(t)
	victoria := "http://" + listen
	begin(t, logs, "victoria-metrics", tool(t, "victoria-metrics"), "-storageDataPath="+t.TempDir(), "-httpListenAddr="+listen, "-retentionPeriod=1d")
	regions := map[string]string{
		"beijing": "healthy", "shanghai": "api-slow", "guangzhou": "cert-rotated-latent", "chengdu": "disk-near", "wuhan": "api-pod-down", "shenzhen": "cert-rotated-broken",
	}
	s := newEstate(t, regions, victoria+"/api/v1/write")
	var now time.Time
	until(t, 3*time.Minute, "VictoriaMetrics shows the samples of the last minute", func() error {
		now = time.Now().Add(-hides - 5*time.Second).Truncate(time.Second)
		shown, err := queryAt(victoria, `count(count_over_time(up[1m]) >= 15)`, true, now)
		if err == nil && (len(shown) != 1 || shown[0].value() != float64(len(regions))) {
			err = fmt.Errorf("%v", shown)
		}
		return err
	})
	sources := map[string]string{"VictoriaMetrics": victoria, "Mimir": s.mimir(t, logs)}
	agree := func(name, expr string, instant bool) (answered int) {
		want, err := queryAt(s.prometheus, expr, instant, now)
		must(t, err)
		for source, address := range sources {
			got, err := queryAt(address, expr, instant, now)
			if err == nil {
				err = differ(got, want, tolerance(expr))
			}
			if err != nil {
				t.Errorf("%s, %s: %v\n%s", name, source, err, expr)
			}
		}
		return min(len(want), 1)
	}

	queries, answered := 0, 0
	for _, b := range boards(t, "en") {
		for _, p := range b.Panels {
			for _, q := range p.Targets {
				queries++
				answered += agree(b.UID+", panel "+p.Title, s.variables.Replace(q.Expr), q.Instant)
			}
		}
	}
	alerts, firing := 0, 0
	text, err := variant.Generate(variant.Options{Format: variant.VMAlert})
	must(t, err)
	var file struct {
		Groups []struct {
			Rules []struct{ Alert, Expr string }
		}
	}
	must(t, yaml.Unmarshal(text, &file))
	for _, group := range file.Groups {
		for _, r := range group.Rules {
			alerts++
			firing += agree(r.Alert, r.Expr, true)
		}
	}
	progress("%d queries, %d of them with an answer; %d alerts, %d of them firing", queries, answered, alerts, firing)
	if answered < queries/2 || firing < len(regions) {
		t.Error("too few of them have an answer")
	}
}

// mimir starts Mimir's query engine over a snapshot of Prometheus.
func (s *estate) mimir(t *testing.T, logs string) string {
	t.Helper()
	response, err := http.Post(s.prometheus+"/api/v1/admin/tsdb/snapshot", "", nil)
	must(t, err)
	defer response.Body.Close()
	if body, _ := io.ReadAll(response.Body); response.StatusCode != http.StatusOK {
		t.Fatalf("snapshot: %s %s", response.Status, body)
	}
	snapshots := filepath.Join(s.data, "snapshots")
	made, err := os.ReadDir(snapshots)
	must(t, err)
	listen := freeAddress(t)
	begin(t, logs, "mimir-query", tool(t, "mimir-query"), listen, filepath.Join(snapshots, made[0].Name()))
	address := "http://" + listen
	until(t, time.Minute, "mimir-query is ready", func() error {
		_, err := queryAt(address, "vector(1)", true, time.Now())
		return err
	})
	return address
}

// tolerance is how far a value may differ from that of Prometheus, as a part of
// it. VictoriaMetrics does not extrapolate rates and increases.
func tolerance(expr string) float64 {
	if strings.Contains(expr, "rate(") || strings.Contains(expr, "increase(") {
		return 0.5
	}
	return 1e-9
}

// differ compares the labels of each series, and its last value.
func differ(got, want []series, tolerance float64) error {
	g, w := lastValues(got), lastValues(want)
	for labels, value := range w {
		other, ok := g[labels]
		if !ok {
			return fmt.Errorf("no series %s of %d", labels, len(w))
		}
		if math.Abs(other-value) > math.Abs(value)*tolerance {
			return fmt.Errorf("%s is %g, want %g", labels, other, value)
		}
	}
	if len(g) > len(w) {
		return fmt.Errorf("%d series, want %d", len(g), len(w))
	}
	return nil
}

func lastValues(all []series) map[string]float64 {
	values := map[string]float64{}
	for _, s := range all {
		var labels []string
		for _, name := range slices.Sorted(maps.Keys(s.Metric)) {
			labels = append(labels, name+"="+strconv.Quote(s.Metric[name]))
		}
		if len(s.Values) > 0 {
			s.Value = s.Values[len(s.Values)-1]
		}
		values["{"+strings.Join(labels, ", ")+"}"] = s.value()
	}
	return values
}
