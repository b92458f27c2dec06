package probe

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/rainbond-exporter/rainbond-exporter/fault"
)

// The limits are the console's own (rainbond-console,
// www/apiclient/regionapibaseclient.py). The third of them, that it calls a
// region abnormal whose /v2/show takes above 1 s, is in the alert rules.
const (
	connectTimeout = 5 * time.Second  // of one address; REGION_CONNECTION_TIMEOUT
	readTimeout    = 30 * time.Second // of the whole; REGION_RED_TIMEOUT (sic)
)

const (
	// maxAnswer bounds what is read of an answer, headers included.
	maxAnswer = 256 << 10
	// keptAnswer is what is kept of an answer's body.
	keptAnswer = 4 << 10
	// userAgent identifies the exporter to rbd-api.
	userAgent = "rainbond-exporter"
)

// A Prober asks a region's API as the console asks it: a fresh connection, a
// mutual TLS handshake in which the console's certificate is always presented,
// and GET /v2/show. The zero value is ready for use.
type Prober struct {
	// Resolver finds addresses; nil is the system's.
	Resolver *net.Resolver

	mu         sync.Mutex
	identities map[string]*identity // by region name
}

// Probe makes one request and tells what it saw. It ends with ctx at the
// latest; what had not happened by then is a finding.
func (p *Prober) Probe(ctx context.Context, r fault.Region) fault.Trace {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	q := &request{region: r, trace: fault.Trace{URL: r.URL, Durations: map[fault.Phase]time.Duration{}}}
	begin := time.Now()
	q.run(ctx, p)
	q.trace.Took = time.Since(begin)
	return q.trace
}

// A request is one probe under way.
type request struct {
	region fault.Region
	trace  fault.Trace
	plain  net.Conn
	conn   *tls.Conn
	limit  *io.LimitedReader // of the whole answer
	answer *bufio.Reader
	done   func() // ends the connection; nil before there is one
}

func (q *request) run(ctx context.Context, p *Prober) {
	if target, ok := q.open(ctx, p); ok {
		q.show(target)
	}
	if q.done != nil {
		q.done()
	}
}

// open connects to the region and shakes hands. It is false when something
// failed, which the trace then tells. What done says is to be called, if there
// is any.
func (q *request) open(ctx context.Context, p *Prober) (*url.URL, bool) {
	if q.region.Err != nil && q.region.URL == "" {
		q.trace.Phase, q.trace.Err = fault.TLS, &fault.UnusableError{Part: "region", Err: q.region.Err}
		return nil, false
	}
	target, err := url.Parse(q.region.URL)
	if err != nil || target.Scheme != "https" || target.Hostname() == "" {
		// The parser's own words would repeat what may be a password.
		q.trace.URL = "(not a URL)"
		q.phase(fault.Resolve, func() error { return errors.New("the region's url is not of the form https://host:8443") })
		return nil, false
	}
	q.trace.URL = target.Redacted()
	id, err := p.identity(q.region)
	if err != nil {
		q.trace.Phase, q.trace.Err = fault.TLS, err
		return nil, false
	}
	ips := []string{target.Hostname()}
	if net.ParseIP(ips[0]) == nil && !q.phase(fault.Resolve, func() (err error) {
		ips, err = p.Resolver.LookupHost(ctx, ips[0]) // a nil Resolver is the system's
		return err
	}) {
		return nil, false
	}
	port := target.Port()
	if port == "" {
		port = "443"
	}
	if !q.phase(fault.Connect, func() error { return q.connect(ctx, ips, port) }) {
		return nil, false
	}
	deadline, _ := ctx.Deadline()
	_ = q.plain.SetDeadline(deadline)
	stop := context.AfterFunc(ctx, func() { _ = q.plain.SetDeadline(time.Unix(1, 0)) })
	q.done = func() {
		stop()
		_ = q.plain.Close()
	}
	return target, q.phase(fault.TLS, func() error { return q.handshake(ctx, id) })
}

// listen makes the answers readable, all together up to a number of bytes.
func (q *request) listen(most int64) {
	q.limit = &io.LimitedReader{R: q.conn, N: most}
	q.answer = bufio.NewReader(q.limit)
}

