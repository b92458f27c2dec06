package region

import "testing"

func TestWhatOughtNotToBeRepeatedIsTakenOut(t *testing.T) {
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
		if got := string(unsaid([]byte(c.words), token, "words")); got != c.want {
			t.Errorf("%q becomes %q, expected %q", c.words, got, c.want)
		}
	}
}
