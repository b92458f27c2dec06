package fault

import (
	"crypto/x509"
	"fmt"
	"strconv"
	"strings"
	"time"
)

func itoa(n int) string { return strconv.Itoa(n) }

// Details describes a trace as text, one line for each observation in the order
// of the phases: the URL, the addresses, the certificates, the response and its
// headers, the durations and the result. Secrets are redacted.
func (t Trace) Details(region Region) []string {
	var lines []string
	add := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	add("url: %s", t.URL)
	if len(t.Resolved) > 0 {
		add("resolve: %s", strings.Join(t.Resolved, ", "))
	}
	for _, err := range t.FailedAddresses {
		add("connect: %s", err)
	}
	if t.Address != "" {
		add("connect: %s", t.Address)
	}
	if t.TLSVersion != "" {
		add("tls: %s, %s", t.TLSVersion, t.CipherSuite)
		add("tls: client certificate requested: %t", !t.CertificateNotRequested)
	}
	for i, der := range t.Served {
		add("tls: certificate %d: %s", i+1, describeCertificate(der))
	}
	if t.Distrust != nil {
		add("tls: the certificate is not valid for the region's CA and server name: %s", t.Distrust)
	}
	if t.TokenWithheld {
		add("http: the token was not sent, because the certificate is not valid")
	}
	if t.Status != 0 {
		add("http: status %d", t.Status)
	}
	for _, header := range t.Header {
		add("http: header %s", header)
	}
	if len(t.Body) > 0 {
		add("http: body %q", t.Body[:min(len(t.Body), maxFailureText)])
	}
	if t.SkewKnown {
		add("http: clock skew %s", t.ClockSkew.Round(time.Second))
	}
	for _, check := range []string{AllChecks, "k8s_api", "region_cert"} {
		if ok, known := t.Ready[check]; known {
			add("ready: %s: %t", check, ok)
		}
	}
	for _, phase := range Phases {
		if took, ran := t.Durations[phase]; ran {
			add("duration: %s %s", phase, took.Round(10*time.Microsecond))
		}
	}
	add("duration: total %s", t.Took.Round(10*time.Microsecond))
	switch failure, failed := FromTrace(t); {
	case t.Unknown != nil:
		add("result: %s", t.Unknown)
	case failed && t.Err != nil:
		add("result: %s/%s: %s", failure.Phase, failure.Reason, t.Err)
	case failed:
		add("result: %s/%s", failure.Phase, failure.Reason)
	default:
		add("result: success")
	}
	for i, line := range lines {
		lines[i] = string(Redact([]byte(strings.ReplaceAll(line, "\n", "; ")), string(region.Token)))
	}
	return lines
}

// describeCertificate returns the names, the validity and the fingerprint of a
// certificate.
func describeCertificate(der []byte) string {
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return err.Error()
	}
	names := cert.DNSNames
	for _, ip := range cert.IPAddresses {
		names = append(names, ip.String())
	}
	return fmt.Sprintf("subject %q, issuer %q, names %s, valid %s to %s, sha256 %s", cert.Subject, cert.Issuer, strings.Join(names, " "),
		cert.NotBefore.UTC().Format(time.DateOnly), cert.NotAfter.UTC().Format(time.DateOnly), fingerprintOf(cert))
}
