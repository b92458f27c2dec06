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

// A clientFunc connects to the region's address and fails in the handshake as
// a real client does. Rbd-api logs the failure.
type clientFunc func(ctx context.Context, address string)

// reconnectInterval is the interval at which the clients connect. It is short
// enough for an alert over the last five minutes to keep firing.
const reconnectInterval = 20 * time.Second

// connectClients connects each of the world's clients once, waits until the log
// has a line for each, and reconnects them periodically until the listener
// closes.
func (d *listener) connectClients(ctx context.Context, w *world) {
	if len(w.clients)+len(w.replayedErrors) == 0 {
		return
	}
	ctx, cancel := context.WithCancel(ctx)
	first, done := context.WithTimeout(ctx, 5*time.Second)
	defer done()
	d.connectOnce(first, w)
	d.log.await(first, len(w.clients)+len(w.replayedErrors))

	var wait sync.WaitGroup
	wait.Go(func() {
		again := time.NewTicker(reconnectInterval)
		defer again.Stop()
		for {
			select {
			case <-again.C:
				d.connectOnce(ctx, w)
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

func (d *listener) connectOnce(ctx context.Context, w *world) {
	for _, reason := range w.replayedErrors {
		_, _ = io.WriteString(d.log, handshakeError(reason)) // never fails
	}
	for _, come := range w.clients {
		come(ctx, d.port.address())
	}
}

// goClient returns a Go client that trusts the CA of one set of certificates
// and presents the client certificate of another.
func goClient(ca, cert pki.Generation) clientFunc {
	return func(ctx context.Context, address string) {
		pair, err := tls.X509KeyPair(cert.Client, cert.ClientKey)
		if err != nil {
			return // cannot happen: package pki generated the pair
		}
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM(ca.CA)
		dialer := tls.Dialer{Config: &tls.Config{
			RootCAs:    roots,
			ServerName: "rbd-api-api",
			// Presented whatever issuers the server lists.
			GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil },
		}}
		conn, err := dialer.DialContext(ctx, "tcp4", address)
		if err != nil {
			return
		}
		drain(conn)
	}
}

// clientWithoutCertificate is a client that verifies nothing and has no
// certificate, such as curl -k or a TLS scanner.
func clientWithoutCertificate(ctx context.Context, address string) {
	dialer := tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true}}
	if conn, err := dialer.DialContext(ctx, "tcp4", address); err == nil {
		drain(conn)
	}
}

// plaintextClient returns a client that sends text instead of TLS, or connects
// and closes: a load balancer's health check, an http:// URL, a port scan.
func plaintextClient(text string) clientFunc {
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
		drain(conn)
	}
}

// drain reads until the server closes the connection: with TLS 1.3 a rejected
// client receives the alert on its first read.
func drain(conn net.Conn) {
	_ = conn.SetDeadline(time.Now().Add(2 * time.Second))
	_, _ = io.Copy(io.Discard, conn)
	_ = conn.Close()
}
