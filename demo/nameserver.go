package demo

import (
	"bytes"
	"context"
	"net"
	"strings"
	"sync/atomic"
)

// A nameServer is a DNS server that returns NXDOMAIN for every name except that
// of the Service rbd-api-api. An unresponsive one responds to the control query of a
// probe only: a name server that responds to no query at all is a fault of the
// exporter's host. No query leaves the host.
type nameServer struct {
	socket       net.PacketConn
	unresponsive atomic.Bool
	// service is the qualified name of the Service rbd-api-api, the only name
	// that exists; "" is none.
	service string
	ended   chan struct{}
}

func newNameServer(ctx context.Context, service string) (*nameServer, error) {
	socket, err := new(net.ListenConfig).ListenPacket(ctx, "udp4", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &nameServer{socket: socket, service: service, ended: make(chan struct{})}
	go s.serve()
	return s, nil
}

func (s *nameServer) close() {
	_ = s.socket.Close()
	<-s.ended
}

// controlLabel is part of the name in the control query (probe/resolve.go).
var controlLabel = []byte("rainbond-exporter-control")

// serve returns each query as its own response with the code NXDOMAIN (RFC
// 1035, section 4.1.1).
func (s *nameServer) serve() {
	defer close(s.ended)
	const header, response, rcode, nameError = 12, 0x80, 0x0f, 3
	packet := make([]byte, 1500)
	for {
		n, peer, err := s.socket.ReadFrom(packet)
		if err != nil {
			return // closed
		}
		if n < header || s.unresponsive.Load() && !bytes.Contains(packet[:n], controlLabel) {
			continue
		}
		packet[2] |= response
		answer, ok := s.address(packet[:n])
		if !ok {
			packet[3] = packet[3]&^rcode | nameError
			answer = packet[:n]
		}
		_, _ = s.socket.WriteTo(answer, peer)
	}
}

// address returns the response to a query for the Service: the loopback address
// for type A, no record for any other type. It returns false for another name.
func (s *nameServer) address(query []byte) ([]byte, bool) {
	const header, typeA = 12, 1
	var labels []string
	at := header
	for at < len(query) && query[at] != 0 && at+1+int(query[at]) < len(query) {
		labels = append(labels, string(query[at+1:at+1+int(query[at])]))
		at += 1 + int(query[at])
	}
	at += 1 + 4 // the root label, type and class
	if s.service == "" || at > len(query) || !strings.EqualFold(strings.Join(labels, "."), s.service) {
		return nil, false
	}
	answer := bytes.Clone(query[:at])
	answer[7], answer[9], answer[11] = 0, 0, 0 // numbers of records after the question
	if query[at-3] == typeA {
		answer[7] = 1
		// A pointer to the name, type A, class IN, 5 s to live, 4 bytes.
		answer = append(answer, 0xc0, header, 0, typeA, 0, 1, 0, 0, 0, 5, 0, 4, 127, 0, 0, 1)
	}
	return answer, true
}

// resolver returns a resolver that queries only this server.
func (s *nameServer) resolver() *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp4", s.socket.LocalAddr().String())
	}}
}
