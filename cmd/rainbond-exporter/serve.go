package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/collectors/version"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/common/promslog"
	toolkit "github.com/prometheus/exporter-toolkit/web"

	"github.com/rainbond-exporter/rainbond-exporter/alerting"
	"github.com/rainbond-exporter/rainbond-exporter/collector"
	"github.com/rainbond-exporter/rainbond-exporter/configfile"
	"github.com/rainbond-exporter/rainbond-exporter/docs"
	"github.com/rainbond-exporter/rainbond-exporter/fault"
	"github.com/rainbond-exporter/rainbond-exporter/probe"
	"github.com/rainbond-exporter/rainbond-exporter/report/web"
)

// scrapeHeader is the header in which Prometheus sends its timeout in seconds.
const scrapeHeader = "X-Prometheus-Scrape-Timeout-Seconds"

// scrapeMargin is the part of the scraper's timeout for the transfer of the
// response.
const scrapeMargin = 500 * time.Millisecond

// gcPercent is the garbage collection target in per cent of the live heap. A
// handshake allocates more than a region keeps, so that with Go's default of
// 100 half of the heap would be garbage.
const gcPercent = 30

// ballast counts as live heap but is never written, so it uses no memory. It
// delays garbage collection of the console role with few regions: a third of its
// size is garbage that may accumulate. The cluster role has none: its memory
// counts more than the fifth of the CPU time of a scrape that it would save.
const ballast = 5 << 20

// shutdownGrace is the time for active requests at shutdown. The grace period of
// a pod is 30 s by default.
const shutdownGrace = 5 * time.Second

// serve collects at each scrape, until ctx ends.
func (f *flags) serve(ctx context.Context, extension *extension) error {
	log := promslog.New(f.log)
	from, err := connect(ctx, f, log)
	if err != nil {
		return err
	}
	if _, chosen := os.LookupEnv("GOGC"); !chosen && from.hasRegions() {
		debug.SetGCPercent(gcPercent)
		if slices.Contains(f.roles, "console") {
			untouched := make([]byte, ballast)
			defer runtime.KeepAlive(untouched)
		}
	}
	var set atomic.Pointer[collector.Set]
	reset := func(from sources) error { // with new collectors
		collectors, err := from.collectors(f)
		if err == nil {
			set.Store(collector.NewSet(log, f.collectionTimeout, collectors...))
		}
		return err
	}
	if err := reset(from); err != nil {
		return err
	}
	collect := func(ctx context.Context) (collector.Snapshot, error) { return set.Load().Collect(ctx), nil }
	evaluator, err := f.doctor()
	if err != nil {
		return err
	}
	self := newSelfMetrics()
	reload := &reloader{metrics: self, log: log}
	if from.config != nil {
		reload.reload = from.config.Reload
	}
	go reload.watch(ctx)
	closeCaches := func() {}
	var changing sync.Mutex
	extension.changed = func() {
		changing.Lock()
		defer changing.Unlock()
		_ = reload.once("the file was written again") // logs its error
		life, end := context.WithCancel(ctx)
		if fresh, err := from.withCaches(life, f, log); err == nil { // it succeeded at the start
			_ = reset(fresh) // likewise
		}
		closeCaches()
		closeCaches = end
	}
	if extension.start != nil {
		if err := extension.start(ctx, evaluator, collect); err != nil {
			return err
		}
	}
	probes := &probeHandler{names: from.names(f.regionName), region: from.region(f), lastRead: from.lastRead(), timeout: f.collectionTimeout, log: log,
		prober: func() func(context.Context, fault.Region) fault.Trace {
			return withoutVerdict(f.probe(&probe.Prober{Resolver: f.resolver}))
		}}
	page := &web.Site{Collect: collect, Doctor: evaluator, Links: f.external(), Panels: extension.panels, Style: extension.style, Guide: map[string][]byte{"zh": docs.PageZH, "en": docs.PageEN}, FrameAncestor: f.frameAncestor, ExternalURL: f.webURL}
	if f.prometheusURL != "" {
		page.Alerting = (&alerting.Reader{Prometheus: f.prometheusURL, Alertmanager: f.alertmanagerURL, Client: &http.Client{}, Now: time.Now}).Read
	}

	mux := http.NewServeMux()
	mux.Handle("/", page.Handler())
	mux.Handle("GET /metrics", metrics(noticed(ctx, func(ctx context.Context) collector.Snapshot { return set.Load().Collect(ctx) }, page), f.collectionTimeout, log, self))
	if from.hasRegions() {
		mux.Handle("GET /probe", probes)
		mux.HandleFunc("GET /sd", probes.serveDiscovery)
	}
	mux.HandleFunc("GET /-/healthy", text("healthy"))
	mux.HandleFunc("GET /-/ready", text("ready"))
	mux.Handle("/-/reload", reload)
	for path, handler := range extension.handlers {
		mux.Handle(path, handler)
	}
	return listen(ctx, f.web, mux, log)
}

// noticed passes the snapshot of each scrape to the page, which evaluates it
// until life ends.
func noticed(life context.Context, collect func(context.Context) collector.Snapshot, page *web.Site) func(context.Context) collector.Snapshot {
	return func(ctx context.Context) collector.Snapshot {
		snapshot := collect(ctx)
		page.Observe(life, snapshot)
		return snapshot
	}
}

