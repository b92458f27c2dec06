package fault

// A Place is where a copy of a certificate is stored, and the value of the
// label "place".
type Place string

// The five places whose certificates must belong together.
const (
	Console      Place = "console"       // the console's table region_info, or the files of --config.file
	RegionConfig Place = "region-config" // the ConfigMap that the operator writes, from which people copy
	ClientSecret Place = "client-secret" // the Secret rbd-api-client-cert
	ServerSecret Place = "server-secret" // the Secret rbd-api-server-cert, which rbd-api loads when it starts
	Served       Place = "served"        // what rbd-api currently serves
)

// Places lists every place, in display order.
var Places = []Place{Console, RegionConfig, ClientSecret, ServerSecret, Served}

// A Kind is what a certificate is for, and the value of the label "kind".
type Kind string

// The three kinds of certificate, all signed by (or being) one CA.
const (
	CA     Kind = "ca"
	Client Kind = "client"
	Server Kind = "server"
)

// Kinds lists every kind, in display order.
var Kinds = []Kind{CA, Client, Server}

// A Copy is the PEM text of one kind of certificate in one place.
type Copy struct {
	Place Place
	Kind  Kind
	PEM   []byte
	// Column is true when PEM and Key are columns of the console's table. The
	// console does not accept carriage returns there.
	Column bool
	Key    Secret // the PEM text of its private key; nil when the place has no keys
	// Addresses is the label availableips of a server-secret: the gateway's
	// addresses for which the operator made it.
	Addresses string
	// Err is why there is no text: the file or the Secret does not exist. A
	// Copy with Err has no PEM.
	Err error
}
