//go:build e2e

package browser

import (
	"bufio"
	"context"
	_ "embed"
	"encoding/json"
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

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// screenshots is where what was seen is kept.
const screenshots = "screenshots"

// answerTimeout bounds everything that one tab does.
const answerTimeout = 10 * time.Minute

// A size is a screen.
type size struct {
	name          string
	width, height int64
	phone         bool
}

var (
	desktop = size{"desktop", 1280, 900, false}
	phone   = size{"phone", 360, 740, true} // the narrowest that is still sold
	sizes   = []size{desktop, phone}
	langs   = []string{"en", "zh"}
)

var (
	htmlLang = map[string]string{"en": "en", "zh": "zh-CN"}
	other    = map[string]string{"en": "zh", "zh": "en"}
)

// progress prints a line of progress at once.
func progress(format string, args ...any) { fmt.Fprintf(os.Stderr, "browser: "+format+"\n", args...) }

// browsers starts one Chromium for all tests.
var browsers = sync.OnceValues(func() (context.Context, error) {
	path, err := "", error(nil)
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err = exec.LookPath(name); err == nil {
			break
		}
	}
	if err != nil {
		return nil, errors.New("no Chromium here; tools/browser installs it (make e2e-browser does)")
	}
	allocated, _ := chromedp.NewExecAllocator(context.Background(), chromedp.ExecPath(path), chromedp.Headless, chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true), chromedp.Flag("lang", "en"))
	ctx, _ := chromedp.NewContext(allocated)
	return ctx, chromedp.Do(ctx)
})

func TestMain(m *testing.M) {
	code := m.Run()
	if ctx, err := browsers(); err == nil {
		_ = chromedp.Cancel(ctx)
	}
	os.Exit(code)
}

// A tab is one page in the browser, with all that it complains of.
type tab struct {
	testing.TB
	ctx context.Context

	mu         sync.Mutex
	complaints []string
	requests   []string
	bytes      float64
}

func newTab(t testing.TB, screen size) *tab {
	t.Helper()
	parent, err := browsers()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := chromedp.NewContext(parent)
	t.Cleanup(cancel)
	b := &tab{TB: t, ctx: ctx}
	if err := chromedp.Listen(ctx, b.hear); err != nil {
		t.Fatal(err)
	}
	ctx, done := context.WithTimeout(ctx, answerTimeout)
	t.Cleanup(done)
	b.ctx = ctx
	call(b, log.Enable, cdp.Empty{})
	call(b, network.Enable, network.EnableParams{})
	b.resize(screen)
	return b
}

func (b *tab) hear(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		b.complaints = append(b.complaints, fmt.Sprint(e.ExceptionDetails.Text, " ", e.ExceptionDetails.URL))
	case *runtime.EventConsoleAPICalled:
		b.complaints = append(b.complaints, fmt.Sprint("console.", e.Type))
	case *log.EventEntryAdded:
		if e.Entry.Level == log.EntryLevelError || e.Entry.Level == log.EntryLevelWarning {
			b.complaints = append(b.complaints, e.Entry.Text+" "+e.Entry.URL)
		}
	case *page.EventJavascriptDialogOpening:
		b.complaints = append(b.complaints, "dialog: "+e.Message)
	case *network.EventRequestWillBeSent:
		if !strings.HasPrefix(e.Request.URL, "data:") {
			b.requests = append(b.requests, e.Request.URL)
		}
	case *network.EventLoadingFinished:
		b.bytes += e.EncodedDataLength
	}
}

// quiet fails the test when the page has complained.
func (b *tab) quiet(what string) {
	b.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, complaint := range b.complaints {
		b.Errorf("%s: the browser console has: %s", what, complaint)
	}
	b.complaints = nil
}

func (b *tab) do(actions ...chromedp.Action[chromedp.Void]) {
	b.Helper()
	if err := chromedp.Do(b.ctx, actions...); err != nil {
		b.Fatal(err)
	}
}

// loads does something that loads another page, and waits for it.
func (b *tab) loads(actions ...chromedp.Action[chromedp.Void]) *network.Response {
	b.Helper()
	answer, err := chromedp.RunResponse(b.ctx, actions...)
	if err != nil {
		b.Fatal(err)
	}
	return answer
}

