//go:build e2e

package e2e

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
	_ "time/tzdata" // for the process below, whatever the machine has

	"github.com/rainbond-exporter/rainbond-exporter/demo/pki"
)

// The region API runs in a process of its own: this test's binary, started
// with these in its environment.
const (
	envRegionAddress = "RAINBOND_E2E_REGION_ADDRESS"
	envRegionFolder  = "RAINBOND_E2E_REGION_FOLDER" // holds server.pem, server.key.pem and ca.pem
)

// china is where most regions are; their containers use its time.
var china = time.FixedZone("CST", 8*60*60)

func TestMain(m *testing.M) {
	if address := os.Getenv(envRegionAddress); address != "" {
		log.Fatal(serveRegionAPI(address, os.Getenv(envRegionFolder)))
	}
	os.Exit(m.Run())
}

// serveRegionAPI is rbd-api's listener: its http.Server, TLS settings and logger
// (goodrain/rainbond, api/server/api.go), and the answers of the original.
func serveRegionAPI(address, folder string) error {
	clients := x509.NewCertPool()
	ca, err := os.ReadFile(filepath.Join(folder, "ca.pem"))
	if err != nil {
		return err
	}
	clients.AppendCertsFromPEM(ca)
	answer := func(status int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body) // the client's loss
		}
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v2/show", answer(http.StatusOK, "v6.9.8-release-e2e"))
	mux.HandleFunc("GET /v2/health", answer(http.StatusOK, `{"bean":{"info":"api service health","status":"health"}}`))
	mux.HandleFunc("GET /v2/cluster/ready", answer(http.StatusOK, `{"bean":{"ready":true,"checks":{"k8s_api":"ok","region_cert":"ok"}}}`))
	server := &http.Server{
		Addr: address, Handler: mux,
		TLSConfig: &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: clients},
	}
	fmt.Fprintf(os.Stderr, "INFO[%s] ip=unknown module=rbd-api api listen on (HTTPs) %s\n", time.Now().Format("2006/01/02 15:04:05"), address)
	return server.ListenAndServeTLS(filepath.Join(folder, "server.pem"), filepath.Join(folder, "server.key.pem"))
}

// A regionAPI is the container of rbd-api. It reads its certificates when it
// starts, and never again.
type regionAPI struct {
	t       testing.TB
	address string
	folder  string // the mounted Secret rbd-api-server-cert
	logs    string
	log     *containerLog // what the kubelet serves
	process *process
	starts  int
}

// mount puts a generation's server side where the next start finds it.
func (r *regionAPI) mount(g pki.Generation) {
	r.t.Helper()
	write(r.t, filepath.Join(r.folder, "server.pem"), g.Server)
	write(r.t, filepath.Join(r.folder, "server.key.pem"), g.ServerKey)
	write(r.t, filepath.Join(r.folder, "ca.pem"), g.CA)
}

// start starts the container, again if it ran before, and waits until its
// listener is open.
func (r *regionAPI) start(t testing.TB) {
	t.Helper()
	if r.starts++; r.starts > 1 {
		r.log.restart()
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = []string{envRegionAddress + "=" + r.address, envRegionFolder + "=" + r.folder, "TZ=Asia/Shanghai"}
	cmd.Stderr = &lines{each: r.log.add}
	r.process = beginCommand(r.t, r.logs, "rbd-api", cmd)
	until(t, 10*time.Second, "the region API listens on "+r.address, func() error {
		if err := r.process.alive(); err != nil {
			return err
		}
		c, err := net.Dial("tcp", r.address)
		if err == nil {
			err = c.Close()
		}
		return err
	})
}

// stop kills the container: from then on its port is refused.
func (r *regionAPI) stop() { r.process.kill() }

// visit makes one request as a real client with the given CA and client
// certificate would.
func visit(address string, ca, cert, key []byte) error {
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: "rbd-api-api", Certificates: []tls.Certificate{pair}}}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: 5 * time.Second}
	answer, err := client.Get("https://" + address + "/v2/show")
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("/v2/show: %s", answer.Status)
	}
	return nil
}
