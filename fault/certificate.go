package fault

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/asn1"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"regexp"
	"slices"
)

// Why a certificate cannot be used, and the values of the label "reason" of
// rainbond_certificate_unreadable.
const (
	Missing        Reason = "missing"         // the file, Secret, ConfigMap or key does not exist
	Empty          Reason = "empty"           // it exists without content, such as a NULL column
	LeadingSpace   Reason = "leading_space"   // lines start with blanks, as if pasted from an indented YAML
	NewlinesLost   Reason = "newlines_lost"   // all on one line
	CarriageReturn Reason = "carriage_return" // the console's column contains \r, and the console then sends no certificate
	NotPEM         Reason = "not_pem"         // no PEM block
	WrongType      Reason = "wrong_type"      // PEM of another type, such as a private key
	Damaged        Reason = "damaged"         // a PEM block without a valid certificate
	KeyEncrypted   Reason = "key_encrypted"   // the private key requires a password, which the console does not have
)

// Damages lists why a certificate cannot be used, in display order.
var Damages = []Reason{Missing, Empty, LeadingSpace, NewlinesLost, CarriageReturn, NotPEM, WrongType, Damaged, KeyEncrypted}

// A Reading is the result of parsing a Copy.
type Reading struct {
	Place Place
	Kind  Kind
	// Cert is the certificate, or that of a CA bundle which SelectCA chose;
	// nil with Damage.
	Cert *x509.Certificate
	// Chain holds all certificates: a CA bundle, or a certificate and its
	// intermediates.
	Chain []*x509.Certificate
	// Damage is why there is no certificate; Message explains it.
	Damage  Reason
	Message string
	// KeyMismatch is why the private key does not belong to the certificate;
	// "" when it does or the place has no keys.
	KeyMismatch string
}

// A Fingerprint identifies a certificate: the SHA-256 of its DER, in hex. In
// Rainbond, every certificate of every rotation has the same subject, issuer
// and serial number.
type Fingerprint string

// Fingerprint returns the fingerprint of Cert; "" when there is none.
func (r Reading) Fingerprint() Fingerprint {
	if r.Cert == nil {
		return ""
	}
	return fingerprintOf(r.Cert)
}

func fingerprintOf(cert *x509.Certificate) Fingerprint {
	sum := sha256.Sum256(cert.Raw)
	return Fingerprint(hex.EncodeToString(sum[:]))
}

// Short returns the first characters of a fingerprint, enough to compare two by
// eye.
func (f Fingerprint) Short() string { return string(f[:min(len(f), 12)]) }

// ReadCopy parses one copy of a certificate as OpenSSL and the console do. It
// accepts trailing blanks, blank lines, text around the PEM blocks, a byte order
// mark, the old types of a certificate block, and further certificates. It also
// accepts CRLF, except in a column of the console.
func ReadCopy(c Copy) Reading {
	r := Reading{Place: c.Place, Kind: c.Kind}
	if c.Column && (bytes.IndexByte(c.PEM, '\r') >= 0 || bytes.IndexByte(c.Key, '\r') >= 0) {
		r.Damage, r.Message = CarriageReturn, "the column contains carriage returns (CRLF); the console then sends no certificate"
		return r
	}
	r.Chain, r.Damage, r.Message = readPEM(c)
	if r.Damage == "" && encrypted(c.Key) {
		r.Chain, r.Damage, r.Message = nil, KeyEncrypted, "the private key is encrypted; the console needs it without a password"
	}
	if r.Damage != "" {
		return r
	}
	r.Cert = r.Chain[0]
	if c.Key != nil {
		if _, err := KeyPair(c.PEM, c.Key); err != nil {
			r.KeyMismatch = keyMismatch(c.Key)
		}
	}
	return r
}

// ReadServed parses the certificates that a server presented, leaf first.
func ReadServed(ders ...[]byte) Reading {
	r := Reading{Place: Served, Kind: Server}
	for _, der := range ders {
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			return Reading{Place: Served, Kind: Server, Damage: Damaged, Message: err.Error()}
		}
		r.Chain = append(r.Chain, cert)
	}
	if len(r.Chain) == 0 {
		r.Damage, r.Message = Missing, "the server presented no certificate"
		return r
	}
	r.Cert = r.Chain[0]
	return r
}

// certificateTypes are the types of a PEM block with a certificate (OpenSSL,
// include/openssl/pem.h). The content of a trusted certificate ends with
// additional data.
var certificateTypes = []string{"CERTIFICATE", "X509 CERTIFICATE", "TRUSTED CERTIFICATE"}

// Certificates returns the DER of every certificate in a text of PEM blocks.
func Certificates(text []byte) [][]byte {
	ders, _ := decode(text)
	return ders
}

