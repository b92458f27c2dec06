package demo

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.yaml.in/yaml/v3"
	"k8s.io/client-go/tools/clientcmd"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start starts a demo with keys that are fast to generate.
func start(t *testing.T, scenario string) *Demo {
	t.Helper()
	d, err := Start(t.Context(), Options{Scenario: scenario, Bits: 2048})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	return d
}

func set(t *testing.T, d *Demo, scenario string) {
	t.Helper()
	if err := d.Set(scenario); err != nil {
		t.Fatal(err)
	}
}

// consoleCopy contains what the demo's files contain about the region.
type consoleCopy struct {
	resolver      *net.Resolver
	url           string
	ca, cert, key []byte // nil: no such file
}

func readConsole(t *testing.T, d *Demo) consoleCopy {
	t.Helper()
	text, err := os.ReadFile(d.ConfigFile())
	if err != nil {
		t.Fatal(err)
	}
	var config struct {
		Regions []struct {
			Name string `yaml:"name"`
			URL  string `yaml:"url"`
			CA   string `yaml:"ca_file"`
			Cert string `yaml:"cert_file"`
			Key  string `yaml:"key_file"`
		} `yaml:"regions"`
		Console map[string]string `yaml:"console"`
	}
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)
	if err := decoder.Decode(&config); err != nil {
		t.Fatalf("the configuration file: %v\n%s", err, text)
	}
	if len(config.Regions) == 0 || config.Regions[0].Name != "rainbond" {
		t.Fatalf("expected first the region named rainbond:\n%s", text)
	}
	r := config.Regions[0]
	read := func(name string) []byte {
		text, err := os.ReadFile(filepath.Join(filepath.Dir(d.ConfigFile()), name))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
		return text
	}
	return consoleCopy{resolver: d.Resolver(), url: r.URL, ca: read(r.CA), cert: read(r.Cert), key: read(r.Key)}
}

// generous is longer than any response takes, also on a loaded machine.
const generous = 30 * time.Second

