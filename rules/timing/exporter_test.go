package timing

import (
	"fmt"
	"maps"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/prometheus/model/labels"
)

// A role of an exporter. Each region has an exporter in the cluster and one on
// its node; one exporter next to the console probes all regions.
type role string

const (
	console role = "console"
	cluster role = "cluster"
	node    role = "node"
)

// values are values of series of one region.
type values map[string]float64

// A fault is one region with a fault.
type fault struct {
	region  string
	alert   string   // the alert that must fire
	others  []string // alerts that may fire too
	failure string   // phase/reason of the probe, if it fails
	role    role     // of changes
	changes values
	fills   bool // the disk fills
}

// probed reports whether the alert is about the probe.
func (f fault) probed() bool { return f.failure != "" && f.changes == nil }

var faults = []fault{
	{region: "healthy"},
	{region: "unreachable", alert: "RainbondRegionUnreachable", failure: "connect/dropped"},
	{region: "closed", alert: "RainbondRegionPortClosed", failure: "connect/refused"},
	{region: "down", alert: "RainbondRegionAPIDown", failure: "processing/status"},
	{region: "tls", alert: "RainbondRegionTLSFailing", failure: "tls/server_wrong_name"},
	{
		region: "mismatch", alert: "RainbondConsoleCertificateMismatch", others: []string{"RainbondRegionTLSFailing"}, failure: "tls/client_refused",
		role: console, changes: values{`rainbond_certificate_mismatch{kind="client", place="console", reference="served"}`: 1},
	},
	{ // a console that verifies
		region: "untrusted", alert: "RainbondConsoleCertificateMismatch", others: []string{"RainbondRegionTLSFailing"}, failure: "tls/server_untrusted",
		role: console, changes: values{`rainbond_certificate_mismatch{kind="server", place="served", reference="console"}`: 1},
	},
	{
		region: "expiring", alert: "RainbondCertificateExpiring",
		role: console, changes: values{`rainbond_certificate_not_after_timestamp_seconds{place="served", kind="server"}`: float64(start.Unix() + 10*86400)},
	},
	{
		region: "component", alert: "RainbondComponentNotReady",
		role: cluster, changes: values{`rainbond_component_ready{component="rbd-app-ui", kind="Deployment"}`: 0},
	},
	{
		region: "nodedown", alert: "RainbondNodeDown", others: []string{"RainbondComponentNotReady"},
		role: cluster, changes: values{
			`rainbond_node_down_since_timestamp_seconds{node="n"}`:                 float64(start.Unix()),
			`rainbond_node_down_pods{node="n", component="rbd-gateway"}`:           1,
			`rainbond_component_ready{component="rbd-gateway", kind="Deployment"}`: 0,
		},
	},
	{
		region: "filling", alert: "RainbondNodeDiskFilling",
		role: node, changes: values{`rainbond_node_root_used_ratio{node="n"}`: 0.81, `rainbond_node_root_avail_bytes{node="n"}`: 19},
	},
	{
		region: "near", alert: "RainbondNodeDiskEvictionNear", others: []string{"RainbondNodeDiskFilling"},
		role: node, changes: values{`rainbond_node_root_used_ratio{node="n"}`: 0.94, `rainbond_node_root_avail_bytes{node="n"}`: 6},
	},
	{region: "pace", alert: "RainbondNodeDiskEvictionNear", others: []string{"RainbondNodeDiskFilling"}, fills: true},
}

// steady are the series of a healthy region.
var steady = map[role]values{
	console: {
		`rainbond_certificate_mismatch{kind="client", place="console", reference="served"}`: 0,
		`rainbond_certificate_mismatch{kind="server", place="served", reference="console"}`: 0,
		`rainbond_certificate_not_after_timestamp_seconds{place="served", kind="server"}`:   float64(start.Unix() + 365*86400),
		`rainbond_api_clock_skew_seconds`:                                                   0,
	},
	cluster: {
		`rainbond_component_desired{component="rbd-api", kind="Deployment"}`:     1,
		`rainbond_component_ready{component="rbd-api", kind="Deployment"}`:       1,
		`rainbond_component_desired{component="rbd-gateway", kind="Deployment"}`: 1,
		`rainbond_component_ready{component="rbd-gateway", kind="Deployment"}`:   1,
		`rainbond_component_desired{component="rbd-app-ui", kind="Deployment"}`:  1,
		`rainbond_component_ready{component="rbd-app-ui", kind="Deployment"}`:    1,
		`rainbond_nodes{role="worker"}`:                                          3,
		`rainbond_node_role_required`:                                            0,
		`rainbond_certificate_rotation_pending`:                                  0,
	},
	node: {
		`rainbond_node_root_size_bytes{node="n"}`:  100,
		`rainbond_node_root_avail_bytes{node="n"}`: 50,
		`rainbond_node_root_used_ratio{node="n"}`:  0.5,
		`rainbond_node_root_inodes{node="n"}`:      100,
		`rainbond_node_root_inodes_free{node="n"}`: 90,
		`rainbond_node_root_read_only{node="n"}`:   0,
	},
}

// collectors are the collectors of each role.
var collectors = map[role][]string{console: {"api", "cert"}, cluster: {"tls", "node_role", "component"}, node: {"disk"}}

// An exporter is one target.
type exporter struct {
	store    *store
	event    event
	role     role
	replica  int
	regions  []fault
	starts   int            // number of starts
	inARow   map[string]int // failed probes, by region
	probes   map[string]int
	failures map[string]int
	last     map[uint64]labels.Labels // series of the previous scrape
}

