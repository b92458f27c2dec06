package relay

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rainbond-exporter/rainbond-exporter/relay/relaytest"
)

// path imitates Prometheus and Alertmanager, in front of a relay.
type path struct {
	rules, managers string
	receivers       string // of the alert, as JSON
	silenced        string
	lost            bool // Alertmanager does not call the relay
	forgets         bool // the relay restarts after it has reported the alert
	reports         int  // of the relay
	relay           http.Handler
	alert           map[string]any
}

func (p *path) RoundTrip(req *http.Request) (*http.Response, error) {
	return inProcess{http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		switch {
		case strings.HasPrefix(req.URL.Path, "/test-alert/") && p.forgets && p.reports > 0:
			fmt.Fprint(w, `[]`)
		case strings.HasPrefix(req.URL.Path, "/test-alert/"):
			reply := httptest.NewRecorder()
			if p.relay.ServeHTTP(reply, req); len(reply.Body.Bytes()) > len("[]\n") {
				p.reports++
			}
			w.WriteHeader(reply.Code)
			_, _ = w.Write(reply.Body.Bytes())
		case req.URL.Path == "/api/v1/rules":
			fmt.Fprint(w, p.rules)
		case req.URL.Path == "/api/v1/alertmanagers":
			fmt.Fprint(w, p.managers)
		case req.Method == http.MethodPost:
			var alerts []map[string]any
			_ = json.NewDecoder(req.Body).Decode(&alerts)
			p.alert = alerts[0]
			p.alert["status"] = "firing"
			if !p.lost {
				go p.notify()
			}
		default:
			fmt.Fprintf(w, `[{"receivers":%s,"status":{"silencedBy":[%s],"inhibitedBy":[]}}]`, p.receivers, p.silenced)
		}
	})}.RoundTrip(req)
}

func (p *path) notify() {
	body, _ := json.Marshal(map[string]any{"version": "4", "alerts": []any{p.alert}})
	<-time.After(10 * time.Second) // group_wait
	(&bench{relay: p.relay.(*Relay)}).send(context.Background(), body)
}

func TestTestAlertReportsWhereItStops(t *testing.T) {
	const (
		loaded   = `{"data":{"groups":[{"rules":[{"name":"RainbondRegionAPIDown","state":"inactive","health":"ok"},{"name":"RainbondWatchdog","state":"firing","health":"ok"}]}]}}`
		quiet    = `{"data":{"groups":[{"rules":[{"name":"RainbondWatchdog","state":"inactive","health":"ok"}]}]}}`
		broken   = `{"data":{"groups":[{"rules":[{"name":"RainbondRegionAPIDown","state":"inactive","health":"err","lastError":"many-to-many"}]}]}}`
		managers = `{"data":{"activeAlertmanagers":[{"url":"http://am"}]}}`
		ops      = `[{"name":"page"}]`
	)
	for name, c := range map[string]struct {
		path path
		key  string // the robot's
		want string
	}{
		"complete": {path{rules: loaded, managers: managers, receivers: ops}, secret,
			"rules true 2 alert rules, RainbondWatchdog fires, 1 Alertmanager; alertmanager true; route true receivers: page; relay true received for ops (dingtalk); vendor true message accepted: ops"},
		"no rules":        {path{rules: `{"data":{}}`, managers: managers}, secret, "rules false no rule of rainbond.rules.yaml is loaded; check rule_files"},
		"rules quiet":     {path{rules: quiet, managers: managers}, secret, "rules false RainbondWatchdog does not fire, so the rules are not evaluated"},
		"rule fails":      {path{rules: broken, managers: managers}, secret, "rules false the rule RainbondRegionAPIDown fails: many-to-many"},
		"not Prometheus":  {path{rules: `<html>`}, secret, "rules false the response is not the expected JSON; is the URL right?"},
		"no Alertmanager": {path{rules: loaded, managers: `{"data":{}}`}, secret, "rules false Prometheus has no Alertmanager; check alerting.alertmanagers"},
		"no receiver":     {path{rules: loaded, managers: managers, receivers: `[]`, lost: true}, secret, "rules true 2 alert rules, RainbondWatchdog fires, 1 Alertmanager; alertmanager true; route false no receiver; check route"},
		"silenced": {path{rules: loaded, managers: managers, receivers: ops, silenced: `"s1"`, lost: true}, secret,
			"rules true 2 alert rules, RainbondWatchdog fires, 1 Alertmanager; alertmanager true; route false the alert is silenced or inhibited by s1"},
		"lost": {path{rules: loaded, managers: managers, receivers: ops, lost: true}, secret,
			"rules true 2 alert rules, RainbondWatchdog fires, 1 Alertmanager; alertmanager true; route true receivers: page; relay false the relay has not received the alert; check the webhook_configs of this receiver, and alertmanager_notifications_failed_total"},
		"forgotten": {path{rules: loaded, managers: managers, receivers: ops, forgets: true}, secret,
			"rules true 2 alert rules, RainbondWatchdog fires, 1 Alertmanager; alertmanager true; route true receivers: page; relay true received for ops (dingtalk); vendor false the relay has forgotten the alert"},
		"wrong key": {path{rules: loaded, managers: managers, receivers: ops}, "SEC-another",
			"rules true 2 alert rules, RainbondWatchdog fires, 1 Alertmanager; alertmanager true; route true receivers: page; relay true received for ops (dingtalk); vendor false ops: rejected: code 310000: sign not match"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
				defer cancel()
				robot := &relaytest.Robot{Type: DingTalk, Token: token, Secret: c.key}
				config := configured(t, robot, "")
				robot.Secret = secret
				p := c.path
				p.relay = newBench(ctx, config, robot).relay
				var got []string
				ok := Path{Prometheus: "http://127.0.0.1:9090", Alertmanager: "http://127.0.0.1:9093", Relay: "http://127.0.0.1:10070", Severity: "critical"}.
					Test(ctx, &http.Client{Transport: &p}, func(s Step) {
						if s.Name == StepAlertmanager && s.OK { // its detail has the ID
							s.Detail = Detail{}
						}
						got = append(got, strings.TrimSpace(fmt.Sprintf("%s %t %s", s.Name, s.OK, s.Detail.En)))
						if (s.Detail.En == "") != (s.Detail.Zh == "") {
							t.Errorf("%s has only one language: %+v", s.Name, s.Detail)
						}
					})
				if text := strings.Join(got, "; "); text != c.want || ok != (name == "complete") {
					t.Errorf("%t\n%s, expected\n%s", ok, text, c.want)
				}
				if len(robot.Messages()) > 0 && !strings.Contains(robot.Messages()[0], "【测试】") {
					t.Error("the message is not marked as a test:", robot.Messages()[0])
				}
				cancel()
				synctest.Wait()
			})
		})
	}
}