// get requests the path as a console that verifies certificates, and returns
// status and body, or the error.
func (c consoleCopy) get(t *testing.T, path string, timeout time.Duration) string {
	t.Helper()
	pair, err := tls.X509KeyPair(c.cert, c.key)
	if err != nil {
		return "client certificate cannot be used"
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(c.ca) {
		return "CA cannot be used"
	}
	transport := &http.Transport{DisableKeepAlives: true, DialContext: (&net.Dialer{Resolver: c.resolver}).DialContext, TLSClientConfig: &tls.Config{
		RootCAs: roots, ServerName: "rbd-api-api",
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil },
	}}
	client := http.Client{Transport: transport, Timeout: timeout}
	response, err := client.Get(c.url + path)
	if err != nil {
		return errorText(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return errorText(err)
	}
	return fmt.Sprintf("%d %s", response.StatusCode, body)
}

// errorText returns the part of an error that is the same in every run.
func errorText(err error) string {
	for _, words := range []string{
		"no such host", "connection refused", "connection reset by peer", "network is unreachable",
		"server gave HTTP response to HTTPS client", "protocol version not supported",
		"certificate signed by unknown authority", "certificate has expired", "unknown certificate authority",
		"certificate is valid for kubernetes.default.svc",
	} {
		if strings.Contains(err.Error(), words) {
			return words
		}
	}
	if timeout := net.Error(nil); errors.As(err, &timeout) && timeout.Timeout() {
		return "timeout"
	}
	if errors.Is(err, io.EOF) {
		return "EOF"
	}
	return err.Error()
}

func TestConsoleGetsTheScenariosResponse(t *testing.T) {
	const healthy = "200 v6.9.8-release"
	want := map[string]string{
		"api-name-unknown":        "no such host",
		"api-name-silent":         "timeout",
		"api-dropped":             "timeout",
		"api-no-route":            "network is unreachable",
		"api-address-moved":       "network is unreachable",
		"api-refused-pod-ready":   "connection refused",
		"api-reset":               "connection reset by peer",
		"api-pod-down":            "connection refused",
		"component-database":      "connection refused",
		"api-gateway-only":        "EOF",
		"api-5xx":                 `503 {"error":"部分服务不可用"}`,
		"api-504":                 "timeout", // the API responds after 5 s
		"api-wrong-body":          "200 <!DOCTYPE html>\n<html><head><title>Welcome to nginx!</title></head><body><h1>Welcome to nginx!</h1></body></html>\n",
		"api-plain-http":          "server gave HTTP response to HTTPS client",
		"api-old-tls":             "protocol version not supported",
		"api-tls-proxy":           "certificate signed by unknown authority",
		"api-wrong-peer":          "certificate is valid for kubernetes.default.svc",
		"api-url-path":            "404 404 page not found\n",
		"two-regions":             "connection refused",
		"cert-client-stale-tls13": "unknown certificate authority",
		"cert-client-stale-tls12": "unknown certificate authority",
		"cert-ca-stale":           "certificate signed by unknown authority",
		"cert-rotated-broken":     "certificate signed by unknown authority",
		"cert-leading-space":      "CA cannot be used",
		"cert-newlines-lost":      "client certificate cannot be used",
		"cert-key-mismatch":       "client certificate cannot be used",
		"cert-empty":              "client certificate cannot be used",
		"cert-path-missing":       "CA cannot be used",
		"cert-secret-gone":        "EOF",
		"cert-expired":            "certificate has expired",
		"component-mount":         "EOF",
		"component-node-down":     "EOF",
		"disk-takes-api":          "EOF",
	}
	d := start(t, "healthy")
	for _, s := range Scenarios {
		t.Run(s.Name, func(t *testing.T) {
			set(t, d, s.Name)
			expected, broken := want[s.Name]
			if !broken {
				expected = healthy
			}
			timeout := generous
			if expected == "timeout" {
				timeout = 300 * time.Millisecond
			}
			if got := readConsole(t, d).get(t, "/v2/show", timeout); got != expected {
				t.Errorf("got  %s\nwant %s", got, expected)
			}
			set(t, d, "healthy")
			if got := readConsole(t, d).get(t, "/v2/show", generous); got != healthy {
				t.Errorf("repaired: got %s", got)
			}
		})
	}
}

func TestRegionAPIRespondsLikeTheRealOne(t *testing.T) {
	d := start(t, "healthy")
	paths := map[string]string{
		"/v2/show":          "200 v6.9.8-release",
		"/v2/health":        `200 {"bean":{"info":"api service health","status":"health"}}`,
		"/v2/cluster/ready": `200 {"bean":{"ready":true,"checks":{"k8s_api":"ok","region_cert":"ok"}}}`,
		"/apidocs":          "404 404 page not found\n",
	}
	for path, want := range paths {
		if got := readConsole(t, d).get(t, path, generous); got != want {
			t.Errorf("%s: got %q, want %q", path, got, want)
		}
	}
	set(t, d, "api-not-ready")
	const want = `503 {"msg":"region is not ready; some dependencies are unavailable"}`
	if got := readConsole(t, d).get(t, "/v2/cluster/ready", generous); got != want {
		t.Errorf("not ready: got %q, want %q", got, want)
	}
}

func TestListenerIsConfiguredLikeRbdAPI(t *testing.T) {
	d := start(t, "healthy")
	c := readConsole(t, d)
	for _, test := range []struct{ scenario, want string }{
		{"healthy", "TLS 1.3 h2"},
		{"cert-client-stale-tls12", "TLS 1.2 h2"},
	} {
		set(t, d, test.scenario)
		// Without verification: the test is about what the listener offers.
		pair, err := tls.X509KeyPair(c.cert, c.key)
		if err != nil {
			t.Fatal(err)
		}
		conn, err := tls.Dial("tcp", d.listener.port.address(), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}, Certificates: []tls.Certificate{pair}})
		if err != nil {
			t.Fatal(err)
		}
		state := conn.ConnectionState()
		if got := tls.VersionName(state.Version) + " " + state.NegotiatedProtocol; got != test.want || len(state.PeerCertificates) != 1 {
			t.Errorf("%s: got %s and %d certificates, want %s and the leaf alone", test.scenario, got, len(state.PeerCertificates), test.want)
		}
		_ = conn.Close()
	}
}

