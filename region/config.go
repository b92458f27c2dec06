package region

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync/atomic"

	"go.yaml.in/yaml/v3"
)

// Config is what --config.file says.
type Config struct {
	Regions []RegionFiles `yaml:"regions"`
}

// RegionFiles is one region of the configuration: where it is, and the files
// that hold the console's copy of its certificates. Relative paths start at
// the configuration file's folder.
type RegionFiles struct {
	Name       string `yaml:"name"`        // as in the console's region_info.region_name
	URL        string `yaml:"url"`         // https://host:8443
	CAFile     string `yaml:"ca_file"`     // PEM
	CertFile   string `yaml:"cert_file"`   // PEM
	KeyFile    string `yaml:"key_file"`    // PEM
	ServerName string `yaml:"server_name"` // default: fault.DefaultServerName
	TokenFile  string `yaml:"token_file"`  // optional
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
		c.Regions[i].resolve(filepath.Dir(path))
	}
	return c, nil
}

// lineError begins with a line number, so that "FILE:" before it makes an
// address that editors understand.
func lineError(line int, format string, args ...any) error {
	return fmt.Errorf("%d: %s", line, fmt.Sprintf(format, args...))
}

func parseConfig(text []byte) (*Config, error) {
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	var document yaml.Node
	if err := decoder.Decode(&document); errors.Is(err, io.EOF) {
		return nil, lineError(1, "the file is empty; expected the key regions")
	} else if err != nil {
		return nil, fmt.Errorf(" not YAML: %s", strings.TrimPrefix(err.Error(), "yaml: "))
	}
	if err := decoder.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return nil, lineError(document.Line, "expected one YAML document, found more")
	}
	root := document.Content[0]
	var c Config
	if err := strict(root, reflect.ValueOf(&c).Elem(), ""); err != nil {
		return nil, err
	}
	if len(c.Regions) == 0 {
		return nil, lineError(root.Line, "no region; expected regions to list at least one, each with name and url")
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
func (r RegionFiles) check(item *yaml.Node, where string) error {
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
		return lineError(line, "%s.url: %q; expected https://host:8443", where, r.URL)
	}
	for _, file := range []struct{ key, path string }{{"ca_file", r.CAFile}, {"cert_file", r.CertFile}, {"key_file", r.KeyFile}} {
		if file.path == "" {
			return lineError(item.Line, "%s.%s: missing; expected the path of a PEM file", where, file.key)
		}
	}
	return nil
}

func (r *RegionFiles) resolve(folder string) {
	for _, path := range []*string{&r.CAFile, &r.CertFile, &r.KeyFile, &r.TokenFile} {
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
	case reflect.Struct:
		return strictStruct(n, v, where)
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
			return lineError(key.Line, "%s: unknown key; expected one of %s", path, strings.Join(known, ", "))
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

// ConfigFile is a configuration that can be read again while it is in use.
type ConfigFile struct {
	path    string
	current atomic.Pointer[Config]
}

// OpenConfig loads the configuration file at path.
func OpenConfig(path string) (*ConfigFile, error) {
	f := &ConfigFile{path: path}
	return f, f.Reload()
}

// Reload reads the file again. When it is bad, the old configuration stays.
func (f *ConfigFile) Reload() error {
	c, err := LoadConfig(f.path)
	if err != nil {
		return err
	}
	f.current.Store(c)
	return nil
}

// Current returns the last good configuration.
func (f *ConfigFile) Current() *Config { return f.current.Load() }
