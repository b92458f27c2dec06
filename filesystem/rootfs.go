//go:build linux

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

// nodeExporter is the filesystem collector of node_exporter. It takes its options
// from the global kingpin.CommandLine and stores its state in package variables,
// so it is set up once, and its paths are fixed.
var nodeExporter struct {
	sync.Mutex
	procfs, rootfs string
	filesystem     prometheus.Gatherer
}

// Disks returns two functions that read the file systems of a node whose root is
// mounted at rootfs. Both return when ctx ends. A file system that does not
// respond has an error and its last known values; later calls return the same at
// once.
//
// root reads the root, as node_exporter reads it through the procfs at that path.
// mounts reads the file systems at and below the data paths, fault.DataPaths and
// those given, that are not the root, and those that depend on a server. A file
// system with several mounts is read once.
//
// The first call of Disks fixes procfs and rootfs. A call with others fails.
func Disks(log *slog.Logger, procfs, rootfs string, paths []string) (root func(context.Context) (fault.Filesystem, error), mounts func(context.Context) ([]fault.Mount, error), err error) {
	procfs, rootfs = filepath.Clean(procfs), filepath.Clean(rootfs)
	filesystem, err := setUp(log, procfs, rootfs)
	if err != nil {
		return nil, nil, err
	}
	self := &mountTable{}
	node := self
	if !sameNamespace(procfs) {
		node = &mountTable{procfs: procfs}
	}
	return newRoot(rootfs, filesystem, node, self).collect, newMounts(log, rootfs, paths, self).collect, nil
}

func setUp(log *slog.Logger, procfs, rootfs string) (prometheus.Gatherer, error) {
	n := &nodeExporter
	n.Lock()
	defer n.Unlock()
	if n.filesystem != nil {
		if n.procfs != procfs || n.rootfs != rootfs {
			return nil, fmt.Errorf("node_exporter reads procfs %s and root %s already; expected the same paths, not %s and %s", n.procfs, n.rootfs, procfs, rootfs)
		}
		return n.filesystem, nil
	}
	kingpin.CommandLine.Terminate(nil) // or an invalid flag would end the process
	_, err := kingpin.CommandLine.Parse([]string{
		"--collector.filesystem", "--path.procfs=" + procfs, "--path.rootfs=" + rootfs,
		// No other mount is read, so a stuck one cannot block the root.
		"--collector.filesystem.mount-points-include=^/$", "--collector.filesystem.stat-workers=1",
		// By default overlay, squashfs and erofs are excluded, which are the
		// root of some immutable distributions.
		"--collector.filesystem.fs-types-exclude=^$",
	})
	if err != nil {
		return nil, fmt.Errorf("set up node_exporter: %w", err)
	}
	// Its failures are returned as errors, so they are not logged at level ERROR.
	quiet := slog.New(warnHandler{log.Handler()})
	filesystems, err := collector.NewFilesystemCollector(quiet)
	if err != nil {
		return nil, fmt.Errorf("set up node_exporter: %w", err)
	}
	n.procfs, n.rootfs, n.filesystem = procfs, rootfs, gatherer(filesystems)
	return n.filesystem, nil
}

