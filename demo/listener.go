package demo

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// A behaviour is how the region's address treats connections.
type behaviour int

const (
	serves  behaviour = iota // rbd-api responds
	refuses                  // no process listens
	resets                   // a firewall resets accepted connections
	hangsUp                  // a gateway without a backend accepts and closes
	drops                    // packets are dropped
)

// A listenerConfig configures the behaviour of the region's address.
type listenerConfig struct {
	behaviour behaviour
	plainHTTP bool   // no TLS
	maxTLS    uint16 // 0 is Go's default
	proxied   bool   // a proxy terminates TLS with its own certificate and requests none
	foreign   bool   // the server is a kube-apiserver
	api       regionAPI
}

// A listener is the region's address and the server behind it: an http.Server
// configured as rbd-api's (rainbond, api/server/api.go). It requires a client
// certificate signed by the region's CA, sets no TLS version and offers HTTP/2.
// The standard logger writes failed handshakes.
type listener struct {
	port *port
	log  *podLog
	shut []func() // called by close, the last one first
}

func newListener(log *podLog) (*listener, error) {
	p, err := reserve()
	return &listener{port: p, log: log}, err
}

// close stops the server and returns when it has stopped.
func (d *listener) close() {
	for i := len(d.shut) - 1; i >= 0; i-- {
		d.shut[i]()
	}
	d.shut = nil
}

// open starts the server as the world configures it, and starts the clients
// whose handshakes fail.
func (d *listener) open(ctx context.Context, w *world) error {
	switch w.listener.behaviour {
	case refuses:
		return nil
	case drops:
		return d.drop(ctx)
	}
	ln, err := d.port.listen(ctx)
	if err != nil {
		return err
	}
	switch w.listener.behaviour {
	case resets:
		d.accept(ln, reset)
		return nil
	case hangsUp:
		d.accept(ln, hangUp)
		return nil
	}
	if err := d.serve(ln, w); err != nil {
		return err
	}
	d.connectClients(ctx, w)
	return nil
}

// serve starts rbd-api.
func (d *listener) serve(ln net.Listener, w *world) error {
	config, err := serverTLS(w)
	if err != nil {
		_ = ln.Close()
		return err
	}
	server := &http.Server{
		Handler:           exactPaths(w.listener.api.handler()),
		TLSConfig:         config,
		ErrorLog:          log.New(d.log, "", log.LstdFlags),
		ReadHeaderTimeout: 10 * time.Second,
	}
	var wait sync.WaitGroup
	wait.Go(func() {
		if w.listener.plainHTTP {
			_ = server.Serve(ln) // ends with Close
		} else {
			_ = server.ServeTLS(ln, "", "")
		}
	})
	d.shut = append(d.shut, func() {
		_ = server.Close()
		wait.Wait()
	})
	return nil
}

func serverTLS(w *world) (*tls.Config, error) {
	shown, ca := w.served, w.served.CA
	switch {
	case w.listener.proxied:
		shown = w.generation(other)
	case w.listener.foreign:
		shown = w.generation(foreign)
		ca = shown.CA
	}
	pair, err := tls.X509KeyPair(shown.Server, shown.ServerKey)
	if err != nil {
		return nil, fmt.Errorf("certificate of rbd-api: %w", err)
	}
	clients := x509.NewCertPool()
	clients.AppendCertsFromPEM(ca)
	config := &tls.Config{
		Certificates: []tls.Certificate{pair},
		ClientCAs:    clients,
		ClientAuth:   tls.RequireAndVerifyClientCert,
		MaxVersion:   w.listener.maxTLS,
	}
	switch {
	case w.listener.proxied:
		config.ClientAuth = tls.NoClientCert
	case w.listener.foreign: // as kube-apiserver: a client without a certificate is anonymous
		config.ClientAuth = tls.RequestClientCert
	}
	if w.listener.maxTLS != 0 && w.listener.maxTLS < tls.VersionTLS12 {
		config.MinVersion = tls.VersionTLS10 // which Go does not offer by default
	}
	return config, nil
}

