package buildkit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"strings"

	"github.com/vishvananda/netlink"
)

// Network is the static set of rules around the bridge of builds. Commands of a
// build reach the outside and name servers, not this machine, not instances,
// not the cloud's metadata address.
type Network struct {
	Bridge  string
	Subnet  string
	Allowed []int  // TCP ports of this machine that builds may reach: a mirror that runs here
	chain   string // prefix of the chains' names
}

// Network returns the rules for the daemon's bridge.
func (d Daemon) Network(allowed ...int) Network {
	return Network{Bridge: d.Bridge(), Subnet: d.Subnet, Allowed: allowed, chain: "NARU-B" + d.hash()}
}

// instances is where every naru on this machine puts its bridges (decision D13).
const instances = "10.64.0.0/10"

// jumps are the rules that lead from the machine's chains into ours.
func (n Network) jumps() [][]string {
	return [][]string{
		{"filter", "INPUT", "-i", n.Bridge, "-j", n.chain + "I"},
		{"filter", "FORWARD", "-i", n.Bridge, "-j", n.chain + "O"},
		{"filter", "FORWARD", "-o", n.Bridge, "-j", n.chain + "R"},
		{"nat", "POSTROUTING", "-s", n.Subnet, "!", "-o", n.Bridge, "-j", n.chain + "N"},
	}
}

// rules are the chains' contents, for iptables-restore.
func (n Network) rules() string {
	var b strings.Builder
	line := func(parts ...string) { b.WriteString(strings.Join(parts, " ") + "\n") }
	in, out, back, nat := n.chain+"I", n.chain+"O", n.chain+"R", n.chain+"N"
	line("*filter")
	for _, c := range []string{in, out, back} {
		line(":"+c, "-", "[0:0]")
	}
	line("-A", in, "-m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT")
	line("-A", in, "-p udp --dport 53 -j ACCEPT")
	line("-A", in, "-p tcp --dport 53 -j ACCEPT")
	for _, port := range n.Allowed {
		line("-A", in, "-p tcp --dport", strconv.Itoa(port), "-j ACCEPT")
	}
	line("-A", in, "-j REJECT --reject-with icmp-admin-prohibited")
	line("-A", out, "-d 169.254.0.0/16 -j REJECT --reject-with icmp-admin-prohibited")
	line("-A", out, "-d", instances, "-j REJECT --reject-with icmp-admin-prohibited")
	line("-A", out, "-j ACCEPT")
	line("-A", back, "-m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT")
	line("-A", back, "-j DROP")
	line("COMMIT")
	line("*nat")
	line(":"+nat, "-", "[0:0]")
	line("-A", nat, "-j MASQUERADE")
	line("COMMIT")
	return b.String()
}

// Up puts the rules in place. Doing it again changes nothing.
func (n Network) Up(ctx context.Context) error {
	if err := iptables(ctx, n.rules(), "iptables-restore", "--noflush", "--wait", "10"); err != nil {
		return fmt.Errorf("write rules of %s: %w", n.Bridge, err)
	}
	for _, j := range n.jumps() {
		if err := iptables(ctx, "", "iptables", rule(j, "-C")...); err == nil {
			continue
		}
		if err := iptables(ctx, "", "iptables", rule(j, "-I")...); err != nil {
			return fmt.Errorf("write rules of %s: %w", n.Bridge, err)
		}
	}
	return nil
}

// Down removes the rules and the bridge; what is not there is no error.
func (n Network) Down(ctx context.Context) error {
	var errs []error
	for _, j := range n.jumps() {
		for iptables(ctx, "", "iptables", rule(j, "-C")...) == nil {
			if err := iptables(ctx, "", "iptables", rule(j, "-D")...); err != nil {
				errs = append(errs, fmt.Errorf("remove rule of %s: %w", n.Bridge, err))
				break
			}
		}
	}
	for suffix, table := range map[string]string{"I": "filter", "O": "filter", "R": "filter", "N": "nat"} {
		chain := n.chain + suffix
		if iptables(ctx, "", "iptables", "-w", "10", "-t", table, "-n", "-L", chain) != nil {
			continue
		}
		errs = append(errs,
			iptables(ctx, "", "iptables", "-w", "10", "-t", table, "-F", chain),
			iptables(ctx, "", "iptables", "-w", "10", "-t", table, "-X", chain))
	}
	link, err := netlink.LinkByName(n.Bridge)
	var absent netlink.LinkNotFoundError
	switch {
	case errors.As(err, &absent):
	case err != nil:
		errs = append(errs, fmt.Errorf("find bridge %s: %w", n.Bridge, err))
	default:
		if err := netlink.LinkDel(link); err != nil {
			errs = append(errs, fmt.Errorf("remove bridge %s: %w", n.Bridge, err))
		}
	}
	return errors.Join(errs...)
}

// rule is the command line that does act (-C, -I, -D) to a jump.
func rule(jump []string, act string) []string {
	return append([]string{"-w", "10", "-t", jump[0], act, jump[1]}, jump[2:]...)
}

func iptables(ctx context.Context, stdin, program string, args ...string) error {
	cmd := exec.CommandContext(ctx, program, args...)
	var errs bytes.Buffer
	cmd.Stdin, cmd.Stderr = strings.NewReader(stdin), &errs
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s %s: %w: %s", program, strings.Join(args, " "), err, strings.TrimSpace(errs.String()))
	}
	return nil
}
