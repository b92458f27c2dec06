package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/rainbond-exporter/rainbond-exporter/collector"
	"github.com/rainbond-exporter/rainbond-exporter/console"
	"github.com/rainbond-exporter/rainbond-exporter/fault"
	"github.com/rainbond-exporter/rainbond-exporter/filesystem"
	"github.com/rainbond-exporter/rainbond-exporter/kube"
	"github.com/rainbond-exporter/rainbond-exporter/probe"
)

// roles holds the collectors of each role.
var roles = map[string][]string{
	"cluster": {collector.SlugAPI, collector.SlugTLS, collector.SlugCert, collector.SlugNodeRole, collector.SlugComponent, collector.SlugDisk},
	"node":    {collector.SlugDisk},
	"console": {collector.SlugAPI, collector.SlugCert},
}

func roleNames() []string { return slices.Sorted(maps.Keys(roles)) }

// A sources value holds the data sources of the collectors. A source that is nil
// is not used: the node role has no Kubernetes API, the cluster role no disk.
type sources struct {
	config   *console.Source
	kube     *kube.Client
	root     func(context.Context) (fault.Filesystem, error)
	mounts   func(context.Context) ([]fault.Mount, error)
	progress *progress // of check; nil otherwise
	log      *slog.Logger
}

// connect opens the data sources of the wanted collectors. It sends no request:
// the first collection finds sources that do not respond.
func connect(life context.Context, f *flags, log *slog.Logger) (sources, error) {
	s := sources{log: log}
	var err error
	if f.configFile != "" {
		if s.config, err = console.Open(f.configFile); err != nil {
			return s, err
		}
	}
	if s, err = s.withCaches(life, f, log); err != nil {
		return s, err
	}
	s.root, s.mounts = f.root, f.mounts
	if s.root == nil && slices.Contains(f.wanted(), collector.SlugDisk) && slices.Contains(f.roles, "node") {
		s.root, s.mounts, err = filesystem.Disks(log, f.procfs, f.rootfs, f.dataPaths)
	}
	return s, err
}

// withCaches returns the sources with new, empty caches of the cluster.
func (s sources) withCaches(life context.Context, f *flags, log *slog.Logger) (sources, error) {
	if !slices.Contains(f.roles, "cluster") {
		return s, nil
	}
	kube.LogClientGo(log)
	config, err := kube.LoadConfig(f.kubeconfig, f.context)
	if err == nil {
		s.kube, err = kube.New(life, config, f.namespace, log)
	}
	return s, err
}

// validateConfig reads the configuration file as serve does at its start.
func (f *flags) validateConfig(out io.Writer) (int, error) {
	config, err := console.Open(f.configFile)
	if err != nil {
		return unknown, err
	}
	fmt.Fprintf(out, "%s: valid\n", f.configFile)
	return healthy, config.Close()
}

// hasRegions reports whether there is a source of regions.
func (s sources) hasRegions() bool { return s.config != nil || s.kube != nil }

// forgetRemoved returns a query for the regions that also removes from memory the
// credentials of regions that no longer exist.
func forgetRemoved(prober *probe.Prober, regions func(context.Context) ([]fault.Region, error)) func(context.Context) ([]fault.Region, error) {
	return func(ctx context.Context) ([]fault.Region, error) {
		all, err := regions(ctx)
		if err == nil {
			prober.Keep(all)
		}
		return all, err
	}
}

