package main

import (
	"bytes"
	"crypto/rand"
	"database/sql"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rainbond-exporter/rainbond-exporter/demo/pki"
)

// window is how many bytes of a secret in a row are too many.
const window = 16

// planted maps each run of 16 bytes of the planted secrets to the name of its
// secret.
type planted map[string]string

// plant notes a secret in the forms in which it may get out: as it is, and as
// Go, JSON, base64 and hex would write it.
func (p planted) plant(name string, secret []byte) []byte {
	forms := [][]byte{secret, []byte(base64.StdEncoding.EncodeToString(secret)), []byte(hex.EncodeToString(secret))}
	for rest := secret; ; { // of a PEM only what it holds is secret, not its frame
		block, more := pem.Decode(rest)
		if block == nil {
			break
		}
		if len(forms) == 3 {
			forms = nil
		}
		rest = more
		if strings.Contains(block.Type, "PRIVATE KEY") {
			packed := base64.StdEncoding.EncodeToString(block.Bytes)
			forms = append(forms, block.Bytes, []byte(packed), []byte(hex.EncodeToString(block.Bytes)))
		}
	}
	for _, form := range forms {
		for i := 0; i+window <= len(form); i++ {
			p[string(form[i:i+window])] = name
		}
	}
	return secret
}

// in returns whose secret shows in a text; lines that a key was broken into
// are put together.
func (p planted) in(text string) string {
	for _, form := range []string{text, strings.NewReplacer("\n", "", `\n`, "").Replace(text)} {
		for i := 0; i+window <= len(form); i++ {
			if name, ok := p[form[i:i+window]]; ok {
				return name
			}
		}
	}
	return ""
}

// outputOf returns everything that a command prints: output, log and error.
func outputOf(t *testing.T, args ...string) string {
	t.Helper()
	var out, errs bytes.Buffer
	run(t.Context(), args, &out, &errs)
	return out.String() + errs.String()
}

