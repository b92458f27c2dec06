package demo

// Names in the simulated region.
const (
	Namespace  = namespace  // the namespace of the platform in most installations
	RegionName = "rainbond" // the region's name in the console

	NodeName = "node-1" // the node whose disk Root is
	Path     = "/demo"  // the target of the form of Aside
)
