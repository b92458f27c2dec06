package fault

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"syscall"
	"testing"
)

// dialed wraps what the kernel says as net.Dialer does.
func dialed(errno syscall.Errno) error {
	return &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", errno)}
}

// alert is how crypto/tls tells of an alert that the server sent.
func alert(words string) error {
	return &net.OpError{Op: "remote error", Err: errors.New("tls: " + words)}
}

func header(first string) (e tls.RecordHeaderError) {
	copy(e.RecordHeader[:], first)
	return e
}

func TestErrorsHaveReasons(t *testing.T) {
	for _, row := range []struct {
		name  string
		phase Phase
		err   error
		want  Failure
	}{
		{"no such name", Resolve, &net.DNSError{IsNotFound: true}, Failure{Resolve, NameUnknown}},
		{"name server silent", Resolve, &net.DNSError{IsTimeout: true}, Failure{Resolve, NameServerTimeout}},
		{"name server silent until the look's end", Resolve, context.DeadlineExceeded, Failure{Resolve, NameServerTimeout}},
		{"SERVFAIL", Resolve, &net.DNSError{IsTemporary: true, Err: "server misbehaving"}, Failure{Resolve, NameServerFailed}},
		{"not a URL", Resolve, errors.New("no"), Failure{Resolve, Other}},
		{"dropped", Connect, dialed(syscall.ETIMEDOUT), Failure{Connect, Dropped}},
		{"dropped until the look's end", Connect, os.ErrDeadlineExceeded, Failure{Connect, Dropped}},
		{"refused", Connect, dialed(syscall.ECONNREFUSED), Failure{Connect, Refused}},
		{"no route", Connect, dialed(syscall.ENETUNREACH), Failure{Connect, Unreachable}},
		{"ICMP unreachable", Connect, dialed(syscall.EHOSTUNREACH), Failure{Connect, Unreachable}},
		{"reset while connecting", Connect, dialed(syscall.ECONNRESET), Failure{Connect, Reset}},
		{"no file descriptors", Connect, dialed(syscall.EMFILE), Failure{Connect, Other}},
		{"two addresses, one refused", Connect, errors.Join(dialed(syscall.EMFILE), dialed(syscall.ECONNREFUSED)), Failure{Connect, Refused}},
		{"plain HTTP", TLS, header("HTTP/"), Failure{TLS, PlainHTTP}},
		{"rubbish", TLS, header("SSH-2"), Failure{TLS, Other}},
		{"server chose TLS 1.1", TLS, errors.New("tls: server selected unsupported protocol version 302"), Failure{TLS, OldTLS}},
		{"server refused our versions", TLS, alert("protocol version not supported"), Failure{TLS, OldTLS}},
		{"closed in the handshake", TLS, io.EOF, Failure{TLS, Closed}},
		{"reset in the handshake", TLS, dialed(syscall.ECONNRESET), Failure{TLS, Reset}},
		{"silent in the handshake", TLS, os.ErrDeadlineExceeded, Failure{TLS, Timeout}},
		{"client refused under TLS 1.2", TLS, alert("bad certificate"), Failure{TLS, ClientRefused}},
		{"client refused under TLS 1.3", Processing, alert("unknown certificate authority"), Failure{TLS, ClientRefused}},
		{"client expired", Processing, alert("expired certificate"), Failure{TLS, ClientRefused}},
		{"client not sent", Processing, alert("certificate required"), Failure{TLS, ClientNotSent}},
		{"an alert about something else", TLS, alert("handshake failure"), Failure{TLS, Other}},
		{"our own copy is damaged", TLS, &UnusableError{"CA", errors.New("empty")}, Failure{TLS, ClientUnreadable}},
		{"closed without an answer", Processing, io.EOF, Failure{Processing, Closed}},
		{"no answer", Processing, os.ErrDeadlineExceeded, Failure{Processing, Timeout}},
		{"reset without an answer", Processing, dialed(syscall.ECONNRESET), Failure{Processing, Reset}},
		{"cut in the answer", Transfer, io.ErrUnexpectedEOF, Failure{Transfer, Closed}},
		{"the answer stops", Transfer, os.ErrDeadlineExceeded, Failure{Transfer, Timeout}},
		{"not HTTP", Transfer, errors.New("malformed HTTP response"), Failure{Transfer, Other}},
	} {
		t.Run(row.name, func(t *testing.T) {
			got, failed := FromTrace(Trace{Phase: row.phase, Err: row.err})
			if !failed || got != row.want {
				t.Errorf("got %v, want %v", got, row.want)
			}
			if !slices.Contains(Failures, got) {
				t.Errorf("%v is not listed, so no series stands for it", got)
			}
		})
	}
}

