// Package dashboards holds the Grafana dashboards, embedded.
package dashboards

import _ "embed"

// Overview is the dashboard "Rainbond": one row per symptom, in the order of
// the guide.
//
//go:embed rainbond.json
var Overview []byte
