package fault

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"slices"
)

// Why a certificate cannot be used, and the values of the label "reason" of
// rainbond_certificate_unreadable.
const (
	Missing      Reason = "missing"       // the file, Secret, ConfigMap or key does not exist
	Empty        Reason = "empty"         // it exists and holds nothing, as a NULL column
	LeadingSpace Reason = "leading_space" // lines begin with blanks, as pasted from an indented YAML
	NewlinesLost Reason = "newlines_lost" // all on one line
	NotPEM       Reason = "not_pem"       // no PEM at all
	WrongType    Reason = "wrong_type"    // PEM of something else, such as a private key
	Damaged      Reason = "damaged"       // a PEM block that no certificate can be read from
)

// Damages lists why a certificate cannot be used, in display order.
var Damages = []Reason{Missing, Empty, LeadingSpace, NewlinesLost, NotPEM, WrongType, Damaged}

// A Reading is what was made of a Copy.
type Reading struct {
	Place Place
	Kind  Kind
	Cert  *x509.Certificate // nil when Damage says why
	// Damage is why there is no certificate; Message explains it.
	Damage  Reason
	Message string
	// KeyMismatch is why the private key beside the certificate does not fit
	// it; "" when it fits or the place holds none.
	KeyMismatch string
}

// A Fingerprint identifies a certificate: the SHA-256 of its DER, in hex. In
// Rainbond nothing else does: every certificate of every generation has the
// same subject, issuer and serial number.
type Fingerprint string

// Fingerprint returns the certificate's identity; "" when there is none.
func (r Reading) Fingerprint() Fingerprint {
	if r.Cert == nil {
		return ""
	}
	sum := sha256.Sum256(r.Cert.Raw)
	return Fingerprint(hex.EncodeToString(sum[:]))
}

// Short is the beginning of a fingerprint, enough to tell two apart by eye.
func (f Fingerprint) Short() string { return string(f[:min(len(f), 12)]) }

// ReadCopy reads one copy of a certificate. Other clothes do not matter: CRLF,
// trailing blanks, text around the PEM, certificates after the first.
func ReadCopy(c Copy) Reading {
	r := Reading{Place: c.Place, Kind: c.Kind}
	r.Cert, r.Damage, r.Message = readPEM(c)
	if r.Cert != nil && c.Key != nil {
		if _, err := tls.X509KeyPair(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: r.Cert.Raw}), c.Key); err != nil {
			r.KeyMismatch = misfit(c.Key)
		}
	}
	return r
}

// ReadServed reads the leaf that a server presented.
func ReadServed(der []byte) Reading {
	r := Reading{Place: Served, Kind: Server}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		r.Damage, r.Message = Damaged, err.Error()
		return r
	}
	r.Cert = cert
	return r
}

// Certificates returns the DER of every certificate in a text of PEM blocks.
func Certificates(text []byte) (ders [][]byte) {
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type == "CERTIFICATE" {
			ders = append(ders, block.Bytes)
		}
	}
	return ders
}

func readPEM(c Copy) (*x509.Certificate, Reason, string) {
	if c.Err != nil {
		return nil, Missing, c.Err.Error()
	}
	other := ""
	for rest := c.PEM; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			other = block.Type
			continue
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, Damaged, err.Error()
		}
		return cert, "", ""
	}
	if other != "" {
		return nil, WrongType, fmt.Sprintf("holds a %s; expected a CERTIFICATE", other)
	}
	return nil, damageOf(c.PEM), "no CERTIFICATE block that can be decoded"
}

// damageOf says why no PEM block could be decoded.
func damageOf(text []byte) Reason {
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

// indented says whether what follows before begins after blanks on its line.
func indented(before []byte) bool {
	line := before[bytes.LastIndexByte(before, '\n')+1:]
	return len(line) > 0 && len(bytes.TrimSpace(line)) == 0
}

// misfit says why a key does not fit a certificate, in words of ours: those
// of the library could quote the key.
func misfit(key Secret) string {
	block, _ := pem.Decode(key)
	switch {
	case len(bytes.TrimSpace(key)) == 0:
		return "the key is empty"
	case block == nil:
		return fmt.Sprintf("the key cannot be read (%s)", damageOf(key))
	}
	return "the key belongs to another certificate"
}

// A Comparison says whether what one place holds belongs to what another
// holds.
type Comparison struct {
	Kind      Kind
	Place     Place // whose certificate is questioned
	Reference Place // against whose
	Differs   bool
	Text      string // the relation that does not hold, with both fingerprints
}

// Compare says who disagrees with whom. What cannot be read, or is not there,
// gives no comparison: damage and absence are told on their own.
//
// The first two comparisons say what is broken now; copied is the place whose
// CA, certificate and key the console uses.
func Compare(readings []Reading, copied Place) []Comparison {
	at := func(place Place, kind Kind) Reading {
		i := slices.IndexFunc(readings, func(r Reading) bool { return r.Place == place && r.Kind == kind && r.Cert != nil })
		if i < 0 {
			return Reading{}
		}
		return readings[i]
	}
	var all []Comparison
	compare := func(kind Kind, place, reference Place, a, b Reading, belongs func(a, b *x509.Certificate) bool) {
		if a.Cert != nil && b.Cert != nil {
			all = append(all, Comparison{kind, place, reference, !belongs(a.Cert, b.Cert), words(a, b)})
		}
	}
	served := at(Served, Server)
	compare(Server, Served, copied, served, at(copied, CA), signedBy)
	compare(Client, copied, Served, at(copied, Client), activeCA(readings, served), signedBy)
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
		compare(pair.kind, pair.place, pair.reference, at(pair.place, pair.kind), at(pair.reference, pair.kind), (*x509.Certificate).Equal)
	}
	return all
}

// activeCA is the CA by which rbd-api judges clients right now. It cannot be
// read off the wire, but it signed what is served; none when no place holds
// it any more.
func activeCA(readings []Reading, served Reading) Reading {
	if served.Cert == nil {
		return Reading{}
	}
	for _, r := range readings {
		if r.Kind == CA && r.Cert != nil && signedBy(served.Cert, r.Cert) {
			return r
		}
	}
	return Reading{}
}

func signedBy(cert, ca *x509.Certificate) bool { return cert.CheckSignatureFrom(ca) == nil }

func words(a, b Reading) string {
	return fmt.Sprintf("%s %s %s ≠ %s %s %s", a.Place, a.Kind, a.Fingerprint().Short(), b.Place, b.Kind, b.Fingerprint().Short())
}
