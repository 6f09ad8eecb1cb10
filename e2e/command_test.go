package e2e

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// home is one person at the command line.
type home struct {
	p   *platform
	dir string
}

// do runs a command that must succeed and returns what it printed.
func (h home) do(t testing.TB, args ...string) string {
	t.Helper()
	began := time.Now()
	out, code := h.run(t, "", args...)
	if code != 0 {
		t.Fatalf("naru %s ended with %d:\n%s", strings.Join(args, " "), code, out)
	}
	t.Logf("%7s  naru %s", time.Since(began).Round(time.Millisecond), strings.Join(args, " "))
	return out
}

// refused runs a command that must fail with all these words.
func (h home) refused(t testing.TB, args []string, words ...string) {
	t.Helper()
	began := time.Now()
	out, code := h.run(t, "", args...)
	t.Logf("%7s  naru %s\n%s", time.Since(began).Round(time.Millisecond), strings.Join(args, " "), lastLines(out, 12))
	if code == 0 {
		t.Errorf("naru %s succeeded, which it must not:\n%s", strings.Join(args, " "), out)
	}
	for _, w := range words {
		if !strings.Contains(out, w) {
			t.Errorf("naru %s does not say %q:\n%s", strings.Join(args, " "), w, out)
		}
	}
	for _, bad := range []string{"panic:", "goroutine ", "internal error"} {
		if strings.Contains(out, bad) {
			t.Errorf("naru %s says %q:\n%s", strings.Join(args, " "), bad, out)
		}
	}
}

// run runs a command with text as its input.
func (h home) run(t testing.TB, text string, args ...string) (out string, code int) {
	t.Helper()
	cmd := h.command(args...)
	var buf bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(text), &buf, &buf
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return buf.String(), cmd.ProcessState.ExitCode()
}

func (h home) command(args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(h.p.bin, "naru"), args...)
	cmd.Env = append(os.Environ(), "NARU_HOME="+h.dir)
	return cmd
}

// user makes a person who may work in a space of their own and nowhere else.
func (p *platform) user(t testing.TB, name, space string) home {
	t.Helper()
	const password = "a long enough password 7"
	if out, code := p.admin.run(t, password, "users", "create", name, "--password-stdin"); code != 0 {
		t.Fatalf("users create: %s", out)
	}
	p.admin.do(t, "spaces", "create", space)
	p.admin.do(t, "users", "grant", name, "space_developer", "--space", space)
	h := home{p: p, dir: filepath.Join(p.dir, "home-"+name)}
	if out, code := h.run(t, password, "login", "http://"+p.api, "--user", name, "--password-stdin"); code != 0 {
		t.Fatalf("login: %s", out)
	}
	h.do(t, "target", "-s", space)
	return h
}

func lastLines(text string, n int) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
