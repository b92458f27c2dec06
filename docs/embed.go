// Package docs holds the guide, embedded so that a site without a way out can
// read it from the exporter itself.
package docs

import _ "embed"

// GuideZH is the guide in Chinese. It is Markdown with goldmark's attribute
// syntax: every heading below the title bears an explicit id, and both guides
// bear the same ids in the same order.
//
//go:embed guide.zh.md
var GuideZH []byte

// GuideEN is the guide in English, with the ids of GuideZH.
//
//go:embed guide.en.md
var GuideEN []byte
