package ssh_test

import (
	"bytes"
	"crypto/rand"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	gossh "golang.org/x/crypto/ssh"

	"naru/internal/door/ssh"
)

// TestOpenSSH is what people do who have no cf client at hand: OpenSSH's own
// programs, with the code where they ask for a password.
func TestOpenSSH(t *testing.T) {
	for _, program := range []string{"ssh", "scp"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("needs %s: make install-deps", program)
		}
	}
	h := open(t, ssh.Limits{})
	dir := t.TempDir()
	host, port, err := net.SplitHostPort(h.addr)
	must(t, err)
	known := filepath.Join(dir, "known_hosts")
	must(t, os.WriteFile(known, []byte("["+host+"]:"+port+" "+string(gossh.MarshalAuthorizedKey(h.key.PublicKey()))), 0o600))
	ask := filepath.Join(dir, "ask")
	must(t, os.WriteFile(ask, []byte("#!/bin/sh\necho \"$CODE\"\n"), 0o700)) //nolint:gosec // it is run
	client := func(program string, args ...string) *exec.Cmd {
		cmd := exec.CommandContext(t.Context(), program, append([]string{
			"-F", "none", "-o", "UserKnownHostsFile=" + known, "-o", "StrictHostKeyChecking=yes", "-o", "PreferredAuthentications=password", "-o", "NumberOfPasswordPrompts=1",
			"-o", "User=cf:" + h.shop + "/0",
		}, args...)...)
		cmd.Env = append(os.Environ(), "SSH_ASKPASS="+ask, "SSH_ASKPASS_REQUIRE=force", "CODE="+h.code(), "DISPLAY=:0", "HOME="+dir)
		return cmd
	}
	t.Run("a command with its exit code, 10 MB through it", func(t *testing.T) {
		data := make([]byte, 10_000_000)
		_, _ = rand.Read(data)
		cmd := client("ssh", "-p", port, host, "cat; exit 7")
		var out, errs bytes.Buffer
		cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(data), &out, &errs
		if err := cmd.Run(); cmd.ProcessState.ExitCode() != 7 || !bytes.Equal(out.Bytes(), data) {
			t.Errorf("%v, %d bytes came back; %s", err, out.Len(), &errs)
		}
	})
	t.Run("a forwarded connection", func(t *testing.T) {
		cmd := client("ssh", "-p", port, "-W", "localhost:7777", host)
		cmd.Stdin = strings.NewReader("over there")
		if out, err := cmd.Output(); err != nil || string(out) != "over there" {
			t.Errorf("%q, %v", out, err)
		}
	})
	t.Run("scp by the image's own scp", func(t *testing.T) {
		from, to := filepath.Join(dir, "from"), filepath.Join(dir, "to")
		must(t, os.WriteFile(from, []byte("a file"), 0o600))
		if out, err := client("scp", "-O", "-P", port, from, host+":"+to).CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
		if text, err := os.ReadFile(to); err != nil || string(text) != "a file" {
			t.Errorf("%q, %v", text, err)
		}
	})
	t.Run("a wrong code", func(t *testing.T) {
		cmd := client("ssh", "-p", port, host, "true")
		cmd.Env = append(cmd.Env, "CODE=wrong")
		if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "Permission denied") {
			t.Errorf("%v: %s", err, out)
		}
	})
}
