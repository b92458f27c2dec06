// Command demostack is make demo-stack: the demo, with a real
// Prometheus and a real Alertmanager with the configuration that ships, and a
// relay, whose messages it prints as a chat would show them. It ends everything
// when it must end.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/rainbond-exporter/rainbond-exporter/test/stack"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "demo-stack:", err)
		stop()
		os.Exit(1) //nolint:gocritic // stop has been called
	}
}

// scrapes is at the pace that docs/install.md advises; a phone notifies as it
// would.
const scrapes = `
global: {scrape_interval: 15s, scrape_timeout: 10s, evaluation_interval: 15s}
scrape_configs: [{job_name: rainbond-exporter, static_configs: [{targets: [%q]}]}]
`

func run(ctx context.Context, out io.Writer) error {
	folder, err := os.MkdirTemp("", "rainbond-demo-stack-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	phone, err := listen(ctx, out)
	if err != nil {
		return err
	}
	defer phone.Close()

	exporter, prometheus, manager, relay := address(ctx, "10069"), address(ctx, "9090"), address(ctx, "9093"), address(ctx, "10070")
	c := stack.Stack{Webhook: "http://" + relay + "/alertmanager/phone", Deadman: phone.url + deadman, Alertmanager: manager, Scrapes: fmt.Sprintf(scrapes, exporter)}
	prometheusConfig, managerConfig, err := c.Write(folder)
	if err != nil {
		return err
	}
	relayConfig, err := writeRelay(folder, phone.url+messages, language())
	if err != nil {
		return err
	}
	programs := newPrograms(ctx, folder)
	defer programs.end()
	for _, start := range []func() error{
		func() error {
			return programs.start("demo", "bin/rainbond-exporter", nil, "demo", "--web.listen-address="+exporter,
				"--alerting.prometheus-url=http://"+prometheus, "--alerting.alertmanager-url=http://"+manager, "--alerting.relay-url=http://"+relay)
		},
		func() error {
			return programs.start("relay", "bin/rainbond-exporter", nil, "relay", "--config.file="+relayConfig, "--web.listen-address="+relay)
		},
		func() error {
			return programs.start("alertmanager", "tools/bin/alertmanager", nil, "--config.file="+managerConfig,
				"--storage.path="+filepath.Join(folder, "alertmanager"), "--web.listen-address="+manager, "--cluster.listen-address=")
		},
		func() error {
			return programs.start("prometheus", "tools/bin/prometheus", nil, "--config.file="+prometheusConfig,
				"--storage.tsdb.path="+filepath.Join(folder, "prometheus"), "--web.listen-address="+prometheus)
		},
	} {
		if err := start(); err != nil {
			return err
		}
	}
	grafana, err := dashboards(programs, folder, "http://"+prometheus)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, welcome, exporter, prometheus, manager, relay, grafana, folder)
	select {
	case err := <-programs.ended:
		return err
	case <-ctx.Done():
		fmt.Fprintln(out, "demo-stack: ending")
		return nil
	}
}

const welcome = `
demo          http://%s                 break something here, or send a test message (up in some seconds)
Prometheus    http://%s/api/v1/alerts   what is pending and what fires; built without pages
Alertmanager  http://%s                 what was sent, and what is inhibited
relay         http://%s/metrics         what it posted to the chat
Grafana       %s
logs          %s

Messages appear below, at the pace that ships: a page comes some 75 s after the click (for: 45s, group_wait: 10s),
its end some minutes after the repair. Ctrl-C ends everything.

`

// writeRelay writes the configuration of the relay, and returns its path.
func writeRelay(folder, url, lang string) (string, error) {
	config := filepath.Join(folder, "relay.yaml")
	if err := os.WriteFile(filepath.Join(folder, "phone-url"), []byte(url), 0o600); err != nil {
		return "", err
	}
	return config, os.WriteFile(config, fmt.Appendf(nil, "receivers: [{name: phone, type: webhook, url_file: phone-url, lang: %s}]\n", lang), 0o600)
}

// address is on loopback, with the usual port where nobody has it.
func address(ctx context.Context, port string) string {
	for _, port := range []string{port, "0"} {
		if l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:"+port); err == nil {
			defer l.Close()
			return l.Addr().String()
		}
	}
	return "127.0.0.1:" + port // the program that starts there reports what is wrong
}

// language is the one of the messages.
func language() string {
	for _, name := range []string{"LC_ALL", "LC_MESSAGES", "LANG"} {
		if locale := os.Getenv(name); locale != "" {
			if strings.HasPrefix(strings.ToLower(locale), "zh") {
				return "zh"
			}
			return "en"
		}
	}
	return "en"
}

// programs run next to us and end with us.
type programs struct {
	ctx    context.Context // ends with end, or before
	cancel context.CancelFunc
	folder string // of their logs
	ended  chan error
	wait   sync.WaitGroup
}

// most is how many programs there may be.
const most = 8

func newPrograms(ctx context.Context, folder string) *programs {
	p := &programs{folder: folder, ended: make(chan error, most)}
	p.ctx, p.cancel = context.WithCancel(ctx)
	return p
}

// answerTimeout is how long a program may take to end.
const answerTimeout = 10 * time.Second

// start starts a program in a group of its own: Ctrl-C is ours to pass on.
func (p *programs) start(name, path string, env []string, args ...string) error {
	log, err := os.Create(filepath.Join(p.folder, name+".log"))
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(p.ctx, path, args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = answerTimeout
	cmd.Stdout, cmd.Stderr, cmd.Env = log, log, append(os.Environ(), env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return err
	}
	p.wait.Go(func() {
		err := cmd.Wait()
		text, _ := os.ReadFile(log.Name())
		_ = log.Close()
		lines := strings.Split(strings.TrimSpace(string(text)), "\n")
		p.ended <- fmt.Errorf("%s has ended (%w): %s", name, cmpErr(err), lines[len(lines)-1])
	})
	return nil
}

func cmpErr(err error) error {
	if err == nil {
		return errors.New("exit status 0")
	}
	return err
}

// end ends them all.
func (p *programs) end() {
	p.cancel()
	p.wait.Wait()
}
