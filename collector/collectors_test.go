package collector

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/rainbond-exporter/rainbond-exporter/demo/pki"
	"github.com/rainbond-exporter/rainbond-exporter/fault"
)

// fixed returns a function that always returns the same.
func fixed[T any](answer T, err error) func(context.Context) (T, error) {
	return func(context.Context) (T, error) { return answer, err }
}

// shows collects once and compares the named metrics with want, which has no
// HELP and TYPE lines.
func shows(t *testing.T, c Collector, want string, metrics ...string) Report {
	t.Helper()
	report, err := c.Collect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	compare(t, report, want, metrics...)
	return report
}

func compare(t *testing.T, report Report, want string, metrics ...string) {
	t.Helper()
	var text strings.Builder
	for _, name := range metrics {
		m := Describe(name)
		kind := map[prometheus.ValueType]string{gauge: "gauge", counter: "counter"}[m.Type]
		var samples []string
		for line := range strings.Lines(want) {
			if line = strings.TrimSpace(line); strings.HasPrefix(line, name+"{") || strings.HasPrefix(line, name+" ") {
				samples = append(samples, line)
			}
		}
		if len(samples) > 0 {
			text.WriteString("# HELP " + name + " " + m.Help + "\n# TYPE " + name + " " + kind + "\n" + strings.Join(samples, "\n") + "\n")
		}
	}
	snapshot := Snapshot{Outcomes: []Outcome{{Report: report}}}
	if err := testutil.CollectAndCompare(snapshot, strings.NewReader(text.String()), metrics...); err != nil {
		t.Error(err)
	}
}

func evidenceText(r Report) string {
	var all []string
	for _, e := range r.Evidence {
		all = append(all, e.What+": "+e.Text)
	}
	return strings.Join(all, "\n")
}

var rainbond = fault.Region{Name: "rainbond", URL: "https://10.0.0.1:8443", Place: fault.Console}

func TestHandshakeErrorsAreCountedByClass(t *testing.T) {
	at := time.Unix(1764000000, 0)
	lines := []string{
		"2026/11/23 16:02:04 http: TLS handshake error from 10.42.0.1:1: remote error: tls: bad certificate",
		"2026/11/23 16:02:05 http: TLS handshake error from 10.42.0.1:2: EOF",
		"INFO[2026/11/23 16:02:06] ip=unknown module=rbd-api started",
	}
	c := NewTLS("rainbond", func(_ context.Context, seen func(time.Time, []byte)) error {
		for i, line := range lines {
			seen(at.Add(time.Duration(i)*time.Second), []byte(line))
		}
		lines = nil
		return nil
	}, func() int { return 2 })
	want := `
		rainbond_api_log_gaps_total{rainbond_region="rainbond"} 2
		rainbond_api_tls_handshake_error_last_timestamp_seconds{class="trust",rainbond_region="rainbond"} 1.764e+09
		rainbond_api_tls_handshake_error_last_timestamp_seconds{class="benign",rainbond_region="rainbond"} 1.764000001e+09`
	for range 2 { // nothing new, nothing lost
		report := shows(t, c, want, "rainbond_api_tls_handshake_error_last_timestamp_seconds", "rainbond_api_log_gaps_total")
		if got := evidenceText(report); got != "log line: 2025-11-24T16:00:00Z 10.42.0.1:1: remote error: tls: bad certificate" {
			t.Errorf("evidence: %s", got)
		}
		if got := testutil.CollectAndCount(Snapshot{Outcomes: []Outcome{{Report: report}}}, "rainbond_api_tls_handshake_errors_total"); got < 15 {
			t.Errorf("only %d pairs of class and reason are there from the start", got)
		}
	}
}

