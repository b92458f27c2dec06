package collector

import (
	"context"
	"sync"
)

// memo holds the results of OncePerCollection within one collection.
type memo struct {
	mu      sync.Mutex
	answers map[any]func() any
}

type memoKey struct{}

func withMemo(ctx context.Context) context.Context {
	return context.WithValue(ctx, memoKey{}, &memo{answers: map[any]func() any{}})
}

// OncePerCollection returns a function that calls ask at most once per key and
// collection, so that collectors share the result. Outside a collection, every
// call calls ask.
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
		answer, known := m.answers[k]
		if !known {
			answer = sync.OnceValue(func() any { return ask(ctx, q) })
			m.answers[k] = answer
		}
		m.mu.Unlock()
		return answer().(A)
	}
}
