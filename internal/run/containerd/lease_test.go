//go:build linux

package containerd

import (
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"

	"naru/internal/fault"
	"naru/internal/run"
)

func leasesIn(t *testing.T, dir, subnet string) *leases {
	t.Helper()
	l, err := openLeases(dir, netip.MustParsePrefix(subnet))
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestLeasesOfTwoProcesses(t *testing.T) {
	dir := t.TempDir()
	var mu sync.Mutex
	owners := map[netip.Addr]run.InstanceID{}
	var all sync.WaitGroup
	for p, l := range []*leases{leasesIn(t, dir, "10.9.0.0/24"), leasesIn(t, dir, "10.9.0.0/24")} {
		for i := range 60 {
			all.Go(func() {
				id := run.InstanceID(strconv.Itoa(p*100 + i))
				addr, err := l.take(id)
				mu.Lock()
				defer mu.Unlock()
				if other, taken := owners[addr]; err != nil || taken {
					t.Errorf("%s got %s, which %q has, %v", id, addr, other, err)
				}
				owners[addr] = id
			})
		}
	}
	all.Wait()
	got, err := leasesIn(t, dir, "10.9.0.0/24").all()
	if err != nil || len(got) != 120 {
		t.Fatalf("%d leases on disk, %v", len(got), err)
	}
	for addr, id := range owners {
		if got[addr] != id {
			t.Errorf("%s is %q's on disk, %q's by its answer", addr, got[addr], id)
		}
	}
}

func TestLeasesOfASubnet(t *testing.T) {
	l := leasesIn(t, t.TempDir(), "10.9.0.16/29") // 16 the net, 17 the bridge, 23 for broadcasts
	var took []netip.Addr
	for i := range 5 {
		addr, err := l.take(run.InstanceID(strconv.Itoa(i)))
		if want := netip.AddrFrom4([4]byte{10, 9, 0, byte(18 + i)}); err != nil || addr != want {
			t.Fatalf("address %d is %s, %v, want %s", i, addr, err, want)
		}
		took = append(took, addr)
	}
	if addr, err := l.take("more"); !fault.Is(err, fault.Unavailable) {
		t.Errorf("a full subnet gave %s, %v", addr, err)
	}
	if err := l.free(took[2], "3"); err != nil {
		t.Error(err)
	}
	if addr, err := l.take("more"); err == nil {
		t.Errorf("%s was given twice", addr)
	}
	if err := l.free(took[2], "2"); err != nil {
		t.Error(err)
	}
	if addr, err := l.take("more"); err != nil || addr != took[2] {
		t.Errorf("the only free address is %s, got %s, %v", took[2], addr, err)
	}
	if left, _ := filepath.Glob(filepath.Join(l.dir, making+"*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// An address given back is not the next one given out, also after a restart:
// somebody may still have it in mind.
func TestLeasesGoOnBehindTheLast(t *testing.T) {
	dir := t.TempDir()
	l := leasesIn(t, dir, "10.9.0.0/24")
	a, err := l.take("a")
	if err != nil {
		t.Fatal(err)
	}
	b, err := l.take("b")
	if err != nil {
		t.Fatal(err)
	}
	if err := l.free(a, "a"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, making+"dead"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	again := leasesIn(t, dir, "10.9.0.0/24")
	if err := again.sweep(); err != nil {
		t.Error(err)
	}
	if c, err := again.take("c"); err != nil || c != b.Next() {
		t.Errorf("next is %s, %v, want %s", c, err, b.Next())
	}
	if left, _ := filepath.Glob(filepath.Join(dir, making+"*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}
