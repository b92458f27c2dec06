// Package alerting reads from Prometheus and Alertmanager whether alerts reach people.
package alerting

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/alertmanager/pkg/labels"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"go.yaml.in/yaml/v3"

	"github.com/rainbond-exporter/rainbond-exporter/rules"
)

const (
	// watchdogAge is the age at which the Watchdog is late. Prometheus sends it again at least every 75 s.
	watchdogAge = 5 * time.Minute
	// failedFor is how long a failed notification is a problem.
	failedFor = 15 * time.Minute
	// cacheFor is how long a status is used again, so that reloads of the page do not load the servers.
	cacheFor = 10 * time.Second
	// readTimeout limits reading both servers.
	readTimeout = 3 * time.Second
	// maxBody is the maximum size of a response in bytes.
	maxBody = 8 << 20
)

// A Code names a problem.
type Code string

// The problems.
const (
	PrometheusDown    Code = "prometheus_down"    // detail: the error
	AlertmanagerDown  Code = "alertmanager_down"  // detail: the error
	RulesMissing      Code = "rules_missing"      // no Watchdog among the rules
	ReloadFailed      Code = "reload_failed"      // a file does not load
	DiskFull          Code = "disk_full"          // detail: the error of a rule
	RuleFailing       Code = "rule_failing"       // detail: rule and error
	NoAlertmanager    Code = "no_alertmanager"    // Prometheus has none
	WatchdogMissing   Code = "watchdog_missing"   // it has not reached Alertmanager
	WatchdogOld       Code = "watchdog_old"       // detail: the age
	RouteMissing      Code = "route_missing"      // detail: the severity
	TargetDown        Code = "target_down"        // detail: job and error
	NotificationsFail Code = "notifications_fail" // Alertmanager cannot send; detail: number of failed notifications
	Rejected          Code = "rejected"           // detail: the receiver of the relay
	Unreachable       Code = "unreachable"        // detail: the receiver of the relay
)

// A Problem is one reason why alerts may not reach people.
type Problem struct {
	Code   Code
	Detail string
}

// Status is what both servers report.
type Status struct {
	Rules            int // alert rules of ours that are loaded
	Targets, Up      int
	LastNotification time.Time     // accepted by a robot; zero if unknown
	Sent, Failed     int           // notifications since Alertmanager started
	Watchdog         time.Duration // age; negative if it has not arrived
	Problems         []Problem
}

// A Reader reads the status. Its URLs have no slash at the end.
type Reader struct {
	Prometheus, Alertmanager string
	Client                   *http.Client
	Now                      func() time.Time

	mu       sync.Mutex // guards the rest, and a read
	last     Status
	readAt   time.Time
	known    bool // whether failed is known
	failed   int
	failedAt time.Time // of the last increase of failed
}

// Read returns the status, which is at most cacheFor old. The end of ctx does not
// interrupt it: other callers get the same status.
func (r *Reader) Read(ctx context.Context) Status {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.Now()
	if !r.readAt.IsZero() && now.Sub(r.readAt) < cacheFor {
		return r.last
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), readTimeout)
	defer cancel()
	s := &Status{Watchdog: -1}
	if err := r.prometheus(ctx, s); err != nil {
		s.add(PrometheusDown, err.Error())
	}
	if err := r.alertmanager(ctx, s, now); err != nil {
		s.add(AlertmanagerDown, err.Error())
	}
	slices.SortStableFunc(s.Problems, func(a, b Problem) int { return slices.Index(order, a.Code) - slices.Index(order, b.Code) })
	r.last, r.readAt = *s, now
	return *s
}

// order is the order in which the problems matter.
var order = []Code{PrometheusDown, AlertmanagerDown, RulesMissing, ReloadFailed, DiskFull, RuleFailing, NoAlertmanager, WatchdogMissing, WatchdogOld, RouteMissing,
	Rejected, Unreachable, NotificationsFail, TargetDown}

func (s *Status) add(code Code, detail string) {
	if p := (Problem{code, detail}); !slices.Contains(s.Problems, p) {
		s.Problems = append(s.Problems, p)
	}
}

