package kube

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
)

const testNamespace = "rbd-system"

// An api imitates the little of a Kubernetes API server that we ask: list and
// watch, which ends at its timeout, get by name, and the log of a pod. As
// servers before 1.32 it refuses to stream the objects there are, unless
// streams is set. It can refuse, be away, and hang. Connections are pipes, so
// that all of it can live in a synctest bubble.
type api struct {
	mu       sync.Mutex
	streams  bool
	version  int
	history  []watchEvent                 // what happened, the event of version 1 first
	objects  map[string]map[string][]byte // by resource and name
	watchers map[chan watchEvent]string   // with the resource watched
	asked    []string                     // "list nodes", in order
	refuse   map[string]int               // status by "list nodes"
	token    string                       // without which everything is refused; "": none is needed
	hangs    bool
	deaf     bool             // watches get nothing, not even their end
	brief    bool             // watches end at once
	timeout  time.Duration    // of the last watch
	pages    []int            // the objects on each page of a list
	logs     http.HandlerFunc // answers pods/log

	away  bool
	conns []net.Conn
	queue chan net.Conn
	done  chan struct{}
}

// requests returns what was asked since the last call.
func (a *api) requests() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	defer func() { a.asked = nil }()
	return a.asked
}

type watchEvent struct {
	resource string

	Type   string          `json:"type"`
	Object json.RawMessage `json:"object"`
}

func newAPI(t *testing.T) *api {
	a := &api{
		objects: map[string]map[string][]byte{}, watchers: map[chan watchEvent]string{}, refuse: map[string]int{},
		queue: make(chan net.Conn), done: make(chan struct{}),
	}
	server := &http.Server{Handler: a}
	var served sync.WaitGroup
	served.Go(func() { _ = server.Serve(a) })
	t.Cleanup(func() {
		_ = server.Close()
		served.Wait()
	})
	return a
}

// kube is a Client that asks a until the test ends.
func (a *api) kube(t *testing.T) *Client {
	t.Helper()
	return a.kubeAs(t, "")
}

