package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/collectors/version"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/common/promslog"
	toolkit "github.com/prometheus/exporter-toolkit/web"

	"github.com/rainbond-exporter/rainbond-exporter/collector"
	"github.com/rainbond-exporter/rainbond-exporter/docs"
	"github.com/rainbond-exporter/rainbond-exporter/fault"
	"github.com/rainbond-exporter/rainbond-exporter/probe"
	"github.com/rainbond-exporter/rainbond-exporter/report/web"
)

// scrapeHeader is where Prometheus says how long it will wait, in seconds.
const scrapeHeader = "X-Prometheus-Scrape-Timeout-Seconds"

// scrapeSlack is kept of the scraper's time for the answer's way back.
const scrapeSlack = 500 * time.Millisecond

// collectAt is how much garbage, in per cent of what is in use, is let lie. A
// handshake throws away more than a region keeps, so that with Go's 100 half
// of our memory would be garbage.
const collectAt = 50

// ballast is never touched, so it takes no memory, but counts as in use: some
// megabytes of garbage may lie, however few regions there are. Without it, one
// region's look would cost a fifteenth more CPU, all of it collecting.
const ballast = 8 << 20

// shutdownGrace is how long requests under way get at the end; a pod has 30 s
// by default.
const shutdownGrace = 5 * time.Second

// serve looks whenever it is asked, until ctx ends.
func (f *flags) serve(ctx context.Context, beside *site) error {
	log := promslog.New(f.log)
	from, err := connect(ctx, f, log)
	if err != nil {
		return err
	}
	if _, chosen := os.LookupEnv("GOGC"); !chosen && from.knowsRegions() {
		debug.SetGCPercent(collectAt)
		untouched := make([]byte, ballast)
		defer runtime.KeepAlive(untouched)
	}
	var set atomic.Pointer[collector.Set]
	begin := func(from source) error { // with collectors that remember nothing
		collectors, err := from.collectors(f)
		if err == nil {
			set.Store(collector.NewSet(log, collectors...))
		}
		return err
	}
	if err := begin(from); err != nil {
		return err
	}
	look := func(ctx context.Context) (collector.Snapshot, error) { return set.Load().Collect(ctx) }
	judge, err := f.judge()
	if err != nil {
		return err
	}
	self := newOwn()
	again := reloader{own: self, log: log}
	if from.config != nil {
		again.reload = from.config.Reload
		go again.watch(ctx)
	}
	forget := func() {}
	beside.changed = func() {
		_ = again.once("the file was written anew") // logged there
		life, end := context.WithCancel(ctx)
		if anew, err := from.watching(life, f, log); err == nil { // as it was good the first time
			_ = begin(anew) // likewise
		}
		forget()
		forget = end
	}
	if beside.begin != nil {
		if err := beside.begin(ctx, judge, look); err != nil {
			return err
		}
	}
	each := &byRegion{names: from.names(f.regionName), region: from.region(f.regionName), lastRead: from.lastRead(), log: log,
		prober: func() func(context.Context, fault.Region) fault.Trace {
			return (&probe.Prober{Resolver: f.resolver}).Probe
		}}
	page := &web.Site{Collect: look, Doctor: judge, Panels: beside.panels, Style: beside.style, Guide: map[string][]byte{"zh": docs.GuideZH, "en": docs.GuideEN}}

	mux := http.NewServeMux()
	mux.Handle("/", page.Handler())
	mux.Handle("GET /metrics", metrics(noticed(ctx, look, page), log, self))
	if from.knowsRegions() {
		mux.Handle("GET /probe", each)
		mux.HandleFunc("GET /sd", each.targets)
	}
	mux.HandleFunc("GET /-/healthy", say("healthy"))
	mux.HandleFunc("GET /-/ready", say("ready"))
	mux.Handle("/-/reload", again)
	if beside.handler != nil {
		mux.Handle(beside.path, beside.handler)
	}
	return listen(ctx, f.web, mux, log)
}

