//go:build linux

package containerd

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"naru/internal/run"
)

// writeTree lays files out below a root.
func writeTree(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// The files of the unified hierarchy are laid out as the kernel's cgroup-v2
// document describes them: no machine with it has run this suite yet.
func TestUsageOfBothHierarchies(t *testing.T) {
	want := run.Usage{MemoryBytes: 40 << 20, CPU: 1500 * time.Millisecond, PIDs: 7}
	for name, files := range map[string]map[string]string{
		"version 1": {
			"memory/g/memory.usage_in_bytes": "52428800\n",
			"memory/g/memory.stat":           "cache 11534336\ntotal_cache 11534336\ntotal_inactive_file 10485760\n",
			"cpuacct/g/cpuacct.usage":        "1500000000\n",
			"pids/g/pids.current":            "7\n",
		},
		"version 2": {
			"cgroup.controllers": "cpuset cpu io memory pids\n",
			"g/memory.current":   "52428800\n",
			"g/memory.stat":      "anon 41943040\nfile 10485760\ninactive_file 10485760\nactive_file 0\n",
			"g/cpu.stat":         "usage_usec 1500000\nuser_usec 1000000\nsystem_usec 500000\n",
			"g/pids.current":     "7\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := cgroupUsage(writeTree(t, files), "/g")
			if err != nil || got != want {
				t.Errorf("got %+v, %v, want %+v", got, err, want)
			}
		})
	}
	if _, err := cgroupUsage(writeTree(t, nil), "/g"); err == nil {
		t.Error("a group that is gone uses nothing")
	}
}

func TestShimsAreSpread(t *testing.T) {
	for _, size := range []int{1, 2, 3, 8, 9, 24, 25, 50, 100} {
		shims := map[string]int{}
		for i := range size {
			shims[shimGroup(run.Spec{Group: "g", Index: i}, "1.1")]++
		}
		for shim, n := range shims {
			if n > 8 || size > 1 && n > (size+1)/2 {
				t.Errorf("of %d instances %d share shim %s", size, n, shim)
			}
		}
	}
	a, b := shimGroup(run.Spec{ID: "1", Task: true}, "1.1"), shimGroup(run.Spec{ID: "2", Task: true}, "1.1")
	if a == b {
		t.Error("two tasks share a shim")
	}
	one := run.Spec{Group: "g"}
	if shimGroup(one, "1.1") == shimGroup(one, "1.2") {
		t.Error("two containerds share a shim")
	}
}
