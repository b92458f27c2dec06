package console

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"

	"go.yaml.in/yaml/v3"
)

// pemBegin is the beginning of every PEM block.
const pemBegin = "-----BEGIN "

// Config is what --config.file says.
type Config struct {
	Regions []FileRegion    `yaml:"regions"`
	Console *DatabaseConfig `yaml:"console"`
}

// FileRegion is one region of the configuration: where it is, and the files
// that hold the console's copy of its certificates. Relative paths start at
// the configuration file's folder.
type FileRegion struct {
	Name       string `yaml:"name"`        // as in the console's region_info.region_name
	URL        string `yaml:"url"`         // https://host:8443
	CAFile     string `yaml:"ca_file"`     // PEM
	CertFile   string `yaml:"cert_file"`   // PEM
	KeyFile    string `yaml:"key_file"`    // PEM
	ServerName string `yaml:"server_name"` // default: fault.DefaultServerName
	TokenFile  string `yaml:"token_file"`  // optional
}

// DatabaseConfig is where the console keeps its regions.
type DatabaseConfig struct {
	Driver       string `yaml:"driver"`        // mysql (MariaDB too) or sqlite
	Host         string `yaml:"host"`          // mysql
	Port         int    `yaml:"port"`          // mysql; default 3306
	User         string `yaml:"user"`          // mysql
	PasswordFile string `yaml:"password_file"` // mysql
	Database     string `yaml:"database"`      // mysql; default "console", as the console's own
	Path         string `yaml:"path"`          // sqlite: the console's db.sqlite3
}

// LoadConfig reads and checks a configuration file. An error names the file,
// the line, the key, and what was expected there.
func LoadConfig(path string) (*Config, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read --config.file: %w", err)
	}
	c, err := parseConfig(text)
	if err != nil {
		return nil, fmt.Errorf("%s:%w", path, err)
	}
	for i := range c.Regions {
		r := &c.Regions[i]
		resolve(filepath.Dir(path), &r.CAFile, &r.CertFile, &r.KeyFile, &r.TokenFile)
	}
	if c.Console != nil {
		resolve(filepath.Dir(path), &c.Console.PasswordFile, &c.Console.Path)
	}
	return c, nil
}

// No error repeats a value of the file, nor a key that has no place in it:
// either may be a secret that was written where it does not belong.

// lineError begins with a line number, so that "FILE:" before it makes an
// address that editors understand.
func lineError(line int, format string, args ...any) error {
	return fmt.Errorf("%d: %s", line, fmt.Sprintf(format, args...))
}

// unquoted finds what the YAML parser repeats of the file.
var unquoted = regexp.MustCompile("(?s) (['\"`]).{2,}['\"`]")

func parseConfig(text []byte) (*Config, error) {
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	var document yaml.Node
	if err := decoder.Decode(&document); errors.Is(err, io.EOF) {
		return nil, lineError(1, "the file is empty; expected the keys regions or console")
	} else if err != nil {
		return nil, fmt.Errorf(" not YAML: %s", unquoted.ReplaceAllString(strings.TrimPrefix(err.Error(), "yaml: "), " $1…$1"))
	}
	if err := decoder.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return nil, lineError(document.Line, "expected one YAML document, found more")
	}
	root := document.Content[0]
	var c Config
	if err := strict(root, reflect.ValueOf(&c).Elem(), ""); err != nil {
		return nil, err
	}
	if c.Console != nil {
		if err := c.Console.check(child(root, "console")); err != nil {
			return nil, err
		}
	}
	if len(c.Regions) == 0 && c.Console == nil {
		return nil, lineError(root.Line, "no region; expected regions to list at least one, each with name and url, or console to say where the console keeps them")
	}
	items := child(root, "regions").Content
	seen := map[string]int{}
	for i, r := range c.Regions {
		where := fmt.Sprintf("regions[%d]", i)
		if err := r.check(items[i], where); err != nil {
			return nil, err
		}
		if first, twice := seen[r.Name]; twice {
			return nil, lineError(items[i].Line, "%s.name: %q is regions[%d] already; expected each name once", where, r.Name, first)
		}
		seen[r.Name] = i
	}
	return &c, nil
}

// check says what is wrong with one region, at the line of the key to blame.
func (r FileRegion) check(item *yaml.Node, where string) error {
	if r.Name == "" {
		return lineError(item.Line, "%s.name: missing; expected the region_name that the console has for it", where)
	}
	if r.URL == "" {
		return lineError(item.Line, "%s.url: missing; expected https://host:8443", where)
	}
	line := child(item, "url").Line
	u, err := url.Parse(r.URL)
	switch {
	case err != nil: // the parser's error would repeat what may be a password
		return lineError(line, "%s.url: not a URL; expected https://host:8443", where)
	case u.User != nil:
		return lineError(line, "%s.url: holds a user or password; expected https://host:8443 and, for a token, token_file", where)
	case u.Scheme != "https" || u.Host == "":
		return lineError(line, "%s.url: does not begin with https:// and a host; expected https://host:8443", where)
	}
	for _, file := range []struct{ key, path string }{{"ca_file", r.CAFile}, {"cert_file", r.CertFile}, {"key_file", r.KeyFile}, {"token_file", r.TokenFile}} {
		if strings.Contains(file.path, pemBegin) || strings.Contains(file.path, "\n") { // not repeated: it may be a key
			return lineError(child(item, file.key).Line, "%s.%s: holds the text itself; expected the path of a file", where, file.key)
		}
		if file.path == "" && file.key != "token_file" {
			return lineError(item.Line, "%s.%s: missing; expected the path of a PEM file", where, file.key)
		}
	}
	return nil
}

