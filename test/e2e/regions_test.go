//go:build e2e

package e2e

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rainbond-exporter/rainbond-exporter/demo/pki"
)

// manyRegions is how many regions the console has here, one in ten of them
// broken in one of as many ways as breakages has.
const manyRegions = 1000

// A breakage is one way for a region to be broken, and what must be said of
// it.
type breakage struct {
	want    string // phase/reason
	address func(*testing.T, *many) string
	copied  string // whose certificates the console holds: "" is the right ones
}

// many is a thousand regions on loopback.
type many struct {
	right, stale pki.Generation
	refuse       []net.Listener // closed when all others listen, so that none of them gets the port
}

var breakages = []breakage{
	{"connect/refused", func(t *testing.T, m *many) string {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		must(t, err)
		m.refuse = append(m.refuse, l)
		return l.Addr().String()
	}, ""},
	{"tls/closed", func(t *testing.T, _ *many) string {
		return tcp(t, func(c net.Conn) { _, _ = c.Read(make([]byte, 4096)) })
	}, ""},
	{"tls/reset", func(t *testing.T, _ *many) string {
		return tcp(t, func(c net.Conn) { _, _ = c.Read(make([]byte, 4096)); _ = c.(*net.TCPConn).SetLinger(0) })
	}, ""},
	{"tls/plain_http", func(t *testing.T, _ *many) string {
		return tcp(t, func(c net.Conn) {
			_, _ = c.Read(make([]byte, 4096))
			_, _ = io.WriteString(c, "HTTP/1.0 400 Bad Request\r\n\r\n")
		})
	}, ""},
	{"tls/old_tls", func(t *testing.T, m *many) string {
		return m.serve(t, func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS11 }, version)
	}, ""},
	{"tls/client_refused", func(t *testing.T, m *many) string { return m.serve(t, nil, version) }, "stale-client"},
	{"tls/server_untrusted", func(t *testing.T, m *many) string { return m.serve(t, nil, version) }, "stale-ca"},
	{"tls/client_unreadable", func(t *testing.T, m *many) string { return m.serve(t, nil, version) }, "missing"},
	{"processing/status", func(t *testing.T, m *many) string {
		return m.serve(t, nil, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) })
	}, ""},
	{"transfer/wrong_body", func(t *testing.T, m *many) string {
		return m.serve(t, nil, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>") })
	}, ""},
}

func version(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "v6.9.8-release") }

// tcp accepts connections, treats each and closes it.
func tcp(t *testing.T, treat func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				treat(conn)
				_ = conn.Close()
			}()
		}
	}()
	return l.Addr().String()
}

// serve is a region API with a listener of its own.
func (m *many) serve(t *testing.T, adapt func(*tls.Config), show http.HandlerFunc) string {
	t.Helper()
	pair, err := tls.X509KeyPair(m.right.Server, m.right.ServerKey)
	must(t, err)
	clients := x509.NewCertPool()
	clients.AppendCertsFromPEM(m.right.CA)
	config := &tls.Config{Certificates: []tls.Certificate{pair}, ClientCAs: clients, ClientAuth: tls.RequireAndVerifyClientCert}
	if adapt != nil {
		adapt(config)
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", config)
	must(t, err)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v2/show", show)
	server := &http.Server{Handler: mux, ErrorLog: log.New(io.Discard, "", 0)}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { _ = server.Close() })
	return l.Addr().String()
}