func TestSlowAPIExceedsTheConsolesTimeout(t *testing.T) {
	d := start(t, "api-slow")
	begin := time.Now()
	readConsole(t, d).get(t, "/v2/show", generous)
	if took := time.Since(begin); took < time.Second {
		t.Errorf("took %s, want above 1 s", took)
	}
}

func TestOnlyTheOwnerCanReadTheFiles(t *testing.T) {
	d := start(t, "cert-ca-stale")
	folder := filepath.Dir(d.ConfigFile())
	if info, err := os.Stat(folder); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("folder: %v %v", info.Mode(), err)
	}
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, fmt.Sprintf("%s %s", info.Mode(), e.Name()))
	}
	want := []string{"-rw------- ca.pem", "-rw------- client.key.pem", "-rw------- client.pem", "-rw------- kubeconfig", "-rw------- rainbond-exporter.yaml"}
	if !slices.Equal(names, want) {
		t.Errorf("got %q, want %q", names, want)
	}
}

func TestKubeconfigNamesTheCluster(t *testing.T) {
	d := start(t, "healthy")
	config, err := clientcmd.LoadFromFile(d.Kubeconfig())
	if err != nil {
		t.Fatal(err)
	}
	if err := clientcmd.Validate(*config); err != nil {
		t.Error(err)
	}
	if got, want := config.Clusters[config.Contexts[config.CurrentContext].Cluster].Server, d.kube.port.url("http"); got != want {
		t.Errorf("leads to %s, want %s", got, want)
	}
}

func TestUnknownScenarioErrorListsScenarios(t *testing.T) {
	_, err := Start(t.Context(), Options{Scenario: "cert-rotten"})
	if unknown := UnknownScenarioError(""); !errors.As(err, &unknown) {
		t.Fatalf("got %v, want an UnknownScenarioError", err)
	}
	if got := err.Error(); !strings.HasPrefix(got, `unknown scenario "cert-rotten"; expected one of healthy, api-name-unknown, `) || !strings.HasSuffix(got, ", watch-kube-down, or several joined by +") {
		t.Error(got)
	}
	d := start(t, "disk-82")
	if err := d.Set("nonsense"); err == nil || d.Scenario().Name != "disk-82" {
		t.Errorf("got %v, and the scenario %s", err, d.Scenario().Name)
	}
}

func TestScenariosCombine(t *testing.T) {
	d := start(t, "disk-82+api-5xx")
	if root, _ := d.Root(t.Context()); root.Free > root.Size/5 {
		t.Errorf("%.0f of %.0f bytes are free", root.Free, root.Size)
	}
	if got := readConsole(t, d).get(t, "/v2/show", generous); !strings.HasPrefix(got, "503 ") {
		t.Errorf("the API answers %s", got)
	}
	if s := d.Scenario(); s.Title["zh"] != "根分区使用率 82%；API 返回 503" || !slices.Equal(s.Alerts, alerts("RainbondNodeDiskFilling", "RainbondRegionAPIDown")) {
		t.Errorf("it is %+v", s)
	}
	for name, want := range map[string]string{
		"disk-82+nonsense":                   `unknown scenario "nonsense"; expected one of `,
		"component-gone+component-rolling":   "",
		"component-unmade+component-pending": "scenario component-unmade+component-pending: these scenarios exclude each other: an earlier scenario removed rbd-worker",
		"api-gateway-only+component-mount":   "scenario api-gateway-only+component-mount: these scenarios exclude each other: an earlier scenario removed the pod of rbd-api",
	} {
		if err := d.Set(name); want == "" && err != nil || want != "" && (err == nil || !strings.HasPrefix(err.Error(), want)) {
			t.Errorf("%s: %v, want %s", name, err, want)
		}
	}
	set(t, d, "api-flapping+disk-82")
	if got := d.Scenario().InTime(); !slices.Equal(got, alerts("RainbondNodeDiskFilling", "RainbondRegionAPIUnstable")) {
		t.Errorf("in time %v", got)
	}
}

