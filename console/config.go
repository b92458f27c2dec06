// Package console reads the regions as the console knows them: from a
// configuration file, from files, and from the console's database.
package console

import (
	"cmp"
	"fmt"
	"maps"
	"net/url"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/rainbond-exporter/rainbond-exporter/configfile"
)

// pemBegin is the beginning of every PEM block.
const pemBegin = "-----BEGIN "

// Config is the content of --config.file.
type Config struct {
	Regions []FileRegion    `yaml:"regions"`
	Console *DatabaseConfig `yaml:"console"`
}

// FileRegion is one region of the configuration: its address, and the files
// with the console's copy of its certificates. Relative paths start at the
// configuration file's directory.
type FileRegion struct {
	Name       string `yaml:"name"`        // as in the console's region_info.region_name
	URL        string `yaml:"url"`         // https://host:8443
	CAFile     string `yaml:"ca_file"`     // PEM
	CertFile   string `yaml:"cert_file"`   // PEM
	KeyFile    string `yaml:"key_file"`    // PEM
	ServerName string `yaml:"server_name"` // default: fault.DefaultServerName
	TokenFile  string `yaml:"token_file"`  // optional
}

// DatabaseConfig is the console's database. It needs either Host or Socket for
// mysql, and Path for sqlite.
type DatabaseConfig struct {
	Driver       string     `yaml:"driver"`        // mysql (MariaDB too) or sqlite
	Host         string     `yaml:"host"`          // mysql
	Port         int        `yaml:"port"`          // mysql; default 3306
	Socket       string     `yaml:"socket"`        // mysql: the path of a unix socket
	User         string     `yaml:"user"`          // mysql
	PasswordFile string     `yaml:"password_file"` // mysql; /dev/null: no password
	Database     string     `yaml:"database"`      // mysql; default "console", as the console's own
	TLS          *TLSConfig `yaml:"tls"`           // mysql; nil: no TLS
	Path         string     `yaml:"path"`          // sqlite: the console's db.sqlite3
}

// TLSConfig is how a connection to MySQL is encrypted.
type TLSConfig struct {
	CAFile             string `yaml:"ca_file"`              // PEM; default: the system's certificate authorities
	CertFile           string `yaml:"cert_file"`            // PEM; optional
	KeyFile            string `yaml:"key_file"`             // PEM; with cert_file
	ServerName         string `yaml:"server_name"`          // default: the host
	InsecureSkipVerify bool   `yaml:"insecure_skip_verify"` // accept any server certificate
}

// equal reports whether two configurations name the same database.
func (c *DatabaseConfig) equal(other *DatabaseConfig) bool { return reflect.DeepEqual(c, other) }

// maxConfig is the size of the largest configuration file, in bytes: some ten
// thousand regions.
const maxConfig = 4 << 20

// LoadConfig reads and checks a configuration file. An error names the file,
// the line, the key, and what was expected there.
func LoadConfig(path string) (*Config, error) {
	text, err := configfile.Read(path, "a configuration file", maxConfig)
	if err != nil {
		return nil, fmt.Errorf("read --config.file: %w", err)
	}
	c, err := parseConfig(text)
	if err != nil {
		return nil, fmt.Errorf("%s:%w", path, err)
	}
	for i := range c.Regions {
		r := &c.Regions[i]
		configfile.Resolve(filepath.Dir(path), &r.CAFile, &r.CertFile, &r.KeyFile, &r.TokenFile)
	}
	if c.Console != nil {
		configfile.Resolve(filepath.Dir(path), &c.Console.PasswordFile, &c.Console.Path, &c.Console.Socket)
		if t := c.Console.TLS; t != nil {
			configfile.Resolve(filepath.Dir(path), &t.CAFile, &t.CertFile, &t.KeyFile)
		}
	}
	return c, nil
}

func parseConfig(text []byte) (*Config, error) {
	var c Config
	root, err := configfile.Decode(text, &c, "the keys regions or console")
	if err != nil {
		return nil, err
	}
	if c.Console != nil {
		if err := c.Console.check(configfile.Child(root, "console")); err != nil {
			return nil, err
		}
	}
	if len(c.Regions) == 0 && c.Console == nil {
		return nil, configfile.Errorf(root.Line, "no region; expected regions to list at least one, each with name and url, or console with the console's database")
	}
	items := configfile.Child(root, "regions").Content
	seen := map[string]int{}
	for i, r := range c.Regions {
		where := fmt.Sprintf("regions[%d]", i)
		if err := r.check(items[i], where); err != nil {
			return nil, err
		}
		if first, twice := seen[r.Name]; twice {
			return nil, configfile.Errorf(items[i].Line, "%s.name: %q is regions[%d] already; expected each name once", where, r.Name, first)
		}
		seen[r.Name] = i
	}
	return &c, nil
}

