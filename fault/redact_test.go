package fault

import (
	"bufio"
	"net/http"
	"strings"
	"testing"
)

func TestRedact(t *testing.T) {
	const token = "eyJhbGciOiJSUzI1NiJ9"
	for _, c := range []struct{ words, want string }{
		{"HTTP 500: database is away", "HTTP 500: database is away"},
		{"Authorization: Bearer " + token + "\nHost: a", "Authorization: Bearer [credential]\nHost: a"},
		{"cut off: " + token[:12], "cut off: [credential]"},
		{"key: -----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----\nend", "key: [private key]\nend"},
		{"key cut off: -----BEGIN PRIVATE KEY-----\nMII-", "key cut off: [private key]"},
		{"-----BEGIN CERTIFICATE-----\nMIIE\n-----END CERTIFICATE-----", "-----BEGIN CERTIFICATE-----\nMIIE\n-----END CERTIFICATE-----"},
		{"short ones are words", "short ones are words"},
	} {
		if got := string(Redact([]byte(c.words), token, "words")); got != c.want {
			t.Errorf("%q becomes %q, expected %q", c.words, got, c.want)
		}
	}
}

func TestRedactErrorOfAnAnswerThatIsNotHTTP(t *testing.T) {
	const token = `t0ken"withquote`
	for _, c := range []struct{ answer, want string }{
		{"SSH-2.0-OpenSSH_9.2\r\n", `malformed HTTP response "SSH-2.0-OpenSSH_9.2"`},
		{"you-said-" + token + "\r\n", `malformed HTTP response "you-said-[credential]"`},
		{"HTTP/1.1 2oo OK\r\n\r\n", "malformed HTTP status code [not repeated]"},
		{"HTTP/1.1 200 OK\r\nMIIEpAIBAAKCAQEA\r\n\r\n", "malformed MIME header: missing colon: [not repeated]"},
		{"HTTP/1.1 200 OK\r\nContent-Length: " + token + "\r\n\r\n", "bad Content-Length [not repeated]"},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: " + token + "\r\n\r\n", "unsupported transfer encoding: [not repeated]"},
		{"", "unexpected EOF"},
	} {
		response, err := http.ReadResponse(bufio.NewReader(strings.NewReader(c.answer)), nil)
		if err == nil {
			_ = response.Body.Close()
			t.Errorf("%q is taken for HTTP", c.answer)
			continue
		}
		if got := RedactError(err, token); got.Error() != c.want {
			t.Errorf("%q becomes %q, expected %q", c.answer, got, c.want)
		}
	}
}