func TestCertificatesOfFivePlaces(t *testing.T) {
	old, err := pki.New(2048)
	if err != nil {
		t.Fatal(err)
	}
	now, err := pki.New(2048)
	if err != nil {
		t.Fatal(err)
	}
	region := rainbond
	region.CA, region.Cert, region.Key = old.CA, old.Client, old.ClientKey
	clusterCopies := []fault.Copy{
		{Place: fault.RegionConfig, Kind: fault.CA, PEM: now.CA},
		{Place: fault.RegionConfig, Kind: fault.Client, PEM: now.Client, Key: now.ClientKey},
		{Place: fault.ClientSecret, Kind: fault.CA, Err: errors.New("Secret rbd-api-client-cert: not found")},
		{Place: fault.ServerSecret, Kind: fault.Server, PEM: now.Server, Key: old.ServerKey},
	}
	served := fault.ReadCopy(fault.Copy{PEM: now.Server})
	c := NewCert(fixed([]fault.Region{region}, nil), fixed(clusterCopies, nil), nil, "rainbond",
		func(context.Context, fault.Region) fault.Trace { return fault.Trace{Served: [][]byte{served.Cert.Raw}} })
	want := `
		rainbond_certificate_mismatch{kind="server",place="served",rainbond_region="rainbond",reference="console"} 1
		rainbond_certificate_mismatch{kind="client",place="console",rainbond_region="rainbond",reference="served"} 1
		rainbond_certificate_mismatch{kind="server",place="served",rainbond_region="rainbond",reference="server-secret"} 0
		rainbond_certificate_mismatch{kind="ca",place="console",rainbond_region="rainbond",reference="region-config"} 1
		rainbond_certificate_mismatch{kind="client",place="console",rainbond_region="rainbond",reference="region-config"} 1
		rainbond_certificate_key_mismatch{place="console",rainbond_region="rainbond"} 0
		rainbond_certificate_key_mismatch{place="region-config",rainbond_region="rainbond"} 0
		rainbond_certificate_key_mismatch{place="server-secret",rainbond_region="rainbond"} 1`
	var report Report
	for range 2 { // the second time from memory
		report = shows(t, c, want, "rainbond_certificate_mismatch", "rainbond_certificate_key_mismatch")
	}
	text := evidenceText(report)
	for _, words := range []string{
		"fingerprint: the certificate served by rbd-api (" + served.Fingerprint().Short() + "…) is not signed by the console's CA (",
		"error: client-secret ca: Secret rbd-api-client-cert: not found",
		"error: server-secret server: the key belongs to another certificate",
	} {
		if !strings.Contains(text, words) {
			t.Errorf("no evidence %q in:\n%s", words, text)
		}
	}
	if strings.Contains(text, "-----") {
		t.Error("the evidence holds a PEM")
	}
}

func TestCertificateOfAnotherServerIsNotCompared(t *testing.T) {
	trace := fault.Trace{Served: [][]byte{{1}}, CertificateNotRequested: true, Distrust: errors.New("unknown authority")}
	if servedBy(trace) != nil {
		t.Error("a proxy's certificate is compared as rbd-api's")
	}
	trace.Distrust = nil // rbd-api itself, which lets anybody in
	if servedBy(trace) == nil {
		t.Error("rbd-api's certificate is not compared")
	}
}

func TestRestartsOfDeletedPodsAreCounted(t *testing.T) {
	workloads := []fault.Workload{{Component: "rbd-chaos", Kind: "DaemonSet", Desired: 1, Ready: 1}}
	pods := [][]fault.Pod{
		{{UID: "a", Component: "rbd-chaos", Ready: true, Containers: []fault.Container{{Restarts: 3}}}},
		{{UID: "a", Component: "rbd-chaos", Ready: true, Containers: []fault.Container{{Restarts: 5}}}},
		{{UID: "a", Component: "rbd-chaos", Ready: true, Containers: []fault.Container{{Restarts: 0}}}}, // the kubelet has lost count
		{{UID: "a", Component: "rbd-chaos", Ready: true}},                                               // no statuses yet
		{{UID: "a", Component: "rbd-chaos", Ready: true, Containers: []fault.Container{{Restarts: 6}}}},
		{{UID: "b", Component: "rbd-chaos", Ready: true, Containers: []fault.Container{{Restarts: 1}}},
			{UID: "j", Component: "rbd-chaos", OwnerKind: "Job", Containers: []fault.Container{{Restarts: 9}}}},
		{},
	}
	n := 0
	c := NewComponent("rainbond", Components{Workloads: fixed(workloads, nil), Pods: func(context.Context) ([]fault.Pod, error) { n++; return pods[n-1], nil }})
	for _, want := range []string{"0", "2", "2", "2", "3", "4", "4"} {
		shows(t, c, `rainbond_component_restarts_total{component="rbd-chaos",rainbond_region="rainbond"} `+want, "rainbond_component_restarts_total")
	}
}