// phase runs and times one phase; false when it failed.
func (q *request) phase(phase fault.Phase, do func() error) bool {
	begin := time.Now()
	if err := do(); err != nil {
		q.trace.Phase, q.trace.Err = phase, err
		return false
	}
	q.trace.Durations[phase] = time.Since(begin)
	return true
}

// connect tries the addresses one after the other, as the console does, each
// for its part of the time; the error tells of every one.
func (q *request) connect(ctx context.Context, ips []string, port string) error {
	var errs []error
	for i, ip := range ips {
		limit := connectTimeout
		if deadline, ok := ctx.Deadline(); ok {
			limit = min(limit, time.Until(deadline)/time.Duration(len(ips)-i))
		}
		dialer := net.Dialer{Timeout: limit}
		q.trace.Address = net.JoinHostPort(ip, port)
		conn, err := dialer.DialContext(ctx, "tcp", q.trace.Address)
		if err == nil {
			q.plain, q.trace.FailedAddresses = conn, errs
			return nil
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// handshake keeps what the server presents and judges it by the region's own
// CA, but ends the connection for neither: see Trace.Distrust.
func (q *request) handshake(ctx context.Context, id *identity) error {
	asked := false
	q.conn = tls.Client(q.plain, &tls.Config{
		ServerName:         id.serverName,
		InsecureSkipVerify: true, // VerifyConnection verifies
		VerifyConnection: func(s tls.ConnectionState) error {
			q.served(s.PeerCertificates, id)
			return nil
		},
		// Without it, crypto/tls sends no certificate to a server that does
		// not name its issuer, and the diagnosis would be wrong.
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			asked = true
			return &id.certificate, nil
		},
		NextProtos: []string{"http/1.1"}, // as the console's urllib3
		// As the console's OpenSSL 3.0 (which has X448, too), and in one packet
		// as from there: with X25519MLKEM768, Go's first choice, it would be two.
		CurvePreferences: []tls.CurveID{tls.X25519, tls.CurveP256, tls.CurveP384, tls.CurveP521},
	})
	err := q.conn.HandshakeContext(ctx)
	q.trace.CertificateNotRequested = err == nil && !asked
	return err
}

func (q *request) served(chain []*x509.Certificate, id *identity) {
	between := x509.NewCertPool()
	for i, cert := range chain {
		q.trace.Served = append(q.trace.Served, cert.Raw)
		if i > 0 {
			between.AddCert(cert)
		}
	}
	if len(chain) == 0 {
		q.trace.Distrust = errors.New("the server presented no certificate")
		return
	}
	_, q.trace.Distrust = chain[0].Verify(x509.VerifyOptions{
		Roots: id.roots(), Intermediates: between, DNSName: id.serverName,
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	})
}

// show asks for /v2/show and, when that is well, for /v2/cluster/ready over
// the same connection.
func (q *request) show(target *url.URL) {
	q.listen(maxAnswer)
	asked := q.get(target, "/v2/show")
	if !q.phase(fault.Processing, func() error {
		if err := q.send(asked); err != nil {
			return err
		}
		_, err := q.answer.Peek(1)
		return err
	}) {
		return
	}
	reuse := false
	if !q.phase(fault.Transfer, func() (err error) {
		q.trace.Status, q.trace.Body, reuse, err = q.receive(asked, keptAnswer)
		return err
	}) {
		return
	}
	if reuse && q.trace.Status == http.StatusOK && q.trace.Distrust == nil {
		q.ready(target)
	}
}

func (q *request) get(target *url.URL, path string) *http.Request {
	r := &http.Request{
		Method: http.MethodGet, Host: target.Host, URL: &url.URL{Scheme: "https", Host: target.Host, Path: path},
		Header: http.Header{"User-Agent": {userAgent}},
	}
	if len(q.region.Token) > 0 && q.trace.Distrust == nil {
		r.Header.Set("Authorization", string(q.region.Token))
	}
	return r
}

// send writes a request. When the server has broken off already, its alert
// says why, and is waiting to be read: then what is read counts.
func (q *request) send(r *http.Request) error {
	err := r.Write(q.conn)
	if err != nil {
		if _, alert := q.answer.Peek(1); alert != nil && !errors.Is(alert, io.EOF) {
			return alert
		}
	}
	return err
}

// receive reads an answer, and as much of its body as may be kept. The
// connection can be used again when that was all of it.
func (q *request) receive(asked *http.Request, kept int64) (status int, body []byte, reuse bool, err error) {
	response, err := http.ReadResponse(q.answer, asked)
	if err != nil {
		if q.limit.N <= 0 { // which looks as if the server had closed
			err = fmt.Errorf("the answer's headers do not end within %d KiB", maxAnswer>>10)
		}
		return 0, nil, false, fault.RedactError(err, string(q.region.Token))
	}
	defer func() { _ = response.Body.Close() }()
	body, err = io.ReadAll(io.LimitReader(response.Body, kept))
	return response.StatusCode, fault.Redact(body, string(q.region.Token)), !response.Close && int64(len(body)) < kept, fault.RedactError(err, string(q.region.Token))
}

// ready asks for what the region says of itself. A region older than v6.9.2
// does not know the question; nothing is then known, and nothing wrong.
func (q *request) ready(target *url.URL) {
	asked := q.get(target, "/v2/cluster/ready")
	if asked.Write(q.conn) != nil {
		return
	}
	status, body, _, err := q.receive(asked, keptAnswer)
	if err != nil {
		return
	}
	switch status {
	case http.StatusOK:
		q.trace.Ready = map[string]bool{fault.AllChecks: true}
		var said struct {
			Bean struct {
				Checks map[string]string `json:"checks"`
			} `json:"bean"`
		}
		if json.Unmarshal(body, &said) == nil {
			for _, check := range readyChecks {
				if word, ok := said.Bean.Checks[check]; ok {
					q.trace.Ready[check] = word == "ok"
				}
			}
		}
	case http.StatusServiceUnavailable:
		q.trace.Ready = map[string]bool{fault.AllChecks: false}
	}
}

// readyChecks are what /v2/cluster/ready checks (rainbond,
// api/handler/cluster.go). A closed list: they become label values.
var readyChecks = []string{"k8s_api", "region_cert"}

// An identity is what a console proves itself with, and whom it trusts, ready
// for use: parsing RSA-4096 certificates anew would cost as much as the probe.
type identity struct {
	sum         fault.Sum // of the copy it was made of
	serverName  string
	certificate tls.Certificate
	authorities [][]byte // the CA's certificates, as DER: parsed, with a pool around them, they would fill three times the memory
}

// roots are the authorities, ready for use.
func (id *identity) roots() *x509.CertPool {
	pool := x509.NewCertPool()
	for _, der := range id.authorities {
		if cert, err := x509.ParseCertificate(der); err == nil {
			pool.AddCert(cert)
		}
	}
	return pool
}

// identity returns the region's identity, made anew when its copy changed.
// The error is a fault.UnusableError.
func (p *Prober) identity(r fault.Region) (*identity, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	serverName := r.ServerName
	if serverName == "" {
		serverName = fault.DefaultServerName
	}
	sum := fault.SumOf([]byte(serverName), r.CA, r.Cert, r.Key)
	if old, ok := p.identities[r.Name]; ok && old.sum == sum {
		return old, nil
	}
	id := &identity{sum: sum, serverName: serverName}
	for _, part := range []struct {
		name string
		kind fault.Kind
		pem  []byte
		key  fault.Secret
	}{{"CA", fault.CA, r.CA, nil}, {"client certificate", fault.Client, r.Cert, append(fault.Secret{}, r.Key...)}} {
		reading := fault.ReadCopy(fault.Copy{Place: r.Place, Kind: part.kind, PEM: part.pem, Key: part.key})
		switch {
		case reading.Damage != "":
			return nil, &fault.UnusableError{Part: part.name, Err: fmt.Errorf("%s: %s", reading.Damage, reading.Message)}
		case reading.KeyMismatch != "":
			return nil, &fault.UnusableError{Part: "client key", Err: errors.New(reading.KeyMismatch)}
		}
	}
	id.authorities = fault.Certificates(r.CA)
	var err error
	if id.certificate, err = tls.X509KeyPair(r.Cert, r.Key); err != nil {
		return nil, &fault.UnusableError{Part: "client certificate", Err: err}
	}
	id.certificate.Leaf = nil // a client has no use for it
	if p.identities == nil {
		p.identities = map[string]*identity{}
	}
	p.identities[r.Name] = id
	return id, nil
}
