// Package fault defines what can go wrong between a Rainbond console and its
// region, and how each fault is recognised. It is pure: it takes values that the
// caller has fetched (an error, a log line, PEM text, labels, numbers) and
// returns their meaning. It does no I/O and imports only the standard library.
package fault

// A Phase is a stage of one request to the region API.
type Phase string

// The phases, and the values of the label "phase". A phase that did not run
// has no duration: it is absent, never zero.
const (
	Resolve    Phase = "resolve"    // the host name is resolved to addresses
	Connect    Phase = "connect"    // TCP
	TLS        Phase = "tls"        // handshake, including the server's decision about our certificate
	Processing Phase = "processing" // from the request to the first byte of the response
	Transfer   Phase = "transfer"   // from the first byte to the last
)

// Phases lists every phase in the order they run.
var Phases = []Phase{Resolve, Connect, TLS, Processing, Transfer}

// A Reason is a cause from a closed list, suitable as a label value. An unknown
// cause is Other; its text is reported as evidence.
type Reason string

// Why a request to the region API failed.
const (
	URLMalformed       Reason = "url_malformed"      // the URL cannot be used, by the console either
	NameUnknown        Reason = "name_unknown"       // the name has no address (NXDOMAIN)
	NameServerTimeout  Reason = "name_server_silent" // the name server does not respond
	NameServerFailed   Reason = "name_server_failed" // the name server returns SERVFAIL or another error
	Dropped            Reason = "dropped"            // no response to TCP SYN: a firewall or a host that is down
	Refused            Reason = "refused"            // no process listens on the port
	Unreachable        Reason = "unreachable"        // no route, or ICMP unreachable
	Reset              Reason = "reset"              // the connection was reset
	Closed             Reason = "closed"             // accepted, then closed without a response: a gateway without a backend
	PlainHTTP          Reason = "plain_http"         // the port serves HTTP without TLS
	OldTLS             Reason = "old_tls"            // the server offers only TLS 1.1 or older
	ServerUntrusted    Reason = "server_untrusted"   // the server's certificate is not signed by our CA
	ServerWrongName    Reason = "server_wrong_name"  // signed by our CA, but for another name
	ServerNotRbdAPI    Reason = "server_not_rbd_api" // neither signed by our CA nor issued for rbd-api: another server
	ServerExpired      Reason = "server_expired"     // signed by our CA, but not valid today
	ClientRefused      Reason = "client_refused"     // the server refused our client certificate
	ClientNotSent      Reason = "client_not_sent"    // the server requires a client certificate and received none
	ClientNotRequested Reason = "client_not_asked"   // the server requests no client certificate: it is not rbd-api
	ClientUnreadable   Reason = "client_unreadable"  // our own CA, certificate or key cannot be used, so no request is possible
	Timeout            Reason = "timeout"            // not complete within the console's limits
	Status             Reason = "status"             // an HTTP status other than 200
	TokenRefused       Reason = "token_refused"      // 401 or 403: the region requires another token
	WrongBody          Reason = "wrong_body"         // 200, but the body is not a Rainbond version
	NotReady           Reason = "not_ready"          // /v2/cluster/ready returns 503
	Other              Reason = "other"              // none of these; see the evidence
)

// A Failure is the phase in which a request failed, and the reason.
type Failure struct {
	Phase  Phase
	Reason Reason
}

// Failures lists every pair of phase and reason that a probe can report, in
// display order. Each pair is exported from the start with the value 0.
var Failures = []Failure{
	{Resolve, URLMalformed}, {Resolve, NameUnknown}, {Resolve, NameServerTimeout}, {Resolve, NameServerFailed}, {Resolve, Other},
	{Connect, Dropped}, {Connect, Refused}, {Connect, Unreachable}, {Connect, Reset}, {Connect, Other},
	{TLS, Timeout}, {TLS, Reset}, {TLS, Closed}, {TLS, PlainHTTP}, {TLS, OldTLS},
	{TLS, ServerUntrusted}, {TLS, ServerWrongName}, {TLS, ServerNotRbdAPI}, {TLS, ServerExpired},
	{TLS, ClientRefused}, {TLS, ClientNotSent}, {TLS, ClientNotRequested}, {TLS, ClientUnreadable}, {TLS, Other},
	{Processing, Timeout}, {Processing, Reset}, {Processing, Closed}, {Processing, Status},
	{Processing, TokenRefused}, {Processing, NotReady}, {Processing, Other},
	{Transfer, Timeout}, {Transfer, Reset}, {Transfer, Closed}, {Transfer, WrongBody}, {Transfer, Other},
}
