package probe

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rainbond-exporter/rainbond-exporter/demo/pki"
	"github.com/rainbond-exporter/rainbond-exporter/fault"
)

// A timeout within the console's limits is a verdict; one by the end of the
// collection is not. What the region itself did is a verdict in any time.
func TestProbeWithoutItsFullLimits(t *testing.T) {
	_, g := twoGenerations(t)
	noResponse := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	stalledTLS := listener(t, func(*net.TCPConn) { <-t.Context().Done() })
	stalled, _ := serveAPI(t, g, noResponse, nil)
	healthy, _ := serveAPI(t, g, v69(version, http.StatusOK), nil)
	const short = 200 * time.Millisecond // less than each limit
	for _, row := range []struct {
		name       string
		address    string
		full, less string
	}{
		{"dropped", fullPort(t), "connect/dropped", "unknown"},
		{"no handshake", stalledTLS, "tls/timeout", "unknown"},
		{"no response", stalled, "processing/timeout", "unknown"},
		{"refused", closedPort(t), "connect/refused", "connect/refused"},
		{"healthy", healthy, "success", "success"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			if trace, got := probe(t, newProber(), regionAt(row.address, g)); got != row.full {
				t.Errorf("with full limits: got %s (%v), want %s", got, trace.Unknown, row.full)
			}
			timeout := short
			if row.name == "healthy" {
				timeout = 4 * time.Second // a loaded machine needs more for the handshake
			}
			trace, got := probeWithin(t, newProber(), regionAt(row.address, g), timeout)
			if got != row.less {
				t.Errorf("within %s: got %s (%v), want %s", timeout, got, trace.Unknown, row.less)
			}
			if row.less == "unknown" && !errors.Is(trace.Unknown, fault.ErrTooLittleTime) {
				t.Errorf("unknown because of %v", trace.Unknown)
			}
		})
	}
}

func TestCanceledProbeIsUnknown(t *testing.T) {
	_, g := twoGenerations(t)
	stalledTLS := listener(t, func(*net.TCPConn) { <-t.Context().Done() })
	for _, address := range []string{stalledTLS, fullPort(t)} {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(100*time.Millisecond, cancel)
		if got := result(newProber().Probe(ctx, regionAt(address, g))); got != "unknown" {
			t.Errorf("%s: got %s", address, got)
		}
	}
}

// Each of several addresses gets its full limit, even if there is no time for
// one after the other.
func TestSeveralDroppedAddresses(t *testing.T) {
	_, g := twoGenerations(t)
	first := fullPortAt(t, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 77}})
	_, port, _ := net.SplitHostPort(first)
	number := 0
	if _, err := fmt.Sscan(port, &number); err != nil {
		t.Fatal(err)
	}
	fullPortAt(t, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 78}, Port: number})
	for _, row := range []struct {
		timeout time.Duration
		want    string
	}{{1800 * time.Millisecond, "connect/dropped"}, {700 * time.Millisecond, "unknown"}} {
		p := &Prober{limits: testLimits, Resolver: nameServer(t, 0, []string{"127.0.0.77", "127.0.0.78"}, false)}
		trace, got := probeWithin(t, p, regionAt("region.example:"+port, g), row.timeout)
		if got != row.want {
			t.Errorf("within %s: got %s (%v), want %s", row.timeout, got, trace.Err, row.want)
		}
	}
}

func TestOwnNameServerIsUnknown(t *testing.T) {
	_, g := twoGenerations(t)
	mute, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = mute.Close() })
	closed, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = closed.Close()
	resolver := func(dial func(ctx context.Context) (net.Conn, error)) *net.Resolver {
		return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) }}
	}
	to := func(address net.Addr) func(context.Context) (net.Conn, error) {
		return func(ctx context.Context) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "udp", address.String())
		}
	}
	for _, row := range []struct {
		name     string
		resolver *net.Resolver
		cause    error
	}{
		{"no response to any query", resolver(to(mute.LocalAddr())), fault.ErrNoNameServer},
		{"no process on the port", resolver(to(closed.LocalAddr())), fault.ErrNoNameServer},
		{"no descriptors", resolver(func(context.Context) (net.Conn, error) {
			return nil, &net.OpError{Op: "dial", Err: os.NewSyscallError("socket", syscall.EMFILE)}
		}), syscall.EMFILE},
		{"panic", resolver(func(context.Context) (net.Conn, error) { panic("boom") }), nil},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			trace, got := probe(t, &Prober{limits: testLimits, Resolver: row.resolver}, regionAt("region.example:8443", g))
			if got != "unknown" || row.cause != nil && !errors.Is(trace.Unknown, row.cause) {
				t.Errorf("got %s (%v), want unknown because of %v", got, trace.Unknown, row.cause)
			}
		})
	}
}

