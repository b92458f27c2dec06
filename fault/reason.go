// Package fault knows what can go wrong between a Rainbond console and its
// region, and how each thing is recognised. It is pure: it takes values that
// somebody else fetched (an error, a log line, PEM bytes, labels, numbers) and
// returns what they mean. It does no I/O and imports only the standard library.
package fault

// A Phase is a stage of one request to the region API, in the order they run.
type Phase string

// The phases, and the values of the label "phase". A phase that did not run
// has no duration: it is absent, never zero.
const (
	Resolve    Phase = "resolve"    // the host name becomes addresses
	Connect    Phase = "connect"    // TCP
	TLS        Phase = "tls"        // handshake, including the server's verdict on our certificate
	Processing Phase = "processing" // from the request sent to the first byte of the answer
	Transfer   Phase = "transfer"   // from the first byte to the last
)

// Phases lists every phase in the order they run.
var Phases = []Phase{Resolve, Connect, TLS, Processing, Transfer}

// A Reason is a cause out of a closed list, fit for a label. What is not
// known is Other, and its text travels as evidence.
type Reason string

// Why a request to the region API failed.
const (
	NameUnknown        Reason = "name_unknown"       // the name has no address (NXDOMAIN)
	NameServerTimeout  Reason = "name_server_silent" // the name server did not answer
	NameServerFailed   Reason = "name_server_failed" // the name server answered SERVFAIL or the like
	Dropped            Reason = "dropped"            // packets vanish: a firewall or a dead host
	Refused            Reason = "refused"            // nobody listens on the port
	Unreachable        Reason = "unreachable"        // no route, or ICMP unreachable
	Reset              Reason = "reset"              // the connection was reset
	Closed             Reason = "closed"             // accepted, then closed without an answer: a gateway without a server behind it
	PlainHTTP          Reason = "plain_http"         // the port answers HTTP without TLS
	OldTLS             Reason = "old_tls"            // the server offers only TLS 1.1 or older
	ServerUntrusted    Reason = "server_untrusted"   // the server's certificate is not signed by our CA
	ServerWrongName    Reason = "server_wrong_name"  // signed by our CA, but for another name
	ServerExpired      Reason = "server_expired"     // signed by our CA, but not valid today
	ClientRefused      Reason = "client_refused"     // the server refused our client certificate
	ClientNotSent      Reason = "client_not_sent"    // the server wanted a client certificate and got none
	ClientNotRequested Reason = "client_not_asked"   // no client certificate was asked for: something else than rbd-api ends TLS
	ClientUnreadable   Reason = "client_unreadable"  // our own CA, certificate or key cannot be used, so nothing was sent
	Timeout            Reason = "timeout"            // no end within the console's own limit of 30 s
	Status             Reason = "status"             // an HTTP status other than 200
	TokenRefused       Reason = "token_refused"      // 401 or 403: the region wants another token
	WrongBody          Reason = "wrong_body"         // 200, but the page is not Rainbond's
	NotReady           Reason = "not_ready"          // /v2/cluster/ready says 503
	Other              Reason = "other"              // none of these; see the evidence
)

// A Failure says in which phase a request failed, and why.
type Failure struct {
	Phase  Phase
	Reason Reason
}

// Failures lists every pair of phase and reason that a probe can report, in
// display order. Each is exported from the start, as 0.
var Failures = []Failure{
	{Resolve, NameUnknown}, {Resolve, NameServerTimeout}, {Resolve, NameServerFailed}, {Resolve, Other},
	{Connect, Dropped}, {Connect, Refused}, {Connect, Unreachable}, {Connect, Reset}, {Connect, Other},
	{TLS, Timeout}, {TLS, Reset}, {TLS, Closed}, {TLS, PlainHTTP}, {TLS, OldTLS},
	{TLS, ServerUntrusted}, {TLS, ServerWrongName}, {TLS, ServerExpired},
	{TLS, ClientRefused}, {TLS, ClientNotSent}, {TLS, ClientNotRequested}, {TLS, ClientUnreadable}, {TLS, Other},
	{Processing, Timeout}, {Processing, Reset}, {Processing, Closed}, {Processing, Status},
	{Processing, TokenRefused}, {Processing, NotReady}, {Processing, Other},
	{Transfer, Timeout}, {Transfer, Reset}, {Transfer, Closed}, {Transfer, WrongBody}, {Transfer, Other},
}
