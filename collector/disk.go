package collector

import (
	"context"
	"errors"
	"fmt"

	"github.com/rainbond-exporter/rainbond-exporter/fault"
)

// disk looks at the root file system of one node, and at what all nodes say
// of themselves.
type disk struct {
	region, node string
	root         func(context.Context) (fault.Filesystem, error)
	nodes        func(context.Context) ([]fault.Node, error)
}

// NewDisk returns the collector of symptom disk. Root, which may be nil, is
// the root file system of the node of that name; nodes, which may be nil too,
// tells the conditions of all nodes.
func NewDisk(region, node string, root func(context.Context) (fault.Filesystem, error), nodes func(context.Context) ([]fault.Node, error)) Collector {
	return disk{region, node, root, nodes}
}

func (disk) Name() string { return SlugDisk }

func (d disk) Look(ctx context.Context) (Report, error) {
	var r Report
	var errRoot, errNodes error
	if d.root != nil {
		errRoot = d.lookAtRoot(ctx, &r)
	}
	if d.nodes != nil {
		errNodes = d.lookAtNodes(ctx, &r)
	}
	return r, errors.Join(errRoot, errNodes)
}

func (d disk) lookAtRoot(ctx context.Context, r *Report) error {
	f, err := d.root(ctx)
	if err != nil {
		return fmt.Errorf("root file system: %w", err)
	}
	used, ok := f.UsedRatio()
	if !ok {
		return errors.New("root file system: it says that it has no blocks")
	}
	r.set("rainbond_node_root_size_bytes", f.Size, d.region, d.node)
	r.set("rainbond_node_root_avail_bytes", f.Avail, d.region, d.node)
	r.set("rainbond_node_root_used_ratio", used, d.region, d.node)
	r.set("rainbond_node_root_inodes", f.Files, d.region, d.node)
	r.set("rainbond_node_root_inodes_free", f.FilesFree, d.region, d.node)
	r.set("rainbond_node_root_read_only", flag(f.ReadOnly), d.region, d.node)
	const gib = 1 << 30
	r.saw(EvidenceFigures, fmt.Sprintf("%s: %.1f of %.1f GiB used (%.1f %%), %.1f GiB left; %.0f of %.0f inodes left",
		d.node, (f.Size-f.Free)/gib, f.Size/gib, 100*used, f.Avail/gib, f.FilesFree, f.Files), labelRegion, d.region, "node", d.node)
	return nil
}

func (d disk) lookAtNodes(ctx context.Context, r *Report) error {
	nodes, err := d.nodes(ctx)
	if err != nil {
		return err
	}
	for _, n := range nodes {
		if n.DiskPressure {
			r.set("rainbond_node_condition", 1, d.region, n.Name, "DiskPressure")
			r.saw(EvidenceNode, n.Name+": DiskPressure", labelRegion, d.region, "node", n.Name)
		}
		if !n.Ready {
			r.set("rainbond_node_condition", 0, d.region, n.Name, "Ready")
		}
	}
	return nil
}
