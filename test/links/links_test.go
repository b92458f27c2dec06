package links

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rainbond-exporter/rainbond-exporter/docs"
	"github.com/rainbond-exporter/rainbond-exporter/doctor"
	"github.com/rainbond-exporter/rainbond-exporter/report/web"
	"github.com/rainbond-exporter/rainbond-exporter/rules"
)

const root = "../.."

// files returns the text files of the repository, by their path in it.
func files(t *testing.T) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	err := filepath.WalkDir(root, func(name string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if e.IsDir() {
			switch e.Name() {
			case ".git", "bin", "dist", "node_modules", "screenshots":
				return filepath.SkipDir
			}
			return nil
		}
		switch filepath.Ext(name) {
		case ".md", ".go", ".yaml", ".yml", ".html", ".tmpl", ".tpl", ".txt", ".json", ".js":
			if all[filepath.ToSlash(strings.TrimPrefix(name, root+string(filepath.Separator)))], err = os.ReadFile(name); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// broken returns what is wrong with a link to a path in the repository and an anchor there, or "".
func broken(all map[string][]byte, target, anchor string) string {
	target = path.Clean(target)
	if strings.HasPrefix(target, "..") {
		return "it leaves the repository"
	}
	info, err := os.Stat(filepath.Join(root, target))
	switch {
	case err != nil:
		return "there is no file " + target
	case anchor == "":
		return ""
	case info.IsDir() || path.Ext(target) != ".md":
		return target + " has no anchors"
	case !parse(all[target]).anchors[anchor]:
		return fmt.Sprintf("%s has no heading with the anchor #%s", target, anchor)
	}
	return ""
}

// TestLinksInTheRepository follows every relative link of a Markdown file as GitHub does, and every link to the project's page in any
// text file.
func TestLinksInTheRepository(t *testing.T) {
	all := files(t)
	followed := 0
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if path.Ext(name) == ".md" {
			for _, l := range parse(all[name]).links {
				u, err := url.Parse(l.target)
				if err != nil {
					t.Errorf("%s:%d: link to %q: %v", name, l.line, l.target, err)
					continue
				}
				if u.Scheme != "" || u.Host != "" {
					continue
				}
				target := name
				if u.Path != "" {
					target = path.Join(path.Dir(name), u.Path)
				}
				followed++
				if why := broken(all, target, u.Fragment); why != "" {
					t.Errorf("%s:%d: link to %s: %s", name, l.line, l.target, why)
				}
			}
		}
		if strings.Contains(name, "/testdata/") {
			continue // invented sections
		}
		for _, at := range projectPage.FindAllSubmatchIndex(all[name], -1) {
			if rest := all[name][at[1]:]; len(rest) > 0 && strings.ContainsRune("%${", rune(rest[0])) {
				continue // a format, which the tests of its package fill in
			}
			if bytes.HasPrefix(all[name][at[1]-1:], []byte(`."`)) {
				continue // a prefix, likewise
			}
			anchor := ""
			if at[4] >= 0 {
				anchor = string(all[name][at[4]:at[5]])
			}
			followed++
			if why := broken(all, strings.TrimRight(string(all[name][at[2]:at[3]]), "."), anchor); why != "" {
				t.Errorf("%s:%d: link to the project page: %s", name, 1+strings.Count(string(all[name][:at[0]]), "\n"), why)
			}
		}
	}
	if followed < 100 {
		t.Errorf("followed %d links, expected more than 100", followed)
	}
}

// projectPage matches a complete link to a file on the project page.
var projectPage = regexp.MustCompile(`https://github\.com/rainbond-exporter/rainbond-exporter/(?:blob|tree)/main/([\w./-]+)(?:#([\p{L}\p{N}_-]+))?`)

// TestLinksOfTheGuide follows the links of /guide in the browser's way, and the section of each alert on both pages.
func TestLinksOfTheGuide(t *testing.T) {
	all := files(t)
	site := &web.Site{Guide: map[string][]byte{"en": docs.PageEN, "zh": docs.PageZH}}
	d, err := doctor.New(rules.Rules, rules.Alertmanager)
	if err != nil {
		t.Fatal(err)
	}
	for _, lang := range []string{"en", "zh"} {
		r := httptest.NewRecorder()
		site.Handler().ServeHTTP(r, httptest.NewRequest(http.MethodGet, "/guide?lang="+lang, nil))
		if r.Code != http.StatusOK {
			t.Fatalf("/guide?lang=%s answers %d", lang, r.Code)
		}
		ids, links := map[string]int{}, 0
		for _, m := range regexp.MustCompile(`\b(id|name)="([^"]*)"`).FindAllStringSubmatch(r.Body.String(), -1) {
			ids[m[2]]++
		}
		for id, n := range ids {
			if n > 1 {
				t.Errorf("/guide?lang=%s has the id %q %d times", lang, id, n)
			}
		}
		for _, m := range regexp.MustCompile(`\bhref="([^"]*)"`).FindAllStringSubmatch(r.Body.String(), -1) {
			u, err := url.Parse(m[1])
			switch {
			case err != nil:
				t.Errorf("/guide?lang=%s: link to %q: %v", lang, m[1], err)
			case u.Scheme != "" || m[1] == "/" || strings.HasPrefix(m[1], "?lang=") || strings.HasPrefix(m[1], "./?lang="):
			case u.Path != "" || ids[u.Fragment] == 0:
				t.Errorf("/guide?lang=%s: link to %q: the exporter does not serve it", lang, m[1])
			default:
				links++
			}
		}
		if links < 50 {
			t.Errorf("/guide?lang=%s: followed %d links, expected more than 50", lang, links)
		}
		github := parse(all["docs/guide."+lang+".md"])
		for _, a := range d.Alerts() {
			if ids[a.Section] == 0 {
				t.Errorf("%s: /guide?lang=%s has no id %q", a.Name, lang, a.Section)
			}
			if !github.anchors[a.Section] {
				t.Errorf("%s: docs/guide.%s.md has no anchor #%s on GitHub", a.Name, lang, a.Section)
			}
		}
	}
}

func TestSlugs(t *testing.T) {
	s := slugger{}
	for _, row := range [][2]string{
		{"Silence an alert", "silence-an-alert"},
		{"What `check` returns: 0, 1, 2", "what-check-returns-0-1-2"},
		{"Silence an alert", "silence-an-alert-1"},
		{"A  B_c — d.e", "a--b_c--de"},
		{"集群 API：一分钟（超时）", "集群-api一分钟超时"},
		{"silence an alert-1", "silence-an-alert-1-1"},
		{"Silence an alert", "silence-an-alert-2"},
	} {
		if got := s.slug(row[0]); got != row[1] {
			t.Errorf("%q: got %q, want %q", row[0], got, row[1])
		}
	}
}

// TestSlugsEqualGitHubs compares the slugs with those of github-slugger: of each heading of the documentation, and of each character of
// the scripts and symbols that occur in it. (Of younger scripts, Go and github-slugger know different versions of Unicode.)
func TestSlugsEqualGitHubs(t *testing.T) {
	if _, err := os.Stat("node_modules/github-slugger"); err != nil {
		t.Skip("github-slugger is not installed; make links installs it")
	}
	type row struct {
		Headings, Slugs []string
	}
	var rows []row
	all := files(t)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if path.Ext(name) == ".md" {
			rows = append(rows, row{Headings: parse(all[name]).headings})
		}
	}
	var each []string
	for _, block := range [][2]rune{{' ', 0x12F}, {0x131, 0x52F}, {0x2000, 0x2BFF}, {0x3000, 0x312E}, {0x3400, 0x4DB5}, {0x4E00, 0x9FEF}, {0xFF00, 0xFFEF}, {0x1F300, 0x1F64F}} {
		for r := block[0]; r <= block[1]; r++ {
			each = append(each, fmt.Sprintf("%x %c", r, r))
		}
	}
	rows = append(rows, row{Headings: each})
	in, err := json.Marshal(rows)
	if err != nil {
		t.Fatal(err)
	}
	node := exec.CommandContext(t.Context(), "node", "slugs.mjs")
	node.Stdin, node.Stderr = strings.NewReader(string(in)), os.Stderr
	out, err := node.Output()
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(out, &rows); err != nil {
		t.Fatal(err)
	}
	differ := 0
	for _, r := range rows {
		s := slugger{}
		for i, h := range r.Headings {
			if got := s.slug(h); got != r.Slugs[i] {
				if differ++; differ <= 20 {
					t.Errorf("%q: got %q, github-slugger makes %q", h, got, r.Slugs[i])
				}
			}
		}
	}
	if differ > 20 {
		t.Errorf("%d slugs differ", differ)
	}
}
