package config

import (
	"fmt"
	"strings"
	"testing"
)

func TestTCPRange(t *testing.T) {
	for _, tc := range []struct{ in, want, err string }{
		{in: "", want: "{ 0 0}"},
		{in: "127.0.0.1:20000-20099", want: "{127.0.0.1 20000 20099}"},
		{in: ":9000-9001", want: "{ 9000 9001}"},
		{in: "[::1]:9000", want: "{::1 9000 9000}"},
		{in: "127.0.0.1:20000-20199", want: "{127.0.0.1 20000 20199}"},
		{in: "127.0.0.1:20000-20200", err: "has 201 ports, over the limit of 200"},
		{in: "127.0.0.1:0-9", err: "must be HOST:FIRST-LAST"},
		{in: "127.0.0.1:9-8", err: "must be HOST:FIRST-LAST"},
		{in: "127.0.0.1:65000-70000", err: "must be HOST:FIRST-LAST"},
		{in: "20000-20099", err: "must be HOST:FIRST-LAST"},
		{in: "lb.example:20000-20001", err: "host must be an IP address"},
	} {
		got, err := Listen{TCPPorts: tc.in}.TCP()
		if tc.err != "" {
			if err == nil || !strings.Contains(err.Error(), tc.err) {
				t.Errorf("%q: error %v, want %s", tc.in, err, tc.err)
			}
			continue
		}
		if err != nil || fmt.Sprint(got) != tc.want {
			t.Errorf("%q: %v, %v, want %s", tc.in, got, err, tc.want)
		}
	}
}

func TestTCPSockets(t *testing.T) {
	var got []string
	for name, addr := range (TCPRange{"::1", 9000, 9002}).Sockets {
		if got = append(got, name+" "+addr); len(got) == 2 {
			break
		}
	}
	if want := "tcp-9000 [::1]:9000,tcp-9001 [::1]:9001"; strings.Join(got, ",") != want {
		t.Errorf("%v, want %s", got, want)
	}
	for name := range (TCPRange{}).Sockets {
		t.Errorf("no range has %s", name)
	}
}

func TestBalancers(t *testing.T) {
	for _, tc := range []struct{ in, want string }{
		{"", "[]"},
		{"10.0.0.0/8,192.0.2.1,2001:db8::/32,::1,::ffff:192.0.2.2", "[10.0.0.0/8 192.0.2.1/32 2001:db8::/32 ::1/128 192.0.2.2/32]"},
		{"10.0.0.1/8", "error"}, {"lb.example", "error"}, {"fe80::1%eth0", "error"}, {"10.0.0.0/33", "error"},
	} {
		var list []string
		if tc.in != "" {
			list = strings.Split(tc.in, ",")
		}
		got, err := Gateway{ProxyProtocol: list}.Balancers()
		if text := fmt.Sprint(got); err == nil && text != tc.want || (err != nil) != (tc.want == "error") {
			t.Errorf("%q: %v, %v, want %s", tc.in, got, err, tc.want)
		}
		proxies, perr := Gateway{TrustedProxy: list}.TrustedProxies()
		if fmt.Sprint(proxies, perr) != fmt.Sprint(got, err) {
			t.Errorf("%q as trusted proxies: %v, %v", tc.in, proxies, perr)
		}
	}
}

func TestTCPRangeHoldsNoOtherPort(t *testing.T) {
	c := Config{Listen: Listen{API: "127.0.0.1:9000", Apps: "127.0.0.1:9010", TCPPorts: "127.0.0.1:9005-9010"}}
	if list := c.tcpComplaints(); len(list) != 1 || !strings.Contains(list[0].Error(), "listen.tcp: holds the port of listen.apps") {
		t.Errorf("complaints: %v", list)
	}
}