// TestAThousandRegions lets a real Prometheus find a thousand regions by /sd
// and look at each by /probe, as docs/regions.md says, and asks it whether
// every answer is right.
func TestAThousandRegions(t *testing.T) {
	m := &many{right: generation(t), stale: generation(t)}
	folder, logs := t.TempDir(), t.TempDir()
	for name, text := range map[string][]byte{
		"ca.pem": m.right.CA, "client.pem": m.right.Client, "client.key.pem": m.right.ClientKey,
		"stale-ca.pem": m.stale.CA, "stale-client.pem": m.stale.Client, "stale-client.key.pem": m.stale.ClientKey,
	} {
		write(t, filepath.Join(folder, name), text)
	}
	var config bytes.Buffer
	config.WriteString("regions:\n")
	want := map[string]float64{}
	for i := range manyRegions {
		address, ca, client := "", "ca.pem", "client"
		if i%10 == 0 {
			b := breakages[i/10%len(breakages)]
			address = b.address(t, m)
			want[b.want]++
			switch b.copied {
			case "stale-client":
				client = "stale-client"
			case "stale-ca":
				ca = "stale-ca.pem"
			case "missing":
				ca = "no-such-file.pem"
			}
		} else {
			address = m.serve(t, nil, version)
		}
		fmt.Fprintf(&config, "  - {name: region-%04d, url: 'https://%s', ca_file: %s, cert_file: %s.pem, key_file: %[4]s.key.pem}\n", i, address, ca, client)
	}
	for _, l := range m.refuse {
		must(t, l.Close())
	}
	file := filepath.Join(folder, "regions.yaml")
	write(t, file, config.Bytes())
	say("%d regions listen, %d of them broken in %d ways", manyRegions, manyRegions/10, len(breakages))

	e := newExporter(t, logs, "exporter-console", "--role=console", "--config.file="+file)
	prometheus := manyPrometheus(t, folder, logs, e.address)
	took := until(t, 4*time.Minute, "Prometheus has looked at every region", func() error {
		n, err := prometheus.number("count(rainbond_api_up)")
		if err == nil && n != manyRegions {
			err = fmt.Errorf("%v of %d", n, manyRegions)
		}
		return err
	})
	say("Prometheus has looked at all of them (%s)", seconds(took))
	for query, n := range map[string]float64{
		"sum(rainbond_api_up)": manyRegions - manyRegions/10,
		"count(count by (rainbond_region) (rainbond_api_probe_failed == 1))": manyRegions / 10,
		"sum(rainbond_api_probe_failed)":                                     manyRegions / 10,
	} {
		if got, err := prometheus.number(query); err != nil || got != n {
			t.Errorf("%s: %v, %v; want %v", query, got, err, n)
		}
	}
	for pair, n := range want {
		phase, reason, _ := strings.Cut(pair, "/")
		query := fmt.Sprintf("sum(rainbond_api_probe_failed{phase=%q, reason=%q})", phase, reason)
		if got, err := prometheus.number(query); err != nil || got != n {
			t.Errorf("%s: %v, %v; want %v", query, got, err, n)
		}
	}
	if !t.Failed() {
		say("all %d answers are right", manyRegions)
	}
}

// A promServer is the URL of a Prometheus.
type promServer string

// manyPrometheus scrapes as docs/regions.md says for hundreds of regions.
func manyPrometheus(t *testing.T, folder, logs, exporter string) promServer {
	t.Helper()
	file := filepath.Join(folder, "prometheus.yaml")
	write(t, file, fmt.Appendf(nil, `
scrape_configs:
  - job_name: rainbond-exporter-regions
    scrape_interval: 1m
    scrape_timeout: 30s
    metrics_path: /probe
    http_sd_configs: [{url: "http://%[1]s/sd"}]
    relabel_configs:
      - {source_labels: [__address__], target_label: __param_region}
      - {source_labels: [__address__], target_label: instance}
      - {target_label: __address__, replacement: %[1]q}
`, exporter))
	listen := freeAddress(t)
	begin(t, logs, "prometheus-regions", tool(t, "prometheus"), "--config.file="+file, "--storage.tsdb.path="+filepath.Join(folder, "data"), "--web.listen-address="+listen)
	p := promServer("http://" + listen)
	until(t, 30*time.Second, "prometheus is ready", func() error { _, err := get(string(p) + "/-/ready"); return err })
	return p
}

// number is the one value that a query has; 0 when it has none.
func (p promServer) number(query string) (float64, error) {
	text, err := get(string(p) + "/api/v1/query?query=" + url.QueryEscape(query))
	if err != nil {
		return 0, err
	}
	var answer struct {
		Data struct {
			Result []struct {
				Value [2]json.RawMessage
			}
		}
	}
	if err := json.Unmarshal(text, &answer); err != nil || len(answer.Data.Result) == 0 {
		return 0, err
	}
	var value string
	if err := json.Unmarshal(answer.Data.Result[0].Value[1], &value); err != nil {
		return 0, err
	}
	var n float64
	_, err = fmt.Sscan(value, &n)
	return n, err
}