// TestNoSecretIsExposed plants keys, tokens and passwords wherever we read, has
// servers that throw back what they were sent, and reads all output.
func TestNoSecretIsExposed(t *testing.T) {
	secrets, folder := planted{}, t.TempDir()
	file := func(name string, text []byte) string {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	token := func(name string) string {
		return string(secrets.plant(name, []byte(rand.Text()+rand.Text())))
	}
	one, err := pki.New(2048, net.IPv4(127, 0, 0, 1))
	if err != nil {
		t.Fatal(err)
	}
	secrets.plant("client key", one.ClientKey)
	secrets.plant("server key", one.ServerKey)

	// A region that throws back every header it was sent, and its own key.
	echo := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Echo", r.Header.Get("Authorization"))
		w.WriteHeader(http.StatusInternalServerError)
		_ = r.Header.Write(w)
		_, _ = w.Write(one.ServerKey)
	}
	hostile := httptest.NewTLSServer(http.HandlerFunc(echo))
	defer hostile.Close()
	// One whose answer is no HTTP, but what it was sent and its own key again.
	garbled := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, out, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer func() { _ = conn.Close() }()
		fmt.Fprintf(out, "HTTP/1.1 200 OK\r\n%s\r\n%s\r\n\r\n", r.Header.Get("Authorization"), one.ServerKey)
		_ = out.Flush()
	}))
	defer garbled.Close()
	authority := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: hostile.Certificate().Raw})

	key, wrong := file("client.key.pem", one.ClientKey), file("wrong.pem", append([]byte("x"), one.ClientKey...))
	regions := fmt.Sprintf(`regions:
  - {name: healthy, url: %q, ca_file: %q, cert_file: %q, key_file: %q, server_name: example.com, token_file: %q}
  - {name: key-as-ca, url: %q, ca_file: %q, cert_file: %q, key_file: %q}
  - {name: key-as-certificate, url: %q, ca_file: %q, cert_file: %q, key_file: %q}
  - {name: garbled, url: %q, ca_file: %q, cert_file: %q, key_file: %q, server_name: example.com, token_file: %q}
  - {name: broken-key, url: %q, ca_file: %q, cert_file: %q, key_file: %q, token_file: %q}
`, hostile.URL, file("ca.pem", authority), file("client.pem", one.Client), key, file("token", []byte(token("region token"))),
		hostile.URL, key, key, wrong,
		hostile.URL, file("own-ca.pem", one.CA), wrong, key,
		garbled.URL, file("ca3.pem", authority), file("client3.pem", one.Client), key, file("token3", []byte(token("token that is thrown back"))),
		hostile.URL, file("ca2.pem", authority), file("both.pem", append(one.ClientKey, one.Client...)), file("half.pem", one.ClientKey[:len(one.ClientKey)/2]),
		file("token2", []byte(token("second token")+"\n\x00line")))

	output := map[string]string{}
	collect := func(name string, args ...string) {
		e := served(t, append([]string{"serve", "--log.level=debug"}, args...)...)
		var all strings.Builder
		for _, path := range []string{"/metrics", "/?lang=en", "/?lang=zh", "/api/v1/diagnosis", "/sd", "/guide", "/probe?region=healthy", "/probe?region=healthy&debug=true", "/probe?region=garbled&debug=true",
			"/probe?region=broken-key", "/probe?region=broken-key&debug=true", "/probe?region=nobody", "/-/ready", "/debug/pprof/", "/nothing"} {
			_, body := e.do(http.MethodGet, path, nil)
			all.WriteString(body)
		}
		output[name+" serves"] = all.String()
		if len(args) > 1 && strings.HasPrefix(args[1], "--config.file=") {
			path := strings.TrimPrefix(args[1], "--config.file=")
			good, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			for i, bad := range []string{"password: " + token("password in the configuration"),
				"regions: [{name: a, url: 'https://u:" + token("password in a URL") + "@127.0.0.1:1', ca_file: a, cert_file: b, key_file: c}]",
				"regions: [{name: a, url: '%zz" + token("password in no URL") + "', ca_file: a, cert_file: b, key_file: c}]",
				"regions: [{name: a, url: 'https://a:1', ca_file: a, cert_file: b, key_file: " + fmt.Sprintf("%q", one.ClientKey) + "}]",
				"console: {driver: mysql, host: 127.0.0.1, user: u, password_file: {" + token("password that is a map") + ": 1}}",
				"console: " + token("password that is a text"),
				"console: {driver: mysql, host: h, user: u, password_file: f, port: " + token("password as port") + "}",
				"console: {driver: mysql, host: 127.0.0.1, port: 1, user: u, password_file: " + token("password in place of its file") + "}",
				"console: {driver: mysql, host: 127.0.0.1, port: 1, user: u, password_file: /etc/" + token("password in place of an absolute file") + "}",
				"console: {driver: " + token("password as driver") + "}",
				"console: {driver: mysql, " + token("password as key") + "}",
				"console: {driver: mysql, password_file: *" + token("password that YAML takes for an alias") + "}",
				"regions: [{name: a, url: " + token("password as URL") + ", ca_file: a, cert_file: b, key_file: c}]",
				"regions: [{name: a, url: 'https://127.0.0.1:1', ca_file: a, cert_file: b, key_file: c, token_file: " + token("token in place of its file") + "}]",
				string(one.ClientKey),
			} {
				file(filepath.Base(path), []byte(bad))
				_, body := e.do(http.MethodPost, "/-/reload", nil)
				output[fmt.Sprintf("%s reloads bad file %d", name, i)] = body
				output[fmt.Sprintf("%s checks bad file %d", name, i)] = outputOf(t, append([]string{"check"}, args...)...)
			}
			file(filepath.Base(path), good)
		}
		output[name+" logs"] = e.logs.String()
		for _, format := range []string{"text", "json"} {
			output[name+" checks as "+format] = outputOf(t, append([]string{"check", "--lang=en", "--output=" + format, "--log.level=debug"}, args...)...)
		}
	}

	collect("files", "--role=console", "--config.file="+file("files.yaml", []byte(regions)))
	collect("sqlite", "--role=console", "--config.file="+file("sqlite.yaml", fmt.Appendf(nil, "console: {driver: sqlite, path: %q}\n", consoleWith(t, folder, hostile.URL, token, one))))
	refusing, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = refusing.Close()
	collect("mysql", "--role=console", "--config.file="+file("mysql.yaml", fmt.Appendf(nil, "console: {driver: mysql, host: 127.0.0.1, port: %d, user: u, password_file: %q}\n",
		refusing.Addr().(*net.TCPAddr).Port, file("password", []byte(token("database password"))))))
	for name, user := range map[string]string{
		"token":    "token: " + token("kubeconfig token"),
		"password": "username: u\n    password: " + token("kubeconfig password"),
		"key":      "client-certificate-data: " + base64.StdEncoding.EncodeToString(one.Client) + "\n    client-key-data: " + base64.StdEncoding.EncodeToString(one.ClientKey),
		"bad":      "client-key-data: " + token("key that is no base64"),
	} {
		kubeconfig := fmt.Sprintf("apiVersion: v1\nkind: Config\ncurrent-context: c\nclusters:\n- name: c\n  cluster: {server: %q, insecure-skip-tls-verify: true}\n"+
			"contexts:\n- name: c\n  context: {cluster: c, user: u}\nusers:\n- name: u\n  user:\n    %s\n", hostile.URL, user)
		if name == "bad" {
			output["kubeconfig bad"] = outputOf(t, "check", "--kubeconfig="+file("bad.kubeconfig", []byte(kubeconfig)))
			continue
		}
		collect("kubeconfig with a "+name, "--role=cluster", "--kubeconfig="+file(name+".kubeconfig", []byte(kubeconfig)))
	}
	output["web configuration"] = outputOf(t, "serve", "--role=node", "--web.listen-address=127.0.0.1:0",
		"--web.config.file="+file("web.yml", []byte("basic_auth_users: ["+token("password in the web configuration")+"]\n")))

	for where, text := range output {
		if text == "" {
			t.Errorf("%s: no output, so the test proves nothing", where)
		}
		if whose := secrets.in(text); whose != "" {
			t.Errorf("%s: exposes a part of the %s", where, whose)
			if testing.Verbose() {
				t.Logf("%.4000s", text)
			}
		}
	}
	if len(output) < 30 {
		t.Errorf("only %d texts were read", len(output))
	}
}

