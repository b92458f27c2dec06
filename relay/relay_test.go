package relay

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/rainbond-exporter/rainbond-exporter/relay/relaytest"
)

const (
	token  = "0123456789abcdef-token"
	secret = "SEC0123456789abcdef-key"
)

// inProcess sends requests to a handler without a network, so that synctest can
// advance the time.
type inProcess struct{ http.Handler }

func (t inProcess) RoundTrip(req *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	t.ServeHTTP(w, req)
	return w.Result(), nil
}

// bench is a relay with one receiver, whose robot is a handler.
type bench struct {
	relay    *Relay
	registry *prometheus.Registry
	log      *syncBuffer
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// configured writes relay.yaml and the secrets of a robot.
func configured(t *testing.T, robot *relaytest.Robot, more string) *Config {
	t.Helper()
	folder := t.TempDir()
	text := "receivers:\n- name: ops\n  type: " + robot.Type + "\n  url_file: url\n" + more
	if robot.Secret != "" {
		text += "  secret_file: key\n"
		write(t, filepath.Join(folder, "key"), robot.Secret)
	}
	write(t, filepath.Join(folder, "url"), "https://robot.example.com"+robot.Path())
	write(t, filepath.Join(folder, "relay.yaml"), text)
	c, err := Load(filepath.Join(folder, "relay.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
}

func newBench(ctx context.Context, c *Config, robot http.Handler) *bench {
	b := &bench{registry: prometheus.NewRegistry(), log: new(syncBuffer)}
	b.relay = newRelay(ctx, c, b.registry, slog.New(slog.NewTextHandler(b.log, nil)), inProcess{robot})
	return b
}

// post sends a notification with one alert for each name.
func (b *bench) post(ctx context.Context, names ...string) *httptest.ResponseRecorder {
	n := notification{Version: "4"}
	for _, name := range names {
		n.Alerts = append(n.Alerts, alert{Status: "firing", Labels: map[string]string{"alertname": name, "severity": "warning"}, Annotations: map[string]string{"summary": name}})
	}
	body, _ := json.Marshal(n)
	return b.send(ctx, body)
}

func (b *bench) send(ctx context.Context, body []byte) *httptest.ResponseRecorder {
	req := httptest.NewRequestWithContext(ctx, http.MethodPost, "http://127.0.0.1:10070/alertmanager/ops", bytes.NewReader(body))
	req.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	b.relay.ServeHTTP(w, req)
	return w
}

func (b *bench) outcomes(t *testing.T) string {
	t.Helper()
	var all []string
	for _, outcome := range outcomes {
		n := testutil.ToFloat64(b.relay.queues["ops"].metrics.deliveries.WithLabelValues("ops", outcome))
		if n > 0 {
			all = append(all, fmt.Sprintf("%s %v", outcome, n))
		}
	}
	return strings.Join(all, ", ")
}

func TestSignatureAndKeyword(t *testing.T) {
	for _, robot := range []*relaytest.Robot{
		{Type: DingTalk, Token: token, Secret: secret, Keyword: "云平台"},
		{Type: Feishu, Token: token, Secret: "anything", Keyword: "云平台"},
		{Type: WeCom, Token: token},
		{Type: Webhook, Token: token},
	} {
		t.Run(robot.Type, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				more := ""
				if robot.Keyword != "" {
					more = "  keyword: 云平台\n"
				}
				b := newBench(ctx, configured(t, robot, more), robot)
				if w := b.post(ctx, "A"); w.Code != http.StatusOK {
					t.Fatalf("%d %s", w.Code, w.Body)
				}
				if len(robot.Messages()) != 1 || b.outcomes(t) != "delivered 1" {
					t.Errorf("%d messages, %s", len(robot.Messages()), b.outcomes(t))
				}
			})
		})
	}
}

