package dashboards

import (
	"bytes"
	"encoding/json"
	"flag"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/rainbond-exporter/rainbond-exporter/rules"
)

var update = flag.Bool("update", false, "write the files instead of comparing them")

func files(t *testing.T, lang string) map[string][]byte {
	t.Helper()
	return filesFor(t, lang, rules.DefaultIdentity)
}

func filesFor(t *testing.T, lang string, identity []string) map[string][]byte {
	t.Helper()
	all, err := Files(lang, identity)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestFilesAreCurrent(t *testing.T) {
	for _, lang := range Langs {
		all := files(t, lang)
		for name, text := range all {
			path := filepath.Join(lang, name)
			if *update {
				if err := os.MkdirAll(lang, 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, text, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, text) {
				t.Errorf("%s is not current; regenerate it with: go test ./dashboards -update", path)
			}
		}
		there, err := filepath.Glob(lang + "/*")
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range there {
			if all[filepath.Base(path)] == nil {
				t.Errorf("%s has no source", path)
			}
		}
	}
}

// texts returns all texts of a dashboard that a user reads, by their path.
func texts(t *testing.T, file []byte) map[string]string {
	t.Helper()
	var whole any
	if err := json.Unmarshal(file, &whole); err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	var walk func(where string, at any)
	walk = func(where string, at any) {
		switch at := at.(type) {
		case map[string]any:
			for key, value := range at {
				text, is := value.(string)
				if is && slices.Contains([]string{"title", "description", "label", "tooltip", "noValue"}, key) {
					out[where+"/"+key] = text
				}
				walk(where+"/"+key, value)
			}
		case []any:
			for i, value := range at {
				walk(where+"/"+string(rune('0'+i)), value)
			}
		}
	}
	walk("", whole)
	return out
}

// TestBothLanguagesHaveTheSameQueries: only the texts differ.
func TestBothLanguagesHaveTheSameQueries(t *testing.T) {
	han := func(text string) bool {
		return strings.ContainsFunc(text, func(r rune) bool { return unicode.Is(unicode.Han, r) })
	}
	en, zh := files(t, "en"), files(t, "zh")
	for _, name := range slices.Sorted(maps.Keys(en)) {
		english, chinese := texts(t, en[name]), texts(t, zh[name])
		if len(english) != len(chinese) || len(english) < 30 {
			t.Errorf("%s: %d texts in English, %d in Chinese", name, len(english), len(chinese))
		}
		for where, text := range english {
			if han(text) {
				t.Errorf("en/%s %s: %q", name, where, text)
			}
			if strings.HasSuffix(where, "/description") && !han(chinese[where]) {
				t.Errorf("zh/%s %s: %q", name, where, chinese[where])
			}
		}
		if got, want := queriesOf(t, zh[name]), queriesOf(t, en[name]); !maps.Equal(got, want) {
			t.Errorf("%s: the queries of both languages differ", name)
		}
	}
}