// get returns the body of a response with status 200. Errors do not contain the URL.
func (r *Reader) get(ctx context.Context, address string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, errors.New("invalid URL")
	}
	answer, err := r.Client.Do(request)
	var about *url.Error
	switch {
	case errors.As(err, &about):
		return nil, about.Err
	case err != nil:
		return nil, err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxBody))
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("HTTP %s", answer.Status)
	}
	return body, err
}

// data reads the field data of a response of Prometheus.
func (r *Reader) data(ctx context.Context, path string, into any) error {
	body, err := r.get(ctx, r.Prometheus+path)
	if err != nil {
		return err
	}
	return json.Unmarshal(body, &struct{ Data any }{into})
}

func (r *Reader) prometheus(ctx context.Context, s *Status) error {
	var loaded struct {
		Groups []struct {
			Rules []struct{ Name, Health, LastError string }
		}
	}
	if err := r.data(ctx, "/api/v1/rules?type=alert", &loaded); err != nil {
		return err
	}
	watched := false
	for _, group := range loaded.Groups {
		for _, rule := range group.Rules {
			if !strings.HasPrefix(rule.Name, "Rainbond") {
				continue
			}
			s.Rules++
			watched = watched || rule.Name == rules.Watchdog
			switch {
			case rule.Health != "err":
			case strings.Contains(rule.LastError, "no space left on device"):
				s.add(DiskFull, rule.LastError)
			default:
				s.add(RuleFailing, rule.Name+": "+rule.LastError)
			}
		}
	}
	if !watched {
		s.add(RulesMissing, "")
	}
	var info struct{ ReloadConfigSuccess bool }
	if err := r.data(ctx, "/api/v1/status/runtimeinfo", &info); err != nil {
		return err
	}
	if !info.ReloadConfigSuccess {
		s.add(ReloadFailed, "")
	}
	var targets struct {
		ActiveTargets []struct{ ScrapePool, Health, LastError string }
	}
	if err := r.data(ctx, "/api/v1/targets?state=active", &targets); err != nil {
		return err
	}
	for _, target := range targets.ActiveTargets {
		s.Targets++
		if target.Health != "down" {
			s.Up++
		} else {
			s.add(TargetDown, target.ScrapePool+": "+target.LastError)
		}
	}
	var managers struct{ ActiveAlertmanagers []any }
	if err := r.data(ctx, "/api/v1/alertmanagers", &managers); err != nil {
		return err
	}
	if len(managers.ActiveAlertmanagers) == 0 {
		s.add(NoAlertmanager, "")
	}
	return r.relay(ctx, s)
}

// relay reads the metrics of the relay from Prometheus, if it has them.
func (r *Reader) relay(ctx context.Context, s *Status) error {
	last, err := r.query(ctx, `max(rainbond_relay_last_success_timestamp_seconds) > 0`)
	if err != nil {
		return err
	}
	for _, sample := range last {
		s.LastNotification = time.Unix(int64(sample.Value), 0)
	}
	failed, err := r.query(ctx, `sum by (receiver, outcome) (increase(rainbond_relay_deliveries_total{outcome=~"rejected|unreachable"}[15m])) > 0`)
	for _, sample := range failed {
		code := Unreachable
		if sample.Metric["outcome"] == "rejected" {
			code = Rejected
		}
		s.add(code, string(sample.Metric["receiver"]))
	}
	return err
}

func (r *Reader) query(ctx context.Context, expr string) (model.Vector, error) {
	var answer struct{ Result model.Vector }
	err := r.data(ctx, "/api/v1/query?query="+url.QueryEscape(expr), &answer)
	return answer.Result, err
}

