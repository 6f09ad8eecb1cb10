//go:build unix

package git

import (
	"os/exec"
	"syscall"
)

// ownGroup lets a cancelled git take along the helpers it started.
func ownGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
}
