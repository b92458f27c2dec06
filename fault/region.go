package fault

import (
	"errors"
	"time"
)

// A Secret is a private key, a token or a password. It prints as "[secret]", so
// that it cannot leak into a log line, an error or a page.
type Secret []byte

// String hides the secret from %v and %s.
func (Secret) String() string { return "[secret]" }

// GoString hides the secret from %#v.
func (Secret) GoString() string { return "[secret]" }

// MarshalText hides the secret from JSON, YAML and slog.
func (Secret) MarshalText() ([]byte, error) { return []byte("[secret]"), nil }

// A Region is a cluster as configured in its console: its address and the
// credentials with which the console connects.
type Region struct {
	Name       string // region_info.region_name; the label rainbond_region
	URL        string // https://host:8443; the console appends the path of each request
	ServerName string // the name that the served certificate must have; "" means DefaultServerName
	CA         []byte // PEM; may be damaged, which is reported
	Cert       []byte // PEM of the client certificate
	Key        Secret // PEM of its key
	Token      Secret // sent as the Authorization header; empty: none
	// Place is the origin of CA, Cert and Key: Console or RegionConfig.
	Place Place
	// Route is which address URL is; "" is RouteConsole.
	Route Route
	// AddressUnused is true when no console uses URL, which is then probed only
	// because the exporter cannot reach the Service.
	AddressUnused bool
	// ConsoleUnknown is true when AddressUnused is set because it is unknown
	// whether the console is in the cluster.
	ConsoleUnknown bool
	// Columns is true when CA, Cert and Key are the texts of columns of the
	// console's table, and not the contents of files.
	Columns bool
	// Err is why the copy cannot be read (a path without a file). The region
	// then has a name only.
	Err error
}

// ErrConsoleOnly is the error of a path that exists only in the console's
// container. Whether the console can use the file is unknown.
var ErrConsoleOnly = errors.New("exists only in the console's container")

// DefaultServerName is the DNS name in every certificate that the operator
// creates (rainbond-operator, controllers/handler/api.go).
const DefaultServerName = "rbd-api-api"

// A Trace records one request to a region API. It contains observations only;
// FromTrace evaluates them.
type Trace struct {
	URL      string   // the requested URL without credentials
	Resolved []string // the addresses of the host name; nil when the URL has an address
	Address  string   // the ip:port connected to, or tried last; "" if there was none
	// FailedAddresses holds an error for each address that was tried before
	// one accepted the connection.
	FailedAddresses []error

	// Durations has an entry for each phase that succeeded.
	Durations map[Phase]time.Duration
	Took      time.Duration // the whole request

	Served [][]byte // DER of the certificates that the server sent, leaf first; set even when the handshake failed
	Status int      // HTTP status; 0 when there was no response
	Body   []byte   // the first bytes of the response body, redacted
	Header []string // the lines of the response header, redacted
	// ClockSkew is the region's clock minus ours, from the Date header of the
	// response; precise to a second. SkewKnown is false without a response.
	ClockSkew time.Duration
	SkewKnown bool
	// TLSVersion and CipherSuite are names of crypto/tls; "" without a
	// completed handshake.
	TLSVersion, CipherSuite string

	// Unknown is why the request has no result; nil for a verdict. The other
	// fields then hold what was observed until the request ended.
	Unknown *UnknownError

	Phase Phase // the phase in which Err occurred; "" on success
	Err   error
	// Distrust is why the served certificate is not valid for the region's CA
	// and ServerName. The request continues, as the console's does
	// (REGION_SSL_VERIFY is false by default since v6.6), but without the
	// token. The server's decision about our certificate is then known too,
	// and the probe leaves no handshake error in the log that we read.
	Distrust error
	// NotForRbdAPI is true when the served certificate is neither signed by the
	// region's CA nor issued for its ServerName.
	NotForRbdAPI bool
	// TokenWithheld is true when the region's token was not sent because of
	// Distrust.
	TokenWithheld bool
	// CertificateNotRequested is true when the handshake succeeded and the
	// server did not request a client certificate. rbd-api always requests one
	// (rainbond, api/server/api.go).
	CertificateNotRequested bool

	// Ready is the result of /v2/cluster/ready by check: AllChecks, and each
	// check that the region names. Nil when it was not requested or the region
	// is older than v6.9.2 (404).
	Ready map[string]bool
}

// AllChecks is the overall result of /v2/cluster/ready.
const AllChecks = "all"
