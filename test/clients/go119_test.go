package clients

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rainbond-exporter/rainbond-exporter/demo/pki"
	"github.com/rainbond-exporter/rainbond-exporter/fault"
)

// go119 is the compiler of Debian's package golang-1.19. The rbd-api of Rainbond
// 5.x and of 6.0 to 6.1.3 is built with Go 1.19.
const go119 = "/usr/lib/go-1.19/bin/go"

// A loggedServer is a running server with rbd-api's TLS settings.
type loggedServer struct {
	address string
	lines   chan string
}

func startGo119(t *testing.T, f files) *loggedServer {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "server")
	build := exec.CommandContext(t.Context(), go119, "build", "-o", binary, "testdata/server.go")
	build.Env = append(os.Environ(), "GO111MODULE=off", "GOFLAGS=", "GOTOOLCHAIN=", "GOROOT=", "GOCACHE="+filepath.Join(t.TempDir(), "cache"))
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	cmd := exec.CommandContext(t.Context(), binary, f.path("right", "server.pem"), f.path("right", "server.key.pem"), f.path("right", "ca.pem"))
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	address, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	s := &loggedServer{address: strings.TrimSpace(address), lines: make(chan string, 100)}
	go func() {
		defer close(s.lines)
		for scanner := bufio.NewScanner(stderr); scanner.Scan(); {
			s.lines <- scanner.Text()
		}
	}()
	return s
}

// line returns the next line of the log; "" when there is none in time.
func (s *loggedServer) line(wait time.Duration) string {
	select {
	case line := <-s.lines:
		return line
	case <-time.After(wait):
		return ""
	}
}

// TestGo119 compares the log of a real server built with Go 1.19 with what
// package fault makes of it. The messages are in fault/testdata (-update writes
// them).
func TestGo119(t *testing.T) {
	if _, err := os.Stat(go119); err != nil {
		t.Skip("no " + go119 + ": install golang-1.19 (tools/apt golang-1.19)")
	}
	right, err := pki.New(2048, net.IPv4(127, 0, 0, 1))
	if err != nil {
		t.Fatal(err)
	}
	stale, err := pki.New(2048, net.IPv4(127, 0, 0, 1))
	if err != nil {
		t.Fatal(err)
	}
	f := files(t.TempDir())
	for name, text := range map[string][]byte{
		"right-ca.pem": right.CA, "right-client.pem": right.Client, "right-client.key.pem": right.ClientKey,
		"right-server.pem": right.Server, "right-server.key.pem": right.ServerKey,
		"stale-ca.pem": stale.CA, "stale-client.pem": stale.Client, "stale-client.key.pem": stale.ClientKey,
	} {
		if err := os.WriteFile(filepath.Join(string(f), name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	server := startGo119(t, f)
	var captured strings.Builder
	captured.WriteString("# Messages of a server built with Go 1.19.8 with rbd-api's TLS settings: go test ./test/clients -run TestGo119 -update.\n")
	seen := map[string]bool{}
	check := func(who, want string) {
		t.Helper()
		wait := 200 * time.Millisecond
		if want != "" {
			wait = 10 * time.Second
		}
		line := server.line(wait)
		h, ok := fault.FromLogLine([]byte(line))
		switch {
		case want == "" && line == "":
		case !ok || class(h) != want:
			t.Errorf("%s: %q is %s, want %s", who, line, class(h), want)
		case !seen[steady(h.Text)]:
			seen[steady(h.Text)] = true
			fmt.Fprintf(&captured, "%s\t%s\t%s\n", class(h), who, h.Text)
		}
	}
	for _, c := range programs {
		if why := c.missing(t.Context()); why != "" {
			t.Log("without " + why)
			continue
		}
		for _, v := range visits() {
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			c.connect(ctx, f, server.address, v)
			cancel()
			check(fmt.Sprintf("%s %s, verify %q, certificate %q", c.name, v.version(), v.verify, v.cert), expected(c, v))
		}
	}
	differs := map[string]string{ // it accepts TLS 1.0, and logs nothing about plain HTTP
		"benign/old_tls": "benign/client_not_sent", "benign/plain_http": "",
	}
	for _, o := range strangers {
		want, ok := differs[o.want]
		if !ok {
			want = o.want
		}
		o.connect(t.Context(), f, server.address)
		check(o.who, want)
	}
	goes(t.Context(), server.address, &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256}})
	check("a port scan of cipher suites", "benign/no_cipher")
	goes(t.Context(), server.address, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"imap"}})
	check("a port scan of application protocols", "benign/no_application_protocol")
	const path = "../../fault/testdata/handshakes-go1.19.tsv"
	if *update {
		if err := os.WriteFile(path, []byte(captured.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
