package doctor

import (
	"cmp"
	"slices"

	dto "github.com/prometheus/client_model/go"
)

// A Route is the address of a region that was probed, and its origin.
type Route struct {
	Region string
	// Origin is console (the console's own copy), service (the Service
	// rbd-api-api, because the console runs in the platform's namespace) or
	// api_address (ConfigMap region-config).
	Origin string
	URL    string
}

// routeMetric has a series for each region that was probed.
const routeMetric = "rainbond_api_route_info"

// routes returns the probed addresses, sorted by region.
func routes(families []*dto.MetricFamily) []Route {
	var all []Route
	for _, f := range families {
		if f.GetName() != routeMetric {
			continue
		}
		for _, m := range f.GetMetric() {
			values := map[string]string{}
			for _, l := range m.GetLabel() {
				values[l.GetName()] = l.GetValue()
			}
			all = append(all, Route{values[LabelRegion], values["route"], values["url"]})
		}
	}
	slices.SortFunc(all, func(a, b Route) int { return cmp.Compare(a.Region, b.Region) })
	return all
}
