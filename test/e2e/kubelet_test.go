//go:build e2e

package e2e

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"sync"
	"testing"
	"time"
)

// A logLine is one line of a container's log and when it was written, as a
// container runtime keeps it.
type logLine struct {
	at   time.Time
	text string
}

// A containerLog is the log of one container, over its restarts.
type containerLog struct {
	mu       sync.Mutex
	current  []logLine
	previous []logLine
	more     chan struct{} // closed when a line is added or the container restarts
	restarts int
}

func newContainerLog() *containerLog { return &containerLog{more: make(chan struct{})} }

// add appends a line.
func (l *containerLog) add(line []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.current = append(l.current, logLine{time.Now(), string(line)})
	close(l.more)
	l.more = make(chan struct{})
}

// restart begins the log of the container's next instance.
func (l *containerLog) restart() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.current, l.previous = nil, l.current
	l.restarts++
	close(l.more)
	l.more = make(chan struct{})
}

// read returns the log of an instance, and a channel that is closed when
// there is more to read.
func (l *containerLog) read(previous bool) (written []logLine, restarts int, more <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if previous {
		return l.previous, l.restarts, l.more
	}
	return l.current, l.restarts, l.more
}

// configz is the configuration that a kubelet of RKE2 (v1.30) reports, cut
// down to what it evicts at.
const configz = `{"kubeletconfig":{"enableServer":true,"evictionHard":{"imagefs.available":"5%","nodefs.available":"5%"}}}`

// A kubelet serves the logs of containers as a kubelet does, to the API
// server only.
type kubelet struct {
	server *httptest.Server

	mu   sync.Mutex
	logs map[string]*containerLog // by namespace/pod/container
}

// newKubelet starts a kubelet that every node may share.
func newKubelet(t testing.TB, ca *authority) *kubelet {
	t.Helper()
	return newKubeletAt(t, ca, "127.0.0.1")
}

// newKubeletAt starts it at an address of this machine.
func newKubeletAt(t testing.TB, ca *authority, ip string) *kubelet {
	t.Helper()
	k := &kubelet{logs: map[string]*containerLog{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /containerLogs/{namespace}/{pod}/{container}", k.containerLogs)
	mux.HandleFunc("GET /configz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, configz) })
	clients := x509.NewCertPool()
	clients.AddCert(ca.cert)
	listener, err := net.Listen("tcp", net.JoinHostPort(ip, "0"))
	must(t, err)
	k.server = httptest.NewUnstartedServer(mux)
	_ = k.server.Listener.Close()
	k.server.Listener = listener
	k.server.TLS = &tls.Config{
		Certificates: []tls.Certificate{ca.issue(t, pkix.Name{CommonName: "kubelet"}, net.ParseIP(ip)).tls(t)},
		ClientAuth:   tls.RequireAndVerifyClientCert, ClientCAs: clients,
	}
	k.server.StartTLS()
	t.Cleanup(func() {
		k.server.CloseClientConnections() // those that follow a log
		k.server.Close()
	})
	return k
}

// address is where the kubelet listens, as a Node's status contains it.
func (k *kubelet) address(t testing.TB) (ip string, port int32) {
	t.Helper()
	a := k.server.Listener.Addr().(*net.TCPAddr)
	return a.IP.String(), int32(a.Port)
}

// runs marks a container as running, and returns its log.
func (k *kubelet) runs(namespace, pod, container string) *containerLog {
	k.mu.Lock()
	defer k.mu.Unlock()
	l := newContainerLog()
	k.logs[namespace+"/"+pod+"/"+container] = l
	return l
}

// containerLogs answers what the API server asks for pods/log.
func (k *kubelet) containerLogs(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("namespace") + "/" + r.PathValue("pod") + "/" + r.PathValue("container")
	k.mu.Lock()
	l := k.logs[name]
	k.mu.Unlock()
	if l == nil {
		http.Error(w, "the kubelet knows no container "+name, http.StatusNotFound)
		return
	}
	q := r.URL.Query()
	written, restarts, more := l.read(q.Get("previous") == "true")
	chosen, err := choose(written, q)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	stamped := q.Get("timestamps") == "true"
	show(w, chosen, stamped)
	for q.Get("follow") == "true" {
		w.(http.Flusher).Flush()
		select {
		case <-more:
		case <-r.Context().Done():
			return
		}
		received := len(written)
		var now int
		if written, now, more = l.read(false); now != restarts {
			return // a kubelet's stream ends with the container
		}
		show(w, written[received:], stamped)
	}
}

// choose obeys sinceTime, sinceSeconds and tailLines, in this order, as the
// kubelet does.
func choose(written []logLine, q url.Values) ([]logLine, error) {
	var since time.Time
	var err error
	if text := q.Get("sinceTime"); text != "" {
		since, err = time.Parse(time.RFC3339, text)
	} else if text := q.Get("sinceSeconds"); text != "" {
		var n int
		n, err = strconv.Atoi(text)
		since = time.Now().Add(-time.Duration(n) * time.Second)
	}
	if err != nil {
		return nil, err
	}
	for len(written) > 0 && written[0].at.Before(since) {
		written = written[1:]
	}
	if text := q.Get("tailLines"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			return nil, err
		}
		written = written[max(0, len(written)-n):]
	}
	return written, nil
}

// stamp is how a kubelet writes a line's time (RFC3339NanoFixed of the
// container runtimes), in the node's own zone.
const stamp = "2006-01-02T15:04:05.000000000Z07:00"

func show(w http.ResponseWriter, written []logLine, stamped bool) {
	for _, line := range written {
		if stamped {
			fmt.Fprint(w, line.at.In(china).Format(stamp), " ")
		}
		fmt.Fprintln(w, line.text)
	}
}
