package demo

import "fmt"

func (p *port) address() string { return fmt.Sprintf("127.0.0.1:%d", p.number) }

func (p *port) url(scheme string) string { return scheme + "://" + p.address() }
