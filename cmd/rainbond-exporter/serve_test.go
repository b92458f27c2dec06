package main

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/rainbond-exporter/rainbond-exporter/collector"
	"github.com/rainbond-exporter/rainbond-exporter/demo"
	"github.com/rainbond-exporter/rainbond-exporter/tour"
)

// exporter is a serving exporter.
type exporter struct {
	t    *testing.T
	base string
	logs *lockedBuffer
	stop context.CancelFunc
	done chan int
}

type lockedBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// served runs the command on a free port until the test ends.
func served(t *testing.T, args ...string) *exporter {
	t.Helper()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := free.Addr().String()
	_ = free.Close()
	ctx, stop := context.WithCancel(t.Context())
	e := &exporter{t: t, base: "http://" + address, logs: new(lockedBuffer), stop: stop, done: make(chan int, 1)}
	go func() { e.done <- run(ctx, append(args, "--web.listen-address="+address), io.Discard, e.logs) }()
	t.Cleanup(func() { stop(); <-e.done })
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(2 * time.Minute); ; {
		select {
		case <-tick.C:
			if conn, err := net.Dial("tcp", address); err == nil {
				_ = conn.Close()
				return e
			}
		case status := <-e.done:
			e.done <- status
			t.Fatalf("ended with %d: %s", status, e.logs)
		case <-deadline:
			t.Fatalf("does not serve: %s", e.logs)
		}
	}
}

func (e *exporter) do(method, path string, form url.Values) (int, string) {
	e.t.Helper()
	request, err := http.NewRequestWithContext(e.t.Context(), method, e.base+path, strings.NewReader(form.Encode()))
	if err != nil {
		e.t.Fatal(err)
	}
	if form != nil {
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	response, err := client.Do(request)
	if err != nil {
		e.t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		e.t.Fatal(err)
	}
	return response.StatusCode, string(body)
}

func (e *exporter) get(path string) string {
	e.t.Helper()
	status, body := e.do(http.MethodGet, path, nil)
	if status != http.StatusOK {
		e.t.Fatalf("GET %s: %d %s", path, status, body)
	}
	return body
}

func TestDemoServesEverythingWithoutSecrets(t *testing.T) {
	e := served(t, "demo", "--rsa-bits=2048")
	text := e.get("/metrics")
	if problems, err := promlint.New(strings.NewReader(text)).Lint(); err != nil || len(problems) > 0 {
		t.Errorf("promlint: %v %v", problems, err)
	}
	for _, m := range collector.Catalogue {
		if m.Slug == collector.SlugExporter {
			continue
		}
		if !strings.Contains(text, `rainbond_collector_success{collector="`+m.Slug+`"} 1`) {
			t.Errorf("collector %s did not succeed", m.Slug)
		}
	}
	for _, metric := range []string{"rainbond_exporter_build_info", "rainbond_api_up", "rainbond_node_root_used_ratio", "rainbond_certificate_info"} {
		if !strings.Contains(text, "\n"+metric+"{") {
			t.Errorf("/metrics has no %s", metric)
		}
	}
	if got := e.get("/probe?region=rainbond"); !strings.Contains(got, `rainbond_api_up{rainbond_region="rainbond"} 1`) {
		t.Errorf("/probe: %s", got)
	}
	if status, got := e.do(http.MethodGet, "/probe?region=%22nobody", nil); status != http.StatusNotFound || !strings.Contains(got, `no region "\"nobody"`) {
		t.Errorf("/probe of an unknown region: %d %s", status, got)
	}
	if got := e.get("/sd"); !strings.Contains(got, `"targets":["rainbond"]`) {
		t.Errorf("/sd: %s", got)
	}

	pages := text
	for _, s := range []string{"cert-key-mismatch", "cert-rotated-broken", "cert-leading-space"} {
		if status, body := e.do(http.MethodPost, demo.Path, url.Values{"scenario": {s}}); status != http.StatusSeeOther {
			t.Fatalf("switch to %s: %d %s", s, status, body)
		}
		for _, path := range []string{"/metrics", "/?lang=en", "/?lang=zh", "/api/v1/diagnosis", "/guide?lang=zh", "/probe?region=rainbond"} {
			pages += e.get(path)
		}
	}
	// A repaired region is healthy at once: the demo does not wait until the
	// collectors have forgotten the fault.
	for _, s := range []string{"tls-go-distrusts", "healthy"} {
		if status, body := e.do(http.MethodPost, demo.Path, url.Values{"scenario": {s}}); status != http.StatusSeeOther {
			t.Fatalf("switch to %s: %d %s", s, status, body)
		}
		if fires := strings.Contains(e.get("/api/v1/diagnosis"), `"alert": "RainbondTLSHandshakeErrors"`); fires != (s != "healthy") {
			t.Errorf("%s: RainbondTLSHandshakeErrors fires: %v", s, fires)
		}
	}
	if status, body := e.do(http.MethodPost, tour.TestAlertPath, nil); status != http.StatusSeeOther {
		t.Fatalf("test message: %d %s", status, body)
	}
	if page := e.get("/?lang=en"); !strings.Contains(page, "This demo has no Prometheus, Alertmanager and relay") {
		t.Error("the page does not report which part of the chain is missing")
	}
	if !strings.Contains(pages, "RainbondConsoleCertificateMismatch") || !strings.Contains(pages, "控制台保存的证书") {
		t.Error("the pages do not show what the scenarios break")
	}
	keys := secrets(t, e)
	for _, piece := range keys {
		if at := strings.Index(pages+e.logs.String(), piece); at >= 0 {
			t.Fatal("a page or a log line holds a part of a private key")
		}
	}

	e.stop()
	select {
	case status := <-e.done:
		e.done <- status
		if status != healthy {
			t.Errorf("ended with %d", status)
		}
	case <-time.After(2 * shutdownGrace):
		t.Error("does not end")
	}
}

// secrets are all pieces of 16 characters of the private keys in the demo's
// files, taken every 8 characters.
func secrets(t *testing.T, e *exporter) []string {
	t.Helper()
	folder := regexp.MustCompile(`files in (\S+)`).FindStringSubmatch(e.logs.String())
	if folder == nil {
		t.Fatalf("the demo does not log the folder of its files: %s", e.logs)
	}
	var pieces []string
	err := filepath.WalkDir(folder[1], func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		if !bytes.Contains(text, []byte("PRIVATE KEY")) {
			return err
		}
		for line := range strings.Lines(string(text)) {
			for i := 0; !strings.HasPrefix(line, "-") && i+16 < len(line); i += 8 {
				pieces = append(pieces, line[i:i+16])
			}
		}
		return err
	})
	if err != nil || len(pieces) == 0 {
		t.Fatalf("no private key among the demo's files: %v", err)
	}
	return pieces
}