// TestCodesOfVendors: a code in the body of a response with status 200 is a
// failure, which Alertmanager repeats at once only if that can help.
func TestCodesOfVendors(t *testing.T) {
	for _, c := range []struct {
		kind, body string
		status     int
		outcome    string
		answer     int
	}{
		{DingTalk, `{"errcode":0,"errmsg":"ok"}`, 200, delivered, 200},
		{DingTalk, `{"errcode":310000,"errmsg":"sign not match"}`, 200, rejected, 422},
		{DingTalk, `{"errcode":130101,"errmsg":"send too fast, exceed 20 times per minute"}`, 200, rateLimited, 503},
		{DingTalk, `{"errcode":410100,"errmsg":"x"}`, 200, rateLimited, 503},
		{DingTalk, `{"errcode":-1,"errmsg":"busy"}`, 200, unreachable, 503},
		{DingTalk, `{"status":1111,"wait":5,"source":"x5","punish":"deny"}`, 200, rateLimited, 503},
		{DingTalk, `<html>login</html>`, 200, unreachable, 503},
		{DingTalk, ``, 502, unreachable, 503},
		{DingTalk, ``, 302, rejected, 422},
		{Feishu, `{"code":0,"msg":"success"}`, 200, delivered, 200},
		{Feishu, `{"StatusCode":0,"StatusMessage":"success"}`, 200, delivered, 200},
		{Feishu, `{"StatusCode":0,"code":19021,"msg":"sign match fail"}`, 200, rejected, 422},
		{Feishu, `{"code":19021,"msg":"sign match fail"}`, 400, rejected, 422},
		{Feishu, `{"code":9499,"msg":"Bad Request"}`, 200, rejected, 422},
		{Feishu, `{"code":9499,"msg":"too many request"}`, 200, rateLimited, 503},
		{Feishu, `{"code":11232,"msg":"frequency limited"}`, 200, rateLimited, 503},
		{Feishu, `{}`, 200, unreachable, 503},
		{WeCom, `{"errcode":0,"errmsg":"ok"}`, 200, delivered, 200},
		{WeCom, `{"errcode":93000,"errmsg":"invalid webhook url"}`, 200, rejected, 422},
		{WeCom, `{"errcode":45009,"errmsg":"api freq out of limit"}`, 200, rateLimited, 503},
		{WeCom, `{"errcode":45009,"errmsg":"api freq out of limit"}`, 429, rateLimited, 503},
		{Webhook, `no JSON`, 204, delivered, 200},
		{Webhook, ``, 404, rejected, 422},
		{Webhook, ``, 500, unreachable, 503},
	} {
		t.Run(fmt.Sprintf("%s %d %s", c.kind, c.status, c.body), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				b := newBench(ctx, configured(t, &relaytest.Robot{Type: c.kind, Token: token}, ""), http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
					w.WriteHeader(c.status)
					_, _ = io.WriteString(w, c.body)
				}))
				if w := b.post(ctx, "A"); w.Code != c.answer || b.outcomes(t) != c.outcome+" 1" {
					t.Errorf("%d %s: %s", w.Code, w.Body, b.outcomes(t))
				}
			})
		})
	}
}

// TestBurstIsMerged: 200 groups at once keep to the limits of each robot, and
// every group arrives.
func TestBurstIsMerged(t *testing.T) {
	for _, kind := range []string{DingTalk, Feishu, WeCom} {
		t.Run(kind, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				robot := &relaytest.Robot{Type: kind, Token: token}
				b := newBench(ctx, configured(t, robot, ""), robot)
				start := time.Now()
				var all sync.WaitGroup
				for i := range 200 {
					all.Go(func() {
						time.Sleep(time.Duration(i) * 100 * time.Millisecond) //nolint:forbidigo // in synctest's time
						if w := b.post(ctx, fmt.Sprintf("Alert%03d", i)); w.Code != http.StatusOK {
							t.Errorf("%d %s", w.Code, w.Body)
						}
					})
				}
				all.Wait()
				if took := time.Since(start); took > 25*time.Second {
					t.Errorf("took %s", took)
				}
				if n := len(robot.Messages()); n > 12 || n < 5 {
					t.Errorf("%d messages", n)
				}
				if b.outcomes(t) != "delivered 200" {
					t.Error(b.outcomes(t))
				}
			})
		})
	}
}

// TestNeverMoreThan20AMinute posts without a pause for ten minutes.
func TestNeverMoreThan20AMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		robot := &relaytest.Robot{Type: DingTalk, Token: token}
		b := newBench(ctx, configured(t, robot, ""), robot)
		for start := time.Now(); time.Since(start) < 10*time.Minute; {
			if w := b.post(ctx, "A"); w.Code != http.StatusOK {
				t.Fatalf("%d %s after %s", w.Code, w.Body, time.Since(start))
			}
		}
		if n := len(robot.Messages()); n < 150 || n > 160 {
			t.Errorf("%d messages in 10 minutes", n)
		}
	})
}

