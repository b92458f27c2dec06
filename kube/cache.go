package kube

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"reflect"
	"slices"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	kubecache "k8s.io/client-go/tools/cache"
)

const (
	// staleAfter is how long a cache answers after its watch failed: longer
	// than an API server takes to restart (20 s), and no longer than the
	// shortest "for" of an alert about platform components. client-go detects a
	// frozen API server with HTTP/2 pings after at most 45 s.
	staleAfter = time.Minute

	// answerTimeout is how long the API server may take to send one page of a
	// list, and beginTimeout to begin a watch. A server that is starting can
	// accept a request and never answer it. One that waits for a resource
	// version that it has not seen yet takes 3 s.
	answerTimeout = 30 * time.Second
	beginTimeout  = 15 * time.Second

	// pageSize is how many objects one request of a list returns. With
	// client-go's 500, a page of nodes would be 10 MB.
	pageSize = 100

	// briefWatch is how long a watch must last to prove that the objects are
	// current. A load balancer of a dead API server may accept a watch and end
	// it at once. The value is that of client-go for a "very short watch".
	briefWatch = time.Second
)

// retryPause, at most doubled by the jitter, is the time between two attempts to
// list and watch. retries is the back-off of client-go within one attempt, at
// most 10 s. A cache recovers soon after its API server.
const retryPause = 2 * time.Second

var retries = wait.Backoff{Duration: 500 * time.Millisecond, Factor: 2, Jitter: 1, Cap: 5 * time.Second, Steps: 10}

// A cache contains what is needed of one resource's objects, updated by a watch.
// The watch starts with the first call of all, because a role that does not use
// the resource may lack the permission. A cache whose age is unknown does not
// answer.
type cache[T any] struct {
	resource string // plural, as RBAC has it: nodes
	host     string
	start    func()
	strip    func(runtime.Object) (T, bool)

	mu      sync.Mutex
	objects map[string]T
	sorted  []T // the objects, nil when they have changed since
	synced  bool
	// begun is set while a watch is open that has not yet sent the existing
	// objects. opened is when the open watch had sent them, zero without one.
	begun   bool
	opened  time.Time
	current time.Time     // when the objects were last known to be current; not used while a watch is open
	err     error         // what failed since the last open watch
	changed chan struct{} // closed and replaced when any of the above changes
}

// newCache returns a cache of the objects that strip accepts, by name. Its watch
// ends with life.
func newCache[O runtime.Object, T any](life context.Context, host string, api collection, strip func(O) (T, bool)) *cache[T] {
	c := &cache[T]{
		resource: api.name, host: host,
		strip:   func(o runtime.Object) (T, bool) { return strip(o.(O)) },
		objects: map[string]T{},
		changed: make(chan struct{}),
	}
	lw := &kubecache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
			ctx, cancel := context.WithTimeoutCause(ctx, answerTimeout, errNoAnswer)
			defer cancel()
			// With resourceVersion=0, a server ignores the limit and sends all
			// objects at once.
			options.ResourceVersion, options.Limit = "", pageSize
			page, err := api.List(ctx, options)
			if err != nil {
				return nil, c.failed(ctx, "list", err)
			}
			return c.stripPage(page)
		},
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			return c.watch(ctx, options, api.Watch)
		},
	}
	c.start = sync.OnceFunc(func() {
		r := kubecache.NewReflectorWithOptions(lw, nil, store[T]{c}, kubecache.ReflectorOptions{
			Name: api.name, TypeDescription: api.name, Backoff: &retries,
		})
		// Reflector.Run would do the same, and also report each failure to a
		// global handler. Here, failed stores them.
		go wait.JitterUntilWithContext(life, func(ctx context.Context) { _ = r.ListAndWatchWithContext(ctx) }, retryPause, 1, true)
	})
	return c
}

// errNoAnswer ends a request that the API server accepted and does not answer.
var errNoAnswer = errors.New("no answer for too long")

// errAway makes client-go list all objects again after the server was not
// reachable. By default it continues the watch at its resource version. But a
// server that returns with an empty or older etcd accepts a future version and
// sends nothing until it reaches that version.
var errAway = errors.New("the server was away")

