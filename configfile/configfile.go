// Package configfile decodes YAML strictly. Its errors begin with a line number
// and repeat neither values nor unknown keys, because either may be a secret in
// the wrong place. With "FILE:" before it, editors can open the place.
package configfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Errorf returns an error that begins with a line number.
func Errorf(line int, format string, args ...any) error {
	return fmt.Errorf("%d: %s", line, fmt.Sprintf(format, args...))
}

// quotedValue matches what errors of the YAML parser repeat of the file.
var quotedValue = regexp.MustCompile("(?s) (['\"`]).{2,}['\"`]")

// Decode decodes the only document of text into the struct that v points to, and
// returns its node. Expected describes the keys of the file, for the error about
// an empty one.
func Decode(text []byte, v any, expected string) (*yaml.Node, error) {
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	var document yaml.Node
	if err := decoder.Decode(&document); errors.Is(err, io.EOF) {
		return nil, Errorf(1, "the file is empty; expected %s", expected)
	} else if err != nil {
		return nil, fmt.Errorf(" not YAML: %s", quotedValue.ReplaceAllString(strings.TrimPrefix(err.Error(), "yaml: "), " $1…$1"))
	}
	if err := decoder.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return nil, Errorf(document.Line, "expected one YAML document, found more")
	}
	root := document.Content[0]
	return root, strict(root, reflect.ValueOf(v).Elem(), "")
}

// Resolve makes relative paths start at folder.
func Resolve(folder string, paths ...*string) {
	for _, path := range paths {
		if *path != "" && !filepath.IsAbs(*path) {
			*path = filepath.Join(folder, *path)
		}
	}
}

// strict decodes n into v and rejects what v has no field for. yaml.v3 with
// KnownFields would repeat keys and values in its errors, which may be secrets.
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
	case reflect.Bool:
		truth, err := strconv.ParseBool(n.Value)
		if n.Tag != "!!bool" || err != nil {
			return Errorf(n.Line, "%s: %s; expected true or false", where, found(n))
		}
		v.SetBool(truth)
		return nil
	case reflect.Int:
		number, err := strconv.Atoi(n.Value)
		if n.Tag != "!!int" || err != nil {
			return Errorf(n.Line, "%s: %s; expected a whole number", where, found(n))
		}
		v.SetInt(int64(number))
		return nil
	case reflect.Slice:
		if n.Kind != yaml.SequenceNode {
			return Errorf(n.Line, "%s: %s; expected a list", where, found(n))
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
			return Errorf(n.Line, "%s: %s; expected a text (quote it if it is one)", where, found(n))
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
		return Errorf(n.Line, "%s: %s; expected keys and values", where, found(n))
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
			return Errorf(key.Line, "%s: given twice; expected it once", path)
		}
		seen[key.Value] = true
		if err := strict(n.Content[i+1], place, path); err != nil {
			return err
		}
	}
	return nil
}

// found returns what n is, never its value, which may be a secret.
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

// Child returns the value of key in the mapping n, or n itself.
func Child(n *yaml.Node, key string) *yaml.Node {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return n
}
