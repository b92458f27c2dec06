package filesystem

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/alecthomas/kingpin/v2"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/node_exporter/collector"

	"github.com/rainbond-exporter/rainbond-exporter/fault"
)

// nodeExporter is the one place where node_exporter is touched. It takes its
// options from the global kingpin.CommandLine and keeps what it builds in
// package variables, so it is set up once, and its paths stay.
var nodeExporter struct {
	sync.Mutex
	procfs, rootfs string
	filesystem     prometheus.Gatherer
}

// Disks returns two functions about the file systems of a node whose root is
// mounted at rootfs. A call of either ends with its ctx at the latest; what
// does not answer is said beside what it said last, and later calls find it
// waiting and say so at once.
//
// Root tells the root, as node_exporter sees it through the procfs at that
// path. Mounts tells the file systems of the data paths that are others than
// the root, and those that might not answer; what is mounted several times is
// asked once.
//
// The paths are fixed by the first call: another one with other paths fails.
func Disks(log *slog.Logger, procfs, rootfs string) (root func(context.Context) (fault.Filesystem, error), mounts func(context.Context) ([]fault.Mount, error), err error) {
	procfs, rootfs = filepath.Clean(procfs), filepath.Clean(rootfs)
	filesystem, err := setUp(log, procfs, rootfs)
	if err != nil {
		return nil, nil, err
	}
	own := &mountTable{}
	node := own
	if !ourNamespace(procfs) {
		node = &mountTable{procfs: procfs}
	}
	return newRoot(rootfs, filesystem, node, own).look, newMounts(rootfs, own).look, nil
}

func setUp(log *slog.Logger, procfs, rootfs string) (prometheus.Gatherer, error) {
	n := &nodeExporter
	n.Lock()
	defer n.Unlock()
	if n.filesystem != nil {
		if n.procfs != procfs || n.rootfs != rootfs {
			return nil, fmt.Errorf("node_exporter reads procfs %s and root %s already; for %s and %s, start anew", n.procfs, n.rootfs, procfs, rootfs)
		}
		return n.filesystem, nil
	}
	kingpin.CommandLine.Terminate(nil) // or a mistake would end the process
	_, err := kingpin.CommandLine.Parse([]string{
		"--collector.filesystem", "--path.procfs=" + procfs, "--path.rootfs=" + rootfs,
		// No other mount is asked, so none that is stuck can hold us up.
		"--collector.filesystem.mount-points-include=^/$", "--collector.filesystem.stat-workers=1",
		// By default overlay, squashfs and erofs are left out, which are the
		// root of some immutable distributions.
		"--collector.filesystem.fs-types-exclude=^$",
	})
	if err != nil {
		return nil, fmt.Errorf("set up node_exporter: %w", err)
	}
	// Its failures reach the caller as errors, so they need no ERROR of its own.
	quiet := slog.New(warnHandler{log.Handler()})
	filesystems, err := collector.NewFilesystemCollector(quiet)
	if err != nil {
		return nil, fmt.Errorf("set up node_exporter: %w", err)
	}
	n.procfs, n.rootfs, n.filesystem = procfs, rootfs, gatherer(filesystems)
	return n.filesystem, nil
}

// gatherer gathers what a collector of node_exporter tells. A registry would
// take as long for its checks as the collector takes to look, and refuse mounts
// that look alike (both device overlay, say): they are the same statfs, and one
// of them is there.
func gatherer(from collector.Collector) prometheus.Gatherer {
	names := map[*prometheus.Desc]string{} // a collector makes its descriptors once
	return prometheus.GathererFunc(func() ([]*dto.MetricFamily, error) {
		told, failed := make(chan prometheus.Metric, 64), make(chan error, 1) // more than one mount tells
		go func() {
			failed <- from.Update(told)
			close(told)
		}()
		families := map[string]*dto.MetricFamily{}
		for m := range told {
			name, ok := names[m.Desc()]
			if !ok {
				name = nameOf(m.Desc())
				names[m.Desc()] = name
			}
			if families[name] == nil {
				families[name] = &dto.MetricFamily{Name: &name}
			}
			var metric dto.Metric
			if err := m.Write(&metric); err != nil {
				return nil, err
			}
			families[name].Metric = append(families[name].Metric, &metric)
		}
		return slices.Collect(maps.Values(families)), <-failed
	})
}

// nameOf reads the metric's name out of its descriptor, which tells it to
// people only.
func nameOf(d *prometheus.Desc) string {
	var name string
	_, _ = fmt.Sscanf(d.String(), "Desc{fqName: %q", &name)
	return name
}

