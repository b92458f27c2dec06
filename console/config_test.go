package console

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const goodConfig = `regions:
  - name: rainbond
    url: https://10.0.0.1:8443
    ca_file: ca.pem
    cert_file: client.pem
    key_file: /keys/client.key.pem
`

func TestInvalidConfiguration(t *testing.T) {
	for _, row := range []struct{ name, text, want string }{
		{"empty", "", "1: the file is empty; expected the keys regions or console"},
		{"only a comment", "# nothing\n", "1: the file is empty; expected the keys regions or console"},
		{"no region", "regions: []\n", "1: no region; expected regions to list at least one, each with name and url, or console with the console's database"},
		{"a list", "- name: a\n", "1: the file: found a list; expected keys and values"},
		{"unknown key", "region: []\n", "1:1: unknown key; expected one of regions, console"},
		{"unknown key of a region", strings.Replace(goodConfig, "ca_file", "ca_flie", 1), "4:5: regions[0]: unknown key; expected one of name, url, ca_file, cert_file, key_file, server_name, token_file"},
		{"key twice", goodConfig + "    url: https://b:8443\n", "7: regions[0].url: given twice; expected it once"},
		{"number for a text", strings.Replace(goodConfig, "name: rainbond", "name: 7", 1), "2: regions[0].name: found a number; expected a text (quote it if it is one)"},
		{"text for a list", "regions: rainbond\n", "1: regions: found a text; expected a list"},
		{"nothing for a list", "regions:\n", "1: regions: found nothing; expected a list"},
		{"no name", strings.Replace(goodConfig, "name: rainbond\n    ", "", 1), "2: regions[0].name: missing; expected the region_name that the console has for it"},
		{"cut in half", goodConfig[:40], "3: regions[0].url: does not begin with https:// and a host; expected https://host:8443"},
		{"cut after the URL", goodConfig[:59], "2: regions[0].ca_file: missing; expected the path of a PEM file"},
		{"cut within a key", goodConfig[:85], " not YAML: line 5: could not find expected ':'"},
		{"plain HTTP", strings.Replace(goodConfig, "https", "http", 1), "3: regions[0].url: does not begin with https:// and a host; expected https://host:8443"},
		{"password in the URL", strings.Replace(goodConfig, "https://", "https://u:s3cret@", 1), "3: regions[0].url: holds a user or password; expected https://host:8443 and, for a token, token_file"},
		{"password in a broken URL", strings.Replace(goodConfig, "https://10", "https://u:s3cret@[", 1), "3: regions[0].url: not a URL; expected https://host:8443"},
		{"same name twice", goodConfig + strings.TrimPrefix(goodConfig, "regions:\n"), `7: regions[1].name: "rainbond" is regions[0] already; expected each name once`},
		{"two documents", goodConfig + "---\n" + goodConfig, "1: expected one YAML document, found more"},
		{"unknown driver", "console:\n  driver: postgres\n", "2: console.driver: unknown; expected mysql or sqlite"},
		{"no path", "console:\n  driver: sqlite\n", "2: console.path: missing; expected the path of the console's db.sqlite3"},
		{"text for a port", "console:\n  driver: mysql\n  port: '3306'\n", "3: console.port: found a text; expected a whole number"},
		{"port too high", "console: {driver: mysql, host: h, user: u, password_file: f, port: 70000}\n", "1: console.port: out of range; expected 1 to 65535"},
		{"no host", "console: {driver: mysql}\n", "1: console.host: missing; expected the host name of the console's database, or socket with the path of its unix socket"},
		{"host and socket", "console: {driver: mysql, host: h,\n socket: s, user: u, password_file: f}\n", "2: console.socket: given together with host; expected one of them"},
		{"TLS over a socket", "console: {driver: mysql, socket: s, user: u, password_file: f,\n tls: {}}\n", "2: console.tls: has no meaning here; expected it with host only"},
		{"TLS of a file", "console: {driver: sqlite, path: p, tls: {}}\n", "1: console.tls: has no meaning here; expected it with mysql only"},
		{"path of a server", "console: {driver: mysql, host: h, user: u, password_file: f, path: p}\n", "1: console.path: has no meaning here; expected it with sqlite only"},
		{"certificate without key", "console: {driver: mysql, host: h, user: u, password_file: f, tls: {cert_file: c}}\n", "1: console.tls: cert_file and key_file belong together; expected both or neither"},
		{"text for a truth value", "console: {driver: mysql, host: h, user: u, password_file: f, tls: {insecure_skip_verify: 'yes'}}\n", "1: console.tls.insecure_skip_verify: found a text; expected true or false"},
		{"not YAML", "regions: [\n", " not YAML: "},
		{"a password that YAML takes for an alias", "console: {password_file: *s3cret}\n", " not YAML: unknown anchor '…' referenced"},
		{"a password for a key", "console: {driver: mysql, s3cret}\n", "1:26: console: unknown key; expected one of driver, host, port, socket, user, password_file, database, tls, path"},
		{"a password for a driver", "console: {driver: s3cret}\n", "1: console.driver: unknown; expected mysql or sqlite"},
		{"a password for a URL", "regions: [{name: a, url: s3cret}]\n", "1: regions[0].url: does not begin with https:// and a host; expected https://host:8443"},
	} {
		t.Run(row.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "config.yaml")
			if err := os.WriteFile(path, []byte(row.text), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := LoadConfig(path)
			if err == nil || !strings.HasPrefix(err.Error(), path+":"+row.want) {
				t.Errorf("got  %v\nwant %s:%s", err, path, row.want)
			}
			if err != nil && strings.Contains(err.Error(), "s3cret") {
				t.Errorf("the error holds the password: %v", err)
			}
		})
	}
}

