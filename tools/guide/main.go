// Command guide renders docs/guide.*.md as the HTML that the exporter embeds:
// docs/guide.*.html. A renderer inside the exporter would cost memory in every process.
package main

import (
	"bytes"
	"fmt"
	"html"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"unicode"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/text"
)

func main() {
	for _, lang := range []string{"en", "zh"} {
		path := filepath.Join("docs", "guide."+lang)
		markdown, err := os.ReadFile(path + ".md")
		if err == nil {
			err = os.WriteFile(path+".html", render(markdown), 0o644)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "guide:", err)
			os.Exit(1)
		}
	}
}

// project is where a link to another page of the documentation leads: the
// exporter serves the guide only.
const project = "https://github.com/rainbond-exporter/rainbond-exporter/blob/main/docs/"

// render returns the list of contents and, below the line <!-- text -->, the text.
// Raw HTML is left out. A heading has two anchors: the id of the line
// <a id="…"></a> above it, which alerts use, and the one that GitHub gives it,
// which links inside the guide use.
func render(markdown []byte) []byte {
	md := goldmark.New(goldmark.WithExtensions(extension.NewTable(extension.WithTableCellAlignMethod(extension.TableCellAlignAttribute))))
	root := md.Parser().Parse(text.NewReader(markdown))
	var b bytes.Buffer
	b.WriteString("<ul>\n")
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
				fmt.Fprintf(&b, "<li class=\"level%d\"><a href=\"#%s\">%s</a></li>\n", n.Level, id, html.EscapeString(label))
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
	b.WriteString("</ul>\n<!-- text -->\n")
	if err := md.Renderer().Render(&b, markdown, root); err != nil {
		panic("guide: a buffer refused the guide: " + err.Error()) // writing to memory does not fail
	}
	return b.Bytes()
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
