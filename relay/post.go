package relay

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

func formatInt(n int64) string { return strconv.FormatInt(n, 10) }

// signature returns the HMAC-SHA256 of text, in Base64.
func signature(key, text string) string {
	h := hmac.New(sha256.New, []byte(key))
	h.Write([]byte(text))
	return base64.StdEncoding.EncodeToString(h.Sum(nil))
}

// A result is the outcome of one message.
type result struct {
	outcome string
	code    int    // of the vendor; 0 without one
	reason  string // "" if delivered; contains no secret
}

// postTimeout is the time limit of one message.
const postTimeout = 10 * time.Second

// post sends one request to the robot.
func (r *Receiver) post(ctx context.Context, client *http.Client, body []byte) result {
	target, err := r.url()
	if err != nil {
		return result{outcome: rejected, reason: "url_file: " + err.Error()}
	}
	secret, err := r.secret()
	if err != nil {
		return result{outcome: rejected, reason: "secret_file: " + err.Error()}
	}
	if secret != "" && r.Type == Feishu {
		body = sign(body, secret, time.Now())
	}
	if secret != "" && r.Type == DingTalk {
		stamp := formatInt(time.Now().UnixMilli())
		query := target.Query()
		query.Set("timestamp", stamp)
		query.Set("sign", signature(secret, stamp+"\n"+secret))
		target.RawQuery = query.Encode()
	}
	hidden := redactor(target, secret)
	ctx, cancel := context.WithTimeout(ctx, postTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target.String(), bytes.NewReader(body))
	if err != nil {
		return result{outcome: rejected, reason: "the URL cannot be requested"}
	}
	req.Header.Set("Content-Type", "application/json; charset=utf-8")
	response, err := client.Do(req)
	if err != nil {
		return result{outcome: unreachable, reason: hidden(withoutURL(err))}
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(response.Body, 64<<10))
	if err != nil {
		return result{outcome: unreachable, reason: hidden(withoutURL(err))}
	}
	verdict := r.read(response.StatusCode, answer)
	verdict.reason = hidden(verdict.reason)
	return verdict
}

// withoutURL returns the text of an error of net/http without the URL, whose
// token is a secret.
func withoutURL(err error) string {
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		err = wrapped.Err
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Sprintf("no response within %s", postTimeout)
	}
	return err.Error()
}

// redactor returns a function that shortens a text to one line and removes the
// secrets of a request from it.
func redactor(target *url.URL, secret string) func(string) string {
	secrets := []string{target.String(), target.RequestURI(), secret}
	for _, values := range target.Query() {
		secrets = append(secrets, values...)
	}
	secrets = append(secrets, strings.Split(target.Path, "/")...)
	var pairs []string
	for _, s := range secrets {
		if len(s) >= 8 {
			pairs = append(pairs, s, "<redacted>", url.QueryEscape(s), "<redacted>")
		}
	}
	replacer := strings.NewReplacer(pairs...)
	return func(text string) string {
		return cut(strings.Join(strings.Fields(printable(replacer.Replace(text))), " "), 300)
	}
}

// The codes of the vendors for too many messages, and for an error on their side.
var (
	tooMany = map[string][]int{DingTalk: {130101, 410100, 90030}, Feishu: {11232, 99991400}, WeCom: {45009, 45033}}
	busy    = map[string][]int{DingTalk: {-1}, WeCom: {-1}}
)

// read returns the result of a response. The vendors respond with 200 and a code
// in the body; a body without a code is no confirmation.
func (r *Receiver) read(status int, body []byte) result {
	var answer struct {
		ErrCode    *int   `json:"errcode"` // DingTalk and WeCom
		ErrMsg     string `json:"errmsg"`
		Code       *int   `json:"code"` // Feishu
		Msg        string `json:"msg"`
		StatusCode *int   `json:"StatusCode"` // Feishu, formerly
		Punish     string `json:"punish"`     // DingTalk's firewall
	}
	_ = json.Unmarshal(body, &answer) // a page of HTML leaves it empty
	code, text := answer.ErrCode, answer.ErrMsg
	if r.Type == Feishu {
		code, text = answer.Code, answer.Msg
		if code == nil {
			code = answer.StatusCode
		}
	}
	switch {
	case status == http.StatusTooManyRequests || answer.Punish != "":
		return result{outcome: rateLimited, reason: fmt.Sprintf("HTTP status %d: too many requests", status)}
	case r.Type == Webhook && status >= 200 && status < 300:
		return result{outcome: delivered}
	case status >= 500:
		return result{outcome: unreachable, reason: fmt.Sprintf("HTTP status %d", status)}
	case status >= 300 && status < 400:
		return result{outcome: rejected, reason: fmt.Sprintf("HTTP status %d: a redirection, which the relay does not follow", status)}
	case r.Type == Webhook:
		return result{outcome: rejected, reason: fmt.Sprintf("HTTP status %d", status)}
	case code == nil:
		return result{outcome: unreachable, reason: fmt.Sprintf("HTTP status %d and no code in the body; expected the answer of a %s robot", status, r.Type)}
	case *code == 0 && status == http.StatusOK:
		return result{outcome: delivered}
	}
	verdict := result{outcome: rejected, code: *code, reason: fmt.Sprintf("code %d: %s", *code, text)}
	if slices.Contains(tooMany[r.Type], *code) || r.Type == Feishu && *code == 9499 && strings.Contains(strings.ToLower(text), "too many") {
		verdict.outcome = rateLimited
	} else if slices.Contains(busy[r.Type], *code) {
		verdict.outcome = unreachable
	}
	return verdict
}
