//go:build e2e

package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rainbond-exporter/rainbond-exporter/demo"
)

// progress prints a line of progress at once; t.Log would keep it until the end.
func progress(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "e2e: "+format+"\n", args...)
}

// poll is how often until asks.
const poll = 200 * time.Millisecond

// until asks until the answer is nil, at most for limit, and returns how long
// that took. On failure it prints what it waited for and the last answer.
func until(t testing.TB, limit time.Duration, what string, ask func() error) time.Duration {
	t.Helper()
	took, err := await(limit, ask)
	if err != nil {
		t.Fatalf("waited %s in vain: %s\nlast seen: %v", limit, what, err)
	}
	return took
}

// await asks until the answer is nil, at most for limit, and returns how long
// that took and the last answer.
func await(limit time.Duration, ask func() error) (time.Duration, error) {
	begin := time.Now()
	tick := time.NewTicker(poll)
	defer tick.Stop()
	for {
		err := ask()
		took := time.Since(begin)
		if err == nil || took > limit {
			return took, err
		}
		<-tick.C
	}
}

// throughout calls a function until it is stopped, and expects nil each time.
func throughout(t testing.TB, span time.Duration, what string, ask func() error) {
	t.Helper()
	tick := time.NewTicker(poll)
	defer tick.Stop()
	for end := time.Now().Add(span); time.Now().Before(end); <-tick.C {
		if err := ask(); err != nil {
			t.Fatalf("expected throughout %s: %s\nseen: %v", span, what, err)
		}
	}
}

// seconds formats a duration for people.
func seconds(d time.Duration) string { return fmt.Sprintf("%.1fs", d.Seconds()) }

// freeAddress is an address on loopback that nobody listens on.
func freeAddress(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// tool is the path of a pinned tool.
func tool(t testing.TB, name string) string {
	t.Helper()
	return built(t, filepath.Join("..", "..", "tools", "bin", name), "tools/build "+name)
}

// built is the absolute path of a binary that must have been built.
func built(t testing.TB, path, how string) string {
	t.Helper()
	path, err := filepath.Abs(path)
	if err == nil {
		_, err = os.Stat(path)
	}
	if err != nil {
		t.Fatalf("%v; build it with: %s (make e2e does)", err, how)
	}
	return path
}

// A process is a program that runs next to the test and dies with it.
type process struct {
	name string
	cmd  *exec.Cmd
	log  string // path of what it writes to standard output and error

	ended chan struct{} // closed when it has ended; err is its end
	err   error
}

// begin starts a program. Its output goes to a file, whose tail is shown when
// the test fails.
func begin(t testing.TB, logs, name, path string, args ...string) *process {
	t.Helper()
	return beginCommand(t, logs, name, exec.Command(path, args...))
}

func beginCommand(t testing.TB, logs, name string, cmd *exec.Cmd) *process {
	t.Helper()
	p := &process{name: name, cmd: cmd, log: filepath.Join(logs, name+".log"), ended: make(chan struct{})}
	out, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout = out
	if cmd.Stderr == nil {
		cmd.Stderr = out
	} else {
		cmd.Stderr = io.MultiWriter(out, cmd.Stderr)
	}
	// Should the test be killed, its processes die with it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		_ = out.Close()
		t.Fatalf("start %s: %v", name, err)
	}
	go func() {
		p.err = cmd.Wait()
		_ = out.Close()
		close(p.ended)
	}()
	t.Cleanup(func() { p.kill() })
	return p
}

// kill ends the process without asking.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // it may have ended before
	<-p.ended
}

// again restarts an ended process with the same arguments.
func (p *process) again(t testing.TB) *process {
	t.Helper()
	return begin(t, filepath.Dir(p.log), p.name, p.cmd.Path, p.cmd.Args[1:]...)
}

// signal sends a signal to a process that must be running.
func (p *process) signal(t testing.TB, s syscall.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		t.Fatalf("send %s to %s: %v", s, p.name, err)
	}
}

// alive returns how the process ended, if it did.
func (p *process) alive() error {
	select {
	case <-p.ended:
		return fmt.Errorf("%s has ended: %w", p.name, cmpErr(p.err))
	default:
		return nil
	}
}

func cmpErr(err error) error {
	if err == nil {
		return errors.New("exit status 0")
	}
	return err
}

// play lets a scenario hold in the demo at an address.
func play(t testing.TB, address, scenario string) {
	t.Helper()
	noRedirect := &http.Client{Timeout: 30 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	answer, err := noRedirect.PostForm("http://"+address+demo.Path, url.Values{"scenario": {scenario}})
	must(t, err)
	must(t, answer.Body.Close())
	if answer.StatusCode != http.StatusSeeOther {
		t.Errorf("scenario %s: %s", scenario, answer.Status)
	}
}

// tail is the last lines of a file.
func tail(path string, lines int) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	all := strings.Split(strings.TrimRight(string(text), "\n"), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// logFolder is where processes write their logs. When the test fails, the
// folder is kept and the tail of each log is shown.
func logFolder(t testing.TB) string {
	t.Helper()
	folder, err := os.MkdirTemp("", "rainbond-e2e-logs-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if !t.Failed() {
			_ = os.RemoveAll(folder)
			return
		}
		logs, _ := filepath.Glob(filepath.Join(folder, "*.log"))
		for _, path := range logs {
			progress("---- the end of %s\n%s", path, tail(path, 15))
		}
		progress("all logs are kept in %s", folder)
	})
	return folder
}

// lines passes complete lines on to each, one at a time.
type lines struct {
	mu   sync.Mutex
	rest []byte
	each func(line []byte)
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rest = append(l.rest, p...)
	for {
		i := bytes.IndexByte(l.rest, '\n')
		if i < 0 {
			return len(p), nil
		}
		l.each(l.rest[:i])
		l.rest = l.rest[i+1:]
	}
}
