package relay

import (
	"context"
	"crypto/subtle"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"mime"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// maxBody is the maximum size of a notification in bytes.
const maxBody = 4 << 20

// Relay serves POST /alertmanager/NAME for each receiver, and GET /test-alert/ID.
type Relay struct {
	mux       *http.ServeMux
	log       *slog.Logger
	tokenFile string
	queues    map[string]*queue

	mu    sync.Mutex
	tests map[string][]TestResult // by the value of TestLabel
	order []string                // the keys of tests, the oldest first
}

// A TestResult is what became of a test alert at one receiver.
type TestResult struct {
	Receiver string    `json:"receiver"`
	Type     string    `json:"type"`
	Outcome  string    `json:"outcome"`
	Code     int       `json:"code,omitempty"` // of the vendor
	Reason   string    `json:"reason,omitempty"`
	Time     time.Time `json:"time"`
}

// Delivered reports whether the robot has accepted the message.
func (r TestResult) Delivered() bool { return r.Outcome == delivered }

// maxTests is the number of tests that a relay remembers.
const maxTests = 32

// New returns a relay that exports its metrics to registry, and sends until ctx
// ends.
func New(ctx context.Context, c *Config, registry prometheus.Registerer, log *slog.Logger) *Relay {
	return newRelay(ctx, c, registry, log, &http.Transport{
		Proxy: http.ProxyFromEnvironment, TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout: postTimeout, IdleConnTimeout: time.Minute, ForceAttemptHTTP2: true,
	})
}

func newRelay(ctx context.Context, c *Config, registry prometheus.Registerer, log *slog.Logger, transport http.RoundTripper) *Relay {
	r := &Relay{mux: http.NewServeMux(), log: log, tokenFile: c.TokenFile, queues: map[string]*queue{}, tests: map[string][]TestResult{}}
	client := &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	metrics := newMetrics(registry, c)
	paces := map[string]*pace{} // by URL
	for i := range c.Receivers {
		receiver := &c.Receivers[i]
		key := receiver.Name
		if u, err := receiver.url(); err == nil {
			key = u.String()
		}
		if paces[key] == nil {
			paces[key] = newPace()
		}
		q := &queue{receiver: receiver, client: client, pace: paces[key], metrics: metrics, log: log.With("receiver", receiver.Name), wake: make(chan struct{}, 1)}
		r.queues[receiver.Name] = q
		go q.run(ctx)
	}
	r.mux.HandleFunc("POST /alertmanager/{receiver}", r.receive)
	r.mux.HandleFunc("GET /test-alert/{id}", r.testResults)
	return r
}

// ServeHTTP serves requests with the token, or without one on loopback.
func (r *Relay) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if status, text := r.authorize(req); status != 0 {
		http.Error(w, text, status)
		return
	}
	r.mux.ServeHTTP(w, req)
}

// authorize returns 0, or the status and the text of a refusal. The host and the
// content type keep web pages from sending messages through a browser on this
// machine.
func (r *Relay) authorize(req *http.Request) (int, string) {
	if r.tokenFile == "" {
		host, _, err := net.SplitHostPort(req.Host)
		if err != nil {
			host = req.Host
		}
		if !isLoopback(host) {
			return http.StatusForbidden, "expected a request to 127.0.0.1 or localhost; for other addresses, the relay needs token_file"
		}
	} else {
		token, err := readSecret(r.tokenFile, expectedToken)
		if err != nil {
			r.log.Error("the token cannot be read", "field", "token_file", "err", err)
			return http.StatusServiceUnavailable, "the relay cannot read its token"
		}
		if subtle.ConstantTimeCompare([]byte(req.Header.Get("Authorization")), []byte("Bearer "+token)) != 1 {
			return http.StatusUnauthorized, "expected the header Authorization: Bearer TOKEN, with the token of the relay's token_file"
		}
	}
	if kind, _, _ := mime.ParseMediaType(req.Header.Get("Content-Type")); req.Method == http.MethodPost && kind != "application/json" {
		return http.StatusUnsupportedMediaType, "expected the content type application/json"
	}
	return 0, ""
}

// receive serves POST /alertmanager/NAME. It responds when the message has been
// delivered or has failed, so that a restart loses nothing: Alertmanager sends a
// notification again that was not delivered. It repeats a 5xx at once, and others
// after its group_interval.
func (r *Relay) receive(w http.ResponseWriter, req *http.Request) {
	q := r.queues[req.PathValue("receiver")]
	if q == nil {
		http.Error(w, "no such receiver in relay.yaml", http.StatusNotFound)
		return
	}
	var n notification
	err := json.NewDecoder(http.MaxBytesReader(w, req.Body, maxBody)).Decode(&n)
	if tooLarge, ok := errors.AsType[*http.MaxBytesError](err); ok {
		http.Error(w, fmt.Sprintf("expected at most %d bytes", tooLarge.Limit), http.StatusRequestEntityTooLarge)
		return
	}
	if err != nil || n.Version != "4" || len(n.Alerts) == 0 {
		http.Error(w, "expected a notification of Alertmanager: JSON, version 4, with alerts", http.StatusBadRequest)
		return
	}
	verdict := q.deliver(req.Context(), n)
	r.remember(q.receiver, n, verdict)
	if verdict.outcome == delivered {
		fmt.Fprintln(w, verdict.outcome)
		return
	}
	status := http.StatusServiceUnavailable
	if verdict.outcome == rejected {
		status = http.StatusUnprocessableEntity
	}
	http.Error(w, fmt.Sprintf("%s: %s", verdict.outcome, verdict.reason), status)
}

// remember keeps the result of a test alert for GET /test-alert/ID.
func (r *Relay) remember(receiver *Receiver, n notification, verdict result) {
	for _, a := range n.Alerts {
		id := a.Labels[TestLabel]
		if id == "" || a.resolved() {
			continue
		}
		r.mu.Lock()
		if _, known := r.tests[id]; !known {
			r.order = append(r.order, id)
		}
		others := slices.DeleteFunc(r.tests[id], func(t TestResult) bool { return t.Receiver == receiver.Name })
		r.tests[id] = append(others, TestResult{receiver.Name, receiver.Type, verdict.outcome, verdict.code, verdict.reason, time.Now()})
		if len(r.order) > maxTests {
			delete(r.tests, r.order[0])
			r.order = r.order[1:]
		}
		r.mu.Unlock()
	}
}

// testResults serves GET /test-alert/ID: what became of a test alert, [] before it
// has arrived.
func (r *Relay) testResults(w http.ResponseWriter, req *http.Request) {
	r.mu.Lock()
	results := append([]TestResult{}, r.tests[req.PathValue("id")]...)
	r.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(results)
}
