package alerting

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
)

// The responses in testdata are those of Prometheus 3.16 and Alertmanager 0.31, shortened.
var readAt = time.Date(2026, 11, 29, 15, 57, 20, 0, time.UTC)

// servers answers as both servers do, from files by path. A file that is missing is HTTP 503.
func servers(t *testing.T, files map[string]string) *Reader {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, ok := files[r.URL.Path]
		if r.URL.Path == "/api/v1/query" {
			name, ok = files[r.URL.Query().Get("query")], true
			if name == "" {
				name = `{"status":"success","data":{"resultType":"vector","result":[]}}`
			}
		}
		text := []byte(name)
		if !strings.HasPrefix(name, "{") && !strings.HasPrefix(name, "[") && !strings.HasPrefix(name, "#") {
			var err error
			if text, err = os.ReadFile(filepath.Join("testdata", name)); !ok || err != nil {
				http.Error(w, "unavailable", http.StatusServiceUnavailable)
				return
			}
		}
		_, _ = w.Write(text)
	}))
	t.Cleanup(server.Close)
	return &Reader{Prometheus: server.URL, Alertmanager: server.URL, Client: server.Client(), Now: func() time.Time { return readAt }}
}

func healthy() map[string]string {
	return map[string]string{
		"/api/v1/rules": "rules.json", "/api/v1/targets": "targets.json", "/api/v1/status/runtimeinfo": "runtimeinfo.json", "/api/v1/alertmanagers": "alertmanagers.json",
		"/api/v2/status": "status.json", "/api/v2/alerts": "alerts.json", "/metrics": "metrics.txt",
	}
}

const (
	lastSuccess = `max(rainbond_relay_last_success_timestamp_seconds) > 0`
	deliveries  = `sum by (receiver, outcome) (increase(rainbond_relay_deliveries_total{outcome=~"rejected|unreachable"}[15m])) > 0`
)

