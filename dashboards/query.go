package dashboards

import (
	"fmt"
	"strings"
)

// of returns the metric in the selected regions, with further matchers. A region
// is identified by the labels cluster and rainbond_region, as in the rules.
func of(metric string, matchers ...string) string {
	return ofExporter(metric, append([]string{`rainbond_region=~"$region"`}, matchers...)...)
}

// ofExporter returns a metric that has no region, of the selected platforms.
func ofExporter(metric string, matchers ...string) string {
	return metric + "{" + strings.Join(append([]string{`cluster=~"$cluster"`}, matchers...), ", ") + "}"
}

// firing returns the firing alerts of the selected regions, of their platforms,
// and of no platform.
func firing(matchers string) string {
	alerts := func(platform string) string {
		return `ALERTS{alertname=~"Rainbond.*", alertstate="firing", ` + matchers + ", " + platform + "}"
	}
	return alerts(`cluster=~"$cluster", rainbond_region=~"($region)?"`) + " or " + alerts(`cluster="", rainbond_region=""`)
}

// by aggregates, so that a region with two exporters counts once.
func by(how, labels, expr string) string {
	return fmt.Sprintf("%s by (%s) (%s)", how, labels, expr)
}

// most is the maximum number of lines in a graph, listed that of rows in a
// table. The worst are shown.
const (
	most   = 10
	listed = 100
)

func highest(n int, expr string) string { return fmt.Sprintf("topk(%d, %s)", n, expr) }
func lowest(n int, expr string) string  { return fmt.Sprintf("bottomk(%d, %s)", n, expr) }

// alertLabels are the labels of all alerts.
const alertLabels = "alertname, severity, cluster, rainbond_region, job, instance, node, mountpoint, component, collector, role, place, kind, reference, reason, phase, class, cause, pods, measure, between, renamed, shared"

// rate uses Grafana's interval, which follows the scrape interval.
func rate(series string) string { return "rate(" + series + "[$__rate_interval])" }

// total adds up all regions; it is 0 without series.
func total(expr string) string { return "sum(" + expr + ") or vector(0)" }

// count counts series; it is 0 without series.
func count(expr string) string { return "count(" + expr + ") or vector(0)" }

// constant gives every series of an expression the same value.
func constant(value string, expr string) string { return value + " + 0 * " + expr }

// named adds the label mountpoint="/" to the series of the root file system,
// which have no mountpoint.
func named(expr string) string {
	return `label_replace(` + expr + `, "mountpoint", "/", "mountpoint", "")`
}

// disks returns a metric (size_bytes, used_ratio, …) of the root file system
// and of the other data disks.
func disks(what string) string {
	return named(by("max", disk, of("rainbond_node_root_"+what)+" or "+of("rainbond_node_filesystem_"+what)))
}

// disk are the labels that identify a file system.
const disk = "cluster, rainbond_region, node, mountpoint"

// distance returns the space left before the kubelet evicts, as a ratio of the
// size: at zero the kubelet evicts. The threshold is the kubelet's, or the
// variable evicts_at for nodes whose kubelet configuration is not read.
func distance() string {
	threshold := by("max", "cluster, rainbond_region, node", of("rainbond_node_eviction_threshold_ratio", `signal=~"nodefs.available|imagefs.available"`)) +
		" or " + by("max", "cluster, rainbond_region, node", constant("$evicts_at", of("rainbond_node_root_size_bytes"))+" or "+constant("$evicts_at", of("rainbond_node_filesystem_size_bytes")))
	return disks("avail_bytes") + " / " + disks("size_bytes") + " - on (cluster, rainbond_region, node) group_left () (" + threshold + ")"
}

// daysToFull returns the time to full in days at the rate of the last six
// hours, at most 365.
func daysToFull() string {
	pace := named(by("min", disk, "deriv("+of("rainbond_node_root_avail_bytes")+"[6h]) or deriv("+of("rainbond_node_filesystem_avail_bytes")+"[6h])"))
	return "clamp_max(" + disks("avail_bytes") + " / clamp_min(-" + pace + ", 0) / 86400, 365)"
}
