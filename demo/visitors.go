package demo

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"sync"
	"time"

	"github.com/rainbond-exporter/rainbond-exporter/demo/pki"
)

// A visitor comes to the region's door and fails there, as a client in the
// field would; rbd-api's log tells of it.
type visitor func(ctx context.Context, address string)

// visitEvery is how often the visitors come back: often enough that an alert
// which looks at the last five minutes stays.
const visitEvery = 20 * time.Second

// visit lets the world's visitors come at once, waits until the log tells of
// all of them, and lets them come back now and then until the door closes.
func (d *door) visit(ctx context.Context, w *world) {
	if len(w.visitors)+len(w.replayed) == 0 {
		return
	}
	ctx, cancel := context.WithCancel(ctx)
	first, done := context.WithTimeout(ctx, 5*time.Second)
	defer done()
	d.knock(first, w)
	d.log.await(first, len(w.visitors)+len(w.replayed))

	var wait sync.WaitGroup
	wait.Go(func() {
		again := time.NewTicker(visitEvery)
		defer again.Stop()
		for {
			select {
			case <-again.C:
				d.knock(ctx, w)
			case <-ctx.Done():
				return
			}
		}
	})
	d.shut = append(d.shut, func() {
		cancel()
		wait.Wait()
	})
}

func (d *door) knock(ctx context.Context, w *world) {
	for _, reason := range w.replayed {
		_, _ = io.WriteString(d.log, handshakeError(reason)) // never fails
	}
	for _, come := range w.visitors {
		come(ctx, d.port.address())
	}
}

// client is a real Go client that holds certificates of the given generations
// and verifies the region.
func client(ca, cert pki.Generation) visitor {
	return func(ctx context.Context, address string) {
		pair, err := tls.X509KeyPair(cert.Client, cert.ClientKey)
		if err != nil {
			return // the region's certificates come from the same maker
		}
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM(ca.CA)
		dialer := tls.Dialer{Config: &tls.Config{
			RootCAs:    roots,
			ServerName: "rbd-api-api",
			// Always presented, whatever issuers the server names.
			GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil },
		}}
		conn, err := dialer.DialContext(ctx, "tcp4", address)
		if err != nil {
			return
		}
		listen(conn)
	}
}

// stranger is a client that verifies nothing and has no certificate, such as
// curl -k or a scanner that says hello.
func stranger(ctx context.Context, address string) {
	dialer := tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true}}
	if conn, err := dialer.DialContext(ctx, "tcp4", address); err == nil {
		listen(conn)
	}
}

// speaker says something that is not TLS, or nothing, and leaves: a load
// balancer's check, a browser that typed http://, a port scan.
func speaker(text string) visitor {
	return func(ctx context.Context, address string) {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp4", address)
		if err != nil {
			return
		}
		_, _ = io.WriteString(conn, text)
		if text == "" {
			_ = conn.Close()
			return
		}
		listen(conn)
	}
}

// listen reads until the server has had its say: under TLS 1.3 a refused
// client learns of it only then.
func listen(conn net.Conn) {
	_ = conn.SetDeadline(time.Now().Add(2 * time.Second))
	_, _ = io.Copy(io.Discard, conn)
	_ = conn.Close()
}
