package probe

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/rainbond-exporter/rainbond-exporter/fault"
)

const (
	maxResponse = 256 << 10 // bytes read of a response, headers included
	maxBody     = 4 << 10   // bytes kept of a body
	maxHeader   = 50        // header lines kept
	maxLine     = 200       // bytes kept of a header line
)

// limitResponses makes the responses readable, up to a total number of bytes.
func (q *request) limitResponses(bytes int64) {
	q.limit = &io.LimitedReader{R: q.conn, N: bytes}
	q.response = bufio.NewReader(q.limit)
}

// show requests /v2/show and, after success, /v2/cluster/ready over the same
// connection.
func (q *request) show(ctx context.Context) {
	q.limitResponses(maxResponse)
	reuse, ok := q.showOnce(ctx)
	if ok && reuse && q.correctClock() && q.trace.TokenWithheld {
		q.trace.TokenWithheld = false
		reuse, ok = q.showOnce(ctx)
	}
	if ok && reuse && q.trace.Status == http.StatusOK && !q.trace.WrongPeer() {
		q.ready()
	}
}

// showOnce requests /v2/show. The connection can be used again if reuse is true.
func (q *request) showOnce(ctx context.Context) (reuse, ok bool) {
	get, err := q.get("/v2/show")
	if err != nil {
		q.fail(fault.Resolve, err, true)
		return false, false
	}
	sent := time.Now()
	if !q.phase(ctx, fault.Processing, q.limits.response, func() error {
		if err := q.send(get); err != nil {
			return err
		}
		_, err := q.response.Peek(1)
		return err
	}) {
		return false, false
	}
	received := time.Now()
	full := q.limits.response - received.Sub(sent) // the response has its limit in all
	ok = q.phase(ctx, fault.Transfer, full, func() error {
		r, err := q.receive(get, maxBody)
		if err == nil {
			q.trace.Status, q.trace.Body, reuse = r.status, r.body, r.reuse
			q.trace.Header = headerLines(r.header, string(q.region.Token))
			q.measureClock(r.header.Get("Date"), sent.Add(received.Sub(sent)/2))
		}
		return err
	})
	return reuse, ok
}

// measureClock records the difference between the region's clock and ours. A
// Date header has whole seconds, so it is half a second late on average.
func (q *request) measureClock(date string, ours time.Time) {
	if at, err := http.ParseTime(date); err == nil {
		q.trace.ClockSkew, q.trace.SkewKnown = at.Add(time.Second/2).Sub(ours), true
	}
}

// correctClock verifies again, at the time of the region's clock, a certificate
// that is not valid by ours. It is true if the certificate is valid then: our
// clock is wrong, and not the region's certificate.
func (q *request) correctClock() bool {
	if !q.trace.SkewKnown || len(q.chain) == 0 || !fault.Expired(q.trace.Distrust) {
		return false
	}
	q.verify(time.Now().Add(q.trace.ClockSkew))
	return q.trace.Distrust == nil
}

// get returns a GET request. As the console does, it appends the path to the
// region's URL, so that a URL that ends in a slash gives //v2/show. The token
// is sent to a server with a valid certificate, and over plain HTTP as the
// console sends it.
func (q *request) get(path string) (*http.Request, error) {
	target, err := url.Parse(q.region.URL + path)
	if err != nil {
		return nil, fmt.Errorf("%w: it cannot be parsed", fault.ErrMalformedURL)
	}
	target.User = nil
	r := &http.Request{Method: http.MethodGet, Host: target.Host, URL: target, Header: http.Header{"User-Agent": {userAgent}}}
	if len(q.region.Token) > 0 {
		q.trace.TokenWithheld = q.trace.Distrust != nil
		if !q.trace.TokenWithheld {
			r.Header.Set("Authorization", string(q.region.Token))
		}
	}
	return r, nil
}

// send writes a request. When the server has already closed the connection, its
// alert is the cause; it can still be read.
func (q *request) send(r *http.Request) error {
	err := r.Write(q.conn)
	if err != nil {
		if _, alert := q.response.Peek(1); alert != nil && !errors.Is(alert, io.EOF) {
			return alert
		}
	}
	return err
}

// A response is the part of an HTTP response that is evaluated.
type response struct {
	status int
	header http.Header
	body   []byte // redacted
	reuse  bool   // the body is complete and the connection can be used again
}

// receive reads a response and the first bytes of its body. Errors are redacted.
func (q *request) receive(get *http.Request, most int64) (response, error) {
	token := string(q.region.Token)
	r, err := http.ReadResponse(q.response, get)
	if err != nil {
		if q.limit.N <= 0 { // the reader reports it as a closed connection
			err = fmt.Errorf("the response header has more than %d KiB", maxResponse>>10)
		}
		return response{}, fault.RedactError(err, token)
	}
	defer func() { _ = r.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(r.Body, most))
	return response{r.StatusCode, r.Header, fault.Redact(body, token), !r.Close && int64(len(body)) < most}, fault.RedactError(err, token)
}

// headerLines returns the first lines of a response header, redacted and sorted.
// The values of cookies are left out.
func headerLines(header http.Header, token string) []string {
	var lines []string
	for _, name := range slices.Sorted(maps.Keys(header)) {
		for _, value := range header[name] {
			if len(lines) == maxHeader {
				return lines
			}
			if name == "Set-Cookie" || name == "Authorization" {
				value = "[redacted]"
			}
			line := string(fault.Redact([]byte(name+": "+value), token))
			lines = append(lines, line[:min(len(line), maxLine)])
		}
	}
	return lines
}

// ready requests /v2/cluster/ready. Regions older than v6.9.2 return 404, and
// Ready stays nil.
func (q *request) ready() {
	get, err := q.get("/v2/cluster/ready")
	if err != nil || get.Write(q.conn) != nil {
		return
	}
	r, err := q.receive(get, maxBody)
	if err != nil {
		return
	}
	switch r.status {
	case http.StatusOK:
		q.trace.Ready = map[string]bool{fault.AllChecks: true}
		var body struct {
			Bean struct {
				Checks map[string]string `json:"checks"`
			} `json:"bean"`
		}
		if json.Unmarshal(r.body, &body) == nil {
			for _, check := range readyChecks {
				if result, ok := body.Bean.Checks[check]; ok {
					q.trace.Ready[check] = result == "ok"
				}
			}
		}
	case http.StatusServiceUnavailable:
		q.trace.Ready = map[string]bool{fault.AllChecks: false}
	}
}

// readyChecks are the checks of /v2/cluster/ready (rainbond,
// api/handler/cluster.go). The list is closed, because they are label values.
var readyChecks = []string{"k8s_api", "region_cert"}