// decode returns the DER of every certificate, and the type of the last block
// with something else.
func decode(text []byte) (ders [][]byte, other string) {
	text = withoutBOM(text)
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		switch {
		case !slices.Contains(certificateTypes, block.Type):
			other = block.Type
		case block.Type == "TRUSTED CERTIFICATE":
			var certificate asn1.RawValue
			if _, err := asn1.Unmarshal(block.Bytes, &certificate); err == nil {
				block.Bytes = certificate.FullBytes
			}
			ders = append(ders, block.Bytes)
		default:
			ders = append(ders, block.Bytes)
		}
	}
	return ders, other
}

func withoutBOM(text []byte) []byte { return bytes.TrimPrefix(text, []byte("\uFEFF")) }

// KeyPair returns the certificates of a text with their private key, ready for a
// handshake. The error contains no part of the key.
func KeyPair(cert, key []byte) (tls.Certificate, error) {
	var chain bytes.Buffer
	for _, der := range Certificates(cert) {
		_ = pem.Encode(&chain, &pem.Block{Type: "CERTIFICATE", Bytes: der}) // a Buffer does not fail
	}
	pair, err := tls.X509KeyPair(chain.Bytes(), withoutBOM(key))
	if err != nil {
		return tls.Certificate{}, errors.New("the certificate and the private key cannot be used together")
	}
	return pair, nil
}

// beginCertificate matches the first line of each block with a certificate.
var beginCertificate = regexp.MustCompile(`(?m)^-----BEGIN (?:X509 |TRUSTED )?CERTIFICATE-----`)

func readPEM(c Copy) ([]*x509.Certificate, Reason, string) {
	if c.Err != nil {
		return nil, Missing, c.Err.Error()
	}
	ders, other := decode(c.PEM)
	begun := len(beginCertificate.FindAllIndex(withoutBOM(c.PEM), -1))
	switch {
	case len(ders) == 0 && begun == 0 && other != "":
		return nil, WrongType, fmt.Sprintf("contains a %s; expected a CERTIFICATE", other)
	case len(ders) == 0:
		return nil, damageOf(c.PEM), "contains no CERTIFICATE block that can be decoded"
	case len(ders) < begun:
		return nil, Damaged, fmt.Sprintf("%d of %d CERTIFICATE blocks cannot be decoded", begun-len(ders), begun)
	}
	var certs []*x509.Certificate
	for _, der := range ders {
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, Damaged, err.Error()
		}
		certs = append(certs, cert)
	}
	return certs, "", ""
}

// damageOf returns why no PEM block can be decoded.
func damageOf(text []byte) Reason {
	text = withoutBOM(text)
	begin := bytes.Index(text, []byte("-----BEGIN "))
	switch {
	case len(bytes.TrimSpace(text)) == 0:
		return Empty
	case begin < 0:
		return NotPEM
	case indented(text[:begin]):
		return LeadingSpace
	case !bytes.Contains(bytes.TrimSpace(text[begin:]), []byte("\n")):
		return NewlinesLost
	}
	return Damaged
}

// indented reports whether the text ends with a line of blanks only.
func indented(before []byte) bool {
	line := before[bytes.LastIndexByte(before, '\n')+1:]
	return len(line) > 0 && len(bytes.TrimSpace(line)) == 0
}

// encrypted reports whether a private key requires a password (RFC 1421,
// section 4.6.1.3, and PKCS #8).
func encrypted(key Secret) bool {
	for block, rest := pem.Decode(withoutBOM(key)); block != nil; block, rest = pem.Decode(rest) {
		if _, ok := block.Headers["DEK-Info"]; ok || block.Type == "ENCRYPTED PRIVATE KEY" {
			return true
		}
	}
	return false
}

// Why a private key does not belong to its certificate.
const (
	KeyEmpty              = "the key is empty"
	KeyOfOtherCertificate = "the key belongs to another certificate"
)

// keyMismatch returns why a key does not belong to a certificate. It does not
// use the library's error, which could quote the key.
func keyMismatch(key Secret) string {
	block, _ := pem.Decode(withoutBOM(key))
	switch {
	case len(bytes.TrimSpace(key)) == 0:
		return KeyEmpty
	case block == nil:
		return fmt.Sprintf("the key cannot be read (%s)", damageOf(key))
	}
	return KeyOfOtherCertificate
}

// A Relation is the expected relation between two certificates.
type Relation int

// The relations. A certificate that is signed by a CA never equals it: only
// EqualTo can be shown as a pair of different fingerprints.
const (
	EqualTo Relation = iota
	SignedBy
)

// A Comparison is the result of comparing the certificates of two places.
type Comparison struct {
	Kind      Kind
	Place     Place // the place of the certificate
	Reference Place // the place with which it is compared
	Relation  Relation
	Differs   bool // the relation does not hold
	// The fingerprints of the two certificates. With SignedBy, the second is
	// the fingerprint of the CA.
	Fingerprint, ReferenceFingerprint Fingerprint
}

