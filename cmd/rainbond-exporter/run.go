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
	"github.com/rainbond-exporter/rainbond-exporter/report/web"
	"github.com/rainbond-exporter/rainbond-exporter/rules"
	"github.com/rainbond-exporter/rainbond-exporter/tour"
)

// Exit statuses; those of check are its answer.
const (
	healthy      = 0
	faults       = 1
	couldNotLook = 2 // and: could not start
)

// run does what the command line says and returns the exit status.
func run(ctx context.Context, args []string, out, errs io.Writer) int {
	f, err := parse(args, out)
	if errors.Is(err, errAsked) {
		return healthy
	}
	status := couldNotLook
	if err == nil {
		f.log.Writer = errs
		status, err = f.do(ctx, out, errs)
	}
	if err != nil {
		fmt.Fprintln(errs, calledAs(os.Args[0])+":", err)
		return couldNotLook
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
		_, err := out.Write(rules.Rules)
		return healthy, err
	case cmdServe:
		return healthy, f.serve(ctx, &site{})
	case cmdCheck:
		return f.check(ctx, out, errs)
	}
	beside := &site{path: demo.Path, changed: func() {}}
	d, err := demo.Start(ctx, demo.Options{Scenario: f.scenario, Progress: errs, Bits: f.bits, Switched: func(string) { beside.changed() }})
	if err != nil {
		return couldNotLook, err
	}
	defer d.Close()
	f.pointAt(d)
	if f.command == cmdDemoCheck {
		return f.check(ctx, out, errs)
	}
	beside.handler, beside.style = d.Switch(), tour.Style
	beside.begin = func(ctx context.Context, judge *doctor.Doctor, look func(context.Context) (collector.Snapshot, error)) error {
		t, err := tour.Start(ctx, d, judge, look)
		if err == nil {
			beside.panels = t.Panels
		}
		return err
	}
	fmt.Fprintf(errs, "demo: open http://%s to break it, and to see what is said of it\n", (*f.web.WebListenAddresses)[0])
	return healthy, f.serve(ctx, beside)
}

// pointAt makes everything look at the demo, as at any other region. The file
// system, which nobody can fake, is handed over as a function.
func (f *flags) pointAt(d *demo.Demo) {
	f.roles = []string{"cluster", "node"}
	f.kubeconfig, f.configFile = d.Kubeconfig(), d.ConfigFile()
	f.namespace, f.regionName, f.nodeName = demo.Namespace, demo.RegionName, demo.NodeName
	f.directURL, f.root, f.mounts, f.resolver = d.DirectURL(), d.Root, d.Mounts, d.Resolver()
}

// A site is what the status page has beside the diagnosis; nothing, when it
// is zero.
type site struct {
	panels  func(lang string, look collector.Snapshot, d doctor.Diagnosis) web.Panels
	style   string
	path    string // where handler answers
	handler http.Handler
	// begin is called before anybody is answered; it may set beside.
	begin   func(ctx context.Context, judge *doctor.Doctor, look func(context.Context) (collector.Snapshot, error)) error
	changed func() // called when the region has become another; serve sets it
}
