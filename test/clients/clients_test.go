// Package clients proves with real programs what the log of rbd-api
// contains when they fail, and how it is classified.
package clients

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rainbond-exporter/rainbond-exporter/console"
	"github.com/rainbond-exporter/rainbond-exporter/demo"
	"github.com/rainbond-exporter/rainbond-exporter/demo/pki"
	"github.com/rainbond-exporter/rainbond-exporter/fault"
	"github.com/rainbond-exporter/rainbond-exporter/kube"
	"github.com/rainbond-exporter/rainbond-exporter/probe"
)

var update = flag.Bool("update", false, "write docs/handshakes.md instead of comparing it")

// A visit is one connection to the TLS listener.
type visit struct {
	tls12  bool   // at most TLS 1.2; else TLS 1.3
	verify string // whose CA the client verifies with: "" (not at all), "right" or "stale"
	cert   string // whose certificate it shows: "" (none), "right" or "stale"
}

func (v visit) version() string {
	if v.tls12 {
		return "1.2"
	}
	return "1.3"
}

// visits is every combination.
func visits() []visit {
	var all []visit
	for _, verify := range []string{"", "right", "stale"} {
		for _, cert := range []string{"right", "stale", ""} {
			for _, tls12 := range []bool{true, false} {
				all = append(all, visit{tls12, verify, cert})
			}
		}
	}
	return all
}

// A client connects with a real program.
type client struct {
	name    string
	program string   // "" is this very program
	library []string // the arguments for its TLS library
	connect func(ctx context.Context, f files, address string, v visit)
}

// files is where both sets of certificates are: right-ca.pem, stale-client.pem, ...
type files string

func (f files) path(whose, what string) string { return filepath.Join(string(f), whose+"-"+what) }

func (f files) authorities(whose string) *x509.CertPool {
	ca, _ := os.ReadFile(f.path(whose, "ca.pem")) // without it nobody is trusted, which a test reports
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca)
	return pool
}

// serverName is the name in every certificate of the operator.
const serverName = fault.DefaultServerName

var programs = []client{
	{"Go", "", nil, connectGo},
	{"curl", "curl", []string{"--version"}, func(ctx context.Context, f files, address string, v visit) {
		_, port, _ := net.SplitHostPort(address)
		args := []string{"-s", "--max-time", "5", "--resolve", serverName + ":" + port + ":127.0.0.1"}
		if v.tls12 {
			args = append(args, "--tls-max", "1.2")
		}
		if v.verify == "" {
			args = append(args, "--insecure")
		} else {
			args = append(args, "--cacert", f.path(v.verify, "ca.pem"))
		}
		if v.cert != "" {
			args = append(args, "--cert", f.path(v.cert, "client.pem"), "--key", f.path(v.cert, "client.key.pem"))
		}
		execute(ctx, "", "curl", append(args, "https://"+serverName+":"+port+"/v2/show")...)
	}},
	{"openssl s_client", "openssl", []string{"version"}, func(ctx context.Context, f files, address string, v visit) {
		args := []string{"s_client", "-connect", address, "-servername", serverName}
		if v.tls12 {
			args = append(args, "-tls1_2")
		}
		if v.verify != "" {
			args = append(args, "-verify_return_error", "-CAfile", f.path(v.verify, "ca.pem"))
		}
		if v.cert != "" {
			args = append(args, "-cert", f.path(v.cert, "client.pem"), "-key", f.path(v.cert, "client.key.pem"))
		}
		execute(ctx, "GET /v2/show HTTP/1.0\r\n\r\n", "openssl", append(args, "-quiet", "-no_ign_eof")...)
	}},
	{"Python ssl", "python3", []string{"-c", "import ssl; print(ssl.OPENSSL_VERSION)"}, func(ctx context.Context, f files, address string, v visit) {
		host, port, _ := net.SplitHostPort(address)
		ca, cert := "", ""
		if v.verify != "" {
			ca = f.path(v.verify, "ca.pem")
		}
		if v.cert != "" {
			cert = f.path(v.cert, "client")
		}
		execute(ctx, python, "python3", "-", host, port, ca, cert, "TLSv"+strings.ReplaceAll(v.version(), ".", "_"))
	}},
}

