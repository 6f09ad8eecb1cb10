//go:build linux

package containerd

import "testing"

func TestTrafficOfAnInterface(t *testing.T) {
	const table = `Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo: 1000 10 0 0 0 0 0 0 1000 10 0 0 0 0 0 0
  eth0:123456 200 0 0 0 0 0 0 654321 300 0 0 0 0 0 0
`
	if received, sent := traffic(table); received != 123456 || sent != 654321 {
		t.Errorf("received %d, sent %d", received, sent)
	}
	if received, sent := traffic("  eth0: 1 2\n"); received != 0 || sent != 0 {
		t.Errorf("of half a line: %d, %d", received, sent)
	}
}

func TestMemberOfBothHierarchies(t *testing.T) {
	for name, files := range map[string]map[string]string{
		"version 1": {"pids/g/cgroup.procs": "17\n18\n"},
		"version 2": {"cgroup.controllers": "pids\n", "g/cgroup.procs": "17\n"},
	} {
		if pid, ok := member(writeTree(t, files), "/g"); pid != "17" || !ok {
			t.Errorf("%s: %q, %v", name, pid, ok)
		}
	}
	if pid, ok := member(writeTree(t, map[string]string{"pids/g/cgroup.procs": ""}), "/g"); ok {
		t.Errorf("an empty group has %q", pid)
	}
}
