package main

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/rainbond-exporter/rainbond-exporter/collector"
	"github.com/rainbond-exporter/rainbond-exporter/fault"
	"github.com/rainbond-exporter/rainbond-exporter/region"
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
	config *region.ConfigFile
	kube   *region.Kube
	root   func(context.Context) (fault.Filesystem, error)
}

// connect opens what the wanted collectors need. Nothing is asked over the
// network yet: what does not answer is found by the first look.
func connect(life context.Context, f *flags, log *slog.Logger) (source, error) {
	var s source
	var err error
	if f.configFile != "" {
		if s.config, err = region.OpenConfig(f.configFile); err != nil {
			return s, err
		}
	}
	if slices.Contains(f.roles, "cluster") {
		config, err := region.KubeConfig(f.kubeconfig)
		if err != nil {
			return s, err
		}
		if s.kube, err = region.NewKube(life, config, f.namespace, log); err != nil {
			return s, err
		}
	}
	s.root = f.root
	if s.root == nil && slices.Contains(f.wanted(), collector.SlugDisk) && slices.Contains(f.roles, "node") {
		s.root, err = region.RootFS(log, f.procfs, f.rootfs)
	}
	return s, err
}

// collectors makes the wanted collectors over the source.
func (s source) collectors(f *flags) ([]collector.Collector, error) {
	probe := collector.OncePerLook(func(r fault.Region) string { return r.Name + " " + r.URL }, (&region.Prober{Resolver: f.resolver}).Probe)
	regions := s.regions(f.regionName)
	var all []collector.Collector
	for _, name := range f.wanted() {
		c, err := s.collector(name, f, regions, probe)
		if err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	return all, nil
}

func (s source) collector(name string, f *flags,
	regions func(context.Context) ([]fault.Region, error),
	probe func(context.Context, fault.Region) fault.Trace,
) (collector.Collector, error) {
	switch name {
	case collector.SlugAPI:
		return collector.NewAPI(regions, probe, s.inside(f), s.lastRead()), nil
	case collector.SlugCert:
		var kept func(context.Context) ([]fault.Copy, error)
		if s.kube != nil {
			kept = s.kube.Kept
		}
		return collector.NewCert(regions, kept, f.regionName, probe), nil
	case collector.SlugDisk:
		var nodes func(context.Context) ([]fault.Node, error)
		if s.kube != nil {
			nodes = s.kube.Nodes
		}
		return collector.NewDisk(f.regionName, f.nodeName, s.root, nodes), nil
	}
	if s.kube == nil {
		return nil, fmt.Errorf("--collectors: %s asks the Kubernetes API; expected --role=cluster with it", name)
	}
	switch name {
	case collector.SlugTLS:
		return collector.NewTLS(f.regionName, s.kube.Logs().Read), nil
	case collector.SlugNodeRole:
		return collector.NewNodeRole(f.regionName, s.kube.Nodes), nil
	case collector.SlugComponent:
		return collector.NewComponent(f.regionName, s.kube.Workloads, s.kube.Pods), nil
	}
	panic("cmd: no way to make collector " + name) // validate knows every slug
}

// inside is the cluster we are in; nil where we have no Kubernetes API.
func (s source) inside(f *flags) *collector.Inside {
	if s.kube == nil {
		return nil
	}
	return &collector.Inside{Region: f.regionName, DirectURL: f.directURL, Nodes: s.kube.Nodes}
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
