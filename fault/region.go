package fault

import "time"

// A Secret is a private key, a token or a password. It prints as "[secret]",
// so that no log line, error or page can carry it by accident.
type Secret []byte

// String hides the secret from %v and %s.
func (Secret) String() string { return "[secret]" }

// GoString hides the secret from %#v.
func (Secret) GoString() string { return "[secret]" }

// MarshalText hides the secret from JSON, YAML and slog.
func (Secret) MarshalText() ([]byte, error) { return []byte("[secret]"), nil }

// A Region is a cluster as its console knows it: where it is, and with what
// the console proves itself there.
type Region struct {
	Name       string // region_info.region_name; the label rainbond_region
	URL        string // https://host:8443
	ServerName string // the name the served certificate must bear; "" means DefaultServerName
	CA         []byte // PEM, may be damaged: that is a finding
	Cert       []byte // PEM of the client certificate
	Key        Secret // PEM of its key
	Token      Secret // sent as the Authorization header; empty: none
	// Place says whose copy CA, Cert and Key are: Console or RegionConfig.
	Place Place
	// Err is why the copy could not be read (a path to no file); the region
	// is then known by name only.
	Err error
}

// DefaultServerName is the DNS name in every certificate that the operator
// makes (rainbond-operator, controllers/handler/api.go).
const DefaultServerName = "rbd-api-api"

// A Trace is what one request to a region API saw. It holds no judgement:
// FromTrace gives it.
type Trace struct {
	URL     string // what was asked, without credentials
	Address string // the ip:port spoken to, or tried last; "" if there was none
	// FailedAddresses is what came of the addresses that were tried before one
	// answered, when the name has several.
	FailedAddresses []error

	// Durations has an entry for each phase that ended well.
	Durations map[Phase]time.Duration
	Took      time.Duration // the whole request

	Served [][]byte // DER of the certificates the server sent, leaf first; known even when the handshake failed
	Status int      // HTTP status; 0 when there was no answer
	Body   []byte   // the first bytes of the answer

	Phase Phase // the phase that Err ended; "" when all went well
	Err   error
	// Distrust is why the served certificate does not satisfy the region's CA
	// and ServerName. The request goes on all the same, as the console's does
	// (REGION_SSL_VERIFY is false by default since v6.6), but without the
	// token: so the server's verdict on our certificate is known too, and we
	// leave no handshake error in the log that we read.
	Distrust error
	// CertificateNotRequested says that the handshake was well and nobody asked for our
	// certificate. Rbd-api always asks (rainbond, api/server/api.go).
	CertificateNotRequested bool

	// Ready is the answer of /v2/cluster/ready by check: AllChecks, and each
	// that the region names. Nil when it was not asked or the region is older
	// than v6.9.2 (404).
	Ready map[string]bool
}

// AllChecks is the check that stands for all of /v2/cluster/ready.
const AllChecks = "all"
