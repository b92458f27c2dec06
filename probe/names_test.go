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

func TestNamesAndTheirServer(t *testing.T) {
	_, g := twoGenerations(t)
	address, _ := serveAPI(t, g, v69(version, http.StatusOK), nil)
	_, port, _ := net.SplitHostPort(address)
	for _, row := range []struct {
		name   string
		code   dnsmessage.RCode
		ips    []string
		mute   bool
		want   string
		spoke  string   // to whom in the end
		failed []string // who is said to have failed
	}{
		{"unknown", dnsmessage.RCodeNameError, nil, false, "resolve/name_unknown", "", nil},
		{"fails", dnsmessage.RCodeServerFailure, nil, false, "resolve/name_server_failed", "", nil},
		{"silent", 0, nil, true, "resolve/name_server_silent", "", nil},
		{"one address", 0, []string{"127.0.0.1"}, false, "well", "127.0.0.1", nil},
		{"the first address refuses", 0, []string{"127.0.0.77", "127.0.0.1"}, false, "well", "127.0.0.1", []string{"127.0.0.77:"}},
		{"IPv6 refuses, IPv4 answers", 0, []string{"::1", "127.0.0.1"}, false, "well", "127.0.0.1", []string{"[::1]:"}},
		{"all addresses refuse", 0, []string{"127.0.0.77", "127.0.0.78"}, false, "connect/refused", "127.0.0.78", []string{"127.0.0.77:", "127.0.0.78:"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			p := &Prober{Resolver: nameServer(t, row.code, row.ips, row.mute)}
			r := regionAt("region.example:"+port, g)
			trace, got := look(t, p, r)
			if got != row.want {
				t.Errorf("got %s (%v), want %s", got, trace.Err, row.want)
			}
			if spoke := strings.TrimSuffix(trace.Address, ":"+port); spoke != row.spoke {
				t.Errorf("spoke to %q, want %q", spoke, row.spoke)
			}
			said := fmt.Sprint(trace.FailedAddresses, trace.Err)
			for _, address := range row.failed {
				if !strings.Contains(said, "dial tcp "+address+port) {
					t.Errorf("it is not said that %s failed: %s", address, said)
				}
			}
			if row.want == "well" && len(trace.FailedAddresses) != len(row.failed) {
				t.Errorf("missed %v", trace.FailedAddresses)
			}
		})
	}
}

func TestARegionThatHasOnlyIPv6(t *testing.T) {
	_, g := twoGenerations(t)
	address, _ := serveAPIAt(t, "[::1]:0", g, v69(version, http.StatusOK), nil)
	trace, got := look(t, new(Prober), regionAt(address, g))
	if got != "well" || trace.Address != address {
		t.Errorf("%s: spoke to %s, %v", got, trace.Address, trace.Err)
	}
	_, port, _ := net.SplitHostPort(address)
	p := &Prober{Resolver: nameServer(t, 0, []string{"::1"}, false)}
	if trace, got := look(t, p, regionAt("region.example:"+port, g)); got != "well" || trace.Address != address {
		t.Errorf("by name, %s: spoke to %s, %v", got, trace.Address, trace.Err)
	}
}

// An address that swallows everything gets its part of the time, and the next
// one what it needs.
func TestAfterAnAddressThatIsSilentTheNextOneAnswers(t *testing.T) {
	_, g := twoGenerations(t)
	address, _ := serveAPI(t, g, v69(version, http.StatusOK), nil)
	_, port, _ := net.SplitHostPort(address)
	number, _ := strconv.Atoi(port)
	silent := fullPortAt(t, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 77}, Port: number})
	p := &Prober{Resolver: nameServer(t, 0, []string{"127.0.0.77", "127.0.0.1"}, false)}
	trace, got := look(t, p, regionAt("region.example:"+port, g))
	if got != "well" || trace.Address != address || fmt.Sprint(trace.FailedAddresses) != "[dial tcp "+silent+": i/o timeout]" {
		t.Errorf("%s: spoke to %s after %v", got, trace.Address, trace.FailedAddresses)
	}
}

// nameServer is a resolver whose name server answers every question with the
// code and the addresses given, or never.
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
			if mute || m.Unpack(packet[:n]) != nil {
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