// accept accepts connections and passes each to treat.
func (d *listener) accept(ln net.Listener, treat func(*net.TCPConn)) {
	var wait sync.WaitGroup
	wait.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return // closed
			}
			wait.Go(func() { treat(conn.(*net.TCPConn)) })
		}
	})
	d.shut = append(d.shut, func() {
		_ = ln.Close()
		wait.Wait()
	})
}

// reset closes with RST instead of FIN after the client's first byte. An
// earlier RST may reach the client in connect or in read.
func reset(conn *net.TCPConn) {
	_ = conn.SetDeadline(time.Now().Add(time.Second))
	_, _ = conn.Read(make([]byte, 1))
	_ = conn.SetLinger(0)
	_ = conn.Close()
}

// hangUp closes with FIN. It reads the client's bytes first, because closing a
// socket with unread bytes sends RST.
func hangUp(conn *net.TCPConn) {
	_ = conn.SetDeadline(time.Now().Add(time.Second))
	_, _ = conn.Read(make([]byte, 4<<10))
	_ = conn.CloseWrite()
	_, _ = io.Copy(io.Discard, conn)
	_ = conn.Close()
}

// A regionAPI configures the responses of rbd-api (rainbond, api/controller;
// as observed on the real one).
type regionAPI struct {
	status   int           // of /v2/show; 0 is 200
	body     string        // of /v2/show; "" is the version
	delay    time.Duration // of /v2/show
	notReady bool          // /v2/cluster/ready returns 503
	// withoutReady is true before v6.9.2, which has no /v2/cluster/ready.
	withoutReady bool
	flaky        int           // every n-th /v2/show returns 503; 0: none
	ahead        time.Duration // by which the region's clock is ahead
	monitor      monitor
}

// version is the body of /v2/show: plain text, not JSON.
const version = "v6.9.8-release"

func (a regionAPI) handler() http.Handler {
	mux := http.NewServeMux()
	var shown atomic.Int64
	mux.HandleFunc("GET /v2/show", func(w http.ResponseWriter, r *http.Request) {
		if n := shown.Add(1); a.flaky > 0 && n%int64(a.flaky) == 0 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		if a.ahead != 0 {
			w.Header().Set("Date", time.Now().Add(a.ahead).UTC().Format(http.TimeFormat))
		}
		a.show(w, r)
	})
	a.monitor.handle(mux)
	mux.HandleFunc("GET /v2/health", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, `{"bean":{"info":"api service health","status":"health"}}`)
	})
	if a.withoutReady {
		return mux
	}
	mux.HandleFunc("GET /v2/cluster/ready", func(w http.ResponseWriter, _ *http.Request) {
		if a.notReady {
			answer(w, http.StatusServiceUnavailable, `{"msg":"region is not ready; some dependencies are unavailable"}`)
			return
		}
		answer(w, http.StatusOK, `{"bean":{"ready":true,"checks":{"k8s_api":"ok","region_cert":"ok"}}}`)
	})
	return mux
}

// exactPaths returns 404 for a path with an empty element, which http.ServeMux
// would redirect: rbd-api's router (chi) does not clean paths.
func exactPaths(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, "//") {
			http.NotFound(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (a regionAPI) show(w http.ResponseWriter, r *http.Request) {
	if a.delay > 0 {
		timer := time.NewTimer(a.delay)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-r.Context().Done():
			// Returning would send 200 with an empty body, which a healthy
			// build without a version sends.
			panic(http.ErrAbortHandler)
		}
	}
	if a.status != 0 {
		w.WriteHeader(a.status)
	}
	body := version
	if a.body != "" {
		body = a.body
	}
	_, _ = io.WriteString(w, body)
}

func answer(w http.ResponseWriter, status int, json string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, json)
}
