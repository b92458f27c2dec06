//go:build e2e

package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

var stackTable = flag.String("stack.table", "", "break more regions in TestTheStack, and write its table to this file")

// The targets of the alerting stack.
const (
	mostUntilMessage = 5 * time.Minute
	mostMemory       = 256 << 20 // bytes, of everything with one region

	mostUntilResolved = 3 * time.Minute // from the repair: a scrape, an evaluation, group_interval
	testMessage       = 2 * time.Minute
)

// stackFaults are scenarios of the demo, each in a region of its own. The first one exists before the chart is installed.
var stackFaults = []string{"api-pod-down", "api-dropped", "cert-rotated-broken", "disk-readonly", "api-reset"}

// repairedFault is the scenario of a region that is repaired after its message.
const repairedFault = "api-refused-pod-ready"

// TestTheStack installs the chart with alerting.enabled on a real API server and runs what is installed: Prometheus, Alertmanager and
// the relay with the arguments and files of the pod. The exporters are demos. The messages go to a server that records them, and to
// the robots of each vendor.
func TestTheStack(t *testing.T) {
	folder, logs := t.TempDir(), logFolder(t)
	h := newSite(t, newCluster(t, sub(t, folder, "kube"), logs), folder, logs)
	faults := stackFaults
	if *stackTable == "" {
		faults = faults[:1]
	}
	robots := newRobots(t)
	robot := &chat{summaries: map[string]string{}}
	server := httptest.NewServer(robot)
	t.Cleanup(server.Close)

	pod := &stackPod{folder: sub(t, folder, "pod"), targets: map[string]string{}, addresses: map[string]string{}}
	manager, prometheus, relay := freeAddress(t), freeAddress(t), freeAddress(t)
	pod.addresses["--web.listen-address=:9090"] = "--web.listen-address=" + prometheus
	pod.addresses["--web.listen-address=:9093"] = "--web.listen-address=" + manager
	pod.addresses["127.0.0.1:9093"], pod.addresses["127.0.0.1:10070"] = manager, relay
	binary := built(t, "../../bin/rainbond-exporter", "make build")
	var exporter *process
	for i, fault := range append(slices.Clone(faults), repairedFault) {
		address, scenario := freeAddress(t), "healthy"
		if i == 0 || fault == repairedFault {
			scenario = fault
		}
		p := begin(t, logs, "demo-"+fault, binary, "demo", "--web.listen-address="+address, "--rsa-bits=2048", "--scenario="+scenario,
			"--alerting.prometheus-url=http://"+prometheus, "--alerting.alertmanager-url=http://"+manager, "--alerting.relay-url=http://"+relay)
		pod.targets[fault] = address
		if i == 0 {
			exporter = p
		}
	}
	for fault, address := range pod.targets {
		until(t, 60*time.Second, "the demo of "+fault+" is ready", func() error { _, err := get("http://" + address + "/-/ready"); return err })
	}

	h.do(t, "", tool(t, "kubectl"), "create", "namespace", namespace)
	install := time.Now()
	h.do(t, "", tool(t, "kubectl"), "--namespace="+monitoring, "create", "secret", "generic", "robot", "--from-literal=url="+server.URL)
	values := []string{"--namespace=" + monitoring, "--set=alerting.enabled=true", "--set=alerting.receivers.webhook.existingSecret=robot",
		"--set=alerting.language=en", "--set=alerting.persistence.enabled=true"}
	for _, r := range robots {
		h.do(t, "", tool(t, "kubectl"), append([]string{"--namespace=" + monitoring}, r.secret()...)...)
		values = append(values, r.values()...)
	}
	h.do(t, "", tool(t, "helm"), append([]string{"install", chartRelease, chartFolder}, values...)...)
	read := func() {
		list, _ := h.do(t, "", tool(t, "kubectl"), "--namespace="+monitoring, "get", "deployments,configmaps,secrets", "--output=json")
		must(t, pod.read([]byte(list)))
	}
	read()
	if unused := pod.unused(); len(unused) > 0 {
		t.Fatalf("the installed objects do not contain %q", unused)
	}
	programs := map[string]string{"prometheus": tool(t, "prometheus"), "alertmanager": tool(t, "alertmanager"), "relay": binary}
	start := func() (running []*process) {
		for name, args := range pod.commands() {
			if programs[name] == "" {
				t.Fatalf("the pod has an unknown container %s", name)
			}
			running = append(running, begin(t, logs, name, programs[name], args...))
		}
		for _, address := range []string{prometheus, manager, relay} {
			until(t, 60*time.Second, address+" is ready", func() error { _, err := get("http://" + address + "/-/ready"); return err })
		}
		return running
	}
	running := start()
	progress("installed and ready (%s)", seconds(time.Since(install)))

	a := &alerting{prometheus: "http://" + prometheus}
	rows := ""
	message := func(fault string, begin time.Time, from string) {
		until(t, mostUntilMessage, "a message about "+fault, func() error { return robot.once(a, fault) })
		took := robot.first(a, fault).Sub(begin)
		progress("%s: message %s after %s", fault, seconds(took), from)
		rows += fmt.Sprintf("| %s | %s | %.0f s | 1 |\n", fault, from, took.Seconds())
		if took > mostUntilMessage {
			t.Errorf("%s: the message came after %s, expected at most %s", fault, took, mostUntilMessage)
		}
	}
	message(faults[0], install, "helm install")
	begun := time.Now()
	for _, fault := range faults[1:] {
		play(t, pod.targets[fault], fault)
	}
	for _, fault := range faults[1:] {
		message(fault, begun, "the fault")
	}

	// The same fault reaches the robots of each vendor, which check the signatures.
	until(t, mostUntilMessage, "each robot has posted the faults", func() error {
		return errors.Join(posted(robots, faults[0], 0), posted(robots, repairedFault, 0))
	})
	play(t, pod.targets[repairedFault], "healthy")
	repaired := time.Now()

	memory, parts := 0, ""
	for _, p := range append(running, exporter) {
		bytes := resident(t, p)
		memory += bytes
		parts += fmt.Sprintf("| %s | %d MiB |\n", strings.Split(p.name, "-")[0], bytes>>20)
	}
	progress("memory: %d MiB of %d MiB\n%s", memory>>20, mostMemory>>20, parts)
	if memory > mostMemory {
		t.Errorf("everything needs %d MiB, expected at most %d MiB", memory>>20, mostMemory>>20)
	}

	silence := fmt.Sprintf(`{"matchers": [{"name": "cluster", "value": "silenced", "isRegex": false, "isEqual": true}], "startsAt": %q, "endsAt": %q, "createdBy": "test", "comment": "kept"}`,
		time.Now().Format(time.RFC3339), time.Now().Add(time.Hour).Format(time.RFC3339))
	answer, err := client.Post("http://"+manager+"/api/v2/silences", "application/json", strings.NewReader(silence))
	must(t, err)
	must(t, answer.Body.Close())

	pressTest(t, pod.targets[repairedFault])

	// Changed rules are loaded without a restart.
	const disabled = "RainbondNodeDiskFilling"
	h.do(t, "", tool(t, "helm"), append([]string{"upgrade", chartRelease, chartFolder, "--set=rules.disabled={" + disabled + "}"}, values...)...)
	read()
	took := until(t, 90*time.Second, "Prometheus loads the changed rules", func() error {
		text, err := get("http://" + prometheus + "/api/v1/rules")
		if err == nil && bytes.Contains(text, []byte(disabled)) {
			err = errors.New(disabled + " is still loaded")
		}
		return err
	})
	progress("changed rules loaded after %s", seconds(took))

	until(t, testMessage, "the page reports that the test message has arrived", func() error { return arrived(pod.targets[repairedFault]) })
	if err := tested(robots); err != nil {
		t.Error(err)
	}
	until(t, mostUntilResolved, "each robot has posted that the fault is over", func() error { return posted(robots, repairedFault, 1) })
	progress("%s: resolved message at each robot %s after the repair", repairedFault, seconds(time.Since(repaired)))

	// An upgrade with another image replaces the pod.
	for _, p := range running {
		p.signal(t, syscall.SIGTERM)
	}
	for _, p := range running {
		<-p.ended
	}
	start()
	text, err := get("http://" + manager + "/api/v2/silences")
	must(t, err)
	if !bytes.Contains(text, []byte(`"kept"`)) || !bytes.Contains(text, []byte(`"active"`)) {
		t.Errorf("the silence is gone after the upgrade: %s", text)
	}
	// The faults last: a second message would come within for, an evaluation and group_interval.
	wait := 30 * time.Second
	if *stackTable != "" {
		wait = 3 * time.Minute
	}
	throughout(t, wait, "one message for each fault, also after the upgrade", func() error {
		for _, fault := range faults {
			if err := robot.once(a, fault); err != nil {
				return err
			}
		}
		return nil
	})
	if *stackTable != "" {
		must(t, os.WriteFile(*stackTable, fmt.Appendf(nil, stackPage, rows, parts, memory>>20, took.Seconds()), 0o600))
	}
}

