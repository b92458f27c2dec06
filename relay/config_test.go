package relay

import (
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func sortedKeys(m map[string]any) []string { return slices.Sorted(maps.Keys(m)) }

func TestBadConfiguration(t *testing.T) {
	files := map[string]string{
		"dingtalk": "https://oapi.dingtalk.com/robot/send?access_token=hidden-token",
		"feishu":   "https://open.feishu.cn/open-apis/bot/v2/hook/hidden-token",
		"wecom":    "https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=hidden-token",
		"plain":    "http://oapi.dingtalk.com/robot/send?access_token=hidden-token",
		"page":     "https://example.com/hidden-token",
		"key":      "SEChidden-key",
		"nokey":    "hidden-keyword",
		"two":      "a\nhidden-token",
		"empty":    "",
		"long":     strings.Repeat("hidden-token", 400),
	}
	const robot = "a robot"
	for _, c := range []struct{ text, want string }{
		{"", `1: the file is empty; expected the key receivers`},
		{"receivers: []", `1: receivers: no receiver; expected at least one, each with name, type and url_file`},
		{"token_file: key", `1: receivers: no receiver; expected at least one, each with name, type and url_file`},
		{"receivers:\n- name: a b\n  type: wecom", `2: receivers[0].name: missing or not a name; expected up to 63 letters, digits, dots, dashes and underscores`},
		{"receivers:\n- name: " + strings.Repeat("a", 64) + "\n  type: wecom", `2: receivers[0].name: missing or not a name; expected up to 63 letters, digits, dots, dashes and underscores`},
		{"receivers:\n- name: a\n  type: dingding", `3: receivers[0].type: unknown; expected one of dingtalk, feishu, wecom, webhook`},
		{"receivers:\n- name: a\n  kind: wecom", `3:3: receivers[0]: unknown key; expected one of name, type, url_file, secret_file, keyword, lang, external_url`},
		{"receivers:\n- name: a\n  type: wecom", `2: receivers[0].url_file: missing; expected the path of a file with the URL of the robot`},
		{"receivers:\n- name: a\n  type: wecom\n  url_file: wecom\n- name: a\n  type: wecom\n  url_file: wecom", `5: receivers[1].name: "a" is receivers[0] already; expected each name once`},
		{"receivers:\n- name: a\n  type: wecom\n  url_file: wecom\n  secret_file: key", `5: receivers[0].secret_file: has no meaning here; expected it with dingtalk or feishu only`},
		{"receivers:\n- name: a\n  type: wecom\n  url_file: wecom\n  keyword: key", `5: receivers[0].keyword: has no meaning here; expected it with dingtalk or feishu only`},
		{"receivers:\n- name: a\n  type: wecom\n  url_file: wecom\n  lang: fr", `5: receivers[0].lang: unknown; expected zh or en`},
		{"receivers:\n- name: a\n  type: wecom\n  url_file: wecom\n  external_url: /x?hidden-token", `5: receivers[0].external_url: unexpected value; expected an http or https URL without user, query and fragment, such as https://rainbond.example.com`},
		{"receivers:\n- name: a\n  type: wecom\n  url_file: https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=hidden-token", `4: receivers[0].url_file: contains the secret itself; expected the path of a file`},
		{"receivers:\n- name: a\n  type: dingtalk\n  url_file: dingtalk\n  secret_file: SEChidden-key", `5: receivers[0].secret_file: contains the secret itself; expected the path of a file`},
		{"receivers:\n- name: a\n  type: wecom\n  url_file: absent", `4: receivers[0].url_file: no such file; expected a file with https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=KEY`},
		{"receivers:\n- name: a\n  type: wecom\n  url_file: empty", `4: receivers[0].url_file: the file is empty; expected a file with https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=KEY`},
		{"receivers:\n- name: a\n  type: wecom\n  url_file: two", `4: receivers[0].url_file: the file has more than one line; expected a file with https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=KEY`},
		{"receivers:\n- name: a\n  type: wecom\n  url_file: .", `4: receivers[0].url_file: the file cannot be read: is a directory; expected a file with https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=KEY`},
		{"receivers:\n- name: a\n  type: wecom\n  url_file: /dev/zero", `4: receivers[0].url_file: the file cannot be read: is a device; expected a file with https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=KEY`},
		{"receivers:\n- name: a\n  type: wecom\n  url_file: wecom\ntoken_file: long", `5: token_file: the file cannot be read: has more than 4096 bytes; expected a file with the token that Alertmanager sends`},
		{"receivers:\n- name: a\n  type: wecom\n  url_file: dingtalk", robot},
		{"receivers:\n- name: a\n  type: dingtalk\n  url_file: wecom", robot},
		{"receivers:\n- name: a\n  type: dingtalk\n  url_file: plain", robot},
		{"receivers:\n- name: a\n  type: feishu\n  url_file: page", robot},
		{"receivers:\n- name: a\n  type: webhook\n  url_file: key", robot},
		{"receivers:\n- name: a\n  type: dingtalk\n  url_file: dingtalk\n  secret_file: absent", `5: receivers[0].secret_file: no such file; expected a file with the key that the security settings of the robot show`},
		{"receivers:\n- name: a\n  type: dingtalk\n  url_file: dingtalk\n  secret_file: nokey", `5: receivers[0].secret_file: the file does not contain a signing key; expected SEC and letters, as the security settings of the robot show`},
		{"receivers:\n- name: a\n  type: feishu\n  url_file: feishu\ntoken_file: empty", `5: token_file: the file is empty; expected a file with the token that Alertmanager sends`},
	} {
		folder := t.TempDir()
		for name, text := range files {
			write(t, filepath.Join(folder, name), text)
		}
		path := filepath.Join(folder, "relay.yaml")
		write(t, path, c.text)
		if c.text == "" {
			write(t, path, "")
		}
		_, err := Load(path)
		if err == nil {
			t.Errorf("%s: no error", c.text)
			continue
		}
		got := strings.TrimPrefix(err.Error(), path+":")
		if c.want == robot && strings.HasPrefix(got, "4: receivers[0].url_file: the file does not contain the URL of a ") && strings.Contains(got, " robot; expected http") {
			c.want = got
		}
		if got != c.want || strings.Contains(got, "hidden") || strings.Contains(got, "\n") {
			t.Errorf("%s:\n%s, expected\n%s", c.text, got, c.want)
		}
	}
}

func TestListenAddress(t *testing.T) {
	for address, ok := range map[string]bool{"127.0.0.1:1": true, "[::1]:1": true, "localhost:1": true, ":10070": false, "0.0.0.0:1": false, "10.0.0.1:1": false, "vsock://:1": false, "example.com:1": false} {
		if err := new(Config).CheckAddress(address); (err == nil) != ok {
			t.Errorf("%s: %v", address, err)
		}
		if err := (&Config{TokenFile: "x"}).CheckAddress(address); err != nil {
			t.Errorf("%s with a token: %v", address, err)
		}
	}
}
