package docs_test

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/text"

	"github.com/rainbond-exporter/rainbond-exporter/docs"
)

var guides = map[string]string{"zh": string(docs.GuideZH), "en": string(docs.GuideEN)}

// slugs is the order of the document. The first two sections of the page are
// the reader's way in; the last is about the exporter itself.
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

func TestSectionsStandUnderTheirSlugInTheOrderOfTheDocument(t *testing.T) {
	var got []string
	for _, h := range headings(t, guides["en"]) {
		level, id, _ := strings.Cut(h, " ")
		if level == "##" {
			got = append(got, id)
			continue
		}
		if slug := got[len(got)-1]; !strings.HasPrefix(id, slug+"-") {
			t.Errorf("section %s stands under %s", id, slug)
		}
	}
	if !slices.Equal(got, slugs) {
		t.Errorf("slugs %q, want %q", got, slugs)
	}
}

func TestEverySectionHasTheSameParts(t *testing.T) {
	parts := map[string][]string{
		"en": {"\n`Rainbond", "\n**What it means.** ", "\n**Who notices.** ", "\n**Confirm.**", "\n**Repair.**", "\n**Well again** ", "\nRainbond's page: "},
		"zh": {"\n`Rainbond", "\n**含义。** ", "\n**影响谁。** ", "\n**确认。**", "\n**修复。**", "\n**恢复的标志：** ", "\n官方文档："},
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

// TestNoCommandRepeatsAMistakeOfTheOldPage holds the commands that select
// nothing, break rbd-api or show a password on v6.
func TestNoCommandRepeatsAMistakeOfTheOldPage(t *testing.T) {
	bad := regexp.MustCompile(`release=|delete secret|docker system|describe (pod|deploy|replicaset)|openssl verify|master=|worker=true|args`)
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
			if strings.HasPrefix(link, "#") || link == "https://www.rainbond.io/docs/troubleshooting/cluster-connect" {
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

func TestTheTableAtTheBeginningLeadsToEverySection(t *testing.T) {
	for lang, guide := range guides {
		var ids []string
		for _, h := range headings(t, guide) {
			_, id, _ := strings.Cut(h, " ")
			ids = append(ids, id)
		}
		for _, link := range links(t, guide) {
			if id, ours := strings.CutPrefix(link, "#"); ours && !slices.Contains(ids, id) {
				t.Errorf("%s: #%s leads nowhere", lang, id)
			}
		}
		start, _, _ := strings.Cut(guide, "{#api}")
		for id := range sections(guide) {
			if !strings.Contains(start, "| ["+id+"](#"+id+") |") {
				t.Errorf("%s: the table at the beginning lacks %s", lang, id)
			}
		}
	}
}

func TestTheGuideHoldsNoKeyMaterial(t *testing.T) {
	secret := regexp.MustCompile(`-----BEGIN|-----END|[A-Za-z0-9+/]{64,}|([0-9A-F]{2}:){8}`)
	for lang, guide := range guides {
		if m := secret.FindString(guide); m != "" {
			t.Errorf("%s: %.40q", lang, m)
		}
	}
}

// parse reads the guide as the page does.
func parse(guide string) ast.Node {
	md := goldmark.New(goldmark.WithExtensions(extension.Table), goldmark.WithParserOptions(parser.WithAttribute()))
	return md.Parser().Parse(text.NewReader([]byte(guide)))
}

// headings returns "## id" for each heading below the title, and complains
// about one without an id.
func headings(t *testing.T, guide string) []string {
	t.Helper()
	var out []string
	walk(parse(guide), func(n ast.Node) {
		h, ok := n.(*ast.Heading)
		if !ok || h.Level == 1 {
			return
		}
		id, ok := h.AttributeString("id")
		if !ok {
			t.Errorf("no id: %s", h.Lines().Value([]byte(guide)))
			return
		}
		out = append(out, fmt.Sprintf("%s %s", strings.Repeat("#", h.Level), id))
	})
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

// sections returns the text of each ### section by its id, without the
// heading, up to the next heading.
func sections(guide string) map[string]string {
	heading := regexp.MustCompile(`(?m)^##+ .*\{#([a-z-]+)\}$`)
	out := map[string]string{}
	at := heading.FindAllStringSubmatchIndex(guide, -1)
	for i, m := range at {
		end := len(guide)
		if i+1 < len(at) {
			end = at[i+1][0]
		}
		if strings.HasPrefix(guide[m[0]:], "### ") {
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
