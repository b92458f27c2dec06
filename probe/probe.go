// Package probe sends requests to a region's API as the console does, and
// records what it observes in a fault.Trace.
package probe

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"sync"
	"syscall"
	"time"

	"github.com/rainbond-exporter/rainbond-exporter/fault"
)

// The console's limits (rainbond-console, www/apiclient/regionapibaseclient.py
// and regionapi.py). Its third limit, /v2/show within 1 s, is also in the alert
// rules. A phase that a caller ends before its limit has no result.
const (
	connectTimeout  = 5 * time.Second  // for one address and for the handshake; REGION_CONNECTION_TIMEOUT
	readTimeout     = 30 * time.Second // for the whole request; REGION_RED_TIMEOUT (sic)
	responseTimeout = time.Second      // for a response to /v2/show in the console's health check
)

// limits are the times that a phase must have before a timeout is a verdict.
type limits struct{ lookup, connect, response time.Duration }

var consoleLimits = limits{lookup: lookupTimeout, connect: connectTimeout, response: responseTimeout}

// userAgent identifies the exporter to rbd-api.
const userAgent = "rainbond-exporter"

// A Prober sends requests to a region's API as the console does: a new
// connection, a mutual TLS handshake in which the console's certificate is
// always sent, and GET /v2/show. The zero value is ready for use.
type Prober struct {
	// Resolver resolves host names; nil is the system's.
	Resolver *net.Resolver

	limits limits // zero: consoleLimits

	mu         sync.Mutex
	identities map[string]*identity // by region name
}

// Probe sends one request and returns its trace. It returns when ctx ends at the
// latest. A phase that ctx ended before the console's limit, a limit of this
// process and a panic leave a trace with Unknown.
func (p *Prober) Probe(ctx context.Context, r fault.Region) fault.Trace {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	q := p.request(r)
	begin := time.Now()
	q.run(ctx, p)
	q.trace.Took = time.Since(begin)
	return q.trace
}

// A request is one probe in progress.
type request struct {
	region   fault.Region
	limits   limits
	trace    fault.Trace
	current  fault.Phase
	plain    net.Conn
	conn     net.Conn // plain, or TLS over it
	chain    []*x509.Certificate
	identity *identity
	limit    *io.LimitedReader // of all responses
	response *bufio.Reader
	done     func() // closes the connection; nil before there is one
}

func (p *Prober) request(r fault.Region) *request {
	q := &request{region: r, limits: p.limits, trace: fault.Trace{URL: r.URL, Durations: map[fault.Phase]time.Duration{}}, current: fault.Resolve}
	if q.limits == (limits{}) {
		q.limits = consoleLimits
	}
	return q
}

func (q *request) run(ctx context.Context, p *Prober) {
	defer func() {
		if q.done != nil {
			q.done()
		}
		if cause := recover(); cause != nil {
			q.trace.Unknown = &fault.UnknownError{Phase: q.current, Err: fmt.Errorf("panic: %v", cause)}
		}
	}()
	if q.open(ctx, p) {
		q.show(ctx)
	}
}

// open connects to the region and completes the handshake. It is false after a
// failure, which is in the trace. The caller calls done, if it is set.
func (q *request) open(ctx context.Context, p *Prober) bool {
	if q.region.Err != nil && q.region.URL == "" {
		q.fail(fault.TLS, &fault.UnusableError{Part: "region", Err: q.region.Err}, true)
		return false
	}
	base, err := parseURL(q.region.URL)
	if err != nil {
		q.trace.URL = "(malformed)"
		q.fail(fault.Resolve, err, true)
		return false
	}
	q.trace.URL = base.Redacted()
	if base.Scheme == "https" {
		if errors.Is(q.region.Err, fault.ErrConsoleOnly) {
			q.fail(fault.TLS, q.region.Err, true)
			return false
		}
		if q.identity, err = p.identity(q.region); err != nil {
			q.fail(fault.TLS, err, true)
			return false
		}
	}
	ips := []string{base.Hostname()}
	if net.ParseIP(ips[0]) == nil {
		if !q.phase(ctx, fault.Resolve, q.limits.lookup, func() (err error) {
			ips, err = lookup(ctx, p.Resolver, ips[0], q.limits.lookup)
			return err
		}) {
			return false
		}
		q.trace.Resolved = ips
	}
	if !q.phase(ctx, fault.Connect, q.limits.connect, func() error { return q.connect(ctx, ips, portOf(base)) }) {
		return false
	}
	deadline, _ := ctx.Deadline()
	_ = q.plain.SetDeadline(deadline)
	stop := context.AfterFunc(ctx, func() { _ = q.plain.SetDeadline(time.Unix(1, 0)) })
	q.done = func() {
		stop()
		_ = q.plain.Close()
	}
	q.conn = q.plain
	return base.Scheme == "http" || q.phase(ctx, fault.TLS, q.limits.connect, func() error {
		ctx, cancel := context.WithTimeout(ctx, q.limits.connect)
		defer cancel()
		return q.handshake(ctx)
	})
}