func text(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestReadReportsEachProblem(t *testing.T) {
	down := Problem{TargetDown, `rainbond-relay: Get "http://127.0.0.1:29999/metrics": dial tcp 127.0.0.1:29999: connect: connection refused`}
	up := strings.NewReplacer(`"health": "down"`, `"health": "up"`).Replace(text(t, "targets.json"))
	status := text(t, "status.json")
	for name, test := range map[string]struct {
		change map[string]string
		want   []Problem
	}{
		"healthy":                 {nil, nil},
		"dead relay":              {map[string]string{"/api/v1/targets": "targets.json"}, []Problem{down}},
		"full disk":               {map[string]string{"/api/v1/rules": "rules-disk-full.json"}, []Problem{{DiskFull, "write to WAL: log samples: write disk/wal/00000000: no space left on device"}}},
		"rule file does not load": {map[string]string{"/api/v1/status/runtimeinfo": "runtimeinfo-reload-failed.json"}, []Problem{{ReloadFailed, ""}}},
		"no rules":                {map[string]string{"/api/v1/rules": `{"status":"success","data":{"groups":[]}}`}, []Problem{{RulesMissing, ""}}},
		"no Alertmanager":         {map[string]string{"/api/v1/alertmanagers": `{"status":"success","data":{"activeAlertmanagers":[],"droppedAlertmanagers":[]}}`}, []Problem{{NoAlertmanager, ""}}},
		"no Watchdog":             {map[string]string{"/api/v2/alerts": `[]`}, []Problem{{WatchdogMissing, ""}}},
		"old Watchdog":            {map[string]string{"/api/v2/alerts": strings.Replace(text(t, "alerts.json"), "15:57:06.261", "15:50:20.000", 1)}, []Problem{{WatchdogOld, "7m0s"}}},
		"no route for critical":   {map[string]string{"/api/v2/status": strings.Replace(status, "- name: page\\n  webhook_configs:", "- name: page2\\n  webhook_configs:", 1)}, []Problem{{RouteMissing, "critical"}}},
		"wrong secret":            {map[string]string{deliveries: `{"data":{"resultType":"vector","result":[{"metric":{"outcome":"rejected","receiver":"dingtalk"},"value":[1,"2"]}]}}`}, []Problem{{Rejected, "dingtalk"}}},
		"dead receiver":           {map[string]string{deliveries: `{"data":{"resultType":"vector","result":[{"metric":{"outcome":"unreachable","receiver":"feishu"},"value":[1,"2"]}]}}`}, []Problem{{Unreachable, "feishu"}}},
		"all notifications fail":  {map[string]string{"/metrics": "# TYPE alertmanager_notifications_total counter\nalertmanager_notifications_total{integration=\"webhook\"} 2\n# TYPE alertmanager_notifications_failed_total counter\nalertmanager_notifications_failed_total{integration=\"webhook\",reason=\"other\"} 2\n"}, []Problem{{NotificationsFail, "2"}}},
		"Prometheus down":         {map[string]string{"/api/v1/rules": ""}, []Problem{{PrometheusDown, "HTTP 503 Service Unavailable"}}},
		"Alertmanager down":       {map[string]string{"/api/v2/status": ""}, []Problem{{AlertmanagerDown, "HTTP 503 Service Unavailable"}}},
	} {
		t.Run(name, func(t *testing.T) {
			files := healthy()
			files["/api/v1/targets"] = up
			for path, file := range test.change {
				files[path] = file
			}
			if got := servers(t, files).Read(t.Context()); !slices.Equal(got.Problems, test.want) {
				t.Errorf("problems %q, want %q", got.Problems, test.want)
			}
		})
	}
}

func TestReadReturnsTheValues(t *testing.T) {
	files := healthy()
	files[lastSuccess] = `{"data":{"resultType":"vector","result":[{"metric":{},"value":[1,"1795967000"]}]}}`
	got := servers(t, files).Read(t.Context())
	got.Problems = nil
	want := Status{Rules: 2, Targets: 2, Up: 1, LastNotification: time.Unix(1795967000, 0), Watchdog: 13*time.Second + 739*time.Millisecond}
	if got.Rules != want.Rules || got.Targets != want.Targets || got.Up != want.Up || !got.LastNotification.Equal(want.LastNotification) || got.Watchdog != want.Watchdog {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// TestFailedNotificationsAreForgotten covers a counter that never decreases.
func TestFailedNotificationsAreForgotten(t *testing.T) {
	metrics := func(failed string) string {
		return "# TYPE alertmanager_notifications_total counter\nalertmanager_notifications_total 10\n# TYPE alertmanager_notifications_failed_total counter\nalertmanager_notifications_failed_total " + failed + "\n"
	}
	files, now := healthy(), readAt
	r := servers(t, files)
	r.Now = func() time.Time { return now }
	fails := func() bool {
		return slices.ContainsFunc(r.Read(t.Context()).Problems, func(p Problem) bool { return p.Code == NotificationsFail })
	}
	for i, step := range []struct {
		after  time.Duration
		failed string
		want   bool
	}{{0, "1", false}, {time.Minute, "2", true}, {10 * time.Minute, "2", true}, {6 * time.Minute, "2", false}} {
		now = now.Add(step.after)
		files["/metrics"] = metrics(step.failed)
		if got := fails(); got != step.want {
			t.Errorf("step %d: a problem: %v, want %v", i, got, step.want)
		}
	}
}

func TestNotifiesFollowsTheRoutes(t *testing.T) {
	const config = `
route: {receiver: nobody, routes: [{matchers: ['severity="critical"'], routes: [{receiver: page, match_re: {alertname: 'R.*'}, continue: true}, {receiver: nobody}]}, {match: {severity: warning}, receiver: nobody}]}
receivers: [{name: nobody}, {name: page, webhook_configs: [{url: <secret>}]}]`
	for severity, want := range map[string]bool{"critical": true, "warning": false, "info": false} {
		got, err := notifies(config, model.LabelSet{"alertname": "Rainbond", "severity": model.LabelValue(severity)})
		if err != nil || got != want {
			t.Errorf("%s: %v, %v; want %v", severity, got, err, want)
		}
	}
}

// TestCanceledCallerIsNoProblem: a browser that goes away is no sign of a fault of
// Prometheus, and the next page shows what the servers report.
func TestCanceledCallerIsNoProblem(t *testing.T) {
	r := servers(t, healthy())
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for _, ctx := range []context.Context{gone, t.Context()} {
		if s := r.Read(ctx); slices.ContainsFunc(s.Problems, func(p Problem) bool { return p.Code == PrometheusDown || p.Code == AlertmanagerDown }) {
			t.Errorf("got %v", s.Problems)
		}
	}
}
