//go:build e2e

package e2e

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestPanelsOfAHealthyRegion: every panel has something to show, except those
// that show that there is nothing, correctly.
func TestPanelsOfAHealthyRegion(t *testing.T) {
	s := newEstate(t, map[string]string{"default": "healthy"})
	until(t, time.Minute, "every panel of a healthy region has data or its text for none", func() error {
		var wrong []error
		for _, b := range boards(t, "en") {
			for _, p := range b.Panels {
				shows := 0
				for _, q := range p.Targets {
					answer, err := s.ask(q.Expr, q.Instant)
					wrong = append(wrong, err)
					shows += len(answer)
				}
				if none := p.FieldConfig.Defaults.NoValue != ""; p.Type != "row" && none != (shows == 0) {
					wrong = append(wrong, fmt.Errorf("%s/%d %q shows %d series; it shows %q when there are none", b.UID, p.ID, p.Title, shows, p.FieldConfig.Defaults.NoValue))
				}
			}
		}
		return errors.Join(wrong...)
	})
	if got, err := s.overview(t); err != nil || !slices.Equal(got, []string{"default: healthy | healthy | healthy | healthy | healthy | healthy"}) {
		t.Errorf("the overview shows %q, %v", got, err)
	}
}

// scenes are what the overview shows of a region in each scenario:
// API | handshakes | certificates | node roles | components | nodes and disks.
// Of two components that are equally short, "*", either may be named.
var scenes = [][2]string{
	{"api-address-moved", "connect/unreachable | healthy | healthy | healthy | healthy | healthy"},
	{"api-not-ready", "processing/not_ready | healthy | healthy | healthy | healthy | healthy"},
	{"api-slow", "slow | healthy | healthy | healthy | healthy | healthy"},
	{"api-pod-down", "connect/refused | healthy | healthy | healthy | critical: rbd-api | healthy"},
	{"tls-go-distrusts", "healthy | trust | healthy | healthy | healthy | healthy"},
	{"cert-client-stale-tls13", "tls/client_refused | client_certificate | console ≠ served | healthy | healthy | healthy"},
	{"cert-rotated-latent", "healthy | healthy | not loaded | healthy | healthy | healthy"},
	{"cert-newlines-lost", "tls/client_unreadable | healthy | unreadable: console | healthy | healthy | healthy"},
	{"cert-expiring", "healthy | healthy | 14 days | healthy | healthy | healthy"},
	{"cert-rotation-pending", "healthy | healthy | rotation pending | healthy | healthy | healthy"},
	{"node-role-none", "healthy | healthy | healthy | info: no role: node-5 | healthy | healthy"},
	{"node-role-bare-key", "healthy | healthy | healthy | invalid label: node-4 | healthy | healthy"},
	{"node-role-no-worker", "healthy | healthy | healthy | healthy | healthy | healthy"},
	{"component-crashloop", "healthy | healthy | healthy | healthy | rbd-chaos | healthy"},
	{"component-alarm-stuck", "healthy | healthy | healthy | healthy | reported: rbd-chaos | healthy"},
	{"component-monitor-stale", "healthy | healthy | healthy | healthy | stale | healthy"},
	{"component-operator-failing", "healthy | healthy | rotation pending | healthy | operator: rbd-api | healthy"},
	{"component-restart-pending", "healthy | healthy | healthy | healthy | info: restart: rbd-api | healthy"},
	{"component-node-down", "tls/closed | healthy | healthy | healthy | critical: rbd-api | not ready: node-5"},
	{"disk-82", "healthy | healthy | healthy | healthy | healthy | filling: node-1"},
	{"disk-near", "healthy | healthy | healthy | healthy | healthy | near: node-1"},
	{"disk-pressure", "healthy | healthy | healthy | healthy | * | evicting: node-4"},
	{"disk-inodes", "healthy | healthy | healthy | healthy | healthy | inodes: node-1"},
	{"disk-readonly", "healthy | healthy | healthy | healthy | healthy | read-only: node-1"},
	{"disk-mount-stuck", "healthy | healthy | healthy | healthy | healthy | stuck: node-1"},
	{"watch-forbidden", "healthy | healthy | healthy | healthy | - | healthy"},
}

