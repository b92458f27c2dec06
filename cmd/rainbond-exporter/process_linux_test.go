package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rainbond-exporter/rainbond-exporter/demo/pki"
)

// process runs the command as a process of its own, after shell commands, until
// the test ends. It returns the process, its base URL and its log.
func process(t *testing.T, before string, args ...string) (*exec.Cmd, string, *lockedBuffer) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	named := filepath.Join(t.TempDir(), "rainbond-exporter") // testscript runs the command of this name
	if err := os.Symlink(self, named); err != nil {
		t.Fatal(err)
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := free.Addr().String()
	_ = free.Close()
	log := new(lockedBuffer)
	command := exec.CommandContext(t.Context(), "sh", append([]string{"-c", before + ` exec "$0" "$@"`, named}, append(args, "--web.listen-address="+address)...)...)
	command.Stdout, command.Stderr = log, log
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = command.Process.Kill() })
	for deadline := time.Now().Add(time.Minute); ; <-time.After(50 * time.Millisecond) {
		if conn, err := net.Dial("tcp", address); err == nil {
			_ = conn.Close()
			return command, "http://" + address, log
		}
		if time.Now().After(deadline) {
			t.Fatalf("does not serve: %s", log)
		}
	}
}

// mute is the address of a server that accepts connections and never answers.
func mute(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { _ = conn.Close() })
		}
	}()
	return listener.Addr().String()
}

// configOf writes a configuration with so many regions at an address.
func configOf(t *testing.T, regions int, address string) string {
	t.Helper()
	folder := t.TempDir()
	files, err := pki.New(2048)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name string, text []byte) string {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	ca, cert, key := write("ca.pem", files.CA), write("client.pem", files.Client), write("client.key", files.ClientKey)
	var text strings.Builder
	text.WriteString("regions:\n")
	for i := range regions {
		fmt.Fprintf(&text, "  - {name: r%d, url: 'https://%s', ca_file: %q, cert_file: %q, key_file: %q}\n", i, address, ca, cert, key)
	}
	return write("config.yaml", []byte(text.String()))
}

// scrapeWith scrapes with a timeout in seconds, as Prometheus does.
func scrapeWith(ctx context.Context, base, timeout string) (status int, body string, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/metrics", nil)
	if err != nil {
		return 0, "", err
	}
	request.Header.Set(scrapeHeader, timeout)
	response, err := new(http.Client).Do(request)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	return response.StatusCode, string(text), err
}

// A region that accepts connections and never answers is down for a scraper with
// 30 s, and for one whose timeout is shorter than the probe.
func TestTwoScrapersOfARegionThatNeverAnswers(t *testing.T) {
	t.Parallel()
	e := served(t, "serve", "--role=console", "--config.file="+configOf(t, 1, mute(t)))
	const isDown = `rainbond_api_up{rainbond_region="r0"} 0`
	var scrapers sync.WaitGroup
	scraper := func(timeout string, limit time.Duration, want ...bool) {
		scrapers.Go(func() {
			for i, want := range want {
				begin := time.Now()
				status, body, err := scrapeWith(t.Context(), e.base, timeout)
				if err != nil || status != http.StatusOK || time.Since(begin) > limit || strings.Contains(body, isDown) != want {
					t.Errorf("timeout %s, scrape %d: %d, %v after %s, down %t; want 200 within %s, %t", timeout, i, status, err, time.Since(begin), !want, limit, want)
				}
				<-time.After(time.Until(begin.Add(10 * time.Second))) // the scrape interval
			}
		})
	}
	scraper("5", 5*time.Second, false, true)
	scraper("30", 10*time.Second, true)
	scrapers.Wait()
}

// A process without descriptors cannot check: it has no verdict about regions to
// which it has no connection.
func TestProcessWithoutDescriptors(t *testing.T) {
	t.Parallel()
	_, base, log := process(t, "ulimit -n 32;", "serve", "--role=console", "--config.file="+configOf(t, 60, mute(t)))
	status, body, err := scrapeWith(t.Context(), base, "30")
	down := strings.Count(body, "rainbond_api_up{")
	if err != nil || status != http.StatusOK || down > 32 || !strings.Contains(body, `rainbond_collector_success{collector="api"} 0`) {
		t.Errorf("%d %v, %d regions have a verdict; want at most 32, and a failed collector", status, err, down)
	}
	for line := range strings.Lines(body) {
		if strings.HasPrefix(line, "rainbond_api_probe_failed{") && strings.Contains(line, `phase="connect"`) && strings.HasSuffix(line, " 1\n") {
			t.Errorf("a verdict about a connection: %s", line)
		}
	}
	if !strings.Contains(log.String(), "too many open files") {
		t.Errorf("the log does not name the limit: %s", log)
	}
}