// check says what is wrong with the console's database, and sets defaults.
func (c *DatabaseConfig) check(n *yaml.Node) error {
	missing := func(key, expected string) error {
		return lineError(n.Line, "console.%s: missing; expected %s", key, expected)
	}
	switch c.Driver {
	case "sqlite":
		if c.Path == "" {
			return missing("path", "the path of the console's db.sqlite3")
		}
	case "mysql":
		switch {
		case c.Host == "":
			return missing("host", "the host name of the console's database")
		case c.User == "":
			return missing("user", "a user who may read region_info")
		case c.PasswordFile == "":
			return missing("password_file", "the path of a file that holds the user's password")
		case c.Port < 0 || c.Port > 65535:
			return lineError(child(n, "port").Line, "console.port: out of range; expected 1 to 65535")
		}
		c.Port = cmp.Or(c.Port, 3306)
		c.Database = cmp.Or(c.Database, "console")
	default:
		return lineError(child(n, "driver").Line, "console.driver: unknown; expected mysql or sqlite")
	}
	return nil
}

// resolve makes relative paths start at folder.
func resolve(folder string, paths ...*string) {
	for _, path := range paths {
		if *path != "" && !filepath.IsAbs(*path) {
			*path = filepath.Join(folder, *path)
		}
	}
}

// strict fills v from n and refuses what v has no place for.
func strict(n *yaml.Node, v reflect.Value, where string) error {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		return strict(n, v.Elem(), where)
	case reflect.Struct:
		return strictStruct(n, v, where)
	case reflect.Int:
		number, err := strconv.Atoi(n.Value)
		if n.Tag != "!!int" || err != nil {
			return lineError(n.Line, "%s: %s; expected a whole number", where, found(n))
		}
		v.SetInt(int64(number))
		return nil
	case reflect.Slice:
		if n.Kind != yaml.SequenceNode {
			return lineError(n.Line, "%s: %s; expected a list", where, found(n))
		}
		v.Set(reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content)))
		for i, item := range n.Content {
			if err := strict(item, v.Index(i), fmt.Sprintf("%s[%d]", where, i)); err != nil {
				return err
			}
		}
		return nil
	default: // a text
		if n.Kind != yaml.ScalarNode || n.Tag != "!!str" {
			return lineError(n.Line, "%s: %s; expected a text (quote it if it is one)", where, found(n))
		}
		v.SetString(n.Value)
		return nil
	}
}

func strictStruct(n *yaml.Node, v reflect.Value, where string) error {
	if n.Kind != yaml.MappingNode {
		if where == "" {
			where = "the file"
		}
		return lineError(n.Line, "%s: %s; expected keys and values", where, found(n))
	}
	places := map[string]reflect.Value{}
	var known []string
	for i := range v.NumField() {
		key := v.Type().Field(i).Tag.Get("yaml")
		places[key] = v.Field(i)
		known = append(known, key)
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		path := strings.TrimPrefix(where+"."+key.Value, ".")
		place, ok := places[key.Value]
		switch {
		case !ok:
			return fmt.Errorf("%d:%d: %s; expected one of %s", key.Line, key.Column, strings.TrimPrefix(where+": unknown key", ": "), strings.Join(known, ", "))
		case seen[key.Value]:
			return lineError(key.Line, "%s: given twice; expected it once", path)
		}
		seen[key.Value] = true
		if err := strict(n.Content[i+1], place, path); err != nil {
			return err
		}
	}
	return nil
}

// found names what stands at n, never its value, which may be a secret.
func found(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "found keys and values"
	case yaml.SequenceNode:
		return "found a list"
	}
	switch n.Tag {
	case "!!null":
		return "found nothing"
	case "!!int", "!!float":
		return "found a number"
	case "!!bool":
		return "found true or false"
	}
	return "found a text"
}

// child returns the value of key in the mapping n, or n itself.
func child(n *yaml.Node, key string) *yaml.Node {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return n
}

// Source is a configuration that can be read again while it is in use.
type Source struct {
	path    string
	current atomic.Pointer[inUse]
}

// inUse is a good configuration with the database it names, if it names one.
type inUse struct {
	Config
	console *Database
}

// Open loads the configuration file at path.
func Open(path string) (*Source, error) {
	f := &Source{path: path}
	return f, f.Reload()
}

// Reload reads the file again. When it is bad, the old configuration stays.
func (f *Source) Reload() error {
	c, err := LoadConfig(f.path)
	if err != nil {
		return err
	}
	next := &inUse{Config: *c}
	old := f.current.Load()
	switch {
	case c.Console == nil:
	case old != nil && old.Console != nil && *old.Console == *c.Console:
		next.console = old.console // and with it the regions known last
	default:
		if next.console, err = OpenDatabase(c.Console); err != nil {
			return err
		}
	}
	f.current.Store(next)
	if old != nil && old.console != nil && old.console != next.console {
		return old.console.Close()
	}
	return nil
}
