package tour

import (
	"context"
	"html/template"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/rainbond-exporter/rainbond-exporter/relay"
	"github.com/rainbond-exporter/rainbond-exporter/report"
)

// TestAlertPath is the path of the handler of TestAlert.
const TestAlertPath = "/demo/test-alert"

// testTimeout is the time limit of a test alert. The route waits for its group_wait.
const testTimeout = 2 * time.Minute

// A chain sends test alerts and keeps the result of the last one.
type chain struct {
	path   relay.Path
	client *http.Client
	life   context.Context // ends a test

	mu      sync.Mutex // guards the rest
	began   time.Time  // of the last test; zero before the first
	running bool
	steps   []relay.Step // reported by the last test
}

// TestAlert returns a handler that sends a test alert: a POST redirects to the page
// (303), which shows the steps. Cross-origin requests are rejected, because pages of
// other sites can reach the loopback address. While a test runs, no other begins.
func (t *Tour) TestAlert() http.Handler {
	return http.NewCrossOriginProtection().Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			w.Header().Set("Allow", http.MethodPost)
			http.Error(w, "expected POST", http.StatusMethodNotAllowed)
			return
		}
		t.chain.begin() //nolint:contextcheck // the test continues after the request
		back := "../"   // relative, so that it holds under any prefix
		if lang := r.URL.Query().Get("lang"); lang == "zh" || lang == "en" {
			back += "?lang=" + lang
		}
		w.Header().Set("Location", back+"#test-alert")
		w.WriteHeader(http.StatusSeeOther)
	}))
}

// begin begins a test in the background, unless one runs.
func (c *chain) begin() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.running {
		return
	}
	c.began, c.steps = time.Now(), nil
	if c.path.Alertmanager == "" {
		return
	}
	c.running = true
	go func() {
		ctx, cancel := context.WithTimeout(c.life, testTimeout)
		defer cancel()
		c.path.Test(ctx, c.client, func(s relay.Step) {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.steps = append(c.steps, s)
		})
		c.mu.Lock()
		defer c.mu.Unlock()
		c.running = false
	}()
}

// A chainView contains the data of the template.
type chainView struct {
	stop
	Began   time.Time
	Running bool
	Steps   []stepView
	End     string
}

// A stepView is one step of a test. State is ok, failed, running, missing or "" (not
// reached).
type stepView struct{ State, Name, Detail string }

// view returns the data of the template in a language.
func (c *chain) view(lang string) chainView {
	c.mu.Lock()
	defer c.mu.Unlock()
	v := chainView{stop: stop{Lang: lang}, Began: c.began, Running: c.running}
	if c.began.IsZero() {
		return v
	}
	next := c.running
	v.End = report.Phrase(lang, "test_complete")
	for _, name := range relay.Steps {
		s := stepView{Name: report.Phrase(lang, "step_"+name)}
		i := slices.IndexFunc(c.steps, func(s relay.Step) bool { return s.Name == name })
		switch {
		case i >= 0 && c.steps[i].OK:
			s.State, s.Detail = "ok", c.steps[i].Detail.In(lang)
		case i >= 0:
			s.State, s.Detail, v.End = "failed", c.steps[i].Detail.In(lang), report.Phrase(lang, "test_stopped")
		case c.path.Alertmanager == "" && name == relay.StepRules:
			s.State, v.End = "missing", report.Phrase(lang, "test_stopped")
			s.Detail = v.Text("This demo has no Prometheus, Alertmanager and relay: the exporter evaluates its rules itself. Start it with make demo-stack, which has all of them, or with the flags --alerting.*-url.",
				"这个演示没有 Prometheus、Alertmanager 和 relay：规则由 exporter 自己执行。请用带有它们的 make demo-stack 启动，或者加上 --alerting.*-url 参数。")
		case c.path.Alertmanager != "" && c.path.Relay == "" && name == relay.StepRelay:
			s.State, s.Detail = "missing", v.Text("The demo was started without --alerting.relay-url.", "启动演示时没有指定 --alerting.relay-url。")
			if v.End == report.Phrase(lang, "test_complete") {
				v.End = v.Text("The alert has a route. The rest is not checked.", "告警有路由，后面的步骤未检查。")
			}
		case next:
			s.State, next = "running", false
		}
		v.Steps = append(v.Steps, s)
	}
	if c.running {
		v.End = v.Text("The test is running, for at most two minutes. This page shows each step when it refreshes.", "测试进行中，最多两分钟。页面刷新时显示每一步。")
	}
	return v
}

// panel returns the button and the result of the last test.
func (c *chain) panel(lang string) template.HTML { return render("chain", c.view(lang)) }
