package collector

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rainbond-exporter/rainbond-exporter/fault"
)

func TestConfiguredComponentWithoutWorkloadIsZero(t *testing.T) {
	from := Components{
		Workloads: fixed([]fault.Workload{{Component: "rbd-mq", Kind: "Deployment", Desired: 1, Ready: 1}}, nil),
		Pods:      fixed([]fault.Pod(nil), nil),
		Platform:  fixed(fault.Platform{Components: []fault.RbdComponent{{Name: "rbd-api"}, {Name: "rbd-hub"}}}, nil),
	}
	shows(t, NewComponent("rainbond", from), `
		rainbond_component_desired{component="rbd-api",kind="none",rainbond_region="rainbond"} 1
		rainbond_component_ready{component="rbd-api",kind="none",rainbond_region="rainbond"} 0
		rainbond_component_waiting{component="rbd-api",rainbond_region="rainbond",reason="NoWorkload"} 1
		rainbond_component_desired{component="rbd-mq",kind="Deployment",rainbond_region="rainbond"} 1
		rainbond_component_ready{component="rbd-mq",kind="Deployment",rainbond_region="rainbond"} 1`,
		"rainbond_component_desired", "rainbond_component_ready", "rainbond_component_waiting")
}

func TestComponentsAreExportedWithoutOperatorConfiguration(t *testing.T) {
	from := Components{
		Workloads: fixed([]fault.Workload{{Component: "rbd-mq", Kind: "Deployment", Desired: 1, Ready: 1}}, nil),
		Pods:      fixed([]fault.Pod(nil), nil),
		Platform:  fixed(fault.Platform{}, errors.New("list rbdcomponents: no answer")),
	}
	report, err := NewComponent("rainbond", from).Collect(t.Context())
	if err == nil || err.Error() != "list rbdcomponents: no answer" {
		t.Errorf("error %v", err)
	}
	compare(t, report, `rainbond_component_ready{component="rbd-mq",kind="Deployment",rainbond_region="rainbond"} 1`, "rainbond_component_ready")
}

func TestEventsAreReadOnlyWhileAPodMayWaitForAVolume(t *testing.T) {
	pod := fault.Pod{Name: "rbd-api-1", UID: "u1", Component: "rbd-api", Phase: "Running", Ready: true}
	asked := 0
	from := Components{
		Workloads: fixed([]fault.Workload{{Component: "rbd-api", Kind: "Deployment", Desired: 1}}, nil),
		Pods:      func(context.Context) ([]fault.Pod, error) { return []fault.Pod{pod}, nil },
		FailedMounts: func(context.Context) (map[string]string, error) {
			asked++
			return map[string]string{"u1": `secret "rbd-api-server-cert" not found`}, nil
		},
	}
	c := NewComponent("rainbond", from)
	shows(t, c, "", "rainbond_monitor_up")
	if asked != 0 {
		t.Error("events were asked for, and every pod is ready")
	}
	pod.Ready, pod.Phase = false, "Pending"
	pod.Containers = []fault.Container{{Name: "rbd-api", Waiting: "ContainerCreating"}}
	report := shows(t, c, `rainbond_component_waiting{component="rbd-api",rainbond_region="rainbond",reason="FailedMount"} 1`, "rainbond_component_waiting")
	if got := evidenceText(report); got != `pod: rbd-api-1: secret "rbd-api-server-cert" not found` || asked != 1 {
		t.Errorf("asked %d times; evidence %s", asked, got)
	}
}

func TestFailedSandboxIsNamed(t *testing.T) {
	pods := []fault.Pod{{Name: "rbd-api-1", UID: "u1", Component: "rbd-api", Phase: "Pending", Containers: []fault.Container{{Name: "rbd-api", Waiting: "ContainerCreating"}}}}
	c := NewComponent("rainbond", Components{
		Workloads: fixed([]fault.Workload{{Component: "rbd-api", Kind: "Deployment", Desired: 1}}, nil), Pods: fixed(pods, nil),
		FailedMounts:    fixed(map[string]string{}, nil),
		FailedSandboxes: fixed(map[string]string{"u1": "open /run/flannel/subnet.env: no such file or directory"}, nil),
	})
	report := shows(t, c, `rainbond_component_waiting{component="rbd-api",rainbond_region="rainbond",reason="FailedCreatePodSandBox"} 1`, "rainbond_component_waiting")
	if got := evidenceText(report); got != "pod: rbd-api-1: open /run/flannel/subnet.env: no such file or directory" {
		t.Errorf("evidence %s", got)
	}
}

