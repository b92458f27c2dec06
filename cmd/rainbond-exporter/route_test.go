package main

import (
	"context"
	"errors"
	"testing"

	"github.com/rainbond-exporter/rainbond-exporter/fault"
)

func TestServiceNamesAreQualified(t *testing.T) {
	for given, want := range map[string]string{
		"https://rbd-api-api:8443":            "https://rbd-api-api.rainbond:8443",
		"https://rbd-api-api:8443/":           "https://rbd-api-api.rainbond:8443/",
		"https://rbd-api-api":                 "https://rbd-api-api.rainbond",
		"https://rbd-api-api.rbd-system:8443": "https://rbd-api-api.rbd-system:8443",
		"https://region.example.com:8443":     "https://region.example.com:8443",
		"https://192.0.2.1:8443":              "https://192.0.2.1:8443",
		"\u0020https://rbd-api-api:8443":      "\u0020https://rbd-api-api:8443", // malformed: the probe reports it
	} {
		if got := qualified(given, "rainbond"); got != want {
			t.Errorf("%q: got %q, want %q", given, got, want)
		}
	}
}

func TestOwnRegionMustBeAmongTheConsoles(t *testing.T) {
	regions := []fault.Region{{Name: "a"}, {Name: "b"}}
	read := func(context.Context) ([]fault.Region, error) { return regions, nil }
	if _, err := including("b", read)(t.Context()); err != nil {
		t.Error(err)
	}
	got, err := including("rainbond", read)(t.Context())
	if err == nil || err.Error() != "--region.name=rainbond is not among the console's regions: a, b" || len(got) != 2 {
		t.Errorf("got %v, %d regions", err, len(got))
	}
	regions = nil
	if _, err := including("rainbond", read)(t.Context()); err != nil {
		t.Errorf("without regions: %v", err)
	}
}

func TestRouteOfTheOwnRegion(t *testing.T) {
	const address, service = "https://203.0.113.10:8443", "https://rbd-api-api.rbd-system:8443"
	read := func(_ context.Context, name string) (fault.Region, error) {
		return fault.Region{Name: name, URL: address}, nil
	}
	console := []fault.Workload{{Component: "rbd-app-ui", Desired: 1}}
	for _, test := range []struct {
		name      string
		flags     flags
		workloads []fault.Workload
		err       error
		url       string
		unused    bool
	}{
		{"auto, console in the cluster", flags{inCluster: true}, console, nil, service, false},
		{"auto, no console", flags{inCluster: true}, nil, nil, address, false},
		{"auto, exporter outside", flags{}, console, nil, address, true},
		{"auto, workloads unknown", flags{inCluster: true}, nil, errors.New("forbidden"), address, true},
		{"auto, some workloads unknown", flags{inCluster: true}, console, errors.New("forbidden"), service, false},
		{"service", flags{route: "service"}, nil, nil, service, false},
		{"api_address", flags{route: "api_address"}, console, nil, address, false},
	} {
		test.flags.directURL = service
		workloads := func(context.Context) ([]fault.Workload, error) { return test.workloads, test.err }
		r, err := test.flags.routed(read, workloads)(t.Context(), "rainbond")
		if err != nil || r.URL != test.url || r.AddressUnused != test.unused {
			t.Errorf("%s: got %s, unused %t, %v; want %s, %t", test.name, r.URL, r.AddressUnused, err, test.url, test.unused)
		}
	}
}

func TestRouteIsKeptWhileTheClusterDoesNotRespond(t *testing.T) {
	down := errors.New("no response")
	var err error
	read := func(context.Context, string) (fault.Region, error) {
		return fault.Region{URL: "https://203.0.113.10:8443"}, err // the last known region
	}
	workloads := func(context.Context) ([]fault.Workload, error) {
		if err != nil {
			return nil, err
		}
		return []fault.Workload{{Component: "rbd-app-ui", Desired: 1}}, nil
	}
	routed := (&flags{inCluster: true, directURL: "https://rbd-api-api.rbd-system:8443"}).routed(read, workloads)
	for _, want := range []error{nil, down, nil} {
		err = want
		r, got := routed(t.Context(), "rainbond")
		if !errors.Is(got, want) || r.Route != fault.RouteService || r.AddressUnused {
			t.Errorf("with %v: got %s, %v", want, r.URL, got)
		}
	}
}