// A root is the node's root file system, mounted at path. Node_exporter says
// which of the mounts it is and whether it can be written to. While the mounts
// are the same, which is nearly always, only its statfs is repeated: to find
// the mount among some hundred is ten times the work.
type root struct {
	path       string
	filesystem prometheus.Gatherer
	statfs     func(string) (fault.Filesystem, error)
	known      rootKnown
	node       func() ([]*mountInfo, int, error) // the mounts that node_exporter reads
	own        func() ([]*mountInfo, int, error) // those we live in
	asked      ask[fault.Filesystem]
}

func newRoot(path string, filesystem prometheus.Gatherer, node, own *mountTable) *root {
	return &root{path: path, filesystem: filesystem, statfs: statfs, node: node.read, own: own.read}
}

// look tells the file system.
func (r *root) look(ctx context.Context) (fault.Filesystem, error) {
	r.asked.put(r.read)
	f, err := r.asked.answer(ctx)
	if err != nil {
		return f, fmt.Errorf("file system at %s: %w", r.path, err)
	}
	return f, nil
}

func (r *root) read() (fault.Filesystem, error) {
	var own []*mountInfo
	var now rootKnown
	node, generation, err := r.node()
	if err != nil {
		return fault.Filesystem{}, fmt.Errorf("read the node's mounts: %w", err)
	}
	now.node = generation
	if r.path != "/" {
		if own, now.own, err = r.own(); err != nil {
			return fault.Filesystem{}, fmt.Errorf("read our own mounts: %w", err)
		}
	}
	if now.node == r.known.node && now.own == r.known.own {
		f, err := r.statfs(r.path)
		f.At, f.ReadOnly = time.Now(), r.known.readOnly
		return f, err
	}
	mount, err := rootMount(node, own, r.path)
	if err != nil {
		return fault.Filesystem{}, err
	}
	families, errGather := r.filesystem.Gather()
	f, err := figures(families, mount)
	f.At = time.Now()
	if err != nil {
		return f, errors.Join(err, errGather)
	}
	now.readOnly = f.ReadOnly
	r.known = now
	return f, nil
}

// A rootKnown is what node_exporter said of the mounts of these generations.
type rootKnown struct {
	node, own int
	readOnly  bool
}

// rootMount finds the mount of the node's root, which we see at path, among
// those of the procfs that node_exporter reads. node_exporter itself takes
// every mount at path and at / for it, so that the root of our own container
// stands beside the node's.
func rootMount(node, own []*mountInfo, path string) (*mountInfo, error) {
	if path != "/" {
		// A procfs that knows path is of our own container.
		if m := mountedAt(node, path); m != nil {
			return m, nil
		}
		// Any other is the node's, where the root is at /. Unless nothing is
		// mounted at path: then it is ours after all, and / our container's.
		if mountedAt(own, path) == nil {
			return nil, fmt.Errorf("nothing is mounted at %s; expected the node's root file system", path)
		}
	}
	if m := mountedAt(node, "/"); m != nil {
		return m, nil
	}
	return nil, errors.New("the procfs lists no root file system")
}

// mountedAt returns what is mounted at path, the last if one covers another.
func mountedAt(all []*mountInfo, path string) *mountInfo {
	for _, m := range slices.Backward(all) {
		if m.MountPoint == path {
			return m
		}
	}
	return nil
}

// figures reads what node_exporter tells of one mount at the root.
func figures(families []*dto.MetricFamily, mount *mountInfo) (fault.Filesystem, error) {
	read := map[string]float64{}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			labels := map[string]string{}
			for _, l := range m.GetLabel() {
				labels[l.GetName()] = l.GetValue()
			}
			if labels["mountpoint"] != "/" || labels["device"] != strings.ToValidUTF8(mount.Source, "\uFFFD") || labels["fstype"] != mount.FSType {
				continue
			}
			if why := labels["device_error"]; why != "" {
				return fault.Filesystem{}, fmt.Errorf("statfs: %s", why)
			}
			read[family.GetName()] = m.GetGauge().GetValue()
		}
	}
	if _, ok := read["node_filesystem_size_bytes"]; !ok {
		return fault.Filesystem{}, fmt.Errorf("node_exporter tells nothing of %s (%s)", mount.Source, mount.FSType)
	}
	f := fault.Filesystem{
		Size:      read["node_filesystem_size_bytes"],
		Free:      read["node_filesystem_free_bytes"],
		Avail:     read["node_filesystem_avail_bytes"],
		Files:     read["node_filesystem_files"],
		FilesFree: read["node_filesystem_files_free"],
		ReadOnly:  read["node_filesystem_readonly"] == 1,
	}
	if mount.MountPoint != "/" { // node_exporter does not know that it was made for us
		f.ReadOnly = readOnly(mount, true)
	}
	return f, nil
}
