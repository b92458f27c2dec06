package demo

// What the demo's region is called wherever names are asked for.
const (
	Namespace  = namespace  // where its platform runs
	RegionName = "rainbond" // in its console
	NodeName   = "node-1"   // the node whose disk Root is
	Path       = "/demo"    // where the form of Aside leads
)
