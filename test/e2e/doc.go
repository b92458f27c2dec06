// Package e2e pulls one thread through everything, on real parts: a real
// Kubernetes API server with RBAC and etcd, the region API in a process of its
// own, the exporter's binary in two roles, a real Prometheus and a real
// Alertmanager with the configuration that ships, and a webhook that records
// what a person would have been sent.
//
// The kubelet is ours (it serves the log of rbd-api through the API server),
// and nobody schedules: the tests write the statuses that a kubelet and the
// controllers would.
//
// Run it with make e2e; the tests have the build tag e2e.
package e2e