// A chat is a group that records the messages of its robot.
type chat struct {
	mu        sync.Mutex
	messages  []chatMessage
	summaries map[string]string // of the alert that was posted, by cluster
}

type chatMessage struct {
	at   time.Time
	text string
}

func (c *chat) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	text, err := io.ReadAll(r.Body)
	var message struct{ Title, Text string }
	if err == nil {
		err = json.Unmarshal(text, &message)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.messages = append(c.messages, chatMessage{time.Now(), message.Title + "\n" + message.Text})
	progress("the robot posts:\n%s\n%s", message.Title, message.Text)
}

// about returns the messages with the summary of the alert that fires in a cluster and of which the robot posted first.
func (c *chat) about(a *alerting, cluster string) (found []chatMessage, err error) {
	var answer struct {
		Alerts []struct {
			State               string
			Labels, Annotations map[string]string
		}
	}
	if err := a.ask("/api/v1/alerts", &answer); err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, alert := range answer.Alerts {
		summary := alert.Annotations["summary"]
		posted := slices.ContainsFunc(c.messages, func(m chatMessage) bool { return strings.Contains(m.text, summary) })
		if c.summaries[cluster] == "" && alert.Labels["cluster"] == cluster && alert.State == "firing" && posted {
			c.summaries[cluster] = summary // a restarted Prometheus does not know it at once
		}
	}
	for _, m := range c.messages {
		if summary := c.summaries[cluster]; summary != "" && strings.Contains(m.text, summary) {
			found = append(found, m)
		}
	}
	return found, nil
}

