package collector

import (
	"context"
	"sync"
)

// memo holds the results of OncePerCollection within one collection.
type memo struct {
	mu      sync.Mutex
	answers map[any]*sharedAnswer
}

// A sharedAnswer is a result that one collector computes and others wait for.
type sharedAnswer struct {
	done  chan struct{} // closed when value and cause are set
	value any
	cause any // of a panic
}

type memoKey struct{}

func withMemo(ctx context.Context) context.Context {
	return context.WithValue(ctx, memoKey{}, &memo{answers: map[any]*sharedAnswer{}})
}

// OncePerCollection returns a function that calls ask at most once per key and
// collection, so that collectors share the result. Outside a collection, every
// call calls ask. A panic of ask is a panic of each caller.
func OncePerCollection[Q any, A any](key func(Q) string, ask func(context.Context, Q) A) func(context.Context, Q) A {
	id := new(byte) // distinguishes this function from others with the same key
	type question struct {
		id  *byte
		key string
	}
	return func(ctx context.Context, q Q) A {
		m, ok := ctx.Value(memoKey{}).(*memo)
		if !ok {
			return ask(ctx, q)
		}
		m.mu.Lock()
		k := question{id, key(q)}
		a, known := m.answers[k]
		if !known {
			a = &sharedAnswer{done: make(chan struct{})}
			m.answers[k] = a
		}
		m.mu.Unlock()
		if !known {
			func() {
				defer close(a.done)
				defer func() { a.cause = recover() }()
				a.value = ask(ctx, q)
			}()
		}
		<-a.done
		if a.cause != nil {
			panic(a.cause)
		}
		return a.value.(A)
	}
}
