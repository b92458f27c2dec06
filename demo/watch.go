package demo

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// bookmarkEvery is the interval of bookmarks, about that of the real server.
const bookmarkEvery = time.Minute

// maxWatch is the duration of a watch without timeoutSeconds. The real server
// ends one after 30 minutes or more.
const maxWatch = 30 * time.Minute

// A selection contains the selectors of a list or a watch.
type selection struct {
	namespace string
	labels    labels.Selector
	fields    fields.Selector
}

// selectable are the fields that field selectors support.
var selectable = []string{"metadata.name", "metadata.namespace", "spec.nodeName", "status.phase", "involvedObject.kind", "reason"}

func newSelection(r *http.Request) (s selection, err error) {
	s.namespace = r.PathValue("namespace")
	if s.labels, err = labels.Parse(r.FormValue("labelSelector")); err != nil {
		return s, err
	}
	if s.fields, err = fields.ParseSelector(r.FormValue("fieldSelector")); err != nil {
		return s, err
	}
	for _, one := range s.fields.Requirements() {
		if !slices.Contains(selectable, one.Field) {
			return s, fmt.Errorf("field label not supported: %s", one.Field)
		}
	}
	return s, nil
}

func (s selection) selects(o object) bool {
	if o == nil || s.namespace != "" && s.namespace != o.GetNamespace() {
		return false
	}
	set := fields.Set{"metadata.name": o.GetName(), "metadata.namespace": o.GetNamespace()}
	switch o := o.(type) {
	case *corev1.Pod:
		set["spec.nodeName"], set["status.phase"] = o.Spec.NodeName, string(o.Status.Phase)
	case *corev1.Event:
		set["involvedObject.kind"], set["reason"] = o.InvolvedObject.Kind, o.Reason
	}
	return s.labels.Matches(labels.Set(o.GetLabels())) && s.fields.Matches(set)
}

// watch streams the changes of the selected objects after the requested version
// until the client's time limit.
func (k *kube) watch(w http.ResponseWriter, r *http.Request, res resource, s selection) {
	if r.FormValue("sendInitialEvents") != "" {
		// The error of a server without streaming lists; client-go then lists.
		refuse(w, apierrors.NewInvalid(schema.GroupKind{Group: "meta.k8s.io", Kind: "ListOptions"}, "", field.ErrorList{
			field.Forbidden(field.NewPath("sendInitialEvents"), "sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled"),
		}))
		return
	}
	out := stream{ResponseWriter: w, resource: res, selection: s}
	version, _ := strconv.ParseInt(r.FormValue("resourceVersion"), 10, 64)
	if version == 0 { // from now on, with all there is as an addition
		var objects []object
		objects, version = k.list(res.name, s.namespace)
		for _, o := range objects {
			out.send(change{new: o})
		}
	}
	limit := maxWatch
	if seconds, err := strconv.Atoi(r.FormValue("timeoutSeconds")); err == nil && seconds > 0 {
		limit = time.Duration(seconds) * time.Second
	}
	end := time.NewTimer(limit)
	defer end.Stop()
	bookmark := time.NewTicker(bookmarkEvery)
	defer bookmark.Stop()
	for !k.forbids(res) {
		young, now, next, ok := k.after(version, res.name)
		if !ok {
			out.expired(version)
			return
		}
		for _, c := range young {
			out.send(c)
		}
		version = now
		out.flush()
		select {
		case <-next:
		case <-bookmark.C:
			if r.FormValue("allowWatchBookmarks") == "true" {
				out.bookmark(version)
			}
		case <-end.C:
			return
		case <-r.Context().Done():
			return
		}
	}
}

// A stream writes a watch response: one JSON object per event.
type stream struct {
	http.ResponseWriter
	resource  resource
	selection selection
}

// send sends the change as the selection sees it: an object that leaves the
// selection is deleted.
func (s stream) send(c change) {
	was, is := s.selection.selects(c.old), s.selection.selects(c.new)
	switch {
	case is && !was:
		s.event("ADDED", c.new)
	case is:
		s.event("MODIFIED", c.new)
	case was:
		gone := c.old.DeepCopyObject().(object)
		gone.SetResourceVersion(strconv.FormatInt(c.version, 10))
		s.event("DELETED", gone)
	}
}

func (s stream) bookmark(version int64) {
	s.event("BOOKMARK", &metav1.PartialObjectMetadata{
		TypeMeta:   metav1.TypeMeta{Kind: s.resource.kind, APIVersion: s.resource.apiVersion()},
		ObjectMeta: metav1.ObjectMeta{ResourceVersion: strconv.FormatInt(version, 10)},
	})
}

// expired sends the error after which a client lists again.
func (s stream) expired(version int64) {
	status := apierrors.NewResourceExpired(fmt.Sprintf("too old resource version: %d", version)).Status()
	status.TypeMeta = metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}
	s.event("ERROR", &status)
	s.flush()
}

func (s stream) event(kind string, o runtime.Object) {
	s.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(s).Encode(metav1.WatchEvent{Type: kind, Object: runtime.RawExtension{Object: o}}) // an error is the client's end
}

func (s stream) flush() {
	s.Header().Set("Content-Type", "application/json")
	_ = http.NewResponseController(s.ResponseWriter).Flush()
}
