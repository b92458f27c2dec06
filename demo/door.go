package demo

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// A behaviour is what somebody meets who knocks at the region's address.
type behaviour int

const (
	serves  behaviour = iota // rbd-api answers
	refuses                  // nobody listens
	resets                   // a firewall resets what was accepted
	hangsUp                  // a gateway accepts, finds nobody behind it, and closes
	drops                    // packets vanish
)

// A doorplan says how the region's address behaves.
type doorplan struct {
	behaviour behaviour
	plainHTTP bool   // no TLS at all
	maxTLS    uint16 // 0: as Go does by default
	proxied   bool   // a proxy ends TLS: with its own certificate, and asks for none
	api       regionAPI
}

// A door is the region's address and who stands behind it: an http.Server
// configured as rbd-api's (rainbond, api/server/api.go): a client certificate
// of the region's CA is demanded, no TLS version is set, HTTP/2 is offered,
// and the standard logger tells of those who fail.
type door struct {
	port *port
	log  *podLog
	shut []func() // what close has to do, last first
}

func newDoor(log *podLog) (*door, error) {
	p, err := reserve()
	return &door{port: p, log: log}, err
}

// close ends whatever stands behind the door, and returns when it has ended.
func (d *door) close() {
	for i := len(d.shut) - 1; i >= 0; i-- {
		d.shut[i]()
	}
	d.shut = nil
}

// open lets the door behave as the world's plan says, and lets in those who
// fail at it.
func (d *door) open(ctx context.Context, w *world) error {
	switch w.door.behaviour {
	case refuses:
		return nil
	case drops:
		return d.drop(ctx)
	}
	listener, err := d.port.listen(ctx)
	if err != nil {
		return err
	}
	switch w.door.behaviour {
	case resets:
		d.accept(listener, reset)
		return nil
	case hangsUp:
		d.accept(listener, hangUp)
		return nil
	}
	if err := d.serve(listener, w); err != nil {
		return err
	}
	d.visit(ctx, w)
	return nil
}

// serve is rbd-api.
func (d *door) serve(listener net.Listener, w *world) error {
	config, err := serverTLS(w)
	if err != nil {
		_ = listener.Close()
		return err
	}
	server := &http.Server{
		Handler:           w.door.api.handler(),
		TLSConfig:         config,
		ErrorLog:          log.New(d.log, "", log.LstdFlags),
		ReadHeaderTimeout: 10 * time.Second,
	}
	var wait sync.WaitGroup
	wait.Go(func() {
		if w.door.plainHTTP {
			_ = server.Serve(listener) // ends with Close
		} else {
			_ = server.ServeTLS(listener, "", "")
		}
	})
	d.shut = append(d.shut, func() {
		_ = server.Close()
		wait.Wait()
	})
	return nil
}

func serverTLS(w *world) (*tls.Config, error) {
	shown := w.served
	if w.door.proxied {
		shown = w.generation(other)
	}
	pair, err := tls.X509KeyPair(shown.Server, shown.ServerKey)
	if err != nil {
		return nil, fmt.Errorf("rbd-api's own certificate: %w", err)
	}
	clients := x509.NewCertPool()
	clients.AppendCertsFromPEM(w.served.CA)
	config := &tls.Config{
		Certificates: []tls.Certificate{pair},
		ClientCAs:    clients,
		ClientAuth:   tls.RequireAndVerifyClientCert,
		MaxVersion:   w.door.maxTLS,
	}
	if w.door.proxied {
		config.ClientAuth = tls.NoClientCert
	}
	if w.door.maxTLS != 0 && w.door.maxTLS < tls.VersionTLS12 {
		config.MinVersion = tls.VersionTLS10 // which Go no longer offers by itself
	}
	return config, nil
}

// accept does the same to everybody who comes.
func (d *door) accept(listener net.Listener, treat func(*net.TCPConn)) {
	var wait sync.WaitGroup
	wait.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return // closed
			}
			wait.Go(func() { treat(conn.(*net.TCPConn)) })
		}
	})
	d.shut = append(d.shut, func() {
		_ = listener.Close()
		wait.Wait()
	})
}

// reset closes with RST instead of FIN, once the visitor has begun to speak:
// before, it is chance whether connect or read tells of it.
func reset(conn *net.TCPConn) {
	_ = conn.SetDeadline(time.Now().Add(time.Second))
	_, _ = conn.Read(make([]byte, 1))
	_ = conn.SetLinger(0)
	_ = conn.Close()
}

// hangUp closes with FIN. What the visitor has said is read first, because
// closing over unread bytes would send RST.
func hangUp(conn *net.TCPConn) {
	_ = conn.SetDeadline(time.Now().Add(time.Second))
	_, _ = conn.Read(make([]byte, 4<<10))
	_ = conn.CloseWrite()
	_, _ = io.Copy(io.Discard, conn)
	_ = conn.Close()
}

// drop makes packets vanish without touching a firewall: a listener that
// never accepts, and whose queue is full, does not answer a SYN (Linux,
// tcp_conn_request).
func (d *door) drop(ctx context.Context) error {
	fd, err := socket(d.port.number)
	if err != nil {
		return err
	}
	d.shut = append(d.shut, func() { _ = unix.Close(fd) })
	if err := unix.Listen(fd, 0); err != nil {
		return err
	}
	dialer := net.Dialer{Timeout: 100 * time.Millisecond}
	for range 16 {
		conn, err := dialer.DialContext(ctx, "tcp4", d.port.address())
		if timeout := net.Error(nil); errors.As(err, &timeout) && timeout.Timeout() {
			return nil // full
		}
		if err != nil {
			return err
		}
		d.shut = append(d.shut, func() { _ = conn.Close() })
	}
	return errors.New("this system's listeners cannot be filled up, so nothing can be dropped here")
}

// A regionAPI is what rbd-api answers (rainbond, api/controller; as observed
// on the real one).
type regionAPI struct {
	status   int           // of /v2/show; 0 is 200
	body     string        // of /v2/show; "" is the version
	delay    time.Duration // before /v2/show answers
	notReady bool          // what /v2/cluster/ready says
	flaky    int           // each so many-th /v2/show meets a pod that is ill; 0: none
	monitor  monitor
}

// version is what /v2/show answers: plain text, not JSON.
const version = "v6.9.8-release"

func (a regionAPI) handler() http.Handler {
	mux := http.NewServeMux()
	var shown atomic.Int64
	mux.HandleFunc("GET /v2/show", func(w http.ResponseWriter, r *http.Request) {
		if n := shown.Add(1); a.flaky > 0 && n%int64(a.flaky) == 0 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		a.show(w, r)
	})
	a.monitor.handle(mux)
	mux.HandleFunc("GET /v2/health", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, `{"bean":{"info":"api service health","status":"health"}}`)
	})
	mux.HandleFunc("GET /v2/cluster/ready", func(w http.ResponseWriter, _ *http.Request) {
		if a.notReady {
			answer(w, http.StatusServiceUnavailable, `{"msg":"region is not ready; some dependencies are unavailable"}`)
			return
		}
		answer(w, http.StatusOK, `{"bean":{"ready":true,"checks":{"k8s_api":"ok","region_cert":"ok"}}}`)
	})
	return mux
}

func (a regionAPI) show(w http.ResponseWriter, r *http.Request) {
	if a.delay > 0 {
		timer := time.NewTimer(a.delay)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-r.Context().Done():
			// To return would be to answer 200 without a word, which is what
			// a healthy build without a version says.
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
