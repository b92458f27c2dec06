package collector

import (
	"fmt"
	"slices"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rainbond-exporter/rainbond-exporter/fault"
)

// A Metric is one row of the catalogue: the public description of a metric.
type Metric struct {
	Slug   string // the symptom, or SlugExporter for metrics about the exporter
	Name   string
	Help   string
	Type   prometheus.ValueType // UntypedValue means a histogram
	Labels []string
}

// ConsecutiveFailures is the metric with which rules ignore a single failed
// probe. An evaluation of one collection does not use it.
const ConsecutiveFailures = "rainbond_api_consecutive_failures"

// SlugExporter is the slug of the metrics about the exporter itself.
const SlugExporter = "exporter"

const (
	gauge     = prometheus.GaugeValue
	counter   = prometheus.CounterValue
	histogram = prometheus.UntypedValue

	// labelRegion is the label for the name of a region. The word "region" is
	// on Prometheus' list of label names to avoid.
	labelRegion = "rainbond_region"
)

// Catalogue is every metric the exporter has, in the order of the document.
// docs/metrics.md is generated from it.
var Catalogue = []Metric{
	{SlugExporter, "rainbond_collector_success", "Whether the collector could check everything (1) or not (0). A fault that was found is a success.", gauge, []string{"collector"}},
	{SlugExporter, "rainbond_collector_duration_seconds", "Duration of the collector's last collection.", gauge, []string{"collector"}},
	{SlugExporter, "rainbond_collector_last_collection_timestamp_seconds", "Start time of the collection that the collector's samples are from. It is one scrape earlier if the current collection did not finish within the scrape timeout. Absent if there are no samples.", gauge, []string{"collector"}},
	{SlugExporter, "rainbond_regions_last_read_timestamp_seconds", "Time of the last successful read of the regions from the console's database. While the database does not answer, the last known regions are still probed. Absent without a database.", gauge, nil},

	{SlugAPI, "rainbond_api_up", "Whether the last request to /v2/show of the region API, sent as the console sends it, succeeded. Absent if the probe did not get its full time limits.", gauge, []string{labelRegion}},
	{SlugAPI, "rainbond_api_probe_failed", "Whether the last probe of the region API failed in this phase for this reason.", gauge, []string{labelRegion, "phase", "reason"}},
	{SlugAPI, "rainbond_api_probes_total", "Total probes of the region API.", counter, []string{labelRegion}},
	{SlugAPI, "rainbond_api_probe_failures_total", "Total failed probes of the region API, by phase and reason.", counter, []string{labelRegion, "phase", "reason"}},
	{SlugAPI, ConsecutiveFailures, "Failed probes of the region API since the last successful one, or since the exporter started.", gauge, []string{labelRegion}},
	{SlugAPI, "rainbond_api_probe_duration_seconds", "Duration of probes of the region API, including failed probes.", histogram, []string{labelRegion}},
	{SlugAPI, "rainbond_api_probe_phase_seconds", "Duration of each phase of the last probe. A phase that did not finish is absent, never 0.", gauge, []string{labelRegion, "phase"}},
	{SlugAPI, "rainbond_api_direct_up", "Whether rbd-api answers correctly at its own Service, bypassing the gateway, with any client certificate. Requested only while the console's route fails; absent otherwise, and if the Service is unknown.", gauge, []string{labelRegion}},
	{SlugAPI, "rainbond_api_address_without_node", "Whether no node of the cluster has the region's address, to which connections fail. Exported only while the connection fails and the address is an IP.", gauge, []string{labelRegion}},
	{SlugAPI, "rainbond_api_route_info", "The address that is probed. Route console: the console's own copy; service: the Service rbd-api-api, because the console runs in the platform's namespace; api_address: apiAddress of ConfigMap region-config. Always 1.", gauge, []string{labelRegion, "route", "url"}},
	{SlugAPI, "rainbond_api_clock_skew_seconds", "The region's clock minus the exporter's clock, from the Date header of the last response of the region API; precise to one second. Absent without a response.", gauge, []string{labelRegion}},
	{SlugAPI, "rainbond_api_ready", "Result of each check of /v2/cluster/ready, and of all. Absent on regions older than v6.9.2.", gauge, []string{labelRegion, "check"}},

	{SlugTLS, "rainbond_api_tls_handshake_errors_total", "Total TLS handshake errors in the log of rbd-api, by class and reason. The class benign contains port scans and load balancer checks.", counter, []string{labelRegion, "class", "reason"}},
	{SlugTLS, "rainbond_api_tls_handshake_error_last_timestamp_seconds", "Time of the last TLS handshake error of this class in the log of rbd-api. Absent if there was none.", gauge, []string{labelRegion, "class"}},
	{SlugTLS, "rainbond_api_log_gaps_total", "Total times at which lines of the log of a rbd-api pod were lost between two collections, because the log was rotated or the container restarted twice. Handshake errors in these lines are not counted.", counter, []string{labelRegion}},

	{SlugCert, "rainbond_certificate_info", "A certificate in a place, by the SHA-256 of its DER. Always 1.", gauge, []string{labelRegion, "place", "kind", "sha256"}},
	{SlugCert, "rainbond_certificate_mismatch", "Whether the certificate of this kind in this place does not match the one in the reference place.", gauge, []string{labelRegion, "kind", "place", "reference"}},
	{SlugCert, "rainbond_certificate_unreadable", "Whether the certificate of this kind in this place cannot be used, for this reason.", gauge, []string{labelRegion, "place", "kind", "reason"}},
	{SlugCert, "rainbond_certificate_key_mismatch", "Whether the private key in this place does not match the certificate next to it.", gauge, []string{labelRegion, "place"}},
	{SlugCert, "rainbond_certificate_not_after_timestamp_seconds", "Time at which the certificate of this kind in this place expires.", gauge, []string{labelRegion, "place", "kind"}},
	{SlugCert, "rainbond_certificate_rotation_pending", "Whether the operator replaces all certificates at its next restart, because gatewayIngressIPs of the RainbondCluster differs from the label availableips of Secret rbd-api-server-cert. Absent if either is unknown.", gauge, []string{labelRegion}},

	{SlugNodeRole, "rainbond_nodes", "Nodes that have a label of this role; role none counts the nodes without any.", gauge, []string{labelRegion, "role"}},
	{SlugNodeRole, "rainbond_node_role_required", "Whether the region's version, before v5.13, needs a role label on every node. 0 if the version is unknown.", gauge, []string{labelRegion}},
	{SlugNodeRole, "rainbond_node_role_missing", "A node, older than five minutes, that has no role label. Only such nodes have a series, and since v5.13 only in a cluster whose workers have role labels and where most nodes have a role.", gauge, []string{labelRegion, "node"}},
	{SlugNodeRole, "rainbond_node_role_malformed", "A label key of a node that starts with node-role.kubernetes.io and has no slash, which breaks the node list of the whole region. Only such keys have a series.", gauge, []string{labelRegion, "node", "key"}},
	{SlugNodeRole, "rainbond_node_placement_unmatched", "A name in nodesForGateway or nodesForChaos of the RainbondCluster that no node has. Only such names have a series.", gauge, []string{labelRegion, "component", "node"}},

	{SlugComponent, "rainbond_component_desired", "Pods of the component that should be ready.", gauge, []string{labelRegion, "component", "kind"}},
	{SlugComponent, "rainbond_component_ready", "Pods of the component that are ready.", gauge, []string{labelRegion, "component", "kind"}},
	{SlugComponent, "rainbond_component_waiting", "Pods of the component that are not ready, by what they wait for. Only reasons that occur have a series.", gauge, []string{labelRegion, "component", "reason"}},
	{SlugComponent, "rainbond_component_restarts_total", "Total container restarts of the component's pods since the exporter started.", counter, []string{labelRegion, "component"}},
	{SlugComponent, "rainbond_component_alarm_firing", "Whether the console shows this alarm of rbd-monitor about the component; pending alarms are shown too. Absent if the region API does not answer or cannot reach rbd-monitor.", gauge, []string{labelRegion, "component", "alarm"}},
	{SlugComponent, "rainbond_monitor_up", "Whether the region API can reach rbd-monitor, whose alarms are the console's list of component faults. Absent if the region API does not answer.", gauge, []string{labelRegion}},
	{SlugComponent, "rainbond_monitor_last_scrape_timestamp_seconds", "Time of the last scrape by rbd-monitor. Absent if it is more than an hour ago or cannot be read.", gauge, []string{labelRegion}},
	{SlugComponent, "rainbond_pods_evicted", "Evicted pods that are left over in the namespace. They are not a fault.", gauge, []string{labelRegion}},
	{SlugComponent, "rainbond_component_restart_pending", "Whether the operator restarts rbd-api at its next restart, because kubectl rollout restart left its annotation in the pod template. Only then has it a series.", gauge, []string{labelRegion, "component"}},
	{SlugComponent, "rainbond_operator_component_failed", "A component whose resources the operator cannot create (reason ErrCreateResources of its RbdComponent). Only such components have a series.", gauge, []string{labelRegion, "component"}},

	{SlugComponent, "rainbond_node_down_since_timestamp_seconds", "Time since which a node is not ready. Only such nodes have a series. A node younger than five minutes has none, and neither has a cordoned node without a pod of a component.", gauge, []string{labelRegion, "node"}},
	{SlugComponent, "rainbond_node_down_pods", "Pods of the component on a node that is not ready. Only such nodes and components have a series.", gauge, []string{labelRegion, "node", "component"}},

	{SlugDisk, "rainbond_node_root_size_bytes", "Size of the node's root file system.", gauge, []string{labelRegion, "node"}},
	{SlugDisk, "rainbond_node_root_avail_bytes", "Space of the node's root file system that is available to ordinary users.", gauge, []string{labelRegion, "node"}},
	{SlugDisk, "rainbond_node_root_used_ratio", "Used part of the node's root file system as df computes it: used / (used + available), without reserved blocks.", gauge, []string{labelRegion, "node"}},
	{SlugDisk, "rainbond_node_root_inodes", "Inodes of the node's root file system.", gauge, []string{labelRegion, "node"}},
	{SlugDisk, "rainbond_node_root_inodes_free", "Free inodes of the node's root file system.", gauge, []string{labelRegion, "node"}},
	{SlugDisk, "rainbond_node_root_read_only", "Whether the node's root file system is mounted read-only.", gauge, []string{labelRegion, "node"}},
	{SlugDisk, "rainbond_node_root_last_success_timestamp_seconds", "Time at which the node's root file system last answered. If it does not answer, its other metrics keep their last values.", gauge, []string{labelRegion, "node"}},
	{SlugDisk, "rainbond_node_filesystem_size_bytes", "Size of a file system of the node that holds images, volumes or the kubelet's data and is not the root file system.", gauge, []string{labelRegion, "node", "mountpoint"}},
	{SlugDisk, "rainbond_node_filesystem_avail_bytes", "Space of such a file system that is available to ordinary users.", gauge, []string{labelRegion, "node", "mountpoint"}},
	{SlugDisk, "rainbond_node_filesystem_used_ratio", "Used part of such a file system as df computes it.", gauge, []string{labelRegion, "node", "mountpoint"}},
	{SlugDisk, "rainbond_node_filesystem_inodes", "Inodes of such a file system.", gauge, []string{labelRegion, "node", "mountpoint"}},
	{SlugDisk, "rainbond_node_filesystem_inodes_free", "Free inodes of such a file system.", gauge, []string{labelRegion, "node", "mountpoint"}},
	{SlugDisk, "rainbond_node_filesystem_read_only", "Whether such a file system is mounted read-only.", gauge, []string{labelRegion, "node", "mountpoint"}},
	{SlugDisk, "rainbond_node_filesystem_last_success_timestamp_seconds", "Time at which such a file system last answered. If it does not answer, its other metrics keep their last values.", gauge, []string{labelRegion, "node", "mountpoint"}},
	{SlugDisk, "rainbond_node_mount_stuck", "A mount that does not answer, or whose server or device is gone: df hangs on it. Only such mounts have a series.", gauge, []string{labelRegion, "node", "mountpoint"}},
	{SlugDisk, "rainbond_node_eviction_threshold_ratio", "Available part of a file system below which the node's kubelet evicts pods. Only with --kubelet.configz.", gauge, []string{labelRegion, "node", "signal"}},
	{SlugDisk, "rainbond_node_condition", "A node condition with an unhealthy value: DiskPressure 1, or Ready 0. Only nodes with such a condition have a series.", gauge, []string{labelRegion, "node", "condition"}},
}

