// Package bench measures us against the floor and against our peers, in one
// run and as ratios: machines are shared and noisy, ratios are less so.
// `make bench` runs it and writes docs/benchmarks.md.
package bench

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rainbond-exporter/rainbond-exporter/demo/pki"
	"github.com/rainbond-exporter/rainbond-exporter/fault"
	"github.com/rainbond-exporter/rainbond-exporter/probe"
)

// serverFolder makes this test binary the region API, in a process of its
// own, so that its CPU is not counted with ours.
const serverFolder = "BENCH_SERVER_FOLDER"

func TestMain(m *testing.M) {
	if folder := os.Getenv(serverFolder); folder != "" {
		serve(folder)
		return
	}
	os.Exit(m.Run())
}

// serve runs a region API with rbd-api's TLS settings.
func serve(folder string) {
	pair, err := tls.LoadX509KeyPair(filepath.Join(folder, "server.pem"), filepath.Join(folder, "server.key.pem"))
	if err != nil {
		panic(err)
	}
	ca, err := os.ReadFile(filepath.Join(folder, "ca.pem"))
	if err != nil {
		panic(err)
	}
	clients := x509.NewCertPool()
	clients.AppendCertsFromPEM(ca)
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{pair}, ClientCAs: clients, ClientAuth: tls.RequireAndVerifyClientCert})
	if err != nil {
		panic(err)
	}
	fmt.Println(listener.Addr())
	server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v2/show" { // as regions older than v6.9.2: one request a probe, as the peers make
			http.NotFound(w, r)
			return
		}
		fmt.Fprint(w, "v6.9.1-release")
	})}
	_ = server.Serve(listener) // until we are killed
}

// A stage is the server and what is needed to ask it.
type stage struct {
	folder, address string
	region          fault.Region
}

func newStage(b *testing.B) stage {
	b.Helper()
	g, err := pki.New(pki.OperatorBits, net.IPv4(127, 0, 0, 1))
	if err != nil {
		b.Fatal(err)
	}
	s := stage{folder: b.TempDir(), region: fault.Region{Name: "rainbond", CA: g.CA, Cert: g.Client, Key: g.ClientKey, Place: fault.Console}}
	for name, text := range map[string][]byte{"ca.pem": g.CA, "server.pem": g.Server, "server.key.pem": g.ServerKey, "client.pem": g.Client, "client.key.pem": g.ClientKey} {
		if err := os.WriteFile(filepath.Join(s.folder, name), text, 0o600); err != nil {
			b.Fatal(err)
		}
	}
	out := start(b, exec.Command(os.Args[0]), serverFolder+"="+s.folder)
	line, err := out.ReadString('\n')
	if err != nil {
		b.Fatal(err)
	}
	s.address = strings.TrimSpace(line)
	s.region.URL = "https://" + s.address
	return s
}

// start starts a process that ends with the benchmark, and returns what it
// writes to standard output.
func start(b *testing.B, cmd *exec.Cmd, env ...string) *bufio.Reader {
	b.Helper()
	cmd.Env = append(os.Environ(), env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return bufio.NewReader(out)
}

// own is the CPU time that this process has used.
func busy(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// theirs is the CPU time that another process has used, in ticks of 10 ms.
func theirs(b *testing.B, pid int) time.Duration {
	b.Helper()
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		b.Fatal(err)
	}
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	utime, _ := strconv.Atoi(fields[11])
	stime, _ := strconv.Atoi(fields[12])
	return time.Duration(utime+stime) * 10 * time.Millisecond
}

// floor is the least that any such probe must do: a mutual handshake and one
// GET, with everything parsed beforehand.
func (s stage) floor(b *testing.B, pair tls.Certificate, roots *x509.CertPool) {
	conn, err := tls.Dial("tcp", s.address, &tls.Config{ServerName: fault.DefaultServerName, RootCAs: roots, Certificates: []tls.Certificate{pair}})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	fmt.Fprintf(conn, "GET /v2/show HTTP/1.1\r\nHost: %s\r\n\r\n", s.address)
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		b.Fatal(err)
	}
	_ = response.Body.Close()
}

// An asked is a process that makes one probe when it is asked to: we, or a
// peer.
type asked struct {
	*peer
	name    string
	healthy string // the line of its answer that reports that everything is healthy
	cpu     time.Duration
}

// ours is the binary that ships, over one region.
func (s stage) ours(b *testing.B) *asked {
	p := s.exporter(b, 1, "none")
	p.url += "/probe?region=region-0"
	return &asked{peer: p, name: "exporter", healthy: `rainbond_api_up{rainbond_region="region-0"} 1`}
}