// consoleWith returns a console database that has keys where they belong and where
// people paste them.
func consoleWith(t *testing.T, folder, url string, token func(string) string, one pki.Generation) string {
	t.Helper()
	path := filepath.Join(folder, "db.sqlite3")
	db, err := sql.Open("sqlite", "file:"+path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	execute := func(query string, args ...any) {
		if _, err := db.ExecContext(t.Context(), query, args...); err != nil {
			t.Fatal(err)
		}
	}
	execute("CREATE TABLE region_info (ID INTEGER PRIMARY KEY, region_name VARCHAR(64) UNIQUE, url VARCHAR(256), token VARCHAR(255) NULL, status VARCHAR(2), ssl_ca_cert TEXT NULL, cert_file TEXT NULL, key_file TEXT NULL)")
	for name, row := range map[string][]any{
		"healthy":    {url, token("token in the database"), one.CA, one.Client, one.ClientKey},
		"broken-key": {url, token("other token in the database"), one.ClientKey, one.ClientKey, one.ClientKey[:100]},
		"password":   {"https://u:" + token("password in the database's URL") + "@127.0.0.1:1", "", one.CA, one.Client, one.ClientKey},
		"no-url":     {"%zz" + token("password in the database's broken URL"), "", one.CA, one.Client, one.ClientKey},
	} {
		execute("INSERT INTO region_info (region_name, status, url, token, ssl_ca_cert, cert_file, key_file) VALUES (?, '1', ?, ?, ?, ?, ?)", append([]any{name}, row...)...)
	}
	return path
}

// TestOnlyDocumentedPathsAreServed asks for what other exporters leave
// open, with headers that are too long.
func TestOnlyDocumentedPathsAreServed(t *testing.T) {
	e := served(t, "serve", "--role=node")
	for _, path := range []string{"/debug/pprof/", "/debug/pprof/heap", "/debug/vars", "/config", "/probe", "/sd"} {
		if status, _ := e.do(http.MethodGet, path, nil); status != http.StatusNotFound {
			t.Errorf("%s: %d; expected 404", path, status)
		}
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, e.base+"/-/healthy", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("X-Long", strings.Repeat("x", 128<<10))
	response, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("a header of 128 KiB: %s; expected it refused", response.Status)
	}
}

// TestEveryPathRequiresAuthentication asks for every page without
// the password.
func TestEveryPathRequiresAuthentication(t *testing.T) {
	web := filepath.Join(t.TempDir(), "web.yml")
	// The bcrypt of a password that nobody needs here.
	const users = "basic_auth_users:\n  prometheus: $2y$10$X0h1gDsPszWURQaxFh.zoubFi6DXncSjhoQNJgRrnGs7EsimhC7zG\n"
	if err := os.WriteFile(web, []byte(users), 0o600); err != nil {
		t.Fatal(err)
	}
	e := served(t, "serve", "--role=console", "--config.file="+webless(t), "--web.config.file="+web)
	for _, path := range []string{"/metrics", "/", "/guide", "/probe?region=a", "/sd", "/api/v1/diagnosis", "/-/healthy", "/-/ready", "/-/reload", "/debug/pprof/", "/nothing"} {
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			if status, body := e.do(method, path, nil); status != http.StatusUnauthorized || strings.Contains(body, "rainbond") {
				t.Errorf("%s %s without a password: %d %s", method, path, status, body)
			}
		}
	}
}

// webless is a configuration with one region that nobody answers for.
func webless(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(path, []byte("regions: [{name: a, url: 'https://127.0.0.1:1', ca_file: a, cert_file: b, key_file: c}]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