// listen serves on the addresses of --web.listen-address until ctx ends.
func listen(ctx context.Context, web *toolkit.FlagConfig, handler http.Handler, log *slog.Logger) error {
	if err := configfile.Regular(*web.WebConfigFile, "a web configuration file"); err != nil {
		return fmt.Errorf("read --web.config.file: %w", err)
	}
	requests, endRequests := context.WithCancel(context.WithoutCancel(ctx))
	defer endRequests()
	server := &http.Server{
		Handler:           handler,
		BaseContext:       func(net.Listener) context.Context { return requests },
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
	// A scrape that is not finished then returns what is.
	defer time.AfterFunc(shutdownGrace*4/5, endRequests).Stop()
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownGrace)
	defer cancel()
	err := server.Shutdown(grace)
	if errors.Is(err, context.DeadlineExceeded) {
		log.Warn("requests interrupted by the shutdown")
		return server.Close()
	}
	return err
}

// selfMetrics holds the metrics of the exporter itself.
type selfMetrics struct {
	*prometheus.Registry
	reloadOK, reloadAt prometheus.Gauge
}

func newSelfMetrics() selfMetrics {
	m := selfMetrics{
		Registry: prometheus.NewRegistry(),
		reloadOK: prometheus.NewGauge(prometheus.GaugeOpts{Name: "rainbond_exporter_config_last_reload_successful", Help: "Whether the last reload of the configuration succeeded."}),
		reloadAt: prometheus.NewGauge(prometheus.GaugeOpts{Name: "rainbond_exporter_config_last_reload_success_timestamp_seconds", Help: "Time of the last successful reload of the configuration."}),
	}
	m.MustRegister(m.reloadOK, m.reloadAt,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), version.NewCollector("rainbond_exporter"))
	m.reloaded(nil)
	return m
}

// reloaded records the result of a reload.
func (m selfMetrics) reloaded(err error) {
	if err != nil {
		m.reloadOK.Set(0)
		return
	}
	m.reloadOK.Set(1)
	m.reloadAt.SetToCurrentTime()
}

// metrics serves a scrape with one collection, within the scraper's deadline, and
// with the samples of others. Timeout is the time limit of a collection.
func metrics(collect func(context.Context) collector.Snapshot, timeout time.Duration, log *slog.Logger, others ...prometheus.Gatherer) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), scrapeTimeout(r, timeout))
		defer cancel()
		writeMetrics(w, r, log, collect(ctx), others...)
	})
}

// writeMetrics writes the samples of a snapshot and of others.
func writeMetrics(w http.ResponseWriter, r *http.Request, log *slog.Logger, snapshot collector.Snapshot, others ...prometheus.Gatherer) {
	samples := prometheus.NewRegistry()
	samples.MustRegister(snapshot)
	promhttp.HandlerFor(append(prometheus.Gatherers{samples}, others...), promhttp.HandlerOpts{
		ErrorLog:      slog.NewLogLogger(log.Handler(), slog.LevelError),
		ErrorHandling: promhttp.ContinueOnError,
	}).ServeHTTP(w, r)
}

// maxScrapeTimeout is the largest scrape timeout that is plausible.
const maxScrapeTimeout = 10 * time.Minute

// scrapeTimeout returns the scraper's timeout less the margin. A client without
// a valid timeout waits until the collection ends, which has the given limit.
func scrapeTimeout(r *http.Request, collection time.Duration) time.Duration {
	seconds, err := strconv.ParseFloat(r.Header.Get(scrapeHeader), 64)
	if err != nil || !(seconds > 0 && seconds <= maxScrapeTimeout.Seconds()) { // NaN is not above 0 either
		return collection
	}
	timeout := time.Duration(seconds * float64(time.Second))
	return max(timeout-scrapeMargin, timeout/2)
}

// reloader reloads the configuration on SIGHUP and POST /-/reload. An invalid
// file is rejected, and the previous configuration remains.
type reloader struct {
	reload  func() error // nil without a configuration file
	metrics selfMetrics
	log     *slog.Logger

	mu sync.Mutex // one reload at a time
}

// once reloads once, logs the result and returns its error.
func (r *reloader) once(cause string) error {
	if r.reload == nil {
		return errors.New("nothing to reload: there is no --config.file")
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	err := r.reload()
	r.metrics.reloaded(err)
	if err != nil {
		r.log.Error("configuration rejected, the previous one remains", "cause", cause, "err", err)
		return err
	}
	r.log.Info("configuration reloaded", "cause", cause)
	return nil
}

// watch reloads at each SIGHUP until ctx ends. Without a configuration file it
// ignores the signal, which would end the process by default.
func (r *reloader) watch(ctx context.Context) {
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	ignored := false
	for {
		select {
		case <-hangup:
			if r.reload == nil {
				if !ignored {
					r.log.Info("SIGHUP ignored: there is no --config.file")
				}
				ignored = true
				continue
			}
			_ = r.once("SIGHUP") // logs its error
		case <-ctx.Done():
			return
		}
	}
}

// ServeHTTP serves POST /-/reload.
func (r *reloader) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if req.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		http.Error(w, "expected POST", http.StatusMethodNotAllowed)
		return
	}
	if err := r.once("POST /-/reload"); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	fmt.Fprintln(w, "configuration reloaded")
}

// text returns a handler that responds with a line of text.
func text(line string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, line) }
}