func TestAnswersHaveReasons(t *testing.T) {
	untrusted := &tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}
	for _, row := range []struct {
		name  string
		trace Trace
		want  Failure // zero: well
	}{
		{"a version", Trace{Status: 200, Body: []byte("v6.9.8-release\n")}, Failure{}},
		{"a build without a version", Trace{Status: 200}, Failure{}},
		{"older than v6.9.2", Trace{Status: 200, Ready: nil}, Failure{}},
		{"ready", Trace{Status: 200, Ready: map[string]bool{AllChecks: true}}, Failure{}},
		{"not ready", Trace{Status: 200, Ready: map[string]bool{AllChecks: false}}, Failure{Processing, NotReady}},
		{"503", Trace{Status: 503}, Failure{Processing, Status}},
		{"a redirect", Trace{Status: 302}, Failure{Processing, Status}},
		{"another token wanted", Trace{Status: 401}, Failure{Processing, TokenRefused}},
		{"the token may not do that", Trace{Status: 403}, Failure{Processing, TokenRefused}},
		{"a gateway's page", Trace{Status: 200, Body: []byte("<html>welcome</html>")}, Failure{Transfer, WrongBody}},
		{"JSON", Trace{Status: 200, Body: []byte(`{"code":0}`)}, Failure{Transfer, WrongBody}},
		{"unknown CA", Trace{Status: 200, Distrust: untrusted}, Failure{TLS, ServerUntrusted}},
		{"wrong name", Trace{Status: 200, Distrust: x509.HostnameError{Certificate: &x509.Certificate{}, Host: "x"}}, Failure{TLS, ServerWrongName}},
		{"expired", Trace{Status: 200, Distrust: x509.CertificateInvalidError{Reason: x509.Expired}}, Failure{TLS, ServerExpired}},
		{"both refuse each other", Trace{Phase: Processing, Err: alert("bad certificate"), Distrust: untrusted}, Failure{TLS, ClientRefused}},
		{"nobody asked for our certificate", Trace{Status: 200, CertificateNotRequested: true}, Failure{TLS, ClientNotRequested}},
		{"nor is it trusted", Trace{Status: 502, CertificateNotRequested: true, Distrust: untrusted}, Failure{TLS, ClientNotRequested}},
		{"nor does it stay", Trace{Phase: Processing, Err: io.EOF, CertificateNotRequested: true, Distrust: untrusted}, Failure{TLS, ClientNotRequested}},
		{"not asked, and closed", Trace{Phase: Processing, Err: io.EOF, CertificateNotRequested: true}, Failure{Processing, Closed}},
		{"a stranger who breaks off", Trace{Phase: Processing, Err: io.EOF, Distrust: untrusted}, Failure{TLS, ServerUntrusted}},
	} {
		t.Run(row.name, func(t *testing.T) {
			got, failed := FromTrace(row.trace)
			if got != row.want || failed != (row.want != Failure{}) {
				t.Errorf("got %v, %v; want %v", got, failed, row.want)
			}
			if failed && !slices.Contains(Failures, got) {
				t.Errorf("%v is not listed, so no series stands for it", got)
			}
		})
	}
}

func TestWhoIsThereBehindTheGateway(t *testing.T) {
	for _, row := range []struct {
		name           string
		trace          Trace
		answers, known bool
	}{
		{"well", Trace{Status: 200}, true, true},
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

func TestNoPairIsListedTwice(t *testing.T) {
	for i, f := range Failures {
		if slices.Contains(Failures[:i], f) {
			t.Errorf("%v is listed twice", f)
		}
	}
}
