//go:build e2e

package browser

import (
	"bytes"
	"cmp"
	"flag"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/chromedp/chromedp"
)

var pictures = flag.Bool("pictures", false, "make docs/pictures again")

// maxPicture is what a picture in the documentation may weigh.
const maxPicture = 120_000

// TestPictures makes the pictures of the documentation, of the real pages:
// what is above the fold, the message on the phone, and the messages of the robots.
func TestPictures(t *testing.T) {
	if !*pictures {
		t.Skip("make pictures makes them")
	}
	home := run(t, "demo", "--scenario="+visible)
	for _, lang := range langs {
		b := newTab(t, size{"page", 1120, 900, false})
		b.theme("light")
		b.loads(chromedp.Navigate(home + "/?lang=" + lang))
		b.picture("status."+lang, chromedp.CaptureScreenshot())
		b.picture("phone."+lang, chromedp.Screenshot(chromedp.CSS(".phone")))
		page, err := filepath.Abs(filepath.Join("..", "..", "bin", "robots."+lang+".html"))
		if err != nil {
			t.Fatal(err)
		}
		b.loads(chromedp.Navigate("file://" + page))
		b.picture("robots."+lang, chromedp.Screenshot(chromedp.CSS("main")))
	}
}

func (b *tab) picture(name string, take chromedp.Action[[]byte]) {
	b.Helper()
	taken, err := chromedp.Run(b.ctx, take)
	if err != nil {
		b.Fatal(err)
	}
	full, err := png.Decode(bytes.NewReader(taken))
	if err != nil {
		b.Fatal(err)
	}
	var small bytes.Buffer
	if err := (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&small, fewColours(full)); err != nil {
		b.Fatal(err)
	}
	if small.Len() > maxPicture {
		b.Errorf("%s weighs %d bytes, more than %d", name, small.Len(), maxPicture)
	}
	if err := os.WriteFile(filepath.Join("..", "..", "docs", "pictures", name+".png"), small.Bytes(), 0o644); err != nil {
		b.Fatal(err)
	}
	progress("docs/pictures/%s.png: %d bytes, of %d", name, small.Len(), len(taken))
}

// fewColours returns the picture in its 256 most frequent colours. Every other
// pixel gets the nearest of these.
func fewColours(full image.Image) *image.Paletted {
	count := map[color.RGBA]int{}
	bounds := full.Bounds()
	each := func(do func(x, y int, c color.RGBA)) {
		for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
			for x := bounds.Min.X; x < bounds.Max.X; x++ {
				do(x, y, color.RGBAModel.Convert(full.At(x, y)).(color.RGBA))
			}
		}
	}
	each(func(_, _ int, c color.RGBA) { count[c]++ })
	all := make([]color.RGBA, 0, len(count))
	for c := range count {
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b color.RGBA) int {
		return cmp.Or(cmp.Compare(count[b], count[a]), cmp.Compare(a.R, b.R), cmp.Compare(a.G, b.G), cmp.Compare(a.B, b.B))
	})
	palette := color.Palette{}
	for _, c := range all[:min(len(all), 256)] {
		palette = append(palette, c)
	}
	few := image.NewPaletted(bounds, palette)
	nearest := map[color.RGBA]uint8{}
	each(func(x, y int, c color.RGBA) {
		i, known := nearest[c]
		if !known {
			i = uint8(palette.Index(c))
			nearest[c] = i
		}
		few.SetColorIndex(x, y, i)
	})
	return few
}