// SIGTERM during a scrape of a region that does not respond ends the process
// with status 0 within the grace period, and the scrape gets what is finished.
func TestSIGTERMDuringASlowScrape(t *testing.T) {
	t.Parallel()
	slow := httptest.NewTLSServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	t.Cleanup(slow.Close)
	command, base, log := process(t, "", "serve", "--role=console", "--config.file="+configOf(t, 1, slow.Listener.Addr().String()))
	scraped := make(chan string, 1)
	go func() {
		status, _, err := scrapeWith(t.Context(), base, "30")
		scraped <- fmt.Sprint(status, err)
	}()
	<-time.After(500 * time.Millisecond) // the scrape is under way
	begin := time.Now()
	if err := command.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := command.Wait(); err != nil || time.Since(begin) > shutdownGrace+time.Second {
		t.Errorf("SIGTERM ends it after %s with %v: %s", time.Since(begin), err, log)
	}
	if got := <-scraped; got != "200 <nil>" {
		t.Errorf("the active scrape got %s", got)
	}
}

func TestSIGHUPWithoutConfigurationIsIgnored(t *testing.T) {
	t.Parallel()
	command, base, log := process(t, "", "serve", "--role=node")
	for range 3 {
		if err := command.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		<-time.After(100 * time.Millisecond)
	}
	if status, _, err := scrapeWith(t.Context(), base, "10"); err != nil || status != http.StatusOK {
		t.Errorf("after SIGHUP: %d %v", status, err)
	}
	if n := strings.Count(log.String(), "SIGHUP ignored"); n != 1 {
		t.Errorf("%d log lines about SIGHUP, want 1: %s", n, log)
	}
	if err := command.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := command.Wait(); err != nil {
		t.Errorf("SIGTERM: %v", err)
	}
}

// TestReloadsLeakNothing counts the descriptors of the console's database, which
// each reload opens again.
func TestReloadsLeakNothing(t *testing.T) {
	folder := t.TempDir()
	one, err := pki.New(2048)
	if err != nil {
		t.Fatal(err)
	}
	database := consoleWith(t, folder, "https://127.0.0.1:1", func(string) string { return "x" }, one)
	config := filepath.Join(folder, "sqlite.yaml")
	if err := os.WriteFile(config, fmt.Appendf(nil, "console: {driver: sqlite, path: %q}\n", database), 0o600); err != nil {
		t.Fatal(err)
	}
	command, base, log := process(t, "", "serve", "--role=console", "--config.file="+config)
	descriptors := func() int {
		links, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", command.Process.Pid))
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, link := range links {
			if target, _ := os.Readlink(link); strings.HasPrefix(target, folder) {
				n++
			}
		}
		return n
	}
	scrape := func() {
		t.Helper()
		if status, body, err := scrapeWith(t.Context(), base, "10"); err != nil || status != http.StatusOK || !strings.Contains(body, `rainbond_api_up{rainbond_region="broken-key"} 0`) {
			t.Errorf("scrape: %d %v\n%s", status, err, log)
		}
	}
	scrape()
	before := descriptors()
	var reloads sync.WaitGroup
	for range 100 {
		reloads.Go(func() {
			request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, base+"/-/reload", new(bytes.Buffer))
			if err != nil {
				t.Error(err)
				return
			}
			response, err := new(http.Client).Do(request)
			if err != nil {
				t.Error(err)
				return
			}
			if _ = response.Body.Close(); response.StatusCode != http.StatusOK {
				t.Errorf("reload: %s", response.Status)
			}
		})
	}
	reloads.Wait()
	scrape()
	if after := descriptors(); after > before {
		t.Errorf("%d descriptors of the database before 100 reloads, %d after", before, after)
	}
}
