package clients

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"regexp"
	"strings"
	"testing"
	"time"
)

// An other is somebody at the TLS listener who fails there for another reason than
// whose certificates they have.
type other struct {
	who     string
	connect func(ctx context.Context, f files, address string)
	want    string
}

// others connect where everything is healthy, and the clients where certificates have
// expired; their lines are the end of the page.
func others(t *testing.T, healthy *place) string {
	t.Helper()
	var text strings.Builder
	text.WriteString(`
## Other clients

| client | after ` + "`http: TLS handshake error from IP:PORT:`" + ` | counted as |
|---|---|---|
`)
	words := func(p *place, o other) string {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		o.connect(ctx, p.files, p.address)
		heard := p.heard(t, true)
		if len(heard) != 1 || class(heard[0]) != o.want {
			t.Errorf("%s: the log has %q, want %s once", o.who, heard, o.want)
			return ""
		}
		return steady(heard[0].Text)
	}
	for _, o := range strangers {
		fmt.Fprintf(&text, "| %s | `%s` | %s |\n", o.who, words(healthy, o), o.want)
	}
	const refused = "client_certificate/client_expired"
	expired, of := newPlace(t, "cert-expired"), map[string]bool{}
	for _, c := range programs {
		for _, tls12 := range []bool{true, false} {
			v := visit{tls12: tls12, cert: "right"}
			of[words(expired, other{c.name + " " + v.version(), func(ctx context.Context, f files, address string) { c.connect(ctx, f, address, v) }, refused})] = true
		}
	}
	for words := range of { // the same for all
		fmt.Fprintf(&text, "| each client above with an expired certificate, TLS 1.2 and 1.3 | `%s` | %s |\n", words, refused)
	}
	return text.String()
}

// strangers are clients of a region where everything is healthy.
var strangers = []other{
	{"Go that expects another server name", func(ctx context.Context, f files, address string) {
		goes(ctx, address, &tls.Config{RootCAs: f.authorities("right"), ServerName: "rbd-api.example.com"})
	}, "trust/bad_certificate"},
	{"Go up to TLS 1.1", func(ctx context.Context, _ files, address string) {
		goes(ctx, address, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11})
	}, "benign/old_tls"},
	{"`curl --tls-max 1.1`", func(ctx context.Context, _ files, address string) {
		execute(ctx, "", "curl", "-s", "--insecure", "--tlsv1.0", "--tls-max", "1.1", "--ciphers", "DEFAULT@SECLEVEL=0", "https://"+address)
	}, "benign/old_tls"},
	{"`openssl s_client -tls1_1`", func(ctx context.Context, _ files, address string) {
		execute(ctx, "", "openssl", "s_client", "-connect", address, "-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0")
	}, "benign/old_tls"},
	{"`curl http://`", func(ctx context.Context, _ files, address string) {
		execute(ctx, "", "curl", "-s", "http://"+address+"/v2/show")
	}, "benign/plain_http"},
	{"`curl telnet://`, which sends what an SSH client sends", func(ctx context.Context, _ files, address string) {
		execute(ctx, "SSH-2.0-OpenSSH_9.2\r\n", "curl", "--silent", "--max-time", "2", "telnet://"+address)
	}, "benign/not_tls"},
	{"a load balancer that connects and closes", func(ctx context.Context, _ files, address string) {
		if conn, err := new(net.Dialer).DialContext(ctx, "tcp", address); err == nil {
			_ = conn.Close()
		}
	}, "benign/closed"},
	{"a load balancer that connects and resets", func(ctx context.Context, _ files, address string) {
		if conn, err := new(net.Dialer).DialContext(ctx, "tcp", address); err == nil {
			_, _ = conn.Write([]byte{22}) // so that the server is reading
			_ = conn.(*net.TCPConn).SetLinger(0)
			_ = conn.Close()
		}
	}, "benign/reset"},
}

// goes connects as a Go program does.
func goes(ctx context.Context, address string, config *tls.Config) {
	dialer := tls.Dialer{Config: config}
	if conn, err := dialer.DialContext(ctx, "tcp", address); err == nil {
		_, _ = conn.Write([]byte("GET /v2/show HTTP/1.0\r\n\r\n"))
		_, _ = conn.Read(make([]byte, 1))
		_ = conn.Close()
	}
}

var (
	moments   = regexp.MustCompile(`\d{4}-\d\d-\d\dT[\d:]+Z`)
	addresses = regexp.MustCompile(`127\.0\.0\.1:\d+`)
)

// steady replaces what is another thing each time.
func steady(text string) string {
	return addresses.ReplaceAllString(moments.ReplaceAllString(text, "TIME"), "IP:PORT")
}