// The child process has no descriptors left, as under ulimit -n.
func TestNoDescriptorsIsUnknown(t *testing.T) {
	if os.Getenv("PROBE_WITHOUT_DESCRIPTORS") != "" {
		_, g := twoGenerations(t)
		address := closedPort(t)
		next, err := os.Open(os.DevNull)
		if err != nil {
			t.Fatal(err)
		}
		limit := syscall.Rlimit{Cur: uint64(next.Fd()), Max: uint64(next.Fd())}
		_ = next.Close()
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
			t.Fatal(err)
		}
		trace, got := probe(t, newProber(), regionAt(address, g))
		fmt.Printf("address: %s %t\n", got, errors.Is(trace.Unknown, syscall.EMFILE))
		_, got = probe(t, newProber(), regionAt("region.example:8443", g))
		fmt.Printf("name: %s\n", got)
		return
	}
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestNoDescriptorsIsUnknown$")
	child.Env = append(os.Environ(), "PROBE_WITHOUT_DESCRIPTORS=1")
	out, err := child.CombinedOutput()
	for _, want := range []string{"address: unknown true\n", "name: unknown\n"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("%v, no %q in:\n%s", err, want, out)
		}
	}
}

func TestFilesOfTheConsolesContainerAreUnknown(t *testing.T) {
	r := fault.Region{Name: "r", URL: "https://127.0.0.1:1", Place: fault.Console, Err: fmt.Errorf("cert_file: /app/region/ssl/client.pem %w", fault.ErrConsoleOnly)}
	if trace, got := probe(t, newProber(), r); got != "unknown" || !errors.Is(trace.Unknown, fault.ErrConsoleOnly) {
		t.Errorf("got %s (%v)", got, trace.Unknown)
	}
}

func TestCarriageReturnsInColumnsSendNoCertificate(t *testing.T) {
	_, g := twoGenerations(t)
	address, _ := serveAPI(t, g, v69(version, http.StatusOK), nil)
	for _, row := range []struct {
		columns bool
		want    string
	}{{true, "tls/client_unreadable"}, {false, "success"}} {
		r := regionAt(address, g)
		r.Cert, r.Columns = append(r.Cert[:len(r.Cert):len(r.Cert)], '\r'), row.columns
		if trace, got := probe(t, newProber(), r); got != row.want {
			t.Errorf("columns %t: got %s (%v), want %s", row.columns, got, trace.Err, row.want)
		}
	}
}

// The clock of the exporter is a day and a half ahead. A certificate that is
// expired by this clock is valid by the clock of the region.
func TestWrongClockIsNotAnExpiredCertificate(t *testing.T) {
	now := time.Now()
	g, err := pki.NewValid(2048, now.Add(-48*time.Hour), now.Add(-24*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	var tokens []string
	address, _ := serveAPI(t, g, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Date", now.Add(-36*time.Hour).UTC().Format(http.TimeFormat))
		if tokens = append(tokens, r.Header.Get("Authorization")); r.Header.Get("Authorization") == "" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		version(w, r)
	}), withoutClientVerification)
	r := regionAt(address, g)
	r.Token = fault.Secret("t0ken-of-the-region")
	trace, got := probe(t, newProber(), r)
	if skew := trace.ClockSkew + 36*time.Hour; got != "success" || !trace.SkewKnown || skew.Abs() > 5*time.Second {
		t.Errorf("got %s (%v, %v), clock skew %s", got, trace.Err, trace.Distrust, trace.ClockSkew)
	}
	if len(tokens) < 2 || tokens[0] != "" || tokens[1] == "" {
		t.Errorf("tokens %q", tokens)
	}
	if trace, got = probe(t, newProber(), regionAt(healthyAddress(t), mustNow(t))); got != "success" || trace.ClockSkew.Abs() > 3*time.Second {
		t.Errorf("got %s, clock skew %s of a region on this host", got, trace.ClockSkew)
	}
}

func mustNow(t *testing.T) pki.Generation {
	_, g := twoGenerations(t)
	return g
}

func healthyAddress(t *testing.T) string {
	address, _ := serveAPI(t, mustNow(t), v69(version, http.StatusOK), nil)
	return address
}
