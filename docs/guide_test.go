package docs_test

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/text"

	"github.com/rainbond-exporter/rainbond-exporter/docs"
)

var guides = map[string]string{"zh": string(docs.GuideZH), "en": string(docs.GuideEN)}

// slugs are the IDs of the ## sections: the instructions, the symptoms in the
// order of Rainbond's documentation, and the exporter itself.
var slugs = []string{"start", "api", "tls", "cert", "node-role", "component", "disk", "watch"}

func TestBothLanguagesHaveTheSameSectionsInTheSameOrder(t *testing.T) {
	zh, en := headings(t, guides["zh"]), headings(t, guides["en"])
	if len(zh) < 20 {
		t.Fatalf("only %d headings found: %q", len(zh), zh)
	}
	if !slices.Equal(zh, en) {
		t.Errorf("headings differ:\nzh %q\nen %q", zh, en)
	}
}

func TestSectionsAreGroupedUnderTheirSlug(t *testing.T) {
	var got []string
	for _, h := range headings(t, guides["en"]) {
		level, id, _ := strings.Cut(h, " ")
		if level == "##" {
			got = append(got, id)
			continue
		}
		if slug := got[len(got)-1]; !strings.HasPrefix(id, slug+"-") {
			t.Errorf("section %s is grouped under %s", id, slug)
		}
	}
	if !slices.Equal(got, slugs) {
		t.Errorf("slugs %q, want %q", got, slugs)
	}
}

func TestEverySectionHasTheSameParts(t *testing.T) {
	parts := map[string][]string{
		"en": {"\n`Rainbond", "\n**Meaning.** ", "\n**Impact.**", "\n**Diagnosis.**", "\n**Mitigation.**", "\n**Resolved when** ", "\nRainbond's documentation: "},
		"zh": {"\n`Rainbond", "\n**含义。** ", "\n**影响。**", "\n**诊断。**", "\n**处理。**", "\n**恢复的标志：** ", "\n官方文档："},
	}
	for lang, guide := range guides {
		for id, body := range sections(guide) {
			at := 0
			for _, part := range parts[lang] {
				if strings.Count(body, part) != 1 {
					t.Errorf("%s %s: part %q is there %d times, want once", lang, id, part, strings.Count(body, part))
				}
				i := strings.Index(body, part)
				if i < at {
					t.Errorf("%s %s: part %q comes too early", lang, id, part)
				}
				at = i
			}
		}
	}
}

func TestBothLanguagesHaveTheSameCommandsAndAlerts(t *testing.T) {
	zh, en := sections(guides["zh"]), sections(guides["en"])
	if len(zh) < 20 {
		t.Fatalf("only %d sections found", len(zh))
	}
	for id := range en {
		for what, find := range map[string]func(string) []string{"commands": commands, "alerts": alerts} {
			if zh, en := find(zh[id]), find(en[id]); !slices.Equal(zh, en) || len(en) == 0 {
				t.Errorf("%s: %s differ or are missing:\nzh %q\nen %q", id, what, zh, en)
			}
		}
	}
	if zh, en := commands(guides["zh"]), commands(guides["en"]); !slices.Equal(zh, en) {
		t.Errorf("commands outside the sections differ:\nzh %q\nen %q", zh, en)
	}
}

func TestNoConsoleBlockHasMoreThanThreeCommands(t *testing.T) {
	for lang, guide := range guides {
		for _, block := range consoleBlocks(guide) {
			if n := len(commands(block)); n < 1 || n > 3 {
				t.Errorf("%s: %d commands in\n%s", lang, n, block)
			}
			for line := range strings.Lines(strings.TrimSpace(block)) {
				if !strings.HasPrefix(line, "$ ") && !strings.HasPrefix(line, "```") {
					t.Errorf("%s: not a command: %q", lang, line)
				}
			}
		}
	}
}

