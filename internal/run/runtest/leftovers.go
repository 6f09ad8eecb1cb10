package runtest

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Leftovers remembers what the machine holds now and returns a check that fails
// the test for whatever came to stay: mounts, network namespaces, links,
// processes, packet filter rules, cgroups. Only what names contain mine counts
// where others work on the machine at the same time; "" counts everything.
func Leftovers(t testing.TB, mine string) (check func()) {
	t.Helper()
	before := inventory()
	return func() {
		t.Helper()
		now := inventory()
		for kind, things := range now {
			for _, thing := range things {
				if strings.Contains(thing, mine) && !slices.Contains(before[kind], thing) {
					t.Errorf("left behind: %s %s", kind, thing)
				}
			}
		}
	}
}

func inventory() map[string][]string {
	inv := map[string][]string{
		"mount":   lines("/proc/self/mounts"),
		"process": processes(""),
		"netns":   dir("/run/netns"),
		"link":    dir("/sys/class/net"),
	}
	for _, tool := range [][]string{{"iptables-save"}, {"ip6tables-save"}, {"nft", "list", "tables"}} {
		out, err := exec.Command(tool[0], tool[1:]...).Output()
		if err != nil {
			continue // a tool that is not there made no rules
		}
		for _, line := range strings.Split(string(out), "\n") {
			// Counters and times change by themselves.
			if line != "" && !strings.HasPrefix(line, "#") && !strings.HasPrefix(line, ":") {
				inv["rule"] = append(inv["rule"], line)
			}
		}
	}
	filepath.WalkDir("/sys/fs/cgroup", func(path string, e os.DirEntry, err error) error {
		if err == nil && e.IsDir() {
			inv["cgroup"] = append(inv["cgroup"], path)
		}
		return nil
	})
	return inv
}

func lines(path string) []string {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	return strings.Split(strings.TrimSpace(string(text)), "\n")
}

func dir(path string) []string {
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// processes returns "PID command line" of those whose command line has the word.
func processes(word string) []string {
	var out []string
	for _, pid := range dir("/proc") {
		if strings.Trim(pid, "0123456789") != "" {
			continue
		}
		text, err := os.ReadFile("/proc/" + pid + "/cmdline")
		if err != nil || len(text) == 0 {
			continue // ended meanwhile, or a thread of the kernel
		}
		command := strings.TrimSpace(strings.ReplaceAll(string(text), "\x00", " "))
		if strings.Contains(command, word) {
			out = append(out, pid+" "+command)
		}
	}
	return out
}
