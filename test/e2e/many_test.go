//go:build e2e

package e2e

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/rainbond-exporter/rainbond-exporter/demo/pki"
)

// A manyRegion is one of very many: an address of its own, and a console's
// copy of some generation's certificates.
type manyRegion struct {
	name        string
	address     string
	console     pki.Generation
	verdict     string        // the expected verdict
	connections *atomic.Int64 // connections made to it; nil where nobody listens
}

const up = "1"

// A way is one of the ways in which a region is healthy or broken.
type way struct {
	verdict string
	listens func(net.Listener) // until the listener is closed; nil: nobody listens
}

// newManyRegions starts n regions, of which one in ten is broken, in one of
// ten ways in turn.
func newManyRegions(t testing.TB, n int) []*manyRegion {
	t.Helper()
	begun := time.Now()
	operator := func(notBefore, notAfter time.Time) pki.Generation {
		g, err := pki.NewValid(pki.OperatorBits, notBefore, notAfter, net.IPv4(127, 0, 0, 1))
		must(t, err)
		return g
	}
	now := time.Now()
	g, stranger := operator(now, now.AddDate(pki.OperatorYears, 0, 0)), operator(now, now.AddDate(pki.OperatorYears, 0, 0))
	expired := operator(now.AddDate(-2, 0, 0), now.AddDate(-1, 0, 0))
	progress("made three generations of RSA-4096 certificates (%s)", seconds(time.Since(begun)))

	healthy := way{up, region{server: g, clients: g}.serve(t)}
	otherCA := g // what the console keeps of the region whose server is expired
	otherCA.CA = expired.CA
	broken := []way{
		{"connect refused 1", nil},
		{"tls reset 1", each(func(c *net.TCPConn) { _ = c.SetLinger(0) })},
		{"tls closed 1", each(func(*net.TCPConn) {})},
		{"tls plain_http 1", region{plain: true}.serve(t)},
		{"tls old_tls 1", region{server: g, clients: g, versions: [2]uint16{tls.VersionTLS10, tls.VersionTLS11}}.serve(t)},
		{up, region{server: stranger, clients: g}.serve(t)}, // a console of 6.6 and later does not verify
		{"tls server_expired 1", region{server: expired, clients: g}.serve(t)},
		{"tls client_refused 1", region{server: g, clients: stranger, versions: [2]uint16{tls.VersionTLS12, tls.VersionTLS12}}.serve(t)},
		{"tls client_refused 1", region{server: g, clients: stranger, versions: [2]uint16{tls.VersionTLS13, tls.VersionTLS13}}.serve(t)},
		{"processing status 1", region{server: g, clients: g, status: http.StatusInternalServerError}.serve(t)},
	}
	var all []*manyRegion
	for i := range n {
		r := &manyRegion{name: fmt.Sprintf("region-%d", i), console: g}
		if i == 0 {
			r.name = "它's \"的\"\n" // whatever people type
		}
		how := healthy
		if i%10 == 9 {
			how = broken[i/10%len(broken)]
		}
		if how.verdict == "tls server_expired 1" {
			r.console = otherCA
		}
		r.verdict = how.verdict
		r.open(t, how)
		all = append(all, r)
	}
	progress("%d regions listen", n)
	return all
}

// open lets the region listen, or keeps its port from others.
func (r *manyRegion) open(t testing.TB, how way) {
	t.Helper()
	if how.listens == nil {
		r.address = deadAddress(t)
		return
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { _ = l.Close() })
	r.address, r.connections = l.Addr().String(), new(atomic.Int64)
	go how.listens(counted{l, r.connections})
}

// deadAddress is an address that refuses: it is taken, and nobody listens.
func deadAddress(t testing.TB) string {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	must(t, err)
	t.Cleanup(func() { _ = syscall.Close(fd) })
	must(t, syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	name, err := syscall.Getsockname(fd)
	must(t, err)
	return fmt.Sprintf("127.0.0.1:%d", name.(*syscall.SockaddrInet4).Port)
}

// counted counts connections.
type counted struct {
	net.Listener
	connections *atomic.Int64
}

func (c counted) Accept() (net.Conn, error) {
	conn, err := c.Listener.Accept()
	if err == nil {
		c.connections.Add(1)
	}
	return conn, err
}

// each reads the first words of everybody who comes, and closes, after what
// is to be done before.
func each(before func(*net.TCPConn)) func(net.Listener) {
	return func(l net.Listener) {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				_, _ = conn.Read(make([]byte, 16<<10))
				before(conn.(*net.TCPConn))
				_ = conn.Close()
			}()
		}
	}
}

// A region is how rbd-api serves.
type region struct {
	server   pki.Generation // whose server certificate it presents
	clients  pki.Generation // whose CA it verifies clients with
	versions [2]uint16      // TLS, from and to; 0: as Go does by default
	plain    bool           // HTTP without TLS
	status   int            // 0: 200
}

// serve returns what serves on a listener as the region is configured.
func (r region) serve(t testing.TB) func(net.Listener) {
	t.Helper()
	server := &http.Server{ErrorLog: log.New(io.Discard, "", 0), ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(r.answer)}
	t.Cleanup(func() { _ = server.Close() })
	if r.plain {
		return func(l net.Listener) { _ = server.Serve(l) }
	}
	pair, err := tls.X509KeyPair(r.server.Server, r.server.ServerKey)
	must(t, err)
	clients := x509.NewCertPool()
	clients.AppendCertsFromPEM(r.clients.CA)
	config := &tls.Config{Certificates: []tls.Certificate{pair}, ClientCAs: clients, ClientAuth: tls.RequireAndVerifyClientCert,
		MinVersion: r.versions[0], MaxVersion: r.versions[1]}
	return func(l net.Listener) { _ = server.Serve(tls.NewListener(l, config)) }
}

func (r region) answer(w http.ResponseWriter, asked *http.Request) {
	switch {
	case r.status != 0:
		w.WriteHeader(r.status)
	case asked.URL.Path == "/v2/show":
		_, _ = io.WriteString(w, "v6.9.8-release-e2e")
	case asked.URL.Path == "/v2/cluster/ready":
		_, _ = io.WriteString(w, `{"bean":{"ready":true,"checks":{"k8s_api":"ok","region_cert":"ok"}}}`)
	default:
		http.NotFound(w, asked)
	}
}
