package fault_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	. "github.com/rainbond-exporter/rainbond-exporter/fault"

	"github.com/rainbond-exporter/rainbond-exporter/demo/pki"
)

// generations are an old and a new set of the operator's certificates.
var generations = sync.OnceValues(func() ([2]pki.Generation, error) {
	old, err1 := pki.New(2048)
	now, err2 := pki.New(2048)
	return [2]pki.Generation{old, now}, errors.Join(err1, err2)
})

func twoGenerations(t testing.TB) (before, now pki.Generation) {
	t.Helper()
	both, err := generations()
	if err != nil {
		t.Fatal(err)
	}
	return both[0], both[1]
}

func TestReadCopyIgnoresFormatting(t *testing.T) {
	_, g := twoGenerations(t)
	want := ReadCopy(Copy{PEM: g.CA}).Fingerprint()
	if len(want) != 64 {
		t.Fatalf("fingerprint %q", want)
	}
	for name, text := range map[string][]byte{
		"a byte order mark":   append([]byte("\uFEFF"), g.CA...),
		"X509 CERTIFICATE":    retyped(g.CA, "X509 CERTIFICATE"),
		"TRUSTED CERTIFICATE": retyped(g.CA, "TRUSTED CERTIFICATE"),
		"CRLF":                bytes.ReplaceAll(g.CA, []byte("\n"), []byte("\r\n")),
		"trailing blanks":     bytes.ReplaceAll(g.CA, []byte("\n"), []byte("  \n")),
		"no last newline":     bytes.TrimSpace(g.CA),
		"explanatory text":    append([]byte("subject=C=CN\nissuer=C=CN\n"), g.CA...),
		"a chain":             append(slices.Clone(g.CA), g.Server...),
		"a key before it":     append(slices.Clone(g.ServerKey), g.CA...),
		"blank lines before":  append([]byte("\n\n"), g.CA...),
	} {
		if got := ReadCopy(Copy{PEM: text}).Fingerprint(); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}

func TestDamageHasAReason(t *testing.T) {
	_, g := twoGenerations(t)
	text := string(g.CA)
	for _, row := range []struct {
		name   string
		copied Copy
		want   Reason
	}{
		{"no file", Copy{Err: errors.New("no such file")}, Missing},
		{"NULL", Copy{}, Empty},
		{"blanks", Copy{PEM: []byte(" \n\t\n")}, Empty},
		{"indented", Copy{PEM: []byte("    " + strings.ReplaceAll(text, "\n", "\n    "))}, LeadingSpace},
		{"indented by a full-width blank", Copy{PEM: []byte("\u3000" + text)}, LeadingSpace},
		{"newlines became blanks", Copy{PEM: []byte(strings.ReplaceAll(text, "\n", " "))}, NewlinesLost},
		{"newlines became \\n", Copy{PEM: []byte(strings.ReplaceAll(text, "\n", `\n`))}, NewlinesLost},
		{"a path's name", Copy{PEM: []byte("ca.pem")}, NotPEM},
		{"a private key", Copy{PEM: g.ServerKey}, WrongType},
		{"second certificate of a bundle damaged", Copy{PEM: append(bytes.Clone(g.CA), g.Server[:len(g.Server)/2]...)}, Damaged},
		{"cut in half", Copy{PEM: g.CA[:len(g.CA)/2]}, Damaged},
		{"one letter lost", Copy{PEM: []byte(strings.Replace(text, "M", "", 1))}, Damaged},
		{"rubbish in the block", Copy{PEM: []byte("-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----\n")}, Damaged},
	} {
		t.Run(row.name, func(t *testing.T) {
			got := ReadCopy(row.copied)
			if got.Damage != row.want || got.Cert != nil || got.Message == "" {
				t.Errorf("got %q (%s), want %q", got.Damage, got.Message, row.want)
			}
			if !slices.Contains(Damages, got.Damage) {
				t.Errorf("%q is not listed", got.Damage)
			}
			if line := strings.Split(string(g.ServerKey), "\n")[3]; strings.Contains(got.Message, line) {
				t.Error("the message quotes the key")
			}
		})
	}
}

func TestKeyMismatch(t *testing.T) {
	old, g := twoGenerations(t)
	for _, row := range []struct {
		name string
		key  Secret
		want string
	}{
		{"fits", g.ClientKey, ""},
		{"no key there", nil, ""},
		{"empty", Secret{}, "the key is empty"},
		{"of another certificate", old.ClientKey, "the key belongs to another certificate"},
		{"indented", Secret("  " + string(g.ClientKey)), "the key cannot be read (leading_space)"},
	} {
		if got := ReadCopy(Copy{PEM: g.Client, Key: row.key}).KeyMismatch; got != row.want {
			t.Errorf("%s: %q, want %q", row.name, got, row.want)
		}
	}
}

// places lays out which generation each place holds.
func places(console, config, client, server, served pki.Generation) []Reading {
	return []Reading{
		ReadCopy(Copy{Place: Console, Kind: CA, PEM: console.CA}),
		ReadCopy(Copy{Place: Console, Kind: Client, PEM: console.Client}),
		ReadCopy(Copy{Place: RegionConfig, Kind: CA, PEM: config.CA}),
		ReadCopy(Copy{Place: RegionConfig, Kind: Client, PEM: config.Client}),
		ReadCopy(Copy{Place: ClientSecret, Kind: CA, PEM: client.CA}),
		ReadCopy(Copy{Place: ClientSecret, Kind: Client, PEM: client.Client}),
		ReadCopy(Copy{Place: ServerSecret, Kind: CA, PEM: server.CA}),
		ReadCopy(Copy{Place: ServerSecret, Kind: Server, PEM: server.Server}),
		ReadCopy(Copy{Place: Served, Kind: Server, PEM: served.Server}),
	}
}

func TestCompare(t *testing.T) {
	old, now := twoGenerations(t)
	for _, row := range []struct {
		name     string
		readings []Reading
		copied   Place
		want     string
	}{
		{"healthy", places(now, now, now, now, now), Console, ""},
		{"rotated, latent", places(old, now, now, now, old), Console,
			"server served≠server-secret; ca console≠region-config; client console≠region-config"},
		{"rotated, broken", places(old, now, now, now, now), Console,
			"server served≠console; client console≠served; ca console≠region-config; client console≠region-config"},
		{"region-config is stale", places(now, old, now, now, now), Console,
			"ca region-config≠client-secret; client region-config≠client-secret; ca console≠region-config; client console≠region-config"},
		{"one Secret is stale", places(now, now, old, now, now), Console,
			"ca client-secret≠server-secret; ca region-config≠client-secret; client region-config≠client-secret"},
		{"rotated, and no console known", places(pki.Generation{}, now, now, now, old), RegionConfig,
			"server served≠region-config; server served≠server-secret"},
		{"nothing is served", places(old, now, now, now, pki.Generation{}), Console,
			"ca console≠region-config; client console≠region-config"},
	} {
		t.Run(row.name, func(t *testing.T) {
			var got []string
			for _, c := range Compare(row.readings, row.copied) {
				if c.Differs {
					got = append(got, fmt.Sprintf("%s %s≠%s", c.Kind, c.Place, c.Reference))
				}
			}
			if joined := strings.Join(got, "; "); joined != row.want {
				t.Errorf("got  %s\nwant %s", joined, row.want)
			}
		})
	}
}

func FuzzReadCopy(f *testing.F) {
	// Each worker of the fuzzer creates the seeds again, so they must be cheap.
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		f.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	der, err := x509.CreateCertificate(nil, template, template, key.Public(), key)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	f.Add([]byte("-----BEGIN CERTIFICATE----- -----END CERTIFICATE-----"))
	f.Fuzz(func(t *testing.T, text []byte) {
		r := ReadCopy(Copy{PEM: text, Key: text})
		if (r.Cert == nil) != (r.Damage != "") || r.Damage != "" && !slices.Contains(Damages, r.Damage) {
			t.Errorf("%q: certificate %v, damage %q", text, r.Cert != nil, r.Damage)
		}
	})
}

// chainOf returns a root, an intermediate and a leaf for rbd-api-api as PEM.
func chainOf(t *testing.T) (root, intermediate, leaf []byte) {
	t.Helper()
	now := time.Now()
	var parent *x509.Certificate
	var parentKey ed25519.PrivateKey
	var texts [][]byte
	for i, name := range []string{"root", "intermediate", "leaf"} {
		public, key, err := ed25519.GenerateKey(nil)
		if err != nil {
			t.Fatal(err)
		}
		template := &x509.Certificate{
			SerialNumber: big.NewInt(int64(i + 1)), Subject: pkix.Name{CommonName: name}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour),
			IsCA: name != "leaf", BasicConstraintsValid: true, DNSNames: []string{DefaultServerName},
		}
		if parent == nil {
			parent, parentKey = template, key
		}
		der, err := x509.CreateCertificate(nil, template, parent, public, parentKey)
		if err != nil {
			t.Fatal(err)
		}
		if parent, err = x509.ParseCertificate(der); err != nil {
			t.Fatal(err)
		}
		parentKey = key
		texts = append(texts, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	}
	return texts[0], texts[1], texts[2]
}

// retyped returns the PEM with another type of block. OpenSSL appends data to a
// trusted certificate.
func retyped(text []byte, blockType string) []byte {
	block, _ := pem.Decode(text)
	block.Type = blockType
	if blockType == "TRUSTED CERTIFICATE" {
		block.Bytes = append(block.Bytes, 0x30, 0x00)
	}
	return pem.EncodeToMemory(block)
}

func TestCABundlesAreTrustedInAnyOrder(t *testing.T) {
	old, now := twoGenerations(t)
	root, intermediate, leaf := chainOf(t)
	join := func(texts ...[]byte) []byte { return bytes.Join(texts, nil) }
	der := func(text []byte) []byte { return Certificates(text)[0] }
	for _, row := range []struct {
		name           string
		ca             []byte
		server, client []byte
		served         [][]byte
		differs        bool
		selected       []byte // the certificate of the bundle that counts
	}{
		{"old, new", join(old.CA, now.CA), now.Server, now.Client, nil, false, now.CA},
		{"new, old", join(now.CA, old.CA), now.Server, now.Client, nil, false, now.CA},
		{"new, old, before the rotation", join(now.CA, old.CA), old.Server, old.Client, nil, false, old.CA},
		{"only old", old.CA, now.Server, now.Client, nil, true, old.CA},
		{"old twice", join(old.CA, old.CA), now.Server, now.Client, nil, true, old.CA},
		{"old, new as X509 CERTIFICATE", join(old.CA, retyped(now.CA, "X509 CERTIFICATE")), now.Server, now.Client, nil, false, now.CA},
		{"old, new as TRUSTED CERTIFICATE", join(old.CA, retyped(now.CA, "TRUSTED CERTIFICATE")), now.Server, now.Client, nil, false, now.CA},
		{"served with its intermediate", root, nil, nil, [][]byte{der(leaf), der(intermediate)}, false, root},
		{"intermediate in the bundle", join(root, intermediate), nil, nil, [][]byte{der(leaf)}, false, intermediate},
		{"intermediate missing", root, nil, nil, [][]byte{der(leaf)}, true, root},
	} {
		served := row.served
		readings := []Reading{ReadCopy(Copy{Place: Console, Kind: CA, PEM: row.ca})}
		if served == nil {
			served = [][]byte{der(row.server)}
			readings = append(readings, ReadCopy(Copy{Place: Console, Kind: Client, PEM: row.client}))
		}
		readings = append(readings, ReadServed(served...))
		SelectCA(readings)
		if got := readings[0].Fingerprint(); got != ReadCopy(Copy{PEM: row.selected}).Fingerprint() {
			t.Errorf("%s: another certificate of the bundle is selected", row.name)
		}
		comparisons := Compare(readings, Console)
		if len(comparisons) == 0 {
			t.Errorf("%s: nothing is compared", row.name)
		}
		for _, c := range comparisons {
			if c.Differs != row.differs {
				t.Errorf("%s: %s of %s against %s: differs %t", row.name, c.Kind, c.Place, c.Reference, c.Differs)
			}
		}
	}
}

func TestCABundleEqualsACertificateOfIt(t *testing.T) {
	old, now := twoGenerations(t)
	readings := []Reading{
		ReadCopy(Copy{Place: Console, Kind: CA, PEM: append(bytes.Clone(old.CA), now.CA...)}),
		ReadCopy(Copy{Place: RegionConfig, Kind: CA, PEM: now.CA}),
	}
	SelectCA(readings)
	for _, c := range Compare(readings, Console) {
		if c.Differs {
			t.Errorf("%s of %s against %s differs", c.Kind, c.Place, c.Reference)
		}
	}
	if readings[0].Fingerprint() != readings[1].Fingerprint() {
		t.Error("the bundle has another fingerprint than the certificate that it shares")
	}
}

func TestEncryptedKeyIsReported(t *testing.T) {
	_, g := twoGenerations(t)
	block, _ := pem.Decode(g.ClientKey)
	traditional := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Headers: map[string]string{"Proc-Type": "4,ENCRYPTED", "DEK-Info": "AES-256-CBC,00112233445566778899AABBCCDDEEFF"}, Bytes: block.Bytes})
	for name, key := range map[string][]byte{
		"DEK-Info": traditional, "PKCS #8": pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: block.Bytes}),
		"with a byte order mark": append([]byte("\uFEFF"), traditional...),
	} {
		if r := ReadCopy(Copy{Kind: Client, PEM: g.Client, Key: key}); r.Damage != KeyEncrypted || r.KeyMismatch != "" || r.Cert != nil {
			t.Errorf("%s: %q, %q", name, r.Damage, r.KeyMismatch)
		}
	}
}

