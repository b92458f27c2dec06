package fault

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
)

// An UnusableError says which part of the console's own copy cannot be used,
// so that no request could be made with it.
type UnusableError struct {
	Part string // "CA", "client certificate" or "client key"
	Err  error
}

// Error names the part and what is wrong with it.
func (e *UnusableError) Error() string { return e.Part + ": " + e.Err.Error() }

// Unwrap returns what is wrong with the part.
func (e *UnusableError) Unwrap() error { return e.Err }

// FromTrace says in which phase a request to a region API failed, and why;
// false when it went well.
func FromTrace(t Trace) (f Failure, failed bool) {
	switch {
	case t.Err != nil && (t.Distrust == nil || fromAlert(t.Err) != ""):
		return known(fromError(t.Phase, t.Err)), true
	case t.CertificateNotRequested:
		return Failure{TLS, ClientNotRequested}, true
	case t.Distrust != nil:
		// Whoever answers, or broke off, is nobody whom the console's CA vouches for.
		return Failure{TLS, fromVerdict(t.Distrust)}, true
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

// AnswersDirectly says whether rbd-api itself is there, from a request that went
// past the gateway. Whether it accepts the certificates does not matter: to
// refuse them it must be there. Known is false when the Service's name means
// nothing where we ask.
func AnswersDirectly(t Trace) (answers, known bool) {
	f, failed := FromTrace(t)
	return !failed || f.Phase == TLS && len(t.Served) > 0, !failed || f.Phase != Resolve
}

// known maps a pair that no series stands for to the phase's Other.
func known(f Failure) Failure {
	for _, listed := range Failures {
		if f == listed {
			return f
		}
	}
	return Failure{f.Phase, Other}
}

func fromError(phase Phase, err error) Failure {
	if reason := fromAlert(err); reason != "" {
		// Under TLS 1.3 the server's verdict on our certificate arrives only
		// with the first read after the handshake (RFC 8446, section 4.4.2.4).
		return Failure{TLS, reason}
	}
	switch phase {
	case Resolve:
		return Failure{phase, fromLookup(err)}
	case Connect:
		if isTimeout(err) {
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
	case isTimeout(err):
		return NameServerTimeout
	case !errors.As(err, &dns):
		return Other
	case dns.IsNotFound:
		return NameUnknown
	}
	return NameServerFailed
}

func fromSocket(err error) Reason {
	switch {
	case isTimeout(err):
		return Timeout
	case errors.Is(err, syscall.ECONNREFUSED):
		return Refused
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.EACCES):
		return Unreachable
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return Reset
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return Closed
	}
	return Other
}

// isTimeout also holds for the end of the look: it came while we waited.
func isTimeout(err error) bool {
	var n net.Error
	return errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded) ||
		errors.Is(err, syscall.ETIMEDOUT) || errors.As(err, &n) && n.Timeout()
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

// fromVerdict says why a served certificate was not accepted.
func fromVerdict(err error) Reason {
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

// fromAlert recognises the alert with which the server ended the connection;
// "" when err is none. crypto/tls keeps the alert's type to itself, so its
// words (crypto/tls/alert.go) are all there is.
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

// plausibleVersion says whether a body can be the answer of /v2/show: a
// version as plain text, or nothing at all in builds without one.
func plausibleVersion(body []byte) bool {
	const longest = 200 // versions have under 60 characters: v6.9.8-release-2026-08-21-...
	body = bytes.TrimSpace(body)
	return len(body) <= longest && !bytes.ContainsAny(body, "<>{}\n\x00")
}
