package demo

import (
	"cmp"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// maxChanges is the number of changes that the store keeps for watches. A watch
// that starts from an older version must list again.
const maxChanges = 1000

// An object is any Kubernetes object.
type object interface {
	metav1.Object
	runtime.Object
}

// A key identifies an object in the cluster.
type key struct{ resource, namespace, name string }

// A change is the change of one object; old is nil for a new object, new is nil
// for a deleted one.
type change struct {
	version  int64
	resource string
	old, new object
}

// A store contains the cluster's objects. Each change has its own resource
// version, as in etcd. Objects in the store are replaced, never modified.
type store struct {
	mu      sync.Mutex
	version int64
	objects map[key]object
	changes []change
	changed chan struct{} // closed when something has changed
}

func newStore() *store {
	return &store{version: 1, objects: map[key]object{}, changed: make(chan struct{})}
}

// apply replaces all objects by the given ones. Equal objects keep their
// version.
func (s *store) apply(objects map[key]object) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, k := range sorted(s.objects) {
		if _, stays := objects[k]; !stays {
			s.put(k, nil)
		}
	}
	for _, k := range sorted(objects) {
		s.put(k, objects[k])
	}
	if len(s.changes) > maxChanges {
		s.changes = slices.Clone(s.changes[len(s.changes)-maxChanges:])
	}
	s.wake()
}

// put replaces one object unless the new one is equal.
func (s *store) put(k key, fresh object) {
	old := s.objects[k]
	if old != nil && fresh != nil {
		fresh.SetResourceVersion(old.GetResourceVersion())
		if reflect.DeepEqual(old, fresh) {
			return
		}
	}
	s.version++
	s.changes = append(s.changes, change{s.version, k.resource, old, fresh})
	if fresh == nil {
		delete(s.objects, k)
		return
	}
	fresh.SetResourceVersion(strconv.FormatInt(s.version, 10))
	s.objects[k] = fresh
}

// wake notifies the watches.
func (s *store) wake() {
	close(s.changed)
	s.changed = make(chan struct{})
}

func (s *store) get(k key) object {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.objects[k]
}

// list returns the objects of a resource in a namespace ("" is all), sorted,
// and the current version.
func (s *store) list(resource, namespace string) ([]object, int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var found []object
	for _, k := range sorted(s.objects) {
		if k.resource == resource && (namespace == "" || k.namespace == namespace) {
			found = append(found, s.objects[k])
		}
	}
	return found, s.version
}

// after returns the changes of a resource after the version, the current
// version, and a channel that closes at the next change. It returns false if
// the store no longer has all these changes.
func (s *store) after(version int64, resource string) (young []change, now int64, next <-chan struct{}, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if version < s.version-int64(len(s.changes)) {
		return nil, s.version, s.changed, false
	}
	for _, c := range s.changes {
		if c.version > version && c.resource == resource {
			young = append(young, c)
		}
	}
	return young, s.version, s.changed, true
}

func sorted(objects map[key]object) []key {
	return slices.SortedFunc(maps.Keys(objects), func(a, b key) int {
		return cmp.Or(cmp.Compare(a.resource, b.resource), cmp.Compare(a.namespace, b.namespace), cmp.Compare(a.name, b.name))
	})
}