func TestComponentsAreExportedWithoutEvents(t *testing.T) {
	pods := []fault.Pod{{Name: "rbd-api-1", Component: "rbd-api", Phase: "Pending", Containers: []fault.Container{{Name: "rbd-api", Waiting: "ContainerCreating"}}}}
	c := NewComponent("rainbond", Components{
		Workloads: fixed([]fault.Workload{{Component: "rbd-api", Kind: "Deployment", Desired: 1}}, nil), Pods: fixed(pods, nil),
		FailedMounts: fixed(map[string]string(nil), errors.New("list events: no answer")),
	})
	report, err := c.Collect(t.Context())
	if err == nil || err.Error() != "list events: no answer" {
		t.Errorf("error %v", err)
	}
	compare(t, report, `rainbond_component_waiting{component="rbd-api",rainbond_region="rainbond",reason="ContainerCreating"} 1`, "rainbond_component_waiting")
}

func TestAlarmsOfTheConsole(t *testing.T) {
	m, known := fault.Monitor{}, false
	c := NewComponent("rainbond", Components{
		Workloads: fixed([]fault.Workload(nil), nil), Pods: fixed([]fault.Pod(nil), nil),
		Monitor: func(context.Context) (fault.Monitor, bool) { return m, known },
	})
	names := []string{"rainbond_monitor_up", "rainbond_monitor_last_scrape_timestamp_seconds", "rainbond_component_alarm_firing"}
	shows(t, c, "", names...)
	known = true
	shows(t, c, `rainbond_monitor_up{rainbond_region="rainbond"} 0`, names...)

	at := time.Unix(1764000000, 0)
	m = fault.Monitor{Up: true, LastScrape: at, Shown: []fault.ShownAlarm{{Name: "WorkerTaskError", State: "pending", Since: at}, {Name: "MyOwn", State: "firing", Since: at}}}
	report := shows(t, c, `
		rainbond_monitor_up{rainbond_region="rainbond"} 1
		rainbond_monitor_last_scrape_timestamp_seconds{rainbond_region="rainbond"} 1.764e+09
		rainbond_component_alarm_firing{alarm="APIDown",component="rbd-api",rainbond_region="rainbond"} 0
		rainbond_component_alarm_firing{alarm="BuilderDown",component="rbd-chaos",rainbond_region="rainbond"} 0
		rainbond_component_alarm_firing{alarm="BuilderUnhealthy",component="rbd-chaos",rainbond_region="rainbond"} 0
		rainbond_component_alarm_firing{alarm="MqDown",component="rbd-mq",rainbond_region="rainbond"} 0
		rainbond_component_alarm_firing{alarm="MqUnhealthy",component="rbd-mq",rainbond_region="rainbond"} 0
		rainbond_component_alarm_firing{alarm="WorkerDown",component="rbd-worker",rainbond_region="rainbond"} 0
		rainbond_component_alarm_firing{alarm="WorkerTaskError",component="rbd-worker",rainbond_region="rainbond"} 1
		rainbond_component_alarm_firing{alarm="WorkerUnhealthy",component="rbd-worker",rainbond_region="rainbond"} 0`, names...)
	if got := evidenceText(report); got != "alarm: WorkerTaskError, pending since 2025-11-24T16:00:00Z" {
		t.Errorf("evidence %s", got)
	}
	m.LastScrape = time.Time{} // not within an hour
	shows(t, c, "", "rainbond_monitor_last_scrape_timestamp_seconds")
}

func TestUnmatchedPlacement(t *testing.T) {
	nodes := []fault.Node{{Name: "n1", Hostname: "n1"}}
	platform := fault.Platform{GatewayNodes: []string{"n1"}, ChaosNodes: []string{"n9"}}
	report := shows(t, NewNodeRole("rainbond", fault.DefaultRoleNames, fixed(nodes, nil), nil, fixed(platform, nil)),
		`rainbond_node_placement_unmatched{component="rbd-chaos",node="n9",rainbond_region="rainbond"} 1`, "rainbond_node_placement_unmatched")
	if got := evidenceText(report); !strings.Contains(got, "rbd-chaos is configured to run on n9") {
		t.Errorf("evidence %s", got)
	}
}

func TestNodesAreExportedWithoutOperatorConfiguration(t *testing.T) {
	c := NewNodeRole("rainbond", fault.DefaultRoleNames, fixed([]fault.Node{{Name: "n1", RoleKeys: []string{fault.RoleKey + "/worker"}}}, nil),
		nil, fixed(fault.Platform{}, errors.New("get rainbondclusters: no answer")))
	report, err := c.Collect(t.Context())
	if err == nil || err.Error() != "get rainbondclusters: no answer" {
		t.Errorf("error %v", err)
	}
	compare(t, report, `
		rainbond_nodes{rainbond_region="rainbond",role="control-plane"} 0
		rainbond_nodes{rainbond_region="rainbond",role="none"} 0
		rainbond_nodes{rainbond_region="rainbond",role="worker"} 1`, "rainbond_nodes")
}

