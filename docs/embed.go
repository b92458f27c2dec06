// Package docs contains the guide, embedded so that the exporter can serve it
// at an air-gapped site. The exporter serves the HTML; tests read the Markdown.
package docs

import _ "embed"

// GuideZH is the guide in Chinese, in Markdown. A line <a id="…"></a> above a
// heading is its ID. Both guides have the same IDs in the same order.
//
//go:embed guide.zh.md
var GuideZH []byte

// GuideEN is the guide in English, with the IDs of GuideZH.
//
//go:embed guide.en.md
var GuideEN []byte

// PageZH is GuideZH in HTML: the list of contents, the line <!-- text --> and the
// text. make sync writes it.
//
//go:embed guide.zh.html
var PageZH []byte

// PageEN is GuideEN in HTML.
//
//go:embed guide.en.html
var PageEN []byte
