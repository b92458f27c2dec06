package demo

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// A kube is the simulated Kubernetes API: lists and watches of the resources
// that the exporter reads, with the resource versions that client-go requires,
// objects by name, and the log of the rbd-api pod. Like a server without
// streaming lists, it rejects sendInitialEvents.
type kube struct {
	*store
	port *port
	log  *podLog

	mu        sync.Mutex
	forbidden []string // resources that may not be listed or watched

	server *http.Server // nil while the API is away
	wait   sync.WaitGroup
}

func newKube(log *podLog) (*kube, error) {
	p, err := reserve()
	return &kube{store: newStore(), port: p, log: log}, err
}

// apply replaces the objects by those of the world, or stops the API if the
// world has none.
func (k *kube) apply(ctx context.Context, w *world) error {
	k.mu.Lock()
	k.forbidden = w.forbidden
	k.mu.Unlock()
	k.store.apply(w.objects())
	switch {
	case w.kubeDown:
		k.close()
		return nil
	case k.server != nil:
		return nil
	}
	ln, err := k.port.listen(ctx)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: k.handler(), ReadHeaderTimeout: 10 * time.Second, ErrorLog: log.New(io.Discard, "", 0)}
	k.server = server
	k.wait.Go(func() { _ = server.Serve(ln) }) // ends with Close
	return nil
}

// close stops the API and every watch.
func (k *kube) close() {
	if k.server != nil {
		_ = k.server.Close()
		k.wait.Wait()
		k.server = nil
	}
}

// A resource is one that the API serves.
type resource struct {
	group, name, kind string
	version           string // "" is v1
	namespaced        bool
	byName            bool // get only; the exporter must not list Secrets
}

var resources = []resource{
	{name: "nodes", kind: "Node"},
	{name: "pods", kind: "Pod", namespaced: true},
	{name: "configmaps", kind: "ConfigMap", namespaced: true, byName: true},
	{name: "secrets", kind: "Secret", namespaced: true, byName: true},
	{group: "apps", name: "deployments", kind: "Deployment", namespaced: true},
	{group: "apps", name: "statefulsets", kind: "StatefulSet", namespaced: true},
	{group: "apps", name: "daemonsets", kind: "DaemonSet", namespaced: true},
	{name: "events", kind: "Event", namespaced: true},
	{group: operatorGroup, version: operatorVersion, name: "rbdcomponents", kind: "RbdComponent", namespaced: true},
	{group: operatorGroup, version: operatorVersion, name: "rainbondclusters", kind: "RainbondCluster", namespaced: true},
}

// apiVersion returns the resource's group and version.
func (r resource) apiVersion() string {
	return schema.GroupVersion{Group: r.group, Version: cmp.Or(r.version, "v1")}.String()
}

func (r resource) in() schema.GroupResource {
	return schema.GroupResource{Group: r.group, Resource: r.name}
}

// prefix returns the beginning of the resource's paths.
func (r resource) prefix() string {
	if r.group == "" {
		return "/api/v1"
	}
	return "/apis/" + r.apiVersion()
}

func (k *kube) handler() http.Handler {
	mux := http.NewServeMux()
	for _, r := range resources {
		scope := ""
		if r.namespaced {
			scope = "/namespaces/{namespace}"
		}
		mux.HandleFunc("GET "+r.prefix()+scope+"/"+r.name+"/{name}", k.allowed(r, "get", k.one))
		if r.byName {
			continue
		}
		mux.HandleFunc("GET "+r.prefix()+scope+"/"+r.name, k.allowed(r, "list", k.many))
		if r.namespaced {
			mux.HandleFunc("GET "+r.prefix()+"/"+r.name, k.allowed(r, "list", k.many))
		}
	}
	mux.HandleFunc("GET /api/v1/namespaces/{namespace}/pods/{name}/log", k.podLog)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		refuse(w, apierrors.NewNotFound(schema.GroupResource{}, r.URL.Path))
	})
	return mux
}

// allowed returns a handler that rejects what the world forbids, with the API
// server's message.
func (k *kube) allowed(res resource, verb string, serve func(http.ResponseWriter, *http.Request, resource)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if !k.forbids(res) {
			serve(w, r, res)
			return
		}
		asked := verb
		if r.FormValue("watch") != "" {
			asked = "watch"
		}
		//nolint:staticcheck // the API server begins with a capital
		refuse(w, apierrors.NewForbidden(res.in(), r.PathValue("name"), fmt.Errorf(
			"User %q cannot %s resource %q in API group %q in the namespace %q",
			"system:serviceaccount:"+cmp.Or(r.PathValue("namespace"), namespace)+":rainbond-exporter", asked, res.name, res.group, r.PathValue("namespace"))))
	}
}

func (k *kube) forbids(r resource) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Contains(k.forbidden, r.name)
}

func (k *kube) one(w http.ResponseWriter, r *http.Request, res resource) {
	o := k.get(key{res.name, r.PathValue("namespace"), r.PathValue("name")})
	if o == nil {
		refuse(w, apierrors.NewNotFound(res.in(), r.PathValue("name")))
		return
	}
	write(w, http.StatusOK, o)
}

// many serves a list or a watch. It ignores limit: a server may return more
// items than requested.
func (k *kube) many(w http.ResponseWriter, r *http.Request, res resource) {
	s, err := newSelection(r)
	if err != nil {
		refuse(w, apierrors.NewBadRequest(err.Error()))
		return
	}
	if watch, _ := strconv.ParseBool(r.FormValue("watch")); watch {
		k.watch(w, r, res, s)
		return
	}
	answer := list{TypeMeta: metav1.TypeMeta{Kind: res.kind + "List", APIVersion: res.apiVersion()}, Items: []object{}}
	objects, version := k.list(res.name, s.namespace)
	answer.ResourceVersion = strconv.FormatInt(version, 10)
	for _, o := range objects {
		if s.selects(o) {
			answer.Items = append(answer.Items, o)
		}
	}
	write(w, http.StatusOK, answer)
}

// A list is any Kubernetes list.
type list struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata"`
	Items           []object `json:"items"`
}

// podLog serves the log of the rbd-api container; those of other containers are
// empty. It implements the kubelet's query parameters except follow.
func (k *kube) podLog(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	pod, _ := k.get(key{"pods", r.PathValue("namespace"), name}).(*corev1.Pod)
	if pod == nil {
		refuse(w, apierrors.NewNotFound(corev1.Resource("pods"), name))
		return
	}
	q, err := parseLogQuery(r.URL.Query(), pod)
	if err != nil {
		refuse(w, apierrors.NewBadRequest(err.Error()))
		return
	}
	w.Header().Set("Content-Type", "text/plain")
	if pod.Labels["name"] == "rbd-api" && pod.Spec.NodeName != "" {
		_, _ = io.WriteString(w, q.show(k.log.since(q.since, q.tail)))
	}
}

// write sends v as JSON.
func write(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // an error is the client's end
}

// refuse sends the error as a Status object, which client-go expects.
func refuse(w http.ResponseWriter, err *apierrors.StatusError) {
	status := err.Status()
	status.TypeMeta = metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}
	write(w, int(status.Code), status)
}
