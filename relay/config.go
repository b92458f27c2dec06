// Package relay receives notifications of Alertmanager and posts them to the
// group robots of DingTalk, Feishu and WeCom, or to a webhook.
package relay

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/rainbond-exporter/rainbond-exporter/configfile"
	"github.com/rainbond-exporter/rainbond-exporter/report"
)

// Config is the content of --config.file. Relative paths start at its folder.
type Config struct {
	Receivers []Receiver `yaml:"receivers"`
	TokenFile string     `yaml:"token_file"` // the bearer token that Alertmanager sends; optional on loopback
}

// Receiver is one robot or webhook.
type Receiver struct {
	Name        string `yaml:"name"`         // the last part of the URL for Alertmanager
	Type        string `yaml:"type"`         // dingtalk, feishu, wecom or webhook
	URLFile     string `yaml:"url_file"`     // contains the URL of the robot, which is a secret
	SecretFile  string `yaml:"secret_file"`  // contains the signing key of dingtalk or feishu
	Keyword     string `yaml:"keyword"`      // of dingtalk or feishu: appended to messages without it
	Lang        string `yaml:"lang"`         // zh (default) or en
	ExternalURL string `yaml:"external_url"` // of the exporter's status page, for links; optional
}

// The types of receivers.
const (
	DingTalk = "dingtalk"
	Feishu   = "feishu"
	WeCom    = "wecom"
	Webhook  = "webhook"
)

// types are all types of receivers.
var types = []string{DingTalk, Feishu, WeCom, Webhook}

// validName matches the names of receivers up to maxName bytes. They are part of
// a URL.
var validName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)

// Load reads and checks a configuration file and the files that it names. An
// error names the file, the line, the key, and what was expected there.
func Load(path string) (*Config, error) {
	text, err := configfile.Read(path, "a YAML file", maxConfig)
	if err != nil {
		return nil, fmt.Errorf("read --config.file: %w", err)
	}
	c := new(Config)
	root, err := configfile.Decode(text, c, "the key receivers")
	if err == nil {
		err = c.check(root, filepath.Dir(path))
	}
	if err != nil {
		return nil, fmt.Errorf("%s:%w", path, err)
	}
	return c, nil
}

// check describes the first mistake, sets defaults and makes paths absolute or
// relative to the working directory.
func (c *Config) check(root *yaml.Node, folder string) error {
	if len(c.Receivers) == 0 {
		return configfile.Errorf(root.Line, "receivers: no receiver; expected at least one, each with name, type and url_file")
	}
	items := configfile.Child(root, "receivers").Content
	for i := range c.Receivers {
		r := &c.Receivers[i]
		where := fmt.Sprintf("receivers[%d]", i)
		if err := r.check(items[i], where, folder); err != nil {
			return err
		}
		if first := slices.IndexFunc(c.Receivers, func(other Receiver) bool { return other.Name == r.Name }); first < i {
			return configfile.Errorf(configfile.Child(items[i], "name").Line, "%s.name: %q is receivers[%d] already; expected each name once", where, r.Name, first)
		}
	}
	if c.TokenFile == "" {
		return nil
	}
	line := configfile.Child(root, "token_file").Line
	if strings.Contains(c.TokenFile, "\n") {
		return configfile.Errorf(line, "token_file: more than one line; expected the path of a file")
	}
	configfile.Resolve(folder, &c.TokenFile)
	if _, err := readSecret(c.TokenFile, expectedToken); err != nil {
		return configfile.Errorf(line, "token_file: %v", err)
	}
	return nil
}

// check describes the first mistake of one receiver.
func (r *Receiver) check(item *yaml.Node, where, folder string) error {
	fail := func(key, format string, args ...any) error {
		return configfile.Errorf(configfile.Child(item, key).Line, "%s.%s: %s", where, key, fmt.Sprintf(format, args...))
	}
	if r.Lang == "" {
		r.Lang = "zh"
	}
	signed := r.Type == DingTalk || r.Type == Feishu
	switch {
	case len(r.Name) > maxName || !validName.MatchString(r.Name):
		return fail("name", "missing or not a name; expected up to 63 letters, digits, dots, dashes and underscores")
	case !slices.Contains(types, r.Type):
		return fail("type", "unknown; expected one of %s", strings.Join(types, ", "))
	case r.Lang != "zh" && r.Lang != "en":
		return fail("lang", "unknown; expected zh or en")
	case r.SecretFile != "" && !signed:
		return fail("secret_file", "has no meaning here; expected it with dingtalk or feishu only")
	case r.Keyword != "" && !signed:
		return fail("keyword", "has no meaning here; expected it with dingtalk or feishu only")
	case r.URLFile == "":
		return fail("url_file", "missing; expected the path of a file with the URL of the robot")
	}
	if err := report.CheckURL(&r.ExternalURL, "https://rainbond.example.com"); err != nil {
		return fail("external_url", "%v", err)
	}
	for _, file := range [][2]string{{"url_file", r.URLFile}, {"secret_file", r.SecretFile}} {
		if key, path := file[0], file[1]; strings.Contains(path, "://") || strings.Contains(path, "\n") || strings.HasPrefix(path, "SEC") && !strings.Contains(path, "/") {
			return fail(key, "contains the secret itself; expected the path of a file")
		}
	}
	configfile.Resolve(folder, &r.URLFile, &r.SecretFile)
	if _, err := r.url(); err != nil {
		return fail("url_file", "%v", err)
	}
	if _, err := r.secret(); err != nil {
		return fail("secret_file", "%v", err)
	}
	return nil
}

