package relay

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/rainbond-exporter/rainbond-exporter/rules"
)

// A Path is the way of an alert to a robot, for Test.
type Path struct {
	Prometheus   string // URL; "" to skip the rules
	Alertmanager string // URL
	Relay        string // URL; "" to stop after the route
	Token        string // of the relay; "" without one
	Severity     string // of the test alert, which decides the route
}

// A Step is one step of a test.
type Step struct {
	Name   string // one of the step constants
	OK     bool
	Detail Detail
}

// A Detail is what a step has found, in both languages and without a secret.
type Detail struct{ En, Zh string }

// In returns the text in the language zh or en.
func (d Detail) In(lang string) string {
	if lang == "zh" {
		return d.Zh
	}
	return d.En
}

// Error returns the English text.
func (d Detail) Error() string { return d.En }

// detail formats both texts with the same arguments.
func detail(en, zh string, args ...any) Detail {
	return Detail{fmt.Sprintf(en, args...), fmt.Sprintf(zh, args...)}
}

// The names of the steps of a test.
const (
	StepRules        = "rules"
	StepAlertmanager = "alertmanager"
	StepRoute        = "route"
	StepRelay        = "relay"
	StepVendor       = "vendor"
)

// Steps are the steps of a test, in their order.
var Steps = []string{StepRules, StepAlertmanager, StepRoute, StepRelay, StepVendor}

// testName is the alert that Test sends.
const testName = "RainbondTestAlert"

// Test sends a test alert and calls report after each step, until one fails or ctx
// ends. It reports whether all succeeded.
func (p Path) Test(ctx context.Context, client *http.Client, report func(Step)) bool {
	id := strings.ToLower(rand.Text()[:12])
	steps := []struct {
		name string
		run  func(context.Context) (Detail, error)
		skip bool
	}{
		{StepRules, func(ctx context.Context) (Detail, error) { return p.rules(ctx, client) }, p.Prometheus == ""},
		{StepAlertmanager, func(ctx context.Context) (Detail, error) { return p.sendTest(ctx, client, id) }, false},
		{StepRoute, func(ctx context.Context) (Detail, error) { return p.route(ctx, client, id) }, false},
		{StepRelay, func(ctx context.Context) (Detail, error) { return p.relayed(ctx, client, id) }, p.Relay == ""},
		{StepVendor, func(ctx context.Context) (Detail, error) { return p.vendor(ctx, client, id) }, p.Relay == ""},
	}
	for _, s := range steps {
		if s.skip {
			continue
		}
		found, err := s.run(ctx)
		if err != nil {
			failed, ok := errors.AsType[Detail](err)
			if !ok {
				failed = Detail{err.Error(), err.Error()}
			}
			report(Step{s.name, false, failed})
			return false
		}
		report(Step{s.name, true, found})
	}
	return true
}

// get decodes the JSON at an URL. Its errors do not contain the URL, which may
// have a password.
func get(ctx context.Context, client *http.Client, target, token string, answer any) error {
	return call(ctx, client, http.MethodGet, target, token, nil, answer)
}

func call(ctx context.Context, client *http.Client, method, target, token string, body []byte, answer any) error {
	ctx, cancel := context.WithTimeout(ctx, postTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, target, bytes.NewReader(body))
	if err != nil {
		return detail("not a URL", "不是 URL")
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("%s", withoutURL(err))
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, 32<<20))
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return detail("HTTP status %d: %s", "HTTP 状态码 %d：%s", response.StatusCode, cut(strings.Join(strings.Fields(printable(string(text))), " "), 200))
	}
	if answer == nil {
		return nil
	}
	if err := json.Unmarshal(text, answer); err != nil {
		return detail("the response is not the expected JSON; is the URL right?", "响应不是预期的 JSON；URL 对吗？")
	}
	return nil
}

// rules checks that Prometheus evaluates our rules and sends to an Alertmanager.
func (p Path) rules(ctx context.Context, client *http.Client) (Detail, error) {
	var alerts struct {
		Data struct {
			Groups []struct {
				Rules []struct{ Name, State, Health, LastError string }
			}
		}
	}
	if err := get(ctx, client, p.Prometheus+"/api/v1/rules?type=alert", "", &alerts); err != nil {
		return Detail{}, err
	}
	n, firing := 0, false
	for _, g := range alerts.Data.Groups {
		for _, r := range g.Rules {
			if !strings.HasPrefix(r.Name, "Rainbond") {
				continue
			}
			if n++; r.Health == "err" {
				return Detail{}, detail("the rule %s fails: %s", "规则 %s 执行失败：%s", r.Name, r.LastError)
			}
			firing = firing || r.Name == rules.Watchdog && r.State == "firing"
		}
	}
	if n == 0 {
		return Detail{}, detail("no rule of rainbond.rules.yaml is loaded; check rule_files", "没有加载 rainbond.rules.yaml 的规则；检查 rule_files")
	}
	if !firing {
		return Detail{}, detail("%s does not fire, so the rules are not evaluated", "%s 没有触发，规则没有在执行", rules.Watchdog)
	}
	var managers struct {
		Data struct{ ActiveAlertmanagers []struct{ URL string } }
	}
	if err := get(ctx, client, p.Prometheus+"/api/v1/alertmanagers", "", &managers); err != nil {
		return Detail{}, err
	}
	if len(managers.Data.ActiveAlertmanagers) == 0 {
		return Detail{}, detail("Prometheus has no Alertmanager; check alerting.alertmanagers", "Prometheus 没有 Alertmanager；检查 alerting.alertmanagers")
	}
	return detail("%d alert rules, %s fires, %d Alertmanager", "%d 条告警规则，%s 已触发，%d 个 Alertmanager", n, rules.Watchdog, len(managers.Data.ActiveAlertmanagers)), nil
}

