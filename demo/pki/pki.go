// Package pki generates certificates exactly as rainbond-operator does
// (util/commonutil/cert.go and controllers/handler/api.go, v6), with all
// visible properties of the real ones.
package pki

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"sync"
	"time"
)

// Properties of the operator's certificates: RSA keys of 4096 bits, valid for
// 99 years.
const (
	OperatorBits  = 4096
	OperatorYears = 99
)

// serverName is the only DNS name in the operator's certificates.
const serverName = "rbd-api-api"

// A Generation is the output of one run of the operator, as PEM: a new CA, and
// a certificate for each side, signed by that CA. The CA's key is discarded, so
// each run has another CA. All CAs have the same name and serial number; only
// the SHA-256 of the DER distinguishes them.
type Generation struct {
	CA                []byte
	Server, ServerKey []byte // the operator's server.pem and server.key.pem
	Client, ClientKey []byte // the operator's client.pem and client.key.pem
}

// New generates certificates that are valid from now for 99 years, with RSA
// keys of the given size in bits, for the given gateway addresses.
func New(bits int, ips ...net.IP) (Generation, error) {
	now := time.Now()
	return NewValid(bits, now, now.AddDate(OperatorYears, 0, 0), ips...)
}

// NewValid generates certificates like New, with the given validity of server
// and client certificate, as an administrator might who replaces the
// operator's. The CA is valid for longer.
func NewValid(bits int, notBefore, notAfter time.Time, ips ...net.IP) (Generation, error) {
	keys, err := newKeys(bits)
	if err != nil {
		return Generation{}, err
	}
	return sign(keys, authority(notBefore), leaf(notBefore, notAfter, ips))
}

// NewKubernetes generates certificates like NewValid, with the names of a
// kube-apiserver.
func NewKubernetes(bits int, notBefore, notAfter time.Time, ips ...net.IP) (Generation, error) {
	keys, err := newKeys(bits)
	if err != nil {
		return Generation{}, err
	}
	ca, leaf := authority(notBefore), leaf(notBefore, notAfter, ips)
	ca.Subject, ca.SerialNumber = pkix.Name{CommonName: "kubernetes"}, big.NewInt(1)
	leaf.Subject, leaf.SerialNumber, leaf.DNSNames = pkix.Name{CommonName: "kube-apiserver"}, big.NewInt(2), []string{"kubernetes.default.svc"}
	return sign(keys, ca, leaf)
}

// sign returns a CA and two certificates signed by it.
func sign(keys [3]*rsa.PrivateKey, ca, leaf *x509.Certificate) (Generation, error) {
	caKey, serverKey, clientKey := keys[0], keys[1], keys[2]
	g := Generation{ServerKey: encodeKey(serverKey), ClientKey: encodeKey(clientKey)}
	for _, c := range []struct {
		name     string
		template *x509.Certificate
		key      *rsa.PrivateKey
		out      *[]byte
	}{{"CA", ca, caKey, &g.CA}, {"server", leaf, serverKey, &g.Server}, {"client", leaf, clientKey, &g.Client}} {
		der, err := x509.CreateCertificate(rand.Reader, c.template, ca, &c.key.PublicKey, caKey)
		if err != nil {
			return Generation{}, fmt.Errorf("make the %s certificate: %w", c.name, err)
		}
		*c.out = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	}
	return g, nil
}

// newKeys generates three keys in parallel. Key generation takes nearly all of
// the time.
func newKeys(bits int) ([3]*rsa.PrivateKey, error) {
	var keys [3]*rsa.PrivateKey
	var errs [3]error
	var wait sync.WaitGroup
	for i := range keys {
		wait.Go(func() { keys[i], errs[i] = rsa.GenerateKey(rand.Reader, bits) })
	}
	wait.Wait()
	for _, err := range errs {
		if err != nil {
			return keys, fmt.Errorf("make an RSA key of %d bits: %w", bits, err)
		}
	}
	return keys, nil
}

// encodeKey encodes a key as PKCS#1, as the operator does.
func encodeKey(key *rsa.PrivateKey) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})
}

// subject returns the name of every certificate. It has no common name; CA,
// server and client share it.
func subject() pkix.Name {
	return pkix.Name{
		Organization:  []string{"Goodrain, INC."},
		Country:       []string{"CN"},
		Province:      []string{"Beijing"},
		Locality:      []string{"Beijing"},
		StreetAddress: []string{"Beijing"},
		PostalCode:    []string{"000000"},
	}
}

// serial returns the serial number of every certificate.
func serial() *big.Int { return big.NewInt(2019) }

func authority(notBefore time.Time) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber:          serial(),
		Subject:               subject(),
		NotBefore:             notBefore,
		NotAfter:              notBefore.AddDate(OperatorYears, 0, 0),
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	}
}

// leaf returns the template of the server and the client certificate. Issuer
// and subject are the same name, so crypto/x509 adds no authority key
// identifier, and OpenSSL 3 considers the certificate self-signed.
func leaf(notBefore, notAfter time.Time, ips []net.IP) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: serial(),
		Subject:      subject(),
		NotBefore:    notBefore,
		NotAfter:     notAfter,
		DNSNames:     []string{serverName},
		IPAddresses:  ips,
		SubjectKeyId: []byte{1, 2, 3, 4, 6},
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	}
}