// gatherer returns the metrics of a collector of node_exporter. The checks of a
// registry would take as long as the collector, and reject mounts with equal
// labels, such as two with the device overlay. These have the same statfs.
func gatherer(from collector.Collector) prometheus.Gatherer {
	names := map[*prometheus.Desc]string{} // a collector makes its descriptors once
	return prometheus.GathererFunc(func() ([]*dto.MetricFamily, error) {
		metrics, failed := make(chan prometheus.Metric, 64), make(chan error, 1) // more than the metrics of one mount
		go func() {
			failed <- from.Update(metrics)
			close(metrics)
		}()
		families := map[string]*dto.MetricFamily{}
		for m := range metrics {
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

// nameOf returns a metric's name. A descriptor exposes it only in its String.
func nameOf(d *prometheus.Desc) string {
	var name string
	_, _ = fmt.Sscanf(d.String(), "Desc{fqName: %q", &name)
	return name
}

// A root is the node's root file system, mounted at path. node_exporter finds its
// mount and whether it is read-only. While the mounts do not change, only its
// statfs is repeated: finding the mount among some hundred is ten times the work.
type root struct {
	path       string
	filesystem prometheus.Gatherer
	statfs     func(string) (fault.Filesystem, error)
	known      rootKnown
	node       func() ([]*mountInfo, int, error) // the mounts that node_exporter reads
	self       func() ([]*mountInfo, int, error) // the mounts of this process
	call       call[fault.Filesystem]
}

func newRoot(path string, filesystem prometheus.Gatherer, node, self *mountTable) *root {
	return &root{path: path, filesystem: filesystem, statfs: statfs, node: node.read, self: self.read}
}

// collect returns the file system.
func (r *root) collect(ctx context.Context) (fault.Filesystem, error) {
	r.call.start(r.read)
	f, err := r.call.result(ctx)
	if err != nil {
		return f, fmt.Errorf("file system at %s: %w", r.path, err)
	}
	return f, nil
}

func (r *root) read() (fault.Filesystem, error) {
	var self []*mountInfo
	var now rootKnown
	node, generation, err := r.node()
	if err != nil {
		return fault.Filesystem{}, fmt.Errorf("read the node's mounts: %w", err)
	}
	now.node = generation
	if r.path != "/" {
		if self, now.self, err = r.self(); err != nil {
			return fault.Filesystem{}, fmt.Errorf("read the mounts of this process: %w", err)
		}
	}
	if now.node == r.known.node && now.self == r.known.self {
		f, err := r.statfs(r.path)
		f.At, f.ReadOnly = time.Now(), r.known.readOnly
		return f, err
	}
	mount, err := rootMount(node, self, r.path)
	if err != nil {
		return fault.Filesystem{}, err
	}
	families, errGather := r.filesystem.Gather()
	f, err := valuesOf(families, mount)
	if err != nil && errGather != nil {
		// One line of mountinfo that node_exporter cannot parse fails all of it.
		f, err = r.statfs(r.path)
		f.ReadOnly = readOnly(mount, mount.MountPoint != "/")
	}
	f.At = time.Now()
	if err != nil {
		return f, errors.Join(err, errGather)
	}
	now.readOnly = f.ReadOnly
	r.known = now
	return f, nil
}

// A rootKnown is the result of node_exporter for the mounts of these generations.
type rootKnown struct {
	node, self int
	readOnly   bool
}

// rootMount returns the mount of the node's root, which is mounted at path, among
// those of the procfs that node_exporter reads. node_exporter itself returns
// every mount at path and at /, also the root of the exporter's container.
func rootMount(node, self []*mountInfo, path string) (*mountInfo, error) {
	if path != "/" {
		// A procfs that lists path is that of the exporter's container.
		if m := mountedAt(node, path); m != nil {
			return m, nil
		}
		// Any other is the node's, where the root is at /. If nothing is mounted
		// at path, it is the container's, and so is its root.
		if mountedAt(self, path) == nil {
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

// valuesOf returns the values that node_exporter exports for one mount at the
// root.
func valuesOf(families []*dto.MetricFamily, mount *mountInfo) (fault.Filesystem, error) {
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
		return fault.Filesystem{}, fmt.Errorf("node_exporter exports no values of %s (%s)", mount.Source, mount.FSType)
	}
	f := fault.Filesystem{
		Size:      read["node_filesystem_size_bytes"],
		Free:      read["node_filesystem_free_bytes"],
		Avail:     read["node_filesystem_avail_bytes"],
		Files:     read["node_filesystem_files"],
		FilesFree: read["node_filesystem_files_free"],
		ReadOnly:  read["node_filesystem_readonly"] == 1,
	}
	if mount.MountPoint != "/" { // node_exporter reports the option of the mount into the container
		f.ReadOnly = readOnly(mount, true)
	}
	return f, nil
}
