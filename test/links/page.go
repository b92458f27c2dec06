package links

import (
	"bytes"
	"regexp"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/text"
)

// A page is what a Markdown file links to and what it can be linked to by.
type page struct {
	links    []link
	anchors  map[string]bool
	headings []string
}

type link struct {
	line   int
	target string
}

// parse returns a Markdown file as GitHub reads it: `{#id}` behind a heading is part of its text.
func parse(source []byte) page {
	p := page{anchors: map[string]bool{"": true}}
	slugs := slugger{}
	add := func(at int, target string) {
		p.links = append(p.links, link{1 + bytes.Count(source[:at], []byte("\n")), target})
	}
	html := func(raw []byte, at int) {
		for _, m := range attribute.FindAllSubmatch(raw, -1) {
			switch value := string(m[2]); string(m[1]) {
			case "id", "name":
				p.anchors[value] = true
			default:
				add(at, value)
			}
		}
	}
	root := goldmark.New(goldmark.WithExtensions(extension.GFM)).Parser().Parse(text.NewReader(source))
	at := 0 // where the last block begins: an inline node does not know its place
	_ = ast.Walk(root, func(node ast.Node, entering bool) (ast.WalkStatus, error) {
		if !entering {
			return ast.WalkContinue, nil
		}
		if node.Type() == ast.TypeBlock && node.Lines().Len() > 0 {
			at = node.Lines().At(0).Start
		}
		switch n := node.(type) {
		case *ast.Text:
			at = n.Segment.Start
		case *ast.Heading:
			h := plain(n, source)
			p.headings = append(p.headings, h)
			p.anchors[slugs.slug(h)] = true
		case *ast.Link:
			add(first(n, at), string(n.Destination))
		case *ast.Image:
			add(first(n, at), string(n.Destination))
		case *ast.HTMLBlock:
			html(n.Lines().Value(source), at)
		case *ast.RawHTML:
			html(n.Segments.Value(source), at)
		}
		return ast.WalkContinue, nil
	})
	return p
}

var attribute = regexp.MustCompile(`\b(id|name|href|src)="([^"]*)"`)

// first returns where the text of a node begins, or at without a text.
func first(node ast.Node, at int) int {
	for child := node.FirstChild(); child != nil; child = child.FirstChild() {
		if t, ok := child.(*ast.Text); ok {
			return t.Segment.Start
		}
	}
	return at
}

// plain returns the text of a node without its markup.
func plain(node ast.Node, source []byte) string {
	var b bytes.Buffer
	for child := node.FirstChild(); child != nil; child = child.NextSibling() {
		switch n := child.(type) {
		case *ast.Text:
			b.Write(n.Value(source))
			if n.SoftLineBreak() {
				b.WriteByte('\n')
			}
		case *ast.String:
			b.Write(n.Value)
		default:
			b.WriteString(plain(child, source))
		}
	}
	return b.String()
}
