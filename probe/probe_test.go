package probe

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rainbond-exporter/rainbond-exporter/demo/pki"
	"github.com/rainbond-exporter/rainbond-exporter/fault"
)

var generations = sync.OnceValues(func() ([2]pki.Generation, error) {
	old, err1 := pki.New(2048, net.IPv4(127, 0, 0, 1))
	now, err2 := pki.New(2048, net.IPv4(127, 0, 0, 1))
	return [2]pki.Generation{old, now}, errors.Join(err1, err2)
})

func twoGenerations(t testing.TB) (before, now pki.Generation) {
	t.Helper()
	both, err := generations()
	if err != nil {
		t.Fatal(err)
	}
	return both[0], both[1]
}

// serveAPI starts a region API with rbd-api's TLS settings, which adapt may
// change. It returns its address and a function that returns its log.
func serveAPI(t testing.TB, g pki.Generation, handler http.Handler, adapt func(*tls.Config)) (address string, logged func() string) {
	t.Helper()
	return serveAPIAt(t, "127.0.0.1:0", g, handler, adapt)
}

func serveAPIAt(t testing.TB, at string, g pki.Generation, handler http.Handler, adapt func(*tls.Config)) (address string, logged func() string) {
	t.Helper()
	listener, err := net.Listen("tcp", at)
	if err != nil {
		t.Skipf("this machine has no %s: %v", at, err)
	}
	pair, err := tls.X509KeyPair(g.Server, g.ServerKey)
	if err != nil {
		t.Fatal(err)
	}
	clients := x509.NewCertPool()
	clients.AppendCertsFromPEM(g.CA)
	var text lockedText
	server := httptest.NewUnstartedServer(handler)
	_ = server.Listener.Close()
	server.Listener = listener
	server.Config.ErrorLog = log.New(&text, "", log.LstdFlags)
	server.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, ClientCAs: clients, ClientAuth: tls.RequireAndVerifyClientCert}
	if adapt != nil {
		adapt(server.TLS)
	}
	server.StartTLS()
	t.Cleanup(server.Close)
	return server.Listener.Addr().String(), text.String
}

type lockedText struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lockedText) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lockedText) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// v69 responds as rbd-api v6.9 does.
func v69(show http.HandlerFunc, ready int) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v2/show", show)
	mux.HandleFunc("GET /v2/cluster/ready", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(ready)
		if ready == http.StatusOK {
			fmt.Fprint(w, `{"bean":{"ready":true,"checks":{"k8s_api":"ok","region_cert":"ok","moon":"full"}}}`)
		}
	})
	return mux
}

func version(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "v6.9.8-release") }

func regionAt(address string, g pki.Generation) fault.Region {
	return fault.Region{Name: "rainbond", URL: "https://" + address, CA: g.CA, Cert: g.Client, Key: g.ClientKey, Place: fault.Console}
}

// testLimits are shorter than the console's.
var testLimits = limits{lookup: time.Second, connect: time.Second, response: 300 * time.Millisecond}

func newProber() *Prober { return &Prober{limits: testLimits} }

// probe sends one request with its full limits. It returns the trace and its
// result: "success", "unknown", or the phase and the reason.
func probe(t testing.TB, p *Prober, r fault.Region) (fault.Trace, string) {
	t.Helper()
	return probeWithin(t, p, r, 4*time.Second)
}

func probeWithin(t testing.TB, p *Prober, r fault.Region, timeout time.Duration) (fault.Trace, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	trace := p.Probe(ctx, r)
	return trace, result(trace)
}

func result(trace fault.Trace) string {
	failure, failed := fault.FromTrace(trace)
	switch {
	case trace.Unknown != nil:
		return "unknown"
	case !failed:
		return "success"
	}
	return string(failure.Phase) + "/" + string(failure.Reason)
}

