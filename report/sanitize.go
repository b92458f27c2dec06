package report

import (
	"strings"
	"unicode"
)

// Sanitize takes from an outside text what a terminal would obey: control
// characters, line breaks, and tricks of writing direction.
func Sanitize(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case !unicode.IsPrint(r):
			return unicode.ReplacementChar
		}
		return r
	}, text)
}

// Plain is a sanitized text on one line, with single blanks.
func Plain(text string) string { return strings.Join(strings.Fields(Sanitize(text)), " ") }

// MaxShown is how much of an outside text is shown to people; JSON has all.
const MaxShown = 480

// Shown is an outside text as people are shown it: plain, and cut.
func Shown(text string) string {
	runes := []rune(Plain(text))
	if len(runes) <= MaxShown {
		return string(runes)
	}
	return string(runes[:MaxShown-1]) + "…"
}