func TestReloadOfAnInvalidFileKeepsTheConfiguration(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.yaml")
	write := func(text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(goodConfig)
	file, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	write(goodConfig[:40])
	if err := file.Reload(); err == nil {
		t.Error("a file cut in half was accepted")
	}
	if got := file.current.Load().Regions[0].URL; got != "https://10.0.0.1:8443" {
		t.Errorf("after a bad reload the url is %q", got)
	}
	write(strings.Replace(goodConfig, "10.0.0.1", "10.0.0.2", 1))
	if err := file.Reload(); err != nil {
		t.Fatal(err)
	}
	if got := file.current.Load().Regions[0].URL; got != "https://10.0.0.2:8443" {
		t.Errorf("after a good reload the url is %q", got)
	}
}

func TestRelativePathsStartAtTheConfigurationFile(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "config.yaml")
	if err := os.WriteFile(path, []byte(goodConfig), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "ca.pem"), []byte("a CA"), 0o600); err != nil {
		t.Fatal(err)
	}
	file, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	regions, err := file.Regions(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got := string(regions[0].CA); got != "a CA" {
		t.Errorf("CA is %q", got)
	}
	for _, want := range []string{"cert_file: open " + folder, "key_file: open /keys/client.key.pem"} {
		if err := regions[0].Err; err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the missing file is not named: got %v, want %s", err, want)
		}
	}
}

func TestRegionsOfFilesAndDatabase(t *testing.T) {
	database, console := consoleFile(t)
	addRegion(t, console, "rainbond", "1", "a CA")
	addRegion(t, console, "second", "1", "a CA")
	path := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(path, []byte(goodConfig+"console:\n  driver: sqlite\n  path: '"+database+"'\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	file, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	regions, err := file.Regions(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range regions {
		got = append(got, r.Name+" "+r.URL)
	}
	want := "rainbond https://10.0.0.1:8443, second https://rbd-api-api:8443"
	if joined := strings.Join(got, ", "); joined != want {
		t.Errorf("got  %s\nwant %s", joined, want)
	}
	if file.LastRead().IsZero() {
		t.Error("the database answered, and LastRead is zero")
	}
}

func FuzzParseConfig(f *testing.F) {
	f.Add([]byte(goodConfig))
	f.Add([]byte("console: {driver: mysql, host: h, user: u, password_file: f, port: 70000}\n"))
	f.Add([]byte("regions: &a [*a]\n"))
	f.Add([]byte("a: !!binary x\n---\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := parseConfig(text)
		if (c == nil) == (err == nil) {
			t.Fatalf("%q: configuration %v, error %v", text, c, err)
		}
		if err == nil && len(c.Regions) == 0 && c.Console == nil {
			t.Errorf("%q was accepted and contains no region", text)
		}
	})
}
