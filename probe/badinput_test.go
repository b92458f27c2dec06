package probe

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rainbond-exporter/rainbond-exporter/fault"
)

// hijacked returns a handler that sends begin, and then sends again repeatedly,
// once per pace.
func hijacked(begin, again string, pace time.Duration) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		_, err = io.WriteString(conn, begin)
		tick := time.NewTicker(max(pace, time.Nanosecond))
		defer tick.Stop()
		for err == nil {
			if pace > 0 {
				<-tick.C
			}
			_, err = io.WriteString(conn, again)
		}
	}
}

// Each hostile response ends in time, needs little memory and has an error text.
func TestHostileServersAreBounded(t *testing.T) {
	_, g := twoGenerations(t)
	const kibi = 1 << 10
	serving := func(show http.HandlerFunc, adapt func(*tls.Config)) fault.Region {
		address, _ := serveAPI(t, g, v69(show, http.StatusOK), func(c *tls.Config) {
			c.NextProtos = []string{"http/1.1"}
			if adapt != nil {
				adapt(c)
			}
		})
		return regionAt(address, g)
	}
	chain := func(n int) func(*tls.Config) {
		return func(c *tls.Config) {
			for range n - 1 {
				c.Certificates[0].Certificate = append(c.Certificates[0].Certificate, c.Certificates[0].Certificate[0])
			}
		}
	}
	for _, row := range []struct {
		name   string
		region fault.Region
		want   string
		text   string
	}{
		{"a host name of 300 bytes", regionAt(strings.Repeat("n", 300)+":8443", g), "resolve/name_unknown", "no such host"},
		{"an endless body", serving(endless, nil), "transfer/wrong_body", "xxxx"},
		{"an endless body in chunks", serving(hijacked("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "1\r\nx\r\n", 0), nil), "transfer/wrong_body", "xxxx"},
		{"a chunk with a huge size", serving(hijacked("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n7fffffffffffffff\r\n", strings.Repeat("x", kibi), 0), nil), "transfer/wrong_body", "xxxx"},
		{"a body with a huge Content-Length", serving(hijacked("HTTP/1.1 200 OK\r\nContent-Length: 9000000000000000000\r\n\r\n", strings.Repeat("x", kibi), 0), nil), "transfer/wrong_body", "xxxx"},
		{"an endless header", serving(hijacked("HTTP/1.1 200 OK\r\nX: ", strings.Repeat("x", kibi), 0), nil), "transfer/other", "the response header has more than 256 KiB"},
		{"endless headers", serving(hijacked("HTTP/1.1 200 OK\r\n", strings.Repeat("X: y\r\n", 200), 0), nil), "transfer/other", "the response header has more than 256 KiB"},
		{"a header one byte at a time", serving(hijacked("HTTP/1.1 200 OK\r\nX: ", "x", 100*time.Millisecond), nil), "transfer/timeout", "i/o timeout"},
		{"a body one byte at a time", serving(hijacked("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", "v", 100*time.Millisecond), nil), "transfer/timeout", "i/o timeout"},
		{"no HTTP at all", serving(hijacked("SSH-2.0-OpenSSH_9.2\r\n", "x", 100*time.Millisecond), nil), "transfer/other", "malformed HTTP"},
		{"a chain of 1,000 certificates", serving(version, chain(1000)), "tls/other", "exceeds maximum of 262144 bytes"},
		{"a chain of 200 certificates", serving(version, chain(200)), "success", "v6.9.8-release"},
	} {
		t.Run(row.name, func(t *testing.T) {
			p, within := newProber(), 1500*time.Millisecond
			if !strings.HasSuffix(row.want, "timeout") { // it ends by itself, and a loaded machine needs time
				p.limits.response, within = 20*time.Second, time.Minute
			}
			begin, before := time.Now(), allocated()
			trace, got := probeWithin(t, p, row.region, within)
			if took, grown := time.Since(begin), allocated()-before; took > 10*within || grown > 32<<20 {
				t.Errorf("took %s and %d KiB", took, grown/kibi)
			}
			text := fmt.Sprint(trace.Err, " ", string(trace.Body))
			if got != row.want || !strings.Contains(text, row.text) {
				t.Errorf("got %s: %.300s\nwant %s: %s", got, text, row.want, row.text)
			}
			if len(trace.Body) > maxBody {
				t.Errorf("%d bytes of the body are kept", len(trace.Body))
			}
		})
	}
}

// allocated returns the bytes that this process has allocated, including those of
// the test servers.
func allocated() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.TotalAlloc
}

func TestRedirectIsNotFollowed(t *testing.T) {
	_, g := twoGenerations(t)
	var requests atomic.Int32
	elsewhere, _ := serveAPI(t, g, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { requests.Add(1) }), nil)
	address, _ := serveAPI(t, g, v69(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "https://"+elsewhere+"/v2/show", http.StatusFound)
	}, http.StatusOK), nil)
	if trace, got := probe(t, newProber(), regionAt(address, g)); got != "processing/status" || trace.Status != http.StatusFound || requests.Load() != 0 {
		t.Errorf("%s, status %d, %d requests elsewhere", got, trace.Status, requests.Load())
	}
}

func TestConsoleLimits(t *testing.T) {
	t.Parallel()
	if consoleLimits != (limits{5 * time.Second, 5 * time.Second, time.Second}) || readTimeout != 30*time.Second {
		t.Errorf("limits %v, read %s", consoleLimits, readTimeout)
	}
	_, g := twoGenerations(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	begin := time.Now()
	trace := new(Prober).Probe(ctx, regionAt(fullPort(t), g))
	failure, _ := fault.FromTrace(trace)
	if took := time.Since(begin); failure.Reason != fault.Dropped || took < connectTimeout || took > connectTimeout+10*time.Second {
		t.Errorf("%v after %s, want dropped after %s", failure, took, connectTimeout)
	}
}