// python asks as a Python program would; the arguments are host, port, CA
// ("": do not verify), client certificate without its ending ("": none) and
// the highest version.
const python = `
import socket, ssl, sys
host, port, ca, cert, version = sys.argv[1:]
c = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
c.maximum_version = ssl.TLSVersion[version]
if ca:
    c.load_verify_locations(ca)
else:
    c.check_hostname = False
    c.verify_mode = ssl.CERT_NONE
if cert:
    c.load_cert_chain(cert + ".pem", cert + ".key.pem")
with socket.create_connection((host, int(port)), 5) as s:
    with c.wrap_socket(s, server_hostname="rbd-api-api") as t:
        t.sendall(b"GET /v2/show HTTP/1.0\r\n\r\n")
        t.recv(4096)
`

// execute runs a program whose failure is what we are after.
func execute(ctx context.Context, input, name string, args ...string) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdin = strings.NewReader(input)
	_ = cmd.Run()
}

func connectGo(ctx context.Context, f files, address string, v visit) {
	config := &tls.Config{ServerName: serverName, InsecureSkipVerify: v.verify == ""}
	if v.tls12 {
		config.MaxVersion = tls.VersionTLS12
	}
	if v.verify != "" {
		config.RootCAs = f.authorities(v.verify)
	}
	if v.cert != "" {
		pair, err := tls.LoadX509KeyPair(f.path(v.cert, "client.pem"), f.path(v.cert, "client.key.pem"))
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, err }
	}
	goes(ctx, address, config)
}

// missing returns why a client cannot be used; "" when it can. The messages of
// the others with another library than OpenSSL 3 are not known here.
func (c client) missing(ctx context.Context) string {
	if c.program == "" {
		return ""
	}
	out, err := exec.CommandContext(ctx, c.program, c.library...).Output()
	switch {
	case err != nil:
		return c.program + " (not installed)"
	case !strings.Contains(strings.ReplaceAll(string(out), "OpenSSL/", "OpenSSL "), "OpenSSL 3"):
		return c.program + " (not built with OpenSSL 3)"
	}
	return ""
}

// expected is what the log must contain, by who distrusts whom. A
// client on OpenSSL 3 cannot verify a region's certificate even by the right
// CA: issuer and subject are the same name, so it takes it for self-signed.
func expected(c client, v visit) string {
	distrusts := v.verify == "stale" || v.verify == "right" && c.program != ""
	switch {
	case distrusts && c.program == "":
		return "trust/bad_certificate"
	case distrusts && v.tls12:
		return "trust/unknown_ca"
	case distrusts:
		return "trust/bad_record_mac"
	case v.cert == "":
		return "benign/client_not_sent"
	case v.cert == "stale":
		return "client_certificate/client_unknown_ca"
	}
	return ""
}

// A place is one of the demo's regions with what is needed to connect.
type place struct {
	files   files
	regions func(context.Context) ([]fault.Region, error)
	address string
	logs    *kube.LogReader
	stale   pki.Generation
}