// all returns the objects, sorted by name. The first call waits for them until
// ctx ends, or until the API server refuses or cannot be reached. The slice is
// shared and must not be changed.
func (c *cache[T]) all(ctx context.Context) ([]T, error) {
	c.start()
	for {
		objects, changed, err := c.now()
		if objects != nil || err != nil {
			return objects, err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, explain(c.host, "list "+c.resource, "", context.Cause(ctx))
		}
	}
}

// now returns the objects, or the error why there are none, or neither and a
// channel that is closed when a new call may succeed.
func (c *cache[T]) now() ([]T, <-chan struct{}, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.synced && (!c.opened.IsZero() || time.Since(c.current) < staleAfter):
		if c.sorted == nil {
			c.sorted = make([]T, 0, len(c.objects))
			for _, name := range slices.Sorted(maps.Keys(c.objects)) {
				c.sorted = append(c.sorted, c.objects[name])
			}
		}
		return c.sorted, nil, nil
	case c.synced:
		err := c.err
		if err == nil {
			err = fmt.Errorf("watch %s: no answer from %s", c.resource, c.host)
		}
		return nil, nil, fmt.Errorf("%w (the last known state is of %s and too old to be used)", err, c.current.Format(time.RFC3339))
	}
	return nil, c.changed, c.err
}

// update changes the cache under its lock and wakes the calls that wait for a
// change.
func (c *cache[T]) update(change func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change()
	close(c.changed)
	c.changed = make(chan struct{})
}

// failed stores why the cache could not list or watch, and returns err.
func (c *cache[T]) failed(ctx context.Context, verb string, err error) error {
	switch cause := context.Cause(ctx); {
	case errors.Is(cause, errNoAnswer):
		err = errNoAnswer
	case cause != nil:
		return err // life ends
	}
	explained := explain(c.host, verb+" "+c.resource, "list and watch on "+c.resource, err)
	c.update(func() { c.err = explained })
	return err
}

// watch begins a watch and records its state. client-go first requests a stream
// that begins with the existing objects. When the server refuses it, client-go
// lists them, so such a refusal is not a failure.
func (c *cache[T]) watch(ctx context.Context, options metav1.ListOptions, begin func(context.Context, metav1.ListOptions) (watch.Interface, error)) (watch.Interface, error) {
	streaming := options.SendInitialEvents != nil && *options.SendInitialEvents
	ctx, cancel := context.WithCancelCause(ctx)
	timeout := time.AfterFunc(beginTimeout, func() { cancel(errNoAnswer) })
	w, err := begin(ctx, options)
	if !timeout.Stop() && err == nil {
		w.Stop()
		err = errNoAnswer
	}
	if err != nil {
		defer cancel(nil)
		var refused apierrors.APIStatus
		if streaming && errors.As(err, &refused) && !apierrors.IsTooManyRequests(err) {
			return nil, err
		}
		err = c.failed(ctx, "watch", err)
		if !streaming && utilnet.IsConnectionRefused(err) {
			return nil, errAway
		}
		return nil, err
	}
	c.update(func() {
		c.begun = streaming
		if !streaming {
			c.opened, c.err = time.Now(), nil
		}
	})
	// The server ends a watch at its timeout. A watch that is open long after
	// that is open on the client's side only.
	overdue := time.AfterFunc(time.Duration(*options.TimeoutSeconds)*time.Second+answerTimeout, func() { cancel(errNoAnswer) })
	return &openWatch{w, sync.OnceFunc(func() {
		overdue.Stop()
		c.closed(ctx)
		cancel(nil)
	})}, nil
}

// closed records the end of the watch. The objects were current until now,
// unless the watch was dead or too brief.
func (c *cache[T]) closed(ctx context.Context) {
	c.update(func() {
		switch {
		case errors.Is(context.Cause(ctx), errNoAnswer):
			c.err = fmt.Errorf("watch %s: %s has not ended it in time", c.resource, c.host)
		case !c.opened.IsZero() && time.Since(c.opened) < briefWatch:
			c.err = fmt.Errorf("watch %s: %s ends it at once", c.resource, c.host)
		case !c.opened.IsZero():
			c.current = time.Now()
		}
		c.begun, c.opened = false, time.Time{}
	})
}

