package probe

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/rainbond-exporter/rainbond-exporter/fault"
)

func withoutClientVerification(c *tls.Config) { c.ClientAuth = tls.RequireAnyClientCert }

// exactPaths responds as rbd-api's router, which does not clean paths.
func exactPaths(w http.ResponseWriter, r *http.Request) {
	if r.RequestURI != "/v2/show" {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	version(w, r)
}

func TestURLsAsTheConsoleUsesThem(t *testing.T) {
	_, g := twoGenerations(t)
	address, _ := serveAPI(t, g, http.HandlerFunc(exactPaths), nil)
	plain := httptest.NewServer(http.HandlerFunc(exactPaths))
	t.Cleanup(plain.Close)
	malformed := func(problem string) string { return "resolve/url_malformed: " + problem }
	for _, row := range []struct{ url, want string }{
		{"https://" + address, "success"},
		{"https://" + address + "/", "processing/status"},
		{"https://" + address + "/api", "processing/status"},
		{"https://" + address + "?a=b", "processing/status"},
		{plain.URL, "success"},
		{plain.URL + "/", "processing/status"},
		{" https://" + address, malformed("it contains a blank")},
		{"https://" + address + " ", malformed("it contains a blank")},
		{"https://" + address + "\n", malformed("it contains a blank")},
		{address, malformed("it ")},
		{"", malformed("it is empty")},
		{"ftp://" + address, malformed("it does not begin with https:// or http://")},
		{"https://", malformed("it has no host")},
		{"https://host:99999", malformed("the port is not a number from 1 to 65535")},
		{"https://user:s3cret@[::1", malformed("it cannot be parsed")},
	} {
		r := regionAt(address, g)
		r.URL = row.url
		if strings.HasPrefix(row.url, "http://") {
			r.CA, r.Cert, r.Key = nil, nil, nil // not needed
		}
		trace, got := probe(t, newProber(), r)
		if errors.Is(trace.Err, fault.ErrMalformedURL) {
			got += ": " + strings.TrimPrefix(trace.Err.Error(), "malformed URL: ")
		}
		if !strings.HasPrefix(got, row.want) || strings.Contains(got, "s3cret") {
			t.Errorf("%q: got %s (%v), want %s", row.url, got, trace.Err, row.want)
		}
	}
}

// A kube-apiserver requests client certificates as well. Its certificate is
// neither signed by the region's CA nor issued for rbd-api.
func TestAnotherTLSServerIsNotRbdAPI(t *testing.T) {
	_, g := twoGenerations(t)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "kube-apiserver"}, DNSNames: []string{"kubernetes", "kubernetes.default.svc"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(nil, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	unauthorized := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) })
	for _, row := range []struct {
		name string
		auth tls.ClientAuthType
		want string
	}{
		{"kube-apiserver", tls.RequestClientCert, "tls/server_not_rbd_api"},
		{"a proxy that verifies clients", tls.RequireAndVerifyClientCert, "tls/server_not_rbd_api"},
		{"a proxy that requests no certificate", tls.NoClientCert, "tls/client_not_asked"},
	} {
		for _, highest := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			address, _ := serveAPI(t, g, unauthorized, func(c *tls.Config) {
				c.Certificates = []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}
				c.ClientAuth, c.ClientCAs, c.MaxVersion = row.auth, x509.NewCertPool(), highest
			})
			trace, got := probe(t, newProber(), regionAt(address, g))
			if got != row.want || !trace.WrongPeer() {
				t.Errorf("%s, %s: got %s (%v, %v), want %s", row.name, tls.VersionName(highest), got, trace.Err, trace.Distrust, row.want)
			}
		}
	}
}
