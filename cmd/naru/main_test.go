package main

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"naru/internal/cli"
	"naru/internal/version"
)

// said runs the program with arguments, without a login.
func said(t *testing.T, args ...string) (code int, out, errs string) {
	t.Helper()
	home := t.TempDir()
	var o, e bytes.Buffer
	code = run(t.Context(), args, func(name string) string {
		return map[string]string{"NARU_HOME": home}[name]
	}, strings.NewReader(""), &o, &e)
	return code, o.String(), e.String()
}

func TestVersion(t *testing.T) {
	for _, args := range [][]string{{"version"}, {"--version"}} {
		code, out, errs := said(t, args...)
		if code != 0 || !strings.Contains(out, version.Version) || errs != "" {
			t.Errorf("naru %v = %d, %q, %q", args, code, out, errs)
		}
	}
}

func TestUnknownCommandsAreRefused(t *testing.T) {
	code, out, errs := said(t, "upp")
	if code != 2 || out != "" || !strings.Contains(errs, `"upp"`) || !strings.Contains(errs, "try:") {
		t.Errorf("naru upp = %d, %q, %q", code, out, errs)
	}
}

func TestEveryRoleIsACommandThatRefusesWhatItDoesNotKnow(t *testing.T) {
	all := roles()
	for _, name := range []string{"up", "down", "doctor", "server", "gateway", "ca", "restore"} {
		if !slices.ContainsFunc(all, func(c *cobra.Command) bool { return c.Name() == name }) {
			t.Errorf("there is no naru %s", name)
		}
	}
	for _, c := range all {
		code, out, errs := said(t, c.Name(), "--no-such-flag")
		if code == 0 || out != "" || !strings.HasPrefix(errs, "error: ") || !strings.Contains(errs, "try:") {
			t.Errorf("naru %s --no-such-flag = %d, %q, %q", c.Name(), code, out, errs)
		}
	}
}

// What says "Linux only" elsewhere is tried on every system.
func TestElsewhereARoleSaysLinuxOnly(t *testing.T) {
	var out, errs bytes.Buffer
	code := cli.Run(t.Context(), cli.World{
		Args: []string{"up", "--data-dir", "/x"}, Getenv: func(string) string { return "" }, In: strings.NewReader(""),
		Out: &out, Err: &errs, Roles: []*cobra.Command{refused("up")},
	})
	if code != 1 || !strings.Contains(errs.String(), "naru up is Linux only; this machine can be a client") ||
		!strings.Contains(errs.String(), "naru login http://HOST:PORT") {
		t.Errorf("naru up = %d, %q, %q", code, out.String(), errs.String())
	}
}