func (b *tab) resize(s size) {
	b.Helper()
	options := []chromedp.EmulateViewportOption{}
	if s.phone {
		options = append(options, chromedp.EmulateMobile, chromedp.EmulateTouch)
	}
	b.do(chromedp.EmulateViewport(s.width, s.height, options...))
}

func (b *tab) theme(scheme string) {
	b.Helper()
	call(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}})
}

// ask evaluates an expression in the page.
func ask[T any](b *tab, expression string) T {
	b.Helper()
	answer, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		b.Fatalf("%.200s: %v", expression, err)
	}
	return answer
}

// run evaluates statements.
func (b *tab) run(statements string) {
	b.Helper()
	ask[bool](b, statements+"; true")
}

// call runs a command of the protocol.
func call[P, R any](b *tab, command cdp.Command[P, R], params P) R {
	b.Helper()
	answer, err := chromedp.Call(b.ctx, command, params)
	if err != nil {
		b.Fatal(err)
	}
	return answer
}

// wait asks until the answer is true.
func (b *tab) wait(limit time.Duration, what, expression string) {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, limit)
	defer cancel()
	if _, err := chromedp.Run(ctx, chromedp.Poll[bool](expression, chromedp.WithPollingInterval(100*time.Millisecond), chromedp.WithPollingTimeout(limit))); err != nil {
		b.Fatalf("waited %s in vain: %s: %v", limit, what, err)
	}
}

// text is what can be read of an element.
func (b *tab) text(selector string) string {
	b.Helper()
	text, err := chromedp.Run(b.ctx, chromedp.Text(chromedp.CSS(selector)))
	if err != nil {
		b.Fatal(err)
	}
	return text
}

//go:embed layout.js
var layoutJS string

// layout fails the test when something sticks out, is cut off or overlaps.
func (b *tab) layout(name string, s size) {
	b.Helper()
	for _, problem := range ask[[]string](b, fmt.Sprintf("(%s)(%d)", layoutJS, s.width)) {
		b.Errorf("%s on a %s: %s", name, s.name, problem)
	}
}

// keep keeps a picture of the whole page.
func (b *tab) keep(name string) {
	b.Helper()
	picture, err := chromedp.Run(b.ctx, chromedp.FullScreenshot(60))
	if err != nil {
		b.Fatal(err)
	}
	if err := os.MkdirAll(screenshots, 0o755); err != nil {
		b.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(screenshots, name+".jpg"), picture, 0o644); err != nil {
		b.Fatal(err)
	}
}

// binary is the exporter as it ships.
func binary(t testing.TB) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("..", "..", "bin", "rainbond-exporter"))
	if err == nil {
		_, err = os.Stat(path)
	}
	if err != nil {
		t.Fatalf("%v; build it with make build (make e2e-browser does)", err)
	}
	return path
}

// run starts the exporter and returns its URL once it answers.
func run(t testing.TB, args ...string) string {
	t.Helper()
	listen, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listen.Addr().String()
	_ = listen.Close()
	cmd := exec.CommandContext(t.Context(), binary(t), append(args, "--web.listen-address="+address)...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	listening, last := make(chan struct{}), ""
	go func() {
		defer close(listening)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if last = lines.Text(); strings.Contains(last, "Listening on") {
				go func() { _, _ = io.Copy(io.Discard, out) }()
				return
			}
		}
	}()
	t.Cleanup(func() { _ = cmd.Wait() }) // killed by the test's context
	select {
	case <-listening:
	case <-time.After(answerTimeout):
	}
	if !strings.Contains(last, "Listening on") {
		t.Fatalf("%s did not begin to listen: %s", strings.Join(args, " "), last)
	}
	return "http://" + address
}

// breaks sets the demo's scenario.
func breaks(t testing.TB, demo, scenario string) {
	t.Helper()
	answer, err := http.PostForm(demo+"/demo", url.Values{"scenario": {scenario}})
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	_, _ = io.Copy(io.Discard, answer.Body)
	if answer.StatusCode != http.StatusOK { // after the redirect
		t.Fatalf("%s: %s", scenario, answer.Status)
	}
}

// quoted is a text as JavaScript has it.
func quoted(s string) string {
	text, _ := json.Marshal(s) // a string
	return string(text)
}
