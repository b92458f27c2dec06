package report

import (
	"github.com/rainbond-exporter/rainbond-exporter/doctor"
)

// Routes returns a sentence for each region of the exporter's cluster: the
// address that was probed, and why the console uses it. An address from the
// console's own copy needs no explanation.
func Routes(d doctor.Diagnosis, lang string) []string {
	var all []string
	for _, r := range d.Routes {
		if key := "route_" + r.Origin; r.URL != "" && phrases[key] != (phrase{}) {
			all = append(all, Phrase(lang, key, Plain(r.URL)))
		}
	}
	return all
}