// kubeAs is kube with the token in a file.
func (a *api) kubeAs(t *testing.T, tokenFile string) *Client {
	t.Helper()
	life, end := context.WithCancel(t.Context())
	t.Cleanup(end)
	k, err := New(life, &rest.Config{Host: "http://kube.test", Dial: a.dial, BearerTokenFile: tokenFile}, testNamespace, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// Accept, Close and Addr make a the listener of its own server.
func (a *api) Accept() (net.Conn, error) {
	select {
	case conn := <-a.queue:
		return conn, nil
	case <-a.done:
		return nil, net.ErrClosed
	}
}

func (a *api) Close() error   { close(a.done); return nil }
func (a *api) Addr() net.Addr { return &net.UnixAddr{Name: "kube.test"} }

func (a *api) dial(ctx context.Context, network, _ string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	a.mu.Lock()
	away := a.away
	a.conns = append(a.conns, theirs)
	a.mu.Unlock()
	if away {
		return nil, &net.OpError{Op: "dial", Net: network, Err: syscall.ECONNREFUSED}
	}
	select {
	case a.queue <- theirs:
		return ours, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-a.done:
		return nil, syscall.ECONNREFUSED
	}
}

// pass lets d pass, in a bubble at once.
func pass(d time.Duration) { <-time.After(d) }

// set changes how the server behaves. Going away breaks its connections.
func (a *api) set(change func(a *api)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	change(a)
	if a.away {
		for _, conn := range a.conns {
			_ = conn.Close()
		}
		a.conns = nil
	}
}

var kinds = map[string]metav1.TypeMeta{
	"nodes":        {Kind: "Node", APIVersion: "v1"},
	"pods":         {Kind: "Pod", APIVersion: "v1"},
	"configmaps":   {Kind: "ConfigMap", APIVersion: "v1"},
	"secrets":      {Kind: "Secret", APIVersion: "v1"},
	"deployments":  {Kind: "Deployment", APIVersion: "apps/v1"},
	"statefulsets": {Kind: "StatefulSet", APIVersion: "apps/v1"},
	"daemonsets":   {Kind: "DaemonSet", APIVersion: "apps/v1"},
}

func resourceOf(o runtime.Object) string {
	switch o.(type) {
	case *corev1.Node:
		return "nodes"
	case *corev1.Pod:
		return "pods"
	case *corev1.ConfigMap:
		return "configmaps"
	case *corev1.Secret:
		return "secrets"
	case *appsv1.Deployment:
		return "deployments"
	case *appsv1.StatefulSet:
		return "statefulsets"
	case *appsv1.DaemonSet:
		return "daemonsets"
	}
	panic(fmt.Sprintf("no resource for %T", o))
}

// forget is what an API server does whose etcd is empty when it comes back.
func (a *api) forget() {
	a.set(func(a *api) { a.version, a.history, a.objects = 0, nil, map[string]map[string][]byte{} })
}

// put stores objects and sends them to the watches.
func (a *api) put(objects ...runtime.Object) {
	for _, o := range objects {
		a.change("MODIFIED", o)
	}
}

func (a *api) delete(o runtime.Object) { a.change("DELETED", o) }

func (a *api) change(what string, o runtime.Object) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.version++
	resource := resourceOf(o)
	m, err := meta.Accessor(o)
	if err != nil {
		panic(err)
	}
	m.SetResourceVersion(strconv.Itoa(a.version))
	o.GetObjectKind().SetGroupVersionKind(schema.FromAPIVersionAndKind(kinds[resource].APIVersion, kinds[resource].Kind))
	text, err := json.Marshal(o)
	if err != nil {
		panic(err)
	}
	if a.objects[resource] == nil {
		a.objects[resource] = map[string][]byte{}
	}
	a.objects[resource][m.GetName()] = text
	if what == "DELETED" {
		delete(a.objects[resource], m.GetName())
	}
	event := watchEvent{resource, what, text}
	a.history = append(a.history, event)
	for watcher, watched := range a.watchers {
		if watched == resource {
			watcher <- event
		}
	}
}

func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	// /api/v1/nodes, /api/v1/namespaces/N/pods/NAME/log, /apis/apps/v1/namespaces/N/deployments
	path := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	if path = path[slices.Index(path, "v1")+1:]; path[0] == "namespaces" {
		path = path[2:]
	}
	resource, verb := path[0], "list"
	streaming := r.URL.Query().Get("sendInitialEvents") == "true"
	switch {
	case len(path) == 3:
		verb, resource = "get", resource+"/"+path[2]
	case len(path) == 2:
		verb = "get"
	case r.URL.Query().Get("watch") != "":
		verb = "watch"
	}
	a.mu.Lock()
	a.asked = append(a.asked, verb+" "+resource)
	status, hangs, logs := a.refuse[verb+" "+resource], a.hangs, a.logs
	if a.token != "" && r.Header.Get("Authorization") != "Bearer "+a.token {
		status = http.StatusUnauthorized
	}
	if verb == "watch" && streaming && !a.streams && status == 0 {
		status = http.StatusUnprocessableEntity
	}
	a.mu.Unlock()
	switch {
	case hangs:
		<-r.Context().Done()
	case status != 0:
		refuse(w, verb, resource, status)
	case verb == "watch":
		a.watch(w, r, resource, streaming)
	case verb == "list":
		a.mu.Lock()
		defer a.mu.Unlock()
		items, next := a.page(resource, r.URL.Query())
		a.pages = append(a.pages, len(items))
		answer(w, map[string]any{
			"kind": kinds[resource].Kind + "List", "apiVersion": kinds[resource].APIVersion,
			"metadata": map[string]string{"resourceVersion": strconv.Itoa(a.version), "continue": next}, "items": items,
		})
	case len(path) == 3:
		logs(w, r)
	default:
		a.mu.Lock()
		defer a.mu.Unlock()
		text, ok := a.objects[resource][path[1]]
		if !ok {
			refuse(w, verb, resource, http.StatusNotFound)
			return
		}
		answer(w, json.RawMessage(text))
	}
}