func TestHangingKubernetesAPILeavesTimeForTheConsole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 8*time.Second)
		defer cancel()
		c := NewComponent("rainbond", Components{
			Workloads: fixed([]fault.Workload(nil), nil), Pods: fixed([]fault.Pod(nil), nil),
			Platform: func(ctx context.Context) (fault.Platform, error) { <-ctx.Done(); return fault.Platform{}, ctx.Err() },
			Monitor: func(ctx context.Context) (fault.Monitor, bool) {
				deadline, _ := ctx.Deadline()
				return fault.Monitor{}, time.Until(deadline) == 4*time.Second
			},
		})
		report, err := c.Collect(ctx)
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v", err)
		}
		compare(t, report, `rainbond_monitor_up{rainbond_region="rainbond"} 0`, "rainbond_monitor_up")
	})
}

func TestWhatTheOperatorDoesAtItsRestart(t *testing.T) {
	since := time.Date(2026, 11, 29, 8, 0, 0, 0, time.UTC)
	platform := fixed(fault.Platform{
		Components:       []fault.RbdComponent{{Name: "rbd-mq", Failure: "label too long", FailedSince: since}},
		GatewayAddresses: []string{"10.0.0.1", "10.0.0.2"},
	}, nil)
	workloads := []fault.Workload{
		{Component: "rbd-api", Kind: "Deployment", Desired: 1, Ready: 1, RestartedAt: "2026-11-28T09:00:00Z"},
		{Component: "rbd-mq", Kind: "Deployment", Desired: 1, Ready: 1},
	}
	report := shows(t, NewComponent("rainbond", Components{Workloads: fixed(workloads, nil), Pods: fixed([]fault.Pod(nil), nil), Platform: platform}), `
		rainbond_component_restart_pending{component="rbd-api",rainbond_region="rainbond"} 1
		rainbond_operator_component_failed{component="rbd-mq",rainbond_region="rainbond"} 1`,
		"rainbond_component_restart_pending", "rainbond_operator_component_failed")
	if i := slices.IndexFunc(report.Evidence, func(e Evidence) bool { return e.Since.Equal(since) }); i < 0 {
		t.Errorf("no evidence since %v: %v", since, report.Evidence)
	}

	secret := fault.Copy{Place: fault.ServerSecret, Kind: fault.CA, Addresses: "10_0_0_1"}
	certificates := func(c fault.Copy) Collector {
		return NewCert(fixed([]fault.Region(nil), nil), fixed([]fault.Copy{c}, nil), platform, "rainbond", nil)
	}
	const name = "rainbond_certificate_rotation_pending"
	report = shows(t, certificates(secret), name+`{rainbond_region="rainbond"} 1`, name)
	if text := evidenceText(report); !strings.Contains(text, `label availableips of Secret rbd-api-server-cert: "10_0_0_1"; gatewayIngressIPs: 10.0.0.1, 10.0.0.2`) {
		t.Errorf("evidence %s", text)
	}
	secret.Addresses = "10_0_0_1-10_0_0_2"
	shows(t, certificates(secret), name+`{rainbond_region="rainbond"} 0`, name)
	secret.Err = errors.New("not found")
	shows(t, certificates(secret), "", name)
}

// TestHangingOperatorConfigurationDoesNotDelayCertificates has a Kubernetes API
// that returns the Secrets, and then hangs or fails for the RainbondCluster.
func TestHangingOperatorConfigurationDoesNotDelayCertificates(t *testing.T) {
	for name, platform := range map[string]func(context.Context) (fault.Platform, error){
		"it hangs":  func(ctx context.Context) (fault.Platform, error) { <-ctx.Done(); return fault.Platform{}, ctx.Err() },
		"it panics": func(context.Context) (fault.Platform, error) { panic("bang") },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				secret := fault.Copy{Place: fault.ServerSecret, Kind: fault.CA, Addresses: "10_0_0_1"}
				c := NewCert(fixed([]fault.Region(nil), nil), fixed([]fault.Copy{secret}, nil), platform, "rainbond", nil).(*cert)
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
				defer cancel()
				begin := time.Now()
				published := time.Duration(-1)
				err := c.stream(ctx, func(part string, _ Report) {
					if part == partRegion+"rainbond" {
						published = time.Since(begin)
					}
				})
				if published != 0 {
					t.Errorf("the certificates are published after %s, want 0s", published)
				}
				if panics := name == "it panics"; panics != (err != nil) {
					t.Errorf("error %v", err)
				}
			})
		})
	}
}