func newExporters(s *store, e event) (all []*exporter) {
	replicas := 1
	if e.pairs {
		replicas = 2
	}
	for replica := range replicas {
		all = append(all, &exporter{store: s, event: e, role: console, replica: replica, regions: faults})
		for i := range faults {
			for _, r := range []role{cluster, node} {
				all = append(all, &exporter{store: s, event: e, role: r, replica: replica, regions: faults[i : i+1]})
			}
		}
	}
	for _, x := range all {
		x.begin()
	}
	return all
}

func (x *exporter) begin() {
	x.starts++
	x.inARow, x.probes, x.failures = map[string]int{}, map[string]int{}, map[string]int{}
}

// target are the labels job and instance.
func (x *exporter) target() string {
	start := 0
	if x.event.upgrade {
		start = x.starts
	}
	return fmt.Sprintf(`job="rainbond-exporter", instance="%s-%s-%d-%d"`, x.role, x.regions[0].region, x.replica, start)
}

// lose loses a scrape: Prometheus marks all series as stale.
func (x *exporter) lose(at time.Duration) {
	current := map[uint64]labels.Labels{}
	if !x.event.upgrade { // the target still exists
		x.put(current, at, "up", 0)
	}
	x.finish(current, at)
	if x.event.restart && len(current) <= 1 {
		x.begin()
	}
}

func (x *exporter) finish(current map[uint64]labels.Labels, at time.Duration) {
	for hash, lset := range x.last {
		if _, ok := current[hash]; !ok {
			x.store.add(lset, ms(at), stale)
		}
	}
	x.last = current
}

// put adds a sample of the target. The series has the form of PromQL, with all
// labels but those of the target.
func (x *exporter) put(current map[uint64]labels.Labels, at time.Duration, text string, v float64) {
	name, rest, _ := strings.Cut(strings.TrimSuffix(text, "}"), "{")
	lset := parsed(name + "{" + strings.TrimPrefix(rest+", "+x.target(), ", ") + "}")
	current[lset.Hash()] = lset
	x.store.add(lset, ms(at), v)
}

var known sync.Map // labels by text

func parsed(text string) labels.Labels {
	if found, ok := known.Load(text); ok {
		return found.(labels.Labels)
	}
	lset, err := promParser.ParseMetric(text)
	if err != nil {
		panic(err)
	}
	known.Store(text, lset)
	return lset
}

func (x *exporter) scrape(at time.Duration, lostProbe bool) {
	current := map[uint64]labels.Labels{}
	x.put(current, at, "up", 1)
	for _, name := range collectors[x.role] {
		x.put(current, at, fmt.Sprintf(`rainbond_collector_success{collector=%q}`, name), 1)
		x.put(current, at, fmt.Sprintf(`rainbond_collector_last_collection_timestamp_seconds{collector=%q}`, name), float64(ms(at))/1000)
	}
	for _, f := range x.regions {
		now := maps.Clone(steady[x.role])
		broken := at >= onset && at < repaired
		if broken && x.role == f.role {
			maps.Copy(now, f.changes)
		}
		if f.region == "filling" && x.role == node && !broken {
			now[`rainbond_node_root_used_ratio{node="n"}`], now[`rainbond_node_root_avail_bytes{node="n"}`] = 0.79, 21
		}
		if f.fills && x.role == node && at < repaired { // 10% in an hour
			used := 0.75 + 0.1*(at-onset).Hours()
			now[`rainbond_node_root_used_ratio{node="n"}`] = used
			now[`rainbond_node_root_avail_bytes{node="n"}`] = 100 * (1 - used)
		}
		if x.role == console {
			x.probe(now, f, broken, lostProbe)
		}
		for series, v := range now {
			x.put(current, at, within(series, f.region), v)
		}
	}
	x.finish(current, at)
}

// within adds the label of the region.
func within(series, region string) string {
	name, rest, _ := strings.Cut(strings.TrimSuffix(series, "}"), "{")
	return name + "{" + strings.TrimPrefix(rest+", ", ", ") + fmt.Sprintf("rainbond_region=%q}", region)
}

// probe adds the series of a probe.
func (x *exporter) probe(all values, f fault, broken, lost bool) {
	failure := ""
	if broken {
		failure = f.failure
	}
	other := "processing/status"
	if f.failure == other {
		other = "connect/refused"
	}
	x.probes[f.region]++
	switch {
	case lost:
		failure = "connect/other"
		if broken && f.region == "unreachable" {
			failure = "tls/other"
		}
	case failure != "" && x.event.turns && x.probes[f.region]%2 == 0:
		failure = other
	}
	if strings.HasPrefix(failure, "connect/") { // nothing is served
		delete(all, `rainbond_certificate_mismatch{kind="client", place="console", reference="served"}`)
		delete(all, `rainbond_certificate_mismatch{kind="server", place="served", reference="console"}`)
		delete(all, `rainbond_api_clock_skew_seconds`)
	}
	x.inARow[f.region]++
	all[`rainbond_api_up`] = 0
	if failure == "" {
		x.inARow[f.region] = 0
		all[`rainbond_api_up`] = 1
	} else {
		x.failures[f.region]++
	}
	all[`rainbond_api_consecutive_failures`] = float64(x.inARow[f.region])
	all[`rainbond_api_probes_total`] = float64(x.probes[f.region])
	for _, one := range []string{f.failure, "processing/status", "connect/refused", "connect/other", "tls/other"} {
		phase, reason, ok := strings.Cut(one, "/")
		if !ok {
			continue
		}
		v := 0.0
		if one == failure {
			v = 1
		}
		all[fmt.Sprintf(`rainbond_api_probe_failed{phase=%q, reason=%q}`, phase, reason)] = v
	}
	all[`rainbond_api_probe_failures_total{phase="all", reason="all"}`] = float64(x.failures[f.region])
}
