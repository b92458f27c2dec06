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

// hijacked speaks HTTP by hand: it sends begin, and then again and again what
// follows, at the given pace.
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

// What a server may do to whoever asks it: each ends in time, takes little
// memory, and is said in words.
func TestHostileServersAreBoundedInTimeAndMemory(t *testing.T) {
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
		words  string
	}{
		{"a host name of 300 bytes", regionAt(strings.Repeat("n", 300)+":8443", g), "resolve/name_unknown", "no such host"},
		{"an endless body", serving(endless, nil), "transfer/wrong_body", "xxxx"},
		{"an endless body in chunks", serving(hijacked("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "1\r\nx\r\n", 0), nil), "transfer/wrong_body", "xxxx"},
		{"a chunk that is said to be huge", serving(hijacked("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n7fffffffffffffff\r\n", strings.Repeat("x", kibi), 0), nil), "transfer/wrong_body", "xxxx"},
		{"a body that is said to be huge", serving(hijacked("HTTP/1.1 200 OK\r\nContent-Length: 9000000000000000000\r\n\r\n", strings.Repeat("x", kibi), 0), nil), "transfer/wrong_body", "xxxx"},
		{"an endless header", serving(hijacked("HTTP/1.1 200 OK\r\nX: ", strings.Repeat("x", kibi), 0), nil), "transfer/other", "the answer's headers do not end within 256 KiB"},
		{"endless headers", serving(hijacked("HTTP/1.1 200 OK\r\n", strings.Repeat("X: y\r\n", 200), 0), nil), "transfer/other", "the answer's headers do not end within 256 KiB"},
		{"a header one byte at a time", serving(hijacked("HTTP/1.1 200 OK\r\nX: ", "x", 100*time.Millisecond), nil), "transfer/timeout", "i/o timeout"},
		{"a body one byte at a time", serving(hijacked("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", "v", 100*time.Millisecond), nil), "transfer/timeout", "i/o timeout"},
		{"no HTTP at all", serving(hijacked("SSH-2.0-OpenSSH_9.2\r\n", "x", 100*time.Millisecond), nil), "transfer/other", "malformed HTTP"},
		{"a chain of 1,000 certificates", serving(version, chain(1000)), "tls/other", "exceeds maximum of 262144 bytes"},
		{"a chain of 200 certificates", serving(version, chain(200)), "well", "v6.9.8-release"},
	} {
		t.Run(row.name, func(t *testing.T) {
			begin, before := time.Now(), allocated()
			trace, got := look(t, new(Prober), row.region)
			if took, grown := time.Since(begin), allocated()-before; took > 10*time.Second || grown > 32<<20 {
				t.Errorf("took %s and %d KiB", took, grown/kibi)
			}
			said := fmt.Sprint(trace.Err, " ", string(trace.Body))
			if got != row.want || !strings.Contains(said, row.words) {
				t.Errorf("got %s: %.300s\nwant %s: %s", got, said, row.want, row.words)
			}
			if len(trace.Body) > keptAnswer {
				t.Errorf("%d bytes of the body are kept", len(trace.Body))
			}
		})
	}
}

// allocated is all that this process has allocated so far, the tests' servers
// included.
func allocated() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.TotalAlloc
}

func TestARedirectIsNotFollowed(t *testing.T) {
	_, g := twoGenerations(t)
	var visits atomic.Int32
	elsewhere, _ := serveAPI(t, g, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { visits.Add(1) }), nil)
	address, _ := serveAPI(t, g, v69(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "https://"+elsewhere+"/v2/show", http.StatusFound)
	}, http.StatusOK), nil)
	if trace, got := look(t, new(Prober), regionAt(address, g)); got != "processing/status" || trace.Status != http.StatusFound || visits.Load() != 0 {
		t.Errorf("%s, status %d, %d visits elsewhere", got, trace.Status, visits.Load())
	}
}

func TestTheConsolesOwnLimitsHold(t *testing.T) {
	t.Parallel()
	if connectTimeout != 5*time.Second || readTimeout != 30*time.Second {
		t.Errorf("connect %s, read %s; the console's are 5 s and 30 s", connectTimeout, readTimeout)
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
