package fault

import (
	"slices"
	"strings"
	"testing"
)

func TestExpectedOmitsExternalServices(t *testing.T) {
	components := []RbdComponent{
		{Name: "rbd-api"}, {Name: "rbd-hub"}, {Name: "rbd-db"}, {Name: "rbd-etcd", Unsupported: true}, {Name: "rbd-app-ui", Zero: true},
	}
	for _, row := range []struct {
		name string
		p    Platform
		want string
	}{
		{"all internal", Platform{Components: components, InternalHub: true, InternalDB: true}, "rbd-api rbd-hub rbd-db"},
		{"an external hub", Platform{Components: components, InternalDB: true}, "rbd-api rbd-db"},
		{"an external database", Platform{Components: components, InternalHub: true}, "rbd-api rbd-hub"},
		{"nothing known", Platform{}, ""},
	} {
		if got := strings.Join(row.p.Expected(), " "); got != row.want {
			t.Errorf("%s: got %q, want %q", row.name, got, row.want)
		}
	}
}

func TestComponentWithoutWorkload(t *testing.T) {
	workloads := []Workload{{Component: "rbd-mq", Kind: "Deployment", Desired: 1, Ready: 1}}
	all := FromWorkloads(workloads, nil, []string{"rbd-api", "rbd-mq"})
	if len(all) != 2 || len(workloads) != 1 {
		t.Fatalf("got %v out of %v", all, workloads)
	}
	if c := all[0]; c.Workload != (Workload{Component: "rbd-api", Kind: KindNone, Desired: 1}) || c.Waiting[NoWorkload] != 1 {
		t.Errorf("got %+v", c)
	}
	if c := all[1]; len(c.Waiting) > 0 {
		t.Errorf("got %+v", c)
	}
}

func TestUnmatchedPlacements(t *testing.T) {
	nodes := []Node{{Name: "n1", Hostname: "n1"}, {Name: "n2", Hostname: "host-two"}}
	p := Platform{GatewayNodes: []string{"n1", "N1", "gone", "gone"}, ChaosNodes: []string{"n2", "host-two"}}
	want := []Placement{{"rbd-gateway", "gone"}, {"rbd-chaos", "n2"}}
	if got := p.Unmatched(nodes); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestRotationPending(t *testing.T) {
	for _, row := range []struct {
		addresses []string
		label     string
		pending   bool
	}{
		{[]string{"10.0.0.1"}, "10_0_0_1", false},
		{[]string{"10.0.0.1", "10.0.0.2"}, "10_0_0_1-10_0_0_2", false},
		{[]string{"10.0.0.2", "10.0.0.1"}, "10_0_0_1-10_0_0_2", true}, // the operator compares the text
		{[]string{"10.0.0.1"}, "", true},
		{nil, "10_0_0_1", false}, // the operator has not filled it yet
	} {
		if got := (Platform{GatewayAddresses: row.addresses}).RotationPending(row.label); got != row.pending {
			t.Errorf("%v, label %q: %v, want %v", row.addresses, row.label, got, row.pending)
		}
	}
}
