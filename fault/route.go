package fault

// A Route is which address the console uses to reach a region, and the value of
// the label "route".
type Route string

// The routes, in the order of precedence.
const (
	// RouteConsole is the address in the console's own copy.
	RouteConsole Route = "console"
	// RouteService is the Service rbd-api-api. A console in the namespace of the
	// platform uses it: the default region's URL is https://rbd-api-api:8443.
	RouteService Route = "service"
	// RouteAPIAddress is apiAddress of the ConfigMap region-config, from which
	// administrators copy the address into a console elsewhere.
	RouteAPIAddress Route = "api_address"
)

// Routes lists every route, in the order of precedence.
var Routes = []Route{RouteConsole, RouteService, RouteAPIAddress}

// ConsoleComponent is the name of the console's Deployment
// (rainbond-operator, controllers/handler/appui.go).
const ConsoleComponent = "rbd-app-ui"

// HasConsole reports whether the console is one of the platform's workloads.
// One that is scaled to zero is not.
func HasConsole(workloads []Workload) bool {
	for _, w := range workloads {
		if w.Component == ConsoleComponent && w.Desired > 0 {
			return true
		}
	}
	return false
}

// RouteAuto means that ChooseRoute decides.
const RouteAuto Route = "auto"

// ChooseRoute sets the route of the region of ConfigMap region-config.
// ServiceURL is the URL of the Service rbd-api-api. A console in the cluster
// uses the Service. If the exporter runs outside the cluster it cannot reach the
// Service: the region then keeps its address, and AddressUnused is set.
func ChooseRoute(r Region, consoleInCluster, exporterInCluster bool, serviceURL string) Region {
	switch {
	case !consoleInCluster:
		r.Route = RouteAPIAddress
	case exporterInCluster:
		r.Route, r.URL = RouteService, serviceURL
	default:
		r.Route, r.AddressUnused = RouteAPIAddress, true
	}
	return r
}

// WithoutVerdict returns the trace of a region whose address no console uses. A
// failure to reach that address is no fault: the trace becomes unknown. A
// response of rbd-api is as good as over the console's route.
func WithoutVerdict(r Region, t Trace) Trace {
	f, failed := FromTrace(t)
	if !r.AddressUnused || !failed || t.Unknown != nil || f.Phase != Resolve && f.Phase != Connect && !t.WrongPeer() {
		return t
	}
	if r.ConsoleUnknown {
		t.Unknown = &UnknownError{f.Phase, errConsoleUnknown}
	} else {
		t.Unknown = &UnknownError{f.Phase, errAddressUnused}
	}
	return t
}

type constError string

func (e constError) Error() string { return string(e) }

const errConsoleUnknown = constError("the workloads of the platform cannot be listed, so it is unknown whether a console uses apiAddress, which does not respond")

const errAddressUnused = constError("the console uses the Service rbd-api-api, which cannot be reached from outside the cluster, and nobody uses apiAddress, which does not respond; run this command in the cluster, for example with kubectl exec in the pod of the exporter")
