package demo

import (
	"errors"
	"html/template"
	"net/http"
	"slices"
	"strings"
)

// maxForm is the maximum size of a form in bytes.
const maxForm = 4 << 10

// Switch returns a handler that changes the scenario: a POST with the form
// value scenario redirects to the page (303). Cross-origin requests are
// rejected, because pages of other sites can reach the loopback address.
func (d *Demo) Switch() http.Handler {
	return http.NewCrossOriginProtection().Handler(http.HandlerFunc(d.change))
}

func (d *Demo) change(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		http.Error(w, "expected a POST with the form value scenario", http.StatusMethodNotAllowed)
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	err := d.Set(r.PostFormValue("scenario"))
	if unknown := UnknownScenarioError(""); errors.As(err, &unknown) || errors.Is(err, errTogether) {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	back := "./" // relative, so that it holds under any prefix
	if lang := r.URL.Query().Get("lang"); lang == "zh" || lang == "en" {
		back += "?lang=" + lang
	}
	w.Header().Set("Location", back)
	w.WriteHeader(http.StatusSeeOther)
}

// A group contains the scenarios of one slug.
type group struct {
	slug  string
	title map[string]string
}

// groups are all groups, in display order.
var groups = []group{
	{slugHealthy, title("正常", "Healthy")},
	{"api", title("集群端 API", "Region API")},
	{"tls", title("TLS 握手", "TLS handshake")},
	{"cert", title("证书", "Certificates")},
	{"node-role", title("节点角色", "Node roles")},
	{"component", title("平台组件", "Platform components")},
	{"disk", title("磁盘空间", "Disk space")},
	{slugRegion, title("多个集群", "Several regions")},
	{slugWatch, title("监控自身", "Monitoring itself")},
}

var aside = template.Must(template.New("aside").Parse(`<form class="demo-switch" method="post" action="demo?lang={{.Lang}}">
<h2>{{.Title}}</h2>
{{- range .Groups}}
<details{{if .Open}} open{{end}}>
<summary>{{.Title}}</summary>
{{- range .Buttons}}
<button name="scenario" value="{{.Name}}" title="{{.Name}}"{{if .Current}} class="current" aria-current="true"{{end}}>{{.Title}}</button>
{{- end}}
</details>
{{- end}}
</form>
`))

type (
	asideData struct {
		Lang, Title string
		Groups      []asideGroup
	}
	asideGroup struct {
		Title   string
		Open    bool
		Buttons []asideButton
	}
	asideButton struct {
		Name, Title string
		Current     bool
	}
)

// Aside returns the list of scenarios as an HTML form in the language zh or en
// (any other is en). The group of the current scenario is open. The form needs
// neither script nor style.
func (d *Demo) Aside(lang string) template.HTML {
	if lang != "zh" {
		lang = "en"
	}
	current := strings.Split(d.Scenario().Name, and)
	data := asideData{Lang: lang, Title: title("演示：模拟故障", "Demo: simulate a fault")[lang]}
	for _, g := range groups {
		group := asideGroup{Title: g.title[lang], Open: g.slug == slugHealthy}
		for _, s := range Scenarios {
			if s.Slug == g.slug {
				is := slices.Contains(current, s.Name)
				group.Open = group.Open || is
				group.Buttons = append(group.Buttons, asideButton{s.Name, s.Title[lang], is})
			}
		}
		data.Groups = append(data.Groups, group)
	}
	var b strings.Builder
	if err := aside.Execute(&b, data); err != nil {
		panic("demo: the aside's template: " + err.Error()) // cannot happen: the data are constant
	}
	return template.HTML(b.String())
}
