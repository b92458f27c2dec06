package collector

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode"

	"github.com/rainbond-exporter/rainbond-exporter/fault"
)

// A DiskSource holds the data sources of the collector of symptom disk. A
// source that is nil is not inspected.
type DiskSource struct {
	Root       func(context.Context) (fault.Filesystem, error)          // of the one node
	Mounts     func(context.Context) ([]fault.Mount, error)             // of the one node
	Nodes      func(context.Context) ([]fault.Node, error)              // all
	Thresholds func(context.Context) ([]fault.EvictionThreshold, error) // of all nodes
}

// disk inspects the file systems of one node and the conditions of all nodes.
type disk struct {
	region, node string
	DiskSource
}

// NewDisk returns the collector of symptom disk. Node is the name of the node
// whose file systems it inspects.
func NewDisk(region, node string, from DiskSource) Collector { return disk{region, node, from} }

func (disk) Name() string { return SlugDisk }

func (d disk) Collect(ctx context.Context) (Report, error) {
	var r Report
	var errs [4]error
	if d.Root != nil {
		errs[0] = d.collectRoot(ctx, &r)
	}
	if d.Mounts != nil {
		errs[1] = d.collectMounts(ctx, &r)
	}
	if d.Nodes != nil {
		errs[2] = d.collectNodes(ctx, &r)
	}
	if d.Thresholds != nil {
		errs[3] = d.collectThresholds(ctx, &r)
	}
	return r, errors.Join(errs[:]...)
}

// collectRoot exports the usage of the root file system, or its last known usage
// with its time.
func (d disk) collectRoot(ctx context.Context, r *Report) error {
	f, err := d.Root(ctx)
	if fault.Stuck(err) {
		d.addStuck(r, "/", "/", err)
	}
	if err != nil {
		err = fmt.Errorf("root file system: %w", err)
	}
	if f.At.IsZero() {
		return err
	}
	if _, ok := f.UsedRatio(); !ok {
		return errors.Join(err, errors.New("root file system: statfs reports no blocks"))
	}
	d.addUsage(r, "rainbond_node_root_", f, d.region, d.node)
	d.explainUsage(r, "/", f)
	return err
}

// collectMounts exports the usage of the other file systems that hold data of
// Rainbond or Kubernetes, and the mounts that are stuck.
func (d disk) collectMounts(ctx context.Context, r *Report) error {
	mounts, err := d.Mounts(ctx)
	errs := []error{err}
	for _, m := range mounts {
		switch {
		case fault.Stuck(m.Err):
			d.addStuck(r, m.Point, fmt.Sprintf("%s (%s, %s)", m.Point, m.Type, redactUserinfo(m.Source)), m.Err)
		case m.Err != nil && m.Data != "":
			errs = append(errs, fmt.Errorf("file system at %s: %w", m.Point, m.Err))
		}
		if _, ok := m.Filesystem.UsedRatio(); ok && m.Data != "" {
			d.addUsage(r, "rainbond_node_filesystem_", m.Filesystem, d.region, d.node, m.Data)
			d.explainUsage(r, m.Data, m.Filesystem)
		}
	}
	return errors.Join(errs...)
}

// addUsage adds the samples of one file system to a family of metrics.
func (disk) addUsage(r *Report, family string, f fault.Filesystem, labels ...string) {
	used, _ := f.UsedRatio()
	r.addSample(family+"size_bytes", f.Size, labels...)
	r.addSample(family+"avail_bytes", f.Avail, labels...)
	r.addSample(family+"used_ratio", used, labels...)
	r.addSample(family+"inodes", f.Files, labels...)
	r.addSample(family+"inodes_free", f.FilesFree, labels...)
	r.addSample(family+"read_only", flag(f.ReadOnly), labels...)
	r.addSample(family+"last_success_timestamp_seconds", float64(f.At.UnixMilli())/1000, labels...)
}

// explainUsage adds the usage of a file system as evidence.
func (d disk) explainUsage(r *Report, mountpoint string, f fault.Filesystem) {
	const gib = 1 << 30
	where := d.node
	if mountpoint != "/" {
		where += " " + mountpoint
	}
	used, _ := f.UsedRatio()
	avail, _ := f.AvailRatio()
	values := []any{where, (f.Size - f.Free) / gib, f.Size / gib, 100 * used, f.Avail / gib, 100 * avail, f.FilesFree, f.Files}
	r.addTranslated(EvidenceUsage, fmt.Sprintf("%s: %.1f of %.1f GiB used (%.1f%%), %.1f GiB left (%.1f%%); %.0f of %.0f inodes left", values...),
		fmt.Sprintf("%s：已用 %.1f GiB，共 %.1f GiB（%.1f%%），剩余 %.1f GiB（%.1f%%）；剩余 inode %.0f 个，共 %.0f 个", values...), labelRegion, d.region, "node", d.node, "mountpoint", mountpoint)
}

// addStuck exports a mount that cannot be used.
func (d disk) addStuck(r *Report, point, what string, err error) {
	point = strings.Map(sanitizeForQuotes, point)
	r.addSample("rainbond_node_mount_stuck", 1, d.region, d.node, point)
	r.addEvidence(EvidenceError, fmt.Sprintf("%s: %s: %v", d.node, what, err), labelRegion, d.region, "node", d.node, "mountpoint", point)
}

// sanitizeForQuotes replaces the runes that would end a quoted argument in the
// commands of an alert. The name of a mount point is untrusted input.
func sanitizeForQuotes(r rune) rune {
	if r == '\'' || !unicode.IsPrint(r) {
		return '?'
	}
	return r
}

// userinfo matches the part of a FUSE mount's source that may contain a password.
var userinfo = regexp.MustCompile(`//[^/@]*@`)

// redactUserinfo removes user and password from the URL of a mount.
func redactUserinfo(source string) string { return userinfo.ReplaceAllString(source, "//") }

// collectThresholds exports the eviction thresholds of all nodes.
func (d disk) collectThresholds(ctx context.Context, r *Report) error {
	thresholds, err := d.Thresholds(ctx)
	for _, t := range thresholds {
		r.addSample("rainbond_node_eviction_threshold_ratio", t.Ratio, d.region, t.Node, t.Signal)
	}
	return err
}

// collectNodes exports the unhealthy conditions of all nodes.
func (d disk) collectNodes(ctx context.Context, r *Report) error {
	nodes, err := d.Nodes(ctx)
	if err != nil {
		return err
	}
	for _, n := range nodes {
		if n.DiskPressure {
			r.addSample("rainbond_node_condition", 1, d.region, n.Name, "DiskPressure")
			r.addEvidence(EvidenceNode, n.Name+": DiskPressure", labelRegion, d.region, "node", n.Name)
		}
		if !n.Ready {
			r.addSample("rainbond_node_condition", 0, d.region, n.Name, "Ready")
		}
	}
	return nil
}