// expectedURL is the form of the URL of each type of robot.
var expectedURL = map[string]string{
	DingTalk: "https://oapi.dingtalk.com/robot/send?access_token=TOKEN",
	Feishu:   "https://open.feishu.cn/open-apis/bot/v2/hook/TOKEN",
	WeCom:    "https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=KEY",
	Webhook:  "http://HOST/PATH or https://HOST/PATH",
}

// url reads the URL of the robot. The file is read for each message, so that a
// changed Secret is used at once. Other hosts are accepted, because there are
// private installations and proxies; their paths are the same.
func (r *Receiver) url() (*url.URL, error) {
	text, err := readSecret(r.URLFile, "a file with "+expectedURL[r.Type])
	if err != nil {
		return nil, err
	}
	u, err := url.Parse(text)
	ok := err == nil && u.Host != "" && u.User == nil && u.Fragment == ""
	if ok {
		encrypted := u.Scheme == "https" || u.Scheme == "http" && isLoopback(u.Hostname())
		switch r.Type {
		case DingTalk:
			ok = encrypted && strings.HasSuffix(u.Path, "/robot/send") && u.Query().Get("access_token") != ""
		case Feishu:
			before, token, found := strings.Cut(u.Path, "/open-apis/bot/v2/hook/")
			ok = encrypted && found && before == "" && token != "" && !strings.Contains(token, "/")
		case WeCom:
			ok = encrypted && strings.HasSuffix(u.Path, "/cgi-bin/webhook/send") && u.Query().Get("key") != ""
		default:
			ok = u.Scheme == "https" || u.Scheme == "http"
		}
	}
	if !ok {
		return nil, fmt.Errorf("the file does not contain the URL of a %s robot; expected %s", r.Type, expectedURL[r.Type])
	}
	return u, nil
}

// secret reads the key that signs the messages, "" without one.
func (r *Receiver) secret() (string, error) {
	if r.SecretFile == "" {
		return "", nil
	}
	text, err := readSecret(r.SecretFile, "a file with the key that the security settings of the robot show")
	if err != nil {
		return "", err
	}
	if r.Type == DingTalk && !strings.HasPrefix(text, "SEC") {
		return "", fmt.Errorf("the file does not contain a signing key; expected SEC and letters, as the security settings of the robot show")
	}
	return text, nil
}

const expectedToken = "a file with the token that Alertmanager sends"

// The maximum sizes of a secret, of the configuration file and of a name, in bytes.
const (
	maxSecret = 4096
	maxConfig = 1 << 20
	maxName   = 63
)

// readSecret reads a file with one secret, without the blanks around it. Its
// errors name what was expected, and do not contain the name of the file.
func readSecret(path, expected string) (string, error) {
	text, err := configfile.Read(path, expected, maxSecret)
	secret := strings.TrimSpace(string(text))
	why := ""
	switch {
	case errors.Is(err, fs.ErrNotExist):
		why = "no such file"
	case errors.Is(err, fs.ErrPermission):
		why = "no permission to read the file"
	case err != nil:
		if about := (*fs.PathError)(nil); errors.As(err, &about) {
			err = about.Err
		}
		return "", fmt.Errorf("the file cannot be read: %w", err)
	case secret == "":
		why = "the file is empty"
	case strings.ContainsAny(secret, "\n\r"):
		why = "the file has more than one line"
	default:
		return secret, nil
	}
	return "", fmt.Errorf("%s; expected %s", why, expected)
}

// isLoopback reports whether a host is this machine, by its name or address.
func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// CheckAddress returns an error if anybody but this machine could post messages
// without a token.
func (c *Config) CheckAddress(address string) error {
	host, _, err := net.SplitHostPort(address)
	if c.TokenFile != "" || err == nil && isLoopback(host) {
		return nil
	}
	return fmt.Errorf("--web.listen-address: %q is not on loopback; expected 127.0.0.1:PORT, or token_file in --config.file", address)
}