// Values lists the values of one of the metric's labels where they form a
// closed list, in display order; nil where they do not.
func (m Metric) Values(label string) []string {
	switch label {
	case "collector":
		return Slugs
	case "phase":
		return texts(fault.Phases)
	case "route":
		return texts(fault.Routes)
	case "class":
		return texts(fault.Classes)
	case "place", "reference":
		return texts(fault.Places)
	case "role":
		return []string{fault.Worker, fault.ControlPlane, fault.NoRole}
	case "alarm":
		var names []string
		for _, a := range fault.Alarms {
			names = append(names, a.Name)
		}
		return names
	case "condition":
		return []string{"DiskPressure", "Ready"}
	case "signal":
		return fault.EvictionSignals
	case "check":
		return []string{fault.AllChecks, "k8s_api", "region_cert"}
	case "kind":
		if m.Slug == SlugComponent {
			return []string{"Deployment", "StatefulSet", "DaemonSet", fault.KindNone}
		}
		return texts(fault.Kinds)
	case "reason":
		return m.reasons()
	}
	return nil
}

func (m Metric) reasons() []string {
	var reasons []fault.Reason
	switch m.Slug {
	case SlugAPI:
		for _, f := range fault.Failures {
			reasons = append(reasons, f.Reason)
		}
	case SlugTLS:
		for _, s := range fault.HandshakePatterns {
			reasons = append(reasons, s.Reason)
		}
	case SlugCert:
		reasons = fault.Damages
	case SlugComponent:
		reasons = fault.WaitReasons
	}
	var once []string
	for _, reason := range texts(reasons) {
		if !slices.Contains(once, reason) {
			once = append(once, reason)
		}
	}
	return once
}

func texts[T ~string](values []T) []string {
	all := make([]string, len(values))
	for i, v := range values {
		all[i] = string(v)
	}
	return all
}

// Describe returns the metric with the given name. It panics if the name is
// not in the catalogue, because that is a mistake in the caller.
func Describe(name string) Metric {
	i := slices.IndexFunc(Catalogue, func(m Metric) bool { return m.Name == name })
	if i < 0 {
		panic(fmt.Sprintf("collector: no metric %s in the catalogue", name))
	}
	return Catalogue[i]
}

// described returns the catalogue's metrics as client_golang needs them. They
// are made once, because a collection adds hundreds of samples.
var described = sync.OnceValue(func() map[string]describedMetric {
	all := make(map[string]describedMetric, len(Catalogue))
	for _, m := range Catalogue {
		all[m.Name] = describedMetric{prometheus.NewDesc(m.Name, m.Help, m.Labels, nil), m.Type}
	}
	return all
})

type describedMetric struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
}

// counterVec returns a counter of the catalogue that keeps its value between
// collections.
func counterVec(name string) *prometheus.CounterVec {
	m := Describe(name)
	return prometheus.NewCounterVec(prometheus.CounterOpts{Name: m.Name, Help: m.Help}, m.Labels)
}