// TestNoCommandRepeatsAMistakeOfTheOldPage rejects commands that select
// nothing on v6, break rbd-api, print a password, or that the operator takes
// back.
func TestNoCommandRepeatsAMistakeOfTheOldPage(t *testing.T) {
	bad := regexp.MustCompile(`release=|delete secret|docker system|describe (pod|deploy|replicaset)|openssl verify|master=|worker=true|args|rollout restart`)
	for lang, guide := range guides {
		for _, c := range commands(guide) {
			if m := bad.FindString(c); m != "" {
				t.Errorf("%s: %q in command %q", lang, m, c)
			}
		}
	}
}

func TestPlatformCommandsNameTheNamespace(t *testing.T) {
	namespaced := regexp.MustCompile(`kubectl (get|logs|delete|rollout|label|edit) (pod|cm|secret|deployment|events|endpointslices|rainbondcluster|-l)\b`)
	for lang, guide := range guides {
		for line := range strings.Lines(guide) {
			if m := namespaced.FindString(line); m != "" && !strings.Contains(line, m+" -A") {
				t.Errorf("%s: no namespace in %q", lang, line)
			}
		}
	}
}

// upstream is every section of Rainbond's documentation that may be linked
// to, by page, as github-slugger makes its anchor. "" is the page itself.
var upstream = map[string][]string{
	"troubleshooting/cluster-connect": {
		"1-集群通信异常或集群端失去响应", "检查控制台与集群端的网络", "检查集群端-api-服务", "检查控制台与集群端的端口",
		"remote-error-tls-error-decrypting-message", "2-获取节点列表失败", "3-平台组件故障",
		"4-服务器重启后如何判断-rainbond-是否启动", "状态异常时怎么继续排查", "5-磁盘空间超80节点处于驱逐状态",
	},
	"troubleshooting/install":                        {"主机部署集群证书有效期与续签", "rbd-gateway-无法启动"},
	"ops-guides/management/resource-cleanup":         {""},
	"ops-guides/management/host-directory-expansion": {""},
}

func TestUpstreamLinksLeadToExistingSectionsAndAreEncoded(t *testing.T) {
	const base = "https://www.rainbond.com/docs/"
	for lang, guide := range guides {
		found := 0
		for _, link := range links(t, guide) {
			if !strings.HasPrefix(link, "http") || link == "https://www.rainbond.io/docs/troubleshooting/cluster-connect" {
				continue
			}
			if i := strings.IndexFunc(link, func(r rune) bool { return r > '~' }); i >= 0 {
				t.Errorf("%s: not percent-encoded: %s", lang, link)
			}
			page, anchor, _ := strings.Cut(strings.TrimPrefix(link, base), "#")
			anchor, err := url.PathUnescape(anchor)
			if err != nil || !strings.HasPrefix(link, base) || !slices.Contains(upstream[page], anchor) {
				t.Errorf("%s: no such section: %s (%s, %v)", lang, link, anchor, err)
			}
			found++
		}
		if found < 20 {
			t.Errorf("%s: only %d upstream links found", lang, found)
		}
	}
}

func TestNoLinkInTheSourceHoldsRawChinese(t *testing.T) {
	raw := regexp.MustCompile(`(\]\(|<)http[^)>]*[^\x00-\x7f][^)>]*`)
	for lang, guide := range guides {
		for _, m := range raw.FindAllString(guide, -1) {
			t.Errorf("%s: %s", lang, m)
		}
	}
}

