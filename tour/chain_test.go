package tour

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

	"github.com/rainbond-exporter/rainbond-exporter/relay"
)

// A backend imitates Prometheus, Alertmanager and relay. Each answer is JSON.
type backend struct {
	rules, results string
	posts          int
}

func (s *backend) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	switch {
	case strings.HasPrefix(r.URL.Path, "/test-alert/"):
		if r.Header.Get("Authorization") != "Bearer hidden" {
			w.WriteHeader(http.StatusUnauthorized)
		}
		fmt.Fprint(w, s.results)
	case r.URL.Path == "/api/v1/rules":
		fmt.Fprint(w, s.rules)
	case r.URL.Path == "/api/v1/alertmanagers":
		fmt.Fprint(w, `{"data":{"activeAlertmanagers":[{"url":"http://am"}]}}`)
	case r.Method == http.MethodPost:
		var alerts []struct{ Labels map[string]string }
		if err := json.NewDecoder(r.Body).Decode(&alerts); err == nil && alerts[0].Labels["severity"] == "critical" {
			s.posts++
		}
	default:
		fmt.Fprint(w, `[{"receivers":[{"name":"page"}],"status":{}}]`)
	}
	return w.Result(), nil
}

func TestTheButtonReportsWhereTheTestMessageStops(t *testing.T) {
	const loaded = `{"data":{"groups":[{"rules":[{"name":"RainbondWatchdog","state":"firing","health":"ok"}]}]}}`
	whole := relay.Path{Prometheus: "http://prometheus", Alertmanager: "http://alertmanager", Relay: "http://relay", Token: "hidden", Severity: "critical"}
	toRoute := whole
	toRoute.Relay = ""
	for name, test := range map[string]struct {
		path    relay.Path
		backend backend
		want    []string // parts of the panel
		posts   int
	}{
		"complete": {whole, backend{rules: loaded, results: `[{"receiver":"ops","type":"dingtalk","outcome":"delivered"}]`},
			[]string{`<li class="ok"><span class="mark">OK</span> <span class="name">Robot</span> <span class="detail">message accepted: ops</span></li>`, "The message has arrived."}, 1},
		"rejected": {whole, backend{rules: loaded, results: `[{"receiver":"ops","type":"dingtalk","outcome":"rejected","reason":"code 310000: sign not match"}]`},
			[]string{`<li class="ok"><span class="mark">OK</span> <span class="name">Relay</span>`, `<li class="failed"><span class="mark">FAILED</span> <span class="name">Robot</span> <span class="detail">ops: rejected: code 310000: sign not match</span></li>`, "The message stopped here."}, 1},
		"no rules": {whole, backend{rules: `{"data":{}}`},
			[]string{`<li class="failed"><span class="mark">FAILED</span> <span class="name">Rules loaded and evaluated</span>`, `<li><span class="mark">NOT REACHED</span> <span class="name">Alertmanager reachable</span></li>`, "The message stopped here."}, 0},
		"lost": {whole, backend{rules: loaded, results: `[]`},
			[]string{`<span class="name">Relay</span> <span class="detail">the relay has not received the alert;`, "The message stopped here."}, 1},
		"no relay": {toRoute, backend{rules: loaded},
			[]string{`<li class="missing"><span class="mark">MISSING</span> <span class="name">Relay</span> <span class="detail">The demo was started without --alerting.relay-url.</span></li>`, "The alert has a route."}, 1},
		"no chain": {relay.Path{}, backend{},
			[]string{`<li class="missing"><span class="mark">MISSING</span> <span class="name">Rules loaded and evaluated</span> <span class="detail">This demo has no Prometheus, Alertmanager and relay`, "The message stopped here."}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				life, end := context.WithCancel(t.Context())
				defer end()
				tour := &Tour{chain: &chain{path: test.path, client: &http.Client{Transport: &test.backend}, life: life}}
				if html := string(tour.chain.panel("en")); strings.Contains(html, "<li") || !strings.Contains(html, "<button>Send a test message</button>") {
					t.Errorf("before the test:\n%s", html)
				}
				press(t, tour, http.MethodPost, "same-origin", http.StatusSeeOther)
				time.Sleep(testTimeout + time.Second) //nolint:forbidigo // the clock is simulated
				synctest.Wait()
				html := string(tour.chain.panel("en"))
				for _, want := range test.want {
					if !strings.Contains(html, want) {
						t.Errorf("no %s in\n%s", want, html)
					}
				}
				if strings.Count(html, "<li") != len(relay.Steps) || strings.Contains(html, "hidden") || strings.Contains(html, "running") {
					t.Errorf("got\n%s", html)
				}
				if zh := string(tour.chain.panel("zh")); !strings.Contains(zh, "机器人") || test.posts > 0 && !strings.Contains(zh, "条告警规则，RainbondWatchdog 已触发") || !strings.Contains(zh, `action="demo/test-alert?lang=zh"`) {
					t.Errorf("got\n%s", zh)
				}
				if test.backend.posts != test.posts {
					t.Errorf("%d alerts were sent, expected %d", test.backend.posts, test.posts)
				}
			})
		})
	}
}

// press requests the handler as a page of a site does.
func press(t *testing.T, tour *Tour, method, site string, status int) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(method, TestAlertPath+"?lang=zh", nil)
	r.Header.Set("Sec-Fetch-Site", site)
	w := httptest.NewRecorder()
	tour.TestAlert().ServeHTTP(w, r)
	if w.Code != status {
		t.Errorf("%s from %s: status %d, expected %d", method, site, w.Code, status)
	}
	return w
}

func TestTheButtonShowsARunningTest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		life, end := context.WithCancel(t.Context())
		lost := &backend{rules: `{"data":{"groups":[{"rules":[{"name":"RainbondWatchdog","state":"firing","health":"ok"}]}]}}`, results: "[]"}
		tour := &Tour{chain: &chain{path: relay.Path{Prometheus: "http://p", Alertmanager: "http://a", Relay: "http://r", Token: "hidden", Severity: "critical"}, client: &http.Client{Transport: lost}, life: life}}
		w := press(t, tour, http.MethodPost, "none", http.StatusSeeOther)
		if got := w.Header().Get("Location"); got != "../?lang=zh#test-alert" {
			t.Errorf("Location %q", got)
		}
		synctest.Wait()
		html := string(tour.chain.panel("en"))
		for _, want := range []string{"<button disabled>", `<li class="running"><span class="mark">WAITING</span> <span class="name">Relay</span></li>`, "The test is running"} {
			if !strings.Contains(html, want) {
				t.Errorf("no %s in\n%s", want, html)
			}
		}
		press(t, tour, http.MethodPost, "none", http.StatusSeeOther)
		if synctest.Wait(); lost.posts != 1 {
			t.Errorf("%d alerts were sent, expected one test at a time", lost.posts)
		}
		end() // the process ends
		synctest.Wait()
		if tour.chain.running {
			t.Error("the test continues after the end of the process")
		}
	})
}

func TestTheButtonIsProtected(t *testing.T) {
	tour := &Tour{chain: &chain{}}
	press(t, tour, http.MethodPost, "cross-site", http.StatusForbidden)
	if w := press(t, tour, http.MethodGet, "same-origin", http.StatusMethodNotAllowed); w.Header().Get("Allow") != http.MethodPost {
		t.Error("no header Allow")
	}
	if !tour.chain.began.IsZero() {
		t.Error("a test has begun")
	}
}
