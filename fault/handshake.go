package fault

import (
	"bytes"
	"slices"
)

// A Class groups failed TLS handshakes at rbd-api by who must act, and is the
// value of the label "class".
type Class string

// The classes.
const (
	Trust             Class = "trust"              // the client distrusts the region's certificate
	ClientCertificate Class = "client_certificate" // the region refuses the client's certificate
	Protocol          Class = "protocol"           // client and region have no TLS version in common
	UnknownHandshake  Class = "unknown"            // a message that is not listed; nothing is claimed about it
	Benign            Class = "benign"             // port scans, load balancer checks, connections that were lost
)

// Classes lists every class, in display order.
var Classes = []Class{Trust, ClientCertificate, Protocol, UnknownHandshake, Benign}

// A Handshake is a failed TLS handshake in the log of rbd-api.
type Handshake struct {
	Peer   string // ip:port; behind a gateway the gateway's
	Class  Class
	Reason Reason
	Text   string // the message of the server
}

// A HandshakePattern matches messages of a server written in Go about a failed
// handshake.
type HandshakePattern struct {
	Text     string // the prefix of the message, or a substring with Anywhere
	Anywhere bool
	Class    Class
	Reason   Reason
}

// HandshakePatterns lists the messages of crypto/tls and net/http from Go 1.13
// to the current version. The first pattern that matches decides; the last one
// matches every message. docs/handshakes.md lists the messages that real clients
// cause; the other messages come from the sources of Go.
//
// "remote error" is an alert that the client sent about the region's
// certificate. OpenSSL sends it unencrypted in TLS 1.3, so that the server cannot
// decrypt it and logs "bad record MAC" (golang/go#76767).
//
// A refused client certificate is logged as "failed to verify client's
// certificate" up to Go 1.16, as "failed to verify client certificate" up to Go
// 1.19, and as "failed to verify certificate" since Go 1.20.
var HandshakePatterns = slices.Concat(
	[]HandshakePattern{
		{"remote error: tls: unknown certificate authority", false, Trust, "unknown_ca"},
		{"remote error: tls: bad certificate", false, Trust, "bad_certificate"},
		{"remote error: tls: error decrypting message", false, Trust, "decrypt_error"},
		{"local error: tls: bad record MAC", false, Trust, "bad_record_mac"},
		{"remote error: tls: expired certificate", false, Trust, "expired_certificate"},
		{"remote error: tls: unknown certificate", false, Trust, "unknown_certificate"},
		{"remote error: tls: unsupported certificate", false, Trust, "unsupported_certificate"},
	},
	refused("tls: failed to verify certificate"),
	refused("tls: failed to verify client certificate"),
	refused("tls: failed to verify client's certificate"),
	[]HandshakePattern{
		{"tls: failed to parse client certificate", false, ClientCertificate, "client_refused"},
		{"tls: client certificate used with invalid signature algorithm", false, ClientCertificate, "client_refused"},
		{"tls: client certificate contains an unsupported public key", false, ClientCertificate, "client_refused"},
		{"tls: invalid signature by the client certificate", false, ClientCertificate, "client_key_mismatch"},
		{"remote error: tls: protocol version not supported", false, Protocol, OldTLS},
		{"tls: client didn't provide a certificate", false, Benign, ClientNotSent},
		// Port scans.
		{"tls: client offered only unsupported versions", false, Benign, OldTLS},
		{"tls: no cipher suite supported by both", false, Benign, "no_cipher"},
		{"tls: client requested unsupported application protocol", false, Benign, "no_application_protocol"},
		{"client sent an HTTP request to an HTTPS server", false, Benign, PlainHTTP},
		{"tls: first record does not look like a TLS handshake", false, Benign, "not_tls"},
		{"tls: unsupported SSLv2 handshake received", false, Benign, "not_tls"},
		{"tls: oversized record received", false, Benign, "not_tls"},
		// Connections that were lost, and load balancer checks.
		{"EOF", false, Benign, Closed},
		{"unexpected EOF", true, Benign, Closed},
		{"connection reset by peer", true, Benign, Reset},
		{"broken pipe", true, Benign, Reset},
		{"i/o timeout", true, Benign, Timeout},
		{"connection timed out", true, Benign, Timeout},
		{"context deadline exceeded", true, Benign, Timeout},
		{"no route to host", true, Benign, Unreachable},
		{"network is unreachable", true, Benign, Unreachable},
		{"context canceled", true, Benign, Closed},
		{"use of closed network connection", true, Benign, Closed},
		{"remote error: tls: user canceled", false, Benign, Closed},
		{"", false, UnknownHandshake, Other},
	},
)

// refused returns the patterns of a refused client certificate for one form of
// the message.
func refused(message string) []HandshakePattern {
	return []HandshakePattern{
		{message + ": x509: certificate signed by unknown authority", false, ClientCertificate, "client_unknown_ca"},
		{message + ": x509: certificate has expired", false, ClientCertificate, "client_expired"},
		{message, false, ClientCertificate, "client_refused"},
	}
}

// handshakeMark is the text of net/http before the peer's address. rbd-api uses
// the standard logger, which writes the time before it.
var handshakeMark = []byte("http: TLS handshake error from ")

// stdTime is the length of the time that the standard logger writes before a
// line: "2006/01/02 15:04:05 ".
const stdTime = 20

// maxHandshakeText bounds the message that is kept as evidence, in bytes.
const maxHandshakeText = 400

// FromLogLine parses a line of rbd-api's log about a failed TLS handshake. It is
// false for every other line, and then allocates nothing. The mark must be where
// the standard logger writes it, so that a line which quotes it does not match.
func FromLogLine(line []byte) (Handshake, bool) {
	rest, ok := bytes.CutPrefix(line, handshakeMark)
	if !ok {
		if len(line) < stdTime || line[stdTime-1] != ' ' {
			return Handshake{}, false
		}
		if rest, ok = bytes.CutPrefix(line[stdTime:], handshakeMark); !ok {
			return Handshake{}, false
		}
	}
	peer, text, ok := bytes.Cut(rest, []byte(": "))
	if !ok {
		return Handshake{}, false
	}
	text = bytes.TrimSpace(text[:min(len(text), maxHandshakeText)])
	for _, s := range HandshakePatterns {
		if s.matches(text) {
			return Handshake{Peer: string(peer[:min(len(peer), 64)]), Class: s.Class, Reason: s.Reason, Text: string(bytes.ToValidUTF8(text, []byte("\uFFFD")))}, true
		}
	}
	panic("fault: HandshakePatterns ends without a spelling that fits every text")
}

func (s HandshakePattern) matches(text []byte) bool {
	if s.Anywhere {
		return bytes.Contains(text, []byte(s.Text))
	}
	return bytes.HasPrefix(text, []byte(s.Text))
}
