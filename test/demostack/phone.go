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

	"github.com/prometheus/alertmanager/template"

	"github.com/rainbond-exporter/rainbond-exporter/tour"
)

// A phone shows the messages of Alertmanager's webhook.
type phone struct {
	*http.Server
	url  string
	lang string

	mu      sync.Mutex // guards out and watched
	out     io.Writer
	watched bool // whether the Watchdog has been received
}

func listen(ctx context.Context, out io.Writer, lang string) (*phone, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &phone{url: "http://" + l.Addr().String(), out: out, lang: lang}
	p.Server = &http.Server{Handler: p, ReadHeaderTimeout: time.Second}
	go func() { _ = p.Serve(l) }() // until it is closed
	return p, nil
}

func (p *phone) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var message template.Data
	err := json.NewDecoder(r.Body).Decode(&message)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if message.Receiver == "deadman" {
		if !p.watched {
			fmt.Fprintf(p.out, "%s  the dead man's switch received the Watchdog; the next ones are not shown\n\n", clock())
		}
		p.watched = true
		return
	}
	text, err := tour.Text(&message, p.lang)
	if err != nil {
		text = err.Error()
	}
	fmt.Fprintf(p.out, "%s  to %s\n%s\n\n", clock(), message.Receiver, text)
}

func clock() string { return time.Now().Format(time.TimeOnly) }