func TestRootFileSystemFollowsTheScenario(t *testing.T) {
	d := start(t, "healthy")
	for _, test := range []struct{ scenario, want string }{
		{"healthy", "46.0 % used, 92 % of inodes free, read-only false"},
		{"disk-82", "82.0 % used, 90 % of inodes free, read-only false"},
		{"disk-near", "93.5 % used, 85 % of inodes free, read-only false"},
		{"disk-inodes", "46.0 % used, 3 % of inodes free, read-only false"},
		{"disk-readonly", "46.0 % used, 92 % of inodes free, read-only true"},
	} {
		set(t, d, test.scenario)
		root, err := d.Root(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		got := fmt.Sprintf("%.1f %% used, %.0f %% of inodes free, read-only %t", 100*(1-root.Avail/root.Size), 100*root.FilesFree/root.Files, root.ReadOnly)
		if got != test.want {
			t.Errorf("%s: got %s, want %s", test.scenario, got, test.want)
		}
	}
}

func TestProgressAndSwitchesAreReported(t *testing.T) {
	var progress bytes.Buffer
	var switched []string
	// No other test uses keys of this size, so they are generated here.
	d, err := Start(t.Context(), Options{Bits: 1024, Progress: &progress, Switched: func(s string) { switched = append(switched, s) }})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	set(t, d, "disk-82")
	want := fmt.Sprintf("demo: generating certificates (RSA 1024) …\ndemo: scenario healthy: The region is healthy\ndemo: region API at %s, Kubernetes API at %s, files in %s\ndemo: scenario disk-82: The root file system is 82%% full\n",
		d.listener.port.url("https"), d.kube.port.url("http"), d.console)
	if got := progress.String(); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	if want := []string{"healthy", "disk-82"}; !slices.Equal(switched, want) {
		t.Errorf("switched %q, want %q", switched, want)
	}
}

func TestCloseRemovesEverything(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	d, err := Start(ctx, Options{Scenario: "tls-go-distrusts", Bits: 2048})
	if err != nil {
		t.Fatal(err)
	}
	cancel() // a demo lives until Close
	set(t, d, "tls-client-refused")
	d.Close()
	d.Close()
	if _, err := os.Stat(string(d.console)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the folder: %v", err)
	}
	if err := d.Set("healthy"); err == nil {
		t.Error("Set succeeds after Close")
	}
	for _, p := range []*port{d.listener.port, d.kube.port} {
		if _, err := net.DialTimeout("tcp", p.address(), time.Second); err == nil {
			t.Error("a server still listens on", p.address())
		}
	}
}

func TestEveryScenarioHasTitlesAndAGroup(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range Scenarios {
		if seen[s.Name] {
			t.Errorf("%s exists twice", s.Name)
		}
		seen[s.Name] = true
		if s.Title["zh"] == "" || s.Title["en"] == "" {
			t.Errorf("%s: a title is missing", s.Name)
		}
		if !slices.ContainsFunc(groups, func(g group) bool { return g.slug == s.Slug }) {
			t.Errorf("%s: its slug %s has no group", s.Name, s.Slug)
		}
		if noise := strings.Contains(s.Title["zh"], "不是故障"); noise != strings.Contains(s.Title["en"], "not a fault") || noise != (len(s.InTime()) == 0 && s.Name != Healthy) {
			t.Errorf("%s: a scenario without alerts must be marked as not a fault in both languages", s.Name)
		}
	}
}

func TestConcurrentSwitchesAndReads(t *testing.T) {
	d := start(t, "healthy")
	var wait sync.WaitGroup
	for _, scenario := range []string{"disk-82", "tls-go-distrusts", "watch-kube-down", "cert-rotated-broken"} {
		wait.Go(func() {
			for range 3 {
				if err := d.Set(scenario); err != nil {
					t.Error(err)
				}
				d.Aside("zh")
				if _, err := d.Root(t.Context()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wait.Wait()
	set(t, d, "healthy")
	if got := readConsole(t, d).get(t, "/v2/show", generous); got != "200 v6.9.8-release" {
		t.Errorf("in the end: got %s", got)
	}
}
