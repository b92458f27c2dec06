// Package docs contains the guide, embedded so that the exporter can serve it
// at an air-gapped site.
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
