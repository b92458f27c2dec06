package dashboards

import (
	"fmt"
	"strings"
)

// of is the metric in the chosen regions, with further matchers.
func of(metric string, matchers ...string) string {
	return metric + "{" + strings.Join(append([]string{`rainbond_region=~"$region"`}, matchers...), ", ") + "}"
}

// by aggregates, so that two exporters that look at one region count once.
func by(how, labels, expr string) string {
	return fmt.Sprintf("%s by (%s) (%s)", how, labels, expr)
}

// most is how many lines a graph shows, and listed how many rows a table, of
// what there may be thousands: the worst.
const (
	most   = 10
	listed = 100
)

func highest(n int, expr string) string { return fmt.Sprintf("topk(%d, %s)", n, expr) }
func lowest(n int, expr string) string  { return fmt.Sprintf("bottomk(%d, %s)", n, expr) }

// rate follows the scrape interval.
func rate(series string) string { return "rate(" + series + "[$__rate_interval])" }

// total adds up over all regions, and is 0 where there is nothing to add.
func total(expr string) string { return "sum(" + expr + ") or vector(0)" }

// count counts, from 0.
func count(expr string) string { return "count(" + expr + ") or vector(0)" }

// constant gives every series of an expression the same value.
func constant(value string, expr string) string { return value + " + 0 * " + expr }

// named gives root, which bears no mountpoint, its name.
func named(expr string) string {
	return `label_replace(` + expr + `, "mountpoint", "/", "mountpoint", "")`
}

// disks is a metric of root, and of the file
// systems beside it that fill: size_bytes, used_ratio and so on.
func disks(what string) string {
	return named(by("max", disk, of("rainbond_node_root_"+what)+" or "+of("rainbond_node_filesystem_"+what)))
}

// disk are the labels that name a file system.
const disk = "rainbond_region, node, mountpoint"

// distance is how far a file system is from where its kubelet evicts, as a
// part of its size: at zero it does. Kubelets that are asked say where; for
// the others it is what the reader chose.
func distance() string {
	threshold := by("max", "rainbond_region, node", of("rainbond_node_eviction_threshold_ratio", `signal=~"nodefs.available|imagefs.available"`)) +
		" or " + by("max", "rainbond_region, node", constant("$evicts_at", of("rainbond_node_root_size_bytes"))+" or "+constant("$evicts_at", of("rainbond_node_filesystem_size_bytes")))
	return disks("avail_bytes") + " / " + disks("size_bytes") + " - on (rainbond_region, node) group_left () (" + threshold + ")"
}

// daysToFull is how long the space lasts at the pace of the last six hours, at
// most 365 days.
func daysToFull() string {
	pace := named(by("min", disk, "deriv("+of("rainbond_node_root_avail_bytes")+"[6h]) or deriv("+of("rainbond_node_filesystem_avail_bytes")+"[6h])"))
	return "clamp_max(" + disks("avail_bytes") + " / clamp_min(-" + pace + ", 0) / 86400, 365)"
}
