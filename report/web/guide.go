package web

import (
	"bytes"
	"html/template"
	"net/http"

	"github.com/rainbond-exporter/rainbond-exporter/doctor"
)

// A guide is the guide in one language, as a page.
type guide struct {
	Lang     string
	Body     template.HTML
	Contents template.HTML
	CSS      template.CSS
	Icon     template.URL
}

// guideHandler shows the guide.
func guideHandler(pages map[string][]byte) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		lang := languageOf(r)
		page, ok := pages[lang]
		if !ok {
			http.NotFound(w, r)
			return
		}
		contents, body, _ := bytes.Cut(page, []byte("<!-- text -->\n"))
		render(w, http.StatusOK, "guide", lang, guide{lang, template.HTML(body), template.HTML(contents), template.CSS(style), icon(doctor.Healthy)})
	})
}
