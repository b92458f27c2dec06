// Package links checks the links of the documentation: in-repository links by the rules of GitHub, and those of the guide as
// /guide serves it.
package links

import (
	"strconv"
	"strings"
	"unicode"
)

// slug returns the anchor that GitHub makes of a heading's text. The test of slugs compares it with github-slugger.
func slug(heading string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == ' ':
			return '-'
		case r == '-', unicode.In(r, unicode.L, unicode.M, unicode.Nd, unicode.Nl, unicode.Pc, unicode.Other_Alphabetic):
			return r
		}
		return -1
	}, strings.ToLower(heading))
}

// A slugger makes the anchors of one page: equal headings get -1, -2, ... in their order.
type slugger map[string]int

func (s slugger) slug(heading string) string {
	base := slug(heading)
	result := base
	for {
		if _, taken := s[result]; !taken {
			break
		}
		s[base]++
		result = base + "-" + strconv.Itoa(s[base])
	}
	s[result] = 0
	return result
}
