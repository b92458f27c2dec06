package demo

import (
	"bytes"
	"context"
	"net"
	"sync/atomic"
)

// A nameServer is a DNS server that returns NXDOMAIN for every name. A silent
// one responds to the control query of a probe only: a name server that responds
// to no query at all is a fault of the exporter's host. It lets names fail
// without a query to the outside.
type nameServer struct {
	socket net.PacketConn
	silent atomic.Bool
	ended  chan struct{}
}

func newNameServer(ctx context.Context) (*nameServer, error) {
	socket, err := new(net.ListenConfig).ListenPacket(ctx, "udp4", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &nameServer{socket: socket, ended: make(chan struct{})}
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
		if n < header || s.silent.Load() && !bytes.Contains(packet[:n], controlLabel) {
			continue
		}
		packet[2] |= response
		packet[3] = packet[3]&^rcode | nameError
		_, _ = s.socket.WriteTo(packet[:n], peer)
	}
}

// resolver returns a resolver that queries only this server.
func (s *nameServer) resolver() *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp4", s.socket.LocalAddr().String())
	}}
}