// An openWatch calls stopped when client-go stops it, which it always does.
type openWatch struct {
	watch.Interface
	stopped func()
}

func (w *openWatch) Stop() {
	w.Interface.Stop()
	w.stopped()
}

// An item is an object on its way into the store, stripped.
type item[T any] struct {
	name  string
	value T
	keep  bool
}

// GetObjectKind and DeepCopyObject let client-go carry an item in a list.
func (*item[T]) GetObjectKind() schema.ObjectKind { return schema.EmptyObjectKind }

// DeepCopyObject shares the value, which is never changed.
func (i *item[T]) DeepCopyObject() runtime.Object { copied := *i; return &copied }

func (c *cache[T]) item(o any) (*item[T], error) {
	if i, ok := o.(*item[T]); ok {
		return i, nil
	}
	m, err := meta.Accessor(o)
	if err != nil {
		return nil, err
	}
	i := &item[T]{name: m.GetName()}
	i.value, i.keep = c.strip(o.(runtime.Object))
	return i, nil
}

// stripPage replaces a page's objects by items before the next page comes.
func (c *cache[T]) stripPage(page runtime.Object) (runtime.Object, error) {
	m, err := meta.ListAccessor(page)
	if err != nil {
		return nil, err
	}
	stripped := &internalversion.List{ListMeta: metav1.ListMeta{
		ResourceVersion: m.GetResourceVersion(), Continue: m.GetContinue(), RemainingItemCount: m.GetRemainingItemCount(),
	}}
	err = meta.EachListItem(page, func(o runtime.Object) error {
		i, err := c.item(o)
		stripped.Items = append(stripped.Items, i)
		return err
	})
	return stripped, err
}

// A store is the interface of the cache for client-go. The key of an object is
// its name, because all are of one namespace, or of none.
type store[T any] struct{ c *cache[T] }

// Transformer strips what the initial stream sends before it is collected.
func (s store[T]) Transformer() kubecache.TransformFunc {
	return func(o any) (any, error) { return s.c.item(o) }
}

func (s store[T]) Add(o any) error    { return s.put(o, true) }
func (s store[T]) Update(o any) error { return s.put(o, true) }
func (s store[T]) Delete(o any) error { return s.put(o, false) }
func (s store[T]) Resync() error      { return nil }

func (s store[T]) put(o any, exists bool) error {
	i, err := s.c.item(o)
	if err != nil {
		return err
	}
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	before, known := s.c.objects[i.name]
	switch {
	case !exists || !i.keep:
		delete(s.c.objects, i.name)
	case known && reflect.DeepEqual(before, i.value):
		return nil // most changes, such as heartbeats, are of unused fields
	default:
		s.c.objects[i.name] = i.value
	}
	s.c.sorted = nil
	return nil
}

func (s store[T]) Replace(all []any, _ string) error {
	objects := make(map[string]T, len(all))
	for _, o := range all {
		i, err := s.c.item(o)
		if err != nil {
			return err
		}
		if i.keep {
			objects[i.name] = i.value
		}
	}
	s.c.update(func() {
		s.c.objects, s.c.sorted = objects, nil
		if !s.c.synced { // from now on, only a watch proves that the objects are current
			s.c.synced, s.c.current, s.c.err = true, time.Now(), nil
		}
		if s.c.begun {
			s.c.begun, s.c.opened, s.c.err = false, time.Now(), nil
		}
	})
	return nil
}

// explain returns err with the operation and, if known, the fix. rule is the
// permission that the operation needs. Of the URL, only the host is included.
func explain(host, doing, rule string, err error) error {
	if apierrors.IsForbidden(err) {
		return fmt.Errorf("%w; the exporter needs %s", err, rule)
	}
	if apierrors.IsUnauthorized(err) {
		return fmt.Errorf("%s: %s rejects the credentials: %w; the token or certificate in the kubeconfig has expired or belongs to another cluster", doing, host, err)
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("%s: no answer from %s in time: %w", doing, host, context.DeadlineExceeded)
	}
	if u := (*url.Error)(nil); errors.As(err, &u) {
		err = u.Err
	}
	return fmt.Errorf("%s: %s: %w", doing, host, err)
}