// TestTheTableOfSymptomsLeadsToEverySection checks that each link inside the
// guide is the GitHub slug of a heading, and that the table at the beginning
// links every section.
func TestTheTableOfSymptomsLeadsToEverySection(t *testing.T) {
	for lang, guide := range guides {
		slugs := map[string]string{} // of GitHub, by the section's ID
		all := map[string]bool{}
		section := regexp.MustCompile(`(?m)^(?:<a id="([a-z-]+)"></a>\n\n)?##+ (.*)$`)
		for _, m := range section.FindAllStringSubmatch(guide, -1) {
			slug := githubSlug(m[2])
			if all[slug] {
				t.Errorf("%s: two headings have the slug %s", lang, slug)
			}
			all[slug], slugs[m[1]] = true, slug
		}
		for _, link := range links(t, guide) {
			slug, ours := strings.CutPrefix(link, "#")
			if slug, err := url.PathUnescape(slug); ours && (err != nil || !all[slug]) {
				t.Errorf("%s: no heading has the slug #%s", lang, slug)
			}
		}
		start, _, _ := strings.Cut(guide, `<a id="api"></a>`)
		for id := range sections(guide) {
			if !strings.Contains(start, "](#"+slugs[id]+") |\n") {
				t.Errorf("%s: the table at the beginning does not link %s", lang, id)
			}
		}
	}
}

// githubSlug returns the anchor that GitHub gives a heading: lower case,
// spaces as hyphens, without punctuation.
func githubSlug(heading string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == ' ':
			return '-'
		case r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsNumber(r) || unicode.IsMark(r):
			return unicode.ToLower(r)
		}
		return -1
	}, heading)
}

func TestTheGuideHoldsNoKeyMaterial(t *testing.T) {
	secret := regexp.MustCompile(`-----BEGIN|-----END|[A-Za-z0-9+/]{64,}|([0-9A-F]{2}:){8}`)
	for lang, guide := range guides {
		if m := secret.FindString(guide); m != "" {
			t.Errorf("%s: %.40q", lang, m)
		}
	}
}

// parse reads the guide as Markdown.
func parse(guide string) ast.Node {
	return goldmark.New(goldmark.WithExtensions(extension.Table)).Parser().Parse(text.NewReader([]byte(guide)))
}

// headings returns "## id" for each ## heading and "### id" for each section of
// an alert, and reports a ## heading without an ID. A ### heading without an ID
// is a part of the section above it.
func headings(t *testing.T, guide string) []string {
	t.Helper()
	var out []string
	for _, m := range regexp.MustCompile(`(?m)^(?:<a id="([a-z-]+)"></a>\n\n)?(###?) (.*)$`).FindAllStringSubmatch(guide, -1) {
		if m[1] == "" {
			if m[2] == "##" {
				t.Errorf("no ID above %q", m[3])
			}
			continue
		}
		out = append(out, m[2]+" "+m[1])
	}
	return out
}

func links(t *testing.T, guide string) []string {
	t.Helper()
	var out []string
	walk(parse(guide), func(n ast.Node) {
		switch n := n.(type) {
		case *ast.Link:
			out = append(out, string(n.Destination))
		case *ast.AutoLink:
			out = append(out, string(n.URL([]byte(guide))))
		}
	})
	if len(out) == 0 {
		t.Error("no links found")
	}
	return out
}

func walk(root ast.Node, visit func(ast.Node)) {
	_ = ast.Walk(root, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if entering {
			visit(n)
		}
		return ast.WalkContinue, nil
	})
}

// sections returns the text of each ### section by its ID, from below the
// heading to the next section.
func sections(guide string) map[string]string {
	heading := regexp.MustCompile(`(?m)^<a id="([a-z-]+)"></a>\n\n(##+) .*$`)
	out := map[string]string{}
	at := heading.FindAllStringSubmatchIndex(guide, -1)
	for i, m := range at {
		end := len(guide)
		if i+1 < len(at) {
			end = at[i+1][0]
		} else if i := strings.Index(guide, "\n[rb-"); i >= 0 {
			end = i
		}
		if guide[m[4]:m[5]] == "###" {
			out[guide[m[2]:m[3]]] = guide[m[1]:end]
		}
	}
	return out
}

func consoleBlocks(guide string) []string {
	return regexp.MustCompile("(?s)```console\n.*?\n```").FindAllString(guide, -1)
}

func commands(part string) []string {
	return regexp.MustCompile(`(?m)^\$ .*$`).FindAllString(part, -1)
}

func alerts(part string) []string {
	return regexp.MustCompile("(?m)^`Rainbond[A-Za-z]+`").FindAllString(part, -1)
}
