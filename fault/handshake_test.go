package fault

import (
	"bytes"
	"os"
	"slices"
	"strings"
	"testing"
)

// captured lists messages that real clients caused in the log of a real rbd-api
// or of a server with its TLS settings. testdata/handshakes.tsv has those of
// other Go versions.
var captured = []struct {
	client string
	text   string
	class  Class
	reason Reason
}{
	{"Go that does not trust the region", "remote error: tls: bad certificate", Trust, "bad_certificate"},
	{"OpenSSL 3 that verifies, TLS 1.2", "remote error: tls: unknown certificate authority", Trust, "unknown_ca"},
	{"OpenSSL 3 that verifies, TLS 1.3", "local error: tls: bad record MAC", Trust, "bad_record_mac"},
	{"OpenSSL 1.1, the page's own line", "remote error: tls: error decrypting message", Trust, "decrypt_error"},
	{"curl -k with a stale certificate", `tls: failed to verify certificate: x509: certificate signed by unknown authority (possibly because of "crypto/rsa: verification error" while trying to verify candidate authority certificate "Goodrain, INC.")`, ClientCertificate, "client_unknown_ca"},
	{"an expired certificate", "tls: failed to verify certificate: x509: certificate has expired or is not yet valid: current time 2026-11-24T08:00:00Z is after 2020-01-01T00:00:00Z", ClientCertificate, "client_expired"},
	{"curl -k without a certificate", "tls: client didn't provide a certificate", Benign, ClientNotSent},
	{"curl --tls-max 1.1", "tls: client offered only unsupported versions: [302 301]", Benign, OldTLS},
	{"telnet", "EOF", Benign, Closed},
	{"curl http://", "client sent an HTTP request to an HTTPS server", Benign, PlainHTTP},
	{"a port scan", "tls: first record does not look like a TLS handshake", Benign, "not_tls"},
	{"a load balancer", "read tcp 10.42.0.17:8443->10.42.0.1:49522: read: connection reset by peer", Benign, Reset},
	{"an idle client", "read tcp 10.42.0.17:8443->10.42.0.1:49522: i/o timeout", Benign, Timeout},
	{"something new", "tls: the moon is full", UnknownHandshake, Other},
}

func TestCapturedMessages(t *testing.T) {
	for _, row := range captured {
		t.Run(row.client, func(t *testing.T) {
			for _, peer := range []string{"10.42.0.1:49522", "[fd00::1]:49522"} {
				line := "2026/11/23 16:02:04 http: TLS handshake error from " + peer + ": " + row.text
				got, ok := FromLogLine([]byte(line))
				want := Handshake{Peer: peer, Class: row.class, Reason: row.reason, Text: row.text}
				if !ok || got != want {
					t.Errorf("got  %+v, %v\nwant %+v", got, ok, want)
				}
			}
		})
	}
}

func TestOtherLinesDoNotMatch(t *testing.T) {
	for _, line := range []string{
		"",
		"INFO[2026/11/23 16:00:41] ip=unknown module=rbd-api api listen on (HTTPs) 127.0.0.1:8443",
		"ERROR[2026/11/23 16:00:41] ip=10.0.0.1 module=rbd-api say: http: TLS handshake error from 10.42.0.1:1: EOF",
		"2026/11/23 16:02:04 http: TLS handshake error from nobody",
		"2026/11/23 16:02:04 http: superfluous response.WriteHeader call",
		strings.Repeat("\x00\xff", 40),
	} {
		if got, ok := FromLogLine([]byte(line)); ok {
			t.Errorf("%q matches as %+v", line, got)
		}
	}
}

func TestOtherLinesDoNotAllocate(t *testing.T) {
	line := []byte("INFO[2026/11/23 16:00:41] ip=unknown module=rbd-api api listen on (HTTPs) 127.0.0.1:8443")
	if n := testing.AllocsPerRun(100, func() { FromLogLine(line) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestLongLineIsTruncated(t *testing.T) {
	line := append([]byte("http: TLS handshake error from 10.0.0.1:1: tls: "), bytes.Repeat([]byte("x"), 10<<20)...)
	got, ok := FromLogLine(line)
	if !ok || len(got.Text) > maxHandshakeText {
		t.Errorf("%v, %d bytes", ok, len(got.Text))
	}
}

func FuzzFromLogLine(f *testing.F) {
	for _, row := range captured {
		f.Add([]byte("2026/11/23 16:02:04 http: TLS handshake error from 10.42.0.1:49522: " + row.text))
	}
	f.Add([]byte("http: TLS handshake error from : "))
	f.Fuzz(func(t *testing.T, line []byte) {
		h, ok := FromLogLine(line)
		if !ok {
			return
		}
		if !bytes.Contains(line, handshakeMark) {
			t.Errorf("%q has no mark", line)
		}
		if !slices.Contains(Classes, h.Class) || !slices.ContainsFunc(HandshakePatterns, func(s HandshakePattern) bool { return s.Class == h.Class && s.Reason == h.Reason }) {
			t.Errorf("%q: %s/%s is in no closed list", line, h.Class, h.Reason)
		}
	})
}

func BenchmarkOrdinaryLine(b *testing.B) {
	line := []byte("INFO[2026/11/23 16:00:41] ip=unknown module=rbd-api api listen on (HTTPs) 127.0.0.1:8443, and some more words")
	b.SetBytes(int64(len(line)))
	for b.Loop() {
		FromLogLine(line)
	}
}

// The messages of the Go versions with which rbd-api was built. Each line is the
// class and the reason, the client, and the message.
func TestMessagesOfOtherGoVersions(t *testing.T) {
	for _, path := range []string{"testdata/handshakes-go1.19.tsv", "testdata/handshakes.tsv"} {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		rows := 0
		for line := range strings.Lines(string(text)) {
			if strings.HasPrefix(line, "#") {
				continue
			}
			fields := strings.SplitN(strings.TrimSuffix(line, "\n"), "\t", 3)
			h, ok := FromLogLine([]byte("2025/01/20 10:11:12 http: TLS handshake error from 10.42.0.1:36292: " + fields[2]))
			if got := string(h.Class) + "/" + string(h.Reason); !ok || got != fields[0] {
				t.Errorf("%s: %s is %s, want %s", path, fields[2], got, fields[0])
			}
			rows++
		}
		if rows < 10 {
			t.Errorf("%s: only %d messages", path, rows)
		}
	}
}
