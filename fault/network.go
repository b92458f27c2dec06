package fault

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
)

// An UnusableError is why no request can be made with the console's copy: one
// of its parts cannot be used.
type UnusableError struct {
	Part string // "CA", "client certificate" or "client key"
	Err  error
}

// Error returns the part and its fault.
func (e *UnusableError) Error() string { return e.Part + ": " + e.Err.Error() }

// Unwrap returns the fault of the part.
func (e *UnusableError) Unwrap() error { return e.Err }

// FromTrace returns the phase and the reason of a failed request to a region
// API; false when the request succeeded. A trace with Unknown has no verdict:
// callers check Unknown first, and FromTrace returns Other.
func FromTrace(t Trace) (f Failure, failed bool) {
	switch {
	case t.Unknown != nil:
		return listed(Failure{t.Unknown.Phase, Other}), true
	case t.WrongPeer():
		// The server is not rbd-api, whatever it does next.
		if t.CertificateNotRequested {
			return Failure{TLS, ClientNotRequested}, true
		}
		return Failure{TLS, ServerNotRbdAPI}, true
	case t.Err != nil && (t.Distrust == nil || fromAlert(t.Err) != ""):
		return listed(fromError(t.Phase, t.Err)), true
	case t.CertificateNotRequested:
		return Failure{TLS, ClientNotRequested}, true
	case t.Distrust != nil && !t.staleCA():
		return Failure{TLS, fromVerification(t.Distrust)}, true
	case t.TokenWithheld && (t.Status == 401 || t.Status == 403):
		return Failure{}, false // the region responds; whether it accepts the token is not known
	case t.Status == 401 || t.Status == 403:
		return Failure{Processing, TokenRefused}, true
	case t.Status != 200:
		return Failure{Processing, Status}, true
	case !plausibleVersion(t.Body):
		return Failure{Transfer, WrongBody}, true
	case t.Ready != nil && !t.Ready[AllChecks]:
		return Failure{Processing, NotReady}, true
	}
	return Failure{}, false
}

// WrongPeer reports whether the server is not rbd-api: its certificate is
// neither signed by the region's CA nor issued for rbd-api, or it is not signed
// and the server requests no client certificate. A kube-apiserver behind a load
// balancer and a proxy that terminates TLS are examples. Nothing may be
// concluded from the certificate of such a server.
func (t Trace) WrongPeer() bool {
	return t.Distrust != nil && (t.NotForRbdAPI || t.CertificateNotRequested)
}

// staleCA reports whether the region's CA is the only thing that does not fit,
// which disturbs no console that does not verify. Consoles do not verify from
// v6.6 on (REGION_SSL_VERIFY is false by default); the region's version stands
// for the console's.
func (t Trace) staleCA() bool {
	return fromVerification(t.Distrust) == ServerUntrusted && t.Err == nil && t.Status != 0 && !before(string(t.Body), 6, 6)
}

// before reports whether a version such as "v6.5.0-release" is older than
// major.minor. It is false for a text that is not a version.
func before(version string, major, minor int) bool {
	var gotMajor, gotMinor int
	if n, _ := fmt.Sscanf(strings.TrimPrefix(strings.TrimSpace(version), "v"), "%d.%d", &gotMajor, &gotMinor); n < 2 {
		return false
	}
	return gotMajor < major || gotMajor == major && gotMinor < minor
}

// AnswersDirectly reports whether rbd-api responds to a request that bypassed
// the gateway. It also responds when it refuses the certificates. Known is false
// when the probe has no result or the name of the Service cannot be resolved.
func AnswersDirectly(t Trace) (answers, known bool) {
	if t.Unknown != nil {
		return false, false
	}
	f, failed := FromTrace(t)
	return !failed || f.Phase == TLS && len(t.Served) > 0, !failed || f.Phase != Resolve
}

// listed returns f if it is in Failures, otherwise Other in the same phase.
func listed(f Failure) Failure {
	if slices.Contains(Failures, f) {
		return f
	}
	return Failure{f.Phase, Other}
}

func fromError(phase Phase, err error) Failure {
	if reason := fromAlert(err); reason != "" {
		// In TLS 1.3 the server's decision about our certificate arrives with
		// the first read after the handshake (RFC 8446, section 4.4.2.4).
		return Failure{TLS, reason}
	}
	switch phase {
	case Resolve:
		return Failure{phase, fromLookup(err)}
	case Connect:
		if IsTimeout(err) {
			return Failure{phase, Dropped}
		}
	case TLS:
		if reason := fromHandshake(err); reason != "" {
			return Failure{phase, reason}
		}
	}
	return Failure{phase, fromSocket(err)}
}

func fromLookup(err error) Reason {
	var dns *net.DNSError
	switch {
	case IsTimeout(err):
		return NameServerTimeout
	case errors.Is(err, ErrMalformedURL):
		return URLMalformed
	case !errors.As(err, &dns):
		return Other
	case dns.IsNotFound:
		return NameUnknown
	}
	return NameServerFailed
}

func fromSocket(err error) Reason {
	switch {
	case IsTimeout(err):
		return Timeout
	case isAny(err, refusedErrors):
		return Refused
	case isAny(err, unreachableErrors):
		return Unreachable
	case isAny(err, resetErrors):
		return Reset
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return Closed
	}
	return Other
}

func fromHandshake(err error) Reason {
	var unusable *UnusableError
	var record tls.RecordHeaderError
	switch {
	case errors.As(err, &unusable):
		return ClientUnreadable
	case errors.As(err, &record):
		if bytes.HasPrefix(record.RecordHeader[:], []byte("HTTP/")) {
			return PlainHTTP
		}
	case strings.Contains(err.Error(), "server selected unsupported protocol version"):
		return OldTLS // crypto/tls has no type for it
	}
	return ""
}

// fromVerification returns why a served certificate is not valid.
func fromVerification(err error) Reason {
	var name x509.HostnameError
	var invalid x509.CertificateInvalidError
	switch {
	case errors.As(err, &name):
		return ServerWrongName
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return ServerExpired
	}
	return ServerUntrusted
}

// fromAlert returns the reason of the TLS alert with which the server closed the
// connection; "" when err is not an alert. crypto/tls does not export the type
// of the alert, so its text is compared (crypto/tls/alert.go).
func fromAlert(err error) Reason {
	var op *net.OpError
	if !errors.As(err, &op) || op.Op != "remote error" {
		return ""
	}
	switch alert := strings.TrimPrefix(op.Err.Error(), "tls: "); alert {
	case "certificate required":
		return ClientNotSent
	case "protocol version not supported":
		return OldTLS
	case "bad certificate", "unsupported certificate", "revoked certificate", "expired certificate",
		"unknown certificate", "unknown certificate authority", "access denied", "error decrypting message":
		return ClientRefused
	}
	return Other
}

// plausibleVersion reports whether a body can be the response of /v2/show: a
// version as plain text, or nothing in builds without a version.
func plausibleVersion(body []byte) bool {
	const longest = 200 // versions have under 60 characters: v6.9.8-release-2026-08-21-...
	body = bytes.TrimSpace(body)
	return len(body) <= longest && !bytes.ContainsAny(body, "<>{}\n\x00")
}

// Expired reports whether err is that of a certificate which is not valid at the
// time of its verification.
func Expired(err error) bool { return err != nil && fromVerification(err) == ServerExpired }
