package terminal

import (
	"strings"
	"unicode"

	"github.com/mattn/go-runewidth"
)

// columns counts terminal columns: a Chinese character takes two. Characters
// that are wide in some locales only (… ≠ “) count as one, so that the output
// is the same everywhere.
var columns = &runewidth.Condition{}

// wrap breaks a text into lines of at most width columns, at spaces and
// between Chinese characters. A word that is wider than the line
// is on a line of its own, so that it can be copied.
func wrap(text string, width int) []string {
	var lines []string
	var line strings.Builder
	taken := 0
	for _, u := range units(text) {
		w := columns.StringWidth(u.text)
		space := 0
		if u.spaced && taken > 0 {
			space = 1
		}
		if taken > 0 && taken+space+w > width {
			lines = append(lines, line.String())
			line.Reset()
			taken, space = 0, 0
		}
		line.WriteString(" "[:space] + u.text)
		taken += space + w
	}
	if taken > 0 {
		lines = append(lines, line.String())
	}
	return lines
}

// A unit is a piece of text that no line break may enter.
type unit struct {
	text   string
	spaced bool // it follows a space
}

func units(text string) []unit {
	var all []unit
	var last rune
	spaced := false
	for _, r := range text {
		if unicode.IsSpace(r) {
			spaced = true
			continue
		}
		if len(all) > 0 && !spaced && !mayBreak(last, r) {
			all[len(all)-1].text += string(r)
		} else {
			all = append(all, unit{string(r), spaced})
		}
		last, spaced = r, false
	}
	return all
}

// What may not begin a line, and what may not end one.
const (
	closing = "，。、：；！？）》」』】”’…—,.;:!?)]}%"
	opening = "（《「『【“‘([{"
)

func mayBreak(before, after rune) bool {
	wide := columns.RuneWidth(before) == 2 || columns.RuneWidth(after) == 2
	return wide && !strings.ContainsRune(closing, after) && !strings.ContainsRune(opening, before)
}
