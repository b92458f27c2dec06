package fault_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"sync"
	"testing"

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

func TestTheSameCertificateInOtherClothes(t *testing.T) {
	_, g := twoGenerations(t)
	want := ReadCopy(Copy{PEM: g.CA}).Fingerprint()
	if len(want) != 64 {
		t.Fatalf("fingerprint %q", want)
	}
	for name, text := range map[string][]byte{
		"CRLF":                    bytes.ReplaceAll(g.CA, []byte("\n"), []byte("\r\n")),
		"trailing blanks":         bytes.ReplaceAll(g.CA, []byte("\n"), []byte("  \n")),
		"no last newline":         bytes.TrimSpace(g.CA),
		"explanatory text":        append([]byte("subject=C=CN\nissuer=C=CN\n"), g.CA...),
		"a chain":                 append(slices.Clone(g.CA), g.Server...),
		"a key before it":         append(slices.Clone(g.ServerKey), g.CA...),
		"empty lines at the head": append([]byte("\n\n"), g.CA...),
	} {
		if got := ReadCopy(Copy{PEM: text}).Fingerprint(); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}

func TestDamageIsNamedAndNoKeyIsQuoted(t *testing.T) {
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
				t.Error("the words quote the key")
			}
		})
	}
}

func TestAKeyThatDoesNotFitIsNamed(t *testing.T) {
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

func TestWhoDisagreesWithWhom(t *testing.T) {
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
	// Each worker of the fuzzer makes the seeds anew, so they must cost little.
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