// check describes what is wrong with one region, at the line of the key to blame.
func (r FileRegion) check(item *yaml.Node, where string) error {
	if r.Name == "" {
		return configfile.Errorf(item.Line, "%s.name: missing; expected the region_name that the console has for it", where)
	}
	if r.URL == "" {
		return configfile.Errorf(item.Line, "%s.url: missing; expected https://host:8443", where)
	}
	line := configfile.Child(item, "url").Line
	u, err := url.Parse(r.URL)
	switch {
	case err != nil: // the parser's error would repeat what may be a password
		return configfile.Errorf(line, "%s.url: not a URL; expected https://host:8443", where)
	case u.User != nil:
		return configfile.Errorf(line, "%s.url: holds a user or password; expected https://host:8443 and, for a token, token_file", where)
	case u.Scheme != "https" || u.Host == "":
		return configfile.Errorf(line, "%s.url: does not begin with https:// and a host; expected https://host:8443", where)
	}
	for _, file := range []struct{ key, path string }{{"ca_file", r.CAFile}, {"cert_file", r.CertFile}, {"key_file", r.KeyFile}, {"token_file", r.TokenFile}} {
		if strings.Contains(file.path, pemBegin) || strings.Contains(file.path, "\n") { // not repeated: it may be a key
			return configfile.Errorf(configfile.Child(item, file.key).Line, "%s.%s: holds the text itself; expected the path of a file", where, file.key)
		}
		if file.path == "" && file.key != "token_file" {
			return configfile.Errorf(item.Line, "%s.%s: missing; expected the path of a PEM file", where, file.key)
		}
	}
	return nil
}

// check returns what is wrong with the console's database, and sets defaults.
func (c *DatabaseConfig) check(n *yaml.Node) error {
	switch c.Driver {
	case "sqlite":
		if c.Path == "" {
			return configfile.Errorf(n.Line, "console.path: missing; expected the path of the console's db.sqlite3")
		}
		return c.refuse(n, "mysql", map[string]bool{
			"host": c.Host != "", "port": c.Port != 0, "socket": c.Socket != "", "user": c.User != "",
			"password_file": c.PasswordFile != "", "database": c.Database != "", "tls": c.TLS != nil,
		})
	case "mysql":
		return c.checkMySQL(n)
	default:
		return configfile.Errorf(configfile.Child(n, "driver").Line, "console.driver: unknown; expected mysql or sqlite")
	}
}

func (c *DatabaseConfig) checkMySQL(n *yaml.Node) error {
	missing := func(key, expected string) error {
		return configfile.Errorf(n.Line, "console.%s: missing; expected %s", key, expected)
	}
	switch {
	case c.Host == "" && c.Socket == "":
		return missing("host", "the host name of the console's database, or socket with the path of its unix socket")
	case c.Host != "" && c.Socket != "":
		return configfile.Errorf(configfile.Child(n, "socket").Line, "console.socket: given together with host; expected one of them")
	case c.User == "":
		return missing("user", "a user who may read region_info")
	case c.PasswordFile == "":
		return missing("password_file", "the path of a file that contains the user's password")
	case c.Port < 0 || c.Port > 65535:
		return configfile.Errorf(configfile.Child(n, "port").Line, "console.port: out of range; expected 1 to 65535")
	}
	if c.Socket != "" {
		if err := c.refuse(n, "host", map[string]bool{"port": c.Port != 0, "tls": c.TLS != nil}); err != nil {
			return err
		}
	}
	if t := c.TLS; t != nil && (t.CertFile == "") != (t.KeyFile == "") {
		return configfile.Errorf(configfile.Child(n, "tls").Line, "console.tls: cert_file and key_file belong together; expected both or neither")
	}
	c.Port = cmp.Or(c.Port, 3306)
	c.Database = cmp.Or(c.Database, "console")
	return c.refuse(n, "sqlite", map[string]bool{"path": c.Path != ""})
}

// refuse returns an error about the first key that is given and has a meaning
// only together with another.
func (c *DatabaseConfig) refuse(n *yaml.Node, with string, given map[string]bool) error {
	for _, key := range slices.Sorted(maps.Keys(given)) {
		if given[key] {
			return configfile.Errorf(configfile.Child(n, key).Line, "console.%s: has no meaning here; expected it with %s only", key, with)
		}
	}
	return nil
}