func TestHealthyComponentHasNoWaitingSeries(t *testing.T) {
	workloads := []fault.Workload{{Component: "rbd-api", Kind: "Deployment", Desired: 1, Ready: 1}, {Component: "rbd-hub", Kind: "Deployment", Desired: 1}}
	pods := []fault.Pod{{Name: "leftover", Component: "rbd-api", Evicted: true, Phase: "Failed"}}
	c := NewComponent("rainbond", Components{Workloads: fixed(workloads, nil), Pods: fixed(pods, nil)})
	shows(t, c, `
		rainbond_component_desired{component="rbd-api",kind="Deployment",rainbond_region="rainbond"} 1
		rainbond_component_ready{component="rbd-api",kind="Deployment",rainbond_region="rainbond"} 1
		rainbond_component_desired{component="rbd-hub",kind="Deployment",rainbond_region="rainbond"} 1
		rainbond_component_ready{component="rbd-hub",kind="Deployment",rainbond_region="rainbond"} 0
		rainbond_component_waiting{component="rbd-hub",rainbond_region="rainbond",reason="NoPod"} 1
		rainbond_pods_evicted{rainbond_region="rainbond"} 1`,
		"rainbond_component_desired", "rainbond_component_ready", "rainbond_component_waiting", "rainbond_pods_evicted")
}

func TestHealthyNodesHaveNoSeriesOfTheirOwn(t *testing.T) {
	old := time.Now().Add(-time.Hour)
	nodes := []fault.Node{
		{Name: "healthy", Created: old, Ready: true, RoleKeys: []string{"node-role.kubernetes.io/worker"}},
		{Name: "bare", Created: old, Ready: true, RoleKeys: []string{"node-role.kubernetes.io"}},
		{Name: "full", Created: old, DiskPressure: true},
	}
	v5 := fixed([]fault.Workload{{Component: "rbd-api", Version: "v5.12.0-release"}}, nil)
	shows(t, NewNodeRole("rainbond", fault.DefaultRoleNames, fixed(nodes, nil), v5, nil), `
		rainbond_node_role_required{rainbond_region="rainbond"} 1
		rainbond_nodes{rainbond_region="rainbond",role="control-plane"} 0
		rainbond_nodes{rainbond_region="rainbond",role="none"} 2
		rainbond_nodes{rainbond_region="rainbond",role="worker"} 1
		rainbond_node_role_missing{node="full",rainbond_region="rainbond"} 1
		rainbond_node_role_malformed{key="node-role.kubernetes.io",node="bare",rainbond_region="rainbond"} 1`,
		"rainbond_node_role_required", "rainbond_nodes", "rainbond_node_role_missing", "rainbond_node_role_malformed")
	shows(t, NewDisk("rainbond", "", DiskSource{Nodes: fixed(nodes, nil)}), `
		rainbond_node_condition{condition="DiskPressure",node="full",rainbond_region="rainbond"} 1
		rainbond_node_condition{condition="Ready",node="full",rainbond_region="rainbond"} 0`, "rainbond_node_condition")
}

func TestDiskUsageMatchesDf(t *testing.T) {
	f := fault.Filesystem{At: time.Unix(1_700_000_000, 0), Size: 1000, Free: 240, Avail: 190, Files: 100, FilesFree: 3, ReadOnly: true}
	shows(t, NewDisk("rainbond", "n1", DiskSource{Root: fixed(f, nil)}), `
		rainbond_node_root_size_bytes{node="n1",rainbond_region="rainbond"} 1000
		rainbond_node_root_avail_bytes{node="n1",rainbond_region="rainbond"} 190
		rainbond_node_root_used_ratio{node="n1",rainbond_region="rainbond"} 0.8
		rainbond_node_root_inodes{node="n1",rainbond_region="rainbond"} 100
		rainbond_node_root_inodes_free{node="n1",rainbond_region="rainbond"} 3
		rainbond_node_root_read_only{node="n1",rainbond_region="rainbond"} 1
		rainbond_node_root_last_success_timestamp_seconds{node="n1",rainbond_region="rainbond"} 1.7e+09`,
		"rainbond_node_root_size_bytes", "rainbond_node_root_avail_bytes", "rainbond_node_root_used_ratio",
		"rainbond_node_root_inodes", "rainbond_node_root_inodes_free", "rainbond_node_root_read_only",
		"rainbond_node_root_last_success_timestamp_seconds")
}

func TestFailedRootKeepsNodeConditions(t *testing.T) {
	nodes := []fault.Node{{Name: "full", Ready: true, DiskPressure: true}}
	report, err := NewDisk("rainbond", "n1", DiskSource{Root: fixed(fault.Filesystem{}, errors.New("statfs does not return")), Nodes: fixed(nodes, nil)}).Collect(t.Context())
	if err == nil || !strings.Contains(err.Error(), "statfs does not return") {
		t.Errorf("error %v", err)
	}
	compare(t, report, `rainbond_node_condition{condition="DiskPressure",node="full",rainbond_region="rainbond"} 1`, "rainbond_node_condition")
}

