//go:build e2e && faults

package e2e

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/rainbond-exporter/rainbond-exporter/demo"
	"github.com/rainbond-exporter/rainbond-exporter/rules/variant"
	"github.com/rainbond-exporter/rainbond-exporter/test/matrix"
)

// identityRows are faults, each with another one, of a platform of the same name: one that would
// inhibit its alerts, or whose alerts it would inhibit.
var identityRows = [][2]string{
	{"api-5xx", "cert-rotated-broken"},
	{"cert-rotated-latent", "cert-rotated-broken"},
	{"component-crashloop", "component-node-down"},
}

// A bed is a platform in a setting.
type bed struct {
	setting string
	fault   breakage
	p       *patient
	other   breakage // of the other platform
	next    *patient // the other platform; nil if there is none
}

// neighbour returns what was wrong with the notifications about the other platform, whose fault has
// not ended.
func (b *bed) neighbour() []string {
	if b.next == nil {
		return nil
	}
	var got, wrong []string
	for _, n := range b.p.ward.of(b.next) {
		if n.firing {
			got = append(got, n.Labels["alertname"])
		} else {
			wrong = append(wrong, fmt.Sprintf("the other platform: %s", n))
		}
	}
	if slices.Sort(got); !slices.Equal(got, slices.Sorted(slices.Values(b.other.want))) {
		wrong = append(wrong, fmt.Sprintf("the other platform: notified %q, want %q", got, b.other.want))
	}
	for _, n := range b.p.ward.strangers() {
		wrong = append(wrong, fmt.Sprintf("of no platform: %s", n))
	}
	return wrong
}

// TestIdentities plays faults in each setting of matrix.Identities. Each has a Prometheus, and one
// Alertmanager for its platforms, which all have the region name rainbond.
func TestIdentities(t *testing.T) {
	*quick = true
	files := readFiles(t)
	folder, logs := t.TempDir(), logFolder(t)
	rowOf := func(name string) breakage {
		all := known(demo.Installations[0])
		return all[slices.IndexFunc(all, func(f breakage) bool { return f.name == name })]
	}
	var beds []*bed
	var patients []*patient
	for _, row := range identityRows {
		for _, setting := range matrix.Identities {
			name := setting + "." + row[0]
			b := &bed{setting: setting, fault: rowOf(row[0]), p: &patient{name: name, place: demo.Default, pair: setting == matrix.Pair, ward: &ward{}}}
			b.p.ward.patients = []*patient{b.p}
			if setting == matrix.Healthy || setting == matrix.Faulty {
				b.other = rowOf("healthy")
				if setting == matrix.Faulty {
					b.other = rowOf(row[1])
				}
				b.next = &patient{name: name + ".next", place: demo.Default, ward: b.p.ward}
				b.p.ward.patients = append(b.p.ward.patients, b.next)
			}
			beds, patients = append(beds, b), append(patients, b.p.ward.patients...)
		}
	}
	beginPatients(t, logs, patients)
	for _, b := range beds {
		w := b.p.ward
		w.alerting = beginAlerting(t, sub(t, folder, b.p.name), sub(t, logs, b.p.name), edited(t, variant.Prometheus), w.scrapes())
		until(t, 2*time.Minute, "every scrape succeeds", w.scrapesAll)
	}
	progress("every region is monitored and healthy")
	<-time.After(healthyFor())

	measured, err := matrix.Read(measuredFile)
	must(t, err)
	var mu sync.Mutex
	t.Run("row", func(t *testing.T) {
		for i, b := range beds {
			t.Run(b.p.name, func(t *testing.T) {
				t.Parallel()
				<-time.After(time.Duration(i) * spread)
				began := time.Now()
				if b.setting == matrix.Faulty {
					b.next.set(t, b.other.name)
					_, err := b.next.hear(b.other.want[0], "firing", began, files.slowest(b.other.want[0])+settle)
					must(t, err)
				}
				o := b.fault.play(t, b.p, files)
				result := matrix.Result{Messages: o.messages, Wrong: len(o.complaints()) > 0}
				for _, h := range o.received {
					result.Seconds = append(result.Seconds, int(h.fired.Seconds()+0.5))
				}
				for _, complaint := range o.complaints() {
					t.Error(complaint)
				}
				for _, complaint := range b.neighbour() {
					result.Wrong = true
					t.Error(complaint)
				}
				progress("%-36s %v", b.p.name, result)
				mu.Lock()
				defer mu.Unlock()
				measured.Add(b.setting, b.fault.name, result)
			})
		}
	})
	if *record {
		must(t, measured.Write(measuredFile))
		writePage(t, "", measured)
	}
}
