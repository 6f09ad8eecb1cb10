package cli

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"naru/internal/client"
	"naru/internal/fault"
)

// declaration is what is pushed: the apps of a manifest, or the folder itself.
type declaration struct{ apps []declaredApp }

// declaredApp is one app to push, and the folder of its source.
type declaredApp struct {
	client.Push
	dir string
}

// declared finds what is to be pushed.
func (c *cmd) declared(f pushFlags) (declaration, error) {
	dir := f.path
	if dir == "" {
		dir = c.dir()
	} else if !filepath.IsAbs(dir) {
		dir = filepath.Join(c.dir(), dir)
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return declaration{}, fault.Wrap(fault.Invalid, "path", err)
	}
	name := filepath.Base(abs)
	switch {
	case f.git != "":
		url, _, _ := strings.Cut(f.git, "#")
		name = strings.TrimSuffix(filepath.Base(strings.TrimRight(url, "/")), ".git")
	case f.image != "":
		name, _, _ = strings.Cut(filepath.Base(f.image), ":")
		name, _, _ = strings.Cut(name, "@")
	}
	return declaration{[]declaredApp{{Push: client.Push{App: name}, dir: abs}}}, nil
}

// pick returns the apps that the arguments name; without arguments all.
func (d declaration) pick(args []string) []declaredApp {
	if len(args) == 0 {
		return d.apps
	}
	for _, a := range d.apps {
		if a.App == args[0] {
			return []declaredApp{a}
		}
	}
	one := d.apps[0]
	one.App = args[0]
	return []declaredApp{one}
}

// originOf asks git where a folder comes from; a folder that is no repository,
// or a machine without git, is just a directory.
func originOf(ctx context.Context, dir string) client.Origin {
	o := client.Origin{Kind: "directory"}
	git := func(args ...string) (string, bool) {
		cmd := exec.CommandContext(ctx, "git", append([]string{"-C", dir}, args...)...)
		cmd.Env = append(os.Environ(), "GIT_OPTIONAL_LOCKS=0")
		out, err := cmd.Output()
		return strings.TrimSpace(string(out)), err == nil
	}
	commit, ok := git("rev-parse", "HEAD")
	if !ok || len(commit) > 64 {
		return o
	}
	o.Commit = commit
	status, ok := git("status", "--porcelain", "--", ".")
	o.Dirty = !ok || status != ""
	return o
}

// pairs reads NAME=VALUE flags into a map.
func pairs(flag string, values []string, into *map[string]string) error {
	for _, v := range values {
		name, value, ok := strings.Cut(v, "=")
		if !ok || name == "" {
			return fault.New(fault.Invalid, flag, "%q is not NAME=VALUE", v)
		}
		if *into == nil {
			*into = map[string]string{}
		}
		(*into)[name] = value
	}
	return nil
}

// mebibytes reads a size such as 256M, 1G or 512MiB; "" is 0.
func mebibytes(flag, text string) (int, error) {
	if text == "" {
		return 0, nil
	}
	t := strings.ToUpper(strings.TrimSpace(text))
	t = strings.TrimSuffix(strings.TrimSuffix(t, "B"), "I")
	factor := 0
	switch {
	case strings.HasSuffix(t, "M"):
		factor = 1
	case strings.HasSuffix(t, "G"):
		factor = 1024
	case strings.HasSuffix(t, "T"):
		factor = 1024 * 1024
	}
	n, err := strconv.Atoi(strings.TrimRight(t, "MGT"))
	if err != nil || n <= 0 || factor == 0 {
		return 0, fault.New(fault.Invalid, flag, "%q is not a size", text).WithTry("write it as 256M or 1G")
	}
	return n * factor, nil
}

// exactly and maximum check the number of arguments, in our words.
func exactly(names ...string) cobra.PositionalArgs {
	return func(cc *cobra.Command, args []string) error {
		if len(args) != len(names) {
			return fault.New(fault.Invalid, "", "%s takes %s (got %d arguments)", cc.CommandPath(), strings.Join(names, " "), len(args)).
				WithTry("%s --help", cc.CommandPath())
		}
		return nil
	}
}

func maximum(n int) cobra.PositionalArgs {
	return func(cc *cobra.Command, args []string) error {
		if len(args) > n {
			return fault.New(fault.Invalid, "", "%s takes at most %d arguments (got %d)", cc.CommandPath(), n, len(args)).
				WithTry("%s --help", cc.CommandPath())
		}
		return nil
	}
}

func minimum(n int, what string) cobra.PositionalArgs {
	return func(cc *cobra.Command, args []string) error {
		if len(args) < n {
			return fault.New(fault.Invalid, "", "%s needs %s", cc.CommandPath(), what).WithTry("%s --help", cc.CommandPath())
		}
		return nil
	}
}
