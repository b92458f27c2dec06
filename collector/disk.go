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

// A DiskSource is what the collector of symptom disk looks at. What is nil is
// not looked at.
type DiskSource struct {
	Root       func(context.Context) (fault.Filesystem, error)          // of the one node
	Mounts     func(context.Context) ([]fault.Mount, error)             // of the one node
	Nodes      func(context.Context) ([]fault.Node, error)              // all
	Thresholds func(context.Context) ([]fault.EvictionThreshold, error) // of all nodes
}

// disk looks at the file systems of one node, and at what all nodes say of
// themselves.
type disk struct {
	region, node string
	DiskSource
}

// NewDisk returns the collector of symptom disk. Node is the name of the one
// node whose file systems are looked at.
func NewDisk(region, node string, from DiskSource) Collector { return disk{region, node, from} }

func (disk) Name() string { return SlugDisk }

func (d disk) Collect(ctx context.Context) (Report, error) {
	var r Report
	var errs [4]error
	if d.Root != nil {
		errs[0] = d.lookAtRoot(ctx, &r)
	}
	if d.Mounts != nil {
		errs[1] = d.lookAtMounts(ctx, &r)
	}
	if d.Nodes != nil {
		errs[2] = d.lookAtNodes(ctx, &r)
	}
	if d.Thresholds != nil {
		errs[3] = d.lookAtThresholds(ctx, &r)
	}
	return r, errors.Join(errs[:]...)
}

// lookAtRoot tells what root says, or said last, and when.
func (d disk) lookAtRoot(ctx context.Context, r *Report) error {
	f, err := d.Root(ctx)
	if fault.Stuck(err) {
		d.stuck(r, "/", "/", err)
	}
	if err != nil {
		err = fmt.Errorf("root file system: %w", err)
	}
	if f.At.IsZero() {
		return err
	}
	if _, ok := f.UsedRatio(); !ok {
		return errors.Join(err, errors.New("root file system: it says that it has no blocks"))
	}
	d.figures(r, "rainbond_node_root_", f, d.region, d.node)
	d.inWords(r, "/", f)
	return err
}

// lookAtMounts tells what the file systems beside root say that fill, and
// which are stuck.
func (d disk) lookAtMounts(ctx context.Context, r *Report) error {
	mounts, err := d.Mounts(ctx)
	errs := []error{err}
	for _, m := range mounts {
		switch {
		case fault.Stuck(m.Err):
			d.stuck(r, m.Point, fmt.Sprintf("%s (%s, %s)", m.Point, m.Type, withoutPassword(m.Source)), m.Err)
		case m.Err != nil && m.Data != "":
			errs = append(errs, fmt.Errorf("file system at %s: %w", m.Point, m.Err))
		}
		if _, ok := m.Filesystem.UsedRatio(); ok && m.Data != "" {
			d.figures(r, "rainbond_node_filesystem_", m.Filesystem, d.region, d.node, m.Data)
			d.inWords(r, m.Data, m.Filesystem)
		}
	}
	return errors.Join(errs...)
}

// figures sets the metrics of a family that tells one file system.
func (disk) figures(r *Report, family string, f fault.Filesystem, labels ...string) {
	used, _ := f.UsedRatio()
	r.addSample(family+"size_bytes", f.Size, labels...)
	r.addSample(family+"avail_bytes", f.Avail, labels...)
	r.addSample(family+"used_ratio", used, labels...)
	r.addSample(family+"inodes", f.Files, labels...)
	r.addSample(family+"inodes_free", f.FilesFree, labels...)
	r.addSample(family+"read_only", flag(f.ReadOnly), labels...)
	r.addSample(family+"last_success_timestamp_seconds", float64(f.At.UnixMilli())/1000, labels...)
}

// inWords says the figures.
func (d disk) inWords(r *Report, mountpoint string, f fault.Filesystem) {
	const gib = 1 << 30
	where := d.node
	if mountpoint != "/" {
		where += " " + mountpoint
	}
	used, _ := f.UsedRatio()
	avail, _ := f.AvailRatio()
	r.addEvidence(EvidenceUsage, fmt.Sprintf("%s: %.1f of %.1f GiB used (%.1f %%), %.1f GiB left (%.1f %%); %.0f of %.0f inodes left",
		where, (f.Size-f.Free)/gib, f.Size/gib, 100*used, f.Avail/gib, 100*avail, f.FilesFree, f.Files), labelRegion, d.region, "node", d.node, "mountpoint", mountpoint)
}

// stuck tells a mount that cannot be used.
func (d disk) stuck(r *Report, point, what string, err error) {
	point = strings.Map(quotable, point)
	r.addSample("rainbond_node_mount_stuck", 1, d.region, d.node, point)
	r.addEvidence(EvidenceError, fmt.Sprintf("%s: %s: %v", d.node, what, err), labelRegion, d.region, "node", d.node, "mountpoint", point)
}

// quotable replaces what would break out of quotes in the commands of an
// alert: anybody who may mount chooses the name of the mount point.
func quotable(r rune) rune {
	if r == '\'' || !unicode.IsPrint(r) {
		return '?'
	}
	return r
}

// userinfo is what may hold a password in the source of a FUSE mount.
var userinfo = regexp.MustCompile(`//[^/@]*@`)

func withoutPassword(source string) string { return userinfo.ReplaceAllString(source, "//") }

func (d disk) lookAtThresholds(ctx context.Context, r *Report) error {
	thresholds, err := d.Thresholds(ctx)
	for _, t := range thresholds {
		r.addSample("rainbond_node_eviction_threshold_ratio", t.Ratio, d.region, t.Node, t.Signal)
	}
	return err
}

func (d disk) lookAtNodes(ctx context.Context, r *Report) error {
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
