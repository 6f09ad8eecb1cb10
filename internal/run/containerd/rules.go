//go:build linux

package containerd

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os/exec"
	"strings"

	"github.com/google/nftables"
	"golang.org/x/sys/unix"
)

// rules are what instances may reach. They are one table of ours, static but
// for two sets: which space an address belongs to, and which addresses a space
// has. A packet between instances is marked with its sender's space and passes
// only when that space has the receiver too.
type rules struct {
	table  string
	bridge string
	subnet netip.Prefix

	telemetry int // port of the bridge's address that instances may reach; 0: none
}

// text is the table for nft. Deleting what was just declared makes loading it
// the same whether it stood before or not; the sets are filled again by who
// knows the instances.
func (r *rules) text() string {
	return fmt.Sprintf(`
table ip %[1]s {
	map space_of {
		type ipv4_addr : mark
	}
	set members {
		type ipv4_addr . mark
	}
	chain forward {
		type filter hook forward priority -10; policy accept;
		iifname %[2]q ip daddr 169.254.0.0/16 drop
		iifname %[2]q oifname %[2]q jump between
		oifname %[2]q iifname != %[2]q ct state established,related accept
		oifname %[2]q iifname != %[2]q drop
	}
	chain between {
		meta mark set ip saddr map @space_of
		ip daddr . meta mark @members accept
		drop
	}
	chain input {
		type filter hook input priority -10; policy accept;
		iifname %[2]q ct state established,related accept
		iifname %[2]q udp dport 53 accept
		iifname %[2]q tcp dport 53 accept
		iifname %[2]q drop
	}
	chain postrouting {
		type nat hook postrouting priority srcnat; policy accept;
		ip saddr %[3]s oifname != %[2]q masquerade
	}
}
`, r.table, r.bridge, r.subnet)
}

// setUp loads the table unless it stands, and lets the host's own firewall pass
// what crosses the bridge: beside Docker its forward chain drops by default.
func (r *rules) setUp(ctx context.Context) error {
	if _, err := tool(ctx, "", "nft", "list", "table", "ip", r.table); err != nil {
		if _, err := tool(ctx, r.text(), "nft", "-f", "-"); err != nil {
			return fmt.Errorf("load network rules: %w", err)
		}
	}
	if err := r.openTelemetry(ctx); err != nil {
		return err
	}
	for _, way := range []string{"-i", "-o"} {
		rule := []string{"-w", "10", "-t", "filter", "", "FORWARD", way, r.bridge, "-m", "comment", "--comment", r.table, "-j", "ACCEPT"}
		rule[4] = "-C"
		if _, err := tool(ctx, "", "iptables", rule...); err == nil {
			continue
		}
		rule[4] = "-I"
		if _, err := tool(ctx, "", "iptables", rule...); err != nil {
			return fmt.Errorf("let the bridge pass the host's firewall: %w", err)
		}
	}
	return nil
}

// tearDown removes all of it.
func (r *rules) tearDown(ctx context.Context) error {
	for _, way := range []string{"-i", "-o"} {
		for {
			if _, err := tool(ctx, "", "iptables", "-w", "10", "-t", "filter", "-D", "FORWARD", way, r.bridge, "-m", "comment", "--comment", r.table, "-j", "ACCEPT"); err != nil {
				break // none is left
			}
		}
	}
	if _, err := tool(ctx, "", "nft", "list", "table", "ip", r.table); err != nil {
		return nil
	}
	_, err := tool(ctx, "", "nft", "delete", "table", "ip", r.table)
	return err
}

// add makes an address a member of a space.
func (r *rules) add(addr netip.Addr, space uint32) error {
	return r.change(addr, space, func(c *nftables.Conn, s *nftables.Set, e []nftables.SetElement) error { return c.SetAddElements(s, e) })
}

// remove takes an address out of its space. One that is not in it is no error.
func (r *rules) remove(addr netip.Addr, space uint32) error {
	err := r.change(addr, space, func(c *nftables.Conn, s *nftables.Set, e []nftables.SetElement) error {
		return c.SetDeleteElements(s, e)
	})
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	return err
}

// forget takes an address out of whatever space it is in: what a start that
// died left would give the next owner of the address a wrong one.
func (r *rules) forget(addr netip.Addr) error {
	c, err := nftables.New()
	if err != nil {
		return fmt.Errorf("read network rules: %w", err)
	}
	elements, err := c.GetSetElements(r.spaceOf())
	if err != nil {
		return fmt.Errorf("read network rules: %w", err)
	}
	for _, e := range elements {
		if bytes.Equal(e.Key, addr.AsSlice()) && len(e.Val) == 4 {
			return r.remove(addr, binary.NativeEndian.Uint32(e.Val))
		}
	}
	return nil
}

func (r *rules) spaceOf() *nftables.Set {
	t := &nftables.Table{Family: nftables.TableFamilyIPv4, Name: r.table}
	return &nftables.Set{Table: t, Name: "space_of", IsMap: true, KeyType: nftables.TypeIPAddr, DataType: nftables.TypeMark}
}

// change edits both sets in one transaction, by netlink: starting a program for
// it would cost more than all the rest of a start.
func (r *rules) change(addr netip.Addr, space uint32, do func(*nftables.Conn, *nftables.Set, []nftables.SetElement) error) error {
	c, err := nftables.New()
	if err != nil {
		return fmt.Errorf("change network rules: %w", err)
	}
	mark := binary.NativeEndian.AppendUint32(nil, space)
	ip := addr.AsSlice()
	member, err := nftables.ConcatSetType(nftables.TypeIPAddr, nftables.TypeMark)
	if err != nil {
		return err
	}
	spaceOf := r.spaceOf()
	members := &nftables.Set{Table: spaceOf.Table, Name: "members", KeyType: member, Concatenation: true}
	if err := errors.Join(
		do(c, spaceOf, []nftables.SetElement{{Key: ip, Val: mark}}),
		do(c, members, []nftables.SetElement{{Key: append(append([]byte{}, ip...), mark...)}}),
		c.Flush(),
	); err != nil {
		return fmt.Errorf("change network rules: %w", err)
	}
	return nil
}

// tool runs a program of the system.
func tool(ctx context.Context, stdin, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdin = strings.NewReader(stdin)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("%s: %w: %s", name, err, strings.TrimSpace(errs.String()))
	}
	return out.String(), nil
}
