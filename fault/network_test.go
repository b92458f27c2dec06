package fault

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"syscall"
	"testing"
)

// dialed wraps an error of the kernel as net.Dialer does.
func dialed(errno syscall.Errno) error {
	return &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", errno)}
}

// alert returns the error of crypto/tls for an alert that the server sent.
func alert(text string) error {
	return &net.OpError{Op: "remote error", Err: errors.New("tls: " + text)}
}

func header(first string) (e tls.RecordHeaderError) {
	copy(e.RecordHeader[:], first)
	return e
}

func TestFailureFromError(t *testing.T) {
	for _, row := range []struct {
		name  string
		phase Phase
		err   error
		want  Failure
	}{
		{"no such name", Resolve, &net.DNSError{IsNotFound: true}, Failure{Resolve, NameUnknown}},
		{"name server timeout", Resolve, &net.DNSError{IsTimeout: true}, Failure{Resolve, NameServerTimeout}},
		{"SERVFAIL", Resolve, &net.DNSError{IsTemporary: true, Err: "server misbehaving"}, Failure{Resolve, NameServerFailed}},
		{"malformed URL", Resolve, fmt.Errorf("%w: it has no host", ErrMalformedURL), Failure{Resolve, URLMalformed}},
		{"dropped", Connect, dialed(syscall.ETIMEDOUT), Failure{Connect, Dropped}},
		{"dropped, by the console's limit", Connect, os.ErrDeadlineExceeded, Failure{Connect, Dropped}},
		{"refused", Connect, dialed(syscall.ECONNREFUSED), Failure{Connect, Refused}},
		{"no route", Connect, dialed(syscall.ENETUNREACH), Failure{Connect, Unreachable}},
		{"ICMP unreachable", Connect, dialed(syscall.EHOSTUNREACH), Failure{Connect, Unreachable}},
		{"reset while connecting", Connect, dialed(syscall.ECONNRESET), Failure{Connect, Reset}},
		{"two addresses, one refused", Connect, errors.Join(dialed(syscall.ENETUNREACH), dialed(syscall.ECONNREFUSED)), Failure{Connect, Refused}},
		{"plain HTTP", TLS, header("HTTP/"), Failure{TLS, PlainHTTP}},
		{"another protocol", TLS, header("SSH-2"), Failure{TLS, Other}},
		{"server chose TLS 1.1", TLS, errors.New("tls: server selected unsupported protocol version 302"), Failure{TLS, OldTLS}},
		{"server refused our versions", TLS, alert("protocol version not supported"), Failure{TLS, OldTLS}},
		{"closed in the handshake", TLS, io.EOF, Failure{TLS, Closed}},
		{"reset in the handshake", TLS, dialed(syscall.ECONNRESET), Failure{TLS, Reset}},
		{"no response in the handshake", TLS, os.ErrDeadlineExceeded, Failure{TLS, Timeout}},
		{"client refused under TLS 1.2", TLS, alert("bad certificate"), Failure{TLS, ClientRefused}},
		{"client refused under TLS 1.3", Processing, alert("unknown certificate authority"), Failure{TLS, ClientRefused}},
		{"client expired", Processing, alert("expired certificate"), Failure{TLS, ClientRefused}},
		{"client not sent", Processing, alert("certificate required"), Failure{TLS, ClientNotSent}},
		{"an alert about something else", TLS, alert("handshake failure"), Failure{TLS, Other}},
		{"our own copy is damaged", TLS, &UnusableError{"CA", errors.New("empty")}, Failure{TLS, ClientUnreadable}},
		{"closed without a response", Processing, io.EOF, Failure{Processing, Closed}},
		{"no response", Processing, os.ErrDeadlineExceeded, Failure{Processing, Timeout}},
		{"reset without a response", Processing, dialed(syscall.ECONNRESET), Failure{Processing, Reset}},
		{"closed within the response", Transfer, io.ErrUnexpectedEOF, Failure{Transfer, Closed}},
		{"the response stops", Transfer, os.ErrDeadlineExceeded, Failure{Transfer, Timeout}},
		{"not HTTP", Transfer, errors.New("malformed HTTP response"), Failure{Transfer, Other}},
	} {
		t.Run(row.name, func(t *testing.T) {
			got, failed := FromTrace(Trace{Phase: row.phase, Err: row.err})
			if !failed || got != row.want {
				t.Errorf("got %v, want %v", got, row.want)
			}
			if !slices.Contains(Failures, got) {
				t.Errorf("%v is not listed, so it has no series", got)
			}
		})
	}
}