// noticed tells the page what a scrape has seen; life ends what it makes of it.
func noticed(life context.Context, look func(context.Context) (collector.Snapshot, error), page *web.Site) func(context.Context) (collector.Snapshot, error) {
	return func(ctx context.Context) (collector.Snapshot, error) {
		seen, err := look(ctx)
		if err == nil {
			page.Observe(life, seen)
		}
		return seen, err
	}
}

// listen answers on the addresses of --web.listen-address until ctx ends.
func listen(ctx context.Context, web *toolkit.FlagConfig, handler http.Handler, log *slog.Logger) error {
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       30 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
	ended := make(chan error, 1)
	go func() { ended <- toolkit.ListenAndServe(server, web, log) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	log.Info("shutting down")
	// Ctx has ended; the requests under way have not.
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownGrace)
	defer cancel()
	return server.Shutdown(grace)
}

// own is what the exporter says of itself.
type own struct {
	*prometheus.Registry
	reloadOK, reloadAt prometheus.Gauge
}

func newOwn() own {
	o := own{
		Registry: prometheus.NewRegistry(),
		reloadOK: prometheus.NewGauge(prometheus.GaugeOpts{Name: "rainbond_exporter_config_last_reload_successful", Help: "Whether the configuration was good when it was read last."}),
		reloadAt: prometheus.NewGauge(prometheus.GaugeOpts{Name: "rainbond_exporter_config_last_reload_success_timestamp_seconds", Help: "When a good configuration was read last."}),
	}
	o.MustRegister(o.reloadOK, o.reloadAt,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), version.NewCollector("rainbond_exporter"))
	o.reloaded(nil)
	return o
}

func (o own) reloaded(err error) {
	if err != nil {
		o.reloadOK.Set(0)
		return
	}
	o.reloadOK.Set(1)
	o.reloadAt.SetToCurrentTime()
}

// metrics answers a scrape with one look, within the scraper's own deadline,
// and with what others gather beside it.
func metrics(look func(context.Context) (collector.Snapshot, error), log *slog.Logger, others ...prometheus.Gatherer) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), scrapeTimeout(r))
		defer cancel()
		seen, err := look(ctx)
		if err != nil {
			http.Error(w, "the look ended early: "+err.Error(), http.StatusServiceUnavailable)
			return
		}
		samples := prometheus.NewRegistry()
		samples.MustRegister(seen)
		promhttp.HandlerFor(append(prometheus.Gatherers{samples}, others...), promhttp.HandlerOpts{
			ErrorLog:      slog.NewLogLogger(log.Handler(), slog.LevelError),
			ErrorHandling: promhttp.ContinueOnError,
		}).ServeHTTP(w, r)
	})
}

// scrapeTimeout is what the scraper allows, less the slack; DefaultDeadline
// for a client that does not say.
func scrapeTimeout(r *http.Request) time.Duration {
	seconds, err := strconv.ParseFloat(r.Header.Get(scrapeHeader), 64)
	if err != nil || seconds <= 0 || seconds > 600 {
		return collector.DefaultDeadline - scrapeSlack
	}
	timeout := time.Duration(seconds * float64(time.Second))
	return max(timeout-scrapeSlack, timeout/2)
}

// reloader reads the configuration again on SIGHUP and POST /-/reload. A bad
// file is refused and the old one kept.
type reloader struct {
	reload func() error // nil when there is no configuration file
	own    own
	log    *slog.Logger
}

func (r reloader) once(cause string) error {
	if r.reload == nil {
		return errors.New("nothing to reload: there is no --config.file")
	}
	err := r.reload()
	r.own.reloaded(err)
	if err != nil {
		r.log.Error("configuration refused, the old one stays", "cause", cause, "err", err)
		return err
	}
	r.log.Info("configuration read again", "cause", cause)
	return nil
}

// watch obeys SIGHUP until ctx ends.
func (r reloader) watch(ctx context.Context) {
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	for {
		select {
		case <-hangup:
			_ = r.once("SIGHUP") // logged there
		case <-ctx.Done():
			return
		}
	}
}

func (r reloader) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if req.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		http.Error(w, "expected POST", http.StatusMethodNotAllowed)
		return
	}
	if err := r.once("POST /-/reload"); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	fmt.Fprintln(w, "configuration read again")
}

// say answers with a word.
func say(word string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, word) }
}
