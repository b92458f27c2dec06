package fault

import (
	"bytes"
	"encoding/base64"
	"errors"
	"regexp"
	"strconv"
	"strings"
)

// minCredential is the length from which a credential is searched for. A
// shorter one would remove ordinary words.
const minCredential = 8

var (
	redactedCredential = []byte("[credential]")
	privateKey         = regexp.MustCompile(`-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----(?:[^-]*-----END [A-Z0-9 ]*PRIVATE KEY-----|(?s:.*))`)
)

// Redact returns a server's text without private keys and without the
// credentials that it was sent, which proxies and debugging servers repeat. A
// text that was cut off may end in a part of one.
func Redact(text []byte, sent ...string) []byte {
	for _, credential := range sent {
		if len(credential) < minCredential {
			continue
		}
		text = bytes.ReplaceAll(text, []byte(credential), redactedCredential)
		for n := min(len(credential)-1, len(text)); n >= minCredential; n-- {
			if bytes.HasSuffix(text, []byte(credential[:n])) {
				text = append(text[:len(text)-n:len(text)-n], redactedCredential...)
				break
			}
		}
	}
	return privateKey.ReplaceAll(text, []byte("[private key]"))
}

// quoted is what net/http repeats of an answer that is not HTTP.
var quoted = regexp.MustCompile(`"(?:[^"\\]|\\.)*"`)

// RedactError returns an error of net/http about an answer without the
// credential that was sent and without the quoted parts of the answer. Only
// the quoted first line stays, because it names the server that answers in
// place of the region. A later line may be a line of a key.
func RedactError(err error, sent string) error {
	if err == nil || !quoted.MatchString(err.Error()) {
		return err
	}
	text := err.Error()
	if !strings.HasPrefix(text, "malformed HTTP response ") {
		text = quoted.ReplaceAllString(text, "[not repeated]")
	}
	escaped := strconv.Quote(sent)
	return errors.New(string(Redact([]byte(text), sent, escaped[1:len(escaped)-1])))
}

// Credentials returns the secrets of an Authorization header: the token, or
// the password both encoded and decoded.
func Credentials(header string) []string {
	_, encoded, _ := strings.Cut(header, " ")
	all := []string{encoded}
	if decoded, err := base64.StdEncoding.DecodeString(encoded); err == nil {
		_, password, _ := strings.Cut(string(decoded), ":")
		all = append(all, password)
	}
	return all
}