// SelectCA sets, in each CA bundle, Cert to the certificate that signed what
// rbd-api serves. Without one, Cert is the certificate that another place has as
// well, or the first of the bundle.
func SelectCA(readings []Reading) {
	served := find(readings, Served, Server)
	for i := range readings {
		r := &readings[i]
		if r.Kind != CA || len(r.Chain) < 2 {
			continue
		}
		if ca := signer(served.Chain, r.Chain); ca != nil {
			r.Cert = ca
			continue
		}
		for _, other := range readings {
			if other.Kind == CA && other.Place != r.Place && other.Cert != nil && slices.ContainsFunc(r.Chain, other.Cert.Equal) {
				r.Cert = other.Cert
				break
			}
		}
	}
}

// Compare compares the certificates of all places. A certificate that is missing
// or unreadable has no comparison. A CA bundle agrees if any of its certificates
// does.
//
// The first two comparisons show what is broken now; copied is the place whose
// CA, certificate and key the console uses.
func Compare(readings []Reading, copied Place) []Comparison {
	var all []Comparison
	compare := func(c Comparison, a, b Reading) {
		if a.Cert == nil || b.Cert == nil {
			return
		}
		agrees := equal
		if c.Relation == SignedBy {
			agrees = signed
		}
		c.Differs, c.Fingerprint, c.ReferenceFingerprint = !agrees(a, b), a.Fingerprint(), b.Fingerprint()
		all = append(all, c)
	}
	served := find(readings, Served, Server)
	compare(Comparison{Kind: Server, Place: Served, Reference: copied, Relation: SignedBy}, served, find(readings, copied, CA))
	compare(Comparison{Kind: Client, Place: copied, Reference: Served, Relation: SignedBy}, find(readings, copied, Client), activeCA(readings, served))
	for _, pair := range []struct {
		kind             Kind
		place, reference Place
	}{
		{Server, Served, ServerSecret},
		{CA, ClientSecret, ServerSecret},
		{CA, RegionConfig, ClientSecret},
		{Client, RegionConfig, ClientSecret},
		{CA, Console, RegionConfig},
		{Client, Console, RegionConfig},
	} {
		c := Comparison{Kind: pair.kind, Place: pair.place, Reference: pair.reference}
		compare(c, find(readings, pair.place, pair.kind), find(readings, pair.reference, pair.kind))
	}
	return all
}

// find returns the reading of a kind in a place; the zero Reading without one.
func find(readings []Reading, place Place, kind Kind) Reading {
	i := slices.IndexFunc(readings, func(r Reading) bool { return r.Place == place && r.Kind == kind && r.Cert != nil })
	if i < 0 {
		return Reading{}
	}
	return readings[i]
}

// activeCA returns the CA with which rbd-api verifies clients. A handshake does
// not show it, but it signed the served certificate. The zero Reading means that
// no place has it.
func activeCA(readings []Reading, served Reading) Reading {
	for _, r := range readings {
		if r.Kind != CA || r.Cert == nil {
			continue
		}
		if ca := signer(served.Chain, r.Chain); ca != nil {
			r.Cert, r.Chain = ca, []*x509.Certificate{ca}
			return r
		}
	}
	return Reading{}
}

// equal reports whether two readings have the same certificate. For CA bundles,
// one common certificate is enough.
func equal(a, b Reading) bool {
	if a.Kind != CA {
		return a.Cert.Equal(b.Cert)
	}
	return slices.ContainsFunc(a.Chain, func(cert *x509.Certificate) bool { return slices.ContainsFunc(b.Chain, cert.Equal) })
}

// signed reports whether a is signed by a certificate of b.
func signed(a, b Reading) bool { return signer(a.Chain, b.Chain) != nil }

// signer returns the authority that signed the first certificate of the chain,
// directly or through intermediates of the chain or the authorities; nil if none
// did.
func signer(chain, authorities []*x509.Certificate) *x509.Certificate {
	const maxDepth = 5
	for depth, cert := 0, first(chain); cert != nil && depth < maxDepth; depth++ {
		signedBy := func(ca *x509.Certificate) bool { return cert.CheckSignatureFrom(ca) == nil }
		if i := slices.IndexFunc(authorities, func(ca *x509.Certificate) bool { return ca.Equal(cert) || signedBy(ca) }); i >= 0 {
			return authorities[i]
		}
		i := slices.IndexFunc(chain, func(ca *x509.Certificate) bool { return !ca.Equal(cert) && signedBy(ca) })
		if i < 0 {
			return nil
		}
		cert = chain[i]
	}
	return nil
}

func first(chain []*x509.Certificate) *x509.Certificate {
	if len(chain) == 0 {
		return nil
	}
	return chain[0]
}
