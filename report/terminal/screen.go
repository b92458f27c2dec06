package terminal

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/rainbond-exporter/rainbond-exporter/doctor"
	"github.com/rainbond-exporter/rainbond-exporter/report"
)

// A Screen shows one diagnosis after the other on a terminal, each in place
// of the one before. Close restores the terminal.
type Screen struct {
	Out io.Writer
	// Every is how often there is a new diagnosis.
	Every time.Duration
	open  bool
}

// What a terminal obeys (ECMA-48, and xterm's private modes).
const (
	openScreen  = "\x1b[?1049h\x1b[?25l" // another screen, no cursor
	closeScreen = "\x1b[?25h\x1b[?1049l"
	home        = "\x1b[H"
	restOfLine  = "\x1b[K" // erase it
	restOfAll   = "\x1b[J"
)

// Draw shows so much of a diagnosis as fits into a terminal of the given
// width and height, in one write, so that nothing flickers.
func (s *Screen) Draw(d doctor.Diagnosis, style Style, width, height int) error {
	t := &terminal{style: style, at: d.At}
	t.para(0, dim, report.Phrase(style.Lang, "again", d.At.Format(time.TimeOnly), s.Every))
	t.line("")
	if err := Write(&t.Buffer, d, style); err != nil {
		return err
	}
	var b bytes.Buffer
	if !s.open {
		b.WriteString(openScreen)
		s.open = true
	}
	b.WriteString(home)
	lines := t.fit(width, height)
	for i, line := range lines {
		// Erased before it is written: after a line that fills its row, a
		// terminal would erase the last character.
		last := i == len(lines)-1
		if last || rowsOf(line, width) > 1 {
			b.WriteString(restOfAll)
		} else {
			b.WriteString(restOfLine)
		}
		b.WriteString(line)
		if !last {
			b.WriteString("\r\n")
		}
	}
	_, err := s.Out.Write(b.Bytes())
	return err
}

// Close gives the terminal back.
func (s *Screen) Close() error {
	if !s.open {
		return nil
	}
	s.open = false
	_, err := fmt.Fprint(s.Out, closeScreen)
	return err
}

// fit returns the lines that fit; the last one has the number of the others. A
// line wider than the terminal takes several rows of it.
func (t *terminal) fit(width, height int) []string {
	lines := strings.Split(strings.TrimSuffix(t.String(), "\n"), "\n")
	taken := 0
	for i, line := range lines {
		taken += rowsOf(line, width)
		if taken > height || taken == height && i < len(lines)-1 {
			return append(lines[:i:i], t.paint(dim, wrap(report.Phrase(t.style.Lang, "cut", len(lines)-i), width)[0]))
		}
	}
	return lines
}

// rowsOf returns the number of terminal rows that a line needs.
func rowsOf(line string, width int) int {
	return max(1, (columns.StringWidth(colors.ReplaceAllString(line, ""))+width-1)/width)
}
