package fault

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"
)

// A Monitor is the state of rbd-monitor, the platform's own Prometheus, as
// read through the region's API. The console builds its list of component
// alarms from it.
type Monitor struct {
	// Up is false when the region's API cannot reach rbd-monitor. The
	// console's list is then empty, as on a healthy platform.
	Up bool
	// Shown are the alarms on the console's list.
	Shown []ShownAlarm
	// LastScrape is the time of rbd-monitor's last sample; zero when there is
	// none within MonitorWindow.
	LastScrape time.Time
}

// A ShownAlarm is one entry of the console's list of component alarms.
type ShownAlarm struct {
	Name  string
	State string // firing or pending; the console shows both
	Since time.Time
}

// An Alarm is an alert of rbd-monitor about the health of a component.
type Alarm struct{ Name, Component string }

// Alarms lists the alerts of rbd-monitor for a component that is down,
// unhealthy or failing (rainbond-operator, config/prom/rules.yml). Alerts about
// load (BuilderTaskError, MqMessageQueueBlock) or resources are not listed,
// because they do not describe health.
var Alarms = []Alarm{
	{"APIDown", "rbd-api"},
	{"BuilderDown", chaos}, {"BuilderUnhealthy", chaos},
	{"MqDown", "rbd-mq"}, {"MqUnhealthy", "rbd-mq"},
	{"WorkerDown", "rbd-worker"}, {"WorkerUnhealthy", "rbd-worker"}, {"WorkerTaskError", "rbd-worker"},
}

const (
	// AlertsPath is the path from which the console reads the alarms.
	AlertsPath = "/api/v1/alerts"
	// QueryPath is the path by which the region's API queries rbd-monitor.
	QueryPath = "/api/v1/query"
	// MonitorWindow is the time range of LastScrapeQuery.
	MonitorWindow = time.Hour
	// LastScrapeQuery returns the time of the newest sample of any target.
	// A plain max(timestamp(up)) is empty after five minutes.
	LastScrapeQuery = "max(max_over_time(timestamp(up)[1h:1m]))"
)

// ReadAlarms parses a response to AlertsPath as the console does: it returns
// the alarms with the label PageAlarm="true" in any state (rainbond-console,
// enterprise_services.py, get_enterprise_alerts). The error means
// that the body is not a successful Prometheus response.
func ReadAlarms(body []byte) ([]ShownAlarm, error) {
	var response struct {
		Status string `json:"status"`
		Data   struct {
			Alerts []struct {
				Labels   map[string]string `json:"labels"`
				State    string            `json:"state"`
				ActiveAt time.Time         `json:"activeAt"`
			} `json:"alerts"`
		} `json:"data"`
	}
	if err := json.Unmarshal(body, &response); err != nil || response.Status != "success" {
		return nil, notPrometheus(AlertsPath, err)
	}
	var shown []ShownAlarm
	for _, a := range response.Data.Alerts {
		if a.Labels["PageAlarm"] == "true" {
			shown = append(shown, ShownAlarm{Name: a.Labels["alertname"], State: a.State, Since: a.ActiveAt})
		}
	}
	return shown, nil
}

// ReadLastScrape parses a response to LastScrapeQuery. It returns the zero
// time when the result is empty. The error means that the body is not
// a successful Prometheus response.
func ReadLastScrape(body []byte) (time.Time, error) {
	var response struct {
		Status string `json:"status"`
		Data   struct {
			Result []struct {
				Value [2]any `json:"value"`
			} `json:"result"`
		} `json:"data"`
	}
	if err := json.Unmarshal(body, &response); err != nil || response.Status != "success" {
		return time.Time{}, notPrometheus(QueryPath, err)
	}
	if len(response.Data.Result) == 0 {
		return time.Time{}, nil
	}
	text, _ := response.Data.Result[0].Value[1].(string)
	seconds, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(seconds) || math.IsInf(seconds, 0) {
		return time.Time{}, fmt.Errorf("%s: %q is not a time", QueryPath, text)
	}
	return time.UnixMilli(int64(seconds * 1000)), nil
}

func notPrometheus(path string, err error) error {
	if err == nil {
		err = errors.New("the status is not success")
	}
	return fmt.Errorf("%s: not a Prometheus response: %w", path, err)
}
