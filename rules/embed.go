// Package rules contains the alert rules, which define every fault that the
// exporter reports, and the Alertmanager configuration with the inhibitions.
package rules

import _ "embed"

// Rules is rainbond.rules.yaml, as Prometheus loads it.
//
//go:embed rainbond.rules.yaml
var Rules []byte

// Alertmanager is alertmanager.yaml, as Alertmanager loads it next to
// the folder templates.
//
//go:embed alertmanager.yaml
var Alertmanager []byte

// Messages are the templates of the notifications, templates/rainbond.tmpl.
//
//go:embed templates/rainbond.tmpl
var Messages []byte

// RegionLabel is the label of the region. Together with the labels of
// DefaultIdentity, or of those that replace them, it identifies a platform.
const RegionLabel = "rainbond_region"

// DefaultIdentity are the labels that distinguish platforms with the same region
// name in rainbond.rules.yaml, alertmanager.yaml and the templates.
var DefaultIdentity = []string{"cluster"}

// LinkAnnotations are the annotations with complete links. Alerts have them if
// the external URLs of the exporter, the guide and Grafana are known.
var LinkAnnotations = []string{"guide_url", "guide_url_zh", "dashboard_url"}

// Watchdog is the alert that always fires.
const Watchdog = "RainbondWatchdog"
