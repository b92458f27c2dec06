package demo

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"github.com/rainbond-exporter/rainbond-exporter/fault"
)

// A monitor is rbd-monitor, the platform's own Prometheus, as the region's API
// proxies it.
type monitor struct {
	away   bool
	stale  time.Duration // since it has collected anything
	firing []string      // alarms that the console shows
}

// handle registers the endpoints of rbd-monitor that the exporter queries.
func (m monitor) handle(mux *http.ServeMux) {
	for path, data := range map[string]func() any{fault.AlertsPath: m.alarms, fault.QueryPath: m.lastScrape} {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, _ *http.Request) {
			if m.away {
				answer(w, http.StatusBadGateway, `{"code":502,"msg":"upstream service unreachable","detail":"dial tcp: lookup rbd-monitor: no such host"}`)
				return
			}
			text, _ := json.Marshal(map[string]any{"status": "success", "data": data()}) // cannot fail
			answer(w, http.StatusOK, string(text))
		})
	}
}

func (m monitor) alarms() any {
	all := []any{}
	for _, name := range m.firing {
		all = append(all, map[string]any{
			"labels":      map[string]string{"alertname": name, "Alert": "Rainbond", "PageAlarm": "true", "Region": "cloud"},
			"annotations": map[string]string{}, "state": "firing", "activeAt": time.Now().Add(-2 * time.Hour), "value": "1e+00",
		})
	}
	return map[string]any{"alerts": all}
}

// lastScrape is the result of the exporter's query. It is empty if the last
// scrape is older than Prometheus' lookback.
func (m monitor) lastScrape() any {
	samples := []any{}
	if m.stale < fault.MonitorWindow {
		now := time.Now()
		last := float64(now.Add(-m.stale).UnixMilli()) / 1000
		samples = append(samples, map[string]any{"metric": map[string]string{}, "value": [2]any{now.Unix(), strconv.FormatFloat(last, 'f', 3, 64)}})
	}
	return map[string]any{"resultType": "vector", "result": samples}
}