// As the console compares it: one carriage return at the very end is enough.
func TestCarriageReturnsInAColumn(t *testing.T) {
	_, g := twoGenerations(t)
	for _, row := range []struct {
		name string
		copy Copy
		want Reason
	}{
		{"CRLF", Copy{PEM: bytes.ReplaceAll(g.CA, []byte("\n"), []byte("\r\n"))}, CarriageReturn},
		{"one at the end", Copy{PEM: append(bytes.Clone(g.CA), '\r')}, CarriageReturn},
		{"in the key", Copy{Kind: Client, PEM: g.Client, Key: append(bytes.Clone(g.ClientKey), '\r')}, CarriageReturn},
		{"trailing blanks", Copy{PEM: bytes.ReplaceAll(g.CA, []byte("\n"), []byte("  \n"))}, ""},
		{"no last newline", Copy{PEM: bytes.TrimSpace(g.CA)}, ""},
		{"blank lines before", Copy{PEM: append([]byte("\n\n"), g.CA...)}, ""},
		{"a byte order mark", Copy{PEM: append([]byte("\uFEFF"), g.CA...)}, ""},
		{"text before", Copy{PEM: append([]byte("the CA of the region\n"), g.CA...)}, ""},
	} {
		row.copy.Column = true
		if got := ReadCopy(row.copy).Damage; got != row.want {
			t.Errorf("%s: %q, want %q", row.name, got, row.want)
		}
	}
}

// The key pair of a handshake accepts what OpenSSL accepts.
func TestKeyPairAcceptsOldTypes(t *testing.T) {
	old, g := twoGenerations(t)
	for name, cert := range map[string][]byte{
		"CERTIFICATE": g.Client, "X509 CERTIFICATE": retyped(g.Client, "X509 CERTIFICATE"), "TRUSTED CERTIFICATE": retyped(g.Client, "TRUSTED CERTIFICATE"),
		"a byte order mark": append([]byte("\uFEFF"), g.Client...), "with its CA": append(bytes.Clone(g.Client), g.CA...),
	} {
		pair, err := KeyPair(cert, append([]byte("\uFEFF"), g.ClientKey...))
		if err != nil || !bytes.Equal(pair.Certificate[0], ReadCopy(Copy{PEM: g.Client}).Cert.Raw) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := KeyPair(g.Client, old.ClientKey); err == nil {
		t.Error("a key of another certificate is accepted")
	}
}