// TestBlockOfDingTalk: after its limit, DingTalk blocks a robot for ten minutes,
// and each further message could prolong that.
func TestBlockOfDingTalk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		requests, blocked := 0, time.Now().Add(dingTalkBlock)
		b := newBench(ctx, configured(t, &relaytest.Robot{Type: DingTalk, Token: token}, ""), http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			requests++
			if time.Now().Before(blocked) {
				_, _ = io.WriteString(w, `{"errcode":130101,"errmsg":"send too fast, exceed 20 times per minute"}`)
				return
			}
			_, _ = io.WriteString(w, `{"errcode":0,"errmsg":"ok"}`)
		}))
		for range 10 { // as Alertmanager repeats
			if w := b.post(ctx, "A"); w.Code != http.StatusServiceUnavailable || !strings.Contains(w.Body.String(), "rate_limited") {
				t.Errorf("%d %s", w.Code, w.Body)
			}
			time.Sleep(time.Minute) //nolint:forbidigo // in synctest's time
		}
		if w := b.post(ctx, "A"); w.Code != http.StatusOK || requests != 2 {
			t.Errorf("%d %s after %d requests", w.Code, w.Body, requests)
		}
	})
}

// TestBackOff: a robot that does not respond gets fewer and fewer requests, and
// every notification gets an answer before Alertmanager gives up.
func TestBackOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		requests := 0
		b := newBench(ctx, configured(t, &relaytest.Robot{Type: WeCom, Token: token}, ""), http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			requests++
			w.WriteHeader(http.StatusBadGateway)
		}))
		for start := time.Now(); time.Since(start) < 5*time.Minute; {
			began := time.Now()
			if w := b.post(ctx, "A"); w.Code != http.StatusServiceUnavailable || time.Since(began) > time.Minute {
				t.Fatalf("%d %s after %s", w.Code, w.Body, time.Since(began))
			}
		}
		if requests > 15 || requests < 10 {
			t.Errorf("%d requests in 5 minutes", requests)
		}
		if n := testutil.ToFloat64(b.relay.queues["ops"].metrics.failures.WithLabelValues("ops")); n != float64(requests) {
			t.Errorf("%v failures in a row after %d requests", n, requests)
		}
	})
}

// TestCallerGivesUp: what nobody waits for is not sent later.
func TestCallerGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		robot := &relaytest.Robot{Type: WeCom, Token: token}
		b := newBench(ctx, configured(t, robot, ""), robot)
		for range burst {
			b.post(ctx, "A")
		}
		short, stop := context.WithTimeout(ctx, time.Second)
		defer stop()
		if w := b.post(short, "B"); w.Code != http.StatusServiceUnavailable {
			t.Errorf("%d %s", w.Code, w.Body)
		}
		time.Sleep(time.Minute) //nolint:forbidigo // in synctest's time
		if n := len(robot.Messages()); n != burst || b.outcomes(t) != fmt.Sprintf("delivered %d, expired 1", burst) {
			t.Errorf("%d messages, %s", n, b.outcomes(t))
		}
		if n := testutil.ToFloat64(b.relay.queues["ops"].metrics.queue.WithLabelValues("ops")); n != 0 {
			t.Errorf("queue length %v", n)
		}
	})
}

// TestTwoReceiversOfOneRobot share its limit.
func TestTwoReceiversOfOneRobot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		robot := &relaytest.Robot{Type: DingTalk, Token: token}
		c := configured(t, robot, "- name: page\n  type: dingtalk\n  url_file: url\n")
		b := newBench(ctx, c, robot)
		if b.relay.queues["ops"].pace != b.relay.queues["page"].pace {
			t.Error("each has a limit of its own")
		}
	})
}

