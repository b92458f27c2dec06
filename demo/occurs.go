package demo

import (
	"slices"
	"strings"
)

// An exception is a set of scenarios that differ in some installations: they
// cannot occur, or they have other alerts.
type exception struct {
	installations []string
	scenarios     []string
	alerts        []string // instead of the scenario's; nil: the scenario cannot occur
	reason        string
}

var (
	// insideConsole are the installations whose console uses the Service of rbd-api.
	insideConsole = []string{"quick", "host", "kubernetes", "namespace"}
	// withoutCopy are those whose exporter cannot read the console's copy.
	withoutCopy = []string{"host", "kubernetes", "namespace"}
)

// exceptions lists every difference between installations. A scenario without
// an entry has the same alerts in all installations.
var exceptions = []exception{
	{[]string{"quick"}, []string{"node-role-none", "node-role-no-worker", "node-role-empty-value"}, nil,
		"K3s sets no worker label, and the only node has the labels control-plane and master"},
	{[]string{"quick"}, []string{"node-joining", "component-node-down", "component-node-down-idle", "component-node-drained"}, nil, "the platform has one node"},
	{[]string{"kubernetes", "managed"}, []string{"node-role-none", "node-role-no-worker", "node-role-empty-value"}, nil,
		"no node has the label worker, and most nodes have no role label"},
	{[]string{"kubernetes"}, []string{"component-database", "component-external"}, nil, "the database is external from the start"},
	{[]string{"kubernetes"}, []string{"component-scaled-down", "component-job"}, nil, "the registry is external: there is no rbd-hub"},
	{[]string{"remote-console"}, []string{"component-database", "disk-takes-api"}, nil, "the console rbd-app-ui, which these take down too, is elsewhere"},
	{[]string{"v5"}, []string{"api-not-ready"}, nil, "/v2/cluster/ready exists since v6.9.2"},
	{[]string{"v5"}, []string{"component-half", "component-degraded"}, nil, "the gateway is a DaemonSet with one container"},
	{withoutCopy, copyScenarios, nil, "the exporter does not read the console's database, so it has no copy of the certificates to compare"},
	{withoutCopy, []string{"api-name-unknown", "api-name-silent", "api-no-route", "api-url-path"}, nil,
		"the console uses the Service of rbd-api, and the exporter does not read the console's database, which could have another address"},
	{insideConsole, []string{"api-address-moved"}, nil, "the console uses the Service of rbd-api, which has no address of a node"},
	{insideConsole, []string{"two-regions", "region-disabled"}, nil, "the exporter knows only the region of its own cluster"},
	{withoutCopy, []string{"watch-db-locked"}, nil, "the exporter does not read the console's database"},
	{[]string{"quick"}, []string{"cert-crlf"}, alerts("RainbondCertificateUnreadable"),
		"carriage returns in the console's database make the console send no certificate; in a file of the exporter they have no effect"},
}

// copyScenarios damage only the console's copy of the certificates.
var copyScenarios = []string{
	"cert-client-stale-tls13", "cert-client-stale-tls12", "cert-ca-stale", "cert-leading-space", "cert-newlines-lost", "cert-key-mismatch",
	"cert-empty", "cert-path-missing", "cert-crlf", "cert-rotated-broken",
}

// exceptionOf returns the exception of a single scenario, or nil.
func (i Installation) exceptionOf(scenario string) *exception {
	for n, e := range exceptions {
		if slices.Contains(e.installations, i.Name) && slices.Contains(e.scenarios, scenario) {
			return &exceptions[n]
		}
	}
	return nil
}

// Excluded returns why the scenario cannot occur in the installation, or "" if
// it can.
func (i Installation) Excluded(s Scenario) string {
	for one := range strings.SplitSeq(s.Name, and) {
		if e := i.exceptionOf(one); e != nil && e.alerts == nil {
			return e.reason
		}
	}
	return ""
}

// Alerts returns the alerts of a single collection of the scenario in the
// installation.
func (i Installation) Alerts(s Scenario) []string {
	if e := i.exceptionOf(s.Name); e != nil && e.alerts != nil {
		return e.alerts
	}
	return s.Alerts
}

// Notified returns the names of exactly those alerts that notify once the
// scenario has lasted for the rules' durations.
func (i Installation) Notified(s Scenario) []string {
	if e := i.exceptionOf(s.Name); e != nil && e.alerts != nil {
		return e.alerts
	}
	return s.Notified()
}