// blackbox starts a blackbox_exporter that makes the same request. It returns
// nil if there is none.
func (s stage) blackbox(b *testing.B, name, program string) *asked {
	b.Helper()
	if _, err := exec.LookPath(program); err != nil {
		b.Logf("%v: no ratio to it; make bench installs it", err)
		return nil
	}
	config := filepath.Join(s.folder, "blackbox.yml")
	text := fmt.Sprintf("modules:\n  region:\n    prober: http\n    timeout: 5s\n    http:\n      tls_config: {ca_file: %[1]s/ca.pem, cert_file: %[1]s/client.pem, key_file: %[1]s/client.key.pem, server_name: %[2]s}\n", s.folder, fault.DefaultServerName)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		b.Fatal(err)
	}
	p := startPeer(b, program, "--config.file="+config, "--log.level=error")
	p.url += "/probe?module=region&target=https://" + s.address + "/v2/show"
	return &asked{peer: p, name: name, healthy: "probe_success 1"}
}

// A peer is an exporter in a process of its own.
type peer struct {
	pid int
	url string
}

// startPeer starts an exporter that ends with the benchmark.
func startPeer(b *testing.B, program string, args ...string) *peer {
	b.Helper()
	address := freeAddress(b)
	cmd := exec.Command(program, append(args, "--web.listen-address="+address)...)
	start(b, cmd)
	answers(b, address)
	return &peer{pid: cmd.Process.Pid, url: "http://" + address}
}

// freeAddress is an address on loopback that nobody listens on.
func freeAddress(b *testing.B) string {
	b.Helper()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = free.Close() }()
	return free.Addr().String()
}

// answers waits until somebody listens on the address.
func answers(b *testing.B, address string) {
	b.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(10 * time.Second); ; <-tick.C {
		if conn, err := net.Dial("tcp", address); err == nil {
			_ = conn.Close()
			return
		}
		if time.Now().After(deadline) {
			b.Fatalf("nobody answers on %s", address)
		}
	}
}

// probe asks for n probes, one after the other.
func (p *asked) probe(b *testing.B, n int) {
	b.Helper()
	begin := theirs(b, p.pid)
	for range n {
		if text := fetch(b, p.url); !strings.Contains(text, "\n"+p.healthy+"\n") {
			b.Fatalf("%s does not succeed: %s", p.name, text)
		}
	}
	p.cpu += theirs(b, p.pid) - begin
}

// atATime is how many probes are made in turn: enough for the kernel's clock
// of 10 ms.
const atATime = 20

// BenchmarkProbe takes the CPU of one probe in turns, like against like: our
// probe against the floor, both in this process; our whole exporter, answering
// a scrape with one probe, against whole peers.
func BenchmarkProbe(b *testing.B) {
	s := newStage(b)
	pair, err := tls.X509KeyPair(s.region.Cert, s.region.Key)
	if err != nil {
		b.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(s.region.CA)
	us := s.ours(b)
	peers := slices.DeleteFunc([]*asked{
		s.blackbox(b, "blackbox-debian", "prometheus-blackbox-exporter"),
		s.blackbox(b, "blackbox", filepath.Join("..", "..", "tools", "bin", "blackbox_exporter")),
	}, func(p *asked) bool { return p == nil })
	for _, p := range append(peers, us) {
		p.probe(b, 1) // what is read once is read
		p.cpu = 0
	}
	prober := new(probe.Prober)
	probe := func() {
		trace := prober.Probe(b.Context(), s.region)
		if f, failed := fault.FromTrace(trace); failed {
			b.Fatal(f, trace.Err)
		}
	}
	probe()
	var floor, bare time.Duration
	n := 0
	for b.Loop() {
		begin := busy(b)
		for range atATime {
			s.floor(b, pair, roots)
		}
		between := busy(b)
		for range atATime {
			probe()
		}
		floor += between - begin
		bare += busy(b) - between
		for _, p := range append(peers, us) {
			p.probe(b, atATime)
		}
		n += atATime
	}
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / float64(n) / 1000 }
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(ms(floor), "ms-floor")
	b.ReportMetric(ms(bare), "ms-probe")
	b.ReportMetric(float64(bare)/float64(floor), "probe/floor")
	b.ReportMetric(ms(us.cpu), "ms-exporter")
	for _, p := range peers {
		b.ReportMetric(ms(p.cpu), "ms-"+p.name)
		b.ReportMetric(float64(us.cpu)/float64(p.cpu), "exporter/"+p.name)
	}
}
