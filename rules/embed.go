// Package rules holds the alert rules, which are the catalogue of everything
// the exporter calls a fault, and the Alertmanager configuration that says
// which alert keeps which back.
package rules

import _ "embed"

// Rules is rainbond.rules.yaml, as Prometheus loads it.
//
//go:embed rainbond.rules.yaml
var Rules []byte

// Alertmanager is alertmanager.yaml, as Alertmanager loads it beside the
// folder templates.
//
//go:embed alertmanager.yaml
var Alertmanager []byte

// Messages are the templates of the messages, templates/rainbond.tmpl.
//
//go:embed templates/rainbond.tmpl
var Messages []byte
