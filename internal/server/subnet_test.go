//go:build linux

package server

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"naru/internal/config"
)

// Platforms that start at the same time, before any has a bridge, get networks
// of their own, and keep them.
func TestSubnetsOfPlatformsAreApart(t *testing.T) {
	dir := t.TempDir()
	const platforms = 24
	configs := make([]config.Config, platforms)
	var chosen [2 * platforms]netip.Prefix
	var all sync.WaitGroup
	for i := range configs {
		configs[i] = config.Config{DataDir: filepath.Join(dir, fmt.Sprint("data", i)), RunDir: filepath.Join(dir, "run", fmt.Sprint(i))}
		for j, n := range []network{instanceNet, buildNet} {
			n.from = netip.MustParsePrefix("10.127.0.0/16") // little room
			n.bits = 24
			all.Go(func() {
				p, err := chooseSubnet(configs[i], n)
				if err != nil {
					t.Error(err)
				}
				chosen[2*i+j] = p
			})
		}
	}
	all.Wait()
	for i, p := range chosen {
		for j, q := range chosen[:i] {
			if p.Overlaps(q) {
				t.Errorf("%d and %d have %s and %s", i, j, p, q)
			}
		}
	}
	again, err := chooseSubnet(configs[3], buildNet)
	if err != nil || again != chosen[7] {
		t.Errorf("started again it has %s, %v, want %s", again, err, chosen[7])
	}
}

func TestASubnetThatSomebodyTook(t *testing.T) {
	dir := t.TempDir()
	n := network{"subnet", netip.MustParsePrefix("10.250.0.0/23"), 24} // two of them
	at := func(name string) config.Config {
		return config.Config{DataDir: filepath.Join(dir, name), RunDir: filepath.Join(dir, "run", name)}
	}
	one, err := chooseSubnet(at("one"), n)
	ok(t, err)
	two, err := chooseSubnet(at("two"), n)
	if err != nil || one == two {
		t.Fatalf("they have %s and %s, %v", one, two, err)
	}
	if p, err := chooseSubnet(at("three"), n); err == nil {
		t.Errorf("a third has %s", p)
	}
	ok(t, os.RemoveAll(at("one").RunDir)) // it ended
	three, err := chooseSubnet(at("three"), n)
	if err != nil || three != one {
		t.Errorf("what nobody claims any more is not given: %s, %v", three, err)
	}
	if p, err := chooseSubnet(at("one"), n); err == nil {
		t.Errorf("back again it has %s, which is another's by now", p)
	}
	c := at("four")
	c.Subnet.Prefix = netip.MustParsePrefix("10.127.0.0/17")
	if p, err := chooseSubnet(c, buildNet); err != nil || p.Overlaps(c.Subnet.Prefix) {
		t.Errorf("builds have %s, %v, within the subnet of instances", p, err)
	}
}