func TestFailureFromResponse(t *testing.T) {
	untrusted := &tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}
	for _, row := range []struct {
		name  string
		trace Trace
		want  Failure // zero: success
	}{
		{"a version", Trace{Status: 200, Body: []byte("v6.9.8-release\n")}, Failure{}},
		{"a build without a version", Trace{Status: 200}, Failure{}},
		{"older than v6.9.2", Trace{Status: 200, Ready: nil}, Failure{}},
		{"ready", Trace{Status: 200, Ready: map[string]bool{AllChecks: true}}, Failure{}},
		{"not ready", Trace{Status: 200, Ready: map[string]bool{AllChecks: false}}, Failure{Processing, NotReady}},
		{"503", Trace{Status: 503}, Failure{Processing, Status}},
		{"a redirect", Trace{Status: 302}, Failure{Processing, Status}},
		{"another token required", Trace{Status: 401}, Failure{Processing, TokenRefused}},
		{"the token lacks permission", Trace{Status: 403}, Failure{Processing, TokenRefused}},
		{"a gateway's page", Trace{Status: 200, Body: []byte("<html>welcome</html>")}, Failure{Transfer, WrongBody}},
		{"JSON", Trace{Status: 200, Body: []byte(`{"code":0}`)}, Failure{Transfer, WrongBody}},
		{"stale CA alone, console v6.6 and later", Trace{Status: 200, Distrust: untrusted, Body: []byte("v6.6.0-release")}, Failure{}},
		{"stale CA alone, no version", Trace{Status: 200, Distrust: untrusted}, Failure{}},
		{"stale CA alone, and 503", Trace{Status: 503, Distrust: untrusted}, Failure{Processing, Status}},
		{"stale CA alone, token withheld", Trace{Status: 401, Distrust: untrusted, TokenWithheld: true}, Failure{}},
		{"stale CA, console before v6.6", Trace{Status: 200, Distrust: untrusted, Body: []byte("v6.5.2-release")}, Failure{TLS, ServerUntrusted}},
		{"stale CA, console v5", Trace{Status: 200, Distrust: untrusted, Body: []byte("v5.17.3")}, Failure{TLS, ServerUntrusted}},
		{"another TLS server", Trace{Status: 401, Distrust: untrusted, NotForRbdAPI: true}, Failure{TLS, ServerNotRbdAPI}},
		{"another TLS server that refuses our certificate", Trace{Phase: Processing, Err: alert("bad certificate"), Distrust: untrusted, NotForRbdAPI: true}, Failure{TLS, ServerNotRbdAPI}},
		{"another TLS server that requests no certificate", Trace{Status: 404, Distrust: untrusted, NotForRbdAPI: true, CertificateNotRequested: true}, Failure{TLS, ClientNotRequested}},
		{"without a result", Trace{Unknown: &UnknownError{Connect, ErrTooLittleTime}}, Failure{Connect, Other}},
		{"wrong name", Trace{Status: 200, Distrust: x509.HostnameError{Certificate: &x509.Certificate{}, Host: "x"}}, Failure{TLS, ServerWrongName}},
		{"expired", Trace{Status: 200, Distrust: x509.CertificateInvalidError{Reason: x509.Expired}}, Failure{TLS, ServerExpired}},
		{"client and server refuse each other", Trace{Phase: Processing, Err: alert("bad certificate"), Distrust: untrusted}, Failure{TLS, ClientRefused}},
		{"no certificate requested", Trace{Status: 200, CertificateNotRequested: true}, Failure{TLS, ClientNotRequested}},
		{"no certificate requested, not trusted", Trace{Status: 502, CertificateNotRequested: true, Distrust: untrusted}, Failure{TLS, ClientNotRequested}},
		{"no certificate requested, not trusted, closed", Trace{Phase: Processing, Err: io.EOF, CertificateNotRequested: true, Distrust: untrusted}, Failure{TLS, ClientNotRequested}},
		{"no certificate requested, closed", Trace{Phase: Processing, Err: io.EOF, CertificateNotRequested: true}, Failure{Processing, Closed}},
		{"not trusted, closed", Trace{Phase: Processing, Err: io.EOF, Distrust: untrusted}, Failure{TLS, ServerUntrusted}},
	} {
		t.Run(row.name, func(t *testing.T) {
			got, failed := FromTrace(row.trace)
			if got != row.want || failed != (row.want != Failure{}) {
				t.Errorf("got %v, %v; want %v", got, failed, row.want)
			}
			if failed && !slices.Contains(Failures, got) {
				t.Errorf("%v is not listed, so it has no series", got)
			}
		})
	}
}

func TestAnswersDirectly(t *testing.T) {
	for _, row := range []struct {
		name           string
		trace          Trace
		answers, known bool
	}{
		{"success", Trace{Status: 200}, true, true},
		{"without a result", Trace{Unknown: &UnknownError{Connect, ErrTooLittleTime}}, false, false},
		{"refuses our certificate", Trace{Phase: TLS, Err: alert("bad certificate"), Served: [][]byte{{1}}}, true, true},
		{"is not ready", Trace{Status: 503}, false, true},
		{"refused", Trace{Phase: Connect, Err: dialed(syscall.ECONNREFUSED)}, false, true},
		{"outside the cluster", Trace{Phase: Resolve, Err: &net.DNSError{IsNotFound: true}}, false, false},
	} {
		if answers, known := AnswersDirectly(row.trace); answers != row.answers || known != row.known {
			t.Errorf("%s: answers %v, known %v", row.name, answers, known)
		}
	}
}

func TestFailuresAreUnique(t *testing.T) {
	for i, f := range Failures {
		if slices.Contains(Failures[:i], f) {
			t.Errorf("%v is listed twice", f)
		}
	}
}