func TestHealthyRegion(t *testing.T) {
	_, g := twoGenerations(t)
	address, logged := serveAPI(t, g, v69(version, http.StatusOK), nil)
	trace, got := probe(t, newProber(), regionAt(address, g))
	if got != "success" || trace.Status != 200 || string(trace.Body) != "v6.9.8-release" || trace.Address != address {
		t.Errorf("%s: %+v", got, trace)
	}
	if fmt.Sprint(trace.Ready) != "map[all:true k8s_api:true region_cert:true]" {
		t.Errorf("ready: %v", trace.Ready)
	}
	for _, phase := range fault.Phases {
		if _, ran := trace.Durations[phase]; ran == (phase == fault.Resolve) {
			t.Errorf("phase %s: ran %v; an an address is not resolved, and all other phases run", phase, ran)
		}
	}
	if text := logged(); text != "" {
		t.Errorf("the probe caused log lines: %s", text)
	}
}

func TestProbeReasons(t *testing.T) {
	old, g := twoGenerations(t)
	otherName := func(r fault.Region) fault.Region { r.ServerName = "rbd-api-other"; return r }
	expired, err := pki.NewValid(2048, time.Now().Add(-48*time.Hour), time.Now().Add(-24*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	healthy := v69(version, http.StatusOK)
	status := func(code int) http.Handler {
		return v69(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }, http.StatusOK)
	}
	server := func(g pki.Generation, h http.Handler, adapt func(*tls.Config)) string {
		address, _ := serveAPI(t, g, h, adapt)
		return address
	}
	tls12 := func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 }
	withoutKey := regionAt("127.0.0.1:1", g)
	withoutKey.Key = nil
	for _, row := range []struct {
		name   string
		region fault.Region
		want   string
	}{
		{"refused", regionAt(closedPort(t), g), "connect/refused"},
		{"dropped", regionAt(fullPort(t), g), "connect/dropped"},
		{"no route", regionAt("224.0.0.1:8443", g), "connect/unreachable"}, // the kernel has no TCP route to multicast
		{"reset", regionAt(listener(t, func(c *net.TCPConn) { readHello(c); _ = c.SetLinger(0) }), g), "tls/reset"},
		{"accepted, then closed", regionAt(listener(t, readHello), g), "tls/closed"},
		{"accepted, then no response", regionAt(listener(t, func(*net.TCPConn) { <-t.Context().Done() }), g), "tls/timeout"},
		{"plain HTTP", regionAt(plainHTTP(t), g), "tls/plain_http"},
		{"TLS 1.1 at most", regionAt(server(g, healthy, func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS11 }), g), "tls/old_tls"},
		{"the console's CA is stale", fault.Region{Name: "r", URL: "https://" + server(g, healthy, nil), CA: old.CA, Cert: g.Client, Key: g.ClientKey}, "success"},
		{"another name is wanted", otherName(regionAt(server(g, healthy, nil), g)), "tls/server_wrong_name"},
		{"the region's certificate has expired", regionAt(server(expired, healthy, func(c *tls.Config) { c.ClientAuth = tls.RequireAnyClientCert }), expired), "tls/server_expired"},
		{"a stale client under TLS 1.3", fault.Region{Name: "r", URL: "https://" + server(g, healthy, nil), CA: g.CA, Cert: old.Client, Key: old.ClientKey}, "tls/client_refused"},
		{"a stale client under TLS 1.2", fault.Region{Name: "r", URL: "https://" + server(g, healthy, tls12), CA: g.CA, Cert: old.Client, Key: old.ClientKey}, "tls/client_refused"},
		{"all of the console's copy is stale", regionAt(server(g, healthy, nil), old), "tls/client_refused"},
		{"a proxy that requests no client certificate", fault.Region{Name: "r", URL: "https://" + server(old, healthy, func(c *tls.Config) { c.ClientAuth = tls.NoClientCert }), CA: g.CA, Cert: g.Client, Key: g.ClientKey}, "tls/client_not_asked"},
		{"rbd-api without its client CA", regionAt(server(g, healthy, func(c *tls.Config) { c.ClientAuth = tls.NoClientCert }), g), "tls/client_not_asked"},
		{"no key", withoutKey, "tls/client_unreadable"},
		{"key of another", fault.Region{Name: "r", URL: "https://127.0.0.1:1", CA: g.CA, Cert: g.Client, Key: old.ClientKey}, "tls/client_unreadable"},
		{"CA is a private key", fault.Region{Name: "r", URL: "https://127.0.0.1:1", CA: g.ServerKey, Cert: g.Client, Key: g.ClientKey}, "tls/client_unreadable"},
		{"503", regionAt(server(g, status(503), nil), g), "processing/status"},
		{"401", regionAt(server(g, status(401), nil), g), "processing/token_refused"},
		{"403", regionAt(server(g, status(403), nil), g), "processing/token_refused"},
		{"a redirect is not followed", regionAt(server(g, v69(func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/v2/health", http.StatusFound) }, 200), nil), g), "processing/status"},
		{"another page", regionAt(server(g, v69(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>") }, 200), nil), g), "transfer/wrong_body"},
		{"an endless page", regionAt(server(g, v69(endless, 200), nil), g), "transfer/wrong_body"},
		{"one byte at a time", regionAt(server(g, v69(drip, 200), nil), g), "transfer/timeout"},
		{"no response", regionAt(server(g, v69(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, 200), nil), g), "processing/timeout"},
		{"closed without a response", regionAt(server(g, v69(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, 200), nil), g), "processing/closed"},
		{"not ready", regionAt(server(g, v69(version, 503), nil), g), "processing/not_ready"},
		{"older than v6.9.2", regionAt(server(g, v69(version, 404), nil), g), "success"},
		{"a build without a version", regionAt(server(g, v69(func(http.ResponseWriter, *http.Request) {}, 200), nil), g), "success"},
		{"malformed URL", fault.Region{Name: "r", URL: "https://u:s3cret@[::1", CA: g.CA, Cert: g.Client, Key: g.ClientKey}, "resolve/url_malformed"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			trace, got := probe(t, newProber(), row.region)
			if got != row.want {
				t.Errorf("got %s (%v, %v, status %d), want %s", got, trace.Err, trace.Distrust, trace.Status, row.want)
			}
			if text := fmt.Sprintf("%+v", trace); strings.Contains(text, "s3cret") || strings.Contains(text, "-----BEGIN") {
				t.Errorf("the trace contains a secret: %s", text)
			}
		})
	}
}

// A middlebox must treat our first packet as the console's.
func TestClientHelloAsTheConsoleSends(t *testing.T) {
	_, g := twoGenerations(t)
	hello := make(chan string, 1)
	address, _ := serveAPI(t, g, v69(version, http.StatusOK), func(c *tls.Config) {
		c.GetConfigForClient = func(h *tls.ClientHelloInfo) (*tls.Config, error) {
			hello <- fmt.Sprint(h.ServerName, h.SupportedProtos, h.SupportedCurves, h.SupportedVersions)
			return nil, nil
		}
	})
	probe(t, newProber(), regionAt(address, g))
	want := fmt.Sprint("rbd-api-api", []string{"http/1.1"}, []tls.CurveID{tls.X25519, tls.CurveP256, tls.CurveP384, tls.CurveP521}, []uint16{tls.VersionTLS13, tls.VersionTLS12})
	if got := <-hello; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestServedCertificateAfterAFailedHandshake(t *testing.T) {
	old, g := twoGenerations(t)
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		address, _ := serveAPI(t, g, v69(func(http.ResponseWriter, *http.Request) {}, 200), func(c *tls.Config) { c.MaxVersion = version })
		trace, _ := probe(t, newProber(), regionAt(address, old))
		if len(trace.Served) != 1 || fault.ReadServed(trace.Served[0]).Fingerprint() != fault.ReadCopy(fault.Copy{PEM: g.Server}).Fingerprint() {
			t.Errorf("%s: %d certificates served", tls.VersionName(version), len(trace.Served))
		}
	}
}

func TestTokenIsSentToTheRegionOnly(t *testing.T) {
	old, g := twoGenerations(t)
	var got []string
	var mu sync.Mutex
	api := v69(func(_ http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		got = append(got, r.Header.Get("Authorization"))
	}, 200)
	address, _ := serveAPI(t, g, api, nil)
	trusted := regionAt(address, g)
	trusted.Token = fault.Secret("t0ken")
	stranger := trusted
	stranger.CA = old.CA
	p := newProber()
	probe(t, p, trusted)
	probe(t, p, stranger)
	if fmt.Sprintf("%q", got) != `["t0ken" ""]` {
		t.Errorf("tokens sent: %q", got)
	}
}

func TestChangedCopyIsUsedAtOnce(t *testing.T) {
	old, g := twoGenerations(t)
	address, _ := serveAPI(t, g, v69(version, 200), nil)
	p := newProber()
	for _, row := range []struct {
		copied pki.Generation
		want   string
	}{{g, "success"}, {old, "tls/client_refused"}, {g, "success"}} {
		if trace, got := probe(t, p, regionAt(address, row.copied)); got != row.want {
			t.Errorf("got %s (%v), want %s", got, trace.Err, row.want)
		}
	}
}

// During a rotation, the console's CA may be a bundle of both.
func TestEveryAuthorityOfTheCABundleIsTrusted(t *testing.T) {
	before, now := twoGenerations(t)
	address, _ := serveAPI(t, now, v69(version, http.StatusNotFound), nil)
	r := regionAt(address, now)
	for _, row := range []struct {
		ca   [][]byte
		want string
	}{
		{[][]byte{before.CA, now.CA}, "success"},
		{[][]byte{now.CA, before.CA}, "success"},
		{[][]byte{before.CA}, "distrust"},
	} {
		r.CA = bytes.Join(row.ca, []byte("and then\n"))
		trace, got := probe(t, newProber(), r)
		if trace.Distrust != nil {
			got = "distrust"
		}
		if got != row.want {
			t.Errorf("%d authorities: %s, want %s", len(row.ca), got, row.want)
		}
	}
}

func BenchmarkProbe(b *testing.B) {
	_, g := twoGenerations(b)
	address, _ := serveAPI(b, g, v69(version, http.StatusNotFound), nil)
	p, r := newProber(), regionAt(address, g)
	for b.Loop() {
		if _, got := probe(b, p, r); got != "success" {
			b.Fatal(got)
		}
	}
}

func closedPort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// fullPort listens with a full queue, so that the kernel drops connection
// attempts as a firewall does.
func fullPort(t *testing.T) string {
	t.Helper()
	return fullPortAt(t, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}})
}

func fullPortAt(t *testing.T, at *syscall.SockaddrInet4) string {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Close(fd) })
	if err := errors.Join(syscall.Bind(fd, at), syscall.Listen(fd, 0)); err != nil {
		t.Fatal(err)
	}
	name, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	full := name.(*syscall.SockaddrInet4)
	address := net.JoinHostPort(net.IP(full.Addr[:]).String(), strconv.Itoa(full.Port))
	for range 16 { // until an attempt is dropped
		conn, err := net.DialTimeout("tcp", address, 100*time.Millisecond)
		if err != nil {
			return address
		}
		t.Cleanup(func() { _ = conn.Close() })
	}
	t.Fatal("the queue does not fill up")
	return ""
}

// listener accepts connections, calls handle with each, and closes it.
func listener(t *testing.T, handle func(*net.TCPConn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				handle(conn.(*net.TCPConn))
				_ = conn.Close()
			}()
		}
	}()
	return l.Addr().String()
}

// readHello reads the client's first packet, so that closing sends FIN instead of
// RST.
func readHello(c *net.TCPConn) { _, _ = c.Read(make([]byte, 4096)) }

func plainHTTP(t *testing.T) string {
	t.Helper()
	server := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

func endless(w http.ResponseWriter, _ *http.Request) {
	for {
		if _, err := io.WriteString(w, strings.Repeat("x", 1<<16)); err != nil {
			return
		}
	}
}

func drip(w http.ResponseWriter, r *http.Request) {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			_, _ = io.WriteString(w, "v")
			_ = http.NewResponseController(w).Flush()
		case <-r.Context().Done():
			return
		}
	}
}

func TestCredentialsOfARemovedRegionAreForgotten(t *testing.T) {
	_, g := twoGenerations(t)
	address, _ := serveAPI(t, g, v69(version, http.StatusOK), nil)
	p := newProber()
	for _, name := range []string{"stays", "removed"} {
		r := regionAt(address, g)
		r.Name = name
		probe(t, p, r)
	}
	p.Keep([]fault.Region{{Name: "stays"}})
	if len(p.identities) != 1 || p.identities["stays"] == nil {
		t.Errorf("credentials of %d regions", len(p.identities))
	}
}