func newPlace(t *testing.T, scenario string) *place {
	t.Helper()
	d, err := demo.Start(t.Context(), demo.Options{Bits: 2048, Scenario: scenario})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	kubeconfig, err := kube.LoadConfig(d.Kubeconfig(), "")
	if err != nil {
		t.Fatal(err)
	}
	kube, err := kube.New(t.Context(), kubeconfig, demo.Namespace, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	config, err := console.Open(d.ConfigFile())
	if err != nil {
		t.Fatal(err)
	}
	p := &place{files: files(t.TempDir()), regions: config.Regions, logs: kube.LogReader()}
	known, err := config.Regions(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	p.address = strings.TrimPrefix(known[0].URL, "https://")
	if p.stale, err = pki.New(2048, net.IPv4(127, 0, 0, 1)); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string][]byte{
		"right-ca.pem": known[0].CA, "right-client.pem": known[0].Cert, "right-client.key.pem": known[0].Key,
		"stale-ca.pem": p.stale.CA, "stale-client.pem": p.stale.Client, "stale-client.key.pem": p.stale.ClientKey,
	} {
		if err := os.WriteFile(filepath.Join(string(p.files), name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p.heard(t, false) // earlier lines
	return p
}

// heard returns the new lines of the log, waiting
// for it when something must come.
func (p *place) heard(t *testing.T, must bool) (all []fault.Handshake) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(5 * time.Second); ; <-tick.C {
		err := p.logs.Read(t.Context(), func(_ time.Time, line []byte) {
			if h, ok := fault.FromLogLine(line); ok {
				all = append(all, h)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		if len(all) > 0 || !must || time.Now().After(deadline) {
			return all
		}
	}
}

// ours is the result of our own probe with the copy that the client used.
func (p *place) ours(t *testing.T, v visit) string {
	t.Helper()
	if v.cert == "" {
		return "–" // a probe always shows a certificate
	}
	known, err := p.regions(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	r := known[0]
	if v.verify == "stale" {
		r.CA = p.stale.CA
	}
	if v.cert == "stale" {
		r.Cert, r.Key = p.stale.Client, p.stale.ClientKey
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	failure, failed := fault.FromTrace(new(probe.Prober).Probe(ctx, r))
	p.heard(t, failed && failure.Reason == fault.ClientRefused) // the line that our own probe leaves
	if !failed {
		return "success"
	}
	return string(failure.Phase) + "/" + string(failure.Reason)
}

// class returns class and reason of a failed handshake.
func class(h fault.Handshake) string { return fmt.Sprintf("%s/%s", h.Class, h.Reason) }

func TestLogOfEachClient(t *testing.T) {
	var missing []string
	p := newPlace(t, "healthy")
	table := map[visit]map[string]string{}
	var words spoken
	for _, v := range visits() {
		table[v] = map[string]string{"our probe": p.ours(t, v)}
	}
	for _, c := range programs {
		if why := c.missing(t.Context()); why != "" {
			missing = append(missing, why)
			continue
		}
		for _, v := range visits() {
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			want := expected(c, v)
			c.connect(ctx, p.files, p.address, v)
			cancel()
			var got []string
			for _, h := range p.heard(t, want != "") {
				got = append(got, class(h))
				words.add(h, c.name+" "+v.version())
			}
			table[v][c.name] = strings.Join(got, " ")
			if table[v][c.name] != want {
				t.Errorf("%s %+v: the log has %q, want %q", c.name, v, got, want)
			}
		}
	}
	if len(missing) > 0 {
		t.Skipf("docs/handshakes.md is not compared without %s", strings.Join(missing, ", "))
	}
	compare(t, page(table, words)+others(t, p))
}

// spoken is the text of the log, word for word, in the order of first hearing.
type spoken []spokenOf

type spokenOf struct {
	fault.Handshake
	by []string // clients and versions
}

func (s *spoken) add(h fault.Handshake, by string) {
	for i := range *s {
		if known := &(*s)[i]; known.Text == h.Text {
			if !slices.Contains(known.by, by) {
				known.by = append(known.by, by)
			}
			return
		}
	}
	*s = append(*s, spokenOf{h, []string{by}})
}

// page is docs/handshakes.md.
func page(table map[visit]map[string]string, words spoken) string {
	var text strings.Builder
	text.WriteString(`# TLS handshakes by client

Generated by ` + "`go test ./test/clients -update`" + ` with real programs (OpenSSL 3) and a server with rbd-api's TLS settings.
A test compares it. Each cell is the class and reason that ` + "`rainbond_api_tls_handshake_errors_total`" + ` counts. The last
column is the result of the exporter's probe with the same CA and certificate.

| CA of the client | certificate of the client | TLS |`)
	columns := []string{"Go", "curl", "openssl s_client", "Python ssl", "our probe"}
	text.WriteString(" " + strings.Join(columns, " | ") + " |\n|---|---|---|" + strings.Repeat("---|", len(columns)) + "\n")
	word := func(s, none string) string {
		if s == "" {
			return none
		}
		return s
	}
	for _, v := range visits() {
		fmt.Fprintf(&text, "| %s | %s | %s |", word(v.verify, "nothing"), word(v.cert, "none"), v.version())
		for _, column := range columns {
			fmt.Fprintf(&text, " %s |", word(table[v][column], "(nothing)"))
		}
		text.WriteString("\n")
	}
	text.WriteString(`
"right" is from the current rotation, "stale" from an earlier one: a CA with the same name and serial number.

A client with OpenSSL 3 that verifies does not trust even a healthy region: issuer and subject of the region's certificate
have the same name, so OpenSSL takes it for self-signed. The console does not verify (` + "`REGION_SSL_VERIFY`" + ` is false by default).

## Log lines of rbd-api

| after ` + "`http: TLS handshake error from IP:PORT:`" + ` | counted as | clients |
|---|---|---|
`)
	for _, w := range words {
		fmt.Fprintf(&text, "| `%s` | %s | %s |\n", w.Text, class(w.Handshake), strings.Join(w.by, ", "))
	}
	return text.String()
}

func compare(t *testing.T, want string) {
	t.Helper()
	const path = "../../docs/handshakes.md"
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("%s is not what was seen (-update writes it):\n%s", path, want)
	}
}
