package web

import (
	"bytes"
	"html/template"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"unicode"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/text"

	"github.com/rainbond-exporter/rainbond-exporter/doctor"
)

// A guide is the guide in one language, as a page.
type guide struct {
	Lang     string
	Body     template.HTML
	Contents []heading
	CSS      template.CSS
	Icon     template.URL
}

// A heading is one that can be linked to.
type heading struct {
	Level    int
	ID, Text string
}

// guideHandler shows the guide. The texts are the exporter's own; raw HTML in
// them is left out all the same.
func guideHandler(texts map[string][]byte) http.Handler {
	pages := map[string]func() guide{} // rendered at the first request, since most processes have none
	for lang, markdown := range texts {
		pages[lang] = sync.OnceValue(func() guide { return renderGuide(lang, markdown) })
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		lang := languageOf(r)
		page, ok := pages[lang]
		if !ok {
			http.NotFound(w, r)
			return
		}
		render(w, http.StatusOK, "guide", lang, page())
	})
}

// project is where a link to another page of the documentation leads: the
// exporter serves the guide only.
const project = "https://github.com/rainbond-exporter/rainbond-exporter/blob/main/docs/"

// renderGuide returns the guide as a page. A heading has two anchors: the id
// of the line <a id="…"></a> above it, which alerts use, and the one that
// GitHub gives it, which links inside the guide use.
func renderGuide(lang string, markdown []byte) guide {
	md := goldmark.New(goldmark.WithExtensions(extension.NewTable(extension.WithTableCellAlignMethod(extension.TableCellAlignAttribute))))
	root := md.Parser().Parse(text.NewReader(markdown))
	g := guide{Lang: lang, CSS: template.CSS(style), Icon: icon(doctor.Healthy)}
	id := "" // of the next heading
	for node := root.FirstChild(); node != nil; {
		next := node.NextSibling()
		switch n := node.(type) {
		case *ast.Paragraph:
			if m := anchor.FindSubmatch(n.Lines().Value(markdown)); m != nil {
				id = string(m[1])
				root.RemoveChild(root, n)
			}
		case *ast.Heading:
			label := plainText(n, markdown)
			slug := githubSlug(label)
			if id == "" {
				id = slug
			} else if id != slug {
				span := ast.NewString([]byte(`<span id="` + slug + `"></span>`))
				span.SetCode(true) // written as it is; a slug has no character of HTML
				n.InsertBefore(n, n.FirstChild(), span)
			}
			n.SetAttributeString("id", []byte(id))
			if n.Level == 2 || n.Level == 3 {
				g.Contents = append(g.Contents, heading{n.Level, id, label})
			}
			id = ""
		}
		node = next
	}
	_ = ast.Walk(root, func(node ast.Node, entering bool) (ast.WalkStatus, error) {
		if link, ok := node.(*ast.Link); ok && entering && relative.Match(link.Destination) {
			link.Destination = append([]byte(project), link.Destination...)
		}
		return ast.WalkContinue, nil
	})
	var b bytes.Buffer
	if err := md.Renderer().Render(&b, markdown, root); err != nil {
		panic("web: a buffer refused the guide: " + err.Error()) // writing to memory does not fail
	}
	g.Body = template.HTML(b.String())
	return g
}

var (
	anchor   = regexp.MustCompile(`^<a id="([a-z-]+)"></a>\n?$`)
	relative = regexp.MustCompile(`^[\w-][\w./-]*\.md(#|$)`)
)

// githubSlug returns the anchor that GitHub gives a heading: its text in lower
// case, spaces as hyphens, without punctuation.
func githubSlug(heading string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == ' ':
			return '-'
		case r == '-', unicode.In(r, unicode.L, unicode.M, unicode.Nd, unicode.Nl, unicode.Pc):
			return r
		}
		return -1
	}, strings.ToLower(heading))
}

// plainText is the text of a node without its markup.
func plainText(node ast.Node, source []byte) string {
	var b bytes.Buffer
	for child := node.FirstChild(); child != nil; child = child.NextSibling() {
		if t, ok := child.(*ast.Text); ok {
			b.Write(t.Value(source))
		} else {
			b.WriteString(plainText(child, source))
		}
	}
	return b.String()
}
