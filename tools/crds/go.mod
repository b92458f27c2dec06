// The resources of the Prometheus Operator, which the chart's objects are tried against on a real API server. Nothing of it is
// built: tools/crds/folder says where they are, so leave `go mod tidy` alone.
module github.com/rainbond-exporter/rainbond-exporter/tools/crds

go 1.26.0

require github.com/prometheus-operator/prometheus-operator v0.85.0