func TestHangingRootKeepsItsLastValues(t *testing.T) {
	last := fault.Filesystem{At: time.Unix(1_700_000_000, 0), Size: 1000, Free: 240, Avail: 190}
	report, err := NewDisk("rainbond", "n1", DiskSource{Root: fixed(last, fault.ErrNoAnswer)}).Collect(t.Context())
	if err == nil || err.Error() != "root file system: no response" {
		t.Errorf("error %v", err)
	}
	compare(t, report, `
		rainbond_node_root_used_ratio{node="n1",rainbond_region="rainbond"} 0.8
		rainbond_node_root_last_success_timestamp_seconds{node="n1",rainbond_region="rainbond"} 1.7e+09
		rainbond_node_mount_stuck{mountpoint="/",node="n1",rainbond_region="rainbond"} 1`,
		"rainbond_node_root_used_ratio", "rainbond_node_root_last_success_timestamp_seconds", "rainbond_node_mount_stuck")
}

func TestUsageOfMountsAndStuckMounts(t *testing.T) {
	full := fault.Filesystem{At: time.Unix(1_700_000_000, 0), Size: 1000, Free: 100, Avail: 60, Files: 100, FilesFree: 3}
	mounts := []fault.Mount{
		{Point: "/var", Type: "xfs", Data: "/var", Filesystem: full},
		{Point: "/data", Type: "ext4", Data: "/opt/rainbond", Filesystem: full, Err: fault.ErrNoAnswer},
		{Point: "/mnt/it's", Type: "fuse.x", Err: syscall.ESTALE},
		{Point: "/mnt/nas", Type: "nfs4", Source: "10.0.0.9:/export", Err: fmt.Errorf("%w since noon", fault.ErrNoAnswer)},
		{Point: "/mnt/s3", Type: "fuse.s3", Source: "https://key:secret@s3/bucket", Err: &os.PathError{Op: "statfs", Path: "/mnt/s3", Err: syscall.ENOTCONN}},
		{Point: "/mnt/healthy", Type: "nfs4", Filesystem: full},
		{Point: "/run/user/1000/gvfs", Type: "fuse.gvfsd-fuse", Err: syscall.EACCES},
		{Point: "/proc/fuse", Type: "fuse.lxcfs", Data: "/var/lib/docker"},
	}
	report := shows(t, NewDisk("rainbond", "n1", DiskSource{Mounts: fixed(mounts, nil)}), `
		rainbond_node_filesystem_size_bytes{mountpoint="/opt/rainbond",node="n1",rainbond_region="rainbond"} 1000
		rainbond_node_filesystem_size_bytes{mountpoint="/var",node="n1",rainbond_region="rainbond"} 1000
		rainbond_node_filesystem_avail_bytes{mountpoint="/opt/rainbond",node="n1",rainbond_region="rainbond"} 60
		rainbond_node_filesystem_avail_bytes{mountpoint="/var",node="n1",rainbond_region="rainbond"} 60
		rainbond_node_filesystem_used_ratio{mountpoint="/opt/rainbond",node="n1",rainbond_region="rainbond"} 0.9375
		rainbond_node_filesystem_used_ratio{mountpoint="/var",node="n1",rainbond_region="rainbond"} 0.9375
		rainbond_node_filesystem_inodes_free{mountpoint="/opt/rainbond",node="n1",rainbond_region="rainbond"} 3
		rainbond_node_filesystem_inodes_free{mountpoint="/var",node="n1",rainbond_region="rainbond"} 3
		rainbond_node_mount_stuck{mountpoint="/data",node="n1",rainbond_region="rainbond"} 1
		rainbond_node_mount_stuck{mountpoint="/mnt/it?s",node="n1",rainbond_region="rainbond"} 1
		rainbond_node_mount_stuck{mountpoint="/mnt/nas",node="n1",rainbond_region="rainbond"} 1
		rainbond_node_mount_stuck{mountpoint="/mnt/s3",node="n1",rainbond_region="rainbond"} 1`,
		"rainbond_node_filesystem_size_bytes", "rainbond_node_filesystem_avail_bytes", "rainbond_node_filesystem_used_ratio",
		"rainbond_node_filesystem_inodes_free", "rainbond_node_mount_stuck")
	for _, want := range []string{"n1: /mnt/nas (nfs4, 10.0.0.9:/export): no response since noon", "n1: /mnt/s3 (fuse.s3, https://s3/bucket): statfs /mnt/s3: transport endpoint is not connected"} {
		if !strings.Contains(evidenceText(report), want) {
			t.Errorf("missing: %s\n%s", want, evidenceText(report))
		}
	}
}

