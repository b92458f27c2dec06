package demo

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// A logQuery contains the query parameters of pods/log.
type logQuery struct {
	since      time.Time
	tail       int // -1: all
	limit      int // bytes; 0: all
	timestamps bool
}

// parseLogQuery parses the query as the API server and the kubelet do, with
// their error messages.
func parseLogQuery(query url.Values, pod *corev1.Pod) (q logQuery, err error) {
	if err := hasLog(query, pod); err != nil {
		return q, err
	}
	q.tail = -1
	for name, number := range map[string]*int{"tailLines": &q.tail, "limitBytes": &q.limit} {
		if text := query.Get(name); text != "" {
			if *number, err = strconv.Atoi(text); err != nil {
				return q, fmt.Errorf("%s: %q is not a number", name, text)
			}
		}
	}
	if text := query.Get("sinceTime"); text != "" {
		if q.since, err = time.Parse(time.RFC3339Nano, text); err != nil {
			return q, fmt.Errorf("sinceTime: %q is not a time", text)
		}
	}
	if text := query.Get("sinceSeconds"); text != "" {
		seconds, err := strconv.Atoi(text)
		if err != nil {
			return q, fmt.Errorf("sinceSeconds: %q is not a number", text)
		}
		q.since = time.Now().Add(-time.Duration(seconds) * time.Second)
	}
	q.timestamps, _ = strconv.ParseBool(query.Get("timestamps"))
	return q, nil
}

// hasLog returns an error if the container has no log.
func hasLog(query url.Values, pod *corev1.Pod) error {
	container := query.Get("container")
	if container == "" {
		if len(pod.Spec.Containers) > 1 {
			return fmt.Errorf("a container name must be specified for pod %s", pod.Name)
		}
		container = pod.Spec.Containers[0].Name
	}
	i := slices.IndexFunc(pod.Status.ContainerStatuses, func(s corev1.ContainerStatus) bool { return s.Name == container })
	if !slices.ContainsFunc(pod.Spec.Containers, func(c corev1.Container) bool { return c.Name == container }) {
		return fmt.Errorf("container %s is not valid for pod %s", container, pod.Name)
	}
	if previous, _ := strconv.ParseBool(query.Get("previous")); previous {
		return fmt.Errorf("previous terminated container %q in pod %q not found", container, pod.Name)
	}
	if i < 0 { // nothing has been started yet
		return nil
	}
	if s := pod.Status.ContainerStatuses[i]; s.State.Waiting != nil && s.RestartCount == 0 {
		return fmt.Errorf("container %q in pod %q is waiting to start: %s", container, pod.Name, s.State.Waiting.Reason)
	}
	return nil
}

// show formats the lines as the query requests; a limit may cut a line.
func (q logQuery) show(lines []logLine) string {
	var b strings.Builder
	for _, line := range lines {
		if q.timestamps {
			b.WriteString(line.at.UTC().Format(time.RFC3339Nano) + " ")
		}
		b.WriteString(line.text + "\n")
	}
	text := b.String()
	if q.limit > 0 && len(text) > q.limit {
		text = text[:q.limit]
	}
	return text
}
