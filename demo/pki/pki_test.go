package pki

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// testBits makes key generation fast; no behaviour depends on the size.
const testBits = 2048

var loopback = net.IPv4(127, 0, 0, 1)

func TestCertificatesHaveTheOperatorsProperties(t *testing.T) {
	g := generation(t)
	const name = `O=Goodrain\, INC.,POSTALCODE=000000,STREET=Beijing,L=Beijing,ST=Beijing,C=CN`
	shape := func(c *x509.Certificate) string {
		return fmt.Sprintf("serial %d, subject %s, issuer %s, %d years, CA %t, KU %b, EKU %v, names %v %v, SKI %x, AKI %x",
			c.SerialNumber, c.Subject, c.Issuer, c.NotAfter.Year()-c.NotBefore.Year(), c.IsCA, c.KeyUsage, c.ExtKeyUsage,
			c.DNSNames, c.IPAddresses, c.SubjectKeyId, c.AuthorityKeyId)
	}
	ca := parse(t, g.CA)
	for _, test := range []struct {
		cert *x509.Certificate
		want string
	}{
		{ca, fmt.Sprintf("serial 2019, subject %s, issuer %s, 99 years, CA true, KU 100001, EKU [clientAuth serverAuth], names [] [], SKI %x, AKI ", name, name, ca.SubjectKeyId)},
		{parse(t, g.Server), fmt.Sprintf("serial 2019, subject %s, issuer %s, 99 years, CA false, KU 1, EKU [clientAuth serverAuth], names [rbd-api-api] [127.0.0.1], SKI 0102030406, AKI ", name, name)},
		{parse(t, g.Client), fmt.Sprintf("serial 2019, subject %s, issuer %s, 99 years, CA false, KU 1, EKU [clientAuth serverAuth], names [rbd-api-api] [127.0.0.1], SKI 0102030406, AKI ", name, name)},
	} {
		if got := shape(test.cert); got != test.want {
			t.Errorf("got  %s\nwant %s", got, test.want)
		}
	}
}

func TestKeysArePKCS1AndMatchTheirCertificates(t *testing.T) {
	g := generation(t)
	for _, key := range [][]byte{g.ServerKey, g.ClientKey} {
		if block, _ := pem.Decode(key); block == nil || block.Type != "RSA PRIVATE KEY" {
			t.Error("a key is not PKCS#1")
		}
	}
	if _, err := tls.X509KeyPair(g.Server, g.ServerKey); err != nil {
		t.Error("server:", err)
	}
	if _, err := tls.X509KeyPair(g.Client, g.ClientKey); err != nil {
		t.Error("client:", err)
	}
}

func TestOnlyItsCASignsACertificate(t *testing.T) {
	old, young := generation(t), generation(t)
	if bytes.Equal(old.CA, young.CA) {
		t.Fatal("two sets have the same CA")
	}
	for _, test := range []struct {
		name     string
		leaf, ca []byte
		want     bool
	}{
		{"server, its CA", young.Server, young.CA, true},
		{"client, its CA", young.Client, young.CA, true},
		{"server, other CA", young.Server, old.CA, false},
		{"client, other CA", young.Client, old.CA, false},
	} {
		roots := x509.NewCertPool()
		roots.AddCert(parse(t, test.ca))
		_, err := parse(t, test.leaf).Verify(x509.VerifyOptions{Roots: roots, DNSName: serverName})
		if got := err == nil; got != test.want {
			t.Errorf("%s: verified %t, want %t (%v)", test.name, got, test.want, err)
		}
	}
}

func TestOnlyLeavesHaveTheGivenValidity(t *testing.T) {
	from := time.Now().AddDate(-1, 0, 0).Truncate(time.Second).UTC()
	until := from.AddDate(0, 1, 0)
	g, err := NewValid(testBits, from, until)
	if err != nil {
		t.Fatal(err)
	}
	for _, leaf := range [][]byte{g.Server, g.Client} {
		if c := parse(t, leaf); !c.NotBefore.Equal(from) || !c.NotAfter.Equal(until) {
			t.Errorf("valid from %s to %s, want %s to %s", c.NotBefore, c.NotAfter, from, until)
		}
	}
	if ca := parse(t, g.CA); !ca.NotAfter.After(time.Now()) {
		t.Errorf("the CA ended at %s", ca.NotAfter)
	}
}

func TestInvalidKeySizeIsAnError(t *testing.T) {
	if _, err := New(1); err == nil || !strings.Contains(err.Error(), "RSA key of 1 bits") {
		t.Errorf("got %v", err)
	}
}

// OpenSSL 3 rejects a healthy pair as self-signed.
func TestOpenSSLConsidersTheServerCertificateSelfSigned(t *testing.T) {
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("openssl is not installed")
	}
	g := generation(t)
	ca, server := filepath.Join(t.TempDir(), "ca.pem"), filepath.Join(t.TempDir(), "server.pem")
	write(t, ca, g.CA)
	write(t, server, g.Server)
	out, err := exec.Command(openssl, "verify", "-CAfile", ca, server).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "error 18 at 0 depth lookup: self-signed certificate") {
		t.Errorf("openssl verify returned %v:\n%s", err, out)
	}
}

func generation(t *testing.T) Generation {
	t.Helper()
	g, err := New(testBits, loopback)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func parse(t *testing.T, text []byte) *x509.Certificate {
	t.Helper()
	block, rest := pem.Decode(text)
	if block == nil || len(rest) > 0 {
		t.Fatal("expected exactly one PEM block")
	}
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func write(t *testing.T, path string, text []byte) {
	t.Helper()
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
}
