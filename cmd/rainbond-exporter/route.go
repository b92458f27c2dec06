package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rainbond-exporter/rainbond-exporter/fault"
)

// routed returns a function that reads the region of ConfigMap region-config
// and chooses the address that the console uses. While the workloads cannot be
// listed, the last known state of the console counts. If it has never been
// known, a failure to reach the address is no verdict. Read may return the last
// known region with an error.
func (f *flags) routed(read func(context.Context, string) (fault.Region, error), workloads func(context.Context) ([]fault.Workload, error)) func(context.Context, string) (fault.Region, error) {
	var mu sync.Mutex
	var known, console bool
	return func(ctx context.Context, name string) (fault.Region, error) {
		region, err := read(ctx, name)
		if region.URL == "" {
			return region, err
		}
		switch fault.Route(f.route) {
		case fault.RouteService:
			return fault.ChooseRoute(region, true, true, f.directURL), err
		case fault.RouteAPIAddress:
			return fault.ChooseRoute(region, false, true, f.directURL), err
		}
		if deadline, ok := ctx.Deadline(); ok { // the probe needs the rest
			limited, cancel := context.WithTimeout(ctx, time.Until(deadline)/4)
			defer cancel()
			ctx = limited
		}
		all, failed := workloads(ctx) // the component collector reports the error
		mu.Lock()
		defer mu.Unlock()
		if has := fault.HasConsole(all); has || failed == nil {
			known, console = true, has
		}
		region = fault.ChooseRoute(region, console, f.inCluster, f.directURL)
		region.AddressUnused, region.ConsoleUnknown = region.AddressUnused || !known, !known
		return region, err
	}
}

// withoutVerdict returns probe, except that a failure to reach an address that
// no console uses is unknown.
func withoutVerdict(probe func(context.Context, fault.Region) fault.Trace) func(context.Context, fault.Region) fault.Trace {
	return func(ctx context.Context, r fault.Region) fault.Trace {
		return fault.WithoutVerdict(r, probe(ctx, r))
	}
}

// inNamespace returns a function that reads the console's regions and qualifies
// the name of the platform's Service in their URLs with the namespace. The name
// is https://rbd-api-api:8443 for a console in that namespace; an exporter in
// another namespace cannot resolve it.
func inNamespace(read func(context.Context) ([]fault.Region, error), namespace string) func(context.Context) ([]fault.Region, error) {
	return func(ctx context.Context) ([]fault.Region, error) {
		regions, err := read(ctx)
		regions = slices.Clone(regions)
		for i := range regions {
			regions[i].URL = qualified(regions[i].URL, namespace)
		}
		return regions, err
	}
}

// qualified returns the URL with the namespace appended to the bare name of the
// Service rbd-api-api. Any other URL is returned unchanged.
func qualified(raw, namespace string) string {
	u, err := url.Parse(raw)
	if err != nil || u.Hostname() != fault.DefaultServerName {
		return raw
	}
	u.Host = strings.Replace(u.Host, fault.DefaultServerName, fault.DefaultServerName+"."+namespace, 1)
	return u.String()
}

// including returns a function that reads the regions, with an error if none of
// them is the cluster's name. Its certificates and components could then not be
// joined with what the console has.
func including(name string, read func(context.Context) ([]fault.Region, error)) func(context.Context) ([]fault.Region, error) {
	return func(ctx context.Context) ([]fault.Region, error) {
		regions, err := read(ctx)
		if err != nil || len(regions) == 0 || slices.ContainsFunc(regions, func(r fault.Region) bool { return r.Name == name }) {
			return regions, err
		}
		const shown = 5
		var names []string
		for _, r := range regions[:min(shown, len(regions))] {
			names = append(names, r.Name)
		}
		if more := len(regions) - shown; more > 0 {
			names = append(names, fmt.Sprintf("and %d more", more))
		}
		return regions, errors.New("--region.name=" + name + " is not among the console's regions: " + strings.Join(names, ", "))
	}
}
