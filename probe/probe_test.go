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

// serveAPI answers as a region API does, with rbd-api's own TLS settings, which
// adapt may change. It returns its address and what its log holds.
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

// v69 answers as rbd-api v6.9 does.
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

// look probes with a second to spare.
func look(t testing.TB, p *Prober, r fault.Region) (fault.Trace, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	trace := p.Probe(ctx, r)
	failure, failed := fault.FromTrace(trace)
	if !failed {
		return trace, "well"
	}
	return trace, string(failure.Phase) + "/" + string(failure.Reason)
}

func TestAHealthyRegion(t *testing.T) {
	_, g := twoGenerations(t)
	address, logged := serveAPI(t, g, v69(version, http.StatusOK), nil)
	trace, got := look(t, new(Prober), regionAt(address, g))
	if got != "well" || trace.Status != 200 || string(trace.Body) != "v6.9.8-release" || trace.Address != address {
		t.Errorf("%s: %+v", got, trace)
	}
	if fmt.Sprint(trace.Ready) != "map[all:true k8s_api:true region_cert:true]" {
		t.Errorf("ready: %v", trace.Ready)
	}
	for _, phase := range fault.Phases {
		if _, ran := trace.Durations[phase]; ran == (phase == fault.Resolve) {
			t.Errorf("phase %s: ran %v; an address needs no name server, all else ran", phase, ran)
		}
	}
	if text := logged(); text != "" {
		t.Errorf("the probe left in the log: %s", text)
	}
}

func TestEveryTroubleOnTheWayHasItsReason(t *testing.T) {
	old, g := twoGenerations(t)
	otherName := func(r fault.Region) fault.Region { r.ServerName = "rbd-api-other"; return r }
	expired, err := pki.NewValid(2048, time.Now().Add(-48*time.Hour), time.Now().Add(-24*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	well := v69(version, http.StatusOK)
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
		{"no route", regionAt("255.255.255.255:8443", g), "connect/unreachable"}, // the kernel itself refuses TCP to broadcast
		{"reset", regionAt(door(t, func(c *net.TCPConn) { hear(c); _ = c.SetLinger(0) }), g), "tls/reset"},
		{"accepted, then closed", regionAt(door(t, hear), g), "tls/closed"},
		{"accepted, then silent", regionAt(door(t, func(*net.TCPConn) { <-t.Context().Done() }), g), "tls/timeout"},
		{"plain HTTP", regionAt(plainHTTP(t), g), "tls/plain_http"},
		{"TLS 1.1 at most", regionAt(server(g, well, func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS11 }), g), "tls/old_tls"},
		{"the console's CA is stale", fault.Region{Name: "r", URL: "https://" + server(g, well, nil), CA: old.CA, Cert: g.Client, Key: g.ClientKey}, "tls/server_untrusted"},
		{"another name is wanted", otherName(regionAt(server(g, well, nil), g)), "tls/server_wrong_name"},
		{"the region's certificate has expired", regionAt(server(expired, well, func(c *tls.Config) { c.ClientAuth = tls.RequireAnyClientCert }), expired), "tls/server_expired"},
		{"a stale client under TLS 1.3", fault.Region{Name: "r", URL: "https://" + server(g, well, nil), CA: g.CA, Cert: old.Client, Key: old.ClientKey}, "tls/client_refused"},
		{"a stale client under TLS 1.2", fault.Region{Name: "r", URL: "https://" + server(g, well, tls12), CA: g.CA, Cert: old.Client, Key: old.ClientKey}, "tls/client_refused"},
		{"all of the console's copy is stale", regionAt(server(g, well, nil), old), "tls/client_refused"},
		{"a proxy that asks for no client certificate", fault.Region{Name: "r", URL: "https://" + server(old, well, func(c *tls.Config) { c.ClientAuth = tls.NoClientCert }), CA: g.CA, Cert: g.Client, Key: g.ClientKey}, "tls/client_not_asked"},
		{"rbd-api without its client CA", regionAt(server(g, well, func(c *tls.Config) { c.ClientAuth = tls.NoClientCert }), g), "tls/client_not_asked"},
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
		{"no answer", regionAt(server(g, v69(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, 200), nil), g), "processing/timeout"},
		{"closed without an answer", regionAt(server(g, v69(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, 200), nil), g), "processing/closed"},
		{"not ready", regionAt(server(g, v69(version, 503), nil), g), "processing/not_ready"},
		{"older than v6.9.2", regionAt(server(g, v69(version, 404), nil), g), "well"},
		{"a build without a version", regionAt(server(g, v69(func(http.ResponseWriter, *http.Request) {}, 200), nil), g), "well"},
		{"not a URL", fault.Region{Name: "r", URL: "https://u:s3cret@[::1", CA: g.CA, Cert: g.Client, Key: g.ClientKey}, "resolve/other"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			trace, got := look(t, new(Prober), row.region)
			if got != row.want {
				t.Errorf("got %s (%v, %v, status %d), want %s", got, trace.Err, trace.Distrust, trace.Status, row.want)
			}
			if said := fmt.Sprintf("%+v", trace); strings.Contains(said, "s3cret") || strings.Contains(said, "-----BEGIN") {
				t.Errorf("the trace holds a secret: %s", said)
			}
		})
	}
}

