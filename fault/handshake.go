package fault

import "bytes"

// A Class groups what ends a TLS handshake at rbd-api's door by who must act,
// and is the value of the label "class".
type Class string

// The classes.
const (
	Trust             Class = "trust"              // the client distrusts the region's certificate
	ClientCertificate Class = "client_certificate" // the region distrusts the client's certificate
	Protocol          Class = "protocol"           // the two have no version or cipher in common, or something we do not know
	Benign            Class = "benign"             // port scans, load balancer checks, clients that gave up
)

// Classes lists every class, in display order.
var Classes = []Class{Trust, ClientCertificate, Protocol, Benign}

// A Handshake is a TLS handshake that failed at rbd-api's door.
type Handshake struct {
	Peer   string // ip:port; behind a gateway the gateway's
	Class  Class
	Reason Reason
	Text   string // the server's own words
}

// A HandshakePattern is one way in which a server written in Go tells of a failed
// handshake.
type HandshakePattern struct {
	Text     string // the prefix of the message, or a substring with Anywhere
	Anywhere bool
	Class    Class
	Reason   Reason
}

// HandshakePatterns is the vocabulary of crypto/tls and net/http at rbd-api's door.
// What real clients (Go, curl, openssl, Python; TLS 1.2 and 1.3) make it say
// is in docs/handshakes.md; the rest is read in their sources. The first that
// fits counts.
//
// "remote error" is an alert that the client sent about the region's
// certificate. OpenSSL under TLS 1.3 sends it unencrypted, so that the server
// cannot read it and says "bad record MAC" (golang/go#76767).
var HandshakePatterns = []HandshakePattern{
	{"remote error: tls: unknown certificate authority", false, Trust, "unknown_ca"},
	{"remote error: tls: bad certificate", false, Trust, "bad_certificate"},
	{"remote error: tls: error decrypting message", false, Trust, "decrypt_error"},
	{"local error: tls: bad record MAC", false, Trust, "bad_record_mac"},
	{"remote error: tls: expired certificate", false, Trust, "expired_certificate"},
	{"remote error: tls: unknown certificate", false, Trust, "unknown_certificate"},
	{"remote error: tls: unsupported certificate", false, Trust, "unsupported_certificate"},
	{"tls: failed to verify certificate: x509: certificate signed by unknown authority", false, ClientCertificate, "client_unknown_ca"},
	{"tls: failed to verify certificate: x509: certificate has expired", false, ClientCertificate, "client_expired"},
	{"tls: failed to verify certificate", false, ClientCertificate, "client_refused"},
	{"tls: invalid signature by the client certificate", false, ClientCertificate, "client_key_mismatch"},
	{"tls: client offered only unsupported versions", false, Protocol, OldTLS},
	{"remote error: tls: protocol version not supported", false, Protocol, OldTLS},
	{"tls: no cipher suite supported by both", false, Protocol, "no_cipher"},
	{"tls: client requested unsupported application protocols", false, Protocol, "no_application_protocol"},
	{"tls: client didn't provide a certificate", false, Benign, ClientNotSent},
	{"EOF", false, Benign, Closed},
	{"client sent an HTTP request to an HTTPS server", false, Benign, PlainHTTP},
	{"tls: first record does not look like a TLS handshake", false, Benign, "not_tls"},
	{"tls: unsupported SSLv2 handshake received", false, Benign, "not_tls"},
	{"connection reset by peer", true, Benign, Reset},
	{"broken pipe", true, Benign, Reset},
	{"i/o timeout", true, Benign, Timeout},
	{"use of closed network connection", true, Benign, Closed},
	{"remote error: tls: user canceled", false, Benign, Closed},
	{"", false, Protocol, Other},
}

// handshakeMark is what net/http writes before the peer's address. rbd-api
// sets no logger of its own, so the standard one puts the time before it.
var handshakeMark = []byte("http: TLS handshake error from ")

// stdTime is the length of the time that the standard logger puts before a
// line: "2006/01/02 15:04:05 ".
const stdTime = 20

// maxHandshakeText bounds what is kept of a line: evidence for people.
const maxHandshakeText = 400

// FromLogLine recognises a failed TLS handshake in a line of rbd-api's log.
// It is false for every other line, and then allocates nothing. The mark
// counts only where the standard logger puts it, so that a line which quotes
// one is not taken for one.
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
		if s.fits(text) {
			return Handshake{Peer: string(peer[:min(len(peer), 64)]), Class: s.Class, Reason: s.Reason, Text: string(bytes.ToValidUTF8(text, []byte("\uFFFD")))}, true
		}
	}
	panic("fault: HandshakePatterns ends without a spelling that fits every text")
}

func (s HandshakePattern) fits(text []byte) bool {
	if s.Anywhere {
		return bytes.Contains(text, []byte(s.Text))
	}
	return bytes.HasPrefix(text, []byte(s.Text))
}
