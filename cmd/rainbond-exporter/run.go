package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"

	"github.com/rainbond-exporter/rainbond-exporter/collector"
	"github.com/rainbond-exporter/rainbond-exporter/demo"
	"github.com/rainbond-exporter/rainbond-exporter/doctor"
	"github.com/rainbond-exporter/rainbond-exporter/relay"
	"github.com/rainbond-exporter/rainbond-exporter/report/web"
	"github.com/rainbond-exporter/rainbond-exporter/tour"
)

// The exit statuses.
const (
	healthy = 0
	faults  = 1
	unknown = 2 // also: could not start
)

// run executes the command line and returns the exit status.
func run(ctx context.Context, args []string, out, errs io.Writer) int {
	f, err := parse(args, out)
	if errors.Is(err, errHelp) {
		return healthy
	}
	status := unknown
	if err == nil {
		f.log.Writer = errs
		status, err = f.do(ctx, out, errs)
	}
	if err != nil {
		fmt.Fprintln(errs, calledAs(os.Args[0])+":", err)
		return unknown
	}
	return status
}

// do runs the command.
func (f *flags) do(ctx context.Context, out, errs io.Writer) (int, error) {
	switch f.command {
	case cmdRules:
		if f.checkRules {
			return f.lint(ctx, errs)
		}
		return healthy, f.rules.print(out)
	case cmdDashboards:
		return healthy, f.dashboards.write()
	case cmdRelay:
		return healthy, f.relay(ctx)
	case cmdTestAlert:
		return f.testAlert(ctx, out)
	case cmdServe:
		if f.checkConfig {
			return f.validateConfig(out)
		}
		return healthy, f.serve(ctx, &extension{})
	case cmdCheck:
		return f.check(ctx, out, errs)
	}
	extension := &extension{changed: func() {}}
	d, err := demo.Start(ctx, demo.Options{Scenario: f.scenario, Installation: f.installation, Progress: errs, Bits: f.bits, Switched: func(string) { extension.changed() }})
	if err != nil {
		return unknown, err
	}
	defer d.Close()
	f.pointAt(d)
	if f.command == cmdDemoCheck {
		return f.check(ctx, out, errs)
	}
	path := relay.Path{Prometheus: f.prometheusURL, Alertmanager: f.alertmanagerURL, Relay: f.relayURL, Severity: "critical"}
	if err := readToken("alerting.relay-token-file", f.relayTokenFile, &path.Token); err != nil {
		return unknown, err
	}
	extension.handlers, extension.style = map[string]http.Handler{demo.Path: d.Switch()}, tour.Style
	extension.start = func(ctx context.Context, evaluator *doctor.Doctor, collect func(context.Context) (collector.Snapshot, error)) error {
		t, err := tour.Start(ctx, d, evaluator, collect, path)
		if err == nil {
			extension.panels, extension.handlers[tour.TestAlertPath] = t.Panels, t.TestAlert()
		}
		return err
	}
	fmt.Fprintf(errs, "demo: open http://%s to choose faults and see the diagnosis\n", (*f.web.WebListenAddresses)[0])
	return healthy, f.serve(ctx, extension)
}

// pointAt sets the flags so that the demo is used like any other region. Only
// the file systems and the durations are functions, because they cannot be
// simulated.
func (f *flags) pointAt(d *demo.Demo) {
	f.roles, f.inCluster = []string{"cluster", "node"}, true
	f.kubeconfig, f.configFile = d.Kubeconfig(), d.ConfigFile()
	f.namespace, f.kubectl, f.regionName, f.nodeName = d.Namespace(), d.Kubectl(), demo.RegionName, demo.NodeName
	f.collectionTimeout = collector.DefaultTimeout
	f.directURL, f.root, f.mounts, f.resolver, f.observed = d.DirectURL(), d.Root, d.Mounts, d.Resolver(), d.Observed
}

// An extension adds the demo to the status page. The zero value adds nothing.
type extension struct {
	panels   func(lang string, snapshot collector.Snapshot, d doctor.Diagnosis) web.Panels
	style    string
	handlers map[string]http.Handler // by path
	// start is called before the first request; it may set panels and handlers.
	start   func(ctx context.Context, evaluator *doctor.Doctor, collect func(context.Context) (collector.Snapshot, error)) error
	changed func() // called when the faults of the region have changed; serve sets it
}