func TestInvalidConfigurationIsRejected(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "config.yaml")
	write := func(text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const good = "regions:\n  - {name: first, url: 'https://127.0.0.1:1', ca_file: a, cert_file: b, key_file: c}\n"
	write(good)
	e := served(t, "serve", "--role=console", "--config.file="+path)
	write("regions: [\n")
	if status, body := e.do(http.MethodPost, "/-/reload", nil); status != http.StatusInternalServerError || !strings.Contains(body, path+":") {
		t.Errorf("a bad file: %d %s", status, body)
	}
	text := e.get("/metrics")
	for _, want := range []string{`rainbond_api_up{rainbond_region="first"} 0`, "rainbond_exporter_config_last_reload_successful 0", `rainbond_certificate_unreadable{kind="ca",place="console",rainbond_region="first",reason="missing"} 1`} {
		if !strings.Contains(text, want) {
			t.Errorf("/metrics lacks %s", want)
		}
	}
	write(strings.Replace(good, "first", "second", 1))
	if status, body := e.do(http.MethodPost, "/-/reload", nil); status != http.StatusOK {
		t.Errorf("a good file: %d %s", status, body)
	}
	if text := e.get("/metrics"); !strings.Contains(text, `rainbond_api_up{rainbond_region="second"} 0`) || strings.Contains(text, `"first"`) {
		t.Error("the new configuration is not in use")
	}
	if status, _ := e.do(http.MethodGet, "/-/reload", nil); status != http.StatusMethodNotAllowed {
		t.Errorf("GET /-/reload: %d", status)
	}
	for _, path := range []string{"/-/healthy", "/-/ready"} {
		e.get(path)
	}
	// What only the demo has.
	for _, path := range []string{demo.Path, tour.TestAlertPath} {
		if status, _ := e.do(http.MethodPost, path, url.Values{}); status == http.StatusSeeOther || strings.Contains(e.get("/"), strings.TrimPrefix(path, "/")) {
			t.Errorf("serve has %s: %d", path, status)
		}
	}
}
