package probe

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

func TestHostNames(t *testing.T) {
	_, g := twoGenerations(t)
	address, _ := serveAPI(t, g, v69(version, http.StatusOK), nil)
	_, port, _ := net.SplitHostPort(address)
	for _, row := range []struct {
		name   string
		code   dnsmessage.RCode
		ips    []string
		mute   bool
		want   string
		used   string   // the address in the trace
		failed []string // the addresses with an error
	}{
		{"NXDOMAIN", dnsmessage.RCodeNameError, nil, false, "resolve/name_unknown", "", nil},
		{"SERVFAIL", dnsmessage.RCodeServerFailure, nil, false, "resolve/name_server_failed", "", nil},
		{"no response", 0, nil, true, "resolve/name_server_silent", "", nil},
		{"one address", 0, []string{"127.0.0.1"}, false, "success", "127.0.0.1", nil},
		{"the first address refuses", 0, []string{"127.0.0.77", "127.0.0.1"}, false, "success", "127.0.0.1", []string{"127.0.0.77:"}},
		{"IPv6 refuses, IPv4 answers", 0, []string{"::1", "127.0.0.1"}, false, "success", "127.0.0.1", []string{"[::1]:"}},
		{"all addresses refuse", 0, []string{"127.0.0.77", "127.0.0.78"}, false, "connect/refused", "127.0.0.78", []string{"127.0.0.77:", "127.0.0.78:"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			p := &Prober{limits: testLimits, Resolver: nameServer(t, row.code, row.ips, row.mute)}
			r := regionAt("region.example:"+port, g)
			trace, got := probe(t, p, r)
			if got != row.want {
				t.Errorf("got %s (%v), want %s", got, trace.Err, row.want)
			}
			if used := strings.TrimSuffix(trace.Address, ":"+port); used != row.used {
				t.Errorf("used %q, want %q", used, row.used)
			}
			text := fmt.Sprint(trace.FailedAddresses, trace.Err)
			for _, address := range row.failed {
				if !strings.Contains(text, "dial tcp "+address+port) {
					t.Errorf("no error of %s: %s", address, text)
				}
			}
			if row.want == "success" && len(trace.FailedAddresses) != len(row.failed) {
				t.Errorf("failed addresses %v", trace.FailedAddresses)
			}
		})
	}
}

func TestIPv6Region(t *testing.T) {
	_, g := twoGenerations(t)
	address, _ := serveAPIAt(t, "[::1]:0", g, v69(version, http.StatusOK), nil)
	trace, got := probe(t, newProber(), regionAt(address, g))
	if got != "success" || trace.Address != address {
		t.Errorf("%s: used %s, %v", got, trace.Address, trace.Err)
	}
	_, port, _ := net.SplitHostPort(address)
	p := &Prober{limits: testLimits, Resolver: nameServer(t, 0, []string{"::1"}, false)}
	if trace, got := probe(t, p, regionAt("region.example:"+port, g)); got != "success" || trace.Address != address {
		t.Errorf("by name, %s: used %s, %v", got, trace.Address, trace.Err)
	}
}

// An address that drops everything does not use up the time of the next one.
func TestNextAddressAfterADroppedOne(t *testing.T) {
	_, g := twoGenerations(t)
	address, _ := serveAPI(t, g, v69(version, http.StatusOK), nil)
	_, port, _ := net.SplitHostPort(address)
	number, _ := strconv.Atoi(port)
	dropped := fullPortAt(t, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 77}, Port: number})
	p := &Prober{limits: testLimits, Resolver: nameServer(t, 0, []string{"127.0.0.77", "127.0.0.1"}, false)}
	trace, got := probe(t, p, regionAt("region.example:"+port, g))
	if got != "success" || trace.Address != address || fmt.Sprint(trace.FailedAddresses) != "[dial tcp "+dropped+": i/o timeout]" {
		t.Errorf("%s: used %s after %v", got, trace.Address, trace.FailedAddresses)
	}
}

// nameServer returns a resolver with a name server that returns the code and the
// addresses to every query. A mute one responds to the control query only.
func nameServer(t *testing.T, code dnsmessage.RCode, ips []string, mute bool) *net.Resolver {
	t.Helper()
	socket, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = socket.Close() })
	go func() {
		packet := make([]byte, 1500)
		for {
			n, peer, err := socket.ReadFrom(packet)
			if err != nil {
				return
			}
			var m dnsmessage.Message
			if m.Unpack(packet[:n]) != nil || mute && m.Questions[0].Name.String() != controlName {
				continue
			}
			m.Response, m.RCode, m.Additionals = true, code, nil
			for _, ip := range ips {
				q := m.Questions[0]
				header := dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class, TTL: 1}
				switch four := net.ParseIP(ip).To4(); {
				case four != nil && q.Type == dnsmessage.TypeA:
					m.Answers = append(m.Answers, dnsmessage.Resource{Header: header, Body: &dnsmessage.AResource{A: [4]byte(four)}})
				case four == nil && q.Type == dnsmessage.TypeAAAA:
					m.Answers = append(m.Answers, dnsmessage.Resource{Header: header, Body: &dnsmessage.AAAAResource{AAAA: [16]byte(net.ParseIP(ip))}})
				}
			}
			if answer, err := m.Pack(); err == nil {
				_, _ = socket.WriteTo(answer, peer)
			}
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "udp", socket.LocalAddr().String())
	}}
}
