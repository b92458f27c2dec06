package web

import (
	"bytes"
	"html/template"
	"net/http"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/parser"
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
	pages := map[string]guide{}
	for lang, markdown := range texts {
		pages[lang] = renderGuide(lang, markdown)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		lang := languageOf(r)
		page, ok := pages[lang]
		if !ok {
			http.NotFound(w, r)
			return
		}
		render(w, http.StatusOK, "guide", lang, page)
	})
}

func renderGuide(lang string, markdown []byte) guide {
	md := goldmark.New(goldmark.WithExtensions(extension.NewTable(extension.WithTableCellAlignMethod(extension.TableCellAlignAttribute))), goldmark.WithParserOptions(parser.WithAttribute()))
	root := md.Parser().Parse(text.NewReader(markdown))
	g := guide{Lang: lang, CSS: template.CSS(style), Icon: icon(doctor.Healthy)}
	for node := root.FirstChild(); node != nil; node = node.NextSibling() {
		h, ok := node.(*ast.Heading)
		if !ok || h.Level < 2 || h.Level > 3 {
			continue
		}
		if id, ok := h.AttributeString("id"); ok {
			g.Contents = append(g.Contents, heading{h.Level, string(id.([]byte)), plainText(h, markdown)})
		}
	}
	var b bytes.Buffer
	if err := md.Renderer().Render(&b, markdown, root); err != nil {
		panic("doctor: a buffer refused the guide: " + err.Error()) // writing to memory does not fail
	}
	g.Body = template.HTML(b.String())
	return g
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