func (a *api) list(resource string) []json.RawMessage {
	items, _ := a.page(resource, nil)
	return items
}

// page returns one page of a list and the token of the next. With
// resourceVersion=0, servers ignore the limit.
func (a *api) page(resource string, asked url.Values) (items []json.RawMessage, next string) {
	limit, err := strconv.Atoi(asked.Get("limit"))
	unlimited := err != nil || limit == 0 || asked.Get("resourceVersion") != ""
	items = []json.RawMessage{}
	for _, name := range slices.Sorted(maps.Keys(a.objects[resource])) {
		if name <= asked.Get("continue") {
			continue
		}
		if !unlimited && len(items) == limit {
			return items, next
		}
		items, next = append(items, a.objects[resource][name]), name
	}
	return items, ""
}

func (a *api) watch(w http.ResponseWriter, r *http.Request, resource string, streaming bool) {
	seconds, err := strconv.Atoi(r.URL.Query().Get("timeoutSeconds"))
	if err != nil {
		panic(err)
	}
	watcher := make(chan watchEvent, 100)
	a.mu.Lock()
	if streaming {
		for _, text := range a.list(resource) {
			watcher <- watchEvent{resource, "ADDED", text}
		}
		watcher <- watchEvent{resource, "BOOKMARK", fmt.Appendf(nil, `{"kind":%q,"apiVersion":%q,"metadata":{"resourceVersion":"%d","annotations":{%q:"true"}}}`,
			kinds[resource].Kind, kinds[resource].APIVersion, a.version, metav1.InitialEventsAnnotationKey)}
	} else if since, err := strconv.Atoi(r.URL.Query().Get("resourceVersion")); err == nil {
		// Like the API server, it sends nothing for a future version.
		for _, event := range a.history[min(since, len(a.history)):] {
			if event.resource == resource {
				watcher <- event
			}
		}
	}
	a.watchers[watcher] = resource
	a.timeout = time.Duration(seconds) * time.Second
	timeout := time.NewTimer(a.timeout)
	defer timeout.Stop()
	if a.brief {
		timeout.Reset(0)
	}
	if a.deaf {
		timeout.Stop()
	}
	a.mu.Unlock()
	defer func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		delete(a.watchers, watcher)
	}()
	w.Header().Set("Content-Type", "application/json")
	for {
		_ = http.NewResponseController(w).Flush()
		select {
		case event := <-watcher:
			if json.NewEncoder(w).Encode(event) != nil {
				return
			}
		case <-timeout.C:
			return
		case <-r.Context().Done():
			return
		}
	}
}

func answer(w http.ResponseWriter, body any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(body)
}

// refuse answers as the API server words it.
func refuse(w http.ResponseWriter, verb, resource string, status int) {
	s := metav1.Status{TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: metav1.StatusFailure, Code: int32(status)}
	switch status {
	case http.StatusForbidden:
		s.Reason, s.Message = metav1.StatusReasonForbidden, fmt.Sprintf(`%s is forbidden: User "tester" cannot %s resource %q`, resource, verb, resource)
	case http.StatusNotFound:
		s.Reason, s.Message = metav1.StatusReasonNotFound, resource+" not found"
	case http.StatusUnauthorized:
		s.Reason, s.Message = metav1.StatusReasonUnauthorized, "Unauthorized"
	case http.StatusUnprocessableEntity:
		s.Reason, s.Message = metav1.StatusReasonInvalid, "sendInitialEvents is forbidden for watch"
	case http.StatusBadRequest:
		s.Reason, s.Message = metav1.StatusReasonBadRequest, "is waiting to start: ContainerCreating"
	default:
		s.Reason, s.Message = metav1.StatusReasonInternalError, "broken"
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(s)
}
