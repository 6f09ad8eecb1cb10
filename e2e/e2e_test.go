// Package e2e tries naru from outside: a platform is started as users start it,
// spoken to through the command line, and visited through its gateway.
//
// The tests need root, a containerd and the CNI plugins, and say what is missing
// where they cannot run. Programs are built for the test; NARU_BIN names a
// folder of ready ones instead.
//
// Each test has a platform of its own and mostly waits, so they run side by side.
// Those that fill a disk, or count what visitors notice while much happens at once,
// have the machine to themselves.
package e2e

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// programs is the folder with naru and its helpers.
var programs = sync.OnceValues(func() (string, error) {
	if dir := os.Getenv("NARU_BIN"); dir != "" {
		return filepath.Abs(dir)
	}
	dir, err := os.MkdirTemp("", "naru-e2e-bin")
	if err != nil {
		return "", err
	}
	if err := os.Chmod(dir, 0o755); err != nil { // the gateway, another user, passes
		return dir, err
	}
	for _, name := range []string{"naru", "naru-log", "naru-init", "naru-static"} {
		cmd := exec.Command("go", "build", "-o", filepath.Join(dir, name), "../cmd/"+name)
		if out, err := cmd.CombinedOutput(); err != nil {
			return dir, errors.Join(err, errors.New(string(out)))
		}
	}
	daemon, err := filepath.Abs("../bin/buildkitd")
	if err != nil {
		return dir, err
	}
	return dir, os.Symlink(daemon, filepath.Join(dir, "buildkitd"))
})

func TestMain(m *testing.M) {
	code := m.Run()
	if dir, err := programs(); err == nil && os.Getenv("NARU_BIN") == "" {
		_ = os.RemoveAll(dir) // rubbish in the temporary folder fails nothing
	}
	os.Exit(code)
}

// able skips the test on a machine that cannot run a platform.
func able(t testing.TB) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root, for containers")
	}
	for _, program := range []string{"containerd", "runc", "iptables"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("needs %s: make install-deps", program)
		}
	}
	if !exists("/usr/lib/cni/bridge") && !exists("/opt/cni/bin/bridge") {
		t.Skip("needs the CNI plugins: make install-deps")
	}
	dir, err := programs()
	if err != nil {
		t.Fatal(err)
	}
	if !exists(filepath.Join(dir, "buildkitd")) {
		t.Skip("needs buildkitd: make build")
	}
	return dir
}

// slow skips the test where only a quick look is wanted.
func slow(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("takes minutes: not with -short")
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