// Whatever stands in the way treats our first packet as the console's.
func TestWeGreetAsTheConsoleDoes(t *testing.T) {
	_, g := twoGenerations(t)
	greeted := make(chan string, 1)
	address, _ := serveAPI(t, g, v69(version, http.StatusOK), func(c *tls.Config) {
		c.GetConfigForClient = func(h *tls.ClientHelloInfo) (*tls.Config, error) {
			greeted <- fmt.Sprint(h.ServerName, h.SupportedProtos, h.SupportedCurves, h.SupportedVersions)
			return nil, nil
		}
	})
	look(t, new(Prober), regionAt(address, g))
	want := fmt.Sprint("rbd-api-api", []string{"http/1.1"}, []tls.CurveID{tls.X25519, tls.CurveP256, tls.CurveP384, tls.CurveP521}, []uint16{tls.VersionTLS13, tls.VersionTLS12})
	if got := <-greeted; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestTheServedCertificateIsKnownWhenTheHandshakeFails(t *testing.T) {
	old, g := twoGenerations(t)
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		address, _ := serveAPI(t, g, v69(func(http.ResponseWriter, *http.Request) {}, 200), func(c *tls.Config) { c.MaxVersion = version })
		trace, _ := look(t, new(Prober), regionAt(address, old))
		if len(trace.Served) != 1 || fault.ReadServed(trace.Served[0]).Fingerprint() != fault.ReadCopy(fault.Copy{PEM: g.Server}).Fingerprint() {
			t.Errorf("%s: %d certificates served", tls.VersionName(version), len(trace.Served))
		}
	}
}

func TestTheTokenGoesToNobodyElse(t *testing.T) {
	old, g := twoGenerations(t)
	var got []string
	var mu sync.Mutex
	listener := v69(func(_ http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		got = append(got, r.Header.Get("Authorization"))
	}, 200)
	address, _ := serveAPI(t, g, listener, nil)
	trusted := regionAt(address, g)
	trusted.Token = fault.Secret("t0ken")
	stranger := trusted
	stranger.CA = old.CA
	p := new(Prober)
	look(t, p, trusted)
	look(t, p, stranger)
	if fmt.Sprintf("%q", got) != `["t0ken" ""]` {
		t.Errorf("tokens sent: %q", got)
	}
}

func TestACopyThatChangedIsUsedAtOnce(t *testing.T) {
	old, g := twoGenerations(t)
	address, _ := serveAPI(t, g, v69(version, 200), nil)
	p := new(Prober)
	for _, row := range []struct {
		copied pki.Generation
		want   string
	}{{g, "well"}, {old, "tls/client_refused"}, {g, "well"}} {
		if trace, got := look(t, p, regionAt(address, row.copied)); got != row.want {
			t.Errorf("got %s (%v), want %s", got, trace.Err, row.want)
		}
	}
}

// While a rotation is under way, the console's CA may hold both.
func TestEveryAuthorityOfTheRegionsCACounts(t *testing.T) {
	before, now := twoGenerations(t)
	address, _ := serveAPI(t, now, v69(version, http.StatusNotFound), nil)
	r := regionAt(address, now)
	for _, row := range []struct {
		ca   [][]byte
		want string
	}{
		{[][]byte{before.CA, now.CA}, "well"},
		{[][]byte{now.CA, before.CA}, "well"},
		{[][]byte{before.CA}, "tls/server_untrusted"},
	} {
		r.CA = bytes.Join(row.ca, []byte("and then\n"))
		if _, got := look(t, new(Prober), r); got != row.want {
			t.Errorf("%d authorities: %s, want %s", len(row.ca), got, row.want)
		}
	}
}

func BenchmarkProbe(b *testing.B) {
	_, g := twoGenerations(b)
	address, _ := serveAPI(b, g, v69(version, http.StatusNotFound), nil)
	p, r := new(Prober), regionAt(address, g)
	for b.Loop() {
		if _, got := look(b, p, r); got != "well" {
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

// fullPort listens with a queue that is full, so that the kernel drops what
// comes, as a firewall would.
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
	for range 16 { // until nobody gets in any more
		conn, err := net.DialTimeout("tcp", address, 100*time.Millisecond)
		if err != nil {
			return address
		}
		t.Cleanup(func() { _ = conn.Close() })
	}
	t.Fatal("the queue does not fill up")
	return ""
}

// door accepts connections, lets visit have each, and closes it.
func door(t *testing.T, visit func(*net.TCPConn)) string {
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
				visit(conn.(*net.TCPConn))
				_ = conn.Close()
			}()
		}
	}()
	return l.Addr().String()
}

// hear takes the client's first words, so that closing says goodbye instead
// of resetting.
func hear(c *net.TCPConn) { _, _ = c.Read(make([]byte, 4096)) }

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
