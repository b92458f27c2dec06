package main

import (
	"context"
	"fmt"
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

// A role is only a list of collectors.
var roles = map[string][]string{
	"cluster": {collector.SlugAPI, collector.SlugTLS, collector.SlugCert, collector.SlugNodeRole, collector.SlugComponent, collector.SlugDisk},
	"node":    {collector.SlugDisk},
	"console": {collector.SlugAPI, collector.SlugCert},
}

func roleNames() []string { return slices.Sorted(maps.Keys(roles)) }

// A source is where the collectors get what they look at. What is nil is not
// looked at: a node's exporter has no Kubernetes API, a cluster's has no disk.
type source struct {
	config *console.Source
	kube   *kube.Client
	root   func(context.Context) (fault.Filesystem, error)
	mounts func(context.Context) ([]fault.Mount, error)
	far    *progress // is told how far a look has come; nil where nobody waits
}

// connect opens what the wanted collectors need. Nothing is asked over the
// network yet: what does not answer is found by the first look.
func connect(life context.Context, f *flags, log *slog.Logger) (source, error) {
	var s source
	var err error
	if f.configFile != "" {
		if s.config, err = console.Open(f.configFile); err != nil {
			return s, err
		}
	}
	if s, err = s.watching(life, f, log); err != nil {
		return s, err
	}
	s.root, s.mounts = f.root, f.mounts
	if s.root == nil && slices.Contains(f.wanted(), collector.SlugDisk) && slices.Contains(f.roles, "node") {
		s.root, s.mounts, err = filesystem.Disks(log, f.procfs, f.rootfs)
	}
	return s, err
}

// watching is the source with caches of the cluster that remember nothing.
func (s source) watching(life context.Context, f *flags, log *slog.Logger) (source, error) {
	if !slices.Contains(f.roles, "cluster") {
		return s, nil
	}
	config, err := kube.LoadConfig(f.kubeconfig, f.context)
	if err == nil {
		s.kube, err = kube.New(life, config, f.namespace, log)
	}
	return s, err
}

// knowsRegions says whether there is a region to ask at all.
func (s source) knowsRegions() bool { return s.config != nil || s.kube != nil }

// collectors makes the wanted collectors over the source.
func (s source) collectors(f *flags) ([]collector.Collector, error) {
	prober := &probe.Prober{Resolver: f.resolver}
	ask := questions{
		regions: onceInALook(s.far.regions(s.regions(f.regionName))),
		probe:   oncePerLook(s.far.probe(prober.Probe)),
		monitor: prober.Monitor,
		told:    s.told(),
	}
	var all []collector.Collector
	for _, name := range f.wanted() {
		c, err := s.collector(name, f, ask)
		if err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	return all, nil
}

// oncePerLook lets the collectors of one look share one probe.
func oncePerLook(probe func(context.Context, fault.Region) fault.Trace) func(context.Context, fault.Region) fault.Trace {
	return collector.OncePerCollection(func(r fault.Region) string { return r.Name + " " + r.URL }, probe)
}

// questions are what several collectors ask.
type questions struct {
	regions func(context.Context) ([]fault.Region, error)
	probe   func(context.Context, fault.Region) fault.Trace
	monitor func(context.Context, fault.Region) (fault.Monitor, error)
	told    func(context.Context) (fault.Platform, error)
}

func (s source) collector(name string, f *flags, ask questions) (collector.Collector, error) {
	switch name {
	case collector.SlugAPI:
		return collector.NewAPI(ask.regions, ask.probe, s.inside(f), s.lastRead()), nil
	case collector.SlugCert:
		var kept func(context.Context) ([]fault.Copy, error)
		if s.kube != nil {
			kept = s.kube.Certificates
		}
		return collector.NewCert(ask.regions, kept, f.regionName, ask.probe), nil
	case collector.SlugDisk:
		from := collector.DiskSource{Root: s.root, Mounts: s.mounts}
		if s.kube != nil {
			from.Nodes = s.kube.Nodes
			if f.configz {
				from.Thresholds = s.kube.EvictionThresholds()
			}
		}
		return collector.NewDisk(f.regionName, f.nodeName, from), nil
	}
	if s.kube == nil {
		return nil, fmt.Errorf("--collectors: %s asks the Kubernetes API; expected --role=cluster with it", name)
	}
	switch name {
	case collector.SlugTLS:
		return collector.NewTLS(f.regionName, s.kube.LogReader().Read), nil
	case collector.SlugNodeRole:
		return collector.NewNodeRole(f.regionName, f.roleNames(), s.kube.Nodes, ask.told), nil
	case collector.SlugComponent:
		return collector.NewComponent(f.regionName, collector.Components{
			Workloads: s.kube.Workloads, Pods: s.kube.Pods, Platform: ask.told, FailedMounts: s.kube.FailedMounts,
			Monitor: ask.shown(f.regionName),
		}), nil
	}
	panic("cmd: no way to make collector " + name) // validate knows every slug
}

// inside is the cluster we are in; nil where we have no Kubernetes API.
func (s source) inside(f *flags) *collector.Cluster {
	if s.kube == nil {
		return nil
	}
	return &collector.Cluster{Region: f.regionName, DirectURL: f.directURL, Nodes: s.kube.Nodes}
}

// told is what the operator has been told to run, asked once in a look.
func (s source) told() func(context.Context) (fault.Platform, error) {
	if s.kube == nil {
		return nil
	}
	return onceInALook(s.kube.Platform)
}

// onceInALook lets the collectors of one look share one answer.
func onceInALook[A any](ask func(context.Context) (A, error)) func(context.Context) (A, error) {
	type answer struct {
		it  A
		err error
	}
	once := collector.OncePerCollection(func(struct{}) string { return "" }, func(ctx context.Context, _ struct{}) (a answer) {
		a.it, a.err = ask(ctx)
		return a
	})
	return func(ctx context.Context) (A, error) {
		a := once(ctx, struct{}{})
		return a.it, a.err
	}
}

// shown asks the region of that name what the console shows of its components.
// A region whose probe failed is not asked again: its own alert speaks.
func (ask questions) shown(name string) func(context.Context) (fault.Monitor, bool) {
	return func(ctx context.Context) (fault.Monitor, bool) {
		all, _ := ask.regions(ctx) // the api collector tells of the error
		i := slices.IndexFunc(all, func(r fault.Region) bool { return r.Name == name })
		if i < 0 {
			return fault.Monitor{}, false
		}
		if f, failed := fault.FromTrace(ask.probe(ctx, all[i])); failed && f.Reason != fault.NotReady {
			return fault.Monitor{}, false
		}
		m, err := ask.monitor(ctx, all[i])
		return m, err == nil
	}
}

// lastRead says when the console's database last answered; nil where no
// configuration can name one.
func (s source) lastRead() func() time.Time {
	if s.config == nil {
		return nil
	}
	return s.config.LastRead
}

// regions are those of the configuration, or the one of region-config.
func (s source) regions(name string) func(context.Context) ([]fault.Region, error) {
	if s.config != nil {
		return s.config.Regions
	}
	return func(ctx context.Context) ([]fault.Region, error) {
		r, err := s.kube.Region(ctx, name)
		if err != nil {
			return nil, err
		}
		return []fault.Region{r}, nil
	}
}

// names are what the regions are called, without what is known of them.
func (s source) names(own string) func(context.Context) ([]string, error) {
	if s.config != nil {
		return s.config.Names
	}
	return func(context.Context) ([]string, error) { return []string{own}, nil }
}

// region is the one of that name; false when there is none.
func (s source) region(own string) func(context.Context, string) (fault.Region, bool, error) {
	if s.config != nil {
		return s.config.Region
	}
	return func(ctx context.Context, name string) (fault.Region, bool, error) {
		if name != own {
			return fault.Region{}, false, nil
		}
		r, err := s.kube.Region(ctx, own)
		return r, err == nil, err
	}
}
