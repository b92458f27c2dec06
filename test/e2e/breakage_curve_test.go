//go:build e2e

package e2e

import (
	"bytes"
	"fmt"
	"html"
	"math"
	"slices"
	"strings"
	"time"
)

// A curve is what an exporter weighed while things broke.
type curve struct {
	seen   []observation
	begun  time.Time
	faults []spell
}

// The picture's measures, in pixels.
const (
	width, panel        = 960, 170
	left, right, top    = 64, 20, 64
	gap                 = 50
	legend              = 24
	firstPanel, between = top, panel + gap
)

// hues are those of the faults, light enough to be read over.
var hues = []string{"#fde2c8", "#d7e8f7", "#f9d5d5", "#e2dcf2", "#d9eed3", "#f3e3b3", "#e0e0e0", "#d2ece9"}

type line struct {
	name, colour string
	of           func(usage) float64
}

// svg draws memory and goroutines over the minutes, the faults behind them.
func (c curve) svg() []byte {
	var b bytes.Buffer
	height := firstPanel + 2*between + legend*2
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12" role="img">
<title>Memory and goroutines of rainbond-exporter while the Kubernetes API breaks</title>
<rect width="100%%" height="100%%" fill="white"/>
<text x="%d" y="24" font-size="16">Memory and goroutines while the Kubernetes API breaks every %.0f s</text>
`, width, height, left, turn.Seconds())
	const mebi = 1 << 20
	c.panel(&b, firstPanel, []line{
		{"resident (MiB)", "#1f6fb4", func(u usage) float64 { return u.resident / mebi }},
		{"heap at which the next collection begins (MiB)", "#c2410c", func(u usage) float64 { return u.live / mebi }},
	})
	c.panel(&b, firstPanel+between, []line{{"goroutines", "#15803d", func(u usage) float64 { return u.goroutines }}})
	c.legend(&b, firstPanel+2*between)
	b.WriteString("</svg>\n")
	return b.Bytes()
}

// minutes is how long the picture is.
func (c curve) minutes() float64 {
	return c.seen[len(c.seen)-1].at.Sub(c.begun).Minutes()
}

func (c curve) x(d time.Duration) float64 {
	return left + d.Minutes()/c.minutes()*(width-left-right)
}

// kinds are the faults, each once.
func (c curve) kinds() []string {
	var all []string
	for _, f := range c.faults {
		if !slices.Contains(all, f.name) {
			all = append(all, f.name)
		}
	}
	return all
}

func (c curve) panel(b *bytes.Buffer, y int, lines []line) {
	most := 0.0
	for _, l := range lines {
		for _, g := range c.seen {
			most = max(most, l.of(g.self))
		}
	}
	step := math.Pow(10, math.Floor(math.Log10(most)))
	for most/step < 4 {
		step /= 2
	}
	ceiling := math.Ceil(most/step) * step
	at := func(v float64) float64 { return float64(y) + panel*(1-v/ceiling) }
	for _, f := range c.faults {
		fmt.Fprintf(b, "<rect x=\"%.1f\" y=\"%d\" width=\"%.1f\" height=\"%d\" fill=\"%s\"/>\n",
			c.x(f.from), y, c.x(f.to)-c.x(f.from), panel, hues[slices.Index(c.kinds(), f.name)%len(hues)])
	}
	for v := 0.0; v <= ceiling; v += step {
		fmt.Fprintf(b, "<line x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\" stroke=\"#ddd\"/><text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%g</text>\n",
			left, width-right, at(v), at(v), left-6, at(v)+4, v)
	}
	for m := 0.0; m <= c.minutes(); m++ {
		fmt.Fprintf(b, "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%g</text>\n", c.x(time.Duration(m*float64(time.Minute))), y+panel+16, m)
	}
	fmt.Fprintf(b, "<text x=\"%d\" y=\"%d\" text-anchor=\"end\">minutes</text>\n", width-right, y+panel+32)
	key := left
	for _, l := range lines {
		var points []string
		for _, g := range c.seen {
			points = append(points, fmt.Sprintf("%.1f,%.1f", c.x(g.at.Sub(c.begun)), at(l.of(g.self))))
		}
		fmt.Fprintf(b, "<polyline fill=\"none\" stroke=\"%s\" stroke-width=\"1.5\" points=\"%s\"/>\n", l.colour, strings.Join(points, " "))
		fmt.Fprintf(b, "<text x=\"%d\" y=\"%d\" fill=\"%s\">%s</text>\n", key, y-8, l.colour, html.EscapeString(l.name))
		key += 330
	}
}

// legend names the faults' hues, four in a row.
func (c curve) legend(b *bytes.Buffer, y int) {
	for i, name := range c.kinds() {
		x, row := left+i%4*220, y+i/4*legend
		fmt.Fprintf(b, "<rect x=\"%d\" y=\"%d\" width=\"14\" height=\"14\" fill=\"%s\" stroke=\"#999\"/><text x=\"%d\" y=\"%d\">%s</text>\n",
			x, row, hues[i%len(hues)], x+20, row+12, html.EscapeString(name))
	}
}