// testDuration is how long the test alert is active. A message that it is resolved
// follows.
const testDuration = 3 * time.Minute

// sendTest posts the test alert to Alertmanager.
func (p Path) sendTest(ctx context.Context, client *http.Client, id string) (Detail, error) {
	now := time.Now()
	body := encode([]map[string]any{{
		"startsAt": now, "endsAt": now.Add(testDuration),
		"labels": map[string]string{"alertname": testName, "severity": p.Severity, TestLabel: id},
		"annotations": map[string]string{
			"summary":        "Test message of rainbond-exporter",
			"summary_zh":     "rainbond-exporter 的测试消息",
			"description":    "Impact: None. Somebody tests the path of alerts to this chat.\nCause: rainbond-exporter test-alert\nFix: Nothing to do.",
			"description_zh": "影响：无。有人在测试告警到这个群的链路。\n原因：rainbond-exporter test-alert\n处理：无需处理。",
		},
	}})
	if err := call(ctx, client, http.MethodPost, p.Alertmanager+"/api/v2/alerts", "", body, nil); err != nil {
		return Detail{}, err
	}
	return detail("%s accepted, %s=%s", "已接受 %s，%s=%s", testName, TestLabel, id), nil
}

// pollInterval is the pause between two questions of a test.
const pollInterval = time.Second

// poll calls ask until it returns a detail or an error, or ctx ends.
func poll(ctx context.Context, late Detail, ask func() (Detail, error)) (Detail, error) {
	for {
		if found, err := ask(); found != (Detail{}) || err != nil {
			return found, err
		}
		select {
		case <-time.After(pollInterval):
		case <-ctx.Done():
			return Detail{}, late
		}
	}
}

// route asks Alertmanager for the receivers of the test alert.
func (p Path) route(ctx context.Context, client *http.Client, id string) (Detail, error) {
	return poll(ctx, detail("Alertmanager does not list the alert", "Alertmanager 没有列出这条告警"), func() (Detail, error) {
		var alerts []struct {
			Receivers []struct{ Name string }
			Status    struct{ SilencedBy, InhibitedBy []string }
		}
		if err := get(ctx, client, p.Alertmanager+"/api/v2/alerts?filter="+url.QueryEscape(fmt.Sprintf("%s=%q", TestLabel, id)), "", &alerts); err != nil || len(alerts) == 0 {
			return Detail{}, err
		}
		a := alerts[0]
		if len(a.Status.SilencedBy)+len(a.Status.InhibitedBy) > 0 {
			return Detail{}, detail("the alert is silenced or inhibited by %s", "告警被静默或抑制：%s", strings.Join(append(a.Status.SilencedBy, a.Status.InhibitedBy...), ", "))
		}
		var names []string
		for _, r := range a.Receivers {
			names = append(names, r.Name)
		}
		if len(names) == 0 {
			return Detail{}, detail("no receiver; check route", "没有接收器；检查 route")
		}
		return detail("receivers: %s", "接收器：%s", strings.Join(names, ", ")), nil
	})
}

// results asks the relay for the results of the test.
func (p Path) results(ctx context.Context, client *http.Client, id string) ([]TestResult, error) {
	var results []TestResult
	err := get(ctx, client, p.Relay+"/test-alert/"+id, p.Token, &results)
	return results, err
}

// relayed waits until the test alert has arrived at the relay.
func (p Path) relayed(ctx context.Context, client *http.Client, id string) (Detail, error) {
	return poll(ctx, detail("the relay has not received the alert; check the webhook_configs of this receiver, and alertmanager_notifications_failed_total",
		"relay 没有收到告警；检查这个接收器的 webhook_configs，以及 alertmanager_notifications_failed_total"), func() (Detail, error) {
		results, err := p.results(ctx, client, id)
		if err != nil || len(results) == 0 {
			return Detail{}, err
		}
		var names []string
		for _, r := range results {
			names = append(names, r.Receiver+" ("+r.Type+")")
		}
		return detail("received for %s", "已收到，接收器：%s", strings.Join(names, ", ")), nil
	})
}

// vendor returns what the robots have answered. A rate limit or a lost request is
// repeated by Alertmanager, so that is not final.
func (p Path) vendor(ctx context.Context, client *http.Client, id string) (Detail, error) {
	failed := detail("the relay has forgotten the alert", "relay 已不记得这条告警")
	found, err := poll(ctx, Detail{}, func() (Detail, error) {
		results, err := p.results(ctx, client, id)
		if err != nil {
			return Detail{}, err
		}
		var accepted []string
		for _, r := range results {
			if !r.Delivered() {
				failed = detail("%s: %s: %s", "%s：%s：%s", r.Receiver, r.Outcome, r.Reason)
				if r.Outcome == rejected {
					return Detail{}, failed
				}
				return Detail{}, nil
			}
			accepted = append(accepted, r.Receiver)
		}
		if accepted == nil {
			return Detail{}, nil
		}
		return detail("message accepted: %s", "消息已被接受：%s", strings.Join(accepted, ", ")), nil
	})
	if late, ok := errors.AsType[Detail](err); ok && late == (Detail{}) {
		return Detail{}, failed
	}
	return found, err
}