// TestSecretsStaySecret: neither the log nor the answer contains a part of the
// URL or the key, whatever fails.
func TestSecretsStaySecret(t *testing.T) {
	for name, transport := range map[string]http.RoundTripper{
		"network": http.DefaultTransport, // no such host
		"vendor repeats it": inProcess{http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			fmt.Fprintf(w, `{"errcode":310000,"errmsg":%q}`, "bad "+req.URL.String()+" "+secret)
		})},
		"redirection": inProcess{http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			http.Redirect(w, req, "https://elsewhere.example.com/?"+token, http.StatusFound)
		})},
		"timeout": roundTrip(func(req *http.Request) (*http.Response, error) {
			return nil, fmt.Errorf("Post %q: %w", req.URL, context.DeadlineExceeded)
		}),
		"error": roundTrip(func(req *http.Request) (*http.Response, error) { return nil, fmt.Errorf("cannot %s", req.URL) }),
	} {
		t.Run(name, func(t *testing.T) {
			robot := &relaytest.Robot{Type: DingTalk, Token: token, Secret: secret}
			c := configured(t, robot, "")
			write(t, c.Receivers[0].URLFile, "https://robot.invalid"+robot.Path())
			log := new(syncBuffer)
			r := newRelay(t.Context(), c, prometheus.NewRegistry(), slog.New(slog.NewTextHandler(log, nil)), transport)
			b := &bench{relay: r, log: log}
			w := b.post(t.Context(), "A")
			if w.Code == http.StatusOK || !strings.Contains(log.String(), "reason=") {
				t.Errorf("%d, log: %s", w.Code, log)
			}
			for _, text := range []string{log.String(), w.Body.String()} {
				if strings.Contains(text, token) || strings.Contains(text, secret) || strings.Contains(text, "sign=") {
					t.Errorf("a secret in %q", text)
				}
			}
		})
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// TestNotAnOpenRelay: who may post.
func TestNotAnOpenRelay(t *testing.T) {
	robot := &relaytest.Robot{Type: WeCom, Token: token}
	c := configured(t, robot, "")
	open := newBench(t.Context(), c, robot)
	withToken := *c
	withToken.TokenFile = filepath.Join(t.TempDir(), "token")
	write(t, withToken.TokenFile, "abc")
	closed := newBench(t.Context(), &withToken, robot)
	body := `{"version":"4","alerts":[{"status":"firing"}]}`
	for _, c := range []struct {
		bench                               *bench
		method, url, content, authorization string
		body                                string
		want                                int
	}{
		{open, "POST", "http://127.0.0.1:10070/alertmanager/ops", "application/json", "", body, 200},
		{open, "POST", "http://localhost:10070/alertmanager/ops", "application/json; charset=utf-8", "", body, 200},
		{open, "POST", "http://rebound.example.com/alertmanager/ops", "application/json", "", body, 403},
		{open, "POST", "http://127.0.0.1:10070/alertmanager/ops", "text/plain", "", body, 415},
		{open, "POST", "http://127.0.0.1:10070/alertmanager/other", "application/json", "", body, 404},
		{open, "GET", "http://127.0.0.1:10070/alertmanager/ops", "", "", "", 405},
		{open, "POST", "http://127.0.0.1:10070/alertmanager/ops", "application/json", "", `{"version":"3","alerts":[{}]}`, 400},
		{open, "POST", "http://127.0.0.1:10070/alertmanager/ops", "application/json", "", `{"version":"4"}`, 400},
		{open, "POST", "http://127.0.0.1:10070/alertmanager/ops", "application/json", "", strings.Repeat(" ", maxBody+1), 413},
		{closed, "POST", "http://relay:10070/alertmanager/ops", "application/json", "Bearer abc", body, 200},
		{closed, "POST", "http://relay:10070/alertmanager/ops", "application/json", "", body, 401},
		{closed, "POST", "http://127.0.0.1:10070/alertmanager/ops", "application/json", "Bearer ab", body, 401},
		{closed, "GET", "http://relay:10070/test-alert/x", "", "", "", 401},
	} {
		req := httptest.NewRequestWithContext(t.Context(), c.method, c.url, strings.NewReader(c.body))
		req.Header.Set("Content-Type", c.content)
		req.Header.Set("Authorization", c.authorization)
		w := httptest.NewRecorder()
		c.bench.relay.ServeHTTP(w, req)
		if w.Code != c.want {
			t.Errorf("%s %s %q: %d %s, expected %d", c.method, c.url, c.authorization, w.Code, w.Body, c.want)
		}
	}
}

func TestResultsOfATest(t *testing.T) {
	robot := &relaytest.Robot{Type: DingTalk, Token: token, Secret: "SEC-another"}
	c := configured(t, robot, "")
	write(t, c.Receivers[0].SecretFile, secret)
	b := newBench(t.Context(), c, robot)
	body := `{"version":"4","alerts":[{"status":"firing","labels":{"alertname":"RainbondTestAlert","rainbond_test":"abc"}}]}`
	for range 3 {
		b.send(t.Context(), []byte(body))
	}
	req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://127.0.0.1:10070/test-alert/abc", http.NoBody)
	w := httptest.NewRecorder()
	b.relay.ServeHTTP(w, req)
	var results []TestResult
	if err := json.Unmarshal(w.Body.Bytes(), &results); err != nil || len(results) != 1 {
		t.Fatalf("%v %s", err, w.Body)
	}
	if r := results[0]; r.Delivered() || r.Code != 310000 || r.Reason != "code 310000: sign not match" || r.Receiver != "ops" || r.Type != DingTalk {
		t.Errorf("%+v", r)
	}
}

func TestMetricsFromTheStart(t *testing.T) {
	robot := &relaytest.Robot{Type: WeCom, Token: token}
	b := newBench(t.Context(), configured(t, robot, ""), robot)
	if n, err := testutil.GatherAndCount(b.registry); n != len(outcomes)+4 || err != nil {
		t.Errorf("%d series, %v", n, err)
	}
	if problems, err := testutil.GatherAndLint(b.registry); len(problems) > 0 || err != nil {
		t.Error(problems, err)
	}
}