func TestUnreadableDataMountIsAnError(t *testing.T) {
	mounts := []fault.Mount{{Point: "/var", Data: "/var", Err: syscall.EACCES}}
	_, err := NewDisk("rainbond", "n1", DiskSource{Mounts: fixed(mounts, nil)}).Collect(t.Context())
	if err == nil || err.Error() != "file system at /var: permission denied" {
		t.Errorf("error %v", err)
	}
}

func TestEvictionThresholdsAreExportedWithAnError(t *testing.T) {
	thresholds := []fault.EvictionThreshold{{Node: "n1", Signal: "imagefs.available", Ratio: 0.15}}
	report, err := NewDisk("rainbond", "", DiskSource{Thresholds: fixed(thresholds, errors.New("n2 is away"))}).Collect(t.Context())
	if err == nil {
		t.Error("no error")
	}
	compare(t, report, `rainbond_node_eviction_threshold_ratio{node="n1",rainbond_region="rainbond",signal="imagefs.available"} 0.15`, "rainbond_node_eviction_threshold_ratio")
}

func TestCatalogueIsValid(t *testing.T) {
	for i, m := range Catalogue {
		if !strings.HasPrefix(m.Name, "rainbond_") || !strings.HasSuffix(m.Help, ".") {
			t.Errorf("%s: %q", m.Name, m.Help)
		}
		if (m.Type == counter) != strings.HasSuffix(m.Name, "_total") {
			t.Errorf("%s: only counters end in _total", m.Name)
		}
		for _, other := range Catalogue[:i] {
			if other.Name == m.Name {
				t.Errorf("%s is listed twice", m.Name)
			}
		}
	}
}

// The result for a region's certificates is reused until any of them changes.
func TestChangedCertificateIsComparedAgain(t *testing.T) {
	before, err1 := pki.New(2048)
	now, err2 := pki.New(2048)
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	served := func(g pki.Generation) []byte { return fault.ReadCopy(fault.Copy{PEM: g.Server}).Cert.Raw }
	region := func(ca, client pki.Generation) fault.Region {
		return fault.Region{Name: "rainbond", Place: fault.Console, CA: ca.CA, Cert: client.Client, Key: client.ClientKey}
	}
	c := NewCert(nil, nil, nil, "", nil).(*cert)
	var last *compared
	for _, row := range []struct {
		what    string
		region  fault.Region
		served  []byte
		differs string // the kinds that do
		cached  bool
	}{
		{"at first", region(before, before), served(before), "", false},
		{"again", region(before, before), served(before), "", true},
		{"another is served", region(before, before), served(now), "server", false},
		{"another CA is copied", region(now, before), served(now), "client", false},
		{"all are", region(now, now), served(now), "", false},
	} {
		got := c.compare(row.region, consoleCopies(row.region), [][]byte{row.served})
		var kinds []string
		for _, m := range got.comparisons {
			if m.Differs {
				kinds = append(kinds, string(m.Kind))
			}
		}
		if strings.Join(kinds, " ") != row.differs || (got == last) != row.cached {
			t.Errorf("%s: %q differ, cached %t; want %q, %t", row.what, kinds, got == last, row.differs, row.cached)
		}
		last, c.last["rainbond"] = got, got
	}
}

// BenchmarkCertificatesOfAThousandRegions compares certificates that have not
// changed.
func BenchmarkCertificatesOfAThousandRegions(b *testing.B) {
	g, err := pki.New(2048)
	if err != nil {
		b.Fatal(err)
	}
	var regions []fault.Region
	for i := range 1000 {
		regions = append(regions, fault.Region{Name: strconv.Itoa(i), Place: fault.Console, CA: g.CA, Cert: g.Client, Key: g.ClientKey})
	}
	served := fault.ReadCopy(fault.Copy{PEM: g.Server}).Cert.Raw
	c := NewCert(nil, nil, nil, "", nil).(*cert)
	for _, r := range regions {
		c.last[r.Name] = c.compare(r, consoleCopies(r), [][]byte{served})
	}
	for b.Loop() {
		for _, r := range regions {
			c.compare(r, consoleCopies(r), [][]byte{served})
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1000/1000, "us/region")
}