func (r *Reader) alertmanager(ctx context.Context, s *Status, now time.Time) error {
	body, err := r.get(ctx, r.Alertmanager+"/api/v2/status")
	if err != nil {
		return err
	}
	var status struct{ Config struct{ Original string } }
	if err := json.Unmarshal(body, &status); err != nil {
		return err
	}
	for _, severity := range []string{"critical", "warning"} {
		ok, err := notifies(status.Config.Original, model.LabelSet{"alertname": "Rainbond", "severity": model.LabelValue(severity), "rainbond_region": "rainbond"})
		if err != nil {
			return err
		}
		if !ok {
			s.add(RouteMissing, severity)
		}
	}
	if body, err = r.get(ctx, r.Alertmanager+"/api/v2/alerts?filter="+url.QueryEscape(`alertname="`+rules.Watchdog+`"`)); err != nil {
		return err
	}
	var alerts []struct{ UpdatedAt time.Time }
	if err := json.Unmarshal(body, &alerts); err != nil {
		return err
	}
	for _, alert := range alerts {
		if age := max(0, now.Sub(alert.UpdatedAt)); s.Watchdog < 0 || age < s.Watchdog {
			s.Watchdog = age
		}
	}
	switch {
	case s.Watchdog < 0:
		s.add(WatchdogMissing, "")
	case s.Watchdog > watchdogAge:
		s.add(WatchdogOld, s.Watchdog.Round(time.Second).String())
	}
	return r.notifications(ctx, s, now)
}

// notifications reads how many notifications Alertmanager sent. The number of failures has no time: they are a problem if their number
// has increased in the last failedFor, or if none has succeeded.
func (r *Reader) notifications(ctx context.Context, s *Status, now time.Time) error {
	body, err := r.get(ctx, r.Alertmanager+"/metrics")
	if err != nil {
		return err
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(string(body)))
	if err != nil {
		return err
	}
	sum := func(name string) (total int) {
		for _, m := range families[name].GetMetric() {
			total += int(m.GetCounter().GetValue())
		}
		return total
	}
	s.Sent, s.Failed = sum("alertmanager_notifications_total"), sum("alertmanager_notifications_failed_total")
	if r.known && s.Failed > r.failed {
		r.failedAt = now
	}
	r.known, r.failed = true, s.Failed
	if recent := !r.failedAt.IsZero() && now.Sub(r.failedAt) < failedFor; s.Failed > 0 && (recent || s.Failed >= s.Sent) {
		s.add(NotificationsFail, strconv.Itoa(s.Failed))
	}
	return nil
}

// A route is a node of Alertmanager's routing tree, as its API returns it.
type route struct {
	Receiver string
	Match    map[string]string
	MatchRE  map[string]string `yaml:"match_re"`
	Matchers []string
	Continue bool
	Routes   []route
}

// notifies reports whether an alert reaches a receiver that has an integration.
func notifies(config string, alert model.LabelSet) (bool, error) {
	var c struct {
		Route     route
		Receivers []map[string]any
	}
	if err := yaml.Unmarshal([]byte(config), &c); err != nil {
		return false, errors.New("its configuration is not YAML")
	}
	real := map[string]bool{}
	for _, receiver := range c.Receivers {
		name, _ := receiver["name"].(string)
		real[name] = len(receiver) > 1
	}
	receivers, err := c.Route.match(alert, c.Route.Receiver)
	return slices.ContainsFunc(receivers, func(name string) bool { return real[name] }), err
}

// match returns the receivers of an alert, as Alertmanager chooses them.
func (r route) match(alert model.LabelSet, inherited string) ([]string, error) {
	var all labels.Matchers
	for name, value := range r.Match {
		m, err := labels.NewMatcher(labels.MatchEqual, name, value)
		if err != nil {
			return nil, err
		}
		all = append(all, m)
	}
	for name, value := range r.MatchRE {
		m, err := labels.NewMatcher(labels.MatchRegexp, name, value)
		if err != nil {
			return nil, err
		}
		all = append(all, m)
	}
	for _, text := range r.Matchers {
		matchers, err := labels.ParseMatchers(text)
		if err != nil {
			return nil, err
		}
		all = append(all, matchers...)
	}
	if !all.Matches(alert) {
		return nil, nil
	}
	receiver := inherited
	if r.Receiver != "" {
		receiver = r.Receiver
	}
	var found []string
	for _, child := range r.Routes {
		receivers, err := child.match(alert, receiver)
		if err != nil {
			return nil, err
		}
		found = append(found, receivers...)
		if len(receivers) > 0 && !child.Continue {
			break
		}
	}
	if len(found) == 0 {
		found = []string{receiver}
	}
	return found, nil
}
