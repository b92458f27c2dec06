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
	// staleAfter is how long a cache answers after its watch broke: longer
	// than an API server takes to restart (20 s), and no longer than the
	// shortest time an alert about platform components waits. That an API
	// server is frozen, client-go notices by HTTP/2 pings, 45 s at the latest.
	staleAfter = time.Minute

	// answerTimeout is how long the API server may take to send one page of a
	// list, and beginTimeout to begin a watch: one that still starts may take a
	// request and never answer it. A server that waits for a version it has not
	// seen yet takes 3 s.
	answerTimeout = 30 * time.Second
	beginTimeout  = 15 * time.Second

	// pageSize is how many objects a list asks for at once: with client-go's
	// 500, a page of nodes would be 10 MB.
	pageSize = 100

	// briefWatch is how long a watch must last to prove anything: what stands
	// before a dead API server may accept one and end it at once. The figure
	// is client-go's own for a "very short watch".
	briefWatch = time.Second
)

// retryPause, doubled at most by the jitter, lies between two attempts to list
// and watch; retries spaces those of client-go within one attempt, never more
// than 10 s apart. So a cache is well soon after its API server.
const retryPause = 2 * time.Second

var retries = wait.Backoff{Duration: 500 * time.Millisecond, Factor: 2, Jitter: 1, Cap: 5 * time.Second, Steps: 10}

// A cache holds what we need of one resource's objects, kept current by a
// watch. The watch starts with the first ask, because a role that never asks
// may not be permitted to. A cache that cannot say how old it is does not
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
	// begun is set while a watch is open that has yet to send the objects
	// there are; opened is when the open watch had sent them, zero without one.
	begun   bool
	opened  time.Time
	current time.Time     // when the objects were known to be current last, unless a watch is open: then it is now
	err     error         // what failed since a watch was open last
	changed chan struct{} // closed and replaced when any of the above changes
}

// newCache makes a cache of the objects that strip keeps, by name. Its watch
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
			ctx, cancel := context.WithTimeoutCause(ctx, answerTimeout, errSilent)
			defer cancel()
			// Asked for what it has at hand, a server ignores the limit and
			// sends all objects at once.
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
		// The Reflector's own Run would do the same, and report each failure to
		// a global handler besides. Ours are noted in failed.
		go wait.JitterUntilWithContext(life, func(ctx context.Context) { _ = r.ListAndWatchWithContext(ctx) }, retryPause, 1, true)
	})
	return c
}

// errSilent is why we gave up on an API server that accepts and says nothing.
var errSilent = errors.New("no answer for too long")

// errAway makes client-go ask for all objects anew when the server was away. By
// itself it goes on where it was. But a server that comes back with an empty or
// an older etcd takes our version for one of the future: it opens the watch, and
// says nothing until it is there.
var errAway = errors.New("the server was away")

// all returns the objects, sorted by name. The first ask waits for them until
// ctx ends, but not once the API server has refused or cannot be reached.
// What is returned is shared: read only.
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

// now returns the objects, or why there are none to be had, or neither and a
// channel that closes when asking again may help.
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
		return nil, nil, fmt.Errorf("%w (what is known of them is of %s, too old to tell)", err, c.current.Format(time.RFC3339))
	}
	return nil, c.changed, c.err
}

// update changes the cache under its lock and wakes who waits for a change.
func (c *cache[T]) update(change func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change()
	close(c.changed)
	c.changed = make(chan struct{})
}

// failed remembers why the cache could not list or watch, and returns err.
func (c *cache[T]) failed(ctx context.Context, verb string, err error) error {
	switch cause := context.Cause(ctx); {
	case errors.Is(cause, errSilent):
		err = errSilent
	case cause != nil:
		return err // our life ends
	}
	explained := explain(c.host, verb+" "+c.resource, "list and watch on "+c.resource, err)
	c.update(func() { c.err = explained })
	return err
}

// watch begins a watch and follows its fate. client-go asks for a stream of
// the objects there are first, and where the server refuses that, lists them
// itself: such a refusal is no failure.
func (c *cache[T]) watch(ctx context.Context, options metav1.ListOptions, begin func(context.Context, metav1.ListOptions) (watch.Interface, error)) (watch.Interface, error) {
	streaming := options.SendInitialEvents != nil && *options.SendInitialEvents
	ctx, cancel := context.WithCancelCause(ctx)
	silence := time.AfterFunc(beginTimeout, func() { cancel(errSilent) })
	w, err := begin(ctx, options)
	if !silence.Stop() && err == nil {
		w.Stop()
		err = errSilent
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
	// The server ends a watch at its timeout. One that is open long after it
	// is open on our side only.
	overdue := time.AfterFunc(time.Duration(*options.TimeoutSeconds)*time.Second+answerTimeout, func() { cancel(errSilent) })
	return &openWatch{w, sync.OnceFunc(func() {
		overdue.Stop()
		c.closed(ctx)
		cancel(nil)
	})}, nil
}

// closed notes that the watch has ended. What it told was current until now,
// unless it was dead or hardly begun.
func (c *cache[T]) closed(ctx context.Context) {
	c.update(func() {
		switch {
		case errors.Is(context.Cause(ctx), errSilent):
			c.err = fmt.Errorf("watch %s: %s has not ended it in time", c.resource, c.host)
		case !c.opened.IsZero() && time.Since(c.opened) < briefWatch:
			c.err = fmt.Errorf("watch %s: %s ends it at once", c.resource, c.host)
		case !c.opened.IsZero():
			c.current = time.Now()
		}
		c.begun, c.opened = false, time.Time{}
	})
}

// An openWatch tells when it is stopped, which client-go always does.
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

// DeepCopyObject shares the value, which nobody changes.
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

// A store is the cache's face towards client-go. Objects come by name: all are
// of one namespace, or of none.
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
		return nil // most changes, such as heartbeats, are of what we do not read
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
		if !s.c.synced { // from here on, only a watch proves that the objects are current
			s.c.synced, s.c.current, s.c.err = true, time.Now(), nil
		}
		if s.c.begun {
			s.c.begun, s.c.opened, s.c.err = false, time.Now(), nil
		}
	})
	return nil
}

// explain says what we were doing, and what to do about it where that is
// plain. The URL is left out of the error but for the host: its path and
// query say less than the words before it.
func explain(host, doing, rule string, err error) error {
	if apierrors.IsForbidden(err) {
		return fmt.Errorf("%w; the exporter needs %s", err, rule)
	}
	if apierrors.IsUnauthorized(err) {
		return fmt.Errorf("%s: %s does not know us: %w; the token or certificate in the kubeconfig has expired or belongs to another cluster", doing, host, err)
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("%s: no answer from %s in time: %w", doing, host, context.DeadlineExceeded)
	}
	if u := (*url.Error)(nil); errors.As(err, &u) {
		err = u.Err
	}
	return fmt.Errorf("%s: %s: %w", doing, host, err)
}
