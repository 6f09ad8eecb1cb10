//go:build unix

package process

import (
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"naru/internal/run"
)

// A port that the system hands to whoever asks for any would be taken from the
// instance before it listens.
func TestPortsAreNotTheSystems(t *testing.T) {
	text, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range")
	if err != nil {
		t.Skipf("this system does not say which ports it gives away: %v", err)
	}
	var low, high int
	if _, err := fmt.Sscan(string(text), &low, &high); err != nil {
		t.Fatal(err)
	}
	if low < 32768 {
		t.Skipf("this machine was set to give away ports from %d", low)
	}
	if firstPort < 1024 || lastPort >= low {
		t.Errorf("instances have ports %d to %d, the system gives away %d to %d", firstPort, lastPort, low, high)
	}
}

func TestHoldPort(t *testing.T) {
	dir := t.TempDir()
	d, err := New(Config{Dir: filepath.Join(dir, "run"), SpoolDir: filepath.Join(dir, "spool")}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	given := map[netip.AddrPort]bool{}
	for n := range 200 {
		l, addr, err := d.holdPort(run.InstanceID(fmt.Sprint(n)))
		if err != nil {
			t.Fatal(err)
		}
		if got := netip.MustParseAddrPort(l.Addr().String()); got != addr || given[addr] || addr.Port() < firstPort || addr.Port() > lastPort {
			t.Fatalf("the %dth is given %s and held at %s", n, addr, got)
		}
		given[addr] = true
		if n%2 == 0 { // let go, as for a command that does not listen yet
			l.Close()
		} else {
			t.Cleanup(func() { l.Close() })
		}
	}

	// With all but one taken, that one is found.
	var left netip.AddrPort
	for port := firstPort; port <= lastPort; port++ {
		addr := netip.MustParseAddrPort(fmt.Sprint("127.0.0.1:", port))
		if given[addr] {
			continue
		}
		if l, err := net.Listen("tcp", addr.String()); err == nil && !left.IsValid() {
			l.Close()
			left = addr
			continue
		} else if err == nil {
			l.Close()
		}
		d.claim(addr, "others")
	}
	l, addr, err := d.holdPort("last")
	if err != nil || addr != left {
		t.Fatalf("holdPort = %s, %v, want %s", addr, err, left)
	}
	defer l.Close()
	if _, _, err := d.holdPort("none"); err == nil {
		t.Error("a port was found where none is left")
	}
	if err := d.remove("last"); err != nil {
		t.Fatal(err)
	}
	l.Close()
	if l, addr, err := d.holdPort("again"); err != nil || addr != left {
		t.Errorf("after its instance went, holdPort = %s, %v, want %s", addr, err, left)
	} else {
		l.Close()
	}
}
