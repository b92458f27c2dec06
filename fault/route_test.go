package fault

import (
	"errors"
	"net"
	"syscall"
	"testing"
)

func TestChooseRoute(t *testing.T) {
	const address, service = "https://203.0.113.10:8443", "https://rbd-api-api.rbd-system:8443"
	for _, test := range []struct {
		name               string
		console, inCluster bool
		route              Route
		url                string
		unused             bool
	}{
		{"console in the cluster", true, true, RouteService, service, false},
		{"console in the cluster, exporter outside", true, false, RouteAPIAddress, address, true},
		{"console elsewhere", false, true, RouteAPIAddress, address, false},
		{"both elsewhere", false, false, RouteAPIAddress, address, false},
	} {
		r := ChooseRoute(Region{URL: address}, test.console, test.inCluster, service)
		if r.Route != test.route || r.URL != test.url || r.AddressUnused != test.unused {
			t.Errorf("%s: got %s %s %t", test.name, r.Route, r.URL, r.AddressUnused)
		}
	}
}

func TestHasConsole(t *testing.T) {
	for _, test := range []struct {
		workloads []Workload
		want      bool
	}{
		{nil, false},
		{[]Workload{{Component: "rbd-api", Desired: 1}}, false},
		{[]Workload{{Component: "rbd-api", Desired: 1}, {Component: "rbd-app-ui", Desired: 1}}, true},
		{[]Workload{{Component: "rbd-app-ui"}}, false},
	} {
		if got := HasConsole(test.workloads); got != test.want {
			t.Errorf("%v: got %t", test.workloads, got)
		}
	}
}

func TestUnusedAddressHasNoVerdict(t *testing.T) {
	refused := Trace{Phase: Connect, Err: &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}}
	for _, test := range []struct {
		name    string
		unused  bool
		trace   Trace
		unknown bool
	}{
		{"refused", true, refused, true},
		{"refused, but used", false, refused, false},
		{"no such host", true, Trace{Phase: Resolve, Err: &net.DNSError{IsNotFound: true}}, true},
		{"another server", true, Trace{Status: 403, Distrust: errors.New("unknown authority"), NotForRbdAPI: true}, true},
		{"rbd-api returns 503", true, Trace{Status: 503}, false},
		{"rbd-api responds", true, Trace{Status: 200, Body: []byte("v6.9.8")}, false},
	} {
		if got := WithoutVerdict(Region{AddressUnused: test.unused}, test.trace); (got.Unknown != nil) != test.unknown {
			t.Errorf("%s: unknown is %v", test.name, got.Unknown)
		}
	}
}
