package e2e

import (
	"os/exec"
	"strings"
	"testing"
)

// Where there is no containerd, instances are plain processes: the same samples
// go the same way. What they need of a language is the machine's own.
func TestSamplesAsProcesses(t *testing.T) {
	slow(t)
	t.Parallel()
	p := start(t, pip(t), "NARU_DRIVER=process")
	if out := p.admin.do(t, "info"); !strings.Contains(out, "process") {
		t.Fatalf("naru info does not say what runs instances:\n%s", out)
	}
	interpreters := map[string]string{"static": "", "procfile-binary": "", "node": "node", "python": "python3"}
	for _, s := range samples() {
		program, wanted := interpreters[s.name]
		if !wanted {
			continue
		}
		t.Run(s.name, func(t *testing.T) {
			if _, err := exec.LookPath(program); program != "" && err != nil {
				t.Skipf("needs %s on this machine: make install-deps", program)
			}
			wholeWay(t, p, s)
		})
	}
}