// TestPanelsOfABrokenRegion breaks a region in one way after the other: the
// overview shows in a word what is wrong, and no more than that; and at the end
// every query of every panel, and of the annotations, has had an answer.
func TestPanelsOfABrokenRegion(t *testing.T) {
	s := newEstate(t, map[string]string{"default": "healthy"})
	empty := map[string]string{}
	for _, b := range boards(t, "en") {
		for _, p := range b.Panels {
			for _, q := range p.Targets {
				if strings.Contains(q.Expr, "restarts_total") && strings.Contains(q.Expr, "$__rate_interval") || strings.Contains(q.Expr, "log_gaps_total") || strings.Contains(q.Expr, "exported_node") {
					continue // what no scene contains: a restart, lost log lines, replaced labels
				}
				empty[fmt.Sprintf("%s/%d %q %s", b.UID, p.ID, p.Title, q.RefID)] = q.Expr
			}
		}
		empty[b.UID+" annotations"] = b.Annotations.List[1].Expr
	}
	for _, scene := range scenes {
		s.turn(t, "default", scene[0])
		took := until(t, 2*time.Minute, scene[0]+" is shown", func() error {
			got, err := s.overview(t)
			if err == nil && (len(got) != 1 || !regexp.MustCompile("^default: "+strings.ReplaceAll(regexp.QuoteMeta(scene[1]), `\*`, "rbd-.*")+"$").MatchString(got[0])) {
				err = fmt.Errorf("%q, want %q", got, scene[1])
			}
			unhealthyRegions := 0
			for _, column := range strings.Split(scene[1], " | ") {
				if column != "healthy" && column != "-" && !strings.HasPrefix(column, "info: ") {
					unhealthyRegions = 1
				}
			}
			if unhealthy, wrong := s.unhealthy(t); err == nil && wrong == nil && unhealthy != unhealthyRegions {
				err = fmt.Errorf("the overview counts %d unhealthy regions", unhealthy)
			} else if err == nil {
				err = wrong
			}
			for where, expr := range empty {
				if answer, wrong := s.ask(expr, true); wrong != nil {
					t.Fatalf("%s: %v", where, wrong)
				} else if len(answer) > 0 {
					delete(empty, where)
				}
			}
			return err
		})
		progress("%s is shown on the overview (%s)", scene[0], seconds(took))
	}
	for _, where := range slices.Sorted(maps.Keys(empty)) {
		t.Errorf("%s never had an answer", where)
	}
}

// unhealthy returns the number of unhealthy regions in the overview.
func (s *estate) unhealthy(t testing.TB) (int, error) {
	t.Helper()
	for _, b := range boards(t, "en") {
		for _, p := range b.Panels {
			if b.UID == "rainbond-overview" && p.Title == "Unhealthy" {
				answer, err := s.ask(p.Targets[0].Expr, true)
				if err != nil || len(answer) != 1 {
					return 0, errors.Join(fmt.Errorf("%d answers", len(answer)), err)
				}
				return int(answer[0].value()), nil
			}
		}
	}
	return 0, errors.New("no such panel")
}

// overview is what the overview shows of each region: the words of its columns.
// What is not known is "-".
func (s *estate) overview(t testing.TB) ([]string, error) {
	t.Helper()
	columns := []string{"api", "tls", "cert", "node_role", "component", "disk"}
	words := map[string]map[string]string{}
	for _, b := range boards(t, "en") {
		for _, p := range b.Panels {
			if b.UID != "rainbond-overview" || p.ID != 7 {
				continue
			}
			for _, q := range p.Targets {
				answer, err := s.ask(q.Expr, q.Instant)
				if err != nil {
					return nil, err
				}
				for _, one := range answer {
					region := one.Metric["rainbond_region"]
					if words[region] == nil {
						words[region] = map[string]string{}
					}
					for _, column := range columns {
						if word := one.Metric["why_"+column]; word != "" {
							if words[region][column] != "" {
								return nil, fmt.Errorf("two rows for region %s: %q and %q", region, words[region][column], word)
							}
							words[region][column] = word
						}
					}
				}
			}
		}
	}
	var all []string
	for _, region := range slices.Sorted(maps.Keys(words)) {
		row := region + ":"
		for i, column := range columns {
			if i > 0 {
				row += " |"
			}
			if word := words[region][column]; word == "" {
				row += " -"
			} else {
				row += " " + word
			}
		}
		all = append(all, row)
	}
	return all, nil
}

