package main

import (
	"context"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/collectors/version"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/common/promslog"

	"github.com/rainbond-exporter/rainbond-exporter/relay"
)

// relay posts the notifications that it receives, until ctx ends.
func (f *flags) relay(ctx context.Context) error {
	config, err := relay.Load(f.relayFile)
	if err != nil {
		return err
	}
	addresses := *f.web.WebListenAddresses
	if *f.web.WebSystemdSocket {
		addresses = []string{"the socket of systemd"}
	}
	for _, address := range addresses {
		if err := config.CheckAddress(address); err != nil {
			return err
		}
	}
	log := promslog.New(f.log)
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), version.NewCollector("rainbond_exporter"))
	sending, stop := context.WithCancel(context.WithoutCancel(ctx)) // until the last request has been answered
	defer stop()
	r := relay.New(sending, config, registry, log)

	mux := http.NewServeMux()
	mux.Handle("/", r)
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /-/healthy", text("healthy"))
	mux.HandleFunc("GET /-/ready", text("ready"))
	return listen(ctx, f.web, mux, log)
}
