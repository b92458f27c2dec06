// Package relaytest imitates the group robots of DingTalk, Feishu and WeCom, as
// their vendors document them: signature, keyword, size, rate and error codes.
package relaytest

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

// A Robot is an http.Handler that responds as a robot of Type. The zero values of
// Secret and Keyword are robots without these checks.
type Robot struct {
	Type    string // dingtalk, feishu, wecom or webhook
	Token   string // in the URL
	Secret  string
	Keyword string

	mu       sync.Mutex
	messages []string
	times    []time.Time
	blocked  time.Time
}

// Path returns the path and query of the robot's URL.
func (r *Robot) Path() string {
	switch r.Type {
	case "dingtalk":
		return "/robot/send?access_token=" + r.Token
	case "feishu":
		return "/open-apis/bot/v2/hook/" + r.Token
	case "wecom":
		return "/cgi-bin/webhook/send?key=" + r.Token
	}
	return "/" + r.Token
}

// Messages returns the bodies of the accepted messages.
func (r *Robot) Messages() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string{}, r.messages...)
}

// ServeHTTP responds with status 200 and the vendor's code in the body.
func (r *Robot) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	code, text := 0, "ok"
	switch {
	case err != nil:
		code, text = -1, err.Error()
	case r.Type == "dingtalk":
		code, text = r.dingTalk(req, body)
	case r.Type == "feishu":
		code, text = r.feishu(req, body)
	case r.Type == "wecom":
		code, text = r.weCom(req, body)
	}
	if code == 0 {
		r.mu.Lock()
		r.messages = append(r.messages, string(body))
		r.mu.Unlock()
	}
	answer := map[string]any{"errcode": code, "errmsg": text}
	if r.Type == "feishu" {
		answer = map[string]any{"code": code, "msg": text, "data": map[string]any{}}
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(answer)
}

// tooMany reports whether more than n requests arrived in the last period, this
// one included.
func (r *Robot) tooMany(n int, period time.Duration) bool {
	count := 0
	for _, t := range r.times {
		if time.Since(t) < period {
			count++
		}
	}
	return count > n
}

// hit counts a request.
func (r *Robot) hit() { r.times = append(r.times, time.Now()) }

// dingTalk follows https://open.dingtalk.com/document/robots/custom-robot-access.
func (r *Robot) dingTalk(req *http.Request, body []byte) (int, string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	query := req.URL.Query()
	if req.URL.Path != "/robot/send" || query.Get("access_token") != r.Token {
		return 400101, "token is not exist"
	}
	if r.Secret != "" {
		stamp := query.Get("timestamp")
		millis, err := strconv.ParseInt(stamp, 10, 64)
		if err != nil || time.Since(time.UnixMilli(millis)).Abs() > time.Hour {
			return 310000, "invalid timestamp"
		}
		if query.Get("sign") != hash(r.Secret, stamp+"\n"+r.Secret) {
			return 310000, "sign not match"
		}
	}
	var m struct {
		Type     string `json:"msgtype"`
		Markdown struct{ Title, Text string }
	}
	if err := json.Unmarshal(body, &m); err != nil || req.Method != http.MethodPost || !strings.HasPrefix(req.Header.Get("Content-Type"), "application/json") {
		return 43004, "invalid http header content-type or body"
	}
	switch {
	case m.Type != "markdown":
		return 400105, "unsupported msgtype"
	case m.Markdown.Title == "" || m.Markdown.Text == "":
		return 40035, "miss param : markdown"
	case len(body) > 20000:
		return 460101, "message too long, exceed 20000 bytes"
	case !strings.Contains(m.Markdown.Text, r.Keyword):
		return 310000, "keywords not in content"
	}
	r.hit()
	if time.Now().Before(r.blocked) || r.tooMany(20, time.Minute) {
		if !time.Now().Before(r.blocked) {
			r.blocked = time.Now().Add(10 * time.Minute)
		}
		return 130101, "send too fast, exceed 20 times per minute"
	}
	return 0, "ok"
}

// feishu follows https://open.feishu.cn/document/client-docs/bot-v3/add-custom-bot.
func (r *Robot) feishu(req *http.Request, body []byte) (int, string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if req.URL.Path != "/open-apis/bot/v2/hook/"+r.Token {
		return 19001, "param invalid: incoming webhook access token invalid"
	}
	type text struct{ Tag, Content string }
	var m struct {
		Timestamp, Sign string
		Type            string `json:"msg_type"`
		Card            struct {
			Header struct {
				Title    text
				Template string
			}
			Elements []struct{ Tag string }
		}
	}
	if err := json.Unmarshal(body, &m); err != nil || len(body) > 20<<10 || m.Type != "interactive" || m.Card.Header.Title.Content == "" || len(m.Card.Elements) == 0 {
		return 9499, "Bad Request"
	}
	for _, e := range m.Card.Elements {
		if !slices.Contains([]string{"div", "hr", "action", "note"}, e.Tag) {
			return 9499, "Bad Request"
		}
	}
	if r.Secret != "" {
		seconds, err := strconv.ParseInt(m.Timestamp, 10, 64)
		if err != nil || time.Since(time.Unix(seconds, 0)).Abs() > time.Hour || m.Sign != hash(m.Timestamp+"\n"+r.Secret, "") {
			return 19021, "sign match fail or timestamp is not within one hour from current time"
		}
	}
	if !strings.Contains(string(body), r.Keyword) {
		return 19024, "Key Words Not Found"
	}
	r.hit()
	if r.tooMany(5, time.Second) || r.tooMany(100, time.Minute) {
		return 11232, "frequency limited"
	}
	return 0, "success"
}

// weCom follows https://developer.work.weixin.qq.com/document/path/91770.
func (r *Robot) weCom(req *http.Request, body []byte) (int, string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if req.URL.Path != "/cgi-bin/webhook/send" || req.URL.Query().Get("key") != r.Token {
		return 93000, "invalid webhook url"
	}
	var m struct {
		Type     string `json:"msgtype"`
		Markdown struct{ Content string }
	}
	if err := json.Unmarshal(body, &m); err != nil || m.Type != "markdown" || !utf8.Valid(body) {
		return 40008, "invalid message type"
	}
	if n := len(m.Markdown.Content); n == 0 || n > 4096 {
		return 40058, fmt.Sprintf("markdown.content exceed max length 4096. invalid Request Parameter: %d", n)
	}
	r.hit()
	if r.tooMany(20, time.Minute) {
		return 45009, "api freq out of limit"
	}
	return 0, "ok"
}

func hash(key, text string) string {
	h := hmac.New(sha256.New, []byte(key))
	h.Write([]byte(text))
	return base64.StdEncoding.EncodeToString(h.Sum(nil))
}
