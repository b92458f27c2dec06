package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// The paths of a phone.
const (
	messages = "/messages" // of the relay
	deadman  = "/deadman"  // of Alertmanager: the Watchdog
)

// A phone shows what the relay posts.
type phone struct {
	*http.Server
	url string

	mu      sync.Mutex // guards out and watched
	out     io.Writer
	watched bool // whether the Watchdog has been received
}

func listen(ctx context.Context, out io.Writer) (*phone, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &phone{url: "http://" + l.Addr().String(), out: out}
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+messages, p.show)
	mux.HandleFunc("POST "+deadman, p.watch)
	p.Server = &http.Server{Handler: mux, ReadHeaderTimeout: time.Second}
	go func() { _ = p.Serve(l) }() // until it is closed
	return p, nil
}

// show prints a message of the relay.
func (p *phone) show(w http.ResponseWriter, r *http.Request) {
	var message struct{ Text string }
	err := json.NewDecoder(r.Body).Decode(&message)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	fmt.Fprintf(p.out, "%s\n%s\n\n", clock(), message.Text)
}

// watch notes the Watchdog.
func (p *phone) watch(http.ResponseWriter, *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.watched {
		fmt.Fprintf(p.out, "%s  the dead man's switch received the Watchdog; the next ones are not shown\n\n", clock())
	}
	p.watched = true
}

func clock() string { return time.Now().Format(time.TimeOnly) }