// phase runs one phase and records its duration; false after a failure. A
// timeout is a verdict unless ctx ended the phase before the time in full.
func (q *request) phase(ctx context.Context, phase fault.Phase, full time.Duration, do func() error) bool {
	q.current = phase
	begin := time.Now()
	err := do()
	took := time.Since(begin)
	if err != nil {
		q.fail(phase, err, took >= full || !ended(ctx))
		return false
	}
	q.trace.Durations[phase] = took
	return true
}

// ended reports whether ctx has ended. A socket's deadline may be noticed before
// the context's.
func ended(ctx context.Context) bool {
	deadline, ok := ctx.Deadline()
	return ctx.Err() != nil || ok && !time.Now().Before(deadline)
}

// fail records why the request ended; with full, a timeout is a verdict.
func (q *request) fail(phase fault.Phase, err error, full bool) {
	q.trace.Phase, q.trace.Err = phase, err
	switch {
	case fault.OwnLimit(err):
		q.trace.Unknown = &fault.UnknownError{Phase: phase, Err: err}
	case !full && fault.IsTimeout(err) && !errors.Is(err, syscall.ETIMEDOUT): // ETIMEDOUT is the kernel's limit
		q.trace.Unknown = &fault.UnknownError{Phase: phase, Err: fmt.Errorf("%w: %w", fault.ErrTooLittleTime, err)}
	}
}

// parseURL parses a region's URL. The console appends the path of each request
// to it and accepts no blanks. The error wraps fault.ErrMalformedURL and does
// not contain the URL, which may contain a password.
func parseURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	problem := ""
	switch {
	case text == "":
		problem = "it is empty"
	case hasBlank(text):
		problem = "it contains a blank"
	case err != nil:
		problem = "it cannot be parsed"
	case u.Scheme != "https" && u.Scheme != "http":
		problem = "it does not begin with https:// or http://"
	case u.Hostname() == "":
		problem = "it has no host"
	case !validPort(u.Port()):
		problem = "the port is not a number from 1 to 65535"
	default:
		return u, nil
	}
	return nil, fmt.Errorf("%w: %s; expected https://HOST:PORT", fault.ErrMalformedURL, problem)
}

// handshake records what the server presents and verifies it with the region's
// CA. A certificate that is not valid does not end the connection: see
// Trace.Distrust.
func (q *request) handshake(ctx context.Context) error {
	requested := false
	conn := tls.Client(q.plain, &tls.Config{
		ServerName:         q.identity.serverName,
		InsecureSkipVerify: true, // VerifyConnection verifies
		VerifyConnection: func(s tls.ConnectionState) error {
			q.served(s.PeerCertificates)
			return nil
		},
		// Without it, crypto/tls sends no certificate to a server that does
		// not name its issuer, and the diagnosis would be wrong.
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			requested = true
			return &q.identity.certificate, nil
		},
		NextProtos: []string{"http/1.1"}, // as the console's urllib3
		// As the console's OpenSSL 3.0, except X448. With X25519MLKEM768, Go's
		// first choice, the ClientHello would need two packets instead of one.
		CurvePreferences: []tls.CurveID{tls.X25519, tls.CurveP256, tls.CurveP384, tls.CurveP521},
	})
	q.conn = conn
	err := conn.HandshakeContext(ctx)
	if err == nil {
		state := conn.ConnectionState()
		q.trace.TLSVersion, q.trace.CipherSuite = tls.VersionName(state.Version), tls.CipherSuiteName(state.CipherSuite)
		q.trace.CertificateNotRequested = !requested
	}
	return err
}

// served records the certificates of the server and verifies them.
func (q *request) served(chain []*x509.Certificate) {
	q.chain = chain
	for _, cert := range chain {
		q.trace.Served = append(q.trace.Served, cert.Raw)
	}
	if len(chain) == 0 {
		q.trace.Distrust = errors.New("the server presented no certificate")
		return
	}
	q.verify(time.Now())
}

// verify sets Distrust and NotForRbdAPI by the certificates served, at the given
// time. It verifies the signature before the validity and the name, because
// the other two mean nothing without it.
func (q *request) verify(now time.Time) {
	leaf := q.chain[0]
	errName := leaf.VerifyHostname(q.identity.serverName)
	err := q.verifyChain(now)
	if expired := (x509.CertificateInvalidError{}); errors.As(err, &expired) && expired.Reason == x509.Expired {
		within := leaf.NotBefore.Add(leaf.NotAfter.Sub(leaf.NotBefore) / 2)
		if unknown := (x509.UnknownAuthorityError{}); errors.As(q.verifyChain(within), &unknown) {
			err = unknown
		}
	}
	unknown := x509.UnknownAuthorityError{}
	q.trace.NotForRbdAPI = errors.As(err, &unknown) && errName != nil
	q.trace.Distrust = err
	if err == nil {
		q.trace.Distrust = errName
	}
}

func (q *request) verifyChain(now time.Time) error {
	intermediates := x509.NewCertPool()
	for _, cert := range q.chain[1:] {
		intermediates.AddCert(cert)
	}
	_, err := q.chain[0].Verify(x509.VerifyOptions{
		Roots: q.identity.roots(), Intermediates: intermediates, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	})
	return err
}