// collectors returns the wanted collectors.
func (s sources) collectors(f *flags) ([]collector.Collector, error) {
	prober := &probe.Prober{Resolver: f.resolver}
	shared := sharedQueries{
		regions:  oncePerCollection(s.progress.regions(forgetRemoved(prober, collector.Limited(s.regions(f))))),
		probe:    shareProbe(s.progress.probe(withoutVerdict(f.probe(prober)))),
		monitor:  prober.Monitor,
		platform: s.platform(),
	}
	var all []collector.Collector
	for _, name := range f.wanted() {
		c, err := s.collector(name, f, shared)
		if err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	return all, nil
}

// probe returns the probe of a region.
func (f *flags) probe(prober *probe.Prober) func(context.Context, fault.Region) fault.Trace {
	if f.observed == nil {
		return prober.Probe
	}
	return func(ctx context.Context, r fault.Region) fault.Trace { return f.observed(prober.Probe(ctx, r)) }
}

// shareProbe lets the collectors of one collection share one probe per region.
func shareProbe(probe func(context.Context, fault.Region) fault.Trace) func(context.Context, fault.Region) fault.Trace {
	return collector.OncePerCollection(func(r fault.Region) string { return r.Name + " " + r.URL }, probe)
}

// sharedQueries holds the queries that several collectors make.
type sharedQueries struct {
	regions  func(context.Context) ([]fault.Region, error)
	probe    func(context.Context, fault.Region) fault.Trace
	monitor  func(context.Context, fault.Region) (fault.Monitor, error)
	platform func(context.Context) (fault.Platform, error)
}

func (s sources) collector(name string, f *flags, shared sharedQueries) (collector.Collector, error) {
	switch name {
	case collector.SlugAPI:
		return collector.NewAPI(shared.regions, shared.probe, s.cluster(f), s.lastRead(), collector.LogFailedProbes(s.log)), nil
	case collector.SlugCert:
		var cluster func(context.Context) ([]fault.Copy, error)
		if s.kube != nil {
			cluster = s.kube.Certificates
		}
		return collector.NewCert(shared.regions, cluster, shared.platform, f.regionName, shared.probe), nil
	case collector.SlugDisk:
		source := collector.DiskSource{Root: s.root, Mounts: s.mounts}
		if s.kube != nil {
			source.Nodes = s.kube.Nodes
			if f.configz {
				source.Thresholds = s.kube.EvictionThresholds()
			}
		}
		return collector.NewDisk(f.regionName, f.nodeName, source), nil
	}
	if s.kube == nil {
		return nil, fmt.Errorf("--collectors: %s needs the Kubernetes API; expected --role=cluster", name)
	}
	switch name {
	case collector.SlugTLS:
		log := s.kube.LogReader()
		return collector.NewTLS(f.regionName, log.Read, log.Gaps), nil
	case collector.SlugNodeRole:
		return collector.NewNodeRole(f.regionName, f.roleNames(), s.kube.Nodes, s.kube.Workloads, shared.platform), nil
	case collector.SlugComponent:
		return collector.NewComponent(f.regionName, collector.Components{
			Workloads: s.kube.Workloads, Pods: s.kube.Pods, Nodes: s.kube.Nodes, Platform: shared.platform, FailedMounts: s.kube.FailedMounts, FailedSandboxes: s.kube.FailedSandboxes,
			Monitor: shared.alarms(f.regionName),
		}), nil
	}
	panic("cmd: unknown collector " + name) // validate has checked the names
}

// cluster returns the cluster of the exporter; nil without a Kubernetes API.
func (s sources) cluster(f *flags) *collector.Cluster {
	if s.kube == nil {
		return nil
	}
	return &collector.Cluster{Region: f.regionName, DirectURL: f.directURL, Nodes: s.kube.Nodes}
}

// platform returns a query for the operator's configuration, which runs once per
// collection; nil without a Kubernetes API.
func (s sources) platform() func(context.Context) (fault.Platform, error) {
	if s.kube == nil {
		return nil
	}
	return oncePerCollection(s.kube.Platform)
}

// oncePerCollection lets the collectors of one collection share one result.
func oncePerCollection[A any](query func(context.Context) (A, error)) func(context.Context) (A, error) {
	type result struct {
		value A
		err   error
	}
	once := collector.OncePerCollection(func(struct{}) string { return "" }, func(ctx context.Context, _ struct{}) (r result) {
		r.value, r.err = query(ctx)
		return r
	})
	return func(ctx context.Context) (A, error) {
		r := once(ctx, struct{}{})
		return r.value, r.err
	}
}

// alarms returns a query for the alarms that the console shows about the region
// with the given name. It sends no request to a region whose probe failed.
func (q sharedQueries) alarms(name string) func(context.Context) (fault.Monitor, bool) {
	return func(ctx context.Context) (fault.Monitor, bool) {
		all, _ := q.regions(ctx) // the api collector reports the error
		i := slices.IndexFunc(all, func(r fault.Region) bool { return r.Name == name })
		if i < 0 {
			return fault.Monitor{}, false
		}
		if f, failed := fault.FromTrace(q.probe(ctx, all[i])); failed && f.Reason != fault.NotReady {
			return fault.Monitor{}, false
		}
		m, err := q.monitor(ctx, all[i])
		return m, err == nil
	}
}

// lastRead returns a function that returns when the console's database last
// answered; nil without a configuration file.
func (s sources) lastRead() func() time.Time {
	if s.config == nil {
		return nil
	}
	return s.config.LastRead
}

// regions returns a query for the regions of the configuration, or the region of
// region-config.
func (s sources) regions(f *flags) func(context.Context) ([]fault.Region, error) {
	if s.config != nil {
		query := inNamespace(s.config.Regions, f.namespace)
		if s.kube != nil {
			query = including(f.regionName, query)
		}
		return query
	}
	local := f.routed(s.kube.Region, s.kube.Workloads)
	return func(ctx context.Context) ([]fault.Region, error) {
		r, err := local(ctx, f.regionName)
		if err != nil && r.URL == "" {
			return nil, err
		}
		return []fault.Region{r}, err
	}
}

// names returns a query for the names of the regions.
func (s sources) names(local string) func(context.Context) ([]string, error) {
	if s.config != nil {
		return s.config.Names
	}
	return func(context.Context) ([]string, error) { return []string{local}, nil }
}

// region returns a query for a region by name, which returns false for an
// unknown name.
func (s sources) region(f *flags) func(context.Context, string) (fault.Region, bool, error) {
	if s.config != nil {
		return func(ctx context.Context, name string) (fault.Region, bool, error) {
			r, ok, err := s.config.Region(ctx, name)
			r.URL = qualified(r.URL, f.namespace)
			return r, ok, err
		}
	}
	local := f.routed(s.kube.Region, s.kube.Workloads)
	return func(ctx context.Context, name string) (fault.Region, bool, error) {
		if name != f.regionName {
			return fault.Region{}, false, nil
		}
		r, err := local(ctx, name)
		return r, err == nil || r.URL != "", err
	}
}
