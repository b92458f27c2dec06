package region

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
)

const (
	// shortest is how long a credential must be to be looked for: a shorter
	// one would blank out words.
	shortest = 8

	// maxComplaint is how much of a refusal of the Kubernetes API is read.
	maxComplaint = 64 << 10
)

var (
	unsaidCredential = []byte("[credential]")
	privateKey       = regexp.MustCompile(`-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----(?:[^-]*-----END [A-Z0-9 ]*PRIVATE KEY-----|(?s:.*))`)
)

// unsaid takes out of a server's words what ought not to be repeated: the
// credentials that it was sent, which proxies and debugging servers throw
// back, and private keys. Words that were cut off may end in a part of one.
func unsaid(words []byte, sent ...string) []byte {
	for _, credential := range sent {
		if len(credential) < shortest {
			continue
		}
		words = bytes.ReplaceAll(words, []byte(credential), unsaidCredential)
		for n := min(len(credential)-1, len(words)); n >= shortest; n-- {
			if bytes.HasSuffix(words, []byte(credential[:n])) {
				words = append(words[:len(words)-n:len(words)-n], unsaidCredential...)
				break
			}
		}
	}
	return privateKey.ReplaceAll(words, []byte("[private key]"))
}

// quoted is what net/http repeats of an answer that is not HTTP.
var quoted = regexp.MustCompile(`"(?:[^"\\]|\\.)*"`)

// tactful is an error about an answer without what ought not to be repeated
// of it. Its first line is told, for it may say who answers in place of the
// region; of what follows, such as a line of a key among the headers, nothing.
func tactful(err error, sent string) error {
	if err == nil || !quoted.MatchString(err.Error()) {
		return err
	}
	text := err.Error()
	if !strings.HasPrefix(text, "malformed HTTP response ") {
		text = quoted.ReplaceAllString(text, "[not repeated]")
	}
	escaped := strconv.Quote(sent)
	return errors.New(string(unsaid([]byte(text), sent, escaped[1:len(escaped)-1])))
}

// discreet passes on what the Kubernetes API answers, its refusals without the
// credentials that it was sent: they become the text of errors.
type discreet struct{ http.RoundTripper }

func (d discreet) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := d.RoundTripper.RoundTrip(r)
	if err != nil || response.StatusCode < http.StatusBadRequest {
		return response, err
	}
	words, err := io.ReadAll(io.LimitReader(response.Body, maxComplaint))
	_ = response.Body.Close()
	if err != nil {
		return nil, err
	}
	words = unsaid(words, credentials(r.Header.Get("Authorization"))...)
	response.Body, response.ContentLength = io.NopCloser(bytes.NewReader(words)), int64(len(words))
	response.Header.Del("Content-Length")
	return response, nil
}

// credentials are what stands in an Authorization header: the token, or the
// password packed and unpacked.
func credentials(header string) []string {
	_, packed, _ := strings.Cut(header, " ")
	all := []string{packed}
	if open, err := base64.StdEncoding.DecodeString(packed); err == nil {
		_, password, _ := strings.Cut(string(open), ":")
		all = append(all, password)
	}
	return all
}
