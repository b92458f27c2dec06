package fault

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"
)

// A Monitor is what rbd-monitor, the platform's own Prometheus, said through
// the region's API. The console's list of component faults is made from it.
type Monitor struct {
	// Up is false when the region's API could not reach rbd-monitor. The
	// console's list is then empty, which looks like health.
	Up bool
	// Shown are the alarms on the console's list.
	Shown []ShownAlarm
	// LastScrape is when rbd-monitor collected anything last; zero when it has
	// not within MonitorWindow.
	LastScrape time.Time
}

// A ShownAlarm is one entry of the console's list of component faults.
type ShownAlarm struct {
	Name  string
	State string // firing, or pending, which the console shows too
	Since time.Time
}

// An Alarm of rbd-monitor says of a component that it is ill.
type Alarm struct{ Name, Component string }

// Alarms lists those alarms of rbd-monitor that say of a component that it is
// down, unhealthy or failing (rainbond-operator, config/prom/rules.yml). Those
// that tell of load (BuilderTaskError, MqMessageQueueBlock) or of resources
// say nothing about health.
var Alarms = []Alarm{
	{"APIDown", "rbd-api"},
	{"BuilderDown", chaos}, {"BuilderUnhealthy", chaos},
	{"MqDown", "rbd-mq"}, {"MqUnhealthy", "rbd-mq"},
	{"WorkerDown", "rbd-worker"}, {"WorkerUnhealthy", "rbd-worker"}, {"WorkerTaskError", "rbd-worker"},
}

const (
	// AlertsPath is where the console asks for the alarms.
	AlertsPath = "/api/v1/alerts"
	// QueryPath is where the region's API lets rbd-monitor be queried.
	QueryPath = "/api/v1/query"
	// MonitorWindow is how far back LastScrapeQuery looks.
	MonitorWindow = time.Hour
	// LastScrapeQuery asks for the time of the youngest sample of any target.
	// A plain max(timestamp(up)) forgets after five minutes.
	LastScrapeQuery = "max(max_over_time(timestamp(up)[1h:1m]))"
)

// ReadAlarms reads an answer to AlertsPath as the console does: an alarm with
// PageAlarm "true" is shown, whatever its state (rainbond-console,
// enterprise_services.py, get_enterprise_alerts).
func ReadAlarms(body []byte) ([]ShownAlarm, error) {
	var said struct {
		Status string `json:"status"`
		Data   struct {
			Alerts []struct {
				Labels   map[string]string `json:"labels"`
				State    string            `json:"state"`
				ActiveAt time.Time         `json:"activeAt"`
			} `json:"alerts"`
		} `json:"data"`
	}
	if err := json.Unmarshal(body, &said); err != nil || said.Status != "success" {
		return nil, unlikePrometheus(AlertsPath, err)
	}
	var shown []ShownAlarm
	for _, a := range said.Data.Alerts {
		if a.Labels["PageAlarm"] == "true" {
			shown = append(shown, ShownAlarm{Name: a.Labels["alertname"], State: a.State, Since: a.ActiveAt})
		}
	}
	return shown, nil
}

// ReadLastScrape reads an answer to LastScrapeQuery. No sample is the zero
// time.
func ReadLastScrape(body []byte) (time.Time, error) {
	var said struct {
		Status string `json:"status"`
		Data   struct {
			Result []struct {
				Value [2]any `json:"value"`
			} `json:"result"`
		} `json:"data"`
	}
	if err := json.Unmarshal(body, &said); err != nil || said.Status != "success" {
		return time.Time{}, unlikePrometheus(QueryPath, err)
	}
	if len(said.Data.Result) == 0 {
		return time.Time{}, nil
	}
	text, _ := said.Data.Result[0].Value[1].(string)
	seconds, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(seconds) || math.IsInf(seconds, 0) {
		return time.Time{}, fmt.Errorf("%s: %q is not a time", QueryPath, text)
	}
	return time.UnixMilli(int64(seconds * 1000)), nil
}

func unlikePrometheus(path string, err error) error {
	if err == nil {
		err = errors.New("its status is not success")
	}
	return fmt.Errorf("%s: not an answer of Prometheus: %w", path, err)
}
