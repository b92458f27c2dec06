//go:build e2e

package e2e

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// A gate is in front of the real API server, as a load balancer is, and
// passes everything on until a test makes it respond itself or close connections.
type gate struct {
	url    string
	server *httptest.Server
	answer atomic.Pointer[http.HandlerFunc] // nil passes on

	gone atomic.Int64 // how often the API server responded that a version is too old
}

func (c *cluster) newGate(t testing.TB) *gate {
	t.Helper()
	g := &gate{}
	server, err := url.Parse(c.url)
	must(t, err)
	roots := x509.NewCertPool()
	roots.AddCert(c.ca.cert)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true}
	t.Cleanup(transport.CloseIdleConnections)
	proxy := &httputil.ReverseProxy{
		Transport: transport, FlushInterval: -1, ErrorLog: log.New(io.Discard, "", 0),
		Rewrite:        func(r *httputil.ProxyRequest) { r.SetURL(server) },
		ModifyResponse: g.listen,
		// What cannot be passed on is broken off, and not answered with words of ours.
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
	}
	g.server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if answer := g.answer.Load(); answer != nil {
			(*answer)(w, r)
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	g.server.EnableHTTP2 = true
	g.server.Config.ErrorLog = log.New(io.Discard, "", 0)
	g.server.TLS = &tls.Config{Certificates: []tls.Certificate{c.ca.issue(t, pkix.Name{CommonName: "gate"}).tls(t)}}
	g.server.StartTLS()
	t.Cleanup(func() {
		g.server.CloseClientConnections()
		g.server.Close()
	})
	g.url = g.server.URL
	return g
}

// listen counts the answers 410, which a watch gets as an event.
func (g *gate) listen(answer *http.Response) error {
	if answer.StatusCode == http.StatusGone {
		g.gone.Add(1)
	}
	answer.Body = &listened{answer.Body, &g.gone}
	return nil
}

type listened struct {
	io.ReadCloser
	gone *atomic.Int64
}

func (l *listened) Read(p []byte) (int, error) {
	n, err := l.ReadCloser.Read(p)
	if bytes.Contains(p[:n], []byte("too old resource version")) {
		l.gone.Add(1)
	}
	return n, err
}

// cut breaks every connection; new ones are taken.
func (g *gate) cut() { g.server.CloseClientConnections() }

// respond lets the gate respond to every request itself, beginning with open watches.
func (g *gate) respond(answer http.HandlerFunc) {
	g.answer.Store(&answer)
	g.cut()
}

// passes lets the gate pass everything on again.
func (g *gate) passes() { g.answer.Store(nil) }

// breaksOff is what a load balancer without a server behind it does.
func breaksOff(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

// tooManyRequests imitates an API server whose priority and fairness turns
// everybody away (k8s.io/apiserver, pkg/server/filters, tooManyRequests).
func tooManyRequests(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Retry-After", "1")
	http.Error(w, "Too many requests, please try again later.", http.StatusTooManyRequests)
}

// internalError imitates an API server that cannot reach etcd.
func internalError(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusInternalServerError)
	_ = json.NewEncoder(w).Encode(metav1.Status{ // the client's loss
		TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: metav1.StatusFailure,
		Reason: metav1.StatusReasonInternalError, Code: http.StatusInternalServerError, Message: "etcdserver: request timed out",
	})
}

// A dropper lets the kernel drop one packet in ten to and from a port of
// loopback (nftables; there is no netem in every kernel). The rules live as
// long as the nft that owns them.
type dropper struct {
	in  io.WriteCloser
	cmd *exec.Cmd
	end func()
}

// dropOneInTen returns nil, with a word, where it cannot be had.
func dropOneInTen(t testing.TB, url string) *dropper {
	t.Helper()
	path, err := exec.LookPath("nft")
	if err != nil {
		progress("SKIPPED: no packets are dropped: %v (tools/apt nftables)", err)
		return nil
	}
	_, port, err := net.SplitHostPort(strings.TrimPrefix(url, "https://"))
	must(t, err)
	d := &dropper{cmd: exec.Command(path, "-i")}
	d.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	d.in, err = d.cmd.StdinPipe()
	must(t, err)
	must(t, d.cmd.Start())
	d.end = sync.OnceFunc(func() {
		_ = d.in.Close()
		_ = d.cmd.Wait()
	})
	t.Cleanup(d.end)
	table := "rainbond-e2e-" + port
	_, err = fmt.Fprintf(d.in, `add table inet %[1]s { flags owner; }
add chain inet %[1]s loss { type filter hook input priority 0; }
add rule inet %[1]s loss iif lo tcp dport %[2]s numgen random mod 10 0 counter drop
add rule inet %[1]s loss iif lo tcp sport %[2]s numgen random mod 10 0 counter drop
`, table, port)
	must(t, err)
	took := until(t, poll*25, "the kernel drops packets", func() error { return exec.Command(path, "list", "chain", "inet", table, "loss").Run() })
	progress("one packet in ten to and from port %s is dropped (%s)", port, seconds(took))
	return d
}
