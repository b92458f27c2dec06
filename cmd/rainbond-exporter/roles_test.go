package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/rainbond-exporter/rainbond-exporter/fault"
)

func TestAlarmsAreReadOnlyFromARegionThatAnswers(t *testing.T) {
	ours := fault.Region{Name: "ours", URL: "https://ours:8443"}
	for _, row := range []struct {
		name    string
		regions []fault.Region
		trace   fault.Trace
		err     error
		asked   int
		known   bool
	}{
		{"healthy", []fault.Region{{Name: "other"}, ours}, fault.Trace{Status: 200}, nil, 1, true},
		{"not ready, and it answers all the same", []fault.Region{ours}, fault.Trace{Status: 200, Ready: map[string]bool{fault.AllChecks: false}}, nil, 1, true},
		{"down", []fault.Region{ours}, fault.Trace{Phase: fault.Connect, Err: errors.New("refused")}, nil, 0, false},
		{"another console's", []fault.Region{{Name: "other"}}, fault.Trace{Status: 200}, nil, 0, false},
		{"it does not know the question", []fault.Region{ours}, fault.Trace{Status: 200}, errors.New("HTTP 404"), 1, false},
	} {
		asked := 0
		ask := sharedQueries{
			regions: func(context.Context) ([]fault.Region, error) { return row.regions, nil },
			probe:   func(context.Context, fault.Region) fault.Trace { return row.trace },
			monitor: func(_ context.Context, r fault.Region) (fault.Monitor, error) {
				if r.URL == ours.URL {
					asked++
				}
				return fault.Monitor{Up: true}, row.err
			},
		}
		m, known := ask.alarms("ours")(t.Context())
		if known != row.known || m.Up != (row.asked == 1) || asked != row.asked {
			t.Errorf("%s: asked %d times, known %v, %+v", row.name, asked, known, m)
		}
	}
}

func TestFlagsForRoleLabels(t *testing.T) {
	for _, row := range []struct {
		args []string
		want fault.RoleNames
	}{
		{nil, fault.DefaultRoleNames},
		{[]string{"--node-role.worker=edge,worker"}, fault.RoleNames{fault.Worker: {"edge", "worker"}, fault.ControlPlane: fault.DefaultRoleNames[fault.ControlPlane]}},
		{[]string{"--node-role.control-plane=server"}, fault.RoleNames{fault.Worker: fault.DefaultRoleNames[fault.Worker], fault.ControlPlane: {"server"}}},
	} {
		f, err := parse(append([]string{"serve", "--role=cluster"}, row.args...), io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		if got := f.roleNames(); !reflect.DeepEqual(got, row.want) {
			t.Errorf("%q: got %v, want %v", row.args, got, row.want)
		}
	}
}

func TestDataPathsAreChecked(t *testing.T) {
	f, err := parse([]string{"serve", "--role=node", "--path.data=/data/", "--path.data=/srv/my disk"}, io.Discard)
	if err != nil || !slices.Equal(f.dataPaths, []string{"/data", "/srv/my disk"}) {
		t.Errorf("got %q, %v", f.dataPaths, err)
	}
	for _, path := range []string{"data", "", "/", "/..", "C:\\data", "/\xff"} {
		var stderr strings.Builder
		want := fmt.Sprintf("--path.data: %q; expected an absolute path other than /, such as /data", path)
		if status := run(t.Context(), []string{"serve", "--role=node", "--path.data=" + path}, io.Discard, &stderr); status != 2 || !strings.Contains(stderr.String(), want) {
			t.Errorf("%q: exit status %d, %s", path, status, stderr.String())
		}
	}
}