// once is nil if there is exactly one message about a cluster.
func (c *chat) once(a *alerting, cluster string) error {
	found, err := c.about(a, cluster)
	if err == nil && len(found) != 1 {
		err = fmt.Errorf("%d messages about %s", len(found), cluster)
	}
	return err
}

// first returns the time of the first message about a cluster.
func (c *chat) first(a *alerting, cluster string) time.Time {
	found, err := c.about(a, cluster)
	if err != nil || len(found) == 0 {
		return time.Time{}
	}
	return found[0].at
}

// resident returns the memory of a process in bytes, with shared pages.
func resident(t testing.TB, p *process) int {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("/proc", fmt.Sprint(p.cmd.Process.Pid), "status"))
	must(t, err)
	var kib int
	_, rest, _ := strings.Cut(string(text), "VmRSS:")
	if _, err := fmt.Sscanf(rest, "%d kB", &kib); err != nil {
		t.Fatalf("no VmRSS of %s: %v", p.name, err)
	}
	return kib << 10
}

const stackPage = `<!-- Written by make stack. -->
# Alerting stack: measurements

The chart is installed with ` + "`alerting.enabled`" + ` on a real Kubernetes API server. Prometheus, Alertmanager and the relay run with the arguments and
files of the installed pod, at the intervals that ship. The exporters are demos, each with one fault. Pulling images is not included.

## Time to the message

| fault | from | message after | messages |
|---|---|---|---|
%s
## Memory

Resident memory after the messages. The demo includes the simulated region; Prometheus scrapes all regions of the table.

| program | memory |
|---|---|
%s| total | %d MiB |

## Upgrade

- Prometheus loaded changed rules %.0f s after the files changed, without a restart.
- With a PersistentVolumeClaim, silences survive a new pod, and faults that last send no second message.
`