// TestPanelsOfAThousandRegions: a graph shows no more lines than a person can
// distinguish, a table no more rows than the worst; only the overview, and the
// matrix of certificates, have a row for each region.
func TestPanelsOfAThousandRegions(t *testing.T) {
	const regions = 1000
	folder, logs := t.TempDir(), logFolder(t)
	var pages []string
	for _, scenario := range []string{"healthy", "cert-client-stale-tls13", "api-pod-down", "disk-pressure"} {
		address := freeAddress(t)
		begin(t, logs, "demo-"+scenario, built(t, filepath.Join("..", "..", "bin", "rainbond-exporter"), "make build"), "demo", "--scenario="+scenario, "--web.listen-address="+address)
		until(t, time.Minute, scenario+" answers", func() error {
			page, err := get("http://" + address + "/metrics")
			if err == nil && !strings.Contains(string(page), "rainbond_component_ready{") {
				err = errors.New("no components yet")
			}
			if err == nil {
				pages = append(pages, string(regexp.MustCompile(`(?m)^(#|[^r]|rainbond_collector).*\n`).ReplaceAll(page, nil)))
			}
			return err
		})
	}
	// One in fifty is broken, in one of three ways in turn.
	var page strings.Builder
	for i := range regions {
		kind := 0
		if i%50 == 49 {
			kind = 1 + i/50%3
		}
		page.WriteString(strings.ReplaceAll(pages[kind], `rainbond_region="rainbond"`, fmt.Sprintf(`rainbond_region="region-%d"`, i)))
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4")
		_, _ = w.Write([]byte(page.String()))
	}))
	defer server.Close()
	s := newEstateOf(t, folder, logs, 20*time.Second, map[string]string{"": strings.TrimPrefix(server.URL, "http://")})

	slowest, where := time.Duration(0), ""
	for _, b := range boards(t, "en") {
		for _, p := range b.Panels {
			most := map[string]int{"stat": 1, "timeseries": 40, "table": 100}[p.Type]
			if id := fmt.Sprintf("%s/%d", b.UID, p.ID); id == "rainbond-overview/7" {
				most = regions
			} else if id == "rainbond-certificates/5" {
				most = 3 * regions
			}
			lines := 0
			for _, q := range p.Targets {
				begun := time.Now()
				answer, err := s.ask(q.Expr, q.Instant)
				if took := time.Since(begun); took > slowest {
					slowest, where = took, fmt.Sprintf("%s/%d %s", b.UID, p.ID, q.RefID)
				}
				if err != nil {
					t.Errorf("%s/%d %s: %v", b.UID, p.ID, q.RefID, err)
				}
				if p.Type == "timeseries" {
					lines += len(answer)
				} else {
					lines = max(lines, len(answer))
				}
			}
			if lines > most {
				t.Errorf("%s/%d %q shows %d, want %d at most", b.UID, p.ID, p.Title, lines, most)
			}
		}
	}
	progress("%d regions, %d series: the slowest query takes %s (%s)", regions, strings.Count(page.String(), "\n"), seconds(slowest), where)
	unhealthyRegions := 0
	rows, err := s.overview(t)
	must(t, err)
	for _, row := range rows {
		if !strings.HasSuffix(row, ": healthy | healthy | healthy | healthy | healthy | healthy") {
			unhealthyRegions++
		}
	}
	unhealthy, err := s.unhealthy(t)
	must(t, err)
	if unhealthyRegions != regions/50 || unhealthy != unhealthyRegions {
		t.Errorf("the overview marks %d regions as unhealthy, and counts %d, want %d", unhealthyRegions, unhealthy, regions/50)
	}
}
